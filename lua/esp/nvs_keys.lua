--- The keys of encrypted NVS: 32 bytes for the data, 32 for the tweak, and a checksum, in a page of flash.
-- Source: ESP-IDF Programming Guide, "NVS Encryption".
local crypto = require "esp.core.crypto"
local digest = require "esp.core.digest"
local fail = require "esp.error"
local M = {}

M.SIZE, M.PAGE = 64, 4096
local DATA_SEED, TWEAK_SEED = ("\x5A\x5A\xBE\xAE"):rep(8), ("\xA5\xA5\xDE\xCE"):rep(8)
local HMAC_BLOCK, HMAC_KEY = 64, 32

local function crc(bytes) return digest.crc32(bytes, 0xFFFFFFFF) end

--- New keys.
-- @return 64 bytes
function M.generate()
  return fail.check("NVS keys", nil, crypto.random(M.SIZE))
end

local function hmac(key, text)
  local function mask(value)
    return (key .. ("\0"):rep(HMAC_BLOCK - #key)):gsub(".", function(c) return string.char(c:byte() ~ value) end)
  end
  return digest.sha256(mask(0x5C) .. digest.sha256(mask(0x36) .. text))
end

--- The keys that a chip derives from a key in its eFuses (scheme with the HMAC peripheral).
-- @param key 32 bytes
-- @return 64 bytes
-- @raise bad_argument
function M.derive(key)
  if #key ~= HMAC_KEY then
    fail { code = "bad_argument", message = ("the HMAC key has %d bytes, expected %d"):format(#key, HMAC_KEY) }
  end
  return hmac(key, DATA_SEED) .. hmac(key, TWEAK_SEED)
end

--- What a partition of type data, subtype nvs_keys holds.
-- @param keys 64 bytes
-- @return a page
function M.encode(keys)
  assert(#keys == M.SIZE, "64 bytes expected")
  local head = keys .. ("<I4"):pack(crc(keys))
  return head .. ("\xFF"):rep(M.PAGE - #head)
end

--- The keys in such a page, or in a file of just the 64 bytes.
-- @param bytes string; name what messages call it
-- @return 64 bytes
-- @raise bad_nvs
function M.decode(bytes, name)
  name = name or "NVS keys"
  local keys = bytes:sub(1, M.SIZE)
  if #bytes < M.SIZE then
    fail { code = "bad_nvs", message = ("%s: %d bytes, keys have %d"):format(name, #bytes, M.SIZE), file = name }
  end
  if keys:find "^\xFF*$" then
    fail { code = "bad_nvs", message = name .. ": only erased bytes (0xFF), no keys", file = name }
  end
  if #bytes > M.SIZE then
    local found = #bytes >= M.SIZE + 4 and ("<I4"):unpack(bytes, M.SIZE + 1)
    if found ~= crc(keys) then
      fail { code = "bad_nvs", message = name .. ": the checksum at 0x40 is not that of the keys", file = name,
             hint = "is this a file of NVS keys?" }
    end
  end
  return keys
end

return M
