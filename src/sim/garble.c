/* garble.c - a UART frame sampled at the wrong rate. */
#include "sim/garble.h"

int sim_baud_differs(double tx, double rx) {
  return rx > 0 && tx > 0 && (tx > rx * 1.04 || tx < rx * 0.96);
}

/* Level of the wire at bit time t of the sender (ten bits per byte, idle high after the last). */
static int level(const uint8_t *in, size_t n, double t) {
  size_t bit = (size_t)t, byte = bit / 10;
  if (byte >= n)
    return 1;
  bit %= 10;
  return bit == 0 ? 0 : bit == 9 ? 1 : in[byte] >> (bit - 1) & 1;
}

size_t sim_garble(const uint8_t *in, size_t n, double tx, double rx, uint8_t *out, size_t max) {
  double step = tx / rx, end = (double)n * 10, t = 0; /* in bit times of the sender */
  size_t count = 0;
  if (step > 64 || step < 1.0 / 64) /* too far off for a start bit to be recognised at all */
    return 0;
  while (t < end && count < max) {
    if (level(in, n, t)) { /* look for the falling edge, a sixteenth of a bit at a time */
      t += step / 16;
      continue;
    }
    if (level(in, n, t + step / 2)) { /* too short for a start bit */
      t += step / 16;
      continue;
    }
    uint8_t byte = 0;
    for (int i = 0; i < 8; i++)
      byte |= (uint8_t)(level(in, n, t + step * (1.5 + i)) << i);
    out[count++] = byte;
    t += step * 9.5;
    while (t < end && !level(in, n, t)) /* no stop bit: wait for the line to go idle */
      t += step / 16;
  }
  return count;
}
