--- Serial ports for other machines and containers, by RFC 2217 (or as plain TCP).
-- A port is open while a client uses it. What the client wants of its lines is carried out here, where the time
-- between two changes is what it should be: over a network it is not, and the reset circuit of a board needs it.
-- Source: RFC 2217, "Telnet Com Port Control Option".
local fail = require "esp.error"
local M = {}

local SIGNATURE, BAUD, DATASIZE, PARITY, STOPSIZE, CONTROL = 0, 1, 2, 3, 4, 5
local MODEM_STATE, LINE_MASK, MODEM_MASK, PURGE = 7, 10, 11, 12
local SERVER = 100                       -- added to a command: the server's message
local DTR_ASK, DTR_ON, DTR_OFF, RTS_ASK, RTS_ON, RTS_OFF = 7, 8, 9, 10, 11, 12
local FLOW_NONE, BREAK_ON, BREAK_OFF, FLOW_IN_ASK, FLOW_IN_NONE, FLOW_LAST = 1, 5, 6, 13, 14, 18
local PURGE_TX = 2
local FORMAT = { [DATASIZE] = 8, [PARITY] = 1, [STOPSIZE] = 1 }      -- 8N1, as the protocol says it

M.DEFAULT_PORT = 2217
local TICK = 0.5                         -- seconds between two looks at the modem lines
local PULSE = 0.1                        -- EN is low for at least this long
local AGAIN = 10                         -- a reset so soon after another: the one before did not help
local BREAK_TIME = 0.25
local OPEN_WAIT, OPEN_PAUSE = 2, 0.1     -- a port that is just being plugged in
local NONCE, AUTH_TIME, AUTH_MAX, AUTH_AT_ONCE = 16, 5, 512, 8
local AUTH_BEGIN, SUB_END = "\255\250\37esplua1", "\255\240"
local BACK_WAIT = 0.5                    -- a look for a port that has gone; then for the client

-- Who may come ---------------------------------------------------------------------------------------------

local function mask_of(text)
  local port = require "esp.core.port"
  local address, bits = text:match "^([^/]+)/?(%d*)$"
  local bytes = address and port.address(address)
  local length = bytes and #bytes * 8
  bits = bits == "" and length or tonumber(bits)
  if not bytes or not bits or bits > length then
    fail { code = "bad_argument", message = ("%s: not an address, nor a network"):format(text:sub(1, 60)),
           hint = "192.168.1.17, 10.0.0.0/8, fd00::/8" }
  end
  return { bytes = bytes, bits = bits }
end

local function matches(mask, bytes)
  if #bytes ~= #mask.bytes then return false end
  local whole, rest = mask.bits // 8, mask.bits % 8
  if bytes:sub(1, whole) ~= mask.bytes:sub(1, whole) then return false end
  return rest == 0 or (bytes:byte(whole + 1) ~ mask.bytes:byte(whole + 1)) >> (8 - rest) == 0
end

--- A list of addresses and networks.
-- @param list of "192.168.1.17", "10.0.0.0/8", "fd00::/8"
-- @return function(address) -> whether it is in one of them
-- @raise bad_argument
function M.allow_list(list)
  local masks = {}
  for i, text in ipairs(list) do masks[i] = mask_of(text) end
  return function(address)
    local bytes = require "esp.core.port".address(address)
    for _, mask in ipairs(bytes and masks or {}) do
      if matches(mask, bytes) then return true end
    end
    return false
  end
end

--- Whether an address is reached from this machine only.
function M.is_local(address)
  return address == "localhost" or address == "::1" or address:match "^127%." ~= nil
end

-- A session: one client on one port ------------------------------------------------------------------------

local Session = {}
Session.__index = Session

local function message_of(err)
  return type(err) == "table" and err.message or tostring(err)
end

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
  local changed = (state ~ (self.modem_state or state)) & self.modem_mask
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
    if self.modem_mask ~= 0 and task.now() >= deadline_for_modem then
      self:look_at_modem()
      deadline_for_modem = task.now() + TICK
    end
  end
end

-- A port that is served ------------------------------------------------------------------------------------

local Served = {}
Served.__index = Served

function Served:open_port()
  local ports, task = require "esp.ports", require "esp.core.task"
  if self.port then
    self.port:baud(self.baud)
    self.port:flush()
    return self.port
  end
  local until_ = task.now() + OPEN_WAIT
  while true do
    local ok, port = pcall(ports.open, self.url, { baud = self.baud })
    if ok then
      self.port = port
      return port
    end
    local code = type(port) == "table" and port.code
    if code ~= "port_missing" and code ~= "port_gone" or task.now() >= until_ then error(port, 0) end
    task.sleep(OPEN_PAUSE)
  end
end

function Served:let_go()
  if self.port and not self.hold then
    self.port:close()
    self.port = nil
  end
end

-- Turned away, with a line that a person (or the program that shows it) can read.
function Served:refuse(client, address, code, text)
  self.on_event { code = code, client = address, port = self.url, text = text }
  client:write("esplua: " .. text .. "\r\n", 1)
  client:close()
end

function Served:session(client, address, received)
  local ok, port = pcall(self.open_port, self)
  if not ok then
    if type(port) == "table" and port.code == "interrupted" then error(port, 0) end
    return self:refuse(client, address, "port_failed", message_of(port))
  end
  local pump <close> = fail.check(nil, nil, require("esp.core.serve").new(port, client, self.raw, received))
  local session = setmetatable({
    served = self, port = port, pump = pump, address = address, info = port:info(),
    lines = { dtr = false, rts = false }, modem_mask = 0, told = {},
  }, Session)
  self.tries, self.last_reset = 0, nil
  session:say "client"
  local fine, err = pcall(session.run, session)
  local from_port, to_port, dropped = pump:counts()
  if session.breaking then port:hold_break(false) end
  session:say("client_left", { received = from_port, sent = to_port, dropped = dropped })
  if not fine then error(err, 0) end
end

-- A shared secret: the client shows that it knows it, by an HMAC of a number that is used once. Telnet's option
-- AUTHENTICATION carries both. What else it says meanwhile is kept.
-- @return bytes | nil
function Served:authenticate(client)
  local task, core = require "esp.core.task", require "esp.core.serve"
  local random <close> = assert(io.open("/dev/urandom", "rb"))
  local nonce = random:read(NONCE)
  local wanted = fail.check(nil, nil, core.proof(self.secret_file, nonce))
  client:write(AUTH_BEGIN .. nonce:gsub("\255", "\255\255") .. SUB_END, 1)
  local got, deadline = "", task.now() + AUTH_TIME
  while #got < AUTH_MAX do
    local more = client:read(AUTH_MAX - #got, math.max(deadline - task.now(), 0))
    if not more then return nil end
    got = got .. more
    local first, last = got:find(AUTH_BEGIN, 1, true)
    local stop = first and got:gsub("\255\255", "\0\0"):find(SUB_END, last + 1, true)
    if stop then
      local proof = got:sub(last + 1, stop - 1):gsub("\255\255", "\255")
      if proof ~= wanted then return nil end
      return got:sub(1, first - 1) .. got:sub(stop + #SUB_END)
    end
  end
  return nil
end

-- Who must show the secret does so beside a client that is being served, a few at a time.
function Served:ask_secret(client, address)
  if self.asking >= AUTH_AT_ONCE then return client:close() end
  self.asking = self.asking + 1
  self.askers[client] = require "esp.core.task".spawn(function()
    local guard <close> = setmetatable({}, { __close = function()
      self.asking = self.asking - 1
      self.askers[client] = nil
    end })
    local ok, received = pcall(self.authenticate, self, client)
    if ok and received then
      self:admit(client, address, received)
    elseif ok then
      self:refuse(client, address, "bad_secret", "this port needs a shared secret: ?secret-file=FILE in its name")
    else
      client:close()
      if type(received) == "table" and (received.code == "interrupted" or received.code == "cancelled") then
        error(received, 0)
      end
      self.on_event { code = "failed", client = address, port = self.url, text = message_of(received) }
    end
    return guard and nil
  end)
end

function Served:take(client)
  local address = client:url()
  if self.allow and not self.allow(address) then
    self.on_event { code = "not_allowed", client = address, port = self.url }
    return client:close()
  end
  if self.secret_file then return self:ask_secret(client, address) end
  return self:admit(client, address)
end

function Served:admit(client, address, received)
  if self.user then
    return self:refuse(client, address, "busy", ("%s is in use by %s"):format(self.url, self.user))
  end
  self.user = address
  self.task = require "esp.core.task".spawn(function()
    local guard <close> = setmetatable({}, { __close = function()
      client:close()
      self:let_go()
      self.user = nil
    end })
    local ok, err = pcall(self.session, self, client, address, received)
    if not ok then
      local code = type(err) == "table" and err.code
      if code == "interrupted" or code == "cancelled" then error(err, 0) end
      self.on_event { code = "failed", client = address, port = self.url, text = message_of(err) }
    end
    return guard and nil
  end)
end

function Served:stop()
  if self.task then self.task:cancel() end
  local askers = {}
  for _, asker in pairs(self.askers) do askers[#askers + 1] = asker end
  for _, asker in ipairs(askers) do asker:cancel() end
end

--- The name by which clients reach it.
function Served:client_url()
  local host = self.address
  if host == "0.0.0.0" or host == "::" then host = "HOST" end
  if host:find ":" then host = "[" .. host .. "]" end
  return ("%s://%s:%d"):format(self.raw and "socket" or "rfc2217", host, self.number)
end

function Served:run()
  while true do
    local client, message, code = self.server:accept()
    if client then
      self:take(client)
    else
      self.on_event { code = "failed", port = self.url, text = message }
      if code ~= "port_failed" then return end
      require "esp.core.task".sleep(0.1)            -- out of descriptors, say
    end
  end
end

-- The server -----------------------------------------------------------------------------------------------

local Server = {}
Server.__index = Server

--- Serve until the task is cancelled, or Ctrl-C.
function Server:run()
  local task = require "esp.core.task"
  local tasks = {}
  local guard <close> = setmetatable({}, { __close = function()
    for _, t in ipairs(tasks) do t:cancel() end
    for _, served in ipairs(self.list) do
      served:stop()
    end
  end })
  for i, served in ipairs(self.list) do tasks[i] = task.spawn(served.run, served) end
  for _, t in ipairs(tasks) do t:join() end
  return guard and nil
end

--- End everything; twice is fine.
function Server:close()
  for _, served in ipairs(self.list) do
    served:stop()
    if served.server then served.server:close() end
    if served.port then served.port:close() end
    served.server, served.port, served.task = nil, nil, nil
  end
end
Server.__close = Server.close
Server.__gc = Server.close

-- Sequences of the configuration are looked at before a client needs them.
local function check_config(config)
  local reset = require "esp.reset"
  for _, key in ipairs { "custom_reset_sequence", "custom_hard_reset_sequence" } do
    if config and config[key] then reset.parse(config[key], key) end
  end
end

local function check_same(list)
  local seen = {}
  for _, entry in ipairs(list) do
    if seen[entry.url] then
      fail { code = "bad_argument", message = ("%s is given twice"):format(entry.url),
             hint = "one client at a time can use a port" }
    end
    seen[entry.url] = true
  end
end

--- Listen for clients of some ports. Then call run.
-- @param opts table: ports = list of { url =, number = TCP port or nil for the next one, 0 for any }; address to
--   listen on ("127.0.0.1"); allow = list of addresses and networks that may come; secret_file = path of a secret
--   that clients must know; baud before a client says
--   (115200); raw = plain TCP; hold = keep the ports open between clients; plain_lines = recognise nothing, pass
--   every change of a line on; long_reset = for boards with a large capacitor; config (of esp.config);
--   on_event = function{ code =, port =, client =, text = }
-- @return server with list (of served ports, each with url, number, client_url()), run() and close()
-- @raise bad_argument, port_busy, port_failed
function M.open(opts)
  local address = opts.address or "127.0.0.1"
  local allow = opts.allow and #opts.allow > 0 and M.allow_list(opts.allow) or nil
  check_same(opts.ports)
  check_config(opts.config)
  if opts.secret_file then
    if opts.raw then fail { code = "bad_argument", message = "a shared secret is not possible with plain TCP" } end
    fail.check(nil, nil, require "esp.core.serve".proof(opts.secret_file, ""))
  end
  local server = setmetatable({ list = {} }, Server)
  local number = M.DEFAULT_PORT
  for i, entry in ipairs(opts.ports) do
    number = entry.number or number
    local socket = require "esp.core.port"
    local ok, listening = pcall(fail.check, nil, "another number: --tcp, or PORT:NUMBER",
                                socket.listen(address, number))
    if not ok then
      server:close()
      error(listening, 0)
    end
    server.list[i] = setmetatable({
      url = entry.url, server = listening, number = listening:port(), address = address, allow = allow,
      baud = opts.baud or 115200, raw = opts.raw, plain_lines = opts.plain_lines, long_reset = opts.long_reset,
      config = opts.config, secret_file = opts.secret_file, asking = 0, askers = {},
      on_event = opts.on_event or function() end,
      hold = opts.hold or entry.url:find "^sim:" ~= nil,     -- a simulated chip ends with its port
    }, Served)
    number = number == 0 and 0 or number + 1
  end
  return server
end

--- Take "PORT[:NUMBER]" apart, as a command line has it.
-- @return { url =, number = or nil }
-- @raise bad_argument
function M.parse_port(word)
  local url, digits = word:match "^(.*[^:]):(%d+)$"
  -- host:port of a URL is not ours: rfc2217://host:4000 alone has one number, rfc2217://host:4000:2217 two
  if url and url:match "^%a[%w%+%.%-]*://" and not url:match "^%a[%w%+%.%-]*://.*:%d+" then url = nil end
  if not url or require "esp.core.fs".exists(word) then return { url = word } end
  local number = tonumber(digits)
  if number > 65535 then
    fail { code = "bad_argument", message = ("%s: no TCP port %s"):format(word, digits), hint = "0 to 65535" }
  end
  return { url = url, number = number }
end

return M
