--- Inputs of any kind, told apart by what is in them: raw bytes, Intel HEX, UF2, ELF, merged images, build folders
-- of ESP-IDF and their flasher_args.json, archives of these, standard input. All become regions of esp.input, so that
-- the same checks hold for all.
local fail = require "esp.error"
local input = require "esp.input"
local M = {}

M.MAX_STDIN = 256 << 20
local HEAD = 1024
local IMAGE_MAGIC, APP_MAGIC, APP_MAGIC_AT = 0xE9, 0xABCD5432, 32
local BOOTLOADERS = { 0x0, 0x1000, 0x2000 }        -- where chips have theirs

local add_source

-- Where bytes come from -----------------------------------------------------------------------------------

local function from_bytes(data, name)
  return { name = name, size = #data, data = data, read = function(at, n) return data:sub(at + 1, at + n) end }
end

local function from_file(path, name)
  local file, reader = require "esp.file_reader".open(path)
  return { name = name or path, size = reader.size, path = path, read = reader.read, file = file }
end

local function from_stdin(ctx)
  if ctx.stdin_used then
    fail { code = "bad_argument", message = "standard input can be used once" }
  end
  ctx.stdin_used = true
  local data = ctx.stdin
  if not data then
    data = io.stdin:read(M.MAX_STDIN + 1) or ""
    ctx.keep.stdin = data
  end
  if #data == 0 then fail { code = "bad_file", message = "standard input: nothing came" } end
  if #data > M.MAX_STDIN then fail { code = "bad_file", message = "standard input: more than 256 MiB" } end
  return from_bytes(data, "standard input")
end

local function close(source)
  if source.file then source.file:close() end
  source.file = nil
end

local function whole(source)
  return source.data or source.read(0, source.size)
end

-- What is known only with a chip ---------------------------------------------------------------------------

local function need_chip(text)
  fail { code = "bad_argument", message = text, hint = "name the chip with --chip", needs_chip = true }
end

local function chip_name(id)
  return require "esp.chips".get(id).name
end

--- Add plain bytes or a plain file.
local function add_plain(ctx, address, spec, extra)
  for _, r in ipairs(input.load(spec, address)) do
    ctx.out[#ctx.out + 1] = r
    if extra.encrypt ~= nil then r.encrypt = extra.encrypt end
    r.old, r.chip, r.origin, r.encrypt_if_on = extra.diff, extra.chip, extra.origin, extra.encrypt_if_on
  end
end

-- What a build or a UF2 family says.
local function check_chip(ctx, region)
  if not ctx.chip or not region.chip or region.chip == ctx.chip or ctx.force then return end
  local name = region.origin or region.name
  fail { code = "wrong_chip", hint = "is it the right build? use --force to write all the same", file = name,
         message = ("%s: is for %s, the chip is %s"):format(name, chip_name(region.chip), chip_name(ctx.chip)) }
end

local function plain_spec(source, format)
  return { file = source.path, data = source.data, name = source.name, format = format }
end

-- Where an app goes that nobody gave an address for: the partition that the bootloader starts.
local function app_partition(ctx, name)
  local list = ctx.table
  if not list then
    if not ctx.device then need_chip(name .. ": the place of the app is known when the chip has been asked") end
    local o = { table_offset = ctx.table_offset, flash_size = ctx.flash_size, spi_connection = ctx.spi_connection }
    local ok, found = pcall(ctx.device.partitions, ctx.device, o)
    if not ok then
      if fail.is(found) and (found.code == "bad_partition_table" or found.code == "unsupported") then
        found.message = ("%s: where does the app go? %s"):format(name, found.message)
        found.hint = "give an address, or all that is needed: --whole, or --bootloader FILE --partition-table FILE"
      end
      error(found, 0)
    end
    o.table, list = found, found
    local known, info = pcall(ctx.device.ota, ctx.device, o)
    if known and info.starts then return info.starts, list end
  end
  local function first(test)
    for _, e in ipairs(list) do
      if e.type == 0 and test(e.subtype) then return e end
    end
    return nil
  end
  local e = first(function(s) return s == 0 end) or first(function(s) return s == 0x10 end)
    or first(function(s) return s end)
  if not e then
    fail { code = "no_partition", message = ("%s: the partition table has no partition for an app"):format(name) }
  end
  return e, list
end

local function place_app(ctx, name, size)
  local e, list = app_partition(ctx, name)
  local partition = require "esp.partition"
  if ctx.apart then partition.check_apart(list, e) end
  if size > e.size then
    fail { code = "does_not_fit", message = ("%s: %d bytes are %d more than partition %s has (%d, 0x%X to 0x%X)")
      :format(name, size, size - e.size, partition.shown(e.label), e.size, e.offset, e.offset + e.size - 1),
      hint = "make the partition larger, or the app smaller" }
  end
  return e.offset
end

-- ELF ------------------------------------------------------------------------------------------------------

local function plain_setting(value)
  return value ~= "keep" and value ~= "detect" and value or nil
end

local function has_memory(data, address)
  for name, range in pairs(data.memory) do
    if address >= range[1] and address < range[2] and not name:find "_mask$" then return true end
  end
  return false
end

-- An ELF file says the processor, not the chip; its addresses tell whether it can be for this one.
local function check_elf(ctx, elf, data)
  local wrong = elf.machine ~= data.arch and ("is for %s, the %s is %s"):format(elf.machine, data.name, data.arch)
  for _, section in ipairs(elf.sections) do
    local loaded = section.type == 1 and section.flags & 2 ~= 0 and section.size > 0 and section.address > 0
    if not wrong and loaded and not has_memory(data, section.address) then
      wrong = ("%s is to be at 0x%08X, where the %s has no memory"):format(section.name, section.address, data.name)
    end
  end
  if wrong and not ctx.force then
    fail { code = "wrong_chip", message = ("%s: %s"):format(elf.name, wrong), hint = "is it the right build?",
           file = elf.name }
  end
end

-- The bootloader looks into an app's descriptor; what is there instead may keep it from starting the app.
local function check_described(ctx, name)
  if ctx.force or ctx.ignore_app_descriptor then return end
  fail { code = "bad_image", file = name, message = ("%s: has no app descriptor (esp_app_desc), which ESP-IDF's "
           .. "bootloader looks for"):format(name),
         hint = "in Rust: esp_bootloader_esp_idf::esp_app_desc!(); --ignore-app-descriptor writes it all the same" }
end

local function add_elf(ctx, address, source, extra)
  local elf_file = require "esp.elf"
  local elf <close> = elf_file.read(source, source.name)
  local metadata = require "esp.elf_metadata"
  local meant, min_rev = metadata.target(elf)
  if not ctx.chip then need_chip(("%s: an ELF file does not say which chip it is for"):format(source.name)) end
  local data = require "esp.chips".get(ctx.chip)
  if meant then check_chip(ctx, { chip = meant, name = source.name }) end
  check_elf(ctx, elf, data)
  local described = metadata.has_descriptor(elf)
  if not described and data.image_chip_id and (extra.app or not address) then check_described(ctx, source.name) end
  local made = require "esp.image_elf".convert(elf, {
    chip = data, flash_mode = plain_setting(ctx.flash_mode) or "dio", flash_freq = plain_setting(ctx.flash_freq),
    flash_size = plain_setting(ctx.flash_size) or data.flash.sizes["4MB"] and "4MB" or nil,
    elf_sha256_offset = described and data.image_chip_id and 0xB0 or nil,
    min_rev_full = data.image_chip_id and math.max(ctx.min_rev_full or 0, min_rev or 0) or nil,
    flash_mmu_page_size = data.image_chip_id and ctx.mmu_page_size or nil,
  })
  if address and #made.files > 1 then
    fail { code = "bad_argument", message = ("%s: becomes %d files, each with its own address"):format(source.name,
             #made.files), hint = "leave the address out" }
  end
  for i, f in ipairs(made.files) do
    local at = address
    if not at and not data.image_chip_id then at = f.address // 0x1000 * 0x1000 end
    if not at then at = place_app(ctx, source.name, f.size) end
    add_plain(ctx, at, { data = made:bytes(i), name = source.name, format = "raw" }, extra)
  end
end

-- UF2 ------------------------------------------------------------------------------------------------------

local function chip_of_family(id)
  local chips = require "esp.chips"
  for _, chip in ipairs(chips.list()) do
    if chips.get(chip).uf2_family == id then return chip end
  end
  return nil
end

local function add_uf2(ctx, source, extra)
  local families = require "esp.uf2".families(source, source.name)
  local wanted
  if #families > 1 then
    if not ctx.chip then need_chip(("%s: holds images for %d chips"):format(source.name, #families)) end
    for _, family in ipairs(families) do
      if family.id and chip_of_family(family.id) == ctx.chip then wanted = family end
    end
    if not wanted then
      fail { code = "wrong_chip", message = ("%s: holds nothing for %s"):format(source.name, chip_name(ctx.chip)) }
    end
  else
    wanted = families[1]
  end
  local chip = wanted.id and chip_of_family(wanted.id) or nil
  if wanted.id and not chip and not ctx.force then
    fail { code = "wrong_chip", message = ("%s: is for an unknown chip (UF2 family 0x%08X)"):format(source.name,
             wanted.id), hint = "use --force to write all the same" }
  end
  local with = setmetatable({ chip = chip, origin = source.name }, { __index = extra })
  for _, r in ipairs(input.join_sectors(wanted)) do
    add_plain(ctx, r.address, { data = r.data, name = source.name, format = "raw" }, with)
  end
end

-- Build folders --------------------------------------------------------------------------------------------

local function folder_of(path)
  return path:match "^(.*)/[^/]*$"
end

local function join(folder, path)
  if path:find "^/" or not folder then return path end
  return (folder == "" and "/" or folder .. "/") .. path
end

-- What flasher_args.json names. open(path) gives a source.
local function add_build(ctx, text, name, extra, open)
  local build = require "esp.flasher_args".decode(text, name)
  ctx.settings = ctx.settings or build.settings
  for _, f in ipairs(build.files) do
    local source <close> = setmetatable(open(f.path), { __close = close })
    if source.size == 0 then
      fail { code = "bad_file", message = source.name .. ": the file is empty (0 bytes)", file = source.name,
             hint = "did the build finish?" }
    end
    add_plain(ctx, f.address, plain_spec(source, "raw"),
              setmetatable({ chip = build.chip, origin = name, encrypt_if_on = f.encrypt }, { __index = extra }))
  end
end

local function add_build_file(ctx, source, extra)
  if source.size > require "esp.flasher_args".MAX then return false end
  local folder = source.path and folder_of(source.path)
  add_build(ctx, whole(source), source.name, extra, function(path)
    if not source.path then
      fail { code = "bad_flasher_args", message = ("%s: names files, such as %s, and is in no folder"):format(
               source.name, path:sub(1, 60)), hint = "give the build folder, or an archive of it" }
    end
    return from_file(join(folder, path))
  end)
  return true
end

local function add_folder(ctx, path, extra)
  local fs, name = require "esp.core.fs", require "esp.flasher_args".NAME
  local bare = path:gsub("(.)/+$", "%1")
  for _, folder in ipairs { bare, join(bare, "build") } do
    local file = join(folder, name)
    local st = fs.stat(file)
    if st and st.type == "file" then
      local source <close> = setmetatable(from_file(file), { __close = close })
      add_build_file(ctx, source, extra)
      return
    end
  end
  fail { code = "bad_file", message = ("%s: no %s in this folder"):format(path, name), file = path,
         hint = "a build folder of ESP-IDF is expected; did the build finish?" }
end

-- Archives -------------------------------------------------------------------------------------------------

local JUNK = { "^__MACOSX/", "/%.[^/]*$", "^%.", "%.txt$", "%.md$", "%.map$", "%.html?$" }

local function is_junk(name)
  for _, pattern in ipairs(JUNK) do
    if name:find(pattern) then return true end
  end
  return false
end

local function depth(name)
  return select(2, name:gsub("/", ""))
end

local function add_zip_build(ctx, zip, entry, source, extra)
  local folder = folder_of(entry.name)
  local name = ("%s: %s"):format(source.name, entry.name)
  if entry.size > require "esp.flasher_args".MAX then
    fail { code = "bad_flasher_args", message = name .. ": too large", file = source.name }
  end
  add_build(ctx, zip:bytes(entry), name, extra, function(path)
    local inside = folder and folder .. "/" .. path or path
    local found = zip:find((inside:gsub("/%./", "/"):gsub("^%./", "")))
    if not found then
      fail { code = "file_missing", file = source.name,
             message = ("%s: %s, which %s names, is not in it"):format(source.name, path:sub(1, 100), entry.name) }
    end
    return from_bytes(zip:bytes(found), ("%s: %s"):format(source.name, found.name))
  end)
end

local function add_zip(ctx, source, extra)
  local zip = require "esp.zip".read(source, source.name)
  local build
  for _, entry in ipairs(zip.entries) do
    if entry.name:match "[^/]*$" == require "esp.flasher_args".NAME and not is_junk(entry.name)
       and (not build or depth(entry.name) < depth(build.name)) then
      build = entry
    end
  end
  if build then return add_zip_build(ctx, zip, build, source, extra) end
  local entries = {}
  for _, entry in ipairs(zip.entries) do
    if not is_junk(entry.name) and entry.size > 0 then entries[#entries + 1] = entry end
  end
  if #entries == 0 then
    fail { code = "bad_zip", message = source.name .. ": nothing in it that could be written", file = source.name,
           hint = "a build folder with its flasher_args.json, or files that need no address, are expected" }
  end
  for _, entry in ipairs(entries) do
    add_source(ctx, nil, from_bytes(zip:bytes(entry), ("%s: %s"):format(source.name, entry.name)), extra, true)
  end
end

-- Raw ------------------------------------------------------------------------------------------------------

local function has_image(source, at)
  return source.read(at, 1):byte() == IMAGE_MAGIC
end

-- Bootloader and partition table at their places: a whole flash, from its beginning.
local function is_merged(source)
  local partition = require "esp.partition"
  local bytes = source.read(partition.TABLE_OFFSET, partition.MAX_SIZE)
  if not partition.is_binary(bytes) or not pcall(partition.decode, bytes) then return false end
  for _, at in ipairs(BOOTLOADERS) do
    if has_image(source, at) and not source.read(0, at):find "[^\xFF]" then return true end
  end
  return false
end

local function is_app(source)
  local head = source.read(0, APP_MAGIC_AT + 4)
  return #head == APP_MAGIC_AT + 4 and head:byte() == IMAGE_MAGIC
    and ("<I4"):unpack(head, APP_MAGIC_AT + 1) == APP_MAGIC
end

local function add_raw(ctx, address, source, extra)
  if not address then
    if is_merged(source) then
      address = 0
    elseif is_app(source) then
      address = place_app(ctx, source.name, source.size)
    else
      fail { code = "bad_argument", message = ("%s: no address given"):format(source.name), file = source.name,
             hint = "raw bytes do not say where they go: ADDRESS FILE, or --partition LABEL FILE" }
    end
  end
  add_plain(ctx, address, plain_spec(source, "raw"), extra)
end

-- Telling them apart ---------------------------------------------------------------------------------------

local function is_build_file(source)
  if not source.read(0, HEAD):find "^%s*{" or source.size > require "esp.flasher_args".MAX then return false end
  return whole(source):find('"flash_files"', 1, true) ~= nil
end

--- What a source is, by its content.
-- @return "hex", "uf2", "elf", "zip", "build" or "raw"
local function kind_of(source)
  local head = source.read(0, HEAD)
  if require "esp.uf2".looks_like(head) then return "uf2" end
  if require "esp.elf".looks_like(head) then return "elf" end
  if require "esp.zip".looks_like(head) then return "zip" end
  if require "esp.hex".looks_like(head) then return "hex" end
  if is_build_file(source) then return "build" end
  return "raw"
end

function add_source(ctx, address, source, extra, inside)
  local kind = kind_of(source)
  if kind == "uf2" then
    add_uf2(ctx, source, extra)
  elseif kind == "elf" then
    add_elf(ctx, address, source, extra)
  elseif kind == "zip" and not inside and not address then      -- with an address: bytes for a data partition, say
    add_zip(ctx, source, extra)
  elseif kind == "hex" then
    add_plain(ctx, address, plain_spec(source, "hex"), extra)
  elseif kind == "build" and not address then
    add_build_file(ctx, source, extra)
  else
    add_raw(ctx, address, source, extra)
  end
end

local function add(ctx, item)
  if type(item) == "table" and item.payload then          -- a region, from here or from esp.input
    ctx.out[#ctx.out + 1] = item
    return
  end
  if type(item) ~= "table" or item[2] == nil then
    error(("input %d: { address, file } is needed"):format(#ctx.out + 1), 0)
  end
  local address, spec = item[1] or nil, item[2]
  local extra = { encrypt = item.encrypt, diff = item.diff, app = item.app }
  if type(spec) == "table" and (spec.format or spec.offset or spec.size) then
    return add_plain(ctx, address, spec, extra)
  end
  if type(spec) == "string" then spec = { file = spec } end
  if type(spec) ~= "table" or (spec.file == nil) == (spec.data == nil) then
    error("input: a path, or a table with file or data, is needed", 0)
  end
  if spec.encrypt ~= nil then extra.encrypt = spec.encrypt end
  if spec.data then
    if type(spec.data) ~= "string" then error("input: data must be a string", 0) end
    if #spec.data == 0 then return add_plain(ctx, address, spec, extra) end
    return add_source(ctx, address, from_bytes(spec.data, spec.name or "data"), extra)
  end
  if spec.file == "-" then return add_source(ctx, address, from_stdin(ctx), extra) end
  local st = require "esp.core.fs".stat(spec.file)
  if st and st.type == "dir" and not address then return add_folder(ctx, spec.file, extra) end
  if not st or st.type ~= "file" or st.size == 0 then return add_plain(ctx, address, spec, extra) end   -- says why
  local source <close> = setmetatable(from_file(spec.file, spec.name), { __close = close })
  add_source(ctx, address, source, extra)
end

--- Load a list of { address, spec } pairs. address may be nil for what has its own addresses, for an app image (it
-- goes where the bootloader looks for it) and for a merged image (it begins at 0).
-- @param list as esp.input.load_all takes it; a spec may also be a folder, or "-" for standard input. One with format,
--   offset or size is taken as it is
-- @param ctx table or nil: chip = id of the chip it is for; device = chip object; table = partition table (list of
--   entries) that stands for the one in flash; table_offset, flash_mode, flash_freq, flash_size, spi_connection;
--   force: also what is for another chip; apart: no partition that overlaps others; for ELF files: min_rev_full
--   (major * 100 + minor), mmu_page_size (bytes), ignore_app_descriptor
-- @return list of regions, with settings = { flash_mode =, flash_freq =, flash_size = } of a build folder or nil
-- @raise what esp.input.load raises; bad_zip, bad_flasher_args, bad_json, bad_image, wrong_chip, no_partition,
--   does_not_fit; with needs_chip = true when ctx must say more of the chip
function M.load_all(list, ctx)
  if type(list) ~= "table" then error("a list of { address, file } is needed", 0) end
  ctx = setmetatable({ out = {}, keep = ctx or {} }, { __index = ctx })
  local ok, err = pcall(function()
    for _, item in ipairs(list) do
      local before = #ctx.out
      add(ctx, item)
      if item.diff and not item.payload and #ctx.out ~= before + 1 then
        fail { code = "bad_argument", hint = "compare with what is in flash instead: --skip-flashed",
               message = ctx.out[#ctx.out].name .. ": holds several parts, an old version can be given of one file" }
      end
    end
    for _, region in ipairs(ctx.out) do check_chip(ctx, region) end
  end)
  if not ok then
    input.close(ctx.out)
    error(err, 0)
  end
  ctx.out.settings = list.settings or ctx.settings
  return ctx.out
end

--- As load_all, for before a chip is there.
-- @return list of regions, or nil when only a chip tells: then load again with ctx.device
function M.try(list, ctx)
  local ok, result = pcall(M.load_all, list, ctx)
  if ok then return result end
  if fail.is(result) and result.needs_chip then return nil end
  error(result, 0)
end

-- A word of a command line that is to be a file: it must be there.
local function check_word(word)
  local types = require "esp.cli.types"
  local st = word ~= "-" and require "esp.core.fs".stat(word)
  if word == "-" or st and st.type == "dir" then return word end
  local path, message, code = types.read(word, { "file", type = "file" })
  if path then return path end
  if code == "file_missing" and word:find "^0[xXoObB]" then
    fail { code = "usage", message = ("argument ADDRESS: '%s' is not valid, expected a number"):format(word) }
  end
  fail { code = code, message = message, hint = code == "file_missing" and "check the name and the folder" or nil }
end

--- Have the files of pairs taken as they are, whatever they look like.
-- @param list of { address or label, path }, which is changed
function M.as_they_are(list)
  for _, pair in ipairs(list) do
    if pair[2] ~= "-" then pair[2] = { file = pair[2], format = "raw" } end
  end
end

--- Words of a command line to pairs: ADDRESS FILE, or FILE alone.
-- @param words list
-- @return list of { address or false, path }
-- @raise usage, file_missing, file_denied
function M.pairs_of(words)
  local types = require "esp.cli.types"
  local list, i = {}, 1
  while words[i] do
    local address = types.integer(words[i])
    if address and types.unclear(words[i]) then
      fail { code = "usage", message = ("%s: is this address decimal or not?"):format(words[i]),
             hint = "write it without a zero in front, or with 0x" }
    elseif address and (address < 0 or address > 0xFFFFFFFF) then
      fail { code = "usage", message = ("%s: an address has 32 bits"):format(words[i]) }
    elseif address then
      if not words[i + 1] then fail { code = "usage", message = ("%s without FILE after it"):format(words[i]) } end
      list[#list + 1] = { address, check_word(words[i + 1]) }
      i = i + 2
    else
      list[#list + 1] = { false, check_word(words[i]) }
      i = i + 1
    end
  end
  return list
end

return M
