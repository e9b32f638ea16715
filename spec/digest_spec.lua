-- Expected values: RFC 1321 (MD5), FIPS 180-4 examples (SHA), and the check value of CRC-32 in the CRC catalogue.
local digest = require "esp.core.digest"

local ABC = {
  md5 = "900150983cd24fb0d6963f7d28e17f72",
  sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
  sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
  sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
}

describe("digest", function()
  it("refuses unknown names and wrong arguments", function()
    assert.has_error(function() digest.new "md4" end)
    assert.has_error(function() digest.new() end)
    assert.has_error(function() digest.sha256(nil) end)
    assert.has_error(function() digest.crc32("", -1) end)
    assert.has_error(function() digest.crc32("", 0x100000000) end)
  end)

  it("refuses to go on after the end, and closes twice", function()
    local h <close> = digest.new "sha256"
    h:final()
    assert.has_error(function() h:update "a" end)
    assert.has_error(function() h:final() end)
    h:close()
    h:close()
  end)

  for name, want in pairs(ABC) do
    it("computes " .. name .. ", at once and in pieces", function()
      assert.equal(want, digest.hex(digest[name] "abc"))
      assert.equal(want, digest.hex(digest.new(name):update("a"):update(""):update("bc"):final()))
    end)
  end

  it("computes them of nothing", function()
    assert.equal("d41d8cd98f00b204e9800998ecf8427e", digest.hex(digest.md5 ""))
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      digest.hex(digest.new("sha256"):final()))
  end)

  it("computes SHA-256 of any length, cut anywhere", function()
    local all, cut = {}, digest.new "sha256"
    for n = 0, 199 do
      local bytes = ("a"):rep(n)
      all[#all + 1] = digest.sha256(bytes)
      assert.equal(all[#all], digest.new("sha256"):update(bytes:sub(1, n // 3)):update(bytes:sub(n // 3 + 1)):final())
      cut:update(all[#all])
    end
    -- By Python's hashlib: of all these digests, one after the other; the other as in FIPS 180-2, appendix B.3.
    local want = "752c007f38611cfbf5fa42cb1cea3d8e086491c844d0cc4defd632cb81423506"
    assert.equal(want, digest.hex(digest.sha256(table.concat(all))))
    assert.equal(want, digest.hex(cut:final()))
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
      digest.hex(digest.sha256(("a"):rep(1000000))))
  end)

  -- From the formula in doc/stub-protocol.md, by a program in another language.
  it("are what our stub tells of flash", function()
    for text, expected in pairs { [""] = "0123456789abcdef", a = "2b0924eedadfdb53", abcd = "9388f88d425fb0f3",
                                  ["message digest"] = "2b58c600a54b2c1d",
                                  [("\xFF"):rep(4096)] = "f6b6e17e393c032c", [("\0"):rep(4096)] = "484761a12511019e",
                                  [("\xFF"):rep(4095)] = "6a17f598da56763a" } do
      assert.equal(expected, digest.hex(digest.mix(text)))
    end
    assert.has_error(function() digest.mix() end)
  end)

  it("computes CRC-32, going on from an earlier one", function()
    assert.equal(0xCBF43926, digest.crc32 "123456789")
    assert.equal(0xCBF43926, digest.crc32("6789", digest.crc32 "12345"))
    assert.equal(0, digest.crc32 "")
  end)
end)

describe("a digest of a file", function()
  it("takes the rest of it, without a copy in Lua", function()
    local file <close> = io.tmpfile()
    file:write(("x"):rep(100), ("a"):rep(1000000))
    file:seek("set", 100)
    local h <close> = digest.new "sha256"
    assert.equal(1000000, h:file(file))
    assert.equal(0, h:file(file))
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", digest.hex(h:final()))
  end)

  it("says why it cannot be read", function()
    local h <close> = digest.new "sha256"
    local folder <close> = assert(io.open("/", "rb"))
    local n, message, code = h:file(folder)
    assert.is_nil(n)
    assert.equal("failed", code)
    assert.matches("directory", message, 1, true)
    local closed = io.tmpfile()
    closed:close()
    assert.has_error(function() h:file(closed) end)
    assert.has_error(function() h:file "/" end)
  end)
end)

describe("digest.xor", function()
  it("combines all bytes, of any length", function()
    for n = 0, 40 do
      local bytes, want = {}, 0xEF
      for i = 1, n do
        bytes[i] = i * 37 & 0xFF
        want = want ~ bytes[i]
      end
      assert.equal(want, digest.xor(string.char(table.unpack(bytes)), 0xEF))
    end
  end)
end)

describe("digest.unhex", function()
  for _, case in ipairs {
    { "a", "even number" }, { "0g", "position 2" }, { "xx", "position 1" }, { "00 1", "position 3" },
  } do
    it("refuses " .. case[1], function()
      local bytes, message, code = digest.unhex(case[1])
      assert.is_nil(bytes)
      assert.equal("bad_argument", code)
      assert.matches(case[2], message, 1, true)
    end)
  end

  it("undoes hex", function()
    assert.equal("00ff10abc0", digest.hex "\x00\xFF\x10\xAB\xC0")
    assert.equal("\x00\xFF\x10\xAB\xC0", digest.unhex "00fF10AbC0")
    assert.equal("", digest.unhex "")
  end)
end)
