/* stream.c - writing flash or RAM block by block. */
#include "stream.h"

#include <string.h>

enum {
  SECTOR = 0x1000,
  WINDOW_OF_INFLATE = 0x8000, /* what a loader may have unpacked and not written yet */
  QUICK_LEVEL = 6,            /* of zlib, for what is used once */
  RESTARTS_PER_ATTEMPT = 4    /* beginnings without any progress that are allowed */
};

static const double REPORT_EVERY = 0.05; /* seconds */

enum { ST_START, ST_PACK, ST_ERASE, ST_BEGIN, ST_BEGIN_WAIT, ST_SEND, ST_WAIT, ST_SYNC };

static int done(struct stream_write *w, int result) {
  w->o.result = result;
  return OP_DONE;
}

static int fail_payload(struct stream_write *w, int err) {
  w->o.k->payload_error = err;
  return done(w, link_fail(w->o.k, LINK_EPAYLOAD, 0, "%s", payload_error(w->from.pl)));
}

/* How far the payload has been taken; compressed, as far as one can say. */
static uint64_t position(const struct stream_write *w) {
  uint64_t in_stream = (uint64_t)w->acked * w->from.block, rest = w->total - w->from.base;
  if (in_stream >= w->from.size)
    return w->acked ? w->total : w->from.base;
  return w->from.base +
         (w->from.packed ? (uint64_t)((double)rest * (double)in_stream / (double)w->from.size) : in_stream);
}

/* --- where to begin ----------------------------------------------------------------------------------- */

/* The place in the payload up to which everything is surely written. */
static int safe_place(struct stream_write *w, uint64_t *place) {
  uint32_t sure = w->acked > (uint32_t)w->lag ? w->acked - (uint32_t)w->lag : 0;
  uint64_t in_stream = (uint64_t)sure * w->from.block, reach;
  if (w->from.packed) {
    int err = packed_reach(w->from.packed, in_stream, &reach);
    if (err)
      return err;
    reach = reach > WINDOW_OF_INFLATE ? reach - WINDOW_OF_INFLATE : 0;
  } else {
    reach = in_stream;
  }
  *place = w->from.base + reach;
  if (w->kind == STREAM_FLASH) {
    uint64_t at = (w->address + *place) / SECTOR * SECTOR;
    *place = at > w->address + w->from.base ? at - w->address : w->from.base;
  }
  return 0;
}

/* Sets up a beginning at place. */
static void begin_at(struct stream_write *w, uint64_t place) {
  w->from.base = place;
  w->sent = w->acked = 0;
  w->from.packed = NULL;
  packed_free(&w->own);
  w->state = ST_ERASE;
  if (w->compress) {
    w->state = ST_PACK;
    if (place > 0) {
      packed_begin(&w->own, w->from.pl, place, w->total);
      w->own.level = QUICK_LEVEL;
    }
  }
}

/* Compresses a slice of what is to be sent. */
static int pack(struct stream_write *w) {
  struct packed *p = w->from.base > 0 ? &w->own : payload_packed(w->from.pl);
  int r = supply_pack(&w->from, p);
  if (r < 0)
    return fail_payload(w, r);
  if (r > 0)
    return link_yield(&w->o);
  w->state = ST_ERASE;
  return OP_EVENT; /* go on */
}

/* Works out what the begin command says. Returns whether the caller is to be asked for the erase size. */
static int plan(struct stream_write *w) {
  uint64_t rest = w->total - w->from.base;
  w->blocks = supply_count(&w->from);
  w->state = ST_BEGIN;
  w->erase_address = (uint32_t)(w->address + w->from.base);
  w->erase_bytes = w->dirty ? w->dirty - w->from.base : rest;
  return w->kind == STREAM_FLASH && w->ask_erase;
}

static uint32_t erase_size(const struct stream_write *w) {
  uint64_t n = w->erase_bytes;
  if (w->kind == STREAM_FLASH && w->ask_erase)
    return (uint32_t)w->erase_size;
  if (w->kind == STREAM_FLASH && w->erase_size != STREAM_ERASE_RULE)
    return (uint32_t)(w->erase_size > w->from.base ? w->erase_size - w->from.base : 0);
  if (w->from.packed && !w->exact)
    n = (n + w->from.block - 1) / w->from.block * w->from.block;
  return (uint32_t)n;
}

static int send_begin(struct stream_write *w) {
  static const uint8_t ops[2][2] = {{OP_FLASH_BEGIN, OP_FLASH_DEFL_BEGIN}, {OP_MEM_BEGIN, OP_MEM_BEGIN}};
  uint8_t words[20];
  size_t n = w->kind == STREAM_FLASH && w->encrypted >= 0 ? 20 : 16;
  put_le32(words, erase_size(w));
  put_le32(words + 4, w->blocks);
  put_le32(words + 8, w->from.block);
  put_le32(words + 12, w->erase_address);
  put_le32(words + 16, w->encrypted > 0);
  w->x = (struct exchange){.status_bytes = w->o.k->status_bytes, .quick = 1};
  link_skip(w->o.k);
  w->begun = ev_now();
  w->state = ST_BEGIN_WAIT;
  int err = exchange_begin(w->o.k, &w->x, ops[w->kind][w->from.packed != NULL], 0, words, n, NULL, 0,
                           w->begin_timeout);
  return err;
}

/* --- blocks ------------------------------------------------------------------------------------------- */

static uint8_t data_op(const struct stream_write *w) {
  if (w->data_op)
    return w->data_op;
  return w->kind == STREAM_RAM ? OP_MEM_DATA : w->from.packed ? OP_FLASH_DEFL_DATA : OP_FLASH_DATA;
}

/* The data of a block; the last one of flash that is not compressed is filled up. */
static int get_block(struct stream_write *w, uint8_t **data, size_t *n) {
  int err = supply_block(&w->from, w->sent, data, n);
  if (!err && *n < w->from.block && !w->from.packed && w->kind == STREAM_FLASH) {
    memset(*data + *n, 0xFF, w->from.block - *n);
    *n = w->from.block;
  }
  return err;
}

static int send_block(struct stream_write *w) {
  struct link *k = w->o.k;
  uint8_t *data, head[16] = {0};
  size_t n;
  int err = get_block(w, &data, &n);
  if (err)
    return fail_payload(w, err), LINK_EPAYLOAD;
  if (w->sent == w->acked)
    link_skip(k);
  put_le32(head, (uint32_t)n);
  put_le32(head + 4, w->sent);
  w->x = (struct exchange){.status_bytes = k->status_bytes, .quick = 1};
  err = exchange_begin(k, &w->x, data_op(w), frame_checksum(data, n), head, sizeof head, data, n,
                       w->block_timeout);
  w->sent++;
  return err;
}

/* Writes as many blocks as the window allows. */
static int send_blocks(struct stream_write *w) {
  struct link *k = w->o.k;
  while (w->sent < w->blocks && w->sent - w->acked < (uint32_t)w->window && k->tx_at == k->tx_len) {
    int err = send_block(w);
    if (err)
      return err;
  }
  return LINK_OK;
}

/* --- faults ------------------------------------------------------------------------------------------- */

/* Whether a refusal says that the request came damaged and nothing was done. */
static int only_damaged(const struct frame_status *s) {
  return s->error == ERROR_ROM_CHECKSUM || s->error == ERROR_STUB_CHECKSUM || s->error == ERROR_ROM_FORMAT ||
         s->error == ERROR_STUB_FRAME;
}

/* Counts a fault. Returns 0 when that was one too many at this place. */
static int may_go_on(struct stream_write *w) {
  uint64_t at = position(w);
  w->same = w->faults > 0 && at == w->fault_at ? w->same + 1 : 1;
  w->faults++;
  w->fault_at = at;
  return w->same < w->attempts;
}

/* Gets the link in step again; then comes a new beginning. */
static void resync(struct stream_write *w) {
  struct link *k = w->o.k;
  sync_again(k, &w->sync, w->sync_timeout);
  w->state = ST_SYNC;
}

/* How far the chip may have written since everything was erased. */
static int note_dirty(struct stream_write *w) {
  uint64_t in_stream = (uint64_t)w->sent * w->from.block, reach;
  int sure = w->erased && w->fruitless == 0 && !w->exact && w->lag == 0 && w->o.result != LINK_EROM;
  w->dirty = 0;
  if (w->kind != STREAM_FLASH || !sure)
    return 0;
  reach = in_stream < w->from.size ? in_stream : w->from.size;
  if (w->from.packed) {
    int err = packed_reach(w->from.packed, reach, &reach);
    if (err)
      return err;
  }
  if (w->from.base + reach < w->total)
    w->dirty = w->from.base + reach;
  return 0;
}

/* After the link is in step again. */
static int restart(struct stream_write *w) {
  uint64_t place;
  if (w->faults == 0) { /* only an earlier command was late */
    begin_at(w, 0);
    return OP_EVENT;
  }
  int err = safe_place(w, &place);
  if (err)
    return w->from.packed && err != PAYLOAD_ENOMEM
               ? done(w, link_fail(w->o.k, LINK_EPAYLOAD, 0, "compressed data damaged"))
               : done(w, link_fail(w->o.k, LINK_ENOMEM, 0, "not enough memory"));
  w->fruitless = place > w->from.base ? 0 : w->fruitless + 1;
  err = note_dirty(w);
  if (err)
    return done(w, link_fail(w->o.k, LINK_ENOMEM, 0, "not enough memory"));
  if (w->fruitless > RESTARTS_PER_ATTEMPT * w->attempts)
    return done(w, w->o.result);
  w->restarts++;
  begin_at(w, place);
  return OP_EVENT; /* go on */
}

/* Decides what follows an answer that is missing, damaged or a refusal; r as of exchange_run. */
static int fault(struct stream_write *w, int r, int err) {
  int final = err != LINK_ETIMEOUT && err != LINK_EREPLY && err != LINK_EROM;
  int begins = w->state == ST_BEGIN_WAIT;
  w->o.result = err; /* of what is reported when it was the last attempt */
  if (begins && r == EXCHANGE_REFUSED && !only_damaged(&w->x.status))
    final = 1;
  if (final || !may_go_on(w))
    return done(w, err);
  if (r == EXCHANGE_REFUSED && only_damaged(&w->x.status)) {
    w->o.result = LINK_EREPLY;
    if (begins || (w->lag > 0 && w->window == 1)) { /* a stub takes the same block again */
      w->retries++;
      w->state = begins ? ST_BEGIN : ST_SEND;
      if (!begins)
        w->sent = w->acked;
      return OP_EVENT;
    }
  }
  resync(w);
  return OP_EVENT;
}

/* --- the machine -------------------------------------------------------------------------------------- */

static int start(struct stream_write *w) {
  w->total = payload_size(w->from.pl);
  w->started = ev_now();
  if (supply_open(&w->from) != 0)
    return done(w, link_fail(w->o.k, LINK_ENOMEM, 0, "not enough memory"));
  w->wire_before = w->o.k->written;
  begin_at(w, 0);
  if (w->total == 0)
    return done(w, LINK_OK);
  if (w->o.k->stale)
    resync(w);
  return OP_EVENT;
}

/* Returns OP_WAIT; OP_EVENT after an answer; or OP_DONE. */
static int wait_block(struct stream_write *w) {
  int err, r;
  if (w->window > 1 && (err = send_blocks(w)) != LINK_OK)
    return err == LINK_EPAYLOAD ? OP_DONE : done(w, err);
  r = exchange_run(&w->o, &w->x, &err);
  if (r == EXCHANGE_WAIT)
    return OP_WAIT;
  if (r != EXCHANGE_OK)
    return fault(w, r, err);
  w->acked++;
  w->done = position(w);
  if (w->acked == w->blocks)
    return done(w, LINK_OK);
  if (w->sent > w->acked) /* the next answer has its own time */
    w->x.deadline = ev_now() + w->block_timeout + link_line_time(w->o.k);
  else
    w->state = ST_SEND;
  return OP_EVENT;
}

static int wait_begin(struct stream_write *w) {
  int err, r = exchange_run(&w->o, &w->x, &err);
  if (r == EXCHANGE_WAIT)
    return OP_WAIT;
  if (r != EXCHANGE_OK)
    return fault(w, r, err);
  w->begin_seconds += ev_now() - w->begun;
  w->erased = 1;
  w->state = ST_SEND;
  return OP_EVENT;
}

static int wait_sync(struct stream_write *w) {
  char text[LINK_TEXT];
  int err, r, before = w->o.result;
  memcpy(text, w->o.k->text, sizeof text);
  r = sync_run(&w->o, &w->sync, &err);
  if (r == EXCHANGE_WAIT)
    return OP_WAIT;
  if (r == EXCHANGE_OK)
    return restart(w);
  if (err == LINK_ESYNC && before != 0) { /* what went wrong first says more */
    memcpy(w->o.k->text, text, sizeof text);
    err = before;
  }
  return done(w, err);
}

/* OP_EVENT means here: go on with the next state. */
static int turn(struct stream_write *w) {
  int err;
  switch (w->state) {
  case ST_START:
    return start(w);
  case ST_PACK:
    return pack(w);
  case ST_ERASE:
    if (plan(w))
      w->o.events |= LINK_ERASE;
    return OP_EVENT;
  case ST_BEGIN:
    err = send_begin(w);
    return err ? done(w, err) : OP_EVENT;
  case ST_BEGIN_WAIT:
    return wait_begin(w);
  case ST_SEND:
    err = send_blocks(w);
    w->state = ST_WAIT;
    return err == LINK_EPAYLOAD ? OP_DONE : err ? done(w, err) : OP_EVENT;
  case ST_WAIT:
    return wait_block(w);
  default:
    return wait_sync(w);
  }
}

static int write_run(struct link_op *o) {
  struct stream_write *w = (struct stream_write *)o;
  int r;
  do {
    r = turn(w);
    if (r == OP_EVENT && w->acked > 0 && (w->state == ST_SEND || w->state == ST_WAIT)) {
      double now = ev_now();
      if (now - w->reported >= REPORT_EVERY) {
        w->reported = now;
        o->events |= LINK_PROGRESS;
      }
    }
  } while (r == OP_EVENT && !o->events);
  w->wire = o->k->written - w->wire_before;
  return r;
}

void stream_write_begin(struct stream_write *w, struct link *k) {
  link_begin(&w->o, k, write_run);
}

void stream_write_free(struct stream_write *w) {
  packed_free(&w->own);
  supply_free(&w->from);
}
