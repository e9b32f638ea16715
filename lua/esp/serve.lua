--- Serial ports for other machines and containers, by RFC 2217 (or as plain TCP).
-- A port is open while a client uses it. What the client wants of its lines is carried out here, where the time
-- between two changes is what it should be: over a network it is not, and the reset circuit of a board needs it.
-- Source: RFC 2217, "Telnet Com Port Control Option".
local fail = require "esp.error"
local access = require "esp.serve_access"
local Session = require "esp.serve_session"
local M = {}

M.allow_list, M.is_local = access.allow_list, access.is_local

M.DEFAULT_PORT = 2217
local OPEN_WAIT, OPEN_PAUSE = 2, 0.1     -- a port that is just being plugged in
local LEAVING = 1                        -- seconds that a client may take to be gone
local NONCE, AUTH_TIME, AUTH_MAX, AUTH_AT_ONCE = 16, 5, 512, 8
local AUTH_BEGIN, SUB_END = "\255\250\37esplua1", "\255\240"

local function message_of(err)
  return type(err) == "table" and err.message or tostring(err)
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
    lines = { dtr = false, rts = false }, told = {},
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
-- @return bytes | nil, whether the client tried
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
      if proof ~= wanted then return nil, proof ~= "" end
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
    local ok, received, tried = pcall(self.authenticate, self, client)
    if ok and received then
      self:admit(client, address, received)
    elseif ok then
      self:refuse(client, address, "bad_secret", tried and "this port's shared secret is another one"
        or "this port needs a shared secret: ?secret-file=FILE in its name")
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

-- One that has left may not have been noticed yet: somebody who tried the port, or a tool that comes back at once.
function Served:wait_for_turn()
  local task = require "esp.core.task"
  local deadline = task.now() + LEAVING
  while self.user and task.now() < deadline do task.sleep(0.02) end
end

function Served:admit(client, address, received)
  self:wait_for_turn()
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
