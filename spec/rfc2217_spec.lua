-- The server here is written from RFC 2217, 854 and 855, byte by byte, and shares nothing with the client under test.
local task = require "esp.core.task"
local port = require "esp.core.port"
local fs = require "esp.core.fs"

local IAC, SB, SE = "\255", "\250", "\240"
local WILL, WONT, DO, DONT = "\251", "\252", "\253", "\254"
local COM_PORT = "\44"

local function open_files()
  collectgarbage()
  return #fs.list "/proc/self/fd"
end

local function escape(bytes) return (bytes:gsub(IAC, IAC .. IAC)) end

--- A subnegotiation of the COM-PORT option as the server sends it: the client's command plus 100.
local function com(command, value)
  return IAC .. SB .. COM_PORT .. string.char(command + 100) .. escape(value) .. IAC .. SE
end

--- Answer to one subnegotiation as a server does that can do everything.
local function agree(peer, command, value)
  if command ~= 10 and command ~= 11 then peer:send(com(command, value)) end
end

local Peer = {}
Peer.__index = Peer

function Peer:send(bytes) return self.port:write(bytes, 10) end

--- Serves until the client closes. Fields of a peer: answer(peer, command, value), option(peer, verb, option),
-- data(peer, bytes).
function Peer:run()
  local p <close> = self.port
  local at = 0 -- 0: data
  local sub
  while true do
    local bytes = p:read(self.chunk, 30)
    if not bytes then return self end
    local data = {}
    for c in bytes:gmatch "." do
      if at == 0 then
        if c == IAC then at = "iac" else data[#data + 1] = c end
      elseif at == "iac" then
        if c == IAC then data[#data + 1] = c; at = 0
        elseif c == SB then sub = {}; at = "sub"
        else at = c end
      elseif at == "sub" then
        if c == IAC then at = "sub iac" else sub[#sub + 1] = c end
      elseif at == "sub iac" then
        if c == IAC then sub[#sub + 1] = c; at = "sub"
        else
          assert(c == SE)
          at = 0
          local text = table.concat(sub)
          assert(text:sub(1, 1) == COM_PORT)
          self.log[#self.log + 1] = { text:byte(2), text:sub(3) }
          self.answer(self, text:byte(2), text:sub(3))
        end
      else
        self.options[#self.options + 1] = at .. c
        self.option(self, at, c)
        at = 0
      end
    end
    if #data > 0 then self.data(self, table.concat(data)) end
  end
end

--- Starts a server for one client. Returns its address and the peer (with .task).
local function serve(overrides)
  local server = assert(port.listen("127.0.0.1", 0))
  local peer = setmetatable({
    log = {}, options = {}, chunk = 4096, received = "",
    answer = agree,
    option = function(self, verb, option)
      if option == COM_PORT or option == "\0" or option == "\3" then
        self:send(IAC .. (verb == WILL and DO or WILL) .. option)
      end
    end,
    data = function(self, bytes) self.received = self.received .. bytes end,
  }, Peer)
  for k, v in pairs(overrides or {}) do peer[k] = v end
  peer.task = task.spawn(function()
    peer.port = assert(server:accept(30))
    server:close()
    return peer:run()
  end)
  return "rfc2217://127.0.0.1:" .. server:port(), peer
end

local function read_all(p, n)
  local parts, size = {}, 0
  while size < n do
    parts[#parts + 1] = assert(p:read(n - size, 30))
    size = size + #parts[#parts]
  end
  return table.concat(parts)
end

local function open(overrides, query)
  local url, peer = serve(overrides)
  return assert(port.open(url .. (query or ""))), peer
end

--- Lets the server go on until it has what is wanted.
local function wait_for(condition)
  local deadline = task.now() + 30
  while not condition() do
    assert(task.now() < deadline, "never happened")
    task.sleep(0.001)
  end
end

describe("rfc2217://", function()
  local files
  before_each(function() files = open_files() end)
  after_each(function()
    task.run()
    assert.equal(files, open_files())
  end)

  it("offers the COM-PORT option and sets rate, 8N1 and no flow control", function()
    local url, peer = serve()
    local p <close> = assert(port.open(url, { baud = 74880 }))
    local info = p:info()
    assert.same({ "rfc2217", true, true }, { info.kind, info.has_lines, info.has_baud })
    assert.equal(WILL .. COM_PORT, peer.options[1])
    wait_for(function() return #peer.log >= 7 end)
    assert.same({
      { 1, "\0\1\36\128" }, -- 74880
      { 2, "\8" }, { 3, "\1" }, { 4, "\1" }, { 5, "\1" }, { 10, "\0" }, { 11, "\255" },
    }, peer.log)
  end)

  it("passes every byte both ways, however the stream is cut", function()
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) .. "\255" end
    all = table.concat(all)
    for _, chunk in ipairs { 1, 2, 3, 4096 } do
      local p <close>, peer = open { chunk = chunk }
      assert(p:write(all))
      wait_for(function() return #peer.received >= #all end)
      assert.equal(all, peer.received)
      local wire = escape(all)
      local sender = task.spawn(function()
        for i = 1, #wire, chunk do
          peer:send(wire:sub(i, i + chunk - 1))
          task.sleep(0)
        end
      end)
      assert.equal(all, read_all(p, #all))
      sender:join()
    end
  end)

  it("passes a mebibyte of 255 each way when the other side is slow", function()
    local n, got = 1 << 20, 0
    local p <close>, peer = open {
      chunk = 100000,
      data = function(_, bytes) got = got + #bytes; assert(not bytes:find "[^\255]"); task.sleep(0) end
    }
    assert(p:write(("\255"):rep(n), 60))
    wait_for(function() return got >= n end)
    assert.equal(n, got)
    local sender = task.spawn(function() peer.port:write(("\255"):rep(2 * n), 60) end)
    assert.equal(("\255"):rep(n), read_all(p, n))
    sender:join()
  end)

  it("goes on in the middle of an escaped byte after a write that gave up", function()
    local go = false
    local p <close>, peer = open { data = function(self, bytes)
      while not go do task.sleep(0.001) end
      self.received = self.received .. bytes
    end }
    p:write "x"
    local ok, message, code
    for _ = 1, 1000 do -- until the system's buffers are full
      ok, message, code = p:write(("\255"):rep(65537), 0.001)
      if not ok then break end
    end
    assert.equal("timeout", code)
    assert.matches("of 65537", message)
    go = true
    assert(p:write("end", 30))
    wait_for(function() return peer.received:find "end" end)
    assert.matches("^x\255+end$", peer.received)
  end)

  it("changes the rate and waits for the server to agree", function()
    local p <close>, peer = open()
    assert(p:baud(65535)) -- bytes that must be escaped
    assert.equal(65535, p:baud())
    assert.same({ 1, "\0\0\255\255" }, peer.log[#peer.log])
    peer.answer = function(self, command) self:send(com(command, "\0\7\8\0")) end
    assert(p:baud(460800)) -- 460800 asked, 460800 and a bit made of it
    peer.answer = function(self, command) self:send(com(command, "\0\1\194\0")) end
    local ok, message, code = p:baud(2000000)
    assert.is_nil(ok)
    assert.equal("unsupported", code)
    assert.matches("does not support 2000000 baud", message)
    assert.equal(460800, p:baud())
  end)

  it("sets DTR and RTS, both together when both are asked for", function()
    local p <close>, peer = open()
    local n = #peer.log
    assert(p:lines(true, false))
    assert(p:lines(nil, true))
    assert(p:lines(false, nil))
    assert(p:hold_break(true))
    assert(p:hold_break(false))
    local got = {}
    for i = n + 1, #peer.log do
      if peer.log[i][1] == 5 then got[#got + 1] = peer.log[i][2]:byte() end
    end
    assert.same({ 8, 12, 11, 9, 5, 6 }, got)
  end)

  it("reports a line that the server does not set", function()
    local p <close>, peer = open()
    peer.answer = function(self, command, value) self:send(com(command, value == "\8" and "\9" or value)) end
    local ok, message, code = p:lines(true, true)
    assert.is_nil(ok)
    assert.equal("unsupported", code)
    assert.matches("refuses DTR", message)
    assert(p:lines(false, false))
  end)

  it("does not wait for ever for an acknowledgement", function()
    local p <close>, peer = open(nil, "?timeout=1") -- long enough for what is answered
    peer.answer = function() end
    local ok, message, code, details = p:lines(true, nil)
    assert.is_nil(ok)
    assert.equal("timeout", code)
    assert.matches("did not acknowledge DTR, RTS or flow control within 1 s", message)
    assert.matches("ign_set_control", details.hint)
    ok, message, code = p:baud(9600)
    assert.is_nil(ok)
    assert.equal("timeout", code)
    assert.matches("the rate", message)
    peer.answer = agree
    assert(p:baud(9600))
  end)

  it("does not wait for lines with ign_set_control", function()
    local p <close>, peer = open({ answer = function(self, command, value)
      if command ~= 5 then agree(self, command, value) end
    end }, "?ign_set_control&timeout=30")
    assert(p:lines(true, false))
    assert(p:baud(9600))
    assert.same({ 1, "\0\0\37\128" }, peer.log[#peer.log])
  end)

  it("keeps what arrives while it waits, in order", function()
    local p <close>, peer = open()
    peer.answer = function(self, command, value)
      self:send("before\255\255")
      agree(self, command, value)
      self:send "after"
    end
    assert(p:baud(9600))
    assert.equal("before\255after", read_all(p, 12))
    peer:send "!"
    assert.equal("!", read_all(p, 1))
  end)

  it("drops at both ends what was received before a flush", function()
    local p <close>, peer = open()
    peer.answer = function(self, command, value)
      self:send("stale")
      agree(self, command, value)
    end
    assert(p:flush())
    assert.same({ 12, "\1" }, peer.log[#peer.log])
    peer:send "fresh"
    assert.equal("fresh", read_all(p, 5))
    assert(p:drain())
  end)

  it("knows the modem lines once the server has told", function()
    local p <close>, peer = open()
    assert.equal("unsupported", select(3, p:modem()))
    peer:send(com(7, "\177")) -- DCD, DSR, CTS, and CTS has changed
    wait_for(function() return p:modem() end)
    assert.same({ cts = true, dsr = true, ri = false, dcd = true }, p:modem())
  end)

  it("refuses options that it does not have and does not answer in circles", function()
    local p <close>, peer = open()
    peer.options = {}
    peer.option = function() end
    peer:send(IAC .. DO .. "\200" .. IAC .. WILL .. "\201" .. (IAC .. DO .. "\0"):rep(50) .. IAC .. WONT .. "\201" ..
      IAC .. DONT .. "\200" .. "x")
    assert.equal("x", read_all(p, 1))
    p:write "y"
    wait_for(function() return peer.received == "y" end)
    assert.same({ WONT .. "\200", DONT .. "\201" }, peer.options)
  end)

  it("survives nonsense from the server", function()
    local p <close>, peer = open()
    peer:send(IAC .. SB .. ("z"):rep(5000) .. IAC .. SE) -- longer than any
    peer:send(IAC .. SB .. IAC .. SE)                    -- empty
    peer:send(IAC .. SB .. COM_PORT .. IAC .. SE)
    peer:send(com(1, ""))
    peer:send(com(1, "\255\255\255\255"))
    peer:send(com(99, "\1"))                             -- 199
    peer:send(IAC .. SE .. IAC .. "\241" .. IAC .. "\246")
    peer:send(IAC .. SB .. COM_PORT .. "unfinished" .. IAC .. DO .. "\0") -- its end is lost
    peer:send("ok")
    assert.equal("ok", read_all(p, 2))
    assert(p:baud(9600))
  end)

  it("tells a server that speaks something else", function()
    local url = serve { option = function(self, verb, option)
      if option == COM_PORT then self:send(IAC .. (verb == WILL and DONT or WONT) .. option) end
    end }
    local p, message, code = port.open(url)
    assert.is_nil(p)
    assert.equal("port_failed", code)
    assert.matches("does not speak RFC 2217", message)
    url = serve { option = function(self) self:send "SSH-2.0-OpenSSH\r\n" end }
    p, message, code = port.open(url .. "?timeout=0.02")
    assert.is_nil(p)
    assert.equal("timeout", code)
    assert.matches("within 0.02 s", message)
    url = serve { option = function(self) self.port:close() end, run = function(self)
      self.port:close()
      return self
    end }
    p, message, code = port.open(url)
    assert.matches("gone", message)
    assert.is_nil(p)
    assert.equal("port_gone", code)
  end)

  it("is gone when the connection ends, in the middle of a request as well", function()
    local p <close>, peer = open()
    peer.answer = function(self) self.port:close() end
    local ok, message, code = p:lines(true, true)
    assert.is_nil(ok)
    assert.equal("port_gone", code)
    assert.matches("^rfc2217://", message)
    assert.equal("port_gone", select(3, p:read(1, 5)))
    pcall(peer.task.join, peer.task)
  end)

  it("can be opened again", function()
    local server = assert(port.listen("127.0.0.1", 0))
    local peers = {}
    local acceptor = task.spawn(function()
      for i = 1, 2 do
        local _, peer = serve()
        peer.task:cancel()
        peer.port = assert(server:accept(30))
        peers[i] = peer
        task.spawn(peer.run, peer)
      end
    end)
    local p <close> = assert(port.open("rfc2217://127.0.0.1:" .. server:port(), { baud = 9600 }))
    assert(p:baud(74880))
    assert(p:reopen(30))
    acceptor:join()
    server:close()
    assert.same({ 1, "\0\1\36\128" }, peers[2].log[1])
    assert(p:lines(false, false))
  end)

  it("leaves the port usable when a waiting task is cancelled", function()
    local p <close>, peer = open()
    peer.answer = function() end
    local t = task.spawn(function() p:lines(true, true) end)
    wait_for(function() return peer.log[#peer.log][1] == 5 and #peer.log > 8 end)
    t:cancel()
    peer.answer = agree
    assert(p:lines(false, true))
    peer:send "z"
    assert.equal("z", read_all(p, 1))
  end)
end)
