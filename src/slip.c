/* slip.c - SLIP framing. Runs without special bytes are found by memchr and copied whole. */
#include "slip.h"

#include <string.h>

/* Where the next 0xC0 and 0xDB are. Each is looked for again only when it has been passed, so that data
 * with many of one and none of the other is still read once. */
struct scan {
  const uint8_t *end, *next_end, *next_esc;
};

static const uint8_t *find(const uint8_t *p, const uint8_t *end, int byte) {
  const uint8_t *q = memchr(p, byte, (size_t)(end - p));
  return q ? q : end;
}

static void scan_begin(struct scan *s, const uint8_t *p, const uint8_t *end) {
  s->end = end;
  s->next_end = find(p, end, SLIP_END);
  s->next_esc = find(p, end, SLIP_ESC);
}

/* The first special byte at p or after it; end if there is none. */
static inline const uint8_t *scan_next(struct scan *s, const uint8_t *p) {
  if (s->next_end < p)
    s->next_end = *p == SLIP_END ? p : find(p, s->end, SLIP_END);
  if (s->next_esc < p)
    s->next_esc = *p == SLIP_ESC ? p : find(p, s->end, SLIP_ESC);
  return s->next_end < s->next_esc ? s->next_end : s->next_esc;
}

size_t slip_escape(uint8_t *out, const uint8_t *in, size_t n) {
  uint8_t *o = out;
  struct scan s;
  if (n == 0) /* in may be NULL */
    return 0;
  const uint8_t *p = in, *end = in + n;
  scan_begin(&s, p, end);
  while (p < end) {
    const uint8_t *q = scan_next(&s, p);
    memcpy(o, p, (size_t)(q - p));
    o += q - p;
    if (q == end)
      break;
    *o++ = SLIP_ESC;
    *o++ = *q == SLIP_END ? SLIP_ESC_END : SLIP_ESC_ESC;
    p = q + 1;
  }
  return (size_t)(o - out);
}

size_t slip_encode(uint8_t *out, const uint8_t *in, size_t n) {
  size_t k = 0;
  out[k++] = SLIP_END;
  k += slip_escape(out + k, in, n);
  out[k++] = SLIP_END;
  return k;
}

void slip_reset(struct slip_decoder *d, uint8_t *buf, size_t max) {
  *d = (struct slip_decoder){.buf = buf, .max = max};
}

static void put(struct slip_decoder *d, const uint8_t *p, size_t n) {
  if (d->skip)
    return;
  if (n > d->max - d->len) {
    n = d->max - d->len;
    d->skip = 1;
  }
  memcpy(d->buf + d->len, p, n);
  d->len += n;
}

/* A byte that follows 0xDB and is no delimiter. */
static void put_escaped(struct slip_decoder *d, uint8_t byte) {
  static const uint8_t plain[] = {SLIP_END, SLIP_ESC};
  d->escaped = 0;
  if (byte == SLIP_ESC_END || byte == SLIP_ESC_ESC)
    put(d, &plain[byte - SLIP_ESC_END], 1);
  else if (d->begun)
    d->skip = 1;
}

/* A delimiter came. Returns what it ends, SLIP_MORE if that is nothing. */
static int finish(struct slip_decoder *d) {
  int begun = d->begun, bad = d->skip || (d->escaped && d->begun);
  d->begun = 1;
  if (bad) {
    d->bad++;
    d->full = 1;
    return SLIP_BAD;
  }
  d->escaped = 0;
  if (d->len == 0)
    return SLIP_MORE;
  d->full = 1;
  return begun ? SLIP_FRAME : SLIP_NOISE;
}

int slip_decode(struct slip_decoder *d, const uint8_t *in, size_t n, size_t *used) {
  const uint8_t *p = in, *end = in + n;
  struct scan s;
  *used = n;
  if (n == 0)
    return SLIP_MORE;
  if (d->full) {
    d->full = d->skip = d->escaped = 0;
    d->len = 0;
  }
  if (d->escaped && *p != SLIP_END)
    put_escaped(d, *p++);
  scan_begin(&s, p, end);
  while (p < end) {
    const uint8_t *q = scan_next(&s, p);
    put(d, p, (size_t)(q - p));
    if (q == end)
      return SLIP_MORE;
    p = q + 1;
    if (*q == SLIP_END) {
      int what = finish(d);
      if (what != SLIP_MORE) {
        *used = (size_t)(p - in);
        return what;
      }
    } else {
      d->escaped = 1;
      if (p < end && *p != SLIP_END)
        put_escaped(d, *p++);
    }
  }
  return SLIP_MORE;
}
