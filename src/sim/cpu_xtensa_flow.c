/* cpu_xtensa_flow.c - branches, jumps, loops, calls and the register windows of Xtensa. */
#include "sim/cpu_xtensa.h"

void xt_set_window(struct xtensa *h, uint32_t window) {
  enum { COPY = sizeof h->ar - 64 * sizeof *h->ar };
  if (h->window > 12)
    memcpy(h->ar, h->ar + 64, COPY);
  h->window = window & 15;
  if (h->window > 12)
    memcpy(h->ar + 64, h->ar, COPY);
  h->a = h->ar + 4 * h->window;
  xt_update_guard(h);
}

static unsigned physical(const struct xtensa *h, unsigned n) {
  n &= 63;
  return h->window > 12 && n < 12 ? n + 64 : n;
}

uint32_t xt_get_ar(const struct xtensa *h, unsigned n) {
  return h->ar[physical(h, n)];
}
void xt_set_ar(struct xtensa *h, unsigned n, uint32_t value) {
  h->ar[physical(h, n)] = value;
}

static bool starts(const struct xtensa *h, uint32_t window) {
  return h->sr[SR_WINDOWSTART] >> (window & 15) & 1;
}

void xt_update_guard(struct xtensa *h) {
  h->guard = 4;
  if ((h->sr[SR_PS] & (PS_WOE | PS_EXCM)) != PS_WOE)
    return;
  for (uint32_t k = 3; k > 0; k--)
    if (starts(h, h->window + k))
      h->guard = k;
}

void xt_update_loop(struct xtensa *h) {
  bool active = h->sr[SR_LCOUNT] && !(h->sr[SR_PS] & PS_EXCM);
  h->loop_end = active ? h->sr[SR_LEND] : 0;
}

#define BRANCH(name, condition)                                                                              \
  XT_OP(name) {                                                                                              \
    uint32_t s = h->a[i->b], t = h->a[i->c], d = i->d;                                                       \
    (void)t, (void)d;                                                                                        \
    if (condition)                                                                                           \
      xt_jump(h, h->cpu.at + (uint32_t)i->imm);                                                              \
  }
BRANCH(x_beqz, s == 0)
BRANCH(x_bnez, s != 0)
BRANCH(x_bltz, XT_S32(s) < 0)
BRANCH(x_bgez, XT_S32(s) >= 0)
BRANCH(x_beq, s == t)
BRANCH(x_bne, s != t)
BRANCH(x_blt, XT_S32(s) < XT_S32(t))
BRANCH(x_bge, XT_S32(s) >= XT_S32(t))
BRANCH(x_bltu, s < t)
BRANCH(x_bgeu, s >= t)
BRANCH(x_bany, (s & t) != 0)
BRANCH(x_bnone, (s & t) == 0)
BRANCH(x_ball, (s & t) == t)
BRANCH(x_bnall, (s & t) != t)
BRANCH(x_bbc, !(s >> (t & 31) & 1))
BRANCH(x_bbs, s >> (t & 31) & 1)
BRANCH(x_bbci, !(s >> d & 1))
BRANCH(x_bbsi, s >> d & 1)

/* Branches against one of sixteen constants, whose number is in d. */
static const uint32_t b4const[16] = {UINT32_MAX, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256};
static const uint32_t b4constu[16] = {32768, 65536, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256};
BRANCH(x_beqi, s == b4const[d])
BRANCH(x_bnei, s != b4const[d])
BRANCH(x_blti, XT_S32(s) < XT_S32(b4const[d]))
BRANCH(x_bgei, XT_S32(s) >= XT_S32(b4const[d]))
BRANCH(x_bltui, s < b4constu[d])
BRANCH(x_bgeui, s >= b4constu[d])

XT_OP(x_j) {
  xt_jump(h, h->cpu.at + (uint32_t)i->imm);
}
XT_OP(x_jx) {
  xt_jump(h, h->a[i->b]);
}
XT_OP(x_ret) {
  (void)i, xt_jump(h, h->a[0]);
}
XT_OP(x_nop) {
  (void)h, (void)i;
}
XT_OP(x_ill) {
  (void)i, xt_illegal(h);
}

static void loop(struct xtensa *h, const struct cpu_insn *i, bool enter) {
  h->sr[SR_LCOUNT] = h->a[i->b] - 1;
  h->sr[SR_LBEG] = h->cpu.pc;
  h->sr[SR_LEND] = h->cpu.at + (uint32_t)i->imm;
  if (!enter)
    h->cpu.pc = h->sr[SR_LEND];
  xt_update_loop(h);
}
XT_OP(x_loop) {
  loop(h, i, true);
}
XT_OP(x_loopnez) {
  loop(h, i, h->a[i->b] != 0);
}
XT_OP(x_loopgtz) {
  loop(h, i, XT_S32(h->a[i->b]) > 0);
}

/* The call's target is relative to the word that the instruction begins in; d is the increment. */
static void call(struct xtensa *h, const struct cpu_insn *i, uint32_t target) {
  uint32_t back = h->cpu.pc;
  if (i->d) {
    h->sr[SR_PS] = (h->sr[SR_PS] & ~(uint32_t)PS_CALLINC) | (uint32_t)i->d << 16;
    back = (back & 0x3FFFFFFF) | (uint32_t)i->d << 30;
  }
  h->a[4 * i->d] = back;
  xt_jump(h, target);
}
XT_OP(x_call) {
  call(h, i, (h->cpu.at & ~3u) + (uint32_t)i->imm);
}
XT_OP(x_callx) {
  call(h, i, h->a[i->b]);
}

static bool windows_on(struct xtensa *h) {
  if ((h->sr[SR_PS] & (PS_WOE | PS_EXCM)) == PS_WOE)
    return true;
  xt_illegal(h);
  return false;
}

XT_OP(x_entry) {
  uint32_t increment = (h->sr[SR_PS] & PS_CALLINC) >> 16;
  if (!windows_on(h))
    return;
  if (i->b > 3) {
    xt_illegal(h);
    return;
  }
  if (increment >= h->guard) {
    xt_overflow(h);
    return;
  }
  h->a[4 * increment + i->b] = h->a[i->b] - (uint32_t)i->imm;
  h->sr[SR_WINDOWSTART] |= 1u << ((h->window + increment) & 15);
  xt_set_window(h, h->window + increment);
}

XT_OP(x_retw) {
  uint32_t n = h->a[0] >> 30, old = h->window, nearest = 0;
  (void)i;
  if (!windows_on(h))
    return;
  for (uint32_t k = 3; k > 0; k--)
    if (starts(h, old - k))
      nearest = k;
  if (n == 0 || (nearest && nearest != n)) {
    xt_illegal(h);
    return;
  }
  uint32_t target = (h->a[0] & 0x3FFFFFFF) | (h->cpu.at & 0xC0000000);
  if (!starts(h, old - n)) {
    xt_underflow(h, n, old);
    return;
  }
  h->sr[SR_WINDOWSTART] &= ~(1u << old);
  xt_set_window(h, old - n);
  h->cpu.pc = target;
}

XT_OP(x_movsp) {
  if (!starts(h, h->window - 1) && !starts(h, h->window - 2) && !starts(h, h->window - 3))
    xt_raise(h, XT_ALLOCA, CPU_FAULT_WINDOW, CPU_BUS_OK, h->cpu.at);
  else
    h->a[i->c] = h->a[i->b];
}

XT_OP(x_rotw) {
  xt_set_window(h, h->window + (uint32_t)i->imm);
}

#define BRI8 0x00F00F
#define BRI12 0x0000FF
#define W XT_WINDOWED
/* clang-format off */
const struct xt_op xt_flow_ops[] = {
    {0x00008C, 0x0000CF, "beqz.n", "s,N", x_beqz, 0},     {0x0000CC, 0x0000CF, "bnez.n", "s,N", x_bnez, 0},
    {0x00F00D, 0x00FFFF, "ret.n", "", x_ret, 0},          {0x00F01D, 0x00FFFF, "retw.n", "", x_retw, W},
    {0x00F03D, 0x00FFFF, "nop.n", "", x_nop, 0},          {0x00F06D, 0x00FFFF, "ill.n", "", x_ill, 0},
    {0x000005, 0x00003F, "call0", "c", x_call, 0},        {0x000015, 0x00003F, "call4", "c", x_call, W},
    {0x000025, 0x00003F, "call8", "c", x_call, W},        {0x000035, 0x00003F, "call12", "c", x_call, W},
    {0x000006, 0x00003F, "j", "j", x_j, 0},               {0x0000C0, 0xFFF0FF, "callx0", "z", x_callx, 0},
    {0x0000D0, 0xFFF0FF, "callx4", "z", x_callx, W},      {0x0000E0, 0xFFF0FF, "callx8", "z", x_callx, W},
    {0x0000F0, 0xFFF0FF, "callx12", "z", x_callx, W},     {0x000080, 0xFFFFFF, "ret", "", x_ret, 0},
    {0x000090, 0xFFFFFF, "retw", "", x_retw, W},          {0x0000A0, 0xFFF0FF, "jx", "s", x_jx, 0},
    {0x000016, BRI12, "beqz", "s,w", x_beqz, 0},          {0x000056, BRI12, "bnez", "s,w", x_bnez, 0},
    {0x000096, BRI12, "bltz", "s,w", x_bltz, 0},          {0x0000D6, BRI12, "bgez", "s,w", x_bgez, 0},
    {0x000026, BRI12, "beqi", "s,k,b", x_beqi, 0},        {0x000066, BRI12, "bnei", "s,k,b", x_bnei, 0},
    {0x0000A6, BRI12, "blti", "s,k,b", x_blti, 0},        {0x0000E6, BRI12, "bgei", "s,k,b", x_bgei, 0},
    {0x0000B6, BRI12, "bltui", "s,K,b", x_bltui, 0},      {0x0000F6, BRI12, "bgeui", "s,K,b", x_bgeui, 0},
    {0x000036, BRI12, "entry", "s,E", x_entry, W},        {0x008076, 0x00F0FF, "loop", "s,o", x_loop, XT_LOOPS},
    {0x009076, 0x00F0FF, "loopnez", "s,o", x_loopnez, XT_LOOPS},
    {0x00A076, 0x00F0FF, "loopgtz", "s,o", x_loopgtz, XT_LOOPS},
    {0x000007, BRI8, "bnone", "s,t,b", x_bnone, 0},       {0x001007, BRI8, "beq", "s,t,b", x_beq, 0},
    {0x002007, BRI8, "blt", "s,t,b", x_blt, 0},           {0x003007, BRI8, "bltu", "s,t,b", x_bltu, 0},
    {0x004007, BRI8, "ball", "s,t,b", x_ball, 0},         {0x005007, BRI8, "bbc", "s,t,b", x_bbc, 0},
    {0x006007, 0x00E00F, "bbci", "s,B,b", x_bbci, 0},     {0x008007, BRI8, "bany", "s,t,b", x_bany, 0},
    {0x009007, BRI8, "bne", "s,t,b", x_bne, 0},           {0x00A007, BRI8, "bge", "s,t,b", x_bge, 0},
    {0x00B007, BRI8, "bgeu", "s,t,b", x_bgeu, 0},         {0x00C007, BRI8, "bnall", "s,t,b", x_bnall, 0},
    {0x00D007, BRI8, "bbs", "s,t,b", x_bbs, 0},           {0x00E007, 0x00E00F, "bbsi", "s,B,b", x_bbsi, 0},
    {0x001000, 0xFFF00F, "movsp", "t,s", x_movsp, W},     {0x408000, 0xFFFF0F, "rotw", "O", x_rotw, W},
    {0, 0, NULL, NULL, NULL, 0}};
