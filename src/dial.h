/* dial.h - a TCP connection to host:port, without blocking, within a limit of time. */
#ifndef DIAL_H
#define DIAL_H

#include "ev.h"

#include <stddef.h>

struct dial_lookup;
struct addrinfo;

struct dial {
  char host[256], service[8];
  double limit; /* seconds for everything */
  /* private */
  int state, fd, last_errno;
  double end;
  struct dial_lookup *lookup;
  struct addrinfo *list, *next;
};

/* Splits "host:port[rest]" or "[v6]:port[rest]"; *rest points at what follows the port. 0, or -1 when
 * malformed. */
int dial_parse(struct dial *d, const char *text, const char **rest);

/* A step function: OP_WAIT with op's fields set, or OP_DONE; then *fd is the connected socket (non-blocking,
 * no delay), or *fd is -1 and *why_not a few words (static, or in text). */
int dial_step(struct dial *d, struct ev_op *op, int why, int *fd, char *why_not, size_t size);

/* Gives up; needed after OP_WAIT when dial_step will not be called again. Any number of times. */
void dial_cancel(struct dial *d);

#endif
