/* cpu_text.c - the text of an instruction, piece by piece. */
#include "sim/cpu_text.h"

#include <stdarg.h>
#include <stdio.h>

void cpu_put(struct cpu_text *o, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  int n = o->n < o->room ? vsnprintf(o->text + o->n, o->room - o->n, fmt, ap) : 0;
  va_end(ap);
  o->n += n > 0 ? (size_t)n : 0;
}
