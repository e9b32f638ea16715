// sources: src/sim/nand.c src/sim/spi2.c src/sim/flash.c src/sim/bus.c src/sim/mem.c
/* fuzz_nand.c - any commands to the simulated NAND flash, directly and by writing to the controller's
 * registers. */
#include "sim/spi2.h"

#include <stdlib.h>
#include <string.h>

enum { SPI2 = 0x60024000, SYSTEM = 0x600C0000, MUX = 0x60009004, GPIO = 0x60004000 };

static const struct sim_spi2_layout layout = {.base = SPI2,
                                              .clock = SYSTEM + 0x18,
                                              .reset = SYSTEM + 0x20,
                                              .bit = 6,
                                              .io_mux = MUX,
                                              .in_sel = GPIO + 0x154,
                                              .out_sel = GPIO + 0x554,
                                              .native = 4,
                                              .native_pin = {12, 13, 11, 9, 10},
                                              .signal = {101, 102, 103, 104, 110},
                                              .pin = {12, 13, 11, 9, 10}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct sim_nand_fault faults[] = {{SIM_NAND_BAD, 1},           {SIM_NAND_PROGRAM_FAILS, 3},
                                                 {SIM_NAND_ERASE_FAILS, 0},   {SIM_NAND_CORRECTED, 4},
                                                 {SIM_NAND_UNCORRECTABLE, 5}, {SIM_NAND_SILENTLY_FAILS, 6}};
  static const uint8_t offsets[] = {0x04, 0x10, 0x14, 0x18, 0x1C, 0x98, 0xE8, 0x00};
  char error[80];
  double now = 0;
  struct sim_bus *bus = calloc(1, sizeof *bus);
  struct sim_nand *nand = calloc(1, sizeof *nand);
  struct sim_spi2 spi = {.at = layout, .bus = bus, .nand = nand};
  if (!bus || !nand || sim_nand_open(nand, NULL, faults, 6, &now, error, sizeof error) != 0)
    abort();
  bus->region[0] = (struct sim_region){0x60000000, 0x600FFFFF, SIM_REGISTERS};
  bus->regions = 1;
  sim_spi2_reset(&spi);
  sim_bus_write(bus, layout.clock, 0x40);
  for (int i = 0; i < SIM_SPI2_PINS; i++)
    sim_bus_write(bus, MUX + 4 * layout.pin[i], 4u << 12 | 1u << 9);
  sim_spi2_write(&spi, 0xE8, 3);
  nand->timing = size > 0 && data[0] & 1;
  while (size >= 6) {
    uint8_t tx[80], rx[64];
    uint32_t value;
    size_t n = data[0] & 63, back = data[1] & 63;
    now += data[1] / 4096.0;
    if (data[0] & 0x80) {
      memcpy(&value, data + 2, sizeof value);
      if (offsets[data[0] & 7] == 0)
        value |= 0x01800000;
      sim_spi2_write(&spi, offsets[data[0] & 7], value);
      sim_spi2_read(&spi, data[1] & 0xFC, &value);
      n = 4;
    } else {
      if (n > size - 2)
        n = size - 2;
      memcpy(tx, data + 2, n);
      sim_nand_command(nand, tx, n, rx, back);
    }
    data += 2 + n;
    size -= 2 + n;
  }
  sim_nand_close(nand);
  sim_nand_close(nand);
  sim_bus_free(bus);
  free(nand);
  free(bus);
  return 0;
}
