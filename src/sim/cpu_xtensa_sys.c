/* cpu_xtensa_sys.c - special registers as instructions, returns from exceptions, waiting, synchronisation,
 * booleans. */
#include "sim/cpu_xtensa.h"

XT_OP(x_rsr) {
  uint32_t v;
  if (xt_read_sr(h, (unsigned)i->imm, &v))
    h->a[i->c] = v;
  else
    xt_illegal(h);
}

XT_OP(x_wsr) {
  if (!xt_write_sr(h, (unsigned)i->imm, h->a[i->c]))
    xt_illegal(h);
}

XT_OP(x_xsr) {
  uint32_t v, new_value = h->a[i->c];
  if (!xt_read_sr(h, (unsigned)i->imm, &v) || !xt_write_sr(h, (unsigned)i->imm, new_value))
    xt_illegal(h);
  else
    h->a[i->c] = v;
}

XT_OP(x_rur) {
  h->a[i->a] = h->ur[i->imm];
}
XT_OP(x_wur) {
  h->ur[i->imm] = h->a[i->c];
}

XT_OP(x_rsil) {
  h->a[i->c] = h->sr[SR_PS];
  xt_set_ps(h, (h->sr[SR_PS] & ~(uint32_t)PS_INTLEVEL) | (uint32_t)i->imm);
}

XT_OP(x_waiti) {
  xt_set_ps(h, (h->sr[SR_PS] & ~(uint32_t)PS_INTLEVEL) | (uint32_t)i->imm);
  h->cpu.waiting = true;
}

XT_OP(x_rfe) {
  (void)i;
  h->cpu.pc = h->sr[SR_EPC1];
  xt_set_ps(h, h->sr[SR_PS] & ~(uint32_t)PS_EXCM);
}

XT_OP(x_rfde) {
  (void)i, h->cpu.pc = h->sr[SR_DEPC];
}

/* Levels that the core has not read as zero; 1 has no EPS. */
XT_OP(x_rfi) {
  if (i->imm < 2 || i->imm > h->config->levels) {
    xt_illegal(h);
    return;
  }
  h->cpu.pc = h->sr[SR_EPC1 + i->imm - 1];
  xt_set_ps(h, h->sr[SR_EPS2 + i->imm - 2]);
}

/* From the window handlers: the window that was spilled (rfwo) or filled (rfwu). */
static void window_return(struct xtensa *h) {
  uint32_t ps = h->sr[SR_PS];
  h->cpu.pc = h->sr[SR_EPC1];
  xt_set_window(h, (ps & PS_OWB) >> 8);
  xt_set_ps(h, ps & ~(uint32_t)PS_EXCM);
}

XT_OP(x_rfwo) {
  (void)i;
  h->sr[SR_WINDOWSTART] &= ~(1u << h->window);
  window_return(h);
}

XT_OP(x_rfwu) {
  (void)i;
  h->sr[SR_WINDOWSTART] |= 1u << h->window;
  window_return(h);
}

XT_OP(x_syscall) {
  (void)i, xt_raise(h, XT_SYSCALL, CPU_FAULT_CALL, CPU_BUS_OK, h->cpu.at);
}
XT_OP(x_break) {
  (void)i, xt_break(h, 1 << 3);
}
XT_OP(x_break_n) {
  (void)i, xt_break(h, 1 << 4);
}
XT_OP(x_nop) {
  (void)h, (void)i;
}
XT_OP(x_ill) {
  (void)i, xt_illegal(h);
}

/* For simulators of the core's maker. Cores as old as LX106 trap it, later ones pass over it. */
XT_OP(x_simcall) {
  if (!(h->config->options & XT_WINDOWED))
    x_ill(h, i);
}

/* Region protection: everything is mapped to itself and allowed. */
XT_OP(x_rtlb) {
  h->a[i->c] = h->a[i->b] & 0xE0000000;
}
/* External registers (debug module): none answers. */
XT_OP(x_rer) {
  h->a[i->c] = 0;
}

static uint32_t get_b(const struct xtensa *h, unsigned n) {
  return h->sr[SR_BR] >> n & 1;
}
static void set_b(struct xtensa *h, unsigned n, uint32_t v) {
  h->sr[SR_BR] = (h->sr[SR_BR] & ~(1u << n)) | (v & 1) << n;
}

#define BOOLEAN(name, value)                                                                                 \
  XT_OP(name) {                                                                                              \
    uint32_t s = get_b(h, i->b), t = get_b(h, i->c);                                                         \
    set_b(h, i->a, (value));                                                                                 \
  }
BOOLEAN(x_andb, s &t)
BOOLEAN(x_andbc, s & ~t)
BOOLEAN(x_orb, s | t)
BOOLEAN(x_orbc, s | ~t)
BOOLEAN(x_xorb, s ^ t)

/* any4, all4, any8, all8: the result goes to t, s is the first of a group */
static uint32_t group(const struct xtensa *h, unsigned first, unsigned n) {
  return h->sr[SR_BR] >> (first & ~(n - 1)) & ((1u << n) - 1);
}
XT_OP(x_any4) {
  set_b(h, i->c, group(h, i->b, 4) != 0);
}
XT_OP(x_all4) {
  set_b(h, i->c, group(h, i->b, 4) == 15);
}
XT_OP(x_any8) {
  set_b(h, i->c, group(h, i->b, 8) != 0);
}
XT_OP(x_all8) {
  set_b(h, i->c, group(h, i->b, 8) == 255);
}
XT_OP(x_movf) {
  if (!get_b(h, i->c))
    h->a[i->a] = h->a[i->b];
}
XT_OP(x_movt) {
  if (get_b(h, i->c))
    h->a[i->a] = h->a[i->b];
}
XT_OP(x_bf) {
  if (!get_b(h, i->b))
    xt_jump(h, h->cpu.at + (uint32_t)i->imm);
}
XT_OP(x_bt) {
  if (get_b(h, i->b))
    xt_jump(h, h->cpu.at + (uint32_t)i->imm);
}

#define W XT_WINDOWED
#define B XT_BOOLEAN
#define ALL 0xFFFFFF
#define RSR 0xFF000F
/* clang-format off */
const struct xt_op xt_system_ops[] = {
    {0x030000, RSR, "rsr", "Yt", x_rsr, 0},               {0x130000, RSR, "wsr", "Yt", x_wsr, 0},
    {0x610000, RSR, "xsr", "Yt", x_xsr, 0},               {0xE30000, RSR, "rur", "Ur", x_rur, XT_THREADPTR},
    {0xF30000, RSR, "wur", "Vt", x_wur, XT_THREADPTR},    {0x006000, 0xFFF00F, "rsil", "t,I", x_rsil, 0},
    {0x007000, 0xFFF0FF, "waiti", "I", x_waiti, 0},       {0x003000, ALL, "rfe", "", x_rfe, 0},
    {0x003200, ALL, "rfde", "", x_rfde, 0},               {0x003010, 0xFFF0FF, "rfi", "I", x_rfi, 0},
    {0x003400, ALL, "rfwo", "", x_rfwo, W},               {0x003500, ALL, "rfwu", "", x_rfwu, W},
    {0x005000, ALL, "syscall", "", x_syscall, 0},         {0x005100, ALL, "simcall", "", x_simcall, 0},
    {0x004000, 0xFFF00F, "break", "I,J", x_break, 0},     {0x00F02D, 0x00F0FF, "break.n", "I", x_break_n, 0},
    {0x000000, ALL, "ill", "", x_ill, 0},                 {0x002000, ALL, "isync", "", x_nop, 0},
    {0x002010, ALL, "rsync", "", x_nop, 0},               {0x002020, ALL, "esync", "", x_nop, 0},
    {0x002030, ALL, "dsync", "", x_nop, 0},               {0x002080, ALL, "excw", "", x_nop, 0},
    {0x0020C0, ALL, "memw", "", x_nop, 0},                {0x0020D0, ALL, "extw", "", x_nop, 0},
    {0x0020F0, ALL, "nop", "", x_nop, 0},                 {0x406000, 0xFFF00F, "rer", "t,s", x_rer, 0},
    {0x407000, 0xFFF00F, "wer", "t,s", x_nop, 0},         {0x503000, 0xFFF00F, "ritlb0", "t,s", x_rtlb, 0},
    {0x504000, 0xFFF0FF, "iitlb", "s", x_nop, 0},         {0x505000, 0xFFF00F, "pitlb", "t,s", x_rtlb, 0},
    {0x506000, 0xFFF00F, "witlb", "t,s", x_nop, 0},       {0x507000, 0xFFF00F, "ritlb1", "t,s", x_rtlb, 0},
    {0x50B000, 0xFFF00F, "rdtlb0", "t,s", x_rtlb, 0},     {0x50C000, 0xFFF0FF, "idtlb", "s", x_nop, 0},
    {0x50D000, 0xFFF00F, "pdtlb", "t,s", x_rtlb, 0},      {0x50E000, 0xFFF00F, "wdtlb", "t,s", x_nop, 0},
    {0x50F000, 0xFFF00F, "rdtlb1", "t,s", x_rtlb, 0},
    {0x008000, 0xFFF00F, "any4", "T,S", x_any4, B},       {0x009000, 0xFFF00F, "all4", "T,S", x_all4, B},
    {0x00A000, 0xFFF00F, "any8", "T,S", x_any8, B},       {0x00B000, 0xFFF00F, "all8", "T,S", x_all8, B},
    {0x020000, RSR, "andb", "R,S,T", x_andb, B},          {0x120000, RSR, "andbc", "R,S,T", x_andbc, B},
    {0x220000, RSR, "orb", "R,S,T", x_orb, B},            {0x320000, RSR, "orbc", "R,S,T", x_orbc, B},
    {0x420000, RSR, "xorb", "R,S,T", x_xorb, B},          {0xC30000, RSR, "movf", "r,s,T", x_movf, B},
    {0xD30000, RSR, "movt", "r,s,T", x_movt, B},          {0x000076, 0x00F0FF, "bf", "S,b", x_bf, B},
    {0x001076, 0x00F0FF, "bt", "S,b", x_bt, B},           {0, 0, NULL, NULL, NULL, 0}};
