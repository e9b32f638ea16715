-- The expected digests are SHA-256 of what esptool 5.2.0 made of the same files:
--   python3 -m esptool --chip CHIP merge-bin OPTIONS -o OUT ADDRESS FILE ...
-- boot.bin is the image of spec/support/image_fixtures.lua's bootloader (spec/image_elf_spec.lua compares it with
-- esptool's), a.bin and b.bin are 3000 and 9000 of its bytes (seeds 20 and 21), c.hex is a.bin at 0x9000 as esptool
-- wrote it.
local digest = require "esp.core.digest"
local fixtures = require "spec.support.image_fixtures"
local hex = require "esp.hex"
local image_elf = require "esp.image_elf"
local image_merge = require "esp.image_merge"
local uf2 = require "esp.uf2"

local function boot(chip)
  local source = chip == "esp8266" and fixtures.esp8266 { irom = false } or fixtures.bootloader(chip)
  return image_elf.convert({ data = source, name = "boot.elf" }, { chip = chip }):bytes()
end

local function c_hex()
  local out = {}
  hex.encode(function(s) out[#out + 1] = s end, { { address = 0x9000, data = fixtures.bytes(3000, 20) } })
  return table.concat(out)
end

local FILES = {
  boot = boot,
  boot32 = function() return boot "esp32" end,
  a = function() return fixtures.bytes(3000, 20) end,
  b = function() return fixtures.bytes(9000, 21) end,
  c = c_hex,
}

local CASES = {
  { "esp32", { 0x1000, "boot", 0x8000, "a", 0x10000, "b" }, {},
    "be2c7c5e02e7a32de8e5beb7c5179011df8ef3d374b4adce3ddb325795c812c5" },
  { "esp32", { 0x1000, "boot", 0x8000, "a", 0x10000, "b" },
    { flash_freq = "80m", flash_mode = "dio", flash_size = "4MB", pad_to_size = "256KB", target_offset = 0x1000 },
    "f3d3bfae152dc36dabca3230c2f77570420649218f6d5785262da8d02a624234" },
  { "esp32", { 0x10000, "b", 0x1000, "boot" }, { flash_mode = "dout", format = "hex" },
    "f4efb272c32c28d544161def20f5a2cc2357e8e355c6e72af5ce2b3023d9c721" },
  { "esp32", { 0x10000, "b", 0x1000, "boot" }, { flash_mode = "dout", format = "uf2" },
    "d53dd264d398ac76e9464510253d401d28dddc915cf62bb5917220d98ddf0f58" },
  { "esp32", { 0x0, "c", 0x10000, "b" }, {},
    "2f6d028dd28ef0292a0eadc3bbbcab024a597a6c5105ff4f89f3429e53f0ac57" },
  { "esp32", { 0x0, "c", 0xFFFE0, "b" }, { format = "hex" },
    "756fd91cd359d356b8e7dda1de36acbd154eabe4f828f3b2572c7c28c375ba43" },
  { "esp32", { 0x8000, "a" }, { format = "hex" },
    "969325dfdb09c00c7f797f47052d1a08a9bf5c42300e176dca6f98fd4d769b05" },
  { "esp32s2", { 0x1000, "boot", 0x10000, "b" }, { flash_mode = "qout", flash_size = "8MB" },
    "d5606ef1b322968297a0fe5fc70388b3a1397f972cf8f66fa6d956dcb986e6f7" },
  { "esp32s3", { 0x0, "boot", 0x10000, "b" }, { flash_mode = "qout", flash_size = "8MB" },
    "482f5da013b7736febea8037d9087b9118e5719e4c88a03b45115670f4369afe" },
  { "esp32s3", { 0x0, "boot", 0x10000, "b" }, { chunk_size = 256, format = "uf2" },
    "5c44a1c4cf7d63c39aebd47d61b71bae1160963247b665d9b7ccf9e4d7d6f8eb" },
  { "esp32c3", { 0x0, "boot", 0x10000, "b" }, { flash_mode = "qout", flash_size = "8MB" },
    "6b79a505bb2cf58d88e0812e4149c423323890c2a3af35aeb03794ae84e8ef08" },
  { "esp32c3", { 0x0, "boot", 0x10000, "b" }, { chunk_size = 256, format = "uf2" },
    "a331be132611bd4eef61b662482b27e7cf51bb2af4e2136e9870e27ed9d433b5" },
  { "esp32c6", { 0x0, "boot", 0x10000, "b" }, { flash_mode = "qout", flash_size = "8MB" },
    "5091e65841e6dba08704dd9a0b19364d6af88ef5ab7597d13544c40c4ddb82f6" },
  { "esp32h2", { 0x0, "boot", 0x10000, "b" }, { chunk_size = 256, format = "uf2" },
    "a7af88b93c0e96261eeb26be9e3c53fe619d91506f982c9a5586ab23cf5987ef" },
  { "esp32c3", { 0x0, "boot", 0x10000, "b" }, { flash_freq = "20m", format = "uf2", md5_disable = true },
    "a5c8b4c6232f76b89625b30c84ae5a9879216953381f09b53e40fca734d0af57" },
  { "esp8266", { 0x0, "boot", 0x10000, "b" }, { flash_freq = "26m", flash_mode = "dio", flash_size = "2MB-c1" },
    "8ed6218120db806b1b7fc8334edb7ed4efbda674defd5223dae2f9a35a8feda3" },
  { "esp8266", { 0x0, "boot", 0x10000, "b" }, { format = "uf2" },
    "fda9288296e04cbd21261027c091e2afcccf8b9bb00e749f0372963d1b6cc432" },
}

local function merge(case)
  local inputs, opts = {}, { chip = case[1] }
  for i = 1, #case[2], 2 do
    local name = case[2][i + 1]
    inputs[#inputs + 1] = { case[2][i], { data = FILES[name](case[1]), name = name .. ".bin" } }
  end
  for k, v in pairs(case[3]) do opts[k] = v end
  return image_merge.merge(inputs, opts)
end

local function described(opts)
  local words = {}
  for k, v in pairs(opts) do words[#words + 1] = k .. "=" .. tostring(v) end
  table.sort(words)
  return table.concat(words, " ")
end

describe("merged files have the bytes of esptool's:", function()
  for _, case in ipairs(CASES) do
    it(("%s %s %s"):format(case[1], table.concat(case[2], " "), described(case[3])), function()
      assert.equal(case[4], digest.hex(digest.sha256(merge(case).data)))
    end)
  end
end)

describe("merging files", function()
  local function refused(code, pattern, case)
    local ok, err = pcall(merge, case)
    assert.is_false(ok)
    assert.equal(code, err.code, tostring(err))
    assert.matches(pattern, err.message, 1, true)
  end

  it("is refused when something does not fit", function()
    refused("overlap", "overlap at address 0x1000", { "esp32", { 0, "b", 0x1000, "a" }, {} })
    refused("overlap", "overlap at address 0xbb8", { "esp32", { 0, "a", 3000, "a" }, {} })
    refused("bad_argument", "is before this", { "esp32", { 0, "a" }, { target_offset = 0x1000 } })
    refused("bad_argument", "format 'zip'", { "esp32", { 0, "a" }, { format = "zip" } })
    refused("bad_argument", "no input data", { "esp32", {}, {} })
    refused("bad_argument", "chunk of 456 bytes", { "esp32", { 0, "a" }, { format = "uf2", chunk_size = 456 } })
    refused("bad_argument", "is not possible", { "esp32", { 0xFFFFFFFF, "a" }, {} })
    refused("does_not_fit", "would have 3221228472 bytes", { "esp32", { 0, "a", 0xC0000000, "a" }, {} })
    assert.equal(3000, #merge({ "esp32", { 0xC0000000, "a" }, { target_offset = 0xC0000000 } }).data)
    refused("bad_argument", "999MB is too large", { "esp32", { 0, "a" }, { pad_to_size = "999MB" } })
    refused("bad_argument", "flash size '3MB'", { "esp32", { 0x1000, "boot" }, { flash_size = "3MB" } })
    refused("unknown_chip", "esp99", { "esp99", { 0, "a" }, {} })
  end)

  it("leaves what is no image as it is, and says so", function()
    local merged = merge { "esp32c3", { 0, "a" }, { flash_mode = "dio" } }
    assert.equal(fixtures.bytes(3000, 20), merged.data)
    assert.matches("doesn't look like an image file", merged.notes[1].text, 1, true)
  end)

  it("says what it changes, and that a bootloader is for another chip, in esptool's words", function()
    local function told(case)
      local t = {}
      for i, n in ipairs(merge(case).notes) do t[i] = n.text end
      return t
    end
    assert.same({ "Flash parameters set to 0x0220.", "SHA digest in image updated." },
                told { "esp32", { 0x1000, "boot" }, { flash_mode = "dio", flash_size = "4MB" } })
    local notes = merge({ "esp32h4", { 0x2000, "boot32" }, { flash_mode = "dio" } }).notes
    assert.equal("Unexpected chip ID in image. Expected 28 but value was 0. Is this image for a different chip model?",
                 notes[1].text)
    assert.equal("warning", notes[1].level)
  end)

  it("says what a raw file does to what lies between", function()
    local function notes(case)
      local n = merge(case).notes
      return n[1] and n[1].code, #n
    end
    assert.equal("gaps", (notes { "esp32c3", { 0, "a", 0x8000, "a" }, {} }))
    assert.same({ nil, 0 }, { notes { "esp32c3", { 0, "a", 0x1000, "a" }, {} } })
    assert.same({ nil, 0 }, { notes { "esp32c3", { 0x8000, "a" }, {} } })
    assert.same({ nil, 0 }, { notes { "esp32c3", { 0, "a", 0x8000, "a" }, { format = "hex" } } })
  end)

  it("does not mind settings that no file takes", function()
    assert.equal(3000 + 0x10000, #merge({ "esp32h2", { 0x10000, "a" }, { flash_freq = "80m" } }).data)
    refused("bad_argument", "flash frequency '80m'", { "esp32h2", { 0, "boot" }, { flash_freq = "80m" } })
  end)

  it("says when a chip has no UF2 family", function()
    local merged = merge { "esp32e22", { 0, "a" }, { format = "uf2" } }
    assert.matches("No UF2 family ID", merged.notes[1].text, 1, true)
    assert.equal("\0\0\0\0", merged.data:sub(29, 32))
  end)

  it("writes a file whole or not at all", function()
    local folder = os.tmpname()
    os.remove(folder)
    local path = folder .. ".bin"
    merge { "esp32", { 0, "a" }, { output = path } }
    assert.is_false(pcall(merge, { "esp32", { 0, "a", 0x1000, "a" }, { output = path, pad_to_size = "x" } }))
    local f <close> = assert(io.open(path, "rb"))
    assert.equal(fixtures.bytes(3000, 20), f:read "a")
    os.remove(path)
  end)
end)

describe("a UF2 file", function()
  local DATA = fixtures.bytes(1000, 22)
  local function encode(opts, data)
    local out = {}
    uf2.encode(function(b) out[#out + 1] = b end, require "esp.image".reader(data or DATA), 0x10000, opts)
    return table.concat(out)
  end
  local ONE = encode({ family = 1 }, "one block")
  local WITH, WITHOUT = encode { family = 0x12345678 }, encode { family = 0x12345678, md5 = false }
  local function put(at, new) return WITH:sub(1, at) .. new .. WITH:sub(at + #new + 1) end

  it("is read back", function()
    for _, bytes in ipairs { WITH, WITHOUT } do
      local list, family = uf2.decode(bytes, "a.uf2")
      assert.equal(1, #list)
      assert.same({ address = 0x10000, data = DATA }, list[1])
      assert.equal(0x12345678, family)
    end
    assert.is_true(uf2.looks_like(WITH))
    assert.is_false(uf2.looks_like "UF2\n")
  end)

  it("may hold several files", function()
    local other = {}
    uf2.encode(function(b) other[#other + 1] = b end, require "esp.image".reader "xyz", 0x8000, { family = 0x12345678 })
    local list = uf2.decode(WITH .. table.concat(other), "a.uf2")
    assert.equal(2, #list)
    assert.same({ address = 0x8000, data = "xyz" }, list[1])
    assert.same({ address = 0x10000, data = DATA }, list[2])
  end)

  for _, case in ipairs {
    { "is empty", "", "nothing in it is for flash" },
    { "is cut in a block", WITH:sub(1, 1000), "0x200: 488 bytes are left" },
    { "has no first word", put(0, "x"), "0x0: no block begins here" },
    { "has no last word", put(1023, "x"), "0x3FC: the block does not end as it should" },
    { "has a block of nothing", put(16, "\0\0\0\0"), "0x10: 0 data bytes" },
    { "has a block that is too long", put(16, "\255\255\255\255"), "0x10: 4294967295 data bytes" },
    { "has blocks in odd order", WITH:sub(513) .. WITH:sub(1, 512), "0x14: block 1 of 3, expected block 0 of 3" },
    { "lacks a block", WITH:sub(1, 1024), "block 2 of 3 is missing" },
    { "changes its family", put(512 + 28, "\1"), "it holds images for 2 chips" },
    { "has other data than its MD5 says", put(32 + 5, "\0\1\2"), "0x0: MD5 of the block is wrong" },
    { "ends beyond 32 bits", WITHOUT:sub(1, 12) .. "\255\255\255\255" .. WITHOUT:sub(17), "beyond address 0xFFFFFFFF" },
    { "gives bytes twice", WITH .. WITH, "address 0x10000 is given a second time" },
    { "has nothing for flash", ONE:sub(1, 8) .. "\1" .. ONE:sub(10), "nothing in it is for flash" },
  } do
    it("is refused when it " .. case[1], function()
      local ok, err = pcall(uf2.decode, case[2], "a.uf2")
      assert.is_false(ok)
      assert.equal("bad_file", err.code)
      assert.matches(case[3], err.message, 1, true)
    end)
  end

  it("that was mutated gives regions or an error object", function()
    assert.equal("15 inputs\n", require "spec.support.fuzzer".run("uf2_fuzz", 15, 7))
  end)
end)
