-- Fixtures in spec/support/inputs, none of them made by this program: merged.uf2 and merged.hex by esptool 5.2
-- (--chip esp32c3 merge-bin --format uf2 or hex, 0x0 examples/hello/hello-esp32c3.bin 0x8000 table.bin
-- 0x10000 app.bin), the archives by the module zipfile of Python 3.11 from a folder as ESP-IDF's build leaves it.
-- app.bin is noise.
local inputs = require "esp.inputs"
local input = require "esp.input"
local zip = require "esp.zip"
local uf2 = require "esp.uf2"
local fail = require "esp.error"
local fs = require "esp.core.fs"

local FOLDER = "spec/support/inputs/"

local function read(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

local APP, TABLE, BOOT = read(FOLDER .. "app.bin"), read(FOLDER .. "table.bin"), read "examples/hello/hello-esp32c3.bin"
local UF2, HEX = read(FOLDER .. "merged.uf2"), read(FOLDER .. "merged.hex")
local MERGED = BOOT .. ("\xFF"):rep(0x8000 - #BOOT) .. TABLE .. ("\xFF"):rep(0x8000 - #TABLE) .. APP
local ELF = "\127ELF\1\1\1" .. ("\0"):rep(9) .. ("\0"):rep(36)

local function reader(bytes)
  return { size = #bytes, read = function(at, n) return bytes:sub(at + 1, at + n) end }
end

--- Regions as { address, bytes }, by address.
local function load(spec, ctx, address)
  local list = inputs.load_all({ { address or false, spec } }, ctx)
  local out = {}
  for i, r in ipairs(list) do out[i] = { r.address, r.payload:read(0, r.payload:size()) } end
  input.close(list)
  table.sort(out, function(a, b) return a[1] < b[1] end)
  return out, list
end

local function refused(code, pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(code, err.code, tostring(err))
  assert.matches(pattern, err.message, 1, true)
  return err
end

local SET = { { 0, BOOT }, { 0x8000, TABLE }, { 0x10000, APP } }

describe("an input of any kind", function()
  local dir
  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    for _, d in ipairs { "", "/bootloader", "/partition_table" } do assert(fs.mkdir(dir .. d)) end
  end)
  after_each(function() os.execute("rm -rf " .. dir) end)

  local function write(name, bytes)
    local f <close> = assert(io.open(dir .. "/" .. name, "wb"))
    f:write(bytes)
    return dir .. "/" .. name
  end

  local ARGS = [[{ "flash_settings": { "flash_mode": "dio", "flash_size": "4MB", "flash_freq": "80m" },
    "flash_files": { "0x0": "bootloader/bootloader.bin", "0x10000": "app.bin",
                     "0x8000": "partition_table/partition-table.bin" },
    "app": { "offset": "0x10000", "file": "app.bin", "encrypted": "true" },
    "extra_esptool_args": { "chip": "esp32c3", "stub": true } }]]

  local function build(args)
    write("bootloader/bootloader.bin", BOOT)
    write("partition_table/partition-table.bin", TABLE)
    write("app.bin", APP)
    write("flasher_args.json", args or ARGS)
  end

  it("may be UF2 of esptool", function()
    assert.same(SET, (load { data = UF2 }))
    assert.same(SET, (load({ data = UF2 }, { chip = "esp32c3" })))
    assert.same(SET, (load(write("any.name", UF2))))
  end)
  it("may be Intel HEX of esptool", function() assert.same(SET, (load { data = HEX })) end)
  it("may be a merged image, which begins at 0", function()
    assert.same({ { 0, MERGED } }, (load { data = MERGED }))
  end)
  it("may be an archive of a build folder", function()
    for _, name in ipairs { "deflated.zip", "stored.zip" } do
      local got, list = load(FOLDER .. name)
      assert.same(SET, got)
      assert.same({ flash_mode = "dio", flash_size = "4MB", flash_freq = "80m" }, list.settings)
      for _, r in ipairs(list) do assert.same({ "esp32c3", true }, { r.chip, r.encrypt_if_on }) end
    end
  end)
  it("may be a build folder, its flasher_args.json, or the project's folder", function()
    build()
    assert.same(SET, (load(dir)))
    assert.same(SET, (load(dir .. "/")))
    local got, list = load(dir .. "/flasher_args.json")
    assert.same(SET, got)
    local marked = {}
    for _, r in ipairs(list) do marked[r.address] = r.encrypt_if_on end
    assert.same({ [0x10000] = true }, marked)
    os.execute(("mkdir %s.p && mv %s %s.p/build && mv %s.p %s"):format(dir, dir, dir, dir, dir))
    assert.same(SET, (load(dir)))
  end)
  it("may come from standard input", function()
    assert.same(SET, (load("-", { stdin = UF2 })))
    assert.same(SET, (load("-", { stdin = read(FOLDER .. "deflated.zip") })))
    assert.same({ { 0x1000, "raw" } }, (load("-", { stdin = "raw" }, 0x1000)))
    refused("bad_file", "standard input: nothing came", load, "-", { stdin = "" })
    refused("bad_argument", "can be used once", inputs.load_all, { { 0, "-" }, { 9, "-" } }, { stdin = "x" })
  end)
  it("may be one raw file with an address, whatever it looks like when it is said to be raw", function()
    assert.same({ { 0x9000, APP } }, (load({ data = APP }, nil, 0x9000)))
    assert.same({ { 0x9000, UF2 } }, (load({ data = UF2, format = "raw" }, nil, 0x9000)))
    local archive = read(FOLDER .. "stored.zip")
    assert.same({ { 0x9000, archive } }, (load({ data = archive }, nil, 0x9000)))
  end)

  it("that is raw needs an address", function()
    refused("bad_argument", "data: no address given", load, { data = APP })
  end)
  it("for another chip is refused by what the build says", function()
    build()
    local err = refused("wrong_chip", "is for ESP32-C3, the chip is ESP32", load, dir, { chip = "esp32" })
    assert.matches("flasher_args.json", err.message, 1, true)
    refused("wrong_chip", "is for ESP32-C3", load, { data = UF2 }, { chip = "esp32s3" })
    assert.same(SET, (load({ data = UF2 }, { chip = "esp32s3", force = true })))
    local list = inputs.load_all { { false, { data = UF2 } } }
    refused("wrong_chip", "is for ESP32-C3", inputs.load_all, list, { chip = "esp32s3" })
  end)
  it("names the file that is missing or empty", function()
    build()
    os.remove(dir .. "/app.bin")
    refused("file_missing", dir .. "/app.bin", load, dir)
    write("app.bin", "")
    refused("bad_file", dir .. "/app.bin: the file is empty", load, dir)
    refused("bad_file", "no flasher_args.json in this folder", load, dir .. "/bootloader")
  end)

  for _, case in ipairs {
    { "is no object", "[]", "bad_flasher_args", "no flash_files" },
    { "has no files", [[{"flash_files":{}}]], "bad_flasher_args", "no flash_files" },
    { "has an address that is none", [[{"flash_files":{"x":"app.bin"}}]], "bad_flasher_args", "no address: \"x\"" },
    { "has an address beyond", [[{"flash_files":{"0x100000000":"app.bin"}}]], "bad_flasher_args", "no address" },
    { "has one address in two spellings", [[{"flash_files":{"0":"app.bin","0x0":"app.bin"}}]], "bad_flasher_args",
      "0x0 is there twice" },
    { "has a name that is none", [[{"flash_files":{"0":7}}]], "bad_flasher_args", "no file name at 0" },
    { "has a name with a zero", [[{"flash_files":{"0":"a\u0000b"}}]], "bad_flasher_args", "no file name" },
    { "has settings that are none", [[{"flash_files":{"0":"app.bin"},"flash_settings":{"flash_mode":"; rm"}}]],
      "bad_flasher_args", "flash_mode is" },
    { "is for an unknown chip", [[{"flash_files":{"0":"app.bin"},"extra_esptool_args":{"chip":"avr"}}]],
      "bad_flasher_args", "chip is \"avr\"" },
    { "is cut", [[{"flash_files":{"0":"app.bin"]], "bad_json", "flasher_args.json" },
  } do
    it("is refused when flasher_args.json " .. case[1], function()
      build(case[2])
      refused(case[3], case[4], load, dir)
    end)
  end

  it("is an app when it says so, and goes to the partition of the app", function()
    local app = "\xE9" .. ("\0"):rep(31) .. "\x32\x54\xCD\xAB" .. ("\0"):rep(200)
    local list = { { type = 1, subtype = 2, label = "nvs", offset = 0x9000, size = 0x6000 },
                   { type = 0, subtype = 0x10, label = "ota_0", offset = 0x20000, size = 0x1000 },
                   { type = 0, subtype = 0x00, label = "factory", offset = 0x10000, size = 0x1000 } }
    assert.same({ { 0x10000, app } }, (load({ data = app }, { table = list })))
    list[3] = nil
    assert.same({ { 0x20000, app } }, (load({ data = app }, { table = list })))
    list[2].size = 16
    refused("does_not_fit", "more than partition ota_0 has", load, { data = app }, { table = list })
    list[2] = nil
    refused("no_partition", "no partition for an app", load, { data = app }, { table = list })
    assert.is_nil(inputs.try({ { false, { data = app } } }, { chip = "esp32c3" }))   -- the chip will tell
  end)

  it("in ELF needs a chip, and a sound file", function()
    assert.is_true(refused("bad_file", "ELF", load, { data = "\127ELF", name = "x.ELF" }).message:find "x.ELF" ~= nil)
    refused("bad_file", "data", load, { data = ELF }, { chip = "esp32c3" })
  end)
end)

describe("words of a command line", function()
  it("may be said to be raw", function()
    local list = { { 0x9000, FOLDER .. "merged.uf2" } }
    inputs.as_they_are(list)
    local regions = inputs.load_all(list)
    assert.same({ 0x9000, #UF2 }, { regions[1].address, regions[1].size })
    input.close(regions)
  end)
  it("are addresses with files, or files alone", function()
    assert.same({ { 0x1000, FOLDER .. "app.bin" }, { false, "-" }, { 0, FOLDER .. "table.bin" }, { false, FOLDER } },
                inputs.pairs_of { "0x1000", FOLDER .. "app.bin", "-", "0", FOLDER .. "table.bin", FOLDER })
    refused("usage", "0x1000 without FILE after it", inputs.pairs_of, { "0x1000" })
    refused("usage", "0x100000000: an address has 32 bits", inputs.pairs_of, { "0x100000000", "x" })
    refused("usage", "'0xZZ' is not valid", inputs.pairs_of, { "0xZZ", FOLDER .. "app.bin" })
    refused("file_missing", "none.bin: no such file", inputs.pairs_of, { "none.bin" })
  end)
end)

describe("UF2", function()
  local function block(i) return UF2:sub(i * 512 + 1, i * 512 + 512) end
  local function decode(bytes) return uf2.decode(reader(bytes), "x.uf2") end

  it("is told by its first bytes", function()
    assert.is_true(uf2.looks_like(UF2))
    assert.is_false(uf2.looks_like "UF2\nabcd")
    assert.is_false(uf2.looks_like "UF2\n")
  end)
  for _, case in ipairs {
    { "a part of a block", UF2:sub(1, -2), "511 bytes are left" },
    { "a block too few", UF2:sub(1, -513), "block 2 of 3 is missing" },
    { "a block left out", UF2:sub(1, 1024) .. UF2:sub(2049), "block 2 of 3, expected block 0 of 3" },
    { "no magic number", UF2:sub(1, 512) .. "x" .. UF2:sub(514), "0x200: no block begins here" },
    { "no end of a block", UF2:sub(1, 511) .. "x" .. UF2:sub(513), "0x1FC: the block does not end" },
    { "too many bytes in a block", UF2:sub(1, 16) .. "\255\255\0\0" .. UF2:sub(21), "65535 data bytes" },
    { "a changed byte", UF2:sub(1, 40) .. "x" .. UF2:sub(42), "0x0: MD5 of the block is wrong" },
    { "bytes given twice", block(0) .. block(0), "address 0x0 is given a second time" },
    { "nothing for flash", block(0):sub(1, 8) .. "\1\0\0\0" .. block(0):sub(13), "nothing in it is for flash" },
  } do
    it("is refused with " .. case[1], function()
      local err = refused("bad_file", case[3], decode, case[2])
      assert.matches("^x%.uf2: 0x%x+: ", err.message)
    end)
  end
end)

describe("an archive", function()
  local function open(bytes) return zip.read(reader(bytes), "x.zip") end
  local function all(bytes)
    local z = open(bytes)
    for _, e in ipairs(z.entries) do z:bytes(e) end
    return z
  end
  local STORED, DEFLATED = read(FOLDER .. "stored.zip"), read(FOLDER .. "deflated.zip")

  it("gives its files", function()
    for _, bytes in ipairs { STORED, DEFLATED, STORED:gsub("....................$", "%0"), nil } do
      local z = all(bytes)
      assert.equal(5, #z.entries)
      assert.equal(APP, z:bytes(z:find "build/app.bin"))
    end
  end)
  it("may have a comment", function()
    assert.equal(5, #all(DEFLATED:sub(1, -3) .. "\5\0hello").entries)
  end)

  --- The archive with one change: at a place in the directory's entry of app.bin.
  local function changed(bytes, at, new)
    local entry
    local from = 1
    while true do
      local found = bytes:find("PK\1\2", from, true)
      if not found then break end
      if bytes:sub(found + 46, found + 58) == "build/app.bin" then entry = found end
      from = found + 4
    end
    return bytes:sub(1, entry + at - 1) .. new .. bytes:sub(entry + at + #new)
  end

  for _, case in ipairs {
    { "is cut", DEFLATED:sub(1, -30), "no directory at the end" },
    { "is too short", "PK\5\6", "too short" },
    { "says another method", changed(STORED, 10, "\12"), "method 12" },
    { "is encrypted", changed(STORED, 8, "\1"), "is encrypted" },
    { "has a wrong CRC", changed(DEFLATED, 16, "x"), "CRC-32" },
    { "has a wrong size", changed(DEFLATED, 24, "\1\0\0\0"), "compressed data" },
    { "has a size beyond", changed(STORED, 20, "\255\255\255\127"), "lies outside of the archive" },
    { "has no ZIP64 field where it should be", changed(STORED, 20, "\255\255\255\255"), "size or place is missing" },
    { "has a file elsewhere", changed(STORED, 42, "\1\0\0\0"), "overlap" },
    { "has a name that leads out", changed(STORED, 46, "../xx/app.bin"), "leads out of the archive" },
    { "has an absolute name", changed(STORED, 46, "/uild/app.bin"), "not allowed" },
    { "has a name of another system", changed(STORED, 46, "build\\app.bin"), "not allowed" },
    { "has another name in front of the file", changed(STORED, 46, "build/axx.bin"), "says something else" },
    { "is on two disks", changed(STORED, 34, "\1"), "several disks" },
  } do
    it("is refused when it " .. case[1], function()
      local err = refused("bad_zip", case[3], all, case[2])
      assert.matches("^x%.zip: 0x%x+: ", err.message)
    end)
  end

  -- `zip -fz -X` of Info-ZIP 3.0: "first file", and 300 zero bytes.
  local LARGE = ([[
    504b03042d0000000000f98e755d3afeef00ffffffffffffffff05001400612e747874010010000a000000000000000a00000000000000
    66697273742066696c65504b03042d0000000800f98e755dd28f34b5ffffffffffffffff05001400622e62696e010010002c0100000000
    0000070000000000000063601805c40200504b01021e032d0000000000f98e755d3afeef000a000000ffffffff05000c00000000000100
    0000a48100000000612e747874010008000a00000000000000504b01021e032d0000000800f98e755dd28f34b507000000ffffffff0500
    0c000000000000000000a48141000000622e62696e010008002c01000000000000504b06062c000000000000001e032d00000000000000
    0000020000000000000002000000000000007e000000000000007f00000000000000504b060700000000fd000000000000000100000050
    4b050600000000020002007e000000ffffffff0000
  ]]):gsub("%s", ""):gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)

  it("may have sizes of 64 bits", function()
    local z = all(LARGE)
    assert.equal("first file", z:bytes(z:find "a.txt"))
    assert.equal(("\0"):rep(300), z:bytes(z:find "b.bin"))
    local record, locator = LARGE:find("PK\6\6", 1, true), LARGE:find("PK\6\7", 1, true)
    local function with(at, new) return LARGE:sub(1, at - 1) .. new .. LARGE:sub(at + #new) end
    for _, case in ipairs {
      { with(locator, "PK\6\8"), "no ZIP64 record before the end" },
      { with(locator + 8, "\255\255"), "ZIP64 record is not where" },
      { with(locator + 8, ("\255"):rep(8)), "ZIP64 record is not where" },
      { with(record + 3, "x"), "no ZIP64 record begins here" },
      { with(record + 16, "\1"), "several disks" },
      { with(record + 40, ("\255"):rep(7) .. "\127"), "directory is not where" },
      { with(record + 24, ("\255"):rep(7) .. "\127" .. ("\255"):rep(7) .. "\127"), "files are too many" },
    } do refused("bad_zip", case[2], all, case[1]) end
    math.randomseed(2)
    for _ = 1, os.getenv "ESPLUA_GC_STRESS" and 20 or 300 do
      local ok, err = pcall(all, with(math.random(#LARGE), string.char(math.random(0, 255))))
      assert(ok or fail.is(err), tostring(err))
    end
  end)

  it("may not say of a small file that it is enormous", function()
    local bomb = require "esp.core.zlib".deflate(("\0"):rep(1 << 20))
    local raw = bomb:sub(3, -5)
    local name = "a.bin"
    local function entry(size)
      local head = ("<I4I2I2I2I2I2I4I4I4I2I2"):pack(0x04034B50, 20, 0, 8, 0, 0, 0, #raw, size, #name, 0) .. name .. raw
      return head .. ("<I4I2I2I2I2I2I2I4I4I4I2I2I2I2I2I4I4"):pack(0x02014B50, 20, 20, 0, 8, 0, 0, 0, #raw, size, #name,
        0, 0, 0, 0, 0, 0) .. name .. ("<I4I2I2I2I2I4I4I2"):pack(0x06054B50, 0, 0, 1, 1, 46 + #name, #head, 0)
    end
    refused("bad_zip", "too many", all, entry(0x20000000))
    refused("bad_zip", "more than 1000 bytes come out", all, entry(1000))
  end)

  it("gives a limited number of bytes, however often its files are asked for", function()
    local module = require "esp.zip"
    local limit = module.MAX_BYTES
    finally(function() module.MAX_BYTES = limit end)
    local z = open(LARGE)
    module.MAX_BYTES = 700
    z:bytes(z:find "b.bin")
    z:bytes(z:find "b.bin")
    local err = assert.has_error(function() z:bytes(z:find "b.bin") end)
    assert.equal("bad_zip", err.code)
    assert.matches("b.bin: with its 300 bytes those of all files are too many", err.message, 1, true)
  end)
end)

-- Seeded; no crash, no hang, nothing but error objects, no memory that the input does not explain.
describe("mutated inputs", function()
  local pieces = { "\0", "\255", "\255\255\255\255", "\0\0\0\0", "PK\1\2", "PK\5\6", "PK\3\4", "UF2\n", "..", "/" }
  for name, seed in pairs { ["merged.uf2"] = UF2, ["stored.zip"] = read(FOLDER .. "stored.zip"),
                            ["deflated.zip"] = read(FOLDER .. "deflated.zip") } do
    it("of " .. name .. " are regions or an error", function()
      math.randomseed(1)
      collectgarbage()
      local before = collectgarbage "count"
      for _ = 1, 40 do
        local bytes = seed
        for _ = 1, math.random(3) do
          local at = math.random(#bytes)
          local kind = math.random(4)
          if kind == 1 then
            bytes = bytes:sub(1, at - 1) .. string.char(math.random(0, 255)) .. bytes:sub(at + 1)
          elseif kind == 2 then
            local p = pieces[math.random(#pieces)]
            bytes = bytes:sub(1, at - 1) .. p .. bytes:sub(at + #p)
          elseif kind == 3 then
            bytes = bytes:sub(1, at)
          else
            bytes = bytes:sub(1, at) .. bytes:sub(math.random(#bytes))
          end
        end
        local ok, result = pcall(inputs.load_all, { { false, { data = bytes } } }, { chip = "esp32c3", table = {} })
        if ok then
          for _, r in ipairs(result) do assert(r.address >= 0 and r.address + r.size <= 1 << 32 and r.size > 0) end
          input.close(result)
        else
          assert(fail.is(result), tostring(result))
        end
      end
      collectgarbage()
      assert.is_true(collectgarbage "count" - before < 2048)
    end)
  end
end)

-- How ELF files become images is the business of image_elf_spec; here it is where they go and what is refused.
describe("an ELF file", function()
  local fixtures = require "spec.support.image_fixtures"
  local image = require "esp.image"
  local LIST = { { type = 0, subtype = 0x00, label = "factory", offset = 0x20000, size = 0x100000 } }
  local CHIPS = { "esp32", "esp32s3", "esp32c3", "esp32p4" }

  it("becomes an app for its chip, in the app's partition", function()
    for _, chip in ipairs(CHIPS) do
      local got = load({ data = fixtures.app(chip) }, { chip = chip, table = LIST })
      assert.equal(0x20000, got[1][1])
      local made = image.parse(got[1][2], chip)
      assert.equal(require "esp.chips".get(chip).image_chip_id, made.chip_id)
      assert.is_true(made.checksum_valid and made.digest_valid)
    end
  end)
  it("goes where it is told to", function()
    assert.equal(0x30000, load({ data = fixtures.app "esp32c3" }, { chip = "esp32c3" }, 0x30000)[1][1])
  end)
  it("waits for the chip", function()
    assert.is_nil(inputs.try { { 0x10000, { data = fixtures.app "esp32c3" } } })
    assert.is_nil(inputs.try({ { false, { data = fixtures.app "esp32c3" } } }, { chip = "esp32c3" }))
  end)
  it("for another processor, or with code where the chip has no memory, is refused", function()
    refused("wrong_chip", "x.elf: is for xtensa, the ESP32-C3 is riscv", load,
            { data = fixtures.app "esp32", name = "x.elf" }, { chip = "esp32c3", table = LIST })
    refused("wrong_chip", ".iram0.vectors is to be at 0x40080000, where the ESP32-S3 has no memory", load,
            { data = fixtures.app "esp32" }, { chip = "esp32s3", table = LIST })
  end)
  it("that is too large for its partition is refused", function()
    local small = { { type = 0, subtype = 0, label = "app", offset = 0x20000, size = 0x1000 } }
    refused("does_not_fit", "more than partition app has", load, { data = fixtures.app "esp32c3" },
            { chip = "esp32c3", table = small })
  end)
  it("for the ESP8266 has its own addresses", function()
    local got = load({ data = fixtures.esp8266() }, { chip = "esp8266" })
    assert.equal(0, got[1][1])
    assert.equal(2, #got)
    refused("bad_argument", "becomes 2 files", load, { data = fixtures.esp8266() }, { chip = "esp8266" }, 0x1000)
  end)
end)

describe("a chip", function()
  local board = require "spec.support.board"
  local fixtures = require "spec.support.image_fixtures"

  it("is given a whole build, and compared with it", function()
    local chip <close>, sim = board.new("esp32c3", { flash_size = 1 << 20 })
    local report = chip:flash { { false, FOLDER .. "deflated.zip" } }
    assert.equal(3, #report)
    for _, part in ipairs(SET) do
      if part[1] ~= 0 then assert.equal(part[2], sim:flash(part[1], #part[2])) end
    end
    -- the build's parameters: 4MB and 80m in the fourth byte, dio in the third
    assert.equal("\x02\x2F", sim:flash(2, 2))
    assert.is_true((chip:verify(nil, FOLDER .. "stored.zip")))
    sim:poke_flash(0x10010, "\0\0\0\0")
    local equal, details = chip:verify { { false, FOLDER .. "stored.zip" } }
    assert.is_false(equal)
    assert.same({ true, true, false }, { details[1].equal, details[2].equal, details[3].equal })
    sim:close()
  end)

  it("says where its app goes", function()
    local chip <close>, sim = board.new("esp32c3", { flash_size = 1 << 20 })
    local app = { data = fixtures.app "esp32c3", name = "app.elf" }
    local err = refused("bad_partition_table", "app.elf: where does the app go?", chip.flash, chip, { { false, app } })
    assert.matches("--bootloader FILE --partition-table FILE", err.hint, 1, true)
    sim:poke_flash(0x8000, TABLE)
    chip:flash { { false, app } }
    assert.equal("\xE9", sim:flash(0x10000, 1))
    assert.is_true((chip:verify(nil, app)))
    sim:close()
  end)

  for _, case in ipairs { { false, "plain" }, { true, "encrypted" } } do
    it(("writes what a build marks %s, by its flash encryption"):format(case[2]), function()
      local chip <close>, sim = board.new("esp32c3", { flash_size = 1 << 20, flash_encryption = case[1] or nil,
                                                       keys = case[1] and { "XTS_AES_128_KEY" } or nil })
      local regions = inputs.load_all { { false, FOLDER .. "stored.zip" } }
      require "esp.flash_checks".encrypt_if_on(chip, regions)
      for _, r in ipairs(regions) do assert.equal(case[1] or nil, r.encrypt) end
      input.close(regions)
      sim:close()
    end)
  end
end)
