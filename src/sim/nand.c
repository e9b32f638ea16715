/* nand.c - the commands of a serial NAND flash. Source: data sheet of the Winbond W25N01GV. */
#include "sim/nand.h"

#include <string.h>

/* Registers, by the upper half of their address; SR-2 and SR-3 as the data sheet numbers their bits. */
enum { LOCKED = 0x7C, LOCKED_FOREVER = 0x81 };
enum { CONFIG_BUF = 0x08, CONFIG_ECC = 0x10, CONFIG_AT_START = CONFIG_ECC | CONFIG_BUF };
enum {
  BUSY = 0x01,
  ENABLED = 0x02,
  ERASE_FAILED = 0x04,
  PROGRAM_FAILED = 0x08,
  ECC_CORRECTED = 0x10,
  ECC_FAILED = 0x20,
  ECC = 0x30,
  LINKS_FULL = 0x40
};
enum { SECTOR_DATA = 512, SECTOR_SPARE = 16, USER_1 = 4, PARITY = 8 };

/* Seconds, typical: reading a page with error correction, programming one, erasing a block. */
static const double READ_TIME = 60e-6, PROGRAM_TIME = 250e-6, ERASE_TIME = 2e-3, RESET_TIME = 5e-6;
static const uint8_t ID[] = {0xEF, 0xAA, 0x21};

static int has_fault(const struct sim_nand *n, uint32_t kind, uint32_t at) {
  for (int i = 0; i < n->faults; i++)
    if (n->fault[i].kind == kind && n->fault[i].at == at)
      return 1;
  return 0;
}

int sim_nand_open(struct sim_nand *n, const char *path, const struct sim_nand_fault *fault, int faults,
                  const double *now, char *error, size_t error_size) {
  static const uint8_t mark[2] = {0, 0};
  *n = (struct sim_nand){.fault = fault,
                         .faults = faults,
                         .now = now,
                         .present = 1,
                         .protect = LOCKED,
                         .config = CONFIG_AT_START};
  n->cells.fd = -1;
  memset(n->buffer, 0xFF, sizeof n->buffer);
  if (sim_flash_open(&n->cells, SIM_NAND_CELLS, path, error, error_size) != 0)
    return -1;
  for (int i = 0; i < faults; i++) /* byte 0 of the block's first page, and the first of its spare bytes */
    if (fault[i].kind == SIM_NAND_BAD) {
      uint32_t at = fault[i].at % SIM_NAND_BLOCKS * (SIM_NAND_PER_BLOCK * SIM_NAND_PAGE);
      sim_flash_program(&n->cells, at, mark, 1);
      sim_flash_program(&n->cells, at + SIM_NAND_DATA, mark, 2);
    }
  return 0;
}

void sim_nand_close(struct sim_nand *n) {
  if (n->present)
    sim_flash_close(&n->cells);
  n->present = 0;
}

static void take_time(struct sim_nand *n, double seconds) {
  if (n->timing)
    n->busy_until = *n->now + seconds;
}

static int busy(const struct sim_nand *n) {
  return n->timing && *n->now < n->busy_until;
}

/* The page that stands for one: of the block that its block is linked to. */
static uint32_t physical(const struct sim_nand *n, uint32_t page) {
  uint32_t block = page / SIM_NAND_PER_BLOCK;
  for (int i = 0; i < n->links; i++)
    if (n->link[i].from == block)
      return n->link[i].to * SIM_NAND_PER_BLOCK + page % SIM_NAND_PER_BLOCK;
  return page;
}

/* What the part's error correction writes into the last eight spare bytes of a sector. The code of the real
 * one is not published: this sum notices every change, and is all ones for an erased sector, as theirs. */
static void parity(const uint8_t *page, int sector, uint8_t out[PARITY]) {
  const uint8_t *data = page + sector * SECTOR_DATA;
  const uint8_t *spare = page + SIM_NAND_DATA + sector * SECTOR_SPARE;
  uint64_t sum = 0;
  for (int i = 0; i < SECTOR_DATA + USER_1; i++) {
    uint8_t byte = i < SECTOR_DATA ? data[i] : spare[USER_1 + i - SECTOR_DATA];
    sum = (sum ^ (uint8_t)~byte) * 0x100000001B3u;
  }
  for (int i = 0; i < PARITY; i++)
    out[i] = (uint8_t) ~(sum >> 8 * i);
}

static uint8_t ecc_of(const struct sim_nand *n, uint32_t page) {
  uint8_t sum[PARITY];
  if (has_fault(n, SIM_NAND_UNCORRECTABLE, page))
    return ECC_FAILED;
  for (int s = 0; s < 4; s++) {
    parity(n->buffer, s, sum);
    if (memcmp(sum, n->buffer + SIM_NAND_DATA + s * SECTOR_SPARE + SECTOR_SPARE - PARITY, PARITY) != 0)
      return ECC_FAILED;
  }
  return has_fault(n, SIM_NAND_CORRECTED, page) ? ECC_CORRECTED : 0;
}

static void read_page(struct sim_nand *n, uint32_t page) {
  sim_flash_read(&n->cells, physical(n, page) * SIM_NAND_PAGE, n->buffer, SIM_NAND_PAGE);
  n->status &= (uint8_t)~ECC;
  if (n->config & CONFIG_ECC) {
    n->status |= ecc_of(n, page);
    if (n->status & ECC_FAILED)
      n->failed_page = (uint16_t)page;
  } else if (has_fault(n, SIM_NAND_CORRECTED, page) || has_fault(n, SIM_NAND_UNCORRECTABLE, page)) {
    n->buffer[1] ^= 0x40; /* the cell that it is about */
  }
  take_time(n, READ_TIME);
}

/* Whether something may be changed: only after 06h, which falls off, and where nothing is protected. That the
 * protection, however little it is set to cover, covers everything is a simplification. */
static int may_change(struct sim_nand *n, uint8_t failed) {
  int enabled = n->write_enabled;
  n->write_enabled = 0;
  if (!enabled)
    return 0;
  n->status &= (uint8_t) ~(PROGRAM_FAILED | ERASE_FAILED);
  if (n->protect & LOCKED) {
    n->status |= failed;
    return 0;
  }
  return 1;
}

static void program_page(struct sim_nand *n, uint32_t page) {
  uint8_t cells[SIM_NAND_PAGE];
  if (!may_change(n, PROGRAM_FAILED))
    return;
  memcpy(cells, n->buffer, sizeof cells);
  if (has_fault(n, SIM_NAND_SILENTLY_FAILS, page))
    cells[100] |= 0x01;
  if (n->config & CONFIG_ECC)
    for (int s = 0; s < 4; s++)
      parity(cells, s, cells + SIM_NAND_DATA + s * SECTOR_SPARE + SECTOR_SPARE - PARITY);
  if (has_fault(n, SIM_NAND_PROGRAM_FAILS, page)) {
    n->status |= PROGRAM_FAILED;
    memset(cells + SIM_NAND_DATA / 2, 0xFF, SIM_NAND_DATA / 2); /* not all cells have taken it */
  }
  sim_flash_program(&n->cells, physical(n, page) * SIM_NAND_PAGE, cells, sizeof cells);
  take_time(n, PROGRAM_TIME);
}

static void erase_block(struct sim_nand *n, uint32_t page) {
  uint32_t block = page / SIM_NAND_PER_BLOCK;
  if (!may_change(n, ERASE_FAILED))
    return;
  if (has_fault(n, SIM_NAND_ERASE_FAILS, block))
    n->status |= ERASE_FAILED;
  else
    sim_flash_erase(&n->cells, physical(n, block * SIM_NAND_PER_BLOCK) * SIM_NAND_PAGE,
                    SIM_NAND_PER_BLOCK * SIM_NAND_PAGE);
  take_time(n, ERASE_TIME);
}

static void add_link(struct sim_nand *n, uint32_t from, uint32_t to) {
  int enabled = n->write_enabled;
  n->write_enabled = 0;
  if (!enabled || n->links == SIM_NAND_LINKS || from >= SIM_NAND_BLOCKS || to >= SIM_NAND_BLOCKS)
    return;
  n->link[n->links].from = (uint16_t)from;
  n->link[n->links++].to = (uint16_t)to;
  if (n->links == SIM_NAND_LINKS)
    n->status |= LINKS_FULL;
}

static uint8_t *reg(struct sim_nand *n, uint8_t address) {
  switch (address >> 4) {
  case 0xA:
    return &n->protect;
  case 0xB:
    return &n->config;
  default:
    return NULL;
  }
}

static uint8_t read_register(struct sim_nand *n, uint8_t address) {
  uint8_t *r = reg(n, address);
  if (r)
    return *r;
  if (address >> 4 != 0xC)
    return 0;
  return (uint8_t)(n->status | (busy(n) ? BUSY : 0) | (n->write_enabled ? ENABLED : 0));
}

static void write_register(struct sim_nand *n, uint8_t address, uint8_t value) {
  uint8_t *r = reg(n, address);
  if (r == &n->protect && (n->protect & LOCKED_FOREVER) == LOCKED_FOREVER)
    return;
  if (r)
    *r = value;
}

static void load(struct sim_nand *n, const uint8_t *tx, size_t ntx, int fresh) {
  if (ntx < 2)
    return;
  if (fresh)
    memset(n->buffer, 0xFF, sizeof n->buffer);
  uint32_t column = (uint32_t)(tx[0] << 8 | tx[1]) & 0xFFF;
  for (size_t i = 2; i < ntx && column < SIM_NAND_PAGE; i++)
    n->buffer[column++] = tx[i];
}

/* The byte that the part sends at a place behind the command, counted from 0. In buffer mode reading begins
 * at the column that was sent and stops at the page's end; otherwise it begins at 0 and goes on with the next
 * page, which is not modelled. */
static uint8_t send(struct sim_nand *n, const uint8_t *tx, size_t ntx, size_t at) {
  size_t column;
  switch (tx[0]) {
  case 0x0F:
  case 0x05:
    return ntx > 1 && at > 0 ? read_register(n, tx[1]) : 0xFF;
  case 0x9F:
    return at > 0 && at <= sizeof ID ? ID[at - 1] : 0xFF;
  case 0xA5:
    if (at < 1 || (at - 1) / 4 >= (size_t)n->links)
      return 0;
    column = (at - 1) / 4;
    switch ((at - 1) % 4) {
    case 0:
      return (uint8_t)(0x80 | n->link[column].from >> 8);
    case 1:
      return (uint8_t)n->link[column].from;
    case 2:
      return (uint8_t)(n->link[column].to >> 8);
    default:
      return (uint8_t)n->link[column].to;
    }
  case 0xA9:
    return at == 1 ? (uint8_t)(n->failed_page >> 8) : at == 2 ? (uint8_t)n->failed_page : 0xFF;
  case 0x03:
  case 0x0B:
    if (at < 3 || ntx < 3)
      return 0xFF;
    column = at - 3;
    if (n->config & CONFIG_BUF)
      column += (size_t)(tx[1] << 8 | tx[2]) & 0xFFF;
    return column < SIM_NAND_PAGE ? n->buffer[column] : 0xFF;
  default:
    return 0xFF;
  }
}

static void reset(struct sim_nand *n) {
  n->status &= LINKS_FULL;
  n->write_enabled = 0;
  take_time(n, RESET_TIME);
}

void sim_nand_command(struct sim_nand *n, const uint8_t *tx, size_t ntx, uint8_t *rx, size_t nrx) {
  uint32_t page = ntx >= 4 ? (uint32_t)(tx[2] << 8 | tx[3]) : 0;
  memset(rx, 0xFF, nrx);
  if (!n->present || ntx == 0)
    return;
  if (busy(n) && tx[0] != 0x0F && tx[0] != 0x05 && tx[0] != 0x9F && tx[0] != 0xFF)
    return;
  switch (tx[0]) {
  case 0xFF:
    reset(n);
    break;
  case 0x06:
  case 0x04:
    n->write_enabled = tx[0] == 0x06;
    break;
  case 0x1F:
  case 0x01:
    if (ntx >= 3)
      write_register(n, tx[1], tx[2]);
    break;
  case 0x02:
  case 0x32:
    load(n, tx + 1, ntx - 1, 1);
    break;
  case 0x84:
  case 0x34:
    load(n, tx + 1, ntx - 1, 0);
    break;
  case 0x13:
    if (ntx >= 4)
      read_page(n, page);
    break;
  case 0x10:
    if (ntx >= 4)
      program_page(n, page);
    break;
  case 0xD8:
    if (ntx >= 4)
      erase_block(n, page);
    break;
  case 0xA1:
    if (ntx >= 5)
      add_link(n, (uint32_t)(tx[1] << 8 | tx[2]), (uint32_t)(tx[3] << 8 | tx[4]));
    break;
  default:
    for (size_t i = 0; i < nrx; i++)
      rx[i] = send(n, tx, ntx, ntx - 1 + i);
  }
}
