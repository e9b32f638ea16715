/* inflate.c - a zlib stream (RFC 1950, RFC 1951) that arrives in pieces of any length.
 *
 * Every step takes at most 16 bits, so that 32 bits are enough to hold what has been read, and a step that
 * finds too few bits is taken again, from its start, when more has come. */
#include "stub.h"

enum { FAST = 9, LITERALS = 288, DISTANCES = 32, LENGTHS = 19, LONGEST = 15 };

/* A canonical Huffman code: codes up to FAST bits by table, longer ones by counting. */
struct code {
  uint16_t
      fast[(1 << FAST) + LONGEST + 1]; /* symbol << 4 | length, 0: longer, or none; behind it the counts */
  uint16_t symbol[LITERALS];           /* by code */
};

/* What comes next in the stream: a symbol of a code, or `need` bits. */
enum state {
  SYMBOL,
  DISTANCE,
  SYMBOL_LENGTHS,
  HEADER,
  BLOCK,
  STORED,
  STORED_CHECK,
  STORED_DATA,
  TABLE,
  CODE_LENGTHS,
  REPEAT,
  LENGTH_BITS,
  DISTANCE_BITS,
  TRAILER,
  TRAILER_REST,
  FINISHED
};

static struct {
  const uint8_t *in, *in_end;
  uint32_t hold, bits; /* read, not yet used; how many */
  enum state state;
  uint32_t need;
  uint32_t last, literals, distances, lengths, index, base;
  uint32_t length;
  uint32_t out, flushed; /* bytes unpacked, bytes passed on */
  uint32_t adler_a, adler_b;
} z;
static uint8_t length_of[LITERALS + DISTANCES];
static struct code literal, distance;

/* Makes a code from the lengths of its n symbols. Returns whether the lengths make sense. */
static int make_code(struct code *c, const uint8_t *lengths, uint32_t n) {
  uint32_t next[LONGEST + 1], at = 0, code = 0, left = 1, i, len;
  uint16_t *count = c->fast + (1 << FAST);
  for (i = 0; i < sizeof c->fast / 2; i++)
    c->fast[i] = 0;
  for (i = 0; i < n; i++)
    if (lengths[i])
      count[lengths[i]]++;
  for (len = 1; len <= LONGEST; len++) {
    next[len] = at;
    at += count[len];
    left <<= 1;
    if (count[len] > left)
      return 0;
    left -= count[len];
  }
  if (left && at > 1) /* only a code of a single symbol may be incomplete */
    return 0;
  for (i = 0; i < n; i++)
    if (lengths[i])
      c->symbol[next[lengths[i]]++] = (uint16_t)i;
  for (len = 1, at = 0; len <= FAST; len++, code <<= 1)
    for (i = count[len]; i; i--, code++, at++) {
      uint32_t reversed = 0, b;
      for (b = 0; b < len; b++)
        reversed = reversed << 1 | (code >> b & 1);
      for (; reversed < 1 << FAST; reversed += 1u << len)
        c->fast[reversed] = (uint16_t)(c->symbol[at] << 4 | len);
      io_poll();
    }
  return 1;
}

/* n bits, or -1 when there are not that many yet. */
static int take(uint32_t n) {
  while (z.bits <= 24 && z.in < z.in_end) {
    z.hold |= (uint32_t)*z.in++ << z.bits;
    z.bits += 8;
  }
  if (z.bits < n)
    return -1;
  int v = (int)(z.hold & ((1u << n) - 1));
  z.hold >>= n;
  z.bits -= n;
  return v;
}

/* A symbol; -1: too few bits yet; -2: no such code. */
static int decode(const struct code *c) {
  take(0);
  uint32_t entry = c->fast[z.hold & ((1 << FAST) - 1)];
  if (entry)
    return take(entry & 15) < 0 ? -1 : (int)(entry >> 4);
  uint32_t code = 0, first = 0, index = 0;
  for (uint32_t len = 1; len <= LONGEST; len++) {
    if (len > z.bits)
      return -1;
    code |= z.hold >> (len - 1) & 1;
    uint32_t count = c->fast[(1 << FAST) + len];
    if (code < first + count) {
      take(len);
      return c->symbol[index + (code - first)];
    }
    index += count;
    first = (first + count) << 1;
    code <<= 1;
  }
  return -2;
}

/* Passes on what has been unpacked since the last time; it does not reach over the window's end. */
static int pass_on(void) {
  const uint8_t *from = window + (z.flushed & (WINDOW - 1)), *p = from;
  uint32_t n = z.out - z.flushed, a = z.adler_a, b = z.adler_b;
  z.flushed = z.out;
  for (uint32_t i = n; i; i--) { /* both stay below 2 * 65521: no division needed */
    a += *p++;
    if (a >= 65521)
      a -= 65521;
    b += a;
    if (b >= 65521)
      b -= 65521;
  }
  z.adler_a = a;
  z.adler_b = b;
  return write_bytes(from, n);
}

static int put(uint32_t c) {
  window[z.out++ & (WINDOW - 1)] = (uint8_t)c;
  return (z.out & (PAGE - 1)) ? OK : pass_on();
}

static int go(enum state state, uint32_t need) {
  z.state = state;
  z.need = need;
  return OK;
}

static int block_or_end(void) {
  if (!z.last)
    return go(BLOCK, 3);
  take(z.bits & 7);
  return go(TRAILER, 16);
}

/* One step. OK, an error byte, or -1 for more input. */
static int step(void) {
  int got = z.state > SYMBOL_LENGTHS ? take(z.need) : decode(z.state == SYMBOL ? &literal : &distance);
  uint32_t v = (uint32_t)got, i, n;
  int err = OK;
  if (got < 0)
    return got == -1 ? -1 : INFLATE_FAILED;
  switch (z.state) {
  case HEADER: /* method 8, window up to 32 KiB, no dictionary; the two bytes, high one first, a multiple of
                  31 */
    for (n = (v & 0xFF) << 8 | v >> 8; n >= 31;)
      n -= 31;
    if ((v & 0x208F) != 8 || n)
      return INFLATE_FAILED;
    return go(BLOCK, 3);
  case BLOCK:
    z.last = v & 1;
    if (v >> 1 == 3)
      return INFLATE_FAILED;
    if (v >> 1 == 2)
      return go(TABLE, 14);
    if (v >> 1 == 0) {
      take(z.bits & 7);
      return go(STORED, 16);
    }
    for (i = 0; i < LITERALS + DISTANCES; i++)
      length_of[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < LITERALS ? 8 : 5;
    make_code(&literal, length_of, LITERALS);
    make_code(&distance, length_of + LITERALS, DISTANCES);
    return go(SYMBOL, 0);
  case STORED:
    z.length = v;
    return go(STORED_CHECK, 16);
  case STORED_CHECK:
    if ((v ^ z.length) != 0xFFFF)
      return INFLATE_FAILED;
    return z.length ? go(STORED_DATA, 8) : block_or_end();
  case STORED_DATA:
    if (!--z.length)
      block_or_end();
    return put(v);
  case TABLE:
    z.literals = (v & 31) + 257;
    z.distances = (v >> 5 & 31) + 1;
    z.lengths = (v >> 10) + 4;
    if (z.literals > 286 || z.distances > 30)
      return INFLATE_FAILED;
    for (i = 0; i < LENGTHS; i++)
      length_of[i] = 0;
    z.index = 0;
    return go(CODE_LENGTHS, 3);
  case CODE_LENGTHS: {
    static const uint8_t order[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    length_of[order[z.index++]] = (uint8_t)v;
    if (z.index < z.lengths)
      return OK;
    z.index = 0;
    return make_code(&distance, length_of, LENGTHS) ? go(SYMBOL_LENGTHS, 0) : INFLATE_FAILED;
  }
  case SYMBOL_LENGTHS:
    if (v > 15) {
      z.base = v;
      return go(REPEAT, v == 16 ? 2 : v == 17 ? 3 : 7);
    }
    n = 1;
    goto lengths;
  case REPEAT:
    n = v + (z.base == 18 ? 11 : 3);
    v = 0;
    if (z.base == 16) {
      if (!z.index)
        return INFLATE_FAILED;
      v = length_of[z.index - 1];
    }
  lengths:
    if (n > z.literals + z.distances - z.index)
      return INFLATE_FAILED;
    while (n--)
      length_of[z.index++] = (uint8_t)v;
    if (z.index < z.literals + z.distances)
      return go(SYMBOL_LENGTHS, 0);
    if (!length_of[256] || !make_code(&literal, length_of, z.literals) ||
        !make_code(&distance, length_of + z.literals, z.distances))
      return INFLATE_FAILED;
    return go(SYMBOL, 0);
  case SYMBOL:
    if (v < 256)
      return put(v);
    if (v == 256)
      return block_or_end();
    v -= 257;
    if (v > 28)
      return INFLATE_FAILED;
    /* groups of four lengths, each twice as far apart as the one before; but the last code is 258 alone */
    n = v < 8 || v == 28 ? 0 : (v >> 2) - 1;
    z.base = v == 28 ? 258 : n ? ((4 + (v & 3)) << n) + 3 : v + 3;
    return go(LENGTH_BITS, n);
  case LENGTH_BITS:
    z.length = z.base + v;
    return go(DISTANCE, 0);
  case DISTANCE: /* likewise in groups of two */
    if (v > 29)
      return INFLATE_FAILED;
    n = v < 4 ? 0 : (v >> 1) - 1;
    z.base = n ? ((2 + (v & 1)) << n) + 1 : v + 1;
    return go(DISTANCE_BITS, n);
  case DISTANCE_BITS:
    v += z.base;
    if (v > z.out)
      return INFLATE_FAILED;
    io_poll();
    for (n = z.length; n && !err; n--)
      err = put(window[(z.out - v) & (WINDOW - 1)]);
    z.state = SYMBOL;
    return err;
  case TRAILER: /* Adler-32, high byte first */
    z.base = v;
    return go(TRAILER_REST, 16);
  case TRAILER_REST:
    err = pass_on();
    if (!err && (z.base != (z.adler_b >> 8 | (z.adler_b & 0xFF) << 8) ||
                 v != (z.adler_a >> 8 | (z.adler_a & 0xFF) << 8)))
      err = INFLATE_FAILED;
    go(FINISHED, 8);
    return err;
  default:
    return TOO_MUCH_DATA;
  }
}

void inflate_begin(void) {
  z.hold = z.bits = z.last = 0;
  z.out = z.flushed = 0;
  z.adler_a = 1;
  z.adler_b = 0;
  go(HEADER, 16);
}

int inflate_data(const uint8_t *p, uint32_t n) {
  int err;
  z.in = p;
  z.in_end = p + n;
  while ((err = step()) == OK)
    ;
  return err < 0 ? OK : err;
}

int inflate_finished(void) {
  return z.state == FINISHED || !z.out; /* when nothing has come out, what is missing tells */
}
