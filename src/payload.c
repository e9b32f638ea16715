/* payload.c - the bytes of one flash region. */
#include "payload.h"
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 0x4000 };

struct payload {
  int refs;
  int fd; /* -1: data */
  char *path;
  const uint8_t *data;
  uint64_t offset, body;         /* the part of the file or data */
  uint64_t before, size;         /* size: with what is in front and behind */
  struct stat st;                /* as it was when opened */
  struct payload_patch *patches; /* and their bytes, behind them */
  size_t patch_count;
  struct packed packed;
  char error[PAYLOAD_ERROR_SIZE];
};

const char *payload_code(int err) {
  switch (err) {
  case PAYLOAD_EMISSING:
    return "file_missing";
  case PAYLOAD_EDENIED:
    return "file_denied";
  case PAYLOAD_EARGUMENT:
    return "bad_argument";
  case PAYLOAD_ENOMEM:
    return "no_memory";
  default:
    return "bad_file";
  }
}

static int fail(char *error, int err, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(char *error, int err, const char *path, const char *fmt, ...) {
  char text[160];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  snprintf(error, PAYLOAD_ERROR_SIZE, "%s%s%s", path ? path : "", path ? ": " : "", text);
  return err;
}

static int fail_errno(char *error, const char *path, int number) {
  if (number == ENOENT || number == ENOTDIR)
    return fail(error, PAYLOAD_EMISSING, path, "no such file");
  if (number == EACCES || number == EPERM)
    return fail(error, PAYLOAD_EDENIED, path, "no permission to read it");
  if (number == EISDIR)
    return fail(error, PAYLOAD_EFILE, path, "is a directory");
  return fail(error, PAYLOAD_EFILE, path, "cannot be read: %s", strerror(number));
}

/* Opens the file and stores its length. */
static int open_file(struct payload *pl, uint64_t *length, char *error) {
  /* Without O_NONBLOCK, opening a pipe waits for its other end. */
  pl->fd = open(pl->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (pl->fd < 0 || fstat(pl->fd, &pl->st) != 0)
    return fail_errno(error, pl->path, errno);
  if (S_ISDIR(pl->st.st_mode))
    return fail_errno(error, pl->path, EISDIR);
  if (!S_ISREG(pl->st.st_mode))
    return fail(error, PAYLOAD_EFILE, pl->path, "is no regular file");
  *length = (uint64_t)pl->st.st_size;
  return 0;
}

/* Works out where everything is. Every sum is of values below 2^33. */
static int set_range(struct payload *pl, const struct payload_spec *spec, uint64_t length, char *error) {
  uint64_t size = spec->size, pad = spec->pad ? spec->pad : 1;
  if (spec->offset > length)
    return fail(error, PAYLOAD_EFILE, pl->path, "has %llu bytes, offset %llu is behind its end",
                (unsigned long long)length, (unsigned long long)spec->offset);
  if (size == PAYLOAD_ALL)
    size = length - spec->offset;
  if (size > length - spec->offset)
    return fail(error, PAYLOAD_EFILE, pl->path, "has %llu bytes, %llu from offset %llu were asked for",
                (unsigned long long)length, (unsigned long long)size, (unsigned long long)spec->offset);
  if (size > PAYLOAD_MAX || spec->before > PAYLOAD_MAX || pad > PAYLOAD_MAX)
    return fail(error, PAYLOAD_EFILE, pl->path, "is larger than any flash (%llu bytes)",
                (unsigned long long)size);
  pl->offset = spec->offset;
  pl->body = size;
  pl->before = spec->before;
  pl->size = (spec->before + size + pad - 1) / pad * pad;
  if (pl->size > PAYLOAD_MAX)
    return fail(error, PAYLOAD_EFILE, pl->path, "is larger than any flash (%llu bytes)",
                (unsigned long long)pl->size);
  return 0;
}

static int copy_patches(struct payload *pl, const struct payload_spec *spec, char *error) {
  size_t bytes = 0;
  for (size_t i = 0; i < spec->patch_count; i++) {
    const struct payload_patch *p = &spec->patches[i];
    if (p->offset > pl->body || p->n > pl->body - p->offset)
      return fail(error, PAYLOAD_EARGUMENT, pl->path, "patch %zu lies outside of the data", i + 1);
    bytes += p->n;
  }
  if (spec->patch_count == 0)
    return 0;
  pl->patches = malloc(spec->patch_count * sizeof *pl->patches + bytes);
  if (!pl->patches)
    return fail(error, PAYLOAD_ENOMEM, pl->path, "not enough memory");
  uint8_t *to = (uint8_t *)(pl->patches + spec->patch_count);
  for (size_t i = 0; i < spec->patch_count; i++) {
    pl->patches[i] = (struct payload_patch){spec->patches[i].offset, to, spec->patches[i].n};
    memcpy(to, spec->patches[i].bytes, spec->patches[i].n);
    to += spec->patches[i].n;
  }
  pl->patch_count = spec->patch_count;
  return 0;
}

int payload_open(struct payload **out, const struct payload_spec *spec, char *error) {
  uint64_t length = spec->data_size;
  int err = 0;
  *out = NULL;
  struct payload *pl = calloc(1, sizeof *pl);
  if (!pl)
    return fail(error, PAYLOAD_ENOMEM, spec->file, "not enough memory");
  pl->refs = 1;
  pl->fd = -1;
  pl->data = spec->data;
  if (spec->file) {
    pl->path = strdup(spec->file);
    err = pl->path ? open_file(pl, &length, error)
                   : fail(error, PAYLOAD_ENOMEM, spec->file, "not enough memory");
  }
  if (err == 0)
    err = set_range(pl, spec, length, error);
  if (err == 0)
    err = copy_patches(pl, spec, error);
  if (err) {
    payload_unref(pl);
    return err;
  }
  packed_begin(&pl->packed, pl, 0, pl->size);
  *out = pl;
  return 0;
}

struct payload *payload_ref(struct payload *pl) {
  pl->refs++;
  return pl;
}

void payload_unref(struct payload *pl) {
  if (!pl || --pl->refs > 0)
    return;
  packed_free(&pl->packed);
  if (pl->fd >= 0)
    close(pl->fd);
  free(pl->patches);
  free(pl->path);
  free(pl);
}

uint64_t payload_size(const struct payload *pl) {
  return pl->size;
}

struct packed *payload_packed(struct payload *pl) {
  return &pl->packed;
}

const char *payload_error(const struct payload *pl) {
  return pl->error;
}

/* n bytes of the file from at, after which it must still be what was opened. */
static int read_file(struct payload *pl, uint64_t at, uint8_t *buf, size_t n) {
  struct stat now;
  while (n > 0) {
    ssize_t got = pread(pl->fd, buf, n, (off_t)at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return fail_errno(pl->error, pl->path, errno);
    if (got == 0)
      return fail(pl->error, PAYLOAD_EFILE, pl->path, "has become shorter while it was being read");
    buf += got;
    at += (uint64_t)got;
    n -= (size_t)got;
  }
  if (fstat(pl->fd, &now) != 0)
    return fail_errno(pl->error, pl->path, errno);
  if (now.st_size != pl->st.st_size || now.st_mtim.tv_sec != pl->st.st_mtim.tv_sec ||
      now.st_mtim.tv_nsec != pl->st.st_mtim.tv_nsec)
    return fail(pl->error, PAYLOAD_EFILE, pl->path, "has changed while it was being read");
  return 0;
}

/* Puts those bytes of the patches into buf that lie in at..at+n of the part. */
static void apply_patches(const struct payload *pl, uint64_t at, uint8_t *buf, size_t n) {
  for (size_t i = 0; i < pl->patch_count; i++) {
    const struct payload_patch *p = &pl->patches[i];
    uint64_t first = p->offset > at ? p->offset : at;
    uint64_t end = p->offset + p->n < at + n ? p->offset + p->n : at + n;
    if (first < end)
      memcpy(buf + (first - at), p->bytes + (first - p->offset), (size_t)(end - first));
  }
}

int payload_read(struct payload *pl, uint64_t offset, void *buf, size_t n) {
  uint8_t *out = buf;
  if (offset > pl->size || n > pl->size - offset)
    return fail(pl->error, PAYLOAD_EARGUMENT, pl->path, "reading behind the end of the data");
  if (offset < pl->before) {
    size_t part = pl->before - offset < n ? (size_t)(pl->before - offset) : n;
    memset(out, 0xFF, part);
    out += part;
    offset += part;
    n -= part;
  }
  uint64_t at = offset - pl->before;
  if (n > 0 && at < pl->body) {
    size_t part = pl->body - at < n ? (size_t)(pl->body - at) : n;
    if (pl->fd < 0) {
      memcpy(out, pl->data + pl->offset + at, part);
    } else {
      int err = read_file(pl, pl->offset + at, out, part);
      if (err)
        return err;
    }
    apply_patches(pl, at, out, part);
    out += part;
    n -= part;
  }
  memset(out, 0xFF, n);
  return 0;
}

int payload_digest(struct payload *pl, const char *name, uint8_t *out) {
  uint8_t buf[PIECE];
  struct digest d;
  int err = 0;
  digest_begin(&d, name);
  for (uint64_t at = 0; err == 0 && at < pl->size; at += PIECE) {
    size_t n = pl->size - at < PIECE ? (size_t)(pl->size - at) : PIECE;
    err = payload_read(pl, at, buf, n);
    if (err == 0)
      digest_update(&d, buf, n);
  }
  int size = (int)d.size;
  if (err == 0)
    digest_end(&d, out);
  digest_free(&d);
  return err ? err : size;
}
