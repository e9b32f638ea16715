/* link_ops.h - single operations on a link: a command, SYNC, raw frames and bytes. */
#ifndef LINK_OPS_H
#define LINK_OPS_H

#include "link.h"

/* A request and its reply. When an answer to an earlier command may still be on its way, SYNC is sent first,
 * so that the two cannot be confused. */
struct link_command {
  struct link_op o;
  uint8_t op;
  int damaged; /* how often the chip said that it had come so */
  uint32_t checksum;
  const uint8_t *data; /* of the caller, until done */
  size_t len;
  double timeout; /* seconds */
  int retries;    /* times it is sent again when nothing sensible came back */
  int state;
  struct exchange x; /* status_bytes and min are to be set; afterwards reply and status */
  struct sync sync;
};
void link_command_begin(struct link_command *c, struct link *k);

struct link_sync {
  struct link_op o;
  struct sync sync; /* see sync_begin */
};
void link_sync_begin(struct link_sync *s, struct link *k);

/* Drops what was received, in the port as well. */
struct link_flush {
  struct link_op o;
  struct port_request rq;
};
void link_flush_begin(struct link_flush *f, struct link *k);

/* The next frame, reply or not. */
struct link_receive {
  struct link_op o;
  double deadline;
  int is_reply;
  struct frame_reply reply;
  const uint8_t *frame; /* without framing; until the next operation */
  size_t n;
};
void link_receive_begin(struct link_receive *r, struct link *k, double seconds);

/* Bytes as they come, at least one. */
struct link_read {
  struct link_op o;
  double deadline;
  uint8_t *buf; /* of the caller */
  size_t max, n;
};
void link_read_begin(struct link_read *r, struct link *k, uint8_t *buf, size_t max, double seconds);

/* Writes what is in the link's tx: put it there with link_put or link_put_raw. */
struct link_send {
  struct link_op o;
  double deadline;
};
void link_send_begin(struct link_send *s, struct link *k, double seconds);
int link_put_raw(struct link *k, const uint8_t *data, size_t n);

#endif
