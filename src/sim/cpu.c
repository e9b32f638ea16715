/* cpu.c - what the processors share: the run loop around their own, the decode cache, reports. */
#include "sim/cpu.h"

#include <stdlib.h>

enum { NO_PAGE = 1, NO_TAG = -1 }; /* neither a page's address nor a tag can be this */

static void forget(struct cpu *c, uint32_t tag) {
  struct cpu_insn *i = cpu_slot(c, tag);
  if (i->tag == tag)
    i->tag = (uint32_t)NO_TAG;
}

/* An instruction may begin up to three bytes before the first byte that changed. */
static void changed(void *ctx, uint32_t first, uint32_t n) {
  struct cpu *c = ctx;
  if (n > CPU_CACHE_SIZE) {
    cpu_flush(c);
    return;
  }
  for (uint32_t tag = first - 3; tag != first + n; tag++)
    forget(c, tag);
}

bool cpu_init(struct cpu *c, const struct cpu_ops *ops, struct cpu_bus *bus) {
  c->ops = ops;
  c->bus = bus;
  c->cache = malloc(CPU_CACHE_SIZE * sizeof *c->cache);
  if (!c->cache || !cpu_bus_attach(bus, (struct cpu_bus_cache){changed, c})) {
    free(c->cache);
    return false;
  }
  cpu_flush(c);
  cpu_reset(c);
  return true;
}

void cpu_free(struct cpu *c) {
  if (!c)
    return;
  cpu_bus_detach(c->bus, c);
  free(c->cache);
  free(c);
}

void cpu_flush(struct cpu *c) {
  memset(c->cache, 0xFF, CPU_CACHE_SIZE * sizeof *c->cache); /* every tag is NO_TAG */
  c->fetch_page = NO_PAGE;
  c->epoch = c->bus->epoch;
}

/* The map has changed. Instructions are kept by the memory that they are in, so they stay; but what lies
 * across the end of a page may go on elsewhere now. */
static void follow_map(struct cpu *c) {
  const size_t per_page = CPU_PAGE / 2;
  for (size_t i = per_page - 2; i < CPU_CACHE_SIZE; i += per_page)
    c->cache[i].tag = c->cache[i + 1].tag = (uint32_t)NO_TAG;
  c->fetch_page = NO_PAGE;
  c->epoch = c->bus->epoch;
}

void cpu_reset(struct cpu *c) {
  c->waiting = false;
  c->stopped = false;
  c->raised = 0;
  c->fault = (struct cpu_fault){0};
  c->limit = 0;
  c->ops->reset(c);
}

void cpu_stop(struct cpu *c, enum cpu_stop why) {
  if (c->stopped && c->stop == CPU_FAULT)
    return;
  c->stopped = true;
  c->stop = why;
  c->limit = 0;
}

void cpu_stop_fault(struct cpu *c, enum cpu_fault_code code, int bus_error, uint32_t address) {
  c->fault = (struct cpu_fault){code, (enum cpu_bus_error)bus_error, address, c->at};
  c->pc = c->at;
  cpu_stop(c, CPU_FAULT);
}

/* One stretch, until something has to be looked at. */
static void stretch(struct cpu *c, uint64_t end) {
  if (c->epoch != c->bus->epoch)
    follow_map(c);
  if (c->ops->interrupt(c))
    c->waiting = false;
  if (c->waiting) {
    cpu_stop(c, CPU_IDLE);
    return;
  }
  uint64_t event = c->ops->next_event(c);
  c->limit = end < event ? end : event;
  if (c->hook) {
    c->hook(c->hook_ctx, c);
    if (c->limit)
      c->limit = c->cycles + 1;
  }
  c->ops->run(c);
}

enum cpu_stop cpu_run(struct cpu *c, uint64_t instructions) {
  uint64_t end = instructions > UINT64_MAX - c->cycles ? UINT64_MAX : c->cycles + instructions;
  c->stopped = false;
  c->stop = CPU_BUDGET;
  c->fault = (struct cpu_fault){0};
  c->bus->yield = false;
  while (!c->stopped && c->cycles < end) {
    stretch(c, end);
    if (c->bus->yield && !c->stopped)
      cpu_stop(c, CPU_YIELD);
  }
  return c->stop;
}

void cpu_lines(struct cpu *c, uint32_t lines) {
  if (c->lines != lines) {
    c->raised |= lines & ~c->lines;
    c->lines = lines;
    cpu_look(c);
  }
}

uint64_t cpu_next_event(const struct cpu *c) {
  return c->ops->next_event(c);
}

/* After a peripheral was called: it may have changed the map, raised an interrupt or asked to stop. */
static void after_device(struct cpu *c) {
  if (c->bus->yield || c->bus->epoch != c->epoch)
    cpu_look(c);
}

static bool is_memory(struct cpu *c, uint32_t address, unsigned width) {
  uint8_t byte; /* looking at it maps a page that was not touched yet */
  return cpu_bus_peek(c->bus, address, &byte, 1) == 1 &&
         cpu_bus_peek(c->bus, address + width - 1, &byte, 1) == 1;
}

int cpu_load_slow(struct cpu *c, uint32_t address, unsigned width, bool unaligned, uint32_t *value) {
  if (!(address & (width - 1)) || !unaligned || !is_memory(c, address, width)) {
    int error = cpu_bus_load(c->bus, address, width, value);
    after_device(c);
    return error;
  }
  uint32_t v = 0;
  for (unsigned i = 0; i < width; i++) {
    uint32_t byte;
    int error = cpu_bus_load(c->bus, address + i, 1, &byte);
    if (error)
      return error;
    v |= byte << 8 * i;
  }
  *value = v;
  return CPU_BUS_OK;
}

int cpu_store_slow(struct cpu *c, uint32_t address, unsigned width, bool unaligned, uint32_t value) {
  if (!(address & (width - 1)) || !unaligned || !is_memory(c, address, width)) {
    int error = cpu_bus_store(c->bus, address, width, value);
    after_device(c);
    return error;
  }
  /* The last byte first: when the second page refuses, nothing was written. */
  for (unsigned i = width; i-- > 0;) {
    int error = cpu_bus_store(c->bus, address + i, 1, value >> 8 * i & 0xFF);
    if (error)
      return error;
  }
  return CPU_BUS_OK;
}

enum cpu_fault_code cpu_fault_of(int bus_error, bool write) {
  switch (bus_error) {
  case CPU_BUS_E_ALIGN:
    return CPU_FAULT_ALIGN;
  case CPU_BUS_E_WIDTH:
    return CPU_FAULT_WIDTH;
  case CPU_BUS_E_DEVICE:
    return CPU_FAULT_DEVICE;
  default:
    return write ? CPU_FAULT_WRITE : CPU_FAULT_READ;
  }
}

int cpu_enter(struct cpu *c, uint32_t pc) {
  uint8_t byte;
  c->fetch_page = NO_PAGE;
  if (cpu_bus_peek(c->bus, pc, &byte, 1) != 1)
    return cpu_bus_page(c->bus, pc)->device ? CPU_BUS_E_DENIED : CPU_BUS_E_UNMAPPED;
  const struct cpu_page *p = cpu_bus_page(c->bus, pc);
  if (!(p->can & CPU_CAN_EXEC))
    return CPU_BUS_E_DENIED;
  c->fetch_page = pc & ~(uint32_t)(CPU_PAGE - 1);
  c->fetch_delta = (p->frame << CPU_PAGE_BITS) - c->fetch_page;
  return CPU_BUS_OK;
}

size_t cpu_fetch(struct cpu *c, uint32_t pc, uint8_t *out, size_t room) {
  size_t n = 0;
  for (; n < room; n++) {
    if (cpu_bus_peek(c->bus, pc + (uint32_t)n, out + n, 1) != 1)
      break;
    const struct cpu_page *p = cpu_bus_page(c->bus, pc + (uint32_t)n);
    if (!(p->can & CPU_CAN_EXEC))
      break;
    c->bus->executed[p->frame] = 1;
  }
  return n;
}

int cpu_find(const struct cpu *c, const char *name) {
  return strcmp(name, "pc") == 0 ? CPU_REG_PC : c->ops->find(name);
}

const char *cpu_reg_name(const struct cpu *c, int reg) {
  return reg == CPU_REG_PC ? "pc" : c->ops->reg_name(reg);
}

uint32_t cpu_get(const struct cpu *c, int reg) {
  return reg == CPU_REG_PC ? c->pc : c->ops->get(c, reg);
}

void cpu_set(struct cpu *c, int reg, uint32_t value) {
  if (reg == CPU_REG_PC) {
    c->pc = value;
    c->waiting = false;
  } else {
    c->ops->set(c, reg, value);
  }
}
