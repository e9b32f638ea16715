--- NVS images: what ESP-IDF's key-value store looks like in flash.
-- An image is a list of entries { namespace, key, encoding, value }: value is an integer for u8 to i64 (u64 as Lua's
-- 64 bits), bytes for string and blob. An entry without a key only names its namespace. esp.nvs_read reads images,
-- esp.nvs_csv the text form, esp.nvs_keys has the keys of encrypted ones.
-- Source: ESP-IDF Programming Guide, "Non-Volatile Storage Library", "Internals"; the behaviour of
-- nvs_partition_gen.py 0.2.0 at its borders.
local crypto = require "esp.core.crypto"
local digest = require "esp.core.digest"
local fail = require "esp.error"
local M = {}

M.PAGE, M.ENTRY, M.FIRST, M.ENTRIES = 4096, 32, 64, 126
M.KEY_MAX = 15
M.STRING_MAX = { 1984, 4000 }              -- by version, with the zero at the end
M.BLOB_MAX = { 1984, 508000 }
M.ACTIVE, M.FULL = 0xFFFFFFFE, 0xFFFFFFFC
M.VERSIONS = { 0xFF, 0xFE }
M.SMALLEST = 0x3000                        -- that can be written to: one page is always kept free
M.ANY = 0xFF                               -- chunk index of what is no chunk
M.STRING, M.BLOB, M.BLOB_DATA, M.BLOB_INDEX = 0x21, 0x41, 0x42, 0x48
-- code, format
M.INTEGERS = { u8 = { 0x01, "<I1" }, i8 = { 0x11, "<i1" }, u16 = { 0x02, "<I2" }, i16 = { 0x12, "<i2" },
               u32 = { 0x04, "<I4" }, i32 = { 0x14, "<i4" }, u64 = { 0x08, "<i8" }, i64 = { 0x18, "<i8" } }

local FF = ("\xFF"):rep(M.ENTRY)
local MAX_SIZE = 1 << 28

local function bad(o, e, text, hint)
  local where = e and e.line and ("line %d: "):format(e.line) or ""
  if e and e.key then where = where .. ("key %s: "):format(e.key) end
  fail { code = "bad_nvs", message = ("%s: %s%s"):format(e and e.file or o.name or "NVS", where, text), hint = hint,
         line = e and e.line, key = e and e.key, file = e and e.file or o.name }
end

--- Checksum that entries, pages and keys have.
function M.crc(bytes)
  return digest.crc32(bytes, 0xFFFFFFFF)
end

--- The tweak of an entry, by its address in the partition.
function M.tweak(address)
  return ("<I8"):pack(address) .. ("\0"):rep(8)
end

-- An entry: what its header says and 8 bytes of data, or of how the data is found.
local function header(index, kind, span, chunk, key, data)
  key = key .. ("\0"):rep(16 - #key)
  data = data .. FF:sub(1, 8 - #data)
  local first = ("BBBB"):pack(index, kind, span, chunk)
  return first .. ("<I4"):pack(M.crc(first .. key .. data)) .. key .. data
end

local function entries_for(n)
  return (n + M.ENTRY - 1) // M.ENTRY
end

local Writer = {}
Writer.__index = Writer

function Writer:next_page()
  local page = { count = 0, number = #self.pages }
  if self.page then self.page.full = true end
  self.pages[#self.pages + 1], self.page = page, page
end

-- Appends whole entries; the last one is filled up.
function Writer:put(bytes)
  local page = self.page
  bytes = bytes .. ("\xFF"):rep(-#bytes % M.ENTRY)
  for at = 1, #bytes, M.ENTRY do
    local entry = bytes:sub(at, at + M.ENTRY - 1)
    if self.key then
      entry = crypto.xts_encrypt(self.key, M.tweak(page.number * M.PAGE + M.FIRST + page.count * M.ENTRY), entry)
    end
    page.count = page.count + 1
    page[page.count] = entry
  end
end

function Writer:integer(index, key, kind, data)
  if self.page.count >= M.ENTRIES then self:next_page() end
  self:put(header(index, kind, 1, M.ANY, key, data))
end

-- A string, or a blob of version 1: all of it in one page.
function Writer:whole(index, key, kind, data)
  local span = entries_for(#data) + 1
  if self.page.count > 0 and self.page.count + span >= M.ENTRIES then self:next_page() end
  self:put(header(index, kind, span, M.ANY, key, ("<I2I2I4"):pack(#data, 0xFFFF, M.crc(data))))
  self:put(data)
end

-- A blob of version 2: chunks that fill the pages, then the entry that lists them.
function Writer:chunks(index, key, data)
  if self.page.count >= M.ENTRIES then self:next_page() end
  local done, count = 0, 0
  repeat
    local room = (M.ENTRIES - self.page.count - 1) * M.ENTRY
    local part = data:sub(done + 1, done + math.min(room, #data - done))
    self:put(header(index, M.BLOB_DATA, entries_for(#part) + 1, count, key,
                    ("<I2I2I4"):pack(#part, 0xFFFF, M.crc(part))))
    self:put(part)
    done, count = done + #part, count + 1
    if done < #data or room - #part < M.ENTRY then self:next_page() end
  until done == #data
  self:put(header(index, M.BLOB_INDEX, 1, M.ANY, key, ("<I4BBI2"):pack(#data, count, 0, 0xFFFF)))
end

function Writer:namespace(name)
  local index = self.namespaces[name]
  if index then return index end
  if self.last_namespace >= 254 then return nil end
  index = self.last_namespace + 1
  self.last_namespace, self.namespaces[name] = index, index
  self:integer(0, name, M.INTEGERS.u8[1], ("B"):pack(index))
  return index
end

local function page_bytes(page, version)
  local head = ("<I4I4B"):pack(page.full and M.FULL or M.ACTIVE, page.number, version) .. ("\xFF"):rep(19)
  local bitmap = {}
  for i = 0, 31 do
    local byte = 0xFF
    for slot = 0, 3 do
      if i * 4 + slot < page.count then byte = byte & ~(1 << slot * 2) end
    end
    bitmap[#bitmap + 1] = string.char(byte)
  end
  return head .. ("<I4"):pack(M.crc(head:sub(5))) .. table.concat(bitmap) .. table.concat(page)
    .. FF:rep(M.ENTRIES - page.count)
end

local function check_name(o, e, what, name)
  if type(name) ~= "string" or name == "" then bad(o, e, what .. " is empty") end
  if #name > M.KEY_MAX then
    bad(o, e, ("%s %s has %d bytes, %d is the most"):format(what, name, #name, M.KEY_MAX))
  end
  if name:find "%z" then bad(o, e, what .. " has a zero byte in it") end
end

local function add(w, o, e, version)
  local index = w:namespace(e.namespace) or bad(o, e, "more than 254 namespaces")
  if not e.key then return end
  local id = index .. "/" .. e.key
  if w.seen[id] then
    bad(o, e, ("given twice in namespace %s%s"):format(e.namespace,
        type(w.seen[id]) == "number" and (", first in line %d"):format(w.seen[id]) or ""))
  end
  w.seen[id] = e.line or true
  local integer = M.INTEGERS[e.encoding]
  if integer then
    local ok, data = pcall(string.pack, integer[2], e.value)
    if not ok then bad(o, e, ("%s is not in the range of %s"):format(tostring(e.value), e.encoding)) end
    return w:integer(index, e.key, integer[1], data)
  end
  local is_string = e.encoding == "string"
  if not is_string and e.encoding ~= "blob" then
    bad(o, e, ("encoding '%s' is not known"):format(tostring(e.encoding)))
  end
  if type(e.value) ~= "string" then bad(o, e, ("a %s has to be bytes"):format(e.encoding)) end
  local data = is_string and e.value .. "\0" or e.value
  local most = (is_string and M.STRING_MAX or M.BLOB_MAX)[version]
  if #data > most then
    bad(o, e, ("%d bytes, %d is the most for a %s%s"):format(#data, most, e.encoding,
        version == 1 and " of version 1" or ""))
  end
  if is_string then return w:whole(index, e.key, M.STRING, data) end
  if version == 1 then return w:whole(index, e.key, M.BLOB, data) end
  w:chunks(index, e.key, data)
end

--- Make an image.
-- @param list entries
-- @param o { size = bytes of the partition, version = 2 or 1 (blobs within one page), key = 64 bytes of
--   esp.nvs_keys: the image is encrypted, name = what messages call it }
-- @return bytes, as many as the partition has
-- @raise bad_argument for the size; bad_nvs, naming line and key; does_not_fit
function M.build(list, o)
  local size, version = o.size, o.version or 2
  if math.type(size) ~= "integer" or size <= 0 or size % M.PAGE ~= 0 or size > MAX_SIZE then
    fail { code = "bad_argument", message = ("an NVS partition cannot have %s bytes"):format(tostring(size)),
           hint = ("a multiple of 0x1000; 0x%X or more when the device is to write to it"):format(M.SMALLEST) }
  end
  if not M.VERSIONS[version] then error("nvs: version 1 or 2 expected", 2) end
  local w = setmetatable({ pages = {}, key = o.key, namespaces = {}, last_namespace = 0, seen = {} }, Writer)
  w:next_page()
  local room = size < M.SMALLEST and size or size - M.PAGE
  for _, e in ipairs(list) do
    check_name(o, e, "the namespace", e.namespace)
    if e.key then check_name(o, e, "the key", e.key) end
    add(w, o, e, version)
    if #w.pages > MAX_SIZE // M.PAGE then break end
  end
  if #w.pages * M.PAGE > room then
    local needed = math.max(#w.pages * M.PAGE + (size < M.SMALLEST and 0 or M.PAGE))
    fail { code = "does_not_fit", message = ("%s: the data needs an NVS partition of 0x%X bytes, there are 0x%X")
      :format(o.name or "NVS", needed, size), needed = needed }
  end
  local out = {}
  for i, page in ipairs(w.pages) do out[i] = page_bytes(page, M.VERSIONS[version]) end
  local bytes = table.concat(out)
  return bytes .. ("\xFF"):rep(size - #bytes)
end

--- Entries from a table of tables: { wifi = { ssid = "home", channel = { "u8", 6 }, cert = { "blob", bytes } } }.
-- Plain strings are strings; everything else says its encoding. Names are sorted, so that equal tables give equal
-- images.
-- @raise bad_nvs
function M.entries(t)
  local function sorted(part)
    local names = {}
    for name in pairs(part) do names[#names + 1] = name end
    table.sort(names)
    return ipairs(names)
  end
  local list = {}
  for _, namespace in sorted(t) do
    list[#list + 1] = { namespace = namespace }
    for _, key in sorted(t[namespace]) do
      local value = t[namespace][key]
      if type(value) == "string" then value = { "string", value } end
      if type(value) ~= "table" then
        fail { code = "bad_nvs", message = ("NVS: %s/%s: { encoding, value } expected"):format(namespace, key) }
      end
      list[#list + 1] = { namespace = namespace, key = key, encoding = value[1], value = value[2] }
    end
  end
  return list
end

return M
