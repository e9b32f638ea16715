-- A stub left running by an earlier program, and answers that no chip of ours gives.
local chips = require "esp.chips"
local config = require "esp.config"
local esp = require "esp"
local fail = require "esp.error"
local loader = require "support.loader"

local MAGIC = 0x40001000
local BEGIN, END, SYNC, READ, CHANGE_BAUD, RUN_USER_CODE = 0x02, 0x04, 0x08, 0x0A, 0x0F, 0xD3

local stop
after_each(function()
  if stop then stop() end
  stop = nil
end)

-- Connects to a scripted loader; returns the chip, what the loader was sent, what was told.
local function connect(behaviour, more)
  local told = {}
  local p, log, stop_it = loader(behaviour)
  stop = stop_it
  local o = { port = p, env = {}, on_event = function(e) told[#told + 1] = e end,
              no_stub = true, config = config.from_text "[esptool]\ntimeout = 0.3\nsync_timeout = 0.05\n" }
  for key, value in pairs(more or {}) do o[key] = value end
  return esp.connect(o), log, told
end

local function failure(behaviour, more)
  local ok, e = pcall(connect, behaviour, more)
  assert.is_false(ok)
  assert.is_true(fail.is(e), tostring(e))
  return e
end

local function has(list, code)
  for _, e in ipairs(list) do
    if e.code == code then return e end
  end
  return nil
end

local function ops(log, from)
  local list = {}
  for i = from, #log do list[#list + 1] = log[i][1] end
  return list
end

local function security(id) return ("<I4"):pack(0) .. ("\0"):rep(8) .. ("<I4I4"):pack(id, 3) end

describe("a stub that was left running", function()
  local ESP32 = { stub = true, words = { [MAGIC] = 0x00F01D83 } }

  it("is recognised and used", function()
    local chip <close> = connect(ESP32, { after = "no-reset-stub" })
    assert.is_true(chip.stub)
    assert.equal("esp32", chip.id)
    assert.equal(2, chip.status_bytes)
    assert.equal(0x4000, chip.flash_block)
    assert.equal(0x00F01D83, chip:read_reg(MAGIC))
  end)

  it("is recognised without synchronising, so that no other is loaded over it", function()
    local chip <close> = connect(ESP32, { before = "no-reset-no-sync", after = "no-reset-stub" })
    assert.is_true(chip.stub)
    assert.equal(2, chip.status_bytes)
    stop()
    local e = failure({ silent = { [SYNC] = true, [0x14] = true, [READ] = true } }, { before = "no-reset-no-sync" })
    assert.matches("--before no-reset synchronises", e.hint, 1, true)
  end)

  it("of a chip with an id is recognised too, and its watchdogs are left alone", function()
    local data = chips.get "esp32c3"
    local words = { [data.uart.link_in_use[1].address] = data.uart.link_in_use[1].usj }
    local chip <close>, log = connect({ stub = true, security = security(5), words = words },
                                      { after = "no-reset-stub" })
    assert.equal("esp32c3", chip.id)
    assert.is_true(chip.stub)
    assert.equal("usj", chip.usb_mode)
    for _, op in ipairs(ops(log, 1)) do assert.not_equal(0x09, op) end
  end)

  it("stays when told", function()
    local chip, log = connect(ESP32, { after = "no-reset-stub" })
    local n = #log
    chip:close()
    assert.equal(n, #log)
  end)

  it("is left for the ROM when told to stay in the loader", function()
    local chip, log = connect(ESP32, { after = "no-reset" })
    local n = #log
    chip:close()
    assert.same({ BEGIN, END }, ops(log, n + 1))
    assert.equal(0, (("<I4"):unpack(log[n + 2][2])))
  end)

  it("is told the old rate with the new one", function()
    local chip <close>, log = connect(ESP32, { after = "no-reset-stub", baud = 921600 })
    assert.equal(921600, chip.baud)
    assert.equal(CHANGE_BAUD, log[#log][1])
    assert.equal(("<I4I4"):pack(921600, 115200), log[#log][2])
  end)

  it("cannot start the program, but on the chip whose stub can", function()
    local chip <close> = connect(ESP32, { after = "no-reset-stub" })
    local ok, e = pcall(chip.reset, chip, "soft-reset")
    assert.is_false(ok)
    assert.equal("unsupported", e.code)
    stop()
    local other <close>, log = connect({ stub = true, words = { [MAGIC] = 0xFFF0C101 } }, { after = "no-reset-stub" })
    other:reset "soft-reset"
    require("esp.core.task").sleep(0.02)
    assert.equal(RUN_USER_CODE, log[#log][1])
  end)

  it("is looked for at the rate it may have been raised to", function()
    local rates = {}
    local p, _, stop_it = loader { stub = true, words = { [MAGIC] = 0x00F01D83 }, deaf = 5 }
    local link = require("esp.loader")
    local set = link.set_port_baud
    local class = require("esp.chip").class
    class.set_port_baud = function(self, baud) rates[#rates + 1] = baud return set(self, baud) end
    local chip = esp.connect { port = p, env = {}, baud = 921600, after = "no-reset-stub",
                               config = config.from_text "[esptool]\nsync_timeout = 0.02\n" }
    class.set_port_baud = set
    assert.equal(921600, chip.baud)
    assert.same({ 115200, 921600 }, { rates[1], rates[2] })
    chip:close()
    stop_it()
  end)
end)

describe("a chip that is not known", function()
  it("is an error with its id, unless a name is given", function()
    local e = failure { security = security(77) }
    assert.equal("unknown_chip", e.code)
    assert.matches("77", tostring(e), 1, true)
    local chip <close>, _, told = connect({ security = security(77) }, { chip = "esp32c3", after = "no-reset" })
    assert.equal("esp32c3", chip.id)
    local warning = has(told, "unknown_chip")
    assert.equal("warning", warning.type)
    assert.matches("ESP32-C3", warning.text, 1, true)
  end)

  it("is an error with its magic word", function()
    local e = failure { words = { [MAGIC] = 0x12345678 } }
    assert.equal("unknown_chip", e.code)
    assert.matches("0x12345678", tostring(e), 1, true)
  end)

  it("is called by its name when it was a beta", function()
    for id, name in pairs { [4] = "ESP32-S3", [6] = "ESP32-S3", [7] = "ESP32-C6", [10] = "ESP32-H2", [14] = "ESP32-H2",
                            [17] = "ESP32-C5" } do
      local e = failure({ security = security(id) }, { chip = "esp32s3" })
      stop()
      assert.equal("unknown_chip", e.code)
      assert.matches(name, tostring(e), 1, true)
      assert.matches("beta", tostring(e), 1, true)
    end
  end)

  it("with secure download mode and no id is the one that has no id", function()
    local flags = ("<I4"):pack(1 << 2) .. ("\0"):rep(8)
    local chip <close> = connect({ security = flags, refuse = { [READ] = 5 } }, { after = "no-reset" })
    assert.is_true(chip.sdm)
    assert.equal("no_chip_id", chip.data.security_info)
  end)

  it("is asked again after a failure", function()
    local p, log, stop_it = loader { silent = { [READ] = true, [0x14] = true } }
    local told = {}
    local ok, e = pcall(esp.connect, { port = p, env = {}, config = config.from_text "[esptool]\ntimeout = 0.05\n",
                                       on_event = function(event) told[#told + 1] = event end })
    stop_it()
    assert.is_false(ok)
    assert.equal("timeout", e.code)
    assert.is_truthy(has(told, "detect_again"))
    local syncs = 0
    for _, op in ipairs(ops(log, 1)) do syncs = syncs + (op == SYNC and 1 or 0) end
    assert.is_true(syncs >= 2)
  end)
end)

describe("answers that make no sense", function()
  it("are not taken for a loader", function()
    local p, _, stop_it = loader { rename = { [SYNC] = 0x55 } }
    local ok, e = pcall(esp.connect, { port = p, env = {}, attempts = 2,
                                       config = config.from_text "[esptool]\nsync_timeout = 0.02\n" })
    stop_it()
    assert.is_false(ok)
    assert.is_true(fail.is(e), tostring(e))
    assert.equal("no_sync", e.code)
  end)

  it("to a security question are passed over", function()
    local chip <close> = connect({ security = "\1", words = { [MAGIC] = 0x00F01D83 } }, { after = "no-reset" })
    assert.equal("esp32", chip.id)
  end)
end)
