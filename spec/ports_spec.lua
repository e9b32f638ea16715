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
    { { "vid=12346" }, "ttyACM1 ttyACM0" }, { { "vid=0o30072" }, "ttyACM1 ttyACM0" },
    { { "pid=0b1000000000001" }, "ttyACM1" },
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
    assert.matches("is the server running", err.hint, 1, true)
  end)

  it("says what would be one", function()
    for url, hint in pairs { ["/dev/null"] = "such as /dev/ttyUSB0", ["/"] = "such as /dev/ttyUSB0",
                             null = "did you mean /dev/null?", ["foo://bar"] = "rfc2217://HOST:PORT" } do
      assert.matches(hint, assert.has_error(function() ports.open(url) end).hint, 1, true)
    end
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

-- Names of pyserial, by its documentation ("URL Handlers").
describe("a port by what is known of it", function()
  local function found(url)
    local list, skip = ports.grep(url, LIST)
    for i, name in ipairs(list) do list[i] = { name = name } end
    return names(list), skip
  end

  it("is found in its name and its USB identity, in any case", function()
    assert.equal("ttyUSB0 ttyUSB1", (found "hwgrep://usb[01]"))
    assert.equal("ttyACM0 ttyACM1", (found "hwgrep://VID:PID=303a:"))
    assert.equal("ttyACM1", (found "HWGREP://ser=7c:df.*56"))
    assert.equal("ttyUSB0", (found "hwgrep://10C4:EA60"))
    assert.equal("ttyACM1 ttyUSB1", (found "hwgrep://7523|1001"))
    assert.equal("ttyS0", (found [[hwgrep://ttyS\d$]]))
    assert.equal("", (found "hwgrep://nothing"))
    assert.equal("ttyACM0 ttyACM1", (found "hwgrep://^/dev/tty.C"))
  end)

  it("may be the second, and be passed over when busy", function()
    assert.same({ "ttyUSB1", true }, { found "hwgrep://ttyUSB&n=2&skip_busy" })
  end)

  for url, why in pairs { ["hwgrep://"] = "nothing to look for", ["hwgrep://(a|b)"] = "( in a regular expression",
                          ["hwgrep://a{2}"] = "{ in", ["hwgrep://[a"] = "[ in", ["hwgrep://a\\b"] = "\\b in",
                          ["hwgrep://a&n=0"] = "unknown option n=0", ["hwgrep://a\\"] = "\\ in" } do
    it("is refused: " .. url, function()
      local err = assert.has_error(function() ports.grep(url, LIST) end)
      assert.equal("bad_argument", err.code)
      assert.matches(why, err.message, 1, true)
    end)
  end

  it("or of another kind is refused with what to do instead", function()
    for url, hint in pairs { ["loop://"] = "sim:esp32c3", ["spy:///dev/ttyUSB0"] = "--trace",
                             ["alt:///dev/ttyUSB0?class=PosixPollSerial"] = "name the port itself" } do
      local err = assert.has_error(function() ports.open(url) end)
      assert.equal("bad_argument", err.code)
      assert.matches(hint, err.hint, 1, true)
    end
    assert.equal("port_missing", assert.has_error(function() ports.open "hwgrep://no such port" end).code)
    assert.is_true(fail.is(assert.has_error(function() ports.open "foo://bar" end)))
  end)
end)
