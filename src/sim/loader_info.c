/* loader_info.c - the other commands: SYNC, registers, flash set-up, reading, digest, rate, security state.
 */
#include "digest.h"
#include "sim/chip.h"

#include <string.h>

enum { REG_ENTRY = 16, READ_MAX = 64, MD5_CHUNK = 4096 };
static const double MD5_TIME =
    1e-6; /* seconds per byte: 0.8 to 1.1 at a crystal of 40 MHz, and the flash's */

/* There is nothing in the first page of any of these chips. */
static int nowhere(const struct sim_chip *c, uint32_t addr) {
  return addr < SIM_PAGE && !sim_bus_region(&c->bus, addr);
}

static void write_registers(struct sim_chip *c, const uint8_t *body, size_t n) {
  if (n > SIM_BODY_MAX)
    n = SIM_BODY_MAX;
  for (size_t i = 0; i + REG_ENTRY <= n; i += REG_ENTRY) {
    uint32_t addr = sim_word(body + i, 0), value = sim_word(body + i, 1), mask = sim_word(body + i, 2);
    if (nowhere(c, addr)) {
      c->loader.panic = SIM_PANIC_LOAD;
      return;
    }
    sim_chip_take_time(c, sim_word(body + i, 3) * 1e-6);
    sim_bus_write(&c->bus, addr,
                  mask == 0xFFFFFFFF ? value : (sim_bus_read(&c->bus, addr) & ~mask) | (value & mask));
  }
}

static int read_slow(struct sim_chip *c, uint32_t addr, uint32_t len) {
  uint32_t pointer = c->config.rom.read_pointer, function = pointer ? sim_bus_read(&c->bus, pointer) : 0;
  if (function) { /* somebody has put another in its place */
    c->loader.entry = function;
    c->loader.leave = 1;
    return SIM_OK;
  }
  if (len > READ_MAX)
    return SIM_ERR_READ_LENGTH;
  len = (len + 3) & ~3u; /* flash is read in words */
  if (!sim_loader_in_flash(c, addr, len))
    return SIM_ERR_READ;
  if (c->flash_connected)
    sim_flash_read(&c->flash, addr & SIM_ROM_ADDRESS, c->loader.body, len);
  else
    memset(c->loader.body, 0xFF, len);
  c->loader.error = 0;
  return SIM_OK;
}

static int md5(struct sim_chip *c, uint32_t addr, uint32_t len) {
  static const char digits[] = "0123456789abcdef";
  uint8_t chunk[MD5_CHUNK], digest[16];
  if (len > INT32_MAX)
    len = 0; /* the length is signed there */
  if (len > 0 && !sim_loader_in_flash(c, addr, (len + 3) & ~3u))
    return SIM_ERR_READ;
  struct digest md;
  sim_chip_take_time(c, len * MD5_TIME);
  digest_begin(&md, "md5");
  while (len > 0) {
    uint32_t n = len < MD5_CHUNK ? len : MD5_CHUNK;
    if (c->flash_connected)
      sim_flash_read(&c->flash, addr & SIM_ROM_ADDRESS, chunk, n);
    else
      memset(chunk, 0xFF, n);
    digest_update(&md, chunk, n);
    addr += n, len -= n;
  }
  digest_end(&md, digest);
  digest_free(&md);
  for (int i = 0; i < 16; i++) {
    c->loader.body[2 * i] = (uint8_t)digits[digest[i] >> 4];
    c->loader.body[2 * i + 1] = (uint8_t)digits[digest[i] & 15];
  }
  c->loader.error = 0;
  return SIM_OK;
}

void sim_security_info(struct sim_chip *c, uint8_t *b) {
  const struct sim_config *g = &c->config;
  const struct sim_field *flag[] = {&g->secure_boot,   &g->aggressive_revoke, &g->secure_download,
                                    &g->key_revoke[0], &g->key_revoke[1],     &g->key_revoke[2],
                                    &g->soft_dis_jtag, &g->hard_dis_jtag,     &g->dis_usb,
                                    &g->dis_dcache,    &g->dis_icache};
  uint32_t flags = 0;
  for (size_t i = 0; i < sizeof flag / sizeof flag[0]; i++) {
    uint32_t v = sim_field_get(c, flag[i]);
    if (flag[i] == &g->soft_dis_jtag)
      v = (uint32_t)__builtin_popcount(v) & 1; /* an odd number of bits */
    flags |= (uint32_t)(v != 0) << i;
  }
  memset(b, 0, 20);
  for (int i = 0; i < 4; i++)
    b[i] = (uint8_t)(flags >> 8 * i);
  b[4] = (uint8_t)sim_field_get(c, &g->crypt_cnt);
  for (int i = 0; i < g->keys; i++)
    b[5 + i] = (uint8_t)sim_field_get(c, &g->key_purpose[i]);
  for (int i = g->keys; i > 0 && i < SIM_KEYS; i++)
    b[5 + i] = (uint8_t)g->no_purpose;
  for (int i = 0; i < 4; i++) {
    b[12 + i] = (uint8_t)(g->chip_id >> 8 * i);
    b[16 + i] = (uint8_t)(g->api_version >> 8 * i);
  }
}

static int has_power(struct sim_chip *c) {
  const struct sim_field *f = &c->config.flash_power;
  return f->parts == 0 || sim_field_get(c, f) == (1u << f->part[0].width) - 1;
}

void sim_loader_attach(struct sim_chip *c, uint32_t pads) {
  c->flash_connected = pads == c->config.spi_connection && has_power(c);
}

static int set_params(struct sim_chip *c, const uint8_t *body, size_t n) {
  if (n != 24)
    return SIM_ERR_FORMAT;
  c->loader.flash_size = sim_word(body, 1);
  return SIM_OK;
}

int sim_cmd_info(struct sim_chip *c, uint8_t op, const uint8_t *body, size_t n) {
  struct sim_loader *l = &c->loader;
  uint8_t info[20];
  uint32_t first = sim_word(body, 0), second = sim_word(body, 1);
  switch (op) {
  case SIM_OP_SYNC:
    l->value = first;
    l->error = 0;
    return SIM_OK;
  case SIM_OP_WRITE_REG:
    write_registers(c, body, n);
    l->error = 0;
    return SIM_OK;
  case SIM_OP_READ_REG:
    l->panic = nowhere(c, first) ? SIM_PANIC_LOAD : 0;
    l->value = sim_bus_read(&c->bus, first);
    l->error = 0;
    return SIM_OK;
  case SIM_OP_SPI_SET_PARAMS:
    return set_params(c, body, n);
  case SIM_OP_SPI_ATTACH:
    sim_loader_attach(c, first);
    l->error = 0;
    return SIM_OK;
  case SIM_OP_READ_FLASH_SLOW:
    return read_slow(c, first, second);
  case SIM_OP_CHANGE_BAUD:
    l->new_baud = first;
    l->error = 0;
    return SIM_OK;
  case SIM_OP_MD5:
    return n > 0x1810 ? SIM_ERR_FORMAT : md5(c, first, second);
  case SIM_OP_SECURITY_INFO:
    sim_security_info(c, info);
    memcpy(c->loader.body, info, c->config.rom.security == SIM_SECURITY_FULL ? sizeof info : 12);
    return SIM_OK;
  default: /* one of those that are not documented: takes two words, and nothing is seen of it */
    if (n == 8)
      l->error = 0;
    return n == 8 ? SIM_OK : SIM_ERR_FORMAT;
  }
}
