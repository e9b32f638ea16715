--- Why connecting failed, in words: from what was received, and what to do about it.
local bootlog = require "esp.bootlog"
local chips = require "esp.chips"
local fail = require "esp.error"
local M = {}

local HINTS = {
  nothing_received = "is it powered, is it this port, are TX and RX crossed? or hold BOOT, tap RESET, let BOOT go, "
    .. "and try again",
  wrong_boot_mode = "hold BOOT (GPIO0, on newer chips GPIO9) low while the chip is reset, or connect DTR and RTS",
  no_reply = "its output arrives and our bytes do not: check the wire from the host's TX to the chip's RX",
  garbage = "wrong baud rate, bad ground, or an ESP8266 whose boot messages come at 74880 baud",
  no_sync = "close other programs on this line, try a lower baud rate and a shorter cable",
}
local BY_HAND = "hold BOOT, tap RESET, let BOOT go, then try again"

-- A rate that is too low for some chip's ROM, said in its data.
local function slow_hint(chip, wanted)
  for _, id in ipairs(wanted and { wanted.id } or chips.list()) do
    local data = chips.get(id)
    local lowest = data.baud_fix and data.baud_fix.slow_hint_below
    if lowest and chip.baud < lowest then
      return (" %s needs at least %d baud."):format(data.name, lowest)
    end
  end
  return ""
end

-- macOS brings a driver for the CH9102 that loses bytes.
local function driver_hint(chip)
  local usb = chip.usb
  local mac = chip.url:find "^/dev/tty%." or chip.url:find "^/dev/cu%."
  if mac and usb and usb.vid == 0x1A86 and (usb.pid == 0x55D4 or usb.pid == 0x55D3) then
    return " Install the CH34x driver of the adapter's maker: the one of macOS loses bytes."
  end
  return ""
end

-- Whether there is a loader's answer among bytes: a frame with the direction of one.
local function has_answer(bytes)
  for _, frame in ipairs(require("esp.core.slip").decoder():feed(bytes)) do
    if #frame >= 10 and frame:byte() == 1 then return true end
  end
  return false
end

--- A text with the port's name in front, once.
function M.named(chip, text)
  text = text or ""
  if text:sub(1, #chip.url + 2) == chip.url .. ": " then return text end
  return ("%s: %s"):format(chip.url, text)
end

--- Raise the error that the attempts add up to.
-- @param attempts list of { received =, code =, message =, details = } as esp.synchronise leaves them
-- @param o options of esp.connect
-- @raise nothing_received, no_reply, wrong_boot_mode, garbage, no_sync, port_*
function M.give_up(chip, attempts, o)
  local what, log, last = "nothing", nil, attempts[#attempts]
  for i = #attempts, 1, -1 do
    local e = attempts[i]
    if e.code == "target_panic" then what, log = "application", bootlog.parse(e.received) break end
    what, log = bootlog.classify(e.received)
    if what ~= "nothing" then last = e break end
  end
  local name = o.chip and o.chip.name or "the chip"
  local code, message
  local said = log and bootlog.describe(log) or ""
  local final = attempts[#attempts]
  if final.code and final.code:find "^port_" then          -- whatever was heard before it was lost
    code, message = final.code, final.message or "lost"
  elseif what == "download" then
    code, message = "no_reply", ("%s waits for download but does not answer"):format(name)
  elseif what == "application" then
    code = "wrong_boot_mode"
    message = ("%s is not in download mode, it runs its program%s"):format(name, said ~= "" and ": " .. said or "")
    if log.no_program then message = ("%s is not in download mode: %s"):format(name, said) end
  elseif what == "garbage" and has_answer(last.received) then
    code, message = "no_sync", ("%s answers, but not as a loader does"):format(name)
  elseif what == "garbage" then
    code, message = "garbage", ("only noise is received from %s at %d baud"):format(name, chip.baud)
  else
    code, message = "nothing_received", ("no answer from %s: nothing was received"):format(name)
  end
  local hint = HINTS[code] or "plug it in again"
  if code == "nothing_received" and not chip.resets then hint = "this port cannot reset the chip: " .. BY_HAND end
  if code == "wrong_boot_mode" and not chip.resets then hint = BY_HAND end
  fail { code = code, message = M.named(chip, message),
         hint = hint .. (hint:find "[.?]$" and "" or ".") .. slow_hint(chip, o.chip) .. driver_hint(chip),
         details = { attempts = attempts, received = last.received, log = log, baud = chip.baud } }
end

return M
