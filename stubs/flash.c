/* flash.c - the flash chip, through the user commands of the SPI1 controller. */
#include "stub.h"

/* Bits of SPI_USER_REG and SPI_CMD_REG: the same on every chip (soc/spi_reg.h, soc/spi_mem_reg.h). */
#define USR_COMMAND 0x80000000u
#define USR_ADDRESS 0x40000000u
#define USR_DUMMY 0x20000000u
#define USR_MISO 0x10000000u
#define USR_MOSI 0x08000000u
#define CMD_USR 0x00040000u

enum { CHUNK = 64 }; /* the controller's buffer */
enum { WRITE_ENABLE = 0x06, READ_STATUS = 0x05, PROGRAM = 0x02, ERASE_4K = 0x20, ERASE_64K = 0xD8, ERASE_CHIP = 0xC7,
       READ = 0x03, PROGRAM_4B = 0x12, ERASE_4K_4B = 0x21, ERASE_64K_4B = 0xDC, READ_4B = 0x13 };
enum { BUSY = 1, ENABLED = 2 };

uint32_t flash_size = 4u << 20;
static int wide;

void flash_wide(int on) {
  wide = on;
}

static uint32_t buffer[CHUNK / 4];

/* One command. address_bits 0: none. mosi and miso: bytes to send from and to receive into `buffer`. */
static int command(uint32_t op, uint32_t address, uint32_t address_bits, uint32_t dummy, uint32_t mosi, uint32_t miso) {
  uint32_t user = USR_COMMAND, user1 = 0;
  if (address_bits) {
    user |= USR_ADDRESS;
    user1 |= (address_bits - 1) << 26;
    REG_WRITE(SPI1_BASE + SPI_ADDR, SPI_ADDRESS_LEFT ? address << (32 - address_bits) : address);
  }
  if (dummy) {
    user |= USR_DUMMY;
    user1 |= dummy - 1;
  }
  if (mosi)
    user |= USR_MOSI;
  if (miso)
    user |= USR_MISO;
#ifdef SPI_LENGTHS_IN_USER1 /* ESP8266 */
  if (mosi)
    user1 |= (mosi * 8 - 1) << 17;
  if (miso)
    user1 |= (miso * 8 - 1) << 8;
#else
  if (mosi)
    REG_WRITE(SPI1_BASE + SPI_MOSI_DLEN, mosi * 8 - 1);
  if (miso)
    REG_WRITE(SPI1_BASE + SPI_MISO_DLEN, miso * 8 - 1);
#endif
  REG_WRITE(SPI1_BASE + SPI_USER, user);
  REG_WRITE(SPI1_BASE + SPI_USER1, user1);
  REG_WRITE(SPI1_BASE + SPI_USER2, 7u << 28 | op);
  for (uint32_t i = 0; i < mosi; i += 4)
    REG_WRITE(SPI1_BASE + SPI_W0 + i, buffer[i >> 2]);
  REG_WRITE(SPI1_BASE + SPI_CMD, CMD_USR);
  for (uint32_t i = 0; REG_READ(SPI1_BASE + SPI_CMD) & CMD_USR; i++) {
    if (i == 1000000)
      return FLASH_TIMEOUT;
    if ((i & 15) == 15)
      io_poll();
  }
  for (uint32_t i = 0; i < miso; i += 4)
    buffer[i >> 2] = REG_READ(SPI1_BASE + SPI_W0 + i);
  return OK;
}

static int status(uint32_t *out) {
  int err = command(READ_STATUS, 0, 0, 0, 0, 1);
  *out = buffer[0] & 0xFF;
  return err;
}

/* Waits until the flash is no longer busy; at most `rounds` looks, each some microseconds. */
static int wait_ready(uint32_t rounds) {
  for (uint32_t i = 0; i < rounds; i++) {
    uint32_t s;
    int err = status(&s);
    if (err)
      return err;
    io_poll();
    if (!(s & BUSY))
      return OK;
  }
  return FLASH_TIMEOUT;
}

static int enable(void) {
  uint32_t s;
  int err = command(WRITE_ENABLE, 0, 0, 0, 0, 0);
  if (!err)
    err = status(&s);
  if (!err && (s & (BUSY | ENABLED)) != ENABLED)
    err = FLASH_FAILED; /* protected, or nobody there */
  return err;
}

int flash_read(uint32_t address, uint8_t *to, uint32_t n) {
  while (n) {
    uint32_t part = n < CHUNK ? n : CHUNK;
    int err = command(wide ? READ_4B : READ, address, wide ? 32 : 24, 0, 0, part);
    if (err)
      return err;
    io_poll();
    const uint8_t *from = (const uint8_t *)buffer;
    for (uint32_t i = 0; i < part; i++)
      to[i] = from[i];
    to += part;
    address += part;
    n -= part;
  }
  return OK;
}

int flash_program(uint32_t address, const uint8_t *from, uint32_t n) {
  while (n) {
    uint32_t part = n < CHUNK ? n : CHUNK;
    uint8_t *b = (uint8_t *)buffer;
    int blank = 1;
    for (uint32_t i = 0; i < part; i++)
      blank &= from[i] == 0xFF;
    if (!blank) { /* erased flash holds 0xFF already */
      int err = enable();
      for (uint32_t i = 0; i < part; i++)
        b[i] = from[i];
      if (!err)
        err = command(wide ? PROGRAM_4B : PROGRAM, address, wide ? 32 : 24, 0, part, 0);
      if (!err)
        err = wait_ready(100000);
      if (err)
        return err;
    }
    from += part;
    address += part;
    n -= part;
  }
  return OK;
}

int flash_erase(uint32_t address, uint32_t size) {
  int err = enable();
  if (!err)
    err = size == BLOCK64 ? command(wide ? ERASE_64K_4B : ERASE_64K, address, wide ? 32 : 24, 0, 0, 0)
                          : command(wide ? ERASE_4K_4B : ERASE_4K, address, wide ? 32 : 24, 0, 0, 0);
  return err ? err : wait_ready(2000000);
}

int flash_erase_all(void) {
  int err = enable();
  if (!err)
    err = command(ERASE_CHIP, 0, 0, 0, 0, 0);
  return err ? err : wait_ready(100000000);
}

int flash_blank(uint32_t address, uint32_t size, int *blank) {
  uint32_t part[CHUNK / 4];
  *blank = 1;
  for (; size && *blank; size -= CHUNK, address += CHUNK) {
    int err = flash_read(address, (uint8_t *)part, CHUNK);
    if (err)
      return err;
    for (uint32_t i = 0; i < CHUNK / 4; i++)
      *blank &= part[i] == 0xFFFFFFFF;
  }
  return OK;
}
