// sources: src/unpack.c
/* Unpacks the input into room of a length that its first two bytes say. */
#include "unpack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2)
    return 0;
  size_t room = (size_t)data[0] << 8 | data[1], n = size - 2;
  uint8_t *in = malloc(n ? n : 1), *out = malloc(room ? room : 1); /* exact sizes, so that one byte too many is seen */
  for (size_t i = 0; i < n; i++)
    in[i] = data[2 + i];
  long k = unpack_lz4(out, room, in, n);
  if (k < -1 || k > (long)room)
    abort();
  volatile uint8_t sum = 0;
  for (long i = 0; i < k; i++)
    sum ^= out[i];
  free(in);
  free(out);
  return 0;
}
