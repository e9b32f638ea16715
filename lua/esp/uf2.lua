--- UF2: blocks of 512 bytes, each with its address, for boards that appear as a disk.
-- Sources: Microsoft's "USB Flashing Format (UF2)"; the MD5 part is that of the ESP USB Bridge, as esptool 5.2
-- writes it.
local fail = require "esp.error"
local M = {}

M.BLOCK = 512
M.DATA = 476                           -- bytes of a block between header and last word
local MAGIC1, MAGIC2, MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
local FLAG_NOT_FLASH, FLAG_CONTAINER, FLAG_FAMILY, FLAG_MD5 = 0x1, 0x1000, 0x2000, 0x4000
local HEADER = "<I4I4I4I4I4I4I4I4"
local HEADER_SIZE = string.packsize(HEADER)
local MD5_PART = 24
local BLOCKS_AT_ONCE = 128

--- The most bytes a block can carry.
function M.largest_chunk(md5)
  return M.DATA - (md5 and MD5_PART or 0)
end

--- Write one file's blocks.
-- @param write function(bytes)
-- @param reader { size =, read = function(offset, n) }
-- @param address of its first byte
-- @param opts family (number), chunk_size (bytes, a multiple of 4; the most that fits when absent), md5 (false: none)
-- @return number of blocks
-- @raise bad_argument
function M.encode(write, reader, address, opts)
  local md5 = opts.md5 ~= false
  local most = M.largest_chunk(md5)
  local chunk = opts.chunk_size or most
  if math.type(chunk) ~= "integer" or chunk < 4 or chunk > most or chunk % 4 ~= 0 then
    fail { code = "bad_argument", message = ("UF2: a chunk of %s bytes is not possible"):format(tostring(chunk)),
           hint = ("4 to %d bytes, a multiple of 4"):format(most) }
  end
  local digest = require "esp.core.digest".md5
  local flags = FLAG_FAMILY | (md5 and FLAG_MD5 or 0)
  local count, parts = (reader.size + chunk - 1) // chunk, {}
  for i = 0, count - 1 do
    local data = reader.read(i * chunk, math.min(chunk, reader.size - i * chunk))
    local at, n = address + i * chunk, #data
    local used = n
    parts[#parts + 1] = HEADER:pack(MAGIC1, MAGIC2, flags, at, n, i, count, opts.family or 0)
    parts[#parts + 1] = data
    if md5 then
      parts[#parts + 1] = ("<I4I4"):pack(at, n)
      parts[#parts + 1] = digest(data)
      used = n + MD5_PART
    end
    parts[#parts + 1] = ("\0"):rep(M.DATA - used) .. ("<I4"):pack(MAGIC_END)
    if (i + 1) % BLOCKS_AT_ONCE == 0 or i == count - 1 then
      write(table.concat(parts))
      parts = {}
    end
  end
  return count
end

--- Whether bytes begin like a UF2 file.
function M.looks_like(head)
  return #head >= 8 and head:sub(1, 8) == ("<I4I4"):pack(MAGIC1, MAGIC2)
end

local function bad(name, offset, text)
  fail { code = "bad_file", file = name, offset = offset, hint = "is the file complete, and really UF2?",
         message = ("%s: %s (at offset 0x%X)"):format(name, text, offset) }
end

local function check_md5(name, offset, block, size, address)
  local first = HEADER_SIZE + size
  if size + MD5_PART > M.DATA then bad(name, offset, ("block of %d bytes has no room for its MD5"):format(size)) end
  local at, n, sum = ("<I4I4c16"):unpack(block, first + 1)
  if at < address or n > size or at - address > size - n then bad(name, offset, "the MD5 is of other bytes") end
  local from = HEADER_SIZE + at - address
  if require "esp.core.digest".md5(block:sub(from + 1, from + n)) ~= sum then
    bad(name, offset, "the contents of the block do not match their MD5")
  end
end

--- Sorted, without overlap, neighbours joined.
local function join(runs, name)
  table.sort(runs, function(a, b) return a.address < b.address or a.address == b.address and a.offset < b.offset end)
  local list, stop = {}, nil
  for _, run in ipairs(runs) do
    if stop and run.address < stop then
      bad(name, run.offset, ("address 0x%X is there twice"):format(run.address))
    end
    if run.address ~= stop then list[#list + 1] = { address = run.address } end
    table.insert(list[#list], run.data)
    stop = run.address + #run.data
  end
  for _, r in ipairs(list) do
    r.data = table.concat(r)
    for i = #r, 1, -1 do r[i] = nil end
  end
  return list
end

--- Read a UF2 file.
-- @param source string or reader
-- @param name for messages
-- @return list of { address =, data = }, sorted, neighbours joined; the family id, nil when there is none
-- @raise bad_file, with the offset of the block
function M.decode(source, name)
  name = name or "UF2"
  local reader = require "esp.image".reader(source)
  if reader.size == 0 or reader.size % M.BLOCK ~= 0 then
    bad(name, reader.size // M.BLOCK * M.BLOCK, ("%d bytes, should be a multiple of %d"):format(reader.size, M.BLOCK))
  end
  local runs, family, number, count = {}, nil, 0, nil
  for offset = 0, reader.size - 1, M.BLOCK do
    local block = reader.read(offset, M.BLOCK)
    if #block < M.BLOCK then bad(name, offset, "cut short") end
    local magic1, magic2, flags, address, size, i, n, id = HEADER:unpack(block)
    if magic1 ~= MAGIC1 or magic2 ~= MAGIC2 or ("<I4"):unpack(block, M.BLOCK - 3) ~= MAGIC_END then
      bad(name, offset, "not a UF2 block")
    end
    if flags & (FLAG_NOT_FLASH | FLAG_CONTAINER) == 0 then
      if size == 0 or size > M.DATA then
        bad(name, offset, ("block of %d bytes, 1 to %d are possible"):format(size, M.DATA))
      end
      if address + size > 0x100000000 then bad(name, offset, "data beyond address 0xFFFFFFFF") end
      if i == 0 then number, count = 0, n end
      if i ~= number or n ~= count or i >= n then
        bad(name, offset, ("block %d of %d, should be %d of %s"):format(i, n, number, count or "any number"))
      end
      number = number + 1
      if flags & FLAG_FAMILY ~= 0 then
        if family and family ~= id then
          bad(name, offset, ("family 0x%08X, before it was 0x%08X"):format(id, family))
        end
        family = id
      end
      if flags & FLAG_MD5 ~= 0 then check_md5(name, offset, block, size, address) end
      runs[#runs + 1] = { address = address, offset = offset, data = block:sub(HEADER_SIZE + 1, HEADER_SIZE + size) }
    end
  end
  if count and number ~= count then
    bad(name, reader.size, ("the last file has %d of %d blocks"):format(number, count))
  end
  if #runs == 0 then bad(name, 0, "no data for flash") end
  return join(runs, name), family
end

return M
