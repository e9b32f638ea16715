/* crypt.c - flash encryption. Source: Technical Reference Manuals, "External Memory Encryption and
 * Decryption"; ESP-IDF soc headers.
 *
 * A data unit of XTS-AES is 128 bytes of flash, its tweak the unit's address. The hardware sees bytes in
 * reverse order: the unit's last byte first, and the key's as well. */
#include "sim/crypt.h"

#include "digest.h"
#include "sim/chip.h"
#include "xts.h"

#include <mbedtls/aes.h>
#include <string.h>

enum {
  LINE = 0x40,
  DESTINATION = 0x44,
  ADDRESS = 0x48,
  TRIGGER = 0x4C,
  RELEASE = 0x50,
  DESTROY = 0x54,
  STATE = 0x58
};
/* The ESP32's: what was written is encrypted when START is, for the address in OLD_ADDRESS. */
enum { OLD_PLAIN = 0x20, OLD_START = 0x20, OLD_ADDRESS = 0x24, OLD_DONE = 0x28, OLD_LINE = 32, OLD_KEY = 1 };
enum { IDLE, BUSY, DONE, RELEASED };
enum { SPI_MANUAL = 1, DOWNLOAD_WINDOW = 4, DOWNLOAD_MANUAL = 8 }; /* bits of the control register */
enum { BLOCK = 32 };                                               /* bytes of a key in eFuse */

void sim_crypt_reset(struct sim_crypt *x) {
  *x = (struct sim_crypt){.chip = x->chip};
}

static uint32_t control(struct sim_chip *c) {
  uint32_t at = c->config.crypt.control;
  return at ? sim_bus_read(&c->bus, at) : 0;
}

/* The bytes of a block in eFuse, the last one first. Read protection does not hinder the hardware. */
static void turned(const struct sim_chip *c, int block, uint8_t *to, int n) {
  const uint32_t *words = c->efuse.cell[block];
  for (int b = 0; b < n; b++)
    to[n - 1 - b] = (uint8_t)(words[b / 4] >> 8 * (b % 4));
}

/* The key block of a purpose; 0 when there is none. */
static int find(struct sim_chip *c, uint32_t purpose, uint8_t *to) {
  for (int i = 0; purpose && i < c->config.keys; i++) {
    if (sim_field_get(c, &c->config.key_purpose[i]) != purpose)
      continue;
    turned(c, c->config.key_block + i, to, BLOCK);
    return 1;
  }
  return 0;
}

/* Of a chip with one block for keys. */
static size_t only_key(struct sim_chip *c, uint8_t to[SIM_CRYPT_KEY]) {
  uint8_t half[BLOCK / 2];
  if (sim_field_get(c, &c->config.crypt_key_length)) {
    turned(c, c->config.key_block, to, BLOCK);
    return BLOCK;
  }
  turned(c, c->config.key_block, half, BLOCK / 2);
  return digest_of("sha256", half, sizeof half, to);
}

static size_t key(struct sim_chip *c, uint8_t to[SIM_CRYPT_KEY]) {
  const struct sim_crypt_layout *l = &c->config.crypt;
  if (c->config.key_block < 0 || c->config.key_block + c->config.keys > SIM_EFUSE_BLOCKS)
    return 0;
  if (c->config.crypt_key_length.parts)
    return only_key(c, to);
  if (find(c, l->purpose_256[0], to) && find(c, l->purpose_256[1], to + BLOCK))
    return 2 * BLOCK;
  return find(c, l->purpose, to) ? BLOCK : 0;
}

int sim_crypt_window(struct sim_chip *c) {
  const struct sim_crypt_layout *l = &c->config.crypt;
  if (!l->base || l->esp32)
    return 0;
  if (c->boot_mode == SIM_BOOT_DOWNLOAD)
    return (control(c) & DOWNLOAD_WINDOW) != 0;
  uint32_t n = sim_field_get(c, &c->config.crypt_cnt), odd = 0;
  for (; n; n &= n - 1)
    odd ^= 1;
  return (int)odd;
}

static void turn(uint8_t *to, const uint8_t *from, size_t n) {
  for (size_t i = 0; i < n; i++)
    to[n - 1 - i] = from[i];
}

/* One data unit. Blocks of 16 bytes do not depend on each other. */
static int unit(int encrypt, const uint8_t *key, size_t key_size, uint32_t address,
                uint8_t data[SIM_CRYPT_UNIT]) {
  uint8_t turned[SIM_CRYPT_UNIT], tweak[XTS_TWEAK] = {(uint8_t)address, (uint8_t)(address >> 8),
                                                      (uint8_t)(address >> 16), (uint8_t)(address >> 24)};
  turn(turned, data, SIM_CRYPT_UNIT);
  if (xts_crypt(encrypt, key, key_size, tweak, turned, turned, SIM_CRYPT_UNIT) != 0)
    return -1;
  turn(data, turned, SIM_CRYPT_UNIT);
  return 0;
}

/* The ESP32's cipher: AES-256 the other way round, of 16 bytes of which the last comes first. The address
 * takes part as FLASH_CRYPT_CONFIG in eFuse says; only 0 is done here, that it does not. */
static int run_old(struct sim_chip *c, int encrypt, uint8_t *data, size_t n) {
  uint8_t k[BLOCK], in[16], out[16];
  mbedtls_aes_context aes;
  if (sim_field_get(c, &c->config.crypt_config))
    return -1;
  turned(c, OLD_KEY, k, BLOCK);
  mbedtls_aes_init(&aes);
  int bad = encrypt ? mbedtls_aes_setkey_dec(&aes, k, 8 * BLOCK) : mbedtls_aes_setkey_enc(&aes, k, 8 * BLOCK);
  for (size_t at = 0; !bad && at + 16 <= n; at += 16) {
    turn(in, data + at, 16);
    mbedtls_aes_crypt_ecb(&aes, encrypt ? MBEDTLS_AES_DECRYPT : MBEDTLS_AES_ENCRYPT, in, out);
    turn(data + at, out, 16);
  }
  mbedtls_aes_free(&aes);
  return bad ? -1 : 0;
}

int sim_crypt_run(struct sim_chip *c, int encrypt, uint32_t address, uint8_t *data, size_t n) {
  uint8_t k[SIM_CRYPT_KEY], one[SIM_CRYPT_UNIT];
  if (c->config.crypt.esp32)
    return run_old(c, encrypt, data, n);
  size_t size = key(c, k);
  while (size && n > 0) {
    size_t at = address % SIM_CRYPT_UNIT, room = SIM_CRYPT_UNIT - at, part = n < room ? n : room;
    memset(one, 0, sizeof one);
    memcpy(one + at, data, part);
    if (unit(encrypt, k, size, address - (uint32_t)at, one) != 0)
      return -1;
    memcpy(data, one + at, part);
    data += part, n -= part, address += (uint32_t)part;
  }
  return size ? 0 : -1;
}

/* Where an address is in the buffers. */
static size_t place(const struct sim_crypt *x, uint32_t address) {
  return address % SIM_CRYPT_PLAIN % x->chip->config.crypt.line;
}

static size_t line_bytes(const struct sim_crypt *x) {
  size_t n = x->line == 0 ? 16 : x->line == 1 ? 32 : 64, most = x->chip->config.crypt.line;
  return n < most ? n : most;
}

static int enabled(struct sim_chip *c) {
  uint32_t bits = control(c), want = SPI_MANUAL | (c->boot_mode == SIM_BOOT_DOWNLOAD ? DOWNLOAD_MANUAL : 0);
  if (c->boot_mode == SIM_BOOT_DOWNLOAD && sim_field_get(c, &c->config.dl_encrypt_disabled))
    return 0;
  return (bits & want) == want;
}

/* Without a key the hardware works with one of zeros; here the bytes stay as they are. */
static void calculate(struct sim_crypt *x) {
  size_t n = line_bytes(x);
  uint32_t first = x->address / (uint32_t)n * (uint32_t)n;
  memcpy(x->result, x->plain, sizeof x->result);
  sim_crypt_run(x->chip, 1, first, x->result + place(x, first), n);
  x->state = DONE;
}

static size_t take_old(const struct sim_crypt *x, uint32_t *address, uint8_t *data) {
  struct sim_chip *c = x->chip;
  if (x->state != DONE || !(control(c) & SPI_MANUAL) || sim_field_get(c, &c->config.dl_encrypt_disabled))
    return 0;
  *address = x->address / OLD_LINE * OLD_LINE;
  memcpy(data, x->result, OLD_LINE);
  return OLD_LINE;
}

static int write_old(struct sim_crypt *x, uint32_t offset, uint32_t value) {
  if (offset < OLD_PLAIN)
    for (int i = 0; i < 4; i++)
      x->plain[offset + (uint32_t)i] = (uint8_t)(value >> 8 * i);
  else if (offset == OLD_ADDRESS)
    x->address = value;
  else if (offset == OLD_START && value & 1) {
    memcpy(x->result, x->plain, OLD_LINE);
    run_old(x->chip, 1, x->result, OLD_LINE);
    x->state = DONE;
  }
  return offset <= OLD_DONE;
}

size_t sim_crypt_take(const struct sim_crypt *x, uint32_t *address, uint8_t data[SIM_CRYPT_PLAIN]) {
  if (x->chip->config.crypt.esp32)
    return take_old(x, address, data);
  size_t n = line_bytes(x);
  if (x->state != RELEASED || !enabled(x->chip))
    return 0;
  *address = x->address / (uint32_t)n * (uint32_t)n;
  memcpy(data, x->result + place(x, *address), n);
  return n;
}

static uint32_t *named(struct sim_crypt *x, uint32_t offset) {
  if (offset == LINE)
    return &x->line;
  if (offset == DESTINATION)
    return &x->destination;
  return offset == ADDRESS ? &x->address : NULL;
}

int sim_crypt_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_crypt *x = ctx;
  if (x->chip->config.crypt.esp32) {
    *value = offset == OLD_DONE ? x->state == DONE : offset == OLD_ADDRESS ? x->address : 0;
    return offset <= OLD_DONE;
  }
  uint32_t *r = named(x, offset);
  if (r)
    *value = *r;
  else if (offset == STATE)
    *value = x->state;
  else if (offset <= STATE)
    *value = 0; /* what is to be encrypted cannot be read back */
  else
    return 0;
  return 1;
}

int sim_crypt_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_crypt *x = ctx;
  if (x->chip->config.crypt.esp32)
    return write_old(x, offset, value);
  uint32_t *r = named(x, offset);
  if (offset < LINE)
    for (int i = 0; i < 4; i++)
      x->plain[offset + (uint32_t)i] = (uint8_t)(value >> 8 * i);
  else if (r)
    *r = value;
  else if (offset == TRIGGER && value & 1)
    calculate(x);
  else if (offset == RELEASE && value & 1 && x->state == DONE)
    x->state = RELEASED;
  else if (offset == DESTROY && value & 1)
    sim_crypt_reset(x);
  return offset <= STATE;
}
