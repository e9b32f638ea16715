/* cpu.h - a simulated processor, whatever its instruction set.
 *
 * A processor belongs to one thread at a time, like the bus it is on. Every instruction costs one cycle.
 * Guest code cannot do anything but change its own state and what the bus lets it reach. */
#ifndef SIM_CPU_H
#define SIM_CPU_H

#include "sim/cpu_bus.h"

struct cpu;
struct cpu_insn;

/* Why cpu_run came back. */
enum cpu_stop {
  CPU_BUDGET, /* the instructions asked for were executed */
  CPU_IDLE,   /* waits for an interrupt, or jumps to itself: nothing happens before time passes */
  CPU_FAULT,  /* see cpu->fault; pc is at the instruction that failed */
  CPU_YIELD   /* a peripheral asked for it; pc is after the access */
};

enum cpu_fault_code {
  CPU_FAULT_NONE,
  CPU_FAULT_FETCH,   /* code where there is none, or that may not be executed */
  CPU_FAULT_READ,    /* nothing there, or not readable */
  CPU_FAULT_WRITE,   /* nothing there, or not writable */
  CPU_FAULT_ALIGN,   /* the core traps this unaligned access */
  CPU_FAULT_WIDTH,   /* the memory takes whole words only */
  CPU_FAULT_DEVICE,  /* a peripheral refused */
  CPU_FAULT_ILLEGAL, /* no such instruction, or not on this core */
  CPU_FAULT_BREAK,   /* break instruction, nobody to handle it */
  CPU_FAULT_CALL,    /* system call, nobody to handle it */
  CPU_FAULT_DIVIDE,  /* division by zero on a core that traps it */
  CPU_FAULT_WINDOW   /* register windows in a state that cannot be */
};

struct cpu_fault {
  enum cpu_fault_code code;
  enum cpu_bus_error bus; /* what the bus said; CPU_BUS_OK when it was not asked */
  uint32_t address;       /* of the access, or the instruction itself for CPU_FAULT_ILLEGAL */
  uint32_t pc;
};

/* What an interrupt controller offers to a RISC-V core: the number that mcause will show. Level and vectored
 * are for cores with a CLIC: taken when level is above the current one and above mintthresh; vectored through
 * mtvt. */
struct cpu_irq {
  uint16_t id;
  uint8_t level;
  bool vectored;
};

/* What an instruction set provides. */
struct cpu_ops {
  const char *name;
  void (*reset)(struct cpu *c);
  void (*run)(struct cpu *c);       /* until cycles reaches limit */
  bool (*interrupt)(struct cpu *c); /* looks at timers and lines; true: one is pending that ends a wait */
  uint64_t (*next_event)(const struct cpu *c); /* cycles value at which a timer of the core acts */
  int (*find)(const char *name);               /* register number, or -1 */
  const char *(*reg_name)(int reg);            /* NULL: no such register */
  uint32_t (*get)(const struct cpu *c, int reg);
  void (*set)(struct cpu *c, int reg, uint32_t value);
  int (*print)(const struct cpu *c, uint32_t pc, const uint8_t *code, size_t have, char *out, size_t room);
  int shown;       /* registers 0..shown-1 appear in cpu_describe */
  int file, files; /* the whole register file: numbers file..file+files-1 */
};

/* One decoded instruction. Operand fields mean what the instruction set wants them to mean. */
struct rv32;
struct xtensa;
struct cpu_insn {
  uint32_t tag; /* frame and offset that it was decoded from */
  int32_t imm;
  union {
    void (*rv32)(struct rv32 *h, const struct cpu_insn *i);
    void (*xtensa)(struct xtensa *h, const struct cpu_insn *i);
  } run;
  uint8_t a, b, c, d;
  uint8_t len, top; /* bytes; highest register quarter used (Xtensa) */
};

enum { CPU_CACHE_SIZE = 16384 };

struct cpu {
  const struct cpu_ops *ops;
  struct cpu_bus *bus;
  uint32_t pc;
  uint32_t at;     /* the instruction under way */
  uint64_t cycles; /* time base, counts instructions; may be set forward between runs (sleep) */
  uint64_t limit;  /* run returns when cycles reaches it */
  uint32_t lines;  /* interrupt inputs, one bit each: cpu_lines */
  uint32_t raised; /* inputs that rose since the core looked */
  /* RISC-V: a controller in front of the core. It stores the first of what is pending and enabled and returns
   * true, or returns false. Called often: when something changes it calls cpu_look. Without one, lines count.
   */
  bool (*choose)(void *ctx, struct cpu *c, struct cpu_irq *irq);
  void *choose_ctx;
  bool guest_exceptions; /* deliver exceptions to guest code instead of stopping with CPU_FAULT */
  bool waiting;          /* inside wfi or waiti */
  bool stopped;
  enum cpu_stop stop;
  struct cpu_fault fault;
  /* Called before every instruction, with pc at it. Without a hook it costs nothing. */
  void (*hook)(void *ctx, struct cpu *c);
  void *hook_ctx;
  /* private */
  uint32_t fetch_page, fetch_delta, epoch;
  struct cpu_insn *cache;
};

/* All of them: NULL when there is no memory. bus is the caller's and outlives the processor. */
struct rv32_config {
  uint32_t hart;
  uint32_t reset_pc;
  bool atomics, floats;
  bool bits;      /* Zba, Zbb, Zbs */
  bool compact;   /* Zcb, Zcmp, Zcmt */
  bool unaligned; /* loads and stores need no alignment */
  bool mie;       /* interrupts are enabled by mie and standard; else lines come gated from a controller */
  bool clic;      /* mtvec mode 3, levels, mtvt */
};
struct cpu *cpu_new_rv32(struct cpu_bus *bus, const struct rv32_config *config);

struct xtensa_config;
extern const struct xtensa_config xtensa_lx106, xtensa_esp32, xtensa_esp32s2, xtensa_esp32s3;
struct cpu *cpu_new_xtensa(struct cpu_bus *bus, const struct xtensa_config *config, uint32_t prid);

void cpu_free(struct cpu *c);

/* To the state after power-on; cycles go on. */
void cpu_reset(struct cpu *c);

enum cpu_stop cpu_run(struct cpu *c, uint64_t instructions);

/* Sets the interrupt inputs. May be called from a peripheral's callback. */
void cpu_lines(struct cpu *c, uint32_t lines);

/* The cycles value of the next event inside the core (its timers), UINT64_MAX for none. */
uint64_t cpu_next_event(const struct cpu *c);

/* Registers by number: the general ones from 0, then what cpu_find knows by name ("pc", "mcause", "ps"). */
enum { CPU_REG_PC = 0x10000 };
int cpu_find(const struct cpu *c, const char *name);
const char *cpu_reg_name(const struct cpu *c, int reg);
uint32_t cpu_get(const struct cpu *c, int reg);
void cpu_set(struct cpu *c, int reg, uint32_t value);

/* Writes one instruction as text. Returns its length in bytes; 0 where there is no code. An unknown one comes
 * out as ".byte"s or ".word" with the length the processor would take. */
int cpu_disassemble(struct cpu *c, uint32_t pc, char *out, size_t room);

/* Fault, instruction and registers as lines of text. Returns what snprintf would. */
int cpu_describe(struct cpu *c, char *out, size_t room);
const char *cpu_fault_text(const struct cpu_fault *f);

/* For the instruction sets. */

bool cpu_init(struct cpu *c, const struct cpu_ops *ops, struct cpu_bus *bus);
void cpu_flush(struct cpu *c);

/* Makes cpu_run come back with this reason as soon as the instruction is over. */
void cpu_stop(struct cpu *c, enum cpu_stop why);
void cpu_stop_fault(struct cpu *c, enum cpu_fault_code code, int bus_error, uint32_t address);

/* Lets run return, so that interrupts and the map are looked at. */
static inline void cpu_look(struct cpu *c) {
  c->limit = 0;
}

/* Accesses that are not plain: peripherals, unaligned ones (taken apart when allowed), code. */
int cpu_load_slow(struct cpu *c, uint32_t address, unsigned width, bool unaligned, uint32_t *value);
int cpu_store_slow(struct cpu *c, uint32_t address, unsigned width, bool unaligned, uint32_t value);
enum cpu_fault_code cpu_fault_of(int bus_error, bool write);

/* Enters the page of pc; an error when there is no code. Then fetch_delta + pc is the tag of an instruction.
 */
int cpu_enter(struct cpu *c, uint32_t pc);

/* The bytes of the instruction at pc, at most room, and marks the page as code. Returns how many. */
size_t cpu_fetch(struct cpu *c, uint32_t pc, uint8_t *out, size_t room);

static inline struct cpu_insn *cpu_slot(struct cpu *c, uint32_t tag) {
  return &c->cache[(tag >> 1) & (CPU_CACHE_SIZE - 1)];
}

#endif
