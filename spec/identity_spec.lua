-- Expected answers: esptool's own classes on the same register values (spec/support/identity_golden.lua), and for what
-- esptool does not know or gets wrong, values worked out by hand from the eFuse tables.
local chips = require "esp.chips"
local identity = require "esp.identity"
local golden = dofile "spec/support/identity_golden.lua"

-- A word per address and seed, sparse so that small values come up; identity_golden.lua was made with the same.
local function scatter(x)
  for _ = 1, 2 do x = (x >> 16 ~ x) * 0x45D9F3B & 0xFFFFFFFF end
  return x >> 16 ~ x
end

local function word(address, seed)
  local v = scatter((address ~ seed * 0x9E3779B9) & 0xFFFFFFFF) & scatter(address + seed * 0x85EBCA6B + 1 & 0xFFFFFFFF)
  return seed % 3 ~= 0 and v or v & scatter((address ~ seed * 0xC2B2AE35) & 0xFFFFFFFF)
end

local function seeded(id, seed)
  return { data = chips.get(id), baud = 115200, read_reg = function(_, address) return word(address, seed) end }
end

-- A chip whose registers hold what a simulated one starts with, and `words` on top; the rest is 0.
local function chip_with(id, choice, words)
  local data = chips.get(id)
  local start = chips.initial(data, choice)
  for a, w in pairs(words or {}) do start[a] = w end
  return { data = data, baud = 115200, words = start, read_reg = function(_, a) return start[a] or 0 end }
end

-- esptool reads four bits of the ESP32-P4's purposes also where the chip has five.
local function numbers(list, mask)
  local values = {}
  for i, key in ipairs(list) do values[i] = key.value & mask end
  return #values > 0 and table.concat(values, " ") or nil
end

local function agrees(id, g)
  local at = ("%s, pattern %d"):format(id, g.seed)
  local chip = seeded(id, g.seed)
  if g.mac == "error" then
    local err = assert.has_error(function() identity.macs(chip) end)
    assert.equal("unknown_oui", err.code)
    assert.matches("ESP8266", tostring(err), 1, true)
    return
  end
  local function same(expected, found) assert.same(expected, found, at) end
  local d = identity.describe(chip)
  if id == "esp32e22" then d.description = d.description .. " (revision v0.0)" end
  same(g.description:lower(), d.description:lower())
  same(g.features:lower(), table.concat(d.features, "; "):lower())
  same({ g.mac, g.base_mac or g.mac, g.mac_ext }, { d.mac, d.base_mac, d.mac_ext })
  same(g.revision_number or 0, d.revision_number)
  for _, state in ipairs { "secure_boot", "secure_boot_v1", "flash_encryption", "encrypted_download_disabled",
                           "key_manager", "encryption_key_valid" } do
    assert.equal(g[state] or false, (identity[state](chip)), at .. ", " .. state)
  end
  same(g.key_purposes, numbers(identity.key_purposes(chip), id == "esp32p4" and 0xF or 0x1F))
  same(g.flash_crypt_config, identity.flash_crypt_config(chip))
  same(g.flash_type, d.flash_type)
  same(g.voltage, d.flash_voltage and d.flash_voltage.voltage .. " " .. d.flash_voltage.source)
  if g.pads then
    local p = identity.flash_pads(chip) or { clk = 0, q = 0, d = 0, hd = 0, cs = 0 }
    same(g.pads, ("%d %d %d %d %d"):format(p.clk, p.q, p.d, p.hd, p.cs))
  end
end

describe("agreement with esptool:", function()
  for _, id in ipairs(chips.list()) do
    it(id, function()
      assert.is_true(#golden[id] > 0)
      for _, g in ipairs(golden[id]) do agrees(id, g) end
    end)
  end
end)

describe("the simulated chip", function()
  for id, expected in pairs {
    esp8266 = "ESP8266EX", esp32 = "ESP32-D0WD-V3 (revision v3.0)", esp32s2 = "ESP32-S2 (revision v1.0)",
    esp32s3 = "ESP32-S3 (QFN56) (revision v0.2)", esp32c2 = "ESP32-C2 (revision v1.0)",
    esp32c3 = "ESP32-C3 (QFN32) (revision v0.4)", esp32c5 = "ESP32-C5 (revision v1.0)",
    esp32c6 = "ESP32-C6 (QFN40) (revision v0.1)", esp32c61 = "ESP32-C61 (revision v1.0)",
    esp32h2 = "ESP32-H2 (revision v0.1)", esp32h21 = "ESP32-H21 (revision v0.0)",
    esp32h4 = "ESP32-H4 (QFN40) (revision v0.0)", esp32p4 = "ESP32-P4 (revision v1.0)",
    esp32s31 = "ESP32-S31 (revision v0.0)", esp32e22 = "ESP32-E22",
  } do
    it(id .. " is a plausible one, and open", function()
      local chip = chip_with(id)
      local d = identity.describe(chip)
      assert.equal(expected, d.description)
      assert.equal(chip.data.sim.mac, d.base_mac)
      assert.equal(chip.data.sim.revision, d.revision_number)
      assert.is_false(identity.secure_boot(chip))
      assert.is_false((identity.flash_encryption(chip)))
      assert.is_false(identity.encryption_key_valid(chip))
      assert.equal(0, (identity.protect_below(chip)))
    end)
  end

  it("takes every revision it is asked for", function()
    for _, row in ipairs { { "esp32", 0 }, { "esp32", 100 }, { "esp32", 200 }, { "esp32", 303 }, { "esp32s2", 1 },
                           { "esp32s3", 1 }, { "esp32c3", 101 }, { "esp32c6", 2 }, { "esp32p4", 302 } } do
      local _, number = identity.revision(chip_with(row[1], { revision = row[2] }))
      assert.equal(row[2], number)
    end
  end)
end)

describe("identity", function()
  it("reads each register once for a description", function()
    local asked = {}
    local chip = chip_with "esp32"
    local count = chip.read_reg
    function chip:read_reg(a)
      assert.is_nil(asked[a], ("0x%X was read twice"):format(a))
      asked[a] = true
      return count(self, a)
    end
    identity.describe(chip)
  end)

  -- BLOCK1 word 3: minor bits 18-20, block minor 24-26; BLOCK2 word 4: block major; BLOCK1 word 5: major bits 24-25.
  it("is not misled by the first S3, whose block version 1.1 fills the major number with other things", function()
    local chip = chip_with("esp32s3", { revision = 0, fields = { block_minor = 1, block_major = 1 } })
    chip.words[0x60007058] = 2 << 24
    assert.same({ { major = 0, minor = 0, text = "v0.0" }, 0 }, { identity.revision(chip) })
    chip = chip_with("esp32s3", { revision = 0, fields = { block_minor = 2, block_major = 1 } })
    chip.words[0x60007058] = 2 << 24
    assert.equal("v2.0", identity.revision(chip).text)
  end)

  it("leaves a vendor out that is not known", function()
    local chip = chip_with("esp32c3", { fields = { flash_cap = 1, flash_vendor = 7 } })
    assert.equal("Embedded Flash 4MB", identity.features(chip)[5])
    chip = chip_with("esp32c3", { fields = { flash_cap = 1, flash_vendor = 1 } })
    assert.equal("Embedded Flash 4MB (XMC)", identity.features(chip)[5])
    assert.equal(1, identity.flash_cap(chip))
  end)

  it("does not invent flash in an ESP32-C6 that has none", function()
    assert.equal(5, #identity.features(chip_with "esp32c6"))
  end)

  it("tells the link by the ROM's variable, which moved with a revision", function()
    assert.equal("uart", identity.link_in_use(chip_with("esp32c3", nil, { [0x3FCDF07C] = 0x0300 })))
    assert.equal("usj", identity.link_in_use(chip_with("esp32c3", nil, { [0x3FCDF07C] = 0xAB03 })))
    assert.equal("usj", identity.link_in_use(chip_with("esp32c3", { revision = 101 }, { [0x3FCDF078] = 3 })))
    assert.equal("uart", identity.link_in_use(chip_with("esp32c3", { revision = 101 }, { [0x3FCDF07C] = 3 })))
    assert.equal("otg", identity.link_in_use(chip_with("esp32s3", nil, { [0x3FCEF14C] = 3 })))
    assert.equal("otg", identity.link_in_use(chip_with("esp32p4", { revision = 300 }, { [0x4FFBFEC8] = 5 })))
    assert.equal("uart", identity.link_in_use(chip_with "esp32"))
    assert.equal("usj", identity.link_in_use(chip_with("esp32s31", nil, { [0x2F07F488] = 5 })))
  end)
end)

describe("the MAC address of an ESP8266", function()
  -- OTP words by hand: word 0 bits 24-31 last octet, word 1 the two before it and the index, word 3 a vendor part.
  local function mac(index, vendor)
    local words = { [0x3FF00050] = 0xC3000000, [0x3FF00054] = index << 16 | 0xA1B2, [0x3FF0005C] = vendor }
    return identity.mac { data = chips.get "esp8266", read_reg = function(_, a) return words[a] or 0 end }
  end

  it("is refused with a vendor part that nobody knows", function()
    assert.equal("unknown_oui", assert.has_error(function() mac(2, 0) end).code)
  end)

  it("has a burned vendor part or one of two known ones", function()
    assert.equal("18:fe:34:a1:b2:c3", mac(0, 0))
    assert.equal("ac:d0:74:a1:b2:c3", mac(1, 0))
    assert.equal("5c:cf:7f:a1:b2:c3", mac(1, 0x5CCF7F))
    assert.equal("00:00:01:a1:b2:c3", mac(1, 0x000001))
  end)

  it("does not take an ESP8285's flash bits for a vendor part", function()
    assert.equal("18:fe:34:a1:b2:c3", mac(0, 1 << 25))
  end)
end)

describe("the crystal", function()
  -- Dividers by hand: UART clock / baud; the ESP8266's UART runs on twice the crystal.
  for _, case in ipairs {
    { "esp8266", 115200, 451, 26 }, { "esp8266", 115200, 694, 40 }, { "esp32", 115200, 347, 40 },
    { "esp32", 115200, 225, 26 }, { "esp32c2", 921600, 28, 26 }, { "esp32c5", 115200, 416, 48 },
    { "esp32c5", 115200, 347, 40 }, { "esp32c2", 115200, 0x100000 | 347, 40 },
  } do
    local id, baud, divider, mhz = table.unpack(case)
    it(("of %s is %d MHz with divider %d at %d baud"):format(id, mhz, divider, baud), function()
      local chip = chip_with(id)
      chip.words[chip.data.uart.clkdiv] = divider
      chip.baud = baud
      local found, estimate, odd = identity.crystal(chip)
      assert.equal(mhz, found)
      assert.is_true(math.abs(estimate - mhz) <= 1)
      assert.is_false(odd)
    end)
  end

  it("is called odd when it is more than 1 MHz off", function()
    local chip = chip_with "esp32"
    chip.words[chip.data.uart.clkdiv] = 280
    local _, estimate, odd = identity.crystal(chip)
    assert.is_true(odd)
    assert.is_true(math.abs(estimate - 32.256) < 1e-9)
  end)

  it("is not measured where it is fixed", function()
    assert.same({ 32 }, { identity.crystal(chip_with "esp32h2") })
    assert.same({ 40 }, { identity.crystal(chip_with "esp32c3") })
  end)
end)

describe("the flash voltage of an ESP32", function()
  -- RTC_CNTL_SDIO_CONF: bit 22 force, 31 LDO on, 29-30 reference high.
  for _, case in ipairs {
    { 0x00000000, 0, "3.3V", "strapping pin" }, { 0x00000000, 0x20, "1.8V", "strapping pin" },
    { 0x80600000, 0, "1.8V", "register" }, { 0xFE600000, 0, "1.9V", "register" }, { 0x00600000, 0, "OFF", "register" },
  } do
    it(("is %s by %s for 0x%08X and strap 0x%X"):format(case[3], case[4], case[1], case[2]), function()
      local chip = chip_with("esp32", nil, { [0x3FF48074] = case[1], [0x3FF44038] = case[2] })
      assert.same({ voltage = case[3], source = case[4] }, identity.flash_voltage(chip))
    end)
  end

  it("follows the overrides that the data offers", function()
    for voltage, value in pairs(chips.get("esp32").flash.voltage_override.choices) do
      assert.equal(voltage, identity.flash_voltage(chip_with("esp32", nil, { [0x3FF48074] = value })).voltage)
    end
  end)

  it("is taken from the eFuses bit by bit", function()
    local function with(force, xpd, tieh)
      local fields = { vdd_spi_force = force, vdd_spi_xpd = xpd, vdd_spi_tieh = tieh }
      local v = identity.flash_voltage(chip_with("esp32", { fields = fields }))
      return v.voltage .. " " .. v.source
    end
    assert.equal("3.3V eFuse", with(1, 1, 1))
    assert.equal("1.8V eFuse", with(1, 1, 0))
    assert.equal("OFF eFuse", with(1, 0, 1))
    assert.equal("3.3V strapping pin", with(0, 1, 1))
  end)
end)
