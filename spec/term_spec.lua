local port = require "esp.core.port"

local ESPLUA = os.getenv "ESPLUA" or arg and arg[-1] or "build/esplua"
local SHOW = "local t = require [[esp.core.term]] print(t.isatty(1), t.width(1), t.colors(1), t.utf8())"

--- What the module says in a process with that environment, its output on a terminal of 100 columns or a pipe.
local function ask(environment, terminal)
  local out = os.tmpname()
  local command = ("env -i %s %s -e '%s'"):format(environment, ESPLUA, SHOW)
  if terminal then
    local master <close>, name = port.pty()
    assert(os.execute("stty -F " .. name .. " cols 100; " .. command .. " > " .. name))
    os.remove(out)
    return (assert(master:read(1000, 5)):gsub("%s+$", ""))
  end
  assert(os.execute(command .. " > " .. out))
  local f = io.open(out)
  local text = f:read "l"
  f:close()
  os.remove(out)
  return text
end

describe("the terminal", function()
  it("is asked for its width and colours", function()
    assert.equal("true\t100\ttrue\tfalse", ask("TERM=xterm", true))
  end)

  it("gets no colours when it is dumb, or when nobody wants them", function()
    assert.matches("^true\t100\tfalse", ask("TERM=dumb", true))
    assert.matches("^true\t100\tfalse", ask("X=1", true))
    assert.matches("^true\t100\tfalse", ask("TERM=xterm NO_COLOR=1", true))
    assert.matches("^true\t100\ttrue", ask("TERM=xterm NO_COLOR=", true))
  end)

  it("is none in a pipe, and the width then comes from the environment", function()
    assert.equal("false\t80\tfalse\tfalse", ask "TERM=xterm")
    assert.equal("false\t132\tfalse\tfalse", ask "TERM=xterm COLUMNS=132")
    assert.equal("false\t80\tfalse\tfalse", ask "TERM=xterm COLUMNS=wide")
    assert.equal("false\t80\tfalse\tfalse", ask "TERM=xterm COLUMNS=-5")
  end)

  it("takes UTF-8 when the locale says so", function()
    assert.matches("true$", ask "LANG=de_DE.UTF-8")
    assert.matches("true$", ask "LANG=C LC_ALL=C.utf8")
    assert.matches("false$", ask "LANG=de_DE.UTF-8 LC_ALL=C")
  end)

  it("has three descriptors", function()
    assert.has_error(function() require "esp.core.term".isatty(3) end)
    assert.has_error(function() require "esp.core.term".width(-1) end)
  end)
end)
