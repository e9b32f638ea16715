--- A web socket to send texts over. Source: RFC 6455, the client's side; ws:// only, what the other side sends is
-- passed over.
local base64 = require "esp.base64"
local core = require "esp.core.port"
local random = require "esp.core.crypto".random
local M = {}
M.__index = M

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
local ANSWER_MAX = 8192
local TEXT, CLOSE = 0x81, 0x88            -- whole messages
local NORMAL = "\x03\xE8"                 -- 1000: it is done

local REQUEST = "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
  .. "Sec-WebSocket-Version: 13\r\n\r\n"

local function answered(port, key, seconds)
  local now = require "esp.core.task".now
  local deadline, text = now() + seconds, ""
  while not text:find("\r\n\r\n", 1, true) do
    local more, message = port:read(ANSWER_MAX, math.max(deadline - now(), 0))
    if not more then return nil, message end
    text = text .. more
    if #text > ANSWER_MAX then return nil, "the answer is too long" end
  end
  local wanted = base64.encode(require "esp.core.digest".sha1(key .. GUID))
  local accept
  for name, value in text:gmatch "\r\n([%w%-]+):%s*(%S+)" do
    if name:lower() == "sec-websocket-accept" then accept = value end
  end
  if not text:find "^HTTP/1%.1 101%f[%D]" or accept ~= wanted then return nil, "no web socket answers there" end
  return true
end

--- Connect.
-- @param url string: ws://HOST[:PORT][/PATH]
-- @param seconds that connecting and the answer may take each
-- @return object, to be closed | nil, message
function M.open(url, seconds)
  local host, path = url:match "^[wW][sS]://([^/?#]+)([^#]*)"
  if not host then return nil, "ws://HOST:PORT expected" end
  local port, message = core.open("socket://" .. (host:find ":%d+$" and host or host .. ":80"), { timeout = seconds })
  if not port then return nil, message end
  local key = base64.encode(random(16))
  local ok
  ok, message = port:write(REQUEST:format(path:find "^/" and path or "/" .. path, host, key))
  if ok then ok, message = answered(port, key, seconds) end
  if ok then return setmetatable({ port = port }, M) end
  port:close()
  return nil, message
end

-- A client masks what it sends.
local function frame(kind, text)
  local mask, out = random(4), {}
  for i = 1, #text do out[i] = string.char(text:byte(i) ~ mask:byte((i - 1) % 4 + 1)) end
  local n = #text
  local size = n < 126 and ("B"):pack(0x80 | n) or n < 0x10000 and (">BI2"):pack(0x80 | 126, n)
    or (">BI8"):pack(0x80 | 127, n)
  return string.char(kind) .. size .. mask .. table.concat(out)
end

--- Send a text.
-- @return true | nil, message: the connection is over
function M:send(text)
  local bytes, message, code
  repeat                                    -- what came from there; whether it still is
    bytes, message, code = self.port:read(ANSWER_MAX, 0)
  until not bytes
  if code ~= "timeout" then return nil, message end
  return self.port:write(frame(TEXT, text))
end

function M:close()
  if not self.port then return end
  self.port:write(frame(CLOSE, NORMAL))
  self.port:close()
  self.port = nil
end
M.__close = M.close

return M
