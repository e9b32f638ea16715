/* supply.h - what a write sends: a payload from some place on, or its compressed form, block by block. */
#ifndef SUPPLY_H
#define SUPPLY_H

#include "packed.h"
#include "payload.h"

struct supply {
  struct payload *pl;          /* of the user, until done */
  uint64_t base;               /* where in the payload it begins */
  uint64_t size;               /* bytes that are sent; of the user */
  uint32_t block;              /* bytes in a block; of the user */
  const struct packed *packed; /* the compressed form; NULL: as it is */
  uint8_t *buf;                /* the next blocks: several are read at a time */
  size_t room, len;
  uint64_t at;
};

/* Makes room for blocks. To be ended by supply_free. Returns 0, or -1 without memory. */
int supply_open(struct supply *s);

/* Compresses a slice, into p. Returns 1 while there is more to do; 0 when done: packed is p then, or NULL
 * where compressing is of no use; or an error of the payload. */
int supply_pack(struct supply *s, struct packed *p);

/* The size of what is sent, stored in size too, in blocks. */
uint32_t supply_count(struct supply *s);

/* The data of a block, which the last one may have less of than others; there is room for a whole one. Until
 * the next call. Returns 0, or an error of the payload. */
int supply_block(struct supply *s, uint32_t number, uint8_t **data, size_t *n);

/* Twice is fine. The payload is left alone. */
void supply_free(struct supply *s);

#endif
