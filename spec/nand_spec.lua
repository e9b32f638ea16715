-- Serial NAND flash: the simulated part, our stub for it, and the library. What the part does is from the data sheet of
-- the Winbond W25N01GV (registers A0, B0, C0; P-FAIL, E-FAIL, ECC; bad-block marks: byte 0 of a block's first page and
-- the first spare bytes), numbers and layouts of the commands D5 to DE from the public stub's description of its
-- plug-in ("NAND Flash Support"). esptool with its own stub and plug-in, on the chip's real ROM, was run against the
-- same simulated part: it wrote, read, marked and erased as the data sheet says.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local digest = require "esp.core.digest"
local fail = require "esp.error"
local sim = require "esp.sim"

-- Where the collector is always running a connection takes seconds: a few of these then stand for all.
local quick = os.getenv "ESPLUA_GC_STRESS" and function() end or it

local BLOCK, PAGE, CELLS = 0x20000, 2048, 2112
local W = function(...) return ("<I4"):rep(select("#", ...)):pack(...) end

-- Where the cells of a page are in the simulated part: data and spare bytes of one page after the other.
local function cells(page, column) return page * CELLS + (column or 0) end

-- Bytes that compress, no two pages alike.
local function content(size, seed)
  local parts = {}
  for i = 1, (size + 255) // 256 do parts[i] = ("<I4"):pack(i + (seed or 1) * 7919) .. ("\x5A"):rep(252) end
  return table.concat(parts):sub(1, size)
end

local ROOM = { end_address = 10 * BLOCK }

local function with(options, fn)
  options.stub, options.flash_type, options.nand = true, "nand", options.nand == nil and 1 or options.nand
  options.config = { timeout = 3 }
  local chip, part, events = board.new("esp32s3", options)
  local ok, err = pcall(fn, chip, part, events)
  local alive = ok and require "esp.flash_util".again(chip, 5, chip.mac, chip)    -- a line may be bad
  chip:close()
  part:close()
  if not ok then error(err, 0) end
  assert.matches("^%x%x:", alive)
end

local function failure(code, f, ...)
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(fail.is(e), tostring(e))
  assert.equal(code, e.code, tostring(e))
  return e
end

local function event(events, code)
  for _, e in ipairs(events) do
    if e.code == code then return e end
  end
end

describe("a simulated NAND flash", function()
  it("comes with protection, error correction and buffer mode on, and its maker's marks", function()
    local part <close> = sim.new { chip = "esp32s3", nand = 1, nand_bad = "3,1023" }
    assert.same({ 0x7C, 0x18, 0x00 }, { part:nand_registers() })
    assert.equal("\0\xFF", part:nand(cells(3 * 64), 2))
    assert.equal("\0\0\xFF", part:nand(cells(3 * 64, 2048), 3))
    assert.equal("\0", part:nand(cells(1023 * 64, 2048), 1))
    assert.equal("\xFF", part:nand(cells(4 * 64, 2048), 1))
  end)

  for _, case in ipairs {
    { { chip = "esp32c3", nand = 1 }, "nothing is known of NAND flash" },
    { { chip = "esp32s3", nand_bad = "1" }, "without nand" },
    { { chip = "esp32s3", nand_pins = "1,2,3,4,5" }, "without nand" },
    { { chip = "esp32s3", nand = 1, nand_pins = "1,2,3" }, "five pin numbers" },
    { { chip = "esp32s3", nand = 1, nand_bad = "x" }, "not a number" },
  } do
    quick("refuses " .. case[2], function()
      assert.matches(case[2], failure("bad_argument", sim.new, case[1]).message, 1, true)
    end)
  end

  quick("keeps its cells in a file", function()
    local name = os.tmpname()
    os.remove(name)
    do
      local part <close> = sim.new { chip = "esp32s3", nand = name, nand_bad = { 1 } }
      part:poke_nand(cells(64 * 5, 7), "kept")
    end
    local f <close> = assert(io.open(name, "rb"))
    assert.equal(65536 * CELLS, f:seek "end")
    f:seek("set", cells(64 * 5, 7))
    assert.equal("kept", f:read(4))
    os.remove(name)
  end)

  it("is part of a saved state", function()
    local part <close> = sim.new { chip = "esp32s3", nand = 1 }
    part:poke_nand(cells(70), "before")
    local state <close> = part:save()
    part:poke_nand(cells(70), "after!")
    part:poke_nand(cells(700), "more")
    part:load(state)
    assert.equal("before", part:nand(cells(70), 6))
    assert.equal("\xFF\xFF", part:nand(cells(700), 2))
  end)
end)

describe("the stub's commands for NAND flash", function()
  local function command(chip, op, data)
    local value, body, _, details = chip.link:command(op, data, { status = 2, timeout = 3 })
    if value then return value, body end
    return nil, details.error
  end
  local function refused(chip, op, data) return (select(2, command(chip, op, data))) end

  quick("attach it by its pins, and take the protection away", function()
    with({}, function(chip, part)
      assert.equal(0xE6, refused(chip, 0xD6, W(0)))                  -- not before it was attached
      local value, body = command(chip, 0xD5, W(0))
      assert.equal(0x00EFAA21, value)
      assert.equal("\0", body)
      assert.same({ 0x00, 0x18, 0x00 }, { part:nand_registers() })
      assert.equal(0xE6, refused(chip, 0xD5, W(63)))                 -- there is no such pin
    end)
    -- Through the GPIO matrix: HD 5, CS 4, D 3, Q 2, CLK 1 in six bits each.
    with({ nand_pins = "1,2,3,5,4" }, function(chip)
      assert.equal(0xFFFFFF, command(chip, 0xD5, W(0)) & 0xFFFFFF)
      assert.equal(0x00EFAA21, command(chip, 0xD5, W(5 << 24 | 4 << 18 | 3 << 12 | 2 << 6 | 1)))
      assert.equal(0xFFFFFF, command(chip, 0xD5, W(5 << 24 | 4 << 18 | 3 << 12 | 6 << 6 | 1)) & 0xFFFFFF)
    end)
  end)

  quick("write, read and erase as the public ones do", function()
    with({}, function(chip, part)
      command(chip, 0xD5, W(0))
      local data = content(5000)
      assert.equal(0xE6, refused(chip, 0xD9, W(100, 5000, BLOCK, 0x4000)))      -- no page begins there
      assert.is_number(command(chip, 0xD9, W(BLOCK, #data, BLOCK, 0x4000)))
      for number = 0, 1 do
        local part_of = data:sub(number * 4096 + 1, number * 4096 + 4096)
        local value = chip.link:command(0xDA, W(#part_of, number, 0, 0) .. part_of, { status = 2, checksum = true })
        assert.equal(number + 1, value)
      end
      assert.is_number(command(chip, 0xDE, W(1)))
      assert.equal(data:sub(1, PAGE), part:nand(cells(64), PAGE))
      assert.equal(data:sub(2 * PAGE + 1) .. ("\xFF"):rep(3 * PAGE - #data), part:nand(cells(66), PAGE))
      assert.equal(0xC6, refused(chip, 0xDE, W(1)))                   -- nothing was begun

      local value, body = command(chip, 0xDD, W(65))
      assert.equal(65, value)
      assert.equal(data:sub(PAGE + 1, PAGE + 16), body)
      -- D8 as hosts use it: packets of 4096, each acknowledged with the sum so far, then the MD5 of all
      assert(chip.link:command(0xD8, W(BLOCK + 3, 4900, 4096, 64), { status = 2 }))
      local got = ""
      while #got < 4900 do
        got = got .. chip.link:receive(3).frame
        chip.link:write_raw("\xC0" .. W(#got):gsub("\xDB", "\xDB\xDD"):gsub("\xC0", "\xDB\xDC") .. "\xC0")
      end
      assert.equal(data:sub(4, 4903), got)
      assert.equal(digest.md5(got), chip.link:receive(3).frame)

      assert.equal(0xC0, refused(chip, 0xDC, W(0, 0x1000)))
      assert.is_number(command(chip, 0xDC, W(BLOCK, BLOCK)))
      assert.equal(("\xFF"):rep(CELLS), part:nand(cells(64), CELLS))
      assert.equal(0xE6, refused(chip, 0xDC, W(1024 * BLOCK, BLOCK)))
    end)
  end)

  it("read and write marks, and leave marked blocks alone when all is erased", function()
    with({ nand_bad = "9" }, function(chip, part)
      command(chip, 0xD5, W(0))
      part:poke_nand(cells(64 * 2), "data")
      assert.equal(0xFFFF0000, command(chip, 0xD6, W(9 * 64)))
      assert.equal(0xFFFFFFFF, command(chip, 0xD6, W(64)))
      assert.equal(0, command(chip, 0xD7, W(64) .. "\1"))
      assert.equal(("\xFF"):rep(PAGE) .. "\0\0\0\0" .. ("\xFF"):rep(60), part:nand(cells(64), CELLS))
      assert.same({ 0x00, 0x18, 0x00 }, { part:nand_registers() })
      assert.equal(0xC0, refused(chip, 0xD7, W(64)))
      assert.equal(0xE6, refused(chip, 0xD6, W(65536)))
      local _, map = command(chip, 0xF8, W(0, 32))
      assert.equal(W(1 << 1 | 1 << 9), map)
      assert.equal(0xE6, refused(chip, 0xF8, W(1000, 32)))
      assert.is_number(command(chip, 0xDB, ""))
      assert.equal("\xFF\xFF", part:nand(cells(128), 2))
      assert.equal("\0", part:nand(cells(9 * 64, PAGE), 1))
    end)
  end)

  quick("say what failed: programming, erasing, reading", function()
    with({ nand_program_fails = { 64 + 1 }, nand_erase_fails = { 2 }, nand_uncorrectable = { 200 },
           nand_corrected = { 199 }, nand_silent = { 4 * 64 } }, function(chip)
      command(chip, 0xD5, W(0))
      local function written(address)
        local data = content(2 * PAGE)
        assert.is_number(command(chip, 0xD9, W(address, #data, BLOCK, 0x4000)))
        local _, _, _, details = chip.link:command(0xDA, W(#data, 0, 0, 0) .. data, { status = 2, checksum = true })
        return details and details.error or 0
      end
      assert.equal(0xCA, written(BLOCK))
      assert.equal(0xCB, written(2 * BLOCK))
      assert.equal(0xE2, written(4 * BLOCK))              -- the part is content, and holds something else
      assert.equal(0, written(5 * BLOCK))
      assert.equal(0xCB, refused(chip, 0xDC, W(2 * BLOCK, BLOCK)))
      local value, body = command(chip, 0xF9, W(3 * BLOCK, BLOCK))
      assert.equal(1, value)
      assert.equal(W(1, 200), body)
      assert.equal(0xE7, refused(chip, 0x13, W(0x80000000 + 3 * BLOCK, BLOCK, 0, 0)))
      assert.is_number(command(chip, 0x13, W(0x80000000 + 3 * BLOCK, 199 % 64 * PAGE, 0, 0)))
    end)
  end)

  quick("leave NOR flash alone", function()
    with({}, function(chip, part)
      part:poke_flash(0, "NOR")
      command(chip, 0xD5, W(0))
      assert.equal("NOR", chip:read(0, 3))
      chip:flash { { 0x1000, { data = "abcd" } } }
      assert.equal("abcd", part:flash(0x1000, 4))
      assert.equal(("\xFF"):rep(16), part:nand(cells(0), 16))
    end)
  end)
end)

describe("NAND flash through the library", function()
  it("writes into good blocks, and finds it there again", function()
    with({ nand_bad = { 2 } }, function(chip, part, events)
      local nand = chip:nand()
      assert.equal("Winbond W25N01GV", nand.name)
      assert.same({ 2 }, nand:bad_blocks())
      local data = content(BLOCK + 5000)
      local e = failure("nand_no_room", nand.write, nand, { { BLOCK, { data = data } } })
      assert.matches("1 bad block (0x40000)", e.message, 1, true)
      assert.matches("--nand-end-address", e.hint, 1, true)
      assert.equal("\xFF", part:nand(cells(64), 1))                  -- nothing was touched

      local done = nand:write({ { BLOCK, { data = data, name = "fs" } } }, { end_address = 4 * BLOCK })
      assert.same({ 2 }, done[1].skipped)
      assert.same({}, done[1].failed)
      assert.is_true(done[1].verified)
      assert.equal(3 * BLOCK + 4999, done[1].last)
      assert.same({ 2 }, event(events, "nand_skipped").blocks)
      assert.equal(data:sub(BLOCK + 1, BLOCK + PAGE), part:nand(cells(3 * 64), PAGE))
      assert.equal("\0", part:nand(cells(2 * 64), 1))

      local bytes, info = nand:read(BLOCK, #data)
      assert.is_true(bytes == data)
      assert.same({ 2 }, info.skipped)
      assert.is_true((nand:verify { { BLOCK, { data = data } } }))
      bytes = nand:read(BLOCK, 3 * BLOCK, { fill = true })           -- every byte in its place
      assert.is_true(bytes:sub(1, BLOCK) == data:sub(1, BLOCK))
      assert.is_true(bytes:sub(BLOCK + 1, 2 * BLOCK) == ("\xFF"):rep(BLOCK))
      assert.is_true(bytes:sub(2 * BLOCK + 1, 2 * BLOCK + 5000) == data:sub(BLOCK + 1))
    end)
  end)

  quick("tells which blocks differ, and where", function()
    with({ nand_bad = { 1 } }, function(chip, part)
      local nand = chip:nand()
      local data = content(BLOCK + 100)
      nand:write({ { 0, { data = data } } }, { end_address = 8 * BLOCK })
      part:poke_nand(cells(2 * 64, 50), "?")                          -- with the sums of its error correction
      local equal, details = nand:verify({ { 0, { data = data } } }, { diff = true })
      assert.is_false(equal)
      assert.same({ 2 * BLOCK }, details[1].wrong)
      assert.same({ address = 2 * BLOCK + 50, flash = 0x3F, file = data:byte(BLOCK + 51) }, details[1].differences[1])
      assert.equal(1, details[1].differences.count)
      failure("nand_uncorrectable", nand.read, nand, 0, #data)
      assert.equal("?", nand:read(0, #data, { force = true }):sub(BLOCK + 51, BLOCK + 51))
    end)
  end)

  it("marks a block that fails and takes the next one", function()
    with({ nand_program_fails = { 64 + 3 }, nand_erase_fails = { 2 } }, function(chip, part, events)
      local nand = chip:nand()
      local data = content(BLOCK + 3 * PAGE + 100)
      local done = nand:write({ { 0, { data = data } } }, { end_address = 5 * BLOCK })
      assert.same({ 1, 2 }, done[1].failed)
      assert.same({ 1, 2 }, done[1].skipped)
      assert.equal(3 * BLOCK + 3 * PAGE + 99, done[1].last)
      assert.equal(1, event(events, "nand_block_failed").block)
      assert.same({ 1, 2 }, nand:bad_blocks())
      assert.equal("\0\0\0\0", part:nand(cells(64, PAGE), 4))
      assert.is_true(nand:read(0, #data) == data)
      nand.bad = nil                                                   -- as another session sees it
      assert.same({ 1, 2 }, nand:bad_blocks())
    end)
  end)

  quick("stops where a failing block leaves no room, and says how much is there", function()
    with({ nand_program_fails = { 64 } }, function(chip)
      local nand = chip:nand()
      local e = failure("nand_no_room", nand.write, nand, { { 0, { data = content(2 * BLOCK), name = "fs" } } })
      assert.equal(BLOCK, e.written)
      assert.matches("fs is not complete (0x20000 of 0x40000 bytes are written)", e.message, 1, true)
    end)
  end)

  quick("does not let an image run into the next", function()
    with({ nand_bad = { 0 } }, function(chip)
      local nand = chip:nand()
      local list = { { 0, { data = content(BLOCK), name = "a" } }, { BLOCK, { data = "b", name = "b" } } }
      local e = failure("nand_no_room", nand.write, nand, list, { end_address = 8 * BLOCK })
      assert.matches("b begins there", e.hint, 1, true)
      failure("overlap", nand.write, nand, { { 0, { data = content(BLOCK + 1) } }, { BLOCK, { data = "b" } } })
      failure("bad_argument", nand.write, nand, { { 0x800, { data = "b" } } })
      failure("does_not_fit", nand.write, nand, { { 1023 * BLOCK, { data = content(BLOCK + 1) } } })
    end)
  end)

  quick("does not believe that many blocks in a row are bad, and marks none of a part that is not itself", function()
    with({ nand_program_fails = { 0, 64, 128, 192, 256, 320 } }, function(chip, part)
      local nand = chip:nand()
      local e = failure("nand_program_failed", nand.write, nand, { { 0, { data = "x" } } }, ROOM)
      assert.matches("4 blocks before it failed too", e.message, 1, true)
      assert.equal("\xFF", part:nand(cells(256, PAGE), 1))
    end)
    with({ nand_program_fails = { 64 } }, function(chip, part)
      local nand = chip:nand()
      nand.id = 0xEFAA22
      local e = failure("nand_program_failed", nand.write, nand, { { BLOCK, { data = "x" } } }, ROOM)
      assert.matches("it is not marked, the part does not answer as before", e.message, 1, true)
      assert.equal("\xFF", part:nand(cells(64, PAGE), 1))
    end)
  end)

  quick("writes nothing behind a block that fails and takes no mark", function()
    -- The page of the mark is the one that fails, and reads back as good.
    with({ nand_program_fails = { 64 } }, function(chip, part)
      local nand = chip:nand()
      local mark = nand.mark
      function nand.mark(_, block)
        part:poke_nand(cells(block * 64, PAGE), "\xFF\xFF\xFF\xFF")
        fail { code = "nand_not_marked", message = "block 1 takes no mark" }
      end
      local e = failure("nand_not_marked", nand.write, nand, { { BLOCK, { data = "x" } } }, ROOM)
      assert.matches("is not complete", e.message, 1, true)
      nand.mark = mark
      assert.equal("\xFF", part:nand(cells(128), 1))
    end)
  end)

  quick("erases good blocks, marks what fails, and keeps the marks", function()
    with({ nand_bad = { 1 }, nand_erase_fails = { 3 } }, function(chip, part)
      local nand = chip:nand()
      for _, b in ipairs { 0, 2, 3, 4 } do part:poke_nand(cells(64 * b, 100), "old") end
      local done = nand:erase(0, 4 * BLOCK)
      assert.same({ 2, { 1 }, { 3 } }, { done.erased, done.skipped, done.failed })
      assert.equal("\xFF", part:nand(cells(128, 100), 1))
      assert.equal("old", part:nand(cells(64 * 4, 100), 3))
      assert.equal("\0", part:nand(cells(64, PAGE), 1))
      assert.same({ 1, 3 }, nand:bad_blocks())
      failure("bad_argument", nand.erase, nand, 0x1000, BLOCK)
      failure("bad_argument", nand.erase, nand, 0, 0x1000)
      failure("does_not_fit", nand.erase, nand, 1023 * BLOCK, 2 * BLOCK)
      nand:unmark(1)
      assert.same({ 3 }, nand:bad_blocks())
      failure("nand_erase_failed", nand.unmark, nand, 3)
    end)
  end)

  quick("shows and writes marks", function()
    with({ nand_bad = { 5 } }, function(chip)
      local nand = chip:nand()
      assert.equal(0xFFFFFFFF, nand:spare(128))
      nand:mark(2)
      assert.equal(0, nand:spare(128))
      assert.equal(0, nand:write_spare(128, false))                    -- a mark cannot be written away
      assert.equal("\0\0\1\0\0\1\0", nand:marks(7))
      assert.equal(1024, #nand:marks())
      failure("bad_argument", nand.marks, nand, 1025)
      failure("bad_argument", nand.spare, nand, 65536)
    end)
  end)

  quick("says how its pages do", function()
    with({ nand_corrected = { 3, 4 }, nand_uncorrectable = { 70 } }, function(chip)
      local nand = chip:nand()
      assert.same({ pages = 128, corrected = 2, lost = 1, first_lost = 70, blocks = 2, skipped = {} },
                  nand:check(0, 2 * BLOCK))
      local e = failure("nand_uncorrectable", nand.read, nand, 0, 2 * BLOCK)
      assert.equal(70, e.page)
      assert.equal(2, select(2, nand:read(0, BLOCK)).corrected)
    end)
  end)

  quick("changes nothing of a part that stays protected", function()
    with({}, function(chip)
      local nand = chip:nand()
      nand.protected, nand.protect = true, 0x7C
      failure("flash_protected", nand.write, nand, { { 0, { data = "x" } } })
      failure("flash_protected", nand.erase, nand, 0, BLOCK)
      failure("flash_protected", nand.mark, nand, 1)
    end)
  end)

  quick("says why where there is none", function()
    with({ nand = false }, function(chip)
      assert.matches("does not answer (id 0xFFFFFF)", failure("flash_failed", chip.nand, chip).message, 1, true)
    end)
    with({ nand_pins = "1,2,3,4,5" }, function(chip)
      local e = failure("flash_failed", chip.nand, chip)
      assert.matches("CLK 12, Q 13, D 11, HD 9, CS 10", e.hint, 1, true)
      assert.equal(0xEFAA21, chip:nand({ spi_connection = "1,2,3,4,5" }).id)
      failure("bad_argument", chip.nand, chip, { spi_connection = "HSPI" })
      failure("bad_argument", chip.nand, chip, { spi_connection = "1,2,3,4,99" })
    end)
    local e = failure("unsupported", board.new, "esp32c6", { stub = true, flash_type = "nand" })
    assert.matches("NAND flash: not supported on the ESP32-C6", e.message, 1, true)
    assert.equal("supported on: ESP32-S3", e.hint)
    e = failure("unsupported", board.new, "esp32s3", { flash_type = "nand", nand = 1 })
    assert.matches("the ROM loader cannot do it", e.message, 1, true)
    e = failure("unsupported", board.new, "esp32s3", { flash_type = "nand", nand = 1, stub = true, sdm = true })
    assert.matches("secure download mode", e.message, 1, true)
    local chip, part = board.new("esp32s3", { stub = true, nand = 1 })
    e = failure("unsupported", chip.nand, chip)
    chip:close()
    part:close()
    assert.matches("does not know it", e.message, 1, true)
  end)

  quick("says how much is written when the port goes", function()
    local chip, part = board.new("esp32s3", { stub = true, flash_type = "nand", nand = 1, unplug = 250000,
                                              config = { timeout = 3 } })
    local nand = chip:nand()
    local e = failure("port_gone", nand.write, nand, { { 0, { data = board.noise(2 * BLOCK, 3), name = "fs" } } })
    chip:close()
    part:close()
    assert.equal(BLOCK, e.written)
    assert.matches("fs is not complete (0x20000 of 0x40000 bytes are written)", e.message, 1, true)
  end)

  quick("is unknown to the other stubs", function()
    local chip, part = board.new("esp32c3", { stub = true })
    local refused = {}
    for i, op in ipairs { 0xD5, 0xD8, 0xDE, 0xF8 } do
      refused[i] = select(4, chip.link:command(op, W(0, 0, 0, 0), { status = 2 })).error
    end
    chip:close()
    part:close()
    assert.same({ 0xC3, 0xC3, 0xC3, 0xC3 }, refused)
  end)

  quick("gets through a bad line", function()
    with({ drop = 0.02, flip = 0.02, in_flip = 0.02, in_drop = 0.02, seed = 7, faults_from = 60000 }, function(chip)
      local nand = chip:nand()
      local data = board.noise(BLOCK + 3000, 3)
      nand:write { { 0, { data = data } } }
      assert.is_true(nand:read(0, #data) == data)
      assert.is_true((nand:verify { { 0, { data = data } } }))
    end)
  end)
end)
