-- A simulated chip served to other programs: TCP, RFC 2217, pseudo terminal.
local rawhost = require "spec.support.rawhost"
local ports = require "esp.core.port"
local sim = require "esp.sim"
local task = require "esp.core.task"
local W = rawhost.words

local function eventually(what)
  for _ = 1, 200 do
    if what() then return true end
    task.sleep(0.005)
  end
  return false
end

-- A host on another kind of port; closing it leaves the chip alone.
local function visit(chip, url, fn)
  local port <close> = assert(ports.open(url))
  return fn(rawhost.new(chip, port), port)
end

describe("a chip that is served over TCP", function()
  it("answers, one client after the other, and remembers", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    local url = chip:serve { tcp = 0 }
    assert.matches("^socket://127%.0%.0%.1:%d+$", url)
    visit(chip, url, function(host)
      host:sync()
      host:write_reg(0x3FC80000, 77)
    end)
    assert.is_true(eventually(function()
      local port = ports.open(url)
      if not port then return false end
      local host = rawhost.new(chip, port)
      local answer = host:command(0x0A, W(0x3FC80000))
      port:close()
      return answer and ("<I4"):unpack(answer, 5) == 77
    end))
  end)

  it("has no rate, so every rate fits", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    visit(chip, chip:serve { tcp = 0 }, function(host)
      host:sync()
      host:command(0x0F, W(921600, 0))
      assert.is_truthy(host:command(0x0A, W(0x40001000)))
    end)
  end)

  it("sends a second client away", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    local url = chip:serve { tcp = 0 }
    visit(chip, url, function(host)
      assert.is_truthy(host:sync())
      local second <close> = assert(ports.open(url))
      local _, _, code = second:read(1, 2)
      assert.equal("port_gone", code)
      assert.is_truthy(host:sync())
    end)
  end)

  it("is reset when a client comes, if that was asked for", function()
    local chip <close> = sim.new { chip = "esp32c3", boot = "flash" }
    visit(chip, chip:serve { tcp = 0, reset_on_connect = true }, function(host)
      assert.is_truthy(host:sync())
    end)
  end)

  it("says that a port is taken", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    local number = tonumber(chip:serve { tcp = 0 }:match "(%d+)$")
    local other <close> = sim.new { chip = "esp32" }
    assert.equal("port_busy", assert.has_error(function() other:serve { tcp = number } end).code)
  end)
end)

describe("a chip that is served by RFC 2217", function()
  it("is reset by the lines, however slowly they come", function()
    local chip <close> = sim.new { chip = "esp32c3", boot = "flash" }
    visit(chip, chip:serve { rfc2217 = 0 }, function(host, port)
      assert.is_true(port:info().has_lines)
      assert.equal("app", chip:state().mode)
      for _, step in ipairs { { false, nil }, { nil, true }, { true, nil }, { nil, false }, { false, nil } } do
        assert.is_truthy(port:lines(step[1], step[2]))
        task.sleep(0.01)
      end
      assert.is_true(eventually(function() return chip:state().mode == "download" end))
      assert.is_truthy(host:sync())
    end)
  end)

  it("follows the rate, and doubles the byte that telnet needs", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    visit(chip, chip:serve { rfc2217 = 0 }, function(host, port)
      assert.is_truthy(port:baud(230400))
      assert.is_true(eventually(function() return chip:state().host_baud == 230400 end))
      assert.is_truthy(host:sync())
      host:write_reg(0x3FC80000, 0xFFFFFFFF)
      assert.equal(0xFFFFFFFF, host:read_reg(0x3FC80000))
      assert.is_truthy(port:flush())
    end)
  end)

  it("takes the next client however much the one before had left to say", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    local url = chip:serve { rfc2217 = 0 }:gsub("^rfc2217", "socket")
    for _ = 1, 20 do
      local first = assert(ports.open(url))
      first:write "\xFF\xFA\x2C\x02\x08\xFF\xF0"
      first:close()
      local second <close> = assert(ports.open(url))
      second:write "\xFF\xFA\x2C\x02\x08\xFF\xF0"
      assert.is_truthy(second:read(100, 2))
    end
  end)

  -- RFC 2217: the mask is 255 until the client sets another. pyserial raises where nothing is ever told.
  it("tells the modem lines to a client that has not asked", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    local raw <close> = assert(ports.open((chip:serve { rfc2217 = 0 }:gsub("^rfc2217", "socket"))))
    raw:write "\xFF\xFA\x2C\x02\x08\xFF\xF0"
    local got = ""
    assert.is_true(eventually(function()
      got = got .. (raw:read(100, 0.01) or "")
      return got:find("\xFF\xFA\x2C\x6B\xB0\xFF\xF0", 1, true) ~= nil
    end))
  end)

  it("survives nonsense", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    local url = chip:serve { rfc2217 = 0 }
    local raw <close> = assert(ports.open((url:gsub("^rfc2217", "socket"))))
    raw:write("\xFF\xFA\x2C\x01\xFF\xF0" .. "\xFF\xFA\x2C\xFF\xF0" .. "\xFF\xFA\x2C\x05\xFF\xF0" .. ("\xFF"):rep(500) ..
              "\xFF\xFD\x63\xFF\xFB\x63\xFF\xFA" .. ("x"):rep(2000))
    task.sleep(0.02)
    assert.equal("download", chip:state().mode)
  end)
end)

describe("a chip that is served on a pseudo terminal", function()
  it("answers there, again and again", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    local path = chip:serve { pty = true }
    assert.matches("^/dev/pts/%d+$", path)
    for _ = 1, 2 do
      visit(chip, path, function(host)
        host:read()
        assert.is_truthy(host:sync())
      end)
    end
  end)

  it("is reset whenever somebody opens it, if that was asked for", function()
    local chip <close> = sim.new { chip = "esp32c3", boot = "flash" }
    local path = chip:serve { pty = true, reset_on_connect = true }
    for i = 1, 2 do
      visit(chip, path, function(host)
        assert.is_true(eventually(function() return chip:state().resets == 1 + i end))
        host:read()
        assert.is_truthy(host:sync())
        host:command(0x0F, W(460800, 0))
      end)
      task.sleep(0.02)
    end
  end)
end)
