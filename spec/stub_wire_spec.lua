-- Our stub, frame by frame, as doc/stub-protocol.md has it: what another host relies on. Frames are built and taken
-- apart here.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local digest = require "esp.core.digest"
local rawhost = require "spec.support.rawhost"
local stub = require "esp.stub"
local task = require "esp.core.task"

local W = function(...) return ("<I4"):rep(select("#", ...)):pack(...) end
local BEGIN, DATA, END, DEFL_BEGIN, DEFL_DATA = 0x02, 0x03, 0x04, 0x10, 0x11
local SYNC, READ_REG, CHANGE_BAUD, READ, STATE, DIGESTS, READ_PACKED = 0x08, 0x0A, 0x0F, 0xD2, 0xF3, 0xF1, 0xF2
local STRESS = os.getenv "ESPLUA_GC_STRESS"
local QUIET = 0.05                             -- seconds without a frame: nothing more comes

local function slip(payload)
  return "\xC0" .. payload:gsub("[\xC0\xDB]", { ["\xC0"] = "\xDB\xDC", ["\xDB"] = "\xDB\xDD" }) .. "\xC0"
end

local function request(op, data, sum) return slip(("<BBI2I4"):pack(0, op, #data, sum or 0) .. data) end

local function block(op, number, bytes)
  local sum = 0xEF
  for i = 1, #bytes do sum = sum ~ bytes:byte(i) end
  return request(op, W(#bytes, number, 0, 0) .. bytes, sum)
end

local function guarded(op, data)
  return request(op, data, digest.crc32(("<BBI2I4"):pack(0, op, #data, 0) .. data))
end

local function with(id, options, fn)
  options.stub = true
  local chip, sim = board.new(id, options)
  local link = chip.link
  local wire = { send = function(...) assert(link:write_raw(table.concat { ... })) end }
  function wire.frame(seconds)
    local f = link:receive(seconds or 5)
    return f and f.frame
  end
  -- n frames, and no more.
  function wire.frames(n)
    local list = {}
    for i = 1, n do list[i] = assert(wire.frame(), "a frame is missing") end
    assert.is_nil(wire.frame(QUIET))
    return list
  end
  -- An answer as text: command, error, value.
  function wire.answer(seconds)
    local f = wire.frame(seconds)
    if not f then return "nothing" end
    assert.equal(1, f:byte(1))
    assert.equal(#f - 8, ("<I2"):unpack(f, 3))
    assert.equal(0, f:byte(-1))
    return ("%02X %02X %d"):format(f:byte(2), f:byte(-2), (("<I4"):unpack(f, 5))), f:sub(9, -3)
  end
  function wire.alive()
    wire.send(request(SYNC, "\7\7\x12\x20" .. ("U"):rep(32)))
    for _ = 1, 8 do assert.equal("08 00 0", (wire.answer())) end
  end
  function wire.settle()
    for _ = 1, 10 do
      wire.send(request(SYNC, "\7\7\x12\x20" .. ("U"):rep(32)))
      if wire.frame(0.3) then
        while wire.frame(QUIET) do end         -- luacheck: ignore 542
        return
      end
    end
  end
  local ok, err = pcall(function()
    chip:attach()
    fn(wire, chip, sim)
    wire.alive()
  end)
  chip:close()
  sim:close()
  if not ok then error(err, 0) end
end

for _, id in ipairs(STRESS and { "esp32c3" } or { "esp32c3", "esp32", "esp8266" }) do
  describe("our stub on the simulated " .. id, function()
    local some = STRESS and function() end or it

    it("tells with every answer the block that comes next", function()
      with(id, {}, function(wire, _, sim)
        local a, b = ("\xC0\xDB"):rep(2050), ("b"):rep(4092)
        for _, case in ipairs {
          { request(BEGIN, W(8192, 2, 4096, 0x10000)), "02 00 0" },
          { block(DATA, 1, b), "03 E1 0" },
          { block(DATA, 0, a), "03 00 1" },
          { block(DATA, 0, b), "03 00 1" },                                    -- again: changes nothing
          { request(STATE, ""), "F3 00 1", W(4092, 0) },
          { request(DATA, W(5, 1, 0, 0) .. "abcd", 0), "03 C0 1" },
          { request(DATA, W(4, 1, 0, 0) .. "abcd", 1), "03 C1 1" },
          { block(DATA, 1, b), "03 00 2" },
          { block(DATA, 1, a), "03 00 2" },
          { request(STATE, ""), "F3 00 2", W(0, 0) },
          { block(DATA, 2, a), "03 00 3" },                                    -- padding
          { request(END, W(1)), "04 00 0" },
          { request(STATE, ""), "F3 00 3", W(0, 0xC6) },
          { block(DATA, 3, a), "03 C6 3" },
          { request(DEFL_BEGIN, W(16, 1, 4096, 0x20000)), "10 00 0" },
          { block(DEFL_DATA, 0, "\x78\x9C"), "11 00 1" },
          { block(DEFL_DATA, 1, "\xFF"), "11 C7 1" },
          { request(STATE, ""), "F3 00 1", W(16, 0xC7) },
        } do
          wire.send(case[1])
          local answer, body = wire.answer()
          assert.equal(case[2], answer)
          if case[3] then assert.equal(case[3], body) end
        end
        assert.is_true(a .. b == sim:flash(0x10000, 8192))
      end)
    end)

    some("takes requests one behind the other", function()
      with(id, { timing = "real" }, function(wire, chip, sim)                  -- the end comes while it programs
        local parts, bytes = { request(BEGIN, W(9000, 9, 1000, 0x10000)) }, board.noise(9000, 5)
        for i = 0, 8 do parts[#parts + 1] = block(DATA, i, bytes:sub(1000 * i + 1, 1000 * i + 1000)) end
        parts[#parts + 1] = request(END, W(1))
        local divider = chip.data.uart.base + 0x14
        for _ = 1, 20 do parts[#parts + 1] = request(READ_REG, W(divider)) end
        wire.send(table.concat(parts))
        assert.equal("02 00 0", (wire.answer()))
        for i = 1, 9 do assert.equal("03 00 " .. i, (wire.answer())) end
        assert.equal("04 00 0", (wire.answer()))
        local first = wire.answer()
        for _ = 2, 20 do assert.equal(first, (wire.answer())) end
        assert.is_true(bytes == sim:flash(0x10000, 9000))
      end)
    end)

    it("says at once when a frame is broken", function()
      with(id, {}, function(wire, _, sim)
        sim:poke_flash(0x20000, "data")
        wire.send(request(BEGIN, W(8192, 2, 4096, 0x10000)), block(DATA, 0, ("x"):rep(4096)))
        assert.equal("02 00 0", (wire.answer()))
        assert.equal("03 00 1", (wire.answer()))
        wire.send(slip "abcd", slip "abc", slip "a", "\xC0\xC0\xC0")           -- acknowledgements, and less
        assert.equal("nothing", (wire.answer(QUIET)))
        local good = guarded(DATA, W(4096, 1, 0, 0) .. ("y"):rep(4096))
        for _, bad in ipairs {
          slip "\0\3\0\0\0", slip "\0\3\0\0\0\0\0",                             -- no whole header
          slip("\1\3\0\0" .. W(0)),                                            -- not a request
          slip("\0\3\5\0" .. W(0) .. "abcd"), slip("\0\3\3\0" .. W(0) .. "abcd"), -- more, and less, than there is
          slip("\0\3\x2A\x4E" .. ("\1"):rep(20010)),                           -- too long
          "\xC0\0\3\xDB\1" .. ("\0"):rep(30) .. "\xC0",                        -- an escape that means nothing
          good:sub(1, 99) .. "z" .. good:sub(101), "\xC0" .. good:sub(1, 40):sub(2) .. "\xC0",
        } do
          wire.send(bad)
          assert.equal("03 E5 1", (wire.answer()))
        end
        wire.send((guarded(0xD1, W(0x20000, 4096)):gsub("\xD1", "\xD0", 1)))   -- one bit: all of flash
        assert.equal("D0 E5 1", (wire.answer()))
        assert.equal("data", sim:flash(0x20000, 4))
        wire.send(good:sub(2))                                                 -- one 0xC0 ends one and begins the next
        assert.equal("03 00 2", (wire.answer()))
      end)
    end)

    some("receives as much as it says while flash is busy", function()
      with(id, { timing = "real" }, function(wire, chip, sim)
        for at = 0x10000, 0x2F000, 0x1000 do sim:poke_flash(at, "used") end
        wire.send(request(0xF0, ""))
        local _, can = wire.answer()
        local one = request(READ_REG, W(chip.data.uart.base + 0x14))
        local n = (("<I4"):unpack(can, 5) - 60) // #one
        wire.send(request(0xD1, W(0x10000, 0x20000)), one:rep(n))              -- 64 KiB, twice: 0.3 s of the chip's
        assert.equal("D1 00 0", (wire.answer()))
        local first = wire.answer()
        assert.equal("0A 00", first:sub(1, 5))
        for _ = 2, n do assert.equal(first, (wire.answer())) end
        assert.is_true(("\xFF"):rep(0x20000) == sim:flash(0x10000, 0x20000))
      end)
    end)

    some("keeps what flash has not taken yet", function()
      with(id, { timing = "real" }, function(wire, _, sim)
        local bytes = board.noise(60000, 4)
        for at = 0x11000, 0x1F000, 0x1000 do sim:poke_flash(at, "used") end    -- erasing takes 45 ms each
        wire.send(request(BEGIN, W(#bytes, 1, 4096, 0x11000)))
        assert.equal("02 00 0", (wire.answer()))
        for i = 0, 14 do
          wire.send(block(DATA, i, bytes:sub(4000 * i + 1, 4000 * i + 4000)))
          assert.equal("03 00 " .. i + 1, (wire.answer()))
        end
        wire.send(request(END, W(1)))
        assert.equal("04 00 0", (wire.answer()))
        assert.is_true(bytes == sim:flash(0x11000, #bytes))
      end)
    end)

    some("receives while it looks whether flash is blank", function()
      with(id, { rate = "real", timing = "real" }, function(wire, chip)
        local one, n = request(READ_REG, W(chip.data.uart.base + 0x14)), 40
        wire.send(request(0xD1, W(0x10000, 0x20000)), one:rep(n))              -- longer than a FIFO of 128 bytes lasts
        assert.equal("D1 00 0", (wire.answer()))
        for _ = 1, n do assert.equal("0A 00", wire.answer():sub(1, 5)) end
      end)
    end)

    some("answers at the old rate before it takes a new one", function()
      with(id, { rate = "real" }, function(wire, chip)
        wire.send(request(CHANGE_BAUD, W(460800, 115200)))                     -- on a line that takes its time
        assert.equal("0F 00 0", (wire.answer()))
        assert(chip.link:port():baud(460800))
        task.sleep(0.02)
        wire.settle()
      end)
    end)

    some("changes the bits of a mask, one register after the other", function()
      with(id, {}, function(wire)
        local at = ({ esp32c3 = 0x3FCD0000, esp32 = 0x3FFE0000, esp8266 = 0x4010B000 })[id]
        wire.send(request(0x09, W(at, 0x12345678, 0xFFFFFFFF, 0, at, 0xFFFFFFFF, 0x00FF0000, 10,
                                  at + 4, 0x5555, 0xFFFFFFFF, 0, at + 4, 0xAAAA, 0xF00F, 0)),
                  request(READ_REG, W(at)), request(READ_REG, W(at + 4)), request(0x09, W(at, 0, 0, 0, 0)))
        assert.equal("09 00 0", (wire.answer()))
        assert.equal("0A 00 " .. 0x12FF5678, (wire.answer()))
        assert.equal("0A 00 " .. 0xA55A, (wire.answer()))
        assert.equal("09 C0 0", (wire.answer()))                               -- not a whole number of them
      end)
    end)

    some("sends no more of a read than is acknowledged", function()
      with(id, {}, function(wire, _, sim)
        local bytes = board.noise(40000, 8)
        sim:poke_flash(0x10000, bytes)
        local cases = { { 1000, 64, 5 }, { 4096, 64, 1 }, { 8192, 64, 1 }, { 16384, 1024, 1 }, { 512, 3, 3 } }
        for _, case in ipairs(cases) do
          wire.send(request(READ, W(0x10000, 40000, case[1], case[2])))
          assert.equal("D2 00 0", (wire.answer()))
          local list = wire.frames(case[3])
          for i, f in ipairs(list) do assert.is_true(f == bytes:sub((i - 1) * case[1] + 1, i * case[1])) end
          wire.send(slip(W(case[1])))
          wire.frames(1)
          wire.alive()                                                         -- any other frame ends it
        end
        wire.send(request(READ, W(0x10000, 40000, 1000, 5)))
        assert.equal("D2 00 0", (wire.answer()))
        wire.frames(5)
        wire.send(slip(W(0xFFFFFFFF)))                                         -- more than was sent
        wire.frames(0)
        wire.send(request(READ, W(0x10000, 40000, 1000, 5)))
        assert.equal("D2 00 0", (wire.answer()))
        wire.frames(5)
        wire.send(slip(W(30000)), slip(W(40000)))                              -- the same, and then all that there is
        wire.frames(0)
        wire.send(request(READ, W(0x10000, 3000, 2000, 4)))
        assert.equal("D2 00 0", (wire.answer()))
        local list = wire.frames(2)
        assert.is_true(table.concat(list) == bytes:sub(1, 3000))
        wire.send(slip(W(3000)))
        assert.equal(digest.md5(bytes:sub(1, 3000)), wire.frame())
      end)
    end)

    some("packs as many packets as are asked for, until another request comes", function()
      with(id, {}, function(wire, _, sim)
        local bytes = board.code(60000, 8)
        sim:poke_flash(0x10000, bytes)
        wire.send(request(READ_PACKED, W(0x10000, 60000, 1000, 7)))
        assert.equal("F2 00 0", (wire.answer()))
        local list = wire.frames(7)
        for i, f in ipairs(list) do
          assert.equal(0x10000 + 1000 * (i - 1), (("<I4"):unpack(f)))
          assert.equal(digest.crc32(bytes:sub(1000 * i - 999, 1000 * i)), (("<I4"):unpack(f, 5)))
        end
        wire.send(slip(W(1000)), slip(W(3000)))
        wire.frames(3)
        wire.send(request(READ_PACKED, W(0x12000, 1000, 1000, 1)))             -- ends the old one
        assert.equal("F2 00 0", (wire.answer()))
        assert.equal(0x12000, (("<I4"):unpack(wire.frame())))
        wire.send(slip(W(1000)))
        assert.equal(16, #wire.frame())
      end)
    end)

    some("tells 64 digests in a frame", function()
      with(id, {}, function(wire, _, sim)
        local bytes = board.noise(130 * 256 + 7, 8)
        sim:poke_flash(0x10000, bytes)
        wire.send(request(DIGESTS, W(0x10000, #bytes, 256)))
        assert.equal("F1 00 0", (wire.answer()))
        local at, sizes = 0, {}
        while at < #bytes do
          local f = wire.frame()
          sizes[#sizes + 1] = #f
          assert.equal(0x10000 + at, (("<I4"):unpack(f)))
          assert.equal(digest.crc32(f:sub(1, -5)), (("<I4"):unpack(f, -4)))
          for i = 5, #f - 4, 8 do
            assert.equal(digest.mix(bytes:sub(at + 1, at + 256)), f:sub(i, i + 7))
            at = at + 256
          end
        end
        assert.same({ 520, 520, 32 }, sizes)
      end)
    end)

    some("works out the rate from the one in use", function()
      with(id, {}, function(wire, chip)
        local whole = id == "esp8266"                                          -- its divider has no fraction
        local function sixteenths()
          local v = assert(chip.link:command(READ_REG, W(chip.data.uart.base + 0x14), { status = 2 }))
          return (v & 0xFFFFF) * 16 + (whole and 0 or v >> 20 & 15)
        end
        local now = 115200
        local clock = sixteenths() * now
        for i, rate in ipairs { 921600, 460800, 2000000, 57600, 115200 } do
          wire.send(request(CHANGE_BAUD, W(rate, i % 2 == 0 and 0 or now)))    -- 0: the one that was set last
          assert.equal("0F 00 0", (wire.answer()))
          assert(chip.link:port():baud(rate))
          task.sleep(0.01)
          wire.settle()                                                        -- the chip may be slow to follow
          wire.alive()
          local wanted = clock / rate
          local off = whole and 8.2 + wanted * 0.008 or 0.6 + wanted * 0.002
          assert.is_true(math.abs(sixteenths() - wanted) <= off, rate)
          now = rate
        end
      end)
    end)
  end)
end

describe("our stub", function()
  local some = STRESS and function() end or it

  for id, text in pairs { esp32c3 = "rst:0x3 ", esp32 = "rst:0x3 " } do        -- both their software reset
    for name, case in pairs { ["FLASH_END"] = { request(END, W(0)), "04 00 0" },
                              ["RUN_USER_CODE"] = { request(0xD3, ""), "D3 00 0" } } do
      some("resets the chip: " .. name .. ", " .. id, function()
        local chip, sim = board.new(id, { stub = true })
        local link = chip.link
        chip:attach()
        assert(link:command(BEGIN, W(4, 1, 16, 0x10000), { status = 2 }))
        assert(link:command(DATA, W(4, 0, 0, 0) .. "done", { status = 2, checksum = true }))
        assert(link:write_raw(case[1]))
        local seen = ""
        for _ = 1, 100 do
          seen = seen .. (link:read_raw(4096, 0.1) or "")
          if seen:find("waiting for download", 1, true) then break end
        end
        chip:close()
        sim:close()
        assert.equal("\xC0\1" .. string.char(tonumber(case[2]:sub(1, 2), 16)), seen:sub(1, 3))
        assert.matches("waiting for download", seen, 1, true)
        assert.matches(text, seen, 1, true)
      end)
    end
  end

  for _, case in ipairs { { "esp32c3", "usj" }, { "esp32s3", "usj" }, { "esp32s3", "otg" }, { "esp32s2", "otg" } } do
    some(("is served over USB as well: %s, %s"):format(case[1], case[2]), function()
      with(case[1], { link = case[2] }, function(wire, _, sim)
        local bytes = board.noise(3000, 4)
        wire.send(request(BEGIN, W(3000, 1, 4096, 0x10000)), block(DATA, 0, bytes), request(END, W(1)),
                  request(CHANGE_BAUD, W(1, 1)))
        for _, expected in ipairs { "02 00 0", "03 00 1", "04 00 0", "0F 00 0" } do
          assert.equal(expected, (wire.answer()))
        end
        assert.is_true(bytes == sim:flash(0x10000, 3000))
        for _, size in ipairs { 1, 61, 62, 63, 64, 126, 3000 } do              -- frames that fill packets of 64, or not
          wire.send(request(READ, W(0x10000, size, 4096, 1)))
          assert.equal("D2 00 0", (wire.answer()))
          assert.is_true(bytes:sub(1, size) == wire.frame())
          wire.send(slip(W(size)))
          assert.equal(digest.md5(bytes:sub(1, size)), wire.frame())
        end
      end)
    end)
  end

  some("tries two lines anew when the flash may be another one", function()
    with("esp32c3", {}, function(wire, chip, sim)
      local spi = chip.data.spi
      sim:poke_flash(0x10000, board.noise(4096, 3))
      local function last_read(at)
        wire.send(request(0x13, W(at, 4096)), request(READ_REG, W(spi.base + spi.usr2)))
        assert.equal("13 00 0", (wire.answer()))
        return tonumber(wire.answer():match "%d+$") & 0xFF
      end
      assert.equal(0x03, last_read(0x20000))                                   -- blank flash teaches nothing
      assert.equal(0x3B, last_read(0x10000))
      assert.equal(0x3B, last_read(0x20000))
      wire.send(request(0x0D, W(0)))
      assert.equal("0D 00 0", (wire.answer()))
      assert.equal(0x03, last_read(0x20000))
    end)
  end)

  for _, id in ipairs { "esp32c3", "esp32", "esp8266" } do
    some("connects the flash when nobody has: " .. id, function()
      local sim <close> = require "esp.sim".new { chip = id }
      local host = rawhost.new(sim)
      sim:poke_flash(0x10000, "here")
      host:command(SYNC, "\7\7\x12\x20" .. ("U"):rep(32))
      local f <close> = assert(io.open("stubs/" .. id .. ".json", "rb"))
      local image = stub.parse(f:read "a", id)
      for _, segment in ipairs(image.segments) do
        host:command(0x05, W(#segment[2], 1 + #segment[2] // 0x1800, 0x1800, segment[1]))
        for at = 1, #segment[2], 0x1800 do
          local part = segment[2]:sub(at, at + 0x17FF)
          host:command(0x07, W(#part, at // 0x1800, 0, 0) .. part, rawhost.checksum(part))
        end
      end
      host:command(0x06, W(0, image.entry))
      host:read(0.2)                                                           -- OHAI
      assert.equal("\1\x13\x12\0\0\0\0\0" .. digest.md5 "here" .. "\0\0", (host:command(0x13, W(0x10000, 4))))
      host.port:close()
    end)
  end

  some("gives the security information that the ROM has", function()
    for id, expected in pairs { esp32c3 = { "14 00 0", 20, 5 }, esp32s2 = { "14 00 0", 12 }, esp32 = { "14 C3 0", 0 },
                                esp8266 = { "14 C3 0", 0 } } do
      with(id, {}, function(wire)
        wire.send(request(0x14, ""))
        local answer, body = wire.answer()
        assert.equal(expected[1], answer)
        assert.equal(expected[2], #body)
        if expected[3] then assert.equal(expected[3], (("<I4"):unpack(body, 13))) end  -- the chip's id
      end)
    end
  end)

  some("waits before it writes a register", function()
    with("esp32c3", {}, function(wire, chip)
      local systimer = 0x60023000                          -- TRM: 16 MHz; UNIT0_OP, UNIT0_VALUE_LO
      local function now()
        chip:write_reg(systimer + 0x04, 1 << 30)
        return chip:read_reg(systimer + 0x44)
      end
      local before = now()
      wire.send(request(0x09, W(0x3FCD0000, 1, 0xFFFFFFFF, 3000)))
      assert.equal("09 00 0", (wire.answer()))
      assert.is_true((now() - before & 0xFFFFFFFF) >= 3000 * 16)
    end)
  end)
end)

local function unhex(text)
  return (text:gsub("%s", ""):gsub("..", function(h) return string.char(tonumber(h, 16)) end))
end

describe("our stub on a chip with a key", function()
  local some = STRESS and function() end or it
  -- espsecure v5.2.0, encrypt-flash-data --aes-xts at 0x10020: key of the bytes 0, 1, 2, ...; bytes (7 * i + 3) & 0xFF.
  local XTS = unhex [[
    dbcd14463f0c8b35805b808afe2ca85b2f6c50a24f46fa9d8792c95665021e55f0d2f12ea1c42a67c5faebc1c74cb7f5
    ca8aa2d92da28121b5a5425a8fa6de57ca81996ca4e4e218bc78e6d7d1f5c0243b3137fb618ded77ee378ca407fb7388]]
  -- The same for the ESP32, --flash-crypt-conf 0, key of the bytes 1 to 32, where the address takes no part.
  local COUNTED = unhex [[17604c72a2cd2f3b88a27126eea188ff7487efe6058868edc6256c46d03957a0
    1a443f5e735cd5dd709edb0f58726880a9e1510294e1d93172402d03a77819ce]]
  local plain = ""
  for i = 0, 95 do plain = plain .. string.char((7 * i + 3) & 0xFF) end

  for id, case in pairs { esp32c3 = { keys = "4", block = 4, first = 0, align = 16, cipher = XTS },
                          esp32c6 = { keys = "4", block = 4, first = 0, align = 16, cipher = XTS },
                          esp32 = { block = 1, first = 1, align = 32, cipher = COUNTED } } do
    some("writes what only that chip reads: " .. id, function()
      with(id, { keys = case.keys, flash_encryption = true, flash_size = "32MB" }, function(wire, _, sim)
        for w = 0, 7 do                                                        -- a key's last byte comes first
          local b = case.first + 31 - 4 * w
          sim:efuse_word(case.block, w, b | b - 1 << 8 | b - 2 << 16 | b - 3 << 24)
        end
        local n, at = #case.cipher, 0x10020
        local function begin(size, address)
          wire.send(request(BEGIN, W(size, 1, 4096, address, 1)))
          return (wire.answer())
        end
        wire.send(request(0x0B, W(0, 32 << 20, 65536, 4096, 256, 0xFFFF)))
        assert.equal("0B 00 0", (wire.answer()))
        for _, bad in ipairs { { n + case.align // 2, at }, { n, at + case.align // 2 }, { n, at + 1 },
                               { n, (16 << 20) - case.align }, { n, 16 << 20 }, { n, 20 << 20 } } do
          assert.equal("02 E6 0", begin(bad[1], bad[2]))
        end
        assert.equal("02 00 0", begin(n, (16 << 20) - n))
        assert.equal("02 00 0", begin(n, at))
        wire.send(block(DATA, 0, plain:sub(1, 21)))                            -- pieces of any size
        assert.equal("03 00 1", (wire.answer()))
        wire.send(block(DATA, 1, plain:sub(22, n)))
        assert.equal("03 00 2", (wire.answer()))
        wire.send(request(END, W(1)))
        assert.equal("04 00 0", (wire.answer()))
        assert.is_true(case.cipher == sim:flash(at, n))
        assert.is_true(("\xFF"):rep(32) == sim:flash(at - 32, 32))
        assert.is_true(("\xFF"):rep(32) == sim:flash(at + n, 32))
      end)
    end)
  end

  some("says that a chip has no encryption", function()
    with("esp8266", {}, function(wire)
      wire.send(request(BEGIN, W(64, 1, 64, 0x10000, 1)))
      assert.equal("02 FF 0", (wire.answer()))
    end)
  end)
end)
