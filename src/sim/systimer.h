/* systimer.h - the system timer: a counter of 16 MHz that shows its value on request. */
#ifndef SIM_SYSTIMER_H
#define SIM_SYSTIMER_H

#include <stdint.h>

struct sim_systimer {
  const double *time; /* of the program, in seconds */
  uint64_t shown[2];
};

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_systimer_read(void *timer, uint32_t offset, uint32_t *value);
int sim_systimer_write(void *timer, uint32_t offset, uint32_t value);

#endif
