-- Instructions per second of the two simulated processors, by CPU time of one core.
--
-- The program, in C, translated by GCC -O2 for RV32IMC and for Xtensa without register windows:
--   for (;;) {
--     for (i = 0; i < 128; i++) w[i] = s = mix(s, 4);    /* x = x * 1664525 + 1013904223; a table of sums */
--     sort(w, 128);                                       /* by insertion */
--     copy(d, w, 512);                                    /* word by word */
--     s += crc(d, 512) + fib(12);                         /* CRC-32 bit by bit; recursion */
--   }
-- Memory: for (;;) { words copied and changed; bytes summed up and stored; words at odd distances; a word written and
-- another read, each 4096 times }, on 16 KiB, by the same compilers.
-- Windows, by hand: a recursive sum with call8, 4 deep (all in registers) and 40 deep (spills and fills four registers
-- of most calls through the handlers of windows overflow and underflow, as the code of a ROM does).
local cpu = require "esp.core.cpu"
local CODE, NEEDED, SLICE = 0x40000000, 60, 1000000

local function unhex(text)
  return (text:gsub("%s+", ""):gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end))
end

local RISCV = unhex [[
    85c93786b8edaa95fd57130606328346050021470505b58f93f617007d17858391c2b18f75fbe314b5fe13c5f7ff82800145
    8280098219ca0a063307c5009c4111059105232ef5fee31ba7fe828085481303450063d7b802032803009a87468729a094c3
    9307c6ff11cf83a6c7ff7d173e86e368d8fe2320060185081103e39d15fd82802a862320060185081103e39515fdc5bf0111
    26ca06ce22cc4ac84ec68547aa8463ffa7002a84014985491305f4ffcd3779142a99e3eb89fe858833852401f2406244d244
    4249b249056182809386f5ff8dcd37681900b7f56e3c1308d8609385f53537430140fd5833050503fd162e95935785019387
    07108a079a97984313568500329798c3e39116ff828001114ac83749014022cc4ec606ce26ca054413090920b7890140b744
    014022859145793f88c091042a84e39a24ff9305000837450140213713060020b745014037050140c5359305002037050140
    4d35aa843145053faa94269423a0890075bf ]]
local XTENSA = unhex [[
    2083b8ed0d6619005ff36e3c00400140004201400000014000800140acc371f8ff3a827cf35202000c845033303060043031
    417053300b4460359356e4fe1b222798e17cf2302230860000002d030df040424116d4002044a058034b3359024b224792f4
    0df000009d0282a001a6232778194d095d08860100691442c4fc8cb568040b556737f14b44860000004d0279041b884b9987
    93d70df0000012c1f0e9010931c921d911ed02b62215cd020c0d0b2c85feffc2ccfe2addf62cf2e0e004da2e0831c821d811
    e80112c1100df0000b53ac3391ccff81ccff71ccff9022820b558a2220387532d3017033a048032068416a4449036605e30d
    f00012c1e0d951d1c3ffc961f9310971e26104f2a001c2a004e1beff2d0fc03c2045fbff290e4beefd02d79eee21b9ff32a0
    8085f3ff31b7ff21b8ff42a20045f1ff21b6ff32a20085edffed020cc205f5ff2a2e2aff21b2ffc02000f902c6edff ]]

local RISCV_MEMORY = unhex [[
    05650547916e374e0140375301409308f5ffb705014037380400b707014094433386fe009107ba9614c2e39ac7ff83c607008507
    36979376f70fa38fd7fee39867fe8146b3f716018a07ae979c43938636043d8fe39806ff01469376f603930776008a0693f7f703
    ae968a0798c2ae979c4305063e97e312a6fe45b7 ]]
local XTENSA_MEMORY = unhex [[
    000001400040014000500140003004000010000061fbffa1fbff91fbff81fbff71fcff32a0012d06480252d24030448042650022
    c204a792eec020004202004040744a33304074c020004242001b229792e60c022040b46044a0c0200042240022c2434033308792
    ea42a0004050547b246055a0202054c0200039056022a0c0200028021b442a337794e0c6e5ff0000 ]]

local function le3(w) return string.char(w & 255, w >> 8 & 255, w >> 16 & 255) end
local function s32e(t, s, offset) return le3(0x490000 | (offset + 64) // 4 << 12 | s << 8 | t << 4) end
local function l32e(t, s, offset) return le3(0x090000 | (offset + 64) // 4 << 12 | s << 8 | t << 4) end
local function call8(from, to) return le3(0x25 | ((to - from - 4) // 4 & 0x3FFFF) << 6) end

-- The handlers of call8's windows at 0x80 and 0xC0, as the manual has them; main at 0x400, the sum at 0x440.
local function windowed(depth)
  local over, under = s32e(0, 9, -16) .. l32e(0, 1, -12), l32e(0, 9, -16) .. l32e(1, 9, -12) .. l32e(2, 9, -8)
  for t = 1, 3 do over = over .. s32e(t, 9, 4 * t - 16) end
  for t = 4, 7 do over = over .. s32e(t, 0, 4 * t - 48) end
  under = under .. l32e(7, 1, -12) .. l32e(3, 9, -4)
  for t = 4, 7 do under = under .. l32e(t, 7, 4 * t - 48) end
  local main = le3(0x00A002 | 10 << 4 | depth << 16) .. "\xF0\x20\0" .. "\x3D\xF0" .. call8(0x408, 0x440)
  main = main .. le3(0x06 | (-15 & 0x3FFFF) << 6) -- j to main
  local sum = "\x36\x81\0" .. "\x16\xB2\0" .. "\xA2\xC2\xFF" .. "\xF0\x20\0" .. call8(0x44C, 0x440)
    .. "\xA0\x22\x80" .. "\x90\0\0" -- entry; beqz a2; addi a10, a2, -1; nop; call8; add a2, a2, a10; retw
  local text = ("\0"):rep(0x80) .. over .. "\0\x34\0"
  text = text .. ("\0"):rep(0xC0 - #text) .. under .. "\0\x35\0"
  text = text .. ("\0"):rep(0x400 - #text) .. main
  return text .. ("\0"):rep(0x440 - #text) .. sum
end

local function rate(core, options, code, entry)
  local c <close> = cpu.new(core, options)
  c:ram(CODE, 0x20000)
  c:poke(CODE, code)
  c:set("pc", CODE + entry)
  c:set(core == "rv32" and "sp" or "a1", CODE + 0x1FF00)
  if options.windows then
    c:set("vecbase", CODE)
    c:set("ps", 0x40020)
    c:set("windowstart", 1)
    c:poke(CODE + 0x1FF00 - 12, string.pack("<I4", CODE + 0x1FF80)) -- the caller's stack pointer
  end
  assert(c:run(SLICE) == "budget", c:describe())
  local best = 0
  for _ = 1, 5 do
    local before, start = c:cycles(), os.clock()
    repeat
      assert(c:run(SLICE) == "budget", c:describe())
    until os.clock() - start > 0.25
    best = math.max(best, (c:cycles() - before) / (os.clock() - start) / 1e6)
  end
  return best
end

print(("%-36s %10s"):format("processors", "MIPS"))
local met = true
for _, case in ipairs {
  { "RISC-V, RV32IMC", "rv32", { atomics = false, floats = false }, RISCV, 0x110 },
  { "Xtensa, LX106", "lx106", {}, XTENSA, 0xFC },
  { "Xtensa, ESP32", "esp32", {}, XTENSA, 0xFC },
  { "RISC-V, memory", "rv32", { atomics = false, floats = false }, RISCV_MEMORY, 0 },
  { "Xtensa, ESP32, memory", "esp32", {}, XTENSA_MEMORY, 0x14 },
  { "Xtensa, ESP32, windows, 4 deep", "esp32", { windows = true }, windowed(4), 0x400 },
  { "Xtensa, ESP32, windows, 40 deep", "esp32", { windows = true }, windowed(40), 0x400 },
  { "Xtensa, ESP32-S3, windows, 40 deep", "esp32s3", { windows = true }, windowed(40), 0x400 },
} do
  local mips = rate(table.unpack(case, 2))
  met = met and mips >= NEEDED
  print(("%-36s %10.1f"):format(case[1], mips))
end
print(("at least %d million instructions a second: %s"):format(NEEDED, met and "yes" or "NO"))
