/* nand.h - a serial NAND flash of 1 Gbit: 1024 blocks of 64 pages of 2048 + 64 bytes, with its own error
 * correction. Source: data sheet of the Winbond W25N01GV. */
#ifndef SIM_NAND_H
#define SIM_NAND_H

#include "sim/flash.h"

enum {
  SIM_NAND_DATA = 2048,
  SIM_NAND_SPARE = 64,
  SIM_NAND_PAGE = SIM_NAND_DATA + SIM_NAND_SPARE,
  SIM_NAND_PER_BLOCK = 64,
  SIM_NAND_BLOCKS = 1024,
  SIM_NAND_PAGES = SIM_NAND_BLOCKS * SIM_NAND_PER_BLOCK,
  SIM_NAND_CELLS = SIM_NAND_PAGES * SIM_NAND_PAGE,
  SIM_NAND_LINKS = 20,
  SIM_NAND_FAULTS = 64
};

/* What is wrong with this individual. */
enum {
  SIM_NAND_BAD,            /* a block, marked by its maker */
  SIM_NAND_PROGRAM_FAILS,  /* a page */
  SIM_NAND_ERASE_FAILS,    /* a block */
  SIM_NAND_CORRECTED,      /* a page: reading it needs correction */
  SIM_NAND_UNCORRECTABLE,  /* a page: and that is not enough */
  SIM_NAND_SILENTLY_FAILS, /* a page: programming leaves a bit, and says nothing */
  SIM_NAND_FAULT_KINDS
};

struct sim_nand_fault {
  uint32_t kind, at;
};

struct sim_nand {
  struct sim_flash cells; /* page after page, each with its spare bytes; not open: there is no such part */
  int present;
  const struct sim_nand_fault *fault;
  int faults;
  uint8_t protect, config, status; /* registers A0, B0, C0 (without BUSY and WEL) */
  int write_enabled;
  uint8_t buffer[SIM_NAND_PAGE];
  uint16_t failed_page; /* of the last read that could not be corrected */
  struct {
    uint16_t from, to;
  } link[SIM_NAND_LINKS]; /* blocks that stand for others */
  int links;
  int timing; /* operations take their time: busy_until, on the clock `now` */
  const double *now;
  double busy_until;
};

/* Opens the part, its cells in the file at path, or in memory when that is NULL; fault[] must outlive it.
 * Marks the bad blocks of a new one. Returns 0, or -1 with a line in error. */
int sim_nand_open(struct sim_nand *n, const char *path, const struct sim_nand_fault *fault, int faults,
                  const double *now, char *error, size_t error_size);

/* Twice is fine, as for a part that was never opened. */
void sim_nand_close(struct sim_nand *n);

/* One command: bytes that are sent, the first of them the command, and then received. */
void sim_nand_command(struct sim_nand *n, const uint8_t *tx, size_t ntx, uint8_t *rx, size_t nrx);

#endif
