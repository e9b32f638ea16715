/* cpu_xtensa_alu.c - arithmetic, logic, shifts, moves and multiplications of Xtensa. */
#include "sim/cpu_xtensa.h"

/* AR[r] = f(AR[s], AR[t], immediate) */
#define ALU(name, value)                                                                                     \
  XT_OP(name) {                                                                                              \
    uint32_t s = h->a[i->b], t = h->a[i->c], n = (uint32_t)i->imm;                                           \
    (void)s, (void)t, (void)n;                                                                               \
    h->a[i->a] = (value);                                                                                    \
  }
#define SAR (h->sr[SR_SAR])

static uint32_t shift_right(uint32_t x, uint32_t n) {
  if (n == 0)
    return x;
  uint32_t fill = XT_S32(x) < 0 ? UINT32_MAX : 0;
  return n > 31 ? fill : x >> n | fill << (32 - n);
}

ALU(x_add, s + t)
ALU(x_addx2, (s << 1) + t)
ALU(x_addx4, (s << 2) + t)
ALU(x_addx8, (s << 3) + t)
ALU(x_sub, s - t)
ALU(x_subx2, (s << 1) - t)
ALU(x_subx4, (s << 2) - t)
ALU(x_subx8, (s << 3) - t)
ALU(x_and, s &t)
ALU(x_or, s | t)
ALU(x_xor, s ^ t)
ALU(x_neg, 0 - t)
ALU(x_abs, XT_S32(t) < 0 ? 0 - t : t)
ALU(x_mov, s)
ALU(x_movi, n)
ALU(x_addi, s + n)

ALU(x_slli, (uint32_t)((uint64_t)s << n)) /* 1..32 */
ALU(x_srli, t >> n)
ALU(x_srai, shift_right(t, n))
ALU(x_sll, (uint32_t)((uint64_t)s << 32 >> SAR))
ALU(x_srl, SAR > 31 ? 0 : t >> SAR)
ALU(x_sra, shift_right(t, SAR))
ALU(x_src, (uint32_t)(((uint64_t)s << 32 | t) >> (SAR & 63)))

XT_OP(x_ssl) {
  SAR = 32 - (h->a[i->b] & 31);
}
XT_OP(x_ssr) {
  SAR = h->a[i->b] & 31;
}
XT_OP(x_ssa8l) {
  SAR = (h->a[i->b] & 3) << 3;
}
XT_OP(x_ssa8b) {
  SAR = 32 - ((h->a[i->b] & 3) << 3);
}
XT_OP(x_ssai) {
  SAR = (uint32_t)i->imm;
}

/* extui: imm is the shift, d the width */
ALU(x_extui, t >> n & ((2u << (i->d - 1)) - 1))

#define MOVE_IF(name, condition)                                                                             \
  XT_OP(name) {                                                                                              \
    uint32_t t = h->a[i->c];                                                                                 \
    if (condition)                                                                                           \
      h->a[i->a] = h->a[i->b];                                                                               \
  }
MOVE_IF(x_moveqz, t == 0)
MOVE_IF(x_movnez, t != 0)
MOVE_IF(x_movltz, XT_S32(t) < 0)
MOVE_IF(x_movgez, XT_S32(t) >= 0)

ALU(x_salt, XT_S32(s) < XT_S32(t))
ALU(x_saltu, s < t)
ALU(x_min, XT_S32(s) < XT_S32(t) ? s : t)
ALU(x_max, XT_S32(s) > XT_S32(t) ? s : t)
ALU(x_minu, s < t ? s : t)
ALU(x_maxu, s > t ? s : t)

/* Sign bit at n: 7..22. */
ALU(x_sext, ((s & ((2u << n) - 1)) ^ 1u << n) - (1u << n))

static uint32_t clamp(int32_t v, uint32_t n) {
  int32_t low = -(int32_t)(1u << n), high = (int32_t)(1u << n) - 1;
  return (uint32_t)(v < low ? low : v > high ? high : v);
}
ALU(x_clamps, clamp(XT_S32(s), n))

static uint32_t leading_zeros(uint32_t v) {
  return v ? (uint32_t)__builtin_clz(v) : 32;
}
/* nsa and nsau: the result goes to AR[t] */
XT_OP(x_nsau) {
  h->a[i->c] = leading_zeros(h->a[i->b]);
}
XT_OP(x_nsa) {
  uint32_t s = h->a[i->b];
  h->a[i->c] = leading_zeros(XT_S32(s) < 0 ? ~s : s) - 1;
}

ALU(x_mull, s *t)
ALU(x_mul16u, (s & 0xFFFF) * (t & 0xFFFF))
ALU(x_mul16s, (uint32_t)((int32_t)(int16_t)s *(int16_t)t))
ALU(x_muluh, (uint32_t)((uint64_t)s *t >> 32))
ALU(x_mulsh, (uint32_t)((uint64_t)((int64_t)XT_S32(s) * XT_S32(t)) >> 32))

#define DIVIDE(name, value)                                                                                  \
  XT_OP(name) {                                                                                              \
    uint32_t s = h->a[i->b], t = h->a[i->c];                                                                 \
    bool overflow = s == 0x80000000u && t == UINT32_MAX;                                                     \
    (void)overflow;                                                                                          \
    if (t == 0)                                                                                              \
      xt_raise(h, XT_DIVIDE, CPU_FAULT_DIVIDE, CPU_BUS_OK, 0);                                               \
    else                                                                                                     \
      h->a[i->a] = (value);                                                                                  \
  }
DIVIDE(x_quou, s / t)
DIVIDE(x_remu, s % t)
DIVIDE(x_quos, overflow ? s : (uint32_t)(XT_S32(s) / XT_S32(t)))
DIVIDE(x_rems, overflow ? 0 : (uint32_t)(XT_S32(s) % XT_S32(t)))

#define RRR 0xFF000F
/* clang-format off */
const struct xt_op xt_alu_ops[] = {
    {0x00000A, 0x00000F, "add.n", "r,s,t", x_add, 0},   {0x00000B, 0x00000F, "addi.n", "r,s,n", x_addi, 0},
    {0x00000D, 0x00F00F, "mov.n", "q,s", x_mov, 0},     {0x00000C, 0x00008F, "movi.n", "p,i", x_movi, 0},
    {0x800000, RRR, "add", "r,s,t", x_add, 0},          {0x900000, RRR, "addx2", "r,s,t", x_addx2, 0},
    {0xA00000, RRR, "addx4", "r,s,t", x_addx4, 0},      {0xB00000, RRR, "addx8", "r,s,t", x_addx8, 0},
    {0xC00000, RRR, "sub", "r,s,t", x_sub, 0},          {0xD00000, RRR, "subx2", "r,s,t", x_subx2, 0},
    {0xE00000, RRR, "subx4", "r,s,t", x_subx4, 0},      {0xF00000, RRR, "subx8", "r,s,t", x_subx8, 0},
    {0x100000, RRR, "and", "r,s,t", x_and, 0},          {0x200000, RRR, "or", "r,s,t", x_or, 0},
    {0x300000, RRR, "xor", "r,s,t", x_xor, 0},          {0x600000, 0xFF0F0F, "neg", "r,t", x_neg, 0},
    {0x600100, 0xFF0F0F, "abs", "r,t", x_abs, 0},       {0x00A002, 0x00F00F, "movi", "q,m", x_movi, 0},
    {0x00C002, 0x00F00F, "addi", "q,s,8", x_addi, 0},   {0x00D002, 0x00F00F, "addmi", "q,s,M", x_addi, 0},
    {0x010000, 0xEF000F, "slli", "r,s,l", x_slli, 0},   {0x210000, 0xEF000F, "srai", "r,t,a", x_srai, 0},
    {0x410000, RRR, "srli", "r,t,u", x_srli, 0},        {0x810000, RRR, "src", "r,s,t", x_src, 0},
    {0x910000, 0xFF0F0F, "srl", "r,t", x_srl, 0},       {0xA10000, 0xFF00FF, "sll", "r,s", x_sll, 0},
    {0xB10000, 0xFF0F0F, "sra", "r,t", x_sra, 0},       {0x400000, 0xFFF0FF, "ssr", "s", x_ssr, 0},
    {0x401000, 0xFFF0FF, "ssl", "s", x_ssl, 0},         {0x402000, 0xFFF0FF, "ssa8l", "s", x_ssa8l, 0},
    {0x403000, 0xFFF0FF, "ssa8b", "s", x_ssa8b, 0},     {0x404000, 0xFFF0EF, "ssai", "A", x_ssai, 0},
    {0x040000, 0x0E000F, "extui", "r,t,x,X", x_extui, 0},
    {0x830000, RRR, "moveqz", "r,s,t", x_moveqz, 0},    {0x930000, RRR, "movnez", "r,s,t", x_movnez, 0},
    {0xA30000, RRR, "movltz", "r,s,t", x_movltz, 0},    {0xB30000, RRR, "movgez", "r,s,t", x_movgez, 0},
    {0x430000, RRR, "min", "r,s,t", x_min, XT_MINMAX},  {0x530000, RRR, "max", "r,s,t", x_max, XT_MINMAX},
    {0x630000, RRR, "minu", "r,s,t", x_minu, XT_MINMAX}, {0x730000, RRR, "maxu", "r,s,t", x_maxu, XT_MINMAX},
    {0x720000, RRR, "salt", "r,s,t", x_salt, XT_SALT},  {0x620000, RRR, "saltu", "r,s,t", x_saltu, XT_SALT},
    {0x230000, RRR, "sext", "r,s,7", x_sext, XT_MINMAX}, {0x330000, RRR, "clamps", "r,s,7", x_clamps, XT_MINMAX},
    {0x40E000, 0xFFF00F, "nsa", "t,s", x_nsa, 0},       {0x40F000, 0xFFF00F, "nsau", "t,s", x_nsau, 0},
    {0xC10000, RRR, "mul16u", "r,s,t", x_mul16u, 0},    {0xD10000, RRR, "mul16s", "r,s,t", x_mul16s, 0},
    {0x820000, RRR, "mull", "r,s,t", x_mull, 0},        {0xA20000, RRR, "muluh", "r,s,t", x_muluh, XT_MUL32H},
    {0xB20000, RRR, "mulsh", "r,s,t", x_mulsh, XT_MUL32H}, {0xC20000, RRR, "quou", "r,s,t", x_quou, XT_DIV32},
    {0xD20000, RRR, "quos", "r,s,t", x_quos, XT_DIV32}, {0xE20000, RRR, "remu", "r,s,t", x_remu, XT_DIV32},
    {0xF20000, RRR, "rems", "r,s,t", x_rems, XT_DIV32}, {0, 0, NULL, NULL, NULL, 0}};
