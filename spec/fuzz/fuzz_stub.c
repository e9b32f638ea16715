// sources:
/* The flasher stub's command handler, with the registers of a UART or of USB-Serial/JTAG and a small flash
 * behind it. The input is a list of records: raw bytes, commands, blocks with the right checksum, and blocks
 * of a deflate stream. Whatever comes, nothing outside the range that was announced last is programmed or
 * erased, nothing outside the stub's memory is touched, and SYNC is answered afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define STUB_ON_HOST
#define CHIP_HEADER "../spec/fuzz/fuzz_stub.h"
#include "../../stubs/stub.c"

enum { FLASH = 128 * 1024, ROOM = 1 << 17 };

static uint8_t flash[FLASH];
static uint32_t spi[64];
static int enabled, busy, sick, usb;
static int wiring; /* of the line D: 0 as it should be, 1 always high, 2 always low, 3 the same as Q */
static uint8_t in[ROOM], out[ROOM];
static size_t in_at, in_end, out_end;
static unsigned idle;
static int anything; /* registers were written by hand: the flash may hold anything */
static uint32_t from, to, erase_from, erase_to; /* what was announced: a write, an erase */
static uint32_t old_from, old_to;               /* the write that goes on until the next is begun */

static void put32(uint8_t *p, uint32_t v) {
  for (int i = 0; i < 4; i++, v >>= 8)
    p[i] = (uint8_t)v;
}

static void feed(const uint8_t *p, size_t n) {
  if (in_end + n <= ROOM) {
    memcpy(in + in_end, p, n);
    in_end += n;
  }
}

static void feed_frame(const uint8_t *p, size_t n) {
  uint8_t c = 0xC0;
  feed(&c, 1);
  for (size_t i = 0; i < n; i++) {
    if (p[i] == 0xC0 || p[i] == 0xDB)
      feed((const uint8_t[]){0xDB, p[i] == 0xC0 ? 0xDC : 0xDD}, 2);
    else
      feed(p + i, 1);
  }
  feed(&c, 1);
}

enum { GUARD = 0x100 }; /* in place of a checksum: the CRC-32 of the frame */
static void feed_command(uint8_t op, const uint8_t *data, size_t n, uint32_t checksum) {
  static uint8_t f[8 + FRAME_MAX];
  if (n > FRAME_MAX)
    n = FRAME_MAX;
  memset(f, 0, 8);
  f[1] = op;
  f[2] = (uint8_t)n;
  f[3] = (uint8_t)(n >> 8);
  memcpy(f + 8, data, n);
  put32(f + 4, checksum == GUARD ? crc_add(0, f, (uint32_t)n + 8) : checksum);
  feed_frame(f, n + 8);
}

static void feed_block(uint8_t op, const uint8_t *p, size_t n, uint32_t sequence, int crc) {
  static uint8_t d[16 + BLOCK_MAX];
  if (n > BLOCK_MAX)
    n = BLOCK_MAX;
  memset(d, 0, 16);
  put32(d, (uint32_t)n);
  put32(d + 4, sequence);
  memcpy(d + 16, p, n);
  uint8_t sum = 0xEF;
  for (size_t i = 0; i < n; i++)
    sum ^= p[i];
  feed_command(op, d, n + 16, crc ? GUARD : sum);
}

static void inside(uint32_t address, uint32_t n) {
  if (anything)
    return;
  uint32_t low = from & ~4095u, high = (to + 4095) & ~4095u;
  if (address >= (old_from & ~4095u) && address + n <= ((old_to + 4095) & ~4095u))
    return;
  if (!(address >= low && address + n <= high) && !(address >= erase_from && address + n <= erase_to)) {
    fprintf(stderr, "0x%x + 0x%x lies outside 0x%x-0x%x and 0x%x-0x%x\n", address, n, low, high, erase_from,
            erase_to);
    abort();
  }
}

static uint8_t *at(uint32_t address) {
  return flash + address % FLASH;
}

static void spi_command(void) {
  uint32_t op = spi[SPI_USER2 / 4] & 0xFF, address = spi[1], user = spi[SPI_USER / 4] >> USR_LOWEST;
  int two = op == READ_TWO >> 8 || op == (READ_TWO & 0xFF);
  uint32_t mosi = user & USR_MOSI ? (spi[SPI_MOSI_DLEN / 4] + 1) / 8 : 0;
  uint32_t miso = user & USR_MISO ? (spi[SPI_MISO_DLEN / 4] + 1) / 8 : 0;
  uint8_t data[64];
  memset(data, 0xFF, sizeof data);
  if (mosi > 64 || miso > 64) {
    if (!anything)
      abort();
    return;
  }
  for (uint32_t i = 0; i < 64; i++)
    data[i] = (uint8_t)(spi[(SPI_W0 + i) / 4] >> (8 * (i & 3)));
  if (!anything && ((user & USR_ADDRESS) != 0) != (op != 0x04 && op != 0x05 && op != 0x06 && op != 0xC7))
    abort();
  if (!anything && two != ((spi[SPI_CTRL / 4] & CTRL_TWO) == CTRL_TWO))
    abort(); /* two lines for another command, or one for this */
  if (two && !anything && (!(user & USR_DUMMY) || (spi[SPI_USER1 / 4] & 0xFF) != 7))
    abort();
  if (op == 0x06) {
    enabled = !sick;
  } else if (op == 0x04) {
    enabled = 0;
  } else if (op == 0x05) {
    data[0] = (uint8_t)(sick ? (sick == 1 ? 0xFF : 0) : (enabled ? 2 : 0) | (busy > 0));
    busy -= busy > 0;
  } else if (op == 0x03 || op == 0x13 || two) {
    for (uint32_t i = 0; i < miso; i++) {
      data[i] = sick ? 0xFF : *at(address + i);
      if (two && wiring)
        data[i] = wiring == 1   ? data[i] | 0x55
                  : wiring == 2 ? data[i] & 0xAA
                                : (data[i] & 0xAA) | (data[i] & 0xAA) >> 1;
    }
  } else if (enabled && !busy) {
    uint32_t n = op == 0x20 || op == 0x21 ? 4096 : op == 0xD8 || op == 0xDC ? 65536 : op == 0xC7 ? FLASH : 0;
    if (n) {
      if (op != 0xC7) {
        address &= ~(n - 1);
        inside(address, n);
      }
      for (uint32_t i = 0; i < n; i++)
        *at(address + i) = 0xFF;
      busy = 2;
    } else if (op == 0x02 || op == 0x12) {
      inside(address, mosi);
      for (uint32_t i = 0; i < mosi; i++)
        *at((address & ~255u) | ((address + i) & 255)) &= data[i];
      busy = 1;
    }
    enabled = 0;
  }
  for (uint32_t i = 0; i < miso; i++) {
    uint32_t shift = 8 * (i & 3), *word = &spi[(SPI_W0 + i) / 4];
    *word = (*word & ~(0xFFu << shift)) | (uint32_t)data[i] << shift;
  }
}

/* Bytes on the way to the stub. When it asks in vain for long it gets a SYNC, which ends an answer that
 * waits. */
static uint32_t waiting(void) {
  if (in_at == in_end && ++idle > 2000) {
    idle = 0;
    in_at = in_end = 0;
    feed_command(SYNC, (const uint8_t[36]){7, 7, 0x12, 0x20}, 36, 0);
  }
  return in_end - in_at > 127 ? 127 : (uint32_t)(in_end - in_at);
}

static uint32_t next_byte(void) {
  idle = 0;
  return in_at < in_end ? in[in_at++] : 0;
}

uint32_t host_reg_read(uint32_t a) {
  if (a == UART_BASE + 0x1C)
    return usb ? 0 : waiting();
  if (a == UART_RX_FIFO)
    return next_byte();
  if (a == USJ_BASE + 4)
    return 2 | (waiting() ? 4 : 0);
  if (a == USJ_BASE)
    return next_byte();
  if (a == UART_BASE + 0x14)
    return 694;
  if (a == 0x50000000)
    return usb ? 3 : 0;
  if (a >= SPI1_BASE && a < SPI1_BASE + 256)
    return spi[(a - SPI1_BASE) / 4];
  return 0;
}

void host_reg_write(uint32_t a, uint32_t v) {
  if (a == UART_TX_FIFO || a == USJ_BASE) {
    if (out_end == ROOM) { /* enough for the last answer */
      memmove(out, out + ROOM / 2, ROOM / 2);
      out_end = ROOM / 2;
    }
    out[out_end++] = (uint8_t)v;
  } else if (a == SPI1_BASE) {
    if (v & CMD_USR)
      spi_command();
  } else if (a >= SPI1_BASE && a < SPI1_BASE + 256) {
    spi[(a - SPI1_BASE) / 4] = v;
  }
}

uint32_t rom_call(uint32_t function, uint32_t a, uint32_t b, uint32_t c) {
  return function ^ a ^ b ^ c; /* nothing that a stub does depends on it */
}

void host_mem_write(uint32_t address, const uint32_t *p, uint32_t n) {
  const uint8_t *bytes = (const uint8_t *)p;
  volatile uint8_t sum = (uint8_t)address;
  for (uint32_t i = 0; i < n; i++)
    sum ^= bytes[i];
}

/* A frame with a CRC-32 that is wrong is refused before it is looked at. */
static int fits_crc(uint32_t n) {
  static uint8_t copy[FRAME_MAX];
  memcpy(copy, frame, n);
  memset(copy + 4, 0, 4);
  return frame_words[1] <= 0xFF || crc32(0, copy, n) == frame_words[1];
}

/* What the frame of n bytes that is to be handled announces. One that is refused leaves things as they are.
 */
static void announce(int n) {
  const uint32_t *d = frame_words + 2;
  uint32_t op = frame[1] == 0xD1 ? ERASE_REGION : frame[1];
  erase_from = erase_to = 0;
  if (frame[0] != 0 || (frame[2] | frame[3] << 8) != n - 8 || !fits_crc((uint32_t)n))
    return;
  if ((op == FLASH_BEGIN || op == DEFL_BEGIN) && n >= 8 + 16 && d[2] <= BLOCK_MAX) {
    old_from = from;
    old_to = to;
    from = d[3];
    to = d[3] + d[0];
  } else if (op == ERASE_REGION) {
    erase_from = d[0];
    erase_to = d[0] + d[1];
  }
  anything |= op == WRITE_REG;
}

static void run(void) {
  for (int quiet = 0; quiet < 4;) {
    int n = io_frame();
    if (n >= 8)
      announce(n);
    if (n) {
      quiet = 0;
      io_keep(n);
    } else {
      quiet++;
    }
    stub_step();
    old_from = old_to = 0;
    if (flash_size > FLASH)
      flash_size = FLASH;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
  static uint8_t packed[2 * ROOM];
  uint32_t sequence = 0;
  if (n < 2)
    return 0;
  memset(flash, p[0], sizeof flash);
  usb = p[1] & 1;
  wiring = p[1] >> 6;
  if (tried > TRIALS || reading != READ)
    reading = READ;
  tried = 0;
  sick = (p[1] >> 1) % 16 == 1 ? 1 : (p[1] >> 1) % 16 == 2 ? 2 : 0;
  enabled = busy = anything = 0;
  from = to = old_from = old_to = erase_from = erase_to = 0;
  in_at = in_end = out_end = 0;
  head = tail = 0;
  lost = kept = 0;
  pending = 0;
  flash_size = FLASH;
  memset(&mem, 0, sizeof mem);
  memset(&w, 0, sizeof w);
  w.state = NOT_IN_PROGRESS;
  memset(&z, 0, sizeof z);
  memset(&literal, 0, sizeof literal);
  memset(&distance, 0, sizeof distance);
  feed((const uint8_t[]){0xC0, 0xC0}, 2); /* ends what the last input has begun */
  stub_init();
  run();
  for (p += 2, n -= 2; n >= 3;) {
    uint32_t kind = p[0] & 7, op = p[0] >> 3, size = p[1] | (uint32_t)p[2] << 8;
    static const uint8_t ops[32] = {
        FLASH_BEGIN,   FLASH_DATA,     FLASH_END,  MEM_BEGIN,   MEM_END,    MEM_DATA,  SYNC,     WRITE_REG,
        READ_REG,      SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUD, DEFL_BEGIN, DEFL_DATA, DEFL_END, FLASH_MD5,
        SECURITY_INFO, 0xD0,           0xD1,       0xD2,        0xD3,       0xD4,      0xF0,     0xF1,
        0xF2,          0xF3,           DEFL_BEGIN, FLASH_BEGIN, 0xF2,       0xF1,      0x42,     0x1A};
    p += 3;
    n -= 3;
    if (size > n)
      size = (uint32_t)n;
    if (kind == 0) {
      feed(p, size);
    } else if (kind == 1) {
      feed_command(ops[op], p, size, size & 1 ? GUARD : 0);
    } else if (kind == 2) {
      feed_block((uint8_t)(op & 1   ? FLASH_DATA
                           : op & 2 ? MEM_DATA
                                    : DEFL_DATA),
                 p, size, op & 4 ? op : sequence++, op & 8);
    } else if (kind == 3) { /* a begin that fits, so that what follows gets somewhere */
      uint32_t d[5] = {(op + 1) * 1000 + size, 4, 1024, (op & 3) * 4096 + (op & 4 ? 100 : 0), 0};
      feed_command(op & 16 ? FLASH_BEGIN : DEFL_BEGIN, (const uint8_t *)d, sizeof d, 0);
      sequence = 0;
      size = 0;
    } else if (kind == 4) {
      uLongf m = sizeof packed;
      if (compress2(packed, &m, p, size, op % 10) == Z_OK)
        for (uLongf i = 0; i < m; i += 256)
          feed_block(DEFL_DATA, packed + i, m - i < 256 ? m - i : 256, sequence++, 1);
    } else if (kind == 5) {
      uint32_t d[6] = {0, op & 1 ? FLASH : 65536, 65536, 4096, 256, 0xFFFF};
      feed_command(SPI_SET_PARAMS, (const uint8_t *)d, sizeof d, 0);
      size = 0;
    } else if (kind == 6) {
      uint32_t d[4] = {op * 777, 5000, 1u << (op % 16), 1 + op % 8};
      feed_command(op & 1 ? 0xF2 : 0xD2, (const uint8_t *)d, sizeof d, 0);
      put32((uint8_t *)d, size);
      feed_frame((const uint8_t *)d, 4);
    } else if (kind == 7) {
      uint32_t d[3] = {op * 1000, size, 256u << (op % 8)};
      feed_command(op & 16 ? FLASH_MD5 : 0xF1, (const uint8_t *)d, sizeof d, 0);
      size = 0;
    }
    run();
    p += size;
    n -= size;
  }
  feed((const uint8_t[]){0xC0}, 1);
  run();
  if (reading != READ && wiring && !anything)
    abort(); /* it has not noticed that D cannot be read */
  out_end = 0;
  feed_command(SYNC, (const uint8_t[36]){7, 7, 0x12, 0x20}, 36, 0);
  run();
  static const uint8_t answer[] = {0xC0, 1, 8, 2, 0, 0, 0, 0, 0, 0, 0, 0xC0};
  if (out_end < 8 * sizeof answer || memcmp(out + out_end - sizeof answer, answer, sizeof answer) != 0) {
    fprintf(stderr, "SYNC is not answered\n");
    abort();
  }
  return 0;
}
