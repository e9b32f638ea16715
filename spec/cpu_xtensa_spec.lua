-- Results worked out from the Xtensa instruction set reference manual. Encodings by the GNU assembler for LX106,
-- for what that core lacks by hand from the manual's tables. The table of spellings is what another public
-- disassembler for the ESP32's core makes of random words; LX106's objdump agrees wherever it knows them.
local cpu = require "esp.core.cpu"
local support = require "spec.support.cpu"

local CODE, DATA = support.CODE, support.DATA

-- instruction, bytes, registers before, registers after; w0 and w4 are the words that a3 points at
local CASES = {
  -- arithmetic
  { "add a2, a3, a4", "402380", { a3 = 0x7FFFFFFF, a4 = 0x1 }, { a2 = 0x80000000 } },
  { "add.n a2, a3, a4", "4a23", { a3 = 0xFFFFFFFF, a4 = 0x2 }, { a2 = 0x1 } },
  { "addx2 a2, a3, a4", "402390", { a3 = 0x80000001, a4 = 0x1 }, { a2 = 0x3 } },
  { "addx4 a2, a3, a4", "4023a0", { a3 = 0x10, a4 = 0x1 }, { a2 = 0x41 } },
  { "addx8 a2, a3, a4", "4023b0", { a3 = 0x10, a4 = 0xFFFFFFFF }, { a2 = 0x7F } },
  { "sub a2, a3, a4", "4023c0", { a3 = 0x0, a4 = 0x1 }, { a2 = 0xFFFFFFFF } },
  { "subx2 a2, a3, a4", "4023d0", { a3 = 0x10, a4 = 0x1 }, { a2 = 0x1F } },
  { "subx4 a2, a3, a4", "4023e0", { a3 = 0x10, a4 = 0x1 }, { a2 = 0x3F } },
  { "subx8 a2, a3, a4", "4023f0", { a3 = 0x10, a4 = 0x81 }, { a2 = 0xFFFFFFFF } },
  { "addi a2, a3, -128", "22c380", { a3 = 0x0 }, { a2 = 0xFFFFFF80 } },
  { "addi a2, a3, 127", "22c37f", { a3 = 0x1 }, { a2 = 0x80 } },
  { "addi.n a2, a3, -1", "0b23", { a3 = 0x0 }, { a2 = 0xFFFFFFFF } },
  { "addi.n a2, a3, 15", "fb23", { a3 = 0x1 }, { a2 = 0x10 } },
  { "addmi a2, a3, -32768", "22d380", { a3 = 0x0 }, { a2 = 0xFFFF8000 } },
  { "addmi a2, a3, 32512", "22d37f", { a3 = 0x1 }, { a2 = 0x7F01 } },
  { "neg a2, a3", "302060", { a3 = 0x80000000 }, { a2 = 0x80000000 } },
  { "neg a2, a3", "302060", { a3 = 0x1 }, { a2 = 0xFFFFFFFF } },
  { "abs a2, a3", "302160", { a3 = 0xFFFFFFFF }, { a2 = 0x1 } },
  { "abs a2, a3", "302160", { a3 = 0x80000000 }, { a2 = 0x80000000 } },
  { "movi a2, -2048", "22a800", {}, { a2 = 0xFFFFF800 } },
  { "movi a2, 2047", "22a7ff", {}, { a2 = 0x7FF } },
  { "movi.n a2, -32", "6c02", {}, { a2 = 0xFFFFFFE0 } },
  { "movi.n a2, 95", "5cf2", {}, { a2 = 0x5F } },
  { "mov.n a2, a3", "2d03", { a3 = 0x12345678 }, { a2 = 0x12345678 } },
  { "moveqz a2, a3, a4", "402383", { a2 = 0x1, a3 = 0x2, a4 = 0x0 }, { a2 = 0x2 } },
  { "moveqz a2, a3, a4", "402383", { a2 = 0x1, a3 = 0x2, a4 = 0x5 }, { a2 = 0x1 } },
  { "movnez a2, a3, a4", "402393", { a2 = 0x1, a3 = 0x2, a4 = 0x5 }, { a2 = 0x2 } },
  { "movltz a2, a3, a4", "4023a3", { a2 = 0x1, a3 = 0x2, a4 = 0x80000000 }, { a2 = 0x2 } },
  { "movltz a2, a3, a4", "4023a3", { a2 = 0x1, a3 = 0x2, a4 = 0x0 }, { a2 = 0x1 } },
  { "movgez a2, a3, a4", "4023b3", { a2 = 0x1, a3 = 0x2, a4 = 0x0 }, { a2 = 0x2 } },
  { "min a2, a3, a4", "402343", { a3 = 0x80000000, a4 = 0x1 }, { a2 = 0x80000000 } },
  { "max a2, a3, a4", "402353", { a3 = 0x80000000, a4 = 0x1 }, { a2 = 0x1 } },
  { "minu a2, a3, a4", "402363", { a3 = 0x80000000, a4 = 0x1 }, { a2 = 0x1 } },
  { "maxu a2, a3, a4", "402373", { a3 = 0x80000000, a4 = 0x1 }, { a2 = 0x80000000 } },
  { "sext a2, a3, 7", "002323", { a3 = 0x1280 }, { a2 = 0xFFFFFF80 } },
  { "sext a2, a3, 22", "f02323", { a3 = 0xFFBFFFFF }, { a2 = 0x3FFFFF } },
  { "clamps a2, a3, 7", "002333", { a3 = 0x80 }, { a2 = 0x7F } },
  { "clamps a2, a3, 7", "002333", { a3 = 0x80000000 }, { a2 = 0xFFFFFF80 } },
  { "clamps a2, a3, 22", "f02333", { a3 = 0x7FFFFFFF }, { a2 = 0x3FFFFF } },
  { "nsa a2, a3", "20e340", { a3 = 0x0 }, { a2 = 0x1F } },
  { "nsa a2, a3", "20e340", { a3 = 0xFFFFFFFF }, { a2 = 0x1F } },
  { "nsa a2, a3", "20e340", { a3 = 0x80000000 }, { a2 = 0x0 } },
  { "nsa a2, a3", "20e340", { a3 = 0x800000 }, { a2 = 0x7 } },
  { "nsau a2, a3", "20f340", { a3 = 0x0 }, { a2 = 0x20 } },
  { "nsau a2, a3", "20f340", { a3 = 0xFFFFFFFF }, { a2 = 0x0 } },
  { "nsau a2, a3", "20f340", { a3 = 0x1 }, { a2 = 0x1F } },
  -- logic and shifts
  { "and a2, a3, a4", "402310", { a3 = 0xF0F0F0F0, a4 = 0xFFFF0000 }, { a2 = 0xF0F00000 } },
  { "or a2, a3, a4", "402320", { a3 = 0xF0F0F0F0, a4 = 0xFFFF0000 }, { a2 = 0xFFFFF0F0 } },
  { "xor a2, a3, a4", "402330", { a3 = 0xF0F0F0F0, a4 = 0xFFFF0000 }, { a2 = 0xF0FF0F0 } },
  { "slli a2, a3, 1", "f02311", { a3 = 0x80000001 }, { a2 = 0x2 } },
  { "slli a2, a3, 31", "102301", { a3 = 0x3 }, { a2 = 0x80000000 } },
  { "srli a2, a3, 15", "302f41", { a3 = 0x80000000 }, { a2 = 0x10000 } },
  { "srai a2, a3, 31", "302f31", { a3 = 0x80000000 }, { a2 = 0xFFFFFFFF } },
  { "srai a2, a3, 0", "302021", { a3 = 0x80000000 }, { a2 = 0x80000000 } },
  { "extui a2, a3, 31, 1", "302f05", { a3 = 0x80000000 }, { a2 = 0x1 } },
  { "extui a2, a3, 4, 16", "3024f4", { a3 = 0xFFABCDEF }, { a2 = 0xBCDE } },
  { "sll a2, a3", "0023a1", { sar = 0x20, a3 = 0x12345678 }, { a2 = 0x12345678 } },
  { "sll a2, a3", "0023a1", { sar = 0x0, a3 = 0x12345678 }, { a2 = 0x0 } },
  { "sll a2, a3", "0023a1", { sar = 0x1F, a3 = 0x12345678 }, { a2 = 0x2468ACF0 } },
  { "srl a2, a3", "302091", { sar = 0x1F, a3 = 0x80000000 }, { a2 = 0x1 } },
  { "srl a2, a3", "302091", { sar = 0x20, a3 = 0x80000000 }, { a2 = 0x0 } },
  { "sra a2, a3", "3020b1", { sar = 0x4, a3 = 0x80000000 }, { a2 = 0xF8000000 } },
  { "sra a2, a3", "3020b1", { sar = 0x20, a3 = 0x80000000 }, { a2 = 0xFFFFFFFF } },
  { "src a2, a3, a4", "402381", { sar = 0x8, a3 = 0x11, a4 = 0x22334455 }, { a2 = 0x11223344 } },
  { "src a2, a3, a4", "402381", { sar = 0x20, a3 = 0x11, a4 = 0x22334455 }, { a2 = 0x11 } },
  { "ssl a3", "001340", { a3 = 0x4 }, { sar = 0x1C } },
  { "ssl a3", "001340", { a3 = 0x20 }, { sar = 0x20 } },
  { "ssr a3", "000340", { a3 = 0x24 }, { sar = 0x4 } },
  { "ssa8l a3", "002340", { a3 = 0x3 }, { sar = 0x18 } },
  { "ssa8b a3", "003340", { a3 = 0x3 }, { sar = 0x8 } },
  { "ssai 31", "104f40", {}, { sar = 0x1F } },
  -- multiplication and division
  { "mul16u a2, a3, a4", "4023c1", { a3 = 0x1FFFF, a4 = 0x2FFFF }, { a2 = 0xFFFE0001 } },
  { "mul16s a2, a3, a4", "4023d1", { a3 = 0x1FFFF, a4 = 0x28000 }, { a2 = 0x8000 } },
  { "mull a2, a3, a4", "402382", { a3 = 0xFFFFFFFF, a4 = 0xFFFFFFFF }, { a2 = 0x1 } },
  { "muluh a2, a3, a4", "4023a2", { a3 = 0xFFFFFFFF, a4 = 0xFFFFFFFF }, { a2 = 0xFFFFFFFE } },
  { "mulsh a2, a3, a4", "4023b2", { a3 = 0x80000000, a4 = 0x80000000 }, { a2 = 0x40000000 } },
  { "mulsh a2, a3, a4", "4023b2", { a3 = 0xFFFFFFFF, a4 = 0x1 }, { a2 = 0xFFFFFFFF } },
  { "quou a2, a3, a4", "4023c2", { a3 = 0xFFFFFFF9, a4 = 0x2 }, { a2 = 0x7FFFFFFC } },
  { "quos a2, a3, a4", "4023d2", { a3 = 0xFFFFFFF9, a4 = 0x2 }, { a2 = 0xFFFFFFFD } },
  { "quos a2, a3, a4", "4023d2", { a3 = 0x80000000, a4 = 0xFFFFFFFF }, { a2 = 0x80000000 } },
  { "remu a2, a3, a4", "4023e2", { a3 = 0xFFFFFFF9, a4 = 0x2 }, { a2 = 0x1 } },
  { "rems a2, a3, a4", "4023f2", { a3 = 0xFFFFFFF9, a4 = 0x2 }, { a2 = 0xFFFFFFFF } },
  { "rems a2, a3, a4", "4023f2", { a3 = 0x80000000, a4 = 0xFFFFFFFF }, { a2 = 0x0 } },
  -- loads and stores; a3 points at 11 22 33 84 | F5 66 77 88
  { "l8ui a2, a3, 3", "220303", {}, { a2 = 0x84 } },
  { "l16ui a2, a3, 2", "221301", {}, { a2 = 0x8433 } },
  { "l16si a2, a3, 2", "229301", {}, { a2 = 0xFFFF8433 } },
  { "l16si a2, a3, 0", "229300", {}, { a2 = 0x2211 } },
  { "l32i a2, a3, 4", "222301", {}, { a2 = 0x887766F5 } },
  { "l32i.n a2, a3, 4", "2813", {}, { a2 = 0x887766F5 } },
  { "l32i a2, a5, 1020", "2225ff", { a5 = 0x40001C08 }, { a2 = 0x887766F5 } },
  { "s8i a4, a3, 1", "424301", { a4 = 0xABCDEF }, { w0 = 0x8433EF11 } },
  { "s16i a4, a3, 2", "425301", { a4 = 0xABCDEF }, { w0 = 0xCDEF2211 } },
  { "s32i a4, a3, 4", "426301", { a4 = 0xDEADBEEF }, { w4 = 0xDEADBEEF } },
  { "s32i.n a4, a3, 0", "4903", { a4 = 0xDEADBEEF }, { w0 = 0xDEADBEEF } },
  { "l32ai a2, a3, 4", "22b301", {}, { a2 = 0x887766F5 } },
  { "s32ri a2, a3, 4", "22f301", { a2 = 0x12345678 }, { w4 = 0x12345678 } },
  { "s32c1i a2, a3, 0", "22e300", { a2 = 0x1, scompare1 = 0x84332211 }, { a2 = 0x84332211, w0 = 0x1 } },
  { "s32c1i a2, a3, 0", "22e300", { a2 = 0x1, scompare1 = 0x0 }, { a2 = 0x84332211, w0 = 0x84332211 } },
  -- branches and jumps; the distance counts from the instruction
  { "beqz a2, .+20", "160201", { a2 = 0x0 }, { pc = 0x40000014 } },
  { "beqz a2, .+20", "160201", { a2 = 0x1 }, { pc = 0x40000003 } },
  { "bnez a2, .-20", "5682fe", { a2 = 0x1 }, { pc = 0x3FFFFFEC } },
  { "bltz a2, .+20", "960201", { a2 = 0x80000000 }, { pc = 0x40000014 } },
  { "bltz a2, .+20", "960201", { a2 = 0x0 }, { pc = 0x40000003 } },
  { "bgez a2, .+20", "d60201", { a2 = 0x0 }, { pc = 0x40000014 } },
  { "beqz.n a2, .+20", "9c02", { a2 = 0x0 }, { pc = 0x40000014 } },
  { "bnez.n a2, .+20", "dc02", { a2 = 0x0 }, { pc = 0x40000002 } },
  { "bnez.n a2, .+20", "dc02", { a2 = 0x1 }, { pc = 0x40000014 } },
  { "beq a2, a4, .+20", "471210", { a2 = 0x5, a4 = 0x5 }, { pc = 0x40000014 } },
  { "bne a2, a4, .+20", "479210", { a2 = 0x5, a4 = 0x5 }, { pc = 0x40000003 } },
  { "bne a2, a4, .+20", "479210", { a2 = 0x5, a4 = 0x6 }, { pc = 0x40000014 } },
  { "blt a2, a4, .+20", "472210", { a2 = 0xFFFFFFFF, a4 = 0x0 }, { pc = 0x40000014 } },
  { "bge a2, a4, .+20", "47a210", { a2 = 0xFFFFFFFF, a4 = 0x0 }, { pc = 0x40000003 } },
  { "bge a2, a4, .+20", "47a210", { a2 = 0x0, a4 = 0xFFFFFFFF }, { pc = 0x40000014 } },
  { "bltu a2, a4, .+20", "473210", { a2 = 0xFFFFFFFF, a4 = 0x0 }, { pc = 0x40000003 } },
  { "bltu a2, a4, .+20", "473210", { a2 = 0x0, a4 = 0xFFFFFFFF }, { pc = 0x40000014 } },
  { "bgeu a2, a4, .+20", "47b210", { a2 = 0xFFFFFFFF, a4 = 0x0 }, { pc = 0x40000014 } },
  { "bany a2, a4, .+20", "478210", { a2 = 0xF0, a4 = 0x18 }, { pc = 0x40000014 } },
  { "bnone a2, a4, .+20", "470210", { a2 = 0xF0, a4 = 0xF }, { pc = 0x40000014 } },
  { "ball a2, a4, .+20", "474210", { a2 = 0xF0, a4 = 0x30 }, { pc = 0x40000014 } },
  { "bnall a2, a4, .+20", "47c210", { a2 = 0xF0, a4 = 0x18 }, { pc = 0x40000014 } },
  { "bbc a2, a4, .+20", "475210", { a2 = 0xF0, a4 = 0x24 }, { pc = 0x40000003 } },
  { "bbc a2, a4, .+20", "475210", { a2 = 0xF0, a4 = 0x20 }, { pc = 0x40000014 } },
  { "bbs a2, a4, .+20", "47d210", { a2 = 0xF0, a4 = 0x24 }, { pc = 0x40000014 } },
  { "bbci a2, 31, .+20", "f77210", { a2 = 0x7FFFFFFF }, { pc = 0x40000014 } },
  { "bbsi a2, 16, .+20", "07f210", { a2 = 0x10000 }, { pc = 0x40000014 } },
  { "beqi a2, -1, .+20", "260210", { a2 = 0xFFFFFFFF }, { pc = 0x40000014 } },
  { "bnei a2, 256, .+20", "66f210", { a2 = 0x100 }, { pc = 0x40000003 } },
  { "bnei a2, 256, .+20", "66f210", { a2 = 0x101 }, { pc = 0x40000014 } },
  { "blti a2, 10, .+20", "a69210", { a2 = 0x80000000 }, { pc = 0x40000014 } },
  { "bgei a2, 12, .+20", "e6a210", { a2 = 0xC }, { pc = 0x40000014 } },
  { "bltui a2, 32768, .+20", "b60210", { a2 = 0x7FFF }, { pc = 0x40000014 } },
  { "bgeui a2, 65536, .+20", "f61210", { a2 = 0xFFFF }, { pc = 0x40000003 } },
  { "bgeui a2, 65536, .+20", "f61210", { a2 = 0x10000 }, { pc = 0x40000014 } },
  { "j .+0x1000", "06ff03", {}, { pc = 0x40001000 } },
  { "jx a2", "a00200", { a2 = 0x40001001 }, { pc = 0x40001001 } },
  { "call0 .+0x400", "c53f00", {}, { a0 = 0x40000003, pc = 0x40000400 } },
  { "callx0 a0", "c00000", { a0 = 0x40001001 }, { a0 = 0x40000003, pc = 0x40001001 } },
  { "ret", "800000", { a0 = 0x40000123 }, { pc = 0x40000123 } },
  { "ret.n", "0df0", { a0 = 0x40000123 }, { pc = 0x40000123 } },
  { "nop", "f02000", {}, { pc = 0x40000003 } },
  { "nop.n", "3df0", {}, { pc = 0x40000002 } },
  -- loops
  { "loop a2, .+20", "768210", { a2 = 0x5 },
    { lcount = 0x4, lbeg = 0x40000003, lend = 0x40000014, pc = 0x40000003 } },
  { "loop a2, .+20", "768210", { a2 = 0x0 }, { lcount = 0xFFFFFFFF, lend = 0x40000014, pc = 0x40000003 } },
  { "loopnez a2, .+20", "769210", { a2 = 0x0 }, { lcount = 0xFFFFFFFF, lend = 0x40000014, pc = 0x40000014 } },
  { "loopgtz a2, .+20", "76a210", { a2 = 0xFFFFFFFF }, { lcount = 0xFFFFFFFE, pc = 0x40000014 } },
  { "loopgtz a2, .+20", "76a210", { a2 = 0x1 }, { lcount = 0x0, pc = 0x40000003 } },
  -- special registers
  { "rsr.prid a2", "20eb03", {}, { a2 = 0xCDCD } },
  { "wsr.sar a2", "200313", { a2 = 0xFF }, { sar = 0x3F } },
  { "xsr.sar a2", "200361", { sar = 0x5, a2 = 0x7 }, { sar = 0x7, a2 = 0x5 } },
  { "wsr.excsave1 a2", "20d113", { a2 = 0x12345678 }, { excsave1 = 0x12345678 } },
  { "wsr.vecbase a2", "20e713", { a2 = 0x400813FF }, { vecbase = 0x40081000 } },
  { "wsr.ps a2", "20e613", { a2 = 0xFFFFFFFF }, { ps = 0x70F3F } },
  { "rsil a2, 3", "206300", { ps = 0x60020 }, { a2 = 0x60020, ps = 0x60023 } },
  { "rsr.ccount a2", "20ea03", {}, { a2 = 0x1 } },
  { "memw", "c02000", {}, { pc = 0x40000003 } },
  { "isync", "002000", {}, { pc = 0x40000003 } },
  { "rur.threadptr a2", "702ee3", { threadptr = 0x12345678 }, { a2 = 0x12345678 } },
  { "wur.threadptr a2", "20e7f3", { a2 = 0x12345678 }, { threadptr = 0x12345678 } },
  -- booleans
  { "andb b2, b3, b4", "402302", { br = 0x18 }, { br = 0x1C } },
  { "andbc b2, b3, b4", "402312", { br = 0x8 }, { br = 0xC } },
  { "orb b2, b3, b4", "402322", { br = 0x10 }, { br = 0x14 } },
  { "orbc b2, b3, b4", "402332", { br = 0x10 }, { br = 0x10 } },
  { "orbc b2, b3, b4", "402332", { br = 0x0 }, { br = 0x4 } },
  { "xorb b2, b3, b4", "402342", { br = 0x18 }, { br = 0x18 } },
  { "xorb b2, b3, b4", "402342", { br = 0x8 }, { br = 0xC } },
  { "any4 b2, b4", "208400", { br = 0x80 }, { br = 0x84 } },
  { "all4 b2, b4", "209400", { br = 0xF0 }, { br = 0xF4 } },
  { "any8 b2, b8", "20a800", { br = 0x100 }, { br = 0x104 } },
  { "all8 b2, b8", "20b800", { br = 0x7F00 }, { br = 0x7F00 } },
  { "all8 b2, b8", "20b800", { br = 0xFF00 }, { br = 0xFF04 } },
  { "movf a2, a3, b4", "4023c3", { br = 0x0, a3 = 0x5, a4 = 0x0 }, { a2 = 0x5 } },
  { "movt a2, a3, b4", "4023d3", { br = 0x0, a2 = 0x1, a3 = 0x5 }, { a2 = 0x1 } },
  { "movt a2, a3, b4", "4023d3", { br = 0x10, a2 = 0x1, a3 = 0x5 }, { a2 = 0x5 } },
  { "bf b4, .+20", "760410", { br = 0x0 }, { pc = 0x40000014 } },
  { "bt b4, .+20", "761410", { br = 0x0 }, { pc = 0x40000003 } },
  { "bt b4, .+20", "761410", { br = 0x10 }, { pc = 0x40000014 } },
  -- 16-bit multiplications into the accumulator
  { "mul.aa.ll a3, a4", "440374", { a3 = 0x8000, a4 = 0x8000 }, { acclo = 0x40000000, acchi = 0x0 } },
  { "umul.aa.ll a3, a4", "440370", { a3 = 0xFFFF, a4 = 0xFFFF }, { acclo = 0xFFFE0001, acchi = 0x0 } },
  { "mul.aa.hl a3, a4", "440375", { a3 = 0xFFFF0001, a4 = 0x5 }, { acclo = 0xFFFFFFFB, acchi = 0xFFFFFFFF } },
  { "mula.aa.lh a3, a4", "44037a", { acclo = 0xFFFFFFFF, acchi = 0x0, a3 = 0x1, a4 = 0x10000 },
    { acclo = 0x0, acchi = 0x1 } },
  { "muls.aa.hh a3, a4", "44037f", { acclo = 0x0, acchi = 0x0, a3 = 0x10000, a4 = 0x10000 },
    { acclo = 0xFFFFFFFF, acchi = 0xFFFFFFFF } },
  { "mul.ad.lh a3, m3", "440336", { a3 = 0x7, m3 = 0x30000 }, { acclo = 0x15 } },
  { "mul.da.hl m1, a4", "444065", { m1 = 0x20000, a4 = 0xFFFE }, { acclo = 0xFFFFFFFC, acchi = 0xFFFFFFFF } },
  { "mul.dd.ll m0, m2", "040024", { m0 = 0x3, m2 = 0x4 }, { acclo = 0xC } },
  { "mula.dd.ll.ldinc m1, a5, m0, m2", "041508", { a5 = 0x40001FFC, m0 = 0x3, m2 = 0x4 },
    { acclo = 0xC, a5 = 0x40002000, m1 = 0x84332211 } },
  { "ldinc m3, a5", "043580", { a5 = 0x40001FFC }, { m3 = 0x84332211, a5 = 0x40002000 } },
  { "lddec m3, a5", "043590", { a5 = 0x40002008 }, { m3 = 0x887766F5, a5 = 0x40002004 } },
}

local function new(core, options)
  local c = support.new(core or "esp32", options)
  c:set("a3", DATA)
  return c
end

local function program(hex, core, options)
  local c = new(core, options)
  support.put(c, hex)
  return c
end

describe("the Xtensa processor", function()
  for i, case in ipairs(CASES) do
    it(("executes %s (%d)"):format(case[1], i), function()
      local c = new()
      support.check(c, case[2], case[3], case[4])
      if not case[1]:find("[.][+-]") then assert.equal(case[1], (c:disassemble(CODE))) end
    end)
  end

  it("spells instructions as other disassemblers do", function()
    local c = cpu.new "esp32"
    c:ram(0x40080000, 0x20000)
    for line in io.lines "spec/support/xtensa_disassembly.txt" do
      local at, hex, text = line:match "^(%x+) (%x+) (.*)$"
      at = tonumber(at, 16)
      support.put(c, hex, at)
      local got, length = c:disassemble(at)
      assert.equal(text, got)
      assert.equal(#hex // 2, length)
    end
  end)

  it("reads literals that lie before the instruction", function()
    local c = new()
    support.put(c, "78563412", CODE + 0x100)
    support.put(c, "21bfff", CODE + 0x201) -- l32r a2: 65 words before the word that ends behind it
    c:set("pc", CODE + 0x201)
    c:run(1)
    assert.equal(0x12345678, c:get "a2")
  end)

  -- bytes, core, words of the fault, its address
  for name, case in pairs {
    ["ill"] = { "000000", "esp32", "lacks" },
    ["ill.n"] = { "6df0", "esp32", "lacks" },
    ["a word that is no instruction"] = { "0000ff", "lx106", "lacks" },
    ["a wide instruction of LX7"] = { "0e000000", "esp32s3", "lacks" },
    ["quou on LX106"] = { "4023c2", "lx106", "lacks" },
    ["min on LX106"] = { "402343", "lx106", "lacks" },
    ["loop on LX106"] = { "768210", "lx106", "lacks" },
    ["loop on ESP32-S2"] = { "768210", "esp32s2", "lacks" },
    ["entry on LX106"] = { "364100", "lx106", "lacks" },
    ["s32c1i on ESP32-S2"] = { "22e300", "esp32s2", "lacks" },
    ["mul.aa.ll on ESP32-S2"] = { "440374", "esp32s2", "lacks" },
    ["a special register that is not there"] = { "207e03", "esp32", "lacks" },
    ["syscall"] = { "005000", "esp32", "system call", CODE },
    ["simcall on LX106"] = { "005100", "lx106", "lacks" },
    ["break 1, 15"] = { "f04100", "esp32", "break", CODE },
    ["break.n 1"] = { "2df1", "esp32", "break", CODE },
    ["a division by zero"] = { "4023c2", "esp32", "division by zero" },
    ["a load from nowhere"] = { "222000", "esp32", "read where nothing", 0 },
    ["a store to nowhere"] = { "226000", "esp32", "write where nothing", 0 },
    ["an unaligned load on LX106"] = { "221500", "lx106", "unaligned", DATA + 1 },
    ["an unaligned store on LX106"] = { "225500", "lx106", "unaligned", DATA + 1 },
    ["an unaligned compare-and-store"] = { "22e500", "esp32", "unaligned", DATA + 1 },
  } do
    it("stops at " .. name, function()
      local c = program(case[1], case[2])
      c:set("a5", DATA + 1)
      local stop, text, _, address = c:run(10)
      assert.equal("fault", stop)
      assert.matches(case[3], text, 1, true)
      if case[4] then assert.equal(case[4], address) end
      assert.equal(CODE, c:get "pc")
    end)
  end

  it("takes unaligned accesses apart on LX6 and LX7", function()
    local c = program "222300 226400" -- l32i a2, a3, 0; s32i a2, a4, 0
    c:set("a3", DATA + 1)
    c:set("a4", DATA + 0xFFE)
    c:run(2)
    assert.equal(0xF5843322, c:get "a2")
    assert.equal(support.unhex "223384F5", c:peek(DATA + 0xFFE, 4))
  end)

  it("stops with idle at waiti and at a jump to itself, and stays so", function()
    for _, hex in ipairs { "007000", "06ffff", "52a000 16c5ff" } do -- waiti 0; j .; movi a5, 0, beqz a5, .
      local c = program(hex .. "3df0")
      assert.equal("idle", (c:run(100)))
      assert.equal("idle", (c:run(100)))
    end
  end)

  it("describes a fault with the instruction and the registers", function()
    local c = program "226500" -- s32i a2, a5, 0
    c:set("a5", 0x12345678)
    c:run(1)
    local text = c:describe()
    assert.matches("write where nothing can be written, address 0x12345678", text, 1, true)
    assert.matches("pc 0x40000000: s32i a2, a5, 0", text, 1, true)
    assert.matches("a5       0x12345678", text, 1, true)
  end)

  it("executes code that was changed", function()
    -- addi a2, a2, 1; s32i a4, a5, 0; j back: the store makes the first one addi a2, a2, 16
    local c = program "22c201 426500 86fdff"
    c:set("a5", CODE)
    c:set("a4", 0x4210C222)
    c:run(6)
    assert.equal(1 + 16, c:get "a2")
  end)
end)

describe("Xtensa loops", function()
  local function run(hex, count)
    local c = program(hex)
    c:set("ps", 0x20)
    c:set("a2", count)
    c:set("a4", 0)
    c:run(1000)
    return c
  end

  it("repeat without branches", function()
    for _, n in ipairs { 1, 2, 100 } do
      local c = run("768204 42c401 3df0 06ffff", n) -- loop a2; addi a4, a4, 1; nop.n; j .
      assert.equal(n, c:get "a4")
      assert.equal(0, c:get "lcount")
    end
  end)

  it("are skipped by loopnez and loopgtz", function()
    assert.equal(0, run("769204 42c401 3df0 06ffff", 0):get "a4")
    assert.equal(0, run("76a204 42c401 3df0 06ffff", 0x80000000):get "a4")
  end)

  it("are left by a branch, also by one from the last instruction to just behind", function()
    -- loop a2 (4 bytes); addi.n a4, a4, 1; bnei a4, 3: taken until 3 to the loop's end, so left at once
    local c = run("768204 1b44 6634ff 06ffff", 10)
    assert.equal(1, c:get "a4")
    assert.equal(9, c:get "lcount")
    -- the same with beqi a4, 3: falls through twice, is taken the third time
    c = run("768204 1b44 2634ff 06ffff", 10)
    assert.equal(3, c:get "a4")
  end)

  it("do not loop while an exception is handled", function()
    local c = program "768204 42c401 3df0 06ffff"
    c:set("ps", 0x30)
    c:set("a2", 5)
    c:set("a4", 0)
    c:run(1000)
    assert.equal(1, c:get "a4")
  end)
end)

-- Register windows: a recursive sum with the increment that is asked for, and the usual six handlers.
local function le3(w) return ("%02x%02x%02x"):format(w & 255, w >> 8 & 255, w >> 16) end
local function s32e(t, s, offset) return le3(0x490000 | (offset + 64) // 4 << 12 | s << 8 | t << 4) end
local function l32e(t, s, offset) return le3(0x090000 | (offset + 64) // 4 << 12 | s << 8 | t << 4) end
local RFWO, RFWU = "003400", "003500"

local function range(f, first, last, base, offset)
  local list = {}
  for t = first, last do list[#list + 1] = f(t, base, offset + 4 * (t - first)) end
  return table.concat(list)
end

local HANDLERS = {
  [0x000] = range(s32e, 0, 3, 5, -16) .. RFWO,
  [0x040] = range(l32e, 0, 3, 5, -16) .. RFWU,
  [0x080] = s32e(0, 9, -16) .. l32e(0, 1, -12) .. range(s32e, 1, 3, 9, -12) .. range(s32e, 4, 7, 0, -32) .. RFWO,
  [0x0C0] = range(l32e, 0, 2, 9, -16) .. l32e(7, 1, -12) .. l32e(3, 9, -4) .. range(l32e, 4, 7, 7, -32) .. RFWU,
  [0x100] = s32e(0, 13, -16) .. l32e(0, 1, -12) .. range(s32e, 1, 3, 13, -12) .. range(s32e, 4, 11, 0, -48) .. RFWO,
  [0x140] = range(l32e, 0, 2, 13, -16) .. l32e(11, 1, -12) .. l32e(3, 13, -4) .. range(l32e, 4, 11, 11, -48) .. RFWU,
}
local STACK = 0x3FFE0000

local function windowed()
  local c = new()
  c:ram(STACK - 0x4000, 0x4000)
  c:poke(STACK - 0x200 - 12, string.pack("<I4", STACK - 0x100)) -- the caller's stack pointer
  for offset, hex in pairs(HANDLERS) do support.put(c, hex, 0x40003000 + offset) end
  c:set("vecbase", 0x40003000)
  c:set("ps", 0x40020)
  c:set("windowbase", 0)
  c:set("windowstart", 1)
  c:set("a1", STACK - 0x200)
  return c
end

describe("Xtensa register windows", function()
  for _, n in ipairs { 1, 2, 3 } do
    it(("spill and fill through the handlers with call%d"):format(4 * n), function()
      local c, arg = windowed(), 4 * n + 2
      local f = CODE + 0x400
      support.put(c, "368100" -- entry a1, 64
        .. "168200" -- beqz a2, to the end
        .. le3(0xFFC002 | 2 << 8 | arg << 4) -- addi aN, a2, -1
        .. le3(0x05 | n << 4 | (-8 - 4) // 4 << 6 & 0xFFFFFF) -- callN f, from the word at f + 8
        .. le3(0x802200 | arg << 4) -- add a2, a2, aN
        .. "900000", f) -- retw
      -- caller: callN f; j .
      support.put(c, le3(0x05 | n << 4 | ((f - CODE - 4) // 4) << 6) .. "06ffff")
      c:set("a" .. arg, 50)
      assert.equal("idle", (c:run(100000)))
      assert.equal(CODE + 3, c:get "pc")
      assert.equal(50 * 51 // 2, c:get("a" .. arg))
      assert.equal(STACK - 0x200, c:get "a1")
      assert.equal(0, c:get "windowbase")
      assert.equal(1, c:get "windowstart")
    end)
  end

  it("rotate, also over the end of the registers", function()
    local c = program "708040" -- rotw 7
    for i = 0, 63 do c:set("ar" .. i, 0x100 + i) end
    c:run(1)
    assert.equal(7, c:get "windowbase")
    assert.equal(0x100 + 28, c:get "a0")
    support.put(c, "708040 60f040")
    c:set("pc", CODE)
    c:run(1)
    assert.equal(14, c:get "windowbase")
    for i = 0, 15 do assert.equal(0x100 + (56 + i) % 64, c:get("a" .. i)) end
    c:set("a15", 0x999) -- is physical register 7
    assert.equal(0x999, c:get "ar7")
    c:set("windowbase", 1)
    assert.equal(0x999, c:get "a3")
    c:set("a0", 0x777)
    assert.equal(0x777, c:get "ar4")
  end)

  it("give the registers that a call hides an overflow first", function()
    for _, case in ipairs { { "4b52", 1 << 0 | 1 << 1, 0x40003000, 1 }, -- addi.n a5, a2, 4: next window in use
                            { "4b92", 1 << 0 | 1 << 2, 0x40003000, 2 },
                            { "4bd2", 1 << 0 | 1 << 3, 0x40003000, 3 } } do
      local c = windowed()
      support.put(c, case[1])
      c:set("windowstart", case[2] | 1 << (case[4] + 1)) -- the spilled one is 4 registers long
      c:run(1)
      assert.equal(case[3], c:get "pc")
      assert.equal(case[4], c:get "windowbase")
      assert.equal(0x40030, c:get "ps" & 0x70FFF) -- EXCM, old window base 0
      assert.equal(CODE, c:get "epc1")
    end
  end)

  it("stop a return that does not fit them", function()
    local c = windowed()
    support.put(c, "900000") -- retw with an increment of 0 in a0
    c:set("a0", 0x00000010)
    assert.matches("lacks", (select(2, c:run(1))), 1, true)
    c:set("windowstart", 1 | 1 << 15)
    c:set("a0", 0x80000010) -- says 8, but the caller is 4 away
    assert.matches("lacks", (select(2, c:run(1))), 1, true)
  end)

  it("move the stack pointer only while the caller's registers are there", function()
    local c = windowed()
    support.put(c, "101200") -- movsp a1, a2
    c:set("a2", 0x1234)
    assert.equal("fault", (c:run(1)))
    c:set("windowstart", 1 | 1 << 14)
    assert.equal("budget", (c:run(1)))
    assert.equal(0x1234, c:get "a1")
  end)
end)

describe("Xtensa exceptions given to the guest", function()
  local function guest(hex, core)
    local c = new(core, { guest_exceptions = true })
    support.put(c, hex)
    c:set("ps", 0x20)
    return c
  end

  -- bytes, EXCCAUSE, EXCVADDR
  for name, case in pairs {
    ["an illegal instruction"] = { "000000", 0 },
    ["syscall"] = { "005000", 1 },
    ["a division by zero"] = { "4023c2", 6 },
    ["a load from nowhere"] = { "222000", 28, 0 },
    ["a store to nowhere"] = { "226000", 29, 0 },
  } do
    it("enter the vector on " .. name, function()
      local c = guest(case[1])
      c:set("a0", 0)
      c:run(1)
      assert.equal(CODE + 0x340, c:get "pc")
      assert.equal(case[2], c:get "exccause")
      assert.equal(CODE, c:get "epc1")
      assert.equal(0x30, c:get "ps")
      if case[3] then assert.equal(case[3], c:get "excvaddr") end
    end)
  end

  it("go to the kernel vector, to the double exception vector, and to LX106's own", function()
    local c = guest "000000"
    c:set("ps", 0)
    c:run(1)
    assert.equal(CODE + 0x300, c:get "pc")
    support.put(c, "000000", CODE + 0x300)
    c:run(1)
    assert.equal(CODE + 0x3C0, c:get "pc")
    assert.equal(CODE + 0x300, c:get "depc")
    c = guest("000000", "lx106")
    c:run(1)
    assert.equal(CODE + 0x50, c:get "pc")
  end)

  it("come back by rfe, rfi and rfde", function()
    local c = guest "003000"
    c:set("ps", 0x30)
    c:set("epc1", CODE + 0x80)
    c:run(1)
    assert.equal(CODE + 0x80, c:get "pc")
    assert.equal(0x20, c:get "ps")
    support.put(c, "103300", CODE + 0x80) -- rfi 3
    c:set("epc3", CODE + 0x90)
    c:set("eps3", 0x25)
    c:run(1)
    assert.equal(CODE + 0x90, c:get "pc")
    assert.equal(0x25, c:get "ps")
    support.put(c, "003200", CODE + 0x90)
    c:set("depc", CODE + 0xA0)
    c:run(1)
    assert.equal(CODE + 0xA0, c:get "pc")
  end)

  it("enter the debug vector on break, which high interrupt levels hide", function()
    local c = guest "f04100"
    c:run(1)
    assert.equal(CODE + 0x280, c:get "pc")
    assert.equal(CODE, c:get "epc6")
    assert.equal(8, c:get "debugcause")
    c = guest "f04100"
    c:set("ps", 0x26)
    c:run(1)
    assert.equal(CODE + 3, c:get "pc")
  end)

  it("interrupts of level 1 wake waiti and are exceptions", function()
    local c = guest "007000 3df0"
    assert.equal("idle", (c:run(10)))
    c:lines(1)
    assert.equal("idle", (c:run(10))) -- not enabled
    c:set("intenable", 1)
    support.put(c, "3df0", CODE + 0x340)
    assert.equal("budget", (c:run(1)))
    assert.equal(CODE + 0x342, c:get "pc")
    assert.equal(4, c:get "exccause")
    assert.equal(CODE + 3, c:get "epc1")
    assert.equal(1, c:get "interrupt")
  end)

  it("higher levels come first and save PS; edges and software ones are kept until cleared", function()
    local c = guest "3df0"
    support.put(c, "3df0", CODE + 0x1C0)
    c:set("intenable", 1 | 1 << 22 | 1 << 29)
    c:lines(1 | 1 << 22) -- 22: level 3, edge
    c:lines(0)
    assert.equal(1 << 22, c:get "interrupt")
    c:run(1)
    assert.equal(CODE + 0x1C2, c:get "pc")
    assert.equal(0x20, c:get "eps3")
    assert.equal(0x33, c:get "ps")
    assert.equal(CODE, c:get "epc3")
    c:set("intclear", 1 << 22)
    c:set("intset", 1 << 29)
    assert.equal(1 << 29, c:get "interrupt")
  end)

  it("the cycle counter and its timers", function()
    local c = guest(("3df0"):rep(50))
    support.put(c, "3df0", CODE + 0x340)
    c:set("ccount", 1000)
    c:set("ccompare0", 1010)
    c:set("intenable", 1 << 6)
    assert.equal(10, c:next_event())
    c:run(10)
    assert.equal(CODE + 20, c:get "pc")
    assert.equal(1010, c:get "ccount")
    c:run(1)
    assert.equal(CODE + 0x342, c:get "pc")
    assert.equal(CODE + 20, c:get "epc1")
    assert.equal(1 << 6, c:get "interrupt")
    c:set("ccompare0", 5000) -- acknowledges
    assert.equal(0, c:get "interrupt")
  end)

  it("time may be set forward while waiting, up to the timer", function()
    local c = guest "007000 3df0"
    support.put(c, "3df0", CODE + 0x340)
    c:set("ccompare1", 1000000)
    c:set("intenable", 1 << 15) -- level 3
    support.put(c, "3df0", CODE + 0x1C0)
    assert.equal("idle", (c:run(100)))
    c:cycles(c:next_event())
    assert.equal("budget", (c:run(1)))
    assert.equal(CODE + 0x1C2, c:get "pc")
  end)
end)
