-- The texts are what esptool 5.2.0 printed (`image-info`, without its first line) for the same images, which
-- spec/support/image_fixtures.lua describes.
local fixtures = require "spec.support.image_fixtures"
local hex = require "esp.hex"
local image = require "esp.image"
local image_edit = require "esp.image_edit"
local image_elf = require "esp.image_elf"
local image_info = require "esp.image_info"

local function make(chip, elf, opts)
  opts.chip = chip
  return image_elf.convert({ data = elf, name = "x.elf" }, opts):bytes()
end

local APP = make("esp32c6", fixtures.app("esp32c6", { page = 15 }),
                 { flash_mode = "dio", flash_size = "4MB", min_rev_full = 1, max_rev_full = 199 })
local BOOT = make("esp32", fixtures.bootloader "esp32", { flash_mode = "dio", dont_append_digest = true })
local OLD = make("esp8266", fixtures.esp8266(), { version = 2 })

local APP_TEXT = [[
Image size: 38400 bytes
Detected image type: ESP32-C6

ESP32-C6 Image Header
=====================
Image version: 1
Entry point: 0x40800040
Segments: 5
Flash size: 4MB
Flash freq: 80m
Flash mode: DIO

ESP32-C6 Extended Image Header
==============================
WP pin: 0xee (disabled)
Flash pins drive settings: clk_drv: 0x0, q_drv: 0x0, d_drv: 0x0, cs0_drv: 0x0, hd_drv: 0x0, wp_drv: 0x0
Chip ID: 13 (ESP32-C6)
Minimal chip revision: v0.1, (legacy min_rev = 0)
Maximal chip revision: v1.99

Segments Information
====================
Segment   Length   Load addr   File offs  Memory types
-------  -------  ----------  ----------  ------------
      0  0x009b0  0x42000020  0x00000018  DROM, IROM
      1  0x00fbc  0x40800000  0x000009d0  DRAM, BYTE_ACCESSIBLE, IRAM
      2  0x002bc  0x40820000  0x00001994  DRAM, BYTE_ACCESSIBLE, IRAM
      3  0x063b8  0x00000000  0x00001c58  PADDING
      4  0x015b4  0x42010020  0x00008018  DROM, IROM

ESP32-C6 Image Footer
=====================
Checksum: 0x63 (valid)
Validation hash: 37cf4149c59da303548b53a200e54f43e53a3c941d318555f0dcbda027956788 (valid)

Application Information
=======================
Project name: demo
App version: 1.0
Compile time: Jan  1 2026 12:34:56
ELF file SHA256: c1148250a63b96d1df6cd6d0e673456a7a9460a9607fc40e16bd3b41435df3fa
ESP-IDF: v5.5
Minimal eFuse block revision: 0.0
Maximal eFuse block revision: 1.99
MMU page size: 32 KB
Secure version: 0
]]
local BOOT_TEXT = [[
Image size: 1104 bytes
Detected image type: ESP32

ESP32 Image Header
==================
Image version: 1
Entry point: 0x40080000
Segments: 3
Flash size: 1MB
Flash freq: 40m
Flash mode: DIO

ESP32 Extended Image Header
===========================
WP pin: 0xee (disabled)
Flash pins drive settings: clk_drv: 0x0, q_drv: 0x0, d_drv: 0x0, cs0_drv: 0x0, hd_drv: 0x0, wp_drv: 0x0
Chip ID: 0 (ESP32)
Minimal chip revision: v0.0, (legacy min_rev = 0)
Maximal chip revision: v655.35

Segments Information
====================
Segment   Length   Load addr   File offs  Memory types
-------  -------  ----------  ----------  ------------
      0  0x00050  0x3ffb0100  0x00000018  BYTE_ACCESSIBLE, DRAM
      1  0x00040  0x3ffb0000  0x00000070  BYTE_ACCESSIBLE, DRAM
      2  0x00384  0x40080000  0x000000b8  IRAM

ESP32 Image Footer
==================
Checksum: 0x4f (valid)

Bootloader Information
======================
Bootloader version: 7
ESP-IDF: v5.5
Compile time: Jan  1 2026 12:00:00
]]
local OLD_TEXT = [[
Image size: 7444 bytes

ESP8266 Image Header
====================
Image version: 2
Entry point: 0x40100004
Segments: 3
Flash size: 1MB
Flash freq: 40m
Flash mode: QIO

Segments Information
====================
Segment   Length   Load addr   File offs  Memory types
-------  -------  ----------  ----------  ------------
      0  0x00bc0  0x00000000  0x00000008
      1  0x00180  0x3ffe8000  0x00000bd8  DRAM
      2  0x00fa0  0x40100000  0x00000d60  IRAM

ESP8266 Image Footer
====================
Checksum: 0xee (valid)
]]

local function set(bytes, at, new) return bytes:sub(1, at) .. new .. bytes:sub(at + #new + 1) end

local function with_file(bytes, fn)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
  local ok, err = pcall(fn, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

local function text_of(bytes, chip)
  local lines, warnings = {}, {}
  with_file(bytes, function(path)
    image_info.report(path, { chip = chip }, function(level, line)
      local list = level == "info" and lines or warnings
      list[#list + 1] = line:gsub(" +$", "")
    end)
  end)
  return table.concat(lines, "\n") .. "\n", table.concat(warnings, "\n")
end

describe("the description of an image", function()
  it("is worded as esptool's", function()
    assert.equal(APP_TEXT, (text_of(APP)))
    assert.equal(BOOT_TEXT, (text_of(BOOT)))
    assert.equal(OLD_TEXT, (text_of(OLD, "esp8266")))
  end)

  it("has all as plain data", function()
    local d = image_info.describe(APP, { name = "a.bin" })
    assert.same({ "esp32c6", true, "dio", "4MB", 5, true, true },
                { d.chip, d.detected, d.flash.mode, d.flash.size, #d.segments, d.checksum_valid, d.digest_valid })
    assert.same({ "demo", "1.0", 0x8000 }, { d.app.project_name, d.app.version, d.app.mmu_page_size })
    assert.same({ "DROM", "IROM" }, d.segments[1].types)
    assert.equal(32, d.segments[1].offset)
    assert.equal("Jan  1 2026 12:00:00", image_info.describe(BOOT).bootloader.date_time)
  end)

  it("knows a chip by the whole of its number", function()          -- esptool 5.2 looks at the low byte only
    local d = image_info.describe(set(APP, 12, "\5\1"), {})
    assert.is_nil(d.chip)
    assert.equal("Unknown image chip ID (261).", d.warnings[1])
    local text = text_of(set(APP, 12, "\5\1"))
    assert.matches("Chip ID: 261 (Unknown ID)", text, 1, true)
    assert.matches("Validation hash: %x+ %(invalid%)", text)
  end)

  it("shows an image whose digest is cut short", function()
    for _, missing in ipairs { 1, 31, 32 } do
      local d = image_info.describe(APP:sub(1, -1 - missing))
      assert.same({ true, false, "demo" }, { d.checksum_valid, d.digest_valid, d.app.project_name })
      assert.equal("The file is cut short: the SHA-256 at its end is incomplete.", d.warnings[1])
    end
    assert.has_error(function() image_info.describe(APP:sub(1, -34)) end)     -- the checksum is gone
  end)

  it("warns of another chip than was given", function()
    local _, warnings = text_of(APP, "esp32c3")
    assert.matches("Unexpected chip ID in image. Expected 5 but value was 13.", warnings, 1, true)
  end)

  it("warns of codes that mean nothing", function()
    local _, warnings = text_of(set(APP, 2, "\9\xF5"))
    assert.equal("Invalid flash size (0xf0)\nInvalid flash frequency (0x5)\nInvalid flash mode (9)", warnings)
  end)

  it("warns when the two headers of an ESP8266 image differ", function()
    local _, warnings = text_of(set(OLD, 1, "\5\1"), "esp8266")
    assert.matches('unexpected "segment" count 5', warnings, 1, true)
    assert.matches("Flash mode value in first header (0x01) disagrees with second (0x00)", warnings, 1, true)
  end)

  it("shows no odd characters", function()
    local at = APP:find("demo", 1, true) - 1
    assert.equal("?[2J", image_info.describe(set(APP, at, "\27[2J\0")).app.project_name)
    assert.equal("?x", image_info.describe(set(APP, at, "\xFFx\0")).app.project_name)
    assert.equal("\u{E9}", image_info.describe(set(APP, at, "\u{E9}\0")).app.project_name)
  end)

  it("of Intel HEX takes region by region and passes over what is no image", function()
    local out = {}
    hex.encode(function(s) out[#out + 1] = s end,
               { { address = 0x0, data = BOOT }, { address = 0x10000, data = "nothing" } })
    local text, faults = text_of(table.concat(out))
    assert.matches("Processing file 1/2, offset: 0x0, size: 1104 bytes", text, 1, true)
    assert.matches("Detected image type: ESP32", text, 1, true)
    assert.matches("Error processing file 2/2", faults, 1, true)
    assert.matches("invalid magic number: 0x6e", faults, 1, true)
  end)

  for _, case in ipairs {
    { "is empty", "", "is empty" },
    { "is none", "hello", "This is not a valid image (invalid magic number: 0x68)" },
    { "is cut", APP:sub(1, 5000), "cut short" },
  } do
    it("is refused when it " .. case[1], function()
      local ok, err = pcall(image_info.describe, case[2], { name = "a.bin" })
      assert.is_false(ok)
      assert.equal("bad_image", err.code)
      assert.matches(case[3], err.message, 1, true)
    end)
  end
end)

describe("changing the header of an image", function()
  it("keeps the image sound", function()
    local new = image_edit.patch(APP, { flash_mode = "qout", flash_size = "8MB", flash_freq = "20m", entry = 0x40800100,
                                        min_rev = 2, min_rev_full = 200, max_rev_full = 299, wp_pin = 7 })
    local i = image.parse(new)
    assert.same({ 1, 0x30, 2, 0x40800100 }, { i.mode, i.size_code, i.freq_code, i.entry })
    assert.same({ 2, 200, 299, 7 }, { i.min_rev, i.min_rev_full, i.max_rev_full, i.wp_pin })
    assert.same({ true, true, #APP }, { i.checksum_valid, i.digest_valid, #new })
    assert.equal(APP:sub(25, -33), new:sub(25, -33))
  end)

  it("without changes gives the same bytes", function()
    for _, bytes in ipairs { APP, BOOT, OLD, APP .. "tail" } do assert.equal(bytes, image_edit.patch(bytes, {})) end
  end)

  it("changes both headers and the CRC of an ESP8266 image", function()
    local new = image_edit.patch(OLD, { flash_mode = "dout", flash_size = "4MB", flash_freq = "80m" })
    assert.equal(make("esp8266", fixtures.esp8266(), { version = 2, flash_mode = "dout", flash_size = "4MB",
                                                       flash_freq = "80m" }), new)
  end)

  it("repairs only when asked to", function()
    local damaged = set(APP, 100, "X")
    local ok, err = pcall(image_edit.patch, damaged, { flash_mode = "dio" }, "a.bin")
    assert.is_false(ok)
    assert.equal("bad_image", err.code)
    assert.is_true(image.parse(image_edit.patch(damaged, { repair = true })).digest_valid)
  end)

  it("is refused when the image has no such field or value", function()
    for _, case in ipairs {
      { OLD, { min_rev_full = 1 }, "no min_rev_full" }, { APP, { min_rev = 256 }, "0 to 255" },
      { APP, { flash_size = "3MB" }, "flash size '3MB'" }, { APP, { entry = -1 }, "entry" },
    } do
      local ok, err = pcall(image_edit.patch, case[1], case[2])
      assert.is_false(ok)
      assert.equal("bad_argument", err.code)
      assert.matches(case[3], err.message, 1, true)
    end
  end)
end)

describe("the segments of an image", function()
  it("come out with their bytes", function()
    local list = image_edit.segments(BOOT)
    assert.same({ 0x3FFB0100, 0x3FFB0000, 0x40080000 }, { list[1].address, list[2].address, list[3].address })
    assert.equal(fixtures.bytes(900, 6), list[3].data)
  end)
end)

describe("mutated images", function()
  it("give a description or an error object", function()
    assert.equal("40 inputs\n", require "spec.support.fuzzer".run("image_fuzz", 40, 7))
  end)
end)
