--- From addresses to lines of source: the line tables of DWARF 2 to 5 in an ELF file.
-- Source: DWARF Debugging Information Format, versions 4 and 5, sections 6.1.2, 6.2 and 7.5. Only 32-bit DWARF, which
-- is what these chips have. Functions that were put into others (inlined) are not told: the line is that of the
-- innermost code.
--
--   local lines = require("esp.elf_lines").new(elf)
--   local file, line = lines:at(0x42008B1C)
local M = {}
M.__index = M

local STEPS_MAX = 40000000                -- opcodes in all; a whole ESP-IDF project has a few million
local STRING_MAX = 4096
local AT_NAME, AT_STMT_LIST, AT_COMP_DIR = 0x03, 0x10, 0x1B
local CONTENT_PATH, CONTENT_FOLDER = 1, 2

-- Reading ----------------------------------------------------------------------------------------------------

-- What is wrong in debugging data is no failure: there are no lines then. So it is raised as this, and caught below.
local DAMAGED = {}

local function damaged() error(DAMAGED, 0) end

local Cursor = {}
Cursor.__index = Cursor

local function cursor(bytes, at) return setmetatable({ bytes = bytes, at = at or 1 }, Cursor) end

function Cursor:unpack(format, size)
  local at = self.at
  if at + size - 1 > #self.bytes then damaged() end
  self.at = at + size
  return (format:unpack(self.bytes, at))
end

function Cursor:u1()
  local b = self.bytes:byte(self.at)
  if not b then damaged() end
  self.at = self.at + 1
  return b
end

function Cursor:u2() return self:unpack("<I2", 2) end
function Cursor:u4() return self:unpack("<I4", 4) end

function Cursor:skip(n)
  if n < 0 or n > #self.bytes - self.at + 1 then damaged() end
  self.at = self.at + n
end

function Cursor:uleb()
  local value, shift = 0, 0
  while true do
    local b = self:u1()
    if shift < 63 then value = value | (b & 0x7F) << shift end
    if b < 0x80 then return value end
    shift = shift + 7
    if shift > 70 then damaged() end
  end
end

function Cursor:sleb()
  local value, shift = 0, 0
  while true do
    local b = self:u1()
    if shift < 63 then value = value | (b & 0x7F) << shift end
    shift = shift + 7
    if b < 0x80 then
      if b & 0x40 ~= 0 and shift < 64 then value = value | -1 << shift end
      return value
    end
    if shift > 70 then damaged() end
  end
end

function Cursor:text()
  local stop = self.bytes:find("\0", self.at, true)
  if not stop then damaged() end
  local text = self.bytes:sub(self.at, stop - 1)
  self.at = stop + 1
  return text
end

--- Part of a section; its size in the file was checked against nothing before.
local function part(self, name, at, size)
  local s = self.sections[name]
  if not s or at < 0 or size < 0 or at > s.size or size > s.size - at then damaged() end
  return (self.elf.reader.read(s.offset + at, size))
end

local function string_at(self, section, at)
  local s = self.sections[section]
  if not s or at >= s.size then damaged() end
  local bytes = self.elf.reader.read(s.offset + at, math.min(STRING_MAX, s.size - at))
  return bytes:match "^%Z*"
end

-- The bytes of a unit, without its length.
local function unit(self, name, at)
  local length = ("<I4"):unpack(part(self, name, at, 4))
  if length >= 0xFFFFFFF0 then damaged() end
  return part(self, name, at + 4, length), length + 4
end

local FIXED = { [0x01] = 4, [0x05] = 2, [0x06] = 4, [0x07] = 8, [0x0B] = 1, [0x0C] = 1, [0x0E] = 4, [0x10] = 4,
                [0x11] = 1, [0x12] = 2, [0x13] = 4, [0x14] = 8, [0x17] = 4, [0x19] = 0, [0x1C] = 4, [0x1D] = 4,
                [0x1E] = 16, [0x1F] = 4, [0x20] = 8, [0x21] = 0, [0x25] = 1, [0x26] = 2, [0x27] = 3, [0x28] = 4,
                [0x29] = 1, [0x2A] = 2, [0x2B] = 3, [0x2C] = 4 }
local ULEB = { [0x0F] = true, [0x15] = true, [0x1A] = true, [0x1B] = true, [0x22] = true, [0x23] = true }

--- The value of an attribute: a number, a string, or nil for what is not needed here.
local function value(self, c, form)
  if form == 0x08 then return c:text() end
  if form == 0x0E then return string_at(self, ".debug_str", c:u4()) end
  if form == 0x1F then return string_at(self, ".debug_line_str", c:u4()) end
  if form == 0x0B then return c:u1() end
  if form == 0x05 then return c:u2() end
  if form == 0x06 or form == 0x17 then return c:u4() end
  if ULEB[form] then return c:uleb() end
  if FIXED[form] then return c:skip(FIXED[form]) end
  if form == 0x0D then return c:sleb() end
  if form == 0x09 or form == 0x18 then return c:skip(c:uleb()) end
  if form == 0x0A then return c:skip(c:u1()) end
  if form == 0x03 then return c:skip(c:u2()) end
  if form == 0x04 then return c:skip(c:u4()) end
  if form == 0x16 then
    local real = c:uleb()
    if real == 0x16 then damaged() end
    return value(self, c, real)
  end
  return damaged()
end

-- Line tables ------------------------------------------------------------------------------------------------

-- Folders and files as version 5 lists them: what each entry has is said first.
local function entries(self, c)
  local forms = {}
  for i = 1, c:u1() do forms[i] = { c:uleb(), c:uleb() } end
  local list, count = {}, c:uleb()
  if count > #c.bytes then damaged() end
  for i = 0, count - 1 do
    local entry = {}
    for _, f in ipairs(forms) do
      local v = value(self, c, f[2])
      if f[1] == CONTENT_PATH then entry.path = v elseif f[1] == CONTENT_FOLDER then entry.folder = v end
    end
    list[i] = entry
  end
  return list
end

local function old_entries(c)
  local folders, files = {}, {}
  while true do
    local path = c:text()
    if path == "" then break end
    folders[#folders + 1] = { path = path }
  end
  while true do
    local path = c:text()
    if path == "" then return folders, files end
    files[#files + 1] = { path = path, folder = c:uleb() }
    c:uleb()
    c:uleb()
  end
end

local function read_header(self, at)
  local bytes, size = unit(self, ".debug_line", at)
  local c = cursor(bytes)
  local h = { version = c:u2(), size = size, bytes = bytes }
  if h.version < 2 or h.version > 5 then return nil, size end
  if h.version == 5 then c:skip(2) end
  local length = c:u4()
  h.program = c.at + length
  h.step = c:u1()
  if h.version >= 4 then c:u1() end
  c:u1()
  h.line_base, h.line_range, h.opcode_base = c:unpack("<i1", 1), c:u1(), c:u1()
  if h.line_range == 0 or h.opcode_base == 0 then damaged() end
  h.lengths = {}
  for i = 1, h.opcode_base - 1 do h.lengths[i] = c:u1() end
  h.tables = c.at
  return h, size
end

local function names_of(self, h)
  local c = cursor(h.bytes, h.tables)
  if h.version == 5 then return entries(self, c), (entries(self, c)) end
  return old_entries(c)
end

-- Runs a line program. row(address, file, line, is_end) is called for each row, and ends it by returning true.
local function run(self, h, row)
  local c = cursor(h.bytes, h.program)
  local stop, base, step, range = #h.bytes, h.opcode_base, h.step, h.line_range
  local address, file, line = 0, 1, 1
  local left = self.steps
  while c.at <= stop do
    left = left - 1
    if left < 0 then damaged() end
    local op = c:u1()
    if op >= base then
      local n = op - base
      address, line = address + n // range * step, line + h.line_base + n % range
      if row(address, file, line) then break end
    elseif op == 0 then
      local length = c:uleb()
      local next_at = c.at + length
      if length == 0 or next_at > stop + 1 then damaged() end
      local extended = c:u1()
      if extended == 1 then
        if row(address, file, line, true) then break end
        address, file, line = 0, 1, 1
      elseif extended == 2 and length >= 5 then
        address = c:u4()
      end
      c.at = next_at
    elseif op == 1 then
      if row(address, file, line) then break end
    elseif op == 2 then
      address = address + c:uleb() * step
    elseif op == 3 then
      line = line + c:sleb()
    elseif op == 4 then
      file = c:uleb()
    elseif op == 8 then
      address = address + (255 - base) // range * step
    elseif op == 9 then
      address = address + c:u2()
    else
      for _ = 1, h.lengths[op] do c:uleb() end
    end
  end
  self.steps = left
end

local function path_of(self, h, number, comp_dir)
  local folders, files = names_of(self, h)
  local f = files[number]
  if not f or type(f.path) ~= "string" then return nil end
  if f.path:find "^/" or f.path:find "^%a:" then return f.path end
  local folder = folders[f.folder or 0]
  local path = folder and type(folder.path) == "string" and folder.path .. "/" .. f.path or f.path
  if not path:find "^/" and not path:find "^%a:" then
    local root = h.version == 5 and folders[0] and folders[0].path or comp_dir
    if type(root) == "string" and root ~= folder then path = root .. "/" .. path end
  end
  return path
end

-- The row that an address belongs to: the last one before it within a sequence.
local function find(self, h, address)
  local before, best
  run(self, h, function(a, file, line, is_end)
    if before and before[1] <= address and address < a then best = before end
    before = not is_end and { a, file, line } or nil
    return best ~= nil
  end)
  return best
end

-- Which unit -------------------------------------------------------------------------------------------------

-- What .debug_aranges says: ranges of code, and where in .debug_info their unit is.
local function ranges_of(self)
  local section, list, at = self.sections[".debug_aranges"], {}, 0
  while section and at + 12 <= section.size do
    local bytes, size = unit(self, ".debug_aranges", at)
    local c = cursor(bytes)
    local version, info, width, selector = c:u2(), c:u4(), c:u1(), c:u1()
    if version == 2 and width == 4 and selector == 0 then
      c:skip(4)                              -- to a multiple of 8, counted from the length
      while c.at + 7 <= #bytes do
        local first, n = c:u4(), c:u4()
        if n > 0 then list[#list + 1] = { first, first + n, info = info } end
      end
    end
    at = at + size
  end
  return list
end

-- Without it: all line programs are run once.
local function sequences_of(self)
  local section, list, at = self.sections[".debug_line"], {}, 0
  while section and at + 4 < section.size do
    local h, size = read_header(self, at)
    local first
    if h then
      run(self, h, function(a, _, _, is_end)
        first = first or a
        if is_end then
          if a > first and first > 0 then list[#list + 1] = { first, a, line = at } end
          first = nil
        end
      end)
    end
    at = at + size
  end
  return list
end

local function abbreviation(self, at, wanted)
  local section = self.sections[".debug_abbrev"]
  if not section or at >= section.size then damaged() end
  local c = cursor(part(self, ".debug_abbrev", at, math.min(section.size - at, 0x10000)))
  while true do
    local code = c:uleb()
    if code == 0 then damaged() end
    c:uleb()
    c:u1()
    local list = {}
    while true do
      local name, form = c:uleb(), c:uleb()
      if form == 0x21 then c:sleb() end
      if name == 0 and form == 0 then break end
      list[#list + 1] = { name, form }
    end
    if code == wanted then return list end
  end
end

-- Offset of the line table of a unit, and its folder.
local function unit_of(self, info)
  local bytes = unit(self, ".debug_info", info)
  local c = cursor(bytes)
  local version = c:u2()
  local abbreviations
  if version == 5 then
    local kind = c:u1()
    c:u1()
    abbreviations = c:u4()
    if kind ~= 1 and kind ~= 3 then damaged() end
  else
    abbreviations = c:u4()
    c:u1()
  end
  local found = {}
  for _, a in ipairs(abbreviation(self, abbreviations, c:uleb())) do found[a[1]] = value(self, c, a[2]) end
  if math.type(found[AT_STMT_LIST]) ~= "integer" then damaged() end
  return found[AT_STMT_LIST], found[AT_COMP_DIR], found[AT_NAME]
end

local function index(self)
  local list = ranges_of(self)
  if #list == 0 then list = sequences_of(self) end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local function search(list, address)
  local high = require "esp.sorted".last(list, 1, address)
  for i = high, math.max(high - 8, 1), -1 do
    if address < list[i][2] then return list[i] end
  end
  return nil
end

local function lookup(self, address)
  self.list = self.list or index(self)
  local range = search(self.list, address)
  if not range then return nil end
  local at, comp_dir = range.line, nil
  if not at then at, comp_dir = unit_of(self, range.info) end
  local h = read_header(self, at)
  local row = h and find(self, h, address)
  if not row then return nil end
  local path = path_of(self, h, row[2], comp_dir)
  return path and { path, row[3] } or nil
end

--- The line tables of an ELF file; nothing is read yet.
-- @param elf object of esp.elf, which must stay open
function M.new(elf)
  local self = setmetatable({ elf = elf, sections = {}, known = {}, steps = STEPS_MAX }, M)
  for _, s in ipairs(elf.sections) do
    local compressed = s.flags & 0x800 ~= 0
    if s.name:find "^%.debug_" and not compressed and s.offset <= elf.size and s.size <= elf.size - s.offset then
      self.sections[s.name] = s
    end
  end
  return self
end

--- File and line of an address.
-- @return path as the compiler was given it, line | nil when there is nothing about it
function M:at(address)
  local known = self.known[address]
  if known == nil then
    local ok, result = pcall(lookup, self, address)
    if not ok and result ~= DAMAGED then error(result, 0) end
    if not ok and not self.list then self.list = {} end
    known = ok and result or false
    self.known[address] = known
  end
  if not known then return nil end
  return known[1], known[2]
end

return M
