/* nand.c - a serial NAND flash of 1 Gbit (Winbond W25N01GV) on pins of its own, behind the controller
 * GP-SPI2. Only in the stub that has NAND in its name. Registers: Technical Reference Manual, "SPI
 * Controller", "IO MUX and GPIO Matrix"; commands: the part's data sheet. */
#include "stub.h"

enum { CMD = 0x00, ADDR = 0x04, CTRL = 0x08, CLOCK = 0x0C, USER = 0x10, USER1 = 0x14, USER2 = 0x18 };
enum { MS_DLEN = 0x1C, MISC = 0x20, DMA_CONF = 0x30, W0 = 0x98, SLAVE = 0xE0, CLK_GATE = 0xE8 };
#define UPDATE 0x00800000u /* of CMD: the controller takes over what the registers hold */
#define USR 0x01000000u
#define IDLE_HIGH 0x003C0000u    /* of CTRL: WP, HOLD, D and Q between commands */
#define ONLY_CS0 0x3Eu           /* of MISC */
#define HALF_CRYSTAL 0x00001001u /* of CLOCK: 20 MHz, which wires on a desk still carry */
#define BY_CRYSTAL 3u            /* of CLK_GATE: on, and the crystal as its source */
#define CS_TIMES 0x000000C0u     /* of USER: a clock before and after */
#define FIFO_RESETS 0x60000000u  /* of DMA_CONF */
#define PAD 0xB00u               /* of a pin: input, pulled up, drive strength 2, as after reset */
#define BY_MATRIX 0x1000u        /* the pin's function */
#define MATRIX_GPIO 0x100u       /* no peripheral drives it */
#define IN_BY_MATRIX 0x80u

enum {
  GET_REGISTER = 0x0F,
  SET_REGISTER = 0x1F,
  ENABLE = 0x06,
  LOAD = 0x02, /* and the rest of the buffer becomes 0xFF */
  LOAD_MORE = 0x84,
  EXECUTE = 0x10,
  ERASE_128K = 0xD8,
  PAGE_READ = 0x13,
  READ_BUFFER = 0x03,
  READ_ID = 0x9F,
  RESET = 0xFF
};
enum { PROTECT = 0xA0, CONFIG = 0xB0, STATUS = 0xC0 };
enum { CONFIG_BUF = 0x08, CONFIG_ECC = 0x10 };
enum { IS_BUSY = 1, E_FAIL = 4, P_FAIL = 8, ECC_FIXED = 0x10, ECC_LOST = 0x20 };
enum { NONE = 0xFFFFFFFF };
#define KNOWN_ID 0xEFAA21u
#define PAGES (NAND_SIZE / NAND_PAGE)

static int attached;
static uint32_t loaded = NONE; /* the page that the part's buffer holds */
static uint8_t last_status;    /* of the page that was read last */
static int unreadable;         /* a page could not be corrected since nand_begin */
static int tolerant;           /* and that does not matter */
static uint32_t fetched[CHUNK / 4];

/* One command; of the address, `bits` bits are sent. mosi and miso: bytes from and into the controller's
 * buffer. */
static void spi2(uint32_t op, uint32_t address, uint32_t bits, uint32_t mosi, uint32_t miso) {
  uint32_t spi = near(NAND_SPI), user = CS_TIMES | 1u << 31, user1 = 0;
  if (bits) {
    user |= 1u << 30;
    user1 = (bits - 1) << 27;
    REG_WRITE(spi + ADDR, address << (32 - bits));
  }
  if (mosi)
    user |= 1u << 27;
  if (miso)
    user |= 1u << 28;
  REG_WRITE(spi + DMA_CONF, FIFO_RESETS);
  REG_WRITE(spi + DMA_CONF, 0);
  REG_WRITE(spi + USER, user);
  REG_WRITE(spi + USER1, user1);
  REG_WRITE(spi + USER2, 7u << 28 | op);
  REG_WRITE(spi + MS_DLEN, (mosi + miso) * 8 - 1);
  REG_WRITE(spi + CMD, UPDATE);
  while (REG_READ(spi + CMD) & UPDATE)
    ;
  REG_WRITE(spi + CMD, USR);
  while (REG_READ(spi + CMD) & USR)
    io_poll();
}

static uint8_t get_register(uint32_t which) {
  spi2(GET_REGISTER, which, 8, 0, 1);
  return (uint8_t)REG_READ(NAND_SPI + W0);
}

static void set_register(uint32_t which, uint32_t value) {
  spi2(SET_REGISTER, which << 8 | value, 16, 0, 0);
}

/* The longest that a data sheet has is the 10 ms of an erase; a look takes some microseconds. */
static int wait(void) {
  for (uint32_t looks = 200000; looks; looks--) {
    last_status = get_register(STATUS);
    if (!(last_status & IS_BUSY))
      return OK;
    io_poll();
  }
  return FLASH_TIMEOUT;
}

static void connect(uint32_t pin, uint32_t function, uint32_t signal) {
  REG_WRITE(NAND_OUT_SEL + 4 * pin, signal);
  REG_WRITE(NAND_IO_MUX + 4 * pin, PAD | function);
}

/* 0: the controller's own pins, WP among them. Otherwise six bits for each of CLK, Q, D, CS, HD, through the
 * GPIO matrix. */
static int set_pins(uint32_t word) {
  static const uint8_t native[] = {NAND_CLK, NAND_Q, NAND_D, NAND_CS, NAND_HD, NAND_WP};
  static const uint8_t signal[] = {NAND_CLK_SIGNAL, NAND_Q_SIGNAL, NAND_D_SIGNAL, NAND_CS_SIGNAL,
                                   NAND_HD_SIGNAL};
  if (!word) {
    REG_WRITE(NAND_IN_SEL + 4 * NAND_Q_SIGNAL, 0);
    for (int i = 0; i < 6; i++)
      REG_WRITE(NAND_IO_MUX + 4 * native[i], PAD | NAND_NATIVE << 12);
    return OK;
  }
  for (int i = 0; i < 5; i++)
    if ((word >> 6 * i & 63) > 48)
      return OUT_OF_RANGE;
  for (int i = 0; i < 5; i++, word >>= 6)
    connect(word & 63, BY_MATRIX, i == 1 ? MATRIX_GPIO : signal[i]);
  return OK;
}

static void set_up(void) {
  uint32_t spi = near(NAND_SPI), bit = 1u << NAND_CLOCK_BIT;
  REG_WRITE(NAND_CLOCK, REG_READ(NAND_CLOCK) | bit);
  REG_WRITE(NAND_RESET, REG_READ(NAND_RESET) | bit);
  REG_WRITE(NAND_RESET, REG_READ(NAND_RESET) & ~bit);
  REG_WRITE(spi + CLK_GATE, BY_CRYSTAL);
  REG_WRITE(spi + SLAVE, 0);
  REG_WRITE(spi + CTRL, IDLE_HIGH);
  REG_WRITE(spi + CLOCK, HALF_CRYSTAL);
  REG_WRITE(spi + MISC, ONLY_CS0);
}

/* The part is told to forget what it was doing, and if it is one that is known its blocks are unprotected,
 * which they are not after power-up. Tells its id, 24 bits, and the two registers. */
int nand_attach(uint32_t pins, uint32_t *id, uint8_t *status, uint8_t *protect) {
  attached = 0;
  loaded = NONE;
  set_up();
  int err = set_pins(pins);
  if (err)
    return err;
  if (pins)
    REG_WRITE(NAND_IN_SEL + 4 * NAND_Q_SIGNAL, IN_BY_MATRIX | (pins >> 6 & 63));
  spi2(RESET, 0, 0, 0, 0);
  for (volatile int i = 0; i < 4000; i++) /* half a millisecond, and more */
    ;
  spi2(READ_ID, 0, 8, 0, 3);
  uint32_t raw = REG_READ(NAND_SPI + W0);
  *id = (raw & 0xFF) << 16 | (raw & 0xFF00) | (raw >> 16 & 0xFF);
  if (*id == KNOWN_ID && wait() == OK) {
    set_register(PROTECT, 0);
    set_register(CONFIG, get_register(CONFIG) | CONFIG_ECC | CONFIG_BUF);
    attached = (get_register(CONFIG) & (CONFIG_ECC | CONFIG_BUF)) == (CONFIG_ECC | CONFIG_BUF);
  }
  *status = get_register(STATUS);
  *protect = get_register(PROTECT);
  return OK;
}

int nand_in_range(uint32_t address, uint32_t size) {
  address &= NAND_MASK;
  return attached && address <= NAND_SIZE && size <= NAND_SIZE - address;
}

void nand_begin(void) {
  unreadable = 0;
  loaded = NONE;
}

int nand_lost(void) {
  return unreadable;
}

void nand_tolerate(int all) {
  tolerant = all;
}

/* Reads a page into the part's buffer. The error correction has its say in last_status. */
int nand_load(uint32_t page) {
  if (!attached || page >= PAGES)
    return OUT_OF_RANGE;
  if (page == loaded)
    return OK;
  spi2(PAGE_READ, page, 24, 0, 0);
  int err = wait();
  loaded = err ? NONE : page;
  if (err || (last_status & ECC_LOST && !tolerant))
    unreadable = 1;
  return err;
}

int nand_ecc(void) {
  return last_status & ECC_LOST ? NAND_UNCORRECTABLE : last_status & ECC_FIXED ? 1 : 0;
}

static void from_buffer(uint32_t column, uint8_t *to, uint32_t n) {
  uint32_t word = 0;
  spi2(READ_BUFFER, column << 8, 24, 0, n);
  if (!(((uintptr_t)to | n) & 3)) { /* as nearly always */
    uint32_t *words = (uint32_t *)(void *)to;
    for (uint32_t i = 0; i < n; i += 4)
      *words++ = REG_READ(NAND_SPI + W0 + i);
    return;
  }
  for (uint32_t i = 0; i < n; i++, word >>= 8) {
    if (!(i & 3))
      word = REG_READ(NAND_SPI + W0 + i);
    *to++ = (uint8_t)word;
  }
}

/* Up to a CHUNK of content, from two pages where it lies so. What cannot be read is 0. */
void nand_fetch(uint32_t address, uint32_t n) {
  uint8_t *to = (uint8_t *)fetched;
  address &= NAND_MASK;
  while (n) {
    uint32_t column = address & (NAND_PAGE - 1), part = NAND_PAGE - column;
    if (part > n)
      part = n;
    if (nand_load(address / NAND_PAGE) == OK)
      from_buffer(column, to, part);
    else
      for (uint32_t i = 0; i < part; i++)
        to[i] = 0;
    to += part;
    address += part;
    n -= part;
  }
}

const uint32_t *nand_fetched(void) {
  return fetched;
}

int nand_spare(uint32_t page, uint32_t *word) {
  int err = nand_load(page);
  if (!err)
    from_buffer(NAND_PAGE, (uint8_t *)word, 4);
  return err;
}

static int execute_and_look(uint32_t op, uint32_t page) {
  loaded = NONE;
  spi2(op, page, 24, 0, 0);
  int err = wait();
  if (!err && last_status & (op == ERASE_128K ? E_FAIL : P_FAIL))
    err = op == ERASE_128K ? NAND_ERASE_FAILED : NAND_PROGRAM_FAILED;
  return err;
}

/* Clears the bad-block marker, which lies outside of what the error correction covers. That is switched off
 * meanwhile: not one cell but those of the marker changes. */
int nand_mark(uint32_t page) {
  if (!attached || page >= PAGES)
    return OUT_OF_RANGE;
  uint32_t config = get_register(CONFIG);
  set_register(CONFIG, config & ~(uint32_t)CONFIG_ECC);
  spi2(ENABLE, 0, 0, 0, 0);
  REG_WRITE(NAND_SPI + W0, 0);
  spi2(LOAD, NAND_PAGE, 16, 4, 0);
  int err = execute_and_look(EXECUTE, page);
  set_register(CONFIG, config);
  return err;
}

int nand_erase(uint32_t page) {
  spi2(ENABLE, 0, 0, 0, 0);
  return execute_and_look(ERASE_128K, page);
}

/* Programs a page with n bytes and reads it back. A page of nothing but 0xFF is only looked at. */
int nand_program(uint32_t page, const uint32_t *from, uint32_t n) {
  uint32_t all = 0xFFFFFFFF, left = n & 3;
  int err = OK;
  if (left) /* the last word belongs to us only in part */
    all &= from[n / 4] | 0xFFFFFFFF << 8 * left;
  for (uint32_t i = 0; i < n / 4; i++)
    all &= from[i];
  if (all != 0xFFFFFFFF) {
    spi2(ENABLE, 0, 0, 0, 0);
    for (uint32_t at = 0; at < n; at += CHUNK) {
      uint32_t part = n - at < CHUNK ? n - at : CHUNK;
      for (uint32_t i = 0; i < part; i += 4)
        REG_WRITE(NAND_SPI + W0 + i, from[(at + i) / 4]);
      spi2(at ? LOAD_MORE : LOAD, at, 16, part, 0);
      io_poll();
    }
    err = execute_and_look(EXECUTE, page);
  }
  if (!err)
    err = nand_load(page);
  if (!err && last_status & ECC_LOST)
    err = FLASH_DIFFERS;
  for (uint32_t at = 0; at < n && !err; at += CHUNK) {
    uint32_t part = n - at < CHUNK ? n - at : CHUNK;
    const uint8_t *a = (const uint8_t *)fetched, *b = (const uint8_t *)from + at;
    from_buffer(at, (uint8_t *)fetched, part);
    for (uint32_t i = 0; i < part; i++)
      if (a[i] != b[i])
        err = FLASH_DIFFERS;
    io_poll();
  }
  return err;
}
