--- Reading NVS images, plain or encrypted; what is damaged is reported with page and entry, the rest is read.
-- Source: ESP-IDF Programming Guide, "Non-Volatile Storage Library", "Internals".
local crypto = require "esp.core.crypto"
local fail = require "esp.error"
local nvs = require "esp.nvs"
local M = {}

local STATES = { [0xFFFFFFFF] = "empty", [0xFFFFFFFE] = "active", [0xFFFFFFFC] = "full", [0xFFFFFFF8] = "freeing",
                 [0] = "corrupt" }
local WRITTEN, ERASED, UNUSED = 2, 0, 3    -- two bits for each entry
local HEADER = "<BBBBI4c16c8"              -- namespace, type, span, chunk index, checksum, key, data
local INTEGERS = {}
for name, t in pairs(nvs.INTEGERS) do INTEGERS[t[1]] = { name = name, format = t[2] } end
local KNOWN = { [nvs.STRING] = "string", [nvs.BLOB] = "blob", [nvs.BLOB_DATA] = "blob data",
                [nvs.BLOB_INDEX] = "blob index" }
local MAX_SIZE = 1 << 28

local function shown(text)
  return (text:gsub("[^\32-\126\128-\255]", "?"))
end

local Reader = {}
Reader.__index = Reader

function Reader:problem(level, page, slot, text)
  local where = page and ("page %d (0x%X)"):format(page.index, page.offset) or ""
  if slot then where = where .. (", entry %d"):format(slot) end
  self.problems[#self.problems + 1] = { level = level, page = page and page.index, entry = slot,
                                        offset = page and page.offset + (slot and nvs.FIRST + slot * nvs.ENTRY or 0),
                                        text = (where ~= "" and where .. ": " or "") .. text }
end

-- The bytes of entries, decrypted.
function Reader:entry(page, slot, count)
  local from = page.offset + nvs.FIRST + slot * nvs.ENTRY
  if not self.key then return self.bytes:sub(from + 1, from + count * nvs.ENTRY) end
  local parts = {}
  for i = 0, count - 1 do
    local at = from + i * nvs.ENTRY
    parts[i + 1] = crypto.xts_decrypt(self.key, nvs.tweak(at), self.bytes:sub(at + 1, at + nvs.ENTRY))
  end
  return table.concat(parts)
end

local function slot_states(bytes, at)
  local states = {}
  for i = 0, nvs.ENTRIES - 1 do
    states[i] = bytes:byte(at + 1 + i // 4) >> i % 4 * 2 & 3
  end
  return states
end

local function check_span(self, page, slot, states, item)
  if item.span < 1 or item.span > nvs.ENTRIES - slot then
    self:problem("error", page, slot, ("key %s: a span of %d entries does not fit in the page"):format(
      shown(item.key), item.span))
    return false
  end
  for i = slot + 1, slot + item.span - 1 do
    if states[i] ~= WRITTEN then
      self:problem("error", page, slot, ("key %s: entry %d of its %d is not marked as written"):format(
        shown(item.key), i - slot + 1, item.span))
      return false
    end
  end
  return true
end

-- Reads the data behind a header; nil when it is damaged.
local function read_data(self, page, slot, item)
  local size, _, crc = ("<I2I2I4"):unpack(item.data)
  if size > (item.span - 1) * nvs.ENTRY then
    self:problem("error", page, slot, ("key %s: %d bytes of data do not fit in %d entries"):format(shown(item.key),
      size, item.span - 1))
    return nil
  end
  local bytes = self:entry(page, slot + 1, item.span - 1):sub(1, size)
  local found = nvs.crc(bytes)
  if found ~= crc then
    self:problem("error", page, slot, ("key %s: the checksum of the data is 0x%08X, expected 0x%08X"):format(
      shown(item.key), found, crc))
    return nil
  end
  return bytes
end

local function read_item(self, page, slot, states)
  local raw = self:entry(page, slot, 1)
  local namespace, kind, span, chunk, crc, key, data = HEADER:unpack(raw)
  local found = nvs.crc(raw:sub(1, 4) .. raw:sub(9))
  if found ~= crc then
    page.bad = page.bad + 1
    self:problem("error", page, slot, ("the checksum of the entry is 0x%08X, expected 0x%08X"):format(found, crc))
    return nil, 1
  end
  local item = { namespace = namespace, kind = kind, span = span, chunk = chunk, key = key:match "^%Z*", data = data,
                 page = page, slot = slot }
  page.good = page.good + 1
  if not INTEGERS[kind] and not KNOWN[kind] then
    self:problem("error", page, slot, ("key %s: type 0x%02X is not known"):format(shown(item.key), kind))
    return nil, span >= 1 and span <= nvs.ENTRIES - slot and span or 1
  end
  if not check_span(self, page, slot, states, item) then return nil, 1 end
  if kind == nvs.STRING or kind == nvs.BLOB or kind == nvs.BLOB_DATA then
    item.bytes = read_data(self, page, slot, item)
    if not item.bytes then return nil, span end
  end
  return item, span
end

local function read_page(self, index)
  local at = index * nvs.PAGE
  local head = self.bytes:sub(at + 1, at + 32)
  local state, number, version = ("<I4I4B"):unpack(head)
  local page = { index = index, offset = at, state = STATES[state] or ("0x%08X"):format(state), number = number,
                 written = 0, erased = 0, good = 0, bad = 0 }
  page.version = version == 0xFF and 1 or version == 0xFE and 2 or nil
  self.pages[#self.pages + 1] = page
  if state == 0xFFFFFFFF then
    page.number, page.version = nil, nil
    if self.bytes:sub(at + 1, at + nvs.PAGE):find "[^\xFF]" then
      self:problem("warning", page, nil, "an empty page has something in it")
    end
    return page
  end
  if not STATES[state] then
    self:problem("error", page, nil, ("the state 0x%08X is none of a page"):format(state))
  end
  local found, crc = nvs.crc(head:sub(5, 28)), ("<I4"):unpack(head, 29)
  if found ~= crc then
    self:problem("error", page, nil, ("the checksum of the page's head is 0x%08X, expected 0x%08X"):format(found, crc))
    return page
  end
  if not page.version then self:problem("error", page, nil, ("version 0x%02X is not known"):format(version)) end
  if state == 0 then return page end
  local states = slot_states(self.bytes, at + 32)
  local slot = 0
  while slot < nvs.ENTRIES do
    local s, span = states[slot], 1
    if s == WRITTEN then
      local item
      item, span = read_item(self, page, slot, states)
      page.written = page.written + span
      page[#page + 1] = item
    elseif s == ERASED then
      page.erased = page.erased + 1
    elseif s ~= UNUSED then
      self:problem("error", page, slot, "its state is neither written nor erased nor unused")
    end
    slot = slot + span
  end
  return page
end

-- Pages that hold something, in the order in which they were begun.
local function in_order(pages)
  local list = {}
  for _, page in ipairs(pages) do
    if #page > 0 then list[#list + 1] = page end
  end
  return require "esp.sorted".sort(list, "number", "index")
end

local function note_twice(self, item, older)
  if older then
    self:problem("warning", item.page, item.slot, ("key %s is also in page %d, entry %d; this one counts"):format(
      shown(item.key), older.page.index, older.slot))
  end
end

-- The chunks of a blob, put together.
local function blob_of(self, item, chunks)
  local size, count, first = ("<I4BB"):unpack(item.data)
  local parts, total = {}, 0
  for i = first, first + count - 1 do
    local chunk = chunks[("%d/%d/%s"):format(item.namespace, i, item.key)]
    if not chunk then
      self:problem("error", item.page, item.slot, ("key %s: part %d of %d is missing"):format(shown(item.key),
        i - first + 1, count))
      return nil
    end
    chunk.used = true
    parts[#parts + 1] = chunk.bytes
    total = total + #chunk.bytes
  end
  if total ~= size then
    self:problem("error", item.page, item.slot, ("key %s: its parts have %d bytes, expected %d"):format(
      shown(item.key), total, size))
    return nil
  end
  return table.concat(parts)
end

local function value_of(self, item, chunks)
  local int = INTEGERS[item.kind]
  if int then return int.name, (int.format:unpack(item.data)) end
  if item.kind == nvs.STRING then
    if item.bytes:sub(-1) ~= "\0" then
      self:problem("warning", item.page, item.slot, ("key %s: no zero at the end of the string"):format(
        shown(item.key)))
    end
    return "string", (item.bytes:gsub("%z$", ""))
  end
  if item.kind == nvs.BLOB then return "blob", item.bytes end
  return "blob", blob_of(self, item, chunks)
end

local function gather(self)
  local names, order, items, chunks, latest = {}, {}, {}, {}, {}
  for _, page in ipairs(in_order(self.pages)) do
    for _, item in ipairs(page) do
      if item.namespace == 0 then
        local index = item.data:byte()
        if item.kind ~= nvs.INTEGERS.u8[1] or index == 0 or index == 255 then
          self:problem("error", page, item.slot, ("namespace %s has no usable number"):format(shown(item.key)))
        else
          if names[index] == nil then order[#order + 1] = index end
          names[index] = item.key
        end
      elseif item.kind == nvs.BLOB_DATA then
        chunks[("%d/%d/%s"):format(item.namespace, item.chunk, item.key)] = item
      else
        local id = item.namespace .. "/" .. item.key
        note_twice(self, item, latest[id])
        latest[id] = item
        items[#items + 1] = item
      end
    end
  end
  local list, by_name, unnamed = {}, {}, {}
  for _, index in ipairs(order) do
    local group = { { namespace = names[index] } }
    by_name[index] = group
  end
  for _, item in ipairs(items) do
    if latest[item.namespace .. "/" .. item.key] == item then
      local index = item.namespace
      if not names[index] then
        -- Its entry is damaged; what is in it need not be lost.
        order[#order + 1], names[index] = index, ("unnamed-%d"):format(index)
        by_name[index], unnamed[index] = { { namespace = names[index] } }, true
      end
      if unnamed[index] then
        self:problem("error", item.page, item.slot, ("key %s is in namespace %d, which has no name"):format(
          shown(item.key), index))
      end
      local encoding, value = value_of(self, item, chunks)
      if value then
        local group = by_name[index]
        group[#group + 1] = { namespace = names[index], key = item.key, encoding = encoding, value = value,
                              page = item.page.index, entry = item.slot }
      end
    end
  end
  for _, page in ipairs(self.pages) do
    for _, item in ipairs(page) do
      if item.kind == nvs.BLOB_DATA and not item.used and item.namespace ~= 0 then
        self:problem("warning", page, item.slot, ("key %s: a part of a blob that belongs to none"):format(
          shown(item.key)))
      end
    end
  end
  for _, index in ipairs(order) do table.move(by_name[index], 1, #by_name[index], #list + 1, list) end
  return list
end

-- What all pages together tell.
local function check_whole(self)
  local good, bad_entries, free, numbers = 0, 0, 0, {}
  for _, page in ipairs(self.pages) do
    good, bad_entries = good + page.good, bad_entries + page.bad
    if page.state == "empty" then free = free + 1 end
    if page.number and numbers[page.number] then
      self:problem("error", page, nil, ("number %d is also that of page %d"):format(page.number, numbers[page.number]))
    end
    if page.number then numbers[page.number] = page.index end
  end
  self.looks_encrypted = good == 0 and bad_entries > 0
  if free == 0 and #self.pages * nvs.PAGE >= nvs.SMALLEST then
    self:problem("warning", nil, nil, "no page is empty; a device needs one to write")
  end
end

--- Read an image.
-- @param bytes of the partition
-- @param o { key = 64 bytes of esp.nvs_keys for an encrypted one, name = what messages call it } or nil
-- @return { entries = list as esp.nvs.build takes them, pages = list of { index, offset, state, number, version,
--   written, erased }, problems = list of { level = "error" or "warning", page, entry, offset, text },
--   looks_encrypted = no entry is right }
-- @raise bad_nvs when it cannot be an image at all
function M.parse(bytes, o)
  local name = o and o.name or "NVS"
  if #bytes == 0 or #bytes % nvs.PAGE ~= 0 or #bytes > MAX_SIZE then
    fail { code = "bad_nvs", message = ("%s: %d bytes are no NVS partition"):format(name, #bytes), file = name,
           hint = ("its size is a multiple of 0x%X"):format(nvs.PAGE) }
  end
  local self = setmetatable({ bytes = bytes, key = o and o.key, pages = {}, problems = {} }, Reader)
  for index = 0, #bytes // nvs.PAGE - 1 do read_page(self, index) end
  local entries = gather(self)
  check_whole(self)
  local pages = {}
  for i, p in ipairs(self.pages) do
    pages[i] = { index = p.index, offset = p.offset, state = p.state, number = p.number, version = p.version,
                 written = p.written, erased = p.erased, free = nvs.ENTRIES - p.written - p.erased }
  end
  return { entries = entries, pages = pages, problems = self.problems, looks_encrypted = self.looks_encrypted }
end

--- Read an image and refuse one that is damaged.
-- @param bytes, o as for parse
-- @return entries, the whole result of parse
-- @raise bad_nvs with the first damage
function M.entries(bytes, o)
  local image = M.parse(bytes, o)
  local first, count = nil, 0
  for _, p in ipairs(image.problems) do
    if p.level == "error" then first, count = first or p, count + 1 end
  end
  if not first then return image.entries, image end
  fail { code = "bad_nvs", problems = image.problems, page = first.page, entry = first.entry,
         message = ("%s: %s%s"):format(o and o.name or "NVS", first.text,
           count > 1 and (" (and %d more errors)"):format(count - 1) or ""),
         hint = image.looks_encrypted and (o and o.key and "are these the right keys?"
           or "is it encrypted? then its keys are needed") or nil }
end

--- The plain image that an encrypted one stands for, or the other way round. Every entry that is marked as written
-- is taken; nothing is checked.
-- @param bytes of the partition; key 64 bytes; encrypt = true for the other way round
-- @return bytes
-- @raise bad_nvs
function M.crypt(bytes, key, encrypt)
  if #bytes == 0 or #bytes % nvs.PAGE ~= 0 then
    fail { code = "bad_nvs", message = ("NVS: %d bytes are no NVS partition"):format(#bytes) }
  end
  local one = encrypt and crypto.xts_encrypt or crypto.xts_decrypt
  local out = {}
  for at = 0, #bytes - 1, nvs.PAGE do
    local states = slot_states(bytes, at + 32)
    out[#out + 1] = bytes:sub(at + 1, at + nvs.FIRST)
    for slot = 0, nvs.ENTRIES - 1 do
      local from = at + nvs.FIRST + slot * nvs.ENTRY
      local entry = bytes:sub(from + 1, from + nvs.ENTRY)
      out[#out + 1] = states[slot] == WRITTEN and one(key, nvs.tweak(from), entry) or entry
    end
  end
  return table.concat(out)
end

return M
