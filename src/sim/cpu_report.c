/* cpu_report.c - a processor's state in words. */
#include "sim/cpu.h"

#include <stdarg.h>
#include <stdio.h>

int cpu_disassemble(struct cpu *c, uint32_t pc, char *out, size_t room) {
  uint8_t code[4];
  size_t have = 0;
  if (room)
    out[0] = '\0';
  while (have < sizeof code && cpu_bus_peek(c->bus, pc + (uint32_t)have, code + have, 1) == 1)
    have++;
  return have ? c->ops->print(c, pc, code, have, out, room) : 0;
}

const char *cpu_fault_text(const struct cpu_fault *f) {
  static const char *const text[] = {
      [CPU_FAULT_NONE] = "no fault",
      [CPU_FAULT_FETCH] = "no code to execute",
      [CPU_FAULT_READ] = "read where nothing can be read",
      [CPU_FAULT_WRITE] = "write where nothing can be written",
      [CPU_FAULT_ALIGN] = "unaligned access",
      [CPU_FAULT_WIDTH] = "access to part of a word in memory that takes whole words",
      [CPU_FAULT_DEVICE] = "access that the peripheral refuses",
      [CPU_FAULT_ILLEGAL] = "instruction that this core lacks",
      [CPU_FAULT_BREAK] = "break instruction",
      [CPU_FAULT_CALL] = "system call that nobody handles",
      [CPU_FAULT_DIVIDE] = "division by zero",
      [CPU_FAULT_WINDOW] = "register windows in an impossible state",
  };
  return (size_t)f->code < sizeof text / sizeof *text ? text[f->code] : "unknown fault";
}

struct text {
  char *out;
  size_t room;
  int n;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  size_t at = (size_t)t->n < t->room ? (size_t)t->n : t->room;
  int n = vsnprintf(t->room ? t->out + at : NULL, t->room - at, fmt, ap);
  va_end(ap);
  t->n += n > 0 ? n : 0;
}

int cpu_describe(struct cpu *c, char *out, size_t room) {
  struct text t = {out, room, 0};
  char line[96];
  uint32_t pc = c->fault.code ? c->fault.pc : c->pc;
  if (c->fault.code)
    add(&t, "%s: %s, address 0x%08x\n", c->ops->name, cpu_fault_text(&c->fault), (unsigned)c->fault.address);
  int len = cpu_disassemble(c, pc, line, sizeof line);
  add(&t, "pc 0x%08x: %s\n", (unsigned)pc, len ? line : "(nothing there)");
  for (int i = 0; i < c->ops->shown; i++)
    add(&t, "%-9s0x%08x%s", cpu_reg_name(c, i), (unsigned)cpu_get(c, i), i % 4 == 3 ? "\n" : "  ");
  return t.n;
}
