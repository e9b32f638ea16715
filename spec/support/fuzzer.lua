--- Runs a fuzzer of spec/fuzz with a fixed seed inside of a spec.
local M = {}

--- @return what it printed
function M.run(name, count, seed)
  local out = {}
  local env = setmetatable({ arg = { tostring(count), tostring(seed) },
                             print = function(s) out[#out + 1] = s .. "\n" end }, { __index = _G })
  local path = ("spec/fuzz/%s.lua"):format(name)
  assert(loadfile(path, "t", env))()
  return table.concat(out)
end

return M
