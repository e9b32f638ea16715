/* unpack.h - the LZ4 block format (lz4_Block_format.md of the lz4 project). */
#ifndef UNPACK_H
#define UNPACK_H

#include <stddef.h>
#include <stdint.h>

/* Unpacks n bytes of in, which may be anything, into out, which has room for `room` bytes. Returns how many
 * bytes it gave, or -1 when the input is damaged or gives more than that. */
long unpack_lz4(uint8_t *out, size_t room, const uint8_t *in, size_t n);

#endif
