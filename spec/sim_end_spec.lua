-- How downloads end, and what goes wrong, in the simulated chips' loaders. Expected is what the mask ROMs do, which
-- spec/rom_check.lua runs beside them.
local rawhost = require "spec.support.rawhost"
local sim = require "esp.sim"
local zlib = require "esp.core.zlib"
local W = rawhost.words

local function with(options, fn)
  local chip = sim.new(options)
  local host <close> = rawhost.new(chip)
  host:sync()
  host:attach()
  return fn(host, chip)
end

local function deflated(host, plain, address, ...)
  local packed = zlib.deflate(plain)
  host:status(0x10, W(#plain, 1, 0x400, address, ...))
  return host:status(0x11, W(#packed, 0, 0, 0) .. packed, rawhost.checksum(packed))
end

local PLAIN = ("flash me "):rep(50)

describe("the end of compressed data", function()
  for _, chip in ipairs { "esp32", "esp32s2", "esp32c3" } do
    it("leaves the loader of " .. chip .. " only to restart", function()
      with({ chip = chip }, function(host, c)
        local extra = chip ~= "esp32" and 0 or nil
        assert.same({ 0, 0 }, { deflated(host, PLAIN, 0x1000, extra) })
        assert.equal(0, (host:status(0x12, W(1))))
        assert.equal("download", c:state().mode)
        assert.equal(0, (host:status(0x12, W(1))))
        local resets = c:state().resets
        host:status(0x12, W(0))
        assert.equal(resets + 1, c:state().resets)
      end)
    end)
  end

  it("does not leave it when blocks are missing", function()
    with({ chip = "esp32c3" }, function(host, c)
      host:status(0x10, W(#PLAIN, 2, 0x400, 0x1000, 0))
      assert.same({ 1, 6 }, { host:status(0x12, W(0)) })
      assert.equal("download", c:state().mode)
    end)
  end)

  it("takes all of the window with it on ESP32", function()
    for chip, behind in pairs { esp32 = 0, esp32c3 = 0xFF } do
      with({ chip = chip, flash_size = "4MB" }, function(host, c)
        deflated(host, PLAIN, 0x1000, chip ~= "esp32" and 0 or nil)
        assert.equal(PLAIN, c:flash(0x1000, #PLAIN))
        assert.equal(string.char(behind), c:flash(0x8FFF, 1))
        assert.equal("\xFF", c:flash(0x9000, 1))
      end)
    end
  end)

  it("is 0x0B in the middle of bytes that were not compressed, 0x0C behind them", function()
    with({ chip = "esp32c3" }, function(host)
      local stored = "\x78\x01\x01\x40\x00\xBF\xFF"
      local function send(bytes)
        host:status(0x10, W(0x40, 1, 0x400, 0x1000, 0))
        return host:status(0x11, W(#bytes, 0, 0, 0) .. bytes, rawhost.checksum(bytes))
      end
      assert.same({ 1, 0x0B }, { send(stored .. ("s"):rep(5)) })
      assert.same({ 1, 0x0C }, { send(stored .. ("s"):rep(0x40)) })
    end)
  end)
end)

describe("a program from an odd address", function()
  it("over the end of a page writes nothing", function()
    with({ chip = "esp32c3" }, function(host, c)
      host:flash_begin(0x400, 1, 0x400, 0x10FE, 0)          -- refused, but its address is kept
      host:flash_data("abcd", 0)
      assert.equal("\xFF\xFF\xFF\xFF", c:flash(0x10FE, 4))
      host:flash_begin(0x400, 1, 0x400, 0x10F9, 0)
      host:flash_data("abcd", 0)
      assert.equal("abcd", c:flash(0x10F9, 4))
    end)
  end)
end)

describe("an address that belongs to nothing", function()
  local READ, WRITTEN = "Load access fault", "Store/AMO access fault"
  for chip, says in pairs {
    esp32c3 = { READ, WRITTEN }, esp32s3 = { "(LoadProhibited)", "(StoreProhibited)" },
    esp32s2 = { "Fatal exception (28): LoadProhibited", "Fatal exception (29): StoreProhibited" },
  } do
    it("is what the ROM of " .. chip .. " says it is", function()
      with({ chip = chip }, function(host)
        host.port:write(rawhost.frame(("<BBI2I4I4"):pack(0, 0x0A, 4, 0, 0)))
        assert.matches(says[1], host:read(0.1), 1, true)
      end)
      with({ chip = chip }, function(host)
        host:status(0x05, W(16, 1, 16, 0xD000))
        host.port:write(rawhost.frame(("<BBI2I4I4I4I4I4c16"):pack(0, 0x07, 32, rawhost.checksum(("x"):rep(16)), 16, 0,
                                                                  0, 0, ("x"):rep(16))))
        assert.matches(says[2], host:read(0.1), 1, true)
      end)
    end)
  end

  it("leaves ESP32 silent", function()
    with({ chip = "esp32" }, function(host, c)
      host.port:write(rawhost.frame(("<BBI2I4I4"):pack(0, 0x0A, 4, 0, 0)))
      assert.equal("", host:read(0.1))
      assert.equal("hung", c:state().mode)
    end)
  end)
end)

describe("the security info of ESP32-S2", function()
  it("leaves what stands behind it", function()
    with({ chip = "esp32s2" }, function(host)
      host:command(0x13, W(0, 4, 0, 0))
      local body = host:command(0x14, ""):sub(9)
      assert.equal(16, #body)
      assert.equal(("\0"):rep(14), body:sub(1, 14))
      assert.matches("^%x%x$", body:sub(15))                -- digits of the digest
    end)
  end)
end)
