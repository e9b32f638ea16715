/* supply.c - what a write sends. */
#include "supply.h"

#include <stdlib.h>

enum { ROOM = 0x8000 };

int supply_open(struct supply *s) {
  s->room = s->block >= ROOM ? s->block : ROOM / s->block * s->block;
  s->buf = malloc(s->room);
  return s->buf ? 0 : -1;
}

int supply_pack(struct supply *s, struct packed *p) {
  int r = packed_step(p);
  if (r == 0)
    s->packed = p->state == PACKED_READY ? p : NULL;
  return r;
}

uint32_t supply_count(struct supply *s) {
  s->size = s->packed ? s->packed->size : payload_size(s->pl) - s->base;
  s->len = 0;
  return (uint32_t)((s->size + s->block - 1) / s->block);
}

int supply_block(struct supply *s, uint32_t number, uint8_t **data, size_t *n) {
  uint64_t at = (uint64_t)number * s->block, left = s->size - at;
  *n = left < s->block ? (size_t)left : s->block;
  if (at < s->at || at + *n > s->at + s->len) {
    size_t want = left < s->room ? (size_t)left : s->room;
    s->len = 0;
    if (s->packed) {
      packed_read(s->packed, at, s->buf, want);
    } else {
      int err = payload_read(s->pl, s->base + at, s->buf, want);
      if (err)
        return err;
    }
    s->at = at;
    s->len = want;
  }
  *data = s->buf + (at - s->at);
  return 0;
}

void supply_free(struct supply *s) {
  free(s->buf);
  s->buf = NULL;
}
