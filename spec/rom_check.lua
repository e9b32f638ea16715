-- Holds the model of the ROM loader against the ROM itself: `make rom-check`, `ESPLUA_ROMS=FOLDER make rom-check`.
--
-- The folder has the mask ROMs as ELF files, named like esp32c3_rev300_rom.elf. Both chips are sent the same commands,
-- drawn with a seed: valid ones, malformed ones, in the wrong order, at random. Every difference is listed: of a reply,
-- of the time that it takes (what is erased and written in flash, digests), of flash, RAM and a register afterwards.
-- Usage: esplua spec/rom_check.lua [SEQUENCES [SEED [NAME]]]
local chips = require "esp.chips"
local ROMS = dofile "spec/support/roms.lua"
local sim = require "esp.sim"
local zlib = require "esp.core.zlib"

local folder = os.getenv "ESPLUA_ROMS"
local count, first_seed, only = tonumber(arg[1]) or 2000, tonumber(arg[2]) or 1, arg[3]

local function W(...) return string.pack("<" .. ("I4"):rep(select("#", ...)), ...) end

local function sum(bytes)
  local s = 0xEF
  for i = 1, #bytes do s = s ~ bytes:byte(i) end
  return s
end

local function slip(bytes)
  return "\xC0" .. bytes:gsub("[\xC0\xDB]", { ["\xC0"] = "\xDB\xDC", ["\xDB"] = "\xDB\xDD" }) .. "\xC0"
end

local function command(op, body, checksum, length)
  return slip(string.pack("<BBI2I4", 0, op, length or #body, checksum or 0) .. body)
end

local SYNC = command(0x08, "\7\7\x12\x20" .. ("U"):rep(32))
local random = math.random

local function noise(n)
  local t = {}
  for i = 1, n do t[i] = string.char(random(0, 255)) end
  return table.concat(t)
end

local function pick(list) return list[random(#list)] end

local function data(op, bytes, seq)
  local size = random(12) == 1 and random(0, 0x420) or #bytes
  return command(op, W(size, random(10) == 1 and random(0, 3) or seq, 0, 0) .. bytes,
                 sum(bytes) ~ (random(10) == 1 and 1 or 0))
end

-- Every entry gives one or more frames.
local MAKE = {
  function() return { SYNC } end,
  function(ram) return { command(0x0A, W(pick { ram, ram + 4, ram + 64 })) } end,
  function(_, _, reg)
    local frames = {}
    for i = 1, random(1, 3) do
      frames[i] = command(0x09, W(reg, random(0, 0xFFFFFFFF), pick { 0xFFFFFFFF, 0xFF00, 0xF0F0F0F0 }, 0))
    end
    frames[#frames + 1] = command(0x0A, W(reg))
    return frames
  end,
  function(ram)
    return { command(0x09, W(ram + 4 * random(0, 16), random(0, 0xFFFFFFFF), pick { 0xFFFFFFFF, 0xFF00 }, 0)) }
  end,
  function() return { command(0x0D, W(0, 0)) } end,
  function() return { command(0x0B, W(0, pick { 4 << 20, 2 << 20, 1 << 20 }, 65536, 4096, 256, 0xFFFF)) } end,
  function() return { command(0x0B, noise(pick { random(0, 23), random(25, 40) })) } end,     -- not 24: odd sectors
  function(_, extra)                                                              -- FLASH_BEGIN and blocks
    local blocks, at = random(1, 3), 0x1000 * random(0, 31)
    local frames = { command(0x0D, W(0, 0)), command(0x02, W(blocks * 0x400, blocks, 0x400, at) .. extra) }
    for i = 0, blocks - 1 do frames[#frames + 1] = data(0x03, noise(0x400), i) end
    if random(2) == 1 then frames[#frames + 1] = command(0x13, W(at, blocks * 0x400, 0, 0)) end
    return frames
  end,
  function(_, extra)                                                              -- DEFL_BEGIN and blocks
    local plain, at = noise(random(100, 1500)), 0x1000 * random(0, 31)
    local packed = zlib.deflate(plain)
    local blocks = (#packed + 0x3FF) // 0x400
    local frames = { command(0x0D, W(0, 0)), command(0x10, W(#plain, blocks, 0x400, at) .. extra) }
    for i = 0, blocks - 1 do
      frames[#frames + 1] = data(0x11, packed:sub(i * 0x400 + 1, i * 0x400 + 0x400), i)
    end
    frames[#frames + 1] = command(0x13, W(at, #plain, 0, 0))
    return frames
  end,
  function(ram)                                                                   -- MEM_BEGIN and blocks
    local frames = { command(0x05, W(0x200, 2, 0x100, ram)) }
    for i = 0, 1 do frames[#frames + 1] = data(0x07, noise(0x100), i) end
    frames[#frames + 1] = command(0x06, W(1, 0))
    return frames
  end,
  function(_, extra)
    return { command(0x02, W(random(0, 0x2000), random(0, 4), 0x400, random(0, 0x20000)) .. extra) }
  end,
  function(_, extra)                                                              -- all of it, and the end
    return { command(0x0D, W(0, 0)), command(0x02, W(0x400, 1, 0x400, 0x4000) .. extra),
             data(0x03, noise(0x400), 0), command(0x04, W(random(0, 1))) }
  end,
  function(_, extra)
    local plain = noise(random(100, 900))
    local packed = zlib.deflate(plain)
    return { command(0x0D, W(0, 0)), command(0x10, W(#plain, 1, 0x400, 0x4000) .. extra), data(0x11, packed, 0),
             command(0x12, W(random(0, 1))) }
  end,
  function(ram) return { command(0x06, pick { W(1, 0), W(0, ram), W(7), W(1, 0, 0), W(0, ram + 0x100) }) } end,
  function() return { command(pick { 0x04, 0x12 }, W(random(0, 1))) } end,
  function() return { command(0x0F, W(115200, pick { 0, 115200 })) } end,
  function() return { data(pick { 0x03, 0x07 }, noise(random(0, 64)), random(0, 2)) } end,
  function() return { command(0x0E, W(4 * random(0, 0x8000), pick { 4, 16, 64, 65, 256 }, 0, 0)) } end,
  function() return { command(0x13, W(4 * random(0, 0x8000), random(1, 4096), 0, 0)) } end,
  function() return { command(0x14, "") } end,
  function()
    return { command(pick { 0x00, 0x01, 0x0C, 0x15, 0x20, 0x7F, 0xD0, 0xD3, 0xFF }, noise(random(0, 20))) }
  end,
  function() return { command(pick { 0x0B, 0x0E, 0x13, 0x05 }, noise(4 * random(0, 3))) } end,
  function() return { command(0x0D, ("\0"):rep(4 * random(0, 3))) } end,                   -- other pads: no flash
  function() return { slip(noise(random(1, 40)):gsub("^.", "\1")) } end,
  function() return { noise(random(1, 6)):gsub("\xC0", "x") .. SYNC } end,
}

local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

-- Past the boot log, attached, every kind of download begun once: before that the ROM works with what happens to be on
-- its stack.
local function ready(chip, ram, extra)
  chip:exchange("", 3)
  for _ = 1, 8 do
    if #chip:exchange(SYNC, 2) > 0 then break end
  end
  for _ = 1, 2 do chip:exchange(SYNC, 2) end
  chip:exchange(command(0x0D, W(0, 0)), 2)
  chip:exchange(command(0x05, W(0x100, 1, 0x100, ram)), 2)
  chip:exchange(command(0x02, W(0x400, 1, 0x400, 0) .. extra), 2)
  chip:exchange(command(0x10, W(0x400, 1, 0x400, 0) .. extra), 2)
  return chip:save()
end

local function name_of(frame)
  return ("%s, %d bytes"):format(sim.command_name(frame:byte(3) or 0), #frame)
end

-- What the running ROM takes for receiving, in seconds per byte, and what it may take for itself: its MD5 and the
-- reading of flash are not modelled. A sector takes 0.045 to erase, a page 0.0005 to write.
local PER_BYTE, OWN_TIME = 1e-5, 0.015

local function same_time(ta, tb, bytes)
  ta = ta - bytes * PER_BYTE
  return math.abs(ta - tb) < OWN_TIME or ta < 2 * tb and tb < 2 * ta
end

local function first_difference(x, y)
  local low, high = 1, #x
  while low < high do
    local middle = (low + high) // 2
    if x:sub(low, middle) ~= y:sub(low, middle) then high = middle else low = middle + 1 end
  end
  return low - 1
end

-- Memory that commands wrote to, a register, all of flash that they reach.
local function states(a, b, ram, reg)
  local fa, fb = a:flash(0, 0x40000), b:flash(0, 0x40000)
  if fa ~= fb then
    local at = first_difference(fa, fb)
    return "flash", ("from 0x%X on\n  ROM   %s\n  model %s"):format(at, hex(fa:sub(at + 1, at + 24)),
                                                                  hex(fb:sub(at + 1, at + 24)))
  end
  fa, fb = a:memory(ram, 0x2000), b:memory(ram, 0x2000)
  if fa ~= fb then
    local at = first_difference(fa, fb)
    return "RAM", ("from 0x%X on\n  ROM   %s\n  model %s"):format(ram + at, hex(fa:sub(at + 1, at + 24)),
                                                                hex(fb:sub(at + 1, at + 24)))
  end
  if a:reg(reg) ~= b:reg(reg) then
    return "register", ("0x%X is 0x%X, not 0x%X"):format(reg, a:reg(reg), b:reg(reg))
  end
end

-- The model says the first lines of a panic; where in the ROM it happened is another matter.
local function same_panic(ra, rb)
  local said = rb:gsub("%x%x%x%x%x%x%x%x", "0")
  return not rb:find "^\xC0" and #rb > 0 and ra:gsub("%x%x%x%x%x%x%x%x", "0"):sub(1, #said) == said
end

-- The command ended the loader: what a program or the next start says is compared as far as the model has it. Of
-- what MEM_END starts, nothing.
local function end_of_loader(ra, rb, frame)
  if frame:byte(3) == 0x06 then
    local reply = rb:match "^\xC0[^\xC0]+\xC0" or ""
    return ra:sub(1, #reply) == reply
  end
  return ra:sub(1, #rb) == rb
end

-- Returns a description of the first difference, or nil.
local function play(a, b, from_a, from_b, frames, ram, reg, timed)
  a:load(from_a)
  b:load(from_b)
  local resets = b:state().resets
  for i, frame in ipairs(frames) do
    local ra, _, ta = a:exchange(frame, 5)
    local rb, _, tb = b:exchange(frame, 5)
    if same_panic(ra, rb) then return end   -- both are dead
    local left = b:state().mode ~= "download" or b:state().resets ~= resets
    if left and end_of_loader(ra, rb, frame) then return end
    if ra ~= rb then
      return name_of(frame), ("after %d: sent %s\n  ROM   %s\n  model %s"):format(i - 1, hex(frame:sub(1, 40)),
             hex(ra:sub(1, 160)), hex(rb:sub(1, 160)))
    end
    if timed and ta >= 0 and #ra > 0 and not same_time(ta, tb, #frame) then
      return "time of " .. name_of(frame), ("after %d: sent %s, answer %s\n  ROM   %.4f s\n  model %.4f s")
             :format(i - 1, hex(frame:sub(1, 40)), hex(ra:sub(1, 24)), ta - #frame * PER_BYTE, tb)
    end
  end
  return states(a, b, ram, reg)
end

-- Both chips, ready. Flash that takes its time makes a sequence twice as long: every fourth has it.
local function pair(rom, path, timing, extra)
  local options = { chip = rom.chip, revision = rom.revision, flash_size = "4MB", timing = timing }
  for k, v in pairs(rom.options) do options[k] = v end
  local model = sim.new(options)
  options.rom = path
  local real = sim.new(options)
  return { real, model, ready(real, rom.ram, extra), ready(model, rom.ram, extra) }
end

local function check(rom, path)
  local kinds, total, extra = {}, 0, rom.chip == "esp32" and "" or W(0)
  local known = chips.get(rom.chip)
  local reg = known.sim.machine.timers and known.sim.machine.timers[1] + 0x10 -- an alarm of a timer that nobody uses
    or known.uart.base + 0x1014                                             -- or the divider of another UART
  local slow, fast = pair(rom, path, "real", extra), pair(rom, path, "none", extra)
  for seed = first_seed, first_seed + count - 1 do
    math.randomseed(seed)
    local frames = {}
    for _ = 1, random(1, 4) do
      for _, f in ipairs(pick(MAKE)(rom.ram, extra, reg)) do frames[#frames + 1] = f end
    end
    if random(6) == 1 then table.insert(frames, random(#frames), table.remove(frames, random(#frames))) end
    local p = seed % 4 == 0 and slow or fast
    local where, what = play(p[1], p[2], p[3], p[4], frames, rom.ram, reg, p == slow)
    if where then
      where = where:match "^[^,]+"
      total = total + 1
      kinds[where] = kinds[where] or { n = 0, seed = seed, what = what }
      kinds[where].n = kinds[where].n + 1
    end
  end
  for _, p in ipairs { slow, fast } do
    p[1]:close()
    p[2]:close()
  end
  print(("%s: %d sequences, %d with a difference"):format(rom.name, count, total))
  for where, k in pairs(kinds) do
    print(("  %s: %d times, first with seed %d, %s"):format(where, k.n, k.seed, k.what))
  end
  return total
end

if not folder then
  print "rom-check: no ROMs. ESPLUA_ROMS names a folder with files like esp32c3_rev300_rom.elf; nothing was compared."
  os.exit(0)
end
local found, different = 0, 0
for _, rom in ipairs(ROMS) do
  local path = ("%s/%s_rom.elf"):format(folder, rom.name)
  local f = (not only or only == rom.name) and io.open(path, "rb")
  if f then
    f:close()
    found = found + 1
    different = different + check(rom, path)
  end
end
if found == 0 then print(("rom-check: no ROM in %s; nothing was compared."):format(folder)) end
os.exit(different == 0 and 0 or 1)
