/* stream_fast.c - reading flash through a stub. */
#include "stream_fast.h"
#include "link_ops.h"
#include "unpack.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 8, MD5 = 16, BUF = 0x10000, RATIO = 2 };

static const double REPORT_EVERY = 0.05; /* seconds */

enum { ST_START, ST_ASK, ST_ASKED, ST_DATA, ST_SUNK, ST_SYNC };

static int finish(struct stream_fast *r, int result) {
  r->o.result = result;
  return OP_DONE;
}

static int start(struct stream_fast *r) {
  r->buf_room = BUF > RATIO * r->packet ? BUF : RATIO * r->packet;
  r->buf = malloc(r->buf_room);
  if (!r->buf)
    return finish(r, link_fail(r->o.k, LINK_ENOMEM, 0, "not enough memory"));
  r->state = ST_ASK;
  return OP_EVENT;
}

static int resync(struct stream_fast *r) {
  sync_again(r->o.k, &r->sync, r->sync_timeout);
  r->state = ST_SYNC;
  return OP_EVENT;
}

static unsigned op_of(const struct stream_fast *r) {
  return r->packed ? OP_READ_PACKED : OP_READ_FLASH;
}

static int ask(struct stream_fast *r) {
  uint8_t words[16];
  if (r->done == r->size)
    return finish(r, LINK_OK);
  if (r->o.k->stale)
    return resync(r);
  digest_free(&r->md5);
  if (!r->packed)
    digest_begin(&r->md5, "md5");
  put_le32(words, (uint32_t)(r->address + r->done));
  put_le32(words + 4, (uint32_t)(r->size - r->done));
  put_le32(words + 8, r->packet);
  put_le32(words + 12, r->window);
  r->x = (struct exchange){.status_bytes = r->o.k->status_bytes, .quick = 0};
  r->state = ST_ASKED;
  r->base = r->done;
  link_skip(r->o.k);
  int err = exchange_begin(r->o.k, &r->x, (uint8_t)op_of(r), 0, words, sizeof words, NULL, 0, r->timeout);
  return err ? finish(r, err) : OP_EVENT;
}

/* Begins anew from what has arrived; plain reading has nothing that is sure before its end. */
static int again(struct stream_fast *r, int err) {
  r->o.k->stale = 1; /* the old one may still go on */
  r->o.result = err;
  if (!r->packed || ++r->same >= r->attempts)
    return OP_DONE;
  r->retries++;
  return resync(r);
}

static int wait_answer(struct stream_fast *r) {
  int err, what = exchange_run(&r->o, &r->x, &err);
  if (what == EXCHANGE_WAIT)
    return OP_WAIT;
  if (what == EXCHANGE_OK) {
    r->state = ST_DATA;
    r->deadline = ev_now() + r->timeout;
    return OP_EVENT;
  }
  int damaged = what == EXCHANGE_REFUSED && r->x.status.error == ERROR_STUB_FRAME;
  if (!damaged && err != LINK_ETIMEOUT && err != LINK_EREPLY)
    return finish(r, err);
  return again(r, err);
}

/* Says how much of the request in progress has arrived. */
static int tell(struct stream_fast *r) {
  uint8_t word[4], frame[SLIP_ROOM(4)];
  put_le32(word, (uint32_t)(r->done - r->base));
  int err = link_put_raw(r->o.k, frame, slip_encode(frame, word, 4));
  return err ? err : link_write(r->o.k);
}

/* The content of a frame goes to the end of buf. Returns its length, or -1 when it is damaged. */
static long unpack(struct stream_fast *r, const uint8_t *p, size_t n) {
  uint64_t left = r->size - r->done;
  size_t want = left < r->packet ? (size_t)left : r->packet;
  uint8_t *to = r->buf + r->buf_len;
  if (!r->packed) {
    if (n != want)
      return -1;
    memcpy(to, p, n);
    return (long)n;
  }
  if (n < HEAD || get_le32(p) != (uint32_t)(r->address + r->done))
    return -1;
  if (unpack_lz4(to, want, p + HEAD, n - HEAD) != (long)want || digest_crc32(0, to, want) != get_le32(p + 4))
    return -1;
  return (long)want;
}

static void report(struct stream_fast *r) {
  if (r->buf_room - r->buf_len < r->packet || r->done == r->size) {
    r->state = r->done == r->size ? ST_DATA : ST_SUNK;
    r->o.events |= LINK_SINK;
  }
  if (ev_now() - r->reported >= REPORT_EVERY) {
    r->reported = ev_now();
    r->o.events |= LINK_PROGRESS;
  }
}

static int damaged(struct stream_fast *r, const char *what) {
  return again(r, link_fail(r->o.k, LINK_EREPLY, op_of(r), "reading at 0x%X: %s",
                            (unsigned)(r->address + r->done), what));
}

/* The frame after the last: MD5 of all since the request. Packed, every packet had its own check value, and
 * this frame is only the end. */
static int last(struct stream_fast *r, const uint8_t *p, size_t n) {
  uint8_t sum[DIGEST_MAX];
  if (r->packed) {
    if (n != MD5)
      r->o.k->stale = 1;
    return finish(r, LINK_OK);
  }
  digest_end(&r->md5, sum);
  digest_free(&r->md5);
  if (n == MD5 && memcmp(sum, p, MD5) == 0)
    return finish(r, LINK_OK);
  return damaged(r, "the data differ from their digest");
}

static int take(struct stream_fast *r, const uint8_t *p, size_t n) {
  r->received += n;
  if (r->done == r->size)
    return last(r, p, n);
  long got = unpack(r, p, n);
  if (got < 0)
    return damaged(r, "a damaged packet");
  if (!r->packed)
    digest_update(&r->md5, r->buf + r->buf_len, (size_t)got);
  r->buf_len += (size_t)got;
  r->done += (uint64_t)got;
  r->same = 0;
  r->deadline = ev_now() + r->timeout;
  int err = tell(r);
  if (err)
    return finish(r, err);
  report(r);
  return OP_EVENT;
}

static int data(struct stream_fast *r) {
  struct link *k = r->o.k;
  struct frame_reply reply;
  int next, err = link_write(k);
  if (err)
    return finish(r, err);
  k->data = 1;
  while ((next = link_next(k, &reply)) == LINK_REPLY || next == LINK_STRAY) {
    k->data = 0;
    if (next == LINK_STRAY && k->what != SLIP_FRAME)
      return damaged(r, "a damaged frame");
    int what = take(r, k->dec.buf, k->dec.len);
    if (what != OP_EVENT || r->o.events || r->state != ST_DATA)
      return what;
    k->data = 1;
  }
  k->data = 0;
  if (next < 0)
    return finish(r, next);
  if (ev_now() >= r->deadline) {
    k->stale = 1;
    if (!r->packed || k->dec.len < HEAD || get_le32(k->dec.buf) != (uint32_t)(r->address + r->done))
      link_look_at_text(k); /* no packet that has begun */
    if (k->panic[0])
      return finish(r, link_fail(k, LINK_EPANIC, op_of(r), "the program on the chip crashed: %s", k->panic));
    if (r->done == r->size && r->packed)
      return finish(r, LINK_OK); /* only the digest is missing, which says nothing new */
    return again(r, link_fail(k, LINK_ETIMEOUT, op_of(r), "reading at 0x%X: nothing more came",
                              (unsigned)(r->address + r->done)));
  }
  return link_wait(&r->o, r->deadline, next);
}

static int wait_sync(struct stream_fast *r) {
  int err, what = sync_run(&r->o, &r->sync, &err);
  if (what == EXCHANGE_WAIT)
    return OP_WAIT;
  if (what != EXCHANGE_OK)
    return finish(r, err);
  r->state = ST_ASK;
  return OP_EVENT;
}

static int fast_run(struct link_op *o) {
  struct stream_fast *r = (struct stream_fast *)o;
  int what;
  if (r->buf_len > 0 &&
      (r->state == ST_SUNK || r->done == r->size)) { /* the caller has taken what was in buf */
    r->buf_len = 0;
    r->state = ST_DATA;
  }
  do {
    switch (r->state) {
    case ST_START:
      what = start(r);
      break;
    case ST_ASK:
      what = ask(r);
      break;
    case ST_ASKED:
      what = wait_answer(r);
      break;
    case ST_SYNC:
      what = wait_sync(r);
      break;
    default:
      what = data(r);
    }
  } while (what == OP_EVENT && !o->events);
  return what;
}

void stream_fast_begin(struct stream_fast *r, struct link *k) {
  link_begin(&r->o, k, fast_run);
}

void stream_fast_free(struct stream_fast *r) {
  digest_free(&r->md5);
  free(r->buf);
  r->buf = NULL;
}
