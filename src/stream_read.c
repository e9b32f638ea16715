/* stream_read.c - reading flash through a ROM: 64 bytes a command. */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

static const double REPORT_EVERY = 0.05; /* seconds */

enum { ST_START, ST_ASK, ST_WAIT, ST_SYNC, ST_SUNK };

static int ask(struct stream_read *r) {
  uint8_t words[8];
  uint64_t left = r->size - r->done;
  put_le32(words, (uint32_t)(r->address + r->done));
  put_le32(words + 4, left < STREAM_READ_UNIT ? (uint32_t)left : STREAM_READ_UNIT);
  r->x = (struct exchange){.status_bytes = r->o.k->status_bytes, .min = STREAM_READ_UNIT, .quick = 1};
  r->state = ST_WAIT;
  link_skip(r->o.k);
  return exchange_begin(r->o.k, &r->x, OP_READ_FLASH_SLOW, 0, words, sizeof words, NULL, 0, r->timeout);
}

static void resync(struct stream_read *r) {
  sync_again(r->o.k, &r->sync, r->sync_timeout);
  r->state = ST_SYNC;
}

static int take(struct stream_read *r) {
  uint64_t left = r->size - r->done;
  size_t n = left < STREAM_READ_UNIT ? (size_t)left : STREAM_READ_UNIT;
  if (r->x.status.len != STREAM_READ_UNIT)
    return LINK_EREPLY;
  memcpy(r->buf + r->buf_len, r->x.reply.body, n);
  r->buf_len += n;
  r->done += n;
  r->same = 0;
  return LINK_OK;
}

static int finish(struct stream_read *r, int result) {
  r->o.result = result;
  return OP_DONE;
}

static int read_run(struct link_op *o) {
  struct stream_read *r = (struct stream_read *)o;
  struct link *k = o->k;
  int err = 0, what;
  for (;;) {
    switch (r->state) {
    case ST_START:
      r->buf = malloc(STREAM_READ_BUF);
      if (!r->buf)
        return finish(r, link_fail(k, LINK_ENOMEM, 0, "not enough memory"));
      r->state = ST_ASK;
      if (k->stale)
        resync(r);
      break;
    case ST_SUNK: /* the caller has taken what was in buf */
      r->buf_len = 0;
      r->state = ST_ASK;
      break;
    case ST_ASK:
      if (r->done == r->size)
        return finish(r, LINK_OK);
      if ((err = ask(r)) != LINK_OK)
        return finish(r, err);
      break;
    case ST_WAIT:
      what = exchange_run(o, &r->x, &err);
      if (what == EXCHANGE_WAIT)
        return OP_WAIT;
      if (what == EXCHANGE_OK && (err = take(r)) == LINK_OK) {
        r->state = ST_ASK;
        if (r->buf_len == STREAM_READ_BUF || r->done == r->size) {
          r->state = ST_SUNK;
          o->events |= LINK_SINK;
        }
        if (ev_now() - r->reported >= REPORT_EVERY) {
          r->reported = ev_now();
          o->events |= LINK_PROGRESS;
        }
        if (o->events)
          return OP_EVENT;
        break;
      }
      if (what == EXCHANGE_OK)
        link_fail(k, err, OP_READ_FLASH_SLOW, "READ_FLASH_SLOW: an answer of %zu bytes that makes no sense",
                  r->x.reply.len);
      o->result = err;
      if ((err != LINK_ETIMEOUT && err != LINK_EREPLY && err != LINK_EROM) || ++r->same >= r->attempts)
        return OP_DONE;
      r->retries++;
      resync(r);
      break;
    default:
      what = sync_run(o, &r->sync, &err);
      if (what == EXCHANGE_WAIT)
        return OP_WAIT;
      if (what != EXCHANGE_OK)
        return finish(r, err);
      r->state = ST_ASK;
    }
  }
}

void stream_read_begin(struct stream_read *r, struct link *k) {
  link_begin(&r->o, k, read_run);
}

void stream_read_free(struct stream_read *r) {
  free(r->buf);
  r->buf = NULL;
}
