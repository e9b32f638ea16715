/* loader_flash.c - FLASH_BEGIN, FLASH_DATA, FLASH_END and what every flash command shares. */
#include "sim/chip.h"

#include <string.h>

enum { SECTORS_PER_BLOCK = 16, PAGE = 256 };
static const double SECTOR_TIME = 0.045, BLOCK_TIME = 0.150, PAGE_TIME = 0.0005; /* of common 32 Mbit parts */

int sim_loader_in_flash(const struct sim_chip *c, uint32_t addr, uint32_t n) {
  return (uint64_t)addr + n <= c->loader.flash_size;
}

/* The ROM erases single sectors up to a block boundary, then blocks, then the rest as sectors. The ESP8266's
 * forgets to count those it has already done: E sectors asked for are E plus those before the boundary. */
int sim_loader_erase(struct sim_chip *c, uint32_t addr, uint32_t n) {
  uint32_t sectors = n / SIM_SECTOR + (n % SIM_SECTOR != 0);
  uint32_t head = SECTORS_PER_BLOCK - addr / SIM_SECTOR % SECTORS_PER_BLOCK;
  if (!sim_loader_in_flash(c, addr, n) || addr % SIM_SECTOR || !c->flash_connected)
    return SIM_ERR_RESULT;
  if (head > sectors)
    head = sectors;
  if (c->config.rom.erase_quirk)
    sectors += head;
  sim_flash_erase(&c->flash, addr & SIM_ROM_ADDRESS, (size_t)sectors * SIM_SECTOR);
  uint32_t rest = sectors - head;
  sim_chip_take_time(c, head * SECTOR_TIME + rest / SECTORS_PER_BLOCK * BLOCK_TIME +
                            rest % SECTORS_PER_BLOCK * SECTOR_TIME);
  return SIM_OK;
}

void sim_loader_program(struct sim_chip *c, uint32_t addr, const uint8_t *data, uint32_t n) {
  if (!sim_loader_in_flash(c, addr, n) || !c->flash_connected)
    return;
  if (addr % 4 && n >= PAGE - addr % PAGE)
    return; /* up to the end of the page these are no whole words: refused, and nobody asks */
  sim_flash_program(&c->flash, addr & SIM_ROM_ADDRESS, data, n);
  sim_chip_take_time(c, (n + 255) / 256 * PAGE_TIME);
}

static int flash_begin(struct sim_chip *c, const uint8_t *body, size_t n) {
  struct sim_download *d = &c->loader.raw;
  size_t want = c->config.rom.encrypted_word ? 20 : 16;
  if (n != want || sim_word(body, 2) > c->config.rom.ram_block)
    return SIM_ERR_FORMAT;
  if (n > 16 && sim_word(body, 4) && sim_field_get(c, &c->config.dl_encrypt_disabled))
    return SIM_ERR_REFUSED;
  *d = (struct sim_download){.total = sim_word(body, 0),
                             .blocks = sim_word(body, 1),
                             .block_size = sim_word(body, 2),
                             .addr = sim_word(body, 3),
                             .encrypted = n > 16 && sim_word(body, 4) != 0};
  if (!(c->config.rom.commands >> SIM_OP_SPI_ATTACH & 1))
    c->flash_connected = 1; /* this ROM attaches the flash here */
  return sim_loader_erase(c, d->addr, d->total);
}

/* Without a key, or where the cipher is not modelled (ESP32), something that nobody mistakes for the plain
 * bytes. */
void sim_loader_encrypt(struct sim_chip *c, uint32_t addr, uint8_t *data, uint32_t n) {
  if ((addr | n) % 16 == 0 && sim_crypt_run(c, 1, addr, data, n) == 0)
    return;
  uint32_t key = 0x9E3779B9;
  for (int b = 1; b < c->efuse.at.blocks; b++)
    for (int w = 0; w < c->efuse.at.block[b].words; w++)
      key = (key ^ c->efuse.cell[b][w]) * 2654435761u;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t x = (key ^ (addr + i)) * 2246822519u;
    data[i] ^= (uint8_t)(x >> 24 ^ x >> 11);
  }
}

static int flash_data(struct sim_chip *c, uint8_t *body, size_t n, uint8_t checksum) {
  struct sim_download *d = &c->loader.raw;
  uint32_t len = sim_word(body, 0);
  uint8_t *data = body + 16;
  if (n > c->config.rom.ram_block + 16 || sim_word(body, 1) != d->seq || len > d->block_size || len % 4)
    return SIM_ERR_FORMAT;
  d->seq++; /* also when the checksum turns out wrong: the same number is not taken again */
  if (sim_checksum(data, len) != checksum)
    return SIM_ERR_CHECKSUM;
  if (d->encrypted) {
    if ((d->addr | len) % 16)
      return SIM_ERR_REFUSED;
    sim_loader_encrypt(c, d->addr, data, len);
    sim_loader_program(c, d->addr, data, len);
  } else {
    sim_loader_program(c, d->addr, data, len);
    if (sim_loader_in_flash(c, d->addr, len)) /* else the read is refused and finds the data still there */
      sim_flash_read(&c->flash, d->addr & SIM_ROM_ADDRESS, data, len);
    if (sim_checksum(data, len) != checksum)
      return SIM_ERR_WRITE;
  }
  d->addr += len;
  d->received += len;
  return SIM_OK;
}

/* Leaves the loader, whatever it answers. */
static int flash_end(struct sim_chip *c, const struct sim_download *d, const uint8_t *body) {
  c->loader.leave = 1;
  if (d->seq != d->blocks || d->received != d->total)
    return SIM_ERR_RESULT;
  if (body[0] == 0 || c->loader.secure)
    c->loader.restart = 1, c->loader.error = 0;
  return SIM_OK;
}

int sim_cmd_flash(struct sim_chip *c, uint8_t op, uint8_t *body, size_t n, uint8_t checksum) {
  if (op == SIM_OP_FLASH_BEGIN)
    return flash_begin(c, body, n);
  if (op == SIM_OP_FLASH_DATA)
    return flash_data(c, body, n, checksum);
  return flash_end(c, &c->loader.raw, body);
}
