-- Partitions by name on simulated chips: the library's calls and the commands.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local csv = require "esp.partition_csv"
local fixtures = require "spec.support.image_fixtures"
local partition = require "esp.partition"
local place = require "esp.partition_chip".place
local program = require "spec.support.program"

local TABLE = "nvs,data,nvs,0x9000,16K\notadata,data,ota,,8K\nfactory,app,factory,0x10000,64K\nota_0,app,ota_0,,64K\n"
  .. "ota_1,app,ota_1,,64K\nstore,data,spiffs,,64K\n"
local BINARY = partition.encode(csv.decode(TABLE))
local OTADATA, OTA_0, OTA_1, STORE = 0xD000, 0x20000, 0x30000, 0x40000

local open = {}
local function connect(id, at, options)
  local chip, sim, events = board.new(id or "esp32c3", options)
  open[#open + 1] = { chip, sim }
  if at then sim:poke_flash(at, BINARY) end
  return chip, sim, events
end

local function fails(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(code, type(err) == "table" and err.code or err, tostring(err))
  return err
end

describe("partitions of a chip", function()
  after_each(function()
    for _, pair in ipairs(open) do
      pair[1]:close()
      pair[2]:close()
    end
    open = {}
    program.clean()
  end)

  for _, id in ipairs(os.getenv "ESPLUA_GC_STRESS" and { "esp32" } or { "esp32", "esp32s3", "esp32c3", "esp8266" }) do
    it("are read from flash: " .. id, function()
      local chip = connect(id, 0x8000)
      local list = chip:partitions()
      assert.equal(6, #list)
      assert.equal(0x8000, list.table_offset)
      assert.equal(STORE, chip:partition "store".offset)
      fails("no_partition", chip.partition, chip, "nothing")
    end)
  end

  it("are read from where they are said to be", function()
    local chip = connect(nil, 0xC000)
    assert.equal(6, #chip:partitions { table_offset = 0xC000 })
    local err = fails("bad_partition_table", chip.partitions, chip)
    assert.matches("there is no partition table at 0x8000", err.message, 1, true)
    assert.matches("--partition-table-offset 0xC000", err.hint, 1, true)
  end)

  it("are said to be missing or unreadable", function()
    local chip, sim = connect()
    assert.matches("write one", fails("bad_partition_table", chip.partitions, chip).hint, 1, true)
    sim:poke_flash(0x8000, board.noise(0x1000))
    assert.matches("does the chip encrypt flash?", fails("bad_partition_table", chip.partitions, chip).hint, 1, true)
    sim:poke_flash(0x8000, BINARY:sub(1, 40) .. "X" .. BINARY:sub(42))
    assert.matches("partition table at 0x8000: the digest at 0xC0",
                   fails("bad_partition_table", chip.partitions, chip).message, 1, true)
  end)

  it("may come from a file", function()
    local chip = connect()
    local file = program.write(program.folder() .. "/t.csv", TABLE)
    assert.equal(OTA_1, chip:partition("ota_1", { table = file }).offset)
    assert.equal(OTA_1, chip:partition("ota_1", { table = partition.load(file) }).offset)
    fails("file_missing", chip.partitions, chip, { table = file .. ".no" })
  end)

  it("take files that fit", function()
    local list = csv.decode(TABLE)
    local chip, sim = connect(nil, 0x8000)
    local data = board.noise(65536)
    local regions = place(list, { { "ota_0", { data = data, name = "a" } }, { "nvs", { data = "abc", name = "b" } } })
    assert.equal(OTA_0, regions[1].address)
    assert.equal("ota_0", regions[1].partition)
    chip:flash(regions)
    assert.equal(data, sim:flash(OTA_0, 65536))
    assert.equal("abc", sim:flash(0x9000, 3))
    local err = fails("does_not_fit", place, list, { { "ota_0", { data = data .. "x", name = "app.bin" } } })
    assert.matches("app.bin: 65537 bytes are 1 more than partition ota_0 has (65536, 0x20000 to 0x2FFFF)", err.message,
                   1, true)
    fails("no_partition", place, list, { { "ota_2", { data = data } } })
    -- Intel HEX with its own addresses: one byte at 0x20000, one at 0x30000 (written by hand after Intel's document).
    local hex = ":020000040002F8\n:0100000041BE\n:020000040003F7\n:0100000041BE\n:00000001FF\n"
    err = fails("does_not_fit", place, list, { { "ota_0", { data = hex, name = "a.hex" } } })
    assert.matches("a.hex: 0x30000 is not in partition ota_0 (0x20000 to 0x2FFFF)", err.message, 1, true)
  end)

  it("hold the OTA data that chooses the app", function()
    local chip, sim = connect(nil, 0x8000)
    local info = chip:ota()
    assert.is_nil(info.slot)
    assert.equal("factory", info.starts.label)
    local err = fails("bad_image", chip.select_ota, chip, 1)
    assert.matches("there is no app in ota_1 at 0x30000", err.message, 1, true)
    sim:poke_flash(OTA_0, "\xE9")
    sim:poke_flash(OTA_1, "\xE9")
    info = chip:select_ota(1)
    assert.is_true(info.changed)
    assert.equal("ota_1", info.starts.label)
    -- Sequence 2, no label, state undefined; checksum by Python's binascii.crc32.
    assert.equal("\2\0\0\0" .. ("\xFF"):rep(24) .. "\x74\x37\xF6\x55", sim:flash(OTADATA, 32))
    assert.is_false(chip:select_ota(1).changed)
    local before = sim:flash(OTADATA, 4096)
    assert.equal("ota_0", chip:select_ota("ota_0").starts.label)
    assert.equal(before, sim:flash(OTADATA, 4096))
    assert.equal("\3\0\0\0", sim:flash(OTADATA + 4096, 4))
    assert.equal("ota_1", chip:select_ota("ota_1", { state = "new", force = true }).starts.label)
    assert.equal("factory", chip:select_ota("factory").starts.label)
    assert.equal(("\xFF"):rep(8192), sim:flash(OTADATA, 8192))
    fails("bad_argument", chip.select_ota, chip, 2)
    fails("bad_argument", chip.select_ota, chip, "nvs")
    fails("no_partition", chip.select_ota, chip, "ota_2")
  end)

  it("may have no OTA data", function()
    local chip, sim = connect()
    sim:poke_flash(0x8000, partition.encode(csv.decode "factory,app,factory,,64K\n"))
    fails("no_partition", chip.ota, chip)
    fails("no_partition", chip.select_ota, chip, 0)
  end)
end)

describe("partitions that overlap", function()
  local function entry(label, kind, subtype, offset, size)
    return { label = label, type = kind, subtype = subtype, offset = offset, size = size }
  end
  local OVER = partition.encode { entry("nvs", 1, 2, 0x9000, 0x4000), entry("otadata", 1, 0, 0xC000, 0x2000),
                                  entry("app", 0, 0x10, 0x8000, 0x100000), entry("far", 1, 0x82, 0x200000, 0x1000) }

  it("are not written, nor erased, unless forced", function()
    local chip <close>, sim = connect(nil, nil, { config = { timeout = 20 } })
    sim:poke_flash(0x8000, OVER)
    local function refused(text, f, ...)
      assert.matches(text, fails("bad_partition_table", f, ...).message, 1, true)
    end
    local app = { data = fixtures.app "esp32c3" }
    refused("partition app, 0x8000 to 0x107FFF, overlaps the partition table, 0x8000 to 0x8FFF", chip.flash, chip,
            { { false, app } })
    refused("partition otadata, 0xC000 to 0xDFFF, overlaps nvs, 0x9000 to 0xCFFF", chip.select_ota, chip, 0)
    refused("overlaps nvs", chip.erase_ota, chip)
    local list = chip:partitions()
    local choose = require "esp.partition_chip".choose
    refused("partition nvs, 0x9000 to 0xCFFF, overlaps otadata", choose, list, { "nvs" })
    assert.equal(1, #choose(list, { "nvs" }, nil, true))
    assert.equal(1, #choose(list, { "far" }))
    local file = { "nvs", { data = "abc", format = "raw" } }
    refused("overlaps otadata", place, list, { file }, { apart = true })
    assert.equal(0x9000, place(list, { file })[1].address)
    assert.equal(OVER, sim:flash(0x8000, #OVER))
    sim:close()
  end)

  it("are those of the table's own place", function()
    local list = csv.decode("a,data,nvs,0x9000,16K\n", { table_offset = 0x8000 })
    list.table_offset = 0xC000
    fails("bad_partition_table", partition.check_apart, list, list[1])
    list.table_offset = 0x8000
    partition.check_apart(list, list[1])
  end)
end)

describe("the commands for partitions", function()
  local folder, sim
  local function path(name) return folder .. "/" .. name end
  local function run(words, o) return program.run(words, o) end
  local function good(words, o)
    local r = run(words, o)
    assert.equal(0, r.status, r.command .. "\n" .. r.out .. r.err)
    return r
  end
  local function bad(words, status, text)
    local r = run(words)
    assert.equal(status, r.status, r.command .. "\n" .. r.out .. r.err)
    assert.matches(text, r.err, 1, true)
  end

  setup(function()
    folder = program.folder()
    sim = "sim:esp32c3?flash=" .. path "board.bin"
    program.write(path "t.csv", TABLE)
    program.write(path "app.bin", "\xE9" .. board.noise(5000))
    program.write(path "large.bin", board.noise(70000))
  end)
  teardown(program.clean)

  it("convert, show, check and find", function()
    good { "partition", "convert", path "t.csv", path "t.bin" }
    assert.equal(BINARY, program.read(path "t.bin"))
    local text = good { "partition", "convert", path "t.bin", "-" }.out
    assert.matches("store,data,spiffs,0x40000,64K,\n", text, 1, true)
    assert.matches("store    data  spiffs   0x40000  0x50000  0x10000  64 KiB",
                   good { "partition", "show", path "t.bin" }.out, 1, true)
    assert.matches("6 partitions, the last ends at 0x50000; nothing is wrong",
                   good { "partition", "check", path "t.csv" }.out, 1, true)
    local found = program.events(good { "partition", "find", "app/ota_1", path "t.csv", "--json" }.out)
    assert.equal("partition", found[2].event)
    assert.equal(OTA_1, found[2].offset)
    bad({ "partition", "find", "ota_2", path "t.csv" }, 15, "there is no partition ota_2")
    program.write(path "wrong.csv", "nvs,data,nvs,,8K\n")
    bad({ "partition", "convert", path "wrong.csv", path "wrong.bin" }, 14, "wrong.csv: line 1: nvs: NVS of 0x2000")
    assert.is_nil(program.read(path "wrong.bin"))
    good { "partition", "convert", path "wrong.csv", path "wrong.bin", "--no-verify" }
    bad({ "partition", "check", path "wrong.bin" }, 14, "NVS of 0x2000")
    bad({ "partition", "check", path "t.csv", "--flash-size", "256KB" }, 14, "store: it ends at 0x50000, flash ends at")
    good { "partition", "convert", path "t.csv", path "t3.bin", "--no-md5", "--flash-size", "4MB", "--secure", "v1" }
    bad({ "partition", "convert", path "t.csv", path "t4.bin", "--primary-bootloader-offset", "0x9000" }, 2,
        "below the partition table")
  end)

  it("write, compare, read and erase by name", function()
    good { "flash", "-p", sim, "0x8000", path "t.bin" }
    assert.matches("store    data", good { "partition", "show", "-p", sim }.out, 1, true)
    good { "flash", "-p", sim, "--partition", "ota_0", path "app.bin", "store", path "t.csv", "0x9000", path "t.csv" }
    good { "verify", "-p", sim, "--partition", "ota_0", path "app.bin", "0x40000", path "t.csv" }
    good { "read", "-p", sim, "--partition", "ota_0", path "back.bin", "store", path "store.bin" }
    assert.equal(program.read(path "app.bin") .. ("\xFF"):rep(65536 - 5001), program.read(path "back.bin"))
    assert.equal(65536, #program.read(path "store.bin"))
    good { "erase", "-p", sim, "--partition", "store", "--partition", "nvs" }
    bad({ "verify", "-p", sim, "--partition", "store", path "t.csv" }, 21, "flash does not hold")
    good { "verify", "-p", sim, "--partition", "ota_0", path "app.bin" }
    bad({ "flash", "-p", sim, "--partition", "ota_0", path "large.bin" }, 15, "more than partition ota_0 has")
    bad({ "verify", "-p", sim, "--partition", "ota_0", path "large.bin" }, 15, "more than partition ota_0 has")
    bad({ "flash", "-p", sim, "--partition", "ota0", path "app.bin" }, 15, "there is no partition ota0")
    bad({ "erase", "-p", sim, "--partition", "ota0" }, 15, "there is no partition ota0")
    bad({ "read", "-p", sim, "--partition", "ota0", path "x.bin" }, 15, "there is no partition ota0")
    bad({ "flash", "-p", sim, "--partition", "ota_0", path "app.bin", "0x20000", path "t.csv" }, 15, "overlap")
  end)

  it("take the table from a file, before the chip is asked", function()
    local other = { "-p", "sim:esp32c3?flash=" .. path "other.bin", "--partition-table", path "t.csv" }
    local function with(...)
      return table.move({ ... }, 1, select("#", ...), #other + 1, table.move(other, 1, #other, 1, {}))
    end
    local function command(name, ...)
      local words = with(...)
      table.insert(words, 1, name)
      return words
    end
    good(command("flash", "--partition", "store", path "app.bin"))
    good(command("verify", "--partition", "store", path "app.bin"))
    good(command("erase", "--partition", "store"))
    bad({ "flash", "-p", "/nonexistent", "--partition-table", path "t.csv", "--partition", "ota_0", path "large.bin" },
        15, "more than partition ota_0 has")
    bad({ "erase", "-p", sim, "--partition-table-offset", "0xC000", "--partition", "store" }, 14,
        "there is no partition table at 0xC000")
  end)

  it("choose the app that is started", function()
    good { "flash", "-p", sim, "0x8000", path "t.bin" }
    good { "erase", "-p", sim, "--partition", "otadata" }
    local shown = good { "partition", "ota", "show", "-p", sim }.out
    assert.matches("Starts factory (app/factory) at 0x10000", shown, 1, true)
    assert.matches("Starts now: ota_0", good { "partition", "ota", "select", "0", "-p", sim }.out, 1, true)
    assert.matches("Starts already: ota_0", good { "partition", "ota", "select", "ota_0", "-p", sim }.out, 1, true)
    bad({ "partition", "ota", "select", "1", "-p", sim }, 14, "there is no app in ota_1")
    local events = program.events(good { "partition", "ota", "select", "1", "--force", "-p", sim, "--json" }.out)
    local result
    for _, e in ipairs(events) do result = e.event == "result" and e or result end
    assert.equal(1, result.slot)
    assert.is_true(result.changed)
    assert.matches("Starts now: factory", good { "partition", "ota", "erase", "-p", sim }.out, 1, true)
    bad({ "partition", "ota", "select", "-p", sim }, 2, "argument SLOT is missing")
  end)

  it("save the table of a chip", function()
    good { "flash", "-p", sim, "0x8000", path "t.bin" }
    good { "partition", "save", path "saved.csv", "-p", sim }
    good { "partition", "save", path "saved.bin", "-p", sim }
    assert.equal(BINARY, program.read(path "saved.bin"))
    good { "partition", "convert", path "saved.csv", path "saved2.bin" }
    assert.equal(BINARY, program.read(path "saved2.bin"))
  end)

  it("refuse a wrong command line", function()
    bad({ "read", "-p", sim }, 2, "argument ADDRESS is missing")
    bad({ "read", "-p", sim, "0" }, 2, "argument SIZE is missing")
    bad({ "read", "-p", sim, "0", "1" }, 2, "argument FILE is missing")
    bad({ "verify", "-p", sim }, 2, "argument FILE is missing")
    bad({ "erase", "-p", sim, "0", "4k", "--partition", "nvs" }, 2, "exclude each other")
    bad({ "flash", "-p", sim, "--partition", "nvs" }, 2, "option --partition needs a value: LABEL FILE")
  end)
end)
