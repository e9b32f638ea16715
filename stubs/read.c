/* read.c - answers that are many frames: flash content, plain or packed, and digests. That the flash answers
 * and is not busy has been seen before (flash_check). */
#include "stub.h"

enum { HASH_BITS = 10, SHORTEST = 4, STEP = 4096, PER_FRAME = 64, HALF = WINDOW / 2 };

/* What is being read, into one half of the window: while a packet goes out of one half the next is read into
 * the other. */
static struct {
  uint32_t at, left; /* what comes next; how much of the packet, or whatever it is, is missing */
  uint32_t fetched;  /* bytes on their way */
  uint32_t offset, half;
  uint32_t crc; /* of the packet, if it is PACKED */
  int kind;
  struct md5 sum; /* PLAIN: of everything; MIXED: only its first two words */
} r;
enum { PLAIN, PACKED, MIXED };

static void packet_begin(uint32_t n) {
  r.left = n;
  r.crc = r.offset = 0;
  r.half ^= HALF;
}

static void read_begin(uint32_t address, uint32_t n, int kind) {
#ifdef NAND_SPI
  nand_begin();
#endif
  md5_begin(&r.sum);
  r.kind = kind;
  r.at = address;
  packet_begin(n);
}

/* Takes what has come, lets the next bytes come, and adds it up meanwhile. Returns whether there is more. */
int read_pump(void) {
  uint8_t *p = window + r.half + (r.offset & (HALF - 1));
  uint32_t n = r.fetched;
  if (flash_busy())
    return 1;
  if (n)
    flash_take((uint32_t *)(void *)p);
  r.fetched = r.left < CHUNK ? r.left : CHUNK;
  if (r.fetched)
    flash_fetch(r.at, r.fetched);
  r.at += r.fetched;
  r.left -= r.fetched;
  r.offset += n;
  if (r.kind == PACKED)
    r.crc = crc_add(r.crc, p, n);
  else if (r.kind == MIXED)
    mix_add(r.sum.state, p, n);
  else
    md5_add(&r.sum, p, n);
  return r.fetched != 0;
}

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

/* Sends n bytes packed, in the LZ4 block format (lz4_Block_format.md of the lz4 project). What `seen` knows
 * of an earlier packet does no harm: it is looked up. */
__attribute__((noinline)) static void put_packed(const uint8_t *p, uint32_t n) {
  static uint16_t seen[1 << HASH_BITS];
  uint32_t at = 0, from = 0, word = get32(p);
  while (at + 12 < n) { /* the format wants the last match to begin 12 bytes before the end */
    uint32_t h = (word * 2654435761u) >> (32 - HASH_BITS);
    uint32_t old = seen[h];
    seen[h] = (uint16_t)at;
    if ((at & 63) == 0)
      io_poll();
    if (old >= at || get32(p + old) != word) {
      word = word >> 8 | (uint32_t)p[at++ + 4] << 24;
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
    word = get32(p + at);
  }
  literals(p + from, n - from, 0);
}

static void put_frame(const uint8_t *p, uint32_t n) {
  io_open();
  io_bytes(p, n);
  io_close();
}

void read_flash(uint32_t address, uint32_t size, uint32_t packet, uint32_t in_flight, int packed) {
  uint32_t digest[4], sent = 0, arrived = 0, most = in_flight * packet;
  if (!packed && most > STEP) /* hosts of the public protocol ask for much and can take little at a time */
    most = packet > STEP ? packet : STEP;
  read_begin(address, size < packet ? size : packet, packed);
  while (arrived < size) {
    if (sent < size && sent - arrived < most) {
      while (read_pump())
        io_poll();
#ifdef NAND_SPI
      if (nand_lost())
        break; /* the host has asked before whether all can be read: it takes this for a fault of the line */
#endif
      const uint8_t *p = window + r.half;
      uint32_t n = r.offset, crc = r.crc;
      sent += n;
      packet_begin(size - sent < packet ? size - sent : packet);
      if (packed) { /* where it belongs and a digest, so that a damaged frame is noticed */
        io_open();
        io_word(address + sent - n);
        io_word(crc);
        put_packed(p, n);
        io_close();
      } else {
        put_frame(p, n);
      }
    }
    if (!acknowledged(&arrived) || arrived > sent)
      break; /* the host has given this read up */
  }
  while (read_pump()) /* what is on its way */
    r.left = 0;
  if (arrived != size)
    return;
  md5_end(&r.sum, digest); /* packed: that of nothing, each packet had its own */
  put_frame((const uint8_t *)digest, 16);
}

static void read_all(uint32_t address, uint32_t size, int kind) {
  flash_try(address);
  read_begin(address, size, kind);
  while (read_pump())
    io_poll();
}

void read_md5(uint32_t address, uint32_t size, uint32_t out[4]) {
  read_all(address, size, PLAIN);
  md5_end(&r.sum, out);
}

/* Frames of up to 64 digests, each the two words that mix_add makes of a unit. A frame begins with the
 * address of its first unit and ends with the CRC-32 of all that is before it. */
void read_digests(uint32_t address, uint32_t size, uint32_t unit) {
  static uint32_t words[2 * PER_FRAME + 2];
  while (size) {
    uint32_t n = 1;
    words[0] = address;
    while (n < 1 + 2 * PER_FRAME && size) {
      uint32_t part = size < unit ? size : unit;
      read_all(address, part, MIXED);
      if (READ_RESULT)
        return;
      words[n++] = r.sum.state[0];
      words[n++] = r.sum.state[1];
      address += part;
      size -= part;
    }
    words[n] = crc_add(0, (const uint8_t *)words, 4 * n);
    put_frame((const uint8_t *)words, 4 * n + 4);
  }
}
