-- Results worked out from the RISC-V instruction set manual (volume I and II); encodings by the GNU assembler.
-- The table of spellings is what GNU objdump (-M no-aliases) makes of random operands.
local cpu = require "esp.core.cpu"
local support = require "spec.support.cpu"

local CODE, DATA = support.CODE, support.DATA

-- instruction, bytes, registers before, registers after; w0 and w4 are the words that a1 points at
local CASES = {
  -- integer, registers
  { "add a0,a1,a2", "3385c500", { a1 = 0x7FFFFFFF, a2 = 0x1 }, { a0 = 0x80000000 } },
  { "add zero,a1,a2", "3380c500", { a1 = 0x1, a2 = 0x1 }, { zero = 0x0 } },
  { "sub a0,a1,a2", "3385c540", { a1 = 0x0, a2 = 0x1 }, { a0 = 0xFFFFFFFF } },
  { "sub a0,a1,a2", "3385c540", { a1 = 0x80000000, a2 = 0x1 }, { a0 = 0x7FFFFFFF } },
  { "sll a0,a1,a2", "3395c500", { a1 = 0x80000001, a2 = 0x21 }, { a0 = 0x2 } },
  { "sll a0,a1,a2", "3395c500", { a1 = 0x1, a2 = 0x1F }, { a0 = 0x80000000 } },
  { "srl a0,a1,a2", "33d5c500", { a1 = 0x80000000, a2 = 0x1F }, { a0 = 0x1 } },
  { "srl a0,a1,a2", "33d5c500", { a1 = 0x80000000, a2 = 0x20 }, { a0 = 0x80000000 } },
  { "sra a0,a1,a2", "33d5c540", { a1 = 0x80000000, a2 = 0x1F }, { a0 = 0xFFFFFFFF } },
  { "sra a0,a1,a2", "33d5c540", { a1 = 0x80000000, a2 = 0xE0 }, { a0 = 0x80000000 } },
  { "sra a0,a1,a2", "33d5c540", { a1 = 0x40000000, a2 = 0x1E }, { a0 = 0x1 } },
  { "slt a0,a1,a2", "33a5c500", { a1 = 0x80000000, a2 = 0x7FFFFFFF }, { a0 = 0x1 } },
  { "slt a0,a1,a2", "33a5c500", { a1 = 0x5, a2 = 0x5 }, { a0 = 0x0 } },
  { "sltu a0,a1,a2", "33b5c500", { a1 = 0x80000000, a2 = 0x7FFFFFFF }, { a0 = 0x0 } },
  { "sltu a0,zero,a2", "3335c000", { a2 = 0x1 }, { a0 = 0x1 } },
  { "xor a0,a1,a2", "33c5c500", { a1 = 0xF0F0F0F0, a2 = 0xFFFF0000 }, { a0 = 0xF0FF0F0 } },
  { "or a0,a1,a2", "33e5c500", { a1 = 0xF0F0F0F0, a2 = 0xFFFF0000 }, { a0 = 0xFFFFF0F0 } },
  { "and a0,a1,a2", "33f5c500", { a1 = 0xF0F0F0F0, a2 = 0xFFFF0000 }, { a0 = 0xF0F00000 } },
  -- integer, immediates
  { "addi a0,a1,-2048", "13850580", { a1 = 0x0 }, { a0 = 0xFFFFF800 } },
  { "addi a0,a1,2047", "1385f57f", { a1 = 0xFFFFFFFF }, { a0 = 0x7FE } },
  { "slti a0,a1,-1", "13a5f5ff", { a1 = 0xFFFFFFFE }, { a0 = 0x1 } },
  { "slti a0,a1,-1", "13a5f5ff", { a1 = 0x0 }, { a0 = 0x0 } },
  { "sltiu a0,a1,-1", "13b5f5ff", { a1 = 0xFFFFFFFE }, { a0 = 0x1 } },
  { "sltiu a0,a1,1", "13b51500", { a1 = 0x0 }, { a0 = 0x1 } },
  { "xori a0,a1,-1", "13c5f5ff", { a1 = 0x12345678 }, { a0 = 0xEDCBA987 } },
  { "ori a0,a1,-2048", "13e50580", { a1 = 0x7FF }, { a0 = 0xFFFFFFFF } },
  { "andi a0,a1,0x7f0", "13f5057f", { a1 = 0xFFFFFFFF }, { a0 = 0x7F0 } },
  { "slli a0,a1,31", "1395f501", { a1 = 0x3 }, { a0 = 0x80000000 } },
  { "srli a0,a1,31", "13d5f501", { a1 = 0xFFFFFFFF }, { a0 = 0x1 } },
  { "srai a0,a1,31", "13d5f541", { a1 = 0x80000000 }, { a0 = 0xFFFFFFFF } },
  { "srai a0,a1,4", "13d54540", { a1 = 0x7FFFFFFF }, { a0 = 0x7FFFFFF } },
  { "lui a0,0xfffff", "7d75", {}, { a0 = 0xFFFFF000 } },
  { "lui a0,0xfffff, not compressed", "37f5ffff", {}, { a0 = 0xFFFFF000 } },
  { "lui zero,1", "37100000", {}, { zero = 0x0 } },
  { "auipc a0,0", "17050000", {}, { a0 = 0x40000000 } },
  { "auipc a0,0xfffff", "17f5ffff", {}, { a0 = 0x3FFFF000 } },
  -- multiplication and division
  { "mul a0,a1,a2", "3385c502", { a1 = 0xFFFFFFFF, a2 = 0xFFFFFFFF }, { a0 = 0x1 } },
  { "mul a0,a1,a2", "3385c502", { a1 = 0x10000, a2 = 0x10000 }, { a0 = 0x0 } },
  { "mulh a0,a1,a2", "3395c502", { a1 = 0x80000000, a2 = 0x80000000 }, { a0 = 0x40000000 } },
  { "mulh a0,a1,a2", "3395c502", { a1 = 0xFFFFFFFF, a2 = 0xFFFFFFFF }, { a0 = 0x0 } },
  { "mulh a0,a1,a2", "3395c502", { a1 = 0xFFFFFFFF, a2 = 0x1 }, { a0 = 0xFFFFFFFF } },
  { "mulhsu a0,a1,a2", "33a5c502", { a1 = 0xFFFFFFFF, a2 = 0xFFFFFFFF }, { a0 = 0xFFFFFFFF } },
  { "mulhsu a0,a1,a2", "33a5c502", { a1 = 0x80000000, a2 = 0xFFFFFFFF }, { a0 = 0x80000000 } },
  { "mulhsu a0,a1,a2", "33a5c502", { a1 = 0x7FFFFFFF, a2 = 0xFFFFFFFF }, { a0 = 0x7FFFFFFE } },
  { "mulhu a0,a1,a2", "33b5c502", { a1 = 0xFFFFFFFF, a2 = 0xFFFFFFFF }, { a0 = 0xFFFFFFFE } },
  { "div a0,a1,a2", "33c5c502", { a1 = 0xFFFFFFF9, a2 = 0x2 }, { a0 = 0xFFFFFFFD } },
  { "div a0,a1,a2", "33c5c502", { a1 = 0x80000000, a2 = 0xFFFFFFFF }, { a0 = 0x80000000 } },
  { "div a0,a1,a2", "33c5c502", { a1 = 0x5, a2 = 0x0 }, { a0 = 0xFFFFFFFF } },
  { "divu a0,a1,a2", "33d5c502", { a1 = 0xFFFFFFF9, a2 = 0x2 }, { a0 = 0x7FFFFFFC } },
  { "divu a0,a1,a2", "33d5c502", { a1 = 0x0, a2 = 0x0 }, { a0 = 0xFFFFFFFF } },
  { "rem a0,a1,a2", "33e5c502", { a1 = 0xFFFFFFF9, a2 = 0x2 }, { a0 = 0xFFFFFFFF } },
  { "rem a0,a1,a2", "33e5c502", { a1 = 0x80000000, a2 = 0xFFFFFFFF }, { a0 = 0x0 } },
  { "rem a0,a1,a2", "33e5c502", { a1 = 0xFFFFFFFB, a2 = 0x0 }, { a0 = 0xFFFFFFFB } },
  { "remu a0,a1,a2", "33f5c502", { a1 = 0xFFFFFFF9, a2 = 0x2 }, { a0 = 0x1 } },
  { "remu a0,a1,a2", "33f5c502", { a1 = 0x7, a2 = 0x0 }, { a0 = 0x7 } },
  -- loads and stores; a1 points at 11 22 33 84 | F5 66 77 88
  { "lb a0,3(a1)", "03853500", {}, { a0 = 0xFFFFFF84 } },
  { "lb a0,2(a1)", "03852500", {}, { a0 = 0x33 } },
  { "lbu a0,3(a1)", "03c53500", {}, { a0 = 0x84 } },
  { "lh a0,2(a1)", "03952500", {}, { a0 = 0xFFFF8433 } },
  { "lh a0,0(a1)", "03950500", {}, { a0 = 0x2211 } },
  { "lhu a0,2(a1)", "03d52500", {}, { a0 = 0x8433 } },
  { "lw a0,0(a1)", "8841", {}, { a0 = 0x84332211 } },
  { "lw a0,-4(a2)", "0325c6ff", { a2 = 0x40002008 }, { a0 = 0x887766F5 } },
  { "lw zero,0(a1)", "03a00500", {}, { zero = 0x0 } },
  { "sb a3,1(a1)", "a380d500", { a3 = 0xABCDEF }, { w0 = 0x8433EF11 } },
  { "sh a3,2(a1)", "2391d500", { a3 = 0xABCDEF }, { w0 = 0xCDEF2211 } },
  { "sw a3,4(a1)", "d4c1", { a3 = 0xDEADBEEF }, { w4 = 0xDEADBEEF } },
  { "sw a3,-4(a2)", "232ed6fe", { a2 = 0x40002004, a3 = 0xDEADBEEF }, { w0 = 0xDEADBEEF } },
  -- jumps and branches; pc counts from where the instruction is
  { "jal a0,.+0x7fe", "6f05e07f", {}, { a0 = 0x40000004, pc = 0x400007FE } },
  { "jal zero,.-0x100", "6ff01ff0", {}, { zero = 0x0, pc = 0x3FFFFF00 } },
  { "jalr a0,-1(a1)", "6785f5ff", { a1 = 0x40000102 }, { a0 = 0x40000004, pc = 0x40000100 } },
  { "jalr a1,4(a1)", "e7854500", { a1 = 0x40000100 }, { a1 = 0x40000004, pc = 0x40000104 } },
  { "beq a1,a2,.+16", "6388c500", { a1 = 0x5, a2 = 0x5 }, { pc = 0x40000010 } },
  { "beq a1,a2,.+16", "6388c500", { a1 = 0x5, a2 = 0x6 }, { pc = 0x40000004 } },
  { "bne a1,a2,.-16", "e398c5fe", { a1 = 0x5, a2 = 0x6 }, { pc = 0x3FFFFFF0 } },
  { "bne a1,a2,.+16", "6398c500", { a1 = 0x5, a2 = 0x5 }, { pc = 0x40000004 } },
  { "blt a1,a2,.+16", "63c8c500", { a1 = 0x80000000, a2 = 0x0 }, { pc = 0x40000010 } },
  { "blt a1,a2,.+16", "63c8c500", { a1 = 0x0, a2 = 0x80000000 }, { pc = 0x40000004 } },
  { "blt a1,a2,.+16", "63c8c500", { a1 = 0x1, a2 = 0x1 }, { pc = 0x40000004 } },
  { "bge a1,a2,.+16", "63d8c500", { a1 = 0x1, a2 = 0x1 }, { pc = 0x40000010 } },
  { "bge a1,a2,.+16", "63d8c500", { a1 = 0x80000000, a2 = 0x0 }, { pc = 0x40000004 } },
  { "bltu a1,a2,.+16", "63e8c500", { a1 = 0x0, a2 = 0x80000000 }, { pc = 0x40000010 } },
  { "bltu a1,a2,.+16", "63e8c500", { a1 = 0x80000000, a2 = 0x0 }, { pc = 0x40000004 } },
  { "bgeu a1,a2,.+16", "63f8c500", { a1 = 0x80000000, a2 = 0x0 }, { pc = 0x40000010 } },
  { "bgeu a1,a2,.+4094", "e3ffc57e", { a1 = 0x0, a2 = 0x0 }, { pc = 0x40000FFE } },
  { "bgeu a1,a2,.+16", "63f8c500", { a1 = 0x0, a2 = 0x1 }, { pc = 0x40000004 } },
  -- atomics; a1 points at 84332211
  { "lr.w a0,(a1)", "2fa50510", {}, { a0 = 0x84332211 } },
  { "sc.w a0,a3,(a1)", "2fa5d518", { a3 = 0x1 }, { a0 = 0x1, w0 = 0x84332211 } },
  { "amoswap.w a0,a3,(a1)", "2fa5d508", { a3 = 0x1 }, { a0 = 0x84332211, w0 = 0x1 } },
  { "amoadd.w a0,a3,(a1)", "2fa5d500", { a3 = 0xFFFFFFFF }, { a0 = 0x84332211, w0 = 0x84332210 } },
  { "amoxor.w a0,a3,(a1)", "2fa5d520", { a3 = 0xFFFFFFFF }, { a0 = 0x84332211, w0 = 0x7BCCDDEE } },
  { "amoand.w a0,a3,(a1)", "2fa5d560", { a3 = 0xFF }, { a0 = 0x84332211, w0 = 0x11 } },
  { "amoor.w.aqrl a0,a3,(a1)", "2fa5d546", { a3 = 0xFF }, { a0 = 0x84332211, w0 = 0x843322FF } },
  { "amomin.w a0,a3,(a1)", "2fa5d580", { a3 = 0x0 }, { a0 = 0x84332211, w0 = 0x84332211 } },
  { "amomax.w a0,a3,(a1)", "2fa5d5a0", { a3 = 0x0 }, { a0 = 0x84332211, w0 = 0x0 } },
  { "amominu.w a0,a3,(a1)", "2fa5d5c0", { a3 = 0x0 }, { a0 = 0x84332211, w0 = 0x0 } },
  { "amomaxu.w a0,a3,(a1)", "2fa5d5e0", { a3 = 0x0 }, { a0 = 0x84332211, w0 = 0x84332211 } },
  { "amoadd.w a1,a1,(a1)", "afa5b500", {}, { a1 = 0x84332211, w0 = 0xC4334211 } },
  -- compressed
  { "c.addi4spn a0,sp,1020", "e81f", { sp = 0x40002000 }, { a0 = 0x400023FC } },
  { "c.lw a0,4(a1)", "c841", {}, { a0 = 0x887766F5 } },
  { "c.lw a0,124(a4)", "685f", { a4 = 0x40001F88 }, { a0 = 0x887766F5 } },
  { "c.sw a3,4(a1)", "d4c1", { a3 = 0x12345678 }, { w4 = 0x12345678 } },
  { "c.nop", "0100", {}, { pc = 0x40000002 } },
  { "c.addi a0,-32", "0115", { a0 = 0x1 }, { a0 = 0xFFFFFFE1 } },
  { "c.addi a0,31", "7d05", { a0 = 0x1 }, { a0 = 0x20 } },
  { "c.jal .+2046", "fd2f", {}, { ra = 0x40000002, pc = 0x400007FE } },
  { "c.j .-2048", "01b0", {}, { ra = 0x0, pc = 0x3FFFF800 } },
  { "c.li a0,-32", "0155", {}, { a0 = 0xFFFFFFE0 } },
  { "c.lui a0,0xfffe0", "0175", {}, { a0 = 0xFFFE0000 } },
  { "c.lui a0,31", "7d65", {}, { a0 = 0x1F000 } },
  { "c.addi16sp sp,-512", "0171", { sp = 0x40002000 }, { sp = 0x40001E00 } },
  { "c.addi16sp sp,496", "7d61", { sp = 0x40002000 }, { sp = 0x400021F0 } },
  { "c.srli a0,31", "7d81", { a0 = 0xFFFFFFFF }, { a0 = 0x1 } },
  { "c.srai a0,31", "7d85", { a0 = 0x80000000 }, { a0 = 0xFFFFFFFF } },
  { "c.andi a0,-2", "7999", { a0 = 0xFFFFFFFF }, { a0 = 0xFFFFFFFE } },
  { "c.sub a0,a1", "0d8d", { a0 = 0x0, a1 = 0x1 }, { a0 = 0xFFFFFFFF } },
  { "c.xor a0,a1", "2d8d", { a0 = 0xFF, a1 = 0xF }, { a0 = 0xF0 } },
  { "c.or a0,a1", "4d8d", { a0 = 0xF0, a1 = 0xF }, { a0 = 0xFF } },
  { "c.and a0,a1", "6d8d", { a0 = 0xF3, a1 = 0x3F }, { a0 = 0x33 } },
  { "c.beqz a0,.-256", "01d1", { a0 = 0x0 }, { pc = 0x3FFFFF00 } },
  { "c.beqz a0,.+254", "7dcd", { a0 = 0x1 }, { pc = 0x40000002 } },
  { "c.bnez a0,.+254", "7ded", { a0 = 0x1 }, { pc = 0x400000FE } },
  { "c.bnez a0,.+254", "7ded", { a0 = 0x0 }, { pc = 0x40000002 } },
  { "c.slli a0,31", "7e05", { a0 = 0x3 }, { a0 = 0x80000000 } },
  { "c.lwsp a0,4(sp)", "1245", { sp = 0x40002000 }, { a0 = 0x887766F5 } },
  { "c.lwsp t6,252(sp)", "fe5f", { sp = 0x40001F04 }, { t6 = 0x84332211 } },
  { "c.swsp a3,0(sp)", "36c0", { sp = 0x40002000, a3 = 0x55667788 }, { w0 = 0x55667788 } },
  { "c.jr a1", "8285", { a1 = 0x40000101 }, { pc = 0x40000100, ra = 0x0 } },
  { "c.jalr a1", "8295", { a1 = 0x40000100 }, { pc = 0x40000100, ra = 0x40000002 } },
  { "c.jalr ra", "8290", { ra = 0x40000100 }, { pc = 0x40000100, ra = 0x40000002 } },
  { "c.mv a0,a1", "2e85", { a1 = 0x12345678 }, { a0 = 0x12345678 } },
  { "c.add a0,a1", "2e95", { a0 = 0xFFFFFFFF, a1 = 0x2 }, { a0 = 0x1 } },
  -- control and status registers
  { "csrrw a0,mscratch,a1", "73950534", { mscratch = 0x5, a1 = 0x7 }, { a0 = 0x5, mscratch = 0x7 } },
  { "csrrs a0,mscratch,a1", "73a50534", { mscratch = 0x5, a1 = 0xA }, { a0 = 0x5, mscratch = 0xF } },
  { "csrrc a0,mscratch,a1", "73b50534", { mscratch = 0xF, a1 = 0x5 }, { a0 = 0xF, mscratch = 0xA } },
  { "csrrwi a0,mscratch,31", "73d50f34", { mscratch = 0x5 }, { a0 = 0x5, mscratch = 0x1F } },
  { "csrrsi a0,mscratch,2", "73650134", { mscratch = 0x5 }, { a0 = 0x5, mscratch = 0x7 } },
  { "csrrci a0,mscratch,1", "73f50034", { mscratch = 0x5 }, { a0 = 0x5, mscratch = 0x4 } },
  { "csrrw a1,mscratch,a1", "f3950534", { mscratch = 0x5, a1 = 0x7 }, { a1 = 0x5, mscratch = 0x7 } },
  { "csrrs a0,mhartid,zero", "732540f1", {}, { a0 = 0x3 } },
  { "csrrw zero,mtvec,a1", "73905530", { a1 = 0x40000101 }, { mtvec = 0x40000101 } },
  { "csrrw zero,mepc,a1", "73901534", { a1 = 0x40000101 }, { mepc = 0x40000100 } },
  { "csrrw zero,0x7ff,a1", "7390f57f", { a1 = 0x12345678 }, { csr7ff = 0x12345678 } },
  { "csrrw zero,pmpaddr3,a1", "7390353b", { a1 = 0x12345678 }, { pmpaddr3 = 0x12345678 } },
  { "csrrs a0,misa,zero", "73251030", {}, { a0 = 0x40001125 } },
  { "csrrs a0,mstatus,zero", "73250030", {}, { a0 = 0x1800 } },
  { "csrrw zero,mstatus,a1", "73900530", { a1 = 0xFFFFFFFF }, { mstatus = 0x80007888 } },
  { "fence iorw,iorw", "0f00f00f", {}, { pc = 0x40000004 } },
  { "fence.i", "0f100000", {}, { pc = 0x40000004 } },
  -- floating point, results by the rules of IEEE 754
  { "fadd.s fa0,fa1,fa2", "53f5c500", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x40000000 },
    { f10 = 0x40400000, fcsr = 0x0 } },
  { "fadd.s fa0,fa1,fa2", "53f5c500", { mstatus = 0x6000, f11 = 0x7F800000, f12 = 0xFF800000 },
    { f10 = 0x7FC00000, fcsr = 0x10 } },
  { "fadd.s fa0,fa1,fa2,rup", "53b5c500", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x1 },
    { f10 = 0x3F800001, fcsr = 0x1 } },
  { "fadd.s fa0,fa1,fa2,rdn", "53a5c500", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x1 },
    { f10 = 0x3F800000, fcsr = 0x1 } },
  { "fsub.s fa0,fa1,fa2", "53f5c508", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x3F800000 },
    { f10 = 0x0, fcsr = 0x0 } },
  { "fsub.s fa0,fa1,fa2", "53f5c508", { mstatus = 0x6000, f11 = 0x3FC00000, f12 = 0x40000000 },
    { f10 = 0xBF000000, fcsr = 0x0 } },
  { "fmul.s fa0,fa1,fa2", "53f5c510", { mstatus = 0x6000, f11 = 0x7F7FFFFF, f12 = 0x40000000 },
    { f10 = 0x7F800000, fcsr = 0x5 } },
  { "fmul.s fa0,fa1,fa2,rtz", "5395c510", { mstatus = 0x6000, f11 = 0x7F7FFFFF, f12 = 0x40000000 },
    { f10 = 0x7F7FFFFF, fcsr = 0x5 } },
  { "fdiv.s fa0,fa1,fa2", "53f5c518", { mstatus = 0x6000, f11 = 0xBF800000, f12 = 0x0 },
    { f10 = 0xFF800000, fcsr = 0x8 } },
  { "fdiv.s fa0,fa1,fa2", "53f5c518", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x40400000 },
    { f10 = 0x3EAAAAAB, fcsr = 0x1 } },
  { "fsqrt.s fa0,fa1", "53f50558", { mstatus = 0x6000, f11 = 0x40800000 }, { f10 = 0x40000000, fcsr = 0x0 } },
  { "fsqrt.s fa0,fa1", "53f50558", { mstatus = 0x6000, f11 = 0xBF800000 }, { f10 = 0x7FC00000, fcsr = 0x10 } },
  { "fmadd.s fa0,fa1,fa2,fa3", "43f5c568", { mstatus = 0x6000, f11 = 0x40000000, f12 = 0x40400000, f13 = 0x3F800000 },
    { f10 = 0x40E00000 } },
  { "fmsub.s fa0,fa1,fa2,fa3", "47f5c568", { mstatus = 0x6000, f11 = 0x40000000, f12 = 0x40400000, f13 = 0x3F800000 },
    { f10 = 0x40A00000 } },
  { "fnmsub.s fa0,fa1,fa2,fa3", "4bf5c568", { mstatus = 0x6000, f11 = 0x40000000, f12 = 0x40400000, f13 = 0x3F800000 },
    { f10 = 0xC0A00000 } },
  { "fnmadd.s fa0,fa1,fa2,fa3", "4ff5c568", { mstatus = 0x6000, f11 = 0x40000000, f12 = 0x40400000, f13 = 0x3F800000 },
    { f10 = 0xC0E00000 } },
  { "fsgnj.s fa0,fa1,fa2", "5385c520", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x80000000 },
    { f10 = 0xBF800000 } },
  { "fsgnjn.s fa0,fa1,fa2", "5395c520", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x80000000 },
    { f10 = 0x3F800000 } },
  { "fsgnjx.s fa0,fa1,fa2", "53a5c520", { mstatus = 0x6000, f11 = 0xBF800000, f12 = 0x80000000 },
    { f10 = 0x3F800000 } },
  { "fmin.s fa0,fa1,fa2", "5385c528", { mstatus = 0x6000, f11 = 0x80000000, f12 = 0x0 }, { f10 = 0x80000000 } },
  { "fmax.s fa0,fa1,fa2", "5395c528", { mstatus = 0x6000, f11 = 0x80000000, f12 = 0x0 }, { f10 = 0x0 } },
  { "fmin.s fa0,fa1,fa2", "5385c528", { mstatus = 0x6000, f11 = 0x7FC00000, f12 = 0x3F800000 },
    { f10 = 0x3F800000, fcsr = 0x0 } },
  { "fmax.s fa0,fa1,fa2", "5395c528", { mstatus = 0x6000, f11 = 0x7F800001, f12 = 0x3F800000 },
    { f10 = 0x3F800000, fcsr = 0x10 } },
  { "feq.s a0,fa1,fa2", "53a5c5a0", { mstatus = 0x6000, f11 = 0x80000000, f12 = 0x0 }, { a0 = 0x1 } },
  { "feq.s a0,fa1,fa2", "53a5c5a0", { mstatus = 0x6000, f11 = 0x7FC00000, f12 = 0x7FC00000 },
    { a0 = 0x0, fcsr = 0x0 } },
  { "flt.s a0,fa1,fa2", "5395c5a0", { mstatus = 0x6000, f11 = 0xBF800000, f12 = 0x3F800000 }, { a0 = 0x1 } },
  { "flt.s a0,fa1,fa2", "5395c5a0", { mstatus = 0x6000, f11 = 0x7FC00000, f12 = 0x3F800000 },
    { a0 = 0x0, fcsr = 0x10 } },
  { "fle.s a0,fa1,fa2", "5385c5a0", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x3F800000 }, { a0 = 0x1 } },
  { "fcvt.w.s a0,fa1,rtz", "539505c0", { mstatus = 0x6000, f11 = 0xBFC00000 }, { a0 = 0xFFFFFFFF, fcsr = 0x1 } },
  { "fcvt.w.s a0,fa1,rne", "538505c0", { mstatus = 0x6000, f11 = 0x40200000 }, { a0 = 0x2, fcsr = 0x1 } },
  { "fcvt.w.s a0,fa1,rmm", "53c505c0", { mstatus = 0x6000, f11 = 0x40200000 }, { a0 = 0x3, fcsr = 0x1 } },
  { "fcvt.w.s a0,fa1,rtz", "539505c0", { mstatus = 0x6000, f11 = 0x7FC00000 }, { a0 = 0x7FFFFFFF, fcsr = 0x10 } },
  { "fcvt.w.s a0,fa1,rtz", "539505c0", { mstatus = 0x6000, f11 = 0xFF800000 }, { a0 = 0x80000000, fcsr = 0x10 } },
  { "fcvt.wu.s a0,fa1,rtz", "539515c0", { mstatus = 0x6000, f11 = 0xBF800000 }, { a0 = 0x0, fcsr = 0x10 } },
  { "fcvt.wu.s a0,fa1,rtz", "539515c0", { mstatus = 0x6000, f11 = 0x4F7FFFFF }, { a0 = 0xFFFFFF00, fcsr = 0x0 } },
  { "fcvt.s.w fa0,a1", "53f505d0", { mstatus = 0x6000, a1 = 0xFFFFFFFF }, { f10 = 0xBF800000 } },
  { "fcvt.s.w fa0,a1", "53f505d0", { mstatus = 0x6000, a1 = 0x7FFFFFFF }, { f10 = 0x4F000000, fcsr = 0x1 } },
  { "fcvt.s.wu fa0,a1", "53f515d0", { mstatus = 0x6000, a1 = 0x80000000 }, { f10 = 0x4F000000, fcsr = 0x0 } },
  { "fmv.x.w a0,fa1", "538505e0", { mstatus = 0x6000, f11 = 0x7F800001 }, { a0 = 0x7F800001 } },
  { "fmv.w.x fa0,a1", "538505f0", { mstatus = 0x6000, a1 = 0x7F800001 }, { f10 = 0x7F800001 } },
  { "fclass.s a0,fa1", "539505e0", { mstatus = 0x6000, f11 = 0xFF800000 }, { a0 = 0x1 } },
  { "fclass.s a0,fa1", "539505e0", { mstatus = 0x6000, f11 = 0x80000001 }, { a0 = 0x4 } },
  { "fclass.s a0,fa1", "539505e0", { mstatus = 0x6000, f11 = 0x0 }, { a0 = 0x10 } },
  { "fclass.s a0,fa1", "539505e0", { mstatus = 0x6000, f11 = 0x3F800000 }, { a0 = 0x40 } },
  { "fclass.s a0,fa1", "539505e0", { mstatus = 0x6000, f11 = 0x7F800001 }, { a0 = 0x100 } },
  { "fclass.s a0,fa1", "539505e0", { mstatus = 0x6000, f11 = 0x7FC00000 }, { a0 = 0x200 } },
  { "flw fa0,4(a1)", "c861", { mstatus = 0x6000 }, { f10 = 0x887766F5 } },
  { "fsw fa1,4(a2)", "4ce2", { mstatus = 0x6000, a2 = 0x40002000, f11 = 0x12345678 }, { w4 = 0x12345678 } },
  { "flw fa0,4(a1), not compressed", "07a54500", { mstatus = 0x6000 }, { f10 = 0x887766F5 } },
  { "fsw fa1,4(a2), not compressed", "2722b600", { mstatus = 0x6000, a2 = 0x40002000, f11 = 0x12345678 },
    { w4 = 0x12345678 } },
  { "c.flw fa0,4(a1)", "c861", { mstatus = 0x6000 }, { f10 = 0x887766F5 } },
  { "c.fsw fa0,0(a1)", "88e1", { mstatus = 0x6000, f10 = 0x1 }, { w0 = 0x1 } },
  { "c.flwsp fa0,4(sp)", "1265", { mstatus = 0x6000, sp = 0x40002000 }, { f10 = 0x887766F5 } },
  { "c.fswsp fa0,0(sp)", "2ae0", { mstatus = 0x6000, sp = 0x40002000, f10 = 0x1 }, { w0 = 0x1 } },
}

-- Rounding to nearest, ties away from zero: operands fa1, fa2, fa3, result and flags worked out with exact fractions
-- from IEEE 754 (Python's fractions; the root by an integer one). The first three of each kind are ties.
local TIES_AWAY = {
  { "fadd.s", "53c5c500", 0x3F800000, 0x33800000, 0, 0x3F800001, 1 }, -- 1 + 2^-24
  { "fsub.s", "53c5c508", 0xBF800000, 0x33800000, 0, 0xBF800001, 1 },
  { "fadd.s", "53c5c500", 0x1A6EC900, 0x9D707000, 0xBF300000, 0x9D6CB4DC, 0 },
  { "fadd.s", "53c5c500", 0x398C8131, 0x3990D3DC, 0x428EE2BD, 0x3A0EAA87, 1 },
  { "fadd.s", "53c5c500", 0x4AF07211, 0x40B80000, 0xBCAD64AE, 0x4AF0721D, 1 },
  { "fadd.s", "53c5c500", 0xBCD00000, 0xC768F70E, 0x787B03D9, 0xC768F715, 1 },
  { "fadd.s", "53c5c500", 0xFCD5EC4A, 0xBEF80000, 0x8048D883, 0xFCD5EC4A, 1 },
  { "fadd.s", "53c5c500", 0xFF5FD954, 0xFE2BBF04, 0xC8C96945, 0xFF800000, 5 },
  { "fdiv.s", "53c5c518", 0x002F5AB0, 0x494A595D, 0x415EFA25, 0x00000004, 3 },
  { "fdiv.s", "53c5c518", 0x3DA80000, 0x46EB8421, 0x40A80000, 0x36369C98, 1 },
  { "fdiv.s", "53c5c518", 0x3E28F906, 0xBD400000, 0xBE680000, 0xC0614C08, 0 },
  { "fdiv.s", "53c5c518", 0x805CD62D, 0x40000000, 0x883BAC00, 0x802E6B17, 3 },
  { "fdiv.s", "53c5c518", 0xFDCE5AB5, 0x916D2000, 0x1CCFC000, 0x7F800000, 5 },
  { "fmadd.s", "43c5c568", 0x002DCFE8, 0xBD800000, 0x800AC210, 0x800D9F0F, 3 },
  { "fmadd.s", "43c5c568", 0x3CB59469, 0x02100000, 0x803EB7C3, 0x80252EE4, 3 },
  { "fmadd.s", "43c5c568", 0x44CB3989, 0x13C00000, 0xC62F3572, 0xC62F3572, 1 },
  { "fmadd.s", "43c5c568", 0xC1580000, 0x42280000, 0xC64B57C6, 0xC65433C6, 0 },
  { "fmadd.s", "43c5c568", 0xC1C00000, 0xC460BEC8, 0x4795653F, 0x47BF8905, 1 },
  { "fmadd.s", "43c5c568", 0xC68D4A8E, 0xBFE00000, 0x40180000, 0x46F74739, 1 },
  { "fmadd.s", "43c5c568", 0xFE239CA5, 0x41D80000, 0xFE9B53EE, 0xFF800000, 5 },
  { "fmsub.s", "47c5c568", 0x3A8AB8AA, 0x00162998, 0x003D6C52, 0x803D6651, 3 },
  { "fmsub.s", "47c5c568", 0x3CF17D2E, 0xBC000000, 0xB8CD5B47, 0xB90ACF8B, 1 },
  { "fmsub.s", "47c5c568", 0x40300000, 0xBEC80000, 0xBE43803E, 0xBF621FF1, 1 },
  { "fmsub.s", "47c5c568", 0xBC900000, 0xC0080000, 0xC4EE7294, 0x44EE73C6, 0 },
  { "fmsub.s", "47c5c568", 0xBF700000, 0xBE600000, 0x470FFEB9, 0xC70FFE85, 1 },
  { "fmsub.s", "47c5c568", 0xBF7E3916, 0x36CBC6D1, 0x45B3C67C, 0xC5B3C67C, 1 },
  { "fmsub.s", "47c5c568", 0xFB911A27, 0xFD6D008A, 0x3CD80000, 0x7F800000, 5 },
  { "fmul.s", "53c5c510", 0x41300000, 0x3F000000, 0xB7E9374B, 0x40B00000, 0 },
  { "fmul.s", "53c5c510", 0x7B3AEEB3, 0x7D6EF45E, 0x800D211B, 0x7F800000, 5 },
  { "fmul.s", "53c5c510", 0x80158A0F, 0x3CC80000, 0x3782AC04, 0x8000869F, 3 },
  { "fmul.s", "53c5c510", 0x92BAF708, 0xC2080000, 0x879DE300, 0x1546A679, 1 },
  { "fmul.s", "53c5c510", 0x98400000, 0xC693FD87, 0xBD100000, 0x1F5DFC4B, 1 },
  { "fmul.s", "53c5c510", 0xC69B7C84, 0x41D00000, 0x41700000, 0xC8FCAA57, 1 },
  { "fmul.s", "53c5c510", 0xFB5EE157, 0xB478DA3E, 0xC49E8722, 0x7058A84E, 1 },
  { "fnmadd.s", "4fc5c568", 0x000DA9C7, 0x00779FBD, 0x802980EB, 0x002980EB, 3 },
  { "fnmadd.s", "4fc5c568", 0x41100000, 0xC9FEDC68, 0x41A00000, 0x4B8F5BF1, 1 },
  { "fnmadd.s", "4fc5c568", 0x8C6E4000, 0x42000000, 0x8D399F50, 0x0F02B9F5, 0 },
  { "fnmadd.s", "4fc5c568", 0xBEB00000, 0x3D300000, 0x455C8E0B, 0xC55C8DCF, 1 },
  { "fnmadd.s", "4fc5c568", 0xC2480000, 0x3D279D24, 0x3FA00000, 0x3F4BCB11, 1 },
  { "fnmadd.s", "4fc5c568", 0xC7B213B5, 0xFA312986, 0x8FF00000, 0xFF800000, 5 },
  { "fnmadd.s", "4fc5c568", 0xC960DB3C, 0xBE300000, 0xC3C632F9, 0xC81A33A0, 1 },
  { "fnmsub.s", "4bc5c568", 0x0EDEFCC0, 0x3D080000, 0x8D38CFF8, 0x8D740B1B, 0 },
  { "fnmsub.s", "4bc5c568", 0x41780000, 0xC2000000, 0x44763181, 0x44B918C1, 1 },
  { "fnmsub.s", "4bc5c568", 0x448C7963, 0x38B0ADF4, 0xBF8AE4E2, 0xBF97033F, 1 },
  { "fnmsub.s", "4bc5c568", 0x45516FCB, 0xC1800000, 0xBCD00000, 0x47516FC5, 1 },
  { "fnmsub.s", "4bc5c568", 0x878E0000, 0x18AC46D0, 0x8028C62D, 0x8028C62D, 3 },
  { "fnmsub.s", "4bc5c568", 0xBEF45D80, 0x40D80000, 0x3FB82302, 0x40952033, 1 },
  { "fnmsub.s", "4bc5c568", 0xFA2EF7A7, 0x7C2E4694, 0x007C2001, 0x7F800000, 5 },
  { "fsqrt.s", "53c50558", 0x007F714A, 0xC0380000, 0x84900000, 0x1FFF7122, 1 },
  { "fsqrt.s", "53c50558", 0x3D800000, 0x40B00000, 0x16D7FE80, 0x3E800000, 0 },
  { "fsub.s", "53c5c508", 0x1B5B3A60, 0x00286F49, 0x3D5FDB0F, 0x1B5B3A60, 1 },
  { "fsub.s", "53c5c508", 0x41680000, 0x438FED7B, 0xC61BF98C, 0xC388AD7B, 0 },
  { "fsub.s", "53c5c508", 0x41A00000, 0xC04F7764, 0x8FFA9B80, 0x41B9EEED, 1 },
  { "fsub.s", "53c5c508", 0xC0C80000, 0xCAC4FE95, 0x00600000, 0x4AC4FE89, 1 },
  { "fsub.s", "53c5c508", 0xC24B3180, 0x407D4FC8, 0x11B04000, 0xC25B067D, 1 },
}

local function new(options)
  local c = support.new("rv32", options or { hart = 3 })
  c:set("a1", DATA)
  return c
end

local function program(hex, options)
  local c = new(options)
  support.put(c, hex)
  return c
end

describe("the RV32 processor", function()
  for i, case in ipairs(CASES) do
    it(("executes %s (%d)"):format(case[1], i), function() support.check(new(), case[2], case[3], case[4]) end)
  end

  it("rounds to nearest with ties away (rmm)", function()
    for _, case in ipairs(TIES_AWAY) do
      local c <close> = new()
      c:set("mstatus", 0x6000)
      for i = 1, 3 do c:set("f" .. 10 + i, case[2 + i]) end
      support.put(c, case[2])
      c:run(1)
      assert.equal(("%s 0x%08X %d"):format(case[1], case[6], case[7]),
                   ("%s 0x%08X %d"):format(case[1], c:get "f10", c:get "fcsr"))
    end
    -- Nothing to round: 1 - 1, 1 / 0, a signalling not-a-number, -1's root; 16777217 is a tie between integers.
    support.check(new(), "53c5c508", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0x3F800000 }, { f10 = 0, fcsr = 0 })
    support.check(new(), "53c5c518", { mstatus = 0x6000, f11 = 0x3F800000, f12 = 0 }, { f10 = 0x7F800000, fcsr = 8 })
    support.check(new(), "53c5c500", { mstatus = 0x6000, f11 = 0x7F800001, f12 = 0 }, { f10 = 0x7FC00000, fcsr = 16 })
    support.check(new(), "53c50558", { mstatus = 0x6000, f11 = 0xBF800000 }, { f10 = 0x7FC00000, fcsr = 16 })
    support.check(new(), "53c505d0", { mstatus = 0x6000, a1 = 0x01000001 }, { f10 = 0x4B800001, fcsr = 1 })
    support.check(new(), "53c505d0", { mstatus = 0x6000, a1 = 0xFEFFFFFF }, { f10 = 0xCB800001, fcsr = 1 })
    -- the same from fcsr's mode
    local c = new()
    c:set("mstatus", 0x6000)
    support.check(c, "53f5c500", { fcsr = 0x80, f11 = 0x3F800000, f12 = 0x33800000 }, { f10 = 0x3F800001, fcsr = 0x81 })
  end)

  it("spells instructions as objdump does", function()
    local c, mapped = cpu.new "rv32", {}
    for line in io.lines "spec/support/rv32_disassembly.txt" do
      local at, hex, text = line:match "^(%x+) (%x+) (.*)$"
      at = tonumber(at, 16)
      for _, page in ipairs { at & ~0xFFF, (at & ~0xFFF) + 0x1000 } do
        if not mapped[page] then mapped[page] = c:ram(page, 0x1000) end
      end
      support.put(c, hex, at)
      local got, length = c:disassemble(at)
      assert.equal(text, got)
      assert.equal(#hex // 2, length)
    end
  end)

  -- instruction, bytes, code of the fault, its address
  for _, case in ipairs {
    { "c.unimp, a word of zeros", "00000000", "lacks" },
    { "a compressed instruction that is kept free", "0240", "lacks" },
    { "a shift by 32 and more", "9212", "lacks" },
    { "a double-precision load", "07b50500", "lacks" },
    { "a write to a read-only register", "731005f1", "lacks" },
    { "ecall", "73000000", "system call", 0 },
    { "ebreak", "73001000", "break", CODE },
    { "c.ebreak", "0290", "break", CODE },
    { "a load from nowhere: lw a0,0(zero)", "03250000", "read where nothing", 0 },
    { "a store to nowhere: sw a0,0(zero)", "2320a000", "write where nothing", 0 },
    { "an unaligned load: lw a0,1(a1)", "03a51500", "unaligned", DATA + 1 },
    { "an unaligned store: sh a0,1(a1)", "a390a500", "unaligned", DATA + 1 },
    { "an unaligned atomic: amoadd.w a0,a0,(a2)", "2f25a600", "unaligned", DATA + 2 },
    { "floating point while it is off: fadd.s", "53f5c500", "lacks" },
  } do
    it("stops at " .. case[1], function()
      local c = program(case[2])
      c:set("a2", DATA + 2)
      local stop, text, _, address = c:run(10)
      assert.equal("fault", stop)
      assert.matches(case[3], text, 1, true)
      if case[4] then assert.equal(case[4], address) end
      assert.equal(CODE, c:get "pc")
    end)
  end

  it("lacks atomics and floating point where the core has none", function()
    for _, hex in ipairs { "2fa5d500", "53f5c500", "88e1" } do
      local c = program(hex, { atomics = false, floats = false })
      assert.matches("lacks", (select(2, c:run(1))), 1, true)
    end
  end)

  it("takes unaligned accesses apart where the core does", function()
    local c = program("83a61500 2322d500", { unaligned = true }) -- lw a3,1(a1); sw a3,4(a0)
    c:set("a0", DATA + 0xFFE)
    assert.equal("budget", (c:run(2)))
    assert.equal(0xF5843322, c:get "a3")
    assert.equal(support.unhex "223384F5", c:peek(DATA + 0x1002, 4))
  end)

  it("describes a fault with the instruction and the registers", function()
    local c = program("23a0a600") -- sw a0,0(a3)
    c:set("a3", 0x12345678)
    c:run(1)
    local text = c:describe()
    assert.matches("write where nothing can be written, address 0x12345678", text, 1, true)
    assert.matches("pc 0x40000000: sw a0,0(a3)", text, 1, true)
    assert.matches("a3       0x12345678", text, 1, true)
  end)

  it("stops with idle at wfi and at a jump to itself, and stays so", function()
    for _, hex in ipairs { "73005010", "6f000000", "01a0", "63000000" } do -- wfi; j .; c.j .; beq zero,zero,.
      local c = program(hex .. "13000000")
      assert.equal("idle", (c:run(100)))
      assert.equal("idle", (c:run(100)))
    end
  end)

  it("stops with yield after the access when a peripheral asks", function()
    local c = program "03a50500 13051500" -- lw a0,0(a1); addi a0,a0,1
    c:device(0x60000000, 0x1000, function() return "yield" end)
    c:set("a1", 0x60000000)
    assert.equal("yield", (c:run(100)))
    assert.equal(CODE + 4, c:get "pc")
  end)

  it("hands peripherals address, width and value, and stops when one refuses", function()
    local c = program "03c51500 2391a500 23a2a500" -- lbu a0,1(a1); sh a0,2(a1); sw a0,4(a1)
    local seen = {}
    c:device(0x60000000, 0x1000, function(address, width, value)
      seen[#seen + 1] = ("%x/%d/%s"):format(address, width, value)
      return width == 4 and "refuse" or 0x1AB
    end)
    c:set("a1", 0x60000000)
    assert.matches("refuses", (select(2, c:run(100))), 1, true)
    assert.same({ "60000001/1/nil", "60000002/2/427", "60000004/4/427" }, seen)
  end)

  it("executes code that was changed, through any address of the memory", function()
    for _, alias in ipairs { 0x50000000, 0x20000000 } do
      local c = cpu.new "rv32"
      c:ram(0x50000000, 0x1000, "rwx", 0x20000000)
      -- loop: addi a0,a0,1; sw a2,0(a1); j loop: the store makes the first instruction addi a0,a0,16
      c:poke(0x50000000, support.unhex "13051500 23a0c500 6ff09fff")
      c:set("a1", alias)
      c:set("a2", 0x01050513)
      c:set("pc", 0x50000000)
      c:run(9)
      assert.equal(1 + 16 + 16, c:get "a0")
      c:poke(alias, support.unhex "13050510") -- addi a0,a0,256 from outside
      c:run(3)
      assert.equal(1 + 16 + 16 + 256, c:get "a0")
    end
  end)

  it("executes an instruction that lies across two pages", function()
    local c = new()
    support.put(c, "13051500", CODE + 0xFFE)
    c:set("pc", CODE + 0xFFE)
    assert.equal("budget", (c:run(1)))
    assert.equal(1, c:get "a0")
    support.put(c, "1305", CODE + 0xFFE)
    support.put(c, "2500", CODE + 0x1000) -- now addi a0,a0,2
    c:set("pc", CODE + 0xFFE)
    c:run(1)
    assert.equal(3, c:get "a0")
  end)

  it("does not execute what is not executable, nor past the end of memory", function()
    local c = cpu.new "rv32"
    c:ram(0x20000000, 0x1000, "rw")
    c:ram(0x30000000, 0x1000)
    c:set("pc", 0x20000000)
    assert.matches("no code", (select(2, c:run(1))), 1, true)
    c:poke(0x30000FFE, support.unhex "1305")
    c:set("pc", 0x30000FFE)
    local _, text, _, address = c:run(1)
    assert.matches("no code", text, 1, true)
    assert.equal(0x30001000, address)
  end)

  it("keeps to memory that takes whole words only, and to read-only memory", function()
    local c = program "03850500"
    c:ram(0x20000000, 0x1000, "rw4")
    c:ram(0x30000000, 0x1000, "r")
    c:set("a1", 0x20000000)
    assert.matches("whole words", (select(2, c:run(1))), 1, true)
    support.put(c, "23a0a500")
    c:set("a1", 0x30000000)
    assert.matches("nothing can be written", (select(2, c:run(1))), 1, true)
  end)

  it("counts exactly the instructions asked for", function()
    local c = program(("13051500"):rep(100))
    c:run(7)
    assert.equal(7, c:get "a0")
    assert.equal(7, c:cycles())
    assert.equal(7, c:get "mcycle")
    c:count(true)
    c:run(5)
    assert.equal(5, c:count(false))
    assert.equal(12, c:get "a0")
  end)

  it("conditionally stores only to the reserved address, once", function()
    -- lr.w a0,(a1); sc.w a2,a3,(a1); sc.w a4,a3,(a1)
    local c = program "2fa50510 2fa6d518 2fa7d518"
    c:set("a3", 0x55)
    c:run(3)
    assert.equal(0, c:get "a2")
    assert.equal(1, c:get "a4")
    assert.equal(0x55, support.word(c, DATA))
  end)
end)

describe("RV32 exceptions given to the guest", function()
  local HANDLER = CODE + 0x100

  local function guest(hex, options)
    local c = new { guest_exceptions = true, clic = options and options.clic }
    support.put(c, hex)
    c:set("mtvec", HANDLER)
    return c
  end

  -- bytes, mcause, mtval
  for name, case in pairs {
    ["ecall"] = { "73000000", 11, 0 },
    ["ebreak"] = { "73001000", 3, CODE },
    ["an illegal instruction"] = { "ffffffff", 2, 0xFFFFFFFF },
    ["an unaligned load"] = { "03a51500", 4, DATA + 1 },
    ["a load from nowhere"] = { "03250000", 5, 0 },
    ["an unaligned store"] = { "a3a0a500", 6, DATA + 1 },
    ["a store to nowhere"] = { "2320a000", 7, 0 },
  } do
    it("enter the handler on " .. name, function()
      local c = guest(case[1])
      c:set("mstatus", 8)
      assert.equal("budget", (c:run(1)))
      assert.equal(HANDLER, c:get "pc")
      assert.equal(CODE, c:get "mepc")
      assert.equal(case[2], c:get "mcause")
      assert.equal(case[3], c:get "mtval")
      assert.equal(0x1880, c:get "mstatus") -- MIE off, kept in MPIE
    end)
  end

  it("come back by mret with interrupts as before", function()
    local c = guest "73000000"
    c:set("mstatus", 8)
    support.put(c, "73002030", HANDLER)
    c:run(1)
    c:set("mepc", CODE + 4)
    c:run(1)
    assert.equal(CODE + 4, c:get "pc")
    assert.equal(0x1888, c:get "mstatus")
  end)

  it("fetch faults give the address, and a handler in nowhere does not hang the host", function()
    local c = guest "6f000080" -- j far below
    c:set("pc", 0x10)
    c:run(1)
    assert.equal(1, c:get "mcause")
    assert.equal(0x10, c:get "mtval")
    c:set("mtvec", 0)
    c:set("pc", 0x20)
    assert.equal("budget", (c:run(1000)))
  end)

  it("interrupts wake wfi and are taken when enabled, through the vector table", function()
    local c = guest "73005010 13051500"
    c:set("mtvec", HANDLER + 1)
    assert.equal("idle", (c:run(10)))
    c:lines(1 << 7) -- pending, not enabled in mie: still waiting
    assert.equal("idle", (c:run(10)))
    c:set("mie", 1 << 7)
    assert.equal("budget", (c:run(1))) -- MIE is off: only woken
    assert.equal(1, c:get "a0")
    c:set("mstatus", 8)
    support.put(c, "13062000", HANDLER + 28) -- li a2,2
    c:run(1)
    assert.equal(2, c:get "a2")
    assert.equal(0x80000007, c:get "mcause")
    assert.equal(CODE + 8, c:get "mepc")
  end)

  it("lines that a controller has gated need no mie", function()
    local c = new { guest_exceptions = true, mie = false }
    support.put(c, "13000000")
    c:set("mtvec", HANDLER)
    c:set("mstatus", 8)
    c:lines(1 << 17)
    support.put(c, "13000000", HANDLER)
    c:run(1)
    assert.equal(0x80000011, c:get "mcause")
    assert.equal(HANDLER + 4, c:get "pc")
  end)

  it("an interrupt controller chooses, whatever mie says", function()
    local c = guest(("0100"):rep(8))
    support.put(c, ("0100"):rep(64), CODE + 0x100)
    c:set("mtvec", CODE + 0x101)
    c:set("mie", 0)
    c:offer(27)
    c:run(1)
    assert.equal(CODE + 2, c:get "pc") -- off in mstatus
    c:set("mstatus", 8)
    c:run(1)
    assert.equal(CODE + 0x100 + 4 * 27 + 2, c:get "pc")
    assert.equal(0x8000001B, c:get "mcause")
    c:set("mstatus", 8)
    c:offer()
    c:run(1)
    assert.equal(CODE + 0x100 + 4 * 27 + 4, c:get "pc")
  end)

  it("a CLIC has levels, a threshold and its own table", function()
    local c = guest(("0100"):rep(8), { clic = true })
    support.put(c, ("0100"):rep(8), CODE + 0x100)
    support.put(c, "0100" .. "73002030", CODE + 0x200) -- c.nop; mret
    c:set("mtvec", CODE + 0x103)
    c:set("mtvt", DATA)
    c:poke(DATA + 4 * 20, string.pack("<I4", CODE + 0x200))
    c:set("mstatus", 8)
    c:set("mintthresh", 0x3F)
    c:offer(20, 0x3F)
    c:run(1)
    assert.equal(CODE + 2, c:get "pc") -- not above the threshold
    c:offer(20, 0x5F)
    c:run(1)
    assert.equal(CODE + 0x102, c:get "pc")
    assert.equal(0x5F000000, c:get "mintstatus")
    assert.equal(0xB8000014, c:get "mcause") -- from level 0, interrupts on
    c:set("mstatus", 0x1888)
    c:offer(20, 0x5F)
    c:run(1)
    assert.equal(CODE + 0x104, c:get "pc") -- the same level does not come again
    c:offer(20, 0x7F, true)
    c:run(1)
    assert.equal(CODE + 0x202, c:get "pc")
    assert.equal(0xB85F0014, c:get "mcause") -- from level 0x5F
    c:offer()
    c:run(1)
    assert.equal(0x5F000000, c:get "mintstatus")
    assert.equal(CODE + 0x104, c:get "pc")
  end)

  it("the performance counter of these chips counts while it is on", function()
    local c = guest(("13000000"):rep(20))
    c:set("csr7e2", 100)
    c:run(5)
    assert.equal(100, c:get "csr7e2")
    c:set("csr7e1", 1)
    c:run(5)
    assert.equal(105, c:get "csr7e2")
    c:set("csr7e1", 0)
    c:run(5)
    assert.equal(105, c:get "csr7e2")
  end)
end)

describe("the processor module", function()
  it("refuses wrong calls", function()
    assert.has_error(function() cpu.new "z80" end)
    local c = cpu.new "rv32"
    assert.has_error(function() c:get "a99" end)
    assert.has_error(function() c:set("a0", 1 << 32) end)
    assert.has_error(function() c:ram(0, 100) end)
    assert.has_error(function() c:run(-1) end)
    assert.has_error(function() c:cycles(-1) end)
    assert.is_nil((c:ram(1, 0x1000)))
    assert.is_nil((c:ram(0xFFFFF000, 0x2000)))
    c:close()
    c:close()
    assert.has_error(function() c:run(1) end)
  end)

  it("reads and writes memory from outside up to where it ends", function()
    local c = cpu.new "rv32"
    c:ram(0x1000, 0x1000, "r")
    assert.equal(2, c:poke(0x1FFE, "abcd"))
    assert.equal("ab", c:peek(0x1FFE, 100))
    assert.equal("", c:peek(0x5000, 4))
    assert.same({ "", 0 }, { c:disassemble(0x5000) })
  end)
end)
