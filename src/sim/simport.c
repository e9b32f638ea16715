/* simport.c - a simulated chip as a port. */
#include "sim/simport.h"

#include <unistd.h>

struct sim_port {
  struct port port;
  struct sim_runner *runner;
  double give_up; /* of a PORT_REOPEN under way */
};

enum { REOPEN_STEP_MS = 10, DRAIN_STEP_MS = 1 };

static struct sim_runner *runner_of(struct port *p) {
  return ((struct sim_port *)p)->runner;
}

static void hang_up(struct port *p) {
  if (p->fd < 0)
    return;
  sim_runner_hangup(runner_of(p));
  close(p->fd);
  p->fd = -1;
}

static int open_now(struct port *p) {
  hang_up(p);
  switch (sim_runner_open(runner_of(p), &p->fd)) {
  case SIM_RUN_OK:
    sim_runner_set_baud(runner_of(p), p->baud);
    return PORT_OK;
  case SIM_RUN_BUSY:
    return port_fail(p, PORT_EBUSY, "the simulated port is in use");
  case SIM_RUN_GONE:
    return port_fail(p, PORT_EMISSING, "the simulated device is not there");
  default:
    return port_fail(p, PORT_EFAILED, "no descriptor left");
  }
}

static int sim_read(struct port *p, void *buf, size_t max) {
  return p->fd < 0 ? port_fail(p, PORT_EGONE, "the simulated device has gone") : port_fd_read(p, buf, max);
}

static int sim_write(struct port *p, const void *buf, size_t n) {
  return p->fd < 0 ? port_fail(p, PORT_EGONE, "the simulated device has gone") : port_socket_write(p, buf, n);
}

static int wait_until(struct port_request *rq, double when) {
  rq->op.fd = -1;
  rq->op.events = 0;
  rq->op.deadline = when;
  return OP_WAIT;
}

static int reopen(struct port *p, struct port_request *rq) {
  struct sim_port *s = (struct sim_port *)p;
  if (rq->state == 0) {
    s->give_up = ev_now() + rq->a / 1000.0;
    rq->state = 1;
  }
  rq->result = open_now(p);
  if (rq->result == PORT_OK || rq->result == PORT_EBUSY || ev_now() >= s->give_up)
    return OP_DONE;
  double next = ev_now() + REOPEN_STEP_MS / 1000.0;
  return wait_until(rq, next < s->give_up ? next : s->give_up);
}

/* Until the chip has taken everything off the wire. */
static int drain(struct port *p, struct port_request *rq) {
  struct sim_port *s = (struct sim_port *)p;
  if (rq->state == 0) {
    s->give_up = ev_now() + (rq->a > 0 ? rq->a / 1000.0 : 10);
    rq->state = 1;
  }
  sim_runner_settle(s->runner);
  size_t left = sim_line_pending(&sim_runner_lock(s->runner)->line, SIM_TO_CHIP);
  sim_runner_unlock(s->runner);
  rq->result = left == 0 ? PORT_OK : ev_now() >= s->give_up ? port_fail(p, PORT_ETIMEOUT, "cannot send") : 1;
  return rq->result <= 0 ? OP_DONE : wait_until(rq, ev_now() + DRAIN_STEP_MS / 1000.0);
}

static int flush(struct port *p) {
  char dropped[4096];
  sim_runner_settle(runner_of(p));
  int n;
  while ((n = port_fd_read(p, dropped, sizeof dropped)) > 0)
    ;
  return n;
}

static int set_lines(struct port *p, int dtr, int rts) {
  if (dtr >= 0)
    p->dtr = dtr;
  if (rts >= 0)
    p->rts = rts;
  sim_runner_set_lines(runner_of(p), dtr, rts);
  return PORT_OK;
}

static int present(struct port *p) {
  struct sim_chip *c = sim_runner_lock(runner_of(p));
  int there = sim_chip_present(c, sim_runner_now(runner_of(p))) && !c->gone;
  sim_runner_unlock(runner_of(p));
  return there;
}

static int set_baud(struct port *p, int baud) {
  const struct sim_chip *c = sim_runner_lock(runner_of(p));
  int most = c->config.max_baud;
  sim_runner_unlock(runner_of(p));
  if (most && baud > most)
    return port_fail(p, PORT_EUNSUPPORTED, "the port does not support %d baud", baud);
  p->baud = baud;
  sim_runner_set_baud(runner_of(p), baud);
  return PORT_OK;
}

static int sim_request(struct port *p, struct port_request *rq, int why) {
  (void)why;
  if (rq->what == PORT_REOPEN)
    return reopen(p, rq);
  if (rq->what == PORT_OPEN) {
    rq->result = open_now(p);
    return OP_DONE;
  }
  if (p->fd < 0 || !present(p)) {
    rq->result = port_fail(p, PORT_EGONE, "the simulated device has gone");
    return OP_DONE;
  }
  switch (rq->what) {
  case PORT_BAUD:
    rq->result = set_baud(p, rq->a);
    return OP_DONE;
  case PORT_LINES:
    rq->result = set_lines(p, rq->a, rq->b);
    return OP_DONE;
  case PORT_MODEM:
    rq->result = PORT_CTS | PORT_DSR | PORT_DCD;
    return OP_DONE;
  case PORT_FLUSH:
    rq->result = flush(p);
    return OP_DONE;
  case PORT_DRAIN:
    return drain(p, rq);
  default:
    rq->result = PORT_OK;
    return OP_DONE;
  }
}

static void sim_close(struct port *p) {
  struct sim_port *s = (struct sim_port *)p;
  hang_up(p);
  if (s->runner)
    sim_runner_drop(s->runner);
  s->runner = NULL;
}

struct port *sim_port_new(struct sim_runner *r, const char *url, int baud) {
  static const struct port_ops ops = {"sim", 1, 1, sim_read, sim_write, sim_request, sim_close};
  struct sim_port *s = port_alloc(sizeof *s, &ops, url, baud);
  if (!s)
    return NULL;
  sim_runner_keep(r);
  s->runner = r;
  const struct sim_chip *c = sim_runner_lock(r);
  s->port.usb_vid = c->config.usb_vid;
  s->port.usb_pid = c->config.usb_pid;
  sim_runner_unlock(r);
  return &s->port;
}
