/* loader_mem.c - MEM_BEGIN, MEM_DATA, MEM_END. */
#include "sim/chip.h"

static int mem_begin(struct sim_chip *c, const uint8_t *body, size_t n) {
  struct sim_download *d = &c->loader.raw;
  if (n != 16 || sim_word(body, 2) > c->config.rom.ram_block)
    return SIM_ERR_FORMAT;
  *d = (struct sim_download){.total = sim_word(body, 0),
                             .blocks = sim_word(body, 1),
                             .block_size = sim_word(body, 2),
                             .addr = sim_word(body, 3),
                             .encrypted = d->encrypted};
  return SIM_OK;
}

static int is_ram(const struct sim_chip *c, uint32_t addr) {
  const struct sim_region *r = sim_bus_region(&c->bus, addr);
  return r && r->kind != SIM_ROM && r->kind != SIM_MAPPED_FLASH;
}

/* A wrong checksum has used up its sequence number all the same. */
static int mem_data(struct sim_chip *c, const uint8_t *body, size_t n, uint8_t checksum) {
  struct sim_download *d = &c->loader.raw;
  uint32_t len = sim_word(body, 0);
  if (n > c->config.rom.ram_block + 16 || sim_word(body, 1) != d->seq || len > d->block_size)
    return SIM_ERR_FORMAT;
  d->seq++;
  if (sim_checksum(body + 16, len) != checksum)
    return SIM_ERR_CHECKSUM;
  if (len > 0 && !is_ram(c, d->addr)) {
    c->loader.panic = SIM_PANIC_STORE;
    return SIM_OK;
  }
  sim_bus_store(&c->bus, d->addr, body + 16, len);
  d->addr += len;
  d->received += len;
  return SIM_OK;
}

static int mem_end(struct sim_chip *c, const uint8_t *body, size_t n) {
  if (n > 8)
    return SIM_ERR_FORMAT;
  c->loader.entry = sim_word(body, 1);
  c->loader.leave = body[0] == 0;
  return SIM_OK;
}

int sim_cmd_mem(struct sim_chip *c, uint8_t op, const uint8_t *body, size_t n, uint8_t checksum) {
  if (op == SIM_OP_MEM_BEGIN)
    return mem_begin(c, body, n);
  return op == SIM_OP_MEM_DATA ? mem_data(c, body, n, checksum) : mem_end(c, body, n);
}
