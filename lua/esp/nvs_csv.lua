--- NVS entries as ESP-IDF's CSV text: key, type, encoding, value.
-- Source: ESP-IDF Programming Guide, "NVS Partition Generator Utility"; RFC 4180 for the quotation marks.
local digest = require "esp.core.digest"
local fail = require "esp.error"
local nvs = require "esp.nvs"
local M = {}

local FILE_MAX = 1 << 20                   -- of a file that a value is read from
local BLOBS = { binary = true, hex2bin = true, base64 = true }
local COLUMNS = { "key", "type", "encoding", "value" }

local function bad(name, line, text, hint)
  fail { code = "bad_nvs", message = ("%s: line %d: %s"):format(name, line, text), hint = hint, file = name,
         line = line }
end

-- Without the blanks around it; in time that grows with the length only.
local function trim(text)
  local first, last = text:find "%S", #text
  if not first then return "" end
  while text:find("^%s", last) do last = last - 1 end
  return text:sub(first, last)
end

local function shown(text)
  text = text:gsub("[^\32-\126\128-\255]", "?")
  return #text > 40 and text:sub(1, 40) .. "..." or text
end

--- Iterate over the records of CSV text. Lines that begin with # are comments, empty lines are nothing.
-- @return function giving the number of the line and the list of fields
local function records(text, name)
  local at, line = 1, 1
  local function field(first)
    if text:sub(at, at) ~= '"' then
      local stop = text:find("[,\n]", at) or #text + 1
      local value = text:sub(at, stop - 1)
      at = stop
      return value
    end
    local parts = {}
    at = at + 1
    while true do
      local quote = text:find('"', at, true)
      if not quote then bad(name, first, "a quotation mark is not closed") end
      parts[#parts + 1] = text:sub(at, quote - 1)
      at = quote + 1
      if text:sub(at, at) ~= '"' then break end
      parts[#parts + 1] = '"'
      at = at + 1
    end
    local stop = text:find("[,\n]", at) or #text + 1
    parts[#parts + 1] = text:sub(at, stop - 1)           -- what follows the mark belongs to the value
    at = stop
    local value = table.concat(parts)
    local _, breaks = value:gsub("\n", "")
    line = line + breaks
    return value
  end
  return function()
    while at <= #text do
      if text:find("^#", at) then
        at = (text:find("\n", at, true) or #text) + 1
        line = line + 1
      elseif text:find("^[ \t]*\n", at) then
        at = text:find("\n", at, true) + 1
        line = line + 1
      else
        local first, fields = line, {}
        repeat
          fields[#fields + 1] = field(first)
          local c = text:sub(at, at)
          at = at + 1
        until c ~= "," or #fields > 64
        line = line + 1
        return first, fields
      end
    end
    return nil
  end
end

-- Decimal digits to the 64 bits of a u64 or i64; nil when they do not fit.
local function integer(text, encoding)
  if #text > 256 then return nil end
  local sign, digits = text:match "^%s*([+-]?)(%d+)%s*$"
  local base = 10
  if not digits then
    sign, digits = text:match "^%s*([+-]?)0[xX](%x+)%s*$"
    base = 16
  end
  if not digits or #digits > 64 then return nil end
  local n = 0
  local limit = base == 16 and 0x0FFFFFFFFFFFFFFF or 1844674407370955161    -- above, the next digit is one too many
  for c in digits:gmatch "." do
    local d = tonumber(c, 16)
    if math.ult(limit, n) or base == 10 and n == limit and d > 5 then return nil end
    n = n * base + d
  end
  if sign == "-" then
    if n < 0 and n ~= math.mininteger or encoding == "u64" and n ~= 0 then return nil end
    return -n
  end
  if n < 0 and encoding ~= "u64" then return nil end
  return n
end

local function read_file(path, name, line, o)
  local full = path
  if not path:find "^[/\\]" and not path:find "^%a:" and o.folder then full = o.folder .. "/" .. path end
  local f, why = io.open(full, "rb")
  if not f then
    fail { code = why:find "No such file" and "file_missing" or "file_denied", file = full,
           message = ("%s: line %d: %s: %s"):format(name, line, full, why:gsub("^.*: ", ""):lower()),
           hint = "paths count from the current folder" }
  end
  local bytes, trouble = f:read(FILE_MAX + 1)
  f:close()
  if not bytes and trouble then bad(name, line, ("%s: %s"):format(full, trouble)) end
  if bytes and #bytes > FILE_MAX then bad(name, line, ("%s: more than %d bytes"):format(full, FILE_MAX)) end
  return bytes or ""
end

-- blob_fill(SIZE;0xNN) and blob_sz_fill(SIZE;0xNN): text filled up to a size, the latter with its length before it.
local function filled(encoding, value, refuse)
  local kind, size, byte = encoding:match "^(blob_%l*_?fill)%((%d+);0x(%x%x)%)$"
  size = tonumber(size)
  if not kind or size > nvs.BLOB_MAX[2] or kind ~= "blob_fill" and kind ~= "blob_sz_fill" then
    refuse(("encoding '%s' is not BLOB_FILL(SIZE;0xNN)"):format(shown(encoding)), "such as blob_fill(32;0x00)")
  end
  if #value > size then refuse(("%d bytes do not fit into %d"):format(#value, size)) end
  return (kind == "blob_sz_fill" and ("<I4"):pack(#value) or "") .. value
    .. string.char(tonumber(byte, 16)):rep(size - #value)
end

local function read_value(encoding, value, refuse)
  if nvs.INTEGERS[encoding] then
    local n = integer(value, encoding)
    if not n then refuse(("'%s' is no number of %s"):format(shown(value), encoding)) end
    return encoding, n
  end
  if encoding == "string" then return "string", value end
  if encoding == "hex2bin" then
    local bytes, why = digest.unhex(trim(value))
    return "blob", bytes or refuse(why)
  end
  if encoding == "base64" then
    return "blob", require "esp.base64".decode_loosely(value) or refuse "the base64 text is cut short"
  end
  if encoding == "binary" then return "blob", value end
  if encoding:find "^blob_" then return "blob", filled(encoding, value, refuse) end
  local names = {}
  for n in pairs(nvs.INTEGERS) do names[#names + 1] = n end
  for n in pairs(BLOBS) do names[#names + 1] = n end
  names[#names + 1] = "string"
  table.sort(names)
  local near = #encoding < 32 and require "esp.cli.types".nearest(encoding, names)
  refuse(encoding == "" and "the encoding is missing" or ("encoding '%s' is not known"):format(shown(encoding)),
         (near and ("did you mean %s? "):format(near) or "") .. "one of " .. table.concat(names, ", "))
end

local function columns(fields, name, line)
  local place = {}
  for i, title in ipairs(fields) do place[trim(title)] = i end
  for _, title in ipairs(COLUMNS) do
    if not place[title] then
      bad(name, line, ("no column '%s' in the first line"):format(title),
          require "esp.text".separator_hint(table.concat(fields, ",")) or "it has to be key,type,encoding,value")
    end
  end
  return place
end

--- Read CSV text.
-- @param text string
-- @param o { name = what messages call it, folder = where relative paths of files begin, into = list that entries
--   are added to } or nil
-- @return list of entries, as esp.nvs.build takes them, each with the number of its line
-- @raise bad_nvs with the line; file_missing, file_denied
function M.decode(text, o)
  o = o or {}
  local name, list, place, namespace = o.name or "NVS", o.into or {}, nil, nil
  text = require "esp.text".plain(text, name, "bad_nvs")
  if text:find "%z" then bad(name, 1, "this is no text", "a binary image is read with `nvs decode`") end
  for line, fields in records(text .. (text:sub(-1) == "\n" and "" or "\n"), name) do
    if not place then
      place = columns(fields, name, line)
    else
      local function refuse(what, hint) bad(name, line, what, hint) end
      local function get(column) return fields[place[column]] or "" end
      local key, kind, value = get "key", trim(get "type"), get "value"
      local encoding = trim(get "encoding"):lower()
      local e = { line = line, file = name }
      if #key > nvs.KEY_MAX then
        refuse(("key %s has %d bytes, %d is the most"):format(shown(key), #key, nvs.KEY_MAX))
      end
      if key == "" then refuse "the key is missing" end
      if #fields > 64 then refuse "too many fields" end
      if kind == "namespace" then
        namespace, e.namespace = key, key
      elseif kind == "data" or kind == "file" then
        e.namespace = namespace
          or refuse(("key %s comes before any namespace"):format(shown(key)), "a line NAME,namespace,, begins one")
        if kind == "file" then value = read_file(value, name, line, o) end
        e.key = key
        e.encoding, e.value = read_value(encoding, value, function(what, hint)
          refuse(("key %s: %s"):format(shown(key), what), hint)
        end)
      else
        refuse(("type '%s' is not known"):format(shown(kind)), "one of namespace, data, file")
      end
      list[#list + 1] = e
    end
  end
  if not place then bad(name, 1, "there is nothing in it", "the first line has to be key,type,encoding,value") end
  return list
end

--- A u64 as text.
function M.unsigned(n)
  if n >= 0 then return ("%d"):format(n) end
  local q = (n >> 1) // 5
  return ("%d%d"):format(q, n - q * 10)
end

local function quoted(text)
  if not text:find '[,"\n]' and not text:find "^[#%s]" and not text:find "%s$" then return text end
  return '"' .. text:gsub('"', '""') .. '"'
end

local function text_of(e)
  if e.encoding == "u64" then return M.unsigned(e.value) end
  if nvs.INTEGERS[e.encoding] then return ("%d"):format(e.value) end
  if e.encoding == "blob" then return digest.hex(e.value) end
  return quoted(e.value)
end

-- What makes a string one that CSV text cannot give back.
local function unfit(text)
  return text:find "%z" and "a zero byte" or text:find "\r" and "a carriage return"
    or not utf8.len(text) and "what is no UTF-8" or text:find "\n#" and "a line that begins with #" or nil
end

--- Write CSV text. Blobs are written as hex2bin.
-- @param list entries, grouped by namespace in the order in which these come first
-- @param o { name = } or nil
-- @raise bad_nvs for a value that CSV cannot hold, naming the key
function M.encode(list, o)
  local order, groups = {}, {}
  for _, e in ipairs(list) do
    if not groups[e.namespace] then
      groups[e.namespace] = {}
      order[#order + 1] = e.namespace
    end
    if e.key then table.insert(groups[e.namespace], e) end
  end
  local out = { table.concat(COLUMNS, ",") }
  local function name_text(e, name)
    if unfit(name) or name:find "\n" then
      fail { code = "bad_nvs", message = ("%s: the name '%s' cannot be written as CSV"):format(o and o.name or "NVS",
             shown(name)), key = e.key }
    end
    return quoted(name)
  end
  for _, namespace in ipairs(order) do
    out[#out + 1] = name_text({}, namespace) .. ",namespace,,"
    for _, e in ipairs(groups[namespace]) do
      local why = e.encoding == "string" and unfit(e.value)
      if why then
        fail { code = "bad_nvs", key = e.key, message = ("%s: key %s in namespace %s has %s in it, which CSV cannot "
          .. "hold"):format(o and o.name or "NVS", shown(e.key), shown(namespace), why),
          hint = "nvs show --json has all values" }
      end
      out[#out + 1] = ("%s,data,%s,%s"):format(name_text(e, e.key), e.encoding == "blob" and "hex2bin" or e.encoding,
                                               text_of(e))
    end
  end
  return table.concat(out, "\n") .. "\n"
end

return M
