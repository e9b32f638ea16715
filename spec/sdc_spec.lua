-- Certificates for debugging, against a scripted ROM. What goes over the line comes from esptool's own tests of these
-- commands: command numbers, lengths before data, checksum, 64 bytes of answer of which 32 count.
package.path = "./?.lua;" .. package.path
local config = require "esp.config"
local esp = require "esp"
local fail = require "esp.error"
local loader = require "support.loader"
local sdc = require "esp.sdc"

local S31 = 32                             -- image chip id

local stop
after_each(function()
  if stop then stop() end
  stop = nil
end)

local function connect(more, id, flags)
  local behaviour = { security = ("<I4"):pack(flags or 0) .. ("\0"):rep(8) .. ("<I4I4"):pack(id or S31, 3) }
  for key, value in pairs(more or {}) do behaviour[key] = value end
  local port, log, stop_it = loader(behaviour)
  stop = stop_it
  return esp.connect { port = port, env = {}, no_stub = true, after = "no-reset", before = "no-reset",
                       config = config.from_text "[esptool]\ntimeout = 0.3\n" }, log
end

local function failure(f, ...)
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(fail.is(e), tostring(e))
  return e
end

describe("chip info for a certificate", function()
  local answer = ("A"):rep(32) .. ("\0"):rep(32)

  it("is asked for with a nonce", function()
    local chip <close>, log = connect { answers = { [0x1E] = answer } }
    local from = #log
    local info, nonce = sdc.chip_info(chip, ("\2"):rep(32))
    assert.equal(("A"):rep(32), info)
    assert.same({ 0x1C, "\1\0\0\0" }, log[from + 1])
    assert.same({ 0x1D, "\32\0\0\0" .. nonce }, log[from + 2])
    assert.same({ 0x1E, "\1\0\0\0" }, log[from + 3])
    local _, other = sdc.chip_info(chip)
    local _, third = sdc.chip_info(chip)
    assert.equal(32, #other)
    assert.not_equal(other, third)
  end)

  it("comes although the ROM complains before", function()
    local chip <close> = connect { answers = { [0x1E] = answer }, refuse = { [0x1C] = 5, [0x1D] = 5 } }
    assert.equal(32, #sdc.chip_info(chip))
  end)

  it("is an error when it is refused", function()
    local chip <close> = connect { refuse = { [0x1E] = 6 } }
    assert.equal("rom_error", failure(sdc.chip_info, chip).code)
  end)

  it("can be had in secure download mode", function()
    local chip <close> = connect({ answers = { [0x1E] = answer } }, S31, 4)
    assert.is_true(chip.sdm)
    assert.equal(32, #sdc.chip_info(chip))
  end)
end)

describe("a certificate", function()
  it("is handed to the chip", function()
    local chip <close>, log = connect()
    local from = #log
    assert.is_true(sdc.verify(chip, ("c"):rep(468)))
    assert.same({ 0x19, "\1\0\0\0\xD4\1\0\0" }, log[from + 1])
    assert.same({ 0x1A, "\xD4\1\0\0" .. ("c"):rep(468) }, log[from + 2])
    assert.equal(0x1B, log[from + 3][1])
  end)

  it("that is refused is an error", function()
    local chip <close> = connect { refuse = { [0x1B] = 6 } }
    local e = failure(sdc.verify, chip, "certificate")
    assert.equal("rom_error", e.code)
    assert.is_string(e.hint)
    assert.equal("bad_file", failure(sdc.verify, chip, "").code)
  end)

  it("that the chip falls silent over is an error that says why", function()
    local chip <close> = connect { silent = { [0x1B] = true } }
    assert.matches("HMAC", failure(sdc.verify, chip, "certificate").hint, 1, true)
  end)

  it("means nothing to other chips", function()
    local chip <close> = connect(nil, 5)
    assert.equal("unsupported", failure(sdc.verify, chip, "certificate").code)
    assert.equal("unsupported", failure(sdc.chip_info, chip).code)
  end)
end)

describe("the command sdc", function()
  local program = require "spec.support.program"
  setup(function() program.folder() end)
  teardown(program.clean)

  it("is refused by name where there is nothing like it", function()
    local file = program.write(program.folders[1] .. "/cert.bin", ("c"):rep(468))
    for _, words in ipairs { { "info", program.folders[1] .. "/info.bin" }, { "verify", file } } do
      local r = program.run { "sdc", words[1], words[2], "-p", "sim:esp32c3" }
      assert.equal(12, r.status, r.out .. r.err)
      assert.matches("ESP32-C3 has no Secure Debug Controller", r.err, 1, true)
      assert.is_nil(r.out:find("esetting", 1, true))                 -- the chip is left as it was
    end
    assert.is_nil(program.read(program.folders[1] .. "/info.bin"))
  end)

  it("says what it needs", function()
    assert.equal(2, program.run({ "sdc" }).status)
    assert.equal(14, program.run({ "sdc", "verify", "no-such-file", "-p", "sim:esp32s31" }).status)
  end)
end)
