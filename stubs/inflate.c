/* inflate.c - a zlib stream (RFC 1950, RFC 1951) that arrives in pieces of any length.
 *
 * What is unpacked goes into the window at its address. Every step takes at most 16 bits, so that 32 bits are
 * enough to hold what has been read, and a step that finds too few bits is taken again, from its start, when
 * more has come. */
#include "stub.h"

enum { TOLD = 4, FAST = 9, LITERALS = 288, DISTANCES = 32, LENGTHS = 19, LONGEST = 15 };

/* A canonical Huffman code: codes up to FAST bits by table, longer ones by counting. */
struct code {
  uint16_t
      fast[(1 << FAST) + LONGEST + 1]; /* symbol << 4 | length, 0: longer, or none; behind it the counts */
  uint16_t symbol[LITERALS];           /* by code */
};

/* What comes next in the stream: symbols, a symbol of the code of lengths, or `need` bits. */
enum state {
  SYMBOLS,
  SYMBOL_LENGTHS,
  HEADER,
  BLOCK,
  STORED,
  STORED_CHECK,
  STORED_DATA,
  TABLE,
  CODE_LENGTHS,
  REPEAT,
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
  const struct code *code; /* the one that the next symbol is of */
  uint32_t start, end;     /* addresses: of its first byte; behind the last */
  uint32_t out, summed;    /* everything below is unpacked; is in the check sum */
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
  io_poll();
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

/* The symbol that the bits begin with << 4 | its length; 0: there is no such code. */
static uint32_t look_up(const struct code *c, uint32_t hold) {
  uint32_t code = 0, first = 0, index = 0, entry = c->fast[hold & ((1 << FAST) - 1)];
  for (uint32_t len = 1; !entry && len <= LONGEST; len++, hold >>= 1) {
    uint32_t count = c->fast[(1 << FAST) + len];
    code |= hold & 1;
    if (code < first + count)
      entry = (uint32_t)c->symbol[index + (code - first)] << 4 | len;
    index += count;
    first = (first + count) << 1;
    code <<= 1;
  }
  return entry;
}

/* Adler-32 of what has been unpacked since the last time, no more than twice BURST: so b stays below 2^32. */
static void add_up(void) {
  uint32_t a = z.adler_a, b = z.adler_b;
  for (uint32_t at = z.summed; at != z.out; at++) {
    a += window[at & (WINDOW - 1)];
    b += a;
  }
  z.summed = z.out;
  a = (a & 0xFFFF) + 15 * (a >> 16); /* 2^16 is 15 more than 65521 */
  b = (b & 0xFFFF) + 15 * (b >> 16);
  b = (b & 0xFFFF) + 15 * (b >> 16);
  z.adler_a = a;
  z.adler_b = b;
}

/* Everything up to z.out has been unpacked. */
static int pass_on(void) {
  add_up();
  return write_put(z.out);
}

static int put(uint32_t c) {
  if (z.out == z.end)
    return TOO_MUCH_DATA;
  window[z.out++ & (WINDOW - 1)] = (uint8_t)c;
  return (z.out & (CHUNK - 1)) ? OK : pass_on();
}

static int go(enum state state, uint32_t need) {
  z.state = state;
  z.need = need;
  return OK;
}

INLINE static int block_or_end(void) {
  if (!z.last)
    return go(BLOCK, 3);
  take(z.bits & 7);
  return go(TRAILER, 16);
}

/* Symbols one after the other, up to the end of the block or of the input: past that it finds zeroes, and
 * what needed them is taken back. What is left over then is less than the 28 bits that a distance may need.
 * Lengths come in groups of four, each twice as far apart as the one before, but the last code is 258 alone;
 * distances likewise in groups of two. Returns as step() does. */
static int symbols(void) {
  const uint8_t *in = z.in;
  const struct code *code = z.code;
  uint32_t hold = z.hold, bits = z.bits, out = z.out, told = out;
  int err;
#define REFILL()                                                                                             \
  while (bits <= 24) {                                                                                       \
    if (in < z.in_end)                                                                                       \
      hold |= (uint32_t)*in << bits;                                                                         \
    in++;                                                                                                    \
    bits += 8;                                                                                               \
  }
#define TAKE(n)                                                                                              \
  hold >>= n;                                                                                                \
  bits -= n;
  do {
    REFILL()
    uint32_t entry = code->fast[hold & ((1 << FAST) - 1)];
    if (!entry)
      entry = look_up(code, hold);
    uint32_t v = entry >> 4, n = entry & 15, far = code == &distance, u = v - 257, extra = 0;
    TAKE(n)
    if (far || v > 256) {
      REFILL()
      if (far)
        n = v < 4 ? 0 : (v >> 1) - 1;
      else
        n = v < 265 || u >= 28 ? 0 : (u >> 2) - 1;
      extra = hold & ((1u << n) - 1);
      TAKE(n)
    }
    err = -1;
    if (in > z.in_end && bits < (uint32_t)(in - z.in_end) * 8)
      break;
    err = INFLATE_FAILED;
    if (!entry || v > 285)
      break;
    if (far) {
      extra += (n ? (2 + (v & 1)) << n : v) + 1;
      if (v > 29 || extra > out - z.start)
        break;
      err = TOO_MUCH_DATA;
      n = z.length;
      if (n > z.end - out)
        break;
      for (; n; n--, out++)
        window[out & (WINDOW - 1)] = window[(out - extra) & (WINDOW - 1)];
      code = &literal;
    } else if (v > 256) {
      z.length = u == 28 ? 258 : (n ? (4 + (u & 3)) << n : u) + 3 + extra;
      code = &distance;
    } else if (v < 256) {
      err = TOO_MUCH_DATA;
      if (out == z.end)
        break;
      window[out++ & (WINDOW - 1)] = (uint8_t)v;
    }
    z.in = in;
    z.code = code;
    z.hold = hold;
    z.bits = bits;
    z.out = out;
    err = OK;
    if (v == 256) {
      err = 1;
      break;
    }
    if (out - told >= TOLD) {
      told = out;
      err = pass_on();
    }
  } while (err == OK);
  while (z.in > z.in_end) {
    z.in--;
    z.bits -= 8;
  }
  take(0);
  return err == 1 ? block_or_end() : err;
}

/* One step. OK, an error byte, or -1 for more input. */
static int step(void) {
  uint32_t v, i, n;
  int err = OK;
  if (z.state == SYMBOLS)
    return symbols();
  if (z.state == SYMBOL_LENGTHS) { /* its codes are never long */
    io_poll();                     /* there may be hundreds */
    take(0);
    v = distance.fast[z.hold & ((1 << FAST) - 1)];
    z.need = v & 15;
    if (!v && z.bits >= FAST)
      return INFLATE_FAILED;
    if (!v || take(z.need) < 0)
      return -1;
    v >>= 4;
  } else {
    int got = take(z.need);
    if (got < 0)
      return -1;
    v = (uint32_t)got;
  }
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
    return go(SYMBOLS, 0);
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
    return go(SYMBOLS, 0);
  case TRAILER: /* Adler-32, high byte first */
    z.base = v;
    return go(TRAILER_REST, 16);
  case TRAILER_REST:
    err = pass_on();
    if (z.adler_a >= 65521)
      z.adler_a -= 65521;
    if (z.adler_b >= 65521)
      z.adler_b -= 65521;
    if (!err && (z.base != (z.adler_b >> 8 | (z.adler_b & 0xFF) << 8) ||
                 v != (z.adler_a >> 8 | (z.adler_a & 0xFF) << 8)))
      err = INFLATE_FAILED;
    go(FINISHED, 8);
    return err;
  default:
    return TOO_MUCH_DATA;
  }
}

void inflate_begin(uint32_t address, uint32_t end) {
  z.hold = z.bits = z.last = 0;
  z.out = z.summed = z.start = address;
  z.end = end;
  z.code = &literal;
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
  return err < 0 ? pass_on() : err;
}

int inflate_finished(void) {
  return z.state == FINISHED || z.out == z.start; /* when nothing has come out, what is missing tells */
}
