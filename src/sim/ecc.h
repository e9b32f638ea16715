/* ecc.h - the ECC accelerator: points of the curves P-192, P-256 and P-384. */
#ifndef SIM_ECC_H
#define SIM_ECC_H

#include <stdint.h>

enum { SIM_ECC_WORDS = 12, SIM_ECC_NUMBERS = 3 };

struct sim_ecc_layout {
  uint32_t base;                /* 0: none */
  uint32_t size;                /* bytes of a number: 32, or 48 where there is P-384 */
  uint32_t curve_mask;          /* which curve: bits from bit 2 of the configuration register on */
  uint32_t mode_lsb, mode_mask; /* what to do with it */
  uint32_t good;                /* bit: the point was on the curve */
};

struct sim_ecc {
  struct sim_ecc_layout at;
  uint32_t conf, done, enabled;
  uint64_t work;                                      /* cycles that operations took */
  uint8_t number[SIM_ECC_NUMBERS][SIM_ECC_WORDS * 4]; /* k, x, y; little-endian, as in memory */
};

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_ecc_read(void *ecc, uint32_t offset, uint32_t *value);
int sim_ecc_write(void *ecc, uint32_t offset, uint32_t value);

#endif
