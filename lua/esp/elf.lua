--- ELF files for Xtensa and RISC-V: sections, segments, symbols. Nothing in a file is believed unchecked.
-- Source: "Tool Interface Standard: Executable and Linking Format", version 1.2, and the System V ABI,
-- chapters 4 and 5. Only what these chips have: 32 bits, little endian.
--
--   local elf = require("esp.elf").open "build/app.elf"
--   print(elf.machine, ("0x%08X"):format(elf.entry), #elf.sections)
--   local data = elf:bytes(elf:section ".flash.rodata")
--   local main = elf:symbol "app_main"
local fail = require "esp.error"
local M = {}
M.__index = M

M.MACHINES = { [0x5E] = "xtensa", [0xF3] = "riscv" }
M.EXECUTABLE, M.SHARED, M.RELOCATABLE = 2, 3, 1
M.PROGBITS, M.SYMTAB, M.STRTAB, M.NOBITS = 1, 2, 3, 8
M.INIT_ARRAY, M.FINI_ARRAY, M.PREINIT_ARRAY = 14, 15, 16
M.LOAD = 1

local IDENT, HEADER = "<c4BBB", "<c16I2I2I4I4I4I4I4I2I2I2I2I2I2"
local HEADER_SIZE = string.packsize(HEADER)
local SECTION, SECTION_SIZE = "<I4I4I4I4I4I4I4I4I4I4", 40
local SEGMENT, SEGMENT_SIZE = "<I4I4I4I4I4I4I4I4", 32
local SYMBOL, SYMBOL_SIZE = "<I4I4I4BBI2", 16
local CHUNK = 1 << 16
local WRONG_TARGET = "is it built for the chip?"
local KINDS = { [0] = "none", "object", "function", "section", "file" }
local BINDINGS = { [0] = "local", "global", "weak" }

local function bad(self, offset, text, hint)
  fail { code = "bad_file", file = self.name, offset = offset, hint = hint or "is the file complete?",
         message = ("%s: %s (at offset 0x%X)"):format(self.name, text, offset) }
end

--- A range of the file, whole.
local function range(self, offset, size, what)
  if size > self.size or offset > self.size - size then
    bad(self, offset, ("%s: %d bytes wanted, the file ends at 0x%X"):format(what, size, self.size))
  end
  if size == 0 then return "" end
  local bytes = self.reader.read(offset, size)
  if #bytes < size then bad(self, offset, what .. ": the file got shorter while it was read") end
  return bytes
end

local function read_header(self)
  if self.size < HEADER_SIZE then
    bad(self, self.size, ("no ELF file: %d bytes, the header has %d"):format(self.size, HEADER_SIZE))
  end
  local head = range(self, 0, HEADER_SIZE, "header")
  local magic, class, order, version = IDENT:unpack(head)
  if magic ~= "\127ELF" then
    bad(self, 0, "no ELF file: the first bytes are not 7F 45 4C 46", "is it the right file?")
  end
  if class ~= 1 then bad(self, 4, ("ELF class %d, should be 1 (32 bits)"):format(class), WRONG_TARGET) end
  if order ~= 1 then bad(self, 5, ("byte order %d, should be 1 (little endian)"):format(order), WRONG_TARGET) end
  if version ~= 1 then bad(self, 6, ("ELF version %d, should be 1"):format(version)) end
  local _, kind, machine, _, entry, ph, sh, flags, _, ph_size, ph_count, sh_size, sh_count, names =
    HEADER:unpack(head)
  self.machine = M.MACHINES[machine]
  if not self.machine then
    bad(self, 18, ("ELF file for machine 0x%X, should be 0x5E (Xtensa) or 0xF3 (RISC-V)"):format(machine),
        WRONG_TARGET)
  end
  self.type, self.entry, self.flags = kind, entry, flags
  if sh_count > 0 and sh_size ~= SECTION_SIZE then
    bad(self, 46, ("section headers of %d bytes, should be %d"):format(sh_size, SECTION_SIZE))
  end
  if ph_count > 0 and ph_size ~= SEGMENT_SIZE then
    bad(self, 42, ("program headers of %d bytes, should be %d"):format(ph_size, SEGMENT_SIZE))
  end
  return ph, ph_count, sh, sh_count, names
end

-- Names may share their ends, so all of them together can have more bytes than the table; not many times more.
local function names_of(self, text, table_offset)
  local known, budget = {}, 8 * #text + CHUNK
  return function(at)
    local name = known[at]
    if name then return name end
    if at >= #text then bad(self, table_offset, ("a name is at %d of %d bytes"):format(at, #text)) end
    local stop = text:find("\0", at + 1, true) or #text + 1
    budget = budget - (stop - at)
    if budget < 0 then bad(self, table_offset, "the names overlap") end
    name = text:sub(at + 1, stop - 1)
    known[at] = name
    return name
  end
end

local function read_sections(self, offset, count, names_index)
  if count == 0 then return end
  local bytes = range(self, offset, count * SECTION_SIZE, ("table of %d sections"):format(count))
  local list = {}
  for i = 1, count do
    local name, kind, flags, address, at, size, link, info, align, entry_size =
      SECTION:unpack(bytes, (i - 1) * SECTION_SIZE + 1)
    list[i] = { name_offset = name, type = kind, flags = flags, address = address, offset = at, size = size,
                link = link, info = info, align = align, entry_size = entry_size, index = i - 1,
                header = offset + (i - 1) * SECTION_SIZE }
  end
  local names = list[names_index + 1]
  if not names then
    bad(self, 50, ("the section with the names is number %d, there are %d"):format(names_index, count))
  end
  self.names_type = names.type
  local text = range(self, names.offset, names.size, "section names")
  local name_at = names_of(self, text, names.offset)
  for _, s in ipairs(list) do
    s.name = s.type == 0 and "" or name_at(s.name_offset)
    s.name_offset = nil
  end
  self.sections = list
end

local function read_segments(self, offset, count)
  if count == 0 then return end
  local bytes = range(self, offset, count * SEGMENT_SIZE, ("table of %d segments"):format(count))
  for i = 1, count do
    local kind, at, virtual, physical, size, memory, flags, align = SEGMENT:unpack(bytes, (i - 1) * SEGMENT_SIZE + 1)
    self.segments[i] = { type = kind, offset = at, address = physical, virtual = virtual, size = size,
                         memory_size = memory, flags = flags, align = align, index = i - 1,
                         header = offset + (i - 1) * SEGMENT_SIZE }
  end
end

--- Read the tables of an ELF file; the contents stay where they are until asked for.
-- @param source string, or a reader { size =, read = function(offset, n) }
-- @param name of the file, for messages
-- @return object: machine ("xtensa" or "riscv"), type, entry, flags, size;
--   sections: list of { name, type, flags, address, offset, size, align, link, entry_size, index };
--   segments: list of { type, address (physical), virtual, offset, size, memory_size, flags, align }
-- @raise bad_file, with file and offset
function M.read(source, name)
  local reader = source
  if type(source) == "string" then
    reader = { size = #source, read = function(at, n) return source:sub(at + 1, at + n) end }
  end
  local self = setmetatable({ name = name or "ELF file", reader = reader, size = reader.size,
                              sections = {}, segments = {} }, M)
  local ph, ph_count, sh, sh_count, names = read_header(self)
  read_sections(self, sh, sh_count, names)
  read_segments(self, ph, ph_count)
  return self
end

--- Open a file; the object closes it.
-- @param path string
-- @return as M.read; `local elf <close> = ...` or elf:close()
-- @raise file_missing, file_denied, bad_file
function M.open(path)
  local file, reader = require "esp.file_reader".open(path)
  local ok, self = pcall(M.read, reader, path)
  if not ok then
    file:close()
    error(self, 0)
  end
  self.file = file
  return self
end

--- Whether bytes begin like an ELF file.
function M.looks_like(head)
  return head:sub(1, 4) == "\127ELF"
end

function M:close()
  if self.file then self.file:close() end
  self.file = nil
end
M.__close, M.__gc = M.close, M.close

--- The section of that name; nil when there is none.
function M:section(name)
  for _, s in ipairs(self.sections) do
    if s.name == name then return s end
  end
  return nil
end

--- The bytes of a section or segment; a section without contents in the file (.bss) has none.
-- @raise bad_file when they are not all in the file
function M:bytes(part)
  if part.type == M.NOBITS and part.name then return "" end
  local what = part.name and ("section %s"):format((part.name:gsub("[^\32-\126]", "?")))
    or ("segment %d"):format(part.index)
  return range(self, part.offset, part.size, what)
end

--- SHA-256 of the whole file.
-- @return 32 bytes
function M:sha256()
  if not self.digest then
    local h = require "esp.core.digest".new "sha256"
    if self.file then
      if not self.file:seek "set" or h:file(self.file) ~= self.size then
        bad(self, self.size, "contents: the file changed while it was read")
      end
    else
      for at = 0, self.size - 1, CHUNK do
        h:update(range(self, at, math.min(CHUNK, self.size - at), "contents"))
      end
    end
    self.digest = h:final()
  end
  return self.digest
end

--- All symbols, in the order of the file.
-- @return list of { name, address, size, kind ("function", "object", ...), binding, section (index) };
--   empty when the file is stripped
-- @raise bad_file
function M:symbols()
  if self.symbol_list then return self.symbol_list end
  local list = {}
  for _, s in ipairs(self.sections) do
    if s.type == M.SYMTAB then
      if s.entry_size ~= SYMBOL_SIZE or s.size % SYMBOL_SIZE ~= 0 then
        bad(self, s.header, ("section %s: symbols of %d bytes, should be %d"):format(s.name, s.entry_size, SYMBOL_SIZE))
      end
      local names = self.sections[s.link + 1]
      if not names or names.type ~= M.STRTAB then
        bad(self, s.header, ("section %s: number %d has no names"):format(s.name, s.link))
      end
      local bytes, name_at = self:bytes(s), names_of(self, self:bytes(names), names.offset)
      for at = 1, #bytes, SYMBOL_SIZE do
        local name, address, size, info, _, section = SYMBOL:unpack(bytes, at)
        list[#list + 1] = { name = name_at(name), address = address, size = size, section = section,
                            kind = KINDS[info & 15] or "other", binding = BINDINGS[info >> 4] or "other" }
      end
      break
    end
  end
  self.symbol_list = list
  return list
end

--- The symbol of that name; a global one comes before a local one.
-- @return symbol | nil
function M:symbol(name)
  if not self.by_name then
    self.by_name = {}
    for _, s in ipairs(self:symbols()) do
      local old = self.by_name[s.name]
      if s.section ~= 0 and (not old or old.binding == "local" and s.binding ~= "local") then
        self.by_name[s.name] = s
      end
    end
  end
  return self.by_name[name]
end

--- The function or object that an address lies in.
-- @return symbol and the distance from its start | nil
function M:symbol_at(address)
  if not self.by_address then
    local list = {}
    for _, s in ipairs(self:symbols()) do
      if s.section ~= 0 and (s.kind == "function" or s.kind == "object") then list[#list + 1] = s end
    end
    self.by_address = require "esp.sorted".sort(list, "address", "size")
  end
  local s = self.by_address[require "esp.sorted".last(self.by_address, "address", address)]
  if s and address < s.address + math.max(s.size, 1) then return s, address - s.address end
  return nil
end

return M
