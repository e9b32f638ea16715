-- Images without a chip: making one of a 3.8 MB ELF file, merging to 4 MiB, describing one; beside esptool.
package.path = "bench/?.lua;" .. package.path
local side = require "side"
local elf = require "spec.support.elf_writer"
local fixtures = require "spec.support.image_fixtures"

local folder = os.getenv "TMPDIR" or "/tmp"
local stem = ("%s/esplua-image-bench-%d"):format(folder, os.time())
local function path(name) return stem .. name end

local function write(name, bytes)
  local f <close> = assert(io.open(path(name), "wb"))
  f:write(bytes)
  return path(name)
end

-- A program of 1 MB with 2.8 MB of debugging data, as a real build gives.
local kib = fixtures.bytes(65536, 1)
local app = write("app.elf", elf.elf { machine = 0xF3, entry = 0x40380000, sections = {
  { name = ".iram0.text", address = 0x40380000, data = kib },
  { name = ".dram0.data", address = 0x3FC90000, data = kib:sub(1, 20000) },
  { name = ".flash.appdesc", address = 0x3C000020, data = elf.app_description() },
  { name = ".flash.rodata", address = 0x3C000120, data = kib:rep(4) },
  { name = ".flash.text", address = 0x42050020, data = kib:rep(12) },
  { name = ".debug_info", address = 0, data = kib:rep(42) },
} })
local bin, out = path("app.bin"), path("out.bin")

local function row(what, ours, theirs, times)
  local a, b = side.turns(times or 7, ("%s image %s"):format(side.esplua, ours),
                          side.esptool and ("%s %s"):format(side.esptool, theirs))
  b = b or {}
  side.row(what .. ": wall time", a.wall, b.wall, "s", 1 / 10)
  side.row(what .. ": processor time", a.cpu, b.cpu, "s", 1 / 10)
  side.row(what .. ": memory", a.rss / 1024, b.rss and b.rss / 1024, "MiB", 1 / 2)
end

side.peer_note()
row("image from a 3.8 MB ELF file", ("from-elf -c esp32c3 %s -o %s"):format(app, bin),
    ("--chip esp32c3 elf2image %s -o %s"):format(app, out))
row("describe an image of 1 MB", "info " .. bin, "image-info " .. bin)
local files = ("0x10000 %s 0x200000 %s"):format(bin, bin)
row("merge to 4 MiB", ("merge -c esp32c3 %s --pad-to-size 4MB -o %s"):format(files, out),
    ("--chip esp32c3 merge-bin %s --pad-to-size 4MB -o %s"):format(files, out))
row("merge to UF2", ("merge -c esp32c3 %s -f uf2 -o %s"):format(files, out),
    ("--chip esp32c3 merge-bin %s -f uf2 -o %s"):format(files, out))
row("merge to Intel HEX", ("merge -c esp32c3 %s -f hex -o %s"):format(files, out),
    ("--chip esp32c3 merge-bin %s -f hex -o %s"):format(files, out), 2)
for _, name in ipairs { "app.elf", "app.bin", "out.bin" } do os.remove(path(name)) end
