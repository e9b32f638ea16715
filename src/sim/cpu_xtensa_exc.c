/* cpu_xtensa_exc.c - exceptions, window exceptions and interrupts of Xtensa (exception architecture 2). */
#include "sim/cpu_xtensa.h"

void xt_set_ps(struct xtensa *h, uint32_t ps) {
  uint32_t keep = PS_INTLEVEL | PS_EXCM | PS_UM;
  if (h->config->options & XT_WINDOWED)
    keep |= PS_OWB | PS_CALLINC | PS_WOE;
  h->sr[SR_PS] = ps & keep;
  xt_update_guard(h);
  xt_update_loop(h);
  cpu_look(&h->cpu);
}

static void general(struct xtensa *h, uint32_t pc, enum xt_cause cause) {
  const struct xtensa_config *k = h->config;
  uint32_t ps = h->sr[SR_PS], vector;
  if (ps & PS_EXCM) {
    h->sr[SR_DEPC] = pc;
    vector = k->doubled;
  } else {
    h->sr[SR_EPC1] = pc;
    vector = ps & PS_UM ? k->user : k->kernel;
  }
  h->sr[SR_EXCCAUSE] = cause;
  h->cpu.pc = h->sr[SR_VECBASE] + vector;
  xt_set_ps(h, ps | PS_EXCM);
}

void xt_raise(struct xtensa *h, enum xt_cause cause, enum cpu_fault_code code, int bus_error,
              uint32_t address) {
  if (!h->cpu.guest_exceptions) {
    cpu_stop_fault(&h->cpu, code, bus_error, address);
    return;
  }
  if (bus_error)
    h->sr[SR_EXCVADDR] = address;
  general(h, h->cpu.at, cause);
}

void xt_access_error(struct xtensa *h, uint32_t address, int bus_error, bool write) {
  enum xt_cause cause = write ? XT_STORE_PROHIBITED : XT_LOAD_PROHIBITED;
  if (bus_error == CPU_BUS_E_ALIGN)
    cause = XT_UNALIGNED_ACCESS;
  else if (bus_error == CPU_BUS_E_WIDTH || bus_error == CPU_BUS_E_DEVICE)
    cause = XT_LOAD_STORE_ERROR;
  xt_raise(h, cause, cpu_fault_of(bus_error, write), bus_error, address);
}

void xt_illegal(struct xtensa *h) {
  uint8_t code[4] = {0};
  cpu_fetch(&h->cpu, h->cpu.at, code, 3);
  xt_raise(h, XT_ILLEGAL, CPU_FAULT_ILLEGAL, CPU_BUS_OK, cpu_get_le(code, 4));
}

static void window_exception(struct xtensa *h, uint32_t new_window, uint32_t old_window, uint32_t vector) {
  h->sr[SR_EPC1] = h->cpu.at;
  h->cpu.pc = h->sr[SR_VECBASE] + vector;
  xt_set_window(h, new_window);
  xt_set_ps(h, (h->sr[SR_PS] & ~(uint32_t)PS_OWB) | old_window << 8 | PS_EXCM);
}

/* Vectors: overflow of 4, underflow of 4, and so for 8 and 12 registers, 0x40 apart. */
static uint32_t size_class(const struct xtensa *h, uint32_t window) {
  for (uint32_t k = 1; k < 3; k++)
    if (h->sr[SR_WINDOWSTART] >> ((window + k) & 15) & 1)
      return k - 1;
  return 2;
}

void xt_overflow(struct xtensa *h) {
  uint32_t window = (h->window + h->guard) & 15;
  window_exception(h, window, h->window, size_class(h, window) * 0x80);
}

void xt_underflow(struct xtensa *h, unsigned increment, uint32_t old_window) {
  window_exception(h, old_window - increment, old_window, (increment - 1) * 0x80 + 0x40);
}

static void to_level(struct xtensa *h, unsigned level, uint32_t pc) {
  h->sr[SR_EPC1 + level - 1] = pc;
  h->sr[SR_EPS2 + level - 2] = h->sr[SR_PS];
  h->cpu.pc = h->sr[SR_VECBASE] + h->config->level_vector[level];
  xt_set_ps(h, (h->sr[SR_PS] & ~(uint32_t)PS_INTLEVEL) | level | PS_EXCM);
}

static unsigned current_level(const struct xtensa *h) {
  unsigned level = h->sr[SR_PS] & PS_INTLEVEL;
  return h->sr[SR_PS] & PS_EXCM && level < h->config->excm_level ? h->config->excm_level : level;
}

void xt_break(struct xtensa *h, uint32_t cause_bit) {
  if (!h->cpu.guest_exceptions) {
    cpu_stop_fault(&h->cpu, CPU_FAULT_BREAK, CPU_BUS_OK, h->cpu.at);
  } else if (current_level(h) < h->config->debug_level) {
    h->sr[SR_DEBUGCAUSE] = cause_bit;
    to_level(h, h->config->debug_level, h->cpu.at);
  }
}

static uint32_t timer_mask(const struct xtensa *h) {
  uint32_t mask = 0;
  for (int t = 0; t < 3; t++)
    if (h->config->timer[t] >= 0)
      mask |= 1u << h->config->timer[t];
  return mask;
}

uint32_t xt_pending(const struct xtensa *h) {
  return h->latched | (h->cpu.raised & h->config->edge) |
         (h->cpu.lines & ~(h->config->edge | h->config->software | timer_mask(h)));
}

static void look_at_inputs(struct xtensa *h) {
  h->latched |= h->cpu.raised & h->config->edge;
  h->cpu.raised = 0;
  for (int t = 0; t < 3; t++)
    if (h->config->timer[t] >= 0 && h->cpu.cycles >= h->timer_at[t]) {
      h->latched |= 1u << h->config->timer[t];
      h->timer_at[t] += (uint64_t)1 << 32;
    }
}

bool xt_interrupt(struct cpu *c) {
  struct xtensa *h = (struct xtensa *)c;
  const struct xtensa_config *k = h->config;
  look_at_inputs(h);
  uint32_t pending = xt_pending(h);
  if (!pending)
    return false;
  for (unsigned level = k->levels; level > current_level(h); level--) {
    uint32_t enabled = level == k->nmi_level ? UINT32_MAX : h->sr[SR_INTENABLE];
    if (!(pending & enabled & k->level_mask[level]))
      continue;
    if (level == k->nmi_level)
      h->latched &= ~k->level_mask[level];
    if (level == 1)
      general(h, c->pc, XT_LEVEL1);
    else
      to_level(h, level, c->pc);
    return true;
  }
  return false;
}
