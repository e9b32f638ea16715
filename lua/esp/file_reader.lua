--- A file as something to read from: what esp.elf, esp.image and others take as their source.
local fail = require "esp.error"
local M = {}

--- Open a regular file.
-- @param path string
-- @return the file, to be closed, and a reader { size =, read = function(offset, n) } that gives at most n bytes
-- @raise file_missing, file_denied, bad_file
function M.open(path)
  local st, message, code = require "esp.core.fs".stat(path)
  if not st then
    fail { code = code, message = message, file = path, hint = "is the path right, seen from the current folder?" }
  end
  if st.type ~= "file" then
    local what = st.type == "dir" and "a directory, not a file" or "not a regular file"
    fail { code = "bad_file", file = path, message = ("%s: is %s"):format(path, what) }
  end
  local file, reason = io.open(path, "rb")
  if not file then
    fail { code = "file_denied", file = path, hint = "may you read it?",
           message = ("%s: %s"):format(path, (reason:gsub("^.-: ", ""))) }
  end
  file:setvbuf "no"
  return file, { size = st.size, read = function(at, n)
    if not file:seek("set", at) then return "" end
    return file:read(n) or ""
  end }
end

--- All bytes of a file.
-- @raise as M.open
function M.bytes(path)
  local file, reader = M.open(path)
  local bytes = reader.read(0, reader.size)
  file:close()
  return bytes
end

return M
