--- Resetting by the serial control lines: recipes as data, and running one on a port.
-- DTR pulls the boot pin low, RTS pulls EN low, each through a transistor that works only while the other line
-- is inactive. Source: esptool documentation, "Boot Mode Selection" and "Advanced Options"; ESP32-C3 Technical
-- Reference Manual, "USB Serial/JTAG Controller", for the chips that read the lines themselves.
local fail = require "esp.error"
local M = {}

M.DELAY = 0.05                            -- seconds that the boot pin stays low after EN went up
M.EXTRA = 0.5                             -- more of it, for boards with a large capacitor at EN
local FPGA_DELAY = 7                      -- an FPGA loads its configuration when EN goes up
local MAX_WAIT, MAX_STEPS = 60, 200       -- of a custom sequence

-- A step sets lines (one of them, or both in one call) or waits. wait = "delay" is the recipe's parameter.
local PULSE = 0.1                         -- EN low: long enough for the usual 1 uF and 10 kOhm to discharge
M.recipes = {
  classic = {
    { dtr = false }, { rts = true }, { wait = PULSE },
    { dtr = true }, { rts = false }, { wait = "delay" },
    { dtr = false },
  },
  -- Both lines change in one call, so EN cannot rise before the boot pin is low.
  unix_tight = {
    { dtr = false, rts = false }, { dtr = true, rts = true },
    { dtr = false, rts = true }, { wait = PULSE },
    { dtr = true, rts = false }, { wait = "delay" },
    { dtr = false, rts = false }, { dtr = false },
  },
  -- For adapters with hardware flow control, which stall when DTR is toggled once more at the end.
  unix_tight_once = {
    { dtr = false, rts = false }, { dtr = true, rts = true },
    { dtr = false, rts = true }, { wait = PULSE },
    { dtr = true, rts = false }, { wait = "delay" },
    { dtr = false, rts = false },
  },
  -- The peripheral looks at changes, and must go through 1,1 rather than 0,0. RTS is set again because
  -- Windows hands a change of DTR on only together with one of RTS.
  usb_serial_jtag = {
    { rts = false }, { dtr = false }, { wait = PULSE },
    { dtr = true }, { rts = false }, { wait = PULSE },
    { rts = true }, { dtr = false }, { rts = true }, { wait = PULSE },
    { dtr = false }, { rts = false },
  },
  hard = { { rts = true }, { wait = PULSE }, { rts = false } },
  -- The chip must be up again before its USB peripheral sees the line go back.
  hard_usb = { { rts = true }, { wait = 0.2 }, { rts = false }, { wait = 0.2 } },
}

-- USB product 0xVVVVPPPP = recipe instead of the ordinary one
local ADAPTERS = {
  [0x10C4EA64] = { unix_tight = "unix_tight_once" },      -- CP2102C
}

M.ESPRESSIF_VID = 0x303A
local USJ_PID = 0x1001

--- Whether a USB identity is the built-in USB-Serial/JTAG of a chip.
function M.is_usj(usb)
  return usb ~= nil and usb.vid == M.ESPRESSIF_VID and usb.pid == USJ_PID
end

local function bad_sequence(text, name, at, what)
  fail { code = "bad_reset_sequence",
         message = ("%s: %s at position %d of %q"):format(name or "reset sequence", what, at, text:sub(1, 200)),
         hint = "steps joined by |: D0 D1 (DTR), R0 R1 (RTS), U1,0 (both), W0.1 (wait seconds)" }
end

--- Read a custom sequence such as "D0|R1|W0.1|D1|R0|W0.05|D0".
-- @param text string
-- @param name string for messages, such as the key it came from
-- @return list of steps
-- @raise bad_reset_sequence
function M.parse(text, name)
  local steps, at = {}, 1
  if #text > 4096 then bad_sequence(text, name, 4097, "too long") end
  for part in (text .. "|"):gmatch "([^|]*)|" do
    local step = part:gsub("%s", ""):upper()
    local line, level = step:match "^([DR])([01])$"
    local dtr, rts = step:match "^U([01]),([01])$"
    local seconds = step:match "^W(%d*%.?%d*)$"
    seconds = seconds and tonumber(seconds)
    if line == "D" then
      steps[#steps + 1] = { dtr = level == "1" }
    elseif line == "R" then
      steps[#steps + 1] = { rts = level == "1" }
    elseif dtr then
      steps[#steps + 1] = { dtr = dtr == "1", rts = rts == "1" }
    elseif seconds then
      if seconds > MAX_WAIT then bad_sequence(text, name, at, ("a wait of more than %d s"):format(MAX_WAIT)) end
      steps[#steps + 1] = { wait = seconds }
    else
      bad_sequence(text, name, at, step == "" and "an empty step" or ("unknown step %q"):format(step:sub(1, 20)))
    end
    if #steps > MAX_STEPS then bad_sequence(text, name, at, "too many steps") end
    at = at + #part + 1
  end
  return steps
end

local function variant(name, delay, usb)
  local id = usb and usb.vid and usb.pid and usb.vid << 16 | usb.pid
  name = (ADAPTERS[id] or {})[name] or name
  return { name = name, delay = delay, steps = M.recipes[name] }
end

--- The recipes to try in turn to bring a chip into download mode.
-- @param opts table: mode ("default-reset" or "usb-reset"); config (of esp.config); usb {vid, pid} or nil;
--   kind of the port ("serial", "rfc2217", "sim"); windows boolean; fpga boolean
-- @return list of { name, delay, steps }
-- @raise bad_reset_sequence
function M.cycle(opts)
  local config = opts.config or {}
  if config.custom_reset_sequence then
    return { { name = "custom", steps = M.parse(config.custom_reset_sequence, "custom_reset_sequence") } }
  end
  if opts.mode == "usb-reset" or M.is_usj(opts.usb) then
    return { { name = "usb_serial_jtag", steps = M.recipes.usb_serial_jtag } }
  end
  local short, long = M.DELAY, M.DELAY + M.EXTRA
  if config.given and config.given.reset_delay then short, long = config.reset_delay, config.reset_delay end
  if opts.fpga then short, long = FPGA_DELAY, FPGA_DELAY end
  local list = { variant("classic", short, opts.usb), variant("classic", long, opts.usb) }
  -- Over RFC 2217 the two lines travel in two messages, and Windows has no call for both.
  if not opts.windows and opts.kind ~= "rfc2217" then
    table.insert(list, 1, variant("unix_tight", short, opts.usb))
    table.insert(list, 2, variant("unix_tight", long, opts.usb))
  end
  return list
end

local TRIES, PAUSE = 3, 0.5               -- a chip with internal USB needs this long to enumerate again

--- What a port answers that is not there any more.
M.LOST = { port_gone = true, port_missing = true, port_failed = true }

--- Open a port again that vanished.
-- @param code what an operation on it gave; for other troubles nothing is done
-- @return true | nil
function M.regain(port, code)
  if not M.LOST[code] then return nil end
  for _ = 1, TRIES do
    if port:reopen(PAUSE) then return true end
  end
  return nil
end

-- The state that a recipe leaves the lines in.
local function end_state(steps)
  local state = {}
  for _, step in ipairs(steps) do
    if step.dtr ~= nil then state.dtr = step.dtr end
    if step.rts ~= nil then state.rts = step.rts end
  end
  return { state }
end

--- Carry out a recipe on a port.
-- A port that vanishes meanwhile (internal USB) is opened again. The reset that made it vanish has happened, and once
-- more would make it vanish again; so only the lines are put into the state that the recipe ends with.
-- @param port of esp.core.port
-- @param recipe { steps, delay }
-- @return true | nil, message, code; code "unsupported": the port has no such lines
function M.perform(port, recipe)
  local task = require "esp.core.task"
  local steps, i, begun = recipe.steps, 1, false
  local tries = TRIES
  while steps[i] do
    local step = steps[i]
    if step.wait then
      task.sleep(step.wait == "delay" and (recipe.delay or M.DELAY) or step.wait)
      i = i + 1
    else
      local ok, message, code = port:lines(step.dtr, step.rts)
      if ok then
        begun, i = true, i + 1
      else
        tries = tries - 1
        if not M.LOST[code] or tries == 0 then return nil, message, code end
        port:reopen(PAUSE)
        if begun then steps, i = end_state(recipe.steps), 1 end
      end
    end
  end
  return true
end

return M
