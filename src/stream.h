/* stream.h - writing flash or RAM block by block, and reading flash through a ROM.
 *
 * A block is acknowledged when it has been taken. When an answer is lost or damaged nobody knows whether the
 * chip has the block: sending it again could write it twice, or spoil a compressed stream. So the link is
 * brought in step again with SYNC and writing begins anew, at the last sector that is known to be complete. A
 * ROM also wants a new beginning after a block that it found damaged: it does not take the same sequence
 * number twice. The first beginning has erased everything, so a later one erases only what may have been
 * written since; when that does not help, everything again. */
#ifndef STREAM_H
#define STREAM_H

#include "link.h"
#include "supply.h"

enum stream_kind { STREAM_FLASH, STREAM_RAM };

#define STREAM_ERASE_RULE UINT64_MAX /* erase_size: by the rule */

struct stream_write {
  struct link_op o;

  /* set by the caller */
  enum stream_kind kind;
  struct supply from; /* payload and size of a block; base is where in it the current beginning is */
  int compress;
  uint32_t address;
  int window;          /* blocks that may be unanswered; 1 for every ROM */
  int attempts;        /* how often the same block is tried */
  int lag;             /* blocks that are acknowledged before they are written: 0 for ROMs, 1 for stubs */
  int encrypted;       /* fifth word of the begin command; -1: there is none */
  int exact;           /* compressed: the begin command takes the size as it is (stubs); else whole blocks */
  int ask_erase;       /* the caller computes each erase size: LINK_ERASE, see below */
  uint64_t erase_size; /* of the first begin command, or STREAM_ERASE_RULE */
  uint8_t data_op;     /* 0: the usual one */
  double begin_timeout, block_timeout, sync_timeout; /* seconds; the last for getting in step again */

  /* at LINK_ERASE: where the erasing begins and how much is written; the answer goes to erase_size */
  uint32_t erase_address;
  uint64_t erase_bytes;

  /* at LINK_PROGRESS, and when done */
  uint64_t done, total; /* bytes of the payload */
  uint64_t wire;        /* bytes sent, with framing and retries */
  int retries;          /* blocks sent again */
  int restarts;         /* new beginnings */
  int faults;           /* lost or damaged answers, refusals */
  double begin_seconds, started;

  /* private */
  int state;
  uint64_t fault_at;    /* where in the payload the last fault was */
  int same, fruitless;  /* faults at the same place; new beginnings at the same place */
  uint64_t wire_before; /* what the link had sent when this began */
  uint64_t dirty;       /* after a fault: what may be written ends here; behind it all is erased */
  int erased;           /* a begin command was answered: all is erased but for what was written since */
  uint32_t blocks, sent, acked;
  struct packed own; /* for a beginning in the middle */
  struct exchange x;
  struct sync sync;
  double begun, reported;
};

/* Prepares; set the fields above before the first step. Zeroed before. */
void stream_write_begin(struct stream_write *w, struct link *k);

/* Frees what it holds. Twice is fine. */
void stream_write_free(struct stream_write *w);

struct stream_read {
  struct link_op o;
  uint32_t address;
  uint64_t size;
  int attempts;
  double timeout, sync_timeout;

  /* at LINK_SINK: buf_len bytes of buf are to be taken; at LINK_PROGRESS and when done: */
  uint8_t *buf;
  size_t buf_len;
  uint64_t done;
  int retries;

  int state, same;
  double reported;
  struct exchange x;
  struct sync sync;
};

enum { STREAM_READ_BUF = 0x10000, STREAM_READ_UNIT = 64 };

void stream_read_begin(struct stream_read *r, struct link *k);
void stream_read_free(struct stream_read *r);

#endif
