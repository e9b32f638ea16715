/* xts.c - AES-XTS. */
#include "xts.h"

#include <mbedtls/aes.h>

int xts_crypt(int encrypt, const uint8_t *key, size_t key_size, const uint8_t tweak[XTS_TWEAK],
              const uint8_t *in, uint8_t *out, size_t n) {
  if ((key_size != 32 && key_size != 64) || n < XTS_MIN || n > XTS_MAX)
    return -1;
  mbedtls_aes_xts_context ctx;
  mbedtls_aes_xts_init(&ctx);
  unsigned bits = (unsigned)key_size * 8;
  int err =
      encrypt ? mbedtls_aes_xts_setkey_enc(&ctx, key, bits) : mbedtls_aes_xts_setkey_dec(&ctx, key, bits);
  if (err == 0)
    err = mbedtls_aes_crypt_xts(&ctx, encrypt ? MBEDTLS_AES_ENCRYPT : MBEDTLS_AES_DECRYPT, n, tweak, in, out);
  mbedtls_aes_xts_free(&ctx); /* wipes */
  return err ? -1 : 0;
}
