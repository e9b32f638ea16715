--- OTA data: which of the app slots the bootloader starts.
-- The partition has two sectors with one entry each. An entry counts when its checksum is right and its app has not
-- been given up; of two the one with the higher sequence number wins, and says slot (sequence - 1) modulo the number
-- of slots. A new choice goes into the other sector, so that a break while writing leaves the old one.
-- Source: ESP-IDF Programming Guide, "Over The Air Updates", "OTA Data Partition"; the behaviour of ESP-IDF's
-- bootloader.
local digest = require "esp.core.digest"
local fail = require "esp.error"
local partition = require "esp.partition"
local M = {}

local ENTRY = "<I4c20I4I4"                 -- sequence, label, state, checksum of the sequence
local ENTRY_SIZE = string.packsize(ENTRY)
local SECTOR = 0x1000
local NONE = 0xFFFFFFFF

M.SIZE = 2 * SECTOR
M.SECTOR = SECTOR

-- State of an app where the bootloader can go back to the one before.
M.STATES = { new = 0, pending_verify = 1, valid = 2, invalid = 3, aborted = 4, undefined = NONE }

local function state_name(value)
  for name, v in pairs(M.STATES) do
    if v == value then return name end
  end
  return ("0x%X"):format(value)
end

local function checksum(sequence)
  return digest.crc32(("<I4"):pack(sequence), 0xFFFFFFFF)
end

--- The app slots of a table.
-- @param list entries, as esp.partition gives them
-- @return list of entries ota_0, ota_1, ...; the entry of the OTA data; the factory app. The last two may be nil.
function M.slots(list)
  local slots = {}
  for slot = 0, partition.OTA_SLOTS - 1 do
    local e = partition.of_type(list, partition.APP, partition.OTA_0 + slot)[1]
    slots[#slots + 1] = e
  end
  return slots, partition.of_type(list, partition.DATA, partition.OTA_DATA)[1],
         partition.of_type(list, partition.APP, partition.FACTORY)[1]
end

local function entry(bytes, at)
  local sequence, label, state, crc = ENTRY:unpack(bytes, at + 1)
  local e = { offset = at, sequence = sequence, state = state_name(state), checksum = crc,
              label = label:match "^[^%z\xFF]*" }
  e.erased = bytes:sub(at + 1, at + ENTRY_SIZE) == ("\xFF"):rep(ENTRY_SIZE)
  e.expected = checksum(sequence)
  e.given_up = state == M.STATES.invalid or state == M.STATES.aborted
  e.valid = sequence ~= NONE and crc == e.expected and not e.given_up
  return e
end

--- Decode OTA data.
-- @param bytes of the partition: both sectors
-- @param count number of app slots, or nil
-- @return { [1] and [2] = { offset, sequence, state, checksum, expected, erased, given_up, valid, slot },
--   active = 1, 2 or nil, slot = number or nil: then the factory app is started, or slot 0 where there is none }
-- @raise bad_argument when there are not enough bytes
function M.decode(bytes, count)
  if #bytes < SECTOR + ENTRY_SIZE then
    fail { code = "bad_argument", message = ("OTA data: %d bytes, expected two sectors, 0x%X"):format(#bytes, M.SIZE) }
  end
  local info = { entry(bytes, 0), entry(bytes, SECTOR) }
  for i, e in ipairs(info) do
    if count and count > 0 and e.valid then e.slot = (e.sequence - 1 & NONE) % count end
    local best = info.active and info[info.active]
    if e.valid and (not best or e.sequence > best.sequence) then info.active = i end
  end
  info.slot = info.active and info[info.active].slot or nil
  return info
end

--- An entry, as it is in flash.
-- @param sequence 1 to 0xFFFFFFFE; state name, "undefined" when absent
function M.encode(sequence, state)
  return ENTRY:pack(sequence, ("\xFF"):rep(20), M.STATES[state or "undefined"], checksum(sequence))
end

--- What is to be written so that a slot is started.
-- @param bytes of the partition now; slot number from 0; count of slots
-- @param o { state = "new" where the bootloader is to watch the first start } or nil
-- @return nil when it is the chosen one already; else { sector = 1 or 2, offset = in the partition, bytes = a whole
--   sector, sequence = }
-- @raise bad_argument; failed when the sequence numbers are used up
function M.choose(bytes, slot, count, o)
  if math.type(slot) ~= "integer" or slot < 0 or slot >= count then
    fail { code = "bad_argument", message = ("there is no OTA slot %s, there are %d"):format(tostring(slot), count),
           hint = count > 0 and ("0 to %d"):format(count - 1) or "the partition table has no app of subtype ota_0" }
  end
  local state = o and o.state
  if state and not M.STATES[state] then
    fail { code = "bad_argument", message = ("'%s' is no state of an app"):format(tostring(state)) }
  end
  local info = M.decode(bytes, count)
  local active = info.active and info[info.active]
  if active and active.slot == slot and not state then return nil end
  local sequence = slot + 1
  if active then
    local past = active.sequence + 1                    -- the lowest that wins
    sequence = past + (slot + 1 - past) % count
  end
  if sequence >= NONE then
    fail { code = "failed", message = "OTA data: the sequence numbers are used up",
           hint = "erase the OTA data, then select again" }
  end
  local sector = info.active == 1 and 2 or 1
  local new = M.encode(sequence, state)
  return { sector = sector, offset = (sector - 1) * SECTOR, sequence = sequence,
           bytes = new .. ("\xFF"):rep(SECTOR - #new) }
end

return M
