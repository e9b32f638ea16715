/* ecc.c - the ECC accelerator. Source: Technical Reference Manuals, "ECC Accelerator".
 *
 * Points in Jacobian coordinates come out with Z = 1, which is one way of many to write them. Arithmetic
 * without points (modes from 8 on, division) is not there. */
#include "sim/ecc.h"
#include "sim/mbed.h"

#include <string.h>

enum { RAW = 0x0C, STATE = 0x10, ENABLE = 0x14, CLEAR = 0x18, CONF = 0x1C, MEMORY = 0x100 };
enum { START = 1, RESET = 2, CURVE_LSB = 2 };
enum { K, X, Y };
enum {
  MULT = 0,
  VERIFY = 2,
  VERIFY_MULT = 3,
  JACOBIAN_MULT = 4,
  JACOBIAN_VERIFY = 6,
  VERIFY_JACOBIAN_MULT = 7
};

static int load_curve(const struct sim_ecc *s, mbedtls_ecp_group *group) {
  static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP192R1, MBEDTLS_ECP_DP_SECP256R1,
                                                MBEDTLS_ECP_DP_SECP384R1};
  uint32_t i = s->conf >> CURVE_LSB & s->at.curve_mask;
  return i < sizeof curves / sizeof curves[0] ? mbedtls_ecp_group_load(group, curves[i]) : -1;
}

static int get(const struct sim_ecc *s, int which, const mbedtls_ecp_group *g, mbedtls_mpi *to) {
  return mbedtls_mpi_read_binary_le(to, s->number[which], (g->pbits + 7) / 8);
}

static void put(struct sim_ecc *s, int which, const mbedtls_ecp_group *g, const mbedtls_mpi *from) {
  if (mbedtls_mpi_write_binary_le(from, s->number[which], (g->pbits + 7) / 8) != 0)
    memset(s->number[which], 0, sizeof s->number[which]);
}

/* What mbedtls blinds its multiplication with. The result does not depend on it, and there is no secret. */
static int any_bytes(void *seed, unsigned char *to, size_t n) {
  uint32_t *x = seed;
  for (size_t i = 0; i < n; i++) {
    *x = *x * 1664525u + 1013904223u;
    to[i] = (unsigned char)(*x >> 24);
  }
  return 0;
}

/* The point times k. */
static void multiply(struct sim_ecc *s, mbedtls_ecp_group *g, const mbedtls_ecp_point *p, int jacobian) {
  mbedtls_ecp_point out;
  mbedtls_mpi k;
  uint32_t seed = 1;
  mbedtls_ecp_point_init(&out);
  mbedtls_mpi_init(&k);
  int bad = get(s, K, g, &k) != 0 || mbedtls_mpi_mod_mpi(&k, &k, &g->N) != 0;
  if (!bad && mbedtls_mpi_cmp_int(&k, 0) != 0)
    bad = mbedtls_ecp_mul(g, &out, &k, p, any_bytes, &seed) != 0;
  if (bad) /* not a point of the curve: nobody knows what comes out */
    mbedtls_ecp_set_zero(&out);
  put(s, X, g, &out.X);
  put(s, Y, g, &out.Y);
  if (jacobian)
    put(s, K, g, &out.Z);
  mbedtls_mpi_free(&k);
  mbedtls_ecp_point_free(&out);
}

static void work(struct sim_ecc *s) {
  uint32_t mode = s->conf >> s->at.mode_lsb & s->at.mode_mask, good = 0;
  mbedtls_ecp_group g;
  mbedtls_ecp_point p;
  mbedtls_ecp_group_init(&g);
  mbedtls_ecp_point_init(&p);
  int jacobian = mode == JACOBIAN_MULT || mode == VERIFY_JACOBIAN_MULT;
  int check =
      mode == VERIFY || mode == VERIFY_MULT || mode == JACOBIAN_VERIFY || mode == VERIFY_JACOBIAN_MULT;
  if (load_curve(s, &g) == 0 && get(s, X, &g, &p.X) == 0 && get(s, Y, &g, &p.Y) == 0 &&
      mbedtls_mpi_lset(&p.Z, 1) == 0) {
    good = mbedtls_ecp_check_pubkey(&g, &p) == 0;
    if ((mode == MULT || jacobian || mode == VERIFY_MULT) && (good || !check))
      multiply(s, &g, &p, jacobian);
  }
  s->conf = (s->conf & ~(1u << s->at.good)) | (check ? good : 0) << s->at.good;
  s->done = 1;
  s->work += 200000;
  mbedtls_ecp_point_free(&p);
  mbedtls_ecp_group_free(&g);
}

/* The word of memory at an offset, or NULL. */
static uint8_t *word(struct sim_ecc *s, uint32_t offset) {
  uint32_t at = offset - MEMORY;
  if (offset < MEMORY || at / s->at.size >= SIM_ECC_NUMBERS)
    return NULL;
  return s->number[at / s->at.size] + at % s->at.size;
}

int sim_ecc_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_ecc *s = ctx;
  const uint8_t *w = word(s, offset);
  if (w)
    *value = (uint32_t)w[0] | (uint32_t)w[1] << 8 | (uint32_t)w[2] << 16 | (uint32_t)w[3] << 24;
  else if (offset == RAW)
    *value = s->done;
  else if (offset == STATE)
    *value = s->done & s->enabled;
  else if (offset == ENABLE)
    *value = s->enabled;
  else if (offset == CONF)
    *value = s->conf;
  else
    return 0;
  return 1;
}

static void configure(struct sim_ecc *s, uint32_t value) {
  uint32_t good = 1u << s->at.good;
  s->conf = (value & ~(uint32_t)(START | RESET | good)) | (s->conf & good);
  if (value & RESET)
    memset(s->number, 0, sizeof s->number);
  if (value & START)
    work(s);
}

int sim_ecc_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_ecc *s = ctx;
  uint8_t *w = word(s, offset);
  if (w)
    for (int i = 0; i < 4; i++)
      w[i] = (uint8_t)(value >> 8 * i);
  else if (offset == CLEAR)
    s->done &= ~value;
  else if (offset == ENABLE)
    s->enabled = value & 1;
  else if (offset == CONF)
    configure(s, value);
  else
    return 0;
  return 1;
}
