/* nand_commands.c - the commands for a serial NAND flash: those of the public stub's plug-in, by the names of
 * the ordinary ones where they do the same, and ours (doc/stub-protocol.md, "NAND flash"). */
#include "stub.h"

enum {
  NAND_ATTACH = 0xD5,
  NAND_READ_SPARE = 0xD6,
  NAND_WRITE_SPARE = 0xD7,
  NAND_READ = 0xD8,
  NAND_WRITE_BEGIN = 0xD9,
  NAND_WRITE_DATA = 0xDA,
  NAND_ERASE_ALL = 0xDB,
  NAND_ERASE_REGION = 0xDC,
  NAND_PREVIEW = 0xDD,
  NAND_WRITE_END = 0xDE,
  NAND_SCAN = 0xF8,
  NAND_CHECK = 0xF9
};
enum { PER_BLOCK = NAND_BLOCK / NAND_PAGE, BLOCKS = NAND_SIZE / NAND_BLOCK };

/* Public commands that differ from ordinary ones only in where their words are. Returns the ordinary one,
 * whose data then is in `frame`; others come back as they are. */
static uint32_t nand_translate(uint32_t op, uint32_t *n) {
  uint32_t *w = frame_words + 2;
  switch (op) {
  case NAND_READ:
    w[0] |= NAND_SPACE;
    return 0xD2;
  case NAND_ERASE_REGION:
    w[0] |= NAND_SPACE;
    return 0xD1;
  case NAND_WRITE_BEGIN: /* address, size, and two more of which nothing is needed */
    if (*n >= 16) {
      uint32_t address = w[0];
      w[0] = w[1];
      w[2] = BLOCK_MAX;
      w[3] = address | NAND_SPACE;
      *n = 16;
    }
    return FLASH_BEGIN;
  case NAND_WRITE_DATA:
    return FLASH_DATA;
  case NAND_WRITE_END:
    w[0] = 1; /* stay: what the host says here means nothing */
    return FLASH_END;
  default:
    return op;
  }
}

static int nand_erase_region(uint32_t address, uint32_t size) {
  int err = OK;
  address &= NAND_MASK;
  if ((address | size) & (NAND_BLOCK - 1))
    return BAD_LENGTH;
  for (; size && !err; address += NAND_BLOCK, size -= NAND_BLOCK)
    err = nand_erase(address / NAND_PAGE);
  return err;
}

static int is_bad(uint32_t block, int *bad) {
  uint32_t word = 0xFFFFFFFF;
  int err = nand_spare(block * PER_BLOCK, &word);
  *bad = (word & 0xFF) != 0xFF;
  return err;
}

/* All but the blocks that are marked as bad: erasing would take away the mark. */
static int nand_erase_all(void) {
  int err = OK, bad = 0;
  for (uint32_t i = 0; i < BLOCKS && !err; i++) {
    err = is_bad(i, &bad);
    if (!err && !bad)
      err = nand_erase(i * PER_BLOCK);
  }
  return err;
}

static int nand_scan(uint32_t first, uint32_t count) {
  static uint32_t map[BLOCKS / 32];
  int err = OK, bad = 0;
  if (first > BLOCKS || count > BLOCKS - first)
    return OUT_OF_RANGE;
  for (uint32_t i = 0; i < count && !err; i++) {
    err = is_bad(first + i, &bad);
    if (!(i & 31))
      map[i >> 5] = 0;
    map[i >> 5] |= (uint32_t)bad << (i & 31);
  }
  answer.body = map;
  answer.size = (count + 31) / 32 * 4;
  return err;
}

/* How many pages need correction; how many are beyond it, and the first of these. */
static int nand_check(uint32_t address, uint32_t size) {
  uint32_t page = address / NAND_PAGE, end = (address + size + NAND_PAGE - 1) / NAND_PAGE;
  int err = OK;
  if (!nand_in_range(address, size))
    return OUT_OF_RANGE;
  answer.words[0] = 0;
  answer.words[1] = 0xFFFFFFFF;
  answer.size = 8;
  for (nand_begin(); page < end && !err; page++) {
    err = nand_load(page);
    int ecc = nand_ecc();
    if (ecc == 1)
      answer.value++;
    else if (ecc && !answer.words[0]++)
      answer.words[1] = page;
  }
  return err;
}

static int nand_command(uint32_t op, const uint32_t *w, uint32_t n) {
  static const uint8_t words[] = {[NAND_ATTACH - 0xD5] = 4,
                                  [NAND_READ_SPARE - 0xD5] = 4,
                                  [NAND_WRITE_SPARE - 0xD5] = 5,
                                  [NAND_PREVIEW - 0xD5] = 4};
  uint32_t least = op >= NAND_SCAN ? 8 : op <= NAND_PREVIEW && op >= NAND_ATTACH ? words[op - 0xD5] : 0;
  int err;
  if (n < least)
    return BAD_LENGTH;
  switch (op) {
  case NAND_ATTACH: {
    uint8_t status = 0, protect = 0;
    err = nand_attach(w[0], &answer.value, &status, &protect);
    answer.value |= (uint32_t)status << 24;
    answer.words[0] = protect;
    answer.size = 1;
    return err;
  }
  case NAND_READ_SPARE:
    return nand_spare(w[0], &answer.value);
  case NAND_WRITE_SPARE: /* bits are only cleared: good is what it is already, or stays bad */
    err = (w[1] & 0xFF) ? nand_mark(w[0]) : OK;
    return err ? err : nand_spare(w[0], &answer.value);
  case NAND_ERASE_ALL:
    return nand_erase_all();
  case NAND_PREVIEW:
    answer.value = w[0];
    answer.size = 16;
    err = nand_load(w[0]);
    nand_fetch(w[0] * NAND_PAGE, 16);
    answer.body = nand_fetched();
    return err;
  case NAND_SCAN:
    return nand_scan(w[0], w[1]);
  case NAND_CHECK:
    nand_tolerate(n >= 12 && w[2]);
    return nand_check(w[0], w[1]);
  default:
    return BAD_COMMAND;
  }
}

/* The next page, when all of it is in the window; a block is erased before its first one. */
void nand_pump(void) {
  uint32_t at = w.next & NAND_MASK, n = w.in - w.next;
  if (!n || (n < NAND_PAGE && w.in != w.end))
    return;
  if (n > NAND_PAGE)
    n = NAND_PAGE;
  if (!(at & (NAND_BLOCK - 1)))
    w.state = nand_erase(at / NAND_PAGE);
  if (w.state == OK)
    w.state = nand_program(at / NAND_PAGE, (const uint32_t *)(const void *)(window + (at & (WINDOW - 1))), n);
  w.next = w.read = w.next + n;
}
