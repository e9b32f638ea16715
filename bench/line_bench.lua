-- Flashing and reading over a line that keeps to its rate, with the erase and program times of a typical 32 Mbit
-- part (doc/sim.md, timing=real), through our stub on the simulated chip: seconds, what the line or the flash
-- needs at least, and their ratio.
--
-- Latency is that of the way there and back. The limit of a write is the time of its compressed bytes (zlib level 9)
-- on the line, or that of erasing (64 KiB at a time) and programming, whichever is longer; of reading, the time of
-- the bytes that were sent. What is measured is the whole call: looking what is there, writing, and verifying.
-- ESPLUA_BENCH_CHIP, _RATES, _LATENCIES choose others than all.
local esp = require "esp"
local sim = require "esp.sim"
local task = require "esp.core.task"

local function words(name, default)
  local list = {}
  for w in (os.getenv(name) or default):gmatch "[^, ]+" do list[#list + 1] = tonumber(w) or w end
  return list
end
local CHIPS = words("ESPLUA_BENCH_CHIP", "esp32c3")
local RATES = words("ESPLUA_BENCH_RATES", "115200 460800 921600 2000000 3000000")
local LATENCIES = words("ESPLUA_BENCH_LATENCIES", "0.001 0.004 0.016")
local ADDRESS, SECTOR, BLOCK = 0x10000, 0x1000, 0x10000
local ERASE_4K, ERASE_64K, PAGE, FIRST, NEXT = 0.045, 0.150, 256, 30e-6, 1.85e-6

-- Machine code, compresses about as a chip's program does.
local function image(size)
  local f <close> = assert(io.open(os.getenv "ESPLUA" or "build/esplua", "rb"))
  f:seek("set", 0x20000)
  return (assert(f:read(size)))
end

-- Erasing and programming, in seconds.
local function flash_time(size)
  local sectors = (size + SECTOR - 1) // SECTOR
  local erase = size // BLOCK * ERASE_64K + math.min(sectors % (BLOCK // SECTOR) * ERASE_4K, ERASE_64K)
  return erase + size / PAGE * 4 * FIRST + size * NEXT
end

local function needed(latency)
  if latency <= 0.004 then return 0.95 end
  return 0.90
end

local met = true
local function row(what, baud, latency, seconds, limit, binding)
  local verdict = ""
  if binding then
    local ok = limit / seconds >= needed(latency)
    met = met and ok
    verdict = ok and "met" or ("MISSED, at least %.2f"):format(needed(latency))
  end
  print(("%8d baud %3d ms  %-22s %8.3f s   limit %8.3f s   ratio %.3f   %s"):format(
    baud, latency * 1000, what, seconds, limit, limit / seconds, verdict))
end

local function timed(f, ...)
  local t = task.now()
  local r = f(...)
  return task.now() - t, r
end

local function bench(id, baud, latency)
  local size = baud > 115200 and 600 * 1024 or 120 * 1024
  local new = image(size)
  local board <close> = sim.new { chip = id, rate = "real", timing = "real", latency = latency / 2, flash_size = "4MB" }
  board:poke_flash(ADDRESS, image(size + 0x30000):sub(-size))     -- another program
  local began, stages = task.now(), {}
  local chip <close> = esp.connect { port = board:port(), baud = baud, after = "no-reset",
    on_event = function(e) if e.type == "stage" then stages[#stages + 1] = { e.code, task.now() - began } end end }
  chip:attach()
  local ready = task.now() - began
  local packed = #require("esp.core.zlib").deflate(new, 9)
  local first
  local write, report = timed(chip.flash, chip, { { ADDRESS, { data = new } } }, {
    progress = function(done) first = first or done > 0 and task.now() - began end })
  assert(report.verified and not report[1].skipped and board:flash(ADDRESS, size) == new)
  local limit = math.max(packed * 10 / baud, flash_time(size))
  print(("# %s: ready after %.3f s (reset included)  %s"):format(id, ready, table.concat((function()
    local t = {}
    for i, s in ipairs(stages) do t[i] = ("%s %.3f"):format(s[1], s[2]) end
    return t
  end)(), ", ")))
  row("write", baud, latency, write, limit, baud >= 460800)
  local changed = new:sub(1, SECTOR * 9) .. ("changed "):rep(SECTOR // 8) .. new:sub(SECTOR * 10 + 1)
  local again
  again, report = timed(chip.flash, chip, { { ADDRESS, { data = changed } } })
  assert(report.verified and report[1].bytes <= 3 * SECTOR and board:flash(ADDRESS, size) == changed)
  row("write, 1 sector changed", baud, latency, again, ERASE_4K + flash_time(SECTOR) - ERASE_4K + size / 2.5e6)
  local read, bytes = timed(chip.read, chip, ADDRESS, size)
  assert(bytes == changed)
  row("read", baud, latency, read, size * 10 / baud)
  local verify, equal = timed(chip.verify, chip, ADDRESS, { data = changed })
  assert(equal)
  row("verify", baud, latency, verify, size / 2.5e6)
end

for _, id in ipairs(CHIPS) do
  for _, baud in ipairs(RATES) do
    for _, latency in ipairs(LATENCIES) do bench(id, baud, latency) end
  end
end
print(met and "all limits met" or "limits MISSED")
