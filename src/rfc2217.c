/* rfc2217.c - rfc2217://host:port[?ign_set_control][&timeout=N][&secret-file=PATH]: a serial port at the
 * other end of a TCP connection.
 *
 * What is changed there is acknowledged; requests wait for that. Bytes that arrive meanwhile are kept. */
#include "dial.h"
#include "port.h"
#include "proof.h"
#include "telnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  CONNECT_MS = 5000,
  RETRY_MS = 100,
  WAITS = 8,
  KEPT_MAX = 4 << 20, /* bytes kept while an acknowledgement is awaited */
  OUT_SIZE = 1024
};
static const double ACK_SECONDS = 3;

/* An acknowledgement that is to come. */
struct ack {
  uint8_t command;
  int value;   /* what was asked for */
  int lenient; /* the server may have its own mind */
};

struct rfc2217 {
  struct port p;
  struct dial dial;
  struct telnet telnet;
  uint8_t *kept; /* data that came while something else was awaited: kept[kept_at..kept_end) */
  size_t kept_at, kept_end, kept_room;
  uint8_t out[OUT_SIZE]; /* commands still to be sent */
  size_t out_size;
  int half; /* the first 255 of a data byte 255 has been sent, the second has not */
  struct ack acks[WAITS];
  int ack_count, refused;
  int modem; /* -1: not told yet */
  int ign_set_control;
  char secret_file[512]; /* "": none */
  double timeout, end, reopen_end;
};

/* --- bytes out
 * --------------------------------------------------------------------------------------------------- */

static int flush_out(struct rfc2217 *r) {
  if (r->out_size == 0)
    return 0;
  int n = port_tcp_write(&r->p, r->out, r->out_size);
  if (n > 0) {
    r->out_size -= (size_t)n;
    memmove(r->out, r->out + n, r->out_size);
  }
  return n < 0 ? n : 0;
}

/* Queues a command. One that finds no room is lost: only a server that floods us gets there. */
static void queue(struct rfc2217 *r, const uint8_t *bytes, size_t n) {
  if (n > sizeof r->out - r->out_size)
    return;
  memcpy(r->out + r->out_size, bytes, n);
  r->out_size += n;
}

static void send_command(struct rfc2217 *r, uint8_t command, uint32_t value, size_t size) {
  uint8_t data[4], out[7 + 2 * sizeof data];
  for (size_t i = 0; i < size; i++)
    data[i] = (uint8_t)(value >> 8 * (size - 1 - i));
  queue(r, out, telnet_com_port(command, data, size, out));
}

/* Sends a command whose acknowledgement will be awaited. */
static void ask(struct rfc2217 *r, uint8_t command, uint32_t value, size_t size, int lenient) {
  send_command(r, command, value, size);
  if (r->ack_count < WAITS && !(command == RFC2217_SET_CONTROL && r->ign_set_control))
    r->acks[r->ack_count++] = (struct ack){command, (int)value, lenient};
}

static int rfc_write(struct port *p, const void *buf, size_t n) {
  struct rfc2217 *r = (struct rfc2217 *)p;
  static const uint8_t iac = TELNET_IAC;
  const uint8_t *in = buf;
  uint8_t encoded[4096];
  size_t used, taken = 0;
  int err = 0;
  if (r->half) { /* completes a byte 255; the caller offers it again, unless it has given up */
    int done = port_tcp_write(p, &iac, 1);
    if (done <= 0)
      return done;
    r->half = 0;
    if (n > 0 && in[0] == TELNET_IAC)
      taken = 1;
  }
  if ((err = flush_out(r)) < 0 || r->out_size > 0)
    return err < 0 ? err : (int)taken;
  size_t size = telnet_escape(in + taken, n - taken, encoded, sizeof encoded, &used);
  if (size == 0)
    return (int)taken;
  int sent = port_tcp_write(p, encoded, size);
  if (sent < 0)
    return sent;
  for (size_t left = (size_t)sent; left > 0; taken++) {
    size_t cost = in[taken] == TELNET_IAC ? 2 : 1;
    if (cost > left) {
      r->half = 1;
      break;
    }
    left -= cost;
  }
  return (int)taken;
}

/* --- bytes in
 * ---------------------------------------------------------------------------------------------------- */

/* Which of the things that SET_CONTROL controls a value is about. */
static int control_group(int value) {
  if (value >= RFC2217_BREAK_ASK && value <= RFC2217_BREAK_OFF)
    return RFC2217_BREAK_ASK;
  if (value >= RFC2217_DTR_ASK && value <= RFC2217_DTR_OFF)
    return RFC2217_DTR_ASK;
  if (value >= RFC2217_RTS_ASK && value <= RFC2217_RTS_OFF)
    return RFC2217_RTS_ASK;
  return RFC2217_FLOW_ASK;
}

static int matches(const struct ack *a, uint8_t command, int value) {
  return a->command == command &&
         (command != RFC2217_SET_CONTROL || control_group(a->value) == control_group(value));
}

static int accepted(const struct ack *a, int value) {
  if (a->command == RFC2217_SET_BAUDRATE) /* what the hardware makes of it */
    return value >= a->value - a->value / 20 && value <= a->value + a->value / 20;
  return a->lenient || value == a->value;
}

static void acknowledge(struct rfc2217 *r, uint8_t command, int value) {
  for (int i = 0; i < r->ack_count; i++) {
    if (!matches(&r->acks[i], command, value))
      continue;
    if (!accepted(&r->acks[i], value))
      r->refused = command;
    r->ack_count--;
    memmove(&r->acks[i], &r->acks[i + 1], (size_t)(r->ack_count - i) * sizeof r->acks[0]);
    return;
  }
}

/* Our server asks for a proof that we know its secret. After an empty one it tells us what is wrong. */
static void on_challenge(struct rfc2217 *r, const struct telnet_event *e) {
  static const uint8_t head[] = {TELNET_IAC, TELNET_SB, PROOF_OPTION}, tail[] = {TELNET_IAC, TELNET_SE};
  const size_t mark = sizeof PROOF_MARK - 1;
  uint8_t proof[PROOF_SIZE], escaped[2 * PROOF_SIZE];
  size_t used;
  if (e->size != mark + PROOF_NONCE || memcmp(e->data, PROOF_MARK, mark) != 0)
    return;
  int known = r->secret_file[0] && proof_make(r->secret_file, e->data + mark, PROOF_NONCE, proof, r->p.hint,
                                              sizeof r->p.hint) == 0;
  queue(r, head, sizeof head);
  queue(r, (const uint8_t *)PROOF_MARK, mark);
  if (known)
    queue(r, escaped, telnet_escape(proof, sizeof proof, escaped, sizeof escaped, &used));
  queue(r, tail, sizeof tail);
}

static void on_subnegotiation(struct rfc2217 *r, const struct telnet_event *e) {
  if (e->option == PROOF_OPTION)
    on_challenge(r, e);
  if (e->option != TELNET_COM_PORT || e->size < 2 || e->data[0] < RFC2217_SERVER)
    return;
  uint8_t command = e->data[0] - RFC2217_SERVER;
  uint32_t value = 0;
  for (size_t i = 1; i < e->size && i <= 4; i++)
    value = value << 8 | e->data[i];
  if (command == RFC2217_NOTIFY_MODEMSTATE)
    r->modem = (int)(value & 0xFF);
  else if (value <= INT32_MAX)
    acknowledge(r, command, (int)value);
}

static void on_event(struct rfc2217 *r, const struct telnet_event *e) {
  uint8_t answer[3];
  if (e->kind == TELNET_OPTION)
    queue(r, answer, telnet_answer(&r->telnet, e, answer));
  else if (e->kind == TELNET_SUBNEGOTIATION)
    on_subnegotiation(r, e);
}

/* Receives into buf and decodes there. Returns the data bytes, or < 0; *got is whether anything came. */
static int receive(struct rfc2217 *r, uint8_t *buf, size_t max, int *got) {
  int n = port_fd_read(&r->p, buf, max);
  size_t data = 0;
  *got = n > 0;
  for (size_t at = 0; n > 0 && at < (size_t)n;) {
    struct telnet_event e;
    size_t count;
    at += telnet_decode(&r->telnet, buf + at, (size_t)n - at, buf + data, &count, &e);
    data += count;
    on_event(r, &e);
  }
  return n < 0 ? n : (int)data;
}

static int rfc_read(struct port *p, void *buf, size_t max) {
  struct rfc2217 *r = (struct rfc2217 *)p;
  if (r->kept_end > r->kept_at) {
    size_t n = r->kept_end - r->kept_at;
    n = n < max ? n : max;
    memcpy(buf, r->kept + r->kept_at, n);
    r->kept_at += n;
    return (int)n;
  }
  int n, got;
  do
    n = receive(r, buf, max, &got);
  while (n == 0 && got);
  int err = n < 0 ? n : flush_out(r);
  return err < 0 && n <= 0 ? err : n;
}

/* Receives all there is and keeps the data. 0 or PORT_E... */
static int pump(struct rfc2217 *r) {
  enum { CHUNK = 4096 };
  for (int got = 1; got;) {
    if (r->kept_at == r->kept_end)
      r->kept_at = r->kept_end = 0;
    if (r->kept_room - r->kept_end < CHUNK) {
      if (r->kept_end >= KEPT_MAX)
        return port_fail(&r->p, PORT_EFAILED, "too much data while an acknowledgement was awaited");
      size_t room = r->kept_end + r->kept_end / 2 + CHUNK;
      uint8_t *more = realloc(r->kept, room);
      if (!more)
        return port_fail(&r->p, PORT_EFAILED, "not enough memory");
      r->kept = more;
      r->kept_room = room;
    }
    int n = receive(r, r->kept + r->kept_end, CHUNK, &got);
    if (n < 0)
      return n;
    r->kept_end += (size_t)n;
  }
  return flush_out(r);
}

/* --- requests
 * ----------------------------------------------------------------------------------------------------- */

enum { START, DIAL, OPTIONS, ACKS, PAUSE }; /* request.state */

static const char *ack_name(int command) {
  switch (command) {
  case RFC2217_SET_BAUDRATE:
    return "the rate";
  case RFC2217_SET_CONTROL:
    return "DTR, RTS or flow control";
  case RFC2217_PURGE_DATA:
    return "dropping its buffer";
  default:
    return "8 data bits, no parity, 1 stop bit";
  }
}

static int wait_for_server(struct rfc2217 *r, struct port_request *rq) {
  rq->op.fd = r->p.fd;
  rq->op.events = EV_READ | (r->out_size ? EV_WRITE : 0);
  rq->op.deadline = r->end;
  return OP_WAIT;
}

static int done(struct port_request *rq, int result) {
  rq->result = result;
  return OP_DONE;
}

/* Waits until everything that was asked for is acknowledged. */
static int acks_step(struct rfc2217 *r, struct port_request *rq, int why) {
  if (rq->state != ACKS) {
    rq->state = ACKS;
    r->end = ev_now() + r->timeout;
    why = EV_READY;
  }
  int err = pump(r);
  if (err)
    return done(rq, err);
  if (r->refused) {
    int command = r->refused;
    r->ack_count = r->refused = 0;
    return done(rq, port_fail(&r->p, PORT_EUNSUPPORTED, "the server refuses %s", ack_name(command)));
  }
  if (r->ack_count == 0 && r->out_size == 0)
    return done(rq, PORT_OK);
  if (why == EV_TIMEOUT) {
    const char *name = ack_name(r->ack_count ? r->acks[0].command : RFC2217_SET_CONTROL);
    int control = r->ack_count && r->acks[0].command == RFC2217_SET_CONTROL;
    r->ack_count = 0;
    err = port_fail(&r->p, PORT_ETIMEOUT, "the server did not acknowledge %s within %g s", name, r->timeout);
    if (control)
      snprintf(r->p.hint, sizeof r->p.hint, "a server that does not: add ?ign_set_control to the name");
    return done(rq, err);
  }
  return wait_for_server(r, rq);
}

/* Settings of the connection, all in one go. */
static int configure(struct rfc2217 *r, struct port_request *rq) {
  ask(r, RFC2217_SET_BAUDRATE, (uint32_t)r->p.baud, 4, 0);
  ask(r, RFC2217_SET_DATASIZE, 8, 1, 0);
  ask(r, RFC2217_SET_PARITY, 1, 1, 0);
  ask(r, RFC2217_SET_STOPSIZE, 1, 1, 0);
  ask(r, RFC2217_SET_CONTROL, RFC2217_FLOW_NONE, 1, 1);
  send_command(r, RFC2217_SET_LINESTATE_MASK, 0, 1);
  send_command(r, RFC2217_SET_MODEMSTATE_MASK, 0xFF, 1);
  return acks_step(r, rq, EV_READY);
}

/* A server that turns us away may say why, in a line of text. */
static int turned_away(struct rfc2217 *r, int err) {
  char line[200];
  size_t n = 0;
  while (n < sizeof line - 1 && n < r->kept_end - r->kept_at && r->kept[r->kept_at + n] >= ' ' &&
         r->kept[r->kept_at + n] < 127) {
    line[n] = (char)r->kept[r->kept_at + n];
    n++;
  }
  line[n] = '\0';
  if (n < 8)
    return err;
  return port_fail(&r->p, strstr(line, "in use") ? PORT_EBUSY : err, "the server says: %s", line);
}

static int options_step(struct rfc2217 *r, struct port_request *rq, int why) {
  int err = pump(r);
  if (err)
    return done(rq, turned_away(r, err));
  int us = r->telnet.us[TELNET_COM_PORT];
  if (us == TELNET_OPTION_ON)
    return configure(r, rq);
  if (us == TELNET_OPTION_REFUSED)
    return done(
        rq, port_fail(&r->p, PORT_EFAILED, "the server does not speak RFC 2217; is it a plain socket:// ?"));
  if (why == EV_TIMEOUT)
    return done(rq, port_fail(&r->p, PORT_ETIMEOUT, "the server did not answer as RFC 2217 does within %g s",
                              r->timeout));
  return wait_for_server(r, rq);
}

static void start_telnet(struct rfc2217 *r) {
  static const struct {
    int command, option;
  } asks[] = {{TELNET_WILL, TELNET_COM_PORT},
              {TELNET_WILL, TELNET_BINARY},
              {TELNET_DO, TELNET_BINARY},
              {TELNET_WILL, TELNET_SGA},
              {TELNET_DO, TELNET_SGA}};
  uint8_t out[3];
  telnet_init(&r->telnet);
  telnet_allow(&r->telnet, TELNET_COM_PORT, 1, 1);
  telnet_allow(&r->telnet, TELNET_BINARY, 1, 1);
  telnet_allow(&r->telnet, TELNET_SGA, 1, 1);
  telnet_allow(&r->telnet, TELNET_ECHO, 0, 1);
  for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
    queue(r, out, telnet_ask(&r->telnet, asks[i].command, asks[i].option, out));
}

static void rfc_close(struct port *p) {
  struct rfc2217 *r = (struct rfc2217 *)p;
  dial_cancel(&r->dial);
  port_fd_close(p);
  free(r->kept);
  r->kept = NULL;
  r->kept_at = r->kept_end = r->kept_room = r->out_size = 0;
  r->ack_count = r->refused = r->half = 0;
  r->modem = -1;
}

static void request_cancel(struct ev_op *op) {
  struct rfc2217 *r = (struct rfc2217 *)((struct port_request *)op)->port;
  dial_cancel(&r->dial);
  r->ack_count = r->refused = 0;
}

static int dial_request(struct rfc2217 *r, struct port_request *rq, int why) {
  char text[160];
  int fd;
  if (dial_step(&r->dial, &rq->op, why, &fd, text, sizeof text) == OP_WAIT)
    return OP_WAIT;
  if (fd < 0)
    return done(rq, port_fail(&r->p, PORT_EMISSING, "%s", text));
  r->p.fd = fd;
  start_telnet(r);
  rq->state = OPTIONS;
  r->end = ev_now() + r->timeout;
  return options_step(r, rq, EV_READY);
}

static int open_step(struct rfc2217 *r, struct port_request *rq, int why, int ms) {
  switch (rq->state) {
  case START:
    r->dial.limit = (ms > 0 ? ms : CONNECT_MS) / 1e3;
    rq->state = DIAL;
    return dial_request(r, rq, why);
  case DIAL:
    return dial_request(r, rq, why);
  case OPTIONS:
    return options_step(r, rq, why);
  default:
    return acks_step(r, rq, why);
  }
}

static int reopen_step(struct rfc2217 *r, struct port_request *rq, int why) {
  if (why == EV_START) {
    rfc_close(&r->p);
    r->reopen_end = ev_now() + rq->a / 1e3;
  }
  if (rq->state == PAUSE)
    rq->state = START;
  double left = r->reopen_end - ev_now();
  int result = open_step(r, rq, why, left > 0.1 ? (int)(left * 1e3) : 100);
  if (result == OP_WAIT || rq->result == PORT_OK)
    return result;
  rfc_close(&r->p);
  if (ev_now() + RETRY_MS / 1e3 > r->reopen_end)
    return OP_DONE;
  rq->state = PAUSE;
  rq->op.fd = -1;
  rq->op.deadline = ev_now() + RETRY_MS / 1e3;
  return OP_WAIT;
}

static int baud_step(struct rfc2217 *r, struct port_request *rq, int why) {
  if (why == EV_START)
    ask(r, RFC2217_SET_BAUDRATE, (uint32_t)rq->a, 4, 0);
  int result = acks_step(r, rq, why);
  if (result == OP_DONE && rq->result == PORT_OK)
    r->p.baud = rq->a;
  if (result == OP_DONE && rq->result == PORT_EUNSUPPORTED)
    port_fail(&r->p, PORT_EUNSUPPORTED, "the port does not support %d baud", rq->a);
  return result;
}

/* Both lines in one packet: the closest to one moment that this protocol has. */
static int lines_step(struct rfc2217 *r, struct port_request *rq, int why) {
  if (why == EV_START && rq->a >= 0)
    ask(r, RFC2217_SET_CONTROL, rq->a ? RFC2217_DTR_ON : RFC2217_DTR_OFF, 1, 0);
  if (why == EV_START && rq->b >= 0)
    ask(r, RFC2217_SET_CONTROL, rq->b ? RFC2217_RTS_ON : RFC2217_RTS_OFF, 1, 0);
  int result = acks_step(r, rq, why);
  if (result == OP_DONE && rq->result == PORT_OK) {
    r->p.dtr = rq->a >= 0 ? rq->a : r->p.dtr;
    r->p.rts = rq->b >= 0 ? rq->b : r->p.rts;
  }
  return result;
}

/* What came before the acknowledgement was in the buffer. */
static int flush_step(struct rfc2217 *r, struct port_request *rq, int why) {
  if (why == EV_START)
    ask(r, RFC2217_PURGE_DATA, RFC2217_PURGE_RX, 1, 1);
  int result = acks_step(r, rq, why);
  if (result == OP_DONE)
    r->kept_at = r->kept_end = 0;
  return result;
}

static int get_modem(struct rfc2217 *r) {
  int err = pump(r);
  if (err)
    return err;
  if (r->modem < 0)
    return port_fail(&r->p, PORT_EUNSUPPORTED, "the server does not tell the state of the modem lines");
  return (r->modem & RFC2217_CTS ? PORT_CTS : 0) | (r->modem & RFC2217_DSR ? PORT_DSR : 0) |
         (r->modem & RFC2217_RI ? PORT_RI : 0) | (r->modem & RFC2217_DCD ? PORT_DCD : 0);
}

static int rfc_request(struct port *p, struct port_request *rq, int why) {
  struct rfc2217 *r = (struct rfc2217 *)p;
  rq->result = PORT_OK;
  rq->op.cancel = request_cancel;
  switch (rq->what) {
  case PORT_OPEN:
    return open_step(r, rq, why, rq->a);
  case PORT_REOPEN:
    return reopen_step(r, rq, why);
  case PORT_BAUD:
    return baud_step(r, rq, why);
  case PORT_LINES:
    return lines_step(r, rq, why);
  case PORT_FLUSH:
    return flush_step(r, rq, why);
  case PORT_BREAK:
    if (why == EV_START)
      ask(r, RFC2217_SET_CONTROL, rq->a ? RFC2217_BREAK_ON : RFC2217_BREAK_OFF, 1, 0);
    return acks_step(r, rq, why);
  case PORT_DRAIN:
    return acks_step(r, rq, why);
  case PORT_MODEM:
    return done(rq, get_modem(r));
  default:
    return done(rq, PORT_EUNSUPPORTED);
  }
}

/* --- the name
 * ------------------------------------------------------------------------------------------------------- */

/* One option of the query. 0, or -1 if there is no such option. */
static int parse_option(struct rfc2217 *r, const char *text, size_t n) {
  if (n == strlen("ign_set_control") && strncmp(text, "ign_set_control", n) == 0) {
    r->ign_set_control = 1;
    return 0;
  }
  if (n > 8 && strncmp(text, "timeout=", 8) == 0) {
    char *end;
    r->timeout = strtod(text + 8, &end);
    return end == text + n && r->timeout > 0 && r->timeout <= 3600 ? 0 : -1;
  }
  if (n > 12 && !r->secret_file[0] && strncmp(text, "secret-file=", 12) == 0) {
    if (n - 12 >= sizeof r->secret_file)
      return -1;
    memcpy(r->secret_file, text + 12, n - 12); /* the rest is zero */
    return 0;
  }
  /* options that other programs know and that change nothing here */
  return (n > 8 && strncmp(text, "logging=", 8) == 0) || (n == 10 && strncmp(text, "poll_modem", n) == 0)
             ? 0
             : -1;
}

int port_new_rfc2217(struct port **out, const char *url, int baud, char *error) {
  static const struct port_ops ops = {"rfc2217", 1, 1, rfc_read, rfc_write, rfc_request, rfc_close};
  struct dial dial;
  const char *rest;
  int bad = dial_parse(&dial, url + strlen("rfc2217://"), &rest);
  struct rfc2217 *r = port_alloc(sizeof *r, &ops, url, baud);
  if (!r) {
    snprintf(error, PORT_ERROR_SIZE, "not enough memory");
    return PORT_EFAILED;
  }
  r->dial = dial;
  r->timeout = ACK_SECONDS;
  r->modem = -1;
  if (!bad && *rest == '/')
    rest++;
  if (!bad && *rest && *rest != '?')
    bad = 1;
  while (!bad && (*rest == '?' || *rest == '&')) {
    size_t n = strcspn(++rest, "&");
    bad = n > 0 && parse_option(r, rest, n) != 0;
    rest += n;
  }
  if (bad) {
    port_free(&r->p);
    snprintf(error, PORT_ERROR_SIZE,
             "%.200s: rfc2217://host:port[?ign_set_control][&timeout=seconds][&secret-file=path] expected",
             url);
    return PORT_EARGUMENT;
  }
  uint8_t proof[PROOF_SIZE] = {0}; /* whether there is a secret in the file */
  if (r->secret_file[0] && proof_make(r->secret_file, proof, 0, proof, error, PORT_ERROR_SIZE) != 0) {
    port_free(&r->p);
    return PORT_EARGUMENT;
  }
  *out = &r->p;
  return PORT_OK;
}
