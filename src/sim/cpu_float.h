/* cpu_float.h - single precision in registers of 32 bits (IEEE 754), for both kinds of processor. */
#ifndef SIM_CPU_FLOAT_H
#define SIM_CPU_FLOAT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FLOAT_SIGN 0x80000000u
#define FLOAT_QUIET 0x00400000u
#define FLOAT_INFINITE 0x7F800000u

static inline float as_float(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

static inline uint32_t float_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}

static inline bool is_nan(uint32_t u) {
  return (u & ~FLOAT_SIGN) > FLOAT_INFINITE;
}

static inline bool is_signalling(uint32_t u) {
  return is_nan(u) && !(u & FLOAT_QUIET);
}

#endif
