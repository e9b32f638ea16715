-- json.lua ELF OUT.json: the segments of a stub in the JSON form that the public tools read.
-- Form: esptool, "Flasher Stub": base64 of text and data, their addresses, entry, start of the cleared data. Ours tell
-- in `capabilities` what CAPABILITIES answers (doc/stub-protocol.md), so that who has loaded one need not ask.
local elf_name, out_name = ...
local f <close> = assert(io.open(elf_name, "rb"))
local elf = f:read "a"
assert(elf:sub(1, 5) == "\127ELF\1", "32-bit ELF expected")
local entry, _, shoff = ("<I4I4I4"):unpack(elf, 25)
local shentsize, shnum, shstrndx = ("<I2I2I2"):unpack(elf, 47)

local function section(i)
  local name, kind, flags, addr, offset, size = ("<I4I4I4I4I4I4"):unpack(elf, shoff + i * shentsize + 1)
  return { name = name, kind = kind, flags = flags, addr = addr, offset = offset, size = size }
end
local strings = section(shstrndx)
local by_name = {}
for i = 1, shnum - 1 do
  local s = section(i)
  by_name[("z"):unpack(elf, strings.offset + s.name + 1)] = s
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function base64(bytes)
  bytes = bytes .. ("\0"):rep(-#bytes % 4)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    local t = {}
    for k = 0, 3 do
      local at = (n >> (18 - 6 * k) & 63) + 1
      t[#t + 1] = (k == 2 and not b or k == 3 and not c) and "=" or DIGITS:sub(at, at)
    end
    out[#out + 1] = table.concat(t)
  end
  return table.concat(out)
end

-- The constant words that a symbol of this name stands for; the compiler adds a number to names within functions.
local function words_of(wanted)
  local symbols, names = by_name[".symtab"], by_name[".strtab"]
  for at = symbols.offset + 1, symbols.offset + symbols.size, 16 do
    local name, value, size, _, _, index = ("<I4I4I4BBI2"):unpack(elf, at)
    if ("z"):unpack(elf, names.offset + name + 1):gsub("[.$]%d+$", "") == wanted then
      local s, list = section(index), {}
      for i = 0, size - 4, 4 do list[#list + 1] = ("<I4"):unpack(elf, s.offset + value - s.addr + i + 1) end
      return list
    end
  end
end

local function content(s) return elf:sub(s.offset + 1, s.offset + s.size) end
local text, data, bss = by_name[".text"], by_name[".data"], by_name[".bss"]

-- The data with its last word such that the sum of all words, as start.S forms it, is 0.
local function with_sum()
  local words, sum = content(text) .. content(data):sub(1, -5), 0
  for i = 1, #words, 4 do sum = sum * 33 + ("<I4"):unpack(words, i) & 0xFFFFFFFF end
  return content(data):sub(1, -5) .. ("<I4"):pack(-sum * 33 & 0xFFFFFFFF)
end

local o <close> = assert(io.open(out_name, "wb"))
o:write(('{"entry": %d, "text": "%s", "text_start": %d, "data": "%s", "data_start": %d, "bss_start": %d, '
  .. '"capabilities": [%s]}\n'):format(entry, base64(content(text)), text.addr, base64(with_sum()), data.addr,
                                       bss.addr, table.concat(assert(words_of "can"), ", ")))
