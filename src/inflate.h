/* inflate.h - zlib streams (RFC 1950) in pieces, with a limit on what they may grow to. */
#ifndef INFLATE_H
#define INFLATE_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

enum {
  INFLATE_MORE = 0,    /* all input is used, the stream goes on */
  INFLATE_END = 1,     /* the stream is complete and its check value is right */
  INFLATE_ROOM = 2,    /* out is full */
  INFLATE_EDATA = -1,  /* no zlib stream, or damaged */
  INFLATE_ELIMIT = -2, /* grows to more than limit */
  INFLATE_ENOMEM = -3
};

struct inflater {
  z_stream z;
  uint64_t limit; /* bytes of output that are allowed */
  uint64_t done;  /* bytes of output so far */
  int open;
};

/* Returns 0 or INFLATE_ENOMEM. To be ended by inflater_free, after a failure too. */
int inflater_begin(struct inflater *f, uint64_t limit);

/* Takes up to *in_len bytes of in and stores up to *out_len bytes in out; both then hold what was used and
 * stored. After an error or INFLATE_END only inflater_free may follow. */
int inflater_run(struct inflater *f, const uint8_t *in, size_t *in_len, uint8_t *out, size_t *out_len);

/* Twice is fine, and so is a zeroed f. */
void inflater_free(struct inflater *f);

#endif
