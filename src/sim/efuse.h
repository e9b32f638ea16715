/* efuse.h - the eFuse controller: cells that can only be set, the copy of them that software reads, and the
 * registers that burn them. */
#ifndef SIM_EFUSE_H
#define SIM_EFUSE_H

#include <stddef.h>
#include <stdint.h>

enum { SIM_EFUSE_BLOCKS = 11, SIM_EFUSE_WORDS = 9, SIM_EFUSE_PGM_WORDS = 12 };

enum {
  SIM_EFUSE_OTP,    /* read-only words (ESP8266) */
  SIM_EFUSE_ESP32,  /* write registers per block, one command burns all blocks */
  SIM_EFUSE_BLOCKED /* one set of program registers, the command names the block */
};

struct sim_efuse_layout {
  int kind;
  uint32_t base;
  int blocks;
  struct {
    uint32_t read;  /* offset of the first word that software reads */
    uint32_t write; /* offset of the first word to burn (SIM_EFUSE_ESP32) */
    int words;
    int write_protect, read_protect; /* bit of WR_DIS and RD_DIS, or -1 */
  } block[SIM_EFUSE_BLOCKS];
  uint32_t pgm_data; /* eight data words, then three check words (SIM_EFUSE_BLOCKED) */
  uint32_t conf, status, cmd;
  uint32_t conf_write, conf_read;           /* values of conf that arm a command */
  uint32_t wr_dis_mask;                     /* bits of the first word of BLOCK0 that are WR_DIS */
  uint32_t rd_dis, rd_dis_lsb, rd_dis_mask; /* word of BLOCK0, lowest bit and mask of RD_DIS */
  uint32_t coding, coding_lsb; /* word of BLOCK0 and bit of the coding scheme (SIM_EFUSE_ESP32) */
};

struct sim_efuse {
  struct sim_efuse_layout at;
  uint32_t cell[SIM_EFUSE_BLOCKS][SIM_EFUSE_WORDS];
  uint32_t shown[SIM_EFUSE_BLOCKS][SIM_EFUSE_WORDS];
  uint32_t pgm[SIM_EFUSE_PGM_WORDS];
  uint32_t to_write[SIM_EFUSE_BLOCKS][SIM_EFUSE_WORDS];
  uint32_t conf;
  int shows_busy; /* a command is seen under way once */
  uint32_t busy;
  int burned; /* how many burn commands were obeyed */
  char *path; /* the file, or NULL */
  int save_failed;
};

/* Starts with blank cells, or with those of the file path (NULL: none), which is created when missing. A file
 * is replaced by a complete new one (temporary name, rename) at every burn. Returns 0, or -1 with a line in
 * error. *fresh tells whether there was no file to read, so that factory values are to be set. */
int sim_efuse_open(struct sim_efuse *e, const struct sim_efuse_layout *at, const char *path, int *fresh,
                   char *error, size_t error_size);
void sim_efuse_close(struct sim_efuse *e);

/* Sets cells from outside (factory values, options). Ignored for a place that does not exist. */
void sim_efuse_set(struct sim_efuse *e, int block, int word, uint32_t bits);

/* Writes the file. Returns 0 or -1. */
int sim_efuse_save(struct sim_efuse *e);

/* Copies the cells to where software reads them, as a reset and the read command do. */
void sim_efuse_load(struct sim_efuse *e);

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_efuse_read(void *efuse, uint32_t offset, uint32_t *value);
int sim_efuse_write(void *efuse, uint32_t offset, uint32_t value);

#endif
