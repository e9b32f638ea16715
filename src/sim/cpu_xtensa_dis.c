/* cpu_xtensa_dis.c - finding, decoding and printing Xtensa instructions, by the tables' operand letters. */
#include "sim/cpu_xtensa.h"
#include "sim/cpu_text.h"

static uint32_t bits(uint32_t w, int high, int low) {
  return w >> low & ((2u << (high - low)) - 1);
}
static int32_t sign(uint32_t v, int width) {
  uint32_t top = 1u << (width - 1);
  return (int32_t)((v ^ top) - top);
}

const struct xt_op *xt_find(const struct xtensa_config *config, uint32_t w) {
  static const struct xt_op *const tables[] = {xt_alu_ops,    xt_memory_ops, xt_flow_ops,
                                               xt_system_ops, xt_mac_ops,    xt_float_ops};
  if (xt_length(w & 0xFF) == 4)
    return NULL;
  w &= xt_length(w & 0xFF) == 2 ? 0xFFFF : 0xFFFFFF;
  for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
    for (const struct xt_op *op = tables[k]; op->name; op++)
      if ((w & op->mask) == op->match)
        return op->needs & ~config->options ? NULL : op;
  return NULL;
}

static int32_t immediate(char letter, uint32_t w) {
  uint32_t r = bits(w, 15, 12), s = bits(w, 11, 8), t = bits(w, 7, 4), imm8 = bits(w, 23, 16);
  /* clang-format off */
  switch (letter) {
  case 'n': return t ? (int32_t)t : -1;
  case 'i': return (int32_t)(((bits(w, 6, 4) << 4 | r) + 32) % 128) - 32;
  case 'm': return sign(s << 8 | imm8, 12);
  case '8': return sign(imm8, 8);
  case 'M': return sign(imm8, 8) * 256;
  case 'l': return 32 - (int32_t)(bits(w, 20, 20) << 4 | t);
  case 'a': return (int32_t)(bits(w, 20, 20) << 4 | s);
  case 'u': case 'I': return (int32_t)s;
  case 'A': return (int32_t)(bits(w, 4, 4) << 4 | s);
  case 'x': return (int32_t)(bits(w, 16, 16) << 4 | s);
  case '0': return (int32_t)t;
  case '7': return (int32_t)t + 7;
  case 'y': return (int32_t)(r << 2);
  case 'L': return (int32_t)(0xFFFC0000 | bits(w, 23, 8) << 2);
  case '1': return (int32_t)imm8;
  case '2': return (int32_t)(imm8 << 1);
  case '4': return (int32_t)(imm8 << 2);
  case 'e': return (int32_t)(r << 2) - 64;
  case 'N': return (int32_t)(bits(w, 5, 4) << 4 | r) + 4;
  case 'w': return sign(bits(w, 23, 12), 12) + 4;
  case 'b': return sign(imm8, 8) + 4;
  case 'o': return (int32_t)imm8 + 4;
  case 'j': return sign(bits(w, 23, 6), 18) + 4;
  case 'c': return sign(bits(w, 23, 6), 18) * 4 + 4;
  case 'E': return (int32_t)(bits(w, 23, 12) << 3);
  case 'O': return sign(t, 4);
  case 'Y': case 'V': return (int32_t)bits(w, 15, 8);
  case 'U': return (int32_t)bits(w, 11, 4);
  default: return 0;
  }
  /* clang-format on */
}

static void use(struct cpu_insn *i, uint32_t reg) {
  if (reg >> 2 > i->top)
    i->top = (uint8_t)(reg >> 2);
}

void xt_decode(const struct xt_op *op, uint32_t w, struct cpu_insn *i) {
  uint8_t r = (uint8_t)bits(w, 15, 12), s = (uint8_t)bits(w, 11, 8), t = (uint8_t)bits(w, 7, 4);
  i->a = i->b = i->c = i->d = i->top = 0, i->imm = 0;
  i->len = (uint8_t)xt_length(w & 0xFF);
  i->run.xtensa = op->run;
  /* clang-format off */
  for (const char *p = op->args; *p; p++)
    switch (*p) {
    case 'r': i->a = r, use(i, r); break;
    case 'q': i->a = t, use(i, t); break;
    case 'p': i->a = s, use(i, s); break;
    case 's': i->b = s, use(i, s); break;
    case 't': i->c = t, use(i, t); break;
    case 'R': case 'F': i->a = r; break;
    case 'S': case 'G': i->b = s; break;
    case 'T': case 'H': i->c = t; break;
    case 'z': i->b = s, i->d = (uint8_t)bits(w, 5, 4), use(i, s), use(i, i->d * 4u); break;
    case 'c': i->d = (uint8_t)bits(w, 5, 4), use(i, i->d * 4u), i->imm = immediate('c', w); break;
    case 'k': case 'K': i->d = r; break;
    case 'X': i->d = (uint8_t)(bits(w, 23, 20) + 1); break;
    case 'B': i->d = (uint8_t)(bits(w, 12, 12) << 4 | t); break;
    case 'J': i->d = t; break;
    case ',': case 'D': case 'Z': case 'Q': break;
    case 'W': i->imm = (int32_t)w; break;
    default: i->imm = immediate(*p, w);
    }
  /* clang-format on */
}

static void put_constant(struct cpu_text *o, unsigned index, bool is_unsigned) {
  static const int plain[16] = {-1, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256};
  cpu_put(o, "%d", is_unsigned && index < 2 ? 32768 << index : plain[index]);
}

static void put_special(struct cpu_text *o, const struct xt_op *op, unsigned number) {
  const char *name = xt_sr_name(number);
  if (number == SR_INTERRUPT && op->name[0] == 'w')
    name = "intset";
  if (name)
    cpu_put(o, ".%s ", name);
  else
    cpu_put(o, ".%u ", number);
}

static void put_user(struct cpu_text *o, unsigned number) {
  static const char *const names[] = {"threadptr", "fcr", "fsr", "f64r_lo", "f64r_hi", "f64s"};
  if (number - 231 < sizeof names / sizeof *names)
    cpu_put(o, ".%s ", names[number - 231]);
  else
    cpu_put(o, ".ur%u ", number);
}

static void put_operand(struct cpu_text *o, char letter, uint32_t pc, uint32_t w, const struct cpu_insn *i) {
  /* clang-format off */
  switch (letter) {
  case 'r': case 'q': case 'p': cpu_put(o, "a%d", i->a); break;
  case 's': case 'z': cpu_put(o, "a%d", i->b); break;
  case 't': cpu_put(o, "a%d", i->c); break;
  case 'R': cpu_put(o, "b%d", i->a); break;
  case 'S': cpu_put(o, "b%d", i->b); break;
  case 'T': cpu_put(o, "b%d", i->c); break;
  case 'F': cpu_put(o, "f%d", i->a); break;
  case 'G': cpu_put(o, "f%d", i->b); break;
  case 'H': cpu_put(o, "f%d", i->c); break;
  case 'k': case 'K': put_constant(o, i->d, letter == 'K'); break;
  case 'X': case 'B': case 'J': cpu_put(o, "%d", i->d); break;
  case 'L': cpu_put(o, "0x%x", (unsigned)(((pc + 3) & ~3u) + (uint32_t)i->imm)); break;
  case 'c': cpu_put(o, "0x%x", (unsigned)((pc & ~3u) + (uint32_t)i->imm)); break;
  case 'N': case 'w': case 'b': case 'o': case 'j': cpu_put(o, "0x%x", (unsigned)(pc + (uint32_t)i->imm)); break;
  case 'D': cpu_put(o, "m%u", (unsigned)bits(w, 14, 14)); break;
  case 'Z': cpu_put(o, "m%u", 2 + (unsigned)bits(w, 6, 6)); break;
  case 'Q': cpu_put(o, "m%u", (unsigned)bits(w, 13, 12)); break;
  case 'Y': case 'U': case 'V': case 'W': break;
  case ',': cpu_put(o, ", "); break;
  default: cpu_put(o, "%d", (int)immediate(letter, w));
  }
  /* clang-format on */
}

int xt_print(const struct cpu *c, uint32_t pc, const uint8_t *code, size_t have, char *text, size_t room) {
  struct cpu_text o = {text, room, 0};
  size_t len = xt_length(code[0]);
  if (have < len) {
    cpu_put(&o, ".byte 0x%02x", code[0]);
    return 1;
  }
  uint32_t w = code[0] | (uint32_t)code[1] << 8 | (len > 2 ? (uint32_t)code[2] << 16 : 0);
  const struct xt_op *op = xt_find(((const struct xtensa *)c)->config, w);
  struct cpu_insn i;
  if (!op) {
    cpu_put(&o, ".byte");
    for (size_t k = 0; k < len; k++)
      cpu_put(&o, "%s0x%02x", k ? ", " : " ", code[k]);
    return (int)len;
  }
  xt_decode(op, w, &i);
  cpu_put(&o, "%s", op->name);
  if (op->args[0] == 'Y')
    put_special(&o, op, (unsigned)i.imm);
  else if (op->args[0] == 'U' || op->args[0] == 'V')
    put_user(&o, (unsigned)i.imm);
  else
    cpu_put(&o, "%s", op->args[0] ? " " : "");
  for (const char *p = op->args; *p; p++)
    put_operand(&o, *p, pc, w, &i);
  return (int)len;
}
