/* serve.c - see serve.h. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  ROUNDS = 16,        /* of a step before others have their turn */
  ANSWER_ROOM = 1024, /* no request is looked at without room for its answer */
  DATA_ROOM = 4096,   /* nor is the port, without room for what it has */
  CLIENT = 0,
  PORT = 1 /* of events */
};
static const double HELD_SECONDS = 2; /* how long a command waits for the bytes before it */
/* How long a port may take nothing. Then bytes for it are dropped until it does: a client that has left is
 * only noticed by reading what it sent before. */
static const double STUCK_SECONDS = 4;

int serve_init(struct serve *s, struct port *port, struct port *client, int raw) {
  memset(s, 0, sizeof *s);
  s->epoll = -1;
  s->port = port;
  s->client = client;
  s->raw = raw;
  telnet_init(&s->telnet);
  telnet_allow(&s->telnet, TELNET_BINARY, 1, 1);
  telnet_allow(&s->telnet, TELNET_SGA, 1, 1);
  telnet_allow(&s->telnet, TELNET_ECHO, 1, 0);
  telnet_allow(&s->telnet, TELNET_COM_PORT, 1, 1);
  s->out = malloc(SERVE_OUT);
  return s->out ? 0 : -1;
}

void serve_feed(struct serve *s, const void *bytes, size_t n) {
  s->in_at = 0;
  s->in_end = n < SERVE_IN ? n : SERVE_IN;
  memcpy(s->in, bytes, s->in_end);
}

static void stop_waiting(struct serve *s) {
  if (s->epoll >= 0)
    close(s->epoll);
  s->epoll = -1;
}

void serve_free(struct serve *s) {
  stop_waiting(s);
  free(s->out);
  s->out = NULL;
}

/* --- to the client
 * ------------------------------------------------------------------------------------------------------- */

static size_t room(const struct serve *s) {
  return SERVE_OUT - (s->out_end - s->out_at);
}

/* Makes all of the room available at the end. */
static uint8_t *make_room(struct serve *s) {
  if (s->out_at > 0) {
    memmove(s->out, s->out + s->out_at, s->out_end - s->out_at);
    s->out_end -= s->out_at;
    s->out_at = 0;
  }
  return s->out + s->out_end;
}

static void put(struct serve *s, const uint8_t *data, size_t n) {
  if (n > room(s))
    return; /* cannot be: see ANSWER_ROOM */
  if (n > SERVE_OUT - s->out_end)
    make_room(s);
  memcpy(s->out + s->out_end, data, n);
  s->out_end += n;
}

/* Bytes taken, or an error. */
static int send_out(struct serve *s) {
  if (s->out_at == s->out_end)
    return 0;
  int n = port_write(s->client, s->out + s->out_at, s->out_end - s->out_at);
  if (n > 0)
    s->out_at += (size_t)n;
  if (s->out_at == s->out_end)
    s->out_at = s->out_end = 0;
  return n;
}

void serve_reply(struct serve *s, uint8_t command, const uint8_t *data, size_t n) {
  uint8_t out[7 + 2 * 16];
  if (s->raw)
    return;
  put(s, out, telnet_com_port(command, data, n < 16 ? n : 16, out));
  (void)send_out(s); /* an error comes again */
}

/* Bytes from the port; those not there yet, 0; or an error. */
static int take_from_port(struct serve *s) {
  uint8_t bytes[DATA_ROOM * 4];
  size_t used, max = room(s);
  if (s->suspended || max < DATA_ROOM)
    return 0;
  max = max - ANSWER_ROOM < 2 * sizeof bytes ? (max - ANSWER_ROOM) / 2 : sizeof bytes;
  int n = port_read(s->port, bytes, max);
  if (n <= 0)
    return n;
  s->received += (uint64_t)n;
  if (s->raw) {
    put(s, bytes, (size_t)n);
    return n;
  }
  if (2 * (size_t)n > SERVE_OUT - s->out_end)
    make_room(s);
  s->out_end += telnet_escape(bytes, (size_t)n, s->out + s->out_end, SERVE_OUT - s->out_end, &used);
  return n;
}

/* --- from the client
 * ----------------------------------------------------------------------------------------------------- */

static int give_to_port(struct serve *s) {
  if (s->plain_at == s->plain_end)
    return 0;
  int n = port_write(s->port, s->plain + s->plain_at, s->plain_end - s->plain_at);
  if (n > 0) {
    s->plain_at += (size_t)n;
    s->sent += (uint64_t)n;
    s->stuck = 0;
  } else if (n == 0 && s->stuck == 0) {
    s->stuck = ev_now();
  }
  if (n == 0 && ev_now() - s->stuck >= STUCK_SECONDS) {
    s->dropped += s->plain_end - s->plain_at;
    s->plain_at = s->plain_end;
    n = 1;
  }
  if (s->plain_at == s->plain_end)
    s->plain_at = s->plain_end = 0;
  return n;
}

void serve_drop(struct serve *s) {
  s->plain_at = s->plain_end = 0;
  s->stuck = 0;
}

/* A COM-PORT message: what is about the connection is done here, the rest waits for the caller. */
static void com_port(struct serve *s, const uint8_t *data, size_t n) {
  if (n == 0)
    return;
  switch (data[0]) {
  case RFC2217_FLOW_SUSPEND:
    s->suspended = 1;
    return;
  case RFC2217_FLOW_RESUME:
    s->suspended = 0;
    return;
  case RFC2217_PURGE_DATA:
    if (n > 1 && data[1] != RFC2217_PURGE_RX)
      serve_drop(s); /* at once: these bytes may be what blocks */
    break;
  default:
    break;
  }
  s->command = data[0];
  s->size = n - 1 < SERVE_COMMAND_MAX ? n - 1 : SERVE_COMMAND_MAX;
  memcpy(s->data, data + 1, s->size);
  s->held = SERVE_COMMAND;
}

static void event(struct serve *s, const struct telnet_event *e) {
  uint8_t answer[3];
  if (e->kind == TELNET_OPTION)
    put(s, answer, telnet_answer(&s->telnet, e, answer));
  else if (e->kind == TELNET_SUBNEGOTIATION && e->option == TELNET_COM_PORT)
    com_port(s, e->data, e->size);
  else if (e->kind == TELNET_COMMAND && e->command == TELNET_BREAK)
    s->held = SERVE_BREAK;
}

/* Whether more from the client may be looked at. */
static int ready_for_client(const struct serve *s) {
  return s->plain_at == s->plain_end && !s->held && room(s) >= ANSWER_ROOM;
}

/* Bytes looked at, 0, or an error. */
static int take_from_client(struct serve *s) {
  struct telnet_event e;
  size_t count;
  if (!ready_for_client(s))
    return 0;
  if (s->in_at == s->in_end) {
    int n = port_read(s->client, s->in, sizeof s->in);
    s->in_at = 0;
    s->in_end = n > 0 ? (size_t)n : 0;
    if (n <= 0)
      return n;
  }
  s->plain_at = 0;
  if (s->raw) {
    s->plain_end = s->in_end - s->in_at;
    memcpy(s->plain, s->in + s->in_at, s->plain_end);
    s->in_at = s->in_end;
    return 1;
  }
  s->in_at += telnet_decode(&s->telnet, s->in + s->in_at, s->in_end - s->in_at, s->plain, &count, &e);
  s->plain_end = count;
  event(s, &e);
  return 1;
}

int serve_next_control(struct serve *s) {
  struct telnet_event e;
  uint8_t plain[64];
  size_t count, n = s->in_end - s->in_at;
  if (s->raw || !ready_for_client(s) || n == 0)
    return -1;
  struct telnet copy = s->telnet;
  n = n < sizeof plain ? n : sizeof plain;
  size_t used = telnet_decode(&copy, s->in + s->in_at, n, plain, &count, &e);
  if (count > 0 || e.kind != TELNET_SUBNEGOTIATION || e.option != TELNET_COM_PORT || e.size != 2 ||
      e.data[0] != RFC2217_SET_CONTROL)
    return -1;
  int value = e.data[1];
  s->telnet = copy;
  s->in_at += used;
  return value;
}

int serve_alive(struct serve *s) {
  char c;
  return s->client->fd >= 0 && recv(s->client->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

/* --- running
 * ------------------------------------------------------------------------------------------------------------
 */

static int finish(struct serve *s, int result, int error) {
  stop_waiting(s);
  s->result = result;
  s->error = error;
  return OP_DONE;
}

static int watch(struct serve *s, int which, int fd, uint32_t events) {
  struct epoll_event e = {.events = events, .data.u32 = (uint32_t)which};
  if (events == s->events[which])
    return 0;
  s->events[which] = events;
  return epoll_ctl(s->epoll, EPOLL_CTL_MOD, fd, &e);
}

static int wait_for_both(struct serve *s) {
  uint32_t client = 0, port = 0;
  if (s->out_at < s->out_end)
    client |= EPOLLOUT;
  if (ready_for_client(s))
    client |= EPOLLIN;
  if (!s->suspended && room(s) >= DATA_ROOM)
    port |= EPOLLIN;
  if (s->plain_at < s->plain_end)
    port |= EPOLLOUT;
  if (watch(s, CLIENT, s->client->fd, client) != 0)
    return finish(s, SERVE_GONE, port_fail(s->client, PORT_EFAILED, "cannot be waited for"));
  if (watch(s, PORT, s->port->fd, port) != 0)
    return finish(s, SERVE_LOST, port_fail(s->port, PORT_EFAILED, "cannot be waited for"));
  s->op.fd = s->epoll;
  s->op.events = EV_READ;
  s->op.deadline = s->until;
  return OP_WAIT;
}

/* What was reported without having been asked for: hang-ups. */
static int look_for_hangup(struct serve *s) {
  struct epoll_event e[2];
  int n = epoll_wait(s->epoll, e, 2, 0);
  for (int i = 0; i < n; i++) {
    uint32_t bad = e[i].events & (EPOLLHUP | EPOLLERR);
    if (e[i].data.u32 == CLIENT && bad)
      return finish(s, SERVE_GONE, port_fail(s->client, PORT_EGONE, "the connection was closed"));
    if (e[i].data.u32 == PORT && bad) {
      char c;
      int got = port_read(s->port, &c, 1);
      return finish(s, SERVE_LOST, got < 0 ? got : port_fail(s->port, PORT_EGONE, "the port is gone"));
    }
  }
  return OP_WAIT;
}

static int start_waiting(struct serve *s) {
  struct epoll_event client = {.data.u32 = CLIENT}, port = {.data.u32 = PORT};
  s->events[CLIENT] = s->events[PORT] = 0;
  s->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->client->fd, &client) != 0)
    return finish(s, SERVE_GONE, port_fail(s->client, PORT_EGONE, "cannot be waited for"));
  if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->port->fd, &port) != 0)
    return finish(s, SERVE_LOST, port_fail(s->port, PORT_EGONE, "cannot be waited for"));
  return OP_WAIT;
}

static int move(struct serve *s) {
  for (int round = 0; round < ROUNDS; round++) {
    int out, from, to, in = 0;
    if ((out = send_out(s)) < 0)
      return finish(s, SERVE_GONE, out);
    if ((from = take_from_port(s)) < 0 || (to = give_to_port(s)) < 0)
      return finish(s, SERVE_LOST, from < 0 ? from : to);
    if (s->held && (s->plain_at == s->plain_end || (s->stuck > 0 && ev_now() - s->stuck >= HELD_SECONDS))) {
      int held = s->held;
      s->held = 0;
      return finish(s, held, PORT_OK);
    }
    if ((in = take_from_client(s)) < 0)
      return finish(s, SERVE_GONE, in);
    if (out + from + to + in == 0)
      break;
  }
  return OP_WAIT;
}

static int step(struct ev_op *op, int why) {
  struct serve *s = (struct serve *)op;
  if (s->port->fd < 0 || s->client->fd < 0)
    return s->client->fd < 0 ? finish(s, SERVE_GONE, PORT_ECLOSED) : finish(s, SERVE_LOST, PORT_ECLOSED);
  if (why == EV_START && start_waiting(s) == OP_DONE)
    return OP_DONE;
  if (move(s) == OP_DONE)
    return OP_DONE;
  if (ev_now() >= s->until)
    return finish(s, SERVE_TICK, PORT_OK);
  if (wait_for_both(s) == OP_DONE)
    return OP_DONE;
  return look_for_hangup(s);
}

static void cancel(struct ev_op *op) {
  stop_waiting((struct serve *)op);
}

void serve_prepare(struct serve *s, double until) {
  memset(&s->op, 0, sizeof s->op);
  s->op.step = step;
  s->op.cancel = cancel;
  s->until = until;
}
