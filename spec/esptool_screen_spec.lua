-- What goes to the screen in esptool's manner. Frames are written by hand from esptool's documentation, "Serial
-- Protocol"; rows of bytes have the form that esptool 5.2 gives them.
local screen = require "esp.esptool.screen"

local function new(o)
  local said = {}
  local out = { write = function(_, ...) for _, text in ipairs { ... } do said[#said + 1] = text end end,
                flush = function() end }
  o.out, o.err, o.color, o.now = out, out, false, function() return #said end
  return screen.new(o), function()
    local text = table.concat(said)
    said = {}
    return text
  end
end

describe("a progress bar of esptool's", function()
  it("is a line for each percent in a pipe, however narrow", function()
    local s, said = new { tty = false, width = 20 }
    local bar = s:bar()
    bar("Writing at 0x00010000", 0, 1000)
    bar("Writing at 0x00010001", 1, 1000)
    bar("Writing at 0x000103e8", 1000, 1000)
    assert.equal("Writing at 0x00010000 [" .. (" "):rep(30) .. "]   0.0% 0/1000 bytes... (0 %)\n"
                 .. "Writing at 0x000103e8 [" .. ("="):rep(30) .. "] 100.0% 1000/1000 bytes... (100 %)\n", said())
  end)

  it("fits into a line of the terminal, where it is drawn in place", function()
    for _, width in ipairs { 20, 40, 50, 60, 79, 80, 81, 90, 200 } do
      local s, said = new { tty = true, width = width }
      local bar = s:bar()
      bar("Writing at 0x00010000", 500000, 1000000)
      local line = said():match "^\r\27%[K(.*)$"
      assert.is_true(#line < width, ("%d: %q"):format(width, line))
      assert.matches(" 50.0% ", line, 1, true)
      assert.equal(width > 60, line:find("=>", 1, true) ~= nil)
      if width > 90 then assert.matches(("[%s>%s]"):format(("="):rep(14), (" "):rep(15)), line, 1, true) end
    end
  end)
end)

describe("esptool's trace", function()
  it("shows packets as they are on the line, with what an answer says", function()
    local s, said = new { tty = false, trace = true }
    s:packet { dir = "tx", dt = 0.0014, op = 10, name = "READ_REG", len = 4, checksum = 0, data = "\x44\x88\0`" }
    assert.equal("TRACE +0.001   --- Cmd READ_REG (0x0a) | data_len 4 | checksum 0x00 | data 44880060 ---\n"
                 .. "TRACE +0.001   Write 14 bytes:      c0000a04000000000044880060c0\n", said())
    s:packet { dir = "rx", dt = 0.02, op = 10, name = "READ_REG", len = 4, value = 0xF9C0DB56,
               data = "\0\0\0\0" }
    assert.equal("TRACE +0.020   Read 16 bytes:       c0010a040056dbdddbdcf900000000c0\n"
                 .. "TRACE +0.020   Received full packet: 010a040056dbc0f900000000\n"
                 .. "TRACE +0.020   --- Answer to READ_REG (0x0a) | data_len 4 | value 0xf9c0db56 "
                 .. "| data 00000000 ---\n", said())
    s:packet { dir = "rx", dt = 0, len = 4, data = "OHAI" }
    assert.equal("TRACE +0.000   Read 6 bytes:        c04f484149c0\nTRACE +0.000   Received full packet: 4f484149\n",
                 said())
    s:packet { dir = "tx", op = 99, name = "unknown", len = 18, checksum = 1, data = ("A"):rep(17) .. "\0" }
    assert.matches("\n    4141414141414141 4141414141414141 | AAAAAAAAAAAAAAAA\n"
                   .. "    4100                              | A.", said(), 1, true)
  end)
end)
