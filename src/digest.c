/* digest.c - message digests. */
#include "digest.h"

#include <string.h>
#include <zlib.h>

static const mbedtls_md_info_t *find(const char *name) {
  static const struct {
    const char *name;
    mbedtls_md_type_t type;
  } known[] = {{"md5", MBEDTLS_MD_MD5},
               {"sha1", MBEDTLS_MD_SHA1},
               {"sha256", MBEDTLS_MD_SHA256},
               {"sha384", MBEDTLS_MD_SHA384},
               {"sha512", MBEDTLS_MD_SHA512}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].name, name) == 0)
      return mbedtls_md_info_from_type(known[i].type);
  return NULL;
}

size_t digest_size(const char *name) {
  const mbedtls_md_info_t *info = find(name);
  return info ? mbedtls_md_get_size(info) : 0;
}

int digest_begin(struct digest *d, const char *name) {
  const mbedtls_md_info_t *info = find(name);
  d->size = 0;
  mbedtls_md_init(&d->ctx);
  if (!info || mbedtls_md_setup(&d->ctx, info, 0) != 0 || mbedtls_md_starts(&d->ctx) != 0) {
    mbedtls_md_free(&d->ctx);
    return -1;
  }
  d->size = mbedtls_md_get_size(info);
  return 0;
}

void digest_update(struct digest *d, const void *data, size_t n) {
  if (d->size)
    mbedtls_md_update(&d->ctx, data, n);
}

void digest_end(struct digest *d, uint8_t *out) {
  if (d->size)
    mbedtls_md_finish(&d->ctx, out);
}

void digest_free(struct digest *d) {
  mbedtls_md_free(&d->ctx);
  d->size = 0;
}

size_t digest_of(const char *name, const void *data, size_t n, uint8_t *out) {
  struct digest d;
  if (digest_begin(&d, name) != 0)
    return 0;
  size_t size = d.size;
  digest_update(&d, data, n);
  digest_end(&d, out);
  digest_free(&d);
  return size;
}

uint32_t digest_crc32(uint32_t crc, const void *data, size_t n) {
  return (uint32_t)crc32_z(crc, data, n);
}

uint8_t digest_xor(uint8_t sum, const void *data, size_t n) {
  const uint8_t *p = data;
  for (size_t i = 0; i < n; i++)
    sum ^= p[i];
  return sum;
}

void digest_mix(const void *data, size_t n, uint8_t out[8]) {
  const uint8_t *p = data;
  uint32_t a = 0x67452301, b = 0xEFCDAB89;
  while (n) {
    uint32_t v = *p;
    size_t k = 1;
    if (n >= 4) {
      v |= (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
      k = 4;
    }
    a = (a ^ v) * 0x9E3779B1;
    a ^= a >> 15;
    b = b * 0x85EBCA77 + a;
    p += k;
    n -= k;
  }
  for (int i = 0; i < 4; i++) {
    out[i] = (uint8_t)(a >> 8 * i);
    out[4 + i] = (uint8_t)(b >> 8 * i);
  }
}
