-- The compressed samples were made by Python's zlib module, level 9.
local zlib = require "esp.core.zlib"
local digest = require "esp.core.digest"
local HELLO = digest.unhex "78dacb48cdc9c95728cf2fca4901001a0b045d"      -- "hello world"
-- Noise that does not compress.
local function noise(n)
  local t, x = {}, 12345
  for i = 1, n // 8 do
    x = x ~ (x << 13)
    x = x ~ (x >> 7)
    x = x ~ (x << 17)
    t[i] = ("<i8"):pack(x)
  end
  return table.concat(t)
end

describe("zlib.inflate", function()
  for _, case in ipairs {
    { "nothing", "", nil, "bad_file" },
    { "a stream that is cut", HELLO:sub(1, -2), nil, "bad_file" },
    { "a wrong check value", HELLO:sub(1, -2) .. "\0", nil, "bad_file" },
    { "what is no stream", "hello world", nil, "bad_file" },
    { "a gzip file", "\x1F\x8B\x08\0\0\0\0\0", nil, "bad_file" },
    { "more than was allowed", HELLO, 10, "too_long" },
    { "anything when nothing is allowed", HELLO, 0, "too_long" },
  } do
    it("refuses " .. case[1], function()
      local bytes, message, code = zlib.inflate(case[2], case[3])
      assert.is_nil(bytes)
      assert.equal(case[4], code)
      assert.is_string(message)
    end)
  end

  it("refuses wrong arguments", function()
    assert.has_error(function() zlib.inflate(nil) end)
    assert.has_error(function() zlib.inflate(HELLO, -1) end)
  end)

  it("stops at the end of the stream and says where it was", function()
    assert.same({ "hello world", #HELLO }, { zlib.inflate(HELLO .. "trailing", 11) })
  end)

  it("allows exactly as much as was said", function()
    local all = zlib.deflate(("\0"):rep(100000))
    assert.equal(100000, #zlib.inflate(all, 100000))
    assert.equal("too_long", select(3, zlib.inflate(all, 99999)))
  end)

  it("stops a bomb early", function()
    local bomb = zlib.deflate(("\0"):rep(50 << 20), 9)
    collectgarbage()
    local before = collectgarbage "count"
    assert.equal("too_long", select(3, zlib.inflate(bomb, 1000)))
    assert.is_true(collectgarbage "count" - before < 1024)
  end)
end)

describe("zlib.deflate", function()
  it("refuses wrong arguments", function()
    assert.has_error(function() zlib.deflate(nil) end)
    assert.has_error(function() zlib.deflate("", 10) end)
    assert.has_error(function() zlib.deflater(-1) end)
  end)

  it("gives what zlib's level 9 gives elsewhere", function()
    assert.equal(digest.hex(HELLO), digest.hex(zlib.deflate "hello world"))
  end)

  for _, size in ipairs { 0, 1, 0x3FFF, 0x4000, 0x4001, 300000 } do
    it(("is undone by inflate, %d bytes"):format(size), function()
      local bytes = noise(size + 8):sub(1, size)
      assert.is_true(bytes == zlib.inflate(zlib.deflate(bytes)))
      assert.is_true(bytes == zlib.inflate(zlib.deflate(bytes, 1), size))
    end)
  end
end)

describe("streams", function()
  it("give the same in pieces", function()
    local bytes, z, out = noise(100000) .. ("a"):rep(100000), zlib.deflater(), {}
    for at = 1, #bytes, 777 do out[#out + 1] = z:update(bytes:sub(at, at + 776)) end
    out[#out + 1] = z:finish()
    local packed = table.concat(out)
    assert.is_true(bytes == zlib.inflate(packed))
    local f, back = zlib.inflater(), {}
    for at = 1, #packed, 333 do back[#back + 1] = f:update(packed:sub(at, at + 332)) end
    assert.equal("", f:finish())
    assert.is_true(bytes == table.concat(back))
  end)

  it("cannot be used when finished, closed or failed", function()
    local z <close> = zlib.deflater()
    z:finish()
    assert.has_error(function() z:update "a" end)
    assert.has_error(function() z:finish() end)
    z:close()
    local f <close> = zlib.inflater(3)
    assert.equal("too_long", select(3, f:update(HELLO)))
    assert.has_error(function() f:update "a" end)
    assert.equal("bad_file", select(3, f:finish()))
    f:close()
    f:close()
  end)

  it("report a stream that ends too early, and ignore what follows its end", function()
    local f <close> = zlib.inflater()
    assert.equal("hello", (f:update(HELLO:sub(1, 13)) .. "hello"):sub(1, 5))
    assert.equal("bad_file", select(3, f:finish()))
    local g <close> = zlib.inflater()
    assert.equal("hello world", g:update(HELLO))
    assert.equal("", g:update "more")
    assert.equal("", g:finish())
  end)
end)
