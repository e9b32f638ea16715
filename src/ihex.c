/* ihex.c - writing records of Intel HEX. Source: Intel, "Hexadecimal Object File Format Specification",
 * revision A (1988). */
#include "ihex.h"

static char *put(char *out, uint8_t byte) {
  *out++ = "0123456789ABCDEF"[byte >> 4];
  *out++ = "0123456789ABCDEF"[byte & 15];
  return out;
}

size_t ihex_size(size_t n) {
  size_t last = n % IHEX_RECORD;
  return n / IHEX_RECORD * IHEX_LINE + (last ? IHEX_LINE - 2 * (IHEX_RECORD - last) : 0);
}

void ihex_write(char *out, const uint8_t *bytes, size_t n, uint32_t offset) {
  while (n) {
    size_t part = n < IHEX_RECORD ? n : IHEX_RECORD;
    uint8_t sum = (uint8_t)(part + (offset >> 8) + offset);
    *out++ = ':';
    out = put(out, (uint8_t)part);
    out = put(out, (uint8_t)(offset >> 8));
    out = put(out, (uint8_t)offset);
    out = put(out, 0); /* data */
    for (size_t i = 0; i < part; i++) {
      sum += bytes[i];
      out = put(out, bytes[i]);
    }
    out = put(out, (uint8_t)-sum);
    *out++ = '\n';
    bytes += part;
    offset += (uint32_t)part;
    n -= part;
  }
}
