-- The stock script that looks at the flash chip, and writing what differs from an old file without the stub.
-- Expected bytes: JESD216 (signature of SFDP), and what the simulated chips are made with.
local program = require "spec.support.program"

local folder
local function path(name) return folder .. "/" .. name end

local function run(...)
  return program.run { ... }
end

local QUIET = { "--before", "no-reset", "--after", "no-reset" }

local function result(port, ...)
  local words = { "spiflash", "-p", port, "--json", ... }
  table.move(QUIET, 1, 4, #words + 1, words)
  local r = program.run(words)
  for _, e in ipairs(program.events(r.out)) do
    if e.event == "result" then return e, r end
  end
  return nil, r
end

describe("spiflash", function()
  setup(function() folder = program.folder() end)
  teardown(program.clean)

  it("tells id, status and SFDP", function()
    local id = result("sim:esp32c3", "id")
    assert.equal(0xC8, id.manufacturer)
    assert.equal(4 << 20, id.bytes)
    assert.equal(0, result("sim:esp32c3", "status", "--bytes", "3").status)
    local sfdp = result("sim:esp32", "sfdp", "0", "20")
    assert.equal(20, sfdp.bytes)
    assert.matches("^53464450", sfdp.hex)
  end)

  it("sets the status, and says when bits stay as they were", function()
    local set, r = result("sim:esp8266", "set-status", "0x4", "--bytes", "1")
    assert.equal(4, set.status, r.out)
    assert.equal(0, set.before)
    r = run("spiflash", "set-status", "0x100", "--bytes", "1", "-p", "nowhere")
    assert.equal(2, r.status)
    assert.matches("does not fit", r.err, 1, true)
  end)

  it("refuses in secure download mode", function()
    local _, r = result("sim:esp32c3?sdm=1", "id")
    assert.equal(12, r.status)
  end)
end)

describe("flash --diff-with", function()
  setup(function() folder = program.folder() end)
  teardown(program.clean)

  it("writes what differs from an old file", function()
    local old = program.write(path "old.bin", ("o"):rep(0x3000))
    local new = program.write(path "new.bin", ("o"):rep(0x2000) .. ("n"):rep(0x1000))
    local port = "sim:esp32?flash=" .. path "flash"
    local function flash(...)
      local words = { "flash", "-p", port, "--no-stub", ... }
      return program.run(table.move(QUIET, 1, 4, #words + 1, words))
    end
    assert.equal(0, flash("0x10000", old).status)
    local r = flash("0x10000", new, "--diff-with", old)
    assert.equal(0, r.status, r.err)
    assert.matches("8192 of 12288 bytes are in flash already", r.out, 1, true)
    assert.equal(program.read(new), program.read(path "flash"):sub(0x10001, 0x13000))
    assert.equal(14, flash("0x10000", new, "--diff-with", path "none").status)
    assert.equal(2, flash("0x10000", new, "--diff-with", old, "--diff-with", old).status)
  end)
end)
