/* unpack.c - the LZ4 block format. */
#include "unpack.h"

#include <string.h>

enum { SHORTEST = 4, MORE = 15 };

/* Reads the bytes that follow a nibble of 15. Returns 0, or -1 when they end too early or reach beyond
 * `most`. */
static int length(const uint8_t *in, size_t n, size_t *at, size_t *value, size_t most) {
  uint8_t b;
  if (*value < MORE)
    return 0;
  do {
    if (*at >= n || *value > most)
      return -1;
    b = in[(*at)++];
    *value += b;
  } while (b == 255);
  return 0;
}

long unpack_lz4(uint8_t *out, size_t room, const uint8_t *in, size_t n) {
  size_t at = 0, k = 0;
  while (at < n) {
    uint8_t token = in[at++];
    size_t literals = token >> 4, match = token & 15;
    if (length(in, n, &at, &literals, room) != 0 || literals > n - at || literals > room - k)
      return -1;
    memcpy(out + k, in + at, literals);
    k += literals;
    at += literals;
    if (at == n)
      return (long)k; /* the last sequence has no match */
    if (n - at < 2)
      return -1;
    size_t back = (size_t)in[at] | (size_t)in[at + 1] << 8;
    at += 2;
    if (length(in, n, &at, &match, room) != 0)
      return -1;
    match += SHORTEST;
    if (back == 0 || back > k || match > room - k)
      return -1;
    for (; match > 0; match--, k++) /* it may overlap what it makes */
      out[k] = out[k - back];
  }
  return -1; /* it ends with a sequence without a match */
}
