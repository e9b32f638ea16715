-- Bit manipulation (Zba, Zbb, Zbs) and the further 16-bit instructions (Zcb, Zcmp, Zcmt) of RISC-V. Results worked out
-- from the instruction set manual, chapters "B" and "Zc*"; encodings of the former by the GNU assembler, of the
-- latter by
-- hand from the manual's fields.
local support = require "spec.support.cpu"
local CODE, DATA = support.CODE, support.DATA

-- instruction, bytes, registers before, registers after; w0 and w4 are the words that a1 points at
local CASES = {
  { "sh1add a0,a1,a2", "33a5c520", { a1 = 0x80000001, a2 = 0x5 }, { a0 = 0x7 } },
  { "sh2add a0,a1,a2", "33c5c520", { a1 = 0x3, a2 = 0xFFFFFFFF }, { a0 = 0xB } },
  { "sh3add a0,a1,a2", "33e5c520", { a1 = 0x20000001, a2 = 0x1 }, { a0 = 0x9 } },
  { "andn a0,a1,a2", "33f5c540", { a1 = 0xF0F0F0F0, a2 = 0xFF00FF00 }, { a0 = 0xF000F0 } },
  { "orn a0,a1,a2", "33e5c540", { a1 = 0xF0F0, a2 = 0xFF00FF00 }, { a0 = 0xFFF0FF } },
  { "xnor a0,a1,a2", "33c5c540", { a1 = 0xF0F0F0F0, a2 = 0xFFFF0000 }, { a0 = 0xF0F00F0F } },
  { "max a0,a1,a2", "33e5c50a", { a1 = 0x80000000, a2 = 0x1 }, { a0 = 0x1 } },
  { "maxu a0,a1,a2", "33f5c50a", { a1 = 0x80000000, a2 = 0x1 }, { a0 = 0x80000000 } },
  { "min a0,a1,a2", "33c5c50a", { a1 = 0x80000000, a2 = 0x1 }, { a0 = 0x80000000 } },
  { "minu a0,a1,a2", "33d5c50a", { a1 = 0x80000000, a2 = 0x1 }, { a0 = 0x1 } },
  { "rol a0,a1,a2", "3395c560", { a1 = 0x12345678, a2 = 0x24 }, { a0 = 0x23456781 } },
  { "rol a0,a1,a2", "3395c560", { a1 = 0x12345678, a2 = 0x0 }, { a0 = 0x12345678 } },
  { "ror a0,a1,a2", "33d5c560", { a1 = 0x12345678, a2 = 0x24 }, { a0 = 0x81234567 } },
  { "rori a0,a1,31", "13d5f561", { a1 = 0x80000001 }, { a0 = 0x3 } },
  { "clz a0,a1", "13950560", { a1 = 0x0 }, { a0 = 0x20 } },
  { "clz a0,a1", "13950560", { a1 = 0x10000 }, { a0 = 0xF } },
  { "ctz a0,a1", "13951560", { a1 = 0x0 }, { a0 = 0x20 } },
  { "ctz a0,a1", "13951560", { a1 = 0x10000 }, { a0 = 0x10 } },
  { "cpop a0,a1", "13952560", { a1 = 0xFFFFFFFF }, { a0 = 0x20 } },
  { "cpop a0,a1", "13952560", { a1 = 0x80010001 }, { a0 = 0x3 } },
  { "sext.b a0,a1", "13954560", { a1 = 0x12345680 }, { a0 = 0xFFFFFF80 } },
  { "sext.b a0,a1", "13954560", { a1 = 0x1234567F }, { a0 = 0x7F } },
  { "sext.h a0,a1", "13955560", { a1 = 0x12348000 }, { a0 = 0xFFFF8000 } },
  { "zext.h a0,a1", "33c50508", { a1 = 0x1234F678 }, { a0 = 0xF678 } },
  { "orc.b a0,a1", "13d57528", { a1 = 0x1008000 }, { a0 = 0xFF00FF00 } },
  { "rev8 a0,a1", "13d58569", { a1 = 0x11223344 }, { a0 = 0x44332211 } },
  { "bclr a0,a1,a2", "3395c548", { a1 = 0xFFFFFFFF, a2 = 0x3F }, { a0 = 0x7FFFFFFF } },
  { "bclri a0,a1,4", "13954548", { a1 = 0xFF }, { a0 = 0xEF } },
  { "bext a0,a1,a2", "33d5c548", { a1 = 0x80000000, a2 = 0x3F }, { a0 = 0x1 } },
  { "bexti a0,a1,30", "13d5e549", { a1 = 0x40000000 }, { a0 = 0x1 } },
  { "bexti a0,a1,30", "13d5e549", { a1 = 0xBFFFFFFF }, { a0 = 0x0 } },
  { "binv a0,a1,a2", "3395c568", { a1 = 0x11, a2 = 0x24 }, { a0 = 0x1 } },
  { "binvi a0,a1,31", "1395f569", { a1 = 0x1 }, { a0 = 0x80000001 } },
  { "bset a0,a1,a2", "3395c528", { a1 = 0x0, a2 = 0x20 }, { a0 = 0x1 } },
  { "bseti a0,a1,31", "1395f529", { a1 = 0x1 }, { a0 = 0x80000001 } },
  { "c.lbu a0,3(a1)", "e881", {}, { a0 = 0x84 } },
  { "c.lbu a0,1(a1)", "c881", {}, { a0 = 0x22 } },
  { "c.lhu a0,2(a1)", "a885", {}, { a0 = 0x8433 } },
  { "c.lh a0,2(a1)", "e885", {}, { a0 = 0xFFFF8433 } },
  { "c.lh a0,0(a1)", "c885", {}, { a0 = 0x2211 } },
  { "c.sb a3,1(a1)", "d489", { a3 = 0xABCDEF }, { w0 = 0x8433EF11 } },
  { "c.sh a3,2(a1)", "b48d", { a3 = 0xABCDEF }, { w0 = 0xCDEF2211 } },
  { "c.zext.b a0", "619d", { a0 = 0x12345680 }, { a0 = 0x80 } },
  { "c.sext.b a0", "659d", { a0 = 0x12345680 }, { a0 = 0xFFFFFF80 } },
  { "c.zext.h a0", "699d", { a0 = 0x1234F678 }, { a0 = 0xF678 } },
  { "c.sext.h a0", "6d9d", { a0 = 0x1234F678 }, { a0 = 0xFFFFF678 } },
  { "c.not a0", "759d", { a0 = 0xF0F00FF }, { a0 = 0xF0F0FF00 } },
  { "c.mul a0,a1", "4d9d", { a0 = 0x10001, a1 = 0x10001 }, { a0 = 0x20001 } },
  { "cm.push {ra,s0},-16", "52b8", { sp = DATA + 8, ra = 0x11111111, s0 = 0x22222222 },
    { w0 = 0x11111111, w4 = 0x22222222, sp = DATA - 8 } },
  { "cm.push {ra},-64", "4eb8", { sp = DATA + 4, ra = 0x11111111 }, { w0 = 0x11111111, sp = DATA - 60 } },
  { "cm.pop {ra,s0},16", "52ba", { sp = DATA - 8 }, { ra = 0x84332211, s0 = 0x887766F5, sp = DATA + 8 } },
  { "cm.popret {ra,s0},32", "56be", { sp = DATA - 24, a0 = 5 },
    { pc = 0x84332210, s0 = 0x887766F5, a0 = 5, sp = DATA + 8 } },
  { "cm.popretz {ra,s0},16", "52bc", { sp = DATA - 8, a0 = 5 },
    { pc = 0x84332210, s0 = 0x887766F5, a0 = 0, sp = DATA + 8 } },
  { "cm.mvsa01 s0,s2", "2aac", { a0 = 1, a1 = 2 }, { s0 = 1, s2 = 2 } },
  { "cm.mvsa01 s7,s1", "a6af", { a0 = 1, a1 = 2 }, { s7 = 1, s1 = 2 } },
  { "cm.mva01s s1,s3", "eeac", { s1 = 1, s3 = 2 }, { a0 = 1, a1 = 2 } },
  { "cm.mva01s s2,s2", "6aad", { s2 = 7 }, { a0 = 7, a1 = 7 } },
  { "cm.jt 1", "06a0", { jvt = DATA, ra = 0 }, { pc = 0x887766F4, ra = 0 } },
  { "cm.jalt 32", "82a0", { jvt = DATA - 128 }, { pc = 0x84332210, ra = CODE + 2 } },
}

local function new(options)
  local c = support.new("rv32", options or { bits = true, compact = true })
  c:set("a1", DATA)
  return c
end

describe("the RV32 processor with Zb and Zc", function()
  it("executes each instruction", function()
    for _, case in ipairs(CASES) do
      local c <close> = new()
      support.check(c, case[2], case[3], case[4])
      assert.equal(case[1], (c:disassemble(CODE):gsub("0x(%x+)$", function(x) return tonumber(x, 16) end)))
    end
  end)

  it("lacks them where the core does", function()
    for _, case in ipairs(CASES) do
      local c <close> = new {}
      support.put(c, case[2])
      assert.matches("lacks", (select(2, c:run(1))), 1, true)
    end
  end)

  it("lacks what the manual keeps free", function()
    -- a list of 3; cm.mvsa01 s0, s0; c.sext.b without Zbb
    for _, case in ipairs { { "32b8", true }, { "22ac", true }, { "659d", false } } do
      local c <close> = new { bits = case[2], compact = true }
      support.put(c, case[1])
      assert.matches("lacks", (select(2, c:run(1))), 1, true)
    end
  end)

  it("pushes and pops all registers that are kept", function()
    local saved = { "ra", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11" }
    local c <close> = new()
    support.put(c, "f2b8 f2ba") -- cm.push {ra,s0-s11},-64; cm.pop {ra,s0-s11},64
    c:set("sp", DATA + 0x100)
    for i, name in ipairs(saved) do c:set(name, 0x1000 + i) end
    c:run(1)
    assert.equal(DATA + 0x100 - 64, c:get "sp")
    for i = 1, 13 do assert.equal(0x1000 + i, support.word(c, DATA + 0x100 - 4 * (14 - i))) end
    for _, name in ipairs(saved) do c:set(name, 0) end
    c:run(1)
    assert.equal(DATA + 0x100, c:get "sp")
    for i, name in ipairs(saved) do assert.equal(0x1000 + i, c:get(name)) end
  end)

  it("leaves the stack pointer alone when an access fails", function()
    for _, hex in ipairs { "62b8", "62ba", "62be" } do -- cm.push, cm.pop, cm.popret of {ra,s0-s1}
      local c <close> = new()
      support.put(c, hex)
      c:set("sp", hex == "62b8" and CODE + 8 or CODE - 16 - 8)
      c:set("s1", 0x01000100)
      c:set("ra", 0x77)
      local stop = c:run(1)
      if hex == "62b8" then -- below the first page: nothing there
        assert.equal("fault", stop)
        assert.equal(CODE + 8, c:get "sp")
      else
        assert.equal("fault", stop)
        assert.equal(CODE - 24, c:get "sp")
        assert.equal(0x77, c:get "ra")
      end
    end
    local c <close> = new()
    support.put(c, "06a0") -- cm.jt 1
    c:set("jvt", 0x10000000)
    assert.matches("no code", (select(2, c:run(1))), 1, true)
    assert.equal(CODE, c:get "pc")
  end)
end)
