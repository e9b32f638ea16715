--- The security state of a chip: GET_SECURITY_INFO decoded and in words, and the same questions asked of the eFuses.
-- Source of the reply's layout: ESP-IDF, esp_rom secure_boot and the esptool documentation, "Serial Protocol".
-- A chip is anything with `data` and `read_reg(self, address)`; in secure download mode (`sdm`), where registers
-- cannot be read, the answers come from `security`, the decoded reply.
local chips = require "esp.chips"
local fail = require "esp.error"
local M = {}

-- flags, crypt count, key purposes of 7 blocks; then, except on the ESP32-S2, chip id and API version.
local INFO, INFO_SIZE = "<I4BBBBBBBB", 12
local INFO_IDS, INFO_IDS_SIZE = "<I4I4", 20
local PURPOSES = 7

local FLAGS = {
  [0] = "secure_boot", "secure_boot_aggressive_revoke", "secure_download", "secure_boot_key_revoke0",
  "secure_boot_key_revoke1", "secure_boot_key_revoke2", "soft_dis_jtag", "hard_dis_jtag", "dis_usb",
  "dis_download_dcache", "dis_download_icache",
}

local XTS_256_1, XTS_256_2, XTS_128 = 2, 3, 4            -- key purposes

local function read(chip, field)
  return chips.field_get(field, function(address) return chip:read_reg(address) end)
end

local function odd_bits(n)
  local odd = false
  while n ~= 0 do
    odd = not odd
    n = n & n - 1
  end
  return odd
end

-- The chip's data as its revision has it; the revision is only read where it matters.
local function data_of(chip)
  if not chip.data.revisions then return chip.data end
  local _, revision = require("esp.identity").revision(chip)
  return chips.at_revision(chip.data, revision)
end

--- Decode the body of a GET_SECURITY_INFO reply.
-- @param bytes 20 bytes, or 12 from an ESP32-S2; what follows is ignored
-- @return { flags, set = { secure_boot = true, ... }, crypt_cnt, key_purposes = list of 7, chip_id, api_version }
-- @raise bad_reply
function M.decode_security_info(bytes)
  if #bytes < INFO_SIZE then
    fail { code = "bad_reply", message = ("security info: %d bytes, expected %d or %d")
             :format(#bytes, INFO_IDS_SIZE, INFO_SIZE) }
  end
  local words = table.pack(INFO:unpack(bytes))
  local info = { flags = words[1], crypt_cnt = words[2], key_purposes = table.move(words, 3, 2 + PURPOSES, 1, {}),
                 set = {} }
  for n, name in pairs(FLAGS) do info.set[name] = info.flags >> n & 1 == 1 end
  if #bytes >= INFO_IDS_SIZE then
    info.chip_id, info.api_version = INFO_IDS:unpack(bytes, INFO_SIZE + 1)
  end
  return info
end

--- Name of a key purpose.
function M.key_purpose_name(data, value)
  return data.security.key_purpose_names and data.security.key_purpose_names[value] or "UNKNOWN"
end

local function named_purposes(data, values)
  local list = {}
  for i = 1, #(data.security.key_purposes or {}) do
    list[i] = { block = "BLOCK_KEY" .. i - 1, value = values[i], name = M.key_purpose_name(data, values[i]) }
  end
  return list
end

--- Purposes of the key blocks, from the eFuses (from the security info in secure download mode).
-- @return list of { block = "BLOCK_KEY0", value, name }; empty on chips whose keys have no purposes
function M.key_purposes(chip)
  if chip.sdm and chip.security then return named_purposes(chip.data, chip.security.key_purposes) end
  local data, values = data_of(chip), {}
  for i, field in ipairs(data.security.key_purposes or {}) do values[i] = read(chip, field) end
  return named_purposes(data, values)
end

local function jtag_in_words(set)
  if set.hard_dis_jtag then return "permanently disabled" end
  return set.soft_dis_jtag and "disabled by software" or "enabled"
end

--- The security info in words.
-- @param chip with `data` and `security` (decoded reply)
-- @return { flags, chip_id, api_version, key_purposes (named), secure_boot, aggressive_revoke, revoked = list of key
--   numbers, secure_download, flash_encryption, crypt_cnt, crypt_cnt_name, dcache_disabled, icache_disabled,
--   jtag = "enabled" | ..., usb_disabled, lines = list of { label, text } for people }
-- @raise unsupported
function M.security(chip)
  local info, data = chip.security, chip.data
  if not info then
    fail { code = "unsupported", message = data.name .. " has no security info",
           hint = data.security_info and "connect first" or nil }
  end
  local set = info.set
  local s = {
    flags = info.flags, chip_id = info.chip_id, api_version = info.api_version, crypt_cnt = info.crypt_cnt,
    crypt_cnt_name = data.security.crypt_cnt_name or "SPI_BOOT_CRYPT_CNT",
    key_purposes = named_purposes(data, info.key_purposes),
    secure_boot = set.secure_boot, aggressive_revoke = set.secure_boot_aggressive_revoke, revoked = {},
    secure_download = set.secure_download, flash_encryption = odd_bits(info.crypt_cnt),
    dcache_disabled = set.dis_download_dcache, icache_disabled = set.dis_download_icache,
    jtag = jtag_in_words(set), usb_disabled = set.dis_usb,
  }
  for key = 0, 2 do
    if set["secure_boot_key_revoke" .. key] then s.revoked[#s.revoked + 1] = key end
  end
  s.lines = M.security_lines(s)
  return s
end

--- A number as "0b101".
function M.binary(n)
  local digits = {}
  repeat
    table.insert(digits, 1, n & 1)
    n = n >> 1
  until n == 0
  return "0b" .. table.concat(digits)
end

--- What M.security found, line by line.
-- @return list of { label, text }
function M.security_lines(s)
  local lines = {}
  local function add(label, text) lines[#lines + 1] = { label, text } end
  local function switched(on) return on and "enabled" or "disabled" end
  add("Flags", ("0x%08x (%s)"):format(s.flags, M.binary(s.flags)))
  for _, key in ipairs(s.key_purposes) do add(key.block, ("%s (%d)"):format(key.name, key.value)) end
  if s.chip_id then
    add("Chip ID", tostring(s.chip_id))
    add("API version", tostring(s.api_version))
  end
  add("Secure boot", switched(s.secure_boot))
  if s.secure_boot then
    add("Aggressive key revocation", switched(s.aggressive_revoke))
    for _, key in ipairs(s.revoked) do add("Secure boot key " .. key, "revoked") end
  end
  add("Flash encryption", switched(s.flash_encryption))
  add("Crypt count (" .. s.crypt_cnt_name .. ")", ("0x%x"):format(s.crypt_cnt))
  if s.secure_download then add("Secure download mode", "enabled") end
  if s.dcache_disabled then add("Data cache in download mode", "disabled") end
  if s.icache_disabled then add("Instruction cache in download mode", "disabled") end
  add("JTAG", s.jtag)
  if s.usb_disabled then add("USB", "disabled") end
  return lines
end

--- Whether flash encryption is on: an odd number of bits in the crypt count.
-- @return boolean, crypt count (nil: the chip has none)
function M.flash_encryption(chip)
  local count
  if chip.sdm and chip.security then
    count = chip.security.crypt_cnt
  elseif chip.data.security.flash_crypt_cnt then
    count = read(chip, chip.data.security.flash_crypt_cnt)
  end
  return count ~= nil and odd_bits(count), count
end

--- Whether secure boot V1, which only the ESP32 has, is on.
function M.secure_boot_v1(chip)
  local field = chip.data.security.secure_boot_v1
  return field ~= nil and not chip.sdm and read(chip, field) == 1
end

--- Whether secure boot of any kind is on.
function M.secure_boot(chip)
  if chip.sdm and chip.security then return chip.security.set.secure_boot end
  local security = chip.data.security
  if M.secure_boot_v1(chip) then return true end
  if not security.secure_boot or read(chip, security.secure_boot) == 0 then return false end
  if not security.secure_boot_from then return true end
  local _, revision = require("esp.identity").revision(chip)
  return revision >= security.secure_boot_from
end

--- Whether the loader is forbidden to encrypt what it writes.
function M.encrypted_download_disabled(chip)
  local field = chip.data.security.dl_encrypt_disabled
  return field ~= nil and read(chip, field) == 1
end

--- FLASH_CRYPT_CONFIG of the ESP32: which address bits tweak the key.
-- @return 0..15 (15 when it cannot be read: it is then taken to be right) | nil: the chip has none
function M.flash_crypt_config(chip)
  local security = chip.data.security
  if not security.crypt_config then return nil end
  if read(chip, security.crypt_config_hidden) == 1 then return 15 end
  return read(chip, security.crypt_config)
end

--- Whether the key for flash encryption comes from the Key Manager instead of an eFuse block.
function M.key_manager(chip)
  local field = chip.data.security.key_manager_xts
  return field ~= nil and read(chip, field) == 1
end

local function any_word(chip, first, count)
  for i = 0, count - 1 do
    if chip:read_reg(first + 4 * i) ~= 0 then return true end
  end
  return false
end

local function has_purpose(chip, wanted)
  for _, key in ipairs(M.key_purposes(chip)) do
    if key.value == wanted then return true end
  end
  return false
end

-- How data.security.key_valid is answered. A key that cannot be read is taken to be there.
local KEY_VALID = {}

function KEY_VALID.block1(chip, security)
  return read(chip, security.key_hidden) == 1 or any_word(chip, table.unpack(security.key_words))
end

function KEY_VALID.key_block(chip, security)
  local whole = read(chip, security.key_length_256) == 1
  local halves = whole and 3 or 1
  if read(chip, security.key_hidden) & halves == halves then return true end
  local first, words = table.unpack(security.key_words)
  return any_word(chip, first, whole and words or words // 2)
end

function KEY_VALID.xts_128(chip)
  return has_purpose(chip, XTS_128) or M.key_manager(chip)
end

function KEY_VALID.xts_128_or_256(chip)
  return has_purpose(chip, XTS_128) or has_purpose(chip, XTS_256_1) and has_purpose(chip, XTS_256_2)
         or M.key_manager(chip)
end

--- Whether a key for flash encryption is programmed.
function M.encryption_key_valid(chip)
  local security = chip.data.security
  return security.key_valid ~= nil and KEY_VALID[security.key_valid](chip, security)
end

--- The lowest address that may be written without breaking the chip's security.
-- @return address, reason ("secure_boot_v1" or "key_manager") | 0
function M.protect_below(chip)
  local limits = chip.data.security.protect_below or {}
  local low, why = 0, nil
  for _, name in ipairs { "secure_boot_v1", "key_manager" } do
    if limits[name] and limits[name] > low and M[name](chip) then low, why = limits[name], name end
  end
  return low, why
end

return M
