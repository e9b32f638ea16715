--- The chips: one table of data per chip, from chips/*.lua, looked up by name, image id or magic word.
-- doc/chips.md describes the keys.
local fail = require "esp.error"
local M = {}

local IDS = {
  "esp8266", "esp32", "esp32s2", "esp32s3", "esp32c2", "esp32c3", "esp32c5", "esp32c6", "esp32c61", "esp32h2",
  "esp32h21", "esp32h4", "esp32p4", "esp32s31", "esp32e22",
}

-- Image ids of silicon that was never sold; the data is gone from every tool.
local DROPPED = {
  [4] = "ESP32-S3(beta2)", [6] = "ESP32-S3(beta3)", [7] = "ESP32-C6(beta)", [10] = "ESP32-H2(beta1)",
  [14] = "ESP32-H2(beta2)", [17] = "ESP32-C5(beta3)",
}

local cache = {}

local function load_chip(id)
  if not cache[id] then cache[id] = require("chips." .. id) end
  return cache[id]
end

local function plain(text)
  return (text:lower():gsub("[%s_%-]", ""))
end

--- The ids of all chips, in the order of their appearance on the market.
function M.list()
  return table.move(IDS, 1, #IDS, 1, {})
end

--- Data of a chip by any spelling of its name.
-- @param name string: "esp32c3", "ESP32-C3", "esp8685"; case, dashes and blanks do not matter
-- @raise unknown_chip
function M.get(name)
  local wanted = plain(tostring(name))
  for _, id in ipairs(IDS) do
    if id == wanted then return load_chip(id) end
  end
  for _, id in ipairs(IDS) do
    for _, alias in ipairs(load_chip(id).aliases or {}) do
      if alias == wanted then return load_chip(id) end
    end
  end
  fail { code = "unknown_chip", message = ("unknown chip %q"):format(tostring(name)),
         hint = "known: " .. table.concat(IDS, ", ") }
end

local function find(key, value)
  if value == nil then return nil end
  for _, id in ipairs(IDS) do
    local data = load_chip(id)
    if data[key] == value then return data end
  end
  return nil
end

--- Data of the chip whose images and security info carry this id.
-- @return data | nil, name of a beta chip that is no longer supported
function M.by_image_id(n)
  return find("image_chip_id", n), DROPPED[n]
end

--- Data of the chip with this word at 0x40001000 (ESP8266, ESP32, ESP32-S2 only).
function M.by_magic(n)
  return find("magic", n)
end

-- By rom.status_bytes, where that tells a chip from all others: an index, so that not all files have to be read.
local BY_STATUS_BYTES = { [2] = "esp8266" }

--- Data of the chip that alone has a ROM whose answers end with a status of so many bytes.
-- @return data, or nil
function M.by_status_bytes(n)
  local id = BY_STATUS_BYTES[n]
  return id and load_chip(id) or nil
end

--- The entry of a list that holds for a revision: the last with from_revision <= revision.
-- @param list of tables with from_revision, ascending
-- @param revision major * 100 + minor
function M.for_revision(list, revision)
  local chosen
  for _, entry in ipairs(list or {}) do
    if entry.from_revision <= (revision or 0) then chosen = entry end
  end
  return chosen
end

--- Value of a field.
-- @param field list of { address, lsb, width }, lowest part first
-- @param read function(address) -> word
function M.field_get(field, read)
  local value, shift = 0, 0
  for _, part in ipairs(field) do
    local address, lsb, width = part[1], part[2], part[3]
    value = value | ((read(address) >> lsb) & ((1 << width) - 1)) << shift
    shift = shift + width
  end
  return value
end

--- Change a field, leaving the other bits of its words.
-- @param write function(address, word)
-- @raise plain error when the value does not fit
function M.field_set(field, value, read, write)
  local room = 0
  for _, part in ipairs(field) do room = room + part[3] end
  if value >> room ~= 0 then error(("value 0x%X does not fit its field"):format(value), 2) end
  local rest = value
  for _, part in ipairs(field) do
    local address, lsb, width = part[1], part[2], part[3]
    local mask = ((1 << width) - 1) << lsb
    write(address, (read(address) & ~mask | (rest << lsb) & mask) & 0xFFFFFFFF)
    rest = rest >> width
  end
end


local function merged(base, changes)
  local copy = {}
  for k, v in pairs(base) do copy[k] = v end
  for k, v in pairs(changes) do
    local plain_table = type(v) == "table" and #v == 0 and type(copy[k]) == "table"
    copy[k] = plain_table and merged(copy[k], v) or v
  end
  return copy
end

local by_revision = setmetatable({}, { __mode = "k" })

--- Data with what a revision changes (`revisions`) put in. Records are merged, lists replaced.
-- @param revision major * 100 + minor
-- @return the same table when nothing changes
function M.at_revision(data, revision)
  local entry = M.for_revision(data.revisions, revision)
  if not entry or not next(entry.changes) then return data end
  by_revision[entry] = by_revision[entry] or merged(data, entry.changes)
  return by_revision[entry]
end

-- CRC-8 of Dallas/Maxim, which guards the MAC in the ESP32's eFuses.
local function crc8(bytes)
  local crc = 0
  for i = 1, #bytes do
    crc = crc ~ bytes:byte(i)
    for _ = 1, 8 do crc = crc & 1 == 1 and crc >> 1 ~ 0x8C or crc >> 1 end
  end
  return crc
end

local function mac_number(text)
  local hex = text:gsub("[:%-]", "")
  if not hex:match "^%x+$" or #hex ~= 12 then
    fail { code = "bad_argument", message = ("not a MAC address: %q"):format(text), hint = "like 60:55:f9:12:34:56" }
  end
  return tonumber(hex, 16), (hex:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

--- The words that make a simulated chip this individual.
-- @param data of a chip
-- @param choice table or nil: `mac`, `revision` (number), `fields` (name = value), each instead of what data.sim has
-- @return table address -> word; an address that is missing holds 0
function M.initial(data, choice)
  choice = choice or {}
  local words, fields = {}, data.efuse.fields
  local function read(address) return words[address] or 0 end
  local function set(name, value)
    if fields[name] then M.field_set(fields[name], value, read, function(a, w) words[a] = w end) end
  end
  local sim = data.sim
  for address, word in pairs(sim.registers or {}) do words[address] = word end
  for name, value in pairs(sim.fields) do set(name, value) end
  local revision = choice.revision or sim.revision
  local major, codes = revision // 100, data.identity.wafer_major_codes
  for code, number in pairs(codes or {}) do
    if number == major then set("wafer_major", code) end
  end
  if not codes then set("wafer_major", major) end
  set("wafer_minor", revision % 100)
  local mac, bytes = mac_number(choice.mac or sim.mac)
  set("mac", mac)
  set("mac_crc", crc8(bytes))
  for name, value in pairs(choice.fields or {}) do
    if not fields[name] then
      fail { code = "bad_argument", message = ("%s has no eFuse field %q"):format(data.name, name) }
    end
    set(name, value)
  end
  return words
end

--- What is wrong with a chip's data: keys that are missing or unknown, ranges that overlap, names of behaviour
-- that nobody knows. doc/chips.md says what must be there.
-- @return list of strings, each naming chip and key; empty when all is well
function M.check(data)
  return require("esp.chips_schema").check(data)
end

return M
