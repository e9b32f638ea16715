/* serve.c - a simulated chip for other programs: a TCP server, a pseudo terminal. */
#include "sim/runner_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

void sim_serve_accept(struct sim_runner *r) {
  int one = 1, fd = accept4(r->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  for (int i = 0; i < 2 && r->host >= 0; i++)
    sim_runner_listen_to_host(r); /* the one before may just have left: its last bytes, then its end */
  if (r->host >= 0)
    close(fd);
  else
    sim_runner_arrive(r, fd, r->listen_kind);
}

/* Counts those who have the terminal open. The first to come finds the line as a port that was just opened.
 */
void sim_serve_watch(struct sim_runner *r) {
  _Alignas(struct inotify_event) char buffer[1024];
  ssize_t n = read(r->pty_watch, buffer, sizeof buffer);
  for (ssize_t at = 0; at < n;) {
    const struct inotify_event *e = (const struct inotify_event *)(const void *)(buffer + at);
    at += (ssize_t)(sizeof *e + e->len);
    if (e->mask & IN_OPEN && r->pty_users++ == 0) {
      tcflush(r->pty_slave, TCIFLUSH);
      sim_runner_arrive(r, r->host, SIM_HOST_PTY);
    }
    if (e->mask & IN_CLOSE && r->pty_users > 0)
      r->pty_users--;
  }
}

static void set_flags(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int sim_runner_listen(struct sim_runner *r, const char *address, int *port, int kind, int reset, char *error,
                      size_t error_size) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
  socklen_t len = sizeof at;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (inet_pton(AF_INET, address, &at.sin_addr) != 1) {
    errno = EINVAL;
  } else if (fd >= 0) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 4) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
      *port = ntohs(at.sin_port);
      sim_runner_lock(r);
      if (r->listening >= 0)
        close(r->listening);
      r->listening = fd;
      r->listen_kind = kind;
      r->reset_on_connect = reset;
      sim_runner_unlock(r);
      return 0;
    }
  }
  snprintf(error, error_size, "cannot listen on %s:%d: %s", address, *port, strerror(errno));
  if (fd >= 0)
    close(fd);
  return -1;
}

int sim_runner_pty(struct sim_runner *r, char *path, size_t path_size, int reset, char *error,
                   size_t error_size) {
  struct termios t;
  int slave = -1, master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 &&
      ptsname_r(master, path, path_size) == 0 && (slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0 &&
      tcgetattr(slave, &t) == 0) {
    cfmakeraw(&t);
    cfsetspeed(&t, B115200);
    tcsetattr(slave, TCSANOW, &t);
    set_flags(master);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch >= 0)
      inotify_add_watch(watch, path, IN_OPEN | IN_CLOSE);
    sim_runner_lock(r);
    if (r->pty_slave >= 0)
      close(r->pty_slave);
    if (r->pty_watch >= 0)
      close(r->pty_watch);
    r->pty_slave = slave;
    r->pty_watch = watch;
    r->pty_users = 0;
    r->reset_on_connect = reset;
    if (r->host >= 0)
      close(r->host);
    r->host = master;
    r->wrapping.kind = SIM_HOST_PTY;
    sim_runner_unlock(r);
    return 0;
  }
  snprintf(error, error_size, "no pseudo terminal: %s", strerror(errno));
  if (slave >= 0)
    close(slave);
  if (master >= 0)
    close(master);
  return -1;
}
