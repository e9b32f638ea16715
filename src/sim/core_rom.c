/* core_rom.c - the few functions of the mask ROM that are modelled: a break instruction stands where they
 * begin.
 *
 * Calling conventions: RISC-V and call0 as their ABIs have them. Code without register windows calls the
 * windowed ROM by callx4 (a4: return address, arguments from a6 on), windowed code by callx8 (a8, a10). */
#include "sim/core.h"

#include "sim/chip.h"
#include "sim/cpu_xtensa.h"

#include <stdio.h>
#include <string.h>

enum { PRINTED = 256, PRINT_BACKLOG = 1024, ARGUMENTS = 6 }; /* in registers, on every core */

static int is_riscv(const struct sim_chip *c) {
  return sim_core_is_riscv(c->config.core.kind);
}

void sim_core_set_traps(struct sim_chip *c, uint32_t addr, uint8_t *page) {
  static const uint8_t ebreak[] = {0x02, 0x90}, xtensa_break[] = {0x00, 0x40, 0x00};
  const struct sim_core_layout *l = &c->config.core;
  for (int i = 0; i < l->traps; i++) {
    uint32_t at = l->trap[i].addr - addr;
    if (at > SIM_PAGE - sizeof xtensa_break)
      continue;
    if (is_riscv(c))
      memcpy(page + at, ebreak, sizeof ebreak);
    else
      memcpy(page + at, xtensa_break, sizeof xtensa_break);
  }
}

int sim_core_in_rom(const struct sim_chip *c, uint32_t addr) {
  const struct sim_region *r = sim_bus_region(&c->bus, addr);
  return r && r->kind == SIM_ROM;
}

struct call {
  int first, result; /* registers of the first argument and of the result */
  uint32_t back;     /* return address */
};

static struct call open_call(struct sim_chip *c) {
  struct cpu *cpu = c->core.cpu;
  if (is_riscv(c))
    return (struct call){10, 10, cpu_get(cpu, 1)};
  uint32_t inc = ((struct xtensa *)cpu)->sr[SR_PS] >> 16 & 3;
  if (c->config.core.kind == SIM_CPU_LX106 || inc == 0)
    return (struct call){2, 2, cpu_get(cpu, 0)};
  int base = 4 * (int)inc;
  uint32_t back = (cpu_get(cpu, base) & 0x3FFFFFFF) | (cpu->pc & 0xC0000000);
  ((struct xtensa *)cpu)->sr[SR_PS] &= ~(uint32_t)PS_CALLINC;
  return (struct call){base + 2, base + 2, back};
}

static uint32_t argument(struct sim_chip *c, const struct call *call, int i) {
  if (!is_riscv(c) && call->first + i > 15) /* callx12: beyond the window of the caller */
    return 0;
  return cpu_get(c->core.cpu, call->first + i);
}

static uint32_t write_encrypted(struct sim_chip *c, uint32_t addr, uint32_t from, uint32_t n) {
  uint8_t part[SIM_PAGE];
  while (n > 0) {
    uint32_t size = n < sizeof part ? n : (uint32_t)sizeof part;
    if (cpu_bus_peek(c->core.bus, from, part, size) != size || !c->flash_connected)
      return 1;
    sim_loader_encrypt(c, addr, part, size);
    sim_flash_program(&c->flash, addr & SIM_ROM_ADDRESS, part, size);
    addr += size, from += size, n -= size;
  }
  return 0;
}

/* A structure of the ROM in the last page of its own memory. */
static uint32_t uart_device(struct sim_chip *c) {
  uint32_t at = (c->config.core.stack + 0x100) & ~3u;
  uint8_t link[4] = {(uint8_t)c->config.link_value, 0, 0, 0};
  cpu_bus_poke(c->core.bus, at + 0x18, link, sizeof link);
  return at;
}

static uint32_t security(struct sim_chip *c, uint32_t to) {
  uint8_t info[20];
  sim_security_info(c, info);
  size_t n = c->config.rom.security == SIM_SECURITY_FULL ? sizeof info : 12;
  return cpu_bus_poke(c->core.bus, to, info, n) == n ? 0 : 1;
}

enum {
  USB_PACKET = 64,
  USB_BACKLOG = 65536
}; /* a host that leaves more than that unread counts as one that does not */

static uint32_t usb_read(struct sim_chip *c, uint32_t to, uint32_t n) {
  uint8_t part[USB_PACKET];
  if (c->config.link != SIM_LINK_OTG)
    return 0;
  size_t size = n < sizeof part ? n : sizeof part;
  size = sim_line_take(&c->line, SIM_TO_CHIP, part, size, sim_core_time(c));
  if (size == 0)
    sim_core_idle(c);
  else
    sim_core_active(c);
  return (uint32_t)cpu_bus_poke(c->core.bus, to, part, size);
}

static uint32_t usb_write(struct sim_chip *c, uint32_t from, uint32_t n) {
  uint8_t part[USB_PACKET];
  if (c->config.link != SIM_LINK_OTG)
    return n;
  if (sim_line_pending(&c->line, SIM_TO_HOST) >= USB_BACKLOG)
    return 0;
  size_t size = cpu_bus_peek(c->core.bus, from, part, n < sizeof part ? n : sizeof part);
  sim_line_send(&c->line, SIM_TO_HOST, part, size, 0, 0, sim_core_time(c));
  sim_core_active(c);
  return (uint32_t)size;
}

/* What is printed, with "\n" as the ROM sends it. */
struct text {
  uint8_t bytes[PRINTED];
  size_t n;
};

static void add(struct text *t, const char *more, size_t n) {
  for (size_t i = 0; i < n && t->n + 2 <= sizeof t->bytes; i++) {
    if (more[i] == '\n')
      t->bytes[t->n++] = '\r';
    t->bytes[t->n++] = (uint8_t)more[i];
  }
}

static size_t string_at(struct sim_chip *c, uint32_t addr, char *to, size_t max) {
  size_t n = 0;
  while (n < max && cpu_bus_peek(c->core.bus, addr + (uint32_t)n, (uint8_t *)to + n, 1) == 1 && to[n])
    n++;
  return n;
}

/* One conversion: a flag 0, a width, and one of d u x X p c s. Returns the characters of it that were used.
 */
static size_t convert(struct sim_chip *c, const char *f, size_t left, uint32_t value, struct text *t) {
  char number[48], string[PRINTED];
  size_t n = 0;
  int zero = n < left && f[n] == '0', width = 0;
  while (n < left && f[n] >= '0' && f[n] <= '9' && width < 32)
    width = 10 * width + f[n++] - '0';
  while (n < left && f[n] == 'l')
    n++;
  width = width < 32 ? width : 32;
  if (n == left)
    return n;
  if (f[n] == 's')
    add(t, string, string_at(c, value, string, sizeof string));
  else if (f[n] == 'c')
    add(t, &(char){(char)value}, 1);
  else if (f[n] == 'd')
    add(t, number, (size_t)snprintf(number, sizeof number, zero ? "%0*d" : "%*d", width, (int)value));
  else if (f[n] == 'u')
    add(t, number, (size_t)snprintf(number, sizeof number, zero ? "%0*u" : "%*u", width, (unsigned)value));
  else if (f[n] == 'x' || f[n] == 'X' || f[n] == 'p')
    add(t, number, (size_t)snprintf(number, sizeof number, zero ? "%0*x" : "%*x", width, (unsigned)value));
  else
    add(t, f, n + 1);
  return n + 1;
}

static void print(struct sim_chip *c, const struct call *call) {
  char format[PRINTED];
  struct text t = {.n = 0};
  size_t n = string_at(c, argument(c, call, 0), format, sizeof format);
  int next = 1;
  for (size_t i = 0; i < n; i++) {
    if (format[i] != '%' || i + 1 == n)
      add(&t, format + i, 1);
    else if (format[i + 1] == '%')
      add(&t, format + i++, 1);
    else
      i += convert(c, format + i + 1, n - i - 1, next < ARGUMENTS ? argument(c, call, next++) : 0, &t);
  }
  double baud = c->config.link == SIM_LINK_UART ? sim_uart_baud(&c->uart) : 0;
  sim_line_send(&c->line, SIM_TO_HOST, t.bytes, t.n, baud, baud > 0 ? c->host_baud : 0, sim_core_time(c));
  sim_core_active(c);
}

static uint32_t serve(struct sim_chip *c, int kind, const struct call *call) {
  uint32_t a = argument(c, call, 0), b = argument(c, call, 1), n = argument(c, call, 2);
  switch (kind) {
  case SIM_TRAP_ATTACH:
    sim_loader_attach(c, a);
    return 0;
  case SIM_TRAP_WRITE_ENCRYPTED:
    return write_encrypted(c, a, b, n);
  case SIM_TRAP_SECURITY_INFO:
    return security(c, n);
  case SIM_TRAP_UART_DEVICE:
    return uart_device(c);
  case SIM_TRAP_RESET:
    sim_core_want(c, SIM_WANTS_RESET);
    return 0;
  case SIM_TRAP_BOOT:
    sim_core_want(c, SIM_WANTS_BOOT);
    return 0;
  case SIM_TRAP_USB_READ:
    return usb_read(c, b, n);
  case SIM_TRAP_USB_WRITE:
    return usb_write(c, b, n);
  case SIM_TRAP_PRINT:
    print(c, call);
    return 0;
  default:
    return 0;
  }
}

int sim_core_trap(struct sim_chip *c) {
  const struct sim_core_layout *l = &c->config.core;
  struct cpu *cpu = c->core.cpu;
  for (int i = 0; i < l->traps; i++)
    if (l->trap[i].addr == cpu->pc) {
      if (l->trap[i].kind == SIM_TRAP_PRINT && sim_line_pending(&c->line, SIM_TO_HOST) >= PRINT_BACKLOG) {
        sim_core_idle(c); /* until the line has taken what was printed before */
        return 1;
      }
      struct call call = open_call(c);
      uint32_t result = serve(c, l->trap[i].kind, &call);
      cpu_set(cpu, call.result, result);
      cpu_set(cpu, CPU_REG_PC, call.back);
      return 1;
    }
  return 0;
}
