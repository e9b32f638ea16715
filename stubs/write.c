/* write.c - a write in progress: what arrives waits in the window, sectors are erased ahead of it, and what
 * has been programmed is read back and compared. The flash is never waited for unless the window is full. */
#include "stub.h"

static struct {
  uint32_t end;                    /* addresses: behind the last byte of the write */
  uint32_t in, next, read;         /* everything below: is in the window; is programmed; has been compared */
  uint32_t erased, limit, erasing; /* everything below is erased; where to stop; what is being erased, or 1 */
  uint32_t sequence;
  int packed, encrypted;
  int state; /* NOT_IN_PROGRESS, OK, or why it ended */
} w = {.state = NOT_IN_PROGRESS};

int write_begin(uint32_t address, uint32_t size, int packed, int encrypted) {
  w.sequence = 0;
#ifdef ROM_WRITE_ENCRYPTED
  if (encrypted && (((address | size) & (ENCRYPTED_ALIGN - 1)) || address + size > 1u << 24))
    return OUT_OF_RANGE;
#else
  if (encrypted)
    return NOT_IMPLEMENTED;
#endif
#ifdef NAND_SPI
  if (address & NAND_SPACE && address & (NAND_PAGE - 1))
    return OUT_OF_RANGE;
#endif
  w.in = w.next = w.read = address;
  w.end = address + size;
  w.erased = address & ~(uint32_t)(SECTOR - 1);
  w.limit = (w.end + SECTOR - 1) & ~(uint32_t)(SECTOR - 1);
  w.erasing = 1;
  w.packed = packed;
  w.encrypted = encrypted;
  for (uint32_t i = address; i & 3;) /* programming takes words: what is before it stays as it is */
    window[--i & (WINDOW - 1)] = 0xFF;
  if (packed)
    inflate_begin(address, w.end);
  w.state = flash_check(address, size);
  return w.state;
}

/* Begins to erase the next 64 KiB where they fit, or a sector, unless it is blank. `erasing` is then a place
 * that is not: whether it was erased shows there. */
int write_erase(uint32_t *address, uint32_t end, uint32_t *erasing) {
  uint32_t from = *address, size = (from & (BLOCK64 - 1)) || end - from < BLOCK64 ? SECTOR : BLOCK64;
  uint32_t used = flash_used(from, from + size);
  *address = from + size;
  if (used == from + size)
    return OK;
  *erasing = used;
  return flash_erase(from, size);
}

/* The next thing to do, when the flash has nothing to do: program, or erase ahead. */
static int work(void) {
  uint32_t at = w.next, n = CHUNK - (at & (CHUNK - 1)), fill = w.in - at;
  if (n > fill)
    n = w.in == w.end ? fill : 0;
  if (n && at + n <= w.erased) {
    w.next += n;
    n += at & 3;
    at &= ~3u;
    return (w.encrypted ? flash_program_encrypted : flash_program)(
        at, (const uint32_t *)(const void *)(window + (at & (WINDOW - 1))), n);
  }
  return w.erased < w.limit ? write_erase(&w.erased, w.limit, &w.erasing) : OK;
}

void write_pump(void) {
  uint32_t words[CHUNK / 4], at = w.read, n;
  int err;
  io_poll();
  if (w.state != OK)
    return;
#ifdef NAND_SPI
  if (w.end & NAND_SPACE) {
    nand_pump();
    return;
  }
#endif
  err = flash_poll();
  if (err == FLASH_BUSY)
    return;
  n = w.next - at; /* what was programmed last */
  if (n && !err) {
    w.read = w.next;
    if (w.encrypted)
      n = 0;
    else
      flash_read(at, words, n);
  }
  if (!err && w.erasing != 1) {
    err = flash_erased(w.erasing);
    w.erasing = 1;
  }
  if (!err)
    err = work();
  for (const uint8_t *p = (const uint8_t *)words; n; n--) /* while the flash does what it was told */
    if (*p++ != window[at++ & (WINDOW - 1)])
      err = FLASH_DIFFERS;
  w.state = err;
}

int write_put(uint32_t upto) {
  w.in = upto;
  do
    write_pump();
  while (w.state == OK && w.in - w.read > WINDOW - BURST - CHUNK);
  return w.state;
}

static int plain(const uint8_t *p, uint32_t n) {
  uint32_t at = w.in, left = w.end - at;
  if (n > left)
    n = left; /* a plain host pads the last block */
  while (n && w.state == OK) {
    window[at++ & (WINDOW - 1)] = *p++;
    if (!--n || !(at & (CHUNK - 1)))
      write_put(at);
  }
  return w.state;
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
  int err = packed ? inflate_data(p, n) : plain(p, n);
  if (w.state == OK)
    w.state = err;
  while (w.state == OK && w.in == w.end && w.read != w.end)
    write_put(w.in); /* the last answer means that it is all there */
  if (w.state == OK)
    w.sequence++;
  return w.state;
}

int write_end(void) {
  int err = w.state;
  if (err == OK && (write_missing() || (w.packed && !inflate_finished())))
    err = TOO_LITTLE_DATA;
  write_stop();
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
  return w.end - w.in;
}
