--- Options of a simulated chip, from a URL or a table. doc/sim.md lists them.
local fail = require "esp.error"
local M = {}

--- Faults of the line, each with its probability; "in_" before the name: towards the chip.
M.FAULTS = { "drop", "flip", "dup", "stall", "noise", "loss" }

--- Raise what is wrong with an option.
-- @raise bad_argument
function M.bad(message, hint)
  fail { code = "bad_argument", message = message, hint = hint }
end

local function number(name, text)
  local n = tonumber(text)
  if not n or n ~= n or n < 0 or n > 1e15 then M.bad(("simulated chip: %s=%s is not a number"):format(name, text)) end
  return n
end

local function integer(name, text)
  local n = math.tointeger(number(name, text))
  if not n then M.bad(("simulated chip: %s=%s is not a whole number"):format(name, text)) end
  return n
end

local function probability(name, text)
  local p = number(name, text)
  if p > 1 then M.bad(("simulated chip: %s=%s is not between 0 and 1"):format(name, text)) end
  return p
end

local function flag(name, value)
  local word = tostring(value)
  if word == "" or word == "1" or word == "yes" or word == "true" then return true end
  if word == "0" or word == "no" or word == "false" then return false end
  M.bad(("simulated chip: %s is 1 or 0, not %q"):format(name, tostring(value)))
end

local function choice(...)
  local allowed = { ... }
  return function(name, value)
    for _, a in ipairs(allowed) do
      if a == value then return a end
    end
    M.bad(("simulated chip: %s=%s"):format(name, tostring(value)), "one of " .. table.concat(allowed, ", "))
  end
end

local function text(_, value) return tostring(value) end

local function size(name, value)
  local digits, unit = tostring(value):upper():match "^(%w+)([KM])B?$"
  if not digits or not tonumber(digits) then digits, unit = tostring(value), "" end
  local factor = unit == "K" and 1024 or unit == "M" and 1 << 20 or 1
  local n = tonumber(digits) and math.tointeger(tonumber(digits) * factor)
  if not n or n < 65536 or n > 1 << 28 or n & (n - 1) ~= 0 then
    M.bad(("simulated chip: %s=%s is not the size of a flash"):format(name, tostring(value)),
          "like 4MB; a power of two")
  end
  return n
end

local function revision(name, value)
  local major, minor = tostring(value):match "^v?(%d+)%.(%d+)$"
  if major then return tonumber(major) * 100 + tonumber(minor) end
  return integer(name, value)
end

local function purposes(_, value)
  if type(value) == "table" then return value end
  local list = {}
  for item in tostring(value):gmatch "[^,]+" do list[#list + 1] = tonumber(item) or item end
  return list
end

local function numbers(name, value)
  if type(value) ~= "table" then
    local list = {}
    for item in tostring(value):gmatch "[^,]+" do list[#list + 1] = integer(name, item) end
    return list
  end
  for _, item in ipairs(value) do integer(name, item) end
  return value
end

local function five_pins(name, value)
  local list = numbers(name, value)
  if #list ~= 5 then M.bad(("simulated chip: %s: five pin numbers are needed"):format(name), "CLK,Q,D,HD,CS") end
  return list
end

-- "1" or nothing: in memory; else a file's name.
local function memory_or_file(_, value)
  local word = tostring(value)
  if word == "0" or word == "false" then return false end
  return word ~= "" and word ~= "1" and word ~= "true" and word or true
end

-- Every option: how its value is read.
local OPTIONS = {
  chip = text, flash = text, efuse = text, flash_size = size, flash_id = integer, mac = text, revision = revision,
  crystal = number, link = choice("uart", "usj", "otg"), boot = choice("download", "flash"),
  rate = choice("fast", "real"), timing = choice("none", "real"), latency = number, stall_time = number,
  rom = text, unplug = integer, faults_from = integer, faults_above = integer, seed = integer,
  vanish = integer, max_baud = integer, en_delay = number, spi_connection = integer, sdm = flag, secure_boot = flag,
  flash_encryption = flag, dl_encrypt_disabled = flag, keys = purposes,
  dual = choice("good", "high", "low", "as_q", "unknown"),
  fields = function(_, value) return value end,
  nand = memory_or_file, nand_pins = five_pins, nand_bad = numbers, nand_program_fails = numbers,
  nand_erase_fails = numbers, nand_corrected = numbers, nand_uncorrectable = numbers, nand_silent = numbers,
}
for _, name in ipairs(M.FAULTS) do
  OPTIONS[name] = probability
  OPTIONS["in_" .. name] = probability
end
local SHORT = { rev = "revision", xtal = "crystal" }

--- The options of a table, each read and checked.
-- @param given name = text or value
-- @return table, with fields = eFuse fields by name
-- @raise bad_argument
function M.check(given)
  local options = { fields = {} }
  for name, value in pairs(given) do
    name = SHORT[name] or name
    local field = name:match "^efuse%.(.+)$"
    if field then
      options.fields[field] = integer(name, value)
    elseif not OPTIONS[name] then
      M.bad(("simulated chip: unknown option %q"):format(name), "doc/sim.md lists them")
    else
      options[name] = OPTIONS[name](name, value)
    end
  end
  if not options.chip then M.bad("simulated chip: which?", "sim:esp32c3") end
  return options
end

--- Take a URL apart.
-- @param url "sim:CHIP[?name=value&...]"; %XX stands for a byte
-- @return table of options
-- @raise bad_argument
function M.parse(url)
  local chip, query = url:match "^sim:/*([%w%-_]+)%??(.*)$"
  if not chip then M.bad(("%s: not the name of a simulated chip"):format(url), "like sim:esp32c3?flash=board.bin") end
  local options = { chip = chip }
  for pair in query:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]+)=?(.*)$"
    if not name then M.bad(("%s: option %q has no name"):format(url, pair)) end
    options[name] = value:gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end)
  end
  return options
end

return M
