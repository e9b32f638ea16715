/* bus.h - the address space of the chip: peripherals, memory, and plain storage for every other register. */
#ifndef SIM_BUS_H
#define SIM_BUS_H

#include "sim/mem.h"

/* A peripheral. read and write return 0 for an offset that they do not model; it is then plain storage. */
struct sim_dev {
  uint32_t base, size;
  int (*read)(void *ctx, uint32_t offset, uint32_t *value);
  int (*write)(void *ctx, uint32_t offset, uint32_t value);
  void *ctx;
};

/* SIM_RAM_WORDS: the processor reads and writes whole words there; SIM_REGISTERS: peripherals, modelled or
 * not. */
enum { SIM_RAM, SIM_ROM, SIM_MAPPED_FLASH, SIM_RAM_WORDS, SIM_REGISTERS };

struct sim_region {
  uint32_t first, last; /* addresses; last is inside */
  int kind;
};

/* The same memory at a second address. */
struct sim_alias {
  uint32_t first, last; /* addresses; last is inside */
  uint32_t home;        /* where first really is; a multiple of SIM_PAGE, like first */
};

enum { SIM_BUS_DEVS = 48, SIM_BUS_REGIONS = 48, SIM_BUS_ALIASES = 8 };

struct sim_bus {
  struct sim_dev dev[SIM_BUS_DEVS];
  int devs;
  struct sim_region region[SIM_BUS_REGIONS];
  int regions;
  struct sim_alias alias[SIM_BUS_ALIASES];
  int aliases;
  struct sim_mem mem;
};

void sim_bus_free(struct sim_bus *b);
void sim_bus_attach(struct sim_bus *b, struct sim_dev dev);

/* Words. What is neither a peripheral nor read-only keeps what was written; the rest reads as zero. */
uint32_t sim_bus_read(struct sim_bus *b, uint32_t addr);
void sim_bus_write(struct sim_bus *b, uint32_t addr, uint32_t value);

/* The same, for peripherals only: 0 when none of them knows the address. */
int sim_bus_device_read(struct sim_bus *b, uint32_t addr, uint32_t *value);
int sim_bus_device_write(struct sim_bus *b, uint32_t addr, uint32_t value);

/* Sets a word also where software cannot write (ROM constants, read-only registers). */
void sim_bus_preset(struct sim_bus *b, uint32_t addr, uint32_t value);

/* Copies bytes into memory, past the peripherals; read-only regions stay as they are. */
void sim_bus_store(struct sim_bus *b, uint32_t addr, const uint8_t *data, size_t n);

/* Copies bytes out of memory, past the peripherals; zeros where there is none. */
void sim_bus_fetch(struct sim_bus *b, uint32_t addr, uint8_t *out, size_t n);

/* The address under which memory is kept. */
uint32_t sim_bus_home(const struct sim_bus *b, uint32_t addr);

/* The region that holds addr, or NULL. */
const struct sim_region *sim_bus_region(const struct sim_bus *b, uint32_t addr);

#endif
