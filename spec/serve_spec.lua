-- The client here is written from RFC 2217, 854 and 855, byte by byte; its reset sequence is the one that esptool's
-- documentation ("Boot Mode Selection") describes, each line in a message of its own, as pyserial sends them.
local task = require "esp.core.task"
local port = require "esp.core.port"
local fs = require "esp.core.fs"
local serve = require "esp.serve"

local IAC, SB, SE = "\255", "\250", "\240"
local WILL, DO = "\251", "\253"
local COM = "\44"

local function com(command, value)
  return IAC .. SB .. COM .. string.char(command) .. value:gsub(IAC, IAC .. IAC) .. IAC .. SE
end

local function open_files()
  collectgarbage()
  return #fs.list "/proc/self/fd"
end

--- A server for these ports. Returns it, a list of its events, and a function that ends it.
local function start(list, opts)
  local events = {}
  local given = { on_event = function(e) events[#events + 1] = e end, ports = {} }
  for i, url in ipairs(list) do given.ports[i] = { url = url, number = 0 } end
  for k, v in pairs(opts or {}) do given[k] = v end
  local server = serve.open(given)
  local running = task.spawn(function() return server:run() end)
  return server, events, setmetatable({}, { __close = function()
    running:cancel()
    server:close()
    task.run()
  end })
end

local function dial(server, index)
  return assert(port.open(("socket://127.0.0.1:%d"):format(server.list[index or 1].number)))
end

--- Reads until the pattern (plain) is there.
local function expect(p, wanted, seconds)
  local got, deadline = "", task.now() + (seconds or 20)
  while not got:find(wanted, 1, true) do
    local more = p:read(65536, math.max(deadline - task.now(), 0))
    if not more then error(("not received: %q, but %q"):format(wanted, got), 2) end
    got = got .. more
  end
  return got
end

local function wait_for(condition)
  local deadline = task.now() + 20
  while not condition() do
    assert(task.now() < deadline, "never happened")
    task.sleep(0.002)
  end
end

local function has(events, code)
  for _, e in ipairs(events) do
    if e.code == code then return e end
  end
  return nil
end

describe("a served port", function()
  local files
  before_each(function() files = open_files() end)
  after_each(function()
    task.run()
    assert.equal(files, open_files())
  end)

  it("agrees to the COM-PORT and binary options and says what it is", function()
    local master <close>, name = port.pty()
    local server, _, guard <close> = start { name }
    local c <close> = dial(server)
    c:write(IAC .. WILL .. COM .. IAC .. DO .. "\0" .. IAC .. WILL .. "\0" .. IAC .. DO .. "\200")
    local got = expect(c, IAC .. "\252\200")
    assert.equal(IAC .. DO .. COM .. IAC .. WILL .. "\0" .. IAC .. DO .. "\0" .. IAC .. "\252\200", got)
    c:write(com(0, ""))
    expect(c, IAC .. SB .. COM .. "\100esplua ")
    assert.truthy(master and guard)
  end)

  it("passes every byte both ways", function()
    local master <close>, name = port.pty()
    local server, _, guard <close> = start { name }
    local c <close> = dial(server)
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) .. "\255" end
    all = table.concat(all):rep(20)
    local sender = task.spawn(function() return c:write((all:gsub(IAC, IAC .. IAC))) end)
    local got = ""
    while #got < #all do got = got .. assert(master:read(65536, 20)) end
    sender:join()
    assert.equal(all, got)
    sender = task.spawn(function() return master:write(all, 20) end)
    local wire = all:gsub(IAC, IAC .. IAC)
    got = ""
    while #got < #wire do got = got .. assert(c:read(65536, 20)) end
    sender:join()
    assert.equal(wire, got)
    assert.truthy(guard)
  end)

  it("acknowledges rates, and answers an impossible one with the one there is", function()
    local master <close>, name = port.pty()
    local server, _, guard <close> = start { name }
    local c <close> = dial(server)
    c:write(com(1, "\0\0\0\0"))
    expect(c, com(101, "\0\1\xC2\0"))                 -- 115200
    c:write(com(1, "\0\14\x10\0"))
    expect(c, com(101, "\0\14\x10\0"))                -- 921600
    c:write(com(1, "\255\255\255\255"))
    expect(c, com(101, "\0\14\x10\0"))
    c:write(com(1, "\1"))                             -- cut short: a question
    expect(c, com(101, "\0\14\x10\0"))
    assert.truthy(master and guard)
  end)

  it("answers every format with 8N1 and flow control with none", function()
    local master <close>, name = port.pty()
    local server, events, guard <close> = start { name }
    local c <close> = dial(server)
    c:write(com(2, "\7") .. com(3, "\3") .. com(4, "\2") .. com(5, "\3") .. com(5, "\13") .. com(5, "\99"))
    -- The second: modem lines, which a client that has set no mask is told of unasked (RFC 2217, a mask of 255).
    assert.equal(com(102, "\8") .. com(107, "\0") .. com(103, "\1") .. com(104, "\1") .. com(105, "\1") ..
                 com(105, "\14"),
                 expect(c, com(105, "\14")))
    assert.equal("format", has(events, "refused").what)
    assert.truthy(master and guard)
  end)

  it("drops what was received when the client asks", function()
    local master <close>, name = port.pty()
    local server, _, guard <close> = start { name }
    local c <close> = dial(server)
    c:write(com(8, ""))                               -- FLOW_SUSPEND
    c:write(com(12, "\1"))
    expect(c, com(112, "\1"))
    master:write "old"
    task.sleep(0.05)
    c:write(com(12, "\1"))
    assert.equal(com(112, "\1"), expect(c, com(112, "\1")))
    c:write(com(9, ""))
    master:write "new"
    assert.equal("new", expect(c, "new"))
    assert.truthy(guard)
  end)

  it("tells the modem lines", function()
    local server, _, guard <close> = start { "sim:esp32c3" }
    local c <close> = dial(server)
    c:write(com(11, "\255"))
    local got = expect(c, IAC .. SB .. COM .. "\107")
    assert.truthy(got:find(com(111, "\255"), 1, true))
    c:write(com(7, ""))                               -- asks again, as pyserial does with poll_modem
    expect(c, IAC .. SB .. COM .. "\107")
    assert.truthy(guard)
  end)

  local DTR_ON, DTR_OFF, RTS_ON, RTS_OFF = com(5, "\8"), com(5, "\9"), com(5, "\11"), com(5, "\12")

  it("carries out the way into the bootloader, however late its messages come", function()
    for _, link in ipairs { "uart", "usj" } do
      local server, events, guard <close> = start { "sim:esp32c3?boot=flash&link=" .. link }
      local c <close> = dial(server)
      for _, message in ipairs { DTR_OFF, RTS_ON, 0.1, DTR_ON, 0.02, RTS_OFF, 0.1, DTR_OFF } do
        if type(message) == "number" then
          task.sleep(message)
        else
          c:write(message)
          local value = message:byte(5)
          while true do                                -- the acknowledgement; boot messages may come before it
            local got = expect(c, IAC .. SE)
            if got:find(com(105, string.char(value)), 1, true) then break end
          end
        end
      end
      assert.truthy(has(events, "bootloader"), link)
      c:write "\xC0\0\8\36\0\0\0\0\0\7\7\18\32"       -- SYNC, as the protocol's documentation has it
      c:write(("\x55"):rep(32) .. "\xC0")
      expect(c, "\xC0\1\8")
      assert.truthy(guard)
    end
  end)

  it("resets into the program, with a pulse that is long enough", function()
    local server, _, guard <close> = start { "sim:esp32c3?boot=flash" }
    local c <close> = dial(server)
    c:write(RTS_ON .. RTS_OFF)                        -- no time between them
    expect(c, "ESP-ROM:")
    assert.truthy(guard)
  end)

  it("is used by this program as if the chip were here", function()
    local server, _, guard <close> = start { "sim:esp32c3?boot=flash" }
    local chip <close> = require "esp".connect { port = server.list[1]:client_url(), baud = 460800, no_stub = true }
    assert.equal("ESP32-C3", chip.data.name)
    local data = ("served"):rep(3000)
    chip:flash { { 0x10000, { data = data } } }
    assert.truthy(chip:verify(0x10000, { data = data }))
    assert.truthy(guard)
  end)

  it("keeps its client while the chip's own USB comes and goes", function()
    local server, events, guard <close> = start { "sim:esp32s3?link=usj&boot=flash&vanish=1" }
    local chip <close> = require "esp".connect { port = server.list[1]:client_url(), no_stub = true }
    assert.equal("ESP32-S3", chip.data.name)
    assert.truthy(has(events, "port_lost") and has(events, "port_back") and guard)
  end)

  it("takes a client that comes while the one before is leaving", function()
    local server, events, guard <close> = start { "sim:esp32c3" }
    for _ = 1, 3 do
      dial(server):close()
      local c <close> = dial(server)
      c:write(com(2, "\8"))
      assert.truthy(expect(c, com(102, "\8")))
    end
    assert.is_nil(has(events, "busy"))
    assert.truthy(guard)
  end)

  it("has one client; a second one is told, and the next is welcome", function()
    local master <close>, name = port.pty()
    local server, events, guard <close> = start { name }
    local first = dial(server)
    wait_for(function() return has(events, "client") end)
    local second <close> = dial(server)
    assert.matches("in use by 127%.0%.0%.1", expect(second, "\r\n"))
    assert.is_nil(second:read(1, 5))
    local third_one, message, code = port.open(server.list[1]:client_url())
    assert.same({ nil, "port_busy" }, { third_one, code })
    assert.matches("the server says: esplua: .* is in use by 127%.0%.0%.1", message)
    first:close()
    wait_for(function() return has(events, "client_left") end)
    events[#events] = nil
    local third <close> = dial(server)
    wait_for(function() return events[#events].code == "client" end)
    third:write "x"
    assert.equal("x", expect(master, "x"))
    assert.truthy(guard)
  end)

  it("tells the client when the port cannot be used", function()
    local server, events, guard <close> = start { "/dev/no-such-port" }
    local c <close> = dial(server)
    assert.matches("esplua: /dev/no%-such%-port: no such port", expect(c, "\r\n"))
    assert.equal("port_failed", events[1].code)
    assert.truthy(guard)
  end)

  it("waits for a port that is gone, and goes on when it is back", function()
    local link = os.tmpname()
    os.remove(link)
    local master, name = port.pty()
    os.execute(("ln -s %s %s"):format(name, link))
    local server, events, guard <close> = start { link }
    local c <close> = dial(server)
    c:write "a"
    expect(master, "a")
    master:close()
    wait_for(function() return has(events, "port_lost") end)
    local again <close>, other = port.pty()
    os.execute(("ln -sfn %s %s"):format(other, link))
    wait_for(function() return has(events, "port_back") end)
    c:write "b"
    expect(again, "b")
    os.remove(link)
    assert.truthy(guard)
  end)

  it("survives a client that leaves in the middle of writing", function()
    local master <close>, name = port.pty()
    local server, events, guard <close> = start { name }
    local c = dial(server)
    local sender = task.spawn(function() return c:write(("x"):rep(4 << 20), 0.2) end)
    sender:join()
    c:close()
    wait_for(function()                               -- nobody reads the port meanwhile
      return has(events, "client_left")
    end)
    local other <close> = dial(server)
    wait_for(function() return events[#events].code == "client" end)
    assert.truthy(master and other and guard)
  end)

  it("keeps its memory when a client does not read, and loses nothing", function()
    local master <close>, name = port.pty()
    local server, events, guard <close> = start { name }
    local c <close> = dial(server)
    wait_for(function() return has(events, "client") end)
    local part = ("0123456789abcdef"):rep(256)
    local total = 4 << 20
    local sender = task.spawn(function()
      for _ = 1, total // #part do assert(master:write(part, 60)) end
    end)
    task.sleep(0.1)
    collectgarbage()
    local got = 0
    while got < total do
      local bytes = assert(c:read(65536, 20))
      local from = got % 16
      local whole = ("0123456789abcdef"):rep(#bytes // 16 + 2)
      assert(bytes == whole:sub(from + 1, from + #bytes))
      got = got + #bytes
    end
    sender:join()
    assert.truthy(guard)
  end)

  it("goes on after hostile clients", function()
    local seed = 1
    local function random(n)
      seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
      return (seed >> 8) % n
    end
    local server, events, guard <close> = start { "sim:esp32c3" }
    local interesting = { IAC, SB, SE, COM, WILL, DO, "\252", "\254", "\243", "\1", "\2", "\0", "\12", "\10" }
    for round = 1, 6 do
      for i = #events, 1, -1 do events[i] = nil end
      local c <close> = dial(server)
      local parts = {}
      for _ = 1, 400 do
        local kind = random(4)
        if kind == 0 then
          parts[#parts + 1] = string.char(random(256))
        elseif kind == 1 then
          -- no breaks and no lines here: they take their time
          local command = ({ 0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 99, 100, 255 })[random(16) + 1]
          parts[#parts + 1] = IAC .. SB .. COM .. string.char(command) .. ("x"):rep(random(300))
          if random(2) == 0 then parts[#parts + 1] = IAC .. SE end
        else
          parts[#parts + 1] = interesting[random(#interesting) + 1]
        end
      end
      c:write(table.concat(parts):gsub("\243", "\242"), 5)
      if round % 2 == 0 then c:read(65536, 0.01) end
      c:close()
      wait_for(function() return #events > 0 and events[#events].code == "client_left" end)
      assert.is_nil(has(events, "failed"))
    end
    local c <close> = dial(server)
    wait_for(function() return events[#events].code == "client" end)
    c:write(com(1, "\0\0\0\0"))
    expect(c, IAC .. SB .. COM .. "\101")
    assert.truthy(guard)
  end)

  it("lets only those in who may come", function()
    local master <close>, name = port.pty()
    local server, events, guard <close> = start({ name }, { allow = { "10.0.0.0/8", "::1" } })
    local c <close> = dial(server)
    assert.is_nil(c:read(1, 10))
    assert.equal("not_allowed", events[1].code)
    assert.truthy(master and guard)
  end)

  describe("with a shared secret", function()
    local secret, other = os.tmpname(), os.tmpname()
    local function write(path, text)
      local f <close> = assert(io.open(path, "wb"))
      f:write(text)
    end
    setup(function()
      write(secret, "correct horse\n")
      write(other, "wrong horse battery")
    end)
    teardown(function()
      os.remove(secret)
      os.remove(other)
    end)

    -- RFC 4231, test case 2: key "Jefe"; the key here must have 8 bytes, so it is RFC 4231's case 1: 20 times 0x0b
    it("proves by HMAC-SHA256", function()
      local path = os.tmpname()
      write(path, ("\x0b"):rep(20))
      local proof = require "esp.core.serve".proof(path, "Hi There")
      os.remove(path)
      assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                   (proof:gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
    end)

    it("lets in who knows it", function()
      local server, _, guard <close> = start({ "sim:esp32c3" }, { secret_file = secret })
      local url = server.list[1]:client_url()
      for _ = 1, 4 do                                 -- 255 in the number or its proof now and then
        local p <close> = assert(port.open(url .. "?secret-file=" .. secret))
        assert.truthy(p:baud(230400))
      end
      assert.truthy(guard)
    end)

    it("turns others away, and says why", function()
      local server, events, guard <close> = start({ "sim:esp32c3" }, { secret_file = secret })
      local url = server.list[1]:client_url()
      local p, message = port.open(url .. "?timeout=10&secret-file=" .. other)
      assert.is_nil(p)
      assert.matches("this port's shared secret is another one", message, 1, true)
      assert.truthy(has(events, "bad_secret"))
      p, message = port.open(url .. "?timeout=60")                -- says at once that it has none
      assert.is_nil(p)
      assert.matches("this port needs a shared secret: ?secret-file=FILE", message, 1, true)
      p, message = port.open(url .. "?secret-file=/no/such/file")
      assert.is_nil(p)
      assert.matches("/no/such/file: No such file", message, 1, true)
      local c <close> = dial(server)
      local challenge = expect(c, SE)
      assert.equal(IAC .. SB .. "\37esplua1", challenge:sub(1, 10))
      c:write(IAC .. SB .. "\37esplua1" .. ("x"):rep(32) .. IAC .. SE)
      assert.matches("shared secret is another one", expect(c, "\r\n"))
      assert.is_nil(has(events, "client"))
      assert.truthy(guard)
    end)

    it("needs one that is worth it", function()
      local short = os.tmpname()
      write(short, "short\n")
      local err = assert.has_error(function() serve.open { ports = {}, secret_file = short } end)
      os.remove(short)
      assert.matches("a secret of 8 to 1024 bytes", err.message)
      err = assert.has_error(function() serve.open { ports = {}, secret_file = secret, raw = true } end)
      assert.equal("bad_argument", err.code)
    end)
  end)

  it("can be plain TCP", function()
    local master <close>, name = port.pty()
    local server, _, guard <close> = start({ name }, { raw = true })
    assert.matches("^socket://", server.list[1]:client_url())
    local c <close> = dial(server)
    c:write "\255\250\255"
    expect(master, "\255\250\255")
    master:write "\255\255"
    assert.equal("\255\255", expect(c, "\255\255"))
    assert.truthy(guard)
  end)

  it("serves several ports", function()
    local m1 <close>, n1 = port.pty()
    local m2 <close>, n2 = port.pty()
    local server, _, guard <close> = start { n1, n2 }
    local c1 <close> = dial(server, 1)
    local c2 <close> = dial(server, 2)
    c1:write "one"
    c2:write "two"
    assert.equal("one", expect(m1, "one"))
    assert.equal("two", expect(m2, "two"))
    assert.truthy(guard)
  end)

  it("refuses a TCP port that is taken, and a port that is given twice", function()
    local taken <close> = setmetatable({ port.listen("127.0.0.1", 0) }, { __close = function(t) t[1]:close() end })
    local err = assert.has_error(function()
      serve.open { ports = { { url = "/dev/null", number = taken[1]:port() } } }
    end)
    assert.equal("port_busy", err.code)
    err = assert.has_error(function()
      serve.open { ports = { { url = "/dev/null", number = 0 }, { url = "/dev/null", number = 0 } } }
    end)
    assert.equal("bad_argument", err.code)
  end)
end)

describe("an allow list", function()
  for _, case in ipairs {
    { "192.168.1.0/24", "192.168.1.255", true }, { "192.168.1.0/24", "192.168.2.0", false },
    { "10.1.2.3", "10.1.2.3", true }, { "10.1.2.3", "10.1.2.2", false }, { "10.128.0.0/9", "10.255.0.1", true },
    { "10.128.0.0/9", "10.127.0.1", false }, { "0.0.0.0/0", "1.2.3.4", true }, { "0.0.0.0/0", "::1", false },
    { "fd00::/8", "fd12::1", true }, { "fd00::/8", "fe80::1", false }, { "::1", "::1", true },
  } do
    it(("%s: %s %s"):format(case[1], case[2], case[3] and "may" or "may not"), function()
      assert.equal(case[3], serve.allow_list { case[1] } (case[2]))
    end)
  end
  for _, text in ipairs { "", "localhost", "10.0.0.0/33", "::/129", "10.0.0/8", "1.2.3.4/x" } do
    it(("refuses %q"):format(text), function()
      local err = assert.has_error(function() serve.allow_list { text } end)
      assert.equal("bad_argument", err.code)
    end)
  end
end)

describe("PORT:NUMBER", function()
  for _, case in ipairs {
    { "/dev/ttyUSB0", "/dev/ttyUSB0", nil }, { "/dev/ttyUSB0:4000", "/dev/ttyUSB0", 4000 }, { "COM3", "COM3", nil },
    { "rfc2217://host:4000", "rfc2217://host:4000", nil }, { "rfc2217://host:4000:2217", "rfc2217://host:4000", 2217 },
    { "sim:esp32c3", "sim:esp32c3", nil }, { "sim:esp32c3:4000", "sim:esp32c3", 4000 },
  } do
    it(case[1], function()
      local got = serve.parse_port(case[1])
      assert.same({ case[2], case[3] }, { got.url, got.number })
    end)
  end
end)

describe("a binary called by the name of esptool's server", function()
  local program = require "spec.support.program"

  it("serves, and says how far it can be reached", function()
    local folder = program.folder()
    local r = program.run({ "-p", "0", "-vv", "--r0", "sim:esp32c3" }, { as = folder .. "/esp_rfc2217_server.py",
                                                                          interrupt = 0.7 })
    assert.equal(0, r.status, r.err)
    assert.matches("only this machine can reach it", r.out, 1, true)
    assert.matches("sim:esp32c3 is served at rfc2217://127.0.0.1:%d+\n", r.out)
    assert.matches("?ign_set_control' chip-id", r.out, 1, true)
    program.clean()
  end)
end)
