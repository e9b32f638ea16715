/* rsa.c - the RSA accelerator. Source: Technical Reference Manuals, "RSA Accelerator".
 *
 * It multiplies in Montgomery's way with the M' and the R*R mod M that software gives it, here as there:
 * wrong constants give a wrong result. Memory is not cleared by a number shorter than the one before. */
#include "sim/rsa.h"

#include <string.h>

enum { M = 0x000, Z = 0x200, Y = 0x400, X = 0x600, M_PRIME = 0x800 };
/* Of the later chips: */
enum {
  MODE = 0x804,
  CLEAN = 0x808,
  MODEXP = 0x80C,
  MODMULT = 0x810,
  MULT = 0x814,
  DONE = 0x818,
  CLEAR = 0x81C,
  CONSTANT_TIME = 0x820,
  SEARCH = 0x824,
  SEARCH_AT = 0x828,
  ENABLE = 0x82C
};
/* Of the ESP32: */
enum {
  OLD_MODEXP_MODE = 0x804,
  OLD_MODEXP = 0x808,
  OLD_MULT_MODE = 0x80C,
  OLD_MULT = 0x810,
  OLD_DONE = 0x814,
  OLD_CLEAN = 0x818
};

/* out = a - b, n words; returns the borrow. */
static uint32_t subtract(uint32_t *out, const uint32_t *a, const uint32_t *b, int n) {
  uint64_t borrow = 0;
  for (int i = 0; i < n; i++) {
    uint64_t d = (uint64_t)a[i] - b[i] - borrow;
    out[i] = (uint32_t)d;
    borrow = d >> 63;
  }
  return (uint32_t)borrow;
}

/* out = a * b / R mod M, R = 2^(32 n). out may be a or b. */
static void montgomery(struct sim_rsa *s, uint32_t *out, const uint32_t *a, const uint32_t *b, int n) {
  uint32_t t[SIM_RSA_WORDS + 2] = {0}, less[SIM_RSA_WORDS];
  for (int i = 0; i < n; i++) {
    uint64_t carry = 0;
    for (int k = 0; k < n; k++) {
      carry += (uint64_t)a[k] * b[i] + t[k];
      t[k] = (uint32_t)carry;
      carry >>= 32;
    }
    carry += t[n];
    t[n] = (uint32_t)carry;
    t[n + 1] = (uint32_t)(carry >> 32);
    uint32_t factor = t[0] * s->m_prime;
    carry = ((uint64_t)factor * s->m[0] + t[0]) >> 32;
    for (int k = 1; k < n; k++) {
      carry += (uint64_t)factor * s->m[k] + t[k];
      t[k - 1] = (uint32_t)carry;
      carry >>= 32;
    }
    carry += t[n];
    t[n - 1] = (uint32_t)carry;
    t[n] = t[n + 1] + (uint32_t)(carry >> 32);
  }
  s->work += (uint64_t)n * (uint64_t)n / 8;
  uint32_t borrow = subtract(less, t, s->m, n);
  memcpy(out, t[n] || !borrow ? less : t, (size_t)n * 4);
}

/* Z = X ^ Y mod M; Z holds R*R mod M before. */
static void power(struct sim_rsa *s, int n) {
  uint32_t one[SIM_RSA_WORDS] = {1}, base[SIM_RSA_WORDS], result[SIM_RSA_WORDS];
  int bit = 32 * n - 1;
  montgomery(s, base, s->x, s->z, n);
  montgomery(s, result, one, s->z, n);
  if (s->search && s->search_at < (uint32_t)(32 * n))
    bit = (int)s->search_at;
  while (bit > 0 && !(s->y[bit / 32] >> bit % 32 & 1))
    bit--;
  for (; bit >= 0; bit--) {
    montgomery(s, result, result, result, n);
    if (s->y[bit / 32] >> bit % 32 & 1)
      montgomery(s, result, result, base, n);
  }
  montgomery(s, s->z, result, one, n);
}

/* Z = X * Y mod M; Z holds R*R mod M before. */
static void product_mod(struct sim_rsa *s, int n) {
  montgomery(s, s->z, s->x, s->z, n);
  montgomery(s, s->z, s->z, s->y, n);
}

/* Z = X * the upper half of Z, all of n words; factors have half as many. */
static void product(struct sim_rsa *s, int n) {
  uint32_t out[SIM_RSA_WORDS] = {0};
  int half = n / 2;
  for (int i = 0; i < half; i++) {
    uint64_t carry = 0;
    for (int k = 0; k < half; k++) {
      carry += (uint64_t)s->x[k] * s->z[half + i] + out[i + k];
      out[i + k] = (uint32_t)carry;
      carry >>= 32;
    }
    out[i + half] = (uint32_t)carry;
  }
  memcpy(s->z, out, (size_t)n * 4);
}

static uint32_t *named(struct sim_rsa *s, uint32_t offset) {
  if (offset < M_PRIME) {
    uint32_t *const memory[] = {s->m, s->z, s->y, s->x};
    return &memory[offset / Z][offset % Z / 4];
  }
  if (offset == M_PRIME)
    return &s->m_prime;
  if (offset == MODE) /* OLD_MODEXP_MODE as well */
    return &s->mode;
  if (s->kind == SIM_RSA_ESP32)
    return offset == OLD_MULT_MODE ? &s->mult_mode : 0;
  switch (offset) {
  case CONSTANT_TIME:
    return &s->constant_time;
  case SEARCH:
    return &s->search;
  case SEARCH_AT:
    return &s->search_at;
  default:
    return offset == ENABLE ? &s->enabled : 0;
  }
}

int sim_rsa_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_rsa *s = ctx;
  int old = s->kind == SIM_RSA_ESP32;
  uint32_t *r = named(s, offset);
  if (r)
    *value = *r;
  else if (offset == (uint32_t)(old ? OLD_CLEAN : CLEAN))
    *value = 1;
  else if (offset == (uint32_t)(old ? OLD_DONE : DONE))
    *value = s->done;
  else
    return 0;
  return 1;
}

/* The lengths of the ESP32 are multiples of 16 words. From mode 8 on it multiplies without a modulus. */
static int old_command(struct sim_rsa *s, uint32_t offset) {
  if (offset == OLD_MODEXP) {
    power(s, (int)(s->mode % 8 + 1) * 16);
  } else if (offset == OLD_MULT && s->mult_mode < 8) {
    montgomery(s, s->z, s->x, s->z, (int)(s->mult_mode + 1) * 16);
  } else if (offset == OLD_MULT) {
    product(s, (int)(s->mult_mode % 8 + 1) * 16);
  } else {
    s->done = 0;
    return offset == OLD_DONE;
  }
  s->done = 1;
  return 1;
}

static int command(struct sim_rsa *s, uint32_t offset) {
  int n = (int)(s->mode % SIM_RSA_WORDS) + 1;
  if (offset == MODEXP) {
    power(s, n);
  } else if (offset == MODMULT) {
    product_mod(s, n);
  } else if (offset == MULT) {
    product(s, n);
  } else {
    s->done = 0;
    return offset == CLEAR;
  }
  s->done = 1;
  return 1;
}

int sim_rsa_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_rsa *s = ctx;
  uint32_t *r = named(s, offset);
  if (r) {
    *r = value;
    return 1;
  }
  if (offset == (uint32_t)(s->kind == SIM_RSA_ESP32 ? OLD_CLEAN : CLEAN))
    return 1;
  if (offset > ENABLE || offset % 4)
    return 0;
  return s->kind == SIM_RSA_ESP32 ? old_command(s, offset) : command(s, offset);
}
