--- One client on a port that is served: what it wants of the lines is done here, at the times a board needs.
-- Source: RFC 2217, "Telnet Com Port Control Option".
local SIGNATURE, BAUD, DATASIZE, PARITY, STOPSIZE, CONTROL = 0, 1, 2, 3, 4, 5
local MODEM_STATE, LINE_MASK, MODEM_MASK, PURGE = 7, 10, 11, 12
local SERVER = 100                       -- added to a command: the server's message
local DTR_ASK, DTR_ON, DTR_OFF, RTS_ASK, RTS_ON, RTS_OFF = 7, 8, 9, 10, 11, 12
local FLOW_NONE, BREAK_ON, BREAK_OFF, FLOW_IN_ASK, FLOW_IN_NONE, FLOW_LAST = 1, 5, 6, 13, 14, 18
local PURGE_TX = 2
local FORMAT = { [DATASIZE] = 8, [PARITY] = 1, [STOPSIZE] = 1 }      -- 8N1, as the protocol says it

local TICK = 0.5                         -- seconds between two looks at the modem lines
local PULSE = 0.1                        -- EN is low for at least this long
local AGAIN = 10                         -- a reset so soon after another: the one before did not help
local BREAK_TIME = 0.25
local BACK_WAIT = 0.5                    -- a look for a port that has gone; then for the client

local Session = {}
Session.__index = Session

local function be32(n) return string.pack(">I4", n) end

function Session:answer(command, value)
  self.pump:reply(SERVER + command, type(value) == "number" and string.char(value) or value)
end

function Session:say(code, fields)
  fields = fields or {}
  fields.code, fields.client, fields.port = code, self.address, self.served.url
  self.served.on_event(fields)
end

function Session:trouble(what, ok, message, code)
  if ok then return ok end
  if code == "port_gone" then return nil end        -- the next run tells
  if not self.told[what] then self:say("refused", { what = what, text = message }) end
  self.told[what] = true
  return nil
end

-- Rate -----------------------------------------------------------------------------------------------------

function Session:set_baud(data)
  local wanted = #data >= 4 and (">I4"):unpack(data) or 0
  if wanted > 0 and wanted <= 20000000 and wanted ~= self.port:baud() then
    self.port:drain(1)
    if self:trouble("baud", self.port:baud(wanted)) then self:say("baud", { baud = wanted }) end
  end
  self:answer(BAUD, be32(self.port:baud()))          -- a rate that was refused is answered with the one there is
end

-- Lines ----------------------------------------------------------------------------------------------------

local LINE = {
  [DTR_ON] = { "dtr", true }, [DTR_OFF] = { "dtr", false }, [RTS_ON] = { "rts", true }, [RTS_OFF] = { "rts", false },
}

function Session:apply(dtr, rts)
  if not self.info.has_lines then return end
  self:trouble("lines", self.port:lines(dtr, rts))
end

-- The way into the bootloader that fits the port that is here; after one that did not help, the next.
function Session:bootloader()
  local reset, task = require "esp.reset", require "esp.core.task"
  local served, now = self.served, task.now()
  served.tries = now - (served.last_reset or -AGAIN) < AGAIN and served.tries + 1 or 1
  local usb = require("esp.ports").usb_identity(self.port, served.url)
  local list = reset.cycle { mode = "default-reset", config = served.config, usb = usb, kind = self.info.kind }
  local recipe = list[(served.tries - 1) % #list + 1]
  if served.long_reset and recipe.delay then
    recipe = { name = recipe.name, steps = recipe.steps, delay = reset.DELAY + reset.EXTRA }
  end
  self:say("bootloader", { recipe = recipe.name, delay = recipe.delay })
  self:trouble("lines", reset.perform(self.port, recipe))
  served.last_reset = task.now()
end

-- EN goes up: after a pulse that is long enough, or in the way that the configuration says.
function Session:release(dtr)
  local reset, task = require "esp.reset", require "esp.core.task"
  local config = self.served.config or {}
  if config.custom_hard_reset_sequence then
    local steps = reset.parse(config.custom_hard_reset_sequence, "custom_hard_reset_sequence")
    self:trouble("lines", reset.perform(self.port, { steps = steps }))
  else
    local left = (self.low_since or 0) + PULSE - task.now()
    if left > 0 then task.sleep(left) end
    self:apply(dtr, false)
  end
  self:say "reset"
end

--- The client's lines go from one state to another.
-- Two things are recognised. DTR goes on while RTS is: the board is held in reset and is to start its loader; then
-- the rest of the client's own sequence is only acknowledged. RTS goes off while DTR is off: the end of a reset.
function Session:set_lines(wanted)
  local was = self.lines
  local now = { dtr = was.dtr, rts = was.rts }
  for name, on in pairs(wanted) do now[name] = on end
  self.lines = now
  if self.served.plain_lines or not self.info.has_lines then return self:apply(wanted.dtr, wanted.rts) end
  local rises = now.dtr and not was.dtr or now.rts and not was.rts
  if self.swallow and not rises then
    if not now.dtr and not now.rts then self.swallow = nil end
    return
  end
  self.swallow = nil
  if was.rts and not was.dtr and now.dtr then
    self.swallow = true
    return self:bootloader()
  end
  if was.rts and not was.dtr and not now.rts then return self:release(wanted.dtr) end
  if now.rts and not now.dtr then self.low_since = require "esp.core.task".now() end
  self:apply(wanted.dtr, wanted.rts)
end

function Session:control(value)
  local line = LINE[value]
  if line then
    local wanted = { [line[1]] = line[2] }
    self:answer(CONTROL, value)                     -- first: what follows takes longer than a client waits
    local next_value = self.pump:next_control()
    while next_value do                             -- both lines in one message change at one moment
      line = LINE[next_value]
      if not line or wanted[line[1]] ~= nil then break end
      wanted[line[1]] = line[2]
      self:answer(CONTROL, next_value)
      next_value = self.pump:next_control()
    end
    self:set_lines(wanted)
    if next_value then return self:control(next_value) end
  elseif value == DTR_ASK then
    self:answer(CONTROL, self.lines.dtr and DTR_ON or DTR_OFF)
  elseif value == RTS_ASK then
    self:answer(CONTROL, self.lines.rts and RTS_ON or RTS_OFF)
  elseif value < BREAK_ON - 1 then
    self:answer(CONTROL, FLOW_NONE)
  elseif value <= BREAK_OFF then
    if value >= BREAK_ON and self:trouble("break", self.port:hold_break(value == BREAK_ON)) then
      self.breaking = value == BREAK_ON
    end
    self:answer(CONTROL, self.breaking and BREAK_ON or BREAK_OFF)
  elseif value >= FLOW_IN_ASK and value <= FLOW_LAST then
    self:answer(CONTROL, FLOW_IN_NONE)
  end
end

function Session:send_break()
  local task = require "esp.core.task"
  if not self:trouble("break", self.port:hold_break(true)) then return end
  task.sleep(BREAK_TIME)
  self.port:hold_break(false)
end

-- Modem lines ----------------------------------------------------------------------------------------------

local MODEM_BITS = { cts = 0x10, dsr = 0x20, ri = 0x40, dcd = 0x80 }

-- The upper four bits are the lines, the lower four which of them have changed.
function Session:look_at_modem(always)
  local modem = self.info.has_lines and self.port:modem()
  local state = 0
  for name, bit in pairs(modem and MODEM_BITS or {}) do
    if modem[name] then state = state | bit end
  end
  local changed = (state ~ (self.modem_state or state)) & (self.modem_mask or 255)
  if changed ~= 0 or always then self:answer(MODEM_STATE, state | changed >> 4) end
  self.modem_state = state
end

-- Requests -------------------------------------------------------------------------------------------------

local requests = {
  [SIGNATURE] = function(s, data)
    if data == "" then s:answer(SIGNATURE, ("esplua " .. require "esp.version"):sub(1, 16)) end
  end,
  [BAUD] = Session.set_baud,
  [CONTROL] = function(s, data)
    if data ~= "" then s:control(data:byte()) end
  end,
  [LINE_MASK] = function(s) s:answer(LINE_MASK, 0) end,
  [MODEM_MASK] = function(s, data)
    s.modem_mask = data:byte() or 255
    s:answer(MODEM_MASK, s.modem_mask)
    if s.modem_mask ~= 0 then s:look_at_modem(true) end
  end,
  [MODEM_STATE] = function(s) s:look_at_modem(true) end,         -- a client that asks, as pyserial does
  [PURGE] = function(s, data)
    local which = data:byte() or 0
    if which ~= PURGE_TX then s:trouble("purge", s.port:flush()) end
    s:answer(PURGE, which)
  end,
}

function Session:request(command, data)
  if FORMAT[command] then
    if not self.told[command] and data ~= "" and data:byte() ~= 0 and data:byte() ~= FORMAT[command] then
      self.told[command] = true
      self:say("refused", { what = "format", text = "only 8 data bits, no parity, 1 stop bit are supported" })
    end
    self:answer(command, FORMAT[command])
  elseif requests[command] then
    requests[command](self, data)
  end
  -- Until a client sets a mask it is told of every change, and first how things stand.
  if not self.modem_mask then
    self.modem_mask = 255
    self:look_at_modem(true)
  end
end

-- The port is gone: until it is back, or the client has had enough.
-- @return whether to go on
function Session:regain(message, code)
  self:say("port_lost", { text = message, reason = code })
  local dtr, rts = self.lines.dtr, self.lines.rts
  while self.pump:alive() do
    if self.port:reopen(BACK_WAIT) then
      self.info = self.port:info()
      if not self.swallow and (dtr or rts) then self:apply(dtr, rts) end
      self:say "port_back"
      return true
    end
    require "esp.core.task".sleep(0)
  end
  return false
end

function Session:run()
  local deadline_for_modem = 0
  local task = require "esp.core.task"
  while true do
    local what, a, b = self.pump:run(TICK)
    local _, _, dropped = self.pump:counts()
    if dropped > 0 then self:trouble("write", nil, "the port takes no bytes; they are dropped") end
    if what == "command" then
      self:request(a, b)
    elseif what == "break" then
      self:send_break()
    elseif what == "gone" or what == "lost" and not self:regain(a, b) then
      return
    end
    if (self.modem_mask or 0) ~= 0 and task.now() >= deadline_for_modem then
      self:look_at_modem()
      deadline_for_modem = task.now() + TICK
    end
  end
end

return Session
