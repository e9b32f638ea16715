/* cpu_rv32_b.c - bit manipulation of RISC-V: Zba, Zbb, Zbs, from chapter "B" of the instruction set manual.
 */
#include "sim/cpu_rv32.h"

#define S32(v) ((int32_t)(v))

#define REG(name, value)                                                                                     \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->x[i->b], y = h->x[i->c];                                                                 \
    h->x[i->a] = (value);                                                                                    \
  }
#define IMM(name, value)                                                                                     \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->x[i->b], y = (uint32_t)i->imm;                                                           \
    h->x[i->a] = (value);                                                                                    \
  }
#define ONE(name, value)                                                                                     \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->x[i->b];                                                                                 \
    h->x[i->a] = (value);                                                                                    \
  }

static uint32_t right(uint32_t x, uint32_t n) {
  n &= 31;
  return n ? x >> n | x << (32 - n) : x;
}

static uint32_t filled_bytes(uint32_t x) {
  uint32_t v = 0;
  for (int at = 0; at < 32; at += 8)
    v |= x >> at & 0xFF ? 0xFFu << at : 0;
  return v;
}

REG(x_sh1add, (x << 1) + y)
REG(x_sh2add, (x << 2) + y)
REG(x_sh3add, (x << 3) + y)
REG(x_andn, x & ~y)
REG(x_orn, x | ~y)
REG(x_xnor, ~(x ^ y))
REG(x_max, S32(x) > S32(y) ? x : y)
REG(x_maxu, x > y ? x : y)
REG(x_min, S32(x) < S32(y) ? x : y)
REG(x_minu, x < y ? x : y)
REG(x_rol, right(x, 0 - y))
REG(x_ror, right(x, y))
IMM(x_rori, right(x, y))
ONE(x_clz, x ? (uint32_t)__builtin_clz(x) : 32)
ONE(x_ctz, x ? (uint32_t)__builtin_ctz(x) : 32)
ONE(x_cpop, (uint32_t)__builtin_popcount(x))
ONE(x_sext_b, ((x & 0xFF) ^ 0x80) - 0x80)
ONE(x_sext_h, ((x & 0xFFFF) ^ 0x8000) - 0x8000)
ONE(x_zext_h, x & 0xFFFF)
ONE(x_orc_b, filled_bytes(x))
ONE(x_rev8, __builtin_bswap32(x))

#define BIT(y) (1u << ((y)&31))
REG(x_bclr, x & ~BIT(y))
IMM(x_bclri, x & ~BIT(y))
REG(x_bext, x >> (y & 31) & 1)
IMM(x_bexti, x >> (y & 31) & 1)
REG(x_binv, x ^ BIT(y))
IMM(x_binvi, x ^ BIT(y))
REG(x_bset, x | BIT(y))
IMM(x_bseti, x | BIT(y))

#define R_TYPE 0xFE00707F
#define U_TYPE 0xFFF0707F

/* clang-format off */
const struct rv_op rv_bits[] = {
    {0x20002033, R_TYPE, "sh1add", "d,s,t", x_sh1add}, {0x20004033, R_TYPE, "sh2add", "d,s,t", x_sh2add},
    {0x20006033, R_TYPE, "sh3add", "d,s,t", x_sh3add}, {0x40007033, R_TYPE, "andn", "d,s,t", x_andn},
    {0x40006033, R_TYPE, "orn", "d,s,t", x_orn},       {0x40004033, R_TYPE, "xnor", "d,s,t", x_xnor},
    {0x0A006033, R_TYPE, "max", "d,s,t", x_max},       {0x0A007033, R_TYPE, "maxu", "d,s,t", x_maxu},
    {0x0A004033, R_TYPE, "min", "d,s,t", x_min},       {0x0A005033, R_TYPE, "minu", "d,s,t", x_minu},
    {0x60001033, R_TYPE, "rol", "d,s,t", x_rol},       {0x60005033, R_TYPE, "ror", "d,s,t", x_ror},
    {0x60005013, R_TYPE, "rori", "d,s,>", x_rori},     {0x60001013, U_TYPE, "clz", "d,s", x_clz},
    {0x60101013, U_TYPE, "ctz", "d,s", x_ctz},         {0x60201013, U_TYPE, "cpop", "d,s", x_cpop},
    {0x60401013, U_TYPE, "sext.b", "d,s", x_sext_b},   {0x60501013, U_TYPE, "sext.h", "d,s", x_sext_h},
    {0x08004033, U_TYPE, "zext.h", "d,s", x_zext_h},   {0x28705013, U_TYPE, "orc.b", "d,s", x_orc_b},
    {0x69805013, U_TYPE, "rev8", "d,s", x_rev8},       {0x48001033, R_TYPE, "bclr", "d,s,t", x_bclr},
    {0x48001013, R_TYPE, "bclri", "d,s,>", x_bclri},   {0x48005033, R_TYPE, "bext", "d,s,t", x_bext},
    {0x48005013, R_TYPE, "bexti", "d,s,>", x_bexti},   {0x68001033, R_TYPE, "binv", "d,s,t", x_binv},
    {0x68001013, R_TYPE, "binvi", "d,s,>", x_binvi},   {0x28001033, R_TYPE, "bset", "d,s,t", x_bset},
    {0x28001013, R_TYPE, "bseti", "d,s,>", x_bseti},   {0, 0, NULL, NULL, NULL}};
