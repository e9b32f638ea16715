--- JSON text to and from values. Source: RFC 8259.
-- Objects are written with sorted keys, so that equal values give equal text. Strings are bytes in Lua: what is
-- not UTF-8 is written as U+FFFD; binary data should be passed as hexadecimal digits.
local fail = require "esp.error"
local M = {}

local MAX_DEPTH = 64

--- The value null, both ways.
M.null = setmetatable({}, { __tostring = function() return "null" end, __name = "json.null" })

local array_mt = { __name = "json.array" }

--- Mark a table as an array, which matters when it is empty.
function M.array(t)
  return setmetatable(t or {}, array_mt)
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
                  ["\t"] = "\\t" }

local function escape(c)
  return ESCAPES[c] or ("\\u%04x"):format(c:byte())
end

local function quote(s)
  if not utf8.len(s) then
    local out, at = {}, 1
    while at <= #s do
      local ok, bad = utf8.len(s, at)
      if ok then bad = #s + 1 end
      out[#out + 1] = s:sub(at, bad - 1)
      if not ok then out[#out + 1] = "\u{FFFD}" end
      at = bad + 1
    end
    s = table.concat(out)
  end
  return '"' .. s:gsub('[%c"\\\127]', escape) .. '"'
end

local function number(n)
  if math.type(n) == "integer" then return ("%d"):format(n) end
  if n ~= n or n == math.huge or n == -math.huge then return "null" end
  local s = ("%.14g"):format(n)
  return (s:gsub(",", "."))
end

local encode

local function encode_table(v, out, depth, first)
  if depth > MAX_DEPTH then error("json: nested too deep", 0) end
  if getmetatable(v) == array_mt or #v > 0 then
    out[#out + 1] = "["
    for i = 1, #v do
      if i > 1 then out[#out + 1] = "," end
      encode(v[i], out, depth + 1)
    end
    out[#out + 1] = "]"
    return
  end
  local keys = {}
  for k in pairs(v) do
    if type(k) ~= "string" and math.type(k) ~= "integer" then error("json: a key is a " .. type(k), 0) end
    keys[#keys + 1] = k
  end
  table.sort(keys, function(a, b)
    if a == first or b == first then return a == first and b ~= first end
    return tostring(a) < tostring(b)
  end)
  out[#out + 1] = "{"
  for i, k in ipairs(keys) do
    out[#out + 1] = (i > 1 and "," or "") .. quote(tostring(k)) .. ":"
    encode(v[k], out, depth + 1)
  end
  out[#out + 1] = "}"
end

function encode(v, out, depth, first)
  local t = type(v)
  if v == M.null or v == nil then out[#out + 1] = "null"
  elseif t == "string" then out[#out + 1] = quote(v)
  elseif t == "number" then out[#out + 1] = number(v)
  elseif t == "boolean" then out[#out + 1] = tostring(v)
  elseif t == "table" then encode_table(v, out, depth, first)
  else error("json: cannot write a " .. t, 0) end
end

--- Value to text, on one line.
-- @param v nil, boolean, number, string, table; NaN and infinities become null
-- @param first key that comes first in the outermost object, may be nil
-- @raise plain error for functions and the like, for cycles
function M.encode(v, first)
  local out = {}
  encode(v, out, 1, first)
  return table.concat(out)
end

local UNESCAPE = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local Reader = {}
Reader.__index = Reader

function Reader:wrong(what)
  fail { code = "bad_json", message = ("JSON: %s at byte %d"):format(what, self.at), offset = self.at - 1 }
end

function Reader:blank()
  self.at = self.text:find("[^ \t\r\n]", self.at) or #self.text + 1
end

function Reader:hex4()
  local digits = self.text:match("^%x%x%x%x", self.at)
  if not digits then self:wrong "expected four hexadecimal digits" end
  self.at = self.at + 4
  return tonumber(digits, 16)
end

function Reader:escape()
  local c = self.text:sub(self.at, self.at)
  self.at = self.at + 1
  if c ~= "u" then
    if not UNESCAPE[c] then self:wrong "unknown escape" end
    return UNESCAPE[c]
  end
  local n = self:hex4()
  if n >= 0xDC00 and n <= 0xDFFF then self:wrong "half of a surrogate pair" end
  if n >= 0xD800 and n <= 0xDBFF then
    if self.text:sub(self.at, self.at + 1) ~= "\\u" then self:wrong "half of a surrogate pair" end
    self.at = self.at + 2
    local low = self:hex4()
    if low < 0xDC00 or low > 0xDFFF then self:wrong "half of a surrogate pair" end
    n = 0x10000 + (n - 0xD800) * 0x400 + low - 0xDC00
  end
  return utf8.char(n)
end

function Reader:string()
  local parts = {}
  self.at = self.at + 1
  while true do
    local stop = self.text:find('[%z\1-\31"\\]', self.at)
    if not stop then self:wrong "string is not closed" end
    parts[#parts + 1] = self.text:sub(self.at, stop - 1)
    local c = self.text:sub(stop, stop)
    self.at = stop
    if c == '"' then
      self.at = stop + 1
      return table.concat(parts)
    elseif c == "\\" then
      self.at = stop + 1
      parts[#parts + 1] = self:escape()
    else
      self:wrong "control character in a string"
    end
  end
end

function Reader:number()
  local whole = self.text:match("^%-?%d+", self.at)
  if not whole or whole:find "^%-?0%d" then self:wrong "not a number" end
  local at = self.at + #whole
  local fraction = self.text:match("^%.%d+", at) or ""
  local exponent = self.text:match("^[eE][+-]?%d+", at + #fraction) or ""
  self.at = at + #fraction + #exponent
  if self.text:find("^[%w.]", self.at) then self:wrong "not a number" end
  return tonumber(whole .. fraction .. exponent)
end

function Reader:list(depth)
  local list = M.array()
  self.at = self.at + 1
  self:blank()
  if self.text:sub(self.at, self.at) == "]" then
    self.at = self.at + 1
    return list
  end
  while true do
    list[#list + 1] = self:value(depth + 1)
    self:blank()
    local c = self.text:sub(self.at, self.at)
    if c ~= "," and c ~= "]" then self:wrong "expected , or ]" end
    self.at = self.at + 1
    if c == "]" then return list end
  end
end

function Reader:object(depth)
  local object = {}
  self.at = self.at + 1
  self:blank()
  if self.text:sub(self.at, self.at) == "}" then
    self.at = self.at + 1
    return object
  end
  while true do
    self:blank()
    if self.text:sub(self.at, self.at) ~= '"' then self:wrong "expected a key" end
    local key = self:string()
    if object[key] ~= nil then self:wrong(("key %q comes twice"):format(key)) end
    self:blank()
    if self.text:sub(self.at, self.at) ~= ":" then self:wrong "expected :" end
    self.at = self.at + 1
    object[key] = self:value(depth + 1)
    self:blank()
    local c = self.text:sub(self.at, self.at)
    if c ~= "," and c ~= "}" then self:wrong "expected , or }" end
    self.at = self.at + 1
    if c == "}" then return object end
  end
end

local WORDS = { ["true"] = true, ["false"] = false, null = M.null }

function Reader:value(depth)
  if depth > MAX_DEPTH then self:wrong "nested too deep" end
  self:blank()
  local c = self.text:sub(self.at, self.at)
  if c == "{" then return self:object(depth) end
  if c == "[" then return self:list(depth) end
  if c == '"' then return self:string() end
  local word = self.text:match("^%l+", self.at)
  if word and WORDS[word] ~= nil then
    self.at = self.at + #word
    return WORDS[word]
  end
  if c:find "[%d%-]" then return self:number() end
  self:wrong(c == "" and "unexpected end" or "unexpected character")
end

--- Text to value. null becomes json.null; arrays are marked with json.array.
-- @param text string, UTF-8, nothing behind the value
-- @raise bad_json with the position
function M.decode(text)
  local r = setmetatable({ text = text, at = 1 }, Reader)
  local _, bad = utf8.len(text)
  if bad then
    r.at = bad
    r:wrong "not UTF-8"
  end
  local v = r:value(1)
  r:blank()
  if r.at <= #text then r:wrong "something behind the value" end
  return v
end

return M
