/* cpu_rv32.c - the RISC-V processor: running it, its registers by name, its memory accesses. */
#include "sim/cpu_rv32.h"

#include <stdlib.h>

enum { REG_F = 32, REG_CSR = 0x1000 };

static void reset(struct cpu *c) {
  struct rv32 *h = (struct rv32 *)c;
  memset(h->x, 0, sizeof h->x);
  memset(h->f, 0, sizeof h->f);
  memset(h->csr, 0, sizeof h->csr);
  h->reserved = false;
  h->level = 0;
  h->cycle_base = h->instret_base = h->counter_base = 0 - c->cycles;
  h->csr[CSR_MSTATUS] = MSTATUS_MPP;
  h->csr[CSR_MISA] = 1u << 30 | 1u << ('I' - 'A') | 1u << ('M' - 'A') | 1u << ('C' - 'A') |
                     (h->config.atomics ? 1u << 0 : 0) | (h->config.bits ? 1u << 1 : 0) |
                     (h->config.floats ? 1u << ('F' - 'A') : 0);
  h->csr[CSR_MVENDORID] = RV_VENDOR;
  h->csr[CSR_MHARTID] = h->config.hart;
  c->pc = h->config.reset_pc;
}

/* Fills the cache entry of the instruction at pc. NULL: an exception was raised. */
static const struct cpu_insn *decode(struct rv32 *h, uint32_t pc, uint32_t tag) {
  struct cpu *c = &h->cpu;
  uint8_t code[4] = {0};
  c->at = pc;
  size_t have = cpu_fetch(c, pc, code, 2);
  if (have == 2 && (code[0] & 3) == 3)
    have += cpu_fetch(c, pc + 2, code + 2, 2);
  if (have != ((code[0] & 3) == 3 ? 4u : 2u)) {
    rv_raise(h, RV_FETCH_FAULT, pc + (uint32_t)have, CPU_FAULT_FETCH, CPU_BUS_E_UNMAPPED);
    return NULL;
  }
  uint32_t w = cpu_get_le(code, (unsigned)have);
  const struct rv_op *op = rv_find(&h->config, w);
  if (!op || !op->run) {
    rv_raise(h, RV_ILLEGAL, w, CPU_FAULT_ILLEGAL, CPU_BUS_OK);
    return NULL;
  }
  struct cpu_insn *i = cpu_slot(c, tag);
  rv_decode(op, w, i);
  i->tag = tag;
  return i;
}

static bool enter(struct rv32 *h, uint32_t pc) {
  int error = cpu_enter(&h->cpu, pc);
  if (!error)
    return true;
  h->cpu.at = pc;
  rv_raise(h, RV_FETCH_FAULT, pc, CPU_FAULT_FETCH, error);
  return false;
}

static void run(struct cpu *c) {
  struct rv32 *h = (struct rv32 *)c;
  while (c->cycles < c->limit) {
    uint32_t pc = c->pc;
    c->cycles++;
    if (((pc & ~(uint32_t)(CPU_PAGE - 1)) != c->fetch_page) && !enter(h, pc))
      continue;
    uint32_t tag = pc + c->fetch_delta;
    const struct cpu_insn *i = cpu_slot(c, tag);
    if (i->tag != tag && !(i = decode(h, pc, tag)))
      continue;
    c->at = pc;
    c->pc = pc + i->len;
    i->run.rv32(h, i);
  }
}

bool rv_load_slow(struct rv32 *h, uint32_t address, unsigned width, uint32_t *value) {
  int error = cpu_load_slow(&h->cpu, address, width, h->config.unaligned, value);
  if (!error)
    return true;
  rv_raise(h, error == CPU_BUS_E_ALIGN ? RV_LOAD_ALIGN : RV_LOAD_FAULT, address, cpu_fault_of(error, false),
           error);
  return false;
}

bool rv_store_slow(struct rv32 *h, uint32_t address, unsigned width, uint32_t value) {
  int error = cpu_store_slow(&h->cpu, address, width, h->config.unaligned, value);
  if (!error)
    return true;
  rv_raise(h, error == CPU_BUS_E_ALIGN ? RV_STORE_ALIGN : RV_STORE_FAULT, address, cpu_fault_of(error, true),
           error);
  return false;
}

static uint64_t next_event(const struct cpu *c) {
  return (void)c, UINT64_MAX;
}

static const char *const abi[] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                  "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                  "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};

static int find(const char *name) {
  for (int i = 0; i < 32; i++)
    if (strcmp(abi[i], name) == 0)
      return i;
  if ((name[0] == 'x' || name[0] == 'f') && name[1] >= '0' && name[1] <= '9') {
    char *end;
    long n = strtol(name + 1, &end, 10);
    if (!*end && n < 32)
      return (int)n + (name[0] == 'f' ? REG_F : 0);
  }
  int csr = rv_csr_find(name);
  return csr < 0 ? -1 : REG_CSR + csr;
}

static const char *reg_name(int reg) {
  if (reg >= 0 && reg < 32)
    return abi[reg];
  return reg >= REG_CSR && reg < REG_CSR + 4096 ? rv_csr_name((unsigned)(reg - REG_CSR)) : NULL;
}

static uint32_t get(const struct cpu *c, int reg) {
  struct rv32 *h = (struct rv32 *)c;
  uint32_t value = 0;
  if (reg >= 0 && reg < 32)
    return h->x[reg];
  if (reg >= REG_F && reg < REG_F + 32)
    return h->f[reg - REG_F];
  if (reg >= REG_CSR && reg < REG_CSR + 4096)
    (void)rv_csr_read(h, (unsigned)(reg - REG_CSR), &value);
  return value;
}

static void set(struct cpu *c, int reg, uint32_t value) {
  struct rv32 *h = (struct rv32 *)c;
  if (reg > 0 && reg < 32)
    h->x[reg] = value;
  else if (reg >= REG_F && reg < REG_F + 32)
    h->f[reg - REG_F] = value;
  else if (reg >= REG_CSR && reg < REG_CSR + 4096)
    (void)rv_csr_write(h, (unsigned)(reg - REG_CSR), value);
}

static const struct cpu_ops ops = {.name = "rv32",
                                   .reset = reset,
                                   .run = run,
                                   .interrupt = rv_interrupt,
                                   .next_event = next_event,
                                   .find = find,
                                   .reg_name = reg_name,
                                   .get = get,
                                   .set = set,
                                   .print = rv_print,
                                   .shown = 32,
                                   .files = 32};

struct cpu *cpu_new_rv32(struct cpu_bus *bus, const struct rv32_config *config) {
  struct rv32 *h = calloc(1, sizeof *h);
  if (!h)
    return NULL;
  h->config = *config;
  if (!cpu_init(&h->cpu, &ops, bus)) {
    free(h);
    return NULL;
  }
  return &h->cpu;
}
