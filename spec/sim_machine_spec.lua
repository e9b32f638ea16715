-- A chip that runs its own ROM. The ROMs here are a few instructions, put together by hand from the RISC-V manual; no
-- ROM of the vendor is needed.
local port = require "esp.core.port"
local sim = require "esp.sim"

local ROM, RAM, UART, SYSTEM = 0x40000000, 0x3FC80000, 0x60000000, 0x600C0000
local T0, T1, A0 = 5, 6, 10

-- Instruction formats of the manual.
local function lui(rd, value) return value & 0xFFFFF000 | rd << 7 | 0x37 end
local function addi(rd, rs, n) return (n & 0xFFF) << 20 | rs << 15 | rd << 7 | 0x13 end
local function andi(rd, rs, n) return (n & 0xFFF) << 20 | rs << 15 | 7 << 12 | rd << 7 | 0x13 end
local function lw(rd, n, rs) return (n & 0xFFF) << 20 | rs << 15 | 2 << 12 | rd << 7 | 0x03 end
local function sw(r2, n, rs) return n >> 5 << 25 | r2 << 20 | rs << 15 | 2 << 12 | (n & 31) << 7 | 0x23 end
local function jump(n)
  return (n >> 20 & 1) << 31 | (n >> 1 & 0x3FF) << 21 | (n >> 11 & 1) << 20 | (n >> 12 & 0xFF) << 12 | 0x6F
end
local function back_if_zero(r, n)
  return (n >> 12 & 1) << 31 | (n >> 5 & 63) << 25 | r << 15 | (n >> 1 & 15) << 8 | (n >> 11 & 1) << 7 | 0x63
end

-- Says "okU", then answers every byte with the next one. U has been written to a register that nobody models.
local CODE = {
  lui(T0, UART), lui(T1, SYSTEM), addi(A0, 0, 0x6F), sw(A0, 0, T0), addi(A0, 0, 0x6B), sw(A0, 0, T0),
  addi(A0, 0, 0x55), sw(A0, 0x7C, T1), addi(A0, 0, 0), lw(A0, 0x7C, T1), sw(A0, 0, T0),
  lw(A0, 0x1C, T0), andi(A0, A0, 0xFF), back_if_zero(A0, -8), lw(A0, 0, T0), addi(A0, A0, 1), sw(A0, 0, T0), jump(-24),
}

local function words(list) return string.pack("<" .. ("I4"):rep(#list), table.unpack(list)) end

local function srli(rd, rs, n) return n << 20 | rs << 15 | 5 << 12 | rd << 7 | 0x13 end
local function back_unless_zero(r, n) return back_if_zero(r, n) | 1 << 12 end

-- Sends "abcd" and clears the event that sending is done, then says in two digits whether it is there: when nothing
-- waits any more and the last byte is still on its way, and when it has been seen, cleared, and nothing was sent since.
local SENDING = { lui(T0, UART), lui(T1, 0x4000) }
for i = 0, 3 do
  SENDING[#SENDING + 1] = addi(A0, 0, 0x61 + i)
  SENDING[#SENDING + 1] = sw(A0, 0, T0)
end
for _, word in ipairs {
  sw(T1, 0x10, T0), lw(A0, 0x1C, T0), srli(A0, A0, 16), andi(A0, A0, 0xFF), back_unless_zero(A0, -12),
  lw(11, 4, T0), srli(11, 11, 14), andi(11, 11, 1),
  lw(A0, 4, T0), srli(A0, A0, 14), andi(A0, A0, 1), back_if_zero(A0, -12),
  sw(T1, 0x10, T0), lw(A0, 4, T0), srli(A0, A0, 14), andi(A0, A0, 1),
  addi(11, 11, 0x30), addi(A0, A0, 0x30), sw(11, 0, T0), sw(A0, 0, T0), lw(A0, 0x1C, T0), jump(-4),
} do SENDING[#SENDING + 1] = word end

local function rom(id, code)
  local text = words { jump(0x40) } .. ("\0"):rep(12) .. words { id or 5 } .. ("\0"):rep(0x2C) .. words(code or CODE)
  return text .. ("\0"):rep(0x100 - #text) .. words { RAM, RAM + 4, ROM + 0x180 } .. ("\0"):rep(0xF4)
end

-- An ELF file of sections { kind, flags, address, bytes }.
local function elf(sections, machine)
  local data, headers, at = {}, { ("\0"):rep(40) }, 52
  for _, s in ipairs(sections) do
    headers[#headers + 1] = words { 0, s[1], s[2], s[3], at, #s[4], 0, 0, 4, 0 }
    data[#data + 1] = s[4]
    at = at + #s[4]
  end
  return "\127ELF\1\1\1" .. ("\0"):rep(9) .. string.pack("<I2I2I4I4I4I4I4I2I2I2I2I2I2", 2, machine or 243, 1, ROM,
         0, at, 0, 52, 32, 0, 40, #headers, 0) .. table.concat(data) .. table.concat(headers)
end

local function good(id, machine) return elf({ { 1, 6, ROM, rom(id) }, { 1, 1, RAM, "RAM!" } }, machine) end

describe("a simulated chip with a ROM file", function()
  local path = os.tmpname()
  after_each(function() os.remove(path) end)

  local function write(bytes)
    local f = assert(io.open(path, "wb"))
    f:write(bytes)
    f:close()
    return path
  end
  local function new(bytes) return sim.new { chip = "esp32c3", rom = write(bytes) } end

  it("runs it from the reset vector", function()
    local chip <close> = new(good())
    local said, idle = chip:exchange("", 1)
    assert.equal("okU", said)
    assert.is_true(idle)
    assert.equal("BCD", (chip:exchange("ABC", 1)))
  end)

  it("gets the bytes of a network client at its own rate, and loses none", function()
    local chip <close> = sim.new { chip = "esp32c3", rom = write(good()), rate = "real" }
    local p <close> = port.open(chip:serve { tcp = 0 })
    local sent, want, got = ("abcdefgh"):rep(75), "okU" .. ("bcdefghi"):rep(75), ""
    while #got < #want do
      local more = p:read(4096, 2)
      if not more then break end
      got = got .. more
      if #got == 3 then p:write(sent) end
    end
    assert.equal(want, got)
  end)

  -- Source: Technical Reference Manuals, "UART Controller": UART_TX_DONE_INT_RAW. ROMs wait for that bit to be off.
  it("sees its last byte leave after its FIFO is empty, and that once", function()
    local bytes = elf { { 1, 6, ROM, rom(5, SENDING) }, { 1, 1, RAM, "RAM!" } }
    local chip <close> = sim.new { chip = "esp32c3", rom = write(bytes), rate = "real" }
    assert.equal("abcd00", (chip:exchange("", 1)))
  end)

  it("puts the first values of variables where the ROM's table says", function()
    local chip <close> = new(good())
    assert.equal(0x214D4152, chip:reg(ROM + 0x180))
  end)

  it("lists registers that nobody models, which keep what was written", function()
    local chip <close> = new(good())
    chip:exchange("", 1)
    local list = chip:unmodelled()
    assert.equal(1, #list)
    assert.equal(SYSTEM + 0x7C, list[1].address)
    assert.equal(0x55, list[1].value)
    assert.equal(ROM + 0x40 + 4 * 7, list[1].pc)
  end)

  it("goes back to a snapshot as often as asked", function()
    local chip <close> = new(good())
    chip:exchange("", 1)
    local snapshot = chip:save()
    for _ = 1, 3 do
      chip:load(snapshot)
      chip:poke_flash(0x1000, "changed")
      assert.equal("bc", (chip:exchange("ab", 1)))
    end
    chip:load(snapshot)
    assert.equal("\xFF\xFF\xFF\xFF", chip:flash(0x1000, 4))
    local other <close> = new(good())
    assert.has_error(function() other:load(snapshot) end)
    for _, wrong in ipairs { "a string", 5, false, other, {} } do
      assert.has_error(function() chip:load(wrong) end)
    end
    do local _ <close> = snapshot end
    assert.has_error(function() chip:load(snapshot) end)
    assert.equal("cd", (chip:exchange("bc", 1)))
  end)

  it("does not take the snapshot of a chip that is gone, wherever it lies in memory", function()
    local path_of, snapshots = write(good()), {}
    for i = 1, 12 do
      local chip <close> = sim.new { chip = "esp32c3", rom = path_of, flash_size = i % 2 == 0 and "4MB" or "8MB" }
      chip:exchange("x", 1)
      for _, s in ipairs(snapshots) do assert.has_error(function() chip:load(s) end) end
      snapshots[i] = chip:save()
    end
  end)

  it("starts again when it is reset", function()
    local chip <close> = new(good())
    chip:exchange("x", 1)
    chip:reset()
    assert.equal("okU", (chip:exchange("", 1)))
  end)

  local BAD = {
    { "is no ELF file", ("x"):rep(100), "is not an ELF file" },
    { "is empty", "", "too short" },
    { "is for Xtensa", good(5, 94), "another processor" },
    { "is that of another chip", good(13), "another chip" },
    { "is cut in its data", good():sub(1, 300), "cut short" },
    { "has nothing at the ROM's addresses", elf { { 1, 6, 0x50000000, rom() } }, "nothing of this chip's mask ROM" },
    { "has sections beyond its end", (good():gsub(words { 0, 1, 6, ROM }, words { 0, 1, 6, ROM, 0xFFFFFFF0 })),
      "cut short" },
  }
  for _, case in ipairs(BAD) do
    it("refuses one that " .. case[1], function()
      local err = assert.has_error(function() new(case[2]) end)
      assert.equal("bad_file", err.code)
      assert.matches(case[3], tostring(err), 1, true)
    end)
  end

  it("names a file that is not there, and a chip of which nobody knows how", function()
    local err = assert.has_error(function() sim.new { chip = "esp32c3", rom = "/nowhere/rom.elf" } end)
    assert.matches("/nowhere/rom.elf", tostring(err), 1, true)
    err = assert.has_error(function() sim.new { chip = "esp8266", rom = write(good()) } end)
    assert.equal("bad_argument", err.code)
  end)

  it("survives files that are damaged anywhere", function()
    math.randomseed(1)
    local whole = good()
    for _ = 1, 300 do
      local at = math.random(#whole)
      local bytes = whole:sub(1, at - 1) .. string.char(math.random(0, 255)) .. whole:sub(at + 1)
      local ok, chip = pcall(new, math.random(4) == 1 and bytes:sub(1, math.random(#bytes)) or bytes)
      if ok then
        chip:exchange("z", 0.001)
        chip:close()
      else
        assert.equal("bad_file", chip.code)
      end
    end
  end)
end)
