-- Counts the instructions in programs, for the simulated processors: which are there, which of them are not
-- interpreted, and which the processors' specs do not name.
--
--   build/esplua spec/tools/opcodes.lua CORE FILE...
--
-- CORE is rv32, lx106, esp32, esp32s2 or esp32s3. FILE is an ELF file, of which everything executable is read
-- (for Xtensa what its property tables call code, when it has them; else its functions), or a stub of ours
-- (*.json). Nothing is executed.
local cpu = require "esp.core.cpu"
local stub = require "esp.stub"
local core = table.remove(arg, 1)
assert(core and arg[1], "usage: opcodes.lua rv32|lx106|esp32|esp32s2|esp32s3 FILE...")
local riscv = core == "rv32"

local function read(name)
  local f <close> = assert(io.open(name, "rb"))
  return f:read "a"
end

local SHDR, SYM, PROP = "<I4I4I4I4I4I4I4I4I4I4", "<I4I4I4BBI2", "<I4I4I4"
local ALLOC, EXECUTABLE, PROGBITS, SYMTAB, FUNC = 2, 4, 1, 2, 2
local PROP_CODE, PROP_UNREACHABLE = 2, 8

local function sections(elf)
  assert(elf:sub(1, 6) == "\x7fELF\1\1", "not a 32-bit little-endian ELF file")
  local at, size, n, names = string.unpack("<I4", elf, 33), string.unpack("<I2I2I2", elf, 47)
  local list = {}
  for i = 0, n - 1 do
    local name, kind, flags, addr, offset, length, link = string.unpack(SHDR, elf, at + i * size + 1)
    list[i] = { name = name, kind = kind, flags = flags, addr = addr, size = length, link = link,
                bytes = kind == 8 and "" or elf:sub(offset + 1, offset + length) }
  end
  for i = 0, n - 1 do list[i].name = string.unpack("<z", list[names].bytes, list[i].name + 1) end
  return list
end

-- Ranges of code as {first, last + 1}.
local function from_properties(list)
  local ranges = {}
  for i = 0, #list do
    if list[i].name:find("^%.xt%.prop") then
      for at = 1, #list[i].bytes - 11, 12 do
        local addr, size, flags = string.unpack(PROP, list[i].bytes, at)
        if flags & PROP_CODE ~= 0 and flags & PROP_UNREACHABLE == 0 and size > 0 then
          ranges[#ranges + 1] = { addr, addr + size }
        end
      end
    end
  end
  return ranges
end

local function from_functions(list)
  local ranges = {}
  for i = 0, #list do
    if list[i].kind == SYMTAB then
      for at = 1, #list[i].bytes - 15, 16 do
        local _, addr, size, info = string.unpack(SYM, list[i].bytes, at)
        if info & 15 == FUNC and size > 0 then ranges[#ranges + 1] = { addr, addr + size } end
      end
    end
  end
  return ranges
end

local function load_elf(c, elf)
  local list, code = sections(elf), {}
  for i = 0, #list do
    local s = list[i]
    if s.kind == PROGBITS and s.flags & ALLOC ~= 0 and s.flags & EXECUTABLE ~= 0 and s.size > 0 then
      code[#code + 1] = { s.addr, s.addr + s.size, s.bytes }
    end
  end
  local pages = {}
  for _, s in ipairs(code) do
    for page = s[1] & ~0xFFF, s[2] - 1, 4096 do
      if not pages[page] then assert(c:ram(page, 4096)) end
      pages[page] = true
    end
    c:poke(s[1], s[3])
  end
  local ranges = from_properties(list)
  if #ranges == 0 then ranges = from_functions(list) end
  return #ranges > 0 and ranges or code
end

-- The first segment of a stub is its code, with literals among it.
local function load_stub(c, text, name)
  local first, code = table.unpack(stub.parse(text, name).segments[1])
  local last = first + #code
  for page = first & ~0xFFF, last - 1, 4096 do assert(c:ram(page, 4096)) end
  c:poke(first, code)
  return { { first, last } }
end

local counts, unknown = {}, {}
local function sweep(c, range, seen)
  local at = range[1]
  while at < range[2] do
    local text, n = c:disassemble(at)
    if n == 0 then return end
    if not seen[at] then
      seen[at] = true
      local name = text:match "^[%w.]+"
      counts[name] = (counts[name] or 0) + 1
      if name:find "^%.[bhw]" then
        local key = text
        unknown[key] = unknown[key] or { n = 0, at = at }
        unknown[key].n = unknown[key].n + 1
      end
    end
    at = at + n
  end
end

for _, name in ipairs(arg) do
  local c <close> = cpu.new(core)
  local bytes, seen = read(name), {}
  local ranges = name:find "%.json$" and load_stub(c, bytes, name) or load_elf(c, bytes)
  for _, range in ipairs(ranges) do sweep(c, range, seen) end
end

-- The specs spell what they execute: in a case, or in a comment beside the bytes. Special registers have a table
-- of names and numbers there, for three instructions each.
local tested = {}
for file in assert(io.popen("ls spec/cpu_" .. (riscv and "rv32" or "xtensa") .. "*_spec.lua")):lines() do
  local text = read(file)
  for word in text:gmatch "[%w.]+" do tested[word] = true end
  for name in text:gmatch "%f[%w](%l[%l%d]+) = %d+[,\n]" do
    for _, how in ipairs { "rsr.", "wsr.", "xsr." } do tested[how .. name] = true end
  end
end

local names, total, missing = {}, 0, {}
for name, n in pairs(counts) do
  if not name:find "^%.[bhw]" then
    names[#names + 1] = name
    total = total + n
    if not tested[name] then missing[#missing + 1] = name end
  end
end
table.sort(names, function(a, b) return counts[a] > counts[b] end)
for _, name in ipairs(names) do print(("%8d  %s"):format(counts[name], name)) end
print(("%d instructions, %d different"):format(total, #names))
table.sort(missing)
print(("not named in the specs: %d: %s"):format(#missing, table.concat(missing, " ")))
local odd = {}
for text, u in pairs(unknown) do odd[#odd + 1] = ("%6d  0x%08x  %s"):format(u.n, u.at, text) end
table.sort(odd, function(a, b) return a > b end)
print(("not interpreted: %d"):format(#odd))
for _, text in ipairs(odd) do print(text) end
