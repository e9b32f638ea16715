/* efuse.c - the eFuse controller. Source: Technical Reference Manuals, "eFuse Controller". */
#include "sim/efuse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CMD_READ = 1, CMD_PROGRAM = 2 };

static size_t total_words(const struct sim_efuse_layout *at) {
  size_t n = 0;
  for (int b = 0; b < at->blocks; b++)
    n += (size_t)at->block[b].words;
  return n;
}

static int load_file(struct sim_efuse *e, const char *path, int *fresh, char *error, size_t n) {
  FILE *f = fopen(path, "rb");
  if (!f && errno == ENOENT)
    return 0;
  if (!f) {
    snprintf(error, n, "eFuse file %s: %s", path, strerror(errno));
    return -1;
  }
  uint8_t b[SIM_EFUSE_BLOCKS * SIM_EFUSE_WORDS * 4 + 1];
  size_t want = total_words(&e->at) * 4, got = fread(b, 1, sizeof b, f);
  int failed = ferror(f);
  fclose(f);
  if (failed || (got != 0 && got != want)) {
    snprintf(error, n, "eFuse file %s: %s (%zu bytes, the eFuses of this chip have %zu)", path,
             failed ? "cannot be read" : "has the wrong size", got, want);
    return -1;
  }
  if (got == 0)
    return 0;
  const uint8_t *p = b;
  for (int i = 0; i < e->at.blocks; i++)
    for (int w = 0; w < e->at.block[i].words; w++, p += 4)
      e->cell[i][w] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  *fresh = 0;
  return 0;
}

int sim_efuse_open(struct sim_efuse *e, const struct sim_efuse_layout *at, const char *path, int *fresh,
                   char *error, size_t error_size) {
  *e = (struct sim_efuse){.at = *at};
  *fresh = 1;
  if (path) {
    e->path = strdup(path);
    if (!e->path || load_file(e, path, fresh, error, error_size) != 0) {
      sim_efuse_close(e);
      return -1;
    }
    if (*fresh && sim_efuse_save(e) != 0) {
      snprintf(error, error_size, "eFuse file %s: %s", path, strerror(errno));
      sim_efuse_close(e);
      return -1;
    }
  }
  sim_efuse_load(e);
  return 0;
}

void sim_efuse_close(struct sim_efuse *e) {
  free(e->path);
  e->path = NULL;
}

int sim_efuse_save(struct sim_efuse *e) {
  if (!e->path)
    return 0;
  size_t len = strlen(e->path) + 8;
  char *temp = malloc(len);
  if (!temp)
    return -1;
  snprintf(temp, len, "%s.new", e->path);
  FILE *f = fopen(temp, "wb");
  int bad = !f;
  for (int b = 0; f && b < e->at.blocks; b++)
    for (int w = 0; w < e->at.block[b].words; w++) {
      uint32_t v = e->cell[b][w];
      uint8_t byte[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
      bad |= fwrite(byte, 1, 4, f) != 4;
    }
  if (f) {
    bad |= fflush(f) != 0 || fsync(fileno(f)) != 0;
    bad |= fclose(f) != 0;
  }
  if (!bad)
    bad = rename(temp, e->path) != 0;
  else if (f)
    remove(temp);
  free(temp);
  return bad ? -1 : 0;
}

void sim_efuse_set(struct sim_efuse *e, int block, int word, uint32_t bits) {
  if (block >= 0 && block < e->at.blocks && word >= 0 && word < e->at.block[block].words)
    e->cell[block][word] |= bits;
}

/* 3/4 coding: of every eight bytes, six are data. */
static void decode_34(const uint32_t *raw, uint32_t *out, int words) {
  uint8_t data[32] = {0};
  int n = 0;
  for (int i = 0; i < words * 4 && i < 32; i++)
    if (i % 8 < 6)
      data[n++] = (uint8_t)(raw[i / 4] >> i % 4 * 8);
  for (int w = 0; w < words && w < 8; w++)
    out[w] = (uint32_t)data[4 * w] | (uint32_t)data[4 * w + 1] << 8 | (uint32_t)data[4 * w + 2] << 16 |
             (uint32_t)data[4 * w + 3] << 24;
}

void sim_efuse_load(struct sim_efuse *e) {
  const struct sim_efuse_layout *at = &e->at;
  uint32_t rd_dis = 0;
  int coding = 0;
  if (at->rd_dis < SIM_EFUSE_WORDS)
    rd_dis = e->cell[0][at->rd_dis] >> at->rd_dis_lsb & at->rd_dis_mask;
  if (at->kind == SIM_EFUSE_ESP32 && at->coding < SIM_EFUSE_WORDS)
    coding = (int)(e->cell[0][at->coding] >> at->coding_lsb & 3);
  for (int b = 0; b < at->blocks; b++) {
    int hidden = at->block[b].read_protect >= 0 && rd_dis >> at->block[b].read_protect & 1;
    if (hidden)
      memset(e->shown[b], 0, sizeof e->shown[b]);
    else if (coding == 1 && b > 0)
      decode_34(e->cell[b], e->shown[b], at->block[b].words);
    else
      memcpy(e->shown[b], e->cell[b], sizeof e->shown[b]);
  }
}

static int write_protected(const struct sim_efuse *e, int block) {
  int bit = e->at.block[block].write_protect;
  return bit >= 0 && bit < 32 && (e->cell[0][0] & e->at.wr_dis_mask) >> bit & 1;
}

static void program(struct sim_efuse *e, int block, const uint32_t *data) {
  if (block < 0 || block >= e->at.blocks || write_protected(e, block))
    return;
  for (int w = 0; w < e->at.block[block].words && w < SIM_EFUSE_PGM_WORDS; w++)
    e->cell[block][w] |= data[w];
}

static void command(struct sim_efuse *e, uint32_t value) {
  if (value & CMD_PROGRAM && e->conf == e->at.conf_write) {
    if (e->at.kind == SIM_EFUSE_ESP32)
      for (int b = e->at.blocks - 1; b >= 0;
           b--) /* protection bits sit in BLOCK0 and count from the next time on */
        program(e, b, e->to_write[b]);
    else
      program(e, (int)(value >> 2 & 0xF), e->pgm);
    e->burned++;
    e->save_failed |= sim_efuse_save(e) != 0;
  } else if (value & CMD_READ && e->conf == e->at.conf_read) {
    sim_efuse_load(e);
  }
}

static void begin(struct sim_efuse *e, uint32_t value) {
  command(e, value);
  e->busy = e->shows_busy ? value & (CMD_READ | CMD_PROGRAM) : 0;
}

/* The register behind an offset, or NULL. */
static uint32_t *named(struct sim_efuse *e, uint32_t offset, int *read_only) {
  uint32_t w;
  *read_only = 0;
  if (offset % 4)
    return NULL;
  for (int b = 0; b < e->at.blocks; b++) {
    w = (offset - e->at.block[b].read) / 4;
    if (offset >= e->at.block[b].read && w < (uint32_t)e->at.block[b].words) {
      *read_only = 1;
      return &e->shown[b][w];
    }
  }
  for (int b = 0; e->at.kind == SIM_EFUSE_ESP32 && b < e->at.blocks; b++) {
    w = (offset - e->at.block[b].write) / 4;
    if (offset >= e->at.block[b].write && w < (uint32_t)e->at.block[b].words)
      return &e->to_write[b][w];
  }
  w = (offset - e->at.pgm_data) / 4;
  if (e->at.kind == SIM_EFUSE_BLOCKED && offset >= e->at.pgm_data && w < SIM_EFUSE_PGM_WORDS - 1)
    return &e->pgm[w];
  if (e->at.kind != SIM_EFUSE_OTP && offset == e->at.conf)
    return &e->conf;
  return NULL;
}

int sim_efuse_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_efuse *e = ctx;
  int read_only;
  uint32_t *r = named(e, offset, &read_only);
  if (e->at.kind != SIM_EFUSE_OTP && (offset == e->at.cmd || offset == e->at.status))
    *value = offset == e->at.cmd ? e->busy : 0; /* every command is over at once, but seen under way */
  else if (r)
    *value = *r;
  else
    return 0;
  if (offset == e->at.cmd)
    e->busy = 0;
  return 1;
}

int sim_efuse_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_efuse *e = ctx;
  int read_only;
  uint32_t *r = named(e, offset, &read_only);
  if (e->at.kind != SIM_EFUSE_OTP && offset == e->at.cmd)
    begin(e, value);
  else if (r && !read_only)
    *r = value;
  else if (!r)
    return 0;
  return 1;
}
