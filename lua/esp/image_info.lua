--- What an image says about itself: everything as plain tables, and as lines in esptool's words.
-- Sources: ESP-IDF Programming Guide, "App Image Format" (application description) and "Bootloader Image Format".
local fail = require "esp.error"
local chips = require "esp.chips"
local image = require "esp.image"
local M = {}

local APP, APP_SIZE, APP_MAGIC = "<I4I4c8c32c32c16c16c32c32I2I2B", 256, 0xABCD5432
local BOOT, BOOT_SIZE, BOOT_MAGIC = "<Bc3I4c32c24", 80, 0x50
local SEGMENT_HEADER = 8
local WP_PIN_UNUSED = 0xEE
local V2_COUNT = 4
local HEX_HEAD = 600

-- What goes to a terminal: no control characters, and what is no UTF-8 only as ASCII.
local function text(s)
  s = s:match "^%Z*"
  return (s:gsub(utf8.len(s) and "[%c\127]" or "[%c\127-\255]", "?"))
end

--- The description that an app of ESP-IDF begins with.
-- @param bytes string: the beginning of its first flash segment
-- @return table: secure_version, version, project_name, time, date, idf_ver, elf_sha256 (hex), min_efuse_blk_rev,
--   max_efuse_blk_rev (numbers, major * 100 + minor), mmu_page_size (bytes or nil); nil when there is none
function M.app(bytes)
  if #bytes < APP_SIZE then return nil end
  local magic, secure, _, version, project, time, date, idf, digest, low, high, page = APP:unpack(bytes)
  if magic ~= APP_MAGIC then return nil end
  return { secure_version = secure, version = text(version), project_name = text(project), time = text(time),
           date = text(date), idf_ver = text(idf), elf_sha256 = require "esp.core.digest".hex(digest),
           min_efuse_blk_rev = low, max_efuse_blk_rev = high,
           mmu_page_size = page > 0 and page < 32 and 1 << page or nil }
end

--- The description that a bootloader of ESP-IDF begins with.
-- @param bytes string: the beginning of a RAM segment
-- @return table: version, idf_ver, date_time; nil when there is none
function M.bootloader(bytes)
  if #bytes < BOOT_SIZE then return nil end
  local magic, _, version, idf, time = BOOT:unpack(bytes)
  if magic ~= BOOT_MAGIC then return nil end
  return { version = version, idf_ver = text(idf), date_time = text(time) }
end

-- The name of a code; where a chip has one code for two frequencies, the higher one, which is what was asked for.
local function name_of(map, code)
  local best
  for name, value in pairs(map) do
    if value == code and (not best or tonumber(name:match "^%d+") > tonumber(best:match "^%d+")) then best = name end
  end
  return best
end

local function chip_of(img, wanted, warn)
  if wanted then
    local data = chips.get(wanted)
    if data.image_chip_id and img.chip_id ~= data.image_chip_id then
      warn(("Unexpected chip ID in image. Expected %d but value was %s. Is this image for a different chip model?")
        :format(data.image_chip_id, img.chip_id or "none"))
    end
    return data
  end
  if img.esp8266 then return chips.get "esp8266" end
  return (chips.by_image_id(img.chip_id))
end

local function read_segments(img, reader, data)
  local list, app, bootloader = {}, nil, nil
  for i, s in ipairs(img.segments) do
    local types = data and require "esp.image_elf".memory_types(data, s.mapped and -1 or s.address) or {}
    local has = {}
    for _, t in ipairs(types) do has[t] = true end
    list[i] = { index = i - 1, address = s.address, size = s.size, offset = s.offset, types = types, mapped = s.mapped }
    if has.DROM and app == nil then          -- it is in the first, or there is none
      app = M.app(reader.read(s.offset, APP_SIZE)) or false
    elseif has.DRAM and not bootloader then
      bootloader = M.bootloader(reader.read(s.offset, BOOT_SIZE))
    end
  end
  return list, app or nil, app == nil and bootloader or nil
end

-- What an ESP8266 image should not have.
local function look_at_old(img, warn)
  for _, s in ipairs(img.segments) do
    if not s.mapped and (s.address > 0x40200000 or s.address < 0x3FFE0000 or s.size > 65536) then
      warn(("Suspicious segment 0x%x, length %d"):format(s.address, s.size))
    end
  end
  local first = img.first
  if not first then return end
  if first.count ~= V2_COUNT then
    warn(("V2 header has unexpected \"segment\" count %d (usually %d)"):format(first.count, V2_COUNT))
  end
  for _, part in ipairs { { "mode", "Flash mode value", "0x%02x" }, { "size_freq", "Flash size/freq value", "0x%02x" },
                          { "entry", "Entrypoint address", "0x%08x" } } do
    local key, what, form = part[1], part[2], part[3]
    if first[key] ~= img[key] then
      warn(("%s in first header (" .. form .. ") disagrees with second (" .. form .. "). Using second value.")
        :format(what, first[key], img[key]))
    end
  end
end

local OTHERS = { ["\127ELF"] = "an ELF file: `esplua image from-elf` makes an image of it", ["UF2\n"] = "a UF2 file",
                 ["PK\3\4"] = "an archive", ["\xAA\x50\1\0"] = "a partition table: `esplua partition show`",
                 ["\xAA\x50\1\2"] = "a partition table: `esplua partition show`" }

-- What a file may be that is no image.
local function hint_for(reader)
  local known = OTHERS[reader.read(0, 4)]
  if known then return "this is " .. known end
  for _, at in ipairs { 0x1000, 0x2000 } do
    if reader.size > at and reader.read(at, 1):byte() == image.MAGIC then
      return ("images begin with 0xe9 or 0xea; one may begin at 0x%X of this file"):format(at)
    end
  end
  return "images begin with 0xe9 or 0xea"
end

--- Describe an image.
-- @param source string, payload or reader
-- @param opts chip (name; found out from the image when absent), name (for messages)
-- @return table: name, size (of the source), length (of the image), chip (id), chip_name, detected (boolean), format,
--   version, entry, flash = { mode, size, freq, mode_code, size_code, freq_code }, segments = list of { index,
--   address, size, offset (of the data), types }, checksum, checksum_valid, calculated_checksum; with an extended
--   header: chip_id, wp_pin, drive, min_rev, min_rev_full, max_rev_full, digest, calculated_digest, digest_valid
--   (hex); app, bootloader (as M.app, M.bootloader); warnings = list of strings
-- @raise bad_image, unknown_chip
function M.describe(source, opts)
  opts = opts or {}
  local name, reader = opts.name or "image", image.reader(source)
  if reader.size == 0 then
    fail { code = "bad_image", file = name, message = name .. ": Image is empty.", hint = "did the build finish?" }
  end
  local magic = reader.read(0, 1):byte() or 0
  if magic ~= image.MAGIC and magic ~= image.MAGIC_V2 then
    fail { code = "bad_image", file = name, offset = 0, hint = hint_for(reader),
           message = ("%s: This is not a valid image (invalid magic number: 0x%x)."):format(name, magic) }
  end
  local family
  if opts.chip then family = chips.get(opts.chip).image_chip_id and "esp32" or "esp8266" end
  local warnings = {}
  local function warn(s) warnings[#warnings + 1] = s end
  local img, fault, part = image.probe(reader, name, family)
  if not img and part and part.digest then               -- all but the digest is there
    img = part
    warn "The file is cut short: the SHA-256 at its end is incomplete."
  end
  if not img then fail(fault) end
  image.check(img, reader)
  local data = chip_of(img, opts.chip, warn)
  local flash = { mode_code = img.mode, size_code = img.size_code, freq_code = img.freq_code,
                  mode = name_of({ ["0qio"] = 0, ["1qout"] = 1, ["2dio"] = 2, ["3dout"] = 3 }, img.mode) }
  flash.mode = flash.mode and flash.mode:sub(2)
  if data then
    local codes = img.version == 3 and data.image.v3_codes and chips.get(data.image.v3_codes) or data
    flash.size, flash.freq = name_of(codes.flash.sizes, img.size_code), name_of(codes.flash.freqs, img.freq_code)
  else
    warn(("Unknown image chip ID (%d)."):format(img.chip_id))
  end
  if img.esp8266 then look_at_old(img, warn) end
  local hex = require "esp.core.digest".hex
  local segments, app, bootloader = read_segments(img, reader, data)
  return {
    name = name, size = reader.size, length = img.length, chip = data and data.id, chip_name = data and data.name,
    detected = not opts.chip, format = img.format, version = img.version, entry = img.entry, flash = flash,
    segments = segments, checksum = img.checksum, checksum_valid = img.checksum_valid,
    calculated_checksum = img.calculated_checksum, chip_id = img.chip_id, wp_pin = img.wp_pin, drive = img.drive,
    min_rev = img.min_rev, min_rev_full = img.min_rev_full, max_rev_full = img.max_rev_full,
    digest = img.digest and hex(img.digest), calculated_digest = img.calculated_digest and hex(img.calculated_digest),
    digest_valid = img.digest_valid, app = app, bootloader = bootloader, warnings = warnings,
  }
end

--- Describe a file: an image, or an Intel HEX file with several.
-- @param path string
-- @param opts as for M.describe
-- @return list of { address, size, info = table of M.describe, or fault = error object }; and whether it is Intel HEX.
--   The fault of a file that is not Intel HEX is raised
-- @raise as M.describe, and file_missing, file_denied, bad_file, bad_hex
function M.describe_file(path, opts)
  opts = opts or {}
  local file, reader = require "esp.file_reader".open(path)
  local _ <close> = file
  local hex = require "esp.hex"
  if not hex.looks_like(reader.read(0, HEX_HEAD)) then
    return { { size = reader.size, info = M.describe(reader, { chip = opts.chip, name = path }) } }, false
  end
  file:seek "set"
  local list, chip = {}, opts.chip
  for i, r in ipairs(hex.decode(function(n) return file:read(n) end, path)) do
    local ok, info = pcall(M.describe, r.data, { chip = chip, name = ("%s at 0x%X"):format(path, r.address) })
    if not ok and not fail.is(info) then error(info, 0) end
    list[i] = { address = r.address, size = #r.data, info = ok and info or nil, fault = not ok and info or nil }
    if i == 1 and ok then
      info.detected = not opts.chip
      chip = chip or info.chip
    elseif ok then
      info.detected = false
    end
  end
  return list, true
end

local function revision(n)
  return ("v%d.%d"):format(n // 100, n % 100)
end

--- The description as lines in esptool's words, which other programs look for.
-- @param info from M.describe
-- @param add function(level, line) with level "info" or "warning"
function M.lines(info, add)
  local chip = info.chip_name or ("Unknown chip (%d)"):format(info.chip_id or 0)
  local function line(...) add("info", (...) and string.format(...) or "") end
  local function title(...)
    local s = string.format(...)
    line("%s", s)
    line("%s", ("="):rep(#s))
  end
  local function flash(label, what, name, code)
    if name then return line("Flash %s: %s", label, name) end
    add("warning", ("Invalid flash %s (0x%x)"):format(what, code))
  end
  for _, w in ipairs(info.warnings) do add("warning", w) end
  line()
  title("%s Image Header", chip)
  line("Image version: %d", info.version)
  if info.entry ~= 0 then line("Entry point: 0x%x", info.entry) else line "Entry point not set" end
  line("Segments: %d", #info.segments)
  if info.chip then
    flash("size", "size", info.flash.size, info.flash.size_code)
    flash("freq", "frequency", info.flash.freq, info.flash.freq_code)
  end
  if info.flash.mode then
    line("Flash mode: %s", info.flash.mode:upper())
  else
    add("warning", ("Invalid flash mode (%d)"):format(info.flash.mode_code))
  end
  if info.chip_id and info.chip ~= "esp8266" then
    local d = info.drive
    local known = chips.by_image_id(info.chip_id)
    line()
    title("%s Extended Image Header", chip)
    line("WP pin: 0x%x%s", info.wp_pin, info.wp_pin == WP_PIN_UNUSED and " (disabled)" or "")
    line("Flash pins drive settings: "
         .. "clk_drv: 0x%x, q_drv: 0x%x, d_drv: 0x%x, cs0_drv: 0x%x, hd_drv: 0x%x, wp_drv: 0x%x",
         d.clk, d.q, d.d, d.cs, d.hd, d.wp)
    line("Chip ID: %d (%s)", info.chip_id, known and known.name or "Unknown ID")
    line("Minimal chip revision: %s, (legacy min_rev = %d)", revision(info.min_rev_full), info.min_rev)
    line("Maximal chip revision: %s", revision(info.max_rev_full))
  end
  line()
  title "Segments Information"
  line "Segment   Length   Load addr   File offs  Memory types"
  line "-------  -------  ----------  ----------  ------------"
  for _, s in ipairs(info.segments) do
    -- Loaders take whole words: the length is shown so, and the offset is that of the segment's header.
    line("%7d  0x%05x  0x%08x  0x%08x  %s", s.index, s.address == 0 and s.size or (s.size + 3) // 4 * 4, s.address,
         s.offset - SEGMENT_HEADER, table.concat(s.types, ", "))
  end
  line()
  title("%s Image Footer", chip)
  line("Checksum: 0x%02x (%s)", info.checksum, info.checksum_valid and "valid"
    or ("invalid - calculated 0x%02x"):format(info.calculated_checksum))
  if info.digest then
    line("Validation hash: %s (%s)", info.calculated_digest, info.digest_valid and "valid" or "invalid")
  end
  local app, bootloader = info.app, info.bootloader
  if app then
    line()
    title "Application Information"
    line("Project name: %s", app.project_name)
    line("App version: %s", app.version)
    line("Compile time: %s %s", app.date, app.time)
    line("ELF file SHA256: %s", app.elf_sha256)
    line("ESP-IDF: %s", app.idf_ver)
    line("Minimal eFuse block revision: %s", revision(app.min_efuse_blk_rev):sub(2))
    line("Maximal eFuse block revision: %s", revision(app.max_efuse_blk_rev):sub(2))
    if app.mmu_page_size then line("MMU page size: %d KB", app.mmu_page_size // 1024) end
    line("Secure version: %d", app.secure_version)
  elseif bootloader then
    line()
    title "Bootloader Information"
    line("Bootloader version: %d", bootloader.version)
    line("ESP-IDF: %s", bootloader.idf_ver)
    line("Compile time: %s", bootloader.date_time)
  end
end

--- The description of a file as lines: M.describe_file and M.lines, with what esptool puts around them.
-- @param path string
-- @param opts as for M.describe
-- @param add function(level, line) with level "info", "warning" or "error" (a region that is no image)
-- @return list as M.describe_file gives it
function M.report(path, opts, add)
  local list, is_hex = M.describe_file(path, opts)
  local function detected(info)
    if info.detected then
      add("info", ("Detected image type: %s"):format(info.chip_name or ("unknown chip %d"):format(info.chip_id)))
    end
  end
  if not is_hex then
    add("info", ("Image size: %d bytes"):format(list[1].size))
    detected(list[1].info)
    M.lines(list[1].info, add)
    return list
  end
  add("info", "Merged binary image detected. Processing each file individually.")
  for i, r in ipairs(list) do
    local head = ("Processing file %d/%d, offset: 0x%x, size: %d bytes"):format(i, #list, r.address, r.size)
    add("info", "")
    for _, s in ipairs { ("="):rep(#head), head, ("="):rep(#head) } do add("info", s) end
    if r.fault then
      add("error", ("Error processing file %d/%d: %s"):format(i, #list, r.fault.message))
      add("error", "Probably not a valid firmware image (e.g. partition table).")
    else
      detected(r.info)
      M.lines(r.info, add)
    end
  end
  return list
end

return M
