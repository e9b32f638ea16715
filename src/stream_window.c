/* stream_window.c - writing flash with many blocks on the way. */
#include "stream_window.h"

enum {
  SLACK = 5, /* faults at one block per attempt: one damaged frame may cause several */
  STATE_BODY = 8,
  BEGIN_LENGTH = 64 /* bytes on the line of a begin command, at most */
};

static const double REPORT_EVERY = 0.05; /* seconds */
static const double PROBE_AFTER =
    0.5; /* of silence; an erase of 64 KiB may take longer, asking does no harm */

enum { ST_START, ST_PACK, ST_BEGIN, ST_BEGIN_WAIT, ST_FLOW, ST_SYNC };

static int done(struct stream_window *w, int result) {
  struct link *k = w->o.k;
  if (w->count > 0 || w->probing)
    k->stale = 1; /* answers may still come */
  w->o.result = result;
  return OP_DONE;
}

static int fail_payload(struct stream_window *w, int err) {
  w->o.k->payload_error = err;
  return done(w, link_fail(w->o.k, LINK_EPAYLOAD, 0, "%s", payload_error(w->from.pl)));
}

/* --- beginning ---------------------------------------------------------------------------------------- */

static int start(struct stream_window *w) {
  w->total = payload_size(w->from.pl);
  w->started = ev_now();
  w->wire_before = w->o.k->written;
  if (supply_open(&w->from) != 0)
    return done(w, link_fail(w->o.k, LINK_ENOMEM, 0, "not enough memory"));
  if (w->total == 0)
    return done(w, LINK_OK);
  w->state = w->compress ? ST_PACK : ST_BEGIN;
  return OP_EVENT;
}

static int pack(struct stream_window *w) {
  int r = supply_pack(&w->from, payload_packed(w->from.pl));
  if (r < 0)
    return fail_payload(w, r);
  if (r > 0)
    return link_yield(&w->o);
  w->state = ST_BEGIN;
  return OP_EVENT;
}

static int begin(struct stream_window *w) {
  uint8_t words[20];
  w->blocks = supply_count(&w->from);
  put_le32(words, (uint32_t)w->total);
  put_le32(words + 4, w->blocks);
  put_le32(words + 8, w->from.block);
  put_le32(words + 12, w->address);
  put_le32(words + 16, w->encrypted > 0);
  w->x = (struct exchange){.status_bytes = w->o.k->status_bytes, .quick = 1};
  link_skip(w->o.k);
  w->begun = ev_now();
  w->begins++;
  w->state = ST_BEGIN_WAIT;
  w->next = w->acked = 0; /* of an earlier beginning that came to nothing */
  w->first = w->count = 0;
  w->on_way = 0;
  w->pass++;
  int err = exchange_begin(w->o.k, &w->x, w->from.packed ? OP_FLASH_DEFL_BEGIN : OP_FLASH_BEGIN, 0, words,
                           sizeof words, NULL, 0, w->begin_timeout);
  return err ? done(w, err) : OP_EVENT;
}

static int resync(struct stream_window *w) {
  sync_again(w->o.k, &w->sync, w->sync_timeout);
  w->state = ST_SYNC;
  return OP_EVENT;
}

static int wait_sync(struct stream_window *w) {
  int err, r = sync_run(&w->o, &w->sync, &err);
  if (r == EXCHANGE_WAIT)
    return OP_WAIT;
  if (r != EXCHANGE_OK)
    return done(w, err);
  w->state = ST_BEGIN;
  return OP_EVENT;
}

/* Something was heard: the time for asking begins anew. */
static void heard(struct stream_window *w) {
  w->quiet = ev_now();
  w->pause = PROBE_AFTER;
  w->probe_at = w->quiet + w->pause;
}

static int fill(struct stream_window *w);

/* The first blocks follow at once: the stub takes things in order. */
static int wait_begin(struct stream_window *w) {
  int err = fill(w), r;
  if (err)
    return err == LINK_EPAYLOAD ? OP_DONE : done(w, err);
  r = exchange_run(&w->o, &w->x, &err);
  if (r == EXCHANGE_WAIT)
    return OP_WAIT;
  if (r == EXCHANGE_OK) {
    w->begin_seconds += ev_now() - w->begun;
    w->state = ST_FLOW;
    heard(w);
    return OP_EVENT;
  }
  int damaged = r == EXCHANGE_REFUSED && w->x.status.error == ERROR_STUB_FRAME;
  if ((!damaged && err != LINK_ETIMEOUT && err != LINK_EREPLY) || w->begins >= w->attempts)
    return done(w, err);
  w->faults++;
  return resync(w);
}

/* --- sending ------------------------------------------------------------------------------------------ */

static uint8_t data_op(const struct stream_window *w) {
  return w->from.packed ? OP_FLASH_DEFL_DATA : OP_FLASH_DATA;
}

/* Returns LINK_OK; or LINK_EPAYLOAD, with the operation done; or another error. */
static int send_block(struct stream_window *w) {
  struct link *k = w->o.k;
  uint8_t *data, head[16] = {0};
  size_t n, before = k->tx_len;
  int err = supply_block(&w->from, w->next, &data, &n);
  if (err)
    return fail_payload(w, err), LINK_EPAYLOAD;
  put_le32(head, (uint32_t)n);
  put_le32(head + 4, w->next);
  if (k->tx_at == k->tx_len)
    before = 0; /* link_put begins at the front again */
  err = link_put(k, data_op(w), frame_checksum(data, n), head, sizeof head, data, n);
  if (err)
    return err;
  unsigned at = (w->first + w->count++) % WINDOW_BLOCKS;
  w->flight[at].number = w->next++;
  w->flight[at].bytes = (uint32_t)(k->tx_len - before);
  w->flight[at].pass = w->pass;
  w->on_way += w->flight[at].bytes;
  return link_write(k);
}

/* A block of this many bytes of data takes at most this on the line; what it really takes is known when it is
 * framed. */
static int has_credit(const struct stream_window *w) {
  uint64_t typical = w->from.block + w->from.block / 32 + 32;
  if (w->state == ST_BEGIN_WAIT)
    typical += BEGIN_LENGTH;
  return w->count == 0 || (w->count < WINDOW_BLOCKS && w->on_way + typical <= w->credit);
}

static int fill(struct stream_window *w) {
  struct link *k = w->o.k;
  int err = link_write(k);
  while (!err && !w->probing && w->next < w->blocks && k->tx_at == k->tx_len && has_credit(w)) {
    err = send_block(w);
    w->probe_at = ev_now() + w->pause + link_line_time(k);
  }
  return err;
}

static int probe(struct stream_window *w) {
  w->probing = 1;
  int err = link_put(w->o.k, OP_WRITE_STATE, 0, NULL, 0, NULL, 0);
  w->pause *= 2;
  w->probe_at = ev_now() + w->pause + link_line_time(w->o.k);
  return err ? err : link_write(w->o.k);
}

/* --- answers ------------------------------------------------------------------------------------------ */

static void pop(struct stream_window *w) {
  w->on_way -= w->flight[w->first].bytes;
  w->first = (w->first + 1) % WINDOW_BLOCKS;
  w->count--;
}

/* Takes what an answer stands for off the list: up to the block before `expected` when that is there (answers
 * in between were lost), else one. Returns the pass of the last. */
static unsigned take_off(struct stream_window *w, uint32_t expected, int good) {
  unsigned n = 1, pass = w->pass;
  for (unsigned i = 0; good && i < w->count; i++) {
    if (w->flight[(w->first + i) % WINDOW_BLOCKS].number + 1 == expected) {
      n = i + 1;
      break;
    }
  }
  for (; n > 0 && w->count > 0; n--) {
    pass = w->flight[w->first].pass;
    pop(w);
  }
  return pass;
}

/* Goes on from a block. Returns 0 when this has been tried too often. */
static int go_back(struct stream_window *w, uint32_t number) {
  w->same = w->faults > 0 && w->fault_at == number ? w->same + 1 : 1;
  w->fault_at = number;
  w->faults++;
  if (w->next > number)
    w->retries += (int)(w->next - number);
  w->next = w->acked = number;
  w->pass++;
  return w->same < w->attempts * SLACK;
}

static void progress(struct stream_window *w) {
  uint64_t sent = (uint64_t)w->acked * w->from.block;
  w->done =
      w->acked == w->blocks ? w->total : (uint64_t)((double)w->total * (double)sent / (double)w->from.size);
  double now = ev_now();
  if (now - w->reported >= REPORT_EVERY) {
    w->reported = now;
    w->o.events |= LINK_PROGRESS;
  }
}

static int too_often(struct stream_window *w, const struct frame_status *s) {
  struct link *k = w->o.k;
  if (s->error)
    return done(w, link_refused(k, data_op(w), s));
  return done(w,
              link_fail(k, LINK_ETIMEOUT, data_op(w), "block %u of %u did not arrive", w->acked, w->blocks));
}

/* Says the stub that only this frame is missing or damaged, and that the write goes on? */
static int only_damaged(unsigned error) {
  return error == ERROR_STUB_CHECKSUM || error == ERROR_STUB_FRAME || error == ERROR_STUB_LENGTH ||
         error == ERROR_STUB_SEQUENCE;
}

/* An answer says that all is there. It has no check value, so it counts by itself only where it is the answer
 * that is due: the one to the last block, with all others answered before. Otherwise the state of the write
 * is asked for, and has to say so twice. */
static int all_there(struct stream_window *w, int due) {
  if (due || w->confirmed) {
    w->acked = w->blocks;
    return done(w, LINK_OK);
  }
  if (w->probing)
    return OP_EVENT;
  int err = probe(w);
  return err ? done(w, err) : OP_EVENT;
}

static int on_data(struct stream_window *w, const struct frame_reply *r, const struct frame_status *s) {
  int due = !s->error && !w->probing && w->count == 1 && w->flight[w->first].number + 1 == w->blocks;
  if (r->value > w->blocks) { /* a damaged answer; those that follow count as well */
    w->faults++;
    return OP_EVENT;
  }
  if (s->error && !only_damaged(s->error)) { /* the end of it, unless the answer is damaged */
    if (!w->probing) {
      int err = probe(w);
      return err ? done(w, err) : OP_EVENT;
    }
    return OP_EVENT;
  }
  unsigned pass = take_off(w, r->value, !s->error);
  if (!s->error) {
    if (r->value > w->acked && r->value <= w->next) {
      w->acked = r->value;
      progress(w);
    }
  } else if (pass == w->pass && !w->probing && r->value < w->next) {
    if (!go_back(w, r->value))
      return too_often(w, s);
  }
  return r->value == w->blocks ? all_there(w, due) : OP_EVENT;
}

/* What the stub says of the write holds for all that was sent before. */
static int on_state(struct stream_window *w, const struct frame_reply *r, const struct frame_status *s) {
  if (!w->probing || s->error || s->len != STATE_BODY || r->value > w->blocks)
    return OP_EVENT;
  struct frame_status state = {.status = r->body[4], .error = r->body[4]};
  w->probing = 0;
  w->count = 0;
  w->on_way = 0;
  if (state.error) { /* the value stays what it was when it ended */
    w->acked = r->value;
    progress(w);
    return done(w, link_refused(w->o.k, data_op(w), &state));
  }
  if (r->value == w->blocks) {
    int result = all_there(w, 0);
    w->confirmed = 1;
    return result;
  }
  w->confirmed = 0;
  if (r->value < w->next && !go_back(w, r->value))
    return too_often(w, s);
  w->acked = r->value;
  return OP_EVENT;
}

static int flow(struct stream_window *w) {
  struct link *k = w->o.k;
  struct frame_reply r;
  struct frame_status s;
  int next, err = fill(w), result = OP_EVENT;
  if (err)
    return err == LINK_EPAYLOAD ? OP_DONE : done(w, err);
  while ((next = link_next(k, &r)) == LINK_REPLY || next == LINK_STRAY) {
    if (next == LINK_STRAY ||
        frame_status(&s, &r, 2, r.op == OP_WRITE_STATE && r.len > 2 ? STATE_BODY : 0) != 0) {
      k->strays++;
      if (k->panic[0])
        return done(w,
                    link_fail(k, LINK_EPANIC, data_op(w), "the program on the chip crashed: %s", k->panic));
      continue;
    }
    if (r.op == data_op(w) || s.error == ERROR_STUB_FRAME)
      result = on_data(w, &r, &s);
    else if (r.op == OP_WRITE_STATE)
      result = on_state(w, &r, &s);
    else
      continue;
    if (result == OP_DONE)
      return result;
    heard(w);
    if ((err = fill(w)) != LINK_OK)
      return err == LINK_EPAYLOAD ? OP_DONE : done(w, err);
  }
  if (next < 0)
    return done(w, next);
  double now = ev_now();
  double until = link_until(k, w->quiet + w->block_timeout + link_line_time(k));
  if (now >= until) {
    w->faults++;
    return done(
        w, link_fail(k, LINK_ETIMEOUT, data_op(w), "block %u of %u: no answer in time", w->acked, w->blocks));
  }
  if (now >= w->probe_at && k->tx_at == k->tx_len && (err = probe(w)) != LINK_OK)
    return done(w, err);
  if (w->o.events)
    return OP_EVENT;
  return link_wait(&w->o, w->probe_at > now && w->probe_at < until ? w->probe_at : until, next);
}

/* OP_EVENT means here: go on with the next state. */
static int turn(struct stream_window *w) {
  switch (w->state) {
  case ST_START:
    return start(w);
  case ST_PACK:
    return pack(w);
  case ST_BEGIN:
    return w->o.k->stale ? resync(w) : begin(w);
  case ST_BEGIN_WAIT:
    return wait_begin(w);
  case ST_FLOW:
    return flow(w);
  default:
    return wait_sync(w);
  }
}

static int window_run(struct link_op *o) {
  struct stream_window *w = (struct stream_window *)o;
  int r;
  do
    r = turn(w);
  while (r == OP_EVENT && !o->events);
  w->wire = o->k->written - w->wire_before;
  return r;
}

void stream_window_begin(struct stream_window *w, struct link *k) {
  link_begin(&w->o, k, window_run);
}

void stream_window_free(struct stream_window *w) {
  supply_free(&w->from);
}
