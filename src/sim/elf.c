/* elf.c - the ELF file of a mask ROM. Source: "System V Application Binary Interface", "Object Files".
 *
 * The published files are made for debuggers: variables carry their first values at the address at which they
 * live, not where the ROM holds them. The start-up code of the ROM copies them by a table of words - first
 * address, last address + 1, source - and that table is what places them here. */
#include "sim/elf.h"

#include <stdio.h>
#include <string.h>

enum { HEADER = 52, SECTION = 40, SEGMENT = 32, PROGBITS = 1, LOAD = 1, ALLOC = 2, EXEC = 4, MOST = 256 };
enum { SPAN = 0x10000 }; /* variables that are copied at once are fewer bytes */
enum { FILLED = 15 };

struct reader {
  const uint8_t *data;
  size_t n;
  char *error;
  size_t error_size;
  int (*is_rom)(void *ctx, uint32_t addr);
  void *ctx;
};

static int bad(struct reader *r, const char *what) {
  snprintf(r->error, r->error_size, "%s", what);
  return -1;
}

/* In range: the caller has checked. */
static uint32_t half(const struct reader *r, size_t at) {
  return (uint32_t)r->data[at] | (uint32_t)r->data[at + 1] << 8;
}

static uint32_t word(const struct reader *r, size_t at) {
  return half(r, at) | half(r, at + 2) << 16;
}

static int inside(const struct reader *r, uint32_t at, uint32_t size) {
  return at <= r->n && size <= r->n - at;
}

/* count entries of size bytes. */
static int table_ok(const struct reader *r, uint32_t at, uint32_t count, uint32_t entry, uint32_t size) {
  return count == 0 || (entry >= size && count <= MOST && inside(r, at, count * entry));
}

static int check(struct reader *r, int machine) {
  char text[80];
  if (r->n < HEADER || memcmp(r->data, "\177ELF", 4) != 0)
    return bad(r, r->n < HEADER ? "is too short for an ELF file" : "is not an ELF file");
  if (r->data[4] != 1 || r->data[5] != 1)
    return bad(r, "is not a 32-bit little-endian ELF file");
  int found = (int)half(r, 18);
  if (found == machine)
    return 0;
  snprintf(text, sizeof text, "is for another processor (ELF machine %d, this chip needs %d)", found,
           machine);
  return bad(r, text);
}

static int whole_in_rom(struct reader *r, uint32_t addr, uint32_t size) {
  return size - 1 <= UINT32_MAX - addr && r->is_rom(r->ctx, addr) && r->is_rom(r->ctx, addr + (size - 1));
}

static int put(struct reader *r, struct sim_elf *out, uint32_t addr, uint32_t offset, uint32_t size) {
  if (out->parts == SIM_ELF_PARTS)
    return bad(r, "has too many sections");
  out->part[out->parts++] = (struct sim_elf_part){addr, offset, size};
  return 0;
}

/* The first values of the variables at addr: exact asks for a row that is theirs alone. 0: no row. A section
 * may be filled up to its alignment, behind what is copied: *size is then made less. */
static uint32_t source_of(struct reader *r, const struct sim_elf *out, int code, uint32_t addr,
                          uint32_t *size, int exact) {
  for (int i = 0; i < code; i++) {
    const struct sim_elf_part *p = &out->part[i];
    for (uint32_t at = -p->addr & 3; p->size >= 12 && at <= p->size - 12; at += 4) {
      uint32_t first = word(r, p->offset + at);
      if (first > addr || (exact && first != addr))
        continue;
      uint32_t end = word(r, p->offset + at + 4), from = word(r, p->offset + at + 8);
      if (end <= first || end - first > SPAN || end < addr || end - addr + FILLED < *size)
        continue;
      if (exact && end - addr > *size)
        continue;
      if (whole_in_rom(r, from, end - first)) {
        *size = end - addr < *size ? end - addr : *size;
        return from + (addr - first);
      }
    }
  }
  return 0;
}

/* Sections: code and constants in a first round, variables by the table that is among them in a second. */
static int take_sections(struct reader *r, struct sim_elf *out, int variables) {
  uint32_t at = word(r, 32), count = half(r, 48), entry = half(r, 46);
  int code = out->parts;
  if (!table_ok(r, at, count, entry, SECTION))
    return bad(r, "is cut short: its section table is not there");
  for (uint32_t i = 0; i < count; i++) {
    size_t s = at + (size_t)i * entry;
    uint32_t kind = word(r, s + 4), addr = word(r, s + 12), offset = word(r, s + 16), size = word(r, s + 20);
    if (kind != PROGBITS || size == 0 || addr == 0)
      continue;
    if (!inside(r, offset, size))
      return bad(r, "is cut short: a section lies beyond its end");
    int rom = whole_in_rom(r, addr, size);
    if (rom != !variables)
      continue;
    if (variables) {
      addr = source_of(r, out, code, addr, &size, 1);
      if (addr == 0)
        addr = source_of(r, out, code, word(r, s + 12), &size, 0);
      if (addr == 0)
        continue;
    }
    if (size > 0 && put(r, out, addr, offset, size) != 0)
      return -1;
  }
  return 0;
}

/* A file without sections. */
static int take_segments(struct reader *r, struct sim_elf *out) {
  uint32_t at = word(r, 28), count = half(r, 44), entry = half(r, 42);
  if (!table_ok(r, at, count, entry, SEGMENT))
    return bad(r, "is cut short: its program headers are not there");
  for (uint32_t i = 0; i < count; i++) {
    size_t s = at + (size_t)i * entry;
    uint32_t offset = word(r, s + 4), addr = word(r, s + 8), size = word(r, s + 16);
    if (word(r, s) != LOAD || size == 0)
      continue;
    if (!inside(r, offset, size))
      return bad(r, "is cut short: a segment lies beyond its end");
    if (whole_in_rom(r, addr, size) && put(r, out, addr, offset, size) != 0)
      return -1;
  }
  return 0;
}

int sim_elf_parse(const uint8_t *data, size_t n, int machine, int (*is_rom)(void *ctx, uint32_t addr),
                  void *ctx, struct sim_elf *out, char *error, size_t error_size) {
  struct reader r = {data, n, error, error_size, is_rom, ctx};
  memset(out, 0, sizeof *out);
  if (check(&r, machine) != 0)
    return -1;
  out->entry = word(&r, 24);
  if (take_sections(&r, out, 0) != 0 || take_sections(&r, out, 1) != 0)
    return -1;
  if (out->parts == 0 && take_segments(&r, out) != 0)
    return -1;
  if (out->parts == 0)
    return bad(&r, "holds nothing of this chip's mask ROM");
  return is_rom(ctx, out->entry) ? 0 : bad(&r, "starts outside of this chip's mask ROM");
}

uint32_t sim_elf_word(const struct sim_elf *elf, const uint8_t *data, uint32_t addr, int *found) {
  for (int i = 0; i < elf->parts; i++) {
    const struct sim_elf_part *p = &elf->part[i];
    if (addr < p->addr || p->size < 4 || addr - p->addr > p->size - 4)
      continue;
    const uint8_t *b = data + p->offset + (addr - p->addr);
    *found = 1;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
  }
  *found = 0;
  return 0;
}
