-- Replies and words worked out by hand: flags as in ESP-IDF's ROM headers, purposes from the eFuse tables.
local chips = require "esp.chips"
local identity = require "esp.identity"

local function reply(flags, count, purposes, chip_id, api)
  local body = ("<I4BBBBBBBB"):pack(flags, count, table.unpack(purposes))
  return chip_id and body .. ("<I4I4"):pack(chip_id, api) or body
end

local NONE = { 0, 0, 0, 0, 0, 0, 0 }

local function with_info(id, ...)
  return { data = chips.get(id), security = identity.decode_security_info(reply(...)) }
end

local function chip_with(id, words, revision)
  local data = chips.get(id)
  local start = chips.initial(data, { revision = revision })
  for a, w in pairs(words or {}) do start[a] = (start[a] or 0) | w end
  return { data = data, read_reg = function(_, a) return start[a] or 0 end }
end

local function line(s, label)
  for _, l in ipairs(s.lines) do
    if l[1] == label then return l[2] end
  end
  return nil
end

describe("security info", function()
  it("is refused when it is too short", function()
    for _, n in ipairs { 0, 1, 11 } do
      local err = assert.has_error(function() identity.decode_security_info(("\0"):rep(n)) end)
      assert.equal("bad_reply", err.code)
      assert.matches(tostring(n), tostring(err), 1, true)
    end
  end)

  it("is missing on chips that have none, and says so", function()
    for _, id in ipairs { "esp8266", "esp32" } do
      local err = assert.has_error(function() identity.security { data = chips.get(id) } end)
      assert.equal("unsupported", err.code)
      assert.matches(chips.get(id).name, tostring(err), 1, true)
    end
  end)

  it("has no ids in 12 bytes, and none that are cut", function()
    local info = identity.decode_security_info(reply(0, 0, NONE))
    assert.is_nil(info.chip_id)
    assert.is_nil(identity.decode_security_info(reply(0, 0, NONE, 5, 3):sub(1, 19)).chip_id)
    info = identity.decode_security_info(reply(0, 0, NONE, 5, 3) .. "trailing")
    assert.same({ 5, 3 }, { info.chip_id, info.api_version })
  end)

  it("has one flag per bit", function()
    local names = { [0] = "secure_boot", "secure_boot_aggressive_revoke", "secure_download", "secure_boot_key_revoke0",
                    "secure_boot_key_revoke1", "secure_boot_key_revoke2", "soft_dis_jtag", "hard_dis_jtag", "dis_usb",
                    "dis_download_dcache", "dis_download_icache" }
    for bit, name in pairs(names) do
      local set = identity.decode_security_info(reply(1 << bit, 0, NONE, 5, 0)).set
      for other_bit, other in pairs(names) do assert.equal(other_bit == bit, set[other], name .. "/" .. other) end
    end
  end)

  it("of an open chip is in words", function()
    local s = identity.security(with_info("esp32c3", 0, 0, NONE, 5, 0))
    assert.equal("0x00000000 (0b0)", line(s, "Flags"))
    assert.equal("disabled", line(s, "Secure boot"))
    assert.equal("disabled", line(s, "Flash encryption"))
    assert.equal("0x0", line(s, "Crypt count (SPI_BOOT_CRYPT_CNT)"))
    assert.equal("enabled", line(s, "JTAG"))
    assert.equal("5", line(s, "Chip ID"))
    assert.equal("USER/EMPTY (0)", line(s, "BLOCK_KEY5"))
    assert.is_nil(line(s, "BLOCK_KEY6"))
    assert.same({}, s.revoked)
  end)

  it("of a closed chip is in words", function()
    local s = identity.security(with_info("esp32s3", 0x7D3, 7, { 9, 10, 2, 3, 4, 99, 0 }, 9, 1))
    assert.is_true(s.secure_boot)
    assert.is_true(s.aggressive_revoke)
    assert.same({ 1 }, s.revoked)
    assert.equal("revoked", line(s, "Secure boot key 1"))
    assert.equal("enabled", line(s, "Flash encryption"))
    assert.equal("permanently disabled", line(s, "JTAG"))
    assert.equal("disabled", line(s, "USB"))
    assert.equal("disabled", line(s, "Data cache in download mode"))
    assert.equal("disabled", line(s, "Instruction cache in download mode"))
    assert.equal("SECURE_BOOT_DIGEST0 (9)", line(s, "BLOCK_KEY0"))
    assert.equal("XTS_AES_256_KEY_1 (2)", line(s, "BLOCK_KEY2"))
    assert.equal("UNKNOWN (99)", line(s, "BLOCK_KEY5"))
  end)

  it("calls JTAG that software may enable again by its name", function()
    assert.equal("disabled by software", identity.security(with_info("esp32c3", 0x40, 0, NONE, 5, 0)).jtag)
  end)

  it("has no keys with purposes on an ESP32-C2 and five on an ESP32-S31", function()
    assert.same({}, identity.security(with_info("esp32c2", 0, 0, NONE, 12, 0)).key_purposes)
    local s = identity.security(with_info("esp32s31", 0, 0, { 19, 13, 14, 15, 18, 0, 0 }, 32, 0))
    assert.equal(5, #s.key_purposes)
    assert.equal("SDC_KEY_DIGEST", s.key_purposes[1].name)
    assert.equal("ECDSA_KEY_P384_H", s.key_purposes[5].name)
  end)

  it("names an ESP32's crypt count as that chip does", function()
    assert.equal("FLASH_CRYPT_CNT", chips.get("esp32").security.crypt_cnt_name)
    assert.equal("SPI_BOOT_CRYPT_CNT", chips.get("esp32s2").security.crypt_cnt_name)
  end)
end)

describe("in secure download mode", function()
  local function closed(id, ...)
    local chip = with_info(id, ...)
    chip.sdm = true
    function chip.read_reg() error "a register was read" end
    return chip
  end

  it("the reply answers and no register is read", function()
    local chip = closed("esp32c6", 0x5, 1, { 4, 9, 0, 0, 0, 0, 0 }, 13, 0)
    assert.is_true(identity.secure_boot(chip))
    assert.is_false(identity.secure_boot_v1(chip))
    assert.same({ true, 1 }, { identity.flash_encryption(chip) })
    assert.equal("XTS_AES_128_KEY", identity.key_purposes(chip)[1].name)
    assert.is_false(identity.secure_boot(closed("esp32c6", 0x4, 3, NONE, 13, 0)))
    assert.is_false((identity.flash_encryption(closed("esp32c6", 0x4, 3, NONE, 13, 0))))
  end)
end)

describe("flash encryption", function()
  it("is on for an odd number of bits", function()
    for count = 0, 7 do
      local on, found = identity.flash_encryption(chip_with("esp32c3", { [0x60008834] = count << 18 }))
      assert.equal(count, found)
      assert.equal(count == 1 or count == 2 or count == 4 or count == 7, on)
    end
  end)

  -- Positions by hand: C2 BLOCK0 word 1 bits 7-9, C5 word 2 bits 16-18, C61 word 1 bits 23-25, S31 word 2 bits 21-23.
  it("is found where each chip has it", function()
    for id, at in pairs { esp32c2 = { 0x60008830, 7 }, esp32c5 = { 0x600B4834, 16 }, esp32c61 = { 0x600B4830, 23 },
                          esp32s31 = { 0x20715034, 21 }, esp32 = { 0x3FF5A000, 20 }, esp32h4 = { 0x600B1830, 23 } } do
      assert.is_true((identity.flash_encryption(chip_with(id, { [at[1]] = 1 << at[2] }))), id)
      assert.is_false((identity.flash_encryption(chip_with(id, { [at[1]] = 1 << at[2] - 1 }))), id)
    end
  end)

  it("does not exist on an ESP8266", function()
    assert.same({ false }, { identity.flash_encryption(chip_with "esp8266") })
    assert.is_false(identity.encryption_key_valid(chip_with "esp8266"))
    assert.is_nil(identity.flash_crypt_config(chip_with "esp8266"))
  end)
end)

describe("a key for flash encryption", function()
  it("of an ESP32 is there when any word is set, or when it cannot be read", function()
    assert.is_true(identity.encryption_key_valid(chip_with("esp32", { [0x3FF5A054] = 1 })))
    assert.is_false(identity.encryption_key_valid(chip_with("esp32", { [0x3FF5A058] = 1 })))
    assert.is_true(identity.encryption_key_valid(chip_with("esp32", { [0x3FF5A000] = 1 << 16 })))
    assert.is_false(identity.encryption_key_valid(chip_with("esp32", { [0x3FF5A000] = 1 << 17 })))
  end)

  it("of an ESP32-C2 is half a block or a whole one", function()
    local WHOLE = 1 << 10
    assert.is_true(identity.encryption_key_valid(chip_with("esp32c2", { [0x6000886C] = 1 })))
    assert.is_false(identity.encryption_key_valid(chip_with("esp32c2", { [0x60008870] = 1 })))
    assert.is_true(identity.encryption_key_valid(chip_with("esp32c2", { [0x60008870] = 1, [0x60008830] = WHOLE })))
    assert.is_true(identity.encryption_key_valid(chip_with("esp32c2", { [0x60008830] = 1 })))
    assert.is_true(identity.encryption_key_valid(chip_with("esp32c2", { [0x60008830] = 3 })))
    assert.is_false(identity.encryption_key_valid(chip_with("esp32c2", { [0x60008830] = 1 | WHOLE })))
    assert.is_true(identity.encryption_key_valid(chip_with("esp32c2", { [0x60008830] = 3 | WHOLE })))
  end)

  it("of 256 bits needs both halves", function()
    assert.is_false(identity.encryption_key_valid(chip_with("esp32s3", { [0x60007034] = 2 << 24 })))
    assert.is_true(identity.encryption_key_valid(chip_with("esp32s3", { [0x60007034] = 2 << 24 | 3 << 28 })))
    assert.is_false(identity.encryption_key_valid(chip_with("esp32c3", { [0x60008834] = 2 << 24 | 3 << 28 })))
  end)

  it("may come from the Key Manager", function()
    for id, at in pairs { esp32c5 = { 0x600B4834, 11 }, esp32p4 = { 0x5012D034, 10 }, esp32h4 = { 0x600B1838, 20 },
                          esp32s31 = { 0x20715034, 13 } } do
      local chip = chip_with(id, { [at[1]] = 1 << at[2] })
      assert.is_true(identity.key_manager(chip), id)
      assert.is_true(identity.encryption_key_valid(chip), id)
      assert.same({ 0x2000, "key_manager" }, { identity.protect_below(chip) })
    end
    assert.is_false(identity.key_manager(chip_with("esp32c3", { [0x60008834] = 0x0003FFFF })))
  end)

  it("has a fifth bit of purpose on an ESP32-P4 from v3.0", function()
    local words = { [0x5012D034] = 1 << 24, [0x5012D03C] = 1 << 27, [0x5012D040] = 1 << 4 }
    local early = identity.key_purposes(chip_with("esp32p4", words, 103))
    local late = identity.key_purposes(chip_with("esp32p4", words, 300))
    assert.same({ 1, "ECDSA_KEY", 0 }, { early[1].value, early[1].name, early[6].value })
    assert.same({ 17, "ECDSA_KEY_P384_L", 16 }, { late[1].value, late[1].name, late[6].value })
  end)
end)

describe("secure boot", function()
  it("V2 of an ESP32 counts from revision 3", function()
    local V1, V2 = { [0x3FF5A018] = 1 << 4 }, { [0x3FF5A018] = 1 << 5 }
    assert.is_false(identity.secure_boot(chip_with("esp32", V2, 200)))
    assert.is_true(identity.secure_boot(chip_with("esp32", V2, 300)))
    assert.is_false(identity.secure_boot_v1(chip_with("esp32", V2, 300)))
    assert.is_true(identity.secure_boot(chip_with("esp32", V1, 0)))
    assert.is_true(identity.secure_boot_v1(chip_with("esp32", V1, 0)))
    assert.same({ 0x8000, "secure_boot_v1" }, { identity.protect_below(chip_with("esp32", V1)) })
  end)

  it("is found where each chip has it", function()
    for id, at in pairs { esp32s2 = { 0x3F41A038, 20 }, esp32c2 = { 0x60008830, 21 }, esp32c5 = { 0x600B4838, 25 },
                          esp32c61 = { 0x600B4834, 26 }, esp32h4 = { 0x600B1838, 5 }, esp32s31 = { 0x2071503C, 2 } } do
      assert.is_true(identity.secure_boot(chip_with(id, { [at[1]] = 1 << at[2] })), id)
      assert.is_false(identity.secure_boot(chip_with(id)), id)
    end
  end)

  it("V1 is the ESP32's alone", function()
    for _, id in ipairs(chips.list()) do
      if id ~= "esp32" then assert.is_nil(chips.get(id).security.secure_boot_v1) end
    end
  end)
end)

describe("encryption by the loader", function()
  it("is forbidden by one bit", function()
    for id, at in pairs { esp32 = { 0x3FF5A018, 7 }, esp32s2 = { 0x3F41A030, 19 }, esp32c2 = { 0x60008830, 6 },
                          esp32c3 = { 0x60008830, 20 }, esp32c61 = { 0x600B4830, 14 } } do
      assert.is_true(identity.encrypted_download_disabled(chip_with(id, { [at[1]] = 1 << at[2] })), id)
      assert.is_false(identity.encrypted_download_disabled(chip_with(id)), id)
    end
  end)

  it("of an ESP32 looks at the crypt configuration, which counts as right when it is hidden", function()
    assert.equal(0, identity.flash_crypt_config(chip_with "esp32"))
    assert.equal(9, identity.flash_crypt_config(chip_with("esp32", { [0x3FF5A014] = 9 << 28 })))
    assert.equal(15, identity.flash_crypt_config(chip_with("esp32", { [0x3FF5A000] = 1 << 19 })))
    assert.is_nil(identity.flash_crypt_config(chip_with "esp32c3"))
  end)
end)
