/* crypto.h - the accelerators for cryptography, put together. */
#ifndef SIM_CRYPTO_H
#define SIM_CRYPTO_H

#include "sim/aes.h"
#include "sim/ecc.h"
#include "sim/ecdsa.h"
#include "sim/rng.h"
#include "sim/rsa.h"
#include "sim/sha.h"

struct sim_bus;

struct sim_crypto_layout {
  uint32_t sha; /* address; 0: none */
  int sha_old;  /* its registers are the ESP32's */
  struct sim_aes_layout aes;
  struct sim_rsa_layout rsa;
  struct sim_ecc_layout ecc;
  struct sim_ecdsa_layout ecdsa;
  uint32_t random[SIM_RNG_PLACES]; /* addresses; 0: none */
};

struct sim_crypto {
  struct sim_sha sha;
  struct sim_aes aes;
  struct sim_rsa rsa;
  struct sim_ecc ecc;
  struct sim_ecdsa ecdsa;
  struct sim_rng rng;
};

void sim_crypto_attach(struct sim_crypto *y, const struct sim_crypto_layout *l, struct sim_bus *bus);
/* Cycles that operations took since the last call. */
uint64_t sim_crypto_work(struct sim_crypto *y);

void sim_crypto_reset(struct sim_crypto *y, const struct sim_crypto_layout *l);

#endif
