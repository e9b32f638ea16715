--- Talking with the program on a chip: wait for text, send text.
-- chip:console{...} makes one. The port stays the chip's; closing the console only forgets what was read.
local fail = require "esp.error"

local Console = {}
Console.__index = Console
Console.__name = "esp.console"

local KEEP = 65536                        -- bytes of unmatched text that are kept
local QUIET = 0.03                        -- seconds without a byte after which a match at the very end counts
local SHOWN = 200                         -- bytes of what arrived that a message shows

--- @param chip chip object
-- @param opts table or nil: baud (115200)
local function new(chip, opts)
  opts = opts or {}
  local baud = opts.baud or 115200
  if chip.baud ~= baud then chip:set_port_baud(baud) end
  return setmetatable({ port = chip.port, chip = chip, buffer = opts.text or "" }, Console)
end

--- Read what has arrived, or wait for it.
-- @param seconds how long; 0 when absent
-- @return string, "" when nothing came
function Console:read(seconds)
  local text = self.buffer
  self.buffer = ""
  if text ~= "" and not seconds then return text end
  return text .. (self:fetch(seconds or 0) or "")
end

-- Bytes from the port | nil when none came in time. A port that comes back (internal USB) is opened again.
function Console:fetch(seconds)
  local bytes, message, code = self.port:read(4096, seconds)
  if bytes and bytes ~= "" then return bytes end
  if code == "port_gone" then
    local ok, why, again = self.port:reopen(math.max(seconds, 0.1))
    if not ok then
      if again == "unsupported" then again, why = code, message end
      fail { code = again or code, message = why or message }
    end
    return nil
  end
  if not bytes and code and code ~= "timeout" then fail { code = code, message = message } end
  return nil
end

local function shorten(text)
  local tail = #text > SHOWN and "..." .. text:sub(-SHOWN) or text
  return (tail:gsub("[^ -~]", function(c)
    return c == "\n" and "\\n" or c == "\r" and "\\r" or ("\\x%02X"):format(c:byte())
  end))
end

--- Wait for a pattern.
-- What is before it is dropped, what follows stays for the next call.
-- @param pattern Lua pattern
-- @param seconds limit; 10 when absent
-- @return the captures, or the whole match
-- @raise timeout, with details.received; port_gone
function Console:expect(pattern, seconds)
  local task = require "esp.core.task"
  local deadline = task.now() + (seconds or 10)
  local settled = false
  while true do
    local found = table.pack(self.buffer:find(pattern))
    local first, last = found[1], found[2]
    -- A match that ends with the buffer may grow with the next byte, as a number does.
    if first and (last < #self.buffer or settled) then
      local match = self.buffer:sub(first, last)
      self.buffer = self.buffer:sub(last + 1)
      if found.n > 2 then return table.unpack(found, 3, found.n) end
      return match
    end
    local left = deadline - task.now()
    if left <= 0 and not first then
      fail { code = "timeout", details = { received = self.buffer },
             message = ("waited %g s for %q, received %s"):format(seconds or 10, pattern,
               self.buffer == "" and "nothing" or '"' .. shorten(self.buffer) .. '"') }
    end
    local bytes = self:fetch(first and QUIET or left)
    settled = first ~= nil and bytes == nil
    if bytes then self.buffer = (self.buffer .. bytes):sub(-KEEP) end
  end
end

--- Send text.
function Console:send(text)
  fail.check("sending", nil, self.port:write(text))
end

--- Forget what was read. The port belongs to the chip object and stays open.
function Console:close()
  self.buffer = ""
end
Console.__close = Console.close

return { new = new }
