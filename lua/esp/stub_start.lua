--- From a ROM that answers to the stub, at the rate to work at; and back again where a line does not carry it.
local fail = require "esp.error"
local flasher = require "esp.stub"
local named = require "esp.connect_failure".named
local synchronise = require "esp.synchronise"
local M = {}

-- Seconds and tries in which a loader has to show that it is there at a new rate.
local NEW_RATE = { tries = 3, timeout = 0.1, pause = 0.02 }
local SLOWER = { 921600, 460800, 230400, 115200 }
-- What a ROM is raised to unasked. They run at the crystal's rate and fetch each byte by an interrupt: at twice this
-- rate that of the ESP32 loses some.
local UPLOAD_BAUD = 921600
local WRITE_REG = require "esp.loader".OP.WRITE_REG
local WHOLE_DIVIDER = 0xFFFFF
local HEARD = 0.06                        -- seconds in which an answer has arrived
local LATE = { timeout = true, bad_reply = true, checksum = true, no_sync = true }   -- the line's faults

-- The ROM did not come back at the new rate: reach it at the old one, by a reset where there are lines for it.
local function bring_back(chip, o, rate)
  chip:set_port_baud(o.rom_baud)
  chip:tell { type = "warning", code = "rom_baud", text = ("the ROM of %s does not answer at %d baud, staying at %d")
    :format(chip.name, rate, o.rom_baud) }
  if chip.resets then
    synchronise.run(chip, o)
    return
  end
  chip.link:flush()
  if not chip.link:sync(NEW_RATE) then
    fail { code = "no_reply", message = named(chip, ("no answer after the ROM was set to %d baud"):format(rate)),
           hint = ("reset it into download mode, and choose --rom-baud %d"):format(o.rom_baud) }
  end
end

-- The rate at which the ROM is to take the stub; nil: it stays.
local function upload_rate(chip, o)
  local rate, rom = o.upload_baud or chip.port:info().has_baud and math.min(o.baud, UPLOAD_BAUD), chip.data.rom
  if not rate or rate <= chip.baud or chip.usb_mode or o.slow_rom then return nil end
  -- Without a command for it, only where a reset brings the ROM back.
  return (rom.change_baud or rom.divider_baud and chip.resets) and rate or nil
end

-- Changes the rate of a ROM that has no command for it, by the register from which its UART takes it. The answer comes
-- at the new rate already: what arrives of it tells that all of ours has been received.
local function set_divider(chip, rate)
  local register = chip.data.uart.clkdiv
  local divider = ((chip:read_reg(register) & WHOLE_DIVIDER) * chip.baud + rate // 2) // rate
  fail.check(nil, nil, chip.link:send(WRITE_REG, ("<I4I4I4I4"):pack(register, divider, 0xFFFFFFFF, 0)))
  synchronise.listen(chip.port, HEARD)
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
  if not together then attach_flash(chip, op, data) end
  if not rate then return end
  local ok, e = pcall(set_rom_rate, chip, rate, together and { op, data } or nil)
  if not ok and not (fail.is(e) and LATE[e.code]) then error(e, 0) end
  if ok and chip.link:sync(NEW_RATE) then return end
  o.slow_rom = true
  bring_back(chip, o, rate)
  attach_flash(chip, op, data)
end

-- Loads a stub. What does not succeed in haste is tried without, after a reset.
local function load_stub(chip, o, file)
  prepare_rom(chip, o)
  local rate = chip.baud
  local ok, started, message = pcall(flasher.run, chip, file)
  if ok then return started, message end
  local e = started
  if not (fail.is(e) and (LATE[e.code] or e.code == "rom_error") and chip.resets) then error(e, 0) end
  o.slow_rom = true
  chip:set_port_baud(o.rom_baud)
  chip:tell { type = "warning", code = "rom_baud", text = ("the flasher stub did not arrive at %d baud, trying at %d")
    :format(rate, o.rom_baud) }
  synchronise.run(chip, o)
  chip.flash_powered = nil
  prepare_rom(chip, o)
  return flasher.run(chip, file, true)
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
  chip:set_baud(o.baud)
  if not ours or chip.link:sync(NEW_RATE) then return end
  for _, rate in ipairs(SLOWER) do
    if rate < o.baud and chip.resets then
      chip:tell { type = "warning", code = "slower", text = ("no answer at %d baud, trying %d"):format(o.baud, rate) }
      o.baud, o.upload_baud = rate, o.upload_baud and math.min(o.upload_baud, rate)
      chip:set_port_baud(o.rom_baud)
      return restart(chip, o)
    end
  end
  fail { code = "no_reply", message = named(chip, ("no answer after the change to %d baud"):format(o.baud)),
         hint = "choose a lower rate" }
end

return M
