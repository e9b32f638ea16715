/* flash.c - the flash chip, through the user commands of the SPI1 controller. */
#include "stub.h"

/* Offsets and bits that are the same on every chip (soc/spi_reg.h, soc/spi_mem_reg.h). */
#define SPI_CMD 0x00
#define SPI_ADDRESS 0x04
#define SPI_CTRL 0x08
#define CMD_USR 0x00040000u
#define CTRL_FAST_MODES 0x01906000u /* FREAD_QIO, FREAD_DIO, FREAD_QUAD, FREAD_DUAL, FASTRD_MODE */
#define USR_COMMAND 0x80000000u
#define USR_ADDRESS 0x40000000u
#define USR_MISO 0x10000000u
#define USR_MOSI 0x08000000u

enum { CHUNK = 64 }; /* the controller's buffer */
/* Commands of the flash; of those with an address also, in the upper byte, the one whose address has four
 * bytes. */
enum {
  WRITE_DISABLE = 0x04,
  WRITE_ENABLE = 0x06,
  READ_STATUS = 0x05,
  ERASE_CHIP = 0xC7,
  READ = 0x1303,
  PROGRAM = 0x1202,
  ERASE_4K = 0x2120,
  ERASE_64K = 0xDCD8
};
enum { BUSY = 1, ENABLED = 2, PROTECTION = 0x3C };
#ifndef BIG
#define BIG (1u << 24) /* from here on addresses have 32 bits */
#endif

uint32_t flash_size = 4u << 20;
static uint32_t pending;  /* looks at the status that what was begun last may take; 0: it is done */
static uint32_t saved[3]; /* what the ROM's functions expect to find in the controller */

/* One command; no address where it is NO_ADDRESS. mosi and miso: bytes that it sends from and receives into
 * the controller's buffer. */
#define NO_ADDRESS 0xFFFFFFFFu
static int command(uint32_t op, uint32_t address, uint32_t mosi, uint32_t miso) {
  uint32_t user = USR_COMMAND, user1 = 0, spi = near(SPI1_BASE);
  if (address != NO_ADDRESS) {
    user |= USR_ADDRESS;
    user1 = 23u << 26;
    if (flash_size > BIG) {
      user1 = 31u << 26;
      op >>= 8;
    } else if (SPI_ADDRESS_LEFT) {
      address <<= 8;
    }
    REG_WRITE(spi + SPI_ADDRESS, address);
  }
  if (mosi)
    user |= USR_MOSI;
  if (miso)
    user |= USR_MISO;
  mosi = mosi * 8 - 1; /* which nobody looks at where there is nothing to send */
  miso = miso * 8 - 1;
#ifdef SPI_MOSI_DLEN
  REG_WRITE(spi + SPI_MOSI_DLEN, mosi & 0x1FF);
  REG_WRITE(spi + SPI_MISO_DLEN, miso & 0x1FF);
#else /* ESP8266 */
  user1 |= (mosi & 0x1FF) << 17 | (miso & 0x1FF) << 8;
#endif
  REG_WRITE(spi + SPI_USER, user);
  REG_WRITE(spi + SPI_USER1, user1);
  REG_WRITE(spi + SPI_USER2, 7u << 28 | (op & 0xFF));
  REG_WRITE(spi + SPI_CMD, CMD_USR);
  for (uint32_t i = 1000000; REG_READ(spi + SPI_CMD) & CMD_USR; i--) {
    if (!i)
      return FLASH_TIMEOUT;
    if ((i & 15) == 0)
      io_poll();
  }
  return OK;
}

static int status(uint32_t *out) {
  int err = command(READ_STATUS, NO_ADDRESS, 0, 1);
  *out = REG_READ(SPI1_BASE + SPI_W0) & 0xFF;
  return err;
}

int flash_ready(void) {
  while (pending) {
    uint32_t s;
    int err = status(&s);
    io_poll();
    if (!err && !(s & BUSY)) {
      pending = 0;
      return OK;
    }
    if (!--pending || err)
      return FLASH_TIMEOUT;
  }
  return OK;
}

/* Begins what changes the flash and lets it run: it may take so many looks at the status. A look takes some
 * microseconds, so these are limits far beyond what any data sheet has: about 1 s, 10 s, 5 minutes. */
enum { LOOKS_PROGRAM = 200000, LOOKS_ERASE = 2000000, LOOKS_CHIP = 100000000 };
static int change(uint32_t op, uint32_t address, const uint32_t *from, uint32_t n, uint32_t looks) {
  uint32_t s = 0;
  int err = flash_ready();
  if (!err)
    err = command(WRITE_ENABLE, NO_ADDRESS, 0, 0);
  if (!err)
    err = status(&s);
  if (err)
    return err;
  if ((s & (BUSY | ENABLED)) != ENABLED)
    return FLASH_FAILED; /* nobody there, or it does not listen */
  for (uint32_t i = 0; i < n; i += 4)
    REG_WRITE(SPI1_BASE + SPI_W0 + i, *from++);
  pending = looks;
  return command(op, address, n, 0);
}

int flash_in_range(uint32_t address, uint32_t size) {
  return address <= flash_size && size <= flash_size - address;
}

/* Whole words are stored: `to` is aligned and has room for them. */
int flash_read(uint32_t address, void *to, uint32_t n) {
  uint32_t *word = to;
  int err = flash_ready();
  while (n && !err) {
    uint32_t part = n < CHUNK ? n : CHUNK;
    err = command(READ, address, 0, part);
    for (uint32_t i = 0; i < part; i += 4)
      *word++ = REG_READ(SPI1_BASE + SPI_W0 + i);
    io_poll();
    address += part;
    n -= part;
  }
  return err;
}

int flash_program(uint32_t address, const uint32_t *from, uint32_t n) {
  int err = OK;
  while (n && !err) {
    uint32_t part = n < CHUNK ? n : CHUNK, all = 0xFFFFFFFF;
    for (uint32_t i = 0; i < (part + 3) / 4; i++)
      all &= from[i];
    if (all != 0xFFFFFFFF) /* erased flash holds 0xFF already */
      err = change(PROGRAM, address, from, part, LOOKS_PROGRAM);
    from += part / 4;
    address += part;
    n -= part;
  }
  return err;
}

int flash_erase(uint32_t address, uint32_t size) {
  uint32_t first = 0, s;
  int err = change(size == BLOCK64 ? ERASE_64K : ERASE_4K, address, 0, 0, LOOKS_ERASE);
  if (!err)
    err = flash_read(address, &first, 4);
  if (!err && first != 0xFFFFFFFF) { /* a protected sector takes the command and does nothing */
    status(&s);
    err = s & PROTECTION ? FLASH_PROTECTED : FLASH_FAILED;
  }
  return err;
}

int flash_erase_all(void) {
  int err = change(ERASE_CHIP, NO_ADDRESS, 0, 0, LOOKS_CHIP);
  return err ? err : flash_ready();
}

int flash_blank(uint32_t sector, int *blank) {
  uint32_t part[CHUNK / 4], all = 0xFFFFFFFF;
  int err = OK;
  for (uint32_t at = 0; at < SECTOR && all == 0xFFFFFFFF && !err; at += CHUNK) {
    err = flash_read(sector + at, part, CHUNK);
    for (uint32_t i = 0; i < CHUNK / 4; i++)
      all &= part[i];
  }
  *blank = all == 0xFFFFFFFF;
  return err;
}

static void registers(int save) {
  static const uint8_t offset[3] = {SPI_USER, SPI_USER1, SPI_USER2};
  for (int i = 0; i < 3; i++) {
    if (save)
      saved[i] = REG_READ(SPI1_BASE + offset[i]);
    else
      REG_WRITE(SPI1_BASE + offset[i], saved[i]);
  }
}

/* The ROM's own function knows the encryption block of its chip. It does not poll: one block in flight only.
 */
int flash_program_encrypted(uint32_t address, const uint32_t *from, uint32_t n) {
#ifdef ROM_WRITE_ENCRYPTED
  int err = flash_ready();
  if (err)
    return err;
  registers(0);
  rom_call(ROM_CONFIGURE, 0, flash_size < BIG ? flash_size : BIG, BLOCK64);
  return rom_call(ROM_WRITE_ENCRYPTED, address, (uint32_t)(uintptr_t)from, n) ? FLASH_FAILED : OK;
#else
  (void)address, (void)from, (void)n;
  return NOT_IMPLEMENTED;
#endif
}

void flash_attach(uint32_t pins) {
#ifdef ROM_ATTACH_UNLESS
  if (ROM_ATTACH_UNLESS)
    return;
#endif
#ifdef ROM_PADS
  rom_call(ROM_PADS, 0, 0, 0);
#endif
  registers(0);
  rom_call(ROM_ATTACH, pins, 0, 0);
  flash_init(0);
}

void flash_init(int first) {
  registers(1);
  REG_WRITE(SPI1_BASE + SPI_CTRL,
            REG_READ(SPI1_BASE + SPI_CTRL) & ~CTRL_FAST_MODES); /* our reads take one bit at a time */
  if (first && change(WRITE_DISABLE, NO_ADDRESS, 0, 0, 0))      /* nobody answers: attaching is left to us */
    flash_attach(0);
}
