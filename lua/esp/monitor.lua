--- Watching what a program says: its text as it comes, what addresses in it mean, keys to the program.
-- Nothing is printed here: the caller's write and explain do that.
--
--   local console = require("esp.console").new { port = port, baud = 115200 }
--   local watch = require("esp.monitor").new { console = console, write = function(text) io.write(text) end }
--   watch:run { seconds = 10, pattern = "ready" }
local fail = require "esp.error"
local M = {}
M.__index = M

local QUIET = 0.25                        -- seconds to wait at once: Ctrl-C and the end are noticed in between
local TYPING = 0.03                       -- the same while keys may come
local KEPT = 4096                         -- bytes of a line that are looked at
local RESET_KEY, END_KEY = "\18", "\29"   -- Ctrl-R, Ctrl-]

--- Read a filter: a Lua file that returns a function. It gets each line and returns what is to be shown instead:
-- a string, or nil for nothing.
-- @param path string
-- @return function(line)
-- @raise file_missing, file_denied, bad_file
function M.load_filter(path)
  local text = require "esp.file_reader".bytes(path)
  local chunk, why = load(text, "@" .. path, "t")
  local ok, filter
  if chunk then
    ok, filter = pcall(chunk)
    why = not ok and filter or nil
  end
  if type(filter) ~= "function" or not ok then
    fail { code = "bad_file", file = path, hint = "such as: return function(line) return line:upper() end",
           message = ("%s: %s"):format(path, why and tostring(why) or "does not return a function") }
  end
  return filter
end

--- @param o table: console (of esp.console); write = function(text); optional: addresses (of esp.addresses) and
--   explain = function(description), called after the line that holds the address; filter = function(line);
--   defmt = decoder of esp.defmt for messages among the text; keys = object with read(), as term.keys of esp.core
--   gives; reset = function(); stamp = function() -> string that
--   each line begins with
function M.new(o)
  local self = setmetatable({ line = "", bytes = 0, at_start = true }, M)
  for k, v in pairs(o) do self[k] = v end
  return self
end

local function show(self, text)
  if self.stamp and self.at_start and text ~= "" then self.write(self.stamp()) end
  if text ~= "" then self.at_start = false end
  self.write(text)
end

-- A line is whole: what its addresses are.
local function finish(self, line)
  local list = self.addresses and self.explain and self.addresses:line(line) or {}
  for _, d in ipairs(list) do self.explain(d) end
end

local function shown_by_filter(self, line, ending)
  local ok, text = pcall(self.filter, line)
  if not ok then
    fail { code = "bad_file", message = "the filter failed: " .. tostring(text), hint = "its line " .. ("%q"):format(
             line:sub(1, 100)) }
  end
  if text then show(self, tostring(text) .. ending) end
end

-- One piece of a line, perhaps with its end.
local function take(self, piece, ending)
  local before = self.line
  self.line = (before .. piece):sub(-KEPT)
  if not self.filter then show(self, piece .. ending) end
  local line = self.line:gsub("\r+$", "")
  local found = self.pattern and line:find(self.pattern) and line or nil
  if ending ~= "" then
    if self.filter then shown_by_filter(self, line, ending) end
    self.at_start = true
    finish(self, line)
    self.line = ""
  end
  return found
end

local function lines(self, text)
  local found
  for piece, ending in text:gmatch "([^\n]*)(\n?)" do
    if piece ~= "" or ending ~= "" then found = take(self, piece, ending) or found end
  end
  return found
end

--- Show what came.
-- @return the line in which the pattern was found | nil
function M:feed(text)
  self.bytes = self.bytes + #text
  if not self.defmt then return lines(self, text) end
  local found
  for _, piece in ipairs(self.defmt:feed(text)) do
    local shown = piece.text
    if piece.damaged then
      shown = ("(a message of %d bytes that cannot be decoded: is it the right ELF file?)"):format(#piece.raw)
    end
    if piece.damaged or piece.level then shown = (self.at_start and "" or "\n") .. shown .. "\n" end
    found = lines(self, shown) or found
  end
  return found
end

-- Keys: some are ours, the others go to the program.
-- @return true when it is to end
local function pass_keys(self)
  local typed = self.keys:read()
  if not typed then
    self.keys = nil
    return false
  end
  local rest = typed:match("^[^" .. END_KEY .. "]*")
  for part, key in rest:gmatch("([^" .. RESET_KEY .. "]*)(" .. RESET_KEY .. "?)") do
    if part ~= "" then self.console:send(part) end
    if key ~= "" and self.reset then
      self.reset()
      self.line = ""
    end
  end
  return rest ~= typed
end

--- Go on until the time is over, the pattern has come, or Ctrl-] was pressed.
-- @param o table or nil: seconds, pattern (a Lua pattern, looked for in each line while it grows)
-- @return { bytes =, found = the line or nil, ended = by the key }
-- @raise timeout when a pattern did not come in time; interrupted; port_gone
function M:run(o)
  o = o or {}
  local task = require "esp.core.task"
  local deadline = o.seconds and task.now() + o.seconds or math.huge
  self.pattern = o.pattern
  while true do
    local left = deadline - task.now()
    if left <= 0 then break end
    local text = self.console:read(math.min(left, self.keys and TYPING or QUIET))
    local found = text ~= "" and self:feed(text)
    if found then return { bytes = self.bytes, found = found } end
    if self.keys and pass_keys(self) then return { bytes = self.bytes, ended = true } end
  end
  if o.pattern then
    fail { code = "timeout", message = ("no line like %q in %g s, %d bytes were received"):format(o.pattern, o.seconds,
           self.bytes), hint = self.bytes == 0 and "is it this port, and this rate? --reset starts the program anew"
           or nil }
  end
  return { bytes = self.bytes }
end

return M
