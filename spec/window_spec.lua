-- Writing with many blocks on the way and reading packed, against a stub that is written from doc/stub-protocol.md.
local digest = require "esp.core.digest"
local link = require "esp.core.link"
local payload = require "esp.core.payload"
local stub = require "support.stub"
local board = require "support.board"

local AT = 0x10000

local near, far
after_each(function()
  if far then far.stop() near:close() end
  far = nil
end)

local function open(o)
  near, far = stub(o)
  local k = link.new(near)
  k:set_status_bytes(2)
  k:set_guard(true)
  return k
end

local function write(k, bytes, o)
  local options = { payload = assert(payload.new { data = bytes }), address = AT, credit = 16320, compress = false,
                    timeout = { begin = 0.5, block = 2, sync = 1 } }
  for key, value in pairs(o or {}) do options[key] = value end
  return k:write_flash(options)
end

-- A generator of numbers in [0, n), the same on every machine.
local function random(seed)
  local x = seed * 2862933555777941757 + 3037000493
  return function(n)
    x = x * 6364136223846793005 + 1442695040888963407
    return (x >> 33) % n
  end
end

-- Faults on about one in `rate` pieces: a byte flipped, lost, or all of it lost.
local function faults(seed, rate)
  local next_number = random(seed)
  return function(bytes)
    if next_number(rate) ~= 0 then return bytes end
    local at, kind = next_number(#bytes) + 1, next_number(3)
    if kind == 2 then return nil end
    local instead = kind == 0 and string.char(bytes:byte(at) ~ 1 << next_number(8)) or ""
    return bytes:sub(1, at - 1) .. instead .. bytes:sub(at + 1)
  end
end

describe("writing with blocks on the way", function()
  it("fails with the stub's reason, and says how far it came", function()
    local k = open { fail_at = 5 }
    local ok, message, code, details = write(k, board.noise(40000, 1))
    assert.is_nil(ok)
    assert.equal("flash_failed", code)
    assert.matches("flash chip failed", message, 1, true)
    assert.equal(0xC4, details.error)
    assert.equal(5 * 0x800, details.done)
  end)

  it("fails when the stub has gone silent", function()
    local heard = 0
    local k = open { on_receive = function(bytes)
      heard = heard + #bytes
      return heard < 20000 and bytes or nil
    end }
    local ok, _, code = write(k, board.noise(60000, 1), { timeout = { begin = 0.3, block = 0.7, sync = 0.3 } })
    assert.is_nil(ok)
    assert.equal("timeout", code)
  end)

  it("fails when every block arrives damaged", function()
    local k = open { on_receive = function(bytes)
      return #bytes > 200 and bytes:sub(1, 99) .. string.char(bytes:byte(100) ~ 1) .. bytes:sub(101) or bytes
    end }
    local ok, _, code, details = write(k, board.noise(30000, 1))
    assert.is_nil(ok)
    assert.is_truthy(code == "checksum" or code == "rom_error" or code == "timeout", code)
    assert.is_true(details.faults > 3)
  end)

  it("can be cancelled", function()
    local k = open()
    local ok, _, code = write(k, board.noise(400000, 1), { progress = function() return false end })
    assert.is_nil(ok)
    assert.equal("cancelled", code)
    assert.is_truthy(k:command(8, ""))
  end)

  for _, compress in ipairs { false, true } do
    it(compress and "sends compressed data" or "sends data as it is", function()
      local k = open()
      local bytes = board.code(70001, 3)
      local result = assert(write(k, bytes, { compress = compress }))
      assert.equal(compress, result.compressed)
      assert.equal(#bytes, result.bytes)
      assert.equal(0, result.faults)
      assert.is_true(far.most > 0)
      assert.equal(bytes, far:flash(AT, #bytes))
    end)
  end

  it("keeps to the credit", function()
    local k = open { credit = 5000 }
    local bytes = board.noise(40000, 2)
    assert(write(k, bytes, { credit = 5000 }))
    assert.equal(bytes, far:flash(AT, #bytes))
  end)

  it("does not take a damaged answer for the last one", function()
    local blocks, turned = 32, 0
    local k = open { on_send = function(bytes)
      -- The answer to block 7 says 32 instead of 8; and so does the first answer about the state.
      local head, value = bytes:match "^(\xC0\x01\x03..)(.)\0\0\0"
      if head and value == "\8" then
        turned = turned + 1
        return head .. string.char(blocks) .. bytes:sub(#head + 2)
      end
      return bytes
    end, on_receive = function(bytes)
      return turned == 0 and bytes or #bytes < 100 and bytes or nil      -- no block arrives from then on
    end }
    local ok, _, code = write(k, board.noise(blocks * 0x800, 9), { timeout = { begin = 0.3, block = 0.7, sync = 0.3 } })
    assert.equal(1, turned)
    assert.is_nil(ok)
    assert.equal("timeout", code)
  end)

  it("sends only from a damaged block on", function()
    local damaged = false
    local k = open { on_receive = function(bytes)
      if damaged or #bytes < 200 then return bytes end
      damaged = true
      return bytes:sub(1, 99) .. string.char(bytes:byte(100) ~ 1) .. bytes:sub(101)
    end }
    local bytes = board.noise(100000, 2)
    local result = assert(write(k, bytes))
    assert.equal(1, result.faults)
    assert.is_true(result.wire < 130000)
    assert.equal(bytes, far:flash(AT, #bytes))
    local begins = 0
    for _, e in ipairs(far.log) do begins = begins + (e[1] == 2 and 1 or 0) end
    assert.equal(1, begins)
  end)

  for seed = 1, 12 do
    it("ends right or with an error on a bad line, seed " .. seed, function()
      local k = open { on_receive = faults(seed, 8), on_send = faults(seed + 100, 12) }
      local bytes = board.noise(60000, seed)
      local ok, _, code = write(k, bytes, { compress = seed % 2 == 0 })
      if ok then
        assert.equal(digest.hex(digest.md5(bytes)), digest.hex(digest.md5(far:flash(AT, #bytes))))
      else
        assert.is_string(code)
      end
    end)
  end
end)

describe("reading through a stub", function()
  local content = board.noise(50000, 5) .. ("\xFF"):rep(100000) .. "tail"
  local function read(k, o)
    local options = { address = 0x3000, size = #content, packed = true, packet = 8192, window = 4, timeout = 0.3 }
    for key, value in pairs(o or {}) do options[key] = value end
    return k:read_flash(options)
  end

  for _, case in ipairs { { "packed", true }, { "plain", false } } do
    it("gets what is there, " .. case[1], function()
      local k = open()
      far:put(0x3000, content)
      assert.equal(digest.hex(digest.md5(content)), digest.hex(digest.md5((assert(read(k, { packed = case[2] }))))))
      assert.is_truthy(k:command(8, ""))
    end)
  end

  it("refuses plain data that differ from their digest", function()
    local k = open { on_send = function(frame, n)
      return n == 3 and frame:sub(1, 50) .. string.char(frame:byte(51) ~ 1) .. frame:sub(52) or frame
    end }
    far:put(0x3000, content)
    local ok, _, code = read(k, { packed = false })
    assert.is_nil(ok)
    assert.equal("bad_reply", code)
  end)

  it("ends when nothing comes", function()
    local k = open { on_send = function(frame, n) return n < 4 and frame or nil end }
    local ok, _, code = read(k)
    assert.is_nil(ok)
    assert.is_truthy(code == "timeout" or code == "no_sync", code)
  end)

  for seed = 1, 12 do
    it("goes on after faults, packed, seed " .. seed, function()
      local k = open { on_receive = faults(seed, 10), on_send = faults(seed + 50, 10) }
      far:put(0x3000, content)
      local bytes, _, code = read(k)
      if bytes then
        assert.equal(digest.hex(digest.md5(content)), digest.hex(digest.md5(bytes)))
      else
        assert.is_string(code)
      end
    end)
  end
end)
