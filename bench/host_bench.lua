-- Host cost of writing and reading 1 MiB: CPU seconds of the whole process, no stub, over a socket to one
-- simulated chip without a rate limit, which is served by another process. Then the memory of a 4 MiB flash.
package.path = "bench/?.lua;" .. package.path
local side = require "side"
local port_number = 20000 + os.time() % 20000
local dir = os.tmpname()
os.remove(dir)
assert(os.execute("mkdir -p " .. dir))

local function image(name, size, random)
  local f <close> = assert(io.open(name, "wb"))
  local x = 1
  for _ = 1, size // 1024 do
    local t = {}
    for i = 1, 256 do
      x = (x * 1103515245 + 12345) & 0x7FFFFFFF
      t[i] = string.pack("<I4", random and x * 2654435761 & 0xFFFFFFFF or x & 0x00030303)
    end
    f:write(table.concat(t))
  end
end
image(dir .. "/packs.bin", 1 << 20, false)
image(dir .. "/random.bin", 1 << 20, true)
image(dir .. "/big.bin", 4 << 20, true)

assert(os.execute(("%s sim.lua esp32c3 --tcp %d >%s/sim.log 2>&1 & echo $! >%s/sim.pid")
  :format(side.esplua, port_number, dir, dir)))
os.execute "sleep 0.5"
local url = "socket://127.0.0.1:" .. port_number
local common = ("--port %s --chip esp32c3 --before no-reset --after no-reset --no-stub"):format(url)

local ok, err = pcall(function()
  side.peer_note()
  local work = {
    { "write 1 MiB, not compressed", "flash.lua --no-compress 0x0 %s/random.bin", "write-flash -u 0x0 %s/random.bin" },
    { "write 1 MiB, compressed", "flash.lua -z 0x0 %s/packs.bin", "write-flash -z 0x0 %s/packs.bin" },
    { "read 1 MiB", "read.lua 0x0 0x100000 %s/out.bin", "read-flash 0x0 0x100000 %s/out.bin" },
  }
  for _, w in ipairs(work) do
    local ours = side.cost(1, ("%s %s %s"):format(side.esplua, w[2]:format(dir), common))
    local theirs = side.esptool and side.cost(1, ("%s %s %s"):format(side.esptool, common, w[3]:format(dir))) or {}
    side.row(w[1] .. ": CPU", ours.cpu, theirs.cpu, "s", 1 / 10)
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
