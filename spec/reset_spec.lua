-- Sequences: esptool documentation, "Advanced Options", whose examples spell the classic and the tight reset as custom
-- sequences; the USB sequence from the ESP32-C3 Technical Reference Manual, "USB Serial/JTAG Controller".
local reset = require "esp.reset"
local task = require "esp.core.task"

-- A port that writes down what is asked of it.
local function recorder(failures)
  local log = {}
  return {
    log = log,
    lines = function(_, dtr, rts)
      local e = failures and table.remove(failures, 1)
      if e and e ~= "" then return nil, "trouble", e end
      local function word(v) return v == nil and "-" or v and "1" or "0" end
      log[#log + 1] = word(dtr) .. word(rts)
      return true
    end,
    reopen = function() log[#log + 1] = "reopen" return true end,
  }
end

local sleep
before_each(function() sleep = task.sleep end)
after_each(function() task.sleep = sleep end)

-- Runs a recipe without waiting; returns what happened, waits included.
local function trace(recipe, failures)
  local p = recorder(failures)
  task.sleep = function(seconds) p.log[#p.log + 1] = "W" .. seconds end
  local ok, message, code = reset.perform(p, recipe)
  return table.concat(p.log, " "), ok, code, message
end

describe("a custom reset sequence", function()
  for _, text in ipairs { "", "|", "D0|", "D2", "D", "R", "W", "W-1", "W.", "W1e9", "W61", "U1", "U1,2", "U10", "X1",
                          "D0||R1", "D0;R1", "W" .. ("9"):rep(400), ("D0|"):rep(5000), "D0|" .. "\0" } do
    it(("is refused when it is %q"):format(text:sub(1, 20)), function()
      local err = assert.has_error(function() reset.parse(text, "custom_reset_sequence") end)
      assert.equal("bad_reset_sequence", err.code)
      assert.matches("custom_reset_sequence", tostring(err), 1, true)
    end)
  end

  it("names the position of the step at fault", function()
    local err = assert.has_error(function() reset.parse "D0|R1|Q0" end)
    assert.matches("position 7", tostring(err), 1, true)
  end)

  it("spells the classic reset", function()
    local steps = reset.parse "D0|R1|W0.1|D1|R0|W0.05|D0"
    assert.equal((trace { steps = reset.recipes.classic, delay = 0.05 }), (trace { steps = steps }))
  end)

  it("spells the tight reset and bears blanks", function()
    local steps = reset.parse " U0,0 | u1,1|U0,1 |W0.1|U1,0\n|W.05| U0, 0|D0"
    assert.equal((trace { steps = reset.recipes.unix_tight, delay = 0.05 }), (trace { steps = steps }))
  end)
end)

describe("the recipes", function()
  it("hold EN low, then the boot pin", function()
    assert.equal("0- -1 W0.1 1- -0 W0.55 0-", (trace { steps = reset.recipes.classic, delay = 0.55 }))
    assert.equal("00 11 01 W0.1 10 W0.05 00 0-", (trace { steps = reset.recipes.unix_tight }))
    assert.equal("-1 W0.1 -0", (trace { steps = reset.recipes.hard }))
    assert.equal("-1 W0.2 -0 W0.2", (trace { steps = reset.recipes.hard_usb }))
  end)

  it("take the internal USB through 1,1", function()
    assert.equal("-0 0- W0.1 1- -0 W0.1 -1 0- -1 W0.1 0- -0", (trace { steps = reset.recipes.usb_serial_jtag }))
  end)
end)

describe("performing a recipe", function()
  it("opens a port that vanished again and lets go of the lines", function()
    local what, ok = trace({ steps = reset.recipes.hard }, { "", "port_gone" })
    assert.is_true(ok)
    assert.equal("-1 W0.1 reopen -0", what)
    what, ok = trace({ steps = reset.recipes.usb_serial_jtag }, { "", "", "", "", "", "", "port_gone", "port_gone" })
    assert.is_true(ok)
    assert.equal("-0 0- W0.1 1- -0 W0.1 -1 0- reopen reopen 00", what)
  end)

  it("starts a recipe over when the port was gone before", function()
    local what, ok = trace({ steps = reset.recipes.hard }, { "port_gone" })
    assert.is_true(ok)
    assert.equal("reopen -1 W0.1 -0", what)
  end)

  it("gives up after three times", function()
    local what, ok, code = trace({ steps = reset.recipes.hard }, { "port_gone", "port_gone", "port_gone" })
    assert.is_nil(ok)
    assert.equal("reopen reopen", what)
    assert.equal("port_gone", code)
  end)

  it("does not try a port without lines again", function()
    local what, ok, code = trace({ steps = reset.recipes.hard }, { "unsupported" })
    assert.is_nil(ok)
    assert.equal("unsupported", code)
    assert.equal("", what)
  end)
end)

describe("the cycle of recipes", function()
  local function names(opts)
    opts.mode = opts.mode or "default-reset"
    local list = {}
    for i, recipe in ipairs(reset.cycle(opts)) do
      list[i] = recipe.name .. (recipe.delay and " " .. recipe.delay or "")
    end
    return table.concat(list, ", ")
  end

  it("is tight then classic on Unix, classic elsewhere", function()
    assert.equal("unix_tight 0.05, unix_tight 0.55, classic 0.05, classic 0.55", names { kind = "serial" })
    assert.equal("classic 0.05, classic 0.55", names { kind = "serial", windows = true })
    assert.equal("classic 0.05, classic 0.55", names { kind = "rfc2217" })
  end)

  it("is the USB one for the built-in USB or when asked for", function()
    assert.equal("usb_serial_jtag", names { usb = { vid = 0x303A, pid = 0x1001 } })
    assert.equal("usb_serial_jtag", names { mode = "usb-reset" })
    assert.not_equal("usb_serial_jtag", names { usb = { vid = 0x303A, pid = 0x0002 } })
  end)

  it("takes both delays from the configuration", function()
    local config = { reset_delay = 0.2, given = { reset_delay = true } }
    assert.equal("unix_tight 0.2, unix_tight 0.2, classic 0.2, classic 0.2", names { config = config })
    assert.equal("unix_tight 0.05, unix_tight 0.55, classic 0.05, classic 0.55",
                 names { config = { reset_delay = 0.05, given = {} } })
  end)

  it("waits long on an FPGA", function()
    assert.equal("unix_tight 7, unix_tight 7, classic 7, classic 7", names { fpga = true })
  end)

  it("leaves the closing toggle out for adapters with flow control", function()
    assert.equal("unix_tight 0.05", names({ usb = { vid = 0x10C4, pid = 0xEA60 } }):match "^[^,]+")
    local list = reset.cycle { mode = "default-reset", usb = { vid = 0x10C4, pid = 0xEA64 } }
    assert.equal("00 11 01 W0.1 10 W0.05 00", (trace(list[1])))
  end)

  it("is a custom sequence alone", function()
    assert.equal("custom", names { config = { custom_reset_sequence = "D0|R0" }, usb = { vid = 0x303A, pid = 0x1001 } })
    assert.has_error(function() names { config = { custom_reset_sequence = "D0|Rx" } } end)
  end)
end)
