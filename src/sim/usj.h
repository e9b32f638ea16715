/* usj.h - USB-Serial/JTAG as a program sees it: a FIFO of 64 bytes each way, which the host is held back by.
 */
#ifndef SIM_USJ_H
#define SIM_USJ_H

#include <stddef.h>
#include <stdint.h>

struct sim_chip;

enum { SIM_USJ_FIFO = 64 };

struct sim_usj {
  struct sim_chip *chip;
  uint8_t in[SIM_USJ_FIFO]; /* to the host */
  size_t in_len;
  uint8_t out[SIM_USJ_FIFO]; /* from the host */
  size_t out_at, out_len;
  uint32_t enabled; /* interrupts that reach the processor */
};

void sim_usj_start(struct sim_usj *u);

/* Sends what the program has handed over. */
void sim_usj_flush(struct sim_chip *c);

/* Whether an interrupt is wanted. */
int sim_usj_interrupt(const struct sim_usj *u);

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_usj_read(void *usj, uint32_t offset, uint32_t *value);
int sim_usj_write(void *usj, uint32_t offset, uint32_t value);

#endif
