/* cpu_xtensa.c - the Xtensa processor: running it, its registers by name, its memory accesses. */
#include "sim/cpu_xtensa.h"

#include <stdlib.h>

enum { REG_AR = 64, REG_F = 0x800, REG_SR = 0x1000, REG_UR = 0x2000 };

static void reset(struct cpu *c) {
  struct xtensa *h = (struct xtensa *)c;
  memset(h->ar, 0, sizeof h->ar);
  memset(h->sr, 0, sizeof h->sr);
  memset(h->ur, 0, sizeof h->ur);
  memset(h->f, 0, sizeof h->f);
  h->window = h->latched = 0;
  h->ccount_base = 0 - (uint32_t)c->cycles;
  h->sr[SR_WINDOWSTART] = 1;
  h->sr[SR_VECBASE] = h->config->vecbase;
  for (int t = 0; t < 3; t++)
    h->timer_at[t] = c->cycles + ((uint64_t)1 << 32);
  xt_set_window(h, 0);
  xt_set_ps(h, PS_INTLEVEL | PS_EXCM);
  c->pc = h->config->reset_pc;
}

/* Fills the cache entry of the instruction at pc. NULL: an exception was raised. */
static const struct cpu_insn *decode(struct xtensa *h, uint32_t pc, uint32_t tag) {
  struct cpu *c = &h->cpu;
  uint8_t code[4] = {0};
  c->at = pc;
  size_t have = cpu_fetch(c, pc, code, 1), len = xt_length(code[0]);
  if (have)
    have += cpu_fetch(c, pc + 1, code + 1, len - 1);
  if (have != len) {
    xt_raise(h, XT_FETCH_PROHIBITED, CPU_FAULT_FETCH, CPU_BUS_E_UNMAPPED, pc + (uint32_t)have);
    return NULL;
  }
  uint32_t w = cpu_get_le(code, 4);
  const struct xt_op *op = xt_find(h->config, w);
  if (!op || !op->run) {
    xt_raise(h, XT_ILLEGAL, CPU_FAULT_ILLEGAL, CPU_BUS_OK, w);
    return NULL;
  }
  struct cpu_insn *i = cpu_slot(c, tag);
  xt_decode(op, w, i);
  i->tag = tag;
  return i;
}

static bool enter(struct xtensa *h, uint32_t pc) {
  int error = cpu_enter(&h->cpu, pc);
  if (!error)
    return true;
  h->cpu.at = pc;
  xt_raise(h, XT_FETCH_PROHIBITED, CPU_FAULT_FETCH, error, pc);
  return false;
}

/* The last instruction of a loop: back to its beginning, unless it went elsewhere. */
static void last_of_loop(struct xtensa *h, const struct cpu_insn *i, uint32_t next) {
  h->jumped = false;
  i->run.xtensa(h, i);
  if (h->jumped || h->cpu.pc != next || next == 0 || next != h->loop_end)
    return;
  h->cpu.pc = h->sr[SR_LBEG];
  if (--h->sr[SR_LCOUNT] == 0)
    xt_update_loop(h);
}

static void run(struct cpu *c) {
  struct xtensa *h = (struct xtensa *)c;
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
    if (i->top >= h->guard)
      xt_overflow(h);
    else if (c->pc == h->loop_end)
      last_of_loop(h, i, c->pc);
    else
      i->run.xtensa(h, i);
  }
}

static bool aligned_anyway(const struct xtensa *h) {
  return h->config->options & XT_UNALIGNED;
}

bool xt_load_slow(struct xtensa *h, uint32_t address, unsigned width, uint32_t *value) {
  int error = cpu_load_slow(&h->cpu, address, width, aligned_anyway(h), value);
  if (error)
    xt_access_error(h, address, error, false);
  return !error;
}

bool xt_store_slow(struct xtensa *h, uint32_t address, unsigned width, uint32_t value) {
  int error = cpu_store_slow(&h->cpu, address, width, aligned_anyway(h), value);
  if (error)
    xt_access_error(h, address, error, true);
  return !error;
}

static uint64_t next_event(const struct cpu *c) {
  const struct xtensa *h = (const struct xtensa *)c;
  uint64_t next = UINT64_MAX;
  for (int t = 0; t < 3; t++)
    if (h->config->timer[t] >= 0 && h->timer_at[t] < next)
      next = h->timer_at[t];
  return next;
}

static const char *const general[] = {"a0", "a1", "a2",  "a3",  "a4",  "a5",  "a6",  "a7",
                                      "a8", "a9", "a10", "a11", "a12", "a13", "a14", "a15"};

static int find(const char *name) {
  for (int i = 0; i < 16; i++)
    if (strcmp(general[i], name) == 0)
      return i;
  if (name[0] == 'a' && name[1] == 'r' && name[2] >= '0' && name[2] <= '9') {
    char *end;
    long n = strtol(name + 2, &end, 10);
    if (!*end && n < 64)
      return REG_AR + (int)n;
  }
  if (name[0] == 'f' && name[1] >= '0' && name[1] <= '9') {
    char *end;
    long n = strtol(name + 1, &end, 10);
    if (!*end && n < 16)
      return REG_F + (int)n;
  }
  if (strcmp(name, "fcr") == 0)
    return REG_UR + 232;
  if (strcmp(name, "fsr") == 0)
    return REG_UR + 233;
  if (strcmp(name, "threadptr") == 0)
    return REG_UR + 231;
  int sr = xt_sr_find(name);
  return sr < 0 ? -1 : REG_SR + sr;
}

static const char *reg_name(int reg) {
  if (reg >= 0 && reg < 16)
    return general[reg];
  static const int shown[] = {SR_PS, SR_SAR, SR_EXCCAUSE, SR_EXCVADDR};
  if (reg >= 16 && reg < 20)
    return xt_sr_name((unsigned)shown[reg - 16]);
  return reg >= REG_SR && reg < REG_SR + 256 ? xt_sr_name((unsigned)(reg - REG_SR)) : NULL;
}

static uint32_t get(const struct cpu *c, int reg) {
  struct xtensa *h = (struct xtensa *)c;
  static const int shown[] = {SR_PS, SR_SAR, SR_EXCCAUSE, SR_EXCVADDR};
  uint32_t value = 0;
  if (reg >= 0 && reg < 16)
    return h->a[reg];
  if (reg >= 16 && reg < 20)
    return h->sr[shown[reg - 16]];
  if (reg >= REG_AR && reg < REG_AR + 64)
    return xt_get_ar(h, (unsigned)(reg - REG_AR));
  if (reg >= REG_F && reg < REG_F + 16)
    return h->f[reg - REG_F];
  if (reg >= REG_UR && reg < REG_UR + 256)
    return h->ur[reg - REG_UR];
  if (reg >= REG_SR && reg < REG_SR + 256)
    (void)xt_read_sr(h, (unsigned)(reg - REG_SR), &value);
  return value;
}

static void set(struct cpu *c, int reg, uint32_t value) {
  struct xtensa *h = (struct xtensa *)c;
  if (reg >= 0 && reg < 16)
    h->a[reg] = value;
  else if (reg >= REG_AR && reg < REG_AR + 64)
    xt_set_ar(h, (unsigned)(reg - REG_AR), value);
  else if (reg >= REG_F && reg < REG_F + 16)
    h->f[reg - REG_F] = value;
  else if (reg >= REG_UR && reg < REG_UR + 256)
    h->ur[reg - REG_UR] = value;
  else if (reg >= REG_SR && reg < REG_SR + 256)
    (void)xt_write_sr(h, (unsigned)(reg - REG_SR), value);
}

static const struct cpu_ops ops = {.name = "xtensa",
                                   .reset = reset,
                                   .run = run,
                                   .interrupt = xt_interrupt,
                                   .next_event = next_event,
                                   .find = find,
                                   .reg_name = reg_name,
                                   .get = get,
                                   .set = set,
                                   .print = xt_print,
                                   .shown = 20,
                                   .file = REG_AR,
                                   .files = 64};

struct cpu *cpu_new_xtensa(struct cpu_bus *bus, const struct xtensa_config *config, uint32_t prid) {
  struct xtensa *h = calloc(1, sizeof *h);
  if (!h)
    return NULL;
  h->config = config;
  h->prid = prid;
  xt_find_srs(h);
  if (!cpu_init(&h->cpu, &ops, bus)) {
    free(h);
    return NULL;
  }
  return &h->cpu;
}
