/* ihex.h - writing records of Intel HEX. */
#ifndef IHEX_H
#define IHEX_H

#include <stddef.h>
#include <stdint.h>

enum { IHEX_RECORD = 16, IHEX_LINE = 2 * IHEX_RECORD + 12 }; /* bytes in a record; characters of its line */

/* Characters of the data records for n bytes. */
size_t ihex_size(size_t n);

/* Stores the data records for n bytes at offset (offset + n at most 0x10000), a line each: ihex_size(n)
 * characters, no end mark. */
void ihex_write(char *out, const uint8_t *bytes, size_t n, uint32_t offset);

#endif
