--- Resetting into the loader and synchronising with it, as often as asked, with what was heard kept.
-- Source: esptool documentation, "Serial Protocol" and "Troubleshooting".
local bootlog = require "esp.bootlog"
local reset = require "esp.reset"
local M = {}

local SYNC_TRIES, SYNC_PAUSE = 5, 0.05
local ASK_ONCE = { tries = 1, timeout = 0.1, pause = 0 }
local QUIET = 0.02                        -- a USB adapter hands on what it received at least every 16 ms
M.LONGEST_LOG = 0.3                       -- seconds that a chip may go on talking before we speak
local KEPT_BYTES, KEPT_ATTEMPTS = 4096, 20
local GONE = 2                            -- attempts at whose end the port is still gone, before that is the answer

--- Everything that arrives until the line is quiet.
-- @param limit seconds
-- @return bytes; code of the port's error, if any
function M.listen(port, limit)
  local parts, size, spent = {}, 0, 0
  while size < KEPT_BYTES and spent < limit do
    local bytes, _, code = port:read(KEPT_BYTES, QUIET)
    if not bytes or bytes == "" then
      if code and code ~= "timeout" then return table.concat(parts), code end
      break
    end
    parts[#parts + 1], size, spent = bytes, size + #bytes, spent + QUIET
  end
  return table.concat(parts)
end

-- One attempt. Returns true, stub_running | nil, evidence
local function attempt(chip, recipe, limit)
  local evidence = { recipe = recipe and recipe.name, received = "" }
  local function failed(message, code, details)
    evidence.message, evidence.code, evidence.details = message, code, details
    return nil, evidence
  end
  if recipe then
    if chip.port_kind ~= "rfc2217" then chip.port:flush() end
    local ok, message, code = reset.perform(chip.port, recipe)
    if not ok then
      if code ~= "unsupported" then return failed(message, code) end
      if not chip.told_no_lines then
        chip.told_no_lines = true
        chip:tell { type = "warning", code = "no_lines",
          text = "this port has no DTR and RTS lines, the chip cannot be reset into download mode through it" }
      end
    end
    evidence.received = M.listen(chip.port, M.LONGEST_LOG)
  else
    evidence.received = M.listen(chip.port, QUIET)      -- what it said before we came
  end
  local function sync()
    chip.link:flush()
    return chip.link:sync { tries = SYNC_TRIES, timeout = limit, pause = SYNC_PAUSE }
  end
  chip.heard = evidence.received
  local ok, stub, code, details = sync()
  -- Internal USB that went away after the reset: the chip waits for us, another reset would only repeat this.
  if not ok and reset.regain(chip.port, code) then ok, stub, code, details = sync() end
  chip.sync_status = ok and code or nil
  if ok then return true, stub end
  evidence.received = (evidence.received .. (details and details.received or "")):sub(-KEPT_BYTES)
  return failed(stub, code, details)
end

--- Attempts until one succeeds. chip.heard is then what the chip said before.
-- @param o options of esp.connect
-- @return whether a stub answers
-- @raise what esp.connect_failure makes of the attempts
function M.run(chip, o)
  chip.heard = nil
  if o.before == "no-reset-no-sync" then
    -- Nothing depends on the answer. It tells whether a stub was left running, which must not be loaded over itself.
    local ok, stub = chip.link:sync(ASK_ONCE)
    return ok and stub or false
  end
  local cycle
  chip.resets = o.before ~= "no-reset" and chip.port:info().has_lines
  if o.before == "no-reset" then
    chip:tell { type = "note", code = "no_reset",
                text = "the chip is not reset: it must be in download mode, or a stub must be running" }
  elseif not chip.resets then
    chip:tell { type = "note", code = "no_lines",
                text = "this port has no DTR and RTS lines: bring the chip into download mode by hand" }
  else
    cycle = reset.cycle { mode = o.before, config = o.config, usb = chip.usb, kind = chip.port_kind, fpga = o.fpga,
                          windows = package.config:sub(1, 1) == "\\" }
  end
  local evidence, n, gone = {}, 0, 0
  while o.attempts <= 0 or n < o.attempts do
    n = n + 1
    local recipe = cycle and cycle[(n - 1) % #cycle + 1]
    if not chip.resets and n > 1 and o.baud ~= o.rom_baud then
      -- A stub that was left running still talks at the rate it was raised to.
      chip:set_port_baud(n % 2 == 0 and o.baud or o.rom_baud)
    end
    local ok, result = attempt(chip, recipe, o.config.sync_timeout)
    if ok then return result end
    evidence[#evidence + 1] = result
    if #evidence > KEPT_ATTEMPTS then table.remove(evidence, 1) end
    chip:tell { type = "attempt", code = result.code, number = n, of = o.attempts, recipe = result.recipe,
                received = result.received, text = result.message }
    gone = reset.LOST[result.code] and not reset.regain(chip.port, result.code) and gone + 1 or 0
    if gone == GONE and o.attempts > 0 then break end
    -- Behind a server no USB identity is seen, but the chip itself says that its USB peripheral was what reset it.
    if cycle and (bootlog.parse(result.received).reset_name or ""):find "^USB_UART"
       and not o.config.custom_reset_sequence then
      cycle = reset.cycle { mode = "usb-reset", config = o.config }
    end
  end
  require "esp.connect_failure".give_up(chip, evidence, o)
end

return M
