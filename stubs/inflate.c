/* inflate.c - a zlib stream (RFC 1950, RFC 1951) that arrives in pieces of any length.
 *
 * Every step takes at most 15 bits, so that 32 bits are enough to hold what has been read, and a step that finds
 * too few bits is taken again, from its start, when more has come. */
#include "stub.h"

enum { FAST = 9, LITERALS = 288, DISTANCES = 32, LENGTHS = 19, LONGEST = 15 };

/* A canonical Huffman code: codes up to FAST bits by table, longer ones by counting. */
struct code {
  uint16_t fast[1 << FAST];     /* symbol << 4 | length; 0: longer, or none */
  uint16_t count[LONGEST + 1];
  uint16_t symbol[LITERALS];    /* by code */
};

enum state { HEADER, BLOCK, STORED, STORED_DATA, TABLE, CODE_LENGTHS, SYMBOL_LENGTHS, REPEAT, SYMBOL, LENGTH_BITS,
             DISTANCE, DISTANCE_BITS, TRAILER, FINISHED };

static struct {
  const uint8_t *in, *in_end;
  uint32_t hold, bits;         /* read, not yet used; how many */
  enum state state;
  int last;
  uint32_t stored, literals, distances, lengths, index, repeat_symbol;
  uint32_t length, distance_symbol;
  uint32_t out, flushed;       /* bytes unpacked, bytes passed on */
  uint32_t adler_a, adler_b;
  uint8_t length_of[LITERALS + DISTANCES];
} z;
static struct code literal, distance;
uint8_t window[WINDOW];

static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                         31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t distance_base[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                           193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
static const uint8_t length_order[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

/* Makes a code from the lengths of its n symbols. Returns whether the lengths make sense. */
static int make_code(struct code *c, const uint8_t *lengths, uint32_t n) {
  uint16_t first[LONGEST + 2];
  uint32_t used = 0;
  for (uint32_t i = 0; i <= LONGEST; i++)
    c->count[i] = 0;
  for (uint32_t i = 0; i < n; i++)
    c->count[lengths[i]]++;
  c->count[0] = 0;
  int left = 1;
  first[1] = 0;
  for (uint32_t len = 1; len <= LONGEST; len++) {
    left = (left << 1) - c->count[len];
    if (left < 0)
      return 0;
    used += c->count[len];
    first[len + 1] = (uint16_t)(first[len] + c->count[len]);
  }
  if (left > 0 && used > 1) /* only a code of a single symbol may be incomplete */
    return 0;
  for (uint32_t i = 0; i < n; i++)
    if (lengths[i])
      c->symbol[first[lengths[i]]++] = (uint16_t)i;
  for (uint32_t i = 0; i < 1 << FAST; i++)
    c->fast[i] = 0;
  uint32_t code = 0, at = 0;
  for (uint32_t len = 1; len <= FAST; len++, code <<= 1)
    for (uint32_t k = c->count[len]; k; k--, code++, at++) {
      uint32_t reversed = 0;
      for (uint32_t b = 0; b < len; b++)
        reversed |= (code >> b & 1) << (len - 1 - b);
      for (; reversed < 1 << FAST; reversed += 1u << len)
        c->fast[reversed] = (uint16_t)(c->symbol[at] << 4 | len);
    }
  return 1;
}

static void fill(void) {
  while (z.bits <= 24 && z.in < z.in_end) {
    z.hold |= (uint32_t)*z.in++ << z.bits;
    z.bits += 8;
  }
}

/* n bits, or -1 when there are not that many yet. */
static int take(uint32_t n) {
  fill();
  if (z.bits < n)
    return -1;
  int v = (int)(z.hold & ((1u << n) - 1));
  z.hold >>= n;
  z.bits -= n;
  return v;
}

/* A symbol; -1: too few bits yet; -2: no such code. */
static int decode(const struct code *c) {
  fill();
  uint32_t entry = c->fast[z.hold & ((1 << FAST) - 1)];
  if (entry) {
    if ((entry & 15) > z.bits)
      return -1;
    z.hold >>= entry & 15;
    z.bits -= entry & 15;
    return (int)(entry >> 4);
  }
  int code = 0, first = 0, index = 0;
  for (uint32_t len = 1; len <= LONGEST; len++) {
    if (len > z.bits)
      return -1;
    code |= (int)(z.hold >> (len - 1) & 1);
    int count = c->count[len];
    if (code - count < first) {
      z.hold >>= len;
      z.bits -= len;
      return c->symbol[index + (code - first)];
    }
    index += count;
    first = (first + count) << 1;
    code <<= 1;
  }
  return -2;
}

static void adler(const uint8_t *p, uint32_t n) {
  uint32_t a = z.adler_a, b = z.adler_b;
  while (n--) { /* both stay below 2 * 65521: no division needed */
    a += *p++;
    if (a >= 65521)
      a -= 65521;
    b += a;
    if (b >= 65521)
      b -= 65521;
  }
  z.adler_a = a;
  z.adler_b = b;
}

/* Passes on what has been unpacked since the last time. */
static int flush(void) {
  uint32_t from = z.flushed & (WINDOW - 1), n = z.out - z.flushed;
  uint32_t first = WINDOW - from < n ? WINDOW - from : n;
  z.flushed = z.out;
  adler(window + from, first);
  int err = write_bytes(window + from, first);
  if (!err && n > first) {
    adler(window, n - first);
    err = write_bytes(window, n - first);
  }
  return err;
}

static int put(uint8_t c) {
  window[z.out++ & (WINDOW - 1)] = c;
  return (z.out & (PAGE - 1)) ? OK : flush();
}

static int copy(uint32_t distance, uint32_t length) {
  int err = OK;
  if (distance > z.out)
    return INFLATE_FAILED;
  io_poll();
  while (length-- && !err)
    err = put(window[(z.out - distance) & (WINDOW - 1)]);
  return err;
}

static void fixed_codes(void) {
  for (uint32_t i = 0; i < LITERALS; i++)
    z.length_of[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  make_code(&literal, z.length_of, LITERALS);
  for (uint32_t i = 0; i < DISTANCES; i++)
    z.length_of[i] = 5;
  make_code(&distance, z.length_of, DISTANCES);
}

/* One step. OK, an error byte, or -1 for more input. */
static int step(void) {
  int v, err;
  switch (z.state) {
  case HEADER:
    if ((v = take(8)) < 0)
      return -1;
    z.index = z.index << 8 | (uint32_t)v;
    if (++z.length < 2)
      return OK;
    /* method 8, window up to 32 KiB, no dictionary, and the 16 bits a multiple of 31 */
    uint32_t rest = z.index;
    while (rest >= 31 << 11)
      rest -= 31 << 11;
    while (rest >= 31)
      rest -= 31;
    if ((z.index >> 8 & 15) != 8 || (z.index >> 12) > 7 || (z.index & 0x20) || rest)
      return INFLATE_FAILED;
    z.state = BLOCK;
    return OK;
  case BLOCK:
    if (z.last) {
      z.hold >>= z.bits & 7;
      z.bits &= ~7u;
      z.index = z.length = 0;
      z.state = TRAILER;
      return OK;
    }
    if ((v = take(3)) < 0)
      return -1;
    z.last = v & 1;
    z.index = 0;
    if (v >> 1 == 3)
      return INFLATE_FAILED;
    if (v >> 1 == 1)
      fixed_codes();
    if (v >> 1 == 0) {
      z.hold >>= z.bits & 7;
      z.bits &= ~7u;
    }
    z.state = v >> 1 == 0 ? STORED : v >> 1 == 1 ? SYMBOL : TABLE;
    return OK;
  case STORED: /* length and its complement, a byte at a time */
    if ((v = take(8)) < 0)
      return -1;
    z.stored = z.stored >> 8 | (uint32_t)v << 24;
    if (++z.index < 4)
      return OK;
    if ((z.stored & 0xFFFF) != (~z.stored >> 16))
      return INFLATE_FAILED;
    z.stored &= 0xFFFF;
    z.state = z.stored ? STORED_DATA : BLOCK;
    return OK;
  case STORED_DATA:
    if ((v = take(8)) < 0)
      return -1;
    if (!--z.stored)
      z.state = BLOCK;
    return put((uint8_t)v);
  case TABLE:
    if ((v = take(14)) < 0)
      return -1;
    z.literals = (uint32_t)(v & 31) + 257;
    z.distances = (uint32_t)(v >> 5 & 31) + 1;
    z.lengths = (uint32_t)(v >> 10) + 4;
    if (z.literals > 286 || z.distances > 30)
      return INFLATE_FAILED;
    for (uint32_t i = 0; i < LENGTHS; i++)
      z.length_of[i] = 0;
    z.index = 0;
    z.state = CODE_LENGTHS;
    return OK;
  case CODE_LENGTHS:
    if ((v = take(3)) < 0)
      return -1;
    z.length_of[length_order[z.index++]] = (uint8_t)v;
    if (z.index < z.lengths)
      return OK;
    if (!make_code(&distance, z.length_of, LENGTHS))
      return INFLATE_FAILED;
    z.index = 0;
    z.state = SYMBOL_LENGTHS;
    return OK;
  case SYMBOL_LENGTHS:
    if (z.index == z.literals + z.distances) {
      if (!z.length_of[256] || !make_code(&literal, z.length_of, z.literals) ||
          !make_code(&distance, z.length_of + z.literals, z.distances))
        return INFLATE_FAILED;
      z.state = SYMBOL;
      return OK;
    }
    if ((v = decode(&distance)) < 0)
      return v == -1 ? -1 : INFLATE_FAILED;
    if (v < 16) {
      z.length_of[z.index++] = (uint8_t)v;
      return OK;
    }
    z.repeat_symbol = (uint32_t)v;
    z.state = REPEAT;
    return OK;
  case REPEAT: {
    if ((v = take(z.repeat_symbol == 16 ? 2 : z.repeat_symbol == 17 ? 3 : 7)) < 0)
      return -1;
    uint32_t n = (uint32_t)v + (z.repeat_symbol == 18 ? 11 : 3);
    if (n > z.literals + z.distances - z.index || (z.repeat_symbol == 16 && z.index == 0))
      return INFLATE_FAILED;
    uint8_t length = z.repeat_symbol == 16 ? z.length_of[z.index - 1] : 0;
    while (n--)
      z.length_of[z.index++] = length;
    z.state = SYMBOL_LENGTHS;
    return OK;
  }
  case SYMBOL:
    if ((v = decode(&literal)) < 0)
      return v == -1 ? -1 : INFLATE_FAILED;
    if (v < 256)
      return put((uint8_t)v);
    if (v == 256) {
      z.state = BLOCK;
      return OK;
    }
    if (v > 285)
      return INFLATE_FAILED;
    z.length = (uint32_t)v - 257;
    z.state = LENGTH_BITS;
    return OK;
  case LENGTH_BITS:
    if ((v = take(length_extra[z.length])) < 0)
      return -1;
    z.length = length_base[z.length] + (uint32_t)v;
    z.state = DISTANCE;
    return OK;
  case DISTANCE:
    if ((v = decode(&distance)) < 0)
      return v == -1 ? -1 : INFLATE_FAILED;
    if (v > 29)
      return INFLATE_FAILED;
    z.distance_symbol = (uint32_t)v;
    z.state = DISTANCE_BITS;
    return OK;
  case DISTANCE_BITS:
    if ((v = take(z.distance_symbol < 4 ? 0 : (z.distance_symbol >> 1) - 1)) < 0)
      return -1;
    z.state = SYMBOL;
    return copy(distance_base[z.distance_symbol] + (uint32_t)v, z.length);
  case TRAILER:
    if ((v = take(8)) < 0)
      return -1;
    z.index = z.index << 8 | (uint32_t)v;
    if (++z.length < 4)
      return OK;
    err = flush();
    z.state = FINISHED;
    return err ? err : z.index == (z.adler_b << 16 | z.adler_a) ? OK : INFLATE_FAILED;
  default:
    return z.in < z.in_end ? TOO_MUCH_DATA : -1;
  }
}

void inflate_begin(void) {
  z.hold = z.bits = 0;
  z.state = HEADER;
  z.last = 0;
  z.index = z.length = 0;
  z.out = z.flushed = 0;
  z.adler_a = 1;
  z.adler_b = 0;
}

int inflate_data(const uint8_t *p, uint32_t n) {
  z.in = p;
  z.in_end = p + n;
  int err;
  while ((err = step()) == OK)
    ;
  return err < 0 ? OK : err;
}

int inflate_finished(void) {
  return z.state == FINISHED;
}
