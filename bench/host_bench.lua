-- Host cost of writing and reading 1 MiB: CPU seconds of the whole process, no stub, over a socket to one
-- simulated chip without a rate limit, which is served by another process. Then the memory of a 4 MiB flash.
package.path = "bench/?.lua;" .. package.path
local side = require "side"
local port_number = 20000 + os.time() % 20000
local dir = os.tmpname()
os.remove(dir)
assert(os.execute("mkdir -p " .. dir))

-- Bytes that do not compress, and machine code: the start of our own binary, as often as needed.
local function random_image(name, size)
  local f <close> = assert(io.open(name, "wb"))
  local x = 1
  for _ = 1, size // 1024 do
    local t = {}
    for i = 1, 256 do
      x = (x * 1103515245 + 12345) & 0x7FFFFFFF
      t[i] = string.pack("<I4", x * 2654435761 & 0xFFFFFFFF)
    end
    f:write(table.concat(t))
  end
end
local function code_image(name, size)
  local own <close> = assert(io.open(side.esplua, "rb"))
  local f <close> = assert(io.open(name, "wb"))
  local code = own:read(size)
  f:write(code:rep((size + #code - 1) // #code):sub(1, size))
end
code_image(dir .. "/code.bin", 1 << 20)
random_image(dir .. "/random.bin", 1 << 20)
random_image(dir .. "/big.bin", 4 << 20)

assert(os.execute(("%s sim.lua esp32c3 --tcp %d >%s/sim.log 2>&1 & echo $! >%s/sim.pid")
  :format(side.esplua, port_number, dir, dir)))
os.execute "sleep 0.5"
local url = "socket://127.0.0.1:" .. port_number
local common = ("--port %s --chip esp32c3 --before no-reset --after no-reset --no-stub"):format(url)

local ok, err = pcall(function()
  side.peer_note()
  local work = { -- compressing is the same zlib at the same level on both sides: no limit there
    { "write 1 MiB of random bytes", "flash.lua 0x0 %s/random.bin", "write-flash 0x0 %s/random.bin", 1 / 10 },
    { "write 1 MiB of code", "flash.lua 0x0 %s/code.bin", "write-flash 0x0 %s/code.bin", 1 / 10 },
    { "write 1 MiB of code, compressed", "flash.lua -z 0x0 %s/code.bin", "write-flash -z 0x0 %s/code.bin" },
    { "read 1 MiB", "read.lua 0x0 0x100000 %s/out.bin", "read-flash 0x0 0x100000 %s/out.bin", 1 / 10 },
  }
  for _, w in ipairs(work) do
    local ours = side.cost(1, ("%s %s %s"):format(side.esplua, w[2]:format(dir), common))
    local theirs = side.esptool and side.cost(1, ("%s %s %s"):format(side.esptool, common, w[3]:format(dir))) or {}
    side.row(w[1] .. ": CPU", ours.cpu, theirs.cpu, "s", w[4])
    side.row(w[1] .. ": wall", ours.wall, theirs.wall, "s")
  end
end)
os.execute(("kill $(cat %s/sim.pid)"):format(dir))
assert(ok, err)

local own = side.cost(1, ("%s flash.lua --port sim:esp32c3?flash_size=8MB --no-stub 0x0 %s/big.bin")
  :format(side.esplua, dir))
print(("%-44s %10.2f MiB   (at most 12: %s)"):format("flash of 4 MiB to sim:, memory", own.rss / 1024,
  own.rss <= 12 * 1024 and "met" or "MISSED"))
os.execute("rm -r " .. dir)
