--- Helpers for the specs of the processors: one instruction, or a short program, on a bare processor.
local cpu = require "esp.core.cpu"
local assert = require "luassert"
local M = { CODE = 0x40000000, DATA = 0x40002000 }

local BYTES = "\x11\x22\x33\x84\xF5\x66\x77\x88"

function M.unhex(text)
  return (text:gsub("%s+", ""):gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end))
end

--- A processor with RAM at CODE (4 pages), some bytes at DATA, pc at CODE.
function M.new(core, options)
  local c = cpu.new(core, options)
  c:ram(M.CODE, 0x4000)
  c:poke(M.DATA, BYTES)
  c:set("pc", M.CODE)
  return c
end

--- Puts code (hex) at CODE or at.
function M.put(c, hex, at)
  c:poke(at or M.CODE, M.unhex(hex))
end

function M.word(c, address)
  return (string.unpack("<I4", c:peek(address, 4)))
end

local MEMORY = { w0 = M.DATA, w4 = M.DATA + 4 }

--- Runs the instruction (hex) with registers set; compares those in want, w0 and w4 being the words at DATA.
function M.check(c, hex, set, want)
  M.put(c, hex)
  for name, value in pairs(set) do c:set(name, value) end
  assert.equal("budget", (c:run(1)))
  if not want.pc then assert.equal(M.CODE + #hex // 2, c:get "pc") end
  for name, value in pairs(want) do
    local got = MEMORY[name] and M.word(c, MEMORY[name]) or c:get(name)
    assert.equal(("%s = 0x%X"):format(name, value), ("%s = 0x%X"):format(name, got))
  end
end

--- One test for a table of cases; spec.support.mutants has each case as a test of its own.
function M.each(it, name, cases, f)
  if type(it) ~= "table" or not it.single then
    it(name, function()
      for _, case in ipairs(cases) do f(case) end
    end)
    return
  end
  for _, case in ipairs(cases) do it.single(name, function() f(case) end) end
end

return M
