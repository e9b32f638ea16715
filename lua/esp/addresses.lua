--- What addresses in a program's output mean: functions, lines of source, and callers seen in a dump of the stack.
--
--   local addresses = require("esp.addresses").open { elf = { "build/app.elf" } }
--   for _, d in ipairs(addresses:line "Backtrace: 0x42008b1c:0x3fc92340") do print(d.text) end
local sorted = require "esp.sorted"
local M = {}
M.__index = M

local REACH = 0x1000                      -- bytes after a function that says no size, if nothing else begins
local DUMP_MAX = 0x4000                   -- words of a dump of the stack
local CALLERS_MAX = 32
local EXECUTABLE = 4                      -- of a section's flags

-- Lines of the ROM and the bootloader whose addresses are no code of the program.
local NOISE = { "^load:0x", "^entry 0x", "^Saved PC:", "^%s*ets ", "segment %d+: paddr=" }

-- Names ------------------------------------------------------------------------------------------------------

local RUST = { SP = "@", BP = "*", RF = "&", LT = "<", GT = ">", LP = "(", RP = ")", C = "," }

local function rust_name(id)
  id = id:gsub("^_%$", "$"):gsub("%.%.", "::"):gsub("%$(%w+)%$", function(code)
    local hex = code:match "^u(%x+)$"
    return RUST[code] or hex and #hex < 7 and utf8.char(tonumber(hex, 16)) or nil
  end)
  return id
end

--- A function's name as it is in the source, for Rust's and for most of C++'s, those without arguments; others as they
-- are.
function M.plain_name(name)
  if name:find "^_R" then return require "esp.rust_name".plain(name) or name end
  local parts, at = {}, name:match "^_ZNK?()" or name:match "^_Z()"
  local nested = name:find "^_ZN" ~= nil
  if not at then return name end
  while true do
    local digits, start = name:match("^(%d+)()", at)
    if not digits or #digits > 4 then break end
    local stop = start + tonumber(digits) - 1
    if stop > #name then return name end
    parts[#parts + 1] = name:sub(start, stop)
    at = stop + 1
    if not nested then return parts[1] end
  end
  if #parts == 0 then return name end
  local special = name:match("^([CD])[0-5]E", at)
  if special then
    parts[#parts + 1] = (special == "D" and "~" or "") .. parts[#parts]
  elseif name:sub(at, at) ~= "E" then
    return name
  end
  if parts[#parts]:find "^h%x+$" and #parts[#parts] == 17 then
    parts[#parts] = nil                      -- Rust's digest
    for i, part in ipairs(parts) do parts[i] = rust_name(part) end
  end
  return table.concat(parts, "::")
end

-- Symbols ----------------------------------------------------------------------------------------------------

local function index(elf, kinds)
  local list = {}
  for _, s in ipairs(elf:symbols()) do
    if s.section ~= 0 and kinds[s.kind] then list[#list + 1] = s end
  end
  return sorted.sort(list, "address", "size")
end

local function search(list, address)
  local high = sorted.last(list, "address", address)
  for i = high, math.max(high - 8, 1), -1 do
    local s = list[i]
    if address < s.address + s.size then return s end
  end
  local s = list[high]
  return s and s.size == 0 and s.kind == "function" and address < s.address + REACH and s or nil
end

--- Open ELF files.
-- @param o { elf = list of paths, rom = list of paths (only functions are taken from them), all = also variables }
-- @return object; close() closes the files
-- @raise file_missing, file_denied, bad_file
function M.open(o)
  local self = setmetatable({ files = {}, dump = nil }, M)
  local kinds = { ["function"] = true, object = o.all or nil }
  local ok, err = pcall(function()
    for _, role in ipairs { "elf", "rom" } do
      for _, path in ipairs(o[role] or {}) do
        local elf = require "esp.elf".open(path)
        local f = { elf = elf, rom = role == "rom", path = path, machine = elf.machine,
                    lines = require "esp.elf_lines".new(elf) }
        self.files[#self.files + 1] = f
        f.list = index(elf, role == "rom" and { ["function"] = true } or kinds)
      end
    end
  end)
  if not ok then
    self:close()
    error(err, 0)
  end
  self.all = o.all
  return self
end

function M:close()
  for _, f in ipairs(self.files) do f.elf:close() end
  self.files = {}
end
M.__close, M.__gc = M.close, M.close

--- Files without symbols: their names, for a warning.
function M:stripped()
  local names = {}
  for _, f in ipairs(self.files) do
    if #f.list == 0 then names[#names + 1] = f.path end
  end
  return names
end

--- What an address is.
-- @return { address, name, offset (from its start), kind, rom (boolean), file, line, text } | nil
function M:describe(address)
  for _, f in ipairs(self.files) do
    local s = search(f.list, address)
    if s then
      local d = { address = address, name = M.plain_name(s.name), offset = address - s.address, kind = s.kind,
                  rom = f.rom }
      if s.kind == "function" then d.file, d.line = f.lines:at(address) end
      d.text = ("0x%08x  %s%s%s"):format(address, d.name, d.offset > 0 and ("+0x%x"):format(d.offset) or "",
        d.file and (" at %s:%d"):format(d.file, d.line) or f.rom and " in ROM" or "")
      return d
    end
  end
  return nil
end

-- The stack --------------------------------------------------------------------------------------------------

-- Whether the instruction before an address of RISC-V code is a call.
local function follows_call(elf, address)
  for _, s in ipairs(elf.sections) do
    if s.type == 1 and s.flags & EXECUTABLE ~= 0 and address >= s.address + 4 and address <= s.address + s.size
       and address % 2 == 0 then
      local ok, bytes = pcall(elf.reader.read, s.offset + address - s.address - 4, 4)
      if not ok or #bytes < 4 then return false end
      local long, short = ("<I4I2"):unpack(bytes .. bytes:sub(3))
      if long & 0xFFF == 0x0EF or long & 0xFFF == 0x0E7 then return true end         -- jal ra; jalr ra
      return short & 0xE003 == 0x2001 or short & 0xF07F == 0x9002 and short & 0xF80 ~= 0     -- c.jal, c.jalr
    end
  end
  return false
end

-- Words of the stack that are return addresses, by what stands before them in the code. Old frames are among them.
local function callers(self, words)
  local found, seen = {}, {}
  for _, word in ipairs(words) do
    for _, f in ipairs(self.files) do
      if f.machine == "riscv" and not seen[word] and not f.rom and follows_call(f.elf, word) then
        local d = self:describe(word - 2)                  -- the call itself, not what follows it
        if d and d.kind == "function" then
          seen[word] = true
          d.caller = true
          found[#found + 1] = d
        end
      end
    end
    if #found == CALLERS_MAX then break end
  end
  return found
end

-- "3fc92340: 0x00000000 0x42008b1c ..." after "Stack memory:", as ESP-IDF prints it for RISC-V.
local function dump_line(text)
  local rest = text:match "^%x%x%x%x%x%x%x%x: (0x[%x x]+)%s*$"
  if not rest then return nil end
  local words = {}
  for hex in rest:gmatch "0x(%x+)" do words[#words + 1] = #hex <= 8 and tonumber(hex, 16) or 0 end
  return words
end

-- "STACKDUMP: 42008b1c 00112233...", as the Rust library esp-backtrace prints it.
local function rust_dump(text)
  local pc, hex = text:match "^STACKDUMP: (%x+) (%x+)%s*$"
  if not pc or #pc > 8 or #hex % 8 ~= 0 then return nil end
  local words = { tonumber(pc, 16) }
  for word in hex:sub(1, DUMP_MAX * 8):gmatch "%x%x%x%x%x%x%x%x" do
    words[#words + 1] = (">I4"):unpack(("<I4"):pack(tonumber(word, 16)))
  end
  return words
end

-- ESP-IDF's programs say the digest of their ELF file, or its beginning, at the start and when they crash.
local function other_file(self, text)
  local digest = text:match "ELF file SHA256:%s+(%x+)"
  if not digest or #digest < 8 or self.told then return nil end
  local names = {}
  for _, f in ipairs(self.files) do
    if not f.rom then
      f.digest = f.digest or require "esp.core.digest".hex(f.elf:sha256())
      if f.digest:sub(1, #digest) == digest:lower() then return nil end
      names[#names + 1] = f.path
    end
  end
  if #names == 0 then return nil end
  self.told = true
  return { kind = "other_file", text = ("this program was made of another ELF file than %s: names may be wrong")
           :format(table.concat(names, ", ")) }
end

--- What a line of output has to say beyond itself. Lines are to be given in their order, as a dump of the stack
-- spans several.
-- @param text without its end
-- @return list of descriptions, perhaps empty; caller = true: found on the stack, may be left over from earlier
function M:line(text)
  if #self.files == 0 then return {} end
  local words = rust_dump(text)
  if words then
    local list = callers(self, words)
    table.insert(list, 1, self:describe(words[1]))
    return list
  end
  words = self.dump and dump_line(text)
  if words then
    if #self.dump < DUMP_MAX then table.move(words, 1, #words, #self.dump + 1, self.dump) end
    return {}
  end
  local list = {}
  if self.dump and #self.dump > 0 then
    list = callers(self, self.dump)
    self.dump = nil
  end
  if text:find "^Stack memory:" then self.dump = {} end
  for _, pattern in ipairs(self.all and {} or NOISE) do
    if text:find(pattern) then return list end
  end
  list[#list + 1] = other_file(self, text)
  local seen = {}
  for hex in text:gmatch "%f[%w]0[xX](%x%x%x%x%x%x%x%x)%f[%W]" do
    local address = tonumber(hex, 16)
    if not seen[address] then
      seen[address] = true
      list[#list + 1] = self:describe(address)
    end
  end
  return list
end

--- Whether a file is an ELF file, for those who look for the program's among others.
function M.is_elf(path)
  local file = io.open(path, "rb")
  if not file then return false end
  local head = file:read(4)
  file:close()
  return head ~= nil and require "esp.elf".looks_like(head)
end

--- The ELF file of a build folder of ESP-IDF, from its project_description.json.
-- @return path | nil
function M.of_build(folder)
  for _, at in ipairs { folder, folder .. "/build" } do
    local f = io.open(at .. "/project_description.json", "rb")
    if f then
      local text = f:read(1 << 20)
      f:close()
      local ok, t = pcall(require "esp.json".decode, text or "")
      local name = ok and type(t) == "table" and t.app_elf
      if type(name) == "string" and not name:find "[/\\]" then
        local path = at .. "/" .. name
        if M.is_elf(path) then return path end
      end
    end
  end
  return nil
end

return M
