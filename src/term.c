/* term.c - see term.h. */
#include "term.h"

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
