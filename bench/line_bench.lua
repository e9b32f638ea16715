-- Flashing and reading over a line that keeps to its rate, with the erase and program times of a typical 32 Mbit
-- part (doc/sim.md, timing=real), through our stub on the simulated chip: seconds, what the line or the flash
-- needs at least, and their ratio.
--
-- Latency is that of the way there and back. A write is measured from the first byte of the file until it is verified;
-- what comes before, from the first answer of the loader, has a row of its own. The other rows are whole calls. The
-- limit of a write is the time of its compressed bytes (zlib level 9) on the line, or that of erasing (64 KiB at a
-- time, the rest of the range by the largest erases that fit into it), of programming, and of carrying the bytes to the
-- flash and back for comparison over SPI at the 20 MHz that the ROM leaves it at, whichever is longer. The limit of
-- reading is that of the bytes on the line as they are: packed they may take less. The others are limited by
-- reading the flash, over two lines.
--
-- Until the first data a file waits for the stub's bytes on the line (0.10 s at 921600 baud, at which the ROM takes
-- them also with 460800 to work at) and for eight answers, or ten where the rate comes down again.
--
-- ESPLUA_BENCH_CHIPS, _RATES, _LATENCIES choose others than all; _CONNECT and _CONNECT_RATES those that are only
-- connected to. Every run needs a core for the chip and one for us; on a busy machine `make bench STRETCH=4` makes
-- clocks and waits four times as long, and the figures stay.
local esp = require "esp"
local sim = require "esp.sim"
local task = require "esp.core.task"

local function words(name, default)
  local list = {}
  for w in (os.getenv(name) or default):gmatch "[^, ]+" do list[#list + 1] = tonumber(w) or w end
  return list
end
local CHIPS = words("ESPLUA_BENCH_CHIPS", "esp32c3")
local RATES = words("ESPLUA_BENCH_RATES", "115200 460800 921600 2000000 3000000")
local LATENCIES = words("ESPLUA_BENCH_LATENCIES", "0.001 0.004 0.016")
local CONNECT = words("ESPLUA_BENCH_CONNECT", "esp8266 esp32 esp32s2 esp32s3 esp32c2 esp32c5 esp32c6 esp32c61 esp32h2 "
  .. "esp32p4 esp32s31")
local CONNECT_RATES = words("ESPLUA_BENCH_CONNECT_RATES", "460800 921600")
local MEM_BEGIN, MEM_END, FLASH_DATA, DEFL_DATA = 0x05, 0x06, 0x03, 0x11
local ADDRESS, SECTOR, BLOCK = 0x10000, 0x1000, 0x10000
local CHUNK, SPI = 64, 20e6                -- bytes in one SPI transfer, Hz
local ERASE_4K, ERASE_32K, ERASE_64K, FIRST, NEXT = 0.045, 0.120, 0.150, 30e-6, 1.85e-6
local UNTIL_DATA = 0.4                     -- seconds from the loader's first answer to the first byte of the file
local UPLOAD = 0.15                        -- seconds in which the ROM gets the stub when its rate is raised

-- Machine code with a sixth of bytes that do not compress, as in pictures and keys: together it compresses as an
-- application of ESP-IDF does, to six tenths.
local function image(size)
  local f <close> = assert(io.open(os.getenv "ESPLUA" or "build/esplua", "rb"))
  f:seek("set", 0x20000)
  local parts, x = {}, 1
  for _ = 1, size // 6144 + 1 do
    parts[#parts + 1] = f:read(5120)
    local t = {}
    for i = 1, 128 do
      x = x * 6364136223846793005 + 1442695040888963407
      t[i] = ("<I8"):pack(x ~ x >> 29)
    end
    parts[#parts + 1] = table.concat(t)
  end
  return table.concat(parts):sub(1, size)
end

local function transfer_time(size) return (size + size // CHUNK * 4) * 8 / SPI end
local function two_lines_time(size) return (size // 2 + size // CHUNK * 5) * 8 / SPI end

-- Erasing, programming, and the way to the flash and back, in seconds.
local function flash_time(size)
  local sectors = (size % BLOCK + SECTOR - 1) // SECTOR             -- what lies behind them is not to be erased
  local erase = size // BLOCK * ERASE_64K + sectors // 8 * ERASE_32K + sectors % 8 * ERASE_4K
  return erase + size // CHUNK * (FIRST - NEXT) + size * NEXT + transfer_time(size) + two_lines_time(size)
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

-- When the stub begins to be sent, when the ROM has all of it, when the first block of a file is sent.
local function watch(times)
  return function(t)
    if t.dir ~= "tx" then return end
    if t.op == MEM_BEGIN and not times.upload then times.upload = t.t end
    if t.op == MEM_END and not times.uploaded then times.uploaded = t.t end
    if (t.op == FLASH_DATA or t.op == DEFL_DATA) and not times.data then times.data = t.t end
  end
end

local function connect(board, baud, times)
  local chip = esp.connect { port = board:port(), baud = baud, after = "no-reset",
    trace = watch(times),
    on_event = function(e) if e.code == "detecting" then times.answered = task.now() end end }
  assert(chip.stub)
  return chip
end

local function connect_rows(id, baud, latency, times)
  local rom = require("esp.chips").get(id).rom
  local can = rom.change_baud or latency <= 0.004                   -- the other ROM answers block by block
  local function line(what, seconds, most, counts)
    local ok = seconds <= most
    met = met and (ok or not counts)
    print(("%8d baud %3d ms  %-22s %8.3f s   %s"):format(baud, latency * 1000, what, seconds,
      ok and "met" or (counts and "MISSED, at most %.2f" or "more than %.2f"):format(most)))
  end
  line("answer to first data", times.data - times.answered, UNTIL_DATA, baud >= 460800)
  line("upload of the stub", times.uploaded - times.upload, UPLOAD, can and baud >= 460800)
end

local function new_board(id, latency)
  return sim.new { chip = id, rate = "real", timing = "real", latency = latency / 2, flash_size = "4MB" }
end

-- Up to the first block of a file.
local function bench_connect(id, baud, latency)
  local board <close> = new_board(id, latency)
  board:poke_flash(ADDRESS, ("another program"):rep(8192))
  local new, times = image(600 * 1024), {}
  local chip <close> = connect(board, baud, times)
  pcall(chip.flash, chip, { { ADDRESS, { data = new } } },
        { progress = function() return not times.data end })
  connect_rows(id, baud, latency, times)
end

local function bench(id, baud, latency)
  local size = baud > 115200 and 600 * 1024 or 120 * 1024
  local new = image(size)
  local board <close> = new_board(id, latency)
  board:poke_flash(ADDRESS, new:reverse())                         -- another program
  local times = {}
  local chip <close> = connect(board, baud, times)
  local report = chip:flash { { ADDRESS, { data = new } } }
  local write = task.now() - times.data
  chip.link:set_trace(nil)
  assert(report.verified and not report[1].skipped and board:flash(ADDRESS, size) == new)
  connect_rows(id, baud, latency, times)
  local packed = #require("esp.core.zlib").deflate(new, 9)
  row("write", baud, latency, write, math.max(packed * 10 / baud, flash_time(size)), baud >= 460800)
  local changed = new:sub(1, SECTOR * 9) .. ("changed "):rep(SECTOR // 8) .. new:sub(SECTOR * 10 + 1)
  local again
  again, report = timed(chip.flash, chip, { { ADDRESS, { data = changed } } })
  assert(report.verified and report[1].bytes <= 3 * SECTOR and board:flash(ADDRESS, size) == changed)
  row("write, 1 sector changed", baud, latency, again, two_lines_time(size) + flash_time(SECTOR))
  local read, bytes = timed(chip.read, chip, ADDRESS, size)
  assert(bytes == changed)
  row("read", baud, latency, read, size * 10 / baud, baud >= 460800)
  local verify, equal = timed(chip.verify, chip, ADDRESS, { data = changed })
  assert(equal)
  row("verify", baud, latency, verify, two_lines_time(size))
end

local function each(list, rates, fn)
  for _, id in ipairs(list) do
    print(id)
    for _, baud in ipairs(rates) do
      for _, latency in ipairs(LATENCIES) do fn(id, baud, latency) end
    end
  end
end

each(CHIPS, RATES, bench)
print "connecting, every chip with a UART"
each(CONNECT, CONNECT_RATES, bench_connect)
print(met and "all limits met" or "limits MISSED")
