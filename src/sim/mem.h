/* mem.h - sparse memory: 4 KiB pages that come into being when something other than zero is written. */
#ifndef SIM_MEM_H
#define SIM_MEM_H

#include <stddef.h>
#include <stdint.h>

enum { SIM_PAGE = 4096, SIM_MEM_PAGES = 8192 }; /* at most 32 MiB of written memory */

struct sim_mem {
  struct sim_mem_slot *slot; /* open addressing, slots is a power of two */
  size_t slots, used;
};

void sim_mem_free(struct sim_mem *m); /* drops all content; m can be used again */

/* The page that holds addr (SIM_PAGE bytes), or NULL: reads as zero, or no room when create is set. */
uint8_t *sim_mem_page(struct sim_mem *m, uint32_t addr, int create);

/* One page after the other: *at is 0 at first. Returns 0 when there are no more. */
int sim_mem_next(const struct sim_mem *m, size_t *at, uint32_t *addr);

uint32_t sim_mem_read32(const struct sim_mem *m, uint32_t addr);
void sim_mem_write32(struct sim_mem *m, uint32_t addr, uint32_t value);
void sim_mem_read(const struct sim_mem *m, uint32_t addr, uint8_t *out, size_t n);
void sim_mem_write(struct sim_mem *m, uint32_t addr, const uint8_t *data, size_t n);

#endif
