/* cpu_rv32_op.c - RV32I, M, A, Zicsr and Zifencei, from the RISC-V instruction set manual. */
#include "sim/cpu_rv32.h"

#define S32(v) ((int32_t)(v))

/* value = f(x, y) for two registers, and for a register and an immediate. */
#define ALU_REG(name, value)                                                                                 \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->x[i->b], y = h->x[i->c];                                                                 \
    h->x[i->a] = (value);                                                                                    \
  }
#define ALU_IMM(name, value)                                                                                 \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->x[i->b], y = (uint32_t)i->imm;                                                           \
    h->x[i->a] = (value);                                                                                    \
  }
#define ALU(name, value) ALU_REG(x_##name, value) ALU_IMM(x_##name##i, value)

static uint32_t shift_right(uint32_t x, uint32_t n) {
  return n ? x >> n | (S32(x) < 0 ? ~0u << (32 - n) : 0) : x;
}

ALU(add, x + y)
ALU(slt, S32(x) < S32(y))
ALU(sltu, x < y)
ALU(xor, x ^ y)
ALU(or, x | y)
ALU(and, x &y)
ALU(sll, x << (y & 31))
ALU(srl, x >> (y & 31))
ALU(sra, shift_right(x, y & 31))
ALU_REG(x_sub, x - y)

static uint32_t divide(uint32_t x, uint32_t y) {
  if (y == 0)
    return UINT32_MAX;
  return x == 0x80000000u && y == UINT32_MAX ? x : (uint32_t)(S32(x) / S32(y));
}

static uint32_t remainder_of(uint32_t x, uint32_t y) {
  if (y == 0)
    return x;
  return x == 0x80000000u && y == UINT32_MAX ? 0 : (uint32_t)(S32(x) % S32(y));
}

ALU_REG(x_mul, x *y)
ALU_REG(x_mulh, (uint32_t)((uint64_t)((int64_t)S32(x) * S32(y)) >> 32))
ALU_REG(x_mulhsu, (uint32_t)((uint64_t)((int64_t)S32(x) * (int64_t)y) >> 32))
ALU_REG(x_mulhu, (uint32_t)((uint64_t)x *y >> 32))
ALU_REG(x_div, divide(x, y))
ALU_REG(x_divu, y ? x / y : UINT32_MAX)
ALU_REG(x_rem, remainder_of(x, y))
ALU_REG(x_remu, y ? x % y : x)

RV_OP(x_lui) {
  h->x[i->a] = (uint32_t)i->imm;
}
RV_OP(x_auipc) {
  h->x[i->a] = h->cpu.at + (uint32_t)i->imm;
}

static inline void jump(struct rv32 *h, uint32_t target) {
  h->cpu.pc = target;
  if (target == h->cpu.at)
    cpu_stop(&h->cpu, CPU_IDLE);
}

RV_OP(x_jal) {
  h->x[i->a] = h->cpu.pc;
  jump(h, h->cpu.at + (uint32_t)i->imm);
}

RV_OP(x_jalr) {
  uint32_t target = (h->x[i->b] + (uint32_t)i->imm) & ~1u;
  h->x[i->a] = h->cpu.pc;
  jump(h, target);
}

#define BRANCH(name, condition)                                                                              \
  RV_OP(name) {                                                                                              \
    uint32_t x = h->x[i->b], y = h->x[i->c];                                                                 \
    if (condition)                                                                                           \
      jump(h, h->cpu.at + (uint32_t)i->imm);                                                                 \
  }
BRANCH(x_beq, x == y)
BRANCH(x_bne, x != y)
BRANCH(x_blt, S32(x) < S32(y))
BRANCH(x_bge, S32(x) >= S32(y))
BRANCH(x_bltu, x < y)
BRANCH(x_bgeu, x >= y)

#define LOAD(name, width, value)                                                                             \
  RV_OP(name) {                                                                                              \
    uint32_t v;                                                                                              \
    if (rv_load(h, h->x[i->b] + (uint32_t)i->imm, width, &v))                                                \
      h->x[i->a] = (value);                                                                                  \
  }
LOAD(x_lb, 1, (v ^ 0x80) - 0x80)
LOAD(x_lh, 2, (v ^ 0x8000) - 0x8000)
LOAD(x_lw, 4, v)
LOAD(x_lbu, 1, v)
LOAD(x_lhu, 2, v)

RV_OP(x_sb) {
  rv_store(h, h->x[i->b] + (uint32_t)i->imm, 1, h->x[i->c] & 0xFF);
}
RV_OP(x_sh) {
  rv_store(h, h->x[i->b] + (uint32_t)i->imm, 2, h->x[i->c] & 0xFFFF);
}
RV_OP(x_sw) {
  rv_store(h, h->x[i->b] + (uint32_t)i->imm, 4, h->x[i->c]);
}

RV_OP(x_fence) {
  (void)h, (void)i;
}
RV_OP(x_ecall) {
  (void)i, rv_raise(h, RV_ECALL_M, 0, CPU_FAULT_CALL, CPU_BUS_OK);
}
RV_OP(x_ebreak) {
  (void)i, rv_raise(h, RV_BREAKPOINT, h->cpu.at, CPU_FAULT_BREAK, CPU_BUS_OK);
}
RV_OP(x_mret) {
  (void)i, rv_mret(h);
}

RV_OP(x_wfi) {
  (void)i;
  h->cpu.waiting = true;
  cpu_look(&h->cpu);
}

/* CSR: reads unless the result goes to x0 (csrrw), writes unless the source is x0 or 0 (csrrs, csrrc). */
static void csr(struct rv32 *h, const struct cpu_insn *i, char how, uint32_t operand) {
  uint32_t old = 0, value = operand;
  unsigned number = (unsigned)i->imm;
  bool reads = how != 'w' || i->a != RV_SINK, writes = how == 'w' || i->b != 0;
  if (reads && !rv_csr_read(h, number, &old)) {
    rv_illegal(h);
    return;
  }
  if (how == 's')
    value = old | operand;
  else if (how == 'c')
    value = old & ~operand;
  if (writes && !rv_csr_write(h, number, value)) {
    rv_illegal(h);
    return;
  }
  h->x[i->a] = old;
}
RV_OP(x_csrrw) {
  csr(h, i, 'w', h->x[i->b]);
}
RV_OP(x_csrrs) {
  csr(h, i, 's', h->x[i->b]);
}
RV_OP(x_csrrc) {
  csr(h, i, 'c', h->x[i->b]);
}
RV_OP(x_csrrwi) {
  csr(h, i, 'w', i->b);
}
RV_OP(x_csrrsi) {
  csr(h, i, 's', i->b);
}
RV_OP(x_csrrci) {
  csr(h, i, 'c', i->b);
}

/* Atomics are never split here: unaligned ones trap on every core. */
static bool amo_aligned(struct rv32 *h, uint32_t address, bool store) {
  if (!(address & 3))
    return true;
  rv_raise(h, store ? RV_STORE_ALIGN : RV_LOAD_ALIGN, address, CPU_FAULT_ALIGN, CPU_BUS_E_ALIGN);
  return false;
}

RV_OP(x_lr) {
  uint32_t address = h->x[i->b], v;
  if (!amo_aligned(h, address, false) || !rv_load(h, address, 4, &v))
    return;
  h->x[i->a] = v;
  h->reserved = true;
  h->reservation = address;
}

RV_OP(x_sc) {
  uint32_t address = h->x[i->b];
  if (!amo_aligned(h, address, true))
    return;
  bool ok = h->reserved && h->reservation == address;
  h->reserved = false;
  if (!ok || rv_store(h, address, 4, h->x[i->c]))
    h->x[i->a] = !ok;
}

#define AMO(name, value)                                                                                     \
  RV_OP(name) {                                                                                              \
    uint32_t address = h->x[i->b], x, y = h->x[i->c];                                                        \
    if (!amo_aligned(h, address, true) || !rv_load(h, address, 4, &x))                                       \
      return;                                                                                                \
    if (rv_store(h, address, 4, (value)))                                                                    \
      h->x[i->a] = x;                                                                                        \
  }
AMO(x_amoswap, y)
AMO(x_amoadd, x + y)
AMO(x_amoxor, x ^ y)
AMO(x_amoand, x &y)
AMO(x_amoor, x | y)
AMO(x_amomin, S32(x) < S32(y) ? x : y)
AMO(x_amomax, S32(x) > S32(y) ? x : y)
AMO(x_amominu, x < y ? x : y)
AMO(x_amomaxu, x > y ? x : y)

#define I_TYPE 0x707F
#define R_TYPE 0xFE00707F
#define L_TYPE 0xFFF0707F
/* Four orderings of one atomic: plain, acquire, release, both. */
#define ORDERED(match, mask, name, args, run)                                                                \
  {match, mask, name, args, run}, {match | 1 << 26, mask, name ".aq", args, run},                            \
      {match | 1 << 25, mask, name ".rl", args, run}, {                                                      \
    match | 3 << 25, mask, name ".aqrl", args, run                                                           \
  }

/* clang-format off */
const struct rv_op rv_base[] = {
    {0x00000037, 0x7F, "lui", "d,u", x_lui},            {0x00000017, 0x7F, "auipc", "d,u", x_auipc},
    {0x0000006F, 0x7F, "jal", "d,a", x_jal},            {0x00000067, I_TYPE, "jalr", "d,o(s)", x_jalr},
    {0x00000063, I_TYPE, "beq", "s,t,p", x_beq},        {0x00001063, I_TYPE, "bne", "s,t,p", x_bne},
    {0x00004063, I_TYPE, "blt", "s,t,p", x_blt},        {0x00005063, I_TYPE, "bge", "s,t,p", x_bge},
    {0x00006063, I_TYPE, "bltu", "s,t,p", x_bltu},      {0x00007063, I_TYPE, "bgeu", "s,t,p", x_bgeu},
    {0x00000003, I_TYPE, "lb", "d,o(s)", x_lb},         {0x00001003, I_TYPE, "lh", "d,o(s)", x_lh},
    {0x00002003, I_TYPE, "lw", "d,o(s)", x_lw},         {0x00004003, I_TYPE, "lbu", "d,o(s)", x_lbu},
    {0x00005003, I_TYPE, "lhu", "d,o(s)", x_lhu},       {0x00000023, I_TYPE, "sb", "t,q(s)", x_sb},
    {0x00001023, I_TYPE, "sh", "t,q(s)", x_sh},         {0x00002023, I_TYPE, "sw", "t,q(s)", x_sw},
    {0x00000013, I_TYPE, "addi", "d,s,j", x_addi},      {0x00002013, I_TYPE, "slti", "d,s,j", x_slti},
    {0x00003013, I_TYPE, "sltiu", "d,s,j", x_sltui},    {0x00004013, I_TYPE, "xori", "d,s,j", x_xori},
    {0x00006013, I_TYPE, "ori", "d,s,j", x_ori},        {0x00007013, I_TYPE, "andi", "d,s,j", x_andi},
    {0x00001013, R_TYPE, "slli", "d,s,>", x_slli},      {0x00005013, R_TYPE, "srli", "d,s,>", x_srli},
    {0x40005013, R_TYPE, "srai", "d,s,>", x_srai},      {0x00000033, R_TYPE, "add", "d,s,t", x_add},
    {0x40000033, R_TYPE, "sub", "d,s,t", x_sub},        {0x00001033, R_TYPE, "sll", "d,s,t", x_sll},
    {0x00002033, R_TYPE, "slt", "d,s,t", x_slt},        {0x00003033, R_TYPE, "sltu", "d,s,t", x_sltu},
    {0x00004033, R_TYPE, "xor", "d,s,t", x_xor},        {0x00005033, R_TYPE, "srl", "d,s,t", x_srl},
    {0x40005033, R_TYPE, "sra", "d,s,t", x_sra},        {0x00006033, R_TYPE, "or", "d,s,t", x_or},
    {0x00007033, R_TYPE, "and", "d,s,t", x_and},        {0x02000033, R_TYPE, "mul", "d,s,t", x_mul},
    {0x02001033, R_TYPE, "mulh", "d,s,t", x_mulh},      {0x02002033, R_TYPE, "mulhsu", "d,s,t", x_mulhsu},
    {0x02003033, R_TYPE, "mulhu", "d,s,t", x_mulhu},    {0x02004033, R_TYPE, "div", "d,s,t", x_div},
    {0x02005033, R_TYPE, "divu", "d,s,t", x_divu},      {0x02006033, R_TYPE, "rem", "d,s,t", x_rem},
    {0x02007033, R_TYPE, "remu", "d,s,t", x_remu},
    {0x8330000F, 0xFFF0707F, "fence.tso", "", x_fence}, {0x0000000F, I_TYPE, "fence", "P,Q", x_fence},
    {0x0000100F, I_TYPE, "fence.i", "", x_fence},       {0x00000073, UINT32_MAX, "ecall", "", x_ecall},
    {0x00100073, UINT32_MAX, "ebreak", "", x_ebreak},   {0x30200073, UINT32_MAX, "mret", "", x_mret},
    {0x10500073, UINT32_MAX, "wfi", "", x_wfi},         {0x00001073, I_TYPE, "csrrw", "d,E,s", x_csrrw},
    {0x00002073, I_TYPE, "csrrs", "d,E,s", x_csrrs},    {0x00003073, I_TYPE, "csrrc", "d,E,s", x_csrrc},
    {0x00005073, I_TYPE, "csrrwi", "d,E,Z", x_csrrwi},  {0x00006073, I_TYPE, "csrrsi", "d,E,Z", x_csrrsi},
    {0x00007073, I_TYPE, "csrrci", "d,E,Z", x_csrrci},
    ORDERED(0x1000202F, L_TYPE, "lr.w", "d,(s)", x_lr),         ORDERED(0x1800202F, R_TYPE, "sc.w", "d,t,(s)", x_sc),
    ORDERED(0x0800202F, R_TYPE, "amoswap.w", "d,t,(s)", x_amoswap), ORDERED(0x0000202F, R_TYPE, "amoadd.w", "d,t,(s)", x_amoadd),
    ORDERED(0x2000202F, R_TYPE, "amoxor.w", "d,t,(s)", x_amoxor),   ORDERED(0x6000202F, R_TYPE, "amoand.w", "d,t,(s)", x_amoand),
    ORDERED(0x4000202F, R_TYPE, "amoor.w", "d,t,(s)", x_amoor),     ORDERED(0x8000202F, R_TYPE, "amomin.w", "d,t,(s)", x_amomin),
    ORDERED(0xA000202F, R_TYPE, "amomax.w", "d,t,(s)", x_amomax),   ORDERED(0xC000202F, R_TYPE, "amominu.w", "d,t,(s)", x_amominu),
    ORDERED(0xE000202F, R_TYPE, "amomaxu.w", "d,t,(s)", x_amomaxu), {0, 0, NULL, NULL, NULL}};

/* Compressed instructions are shorter spellings; a hint (a write to x0) runs as what it spells. */
const struct rv_op rv_compressed[] = {
    {0x0000, 0xFFFF, "c.unimp", "", NULL},              {0x0000, 0xE003, "c.addi4spn", "e,x,6", x_addi},
    {0x4000, 0xE003, "c.lw", "e,7(f)", x_lw},           {0xC000, 0xE003, "c.sw", "g,7(f)", x_sw},
    {0x0001, 0xFFFF, "c.nop", "", x_addi},              {0x0001, 0xE003, "c.addi", "d=,0", x_addi},
    {0x2001, 0xE003, "c.jal", "Y9", x_jal},             {0x4001, 0xE003, "c.li", "d,0", x_addi},
    {0x6101, 0xEF83, "c.addi16sp", "d=,3", x_addi},     {0x6001, 0xE003, "c.lui", "d,2", x_lui},
    {0x8001, 0xFC03, "c.srli", "h,1", x_srli},          {0x8401, 0xFC03, "c.srai", "h,1", x_srai},
    {0x8801, 0xEC03, "c.andi", "h,0", x_andi},          {0x8C01, 0xFC63, "c.sub", "h,g", x_sub},
    {0x8C21, 0xFC63, "c.xor", "h,g", x_xor},            {0x8C41, 0xFC63, "c.or", "h,g", x_or},
    {0x8C61, 0xFC63, "c.and", "h,g", x_and},            {0xA001, 0xE003, "c.j", "9", x_jal},
    {0xC001, 0xE003, "c.beqz", "f,8", x_beq},           {0xE001, 0xE003, "c.bnez", "f,8", x_bne},
    {0x0002, 0xF003, "c.slli", "d=,1", x_slli},         {0x4002, 0xE003, "c.lwsp", "d,4X", x_lw},
    {0x9002, 0xFFFF, "c.ebreak", "", x_ebreak},         {0x8002, 0xF07F, "c.jr", "w", x_jalr},
    {0x9002, 0xF07F, "c.jalr", "Yw", x_jalr},           {0x8002, 0xF003, "c.mv", "d,v", x_add},
    {0x9002, 0xF003, "c.add", "d=,v", x_add},           {0xC002, 0xE003, "c.swsp", "v,5X", x_sw},
    {0, 0, NULL, NULL, NULL}};
