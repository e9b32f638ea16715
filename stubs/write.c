/* write.c - a write in progress: what arrives fills pages, sectors are erased ahead of them. */
#include "stub.h"

static struct {
  uint32_t next, end;     /* addresses: of the first byte in `page`, behind the last byte of the write */
  uint32_t erased, limit; /* everything below is erased; where to stop erasing */
  uint32_t sequence;
  uint32_t fill; /* bytes in `page` */
  int packed, encrypted;
  int state; /* NOT_IN_PROGRESS, OK, or why it ended */
} w = {.state = NOT_IN_PROGRESS};
static uint32_t page_words[PAGE / 4];
#define page ((uint8_t *)page_words)

int write_begin(uint32_t address, uint32_t size, int packed, int encrypted) {
  w.state = NOT_IN_PROGRESS;
  w.sequence = w.fill = 0;
  w.next = w.end = 0;
  if (!flash_in_range(address, size))
    return OUT_OF_RANGE;
#ifdef ROM_WRITE_ENCRYPTED
  if (encrypted && (((address | size) & (ENCRYPTED_ALIGN - 1)) || address + size > 1u << 24))
    return OUT_OF_RANGE;
#else
  if (encrypted)
    return NOT_IMPLEMENTED;
#endif
  w.next = address;
  w.end = address + size;
  w.erased = address & ~(uint32_t)(SECTOR - 1);
  w.limit = (w.end + SECTOR - 1) & ~(uint32_t)(SECTOR - 1);
  w.packed = packed;
  w.encrypted = encrypted;
  w.state = OK;
  if (packed)
    inflate_begin();
  return OK;
}

/* Erases the next 64 KiB where they fit, or a sector, unless it is blank. One erase of 64 KiB takes the time
 * of about three of 4 KiB: it is worth it unless nearly all of it is blank. Reading stops at the first byte
 * that is not. */
int write_erase(uint32_t *address, uint32_t end) {
  uint32_t from = *address, whole = !(from & (BLOCK64 - 1)) && end - from >= BLOCK64;
  uint32_t size = whole ? BLOCK64 : SECTOR, enough = whole ? 4 : 1, dirty = 0, first = 0;
  int err = OK, blank;
  for (uint32_t at = 0; at < size && dirty < enough && !err; at += SECTOR) {
    err = flash_blank(from + at, &blank);
    dirty += !blank;
    if (!at)
      first = dirty;
  }
  if (dirty < enough && dirty) {
    size = SECTOR;
    dirty = first;
  }
  if (!err && dirty)
    err = flash_erase(from, size);
  *address = from + size;
  return err;
}

int write_idle(void) {
  if (w.state == OK && w.erased < w.limit)
    w.state = write_erase(&w.erased, w.limit);
  return w.state;
}

static int flush(void) {
  int err = OK;
  while (!err && w.erased < w.next + w.fill)
    err = write_erase(&w.erased, w.limit);
  if (!err)
    err = (w.encrypted ? flash_program_encrypted : flash_program)(w.next, page_words, w.fill);
  w.next += w.fill;
  w.fill = 0;
  return err;
}

int write_bytes(const uint8_t *p, uint32_t n) {
  int err = OK;
  while (n && !err) {
    uint32_t at = w.next + w.fill, part = PAGE - (at & (PAGE - 1)), left = w.end - at;
    if (!left)
      return w.packed ? TOO_MUCH_DATA : OK; /* a plain host pads the last block */
    if (part > left)
      part = left;
    if (part > n)
      part = n;
    for (uint32_t i = 0; i < part; i++)
      page[w.fill++] = *p++;
    n -= part;
    at += part;
    if (!(at & (PAGE - 1)) || at == w.end)
      err = flush();
  }
  return err;
}

int write_data(uint32_t sequence, const uint8_t *p, uint32_t n, int packed) {
  if (w.state != OK)
    return w.state;
  if (packed != w.packed)
    return NOT_IN_PROGRESS;
  if (sequence < w.sequence)
    return OK; /* its answer was lost */
  if (sequence > w.sequence)
    return OUT_OF_SEQUENCE;
  w.state = packed ? inflate_data(p, n) : write_bytes(p, n);
  if (w.state == OK && !write_missing())
    w.state = flash_ready(); /* the last answer means that it is all there */
  if (w.state == OK)
    w.sequence++;
  return w.state;
}

int write_end(void) {
  int err = w.state;
  if (err == OK && (write_missing() || (w.packed && !inflate_finished())))
    err = TOO_LITTLE_DATA;
  if (err == OK)
    err = flash_ready();
  w.state = NOT_IN_PROGRESS;
  return err;
}

void write_stop(void) {
  w.state = NOT_IN_PROGRESS;
}

int write_state(void) {
  return w.state;
}

uint32_t write_expected(void) {
  return w.sequence;
}

uint32_t write_missing(void) {
  return w.end - w.next - w.fill;
}
