/* serve.h - the server's side of RFC 2217: bytes between a port and the client that uses it over the network.
 *
 * Bytes, telnet options and the client's wish to pause are dealt with here. What the client asks of the port
 * (rate, lines, purge) is handed to the caller, after all bytes that came before it have gone out. */
#ifndef SERVE_H
#define SERVE_H

#include "ev.h"
#include "port.h"
#include "telnet.h"

#include <stdint.h>

enum {
  SERVE_IN = 16384,       /* bytes taken from the client at once */
  SERVE_OUT = 256 * 1024, /* bytes kept for a client that is slow to read */
  SERVE_COMMAND_MAX = 32  /* data bytes of a command that are kept */
};

/* How a run ended. */
enum {
  SERVE_TICK,    /* the time is over */
  SERVE_COMMAND, /* the client asks for something: command, data, size */
  SERVE_BREAK,   /* the client sent telnet's break */
  SERVE_GONE,    /* the client is gone: error */
  SERVE_LOST     /* the port has failed: error */
};

/* op is an operation that ends with one of SERVE_..., and can be started again afterwards. */
struct serve {
  struct ev_op op;
  struct port *port, *client; /* not owned */
  int raw;                    /* plain bytes, no telnet */
  double until;               /* when a run ends with SERVE_TICK */

  int result; /* SERVE_... */
  int error;  /* PORT_E..., with the text in port or client */
  uint8_t command, data[SERVE_COMMAND_MAX];
  size_t size;
  uint64_t received, sent; /* bytes from the port, and to it */
  uint64_t dropped;        /* bytes for a port that took none for seconds */

  /* private */
  struct telnet telnet;
  uint8_t *out; /* SERVE_OUT bytes */
  size_t out_at, out_end;
  uint8_t in[SERVE_IN], plain[SERVE_IN];
  size_t in_at, in_end, plain_at, plain_end;
  int held;      /* SERVE_COMMAND or SERVE_BREAK, until plain is empty */
  int suspended; /* the client wants no data */
  double stuck;  /* since when the port takes nothing; 0: it does */
  int epoll;     /* -1: not running */
  uint32_t events[2];
};

/* 0, or -1 without memory. serve_free in either case. */
int serve_init(struct serve *s, struct port *port, struct port *client, int raw);
void serve_free(struct serve *s);

/* Bytes that came from the client before, at most SERVE_IN, to be called first of all. */
void serve_feed(struct serve *s, const void *bytes, size_t n);

/* To be called before each start of s->op. */
void serve_prepare(struct serve *s, double until);

/* Queues a COM-PORT message of up to 16 bytes, and sends what the client takes now. */
void serve_reply(struct serve *s, uint8_t command, const uint8_t *data, size_t n);

/* If the very next thing that the client has sent is a SET_CONTROL, takes it and returns its value, else -1.
 */
int serve_next_control(struct serve *s);

/* Drops what the client has sent and the port has not taken. */
void serve_drop(struct serve *s);

/* 0 when the client has closed the connection. */
int serve_alive(struct serve *s);

#endif
