--- A mask ROM of a few instructions, for specs of what is around the processor: the word that says whose ROM it is,
-- and code at the reset vector. None of the vendor's ROMs is needed.
local elf_writer = require "spec.support.elf_writer"
local sim = require "esp.sim"
local chips = require "esp.chips"
local M = {}

-- Instruction formats of the RISC-V manual.
M.lui = function(rd, value) return value & 0xFFFFF000 | rd << 7 | 0x37 end
M.addi = function(rd, rs, n) return (n & 0xFFF) << 20 | rs << 15 | rd << 7 | 0x13 end
M.lbu = function(rd, n, rs) return (n & 0xFFF) << 20 | rs << 15 | 4 << 12 | rd << 7 | 0x03 end
M.lw = function(rd, n, rs) return (n & 0xFFF) << 20 | rs << 15 | 2 << 12 | rd << 7 | 0x03 end
M.sw = function(r2, n, rs)
  return n >> 5 << 25 & 0xFE000000 | r2 << 20 | rs << 15 | 2 << 12 | (n & 31) << 7 | 0x23
end
M.bne = function(a, b, n)
  return (n >> 12 & 1) << 31 | (n >> 5 & 63) << 25 | b << 20 | a << 15 | 1 << 12 | (n >> 1 & 15) << 8 |
         (n >> 11 & 1) << 7 | 0x63
end
M.STOP = 0x0000006F                                     -- goes round where it is

--- A chip with a ROM of these instructions.
-- @param options of esp.sim, with chip
-- @param code list of words; nothing: it goes round
function M.chip(options, code)
  local machine = chips.get(options.chip).sim.machine
  local xtensa = chips.get(options.chip).arch == "xtensa"
  local entry = xtensa and 0x40000400 or machine.id[1] & 0xFFFF0000
  local words = code or { M.STOP }
  local text = xtensa and "\x06\xFF\xFF\0" or string.pack("<" .. ("I4"):rep(#words), table.unpack(words))
  local gap = machine.id[1] - entry
  local sections
  if gap >= 0 and gap < #text then                      -- jump over the word in the middle
    local list = { 0x2000006F }                         -- to 0x200 further on
    text = string.pack("<I4", list[1]) .. ("\0"):rep(gap - 4) .. string.pack("<I4", machine.id[2]) ..
           ("\0"):rep(0x200 - gap - 4) .. text
    sections = { { name = ".text", address = entry, data = text, flags = 6 } }
  else
    sections = { { name = ".text", address = entry, data = text, flags = 6 },
                 { name = ".id", address = machine.id[1], data = string.pack("<I4", machine.id[2]), flags = 2 } }
  end
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(elf_writer.elf { machine = xtensa and 94 or 243, entry = entry, sections = sections })
  f:close()
  options.rom = path
  local ok, chip = pcall(sim.new, options)
  os.remove(path)
  if not ok then error(chip, 0) end
  return chip
end

return M
