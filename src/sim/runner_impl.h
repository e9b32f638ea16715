/* runner_impl.h - what runner.c and serve.c share. */
#ifndef SIM_RUNNER_IMPL_H
#define SIM_RUNNER_IMPL_H

#include "sim/runner.h"

#include <pthread.h>

enum { SIM_CHUNK = 16384 };

struct sim_runner {
  pthread_t thread;
  pthread_mutex_t lock;
  struct sim_chip *chip;
  int refs, stop, reset_on_connect;
  int frozen;    /* its time is moved by sim_runner_exchange only */
  int wake;      /* eventfd */
  int listening; /* TCP server, or -1 */
  int listen_kind;
  int host; /* the connection, or -1 */
  int had_host;
  int pty_slave; /* kept open, so that the master does not fail while nobody has the other end */
  int pty_watch; /* tells who opens and closes it; -1: no pty */
  int pty_users;
  struct sim_host wrapping;
  uint8_t out[SIM_CHUNK]; /* for the host, not taken by it yet */
  size_t out_len;
  double start;
};

/* With the lock held: */

/* A host has come, on a descriptor that the runner owns from then on. */
void sim_runner_arrive(struct sim_runner *r, int fd, int kind);

/* Takes what the host has written; hangs up if it has gone. */
void sim_runner_listen_to_host(struct sim_runner *r);

/* serve.c: a client knocks; somebody opened or closed the terminal. */
void sim_serve_accept(struct sim_runner *r);
void sim_serve_watch(struct sim_runner *r);

#endif
