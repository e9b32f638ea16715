/* link.c - commands and replies over a port. */
#include "link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  TURN = 0x10000,   /* bytes read in one step, so that others have their turn and clocks are looked at */
  TRACE_TURN = 64,  /* records that are kept before somebody must take them */
  TX_ROOM = 0x1000, /* to begin with */
  SYNC_ANSWERS = 8
};

static const double GRACE = 0.1; /* seconds in which the rest of something may follow */

int link_init(struct link *k, struct port *p) {
  memset(k, 0, sizeof *k);
  k->port = p;
  k->status_bytes = 2;
  k->trace_end = &k->trace;
  k->frame = malloc(LINK_FRAME_MAX);
  k->in = malloc(LINK_READ);
  k->tx = malloc(TX_ROOM);
  k->tx_room = TX_ROOM;
  slip_reset(&k->dec, k->frame, LINK_FRAME_MAX);
  return k->frame && k->in && k->tx ? LINK_OK : LINK_ENOMEM;
}

void link_free(struct link *k) {
  struct link_trace *t;
  while (k->trace_end && (t = link_trace_next(k)) != NULL)
    free(t);
  free(k->frame);
  free(k->in);
  free(k->tx);
  memset(k, 0, sizeof *k);
}

const char *link_code(const struct link *k, int err) {
  switch (err) {
  case LINK_ETIMEOUT:
    return "timeout";
  case LINK_EROM:
    if (k->error == ERROR_STUB_PROTECTED)
      return "flash_protected";
    if (k->error == ERROR_STUB_FLASH || k->error == ERROR_STUB_FLASH_TIMEOUT)
      return "flash_failed";
    return k->error == ERROR_ROM_CHECKSUM || k->error == ERROR_STUB_CHECKSUM ? "checksum" : "rom_error";
  case LINK_EPANIC:
    return "target_panic";
  case LINK_ESYNC:
    return "no_sync";
  case LINK_EPORT:
    return port_code(k->port_error);
  case LINK_ENOMEM:
    return "no_memory";
  case LINK_ECANCELLED:
    return "cancelled";
  case LINK_ETOOLONG:
    return "bad_argument";
  default:
    return "bad_reply";
  }
}

int link_fail(struct link *k, int err, unsigned op, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(k->text, sizeof k->text, fmt, ap);
  va_end(ap);
  k->op = op;
  return err;
}

int link_fail_port(struct link *k, int err) {
  k->port_error = err;
  return link_fail(k, LINK_EPORT, k->op, "%s", k->port->error[0] ? k->port->error : port_strerror(err));
}

/* "FLASH_BEGIN" or "command 0x42" */
static const char *name_of(unsigned op, char *buf, size_t n) {
  const char *name = frame_op_name(op);
  if (name)
    return name;
  snprintf(buf, n, "command 0x%02X", op);
  return buf;
}

int link_refused(struct link *k, unsigned op, const struct frame_status *s) {
  char buf[24];
  k->status = s->status;
  k->error = s->error;
  return link_fail(k, LINK_EROM, op, "%s was refused, error 0x%02X: %s", name_of(op, buf, sizeof buf),
                   s->error, frame_error_text(s->error));
}

/* --- tracing -------------------------------------------------------------------------------------- */

static void trace(struct link *k, int sent, const uint8_t *a, size_t na, const uint8_t *b, size_t nb,
                  const uint8_t *c, size_t nc) {
  struct link_trace *t = malloc(sizeof *t + na + nb + nc);
  if (!t)
    return;
  t->next = NULL;
  t->t = ev_now();
  t->sent = sent;
  t->n = na + nb + nc;
  if (na)
    memcpy(t->bytes, a, na);
  if (nb)
    memcpy(t->bytes + na, b, nb);
  if (nc)
    memcpy(t->bytes + na + nb, c, nc);
  *k->trace_end = t;
  k->trace_end = &t->next;
  k->trace_count++;
}

struct link_trace *link_trace_next(struct link *k) {
  struct link_trace *t = k->trace;
  if (!t)
    return NULL;
  k->trace = t->next;
  if (!k->trace)
    k->trace_end = &k->trace;
  k->trace_count--;
  return t;
}

/* --- operations --------------------------------------------------------------------------------------- */

void link_begin(struct link_op *o, struct link *k, int (*run)(struct link_op *)) {
  o->op.step = link_step;
  o->op.cancel = link_cancel;
  o->k = k;
  o->run = run;
}

int link_step(struct ev_op *op, int why) {
  struct link_op *o = (struct link_op *)op;
  struct link *k = o->k;
  if (why == EV_START) {
    k->busy = o;
    k->text[0] = k->panic[0] = '\0';
    k->drained = 0;
    k->status = k->error = k->op = 0;
  }
  k->turn = 0;
  o->events = 0;
  int r = o->run(o);
  if (r == OP_DONE) {
    k->busy = NULL;
    k->keep = NULL;
  }
  if (r != OP_DONE && k->trace) {
    o->events |= LINK_TRACE;
    r = OP_EVENT;
  }
  return r;
}

void link_cancel(struct ev_op *op) {
  struct link_op *o = (struct link_op *)op;
  struct link *k = o->k;
  if (k->busy != o)
    return;
  k->busy = NULL;
  k->keep = NULL;
  k->tx_at = k->tx_len = 0;
  k->stale = 1;
}

int link_wait(struct link_op *o, double deadline, int next) {
  struct link *k = o->k;
  o->op.fd = k->port->fd;
  o->op.events = EV_READ | (k->tx_at < k->tx_len ? EV_WRITE : 0);
  o->op.deadline = next == LINK_MORE ? 0 : deadline;
  return OP_WAIT;
}

int link_yield(struct link_op *o) {
  o->op.fd = -1;
  o->op.deadline = 0;
  return OP_WAIT;
}

void link_drop(struct link *k) {
  k->in_at = k->in_len = 0;
  k->tx_at = k->tx_len = 0;
  slip_reset(&k->dec, k->frame, LINK_FRAME_MAX);
}

/* --- writing ------------------------------------------------------------------------------------------ */

int link_put(struct link *k, uint8_t op, uint32_t checksum, const uint8_t *head, size_t head_len,
             const uint8_t *data, size_t len) {
  if (head_len + len > FRAME_DATA_MAX)
    return link_fail(k, LINK_ETOOLONG, op, "%zu bytes do not fit in a packet", head_len + len);
  size_t room = FRAME_ROOM(head_len + len);
  if (k->guard && op != OP_SYNC) { /* after a reset that we know nothing of a ROM may answer that */
    uint32_t guard = frame_guard(op, head, head_len, data, len);
    if (guard > 0xFF)
      checksum = guard;
  }
  if (k->tx_at == k->tx_len)
    k->tx_at = k->tx_len = 0;
  if (room > k->tx_room - k->tx_len) {
    uint8_t *more = realloc(k->tx, k->tx_len + room);
    if (!more)
      return link_fail(k, LINK_ENOMEM, op, "not enough memory");
    k->tx = more;
    k->tx_room = k->tx_len + room;
  }
  k->tx_len += frame_request(k->tx + k->tx_len, op, checksum, head, head_len, data, len);
  if (k->tracing) {
    uint8_t header[FRAME_HEADER] = {0, op};
    put_le16(header + 2, (uint32_t)(head_len + len));
    put_le32(header + 4, checksum);
    trace(k, 1, header, sizeof header, head, head_len, data, len);
  }
  return LINK_OK;
}

int link_write(struct link *k) {
  while (k->tx_at < k->tx_len) {
    int n = port_write(k->port, k->tx + k->tx_at, k->tx_len - k->tx_at);
    if (n < 0)
      return link_fail_port(k, n);
    if (n == 0)
      break;
    k->tx_at += (size_t)n;
    k->written += (uint64_t)n;
    k->wrote_at = ev_now();
  }
  return LINK_OK;
}

double link_until(const struct link *k, double deadline) {
  double patience = k->tx_at < k->tx_len ? k->wrote_at + k->write_timeout : 0;
  return patience > deadline ? patience : deadline;
}

double link_line_time(const struct link *k) {
  return k->port->baud > 0 ? (double)(k->tx_len - k->tx_at) * 11 / k->port->baud : 0;
}

/* --- reading ------------------------------------------------------------------------------------------ */

/* Looks for the words with which a crashing program begins its report, and copies that line. Without `all`
 * only when it has come to its end. */
static void look_for_panic(struct link *k, const uint8_t *p, size_t n, int all) {
  static const char *const words[] = {"Guru Meditation", "Fatal exception"};
  for (size_t i = 0; i < sizeof words / sizeof *words && !k->panic[0]; i++) {
    const uint8_t *at = memmem(p, n, words[i], strlen(words[i]));
    size_t len = 0;
    if (!at)
      continue;
    size_t left = (size_t)(p + n - at);
    while (len < left && len < sizeof k->panic - 1 && at[len] >= ' ' && at[len] < 0x7F)
      len++;
    if (len == left && !all)
      continue;
    memcpy(k->panic, at, len);
    k->panic[len] = '\0';
  }
}

/* Text has no delimiters: it waits in the decoder. */
static void look_at_pending(struct link *k, int all) {
  if (!k->dec.full && k->dec.len >= 15 && k->dec.buf[0] != 0x01)
    look_for_panic(k, k->dec.buf, k->dec.len, all);
}

void link_look_at_text(struct link *k) {
  look_at_pending(k, 1);
}

static void keep(struct link *k, const uint8_t *p, size_t n) {
  if (n >= k->keep_room) {
    p += n - k->keep_room;
    n = k->keep_room;
  }
  if (k->keep_len + n > k->keep_room) {
    size_t old = k->keep_room - n;
    memmove(k->keep, k->keep + k->keep_len - old, old);
    k->keep_len = old;
  }
  memcpy(k->keep + k->keep_len, p, n);
  k->keep_len += n;
}

void link_skip(struct link *k) {
  while (k->in_at < k->in_len) {
    size_t used;
    if (slip_decode(&k->dec, k->in + k->in_at, k->in_len - k->in_at, &used) != SLIP_MORE)
      k->strays++;
    k->in_at += used;
  }
}

int link_next(struct link *k, struct frame_reply *r) {
  for (;;) {
    if (k->trace_count >= TRACE_TURN)
      return LINK_MORE;
    while (k->in_at < k->in_len) {
      size_t used;
      int what = slip_decode(&k->dec, k->in + k->in_at, k->in_len - k->in_at, &used);
      k->in_at += used;
      if (what == SLIP_MORE)
        continue;
      k->what = what;
      if (what == SLIP_FRAME) {
        if (k->tracing)
          trace(k, 0, k->dec.buf, k->dec.len, NULL, 0, NULL, 0);
        if (frame_parse(r, k->dec.buf, k->dec.len))
          return LINK_REPLY;
      }
      if (!k->data)
        look_for_panic(k, k->dec.buf, k->dec.len, 1);
      return LINK_STRAY;
    }
    k->in_at = k->in_len = 0;
    if (k->turn >= TURN)
      return LINK_MORE;
    int n = port_read(k->port, k->in, LINK_READ);
    if (n < 0)
      return link_fail_port(k, n);
    if (n == 0) {
      k->drained = 1;
      if (!k->data)
        look_at_pending(k, 0);
      return LINK_NONE;
    }
    k->drained = n < LINK_READ;
    k->in_len = (size_t)n;
    k->turn += (size_t)n;
    if (k->keep)
      keep(k, k->in, k->in_len);
  }
}

/* --- one request and its reply ------------------------------------------------------------------------ */

int exchange_begin(struct link *k, struct exchange *x, uint8_t op, uint32_t checksum, const uint8_t *head,
                   size_t head_len, const uint8_t *data, size_t len, double seconds) {
  int err = link_put(k, op, checksum, head, head_len, data, len);
  x->op = op;
  x->fresh = 1;
  k->wrote_at = ev_now();
  x->deadline = k->wrote_at + seconds + link_line_time(k);
  return err ? err : link_write(k);
}

static int exchange_late(struct link *k, struct exchange *x, int *err) {
  char buf[24];
  const char *name = name_of(x->op, buf, sizeof buf);
  look_at_pending(k, 1);
  k->stale = 1;
  if (k->panic[0])
    *err = link_fail(k, LINK_EPANIC, x->op, "%s: the program on the chip crashed: %s", name, k->panic);
  else if (k->tx_at < k->tx_len)
    *err = link_fail(k, LINK_ETIMEOUT, x->op, "%s: the port took no more bytes", name);
  else
    *err = link_fail(k, LINK_ETIMEOUT, x->op, "%s: no answer in time", name);
  k->tx_at = k->tx_len = 0;
  return EXCHANGE_FAILED;
}

/* A stub that got a broken frame cannot tell the command that it was. */
static int says_damaged(struct link *k, struct exchange *x) {
  return k->guard && frame_status(&x->status, &x->reply, 2, 0) == 0 && x->reply.len == 2 &&
         x->status.error == ERROR_STUB_FRAME;
}

int exchange_run(struct link_op *o, struct exchange *x, int *err) {
  struct link *k = o->k;
  char buf[24];
  int next = LINK_NONE;
  *err = link_write(k);
  if (*err)
    return EXCHANGE_FAILED;
  /* Right after sending there can be no reply yet; the call is saved. */
  if (x->fresh && k->drained && k->in_at == k->in_len) {
    x->fresh = 0;
    link_wait(o, x->deadline, next);
    return EXCHANGE_WAIT;
  }
  while ((next = link_next(k, &x->reply)) == LINK_REPLY || next == LINK_STRAY) {
    if (next == LINK_STRAY && x->quick && x->deadline > ev_now() + GRACE)
      x->deadline = ev_now() + GRACE;
    if (next == LINK_REPLY && x->reply.op != x->op && says_damaged(k, x))
      return *err = link_refused(k, x->op, &x->status), EXCHANGE_REFUSED;
    if (next == LINK_STRAY || x->reply.op != x->op) {
      k->strays++;
      if (k->panic[0])
        return exchange_late(k, x, err);
      continue;
    }
    if (frame_status(&x->status, &x->reply, x->status_bytes, x->min) != 0) {
      k->stale = 1;
      *err = link_fail(k, LINK_EREPLY, x->op, "%s: an answer of %zu bytes that makes no sense",
                       name_of(x->op, buf, sizeof buf), x->reply.len);
      return EXCHANGE_FAILED;
    }
    if (x->status.status == 0)
      return EXCHANGE_OK;
    *err = link_refused(k, x->op, &x->status);
    return EXCHANGE_REFUSED;
  }
  if (next < 0) {
    *err = next;
    return EXCHANGE_FAILED;
  }
  x->deadline = link_until(k, x->deadline);
  if (k->panic[0] || ev_now() >= x->deadline)
    return exchange_late(k, x, err);
  link_wait(o, x->deadline, next);
  return EXCHANGE_WAIT;
}

/* --- SYNC --------------------------------------------------------------------------------------------- */

enum { SYNC_SEND, SYNC_FIRST, SYNC_REST, SYNC_PAUSE };

void sync_begin(struct sync *s, int tries, double timeout, double longest, double pause) {
  *s = (struct sync){.tries = tries, .timeout = timeout, .longest = longest, .pause = pause};
}

void sync_again(struct link *k, struct sync *s, double seconds) {
  link_drop(k);
  k->panic[0] = '\0';
  sync_begin(s, (int)(seconds / 0.5) + 3, 0.1, 0.5, 0.02);
}

static int sync_send(struct link *k, struct sync *s) {
  uint8_t data[36] = {0x07, 0x07, 0x12, 0x20};
  memset(data + 4, 0x55, sizeof data - 4);
  k->tx_at = k->tx_len = 0;
  s->state = SYNC_FIRST;
  s->answers = 0;
  s->stub = 1;
  s->tried++;
  int err = link_put(k, OP_SYNC, 0, data, sizeof data, NULL, 0);
  s->until = ev_now() + s->timeout + link_line_time(k);
  s->timeout = 2 * s->timeout < s->longest ? 2 * s->timeout : s->longest;
  return err;
}

/* The time is up. Returns EXCHANGE_WAIT when there is a next try. */
static int sync_late(struct link *k, struct sync *s, int *err) {
  if (s->state == SYNC_REST) { /* some answers are enough: what was sent before is answered */
    k->stale = 0;
    return EXCHANGE_OK;
  }
  if (s->state == SYNC_PAUSE) {
    s->state = SYNC_SEND;
    return EXCHANGE_WAIT;
  }
  if (s->tried < s->tries) {
    s->state = SYNC_PAUSE;
    s->until = ev_now() + s->pause;
    return EXCHANGE_WAIT;
  }
  k->tx_at = k->tx_len = 0;
  look_at_pending(k, 1);
  *err = k->panic[0] ? link_fail(k, LINK_EPANIC, OP_SYNC, "the program on the chip crashed: %s", k->panic)
                     : link_fail(k, LINK_ESYNC, OP_SYNC, "no answer to SYNC (tried %d times)", s->tried);
  return EXCHANGE_FAILED;
}

int sync_run(struct link_op *o, struct sync *s, int *err) {
  struct link *k = o->k;
  struct frame_reply r;
  int next;
  for (;;) {
    if (s->state == SYNC_SEND && (*err = sync_send(k, s)) != 0)
      return EXCHANGE_FAILED;
    if ((*err = link_write(k)) != 0)
      return EXCHANGE_FAILED;
    while ((next = link_next(k, &r)) == LINK_REPLY || next == LINK_STRAY) {
      if (next == LINK_STRAY || r.op != OP_SYNC || s->state == SYNC_PAUSE) {
        k->strays++;
        continue;
      }
      s->stub &= r.value == 0;
      s->status = r.len;
      s->until = ev_now() + GRACE;
      s->state = SYNC_REST;
      if (++s->answers == SYNC_ANSWERS) {
        k->stale = 0;
        return EXCHANGE_OK;
      }
    }
    if (next < 0) {
      *err = next;
      return EXCHANGE_FAILED;
    }
    if (ev_now() < s->until) {
      link_wait(o, s->until, next);
      return EXCHANGE_WAIT;
    }
    int r2 = sync_late(k, s, err);
    if (r2 != EXCHANGE_WAIT)
      return r2;
  }
}
