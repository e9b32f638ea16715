/* main.c - the stub's command loop. The protocol is that of the public stubs (esptool documentation, "Serial
 * Protocol"), with the extensions of doc/stub-protocol.md. */
#include "stub.h"

enum { VERSION = 1 };
/* What CAPABILITIES tells. */
enum {
  CAN_WINDOW = 1,
  CAN_READ_PACKED = 4,
  CAN_RESUME = 8,
  CAN_CRC = 16,
  CAN_ENCRYPT = 32,
  CAN_COMPARE = 64,
  CAN_DIGESTS = 128 /* 2: earlier stubs told the first half of MD5 */
};
#ifdef NAND_SPI
enum { CAN_NAND = 256 };
static uint32_t nand_translate(uint32_t op, uint32_t *n);
static int nand_command(uint32_t op, const uint32_t *w, uint32_t n);
static int nand_erase_region(uint32_t address, uint32_t size);
#else
enum { CAN_NAND = 0 };
#endif
#ifdef ROM_WRITE_ENCRYPTED
#define CAN (CAN_WINDOW | CAN_DIGESTS | CAN_READ_PACKED | CAN_RESUME | CAN_CRC | CAN_COMPARE | CAN_ENCRYPT)
#else
#define CAN (CAN_WINDOW | CAN_DIGESTS | CAN_READ_PACKED | CAN_RESUME | CAN_CRC | CAN_COMPARE)
#endif

uint8_t window[WINDOW] __attribute__((aligned(4)));

static struct { uint32_t next, left; /* where MEM_DATA goes, how much may still come */ } mem;

uint32_t get32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

INLINE static void reply(uint32_t op, uint32_t value, const uint8_t *body, uint32_t n, int err) {
  io_open();
  io_put(1);
  io_put((uint8_t)op);
  io_put((uint8_t)(n + 2));
  io_put(0); /* no body is that long */
  io_word(value);
  io_bytes(body, n);
  io_put((uint8_t)err);
  io_put(0);
  io_close();
}

/* A block of n bytes: before them their number, the block's number and two words that mean nothing. */
static int check_block(const uint32_t *w, uint32_t n, uint32_t checksum) {
  const uint8_t *p = (const uint8_t *)(w + 4);
  if (w[0] != n)
    return BAD_LENGTH;
  if (checksum > 0xFF) /* of the frame: intact() has looked at it */
    return OK;
  for (checksum ^= 0xEF; n; n--) /* a host that sends this waits for the answer */
    checksum ^= *p++;
  return checksum ? BAD_CHECKSUM : OK;
}

/* Whether a frame is what the host sent, as far as can be told: in place of the checksum of a block, which
 * has eight bits, any frame may have its CRC-32. */
static int intact(uint32_t n) {
  uint32_t sum = frame_words[1];
  frame_words[1] = 0;
  if (sum > 0xFF && crc_add(0, frame, n) != sum)
    return 0;
  frame_words[1] = sum;
  return 1;
}

#if ON_HOST
void host_mem_write(uint32_t address, const uint32_t *from, uint32_t n);
#else
static void host_mem_write(uint32_t address, const uint32_t *from, uint32_t n) {
  for (const uint8_t *p = (const uint8_t *)from; n; n--, address++) { /* whole words: instruction memory
                                                                         takes nothing else */
    uint32_t at = address & ~3u, shift = 8 * (address & 3);
    REG_WRITE(at, (REG_READ(at) & ~(0xFFu << shift)) | (uint32_t)*p++ << shift);
  }
}
#endif

static int mem_data(const uint32_t *from, uint32_t n) {
  if (n > mem.left)
    return TOO_MUCH_DATA;
  host_mem_write(mem.next, from, n);
  mem.next += n;
  mem.left -= n;
  return OK;
}

/* The delay, before each write, is at least what is asked for: a round takes a microsecond on the fastest
 * chip and ten on those that run at 40 MHz. */
static int write_regs(const uint32_t *w, uint32_t n) {
  if (n & 15)
    return BAD_LENGTH;
  for (; n; n -= 16, w += 4) {
    uint32_t value = w[1] & w[2];
    for (uint32_t us = w[3]; us && !ON_HOST; us--) {
      for (volatile int i = 0; i < 48; i++)
        ;
      io_poll();
    }
    if (w[2] != 0xFFFFFFFF)
      value |= REG_READ(w[0]) & ~w[2];
    REG_WRITE(w[0], value);
  }
  return OK;
}

static int erase_region(uint32_t address, uint32_t size) {
  uint32_t end = address + size, erasing;
  int err = OK;
#ifdef NAND_SPI
  if (address & NAND_SPACE)
    return nand_erase_region(address, size);
#endif
  if ((address | size) & (SECTOR - 1))
    return BAD_LENGTH;
  while (address < end && !err) {
    erasing = 1;
    err = write_erase(&address, end, &erasing);
    if (!err && erasing != 1)
      err = flash_erased(erasing);
  }
  return err;
}

static void reset(void) {
#ifdef ROM_RESET
  rom_call(ROM_RESET, 0, 0, 0);
#else
  REG_WRITE(RESET_REGISTER, REG_READ(RESET_REGISTER) | RESET_BIT);
#endif
}

static struct {
  uint32_t value, size;
  const uint32_t *body;
  uint32_t words[5];
} answer;

/* What a command does before its answer. w: its n bytes of data, of which there are as many as it must have.
 */
static int execute(uint32_t op, const uint32_t *w, uint32_t n) {
  switch (op) {
  case READ_REG:
    answer.value = REG_READ(w[0]);
    break;
  case WRITE_REG:
    return write_regs(w, n);
  case MEM_BEGIN:
    mem.left = w[0];
    mem.next = w[3];
    break;
  case MEM_DATA:
    return mem_data(w + 4, n - 16);
  case DEFL_BEGIN:
  case FLASH_BEGIN:
    return w[2] > BLOCK_MAX ? BAD_BLOCK_SIZE : write_begin(w[3], w[0], op == DEFL_BEGIN, n >= 20 && w[4]);
  case DEFL_DATA:
  case FLASH_DATA:
    return write_data(w[1], (const uint8_t *)(w + 4), n - 16, op == DEFL_DATA);
  case WRITE_STATE:
    answer.words[0] = write_missing();
    answer.words[1] = (uint32_t)write_state();
    answer.size = 8;
    break;
  case DEFL_END:
  case FLASH_END:
    return write_end();
  case FLASH_MD5:
    answer.size = 16;
    read_md5(w[0], w[1], answer.words);
    return READ_RESULT;
#ifdef ROM_SECURITY_INFO
  case SECURITY_INFO: {
    uint32_t i = ROM_SECURITY_INFO;
    answer.size = SECURITY_INFO_BYTES;
    return !i || rom_call(i, 0, 0, (uint32_t)(uintptr_t)answer.words) ? NOT_IMPLEMENTED : OK;
  }
#endif
  case SPI_SET_PARAMS:
    if (w[1] >> 31) /* no sum of an address and a size is to go round */
      return OUT_OF_RANGE;
    flash_size = w[1];
    break;
  case SPI_ATTACH:
    flash_attach(w[0]);
    break;
  case CHANGE_BAUD:
    return io_baud(w[1], w[0]) ? OK : BAD_RATE;
  case ERASE_FLASH:
    return flash_erase_all();
  case ERASE_REGION:
    return erase_region(w[0], w[1]);
  case READ_FLASH:
  case READ_PACKED:
    return w[2] - 1 >= WINDOW / 2 || w[3] - 1 >= 1024 ? BAD_BLOCK_SIZE : OK;
  case CAPABILITIES: {
    static const uint32_t can[] = {CAN | CAN_NAND, RING_SIZE - 64, BLOCK_MAX, WINDOW};
    answer.value = VERSION;
    answer.body = can;
    answer.size = 16;
    break;
  }
  case DIGESTS:
    return w[2] < 256 ? BAD_BLOCK_SIZE : OK;
  case SYNC:
  case MEM_END:
  case RUN_USER_CODE:
    break;
  default:
#ifdef NAND_SPI
    return nand_command(frame[1], w, n);
#else
    return BAD_COMMAND;
#endif
  }
  return OK;
}

/* Words of data that a command must have, whether it ends a write that is in progress (its window is used, or
 * what it has erased and programmed may be gone), and whether the first two words are a range of the flash,
 * which then has to answer. */
enum { ENDS = 8, RANGE = 16 | ENDS };
static const uint8_t needs[COMMANDS] = {[FLASH_BEGIN] = ENDS | 4,
                                        [FLASH_DATA] = 4,
                                        [FLASH_END] = 1,
                                        [MEM_BEGIN] = 4,
                                        [MEM_END] = 2,
                                        [MEM_DATA] = 4,
                                        [WRITE_REG] = 4,
                                        [READ_REG] = 1,
                                        [SPI_SET_PARAMS] = ENDS | 6,
                                        [SPI_ATTACH] = ENDS | 1,
                                        [CHANGE_BAUD] = 2,
                                        [DEFL_BEGIN] = ENDS | 4,
                                        [DEFL_DATA] = 4,
                                        [DEFL_END] = 1,
                                        [FLASH_MD5] = RANGE | 2,
                                        [ERASE_FLASH] = ENDS,
                                        [ERASE_REGION] = RANGE | 2,
                                        [READ_FLASH] = RANGE | 4,
                                        [READ_PACKED] = RANGE | 4,
                                        [DIGESTS] = RANGE | 3};

static void handle(uint32_t n) {
  const uint32_t *w = frame_words + 2;
#ifdef NAND_SPI
  uint32_t op = frame[1], most = n - 8;
  op = nand_translate(op, &most);
  n = most + 8;
  uint32_t need, a = w[0], b = w[1], c = w[2], d = w[3];
#else
  uint32_t op = frame[1], need, a = w[0], b = w[1], c = w[2], d = w[3]; /* a long answer needs `frame` */
#endif
  if ((op & 0xDC) == 0xD0)
    op = COMPACT(op);
  else if (op >= COMPACT(0xD0))
    op = 0; /* there is none */
  need = needs[op];
  int err = OK, is_data = op == FLASH_DATA || op == DEFL_DATA;
  n -= 8;
  answer.value = answer.size = 0;
  answer.body = answer.words;
  if (n < 4 * (need & (ENDS - 1)))
    err = BAD_LENGTH;
  else if (need & ENDS) {
    write_stop();
    if (need > ENDS * 2)
      err = flash_check(a, b);
  } else if (is_data || op == MEM_DATA)
    err = check_block(w, n - 16, frame_words[1]);
  if (!err)
    err = execute(op, w, n);
  if (is_data || op == WRITE_STATE)
    answer.value = write_expected();
#ifdef ROM_BOOT
  if (op == RUN_USER_CODE) { /* the ROM goes on as it does after a reset, without an answer */
    io_drain();
    rom_boot();
  }
#endif
  for (int i = op == SYNC ? 8 : 1; i; i--)
    reply(frame[1], answer.value, (const uint8_t *)answer.body, err ? 0 : answer.size, err);
  if (err)
    return;
  if (op == READ_FLASH || op == READ_PACKED) {
    read_flash(a, b, c, d, op == READ_PACKED);
  } else if (op == DIGESTS) {
    read_digests(a, b, c);
  } else if (op == CHANGE_BAUD) {
    io_drain();
    io_baud_set();
  } else if (((op == MEM_END || op == FLASH_END || op == DEFL_END) && !a) || op == RUN_USER_CODE) {
    io_drain();
#if !ON_HOST
    if (op == MEM_END)
      ((void (*)(void))b)();
    else
#endif
      reset();
  }
}

#ifdef WDT_PROTECT
/* Switches the watchdogs off, as data of WRITE_REG. */
static const uint32_t dogs[] = {
#define SET(at, value, mask) WDT_BASE + (at), (value), (mask), 0
    SET(WDT_PROTECT, WDT_KEY, 0xFFFFFFFF), SET(WDT_CONFIG, 0, 0xFFFFFFFF),       SET(WDT_PROTECT, 0, 0xFFFFFFFF),
    SET(SWD_PROTECT, SWD_KEY, 0xFFFFFFFF), SET(SWD_CONFIG, SWD_FEED, SWD_FEED), SET(SWD_PROTECT, 0, 0xFFFFFFFF),
#undef SET
};
#endif

void stub_init(void) {
#ifdef WDT_PROTECT
  write_regs(dogs, sizeof dogs);
#endif
  crc_init();
  io_init();
  flash_init(1);
  io_open();
  io_word(0x4941484F); /* OHAI */
  io_close();
}

void stub_step(void) {
  int n = io_frame();
  if (n == 0)
    write_pump();
  else if (n >= 8 && frame[0] == 0 && (uint32_t)(frame[2] | frame[3] << 8) == (uint32_t)n - 8 &&
           intact((uint32_t)n))
    handle((uint32_t)n);
  else if (n < 0 || n > 4)                              /* shorter ones are late acknowledgements */
    reply(frame[1], write_expected(), 0, 0, BAD_FRAME); /* at once: the host need not wait for its time-out */
}

#if !ON_HOST
__attribute__((externally_visible)) void stub_main(void) {
  stub_init();
  for (;;)
    stub_step();
}
#endif
