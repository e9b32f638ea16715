/* digest.c - message digests. */
#include "digest.h"

#include <string.h>
#include <zlib.h>

static const struct nettle_hash *find(const char *name) {
  static const struct nettle_hash *const known[] = {&nettle_md5, &nettle_sha1, &nettle_sha256, &nettle_sha384,
                                                    &nettle_sha512};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i]->name, name) == 0)
      return known[i];
  return NULL;
}

size_t digest_size(const char *name) {
  const struct nettle_hash *hash = find(name);
  return hash ? hash->digest_size : 0;
}

int digest_begin(struct digest *d, const char *name) {
  d->hash = find(name);
  d->size = d->hash ? d->hash->digest_size : 0;
  if (!d->hash)
    return -1;
  d->hash->init(&d->state);
  return 0;
}

void digest_update(struct digest *d, const void *data, size_t n) {
  if (d->size)
    d->hash->update(&d->state, n, data);
}

void digest_end(struct digest *d, uint8_t *out) {
  if (d->size)
    d->hash->digest(&d->state, d->size, out);
}

void digest_free(struct digest *d) {
  explicit_bzero(d, sizeof *d);
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
  uint64_t lanes = 0, v;
  for (; n >= sizeof v; p += sizeof v, n -= sizeof v) {
    memcpy(&v, p, sizeof v);
    lanes ^= v;
  }
  for (size_t i = 0; i < sizeof v; i++)
    sum ^= (uint8_t)(lanes >> 8 * i);
  while (n--)
    sum ^= *p++;
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
