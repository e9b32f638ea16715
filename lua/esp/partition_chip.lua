--- The chip object's methods that concern partitions: its table, files by label, OTA data.
-- esp.flash takes them into the chip's class.
local fail = require "esp.error"
local input = require "esp.input"
local inputs = require "esp.inputs"
local otadata = require "esp.otadata"
local partition = require "esp.partition"
local M = { methods = {} }
local Chip = M.methods

local FIRST, LAST = 0x1000, 0x20000        -- where a table that is not at its place is looked for, to name it

-- Reads a few bytes, not worth a word.
local function peek(chip, address, size, o)
  return (chip:read(address, size, { flash_size = o.flash_size, spi_connection = o.spi_connection,
                                     on_event = function() end }))
end

-- Offset of a table elsewhere, nil when there is none. Costs a few bytes per sector.
local function elsewhere(chip, offset, o)
  for at = FIRST, LAST, partition.SECTOR do
    if at ~= offset and peek(chip, at, 2, o) == partition.MAGIC
       and pcall(partition.decode, peek(chip, at, partition.MAX_SIZE, o)) then
      return at
    end
  end
  return nil
end

--- The partition table in flash, or one that stands for it.
-- @param o { table = path of a CSV or binary file, or a list of entries; table_offset = 0x8000, flash_size =,
--   spi_connection =, on_event = } or nil
-- @return list of entries (see esp.partition); with table_offset
-- @raise bad_partition_table; unsupported in secure download mode, where flash cannot be read
function Chip:partitions(o)
  o = o or {}
  local offset = o.table_offset or partition.TABLE_OFFSET
  local list = o.table
  if type(list) == "string" then
    list = partition.load(list, { table_offset = offset })
  elseif not list then
    if self.sdm then
      fail { code = "unsupported", message = "reading the partition table: not possible in secure download mode",
             hint = "give it as a file: --partition-table FILE" }
    end
    local bytes = self:read(offset, partition.MAX_SIZE, { flash_size = o.flash_size, on_event = o.on_event,
                                                          spi_connection = o.spi_connection })
    local ok, result = pcall(partition.decode, bytes, { name = ("partition table at 0x%X"):format(offset) })
    if not ok then
      if fail.is(result) and result.offset == 0 or bytes:find "^\xFF*$" then
        local at = elsewhere(self, offset, o)
        result.hint = at and ("there is a table at 0x%X: --partition-table-offset 0x%X"):format(at, at)
          or "does the chip encrypt flash? the table can be given as a file: --partition-table FILE"
      end
      error(result, 0)
    end
    list = result
    if #list == 0 then
      local at = elsewhere(self, offset, o)
      fail { code = "bad_partition_table", message = ("there is no partition table at 0x%X"):format(offset),
             hint = at and ("there is one at 0x%X: --partition-table-offset 0x%X"):format(at, at)
               or "write one, or give it as a file: --partition-table FILE" }
    end
  end
  list.table_offset = offset
  return list
end

--- The partition with a label.
-- @param label string; o as for partitions
-- @raise no_partition, and what partitions raises
function Chip:partition(label, o)
  return partition.get(self:partitions(o), label)
end

--- Regions for files that go to partitions.
-- @param list entries
-- @param pairs list of { label, file }; the file as esp.inputs.load_all takes it, more fields are kept
-- @param ctx as of esp.inputs.load_all, or nil
-- @return list of regions, for chip:flash
-- @raise no_partition; does_not_fit when a file is larger than its partition; what esp.input.load raises
function M.place(list, pairs, ctx)
  local all = {}
  local ok, err = pcall(function()
    for _, pair in ipairs(pairs) do
      local e = partition.get(list, pair[1])
      if ctx and ctx.apart then partition.check_apart(list, e) end
      local stop = e.offset + e.size
      local given = table.move(pair, 2, #pair, 2, { e.offset })
      given.app = e.type == partition.APP
      for k, v in next, pair do
        if type(k) == "string" then given[k] = v end
      end
      for _, r in ipairs(inputs.load_all({ given }, ctx)) do
        all[#all + 1] = r
        r.partition = e.label
        local last = r.address + r.size
        if r.address < e.offset or r.address >= stop then
          fail { code = "does_not_fit", hint = "the file has its own addresses",
                 message = ("%s: 0x%X is not in partition %s (0x%X to 0x%X)"):format(r.name, r.address,
                   partition.shown(e.label), e.offset, stop - 1) }
        elseif last > stop then
          fail { code = "does_not_fit", message = ("%s: %d bytes are %d more than partition %s has (%d, 0x%X to 0x%X)")
            :format(r.name, r.size, last - stop, partition.shown(e.label), e.size, e.offset, stop - 1),
            hint = "make the partition larger, or the file smaller" }
        end
      end
    end
  end)
  if not ok then
    input.close(all)
    error(err, 0)
  end
  return all
end

--- Partitions that are to be erased: by label, and data partitions by what they are for.
-- @param list entries
-- @param labels list of labels, or nil
-- @param kinds list of names of data subtypes, such as "nvs", "ota", or nil
-- @param force also those that overlap others
-- @return entries, each once, in the order of the table
-- @raise no_partition, bad_argument, bad_partition_table
function M.choose(list, labels, kinds, force)
  local wanted, chosen = {}, {}
  for _, label in ipairs(labels or {}) do wanted[partition.get(list, label)] = true end
  for _, name in ipairs(kinds or {}) do
    local subtype = partition.SUBTYPES[partition.DATA][name:lower()]
    if not subtype then
      local known = {}
      for key in pairs(partition.SUBTYPES[partition.DATA]) do known[#known + 1] = key end
      table.sort(known)
      fail { code = "bad_argument", message = ("%s is no kind of data partition"):format(partition.shown(name)),
             hint = "one of " .. table.concat(known, ", ") }
    end
    for _, e in ipairs(partition.of_type(list, partition.DATA, subtype)) do wanted[e] = true end
  end
  -- One kind of several may be missing: what is erased there is nothing anyway.
  if next(wanted) == nil and kinds and #kinds > 0 then
    fail { code = "no_partition", message = "there is no data partition for " .. table.concat(kinds, ", ") }
  end
  for _, e in ipairs(list) do
    if wanted[e] then
      if not force then partition.check_apart(list, e) end
      chosen[#chosen + 1] = e
    end
  end
  return chosen
end

-- Table, slots, and the bytes of the OTA data.
local function ota(chip, o)
  local list = chip:partitions(o)
  local slots, data, factory = otadata.slots(list)
  if not data then
    fail { code = "no_partition", message = "the partition table has no OTA data (type data, subtype ota)" }
  end
  if data.size < otadata.SIZE then
    fail { code = "bad_partition_table", message = ("OTA data partition %s has 0x%X bytes, expected 0x%X"):format(
      partition.shown(data.label), data.size, otadata.SIZE) }
  end
  return list, slots, data, factory, peek(chip, data.offset, otadata.SIZE, o or {})
end

--- Which app the bootloader starts.
-- @param o as for partitions
-- @return as esp.otadata.decode; with slots = entries, data and factory = entries, starts = the entry that is
--   started or nil
function Chip:ota(o)
  local _, slots, data, factory, bytes = ota(self, o)
  local info = otadata.decode(bytes, #slots)
  info.slots, info.data, info.factory = slots, data, factory
  info.starts = info.slot and slots[info.slot + 1] or factory or slots[1]
  return info
end

--- Choose the app that the bootloader starts. One sector is written; the other, with the old choice, stays.
-- @param slot number from 0, or the label of the slot's partition; "factory" erases the OTA data
-- @param o as for partitions; state = "new": see esp.otadata.choose; force = although no app is there
-- @return as ota() gives afterwards; with changed = whether anything was written
-- @raise no_partition, bad_argument, bad_image when there is no app in the slot
function Chip:select_ota(slot, o)
  o = o or {}
  local list, slots, data, factory, bytes = ota(self, o)
  if type(slot) == "string" then
    local e = partition.get(list, slot)
    for i, s in ipairs(slots) do
      if s == e then slot = i - 1 end
    end
    if e == factory then return self:erase_ota(o) end
    if type(slot) == "string" then
      fail { code = "bad_argument", message = ("partition %s is %s, no OTA slot"):format(partition.shown(e.label),
                                                                                         partition.kind(e)) }
    end
  end
  if not o.force then partition.check_apart(list, data) end
  local write = otadata.choose(bytes, slot, #slots, o)
  local target = slots[slot + 1]
  if not o.force and peek(self, target.offset, 1, o) ~= "\xE9" then
    fail { code = "bad_image", message = ("there is no app in %s at 0x%X"):format(partition.shown(target.label),
             target.offset), hint = "write one first, or use --force; a chip that encrypts flash needs --force" }
  end
  if write then
    self:flash({ { data.offset + write.offset, { data = write.bytes, name = "OTA data", format = "raw" } } },
               { flash_size = o.flash_size, on_event = o.on_event, progress = o.progress, force = o.force })
  end
  local info = self:ota(o)
  if info.slot ~= slot then
    fail { code = "verify_failed", message = ("OTA data selects slot %s after writing, expected %d"):format(
      tostring(info.slot), slot) }
  end
  info.changed = write ~= nil
  return info
end

--- Erase the OTA data: the factory app is started, or slot 0 where there is none. The chosen entry goes last, so
-- that a break between the two leaves the old choice.
-- @return as ota() gives afterwards
function Chip:erase_ota(o)
  o = o or {}
  local list, slots, data, _, bytes = ota(self, o)
  if not o.force then partition.check_apart(list, data) end
  local first = otadata.decode(bytes, #slots).active == 1 and 1 or 0
  for i = 0, 1 do
    self:erase(data.offset + (first + i) % 2 * otadata.SECTOR, otadata.SECTOR,
               { flash_size = o.flash_size, on_event = o.on_event, progress = o.progress })
  end
  local info = self:ota(o)
  info.changed = true
  return info
end

return M
