-- What the simulated ROM answers, byte for byte. The expected answers were recorded from the vendor's own mask ROMs
-- of the ESP32 (revision 3) and the ESP32-C3 (ECO 3), run in an emulator; they agree but for the marked values.
local rawhost = require "spec.support.rawhost"
local sim = require "esp.sim"
local zlib = require "esp.core.zlib"
local W, sum = rawhost.words, rawhost.checksum

local ROMS = {
  { chip = "esp32c3", ram = 0x3FC90000, magic = "6f50311b", begin = { 0 } },   -- FLASH_BEGIN has a fifth word
  { chip = "esp32", ram = 0x3FFB8000, magic = "831df000", begin = {} },
}

if os.getenv "ESPLUA_GC_STRESS" then ROMS[2] = nil end   -- they differ in numbers only

local RAMP = ""
for i = 0, 255 do RAMP = RAMP .. string.char(i) end
RAMP = RAMP:rep(4)

local READ_BODY = "101112131415161718191a1b1c1d1e1f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f" ..
                  "303132333435363738393a3b3c3d3e3f"

for _, rom in ipairs(ROMS) do
  describe("the ROM loader of the simulated " .. rom.chip, function()
    local host

    local function begin(op, erase, blocks, size, offset)
      return host:ask(op, W(erase, blocks, size, offset, table.unpack(rom.begin)))
    end
    local function data(op, bytes, seq, wrong)
      return host:ask(op, W(#bytes, seq, 0, 0) .. bytes, sum(bytes) ~ (wrong and 1 or 0))
    end

    before_each(function()
      host = rawhost.new(sim.new { chip = rom.chip, flash_id = 0xEF4016 })
      host:sync()
      host:sync()                       -- so that the reply buffer holds that of a SYNC
    end)
    after_each(function() host:close() end)

    it("answers SYNC eight times with its first word as value", function()
      local first, all = host:sync()
      assert.equal("010804000707122000000000", rawhost.hex(first))
      assert.equal(8, #all)
    end)

    it("answers an unknown command as the one before, with error 5", function()
      local first, all = host:command(0x15)
      assert.equal("010804000707122001050000", rawhost.hex(first))
      assert.equal(8, #all)
      assert.equal("010a0400" .. rom.magic .. "00000000", host:ask(0x0A, W(0x40001000)))
      assert.equal("010a0400" .. rom.magic .. "01050000", host:ask(0x0C))
      assert.equal("010a0400" .. rom.magic .. "01050000", host:ask(0x0A, W(0x40001000), 0, nil, 1))
    end)

    it("reads and writes registers with masks and lists, and keeps the value of the last reading", function()
      assert.equal("010904000707122000000000", host:ask(0x09, W(rom.ram, 0x11223344, 0xFFFFFFFF, 0)))
      assert.equal("010a04004433221100000000", host:ask(0x0A, W(rom.ram)))
      assert.equal("010904004433221100000000", host:ask(0x09, W(rom.ram, 0, 0xFF00, 0)))
      assert.equal("010a04004400221100000000", host:ask(0x0A, W(rom.ram)))
      assert.equal("010904004400221100000000",
                   host:ask(0x09, W(rom.ram, 1, 0xFFFFFFFF, 0, rom.ram + 4, 2, 0xFFFFFFFF, 0)))
      assert.equal("010a04000200000000000000", host:ask(0x0A, W(rom.ram + 4)))
      assert.equal("010904000200000000000000", host:ask(0x09, W(rom.ram, 5)))     -- no whole entry: nothing happens
    end)

    it("loads RAM, uses up a sequence number by a bad checksum, and leaves old error bytes behind", function()
      host:ask(0x09, W(rom.ram, 2, 0xFFFFFFFF, 0))
      host:ask(0x0A, W(rom.ram))
      assert.equal("010504000200000000000000", host:ask(0x05, W(16, 2, 8, rom.ram)))
      assert.equal("010504000200000001050000", host:ask(0x05, W(16, 2, 8)))
      assert.equal("010504000200000001050000", host:ask(0x05, W(16, 2, 8, rom.ram, 0)))
      assert.equal("010504000200000001050000", host:ask(0x05, W(16, 2, 0x1804, rom.ram)))
      assert.equal("010504000200000000050000", host:ask(0x05, W(16, 2, 8, 0x10)))
      assert.equal("010504000200000000050000", host:ask(0x05, W(0x1000000, 2, 8, rom.ram)))
      assert.equal("010504000200000000050000", host:ask(0x05, W(16, 2, 8, rom.ram)))
      assert.equal("010704000200000001070000", data(0x07, "ABCDEFGH", 0, true))
      assert.equal("010704000200000001050000", data(0x07, "ABCDEFGH", 0))
      assert.equal("010704000200000000050000", data(0x07, "ABCDEFGH", 1))
      assert.equal("010704000200000001050000", data(0x07, "ABCDEFGH", 5))
      assert.equal("010704000200000001050000", data(0x07, "ABCDEFGH1234", 2))
      assert.equal("010704000200000000050000",   -- the frame is short: the rest is what the buffer still holds
                   host:ask(0x07, W(8, 2, 0, 0) .. "ABCD", sum "ABCDEFGH"))
      assert.equal("010a04004142434400000000", host:ask(0x0A, W(rom.ram)))
      assert.equal("010604004142434400000000", host:ask(0x06, W(1, 0)))
      assert.equal("010604004142434400000000", host:ask(0x06, W(1)))
    end)

    it("knows 2 MiB of flash until it is told more, and checks what it is told to erase", function()
      assert.equal("010d04000707122000000000", host:ask(0x0D, W(0, 0)))
      assert.equal("010b04000707122001050000", host:ask(0x0B, W(0, 1)))
      assert.equal("010204000707122000050000", begin(0x02, 0x1000, 4, 0x400, 0x1FF000))
      assert.equal("010204000707122001060000", begin(0x02, 0x1000, 4, 0x400, 0x200000))
      assert.equal("010b04000707122000060000", host:ask(0x0B, W(0, 0x400000, 0x10000, 0x1000, 0x100, 0xFFFF)))
      assert.equal("010204000707122000060000", begin(0x02, 0x1000, 4, 0x400, 0x10000))
      assert.equal("010204000707122001050000", host:ask(0x02, W(0x1000, 4, 0x400, 0x10000, 0, 0)))
      assert.equal("010204000707122001060000", begin(0x02, 0x1000, 4, 0x400, 0x10010))
      assert.equal("010204000707122001060000", begin(0x02, 0x2000, 4, 0x400, 0x3FF000))
      assert.equal("010204000707122001050000", begin(0x02, 0x1000, 4, 0x1804, 0x10000))
    end)

    it("writes flash block by block, once per sequence number, and reads it in words", function()
      host:attach()
      host:ask(0x09, W(rom.ram, 0x44434241, 0xFFFFFFFF, 0))
      host:ask(0x0A, W(rom.ram))
      begin(0x02, 0x1000, 4, 0x400, 0x10000)
      assert.equal("010304004142434401070000", data(0x03, RAMP, 0, true))
      assert.equal("010304004142434401050000", data(0x03, RAMP, 0))
      assert.equal("010304004142434400050000", data(0x03, RAMP, 1))
      assert.equal("010304004142434401050000", data(0x03, RAMP, 1))
      assert.equal("010304004142434401050000", data(0x03, RAMP:sub(1, 6), 2))
      assert.equal("010304004142434400050000", data(0x03, RAMP, 2))
      assert.equal("010e440041424344" .. rawhost.hex(RAMP:sub(1, 64)) .. "00000000", host:ask(0x0E, W(0x10000, 64)))
      assert.equal("010e440041424344" .. READ_BODY .. "00000000", host:ask(0x0E, W(0x10010, 16)))
      assert.equal("010e440041424344" .. READ_BODY .. "010a0000", host:ask(0x0E, W(0x10000, 65)))
      assert.equal("010e440041424344" .. READ_BODY .. "01090000", host:ask(0x0E, W(0x3FFFF0, 64)))
      assert.equal("010e4400414243440102030405060708" .. READ_BODY:sub(17) .. "00000000",
                   host:ask(0x0E, W(0x10001, 7)))
    end)

    it("answers a digest in hex, before status bytes", function()
      host:attach()
      host:ask(0x09, W(rom.ram, 0x44434241, 0xFFFFFFFF, 0))
      begin(0x02, 0x1000, 4, 0x400, 0x10000)
      data(0x03, RAMP, 0)
      data(0x03, RAMP, 1)
      host:ask(0x0E, W(0x10000, 64))
      host:ask(0x0A, W(rom.ram))
      assert.equal("0113240041424344" .. rawhost.hex "1576a94d6cb334dd126cb1c27f19e0f2" .. "00002223",
                   host:ask(0x13, W(0x10000, 2048, 0, 0)))
      assert.equal("0113240041424344" .. rawhost.hex "d41d8cd98f00b204e9800998ecf8427e" .. "00002223",
                   host:ask(0x13, W(0x10000, 0, 0, 0)))
      assert.equal("0113240041424344" .. rawhost.hex "7cfdd07889b3295d6a550914ab35e068" .. "00002223",
                   host:ask(0x13, W(0x10001, 5, 0, 0)))
      assert.equal("0113240041424344" .. rawhost.hex "7cfdd07889b3295d6a550914ab35e068" .. "01092223",
                   host:ask(0x13, W(0x3FFFF0, 64, 0, 0)))
    end)

    it("inflates, and tells a bad stream from a bad sum", function()
      host:attach()
      local plain = {}
      for i = 0, 39999 do plain[i + 1] = string.char(i * 7 & 255) end
      local packed = zlib.deflate(table.concat(plain), 9)
      local function blocks(bytes, count)
        begin(0x10, 40960, count or (#bytes + 1023) // 1024, 0x400, 0x20000)
        local answer
        for i = 1, #bytes, 1024 do answer = data(0x11, bytes:sub(i, i + 1023), i // 1024) end
        return answer:sub(1, 4) .. answer:sub(17, 20)
      end
      assert.equal("01110000", blocks(packed))
      assert.equal(rawhost.hex "b55a8f33d25cd262c6bbe6da2166a8f4", host:ask(0x13, W(0x20000, 40000)):sub(17, 80))
      assert.equal("0111010b", blocks("not zlib data at all", 2))
      local small = zlib.deflate(("hello"):rep(100), 9)
      assert.equal("0111010c", blocks(small:sub(1, -2) .. string.char(small:byte(-1) ~ 1)))
      assert.equal("0111010c", blocks(small:sub(1, -9)))
      begin(0x10, 40960, 2, 0x400, 0x20000)
      assert.equal("01110107", data(0x11, small, 0, true):gsub("^(....)............(....).*", "%1%2"))
      assert.equal("01110105", data(0x11, small, 0):gsub("^(....)............(....).*", "%1%2"))
    end)

    it("takes the length from the header and escapes as they come", function()
      host.port:write("\xC0\0\x0A\x04\0\0\0\0\0\xDB\x00\x10\x00\x40\xC0")
      assert.equal(1, #rawhost.frames(host:read()))
      assert.equal("010a0400" .. rom.magic .. "00000000", host:ask(0x0A, W(0x40001000), 0, 400))
      assert.equal("01050400" .. rom.magic .. "01050000", host:ask(0x05, W(16, 2, 8, rom.ram), 0, 8))
      assert.matches("^010a0400" .. rom.magic, host:ask(0x0A, W(0x40001000) .. ("z"):rep(9000)))
    end)
  end)
end
