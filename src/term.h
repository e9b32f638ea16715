/* term.h - what the terminal behind a descriptor can do. */
#ifndef TERM_H
#define TERM_H

#include <stddef.h>
#include <termios.h>

int term_is(int fd);

/* Columns: of the terminal, else of COLUMNS, else 80. */
int term_width(int fd);

/* Whether colours are wanted: a terminal that is not dumb, and no NO_COLOR (no-color.org) in the environment.
 */
int term_colors(int fd);

/* Whether the environment says that text is UTF-8. */
int term_utf8(void);

/* Keys as they are pressed, from a terminal: nothing is echoed, and a line need not be complete. The keys for
 * interrupting keep their meaning. Only a program in the foreground gets them. Returns 0, or -1. */
struct term_keys {
  int fd, on;
  struct termios before;
};

int term_keys_begin(struct term_keys *k, int fd);

/* Keys that have been pressed, without waiting: how many bytes, 0 for none, -1 when the terminal is gone. */
int term_keys_read(struct term_keys *k, char *to, size_t size);

/* The terminal as it was. May be called twice. */
void term_keys_end(struct term_keys *k);

#endif
