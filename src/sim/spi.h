/* spi.h - the SPI controller that the flash hangs on (SPI1): user-defined and ready-made flash commands. */
#ifndef SIM_SPI_H
#define SIM_SPI_H

#include "sim/crypt.h"
#include "sim/nor.h"

struct sim_spi_layout {
  uint32_t base;
  uint32_t usr, usr1, usr2;      /* offsets of registers */
  uint32_t mosi_dlen, miso_dlen; /* 0: the lengths are fields of usr1 (ESP8266) */
  uint32_t w0;                   /* first of 16 data words */
  int addr_msb;                  /* the address register is sent from its top bit on */
  uint32_t status;               /* what the ready-made commands read of and write to the status register */
  int dual;                      /* how the line D comes back, and whether the flash uses it */
};

enum { SIM_DUAL_GOOD, SIM_DUAL_HIGH, SIM_DUAL_LOW, SIM_DUAL_AS_Q, SIM_DUAL_UNKNOWN };

struct sim_spi {
  struct sim_spi_layout at;
  struct sim_nor *nor;
  struct sim_crypt *crypt; /* encrypts what is programmed, when asked to */
  uint32_t addr, ctrl, usr, usr1, usr2, mosi_dlen, miso_dlen, status;
  uint32_t w[16];
  int timing; /* commands take their time: busy_until, on the clock of nor */
  double busy_until;
};

void sim_spi_init(struct sim_spi *spi, const struct sim_spi_layout *at, struct sim_nor *nor,
                  struct sim_crypt *crypt);

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_spi_read(void *spi, uint32_t offset, uint32_t *value);
int sim_spi_write(void *spi, uint32_t offset, uint32_t value);

#endif
