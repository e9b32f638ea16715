-- Choosing, loading and using the flasher stub, at a scripted chip (spec/support/stub.lua).
local board = require "support.board"
local chips = require "esp.chips"
local config = require "esp.config"
local esp = require "esp"
local fail = require "esp.error"
local json = require "esp.json"
local stub = require "esp.stub"
local scripted = require "support.stub"

-- An ESP32, and in the SPI controller's first data word the id of a flash.
local MAGIC = { [0x40001000] = 0x00F01D83, [0x3FF42080] = 0x001640C8 }
local CONFIG = "[esptool]\ntimeout = 0.5\nsync_timeout = 0.05\n"

local function failure(f, ...)
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(fail.is(e), tostring(e))
  return e
end

-- 16 bytes of code and 4 of data; base64 by hand from RFC 4648.
local function file(change)
  local o = { entry = 0x40080004, text = "AAECAwQFBgcICQoLDA0ODw==", text_start = 0x40080000, data = "/wABAg==",
              data_start = 0x3FFE0000, bss_start = 0x3FFE1000 }
  for k, v in pairs(change or {}) do o[k] = v end
  return json.encode(o)
end

describe("a stub's file", function()
  for _, case in ipairs {
    { "is empty", "", "no JSON object" }, { "is no object", "[1]", "entry is no address" },
    { "is cut", file():sub(1, 40), "no JSON object" },
    { "has no entry", file { entry = json.null }, "entry is no address" },
    { "has a fractional entry", file { entry = 1.5 }, "entry is no address" },
    { "starts outside of its text", file { entry = 0x40090000 }, "entry is not inside of text" },
    { "has text that is not base64", file { text = "A!==" }, "text is not base64" },
    { "has base64 that is cut", file { text = "AAECA" }, "text is not base64" },
    { "has a number for its text", file { text = 5 }, "text is not base64" },
    { "has no place for its data", file { data_start = -1 }, "data_start is no address" },
    { "reaches beyond the last address", file { data_start = 0xFFFFFFFC }, "does not fit" },
    { "lies at an odd address", file { text_start = 0x40080001, entry = 0x40080002 }, "does not fit" },
  } do
    it("is refused when it " .. case[1], function()
      local e = failure(stub.parse, case[2], "my.json")
      assert.equal("bad_file", e.code)
      assert.matches("my.json: ", e.message, 1, true)
      assert.matches(case[3], e.message, 1, true)
    end)
  end

  it("is taken apart", function()
    local s = stub.parse(file(), "my.json")
    assert.equal(0x40080004, s.entry)
    assert.same({ { 0x40080000, "\0\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15" }, { 0x3FFE0000, "\255\0\1\2" } }, s.segments)
  end)

  it("is there for every chip that is to have one, and fits it", function()
    for _, id in ipairs(chips.list()) do
      local data = chips.get(id)
      if data.stub.default ~= "none" then
        local s = stub.built_in { id = id, data = data, revision_number = 0 }
        if s then
          for _, segment in ipairs(s.segments) do assert.is_true(#segment[2] <= 8192 + 1024, id) end
        end
      end
    end
  end)
end)

local near, far
after_each(function()
  if far then far.stop() end
  far = nil
end)

local function connect(o, more)
  local behaviour = { rom = true, words = MAGIC }
  for k, v in pairs(o or {}) do behaviour[k] = v end
  near, far = scripted(behaviour)
  local told = {}
  local options = { port = near, env = {}, config = config.from_text(CONFIG), after = "no-reset-stub",
                    before = "no-reset",
                    stub = "stubs/esp32.json",      -- named, so that it is asked what it can
                    on_event = function(e) told[#told + 1] = e end }
  for k, v in pairs(more or {}) do options[k] = v end
  return esp.connect(options), told
end

local function has(told, code)
  for _, e in ipairs(told) do
    if e.code == code then return e end
  end
  return nil
end

local function count(op)
  local n = 0
  for _, e in ipairs(far.log) do n = n + (e[1] == op and 1 or 0) end
  return n
end

describe("connecting", function()
  it("goes on with the ROM when the stub does not start", function()
    local chip <close>, told = connect({ mute = true })
    assert.is_false(chip.stub)
    assert.equal(4, chip.status_bytes)
    assert.is_truthy(has(told, "stub_failed"))
  end)

  it("leaves the stub alone when told", function()
    local chip <close> = connect(nil, { no_stub = true })
    assert.is_false(chip.stub)
    assert.equal(0, count(0x06))
  end)

  it("starts the stub and asks what it can, flash being attached before", function()
    local chip <close> = connect()
    assert.is_true(chip.stub)
    assert.equal(2, chip.status_bytes)
    assert.is_true(chip.stub_can.window and chip.stub_can.digests and chip.stub_can.packed)
    assert.equal(16320, chip.stub_can.credit)
    assert.is_true(count(0x0D) > 0)
  end)

  it("loads no stub for another chip", function()
    local ok, err = pcall(connect, nil, { stub = "stubs/esp32c3.json" })
    assert.is_false(ok)
    assert.equal("bad_file", err.code)
    assert.matches("stubs/esp32c3.json: its code goes to 0x4%x+, where the ESP32 has no memory", err.message)
    assert.equal(0, count(0x05))
  end)

  it("takes a stub without extensions", function()
    local chip <close> = connect { foreign = true }
    assert.is_true(chip.stub)
    assert.is_nil(chip.stub_can)
    assert.equal(0x4000, chip.flash_block)
  end)
end)

describe("flash", function()
  local app = board.code(200000, 7)

  it("is written, and only what differs is written again", function()
    local chip <close>, told = connect()
    local first = chip:flash { { 0x10000, { data = app } } }
    assert.is_true(first.verified)
    assert.equal(app, far:flash(0x10000, #app))
    local begins = count(0x10) + count(0x02)
    local second = chip:flash { { 0x10000, { data = app } } }
    assert.is_true(second[1].skipped and second.verified)
    assert.equal(begins, count(0x10) + count(0x02))
    assert.equal(#app, second.kept)
    far:put(0x10000 + 100000, "other")
    local third = chip:flash { { 0x10000, { data = app } } }
    assert.is_true(third.verified)
    assert.equal(4096, third.bytes)
    assert.equal(#app - 4096, third.kept)
    assert.is_truthy(has(told, "kept"))
    assert.equal(app, far:flash(0x10000, #app))
  end)

  it("is written all when told", function()
    local chip <close> = connect()
    chip:flash { { 0x10000, { data = app } } }
    local again = chip:flash({ { 0x10000, { data = app } } }, { full = true })
    assert.equal(#app, again.bytes)
    assert.equal(0, again.kept)
  end)

  it("beside a file keeps nothing of the sector that it begins in", function()
    local chip <close> = connect()
    far:put(0x10000, "neighbour")
    assert.is_true(chip:flash({ { 0x10100, { data = "hello" } } }).verified)
    assert.equal("hello", far:flash(0x10100, 5))
    assert.equal("\xFF", far:flash(0x10000, 1))
    assert.is_true(chip:flash({ { 0x10100, { data = "hello" } } })[1].skipped)
  end)

  it("that took damage while it was written is written again", function()
    local chip <close>, told = connect()
    chip:flash { { 0x10000, { data = app } } }
    far:put(0x10000 + 50000, "x")
    local put, spoilt = far.put, false
    far.put = function(self, at, bytes)
      if not spoilt then bytes, spoilt = "!" .. bytes:sub(2), true end
      return put(self, at, bytes)
    end
    local result = chip:flash { { 0x10000, { data = app } } }
    assert.is_true(result.verified)
    assert.equal(1, result[1].repairs)
    assert.is_truthy(has(told, "write_again"))
    assert.equal(app, far:flash(0x10000, #app))
  end)

  for _, foreign in ipairs { false, true } do
    it("is written, read and erased through a stub " .. (foreign and "without" or "with") .. " extensions", function()
      local chip <close> = connect { foreign = foreign }
      assert.is_true(chip:flash({ { 0x10000, { data = app } } }).verified)
      local bytes, info = chip:read(0x10000, #app)
      assert.is_true(bytes == app)
      assert.is_true(info.verified)
      assert.is_true(chip:verify(0x10000, { data = app }))
      assert.is_true(chip:erase(0x10000, 0x2000).verified)
      assert.equal(("\xFF"):rep(0x2000), far:flash(0x10000, 0x2000))
      assert.is_false((chip:verify(0x10000, { data = app })))
    end)
  end
end)
