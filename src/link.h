/* link.h - commands and replies over a port.
 *
 * A link keeps what has been received and not yet looked at. Everything that waits is an operation of ev.h
 * that begins with a struct link_op; one at a time. Every wait has a deadline: whatever arrives, an operation
 * ends.
 *
 * A step writes and reads as far as it can and looks at the clock; why it was called does not matter. So an
 * operation may stop at any point for an event (a progress report, a trace) and go on afterwards. */
#ifndef LINK_H
#define LINK_H

#include "ev.h"
#include "frame.h"
#include "port.h"

enum {
  LINK_FRAME_MAX = FRAME_HEADER + FRAME_DATA_MAX,
  LINK_READ = 0x2000, /* bytes read at once */
  LINK_TEXT = 320
};

enum {
  LINK_OK = 0,
  LINK_ETIMEOUT = -1, /* no answer in time */
  LINK_EROM = -2,     /* the command was refused */
  LINK_EREPLY = -3,   /* an answer that makes no sense */
  LINK_EPANIC = -4,   /* the chip reports that its program crashed */
  LINK_ESYNC = -5,    /* no answer to SYNC */
  LINK_EPORT = -6,    /* the port failed: link.port_error */
  LINK_EPAYLOAD = -7, /* what is to be sent cannot be read: link.payload_error */
  LINK_ENOMEM = -8,
  LINK_ECANCELLED = -9,
  LINK_ETOOLONG = -10 /* more than fits in a frame */
};

/* Events of OP_EVENT; several may be set. */
enum {
  LINK_TRACE = 1,    /* records wait: link_trace_next */
  LINK_PROGRESS = 2, /* done and total have changed */
  LINK_SINK = 4,     /* data are to be taken */
  LINK_ERASE = 8     /* the erase size of a new beginning is asked for */
};

/* A packet, for who wants to watch. */
struct link_trace {
  struct link_trace *next;
  double t;
  int sent; /* 0: received */
  size_t n;
  uint8_t bytes[]; /* without framing */
};

struct link {
  struct port *port; /* not owned */
  struct slip_decoder dec;
  uint8_t *frame;       /* what dec decodes into */
  uint8_t *in;          /* LINK_READ bytes */
  size_t in_at, in_len; /* of in: received, not decoded */
  uint8_t *tx;          /* framed, to be written */
  size_t tx_room, tx_at, tx_len;
  uint64_t written;     /* bytes, in all */
  double wrote_at;      /* when the port took some */
  double write_timeout; /* how long it may take none before that ends an exchange */
  struct link_op *busy; /* the operation in flight */
  int status_bytes;     /* 2 or 4 */
  int guard;            /* requests carry their CRC-32: frame_guard */
  int stale;            /* an answer to an earlier command may still come */
  int data;             /* frames carry what is in flash, which may read like a crash */
  int drained;          /* the port had no more when it was last read */
  size_t turn;          /* bytes read in this step */
  uint64_t strays;      /* frames that nobody waited for */
  int what;             /* SLIP_... of the last frame */
  uint8_t *keep;        /* when not NULL: the last bytes received go there */
  size_t keep_room, keep_len;

  int tracing;
  struct link_trace *trace, **trace_end;
  size_t trace_count;

  /* of the operation that failed last */
  int port_error, payload_error;
  unsigned op, status, error;
  char text[LINK_TEXT];
  char panic[160]; /* a line of a crashing program */
};

struct link_op {
  struct ev_op op; /* .step = link_step, .cancel = link_cancel */
  struct link *k;
  int (*run)(struct link_op *o); /* returns OP_DONE with result, OP_WAIT or OP_EVENT with events */
  int result;                    /* LINK_OK or LINK_E... */
  int events;
};

/* Returns LINK_OK or LINK_ENOMEM; link_free is right in both cases. */
int link_init(struct link *k, struct port *p);
void link_free(struct link *k);

int link_step(struct ev_op *op, int why);
void link_cancel(struct ev_op *op);

/* Prepares the first part of a zeroed operation. */
void link_begin(struct link_op *o, struct link *k, int (*run)(struct link_op *));

/* "timeout", "rom_error", "bad_reply", ... */
const char *link_code(const struct link *k, int err);

/* Fills in k->text, k->op. Returns err. */
int link_fail(struct link *k, int err, unsigned op, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for an error of the port. Returns LINK_EPORT. */
int link_fail_port(struct link *k, int err);

/* A refusal in words, from k->op, k->status, k->error. Returns LINK_EROM. */
int link_refused(struct link *k, unsigned op, const struct frame_status *s);

/* Drops what was received and a frame that was not written to its end. */
void link_drop(struct link *k);

/* Takes the oldest record; the caller frees it. NULL when there is none. */
struct link_trace *link_trace_next(struct link *k);

/* --- for operations: what steps are made of ---------------------------------------------------- */

/* Frames a request into k->tx. Returns LINK_OK, LINK_ENOMEM or LINK_ETOOLONG. */
int link_put(struct link *k, uint8_t op, uint32_t checksum, const uint8_t *head, size_t head_len,
             const uint8_t *data, size_t len);

/* Writes what is in k->tx as far as possible. Returns LINK_OK or LINK_EPORT. */
int link_write(struct link *k);

/* Until when an answer is waited for: longer than deadline while the port takes no bytes and may. */
double link_until(const struct link *k, double deadline);

/* Seconds that what is in k->tx takes on the line. */
double link_line_time(const struct link *k);

/* Drops what has been read so far: nothing of it can answer a request that is still to be sent. */
void link_skip(struct link *k);

enum {
  LINK_NONE,  /* nothing now: wait */
  LINK_REPLY, /* *r is a reply */
  LINK_STRAY, /* a frame that is no reply was dropped */
  LINK_MORE   /* enough for one step; there may be more */
};

/* Looks at text that waits for its end: it may be the report of a crash. */
void link_look_at_text(struct link *k);

/* The next frame. Returns one of the above or LINK_EPORT. *r is valid until the next call. */
int link_next(struct link *k, struct frame_reply *r);

/* Sets what o waits for: the port, until deadline. Returns OP_WAIT. */
int link_wait(struct link_op *o, double deadline, int next);

/* For operations with much to calculate: lets others have their turn. Returns OP_WAIT. */
int link_yield(struct link_op *o);

/* One request and its reply. */
struct exchange {
  uint8_t op;
  int status_bytes;
  size_t min; /* bytes of the body before the status, at least */
  int quick;  /* a damaged frame ends it soon: it was probably the reply */
  int fresh;  /* just sent */
  double deadline;
  struct frame_reply reply;
  struct frame_status status;
};

enum { EXCHANGE_WAIT, EXCHANGE_OK, EXCHANGE_REFUSED, EXCHANGE_FAILED };

/* Sends and begins to wait for seconds. Returns LINK_OK or LINK_E.... */
int exchange_begin(struct link *k, struct exchange *x, uint8_t op, uint32_t checksum, const uint8_t *head,
                   size_t head_len, const uint8_t *data, size_t len, double seconds);

/* Goes on. EXCHANGE_WAIT: return OP_WAIT. EXCHANGE_REFUSED: x->status says why, k->text too. EXCHANGE_FAILED:
 * *err is LINK_ETIMEOUT, LINK_EREPLY, LINK_EPANIC or LINK_EPORT. */
int exchange_run(struct link_op *o, struct exchange *x, int *err);

/* SYNC until it is answered. */
struct sync {
  int tries, tried, state, answers;
  double timeout, longest, pause; /* of a try, growing up to longest; between tries */
  double until;
  int stub;      /* all answers had value 0 */
  size_t status; /* bytes of the last one, which has nothing else */
};

void sync_begin(struct sync *s, int tries, double timeout, double longest, double pause);

/* Drops what was received and begins to get a stream's link in step again, which may take this many seconds.
 */
void sync_again(struct link *k, struct sync *s, double seconds);

/* EXCHANGE_WAIT, EXCHANGE_OK, or EXCHANGE_FAILED with *err. */
int sync_run(struct link_op *o, struct sync *s, int *err);

#endif
