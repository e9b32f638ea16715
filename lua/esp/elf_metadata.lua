--- What an ELF file says of the chip it is for: the section .espressif.metadata of programs in Rust, in which each
-- symbol is a text, and the descriptor of an app.
-- Source: esp-hal's documentation of its build metadata; ESP-IDF Programming Guide, "App Image Format".
local M = {}

local SECTION = ".espressif.metadata"
local SIZE_MAX = 1 << 16

--- The texts of the section.
-- @param elf object of esp.elf
-- @return table name = text, such as ["build_info.CHIP_NAME"] = "esp32c3"; empty without the section
-- @raise bad_file
function M.texts(elf)
  local section, texts = elf:section(SECTION), {}
  if not section or section.size > SIZE_MAX then return texts end
  local bytes = elf:bytes(section)
  for _, s in ipairs(elf:symbols()) do
    local at = s.address - section.address
    if s.section == section.index and s.size > 0 and at >= 0 and at + s.size <= #bytes then
      texts[s.name] = bytes:sub(at + 1, at + s.size)
    end
  end
  return texts
end

--- The chip, and the oldest revision of it (major * 100 + minor), that the file is for.
-- @return id of esp.chips or nil, number or nil
function M.target(elf)
  local texts = M.texts(elf)
  local name = texts["build_info.CHIP_NAME"]
  local ok, data = pcall(require "esp.chips".get, name)
  local digits = (texts["build_info.MIN_CHIP_REVISION"] or ""):match "^(%d%d?%d?%d?%d?)$"
  local revision = digits and tonumber(digits)
  return name and ok and data.id or nil, revision and revision <= 0xFFFF and revision or nil
end

--- Whether the file has the descriptor of an app, which the bootloader looks into.
function M.has_descriptor(elf)
  return elf:section ".flash.appdesc" ~= nil or elf:section ".rodata_desc" ~= nil or elf:symbol "esp_app_desc" ~= nil
end

return M
