-- The chip object on simulated chips, with the ROM loader: registers and memory, programs in RAM, resets, leaving,
-- coming back, the console.
local esp = require "esp"
local chips = require "esp.chips"
local config = require "esp.config"
local fail = require "esp.error"
local reset = require "esp.reset"
local sim = require "esp.sim"
local task = require "esp.core.task"

-- With the collector always running a connection takes a second: then three kinds of chip stand for all.
local STRESS = os.getenv "ESPLUA_GC_STRESS"
local IDS = STRESS and { "esp8266", "esp32", "esp32c3" } or chips.list()

local sleep = task.sleep
setup(function() task.sleep = function(seconds) return sleep(math.min(seconds, 0.005)) end end)
teardown(function() task.sleep = sleep end)

local function has(list, code)
  for _, e in ipairs(list) do
    if e.code == code then return e end
  end
  return nil
end

-- A simulated chip and the object that is connected to it, with what it told.
local function board(options, more)
  local device = sim.new(options)
  local told = {}
  local o = { port = device:port(), no_stub = true, env = {}, on_event = function(e) told[#told + 1] = e end,
              config = config.from_text("[esptool]\nsync_timeout = 0.05\ntimeout = 1\n") }
  for key, value in pairs(more or {}) do o[key] = value end
  local chip = esp.connect(o)
  return chip, device, told
end

local function refused(code, f, ...)
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(fail.is(e), tostring(e))
  assert.equal(code, e.code)
  return e
end

local RAM = STRESS and { esp32c3 = 0x3FC84000 }
  or { esp8266 = 0x3FFE9000, esp32 = 0x3FFB0000, esp32c3 = 0x3FC84000, esp32s2 = 0x3FFD0000 }

describe("registers", function()
  for id, address in pairs(RAM) do
    it("are read and written, with masks, on " .. id, function()
      local chip <close>, device = board { chip = id }
      chip:write_reg(address, 0x12345678)
      assert.equal(0x12345678, chip:read_reg(address))
      assert.equal(0x12345678, device:reg(address))
      chip:write_reg(address, 0xFFFFFFFF, 0x0000FF00)
      assert.equal(0x1234FF78, chip:read_reg(address))
      chip:write_reg(address, 0, 0xF0000000, 10, 20)
      assert.equal(0x0234FF78, chip:read_reg(address))
      assert.equal(0x0234FF0F, chip:update_reg(address, 0xFF, 0x0F))
      assert.equal(0x0234FF0F, device:reg(address))
    end)
  end

  it("are written as a list, many in a packet", function()
    local chip <close>, device = board { chip = "esp32c3" }
    local list = {}
    for i = 0, 99 do list[#list + 1] = { RAM.esp32c3 + 4 * i, i * 0x01010101 } end
    device:log()
    chip:write_regs(list)
    local count = 0
    for _, command in ipairs(device:log()) do
      if command.op == 0x09 then count = count + 1 end
    end
    assert.is_true(count >= 1 and count <= 7)
    for i = 0, 99 do assert.equal(i * 0x01010101, device:reg(RAM.esp32c3 + 4 * i)) end
  end)

  it("are refused at no address", function()
    local chip <close> = board { chip = "esp32c3" }
    for _, address in ipairs { -1, 0x100000000, 1.5 } do
      assert.has_error(function() chip:read_reg(address) end)
      assert.has_error(function() chip:write_reg(address, 0) end)
    end
    assert.has_error(function() chip:read_reg() end)
  end)
end)

describe("memory", function()
  for id, base in pairs(RAM) do
    it("is read and written at any address and length on " .. id, function()
      local chip <close>, device = board { chip = id }
      chip:write_mem(base, ("\xEE"):rep(32))
      for offset = 0, 3 do
        for size = 0, 9 do
          local text = ("abcdefghi"):sub(1, size)
          chip:write_mem(base, ("\xEE"):rep(16))
          chip:write_mem(base + offset, text)
          assert.equal(("\xEE"):rep(offset) .. text .. ("\xEE"):rep(16 - offset - size), chip:read_mem(base, 16))
          assert.equal(text, chip:read_mem(base + offset, size))
        end
      end
      assert.equal(0xEEEEEEEE, device:reg(base + 16))
    end)

    it("is written in blocks when there is much on " .. id, function()
      local chip <close>, device = board { chip = id }
      local text = {}
      for i = 1, 2000 do text[i] = ("<I4"):pack(i * 0x9E3779B1 & 0xFFFFFFFF) end
      text = table.concat(text)
      local calls = {}
      device:log()
      chip:write_mem(base, text, { progress = function(done, total) calls[#calls + 1] = done / total end })
      assert.equal(1, calls[#calls])
      for _, command in ipairs(device:log()) do assert.is_true(command.op == 5 or command.op == 7) end
      for _, i in ipairs { 0, 1, 1535, 1536, 1999 } do
        assert.equal((("<I4"):unpack(text, 4 * i + 1)), device:reg(base + 4 * i))
      end
    end)
  end

  it("tells how far it is and can be stopped", function()
    local chip <close> = board { chip = "esp32c3" }
    local last
    chip:read_mem(RAM.esp32c3, 3000, { progress = function(done, total) last = done assert.equal(3000, total) end })
    assert.equal(3000, last)
    refused("cancelled", chip.read_mem, chip, RAM.esp32c3, 3000, { progress = function() return false end })
    refused("cancelled", chip.write_mem, chip, RAM.esp32c3, ("x"):rep(600),
            { words = true, progress = function() return false end })
    assert.equal(4, #chip:read_mem(RAM.esp32c3, 4))      -- the line is still in step
  end)
end)

-- An image by hand: header, one segment, checksum. Source: ESP-IDF Programming Guide, "App Image Format".
local function ram_image(chip_id, address, data, entry)
  local checksum = 0xEF
  for i = 1, #data do checksum = checksum ~ data:byte(i) end
  local head = ("<BBBBI4"):pack(0xE9, 1, 2, 0x20, entry) .. "\xEE\0\0\0" .. ("<I2"):pack(chip_id) .. ("\0"):rep(10)
  local body = head .. ("<I4I4"):pack(address, #data) .. data
  return body .. ("\0"):rep(15 - #body % 16) .. string.char(checksum)
end

describe("a program for RAM", function()
  it("is loaded and started, and the chip is left alone afterwards", function()
    local chip, device, told = board { chip = "esp32c3" }
    local code = ("\x6F\0\0\0"):rep(600)
    local loaded, entry = chip:load_ram { data = ram_image(5, 0x40380000, code, 0x40380000) }
    assert.same({ { address = 0x40380000, size = 2400 } }, loaded)
    assert.equal(0x40380000, entry)
    assert.equal(0x6F, device:reg(0x40380000))
    assert.equal(0x6F, device:reg(0x40380000 + 2396))
    assert.equal(0x40380000, device:state().entry)
    local resets = device:state().resets
    chip:close()
    assert.equal(resets, device:state().resets)
    assert.is_nil(has(told, "reset"))
  end)

  it("is refused when it is for another chip, for flash, or none", function()
    local chip <close> = board { chip = "esp32c3" }
    local e = refused("wrong_chip", chip.load_ram, chip, { data = ram_image(9, 0x40380000, "\0\0\0\0", 0x40380000) })
    assert.matches("ESP32-S3", tostring(e), 1, true)
    assert.matches("ESP32-C3", tostring(e), 1, true)
    refused("bad_image", chip.load_ram, chip, { data = ram_image(5, 0x42000020, "\0\0\0\0", 0x42000020) })
    refused("bad_image", chip.load_ram, chip, { data = ram_image(5, 0x403DFFFC, ("\0"):rep(8), 0x403DFFFC) })
    refused("bad_image", chip.load_ram, chip, { data = "no image" })
    refused("file_missing", chip.load_ram, chip, "/no/such/file.bin")
  end)

  it("is refused in secure download mode", function()
    local chip <close> = board { chip = "esp32c3", sdm = true }
    refused("unsupported", chip.load_ram, chip, { data = ram_image(5, 0x40380000, "\0\0\0\0", 0x40380000) })
  end)
end)

describe("a reset", function()
  it("of an unknown kind is a mistake", function()
    local chip <close> = board { chip = "esp32" }
    assert.has_error(function() chip:reset "kick" end)
  end)

  for _, id in ipairs(IDS) do
    it("by the lines starts the program of " .. id, function()
      local chip, device = board({ chip = id }, { after = "hard-reset" })
      local before = device:state()
      assert.equal("download", before.mode)
      assert.is_true(chip:reset())
      sleep(0.05)
      local after = device:state()
      assert.equal(before.resets + 1, after.resets)
      assert.not_equal("download", after.mode)
      chip:close()
      assert.equal(after.resets, device:state().resets)      -- close has nothing to add
    end)

    local data = chips.get(id)
    it("by the watchdog works on " .. id .. ", or falls back", function()
      local chip, device, told = board { chip = id }
      local before = device:state().resets
      assert.is_true(chip:reset "watchdog_reset")
      sleep(0.05)
      assert.equal(not data.watchdog.reset, has(told, "no_watchdog_reset") ~= nil)
      if not data.watchdog.reset then assert.is_true(device:state().resets > before) end
      chip:close()
    end)

    it("by software starts the program of " .. id, function()
      local chip, device = board({ chip = id }, { after = "soft-reset" })
      chip:close()
      sleep(0.02)
      assert.not_equal("download", device:state().mode)
    end)
  end

  it("by the watchdog is not possible in secure download mode", function()
    local chip, _, told = board { chip = "esp32c3", sdm = true }
    assert.is_true(chip:reset "watchdog-reset")
    assert.is_truthy(has(told, "no_watchdog_reset"))
    chip:close()
  end)

  it("uses a custom sequence", function()
    local chip, device = board({ chip = "esp32" }, {
      config = config.from_text "[esptool]\ncustom_hard_reset_sequence = D0|R1|W0.001|R0\n" })
    local before = device:state().resets
    local performed
    local perform = reset.perform
    reset.perform = function(p, recipe) performed = recipe return perform(p, recipe) end
    chip:close()
    reset.perform = perform
    assert.equal("custom", performed.name)
    sleep(0.02)
    assert.equal(before + 1, device:state().resets)
  end)

  for _, case in ipairs { { "esp32c3", "uart", "hard" }, { "esp32c3", "usj", "hard_usb" } } do
    it(("pulse fits the link %s"):format(case[2]), function()
      local chip = board { chip = case[1], link = case[2] }
      local steps
      local perform = reset.perform
      reset.perform = function(p, recipe) steps = recipe.steps return perform(p, recipe) end
      chip:close()
      reset.perform = perform
      assert.equal(reset.recipes[case[3]], steps)
    end)
  end

  -- What an OTG link does, by its chip's data: the watchdog's registers are written, or the line is pulsed.
  for _, case in ipairs { { "esp32s2", 0, 0, true }, { "esp32s2", 8, 0, false }, { "esp32s2", 0, 1, false },
                          { "esp32s3", 0, 0, true }, { "esp32s3", 8, 0, false }, { "esp32p4", 8, 1, true } } do
    local id, strap, forced, watchdog = table.unpack(case)
    it(("over OTG of %s, strap 0x%X, force %d, is by %s"):format(id, strap, forced, watchdog and "watchdog" or "line"),
       function()
      local chip, device = board { chip = id, link = "otg" }
      local data = chip.data
      local force = data.reset.force_download[1]
      if data.reset.strap then device:reg(data.reset.strap, strap) end
      device:reg(force[1], forced << force[2])
      local pulsed
      local perform = reset.perform
      reset.perform = function() pulsed = true return true end
      device:log()
      chip:close()
      reset.perform = perform
      -- The S3 clears the forced-download bit first.
      if data.reset.clear_force_download then
        assert.equal(0, device:reg(force[1]) & 1 << force[2])
      end
      assert.equal(not watchdog, pulsed == true)
    end)
  end
end)

describe("leaving a chip", function()
  it("happens once, on any way out", function()
    local device
    local ok, e = pcall(function()
      local chip <close>, d = board { chip = "esp32" }
      device = d
      assert.equal("download", d:state().mode)
      chip:command(0x77, "")
    end)
    assert.is_false(ok)
    assert.is_true(fail.is(e))
    sleep(0.02)
    local state = device:state()
    assert.not_equal("download", state.mode)
    collectgarbage()
    collectgarbage()
    assert.equal(state.resets, device:state().resets)
  end)

  it("happens when nobody holds it any more", function()
    local device
    do
      local chip, d = board { chip = "esp32" }
      device = d
      assert.is_truthy(chip)
    end
    for _ = 1, 4 do collectgarbage() end
    sleep(0.02)
    assert.not_equal("download", device:state().mode)
  end)

  it("leaves it in the loader when told", function()
    for _, after in ipairs { "no-reset", "no-reset-stub" } do
      local chip, device = board({ chip = "esp32" }, { after = after })
      local before = device:state()
      chip:close()
      chip:close()
      assert.equal("download", device:state().mode)
      assert.equal(before.resets, device:state().resets)
    end
  end)

  it("warns when the port is gone, and raises nothing", function()
    local chip, device, told = board({ chip = "esp32s3", link = "usj" })
    chip.port:close()
    chip:close()
    assert.is_truthy(device)
    local warning
    for _, e in ipairs(told) do warning = e.type == "warning" and e or warning end
    assert.matches("NOT reset", warning.text, 1, true)
  end)

  it("releases the port when detection fails", function()
    local device = sim.new { chip = "esp32c3" }
    local p = device:port()
    refused("wrong_chip", esp.connect, { port = p, chip = "esp32", env = {}, config = config.from_text "" })
    assert.is_falsy(pcall(p.write, p, "x") and p:write "x")
  end)

  it("works in tasks, all at once", function()
    local tasks = {}
    for i, id in ipairs { "esp32", "esp32c3", "esp32s3", "esp8266" } do
      tasks[i] = task.spawn(function()
        local chip <close> = board { chip = id }
        return chip.id, chip:mac()
      end)
    end
    for i, id in ipairs { "esp32", "esp32c3", "esp32s3", "esp8266" } do
      assert.equal(id, (select(2, tasks[i]:join(20))))
    end
  end)
end)

describe("coming back", function()
  it("after a reset keeps chip and rate and counts the session", function()
    local chip <close>, device = board({ chip = "esp32c3" }, { baud = 460800 })
    chip.attached = true
    device:reset "flash"
    chip:reconnect()
    assert.equal("esp32c3", chip.id)
    assert.equal(460800, chip.baud)
    assert.equal(2, chip.session)
    assert.is_nil(chip.attached)
    assert.matches("^60:55", chip:mac())
    chip:close()
    sleep(0.02)
    assert.not_equal("download", device:state().mode)
  end)

  it("keeps the rate to work at, also after one that broke off while the ROM was at another", function()
    local stop
    local chip <close>, device = board({ chip = "esp32c3" }, { baud = 460800, no_stub = false, on_event = function(e)
      if stop and e.code == "stub" then error("stop", 0) end
    end })
    device:reset "flash"
    stop = true
    assert.is_false(pcall(chip.reconnect, chip))
    assert.equal(921600, chip.baud)
    stop = false
    chip:reconnect()
    assert.same({ true, 460800 }, { chip.stub, chip.baud })
  end)

  it("fails with a word when the port stays away", function()
    local chip = board { chip = "esp32c3" }
    chip.port = setmetatable({ reopen = function() return nil, "no such device", "port_missing" end,
                               close = function() end, info = function() return { has_lines = false } end,
                               flush = function() end }, nil)
    local e = refused("port_missing", chip.reconnect, chip, { tries = 2, pause = 0 })
    assert.matches("no such device", tostring(e), 1, true)
    chip:close()
  end)
end)

describe("facts about a chip", function()
  it("have a revision that prints", function()
    local chip <close> = board { chip = "esp32c3", revision = 104 }
    assert.equal("v1.4", tostring(chip.revision))
    assert.equal(104, chip.revision_number)
    assert.equal(1, chip.revision.major)
    assert.equal("ESP32-C3 (QFN32)", chip:info().name)
    assert.is_nil(chip.nonsense)
  end)

  it("have an id only where there is one", function()
    local chip <close> = board { chip = "esp8266" }
    assert.equal(0xA1B2C3, chip:chip_id() & 0xFFFFFF)
    local other <close> = board { chip = "esp32" }
    refused("unsupported", other.chip_id, other)
    refused("unsupported", other.security_info, other)
  end)

  it("warn of an odd crystal", function()
    local chip <close>, _, told = board { chip = "esp32" }
    chip.baud = 122000                    -- as if the divider were one for 42.4 MHz
    assert.equal(40, chip:crystal())
    assert.is_truthy(has(told, "odd_crystal"))
  end)
end)

describe("the flash voltage", function()
  for voltage, word in pairs { ["1.8V"] = 0x80600000, ["1.9v"] = 0xFE600000, off = 0x00600000 } do
    it("is set to " .. voltage, function()
      local chip <close>, device = board({ chip = "esp32" }, { override_vddsdio = voltage })
      assert.equal(word, device:reg(chip.data.flash.voltage_override.register))
    end)
  end

  it("is refused where it cannot be set, or not so", function()
    refused("bad_argument", board, { chip = "esp32" }, { override_vddsdio = "5V" })
    refused("unsupported", board, { chip = "esp32c3" }, { override_vddsdio = "1.8V" })
  end)
end)

describe("the console", function()
  it("waits for text, gives captures, and keeps what follows", function()
    local chip <close> = board { chip = "esp32c3" }
    local console = chip:console()
    chip:reset()
    assert.equal("ESP-ROM:esp32c3", console:expect("ESP%-ROM:esp32c3", 5))
    local cause, mode = console:expect("rst:0x(%x+).-boot:0x(%x+)", 5)
    assert.equal("1", cause)
    assert.equal("d", mode)
    assert.matches("FLASH", console:expect("%([%w_]*FLASH[%w_]*%)", 5))
  end)

  it("does not cut a number that is still arriving", function()
    local near, far = require("esp.core.port").pair()
    local console = require("esp.console").new({ port = near, baud = 115200, url = "x" })
    local speaker = task.spawn(function()
      far:write "RSSI=-4"
      sleep(0.01)
      far:write "2"
      sleep(0.01)
    end)
    assert.equal("-42", console:expect("RSSI=(-?%d+)", 5))
    console:send "more\n"
    assert.equal("more\n", far:read(100, 1))
    speaker:join()
    far:write "tail"
    sleep(0.01)
    assert.equal("tail", console:read(0.1))
    near:close()
    far:close()
  end)

  it("raises when the text does not come, with what came", function()
    local near, far = require("esp.core.port").pair()
    far:write "something else\r\n"
    local console = require("esp.console").new({ port = near, baud = 115200, url = "x" })
    local e = refused("timeout", console.expect, console, "READY", 0.05)
    assert.matches("something else", tostring(e), 1, true)
    assert.equal("something else\r\n", e.details.received)
    far:close()
    refused("port_gone", console.expect, console, "READY", 1)
    near:close()
  end)
end)
