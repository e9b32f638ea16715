/* nor.h - a serial NOR flash as it looks over its SPI lines: opcodes, status registers, identification. */
#ifndef SIM_NOR_H
#define SIM_NOR_H

#include "sim/flash.h"

struct sim_nor {
  struct sim_flash *flash;
  const int *connected; /* whether its pins are switched to it */
  uint8_t id[3];        /* manufacturer, type, capacity */
  uint8_t status[3];    /* what 05h, 35h and 15h read */
  int write_enabled;    /* 06h, or 50h for the status registers */
  int powered_down;     /* B9h: only ABh is heard */
  int reset_armed;      /* 66h came just before */
  const double *now;    /* a clock, in seconds */
  int timing;           /* erasing and programming take their time on it */
  double busy_until;
  int addr4; /* B7h: four address bytes by default */
};

void sim_nor_init(struct sim_nor *nor, struct sim_flash *flash, uint32_t id, const int *connected,
                  const double *now);

/* One command with chip select low: opcode, address (addr_bytes of it sent, 0: none), ntx bytes out, then
 * nrx bytes in. */
void sim_nor_command(struct sim_nor *nor, uint8_t opcode, uint32_t addr, int addr_bytes, const uint8_t *tx,
                     size_t ntx, uint8_t *rx, size_t nrx);

/* On how many lines the answer to a command comes, and how many clocks after the address; 0 lines: those that
 * also take the address on several lines, which nobody has looked into. */
int sim_nor_lines(uint8_t opcode, unsigned *wait);

#endif
