--- Who may use a port that is served: addresses and networks.
local fail = require "esp.error"
local M = {}

local function mask_of(text)
  local port = require "esp.core.port"
  local address, bits = text:match "^([^/]+)/?(%d*)$"
  local bytes = address and port.address(address)
  local length = bytes and #bytes * 8
  bits = bits == "" and length or tonumber(bits)
  if not bytes or not bits or bits > length then
    fail { code = "bad_argument", message = ("%s: not an address, nor a network"):format(text:sub(1, 60)),
           hint = "192.168.1.17, 10.0.0.0/8, fd00::/8" }
  end
  return { bytes = bytes, bits = bits }
end

local function matches(mask, bytes)
  if #bytes ~= #mask.bytes then return false end
  local whole, rest = mask.bits // 8, mask.bits % 8
  if bytes:sub(1, whole) ~= mask.bytes:sub(1, whole) then return false end
  return rest == 0 or (bytes:byte(whole + 1) ~ mask.bytes:byte(whole + 1)) >> (8 - rest) == 0
end

--- A list of addresses and networks.
-- @param list of "192.168.1.17", "10.0.0.0/8", "fd00::/8"
-- @return function(address) -> whether it is in one of them
-- @raise bad_argument
function M.allow_list(list)
  local masks = {}
  for i, text in ipairs(list) do masks[i] = mask_of(text) end
  return function(address)
    local bytes = require "esp.core.port".address(address)
    for _, mask in ipairs(bytes and masks or {}) do
      if matches(mask, bytes) then return true end
    end
    return false
  end
end

--- Whether an address is reached from this machine only.
function M.is_local(address)
  return address == "localhost" or address == "::1" or address:match "^127%." ~= nil
end

return M
