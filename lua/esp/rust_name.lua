--- Names of Rust's functions as they are in the source, from the newer form of its symbols ("v0", _R...).
-- Source: The rustc book, "v0 symbol format". Digests of crates and lifetimes are left out.
local M = {}

local BASIC = { a = "i8", b = "bool", c = "char", d = "f64", e = "str", f = "f32", h = "u8", i = "isize", j = "usize",
                l = "i32", m = "u32", n = "i128", o = "u128", s = "i16", t = "u16", u = "()", v = "...", x = "i64",
                y = "u64", z = "!", p = "_" }
local DEEPEST, LONGEST, STEPS = 64, 4096, 20000
local WRONG = {}

local function wrong() error(WRONG, 0) end

local function peek(s) return s.text:sub(s.at, s.at) end

local function accept(s, c)
  if peek(s) ~= c then return false end
  s.at = s.at + 1
  return true
end

-- "_" is 0, "0_" is 1, "10_" is 63.
local function base62(s)
  if accept(s, "_") then return 0 end
  local digits = s.text:match("^(%w+)_", s.at) or wrong()
  if #digits > 12 then wrong() end
  local n = 0
  for c in digits:gmatch "." do
    local b = c:byte()
    n = n * 62 + (b <= 57 and b - 48 or b >= 97 and b - 87 or b - 29)
  end
  s.at = s.at + #digits + 1
  return n + 1
end

local function disambiguator(s)
  return accept(s, "s") and base62(s) + 1 or 0
end

local function identifier(s)
  local n = disambiguator(s)
  local coded = accept(s, "u")
  local digits = s.text:match("^%d+", s.at) or wrong()
  if #digits > 1 and digits:sub(1, 1) == "0" then digits = "0" end
  s.at = s.at + #digits
  accept(s, "_")
  local length = tonumber(digits)
  if length > #s.text - s.at + 1 then wrong() end
  local name = s.text:sub(s.at, s.at + length - 1)
  s.at = s.at + length
  return coded and "punycode{" .. name .. "}" or name, n
end

local path, kind

-- Reads again what stands at an earlier place.
local function backwards(s, read)
  local here = s.at
  local to = base62(s)
  if to + 1 >= here - 1 then wrong() end
  local after = s.at
  s.at = to + 1
  local text = read(s)
  s.at = after
  return text
end

local function deeper(s)
  s.depth, s.steps = s.depth + 1, s.steps + 1
  if s.depth > DEEPEST or s.steps > STEPS then wrong() end
end

local function list_until_end(s, read)
  local list, total = {}, 0
  while not accept(s, "E") do
    list[#list + 1] = read(s)
    total = total + #list[#list]
    if total > LONGEST then wrong() end
  end
  return list
end

local function constant(s)
  if accept(s, "p") then return "_" end
  if accept(s, "B") then return backwards(s, constant) end
  local type_name = kind(s)
  local minus = accept(s, "n") and "-" or ""
  local hex = s.text:match("^(%x*)_", s.at) or wrong()
  s.at = s.at + #hex + 1
  local n = #hex <= 15 and tonumber(hex == "" and "0" or hex, 16)
  if type_name == "bool" then return n == 1 and "true" or "false" end
  if type_name == "char" and n and n < 0x110000 then return "'" .. utf8.char(n) .. "'" end
  return minus .. (n and ("%d"):format(n) or "0x" .. hex)
end

local function generic(s)
  if accept(s, "L") then
    base62(s)
    return "'_"
  end
  if accept(s, "K") then return constant(s) end
  return kind(s)
end

local function impl_path(s)
  disambiguator(s)
  path(s, true)
end

local function nested(s, in_type)
  local space = s.text:match("^%a", s.at) or wrong()
  s.at = s.at + 1
  local outer = path(s, in_type)
  local name, n = identifier(s)
  if space:find "%l" then return name == "" and outer or outer .. "::" .. name end
  local what = space == "C" and "closure" or space == "S" and "shim" or space
  return ("%s::{%s%s#%d}"):format(outer, what, name ~= "" and ":" .. name or "", n)
end

local PATHS = {
  C = function(s) return (identifier(s)) end,
  M = function(s)
    impl_path(s)
    return "<" .. kind(s) .. ">"
  end,
  X = function(s)
    impl_path(s)
    local of = kind(s)
    return ("<%s as %s>"):format(of, path(s, true))
  end,
  Y = function(s)
    local of = kind(s)
    return ("<%s as %s>"):format(of, path(s, true))
  end,
  N = nested,
  I = function(s, in_type)
    local outer = path(s, in_type)
    return ("%s%s<%s>"):format(outer, in_type and "" or "::", table.concat(list_until_end(s, generic), ", "))
  end,
  B = function(s, in_type)
    return backwards(s, function(again) return path(again, in_type) end)
  end,
}

function path(s, in_type)
  deeper(s)
  local read = PATHS[peek(s)] or wrong()
  s.at = s.at + 1
  local text = read(s, in_type)
  s.depth = s.depth - 1
  if #text > LONGEST then wrong() end
  return text
end

local function function_type(s)
  if accept(s, "G") then base62(s) end
  local unsafe = accept(s, "U") and "unsafe " or ""
  local abi = ""
  if accept(s, "K") then
    local name = accept(s, "C") and "C" or (identifier(s)):gsub("_", "-")
    abi = ('extern "%s" '):format(name)
  end
  local args = table.concat(list_until_end(s, kind), ", ")
  local result = accept(s, "u") and "" or " -> " .. kind(s)
  return unsafe .. abi .. "fn(" .. args .. ")" .. result
end

local function dyn_trait(s)
  local text = path(s, true)
  while accept(s, "p") do
    local name = identifier(s)
    local bound = name .. " = " .. kind(s)
    local open = text:sub(-1) == ">"
    text = (open and text:sub(1, -2) .. ", " or text .. "<") .. bound .. ">"
  end
  return text
end

local function reference(mark)
  return function(s)
    if accept(s, "L") then base62(s) end
    return mark .. kind(s)
  end
end

local KINDS = {
  A = function(s)
    local of = kind(s)
    return ("[%s; %s]"):format(of, constant(s))
  end,
  S = function(s) return "[" .. kind(s) .. "]" end,
  T = function(s)
    local list = list_until_end(s, kind)
    return "(" .. table.concat(list, ", ") .. (#list == 1 and "," or "") .. ")"
  end,
  R = reference "&", Q = reference "&mut ",
  P = function(s) return "*const " .. kind(s) end,
  O = function(s) return "*mut " .. kind(s) end,
  F = function_type,
  D = function(s)
    if accept(s, "G") then base62(s) end
    local list = list_until_end(s, dyn_trait)
    if accept(s, "L") then base62(s) end
    return "dyn " .. table.concat(list, " + ")
  end,
  B = function(s) return backwards(s, kind) end,
}

function kind(s)
  deeper(s)
  local c = peek(s)
  local text
  if BASIC[c] then
    s.at = s.at + 1
    text = BASIC[c]
  elseif KINDS[c] then
    s.at = s.at + 1
    text = KINDS[c](s)
  else
    text = path(s, true)
  end
  s.depth = s.depth - 1
  if #text > LONGEST then wrong() end
  return text
end

--- A symbol's name in words.
-- @param name string
-- @return the name in the source | nil when it is no such symbol
function M.plain(name)
  local body = name:match "^_R([A-Z].*)$"
  if not body or #body > LONGEST then return nil end
  local s = { text = body:gsub("%..*$", ""), at = 1, depth = 0, steps = 0 }
  local ok, text = pcall(path, s, false)
  if not ok and text ~= WRONG then error(text, 0) end
  return ok and text or nil
end

return M
