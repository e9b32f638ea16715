local json = require "spec.support.strict_json"
local report = require "esp.report"

-- A file that remembers.
local function sink()
  local s = { parts = {} }
  function s:write(...)
    for _, part in ipairs { ... } do self.parts[#self.parts + 1] = part end
    return self
  end
  function s.flush() end
  function s:text() return table.concat(self.parts) end
  return s
end

local function new(o)
  local t = 0
  o.out, o.err = sink(), sink()
  o.now = function() return t end
  o.width, o.color = o.width or 80, o.color or false
  local r = report.new(o)
  return r, o.out, o.err, function(seconds) t = t + seconds end
end

-- What a terminal of one line shows after the text.
local function screen(text)
  local lines, line = {}, ""
  for control, part in (text .. "\0"):gsub("\27%[K", "\2"):gmatch "([\r\n\2]?)([^\r\n\2]*)" do
    if control == "\r" then line = part
    elseif control == "\n" then lines[#lines + 1], line = line, part
    else line = line .. part end
  end
  return lines, (line:gsub("%z", ""))
end

describe("a report in a pipe", function()
  it("is whole lines without a bar", function()
    local r, out, err, wait = new { tty = false }
    r:say "hello"
    r:stage "connecting"
    local bar = r:bar "Writing"
    for i = 0, 10 do
      bar(i * 100, 1000)
      wait(1)
    end
    r:warning("hot", { hint = "cool it" })
    r:done()
    assert.equal("hello\nConnecting ...\n", out:text())
    assert.equal("Warning: hot\n  hint: cool it\n", err:text())
  end)

  it("says nothing but errors when silent, and details when verbose", function()
    local r, out, err = new { silent = true, tty = false }
    r:say "a"
    r:stage "b"
    r:note "c"
    r:warning "d"
    r:result({ x = 1 }, "e")
    assert.equal("", out:text() .. err:text())
    r, out = new { tty = false }
    r:detail "a"
    assert.equal("", out:text())
    r, out = new { verbose = true, tty = false }
    r:detail "a"
    assert.equal("a\n", out:text())
  end)
end)

describe("a report on a terminal", function()
  it("shows share, rate and time left in one line that goes away", function()
    local r, out, _, wait = new { tty = true }
    local bar = r:bar()
    for i = 0, 5 do
      bar(i * 10240, 102400, { phase = "write", name = "build/app.bin" })
      wait(1)
    end
    local _, line = screen(out:text())
    assert.matches("^Writing app%.bin %[=+ +%]  50%%  100%.0 KiB  10%.0 KiB/s  0:05 left", line)
    assert.is_true(#line < 80)
    r:say "done"
    local lines, last = screen(out:text())
    assert.same({ "done" }, lines)
    assert.equal("", last)
  end)

  it("stays within narrow terminals", function()
    for _, width in ipairs { 20, 30, 40, 60, 80, 200 } do
      local r, out, _, wait = new { tty = true, width = width }
      local bar = r:bar()
      for i = 0, 3 do
        bar(i * 1000000, 9000000, { phase = "write", name = ("x"):rep(60) })
        wait(1)
      end
      local _, line = screen(out:text())
      assert.is_true(#line < width, width .. ": " .. line)
    end
  end)

  it("does not redraw more than ten times a second", function()
    local r, out, _, wait = new { tty = true }
    local bar = r:bar "Reading"
    for i = 0, 10000 do
      bar(i, 10000)
      wait(0.001)
    end
    local _, redraws = out:text():gsub("\r", "\r")
    assert.is_true(redraws <= 120, redraws)
  end)

  it("has no bar when asked for none", function()
    local r, out = new { tty = true, no_progress = true }
    r:bar "Reading"(1, 2)
    assert.equal("", out:text())
  end)

  it("keeps the stages when verbose", function()
    local r, out = new { tty = true, verbose = true }
    r:stage "connecting"
    r:say "x"
    assert.equal("Connecting ...\nx\n", out:text())
  end)

  it("colours only when allowed", function()
    local r, _, err = new { tty = true, color = true }
    r:warning "w"
    assert.matches("\27[33mWarning: w\27[0m", err:text(), 1, true)
    r, _, err = new { tty = true }
    r:warning "w"
    assert.is_nil(err:text():find "\27%[3")
  end)
end)

describe("a report in JSON", function()
  local function lines(out)
    local list = {}
    for line in out:text():gmatch "[^\n]+" do list[#list + 1] = json(line) end
    return list
  end

  it("is one object per line, with the event first and nothing else", function()
    local r, out, err, wait = new { json = true, tty = true }
    r:emit("start", { a = 1 })
    r:say "not shown"
    r:stage("connecting", { port = "x" })
    r:note("n", { code = "c" })
    r:warning "w"
    local bar = r:bar "Writing"
    for i = 0, 100 do
      bar(i, 100, { phase = "write", name = "a.bin", address = 16 })
      wait(0.01)
    end
    r:result({ bytes = 5, list = { 1, 2 } }, "text")
    r:done()
    assert.equal("", err:text())
    local list = lines(out)
    assert.equal('{"event":"start","a":1}', out:text():match "[^\n]+")
    assert.same({ event = "stage", text = "connecting", port = "x" }, list[2])
    assert.same({ event = "note", text = "n", code = "c" }, list[3])
    assert.equal("warning", list[4].event)
    local progress = 0
    for _, e in ipairs(list) do progress = progress + (e.event == "progress" and 1 or 0) end
    assert.is_true(progress >= 4 and progress <= 7, progress)
    assert.equal(100, list[#list - 2].done)
    assert.equal("result", list[#list - 1].event)
    assert.equal("done", list[#list].event)
  end)

  it("leaves out objects, functions and file contents", function()
    local r, out = new { json = true }
    local chip = setmetatable({ secret = 1 }, { __name = "chip" })
    chip.self = chip
    r:listener() { type = "note", text = "t", chip = chip, f = print,
                   region = { name = "a", data = "bytes", payload = io.stdout, long = ("x"):rep(5000) } }
    assert.same({ event = "note", text = "t", region = { name = "a" } }, lines(out)[1])
  end)

  it("tells a failure with its class and status", function()
    local r, out = new { json = true }
    local fail = require "esp.error"
    local _, err = pcall(fail, { code = "port_busy", message = "m", hint = "h" })
    r:failure(err)
    assert.same({ event = "error", code = "port_busy", class = "port", status = 10, message = "m", hint = "h" },
                lines(out)[1])
    r:failure "x.lua:1: oops"
    assert.same({ event = "error", code = "script_error", class = "script", status = 1, message = "x.lua:1: oops" },
                lines(out)[2])
  end)

  it("shows packets with their bytes in hexadecimal", function()
    local r, out = new { json = true }
    r:packet { t = 1.5, dt = 0.1, dir = "tx", op = 8, name = "SYNC", len = 2, checksum = 0, data = "\7\xFF" }
    assert.same({ event = "packet", t = 1.5, dt = 0.1, dir = "tx", op = 8, name = "SYNC", len = 2, checksum = 0,
                  hex = "07ff" }, lines(out)[1])
  end)
end)

describe("a trace for people", function()
  it("has time, direction, name and rows of sixteen bytes", function()
    local r, out = new { tty = false }
    r:packet { t = 1.5, dt = 0.1, dir = "tx", op = 8, name = "SYNC", len = 36, checksum = 0,
               data = "\7\7\18\32" .. ("U"):rep(32) }
    local list = {}
    for line in out:text():gmatch "[^\n]+" do list[#list + 1] = line end
    assert.equal("> +0.100  SYNC (0x08)  36 bytes  checksum 0x0", list[1])
    assert.matches("^    0000  07 07 12 20 55 .* %.%.%. UUUUUUUUUUUU$", list[2])
    assert.equal(4, #list)
  end)
end)

describe("the exit status", function()
  it("is one per class, each code in one class only", function()
    local exits = require "esp.exits"
    local codes, statuses = {}, {}
    for _, class in ipairs(exits.classes) do
      assert.is_nil(statuses[class[1]])
      statuses[class[1]] = true
      for _, code in ipairs(class[4]) do
        assert.is_nil(codes[code], code)
        assert.matches("^[a-z][a-z0-9_]+$", code)
        codes[code] = true
      end
    end
    assert.equal(2, exits.of "usage")
    assert.equal(1, exits.of "what nobody knows")
    assert.equal(1, exits.status "text")
  end)
end)
