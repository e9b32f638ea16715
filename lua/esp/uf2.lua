--- UF2: blocks of 512 bytes, each with its address, for boards that appear as a disk. A reader that trusts nothing.
-- Sources: https://github.com/microsoft/uf2, README; the MD5 part is that of the ESP USB Bridge. esptool 5.2 puts it
-- right behind a block's bytes, and numbers the blocks of every file that it merges from 0; both are understood here.
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
local PIECES = 512                     -- blocks joined at a time, so that joining stays linear
local MOST_FAMILIES = 64

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
  local form, form_size                                  -- of a block with so many bytes
  for first = 0, count - 1, BLOCKS_AT_ONCE do
    local start = first * chunk
    local bytes = reader.read(start, math.min(chunk * BLOCKS_AT_ONCE, reader.size - start))
    for i = first, math.min(first + BLOCKS_AT_ONCE, count) - 1 do
      local from = i * chunk
      local data = bytes:sub(from - start + 1, from - start + chunk)
      local n = #data
      if n ~= form_size then
        form, form_size = HEADER .. (md5 and "c%dI4I4c16c%dI4" or "c%dc%dI4"):format(n, most - n), n
      end
      if md5 then
        parts[#parts + 1] = form:pack(MAGIC1, MAGIC2, flags, address + from, n, i, count, opts.family or 0, data,
                                      address + from, n, digest(data), "", MAGIC_END)
      else
        parts[#parts + 1] = form:pack(MAGIC1, MAGIC2, flags, address + from, n, i, count, opts.family or 0, data, "",
                                      MAGIC_END)
      end
    end
    write(table.concat(parts))
    parts = {}
  end
  return count
end

--- Whether bytes begin like a UF2 file.
function M.looks_like(head)
  return #head >= 8 and ("<I4I4"):unpack(head) == MAGIC1 and ("<I4"):unpack(head, 5) == MAGIC2
end

local function bad(name, offset, text, hint)
  fail { code = "bad_file", message = ("%s: 0x%X: %s"):format(name, offset, text), file = name, offset = offset,
         hint = hint or "is the file complete, and really UF2?" }
end

-- A block may carry the MD5 of some bytes; only that of its own is looked at.
local function check_md5(name, offset, block, at, address, size)
  for _, place in ipairs { size, (M.DATA - MD5_PART) } do
    if place + MD5_PART <= M.DATA then
      local start, length = ("<I4I4"):unpack(block, at + HEADER_SIZE + place)
      if start == address and length == size then
        local bytes = block:sub(at + HEADER_SIZE, at + HEADER_SIZE + size - 1)
        local sum = block:sub(at + HEADER_SIZE + place + 8, at + HEADER_SIZE + place + 23)
        if require "esp.core.digest".md5(bytes) ~= sum then bad(name, offset, "MD5 of the block is wrong") end
        return
      end
    end
  end
end

local function add(family, address, bytes, offset)
  local run = family[#family]
  if run and run.address + run.size == address then
    run[#run + 1] = bytes
    run.size = run.size + #bytes
    if #run >= PIECES then
      run.parts[#run.parts + 1] = table.concat(run)
      for i = #run, 1, -1 do run[i] = nil end
    end
  else
    family[#family + 1] = { address = address, size = #bytes, offset = offset, parts = {}, bytes }
  end
end

local function take(state, name, block, at, offset)
  local magic1, magic2, flags, address, size, number, count, id = HEADER:unpack(block, at)
  if magic1 ~= MAGIC1 or magic2 ~= MAGIC2 then bad(name, offset, "no block begins here") end
  local last = ("<I4"):unpack(block, at + M.BLOCK - 4)
  if last ~= MAGIC_END then
    bad(name, offset + M.BLOCK - 4, ("the block does not end as it should (0x%08X)"):format(last))
  end
  if number >= count then bad(name, offset + 20, ("block %d of %d"):format(number, count)) end
  if number ~= state.next or number > 0 and count ~= state.count then
    bad(name, offset + 20, ("block %d of %d, expected block %d of %d")
      :format(number, count, state.next, state.next > 0 and state.count or count))
  end
  state.count, state.next = count, (number + 1) % count
  if flags & (FLAG_NOT_FLASH | FLAG_CONTAINER) ~= 0 then return end
  if size == 0 or size > M.DATA then
    bad(name, offset + 16, ("%d data bytes, expected 1 to %d"):format(size, M.DATA))
  end
  if address + size > 0x100000000 then bad(name, offset + 12, "data beyond address 0xFFFFFFFF") end
  if flags & FLAG_MD5 ~= 0 then check_md5(name, offset, block, at, address, size) end
  id = flags & FLAG_FAMILY ~= 0 and id or false
  if not state.families[id] then
    if #state.order == MOST_FAMILIES then bad(name, offset, "too many families") end
    state.families[id] = { id = id }
    state.order[#state.order + 1] = state.families[id]
  end
  add(state.families[id], address, block:sub(at + HEADER_SIZE, at + HEADER_SIZE + size - 1), offset)
end

-- Sorted, joined where they touch; bytes given twice are a fault.
local function finish(family, name)
  for _, run in ipairs(family) do
    run.parts[#run.parts + 1] = table.concat(run)
    run.data, run.parts = table.concat(run.parts), nil
    for i = #run, 1, -1 do run[i] = nil end
  end
  require "esp.sorted".sort(family, "address", "offset")
  local out = { id = family.id }
  local group, stop
  for i = 1, #family + 1 do
    local run = family[i]
    if group and (not run or run.address ~= stop) then
      if run and run.address < stop then
        bad(name, run.offset, ("address 0x%X is given a second time"):format(run.address))
      end
      out[#out + 1] = { address = group.address, data = table.concat(group) }
      group = nil
    end
    if run then
      group = group or { address = run.address }
      group[#group + 1] = run.data
      stop = run.address + run.size
    end
  end
  return out
end

--- Decode a file that may hold images for several chips.
-- @param source string or reader
-- @param name for messages
-- @return list of families, in the order in which they appear: each a list of { address, data }, with id (the number
--   of the family, false without one)
-- @raise bad_file, with file and offset
function M.families(source, name)
  name = name or "UF2"
  local reader = require "esp.image".reader(source)
  local chunk = M.BLOCK * BLOCKS_AT_ONCE
  if reader.size % M.BLOCK ~= 0 then
    bad(name, reader.size // M.BLOCK * M.BLOCK,
        ("%d bytes are left, a block has %d"):format(reader.size % M.BLOCK, M.BLOCK))
  end
  local state = { families = {}, order = {}, next = 0 }
  for offset = 0, reader.size - 1, chunk do
    local wanted = math.min(chunk, reader.size - offset)
    local bytes = reader.read(offset, wanted)
    if #bytes ~= wanted then bad(name, offset + #bytes, "the file ended while it was read") end
    for at = 1, #bytes, M.BLOCK do take(state, name, bytes, at, offset + at - 1) end
  end
  if state.next ~= 0 then
    bad(name, reader.size, ("block %d of %d is missing"):format(state.next, state.count), "is the file complete?")
  end
  if #state.order == 0 then bad(name, 0, "nothing in it is for flash") end
  local list = {}
  for i, family in ipairs(state.order) do list[i] = finish(family, name) end
  return list
end

--- Decode a file for one chip.
-- @return list of { address, data }, sorted, neighbours joined; the family id, nil when there is none
-- @raise bad_file, also when there is more than one family in it
function M.decode(source, name)
  local list = M.families(source, name)
  if #list > 1 then bad(name or "UF2", 0, ("it holds images for %d chips"):format(#list)) end
  return list[1], list[1].id or nil
end

return M
