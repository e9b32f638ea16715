/* pack.c - access to the embedded files. */
#include "pack.h"

#include <string.h>
#include <zlib.h>

const struct pack_file *pack_find(const char *name) {
  for (const struct pack_file *f = pack_files; f->name; f++)
    if (strcmp(f->name, name) == 0)
      return f;
  return NULL;
}

int pack_read(const struct pack_file *f, unsigned char *out) {
  uLongf n = f->size;
  return uncompress(out, &n, f->data, f->packed) == Z_OK && n == f->size ? 0 : -1;
}
