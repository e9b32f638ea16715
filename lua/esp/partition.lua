--- Partition tables: ESP-IDF's binary form to and from plain tables.
-- A table is a list of entries { label, type, subtype, offset, size, flags, encrypted, readonly }; offset and size
-- in bytes, type and subtype numbers. esp.partition_csv reads and writes the text form, esp.partition_check looks
-- for what is wrong, esp.partition_chip reads the table of a chip.
-- Source: ESP-IDF Programming Guide, "Partition Tables"; the behaviour of gen_esp32part.py 1.5 at its borders.
local digest = require "esp.core.digest"
local fail = require "esp.error"
local M = {}

local ENTRY = "<I2BBI4I4c16I4"             -- magic, type, subtype, offset, size, label, flags
local ENTRY_SIZE = string.packsize(ENTRY)
local MAGIC, MAGIC_MD5 = 0x50AA, 0xEBEB
local MD5_HEAD = "\xEB\xEB" .. ("\xFF"):rep(14)
local END = ("\xFF"):rep(ENTRY_SIZE)

local RANGES = { { "type", 0xFF }, { "subtype", 0xFF }, { "offset", 0xFFFFFFFF }, { "size", 0xFFFFFFFF } }

M.TABLE_OFFSET = 0x8000                    -- where a table is unless a project says otherwise
M.MAX_SIZE = 0xC00                         -- of the table; the rest of its sector is for a signature
M.SECTOR = 0x1000                          -- the table has this one for itself
M.LABEL_MAX = 16
M.MAGIC = "\xAA\x50"
M.FLAGS = { encrypted = 1, readonly = 2 }
M.FLAG_NAMES = { "encrypted", "readonly" }
M.APP, M.DATA, M.BOOTLOADER, M.TABLE = 0, 1, 2, 3
M.OTA_DATA, M.NVS, M.COREDUMP, M.UNDEFINED, M.TEE_OTA_DATA = 0x00, 0x02, 0x03, 0x06, 0x90
M.FACTORY, M.TEST, M.OTA_0, M.OTA_SLOTS = 0x00, 0x20, 0x10, 16

M.TYPES = { app = M.APP, data = M.DATA, bootloader = M.BOOTLOADER, partition_table = M.TABLE }
M.SUBTYPES = {
  [M.APP] = { factory = M.FACTORY, test = M.TEST, tee_0 = 0x30, tee_1 = 0x31 },
  [M.DATA] = { ota = M.OTA_DATA, phy = 0x01, nvs = M.NVS, coredump = M.COREDUMP, nvs_keys = 0x04, efuse = 0x05,
               undefined = M.UNDEFINED, esphttpd = 0x80, fat = 0x81, spiffs = 0x82, littlefs = 0x83,
               tee_ota = M.TEE_OTA_DATA },
  [M.BOOTLOADER] = { primary = 0x00, ota = 0x01, recovery = 0x02 },
  [M.TABLE] = { primary = 0x00, ota = 0x01 },
}
for slot = 0, M.OTA_SLOTS - 1 do M.SUBTYPES[M.APP]["ota_" .. slot] = M.OTA_0 + slot end

local function bad(name, text, hint, more)
  local e = more or {}
  e.code, e.message, e.hint, e.file = "bad_partition_table", ("%s: %s"):format(name, text), hint, name
  fail(e)
end

local function name_of(names, value)
  for name, v in pairs(names or {}) do
    if v == value then return name end
  end
  return nil
end

--- Name of a type: "app", or nil for one that has none.
function M.type_name(kind)
  return name_of(M.TYPES, kind)
end

--- Name of a subtype: "ota_0", or nil for one that has none.
-- @param extra names that a project adds, as esp.partition_csv reads them
function M.subtype_name(kind, subtype, extra)
  return name_of(M.SUBTYPES[kind], subtype) or extra and name_of(extra[kind], subtype) or nil
end

--- What an entry is, for people: "app/ota_0", "0x40/0x01".
function M.kind(e)
  return ("%s/%s"):format(M.type_name(e.type) or ("0x%02X"):format(e.type),
                          M.subtype_name(e.type, e.subtype) or ("0x%02X"):format(e.subtype))
end

--- Whether an entry stands for the bootloader or the table themselves, which lie below the other partitions.
function M.is_primary(e)
  return (e.type == M.BOOTLOADER or e.type == M.TABLE) and e.subtype == 0
end

--- The multiple that the offset of a partition has to be.
function M.alignment(kind)
  return kind == M.APP and 0x10000 or M.SECTOR
end

--- Whether bytes begin like a binary table.
function M.is_binary(bytes)
  return bytes:sub(1, 2) == M.MAGIC or bytes:sub(1, 16) == MD5_HEAD     -- the latter for a table without entries
end

--- A label as messages show it.
function M.shown(label)
  return (label:gsub("[%c\127]", "?"))
end

--- Decode a binary table. What follows its end, such as a signature, is ignored.
-- @param bytes string
-- @param o { name = what messages call it, md5 = false to let a wrong digest pass } or nil
-- @return list of entries; with md5 = "right", "wrong" or "none"
-- @raise bad_partition_table, with the offset of the entry at fault
function M.decode(bytes, o)
  local name, strict = o and o.name or "partition table", not o or o.md5 ~= false
  local list = { md5 = "none" }
  for at = 0, math.min(#bytes, M.MAX_SIZE) - 1, ENTRY_SIZE do
    local raw = bytes:sub(at + 1, at + ENTRY_SIZE)
    if #raw < ENTRY_SIZE then
      bad(name, ("cut short at 0x%X: an entry has %d bytes, %d are there"):format(at, ENTRY_SIZE, #raw), nil,
          { offset = at })
    end
    if raw == END then return list end
    local magic, kind, subtype, offset, size, label, flags = ENTRY:unpack(raw)
    if magic == MAGIC_MD5 then
      list.md5 = raw:sub(17) == digest.md5(bytes:sub(1, at)) and "right" or "wrong"
      if list.md5 == "wrong" and strict then
        bad(name, ("the digest at 0x%X is that of another table"):format(at), "part of the table is damaged",
            { offset = at })
      end
    elseif magic ~= MAGIC then
      bad(name, ("no entry at 0x%X: found 0x%04X, expected 0x%04X"):format(at, magic, MAGIC),
          at == 0 and "was it read from the right offset, and is it not encrypted?" or nil, { offset = at })
    else
      list[#list + 1] = { label = label:match "^%Z*", type = kind, subtype = subtype, offset = offset, size = size,
                          flags = flags, encrypted = flags & 1 ~= 0, readonly = flags & 2 ~= 0 }
    end
  end
  if #bytes >= M.MAX_SIZE then return list end
  bad(name, ("no end mark in %d bytes"):format(#bytes), "is the file complete?")
end

--- Encode a table.
-- @param list entries
-- @param o { md5 = false to leave the digest out } or nil
-- @return 0xC00 bytes
-- @raise bad_partition_table
function M.encode(list, o)
  local rows = {}
  for i, e in ipairs(list) do
    for _, field in ipairs(RANGES) do
      local value = e[field[1]]
      if math.type(value) ~= "integer" or value < 0 or value > field[2] then
        bad("partition " .. M.shown(tostring(e.label or i)), ("%s %s is not in 0 to 0x%X"):format(field[1],
            math.type(value) == "integer" and value < 0 and ("-0x%X"):format(-value) or tostring(value), field[2]))
      end
    end
    local flags = (e.flags or 0) & ~3 | (e.encrypted and 1 or 0) | (e.readonly and 2 or 0)
    local label = e.label:sub(1, M.LABEL_MAX)
    rows[i] = ENTRY:pack(MAGIC, e.type, e.subtype, e.offset, e.size, label, flags)
  end
  local text = table.concat(rows)
  if not o or o.md5 ~= false then text = text .. MD5_HEAD .. digest.md5(text) end
  if #text >= M.MAX_SIZE then
    bad("partition table", ("%d partitions are too many, %d is the most"):format(#list,
        M.MAX_SIZE // ENTRY_SIZE - ((not o or o.md5 ~= false) and 2 or 1)))
  end
  return text .. ("\xFF"):rep(M.MAX_SIZE - #text)
end

--- Read a table in either form, told apart by content.
-- @param bytes string
-- @param o { name =, and what esp.partition_csv.decode takes } or nil
-- @return list, "binary" or "csv"
-- @raise bad_partition_table
function M.parse(bytes, o)
  if M.is_binary(bytes) then return M.decode(bytes, o), "binary" end
  if bytes:find "^\xFF*$" and #bytes > 0 then
    bad(o and o.name or "partition table", "only erased bytes (0xFF), no table", "was it read from the right offset?")
  end
  if bytes:find("\0", 1, true) then
    bad(o and o.name or "partition table", "no partition table begins here, and as CSV it is not text",
        "a binary table begins with AA 50")
  end
  return require "esp.partition_csv".decode(bytes, o), "csv"
end

local LARGEST_FILE = 1 << 20

--- Read a table from a file in either form.
-- @param path string; o as for parse
-- @raise file_missing, file_denied, bad_file, bad_partition_table
function M.load(path, o)
  local fs = require "esp.core.fs"
  local st = fail.check(nil, "is the path right, seen from the current folder?", fs.stat(path))
  if st.type == "dir" then fail { code = "bad_file", message = path .. ": is a directory, not a file", file = path } end
  local f, why = io.open(path, "rb")
  if not f then fail { code = "file_denied", message = why, file = path } end
  local bytes = f:read(LARGEST_FILE + 1) or ""
  f:close()
  if #bytes > LARGEST_FILE then bad(path, "too large for a partition table") end
  return M.parse(bytes, setmetatable({ name = path }, { __index = o }))
end

--- Where the last partition ends.
function M.stop(list)
  local stop = 0
  for _, e in ipairs(list) do stop = math.max(stop, e.offset + e.size) end
  return stop
end

--- Entries with a type and a subtype, in the order of the subtype.
-- @param subtype number, or nil for any
function M.of_type(list, kind, subtype)
  local found = {}
  for _, e in ipairs(list) do
    if e.type == kind and (subtype == nil or e.subtype == subtype) then found[#found + 1] = e end
  end
  return found
end

--- The entry with a label, or nil.
function M.find(list, label)
  for _, e in ipairs(list) do
    if e.label == label then return e end
  end
  return nil
end

--- Refuse a partition that shares bytes with another one or with the table: writing to it, or erasing it, would take
-- away what nobody named.
-- @param list entries; with table_offset where it is not the usual one
-- @param e one of them
-- @raise bad_partition_table
function M.check_apart(list, e)
  local function check(first, stop, what)
    if e.offset < stop and first < e.offset + e.size then
      fail { code = "bad_partition_table", label = e.label,
             message = ("partition %s, 0x%X to 0x%X, overlaps %s, 0x%X to 0x%X"):format(M.shown(e.label), e.offset,
               e.offset + e.size - 1, what, first, stop - 1),
             hint = "is the table damaged? `esplua partition check` tells more; with force it is done all the same" }
    end
  end
  if e.type == M.BOOTLOADER or e.type == M.TABLE or e.size == 0 then return end
  local at = list.table_offset or M.TABLE_OFFSET
  check(at, at + M.SECTOR, "the partition table")
  for _, other in ipairs(list) do
    if other ~= e and other.size > 0 then check(other.offset, other.offset + other.size, M.shown(other.label)) end
  end
end

--- The entry with a label, or of a kind such as "app/ota_0" or "0x40/0x01" of which there is one.
-- @raise no_partition, naming those that there are
function M.get(list, label)
  local e = M.find(list, label)
  if e then return e end
  local alike = {}
  for _, other in ipairs(label:find("/", 1, true) and list or {}) do
    if M.kind(other):lower() == label:lower() then
      e = other
      alike[#alike + 1] = M.shown(other.label)
    end
  end
  if #alike == 1 then return e end
  if #alike > 1 then
    fail { code = "no_partition", message = ("there are %d partitions %s"):format(#alike, M.shown(label)),
           label = label, hint = "they are " .. table.concat(alike, ", ") }
  end
  local labels = {}
  for i, other in ipairs(list) do labels[i] = M.shown(other.label) end
  local near = require "esp.cli.types".nearest(label, labels)
  fail { code = "no_partition", message = ("there is no partition %s"):format(M.shown(label)), label = label,
         hint = #labels == 0 and "the partition table is empty"
           or (near and ("did you mean %s? "):format(near) or "") .. "there are " .. table.concat(labels, ", ") }
end

return M
