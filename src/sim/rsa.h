/* rsa.h - the RSA accelerator: products and powers of long numbers. */
#ifndef SIM_RSA_H
#define SIM_RSA_H

#include <stdint.h>

/* Two sets of registers: that of the ESP32, and that of all later chips. */
enum { SIM_RSA_NONE, SIM_RSA_ESP32, SIM_RSA_LATER };
enum { SIM_RSA_WORDS = 128 };

struct sim_rsa_layout {
  int kind; /* SIM_RSA_... */
  uint32_t base;
};

struct sim_rsa {
  int kind;
  uint32_t m[SIM_RSA_WORDS], z[SIM_RSA_WORDS], y[SIM_RSA_WORDS], x[SIM_RSA_WORDS];
  uint32_t m_prime, mode, mult_mode, constant_time, search, search_at, enabled;
  uint32_t done; /* the interrupt: an operation has ended */
  uint64_t work; /* cycles that operations took */
};

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_rsa_read(void *rsa, uint32_t offset, uint32_t *value);
int sim_rsa_write(void *rsa, uint32_t offset, uint32_t value);

#endif
