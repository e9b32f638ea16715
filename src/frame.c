/* frame.c - the packets of the loaders' protocol. */
#include "frame.h"

#include <string.h>
#include <zlib.h>

uint8_t frame_checksum(const uint8_t *data, size_t n) {
  uint64_t sum = 0, word;
  for (; n >= 8; n -= 8, data += 8) {
    memcpy(&word, data, 8);
    sum ^= word;
  }
  sum ^= sum >> 32;
  sum ^= sum >> 16;
  sum ^= sum >> 8;
  while (n-- > 0)
    sum ^= *data++;
  return (uint8_t)(sum ^ 0xEF);
}

uint32_t frame_guard(uint8_t op, const uint8_t *head, size_t head_len, const uint8_t *data, size_t len) {
  uint8_t header[FRAME_HEADER] = {0x00, op};
  put_le16(header + 2, (uint32_t)(head_len + len));
  uLong crc = crc32(0, header, sizeof header);
  if (head_len)
    crc = crc32(crc, head, (uInt)head_len);
  if (len)
    crc = crc32(crc, data, (uInt)len);
  return (uint32_t)crc;
}

size_t frame_request(uint8_t *out, uint8_t op, uint32_t checksum, const uint8_t *head, size_t head_len,
                     const uint8_t *data, size_t len) {
  uint8_t header[FRAME_HEADER] = {0x00, op};
  size_t k = 0;
  put_le16(header + 2, (uint32_t)(head_len + len));
  put_le32(header + 4, checksum);
  out[k++] = SLIP_END;
  k += slip_escape(out + k, header, sizeof header);
  k += slip_escape(out + k, head, head_len);
  k += slip_escape(out + k, data, len);
  out[k++] = SLIP_END;
  return k;
}

int frame_parse(struct frame_reply *r, const uint8_t *frame, size_t n) {
  if (n < FRAME_HEADER || frame[0] != 0x01 || get_le16(frame + 2) != n - FRAME_HEADER)
    return 0;
  r->op = frame[1];
  r->value = get_le32(frame + 4);
  r->body = frame + FRAME_HEADER;
  r->len = n - FRAME_HEADER;
  return 1;
}

/* A ROM answers 01 and the reason, a stub the reason and 00. */
static int refused(uint8_t status) {
  return status == 1 || status >= 0xC0;
}

int frame_status(struct frame_status *s, const struct frame_reply *r, int status_bytes, size_t min) {
  size_t tail = (size_t)status_bytes;
  const uint8_t *at;
  if (r->len == min + 2 ||
      r->len == min + 4) { /* 2 or 4, whatever we take the chip for: only the first two count */
    s->len = min;
    at = r->body + min;
  } else if (r->len >= min + tail) {
    s->len = r->len - tail;
    at = r->body + s->len;
  } else if (r->len >= 2 && (min == 0 || refused(r->body[0]))) {
    s->len = 0;
    at = r->body;
  } else {
    return -1;
  }
  s->status = at[0];
  s->error = s->status >= 0xC0 ? at[0] : at[1];
  return s->status == 0 || refused(s->status) ? 0 : -1;
}

static const struct {
  uint8_t op;
  const char *name;
} ops[] = {
    {0x02, "FLASH_BEGIN"},
    {0x03, "FLASH_DATA"},
    {0x04, "FLASH_END"},
    {0x05, "MEM_BEGIN"},
    {0x06, "MEM_END"},
    {0x07, "MEM_DATA"},
    {0x08, "SYNC"},
    {0x09, "WRITE_REG"},
    {0x0A, "READ_REG"},
    {0x0B, "SPI_SET_PARAMS"},
    {0x0D, "SPI_ATTACH"},
    {0x0E, "READ_FLASH_SLOW"},
    {0x0F, "CHANGE_BAUDRATE"},
    {0x10, "FLASH_DEFL_BEGIN"},
    {0x11, "FLASH_DEFL_DATA"},
    {0x12, "FLASH_DEFL_END"},
    {0x13, "SPI_FLASH_MD5"},
    {0x14, "GET_SECURITY_INFO"},
    {0xD0, "ERASE_FLASH"},
    {0xD1, "ERASE_REGION"},
    {0xD2, "READ_FLASH"},
    {0xD3, "RUN_USER_CODE"},
    {0xD4, "FLASH_ENCRYPT_DATA"},
    {0xD5, "SPI_NAND_ATTACH"},
    {0xD6, "SPI_NAND_READ_SPARE"},
    {0xD7, "SPI_NAND_WRITE_SPARE"},
    {0xD8, "SPI_NAND_READ_FLASH"},
    {0xD9, "SPI_NAND_WRITE_BEGIN"},
    {0xDA, "SPI_NAND_WRITE_DATA"},
    {0xDB, "SPI_NAND_ERASE_FLASH"},
    {0xDC, "SPI_NAND_ERASE_REGION"},
    {0xDD, "SPI_NAND_READ_PAGE_DEBUG"},
    {0xDE, "SPI_NAND_WRITE_END"},
    {0xF8, "NAND_SCAN"},
    {0xF9, "NAND_CHECK"},
};

const char *frame_op_name(unsigned op) {
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
    if (ops[i].op == op)
      return ops[i].name;
  return NULL;
}

/* ROM loaders use codes below 0xC0, stubs those from there on. */
static const struct {
  uint8_t error;
  const char *text;
} errors[] = {
    {0x00, "no reason given"},
    {0x01, "a parameter is not valid"},
    {0x02, "out of memory"},
    {0x03, "could not send a message"},
    {0x04, "could not receive a message"},
    {ERROR_ROM_FORMAT, "the request is malformed or this command does not exist"},
    {0x06, "the request was understood, carrying it out failed"},
    {ERROR_ROM_CHECKSUM, "the checksum is wrong"},
    {0x08, "flash reads back other than it was written"},
    {0x09, "reading flash failed"},
    {0x0A, "wrong length for reading flash"},
    {0x0B, "compressed data could not be unpacked"},
    {0x0C, "compressed data has a wrong check value (Adler-32)"},
    {0x0D, "wrong parameter for compressed data"},
    {0x0E, "wrong size of a program for RAM"},
    {0x0F, "wrong address of a program for RAM"},
    {0x64, "a parameter is not valid"},
    {0x65, "wrong format"},
    {0x66, "description too long"},
    {0x67, "description encoded wrongly"},
    {0x69, "not enough storage"},
    {0xC0, "wrong length of the data"},
    {ERROR_STUB_CHECKSUM, "the checksum is wrong"},
    {0xC2, "the block size is wrong"},
    {0xC3, "the command is not valid"},
    {0xC4, "an operation of the flash chip failed"},
    {0xC5, "flash is write-protected"},
    {0xC6, "writing was not begun"},
    {0xC7, "compressed data could not be unpacked"},
    {0xC8, "less data than was announced"},
    {0xC9, "more data than was announced"},
    {0xCA, "the NAND flash could not program a page (P-FAIL)"},
    {0xCB, "the NAND flash could not erase a block (E-FAIL)"},
    {0xCA, "programming NAND flash failed"},
    {0xCB, "erasing NAND flash failed"},
    {ERROR_STUB_SEQUENCE, "an earlier block is missing"},
    {0xE2, "what the flash chip holds is not what was written to it"},
    {0xE3, "the flash chip stays busy"},
    {0xE4, "this baud rate is not possible"},
    {ERROR_STUB_FRAME, "the request arrived damaged"},
    {0xE6, "beyond the end of flash, or not aligned"},
    {0xE7, "the NAND flash cannot correct the errors of a page"},
    {0xFF, "this command does not exist"},
};

const char *frame_error_text(unsigned error) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].error == error)
      return errors[i].text;
  return "unknown error";
}
