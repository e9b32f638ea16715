--- From an ELF file to an image, for every chip: what esptool calls elf2image, with the same bytes as a result.
--
--   local made = require("esp.image_elf").convert("build/app.elf", { chip = "esp32c3", flash_mode = "dio" })
--   for _, f in ipairs(made.files) do print(f.path, f.size) end
--   made:save()
--
-- Sources: ESP-IDF Programming Guide, "App Image Format"; behaviour of esptool 5.2 observed from outside.
local fail = require "esp.error"
local chips = require "esp.chips"
local elf_file = require "esp.elf"
local image = require "esp.image"
local M = {}

local SECTOR = 0x1000
local DEFAULT_PAGE = 0x10000
local ELF_DIGEST_OFFSET = 0xB0         -- header, extended header, segment header, then 144 bytes into the descriptor
local IMAGE_START = 24 + 8             -- headers before the first byte of the first segment
local SLACK = 0x10000
local MOST_PADDING = 0x1000000         -- no segment is that long

local PROGRAM = { [elf_file.PROGBITS] = true, [elf_file.INIT_ARRAY] = true, [elf_file.FINI_ARRAY] = true,
                  [elf_file.PREINIT_ARRAY] = true }
local QUIET = { [elf_file.NOBITS] = true, [elf_file.STRTAB] = true }

local function wrong(text, hint)
  fail { code = "bad_argument", message = text, hint = hint }
end

local LARGEST = 1 << 28

--- A size in bytes from what a user writes.
-- @param v integer, or "64KB", "4MB", "64k", "2M"
function M.size(v, what)
  local n, unit = tostring(v):match "^(%d+)([kKmM])[bB]?$"
  n = n and #n < 10 and tonumber(n) << (unit:lower() == "k" and 10 or 20)
  if math.type(v) == "integer" and v > 0 then n = v end
  if not n or n == 0 then wrong(("%s: %q is no size"):format(what, tostring(v)), "sizes are written 64KB or 4MB") end
  if n > LARGEST then wrong(("%s: %s is too large"):format(what, tostring(v)), "no flash has more than 256MB") end
  return n
end

local function code_of(map, name, what, data)
  local code = map[name]
  if code then return code end
  local known = {}
  for k in pairs(map) do known[#known + 1] = k end
  table.sort(known, function(a, b) return map[a] < map[b] or map[a] == map[b] and a < b end)
  wrong(("flash %s '%s' is not supported by the %s"):format(what, tostring(name), data.name),
        "supported: " .. table.concat(known, ", "))
end

local function number(opts, key, default, max)
  local v = opts[key]
  if v == nil then return default end
  if math.type(v) ~= "integer" or v < 0 or v > max then
    wrong(("%s: a number from 0 to %d is expected, %s given"):format(key, max, tostring(v)))
  end
  return v
end

--- What the ELF file brings: parts with address, padded to words as loaders copy words.
local function parts_of(elf, opts, note)
  local list, total = {}, 0
  local limit = elf.size * (opts.use_segments and 4 or 1) + SLACK    -- more is a trick: parts share their bytes
  local function add(part, name)
    total = total + part.size
    if total > limit then
      fail { code = "bad_file", file = elf.name, offset = part.header, hint = "the file is damaged",
             message = ("%s: the parts to load overlap in the file (at offset 0x%X)"):format(elf.name, part.header) }
    end
    local data = elf:bytes(part)
    list[#list + 1] = { name = name, address = part.address, align = math.max(part.align, 1),
                        data = data .. ("\0"):rep(-#data % 4) }
  end
  if opts.use_segments then
    for _, s in ipairs(elf.segments) do
      if s.type == elf_file.LOAD and s.address ~= 0 and s.size > 0 then add(s, "PHDR") end
    end
  else
    if #elf.sections == 0 then
      fail { code = "bad_file", file = elf.name, message = elf.name .. ": the ELF file has 0 section headers",
             hint = "was it stripped of them? use_segments takes the program headers instead" }
    end
    if elf.names_type ~= elf_file.STRTAB then
      note("warning", "odd_names", ("ELF file has incorrect STRTAB section type 0x%02x"):format(elf.names_type))
    end
    for _, s in ipairs(elf.sections) do
      if s.address ~= 0 and s.size > 0 then
        if PROGRAM[s.type] then
          add(s, s.name)
        elseif not QUIET[s.type] then
          note("warning", "unknown_section", ("Unknown section type 0x%02x in ELF file"):format(s.type))
        end
      end
    end
  end
  return list
end

--- Names of the memories that an address lies in, as chips/*.lua lists them.
-- @param data chip data
-- @return list of strings, may be empty
function M.memory_types(data, address)
  local list = {}
  for _, m in ipairs(data.image.map) do
    if address >= m[1] and address < m[2] then list[#list + 1] = m[3] end
  end
  return list
end

--- Join neighbours of one kind of memory. Gaps stay: they may be left out on purpose.
local function merge(list, data, opts, note)
  local merged, last, last_kind
  merged = {}
  for i, part in ipairs(list) do
    local before = list[i - 1]
    if before and opts.ram_only_header then
      -- Frameworks of others may bring parts together that were aligned differently.
      local stop = before.address + #before.data
      local aligned = stop + -stop % part.align
      if aligned ~= stop and aligned == part.address and aligned - stop < MOST_PADDING then
        note("note", "padding", ("Inserting %d bytes padding between %s and %s")
          :format(aligned - stop, before.name, part.name))
        before.data = before.data .. ("\0"):rep(aligned - stop)
        last[#last] = before.data
      end
    end
    local kind = table.concat(M.memory_types(data, part.address), ",")
    if before and kind == last_kind and part.address == before.address + #before.data then
      last[#last + 1] = part.data
    else
      last = { address = part.address, name = part.name, part.data }
      merged[#merged + 1] = last
    end
    last_kind = kind
  end
  for _, s in ipairs(merged) do
    s.data = #s == 1 and s[1] or table.concat(s)
    for i = #s, 1, -1 do s[i] = nil end
  end
  if #merged ~= #list then
    local n = #list - #merged
    note("info", "merged", ("Merged %d ELF section%s."):format(n, n > 1 and "s" or ""))
  end
  return merged
end

local function flash_test(data, version)
  if version == 3 then
    local first = data.image.window[1]
    return function(a) return a > first end
  end
  local ranges = {}
  for _, r in pairs(data.memory) do
    if r.flash then ranges[#ranges + 1] = r end
  end
  return function(a)
    for _, r in ipairs(ranges) do
      if a >= r[1] and a < r[2] then return true end
    end
    return false
  end
end

local function choose_page(plan, size, note)
  local choices = plan.data.image.mmu_pages
  if not choices then
    if size ~= plan.page then
      note("warning", "page_size", ("Changing MMU page size is not supported on %s! Defaulting to %dKB.")
        :format(plan.data.name, plan.page // 1024))
    end
    return
  end
  local names = {}
  for i, p in ipairs(choices) do
    if p == size then
      plan.page = size
      return
    end
    names[i] = p // 1024 .. "KB"
  end
  wrong(("%d bytes is not a valid %s page size"):format(size, plan.data.name),
        "select from " .. table.concat(names, ", "))
end

-- Without being told: the descriptor of an app names its page size since ESP-IDF 5.4; before that the address of
-- the descriptor, which comes first in the image, gives it away.
local function find_page(plan, elf, note)
  local choices = plan.data.image.mmu_pages
  local section
  for _, s in ipairs(elf.sections) do
    if PROGRAM[s.type] and s.address ~= 0 and s.size > 0 and s.name:find(".flash.appdesc", 1, true) then
      section = s
      break
    end
  end
  if not choices or not section or not plan.is_flash(section.address) then return end
  local app = require "esp.image_info".app(elf:bytes(section))
  if not app then return end
  if app.mmu_page_size then
    choose_page(plan, app.mmu_page_size, note)
    return
  end
  for i = #choices, 1, -1 do
    if (section.address - IMAGE_START) % choices[i] == 0 then
      plan.page = choices[i]
      note("info", "page_size", ("MMU page size not specified, set to %d KB"):format(plan.page // 1024))
      return
    end
  end
  note("warning", "page_size", "App description segment is not aligned to MMU page size, probably linker script "
    .. "issue or wrong MMU page size. Try to set MMU page size parameter manually.")
end

local function place_elf_digest(plan, elf, opts)
  local offset = number(opts, "elf_sha256_offset", 0, 0xFFFFFFFF)
  if offset == 0 then
    for _, s in ipairs(plan.segments) do
      if s.name:find(".flash.appdesc", 1, true) then
        if plan.is_flash(s.address) and not plan.plain then offset = ELF_DIGEST_OFFSET end
        break
      end
    end
  end
  if offset > 0 then plan.elf_digest = { offset = offset, bytes = elf:sha256() } end
end

local function version_of(data, opts)
  local version = opts.version == nil and 1 or math.tointeger(tonumber(opts.version))
  if data.image_chip_id then return 1 end
  for _, v in ipairs(data.image.versions) do
    if v == version then return v end
  end
  wrong(("image version %s is not known"):format(tostring(opts.version)), "1, 2 and 3 are")
end

-- What the linker has not placed yet cannot be loaded. Another processor is only worth a warning: the address of
-- every segment is what decides.
local function check_kind(elf, data, note)
  if elf.type == elf_file.RELOCATABLE then
    fail { code = "bad_file", file = elf.name, offset = 16, hint = "give the program that the linker made",
           message = elf.name .. ": an object file, not a program (at offset 0x10)" }
  end
  if elf.machine ~= data.arch then
    note("warning", "other_processor", ("The ELF file is for %s, the %s is %s. Is it the right file?")
      :format(elf.machine, data.name, data.arch))
  end
end

local function make_plan(data, elf, opts, note)
  local version = version_of(data, opts)
  local extended = data.image_chip_id ~= nil
  local codes = version == 3 and chips.get(data.image.v3_codes) or data
  local plan = {
    chip = data, data = codes, version = version, extended = extended, plain = not extended and version ~= 3,
    entry = elf.entry, is_flash = flash_test(data, version), page = DEFAULT_PAGE, note = note,
    mode = code_of(image.MODES, opts.flash_mode or "qio", "mode", data),
    size_freq = code_of(codes.flash.sizes, opts.flash_size or "1MB", "size", codes)
      | (opts.flash_freq and code_of(codes.flash.freqs, opts.flash_freq, "frequency", codes) or 0),
    min_rev = number(opts, "min_rev", 0, 0xFF), min_rev_full = number(opts, "min_rev_full", 0, 0xFFFF),
    max_rev_full = number(opts, "max_rev_full", 0xFFFF, 0xFFFF),
    digest = not opts.dont_append_digest or not extended,
    pad_to_size = opts.pad_to_size and M.size(opts.pad_to_size, "pad_to_size"),
  }
  if extended then
    if opts.ram_only_header then plan.ram_only_header, plan.digest = true, false end
    if opts.secure_pad then
      if data.security.secure_boot_v1 then
        plan.secure_pad = 1
      else
        note("warning", "secure_pad", ("The %s has no secure boot V1: no padding for it."):format(data.name))
      end
    end
    if opts.secure_pad_v2 then plan.secure_pad = 2 end
  end
  if opts.flash_mmu_page_size then
    local size = M.size(opts.flash_mmu_page_size, "flash_mmu_page_size")
    if plan.plain then
      note("warning", "page_size", "Changing MMU page size is not supported on " .. data.name .. "!")
    else
      choose_page(plan, size, note)
    end
  else
    find_page(plan, elf, note)
  end
  return plan
end

local result = {}
result.__index = result

--- The bytes of a file of the result.
-- @param i 1, or 2 for the mapped part of an ESP8266 image of version 1
function result:bytes(i)
  local f = self.files[i or 1]
  return f and table.concat(f.pieces)
end

--- Write the files; each appears whole or not at all. They are not forced to the disk: they can be made again.
-- @param output as in the options of M.convert
-- @return list of paths
function result:save(output)
  local paths = {}
  for i, f in ipairs(self.files) do
    local path = self:path(i, output)
    local file <close> = fail.check(nil, nil, require "esp.core.fs".create(path))
    for _, piece in ipairs(f.pieces) do fail.check(nil, nil, file:write(piece)) end
    fail.check(nil, nil, file:commit(false))
    f.path = path
    paths[i] = path
  end
  return paths
end

--- The path of a file: from output, or from the ELF file's name as esptool makes it.
function result:path(i, output)
  local f, stem = self.files[i], output or self.output
  if self.version == 1 and not self.chip.image_chip_id then
    return ("%s0x%05x.bin"):format(stem or self.name .. "-", f.address)
  end
  if stem then return stem end
  local name = self.name:gsub("([^/\\])%.[^./\\]*$", "%1")
  if self.version == 2 then return ("%s-0x%05x.bin"):format(name, f.address // SECTOR * SECTOR) end
  return name .. ".bin"
end

--- Make an image from an ELF file.
-- @param source path, or { data = bytes, name = }, or an object of esp.elf
-- @param opts table; the names are esptool's long options with underscores:
--   chip (name or data, needed); output (path; for version 1 of the ESP8266 the beginning of two paths);
--   flash_mode ("qio"), flash_freq (code 0), flash_size ("1MB"); version (1, 2 or 3, ESP8266);
--   min_rev (0), min_rev_full (0), max_rev_full (65535); secure_pad, secure_pad_v2, dont_append_digest,
--   use_segments, ram_only_header (booleans); elf_sha256_offset (integer);
--   flash_mmu_page_size, pad_to_size (bytes, or "64KB", "4MB");
--   on_note function(level, code, text) with level "info", "note" or "warning"
-- @return object: files = list of { pieces, size, address (offset in flash where known) }, chip, version, page,
--   segments (count), notes = list of { level, code, text }; methods bytes(i), save([output]), path(i)
-- @raise bad_file, bad_image, bad_argument, unknown_chip, file_missing, file_denied
function M.convert(source, opts)
  local notes = {}
  local function note(level, code, text)
    notes[#notes + 1] = { level = level, code = code, text = text }
    if opts.on_note then opts.on_note(level, code, text) end
  end
  local data = type(opts.chip) == "table" and opts.chip or chips.get(opts.chip)
  local opened <close> = type(source) == "string" and elf_file.open(source) or nil
  local elf = opened or getmetatable(source) == elf_file and source or elf_file.read(source.data, source.name)
  check_kind(elf, data, note)
  local plan = make_plan(data, elf, opts, note)
  plan.segments = parts_of(elf, opts, note)
  place_elf_digest(plan, elf, opts)
  if plan.ram_only_header then
    note("info", "ram_only",
         "Image has only RAM segments visible. ROM segments are hidden and SHA256 digest is not appended.")
  end
  if opts.ram_only_header then
    for i, s in ipairs(plan.segments) do s.order = i end
    require "esp.sorted".sort(plan.segments, "address", "order")
  end
  plan.segments = merge(plan.segments, plan.data, plan, note)
  if #plan.segments > image.MAX_SEGMENTS then
    fail { code = "bad_image", message = ("%s: invalid segment count %d (max %d)")
      :format(elf.name, #plan.segments, image.MAX_SEGMENTS), hint = "usually this indicates a linker script problem" }
  end
  if #plan.segments == 0 then note("warning", "nothing_to_load", "The ELF file has nothing to load.") end
  local files
  if plan.extended then
    local o = require "esp.image_layout".write(plan)
    files = { { pieces = o.pieces, size = o.at } }
    if o.total > image.MAX_SEGMENTS then
      note("warning", "many_segments", ("The image has %d segments with padding; loaders accept %d.")
        :format(o.total, image.MAX_SEGMENTS))
    end
  else
    files = require "esp.image_esp8266"["write_v" .. plan.version](plan)
  end
  if plan.elf_digest and not plan.elf_digest.done then
    note("warning", "elf_digest", ("No segment has offset 0x%X: the SHA256 digest of the ELF file is not in the image.")
      :format(plan.elf_digest.offset))
  end
  return setmetatable({ files = files, notes = notes, chip = data, version = plan.version, page = plan.page,
                        segments = #plan.segments, name = elf.name, output = opts.output, entry = plan.entry }, result)
end

return M
