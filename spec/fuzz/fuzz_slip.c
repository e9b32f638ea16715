// sources: src/slip.c
/* Decodes the input in pieces of a length that its first byte says; what is decoded must be the same as in
 * one piece, and encoding it again must give it back. */
#include "slip.h"

#include <stdlib.h>
#include <string.h>

enum { MAX = 300 };

/* Appends every frame with its length and kind to out. Returns the bytes stored. */
static size_t decode(const uint8_t *in, size_t n, size_t piece, uint8_t *out) {
  uint8_t *buf = malloc(MAX); /* exact size, so that one byte too many is seen */
  struct slip_decoder d;
  size_t at = 0, stored = 0, used;
  slip_reset(&d, buf, MAX);
  while (at < n) {
    size_t end = at + piece < n ? at + piece : n;
    while (at < end) {
      int what = slip_decode(&d, in + at, end - at, &used);
      if (used > end - at || (what == SLIP_MORE && used != end - at) || used == 0 || d.len > MAX)
        abort();
      at += used;
      if (what == SLIP_MORE)
        continue;
      if (what == SLIP_FRAME) {
        uint8_t frame[SLIP_ROOM(MAX)], again[MAX];
        struct slip_decoder e;
        size_t wire = slip_encode(frame, d.buf, d.len), k, m = 0;
        slip_reset(&e, again, MAX);
        while (m < wire && slip_decode(&e, frame + m, wire - m, &k) == SLIP_MORE)
          m += k;
        if (m >= wire || e.len != d.len || memcmp(again, d.buf, d.len) != 0)
          abort();
      }
      out[stored++] = (uint8_t)what;
      out[stored++] = (uint8_t)d.len;
      memcpy(out + stored, d.buf, d.len);
      stored += d.len;
    }
  }
  free(buf);
  return stored;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2)
    return 0;
  uint8_t *a = malloc(4 * size + 4), *b = malloc(4 * size + 4);
  size_t na = decode(data + 1, size - 1, data[0] % 17 + 1, a);
  size_t nb = decode(data + 1, size - 1, size, b);
  if (na != nb || memcmp(a, b, na) != 0)
    abort();
  free(a);
  free(b);
  return 0;
}
