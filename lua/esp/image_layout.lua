--- Writing the image of an ESP32 and later: flash segments on their page, RAM segments in the gaps.
-- Source: ESP-IDF Programming Guide, "App Image Format"; the order and the padding are those of esptool 5.2,
-- so that a build gives the same bytes with either tool.
--
-- The cache maps flash in pages: offset in flash and address in memory must agree below the page size. An app
-- begins on a page, so the offset in the file decides. Gaps are filled with parts of the RAM segments.
local fail = require "esp.error"
local out = require "esp.image_out"
local M = {}

local SEGMENT_HEADER = 8
local WP_PIN_UNUSED = 0xEE             -- tells the ROM that no pin is given
local CHECKSUM_BLOCK = 16
-- What follows the checksum until the boundary: SHA-256; with the first kind of secure boot also version,
-- signature and what aligns them.
local SECURE_TAIL = { [1] = 32 + 4 + 64 + 12, [2] = 32 }

local function extended_header(plan)
  return ("<BBBBI2BI2I2I4B"):pack(WP_PIN_UNUSED, 0, 0, 0, plan.chip.image_chip_id, plan.min_rev, plan.min_rev_full,
                                  plan.max_rev_full, 0, plan.digest and 1 or 0)
end

local function to_front(list, name)
  for i, s in ipairs(list) do
    if s.name == name then
      table.insert(list, 1, table.remove(list, i))
      return
    end
  end
end

--- Flash and RAM segments, by address; what must come first is first.
local function sort_out(plan)
  local flash, ram = {}, {}
  for i, s in ipairs(plan.segments) do
    local list = plan.is_flash(s.address) and flash or ram
    list[#list + 1] = { address = s.address, data = s.data, name = s.name, order = i }
  end
  for _, list in ipairs { flash, ram } do require "esp.sorted".sort(list, "address", "order") end
  to_front(flash, ".flash.appdesc")
  to_front(ram, ".dram0.bootdesc")
  return flash, ram
end

--- Two flash segments in one page cannot both be mapped.
function M.check_pages(flash, page)
  for i = 2, #flash do
    local a, b = flash[i - 1].address, flash[i].address
    if a // page == b // page then
      fail { code = "bad_image",
             message = ("segment loaded at 0x%08x lands in same %d KB flash mapping as segment loaded at 0x%08x")
               :format(b, page // 1024, a),
             hint = "cannot generate an image; change the linker script or the ELF file to merge the sections" }
    end
  end
end

--- Bytes of padding before a flash segment, header of the padding not counted; nil when it is in place.
local function padding(at, address, page)
  local n = page - at % page + address % page - SEGMENT_HEADER
  if n == page or n == 0 then return nil end
  n = n - SEGMENT_HEADER
  return n < 0 and n + page or n
end

local function zeros(n)
  return { address = 0, data = ("\0"):rep(n) }
end

local function flash_segment(o, segment, unchecked)
  local plan = o.plan
  local min_tail = plan.chip.image.min_tail
  if min_tail then
    local tail = (o.at + SEGMENT_HEADER + #segment.data) % plan.page
    if tail < min_tail then segment.data = segment.data .. ("\0"):rep(min_tail - tail) end
  end
  o:segment(segment, unchecked)
end

local function write_filled(o, flash, ram)
  local first = 1                        -- of the RAM segments that are left
  for _, segment in ipairs(flash) do
    local n = padding(o.at, segment.address, o.plan.page)
    while n do
      local donor = ram[first]
      if donor and n > SEGMENT_HEADER then
        o:segment { address = donor.address, data = donor.data:sub(1, n), name = segment.name }
        donor.data, donor.address = donor.data:sub(n + 1), donor.address + n
        if donor.data == "" then first = first + 1 end
      else
        local pad = zeros(n)
        pad.name = segment.name
        o:segment(pad)
      end
      n = padding(o.at, segment.address, o.plan.page)
    end
    flash_segment(o, segment)
  end
  for i = first, #ram do o:segment(ram[i]) end
end

--- The ROM sees the RAM segments only: they are counted and summed, the others follow.
local function write_ram_only(o, flash, ram)
  local page, shift = o.plan.page, o.plan.chip.bootloader_offset
  for _, segment in ipairs(ram) do o:segment(segment) end
  o:checksum()
  for i = #flash, 1, -1 do               -- the order of the linker script
    local n = padding(o.at, flash[i].address, page) or page - SEGMENT_HEADER
    if n < shift then n = n + page end
    local pad = zeros(n - shift)
    pad.name = flash[i].name
    o:segment(pad, true)
    flash_segment(o, flash[i], true)
  end
end

local function secure_padding(o)
  local plan = o.plan
  local after = CHECKSUM_BLOCK + SECURE_TAIL[plan.secure_pad]
  if not plan.digest then
    fail { code = "bad_argument", message = "secure padding needs the SHA-256 at the end of the image",
           hint = "leave out dont_append_digest and ram_only_header" }
  end
  o:segment(zeros((plan.page - (o.at + SEGMENT_HEADER) % plan.page - after) % plan.page))
end

--- Write an image with extended header.
-- @param plan from esp.image_elf
-- @return esp.image_out
function M.write(plan)
  local flash, ram = sort_out(plan)
  M.check_pages(flash, plan.page)
  local o = out.new(plan)
  o:header(#plan.segments)
  o:put(extended_header(plan))
  if plan.ram_only_header then write_ram_only(o, flash, ram) else write_filled(o, flash, ram) end
  if plan.secure_pad then secure_padding(o) end
  if not plan.ram_only_header then o:checksum() end
  local count = plan.ram_only_header and #ram or o.count
  if count > 255 then
    fail { code = "bad_image", message = ("the image would have %d segments (max 16)"):format(count),
           hint = "usually the linker script is wrong" }
  end
  o:set_count(count)
  o.total = count
  if plan.digest then o:sha256() end
  if plan.pad_to_size then o:fill(plan.pad_to_size) end
  return o
end

return M
