-- Our stub and the flash behind it, on simulated chips: what it refuses, and that it is still there afterwards.
-- Error bytes and layouts are those of doc/stub-protocol.md.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local fail = require "esp.error"
local spiflash = require "esp.spiflash"
local zlib = require "esp.core.zlib"

local W = function(...) return ("<I4"):rep(select("#", ...)):pack(...) end
local BEGIN, DATA, END, DEFL_BEGIN, DEFL_DATA, DEFL_END, MD5 = 0x02, 0x03, 0x04, 0x10, 0x11, 0x12, 0x13

local function with(id, options, fn)
  options.stub = true
  local chip, sim, events = board.new(id, options)
  local ok, err = pcall(fn, chip, sim, events)
  local alive = ok and chip:mac()
  chip:close()
  sim:close()
  if not ok then error(err, 0) end
  assert.matches("^%x%x:", alive)          -- whatever was refused, the stub still answers
end

local function failure(f, ...)
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(fail.is(e), tostring(e))
  return e
end

-- The error byte that a command is refused with, 0 when it is not.
local function refusal(chip, op, data, checksum)
  local value, _, _, details = chip.link:command(op, data, { checksum = checksum, status = 2 })
  return value and 0 or details.error
end

local function block(bytes, number) return W(#bytes, number, 0, 0) .. bytes end

-- With the collector always running a connection takes seconds: then one chip stands for all.
local STRESS = os.getenv "ESPLUA_GC_STRESS"

for _, id in ipairs(STRESS and { "esp32c3" } or { "esp32c3", "esp32", "esp8266" }) do
  describe("our stub on the simulated " .. id, function()
    local plain = board.code(6000, 1)
    local packed = zlib.deflate(plain, 9)

    it("leaves nothing at work when flashing ends early", function()
      with(id, {}, function(chip)
        local err = failure(chip.flash, chip, { { 0x10000, { data = board.code(600000, 7) } },
                                                { 0x8000000, { data = plain } } })
        assert.equal("does_not_fit", err.code)
        require "esp.core.task".run()                -- what was compressing the files ends quietly
      end)
    end)

    it("says what is wrong with a stream, and goes on", function()
      with(id, {}, function(chip, sim)
        chip:attach()
        local function begin(op, size) assert.equal(0, refusal(chip, op, W(size, 1, 0x4000, 0x10000, 0))) end
        begin(DEFL_BEGIN, #plain)
        assert.equal(0xC7, refusal(chip, DEFL_DATA, block("\x78\xDA\xFF\xFF\xFF\xFF", 0)))         -- block of type 3
        assert.equal(0xC7, refusal(chip, DEFL_DATA, block(packed, 1)))                             -- stays ended
        begin(DEFL_BEGIN, #plain)
        assert.equal(0xC7, refusal(chip, DEFL_DATA, block(packed:sub(1, -2) .. string.char(packed:byte(-1) ~ 1), 0)))
        begin(DEFL_BEGIN, #plain)
        assert.equal(0, refusal(chip, DEFL_DATA, block(packed:sub(1, 300), 0)))
        assert.equal(0xC8, refusal(chip, DEFL_END, W(1)))                                          -- too early
        begin(DEFL_BEGIN, #plain - 1)
        assert.equal(0xC9, refusal(chip, DEFL_DATA, block(packed, 0)))                             -- too much
        assert.equal("\xFF", sim:flash(0x10000 + 0x2000, 1))
        begin(BEGIN, 4096)
        assert.equal(0xC8, refusal(chip, END, W(1)))
        assert.equal(0xC6, refusal(chip, END, W(1)))                                               -- nothing begun
        assert.equal(0xC6, refusal(chip, DATA, block("abcd", 0)))
        begin(BEGIN, 4096)
        assert.equal(0xE1, refusal(chip, DATA, block("abcd", 3)))                                  -- 0 is missing
        assert.equal(0xC6, refusal(chip, DEFL_DATA, block("abcd", 0)))                             -- the other kind
        assert.equal(0xC0, refusal(chip, DATA, W(5, 0, 0, 0) .. "abcd"))
        assert.equal(0xC2, refusal(chip, BEGIN, W(4096, 1, 0x8000, 0x10000, 0)))
        assert.equal(0xC3, refusal(chip, 0x77, ""))
        assert.equal(0xC2, refusal(chip, 0xF1, W(0x10000, 4096, 0)))                               -- digests of nothing
        begin(DEFL_BEGIN, #plain)
        assert.equal(0, refusal(chip, DEFL_DATA, block(packed, 0)))
        assert.equal(0, refusal(chip, DEFL_END, W(1)))
        assert.equal(plain, sim:flash(0x10000, #plain))
      end)
    end)

    it("unpacks a stream wherever it is cut", function()
      with(id, {}, function(chip, sim)
        chip:attach()
        local bytes = plain .. board.noise(700, 2) .. plain:reverse() .. ("\0"):rep(900) .. plain:sub(1, 2000)
        for level, longest in pairs { [1] = 37, [9] = 5 } do
          local stream, at, number = zlib.deflate(bytes, level), 1, 0
          local target = 0x10000 + level * 0x10000 + level              -- not aligned either
          assert.equal(0, refusal(chip, DEFL_BEGIN, W(#bytes, 1, 0x4000, target, 0)))
          while at <= #stream do
            local n = STRESS and 400 or number % longest + 1
            assert.equal(0, refusal(chip, DEFL_DATA, block(stream:sub(at, at + n - 1), number)))
            at, number = at + n, number + 1
          end
          assert.equal(0, refusal(chip, DEFL_END, W(1)))
          assert.equal(bytes, sim:flash(target, #bytes))
        end
      end)
    end)

    it("does nothing of a frame that does not fit its CRC", function()
      with(id, {}, function(chip, sim)
        chip:attach()
        sim:poke_flash(0x10000, "data")
        chip.link:set_guard(false)
        assert.equal(0xE5, refusal(chip, 0xD0, "", 0x12345678))
        assert.equal(0xE5, refusal(chip, 0xD1, W(0x10000, 0x1000), 0x12345678))
        assert.equal("data", sim:flash(0x10000, 4))
        assert.equal(0, refusal(chip, 0xD1, W(0x10000, 0x1000)))
        assert.equal("\xFF", sim:flash(0x10000, 1))
      end)
    end)

    it("keeps to the flash that there is", function()
      with(id, {}, function(chip)
        chip:attach()
        local size = chip:flash_id().size
        assert.equal(0, refusal(chip, 0x0B, W(0, size, 65536, 4096, 256, 0xFFFF)))
        assert.equal(0xE6, refusal(chip, 0x0B, W(0, 0xFFFFFFFF, 65536, 4096, 256, 0xFFFF)))
        assert.equal(0xE6, refusal(chip, BEGIN, W(0x2000, 1, 0x4000, size - 0x1000, 0)))
        assert.equal(0xE6, refusal(chip, 0xD1, W(size, 0x1000)))
        assert.equal(0xE6, refusal(chip, MD5, W(0xFFFFF000, 0x2000, 0, 0)))
        assert.equal(0xC0, refusal(chip, 0xD1, W(0x10080, 0x1000)))
      end)
    end)

    -- The controller keeps the last command: which one was taken to read. Without a trial that succeeds it is 03h.
    it("reads with two lines where they bring the same as one", function()
      local noise = board.noise(20000, 4)
      for wiring, opcode in pairs((STRESS or id ~= "esp32c3") and { good = 0x3B }
                                    or { good = 0x3B, high = 0x03, low = 0x03, as_q = 0x03, unknown = 0x03 }) do
        with(id, { dual = wiring }, function(chip, sim)
          local spi = chip.data.spi
          local function last_opcode() return chip:read_reg(spi.base + spi.usr2) & 0xFF end
          -- Nothing is to be learnt from these: the trial comes out the same with and without the line.
          for i, content in ipairs { "\xFF", "\0", "\x0F\xF0\x33" } do
            sim:poke_flash(0x10000, content:rep(8192 // #content))
            assert.same(require "esp.flash_digests".get(chip, 0x10000, 4096)[1],
                        require "esp.core.digest".mix(sim:flash(0x10000, 4096)), i)
            assert.equal(0x03, last_opcode())
          end
          sim:poke_flash(0x10000, noise)
          assert.is_true((chip:verify(0x10000, { data = noise })))
          assert.equal(opcode, last_opcode())
          assert.equal(0x40, spiflash.read_id(chip) >> 8 & 0xFF)                -- commands of the host's own still work
          assert.is_false((chip:verify(0x10000, { data = noise:sub(1, -2) .. string.char(noise:byte(-1) ~ 1) })))
          assert.equal(noise, (chip:read(0x10000, #noise)))
          local report = chip:flash { { 0x10000, { data = plain } } }
          assert.is_true(report.verified)
          assert.equal(plain, sim:flash(0x10000, #plain))
          assert.equal(opcode == 0x3B and 8 or 1, (chip:read_reg(spi.base + spi.usr1) & 0xFF) + 1)
        end)
      end
    end)

    it("finds flash protected", function()
      with(id, {}, function(chip, sim)
        sim:poke_flash(0x10000, "data")
        chip:attach()
        spiflash.write_status(chip, 0x1C, 1)
        for _, e in ipairs { failure(chip.erase, chip, 0x10000, 0x1000),
                             failure(chip.flash, chip, { { 0x10000, { data = plain } } }) } do
          assert.equal("flash_protected", e.code)
          assert.matches("write-protected", e.message, 1, true)
          assert.matches("protection bits", e.hint, 1, true)
        end
        assert.equal("data", sim:flash(0x10000, 4))
        local e = failure(chip.flash, chip, { { 0x20000, { data = plain } } })  -- blank: shows afterwards
        assert.equal("verify_failed", e.code)
        assert.matches("write-protected", e.hint, 1, true)
      end)
    end)
  end)
end

describe("our stub on a simulated chip", function()
  it("says so when flash does not answer, and never takes it for erased", function()
    with("esp32c3", { spi_connection = 0x1234 }, function(chip)
      for _, f in ipairs { function() chip:flash { { 0x10000, { data = "x" } } } end,
                           function() chip:erase(0x10000, 0x1000) end, function() chip:read(0x10000, 16) end,
                           function() chip:verify(0x10000, { data = "\xFF" }) end } do
        local e = failure(f)
        assert.equal("flash_failed", e.code)
        assert.matches("flash does not answer", e.message, 1, true)
      end
    end)
  end)

  it("reads a program that has the words of a crash in it", function()
    with("esp32c3", { seed = 5 }, function(chip, sim)
      local words = "Guru Meditation Error: Core %d panic'ed (%s)\r\n\0Fatal exception (%d):\r\n"
      local parts = {}
      for i = 1, 300 do parts[i] = board.code(900, i) .. words end
      local bytes = table.concat(parts)
      sim:poke_flash(0x10000, bytes)
      assert.is_true(bytes == chip:read(0x10000, #bytes))
      assert.is_true(chip:verify(0x10000, { data = bytes }))
    end)
  end)

  for _, id in ipairs(STRESS and { "esp32c5" } or { "esp32s3", "esp32c5" }) do
    it("reaches flash beyond 16 MB: " .. id, function()
      with(id, { flash_size = "32MB" }, function(chip, sim)
        local bytes, at = board.noise(9000, 3), 20 << 20
        sim:poke_flash(at - (16 << 20), "below")
        assert.is_true(chip:flash({ { at, { data = bytes } } }).verified)
        assert.equal(bytes, sim:flash(at, #bytes))
        assert.equal(bytes, (chip:read(at, #bytes)))
        assert.is_true((chip:verify(at, { data = bytes })))
        assert.is_true(chip:erase(at, 0x2000).verified)
        assert.equal(("\xFF"):rep(0x2000), sim:flash(at, 0x2000))
        assert.equal("below", sim:flash(at - (16 << 20), 5))
      end)
    end)
  end

  it("is not started on a chip with octal flash", function()
    local sim = require "esp.sim".new { chip = "esp32s3", fields = { flash_type = 1 } }
    local told = {}
    local chip <close> = require "esp".connect { port = sim:port(), env = {}, before = "no-reset", after = "no-reset",
      config = require "esp.config".from_text "[esptool]\n", on_event = function(e) told[e.code or ""] = e.text end }
    assert.is_false(chip.stub)
    assert.matches("eight data lines", told.no_stub, 1, true)
  end)
end)
