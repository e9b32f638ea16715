-- The single-precision coprocessor. Numbers worked out by hand from IEEE 754; quotients and roots by the host's
-- double precision, whose rounding to single precision is exact for them. Encodings by hand from the tables of
-- the Xtensa instruction set manual.
local support = require "spec.support.cpu"
local CODE, DATA = support.CODE, support.DATA
local ONE, TWO, HALF, NAN, SNAN, INF = 0x3F800000, 0x40000000, 0x3F000000, 0x7FC00000, 0x7F800001, 0x7F800000
local I, O, V = 1 << 7, 1 << 9, 1 << 11 -- flags in FSR

-- instruction, bytes, registers before, registers after; w0 is the word at DATA
local CASES = {
  { "add.s f2, f3, f4", "40230a", { f3 = 0x3FC00000, f4 = 0x40100000 }, { f2 = 0x40700000, fsr = 0 } },
  { "add.s f2, f3, f4", "40230a", { f3 = ONE, f4 = 0x30000000 }, { f2 = ONE, fsr = I } },
  { "add.s f2, f3, f4", "40230a", { f3 = ONE, f4 = 0x30000000, fcr = 2 }, { f2 = 0x3F800001 } },
  { "add.s f2, f3, f4", "40230a", { f3 = INF, f4 = 0xFF800000 }, { fsr = V } },
  { "sub.s f2, f3, f4", "40231a", { f3 = ONE, f4 = TWO }, { f2 = 0xBF800000 } },
  { "mul.s f2, f3, f4", "40232a", { f3 = 0x40400000, f4 = 0xC0000000 }, { f2 = 0xC0C00000 } },
  { "mul.s f2, f3, f4", "40232a", { f3 = 0x7F000000, f4 = TWO, fcr = 1 }, { f2 = 0x7F7FFFFF, fsr = O | I } },
  { "madd.s f2, f3, f4", "40234a", { f2 = ONE, f3 = TWO, f4 = 0x40400000 }, { f2 = 0x40E00000 } },
  { "msub.s f2, f3, f4", "40235a", { f2 = ONE, f3 = TWO, f4 = 0x40400000 }, { f2 = 0xC0A00000 } },
  { "maddn.s f2, f3, f4", "40236a", { f2 = ONE, f3 = TWO, f4 = 0x40400000, fcr = 1 }, { f2 = 0x40E00000 } },
  { "mov.s f2, f3", "0023fa", { f3 = SNAN }, { f2 = SNAN, fsr = 0 } },
  { "abs.s f2, f3", "1023fa", { f3 = 0xBF800000 }, { f2 = ONE } },
  { "neg.s f2, f3", "6023fa", { f3 = 0 }, { f2 = 0x80000000 } },
  { "const.s f2, 1", "3021fa", {}, { f2 = ONE } },
  { "const.s f2, 3", "3023fa", {}, { f2 = HALF } },
  { "rfr a2, f3", "4023fa", { f3 = SNAN }, { a2 = SNAN } },
  { "wfr f2, a3", "5023fa", { a3 = 0x12345678 }, { f2 = 0x12345678 } },
  { "recip0.s f2, f3", "8023fa", { f3 = 0x40800000 }, { f2 = 0x3E800000 } },
  { "rsqrt0.s f2, f3", "a023fa", { f3 = 0x40800000 }, { f2 = HALF } },
  { "nexp01.s f2, f3", "b023fa", { f3 = 0x41400000 }, { f2 = 0xBFC00000 } }, -- 12 = 1.5 * 8
  { "oeq.s b2, f3, f4", "40232b", { br = 0, f3 = 0, f4 = 0x80000000 }, { br = 4, fsr = 0 } },
  { "oeq.s b2, f3, f4", "40232b", { br = 0xFFFF, f3 = NAN, f4 = NAN }, { br = 0xFFFB, fsr = 0 } },
  { "oeq.s b2, f3, f4", "40232b", { f3 = SNAN, f4 = ONE }, { fsr = V } },
  { "ueq.s b2, f3, f4", "40233b", { f3 = NAN, f4 = ONE }, { br = 4 } },
  { "un.s b2, f3, f4", "40231b", { f3 = NAN, f4 = ONE }, { br = 4 } },
  { "olt.s b2, f3, f4", "40234b", { f3 = ONE, f4 = TWO }, { br = 4 } },
  { "olt.s b2, f3, f4", "40234b", { f3 = ONE, f4 = NAN }, { br = 0, fsr = V } },
  { "ult.s b2, f3, f4", "40235b", { f3 = ONE, f4 = NAN }, { br = 4, fsr = 0 } },
  { "ole.s b2, f3, f4", "40236b", { f3 = TWO, f4 = TWO }, { br = 4 } },
  { "ule.s b2, f3, f4", "40237b", { f3 = TWO, f4 = ONE }, { br = 0 } },
  { "ule.s b2, f3, f4", "40237b", { br = 0, f3 = TWO, f4 = NAN }, { br = 4 } },
  { "moveqz.s f2, f3, a4", "40238b", { f2 = ONE, f3 = TWO, a4 = 0 }, { f2 = TWO } },
  { "movnez.s f2, f3, a4", "40239b", { f2 = ONE, f3 = TWO, a4 = 0 }, { f2 = ONE } },
  { "movnez.s f2, f3, a4", "40239b", { f2 = ONE, f3 = TWO, a4 = 1 }, { f2 = TWO } },
  { "movltz.s f2, f3, a4", "4023ab", { f2 = ONE, f3 = TWO, a4 = 0x80000000 }, { f2 = TWO } },
  { "movgez.s f2, f3, a4", "4023bb", { f2 = ONE, f3 = TWO, a4 = 0x80000000 }, { f2 = ONE } },
  { "movgez.s f2, f3, a4", "4023bb", { f2 = ONE, f3 = TWO, a4 = 0 }, { f2 = TWO } },
  { "movf.s f2, f3, b4", "4023cb", { f2 = ONE, f3 = TWO, br = 0x10 }, { f2 = ONE } },
  { "movf.s f2, f3, b4", "4023cb", { f2 = ONE, f3 = TWO, br = 0 }, { f2 = TWO } },
  { "movt.s f2, f3, b4", "4023db", { f2 = ONE, f3 = TWO, br = 0x10 }, { f2 = TWO } },
  { "round.s a2, f3, 0", "00238a", { f3 = 0x40200000 }, { a2 = 2, fsr = I } }, -- 2.5
  { "round.s a2, f3, 1", "10238a", { f3 = 0x40200000 }, { a2 = 5, fsr = 0 } },
  { "trunc.s a2, f3, 0", "00239a", { f3 = 0xC0200000 }, { a2 = 0xFFFFFFFE } },
  { "trunc.s a2, f3, 0", "00239a", { f3 = 0x4F000000 }, { a2 = 0x7FFFFFFF, fsr = V } },
  { "trunc.s a2, f3, 0", "00239a", { f3 = NAN }, { a2 = 0x7FFFFFFF, fsr = V } },
  { "floor.s a2, f3, 0", "0023aa", { f3 = 0xC0200000 }, { a2 = 0xFFFFFFFD } },
  { "ceil.s a2, f3, 0", "0023ba", { f3 = 0x40200000 }, { a2 = 3 } },
  { "utrunc.s a2, f3, 0", "0023ea", { f3 = 0x4F000000 }, { a2 = 0x80000000, fsr = 0 } },
  { "float.s f2, a3, 4", "4023ca", { a3 = 0xFFFFFFF8 }, { f2 = 0xBF000000 } },
  { "ufloat.s f2, a3, 0", "0023da", { a3 = 0xFFFFFFFF }, { f2 = 0x4F800000, fsr = I } },
  { "lsi f2, a3, 4", "230301", { a3 = DATA - 4 }, { f2 = 0x84332211 } },
  { "ssi f2, a3, 4", "234301", { a3 = DATA - 4, f2 = ONE }, { w0 = ONE } },
  { "lsip f2, a3, 4", "238301", { a3 = DATA }, { f2 = 0x84332211, a3 = DATA + 4 } },
  { "ssip f2, a3, 4", "23c301", { a3 = DATA, f2 = ONE }, { w0 = ONE, a3 = DATA + 4 } },
  { "lsx f2, a3, a4", "402308", { a3 = DATA - 8, a4 = 8 }, { f2 = 0x84332211 } },
  { "lsxp f2, a3, a4", "402318", { a3 = DATA, a4 = 8 }, { f2 = 0x84332211, a3 = DATA + 8 } },
  { "ssx f2, a3, a4", "402348", { a3 = DATA - 8, a4 = 8, f2 = ONE }, { w0 = ONE } },
  { "ssxp f2, a3, a4", "402358", { a3 = DATA, a4 = 8, f2 = ONE }, { w0 = ONE, a3 = DATA + 8 } },
}

-- The sequences of the manual: f2 = f0 / f1 by div0.s, nexp01.s, maddn.s, mkdadj.s, addexpm.s, addexp.s and divn.s;
-- f2 = root of f1, of which the end is enough: sqrt0.s, mksadj.s, addexpm.s, addexp.s, divn.s.
local DIVIDE = [[
  7031fa b041fa 3051fa 30546a 0063fa 0071fa b020fa 60656a 3051fa 3090fa 6082fa 60546a 30986a d070fa
  60656a 90846a 3031fa 60346a 60986a 6022fa 60636a 90246a f097fa e067fa 60927a 0029fa ]]
local ROOT = [[ 9031fa c021fa f002fa e032fa 30207a ]] -- the end of it

local function float(x) return (string.unpack("<I4", string.pack("<f", x))) end
local function number(u) return (string.unpack("<f", string.pack("<I4", u))) end

local function new()
  local c = support.new "esp32"
  c:set("cpenable", 1)
  return c
end

describe("the floating-point coprocessor of Xtensa", function()
  support.each(it, "executes each instruction", CASES, function(case)
    local c <close> = new()
    support.check(c, case[2], case[3], case[4])
    assert.equal(case[1], (c:disassemble(CODE)))
  end)

  it("divides and takes roots by the manual's sequences", function()
    for _, case in ipairs { { 1, 3 }, { -7.5, 2.5 }, { 1e30, 1e-30 }, { 1e-38, 100 }, { 5, 0 }, { 3.4e38, 1.5 } } do
      local c <close> = new()
      local a, b = float(case[1]), float(case[2])
      support.put(c, DIVIDE)
      c:set("f0", a)
      c:set("f1", b)
      assert.equal("budget", (c:run(26)))
      assert.equal(float(number(a) / number(b)), c:get "f2")
      support.put(c, ROOT)
      c:set("pc", CODE)
      c:set("f1", b)
      assert.equal("budget", (c:run(5)))
      assert.equal(float(number(b) ^ 0.5), c:get "f2")
    end
  end)

  it("is off until CPENABLE says otherwise", function()
    local c <close> = support.new("esp32", { guest_exceptions = true })
    support.put(c, "40230a") -- add.s f2, f3, f4
    c:set("ps", 0x20)
    c:run(1)
    assert.equal(CODE + 0x340, c:get "pc")
    assert.equal(32, c:get "exccause")
    assert.equal(CODE, c:get "epc1")
  end)

  it("is not there on ESP32-S2", function()
    local c <close> = support.new "esp32s2"
    support.put(c, "40230a")
    assert.matches("lacks", (select(2, c:run(1))), 1, true)
  end)
end)
