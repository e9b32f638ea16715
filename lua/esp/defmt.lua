--- Log messages of defmt, which programs in Rust send as numbers: the texts are in their ELF file.
-- Source: "The defmt book", "Wire format"; the README of rzCOBS; esp-println's documentation for the frames.
--
--   local decoder = require("esp.defmt").open(elf)      -- nil when the program has none
--   for _, piece in ipairs(decoder:feed(bytes)) do print(piece.level, piece.text) end
local fail = require "esp.error"
local text = require "esp.defmt_text"
local M = {}
M.__index = M

local FRAME, BEGIN = "\255\0", 2           -- a frame begins so, and ends with a zero byte
local FRAME_MAX = 1 << 16
local DEEPEST, MOST = 32, 1 << 14
local LEVELS = { defmt_trace = "TRACE", defmt_debug = "DEBUG", defmt_info = "INFO", defmt_warn = "WARN",
                 defmt_error = "ERROR", defmt_println = "" }
local MALFORMED = {}

local function malformed() error(MALFORMED, 0) end

-- The table --------------------------------------------------------------------------------------------------

local function refuse(elf, message)
  fail { code = "bad_file", file = elf.name, message = ("%s: defmt: %s"):format(elf.name, message),
         hint = "messages cannot be decoded" }
end

--- The messages of a program.
-- @param elf object of esp.elf
-- @return decoder | nil when the program has none
-- @raise bad_file for a version or encoding that is not known
function M.open(elf)
  local section = elf:section ".defmt"
  if not section then return nil end
  local self = setmetatable({ entries = {}, levels = {}, parsed = {}, pending = "", in_frame = false }, M)
  local version, encoding
  local json = require "esp.json"
  for _, s in ipairs(elf:symbols()) do
    version = s.name:match '^"?_defmt_version_ = ([%w.]+)"?$' or version
    encoding = s.name:match "^_defmt_encoding_ = (%w+)$" or encoding
    if s.section == section.index and s.name:find "^{" then
      local ok, t = pcall(json.decode, s.name)
      if ok and type(t) == "table" and type(t.data) == "string" and type(t.tag) == "string" then
        if t.tag == "defmt_timestamp" then
          self.timestamp = t.data
        elseif t.tag ~= "defmt_bitflags_value" then
          self.entries[s.address], self.levels[s.address] = t.data, LEVELS[t.tag]
        end
      end
    end
  end
  if version ~= "3" and version ~= "4" then refuse(elf, ("version %s is not known"):format(version or "none")) end
  if encoding ~= "rzcobs" then refuse(elf, ("encoding %s is not known"):format(encoding or "none")) end
  return self
end

-- Decoding ---------------------------------------------------------------------------------------------------

--- A frame without its packing: groups of seven bytes from which zeros were left out, the last one first.
-- @return bytes | nil when it is damaged
function M.unpack(frame)
  local out, at = {}, #frame
  local function take()
    if at < 1 then malformed() end
    at = at - 1
    out[#out + 1] = frame:sub(at + 1, at + 1)
  end
  local ok = pcall(function()
    while at > 0 do
      local mark = frame:byte(at)
      at = at - 1
      if mark == 0 then
        malformed()
      elseif mark < 0x80 then
        for bit = 6, 0, -1 do
          if mark >> bit & 1 == 0 then take() else out[#out + 1] = "\0" end
        end
      elseif mark < 0xFF then
        out[#out + 1] = "\0"
        for _ = 1, (mark & 0x7F) + 7 do take() end
      else
        for _ = 1, 134 do take() end
      end
    end
  end)
  return ok and table.concat(out):reverse() or nil
end

local function take(r, n)
  if n < 0 or n > #r.bytes - r.at + 1 then malformed() end
  local bytes = r.bytes:sub(r.at, r.at + n - 1)
  r.at = r.at + n
  return bytes
end

local function number(r, n) return (("<I" .. n):unpack(take(r, n))) end

local function parts_of(self, format)
  local parts = self.parsed[format]
  if parts == nil then
    parts = text.parse(format) or false
    self.parsed[format] = parts
  end
  return parts or malformed()
end

-- A message of the table that another one refers to.
local function inner_format(self, r)
  local index = number(r, 2)
  local format = self.entries[index]
  if not format or self.levels[index] then malformed() end
  return format
end

-- "A|B({=u8})" is one of several, by number.
local function variant(r, format)
  local _, bars = format:gsub("|", "")
  if bars == 0 then return format end
  local wanted = number(r, bars <= 0xFF and 1 or bars <= 0xFFFF and 2 or 4)
  local i = 0
  for one in (format .. "|"):gmatch "([^|]*)|" do
    if i == wanted then return one end
    i = i + 1
  end
  return malformed()
end

local arguments

local function one_of(self, r, format, depth)
  format = variant(r, format)
  return { "format", format = format, args = arguments(self, r, format, depth + 1) }
end

local readers = {}

function readers.integer(_, r, t) return { "integer", bytes = take(r, t.size), signed = t.signed } end
function readers.float(_, r, t)
  return { "text", text = text.float((t.size == 4 and "<f" or "<d"):unpack(take(r, t.size)), t.size) }
end
function readers.bool(_, r)
  local b = number(r, 1)
  if b > 1 then malformed() end
  return { "text", text = b == 1 and "true" or "false" }
end
function readers.str(_, r) return { "string", text = take(r, number(r, 4)) } end
function readers.istr(self, r) return { "string", text = inner_format(self, r) } end
function readers.bytes(_, r, t) return { "bytes", bytes = take(r, t.count or number(r, 4)) } end
function readers.format(self, r, _, depth) return one_of(self, r, inner_format(self, r), depth) end
function readers.char(_, r)
  local code = number(r, 4)
  if code > 0x10FFFF then malformed() end
  return { "text", text = utf8.char(code) }
end

function readers.display(_, r)
  local stop = r.bytes:find("\255", r.at, true) or malformed()
  local bytes = take(r, stop - r.at)
  take(r, 1)
  return { "string", text = bytes }
end

function readers.formats(self, r, t, depth)
  local count = t.count or number(r, 4)
  if count > MOST then malformed() end
  local format, list = inner_format(self, r), {}
  for i = 1, count do list[i] = one_of(self, r, format, depth) end
  return { "list", list = list }
end

function readers.sequence(self, r, _, depth)
  local list = {}
  while number(r, 2) ~= 0 do
    r.at = r.at - 2
    local format = inner_format(self, r)
    list[#list + 1] = { "format", format = format, args = arguments(self, r, format, depth + 1) }
    if #list > MOST then malformed() end
  end
  return { "sequence", list = list }
end

-- Only the bytes that some field of the same value needs are sent.
function readers.bits(_, r, t)
  local low, high = t.first // 8, (t.stop - 1) // 8
  local n = high - low + 1
  for _, size in ipairs { 1, 2, 4, 8, 16 } do
    if n <= size then return { "bits", bytes = ("\0"):rep(low) .. take(r, size) } end
  end
  return malformed()
end

-- What a format takes: one type for each number, fields of bits joined.
local function types_of(parts)
  if parts.types then return parts.types, parts.last end
  local types, last = {}, -1
  for _, p in ipairs(parts) do
    if type(p) == "table" then
      local t, old = p.type, types[p.index]
      if t[1] == "bits" and old and old[1] == "bits" then
        t = { "bits", first = math.min(t.first, old.first), stop = math.max(t.stop, old.stop) }
      elseif old then
        t = old
      end
      types[p.index] = t
      last = math.max(last, p.index)
    end
  end
  parts.types, parts.last = types, last
  return types, last
end

function arguments(self, r, format, depth)
  if depth > DEEPEST then malformed() end
  local types, last = types_of(parts_of(self, format))
  local args = {}
  for i = 0, math.min(last, MOST) do
    local t = types[i]
    if t then args[i] = readers[t[1]](self, r, t, depth) end
  end
  return args
end

-- Text -------------------------------------------------------------------------------------------------------

local render

local function list_text(self, list, hint)
  if hint and hint.kind == "a" then
    local bytes = {}
    for i, e in ipairs(list) do bytes[i] = e.format == "{=u8}" and e.args[0].bytes or nil end
    if #bytes == #list and #list > 0 then return text.bytes(table.concat(bytes), hint) end
  end
  local out = {}
  for i, e in ipairs(list) do out[i] = render(self, e.format, e.args, hint) end
  return "[" .. table.concat(out, ", ") .. "]"
end

local function value_text(self, value, p, parent)
  local kind, hint = value[1], p.hint or parent
  if kind == "integer" then
    return text.integer(value.bytes, value.signed, hint and hint.kind == "?" and parent or hint)
  elseif kind == "bits" then
    local bits = text.bits(value.bytes, p.type.first or 0, p.type.stop or 128)
    return hint and hint.kind == "a" and text.bytes(bits:reverse(), hint) or text.integer(bits, false, hint)
  elseif kind == "string" then
    return text.string(value.text, hint)
  elseif kind == "bytes" then
    return text.bytes(value.bytes, hint)
  elseif kind == "format" then
    return render(self, value.format, value.args, parent and parent.kind == "a" and parent or hint)
  elseif kind == "list" then
    return list_text(self, value.list, hint)
  elseif kind == "sequence" then
    local out = {}
    for i, e in ipairs(value.list) do out[i] = render(self, e.format, e.args, hint) end
    return table.concat(out)
  end
  return value.text
end

function render(self, format, args, parent)
  local out = {}
  for i, p in ipairs(parts_of(self, format)) do
    out[i] = type(p) == "string" and p or value_text(self, args[p.index] or malformed(), p, parent)
  end
  return table.concat(out)
end

--- The message in an unpacked frame.
-- @return { level ("INFO", ...; "" for println), message, timestamp = text or nil, text = all of it in one line }
--   | nil when it is damaged
function M:decode(bytes)
  local ok, result = pcall(function()
    local r = { bytes = bytes, at = 1 }
    local index = number(r, 2)
    local format, level = self.entries[index], self.levels[index]
    if not format or not level then malformed() end
    local m = { level = level }
    if self.timestamp then
      m.timestamp = render(self, self.timestamp, arguments(self, r, self.timestamp, 0))
    end
    m.message = render(self, format, arguments(self, r, format, 0))
    m.text = (m.timestamp and m.timestamp .. " " or "") .. (level ~= "" and level .. " " or "") .. m.message
    return m
  end)
  if not ok and result ~= MALFORMED then error(result, 0) end
  return ok and result or nil
end

--- Take what came from a program apart: frames, and text that is none.
-- @param bytes string
-- @return list of { text = } for text and of what decode gives for messages; damaged = true and raw = bytes for
--   frames that cannot be decoded
function M:feed(bytes)
  local data, list = self.pending .. bytes, {}
  local at = 1
  while at <= #data do
    if not self.in_frame then
      local first = data:find(FRAME, at, true)
      local stop = first and first - 1 or data:sub(-1) == "\255" and #data - 1 or #data
      if stop >= at then list[#list + 1] = { text = data:sub(at, stop) } end
      at = stop + 1
      if not first then break end
      at, self.in_frame = first + BEGIN, true
    else
      local last = data:find("\0", at, true)
      if not last and #data - at < FRAME_MAX then break end
      local frame = data:sub(at, (last or #data + 1) - 1)
      if frame ~= "" then                    -- zeros in front do not count
        local plain = M.unpack(frame)
        list[#list + 1] = plain and self:decode(plain) or { damaged = true, raw = frame }
        self.in_frame = false
      end
      at = (last or #data) + 1
    end
  end
  self.pending = data:sub(at)
  return list
end

return M
