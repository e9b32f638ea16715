-- What a write or an erase does to the flash chip, counted by the simulated one: nothing outside of the range that was
-- announced, and no erase of what is blank. The stub is the binary that ships.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"

local SECTOR, BLOCK = 0x1000, 0x10000
local W = function(...) return ("<I4"):rep(select("#", ...)):pack(...) end
local BEGIN, DATA, DEFL_BEGIN, DEFL_DATA, ERASE_REGION = 0x02, 0x03, 0x10, 0x11, 0xD1

local function with(id, fn)
  -- Trying again would count twice, so nothing is tried again: there is time enough on a slow machine.
  local chip, sim = board.new(id, { stub = true, config = { timeout = 20, sync_timeout = 5 } })
  local ok, err = pcall(fn, chip, sim)
  chip:close()
  sim:close()
  if not ok then error(err, 0) end
end

local function flash(chip, address, bytes, opts)
  local o = { full = true }
  for k, v in pairs(opts or {}) do o[k] = v end
  assert.is_true(chip:flash({ { address, { data = bytes } } }, o).verified)
end

for _, id in ipairs(os.getenv "ESPLUA_GC_STRESS" and { "esp32c3" } or { "esp32c3", "esp32", "esp8266" }) do
  describe("our stub on the simulated " .. id, function()
    it("erases no sector that is blank", function()
      with(id, function(chip, sim)
        chip:attach()
        sim:flash_use()
        flash(chip, BLOCK, board.noise(2 * BLOCK + 5000, 1))
        local use = sim:flash_use()
        assert.equal(0, use.erases)
        assert.equal(2 * BLOCK + 5000, use.programmed)
        chip:erase(8 * BLOCK, BLOCK)
        assert.equal(0, sim:flash_use().erases)
      end)
    end)

    it("erases only the sectors that are not blank, outside of whole blocks of 64 KiB", function()
      with(id, function(chip, sim)
        chip:attach()
        local half = BLOCK // 2
        for _, sector in ipairs { 0, 6 } do sim:poke_flash(BLOCK + half + sector * SECTOR + 0xFFC, "old!") end
        sim:flash_use()
        flash(chip, BLOCK + half, board.noise(half, 2))
        local use = sim:flash_use()
        assert.same({ 2, 2 * SECTOR }, { use.erases, use.erased })
        assert.same({ BLOCK + half, 2 * BLOCK }, { use.first, use.last })
      end)
    end)

    it("erases 64 KiB at once where nothing of it is blank", function()
      with(id, function(chip, sim)
        chip:attach()
        sim:poke_flash(BLOCK, ("old"):rep(BLOCK))
        sim:flash_use()
        flash(chip, BLOCK, board.noise(BLOCK + SECTOR, 3))
        local use = sim:flash_use()
        assert.same({ 2, BLOCK + SECTOR }, { use.erases, use.erased })
        assert.same({ BLOCK, 2 * BLOCK + SECTOR }, { use.first, use.last })
      end)
    end)

    for _, compress in ipairs { true, false } do
      it(("touches nothing outside of the range%s"):format(compress and ", compressed" or ""), function()
        with(id, function(chip, sim)
          chip:attach()
          local around = ("around"):rep(0x8000)
          sim:poke_flash(BLOCK, around)
          for _, case in ipairs { { 0x13000, 1 }, { 0x13000, SECTOR }, { 0x14000, SECTOR + 1 }, { 0x12000, 0x4004 } } do
            local at, n = table.unpack(case)
            sim:flash_use()
            flash(chip, at, board.code(n, n), { compress = compress })
            local use = sim:flash_use()
            assert.is_true(use.first >= at and use.last <= at + (n + SECTOR - 1) // SECTOR * SECTOR)
          end
          assert.equal(around:sub(1, 0x2000), sim:flash(BLOCK, 0x2000))
          assert.equal(around:sub(0x7001, #around), sim:flash(0x17000, #around - 0x7000))
        end)
      end)
    end

    it("keeps to the range that was announced when more is sent", function()
      with(id, function(chip, sim)
        chip:attach()
        local zlib = require "esp.core.zlib"
        local bytes, link = board.noise(0x800, 4), chip.link
        local function command(op, data) return link:command(op, data, { status = 2 }) end
        sim:poke_flash(0x20000, ("other"):rep(0x4000))
        sim:flash_use()
        assert(command(BEGIN, W(100, 1, 0x800, 0x21000, 0)))
        assert(command(DATA, W(#bytes, 0, 0, 0) .. bytes))                 -- padding: dropped
        assert.is_truthy(command(DEFL_BEGIN, W(100, 1, 0x800, 0x23000, 0)))
        local packed = zlib.deflate(bytes, 9)
        assert.is_nil((command(DEFL_DATA, W(#packed, 0, 0, 0) .. packed)))  -- TOO_MUCH_DATA
        local use = sim:flash_use()
        assert.is_true(use.first >= 0x21000 and use.last <= 0x24000)
        assert.equal(bytes:sub(1, 100) .. "\xFF", sim:flash(0x21000, 101))
        assert.equal(("other"):rep(0x4000):sub(0x2001, 0x3000), sim:flash(0x22000, SECTOR))
        assert.is_nil((command(ERASE_REGION, W(0x22100, SECTOR))))
        assert.equal(0, sim:flash_use().erases)
      end)
    end)
  end)
end
