local fail = require "esp.error"
local ports = require "esp.ports"

local function usb(name, vid, pid, serial)
  return { name = name, kind = "usb", usb = { vid = vid, pid = pid, serial = serial } }
end

local LIST = {
  { name = "/dev/ttyS0", kind = "native" },
  usb("/dev/ttyUSB0", 0x10C4, 0xEA60, "0001"),
  { name = "/dev/cu.Bluetooth-Incoming-Port", kind = "bluetooth" },
  usb("/dev/ttyACM1", 0x303A, 0x1001, "7C:DF:A1:12:34:56"),
  { name = "/dev/cu.debug-console", kind = "native" },
  usb("/dev/ttyUSB1", 0x1A86, 0x7523),
  { name = "/dev/cu.wlan-debug", kind = "native" },
  usb("/dev/ttyACM0", 0x303A, 0x0002, "0"),
}

local function names(list)
  local out = {}
  for i, entry in ipairs(list) do out[i] = entry.name:match "[^/]+$" end
  return table.concat(out, " ")
end

describe("the list of ports", function()
  it("has the chips' own USB first, then adapters, then the rest, without what is no board", function()
    assert.equal("ttyACM1 ttyACM0 ttyUSB0 ttyUSB1 ttyS0", names(ports.order(LIST)))
  end)

  it("is empty when there is nothing", function()
    assert.same({}, ports.order {})
    assert.same({}, ports.filter({}, { "vid=1" }))
  end)

  it("of this machine can be had", function()
    assert.is_table(ports.list())
    assert.is_table(ports.list { filter = { "name=no such port" } })
  end)
end)

describe("a port filter", function()
  for _, word in ipairs { "vid", "vid=", "vid=x", "vid=0x10000", "pid=-1", "color=red", "=5", "", "name=",
                          "serial=" } do
    it(("is refused when it is %q"):format(word), function()
      local err = assert.has_error(function() ports.parse_filters { word } end)
      assert.is_true(fail.is(err))
      assert.equal("bad_argument", err.code)
      assert.matches(word, tostring(err), 1, true)
    end)
  end

  for _, case in ipairs {
    { { "vid=0x303A" }, "ttyACM1 ttyACM0" },
    { { "vid=12346" }, "ttyACM1 ttyACM0" },
    { { "vid=0x303a", "pid=0x1001" }, "ttyACM1" },
    { { "vid=0x303a", "vid=0x1A86" }, "ttyACM1 ttyUSB1 ttyACM0" },
    { { "name=usb" }, "ttyUSB0 ttyUSB1" },
    { { "NAME=TTYUSB", "pid=0x7523" }, "ttyUSB1" },
    { { "serial=df:a1" }, "ttyACM1" },
    { { vid = 0x303A, pid = { 0x1001, 2 } }, "ttyACM1 ttyACM0" },
    { { "vid=0x1234" }, "" },
    { {}, "ttyS0 ttyUSB0 cu.Bluetooth-Incoming-Port ttyACM1 cu.debug-console ttyUSB1 cu.wlan-debug ttyACM0" },
  } do
    local words = {}
    for key, word in pairs(case[1]) do words[#words + 1] = type(key) == "string" and key or word end
    table.sort(words)
    it("lets through by " .. table.concat(words, " and "), function()
      assert.equal(case[2], names(ports.filter(LIST, case[1])))
    end)
  end
end)

describe("opening a port", function()
  it("names one that does not exist, with a hint", function()
    local err = assert.has_error(function() ports.open "/dev/no-such-port" end)
    assert.equal("port_missing", err.code)
    assert.matches("/dev/no-such-port", tostring(err), 1, true)
    assert.is_string(err.hint)
  end)

  it("names a server that does not answer", function()
    local err = assert.has_error(function() ports.open "socket://127.0.0.1:1" end)
    assert.matches("^port_", err.code)
    assert.matches("127.0.0.1:1", tostring(err), 1, true)
  end)

  it("needs a name", function()
    assert.has_error(function() ports.open "" end)
    assert.has_error(function() ports.open() end)
  end)
end)

describe("the USB identity of a port", function()
  local function port(info) return { info = function() return info end } end

  it("comes from the port itself", function()
    local id = { vid = 0x303A, pid = 0x1001 }
    local p = port { kind = "serial", usb = id, name = "/dev/ttyACM0" }
    assert.equal(id, ports.usb_identity(p, "/dev/serial/by-id/x"))
  end)

  it("is nothing for what is no serial device", function()
    assert.is_nil(ports.usb_identity(port { kind = "socket" }, "socket://x:1"))
    assert.is_nil(ports.usb_identity(port { kind = "serial", name = "/dev/nothing" }, "/dev/nothing"))
  end)

  it("of macOS's two names is the same", function()
    local list = ports.list
    ports.list = function() return { { name = "/dev/cu.usbserial-1", usb = { vid = 1, pid = 2 } } } end
    local found = ports.usb_identity(port { kind = "serial" }, "/dev/tty.usbserial-1")
    ports.list = list
    assert.equal(2, found.pid)
  end)
end)
