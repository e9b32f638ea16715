-- The simulated flash and eFuses: cells, commands over the SPI registers, files.
-- Opcodes: data sheets of common serial NOR parts; SFDP: JEDEC JESD216; eFuse registers: Technical Reference Manuals.
local rawhost = require "spec.support.rawhost"
local sim = require "esp.sim"
local W = rawhost.words

local SPI = 0x60002000                              -- SPI1 of the ESP32-C3

local function with(options, fn)
  local chip = sim.new(options)
  local host <close> = rawhost.new(chip)
  host:sync()
  host:attach()
  return fn(host, chip)
end

-- One command to the flash, as hosts do it: user-defined, address from its lowest bit on, data in W0 and on.
local function spi(host, opcode, o)
  o = o or {}
  local usr = 1 << 31
  if o.addr then
    usr = usr | 1 << 30 | (o.dummy and 1 << 29 or 0)
    host:write_reg(SPI + 0x1C, 23 << 26 | (o.dummy or 1) - 1)
    host:write_reg(SPI + 0x04, o.addr)
  end
  if o.tx then
    usr = usr | 1 << 27
    host:write_reg(SPI + 0x24, #o.tx * 8 - 1)
    local padded = o.tx .. ("\0"):rep(-#o.tx % 4)
    for i = 0, #padded // 4 - 1 do host:write_reg(SPI + 0x58 + 4 * i, (("<I4"):unpack(padded, 4 * i + 1))) end
  else
    host:write_reg(SPI + 0x58, 0)
  end
  if o.bits then
    usr = usr | 1 << 28
    host:write_reg(SPI + 0x28, o.bits - 1)
  end
  host:write_reg(SPI + 0x18, usr)
  host:write_reg(SPI + 0x20, 7 << 28 | opcode)
  host:write_reg(SPI, 1 << 18)
  assert.equal(0, host:read_reg(SPI))
  return host:read_reg(SPI + 0x58)
end

-- SPI_MEM_CTRL_REG: FASTRD_MODE and FREAD_DUAL or FREAD_QUAD (soc/spi_mem_reg.h).
local CTRL, ONE, TWO, FOUR = SPI + 0x08, 0, 1 << 13 | 1 << 14, 1 << 13 | 1 << 20

describe("the lines of the simulated flash", function()
  -- As data sheets have it: 3Bh sends bits 7, 5, 3, 1 on Q while 6, 4, 2, 0 are on D.
  local CONTENT = "\x12\x34\x56\x78\xF0\x0F\xFF\xFF"
  local function reads(options, fn)
    options.chip = "esp32c3"
    with(options, function(host, board)
      board:poke_flash(0x100, CONTENT)
      fn(function(lines, opcode, dummy)
        host:write_reg(CTRL, lines)
        local word = spi(host, opcode, { addr = 0x100, bits = 32, dummy = dummy })
        host:write_reg(CTRL, ONE)
        return ("%08X"):format(word)
      end)
    end)
  end

  it("are one, two or four, as the command says", function()
    reads({}, function(read)
      assert.equal("78563412", read(ONE, 0x03))
      assert.equal("78563412", read(ONE, 0x0B, 8))
      assert.equal("78563412", read(TWO, 0x3B, 8))
      assert.equal("78563412", read(FOUR, 0x6B, 8))
    end)
  end)

  it("give something else when the controller listens in another way", function()
    reads({}, function(read)
      -- On Q alone come bits 7, 5, 3, 1 of each byte: 12 34 give 0001 0100, and so on.
      assert.equal("FFC31614", read(ONE, 0x3B, 8))
      assert.equal("F0785634", read(ONE, 0x03, 8))              -- a byte late
      assert.equal("563412FF", read(TWO, 0x3B, 4))              -- a byte early: nobody drives the lines
      assert.not_equal("78563412", read(TWO, 0x03))
    end)
  end)

  it("may be wired wrongly", function()
    reads({ dual = "high" }, function(read)
      assert.equal("78563412", read(ONE, 0x03))
      assert.equal("7D577557", read(TWO, 0x3B, 8))              -- bits 6, 4, 2, 0 are 1
    end)
    reads({ dual = "low" }, function(read) assert.equal("28022002", read(TWO, 0x3B, 8)) end)
    reads({ dual = "as_q" }, function(read) assert.equal("3C033003", read(TWO, 0x3B, 8)) end)
    reads({ dual = "unknown" }, function(read) assert.equal("FFFFFFFF", read(TWO, 0x3B, 8)) end)
  end)
end)

describe("the simulated NOR flash", function()
  it("identifies itself, with the capacity of its size", function()
    with({ chip = "esp32c3", flash_size = "16MB" }, function(host)
      assert.equal(0x1840C8, spi(host, 0x9F, { bits = 24 }))
    end)
    with({ chip = "esp32c3", flash_id = 0x684017 }, function(host)
      assert.equal(0x174068, spi(host, 0x9F, { bits = 24 }))
    end)
  end)

  it("has a table of its parameters", function()
    with({ chip = "esp32c3" }, function(host)
      assert.equal(0x50444653, spi(host, 0x5A, { addr = 0, bits = 32, dummy = 8 }))      -- "SFDP"
      local at = spi(host, 0x5A, { addr = 12, bits = 24, dummy = 8 })
      assert.equal(4 * 0x100000 * 8 - 1, spi(host, 0x5A, { addr = at + 4, bits = 32, dummy = 8 }))
    end)
  end)

  it("is not there before it is attached", function()
    local chip = sim.new { chip = "esp32c3" }
    local host <close> = rawhost.new(chip)
    host:sync()
    assert.equal(0xFFFFFF, spi(host, 0x9F, { bits = 24 }))
    assert.same({ 1, 6 }, { host:flash_begin(0x1000, 1, 0x400, 0, 0) })
  end)

  it("hangs on the pins it is wired to", function()
    with({ chip = "esp32c3", spi_connection = 0x123 }, function(host)
      assert.equal(0xFFFFFF, spi(host, 0x9F, { bits = 24 }))
      host:command(0x0D, W(0x123, 0))
      assert.equal(0x1640C8, spi(host, 0x9F, { bits = 24 }))
    end)
  end)

  it("has no supply on an ESP32-P4 of revision 3.1 until that is switched on", function()
    local PMU = 0x50115000
    local host <close> = rawhost.new(sim.new { chip = "esp32p4", revision = "3.1" })
    host:sync()
    host:attach()
    assert.same({ 1, 6 }, { host:flash_begin(0x1000, 1, 0x400, 0, 0) })
    host:write_reg(PMU + 0x3FC, 3)
    host:attach()
    assert.equal(0, (host:flash_begin(0x1000, 1, 0x400, 0, 0)))
  end)

  it("is reached with 24 bits of an address only", function()
    with({ chip = "esp32c3", flash_size = "32MB" }, function(host, chip)
      host:attach(32 << 20)
      assert.equal(0, (host:flash_begin(0x1000, 1, 0x400, 0x1000000, 0)))
      assert.equal(0, (host:flash_data(("low!"):rep(256), 0)))
      assert.equal("low!", chip:flash(0, 4))
      assert.equal("\xFF", chip:flash(0x1000000, 1))
    end)
  end)

  it("programs only with write enable, only from ones to zeros, round the page", function()
    with({ chip = "esp32c3" }, function(host, chip)
      spi(host, 0x02, { addr = 0x1000, tx = "lost" })
      assert.equal("\xFF\xFF\xFF\xFF", chip:flash(0x1000, 4))
      spi(host, 0x06)
      assert.equal(0x02, spi(host, 0x05, { bits = 8 }))
      spi(host, 0x02, { addr = 0x1000, tx = "\xF0\x0F" })
      assert.equal(0x00, spi(host, 0x05, { bits = 8 }))
      spi(host, 0x06)
      spi(host, 0x02, { addr = 0x1000, tx = "\x3C\xFF" })
      assert.equal("\x30\x0F\xFF", chip:flash(0x1000, 3))
      spi(host, 0x06)
      spi(host, 0x02, { addr = 0x10FE, tx = "abcd" })
      assert.equal("cd", chip:flash(0x1000, 2):gsub("[^cd]", function(c) return c end):len() == 2 and "cd")
      assert.equal("ab", chip:flash(0x10FE, 2))
      assert.equal(0xFFFF6261, spi(host, 0x03, { addr = 0x10FE, bits = 32 }))
    end)
  end)

  for _, case in ipairs { { 0x20, 0x1000 }, { 0x52, 0x8000 }, { 0xD8, 0x10000 } } do
    it(("erases %d bytes by %02Xh"):format(case[2], case[1]), function()
      with({ chip = "esp32c3" }, function(host, chip)
        chip:poke_flash(0, ("\0"):rep(0x30000))
        spi(host, case[1], { addr = 0x10010 })
        assert.equal("\0", chip:flash(0x10000, 1))                            -- no write enable
        spi(host, 0x06)
        spi(host, case[1], { addr = 0x10010 })
        assert.equal("\0" .. ("\xFF"):rep(case[2]) .. "\0", chip:flash(0xFFFF, case[2] + 2))
      end)
    end)
  end

  it("erases as a whole, powers down, and is reset by two commands in a row", function()
    with({ chip = "esp32c3" }, function(host, chip)
      chip:poke_flash(0x200000, "full")
      spi(host, 0x06)
      spi(host, 0xC7)
      assert.equal("\xFF\xFF\xFF\xFF", chip:flash(0x200000, 4))
      spi(host, 0xB9)
      assert.equal(0xFFFFFF, spi(host, 0x9F, { bits = 24 }))
      spi(host, 0xAB)
      assert.equal(0x1640C8, spi(host, 0x9F, { bits = 24 }))
      spi(host, 0x06)
      spi(host, 0x66)
      spi(host, 0x99)
      assert.equal(0, spi(host, 0x05, { bits = 8 }))
    end)
  end)

  it("has three status registers", function()
    with({ chip = "esp32c3" }, function(host)
      spi(host, 0x01, { tx = "\xFC" })
      assert.equal(0, spi(host, 0x05, { bits = 8 }))
      spi(host, 0x06)
      spi(host, 0x01, { tx = "\x1C\x02" })
      spi(host, 0x50)
      spi(host, 0x11, { tx = "\x60" })
      assert.equal(0x1C, spi(host, 0x05, { bits = 8 }))
      assert.equal(0x02, spi(host, 0x35, { bits = 8 }))
      assert.equal(0x60, spi(host, 0x15, { bits = 8 }))
    end)
  end)

  it("makes the loader notice bits that did not take", function()
    with({ chip = "esp32c3" }, function(host, chip)
      chip:poke_flash(0x1000, ("\xF0"):rep(1024))
      assert.equal(0, (host:flash_begin(0, 1, 0x400, 0x1000, 0)))
      assert.same({ 1, 8 }, { host:flash_data(("\x55\xAA\1\2"):rep(255) .. "\x55\xAA\1\7", 0) })
    end)
  end)
end)

describe("a flash file", function()
  local path = os.tmpname()
  before_each(function() os.remove(path) end)
  teardown(function() os.remove(path) end)

  local function content()
    local f = assert(io.open(path, "rb"))
    local bytes = f:read "a"
    f:close()
    return bytes
  end

  it("is made when missing, erased, and changes as the cells do", function()
    local chip = sim.new { chip = "esp32c3", flash = path, flash_size = "1MB" }
    assert.equal(("\xFF"):rep(1 << 20), content())
    local host <close> = rawhost.new(chip)
    host:sync()
    host:attach()
    host:flash_begin(0x1000, 1, 0x400, 0x2000, 0)
    assert.equal(0, (host:flash_data(("data"):rep(256), 0)))
    assert.equal(("data"):rep(256), content():sub(0x2001, 0x2400))            -- at once, not only at the end
    assert.equal(0, (host:flash_begin(0x1000, 1, 0x400, 0x2000, 0)))
    assert.equal(("\xFF"):rep(1 << 20), content())
  end)

  it("gives the size, or is refused with another", function()
    local f = assert(io.open(path, "wb"))
    f:write(("\0"):rep(1 << 21))
    f:close()
    with({ chip = "esp32c3", flash = path }, function(host)
      assert.equal(0x1540C8, spi(host, 0x9F, { bits = 24 }))
    end)
    local err = assert.has_error(function() sim.new { chip = "esp32c3", flash = path, flash_size = "4MB" } end)
    assert.equal("bad_file", err.code)
    assert.matches("has 2097152 bytes, the flash of this chip has 4194304", err.message, 1, true)
  end)

  it("is refused when it is no flash at all", function()
    local f = assert(io.open(path, "wb"))
    f:write "abc"
    f:close()
    assert.equal("bad_file", assert.has_error(function() sim.new { chip = "esp32c3", flash = path } end).code)
    assert.equal("abc", content())
    assert.equal("bad_file", assert.has_error(function() sim.new { chip = "esp32c3", flash = "/" } end).code)
    local err = assert.has_error(function() sim.new { chip = "esp32c3", flash = "/no/such/folder/f" } end)
    assert.matches("/no/such/folder/f: No such file", err.message, 1, true)
  end)
end)

describe("the eFuse controller", function()
  local C3 = 0x60008800

  -- Burn a block and read back, by the registers.
  local function burn(host, block, words)
    for i = 0, 10 do host:write_reg(C3 + 4 * i, words[i + 1] or 0) end
    host:write_reg(C3 + 0x1CC, 0x5A5A)
    host:write_reg(C3 + 0x1D4, block << 2 | 2)
    host:write_reg(C3 + 0x1CC, 0x5AA5)
    host:write_reg(C3 + 0x1D4, 1)
    assert.equal(0, host:read_reg(C3 + 0x1D4))
  end

  it("burns by or, and needs its codes", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:write_reg(C3, 0xFF)
      host:write_reg(C3 + 0x1D4, 3 << 2 | 2)                                  -- no write code
      assert.equal(0, chip:efuse_word(3, 0))
      burn(host, 3, { 0x0F0, 1 })
      burn(host, 3, { 0x00F })
      assert.equal(0x0FF, host:read_reg(C3 + 0x7C))
      assert.equal(1, host:read_reg(C3 + 0x80))
      host:write_reg(C3 + 0x7C, 0)
      assert.equal(0x0FF, host:read_reg(C3 + 0x7C))                           -- a copy that cannot be written
      assert.equal(2, chip:state().burns)
    end)
  end)

  it("shows what was burned only after a read command", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:write_reg(C3, 5)
      host:write_reg(C3 + 0x1CC, 0x5A5A)
      host:write_reg(C3 + 0x1D4, 3 << 2 | 2)
      assert.equal(5, chip:efuse_word(3, 0))
      assert.equal(0, host:read_reg(C3 + 0x7C))
      host:write_reg(C3 + 0x1CC, 0x5AA5)
      host:write_reg(C3 + 0x1D4, 1)
      assert.equal(5, host:read_reg(C3 + 0x7C))
    end)
  end)

  it("honours write and read protection", function()
    with({ chip = "esp32c3" }, function(host, chip)
      burn(host, 4, { 0x1234 })
      burn(host, 0, { 1 << 23, 1 })                                           -- BLOCK_KEY0: WR_DIS 23, RD_DIS 0
      assert.equal(0, host:read_reg(C3 + 0x9C))
      burn(host, 4, { 0xFFFFFFFF })
      assert.equal(0x1234, chip:efuse_word(4, 0))
    end)
  end)

  it("of the ESP32 burns all blocks at once and decodes 3/4", function()
    with({ chip = "esp32" }, function(host, chip)
      local E = 0x3FF5A000
      host:write_reg(E + 0x1C + 24, 1)                                        -- BLOCK0 word 6: coding scheme 3/4
      host:write_reg(E + 0x98, 0x44332211)
      host:write_reg(E + 0x9C, 0xBBAA6655)                                    -- bytes 6 and 7 are check bytes
      host:write_reg(E + 0xA0, 0x00000077)
      host:write_reg(E + 0xFC, 0x5A5A)
      host:write_reg(E + 0x104, 2)
      host:write_reg(E + 0xFC, 0x5AA5)
      host:write_reg(E + 0x104, 1)
      assert.equal(0x44332211, host:read_reg(E + 0x38))
      assert.equal(0x00776655, host:read_reg(E + 0x3C))
      assert.equal(0xBBAA6655, chip:efuse_word(1, 1))
    end)
  end)

  it("of the ESP8266 is four words that nobody can write", function()
    with({ chip = "esp8266", mac = "18:fe:34:a1:b2:c3" }, function(host)
      host:write_reg(0x3FF00050, 0)
      assert.equal(0xC3, host:read_reg(0x3FF00050) >> 24)
      assert.equal(0xA1B2, host:read_reg(0x3FF00054) & 0xFFFF)
    end)
  end)

  it("keeps its cells in a file, and takes a file for what it is", function()
    local path = os.tmpname()
    os.remove(path)
    with({ chip = "esp32c3", efuse = path, mac = "02:00:00:00:00:01" }, function(host)
      burn(host, 3, { 0xABCD })
    end)
    with({ chip = "esp32c3", efuse = path, mac = "02:00:00:00:00:02" }, function(host)
      assert.equal(0xABCD, host:read_reg(C3 + 0x7C))
      assert.equal(1, host:read_reg(C3 + 0x44))                               -- the file decides, not the options
    end)
    local err = assert.has_error(function() sim.new { chip = "esp32", efuse = path } end)
    assert.equal("bad_file", err.code)
    assert.matches("336 bytes, the eFuses of this chip have 124", err.message, 1, true)
    assert.is_nil(io.open(path .. ".new"))
    os.remove(path)
  end)
end)

describe("memory", function()
  it("keeps what is written to RAM and to registers nobody models, not to ROM or mapped flash", function()
    with({ chip = "esp32c3" }, function(host)
      for _, address in ipairs { 0x3FC80000, 0x40380000, 0x6001F000, 0x50000000 } do
        host:write_reg(address, 0xA5A5A5A5)
        assert.equal(0xA5A5A5A5, host:read_reg(address))
      end
      for _, address in ipairs { 0x40000100, 0x42000000, 0x3C000000 } do
        host:write_reg(address, 0xA5A5A5A5)
        assert.equal(0, host:read_reg(address))
      end
      assert.same({ 0, 0 }, { host:status(0x05, W(8, 1, 8, 0x3FC80FFC)) })    -- over the edge of a page
      host:status(0x07, W(8, 0, 0, 0) .. "12345678", rawhost.checksum "12345678")
      assert.equal(0x38373635, host:read_reg(0x3FC81000))
    end)
  end)

  it("is gone after a reset", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:write_reg(0x3FC80000, 1)
      chip:reset()
      host:read()
      host:sync()
      assert.equal(0, host:read_reg(0x3FC80000))
    end)
  end)
end)
