/* packed.h - a zlib stream (level 9) of a range of a payload, made in slices and kept in memory. */
#ifndef PACKED_H
#define PACKED_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

struct payload;

enum { PACKED_CHUNK = 0x10000 };

enum packed_state { PACKED_NONE, PACKED_RUNS, PACKED_READY, PACKED_USELESS, PACKED_FAILED };

struct packed {
  struct payload *pl;
  uint64_t from, to; /* the range */
  uint64_t at;       /* how far it has been compressed */
  uint64_t size;     /* bytes of the stream so far */
  enum packed_state state;
  int error; /* PAYLOAD_E... when failed */
  int level; /* of zlib; 9 */
  z_stream z;
  uint8_t **chunks;
  size_t chunk_count, chunk_room;
};

/* Begins with the range from..to of pl, which must live as long as p. */
void packed_begin(struct packed *p, struct payload *pl, uint64_t from, uint64_t to);

/* Compresses a slice. Returns 1 when there is more to do, 0 when it is ready or found useless (not smaller
 * than the range; the memory is then released), or an error of payload.h. Calling it again afterwards is
 * fine. */
int packed_step(struct packed *p);

/* Copies n bytes from offset of a ready stream; offset + n must not exceed its size. */
void packed_read(const struct packed *p, uint64_t offset, void *buf, size_t n);

/* How many bytes of the range its first `size` bytes decode to. Returns 0, or an error of payload.h. */
int packed_reach(const struct packed *p, uint64_t size, uint64_t *reach);

/* Frees what it holds; then it is as zeroed. Twice is fine. */
void packed_free(struct packed *p);

#endif
