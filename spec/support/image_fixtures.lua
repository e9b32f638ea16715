--- ELF files for the specs of images, one kind of program for every chip. Addresses come from the chips' manuals.
local elf = require "spec.support.elf_writer"
local M = {}

local XTENSA, RISCV = 0x5E, 0xF3
-- machine, instruction RAM, data RAM, flash data, flash code
local MEMORY = {
  esp32 = { XTENSA, 0x40080000, 0x3FFB0000, 0x3F400020, 0x400D0020 },
  esp32s2 = { XTENSA, 0x40022000, 0x3FFB2000, 0x3F000020, 0x40080020 },
  esp32s3 = { XTENSA, 0x40374000, 0x3FC90000, 0x3C000020, 0x42010020 },
  esp32c2 = { RISCV, 0x4037C000, 0x3FCA0000, 0x3C000020, 0x42010020 },
  esp32c3 = { RISCV, 0x4037C000, 0x3FC80000, 0x3C000020, 0x42010020 },
  esp32c5 = { RISCV, 0x40800000, 0x40820000, 0x42000020, 0x42010020 },
  esp32c6 = { RISCV, 0x40800000, 0x40820000, 0x42000020, 0x42010020 },
  esp32c61 = { RISCV, 0x40800000, 0x40820000, 0x42000020, 0x42010020 },
  esp32h2 = { RISCV, 0x40800000, 0x40820000, 0x42000020, 0x42010020 },
  esp32h21 = { RISCV, 0x40800000, 0x40820000, 0x42000020, 0x42010020 },
  esp32h4 = { RISCV, 0x40810000, 0x40820000, 0x42000020, 0x42010020 },
  esp32p4 = { RISCV, 0x4FF00000, 0x4FF40000, 0x40000020, 0x40010020 },
  esp32s31 = { RISCV, 0x2F000000, 0x2F040000, 0x40000020, 0x40040020 },
  esp32e22 = { RISCV, 0x31000000, 0x31040000, 0x3C000020, 0x3C010020 },
}

local PIECE = 200
local known = {}

--- Bytes that do not repeat soon and depend on nothing but the arguments.
function M.bytes(n, seed)
  local key = n .. "/" .. seed
  if known[key] then return known[key] end
  local parts = {}
  for from = 1, n, PIECE do
    local codes = {}
    for i = from, math.min(from + PIECE - 1, n) do
      codes[i - from + 1] = (i * i * 7 + i * 3 + seed * 41) // 3 & 0xFF
    end
    parts[#parts + 1] = string.char(table.unpack(codes))
  end
  known[key] = table.concat(parts)
  return known[key]
end

local function sections_of(chip)
  local machine, iram, dram, drom, irom = table.unpack(MEMORY[chip])
  return machine, iram, dram, drom, irom
end

--- An app: descriptor and data in flash, code in flash, code and data in RAM, and what is not loaded.
-- @param chip id
-- @param o page (logarithm of the page size in the descriptor), sections = function(list) to change them, symbols
function M.app(chip, o)
  o = o or {}
  local machine, iram, dram, drom, irom = sections_of(chip)
  local list = {
    { name = ".iram0.vectors", address = iram, data = M.bytes(1024, 1) },
    { name = ".iram0.text", address = iram + 1024, data = M.bytes(3001, 2) },
    { name = ".dram0.data", address = dram, data = M.bytes(700, 3), flags = 3 },
    { name = ".dram0.bss", address = dram + 700, kind = "nobits", size = 5000 },
    { name = ".flash.appdesc", address = drom, data = elf.app_description { page = o.page }, align = 16 },
    { name = ".flash.rodata", address = drom + 256, data = M.bytes(2222, 4) },
    { name = ".flash.text", address = irom, data = M.bytes(5555, 5) },
    { name = ".comment", address = 0, data = "not loaded" },
  }
  if o.sections then o.sections(list) end
  return elf.elf { machine = machine, entry = iram + 0x40, sections = list, segments = true, symbols = o.symbols }
end

--- A second stage loader: everything in RAM, its descriptor not first.
function M.bootloader(chip)
  local machine, iram, dram = sections_of(chip)
  return elf.elf { machine = machine, entry = iram, segments = true, sections = {
    { name = ".iram.text", address = iram, data = M.bytes(900, 6) },
    { name = ".dram0.data", address = dram, data = M.bytes(64, 7) },
    { name = ".dram0.bootdesc", address = dram + 0x100,
      data = ("<BBBBI4c32c24c16"):pack(0x50, 0, 0, 0, 7, "v5.5", "Jan  1 2026 12:00:00", "") },
  } }
end

--- A program for the ESP8266.
-- @param o irom (address of the mapped part), three = true: sections as version 3 has them
function M.esp8266(o)
  o = o or {}
  local list = {
    { name = ".data", address = 0x3FFE8000, data = M.bytes(333, 8) },
    { name = ".rodata", address = 0x3FFE8150, data = M.bytes(48, 9) },
    { name = ".text", address = 0x40100000, data = M.bytes(4000, 10) },
    { name = ".bss", address = 0x3FFE9000, kind = "nobits", size = 800 },
  }
  if o.three then
    list[#list + 1] = { name = ".flash.rodata", address = 0x40230000, data = ("\0"):rep(8) .. M.bytes(600, 11) }
    list[#list + 1] = { name = ".flash.text", address = 0x40210010, data = M.bytes(2000, 12) }
  elseif o.irom ~= false then
    list[#list + 1] = { name = ".irom0.text", address = o.irom or 0x40210000, data = M.bytes(3003, 11) }
  end
  return elf.elf { machine = XTENSA, entry = 0x40100004, sections = list, segments = true }
end

return M
