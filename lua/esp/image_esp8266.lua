--- Writing images for the ESP8266: versions 1, 2 and 3.
-- Sources: "2A-ESP8266 IoT SDK User Guide" (versions 1 and 2), ESP8266 RTOS SDK (version 3); same bytes as esptool 5.2.
local fail = require "esp.error"
local out = require "esp.image_out"
local image = require "esp.image"
local M = {}

local V2_COUNT = 4                     -- stands where version 1 has the number of segments
local V2_ALIGN = 16
local V3_PAGE = 0x10000
local V3_HEADER_SPACE = 8              -- the linker script leaves it in front of the data for the segment's header

--- The part that runs from flash, and the others.
local function split(plan)
  local first, past = table.unpack(plan.chip.image.window)
  local mapped, rest = nil, {}
  for _, s in ipairs(plan.segments) do
    if s.address >= first and s.address < past then
      if mapped then
        fail { code = "bad_image", message = ("segments at 0x%08X and 0x%08X could both be the mapped part (irom0)")
          :format(mapped.address, s.address), hint = "bad ELF file? An image has one part that runs from flash" }
      end
      mapped = s
    else
      rest[#rest + 1] = s
    end
  end
  return mapped, rest, mapped and mapped.address - first
end

local function version1(o, segments)
  o:header(#segments)
  for _, s in ipairs(segments) do o:segment(s) end
  o:checksum()
end

--- Version 1: two files, the mapped part as it is, and what the ROM loads.
-- @return list of { out =, suffix = } with the file's offset in flash
function M.write_v1(plan)
  local mapped, rest, offset = split(plan)
  local o, list = out.new(plan), {}
  version1(o, rest)
  list[1] = { pieces = o.pieces, size = o.at, address = 0 }
  if mapped then list[2] = { pieces = { mapped.data }, size = #mapped.data, address = offset } end
  return list
end

--- The number that the SDK's bootloader wants behind an image of version 2, made from the usual CRC-32.
-- @param pieces list of strings: the image
function M.sdk_crc(pieces)
  local crc = 0
  for _, piece in ipairs(pieces) do crc = require "esp.core.digest".crc32(piece, crc) end
  return crc & 0x80000000 ~= 0 and crc ~ 0xFFFFFFFF or crc + 1
end

--- Version 2: one file for a second stage loader.
function M.write_v2(plan)
  local mapped, rest, offset = split(plan)
  local o = out.new(plan)
  o:header(V2_COUNT, image.MAGIC_V2)
  if mapped then
    o:segment({ address = 0, data = mapped.data .. ("\0"):rep(-#mapped.data % V2_ALIGN), name = mapped.name }, true)
  else
    plan.note("warning", "no_mapped_part", "The ELF file has no part that runs from flash (irom0).")
  end
  version1(o, rest)
  o:put(("<I4"):pack(M.sdk_crc(o.pieces)))
  return { { pieces = o.pieces, size = o.at, address = offset or 0 } }
end

--- Version 3: as version 1 in one file, flash segments first, SHA-256 at the end.
function M.write_v3(plan)
  local flash, ram = {}, {}
  for i, s in ipairs(plan.segments) do
    if #s.data > 0 then
      local list = plan.is_flash(s.address) and flash or ram
      list[#list + 1] = { address = s.address, data = s.data, name = s.name, order = i }
    end
  end
  for _, list in ipairs { flash, ram } do require "esp.sorted".sort(list, "address", "order") end
  require "esp.image_layout".check_pages(flash, V3_PAGE)
  local o = out.new(plan)
  o:header(#plan.segments)
  for _, s in ipairs(flash) do
    if s.name == ".flash.rodata" then s.data = s.data:sub(V3_HEADER_SPACE + 1) end
    o:segment(s)
  end
  for _, s in ipairs(ram) do o:segment(s) end
  o:checksum()
  o:set_count(o.count)
  if plan.digest then o:sha256() end
  return { { pieces = o.pieces, size = o.at, address = 0 } }
end

return M
