-- What our stub guards against: commands that would quietly do nothing, or something else than they say. Error bytes
-- and layouts are those of doc/stub-protocol.md.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local chips = require "esp.chips"
local spiflash = require "esp.spiflash"
local stub = require "esp.stub"
local zlib = require "esp.core.zlib"

local W = function(...) return ("<I4"):rep(select("#", ...)):pack(...) end
local BEGIN, DATA, END, MEM_BEGIN, MEM_DATA, ATTACH, PARAMS = 0x02, 0x03, 0x04, 0x05, 0x07, 0x0D, 0x0B
local DEFL_BEGIN, DEFL_DATA, DEFL_END = 0x10, 0x11, 0x12
local MD5, ERASE_FLASH, ERASE_REGION, READ, DIGESTS, READ_PACKED = 0x13, 0xD0, 0xD1, 0xD2, 0xF1, 0xF2
local OK, PROTECTED, FAILED, NOT_IN_PROGRESS = 0, 0xC5, 0xC4, 0xC6
local STRESS = os.getenv "ESPLUA_GC_STRESS"
local some = STRESS and function() end or it            -- a chip costs seconds where the collector always runs

local function with(id, options, fn)
  options.stub = true
  local chip, sim = board.new(id, options)
  local ok, err = pcall(fn, chip, sim)
  local alive = ok and chip:mac()
  chip:close()
  sim:close()
  if not ok then error(err, 0) end
  assert.matches("^%x%x:", alive)          -- whatever was refused, the stub still answers
end

-- The error byte that a command is refused with, 0 when it is not.
local function refusal(chip, op, data, checksum)
  local value, _, _, details = chip.link:command(op, data, { status = 2, timeout = 20, checksum = checksum })
  return value and 0 or details.error
end

-- Gives the stub time: it works between requests.
local function linger(chip)
  for _ = 1, 20 do assert(chip.link:command(0x0A, W(chip.data.uart.base + 0x14), { status = 2, timeout = 20 })) end
end

local function block(bytes, number) return W(#bytes, number, 0, 0) .. bytes end
local function params(size) return W(0, size, 65536, 4096, 256, 0xFFFF) end

describe("our stub and memory", function()
  -- Instruction memory, away from the stub. It takes whole words only, on most of these chips.
  local memory = { esp32c3 = 0x403D0000, esp32c2 = 0x403B0000, esp32 = 0x40098000, esp32s3 = 0x403C0000,
                   esp32s2 = 0x40068000, esp8266 = 0x4010B000, esp32c6 = 0x40870000 }
  for id, at in pairs(STRESS and { esp32c3 = 0x403D0000 } or memory) do
    it("writes any number of bytes anywhere: " .. id, function()
      with(id, {}, function(chip)
        for i = 0, 3 do chip:write_reg(at + 4 * i, 0xA5A5A5A5) end
        assert.equal(OK, refusal(chip, MEM_BEGIN, W(8, 2, 16, at + 3)))
        assert.equal(OK, refusal(chip, MEM_DATA, block("\1\2\3", 0)))
        assert.equal(OK, refusal(chip, MEM_DATA, block("\4\5\6\7\8", 1)))
        assert.equal(0xC9, refusal(chip, MEM_DATA, block("\9", 2)))            -- more than was announced
        local words = {}
        for i = 0, 3 do words[i + 1] = ("%08X"):format(chip:read_reg(at + 4 * i)) end
        assert.same({ "01A5A5A5", "05040302", "A5080706", "A5A5A5A5" }, words)
      end)
    end)
  end
end)

for _, id in ipairs(STRESS and { "esp32c3" } or { "esp32c3", "esp32", "esp8266" }) do
  describe("our stub on the simulated " .. id, function()
    it("does not take protected flash for erased", function()
      with(id, {}, function(chip, sim)
        sim:poke_flash(0x20064, "data")                    -- the sector's first word is blank
        chip:attach()
        spiflash.write_status(chip, 0x1C, 1)
        assert.equal(PROTECTED, refusal(chip, ERASE_REGION, W(0x20000, 0x1000)))
        assert.equal(PROTECTED, refusal(chip, ERASE_REGION, W(0x20000, 0x10000)))
        sim:poke_flash(0x30000, "more")
        assert.equal(PROTECTED, refusal(chip, ERASE_FLASH, ""))
        assert.equal("data", sim:flash(0x20064, 4))
        spiflash.write_status(chip, 0, 1)
        assert.equal(OK, refusal(chip, ERASE_FLASH, ""))
        assert.equal("\xFF\xFF\xFF\xFF", sim:flash(0x20064, 4))
        assert.equal("\xFF\xFF\xFF\xFF", sim:flash(0x30000, 4))
      end)
    end)

    some("erases as few times as can be, and programs no blank", function()
      with(id, {}, function(chip, sim)
        local function use()
          local u = sim:flash_use()
          return ("%d erases of %X, programmed %X"):format(u.erases, u.erased, u.programmed)
        end
        for at = 0x1F000, 0x40000, 0x1000 do sim:poke_flash(at + 0xF00, "used") end
        chip:attach()
        use()
        assert.equal(OK, refusal(chip, ERASE_REGION, W(0x1F000, 0x22000)))
        assert.equal("4 erases of 22000, programmed 0", use())                  -- a sector, twice 64 KiB, a sector
        assert.equal(OK, refusal(chip, ERASE_REGION, W(0x1F000, 0x22000)))
        assert.equal("0 erases of 0, programmed 0", use())
        sim:poke_flash(0x2FFFF, "\0")
        local bytes = ("\xFF"):rep(256) .. ("x"):rep(128) .. ("\xFF"):rep(0x2C80)
        assert.equal(OK, refusal(chip, BEGIN, W(0x20000, 8, 0x4000, 0x20000)))
        assert.equal(OK, refusal(chip, DATA, block(bytes, 0)))
        for i = 1, 16 do assert.equal(OK, refusal(chip, DATA, block(("\xFF"):rep(0x2000), i))) end
        assert.equal(OK, refusal(chip, END, W(1)))
        assert.equal("1 erases of 10000, programmed 80", use())
      end)
    end)

    some("erases nothing beyond what it is told", function()
      with(id, {}, function(chip, sim)
        local marks = { [0x1FFFC] = "low ", [0x20000] = "from", [0x3FFFC] = "to  ", [0x40000] = "high" }
        for at, mark in pairs(marks) do sim:poke_flash(at, mark) end
        chip:attach()
        assert.equal(OK, refusal(chip, ERASE_REGION, W(0x20000, 0x20000)))
        assert.is_true("low " .. ("\xFF"):rep(0x20000) .. "high" == sim:flash(0x1FFFC, 0x20008))
        for at, mark in pairs { [0x50FFC] = "low ", [0x51000] = "from", [0x6FFFC] = "to  ", [0x70000] = "high" } do
          sim:poke_flash(at, mark)
        end
        assert.equal(OK, refusal(chip, ERASE_REGION, W(0x51000, 0x1F000)))       -- 64 KiB at once only where they begin
        assert.is_true("low " .. ("\xFF"):rep(0x1F000) .. "high" == sim:flash(0x50FFC, 0x1F008))
        for _, at in ipairs { 0x60000, 0x80000 } do                      -- where 64 KiB begin, but less is meant
          sim:poke_flash(at, "from")
          sim:poke_flash(at + 0x2000, "high")
        end
        assert.equal(OK, refusal(chip, ERASE_REGION, W(0x60000, 0x2000)))
        assert.equal("\xFFhigh", sim:flash(0x61FFF, 5))
        assert.equal(OK, refusal(chip, BEGIN, W(0x1800, 1, 0x4000, 0x80000)))
        assert.equal(OK, refusal(chip, DATA, block(("z"):rep(0x1800), 0)))
        assert.equal(OK, refusal(chip, END, W(1)))
        assert.equal("\xFFhigh", sim:flash(0x81FFF, 5))
        sim:poke_flash(0x11FFF, "<")
        sim:poke_flash(0x14000, ">")
        sim:poke_flash(0x12000, ("\0"):rep(0x2000))
        assert.equal(OK, refusal(chip, BEGIN, W(0x1001, 1, 0x4000, 0x12FFE)))
        local bytes = board.noise(0x1001, 9)
        assert.equal(OK, refusal(chip, DATA, block(bytes .. ("\xA5"):rep(0x100), 0)))
        assert.equal(OK, refusal(chip, END, W(1)))
        assert.is_true("<" .. ("\xFF"):rep(0xFFE) .. bytes .. "\xFF>" == sim:flash(0x11FFF, 0x2002))
      end)
    end)

    some("goes on with no write when what it has written may be gone", function()
      with(id, {}, function(chip)
        chip:attach()
        for op, data in pairs { [ERASE_FLASH] = "", [PARAMS] = params(4 << 20), [ATTACH] = W(0, 0),
                                [MD5] = W(0, 16, 0, 0), [ERASE_REGION] = W(0x80000, 0x1000) } do
          assert.equal(OK, refusal(chip, BEGIN, W(8192, 2, 4096, 0x10000)))
          assert.equal(OK, refusal(chip, DATA, block(("x"):rep(4096), 0)))
          assert.equal(OK, refusal(chip, op, data))
          assert.equal(NOT_IN_PROGRESS, refusal(chip, DATA, block(("y"):rep(4096), 1)), op)
          assert.equal(NOT_IN_PROGRESS, refusal(chip, END, W(1)), op)
        end
        -- nor when the next one is refused: its blocks would go where the earlier one goes
        for _, data in ipairs { W(8192, 2, 0x4001, 0x20000), W(8192, 2, 4096, 0xFFFFF000) } do
          assert.equal(OK, refusal(chip, BEGIN, W(8192, 2, 4096, 0x10000)))
          assert.is_true(refusal(chip, BEGIN, data) ~= OK)
          assert.is_true(refusal(chip, DATA, block(("y"):rep(4096), 0)) ~= OK)
        end
      end)
    end)

    some("does not take flash that is asleep for blank", function()
      with(id, {}, function(chip)
        chip:attach()
        spiflash.command(chip, { opcode = 0xB9 })
        for op, data in pairs { [BEGIN] = W(4096, 1, 4096, 0x10000), [MD5] = W(0, 16, 0, 0), [ERASE_FLASH] = "",
                                [ERASE_REGION] = W(0, 0x1000), [READ] = W(0, 16, 16, 1),
                                [DIGESTS] = W(0, 4096, 4096), [READ_PACKED] = W(0, 4096, 4096, 1) } do
          assert.equal(FAILED, refusal(chip, op, data), ("command %02X"):format(op))
        end
        spiflash.command(chip, { opcode = 0xAB })
        assert.equal(OK, refusal(chip, BEGIN, W(4096, 1, 4096, 0x10000)))
        assert.equal(OK, refusal(chip, MD5, W(0, 16, 0, 0)))
      end)
    end)

    some("compares what it has programmed", function()
      with(id, {}, function(chip, sim)
        chip:attach()
        assert.equal(OK, refusal(chip, BEGIN, W(4096, 1, 4096, 0x10000)))
        linger(chip)          -- it looks whether the sector is blank
        sim:poke_flash(0x10800, "\0")
        assert.equal(0xE2, refusal(chip, DATA, block(("\x5A"):rep(4096), 0)))
        assert.equal(0xE2, refusal(chip, END, W(1)))
      end)
    end)

    some("takes no block with a wrong checksum, and no stream without its end", function()
      with(id, {}, function(chip, sim)
        chip:attach()
        assert.equal(OK, refusal(chip, BEGIN, W(4, 1, 16, 0x10000)))
        chip.link:set_guard(false)
        local right = 0xEF ~ 1 ~ 2 ~ 4 ~ 8
        for _, wrong in ipairs { right ~ 1, right ~ 0x80, 0 } do
          assert.equal(0xC1, refusal(chip, DATA, block("\1\2\4\8", 0), wrong))
        end
        assert.equal(OK, refusal(chip, DATA, block("\1\2\4\8", 0), right))
        assert.equal("\1\2\4\8\xFF", sim:flash(0x10000, 5))
        chip.link:set_guard(true)
        local stream = zlib.deflate(("abc"):rep(1000), 9)
        for cut = 1, 4 do                                  -- the content is complete, its Adler-32 is not
          assert.equal(OK, refusal(chip, DEFL_BEGIN, W(3000, 1, 0x4000, 0x10000)))
          assert.equal(OK, refusal(chip, DEFL_DATA, block(stream:sub(1, -1 - cut), 0)))
          assert.equal(0xC8, refusal(chip, DEFL_END, W(1)))
        end
      end)
    end)

    some("puts nothing of a stream behind the end of the write", function()
      with(id, {}, function(chip, sim)
        chip:attach()
        local letters = board.noise(9000, 3):gsub(".", function(c) return string.char(c:byte() % 61 + 32) end)
        local contents = { letters = letters, copies = letters:sub(1, 300):rep(30), stored = board.noise(9000, 2) }
        for kind, bytes in pairs(contents) do
          local stream = zlib.deflate(bytes, 9)
          for _, size in ipairs { 5000, 8300 } do
            assert.equal(OK, refusal(chip, DEFL_BEGIN, W(size, 1, 0x4000, 0x10000)))
            assert.equal(0xC9, refusal(chip, DEFL_DATA, block(stream, 0)), kind)
            assert.equal(0xC9, refusal(chip, DEFL_DATA, block("abcd", 1)), kind)
            linger(chip)      -- time to do what it should not
            assert.equal(("\xFF"):rep(100), sim:flash(0x10000 + size, 100), kind)
          end
          assert.equal(OK, refusal(chip, DEFL_BEGIN, W(9000, 1, 0x4000, 0x10000)))
          assert.equal(0xC9, refusal(chip, DEFL_DATA, block(stream .. "x", 0)), kind)
          assert.equal(OK, refusal(chip, DEFL_BEGIN, W(9000, 1, 0x4000, 0x10000)))
          assert.equal(OK, refusal(chip, DEFL_DATA, block(stream, 0)), kind)
          assert.equal(0xC9, refusal(chip, DEFL_DATA, block("x", 1)), kind)
        end
        -- one block of fixed codes: a copy of three bytes from one before the first (RFC 1951, by hand)
        assert.equal(OK, refusal(chip, DEFL_BEGIN, W(3, 1, 0x4000, 0x10000)))
        assert.equal(0xC7, refusal(chip, DEFL_DATA, block("\x78\x01\x03\x02\0", 0)))
      end)
    end)

    some("has an error for what it cannot do", function()
      with(id, {}, function(chip)
        chip:attach()
        for _, rate in ipairs { 0, 1, 1199, 0xFFFFFFFF } do
          assert.equal(0xE4, refusal(chip, 0x0F, W(rate, 115200)))
        end
        for op, n in pairs { [0x02] = 16, [0x03] = 16, [0x04] = 4, [0x05] = 16, [0x06] = 8, [0x07] = 16, [0x09] = 16,
                             [0x0A] = 4, [0x0B] = 24, [0x0D] = 4, [0x0F] = 8, [0x10] = 16, [0x11] = 16, [0x12] = 4,
                             [0x13] = 8, [0xD1] = 8, [0xD2] = 16, [0xF1] = 12, [0xF2] = 16 } do
          assert.equal(0xC0, refusal(chip, op, ("\0"):rep(n - 1)), ("command %02X"):format(op))
        end
        for _, op in ipairs { 0x00, 0x01, 0x0C, 0x15, 0x18, 0x1C, 0x1D, 0xD4, 0xD8, 0xEF, 0xF4, 0xFF } do
          assert.equal(0xC3, refusal(chip, op, ("\0"):rep(32)), ("command %02X"):format(op))
        end
        for _, packet in ipairs { 0, 16385, 0xFFFFFFFF } do
          assert.equal(0xC2, refusal(chip, READ, W(0, 16, packet, 1)))
        end
        assert.equal(0xC2, refusal(chip, READ_PACKED, W(0, 16, 16, 0)))
        assert.equal(0xC2, refusal(chip, READ_PACKED, W(0, 16, 16, 1025)))
        assert.equal(0xC2, refusal(chip, DIGESTS, W(0, 4096, 255)))
      end)
    end)
  end)
end

describe("our stub on a simulated chip", function()
  for _, size in ipairs(STRESS and { 32 } or { 16, 32 }) do
    some(("reaches every byte of %d MB, on both sides of the border of short addresses"):format(size), function()
      with("esp32s3", { flash_size = size .. "MB" }, function(chip, sim)
        local last, border = (size << 20) - 0x1000, 16 << 20
        chip:attach()
        sim:poke_flash(0, "begin")
        sim:poke_flash(0x3000, "low")
        assert.equal(OK, refusal(chip, PARAMS, params(size << 20)))
        local bytes = board.noise(0x4000, 6)
        local function write(at, part)
          assert.equal(OK, refusal(chip, BEGIN, W(#part, 1, 0x4000, at)))
          assert.equal(OK, refusal(chip, DATA, block(part, 0)))
          assert.equal(OK, refusal(chip, END, W(1)))
          assert.is_true(part == sim:flash(at, #part))
          assert.is_true(part == (chip:read(at, #part)))
        end
        write(last, bytes:sub(1, 0x1000))
        if size > 16 then write(border - 0x2000, bytes) end
        assert.equal(OK, refusal(chip, ERASE_REGION, W(last, 0x1000)))
        assert.equal(("\xFF"):rep(0x1000), sim:flash(last, 0x1000))
        assert.equal(0xE6, refusal(chip, ERASE_REGION, W(last, 0x2000)))
        assert.equal("begin", sim:flash(0, 5))
        assert.equal("low", sim:flash(0x3000, 3))
      end)
    end)
  end

  for _, id in ipairs(chips.list()) do
    local data = chips.get(id)
    local dog = data.watchdog
    if dog and dog.disable_on_usj and data.stub.default ~= "none" then
      some("switches off the watchdogs that USB leaves on: " .. id, function()
        with(id, {}, function(chip)
          chip:write_reg(dog.rtc.wprotect, dog.rtc.key)
          chip:write_reg(dog.rtc.config0, 0x12345)                              -- no stage of it does anything
          chip:write_reg(dog.rtc.wprotect, 0)
          chip:write_reg(dog.swd.wprotect, dog.swd.key)
          chip:write_reg(dog.swd.config, 0x2345 & ~dog.swd.auto_feed)
          chip:write_reg(dog.swd.wprotect, 0)
          assert.equal(0x12345, chip:read_reg(dog.rtc.config0))
          local entry = stub.built_in { id = id, data = data, revision_number = chip.revision_number or 0 }.entry
          assert.equal(OK, refusal(chip, 0x06, W(0, entry)))                    -- from the beginning
          chip.link:command(0x08, ("\7\7\x12\x20" .. ("\x55"):rep(32)), { status = 2 })
          assert.equal(0, chip:read_reg(dog.rtc.config0))
          assert.equal(dog.swd.auto_feed, chip:read_reg(dog.swd.config) & dog.swd.auto_feed)
          assert.equal(0, chip:read_reg(dog.rtc.wprotect))
        end)
      end)
    end
  end

  some("gives up on flash that stays busy, and says so", function()
    with("esp32c3", { timing = "real" }, function(chip)
      chip:attach()
      assert.equal(OK, refusal(chip, PARAMS, params(4 << 20)))
      assert.equal(OK, refusal(chip, BEGIN, W(0x8000, 8, 4096, 0x10000)))
      assert.equal(OK, refusal(chip, DATA, block(("\x5A"):rep(0x4000), 0)))
      -- It is still programming when from one moment to the next nobody answers.
      assert.equal(OK, refusal(chip, ATTACH, W(0x1234, 0)))
      assert.equal(0xE3, refusal(chip, MD5, W(0, 16, 0, 0)))
      assert.equal(FAILED, refusal(chip, MD5, W(0, 16, 0, 0)))
      assert.equal(OK, refusal(chip, ATTACH, W(0, 0)))
      assert.equal(OK, refusal(chip, MD5, W(0, 16, 0, 0)))
    end)
  end)
end)
