-- Holds the model of the ROM loader against the ROM itself: `make rom-check`, `ESPLUA_ROMS=FOLDER make rom-check`.
--
-- The folder has the mask ROMs as ELF files, named like esp32c3_rev300_rom.elf. Both chips are sent the same commands,
-- drawn with a seed: valid ones, malformed ones, in the wrong order, at random. Every difference of a reply or of what
-- is in flash afterwards is listed. Usage: esplua spec/rom_check.lua [SEQUENCES [SEED [NAME]]]
local digest = require "esp.core.digest"
local sim = require "esp.sim"
local zlib = require "esp.core.zlib"

local folder = os.getenv "ESPLUA_ROMS"
local count, first_seed, only = tonumber(arg[1]) or 2000, tonumber(arg[2]) or 1, arg[3]

-- File, chip, its revision, memory to load to.
local ROMS = {
  { "esp32c2_rev100", "esp32c2", 100, 0x3FCB0000, { crystal = 40 } },
  { "esp32c3_rev0", "esp32c3", 2, 0x3FC90000 },
  { "esp32c3_rev101", "esp32c3", 101, 0x3FC90000 }, { "esp32c3_rev300", "esp32c3", 4, 0x3FC90000 },
  { "esp32c5_rev100", "esp32c5", 100, 0x40810000 }, { "esp32c6_rev0", "esp32c6", 1, 0x40810000 },
  { "esp32c61_rev100", "esp32c61", 100, 0x40810000 }, { "esp32h2_rev0", "esp32h2", 1, 0x40810000 },
  { "esp32p4_rev0", "esp32p4", 1, 0x4FF60000 }, { "esp32p4_rev300", "esp32p4", 300, 0x4FF60000 },
  { "esp32s31_rev0", "esp32s31", 0, 0x2F020000 },
  { "esp32_rev300", "esp32", 300, 0x3FFB8000 }, { "esp32s2_rev0", "esp32s2", 0, 0x3FFC0000 },
  { "esp32s3_rev0", "esp32s3", 1, 0x3FC90000 },
}

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
  function(ram)
    return { command(0x09, W(ram + 4 * random(0, 16), random(0, 0xFFFFFFFF), pick { 0xFFFFFFFF, 0xFF00 }, 0)) }
  end,
  function() return { command(0x0D, W(0, 0)) } end,
  function() return { command(0x0B, W(0, pick { 4 << 20, 2 << 20, 1 << 20 }, 65536, 4096, 256, 0xFFFF)) } end,
  function() return { command(0x0B, noise(random(0, 30))) } end,
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
  function() return { data(pick { 0x03, 0x07 }, noise(random(0, 64)), random(0, 2)) } end,
  function() return { command(0x0E, W(4 * random(0, 0x8000), pick { 4, 16, 64, 65, 256 }, 0, 0)) } end,
  function() return { command(0x13, W(4 * random(0, 0x8000), random(1, 4096), 0, 0)) } end,
  function() return { command(0x14, "") } end,
  function()
    return { command(pick { 0x00, 0x01, 0x0C, 0x15, 0x20, 0x7F, 0xD0, 0xD3, 0xFF }, noise(random(0, 20))) }
  end,
  function() return { command(pick { 0x0D, 0x0B, 0x0E, 0x13, 0x05 }, noise(4 * random(0, 3))) } end,
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

-- Returns a description of the first difference, or nil.
local function play(a, b, from_a, from_b, frames)
  a:load(from_a)
  b:load(from_b)
  for i, frame in ipairs(frames) do
    local ra, rb = a:exchange(frame, 5), b:exchange(frame, 5)
    if ra:find "^Guru" and rb:find "^Guru" or ra:find "^Fatal" and rb:find "^Fatal" then return end   -- both are dead
    if ra ~= rb then
      return name_of(frame), ("after %d: sent %s\n  ROM   %s\n  model %s"):format(i - 1, hex(frame:sub(1, 40)),
             hex(ra:sub(1, 48)), hex(rb:sub(1, 48)))
    end
  end
  local fa, fb = digest.md5(a:flash(0, 0x40000)), digest.md5(b:flash(0, 0x40000))
  if fa ~= fb then return "flash", name_of(frames[#frames]) .. ": other content in flash" end
end

local function check(rom, path)
  local options = { chip = rom[2], revision = rom[3], flash_size = "4MB" }
  for k, v in pairs(rom[5] or {}) do options[k] = v end
  local b <close> = sim.new(options)
  options.rom = path
  local a <close> = sim.new(options)
  local kinds, total, extra = {}, 0, rom[2] == "esp32" and "" or W(0)
  local from_a, from_b = ready(a, rom[4], extra), ready(b, rom[4], extra)
  for seed = first_seed, first_seed + count - 1 do
    math.randomseed(seed)
    local frames = {}
    for _ = 1, random(1, 4) do
      for _, f in ipairs(pick(MAKE)(rom[4], extra)) do frames[#frames + 1] = f end
    end
    if random(6) == 1 then table.insert(frames, random(#frames), table.remove(frames, random(#frames))) end
    local where, what = play(a, b, from_a, from_b, frames)
    if where then
      where = where:match "^[^,]+"
      total = total + 1
      kinds[where] = kinds[where] or { n = 0, seed = seed, what = what }
      kinds[where].n = kinds[where].n + 1
    end
  end
  print(("%s: %d sequences, %d with a difference"):format(rom[1], count, total))
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
  local path = ("%s/%s_rom.elf"):format(folder, rom[1])
  local f = (not only or only == rom[1]) and io.open(path, "rb")
  if f then
    f:close()
    found = found + 1
    different = different + check(rom, path)
  end
end
if found == 0 then print(("rom-check: no ROM in %s; nothing was compared."):format(folder)) end
os.exit(different == 0 and 0 or 1)
