/* xts.h - AES-XTS, as flash encryption and encrypted NVS use it. A thin layer over mbedtls. */
#ifndef XTS_H
#define XTS_H

#include <stddef.h>
#include <stdint.h>

enum {
  XTS_TWEAK = 16,         /* bytes of a tweak */
  XTS_MIN = 16,           /* fewest bytes of a data unit */
  XTS_MAX = 1 << 20 << 4, /* most, by IEEE 1619 */
};

/* En- or decrypts one data unit of n bytes from in to out; they may be the same. key: 32 or 64 bytes, two AES
 * keys of the same size. Returns 0, or -1 when a size is wrong or memory is missing; out is then undefined.
 */
int xts_crypt(int encrypt, const uint8_t *key, size_t key_size, const uint8_t tweak[XTS_TWEAK],
              const uint8_t *in, uint8_t *out, size_t n);

#endif
