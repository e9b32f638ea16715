-- Golden frames are typed in from RFC 1055 and from the trace in Espressif's serial protocol document.
local slip = require "esp.core.slip"

local function hex(s) return (s:gsub("%s", ""):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end

-- Another encoder, byte by byte.
local function plain_encode(s)
  return "\xC0" .. s:gsub("[\xC0\xDB]", { ["\xC0"] = "\xDB\xDC", ["\xDB"] = "\xDB\xDD" }) .. "\xC0"
end

local function random(seed)
  local x = seed
  return function(n)
    x = (x * 6364136223846793005 + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
    return (x >> 33) % n
  end
end

describe("slip.encode", function()
  it("refuses what is no string", function()
    assert.has_error(function() slip.encode(nil) end)
    assert.has_error(function() slip.encode({}) end)
  end)

  for _, case in ipairs {
    { "nothing", "", "C0 C0" },
    { "one byte", "01", "C0 01 C0" },
    { "the special bytes", "C0 DB DC DD", "C0 DB DC DB DD DC DD C0" },
    { "special bytes only", "C0 C0 DB DB", "C0 DB DC DB DC DB DD DB DD C0" },
    { "READ_REG of 0x40001000", "000A0400 00000000 00100040", "C0 000A0400 00000000 00100040 C0" },
  } do
    it("frames " .. case[1], function()
      assert.equal(hex(case[3]), slip.encode(hex(case[2])))
    end)
  end
end)

describe("slip.decoder", function()
  it("refuses lengths out of range", function()
    for _, max in ipairs { 0, -1, 0x7FFFFFFF } do
      assert.has_error(function() slip.decoder(max) end)
    end
  end)

  it("cannot be used after close, which may happen twice", function()
    local d <close> = slip.decoder()
    d:close()
    d:close()
    assert.has_error(function() d:feed "" end)
  end)

  for _, case in ipairs {
    { "an escape that does not exist", "C0 01 DB 02 03 C0 04 C0", { "04" }, 1 },
    { "an escape cut off by the end", "C0 01 DB C0 04 C0", { "04" }, 1 },
    { "a frame that is too long", "C0 01 02 03 04 05 06 07 08 09 C0 0A C0", { "0A" }, 1 },
    { "noise before the first delimiter", "41 42 DB 43 C0 05 C0", { "05" }, 0 },
    { "a lost delimiter between two frames", "C0 01 C0 02 C0", { "01", "02" }, 0 },
    { "empty frames", "C0 C0 C0 01 C0 C0", { "01" }, 0 },
  } do
    for _, step in ipairs { 1, 2, 3, 100 } do
      it(("survives %s, %d bytes at a time"):format(case[1], step), function()
        local d <close> = slip.decoder(8)
        local bytes, got = hex(case[2]), {}
        for i = 1, #bytes, step do
          for _, f in ipairs(d:feed(bytes:sub(i, i + step - 1))) do got[#got + 1] = f end
        end
        local want = {}
        for i, f in ipairs(case[3]) do want[i] = hex(f) end
        assert.same(want, got)
        assert.equal(case[4], d:bad())
      end)
    end
  end

  it("gives the longest frame that is allowed", function()
    local d <close> = slip.decoder(4)
    assert.same({ "\xC0\xDB\xC0\xDB" }, d:feed(plain_encode "\xC0\xDB\xC0\xDB"))
    assert.equal(0, d:bad())
  end)

  it("shows what is pending, and forgets it on reset", function()
    local d <close> = slip.decoder()
    d:feed "\xC0\x01\x02\xDB"
    assert.equal("\x01\x02", d:pending())
    d:reset()
    assert.equal("", d:pending())
    assert.same({ "\x03" }, d:feed "\xC0\x03\xC0")
  end)

  it("undoes the encoder for data with any share of special bytes, cut anywhere", function()
    for seed = 1, 60 do
      local r = random(seed)
      local parts, want = {}, {}
      for i = 1, 4 do
        local t = {}
        for k = 1, r(400) + 1 do t[k] = string.char(r(4) < seed % 4 and (r(2) == 0 and 0xC0 or 0xDB) or r(256)) end
        want[i] = table.concat(t)
        parts[i] = slip.encode(want[i])
        assert.equal(plain_encode(want[i]), parts[i])
      end
      local d <close> = slip.decoder()
      local stream, got, at = table.concat(parts), {}, 1
      while at <= #stream do
        local n = r(60) + 1
        for _, f in ipairs(d:feed(stream:sub(at, at + n - 1))) do got[#got + 1] = f end
        at = at + n
      end
      assert.same(want, got)
    end
  end)
end)
