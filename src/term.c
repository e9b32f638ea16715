/* term.c - see term.h. */
#include "term.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH = 80, WIDTH_MAX = 10000 };

int term_is(int fd) {
  return isatty(fd);
}

int term_width(int fd) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  const char *columns = getenv("COLUMNS");
  long n = columns ? strtol(columns, NULL, 10) : 0;
  return n > 0 && n <= WIDTH_MAX ? (int)n : WIDTH;
}

int term_colors(int fd) {
  const char *no = getenv("NO_COLOR"), *type = getenv("TERM");
  return isatty(fd) && !(no && *no) && type && *type && strcmp(type, "dumb") != 0;
}

int term_utf8(void) {
  const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = getenv(names[i]);
    if (value && *value) /* the first one that is set decides */
      return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
  }
  return 0;
}

int term_keys_begin(struct term_keys *k, int fd) {
  k->fd = fd;
  k->on = 0;
  if (!isatty(fd) || tcgetpgrp(fd) != getpgrp() || tcgetattr(fd, &k->before) != 0)
    return -1;
  struct termios t = k->before;
  t.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
  t.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR | IGNCR);
  t.c_cc[VMIN] = 1;
  t.c_cc[VTIME] = 0;
  t.c_cc[VSUSP] = t.c_cc[VQUIT] = _POSIX_VDISABLE; /* suspended, the terminal would stay as it is now */
  if (tcsetattr(fd, TCSADRAIN, &t) != 0)
    return -1;
  k->on = 1;
  return 0;
}

int term_keys_read(struct term_keys *k, char *to, size_t size) {
  struct pollfd p = {.fd = k->fd, .events = POLLIN};
  if (!k->on)
    return -1;
  if (poll(&p, 1, 0) <= 0)
    return 0;
  ssize_t n = read(k->fd, to, size);
  if (n < 0)
    return errno == EINTR || errno == EAGAIN ? 0 : -1;
  return n == 0 ? -1 : (int)n;
}

void term_keys_end(struct term_keys *k) {
  if (k->on)
    tcsetattr(k->fd, TCSADRAIN, &k->before);
  k->on = 0;
}
