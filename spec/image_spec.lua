-- The images are put together by hand from ESP-IDF's "App Image Format"; the SHA-256 values come from
-- coreutils' sha256sum, the checksums from adding up by hand with exclusive or.
local image = require "esp.image"

local function unhex(s) return (s:gsub("%s", ""):gsub("..", function(h) return string.char(tonumber(h, 16)) end)) end

-- One segment of 24 bytes at 0x3FC80000 for chip 5, revision 0.3 to 1.99, DIO, code 0x2F, with SHA-256.
local C3 = unhex [[
  e901022f00003840 ee0000000500030300c7000000000001 0000c83f18000000
  0102030405060708090a0b0c0d0e0f1011121314aa5500ff 00000000000000fb
  5bf19ac48b35bd26e70f38364f64310a8db420d9a73306856c7222fef58c8980 ]]
local V1 = unhex "e901004000001040 0000104008000000 0102030405060708 00000000000000e7"
local V2 = unhex [[
  ea04004004001040 0000000010000000 10203040102030401020304010203040
  e901004004001040 0000104008000000 0102030405060708 00000000000000e7 12345678 ]]

local function file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

local function set(bytes, at, new) return bytes:sub(1, at) .. new .. bytes:sub(at + #new + 1) end

describe("an image", function()
  for _, case in ipairs {
    { "is empty", "", "the file is empty (at offset 0x0)" },
    { "is something else", "\x7FELF", "first byte 0x7F, should be 0xE9" },
    { "ends in the header", C3:sub(1, 10), "cut short: the header is incomplete (at offset 0xA)" },
    { "ends in a segment header", C3:sub(1, 30), "cut short: header of segment 1 of 1 is missing (at offset 0x18)" },
    { "ends in a segment", C3:sub(1, 50), "needs 24 bytes, has 18 (at offset 0x18)" },
    { "ends before the checksum", C3:sub(1, 63), "cut short: the checksum is missing (at offset 0x3F)" },
    { "ends in the digest", C3:sub(1, 80), "cut short: the SHA-256 at the end is incomplete (at offset 0x40)" },
    { "has no segment", set(C3, 1, "\0"), "0 segments (1 to 16 are possible)" },
    { "has too many segments", set(C3, 1, "\17"), "17 segments" },
    { "has an odd hash flag", set(C3, 23, "\2"), "hash flag is 2" },
    { "has a segment of 4 GiB", set(C3, 28, "\xFF\xFF\xFF\xFF"), "needs 4294967295 bytes" },
    { "is version 2 and ends early", V2:sub(1, 20), "cut short" },
    { "is version 2 without its second header", V2:sub(1, 32) .. ("\0"):rep(40), "should be 0xE9 (at offset 0x20)" },
  } do
    it("is refused when it " .. case[1], function()
      local ok, err = pcall(image.parse, case[2], "a.bin")
      assert.is_false(ok)
      assert.equal("bad_image", err.code)
      assert.matches("a.bin: ", err.message, 1, true)
      assert.matches(case[3], err.message, 1, true)
    end)
  end

  it("is read with its extended header", function()
    local i = image.parse(C3, "a.bin")
    assert.same({ "esp32", 1, 5, 0x40380000 }, { i.format, i.version, i.chip_id, i.entry })
    assert.same({ 2, 0x20, 0xF }, { i.mode, i.size_code, i.freq_code })
    assert.same({ 3, 3, 0xC700 >> 8 }, { i.min_rev, i.min_rev_full, i.max_rev_full })
    assert.same({ { address = 0x3FC80000, size = 24, offset = 32, checked = true } }, i.segments)
    assert.same({ true, true, 64, 96 }, { i.checksum_valid, i.digest_valid, i.data_length, i.length })
    assert.equal(5, image.target(i))
  end)

  it("with damaged contents says which sum tells", function()
    local i = image.parse(set(C3, 40, "X"), "a.bin")
    assert.is_false(i.checksum_valid)
    assert.is_false(i.digest_valid)
    local ok, fault = image.check(i, set(C3, 40, "X"))
    assert.is_nil(ok)
    assert.matches("checksum 0xFB, calculated", fault.message, 1, true)
    i = image.parse(set(C3, 95, "X"), "a.bin")
    assert.is_true(i.checksum_valid)
    assert.is_false(i.digest_valid)
  end)

  it("for an ESP8266 is told from later ones", function()
    local one, two = image.parse(V1), image.parse(V2)
    assert.same({ "esp8266", 1, true }, { one.format, one.version, one.checksum_valid })
    assert.same({ "esp8266v2", 2, true }, { two.format, two.version, two.checksum_valid })
    assert.equal("esp8266", image.target(one))
    assert.equal(0x20, two.second_header)
    local three = image.parse(set(set(C3, 4, "\0\0\x10\x40"), 12, "\0\0"))
    assert.equal(3, three.version)
    assert.equal("esp8266", image.target(three))
  end)

  it("built by the example is sound", function()
    for name, id in pairs { ["hello-esp32c3"] = 5, ["hello-esp32"] = 0 } do
      local i = image.parse(file("examples/hello/" .. name .. ".bin"), name)
      assert.same({ id, true, true }, { i.chip_id, i.checksum_valid, i.digest_valid })
    end
  end)

  it("may be followed by other things", function()
    local i = image.parse(C3 .. ("\xFF"):rep(5000))
    assert.is_true(i.digest_valid)
    assert.equal(96, i.length)
  end)
end)

describe("changing the flash parameters", function()
  it("changes the header and its SHA-256", function()
    local patches, value = image.patch_header(C3, image.parse(C3), { mode = 0, size = 0x30, freq = 0 })
    local sum = unhex "e7e5a56b8915a7c151966cbf2a2b6288c7674796e54c2af15e950392857ce12a"
    assert.same({ { 2, "\0\x30" }, { 64, sum } }, patches)
    assert.equal(0x0030, value)
  end)

  it("keeps what is not given", function()
    local patches, value = image.patch_header(C3, image.parse(C3), { size = 0x40 })
    assert.equal("\x02\x4F", patches[1][2])
    assert.equal(0x024F, value)
  end)

  it("changes nothing when all is as wanted", function()
    assert.same({}, (image.patch_header(C3, image.parse(C3), { mode = 2, size = 0x20 })))
  end)

  it("leaves an image without SHA-256 at two bytes", function()
    local bare = set(C3, 23, "\0")
    assert.same({ { 2, "\3\x2F" } }, (image.patch_header(bare, image.parse(bare), { mode = 3 })))
  end)

  it("gives an image that is sound again", function()
    local bytes = C3 .. "tail"
    for _, p in ipairs(image.patch_header(bytes, image.parse(bytes), { mode = 1, freq = 1 })) do
      bytes = set(bytes, p[1], p[2])
    end
    local i = image.parse(bytes)
    assert.same({ 1, 1, true, "tail" }, { i.mode, i.freq_code, i.digest_valid, bytes:sub(-4) })
  end)
end)

describe("the revision an image wants", function()
  local function check(min, min_full, max_full, major, minor, by_minor)
    return image.check_revision({ min_rev = min, min_rev_full = min_full, max_rev_full = max_full },
                                { major = major, minor = minor }, by_minor)
  end
  for _, case in ipairs {
    { "is inside of both limits", { 0, 100, 199, 1, 50 }, true },
    { "is too old", { 0, 101, 199, 1, 0 }, nil, "v1.1 or higher" },
    { "is too new", { 0, 100, 199, 2, 0 }, nil, "v1.99 at most" },
    { "has no upper limit", { 0, 100, 0xFFFF, 9, 0 }, true },
    { "is the old byte, major", { 3, 0, 0, 2, 9 }, nil, "major revision 3" },
    { "is the old byte, minor", { 3, 0, 0, 0, 3, true }, true },
    { "is the old byte when the new minimum is unset", { 3, 0, 0xFFFF, 2, 0 }, nil, "major revision 3" },
    { "is nothing", { 0, 0, 0, 0, 0 }, true },
  } do
    it(case[1], function()
      local ok, text = check(table.unpack(case[2], 1, 6))
      assert.equal(case[3], ok)
      if case[4] then assert.matches(case[4], text, 1, true) end
    end)
  end
end)
