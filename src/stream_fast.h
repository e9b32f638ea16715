/* stream_fast.h - reading flash through a stub: it sends, we tell how much has arrived.
 *
 * Ours sends packets with address and CRC-32, packed; after a damaged or lost one reading goes on from there.
 * Others send the content alone and at the end its MD5: a fault is noticed there at the latest, and all has
 * been in vain. */
#ifndef STREAM_FAST_H
#define STREAM_FAST_H

#include "digest.h"
#include "link.h"

struct stream_fast {
  struct link_op o;

  /* set by the caller */
  int packed;
  uint32_t address;
  uint64_t size;
  uint32_t packet; /* bytes of content in a frame */
  uint32_t window; /* packets that may be on the way */
  int attempts;
  double timeout, sync_timeout;

  /* at LINK_SINK: buf_len bytes of buf are to be taken; at LINK_PROGRESS and when done: */
  uint8_t *buf;
  size_t buf_len;
  uint64_t done;
  uint64_t received; /* bytes of frames */
  int retries;

  /* private */
  int state, same;
  size_t buf_room;
  uint64_t base; /* where the request in progress began */
  double deadline, reported;
  struct exchange x;
  struct sync sync;
  struct digest md5;
};

void stream_fast_begin(struct stream_fast *r, struct link *k);
void stream_fast_free(struct stream_fast *r);

#endif
