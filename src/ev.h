/* ev.h - the event loop: operations that wait for a descriptor, a deadline or a wake-up call.
 *
 * An operation is a state machine in plain C. Its step function runs until it would have to wait, says
 * what for, and is called again when that has come. Steps run one after another on the thread that calls
 * ev_turn, never inside a callback of the loop, so a step may start, wake or cancel other operations.
 *
 * Times are seconds. Deadlines are points on the clock of ev_now. */
#ifndef EV_H
#define EV_H

#include <stddef.h>
#include <stdint.h>

enum { EV_READ = 1, EV_WRITE = 2 };

/* Why a step is called. */
enum {
  EV_START,   /* the operation begins */
  EV_READY,   /* the descriptor is ready (op->ready says for what), or ev_wake was called */
  EV_TIMEOUT, /* the deadline has passed */
  EV_RESUME   /* the caller goes on after OP_EVENT */
};

/* What a step returns. */
enum {
  OP_DONE, /* finished; how is in fields of its own */
  OP_WAIT, /* wait for op->fd, op->events, op->deadline */
  OP_EVENT /* something to tell the caller, who goes on with EV_RESUME or cancels */
};

#define EV_FOREVER 1e300 /* no deadline */

struct ev;

struct ev_link {
  struct ev_link *prev, *next;
};

/* An operation. Zero all of it, then set step (and cancel); set the next three before returning OP_WAIT. */
struct ev_op {
  int (*step)(struct ev_op *op, int why);
  void (*cancel)(struct ev_op *op); /* may be NULL; leaves whatever it works on usable */
  int fd;                           /* -1: no descriptor. A socket, pipe or terminal, not a file */
  int events;                       /* EV_READ | EV_WRITE */
  double deadline;                  /* EV_FOREVER: none */
  int ready;                        /* with EV_READY: which events came; 0 after ev_wake */

  int result; /* how the last wait ended: OP_DONE, OP_EVENT, or EV_E... below zero */

  /* private to ev.c and to whom started it */
  struct ev_link link;
  struct ev *loop; /* NULL: not waiting */
  int woken;
  void (*done)(struct ev_op *op, int result);
  void *owner;
};

/* Seconds of the monotonic clock. */
double ev_now(void);

/* A loop, or NULL when there is no memory or no descriptor left. */
struct ev *ev_new(void);

/* Cancels what is waiting, then frees the loop. NULL is allowed. */
void ev_free(struct ev *loop);

enum { EV_EBUSY = -1, EV_ENOMEM = -2, EV_EBADF = -3 };

/* Calls op->step(op, why). When it wants to wait, op is put into the loop and op->done(op, OP_DONE or
 * OP_EVENT) is called from a later ev_turn. Returns OP_DONE, OP_WAIT or OP_EVENT, or an error below zero:
 * EV_EBUSY when another operation waits for the same thing on the same descriptor; op has then been
 * cancelled. */
int ev_start(struct ev *loop, struct ev_op *op, int why, void (*done)(struct ev_op *op, int result));

/* Takes a waiting operation out of the loop without a call of its functions. Nothing if it is not in one. */
void ev_stop(struct ev_op *op);

/* Ends an operation early: out of the loop, then op->cancel. Its done function is not called. */
void ev_cancel(struct ev_op *op);

/* Makes a waiting operation's step be called with EV_READY in the next turn. */
void ev_wake(struct ev_op *op);

/* To be called before fd is closed: those who wait for it are woken and no longer look at it. */
void ev_forget(struct ev *loop, int fd);

/* Waits until something happens, at most until the point of time `until`, and steps everything that is due.
 * Returns 0 when nothing waits that could ever happen, else 1. */
int ev_turn(struct ev *loop, double until);

/* Ends the wait of a running or coming ev_turn early. The one function that may be called from a signal
 * handler and from another thread. */
void ev_interrupt(struct ev *loop);

#endif
