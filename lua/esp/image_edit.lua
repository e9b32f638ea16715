--- Changing the header of an image and taking its segments out. The input stays as it is; new bytes come back.
local fail = require "esp.error"
local image = require "esp.image"
local M = {}

local HEADER_SIZE, EXTENDED_SIZE = 8, 24
-- Fields of the extended header: offset, format, largest value.
local EXTENDED = {
  wp_pin = { 8, "B", 0xFF }, min_rev = { 14, "B", 0xFF }, min_rev_full = { 15, "<I2", 0xFFFF },
  max_rev_full = { 17, "<I2", 0xFFFF },
}

local function set(bytes, at, new)
  return bytes:sub(1, at) .. new .. bytes:sub(at + #new + 1)
end

local function read(source, name)
  local bytes = source
  if type(bytes) ~= "string" then bytes = image.reader(source).read(0, image.reader(source).size) end
  return bytes, image.parse(bytes, name)
end

local function code_of(map, value, what, data)
  if value == nil then return nil end
  if type(value) == "number" then return value end
  if map and map[value] then return map[value] end
  local known = {}
  for k in pairs(map or {}) do known[#known + 1] = k end
  table.sort(known)
  fail { code = "bad_argument", message = ("flash %s '%s' is not known for %s"):format(what, value, data and data.name
    or "an unknown chip"), hint = "known: " .. table.concat(known, ", ") }
end

local function number(value, max, what)
  if math.type(value) ~= "integer" or value < 0 or value > max then
    fail { code = "bad_argument", message = ("%s: a number from 0 to %d is expected, %s given")
      :format(what, max, tostring(value)) }
  end
  return value
end

local function chip_data(img)
  local chips = require "esp.chips"
  return img.esp8266 and chips.get "esp8266" or chips.by_image_id(img.chip_id)
end

-- The eight bytes of a header with what changes.
local function new_header(head, img, data, new)
  local magic, count, mode, size_freq, entry = ("<BBBBI4"):unpack(head)
  local flash = data and data.flash
  if img.version == 3 and data then flash = require "esp.chips".get(data.image.v3_codes).flash end
  mode = code_of(image.MODES, new.flash_mode, "mode", data) or mode
  local size = code_of(flash and flash.sizes, new.flash_size, "size", data) or size_freq & 0xF0
  local freq = code_of(flash and flash.freqs, new.flash_freq, "frequency", data) or size_freq & 0x0F
  entry = new.entry and number(new.entry, 0xFFFFFFFF, "entry") or entry
  return ("<BBBBI4"):pack(magic, count, mode, size | freq, entry)
end

--- Change header fields; checksum, SHA-256 and CRC follow where the image has them.
-- @param source string, payload or reader
-- @param new table: flash_mode, flash_size, flash_freq (names or codes), entry, wp_pin, min_rev, min_rev_full,
--   max_rev_full (numbers); repair = true: checksum and digest are made right although they were wrong before
-- @param name for messages
-- @return the new bytes; what follows the image is kept
-- @raise bad_image, bad_argument
function M.patch(source, new, name)
  local bytes, img = read(source, name)
  local data = chip_data(img)
  if not new.repair then
    local ok, damage = image.check(img, bytes)
    if not ok then
      damage.hint = "the image is damaged; repair makes checksum and digest right for what is there"
      fail(damage)
    end
  end
  local crc_at = img.format == "esp8266v2" and #bytes >= img.length + 4 and img.length
  local crc_of = require "esp.image_esp8266".sdk_crc
  local crc_fits = crc_at and ("<I4"):unpack(bytes, crc_at + 1) == crc_of { bytes:sub(1, crc_at) }
  local changed = bytes
  for _, at in ipairs { 0, img.second_header } do
    changed = set(changed, at, new_header(changed:sub(at + 1, at + HEADER_SIZE), img, data, new))
  end
  for key, field in pairs(EXTENDED) do
    if new[key] ~= nil then
      if img.format ~= "esp32" then
        fail { code = "bad_argument", message = ("%s: an image of the ESP8266 has no %s"):format(img.name, key) }
      end
      changed = set(changed, field[1], field[2]:pack(number(new[key], field[3], key)))
    end
  end
  assert(img.format ~= "esp32" or #changed >= EXTENDED_SIZE)
  changed = set(changed, img.checksum_offset, string.char(img.calculated_checksum))
  if img.digest then
    changed = set(changed, img.data_length, require "esp.core.digest".sha256(changed:sub(1, img.data_length)))
  end
  if crc_fits or crc_at and new.repair then
    changed = set(changed, crc_at, ("<I4"):pack(crc_of { changed:sub(1, crc_at) }))
  end
  return changed
end

--- The segments of an image with their bytes.
-- @return list of { index, address, size, data }
-- @raise bad_image
function M.segments(source, name)
  local bytes, img = read(source, name)
  local list = {}
  for i, s in ipairs(img.segments) do
    list[i] = { index = i - 1, address = s.address, size = s.size, data = bytes:sub(s.offset + 1, s.offset + s.size) }
  end
  return list
end

return M
