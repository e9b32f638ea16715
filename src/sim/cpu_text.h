/* cpu_text.h - the text of an instruction, piece by piece. */
#ifndef SIM_CPU_TEXT_H
#define SIM_CPU_TEXT_H

#include <stddef.h>

struct cpu_text {
  char *text;
  size_t room, n; /* n: characters of all pieces, also of those that found no room */
};

__attribute__((format(printf, 2, 3))) void cpu_put(struct cpu_text *o, const char *fmt, ...);

#endif
