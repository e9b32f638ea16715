/* core.h - the processor of the simulated chip, and the program that it runs.
 *
 * A program is started by the loader (MEM_END) or by the boot from flash. While it runs, the loader is silent
 * and the program has the UART and all other peripherals. It ends by a reset, or by a fault: then the chip is
 * silent until it is reset.
 *
 * Every instruction takes one cycle of the CPU clock. On a paced line the processor keeps to its clock:
 * program and line see the same time, which may lag behind the caller's when that is slow, and catches up
 * when the program waits. Otherwise it runs as fast as the caller lets it, as long as it has to do with its
 * peripherals; a program that does not keeps to its clock. One that only asks for input sleeps, see
 * sim_core_idle. */
#ifndef SIM_CORE_H
#define SIM_CORE_H

#include "sim/cpu.h"

struct sim_chip;

enum { SIM_TRAPS = 12, SIM_FAULT_TEXT = 2048, SIM_SECOND_PARTS = 3, SIM_OP_SECOND_CORE = 1 };

/* The kinds of processors; NONE: code is not run. */
enum {
  SIM_CPU_NONE,
  SIM_CPU_RV32IMC,
  SIM_CPU_RV32IMAC,
  SIM_CPU_RV32IMAFC,
  SIM_CPU_RV32IMAFC_ZC,  /* and Zcb, Zcmp, Zcmt */
  SIM_CPU_RV32IMAFCB_ZC, /* and Zba, Zbb, Zbs */
  SIM_CPU_LX106,
  SIM_CPU_ESP32,
  SIM_CPU_ESP32S2,
  SIM_CPU_ESP32S3
};

static inline int sim_core_is_riscv(int kind) {
  return kind < SIM_CPU_LX106;
}

/* Functions of the mask ROM that are there without its code. */
enum {
  SIM_TRAP_ATTACH,          /* (pads): switches the flash to the SPI pins */
  SIM_TRAP_NOTHING,         /* sets up what is not modelled; returns 0 */
  SIM_TRAP_WRITE_ENCRYPTED, /* (address, bytes, n) */
  SIM_TRAP_SECURITY_INFO,   /* (?, ?, where to) */
  SIM_TRAP_UART_DEVICE,     /* returns a structure; the link in use is at 0x18 */
  SIM_TRAP_RESET,
  SIM_TRAP_BOOT,     /* goes on as after a reset with the boot pin high */
  SIM_TRAP_USB_READ, /* USB-OTG: (device, where to, n), returns how many */
  SIM_TRAP_USB_WRITE, /* (device, bytes, n), returns how many */
  SIM_TRAP_PRINT      /* (format, ...): printf on the UART */
};

struct sim_trap {
  uint32_t addr;
  int kind;
};

struct sim_core_layout {
  int kind;       /* SIM_CPU_... */
  double clock;   /* Hz */
  uint32_t stack; /* where the stack pointer is when a program starts */
  struct sim_trap trap[SIM_TRAPS];
  int traps;
  uint32_t reset_addr, reset_mask; /* software reset; addr 0: none */
  struct {
    uint32_t addr, mask, value;
  } second[SIM_SECOND_PARTS]; /* registers as they are when the second core is let go; it is not simulated */
  int seconds;
};

struct sim_core {
  struct cpu *cpu; /* NULL: no program runs */
  struct cpu_bus *bus;
  struct cpu_bus_device device;
  double time; /* seconds since the program was started, by its own clock */
  double from; /* the chip's time at cycle from_cycle */
  uint64_t from_cycle, active_cycle;
  uint64_t work;              /* cycles that peripherals took, to be added */
  int polls;                  /* questions for input in a row */
  int naps;                   /* sleeps in a row */
  double ran;                 /* up to when it was let run */
  double asleep;              /* until then; < 0: awake */
  int second;                 /* the program has let the second core go */
  int wants;                  /* what is to happen after the instruction under way */
  int bite;                   /* cause of the reset by a watchdog */
  uint64_t accesses;          /* to peripherals */
  uint64_t asked;             /* accesses when it last asked for input in vain */
  uint64_t quiet;             /* accesses when the processor was looked at last */
  uint64_t executed;          /* instructions, of all programs */
  char fault[SIM_FAULT_TEXT]; /* why the last program was stopped; "": it was not */
};

/* Starts a program. Nothing happens on a chip whose processor is not modelled. */
void sim_core_start(struct sim_chip *c, uint32_t entry);

/* Lets the processor begin at its reset vector, as after power-on: the ROM's own code is there. */
void sim_core_power(struct sim_chip *c, uint32_t vector);
void sim_core_stop(struct sim_chip *c);

/* Goes on with a processor as it was: cpu is a copy of its structure, which was at was. Memory and the rest
 * of the chip are as they were already. Returns 0 or -1. */
int sim_core_resume(struct sim_chip *c, const void *cpu, const void *was);

/* Loads the image at the bootloader's place into RAM. Returns whether it is whole; *entry is where it starts.
 */
int sim_core_load(struct sim_chip *c, uint32_t *entry);

/* Runs what is due by c->now, at most some milliseconds of host time. */
void sim_core_run(struct sim_chip *c);

/* When sim_core_run is to be called again; < 0: no program runs. */
double sim_core_next(struct sim_chip *c);

/* The time that the line sees. */
double sim_core_time(const struct sim_chip *c);

/* For the peripherals: the host had work for so many cycles; they pass before the next instruction. */
void sim_core_work(struct sim_chip *c, uint64_t cycles);

/* For the peripherals: something was done; or the program asked for what is not there. After some hundred
 * questions in a row it sleeps, longer every time, until a byte arrives. */
void sim_core_active(struct sim_chip *c);
void sim_core_idle(struct sim_chip *c);

/* core_map.c: the address space as the processor sees it. Returns 0 or -1. */
int sim_core_map(struct sim_chip *c);

/* core_rom.c: puts traps where functions of the ROM begin, on the page at addr; what they do. sim_core_trap
 * returns 0 when there is no function at the processor's address. */
void sim_core_set_traps(struct sim_chip *c, uint32_t addr, uint8_t *page);
int sim_core_trap(struct sim_chip *c);
int sim_core_in_rom(const struct sim_chip *c, uint32_t addr);

enum { SIM_WANTS_NOTHING, SIM_WANTS_RESET, SIM_WANTS_BOOT, SIM_WANTS_BITE };
void sim_core_want(struct sim_chip *c, int what);

#endif
