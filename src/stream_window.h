/* stream_window.h - writing flash through our stub with many blocks on the way (doc/stub-protocol.md,
 * "Window").
 *
 * Blocks are sent ahead of their answers as far as the stub's credit goes. Every answer says which block is
 * expected next: after a damaged or lost one writing goes on from there, without beginning the file anew.
 * Whatever is unclear (an answer that does not come, a refusal that may be a damaged answer) is settled by
 * asking for the state of the write. Answers carry no check value, so nothing is believed here that a digest
 * of flash does not confirm later. */
#ifndef STREAM_WINDOW_H
#define STREAM_WINDOW_H

#include "link.h"
#include "supply.h"

enum { WINDOW_BLOCKS = 128 }; /* most that may be on the way */

struct stream_window {
  struct link_op o;

  /* set by the caller */
  struct supply from; /* payload and size of a block */
  int compress;
  uint32_t address;
  uint32_t credit; /* bytes on the line, framing included, that may be unanswered */
  int attempts;    /* how often the same block may fail */
  int encrypted;   /* fifth word of the begin command */
  double begin_timeout, block_timeout, sync_timeout; /* seconds */

  /* at LINK_PROGRESS, and when done */
  uint64_t done, total; /* bytes of the payload */
  uint64_t wire;        /* bytes sent, with framing and retries */
  int retries;          /* blocks sent again */
  int faults;           /* lost or damaged answers, refusals */
  double begin_seconds, started;

  /* private */
  int state;
  uint32_t blocks, next; /* in all; the one to be sent */
  uint32_t acked;        /* all before are taken */
  unsigned pass;         /* counts the times of going back */
  struct {
    uint32_t number, bytes;
    unsigned pass;
  } flight[WINDOW_BLOCKS]; /* what was sent and not answered, oldest first */
  unsigned first, count;
  uint64_t on_way; /* bytes of these */
  uint32_t fault_at;
  int same, begins;              /* faults in a row at the same block; begin commands */
  int probing;                   /* the state has been asked for */
  int confirmed;                 /* it said that all is there */
  double quiet, probe_at, pause; /* since when nothing came; when to ask (again); seconds until then */
  uint64_t wire_before;
  struct exchange x;
  struct sync sync;
  double reported, begun;
};

/* Prepares; set the fields above before the first step. Zeroed before. */
void stream_window_begin(struct stream_window *w, struct link *k);

/* Frees what it holds. Twice is fine. */
void stream_window_free(struct stream_window *w);

#endif
