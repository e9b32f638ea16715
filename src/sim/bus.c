/* bus.c - the address space of the chip. */
#include "sim/bus.h"

#include <assert.h>
#include <string.h>

void sim_bus_free(struct sim_bus *b) {
  sim_mem_free(&b->mem);
}

void sim_bus_attach(struct sim_bus *b, struct sim_dev dev) {
  assert(b->devs < SIM_BUS_DEVS);
  b->dev[b->devs++] = dev;
}

static struct sim_dev *device_at(struct sim_bus *b, uint32_t addr) {
  for (int i = 0; i < b->devs; i++)
    if (addr - b->dev[i].base < b->dev[i].size)
      return &b->dev[i];
  return NULL;
}

const struct sim_region *sim_bus_region(const struct sim_bus *b, uint32_t addr) {
  for (int i = 0; i < b->regions; i++)
    if (addr >= b->region[i].first && addr <= b->region[i].last)
      return &b->region[i];
  return NULL;
}

uint32_t sim_bus_home(const struct sim_bus *b, uint32_t addr) {
  for (int i = 0; i < b->aliases; i++)
    if (addr >= b->alias[i].first && addr <= b->alias[i].last)
      return addr - b->alias[i].first + b->alias[i].home;
  return addr;
}

static int read_only(const struct sim_bus *b, uint32_t addr) {
  const struct sim_region *r = sim_bus_region(b, addr);
  return r && (r->kind == SIM_ROM || r->kind == SIM_MAPPED_FLASH);
}

int sim_bus_device_read(struct sim_bus *b, uint32_t addr, uint32_t *value) {
  struct sim_dev *d = device_at(b, addr);
  return d && d->read && d->read(d->ctx, addr - d->base, value);
}

int sim_bus_device_write(struct sim_bus *b, uint32_t addr, uint32_t value) {
  struct sim_dev *d = device_at(b, addr);
  return d && d->write && d->write(d->ctx, addr - d->base, value);
}

uint32_t sim_bus_read(struct sim_bus *b, uint32_t addr) {
  uint32_t value;
  if (sim_bus_device_read(b, addr, &value))
    return value;
  return sim_mem_read32(&b->mem, sim_bus_home(b, addr));
}

void sim_bus_write(struct sim_bus *b, uint32_t addr, uint32_t value) {
  if (sim_bus_device_write(b, addr, value))
    return;
  if (!read_only(b, addr))
    sim_mem_write32(&b->mem, sim_bus_home(b, addr), value);
}

void sim_bus_preset(struct sim_bus *b, uint32_t addr, uint32_t value) {
  sim_mem_write32(&b->mem, sim_bus_home(b, addr), value);
}

void sim_bus_store(struct sim_bus *b, uint32_t addr, const uint8_t *data, size_t n) {
  while (n > 0) {
    size_t room = SIM_PAGE - addr % SIM_PAGE, part = room < n ? room : n;
    if (!read_only(b, addr))
      sim_mem_write(&b->mem, sim_bus_home(b, addr), data, part);
    data += part, n -= part, addr += (uint32_t)part;
  }
}

void sim_bus_fetch(struct sim_bus *b, uint32_t addr, uint8_t *out, size_t n) {
  while (n > 0) {
    size_t room = SIM_PAGE - addr % SIM_PAGE, part = room < n ? room : n;
    sim_mem_read(&b->mem, sim_bus_home(b, addr), out, part);
    out += part, n -= part, addr += (uint32_t)part;
  }
}
