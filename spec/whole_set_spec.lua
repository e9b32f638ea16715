-- An app with all that it needs: what is found beside it, what the default table is, what an ELF file says of its chip.
-- The default table is the one of espflash's manual: settings at 0x9000, calibration at 0xF000, one app from 0x10000.
local board = require "spec.support.board"
local fixtures = require "spec.support.image_fixtures"
local image_elf = require "esp.image_elf"
local metadata = require "esp.elf_metadata"
local partition = require "esp.partition"
local program = require "spec.support.program"
local whole_set = require "esp.whole_set"
local writer = require "spec.support.elf_writer"

local CHIP = "esp32c3"
local folder, bootloader
local function path(name) return folder .. "/" .. name end

local function put(name, bytes)
  os.execute(("mkdir -p '%s'"):format(path(name):match "^(.*)/"))
  return program.write(path(name), bytes)
end

local function good(argv, o)
  local r = program.run(argv, o)
  assert.equal(0, r.status, r.command .. "\n" .. r.out .. r.err)
  return r.out
end

local function bad(status, text, argv, o)
  local r = program.run(argv, o)
  assert.equal(status, r.status, r.command .. "\n" .. r.out .. r.err)
  assert.matches(text, r.err, 1, true)
  return r
end

-- A program with the texts that esp-hal puts into its ELF files.
local function with_metadata(chip, revision)
  return fixtures.app(CHIP, { sections = function(list)
    list[#list + 1] = { name = ".espressif.metadata", address = 0, data = chip .. revision, flags = 0 }
  end, symbols = { { name = "build_info.CHIP_NAME", address = 0, size = #chip, section = 9 },
                   { name = "build_info.MIN_CHIP_REVISION", address = #chip, size = #revision, section = 9 } } })
end

describe("what an app needs", function()
  setup(function()
    folder = program.folder()
    bootloader = image_elf.convert({ data = fixtures.bootloader(CHIP), name = "b" }, { chip = CHIP }):bytes(1)
  end)
  teardown(program.clean)

  it("is found where builds leave it", function()
    for i, case in ipairs {
      { "app.elf", "bootloader/bootloader.bin", "partition_table/partition-table.bin" },        -- ESP-IDF
      { "firmware.elf", "bootloader.bin", "partitions.bin" },                                   -- PlatformIO
      { "program", "bootloader.bin", "partition-table.bin" },                                   -- Rust with ESP-IDF
      { "Blink.ino.elf", "Blink.ino.bootloader.bin", "Blink.ino.partitions.bin" },              -- Arduino
    } do
      local b = ("build%d/"):format(i)
      for _, name in ipairs(case) do put(b .. name, "x") end
      assert.same({ path(b .. case[2]), path(b .. case[3]) }, { whole_set.beside(path(b .. case[1])) })
    end
    put("alone/app.elf", "x")
    assert.same({}, { whole_set.beside(path "alone/app.elf") })
  end)

  it("may be a bootloader of an installed framework", function()
    local chip = { id = CHIP, crystal = function() return 26 end, revision_number = 301 }
    local env = { HOME = path "home" }
    local function getenv(name) return env[name] end
    assert.is_nil(whole_set.installed(chip, getenv))
    local libs = "home/.arduino15/packages/esp32/tools/esp32-arduino-libs/"
    put(libs .. "idf-release_v5.1/esp32c3/bin/bootloader_dio_80m.elf", "x")
    local newer = put(libs .. "idf-release_v5.4/esp32c3/bin/bootloader_dio_80m.elf", "x")
    assert.equal(newer, whole_set.installed(chip, getenv))
    env.ESPLUA_BOOTLOADERS = path "own"
    assert.equal(newer, whole_set.installed(chip, getenv))
    local v3 = put("own/esp32c3-v3-bootloader.bin", "x")
    assert.equal(v3, whole_set.installed(chip, getenv))
    local plain = put("own/esp32c3-bootloader.bin", "x")
    assert.equal(plain, whole_set.installed(chip, getenv))
    local slow = put("own/esp32c3_26-bootloader.bin", "x")
    assert.equal(slow, whole_set.installed(chip, getenv))
  end)

  it("may be a default table, as large as flash is", function()
    local list = whole_set.default_table(4 << 20)
    local rows = {}
    for i, e in ipairs(list) do rows[i] = { e.label, partition.kind(e), e.offset, e.size } end
    assert.same({ { "nvs", "data/nvs", 0x9000, 0x6000 }, { "phy_init", "data/phy", 0xF000, 0x1000 },
                  { "factory", "app/factory", 0x10000, 0x3F0000 } }, rows)
    assert.same({}, require "esp.partition_check".problems(list, { flash_size = 4 << 20, table_offset = 0x8000 }))
    assert.equal(0xFF0000, whole_set.default_table(64 << 20)[3].size)
    list = whole_set.default_table(2 << 20, 0x10000)
    assert.equal(0x11000, list[1].offset)
    assert.equal(0x20000, list[3].offset)
    local err = assert.has_error(function() whole_set.default_table(0x10000) end)
    assert.equal("does_not_fit", err.code)
  end)

  it("is written with it", function()
    local flash = path "flash.bin"
    local port = "sim:esp32c3?flash=" .. flash
    local app = put("rust/app.elf", fixtures.app(CHIP))
    local err = bad(14, "no bootloader for ESP32-C3 is found beside", { "flash", "-p", port, "--whole", app }).err
    assert.matches("--bootloader FILE", err, 1, true)
    err = bad(14, "where does the app go?", { "flash", "-p", port, app }).err
    assert.matches("--whole", err, 1, true)
    put("rust/bootloader.bin", bootloader)
    good { "flash", "-p", port, "--whole", app }
    local bytes = program.read(flash)
    assert.equal(bootloader:sub(5, 64), bytes:sub(5, 64))
    assert.equal(2, bytes:byte(4) >> 4)                                       -- 4MB, as flash has
    assert.equal("factory", partition.decode(bytes:sub(0x8001, 0x8C00))[3].label)
    assert.equal("\xE9", bytes:sub(0x10001, 0x10001))

    -- a bootloader may be an ELF file, as Arduino has it
    local other = "sim:esp32c3?flash=" .. path "elf.bin"
    good { "flash", "-p", other, "--bootloader", put("loader.elf", fixtures.bootloader(CHIP)), app }
    bytes = program.read(path "elf.bin")
    assert.equal("\xE9\xE9", bytes:sub(1, 1) .. bytes:sub(0x10001, 0x10001))

    -- the ESP8266 starts an app without either
    local eight = put("eight/app.elf", fixtures.esp8266())
    local said = good { "flash", "-p", "sim:esp8266?flash=" .. path "eight.bin", "--whole", eight }
    assert.matches("started without one", said, 1, true)
    assert.equal("\xE9", program.read(path "eight.bin"):sub(1, 1))

    -- the table that is there now stays; with another beside the app, that is written
    local own = "nvs,data,nvs,0x9000,16K\nmain,app,factory,0x20000,1M\nstore,data,nvs,,64K\n"
    put("rust/partitions.csv", own)
    local out = good { "flash", "-p", port, "--whole", app }
    assert.matches("partitions.csv", out, 1, true)
    assert.equal("main", partition.decode(program.read(flash):sub(0x8001, 0x8C00))[2].label)
    os.remove(path "rust/partitions.csv")
    out = good { "flash", "-p", port, "--whole", app }
    assert.matches("the one in flash stays", out, 1, true)
    assert.equal("\xE9", program.read(flash):sub(0x20001, 0x20001))
    good { "flash", "-p", port, "--whole", "--default-table", app, "-fs", "2MB" }
    assert.equal(0x1F0000, partition.decode(program.read(flash):sub(0x8001, 0x8C00))[3].size)
    bad(2, "--default-table", { "flash", "-p", port, "--default-table", app })
  end)

  it("is one file with it", function()
    local app = put("one/app.elf", fixtures.app(CHIP))
    put("one/bootloader.bin", bootloader)
    local out = path "one/all.bin"
    good { "image", "whole", app, "-c", CHIP, "-o", out, "-fm", "dout" }
    local bytes, image = program.read(out), require "esp.image"
    assert.equal("\xE9\3", bytes:sub(1, 1) .. bytes:sub(3, 3))                -- dout
    assert.equal(2, bytes:byte(4) >> 4)                                       -- 4MB
    assert.is_true(image.parse(bytes:sub(1, 0x8000), "b").checksum_valid)
    assert.equal("factory", partition.decode(bytes:sub(0x8001, 0x8C00))[3].label)
    local made = image_elf.convert(app, { chip = CHIP, flash_mode = "dout", flash_size = "4MB" }):bytes(1)
    assert.equal(made, bytes:sub(0x10001))

    local csv = put("own.csv", "nvs,data,nvs,0x9000,16K\notadata,data,ota,,8K\nota_0,app,ota_0,,1M\n"
      .. "ota_1,app,ota_1,,1M\n")
    good { "image", "whole", app, "-c", CHIP, "-o", out, "--partition-table", csv, "--partition", "ota_1" }
    bytes = program.read(out)
    assert.equal("\xFF\xE9", bytes:sub(0x10001, 0x10001) .. bytes:sub(0x110001, 0x110001))
    good { "flash", "-p", "sim:esp32c3?flash=" .. path "one.flash", out }      -- taken as what it is
    assert.equal("\xE9", program.read(path "one.flash"):sub(0x110001, 0x110001))
    os.remove(path "one/bootloader.bin")
    bad(14, "no bootloader for ESP32-C3 is found beside", { "image", "whole", app, "-c", CHIP, "-o", out })
    bad(2, "--chip is missing", { "image", "whole", app, "-o", out })
  end)

  it("may be partitions that are erased", function()
    local flash = path "erase.bin"
    local port = "sim:esp32c3?flash=" .. flash
    local list = whole_set.default_table(4 << 20)
    local junk = put("junk.bin", ("\0"):rep(0x7000))
    good { "flash", "-p", port, "0x8000", put("table.bin", partition.encode(list)), "0x9000", junk }
    local small = put("small.bin", "abcd")
    good { "flash", "-p", port, "0x100000", small, "--erase-parts", "nvs" }
    local bytes = program.read(flash)
    assert.equal(("\xFF"):rep(0x6000) .. "\0", bytes:sub(0x9001, 0xF001))
    good { "flash", "-p", port, "0x100000", small, "--erase-data-parts", "phy,nvs" }
    assert.equal("\xFF", program.read(flash):sub(0xF001, 0xF001))
    bad(15, "partition factory would be erased, and", { "flash", "-p", port, "0x100000", small, "--erase-parts",
                                                         "factory" })
    bad(2, "is no kind of data partition", { "flash", "-p", port, "0x100000", small, "--erase-data-parts", "x" })
    bad(15, "there is no data partition for fat", { "erase", "-p", port, "--data-parts", "fat" })
    good { "flash", "-p", port, "0x9000", junk }
    local out = good { "erase", "-p", port, "--partition", "phy_init", "--data-parts", "nvs,fat,phy" }
    assert.equal(2, select(2, out:gsub("Erased ", "")))
    assert.equal(("\xFF"):rep(0x7000), program.read(flash):sub(0x9001, 0x10000))
  end)
end)

describe("an ELF file", function()
  local LIST = { { type = 0, subtype = 0x00, label = "factory", offset = 0x20000, size = 0x100000 } }
  local inputs = require "esp.inputs"
  local function load(bytes, ctx)
    ctx.table = LIST
    local list = inputs.load_all({ { false, { data = bytes, name = "x.elf" } } }, ctx)
    local r = list[1]
    local head = r.payload:read(0, 24)
    require "esp.input".close(list)
    return (("<I2"):unpack(head, 16))
  end

  it("may say the chip, and the oldest revision", function()
    local elf = require "esp.elf".read(with_metadata(CHIP, "103"))
    assert.same({ CHIP, 103 }, { metadata.target(elf) })
    assert.equal(103, load(with_metadata(CHIP, "103"), { chip = CHIP }))
    assert.equal(103, load(with_metadata(CHIP, "103"), { chip = CHIP, min_rev_full = 3 }))
    assert.equal(200, load(with_metadata(CHIP, "103"), { chip = CHIP, min_rev_full = 200 }))
    local err = assert.has_error(function() load(with_metadata("esp32c6", "0"), { chip = CHIP }) end)
    assert.equal("wrong_chip", err.code)
    assert.matches("is for ESP32-C6, the chip is ESP32-C3", err.message, 1, true)
  end)

  it("may say nothing of it, or nonsense", function()
    assert.same({}, { metadata.target(require "esp.elf".read(fixtures.app(CHIP))) })
    assert.same({}, { metadata.target(require "esp.elf".read(with_metadata("?", "x"))) })
    assert.same({}, { metadata.target(require "esp.elf".read(with_metadata("", "123456"))) })
  end)

  it("without the descriptor of an app is refused as an app", function()
    local bare = writer.elf { machine = 0xF3, entry = 0x42000020, sections = {
      { name = ".text", address = 0x42000020, data = ("x"):rep(64), flags = 6 } } }
    local err = assert.has_error(function() load(bare, { chip = CHIP }) end)
    assert.equal("bad_image", err.code)
    assert.matches("no app descriptor", err.message, 1, true)
    assert.equal(0, load(bare, { chip = CHIP, ignore_app_descriptor = true }))
    assert.equal(0, load(bare, { chip = CHIP, force = true }))
    local chip <close>, sim = board.new(CHIP, { flash_size = 1 << 20 })
    local done = chip:flash({ { 0x20000, { data = bare } } })                  -- an address: no app of a bootloader
    assert.is_true(done.verified)
    sim:close()
  end)

  it("is refused by a chip that is too old for it", function()
    local folder_ = program.folder()
    local app = program.write(folder_ .. "/app.elf", fixtures.app(CHIP))
    bad(12, "image wants chip", { "flash", "-p", "sim:esp32c3", "0x10000", app, "--min-chip-rev", "9.0" })
    bad(2, "is no revision", { "flash", "-p", "sim:esp32c3", "0x10000", app, "--min-chip-rev", "nine" })
    bad(2, "page size", { "flash", "-p", "sim:esp32c6", "0x10000", program.write(folder_ .. "/c6.elf",
        fixtures.app "esp32c6"), "--mmu-page-size", "256KB" })
    program.clean()
  end)
end)

describe("commands of a workshop", function()
  it("reset, and hold in reset", function()
    assert.equal("Reset\n", good { "reset", "-p", "sim:esp32c3" })
    assert.matches("^Reset into the loader", good { "reset", "-p", "sim:esp32c3", "--loader" })
    assert.matches("^Held in reset;", good { "reset", "-p", "sim:esp32c3", "--hold" })
    assert.matches("Let go", good { "reset", "-p", "sim:esp32c3", "--hold", "--for", "0.05" })
    bad(2, "--for goes with --hold", { "reset", "-p", "sim:esp32c3", "--for", "1" })
    bad(10, "/dev/ttyNOPE9", { "reset", "-p", "/dev/ttyNOPE9" })
  end)

  it("show digests", function()                                               -- by md5sum
    assert.matches("\necb99e6ffea7be1e5419350f725da86b  0x0, 65536 bytes\n", good { "checksum", "-p", "sim:esp32c3",
                                                                                      "0", "64k" })
    bad(15, "not in flash", { "checksum", "-p", "sim:esp32c3", "0x400000", "1" })
    bad(2, "SIZE is missing", { "checksum", "-p", "sim:esp32c3", "0x400000" })
  end)

  it("go on with what the program says", function()
    local out = good { "run", "-p", "sim:esp32c3", "examples/hello/hello-esp32c3.bin", "--monitor", "--until",
                       "hello from", "--for", "20" }
    assert.matches("hello from ESP32-C3", out, 1, true)
    out = good { "flash", "-p", "sim:esp32c3", "0", "examples/hello/hello-esp32c3.bin", "-M", "--until", "hello from",
                 "--for", "20" }
    assert.matches("hello from ESP32-C3", out, 1, true)
    bad(2, "add --monitor", { "flash", "-p", "sim:esp32c3", "0", "examples/hello/hello-esp32c3.bin", "--for", "1" })
  end)

  it("do not compare when told so", function()
    local out = good { "flash", "-p", "sim:esp32c3", "--no-stub", "--no-verify", "0",
                       "examples/hello/hello-esp32c3.bin" }
    assert.matches("not verified, as was asked for", out, 1, true)
  end)
end)
