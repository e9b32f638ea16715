--- Base64. Source: RFC 4648, section 4.
local M = {}

local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local VALUES = {}
for i = 1, #LETTERS do VALUES[LETTERS:byte(i)] = i - 1 end

--- Text for bytes.
function M.encode(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    local part = bytes:sub(at, at + 2)
    local n, text = (">I3"):unpack(part .. ("\0"):rep(3 - #part)), ""
    for shift = 18, 18 - 6 * #part, -6 do
      local i = (n >> shift & 63) + 1
      text = text .. LETTERS:sub(i, i)
    end
    out[#out + 1] = text .. ("="):rep(3 - #part)
  end
  return table.concat(out)
end

-- Bytes for letters of the alphabet without padding, nil when one letter is left over.
local function bytes_of(letters)
  if #letters % 4 == 1 then return nil end
  local out = {}
  for at = 1, #letters, 4 do
    local n, count = 0, math.min(4, #letters - at + 1)
    for i = 0, 3 do n = n << 6 | (i < count and VALUES[letters:byte(at + i)] or 0) end
    out[#out + 1] = (">I3"):pack(n):sub(1, count - 1)
  end
  return table.concat(out)
end

--- Bytes for text; white space does not count.
-- @return string, nil when the text is no base64
function M.decode(text)
  local body = text:gsub("%s", "")
  local letters = body:match "^([%w+/]*)=?=?$"
  if not letters or #body % 4 ~= 0 or #body - #letters > 2 then return nil end
  return bytes_of(letters)
end

--- Bytes for text up to the padding; what does not belong there is passed over.
-- @return string, nil when it is cut short
function M.decode_loosely(text)
  return bytes_of((text:gsub("=.*", ""):gsub("[^%w+/]", "")))
end

return M
