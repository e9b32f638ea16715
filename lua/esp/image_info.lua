--- What an image says about itself: descriptors of the app and of the bootloader, and all the rest as plain tables.
-- Sources: ESP-IDF Programming Guide, "App Image Format" (application description) and "Bootloader Image Format".
local M = {}

local APP, APP_SIZE, APP_MAGIC = "<I4I4c8c32c32c16c16c32c32I2I2B", 256, 0xABCD5432
local BOOT, BOOT_SIZE, BOOT_MAGIC = "<Bc3I4c32c24", 80, 0x50

local function text(s)
  return (s:match "^%Z*":gsub("[%c\127-\255]", "?"))
end

--- The description that an app of ESP-IDF begins with.
-- @param bytes string: the beginning of its first flash segment
-- @return table: secure_version, version, project_name, time, date, idf_ver, elf_sha256 (hex), min_efuse_blk_rev,
--   max_efuse_blk_rev (numbers, major * 100 + minor), mmu_page_size (bytes or nil); nil when there is none
function M.app(bytes)
  if #bytes < APP_SIZE then return nil end
  local magic, secure, _, version, project, time, date, idf, digest, low, high, page = APP:unpack(bytes)
  if magic ~= APP_MAGIC then return nil end
  return { secure_version = secure, version = text(version), project_name = text(project), time = text(time),
           date = text(date), idf_ver = text(idf), elf_sha256 = require "esp.core.digest".hex(digest),
           min_efuse_blk_rev = low, max_efuse_blk_rev = high, mmu_page_size = page > 0 and page < 32 and 1 << page or nil }
end

--- The description that a bootloader of ESP-IDF begins with.
-- @param bytes string: the beginning of a RAM segment
-- @return table: version, idf_ver, date_time; nil when there is none
function M.bootloader(bytes)
  if #bytes < BOOT_SIZE then return nil end
  local magic, _, version, idf, time = BOOT:unpack(bytes)
  if magic ~= BOOT_MAGIC then return nil end
  return { version = version, idf_ver = text(idf), date_time = text(time) }
end

return M
