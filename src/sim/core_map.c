/* core_map.c - memory and peripherals of sim/bus.h as the processor sees them.
 *
 * Pages are mapped when they are first touched. Memory that shows at two addresses is one page of the host.
 */
#include "sim/core.h"

#include "sim/chip.h"

#include <string.h>

/* A word of a peripheral. Registers that are described by data only are known here; the rest is storage. */
static uint32_t read_word(struct sim_chip *c, uint32_t at) {
  if (!c->machine.on)
    return sim_bus_read(&c->bus, at);
  uint32_t value;
  const struct sim_register *r = sim_machine_register(c, at);
  if (!sim_bus_device_read(&c->bus, at, &value)) {
    value = sim_mem_read32(&c->bus.mem, at);
    if (!r)
      sim_machine_note(c, at, 0, value);
  }
  return r ? sim_register_value(r, value) : value;
}

static void write_word(struct sim_chip *c, uint32_t at, uint32_t value) {
  if (!c->machine.on) {
    sim_bus_write(&c->bus, at, value);
    return;
  }
  if (!sim_bus_device_write(&c->bus, at, value)) {
    sim_mem_write32(&c->bus.mem, at, value);
    const struct sim_register *r = sim_machine_register(c, at);
    if (!r)
      sim_machine_note(c, at, 1, value);
    else if (r->forget)
      sim_cache_invalidate(c);
  }
  sim_core_work(c, sim_crypto_work(&c->machine.crypto));
  sim_irq_written(c);
}

/* The second core is held in reset until the program lets it go. It is not there: that is at least said. */
static void look_for_second(struct sim_chip *c, uint32_t written) {
  const struct sim_core_layout *l = &c->config.core;
  int concerned = 0;
  for (int i = 0; i < l->seconds; i++)
    concerned |= l->second[i].addr == written;
  if (!concerned || c->core.second)
    return;
  for (int i = 0; i < l->seconds; i++)
    if ((read_word(c, l->second[i].addr) & l->second[i].mask) != l->second[i].value)
      return;
  c->core.second = 1;
  sim_chip_log(c, (struct sim_event){.time = c->now, .op = SIM_OP_SECOND_CORE, .a = c->core.cpu->at});
}

static int device_read(void *ctx, uint32_t address, unsigned width, uint32_t *value) {
  struct sim_chip *c = ctx;
  struct sim_core *core = &c->core;
  core->time = (double)core->cpu->cycles / c->config.core.clock;
  core->accesses++;
  uint32_t word = read_word(c, address & ~3u) >> (address & 3) * 8;
  if (c->machine.on)
    sim_irq_was_read(c);
  *value = width == 4 ? word : word & ((1u << 8 * width) - 1);
  return CPU_BUS_OK;
}

static int device_write(void *ctx, uint32_t address, unsigned width, uint32_t value) {
  struct sim_chip *c = ctx;
  struct sim_core *core = &c->core;
  uint32_t at = address & ~3u, shift = (address & 3) * 8;
  core->time = (double)core->cpu->cycles / c->config.core.clock;
  core->accesses++;
  if (width < 4) {
    uint32_t mask = ((1u << 8 * width) - 1) << shift;
    value = (read_word(c, at) & ~mask) | (value << shift & mask);
  }
  write_word(c, at, value);
  if (c->config.core.seconds)
    look_for_second(c, at);
  if (at - c->config.spi.base < 4 || at - c->config.spi2.base < 4) /* a command to a flash */
    sim_core_active(c);
  return CPU_BUS_OK;
}

static const struct sim_region *region_of_page(const struct sim_bus *b, uint32_t page) {
  for (int i = 0; i < b->regions; i++)
    if (b->region[i].first < page + SIM_PAGE && b->region[i].last >= page)
      return &b->region[i];
  return NULL;
}

static int has_device(const struct sim_bus *b, uint32_t page) {
  for (int i = 0; i < b->devs; i++)
    if (b->dev[i].base / SIM_PAGE <= page / SIM_PAGE &&
        (b->dev[i].base + b->dev[i].size - 1) / SIM_PAGE >= page / SIM_PAGE)
      return 1;
  return 0;
}

/* The page of memory, the same for every address that it shows at. */
static int block_of(struct sim_chip *c, uint32_t page, struct cpu_block *block) {
  uint32_t home = sim_bus_home(&c->bus, page);
  const struct cpu_page *there = cpu_bus_page(c->core.bus, home);
  if (there->host) {
    *block = (struct cpu_block){there->host, CPU_PAGE, there->frame};
    return 0;
  }
  uint8_t *host = sim_mem_page(&c->bus.mem, home, 1);
  if (!host || cpu_bus_block(c->core.bus, block, host, CPU_PAGE) != CPU_BUS_OK)
    return -1;
  return home == page ? 0
                      : cpu_bus_map(c->core.bus, home, block, 0, CPU_PAGE,
                                    CPU_BUS_READ | CPU_BUS_WRITE | CPU_BUS_EXEC);
}

/* A page of the window onto flash, as flash is now; zeros where the table has nothing. */
static int map_flash(struct sim_chip *c, struct cpu_bus *b, uint32_t page) {
  uint32_t at, frame = cpu_bus_page(b, page)->frame;
  uint8_t *host = c->machine.on ? sim_mem_page(&c->bus.mem, page, 1) : NULL;
  struct cpu_block block = {host, CPU_PAGE, frame}; /* not a new frame every time: they are numbered */
  if (!host || (!frame && cpu_bus_block(b, &block, host, CPU_PAGE) != CPU_BUS_OK))
    return -1;
  int encrypted;
  if (sim_cache_where(c, page, &at, &encrypted)) {
    sim_flash_read(&c->flash, at, host, SIM_PAGE);
    if (encrypted && sim_crypt_window(c)) {
      sim_crypt_run(c, 0, at, host, SIM_PAGE);
      sim_core_work(c, 4 * SIM_PAGE);
    }
  } else /* an error of the cache, which is an interrupt that no ROM asks for */
    memset(host, 0, SIM_PAGE);
  cpu_bus_touched(b, &block, 0, CPU_PAGE);
  return cpu_bus_map(b, page, &block, 0, CPU_PAGE, CPU_BUS_READ | CPU_BUS_EXEC);
}

static int map_page(struct sim_chip *c, struct cpu_bus *b, uint32_t page) {
  const struct sim_region *r = region_of_page(&c->bus, page);
  struct cpu_block block;
  unsigned allow = CPU_BUS_READ | CPU_BUS_EXEC;
  if (has_device(&c->bus, page) || (r && r->kind == SIM_REGISTERS))
    return cpu_bus_map_device(b, page, CPU_PAGE, &c->core.device);
  if (r && r->kind == SIM_MAPPED_FLASH)
    return map_flash(c, b, page);
  if (!r || block_of(c, page, &block) != 0)
    return -1;
  if (r->kind == SIM_ROM && !c->machine.on)
    sim_core_set_traps(c, page, block.host);
  if (r->kind != SIM_ROM)
    allow |= CPU_BUS_WRITE;
  return cpu_bus_map(b, page, &block, 0, CPU_PAGE, r->kind == SIM_RAM_WORDS ? allow | CPU_BUS_WORDS : allow);
}

static bool miss(void *ctx, struct cpu_bus *b, uint32_t address) {
  return map_page(ctx, b, address & ~(uint32_t)(CPU_PAGE - 1)) == 0;
}

int sim_core_map(struct sim_chip *c) {
  struct cpu_bus *b = c->core.bus = cpu_bus_new();
  if (!b)
    return -1;
  c->core.device = (struct cpu_bus_device){device_read, device_write, c};
  b->miss = miss;
  b->miss_ctx = c;
  return 0;
}
