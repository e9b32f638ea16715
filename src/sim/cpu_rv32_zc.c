/* cpu_rv32_zc.c - more 16-bit instructions of RISC-V: Zcb, Zcmp (push and pop) and Zcmt (jumps through a
 * table), from chapter "Zc*" of the instruction set manual. Whole lists of registers take one cycle here, as
 * anything else. */
#include "sim/cpu_rv32.h"

#define LOAD(name, width, value)                                                                             \
  RV_OP(name) {                                                                                              \
    uint32_t v;                                                                                              \
    if (rv_load(h, h->x[i->b] + (uint32_t)i->imm, width, &v))                                                \
      h->x[i->a] = (value);                                                                                  \
  }
LOAD(x_lbu, 1, v)
LOAD(x_lhu, 2, v)
LOAD(x_lh, 2, (v ^ 0x8000) - 0x8000)

RV_OP(x_sb) {
  rv_store(h, h->x[i->b] + (uint32_t)i->imm, 1, h->x[i->c] & 0xFF);
}
RV_OP(x_sh) {
  rv_store(h, h->x[i->b] + (uint32_t)i->imm, 2, h->x[i->c] & 0xFFFF);
}

#define ONE(name, value)                                                                                     \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->x[i->a];                                                                                 \
    h->x[i->a] = (value);                                                                                    \
  }
ONE(x_zext_b, x & 0xFF)
ONE(x_sext_b, ((x & 0xFF) ^ 0x80) - 0x80)
ONE(x_zext_h, x & 0xFFFF)
ONE(x_sext_h, ((x & 0xFFFF) ^ 0x8000) - 0x8000)
ONE(x_not, ~x)
ONE(x_mul, x * h->x[i->c])

enum { RA = 1, SP = 2, A0 = 10, A1 = 11 };

/* The n-th register of a list: ra, s0, s1, s2, ... */
static unsigned listed(unsigned n) {
  return n == 0 ? RA : n < 3 ? 7 + n : 15 + n;
}
static unsigned length(unsigned rlist) {
  return rlist == 15 ? 13 : rlist - 3;
}

/* The last of the list is nearest to the caller's frame. Nothing is lost when an access fails: sp moves in
 * the end, and the instruction can be done again. */
RV_OP(x_push) {
  uint32_t at = h->x[SP];
  for (unsigned n = length(i->c); n-- > 0;)
    if (!rv_store(h, at -= 4, 4, h->x[listed(n)]))
      return;
  h->x[SP] -= (uint32_t)i->imm;
}

static bool pop(struct rv32 *h, const struct cpu_insn *i) {
  uint32_t at = h->x[SP] + (uint32_t)i->imm, value[13];
  for (unsigned n = length(i->c); n-- > 0;)
    if (!rv_load(h, at -= 4, 4, &value[n]))
      return false;
  for (unsigned n = length(i->c); n-- > 0;)
    h->x[listed(n)] = value[n];
  h->x[SP] += (uint32_t)i->imm;
  return true;
}
RV_OP(x_pop) {
  (void)pop(h, i);
}
RV_OP(x_popret) {
  if (pop(h, i))
    h->cpu.pc = h->x[RA] & ~1u;
}
RV_OP(x_popretz) {
  if (pop(h, i)) {
    h->x[A0] = 0;
    h->cpu.pc = h->x[RA] & ~1u;
  }
}

RV_OP(x_mvsa01) {
  h->x[i->b] = h->x[A0];
  h->x[i->c] = h->x[A1];
}
RV_OP(x_mva01s) {
  uint32_t first = h->x[i->b], second = h->x[i->c];
  h->x[A0] = first;
  h->x[A1] = second;
}

/* The table holds addresses of code; it is read as code is, so a missing one is a fault of the fetch. */
static bool through_table(struct rv32 *h, const struct cpu_insn *i) {
  uint32_t at = (h->csr[CSR_JVT] & ~63u) + 4 * (uint32_t)i->imm, target;
  int error = cpu_bus_load(h->cpu.bus, at, 4, &target);
  if (error) {
    rv_raise(h, RV_FETCH_FAULT, at, CPU_FAULT_FETCH, error);
    return false;
  }
  h->cpu.pc = target & ~1u;
  return true;
}
RV_OP(x_jt) {
  (void)through_table(h, i);
}
RV_OP(x_jalt) {
  uint32_t back = h->cpu.pc;
  if (through_table(h, i))
    h->x[RA] = back;
}

/* clang-format off */
const struct rv_op rv_compact[] = {
    {0x8000, 0xFC03, "c.lbu", "e,A(f)", x_lbu},       {0x8400, 0xFC43, "c.lhu", "e,B(f)", x_lhu},
    {0x8440, 0xFC43, "c.lh", "e,B(f)", x_lh},         {0x8800, 0xFC03, "c.sb", "g,A(f)", x_sb},
    {0x8C00, 0xFC43, "c.sh", "g,B(f)", x_sh},         {0x9C61, 0xFC7F, "c.zext.b", "h", x_zext_b},
    {0x9C65, 0xFC7F, "c.sext.b", "h", x_sext_b},      {0x9C69, 0xFC7F, "c.zext.h", "h", x_zext_h},
    {0x9C6D, 0xFC7F, "c.sext.h", "h", x_sext_h},      {0x9C75, 0xFC7F, "c.not", "h", x_not},
    {0x9C41, 0xFC63, "c.mul", "h,g", x_mul},          {0xB802, 0xFF03, "cm.push", "l,N", x_push},
    {0xBA02, 0xFF03, "cm.pop", "l,O", x_pop},         {0xBC02, 0xFF03, "cm.popretz", "l,O", x_popretz},
    {0xBE02, 0xFF03, "cm.popret", "l,O", x_popret},   {0xAC22, 0xFC63, "cm.mvsa01", "k,K", x_mvsa01},
    {0xAC62, 0xFC63, "cm.mva01s", "k,K", x_mva01s},   {0xA002, 0xFF83, "cm.jt", "I", x_jt},
    {0xA002, 0xFC03, "cm.jalt", "I", x_jalt},         {0, 0, NULL, NULL, NULL}};
