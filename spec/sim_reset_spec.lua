-- Resets of a chip that runs a ROM: watchdogs, software, the lines; the causes that the ROM finds afterwards. The ROMs
-- are a few instructions of our own (spec/support/fake_rom.lua). Codes: ESP-IDF soc/CHIP/include/soc/reset_reasons.h.
local fake_rom = require "spec.support.fake_rom"
local chips = require "esp.chips"
local r = fake_rom

-- Says the cause of the reset, plus 0x40, and counts for ever.
local T0, T1, A0 = 5, 6, 10
local function say_cause(chip_name)
  local data = chips.get(chip_name)
  local address, shift = table.unpack(data.sim.machine.reset_cause)
  local code = { r.lui(T0, address + 0x800), r.lw(A0, address & 0xFFF, T0), r.lui(T1, data.uart.base) }
  if shift > 0 then code[#code + 1] = shift << 20 | A0 << 15 | 5 << 12 | A0 << 7 | 0x13 end         -- srli
  code[#code + 1] = 0x03F << 20 | A0 << 15 | 7 << 12 | A0 << 7 | 0x13                               -- andi
  code[#code + 1] = r.addi(A0, A0, 0x40)
  code[#code + 1] = r.sw(A0, 0, T1)
  code[#code + 1] = r.addi(T1, T1, 1)
  code[#code + 1] = r.bne(T1, 0, -4)
  return code
end

local function new(options)
  local chip = fake_rom.chip(options, say_cause(options.chip))
  return chip, chips.get(options.chip).watchdog.rtc
end

-- What it says in so many seconds of its own time: causes.
local function causes(chip, seconds)
  local list = {}
  for _ = 1, math.ceil(seconds / 0.02) do
    for c in (chip:exchange("", 0.02)):gmatch "." do list[#list + 1] = c:byte() - 0x40 end
  end
  return list
end

local function arm(chip, wdt, config0, ticks)
  chip:reg(wdt.wprotect, wdt.key)
  chip:reg(wdt.config1, ticks)
  chip:reg(wdt.config0, config0)
end

for _, name in ipairs { "esp32c3", "esp32h2" } do
  describe("a reset of " .. name, function()
    it("by power says so", function()
      local chip <close> = new { chip = name }
      assert.same({ 1 }, causes(chip, 0.02))
    end)

    it("by the RTC's watchdog has a cause for each action", function()
      for action, cause in pairs { [2] = 0xD, [3] = 0x9, [4] = 0x10 } do
        local chip <close>, wdt = new { chip = name, rate = "real" }
        causes(chip, 0.02)
        arm(chip, wdt, 1 << 31 | action << 28, 2040)   -- 2 * 2040 / 136 kHz: 30 ms
        assert.same({}, causes(chip, 0.02))
        assert.same({ cause }, causes(chip, 0.04))
      end
    end)

    it("by the RTC's watchdog waits while it is fed, and goes through its stages", function()
      local chip <close>, wdt = new { chip = name, rate = "real" }
      causes(chip, 0.02)
      chip:reg(wdt.wprotect, wdt.key)
      chip:reg(wdt.config1 + 4, 1360)                  -- second stage: 10 ms
      arm(chip, wdt, 1 << 31 | 1 << 28 | 4 << 25, 1360) -- first: an interrupt after 20 ms
      for _ = 1, 3 do
        assert.same({}, causes(chip, 0.02))
        chip:reg(wdt.wprotect - 4, 1 << 31)
      end
      chip:reg(wdt.wprotect, 0)
      chip:reg(wdt.wprotect - 4, 1 << 31)              -- locked: it is not fed
      assert.same({}, causes(chip, 0.02))
      assert.same({ 0x10 }, causes(chip, 0.04))
    end)

    it("by software keeps the registers that are always on; that of everything does not", function()
      local data = chips.get(name)
      local kept
      for address, register in pairs(data.sim.machine.registers) do
        if register.keep and not register.reset and not register.set then kept = address end
      end
      local chip <close>, wdt = new { chip = name, rate = "real" }
      causes(chip, 0.02)
      chip:reg(kept, 0x12345678)
      chip:reg(data.stub.reset[1], 1 << data.stub.reset[2])
      assert.same({ 3 }, causes(chip, 0.04))
      assert.equal(0x12345678, chip:reg(kept))
      arm(chip, wdt, 1 << 31 | 4 << 28, 10)
      assert.same({ 0x10 }, causes(chip, 0.04))
      assert.equal(0, chip:reg(kept))
    end)
  end)
end

describe("the watchdog of a timer group", function()
  -- 26,000,000 cycles of the crystal, the value that the Technical Reference Manual gives for the first stage.
  it("ends a boot from flash that nobody takes over", function()
    local chip <close> = new { chip = "esp32c3", boot = "flash", rate = "real" }
    assert.same({ 1 }, causes(chip, 0.6))
    assert.same({ 7 }, causes(chip, 0.3))
      local idle <close> = new { chip = "esp32c3", boot = "download", rate = "real" }
    assert.same({ 1 }, causes(idle, 0.7))
  end)

  it("can be called off, and armed for either group", function()
    local chip <close> = new { chip = "esp32c3", boot = "flash", rate = "real" }
    local timers = chips.get "esp32c3".sim.machine.timers
    causes(chip, 0.1)
    chip:reg(timers[1] + 0x48, 0)
    assert.same({}, causes(chip, 0.7))
    chip:reg(timers[2] + 0x4C, 1 << 16)
    chip:reg(timers[2] + 0x50, 400000)
    chip:reg(timers[2] + 0x48, 1 << 31 | 3 << 29)
    assert.same({ 8 }, causes(chip, 0.1))
  end)
end)

describe("the reset line", function()
  it("holds the processor, which begins anew when it is let go", function()
    local chip <close> = new { chip = "esp32c3", boot = "flash" }
    local port <close> = chip:port()
    -- "A" for the power-on; where this takes long, the watchdog of the boot adds its own.
    local function said(seconds)
      return port:read(64, seconds) or ""
    end
    assert.matches("^AG*$", said(2))
    port:lines(false, true)
    assert.is_false(chip:cpu().running)
    repeat until said(0.05) == ""                     -- what it said before
    assert.equal("", said(0.05))
    assert.equal("reset", chip:state().mode)
    port:lines(true, true)
    port:lines(true, false)
    assert.equal("A", said(2))
    assert.equal("download", chip:state().mode)
    port:lines(false, true)
    port:lines(false, false)
    assert.matches("^AG*$", said(2))
    assert.equal("app", chip:state().mode)
  end)

  it("of USB-Serial/JTAG has a cause of its own", function()
    local chip <close> = new { chip = "esp32c3", boot = "flash", link = "usj" }
    local port <close> = chip:port()
    port:lines(true, false)
    port:lines(false, true)
    assert.equal(0x15, chip:reg(0x60008038) & 0x3F)
    assert.equal("download", chip:state().mode)
    port:lines(false, false)
    port:lines(false, true)
    assert.equal("app", chip:state().mode)
  end)
end)
