/* core.c - the program that the processor runs, and its clock. */
#include "sim/core.h"

#include "sim/boot.h"
#include "sim/chip.h"
#include "sim/cpu_rv32.h"
#include "sim/cpu_xtensa.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
  SLICE = 200000,  /* instructions at once: others want to look at the chip, too */
  FREE = 8000000,  /* instructions after the last sign of life that are not held back */
  PAUSE = 64,      /* questions in a row before the host is given what was written, time is skipped */
  QUIET = 2000000, /* instructions without a sign of life after which every question is one too many */
  POLLS = 4096     /* ... before a sleep; half as many before the next, while nothing else happens */
};
static const double QUANTUM = 0.0005;                   /* seconds that a paced program may be late */
static const double NAP = 0.0002, LONGEST_NAP = 0.0256; /* seconds */

static struct cpu *make(const struct sim_chip *c, struct cpu_bus *bus) {
  const struct sim_machine_layout *m = &c->config.machine;
  int kind = c->config.core.kind, irq = c->machine.on ? m->irq.kind : SIM_IRQ_NONE;
  struct rv32_config rv = {.reset_pc = 0x40000000,
                           .atomics = kind != SIM_CPU_RV32IMC,
                           .floats = kind >= SIM_CPU_RV32IMAFC,
                           .bits = kind == SIM_CPU_RV32IMAFCB_ZC,
                           .compact = kind >= SIM_CPU_RV32IMAFC_ZC,
                           .unaligned = c->machine.on && m->unaligned,
                           .clic = irq == SIM_IRQ_CLIC,
                           .mie = irq ? irq == SIM_IRQ_PLIC : kind == SIM_CPU_RV32IMC};
  switch (kind) {
  case SIM_CPU_LX106:
    return cpu_new_xtensa(bus, &xtensa_lx106, 0);
  case SIM_CPU_ESP32:
    return cpu_new_xtensa(bus, &xtensa_esp32, 0xCDCD);
  case SIM_CPU_ESP32S2:
    return cpu_new_xtensa(bus, &xtensa_esp32s2, 0xCDCD);
  case SIM_CPU_ESP32S3:
    return cpu_new_xtensa(bus, &xtensa_esp32s3, 0xCDCD);
  default:
    return cpu_new_rv32(bus, &rv);
  }
}

/* As the ROM calls a program: a stack, interrupts possible, register windows where it has them. */
static void enter(struct sim_chip *c, uint32_t entry) {
  struct cpu *cpu = c->core.cpu;
  int riscv = sim_core_is_riscv(c->config.core.kind);
  cpu_set(cpu, riscv ? 2 : 1, c->config.core.stack);
  if (!riscv)
    cpu_set(cpu, cpu_find(cpu, "ps"),
            c->config.core.kind == SIM_CPU_LX106 ? PS_UM : PS_UM | PS_WOE | 2 << 16);
  if (!riscv && c->config.core.kind != SIM_CPU_LX106)
    cpu_set(cpu, 8, 0x80000000);
  cpu_set(cpu, CPU_REG_PC, entry);
}

static int begin(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  sim_core_stop(c);
  core->fault[0] = 0;
  if (c->config.core.kind == SIM_CPU_NONE)
    return 0;
  if (sim_core_map(c) == 0)
    core->cpu = make(c, core->bus);
  if (!core->cpu) {
    sim_core_stop(c);
    snprintf(core->fault, sizeof core->fault, "no memory to run a program");
    return 0;
  }
  core->time = 0;
  core->from = c->now;
  core->from_cycle = core->cpu->cycles;
  core->active_cycle = core->from_cycle;
  core->polls = core->naps = core->wants = core->second = 0;
  core->work = 0;
  core->asleep = -1;
  c->nor.busy_until = c->spi.busy_until = 0;
  c->nor.timing = c->spi.timing = c->nand.timing = c->config.timing;
  sim_uart_start(&c->uart);
  sim_usj_start(&c->usj);
  return 1;
}

void sim_core_start(struct sim_chip *c, uint32_t entry) {
  if (begin(c))
    enter(c, entry);
}

void sim_core_power(struct sim_chip *c, uint32_t vector) {
  if (!begin(c))
    return;
  c->core.cpu->guest_exceptions = true;
  if (c->config.machine.irq.kind == SIM_IRQ_CLIC) {
    c->core.cpu->choose = sim_irq_choose;
    c->core.cpu->choose_ctx = &c->machine.irq;
  }
  cpu_set(c->core.cpu, CPU_REG_PC, vector);
}

/* Everything of a processor but what belongs to this one. */
static void put_state(struct cpu *cpu, const void *from, size_t size) {
  struct cpu own = *cpu;
  memcpy(cpu, from, size);
  cpu->ops = own.ops;
  cpu->bus = own.bus;
  cpu->cache = own.cache;
  cpu->hook = NULL;
  cpu_flush(cpu);
}

int sim_core_resume(struct sim_chip *c, const void *cpu, const void *was) {
  struct sim_core *core = &c->core;
  if (sim_core_map(c) == 0)
    core->cpu = make(c, core->bus);
  if (!core->cpu) {
    sim_core_stop(c);
    c->state = SIM_STATE_HUNG;
    return -1;
  }
  put_state(core->cpu, cpu,
            sim_core_is_riscv(c->config.core.kind) ? sizeof(struct rv32) : sizeof(struct xtensa));
  if (!sim_core_is_riscv(c->config.core.kind)) { /* its window points into the structure itself */
    struct xtensa *x = (struct xtensa *)core->cpu;
    uintptr_t first = (uintptr_t)was + offsetof(struct xtensa, ar);
    x->a = x->ar + ((uintptr_t)x->a - first) / sizeof *x->ar;
  }
  return 0;
}

void sim_core_stop(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  sim_uart_flush(c);
  cpu_free(core->cpu);
  cpu_bus_free(core->bus);
  core->cpu = NULL;
  core->bus = NULL;
  c->nor.timing = c->spi.timing = c->nand.timing = 0;
}

static void fault(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  const struct cpu_fault *f = &core->cpu->fault;
  int n = cpu_describe(core->cpu, core->fault, sizeof core->fault), storing = f->code == CPU_FAULT_WRITE;
  size_t at = n > 0 && (size_t)n < sizeof core->fault ? (size_t)n : strlen(core->fault);
  if (sim_core_in_rom(c, f->pc))
    snprintf(core->fault + at, sizeof core->fault - at,
             "the program called the mask ROM at 0x%08x, whose code is not there\n", (unsigned)f->pc);
  sim_chip_log(
      c, (struct sim_event){
             .time = c->now, .op = 0, .status = 1, .error = (uint8_t)f->code, .a = f->pc, .b = f->address});
  sim_core_stop(c);
  sim_loader_panic(c, storing); /* as the ROM does */
  c->state = SIM_STATE_HUNG;
}

void sim_core_want(struct sim_chip *c, int what) {
  c->core.wants = what;
  if (c->core.bus)
    cpu_bus_yield(c->core.bus);
}

double sim_core_time(const struct sim_chip *c) {
  const struct sim_core *core = &c->core;
  if (!core->cpu || !c->config.line_model.paced)
    return c->now;
  double t = core->from + (double)(core->cpu->cycles - core->from_cycle) / c->config.core.clock;
  return t < c->now ? t : c->now;
}

void sim_core_work(struct sim_chip *c, uint64_t cycles) {
  c->core.work += cycles;
  if (cycles && c->core.bus)
    cpu_bus_yield(c->core.bus);
}

void sim_core_active(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  core->polls = core->naps = 0;
  if (core->cpu)
    core->active_cycle = core->cpu->cycles;
}

/* Whether the program has asked often enough to be put to sleep. */
static int drowsy(const struct sim_core *core) {
  int enough = POLLS >> core->naps;
  return core->polls >= (enough > PAUSE ? enough : PAUSE);
}

static uint64_t cycle_at(const struct sim_chip *c, double now) {
  return now > c->core.from ? c->core.from_cycle + (uint64_t)((now - c->core.from) * c->config.core.clock)
                            : c->core.from_cycle;
}

/* Asked twice, with nothing in between: it would go on asking until the next byte on the line is there. */
static void until_byte(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  double in = sim_link_waiting(c);
  uint64_t cycle = in >= 0 ? cycle_at(c, in < c->now ? in : c->now) : 0;
  if (cycle > core->cpu->cycles) {
    core->executed -= cycle - core->cpu->cycles; /* they will be counted */
    core->cpu->cycles = cycle;
  }
}

void sim_core_idle(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  if (!core->cpu)
    return;
  if (c->machine.on && core->cpu->cycles - core->active_cycle > QUIET)
    core->polls = POLLS - 1; /* a ROM asks seldom, it counts microseconds in between */
  if (++core->polls % PAUSE == 0)
    cpu_bus_yield(core->bus);
  if (c->config.line_model.paced && core->accesses == core->asked + 1)
    until_byte(c);
  core->asked = core->accesses;
}

/* Whether the program keeps to its clock. */
static int held_back(const struct sim_chip *c) {
  return c->config.line_model.paced || c->core.cpu->cycles - c->core.active_cycle > FREE;
}

/* Puts the program to sleep: until a byte comes, or for a while that grows; it may be counting. */
static void nap(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  double length = NAP * (double)(1u << core->naps), drained = sim_uart_drained(c);
  if (length < LONGEST_NAP)
    core->naps++;
  core->asleep = sim_core_time(c) + length;
  if (drained >= 0 && drained < core->asleep)
    core->asleep = drained;
  core->polls = 0;
}

static double wake_time(struct sim_chip *c) {
  double in = sim_link_waiting(c);
  return in >= 0 && in < c->core.asleep ? in : c->core.asleep;
}

/* The clock goes on without instructions. What is given per instruction does not grow meanwhile. */
static void jump(struct sim_chip *c, uint64_t cycle) {
  struct cpu *cpu = c->core.cpu;
  if (cycle <= cpu->cycles)
    return;
  c->uart.pulled += cycle - cpu->cycles;
  cpu->cycles = cycle;
}

/* Sleeping took no instructions, but time. */
static int wake(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  if (core->asleep < 0)
    return 1;
  double when = wake_time(c);
  if (when > c->now)
    return 0;
  core->asleep = -1;
  jump(c, cycle_at(c, c->config.line_model.paced && when > core->from ? when : c->now));
  return 1;
}

/* The program asks for a byte: when one is on its way, until then it does nothing else. Returns 0 when the
 * host is to have what was written before more is run. */
static int skip(struct sim_chip *c, uint64_t last) {
  double in = sim_link_waiting(c);
  if (!held_back(c))
    return 0;
  if (in < 0)
    return 1;
  uint64_t cycle = cycle_at(c, in < c->now ? in : c->now);
  jump(c, cycle < last ? cycle : last);
  return 1;
}

static void carry_out(struct sim_chip *c, int what) {
  uint32_t entry;
  c->core.wants = SIM_WANTS_NOTHING;
  if (what == SIM_WANTS_BITE) {
    sim_chip_bite(c, c->core.bite);
  } else if (what == SIM_WANTS_RESET) {
    sim_chip_reset(c, SIM_RST_SOFTWARE, c->boot_mode); /* the pins are not looked at again */
  } else if (what == SIM_WANTS_BOOT) {
    sim_core_stop(c);
    sim_boot_left(c);
    if (sim_core_load(c, &entry))
      sim_core_start(c, entry);
  }
}

void sim_core_run(struct sim_chip *c) {
  struct sim_core *core = &c->core;
  if (!core->cpu || !wake(c))
    return;
  core->ran = c->now;
  uint64_t n = SLICE, end = cycle_at(c, c->now);
  if (held_back(c))
    n = end <= core->cpu->cycles ? 0 : end - core->cpu->cycles < n ? end - core->cpu->cycles : n;
  uint64_t last = core->cpu->cycles + n;
  enum cpu_stop why = CPU_BUDGET;
  while (core->cpu->cycles < last) {
    uint64_t first = core->cpu->cycles;
    uint64_t stretch = last - first;
    if (c->machine.on) {
      uint64_t most = sim_machine_tick(c);
      stretch = stretch < most ? stretch : most;
    }
    why = cpu_run(core->cpu, stretch);
    core->executed += core->cpu->cycles - first;
    core->cpu->cycles += core->work;
    core->work = 0;
    if (why == CPU_FAULT && core->cpu->fault.code == CPU_FAULT_BREAK && sim_core_trap(c))
      why = CPU_YIELD;
    if (c->machine.on && why == CPU_BUDGET && sim_machine_idle(c))
      why = CPU_IDLE;
    if (c->machine.on && why == CPU_IDLE && sim_machine_wakes(c))
      why = CPU_BUDGET;
    if (why == CPU_FAULT || why == CPU_IDLE || core->wants || drowsy(core))
      break;
    if (core->polls >= PAUSE && !skip(c, last))
      break;
  }
  sim_uart_flush(c);
  sim_usj_flush(c);
  if (why == CPU_FAULT)
    fault(c);
  else if (core->wants)
    carry_out(c, core->wants);
  else if (why == CPU_IDLE || drowsy(core))
    nap(c);
  if (core->cpu && !held_back(c)) {
    core->from = c->now;
    core->from_cycle = core->cpu->cycles;
  }
}

double sim_core_next(struct sim_chip *c) {
  if (!c->core.cpu)
    return -1;
  if (c->core.asleep >= 0)
    return wake_time(c);
  if (held_back(c) && c->core.cpu->cycles >= cycle_at(c, c->core.ran))
    return c->core.ran + (c->config.line_model.paced ? QUANTUM : 4 * QUANTUM);
  return c->now;
}

/* --- the boot from flash -----------------------------------------------------------------------------------
 */

enum { HEADER = 24, MAGIC = 0xE9, SEGMENTS = 16, CHUNK = 1024 };

static int is_ram(const struct sim_chip *c, uint32_t addr, uint32_t n) {
  const struct sim_region *r = sim_bus_region(&c->bus, addr);
  return r && (r->kind == SIM_RAM || r->kind == SIM_RAM_WORDS) && n <= r->last - addr + 1;
}

/* One segment: where it goes, and its part of the checksum. Returns the address behind it in flash; 0: it is
 * bad. */
static uint32_t load_segment(struct sim_chip *c, uint32_t at, uint8_t *sum) {
  uint8_t data[CHUNK];
  sim_flash_read(&c->flash, at, data, 8);
  uint32_t addr = sim_word(data, 0), n = sim_word(data, 1);
  if (n > c->flash.size || n % 4 || !is_ram(c, addr, n))
    return 0;
  at += 8;
  while (n > 0) {
    uint32_t part = n < CHUNK ? n : CHUNK;
    sim_flash_read(&c->flash, at, data, part);
    for (uint32_t i = 0; i < part; i++)
      *sum ^= data[i];
    sim_bus_store(&c->bus, addr, data, part);
    at += part, addr += part, n -= part;
  }
  return at;
}

int sim_core_load(struct sim_chip *c, uint32_t *entry) {
  uint8_t h[HEADER], sum = 0xEF, stored;
  uint32_t at = c->config.bootloader_offset;
  if (c->config.core.kind == SIM_CPU_NONE)
    return 0;
  sim_flash_read(&c->flash, at, h, sizeof h);
  if (h[0] != MAGIC || h[1] == 0 || h[1] > SEGMENTS)
    return 0;
  *entry = sim_word(h, 1);
  at += c->config.core.kind == SIM_CPU_LX106 ? 8 : HEADER;
  for (int i = 0; i < h[1]; i++)
    if ((at = load_segment(c, at, &sum)) == 0)
      return 0;
  sim_flash_read(&c->flash, at | 15, &stored, 1);
  c->flash_connected = 1;
  return stored == sum;
}
