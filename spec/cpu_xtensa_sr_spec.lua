-- Special registers, calls and returns of Xtensa one by one. Results worked out from the Xtensa instruction set
-- reference manual, encodings by hand from its tables. What of it the chips' mask ROMs and our stubs contain was
-- counted with spec/tools/opcodes.lua.
local support = require "spec.support.cpu"
local CODE, DATA = support.CODE, support.DATA

-- instruction, bytes, registers before, registers after
local CASES = {
  { "call4 0x40000008", "550000", { ps = 0x40020 }, { pc = CODE + 8, a4 = 0x40000003, ps = 0x50020 } },
  { "call8 0x40000008", "650000", { ps = 0x40020 }, { pc = CODE + 8, a8 = 0x80000003, ps = 0x60020 } },
  { "call12 0x40000008", "750000", { ps = 0x40020 }, { pc = CODE + 8, a12 = 0xC0000003, ps = 0x70020 } },
  { "callx4 a3", "d00300", { a3 = CODE + 0x11 }, { pc = CODE + 0x11, a4 = 0x40000003 } },
  { "callx8 a3", "e00300", { a3 = CODE + 0x11 }, { pc = CODE + 0x11, a8 = 0x80000003 } },
  { "callx12 a3", "f00300", { a3 = CODE + 0x11 }, { pc = CODE + 0x11, a12 = 0xC0000003 } },
  { "entry a1, 32", "364100", { ps = 0x60020, ar1 = 0x3FFB1000 },
    { windowbase = 2, windowstart = 5, a1 = 0x3FFB0FE0, ar1 = 0x3FFB1000 } },
  { "retw", "900000", { ps = 0x40020, windowbase = 2, windowstart = 5, ar8 = 0x80000010 },
    { pc = CODE + 0x10, windowbase = 0, windowstart = 1 } },
  { "retw.n", "1df0", { ps = 0x40020, windowbase = 3, windowstart = 9, ar12 = 0xC0000010 },
    { pc = CODE + 0x10, windowbase = 0, windowstart = 1 } },
  { "rotw -1", "f08040", { windowbase = 3 }, { windowbase = 2 } },
  { "rotw 7", "708040", { windowbase = 12 }, { windowbase = 3 } },
  { "rfwo", "003400", { windowbase = 2, windowstart = 5, ps = 0x40030, epc1 = CODE + 0x40 },
    { pc = CODE + 0x40, windowbase = 0, windowstart = 1, ps = 0x40020 } },
  { "rfwu", "003500", { windowbase = 2, windowstart = 1, ps = 0x40030, epc1 = CODE + 0x40 },
    { pc = CODE + 0x40, windowbase = 0, windowstart = 5, ps = 0x40020 } },
  { "rfe", "003000", { ps = 0x30, epc1 = CODE + 0x80 }, { pc = CODE + 0x80, ps = 0x20 } },
  { "rfde", "003200", { ps = 0x30, depc = CODE + 0x80 }, { pc = CODE + 0x80, ps = 0x30 } },
  { "rfi 5", "103500", { ps = 0x35, epc5 = CODE + 0x80, eps5 = 0x40022 }, { pc = CODE + 0x80, ps = 0x40022 } },
  { "l32e a2, a3, -16", "20c309", { a3 = DATA + 16 }, { a2 = 0x84332211 } },
  { "s32e a2, a3, -16", "20c349", { a3 = DATA + 16, a2 = 0x12345678 }, { w0 = 0x12345678 } },
  { "rsil a2, 5", "206500", { ps = 0x23 }, { a2 = 0x23, ps = 0x25 } },
  { "simcall", "005100", {}, {} },
  { "rsync", "102000", {}, {} },
  { "esync", "202000", {}, {} },
  { "dsync", "302000", {}, {} },
  { "isync", "002000", {}, {} },
  { "extw", "d02000", {}, {} },
  { "excw", "802000", {}, {} },
  { "witlb a2, a3", "206350", { a2 = 3, a3 = 0x20000000 }, { a2 = 3, a3 = 0x20000000 } },
  { "wdtlb a2, a3", "20e350", { a2 = 3, a3 = 0x20000000 }, { a2 = 3, a3 = 0x20000000 } },
  { "rer a2, a3", "206340", { a2 = 3, a3 = 0x100 }, { a2 = 0 } },
  { "wer a2, a3", "207340", { a2 = 3, a3 = 0x100 }, { a2 = 3 } },
  { "rsr.windowbase a2", "204803", { windowbase = 5 }, { a2 = 5 } },
  { "wsr.windowbase a2", "204813", { a2 = 0x15 }, { windowbase = 5 } },
  { "rsr.interrupt a2", "20e203", { intset = 1 << 29 }, { a2 = 1 << 29 } },
  { "wsr.intset a2", "20e213", { a2 = 1 << 29 | 1 }, { interrupt = 1 << 29 } }, -- 0 is an input
  { "wsr.intclear a2", "20e313", { intset = 1 << 29 | 1 << 7, a2 = 1 << 29 }, { interrupt = 1 << 7 } },
  { "rsr.ps a2", "20e603", { ps = 0x40B2F }, { a2 = 0x40B2F } },
  { "xsr.ps a2", "20e661", { ps = 0x23, a2 = 0x40020 }, { ps = 0x40020, a2 = 0x23 } },
  { "rsr.sar a2", "200303", { sar = 31 }, { a2 = 31 } },
  { "rsr.acchi a2", "201103", { acchi = 0x80 }, { a2 = 0xFFFFFF80 } },
  { "wsr.acchi a2", "201113", { a2 = 0x17F }, { acchi = 0x7F } },
  { "rsr.windowstart a2", "204903", { windowstart = 0x8001 }, { a2 = 0x8001 } },
  { "wsr.windowstart a2", "204913", { a2 = 0x18001 }, { windowstart = 0x8001 } },
}

-- Registers of 32 bits without an effect of their own.
for name, number in pairs {
  lbeg = 0, lend = 1, lcount = 2, scompare1 = 12, acclo = 16, m0 = 32, m1 = 33, m2 = 34, m3 = 35,
  ibreakenable = 96, memctl = 97, atomctl = 99, ddr = 104, ibreaka0 = 128, ibreaka1 = 129, dbreaka0 = 144,
  dbreaka1 = 145, dbreakc0 = 160, dbreakc1 = 161, epc1 = 177, epc2 = 178, epc3 = 179, epc4 = 180, epc5 = 181,
  epc6 = 182, epc7 = 183, depc = 192, eps2 = 194, eps3 = 195, eps4 = 196, eps5 = 197, eps6 = 198, eps7 = 199,
  excsave1 = 209, excsave2 = 210, excsave3 = 211, excsave4 = 212, excsave5 = 213, excsave6 = 214, excsave7 = 215,
  cpenable = 224, intenable = 228, exccause = 232, excvaddr = 238, ccompare0 = 240, ccompare1 = 241,
  ccompare2 = 242, misc0 = 244, misc1 = 245, misc2 = 246, misc3 = 247,
} do
  local x = ("20%02x"):format(number)
  CASES[#CASES + 1] = { "rsr." .. name .. " a2", x .. "03", { [name] = 0x89ABCDE1 }, { a2 = 0x89ABCDE1 } }
  CASES[#CASES + 1] = { "wsr." .. name .. " a2", x .. "13", { a2 = 0x89ABCDE1 }, { [name] = 0x89ABCDE1 } }
  CASES[#CASES + 1] = { "xsr." .. name .. " a2", x .. "61", { [name] = 0x10203040, a2 = 0x89ABCDE1 },
                        { [name] = 0x89ABCDE1, a2 = 0x10203040 } }
end

describe("the Xtensa processor", function()
  support.each(it, "calls, returns and keeps its special registers", CASES, function(case)
    local c <close> = support.new "esp32"
    support.check(c, case[2], case[3], case[4])
    assert.equal(case[1], (c:disassemble(CODE)))
  end)

  it("compares into a register on LX7: salt, saltu", function()
    for core, there in pairs { esp32 = false, esp32s2 = true, esp32s3 = true } do
      for hex, want in pairs { ["402372"] = 1, ["402362"] = 0 } do -- salt a2, a3, a4; saltu a2, a3, a4
        local c <close> = support.new(core)
        if there then
          support.check(c, hex, { a3 = 0xFFFFFFFF, a4 = 1 }, { a2 = want })
        else
          support.put(c, hex)
          assert.equal("fault", (c:run(1)))
        end
      end
    end
    local c <close> = support.new "esp32s3"
    support.check(c, "402362", { a3 = 1, a4 = 0xFFFFFFFF }, { a2 = 1 })
  end)

  it("lacks on LX106 what that core has not", function()
    -- rsr of epc4, ccompare1, windowbase, misc0, cpenable
    for _, hex in ipairs { "20b403", "20f103", "204803", "20f403", "20e003" } do
      local c <close> = support.new "lx106"
      support.put(c, hex)
      assert.equal("fault", (c:run(1)))
    end
    local c <close> = support.new "lx106"
    support.check(c, "20b303", { epc3 = 5 }, { a2 = 5 }) -- rsr.epc3 a2
  end)
end)
