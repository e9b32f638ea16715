/* link_ops.c - single operations on a link. */
#include "link_ops.h"

#include <stdlib.h>
#include <string.h>

/* --- command -------------------------------------------------------------------------------------------- */

enum { DAMAGED = 4 }; /* times that a command is sent again for having arrived damaged */
enum { COMMAND_BEGIN, COMMAND_BARRIER, COMMAND_SEND, COMMAND_WAIT };
static const struct {
  int tries;
  double timeout, longest, pause;
} barrier = {3, 0.1, 0.2, 0.02};

static int command_done(struct link_command *c, int result) {
  c->o.result = result;
  return OP_DONE;
}

static int command_run(struct link_op *o) {
  struct link_command *c = (struct link_command *)o;
  struct link *k = o->k;
  int err = 0, r;
  for (;;) {
    switch (c->state) {
    case COMMAND_BEGIN:
      c->state = COMMAND_SEND;
      if (k->stale && c->op != OP_SYNC) {
        link_drop(k);
        sync_begin(&c->sync, barrier.tries, barrier.timeout, barrier.longest, barrier.pause);
        c->state = COMMAND_BARRIER;
      }
      break;
    case COMMAND_BARRIER:
      r = sync_run(o, &c->sync, &err);
      if (r == EXCHANGE_WAIT)
        return OP_WAIT;
      if (r == EXCHANGE_FAILED && err == LINK_EPORT)
        return command_done(c, err);
      k->stale = 0; /* what could be done has been done */
      k->panic[0] = '\0';
      c->state = COMMAND_SEND;
      break;
    case COMMAND_SEND:
      link_skip(k);
      err = exchange_begin(k, &c->x, c->op, c->checksum, NULL, 0, c->data, c->len, c->timeout);
      if (err)
        return command_done(c, err);
      c->state = COMMAND_WAIT;
      break;
    default:
      r = exchange_run(o, &c->x, &err);
      if (r == EXCHANGE_WAIT)
        return OP_WAIT;
      if (r == EXCHANGE_FAILED && (err == LINK_ETIMEOUT || err == LINK_EREPLY) && c->retries > 0) {
        c->retries--;
        k->stale = 1;
        c->state = COMMAND_BEGIN;
        break;
      }
      if (r == EXCHANGE_REFUSED && k->guard && c->x.status.error == ERROR_STUB_FRAME &&
          c->damaged++ < DAMAGED) {
        k->stale = 1; /* nothing was done; what was broken may have been something before it, though */
        c->state = COMMAND_BEGIN;
        break;
      }
      return command_done(c, r == EXCHANGE_OK ? LINK_OK : err);
    }
  }
}

void link_command_begin(struct link_command *c, struct link *k) {
  link_begin(&c->o, k, command_run);
}

/* --- SYNC -------------------------------------------------------------------------------------------------
 */

static int sync_op_run(struct link_op *o) {
  struct link_sync *s = (struct link_sync *)o;
  int err = 0, r = sync_run(o, &s->sync, &err);
  if (r == EXCHANGE_WAIT)
    return OP_WAIT;
  o->result = r == EXCHANGE_OK ? LINK_OK : err;
  return OP_DONE;
}

void link_sync_begin(struct link_sync *s, struct link *k) {
  link_begin(&s->o, k, sync_op_run);
}

/* --- flush ------------------------------------------------------------------------------------------------
 */

/* The port's own step is called with the reason why it is called, so this operation has a step of its own. */
static int flush_step(struct ev_op *op, int why) {
  struct link_flush *f = (struct link_flush *)op;
  struct link *k = f->o.k;
  if (why == EV_START) {
    k->busy = &f->o;
    link_drop(k);
  }
  f->rq.op.ready = op->ready;
  int r = f->rq.op.step(&f->rq.op, why);
  op->fd = f->rq.op.fd;
  op->events = f->rq.op.events;
  op->deadline = f->rq.op.deadline;
  if (r != OP_DONE)
    return r;
  k->busy = NULL;
  f->o.result = LINK_OK;
  if (f->rq.result < 0)
    f->o.result = link_fail_port(k, f->rq.result);
  return OP_DONE;
}

static void flush_cancel(struct ev_op *op) {
  struct link_flush *f = (struct link_flush *)op;
  if (f->rq.op.cancel)
    f->rq.op.cancel(&f->rq.op);
  link_cancel(op);
}

void link_flush_begin(struct link_flush *f, struct link *k) {
  link_begin(&f->o, k, NULL);
  f->o.op.step = flush_step;
  f->o.op.cancel = flush_cancel;
  port_request(&f->rq, k->port, PORT_FLUSH, 0, 0);
}

/* --- frames ------------------------------------------------------------------------------------------------
 */

static int receive_run(struct link_op *o) {
  struct link_receive *r = (struct link_receive *)o;
  struct link *k = o->k;
  int next;
  while ((next = link_next(k, &r->reply)) == LINK_REPLY || next == LINK_STRAY) {
    if (k->what != SLIP_FRAME)
      continue;
    r->is_reply = next == LINK_REPLY;
    r->frame = k->dec.buf;
    r->n = k->dec.len;
    o->result = LINK_OK;
    return OP_DONE;
  }
  if (next < 0) {
    o->result = next;
    return OP_DONE;
  }
  if (ev_now() < r->deadline)
    return link_wait(o, r->deadline, next);
  o->result = link_fail(k, LINK_ETIMEOUT, 0, "no packet in time");
  return OP_DONE;
}

void link_receive_begin(struct link_receive *r, struct link *k, double seconds) {
  link_begin(&r->o, k, receive_run);
  r->deadline = ev_now() + seconds;
}

/* --- bytes -------------------------------------------------------------------------------------------------
 */

static int read_run(struct link_op *o) {
  struct link_read *r = (struct link_read *)o;
  struct link *k = o->k;
  size_t left = k->in_len - k->in_at;
  o->result = LINK_OK;
  if (left > 0) {
    r->n = left < r->max ? left : r->max;
    memcpy(r->buf, k->in + k->in_at, r->n);
    k->in_at += r->n;
    return OP_DONE;
  }
  int n = port_read(k->port, r->buf, r->max);
  if (n > 0) {
    r->n = (size_t)n;
    return OP_DONE;
  }
  if (n < 0) {
    o->result = link_fail_port(k, n);
    return OP_DONE;
  }
  if (ev_now() < r->deadline)
    return link_wait(o, r->deadline, LINK_NONE);
  o->result = link_fail(k, LINK_ETIMEOUT, 0, "nothing received in time");
  return OP_DONE;
}

void link_read_begin(struct link_read *r, struct link *k, uint8_t *buf, size_t max, double seconds) {
  link_begin(&r->o, k, read_run);
  r->buf = buf;
  r->max = max;
  r->deadline = ev_now() + seconds;
}

static int send_run(struct link_op *o) {
  struct link_send *s = (struct link_send *)o;
  struct link *k = o->k;
  o->result = link_write(k);
  if (o->result != LINK_OK || k->tx_at == k->tx_len)
    return OP_DONE;
  if (ev_now() < s->deadline)
    return link_wait(o, s->deadline, LINK_NONE);
  k->tx_at = k->tx_len = 0;
  o->result = link_fail(k, LINK_ETIMEOUT, 0, "the port took no more bytes");
  return OP_DONE;
}

void link_send_begin(struct link_send *s, struct link *k, double seconds) {
  link_begin(&s->o, k, send_run);
  s->deadline = ev_now() + seconds + link_line_time(k);
}

int link_put_raw(struct link *k, const uint8_t *data, size_t n) {
  if (k->tx_at == k->tx_len)
    k->tx_at = k->tx_len = 0;
  if (n > k->tx_room - k->tx_len) {
    uint8_t *more = realloc(k->tx, k->tx_len + n);
    if (!more)
      return link_fail(k, LINK_ENOMEM, 0, "not enough memory");
    k->tx = more;
    k->tx_room = k->tx_len + n;
  }
  memcpy(k->tx + k->tx_len, data, n);
  k->tx_len += n;
  return LINK_OK;
}
