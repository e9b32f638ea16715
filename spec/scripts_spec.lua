-- The stock scripts as a user runs them, on simulated chips: what they do, what they say, how they end.
local chips = require "esp.chips"
local program = require "spec.support.program"

local IMAGE = "examples/hello/hello-esp32c3.bin"
local IMAGE_ESP32 = "examples/hello/hello-esp32.bin"

local folder, cwd
local function path(name) return folder .. "/" .. name end
local function run(argv, o) return program.run(argv, o) end

-- Bytes that do not compress and do not repeat.
local function noise(n, seed)
  local parts, x = {}, seed or 1
  for i = 1, n do
    x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    parts[i] = string.char(x >> 16 & 0xFF)
  end
  return table.concat(parts)
end

-- Runs and expects success.
local function good(argv, o)
  local r = run(argv, o)
  assert.equal(0, r.status, r.command .. "\n" .. r.out .. r.err)
  return r
end

local function with_json(argv)
  local words = table.move(argv, 1, #argv, 1, {})
  words[#words + 1] = "--json"
  local r = run(words)
  local events = program.events(r.out)
  assert.equal("", r.err)
  local by_name = {}
  for _, e in ipairs(events) do by_name[e.event] = e end
  return r, by_name, events
end

-- One line, perhaps a hint, on standard error.
local function bad(argv, status, text, o)
  local r = run(argv, o)
  assert.equal(status, r.status, r.command .. "\n" .. r.out .. r.err)
  local last = r.err:match "esplua: [^\n]*\n.*$" or r.err
  assert.matches(text, last, 1, true)
  assert.matches("^esplua: [^\n]+\n$", (last:gsub("  hint: [^\n]*\n$", "")))
  assert.is_nil(r.err:find("traceback", 1, true))
  return r
end

describe("the stock scripts", function()
  setup(function()
    folder = program.folder()
    cwd = require "esp.core.fs".cwd()
  end)
  teardown(program.clean)

  describe("on every chip", function()
    for _, id in ipairs(chips.list()) do
      it("tell what it is: " .. id, function()
        local r, events = with_json { "info", "-p", "sim:" .. id }
        assert.equal(0, r.status, r.out .. r.err)
        assert.equal(id, events.connected.chip)
        assert.equal(id, events.result.chip)
        assert.matches("^%x%x:%x%x:%x%x:%x%x:%x%x:%x%x", events.result.mac)
        assert.is_number(events.result.flash.bytes)
        assert.equal(id == "esp8266" and 0xA1B2C3 or nil, events.result.chip_id)
        assert.is_number(events.done.seconds)
      end)
    end
  end)

  it("write, verify, read and erase", function()
    local board = "sim:esp32c3?flash=" .. path "board.bin"
    local data = noise(50001)
    local file = program.write(path "data.bin", data)
    local r = good { "flash", "-p", board, "0x0", IMAGE, "0x10000", file }
    assert.matches("data.bin: 50001 bytes at 0x10000 written and verified", r.out, 1, true)
    assert.matches("Hard resetting", r.out, 1, true)
    good { "verify", "-p", board, "0x10000", file, "0x0", IMAGE }
    good { "read", "-p", board, "0x10000", "50001", path "back.bin" }
    assert.equal(data, program.read(path "back.bin"))
    good { "read", "-p", board, "0x3F0000", "ALL", path "end.bin" }
    assert.equal(0x10000, #program.read(path "end.bin"))
    local again = good { "flash", "-p", board, "--skip-flashed", "0x10000", file }
    assert.matches("already in flash", again.out, 1, true)
    good { "erase", "-p", board, "0x10000", "4k" }
    bad({ "verify", "-p", board, "0x10000", file }, 21, "flash does not hold " .. file .. " at 0x10000")
    local diff = run { "verify", "--diff", "-p", board, "0x10000", file }
    assert.matches(("\n  0x00010000  flash FF  file %02X\n"):format(data:byte()), diff.out, 1, true)
    good { "erase", "-p", board }
    good { "read", "-p", board, "0", "64k", path "empty.bin" }
    assert.equal(("\xFF"):rep(65536), program.read(path "empty.bin"))
  end)

  it("read to standard output, and what they say goes elsewhere", function()
    local board = "sim:esp32c3?flash=" .. path "std.flash"
    good { "flash", "-p", board, "0x10000", program.write(path "text.txt", "some text\n") }
    local r = good { "read", "-p", board, "0x10000", "10", "-" }
    assert.equal("some text\n", r.out)
    assert.matches("standard output: 10 bytes from 0x10000", r.err, 1, true)
    assert.equal("", good { "read", "-s", "-p", board, "0x10000", "10", "-" }.err)
    bad({ "nvs", "decode", "--partition-table", path "text.txt", "-p", board }, 14, "text.txt")
    r = run { "read", "-p", board, "0x10000", "10", "-", "--json" }
    assert.equal(2, r.status)
    assert.equal("with --json standard output cannot take the data", program.events(r.out)[1].message)
    if not io.open("/dev/full", "w") then return end
    assert.equal(16, run({ "read", "-p", board, "0x10000", "10", "-" }, { out = "/dev/full" }).status)
  end)

  it("write as events say", function()
    local r, last, events = with_json { "flash", "-p", "sim:esp32c3", "0x0", IMAGE, "0x1000",
                                        program.write(path "data.bin", noise(9000)) }
    assert.equal(0, r.status, r.out)
    assert.equal("start", events[1].event)
    assert.equal("flash", events[1].command)
    assert.equal(1, events[1].schema)
    assert.equal(2, last.result.regions.n)
    assert.equal(432 + 9000, last.result.bytes)
    assert.is_true(last.result.verified)
    assert.equal(0x1000, last.written.region.address)
    assert.equal("done", events[#events].event)
    local shown = {}
    for _, e in ipairs(events) do
      if e.event == "progress" then
        assert.is_true(e.done <= e.total)
        shown[e.name] = e.done == e.total
      end
    end
    assert.is_true(shown[IMAGE] and shown[path "data.bin"])
  end)

  it("change the header that is asked for", function()
    local board = "sim:esp32c3?flash=" .. path "header.bin"
    good { "flash", "-p", board, "--flash_mode", "dout", "-ff", "20m", "-fs", "detect", "0x0", IMAGE }
    local header = program.read(path "header.bin"):sub(1, 4)
    assert.equal("\xE9", header:sub(1, 1))
    assert.equal(3, header:byte(3))                        -- DOUT
    assert.equal(0x22, header:byte(4))                     -- 4MB, 20 MHz
    good { "verify", "-p", board, "-fm", "dout", "-ff", "20m", "-fs", "4MB", "0x0", IMAGE }
    bad({ "verify", "-p", board, "0x0", IMAGE }, 21, "flash does not hold")
    local env = { ESPLUA_PORT = board, ESPTOOL_FM = "dout", ESPLUA_FF = "20m", ESPLUA_FS = "4MB" }
    good({ "verify", "0x0", IMAGE }, { env = env })
  end)

  it("read and write memory", function()
    local ram = 0x3FC80000
    local r, last = with_json { "mem", "write", "-p", "sim:esp32c3", tostring(ram), "0x12345678", "0xFFFF" }
    assert.equal(0, r.status)
    assert.same({ event = "result", address = ram, before = 0, value = 0x5678, written = 0x12345678, mask = 0xFFFF },
                last.result)
    r = good { "mem", "read", "-p", "sim:esp32c3", tostring(ram), "20" }
    assert.matches("3fc80010  00 00 00 00 ", r.out, 1, true)
    r = good { "mem", "read", "-p", "sim:esp32c3", tostring(ram) }
    assert.matches("0x3FC80000 = 0x00000000\n", r.out, 1, true)
    good { "mem", "dump", "-p", "sim:esp32c3", tostring(ram), "5001", path "dump.bin" }
    assert.equal(("\0"):rep(5001), program.read(path "dump.bin"))
  end)

  it("start programs", function()
    assert.matches("Started", good({ "run", "-p", "sim:esp32c3" }).out)
    assert.matches("348 bytes loaded, running from 0x40380000", good({ "run", "-p", "sim:esp32c3", IMAGE }).out)
    assert.matches("Hard resetting", good({ "run", "-p", "sim:esp32c3", "--after", "hard-reset" }).out)
    bad({ "run", "-p", "sim:esp32c3", IMAGE_ESP32 }, 12, "is for ESP32, the chip is ESP32-C3")
  end)

  it("show what the program on the chip says", function()
    local board = "sim:esp32c3?flash=" .. path "hello.flash"
    good { "flash", "-p", board, "0x0", IMAGE }
    local r = good { "monitor", "-p", board .. "&boot=flash", "--until", "hello from ESP32%-C3 00001", "--for", "20" }
    assert.matches("hello from ESP32-C3 00000\r\nhello from ESP32-C3 00001", r.out, 1, true)
    r = good { "monitor", "-p", board, "--reset", "--until", "hello", "--for", "20" }
    assert.matches("waiting for download.*rst:0x1.*hello", r.out)
    -- The ESP8266's boot log is at 74880 baud, and cannot be read at another rate.
    local log = { "monitor", "-p", "sim:esp8266", "--reset", "--until", "ets Jan  8", "-b", "74880", "--for", "20" }
    good(log)
    table.move({ "--monitor-baud", "9600", "--for", "0.5" }, 1, 4, 7, log)
    bad(log, 20, "no line like")
    local _, last = with_json { "monitor", "-p", board .. "&boot=flash", "--until", "entry", "--for", "20" }
    assert.equal("entry 0x40380000", last.result.found)
    assert.matches("waiting for download", good({ "monitor", "-p", board, "--for", "0.3" }).out)
    bad({ "monitor", "-p", board, "--for", "0.3", "--until", "hello" }, 20, 'no line like "hello" in 0.3 s')
    bad({ "monitor", "-p", board, "--until", "%" }, 2, "is not a Lua pattern")
    bad({ "monitor", "-p", "/dev/ttyNOPE9" }, 10, "/dev/ttyNOPE9: no such port")
    assert.equal(0, run({ "monitor", "-p", board .. "&boot=flash" }, { interrupt = 0.5 }).status)
  end)

  it("list ports", function()
    local r, _, events = with_json { "ports" }
    assert.equal(0, r.status)
    for _, e in ipairs(events) do
      if e.event == "port" then assert.is_string(e.name) end
    end
    good { "ports" }
    bad({ "ports", "--port-filter", "colour=red" }, 2, 'port filter "colour=red": unknown key')
    assert.equal("No serial port matches.\n", good({ "ports", "--port-filter", "name=\1" }).out)
  end)

  it("take their settings from the environment and the configuration file", function()
    good({ "info" }, { env = { ESPTOOL_PORT = "sim:esp32c6", ESPTOOL_CHIP = "esp32-c6", ESPLUA_BAUD = "460800" } })
    -- No more than the port layer takes: the largest number that was accepted ended in a Lua error.
    bad({ "info", "-p", "sim:esp32c6", "-b", "20000001" }, 2, "expected at most 20000000")
    bad({ "info", "-p", "sim:esp32c6", "--rom-baud", "0" }, 2, "expected at least 1")
    bad({ "info" }, 2, "environment variable ESPLUA_BAUD", { env = { ESPLUA_PORT = "sim:esp32c6", ESPLUA_BAUD = "x" } })
    bad({ "info" }, 12, "this chip is ESP32-C6, not ESP32",
        { env = { ESPLUA_PORT = "sim:esp32c6", ESPLUA_CHIP = "esp32" } })
    local home = program.folder()
    program.write(home .. "/esptool.cfg", "[esptool]\ntimeout = 4\nnonsense = 1\n")
    local r = good({ "info", "-v", "-p", "sim:esp32c6" }, { cwd = home })
    assert.matches("Settings from esptool.cfg", r.out, 1, true)
    assert.matches("unknown key nonsense", r.out, 1, true)
    program.write(home .. "/esptool.cfg", "[esptool]\ncustom_reset_sequence = D2\n")
    bad({ "info", "-p", "sim:esp32c6" }, 2, "custom_reset_sequence", { cwd = home })
  end)

  it("say little when told to be silent, and all packets when told to trace", function()
    local r = good { "flash", "-s", "-p", "sim:esp32c3", "0x0", IMAGE }
    assert.equal("", r.out .. r.err)
    r = good { "mem", "read", "-t", "-p", "sim:esp32c3", "0x3FC80000" }
    assert.matches("> +", r.out, 1, true)
    assert.matches("SYNC", r.out, 1, true)
    assert.matches("    0000  ", r.out, 1, true)
    bad({ "info", "-t", "-s", "-p", "sim:esp32c3" }, 2, "options --trace and --silent exclude each other")
    local _, _, events = with_json { "mem", "read", "-t", "-p", "sim:esp32c3", "0x3FC80000" }
    local packets = 0
    for _, e in ipairs(events) do packets = packets + (e.event == "packet" and 1 or 0) end
    assert.is_true(packets > 4)
  end)

  describe("refuse", function()
    local port = "sim:esp32c3"
    for _, case in ipairs {
      { "a missing file", { "flash", "0", "none.bin" }, 14, "none.bin: no such file" },
      { "a folder for a file", { "flash", "0", "/tmp" }, 14, "/tmp: is a directory, not a file" },
      { "an empty file", { "flash", "0", "EMPTY" }, 14, "the file is empty (0 bytes)" },
      { "an address that is no number", { "flash", "0xZZ", IMAGE }, 2, "argument ADDRESS: '0xZZ' is not valid" },
      { "an address without a file", { "flash", "0x10000" }, 2, "0x10000 without FILE after it" },
      { "nothing to do", { "flash" }, 2, "argument FILE is missing" },
      { "regions that overlap", { "flash", "0x0", IMAGE, "0x100", IMAGE }, 15, "overlap" },
      { "regions that share a sector", { "flash", "0x0", IMAGE, "0x800", IMAGE }, 15, "share the sector at 0x0" },
      { "what goes past the end of flash", { "flash", "0x3FFF00", IMAGE }, 15, "0x3FFF00" },
      { "what begins past the end of flash", { "flash", "0x800000", IMAGE }, 15, "0x800000" },
      { "an image for another chip", { "flash", "0x0", IMAGE_ESP32 }, 12, "ESP32" },
      { "a flash size that the chip does not know", { "flash", "-fs", "2MB-c1", "0", IMAGE }, 2, "2MB-c1" },
      { "pins that are none", { "flash", "-sc", "1,2,3", "0", IMAGE }, 2, "five pin numbers" },
      { "an unknown option", { "flash", "--erase-al", "0", IMAGE }, 2, "did you mean --erase-all?" },
      { "a missing file to verify", { "verify", "0", "none.bin" }, 14, "none.bin: no such file" },
      { "reading past the end", { "read", "0x3FFFFF", "2", "OUT" }, 15, "0x3FFFFF" },
      { "reading nothing", { "read", "0", "0", "OUT" }, 2, "argument SIZE: '0' is not valid" },
      { "a size that is none", { "read", "0", "lots", "OUT" }, 2, "argument SIZE: 'lots' is not valid" },
      { "a folder that is not there", { "read", "0", "16", "/nonexistent/x.bin" }, 14, "/nonexistent/x.bin" },
      { "a folder for output", { "read", "0", "16", "/tmp" }, 14, "/tmp: is a directory, not a file" },
      { "erasing half a sector", { "erase", "0x1000", "0x800" }, 2, "argument SIZE: '0x800' is not valid" },
      { "erasing from the middle of a sector", { "erase", "0x1001", "4k" }, 2, "a multiple of 0x1000" },
      { "erasing without a size", { "erase", "0x1000" }, 2, "argument SIZE is missing" },
      { "erasing past the end", { "erase", "0x3FF000", "8k" }, 15, "0x3FF000" },
      { "an odd register", { "mem", "write", "0x3FC80001", "1" }, 2, "a multiple of 0x4" },
      { "a word of more than 32 bits", { "mem", "write", "0x3FC80000", "0x100000000" }, 2, "argument VALUE" },
      { "memory past the end", { "mem", "read", "0xFFFFFFFC", "8" }, 2, "past the end of memory" },
      { "another chip than wanted", { "info", "-c", "esp32s3" }, 12, "this chip is ESP32-C3, not ESP32-S3" },
    } do
      it(case[1], function()
        local words = table.move(case[2], 1, #case[2], 1, {})
        for i, w in ipairs(words) do
          if w == "EMPTY" then words[i] = program.write(path "empty.bin", "") end
          if w == "OUT" then words[i] = path "out.bin" end
        end
        table.move({ "-p", port, "--before", "no-reset", "--after", "no-reset" }, 1, 6, #words + 1, words)
        os.remove(path "out.bin")
        bad(words, case[3], case[4])
        assert.is_nil(program.read(path "out.bin"))
        local r, last = with_json(words)
        assert.equal(case[3], r.status)
        assert.equal(case[3], last.error.status)
        assert.matches(case[4], last.error.message, 1, true)
        assert.is_nil(last.done)
      end)
    end

    it("a truncated image, when it would be started", function()
      local text = program.read(IMAGE)
      bad({ "run", "-p", port, program.write(path "cut.bin", text:sub(1, 40)) }, 14, "cut.bin")
    end)

    it("ports that are missing or no ports", function()
      bad({ "info", "-p", "/dev/ttyNOPE9" }, 10, "/dev/ttyNOPE9: no such port")
      bad({ "info", "-p", "socket://127.0.0.1:1" }, 10, "socket://127.0.0.1:1")
      bad({ "info", "-p", "socket://127.0.0.1" }, 2, "socket://127.0.0.1")
      bad({ "info", "-p", "sim:esp99" }, 12, "esp99")
    end)

    it("what secure download mode does not allow, by name", function()
      local sdm = "sim:esp32c3?sdm=1"
      bad({ "read", "-p", sdm, "0", "16", path "out.bin" }, 12, "secure download mode")
      bad({ "mem", "read", "-p", sdm, "0x3FC80000" }, 12, "secure download mode")
      good { "info", "-p", sdm }
    end)
  end)

  describe("end with the class of the fault when", function()
    local FAST = { cwd = nil }
    setup(function()
      FAST.cwd = program.folder()
      program.write(FAST.cwd .. "/esplua.cfg", "[esplua]\nconnect_attempts = 2\ntimeout = 0.3\nmax_timeout = 1\n")
    end)

    it("the chip runs its program", function()
      local r = bad({ "info", "-p", "sim:esp32c3?boot=flash", "--before", "no-reset" }, 11, "", FAST)
      assert.matches("hint: hold BOOT", r.err, 1, true)
    end)

    it("the line is unplugged while writing", function()
      local file = program.write(path "big.bin", noise(200000))
      local r = run({ "flash", "-p", "sim:esp32c3?unplug=60000", "0x10000", file }, FAST)
      assert.is_true(r.status == 10 or r.status == 20 or r.status == 11, r.status .. r.err)
      assert.matches("not complete", r.err, 1, true)
      assert.is_nil(r.out:find "verified")
    end)

    it("the line is unplugged while reading, without leaving a file", function()
      os.remove(path "out.bin")
      program.write(path "full.flash", noise(1 << 20))
      local url = ("sim:esp32c3?unplug=60000&flash=%s"):format(path "full.flash")
      local r = run({ "read", "-p", url, "0", "256k", path "out.bin" }, FAST)
      assert.is_true(r.status == 10 or r.status == 20, r.status .. r.err)
      assert.is_nil(program.read(path "out.bin"))
      local list = io.popen("ls -A " .. folder):read "a"
      assert.is_nil(list:find "out%.bin", list)
    end)

    it("every answer is lost", function()
      bad({ "info", "-p", "sim:esp32c3?drop=1" }, 11, "sim:esp32c3?drop=1", FAST)
    end)

    it("output cannot be written", function()
      if not io.open("/dev/full", "w") then return end
      assert.equal(16, run({ "info", "-p", "sim:esp32c3" }, { out = "/dev/full" }).status)
    end)
  end)

  it("do their work in spite of a bad line", function()
    local file = program.write(path "data.bin", noise(60000))
    local r, last = with_json { "flash", "-p", "sim:esp32c3?drop=0.0005&flip=0.0005&seed=7", "0x10000", file }
    assert.equal(0, r.status, r.out)
    assert.is_true(last.result.verified)
  end)

  it("stop at Ctrl-C with everything in order", function()
    local file = program.write(path "data.bin", noise(200000))
    local argv = { "flash", "-p", "sim:esp32c3?rate=real", "0x10000", file }
    local r = run(argv, { interrupt = 2.5 })
    assert.equal(130, r.status, r.out .. r.err)
    assert.matches("esplua: interrupted\n", r.err, 1, true)
    assert.matches("not complete in flash", r.err, 1, true)
    assert.matches("Hard resetting", r.out, 1, true)
    os.remove(path "out.bin")
    r = run({ "read", "-p", "sim:esp32c3?rate=real", "0", "1M", path "out.bin", "--no-stub" }, { interrupt = 1 })
    assert.equal(130, r.status)
    assert.is_nil(program.read(path "out.bin"))
    r = run({ "-e", "while true do end" }, { interrupt = 0.3 })
    assert.equal(130, r.status)
    r = run({ "-e", "pcall(function() while true do end end) while true do end" }, { interrupt = 0.3, again = true })
    assert.equal(128 + 2, r.status)
  end)

  it("leave the current folder alone", function()
    assert.equal(cwd, require "esp.core.fs".cwd())
  end)
end)
