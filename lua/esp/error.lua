--- Error objects: what a user must be told, with a stable code.
-- An error has `code` (a short stable word), `message` (what happened, to which thing, what was
-- expected), `hint` (what to do, may be nil) and whatever else the place that raises it adds.
-- `tostring` gives the one line a user reads.

local mt = { __name = "esp.error" }

function mt:__tostring()
  return self.message or self.code
end

--- Raise an error object.
-- @param e table with code, message and optionally hint, cause and details
local function fail(e)
  assert(type(e) == "table" and e.code and e.message, "fail: code and message needed")
  error(setmetatable(e, mt), 0)
end

local M = { mt = mt }

--- Whether a caught value is an error object of ours.
function M.is(e)
  return getmetatable(e) == mt
end

--- Pass on the results of a primitive, or raise what it reported.
-- Primitives return `nil, message, code` when the world refuses.
-- @param what string put before the message, may be nil
-- @param hint string, may be nil
function M.check(what, hint, ...)
  local first, message, code = ...
  if first == nil and message then
    fail { code = code or "failed", message = (what and what .. ": " or "") .. message, hint = hint }
  end
  return ...
end

return setmetatable(M, { __call = function(_, e) fail(e) end })
