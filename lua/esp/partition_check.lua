--- What is wrong with a partition table: errors that keep a device from starting or that ESP-IDF refuses, and
-- warnings about what is hardly meant.
-- Source: ESP-IDF Programming Guide, "Partition Tables" and "Over The Air Updates"; the behaviour of
-- gen_esp32part.py 1.5.
local fail = require "esp.error"
local partition = require "esp.partition"
local M = {}

local NVS_WRITABLE = 0x3000                -- smallest NVS partition that can be written to
local OTA_DATA_SIZE = 0x2000

local function hex(n) return ("0x%X"):format(n) end

-- found(level, entry, text) collects.
local function check_place(e, o, found)
  local multiple = partition.alignment(e.type)
  if e.offset % multiple ~= 0 then
    found("error", e, ("the offset %s is not a multiple of %s"):format(hex(e.offset), hex(multiple)))
  end
  local unit = e.type == partition.APP and (o.secure == "v1" and 0x10000 or 0x1000) or nil
  if unit and e.size % unit ~= 0 then
    found("error", e, ("the size %s is not a multiple of %s"):format(hex(e.size), hex(unit)))
  elseif e.size == 0 then
    found("warning", e, "the size is 0")
  elseif e.size % partition.SECTOR ~= 0 then
    found("warning", e, ("the size %s is not a multiple of a sector, 0x1000: its end cannot be erased alone")
      :format(hex(e.size)))
  end
  if e.offset + e.size > 1 << 32 then found("error", e, "it ends beyond 32-bit addresses") end
  local lowest = o.table_offset + partition.SECTOR
  if e.offset < lowest and not partition.is_primary(e) then
    found("error", e, ("it begins at %s, before the end of the partition table, %s"):format(hex(e.offset),
          hex(lowest)))
  end
end

local function check_names(e, found)
  local label = e.label
  if label == "" then found("warning", e, "it has no name") end
  if e.long_label then
    found("warning", e, ("the name is cut to %d bytes, it was %s"):format(partition.LABEL_MAX,
          partition.shown(e.long_label)))
  end
  local kind = partition.TYPES[label]
  if kind and kind ~= e.type then
    found("warning", e, ("it is named as a type, and is of type %s"):format(partition.kind(e)))
    return
  end
  local own = (partition.SUBTYPES[e.type] or {})[label]
  if own == e.subtype then return end
  for _, names in pairs(partition.SUBTYPES) do
    if names[label] then
      return found("warning", e, ("it is named as a subtype, and is %s"):format(partition.kind(e)))
    end
  end
end

local function check_data(e, found)
  if e.type ~= partition.DATA then return end
  if e.readonly and (e.subtype == partition.OTA_DATA or e.subtype == partition.COREDUMP) then
    found("error", e, ("a partition %s cannot be readonly"):format(partition.kind(e)))
  end
  if e.subtype == partition.NVS and e.size < NVS_WRITABLE and not e.readonly then
    found("error", e, ("NVS of %s bytes has to be readonly; to be written to it needs %s"):format(hex(e.size),
          hex(NVS_WRITABLE)))
  end
  if (e.subtype == partition.OTA_DATA or e.subtype == partition.TEE_OTA_DATA) and e.size ~= OTA_DATA_SIZE then
    found("error", e, ("the size is %s, OTA data has two sectors, %s"):format(hex(e.size), hex(OTA_DATA_SIZE)))
  end
end

local function check_pairs(list, found)
  local seen = {}
  for _, e in ipairs(list) do
    if seen[e.label] then found("error", e, "another partition has this name") end
    seen[e.label] = true
  end
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted, function(a, b) return a.offset < b.offset end)
  for i = 2, #sorted do
    local a, b = sorted[i - 1], sorted[i]
    if b.offset < a.offset + a.size then
      found("error", b, ("it begins at %s and overlaps %s, %s to %s"):format(hex(b.offset), partition.shown(a.label),
            hex(a.offset), hex(a.offset + a.size - 1)))
    end
  end
  for _, subtype in ipairs { partition.OTA_DATA, partition.TEE_OTA_DATA } do
    local same = partition.of_type(list, partition.DATA, subtype)
    for i = 2, #same do found("error", same[i], ("there is a partition %s already"):format(partition.kind(same[i]))) end
  end
  local once = {}
  for _, e in ipairs(list) do
    local same = e.type == partition.APP and once[e.subtype]
    if same then found("warning", e, ("%s is %s already"):format(partition.shown(same.label), partition.kind(e))) end
    if e.type == partition.APP then once[e.subtype] = e end
  end
end

-- Whether a bootloader finds something to start, and updates have somewhere to go.
local function check_apps(list, found)
  local slots, factory = {}, partition.of_type(list, partition.APP, partition.FACTORY)[1]
  for slot = 0, partition.OTA_SLOTS - 1 do
    local e = partition.of_type(list, partition.APP, partition.OTA_0 + slot)[1]
    if e then slots[#slots + 1] = { slot = slot, entry = e } end
  end
  local data = partition.of_type(list, partition.DATA, partition.OTA_DATA)[1]
  if not factory and #slots == 0 then
    found("warning", nil, #list == 0 and "the table is empty" or "there is no partition for an application")
  end
  for i, s in ipairs(slots) do
    if s.slot ~= i - 1 then
      found("warning", s.entry, ("it is ota_%d, and there is no ota_%d: slots are counted without gaps")
        :format(s.slot, i - 1))
      break
    end
  end
  if #slots > 0 and not data then
    found("warning", slots[1].entry, "there are OTA slots and no OTA data (data, ota) to choose between them")
  elseif data and #slots == 0 then
    found("warning", data, "there is OTA data and no OTA slot (app, ota_0)")
  elseif #slots == 1 and not factory then
    found("warning", slots[1].entry, "it is the only application: an update would have to overwrite what runs")
  end
  for i = 2, #slots do
    if slots[i].entry.size ~= slots[1].entry.size then
      found("warning", slots[i].entry, ("its size differs from that of %s: an update may fit into one only")
        :format(partition.shown(slots[1].entry.label)))
      break
    end
  end
end

--- Look at a table.
-- @param list entries
-- @param o { table_offset = 0x8000, flash_size = bytes, secure = "v1" or "v2" } or nil
-- @return list of { level = "error" or "warning", text =, label =, line = }
function M.problems(list, o)
  o = setmetatable({ table_offset = o and o.table_offset or partition.TABLE_OFFSET }, { __index = o })
  local all = {}
  local function found(level, e, text)
    local where = e and ((e.line and ("line %d: "):format(e.line) or "") .. (e.label ~= ""
      and partition.shown(e.label) or ("the partition at 0x%X"):format(e.offset)) .. ": ") or ""
    all[#all + 1] = { level = level, text = where .. text, label = e and e.label, line = e and e.line }
  end
  for _, e in ipairs(list) do
    check_place(e, o, found)
    check_names(e, found)
    check_data(e, found)
    if (e.flags or 0) & ~3 ~= 0 then
      found("warning", e, ("flags 0x%X are not known"):format(e.flags & ~3))
    end
    if o.flash_size and e.offset + e.size > o.flash_size then
      found("error", e, ("it ends at %s, flash ends at %s"):format(hex(e.offset + e.size), hex(o.flash_size)))
    end
  end
  check_pairs(list, found)
  check_apps(list, found)
  return all
end

--- Look at a table and refuse it if anything is wrong.
-- @param name what messages call it
-- @return list of warnings
-- @raise bad_partition_table with the first error; `problems` has all
function M.check(list, name, o)
  local problems, warnings, errors = M.problems(list, o), {}, {}
  for _, p in ipairs(problems) do
    local into = p.level == "error" and errors or warnings
    into[#into + 1] = p
  end
  if errors[1] then
    fail { code = "bad_partition_table", file = name, line = errors[1].line, problems = problems,
           message = ("%s: %s%s"):format(name, errors[1].text,
             #errors > 1 and (" (and %d more errors)"):format(#errors - 1) or "") }
  end
  return warnings
end

return M
