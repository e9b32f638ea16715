/* term.h - what the terminal behind a descriptor can do. */
#ifndef TERM_H
#define TERM_H

int term_is(int fd);

/* Columns: of the terminal, else of COLUMNS, else 80. */
int term_width(int fd);

/* Whether colours are wanted: a terminal that is not dumb, and no NO_COLOR (no-color.org) in the environment.
 */
int term_colors(int fd);

/* Whether the environment says that text is UTF-8. */
int term_utf8(void);

#endif
