/* rng.c - the random number generator. The numbers: SplitMix64 (Steele, Lea, Flood, "Fast splittable
 * pseudorandom number generators", 2014). */
#include "sim/rng.h"

void sim_rng_init(struct sim_rng *r, uint64_t seed) {
  r->state = seed;
}

int sim_rng_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_rng *r = ctx;
  (void)offset;
  uint64_t z = r->state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  *value = (uint32_t)(z >> 32 ^ z >> 1);
  return 1;
}

int sim_rng_write(void *ctx, uint32_t offset, uint32_t value) {
  (void)ctx, (void)offset, (void)value;
  return 1; /* read only */
}
