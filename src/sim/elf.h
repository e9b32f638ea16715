/* elf.h - the ELF file of a mask ROM: what of it goes where. The file is hostile until checked. */
#ifndef SIM_ELF_H
#define SIM_ELF_H

#include <stddef.h>
#include <stdint.h>

enum { SIM_ELF_PARTS = 160, SIM_ELF_RISCV = 243, SIM_ELF_XTENSA = 94 };

/* Bytes offset .. offset + size - 1 of the file belong at addr. */
struct sim_elf_part {
  uint32_t addr, offset, size;
};

struct sim_elf {
  uint32_t entry;
  struct sim_elf_part part[SIM_ELF_PARTS];
  int parts;
};

/* Takes the file's n bytes apart. machine is SIM_ELF_...; is_rom tells whether an address lies in the mask
 * ROM, ctx is its argument. Initialised variables stand where the ROM keeps their first values, as far as the
 * ROM's own table of copies tells; what lies nowhere in the ROM is left out. Returns 0, or -1 with a line in
 * error. */
int sim_elf_parse(const uint8_t *data, size_t n, int machine, int (*is_rom)(void *ctx, uint32_t addr),
                  void *ctx, struct sim_elf *out, char *error, size_t error_size);

/* The word at an address, as out says; *found is 0 when the file has none there. */
uint32_t sim_elf_word(const struct sim_elf *elf, const uint8_t *data, uint32_t addr, int *found);

#endif
