-- Counts the instructions in programs, for the simulated processors: which are there, which of them are not
-- interpreted, and of which no case in the processors' specs would notice that they do nothing.
--
--   build/esplua spec/tools/opcodes.lua [--objdump PROGRAM] [--names] CORE FILE...
--
-- CORE is rv32, lx106, esp32, esp32s2 or esp32s3. FILE is an ELF file, of which everything executable is read
-- (for Xtensa what its property tables call code, when it has them; else its functions), or a stub of ours or of
-- esptool (*.json), of which the code is followed from its entry. Nothing of it is executed. With --objdump the GNU
-- disassembler (riscv64-unknown-elf-objdump, xtensa-lx106-elf-objdump) reads the ELF files as well, and where both know
-- an instruction they must agree on its name. --names prints what spec/support/rom_opcodes.txt is made of.
local cpu = require "esp.core.cpu"
local stub = require "esp.stub"

local objdump, names_only
while arg[1] and arg[1]:sub(1, 2) == "--" do
  local option = table.remove(arg, 1)
  if option == "--objdump" then objdump = table.remove(arg, 1) end
  if option == "--names" then names_only = true end
end
local core = table.remove(arg, 1)
assert(core and arg[1], "usage: opcodes.lua [--objdump PROGRAM] [--names] rv32|lx106|esp32|esp32s2|esp32s3 FILE...")
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

-- The first segment of a stub is its code, with literals among it: it is followed from the entry, and from every
-- literal that points into it.
local function load_stub(c, text, name)
  local image = stub.parse(text, name)
  local first, code = table.unpack(image.segments[1])
  local last = first + #code
  for page = first & ~0xFFF, last - 1, 4096 do assert(c:ram(page, 4096)) end
  c:poke(first, code)
  return { entry = image.entry, first = first, last = last, data = image.segments[2] }
end

local counts, unknown, at_address = {}, {}, {}
local ENDS = { ["j"] = true, ["jx"] = true, ["ret"] = true, ["ret.n"] = true, ["retw"] = true, ["retw.n"] = true,
               ["rfe"] = true, ["c.j"] = true, ["c.jr"] = true, ["mret"] = true, ["ill"] = true, ["c.unimp"] = true }

local function note(c, at, seen)
  local text, n = c:disassemble(at)
  if n == 0 or seen[at] then return nil, n end
  seen[at] = true
  local name = text:match "^[%w.]+"
  at_address[at] = name
  counts[name] = (counts[name] or 0) + 1
  if name:find "^%.[bhw]" then
    unknown[text] = unknown[text] or { n = 0, at = at }
    unknown[text].n = unknown[text].n + 1
  end
  return text, n, name
end

local function sweep(c, range, seen)
  local at = range[1]
  while at < range[2] do
    local _, n = note(c, at, seen)
    if n == 0 then return end
    at = at + n
  end
end

local function follow(c, image, seen)
  local open = { image.entry }
  local function add(target)
    if target and target >= image.first and target < image.last and not seen[target] then open[#open + 1] = target end
  end
  for _, bytes in ipairs { image.data and image.data[2] or "" } do -- tables of functions
    for at = 1, #bytes - 3, 4 do add((string.unpack("<I4", bytes, at))) end
  end
  while #open > 0 do
    local at = table.remove(open)
    while at and at >= image.first and at < image.last do
      local text, n, name = note(c, at, seen)
      if not text then break end
      local target = tonumber(text:match "0x%x+$" or "")
      if name == "l32r" and target then
        local word = c:peek(target, 4)
        add(#word == 4 and string.unpack("<I4", word) or nil)
      else
        add(target)
      end
      at = not (ENDS[name] or text:find "^jal zero," or text:find "^jalr zero,") and at + n or nil
    end
  end
end

for _, name in ipairs(arg) do
  local c <close> = cpu.new(core)
  local bytes, seen = read(name), {}
  if name:find "%.json$" then
    local image = load_stub(c, bytes, name)
    if riscv then sweep(c, { image.first, image.last }, seen) else follow(c, image, seen) end
  else
    at_address = {}
    for _, range in ipairs(load_elf(c, bytes)) do sweep(c, range, seen) end
  end
  if objdump and not name:find "%.json$" then
    local both, odd, only = 0, {}, {}
    local pipe <close> = assert(io.popen(("%s -d %s '%s' 2>/dev/null"):format(objdump, riscv and "-M no-aliases" or "",
                                                                              name:gsub("'", "'\\''"))))
    for line in pipe:lines() do
      local at, theirs = line:match "^%s*(%x+):\t[%x ]+\t([%w.]+)"
      local ours = at and at_address[tonumber(at, 16)]
      if ours and not theirs:find "^%." and not (theirs == "excw" and not riscv) then -- what it does not know is excw
        both = both + 1
        if ours:find "^%." then
          only[theirs] = (only[theirs] or 0) + 1
        elseif ours ~= theirs then
          local key = ours .. " / " .. theirs
          odd[key] = (odd[key] or 0) + 1
        end
      end
    end
    io.stderr:write(("%s: %d instructions that objdump knows, too\n"):format(name, both))
    for key, n in pairs(odd) do io.stderr:write(("  %6d named otherwise (ours / objdump's): %s\n"):format(n, key)) end
    for key, n in pairs(only) do io.stderr:write(("  %6d known to objdump only: %s\n"):format(n, key)) end
  end
end

local names, total = {}, 0
for name, n in pairs(counts) do
  if not name:find "^%.[bhw]" then
    names[#names + 1] = name
    total = total + n
  end
end
if names_only then
  table.sort(names)
  for _, name in ipairs(names) do print(("%s %s %d"):format(core, name, counts[name])) end
  os.exit(0)
end
table.sort(names, function(a, b) return counts[a] > counts[b] end)
for _, name in ipairs(names) do print(("%8d  %s"):format(counts[name], name)) end
print(("%d instructions, %d different"):format(total, #names))

package.path = package.path .. ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua;./?.lua"
local mutants = require "spec.support.mutants"
local executed = mutants.executed(mutants.files(riscv))
local missing, weak = {}, {}
for _, name in ipairs(names) do
  local how = mutants.noticed(name, executed[name])
  if not how then missing[#missing + 1] = name end
  if how == "only executed" then weak[#weak + 1] = name end
end
table.sort(missing)
table.sort(weak)
print(("without a case: %d: %s"):format(#missing, table.concat(missing, " ")))
print(("executed in a case, but it may do nothing: %d: %s"):format(#weak, table.concat(weak, " ")))
local odd = {}
for text, u in pairs(unknown) do odd[#odd + 1] = ("%6d  0x%08x  %s"):format(u.n, u.at, text) end
table.sort(odd, function(a, b) return a > b end)
print(("not interpreted: %d"):format(#odd))
for _, text in ipairs(odd) do print(text) end
