/* cpu_rv32_f.c - single-precision floating point of RISC-V, on the host's IEEE 754 arithmetic.
 *
 * The host does not round to nearest with ties away (rmm). That is done in two steps: the operation in double
 * precision, rounded to odd, which keeps what the second rounding has to know; then to single precision. */
#include "sim/cpu_float.h"
#include "sim/cpu_rv32.h"

#include <fenv.h>
#include <math.h>

enum { NX = 1, UF = 2, OF = 4, DZ = 8, NV = 16, RM_DYN = 7, RM_RMM = 4 };
static const uint32_t CANONICAL_NAN = 0x7FC00000;

/* Every NaN that an operation makes is the canonical one. */
static uint32_t as_bits(float f) {
  uint32_t u = float_bits(f);
  return is_nan(u) ? CANONICAL_NAN : u;
}

/* Floating point is off after reset until mstatus says otherwise. */
static bool enabled(struct rv32 *h) {
  if (h->csr[CSR_MSTATUS] & MSTATUS_FS) {
    h->csr[CSR_MSTATUS] |= MSTATUS_FS | FLOAT_SIGN;
    return true;
  }
  rv_illegal(h);
  return false;
}

/* The rounding mode of an instruction; false: not a valid one, an exception was raised. */
static bool rounding(struct rv32 *h, const struct cpu_insn *i, unsigned *mode) {
  if (!enabled(h))
    return false;
  *mode = i->top == RM_DYN ? h->csr[CSR_FCSR] >> 5 & 7 : i->top;
  if (*mode <= RM_RMM)
    return true;
  rv_illegal(h);
  return false;
}

static void begin(unsigned mode) {
  static const int host[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  fesetround(host[mode]);
  feclearexcept(FE_ALL_EXCEPT);
}

static void flags(struct rv32 *h, uint32_t set) {
  h->csr[CSR_FCSR] |= set;
}

static void finish(struct rv32 *h) {
  int e = fetestexcept(FE_ALL_EXCEPT);
  fesetround(FE_TONEAREST);
  flags(h, (e & FE_INEXACT ? NX : 0) | (e & FE_UNDERFLOW ? UF : 0) | (e & FE_OVERFLOW ? OF : 0) |
               (e & FE_DIVBYZERO ? DZ : 0) | (e & FE_INVALID ? NV : 0));
}

/* The last bit stands for everything that was cut off behind it. */
static double to_odd(double v, bool inexact) {
  uint64_t u;
  memcpy(&u, &v, sizeof u);
  u |= inexact;
  memcpy(&v, &u, sizeof v);
  return v;
}

/* What is added to the flags for a result that is not exact. The result is tiny when it would be below the
 * normal numbers after rounding without a limit to the exponent. */
static uint32_t rounded_flags(double magnitude, float result) {
  if (isinf(result))
    return OF | NX;
  return magnitude < 0x1p-126 - 0x1p-151 ? UF | NX : NX;
}

/* To single precision, ties away from zero; v was rounded to odd. */
static float ties_away(struct rv32 *h, double v) {
  if (isnan(v) || isinf(v) || v == 0)
    return (float)v;
  double magnitude = fabs(v), low, middle;
  uint32_t u;
  fesetround(FE_TOWARDZERO);
  volatile float cut = (float)magnitude;
  fesetround(FE_TONEAREST);
  u = float_bits(cut);
  low = cut;
  middle = u == FLOAT_INFINITE - 1 ? 0x1.ffffffp127 : low + ((double)as_float(u + 1) - low) / 2;
  float result = as_float(magnitude >= middle ? u + 1 : u);
  if (low != magnitude)
    flags(h, rounded_flags(magnitude, result));
  return v < 0 ? -result : result;
}

/* Takes over the flags of the operation that was done in double precision toward zero; v is its result. */
static float finish_wide(struct rv32 *h, double v) {
  int e = fetestexcept(FE_ALL_EXCEPT);
  fesetround(FE_TONEAREST);
  flags(h, (e & FE_DIVBYZERO ? DZ : 0) | (e & FE_INVALID ? NV : 0));
  return ties_away(h, isfinite(v) ? to_odd(v, e & FE_INEXACT) : v);
}

/* volatile keeps the operation between begin and finish. wide is the same for operands of double precision,
 * where a product is exact. */
#define ARITH(name, value, wide)                                                                             \
  RV_OP(name) {                                                                                              \
    unsigned mode;                                                                                           \
    if (!rounding(h, i, &mode))                                                                              \
      return;                                                                                                \
    volatile float fx = as_float(h->f[i->b]), fy = as_float(h->f[i->c]), fz = as_float(h->f[i->d]), v;       \
    (void)fy, (void)fz;                                                                                      \
    begin(mode);                                                                                             \
    if (mode == RM_RMM) {                                                                                    \
      volatile double x = fx, y = fy, z = fz, w;                                                             \
      (void)y, (void)z;                                                                                      \
      w = (wide);                                                                                            \
      v = finish_wide(h, w);                                                                                 \
    } else {                                                                                                 \
      volatile float x = fx, y = fy, z = fz;                                                                 \
      (void)y, (void)z;                                                                                      \
      v = (value);                                                                                           \
      finish(h);                                                                                             \
    }                                                                                                        \
    h->f[i->a] = as_bits(v);                                                                                 \
  }
ARITH(x_fadd, x + y, x + y)
ARITH(x_fsub, x - y, x - y)
ARITH(x_fmul, x *y, x *y)
ARITH(x_fdiv, x / y, x / y)
ARITH(x_fsqrt, sqrtf(x), sqrt(x))
ARITH(x_fmadd, fmaf(x, y, z), x *y + z)
ARITH(x_fmsub, fmaf(x, y, -z), x *y - z)
ARITH(x_fnmsub, fmaf(-x, y, z), -x *y + z)
ARITH(x_fnmadd, fmaf(-x, y, -z), -x *y - z)

#define BITS(name, value)                                                                                    \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->f[i->b], y = h->f[i->c];                                                                 \
    if (enabled(h))                                                                                          \
      h->f[i->a] = (value);                                                                                  \
  }
BITS(x_fsgnj, (x & ~FLOAT_SIGN) | (y & FLOAT_SIGN))
BITS(x_fsgnjn, (x & ~FLOAT_SIGN) | (~y & FLOAT_SIGN))
BITS(x_fsgnjx, x ^ (y & FLOAT_SIGN))

static uint32_t smaller(struct rv32 *h, uint32_t x, uint32_t y, bool larger) {
  if (is_signalling(x) || is_signalling(y))
    flags(h, NV);
  if (is_nan(x))
    return is_nan(y) ? CANONICAL_NAN : y;
  if (is_nan(y))
    return x;
  if (((x | y) & ~FLOAT_SIGN) == 0) /* -0 is less than +0 */
    return larger ? x & y : x | y;
  return (as_float(x) < as_float(y)) != larger ? x : y;
}
BITS(x_fmin, smaller(h, x, y, false))
BITS(x_fmax, smaller(h, x, y, true))

static bool ordered(struct rv32 *h, uint32_t x, uint32_t y, bool quiet) {
  if (!is_nan(x) && !is_nan(y))
    return true;
  if (!quiet || is_signalling(x) || is_signalling(y))
    flags(h, NV);
  return false;
}

#define COMPARE(name, op, quiet)                                                                             \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->f[i->b], y = h->f[i->c];                                                                 \
    if (enabled(h))                                                                                          \
      h->x[i->a] = ordered(h, x, y, quiet) && as_float(x) op as_float(y);                                    \
  }
COMPARE(x_feq, ==, true)
COMPARE(x_flt, <, false)
COMPARE(x_fle, <=, false)

static double to_integral(double v, unsigned mode) {
  switch (mode) {
  case 1:
    return trunc(v);
  case 2:
    return floor(v);
  case 3:
    return ceil(v);
  case RM_RMM:
    return round(v);
  default:
    return nearbyint(v);
  }
}

/* To an integer between low and high; what does not fit becomes the nearest one, not-a-number the highest. */
static void to_int(struct rv32 *h, const struct cpu_insn *i, double low, double high) {
  unsigned mode;
  if (!rounding(h, i, &mode))
    return;
  uint32_t u = h->f[i->b];
  double v = is_nan(u) ? high : to_integral(as_float(u), mode);
  if (is_nan(u) || v < low || v > high)
    flags(h, NV);
  else if (v != (double)as_float(u))
    flags(h, NX);
  v = v < low ? low : v > high ? high : v;
  h->x[i->a] = (uint32_t)(int64_t)v;
}
RV_OP(x_fcvt_w) {
  to_int(h, i, -2147483648.0, 2147483647.0);
}
RV_OP(x_fcvt_wu) {
  to_int(h, i, 0, 4294967295.0);
}

static void from_int(struct rv32 *h, const struct cpu_insn *i, double value) {
  unsigned mode;
  if (!rounding(h, i, &mode))
    return;
  volatile double v = value;
  volatile float f;
  begin(mode);
  if (mode == RM_RMM) {
    f = finish_wide(h, v);
  } else {
    f = (float)v;
    finish(h);
  }
  h->f[i->a] = as_bits(f);
}
RV_OP(x_fcvt_s_w) {
  from_int(h, i, (double)(int32_t)h->x[i->b]);
}
RV_OP(x_fcvt_s_wu) {
  from_int(h, i, (double)h->x[i->b]);
}

RV_OP(x_fmv_x_w) {
  if (enabled(h))
    h->x[i->a] = h->f[i->b];
}
RV_OP(x_fmv_w_x) {
  if (enabled(h))
    h->f[i->a] = h->x[i->b];
}

static uint32_t classify(uint32_t u) {
  uint32_t magnitude = u & ~FLOAT_SIGN;
  if (magnitude > 0x7F800000)
    return u & FLOAT_QUIET ? 1 << 9 : 1 << 8;
  int k = magnitude == 0x7F800000 ? 0 : magnitude >= 0x00800000 ? 1 : magnitude ? 2 : 3;
  return u & FLOAT_SIGN ? 1u << k : 1u << (7 - k);
}
RV_OP(x_fclass) {
  if (enabled(h))
    h->x[i->a] = classify(h->f[i->b]);
}

RV_OP(x_flw) {
  uint32_t v;
  if (enabled(h) && rv_load(h, h->x[i->b] + (uint32_t)i->imm, 4, &v))
    h->f[i->a] = v;
}
RV_OP(x_fsw) {
  if (enabled(h))
    rv_store(h, h->x[i->b] + (uint32_t)i->imm, 4, h->f[i->c]);
}

#define R_ROUND 0xFE00007F /* rounding mode in bits 14..12 */
#define R_FIXED 0xFE00707F
#define R_UNARY 0xFFF0007F
#define R_ONE 0xFFF0707F
#define R_FOUR 0x0600007F

/* clang-format off */
const struct rv_op rv_float[] = {
    {0x00002007, 0x707F, "flw", "D,o(s)", x_flw},             {0x00002027, 0x707F, "fsw", "T,q(s)", x_fsw},
    {0x00000053, R_ROUND, "fadd.s", "D,S,Tm", x_fadd},       {0x08000053, R_ROUND, "fsub.s", "D,S,Tm", x_fsub},
    {0x10000053, R_ROUND, "fmul.s", "D,S,Tm", x_fmul},       {0x18000053, R_ROUND, "fdiv.s", "D,S,Tm", x_fdiv},
    {0x58000053, R_UNARY, "fsqrt.s", "D,Sm", x_fsqrt},       {0x00000043, R_FOUR, "fmadd.s", "D,S,T,Rm", x_fmadd},
    {0x00000047, R_FOUR, "fmsub.s", "D,S,T,Rm", x_fmsub},    {0x0000004B, R_FOUR, "fnmsub.s", "D,S,T,Rm", x_fnmsub},
    {0x0000004F, R_FOUR, "fnmadd.s", "D,S,T,Rm", x_fnmadd},  {0x20000053, R_FIXED, "fsgnj.s", "D,S,T", x_fsgnj},
    {0x20001053, R_FIXED, "fsgnjn.s", "D,S,T", x_fsgnjn},     {0x20002053, R_FIXED, "fsgnjx.s", "D,S,T", x_fsgnjx},
    {0x28000053, R_FIXED, "fmin.s", "D,S,T", x_fmin},         {0x28001053, R_FIXED, "fmax.s", "D,S,T", x_fmax},
    {0xA0002053, R_FIXED, "feq.s", "d,S,T", x_feq},           {0xA0001053, R_FIXED, "flt.s", "d,S,T", x_flt},
    {0xA0000053, R_FIXED, "fle.s", "d,S,T", x_fle},           {0xC0000053, R_UNARY, "fcvt.w.s", "d,Sm", x_fcvt_w},
    {0xC0100053, R_UNARY, "fcvt.wu.s", "d,Sm", x_fcvt_wu},   {0xD0000053, R_UNARY, "fcvt.s.w", "D,sm", x_fcvt_s_w},
    {0xD0100053, R_UNARY, "fcvt.s.wu", "D,sm", x_fcvt_s_wu}, {0xE0000053, R_ONE, "fmv.x.w", "d,S", x_fmv_x_w},
    {0xF0000053, R_ONE, "fmv.w.x", "D,s", x_fmv_w_x},         {0xE0001053, R_ONE, "fclass.s", "d,S", x_fclass},
    {0x6000, 0xE003, "c.flw", "F,7(f)", x_flw},               {0xE000, 0xE003, "c.fsw", "F,7(f)", x_fsw},
    {0x6002, 0xE003, "c.flwsp", "D,4X", x_flw},               {0xE002, 0xE003, "c.fswsp", "V,5X", x_fsw},
    {0, 0, NULL, NULL, NULL}};
