/* cpu_rv32_dis.c - finding, decoding and printing RISC-V instructions, by the tables' operand letters. */
#include "sim/cpu_rv32.h"
#include "sim/cpu_text.h"

static uint32_t bits(uint32_t w, int high, int low) {
  return w >> low & ((2u << (high - low)) - 1);
}
static int32_t sign(uint32_t v, int width) {
  uint32_t top = 1u << (width - 1);
  return (int32_t)((v ^ top) - top);
}

/* Compressed encodings that the manual keeps free (and shifts of 32 and more, which RV32 has not). */
static bool reserved(const struct rv_op *op, uint32_t w) {
  uint32_t rd = bits(w, 11, 7), imm6 = bits(w, 12, 12) << 5 | bits(w, 6, 2);
  switch (op->args[strlen(op->args) - 1]) {
  case '1':
    return imm6 >= 32;
  case '2':
  case '3':
    return imm6 == 0;
  case '6':
    return bits(w, 12, 5) == 0;
  case 'X':
    return op->match == 0x4002 && rd == 0; /* c.lwsp */
  case 'w':
    return rd == 0;
  case 'N':
  case 'O':
    return bits(w, 7, 4) < 4;
  case 'K':
    return op->match == 0xAC22 && bits(w, 9, 7) == bits(w, 4, 2); /* cm.mvsa01 */
  default:
    return false;
  }
}

static const struct rv_op *search(const struct rv_op *op, uint32_t w) {
  while (op->name && (w & op->mask) != op->match)
    op++;
  return op->name ? op : NULL;
}

/* Three of Zcb are there with Zbb only. */
static const struct rv_op *find_compact(const struct rv32_config *config, uint32_t w) {
  const struct rv_op *op = search(rv_compact, w);
  if (!op || reserved(op, w))
    return NULL;
  return !config->bits && op->match >= 0x9C65 && op->match <= 0x9C6D ? NULL : op;
}

const struct rv_op *rv_find(const struct rv32_config *config, uint32_t w) {
  const struct rv_op *op;
  if ((w & 3) == 3) {
    op = search(rv_base, w);
    if (op && (op->match & 0x7F) == 0x2F && !config->atomics)
      return NULL;
    if (!op && config->bits)
      op = search(rv_bits, w);
    return op || !config->floats ? op : search(rv_float, w);
  }
  op = search(rv_compressed, w & 0xFFFF);
  if (op)
    return *op->args && reserved(op, w) ? NULL : op;
  if (config->floats)
    op = search(rv_float, w & 0xFFFF);
  return op || !config->compact ? op : find_compact(config, w & 0xFFFF);
}

/* How far a push or pop moves the stack pointer: whole 16 bytes for the list, and more. */
static int32_t stack_step(uint32_t w) {
  uint32_t list = bits(w, 7, 4), registers = list == 15 ? 13 : list - 3;
  return (int32_t)((4 * registers + 15) / 16 * 16 + 16 * bits(w, 3, 2));
}

/* The immediate that a digit stands for. */
static int32_t imm_c(char letter, uint32_t w) {
  switch (letter) {
  case '0':
    return sign(bits(w, 12, 12) << 5 | bits(w, 6, 2), 6);
  case '1':
    return (int32_t)bits(w, 6, 2);
  case '2':
    return (int32_t)((uint32_t)sign(bits(w, 12, 12) << 5 | bits(w, 6, 2), 6) << 12);
  case '3':
    return sign(bits(w, 12, 12) << 9 | bits(w, 4, 3) << 7 | bits(w, 5, 5) << 6 | bits(w, 2, 2) << 5 |
                    bits(w, 6, 6) << 4,
                10);
  case '4':
    return (int32_t)(bits(w, 3, 2) << 6 | bits(w, 12, 12) << 5 | bits(w, 6, 4) << 2);
  case '5':
    return (int32_t)(bits(w, 8, 7) << 6 | bits(w, 12, 9) << 2);
  case '6':
    return (int32_t)(bits(w, 10, 7) << 6 | bits(w, 12, 11) << 4 | bits(w, 5, 5) << 3 | bits(w, 6, 6) << 2);
  case '7':
    return (int32_t)(bits(w, 5, 5) << 6 | bits(w, 12, 10) << 3 | bits(w, 6, 6) << 2);
  case '8':
    return sign(bits(w, 12, 12) << 8 | bits(w, 6, 5) << 6 | bits(w, 2, 2) << 5 | bits(w, 11, 10) << 3 |
                    bits(w, 4, 3) << 1,
                9);
  default:
    return sign(bits(w, 12, 12) << 11 | bits(w, 8, 8) << 10 | bits(w, 10, 9) << 8 | bits(w, 6, 6) << 7 |
                    bits(w, 7, 7) << 6 | bits(w, 2, 2) << 5 | bits(w, 11, 11) << 4 | bits(w, 5, 3) << 1,
                12);
  }
}

static int32_t immediate(char letter, uint32_t w) {
  switch (letter) {
  case 'j':
  case 'o':
    return sign(w >> 20, 12);
  case 'q':
    return sign(bits(w, 31, 25) << 5 | bits(w, 11, 7), 12);
  case 'p':
    return sign(bits(w, 31, 31) << 12 | bits(w, 7, 7) << 11 | bits(w, 30, 25) << 5 | bits(w, 11, 8) << 1, 13);
  case 'a':
    return sign(bits(w, 31, 31) << 20 | bits(w, 19, 12) << 12 | bits(w, 20, 20) << 11 | bits(w, 30, 21) << 1,
                21);
  case 'u':
    return (int32_t)(w & 0xFFFFF000);
  case '>':
    return (int32_t)bits(w, 24, 20);
  case 'A':
    return (int32_t)(bits(w, 5, 5) << 1 | bits(w, 6, 6));
  case 'B':
    return (int32_t)(bits(w, 5, 5) << 1);
  case 'I':
    return (int32_t)bits(w, 9, 2);
  case 'N':
  case 'O':
    return stack_step(w);
  case 'E':
    return (int32_t)bits(w, 31, 20);
  default:
    return imm_c(letter, w);
  }
}

static uint8_t saved(uint32_t n) {
  return (uint8_t)(n < 2 ? 8 + n : 16 + n);
}

void rv_decode(const struct rv_op *op, uint32_t w, struct cpu_insn *i) {
  uint8_t rd = (uint8_t)bits(w, 11, 7);
  i->a = RV_SINK, i->b = i->c = i->d = i->top = 0, i->imm = 0;
  i->len = (w & 3) == 3 ? 4 : 2;
  i->run.rv32 = op->run;
  /* clang-format off */
  for (const char *p = op->args; *p; p++)
    switch (*p) {
    case 'd': i->a = rd ? rd : RV_SINK; break;
    case 'D': i->a = rd; break;
    case '=': case 'w': i->b = rd; break;
    case 's': case 'S': case 'Z': i->b = (uint8_t)bits(w, 19, 15); break;
    case 't': case 'T': i->c = (uint8_t)bits(w, 24, 20); break;
    case 'R': i->d = (uint8_t)bits(w, 31, 27); break;
    case 'm': i->top = (uint8_t)bits(w, 14, 12); break;
    case 'v': case 'V': i->c = (uint8_t)bits(w, 6, 2); break;
    case 'e': i->a = (uint8_t)(8 + bits(w, 4, 2)); break;
    case 'F': i->a = i->c = (uint8_t)(8 + bits(w, 4, 2)); break;
    case 'f': i->b = (uint8_t)(8 + bits(w, 9, 7)); break;
    case 'g': i->c = (uint8_t)(8 + bits(w, 4, 2)); break;
    case 'h': i->a = i->b = (uint8_t)(8 + bits(w, 9, 7)); break;
    case 'x': case 'X': i->b = 2; break;
    case 'Y': i->a = 1; break;
    case 'l': i->c = (uint8_t)bits(w, 7, 4); break;
    case 'k': i->b = saved(bits(w, 9, 7)); break;
    case 'K': i->c = saved(bits(w, 4, 2)); break;
    case ',': case '(': case ')': case 'P': case 'Q': break;
    default: i->imm = immediate(*p, w);
    }
  /* clang-format on */
}

static const char *const names[] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6", "zero"};
static const char *const fnames[] = {"ft0", "ft1", "ft2",  "ft3",  "ft4", "ft5", "ft6",  "ft7",
                                     "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
                                     "fa6", "fa7", "fs2",  "fs3",  "fs4", "fs5", "fs6",  "fs7",
                                     "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};
static const char *const modes[] = {"rne", "rtz", "rdn", "rup", "rmm", "5", "6"};

static void put_fence(struct cpu_text *o, uint32_t set) {
  cpu_put(o, "%s%s%s%s%s", set ? "" : "0", set & 8 ? "i" : "", set & 4 ? "o" : "", set & 2 ? "r" : "",
          set & 1 ? "w" : "");
}

/* {ra}, {ra,s0}, {ra,s0-s11} */
static void put_list(struct cpu_text *o, unsigned rlist) {
  if (rlist < 6)
    cpu_put(o, rlist == 4 ? "{ra}" : "{ra,s0}");
  else
    cpu_put(o, "{ra,s0-s%u}", rlist == 15 ? 11 : rlist - 5);
}

static void put_operand(struct cpu_text *o, char letter, uint32_t pc, uint32_t w, const struct cpu_insn *i) {
  /* clang-format off */
  switch (letter) {
  case 'd': case 'e': case 'h': cpu_put(o, "%s", names[i->a]); break;
  case 's': case 'w': case 'f': cpu_put(o, "%s", names[i->b]); break;
  case 't': case 'v': case 'g': cpu_put(o, "%s", names[i->c]); break;
  case 'D': case 'F': cpu_put(o, "%s", fnames[i->a]); break;
  case 'S': cpu_put(o, "%s", fnames[i->b]); break;
  case 'T': case 'V': cpu_put(o, "%s", fnames[i->c]); break;
  case 'R': cpu_put(o, "%s", fnames[i->d]); break;
  case 'm':
    if (i->top < 7)
      cpu_put(o, ",%s", modes[i->top]);
    break;
  case 'x': cpu_put(o, "sp"); break;
  case 'X': cpu_put(o, "(sp)"); break;
  case '=': case 'Y': break;
  case 'P': put_fence(o, bits(w, 27, 24)); break;
  case 'Q': put_fence(o, bits(w, 23, 20)); break;
  case 'l': put_list(o, i->c); break;
  case 'k': cpu_put(o, "%s", names[i->b]); break;
  case 'K': cpu_put(o, "%s", names[i->c]); break;
  case 'N': cpu_put(o, "-%d", (int)i->imm); break;
  case 'Z': cpu_put(o, "%u", (unsigned)i->b); break;
  case 'p': case 'a': case '8': case '9': cpu_put(o, "0x%x", (unsigned)(pc + (uint32_t)i->imm)); break;
  case 'u': case '2': cpu_put(o, "0x%x", (unsigned)((uint32_t)i->imm >> 12)); break;
  case '>': case '1': cpu_put(o, "0x%x", (unsigned)i->imm); break;
  case 'E':
    if (rv_csr_name((unsigned)i->imm))
      cpu_put(o, "%s", rv_csr_name((unsigned)i->imm));
    else
      cpu_put(o, "0x%x", (unsigned)i->imm);
    break;
  case ',': case '(': case ')': cpu_put(o, "%c", letter); break;
  default: cpu_put(o, "%d", (int)i->imm);
  }
  /* clang-format on */
}

int rv_print(const struct cpu *c, uint32_t pc, const uint8_t *code, size_t have, char *text, size_t room) {
  struct cpu_text o = {text, room, 0};
  size_t len = (code[0] & 3) == 3 ? 4 : 2;
  if (have < len) {
    cpu_put(&o, ".byte 0x%02x", code[0]);
    return 1;
  }
  uint32_t w = cpu_get_le(code, (unsigned)len);
  const struct rv_op *op = rv_find(&((const struct rv32 *)c)->config, w);
  struct cpu_insn i;
  if (!op) {
    cpu_put(&o, len == 4 ? ".word 0x%08x" : ".half 0x%04x", (unsigned)w);
    return (int)len;
  }
  rv_decode(op, w, &i);
  cpu_put(&o, "%s%s", op->name, *op->args ? " " : "");
  for (const char *p = op->args; *p; p++)
    put_operand(&o, *p, pc, w, &i);
  return (int)len;
}
