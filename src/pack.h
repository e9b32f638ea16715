/* pack.h - the files that are embedded in the binary (Lua library, stock scripts, chip data, stubs). */
#ifndef PACK_H
#define PACK_H

#include <stddef.h>

struct pack_file {
  const char *name;          /* path in the source tree, "lua/esp/error.lua" */
  const unsigned char *data; /* zlib stream */
  size_t packed, size;       /* bytes: compressed, as in the file */
};

/* Sorted as the Makefile lists them; ends with a NULL name. */
extern const struct pack_file pack_files[];

/* Finds a file by its path in the source tree. Returns NULL if there is none. */
const struct pack_file *pack_find(const char *name);

/* Unpacks f into out, which has room for f->size bytes. Returns 0, or -1 if the data is damaged. */
int pack_read(const struct pack_file *f, unsigned char *out);

#endif
