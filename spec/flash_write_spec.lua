-- Writing to simulated chips. What counts is what is in their flash afterwards.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local chips = require "esp.chips"
local image = require "esp.image"

local FLASH_BEGIN, FLASH_DATA, FLASH_END, DEFL_DATA = 0x02, 0x03, 0x04, 0x11

local open = {}
local function connect(id, options)
  local chip, sim, events = board.new(id, options)
  open[#open + 1] = { chip, sim }
  sim:log()
  return chip, sim, events
end

local function file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

local function fails(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(code, type(err) == "table" and err.code or err, tostring(err))
  return err
end

-- A link whose methods may be replaced.
local function intercept(chip, replaced)
  local link = chip.link
  chip.link = setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      if replaced[name] then return replaced[name](link, ...) end
      return link[name](link, ...)
    end
  end })
end

describe("writing flash", function()
  after_each(function()
    for _, pair in ipairs(open) do
      pair[1]:close()
      pair[2]:close()
    end
    open = {}
  end)

  for _, id in ipairs(chips.list()) do
    it("works on the " .. id, function()
      local chip, sim, events = connect(id)
      local one, two = board.code(5001), board.noise(700, 7)
      sim:poke_flash(0x8000, ("\0"):rep(0x1000))
      sim:poke_flash(0x10000, ("\0"):rep(0x8000))
      local report = chip:flash { { 0x10000, { data = one, name = "one" } }, { 0x13000, { data = two } } }
      assert.equal(one .. "\xFF\xFF\xFF", sim:flash(0x10000, 5004))
      assert.equal(two, sim:flash(0x13000, 700))
      assert.equal(("\0"):rep(0x1000), sim:flash(0x8000, 0x1000), "a sector that nobody named is gone")
      assert.equal(("\0"):rep(0x1000), sim:flash(0x12000, 0x1000), "a sector that nobody named is gone")
      assert.equal(("\0"):rep(0x4000), sim:flash(0x14000, 0x4000), "a sector that nobody named is gone")
      assert.same({ 2, 0x10000, "one", 5001, 5004 },
                  { #report, report[1].address, report[1].name, report[1].size, report[1].bytes })
      local can = chip.data.rom.md5
      assert.same({ can, can, can }, { report.verified, report[1].verified, report[2].verified })
      assert.equal(not can, board.codes(events):find "not_verified" ~= nil)
      assert.is_nil(board.ops(sim)[FLASH_END])
    end)
  end

  describe("stops before the first byte when", function()
    local function nothing(code, pattern, id, list, opts, options)
      local chip, sim = connect(id, options)
      local err = fails(code, chip.flash, chip, list, opts)
      assert.matches(pattern, err.message, 1, true)
      local ops = board.ops(sim)
      assert.is_nil(ops[FLASH_DATA])
      assert.is_nil(ops[DEFL_DATA])
      if chip.data.rom.attach then assert.is_nil(ops[FLASH_BEGIN]) end
      assert.same({}, { table.unpack(err.report or {}) })
    end
    local ok = { 0x10000, { data = "good" } }
    it("a later file is missing", function()
      nothing("file_missing", "/nowhere/x.bin", "esp32c3", { ok, { 0x20000, "/nowhere/x.bin" } })
    end)
    it("files share a sector", function()
      nothing("overlap", "a (0x10000 to 0x10FFF) and b (0x10800", "esp32c3",
              { { 0x10000, { data = ("x"):rep(4096), name = "a" } }, { 0x10800, { data = "y", name = "b" } } })
    end)
    it("the last file does not fit", function()
      nothing("does_not_fit", "big: 5000 bytes at 0x3FF000 do not fit in flash of 4194304 bytes (4MB)", "esp32c3",
              { ok, { 0x3FF000, { data = ("x"):rep(5000), name = "big" } } }, { force = true })
    end)
    it("it does not fit the size that is given", function()
      nothing("does_not_fit", "flash of 1048576 bytes (1MB)", "esp32c3", { { 0x100000, { data = "x" } } },
              { flash_size = "1MB" })
    end)
    it("it lies beyond what ROM can reach", function()
      nothing("does_not_fit", "16MB", "esp32s3", { { 0x1000000, { data = "x" } } }, nil, { flash_size = "32MB" })
    end)
    it("an image is another chip's", function()
      nothing("wrong_chip", "hello-esp32.bin", "esp32c3", { ok, { 0x0, "examples/hello/hello-esp32.bin" } })
    end)
    it("compression is asked of a ROM that has none", function()
      nothing("unsupported", "takes no compressed data", "esp8266", { ok }, { compress = true })
    end)
    for name, value in pairs { flash_mode = "fast", flash_freq = "81m", flash_size = "3MB" } do
      it("the " .. name .. " is unknown", function()
        nothing("bad_argument", value, "esp32c3", { ok }, { [name] = value })
      end)
    end
    it("everything is to be erased of a secured chip", function()
      nothing("protected_region", "secure boot is on", "esp32c3", { ok }, { erase_all = true }, { secure_boot = 1 })
    end)
    it("there is nothing to write", function()
      local chip = connect "esp32c3"
      assert.is_false((pcall(chip.flash, chip, {})))
    end)
  end)

  it("extends an unaligned start to the sector and says what is lost", function()
    local chip, sim, events = connect "esp32c3"
    sim:poke_flash(0x11000, ("\0"):rep(0x1000))
    local report = chip:flash { { 0x11010, { data = board.noise(100) } } }
    assert.equal(("\xFF"):rep(16) .. board.noise(100), sim:flash(0x11000, 116))
    assert.is_true(report.verified)
    assert.same({ 0x11010, 100, 116 }, { report[1].address, report[1].size, report[1].bytes })
    assert.matches(" neighbour_lost ", board.codes(events))
  end)

  it("does not compress for a ROM that writes zeros behind what it unpacks", function()
    local chip, sim, events = connect "esp32"
    sim:poke_flash(0x14000, "still here")
    local code = board.code(9000)
    chip:flash({ { 0x10000, { data = code } } }, { compress = true })
    assert.equal(code, sim:flash(0x10000, #code))
    assert.equal("still here", sim:flash(0x14000, 10))
    assert.matches(" not_compressed ", board.codes(events))
  end)

  it("compresses where it pays, for each file by itself", function()
    local chip, sim, events = connect "esp32c3"
    local code = board.code(40000)
    local report = chip:flash({ { 0x10000, { data = board.noise(4096) } }, { 0x20000, { data = code } } },
                              { compress = true })
    assert.equal(board.noise(4096), sim:flash(0x10000, 4096))
    assert.equal(code, sim:flash(0x20000, #code))
    assert.is_true(report.verified)
    assert.is_true(report[1].wire >= 4096 and report[2].wire < 30000)
    assert.matches(" not_compressed ", board.codes(events))
    local ops = board.ops(sim)
    assert.is_true(ops[FLASH_DATA] > 0 and ops[DEFL_DATA] > 0)
  end)

  it("writes the regions of a hex file where they say", function()
    local chip, sim = connect "esp32"
    local report = chip:flash { { nil, { name = "x.hex", data = table.concat {
      ":020000040001F9\n", ":02000000AABB99\n", ":01000800CC2B\n", ":01200000DD02\n", ":00000001FF\n" } } } }
    assert.equal("\xAA\xBB\xFF\xFF\xFF\xFF\xFF\xFF\xCC", sim:flash(0x10000, 9))
    assert.equal("\xDD", sim:flash(0x12000, 1))
    assert.same({ 2, true }, { #report, report.verified })
  end)

  it("changes the header at the bootloader's place, digest included", function()
    for id, opts in pairs { esp32c3 = { flash_size = "detect", flash_mode = "qio" }, esp32 = { flash_freq = "80m" } } do
      local chip, sim, events = connect(id)
      local path = "examples/hello/hello-" .. id .. ".bin"
      local at = chip.data.bootloader_offset
      local report = chip:flash({ { at, path }, { 0x10000, path } }, opts)
      local old, new = file(path), image.parse(sim:flash(at, #file(path)))
      assert.is_true(new.digest_valid and report.verified)
      assert.equal(old, sim:flash(0x10000, #old))
      assert.equal(id == "esp32c3" and 0x00 or image.parse(old).mode, new.mode)
      assert.equal(id == "esp32c3" and 0x20 or image.parse(old).size_code, new.size_code)
      assert.equal(id == "esp32" and 0xF or image.parse(old).freq_code, new.freq_code)
      assert.matches(" header_patched ", board.codes(events))
      assert.is_true(chip:verify(at, path, opts))
      assert.is_false((chip:verify(at, path)))
    end
  end)

  it("skips what is there already, when that is asked for", function()
    local chip, sim = connect "esp32c3"
    local list = { { 0x10000, { data = board.code(9000) } }, { 0x20000, { data = board.noise(50) } } }
    chip:flash(list)
    sim:poke_flash(0x20010, "\0\0\0")
    sim:log()
    local report = chip:flash(list, { skip_flashed = true })
    assert.same({ true, false, true }, { report[1].skipped, report[2].skipped, report.verified })
    assert.equal(1, board.ops(sim)[FLASH_BEGIN])
    assert.equal(board.noise(50), sim:flash(0x20000, 50))
    assert.equal(52, report.bytes)
    report = chip:flash(list)
    assert.same({ false, false }, { report[1].skipped, report[2].skipped })
  end)

  it("says that nothing can be skipped where there are no digests", function()
    local chip, _, events = connect "esp8266"
    chip:flash({ { 0x1000, { data = "abcd" } } }, { skip_flashed = true })
    assert.matches(" skip_impossible ", board.codes(events))
  end)

  it("erases everything first, when that is asked for", function()
    local chip, sim = connect("esp32c3", { flash_size = "1MB" })
    sim:poke_flash(0xFF000, ("\0"):rep(0x1000))
    chip:flash({ { 0x10000, { data = "abcd" } } }, { erase_all = true })
    assert.equal(("\xFF"):rep(0x1000), sim:flash(0xFF000, 0x1000))
    assert.equal("abcd", sim:flash(0x10000, 4))
  end)

  it("lets the chip encrypt, and does not claim to have verified", function()
    local chip, sim, events = connect("esp32c3", { keys = "XTS_AES_128_KEY" })
    local report = chip:flash({ { 0x10000, { data = board.code(1000) } },
                                { 0x20000, { data = "plain" }, encrypt = false } }, { encrypt = true })
    assert.is_true(sim:flash(0x10000, 1000) ~= board.code(1000))
    assert.equal("plain", sim:flash(0x20000, 5))
    assert.same({ false, true, false }, { report[1].verified, report[2].verified, report.verified })
    assert.equal(1008, report[1].bytes)
    assert.matches(" not_verified ", board.codes(events))
  end)

  it("works in secure download mode, unverified", function()
    local chip, sim, events = connect("esp32c3", { sdm = 1, attempts = 1 })
    local report = chip:flash({ { 0x10000, { data = board.code(3000) } } }, { flash_size = "4MB" })
    assert.equal(board.code(3000), sim:flash(0x10000, 3000))
    assert.is_false(report.verified)
    assert.matches(" not_verified ", board.codes(events))
    fails("does_not_fit", chip.flash, chip, { { 0x400000, { data = "x" } } }, { flash_size = "4MB" })
    fails("flash_size_unknown", chip.flash, chip, { { 0x1000, { data = "x" } } }, { flash_size = "detect" })
  end)

  it("reports progress, and stops when told, naming what is not complete", function()
    local chip, sim = connect("esp32c3", { latency = 0.005 })
    local seen, last = 0, 0
    chip:flash({ { 0x10000, { data = board.noise(30000), name = "a" } } }, { progress = function(done, total, info)
      seen = seen + 1
      assert.is_true(done >= last and done <= total)
      assert.same({ 30000, "a", 0x10000, 1, 1 }, { total, info.name, info.address, info.index, info.count })
      last = done
    end })
    assert.equal(30000, last)
    assert.is_true(seen >= 2)
    local err = fails("cancelled", chip.flash, chip,
      { { 0x30000, { data = "done", name = "first" } }, { 0x40000, { data = board.noise(30000), name = "second" } } },
      { progress = function(done, _, info) return info.name == "first" or done == 0 end })
    assert.matches("second at 0x40000: cancelled; this region is not complete %(%d+ of 30000 bytes were written%)",
                   err.message)
    assert.same({ 2, true, false }, { #err.report, err.report[1].verified, err.report[2].verified })
    assert.equal("done", sim:flash(0x30000, 4))
    assert.is_true(chip:flash({ { 0x40000, { data = "again" } } }).verified, "the connection goes on")
  end)

  it("writes a place that differs again, and only that", function()
    local chip, sim, events = connect "esp32c3"
    local data, spoiled = board.noise(100000), false
    intercept(chip, { md5 = function(link, o)
      if not spoiled then
        spoiled = true
        sim:poke_flash(0x10000 + 0x5123, "\0\0\0\0\0\0")
        sim:poke_flash(0x10000 + 0x6123, "\0\0\0\0\0\0")
      end
      return link:md5(o)
    end })
    local report = chip:flash { { 0x10000, { data = data } } }
    assert.same({ true, 1 }, { report.verified, report[1].repairs })
    assert.equal(data, sim:flash(0x10000, #data))
    assert.matches("write_again", board.codes(events))
    assert.equal(2, board.ops(sim)[FLASH_BEGIN])
  end)

  it("is not fooled by one wrong answer about the digest", function()
    local chip = connect "esp32c3"
    local asked = 0
    intercept(chip, { md5 = function(link, o)
      asked = asked + 1
      if asked == 1 then return ("x"):rep(16) end
      return link:md5(o)
    end })
    local report = chip:flash { { 0x10000, { data = board.noise(5000) } } }
    assert.same({ true, nil }, { report.verified, report[1].repairs })
  end)

  describe("fails with what is known when flash", function()
    -- spoil(sim) runs before each digest: this flash cannot be made right.
    local function spoiled(spoil, bytes)
      local chip, sim = connect "esp32c3"
      intercept(chip, { md5 = function(link, o)
        spoil(sim)
        return link:md5(o)
      end })
      local err = fails("verify_failed", chip.flash, chip, { { 0x10000, { data = bytes, name = "app" } } })
      assert.equal(32, #err.file_md5)
      assert.is_true(err.file_md5 ~= err.flash_md5)
      assert.matches(err.flash_md5, err.message, 1, true)
      assert.is_false(err.report[1].verified)
      return err
    end
    local bytes = board.noise(20000)
    it("stays empty", function()
      local err = spoiled(function(sim) sim:poke_flash(0x10000, ("\xFF"):rep(20000)) end, bytes)
      assert.matches("app at 0x10000: writing failed, the 20000 bytes read as erased", err.message, 1, true)
      -- with the words that esptool has for it in front
      assert.matches("^Write failed, the written flash region is empty%.\napp at 0x10000: ",
                     require "esp.esptool.words".of(err, "write-flash"))
    end)
    it("has a bit that cannot be written", function()
      local at = 0x3456
      local wrong = string.char(bytes:byte(at + 1) ~ 1)
      local err = spoiled(function(sim) sim:poke_flash(0x10000 + at, wrong) end, bytes)
      assert.same({ "bits", 0x13456 }, { err.evidence.kind, err.evidence.address })
      assert.matches("0x13456 differs in 1 single bits", err.message, 1, true)
    end)
    it("keeps old zeros", function()
      local err = spoiled(function(sim) sim:poke_flash(0x12000, ("\0"):rep(300)) end, ("\xFE\xFD\xFB"):rep(6000))
      assert.equal("not_erased", err.evidence.kind)
    end)
    it("has the bytes at another place", function()
      local err = spoiled(function(sim) sim:poke_flash(0x11000, bytes:sub(0x1001 + 0x400, 0x2000 + 0x400)) end, bytes)
      assert.same({ "shifted", 0x400 }, { err.evidence.kind, err.evidence.shift })
    end)
    it("has its sectors partly empty", function()
      local err = spoiled(function(sim) sim:poke_flash(0x12000, ("\xFF"):rep(0x1000)) end, bytes)
      assert.same({ "erased", 0x12000 }, { err.evidence.kind, err.evidence.address })
      assert.matches("^MD5 of file does not match data in flash!\napp at 0x10000: ",
                     require "esp.esptool.words".of(err, "write-flash"))
    end)
  end)

  it("notices a shifted end on a ROM without digests", function()
    local chip, sim = connect "esp8266"
    intercept(chip, { write_flash = function(link, o)
      local result = table.pack(link:write_flash(o))
      sim:poke_flash(0x10000 + 8192 - 64, "\0\0\0\0")
      return table.unpack(result, 1, result.n)
    end })
    local err = fails("verify_failed", chip.flash, chip, { { 0x10000, { data = board.noise(8192) } } })
    assert.matches("flash differs", err.message)
  end)

  it("reads everything back on such a ROM when asked to, and may then call it verified", function()
    local chip = connect "esp8266"
    assert.is_true(chip:flash({ { 0x10000, { data = board.noise(1000) } } }, { read_back = true }).verified)
  end)

  it("connects again once when the port is lost, and goes on", function()
    local chip, sim, events = connect "esp32c3"
    local lost, again = 0, 0
    local reconnect = chip.reconnect
    chip.reconnect = function(self, ...)
      again = again + 1
      return reconnect(self, ...)
    end
    intercept(chip, { write_flash = function(link, o)
      local progress = o.progress
      if lost == 0 then
        o.progress = function(done, ...)
          progress(done, ...)
          if done >= 20000 then
            lost = 1
            return false
          end
        end
        local result = table.pack(link:write_flash(o))
        if lost == 1 then return nil, "the port is gone", "port_gone" end
        return table.unpack(result, 1, result.n)
      end
      return link:write_flash(o)
    end })
    local report = chip:flash({ { 0x10000, { data = board.noise(60000) } } },
                              { reconnect = { tries = 2, pause = 0.1 } })
    assert.equal(board.noise(60000), sim:flash(0x10000, 60000))
    assert.same({ true, 1, 1 }, { report.verified, again, report[1].reconnects })
    assert.matches(" connection_lost ", board.codes(events))
  end)

  it("gives up when the port is lost again, and does not hide it", function()
    for _, opts in ipairs { {}, { reconnect = false } } do
      local chip = connect "esp32c3"
      local again = 0
      chip.reconnect = function() again = again + 1 end
      intercept(chip, { write_flash = function() return nil, "the port is gone", "port_gone" end })
      local err = fails("port_gone", chip.flash, chip, { { 0x10000, { data = "x", name = "app" } } }, opts)
      assert.equal(opts.reconnect == false and 0 or 1, again)
      assert.matches("app at 0x10000: the port is gone; this region is not complete", err.message, 1, true)
    end
  end)

  it("warns of a size that is larger than flash, and stays inside of it", function()
    local chip, _, events = connect("esp32c3", { flash_size = "2MB" })
    chip:flash({ { 0x10000, { data = "x" } } }, { flash_size = "8MB" })
    assert.matches(" flash_size_larger ", board.codes(events))
    fails("does_not_fit", chip.flash, chip, { { 0x200000, { data = "x" } } }, { flash_size = "8MB" })
  end)

  it("asks flash itself for its size when the id is unknown, and takes 4MB when it does not know", function()
    local chip, _, events = connect("esp32c3", { flash_size = "2MB", flash_id = 0xEF4077 })
    assert.equal(2 << 20, chip:attach().size)
    local spiflash = require "esp.spiflash"
    local ask = spiflash.size_of_sfdp
    finally(function() spiflash.size_of_sfdp = ask end)
    spiflash.size_of_sfdp = function() end
    chip:reconnect { tries = 1, pause = 0.1 }
    chip:flash({ { 0x10000, { data = "x" } } }, { flash_size = "detect" })
    assert.matches(" flash_size_unknown ", board.codes(events))
  end)

  it("sends only what changed, when it is told what flash holds", function()
    local chip, sim, events = connect "esp32c3"
    local old = board.noise(100000)
    local new = old:sub(1, 0x5000) .. "changed" .. old:sub(0x5008, 0xE000) .. "also" .. old:sub(0xE005) .. "longer"
    chip:flash { { 0x10000, { data = old } } }
    local report = chip:flash { { 0x10000, { data = new }, diff = { data = old } } }
    assert.equal(new, sim:flash(0x10000, #new))
    assert.is_true(report.verified)
    assert.equal(2 * 0x1000 + #new + 2 - 0x18000, report[1].bytes)
    assert.is_true(chip:flash({ { 0x10000, { data = new } } }, { diff_with = { { data = old } } })[1].skipped)
    sim:poke_flash(0x12000, "\0\0\0")
    report = chip:flash({ { 0x10000, { data = old } } }, { diff_with = { { data = new } } })
    assert.matches(" diff_impossible ", board.codes(events))
    assert.same({ 100000, true }, { report[1].bytes, report[1].verified })
    -- Trusted wrongly: the digest at the end finds out, and what differs is written again.
    sim:poke_flash(0x13000, "\0\0\0")
    report = chip:flash({ { 0x10000, { data = new } } }, { diff_with = { { data = old } }, trust_flash_content = true })
    assert.equal(new, sim:flash(0x10000, #new))
    assert.same({ true, 1 }, { report.verified, report[1].repairs })
  end)

  it("asks flash once, and again after a new connection", function()
    local chip, sim = connect "esp32c3"
    chip:attach()
    sim:log()
    chip:flash { { 0x10000, { data = "x" } } }
    assert.is_nil(board.ops(sim)[0x0D])
    chip:reconnect { tries = 1, pause = 0.1 }
    sim:log()
    chip:flash { { 0x10000, { data = "y" } } }
    assert.equal(1, board.ops(sim)[0x0D])
  end)

  it("holds no file in memory", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "wb"))
    for i = 1, 32 do f:write(board.noise(0x10000, i)) end
    f:close()
    local chip, sim = connect "esp32c3"
    collectgarbage()
    local before, most = collectgarbage "count", 0
    local report = chip:flash({ { 0x10000, path } },
                              { progress = function() most = math.max(most, collectgarbage "count") end })
    os.remove(path)
    assert.is_true(report.verified)
    assert.equal(board.noise(0x10000, 32), sim:flash(0x10000 + 31 * 0x10000, 0x10000))
    assert.is_true(most - before < 1024, ("%.0f KiB for a file of 2 MiB"):format(most - before))
  end)
end)

describe("the erase length for the ESP8266", function()
  local erase = require "esp.flash_erase"
  -- What the ROM does with it, from the published disassembly of SPIEraseArea: sector by sector to the 64 KiB
  -- border, without counting them, then what it was told.
  local function erased(address, told)
    local sectors = told // 0x1000
    local head = math.min(16 - address // 0x1000 % 16, sectors)
    return (sectors + head) * 0x1000
  end
  it("erases what is needed, and says when a sector too many goes", function()
    local chip = { data = chips.get "esp8266" }
    for first = 0, 40 do
      for size = 1, 80 do
        local told, too_much = erase.begin_size(chip, first * 0x1000, size * 0x1000)
        local n = erased(first * 0x1000, told)
        if n ~= (size + (too_much and 1 or 0)) * 0x1000 then error(("%d sectors at %d: %d"):format(size, first, n)) end
      end
    end
  end)
  it("is the size itself everywhere else", function()
    assert.equal(12345, (erase.begin_size({ data = chips.get "esp32" }, 0x1000, 12345)))
  end)
end)

describe("a SPI connection", function()
  local attach = require "esp.flash_attach"
  local function bad(id, text, pattern)
    local ok, err = pcall(attach.connection, chips.get(id), text)
    assert.is_false(ok)
    assert.matches(pattern, tostring(err), 1, true)
  end
  it("is refused naming the pin", function()
    bad("esp32", "6,17,8,11,30", "CS pin 30 is not possible on the ESP32")
    bad("esp32c3", "22,1,2,3,4", "CLK pin 22")
    bad("esp32s3", "1,2,3,47,5", "HD pin 47")
    bad("esp32", "6,17,8", "five pin numbers")
    bad("esp32", "6,17,8,11,x", "CS pin x")
    bad("esp32", "VSPI", "five pin numbers")
    bad("esp8266", "SPI", "cannot be chosen on the ESP8266")
  end)
  it("becomes the word that the ROM takes", function()
    local data = chips.get "esp32"
    assert.equal(0, (attach.connection(data, nil)))
    assert.equal(0, (attach.connection(data, "SPI")))
    assert.equal(1, (attach.connection(data, "hspi")))
    -- Six bits each, from the lowest: clk, q, d, cs, hd (esptool documentation, "SPI Connection").
    assert.equal(11 << 24 | 16 << 18 | 8 << 12 | 17 << 6 | 6, (attach.connection(data, "6,17,8,11,16")))
    assert.equal(11 << 24 | 16 << 18 | 8 << 12 | 17 << 6 | 6, (attach.connection(data, { 6, 17, 8, 11, 16 })))
  end)
  it("through pins of USB is pointed out", function()
    local _, _, usb = attach.connection(chips.get "esp32c3", "18,1,2,3,19")
    assert.same({ 18, 19 }, usb)
  end)
end)
