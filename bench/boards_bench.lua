-- How many simulated boards one core carries in real time: boards whose lines keep to 921600 baud and whose flash takes
-- its time, all in one process, each written by our stub that runs on its processor, with bytes that do not compress.
--
-- CPU seconds are those of the threads: each simulated chip has one, the host's side is the main one. For a write they
-- are held against the seconds that the line needs for the bytes, so that a busy machine does not count; boards a core
-- carries: line / CPU, of the chip alone and with the host's side. Then what boards cost that wait for a command, and
-- some that have run their program and wait for nothing: CPU seconds a second.
-- ESPLUA_BENCH_BOARDS: how many at once (4), ESPLUA_BENCH_CHIPS: which.
local esp = require "esp"
local sim = require "esp.sim"
local task = require "esp.core.task"
local chips = require "esp.chips"
local BAUD, SIZE, ADDRESS, IDLE = 921600, 192 * 1024, 0x10000, 2
local BOARDS = tonumber(os.getenv "ESPLUA_BENCH_BOARDS" or 4)

-- CPU seconds of the main thread and of all others; without Linux's figures all is counted as the chips'.
local function cpu_time()
  local list = "for t in /proc/$PPID/task/*; do echo ${t##*/} $PPID $(cat $t/schedstat); done 2>/dev/null"
  local p <close> = assert(io.popen(list))
  local own, others, found = 0, 0, false
  for id, pid, ns in p:read "a":gmatch "(%d+) (%d+) (%d+) %d+ %d+" do
    found = true
    if id == pid then own = own + ns / 1e9 else others = others + ns / 1e9 end
  end
  if not found then return 0, os.clock() end
  return own, others
end

local function noise(size)
  local t, x = {}, 88172645463325252
  for i = 1, size // 8 do
    x = x ~ x << 13
    x = x ~ x >> 7
    x = x ~ x << 17
    t[i] = ("<I8"):pack(x)
  end
  return table.concat(t)
end
local data = noise(SIZE)

local function all(list, f)
  local tasks = {}
  for i, item in ipairs(list) do tasks[i] = task.spawn(f, item) end
  for _, t in ipairs(tasks) do t:join() end
end

-- What f takes: seconds, and CPU seconds of the host's side and of the chips, per board.
local function cost(f)
  local host, others = cpu_time()
  local start = task.now()
  f()
  local seconds = task.now() - start
  local host2, others2 = cpu_time()
  return seconds, (host2 - host) / BOARDS, (others2 - others) / BOARDS
end

local function row(what, seconds, host, own)
  print(("%-36s %8.2f s %9.4f s %9.4f s %8.0f %8.0f"):format(what, seconds, own, host,
    seconds / math.max(own, 1e-6), seconds / math.max(own + host, 1e-6)))
end

local function bench(id)
  local boards = {}
  for i = 1, BOARDS do
    boards[i] = { sim = sim.new { chip = id, rate = "real", timing = "real", flash_size = "4MB" } }
  end
  all(boards, function(b)
    b.chip = esp.connect { port = b.sim:port(), baud = BAUD, chip = id, after = "no-reset" }
  end)
  local before = 0
  for _, b in ipairs(boards) do before = before + b.sim:cpu().instructions end
  local seconds, host, sims = cost(function()
    all(boards, function(b) b.chip:flash { { ADDRESS, { data = data } }, verify = false } end)
  end)
  local executed = -before
  for _, b in ipairs(boards) do
    assert(b.sim:flash(ADDRESS, SIZE) == data, "not written")
    executed = executed + b.sim:cpu().instructions
  end
  row(("%s: %d boards are written"):format(id, BOARDS), SIZE * 10 / BAUD, host, sims)
  print(("%36s they took %.2f s, %.0f million instructions each"):format("", seconds, executed / BOARDS / 1e6))
  seconds, host, sims = cost(function() task.sleep(IDLE) end)
  row(("%s: the stub waits for a command"):format(id), seconds, host, sims)
  for _, b in ipairs(boards) do b.chip:close() end
  for _, b in ipairs(boards) do b.sim:close() end
end

-- Programs that wait for an interrupt: wfi; j to it. waiti 0; j to it.
local WAIT = { riscv = { 0x40380000, "\x73\x00\x50\x10\x6F\xF0\xDF\xFF" },
               xtensa = { 0x40080000, "\x00\x70\x00\x46\xFE\xFF\0\0" } }

local function idle(id)
  local chip, boards = chips.get(id), {}
  local at, code = table.unpack(WAIT[chip.arch])
  local image = ("<BBBBI4c16I4I4"):pack(0xE9, 1, 0, 0, at, "", at, #code) .. code
  local sum = 0xEF
  for byte in code:gmatch "." do sum = sum ~ byte:byte() end
  image = image .. ("\0"):rep(15 - #image % 16) .. string.char(sum)
  for i = 1, BOARDS do
    local b = sim.new { chip = id, boot = "flash" }
    b:poke_flash(chip.bootloader_offset, image)
    boards[i] = { sim = b, port = b:port() }
    b:reset "flash"
  end
  task.sleep(0.5)
  for _, b in ipairs(boards) do assert(b.sim:cpu().running and b.sim:cpu().asleep, "does not wait") end
  row(id .. ": the program waits (wfi, waiti)", cost(function() task.sleep(IDLE) end))
  for _, b in ipairs(boards) do b.sim:close() end
end

print(("%-36s %10s %11s %11s %8s %8s"):format("", "line/time", "CPU, chip", "CPU, host", "boards", "w. host"))
for id in (os.getenv "ESPLUA_BENCH_CHIPS" or "esp32c3 esp32"):gmatch "[^, ]+" do
  bench(id)
  idle(id)
end
