/* sha256.h - SHA-256 with the instructions that x86 processors have for it, some five times as fast as
 * without. Source: FIPS 180-4. */
#ifndef SHA256_H
#define SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sha256 {
  uint32_t state[8];
  uint64_t size; /* bytes so far */
  uint8_t block[64];
};

/* Whether this processor has them. Nothing below may be called where it has not. */
bool sha256_fast(void);

void sha256_begin(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t n);
/* Stores 32 bytes. Only sha256_begin may follow. */
void sha256_end(struct sha256 *s, uint8_t *out);

#endif
