// sources: src/inflate.c
/* Inflates the input in pieces, with a limit, into buffers of exact size. */
#include "inflate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 3)
    return 0;
  size_t piece = data[0] % 50 + 1, room = data[1] % 50 + 1, limit = data[2] * 20u, total = 0;
  struct inflater f;
  uint8_t *out = malloc(room);
  data += 3;
  size -= 3;
  if (inflater_begin(&f, limit) != 0)
    abort();
  for (int turns = 0;; turns++) {
    size_t in_len = size < piece ? size : piece, out_len = room;
    int r = inflater_run(&f, data, &in_len, out, &out_len);
    if (in_len > size || out_len > room || turns > 20000)
      abort();
    data += in_len;
    size -= in_len;
    total += out_len;
    if (total > limit || total != f.done)
      abort();
    if (r < 0 || r == INFLATE_END || (r == INFLATE_MORE && size == 0))
      break;
    if (r == INFLATE_ROOM && out_len != room)
      abort();
  }
  inflater_free(&f);
  inflater_free(&f);
  free(out);
  return 0;
}
