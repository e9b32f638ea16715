/* aes.c - the AES accelerator. Source: Technical Reference Manuals, "AES Accelerator". Blocks are handed over
 * by software; the mode in which they come by DMA is not there, nor are other orders of bytes than the usual.
 */
#include "sim/aes.h"

#include <mbedtls/aes.h>
#include <string.h>

enum { KEY = 0x00, IN = 0x20, OUT = 0x30, MODE = 0x40, ENDIAN = 0x44, TRIGGER = 0x48, STATE = 0x4C };
enum {
  OLD_START = 0x00,
  OLD_IDLE = 0x04,
  OLD_MODE = 0x08,
  OLD_KEY = 0x10,
  OLD_TEXT = 0x30,
  OLD_ENDIAN = 0x40
};
enum { SIZE_MASK = 3, DECRYPT = 4 };

static void work(struct sim_aes *s) {
  mbedtls_aes_context c;
  unsigned bits = 128 + 64 * (s->mode & SIZE_MASK);
  int decrypt = (s->mode & DECRYPT) != 0;
  mbedtls_aes_init(&c);
  int bad = bits > 256 ||
            (decrypt ? mbedtls_aes_setkey_dec(&c, s->key, bits) : mbedtls_aes_setkey_enc(&c, s->key, bits));
  if (!bad)
    mbedtls_aes_crypt_ecb(&c, decrypt ? MBEDTLS_AES_DECRYPT : MBEDTLS_AES_ENCRYPT, s->in, s->out);
  mbedtls_aes_free(&c);
  if (s->kind == SIM_AES_ESP32)
    memcpy(s->in, s->out, sizeof s->in);
}

/* The bytes behind an offset, or NULL. */
static uint8_t *bytes(struct sim_aes *s, uint32_t offset) {
  int old = s->kind == SIM_AES_ESP32;
  uint32_t key = old ? OLD_KEY : KEY, in = old ? OLD_TEXT : IN;
  if (offset >= key && offset < key + sizeof s->key)
    return s->key + (offset - key);
  if (offset >= in && offset < in + sizeof s->in)
    return s->in + (offset - in);
  return !old && offset >= OUT && offset < OUT + sizeof s->out ? s->out + (offset - OUT) : NULL;
}

static uint32_t *named(struct sim_aes *s, uint32_t offset) {
  int old = s->kind == SIM_AES_ESP32;
  if (offset == (uint32_t)(old ? OLD_MODE : MODE))
    return &s->mode;
  return offset == (uint32_t)(old ? OLD_ENDIAN : ENDIAN) ? &s->endian : NULL;
}

int sim_aes_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_aes *s = ctx;
  const uint8_t *b = bytes(s, offset & ~3u);
  const uint32_t *r = named(s, offset);
  if (b)
    *value = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
  else if (r)
    *value = *r;
  else if (offset == (uint32_t)(s->kind == SIM_AES_ESP32 ? OLD_IDLE : STATE))
    *value = s->kind == SIM_AES_ESP32; /* idle */
  else
    return 0;
  return 1;
}

int sim_aes_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_aes *s = ctx;
  uint8_t *b = bytes(s, offset & ~3u);
  uint32_t *r = named(s, offset);
  if (b)
    for (int i = 0; i < 4; i++)
      b[i] = (uint8_t)(value >> 8 * i);
  else if (r)
    *r = value;
  else if (offset == (uint32_t)(s->kind == SIM_AES_ESP32 ? OLD_START : TRIGGER))
    work(s);
  else
    return 0;
  return 1;
}
