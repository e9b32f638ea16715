--- Writing a file at once.
local fail = require "esp.error"
local M = {}

--- Write a file that appears whole or not at all.
-- @param path string
-- @param bytes string
-- @raise as the file system refuses it
function M.write(path, bytes)
  local f <close> = fail.check(nil, nil, require "esp.core.fs".create(path))
  fail.check(nil, nil, f:write(bytes))
  fail.check(nil, nil, f:commit())
end

--- The same, where "-" means standard output.
function M.write_out(path, bytes)
  if path ~= "-" then return M.write(path, bytes) end
  local ok, why = io.stdout:write(bytes)
  if ok then ok, why = io.stdout:flush() end
  if not ok then fail { code = "file_failed", message = "standard output: " .. why } end
end

return M
