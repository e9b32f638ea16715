/* cpu_rv32_csr.c - control and status registers, traps and interrupts: machine mode of the privileged manual.
 *
 * Registers that nobody models keep what is written. There is no protection by PMP. */
#include "sim/cpu_rv32.h"

#include <stdio.h>

static const struct {
  unsigned number;
  const char *name;
} names[] = {
    {CSR_FFLAGS, "fflags"},
    {CSR_FRM, "frm"},
    {CSR_FCSR, "fcsr"},
    {CSR_JVT, "jvt"},
    {CSR_MSTATUS, "mstatus"},
    {CSR_MISA, "misa"},
    {CSR_MIE, "mie"},
    {CSR_MTVEC, "mtvec"},
    {0x306, "mcounteren"},
    {0x320, "mcountinhibit"},
    {CSR_MTVT, "mtvt"},
    {CSR_MINTTHRESH, "mintthresh"},
    {CSR_MINTSTATUS, "mintstatus"},
    {CSR_MSCRATCH, "mscratch"},
    {CSR_MEPC, "mepc"},
    {CSR_MCAUSE, "mcause"},
    {CSR_MTVAL, "mtval"},
    {CSR_MIP, "mip"},
    {0x7A0, "tselect"},
    {0x7A1, "tdata1"},
    {0x7A2, "tdata2"},
    {0x7A3, "tdata3"},
    {0x7A4, "tinfo"},
    {0x7A5, "tcontrol"},
    {0x7A8, "mcontext"},
    {0x7B0, "dcsr"},
    {0x7B1, "dpc"},
    {0x7B2, "dscratch0"},
    {0x7B3, "dscratch1"},
    {CSR_MCYCLE, "mcycle"},
    {CSR_MINSTRET, "minstret"},
    {CSR_MCYCLEH, "mcycleh"},
    {CSR_CYCLE, "cycle"},
    {CSR_TIME, "time"},
    {CSR_INSTRET, "instret"},
    {CSR_MINSTRETH, "minstreth"},
    {CSR_CYCLEH, "cycleh"},
    {CSR_TIMEH, "timeh"},
    {CSR_INSTRETH, "instreth"},
    {CSR_MVENDORID, "mvendorid"},
    {0xF12, "marchid"},
    {0xF13, "mimpid"},
    {CSR_MHARTID, "mhartid"},
    {0x3A0, "pmpcfg0"},
    {0x3A1, "pmpcfg1"},
    {0x3A2, "pmpcfg2"},
    {0x3A3, "pmpcfg3"},
    {0x3B0, "pmpaddr0"},
    {0x3B1, "pmpaddr1"},
    {0x3B2, "pmpaddr2"},
    {0x3B3, "pmpaddr3"},
    {0x3B4, "pmpaddr4"},
    {0x3B5, "pmpaddr5"},
    {0x3B6, "pmpaddr6"},
    {0x3B7, "pmpaddr7"},
    {0x3B8, "pmpaddr8"},
    {0x3B9, "pmpaddr9"},
    {0x3BA, "pmpaddr10"},
    {0x3BB, "pmpaddr11"},
    {0x3BC, "pmpaddr12"},
    {0x3BD, "pmpaddr13"},
    {0x3BE, "pmpaddr14"},
    {0x3BF, "pmpaddr15"},
};

const char *rv_csr_name(unsigned csr) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].number == csr)
      return names[i].name;
  return NULL;
}

int rv_csr_find(const char *name) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i].name, name) == 0)
      return (int)names[i].number;
  unsigned number;
  char end;
  if (sscanf(name, "csr%x%c", &number, &end) == 1 && number < 4096)
    return (int)number;
  return -1;
}

static uint64_t counter(const struct rv32 *h, unsigned csr) {
  switch (csr & 0xFF) {
  case CSR_INSTRET & 0xFF:
    return h->cpu.cycles + h->instret_base;
  case CSR_TIME & 0xFF:
    return h->cpu.cycles;
  default:
    return h->cpu.cycles + h->cycle_base;
  }
}

/* The count of Espressif's own counter; it stands while bit 0 of its mode register is clear. */
static uint32_t own_counter(const struct rv32 *h) {
  if (!(h->csr[CSR_MPCMR] & 1))
    return h->csr[CSR_MPCCR];
  return (uint32_t)(h->cpu.cycles + h->counter_base);
}

static bool is_float_csr(unsigned csr) {
  return csr >= CSR_FFLAGS && csr <= CSR_FCSR;
}

/* With a CLIC in its own mode mcause shows MPP and MPIE of mstatus as well. */
static bool in_clic(const struct rv32 *h) {
  return h->config.clic && (h->csr[CSR_MTVEC] & 3) == 3;
}

static uint32_t status_in_cause(const struct rv32 *h) {
  return 3u << 28 | (h->csr[CSR_MSTATUS] & MSTATUS_MPIE ? 1u << 27 : 0);
}

/* Espressif's counter shows at the numbers of user mode, too. */
static unsigned own_number(unsigned csr) {
  return csr >= CSR_UPCER && csr <= CSR_UPCCR ? csr - CSR_UPCER + CSR_MPCER : csr;
}

bool rv_csr_read(struct rv32 *h, unsigned csr, uint32_t *value) {
  csr = own_number(csr);
  if (is_float_csr(csr) && (!h->config.floats || !(h->csr[CSR_MSTATUS] & MSTATUS_FS)))
    return false;
  switch (csr) {
  case CSR_CYCLE:
  case CSR_TIME:
  case CSR_INSTRET:
  case CSR_MCYCLE:
  case CSR_MINSTRET:
    *value = (uint32_t)counter(h, csr);
    return true;
  case CSR_CYCLEH:
  case CSR_TIMEH:
  case CSR_INSTRETH:
  case CSR_MCYCLEH:
  case CSR_MINSTRETH:
    *value = (uint32_t)(counter(h, csr & ~0x80u) >> 32);
    return true;
  case CSR_MPCCR:
    *value = own_counter(h);
    return true;
  case CSR_FFLAGS:
    *value = h->csr[CSR_FCSR] & 31;
    return true;
  case CSR_FRM:
    *value = h->csr[CSR_FCSR] >> 5 & 7;
    return true;
  case CSR_MIP:
    *value = h->cpu.lines;
    return true;
  case CSR_MCAUSE:
    *value = in_clic(h) ? (h->csr[csr] & ~(7u << 27)) | status_in_cause(h) : h->csr[csr];
    return true;
  case CSR_MINTSTATUS_OLD:
  case CSR_MINTSTATUS:
    *value = h->config.clic ? (uint32_t)h->level << 24 : h->csr[csr];
    return true;
  default:
    *value = h->csr[csr];
    return true;
  }
}

static void write_counter(uint64_t *base, uint64_t now, uint32_t value, bool high) {
  uint64_t count = now + *base;
  count = high ? (uint64_t)value << 32 | (uint32_t)count : (count >> 32 << 32) | value;
  *base = count - now;
}

static void write_status(struct rv32 *h, uint32_t value) {
  uint32_t keep = MSTATUS_MIE | MSTATUS_MPIE | (h->config.floats ? (uint32_t)MSTATUS_FS : 0);
  uint32_t v = (value & keep) | MSTATUS_MPP;
  if ((v & MSTATUS_FS) == MSTATUS_FS)
    v |= 1u << 31; /* SD */
  h->csr[CSR_MSTATUS] = v;
  cpu_look(&h->cpu);
}

bool rv_csr_write(struct rv32 *h, unsigned csr, uint32_t value) {
  csr = own_number(csr);
  if (csr >> 10 == 3) /* read only by its number */
    return false;
  if (is_float_csr(csr)) {
    if (!h->config.floats || !(h->csr[CSR_MSTATUS] & MSTATUS_FS))
      return false;
    uint32_t old = h->csr[CSR_FCSR];
    h->csr[CSR_FCSR] = csr == CSR_FFLAGS ? (old & 0xE0) | (value & 31)
                       : csr == CSR_FRM  ? (old & 31) | (value & 7) << 5
                                         : value & 0xFF;
    write_status(h, h->csr[CSR_MSTATUS] | MSTATUS_FS);
    return true;
  }
  switch (csr) {
  case CSR_MCYCLE:
  case CSR_MCYCLEH:
    write_counter(&h->cycle_base, h->cpu.cycles, value, csr == CSR_MCYCLEH);
    break;
  case CSR_MINSTRET:
  case CSR_MINSTRETH:
    write_counter(&h->instret_base, h->cpu.cycles, value, csr == CSR_MINSTRETH);
    break;
  case CSR_MPCCR:
    h->csr[csr] = value;
    h->counter_base = value - h->cpu.cycles;
    break;
  case CSR_MPCMR:
    h->csr[CSR_MPCCR] = own_counter(h);
    h->csr[csr] = value;
    h->counter_base = h->csr[CSR_MPCCR] - h->cpu.cycles;
    break;
  case CSR_MSTATUS:
    write_status(h, value);
    break;
  case CSR_MISA:
  case CSR_MIP:
    break;
  case CSR_MCAUSE:
    h->csr[csr] = value;
    if (in_clic(h))
      write_status(h, (h->csr[CSR_MSTATUS] & ~(uint32_t)MSTATUS_MPIE) | (value >> 27 & 1) << 7);
    break;
  case CSR_MINTSTATUS_OLD:
    if (!h->config.clic)
      h->csr[csr] = value;
    break;
  case CSR_MTVEC: /* with a CLIC there is no other mode */
    h->csr[csr] = h->config.clic ? (value & ~63u) | 3 : value;
    break;
  case CSR_MEPC:
    h->csr[csr] = value & ~1u;
    break;
  case CSR_MIE:
  case CSR_MINTTHRESH:
    h->csr[csr] = value;
    cpu_look(&h->cpu);
    break;
  default:
    h->csr[csr] = value;
  }
  return true;
}

static void trap(struct rv32 *h, uint32_t pc, uint32_t cause, uint32_t value) {
  uint32_t status = h->csr[CSR_MSTATUS], vector = h->csr[CSR_MTVEC];
  if (in_clic(h)) {
    cause |= (uint32_t)h->level << 16;
    vector &= ~63u;
  }
  h->csr[CSR_MEPC] = pc;
  h->csr[CSR_MCAUSE] = cause;
  h->csr[CSR_MTVAL] = value;
  status = (status & ~(uint32_t)(MSTATUS_MIE | MSTATUS_MPIE)) | MSTATUS_MPP;
  if (h->csr[CSR_MSTATUS] & MSTATUS_MIE)
    status |= MSTATUS_MPIE;
  h->csr[CSR_MSTATUS] = status;
  h->cpu.pc = (vector & ~3u) + ((vector & 1) && cause >> 31 ? 4 * (cause & 31) : 0);
}

void rv_raise(struct rv32 *h, enum rv_cause cause, uint32_t value, enum cpu_fault_code code, int bus_error) {
  if (h->cpu.guest_exceptions)
    trap(h, h->cpu.at, cause, value);
  else
    cpu_stop_fault(&h->cpu, code, bus_error, value);
}

void rv_illegal(struct rv32 *h) {
  uint8_t code[4] = {0};
  size_t n = cpu_fetch(&h->cpu, h->cpu.at, code, sizeof code);
  uint32_t w = cpu_get_le(code, 4);
  rv_raise(h, RV_ILLEGAL, n < 4 || (w & 3) != 3 ? w & 0xFFFF : w, CPU_FAULT_ILLEGAL, CPU_BUS_OK);
}

void rv_mret(struct rv32 *h) {
  uint32_t status = h->csr[CSR_MSTATUS];
  h->cpu.pc = h->csr[CSR_MEPC];
  if (in_clic(h))
    h->level = h->csr[CSR_MCAUSE] >> 16 & 0xFF;
  uint32_t mie = status & MSTATUS_MPIE ? MSTATUS_MIE : 0;
  h->csr[CSR_MSTATUS] = (status & ~(uint32_t)MSTATUS_MIE) | mie | MSTATUS_MPIE;
  cpu_look(&h->cpu);
}

/* The order of the manual: external, software, timer; then the chip's own lines from the lowest. */
static int first_line(uint32_t pending) {
  static const int order[] = {11, 3, 7};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++)
    if (pending >> order[i] & 1)
      return order[i];
  return __builtin_ctz(pending);
}

/* The place of a handler in the CLIC's table; reading it may fail like a fetch. */
static void vector_through_table(struct rv32 *h, uint32_t id) {
  uint32_t at = (h->csr[CSR_MTVT] & ~63u) + 4 * id, target;
  int error = cpu_bus_load(h->cpu.bus, at, 4, &target);
  h->cpu.at = at;
  if (error)
    rv_raise(h, RV_FETCH_FAULT, at, CPU_FAULT_FETCH, error);
  else
    h->cpu.pc = target & ~1u;
}

static bool from_controller(struct rv32 *h) {
  struct cpu_irq irq = {0};
  if (!h->cpu.choose(h->cpu.choose_ctx, &h->cpu, &irq))
    return false;
  bool clic = in_clic(h);
  if (clic && (irq.level <= h->level || irq.level <= (h->csr[CSR_MINTTHRESH] & 0xFF)))
    return false;
  if (!(h->csr[CSR_MSTATUS] & MSTATUS_MIE))
    return true;
  trap(h, h->cpu.pc, 0x80000000u | (irq.id & 0xFFF), 0);
  if (clic) {
    h->level = irq.level;
    if (irq.vectored)
      vector_through_table(h, irq.id);
  }
  return true;
}

bool rv_interrupt(struct cpu *c) {
  struct rv32 *h = (struct rv32 *)c;
  if (c->choose)
    return from_controller(h);
  uint32_t pending = c->lines & (h->config.mie ? h->csr[CSR_MIE] : UINT32_MAX);
  if (!pending)
    return false;
  if (h->csr[CSR_MSTATUS] & MSTATUS_MIE) {
    int line = h->config.mie ? first_line(pending) : __builtin_ctz(pending);
    trap(h, c->pc, 0x80000000u | (uint32_t)line, 0);
  }
  return true;
}
