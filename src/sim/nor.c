/* nor.c - the commands of a serial NOR flash. Source: JEDEC JESD216 (SFDP) and data sheets of common parts.
 */
#include "sim/nor.h"

#include <string.h>

enum { PAGE = 256, STATUS_BUSY = 0x01, STATUS_WEL = 0x02, STATUS_BP = 0x1C };

/* Typical times of common 32 Mbit parts, in seconds: the first byte of a program and each further one (0.5 ms
 * per page), erasing 4, 32, 64 KiB and all of it per 64 KiB, writing status. */
static const double FIRST_BYTE = 30e-6, NEXT_BYTE = 1.85e-6, STATUS_TIME = 0.01;
static const double ERASE_4K = 0.045, ERASE_32K = 0.120, ERASE_64K = 0.150;

static int busy(const struct sim_nor *nor) {
  return nor->timing && *nor->now < nor->busy_until;
}

static void take_time(struct sim_nor *nor, double seconds) {
  if (nor->timing)
    nor->busy_until = *nor->now + seconds;
}

void sim_nor_init(struct sim_nor *nor, struct sim_flash *flash, uint32_t id, const int *connected,
                  const double *now) {
  *nor = (struct sim_nor){.flash = flash,
                          .connected = connected,
                          .now = now,
                          .id = {(uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id}};
}

static void put32(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 24);
}

/* JESD216: header, one parameter header, the first nine words of the basic flash parameter table. */
static void sfdp(const struct sim_nor *nor, uint32_t addr, uint8_t *rx, size_t n) {
  uint8_t t[0x30 + 36];
  memset(t, 0xFF, sizeof t);
  memcpy(t, "SFDP\x00\x01\x00\xFF", 8);                 /* JESD216 1.0, one parameter header */
  memcpy(t + 8, "\x00\x00\x01\x09\x30\x00\x00\xFF", 8); /* basic table 1.0: nine words at 30h */
  static const uint32_t words[9] = {
      0xFFF120E5, /* 4 KiB erase 20h, 1-1-2, 1-2-2, 1-4-4, 1-1-4 reads, 3 byte addresses */
      0,          0x6B08EB44, 0xBB42503B, 0xFFFFFFEE,
      0xFF00FFFF, 0xFF00FFFF, 0x520F200C, /* erase types: 2^12 by 20h, 2^15 by 52h */
      0xFF00D810,                         /* 2^16 by D8h */
  };
  for (int i = 0; i < 9; i++)
    put32(t + 0x30 + 4 * i, words[i]);
  put32(t + 0x34, nor->flash->size <= 0x10000000 ? nor->flash->size * 8u - 1 : 0x8000001Fu); /* bits - 1 */
  for (size_t i = 0; i < n; i++)
    rx[i] = (uint64_t)addr + i < sizeof t ? t[addr + i] : 0xFF;
}

static void program_page(struct sim_nor *nor, uint32_t addr, const uint8_t *tx, size_t n) {
  uint32_t page = addr & ~(uint32_t)(PAGE - 1);
  for (size_t i = 0; i < n; i++) /* past the end of the page it goes on at its start */
    sim_flash_program(nor->flash, page | ((addr + (uint32_t)i) & (PAGE - 1)), tx + i, 1);
}

static void fill(uint8_t *rx, size_t n, const uint8_t *value, size_t size) {
  for (size_t i = 0; i < n; i++)
    rx[i] = value[i % size];
}

static uint8_t status_of(const struct sim_nor *nor, int index) {
  if (index)
    return nor->status[index];
  return (uint8_t)(nor->status[0] | (busy(nor)            ? STATUS_BUSY | STATUS_WEL
                                     : nor->write_enabled ? STATUS_WEL
                                                          : 0));
}

/* Commands that change something need 06h before; it falls off afterwards. */
static int take_enable(struct sim_nor *nor) {
  int was = nor->write_enabled;
  nor->write_enabled = 0;
  return was;
}

/* Block protection, however little of the part it is set to cover, is taken to cover all of it. */
static int may_change(struct sim_nor *nor) {
  return take_enable(nor) && !(nor->status[0] & STATUS_BP);
}

static void write_status(struct sim_nor *nor, int index, const uint8_t *tx, size_t n) {
  if (!take_enable(nor))
    return;
  for (size_t i = 0; i < n && index + i < 3; i++)
    nor->status[index + i] = index + i == 0 ? tx[i] & 0xFC : tx[i];
  take_time(nor, STATUS_TIME);
}

/* How many bytes of address a command takes; 0: none, or nobody looks. */
static int address_bytes(const struct sim_nor *nor, uint8_t opcode) {
  switch (opcode) {
  case 0x02:
  case 0x03:
  case 0x0B:
  case 0x20:
  case 0x32:
  case 0x3B:
  case 0x52:
  case 0x6B:
  case 0xD8:
    return nor->addr4 ? 4 : 3;
  case 0x0C:
  case 0x12:
  case 0x13:
  case 0x21:
  case 0x3C:
  case 0x5C:
  case 0x6C:
  case 0xDC:
    return 4;
  default:
    return 0;
  }
}

int sim_nor_lines(uint8_t opcode, unsigned *wait) {
  *wait = 0;
  switch (opcode) {
  case 0x0B:
  case 0x0C:
  case 0x5A:
    *wait = 8;
    return 1;
  case 0x3B:
  case 0x3C:
    *wait = 8;
    return 2;
  case 0x6B:
  case 0x6C:
    *wait = 8;
    return 4;
  case 0xBB:
  case 0xEB:
    return 0;
  default:
    return 1;
  }
}

void sim_nor_command(struct sim_nor *nor, uint8_t opcode, uint32_t addr, int addr_bytes, const uint8_t *tx,
                     size_t ntx, uint8_t *rx, size_t nrx) {
  static const struct {
    uint8_t opcode;
    uint32_t size;
    double time;
  } erases[] = {{0x20, 4096, ERASE_4K},   {0x21, 4096, ERASE_4K},   {0x52, 32768, ERASE_32K},
                {0x5C, 32768, ERASE_32K}, {0xD8, 65536, ERASE_64K}, {0xDC, 65536, ERASE_64K}};
  int armed = nor->reset_armed;
  memset(rx, 0xFF, nrx);
  if (!*nor->connected)
    return;
  nor->reset_armed = 0;
  if (busy(nor) && opcode != 0x05 && opcode != 0x35 && opcode != 0x15)
    return;
  if (nor->powered_down && opcode != 0xAB)
    return;
  int takes = address_bytes(nor, opcode);
  if (takes && addr_bytes > takes)
    addr >>= 8; /* the last byte is not taken for one of the address */
  else if (addr_bytes && addr_bytes < takes)
    return; /* and here the first of what follows would be; what comes of it is of no use */
  for (size_t i = 0; i < sizeof erases / sizeof erases[0]; i++)
    if (opcode == erases[i].opcode && addr_bytes > 0) {
      if (may_change(nor)) {
        sim_flash_erase(nor->flash, addr & ~(erases[i].size - 1), erases[i].size);
        take_time(nor, erases[i].time);
      }
      return;
    }
  switch (opcode) {
  case 0x9F:
    fill(rx, nrx, nor->id, 3);
    break;
  case 0x90:
    fill(rx, nrx, (uint8_t[]){nor->id[0], (uint8_t)(nor->id[2] - 1)}, 2);
    break;
  case 0xAB:
    nor->powered_down = 0;
    fill(rx, nrx, (uint8_t[]){(uint8_t)(nor->id[2] - 1)}, 1);
    break;
  case 0xB9:
    nor->powered_down = 1;
    break;
  case 0x06:
  case 0x50:
    nor->write_enabled = 1;
    break;
  case 0x04:
    nor->write_enabled = 0;
    break;
  case 0x05:
    fill(rx, nrx, (uint8_t[]){status_of(nor, 0)}, 1);
    break;
  case 0x35:
    fill(rx, nrx, (uint8_t[]){status_of(nor, 1)}, 1);
    break;
  case 0x15:
    fill(rx, nrx, (uint8_t[]){status_of(nor, 2)}, 1);
    break;
  case 0x01:
    write_status(nor, 0, tx, ntx);
    break;
  case 0x31:
    write_status(nor, 1, tx, ntx < 1 ? ntx : 1);
    break;
  case 0x11:
    write_status(nor, 2, tx, ntx < 1 ? ntx : 1);
    break;
  case 0x5A:
    sfdp(nor, addr & 0xFFFFFF, rx, nrx);
    break;
  case 0x03:
  case 0x0B:
  case 0x13:
  case 0x0C:
  case 0x3B:
  case 0x3C:
  case 0x6B:
  case 0x6C:
  case 0xBB:
  case 0xEB:
    if (addr_bytes > 0)
      sim_flash_read(nor->flash, addr, rx, nrx);
    break;
  case 0x02:
  case 0x12:
  case 0x32:
    if (addr_bytes > 0 && ntx > 0 && may_change(nor)) {
      program_page(nor, addr, tx, ntx);
      take_time(nor, FIRST_BYTE + NEXT_BYTE * (double)(ntx - 1));
    }
    break;
  case 0xC7:
  case 0x60:
    if (may_change(nor)) {
      sim_flash_erase(nor->flash, 0, nor->flash->size);
      take_time(nor, ERASE_64K * (double)(nor->flash->size / 65536));
    }
    break;
  case 0xB7:
    nor->addr4 = 1;
    break;
  case 0xE9:
    nor->addr4 = 0;
    break;
  case 0x66:
    nor->reset_armed = 1;
    break;
  case 0x99:
    if (armed) {
      nor->write_enabled = nor->addr4 = 0;
      nor->status[1] &= 0xBF; /* a suspended operation is gone */
    }
    break;
  default:
    break; /* not decoded: the output stays high */
  }
}
