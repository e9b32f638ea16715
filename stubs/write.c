/* write.c - a write in progress: what arrives fills pages, sectors are erased ahead of them. */
#include "stub.h"

static struct {
  uint32_t next, end;       /* addresses: of the next byte to program, behind the last */
  uint32_t erased, limit;   /* everything below is erased; where to stop erasing */
  uint32_t sequence, blocks;
  uint32_t fill;            /* bytes in `page` */
  int packed, active;
} w;
static uint32_t page_words[PAGE / 4];
static uint8_t *const page = (uint8_t *)page_words;

int write_begin(uint32_t address, uint32_t size, uint32_t blocks, int packed) {
  w.active = 0;
  if (address > flash_size || size > flash_size - address)
    return TOO_MUCH_DATA;
  w.next = address;
  w.end = address + size;
  w.erased = address & ~(uint32_t)(SECTOR - 1);
  w.limit = (w.end + SECTOR - 1) & ~(uint32_t)(SECTOR - 1);
  w.sequence = w.fill = 0;
  w.blocks = blocks;
  w.packed = packed;
  w.active = 1;
  if (packed)
    inflate_begin();
  return OK;
}

/* Erases the next sector, or 64 KiB where they fit, unless it is blank. */
static int erase_next(void) {
  uint32_t size = SECTOR;
  int blank = 0, err = OK;
  if (!(w.erased & (BLOCK64 - 1)) && w.limit - w.erased >= BLOCK64) {
    /* one erase of 64 KiB costs about three of 4 KiB: worth it unless nearly all of it is blank */
    uint32_t dirty = 0;
    for (uint32_t at = 0; at < BLOCK64 && !err && dirty < 4; at += SECTOR) {
      err = flash_blank(w.erased + at, SECTOR, &blank);
      dirty += !blank;
    }
    if (!err && dirty == 4) {
      size = BLOCK64;
      blank = 0;
    } else if (!err && !dirty) {
      size = BLOCK64;
      blank = 1;
    } else if (!err) {
      err = flash_blank(w.erased, SECTOR, &blank);
    }
  } else {
    err = flash_blank(w.erased, SECTOR, &blank);
  }
  if (!err && !blank)
    err = flash_erase(w.erased, size);
  w.erased += size;
  return err;
}

void write_idle(void) {
  if (w.active && w.erased < w.limit && erase_next())
    w.active = 0;
}

static int flush(void) {
  int err = OK;
  while (!err && w.erased < w.next + w.fill && w.erased < w.limit)
    err = erase_next();
  if (!err)
    err = flash_program(w.next, page, w.fill);
  w.next += w.fill;
  w.fill = 0;
  return err;
}

int write_bytes(const uint8_t *p, uint32_t n) {
  int err = OK;
  while (n && !err) {
    uint32_t room = PAGE - ((w.next + w.fill) & (PAGE - 1)), left = w.end - w.next - w.fill;
    if (!left)
      return w.packed ? TOO_MUCH_DATA : OK; /* a plain host pads the last block */
    if (room > left)
      room = left;
    if (room > n)
      room = n;
    for (uint32_t i = 0; i < room; i++)
      page[w.fill + i] = p[i];
    w.fill += room;
    p += room;
    n -= room;
    if (!((w.next + w.fill) & (PAGE - 1)) || w.next + w.fill == w.end)
      err = flush();
  }
  return err;
}

int write_data(uint32_t sequence, const uint8_t *p, uint32_t n) {
  if (!w.active)
    return NOT_IN_PROGRESS;
  if (sequence < w.sequence)
    return OK; /* its answer was lost */
  if (sequence > w.sequence)
    return OUT_OF_SEQUENCE;
  int err = w.packed ? inflate_data(p, n) : write_bytes(p, n);
  w.sequence++;
  if (err)
    w.active = 0;
  return err;
}

int write_end(void) {
  if (!w.active)
    return NOT_IN_PROGRESS;
  int err = write_missing() || (w.packed && !inflate_finished()) ? TOO_LITTLE_DATA : OK;
  w.active = 0;
  return err;
}

uint32_t write_expected(void) {
  return w.sequence;
}

uint32_t write_missing(void) {
  return w.end - w.next - w.fill;
}
