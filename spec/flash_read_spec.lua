-- Reading, comparing and erasing on simulated chips.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local chips = require "esp.chips"

local FLASH_BEGIN, FLASH_END, READ = 0x02, 0x04, 0x0E

local open = {}
local function connect(id, options)
  local chip, sim, events = board.new(id, options)
  open[#open + 1] = { chip, sim }
  sim:log()
  return chip, sim, events
end

local function close_all()
  for _, pair in ipairs(open) do
    pair[1]:close()
    pair[2]:close()
  end
  open = {}
end

local function fails(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(code, type(err) == "table" and err.code or err, tostring(err))
  return err
end

local function exists(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

local function intercept(chip, replaced)
  local link = chip.link
  chip.link = setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      if replaced[name] then return replaced[name](link, ...) end
      return link[name](link, ...)
    end
  end })
end

describe("reading flash", function()
  after_each(close_all)

  for _, id in ipairs(chips.list()) do
    it("works on the " .. id, function()
      local chip, sim = connect(id)
      local bytes = board.noise(300)
      sim:poke_flash(0x1005, bytes)
      local got, info = chip:read(0x1005, 300)
      assert.equal(bytes, got)
      assert.equal(chip.data.rom.md5, info.verified)
    end)
  end

  it("streams into a file that appears when it is complete", function()
    local chip, sim = connect "esp32c3"
    local bytes, path = board.noise(50000), os.tmpname()
    os.remove(path)
    sim:poke_flash(0x20000, bytes)
    local done = 0
    assert.is_true((chip:read(0x20000, 50000, { file = path, progress = function(now, total)
      assert.is_false(exists(path))
      assert.is_true(now >= done and total == 50000)
      done = now
    end })))
    assert.equal(50000, done)
    local f <close> = assert(io.open(path, "rb"))
    assert.equal(bytes, f:read "a")
    os.remove(path)
  end)

  it("leaves no file when it is stopped, or cannot write it", function()
    local chip = connect "esp32c3"
    local path = os.tmpname()
    os.remove(path)
    fails("cancelled", chip.read, chip, 0, 100000,
          { file = path, progress = function(done) return done < 20000 end })
    assert.is_false(exists(path))
    fails("file_missing", chip.read, chip, 0, 16, { file = "/nowhere/x.bin" })
  end)

  it("takes ALL for the rest, and refuses what lies beyond", function()
    local chip, sim = connect("esp32c3", { flash_size = "64K" })
    sim:poke_flash(0xFFF0, "0123456789abcdef")
    assert.equal("0123456789abcdef", (chip:read(0xFFF0, "ALL", { flash_size = "keep" })))
    fails("does_not_fit", chip.read, chip, 0xFFF0, 17)
    fails("does_not_fit", chip.read, chip, 0x10000, 1)
    fails("bad_argument", chip.read, chip, -1, 1)
    assert.equal("", (chip:read(0, 0)))
  end)

  it("is not possible in secure download mode", function()
    local chip, sim = connect("esp32c3", { sdm = 1, attempts = 1 })
    for _, name in ipairs { "read", "verify" } do
      local err = fails("unsupported", chip[name], chip, 0, name == "read" and 16 or { data = "x" })
      assert.matches("secure download mode", err.message)
    end
    assert.is_nil(board.ops(sim)[READ])
  end)

  it("is repeated where an answer was wrong", function()
    local chip, sim = connect "esp32c3"
    sim:poke_flash(0, board.noise(40000))
    local wrong = 2
    intercept(chip, { read_flash_slow = function(link, o)
      local bytes, message, code = link:read_flash_slow(o)
      if bytes and o.address == 0x4000 and wrong > 0 then
        wrong = wrong - 1
        bytes = "?" .. bytes:sub(2)
      end
      return bytes, message, code
    end })
    assert.equal(board.noise(40000), (chip:read(0, 40000)))
    wrong = 1000
    fails("verify_failed", chip.read, chip, 0, 40000)
  end)
end)

describe("comparing flash", function()
  after_each(close_all)

  for _, id in ipairs { "esp32c3", "esp8266" } do
    it("says whether it is what the file says (" .. id .. ")", function()
      local chip, sim = connect(id)
      sim:poke_flash(0x10000, board.noise(200))
      local same, details = chip:verify(0x10000, { data = board.noise(200), name = "a" })
      assert.is_true(same)
      assert.same({ 1, true, "a", 200 }, { #details, details[1].equal, details[1].name, details[1].size })
      sim:poke_flash(0x10000 + 7, "\1\2")
      local equal, differ = chip:verify(0x10000, { data = board.noise(200) }, { diff = true, limit = 1 })
      assert.is_false(equal)
      assert.same({ count = 2, { address = 0x10007, flash = 1, file = board.noise(200):byte(8) } },
                  differ[1].differences)
      assert.is_nil(board.ops(sim)[FLASH_END])
    end)
  end

  it("does not pad what is compared", function()
    local chip, sim = connect "esp32c3"
    sim:poke_flash(0x10000, "abc\0")
    assert.is_true((chip:verify(0x10000, { data = "abc" })))
  end)

  it("leaves the header of a file alone when secure boot is on", function()
    local chip, sim = connect("esp32c3", { secure_boot = 1 })
    local f <close> = assert(io.open("examples/hello/hello-esp32c3.bin", "rb"))
    sim:poke_flash(0, f:read "a")
    assert.is_true((chip:verify(0, "examples/hello/hello-esp32c3.bin", { flash_mode = "qio" })))
  end)

  it("refuses a file that is missing or does not fit", function()
    local chip = connect "esp32c3"
    fails("file_missing", chip.verify, chip, 0, "/nowhere/x.bin")
    fails("does_not_fit", chip.verify, chip, 0x3FFFFF, { data = "xx" })
  end)
end)

describe("erasing flash", function()
  after_each(close_all)

  for _, id in ipairs(chips.list()) do
    it("of a region works on the " .. id, function()
      local chip, sim = connect(id)
      sim:poke_flash(0xE000, ("\0"):rep(0x15000))
      local done = chip:erase(0xF000, 0x12000)
      assert.equal(("\xFF"):rep(0x12000), sim:flash(0xF000, 0x12000))
      assert.equal(("\0"):rep(0x1000), sim:flash(0xE000, 0x1000))
      assert.equal(("\0"):rep(0x1000), sim:flash(0x22000, 0x1000))
      assert.same({ 0xF000, 0x12000, chip.data.rom.md5 }, { done.address, done.size, done.verified })
      assert.is_nil(board.ops(sim)[FLASH_END])
    end)
  end

  it("of all goes piece by piece, with progress", function()
    local chip, sim = connect("esp32c3", { flash_size = "1MB" })
    sim:poke_flash(0, "\0")
    sim:poke_flash(0xFFFFF, "\0")
    local steps = {}
    local done = chip:erase_all { progress = function(now) steps[#steps + 1] = now end }
    assert.equal("\xFF", sim:flash(0, 1))
    assert.equal("\xFF", sim:flash(0xFFFFF, 1))
    assert.same({ 0x100000, true }, { done.size, done.verified })
    assert.same({ 0, 0x40000, 0x80000, 0xC0000, 0x100000 }, steps)
  end)

  it("to the end of flash takes ALL", function()
    local chip, sim = connect("esp32c3", { flash_size = "128K" })
    sim:poke_flash(0x1F000, "\0")
    sim:poke_flash(0, "\0")
    assert.equal(0x1F000, chip:erase(0x1000, "ALL").size)
    assert.equal("\xFF", sim:flash(0x1F000, 1))
    assert.equal("\0", sim:flash(0, 1))
  end)

  it("stops when told and says how far it came", function()
    local chip, sim = connect("esp32c3", { flash_size = "1MB" })
    sim:poke_flash(0xF0000, "\0")
    local err = fails("cancelled", chip.erase_all, chip, { progress = function(done) return done < 0x80000 end })
    assert.matches("0x80000 of 0x100000 bytes from 0x0 on are erased", err.message, 1, true)
    assert.equal("\0", sim:flash(0xF0000, 1))
  end)

  for _, case in ipairs {
    { "bad_argument", "0x1001 is not a multiple", { 0x1001, 0x1000 } },
    { "bad_argument", "size 0x800 is not a multiple", { 0x1000, 0x800 } },
    { "bad_argument", "size 0x0", { 0x1000, 0 } },
    { "does_not_fit", "do not fit in flash of 4194304 bytes", { 0x3FF000, 0x2000 } },
  } do
    it("is refused when " .. case[2], function()
      local chip, sim = connect "esp32c3"
      local err = fails(case[1], chip.erase, chip, table.unpack(case[3]))
      assert.matches(case[2], err.message, 1, true)
      assert.is_nil(board.ops(sim)[FLASH_BEGIN])
    end)
  end

  it("is refused on a secured chip, unless forced", function()
    for _, options in ipairs { { secure_boot = 1 }, { flash_encryption = 1 } } do
      local chip, sim = connect("esp32c3", options)
      sim:poke_flash(0x1000, "\0")
      fails("protected_region", chip.erase, chip, 0x1000, 0x1000)
      fails("protected_region", chip.erase_all, chip)
      assert.is_nil(board.ops(sim)[FLASH_BEGIN])
      chip:erase(0x1000, 0x1000, { force = true })
      assert.equal("\xFF", sim:flash(0x1000, 1))
    end
  end)

  it("works in secure download mode, up to 16 MB", function()
    local chip, sim = connect("esp32c3", { sdm = 1, attempts = 1 })
    sim:poke_flash(0x1000, "\0")
    assert.is_false(chip:erase(0x1000, 0x1000).verified)
    assert.equal("\xFF", sim:flash(0x1000, 1))
    fails("flash_size_unknown", chip.erase_all, chip)
    fails("flash_size_unknown", chip.erase, chip, 0, "ALL")
  end)

  it("that does nothing is not a success", function()
    local chip, sim = connect "esp32c3"
    intercept(chip, { md5 = function(link, o)
      sim:poke_flash(0x1800, "\0")
      return link:md5(o)
    end })
    fails("erase_failed", chip.erase, chip, 0x1000, 0x1000)
  end)
end)

describe("what flash says of itself", function()
  after_each(close_all)

  it("is its id and size", function()
    local chip = connect("esp32c3", { flash_size = "8MB" })
    local id = chip:flash_id()
    assert.same({ chip.data.sim.flash_id.manufacturer, 8 << 20, "8MB", true },
                { id.manufacturer, id.size, id.size_name, id.answers })
    assert.equal("SFDP", chip:sfdp(0, 4))
  end)
  it("is its status, which can be written", function()
    local chip = connect "esp32c3"
    local before, after = chip:write_flash_status(0x0200, { non_volatile = true })
    assert.equal(0, before & 0x0200)
    assert.equal(0x0200, after & 0x0200)
    assert.equal(after, chip:flash_status(2))
    fails("bad_argument", chip.write_flash_status, chip, 0x100, { bytes = 1 })
  end)
  it("is a digest of a range", function()
    local chip, sim = connect "esp32c3"
    sim:poke_flash(0x1000, "abc")
    -- RFC 1321, appendix A.5
    assert.equal("900150983cd24fb0d6963f7d28e17f72", chip:md5(0x1000, 3))
    fails("unsupported", (connect "esp8266").md5, (connect "esp8266"), 0, 16)
  end)
end)
