--- Firmware images: header, segments, checksum, digest; and changing the flash parameters in one.
-- Sources: ESP-IDF Programming Guide, "App Image Format"; ESP8266 Technical Reference, "Boot" and the
-- SDK's "2A-ESP8266 IoT SDK User Guide" for the 0xEA form.
--
-- Three layouts share one family of headers:
--   esp32    0xE9, 16 bytes of extended header, segments, checksum, SHA-256 (ESP32 and all later chips,
--            and the ESP8266 RTOS SDK, there called version 3: chip id 0 and an ESP8266 entry point)
--   esp8266  0xE9, segments at once, checksum (version 1)
--   esp8266v2  0xEA, the flash-mapped part, then a version 1 image
local fail = require "esp.error"
local M = {}

M.MAGIC, M.MAGIC_V2 = 0xE9, 0xEA
M.CHECKSUM_SEED = 0xEF
M.MAX_SEGMENTS = 16
M.MODES = { qio = 0, qout = 1, dio = 2, dout = 3 }
M.REV_UNSET = 0xFFFF        -- max_rev_full: no upper limit

local HEADER, HEADER_SIZE = "<BBBBI4", 8
local EXTENDED, EXTENDED_SIZE = "<BBBBI2BI2I2c4B", 16
local SEGMENT_SIZE = 8
local DIGEST_SIZE = 32
local CHUNK = 65536
-- Where ESP8266 code can start: its instruction RAM (ESP8266 Technical Reference, "Memory map").
local ESP8266_IRAM, ESP8266_IRAM_END = 0x40100000, 0x40110000

--- Something to read from: a string, an object with size() and read(offset, n) (a payload), or a
-- table { size = n, read = function(offset, n) }.
function M.reader(source)
  if type(source) == "string" then
    return { size = #source, read = function(at, n) return source:sub(at + 1, at + n) end }
  end
  if type(source.size) == "number" then return source end
  return { size = source:size(), read = function(at, n) return fail.check(nil, nil, source:read(at, n)) end }
end

--- A reader of part of another.
function M.window(reader, offset, size)
  return { size = size, read = function(at, n)
    if at >= size then return "" end
    return reader.read(offset + at, math.min(n, size - at))
  end }
end

local function broken(name, offset, text)
  return { code = "bad_image", name = name, offset = offset, reason = text, cut = text:find "^cut short" ~= nil,
           message = ("%s: %s (at offset 0x%X)"):format(name, text, offset),
           hint = "is the file complete, and an image for this chip?" }
end

--- Exclusive or of all bytes and sum, the images' checksum.
-- @param bytes string
-- @param sum integer to begin with, M.CHECKSUM_SEED for a whole image
function M.xor(bytes, sum)
  return require "esp.core.digest".xor(bytes, sum)
end

local function xor_range(reader, offset, size, sum)
  while size > 0 do
    local bytes = reader.read(offset, math.min(CHUNK, size))
    if #bytes == 0 then return nil end
    sum = M.xor(bytes, sum)
    offset, size = offset + #bytes, size - #bytes
  end
  return sum
end

local function sha256_range(reader, offset, size, patch)
  local h = require "esp.core.digest".new "sha256"
  local stop, first = offset + size, true
  while offset < stop do
    local bytes = reader.read(offset, math.min(CHUNK, stop - offset))
    if #bytes == 0 then return nil end
    if first and patch then bytes = bytes:sub(1, patch[1]) .. patch[2] .. bytes:sub(patch[1] + #patch[2] + 1) end
    first = false
    h:update(bytes)
    offset = offset + #bytes
  end
  return h:final()
end

--- Read the segment table from offset on. Returns the offset after the last segment, or nil and a fault.
local function read_segments(image, reader, offset, count, name)
  for i = 1, count do
    local head = reader.read(offset, SEGMENT_SIZE)
    if #head < SEGMENT_SIZE then
      return nil, broken(name, offset, ("cut short: header of segment %d of %d is missing"):format(i, count))
    end
    local address, size = ("<I4I4"):unpack(head)
    if size > reader.size - offset - SEGMENT_SIZE then
      local left = reader.size - offset - SEGMENT_SIZE
      return nil, broken(name, offset, ("cut short: segment %d of %d (load address 0x%08X) needs %d bytes, has %d")
        :format(i, count, address, size, left))
    end
    local segment = { address = address, size = size, offset = offset + SEGMENT_SIZE, checked = true }
    image.segments[#image.segments + 1] = segment
    offset = offset + SEGMENT_SIZE + size
  end
  return offset
end

--- The last byte of the 16-byte block that the segments end in.
local function read_checksum(image, reader, offset, name)
  local at = offset | 15
  local byte = reader.read(at, 1)
  if #byte < 1 then return nil, broken(name, at, "cut short: the checksum is missing") end
  image.checksum, image.checksum_offset = byte:byte(), at
  return at + 1
end

local function set_header(image, mode, size_freq, entry)
  image.mode, image.size_freq, image.entry = mode, size_freq, entry
  image.size_code, image.freq_code = size_freq & 0xF0, size_freq & 0x0F
end

local function parse_esp32(reader, name)
  local head = reader.read(0, HEADER_SIZE + EXTENDED_SIZE)
  if #head < HEADER_SIZE + EXTENDED_SIZE then
    return nil, broken(name, #head, "cut short: the header is incomplete")
  end
  local image = { format = "esp32", version = 1, segments = {}, name = name }
  local magic, count, mode, size_freq, entry = HEADER:unpack(head)
  if magic ~= M.MAGIC then
    return nil, broken(name, 0, ("no image: first byte 0x%02X, should be 0xE9"):format(magic))
  end
  set_header(image, mode, size_freq, entry)
  local wp, d1, d2, d3, chip_id, min_rev, min_full, max_full, reserved, appended =
    EXTENDED:unpack(head, HEADER_SIZE + 1)
  image.wp_pin, image.chip_id = wp, chip_id
  image.drive = { clk = d1 & 15, q = d1 >> 4, d = d2 & 15, cs = d2 >> 4, hd = d3 & 15, wp = d3 >> 4 }
  image.min_rev, image.min_rev_full, image.max_rev_full = min_rev, min_full, max_full
  image.reserved, image.hash_flag = reserved, appended
  if count == 0 or count > M.MAX_SEGMENTS then
    return nil, broken(name, 1, ("%d segments (1 to %d are possible)"):format(count, M.MAX_SEGMENTS)), image
  end
  if appended > 1 then return nil, broken(name, 23, ("hash flag is %d, should be 0 or 1"):format(appended)), image end
  image.hash_appended = appended == 1
  local at, fault = read_segments(image, reader, HEADER_SIZE + EXTENDED_SIZE, count, name)
  if at then at, fault = read_checksum(image, reader, at, name) end
  if not at then return nil, fault, image end
  image.data_length, image.length = at, at
  if image.hash_appended then
    image.digest = reader.read(at, DIGEST_SIZE)
    if #image.digest < DIGEST_SIZE then
      return nil, broken(name, at, "cut short: the SHA-256 at the end is incomplete"), image
    end
    image.length = at + DIGEST_SIZE
  end
  if chip_id == 0 and entry >= ESP8266_IRAM and entry < ESP8266_IRAM_END then
    image.esp8266, image.version = true, 3
  end
  return image
end

local function parse_esp8266(reader, name, offset, image)
  local head = reader.read(offset, HEADER_SIZE)
  if #head < HEADER_SIZE then return nil, broken(name, offset, "cut short: the header is incomplete") end
  local magic, count, mode, size_freq, entry = HEADER:unpack(head)
  if magic ~= M.MAGIC then
    return nil, broken(name, offset, ("no image: byte 0x%02X, should be 0xE9"):format(magic))
  end
  image = image or { format = "esp8266", version = 1, segments = {}, name = name }
  image.esp8266 = true
  set_header(image, mode, size_freq, entry)
  if count == 0 or count > M.MAX_SEGMENTS then
    return nil, broken(name, offset + 1, ("%d segments (1 to %d are possible)"):format(count, M.MAX_SEGMENTS)), image
  end
  local at, fault = read_segments(image, reader, offset + HEADER_SIZE, count, name)
  if at then at, fault = read_checksum(image, reader, at, name) end
  if not at then return nil, fault, image end
  image.data_length, image.length = at, at
  return image
end

local function parse_esp8266v2(reader, name)
  local head = reader.read(0, HEADER_SIZE)
  if #head < HEADER_SIZE then return nil, broken(name, #head, "cut short: the header is incomplete") end
  local _, count, mode, size_freq, entry = HEADER:unpack(head)
  local image = { format = "esp8266v2", version = 2, segments = {}, name = name, esp8266 = true }
  image.first = { count = count, mode = mode, size_freq = size_freq, entry = entry }
  local at, fault = read_segments(image, reader, HEADER_SIZE, 1, name)
  if not at then return nil, fault, image end
  image.segments[1].checked, image.segments[1].mapped = false, true
  image.second_header = at
  return parse_esp8266(reader, name, at, image)
end

--- Whether an image's checksum holds; the digest too when it has one.
-- @return true, or nil and what is wrong
function M.check(image, source)
  local reader = M.reader(source)
  local sum = M.CHECKSUM_SEED
  for _, s in ipairs(image.segments) do
    if s.checked then sum = xor_range(reader, s.offset, s.size, sum) or -1 end
  end
  image.checksum_valid, image.calculated_checksum = sum == image.checksum, sum
  if image.digest then
    image.calculated_digest = sha256_range(reader, 0, image.data_length)
    image.digest_valid = image.calculated_digest == image.digest
  end
  if not image.checksum_valid then
    return nil, broken(image.name, image.checksum_offset,
      ("checksum 0x%02X, calculated 0x%02X: the contents are damaged"):format(image.checksum, sum))
  end
  if image.digest_valid == false then
    return nil, broken(image.name, image.data_length, "the SHA-256 at the end does not match the contents")
  end
  return true
end

-- An ESP8266 image of version 1 and an ESP32 image begin with the same byte. The layout whose segments
-- start where that family has memory is the right one; an extended header read as a segment does not.
local function plausible_esp8266(image)
  if not image then return false end
  for _, s in ipairs(image.segments) do
    local iram = s.address >= ESP8266_IRAM and s.address < ESP8266_IRAM_END
    local dram = s.address >= 0x3FFE0000 and s.address < 0x40000000
    local mapped = s.mapped or s.address >= 0x40200000 and s.address < 0x40300000
    if not (iram or dram or mapped) then return false end
  end
  return #image.segments > 0 and image.entry >= 0x40000000 and image.entry < ESP8266_IRAM_END
end

--- Look for an image at the start of source.
-- @param source string, payload or reader
-- @param name for messages
-- @param family "esp8266" or "esp32" when it is known; both kinds can begin alike
-- @return the image, or nil, a fault (see broken) and as much as could be read of the image
function M.probe(source, name, family)
  local reader = M.reader(source)
  name = name or "image"
  if reader.size == 0 then return nil, broken(name, 0, "the file is empty") end
  local magic = reader.read(0, 1):byte()
  if magic == M.MAGIC_V2 then return parse_esp8266v2(reader, name) end
  if magic ~= M.MAGIC then
    return nil, broken(name, 0, ("no image: first byte 0x%02X, should be 0xE9"):format(magic or 0))
  end
  if family == "esp32" then return parse_esp32(reader, name) end
  local old, old_fault, old_part = parse_esp8266(reader, name, 0)
  if family == "esp8266" or plausible_esp8266(old) then return old, old_fault, old_part end
  local image, fault, part = parse_esp32(reader, name)
  if image then return image end
  if plausible_esp8266(old_part) then return nil, old_fault, old_part end
  return nil, fault, part
end

--- Decode an image; a fault raises.
-- @param source string, payload or reader
-- @param name file name for messages
-- @return table: format, version, entry, mode, size_code, freq_code, segments (address, size, offset),
--   checksum, checksum_valid, data_length, length; with an extended header also chip_id, wp_pin, drive,
--   min_rev, min_rev_full, max_rev_full, hash_appended, digest, digest_valid
-- @param family as for M.probe
-- @raise bad_image, with file and offset
function M.parse(source, name, family)
  local image, fault = M.probe(source, name, family)
  if not image then fail(fault) end
  M.check(image, source)
  return image
end

--- Whether something is clearly meant to be an image, sound or not: not every file that begins with 0xE9 is
-- one, so the rest of the header must fit too.
-- @param img an image, or what M.probe gave as third value
-- @param known function(image) -> true when its chip id and entry point are those of a chip
function M.clearly_meant(img, known)
  return img ~= nil and (plausible_esp8266(img) or img.chip_id ~= nil and known(img) == true)
end

--- The chip that an image is for, by its own words.
-- @return chip id (the number in the header), or "esp8266"
function M.target(image)
  if image.esp8266 then return "esp8266" end
  return image.chip_id
end

--- Check a chip's revision against the limits in an image.
-- The 16-bit limits count when the image has them; older images only have the minimum as one byte,
-- which is a minor number on some chips and a major one on the others.
-- @param image with min_rev, min_rev_full, max_rev_full
-- @param revision { major =, minor = }
-- @param min_is_minor whether the old byte holds a minor number (chip data)
-- @return true, or nil, a text of what the image wants, and whether it is the 16-bit limits that say so
function M.check_revision(image, revision, min_is_minor)
  if not image.max_rev_full then return true end
  local number = revision.major * 100 + revision.minor
  local function v(n) return ("v%d.%d"):format(n // 100, n % 100) end
  local full = image.max_rev_full ~= 0
  if image.max_rev_full == M.REV_UNSET and image.min_rev_full == 0 and image.min_rev ~= 0 then full = false end
  if not full then
    local have = min_is_minor and revision.minor or revision.major
    if have >= image.min_rev then return true end
    return nil, ("%s revision %d or higher"):format(min_is_minor and "minor" or "major", image.min_rev), false
  end
  if number < image.min_rev_full then return nil, "revision " .. v(image.min_rev_full) .. " or higher", true end
  if number > image.max_rev_full then return nil, "revision " .. v(image.max_rev_full) .. " at most", true end
  return true
end

--- Change mode, size and frequency in an image's header and correct its SHA-256.
-- Nothing is changed in place: the result is a list of patches { offset, bytes } for a payload.
-- What follows the image in a merged file stays as it is.
-- @param source string, payload or reader
-- @param image from M.parse
-- @param new { mode =, size =, freq = }: codes for the header; nil keeps
-- @return list of patches (empty when nothing changes) and the new 16-bit value (mode, size and frequency)
function M.patch_header(source, image, new)
  local mode = new.mode or image.mode
  local size_freq = (new.size or image.size_code) | (new.freq or image.freq_code)
  local value = mode << 8 | size_freq
  local bytes = string.char(mode, size_freq)
  local patches = {}
  if mode ~= image.mode or size_freq ~= image.size_freq then patches[1] = { 2, bytes } end
  if #patches > 0 and image.digest then
    patches[#patches + 1] =
      { image.data_length, sha256_range(M.reader(source), 0, image.data_length, { 2, bytes }) }
  end
  return patches, value
end

return M
