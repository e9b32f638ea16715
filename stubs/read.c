/* read.c - answers that are many frames: flash content, plain or packed, and digests. */
#include "stub.h"

enum { HASH_BITS = 10, SHORTEST = 4, STEP = 1024 };

/* While a long answer goes out the host sends frames of four bytes: how much of it has arrived. Returns 1 for
 * such a frame, 0 for none yet, -1 for anything else, which ends the answer. */
static int acknowledged(uint32_t *bytes) {
  int n = io_frame();
  if (n == 0)
    return 0;
  if (n != 4)
    return -1;
  *bytes = get32(frame);
  return 1;
}

static void literals(const uint8_t *p, uint32_t n, uint32_t match) {
  uint32_t low = match >= 15 ? 15 : match, rest;
  io_put((uint8_t)((n >= 15 ? 15 : n) << 4 | low));
  if (n >= 15) {
    for (rest = n - 15; rest >= 255; rest -= 255)
      io_put(255);
    io_put((uint8_t)rest);
  }
  io_bytes(p, n);
}

/* Sends n bytes packed, in the LZ4 block format (lz4_Block_format.md of the lz4 project). */
static void put_packed(const uint8_t *p, uint32_t n) {
  static uint16_t seen[1 << HASH_BITS];
  uint32_t at = 0, from = 0;
  for (uint32_t i = 0; i < 1 << HASH_BITS; i++)
    seen[i] = 0;
  while (n > 12 && at < n - 12) { /* the format wants the last match to begin 12 bytes before the end */
    uint32_t word = get32(p + at), h = (word * 2654435761u) >> (32 - HASH_BITS);
    uint32_t old = seen[h];
    seen[h] = (uint16_t)at;
    if (old >= at || get32(p + old) != word) {
      at++;
      continue;
    }
    uint32_t length = SHORTEST;
    while (at + length < n - 5 && p[old + length] == p[at + length]) /* and the last five to be literals */
      length++;
    uint32_t match = length - SHORTEST;
    literals(p + from, at - from, match);
    io_put((uint8_t)(at - old));
    io_put((uint8_t)((at - old) >> 8));
    if (match >= 15) {
      for (match -= 15; match >= 255; match -= 255)
        io_put(255);
      io_put((uint8_t)match);
    }
    at += length;
    from = at;
    io_poll();
  }
  literals(p + from, n - from, 0);
}

int read_flash(uint32_t address, uint32_t size, uint32_t packet, uint32_t in_flight, int packed) {
  struct md5 sum, part;
  uint8_t digest[16];
  uint32_t sent = 0, arrived = 0;
  md5_begin(&sum);
  while (arrived < size) {
    if (sent < size && sent - arrived < in_flight * packet) {
      uint32_t n = size - sent < packet ? size - sent : packet;
      if (flash_read(address + sent, window, n))
        return FLASH_FAILED;
      md5_add(&sum, window, n);
      io_open();
      if (packed) { /* where it belongs and the start of its digest, so that a damaged frame is noticed */
        md5_begin(&part);
        md5_add(&part, window, n);
        md5_end(&part, digest);
        io_word(sent);
        io_bytes(digest, 4);
        put_packed(window, n);
      } else {
        io_bytes(window, n);
      }
      io_close();
      sent += n;
    }
    int r = acknowledged(&arrived);
    if (r < 0 || arrived > sent)
      return OK; /* the host has given up this read; what it sent is lost, and asked again */
  }
  md5_end(&sum, digest);
  io_open();
  io_bytes(digest, 16);
  io_close();
  return OK;
}

int read_md5(uint32_t address, uint32_t size, uint8_t out[16]) {
  struct md5 sum;
  md5_begin(&sum);
  while (size) {
    uint32_t n = size < STEP ? size : STEP;
    int err = flash_read(address, window, n);
    if (err)
      return err;
    md5_add(&sum, window, n);
    address += n;
    size -= n;
  }
  md5_end(&sum, out);
  return OK;
}

/* Frames of up to 64 digests, the first 8 bytes of each sector's MD5, each frame led by the index of its first. */
int read_digests(uint32_t address, uint32_t size) {
  uint8_t digest[16];
  uint32_t index = 0;
  while (size) {
    io_open();
    io_word(index);
    for (int i = 0; i < 64 && size; i++, index++) {
      uint32_t n = size < SECTOR ? size : SECTOR;
      if (read_md5(address, n, digest))
        return FLASH_FAILED; /* the frame stays short: the host sees that */
      io_bytes(digest, 8);
      address += n;
      size -= n;
    }
    io_close();
  }
  return OK;
}
