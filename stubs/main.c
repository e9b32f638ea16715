/* main.c - the stub's command loop. The protocol is that of the public stubs (esptool documentation, "Serial
 * Protocol"), with the extensions of doc/stub-protocol.md. */
#include "stub.h"

enum { VERSION = 1 };
/* What CAPABILITIES tells: bits of the first word. */
enum { CAN_WINDOW = 1, CAN_DIGESTS = 2, CAN_READ_PACKED = 4, CAN_RESUME = 8, CAN_CRC = 16 };

static struct {
  uint32_t next, left; /* where MEM_DATA goes, how much may still come */
} mem;

uint32_t get32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void reply(uint32_t op, uint32_t value, const uint8_t *body, uint32_t n, int err) {
  io_open();
  io_put(1);
  io_put((uint8_t)op);
  io_put((uint8_t)(n + 2));
  io_put((uint8_t)((n + 2) >> 8));
  io_word(value);
  io_bytes(body, n);
  io_put(err ? 1 : 0);
  io_put((uint8_t)err);
  io_close();
}

/* CRC-32 as zlib has it, four bits at a time. */
static uint32_t crc32(const uint8_t *p, uint32_t n) {
  static const uint32_t part[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  uint32_t crc = 0xFFFFFFFF;
  while (n--) {
    crc ^= *p++;
    crc = part[crc & 15] ^ crc >> 4;
    crc = part[crc & 15] ^ crc >> 4;
  }
  return ~crc;
}

/* A block: its length, number, and where the public protocol has zeroes: 1 and its CRC-32, if the host likes. */
static int check_block(const uint8_t *data, uint32_t n, uint32_t checksum) {
  if (n < 16 || get32(data) != n - 16)
    return BAD_LENGTH;
  uint8_t sum = 0xEF;
  for (uint32_t i = 16; i < n; i++) {
    sum ^= data[i];
    if ((i & 63) == 0)
      io_poll();
  }
  if (sum != (checksum & 0xFF))
    return BAD_CHECKSUM;
  if (get32(data + 8) == 1 && get32(data + 12) != crc32(data + 16, n - 16))
    return BAD_CHECKSUM;
  return OK;
}

static int mem_begin(const uint8_t *d, uint32_t n) {
  if (n < 16)
    return BAD_LENGTH;
  mem.next = get32(d + 12);
  mem.left = get32(d);
  return OK;
}

#ifdef STUB_ON_HOST
void host_mem_write(uint32_t address, const uint8_t *p, uint32_t n);
#else
static void host_mem_write(uint32_t address, const uint8_t *p, uint32_t n) {
  if ((address | n) & 3) {
    for (uint32_t i = 0; i < n; i++)
      *(volatile uint8_t *)(address + i) = p[i];
    return;
  }
  for (uint32_t i = 0; i < n; i += 4) /* instruction memory takes whole words only */
    REG_WRITE(address + i, get32(p + i));
}
#endif

static int mem_data(const uint8_t *d, uint32_t n, uint32_t checksum) {
  int err = check_block(d, n, checksum);
  if (err)
    return err;
  n -= 16;
  if (n > mem.left)
    return TOO_MUCH_DATA;
  host_mem_write(mem.next, d + 16, n);
  mem.next += n;
  mem.left -= n;
  return OK;
}

static int write_regs(const uint8_t *d, uint32_t n) {
  if (n < 16 || (n & 15))
    return BAD_LENGTH;
  for (; n; n -= 16, d += 16) {
    uint32_t address = get32(d), value = get32(d + 4), mask = get32(d + 8);
    if (mask != 0xFFFFFFFF)
      value = (REG_READ(address) & ~mask) | (value & mask);
    REG_WRITE(address, value);
    /* the delay is at least what is asked for: a round takes more than 1/16 us on the fastest chip */
    for (volatile uint32_t wait = get32(d + 12) << 4; wait; wait--)
      if ((wait & 63) == 0)
        io_poll();
  }
  return OK;
}

static int erase_region(uint32_t address, uint32_t size) {
  if ((address | size) & (SECTOR - 1))
    return BAD_LENGTH;
  if (address > flash_size || size > flash_size - address)
    return TOO_MUCH_DATA;
  while (size) {
    uint32_t unit = !(address & (BLOCK64 - 1)) && size >= BLOCK64 ? BLOCK64 : SECTOR;
    int blank, err = flash_blank(address, unit, &blank);
    if (!err && !blank)
      err = flash_erase(address, unit);
    if (err)
      return err;
    address += unit;
    size -= unit;
  }
  return OK;
}

/* The compilers call this for what is cleared. */
void *memset(void *to, int c, size_t n) {
  volatile uint8_t *p = to;
  while (n--)
    *p++ = (uint8_t)c;
  return to;
}

static void hello(uint32_t op) {
  uint8_t body[16] = {0};
  body[0] = CAN_WINDOW | CAN_DIGESTS | CAN_READ_PACKED | CAN_RESUME | CAN_CRC;
  body[4] = RING_SIZE & 0xFF;
  body[5] = RING_SIZE >> 8 & 0xFF;
  body[6] = RING_SIZE >> 16;
  body[8] = (FRAME_MAX - 24) & 0xFF;
  body[9] = (FRAME_MAX - 24) >> 8;
  body[12] = WINDOW & 0xFF;
  body[13] = WINDOW >> 8;
  reply(op, VERSION, body, sizeof body, OK);
}

static void run(uint32_t entry) {
  io_drain();
  ((void (*)(void))entry)();
}

static void handle(uint32_t n) {
  uint32_t op = frame[1], checksum = get32(frame + 4), value = 0, body_size = 0;
  const uint8_t *d = frame + 8;
  uint8_t body[16];
  int err = OK, packed = 0;
  n -= 8;
  uint32_t a = n >= 4 ? get32(d) : 0, b = n >= 8 ? get32(d + 4) : 0, c = n >= 12 ? get32(d + 8) : 0;
  switch (op) {
  case SYNC:
    for (int i = 0; i < 7; i++)
      reply(op, 0, body, 0, OK);
    break;
  case READ_REG:
    err = n < 4 ? BAD_LENGTH : OK;
    value = err ? 0 : REG_READ(a);
    break;
  case WRITE_REG:
    err = write_regs(d, n);
    break;
  case MEM_BEGIN:
    err = mem_begin(d, n);
    break;
  case MEM_DATA:
    err = mem_data(d, n, checksum);
    break;
  case MEM_END:
    err = n < 8 ? BAD_LENGTH : OK;
    reply(op, 0, body, 0, err);
    if (!err && !a)
      run(b);
    return;
  case DEFL_BEGIN:
    packed = 1; /* fall through */
  case FLASH_BEGIN:
    err = n < 16 ? BAD_LENGTH : c > FRAME_MAX - 24 ? BAD_BLOCK_SIZE : write_begin(get32(d + 12), a, b, packed);
    break;
  case DEFL_DATA:
  case FLASH_DATA:
    err = check_block(d, n, checksum);
    if (!err)
      err = write_data(b, d + 16, n - 16);
    value = write_expected();
    break;
  case DEFL_END:
  case FLASH_END:
    err = write_end();
    reply(op, 0, body, 0, err);
    if (!err && n >= 4 && !a) {
      io_drain();
      CHIP_RESET();
    }
    return;
  case WRITE_STATE:
    for (int i = 0; i < 4; i++)
      body[i] = (uint8_t)(write_missing() >> (8 * i));
    body_size = 4;
    value = write_expected();
    break;
  case FLASH_MD5:
    err = n < 8 ? BAD_LENGTH : a > flash_size || b > flash_size - a ? TOO_MUCH_DATA : read_md5(a, b, body);
    body_size = err ? 0 : 16;
    break;
  case SPI_SET_PARAMS:
    if (n < 24) {
      err = BAD_LENGTH;
      break;
    }
    flash_size = b;
    flash_wide(flash_size > 1u << 24);
    break;
  case SPI_ATTACH:
    err = CHIP_ATTACH(a);
    break;
  case CHANGE_BAUD:
    err = n < 8 ? BAD_LENGTH : OK;
    reply(op, 0, body, 0, err);
    if (!err) {
      io_drain();
      io_baud(b, a);
    }
    return;
  case ERASE_FLASH:
    err = flash_erase_all();
    break;
  case ERASE_REGION:
    err = n < 8 ? BAD_LENGTH : erase_region(a, b);
    break;
  case READ_FLASH:
  case READ_PACKED:
  case DIGESTS:
    if (n < (op == DIGESTS ? 8u : 16u))
      err = BAD_LENGTH;
    else if (a > flash_size || b > flash_size - a)
      err = TOO_MUCH_DATA;
    else if (op != DIGESTS && (!c || c > WINDOW || !get32(d + 12) || get32(d + 12) > 1024))
      err = BAD_BLOCK_SIZE;
    else {
      uint32_t most = op == DIGESTS ? 0 : get32(d + 12);
      reply(op, 0, body, 0, OK);
      if (op == DIGESTS)
        read_digests(a, b);
      else
        read_flash(a, b, c, most, op == READ_PACKED);
      return;
    }
    break;
  case RUN_USER_CODE:
    io_drain();
    CHIP_RESET();
    return;
  case CAPABILITIES:
    hello(op);
    return;
  default:
    err = NOT_IMPLEMENTED;
  }
  reply(op, value, body, body_size, err);
}

void stub_main(void) {
  io_init();
  io_open();
  io_put('O');
  io_put('H');
  io_put('A');
  io_put('I');
  io_close();
  for (;;) {
    int n = io_frame();
    if (n >= 8 && frame[0] == 0 && (uint32_t)(frame[2] | frame[3] << 8) == (uint32_t)n - 8)
      handle((uint32_t)n);
    else if (n < 0)
      reply(0, write_expected(), frame, 0, BAD_LENGTH); /* a broken frame: the host need not wait for its time-out */
    else if (n == 0)
      write_idle();
  }
}
