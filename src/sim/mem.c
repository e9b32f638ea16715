/* mem.c - sparse memory. */
#include "sim/mem.h"

#include <stdlib.h>
#include <string.h>

struct sim_mem_slot {
  uint32_t page; /* number of the page + 1; 0: the slot is free */
  uint8_t *data;
};

void sim_mem_free(struct sim_mem *m) {
  for (size_t i = 0; i < m->slots; i++)
    free(m->slot[i].data);
  free(m->slot);
  memset(m, 0, sizeof *m);
}

static struct sim_mem_slot *find(const struct sim_mem *m, uint32_t page) {
  for (size_t i = (page * 2654435761u) & (m->slots - 1);; i = (i + 1) & (m->slots - 1))
    if (m->slot[i].page == 0 || m->slot[i].page == page)
      return &m->slot[i];
}

static int grow(struct sim_mem *m) {
  struct sim_mem bigger = {.slots = m->slots ? m->slots * 2 : 64, .used = m->used};
  bigger.slot = calloc(bigger.slots, sizeof *bigger.slot);
  if (!bigger.slot)
    return -1;
  for (size_t i = 0; i < m->slots; i++)
    if (m->slot[i].page)
      *find(&bigger, m->slot[i].page) = m->slot[i];
  free(m->slot);
  *m = bigger;
  return 0;
}

uint8_t *sim_mem_page(struct sim_mem *m, uint32_t addr, int create) {
  uint32_t page = addr / SIM_PAGE + 1;
  struct sim_mem_slot *s = m->slots ? find(m, page) : NULL;
  if (s && s->page)
    return s->data;
  if (!create || m->used >= SIM_MEM_PAGES)
    return NULL;
  if (m->used * 2 >= m->slots && grow(m) != 0)
    return NULL;
  uint8_t *data = calloc(1, SIM_PAGE);
  if (!data)
    return NULL;
  *find(m, page) = (struct sim_mem_slot){page, data};
  m->used++;
  return data;
}

int sim_mem_next(const struct sim_mem *m, size_t *at, uint32_t *addr) {
  while (*at < m->slots) {
    const struct sim_mem_slot *s = &m->slot[(*at)++];
    if (s->page) {
      *addr = (s->page - 1) * SIM_PAGE;
      return 1;
    }
  }
  return 0;
}

void sim_mem_read(const struct sim_mem *m, uint32_t addr, uint8_t *out, size_t n) {
  while (n > 0) {
    size_t at = addr % SIM_PAGE, part = SIM_PAGE - at < n ? SIM_PAGE - at : n;
    const uint8_t *page = sim_mem_page((struct sim_mem *)m, addr, 0);
    if (page)
      memcpy(out, page + at, part);
    else
      memset(out, 0, part);
    out += part, n -= part, addr += (uint32_t)part;
  }
}

void sim_mem_write(struct sim_mem *m, uint32_t addr, const uint8_t *data, size_t n) {
  while (n > 0) {
    size_t at = addr % SIM_PAGE, part = SIM_PAGE - at < n ? SIM_PAGE - at : n;
    uint8_t *page = sim_mem_page(m, addr, 1);
    if (page)
      memcpy(page + at, data, part);
    data += part, n -= part, addr += (uint32_t)part;
  }
}

uint32_t sim_mem_read32(const struct sim_mem *m, uint32_t addr) {
  uint8_t b[4];
  sim_mem_read(m, addr, b, 4);
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

void sim_mem_write32(struct sim_mem *m, uint32_t addr, uint32_t value) {
  uint8_t b[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
  if (value != 0 || sim_mem_page(m, addr, 0) || addr % 4)
    sim_mem_write(m, addr, b, 4);
}
