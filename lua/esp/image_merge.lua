--- Several files as one: raw, UF2 or Intel HEX. What esptool calls merge-bin, with the same bytes as a result.
--
--   require("esp.image_merge").merge({ { 0x0, "bootloader.bin" }, { 0x10000, "app.bin" } },
--                                    { chip = "esp32c3", output = "all.bin", flash_size = "4MB" })
local fail = require "esp.error"
local chips = require "esp.chips"
local hex = require "esp.hex"
local image = require "esp.image"
local M = {}

local SECTOR = 0x1000
local LIMIT = 0x100000000
local CHUNK = 1 << 16
local HEX_HEAD = 600
local LARGEST = 1 << 28                   -- bytes of a raw file: no flash has more

local function wrong(text, hint)
  fail { code = "bad_argument", message = text, hint = hint }
end

--- A reader with some bytes replaced.
local function patched(reader, patches)
  if #patches == 0 then return reader end
  return { size = reader.size, read = function(at, n)
    local bytes = reader.read(at, n)
    for _, p in ipairs(patches) do
      local first, new = p[1] - at, p[2]
      if first < 0 then first, new = 0, new:sub(1 - first) end
      new = new:sub(1, math.max(#bytes - first, 0))
      if new ~= "" then bytes = bytes:sub(1, first) .. new .. bytes:sub(first + #new + 1) end
    end
    return bytes
  end }
end

--- One input: a raw file at the address given, or the regions of an Intel HEX file.
local function load(pair, files)
  local address, spec = pair[1], pair[2]
  if type(spec) == "string" then spec = { file = spec } end
  local name, reader = spec.name or spec.file or "data"
  if spec.file then
    local file
    file, reader = require "esp.file_reader".open(spec.file)
    files[#files + 1] = file
  else
    reader = image.reader(spec.data)
  end
  if hex.looks_like(reader.read(0, HEX_HEAD)) then
    local at, list = 0, {}
    local regions = hex.decode(function(n)
      if at >= reader.size then return nil end
      local bytes = reader.read(at, n)
      at = at + n
      return bytes
    end, name)
    for i, r in ipairs(regions) do
      list[i] = { address = r.address, size = #r.data, reader = image.reader(r.data), name = name, from = pair }
    end
    return list
  end
  if math.type(address) ~= "integer" or address < 0 or address > LIMIT - reader.size then
    wrong(("%s: address %s is not possible"):format(name, tostring(address)))
  end
  return { { address = address, size = reader.size, reader = reader, name = name, from = pair } }
end

local function check_overlap(list)
  for i = 2, #list do
    local a, b = list[i - 1], list[i]
    local stop = a.address + a.size
    local sector = (stop + SECTOR - 1) // SECTOR * SECTOR
    if b.address < stop or a.from ~= b.from and b.address // SECTOR * SECTOR < sector then
      fail { code = "overlap", regions = { a, b },
             hint = "flash is written in sectors of 0x1000 bytes; are the addresses right?",
             message = ("detected overlap at address 0x%x: %s (to 0x%X) and %s")
               :format(b.address, a.name, stop - 1, b.name) }
    end
  end
end

local function code_of(map, name, what, data)
  if name == nil or name == "keep" then return nil end
  local known = {}
  for k in pairs(map) do known[#known + 1] = k end
  table.sort(known)
  return map[name] or wrong(("flash %s '%s' is not supported by the %s"):format(what, tostring(name), data.name),
                            "supported: " .. table.concat(known, ", "))
end

--- The region of the bootloader with the flash parameters that are asked for.
local function set_parameters(region, data, opts, note)
  -- What nothing is done with may be unknown to the chip: build systems give their settings for every file.
  if region.address ~= data.bootloader_offset or region.size < 8 then return end
  local new = { mode = code_of(image.MODES, opts.flash_mode, "mode", data),
                size = code_of(data.flash.sizes, opts.flash_size, "size", data),
                freq = code_of(data.flash.freqs, opts.flash_freq, "frequency", data) }
  if next(new) == nil then return end
  local magic = region.reader.read(0, 1):byte()
  if magic ~= image.MAGIC then
    return note("warning", "no_image", ("Image file at 0x%x doesn't look like an image file, so not changing any "
      .. "flash settings."):format(region.address))
  end
  local img = image.probe(region.reader, region.name, data.image_chip_id and "esp32" or "esp8266")
  if not img then
    return note("warning", "no_image", ("Image file at 0x%x is not a valid %s image, so not changing any flash "
      .. "settings."):format(region.address, data.name))
  end
  if data.image_chip_id and img.chip_id ~= data.image_chip_id then
    note("warning", "wrong_chip", ("Unexpected chip ID in image. Expected %d but value was %d. Is this image for a "
      .. "different chip model?"):format(data.image_chip_id, img.chip_id))
  end
  local sound, damage = image.check(img, region.reader)
  if not sound then note("warning", "damaged", damage.message) end
  local patches, value = image.patch_header(region.reader, img, new)
  if #patches > 0 then
    note("info", "parameters", ("Flash parameters set to 0x%04x."):format(value))
    if img.digest then note("info", "digest", "SHA digest in image updated.") end
  end
  region.reader = patched(region.reader, patches)
end

--- Write a raw file: gaps are as erased flash.
local function write_raw(write, list, opts, _, note)
  local base = opts.target_offset or 0
  local at, gaps = base, 0
  local blank = ("\xFF"):rep(CHUNK)
  local function fill(to)
    while at < to do
      local n = math.min(CHUNK, to - at)
      write(n == CHUNK and blank or blank:sub(1, n))
      at = at + n
    end
  end
  for _, r in ipairs(list) do
    if at > base then gaps = gaps + math.max(r.address - at, 0) // SECTOR end
    fill(r.address)
    for from = 0, r.size - 1, CHUNK do write(r.reader.read(from, math.min(CHUNK, r.size - from))) end
    at = r.address + r.size
  end
  if gaps > 0 then
    note("note", "gaps", "What lies between the files in flash is erased when this one is written. A file in the "
      .. "format hex leaves it as it is.")
  end
  if opts.pad_to_size then fill(require "esp.image_elf".size(opts.pad_to_size, "pad_to_size")) end
end

local function write_uf2(write, list, opts, data, note)
  if not data.uf2_family then
    note("warning", "no_family", ("No UF2 family ID found for %s, using 0x0 as default."):format(data.name))
  end
  for _, r in ipairs(list) do
    note("info", "adding", ("Adding '%s' at 0x%x..."):format(r.name, r.address))
    require "esp.uf2".encode(write, r.reader, r.address,
      { family = data.uf2_family, chunk_size = opts.chunk_size, md5 = not opts.md5_disable })
  end
end

local FORMATS = { raw = write_raw, uf2 = write_uf2 }

function FORMATS.hex(write, list, _, _, note)
  if #list == 1 then
    note("warning", "one_file", "Only one input file specified, output may include additional padding if input file "
      .. "was previously merged.")
  end
  hex.encode(write, list)
end

local function combine(list, opts, data, note, write)
  table.sort(list, function(a, b) return a.address < b.address end)
  check_overlap(list)
  local base = opts.target_offset or 0
  if list[1].address < base then
    wrong(("output data target offset is 0x%x, input data offset 0x%x is before this"):format(base, list[1].address))
  end
  local last = list[#list]
  if (opts.format or "raw") == "raw" and last.address + last.size - base > LARGEST then
    fail { code = "does_not_fit", hint = "is the address right? target_offset tells where the file begins",
           message = ("%s at 0x%X: a raw file from 0x%X on would have %d bytes"):format(last.name, last.address, base,
             last.address + last.size - base) }
  end
  for _, r in ipairs(list) do set_parameters(r, data, opts, note) end
  FORMATS[opts.format or "raw"](write, list, opts, data, note)
end

--- Merge files.
-- @param inputs list of { address, path } or { address, { data = bytes, name = } }; Intel HEX files have addresses
--   of their own
-- @param opts table; the names are esptool's long options with underscores: chip (name or data, needed),
--   output (path; without it the bytes are returned), format ("raw", "uf2", "hex"), flash_mode, flash_freq,
--   flash_size ("keep"); raw: target_offset (0), pad_to_size (bytes, or "4MB"); uf2: chunk_size, md5_disable;
--   on_note function(level, code, text) with level "info", "note" or "warning"
-- @return table: size (bytes written), output or data, target_offset, notes, regions = list of { address, size, name }
-- @raise file_missing, file_denied, bad_file, bad_hex, overlap, bad_argument, unknown_chip
function M.merge(inputs, opts)
  local data = type(opts.chip) == "table" and opts.chip or chips.get(opts.chip)
  local format = opts.format or "raw"
  if not FORMATS[format] then wrong(("format '%s' is not known"):format(tostring(format)), "raw, uf2 or hex") end
  local notes, files, size = {}, {}, 0
  local _ <close> = setmetatable({}, { __close = function()
    for _, f in ipairs(files) do f:close() end
  end })
  local function note(level, code, text)
    notes[#notes + 1] = { level = level, code = code, text = text }
    if opts.on_note then opts.on_note(level, code, text) end
  end
  local list = {}
  for _, pair in ipairs(inputs) do
    for _, r in ipairs(load(pair, files)) do list[#list + 1] = r end
  end
  if #list == 0 then wrong "no input data" end
  local file <close> = opts.output and fail.check(nil, nil, require "esp.core.fs".create(opts.output)) or nil
  local pieces = {}
  combine(list, opts, data, note, function(bytes)
    size = size + #bytes
    if file then fail.check(nil, nil, file:write(bytes)) else pieces[#pieces + 1] = bytes end
  end)
  if file then fail.check(nil, nil, file:commit(false)) end      -- can be made again
  local regions = {}
  for i, r in ipairs(list) do regions[i] = { address = r.address, size = r.size, name = r.name } end
  return { size = size, output = opts.output, data = not file and table.concat(pieces) or nil, notes = notes,
           regions = regions, target_offset = opts.target_offset or 0, format = format }
end

return M
