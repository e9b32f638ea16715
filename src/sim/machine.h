/* machine.h - what a chip needs beyond its loader model to run its own mask ROM: the ROM's bytes, reset
 * causes, interrupts, the window onto flash, and registers that are more than storage.
 *
 * All of it is described by data (chips/CHIP.lua, sim.machine). Without a ROM file nothing here is in use. */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "sim/cache.h"
#include "sim/crypto.h"
#include "sim/elf.h"
#include "sim/irq.h"
#include "sim/timg.h"

struct sim_chip;

enum { SIM_REGISTERS_MAX = 128, SIM_UNMODELLED = 256 };

/* A register. Reads give (stored & ~clear) | set, and the bits of echo once more, shifted to the left by
 * echo_shift: what was asked for is said to be done. keep: only power-on resets it; forget: writing it makes
 * the cache forget what was fetched. */
struct sim_register {
  uint32_t addr, reset, set, clear, echo, echo_shift;
  int keep, forget;
};

static inline uint32_t sim_register_value(const struct sim_register *r, uint32_t stored) {
  return (stored & ~r->clear & ~(r->echo << r->echo_shift)) | r->set | (stored & r->echo) << r->echo_shift;
}

struct sim_machine_layout {
  int elf;                    /* SIM_ELF_... */
  int unaligned;              /* the processor loads and stores at any address */
  uint32_t id_addr, id_value; /* a word that only this chip's ROM has there */
  uint32_t flash_pad;         /* the flash answers once the ROM has set up this pad; 0: from reset on */
  uint32_t cause_addr;        /* reset cause: width bits from lsb on */
  int cause_lsb, cause_width;
  struct sim_irq_layout irq;
  struct sim_cache_layout cache;
  struct sim_timg_layout timg;
  struct sim_crypto_layout crypto;
  struct sim_register reg[SIM_REGISTERS_MAX]; /* ascending addresses */
  int regs;
};

/* An access to a register that nobody models. */
struct sim_unmodelled {
  uint32_t addr, pc, value; /* pc of the first access, value last written */
  uint32_t reads, writes;
};

struct sim_machine {
  int on; /* the chip runs its ROM */
  uint8_t *file;
  size_t size;
  struct sim_elf elf;
  struct sim_irq irq;
  struct sim_cache cache;
  struct sim_timg timg;
  struct sim_crypto crypto;
  struct sim_unmodelled seen[SIM_UNMODELLED];
  int seen_n;
};

/* Reads the ROM's file. Returns 0, or -1 with a line in error. */
int sim_machine_load(struct sim_chip *c, const char *path, char *error, size_t error_size);
void sim_machine_free(struct sim_chip *c);

/* Puts the ROM into memory and starts it; cause is SIM_RST_..., mode SIM_BOOT_... */
void sim_machine_reset(struct sim_chip *c, int cause, int mode);

/* What lives through a reset of this cause: called before memory is cleared, with to[] of SIM_REGISTERS_MAX
 * words. */
void sim_machine_keep(struct sim_chip *c, int cause, uint32_t *to);
void sim_machine_restore(struct sim_chip *c, int cause, const uint32_t *from);

/* Now and then, while it runs: interrupts, watchdogs. Returns after how many instructions to come again. */
uint64_t sim_machine_tick(struct sim_chip *c);

/* The processor waits: whether it has not got to, as a byte or an interrupt is there. */
int sim_machine_wakes(struct sim_chip *c);

/* Whether the processor goes round in circles until an interrupt comes: nobody was asked for anything since
 * the last look, and it comes back to an instruction with the same registers. */
int sim_machine_idle(struct sim_chip *c);

/* The register at addr, or NULL. */
const struct sim_register *sim_machine_register(const struct sim_chip *c, uint32_t addr);

/* Notes an access that fell through to plain storage. */
void sim_machine_note(struct sim_chip *c, uint32_t addr, int write, uint32_t value);

#endif
