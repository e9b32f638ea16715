/* cpu_bus.h - what a simulated processor sees: memory by pages of the host, peripherals by calls.
 *
 * Memory blocks are made once (by the bus, or around the caller's bytes) and may be mapped at several
 * addresses; all of them see the same bytes, and code that is changed through one of them is noticed
 * through the others. Addresses and sizes of mappings are multiples of CPU_PAGE. A later mapping replaces
 * an earlier one. Nothing here is thread safe: one bus belongs to one thread at a time. */
#ifndef SIM_CPU_BUS_H
#define SIM_CPU_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
  CPU_PAGE_BITS = 12,
  CPU_PAGE = 1 << CPU_PAGE_BITS,
  CPU_BUS_ROOT = 1024,
  CPU_BUS_LEAF = 1024,
  CPU_BUS_CACHES = 4
};

/* What a mapping allows. CPU_BUS_WORDS: only whole aligned words, as the instruction RAM of some chips. */
enum { CPU_BUS_READ = 1, CPU_BUS_WRITE = 2, CPU_BUS_EXEC = 4, CPU_BUS_WORDS = 8 };

enum cpu_bus_error {
  CPU_BUS_OK,
  CPU_BUS_E_UNMAPPED, /* nothing is there */
  CPU_BUS_E_DENIED,   /* something is there, but it is not readable, writable or executable */
  CPU_BUS_E_ALIGN,    /* address is not a multiple of the width */
  CPU_BUS_E_WIDTH,    /* the memory takes whole words only */
  CPU_BUS_E_DEVICE,   /* the peripheral refused */
  CPU_BUS_E_MEMORY    /* the host has no memory left, or the arguments of a mapping are wrong */
};

/* A peripheral. width is 1, 2 or 4 bytes and address a multiple of it. Both return an enum cpu_bus_error. */
struct cpu_bus_device {
  int (*read)(void *ctx, uint32_t address, unsigned width, uint32_t *value);
  int (*write)(void *ctx, uint32_t address, unsigned width, uint32_t value);
  void *ctx;
};

struct cpu_page {
  uint8_t *host;                       /* NULL: a peripheral, or nothing */
  const struct cpu_bus_device *device; /* belongs to the caller */
  uint32_t frame; /* number of the page of memory behind it, the same for every mapping */
  uint32_t can;   /* CPU_CAN_... */
};

enum {
  CPU_CAN_READ = 1,
  CPU_CAN_READ_WORD = 2,
  CPU_CAN_WRITE = 4,
  CPU_CAN_WRITE_WORD = 8,
  CPU_CAN_EXEC = 16
};

/* A decode cache that wants to know when bytes of a page change that was executed from. first is a "physical"
 * address: frame number and offset in the page. */
struct cpu_bus_cache {
  void (*changed)(void *ctx, uint32_t first, uint32_t n);
  void *ctx;
};

struct cpu_bus {
  struct cpu_page *table[CPU_BUS_ROOT]; /* CPU_BUS_LEAF pages each; unused ones share a blank table */
  struct cpu_page *blank;
  uint8_t *executed; /* per frame: code was decoded from it */
  uint32_t frames, frames_max;
  void **owned; /* memory made by the bus */
  size_t owned_n;
  struct cpu_bus_cache cache[CPU_BUS_CACHES];
  int caches;
  uint32_t epoch; /* counts changes of the map */
  bool yield;     /* a peripheral asks the processor to stop after this instruction */
  /* Called once when an access finds no mapping; may map something there and return true. Optional. */
  bool (*miss)(void *ctx, struct cpu_bus *b, uint32_t address);
  void *miss_ctx;
};

/* NULL when there is no memory. */
struct cpu_bus *cpu_bus_new(void);
void cpu_bus_free(struct cpu_bus *b);

/* A block of memory: size is a multiple of CPU_PAGE. host NULL: the bus makes it, zeroed, and frees it with
 * itself; otherwise the caller's bytes, which outlive the bus. Returns an error; *block describes it for
 * cpu_bus_map. */
struct cpu_block {
  uint8_t *host;
  uint32_t size, frame;
};
int cpu_bus_block(struct cpu_bus *b, struct cpu_block *block, uint8_t *host, uint32_t size);

/* Maps size bytes of block from offset on at address. */
int cpu_bus_map(struct cpu_bus *b, uint32_t address, const struct cpu_block *block, uint32_t offset,
                uint32_t size, unsigned allow);
int cpu_bus_map_device(struct cpu_bus *b, uint32_t address, uint32_t size,
                       const struct cpu_bus_device *device);
/* The frame of a page stays to be found, for the caller who maps the same memory there again. */
void cpu_bus_unmap(struct cpu_bus *b, uint32_t address, uint32_t size);

/* Tells the decode caches that the caller changed n bytes of a block itself. */
void cpu_bus_touched(struct cpu_bus *b, const struct cpu_block *block, uint32_t offset, uint32_t n);

/* For loaders, DMA and debuggers: memory only, whatever it allows. Returns how many bytes were copied before
 * the first one that is no memory. */
size_t cpu_bus_peek(struct cpu_bus *b, uint32_t address, void *out, size_t n);
size_t cpu_bus_poke(struct cpu_bus *b, uint32_t address, const void *data, size_t n);

/* Registers a decode cache; false when there are too many. */
bool cpu_bus_attach(struct cpu_bus *b, struct cpu_bus_cache cache);
void cpu_bus_detach(struct cpu_bus *b, const void *ctx);

/* From a peripheral's callback: let the processor stop after the instruction that is under way. */
static inline void cpu_bus_yield(struct cpu_bus *b) {
  b->yield = true;
}

/* One access of width 1, 2 or 4 bytes with all checks. The value is zero extended. */
int cpu_bus_load(struct cpu_bus *b, uint32_t address, unsigned width, uint32_t *value);
int cpu_bus_store(struct cpu_bus *b, uint32_t address, unsigned width, uint32_t value);

static inline const struct cpu_page *cpu_bus_page(const struct cpu_bus *b, uint32_t address) {
  return &b->table[address >> (CPU_PAGE_BITS + 10)][(address >> CPU_PAGE_BITS) & 1023];
}

static inline uint32_t cpu_get_le(const uint8_t *p, unsigned width) {
  uint32_t v = p[0];
  if (width > 1)
    v |= (uint32_t)p[1] << 8;
  if (width > 2)
    v |= (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  return v;
}

static inline void cpu_put_le(uint8_t *p, unsigned width, uint32_t v) {
  p[0] = (uint8_t)v;
  if (width > 1)
    p[1] = (uint8_t)(v >> 8);
  if (width > 2) {
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
  }
}

/* The short way for aligned accesses to memory; false: take cpu_bus_load or cpu_bus_store. */
static inline bool cpu_bus_fast_load(const struct cpu_bus *b, uint32_t address, unsigned width,
                                     uint32_t *value) {
  const struct cpu_page *p = cpu_bus_page(b, address);
  uint32_t at = address & (CPU_PAGE - 1);
  if ((address & (width - 1)) || !(p->can & (width == 4 ? CPU_CAN_READ_WORD : CPU_CAN_READ)))
    return false;
  *value = cpu_get_le(p->host + at, width);
  return true;
}

static inline bool cpu_bus_fast_store(const struct cpu_bus *b, uint32_t address, unsigned width,
                                      uint32_t value) {
  const struct cpu_page *p = cpu_bus_page(b, address);
  uint32_t at = address & (CPU_PAGE - 1);
  if ((address & (width - 1)) || !(p->can & (width == 4 ? CPU_CAN_WRITE_WORD : CPU_CAN_WRITE)) ||
      b->executed[p->frame])
    return false;
  cpu_put_le(p->host + at, width, value);
  return true;
}

#endif
