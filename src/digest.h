/* digest.h - message digests. A thin layer over Nettle, which uses what the processor has for them, so that
 * nothing else depends on it. */
#ifndef DIGEST_H
#define DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>

enum { DIGEST_MAX = 64 }; /* bytes of the longest digest */

struct digest {
  const struct nettle_hash *hash;
  size_t size; /* bytes of the result; 0: not begun */
  union {
    struct md5_ctx md5;
    struct sha1_ctx sha1;
    struct sha256_ctx sha256;
    struct sha512_ctx sha512;
  } state;
};

/* Bytes of the digest called name ("md5", "sha1", "sha256", "sha384", "sha512"); 0 if there is none. */
size_t digest_size(const char *name);

/* Begins. To be ended by digest_free. Returns 0, or -1 for an unknown name; d may be freed then too. */
int digest_begin(struct digest *d, const char *name);

void digest_update(struct digest *d, const void *data, size_t n);

/* Stores d->size bytes. Only digest_free may follow. */
void digest_end(struct digest *d, uint8_t *out);

/* Wipes. Twice is fine, and so is a zeroed d. */
void digest_free(struct digest *d);

/* All at once. Returns the bytes stored in out (DIGEST_MAX is enough), 0 for an unknown name. */
size_t digest_of(const char *name, const void *data, size_t n, uint8_t *out);

/* The CRC of zip files and Ethernet. crc: of what came before, 0 at first. */
uint32_t digest_crc32(uint32_t crc, const void *data, size_t n);

/* The digest of a unit of flash that our stub tells (doc/stub-protocol.md, "F1 DIGESTS"). Not cryptographic.
 */
void digest_mix(const void *data, size_t n, uint8_t out[8]);

/* All bytes and sum combined by exclusive or: the checksum of the loaders' images. */
uint8_t digest_xor(uint8_t sum, const void *data, size_t n);

#endif
