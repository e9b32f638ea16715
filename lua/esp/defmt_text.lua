--- Format strings of defmt: what is in them, and values as text.
-- Source: "The defmt book", "Wire format" and "Display hints".
local M = {}

local INTEGERS = { u8 = 1, u16 = 2, u32 = 4, u64 = 8, u128 = 16, usize = 4, i8 = 1, i16 = 2, i32 = 4, i64 = 8,
                   i128 = 16, isize = 4 }
local NAMED = { f32 = { "float", size = 4 }, f64 = { "float", size = 8 }, bool = { "bool" }, str = { "str" },
                istr = { "istr" }, char = { "char" }, ["[u8]"] = { "bytes" }, ["?"] = { "format" },
                ["[?]"] = { "formats" }, __internal_Debug = { "display" }, __internal_Display = { "display" },
                __internal_FormatSequence = { "sequence" } }
for name, size in pairs(INTEGERS) do NAMED[name] = { "integer", size = size, signed = name:find "^i" ~= nil } end
local LONGEST = 1 << 16

local function type_of(text)
  if text == nil then return NAMED["?"] end
  if NAMED[text] then return NAMED[text] end
  local kind, n = text:match "^%[([u8?]+); *(%d+)%]$"
  n = n and tonumber(n)
  if n and n <= LONGEST then
    if kind == "u8" then return { "bytes", count = n } end
    if kind == "?" then return { "formats", count = n } end
  end
  local first, stop = text:match "^(%d+)%.%.(%d+)$"
  first, stop = tonumber(first), tonumber(stop)
  if first and first < stop and stop <= 128 then return { "bits", first = first, stop = stop } end
  return nil
end

local function hint_of(text)
  if not text then return nil end
  local alternate, rest = text:match "^(#?)(.*)$"
  local width, kind = rest:match "^0(%d+)(.*)$"
  kind = kind or rest
  return { kind = kind, alternate = alternate == "#", width = width and math.min(tonumber(width), 200) or 0 }
end

local function parameter(text, list)
  local index, rest = text:match "^(%d*)(.*)$"
  local named, hint = rest:match "^=([^:]*)(.*)$"
  hint = hint or rest
  local kind = type_of(named)
  if not kind or hint ~= "" and not hint:find "^:." then return nil end
  index = tonumber(index)
  if not index then
    index = list.next
    list.next = index + 1
  end
  return { index = index, type = kind, hint = hint_of(hint:match "^:(.+)$") }
end

--- Take a format string apart.
-- @return list of strings and of { index, type, hint } | nil when it is none
function M.parse(format)
  local list, at, literal = { next = 0 }, 1, {}
  while at <= #format do
    local two = format:sub(at, at + 1)
    if two == "{{" or two == "}}" then
      literal[#literal + 1] = two:sub(1, 1)
      at = at + 2
    elseif two:sub(1, 1) == "{" then
      local inner, stop = format:match("^{([^{}]*)}()", at)
      local p = inner and parameter(inner, list)
      if not p then return nil end
      if #literal > 0 then list[#list + 1] = table.concat(literal) end
      literal = {}
      list[#list + 1] = p
      at = stop
    else
      literal[#literal + 1] = two:sub(1, 1)
      at = at + 1
    end
  end
  if #literal > 0 then list[#list + 1] = table.concat(literal) end
  return list
end

-- Numbers: bytes, the lowest first, of any length ------------------------------------------------------------

local function negated(bytes)
  local out, carry = {}, 1
  for i = 1, #bytes do
    local n = (~bytes:byte(i) & 0xFF) + carry
    out[i], carry = string.char(n & 0xFF), n >> 8
  end
  return table.concat(out)
end

local BASE = 1000000000

local function decimal(bytes)
  local digits = { 0 }
  for i = #bytes, 1, -1 do
    local carry = bytes:byte(i)
    for k = 1, #digits do
      local n = digits[k] * 256 + carry
      digits[k], carry = n % BASE, n // BASE
    end
    if carry > 0 then digits[#digits + 1] = carry end
  end
  local text = { tostring(digits[#digits]) }
  for k = #digits - 1, 1, -1 do text[#text + 1] = ("%09d"):format(digits[k]) end
  return table.concat(text)
end

-- In base 2, 8 or 16, which are 1, 3 or 4 bits to a digit.
local function by_bits(bytes, width)
  local out, value, held, at = {}, 0, 0, 1
  while at <= #bytes or held > 0 do
    if held < width and at <= #bytes then
      value, held, at = value | bytes:byte(at) << held, held + 8, at + 1
    end
    out[#out + 1] = ("%x"):format(value & (1 << width) - 1)
    value, held = value >> width, math.max(held - width, 0)
  end
  local text = table.concat(out):reverse():gsub("^0+", "")
  return text == "" and "0" or text
end

local DIGITS = { b = { 1, "0b" }, o = { 3, "0o" }, x = { 4, "0x" }, X = { 4, "0x" } }
local FRACTION = { us = 6, ms = 3, tus = 6, tms = 3, ts = 0, iso8601us = 6, iso8601ms = 3, iso8601s = 0 }

local function padded(sign, prefix, digits, width)
  return sign .. prefix .. ("0"):rep(width - #sign - #prefix - #digits) .. digits
end

local function time_text(n, kind)
  local places = FRACTION[kind]
  local scale = math.tointeger(10 ^ places)
  local seconds, part = n // scale, places > 0 and (".%0" .. places .. "d"):format(n % scale) or ""
  if kind == "us" or kind == "ms" then return seconds .. part end
  if kind:find "^iso" then return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. part .. "Z" end
  local days = seconds // 86400
  return (days > 0 and days .. ":" or "")
    .. ("%02d:%02d:%02d"):format(seconds // 3600 % 24, seconds // 60 % 60, seconds % 60) .. part
end

--- An integer as text.
-- @param bytes the lowest first; signed boolean; hint { kind, alternate, width } or nil
function M.integer(bytes, signed, hint)
  hint = hint or { kind = "", width = 0 }
  local how = DIGITS[hint.kind]
  if how then
    local digits = by_bits(bytes, how[1])
    return padded("", hint.alternate and how[2] or "", hint.kind == "X" and digits:upper() or digits, hint.width)
  end
  local negative = signed and bytes:byte(-1) >= 0x80
  local width = hint.kind == "" and hint.width or 0
  if not negative and FRACTION[hint.kind] and (#bytes < 8 or bytes:sub(8) == ("\0"):rep(#bytes - 7)) then
    local n = ("<I7"):unpack(bytes:sub(1, 7) .. ("\0"):rep(7 - #bytes))
    if n < 1 << 55 then return time_text(n, hint.kind) end
  end
  return padded(negative and "-" or "", "", decimal(negative and negated(bytes) or bytes), width)
end

--- The bits from first to stop - 1 of bytes, as bytes.
function M.bits(bytes, first, stop)
  local out = {}
  for at = first, stop - 1, 8 do
    local value = 0
    for bit = at, math.min(at + 8, stop) - 1 do
      value = value | (((bytes:byte(bit // 8 + 1) or 0) >> bit % 8 & 1) << bit - at)
    end
    out[#out + 1] = string.char(value)
  end
  return table.concat(out)
end

--- A floating-point number with no more digits than it needs.
function M.float(value, size)
  if value ~= value then return "NaN" end
  if value == math.huge or value == -math.huge then return value > 0 and "inf" or "-inf" end
  local form, text = size == 4 and "<f" or "<d", nil
  for digits = 1, 17 do
    text = ("%." .. digits .. "g"):format(value)
    if string.pack(form, tonumber(text)) == string.pack(form, value) then break end
  end
  local mantissa, exponent = text:match "^(.-)e([+-]%d+)$"
  if mantissa then
    local n = math.tointeger(tonumber(exponent))
    if n > 0 and n < 16 then return ("%.1f"):format(value) end
    if n < 0 and n > -6 then return (("%.20f"):format(value):gsub("0+$", "")) end
    return mantissa .. "e" .. n
  end
  return text:find "%." and text or text .. ".0"
end

local SHORT = { ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }

--- Bytes as text.
function M.bytes(bytes, hint)
  local kind = hint and hint.kind
  if kind == "a" then
    return 'b"' .. bytes:gsub(".", function(c)
      return SHORT[c] or c:find "[ -~]" and c or ("\\x%02x"):format(c:byte())
    end) .. '"'
  end
  local list = {}
  for i = 1, #bytes do list[i] = M.integer(bytes:sub(i, i), false, DIGITS[kind] and hint or nil) end
  return "[" .. table.concat(list, ", ") .. "]"
end

--- A string as text; with hint ? as it would be in a source.
function M.string(text, hint)
  if not hint or hint.kind ~= "?" then return text end
  return '"' .. text:gsub('[%c"\\]', function(c) return SHORT[c] or ("\\u{%x}"):format(c:byte()) end) .. '"'
end

return M
