/* aes.h - the AES accelerator, block by block. */
#ifndef SIM_AES_H
#define SIM_AES_H

#include <stdint.h>

/* Two sets of registers: that of the ESP32, and that of all later chips. */
enum { SIM_AES_NONE, SIM_AES_ESP32, SIM_AES_LATER };

struct sim_aes_layout {
  int kind; /* SIM_AES_... */
  uint32_t base;
};

struct sim_aes {
  int kind;
  uint32_t mode, endian;
  uint8_t key[32], in[16], out[16]; /* as in memory */
};

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_aes_read(void *aes, uint32_t offset, uint32_t *value);
int sim_aes_write(void *aes, uint32_t offset, uint32_t value);

#endif
