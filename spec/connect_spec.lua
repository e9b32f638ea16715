-- Connecting to the simulated chip, and to ends of a line that say what a chip in trouble says. What is expected comes
-- from the esptool documentation ("Advanced Options", "Boot Mode Selection", "Troubleshooting").
local esp = require "esp"
local chips = require "esp.chips"
local config = require "esp.config"
local fail = require "esp.error"
local port = require "esp.core.port"
local sim = require "esp.sim"
local task = require "esp.core.task"

local NOTHING = function() return nil end

-- With the collector always running a connection takes a second: then three kinds of chip stand for all.
local IDS = os.getenv "ESPLUA_GC_STRESS" and { "esp8266", "esp32", "esp32c3" } or chips.list()
-- Nothing of the machine that runs the specs: no environment, no configuration file.
local function options(o)
  o.env = o.env or {}
  o.config = o.config or config.from_text("[esptool]\nsync_timeout = 0.05\nreset_delay = 0.02\n" .. (o.cfg or ""))
  o.cfg = nil
  if o.no_stub == nil then o.no_stub = true end       -- these are about the ROM loader
  return o
end

-- Waits are for capacitors and drivers; the simulated chip needs a few milliseconds.
local sleep = task.sleep
setup(function() task.sleep = function(seconds) return sleep(math.min(seconds, 0.005)) end end)
teardown(function() task.sleep = sleep end)

local function connect(o) return esp.connect(options(o)) end

local function events()
  local list = {}
  return list, function(e) list[#list + 1] = e end
end

local function has(list, code)
  for _, e in ipairs(list) do
    if e.code == code then return e end
  end
  return nil
end

local function failure(o)
  local ok, e = pcall(connect, o)
  if ok then e:close() end
  assert.is_false(ok)
  assert.is_true(fail.is(e), tostring(e))
  assert.is_nil(debug.traceback(tostring(e)):match "lua:%d+: attempt")
  return e
end

-- A line whose other end says text now and again, and answers nothing.
local function talking_port(text)
  local near, far = port.pair()
  local speaker = task.spawn(function()
    for _ = 1, 200 do
      if text ~= "" then far:write(text) end
      task.sleep(0.02)
    end
  end)
  return near, function() speaker:cancel() far:close() end
end

describe("a failed connection", function()
  for _, case in ipairs {
    { "to a line where nothing is", "", "nothing_received" },
    { "to a chip that runs its program", "I (312) app: hello\r\n", "wrong_boot_mode" },
    { "to a chip that starts from flash",
      "ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\nrst:0x1 (POWERON),boot:0xd (SPI_FAST_FLASH_BOOT)\r\n",
      "wrong_boot_mode", "boot word 0xd" },
    { "to a chip with empty flash",
      "rst:0x1 (POWERON),boot:0xd (SPI_FAST_FLASH_BOOT)\r\ninvalid header: 0xffffffff\r\n", "wrong_boot_mode",
      "no valid program" },
    { "to a chip whose supply fails", "\r\nBrownout detector was triggered\r\n\r\n", "wrong_boot_mode", "brownout" },
    { "to a chip that does not hear us",
      "rst:0x1 (POWERON),boot:0x5 (DOWNLOAD(USB/UART0/1))\r\nwaiting for download\r\n", "no_reply" },
    { "at the wrong rate", "\x8C\x1E\xF0\x93\x02\xE3\x0C\x80\xC2\x9F\x72\x84", "garbage" },
  } do
    local name, text, code, said = table.unpack(case)
    it(name .. " is " .. code, function()
      local p, stop = talking_port(text)
      local list, on_event = events()
      local e = failure { port = p, attempts = 1, on_event = on_event }
      stop()
      assert.equal(code, e.code)
      assert.is_string(e.hint)
      assert.equal(1, #e.details.attempts)
      if text ~= "" then assert.is_true(#e.details.received > 0) end
      if said then assert.matches(said, tostring(e), 1, true) end
      assert.is_truthy(has(list, "no_lines"))
    end)
  end

  it("gives the words about a chip that crashes instead of answering", function()
    local p, stop = talking_port "\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was ...\r\n"
    local e = failure { port = p, attempts = 1 }
    stop()
    assert.equal("wrong_boot_mode", e.code)
    assert.matches("LoadProhibited", tostring(e), 1, true)
  end)

  it("when the other end is gone says so", function()
    local near, far = port.pair()
    far:close()
    local e = failure { port = near, attempts = 1 }
    assert.matches("^port_", e.code)
  end)

  it("when the port goes away and does not come back says so without all the attempts", function()
    local device = sim.new { chip = "esp32c3", unplug = 500 }
    local list, on_event = events()
    local e = failure { port = device:port(), on_event = on_event }
    device:close()
    assert.equal("port_gone", e.code)
    local attempts = 0
    for _, event in ipairs(list) do attempts = attempts + (event.type == "attempt" and 1 or 0) end
    assert.equal(2, attempts)
  end)

  it("on a port that is not there names it", function()
    local e = failure { port = "/dev/no-such-port" }
    assert.equal("port_missing", e.code)
    assert.matches("/dev/no-such-port", tostring(e), 1, true)
  end)

  it("warns of a rate below what some chip's ROM bears", function()
    local p, stop = talking_port ""
    local e = failure { port = p, baud = 57600, attempts = 1, chip = "esp32c2" }
    stop()
    assert.matches("ESP32-C2 needs at least 115200 baud", e.hint, 1, true)
  end)

  it("closes its port", function()
    local p, stop = talking_port ""
    failure { port = p, attempts = 1 }
    stop()
    local _, message = pcall(p.read, p, 1, 0)
    assert.is_truthy(message)
  end)
end)

describe("options", function()
  for _, case in ipairs {
    { { before = "kick" }, "bad_argument" }, { { after = "kick" }, "bad_argument" },
    { { chip = "esp99" }, "unknown_chip" },
    { { cfg = "custom_reset_sequence = D0|Q\n" }, "bad_reset_sequence" },
    { { cfg = "custom_hard_reset_sequence = W-1\n" }, "bad_reset_sequence" },
  } do
    it("are checked before the port is touched: " .. case[2], function()
      case[1].port = "/dev/no-such-port"
      assert.equal(case[2], failure(case[1]).code)
    end)
  end

  it("are refused when they are no numbers", function()
    assert.has_error(function() connect { port = "x", baud = "fast" } end)
    assert.has_error(function() connect { port = "x", baud = 0 } end)
    assert.has_error(function() connect { port = "x", attempts = 1.5 } end)
  end)

  it("come from the environment when they are not given", function()
    local variables = { ESPTOOL_PORT = "sim:esp32", ESPTOOL_BAUD = "230400", ESPTOOL_CHIP = "esp32",
                        ESPTOOL_AFTER = "no-reset" }
    local chip <close> = connect { env = config.environment(function(name) return variables[name] end) }
    assert.equal("esp32", chip.id)
    assert.equal(230400, chip.baud)
    assert.equal("no-reset", chip.after)
  end)

  it("from the configuration file are announced once", function()
    local list, on_event = events()
    local chip <close> = connect { port = "sim:esp32", cfg = "zebra = 1\n", on_event = on_event }
    assert.is_nil(has(list, "unknown_config_key"))      -- whoever loaded the file has said it
    assert.is_truthy(chip)
  end)
end)

describe("connecting to a simulated chip", function()
  for _, id in ipairs(IDS) do
    it("finds out that it is " .. id, function()
      local chip <close> = connect { port = "sim:" .. id }
      assert.equal(id, chip.id)
      assert.equal(chips.get(id).name, chip.name)
      assert.is_false(chip.sdm)
      assert.is_false(chip.stub)
      assert.equal(chips.get(id).rom.status_bytes, chip.status_bytes)
      assert.matches("^%x%x:%x%x:", chip:mac())
      assert.equal(chip:mac(), chip:info().mac)
      assert.equal(1, chip.session)
    end)

    it("accepts " .. id .. " by name and refuses another name", function()
      local chip <close> = connect { port = "sim:" .. id, chip = chips.get(id).name }
      assert.equal(id, chip.id)
      local other = id == "esp32" and "esp32s3" or "esp32"
      local e = failure { port = "sim:" .. id, chip = other }
      assert.equal("wrong_chip", e.code)
      assert.matches(chips.get(id).name, tostring(e), 1, true)
      assert.matches(chips.get(other).name, tostring(e), 1, true)
    end)

    if chips.get(id).security_info then
      it("recognises secure download mode on " .. id, function()
        local chip <close> = connect { port = "sim:" .. id .. "?sdm=1" }
        assert.equal(id, chip.id)
        assert.is_true(chip.sdm)
        assert.is_true(chip:security_info().secure_download)
        for _, refused in ipairs { function() chip:read_reg(0x40001000) end, function() chip:mac() end,
                                   function() chip:write_reg(0x40001000, 1) end, function() chip:read_mem(0, 4) end } do
          local ok, e = pcall(refused)
          assert.is_false(ok)
          assert.equal("unsupported", e.code)
        end
        assert.equal(chip.name, chip:info().name)
      end)
    end
  end

  it("says that a chip is in secure download mode when the name is given too", function()
    local chip <close> = connect { port = "sim:esp32s2?sdm=1", chip = "esp32s2" }
    assert.is_true(chip.sdm)
  end)

  it("refuses another name in secure download mode", function()
    assert.equal("wrong_chip", failure({ port = "sim:esp32s2?sdm=1", chip = "esp32" }).code)
  end)

  it("works over an open port", function()
    local chip <close> = connect { port = (sim.open "sim:esp32c3") }
    assert.equal("sim:esp32c3", chip.url)
  end)

  it("brings a chip that runs its program into download mode", function()
    for _, id in ipairs { "esp8266", "esp32", "esp32c3" } do
      local chip <close> = connect { port = "sim:" .. id .. "?boot=flash" }
      assert.equal(id, chip.id)
    end
  end)

  it("finds a chip that runs its program when it may not reset it", function()
    local e = failure { port = "sim:esp32c3?boot=flash", before = "no-reset", attempts = 2 }
    assert.matches("^wrong_boot_mode$", e.code)
  end)

  it("uses a chip that is in download mode already", function()
    local list, on_event = events()
    local chip <close> = connect { port = "sim:esp32c3", before = "no-reset", on_event = on_event }
    assert.equal("esp32c3", chip.id)
    assert.is_truthy(has(list, "no_reset"))
  end)

  it("skips even the synchronising when told", function()
    local p = sim.open "sim:esp32c3"
    local first = connect { port = p, after = "no-reset" }
    first.port = { close = function() end, info = NOTHING }       -- leaves the port open
    first:close()
    local chip <close> = connect { port = p, before = "no_reset_no_sync", chip = "esp32c3" }
    assert.equal("esp32c3", chip.id)
  end)

  it("takes a custom sequence for the whole cycle", function()
    local chip <close> = connect { port = "sim:esp32?boot=flash",
                                   cfg = "custom_reset_sequence = D0|R1|W0.01|D1|R0|W0.02|D0\n" }
    assert.equal("esp32", chip.id)
    local e = failure { port = "sim:esp32?boot=flash", attempts = 1, cfg = "custom_reset_sequence = D0|R1|W0.01|R0\n" }
    assert.equal("wrong_boot_mode", e.code)
    assert.equal("custom", e.details.attempts[1].recipe)
    assert.matches("boot word 0x13", tostring(e), 1, true)
  end)

  it("needs the longer delay for a slow EN and gets there", function()
    local list, on_event = events()
    local chip <close> = connect { port = "sim:esp32?boot=flash&en_delay=0.1", on_event = on_event,
                                   config = config.from_text "[esptool]\nsync_timeout = 0.02\n" }
    assert.equal("esp32", chip.id)
    assert.is_truthy(list)
  end)

  it("survives noise on the line", function()
    for seed = 1, 5 do
      local chip <close> = connect { port = "sim:esp32c3?noise=0.002&seed=" .. seed, attempts = 20 }
      assert.equal("esp32c3", chip.id)
    end
  end)

  it("tells what it does", function()
    local list, on_event = events()
    local chip <close> = connect { port = "sim:esp32", on_event = on_event }
    for _, code in ipairs { "connecting", "detecting", "connected" } do assert.is_truthy(has(list, code), code) end
    assert.equal(chip, has(list, "connected").chip)
  end)

  it("shows every packet to the trace", function()
    local seen = {}
    local chip <close> = connect { port = "sim:esp32", trace = function(p) seen[p.dir .. (p.op or "")] = true end }
    assert.is_truthy(chip)
    assert.is_true(seen.tx8 and seen.rx8 and seen.tx10 and seen.rx10)
  end)
end)

describe("a chip on internal USB", function()
  for _, case in ipairs {
    { "sim:esp32c3?link=usj", "usj", 0x1800 }, { "sim:esp32s3?link=usj", "usj", 0x1800 },
    { "sim:esp32s3?link=otg", "otg", 0x800 }, { "sim:esp32s2?link=otg", "otg", 0x800 },
    { "sim:esp32p4?link=otg", "otg", 0x800 }, { "sim:esp32c3", nil, 0x1800 },
  } do
    it(("is recognised on %s"):format(case[1]), function()
      local chip <close> = connect { port = case[1] }
      assert.equal(case[2], chip.usb_mode)
      assert.equal(case[3], chip.ram_block)
      assert.equal(0x400, chip.flash_block)
    end)
  end

  for _, times in ipairs { 1, 3, 50 } do
    it(("is found again when it vanishes at the reset, %d times"):format(times), function()
      local chip <close> = connect { port = "sim:esp32c3?link=usj&boot=flash&vanish=" .. times, attempts = 5 }
      assert.equal("usj", chip.usb_mode)
    end)
  end

  it("is told by the port where registers cannot be read, or no variable is known", function()
    for url, mode in pairs { ["sim:esp32s2?link=otg&sdm=1"] = "otg", ["sim:esp32c3?link=usj&sdm=1"] = "usj",
                             ["sim:esp32s31?link=otg"] = "otg", ["sim:esp32s31?link=usj"] = "usj" } do
      local chip <close> = connect { port = url }
      assert.equal(mode, chip.usb_mode)
    end
  end)

  for _, id in ipairs(IDS) do
    local data = chips.get(id)
    if data.links.usj and data.uart.link_in_use then
      it("has its watchdogs stopped where they would cut a session: " .. id, function()
        local dog = data.watchdog
        local device = sim.new { chip = id, link = "usj" }
        local chip <close> = connect { port = device:port() }
        assert.equal(dog.disable_on_usj, chip.usb_mode == "usj" and dog.disable_on_usj)
        if dog.disable_on_usj and dog.swd then
          assert.equal(dog.swd.auto_feed, chip:read_reg(dog.swd.config) & dog.swd.auto_feed)
          assert.equal(0, chip:read_reg(dog.rtc.wprotect))
        end
      end)
    end
  end
end)

describe("our stub", function()
  for _, id in ipairs(IDS) do
    if chips.get(id).stub.default ~= "none" then
      it("is used unasked on the simulated " .. id, function()
        local list, on_event = events()
        local chip <close> = connect { port = "sim:" .. id, no_stub = false, on_event = on_event }
        assert.is_true(chip.stub)
        assert.is_true(chip.stub_can.window and chip.stub_can.digests and chip.stub_can.packed)
        assert.is_nil(has(list, "no_stub"))
      end)
    end
  end

  for _, url in ipairs { "sim:esp32c3?link=usj", "sim:esp32s2?link=otg", "sim:esp32s3?link=otg",
                         "sim:esp32p4?link=otg&revision=3.1", "sim:esp32s31?link=otg" } do
    it("talks on internal USB: " .. url, function()
      local chip <close> = connect { port = url, no_stub = false }
      assert.is_true(chip.stub)
      local bytes = ("usb \xC0\xDB"):rep(3000)
      assert.is_true(chip:flash({ { 0x10000, { data = bytes } } }).verified)
      assert.equal(bytes, (chip:read(0x10000, #bytes)))
    end)
  end

  -- Behind a socket nobody knows that the chip is a simulated one.
  for _, case in ipairs { { "esp32h2", "a fact that nobody has established" }, { "esp32p4", nil, "1.0" }, { "esp32h4" },
                          { "esp32p4", nil, "3.1" }, { "esp32c6" } } do
    local id, fact, revision = table.unpack(case)
    it(("on a real %s%s is %s"):format(id, revision or "", fact and "left out until asked for" or "used"), function()
      local device = sim.new { chip = id, revision = revision }
      local url = device:serve { tcp = 0, reset_on_connect = true }
      local list, on_event = events()
      local stub = chips.get(id).stub
      stub.unproven = fact and { fact = fact }            -- as a new chip's data would have it
      local ok, chip = pcall(connect, { port = url, no_stub = false, on_event = on_event })
      stub.unproven = nil
      assert(ok, chip)
      assert.equal(fact == nil, chip.stub)
      if fact then
        assert.matches(fact, has(list, "no_stub").text, 1, true)
        assert.matches("--stub ours", has(list, "no_stub").hint, 1, true)
      end
      chip:close()
      chip = connect { port = url, no_stub = false, stub = "ours" }
      assert.is_true(chip.stub)
      chip:close()
      device:close()
    end)
  end

  for _, case in ipairs {
    { "sim:esp32c3?sdm=1", "secure download mode" }, { "sim:esp32c3?secure_boot=1", "secure boot is on" },
    { "sim:esp32c3", "soft reset", "soft-reset" }, { "sim:esp32e22", "there is none for this chip" },
  } do
    it(("is not used where it cannot work: %s, %s"):format(case[1], case[2]), function()
      local list, on_event = events()
      local chip <close> = connect { port = case[1], no_stub = false, after = case[3], on_event = on_event }
      assert.is_false(chip.stub)
      assert.matches(case[2], has(list, "no_stub").text, 1, true)
    end)
  end

  -- What the ROMs do with secure boot on: seen of the mask ROMs of ESP32-C3 and ESP32-S3.
  it("is started in another way where the ROM does not with secure boot on", function()
    local chip <close> = connect { port = "sim:esp32s3?secure_boot=1", no_stub = false }
    assert.is_true(chip.stub)
    assert.equal(0, chip:read_reg(chip.data.stub.rom.flash_read_pointer))       -- as it was
    local report = chip:flash { { 0x1000, { data = ("secure"):rep(1000) } } }
    assert.is_true(report.verified)
  end)
end)

describe("a baud rate", function()
  for _, id in ipairs(IDS) do
    local data = chips.get(id)
    it(("of %s is raised as its crystal asks"):format(id), function()
      local list, on_event = events()
      local chip <close> = connect { port = "sim:" .. id, baud = 460800, on_event = on_event }
      assert.equal(data.rom.change_baud and 460800 or 115200, chip.baud)
      assert.equal(not data.rom.change_baud, has(list, "baud_kept") ~= nil)
      assert.matches("^%x%x:", chip:mac())        -- the line still works
    end)
  end

  for _, case in ipairs { { "esp32", 26 }, { "esp32", 40 }, { "esp32c2", 26 }, { "esp32c2", 40 }, { "esp32c5", 40 },
                          { "esp32c5", 48 } } do
    it(("comes out right on %s with %d MHz"):format(table.unpack(case)), function()
      local chip <close> = connect { port = ("sim:%s?xtal=%d"):format(table.unpack(case)), baud = 921600 }
      assert.equal(case[2], chip:crystal())
      assert.equal(921600, chip.baud)
      assert.equal(case[2], require("esp.identity").crystal(chip))       -- measured again, at the new rate
    end)
  end

  it("stays in secure download mode where the ROM cannot change it", function()
    for _, id in ipairs { "esp32c2", "esp32c5" } do
      local list, on_event = events()
      local chip <close> = connect { port = "sim:" .. id .. "?sdm=1", baud = 460800, on_event = on_event }
      assert.equal(115200, chip.baud)
      assert.is_truthy(has(list, "baud_kept"))
    end
    local chip <close> = connect { port = "sim:esp32c3?sdm=1", baud = 460800 }
    assert.equal(460800, chip.baud)
  end)

  it("below the usual one is the ROM's too", function()
    local chip <close> = connect { port = "sim:esp32", baud = 57600 }
    assert.equal(57600, chip.baud)
    assert.equal("24:0a:c4:12:34:56", chip:mac())
  end)
end)

describe("a served chip", function()
  local function served(where)
    local device = sim.new { chip = "esp32c3", boot = where.rfc2217 and "flash" or nil }
    return device, device:serve(where)
  end

  it("is reached over a socket, and told that lines are missing", function()
    local device, url = served { tcp = 0 }
    local list, on_event = events()
    local chip = connect { port = url, baud = 230400, on_event = on_event, no_stub = true }
    assert.equal("esp32c3", chip.id)
    assert.is_truthy(has(list, "no_lines"))
    chip:close()
    assert.is_truthy(has(list, "not_reset"))
    device:close()
  end)

  it("is reached over RFC 2217, reset and all", function()
    local device, url = served { rfc2217 = 0 }
    local list, on_event = events()
    local chip = connect { port = url, baud = 460800, on_event = on_event }
    assert.equal("esp32c3", chip.id)
    assert.equal(460800, chip.baud)
    chip:close()
    assert.is_nil(has(list, "not_reset"))
    device:close()
  end)

  it("on internal USB is reset in the way that its USB wants, once it says so", function()
    local device = sim.new { chip = "esp32s3", link = "usj", boot = "flash" }
    local chip = connect { port = device:serve { rfc2217 = 0 } }
    assert.equal("esp32s3", chip.id)
    assert.equal("usj", chip.usb_mode)
    chip:close()
    device:close()
  end)

  it("is reached over a pseudo terminal", function()
    local device, url = served { pty = true }
    local chip = connect { port = url, before = "no-reset", after = "no-reset", no_stub = true }
    assert.equal("esp32c3", chip.id)
    chip:close()
    device:close()
  end)
end)

describe("choosing a port", function()
  local ports = require "esp.ports"
  local list, open
  before_each(function() list, open = ports.list, ports.open end)
  after_each(function() ports.list, ports.open = list, open end)

  it("tries one after the other and names those that failed", function()
    ports.list = function() return { { name = "/dev/no-such-port" }, { name = "sim:esp32c3" } } end
    local seen, on_event = events()
    local chip <close> = connect { on_event = on_event }
    assert.equal("sim:esp32c3", chip.url)
    assert.equal(2, has(seen, "ports_found").count)
    assert.equal("/dev/no-such-port", has(seen, "port_missing").port)
  end)

  it("says how many it tried", function()
    ports.list = function() return { { name = "/dev/no-1" }, { name = "/dev/no-2" } } end
    local e = failure {}
    assert.equal("port_missing", e.code)
    assert.matches("2 serial ports", tostring(e), 1, true)
    assert.equal(2, #e.details.tried)
  end)

  it("says when there is none", function()
    ports.list = function(opts)
      assert.same({ "vid=1" }, opts.filter)
      return {}
    end
    assert.matches("no serial port found", tostring(failure { port_filter = { "vid=1" } }), 1, true)
  end)

  it("waits for a port that appears later", function()
    local tries = 0
    ports.open = function(url, opts)
      tries = tries + 1
      if tries < 4 then fail { code = "port_missing", message = url .. ": no such device" } end
      return open(url, opts)
    end
    local seen, on_event = events()
    local chip <close> = connect { port = "sim:esp32", cfg = "open_port_attempts = 0\n", on_event = on_event }
    assert.equal("esp32", chip.id)
    assert.equal(4, tries)
    assert.is_truthy(has(seen, "waiting_for_port"))
  end)

  it("does not wait longer than it was told", function()
    local tries = 0
    ports.open = function(url)
      tries = tries + 1
      fail { code = "port_missing", message = url .. ": no such device" }
    end
    assert.equal("port_missing", failure({ port = "/dev/x", open_attempts = 3 }).code)
    assert.equal(3, tries)
  end)

  it("needs a name to wait for", function()
    assert.equal("bad_argument", failure({ open_attempts = 3 }).code)
    -- What is set for all commands does not keep one from looking at the ports there are.
    local told, on_event = events()
    failure { port_filter = { "name=no such port" }, cfg = "open_port_attempts = 0\n", on_event = on_event }
    assert.matches("needs its name", has(told, "not_waiting").text, 1, true)
    assert.equal(0, has(told, "ports_found").count)
  end)
end)
