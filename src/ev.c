/* ev.c - the event loop on libuv. */
#include "ev.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

/* One descriptor of the loop. It is kept, stopped, when nobody waits for it: a stopped handle holds nothing
 * of the file, so the number may come to mean another file. */
struct watch {
  uv_poll_t handle;
  int fd, active; /* active: the events that libuv watches, 0 when stopped */
  struct ev_op *reader, *writer;
  struct watch *next;
};

struct ev {
  uv_loop_t uv;
  uv_timer_t timer;
  uv_async_t async;
  struct watch *watches;
  struct ev_link waiting, due;
};

static void list_init(struct ev_link *l) {
  l->prev = l->next = l;
}

static void list_unlink(struct ev_link *l) {
  l->prev->next = l->next;
  l->next->prev = l->prev;
  list_init(l);
}

static void list_append(struct ev_link *list, struct ev_link *l) {
  l->prev = list->prev;
  l->next = list;
  list->prev->next = l;
  list->prev = l;
}

static struct ev_op *op_of(struct ev_link *l) {
  return (struct ev_op *)((char *)l - offsetof(struct ev_op, link));
}

double ev_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A timer that is due before uv_run has polled is taken off the loop first, and polling would then go on
 * without an end: so polling is told not to wait. */
static void on_timer(uv_timer_t *t) {
  uv_stop(t->loop);
}

static void on_async(uv_async_t *async) {
  (void)async;
}

struct ev *ev_new(void) {
  struct ev *loop = calloc(1, sizeof *loop);
  if (!loop || uv_loop_init(&loop->uv) != 0) {
    free(loop);
    return NULL;
  }
  list_init(&loop->waiting);
  list_init(&loop->due);
  uv_timer_init(&loop->uv, &loop->timer);
  if (uv_async_init(&loop->uv, &loop->async, on_async) != 0) {
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    free(loop);
    return NULL;
  }
  return loop;
}

void ev_free(struct ev *loop) {
  if (!loop)
    return;
  while (loop->due.next != &loop->due)
    ev_cancel(op_of(loop->due.next));
  while (loop->waiting.next != &loop->waiting)
    ev_cancel(op_of(loop->waiting.next));
  uv_close((uv_handle_t *)&loop->timer, NULL);
  uv_close((uv_handle_t *)&loop->async, NULL);
  for (struct watch *w = loop->watches; w; w = w->next)
    uv_close((uv_handle_t *)&w->handle, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  uv_loop_close(&loop->uv);
  for (struct watch *w = loop->watches, *next; w; w = next) {
    next = w->next;
    free(w);
  }
  free(loop);
}

static void on_poll(uv_poll_t *handle, int status, int events);

/* Makes libuv watch what the waiters of w want. */
static int watch_update(struct watch *w) {
  int want = (w->reader ? UV_READABLE : 0) | (w->writer ? UV_WRITABLE : 0);
  if (want == w->active)
    return 0;
  int err = want ? uv_poll_start(&w->handle, want, on_poll) : uv_poll_stop(&w->handle);
  w->active = err ? 0 : want;
  return err;
}

static void detach(struct watch *w, struct ev_op *op) {
  if (w->reader == op)
    w->reader = NULL;
  if (w->writer == op)
    w->writer = NULL;
  watch_update(w);
}

static struct watch *find_watch(struct ev *loop, int fd) {
  struct watch *w = loop->watches;
  while (w && w->fd != fd)
    w = w->next;
  return w;
}

static void on_poll(uv_poll_t *handle, int status, int events) {
  struct watch *w = handle->data;
  if (status < 0) /* an error on the descriptor: whoever waits finds it by trying */
    events = UV_READABLE | UV_WRITABLE, w->active = 0;
  struct ev_op *reader = events & UV_READABLE ? w->reader : NULL;
  struct ev_op *writer = events & UV_WRITABLE ? w->writer : NULL;
  if (reader)
    reader->ready |= EV_READ, reader->woken = 1;
  if (writer)
    writer->ready |= EV_WRITE, writer->woken = 1;
}

static struct watch *get_watch(struct ev *loop, int fd) {
  struct watch *w = find_watch(loop, fd);
  if (w)
    return w;
  if (!(w = calloc(1, sizeof *w)))
    return NULL;
  if (uv_poll_init(&loop->uv, &w->handle, fd) != 0) {
    free(w);
    return NULL;
  }
  w->handle.data = w;
  w->fd = fd;
  w->next = loop->watches;
  loop->watches = w;
  return w;
}

/* Puts op into the loop. */
static int enter(struct ev *loop, struct ev_op *op) {
  op->ready = op->woken = 0;
  if (op->fd >= 0 && (op->events & (EV_READ | EV_WRITE))) {
    if (fcntl(op->fd, F_GETFD) < 0)
      return EV_EBADF;
    struct watch *w = get_watch(loop, op->fd);
    if (!w)
      return EV_ENOMEM;
    if (((op->events & EV_READ) && w->reader) || ((op->events & EV_WRITE) && w->writer))
      return EV_EBUSY;
    if (op->events & EV_READ)
      w->reader = op;
    if (op->events & EV_WRITE)
      w->writer = op;
    if (watch_update(w) != 0) {
      detach(w, op);
      return EV_EBADF;
    }
  }
  op->loop = loop;
  list_append(&loop->waiting, &op->link);
  return OP_WAIT;
}

int ev_start(struct ev *loop, struct ev_op *op, int why, void (*done)(struct ev_op *op, int result)) {
  op->loop = NULL;
  op->done = done;
  list_init(&op->link);
  op->result = op->step(op, why);
  if (op->result != OP_WAIT)
    return op->result;
  op->result = enter(loop, op);
  if (op->result < 0 && op->cancel)
    op->cancel(op);
  return op->result;
}

void ev_stop(struct ev_op *op) {
  if (!op->loop)
    return;
  list_unlink(&op->link);
  if (op->fd >= 0) {
    struct watch *w = find_watch(op->loop, op->fd);
    if (w)
      detach(w, op);
  }
  op->loop = NULL;
}

void ev_cancel(struct ev_op *op) {
  ev_stop(op);
  if (op->cancel)
    op->cancel(op);
}

void ev_wake(struct ev_op *op) {
  op->woken = 1;
}

void ev_forget(struct ev *loop, int fd) {
  struct watch *w = find_watch(loop, fd);
  if (!w)
    return;
  struct ev_op *ops[] = {w->reader, w->writer};
  w->reader = w->writer = NULL;
  watch_update(w);
  for (size_t i = 0; i < 2; i++)
    if (ops[i]) {
      ops[i]->fd = -1;
      ev_wake(ops[i]);
    }
}

/* Sets the timer to the nearest deadline. Returns the mode for uv_run, or -1 when nothing can ever happen. */
static int prepare(struct ev *loop, double until) {
  double now = ev_now(), next = until;
  int active = 0;
  for (struct ev_link *l = loop->waiting.next; l != &loop->waiting; l = l->next) {
    struct ev_op *op = op_of(l);
    if (op->woken)
      next = now;
    else if (op->deadline < next)
      next = op->deadline;
    active |= op->woken || op->fd >= 0;
  }
  uv_timer_stop(&loop->timer);
  if (next <= now)
    return UV_RUN_NOWAIT;
  if (next >= EV_FOREVER)
    return active ? UV_RUN_ONCE : -1;
  double ms = ceil((next - now) * 1e3);
  uv_update_time(&loop->uv);
  uv_timer_start(&loop->timer, on_timer, ms < 1e9 ? (uint64_t)ms : (uint64_t)1e9, 0);
  return UV_RUN_ONCE;
}

/* Moves what is due out of the waiting list. */
static void collect(struct ev *loop) {
  double now = ev_now();
  for (struct ev_link *l = loop->waiting.next, *next; l != &loop->waiting; l = next) {
    next = l->next;
    struct ev_op *op = op_of(l);
    if (!op->woken && op->deadline > now)
      continue;
    list_unlink(l);
    list_append(&loop->due, l);
  }
}

static void run(struct ev *loop, struct ev_op *op) {
  int why = op->woken ? EV_READY : EV_TIMEOUT;
  ev_stop(op);
  int result = op->step(op, why);
  if (result == OP_WAIT) {
    result = enter(loop, op);
    if (result == OP_WAIT)
      return;
    if (op->cancel)
      op->cancel(op);
  }
  op->result = result;
  op->done(op, result);
}

int ev_turn(struct ev *loop, double until) {
  int mode = prepare(loop, until);
  if (mode < 0)
    return 0;
  uv_run(&loop->uv, (uv_run_mode)mode);
  collect(loop);
  while (loop->due.next != &loop->due)
    run(loop, op_of(loop->due.next));
  return 1;
}

void ev_interrupt(struct ev *loop) {
  uv_async_send(&loop->async);
}
