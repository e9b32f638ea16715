// sources: src/sim/cpu*.c
/* Random code, registers and peripherals: a guest cannot touch the host, whatever it does. */
#include "sim/cpu.h"

#include <stdlib.h>

enum { RAM = 0x40000000, ALIAS = 0x3FFB0000, TOP = (int)0xFFFFF000, DEVICE = 0x60000000, PAGES = 4 };

struct play {
  struct cpu_bus *bus;
  struct cpu *cpu;
  struct cpu_block ram;
  uint32_t noise;
};

/* The peripheral does what a real one may do to the processor in the middle of an access. */
static int act(struct play *p, uint32_t address) {
  p->noise = p->noise * 1664525 + 1013904223 + address;
  switch (p->noise >> 28) {
  case 0:
    cpu_lines(p->cpu, p->noise);
    break;
  case 1:
    cpu_bus_yield(p->bus);
    break;
  case 2:
    return CPU_BUS_E_DEVICE;
  case 3:
    cpu_bus_unmap(p->bus, ALIAS, CPU_PAGE);
    break;
  case 4:
    (void)cpu_bus_map(p->bus, ALIAS, &p->ram, CPU_PAGE * (p->noise >> 8 & 3), CPU_PAGE, p->noise & 15);
    break;
  case 5:
    cpu_bus_touched(p->bus, &p->ram, p->noise & 0x3FFF, p->noise >> 16 & 0xFFF);
    break;
  default:
    break;
  }
  return CPU_BUS_OK;
}

static int dev_read(void *ctx, uint32_t address, unsigned width, uint32_t *value) {
  struct play *p = ctx;
  int error = act(p, address);
  *value = p->noise & (width == 4 ? UINT32_MAX : (1u << 8 * width) - 1);
  return error;
}

static int dev_write(void *ctx, uint32_t address, unsigned width, uint32_t value) {
  (void)width;
  return act(ctx, address ^ value);
}

static bool miss(void *ctx, struct cpu_bus *b, uint32_t address) {
  struct play *p = ctx;
  return address >> 16 == 0x5000 && !cpu_bus_map(b, address & ~0xFFFu, &p->ram, 0, CPU_PAGE, 7);
}

static bool choose(void *ctx, struct cpu *c, struct cpu_irq *irq) {
  struct play *p = ctx;
  *irq = (struct cpu_irq){p->noise & 0xFFF, (uint8_t)(p->noise >> 12), p->noise >> 20 & 1};
  return (p->noise >> 21 ^ c->cycles) & 1;
}

static struct cpu *make(struct cpu_bus *bus, uint8_t kind) {
  static const struct xtensa_config *const cores[] = {&xtensa_lx106, &xtensa_esp32, &xtensa_esp32s2,
                                                      &xtensa_esp32s3};
  if (kind & 1)
    return cpu_new_xtensa(bus, cores[kind >> 1 & 3], 0xCDCD);
  struct rv32_config k = {.reset_pc = RAM,
                          .atomics = kind & 2,
                          .floats = kind & 4,
                          .unaligned = kind & 8,
                          .mie = kind & 16,
                          .clic = kind & 64,
                          .bits = kind & 4,
                          .compact = kind & 8};
  return cpu_new_rv32(bus, &k);
}

/* What is missing of 512 bytes comes from a generator that the input seeds. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
  uint8_t filled[512];
  const uint8_t *data = input;
  uint32_t x = 2166136261u;
  for (size_t i = 0; i < size; i++)
    x = (x ^ input[i]) * 16777619u;
  if (size < sizeof filled) {
    for (size_t i = 0; i < sizeof filled; i++) {
      x = x * 1664525 + 1013904223;
      filled[i] = i < size ? input[i] : (uint8_t)(x >> 24);
    }
    data = filled;
    size = sizeof filled;
  }
  struct play p = {.bus = cpu_bus_new(), .noise = data[1]};
  if (!p.bus)
    return 0;
  struct cpu_bus_device device = {dev_read, dev_write, &p};
  p.bus->miss = miss;
  p.bus->miss_ctx = &p;
  p.cpu = make(p.bus, data[0]);
  if (p.cpu && !cpu_bus_block(p.bus, &p.ram, NULL, PAGES * CPU_PAGE)) {
    (void)cpu_bus_map(p.bus, RAM, &p.ram, 0, PAGES * CPU_PAGE, 7);
    (void)cpu_bus_map(p.bus, ALIAS, &p.ram, CPU_PAGE, CPU_PAGE, data[2] & 15);
    (void)cpu_bus_map(p.bus, (uint32_t)TOP, &p.ram, 0, CPU_PAGE, 7);
    (void)cpu_bus_map_device(p.bus, DEVICE, CPU_PAGE, &device);
    p.cpu->guest_exceptions = data[0] & 32;
    p.cpu->choose = data[0] & 128 ? choose : NULL;
    p.cpu->choose_ctx = &p;
    for (int i = 0; i < 16; i++) {
      uint32_t v = cpu_get_le(data + 8 + 4 * i, 4);
      cpu_set(p.cpu, i, i & 1 ? v : (i & 2 ? RAM : i & 4 ? DEVICE : ALIAS) + (v & 0x3FFF));
    }
    cpu_set(p.cpu, cpu_find(p.cpu, data[0] & 1 ? "cpenable" : "mstatus"), data[6] & 1 ? 0 : UINT32_MAX);
    size_t n = size - 72 < PAGES * CPU_PAGE ? size - 72 : PAGES * CPU_PAGE;
    for (size_t at = 0; at < PAGES * CPU_PAGE; at += n) /* also where the vectors are */
      (void)cpu_bus_poke(p.bus, RAM + (uint32_t)at, data + 72,
                         n < PAGES * CPU_PAGE - at ? n : PAGES * CPU_PAGE - at);
    cpu_set(p.cpu, CPU_REG_PC, data[3] & 1 ? (uint32_t)TOP + 4096 - (data[4] & 15) : RAM + data[4] * 4u);
    char text[2048];
    for (int k = 0; k < 4; k++) {
      if (cpu_run(p.cpu, 500) != CPU_BUDGET)
        cpu_set(p.cpu, CPU_REG_PC, RAM + (p.noise & 0x3FFF));
      (void)cpu_describe(p.cpu, text, sizeof text);
      uint64_t next = cpu_next_event(p.cpu);
      if (next != UINT64_MAX && next > p.cpu->cycles)
        p.cpu->cycles = next;
    }
    (void)cpu_disassemble(p.cpu, p.cpu->pc, text, data[5] & 31);
  }
  cpu_free(p.cpu);
  cpu_bus_free(p.bus);
  return 0;
}
