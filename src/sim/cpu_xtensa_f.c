/* cpu_xtensa_f.c - the single-precision coprocessor of Xtensa, on the host's IEEE 754 arithmetic.
 *
 * The steps of a division or a square root mean something only together, in the sequences of the manual. Here
 * mkdadj and mksadj, which see the operands, compute the result, and addexp, addexpm and divn hand it on; so
 * it is rounded as that of the whole sequence, and the steps before it do not matter. The beginnings of
 * iterations (recip0, rsqrt0, ...) are as good as single precision can be, which is better than the
 * processor's. */
#include "sim/cpu_float.h"
#include "sim/cpu_xtensa.h"

#include <fenv.h>
#include <math.h>

enum { UR_FCR = 232, UR_FSR = 233, FSR_SHIFT = 7 };
enum { FLAG_I = 1, FLAG_U = 2, FLAG_O = 4, FLAG_Z = 8, FLAG_V = 16 };

static bool enabled(struct xtensa *h) {
  if (h->sr[SR_CPENABLE] & 1)
    return true;
  xt_raise(h, XT_NO_COPROCESSOR, CPU_FAULT_ILLEGAL, CPU_BUS_OK, h->cpu.at);
  return false;
}

static void flags(struct xtensa *h, uint32_t set) {
  h->ur[UR_FSR] |= set << FSR_SHIFT;
}

static void begin(const struct xtensa *h) {
  static const int host[] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD};
  fesetround(host[h->ur[UR_FCR] & 3]);
  feclearexcept(FE_ALL_EXCEPT);
}

static void finish(struct xtensa *h) {
  int e = fetestexcept(FE_ALL_EXCEPT);
  fesetround(FE_TONEAREST);
  flags(h, (e & FE_INEXACT ? FLAG_I : 0) | (e & FE_UNDERFLOW ? FLAG_U : 0) | (e & FE_OVERFLOW ? FLAG_O : 0) |
               (e & FE_DIVBYZERO ? FLAG_Z : 0) | (e & FE_INVALID ? FLAG_V : 0));
}

/* FR[r] = f(FR[s], FR[t], FR[r]); volatile keeps the operation between begin and finish. */
#define ARITH(name, value)                                                                                   \
  XT_OP(name) {                                                                                              \
    if (!enabled(h))                                                                                         \
      return;                                                                                                \
    volatile float s = as_float(h->f[i->b]), t = as_float(h->f[i->c]), r = as_float(h->f[i->a]), v;          \
    (void)t, (void)r;                                                                                        \
    begin(h);                                                                                                \
    v = (value);                                                                                             \
    finish(h);                                                                                               \
    h->f[i->a] = float_bits(v);                                                                              \
  }
ARITH(x_add, s + t)
ARITH(x_sub, s - t)
ARITH(x_mul, s *t)
ARITH(x_madd, fmaf(s, t, r))
ARITH(x_msub, fmaf(-s, t, r))
ARITH(x_mkdadj, s / r)
ARITH(x_mksadj, sqrtf(s))

/* Always to nearest, and without flags. */
XT_OP(x_maddn) {
  if (enabled(h))
    h->f[i->a] = float_bits(fmaf(as_float(h->f[i->b]), as_float(h->f[i->c]), as_float(h->f[i->a])));
}

#define BITS(name, value)                                                                                    \
  XT_OP(name) {                                                                                              \
    uint32_t s = h->f[i->b], t = h->f[i->c];                                                                 \
    (void)s, (void)t;                                                                                        \
    if (enabled(h))                                                                                          \
      h->f[i->a] = (value);                                                                                  \
  }
BITS(x_mov, s)
BITS(x_abs, s & ~FLOAT_SIGN)
BITS(x_neg, s ^ FLOAT_SIGN)
BITS(x_divn, t)
BITS(x_addexp, s)
BITS(x_recip0, float_bits(1 / as_float(s)))
BITS(x_rsqrt0, float_bits(1 / sqrtf(as_float(s))))

/* The negated mantissa, between 1 and 2. */
static uint32_t mantissa(uint32_t u) {
  int exponent;
  if ((u & ~FLOAT_SIGN) == 0 || (u & ~FLOAT_SIGN) >= FLOAT_INFINITE)
    return u ^ FLOAT_SIGN;
  return float_bits(-2 * frexpf(as_float(u), &exponent));
}
BITS(x_nexp01, mantissa(s))

/* const.s: 0, 1, 2, 0.5; the manual has no others. */
XT_OP(x_const) {
  static const uint32_t constant[4] = {0, 0x3F800000, 0x40000000, 0x3F000000};
  if (enabled(h))
    h->f[i->a] = constant[i->imm & 3];
}

XT_OP(x_rfr) {
  if (enabled(h))
    h->a[i->a] = h->f[i->b];
}
XT_OP(x_wfr) {
  if (enabled(h))
    h->f[i->a] = h->a[i->b];
}

/* --- comparisons ------------------------------------------------------------------------------------- */

static void compare(struct xtensa *h, const struct cpu_insn *i, bool quiet, bool unordered, int less,
                    int equal) {
  uint32_t s = h->f[i->b], t = h->f[i->c];
  if (!enabled(h))
    return;
  bool nan = is_nan(s) || is_nan(t), result;
  if (nan && (!quiet || is_signalling(s) || is_signalling(t)))
    flags(h, FLAG_V);
  float x = as_float(s), y = as_float(t);
  result = nan ? unordered : (less && x < y) || (equal && x == y);
  h->sr[SR_BR] = (h->sr[SR_BR] & ~(1u << i->a)) | (uint32_t)result << i->a;
}
XT_OP(x_un) {
  compare(h, i, true, true, 0, 0);
}
XT_OP(x_oeq) {
  compare(h, i, true, false, 0, 1);
}
XT_OP(x_ueq) {
  compare(h, i, true, true, 0, 1);
}
XT_OP(x_olt) {
  compare(h, i, false, false, 1, 0);
}
XT_OP(x_ult) {
  compare(h, i, true, true, 1, 0);
}
XT_OP(x_ole) {
  compare(h, i, false, false, 1, 1);
}
XT_OP(x_ule) {
  compare(h, i, true, true, 1, 1);
}

#define MOVE_IF(name, condition)                                                                             \
  XT_OP(name) {                                                                                              \
    uint32_t t = i->c;                                                                                       \
    if (enabled(h) && (condition))                                                                           \
      h->f[i->a] = h->f[i->b];                                                                               \
  }
MOVE_IF(x_moveqz, h->a[t] == 0)
MOVE_IF(x_movnez, h->a[t] != 0)
MOVE_IF(x_movltz, XT_S32(h->a[t]) < 0)
MOVE_IF(x_movgez, XT_S32(h->a[t]) >= 0)
MOVE_IF(x_movf, !(h->sr[SR_BR] >> t & 1))
MOVE_IF(x_movt, h->sr[SR_BR] >> t & 1)

/* --- conversions: AR[r] = FR[s] * 2^t, FR[r] = AR[s] / 2^t ---------------------------------------------- */

/* What does not fit becomes the nearest number, not-a-number the highest. */
static void to_int(struct xtensa *h, const struct cpu_insn *i, double (*integral)(double), double low,
                   double high) {
  uint32_t u = h->f[i->b];
  if (!enabled(h))
    return;
  double exact = ldexp((double)as_float(u), i->imm);
  double v = is_nan(u) ? high : integral(exact);
  if (is_nan(u) || v < low || v > high)
    flags(h, FLAG_V);
  else if (v != exact)
    flags(h, FLAG_I);
  v = v < low ? low : v > high ? high : v;
  h->a[i->a] = (uint32_t)(int64_t)v;
}
XT_OP(x_round) {
  to_int(h, i, nearbyint, INT32_MIN, INT32_MAX);
}
XT_OP(x_trunc) {
  to_int(h, i, trunc, INT32_MIN, INT32_MAX);
}
XT_OP(x_floor) {
  to_int(h, i, floor, INT32_MIN, INT32_MAX);
}
XT_OP(x_ceil) {
  to_int(h, i, ceil, INT32_MIN, INT32_MAX);
}
/* Negative numbers come out as trunc gives them. */
XT_OP(x_utrunc) {
  to_int(h, i, trunc, as_float(h->f[i->b]) < 0 ? INT32_MIN : 0, UINT32_MAX);
}

static void from_int(struct xtensa *h, const struct cpu_insn *i, double number) {
  if (!enabled(h))
    return;
  volatile double exact = ldexp(number, -i->imm);
  begin(h);
  volatile float v = (float)exact;
  finish(h);
  h->f[i->a] = float_bits(v);
}
XT_OP(x_float) {
  from_int(h, i, XT_S32(h->a[i->b]));
}
XT_OP(x_ufloat) {
  from_int(h, i, h->a[i->b]);
}

/* --- loads and stores; those that end with p move the address afterwards -------------------------------- */

static bool access(struct xtensa *h, uint32_t address, unsigned reg, bool write) {
  uint32_t v;
  if (!enabled(h))
    return false;
  if (write)
    return xt_store(h, address, 4, h->f[reg]);
  if (!xt_load(h, address, 4, &v))
    return false;
  h->f[reg] = v;
  return true;
}
XT_OP(x_lsi) {
  access(h, h->a[i->b] + (uint32_t)i->imm, i->c, false);
}
XT_OP(x_ssi) {
  access(h, h->a[i->b] + (uint32_t)i->imm, i->c, true);
}
XT_OP(x_lsip) {
  if (access(h, h->a[i->b], i->c, false))
    h->a[i->b] += (uint32_t)i->imm;
}
XT_OP(x_ssip) {
  if (access(h, h->a[i->b], i->c, true))
    h->a[i->b] += (uint32_t)i->imm;
}
XT_OP(x_lsx) {
  access(h, h->a[i->b] + h->a[i->c], i->a, false);
}
XT_OP(x_ssx) {
  access(h, h->a[i->b] + h->a[i->c], i->a, true);
}
XT_OP(x_lsxp) {
  if (access(h, h->a[i->b], i->a, false))
    h->a[i->b] += h->a[i->c];
}
XT_OP(x_ssxp) {
  if (access(h, h->a[i->b], i->a, true))
    h->a[i->b] += h->a[i->c];
}

#define RRR 0xFF000F
#define ONE 0xFF00FF
#define RRI8 0x00F00F
#define P XT_FLOAT
/* clang-format off */
const struct xt_op xt_float_ops[] = {
    {0x000003, RRI8, "lsi", "H,s,4", x_lsi, P},            {0x004003, RRI8, "ssi", "H,s,4", x_ssi, P},
    {0x008003, RRI8, "lsip", "H,s,4", x_lsip, P},          {0x00C003, RRI8, "ssip", "H,s,4", x_ssip, P},
    {0x080000, RRR, "lsx", "F,s,t", x_lsx, P},             {0x180000, RRR, "lsxp", "F,s,t", x_lsxp, P},
    {0x480000, RRR, "ssx", "F,s,t", x_ssx, P},             {0x580000, RRR, "ssxp", "F,s,t", x_ssxp, P},
    {0x0A0000, RRR, "add.s", "F,G,H", x_add, P},           {0x1A0000, RRR, "sub.s", "F,G,H", x_sub, P},
    {0x2A0000, RRR, "mul.s", "F,G,H", x_mul, P},           {0x4A0000, RRR, "madd.s", "F,G,H", x_madd, P},
    {0x5A0000, RRR, "msub.s", "F,G,H", x_msub, P},         {0x6A0000, RRR, "maddn.s", "F,G,H", x_maddn, P},
    {0x7A0000, RRR, "divn.s", "F,G,H", x_divn, P},         {0x8A0000, RRR, "round.s", "r,G,0", x_round, P},
    {0x9A0000, RRR, "trunc.s", "r,G,0", x_trunc, P},       {0xAA0000, RRR, "floor.s", "r,G,0", x_floor, P},
    {0xBA0000, RRR, "ceil.s", "r,G,0", x_ceil, P},         {0xCA0000, RRR, "float.s", "F,s,0", x_float, P},
    {0xDA0000, RRR, "ufloat.s", "F,s,0", x_ufloat, P},     {0xEA0000, RRR, "utrunc.s", "r,G,0", x_utrunc, P},
    {0xFA0000, ONE, "mov.s", "F,G", x_mov, P},             {0xFA0010, ONE, "abs.s", "F,G", x_abs, P},
    {0xFA0030, ONE, "const.s", "F,u", x_const, P},         {0xFA0040, ONE, "rfr", "r,G", x_rfr, P},
    {0xFA0050, ONE, "wfr", "F,s", x_wfr, P},               {0xFA0060, ONE, "neg.s", "F,G", x_neg, P},
    {0xFA0070, ONE, "div0.s", "F,G", x_recip0, P},         {0xFA0080, ONE, "recip0.s", "F,G", x_recip0, P},
    {0xFA0090, ONE, "sqrt0.s", "F,G", x_rsqrt0, P},        {0xFA00A0, ONE, "rsqrt0.s", "F,G", x_rsqrt0, P},
    {0xFA00B0, ONE, "nexp01.s", "F,G", x_nexp01, P},       {0xFA00C0, ONE, "mksadj.s", "F,G", x_mksadj, P},
    {0xFA00D0, ONE, "mkdadj.s", "F,G", x_mkdadj, P},       {0xFA00E0, ONE, "addexp.s", "F,G", x_addexp, P},
    {0xFA00F0, ONE, "addexpm.s", "F,G", x_addexp, P},      {0x1B0000, RRR, "un.s", "R,G,H", x_un, P},
    {0x2B0000, RRR, "oeq.s", "R,G,H", x_oeq, P},           {0x3B0000, RRR, "ueq.s", "R,G,H", x_ueq, P},
    {0x4B0000, RRR, "olt.s", "R,G,H", x_olt, P},           {0x5B0000, RRR, "ult.s", "R,G,H", x_ult, P},
    {0x6B0000, RRR, "ole.s", "R,G,H", x_ole, P},           {0x7B0000, RRR, "ule.s", "R,G,H", x_ule, P},
    {0x8B0000, RRR, "moveqz.s", "F,G,t", x_moveqz, P},     {0x9B0000, RRR, "movnez.s", "F,G,t", x_movnez, P},
    {0xAB0000, RRR, "movltz.s", "F,G,t", x_movltz, P},     {0xBB0000, RRR, "movgez.s", "F,G,t", x_movgez, P},
    {0xCB0000, RRR, "movf.s", "F,G,T", x_movf, P},         {0xDB0000, RRR, "movt.s", "F,G,T", x_movt, P},
    {0, 0, NULL, NULL, NULL, 0}};
