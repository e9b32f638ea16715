--- Warnings and errors for an IDE that listens: the variable ESP_IDE_WS names its web socket. An IDE that cannot be
-- reached is no fault; it is not tried again.
-- Source: README of espressif/esp-pylib, "IDE WebSocket".
local M = {}
M.__index = M

local SECONDS = 2

--- @param url string: ws://...
function M.new(url)
  return setmetatable({ url = url }, M)
end

--- Tell the IDE.
-- @param kind "warning", "error" or "exception"
-- @param message string
-- @param more { suggestion =, file =, line = } or nil
function M:tell(kind, message, more)
  more = more or {}
  local json = require "esp.json"
  local text = json.encode { type = kind, message = message, suggestion = more.suggestion or json.null,
                             file = more.file or "", line = more.line or 0 }
  for _ = 1, 2 do                          -- again, should the connection have been lost
    if not self.url then return end
    if not self.socket then
      self.socket = require "esp.websocket".open(self.url, SECONDS)
      if not self.socket then self.url = nil end
    end
    if self.socket and self.socket:send(text) then return end
    self:close()
  end
end

function M:close()
  if self.socket then self.socket:close() end
  self.socket = nil
end

return M
