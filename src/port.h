/* port.h - ports: one interface over serial devices, sockets, RFC 2217 servers, and the simulated chip.
 *
 * A port has one descriptor to wait for. Nothing in here blocks: read and write do what is possible now, and
 * what may take time is a request, which is an operation of ev.h. Errors are PORT_E... below zero; p->error
 * then holds a text with the particulars. A port is used by one thread. */
#ifndef PORT_H
#define PORT_H

#include "ev.h"

#include <stddef.h>

enum {
  PORT_OK = 0,
  PORT_EMISSING = -1,     /* no such device, host not found, connection refused */
  PORT_EBUSY = -2,        /* another program has it */
  PORT_EDENIED = -3,      /* no permission */
  PORT_EGONE = -4,        /* unplugged, connection closed */
  PORT_EFAILED = -5,      /* anything else the system reports */
  PORT_ETIMEOUT = -6,     /* no answer in time */
  PORT_EUNSUPPORTED = -7, /* this port cannot do that (modem lines, a rate) */
  PORT_EARGUMENT = -8,    /* malformed name */
  PORT_ECLOSED = -9       /* closed by ourselves */
};

enum { PORT_BAUD_MAX = 20000000, PORT_ERROR_SIZE = 320 };

/* What a request asks for. */
enum {
  PORT_OPEN,   /* a: milliseconds for connecting, 0 for the default */
  PORT_REOPEN, /* a: milliseconds to wait for the device to come back */
  PORT_BAUD,   /* a: bits per second */
  PORT_LINES,  /* a: DTR, b: RTS; 1 asserted, 0 not, -1 as it is */
  PORT_MODEM,  /* result: PORT_CTS and so on, or an error */
  PORT_FLUSH,  /* drops what was received */
  PORT_DRAIN,  /* until everything written has left. a: milliseconds */
  PORT_BREAK   /* a: 1 begins a break, 0 ends it */
};
enum { PORT_CTS = 1, PORT_DSR = 2, PORT_RI = 4, PORT_DCD = 8 };

struct port;

/* op.step is set by port_request; to be run by ev_start (or l_await). */
struct port_request {
  struct ev_op op;
  struct port *port;
  int what, a, b;
  int result; /* PORT_OK or more, or PORT_E... */
  int state;  /* for the back end; 0 at first */
};

struct port_ops {
  const char *kind; /* "serial", "socket", "rfc2217", "sim" */
  int has_lines, has_baud;
  /* > 0: bytes stored; 0: nothing now; < 0: PORT_E... Bytes may be kept inside the port, so read until 0
   * before waiting for fd. */
  int (*read)(struct port *p, void *buf, size_t max);
  /* >= 0: bytes taken, fewer than n when there is no room now; < 0: PORT_E... */
  int (*write)(struct port *p, const void *buf, size_t n);
  /* A step function: returns OP_DONE with rq->result, or OP_WAIT with rq->op.fd, events and deadline. Back
   * ends that never wait just answer. */
  int (*request)(struct port *p, struct port_request *rq, int why);
  /* Closes p->fd (sets it to -1) and frees what the back end holds, not p. May be called twice. */
  void (*close)(struct port *p);
};

/* A back end's own structure begins with this. */
struct port {
  const struct port_ops *ops;
  int fd; /* -1: not open. O_NONBLOCK, O_CLOEXEC */
  int baud;
  int dtr, rts;                /* as last set; -1: never */
  int has_lines, has_baud;     /* as found when opening */
  int usb_vid, usb_pid;        /* of a back end that plays a USB device; 0: see port_serial_desc */
  int hangup;                  /* serial: closing drops DTR and RTS (HUPCL) */
  char *url;                   /* as given */
  char *name;                  /* the device or host:port behind it */
  char error[PORT_ERROR_SIZE]; /* "/dev/ttyUSB0: no such device" */
  char hint[200];              /* what to do about it, or "" */
};

/* Makes the port that url names, not open yet; *out is NULL on failure. "/dev/ttyUSB0",
 * "socket://host:port", "rfc2217://host:port[?ign_set_control][&timeout=seconds]".
 * Then run a PORT_OPEN request, and port_free in the end. error: PORT_ERROR_SIZE bytes for the text. */
int port_new(struct port **out, const char *url, int baud, char *error);

/* For back ends: allocates size bytes, zeroed, and fills in the common part. NULL without memory. */
void *port_alloc(size_t size, const struct port_ops *ops, const char *url, int baud);

/* Closes; every later call on p gives PORT_ECLOSED. Twice is fine. */
void port_close(struct port *p);

/* Closes and frees. NULL is allowed. */
void port_free(struct port *p);

int port_read(struct port *p, void *buf, size_t max);
int port_write(struct port *p, const void *buf, size_t n);

/* Prepares a request; run rq->op, then look at rq->result. */
void port_request(struct port_request *rq, struct port *p, int what, int a, int b);

/* The same at once, for back ends that never wait. PORT_EFAILED if this one wants to. */
int port_set_lines(struct port *p, int dtr, int rts);
int port_set_baud(struct port *p, int baud);
int port_flush_input(struct port *p);

/* "port_busy", "timeout", ... */
const char *port_code(int err);
/* A few words, when p->error says no more: "no such port". */
const char *port_strerror(int err);

/* Fills in p->error with p->url in front. Returns err. */
int port_fail(struct port *p, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The error for errno of an operation on an open port, with text. */
int port_fail_errno(struct port *p, const char *doing, int number);

/* --- the back ends of this folder ------------------------------------------------------------------ */
int port_new_serial(struct port **out, const char *url, int baud, char *error);
int port_new_tcp(struct port **out, const char *url, int baud, char *error);
int port_new_rfc2217(struct port **out, const char *url, int baud, char *error);

struct port_desc;
/* What is known of the device of an open serial port, or NULL. */
const struct port_desc *port_serial_desc(struct port *p);

/* A port on a connected socket, pipe or pty master, which it owns from then on (closed on failure too). NULL
 * without memory. */
struct port *port_from_fd(int fd, const char *kind, const char *url);

/* Non-blocking read and write on p->fd, which back ends use. Sockets: port_socket_write, which raises no
 * SIGPIPE. */
int port_fd_read(struct port *p, void *buf, size_t max);
int port_fd_write(struct port *p, const void *buf, size_t n);
int port_fd_flush(struct port *p); /* drops what has come; PORT_OK or an error */
int port_socket_write(struct port *p, const void *buf, size_t n);
/* The same on TCP. Servers that send an answer in pieces wait for the acknowledgement of the first one, which
 * the system here would put off for 40 ms in the hope of something to send along: this asks for it at once.
 */
int port_tcp_write(struct port *p, const void *buf, size_t n);
void port_fd_close(struct port *p);

#endif
