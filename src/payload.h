/* payload.h - the bytes of one flash region, read when they are needed.
 *
 * A region is `before` bytes of 0xFF, then a part of a file (or of memory) with patches applied, then 0xFF up
 * to a multiple of `pad`. A file is read in pieces, never mapped or loaded; that it changes meanwhile is
 * an error. A payload may be shared by any number of users on one thread. */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include "packed.h"

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_MAX 0x100000000ULL /* bytes in one payload: flash addresses have 32 bits */
#define PAYLOAD_ALL UINT64_MAX     /* as size: to the end */

enum { PAYLOAD_ERROR_SIZE = 400 };

struct payload_patch {
  uint64_t offset; /* from the first byte of the part, without `before` */
  const uint8_t *bytes;
  size_t n;
};

struct payload_spec {
  const char *file;    /* a path, or NULL: data */
  const uint8_t *data; /* stays the caller's, and where it is */
  size_t data_size;
  uint64_t offset, size;               /* the part of the file or data; size may be PAYLOAD_ALL */
  uint64_t before, pad;                /* pad 0 or 1: none */
  const struct payload_patch *patches; /* copied */
  size_t patch_count;
};

struct payload;

/* Opens what spec describes. Returns 0 and stores a payload with one reference, or returns an error below
 * zero; *out is then NULL and error (PAYLOAD_ERROR_SIZE bytes) says why. */
int payload_open(struct payload **out, const struct payload_spec *spec, char *error);

struct payload *payload_ref(struct payload *pl);

/* Frees with the last reference. NULL is allowed. */
void payload_unref(struct payload *pl);

/* Bytes, with what was put in front and behind. */
uint64_t payload_size(const struct payload *pl);

/* Stores exactly n bytes from offset. Returns 0, or an error below zero; payload_error then says why. */
int payload_read(struct payload *pl, uint64_t offset, void *buf, size_t n);

/* The digest of all bytes; name as in digest.h. Returns the bytes stored, or an error below zero. */
int payload_digest(struct payload *pl, const char *name, uint8_t *out);

/* The compressed form of all of it, made by whoever needs it first and kept as long as the payload. */
struct packed *payload_packed(struct payload *pl);

const char *payload_error(const struct payload *pl);

enum {
  PAYLOAD_EMISSING = -1,  /* no such file */
  PAYLOAD_EDENIED = -2,   /* no permission */
  PAYLOAD_EFILE = -3,     /* a directory, too short, changed meanwhile, cannot be read */
  PAYLOAD_EARGUMENT = -4, /* the specification makes no sense */
  PAYLOAD_ENOMEM = -5
};

/* "file_missing", "file_denied", "bad_file", "bad_argument", "no_memory" */
const char *payload_code(int err);

#endif
