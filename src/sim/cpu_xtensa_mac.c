/* cpu_xtensa_mac.c - MAC16: products of halves of registers, into a 40-bit accumulator; loads beside them. */
#include "sim/cpu_xtensa.h"

static int64_t accumulator(const struct xtensa *h) {
  return (int64_t)((uint64_t)h->sr[SR_ACCHI] << 32 | h->sr[SR_ACCLO]);
}

static void set_accumulator(struct xtensa *h, int64_t v) {
  h->sr[SR_ACCLO] = (uint32_t)v;
  h->sr[SR_ACCHI] = (((uint32_t)((uint64_t)v >> 32) & 0xFF) ^ 0x80) - 0x80;
}

/* The word is in imm. Bits 19..18: unsigned, plain, add, subtract; bits 17 and 16: high half of y, of x. */
static void multiply(struct xtensa *h, const struct cpu_insn *i, uint32_t x, uint32_t y) {
  uint32_t w = (uint32_t)i->imm, how = w >> 18 & 3;
  uint32_t p = w >> 16 & 1 ? x >> 16 : x & 0xFFFF, q = w >> 17 & 1 ? y >> 16 : y & 0xFFFF;
  int64_t product = how == 0 ? (int64_t)(p * q) : (int32_t)(int16_t)p * (int16_t)q;
  int64_t before = how < 2 ? 0 : accumulator(h);
  set_accumulator(h, how == 3 ? before - product : before + product);
}

/* m0 or m1, m2 or m3, and the one that is loaded. */
static uint32_t mx(const struct xtensa *h, const struct cpu_insn *i) {
  return h->sr[SR_M0 + (i->imm >> 14 & 1)];
}
static uint32_t my(const struct xtensa *h, const struct cpu_insn *i) {
  return h->sr[SR_M0 + 2 + (i->imm >> 6 & 1)];
}

XT_OP(x_aa) {
  multiply(h, i, h->a[i->b], h->a[i->c]);
}
XT_OP(x_ad) {
  multiply(h, i, h->a[i->b], my(h, i));
}
XT_OP(x_da) {
  multiply(h, i, mx(h, i), h->a[i->c]);
}
XT_OP(x_dd) {
  multiply(h, i, mx(h, i), my(h, i));
}

/* Moves the address first, by a word up or down. False: the load failed. */
static bool load_beside(struct xtensa *h, const struct cpu_insn *i, uint32_t step, uint32_t *value) {
  uint32_t address = h->a[i->b] + step;
  if (!xt_load(h, address, 4, value))
    return false;
  h->a[i->b] = address;
  return true;
}

#define BESIDE(name, step, product)                                                                          \
  XT_OP(name) {                                                                                              \
    uint32_t value, t = h->a[i->c];                                                                          \
    (void)t;                                                                                                 \
    if (!load_beside(h, i, (uint32_t)(step), &value))                                                        \
      return;                                                                                                \
    product;                                                                                                 \
    h->sr[SR_M0 + (i->imm >> 12 & 3)] = value;                                                               \
  }
BESIDE(x_ldinc, 4, (void)0)
BESIDE(x_lddec, -4, (void)0)
BESIDE(x_dd_inc, 4, multiply(h, i, mx(h, i), my(h, i)))
BESIDE(x_dd_dec, -4, multiply(h, i, mx(h, i), my(h, i)))
BESIDE(x_da_inc, 4, multiply(h, i, mx(h, i), t))
BESIDE(x_da_dec, -4, multiply(h, i, mx(h, i), t))

#define HALVES(match, mask, name, tail, args, run)                                                           \
  {match, mask, name ".ll" tail, "W" args, run, XT_MAC16},                                                   \
      {match | 1 << 16, mask, name ".hl" tail, "W" args, run, XT_MAC16},                                     \
      {match | 2 << 16, mask, name ".lh" tail, "W" args, run, XT_MAC16}, {                                   \
    match | 3 << 16, mask, name ".hh" tail, "W" args, run, XT_MAC16                                          \
  }
#define KINDS(op2, mask, kind, args, run)                                                                    \
  HALVES(op2 << 20 | 0x40004, mask, "mul" kind, "", args, run),                                              \
      HALVES(op2 << 20 | 0x80004, mask, "mula" kind, "", args, run),                                         \
      HALVES(op2 << 20 | 0xC0004, mask, "muls" kind, "", args, run)
enum { AA = 0xFFF00F, AD = 0xFFF0BF, DA = 0xFFBF0F, DD = 0xFFBFBF, DDL = 0xFF80BF, DAL = 0xFF800F };

const struct xt_op xt_mac_ops[] = {HALVES(0x700004, AA, "umul.aa", "", "s,t", x_aa),
                                   KINDS(7, AA, ".aa", "s,t", x_aa),
                                   KINDS(3, AD, ".ad", "s,Z", x_ad),
                                   KINDS(6, DA, ".da", "D,t", x_da),
                                   KINDS(2, DD, ".dd", "D,Z", x_dd),
                                   HALVES(0x080004, DDL, "mula.dd", ".ldinc", "Q,s,D,Z", x_dd_inc),
                                   HALVES(0x180004, DDL, "mula.dd", ".lddec", "Q,s,D,Z", x_dd_dec),
                                   HALVES(0x480004, DAL, "mula.da", ".ldinc", "Q,s,D,t", x_da_inc),
                                   HALVES(0x580004, DAL, "mula.da", ".lddec", "Q,s,D,t", x_da_dec),
                                   {0x800004, 0xFFC0FF, "ldinc", "WQ,s", x_ldinc, XT_MAC16},
                                   {0x900004, 0xFFC0FF, "lddec", "WQ,s", x_lddec, XT_MAC16},
                                   {0, 0, NULL, NULL, NULL, 0}};
