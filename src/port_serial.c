/* port_serial.c - serial devices through libserialport, and pseudo terminals, which it does not take.
 *
 * libserialport 0.1.1 takes no lock, opens without O_CLOEXEC and leaves HUPCL set. So the device is opened
 * and locked here first, before anything of it is changed, and that descriptor keeps the lock. */
#include "port.h"
#include "port_list.h"
#include "port_speed.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libserialport.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { RETRY_MS = 50 };

struct serial {
  struct port p;
  struct sp_port *sp; /* NULL: a pseudo terminal, used by p.fd alone */
  int lock;           /* the descriptor that holds the lock; p.fd itself for a pseudo terminal */
  struct port_desc desc;
  int described;
  double end; /* of reopening, draining */
};

static void serial_close(struct port *p) {
  struct serial *s = (struct serial *)p;
  if (p->fd >= 0)
    ioctl(p->fd, TIOCNXCL);
  if (s->sp) {
    sp_close(s->sp);
    sp_free_port(s->sp);
  } else if (p->fd >= 0 && p->fd != s->lock) {
    close(p->fd);
  }
  if (s->lock >= 0)
    close(s->lock); /* ends the lock */
  s->sp = NULL;
  p->fd = s->lock = -1;
}

/* --- who has it --------------------------------------------------------------------------------------------
 */

/* Whether a process has the device open. */
static int holds(const char *pid, const char *device) {
  char dir[64], path[PATH_MAX], target[PATH_MAX];
  snprintf(dir, sizeof dir, "/proc/%.20s/fd", pid);
  DIR *fds = opendir(dir);
  if (!fds)
    return 0;
  int found = 0;
  for (struct dirent *e; !found && (e = readdir(fds));) {
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n > 0) {
      target[n] = '\0';
      found = strcmp(target, device) == 0;
    }
  }
  closedir(fds);
  return found;
}

/* "picocom (pid 1234)", or "" when it cannot be seen. */
static void find_holder(const char *device, char *out, size_t size) {
  out[0] = '\0';
  DIR *proc = opendir("/proc");
  if (!proc)
    return;
  for (struct dirent *e; !out[0] && (e = readdir(proc));) {
    if (!isdigit((unsigned char)e->d_name[0]) || atol(e->d_name) == (long)getpid() ||
        !holds(e->d_name, device))
      continue;
    char path[64], name[64] = "?";
    snprintf(path, sizeof path, "/proc/%.20s/comm", e->d_name);
    FILE *f = fopen(path, "re");
    if (f) {
      if (fgets(name, sizeof name, f))
        name[strcspn(name, "\n")] = '\0';
      fclose(f);
    }
    snprintf(out, size, "%s (pid %.20s)", name, e->d_name);
  }
  closedir(proc);
}

static int fail_busy(struct port *p) {
  char holder[128];
  find_holder(p->name, holder, sizeof holder);
  port_fail(p, PORT_EBUSY, holder[0] ? "the port is in use by %s" : "the port is in use%s", holder);
  snprintf(p->hint, sizeof p->hint, "close the program that uses it (a serial monitor?)");
  return PORT_EBUSY;
}

static int fail_denied(struct port *p) {
  struct stat st;
  struct group *group = stat(p->name, &st) == 0 && (st.st_mode & S_IRGRP) ? getgrgid(st.st_gid) : NULL;
  port_fail(p, PORT_EDENIED, "no permission to use the port");
  if (group && st.st_gid != 0)
    snprintf(p->hint, sizeof p->hint, "sudo usermod -a -G %.32s $USER, then log in again", group->gr_name);
  else
    snprintf(p->hint, sizeof p->hint,
             "serial ports belong to the group dialout (or uucp); is this the right port?");
  return PORT_EDENIED;
}

static int fail_open(struct port *p, int number) {
  switch (number) {
  case ENOENT:
  case ENOTDIR:
  case ENODEV:
  case ENXIO:
    port_fail(p, PORT_EMISSING, "no such port");
    snprintf(p->hint, sizeof p->hint, "is the board plugged in, with a cable that carries data?");
    return PORT_EMISSING;
  case EBUSY:
    return fail_busy(p);
  case EACCES:
  case EPERM:
    return fail_denied(p);
  case EIO: /* a device that is just going away */
    return port_fail(p, PORT_EGONE, "the port is gone (open: %s)", strerror(number));
  default:
    return port_fail(p, PORT_EFAILED, "cannot open: %s", strerror(number));
  }
}

/* --- opening
 * ------------------------------------------------------------------------------------------------ */

static int try_baud(struct serial *s, int baud) {
  return s->sp ? sp_set_baudrate(s->sp, baud) == SP_OK : speed_set(s->p.fd, baud) == 0;
}

/* Drivers take a rate that they cannot make and choose another: what was set in the end decides. */
static int set_baud(struct serial *s, int baud) {
  int before = speed_get(s->p.fd);
  int ok = try_baud(s, baud);
  if (!ok && (errno == EIO || errno == ENODEV || errno == ENXIO))
    return port_fail_errno(&s->p, "set the rate", errno);
  int real = ok ? speed_get(s->p.fd) : -1;
  if (!ok || (real > 0 && (real > baud + baud / 20 || real < baud - baud / 20))) {
    if (before > 0)
      try_baud(s, before);
    return port_fail(&s->p, PORT_EUNSUPPORTED, "the port does not support %d baud", baud);
  }
  s->p.baud = baud;
  return PORT_OK;
}

/* Raw bytes, no flow control, 8N1. Reading gives EAGAIN when there is nothing, so that 0 means gone. */
static int set_mode(struct serial *s) {
  struct termios t;
  if (tcgetattr(s->p.fd, &t) != 0)
    return port_fail_errno(&s->p, "read the settings", errno);
  cfmakeraw(&t);
  t.c_iflag &= ~(tcflag_t)(IXON | IXOFF | IXANY | IGNBRK);
  t.c_iflag |= IGNPAR;
  t.c_cflag &= ~(tcflag_t)(CSTOPB | PARENB | CRTSCTS | HUPCL);
  t.c_cflag |= CLOCAL | CREAD | CS8 | (s->p.hangup ? HUPCL : 0);
  t.c_cc[VMIN] = 1;
  t.c_cc[VTIME] = 0;
  if (tcsetattr(s->p.fd, TCSANOW, &t) != 0)
    return port_fail_errno(&s->p, "change the settings", errno);
  return PORT_OK;
}

/* Opens the device with libserialport, if that knows it. */
static int open_sp(struct serial *s) {
  if (sp_get_port_by_name(s->p.name, &s->sp) != SP_OK) {
    s->sp = NULL;
    s->p.fd = s->lock;
    return PORT_OK;
  }
  if (sp_open(s->sp, SP_MODE_READ_WRITE) != SP_OK || sp_get_port_handle(s->sp, &s->p.fd) != SP_OK) {
    int number = errno;
    sp_close(s->sp); /* a failed sp_open may leave the descriptor open */
    sp_free_port(s->sp);
    s->sp = NULL;
    s->p.fd = -1;
    return fail_open(&s->p, number);
  }
  fcntl(s->p.fd, F_SETFD, FD_CLOEXEC);
  return PORT_OK;
}

static int open_steps(struct serial *s) {
  struct port *p = &s->p;
  int modem;
  s->lock = open(p->name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (s->lock < 0)
    return fail_open(p, errno);
  if (!isatty(s->lock))
    return port_fail(p, PORT_EFAILED, "not a serial port");
  if (flock(s->lock, LOCK_EX | LOCK_NB) != 0)
    return errno == EWOULDBLOCK ? fail_busy(p) : port_fail_errno(p, "lock", errno);
  int err = open_sp(s);
  if (err)
    return err;
  ioctl(p->fd, TIOCEXCL);
  if ((err = set_mode(s)) != 0 || (err = set_baud(s, p->baud)) != 0)
    return err;
  p->has_lines = ioctl(p->fd, TIOCMGET, &modem) == 0;
  tcflush(p->fd, TCIFLUSH);
  return PORT_OK;
}

/* Finds the device behind p->url: links are followed, and a USB device that has come back under another name
 * is found by the hub port it hangs on. */
static int find_device(struct serial *s) {
  char path[PATH_MAX];
  char *name = realpath(s->p.url, path) ? strdup(path) : NULL;
  if (!name && s->described && s->desc.kind == PORT_USB) {
    struct port_list list;
    port_list("/sys", &list);
    for (const struct port_desc *d = list.items; d && d < list.items + list.count && !name; d++)
      if (d->kind == PORT_USB && strcmp(d->usb.location, s->desc.usb.location) == 0 &&
          d->usb.interface == s->desc.usb.interface)
        name = strdup(d->name);
    port_list_free(&list);
    errno = ENOENT;
  }
  if (!name)
    return fail_open(&s->p, errno == EACCES ? EACCES : ENOENT);
  free(s->p.name);
  s->p.name = name;
  return PORT_OK;
}

static int open_device(struct serial *s) {
  int err = find_device(s);
  if (!err)
    err = open_steps(s);
  if (err) {
    serial_close(&s->p);
    return err;
  }
  const char *tty = strncmp(s->p.name, "/dev/", 5) == 0 ? s->p.name + 5 : NULL;
  struct port_desc d;
  if (tty && !strchr(tty, '/') && port_describe("/sys", tty, &d) == 0) {
    s->desc = d;
    s->described = 1;
  }
  return PORT_OK;
}

const struct port_desc *port_serial_desc(struct port *p) {
  struct serial *s = (struct serial *)p;
  return strcmp(p->ops->kind, "serial") == 0 && s->described ? &s->desc : NULL;
}

/* --- requests
 * ------------------------------------------------------------------------------------------------- */

static int wait_ms(struct port_request *rq, double end, int ms) {
  double next = ev_now() + ms / 1e3;
  rq->op.fd = -1;
  rq->op.deadline = next < end ? next : end;
  return OP_WAIT;
}

/* Tries until the device is there and lets itself be opened: the system needs a moment for its permissions,
 * too. */
static int reopen_step(struct serial *s, struct port_request *rq, int why) {
  if (why == EV_START) {
    serial_close(&s->p);
    s->end = ev_now() + rq->a / 1e3;
  }
  rq->result = open_device(s);
  if (rq->result == PORT_OK || rq->result == PORT_EUNSUPPORTED || ev_now() >= s->end)
    return OP_DONE;
  return wait_ms(rq, s->end, RETRY_MS);
}

static int drain_step(struct serial *s, struct port_request *rq, int why) {
  int left = 0;
  if (why == EV_START)
    s->end = ev_now() + rq->a / 1e3;
  if (ioctl(s->p.fd, TIOCOUTQ, &left) != 0) {
    rq->result = errno == ENOTTY ? PORT_OK : port_fail_errno(&s->p, "drain", errno);
    return OP_DONE;
  }
  if (left == 0)
    return OP_DONE;
  if (ev_now() >= s->end) {
    rq->result = port_fail(&s->p, PORT_ETIMEOUT, "timeout: %d bytes could not be sent", left);
    return OP_DONE;
  }
  double ms = 1 + left * 1e4 / s->p.baud;
  return wait_ms(rq, s->end, ms < 50 ? (int)ms : 50);
}

/* Lines that a port does not have: some drivers say EINVAL. */
static int line_error(struct port *p, int number) {
  if (number == ENOTTY || number == EINVAL)
    return port_fail(p, PORT_EUNSUPPORTED, "the port has no modem lines (%s)", strerror(number));
  return port_fail_errno(p, "modem lines", number);
}

/* Both lines change at the same time, because a reset circuit looks at both. */
static int set_lines(struct port *p, int dtr, int rts) {
  int on = (dtr == 1 ? TIOCM_DTR : 0) | (rts == 1 ? TIOCM_RTS : 0), old = 0, err;
  int off = (dtr == 0 ? TIOCM_DTR : 0) | (rts == 0 ? TIOCM_RTS : 0);
  if (on && off) {
    err = ioctl(p->fd, TIOCMGET, &old);
    int lines = (old | on) & ~off;
    if (!err)
      err = ioctl(p->fd, TIOCMSET, &lines);
  } else {
    err = on ? ioctl(p->fd, TIOCMBIS, &on) : off ? ioctl(p->fd, TIOCMBIC, &off) : 0;
  }
  if (err)
    return line_error(p, errno);
  p->dtr = dtr < 0 ? p->dtr : dtr;
  p->rts = rts < 0 ? p->rts : rts;
  return PORT_OK;
}

static int get_modem(struct port *p) {
  int lines;
  if (ioctl(p->fd, TIOCMGET, &lines) != 0)
    return line_error(p, errno);
  return (lines & TIOCM_CTS ? PORT_CTS : 0) | (lines & TIOCM_DSR ? PORT_DSR : 0) |
         (lines & TIOCM_RI ? PORT_RI : 0) | (lines & TIOCM_CD ? PORT_DCD : 0);
}

static int serial_request(struct port *p, struct port_request *rq, int why) {
  struct serial *s = (struct serial *)p;
  rq->result = PORT_OK;
  switch (rq->what) {
  case PORT_OPEN:
    rq->result = open_device(s);
    break;
  case PORT_REOPEN:
    return reopen_step(s, rq, why);
  case PORT_BAUD:
    rq->result = set_baud(s, rq->a);
    break;
  case PORT_LINES:
    rq->result = set_lines(p, rq->a, rq->b);
    break;
  case PORT_MODEM:
    rq->result = get_modem(p);
    break;
  case PORT_FLUSH:
    if (tcflush(p->fd, TCIFLUSH) != 0)
      rq->result = port_fail_errno(p, "flush", errno);
    break;
  case PORT_DRAIN:
    return drain_step(s, rq, why);
  case PORT_BREAK:
    if (ioctl(p->fd, rq->a ? TIOCSBRK : TIOCCBRK) != 0)
      rq->result = port_fail_errno(p, "break", errno);
    break;
  default:
    rq->result = PORT_EUNSUPPORTED;
  }
  return OP_DONE;
}

int port_new_serial(struct port **out, const char *url, int baud, char *error) {
  static const struct port_ops ops = {"serial",       1,           1, port_fd_read, port_fd_write,
                                      serial_request, serial_close};
  struct serial *s = port_alloc(sizeof *s, &ops, url, baud);
  if (!s) {
    snprintf(error, PORT_ERROR_SIZE, "not enough memory");
    return PORT_EFAILED;
  }
  s->lock = -1;
  *out = &s->p;
  return PORT_OK;
}
