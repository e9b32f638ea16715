/* cpu_rv32.h - inside the RISC-V processor: RV32I, M, A, F, B, C, Zcb, Zcmp, Zcmt, Zicsr, Zifencei, machine
 * mode only. */
#ifndef SIM_CPU_RV32_H
#define SIM_CPU_RV32_H

#include "sim/cpu.h"

enum { RV_SINK = 32 }; /* writes to x0 go to x[32] */

struct rv32 {
  struct cpu cpu; /* first */
  uint32_t x[33];
  uint32_t f[32];
  struct rv32_config config;
  uint8_t level; /* of the interrupt under way, CLIC only */
  bool reserved; /* lr.w was done and nothing was stored since by sc.w */
  uint32_t reservation;
  uint64_t cycle_base, instret_base, counter_base; /* counter = cycles + base */
  uint32_t csr[4096];
};

enum rv_csr {
  CSR_FFLAGS = 0x001,
  CSR_FRM = 0x002,
  CSR_FCSR = 0x003,
  CSR_JVT = 0x017, /* the table of Zcmt */
  CSR_MSTATUS = 0x300,
  CSR_MISA = 0x301,
  CSR_MIE = 0x304,
  CSR_MTVEC = 0x305,
  CSR_MTVT = 0x307, /* the CLIC's */
  CSR_MSCRATCH = 0x340,
  CSR_MEPC = 0x341,
  CSR_MCAUSE = 0x342,
  CSR_MTVAL = 0x343,
  CSR_MIP = 0x344,
  CSR_MINTSTATUS_OLD = 0x346, /* where drafts of the CLIC have it */
  CSR_MINTTHRESH = 0x347,
  CSR_MPCER = 0x7E0, /* Espressif's performance counter: events, mode, count */
  CSR_MPCMR = 0x7E1,
  CSR_MPCCR = 0x7E2,
  CSR_UPCER = 0x800, /* the same for user mode */
  CSR_UPCCR = 0x802,
  CSR_MCYCLE = 0xB00,
  CSR_MINSTRET = 0xB02,
  CSR_MCYCLEH = 0xB80,
  CSR_MINSTRETH = 0xB82,
  CSR_CYCLE = 0xC00,
  CSR_TIME = 0xC01,
  CSR_INSTRET = 0xC02,
  CSR_CYCLEH = 0xC80,
  CSR_TIMEH = 0xC81,
  CSR_INSTRETH = 0xC82,
  CSR_MINTSTATUS = 0xFB1,
  CSR_MVENDORID = 0xF11,
  CSR_MHARTID = 0xF14
};

enum { MSTATUS_MIE = 1 << 3, MSTATUS_MPIE = 1 << 7, MSTATUS_MPP = 3 << 11, MSTATUS_FS = 3 << 13 };
enum { RV_VENDOR = 0x612 }; /* Espressif, as the manuals say */

enum rv_cause {
  RV_FETCH_ALIGN = 0,
  RV_FETCH_FAULT = 1,
  RV_ILLEGAL = 2,
  RV_BREAKPOINT = 3,
  RV_LOAD_ALIGN = 4,
  RV_LOAD_FAULT = 5,
  RV_STORE_ALIGN = 6,
  RV_STORE_FAULT = 7,
  RV_ECALL_M = 11
};

/* An instruction. args has a letter per operand, for decoding and for printing:
 *   d s t r   registers rd rs1 rs2 rs3          D S T R   the same as floating-point registers
 *   j o q     immediate of type I, as offset of a load, of a store       m   rounding mode with its comma
 *   p a u     branch target, jump target, upper immediate                >   shift amount
 *   E Z       CSR, 5-bit immediate              P Q       fence predecessor, successor
 * compressed (16-bit) ones besides:
 *   v         rs2 in bits 6..2                  V         as floating-point register
 *   e f g     rd', rs1' and rs2' as base or source        F   rd' and rs2' as floating-point register
 *   h         rd' that is also rs1'             w         rs1 in bits 11..7
 *   x X       base sp, written sp or (sp)       = Y       not written: rs1 is rd, rd is ra
 *   l N O     list of registers, step of the stack pointer (down, up)
 *   k K       s0..s7 in bits 9..7, in bits 4..2
 *   A B I     offsets of a byte and of a half-word, index into the table
 *   0..9      immediates, see imm_c */
struct rv_op {
  uint32_t match, mask;
  const char *name, *args;
  void (*run)(struct rv32 *h, const struct cpu_insn *i);
};

extern const struct rv_op rv_base[], rv_float[], rv_bits[], rv_compressed[],
    rv_compact[]; /* each ends with a NULL name */

/* The table's entry of an instruction of the given length, or NULL. */
const struct rv_op *rv_find(const struct rv32_config *config, uint32_t word);
/* Operands of word, as op says. */
void rv_decode(const struct rv_op *op, uint32_t word, struct cpu_insn *i);
int rv_print(const struct cpu *c, uint32_t pc, const uint8_t *code, size_t have, char *out, size_t room);
const char *rv_csr_name(unsigned csr);
int rv_csr_find(const char *name);

/* Exception of the instruction under way: to the guest, or a stop. */
void rv_raise(struct rv32 *h, enum rv_cause cause, uint32_t value, enum cpu_fault_code code, int bus_error);
void rv_illegal(struct rv32 *h);
/* Pending interrupts, taken when enabled. */
bool rv_interrupt(struct cpu *c);
void rv_mret(struct rv32 *h);

bool rv_csr_read(struct rv32 *h, unsigned csr, uint32_t *value);
bool rv_csr_write(struct rv32 *h, unsigned csr, uint32_t value);

/* Memory; false: an exception was raised. */
bool rv_load_slow(struct rv32 *h, uint32_t address, unsigned width, uint32_t *value);
bool rv_store_slow(struct rv32 *h, uint32_t address, unsigned width, uint32_t value);

static inline bool rv_load(struct rv32 *h, uint32_t address, unsigned width, uint32_t *value) {
  return cpu_bus_fast_load(h->cpu.bus, address, width, value) || rv_load_slow(h, address, width, value);
}

static inline bool rv_store(struct rv32 *h, uint32_t address, unsigned width, uint32_t value) {
  return cpu_bus_fast_store(h->cpu.bus, address, width, value) || rv_store_slow(h, address, width, value);
}

#define RV_OP(name) static void name(struct rv32 *h, const struct cpu_insn *i)

#endif
