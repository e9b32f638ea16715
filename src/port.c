/* port.c - what all ports share, and ports on a descriptor that is open already. */
#include "port.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *port_code(int err) {
  switch (err) {
  case PORT_EMISSING:
    return "port_missing";
  case PORT_EBUSY:
    return "port_busy";
  case PORT_EDENIED:
    return "port_denied";
  case PORT_EGONE:
    return "port_gone";
  case PORT_ETIMEOUT:
    return "timeout";
  case PORT_EUNSUPPORTED:
    return "unsupported";
  case PORT_EARGUMENT:
    return "bad_argument";
  case PORT_ECLOSED:
    return "port_closed";
  default:
    return "port_failed";
  }
}

const char *port_strerror(int err) {
  switch (err) {
  case PORT_EMISSING:
    return "no such port";
  case PORT_EBUSY:
    return "port is in use";
  case PORT_EDENIED:
    return "no permission to use the port";
  case PORT_EGONE:
    return "port is gone";
  case PORT_ETIMEOUT:
    return "timeout";
  case PORT_EUNSUPPORTED:
    return "not supported by this port";
  case PORT_EARGUMENT:
    return "malformed port name";
  case PORT_ECLOSED:
    return "port is closed";
  default:
    return "port failed";
  }
}

int port_fail(struct port *p, int err, const char *fmt, ...) {
  char text[PORT_ERROR_SIZE - 80]; /* a long name is cut, not the reason */
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  snprintf(p->error, sizeof p->error, "%.70s: %s", p->url, text);
  p->hint[0] = '\0';
  return err;
}

int port_fail_errno(struct port *p, const char *doing, int number) {
  switch (number) {
  case EIO:
  case ENODEV:
  case ENXIO:
  case ESHUTDOWN:
  case ECONNRESET:
  case EPIPE:
  case ENOTCONN:
  case EPROTO:
  case ETIMEDOUT:
    return port_fail(p, PORT_EGONE, "the port is gone (%s: %s)", doing, strerror(number));
  case ENOTTY:
  case EOPNOTSUPP:
    return port_fail(p, PORT_EUNSUPPORTED, "the port does not support this (%s: %s)", doing,
                     strerror(number));
  default:
    return port_fail(p, PORT_EFAILED, "%s: %s", doing, strerror(number));
  }
}

void *port_alloc(size_t size, const struct port_ops *ops, const char *url, int baud) {
  struct port *p = calloc(1, size);
  if (!p)
    return NULL;
  p->url = strdup(url);
  p->name = strdup(url);
  if (!p->url || !p->name) {
    free(p->url);
    free(p->name);
    free(p);
    return NULL;
  }
  p->ops = ops;
  p->fd = -1;
  p->baud = baud;
  p->dtr = p->rts = -1;
  p->has_lines = ops->has_lines;
  p->has_baud = ops->has_baud;
  return p;
}

int port_new(struct port **out, const char *url, int baud, char *error) {
  *out = NULL;
  error[0] = '\0';
  if (strncmp(url, "socket://", 9) == 0)
    return port_new_tcp(out, url, baud, error);
  if (strncmp(url, "rfc2217://", 10) == 0)
    return port_new_rfc2217(out, url, baud, error);
  if (strstr(url, "://")) {
    snprintf(error, PORT_ERROR_SIZE, "%.200s: unknown kind of port", url);
    return PORT_EARGUMENT;
  }
  return port_new_serial(out, url, baud, error);
}

/* --- a closed port ----------------------------------------------------------------------------------- */

static int closed_read(struct port *p, void *buf, size_t max) {
  (void)buf;
  (void)max;
  return port_fail(p, PORT_ECLOSED, "the port is closed");
}

static int closed_write(struct port *p, const void *buf, size_t n) {
  (void)buf;
  (void)n;
  return port_fail(p, PORT_ECLOSED, "the port is closed");
}

static int closed_request(struct port *p, struct port_request *rq, int why) {
  (void)why;
  rq->result = port_fail(p, PORT_ECLOSED, "the port is closed");
  return OP_DONE;
}

static void closed_close(struct port *p) {
  (void)p;
}

void port_close(struct port *p) {
  static const struct port_ops closed_serial = {"closed",       0,           0, closed_read, closed_write,
                                                closed_request, closed_close};
  p->ops->close(p);
  p->ops = &closed_serial;
}

void port_free(struct port *p) {
  if (!p)
    return;
  port_close(p);
  free(p->url);
  free(p->name);
  free(p);
}

/* --- calls --------------------------------------------------------------------------------------------- */

int port_read(struct port *p, void *buf, size_t max) {
  return p->ops->read(p, buf, max);
}

int port_write(struct port *p, const void *buf, size_t n) {
  return p->ops->write(p, buf, n);
}

static int request_step(struct ev_op *op, int why) {
  struct port_request *rq = (struct port_request *)op;
  return rq->port->ops->request(rq->port, rq, why);
}

void port_request(struct port_request *rq, struct port *p, int what, int a, int b) {
  *rq = (struct port_request){.op = {.step = request_step, .fd = -1, .deadline = EV_FOREVER}};
  rq->port = p;
  rq->what = what;
  rq->a = a;
  rq->b = b;
}

static int request_now(struct port *p, int what, int a, int b) {
  struct port_request rq;
  port_request(&rq, p, what, a, b);
  if (request_step(&rq.op, EV_START) != OP_DONE)
    return port_fail(p, PORT_EFAILED, "this port takes its time and must be waited for");
  return rq.result;
}

int port_set_lines(struct port *p, int dtr, int rts) {
  return request_now(p, PORT_LINES, dtr, rts);
}

int port_set_baud(struct port *p, int baud) {
  return request_now(p, PORT_BAUD, baud, 0);
}

int port_flush_input(struct port *p) {
  return request_now(p, PORT_FLUSH, 0, 0);
}

/* --- on a descriptor -------------------------------------------------------------------------------------
 */

int port_fd_read(struct port *p, void *buf, size_t max) {
  if (p->fd < 0)
    return port_fail(p, PORT_EGONE, "the port is gone");
  for (;;) {
    ssize_t n = read(p->fd, buf, max < 0x40000000 ? max : 0x40000000);
    if (n > 0)
      return (int)n;
    if (n == 0)
      return max ? port_fail(p, PORT_EGONE, "the port is gone (closed at the other end)") : 0;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      return 0;
    if (errno != EINTR)
      return port_fail_errno(p, "read", errno);
  }
}

static int write_some(struct port *p, const void *buf, size_t n, int is_socket) {
  if (p->fd < 0)
    return port_fail(p, PORT_EGONE, "the port is gone");
  if (n > 0x40000000)
    n = 0x40000000;
  for (;;) {
    ssize_t done = is_socket ? send(p->fd, buf, n, MSG_NOSIGNAL) : write(p->fd, buf, n);
    if (done >= 0)
      return (int)done;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      return 0;
    if (errno != EINTR)
      return port_fail_errno(p, "write", errno);
  }
}

int port_socket_write(struct port *p, const void *buf, size_t n) {
  return write_some(p, buf, n, 1);
}

int port_fd_write(struct port *p, const void *buf, size_t n) {
  return write_some(p, buf, n, 0);
}

void port_fd_close(struct port *p) {
  if (p->fd >= 0)
    close(p->fd);
  p->fd = -1;
}

int port_fd_flush(struct port *p) {
  char waste[4096];
  int n;
  do
    n = port_fd_read(p, waste, sizeof waste);
  while (n > 0);
  return n;
}

/* Requests of a port that has nothing but bytes. */
static int fd_request(struct port *p, struct port_request *rq, int why) {
  (void)why;
  rq->result = PORT_OK;
  switch (rq->what) {
  case PORT_BAUD:
    p->baud = rq->a;
    break;
  case PORT_FLUSH:
    rq->result = port_fd_flush(p);
    break;
  case PORT_DRAIN:
  case PORT_OPEN:
    break;
  case PORT_REOPEN:
    rq->result = port_fail(p, PORT_EUNSUPPORTED, "cannot be opened again");
    break;
  default:
    rq->result = port_fail(p, PORT_EUNSUPPORTED, "no modem lines");
  }
  return OP_DONE;
}

struct port *port_from_fd(int fd, const char *kind, const char *url) {
  static const struct port_ops socket_ops = {"socket",     0, 0, port_fd_read, port_socket_write, fd_request,
                                             port_fd_close};
  static const struct port_ops pty_ops = {"pty",        0, 0, port_fd_read, port_fd_write, fd_request,
                                          port_fd_close};
  struct port *p = port_alloc(sizeof *p, strcmp(kind, "pty") == 0 ? &pty_ops : &socket_ops, url, 115200);
  if (p)
    p->fd = fd;
  else
    close(fd);
  return p;
}
