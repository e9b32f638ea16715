--- The Secure Debug Controller's certificates: what the chip says of itself for one, and handing it one.
-- The commands are those of the ROM loader, where it has them (chip data: rom.sdc). Source: esptool documentation,
-- "Advanced Commands", and the tests of its SDC commands.
local fail = require "esp.error"
local M = {}

local VERIFY_BEGIN, VERIFY_DATA, VERIFY_END = 0x19, 0x1A, 0x1B
local GEN_BEGIN, GEN_DATA, GEN_END = 0x1C, 0x1D, 0x1E
local INFO_SIZE, NONCE_SIZE = 32, 32
local ANSWER_SIZE = 64                     -- the information, filled up with zeros
local LARGEST = 0x1000                     -- a certificate has some hundred bytes
local CHECKSUM_SEED = 0xEF
local LINE_FAULTS = { timeout = true, no_reply = true }

local function need(chip)
  if not chip.data.rom.sdc then
    fail { code = "unsupported", message = ("%s has no Secure Debug Controller"):format(chip.name) }
  end
  if chip.stub then
    fail { code = "unsupported", message = "certificates for debugging are a matter of the ROM loader, a stub answers",
           hint = "reset the chip, and connect without the stub" }
  end
end

local function checksum(bytes)
  local sum = CHECKSUM_SEED
  for i = 1, #bytes do sum = sum ~ bytes:byte(i) end
  return sum
end

local function with_length(bytes)
  return ("<I4"):pack(#bytes) .. bytes
end

--- What the chip says of itself for a certificate.
-- @param nonce 32 bytes for the chip to answer to; random when absent
-- @return 32 bytes of information; the nonce
-- @raise unsupported, rom_error, bad_reply, timeout
function M.chip_info(chip, nonce)
  need(chip)
  nonce = nonce or fail.check("nonce", nil, require "esp.core.crypto".random(NONCE_SIZE))
  if #nonce ~= NONCE_SIZE then error("a nonce of 32 bytes expected", 2) end
  -- The ROM may complain of the first two and answer the third all the same.
  local function tell(op, data, sum)
    local value, message, code = chip:try_command(op, data, { checksum = sum })
    if value == nil and code ~= "rom_error" then fail { code = code, message = "asking for chip info: " .. message } end
  end
  tell(GEN_BEGIN, ("<I4"):pack(1))
  tell(GEN_DATA, with_length(nonce), checksum(nonce))
  local _, body = chip:command(GEN_END, ("<I4"):pack(1), { reply = ANSWER_SIZE, what = "reading chip info" })
  if #body < INFO_SIZE then
    fail { code = "bad_reply", message = ("chip info: %d bytes, expected %d"):format(#body, INFO_SIZE) }
  end
  return body:sub(1, INFO_SIZE), nonce
end

--- Hand the chip a certificate.
-- @param certificate bytes
-- @return true
-- @raise unsupported, bad_file, rom_error when the chip refuses it
function M.verify(chip, certificate)
  need(chip)
  if #certificate == 0 or #certificate > LARGEST then
    fail { code = "bad_file", message = ("certificate of %d bytes, expected 1 to %d"):format(#certificate, LARGEST) }
  end
  chip:command(VERIFY_BEGIN, ("<I4I4"):pack(1, #certificate), { what = "announcing the certificate" })
  chip:command(VERIFY_DATA, with_length(certificate), { checksum = checksum(certificate),
                                                        what = "sending the certificate" })
  local value, message, code, details = chip:try_command(VERIFY_END, ("<I4"):pack(0))
  if value == nil then
    fail { code = code or "failed", details = details, message = "the chip does not take the certificate: " .. message,
           hint = LINE_FAULTS[code] and "it is silent where an eFuse lets only HMAC enable JTAG again"
             or "is it for this chip, with its chip info, signed with the key whose digest is burned?" }
  end
  return true
end

return M
