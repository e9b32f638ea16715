-- What is refused before anything is written. The chips are eFuse words only: no loader, no line.
local checks = require "esp.flash_checks"
local chips = require "esp.chips"

local function chip(id, o)
  o = o or {}
  local data = chips.get(id)
  local words = chips.initial(data, { revision = o.revision })
  local function read(a) return words[a] or 0 end
  local function write(a, w) words[a] = w end
  for name, value in pairs(o.fuses or {}) do chips.field_set(data.security[name], value, read, write) end
  for i, purpose in pairs(o.purposes or {}) do chips.field_set(data.security.key_purposes[i], purpose, read, write) end
  local c = { data = data, sdm = o.sdm, stub = false, security = o.security, events = {} }
  c.on_event = function(e) c.events[#c.events + 1] = e end
  function c:read_reg(address)
    assert(not self.sdm, "a register was read in secure download mode")
    return read(address)
  end
  return c
end

local function payload(bytes)
  return { size = function() return #bytes end, read = function(_, at, n) return bytes:sub(at + 1, at + n) end }
end

local function region(bytes, address, name, encrypt)
  return { name = name or "app.bin", address = address or 0x10000, size = #bytes, payload = payload(bytes),
           encrypt = encrypt }
end

local function file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

local HELLO_C3, HELLO_32 = file "examples/hello/hello-esp32c3.bin", file "examples/hello/hello-esp32.bin"
local function set(bytes, at, new) return bytes:sub(1, at) .. new .. bytes:sub(at + #new + 1) end
local function limits(min_old, min, max) return set(HELLO_C3, 14, ("<BI2I2"):pack(min_old, min, max)) end
-- ESP8266, version 1: one segment of 8 bytes in instruction RAM; checksum by hand.
local V1 = "\xE9\1\0\x40\0\0\x10\x40\0\0\x10\x40\8\0\0\0\1\2\3\4\5\6\7\8\0\0\0\0\0\0\0\xE7"

local function refused(code, pattern, c, regions, opts)
  local ok, err = pcall(checks.run, c, regions, opts or {})
  assert.is_false(ok)
  assert.equal(code, err.code, tostring(err))
  assert.matches(pattern, err.message, 1, true)
  return err
end

local function passes(c, regions, opts)
  local ok, err = pcall(checks.run, c, regions, opts or {})
  assert.is_true(ok, tostring(err))
end

describe("an image", function()
  it("for another chip is refused, naming both and the file", function()
    refused("wrong_chip", "app.bin at 0x10000: image is for ESP32-C3, the chip is ESP32", chip "esp32",
            { region(HELLO_C3) })
    refused("wrong_chip", "image is for ESP32, the chip is ESP32-C3", chip "esp32c3", { region(HELLO_32) })
    refused("wrong_chip", "image is for ESP32-C3, the chip is ESP8266", chip "esp8266", { region(HELLO_C3) })
    refused("wrong_chip", "image is for ESP8266, the chip is ESP32-C3", chip "esp32c3",
            { region(V1 .. ("\xFF"):rep(256)) })
    passes(chip "esp8266", { region(V1) })
    passes(chip "esp32c3", { region(V1) })                -- too small for a program: may be chance
    passes(chip "esp32c3", { region(HELLO_C3) })
    passes(chip "esp32", { region(HELLO_C3) }, { force = true })
  end)

  it("for a chip with an id above 255 is not taken for another", function()
    refused("wrong_chip", "an unknown chip (id 261)", chip "esp32c3", { region(set(HELLO_C3, 12, "\5\1")) })
  end)

  it("anywhere in the list is checked before anything happens", function()
    refused("wrong_chip", "second.bin", chip "esp32", { region(HELLO_32), region(HELLO_C3, 0x20000, "second.bin") })
  end)

  for _, case in ipairs {
    { "is too old for it", { 0, 4, 199 }, 3,
      "app.bin at 0x10000: image wants chip revision v0.4 or higher, this ESP32-C3 is v0.3" },
    { "is too new for it", { 0, 3, 99 }, 101, "revision v0.99 at most, this ESP32-C3 is v1.1" },
    { "is too old, by the old byte", { 4, 0, 0 }, 3, "minor revision 4 or higher" },
  } do
    it("is refused when the chip " .. case[1], function()
      refused("wrong_revision", case[4], chip("esp32c3", { revision = case[3] }),
              { region(limits(table.unpack(case[2]))) })
      passes(chip("esp32c3", { revision = case[3] }), { region(limits(table.unpack(case[2]))) }, { force = true })
    end)
  end
  it("is taken by a chip inside of its limits", function()
    passes(chip("esp32c3", { revision = 4 }), { region(limits(4, 0, 0)) })
    passes(chip("esp32c3", { revision = 101 }), { region(limits(0, 3, 0xFFFF)) })
  end)

  it("that is cut is refused with the offset", function()
    for _, n in ipairs { #HELLO_C3 - 1, #HELLO_C3 - 40, 100 } do
      refused("bad_image", "app.bin: cut short", chip "esp32c3", { region(HELLO_C3:sub(1, n)) })
    end
    passes(chip "esp32c3", { region(HELLO_C3:sub(1, 100)) }, { force = true })
  end)
  it("with a wrong checksum is refused, with a wrong digest warned of", function()
    refused("bad_image", "checksum", chip "esp32c3", { region(set(HELLO_C3, 60, "\0\1\2")) })
    local c = chip "esp32c3"
    passes(c, { region(set(HELLO_C3, #HELLO_C3 - 1, "\0")) })
    assert.equal("image_digest", c.events[1].code)
  end)
  it("is nothing that only begins like one", function()
    passes(chip "esp32c3", { region("\xE9" .. ("\x5A"):rep(5000)), region("\xE9", 0x20000), region("\xEA\4", 0x30000),
                             region(("\xE9"):rep(64), 0x40000) })
  end)
  it("is checked for its chip but not its revision in secure download mode", function()
    local c = chip("esp32c3", { sdm = true, security = { crypt_cnt = 0, set = {} } })
    passes(c, { region(limits(0, 9000, 0xFFFF)) })
    refused("wrong_chip", "ESP32-C3", c, { region(HELLO_32) })
  end)
end)

describe("a chip with security features", function()
  it("with secure boot V1 keeps what lies below 0x8000", function()
    local c = chip("esp32", { fuses = { secure_boot_v1 = 1 } })
    refused("protected_region", "secure boot V1 is on and what lies below 0x8000", c, { region("x", 0x7000) })
    passes(c, { region("x", 0x8000) })
    passes(c, { region("x", 0x7000) }, { force = true })
    passes(chip "esp32", { region("x", 0x1000) })
  end)
  it("with the Key Manager keeps what lies below 0x2000", function()
    for _, id in ipairs { "esp32c5", "esp32h4", "esp32p4", "esp32s31" } do
      local c = chip(id, { fuses = { key_manager_xts = 1 } })
      refused("protected_region", "Key Manager and what lies below 0x2000", c, { region("x", 0x1FFF) })
      passes(c, { region("x", 0x2000) })
    end
  end)
  it("that decrypts and cannot encrypt takes nothing plain", function()
    local c = chip("esp32c3", { fuses = { flash_crypt_cnt = 1, dl_encrypt_disabled = 1 } })
    refused("encryption_active", "app.bin at 0x10000: refused, written plain while flash encryption is on (release", c,
            { region "x" })
    passes(c, { region "x" }, { force = true })
    passes(chip("esp32c3", { fuses = { flash_crypt_cnt = 3, dl_encrypt_disabled = 1 } }), { region "x" })
  end)
  it("in development mode is warned of", function()
    local c = chip("esp32c3", { fuses = { flash_crypt_cnt = 7 } })
    passes(c, { region "x" })
    assert.equal("encryption_active", c.events[1].code)
  end)
  it("in secure download mode is judged by its security info", function()
    local odd = chip("esp32c3", { sdm = true, security = { crypt_cnt = 1, set = {} } })
    refused("encryption_active", "(secure download mode)", odd, { region "x" })
    passes(odd, { region "x" }, { force = true })
    passes(chip("esp32c3", { sdm = true, security = { crypt_cnt = 3, set = {} } }), { region "x" })
  end)
  it("may not be erased without force", function()
    for _, fuses in ipairs { { secure_boot = 1 }, { flash_crypt_cnt = 1 } } do
      local ok, err = pcall(checks.erasable, chip("esp32c3", { fuses = fuses }), {})
      assert.is_false(ok)
      assert.equal("protected_region", err.code)
      checks.erasable(chip("esp32c3", { fuses = fuses }), { force = true })
    end
    local key_manager = chip("esp32p4", { fuses = { key_manager_xts = 1 } })
    assert.is_false((pcall(checks.erasable, key_manager, {}, 0x1000)))
    checks.erasable(key_manager, {}, 0x2000)
    checks.erasable(chip "esp8266", {})
    checks.erasable(chip("esp32c3", { sdm = true }), {})
  end)
end)

describe("encrypted writing", function()
  local XTS_128 = 4
  it("is refused where the loader cannot", function()
    refused("unsupported", "the ESP8266 cannot write encrypted", chip "esp8266", { region "x" }, { encrypt = true })
    refused("unsupported", "the ESP32's ROM loader cannot", chip "esp32", { region "x" }, { encrypt = true })
  end)
  it("is refused in release mode", function()
    refused("encryption_refused", "switched off", chip("esp32c3", { fuses = { dl_encrypt_disabled = 1 } }),
            { region "x" }, { encrypt = true, ignore_flash_enc_efuse = true })
  end)
  it("is refused without a key, unless that is to be ignored", function()
    refused("encryption_refused", "key is not programmed", chip "esp32c3", { region "x" }, { encrypt = true })
    passes(chip "esp32c3", { region "x" }, { encrypt = true, ignore_flash_enc_efuse = true })
    passes(chip("esp32c3", { purposes = { XTS_128 } }), { region "x" }, { encrypt = true })
  end)
  it("needs aligned addresses of just the files it is for", function()
    local c = chip("esp32c3", { purposes = { XTS_128 } })
    refused("bad_argument", "b.bin at 0x11008: encrypted writing needs an address that is a multiple of 16", c,
            { region("x", 0x10000, "a.bin", true), region("x", 0x11008, "b.bin", true) })
    passes(c, { region("x", 0x10000, "a.bin", true), region("x", 0x12008, "b.bin") })
    passes(c, { region("x", 0x12008, "b.bin", false) }, { encrypt = true })
  end)
  it("of some files leaves the other checks for them on", function()
    refused("wrong_chip", "enc.bin", chip("esp32c3", { purposes = { XTS_128 } }),
            { region("x", 0x20000), region(HELLO_32, 0x10000, "enc.bin", true) })
  end)
  it("looks only at the alignment in secure download mode", function()
    local c = chip("esp32c3", { sdm = true, security = { crypt_cnt = 1, set = {} } })
    refused("bad_argument", "multiple of 16", c, { region("x", 0x10001) }, { encrypt = true })
    passes(c, { region("x", 0x10010) }, { encrypt = true })
  end)
end)

describe("a region", function()
  it("that does not fit is refused with file, length, offset and size, and force does not help", function()
    local ok, err = pcall(checks.fits, { region(("x"):rep(5000), 0x3FF000) }, 0x400000)
    assert.is_false(ok)
    assert.equal("does_not_fit", err.code)
    assert.equal("app.bin: 5000 bytes at 0x3FF000 do not fit in flash of 4194304 bytes (4MB)", err.message)
    checks.fits({ region(("x"):rep(4096), 0x3FF000) }, 0x400000)
    checks.fits({ region("x", 0xFFFFFFF) }, nil)
  end)
end)

describe("the settings in an image's header", function()
  it("are known by name", function()
    local c = chip "esp32c3"
    local boot = { { address = 0, size = 100 } }
    assert.is_nil(checks.header_settings(c, {}, boot))
    assert.is_nil(checks.header_settings(c, { flash_mode = "keep", flash_freq = "keep" }, boot))
    assert.same({ mode = 2, freq = 0xF, size = 0x20 },
                checks.header_settings(c, { flash_mode = "dio", flash_freq = "80m" }, boot, "4MB"))
    for _, bad in ipairs { { flash_mode = "opi" }, { flash_freq = "60m" } } do
      bad.lenient = true
      assert.is_nil(checks.header_settings(c, bad, { { address = 0x10000, size = 100 } }))
      local ok, err = pcall(checks.header_settings, c, bad, boot)
      assert.is_false(ok)
      assert.equal("bad_argument", err.code)
      assert.matches("keep", err.hint)
    end
    assert.same({ freq = 0xF }, checks.header_settings(chip "esp32c2", { flash_freq = "60m" }, boot))
  end)

  local WANTED = { mode = 0 }
  local function patches(c, r)
    return checks.header_patches(c, r, WANTED, {}), c.events[1] and c.events[1].code
  end
  it("are changed only where the bootloader goes", function()
    local p = patches(chip "esp32c3", region(HELLO_C3, 0))
    assert.same({ 2, "\0" .. HELLO_C3:sub(4, 4) }, p[1])
    assert.equal(2, #p)
    assert.is_nil((patches(chip "esp32c3", region(HELLO_C3, 0x10000))))
    assert.is_nil((checks.header_patches(chip "esp32c3", region(HELLO_C3, 0), nil, {})))
    assert.equal(2, #patches(chip "esp32", region(HELLO_32, 0x1000)))
    assert.is_nil((patches(chip "esp32", region(HELLO_32, 0))))
  end)
  for _, case in ipairs {
    { "secure boot is on", { fuses = { secure_boot = 1 } }, HELLO_C3 },
    { "the chip is in secure download mode", { sdm = true, security = { crypt_cnt = 0, set = {} } }, HELLO_C3 },
    { "it is no image", {}, ("x"):rep(100) }, { "it is another chip's", {}, HELLO_32 },
    { "it is damaged", {}, set(HELLO_C3, 60, "\1\2\3") },
  } do
    it("are kept with a warning when " .. case[1], function()
      local p, warned = patches(chip("esp32c3", case[2]), region(case[3], 0))
      assert.is_nil(p)
      assert.equal("header_kept", warned)
    end)
  end
end)
