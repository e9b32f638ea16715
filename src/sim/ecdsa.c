/* ecdsa.c - the ECDSA accelerator. Source: Technical Reference Manuals, "ECDSA Accelerator".
 *
 * Checking of signatures, with the digest as software writes it. Making signatures and public keys with a key
 * in eFuse is not there: it ends at once, without a result. */
#include "sim/ecdsa.h"
#include "sim/mbed.h"

#include <string.h>

enum {
  CONF = 0x04,
  RAW = 0x0C,
  INT_STATE = 0x10,
  ENABLE = 0x14,
  CLEAR = 0x18,
  START = 0x1C,
  STATE = 0x20,
  RESULT = 0x24
};
enum { BEGIN = 1, LOADED = 2, TAKEN = 4 };
enum { IDLE, LOAD, GET };
enum { R, S, Z, X, Y };
enum { MODE_MASK = 1 }; /* 0: check */

static int load_curve(const struct sim_ecdsa *s, mbedtls_ecp_group *group) {
  static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP192R1, MBEDTLS_ECP_DP_SECP256R1,
                                                MBEDTLS_ECP_DP_SECP384R1};
  uint32_t i = s->conf >> s->at.curve_lsb & s->at.curve_mask;
  return i < sizeof curves / sizeof curves[0] ? mbedtls_ecp_group_load(group, curves[i]) : -1;
}

static int check(const struct sim_ecdsa *s) {
  mbedtls_ecp_group g;
  mbedtls_ecp_point q;
  mbedtls_mpi r, v;
  uint8_t digest[SIM_ECDSA_BYTES];
  mbedtls_ecp_group_init(&g);
  mbedtls_ecp_point_init(&q);
  mbedtls_mpi_init(&r);
  mbedtls_mpi_init(&v);
  int good = load_curve(s, &g) == 0;
  size_t n = good ? (g.pbits + 7) / 8 : 0;
  for (size_t i = 0; i < n; i++)
    digest[i] = s->number[Z][n - 1 - i];
  good = good && mbedtls_mpi_read_binary_le(&r, s->number[R], n) == 0 &&
         mbedtls_mpi_read_binary_le(&v, s->number[S], n) == 0 &&
         mbedtls_mpi_read_binary_le(&q.X, s->number[X], n) == 0 &&
         mbedtls_mpi_read_binary_le(&q.Y, s->number[Y], n) == 0 && mbedtls_mpi_lset(&q.Z, 1) == 0 &&
         mbedtls_ecp_check_pubkey(&g, &q) == 0 && mbedtls_ecdsa_verify(&g, digest, n, &q, &r, &v) == 0;
  mbedtls_mpi_free(&v);
  mbedtls_mpi_free(&r);
  mbedtls_ecp_point_free(&q);
  mbedtls_ecp_group_free(&g);
  return good;
}

static uint8_t *word(struct sim_ecdsa *s, uint32_t offset) {
  uint32_t at = offset - s->at.memory;
  if (offset < s->at.memory || at / s->at.size >= SIM_ECDSA_NUMBERS)
    return NULL;
  return s->number[at / s->at.size] + at % s->at.size;
}

int sim_ecdsa_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_ecdsa *s = ctx;
  const uint8_t *w = word(s, offset);
  if (w)
    *value = (uint32_t)w[0] | (uint32_t)w[1] << 8 | (uint32_t)w[2] << 16 | (uint32_t)w[3] << 24;
  else if (offset == CONF)
    *value = s->conf;
  else if (offset == RAW)
    *value = s->done;
  else if (offset == INT_STATE)
    *value = s->done & s->enabled;
  else if (offset == ENABLE)
    *value = s->enabled;
  else if (offset == START)
    *value = 0;
  else if (offset == STATE)
    *value = s->state;
  else if (offset == RESULT)
    *value = s->result;
  else
    return 0;
  return 1;
}

static void command(struct sim_ecdsa *s, uint32_t value) {
  if (value & BEGIN && s->state == IDLE) {
    s->state = LOAD;
    s->result = 0;
  }
  if (value & LOADED && s->state == LOAD) {
    s->result = !(s->conf & MODE_MASK) && check(s);
    s->state = s->conf & MODE_MASK ? GET : IDLE;
    s->done = 1;
    s->work += 400000;
  }
  if (value & TAKEN && s->state == GET)
    s->state = IDLE;
}

int sim_ecdsa_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_ecdsa *s = ctx;
  uint8_t *w = word(s, offset);
  if (w)
    for (int i = 0; i < 4; i++)
      w[i] = (uint8_t)(value >> 8 * i);
  else if (offset == CONF)
    s->conf = value;
  else if (offset == ENABLE)
    s->enabled = value;
  else if (offset == CLEAR)
    s->done &= ~value;
  else if (offset == START)
    command(s, value);
  else
    return 0;
  return 1;
}
