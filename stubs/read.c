/* read.c - answers that are many frames: flash content, plain or packed, and digests. */
#include "stub.h"

enum { HASH_BITS = 10, SHORTEST = 4, STEP = 4096, PER_FRAME = 64 };

/* While a long answer goes out the host sends frames of four bytes: how much of it has arrived. Returns
 * whether the answer is to go on. Any other frame ends it and is handled as usual; a broken one is taken for
 * no frame at all. */
static int acknowledged(uint32_t *bytes) {
  int n = io_frame();
  if (n == 4)
    *bytes = frame_words[0];
  else if (n > 0)
    io_keep(n);
  return n <= 0 || n == 4;
}

/* A length of which `nibble` stands in the token: what is beyond 15 follows in bytes of up to 255. */
static void more(uint32_t n) {
  if (n < 15)
    return;
  for (n -= 15; n >= 255; n -= 255)
    io_put(255);
  io_put((uint8_t)n);
}

static uint32_t nibble(uint32_t n) {
  return n < 15 ? n : 15;
}

static void literals(const uint8_t *p, uint32_t n, uint32_t match) {
  io_put((uint8_t)(nibble(n) << 4 | nibble(match)));
  more(n);
  io_bytes(p, n);
}

/* Sends n bytes packed, in the LZ4 block format (lz4_Block_format.md of the lz4 project). */
__attribute__((noinline)) static void put_packed(const uint8_t *p, uint32_t n) {
  static uint16_t seen[1 << HASH_BITS];
  uint32_t at = 0, from = 0;
  for (uint32_t i = 0; i < 1 << HASH_BITS; i++)
    seen[i] = 0;
  while (at + 12 < n) { /* the format wants the last match to begin 12 bytes before the end */
    uint32_t word = get32(p + at), h = (word * 2654435761u) >> (32 - HASH_BITS);
    uint32_t old = seen[h];
    seen[h] = (uint16_t)at;
    if ((at & 63) == 0)
      io_poll();
    if (old >= at || get32(p + old) != word) {
      at++;
      continue;
    }
    uint32_t length = SHORTEST;
    while (at + length < n - 5 && p[old + length] == p[at + length]) /* and the last five to be literals */
      length++;
    literals(p + from, at - from, length - SHORTEST);
    io_put((uint8_t)(at - old));
    io_put((uint8_t)((at - old) >> 8));
    more(length - SHORTEST);
    at += length;
    from = at;
  }
  literals(p + from, n - from, 0);
}

static void put_frame(const uint8_t *p, uint32_t n) {
  io_open();
  io_bytes(p, n);
  io_close();
}

void read_flash(uint32_t address, uint32_t size, uint32_t packet, uint32_t in_flight, int packed) {
  struct md5 sum;
  uint32_t digest[4];
  uint32_t sent = 0, arrived = 0, most = in_flight * packet;
  if (!packed && most > STEP) /* hosts of the public protocol ask for much and can take little at a time */
    most = packet > STEP ? packet : STEP;
  md5_begin(&sum);
  while (arrived < size) {
    if (sent < size && sent - arrived < most) {
      uint32_t n = size - sent < packet ? size - sent : packet;
      if (flash_read(address + sent, window, n))
        return; /* the host sees a read that stops */
      md5_add(&sum, window, n);
      if (packed) { /* where it belongs and a digest, so that a damaged frame is noticed */
        io_open();
        io_word(address + sent);
        io_word(crc_add(0, window, n));
        put_packed(window, n);
        io_close();
      } else {
        put_frame(window, n);
      }
      sent += n;
    }
    if (!acknowledged(&arrived) || arrived > sent)
      return; /* the host has given this read up */
  }
  md5_end(&sum, digest);
  put_frame((const uint8_t *)digest, 16);
}

int read_md5(uint32_t address, uint32_t size, uint32_t out[4]) {
  struct md5 sum;
  uint32_t words[CHUNK / 4], n = 0;
  int err = flash_ready();
  md5_begin(&sum);
  while (!err && (size || n)) { /* the next bytes come while these are digested */
    uint32_t part = size < CHUNK ? size : CHUNK, have = n;
    if (have) {
      err = flash_ready();
      flash_take(words);
    }
    n = part;
    if (part)
      flash_fetch(address, part);
    address += part;
    size -= part;
    md5_add(&sum, (const uint8_t *)words, have);
  }
  md5_end(&sum, out);
  return err;
}

/* Frames of up to 64 digests, each the first 8 bytes of a unit's MD5. A frame begins with the address of its
 * first unit and ends with the CRC-32 of all that is before it. */
void read_digests(uint32_t address, uint32_t size, uint32_t unit) {
  static uint32_t words[2 * PER_FRAME + 6];
  while (size) {
    uint32_t n = 1;
    words[0] = address;
    while (n < 1 + 2 * PER_FRAME && size) {
      uint32_t part = size < unit ? size : unit;
      if (read_md5(address, part, words + n)) /* four words, of which the next covers two */
        return;
      n += 2;
      address += part;
      size -= part;
    }
    words[n] = crc_add(0, (const uint8_t *)words, 4 * n);
    put_frame((const uint8_t *)words, 4 * n + 4);
  }
}
