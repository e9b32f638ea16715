/* machine.c - a chip that runs its own mask ROM: loading it, and what a reset leaves behind. */
#include "sim/machine.h"

#include "sim/chip.h"
#include "sim/uart_fifo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 16 << 20 };
enum { TICK = 2000, LATENCY = 12 }; /* instructions */

static int is_rom(void *ctx, uint32_t addr) {
  struct sim_chip *c = ctx;
  const struct sim_region *r = sim_bus_region(&c->bus, addr);
  return r && r->kind == SIM_ROM;
}

static uint8_t *read_all(const char *path, size_t *n, char *error, size_t error_size) {
  FILE *f = fopen(path, "rb");
  uint8_t *data = NULL;
  *n = 0;
  struct stat st;
  if (!f || fstat(fileno(f), &st) != 0 || S_ISDIR(st.st_mode)) {
    snprintf(error, error_size, "ROM file %s: %s", path, f ? "is no file" : strerror(errno));
    if (f)
      fclose(f);
    return NULL;
  }
  if (fseek(f, 0, SEEK_END) == 0) {
    long size = ftell(f);
    rewind(f);
    if (size < 0 || size > FILE_MAX)
      snprintf(error, error_size, "ROM file %s: is no ROM image, it is too large", path);
    else if (!(data = malloc(size > 0 ? (size_t)size : 1)))
      snprintf(error, error_size, "ROM file %s: no memory", path);
    else if ((*n = fread(data, 1, (size_t)size, f)) != (size_t)size) {
      snprintf(error, error_size, "ROM file %s: cannot be read", path);
      free(data);
      data = NULL;
    }
  } else {
    snprintf(error, error_size, "ROM file %s: %s", path, strerror(errno));
  }
  fclose(f);
  return data;
}

int sim_machine_load(struct sim_chip *c, const char *path, char *error, size_t error_size) {
  struct sim_machine *m = &c->machine;
  const struct sim_machine_layout *l = &c->config.machine;
  char why[160];
  int found;
  m->file = read_all(path, &m->size, error, error_size);
  if (!m->file)
    return -1;
  if (sim_elf_parse(m->file, m->size, l->elf, is_rom, c, &m->elf, why, sizeof why) != 0) {
    snprintf(error, error_size, "ROM file %s: %s", path, why);
    return -1;
  }
  uint32_t id = sim_elf_word(&m->elf, m->file, l->id_addr, &found);
  if (!found || id != l->id_value) {
    snprintf(error, error_size,
             "ROM file %s: is that of another chip (0x%08x at 0x%08x, this chip's has 0x%08x)", path,
             (unsigned)id, (unsigned)l->id_addr, (unsigned)l->id_value);
    return -1;
  }
  m->on = 1;
  c->efuse.shows_busy = 1;
  return 0;
}

void sim_machine_free(struct sim_chip *c) {
  free(c->machine.file);
  c->machine.file = NULL;
}

const struct sim_register *sim_machine_register(const struct sim_chip *c, uint32_t addr) {
  const struct sim_machine_layout *l = &c->config.machine;
  int low = 0, high = l->regs;
  while (low < high) {
    int middle = (low + high) / 2;
    if (l->reg[middle].addr < addr)
      low = middle + 1;
    else
      high = middle;
  }
  return low < l->regs && l->reg[low].addr == addr ? &l->reg[low] : NULL;
}

void sim_machine_note(struct sim_chip *c, uint32_t addr, int write, uint32_t value) {
  struct sim_machine *m = &c->machine;
  struct sim_unmodelled *u = NULL;
  for (int i = 0; i < m->seen_n && !u; i++)
    if (m->seen[i].addr == addr)
      u = &m->seen[i];
  if (!u && m->seen_n < SIM_UNMODELLED) {
    u = &m->seen[m->seen_n++];
    *u = (struct sim_unmodelled){.addr = addr, .pc = c->core.cpu ? c->core.cpu->at : 0};
  }
  if (!u)
    return;
  if (write)
    u->writes++, u->value = value;
  else
    u->reads++;
}

/* A reset by software leaves the domain that is always on as it is. */
static int keeps(int cause) {
  return cause != SIM_RST_POWER_ON && cause != SIM_RST_EXTERNAL && cause != SIM_RST_WATCHDOG;
}

void sim_machine_keep(struct sim_chip *c, int cause, uint32_t *to) {
  const struct sim_machine_layout *l = &c->config.machine;
  for (int i = 0; i < l->regs && keeps(cause); i++)
    to[i] = l->reg[i].keep ? sim_mem_read32(&c->bus.mem, l->reg[i].addr) : 0;
}

void sim_machine_restore(struct sim_chip *c, int cause, const uint32_t *from) {
  const struct sim_machine_layout *l = &c->config.machine;
  for (int i = 0; i < l->regs; i++)
    sim_bus_preset(&c->bus, l->reg[i].addr, l->reg[i].keep && keeps(cause) ? from[i] : l->reg[i].reset);
}

void sim_machine_reset(struct sim_chip *c, int cause, int mode) {
  struct sim_machine *m = &c->machine;
  const struct sim_machine_layout *l = &c->config.machine;
  for (int i = 0; i < m->elf.parts; i++)
    sim_mem_write(&c->bus.mem, sim_bus_home(&c->bus, m->elf.part[i].addr), m->file + m->elf.part[i].offset,
                  m->elf.part[i].size);
  if (l->cause_addr) {
    uint32_t mask = ((1u << l->cause_width) - 1) << l->cause_lsb,
             old = sim_mem_read32(&c->bus.mem, l->cause_addr);
    sim_bus_preset(&c->bus, l->cause_addr,
                   (old & ~mask) | (c->config.reset[cause].code << l->cause_lsb & mask));
  }
  sim_irq_reset(&m->irq);
  sim_cache_reset(&m->cache);
  sim_timg_reset(&m->timg, mode == SIM_BOOT_FLASH);
  sim_crypto_reset(&m->crypto, &l->crypto);
  c->flash_connected = !l->flash_pad; /* its pads are those that the flash sits at */
  c->state = mode == SIM_BOOT_DOWNLOAD ? SIM_STATE_DOWNLOAD : SIM_STATE_APP;
  sim_core_power(c, m->elf.entry);
}

uint64_t sim_machine_tick(struct sim_chip *c) {
  int soon = c->machine.irq.soon;
  c->machine.irq.soon = 0;
  c->core.time = (double)c->core.cpu->cycles / c->config.core.clock;
  if (!soon)
    sim_irq_update(c);
  c->core.bite = sim_timg_bites(&c->machine.timg, c->core.time);
  if (c->core.bite < 0)
    c->core.bite = sim_chip_bites(c);
  if (c->core.bite >= 0)
    sim_core_want(c, SIM_WANTS_BITE);
  return soon ? LATENCY : TICK;
}

int sim_machine_wakes(struct sim_chip *c) {
  struct cpu *cpu = c->core.cpu;
  uint32_t lines = cpu->lines, offered = c->machine.irq.offered;
  if (sim_uart_soon(&c->uart)) {
    cpu->cycles += SIM_UART_GAP; /* which it waits for the next byte */
    return 1;
  }
  sim_irq_update(c);
  return cpu->lines != lines || c->machine.irq.offered != offered;
}

enum { CIRCLE = 400, REGISTERS = 64 };

/* What can differ between two rounds: all registers, also those of callers, which may count what they are
 * given. */
static void registers(struct sim_chip *c, uint32_t *to) {
  const struct cpu_ops *ops = c->core.cpu->ops;
  memset(to, 0, REGISTERS * sizeof *to);
  for (int i = 0; i < ops->files && i < REGISTERS; i++)
    to[i] = cpu_get(c->core.cpu, ops->file + i);
}

int sim_machine_idle(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  struct cpu *cpu = core->cpu;
  uint32_t first[REGISTERS], later[REGISTERS], pc = cpu->pc;
  if (core->quiet != core->accesses || c->machine.irq.soon || sim_uart_soon(&c->uart)) {
    core->quiet = core->accesses;
    return 0;
  }
  registers(c, first);
  for (int i = 0; i < CIRCLE; i++) {
    if (cpu_run(cpu, 1) != CPU_BUDGET || core->quiet != core->accesses)
      return 0;
    if (cpu->pc != pc)
      continue;
    registers(c, later);
    if (memcmp(first, later, sizeof first) == 0)
      return 1;
  }
  return 0;
}
