/* flash.c - the flash chip, through the user commands of the SPI1 controller. */
#include "stub.h"

/* Offsets and bits that are the same on every chip (soc/spi_reg.h, soc/spi_mem_reg.h). */
#define SPI_CMD 0x00
#define SPI_ADDRESS 0x04
#define SPI_CTRL 0x08
#define CMD_USR 0x00040000u
#define CTRL_FAST_MODES 0x01906000u /* FREAD_QIO, FREAD_DIO, FREAD_QUAD, FREAD_DUAL, FASTRD_MODE */
#define CTRL_TWO 0x00006000u        /* FREAD_DUAL, FASTRD_MODE: what comes back takes two lines */
enum { USR_MOSI = 1, USR_MISO = 2, USR_DUMMY = 4, USR_ADDRESS = 8, USR_COMMAND = 16, USR_LOWEST = 27 };

/* Commands of the flash; of those with an address also, in the upper byte, the one whose address has four
 * bytes. */
enum {
  WRITE_DISABLE = 0x04,
  WRITE_ENABLE = 0x06,
  READ_STATUS = 0x05,
  ERASE_CHIP = 0xC7,
  READ = 0x1303,
  READ_TWO = 0x3C3B, /* "dual output": eight clocks behind the address, then two bits at a time */
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
static uint32_t saved[4]; /* what the ROM's functions expect to find in the controller */
#define CONTROL saved[3]  /* SPI_CTRL for commands on one line */
static uint32_t reading;  /* READ or READ_TWO */
static uint32_t tried;    /* how often READ_TWO has worked; FAILED: it has not */

#define NO_ADDRESS 0xFFFFFFFFu

int flash_busy(void) {
  return (REG_READ(SPI1_BASE + SPI_CMD) & CMD_USR) != 0;
}

/* The controller has its own clock: whether there is a flash or not, it comes to an end. */
static void finish(void) {
  while (flash_busy())
    io_poll();
}

/* Begins one command; no address where it is NO_ADDRESS. mosi and miso: bytes that it sends from and receives
 * into the controller's buffer. */
static void start(uint32_t op, uint32_t address, uint32_t mosi, uint32_t miso) {
  uint32_t user = USR_COMMAND, user1 = 0, ctrl = CONTROL, spi = near(SPI1_BASE);
  if (address != NO_ADDRESS) {
    user += USR_ADDRESS;
    user1 = 23u << 26; /* bits - 1 */
    if (op == READ_TWO) {
      user += USR_DUMMY;
      user1 += 7; /* clocks - 1 */
      ctrl |= CTRL_TWO;
    }
    if (flash_size > BIG) {
      user1 |= 31u << 26;
      op >>= 8;
    } else if (SPI_ADDRESS_LEFT) {
      address <<= 8;
    }
    REG_WRITE(spi + SPI_ADDRESS, address);
  }
  if (mosi)
    user += USR_MOSI;
  if (miso)
    user += USR_MISO;
  mosi = mosi * 8 - 1; /* which nobody looks at where there is nothing to send */
  miso = miso * 8 - 1;
#ifdef SPI_MOSI_DLEN
  REG_WRITE(spi + SPI_MOSI_DLEN, mosi & 0x1FF);
  REG_WRITE(spi + SPI_MISO_DLEN, miso & 0x1FF);
#else /* ESP8266 */
  user1 |= (mosi & 0x1FF) << 17 | (miso & 0x1FF) << 8;
#endif
  REG_WRITE(spi + SPI_CTRL, ctrl);
  REG_WRITE(spi + SPI_USER, user << USR_LOWEST);
  REG_WRITE(spi + SPI_USER1, user1);
  REG_WRITE(spi + SPI_USER2, 7u << 28 | (op & 0xFF));
  REG_WRITE(spi + SPI_CMD, CMD_USR);
}

static void command(uint32_t op, uint32_t address, uint32_t mosi, uint32_t miso) {
  finish();
  start(op, address, mosi, miso);
  finish();
}

static uint32_t status(void) {
  command(READ_STATUS, NO_ADDRESS, 0, 1);
  return REG_READ(SPI1_BASE + SPI_W0);
}

int flash_poll(void) {
  if (!pending)
    return OK;
  if (status() & BUSY)
    return --pending ? FLASH_BUSY : FLASH_TIMEOUT;
  pending = 0;
  return OK;
}

int flash_ready(void) {
  int err;
  while ((err = flash_poll()) == FLASH_BUSY)
    io_poll();
  return err;
}

/* Begins what changes the flash and lets it run: it may take so many looks at the status. A look takes some
 * microseconds, so these are limits far beyond what any data sheet has: about 1 s, 10 s, 5 minutes. Whether
 * the flash listens is asked where an erase or a sector begins. */
enum { LOOKS_PROGRAM = 200000, LOOKS_ERASE = 2000000, LOOKS_CHIP = 100000000 };
static int change(uint32_t op, uint32_t address, const uint32_t *from, uint32_t n, uint32_t looks) {
  uint32_t all = n & 3 ? 0 : 0xFFFFFFFF;
  command(WRITE_ENABLE, NO_ADDRESS, 0, 0);
  if ((!n || !(address & (SECTOR - CHUNK))) && (status() & (BUSY | ENABLED)) != ENABLED)
    return FLASH_FAILED; /* nobody there, or it does not listen */
  for (uint32_t i = 0; i < n; i += 4) {
    all &= *from;
    REG_WRITE(SPI1_BASE + SPI_W0 + i, *from++);
  }
  if (n && all == 0xFFFFFFFF) /* erased flash holds 0xFF already */
    return OK;
  start(op, address, n, 0);
  pending = looks;
  return OK;
}

int flash_there(void) {
  int err = flash_ready();
  return err ? err : change(WRITE_DISABLE, NO_ADDRESS, 0, 0, 0);
}

int flash_check(uint32_t address, uint32_t size) {
#ifdef NAND_SPI
  if (address & NAND_SPACE)
    return nand_in_range(address, size) ? OK : OUT_OF_RANGE;
#endif
  return address <= flash_size && size <= flash_size - address ? flash_there() : OUT_OF_RANGE;
}

#ifdef NAND_SPI
static int from_nand;
#endif

void flash_fetch(uint32_t address, uint32_t n) {
#ifdef NAND_SPI
  from_nand = (address & NAND_SPACE) != 0;
  if (from_nand) {
    nand_fetch(address, n);
    return;
  }
#endif
  start(reading, address, 0, n);
}

/* Hosts have commands of their own for the controller: it must not be left with two lines. */
void flash_take(uint32_t *to) {
#ifdef NAND_SPI
  if (from_nand) {
    const uint32_t *there = nand_fetched();
    for (uint32_t i = CHUNK / 4; i; i--)
      *to++ = *there++;
    from_nand = 0;
    return;
  }
#endif
  uint32_t from = near(SPI1_BASE) + SPI_W0;
  REG_WRITE(SPI1_BASE + SPI_CTRL, CONTROL);
  for (uint32_t i = CHUNK / 4; i; i--, from += 4)
    *to++ = REG_READ(from);
}

void flash_read(uint32_t address, uint32_t *to, uint32_t n) {
  command(reading, address, 0, n);
  flash_take(to);
}

/* Two lines are used from when they have brought the same as one for some chunks: not every flash chip knows
 * the command, and not on every board can D be read. Content in which D is not both 0 beside a 1 of Q and 1
 * beside a 0 tells nothing, and it is tried again the next time. */
enum { TRIALS = 4, FAILED = 5 };
void flash_try(uint32_t address) {
  uint32_t one[CHUNK / 4], two[CHUNK / 4];
#ifdef NAND_SPI
  if (address & NAND_SPACE)
    return;
#endif
  for (; tried < TRIALS; address += CHUNK) {
    uint32_t zero = 0, set = 0, differs = 0;
    command(READ, address, 0, CHUNK);
    flash_take(one);
    command(READ_TWO, address, 0, CHUNK);
    flash_take(two);
    for (uint32_t i = 0; i < CHUNK / 4; i++) {
      uint32_t d = one[i], q = d >> 1;
      zero |= ~d & q;
      set |= d & ~q;
      differs |= d ^ two[i];
    }
    if (!(zero & 0x55555555) || !(set & 0x55555555))
      return;
    if (differs)
      tried = FAILED;
    else if (++tried == TRIALS)
      reading = READ_TWO;
  }
}

int flash_program(uint32_t address, const uint32_t *from, uint32_t n) {
  return change(PROGRAM, address, from, n, LOOKS_PROGRAM);
}

int flash_erase(uint32_t address, uint32_t size) {
  return change(size == BLOCK64 ? ERASE_64K : ERASE_4K, address, 0, 0, LOOKS_ERASE);
}

uint32_t flash_used(uint32_t address, uint32_t end) {
  uint32_t part[CHUNK / 4], all = 0xFFFFFFFF;
  for (; address != end; address += CHUNK) {
    flash_read(address, part, CHUNK);
    for (uint32_t i = 0; i < CHUNK / 4; i++)
      all &= part[i];
    if (all != 0xFFFFFFFF)
      break;
  }
  return address;
}

int flash_erased(uint32_t address) {
  int err = flash_ready();
  if (!err && flash_used(address, address + CHUNK) == address) /* protected, it takes the command and does
                                                                  nothing */
    err = status() & PROTECTION ? FLASH_PROTECTED : FLASH_FAILED;
  return err;
}

/* Afterwards the beginning of every sector is looked at: protected flash does nothing here, too. */
int flash_erase_all(void) {
  uint32_t at = 0;
  int err = flash_ready();
  if (!err)
    err = change(ERASE_CHIP, NO_ADDRESS, 0, 0, LOOKS_CHIP);
  if (!err)
    do
      err = flash_erased(at);
    while (!err && (at += SECTOR) < flash_size);
  return err;
}

static void registers(int save) {
  static const uint8_t offset[4] = {SPI_USER, SPI_USER1, SPI_USER2, SPI_CTRL};
  for (int i = 0; i < 4; i++) {
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
  tried = 0;
  reading = READ;
  registers(1);
  CONTROL &= ~CTRL_FAST_MODES;
#ifdef ROM_PADS
  if (first) /* this ROM has no command for it */
#else
  if (first && flash_there()) /* nobody answers: attaching is left to us */
#endif
    flash_attach(0);
}
