--- The types of arguments: text of the command line to values.
-- Every reader takes the text and the declaration and returns the value, or nil and what was expected.
local M = {}

local DIGITS = { ["0x"] = 16, ["0o"] = 8, ["0b"] = 2 }
local SUFFIX = { [""] = 1, k = 1 << 10, m = 1 << 20, g = 1 << 30 }
local LARGEST = 1 << 52
local LONGEST_WORD = 64                    -- that may be meant for another

--- A whole number: decimal, 0x, 0o or 0b, with an optional sign.
-- @return integer or nil
function M.integer(text)
  local sign, body = text:match "^([+-]?)(%w+)$"
  if not body then return nil end
  local base = DIGITS[body:sub(1, 2):lower()]
  local digits = base and body:sub(3) or body
  base = base or 10
  if digits == "" then return nil end
  local n = 0
  for c in digits:gmatch "." do
    local d = tonumber(c, 36)
    if not d or d >= base then return nil end
    n = n * base + d
    if n > LARGEST then return nil end
  end
  return sign == "-" and -n or n
end

--- Whether a number may be meant as octal, or as hexadecimal without its 0x: it begins with a zero.
function M.unclear(text)
  return text:find "^0%d" ~= nil and text:find "^0+$" == nil
end

--- A number of bytes: a whole number, with k, M or G behind it (also kB, KiB, ...) when decimal.
-- @return integer or nil
function M.bytes(text)
  local n = M.integer(text)
  if n then return n >= 0 and n or nil end
  local digits, suffix = text:match "^(%d+)([kKmMgG]?)i?[bB]?$"
  n = digits and M.integer(digits)
  return n and n * SUFFIX[suffix:lower()] or nil
end

--- The words of a list that are nearest to one that is not in it, by edit distance.
-- @return the nearest word or nil when none is near
function M.nearest(word, list)
  if #word > LONGEST_WORD then return nil end
  local best, least = nil, math.max(2, #word // 3) + 1
  for _, other in ipairs(list) do
    local row = {}
    for j = 0, #other do row[j] = j end
    for i = 1, #word do
      local diagonal
      diagonal, row[0] = row[0], i
      for j = 1, #other do
        local cost = word:byte(i) == other:byte(j) and 0 or 1
        diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      end
    end
    if row[#other] < least then best, least = other, row[#other] end
  end
  return best
end

local function in_range(n, spec, lowest, highest)
  lowest, highest = spec.min or lowest, spec.max or highest
  if lowest and n < lowest then return nil, ("at least %d"):format(lowest) end
  if highest and n > highest then
    return nil, (highest & 0xFFFFFF == 0xFFFFFF and "at most 0x%X" or "at most %d"):format(highest)
  end
  if spec.multiple and n % spec.multiple ~= 0 then return nil, ("a multiple of 0x%X"):format(spec.multiple) end
  return n
end

local readers = {}

function readers.string(text, spec)
  if text == "" and not spec.empty then return nil, "a value" end
  return text
end

function readers.int(text, spec)
  local n = M.integer(text)
  if not n then return nil, "a whole number (decimal, 0x, 0o or 0b)" end
  return in_range(n, spec)
end

function readers.address(text, spec)
  local n = M.integer(text)
  if not n then return nil, "a number (decimal, 0x, 0o or 0b)" end
  if M.unclear(text) then return nil, "a clear number: without a zero in front, or with 0x" end
  return in_range(n, spec, 0, 0xFFFFFFFF)
end

function readers.size(text, spec)
  if spec.all and text:upper() == "ALL" then return "all" end
  local n = M.bytes(text)
  if not n then return nil, "a number of bytes such as 4096, 0x1000, 64k or 1M" .. (spec.all and ", or ALL" or "") end
  return in_range(n, spec, 1, 0xFFFFFFFF)
end

function readers.number(text, spec)
  local n = text:match "^[%d.]+$" and tonumber(text)
  if not n then return nil, "a number" end
  return in_range(n, spec)
end

--- One of spec.choices; case does not matter, "_" is as good as "-", and spec.unit may stand behind.
function readers.choice(text, spec)
  local wanted = text:lower():gsub("_", "-")
  if spec.unit and wanted:sub(-#spec.unit) == spec.unit then wanted = wanted:sub(1, -1 - #spec.unit) end
  for _, word in ipairs(spec.choices) do
    if word:lower():gsub("_", "-") == wanted then return word end
  end
  local near = M.nearest(wanted, spec.choices)
  local all = "one of " .. table.concat(spec.choices, ", ")
  return nil, near and ("%s; did you mean %s?"):format(all, near) or all
end

--- A chip in any spelling, or auto.
function readers.chip(text)
  local wanted = text:lower():gsub("[%s_%-()]", "")
  if wanted == "auto" then return "auto" end
  local chips = require "esp.chips"
  local ok, data = pcall(chips.get, wanted)
  if ok then return data.id end
  return nil, "one of auto, " .. table.concat(chips.list(), ", ")
end

--- A file to be read: it must be there.
-- @return path | nil, message, code: a whole message, for this is no matter of spelling
function readers.file(text)
  -- Opening a pipe would wait for someone to write; what is in it can be read once only.
  local st = require "esp.core.fs".stat(text)
  if st and st.type == "other" then
    return nil, text .. ": is not a regular file; write what it gives to one first", "bad_file"
  end
  local f, why = io.open(text, "rb")
  if not f then
    local missing = why:find "No such file"
    local denied = why:find "[Pp]ermission"
    return nil, text .. ": " .. (missing and "no such file" or why:gsub("^.*: ", ""):lower()),
           missing and "file_missing" or denied and "file_denied" or "bad_file"
  end
  local ok, trouble = f:read(0)
  f:close()
  if not ok and trouble then
    return nil, text .. ": " .. (trouble:find "directory" and "is a directory, not a file" or trouble), "bad_file"
  end
  return text
end

--- A file to be written: its folder must be there. "-" is standard output when spec.stdout.
function readers.output(text, spec)
  if text == "-" and spec.stdout then return text end
  if text == "" then return nil, "a file name" end
  local folder = text:match "^(.*)[/\\][^/\\]*$"
  if folder == "" then folder = "/" end
  local f = io.open(folder or ".", "rb")
  if not f then return nil, text .. ": no such folder", "file_missing" end
  f:close()
  f = io.open(text, "rb")
  if f then
    local ok, trouble = f:read(0)
    f:close()
    if text:find "[/\\]$" or (not ok and trouble and trouble:find "directory") then
      return nil, text .. ": is a directory, not a file", "bad_file"
    end
  elseif text:find "[/\\]$" then
    return nil, text .. ": is a directory, not a file", "bad_file"
  end
  return text
end

--- Read one word.
-- @param text string
-- @param spec declaration with type
-- @return value | nil, what was expected | nil, whole message, code
function M.read(text, spec)
  local reader = readers[spec.type]
  if not reader then error(("type %q of %s is unknown"):format(tostring(spec.type), tostring(spec[1])), 0) end
  return reader(text, spec)
end

--- Whether a name is a type.
function M.known(name)
  return readers[name] ~= nil
end

return M
