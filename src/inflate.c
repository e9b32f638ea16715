/* inflate.c - zlib streams in pieces. */
#include "inflate.h"

#include <limits.h>
#include <string.h>

int inflater_begin(struct inflater *f, uint64_t limit) {
  memset(f, 0, sizeof *f);
  f->limit = limit;
  if (inflateInit(&f->z) != Z_OK)
    return INFLATE_ENOMEM;
  f->open = 1;
  return 0;
}

static uInt clip(size_t n) {
  return n > UINT_MAX ? UINT_MAX : (uInt)n;
}

int inflater_run(struct inflater *f, const uint8_t *in, size_t *in_len, uint8_t *out, size_t *out_len) {
  size_t used = 0, stored = 0;
  int result;
  for (;;) {
    size_t room = *out_len - stored;
    uint8_t spare; /* where one byte too many shows */
    int last = f->limit - f->done < room;
    if (last)
      room = (size_t)(f->limit - f->done);
    int probe = room == 0 && last;
    f->z.next_in = (z_const Bytef *)in + used;
    f->z.avail_in = clip(*in_len - used);
    f->z.next_out = probe ? &spare : out + stored;
    f->z.avail_out = probe ? 1 : clip(room);
    uInt had_in = f->z.avail_in, had_out = f->z.avail_out;
    if (had_out == 0) {
      result = INFLATE_ROOM;
      break;
    }
    int z = inflate(&f->z, Z_NO_FLUSH);
    size_t got = had_out - f->z.avail_out;
    used += had_in - f->z.avail_in;
    if (probe && got) {
      result = INFLATE_ELIMIT;
      break;
    }
    stored += got;
    f->done += got;
    if (z == Z_STREAM_END) {
      result = INFLATE_END;
      break;
    }
    if (z == Z_MEM_ERROR) {
      result = INFLATE_ENOMEM;
      break;
    }
    if (z != Z_OK && z != Z_BUF_ERROR) {
      result = INFLATE_EDATA;
      break;
    }
    if (f->z.avail_in == 0 && used == *in_len && (f->z.avail_out > 0 || (probe && !got))) {
      result = INFLATE_MORE;
      break;
    }
  }
  *in_len = used;
  *out_len = stored;
  return result;
}

void inflater_free(struct inflater *f) {
  if (f->open)
    inflateEnd(&f->z);
  f->open = 0;
}
