--- Do the processors' specs notice when an instruction is wrong? They are run once more on a processor that steps:
-- first to see which instructions each test executes, then with one kind of instruction left out, or refused. A kind
-- has a case when some test fails then.
local cpu = require "esp.core.cpu"
local assert = require "luassert"
local M = {}

local methods = getmetatable(cpu.new "rv32").__index
local run, cycles = methods.run, methods.cycles

-- A lone run(n) in single steps. look(name) says what to do with the instruction: nil, "skip" or "refuse".
local function stepping(look)
  return function(c, n)
    if math.type(n) ~= "integer" or n < 0 then return run(c, n) end
    local last = cycles(c) + n
    while cycles(c) < last do
      local pc = c:get "pc"
      local text, length = c:disassemble(pc)
      local what = look(text:match "^[%w.]+")
      if what == "refuse" then return "fault", "refused", 0, pc end
      if what == "skip" and length > 0 then
        c:set("pc", (pc + length) & 0xFFFFFFFF)
        cycles(c, cycles(c) + 1)
      else
        local results = table.pack(run(c, 1))
        if results[1] ~= "budget" then return table.unpack(results, 1, results.n) end
      end
    end
    return "budget"
  end
end

-- The tests of a file, as functions.
local function tests(file)
  local list = {}
  local function add(name, f) list[#list + 1] = { name = name, run = f } end
  local env = setmetatable({
    assert = assert,
    describe = function(_, f) f() end,
    it = setmetatable({ single = add }, { __call = function(_, name, f) add(name, f) end }),
  }, { __index = _G })
  assert(loadfile(file, "t", env))()
  return list
end

local function with(look, test)
  methods.run = stepping(look)
  local ok, message = pcall(test.run)
  methods.run = run
  return ok, message
end

--- The specs of a kind of processor.
function M.files(riscv)
  if riscv then return { "spec/cpu_rv32_spec.lua", "spec/cpu_rv32_b_spec.lua" } end
  return { "spec/cpu_xtensa_spec.lua", "spec/cpu_xtensa_sr_spec.lua", "spec/cpu_xtensa_float_spec.lua" }
end

--- Reads the tests and finds out what each of them executes.
-- @param files list of specs
-- @return map of an instruction's name to the tests that execute it, the shortest first
function M.executed(files)
  local by_name = {}
  for _, file in ipairs(files) do
    for _, test in ipairs(tests(file)) do
      local seen = {}
      test.steps = 0
      local ok, message = with(function(name)
        if name then seen[name] = true end
        test.steps = test.steps + 1
      end, test)
      if not ok then error(("%s: %s: %s"):format(file, test.name, tostring(message)), 0) end
      for name in pairs(seen) do
        by_name[name] = by_name[name] or {}
        table.insert(by_name[name], test)
      end
    end
  end
  for _, list in pairs(by_name) do table.sort(list, function(a, b) return a.steps < b.steps end) end
  return by_name
end

--- Whether a test fails when the instruction does nothing, or at least when it is refused.
-- @param list the tests that execute it, or nil
-- @return "result", "only executed" or nil
function M.noticed(name, list)
  local function fails(what)
    for _, test in ipairs(list or {}) do
      if not with(function(n) return n == name and what or nil end, test) then return true end
    end
  end
  return fails "skip" and "result" or fails "refuse" and "only executed" or nil
end

return M
