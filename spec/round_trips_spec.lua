-- How often a connection waits for an answer before the first byte of a file is sent: what can be asked for in one go
-- is. A line with a latency of 16 ms waits that long each time.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local config = require "esp.config"
local esp = require "esp"
local identity = require "esp.identity"
local sim = require "esp.sim"

local FLASH_DATA, DEFL_DATA, SET_PARAMS, DIGESTS, READ_REG = 0x03, 0x11, 0x0B, 0xF1, 0x0A
local STRESS = os.getenv "ESPLUA_GC_STRESS"

-- Connects at 921600 baud or another rate; returns the chip, the device and the list of what was sent: { op =,
-- waited = }, where waited says that an answer came since the command before.
local function connect(options, device, baud)
  local sent, heard = {}, false
  device = device or sim.new(options)
  local chip = esp.connect { port = device:port(), env = {}, config = config.from_text "", after = "no-reset",
    baud = baud or 921600, trace = function(t)
      if t.dir == "rx" then
        heard = true
      else
        sent[#sent + 1] = { op = t.op, waited = heard }
        heard = false
      end
    end }
  return chip, device, sent
end

local function waits_until_data(sent)
  local n = 0
  for i, e in ipairs(sent) do
    if e.op == FLASH_DATA or e.op == DEFL_DATA then return n, i end
    if e.waited then n = n + 1 end
  end
  error "no data was sent"
end

local function count(sent, from, op)
  local n = 0
  for i = from, #sent do n = n + (sent[i].op == op and 1 or 0) end
  return n
end

describe("the first byte of a file", function()
  -- Synchronising, what chip it is and its registers, the rate, synchronising again, the stub, its start, flash's id,
  -- its size and what it holds.
  for id, most in pairs(STRESS and { esp32c3 = 8 } or { esp32c3 = 8, esp32c6 = 8, esp32s3 = 8, esp32p4 = 8, esp32 = 8,
                                                         esp32s2 = 8 }) do
    it(("is sent after at most %d answers on the %s"):format(most, id), function()
      local chip, device, sent = connect { chip = id, flash_size = "4MB" }
      device:poke_flash(0x10000, ("another program"):rep(8192))
      local app = board.code(200000, 3)
      assert.is_true(chip:flash({ { 0x10000, { data = app } } }).verified)
      assert.equal(app, device:flash(0x10000, #app))
      local waits, first = waits_until_data(sent)
      assert.is_true(waits <= most, ("%d answers"):format(waits))
      -- the size of flash is told before anything there is asked for, without waiting in between
      local told
      for i = 1, first do
        if sent[i].op == SET_PARAMS then told = i end
      end
      assert.same({ DIGESTS, false }, { sent[told + 1].op, sent[told + 1].waited })
      chip:close()
      device:close()
    end)
  end

  it("is sent two or three answers later where the rate comes down again after the stub was sent", function()
    local chip, device, sent = connect({ chip = "esp32c3", flash_size = "4MB" }, nil, 460800)
    assert.is_true(chip:flash({ { 0x10000, { data = board.code(20000, 3) } } }).verified)
    local waits = waits_until_data(sent)
    assert.is_true(waits <= 11, ("%d answers"):format(waits))
    chip:close()
    device:close()
  end)

  it("may go behind what the stub takes for the size of flash before it is told", function()
    local chip, device = connect { chip = "esp32s3", flash_size = "16MB" }
    local app = board.code(100000, 4)
    assert.is_true(chip:flash({ { 0x900000, { data = app } } }).verified)
    assert.is_true(chip:flash({ { 0x900000, { data = app } } })[1].skipped)
    chip:close()
    device:close()
  end)
end)

describe("the boot log", function()
  local core = require "esp.core.sim"

  -- A chip that says it is another one when it boots.
  local function liar(id, banner)
    local description = sim.describe { chip = id, flash_size = "4MB" }
    description.banner = banner
    return assert(core.new(description))
  end

  -- Texts of the ROMs: ESP-IDF Programming Guide, "Fatal Errors", and ROMs' own output.
  for id, banner in pairs(STRESS and { esp32c3 = "ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n" } or {
    esp32c3 = "ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n", esp32 = "ESP-ROM:esp32c3-api1-20210207\r\n",
    esp32s2 = "ets Jul 29 2019 12:21:46\r\n\r\n", esp32c6 = "ESP-ROM:esp32s2-rc4-20191025\r\n",
    esp32h2 = "ESP-ROM:esp99-20300101\r\n",
  }) do
    it(("is not believed: %s that says %q"):format(id, banner:match "%C+"), function()
      local chip, device = connect(nil, liar(id, banner))
      assert.equal(id, chip.id)
      local app = board.code(5000, 5)
      assert.is_true(chip:flash({ { 0x10000, { data = app } } }).verified)
      assert.equal(app, device:flash(0x10000, #app))
      chip:close()
      device:close()
    end)
  end

  it("of one chip does not keep a user's mistake from being noticed", function()
    local device = sim.new { chip = "esp32c3" }
    local ok, e = pcall(esp.connect, { port = device:port(), env = {}, config = config.from_text "", chip = "esp32s3" })
    assert.same({ false, "wrong_chip" }, { ok, e.code })
    device:close()
  end)
end)

describe("what eFuses hold", function()
  it("is not asked for twice, until something is written there", function()
    local chip, device, sent = connect { chip = "esp32c3" }
    local from = #sent + 1
    assert.is_false((identity.flash_encryption(chip)))
    assert.equal(0, count(sent, from, READ_REG))
    chip:write_reg(chip.data.uart.clkdiv, chip:read_reg(chip.data.uart.clkdiv))
    from = #sent + 1
    identity.flash_encryption(chip)
    assert.equal(0, count(sent, from, READ_REG))
    chip:write_reg(chip.data.efuse.base, 0)                  -- a register from which an eFuse is burned
    from = #sent + 1
    identity.flash_encryption(chip)
    assert.equal(1, count(sent, from, READ_REG))
    chip:close()
    device:close()
  end)
end)
