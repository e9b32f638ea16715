/* rng.h - the random number generator: a register that never reads the same. */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdint.h>

enum { SIM_RNG_PLACES = 3 };

/* Numbers follow from the seed, so that a run can be repeated. A reset does not begin again. */
struct sim_rng {
  uint64_t state;
};

void sim_rng_init(struct sim_rng *r, uint64_t seed);

/* Register access for the bus: any offset is the register. */
int sim_rng_read(void *rng, uint32_t offset, uint32_t *value);
int sim_rng_write(void *rng, uint32_t offset, uint32_t value);

#endif
