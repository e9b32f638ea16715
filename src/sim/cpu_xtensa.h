/* cpu_xtensa.h - inside the Xtensa processor: LX6, LX7 and LX106 by configuration.
 *
 * From the Xtensa Instruction Set Architecture reference manual; which options a core has, from its public
 * core-isa.h. Region protection and caches have no effect: their instructions do nothing. */
#ifndef SIM_CPU_XTENSA_H
#define SIM_CPU_XTENSA_H

#include "sim/cpu.h"

enum xt_option {
  XT_WINDOWED = 1 << 0,
  XT_LOOPS = 1 << 1,
  XT_MUL32H = 1 << 2,
  XT_DIV32 = 1 << 3,
  XT_MINMAX = 1 << 4, /* and sext, clamps */
  XT_RELEASE = 1 << 5,
  XT_S32C1I = 1 << 6,
  XT_MAC16 = 1 << 7,
  XT_BOOLEAN = 1 << 8,
  XT_THREADPTR = 1 << 9,
  XT_UNALIGNED = 1 << 10, /* loads and stores need no alignment */
  XT_LITBASE = 1 << 11,
  XT_FLOAT = 1 << 12, /* single precision */
  XT_SALT = 1 << 13   /* comparisons into a register */
};

struct xtensa_config {
  const char *name;
  unsigned options;
  uint32_t reset_pc, vecbase;
  uint32_t configid[2];
  uint16_t user, kernel, doubled; /* vectors, from vecbase */
  uint16_t level_vector[8];       /* of interrupt levels 2.. */
  uint8_t levels, excm_level, debug_level, nmi_level;
  uint32_t level_mask[8]; /* interrupts of each level */
  uint32_t edge, software;
  int8_t timer[3]; /* interrupt of each timer, -1 */
  uint8_t misc;    /* MISC registers */
};

enum xt_sr {
  SR_LBEG = 0,
  SR_LEND = 1,
  SR_LCOUNT = 2,
  SR_SAR = 3,
  SR_BR = 4,
  SR_LITBASE = 5,
  SR_SCOMPARE1 = 12,
  SR_ACCLO = 16,
  SR_ACCHI = 17,
  SR_M0 = 32,
  SR_WINDOWBASE = 72,
  SR_WINDOWSTART = 73,
  SR_IBREAKENABLE = 96,
  SR_MEMCTL = 97,
  SR_ATOMCTL = 99,
  SR_DDR = 104,
  SR_CONFIGID0 = 176,
  SR_EPC1 = 177,
  SR_DEPC = 192,
  SR_EPS2 = 194,
  SR_CONFIGID1 = 208,
  SR_EXCSAVE1 = 209,
  SR_CPENABLE = 224,
  SR_INTERRUPT = 226, /* written as intset */
  SR_INTCLEAR = 227,
  SR_INTENABLE = 228,
  SR_PS = 230,
  SR_VECBASE = 231,
  SR_EXCCAUSE = 232,
  SR_DEBUGCAUSE = 233,
  SR_CCOUNT = 234,
  SR_PRID = 235,
  SR_ICOUNT = 236,
  SR_ICOUNTLEVEL = 237,
  SR_EXCVADDR = 238,
  SR_CCOMPARE0 = 240,
  SR_MISC0 = 244
};

enum {
  PS_INTLEVEL = 15,
  PS_EXCM = 1 << 4,
  PS_UM = 1 << 5,
  PS_RING = 3 << 6,
  PS_OWB = 15 << 8,
  PS_CALLINC = 3 << 16,
  PS_WOE = 1 << 18
};

enum xt_cause {
  XT_ILLEGAL = 0,
  XT_SYSCALL = 1,
  XT_FETCH_ERROR = 2,
  XT_LOAD_STORE_ERROR = 3,
  XT_LEVEL1 = 4,
  XT_ALLOCA = 5,
  XT_DIVIDE = 6,
  XT_UNALIGNED_ACCESS = 9,
  XT_FETCH_PROHIBITED = 20,
  XT_LOAD_PROHIBITED = 28,
  XT_STORE_PROHIBITED = 29,
  XT_NO_COPROCESSOR = 32 /* of number 0: floating point */
};

/* The windows are a ring of 16 quarters of 4 registers. a points at the current one; the 12 registers behind
 * ar[63] are the ring's beginning again while the window reaches over its end (see xt_set_window). */
struct xtensa {
  struct cpu cpu; /* first */
  uint32_t *a;
  uint32_t ar[64 + 12];
  uint32_t window;   /* WINDOWBASE */
  uint32_t guard;    /* first quarter, 1..3, that belongs to a caller; 4: none, or no checks */
  uint32_t loop_end; /* LEND while a loop is active, else 0 */
  bool jumped; /* set by every taken branch: one to LEND leaves the loop even from its last instruction */
  uint32_t sr[256];
  uint32_t ur[256];
  uint32_t f[16];
  bool has_sr[256];
  uint32_t latched; /* edge and software interrupts */
  uint32_t prid;
  uint32_t ccount_base; /* CCOUNT = cycles + base */
  uint64_t timer_at[3];
  const struct xtensa_config *config;
};

/* An instruction. match and mask concern 24 bits, or 16 for a narrow one. args has a letter per operand:
 *   r s t     registers by field                     R S T  the same as boolean registers
 *   q p       result in field t, in field s       z    as s, of a call
 *   F G H     floating-point registers by field r, s, t
 *   D Z Q     MAC16 register m0/m1, m2/m3, any    W    not written: imm is the whole word
 * and for each other letter an immediate, see the decoder. */
struct xt_op {
  uint32_t match, mask;
  const char *name, *args;
  void (*run)(struct xtensa *h, const struct cpu_insn *i);
  unsigned needs; /* options */
};

extern const struct xt_op xt_alu_ops[], xt_memory_ops[], xt_flow_ops[], xt_system_ops[], xt_mac_ops[],
    xt_float_ops[];

const struct xt_op *xt_find(const struct xtensa_config *config, uint32_t word);
void xt_decode(const struct xt_op *op, uint32_t word, struct cpu_insn *i);
int xt_print(const struct cpu *c, uint32_t pc, const uint8_t *code, size_t have, char *out, size_t room);
const char *xt_sr_name(unsigned sr);
int xt_sr_find(const char *name);

/* 2 for a narrow instruction, 3, or 4 for the wide ones of LX7 that nobody models. */
static inline unsigned xt_length(uint8_t first) {
  return (first & 15) < 8 ? 3 : (first & 15) < 14 ? 2 : 4;
}

/* Exceptions of the instruction under way: to the guest, or a stop. */
void xt_raise(struct xtensa *h, enum xt_cause cause, enum cpu_fault_code code, int bus_error,
              uint32_t address);
void xt_access_error(struct xtensa *h, uint32_t address, int bus_error, bool write);
void xt_illegal(struct xtensa *h);
/* The callers' registers are in the way of quarter 1..3: PS.EXCM, and on to the overflow vector. */
void xt_overflow(struct xtensa *h);
void xt_underflow(struct xtensa *h, unsigned increment, uint32_t old_window);
void xt_break(struct xtensa *h, uint32_t cause_bit);
bool xt_interrupt(struct cpu *c);

void xt_set_window(struct xtensa *h, uint32_t window);
/* After a change of PS, WINDOWSTART or the window; of LEND, LCOUNT or PS. */
void xt_update_guard(struct xtensa *h);
void xt_update_loop(struct xtensa *h);
void xt_set_ps(struct xtensa *h, uint32_t ps);
uint32_t xt_get_ar(const struct xtensa *h, unsigned n);
void xt_set_ar(struct xtensa *h, unsigned n, uint32_t value);

void xt_find_srs(struct xtensa *h);
/* Special registers; false: this core has none of this number. */
bool xt_read_sr(struct xtensa *h, unsigned sr, uint32_t *value);
bool xt_write_sr(struct xtensa *h, unsigned sr, uint32_t value);
uint32_t xt_pending(const struct xtensa *h);

bool xt_load_slow(struct xtensa *h, uint32_t address, unsigned width, uint32_t *value);
bool xt_store_slow(struct xtensa *h, uint32_t address, unsigned width, uint32_t value);

static inline bool xt_load(struct xtensa *h, uint32_t address, unsigned width, uint32_t *value) {
  return cpu_bus_fast_load(h->cpu.bus, address, width, value) || xt_load_slow(h, address, width, value);
}

static inline bool xt_store(struct xtensa *h, uint32_t address, unsigned width, uint32_t value) {
  return cpu_bus_fast_store(h->cpu.bus, address, width, value) || xt_store_slow(h, address, width, value);
}

static inline void xt_jump(struct xtensa *h, uint32_t target) {
  h->cpu.pc = target;
  h->jumped = true;
  if (target == h->cpu.at)
    cpu_stop(&h->cpu, CPU_IDLE);
}

#define XT_OP(name) static void name(struct xtensa *h, const struct cpu_insn *i)
#define XT_S32(v) ((int32_t)(v))

#endif
