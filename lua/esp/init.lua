--- esplua: the library as a script sees it.
-- esp.connect{...} gives a chip object. The other modules are there under their names and load on first use:
-- esp.ports, esp.chips, esp.image, esp.config, ..., and the primitives in C: esp.task, esp.port, esp.fs, ...
local M = {}

-- Primitives that have no Lua module in front of them.
local CORE = { task = true, port = true, slip = true, digest = true, zlib = true, payload = true, link = true,
               fs = true, term = true }

--- Connect to a chip; esp.connect describes the options.
function M.connect(opts)
  return require("esp.connect").connect(opts)
end

return setmetatable(M, { __index = function(t, name)
  if type(name) ~= "string" then return nil end
  local path = (CORE[name] and "esp.core." or "esp.") .. name
  local ok, module = pcall(require, path)
  if not ok then
    if tostring(module):find(("module '%s' not found"):format(path), 1, true) then return nil end
    error(module, 0)
  end
  rawset(t, name, module)
  return module
end })
