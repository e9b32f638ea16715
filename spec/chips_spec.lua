-- Golden facts: the tables of Espressif's datasheets and ESP-IDF as listed by hand below, and the constants of
-- esptool's chip classes in spec/support/chips_golden.lua. Failures come first: broken data must be named.
local chips = require "esp.chips"
local golden = dofile "spec/support/chips_golden.lua"

-- id, image id, magic, bootloader offset, UF2 family, USB-Serial/JTAG, USB-OTG product, watchdog reset, beyond 16 MB
local TABLE = {
  { "esp8266", nil, 0xFFF0C101, 0x0, 0x7EAB61ED, nil, nil, false, nil },
  { "esp32", 0, 0x00F01D83, 0x1000, 0x1C5F21B0, nil, nil, false, nil },
  { "esp32s2", 2, 0x000007C6, 0x1000, 0xBFDD4EEE, nil, 0x0002, true, nil },
  { "esp32s3", 9, nil, 0x0, 0xC47E5767, true, 0x0009, true, "stub" },
  { "esp32c2", 12, nil, 0x0, 0x2B88D29C, nil, nil, true, nil },
  { "esp32c3", 5, nil, 0x0, 0xD42BA06C, true, nil, true, nil },
  { "esp32c5", 23, nil, 0x2000, 0xF71C0343, true, nil, true, "stub" },
  { "esp32c6", 13, nil, 0x0, 0x540DDF62, true, nil, false, nil },
  { "esp32c61", 20, nil, 0x0, 0x77D850C4, true, nil, true, "stub" },
  { "esp32h2", 16, nil, 0x0, 0x332726F6, true, nil, false, nil },
  { "esp32h21", 25, nil, 0x0, 0xB6DD00AF, true, nil, false, nil },
  { "esp32h4", 28, nil, 0x2000, 0x9E0BAA8A, true, nil, false, nil },
  { "esp32p4", 18, nil, 0x2000, 0x3D308E94, true, 0x0012, true, "stub" },
  { "esp32s31", 32, nil, 0x2000, 0x3101F7C1, true, 0x0020, true, "stub" },
  { "esp32e22", 31, nil, 0x0, nil, nil, 0x001F, false, nil },
}

-- Header codes of flash frequencies (ESP-IDF, esp_image_spi_freq_t; the C6's 80 MHz is the ROM's quirk).
local STANDARD = "20m=2 26m=1 40m=0 80m=F"
local FREQS = {
  esp8266 = STANDARD, esp32 = STANDARD, esp32s2 = STANDARD, esp32s3 = STANDARD, esp32c3 = STANDARD,
  esp32p4 = STANDARD, esp32e22 = STANDARD,
  esp32c5 = "20m=2 40m=0 80m=F", esp32c61 = "20m=2 40m=0 80m=F", esp32s31 = "20m=2 40m=0 80m=F",
  esp32c6 = "20m=2 40m=0 80m=0", esp32c2 = "15m=2 20m=1 30m=0 60m=F",
  esp32h2 = "12m=2 16m=1 24m=0 48m=F", esp32h21 = "12m=2 16m=1 24m=0 48m=F", esp32h4 = "12m=2 16m=1 24m=0 48m=F",
}

local function codes(map)
  local list = {}
  for name, code in pairs(map) do list[#list + 1] = ("%s=%X"):format(name, code) end
  table.sort(list, function(a, b) return a:match "^[^=]+" < b:match "^[^=]+" end)
  return table.concat(list, " ")
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local c = {}
  for k, v in pairs(value) do c[k] = copy(v) end
  return c
end

-- Data of a chip after change(data), which must then be complained about.
local function problems(id, change)
  local data = copy(chips.get(id))
  change(data)
  return table.concat(chips.check(data), "\n")
end

describe("the check of chip data", function()
  for _, case in ipairs {
    { "an unknown key", "esp32c3", function(d) d.flavour = "mint" end, "esp32c3: flavour is unknown" },
    { "an unknown key deep inside", "esp32", function(d) d.flash.voltage.colour = 1 end,
      "esp32: flash.voltage.colour is unknown" },
    { "a missing key", "esp32s2", function(d) d.spi.w0 = nil end, "esp32s2: spi.w0 is missing" },
    { "a missing section", "esp32s2", function(d) d.sim = nil end, "esp32s2: sim is missing" },
    { "a wrong type", "esp32c2", function(d) d.rom.deflate = 1 end, "esp32c2: rom.deflate has a wrong value: 1" },
    { "a number out of range", "esp32c2", function(d) d.uart.base = -1 end, "uart.base has a wrong value" },
    { "an unknown fix of the rate", "esp32c5", function(d) d.baud_fix.name = "prayer" end,
      "esp32c5: baud_fix.name names an unknown behaviour: prayer" },
    { "an unknown quirk", "esp8266", function(d) d.rom.erase_quirk = "tail" end,
      "rom.erase_quirk names an unknown behaviour: tail" },
    { "an unknown reset", "esp32p4", function(d) d.reset.hard_on_otg = "hammer" end,
      "reset.hard_on_otg names an unknown behaviour: hammer" },
    { "overlapping memory", "esp32c3", function(d) d.memory.dram[1] = d.memory.drom[1] end,
      "esp32c3: memory has overlapping ranges: dram and drom" },
    { "memory that ends before it begins", "esp32c3", function(d) d.memory.dram[2] = 1 end, "memory.dram" },
    { "an alias of nothing", "esp32c6", function(d) d.memory.iram.alias_of = "ram" end,
      "memory.iram is no alias of ram" },
    { "an alias that differs", "esp32c6", function(d) d.memory.iram[2] = d.memory.iram[2] - 4 end,
      "memory.iram is no alias of dram" },
    { "overlapping eFuse blocks", "esp32c3", function(d) d.efuse.blocks[2][2] = 0x2C end,
      "efuse.blocks has overlapping ranges: BLOCK0 and MAC_SPI_8M_0" },
    { "a field outside the blocks", "esp32c3", function(d) d.efuse.fields.package[1][1] = d.efuse.base end,
      "efuse.fields.package lies outside the blocks" },
    { "a field past bit 31", "esp32c3", function(d) d.efuse.fields.package[1][2] = 31 end,
      "efuse.fields.package[1] reaches past bit 31" },
    { "a name that asks for no field", "esp32c3", function(d) d.identity.names[1].colour = 1 end,
      "identity.names[1] names an unknown field: colour" },
    { "a feature that asks for no field", "esp32s3", function(d) d.identity.features[5].vendor = "colour" end,
      "vendor names an unknown field: colour" },
    { "overlapping pins", "esp32s2", function(d) d.flash.pins[2][1] = 10 end, "flash.pins has overlapping ranges" },
    { "a USB pin that is none", "esp32c3", function(d) d.flash.usb_pins[1] = 40 end, "flash.usb_pins has 40" },
    { "revisions out of order", "esp32c61", function(d) d.uart.link_in_use[2].from_revision = 0 end,
      "uart.link_in_use[2] is not in ascending order" },
    { "a list that starts late", "esp32c3", function(d) d.uart.link_in_use[1].from_revision = 1 end,
      "uart.link_in_use[1] must hold from revision 0" },
    { "a link without its number", "esp32s3", function(d) d.uart.link_in_use[1].otg = nil end,
      "uart.link_in_use[1].otg does not agree with links" },
    { "no crystal", "esp32c3", function(d) d.crystal.fixed = nil end, "crystal needs fixed" },
    { "a value too large for its field", "esp32c3", function(d) d.sim.fields.package = 8 end,
      "sim.fields.package does not fit its field" },
    { "a mistake in a later revision", "esp32p4",
      function(d) d.revisions[#d.revisions].changes.security.key_valid = "luck" end,
      "esp32p4: security.key_valid names an unknown behaviour: luck" },
    { "a section that is no table", "esp32", function(d) d.identity.names[1] = 7 end, "identity.names[1]" },
  } do
    it("names " .. case[1], function()
      assert.matches(case[4], problems(case[2], case[3]), 1, true)
    end)
  end

  it("passes all chips", function()
    for _, id in ipairs(chips.list()) do assert.same({}, chips.check(chips.get(id))) end
  end)
end)

describe("the check of chip data, section by section,", function()
  it("notices what is taken away and cannot be spared", function()
    for _, key in ipairs { "id", "name", "arch", "links", "memory", "image", "rom", "spi", "uart", "crystal", "efuse",
                           "identity", "watchdog", "reset", "flash", "security", "stub", "sim", "checked" } do
      local data = {}
      for k, v in pairs(chips.get "esp32s3") do data[k] = k ~= key and v or nil end
      assert.matches(key .. " is missing", table.concat(chips.check(data), "\n"), 1, true)
    end
  end)
end)

describe("looking up a chip", function()
  it("refuses a name that no chip has, and says which there are", function()
    local err = assert.has_error(function() chips.get "esp31" end)
    assert.equal("unknown_chip", err.code)
    assert.matches("esp31", tostring(err), 1, true)
    assert.matches("esp32c61", err.hint, 1, true)
    assert.has_error(function() chips.get(nil) end)
    assert.has_error(function() chips.get "" end)
  end)

  it("takes any spelling", function()
    for spelling, id in pairs { ["ESP32-C3"] = "esp32c3", esp32c3 = "esp32c3", ["esp32_s2"] = "esp32s2",
                                ["Esp32 P4"] = "esp32p4", ESP8285 = "esp8266", ["esp8684"] = "esp32c2",
                                ["ESP32-C61"] = "esp32c61", esp32s31 = "esp32s31" } do
      assert.equal(id, chips.get(spelling).id)
    end
  end)

  it("finds by image id and by magic word", function()
    for _, row in ipairs(TABLE) do
      if row[2] then assert.equal(row[1], chips.by_image_id(row[2]).id) end
      if row[3] then assert.equal(row[1], chips.by_magic(row[3]).id) end
    end
    assert.is_nil(chips.by_image_id(99))
    assert.is_nil(chips.by_magic(0x1234))
    for _, id in ipairs(chips.list()) do
      local data = chips.by_status_bytes(chips.get(id).rom.status_bytes)
      assert.equal(chips.get(id).rom.status_bytes == 2 and id or nil, data and data.id)
    end
    assert.is_nil(chips.by_status_bytes(nil))
    assert.is_nil((chips.by_image_id(nil)))
  end)

  it("knows silicon that was dropped", function()
    for _, id in ipairs { 4, 6, 7, 10, 14, 17 } do
      local data, beta = chips.by_image_id(id)
      assert.is_nil(data)
      assert.matches("beta", beta)
    end
  end)

  it("lists fifteen chips, and the list is the caller's own", function()
    local list = chips.list()
    assert.equal(15, #list)
    list[1] = "changed"
    assert.equal("esp8266", chips.list()[1])
  end)

  it("never gives two chips one id", function()
    for _, key in ipairs { "image_chip_id", "magic", "uf2_family", "name" } do
      local seen = {}
      for _, id in ipairs(chips.list()) do
        local value = chips.get(id)[key]
        if value then
          assert.is_nil(seen[value], key .. " of " .. id)
          seen[value] = id
        end
      end
    end
  end)
end)

describe("the data of", function()
  for _, row in ipairs(TABLE) do
    local id, image_id, magic, boot, uf2, usj, otg, reset, big = table.unpack(row, 1, 9)
    it(id .. " has the facts listed by hand", function()
      local d = chips.get(id)
      assert.same({ image_id, magic, boot, uf2, usj, otg, reset, big },
                  { d.image_chip_id, d.magic, d.bootloader_offset, d.uf2_family, d.links.usj, d.links.otg,
                    d.watchdog.reset, d.flash.big })
      assert.is_true(d.links.uart)
      assert.equal(FREQS[id], codes(d.flash.freqs))
      assert.equal(image_id and otg and image_id or otg, otg)      -- the OTG product id is the chip's image id
    end)
  end
end)

local function pins_of(d)
  local list = {}
  for i, p in ipairs(d.flash.pins) do list[i] = ("%d-%d"):format(p[1], p[2]) end
  return table.concat(list, " ")
end

local function writes(steps)
  local list = {}
  for i, s in ipairs(steps) do list[i] = ("%X=%X"):format(s[1], s[2]) end
  return table.concat(list, " ")
end

-- The H2 has the 256-bit purposes in esptool's list only; the H4's have other names there.
local OTHER = {
  esp32h2 = { [2] = "RESERVED", [3] = false },
  esp32h4 = { [2] = "XTS_AES_256_KEY_1", [3] = "XTS_AES_256_KEY_2", [13] = "XTS_AES_256_PSRAM_KEY_1",
              [14] = "XTS_AES_256_PSRAM_KEY_2", [15] = "XTS_AES_128_PSRAM_KEY" },
}

describe("agreement with esptool's constants:", function()
  for _, id in ipairs(chips.list()) do
    local d, g = chips.get(id), golden[id]
    it(id, function()
      assert.same({ g.name, g.bootloader_offset, g.encrypted_align, g.image_chip_id, g.magic, g.uf2_family },
                  { d.name, d.bootloader_offset, d.flash.encrypted_align, d.image_chip_id, d.magic, d.uf2_family })
      assert.equal(g.pins, pins_of(d))
      assert.equal(g.usb_pins, table.concat(d.flash.usb_pins, " "))
      assert.equal(g.hd_max, d.flash.pin_max and d.flash.pin_max.hd)
      assert.same(g.spi, d.spi)
      assert.equal(g.freqs, codes(d.flash.freqs))
      assert.equal(g.sizes, codes(d.flash.sizes))
      assert.equal(g.uart_date & 0xFFF, d.uart.date & 0xFFF)       -- older chips have it at two addresses

      local rtc, swd = d.watchdog.rtc, d.watchdog.swd
      assert.equal(g.watchdog_reset, d.watchdog.reset)
      if g.watchdog_writes then
        assert.equal(g.watchdog_writes, writes { { rtc.wprotect, rtc.key }, { rtc.config1, rtc.reset_config1 },
                                                 { rtc.config0, rtc.reset_config0 }, { rtc.wprotect, 0 } })
      end
      assert.equal(g.disable_writes ~= nil, d.watchdog.disable_on_usj)
      if g.disable_writes then
        assert.equal(g.disable_writes, writes { { rtc.wprotect, rtc.key }, { rtc.config0, 0 }, { rtc.wprotect, 0 },
                                                { swd.wprotect, swd.key }, { swd.config, swd.auto_feed },
                                                { swd.wprotect, 0 } })
      end

      for number, name in (g.key_purposes or ""):gmatch "(%d+)=(%S+)" do
        number = tonumber(number)
        local other = OTHER[id] and OTHER[id][number]
        if other ~= nil then name = other or nil end
        assert.equal(name, d.security.key_purpose_names[number])
      end
      assert.equal(g.key_purposes ~= nil, d.security.key_purposes ~= nil)
    end)
  end
end)

describe("a field", function()
  local words = { [8] = 0xA0000000, [12] = 0x5 }
  local function read(a) return words[a] or 0 end
  local function write(a, w) words[a] = w end
  local FIELD = { { 8, 28, 4 }, { 12, 0, 4 } }

  it("is refused a value that is too wide for it, and nothing changes", function()
    assert.has_error(function() chips.field_set(FIELD, 0x100, read, write) end)
    assert.same({ [8] = 0xA0000000, [12] = 0x5 }, words)
  end)

  it("is put together lowest part first", function() assert.equal(0x5A, chips.field_get(FIELD, read)) end)

  it("changes only its own bits", function()
    words = { [8] = 0xAFFFFFFF, [12] = 0xFFFFFFF5 }
    chips.field_set(FIELD, 0x3C, read, write)
    assert.same({ [8] = 0xCFFFFFFF, [12] = 0xFFFFFFF3 }, words)
  end)
end)

describe("what depends on the revision", function()
  it("is the last entry that has begun", function()
    local list = chips.get("esp32c61").uart.link_in_use
    assert.equal(3, chips.for_revision(list, 2).usj)
    assert.equal(4, chips.for_revision(list, 3).usj)
    assert.equal(0x3FCDF07C, chips.for_revision(chips.get("esp32c3").uart.link_in_use, 100).address)
    assert.equal(0x3FCDF078, chips.for_revision(chips.get("esp32c3").uart.link_in_use, 101).address)
    assert.is_nil(chips.for_revision(nil, 100))
  end)

  it("is put into the data, and only there", function()
    local p4 = chips.get "esp32p4"
    assert.equal(p4, chips.at_revision(p4, 299))
    local later = chips.at_revision(p4, 300)
    assert.equal(2, #later.security.key_purposes[1])
    assert.equal(1, #p4.security.key_purposes[1])
    assert.equal(p4.security.secure_boot, later.security.secure_boot)
    assert.equal(later, chips.at_revision(p4, 301))
    assert.equal(chips.get "esp32", chips.at_revision(chips.get "esp32", 301))
  end)
end)

describe("a simulated chip's first words", function()
  it("refuse what makes no sense", function()
    local c3 = chips.get "esp32c3"
    for _, choice in ipairs { { mac = "60:55:f9" }, { mac = "nonsense" }, { fields = { colour = 1 } } } do
      assert.equal("bad_argument", assert.has_error(function() chips.initial(c3, choice) end).code)
    end
  end)

  -- Worked out by hand from the eFuse tables: BLOCK1 words 0, 1, 3 and 5.
  it("hold MAC, revision and package", function()
    local words = chips.initial(chips.get "esp32c3", { mac = "60-55-F9-0A-0B-0C", revision = 109,
                                                        fields = { package = 1, block_minor = 0 } })
    assert.equal(0xF90A0B0C, words[0x60008844])
    assert.equal(0x6055, words[0x60008848])
    assert.equal(1 << 18 | 1 << 21, words[0x60008850])
    assert.equal(1 << 24 | 1 << 23, words[0x60008858])
  end)

  -- MAC and CRC of a real chip, as espefuse prints them in esptool's documentation.
  it("hold the ESP32's CRC and its revision in three places", function()
    local words = chips.initial(chips.get "esp32", { mac = "94:b9:7e:5a:6e:58", revision = 200 })
    assert.equal(0x7E5A6E58, words[0x3FF5A004])
    assert.equal(0xE294B9, words[0x3FF5A008])
    assert.equal(0x8000, words[0x3FF5A00C] & 0x8000)
    assert.equal(1 << 20, words[0x3FF5A014])
    assert.equal(0, words[0x3FF6607C] or 0)
  end)
end)
