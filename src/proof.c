/* proof.c - see proof.h. */
#include "proof.h"

#include <errno.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <stdio.h>
#include <string.h>

static int read_secret(const char *path, uint8_t *secret, size_t room, char *error, size_t size) {
  FILE *f = fopen(path, "rbe");
  if (!f) {
    snprintf(error, size, "%.200s: %s", path, strerror(errno));
    return -1;
  }
  setvbuf(f, NULL, _IONBF, 0); /* leaves no copy behind */
  size_t n = fread(secret, 1, room, f);
  int failed = ferror(f);
  fclose(f);
  while (n > 0 && (secret[n - 1] == '\n' || secret[n - 1] == '\r'))
    n--;
  if (failed || n < PROOF_SECRET_MIN || n == room) {
    snprintf(error, size, "%.200s: a secret of %d to %d bytes is expected", path, PROOF_SECRET_MIN,
             PROOF_SECRET_MAX);
    return -1;
  }
  return (int)n;
}

int proof_make(const char *path, const uint8_t *nonce, size_t n, uint8_t out[PROOF_SIZE], char *error,
               size_t size) {
  uint8_t secret[PROOF_SECRET_MAX + 3];
  int length = read_secret(path, secret, sizeof secret, error, size);
  int err = -1;
  if (length > 0) {
    err =
        mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), secret, (size_t)length, nonce, n, out);
    if (err)
      snprintf(error, size, "not enough memory");
  }
  mbedtls_platform_zeroize(secret, sizeof secret);
  return err ? -1 : 0;
}
