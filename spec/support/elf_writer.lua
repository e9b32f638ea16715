--- Makes small ELF files for specs, by the letter of the ELF specification (Tool Interface Standard, version 1.2).
local M = {}

local KINDS = { progbits = 1, symtab = 2, strtab = 3, nobits = 8, init_array = 14 }

--- @param o table: machine (0x5E Xtensa, 0xF3 RISC-V), entry, sections = list of { name, address, data, kind, flags,
--   align, size (of nobits), link, entry_size }, segments = list of { address, data, type, align } or true: one for
--   each section with contents, symbols = list of { name, address, size, info, section }
-- @return bytes
function M.elf(o)
  local sections = { { name = "", kind = 0, data = "", address = 0 } }
  for _, s in ipairs(o.sections or {}) do sections[#sections + 1] = s end
  if o.symbols then
    local text, list = "\0", { ("\0"):rep(16) }
    for _, s in ipairs(o.symbols) do
      list[#list + 1] = ("<I4I4I4BBI2"):pack(#text, s.address or 0, s.size or 0, s.info or 0x12, 0, s.section or 1)
      text = text .. s.name .. "\0"
    end
    sections[#sections + 1] = { name = ".symtab", kind = "symtab", data = table.concat(list), link = #sections + 1,
                                entry_size = 16 }
    sections[#sections + 1] = { name = ".strtab", kind = "strtab", data = text }
  end
  sections[#sections + 1] = { name = ".shstrtab", kind = "strtab" }
  local text = ""
  for _, s in ipairs(sections) do
    s.name_at = #text
    text = text .. s.name .. "\0"
  end
  sections[#sections].data = text
  local segments = {}
  if o.segments == true then
    for _, s in ipairs(o.sections) do
      if s.kind ~= "nobits" then segments[#segments + 1] = { address = s.address, of = s } end
    end
  else
    segments = o.segments or {}
  end
  local at = 52 + 32 * #segments
  local body = {}
  local function place(part)
    local pad = -at % 4
    part.offset = at + pad
    body[#body + 1] = ("\0"):rep(pad) .. part.data
    at = at + pad + #part.data
  end
  for _, s in ipairs(sections) do
    s.data = s.data or ""
    place(s)
  end
  for _, s in ipairs(segments) do
    if s.of then s.offset, s.data = s.of.offset, s.of.data else place(s) end
  end
  local pad = -at % 4
  local heads = { ("\0"):rep(pad) }
  for _, s in ipairs(sections) do
    local kind = type(s.kind) == "number" and s.kind or KINDS[s.kind or "progbits"]
    heads[#heads + 1] = ("<I4I4I4I4I4I4I4I4I4I4"):pack(s.name_at, kind, s.flags or 2, s.address or 0, s.offset,
      s.size or #s.data, s.link or 0, 0, s.align or 4, s.entry_size or 0)
  end
  local programs = {}
  for i, s in ipairs(segments) do
    programs[i] = ("<I4I4I4I4I4I4I4I4"):pack(s.type or 1, s.offset, s.address, s.address, #s.data, #s.data, 7,
                                             s.align or 4)
  end
  return ("<c16I2I2I4I4I4I4I4I2I2I2I2I2I2"):pack("\127ELF\1\1\1", 2, o.machine or 0xF3, 1, o.entry or 0,
    #segments > 0 and 52 or 0, at + pad, 0, 52, 32, #segments, 40, #sections, #sections - 1)
    .. table.concat(programs) .. table.concat(body) .. table.concat(heads)
end

--- The description of an app, 256 bytes (ESP-IDF Programming Guide, "App Image Format").
function M.app_description(o)
  o = o or {}
  return ("<I4I4c8c32c32c16c16c32c32I2I2Bc75"):pack(0xABCD5432, o.secure_version or 0, "", o.version or "1.0",
    o.project or "demo", "12:34:56", "Jan  1 2026", "v5.5", "", 0, 199, o.page or 0, "")
end

return M
