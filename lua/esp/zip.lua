--- ZIP archives: a reader that trusts nothing and writes nothing. What is inside is only ever bytes under a name.
-- Source: PKWARE, APPNOTE.TXT 6.3.10. Stored and deflated files, also with ZIP64's fields; no encryption, no
-- parts on other disks.
local fail = require "esp.error"
local M = {}

local END_SIZE, LONGEST_COMMENT = 22, 0xFFFF
local CENTRAL, CENTRAL_SIZE = 0x02014B50, 46
local LOCAL, LOCAL_SIZE = 0x04034B50, 30
local STORED, DEFLATED = 0, 8
local ENCRYPTED, STRONG, MASKED = 0x1, 0x40, 0x2000
local MAX_ENTRIES, MAX_DIRECTORY, LONGEST_NAME = 10000, 8 << 20, 1024

M.MAX_BYTES = 256 << 20                  -- that come out of an archive in all, whatever its own size

local Zip = {}
Zip.__index = Zip

--- Whether bytes begin like an archive (also an empty one).
function M.looks_like(head)
  return head:find "^PK\3\4" ~= nil or head:find "^PK\5\6" ~= nil
end

local function bad(self, offset, text, hint)
  fail { code = "bad_zip", message = ("%s: 0x%X: %s"):format(self.name, offset, text), file = self.name,
         offset = offset, hint = hint or "is the archive complete?" }
end

local function take(self, offset, n, what)
  local bytes = self.reader.read(offset, n)
  if #bytes ~= n then bad(self, offset, what .. " is cut short") end
  return bytes
end

local function find_end(self)
  local size = self.reader.size
  local n = math.min(size, END_SIZE + LONGEST_COMMENT)
  local tail = take(self, size - n, n, "the end")
  for at = n - END_SIZE + 1, 1, -1 do
    if tail:find("^PK\5\6", at) and ("<I2"):unpack(tail, at + 20) == n - at - END_SIZE + 1 then
      return size - n + at - 1, tail:sub(at, at + END_SIZE - 1)
    end
  end
  bad(self, size, "no directory at the end", "an archive that was not copied whole has none")
end

-- Fields of 32 bits that are all ones stand for one of 64 bits elsewhere.
local LARGE = 0xFFFFFFFF
local END64, END64_SIZE, LOCATOR_SIZE = 0x06064B50, 56, 20

-- The record that ZIP64 puts before the end.
-- @return count, size and start of the directory, where the record is
local function find_end64(self, at)
  if at < LOCATOR_SIZE then bad(self, at, "no ZIP64 record before the end") end
  local magic, disk, where, disks = ("<c4I4i8I4"):unpack(take(self, at - LOCATOR_SIZE, LOCATOR_SIZE, "the end"))
  if magic ~= "PK\6\7" then bad(self, at - LOCATOR_SIZE, "no ZIP64 record before the end") end
  if disk ~= 0 or disks > 1 then bad(self, at - LOCATOR_SIZE, "part of an archive on several disks") end
  if where < 0 or where > at - LOCATOR_SIZE - END64_SIZE then
    bad(self, at - LOCATOR_SIZE, "the ZIP64 record is not where it should be")
  end
  local mark, _, _, _, first, second, here, count, size, start =
    ("<I4i8I2I2I4I4i8i8i8i8"):unpack(take(self, where, END64_SIZE, "the ZIP64 record"))
  if mark ~= END64 then bad(self, where, "no ZIP64 record begins here") end
  if first ~= 0 or second ~= 0 or here ~= count then bad(self, where, "part of an archive on several disks") end
  if count < 0 or size < 0 or start < 0 or start > where or size > where - start then
    bad(self, where, "the directory is not where it should be")
  end
  return count, size, start, where
end

-- Sizes and place of an entry from ZIP64's extra field: it has those that are all ones, in this order.
local function large_fields(self, entry, extra)
  local at = 1
  while at + 3 <= #extra do
    local kind, n = ("<I2I2"):unpack(extra, at)
    if at + 3 + n > #extra then break end
    if kind == 1 then
      local from, stop = at + 4, at + 4 + n
      for _, key in ipairs { "size", "packed", "where" } do
        if entry[key] == LARGE and from + 8 <= stop then
          entry[key] = ("<i8"):unpack(extra, from)
          from = from + 8
        end
      end
      break
    end
    at = at + 4 + n
  end
  for _, key in ipairs { "size", "packed", "where" } do
    if entry[key] < 0 or entry[key] >= LARGE then
      bad(self, entry.entry_at, entry.name .. ": its size or place is missing, or is more than 4 GiB")
    end
  end
end

--- A name that can only mean a file of this archive, with / between folders.
local function clean(self, name, offset)
  if #name == 0 or #name > LONGEST_NAME or name:find "[%z\\]" or name:find "^/" or name:find "^%a:" then
    bad(self, offset, ("a file name that is not allowed: %q"):format(name:sub(1, 60)))
  end
  for part in name:gmatch "[^/]+" do
    if part == ".." then
      bad(self, offset, ("a file name that leads out of the archive: %q"):format(name:sub(1, 60)))
    end
  end
  return (name:gsub("^%./", ""))
end

local function read_entry(self, directory, at, base)
  local offset = base + at - 1
  if #directory - at + 1 < CENTRAL_SIZE then bad(self, offset, "the directory is cut short") end
  local magic, _, _, flags, method, _, _, crc, packed, size, name_n, extra_n, comment_n, disk, _, _, where =
    ("<I4I2I2I2I2I2I2I4I4I4I2I2I2I2I2I4I4"):unpack(directory, at)
  if magic ~= CENTRAL then bad(self, offset, "no entry of the directory begins here") end
  local stop = at + CENTRAL_SIZE + name_n + extra_n + comment_n
  if stop - 1 > #directory then bad(self, offset, "the directory is cut short") end
  if disk ~= 0 then bad(self, offset, "part of an archive on several disks") end
  local raw = directory:sub(at + CENTRAL_SIZE, at + CENTRAL_SIZE + name_n - 1)
  local name = clean(self, raw, offset)
  local entry = { name = name, raw = raw, flags = flags, method = method, crc = crc, packed = packed, size = size,
                  where = where, entry_at = offset }
  if name:sub(-1) == "/" then return nil, stop end
  if packed == LARGE or size == LARGE or where == LARGE then
    local from = at + CENTRAL_SIZE + name_n
    large_fields(self, entry, directory:sub(from, from + extra_n - 1))
  end
  if entry.where + LOCAL_SIZE + name_n + entry.packed > self.directory_at then
    bad(self, offset, name .. ": lies outside of the archive")
  end
  return entry, stop
end

-- Files that share bytes are how small archives become enormous.
local function check_overlap(self)
  local sorted = require "esp.sorted".sort(table.move(self.entries, 1, #self.entries, 1, {}), "where", "entry_at")
  for i = 2, #sorted do
    local a, b = sorted[i - 1], sorted[i]
    if a.where + LOCAL_SIZE + #a.raw + a.packed > b.where then
      bad(self, b.entry_at, ("%s and %s overlap"):format(a.name, b.name))
    end
  end
end

--- Read the directory of an archive.
-- @param reader { size =, read = function(offset, n) }
-- @param name for messages
-- @return object: entries = list of { name, size }; methods find(name), bytes(entry)
-- @raise bad_zip, with file and offset
function M.read(reader, name)
  local self = setmetatable({ reader = reader, name = name, entries = {}, by_name = {}, given = 0 }, Zip)
  if reader.size < END_SIZE then bad(self, 0, "too short for an archive") end
  local at, record = find_end(self)
  local _, disk, first_disk, here, count, size, start = ("<I4I2I2I2I2I4I4"):unpack(record)
  if disk ~= 0 or first_disk ~= 0 or here ~= count then bad(self, at, "part of an archive on several disks") end
  if count == 0xFFFF or size == LARGE or start == LARGE then count, size, start, at = find_end64(self, at) end
  if start + size > at then bad(self, at, "the directory is not where it should be") end
  if count > MAX_ENTRIES or size > MAX_DIRECTORY then bad(self, at, ("%d files are too many"):format(count)) end
  self.directory_at = start
  local directory, next_at = take(self, start, size, "the directory"), 1
  for _ = 1, count do
    local entry
    entry, next_at = read_entry(self, directory, next_at, start)
    if entry then
      if self.by_name[entry.name] then bad(self, entry.entry_at, entry.name .. ": is there twice") end
      self.by_name[entry.name] = entry
      self.entries[#self.entries + 1] = entry
    end
  end
  check_overlap(self)
  return self
end

--- The entry of that name, or nil.
function Zip:find(name)
  return self.by_name[name]
end

local function check_local(self, entry)
  local head = take(self, entry.where, LOCAL_SIZE, entry.name)
  local magic, _, flags, method, _, _, _, _, _, name_n, extra_n = ("<I4I2I2I2I2I2I4I4I4I2I2"):unpack(head)
  if magic ~= LOCAL then bad(self, entry.where, entry.name .. ": does not begin here") end
  if method ~= entry.method or name_n ~= #entry.raw or (flags ~ entry.flags) & ENCRYPTED ~= 0
     or take(self, entry.where + LOCAL_SIZE, name_n, entry.name) ~= entry.raw then
    bad(self, entry.where, entry.name .. ": the directory says something else about it")
  end
  local start = entry.where + LOCAL_SIZE + name_n + extra_n
  if start + entry.packed > self.directory_at then
    bad(self, entry.where, entry.name .. ": lies outside of the archive")
  end
  return start
end

local function inflate(self, entry, packed)
  local inflater <close> = require "esp.core.zlib".inflater(entry.size)
  inflater:update "\x78\x9C"                -- the head of a zlib stream; its end never comes, the CRC-32 is checked
  local bytes, message = inflater:update(packed)
  if not bytes then bad(self, entry.where, ("%s: %s"):format(entry.name, message)) end
  return bytes
end

--- The bytes of a file. All that one archive gives is counted, a file that is asked for twice too.
-- @param entry of entries
-- @raise bad_zip
function Zip:bytes(entry)
  if entry.flags & (ENCRYPTED | STRONG | MASKED) ~= 0 then
    bad(self, entry.where, entry.name .. ": is encrypted", "unpack it, or make the archive without a password")
  end
  if entry.method ~= STORED and entry.method ~= DEFLATED then
    bad(self, entry.where, ("%s: compression method %d is not supported"):format(entry.name, entry.method),
        "stored and deflated files are")
  end
  if entry.size > M.MAX_BYTES - self.given then
    bad(self, entry.where, self.given == 0 and ("%s: %d bytes are too many"):format(entry.name, entry.size)
      or ("%s: with its %d bytes those of all files are too many"):format(entry.name, entry.size),
        ("%d MiB may come out of an archive"):format(M.MAX_BYTES >> 20))
  end
  self.given = self.given + entry.size
  local packed = take(self, check_local(self, entry), entry.packed, entry.name)
  local bytes = entry.method == STORED and packed or inflate(self, entry, packed)
  if #bytes ~= entry.size then
    bad(self, entry.where, ("%s: %d bytes came out, expected %d"):format(entry.name, #bytes, entry.size))
  end
  if require "esp.core.digest".crc32(bytes) ~= entry.crc then
    bad(self, entry.where, entry.name .. ": the checksum (CRC-32) is wrong")
  end
  return bytes
end

return M
