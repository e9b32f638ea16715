/* cache.c - the window onto flash. Source: Technical Reference Manuals, "System and Memory", "External
 * Memory".
 *
 * A page of the window is filled from flash when it is first touched, and stays as it was until the table is
 * written or the cache is told to forget. */
#include "sim/cache.h"

#include "sim/chip.h"

#include <string.h>

void sim_cache_reset(struct sim_cache *k) {
  const struct sim_cache_layout *l = &k->chip->config.machine.cache;
  k->at = 0;
  for (int i = 0; i < SIM_CACHE_ENTRIES; i++)
    k->entry[i] = l->valid & ~l->valid_value;
}

int sim_cache_where(const struct sim_chip *c, uint32_t addr, uint32_t *flash, int *encrypted) {
  const struct sim_cache_layout *l = &c->config.machine.cache;
  if (!l->kind || !l->page || !l->entries)
    return 0;
  uint32_t at = addr / l->page % l->entries;
  for (int i = 0; i < SIM_CACHE_WINDOWS; i++)
    if (l->first[i] && addr >= l->first[i])
      at = l->first_entry[i] + (addr - l->first[i]) / l->page;
  if (at >= l->entries)
    return 0;
  uint32_t e = c->machine.cache.entry[at % SIM_CACHE_ENTRIES];
  if ((e & l->valid) != l->valid_value)
    return 0;
  *encrypted = !l->encrypted || e & l->encrypted;
  *flash = (e & l->page_mask) * l->page + addr % l->page;
  return 1;
}

void sim_cache_invalidate(struct sim_chip *c) {
  for (int i = 0; i < c->bus.regions && c->core.bus; i++) {
    const struct sim_region *r = &c->bus.region[i];
    if (r->kind == SIM_MAPPED_FLASH)
      cpu_bus_unmap(c->core.bus, r->first, r->last - r->first + 1);
  }
}

static uint32_t *named(struct sim_cache *k, uint32_t offset) {
  const struct sim_cache_layout *l = &k->chip->config.machine.cache;
  if (l->kind == SIM_CACHE_TABLE)
    return offset / 4 < l->entries && offset / 4 < SIM_CACHE_ENTRIES ? &k->entry[offset / 4] : NULL;
  if (offset == l->index)
    return &k->at;
  return offset == l->content ? &k->entry[k->at % SIM_CACHE_ENTRIES] : NULL;
}

int sim_cache_read(void *ctx, uint32_t offset, uint32_t *value) {
  uint32_t *r = named(ctx, offset);
  if (r)
    *value = *r;
  return r != NULL;
}

int sim_cache_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_cache *k = ctx;
  uint32_t *r = named(k, offset);
  if (!r)
    return 0;
  if (*r != value && r != &k->at) {
    *r = value;
    sim_cache_invalidate(k->chip);
  }
  *r = value;
  return 1;
}
