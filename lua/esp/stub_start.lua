--- From a ROM that answers to the stub, at the rate to work at; and back again where a line does not carry it.
local fail = require "esp.error"
local flasher = require "esp.stub"
local named = require "esp.connect_failure".named
local rates = require "esp.rate"
local synchronise = require "esp.synchronise"
local M = {}

-- What a ROM is raised to unasked: the stub's 9 KB are most of a connection, one that does not arrive whole does not
-- start, and what does not succeed is tried at the rate to work at. Not with one below LEAST, which nobody chooses but
-- for a slow line, and not where no reset would bring the ROM back. They run at the crystal's rate and fetch each byte
-- by an interrupt: at twice this rate that of the ESP32 loses some.
local UPLOAD_BAUD, LEAST = 921600, 115200
local WRITE_REG = require "esp.loader".OP.WRITE_REG
local WHOLE_DIVIDER = 0xFFFFF
local HEARD, ANSWER = 0.06, 64            -- seconds in which an answer has arrived; bytes it has at most
local LATE = { timeout = true, bad_reply = true, checksum = true, no_sync = true }   -- the line's faults
local REFUSED = { unsupported = true, rom_error = true }                             -- by the port, by the ROM

-- Whether there is something slower to try after an error: the line's faults, and a rate that is refused, if nobody
-- had asked for it.
local function curable(e, o, rate)
  return fail.is(e) and (LATE[e.code] or rate > o.baud and not o.upload_baud and REFUSED[e.code])
end

-- After a rate that did not do the ROM takes the stub at that to work at, if it is lower, then at that at which it was
-- reached; there block by block.
-- @param problem what went wrong, for the warning
local function step_down(chip, o, rate, problem)
  local unasked = rate > o.baud and not o.upload_baud
  o.rom_limit = rate > o.baud and o.baud or o.rom_baud
  chip:set_port_baud(o.rom_baud)
  local remedy = o.rom_limit > o.rom_baud and ("trying %d"):format(o.rom_limit)
    or rate > o.rom_baud and ("staying at %d"):format(o.rom_baud) or "trying again block by block"
  chip:tell { type = "warning", code = "rom_baud", text = ("%s at %d baud, %s"):format(problem, rate, remedy),
              hint = unasked and ("--rom-baud %d spares this attempt"):format(o.rom_limit) or nil }
  chip.flash_powered = nil
end

-- The ROM is to be reached as in the beginning: by a reset, where there are lines for it.
local function bring_back(chip, o, rate)
  if chip.resets then
    synchronise.run(chip, o)
    return
  end
  chip.link:flush()
  if not chip.link:sync(rates.PROOF) then
    fail { code = "no_reply", message = named(chip, ("no answer after the ROM was set to %d baud"):format(rate)),
           hint = ("reset it into download mode, and choose --rom-baud %d"):format(o.rom_baud) }
  end
end

-- Whether a reset through the port's lines reaches the chip: its ROM was heard to start.
local function resettable(chip) return chip.resets and chip.heard and chip.heard ~= "" end

-- The rate at which the ROM is to take the stub; nil: it stays at that at which it was reached.
local function upload_rate(chip, o)
  local rom, rate = chip.data.rom, o.upload_baud
  -- Without a command for it, only where a reset brings the ROM back.
  if chip.usb_mode or not (rom.change_baud or rom.divider_baud and chip.resets) then return nil end
  if not rate and chip.port:info().has_baud then
    rate = o.baud >= LEAST and resettable(chip) and UPLOAD_BAUD or math.min(o.baud, UPLOAD_BAUD)
  end
  rate = rate and math.min(rate, o.rom_limit or rate)
  return rate and rate > chip.baud and rate or nil
end

-- Changes the rate of a ROM that has no command for it, by the register from which its UART takes it. The answer comes
-- at the new rate already: that something of it arrives tells that all of ours has been received.
local function set_divider(chip, rate)
  local register = chip.data.uart.clkdiv
  local divider = ((chip:read_reg(register) & WHOLE_DIVIDER) * chip.baud + rate // 2) // rate
  fail.check(nil, nil, chip.link:send(WRITE_REG, ("<I4I4I4I4"):pack(register, divider, 0xFFFFFFFF, 0)))
  chip.port:read(ANSWER, HEARD)
  chip:set_port_baud(rate)
  chip.link:flush()
end

local function set_rom_rate(chip, rate, first)
  if not chip.data.rom.change_baud then return set_divider(chip, rate) end
  chip:set_baud(rate, first)
end

-- Attaching flash is tried, no more: a stub finds out itself whether it answers.
local function attach_flash(chip, op, data)
  local value, message, code, details = chip:try_command(op, data, { retries = 2 })
  if value == nil and code ~= "rom_error" then
    fail { code = code, message = "attaching flash: " .. message, details = details }
  end
end

-- What is to be done before a stub is loaded: flash is attached, and the ROM changes its rate where it can.
local function prepare_rom(chip, o)
  local op, data = require("esp.flash_attach").before_stub(chip)
  local rate = upload_rate(chip, o)
  local together = rate and require "esp.batch".rom_takes_several(chip)
  if op and not together then attach_flash(chip, op, data) end
  if not rate then return end
  local ok, e = pcall(set_rom_rate, chip, rate, together and op and { op, data } or nil)
  if not ok and not curable(e, o, rate) then error(e, 0) end
  if ok and chip.link:sync(rates.PROOF) then return end
  step_down(chip, o, rate, not ok and e.code == "unsupported" and "the port does not work"
                           or ("the ROM of %s does not answer"):format(chip.name))
  bring_back(chip, o, rate)
  return prepare_rom(chip, o)
end

-- Loads a stub. What does not succeed in haste is tried without, after a reset.
-- @return true | nil, message: it did not start
local function load_stub(chip, o, file)
  local one_by_one = false
  while true do
    prepare_rom(chip, o)
    local rate = chip.baud
    local ok, started, message = pcall(flasher.run, chip, file, one_by_one)
    if ok and (started or rate <= o.rom_baud or not chip.resets) then return started, message end
    local e, slowest = started, one_by_one and rate <= o.rom_baud
    if not ok and (slowest or not chip.resets or e.code ~= "rom_error" and not curable(e, o, rate)) then error(e, 0) end
    one_by_one = true
    step_down(chip, o, rate, ok and "the flasher stub did not start" or "the flasher stub did not arrive")
    bring_back(chip, o, rate)
  end
end

--- Load the stub that is to be used, if any. One that does not start costs a reset, and the ROM does the work.
-- @param o options of esp.connect
-- @raise what loading raises
function M.start(chip, o)
  if chip.stub then return flasher.recognise(chip) end
  local file = flasher.choose(chip, o)
  if not file then return end
  local ok, message = load_stub(chip, o, file)
  if ok then return end
  o.no_stub = true
  chip:tell { type = "warning", code = "stub_failed", text = ("the flasher stub did not start (%s), the ROM loader "
    .. "does the work"):format(message) }
  chip:set_port_baud(o.rom_baud)
  synchronise.run(chip, o)
  chip.attached, chip.flash_powered = nil, nil
end

--- Set the rate to work at. A line that does not carry it is tried at lower ones.
-- @param restart function(chip, o) that connects anew
-- @raise no_reply
function M.set_rate(chip, o, restart)
  local ours = chip.stub_can and not chip.usb_mode and chip.session_stub == chip.session
  local old = chip.baud
  if old == o.baud then return end
  local lowered = old > o.baud and chip.resets
  local ok, e = pcall(chip.set_baud, chip, o.baud)
  if not ok and not (lowered and curable(e, o, old)) then error(e, 0) end
  if ok and (not ours or chip.link:sync(rates.PROOF)) then return end
  if lowered then                         -- the way up was our idea, and the line may carry less
    step_down(chip, o, old, "the flasher stub did not change its rate")
    return restart(chip, o)
  end
  local rate = rates.below(o.baud)
  if not rate or not chip.resets then
    fail { code = "no_reply", message = named(chip, ("no answer after the change to %d baud"):format(o.baud)),
           hint = "choose a lower rate" }
  end
  chip:tell { type = "warning", code = "slower", text = ("no answer at %d baud, trying %d"):format(o.baud, rate) }
  o.baud, o.rom_limit = rate, math.min(o.rom_limit or rate, rate)
  chip:set_port_baud(o.rom_baud)
  return restart(chip, o)
end

return M
