/* flash.h - the cells of a NOR flash: programming clears bits, erasing sets them, sector by sector.
 *
 * In memory, 4 KiB pages exist only where something was programmed. In a file, every program and erase is
 * written to the file at once, page by page (pwrite), as the cells of a real part change: a process that
 * is killed loses nothing that it has acknowledged, and no half-written copy replaces a good one. */
#ifndef SIM_FLASH_H
#define SIM_FLASH_H

#include <stddef.h>
#include <stdint.h>

enum { SIM_SECTOR = 4096, SIM_FLASH_MAX = 0x10000000 };

/* What was done to it by erasing and programming. */
struct sim_flash_use {
  uint64_t erases, erased;       /* commands, bytes */
  uint64_t programs, programmed; /* the same */
  uint64_t first, last;          /* the lowest address that was touched, and the highest + 1; equal: none */
};

struct sim_flash {
  uint32_t size;  /* bytes, a multiple of SIM_SECTOR */
  uint8_t **page; /* size / SIM_SECTOR pointers, NULL where erased; NULL altogether with a file */
  int fd;         /* the file, or -1 */
  struct sim_flash_use use;
};

/* Opens flash of size bytes; path NULL: in memory. A file that is missing is created erased; of another size
 * it is refused, unless size is 0: then its size is taken. On failure returns -1 and writes a line to
 * error. */
int sim_flash_open(struct sim_flash *f, uint32_t size, const char *path, char *error, size_t error_size);

/* Frees; a file is flushed to the disk first. Allowed on a zeroed struct, and twice. */
void sim_flash_close(struct sim_flash *f);

/* Addresses wrap at the size, as the address lines of the part do. */
void sim_flash_read(const struct sim_flash *f, uint32_t addr, uint8_t *out, size_t n);
void sim_flash_program(struct sim_flash *f, uint32_t addr, const uint8_t *data, size_t n);

/* Erases the sectors that hold addr .. addr + n - 1. */
void sim_flash_erase(struct sim_flash *f, uint32_t addr, size_t n);

/* Puts bytes there as they are (tests, encrypted content). */
void sim_flash_poke(struct sim_flash *f, uint32_t addr, const uint8_t *data, size_t n);

#endif
