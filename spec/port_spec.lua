local task = require "esp.core.task"
local port = require "esp.core.port"
local fs = require "esp.core.fs"

local ESPLUA = os.getenv "ESPLUA" or arg and arg[-1] or "build/esplua"

local function open_files()
  collectgarbage()
  return #fs.list "/proc/self/fd"
end

local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  pipe:close()
  return text
end

local function folder()
  local path = os.tmpname()
  os.remove(path)
  assert(fs.mkdir(path))
  return path
end

--- Every byte there is, so that nothing on the way can treat one as special.
local ALL = {}
for i = 0, 255 do ALL[#ALL + 1] = string.char(i) end
ALL = table.concat(ALL)

local function read_all(p, n)
  local got = ""
  while #got < n do got = got .. assert(p:read(n - #got, 10)) end
  return got
end

describe("a serial device", function()
  local master, name, files

  before_each(function()
    files = open_files()
    master, name = port.pty()
  end)
  after_each(function()
    master:close()
    assert.equal(files, open_files())
  end)

  it("passes every byte both ways, unchanged and without echo", function()
    local p <close> = assert(port.open(name))
    assert(p:write(ALL))
    assert.equal(ALL, read_all(master, 256))
    assert(master:write(ALL))
    assert.equal(ALL, read_all(p, 256))
    assert.is_nil(master:read(1, 0))
  end)

  it("is found through links", function()
    local dir = folder()
    assert(os.execute("ln -s " .. name .. " " .. dir .. "/by-id"))
    do
      local p <close> = assert(port.open(dir .. "/by-id"))
      assert.equal(name, p:info().name)
      assert.equal(dir .. "/by-id", p:url())
      assert.equal("serial", p:info().kind)
    end
    os.execute("rm -r " .. dir)
  end)

  it("is refused with a reason of its own class", function()
    for _, case in ipairs {
      { "/dev/ttyNONE99", "port_missing", "/dev/ttyNONE99: no such port" },
      { "/dev/null", "port_failed", "/dev/null: not a serial port" },
      { "/dev", "port_failed", "/dev: .*directory" },
      { "", "port_missing", "no such port" },
      { "file://x", "bad_argument", "unknown kind" },
    } do
      local p, message, code = port.open(case[1])
      assert.is_nil(p)
      assert.matches(case[3], message)
      assert.equal(case[2], code)
    end
    local _, _, _, details = port.open "/dev/ttyNONE99"
    assert.matches("plugged in", details.hint)
  end)

  it("is locked while it is open, and free afterwards", function()
    do
      local p <close> = assert(port.open(name))
      local second, message, code, details = port.open(name)
      assert.is_nil(second)
      assert.equal("port_busy", code)
      assert.equal(name .. ": the port is in use", message)
      assert.is_string(details.hint)
      assert(p:write "x")
    end
    assert(port.open(name))
    collectgarbage() -- nobody holds that one
    assert(port.open(name)):close()
  end)

  it("names the program that has it", function()
    local script = folder() .. "/hold.lua"
    local f = io.open(script, "w")
    f:write(([[
      local port = require "esp.core.port"
      local p = assert(port.open %q)
      p:write "held"
      p:read(1, 60)]]):format(name))
    f:close()
    local child = io.popen(ESPLUA .. " " .. script)
    assert.equal("held", read_all(master, 4))
    local p, message, code = port.open(name)
    master:write "x"
    child:close()
    assert.is_nil(p)
    assert.equal("port_busy", code)
    assert.matches("in use by %g+ %(pid %d+%)", message)
    assert(port.open(name)):close()
    os.execute("rm -r " .. script:match "^(.*)/")
  end)

  it("is not inherited by other programs", function()
    local p <close> = assert(port.open(name))
    assert.is_nil(shell("ls -l /proc/self/fd"):find(name, 1, true))
    assert.equal(name, p:info().name)
  end)

  it("keeps DTR and RTS when it is closed, unless asked otherwise", function()
    assert(port.open(name)):close()
    assert.matches(" %-hupcl", shell("stty -a -F " .. name))
    assert(port.open(name, { hangup = true })):close()
    assert.matches(" hupcl", shell("stty -a -F " .. name))
  end)

  it("has any rate", function()
    local p = assert(port.open(name, { baud = 74880 }))
    assert.equal(74880, p:baud())
    assert(p:baud(1500000))
    assert.equal(1500000, p:baud())
    p:close()
    assert.equal("1500000\n", shell("stty speed -F " .. name))
  end)

  it("without modem lines says so, with a code to act on", function()
    local p <close> = assert(port.open(name))
    assert.is_false(p:info().has_lines)
    for _, try in ipairs {
      function() return p:lines(true, false) end, function() return p:lines(nil, true) end,
      function() return p:modem() end
    } do
      local ok, message, code = try()
      assert.is_nil(ok)
      assert.equal("unsupported", code)
      assert.matches("no modem lines", message)
    end
    assert(p:lines(nil, nil))
  end)

  it("that is unplugged while somebody reads is gone, by name", function()
    local p <close> = assert(port.open(name))
    local reader = task.spawn(function() return p:read(10, 60) end)
    task.sleep(0)
    master:close()
    local _, bytes, message, code = reader:join()
    assert.is_nil(bytes)
    assert.equal("port_gone", code)
    assert.equal(1, message:find(name .. ": ", 1, true))
    local ok, _, write_code = p:write "x"
    assert.is_nil(ok)
    assert.equal("port_gone", write_code)
  end)

  it("that is unplugged while somebody writes is gone", function()
    local p <close> = assert(port.open(name))
    local writer = task.spawn(function() return p:write(("x"):rep(1 << 20), 60) end)
    task.sleep(0.005)
    master:close()
    local _, ok, _, code = writer:join()
    assert.is_nil(ok)
    assert.equal("port_gone", code)
  end)

  it("can be waited for when it comes back", function()
    local dir = folder()
    local link = dir .. "/tty"
    assert(os.execute("ln -s " .. name .. " " .. link))
    local p = assert(port.open(link, { baud = 9600 }))
    os.remove(link)
    local ok, message, code = p:reopen(0.06)
    assert.is_nil(ok)
    assert.equal("port_missing", code)
    assert.equal(link .. ": no such port", message)
    assert.equal("port_gone", select(3, p:read(1, 0)))

    local other, other_name = port.pty()
    local back = task.spawn(function()
      task.sleep(0.02)
      assert(os.execute("ln -s " .. other_name .. " " .. link))
    end)
    assert(p:reopen(30))
    assert.equal(9600, p:baud())
    assert.equal(other_name, p:info().name)
    assert(p:write "back")
    assert.equal("back", read_all(other, 4))
    back:join()
    other:close()
    p:close()
    os.execute("rm -r " .. dir)
  end)

  it("drops received bytes when told, and sends out the rest before draining ends", function()
    local p <close> = assert(port.open(name))
    assert(master:write "old")
    assert.equal("o", p:read(1, 5))
    assert(p:flush())
    assert.equal("timeout", select(3, p:read(10, 0)))
    assert(p:write "new")
    assert.equal("new", read_all(master, 3))
    assert(p:drain())
  end)

  it("that takes no more bytes ends a write with a timeout that says how far it came", function()
    local p <close> = assert(port.open(name))
    local ok, message, code = p:write(("x"):rep(1 << 20), 0.01)
    assert.is_nil(ok)
    assert.equal("timeout", code)
    assert.matches("%d+ of 1048576 bytes", message)
  end)

  it("shows its bytes to a tap", function()
    local p <close> = assert(port.open(name))
    local log = {}
    p:set_tap(function(direction, bytes) log[#log + 1] = direction .. " " .. bytes end)
    p:write "ask"
    master:write "answer"
    p:read(100, 5)
    p:set_tap(nil)
    p:write "x"
    assert.same({ "tx ask", "rx answer" }, log)
  end)
end)

describe("any port", function()
  it("raises when it is used after closing, and may be closed twice", function()
    local a, b <close> = port.pair()
    a:close()
    a:close()
    for _, method in ipairs { "read", "write", "baud", "lines", "flush", "drain", "modem", "info", "reopen" } do
      assert.error_matches(function() a[method](a, 1) end, "the port is closed")
    end
    assert.equal("port (closed)", tostring(a))
    assert.equal("port (pair)", tostring(b))
    assert.equal("port_gone", select(3, b:read(1, 5)))
  end)

  it("that is closed while another task waits for it tells that task", function()
    for _, wait in ipairs {
      function(p) p:read(1, 60) end, function(p) p:write(("x"):rep(1 << 22), 60) end
    } do
      local a, b <close> = port.pair()
      local t = task.spawn(wait, a)
      task.sleep(0)
      a:close()
      assert.error_matches(function() t:join() end, "the port is closed")
      b:close()
    end
  end)

  it("refuses wrong calls", function()
    local a, b = port.pair()
    b:close()
    for _, call in ipairs {
      function() a:read() end, function() a:read(0) end, function() a:read(-1) end, function() a:read(1, -1) end,
      function() a:read(1, 0 / 0) end, function() a:read(2 ^ 40) end, function() a:write() end,
      function() a:write({}) end, function() a:lines(1, 0) end, function() a:baud(0) end,
      function() a:baud(1 << 31) end, function() a.read({}, 1) end, function() a:set_tap(1) end,
      function() port.open() end, function() port.open("x", { baud = "fast" }) end,
      function() port.open("x", { baud = -1 }) end, function() port.open("x", 115200) end,
      function() port.listen("127.0.0.1", 65536) end,
    } do
      assert.has_error(call)
    end
  end)

  it("times out with a code", function()
    local a, b = port.pair()
    for _, seconds in ipairs { 0, 0.001 } do
      local bytes, message, code = a:read(1, seconds)
      assert.is_nil(bytes)
      assert.equal("timeout", code)
      assert.matches("pair: timeout", message)
    end
    b:close()
  end)
end)

describe("socket://", function()
  it("connects by address and by name, and passes every byte", function()
    for _, host in ipairs { "127.0.0.1", "localhost" } do
      local server <close> = assert(port.listen("127.0.0.1", 0))
      local p <close> = assert(port.open("socket://" .. host .. ":" .. server:port(), { baud = 460800 }))
      local chip <close> = assert(server:accept(5))
      p:write(ALL)
      assert.equal(ALL, read_all(chip, 256))
      chip:write(ALL)
      assert.equal(ALL, read_all(p, 256))
      assert.equal("socket", p:info().kind)
      assert.equal(460800, p:baud())
      assert(p:baud(921600))
      assert(p:flush() and p:drain())
      assert.equal("unsupported", select(3, p:lines(true, true)))
      chip:close()
      local _, message, code = p:read(1, 5)
      assert.equal("port_gone", code)
      assert.matches("^socket://", message)
    end
  end)

  it("connects to an IPv6 address in brackets", function()
    local server = port.listen("::1", 0)
    if not server then return pending "no IPv6 here" end
    local p <close> = assert(port.open("socket://[::1]:" .. server:port() .. "/"))
    local chip <close> = assert(server:accept(5))
    chip:write "six"
    assert.equal("six", read_all(p, 3))
    server:close()
  end)

  it("refuses what is no name of a socket", function()
    for _, url in ipairs {
      "socket://", "socket://host", "socket://host:", "socket://:1", "socket://host:0", "socket://host:65536",
      "socket://host:123456", "socket://host:1x", "socket://[::1", "socket://[::1]", "socket://[]:1",
      "socket://host:1?x", "socket://" .. ("h"):rep(300) .. ":1", "rfc2217://host", "rfc2217://host:1?speed=1",
      "rfc2217://host:1?timeout=0", "rfc2217://host:1?timeout=soon", "rfc2217://host:1?ign_set_controls",
    } do
      local p, message, code = port.open(url)
      assert.is_nil(p, url)
      assert.equal("bad_argument", code)
      assert.matches("expected", message)
    end
  end)

  it("tells a refused connection and an unknown host apart in words", function()
    local server = assert(port.listen("127.0.0.1", 0))
    local number = server:port()
    server:close()
    local _, message, code = port.open("socket://127.0.0.1:" .. number)
    assert.equal("port_missing", code)
    assert.matches("Connection refused", message)
    _, message, code = port.open("socket://host.invalid:1", { timeout = 0.5 })
    assert.equal("port_missing", code)
    assert.matches("host.invalid", message)
  end)

  it("gives up when nobody answers", function()
    local server <close> = assert(port.listen("127.0.0.1", 0))
    local url, held, failed = "socket://127.0.0.1:" .. server:port(), {}, nil
    for i = 1, 64 do -- until the kernel's queue of connections that nobody accepts is full
      local p, message, code = port.open(url, { timeout = 0.02 })
      if not p then
        failed = { code, message }
        break
      end
      held[i] = p
    end
    for _, p in ipairs(held) do p:close() end
    assert.equal("port_missing", failed[1])
    assert.matches("timed out", failed[2])
  end)

  it("can be connected again", function()
    local server <close> = assert(port.listen("127.0.0.1", 0))
    local number = server:port()
    local p <close> = assert(port.open("socket://127.0.0.1:" .. number))
    local first = assert(server:accept(5))
    first:close()
    assert(p:reopen(5))
    local second <close> = assert(server:accept(5))
    second:write "again"
    assert.equal("again", read_all(p, 5))
    server:close()
    second:close()
    local ok, _, code = p:reopen(0.01)
    assert.is_nil(ok)
    assert.equal("port_missing", code)
  end)

  it("connects in many tasks at once", function()
    local files = open_files()
    do
      local server <close> = assert(port.listen("127.0.0.1", 0))
      local url = "socket://127.0.0.1:" .. server:port()
      local clients = {}
      for i = 1, 32 do
        clients[i] = task.spawn(function()
          local p <close> = assert(port.open(url))
          p:write(("%02d"):format(i))
          return read_all(p, 2)
        end)
      end
      for _ = 1, 32 do
        local p = assert(server:accept(10))
        task.spawn(function()
          local chip <close> = p
          chip:write(read_all(chip, 2):reverse())
        end)
      end
      for i = 1, 32 do assert.same({ true, ("%02d"):format(i):reverse() }, { clients[i]:join() }) end
      task.run()
    end
    assert.equal(files, open_files())
  end)

  it("gives up a connection when its task is cancelled", function()
    local files = open_files()
    local t = task.spawn(function() port.open("socket://host.invalid:1", { timeout = 60 }) end)
    task.sleep(0)
    t:cancel()
    local deadline = task.now() + 60 -- the thread that looks the name up ends when the resolver does
    while open_files() > files and task.now() < deadline do task.sleep(0.01) end
    assert.equal(files, open_files())
  end)
end)

describe("a server", function()
  it("waits for a client with a limit, and refuses an address in use", function()
    local server <close> = assert(port.listen("localhost", 0))
    local _, _, code = server:accept(0.001)
    assert.equal("timeout", code)
    _, _, code = port.listen("127.0.0.1", server:port())
    assert.equal("port_busy", code)
    _, _, code = port.listen("not.numeric", 0)
    assert.equal("bad_argument", code)
  end)

  it("that is closed ends the wait for a client", function()
    local server = assert(port.listen("127.0.0.1", 0))
    local t = task.spawn(function() server:accept() end)
    task.sleep(0)
    server:close()
    server:close()
    assert.error_matches(function() t:join() end, "the server is closed")
    assert.error_matches(function() server:port() end, "the server is closed")
  end)
end)

describe("the list of ports", function()
  -- A folder like /sys: a CP210x on a hub, a composite device, a UART that is there, one that is not, a console.
  local sys

  local function file(path, text)
    assert(fs.mkdir((sys .. path):match "^(.*)/", true))
    local f = assert(io.open(sys .. path, "w"))
    f:write(text, "\n")
    f:close()
  end

  local function usb(device, ids)
    for name, text in pairs(ids) do file("/devices/usb1/" .. device .. "/" .. name, text) end
  end

  local function tty(name, device)
    file("/class/tty/" .. name .. "/dev", "1:1")
    if device then
      assert(fs.mkdir(sys .. device, true))
      assert(os.execute(("ln -s %s%s %s/class/tty/%s/device"):format(sys, device, sys, name)))
    end
  end

  setup(function()
    sys = folder()
    usb("1-4/1-4.3", { idVendor = "10c4", idProduct = "ea60", serial = "0001", manufacturer = "Silicon Labs",
      product = "CP2102 USB to UART" })
    file("/devices/usb1/1-4/1-4.3/1-4.3:1.0/bInterfaceNumber", "00")
    tty("ttyUSB10", "/devices/usb1/1-4/1-4.3/1-4.3:1.0/ttyUSB10")
    usb("1-2", { idVendor = "303a", idProduct = "1001" })
    file("/devices/usb1/1-2/1-2:1.2/bInterfaceNumber", "02")
    tty("ttyACM0", "/devices/usb1/1-2/1-2:1.2")
    usb("1-3", { idVendor = "zzzz", idProduct = "" })
    tty("ttyUSB2", "/devices/usb1/1-3/1-3:1.0/ttyUSB2")
    tty("ttyS0", "/devices/pnp/ttyS0")
    file("/class/tty/ttyS0/type", "4")
    tty("ttyS1", "/devices/platform/ttyS1")
    file("/class/tty/ttyS1/type", "0")
    tty("rfcomm0", "/devices/hci0/rfcomm0")
    tty "tty1"
  end)
  teardown(function() os.execute("rm -r " .. sys) end)

  it("has what the system knows of them, in order", function()
    assert.same({
      { name = "/dev/rfcomm0", kind = "bluetooth", description = "Bluetooth serial port" },
      { name = "/dev/ttyACM0", kind = "usb", description = "USB serial port",
        usb = { vid = 0x303A, pid = 0x1001, interface = 2, location = "1-2" } },
      { name = "/dev/ttyS0", kind = "native", description = "serial port" },
      { name = "/dev/ttyUSB2", kind = "native", description = "serial port" },
      { name = "/dev/ttyUSB10", kind = "usb", description = "CP2102 USB to UART",
        usb = { vid = 0x10C4, pid = 0xEA60, interface = 0, location = "1-4.3", serial = "0001",
          manufacturer = "Silicon Labs", product = "CP2102 USB to UART" } },
    }, port.list(sys))
  end)

  it("is empty where there is nothing", function()
    assert.same({}, port.list "/nonexistent")
    assert.is_table(port.list())
  end)
end)
