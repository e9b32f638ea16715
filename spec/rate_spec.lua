-- A line that is sound at some rates and not at others: what is tried instead, and that the user is told.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local config = require "esp.config"
local esp = require "esp"
local sim = require "esp.sim"

-- With the collector always running a connection takes seconds.
local STRESS = os.getenv "ESPLUA_GC_STRESS"
local FAST = config.from_text "[esptool]\ntimeout = 0.3\nsync_timeout = 0.05\n"

local function connect(options, more)
  local device = sim.new(options)
  local events = {}
  local o = { port = device:port(), env = {}, config = FAST, after = "no-reset",
              on_event = function(e) events[#events + 1] = e end }
  for k, v in pairs(more) do o[k] = v end
  return esp.connect(o), device, events
end

local function texts(events, code)
  local list = {}
  for _, e in ipairs(events) do
    if e.code == code then list[#list + 1] = e.text end
  end
  return list
end

-- Every bit is as good as lost above this rate.
local function dead_above(id, rate) return { chip = id, noise = 0.9, in_noise = 0.9, faults_above = rate } end

describe("a line that carries nothing above some rate", function()
  for _, id in ipairs(STRESS and { "esp32c3" } or { "esp32c3", "esp32" }) do
    it("has the ROM brought back by a reset, and the rate lowered: " .. id, function()
      local chip, device, events = connect(dead_above(id, 250000), { baud = 921600 })
      assert.is_true(chip.stub)
      assert.equal(230400, chip.baud)
      assert.matches("does not answer at 921600 baud, staying at 115200", texts(events, "rom_baud")[1], 1, true)
      assert.matches("trying 460800", texts(events, "slower")[1], 1, true)
      assert.matches("trying 230400", texts(events, "slower")[2], 1, true)
      assert.is_true(chip:flash({ { 0x10000, { data = board.code(5000, 1) } } }).verified)
      chip:close()
      device:close()
    end)
  end

  it("does not keep the stub from being loaded when --rom-baud asks too much of the ROM", function()
    local chip, device, events = connect(dead_above("esp32c3", 250000), { baud = 230400, rom_baud = 921600 })
    assert.is_true(chip.stub)
    assert.equal(230400, chip.baud)
    assert.equal(1, #texts(events, "rom_baud"))
    assert.equal(0, #texts(events, "slower"))
    chip:close()
    device:close()
  end)

  it("says what to do when there are no lines to reset with", function()
    local ok, e = pcall(connect, dead_above("esp32c3", 250000),
                        { baud = 230400, rom_baud = 921600, before = "no-reset" })
    assert.is_false(ok)
    assert.equal("no_reply", e.code)
    assert.matches("921600 baud", e.message, 1, true)
    assert.matches("--rom-baud 115200", e.hint, 1, true)
  end)
end)

if not STRESS then describe("a line with faults above some rate", function()
  it("is slowed down while writing, and the user is told", function()
    local chip, device, events = connect({ chip = "esp32c3", in_noise = 0.0001, seed = 3, faults_above = 300000 },
                                         { baud = 230400 })
    chip:set_baud(921600)
    local bytes = board.noise(150000, 1)
    local report = chip:flash { { 0x10000, { data = bytes } } }
    assert.is_true(report.verified)
    assert.equal(bytes, device:flash(0x10000, #bytes))
    assert.is_true(report.retries > 0)
    assert.matches("not reliable at 921600 baud, going on at 460800", texts(events, "slower")[1], 1, true)
    assert.is_true(chip.baud < 921600)
    chip:close()
    device:close()
  end)

  it("has the stub loaded at the first rate when it does not arrive at a raised one", function()
    local chip, device, events = connect({ chip = "esp32c3", in_noise = 0.01, faults_above = 300000 },
                                         { baud = 230400, rom_baud = 460800 })
    assert.is_true(chip.stub)
    assert.equal(230400, chip.baud)
    assert.equal(1, #texts(events, "rom_baud"))
    chip:close()
    device:close()
  end)
end) end
