--- Partition tables as ESP-IDF's CSV text.
-- A line is "name, type, subtype, offset, size, flags". An empty offset is the end of the partition before, a
-- negative size counts from the start of flash: the partition ends there.
-- Source: ESP-IDF Programming Guide, "Partition Tables", "Creating Custom Tables".
local fail = require "esp.error"
local partition = require "esp.partition"
local types = require "esp.cli.types"
local M = {}

local LARGEST = 0xFFFFFFFF
local SHOWN = 40
local LINE_MAX = 4096                      -- bytes of a line; no table needs as many

local function shown(text)
  text = text:gsub("[^\32-\126\128-\255]", "?")
  return #text > SHOWN and text:sub(1, SHOWN) .. "..." or text
end

local function words(list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- What the fields of one line are read with: refuse(text, hint) raises with the line's number.
local function number(text, refuse, field, names, sign)
  local named = names and names[text:lower()]
  if named then return named end
  local body, factor = text, 1
  while body:find "^[+-]?%w.*[kKmM]$" and factor < 1 << 40 do
    factor = factor * (body:find "[kK]$" and 1 << 10 or 1 << 20)
    body = body:sub(1, -2)
  end
  local n = types.integer((body:gsub("(%x)_(%x)", "%1%2")))
  if n and math.abs(n) <= LARGEST and math.abs(n * factor) <= LARGEST and (n >= 0 or sign) then return n * factor end
  if n then refuse(("%s '%s' is out of range"):format(field, shown(text))) end
  if names and next(names) then
    local list = words(names)
    local near = types.nearest(text:lower(), list)
    refuse(("%s '%s' is not known"):format(field, shown(text)),
           (near and ("did you mean %s? "):format(near) or "") .. "a number, or one of " .. table.concat(list, ", "))
  end
  refuse(("%s '%s' is not a number"):format(field, shown(text)), "such as 0x10000, 64K or 1M")
end

local function byte(text, refuse, field, names)
  local n = number(text, refuse, field, names)
  if n > 0xFF then refuse(("%s '%s' is out of range, 0xFF is the largest"):format(field, shown(text))) end
  return n
end

-- Names of subtypes that the project adds to ESP-IDF's own.
local function subtypes_of(kind, o)
  local extra = o.extra_subtypes and o.extra_subtypes[kind]
  if not extra then return partition.SUBTYPES[kind] or {} end
  return setmetatable({}, { __index = function(_, name)
    return extra[name] or (partition.SUBTYPES[kind] or {})[name]
  end, __pairs = function()
    local all = {}
    for k, v in pairs(partition.SUBTYPES[kind] or {}) do all[k] = v end
    for k, v in pairs(extra) do all[k] = v end
    return next, all, nil
  end })
end

local function primary_place(e, o, refuse)
  if e.type == partition.TABLE then return o.table_offset, partition.SECTOR end
  local place = o.primary_bootloader_offset
  if not place then
    refuse("a bootloader partition needs the offset of the bootloader", "--primary-bootloader-offset gives it")
  end
  return place, o.table_offset - place
end

local function read_place(e, fields, o, refuse)
  local offset, size = fields[4], fields[5]
  if e.type == partition.BOOTLOADER or e.type == partition.TABLE then
    local first, n = primary_place(e, o, refuse)
    e.size = n
    if e.subtype == 0 then
      e.offset = first
      return
    end
    if e.type == partition.BOOTLOADER and e.subtype == 2 then
      e.offset = o.recovery_bootloader_offset
        or refuse("a recovery bootloader needs its offset", "--recovery-bootloader-offset gives it")
      return
    end
  elseif size == "" then
    refuse "the size is missing"
  else
    e.size = number(size, refuse, "size", nil, true)
  end
  if offset ~= "" then e.offset = number(offset, refuse, "offset") end
end

local function read_line(line, o, refuse)
  local fields = {}
  for field in (line .. ","):gmatch "([^,]*)," do
    fields[#fields + 1] = field:match "^%s*(.-)%s*$"
    if #fields > 64 then break end
  end
  for i = #fields + 1, 6 do fields[i] = "" end
  for i = 7, #fields do
    if fields[i] ~= "" then refuse(("a line has 6 fields, this one has more: '%s'"):format(shown(fields[i]))) end
  end
  local e = { label = fields[1], flags = 0, encrypted = false, readonly = false }
  if e.label:find "%z" then refuse "the name has a zero byte in it" end
  if #e.label > partition.LABEL_MAX then
    e.long_label, e.label = e.label, e.label:sub(1, partition.LABEL_MAX)
  end
  if fields[2] == "" then refuse("the type is missing", require "esp.text".separator_hint(line)) end
  e.type = byte(fields[2], refuse, "type", partition.TYPES)
  if fields[3] ~= "" then
    e.subtype = byte(fields[3], refuse, "subtype", subtypes_of(e.type, o))
  elseif e.type == partition.APP then
    refuse("the subtype of an app partition is missing", "factory, test or ota_0 to ota_15")
  else
    e.subtype = partition.UNDEFINED
  end
  read_place(e, fields, o, refuse)
  for flag in fields[6]:gmatch "[^:]+" do
    local bit = partition.FLAGS[flag]
    if not bit then
      refuse(("flag '%s' is not known"):format(shown(flag)), "flags are encrypted and readonly, with : between them")
    end
    e.flags, e[flag] = e.flags | bit, true
  end
  return e
end

-- Environment variables, as $NAME or ${NAME}.
local function expand(line, o, refuse)
  if not line:find("$", 1, true) then return line end
  local getenv = o.getenv or os.getenv
  local function value(name)
    return getenv(name) or refuse(("environment variable %s is not set"):format(name))
  end
  return (line:gsub("%$(%b{})", function(name) return value(name:sub(2, -2)) end):gsub("%$([%a_][%w_]*)", value))
end

-- Offsets that were left empty, and sizes that name an end.
local function fill_in(list, name, o)
  local stop = o.table_offset + partition.SECTOR
  local first = true
  for _, e in ipairs(list) do
    if not partition.is_primary(e) then
      if e.offset and e.offset < stop then
        fail { code = "bad_partition_table", file = name, line = e.line,
               message = ("%s: line %d: %s at 0x%X begins before the end of the %s, 0x%X"):format(name, e.line,
                 partition.shown(e.label), e.offset, first and "partition table" or "partition before it", stop),
               hint = "leave the offset empty to have it filled in" }
      end
      if not e.offset then
        local multiple = partition.alignment(e.type)
        e.offset = (stop + multiple - 1) // multiple * multiple
      end
      if e.size < 0 then e.size = -e.size - e.offset end
      stop = e.offset + e.size
      if e.size < 0 or stop > LARGEST + 1 or e.offset > LARGEST then
        fail { code = "bad_partition_table", file = name, line = e.line,
               message = ("%s: line %d: %s would go from 0x%X to 0x%X"):format(name, e.line,
                 partition.shown(e.label), e.offset, math.max(stop, 0)) }
      end
      first = false
    end
  end
  return list
end

--- Read CSV text.
-- @param text string
-- @param o { name = what messages call it, table_offset = 0x8000, primary_bootloader_offset =,
--   recovery_bootloader_offset =, extra_subtypes = as extra_subtypes() gives, getenv = function } or nil
-- @return list of entries, each with the number of its line
-- @raise bad_partition_table, with the line
function M.decode(text, o)
  o = setmetatable({ table_offset = o and o.table_offset or partition.TABLE_OFFSET }, { __index = o })
  local name = o.name or "partition table"
  text = require "esp.text".plain(text, name, "bad_partition_table")
  local list, at = {}, 0
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    at = at + 1
    local function refuse(what, hint)
      fail { code = "bad_partition_table", message = ("%s: line %d: %s"):format(name, at, what), hint = hint,
             file = name, line = at }
    end
    if #line > LINE_MAX then refuse(("%d bytes are too many for a line"):format(#line)) end
    line = line:match "^%s*(.-)%s*$"
    if line ~= "" and line:sub(1, 1) ~= "#" then
      if not utf8.len(line) then
        refuse("this is no text", "a table is CSV, or binary beginning with AA 50")
      end
      local e = read_line(expand(line, o, refuse), o, refuse)
      e.line = at
      list[#list + 1] = e
      if #list > 96 then refuse "more partitions than a table can have" end
    end
  end
  return fill_in(list, name, o)
end

--- Names of subtypes that a project adds: "data,settings,0x40" per word.
-- @param list of such texts
-- @return table for decode and encode
-- @raise bad_argument
function M.extra_subtypes(list)
  local extra = {}
  for _, text in ipairs(list) do
    local kind, name, value = text:match "^%s*([%w_]+)%s*,%s*([%w_]+)%s*,%s*([%w]+)%s*$"
    local t, n = kind and partition.TYPES[kind:lower()], value and types.integer(value)
    if n and not value:find "^0" then n = tonumber(value, 16) end       -- ESP-IDF reads them as hexadecimal
    if not t or not n or n < 0 or n > 0xFE then
      fail { code = "bad_argument", message = ("subtype '%s' is not TYPE,NAME,NUMBER"):format(shown(text)),
             hint = "for example data,settings,0x40" }
    end
    local other = partition.subtype_name(t, n, extra)
    if other then
      fail { code = "bad_argument", message = ("subtype '%s': 0x%02X is %s already"):format(shown(text), n, other) }
    end
    extra[t] = extra[t] or {}
    extra[t][name:lower()] = n
  end
  return extra
end

local function size_text(n)
  if n % 0x100000 == 0 then return ("%dM"):format(n // 0x100000) end
  if n % 0x400 == 0 then return ("%dK"):format(n // 0x400) end
  return ("0x%x"):format(n)
end

--- Write CSV text, as ESP-IDF's own tool does.
-- @param list entries
-- @param o { extra_subtypes = } or nil
-- @return string
-- @raise bad_partition_table when a label cannot be written
function M.encode(list, o)
  local lines = { "# ESP-IDF Partition Table", "# Name, Type, SubType, Offset, Size, Flags" }
  for _, e in ipairs(list) do
    local label = e.label
    if label:find "[,\r\n]" or label:find "^%s*#" or not utf8.len(label) then
      fail { code = "bad_partition_table", message = ("the name of the partition at 0x%X, '%s', cannot be written "
        .. "as CSV"):format(e.offset, shown(label)) }
    end
    local flags = {}
    for _, flag in ipairs(partition.FLAG_NAMES) do
      if e[flag] then flags[#flags + 1] = flag end
    end
    lines[#lines + 1] = table.concat({ label, partition.type_name(e.type) or ("%d"):format(e.type),
      partition.subtype_name(e.type, e.subtype, o and o.extra_subtypes) or ("%d"):format(e.subtype),
      ("0x%x"):format(e.offset), size_text(e.size), table.concat(flags, ":") }, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
