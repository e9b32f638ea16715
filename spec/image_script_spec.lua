-- `esplua image` as a user runs it.
local fixtures = require "spec.support.image_fixtures"
local json = require "esp.json"
local program = require "spec.support.program"

local folder
local function path(name) return folder .. "/" .. name end

local function good(...)
  local r = program.run { "image", ... }
  assert.equal(0, r.status, r.out .. r.err)
  return r
end

local function result(...)
  for line in good(...).out:gmatch "[^\n]+" do
    local event = json.decode(line)
    if event.event == "result" then return event end
  end
  error "no result"
end

describe("the command image", function()
  setup(function()
    folder = program.folder()
    program.write(path "app.elf", fixtures.app "esp32c3")
    program.write(path "boot.elf", fixtures.bootloader "esp32c3")
    program.write(path "old.elf", fixtures.esp8266())
    good("from-elf", path "app.elf", "-c", "esp32c3", "-fm", "dio")
    good("elf2image", path "boot.elf", "--chip", "ESP32-C3", "-o", path "boot.bin")
  end)
  teardown(program.clean)

  it("makes images and shows them", function()
    local r = good("info", path "app.bin")
    assert.matches("Chip ID: 5 (ESP32-C3)", r.out, 1, true)
    local d = result("info", path "app.bin", "--json")
    assert.same({ "esp32c3", "dio", "demo" }, { d.chip, d.flash.mode, d.app.project_name })
    r = good("from-elf", path "old.elf", "-c", "esp8266")
    assert.matches("Wrote .*old.elf%-0x00000.bin, %d+ bytes\nWrote .*old.elf%-0x10000.bin, 3004 bytes", r.out)
  end)

  it("merges to every format, and shows Intel HEX", function()
    local files = { "0", path "boot.bin", "0x10000", path "app.bin", "-c", "esp32c3" }
    for _, format in ipairs { "raw", "uf2", "hex" } do
      local words = { "merge", table.unpack(files) }
      table.move({ "-f", format, "-o", path("all." .. format), "--json" }, 1, 5, #words + 1, words)
      local d = result(table.unpack(words))
      assert.equal(d.bytes, #program.read(path("all." .. format)))
    end
    assert.equal(program.read(path "app.bin"), program.read(path "all.raw"):sub(0x10001))
    local d = result("info", path "all.hex", "--json")
    assert.same({ 0, 0x10000 }, { d.images[1].address, d.images[2].address })
  end)

  it("says what is to be said in words", function()
    local r = good("merge", "0", path "boot.bin", "0x10000", path "app.bin", "-c", "esp32c3", "-o", path "words.bin")
    assert.matches("Note: What lies between the files", r.out, 1, true)
    r = good("merge", "0x10000", path "app.bin", "-c", "esp32c3", "-f", "hex", "-o", path "words.hex")
    assert.matches("Warning: Only one input file specified", r.err, 1, true)
    r = good("from-elf", path "app.elf", "-c", "esp32", "-o", path "words.bin")
    assert.matches("Warning: The ELF file is for riscv, the ESP32 is xtensa", r.err, 1, true)
  end)

  it("splits, extracts and changes", function()
    local d = result("split", path "boot.bin", "-o", path "part", "--json")
    assert.equal(fixtures.bytes(900, 6), program.read(d.files[3].path))
    good("extract", path "boot.bin", "2", "-o", path "code.bin")
    assert.equal(fixtures.bytes(900, 6), program.read(path "code.bin"))
    assert.is_true(result("patch", path "app.bin", "--max-rev-full", "299", "-o", path "app.bin", "--json").changed)
    assert.equal(299, result("info", path "app.bin", "--json").max_rev_full)
    assert.matches("nothing changed", good("patch", path "app.bin", "-o", path "same.bin").out)
  end)

  for _, case in ipairs {
    { { "info", "NO" }, 14, "NO" }, { { "info", "app.elf" }, 14, "not a valid image" },
    { { "from-elf", "app.elf" }, 2, "option --chip is missing" },
    { { "from-elf", "app.bin", "-c", "esp32c3" }, 14, "no ELF file" },
    { { "merge", "0", "app.bin", "-c", "esp32c3" }, 2, "option --output is missing" },
    { { "merge", "0", "app.bin", "0x1000", "app.bin", "-c", "esp32c3", "-o", "x.bin" }, 15, "overlap" },
    { { "extract", "app.bin", "9", "-o", "x.bin" }, 2, "there is no segment 9" },
    { { "patch", "app.elf", "-o", "x.bin" }, 14, "first byte 0x7F" }, { {}, 2, "a command is missing" },
  } do
    it(("says what is wrong: %s"):format(table.concat(case[1], " ")), function()
      local words = { "image" }
      for i, w in ipairs(case[1]) do words[i + 1] = w:find "%.%l+$" and path(w) or w end
      local r = program.run(words)
      assert.equal(case[2], r.status, r.out .. r.err)
      assert.matches(case[3], r.err, 1, true)
      assert.is_nil(program.read(path "x.bin"))
    end)
  end
end)
