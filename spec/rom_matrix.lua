-- Hosts against the chips' own mask ROMs: ESPLUA_ROMS=FOLDER esplua spec/rom_matrix.lua [NAME]
--
-- Every chip whose ROM is in the folder (named like esp32c3_rev300_rom.elf) is served over TCP, and this program and
-- esptool, each without a stub and with its own, identify it, write, verify, read back and erase; what flash holds
-- afterwards is looked at in the chip. ESPTOOL is the command that starts esptool ("python3 -m esptool"); without it
-- there are two columns instead of four. A step has 120 seconds (ROM_MATRIX_TIMEOUT).
local ROMS = dofile "spec/support/roms.lua"
local sim = require "esp.sim"

local folder, esptool, only = os.getenv "ESPLUA_ROMS", os.getenv "ESPTOOL", arg[1]
local PATIENCE = tonumber(os.getenv "ROM_MATRIX_TIMEOUT") or 120
local ADDRESS, SECTOR = 0x10000, 0x1000
local image, back = os.tmpname(), os.tmpname()
local ourself = arg[-1] or "build/esplua"

-- Steps: command and what follows the options.
local OURS = {
  { "info" }, { "flash", "0x10000 " .. image }, { "verify", "0x10000 " .. image },
  { "read", "0x10000 20000 " .. back }, { "erase", "0x10000 0x1000" },
}
local THEIRS = {
  { "flash-id" }, { "write-flash", "0x10000 " .. image }, { "verify-flash", "0x10000 " .. image },
  { "read-flash", "0x10000 20000 " .. back }, { "erase-region", "0x10000 0x1000" },
}
local STEPS = { "identify", "write", "verify", "read", "erase" }
-- What no one can have.
local NOT_THERE = { esp32s31 = { ["esptool, stub"] = "has none" } }
-- esptool's first stub for this ROM calls into the middle of its functions, at addresses of a later ROM.
local STUB_VERSION = { esp32p4_rev0 = 2 }

local function ours(stub)
  return function(url, step)
    return ("%s %s --port %s --before no-reset --after no-reset-stub %s %s"):format(
           ourself, step[1], url, stub and "" or "--no-stub", step[2] or "")
  end, OURS
end

local function theirs(stub)
  return function(url, step)
    return ("%s --port %s --before no-reset --after no-reset-stub %s %s %s"):format(
           esptool, url, stub and "" or "--no-stub", step[1], step[2] or "")
  end, THEIRS
end

local HOSTS = { { "esplua", ours(false) }, { "esplua, stub", ours(true) } }
if esptool then
  table.insert(HOSTS, { "esptool", theirs(false) })
  table.insert(HOSTS, { "esptool, stub", theirs(true) })
end

local function content(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

local function right(chip, step, bytes)
  if step == "write" then return chip:flash(ADDRESS, #bytes) == bytes end
  if step == "read" then return content(back) == bytes end
  if step == "erase" then
    return chip:flash(ADDRESS, SECTOR) == ("\xFF"):rep(SECTOR) and
           chip:flash(ADDRESS + SECTOR, #bytes - SECTOR) == bytes:sub(SECTOR + 1)
  end
  return true
end

-- Returns "ok", or the step that failed and why.
local function try(rom, path, host)
  local command, steps = host[2], host[3]
  local options = { chip = rom.chip, revision = rom.revision, flash_size = "4MB", rom = path }
  for k, v in pairs(rom.options) do options[k] = v end
  local chip <close> = sim.new(options)
  local url, bytes = chip:serve { tcp = 0 }, content(image)
  for i, step in ipairs(steps) do
    local set = STUB_VERSION[rom.name] and "env ESPTOOL_STUB_VERSION=" .. STUB_VERSION[rom.name] or ""
    local f <close> = assert(io.popen(("timeout %d %s %s 2>&1"):format(PATIENCE, set, command(url, step)), "r"))
    local said = f:read "a"
    local done, _, status = f:close()
    if not done then return ("%s: status %d: %s"):format(STEPS[i], status, said:sub(-300)) end
    if not right(chip, STEPS[i], bytes) then return STEPS[i] .. ": flash is not what it should be" end
    chip:reset "download"
  end
  return "ok"
end

if not folder then
  print "rom-matrix: no ROMs. ESPLUA_ROMS names a folder with files like esp32c3_rev300_rom.elf; nothing was tried."
  os.exit(0)
end
do
  local f <close> = assert(io.open(image, "wb"))
  math.randomseed(1)
  for i = 1, 20000 do f:write(string.char(i % 3000 < 1500 and math.random(0, 255) or i >> 8 & 0xFF)) end
end
local failed = 0
for _, rom in ipairs(ROMS) do
  local path = ("%s/%s_rom.elf"):format(folder, rom.name)
  local f = (not only or only == rom.name) and io.open(path, "rb")
  if f then
    f:close()
    for _, host in ipairs(HOSTS) do
      local result = (NOT_THERE[rom.chip] or {})[host[1]] or try(rom, path, host)
      if result:find ": " then failed = failed + 1 end
      print(("%-16s %-14s %s"):format(rom.name, host[1], result))
    end
  end
end
os.remove(image)
os.remove(back)
os.exit(failed == 0 and 0 or 1)
