/* dial.c - name resolution in a thread of its own (the system's resolver blocks), then connect. */
#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Shared by the thread and the dial; the last one frees it. */
struct dial_lookup {
  atomic_int users;
  int done[2]; /* the thread closes its end when it is ready */
  int err;
  struct addrinfo *list;
  char host[256], service[8];
};

enum { IDLE, LOOKUP, CONNECT };

int dial_parse(struct dial *d, const char *text, const char **rest) {
  memset(d, 0, sizeof *d);
  d->fd = -1;
  const char *host = text, *end;
  if (*text == '[') {
    host++;
    end = strchr(text, ']');
    text = end ? end + 1 : NULL;
  } else {
    end = text = text + strcspn(text, ":/?");
  }
  if (!text || *text != ':' || end == host || (size_t)(end - host) >= sizeof d->host)
    return -1;
  size_t digits = strspn(++text, "0123456789");
  if (digits < 1 || digits > 5)
    return -1;
  memcpy(d->host, host, (size_t)(end - host));
  memcpy(d->service, text, digits);
  *rest = text + digits;
  int port = atoi(d->service);
  return port >= 1 && port <= 65535 && strchr("/?", **rest) ? 0 : -1;
}

static void release(struct dial_lookup *l) {
  if (atomic_fetch_sub(&l->users, 1) != 1)
    return;
  if (l->list)
    freeaddrinfo(l->list);
  free(l);
}

static void *resolve(void *arg) {
  struct dial_lookup *l = arg;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  l->err = getaddrinfo(l->host, l->service, &hints, &l->list);
  int fd = l->done[1];
  release(l);
  close(fd);
  return NULL;
}

/* Starts the thread. 0, or -1 with errno. */
static int lookup(struct dial *d) {
  struct dial_lookup *l = calloc(1, sizeof *l);
  if (!l)
    return -1;
  if (pipe2(l->done, O_CLOEXEC | O_NONBLOCK) != 0) {
    free(l);
    return -1;
  }
  memcpy(l->host, d->host, sizeof l->host);
  memcpy(l->service, d->service, sizeof l->service);
  atomic_init(&l->users, 2);
  pthread_t thread;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  int err = pthread_create(&thread, &attr, resolve, l);
  pthread_attr_destroy(&attr);
  if (err) {
    close(l->done[0]);
    close(l->done[1]);
    free(l);
    errno = err;
    return -1;
  }
  d->lookup = l;
  return 0;
}

static void drop_lookup(struct dial *d) {
  if (!d->lookup)
    return;
  close(d->lookup->done[0]);
  release(d->lookup);
  d->lookup = NULL;
}

void dial_cancel(struct dial *d) {
  drop_lookup(d);
  if (d->fd >= 0)
    close(d->fd);
  if (d->list)
    freeaddrinfo(d->list);
  d->fd = -1;
  d->list = d->next = NULL;
  d->state = IDLE;
}

/* Takes the thread's result. Returns an EAI_ error. */
static int take_list(struct dial *d) {
  char byte;
  while (read(d->lookup->done[0], &byte, 1) > 0)
    ;
  int err = d->lookup->err;
  d->list = d->next = d->lookup->list;
  d->lookup->list = NULL;
  drop_lookup(d);
  return err;
}

static int numeric(struct dial *d) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
  int err = getaddrinfo(d->host, d->service, &hints, &d->list);
  d->next = d->list;
  return err == 0;
}

static int failed(struct dial *d, int *fd) {
  *fd = -1;
  dial_cancel(d);
  return OP_DONE;
}

/* Tries addresses until one is connected or being connected. */
static int try_next(struct dial *d, struct ev_op *op, int *fd, char *why_not, size_t size) {
  for (; d->next; d->next = d->next->ai_next) {
    const struct addrinfo *a = d->next;
    d->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (d->fd < 0) {
      d->last_errno = errno;
      continue;
    }
    int on = 1, left = 0;
    setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int err = connect(d->fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (err == 0) {
      *fd = d->fd;
      d->fd = -1;
      dial_cancel(d);
      return OP_DONE;
    }
    if (err == EINPROGRESS) {
      for (const struct addrinfo *n = a; n; n = n->ai_next)
        left++;
      double now = ev_now();
      op->fd = d->fd;
      op->events = EV_WRITE;
      op->deadline = now + (d->end > now ? d->end - now : 0) / left;
      return OP_WAIT;
    }
    d->last_errno = err;
    close(d->fd);
    d->fd = -1;
  }
  snprintf(why_not, size, "cannot connect: %s", strerror(d->last_errno));
  return failed(d, fd);
}

/* One connection attempt is over. */
static int check(struct dial *d, struct ev_op *op, int why, int *fd, char *why_not, size_t size) {
  int err = ETIMEDOUT;
  socklen_t n = sizeof err;
  if (why != EV_TIMEOUT)
    getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &err, &n);
  if (err == 0) {
    *fd = d->fd;
    d->fd = -1;
    dial_cancel(d);
    return OP_DONE;
  }
  d->last_errno = err;
  close(d->fd);
  d->fd = -1;
  d->next = d->next->ai_next;
  return try_next(d, op, fd, why_not, size);
}

int dial_step(struct dial *d, struct ev_op *op, int why, int *fd, char *why_not, size_t size) {
  if (d->state == IDLE) {
    d->end = ev_now() + d->limit;
    d->state = CONNECT;
    if (numeric(d))
      return try_next(d, op, fd, why_not, size);
    if (lookup(d) != 0) {
      snprintf(why_not, size, "cannot look up %.60s: %s", d->host, strerror(errno));
      return failed(d, fd);
    }
    d->state = LOOKUP;
    op->fd = d->lookup->done[0];
    op->events = EV_READ;
    op->deadline = d->end;
    return OP_WAIT;
  }
  if (d->state == CONNECT)
    return check(d, op, why, fd, why_not, size);
  if (why == EV_TIMEOUT) {
    snprintf(why_not, size, "the name %.60s was not resolved within %g s", d->host, d->limit);
    return failed(d, fd);
  }
  int err = take_list(d);
  if (err) {
    snprintf(why_not, size, "host %.60s not found: %s", d->host, gai_strerror(err));
    return failed(d, fd);
  }
  d->state = CONNECT;
  return try_next(d, op, fd, why_not, size);
}
