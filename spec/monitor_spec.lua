-- The monitor: what is shown of a program's output, what keys do. The console is one that we wrote ourselves.
local monitor = require "esp.monitor"
local program = require "spec.support.program"
local golden = require "spec.support.lines_golden"

local function console(pieces)
  local c = { sent = "" }
  function c.read()
    require "esp.core.task".sleep(0)
    return table.remove(pieces, 1) or ""
  end
  function c.send(_, text) c.sent = c.sent .. text end
  return c
end

-- Keys that are pressed.
local function keys(pieces)
  return { read = function() return table.remove(pieces, 1) or "" end }
end

local function watch(o, run)
  local out, parts = {}, o.pieces
  o.console = console(parts)
  o.write = function(text) out[#out + 1] = text end
  o.explain = function(d) out[#out + 1] = "<" .. d.text .. ">\n" end
  local result = monitor.new(o):run(run or { seconds = 0.25 })          -- enough on a busy machine, too
  return table.concat(out), result, o.console
end

describe("the monitor", function()
  it("shows all bytes as they come", function()
    local text = "ab\r\n\0\xFF\xC3\nlast"
    local out, result = watch { pieces = { "ab", "\r\n\0\xFF", "\xC3", "\nlast" } }
    assert.equal(text, out)
    assert.same({ bytes = #text }, result)
  end)

  it("explains addresses after the line that has them, also when it comes in pieces", function()
    local addresses = { line = function(_, line)
      return line == "at 0x42000020" and { { text = "main" } } or {}
    end }
    assert.equal("x\nat 0x42000020\r\n<main>\ny\n",
                 (watch { addresses = addresses, pieces = { "x\nat 0x42", "000020\r", "\ny\n" } }))
  end)

  it("ends when a pattern comes, before the line is complete", function()
    local out, result = watch({ pieces = { "boo", "ting\nrea", "dy now", "more" } }, { pattern = "ready", seconds = 5 })
    assert.equal("booting\nready now", out)
    assert.equal("ready now", result.found)
  end)

  it("says what did not come", function()
    local err = assert.has_error(function()
      watch({ pieces = { "abc" } }, { pattern = "ready", seconds = 0.02 })
    end)
    assert.equal("timeout", err.code)
    assert.matches('no line like "ready" in 0.02 s, 3 bytes were received', err.message, 1, true)
  end)

  it("sends what is typed, resets with Ctrl-R, ends with Ctrl-]", function()
    local resets = 0
    local _, result, c = watch({ pieces = {}, keys = keys { "he", "", "lp\r\18\18x", "y\29z" },
                                 reset = function() resets = resets + 1 end }, { seconds = 5 })
    assert.equal("help\rxy", c.sent)
    assert.equal(2, resets)
    assert.is_true(result.ended)
  end)

  it("goes on when the terminal is gone", function()
    local out = watch { pieces = { "a", "b" }, keys = { read = function() return nil end } }
    assert.equal("ab", out)
  end)

  it("may begin lines with the time", function()
    assert.equal("T a\nT \nT b", (watch { pieces = { "a\n", "\nb" }, stamp = function() return "T " end }))
  end)

  describe("with a filter", function()
    local folder
    setup(function() folder = program.folder() end)
    teardown(program.clean)
    local function filter(text) return monitor.load_filter(program.write(folder .. "/f.lua", text)) end

    it("shows what that returns for whole lines", function()
      local f = filter "return function(line) if line ~= 'b' then return line:upper() end end"
      assert.equal("A\nCD\n", (watch { pieces = { "a\nb\r\nc", "d\n" }, filter = f }))
    end)

    it("refuses what is none", function()
      for text, why in pairs { ["return 1"] = "does not return a function", ["return ("] = "unexpected symbol",
                               ["error 'no'"] = "no" } do
        local err = assert.has_error(function() filter(text) end)
        assert.equal("bad_file", err.code)
        assert.matches(why, err.message, 1, true)
      end
    end)

    it("says when it fails", function()
      local err = assert.has_error(function()
        watch { pieces = { "x\n" }, filter = filter "return function() error 'oh' end" }
      end)
      assert.matches("the filter failed: .*oh", err.message)
    end)
  end)

  it("is a command: names functions, keeps a log", function()
    local folder = program.folder()
    local elf = program.write(folder .. "/app.elf", golden.dwarf4)
    local argv = { "monitor", "-p", "sim:esp32c3", "--for", "0.3", "--log", folder .. "/log" }
    local r = program.run(argv)
    assert.equal(0, r.status, r.err)
    assert.matches("ESP-ROM:esp32c3", r.out, 1, true)
    assert.equal(r.out, program.read(folder .. "/log"))
    r = program.run { "monitor", "-p", "sim:esp32c3", "--for", "0.1", "--elf", elf, "--rom-elf", elf }
    assert.equal(0, r.status, r.err)
    for _, case in ipairs { { 14, "no such file or folder", "--elf", folder .. "/none" },
                            { 14, "no project_description.json", "--elf", folder },
                            { 14, "ELF", "--elf", folder .. "/log" },
                            { 2, "not a Lua pattern", "--until", "%" } } do
      r = program.run { "monitor", "-p", "sim:esp32c3", "--for", "0.1", case[3], case[4] }
      assert.equal(case[1], r.status, r.command .. r.err)
      assert.matches(case[2], r.err, 1, true)
    end
    program.clean()
  end)
end)
