/* runner.c - the thread behind a simulated chip. */
#include "sim/runner_impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 256 * 1024 };
static const double STEP = 0.0005; /* seconds by which a frozen chip's time is moved */

static double monotonic(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

double sim_runner_now(struct sim_runner *r) {
  return monotonic() - r->start;
}

static void wake(struct sim_runner *r) {
  uint64_t one = 1;
  ssize_t n = write(r->wake, &one, sizeof one);
  (void)n; /* full means that it is awake */
}

/* --- with the lock held -------------------------------------------------------------------------------- */

static void hang_up(struct sim_runner *r) {
  if (r->host >= 0 && r->wrapping.kind != SIM_HOST_PTY) {
    close(r->host);
    r->host = -1;
  }
  r->out_len = 0;
}

void sim_runner_arrive(struct sim_runner *r, int fd, int kind) {
  r->host = fd;
  r->had_host = 1;
  r->out_len = 0;
  sim_host_init(&r->wrapping, kind, r->chip);
  sim_chip_opened(r->chip, sim_runner_now(r));
  if (r->reset_on_connect && kind != SIM_HOST_RFC2217)
    sim_chip_reset(r->chip, SIM_RST_POWER_ON, SIM_BOOT_DOWNLOAD);
}

static void follow_pty_rate(struct sim_runner *r) {
  struct termios t;
  if (r->wrapping.kind == SIM_HOST_PTY && tcgetattr(r->host, &t) == 0) {
    double baud = sim_host_rate(cfgetospeed(&t));
    if (baud > 0 && baud != r->chip->host_baud)
      sim_chip_set_baud(r->chip, baud, sim_runner_now(r));
  }
}

/* Takes what the host has written. Returns 0 when it has gone. */
static int read_host(struct sim_runner *r) {
  uint8_t buffer[SIM_CHUNK];
  while (r->host >= 0) {
    ssize_t n = read(r->host, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && (errno == EAGAIN || (errno == EIO && r->wrapping.kind == SIM_HOST_PTY)))
      return 1;
    if (n <= 0)
      return 0;
    follow_pty_rate(r);
    sim_host_input(&r->wrapping, buffer, (size_t)n, sim_runner_now(r));
    if (n < (ssize_t)sizeof buffer)
      return 1;
  }
  return 1;
}

/* Gives the host what is due. Returns 0 when it has gone, 2 when it takes no more now. */
static int write_host(struct sim_runner *r) {
  if (!r->had_host)
    return 1; /* the chip is switched on when somebody first looks: its boot log waits */
  for (;;) {
    if (r->out_len < sizeof r->out)
      r->out_len +=
          sim_host_output(&r->wrapping, r->out + r->out_len, sizeof r->out - r->out_len, sim_runner_now(r));
    if (r->out_len == 0)
      return 1;
    if (r->host < 0) {
      r->out_len = 0; /* nobody listens */
      continue;
    }
    ssize_t n = write(r->host, r->out, r->out_len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN ? 2 : 0;
    memmove(r->out, r->out + n, r->out_len - (size_t)n);
    r->out_len -= (size_t)n;
  }
}

/* Returns 2 when the host is to be polled for room. */
static int pump(struct sim_runner *r) {
  if (r->frozen)
    return 1;
  int open = read_host(r), room;
  sim_chip_run(r->chip, sim_runner_now(r));
  room = write_host(r);
  if (!open || !room || (r->host >= 0 && (r->chip->gone || !sim_chip_present(r->chip, sim_runner_now(r)))))
    hang_up(r);
  return room;
}

void sim_runner_listen_to_host(struct sim_runner *r) {
  if (!read_host(r))
    hang_up(r);
}

/* --- the thread ------------------------------------------------------------------------------------------
 */

static void *run(void *arg) {
  struct sim_runner *r = arg;
  int room = 1;
  pthread_mutex_lock(&r->lock);
  while (!r->stop) {
    double next = r->had_host && !r->frozen ? sim_chip_next(r->chip) : -1, now = sim_runner_now(r);
    struct pollfd p[4] = {{.fd = r->wake, .events = POLLIN},
                          {.fd = r->host, .events = (short)(POLLIN | (room == 2 ? POLLOUT : 0))},
                          {.fd = r->listening, .events = POLLIN},
                          {.fd = r->pty_watch, .events = POLLIN}};
    struct timespec ts = {0, 0};
    if (next > now && room != 2) {
      ts.tv_sec = (time_t)(next - now);
      ts.tv_nsec = (long)((next - now - (double)ts.tv_sec) * 1e9);
    }
    int forever = next < 0 || room == 2;
    pthread_mutex_unlock(&r->lock);
    ppoll(p, 4, forever ? NULL : &ts, NULL);
    pthread_mutex_lock(&r->lock);
    if (p[0].revents) {
      uint64_t n;
      ssize_t got = read(r->wake, &n, sizeof n);
      (void)got;
    }
    if (p[3].revents && !r->stop)
      sim_serve_watch(r);
    if (p[2].revents && !r->stop)
      sim_serve_accept(r);
    room = pump(r);
  }
  pthread_mutex_unlock(&r->lock);
  return NULL;
}

struct sim_runner *sim_runner_new(const struct sim_config *config, char *error, size_t error_size) {
  struct sim_runner *r = calloc(1, sizeof *r);
  if (!r) {
    snprintf(error, error_size, "no memory for a simulated chip");
    return NULL;
  }
  r->refs = 1;
  r->host = r->listening = r->pty_slave = r->pty_watch = -1;
  r->start = monotonic();
  r->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  r->chip = sim_chip_new(config, error, error_size);
  if (!r->chip || r->wake < 0) {
    if (r->chip)
      snprintf(error, error_size, "simulated chip: %s", strerror(errno));
    sim_chip_free(r->chip);
    if (r->wake >= 0)
      close(r->wake);
    free(r);
    return NULL;
  }
  sim_host_init(&r->wrapping, SIM_HOST_PORT, r->chip);
  pthread_mutex_init(&r->lock, NULL);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  sigset_t all, old; /* signals are for the threads of the program */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int failed = pthread_create(&r->thread, &attr, run, r);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&attr);
  if (failed) {
    snprintf(error, error_size, "simulated chip: no thread: %s", strerror(failed));
    sim_chip_free(r->chip);
    close(r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return NULL;
  }
  return r;
}

void sim_runner_keep(struct sim_runner *r) {
  pthread_mutex_lock(&r->lock);
  r->refs++;
  pthread_mutex_unlock(&r->lock);
}

void sim_runner_drop(struct sim_runner *r) {
  pthread_mutex_lock(&r->lock);
  int left = --r->refs;
  if (left == 0)
    r->stop = 1;
  pthread_mutex_unlock(&r->lock);
  if (left > 0)
    return;
  wake(r);
  pthread_join(r->thread, NULL);
  int fds[] = {r->host, r->listening, r->pty_slave, r->pty_watch, r->wake};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      close(fds[i]);
  sim_chip_free(r->chip);
  pthread_mutex_destroy(&r->lock);
  free(r);
}

struct sim_chip *sim_runner_lock(struct sim_runner *r) {
  pthread_mutex_lock(&r->lock);
  if (!r->frozen)
    sim_chip_run(r->chip, sim_runner_now(r));
  return r->chip;
}

void sim_runner_unlock(struct sim_runner *r) {
  int frozen = r->frozen;
  pthread_mutex_unlock(&r->lock);
  if (!frozen)
    wake(r);
}

void sim_runner_freeze(struct sim_runner *r) {
  pthread_mutex_lock(&r->lock);
  if (r->host < 0)
    r->frozen = 1;
  pthread_mutex_unlock(&r->lock);
}

/* Waits for nothing but bytes. */
static int is_idle(struct sim_chip *c) {
  if (sim_line_pending(&c->line, SIM_TO_CHIP) > 0)
    return 0;
  return c->core.cpu ? c->core.asleep >= 0 && !c->core.wants : c->busy_until <= c->now;
}

/* Seconds, by the processor's cycles if it has one. */
static double clock_of(const struct sim_chip *c) {
  return c->core.cpu ? (double)c->core.cpu->cycles / c->config.core.clock : c->now;
}

size_t sim_runner_exchange(struct sim_runner *r, const uint8_t *data, size_t n, double seconds, uint8_t *out,
                           size_t max, int *idle, double *took) {
  size_t got = 0;
  pthread_mutex_lock(&r->lock);
  struct sim_chip *c = r->chip;
  double now = c->now, end = now + seconds, start = clock_of(c);
  sim_chip_input(c, data, n, now);
  for (*idle = 0; !*idle && now < end;) {
    double next = sim_chip_next(c);
    now = next > now ? next : now + STEP;
    sim_chip_run(c, now);
    *idle = is_idle(c);
    got += sim_chip_output(c, out + got, max - got, now);
  }
  *took = clock_of(c) - start;
  pthread_mutex_unlock(&r->lock);
  return got;
}

int sim_runner_open(struct sim_runner *r, int *fd) {
  int pair[2], result = SIM_RUN_OK;
  *fd = -1;
  sim_runner_lock(r);
  if (!sim_chip_present(r->chip, sim_runner_now(r))) {
    result = SIM_RUN_GONE;
  } else if (r->host >= 0) {
    result = SIM_RUN_BUSY;
  } else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
    result = SIM_RUN_FAILED;
  } else {
    sim_runner_arrive(r, pair[0], SIM_HOST_PORT);
    *fd = pair[1];
  }
  sim_runner_unlock(r);
  return result;
}

void sim_runner_hangup(struct sim_runner *r) {
  sim_runner_lock(r);
  read_host(r);
  hang_up(r);
  sim_runner_unlock(r);
}

void sim_runner_set_baud(struct sim_runner *r, double baud) {
  sim_runner_lock(r);
  pump(r);
  sim_chip_set_baud(r->chip, baud, sim_runner_now(r));
  sim_runner_unlock(r);
}

void sim_runner_set_lines(struct sim_runner *r, int dtr, int rts) {
  sim_runner_lock(r);
  pump(r);
  sim_chip_set_lines(r->chip, dtr, rts, sim_runner_now(r));
  sim_runner_unlock(r);
}

void sim_runner_settle(struct sim_runner *r) {
  sim_runner_lock(r);
  pump(r);
  sim_runner_unlock(r);
}
