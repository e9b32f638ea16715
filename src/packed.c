/* packed.c - a zlib stream of a range of a payload. */
#include "packed.h"
#include "inflate.h"
#include "payload.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 0x4000, LEVEL = 9 }; /* a piece takes a millisecond or two: an answer is not left waiting */

void packed_begin(struct packed *p, struct payload *pl, uint64_t from, uint64_t to) {
  memset(p, 0, sizeof *p);
  p->pl = pl;
  p->from = p->at = from;
  p->to = to;
  p->level = LEVEL;
}

static void drop_chunks(struct packed *p) {
  for (size_t i = 0; i < p->chunk_count; i++)
    free(p->chunks[i]);
  free(p->chunks);
  p->chunks = NULL;
  p->chunk_count = p->chunk_room = 0;
}

void packed_free(struct packed *p) {
  if (p->state == PACKED_RUNS)
    deflateEnd(&p->z);
  drop_chunks(p);
  memset(p, 0, sizeof *p);
}

/* Ends compressing: keeps the stream when ready, else drops it. */
static int finish(struct packed *p, enum packed_state state, int error) {
  deflateEnd(&p->z);
  p->state = state;
  p->error = error;
  if (state != PACKED_READY)
    drop_chunks(p);
  if (state == PACKED_READY && p->size % PACKED_CHUNK) {
    size_t last = p->chunk_count - 1; /* a small stream is to take little memory */
    uint8_t *less = realloc(p->chunks[last], p->size % PACKED_CHUNK);
    if (less)
      p->chunks[last] = less;
  }
  return error;
}

static int new_chunk(struct packed *p) {
  if (p->chunk_count == p->chunk_room) {
    size_t room = p->chunk_room ? 2 * p->chunk_room : 16;
    uint8_t **more = realloc(p->chunks, room * sizeof *more);
    if (!more)
      return -1;
    p->chunks = more;
    p->chunk_room = room;
  }
  uint8_t *chunk = malloc(PACKED_CHUNK);
  if (!chunk)
    return -1;
  p->chunks[p->chunk_count++] = chunk;
  return 0;
}

/* Runs deflate until it has no more output for what it was given. Returns 1 while the stream goes on, 0 when
 * it has ended or become useless, or an error. */
static int run_deflate(struct packed *p, int flush) {
  int z;
  do {
    size_t in_chunk = p->size % PACKED_CHUNK;
    if (in_chunk == 0 && p->size / PACKED_CHUNK == p->chunk_count && new_chunk(p) != 0)
      return PAYLOAD_ENOMEM;
    p->z.next_out = p->chunks[p->chunk_count - 1] + in_chunk;
    uInt room = (uInt)(PACKED_CHUNK - in_chunk);
    p->z.avail_out = room;
    z = deflate(&p->z, flush);
    if (z == Z_STREAM_ERROR)
      return PAYLOAD_ENOMEM;
    p->size += room - p->z.avail_out;
    if (p->size >= p->to - p->from)
      return 0;
  } while (p->z.avail_out == 0 && z != Z_STREAM_END);
  return z != Z_STREAM_END;
}

int packed_step(struct packed *p) {
  uint8_t in[PIECE];
  if (p->state == PACKED_FAILED)
    return p->error;
  if (p->state == PACKED_READY || p->state == PACKED_USELESS)
    return 0;
  if (p->state == PACKED_NONE) {
    if (deflateInit(&p->z, p->level) != Z_OK)
      return PAYLOAD_ENOMEM;
    p->state = PACKED_RUNS;
  }
  size_t n = p->to - p->at < PIECE ? (size_t)(p->to - p->at) : PIECE;
  int r = payload_read(p->pl, p->at, in, n);
  if (r < 0)
    return finish(p, PACKED_FAILED, r);
  p->at += n;
  p->z.next_in = in;
  p->z.avail_in = (uInt)n;
  r = run_deflate(p, p->at == p->to ? Z_FINISH : Z_NO_FLUSH);
  if (r < 0)
    return finish(p, PACKED_FAILED, r);
  if (r == 0)
    return finish(p, p->size < p->to - p->from ? PACKED_READY : PACKED_USELESS, 0);
  return 1;
}

void packed_read(const struct packed *p, uint64_t offset, void *buf, size_t n) {
  uint8_t *out = buf;
  while (n > 0) {
    size_t in_chunk = (size_t)(offset % PACKED_CHUNK), part = PACKED_CHUNK - in_chunk;
    if (part > n)
      part = n;
    memcpy(out, p->chunks[offset / PACKED_CHUNK] + in_chunk, part);
    out += part;
    offset += part;
    n -= part;
  }
}

int packed_reach(const struct packed *p, uint64_t size, uint64_t *reach) {
  struct inflater f;
  uint8_t in[PIECE], out[PIECE];
  uint64_t at = 0;
  int r = INFLATE_MORE;
  if (inflater_begin(&f, UINT64_MAX) != 0)
    return PAYLOAD_ENOMEM;
  while (at < size && (r == INFLATE_MORE || r == INFLATE_ROOM)) {
    size_t in_len = size - at < PIECE ? (size_t)(size - at) : PIECE, out_len;
    packed_read(p, at, in, in_len);
    size_t used = 0;
    do {
      size_t part = in_len - used;
      out_len = sizeof out;
      r = inflater_run(&f, in + used, &part, out, &out_len);
      used += part;
    } while (r == INFLATE_ROOM);
    at += in_len;
  }
  *reach = f.done;
  inflater_free(&f);
  return r == INFLATE_ENOMEM ? PAYLOAD_ENOMEM : r < 0 ? PAYLOAD_EFILE : 0;
}
