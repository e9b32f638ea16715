/* frame.h - the packets of the loaders' protocol, without their SLIP framing.
 *
 * A request is 00 OP SIZE16 CHECKSUM32 DATA, a reply 01 OP SIZE16 VALUE32 BODY, all little-endian; the last
 * bytes of a body are the status. Source: Espressif's "Serial Protocol" document. */
#ifndef FRAME_H
#define FRAME_H

#include "slip.h"

#include <stddef.h>
#include <stdint.h>

enum {
  OP_FLASH_BEGIN = 0x02,
  OP_FLASH_DATA = 0x03,
  OP_MEM_BEGIN = 0x05,
  OP_MEM_DATA = 0x07,
  OP_SYNC = 0x08,
  OP_READ_FLASH_SLOW = 0x0E,
  OP_FLASH_DEFL_BEGIN = 0x10,
  OP_FLASH_DEFL_DATA = 0x11,
  OP_FLASH_MD5 = 0x13,
  OP_READ_FLASH = 0xD2, /* of stubs */
  OP_DIGESTS = 0xF1,    /* of ours, as what follows: doc/stub-protocol.md */
  OP_READ_PACKED = 0xF2,
  OP_WRITE_STATE = 0xF3
};

enum {
  FRAME_HEADER = 8,       /* bytes before the data */
  FRAME_DATA_MAX = 0xFFFF /* of data, as the size field allows */
};

/* Error bytes that mean: the request arrived damaged and nothing was done. */
enum {
  ERROR_ROM_FORMAT = 0x05,
  ERROR_ROM_CHECKSUM = 0x07,
  ERROR_STUB_LENGTH = 0xC0,
  ERROR_STUB_CHECKSUM = 0xC1,
  ERROR_STUB_FLASH = 0xC4,
  ERROR_STUB_PROTECTED = 0xC5,
  ERROR_STUB_FLASH_TIMEOUT = 0xE3,
  ERROR_STUB_SEQUENCE = 0xE1, /* not damaged, but what came before it did not arrive */
  ERROR_STUB_FRAME = 0xE5
};

static inline void put_le16(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(uint8_t *p, uint32_t v) {
  put_le16(p, v);
  put_le16(p + 2, v >> 16);
}

static inline uint32_t get_le16(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t get_le32(const uint8_t *p) {
  return get_le16(p) | get_le16(p + 2) << 16;
}

/* XOR of all bytes and 0xEF: goes with the data of blocks. */
uint8_t frame_checksum(const uint8_t *data, size_t n);

/* CRC-32 of a request without its checksum: a stub of ours takes it in the checksum's place, where it is more
 * than 0xFF. */
uint32_t frame_guard(uint8_t op, const uint8_t *head, size_t head_len, const uint8_t *data, size_t len);

/* Room that a request with n bytes of data needs on the wire. */
#define FRAME_ROOM(n) SLIP_ROOM(FRAME_HEADER + (size_t)(n))

/* A request whose data are head and then data, escaped and with delimiters, straight into out. The sum of
 * both lengths is at most FRAME_DATA_MAX. Returns the bytes stored. */
size_t frame_request(uint8_t *out, uint8_t op, uint32_t checksum, const uint8_t *head, size_t head_len,
                     const uint8_t *data, size_t len);

struct frame_reply {
  uint8_t op;
  uint32_t value;
  const uint8_t *body; /* inside the frame; with the status bytes */
  size_t len;
};

/* Whether the n bytes of a frame are a reply; fills in r then. Its size field must fit. */
int frame_parse(struct frame_reply *r, const uint8_t *frame, size_t n);

struct frame_status {
  uint8_t status; /* as it came: 0 done, 1 refused by a ROM, from 0xC0 on refused by a stub */
  uint8_t error;  /* why: see frame_error_text */
  size_t len;     /* bytes of the body before the status */
};

/* Finds the status of a reply that has status_bytes of it after at least min bytes. A refusal may be shorter:
 * then its first bytes are the status. Returns 0, or -1 if the body is too short or the status is neither. */
int frame_status(struct frame_status *s, const struct frame_reply *r, int status_bytes, size_t min);

/* "FLASH_BEGIN", or NULL for an unknown op. */
const char *frame_op_name(unsigned op);

/* What an error byte of a ROM (below 0xC0) or a stub means, in words. */
const char *frame_error_text(unsigned error);

#endif
