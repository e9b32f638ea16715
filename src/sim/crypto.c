/* crypto.c - the accelerators for cryptography on the bus. */
#include "sim/crypto.h"

#include "sim/bus.h"

static void put(struct sim_bus *bus, uint32_t base, uint32_t size, int (*read)(void *, uint32_t, uint32_t *),
                int (*write)(void *, uint32_t, uint32_t), void *ctx) {
  if (base)
    sim_bus_attach(bus, (struct sim_dev){base, size, read, write, ctx});
}

void sim_crypto_attach(struct sim_crypto *y, const struct sim_crypto_layout *l, struct sim_bus *bus) {
  put(bus, l->sha, 0x100, sim_sha_read, sim_sha_write, &y->sha);
  put(bus, l->aes.kind ? l->aes.base : 0, 0x50, sim_aes_read, sim_aes_write, &y->aes);
  put(bus, l->rsa.kind ? l->rsa.base : 0, 0x830, sim_rsa_read, sim_rsa_write, &y->rsa);
  put(bus, l->ecc.base, 0x400, sim_ecc_read, sim_ecc_write, &y->ecc);
  put(bus, l->ecdsa.base, 0x1000, sim_ecdsa_read, sim_ecdsa_write, &y->ecdsa);
  for (int i = 0; i < SIM_RNG_PLACES; i++)
    put(bus, l->random[i], 4, sim_rng_read, sim_rng_write, &y->rng);
}

uint64_t sim_crypto_work(struct sim_crypto *y) {
  uint64_t work = y->rsa.work + y->ecc.work + y->ecdsa.work;
  y->rsa.work = y->ecc.work = y->ecdsa.work = 0;
  return work;
}

void sim_crypto_reset(struct sim_crypto *y, const struct sim_crypto_layout *l) {
  *y = (struct sim_crypto){.sha = {.old = l->sha_old},
                           .aes = {.kind = l->aes.kind},
                           .rsa = {.kind = l->rsa.kind},
                           .ecc = {.at = l->ecc},
                           .ecdsa = {.at = l->ecdsa},
                           .rng = y->rng};
}
