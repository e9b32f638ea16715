--- flasher_args.json, which ESP-IDF's build writes: what goes where, and how.
-- Source: ESP-IDF Programming Guide, "Build System", flashing arguments; files made by ESP-IDF 4.4 to 5.5.
local fail = require "esp.error"
local json = require "esp.json"
local types = require "esp.cli.types"
local M = {}

M.NAME = "flasher_args.json"
M.MAX = 1 << 20
local MAX_FILES = 256
local SETTINGS = { "flash_mode", "flash_freq", "flash_size" }

local function bad(name, text, hint)
  fail { code = "bad_flasher_args", message = ("%s: %s"):format(name, text), file = name, hint = hint }
end

--- Whether bytes may be such a file: JSON that has what it must have.
function M.looks_like(head)
  return head:find "^%s*{" ~= nil
end

local function is_object(v)
  return type(v) == "table" and v ~= json.null and #v == 0
end

local function shown(v)
  return ("%q"):format(tostring(v):sub(1, 60))
end

local function settings_of(name, given)
  local settings = {}
  if given == nil then return settings end
  if not is_object(given) then bad(name, "flash_settings is not an object") end
  for _, key in ipairs(SETTINGS) do
    local value = given[key]
    if value ~= nil then
      if type(value) ~= "string" or not value:find "^%w[%w%-]*$" or #value > 16 then
        bad(name, ("flash_settings: %s is %s"):format(key, shown(value)))
      end
      settings[key] = value
    end
  end
  return settings
end

local function truth(v) return v == true or v == "true" end

--- Which offsets are to be encrypted: the entries beside flash_files say so.
local function encrypted_offsets(given)
  local set = {}
  for _, entry in pairs(given) do
    if is_object(entry) and truth(entry.encrypted) and type(entry.offset) == "string" then
      local offset = types.integer(entry.offset)
      if offset then set[offset] = true end
    end
  end
  return set
end

--- Read one.
-- @param text string
-- @param name for messages
-- @return { files = list of { address, path, encrypt }, by address; settings = { flash_mode =, ... }; chip = id }
-- @raise bad_flasher_args, bad_json
function M.decode(text, name)
  if #text > M.MAX then bad(name, "too large") end
  local ok, given = pcall(json.decode, text)
  if not ok then
    if not fail.is(given) then error(given, 0) end
    given.message, given.file = ("%s: %s"):format(name, given.message), name
    error(given, 0)
  end
  if not is_object(given) or not is_object(given.flash_files) or next(given.flash_files) == nil then
    bad(name, "no flash_files in it", "flasher_args.json of a build folder of ESP-IDF is expected")
  end
  local encrypt = encrypted_offsets(given)
  local files, seen = {}, {}
  for key, path in pairs(given.flash_files) do
    local address = type(key) == "string" and types.integer(key)
    if not address or address < 0 or address > 0xFFFFFFFF then bad(name, "flash_files: no address: " .. shown(key)) end
    if type(path) ~= "string" or path == "" or #path > 4096 or path:find "%z" then
      bad(name, ("flash_files: no file name at %s: %s"):format(key, shown(path)))
    end
    if seen[address] then bad(name, ("flash_files: 0x%X is there twice"):format(address)) end
    seen[address] = true
    files[#files + 1] = { address = address, path = path, encrypt = encrypt[address] or nil }
    if #files > MAX_FILES then bad(name, "too many files") end
  end
  table.sort(files, function(a, b) return a.address < b.address end)
  local extra = given.extra_esptool_args
  local chip = is_object(extra) and extra.chip or nil
  if chip ~= nil and type(chip) ~= "string" then bad(name, "chip is " .. shown(chip)) end
  if chip then
    local known, data = pcall(require "esp.chips".get, chip)
    if not known then bad(name, ("chip is %s, which is not known"):format(shown(chip))) end
    chip = data.id
  end
  return { files = files, settings = settings_of(name, given.flash_settings), chip = chip }
end

return M
