/* ecdsa.h - the ECDSA accelerator, which checks signatures. */
#ifndef SIM_ECDSA_H
#define SIM_ECDSA_H

#include <stdint.h>

enum { SIM_ECDSA_BYTES = 48, SIM_ECDSA_NUMBERS = 5 };

struct sim_ecdsa_layout {
  uint32_t base;                  /* 0: none */
  uint32_t curve_lsb, curve_mask; /* which curve, in the configuration register */
  uint32_t memory;                /* offset of the first number */
  uint32_t size;                  /* bytes of a number: 32, or 48 where there is P-384 */
};

struct sim_ecdsa {
  struct sim_ecdsa_layout at;
  uint32_t conf, state, result, done, enabled;
  uint64_t work;                                      /* cycles that operations took */
  uint8_t number[SIM_ECDSA_NUMBERS][SIM_ECDSA_BYTES]; /* r, s, z, x, y; little-endian */
};

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_ecdsa_read(void *ecdsa, uint32_t offset, uint32_t *value);
int sim_ecdsa_write(void *ecdsa, uint32_t offset, uint32_t value);

#endif
