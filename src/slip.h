/* slip.h - SLIP framing (RFC 1055): frames between 0xC0 bytes; inside them 0xC0 is sent as DB DC and 0xDB as
 * DB DD.
 *
 * Every 0xC0 ends what came before it, so that a lost delimiter spoils two frames and no more. Whoever
 * reads the frames tells replies from other bytes by what they contain. */
#ifndef SLIP_H
#define SLIP_H

#include <stddef.h>
#include <stdint.h>

enum { SLIP_END = 0xC0, SLIP_ESC = 0xDB, SLIP_ESC_END = 0xDC, SLIP_ESC_ESC = 0xDD };

/* Room that n bytes need at most, with both delimiters. */
#define SLIP_ROOM(n) (2 * (size_t)(n) + 2)

/* Escapes n bytes of in into out, which has room for 2 * n. No delimiters. Returns the bytes stored. */
size_t slip_escape(uint8_t *out, const uint8_t *in, size_t n);

/* A whole frame with its delimiters. out has room for SLIP_ROOM(n). Returns the bytes stored. */
size_t slip_encode(uint8_t *out, const uint8_t *in, size_t n);

struct slip_decoder {
  uint8_t *buf;    /* the frame so far */
  size_t max, len; /* room in buf, bytes in it */
  uint64_t bad;    /* frames given up: too long, or with an escape that does not exist */
  uint8_t begun; /* a delimiter has been seen: what is in buf is a frame and not noise before the first one */
  uint8_t escaped; /* the last byte was 0xDB */
  uint8_t skip;    /* the frame is being given up */
  uint8_t full;    /* the caller was given a frame: the next call begins a new one */
};

enum { SLIP_MORE, SLIP_FRAME, SLIP_NOISE, SLIP_BAD };

/* buf has room for max bytes and belongs to the caller. */
void slip_reset(struct slip_decoder *d, uint8_t *buf, size_t max);

/* Takes bytes of in until a frame is complete or all n are used, and stores how many in *used.
 *   SLIP_FRAME  d->buf holds a frame of d->len bytes, never empty, until the next call
 *   SLIP_NOISE  the same, but no delimiter came before these bytes
 *   SLIP_BAD    a frame was given up, d->buf holds its begin
 *   SLIP_MORE   all bytes are used and no frame is complete */
int slip_decode(struct slip_decoder *d, const uint8_t *in, size_t n, size_t *used);

#endif
