/* spi2.h - a general-purpose SPI controller (GP-SPI2), to whose pins a serial NAND flash may be wired. */
#ifndef SIM_SPI2_H
#define SIM_SPI2_H

#include "sim/bus.h"
#include "sim/nand.h"

enum { SIM_SPI2_CLK, SIM_SPI2_Q, SIM_SPI2_D, SIM_SPI2_HD, SIM_SPI2_CS, SIM_SPI2_PINS };

struct sim_spi2_layout {
  uint32_t base;              /* 0: the chip has none that we know of */
  uint32_t clock, reset, bit; /* registers that clock it and hold it in reset, and which bit of them */
  uint32_t io_mux;            /* register of pin 0 */
  uint32_t in_sel, out_sel;   /* of the GPIO matrix: registers of input signal 0 and of pin 0 */
  uint32_t native;            /* function of a pin that is the controller's own */
  uint32_t native_pin[SIM_SPI2_PINS]; /* those pins */
  uint32_t signal[SIM_SPI2_PINS];     /* in the matrix */
  uint32_t pin[SIM_SPI2_PINS];        /* where the part is wired to */
};

struct sim_spi2 {
  struct sim_spi2_layout at;
  struct sim_bus *bus; /* where the pins are set up */
  struct sim_nand *nand;
  uint32_t reg[64], used[64]; /* as written; as the controller knows them since the last UPDATE */
};

void sim_spi2_reset(struct sim_spi2 *s);
int sim_spi2_read(void *spi, uint32_t offset, uint32_t *value);
int sim_spi2_write(void *spi, uint32_t offset, uint32_t value);

#endif
