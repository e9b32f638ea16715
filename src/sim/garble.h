/* garble.h - what a UART reads when the other side sends at another rate. */
#ifndef SIM_GARBLE_H
#define SIM_GARBLE_H

#include <stddef.h>
#include <stdint.h>

/* Whether a receiver at rx bits per second misreads a sender at tx. */
int sim_baud_differs(double tx, double rx);

/* Samples n bytes that were sent back to back at tx (8N1) as a receiver at rx does. Writes at most max bytes,
 * returns how many. A frame without a stop bit is delivered too, as the hardware does. */
size_t sim_garble(const uint8_t *in, size_t n, double tx, double rx, uint8_t *out, size_t max);

#endif
