/* port_tcp.c - socket://host:port: bytes over TCP, no modem lines. */
#include "dial.h"
#include "port.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS = 5000, RETRY_MS = 100 };

struct tcp {
  struct port p;
  struct dial dial;
  double end; /* of reopening */
};

static void tcp_close(struct port *p) {
  dial_cancel(&((struct tcp *)p)->dial);
  port_fd_close(p);
}

int port_tcp_write(struct port *p, const void *buf, size_t n) {
  int sent = port_socket_write(p, buf, n);
#ifdef TCP_QUICKACK
  int on = 1;
  if (sent > 0)
    setsockopt(p->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
#endif
  return sent;
}

static void open_cancel(struct ev_op *op) {
  struct port_request *rq = (struct port_request *)op;
  dial_cancel(&((struct tcp *)rq->port)->dial);
}

static int open_step(struct tcp *t, struct port_request *rq, int why) {
  char text[160];
  int fd;
  if (why == EV_START)
    t->dial.limit = (rq->a > 0 ? rq->a : CONNECT_MS) / 1e3;
  rq->op.cancel = open_cancel;
  if (dial_step(&t->dial, &rq->op, why, &fd, text, sizeof text) == OP_WAIT)
    return OP_WAIT;
  t->p.fd = fd;
  rq->result = fd >= 0 ? PORT_OK : port_fail(&t->p, PORT_EMISSING, "%s", text);
  return OP_DONE;
}

/* Connects again and again until the time is over. */
static int reopen_step(struct tcp *t, struct port_request *rq, int why) {
  if (why == EV_START) {
    tcp_close(&t->p);
    t->end = ev_now() + rq->a / 1e3;
  }
  if (rq->state == 1) { /* waited between two attempts */
    rq->state = 0;
    why = EV_START;
  }
  double left = t->end - ev_now();
  int limit = rq->a;
  rq->a = left > 0.1 ? (int)(left * 1e3) : 100;
  int r = open_step(t, rq, why);
  rq->a = limit;
  if (r == OP_WAIT || rq->result == PORT_OK || ev_now() + RETRY_MS / 1e3 > t->end)
    return r;
  rq->state = 1;
  rq->op.fd = -1;
  rq->op.deadline = ev_now() + RETRY_MS / 1e3;
  return OP_WAIT;
}

static int tcp_request(struct port *p, struct port_request *rq, int why) {
  struct tcp *t = (struct tcp *)p;
  rq->result = PORT_OK;
  switch (rq->what) {
  case PORT_OPEN:
    return open_step(t, rq, why);
  case PORT_REOPEN:
    return reopen_step(t, rq, why);
  case PORT_BAUD: /* only told: the other end knows nothing of it */
    p->baud = rq->a;
    break;
  case PORT_FLUSH:
    rq->result = port_fd_flush(p);
    break;
  case PORT_DRAIN:
    break;
  default:
    rq->result = port_fail(p, PORT_EUNSUPPORTED, "a TCP connection has no modem lines");
  }
  return OP_DONE;
}

int port_new_tcp(struct port **out, const char *url, int baud, char *error) {
  static const struct port_ops ops = {"socket", 0, 0, port_fd_read, port_tcp_write, tcp_request, tcp_close};
  struct dial dial;
  const char *rest;
  if (dial_parse(&dial, url + strlen("socket://"), &rest) != 0 || (*rest && strcmp(rest, "/") != 0)) {
    snprintf(error, PORT_ERROR_SIZE, "%.200s: socket://host:port expected", url);
    return PORT_EARGUMENT;
  }
  struct tcp *t = port_alloc(sizeof *t, &ops, url, baud);
  if (!t) {
    snprintf(error, PORT_ERROR_SIZE, "not enough memory");
    return PORT_EFAILED;
  }
  t->dial = dial;
  *out = &t->p;
  return PORT_OK;
}
