/* stretch.c - a library to be preloaded: the program's clock goes slower by the factor STRETCH, and its waits
 * last longer by it. A benchmark of a simulated chip whose line keeps to its rate then gives the same figures
 * on a machine that has other work too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

static const long long NS = 1000000000;

static long factor(void) {
  static long k; /* the program's start, before it has threads */
  if (!k) {
    const char *s = getenv("STRETCH");
    k = s ? atol(s) : 1;
    if (k < 1)
      k = 1;
  }
  return k;
}

int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real)
    *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
  int r = real(id, t);
  if (r == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
    long long n = (t->tv_sec * NS + t->tv_nsec) / factor();
    t->tv_sec = (time_t)(n / NS);
    t->tv_nsec = (long)(n % NS);
  }
  return r;
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask) {
  static int (*real)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
  struct timespec longer;
  if (!real)
    *(void **)&real = dlsym(RTLD_NEXT, "ppoll");
  if (t) {
    long long ns = (t->tv_sec * NS + t->tv_nsec) * factor();
    longer = (struct timespec){(time_t)(ns / NS), (long)(ns % NS)};
    t = &longer;
  }
  return real(fds, n, t, mask);
}

static int stretched(int ms) {
  return ms > 0 ? (int)(ms * factor()) : ms;
}

int epoll_pwait(int fd, struct epoll_event *events, int n, int ms, const sigset_t *mask) {
  static int (*real)(int, struct epoll_event *, int, int, const sigset_t *);
  if (!real)
    *(void **)&real = dlsym(RTLD_NEXT, "epoll_pwait");
  return real(fd, events, n, stretched(ms), mask);
}

int epoll_wait(int fd, struct epoll_event *events, int n, int ms) {
  return epoll_pwait(fd, events, n, ms, NULL);
}

int poll(struct pollfd *fds, nfds_t n, int ms) {
  static int (*real)(struct pollfd *, nfds_t, int);
  if (!real)
    *(void **)&real = dlsym(RTLD_NEXT, "poll");
  return real(fds, n, stretched(ms));
}
