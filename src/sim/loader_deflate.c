/* loader_deflate.c - DEFL_BEGIN, DEFL_DATA, DEFL_END: a zlib stream that is written in windows of 32 KiB. */
#include "sim/chip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static int start_stream(struct sim_loader *l) {
  if (!l->window)
    l->window = calloc(1, SIM_WINDOW);
  if (l->inflate) {
    l->inflate_ended = 0;
    l->window_len = 0;
    return l->window && inflateReset(l->inflate) == Z_OK ? 0 : -1;
  }
  z_stream *z = calloc(1, sizeof *z);
  if (!l->window || !z || inflateInit(z) != Z_OK) {
    free(z);
    return -1;
  }
  l->inflate = z;
  l->inflate_ended = 0;
  l->window_len = 0;
  return 0;
}

static int defl_begin(struct sim_chip *c, const uint8_t *body, size_t n) {
  struct sim_loader *l = &c->loader;
  size_t want = c->config.rom.encrypted_word ? 20 : 16;
  if (n != want || sim_word(body, 2) > c->config.rom.ram_block)
    return SIM_ERR_FORMAT;
  if (n > 16 && sim_word(body, 4))
    return SIM_ERR_REFUSED; /* no encryption of compressed data */
  l->defl = (struct sim_download){.total = sim_word(body, 0),
                                  .blocks = sim_word(body, 1),
                                  .block_size = sim_word(body, 2),
                                  .addr = sim_word(body, 3)};
  if (start_stream(l) != 0)
    return SIM_ERR_RESULT;
  return sim_loader_erase(c, l->defl.addr, l->defl.total);
}

static void flush_window(struct sim_chip *c, uint32_t n) {
  sim_loader_program(c, c->loader.defl.addr, c->loader.window, n);
  c->loader.defl.addr += SIM_WINDOW;
  c->loader.window_len = 0;
}

static int zlib_error(const z_stream *z, int code) {
  if (code == Z_BUF_ERROR)
    return SIM_OK; /* wants more input */
  if (code == Z_DATA_ERROR && z->msg && strcmp(z->msg, "incorrect data check") == 0)
    return SIM_ERR_ADLER;
  return SIM_ERR_DEFLATE;
}

/* The last block was not the end of the stream: the ROM's inflater goes on with zeros, until that is wrong.
 */
static int starve(z_stream *z) {
  static const Bytef zeros[64];
  Bytef out[512];
  if (inflateMark(z) & 0xFFFF) /* but not in the middle of a stored block, whose bytes are copied */
    return SIM_ERR_DEFLATE;
  for (int i = 0; i < 4096; i++) {
    z->next_in = (Bytef *)zeros;
    z->avail_in = sizeof zeros;
    z->next_out = out;
    z->avail_out = sizeof out;
    int code = inflate(z, Z_NO_FLUSH);
    if (code != Z_OK && zlib_error(z, code) != SIM_OK)
      return zlib_error(z, code);
    if (code == Z_STREAM_END)
      return SIM_ERR_ADLER;
  }
  return SIM_ERR_DEFLATE;
}

static int inflate_block(struct sim_chip *c, const uint8_t *data, uint32_t len, int last) {
  struct sim_loader *l = &c->loader;
  z_stream *z = l->inflate;
  z->next_in = (Bytef *)data;
  z->avail_in = len;
  for (;;) {
    if (l->inflate_ended && z->avail_in > 0) {
      l->hang = 1; /* the ROM goes round for ever on bytes behind the end of the stream */
      return SIM_OK;
    }
    z->next_out = l->window + l->window_len;
    z->avail_out = SIM_WINDOW - l->window_len;
    int code = l->inflate_ended ? Z_STREAM_END : inflate(z, Z_NO_FLUSH);
    l->window_len = SIM_WINDOW - z->avail_out;
    if (code == Z_STREAM_END)
      l->inflate_ended = 1;
    else if (code != Z_OK && zlib_error(z, code) != SIM_OK)
      return zlib_error(z, code);
    int full = l->window_len == SIM_WINDOW;
    if (full)
      flush_window(c, SIM_WINDOW);
    if (!full && z->avail_in == 0)
      break;
  }
  if (last && !l->inflate_ended)
    return starve(z);
  if (last) /* whole words: behind the data stands what an earlier stream left there */
    flush_window(c, c->config.rom.whole_window ? SIM_WINDOW : (l->window_len + 3) & ~3u);
  return SIM_OK;
}

static int defl_data(struct sim_chip *c, const uint8_t *body, size_t n, uint8_t checksum) {
  struct sim_loader *l = &c->loader;
  struct sim_download *d = &l->defl;
  uint32_t len = sim_word(body, 0);
  if (!l->inflate || n > c->config.rom.ram_block + 16 || sim_word(body, 1) != d->seq || len > d->block_size)
    return SIM_ERR_FORMAT;
  d->seq++; /* also when the checksum turns out wrong */
  if (sim_checksum(body + 16, len) != checksum)
    return SIM_ERR_CHECKSUM;
  d->received += len;
  return inflate_block(c, body + 16, len, d->seq == d->blocks);
}

int sim_cmd_deflate(struct sim_chip *c, uint8_t op, const uint8_t *body, size_t n, uint8_t checksum) {
  if (op == SIM_OP_DEFL_BEGIN)
    return defl_begin(c, body, n);
  if (op == SIM_OP_DEFL_DATA)
    return defl_data(c, body, n, checksum);
  /* Unlike FLASH_END it leaves the loader only to restart. */
  if (c->loader.defl.seq != c->loader.defl.blocks)
    return SIM_ERR_RESULT;
  if (body[0] == 0 || c->loader.secure)
    c->loader.restart = 1, c->loader.error = 0;
  return SIM_OK;
}
