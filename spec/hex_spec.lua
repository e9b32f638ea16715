-- Records from Intel's specification (1988) and worked out by hand; checksums by the rule "all bytes
-- of a record add up to 0 modulo 256", not by our reader.
local hex = require "esp.hex"

local END = ":00000001FF\n"

local function refused(text, pattern)
  local ok, err = pcall(hex.decode, text, "x.hex")
  assert.is_false(ok)
  assert.equal("bad_hex", err.code)
  assert.matches("x.hex: line", err.message, 1, true)
  assert.matches(pattern, err.message, 1, true)
end

describe("an Intel HEX file", function()
  for _, case in ipairs {
    { "is empty", "", "end record is missing" },
    { "has only an end record", END, "has no data" },
    { "has no end record", ":0400000001020304F2\n", "end record is missing" },
    { "has data after the end record", END .. ":0400000001020304F2\n", "line 2: record after the end record" },
    { "has a wrong checksum", ":0400000001020304F3\n" .. END, "line 1: checksum 0xF3, should be 0xF2" },
    { "has a record that is cut", ":04000000010203\n" .. END, "announces 4 data bytes and has 2" },
    { "has half a byte", ":0400000001020304F\n" .. END, "record cut short" },
    { "has a bare colon", ":\n" .. END, "record cut short" },
    { "has a letter that is no digit", ":04000000010203G4F2\n" .. END, "not a record" },
    { "has a line without colon", "0400000001020304F2\n" .. END, "not a record" },
    { "has an unknown record", ":00000006FA\n" .. END, "unknown record type 6" },
    { "has a linear record of one byte", ":0100000401FA\n" .. END, "must have 2 bytes, has 1" },
    { "has an end record with data", ":0100000101FD\n", "must have 0 bytes" },
    { "runs past 32 bits", ":02000004FFFFFC\n:02FFFF000102FD\n" .. END, "line 2: data beyond address 0xFFFFFFFF" },
    { "gives a byte two values", ":0400000001020304F2\n:010002000AF3\n" .. END,
      "line 2: address 0x00000002 was given a different value" },
    { "is one endless line", ":" .. ("0"):rep(200000), "line 1: line too long" },
    { "shows odd characters safely", "\27[31m\n", "not a record: '?[31m'" },
  } do
    it("is refused when it " .. case[1], function() refused(case[2], case[3]) end)
  end

  it("gives its bytes, neighbours joined, gaps kept, in order of address", function()
    local list = hex.decode(":020010000506E3\n:0400000001020304F2\n:0100040005F6\n" .. END)
    assert.same({ { address = 0, data = "\1\2\3\4\5" }, { address = 0x10, data = "\5\6" } }, list)
  end)

  it("takes CR LF, lower case, blank lines and a missing last line end", function()
    local list = hex.decode(":02000000abcd86\r\n\r\n:00000001ff")
    assert.same({ { address = 0, data = "\xAB\xCD" } }, list)
  end)

  it("knows linear and segment addresses and their wrap", function()
    local linear = hex.decode(":020000044000BA\n:01000000AA55\n" .. END)
    assert.equal(0x40000000, linear[1].address)
    local segment = hex.decode(":020000021000EC\n:02FFFF000102FD\n" .. END)
    assert.same({ { address = 0x10000, data = "\2" }, { address = 0x1FFFF, data = "\1" } }, segment)
  end)

  it("gives the start address", function()
    local _, start = hex.decode(":0400000001020304F2\n:040000054000038034\n" .. END)
    assert.equal(0x40000380, start)
  end)

  it("takes bytes given twice alike", function()
    local list = hex.decode(":0400000001020304F2\n:020001000203F8\n" .. END)
    assert.same({ { address = 0, data = "\1\2\3\4" } }, list)
  end)

  it("is read in chunks of any size", function()
    local text = ":0400000001020304F2\n:0400040005060708DE\n" .. END
    for size = 1, #text do
      local at = 1
      local list = hex.decode(function()
        if at > #text then return nil end
        at = at + size
        return text:sub(at - size, at - 1)
      end)
      assert.same({ { address = 0, data = "\1\2\3\4\5\6\7\8" } }, list)
    end
  end)

  it("is known by its first line, not by a colon alone", function()
    assert.is_true(hex.looks_like ":0400000001020304F2\n:00")
    assert.is_true(hex.looks_like ":04000")
    assert.is_false(hex.looks_like ":\0\1\2")
    assert.is_false(hex.looks_like "\xE9\2")
    assert.is_false(hex.looks_like ":hello world")
  end)
end)

describe("writing Intel HEX", function()
  local function encode(list)
    local out = {}
    hex.encode(function(s) out[#out + 1] = s end, list)
    return table.concat(out)
  end

  it("gives the records of the specification", function()
    assert.equal(":0400000001020304F2\n" .. END, encode { { address = 0, data = "\1\2\3\4" } })
    assert.equal(END, encode {})
  end)

  it("keeps gaps, and needs linear addresses beyond 64 KiB only", function()
    assert.equal(":0100000001FE\n:0100100002ED\n" .. END,
                 encode { { address = 0, data = "\1" }, { address = 0x10, data = "\2" } })
    assert.equal(":02FFFE000102FE\n" .. END, encode { { address = 0xFFFE, data = "\1\2" } })
    assert.equal(":020000040000FA\n:01FFFF000100\n:020000040001F9\n:0100000002FD\n" .. END,
                 encode { { address = 0xFFFF, data = "\1" }, { address = 0x10000, data = "\2" } })
  end)

  it("refuses records that the format cannot hold", function()
    local records = require "esp.core.ihex".records
    assert.equal("", records("", 0))
    assert.equal(":01FFFF000100\n", records("\1", 0xFFFF))
    for _, case in ipairs { { "ab", 0xFFFF }, { "", 0x10000 }, { "", -1 }, { "a" } } do
      assert.has_error(function() records(case[1], case[2]) end)
    end
  end)

  it("is read back", function()
    local data = ("\0\255abc"):rep(400)
    local list = { { address = 0xFFF7, data = data }, { address = 0x40000, data = "x" } }
    assert.same(list, (hex.decode(encode(list))))
  end)

  it("is refused for what overlaps or has no address of 32 bits", function()
    for _, list in ipairs { { { address = 0, data = "ab" }, { address = 1, data = "c" } },
                            { { address = 0xFFFFFFFF, data = "ab" } } } do
      local ok, err = pcall(encode, list)
      assert.is_false(ok)
      assert.equal("bad_argument", err.code)
    end
  end)
end)
