-- The accelerators, random numbers and flash encryption of a chip that runs a ROM, through their registers. The ROMs
-- are a few instructions of our own (spec/support/fake_rom.lua).
local fake_rom = require "spec.support.fake_rom"
local rawhost = require "spec.support.rawhost"
local sim = require "esp.sim"

local function unhex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end
local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

-- Bytes from and to registers.
local function put(chip, address, bytes)
  for i = 1, #bytes, 4 do chip:reg(address + i - 1, (string.unpack("<I4", bytes, i))) end
end
local function get(chip, address, n)
  local out = {}
  for i = 1, n, 4 do out[#out + 1] = string.pack("<I4", chip:reg(address + i - 1)) end
  return table.concat(out)
end

-- Numbers are written with the highest digit first, and are in memory the other way round.
local function put_number(chip, address, digits) put(chip, address, unhex(digits):reverse()) end
local function number(chip, address, n) return hex(get(chip, address, n):reverse()):upper() end

describe("the SHA accelerator", function()
  local SHA, MODE, START, CONTINUE, H, M = 0x6003B000, 0x00, 0x10, 0x14, 0x40, 0x80

  -- FIPS 180-4 examples (csrc.nist.gov, "Secure Hash Standard"): "abc", and 448 bits that take two blocks.
  local ABC = "abc\x80" .. ("\0"):rep(59) .. "\x18"
  local LONG = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
  it("gives the digests of the standard", function()
    local chip <close> = fake_rom.chip { chip = "esp32c3" }
    for _, case in ipairs { { 0, "a9993e364706816aba3e25717850c26c9cd0d89d", 20 },
                            { 2, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 32 } } do
      chip:reg(SHA + MODE, case[1])
      put(chip, SHA + M, ABC)
      chip:reg(SHA + START, 1)
      assert.equal(case[2], hex(get(chip, SHA + H, case[3])))
    end
    put(chip, SHA + M, LONG .. "\x80" .. ("\0"):rep(7))
    chip:reg(SHA + START, 1)
    put(chip, SHA + M, ("\0"):rep(62) .. "\x01\xC0")
    chip:reg(SHA + CONTINUE, 1)
    assert.equal("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", hex(get(chip, SHA + H, 32)))
  end)

  -- Registers of the ESP32: text and digest are words as the standard writes them; start, continue, load per kind.
  it("of the ESP32 keeps a state for each kind", function()
    local chip <close> = fake_rom.chip { chip = "esp32" }
    local base = 0x3FF03000
    local function text(bytes) put(chip, base, (bytes:gsub("....", string.reverse))) end
    text(LONG .. "\x80" .. ("\0"):rep(7))
    chip:reg(base + 0x90, 1)
    text(ABC)
    chip:reg(base + 0x80, 1)
    text(("\0"):rep(62) .. "\x01\xC0")
    chip:reg(base + 0x94, 1)
    assert.equal(0, chip:reg(base + 0x9C))
    chip:reg(base + 0x98, 1)
    assert.equal(0x248d6a61, chip:reg(base))
    assert.equal(0x19db06c1, chip:reg(base + 28))
    chip:reg(base + 0x88, 1)
    assert.equal(0xa9993e36, chip:reg(base))
    assert.equal(0x9cd0d89d, chip:reg(base + 16))
    text("abc\x80" .. ("\0"):rep(123) .. "\x18")     -- SHA-512: ddaf35a1 ... a54ca49f
    chip:reg(base + 0xB0, 1)
    chip:reg(base + 0xB8, 1)
    assert.equal(0xddaf35a1, chip:reg(base))
    assert.equal(0xa54ca49f, chip:reg(base + 60))
  end)
end)

describe("the AES accelerator", function()
  -- FIPS 197, appendix C.1 and C.3.
  local PLAIN = unhex "00112233445566778899aabbccddeeff"
  local KEY = unhex "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
  local CASES = { { 0, "69c4e0d86a7b0430d8cdb78070b4c55a" }, { 2, "8ea2b7ca516745bfeafc49904b496089" } }

  it("encrypts and decrypts a block", function()
    local chip <close> = fake_rom.chip { chip = "esp32c3" }
    local base = 0x6003A000
    put(chip, base, KEY)
    for _, case in ipairs(CASES) do
      for _, way in ipairs { { 0, PLAIN, unhex(case[2]) }, { 4, unhex(case[2]), PLAIN } } do
        put(chip, base + 0x20, way[2])
        chip:reg(base + 0x40, case[1] + way[1])
        chip:reg(base + 0x48, 1)
        assert.equal(0, chip:reg(base + 0x4C))
        assert.equal(hex(way[3]), hex(get(chip, base + 0x30, 16)))
      end
    end
  end)

  it("of the ESP32 does so in place", function()
    local chip <close> = fake_rom.chip { chip = "esp32" }
    local base = 0x3FF01000
    put(chip, base + 0x10, KEY)
    for _, case in ipairs(CASES) do
      put(chip, base + 0x30, PLAIN)
      chip:reg(base + 0x08, case[1])
      chip:reg(base, 1)
      assert.equal(1, chip:reg(base + 4))
      assert.equal(case[2], hex(get(chip, base + 0x30, 16)))
      chip:reg(base + 0x08, case[1] + 4)
      chip:reg(base, 1)
      assert.equal(hex(PLAIN), hex(get(chip, base + 0x30, 16)))
    end
  end)
end)

describe("the RSA accelerator", function()
  local M, Z, Y, X = 0x000, 0x200, 0x400, 0x600
  -- The order of P-256 (SEC 2) as a modulus, its -1/N and R*R, and results: Python's integers, pow(x, y, n).
  local N = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"
  local N_PRIME, RR = 0xEE00BC4F, "66E12D94F3D956202845B2392B6BEC594699799C49BD6FA683244C95BE79EEA2"
  local A = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
  local B = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
  local A_TO_B = "8284BD0528DD2C9E2CD20589F8B432D1C9885328B9E42ED6FA747AF7B1CD95F5"
  local A_B_MOD_N = "50F972342C5673503227FC887CFBD08E18DF9568D16C0571E8AADFC7D5CC5087"
  local A_B = "2DD9F5CB64223652AF0ED4DE4D7E63AAD5A0978EA344B8DCD46AD9FBA01FBEC5" ..
              "79D44EB0988CA8A4DBEBBF984733203C688C5FAC44DE6566292B866A8DFB9FC6"

  local function modular(chip, base, start)
    put_number(chip, base + M, N)
    put_number(chip, base + X, A)
    put_number(chip, base + Y, B)
    put_number(chip, base + Z, RR)
    chip:reg(base + 0x800, N_PRIME)
    chip:reg(base + 0x804, 7)
    chip:reg(base + start, 1)
    return number(chip, base + Z, 32)
  end

  it("raises to a power, multiplies with and without a modulus", function()
    for _, case in ipairs { { "esp32c3", 0x6003C000 }, { "esp32c6", 0x6008A000 } } do
      local chip <close> = fake_rom.chip { chip = case[1] }
      local base = case[2]
      assert.equal(1, chip:reg(base + 0x808))           -- memory is ready
      assert.equal(0, chip:reg(base + 0x818))
      assert.equal(A_TO_B, modular(chip, base, 0x80C))
      assert.equal(1, chip:reg(base + 0x818))           -- the interrupt
      chip:reg(base + 0x81C, 1)
      assert.equal(0, chip:reg(base + 0x818))
      assert.equal(A_B_MOD_N, modular(chip, base, 0x810))
      chip:reg(base + 0x804, 15)                        -- words of the product, less one
      put_number(chip, base + X, A)
      put_number(chip, base + Z + 32, B)
      chip:reg(base + 0x814, 1)
      assert.equal(A_B, number(chip, base + Z, 64))
    end
  end)

  -- The prime of group 2 of RFC 2409; 3^65537 by Python's integers. By Fermat, 3^(P-1) is 1.
  local P = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD" ..
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED" ..
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF"
  local P_RR = "6415C2823C303EAD034528C75A74698D432567CCE98616FBB990E34CA6B7648D010D8FECC38880C20092D1E7310041C7" ..
    "E12791E4EB655E020CB0152674CE158CA513AEA863E637F20D955E8400C51C6D64E95D0D01B808031F69FBFA267F09B5" ..
    "55DA58A4969989E37CAE72321893172AC52E1890C7B5E3B286B8F05560031F42"
  local THREE_TO_65537 =
    "123C66C4D2624BEAFA61FF0A81EB4ACBDFE68C885251CA2C7378C4FB08A93A7B8E4545B40AD0D4078E46806C3A7EC826" ..
    "99DA799CC61FBA78214D3BC337F5BDA6DB67290B9A00A2A1A3E4D24834CBBDF2CC50DC340D7051D698230AF58B3D4467" ..
    "F9ED5B62E504D5B25B9DBF68C5A5A2539A35871FD003622EF6175A6E025D09AE"
  it("works on 1024 bits, and keeps to the constants it is given", function()
    local chip <close> = fake_rom.chip { chip = "esp32c3" }
    local base = 0x6003C000
    local function three_to(exponent, prime)
      put_number(chip, base + M, P)
      put_number(chip, base + X, ("0"):rep(255) .. "3")
      put_number(chip, base + Y, ("0"):rep(256 - #exponent) .. exponent)
      put_number(chip, base + Z, P_RR)
      chip:reg(base + 0x800, prime)
      chip:reg(base + 0x804, 31)
      chip:reg(base + 0x80C, 1)
      return number(chip, base + Z, 128)
    end
    assert.equal(THREE_TO_65537, three_to("010001", 1))
    assert.equal(("0"):rep(255) .. "1", three_to(P:sub(1, -2) .. "E", 1))
    assert.not_equal(THREE_TO_65537, three_to("010001", 3))
  end)

  it("of the ESP32 does the same with registers of its own", function()
    local chip <close> = fake_rom.chip { chip = "esp32" }
    local base = 0x3FF02000
    put_number(chip, base + M, P)
    put_number(chip, base + X, ("0"):rep(255) .. "3")
    put_number(chip, base + Y, ("0"):rep(250) .. "010001")
    put_number(chip, base + Z, P_RR)
    chip:reg(base + 0x800, 1)
    chip:reg(base + 0x804, 1)                           -- twice 512 bits
    chip:reg(base + 0x808, 1)
    assert.equal(THREE_TO_65537, number(chip, base + Z, 128))
    assert.equal(1, chip:reg(base + 0x814))
    chip:reg(base + 0x814, 1)
    assert.equal(0, chip:reg(base + 0x814))
    -- One step of Montgomery each: X * R*R / R, then that times Y / R.
    put_number(chip, base + Z, P_RR)
    chip:reg(base + 0x80C, 1)
    chip:reg(base + 0x810, 1)
    put_number(chip, base + X, ("0"):rep(255) .. "5")
    chip:reg(base + 0x810, 1)
    assert.equal(("0"):rep(255) .. "F", number(chip, base + Z, 128))
    put_number(chip, base + X, ("0"):rep(64) .. A)
    put_number(chip, base + Z + 64, ("0"):rep(64) .. B)
    chip:reg(base + 0x80C, 8 + 1)                       -- without a modulus
    chip:reg(base + 0x810, 1)
    assert.equal(A_B, number(chip, base + Z, 64))
  end)

  it("takes its time, so that a program that does nothing else cannot hold the host up", function()
    local r = fake_rom
    local chip <close> = fake_rom.chip({ chip = "esp32c3", rate = "real" }, {
      r.lui(5, 0x6003D000), r.addi(6, 0, 31), r.sw(6, -2044, 5),           -- 1024 bits
      r.sw(6, -2036, 5), r.bne(6, 0, -4),
    })
    chip:exchange("", 0.001)
    put(chip, 0x6003C400, ("\xFF"):rep(128))
    chip:exchange("", 0.02)
    assert.is_true(chip:cpu().instructions < 1000)
    assert.is_true(chip:cpu().running)
  end)
end)

describe("the ECC accelerator", function()
  -- RFC 5903, 8.1: a private number and its public point on P-256.
  local K = "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433"
  local KX = "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180"
  local KY = "5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3"
  -- SEC 2: the base point.
  local GX = "6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296"
  local GY = "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"

  for _, case in ipairs { { "esp32c2", 0x6003E000, 5, 8, 32 }, { "esp32c6", 0x6008B000, 5, 8, 32 },
                          { "esp32h2", 0x6008B000, 4, 29, 32 }, { "esp32c5", 0x6008B000, 5, 29, 48 } } do
    local chip_name, base, mode, good, size = table.unpack(case)
    it("multiplies a point and tells whether it is one, " .. chip_name, function()
      local chip <close> = fake_rom.chip { chip = chip_name }
      local conf, k, x, y = base + 0x1C, base + 0x100, base + 0x100 + size, base + 0x100 + 2 * size
      put_number(chip, k, K)
      put_number(chip, x, GX)
      put_number(chip, y, GY)
      chip:reg(conf, 1 | 1 << 2 | 3 << mode)            -- check, then multiply, P-256
      assert.equal(1, chip:reg(base + 0x0C))            -- done
      assert.equal(1, chip:reg(conf) >> good & 1)
      assert.equal(0, chip:reg(conf) & 1)
      assert.equal(KX, number(chip, x, 32))
      assert.equal(KY, number(chip, y, 32))
      put_number(chip, y, GY)                           -- not on the curve any more
      chip:reg(conf, 1 | 1 << 2 | 2 << mode)
      assert.equal(0, chip:reg(conf) >> good & 1)
      chip:reg(base + 0x18, 1)
      assert.equal(0, chip:reg(base + 0x0C))
    end)
  end
end)

describe("the ECDSA accelerator", function()
  -- RFC 6979, A.2.5: P-256, SHA-256, "sample".
  local QX = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
  local QY = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
  local R = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
  local S = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
  local Z = "AF2BDBE1AA9B6EC1E2ADE1D694F41FC71A831D0268E9891562113D8A62ADD1BF"

  for _, case in ipairs { { "esp32h2", 0x6008E000, 0x8 | 0x2, 0xA00, 32 },
                          { "esp32c61", 0x6008E000, 0x10 | 0x4, 0x340, 32 },
                          { "esp32c5", 0x6008E000, 0x20 | 0x4, 0x3E0, 48 } } do
    local chip_name, base, conf, memory, size = table.unpack(case)
    it("takes a good signature and refuses others, " .. chip_name, function()
      local chip <close> = fake_rom.chip { chip = chip_name }
      local function check(...)
        chip:reg(base + 0x04, conf)
        chip:reg(base + 0x1C, 1)
        assert.equal(1, chip:reg(base + 0x20))          -- waits for its numbers
        for i, digits in ipairs { ... } do put_number(chip, base + memory + (i - 1) * size, digits) end
        chip:reg(base + 0x1C, 2)
        assert.equal(0, chip:reg(base + 0x20))
        return chip:reg(base + 0x24)
      end
      assert.equal(1, check(R, S, Z, QX, QY))
      assert.equal(0, check(S, R, Z, QX, QY))
      assert.equal(0, check(R, S, Z:gsub("^A", "B"), QX, QY))
      assert.equal(0, check(R, S, Z, QY, QX))
      assert.equal(0, check(("0"):rep(64), S, Z, QX, QY))
      assert.equal(1, check(R, S, Z, QX, QY))
    end)
  end
end)

describe("the random number generator", function()
  it("gives other numbers every time, and the same for the same seed", function()
    local function draw(seed)
      local chip <close> = fake_rom.chip { chip = "esp32c6", seed = seed }
      local list = {}
      for i = 1, 8 do list[i] = chip:reg(0x600B2808) end
      return list
    end
    local first = draw(1)
    for i = 2, 8 do assert.not_equal(first[i - 1], first[i]) end
    assert.same(first, draw(1))
    assert.not_same(first, draw(2))
  end)
end)

describe("flash encryption", function()
  -- espsecure v5.2.0, encrypt-flash-data --aes-xts: key of the bytes 0, 1, 2, ...; 96 bytes (7 * i + 3) & 0xFF.
  local PLAIN = {}
  for i = 0, 95 do PLAIN[#PLAIN + 1] = string.char((7 * i + 3) & 0xFF) end
  PLAIN = table.concat(PLAIN)
  local AT_0 = unhex [[
    cdf65c23e1249b9755fce07e399d06c3354316196ca6d064299e9610f2f0da1ce4e7a9dc85e88f9bc723c576a197f2f9
    a6ccaeff665ff28969bc2b7ebc3032051c9e0639891ef90ed104108b2d543b2e5a378f48cc6290052885c8cf6c57dfcd]]
  local AT_10020 = unhex [[
    dbcd14463f0c8b35805b808afe2ca85b2f6c50a24f46fa9d8792c95665021e55f0d2f12ea1c42a67c5faebc1c74cb7f5
    ca8aa2d92da28121b5a5425a8fa6de57ca81996ca4e4e218bc78e6d7d1f5c0243b3137fb618ded77ee378ca407fb7388]]
  local AT_10020_256 = unhex [[
    a53519642af8a7b7e3cc652ae92809f31d42f5a678c608f89547e795f39fb70fefd408959b04971bb098d01c27410e23
    b9c5c197378718b977eac46f38eb01c4489358d6d8f5cf9e1e165ef5f3232fb5311b03bddd41f24b12a6e36d5acfa357]]

  -- With a key of 16 bytes, as the ESP32-C2 has:
  local AT_10020_HALF = unhex [[
    c298a5dac796fb739199ac82a1be8218804dca575191c4f73ff56accfd82d4a7120610ae4392a7857062b156521e5516
    579d2275f5cae280d64e9deed7fcdcb95a772faaa007ced193bf9a89ac73fbad43b889c3cfe554791f9e876e80a0ed46]]

  -- Burns a key as espefuse does: its last byte first.
  local function burn(chip, block, first)
    for w = 0, 7 do
      local b = first + 31 - 4 * w
      chip:efuse_word(block, w, b | b - 1 << 8 | b - 2 << 16 | b - 3 << 24)
    end
  end

  local function write_encrypted(chip, bytes)
    local host <close> = rawhost.new(chip)
    local words = rawhost.words
    host:command(0x08, "\x07\x07\x12\x20" .. ("U"):rep(32))
    host:command(0x0D, words(0, 0))
    local data = ("\xFF"):rep(0x20) .. bytes
    host:command(0x02, words(#data, 1, #data, 0x10000, 1))
    host:command(0x03, words(#data, 0, 0, 0) .. data, rawhost.checksum(data))
    return hex(chip:flash(0x10020, #bytes))
  end

  it("stretches half a key where there is but one block for it", function()
    local chip <close> = sim.new { chip = "esp32c2", crystal = 40, flash_encryption = true }
    for w = 0, 3 do
      local b = 15 - 4 * w
      chip:efuse_word(3, w, b | b - 1 << 8 | b - 2 << 16 | b - 3 << 24)
    end
    assert.equal(hex(AT_10020_HALF), write_encrypted(chip, PLAIN))
    local whole <close> = sim.new { chip = "esp32c2", crystal = 40, flash_encryption = true }
    burn(whole, 3, 0)
    whole:efuse_word(0, 1, 1 << 10)                     -- XTS_KEY_LENGTH_256
    whole:reset()
    assert.equal(hex(AT_10020), write_encrypted(whole, PLAIN))
  end)

  it("is what the loader's model writes, when there is a key", function()
    for _, case in ipairs { { "esp32c3", "4", { 0 }, AT_10020 }, { "esp32c6", "0,4", { false, 0 }, AT_10020 },
                            { "esp32s3", "2,3", { 0, 32 }, AT_10020_256 } } do
      local chip <close> = sim.new { chip = case[1], keys = case[2], flash_encryption = true }
      for i, first in ipairs(case[3]) do
        if first then burn(chip, 3 + i, first) end
      end
      assert.equal(hex(case[4]), write_encrypted(chip, PLAIN))
    end
  end)

  -- The sequence of the Technical Reference Manual: plain bytes, line, address, trigger, release, program.
  local function encrypt(chip, base, spi, address, bytes, line)
    -- The pad of the clock, as SPI_ATTACH of the one ROM and of the other does: without it there is no flash.
    for _, pad in ipairs { 0x60009040, 0x60090078 } do chip:reg(pad, 0) end
    chip:reg(base + 0x40, line)
    chip:reg(base + 0x44, 0)
    chip:reg(base + 0x48, address)
    put(chip, base + address % (line == 2 and 64 or 32), bytes)
    chip:reg(base + 0x4C, 1)
    assert.equal(2, chip:reg(base + 0x58))
    chip:reg(base + 0x50, 1)
    local state = chip:reg(base + 0x58)
    chip:reg(spi, 1 << 30)
    chip:reg(spi, 1 << 25)
    chip:reg(base + 0x54, 1)
    return state
  end

  it("is done by the block that feeds the flash controller", function()
    local chip <close> = fake_rom.chip { chip = "esp32c3", keys = "4", flash_encryption = true }
    burn(chip, 4, 0)
    chip:reg(0x600C0044, 9)                             -- manual encryption, also in download mode
    for at = 0, 95, 32 do
      assert.equal(3, encrypt(chip, 0x600CC000, 0x60002000, 0x10020 + at, PLAIN:sub(at + 1, at + 32), 1))
    end
    assert.equal(hex(AT_10020), hex(chip:flash(0x10020, 96)))
    assert.equal(("ff"):rep(16), hex(chip:flash(0x10010, 16)))
    assert.equal(("ff"):rep(16), hex(chip:flash(0x10080, 16)))
    assert.equal(0, chip:reg(0x600CC000))               -- nobody reads plain bytes back
    local six <close> = fake_rom.chip { chip = "esp32c6", keys = "4", boot = "flash", flash_encryption = true }
    burn(six, 4, 0)
    six:reg(0x60095000, 1)
    encrypt(six, 0x60002300, 0x60003000, 0x10040, PLAIN:sub(33, 96), 2)
    assert.equal(hex(AT_10020:sub(33, 96)), hex(six:flash(0x10040, 64)))
  end)

  it("is not done in download mode where an eFuse forbids it", function()
    local chip <close> = fake_rom.chip {
      chip = "esp32c3", keys = "4", flash_encryption = true, dl_encrypt_disabled = true,
    }
    burn(chip, 4, 0)
    chip:reg(0x600C0044, 9)
    encrypt(chip, 0x600CC000, 0x60002000, 0x10020, PLAIN:sub(1, 32), 1)
    assert.not_equal(hex(AT_10020:sub(1, 32)), hex(chip:flash(0x10020, 32)))
  end)

  -- Shows the first 96 bytes of flash through the window, on the UART.
  local T0, T1, T2, T3, A0 = 5, 6, 7, 28, 10
  local r = fake_rom
  local SHOW = {
    r.lui(T0, 0x600C5000), r.sw(0, 0, T0), r.lui(T1, 0x42000000), r.lui(T2, 0x60000000), r.addi(T3, 0, 96),
    r.lbu(A0, 0, T1), r.sw(A0, 0, T2), r.addi(T1, T1, 1), r.addi(T3, T3, -1), r.bne(T3, 0, -16), r.STOP,
  }
  local function shown(options)
    options.chip = "esp32c3"
    local chip <close> = fake_rom.chip(options, SHOW)
    burn(chip, 4, 0)
    chip:poke_flash(0, AT_0)
    chip:reset(options.boot)
    chip:exchange("", 0.1)
    chip:reset(options.boot)
    return hex((chip:exchange("", 1)):sub(-96))
  end

  it("is undone by the window after a boot from flash, when the count is odd", function()
    assert.equal(hex(PLAIN), shown { boot = "flash", keys = "4", flash_encryption = true })
    assert.equal(hex(AT_0), shown { boot = "flash", keys = "4" })
    assert.equal(hex(AT_0), shown { boot = "download", keys = "4", flash_encryption = true })
    assert.equal(hex(AT_0), shown { boot = "flash", keys = "9", flash_encryption = true })  -- no such key
  end)
end)

-- Ciphers by espsecure 5.2: encrypt-flash-data --flash-crypt-conf 0, of the same key and bytes.
describe("flash encryption of the ESP32, where the address takes no part,", function()
  local PLAIN = ""
  for i = 0, 63 do PLAIN = PLAIN .. string.char(i * 7 + 3 & 0xFF) end
  local COUNTED = "17604c72a2cd2f3b88a27126eea188ff7487efe6058868edc6256c46d03957a0"
    .. "1a443f5e735cd5dd709edb0f58726880a9e1510294e1d93172402d03a77819ce"
  local NO_KEY = "c47d369e395c3b61bf7be2ed21bde2f733b3790ee47b2853652448a55ad9607a"
    .. "bb4c638cdc0f4132d34aa3a97aedfec651841b13998c082dcba7425d72483501"

  -- A key of the bytes 1 to 32 is burned with the last one first.
  local function board()
    local chip = sim.new { chip = "esp32", flash_encryption = true }
    return chip, function()
      for i = 0, 7 do
        local last = 32 - 4 * i
        chip:efuse_word(1, i, last | (last - 1) << 8 | (last - 2) << 16 | (last - 3) << 24)
      end
    end
  end

  it("is what a loader writes", function()
    for _, expected in ipairs { COUNTED, NO_KEY } do
      local chip, burn_key = board()
      if expected == COUNTED then burn_key() end
      local host = require "esp".connect { port = chip:port(), env = {}, chip = "esp32", before = "no-reset",
                                           after = "no-reset" }
      host:flash({ { 0x10000, { data = PLAIN } } }, { encrypt = true, ignore_flash_enc_efuse = true })
      host:close()
      assert.equal(expected, hex(chip:flash(0x10000, 64)))
      chip:close()
    end
  end)

  it("is done by the block beside the flash controller", function()
    local BLOCK, CONTROL, START, ADDRESS, DONE = 0x3FF5B000, 0x3FF000C8, 0x20, 0x24, 0x28
    local CMD, ADDR, W0 = 0x3FF42000, 0x3FF42004, 0x3FF42080
    local PP, WREN = 1 << 25, 1 << 30                 -- TRM, SPI_CMD_REG
    local chip, burn_key = board()
    burn_key()
    local host = rawhost.new(chip)
    host:sync()
    host:command(0x0D, ("\0"):rep(8))
    for _, enabled in ipairs { 0x101, 0 } do
      local address = enabled == 0 and 0x2000 or 0x1000
      put(chip, BLOCK, PLAIN:sub(1, 32))
      chip:reg(BLOCK + ADDRESS, address)
      chip:reg(BLOCK + START, 1)
      assert.equal(1, chip:reg(BLOCK + DONE))
      chip:reg(CONTROL, enabled)
      chip:reg(CMD, WREN)
      put(chip, W0, PLAIN:sub(1, 32))
      chip:reg(ADDR, address | 32 << 24)
      chip:reg(CMD, PP)
      assert.equal(enabled == 0 and hex(PLAIN:sub(1, 32)) or COUNTED:sub(1, 64), hex(chip:flash(address, 32)))
    end
    chip:close()
  end)
end)
