--- What an app needs beside it: a bootloader and a partition table, found where a build leaves them, or where
-- frameworks are installed. None are in this program: they are others' work.
local fail = require "esp.error"
local partition = require "esp.partition"
local M = {}

-- Beside the app, "%s" is its name without the ending: ESP-IDF's build folder; PlatformIO and Rust with ESP-IDF;
-- Arduino's build folder.
local BOOTLOADERS = { "bootloader/bootloader.bin", "bootloader.bin", "%s.bootloader.bin" }
local TABLES = { "partition_table/partition-table.bin", "partition-table.bin", "partitions.bin", "%s.partitions.bin",
                 "partitions.csv" }

-- Where frameworks keep bootloaders, from the home folder on; "*" is any folder, "CHIP" the chip.
local INSTALLED = {
  ".platformio/packages/framework-arduinoespressif32-libs/CHIP/bin",
  ".platformio/packages/framework-arduinoespressif32/tools/esp32-arduino-libs/CHIP/bin",
  ".platformio/packages/framework-arduinoespressif32/tools/sdk/CHIP/bin",
  ".arduino15/packages/esp32/tools/CHIP-libs/*/bin",
  ".arduino15/packages/esp32/tools/esp32-arduino-libs/*/CHIP/bin",
  ".arduino15/packages/esp32/hardware/esp32/*/tools/sdk/CHIP/bin",
  "Library/Arduino15/packages/esp32/tools/CHIP-libs/*/bin",
  "Library/Arduino15/packages/esp32/tools/esp32-arduino-libs/*/CHIP/bin",
}
local NAMES = { "bootloader_dio_80m.elf", "bootloader_dio_40m.elf", "bootloader_qio_80m.elf", "bootloader_dio_48m.elf",
                "bootloader_dio_64m.elf", "bootloader_dio_60m.elf", "bootloader_dio_80m.bin", "bootloader_dio_40m.bin" }

local LARGEST = 16 << 20                   -- of flash that a default table covers
local NVS_SIZE, PHY_SIZE, APP_OFFSET = 0x6000, 0x1000, 0x10000

local function is_file(path)
  local st = require "esp.core.fs".stat(path)
  return st ~= nil and st.type == "file" and st.size > 0
end

local function beside(app, patterns)
  local folder, name = app:match "^(.*)[/\\]([^/\\]*)$"
  folder, name = folder or ".", (name or app):gsub("%.[^.]*$", "")
  for _, pattern in ipairs(patterns) do
    local path = folder .. "/" .. pattern:gsub("%%s", function() return name end)
    if is_file(path) and path ~= app then return path end
  end
  return nil
end

--- What lies beside an app where its build has put it.
-- @param app path of the app, ELF or image
-- @return path of a bootloader or nil, path of a partition table or nil
function M.beside(app)
  return beside(app, BOOTLOADERS), beside(app, TABLES)
end

-- All folders that a path with "*" stands for, newest version last in the alphabet first.
local function expand(path)
  local before, after = path:match "^(.-)/%*/(.*)$"
  if not before then return { path } end
  local list, fs = {}, require "esp.core.fs"
  for _, name in ipairs(fs.list(before) or {}) do
    list[#list + 1] = before .. "/" .. name .. "/" .. after
  end
  table.sort(list, function(a, b) return a > b end)
  return list
end

-- Files of a folder with a bootloader for each chip, such as esp32c3-bootloader.bin; with variants for a crystal of
-- 26 MHz (_26) and for revisions before and since 3.0 (-v0, -v3).
local function in_folder(folder, chip)
  local id, variants = chip.id, {}
  local ok, crystal = pcall(chip.crystal, chip)
  if ok and crystal == 26 then variants[1] = id .. "_26" end
  variants[#variants + 1] = id
  variants[#variants + 1] = id .. ((chip.revision_number or 0) >= 300 and "-v3" or "-v0")
  for _, name in ipairs(variants) do
    for _, pattern in ipairs { "%s-bootloader.bin", "bootloader-%s.bin", "%s.bin", "%s/bootloader.bin" } do
      local path = folder .. "/" .. pattern:format(name)
      if is_file(path) then return path end
    end
  end
  return nil
end

--- A bootloader for a chip from a framework that is installed: from the folder in ESPLUA_BOOTLOADERS, from Arduino or
-- PlatformIO.
-- @param chip chip object
-- @param getenv function(name); os.getenv when absent
-- @return path | nil
function M.installed(chip, getenv)
  getenv = getenv or os.getenv
  local own, home = getenv "ESPLUA_BOOTLOADERS", getenv "HOME" or getenv "USERPROFILE"
  local path = own and own ~= "" and in_folder(own, chip)
  if path or not home then return path or nil end
  for _, pattern in ipairs(INSTALLED) do
    for _, folder in ipairs(expand(home .. "/" .. pattern:gsub("CHIP", chip.id))) do
      for _, name in ipairs(NAMES) do
        if is_file(folder .. "/" .. name) then return folder .. "/" .. name end
      end
    end
  end
  return nil
end

--- A partition table with room for settings, calibration and one app.
-- @param size of flash in bytes
-- @param table_offset where the table will be (0x8000)
-- @return list of entries
-- @raise does_not_fit
function M.default_table(size, table_offset)
  local nvs = (table_offset or partition.TABLE_OFFSET) + partition.SECTOR
  local phy = nvs + NVS_SIZE
  local app = (phy + PHY_SIZE + APP_OFFSET - 1) // APP_OFFSET * APP_OFFSET
  size = math.min(size, LARGEST) // partition.SECTOR * partition.SECTOR
  if size <= app then
    fail { code = "does_not_fit", message = ("flash of %d bytes has no room for an app at 0x%X"):format(size, app) }
  end
  local function entry(label, kind, subtype, offset, n)
    return { label = label, type = kind, subtype = subtype, offset = offset, size = n, flags = 0,
             encrypted = false, readonly = false }
  end
  return { entry("nvs", partition.DATA, partition.NVS, nvs, NVS_SIZE),
           entry("phy_init", partition.DATA, 0x01, phy, PHY_SIZE),
           entry("factory", partition.APP, partition.FACTORY, app, size - app) }
end

local function find_bootloader(chip, app, o)
  if o.bootloader then return o.bootloader end
  local found = app and M.beside(app)
  if found then return found end
  found = M.installed(chip, o.getenv)
  if found then return found, true end
  if not chip.data.image_chip_id then return nil end
  fail { code = "file_missing", message = ("no bootloader for %s is found beside %s, nor in an installed framework")
           :format(chip.name, app or "the app"),
         hint = "give it: --bootloader FILE; every build of ESP-IDF, Arduino and PlatformIO makes one" }
end

-- The table in flash, if there is one with a place for an app.
local function table_in_flash(chip, o)
  local ok, list = pcall(chip.partitions, chip, { table_offset = o.table_offset, spi_connection = o.spi_connection,
                                                  on_event = function() end })
  if ok and #partition.of_type(list, partition.APP) > 0 then return list end
  if not ok and not (fail.is(list) and (list.code == "bad_partition_table" or list.code == "unsupported")) then
    error(list, 0)
  end
  return nil
end

local function find_table(chip, app, o)
  if o.table then return o.table, o.table_name or "partition table" end
  if not o.default_table then
    local path
    if app then path = select(2, M.beside(app)) end
    if path then return partition.load(path, { table_offset = o.table_offset }), path end
    local there = not o.offline and table_in_flash(chip, o)
    if there then return there, nil end
  end
  local size = require "esp.flash_util".size_bytes(o.flash_size or "")
  if not size and not o.offline then
    size = chip:flash_id({ spi_connection = o.spi_connection, on_event = function() end }).size
  end
  if not size then
    fail { code = "flash_size_unknown", message = "no default partition table: the size of flash is not known",
           hint = "give --flash-size, or --partition-table FILE" }
  end
  return M.default_table(size, o.table_offset), "default partition table", true
end

--- Everything that has to be written beside an app.
-- @param chip chip object, or { id =, name =, data =, crystal =, revision_number = } with o.offline
-- @param app path of the app, or nil
-- @param o { bootloader = path; table = entries; table_name; table_offset; default_table = whether it is wanted;
--   flash_size, spi_connection; offline = do not ask the chip; getenv }: what is there is taken, the rest is looked for
-- @return { bootloader = path, nil where an app does without (ESP8266); table = entries; table_name = nil when the
--   table is in flash already;
--   foreign = whether bootloader or table were not made for this flash, so that the header should say its size;
--   items = pairs for esp.inputs }
-- @raise file_missing, flash_size_unknown, does_not_fit, bad_partition_table
function M.plan(chip, app, o)
  local bootloader, installed = find_bootloader(chip, app, o)
  if not bootloader then return { items = {}, table = o.table, foreign = false } end
  local list, name, made = find_table(chip, app, o)
  local items = { { chip.data.bootloader_offset, bootloader } }
  if name then
    items[2] = { o.table_offset or partition.TABLE_OFFSET,
                 { data = partition.encode(list), name = name, format = "raw" } }
  end
  return { bootloader = bootloader, table = list, table_name = name, items = items,
           foreign = installed or made or false }
end

--- Everything that an app needs, and the app, as one file for flash.
-- @param app path of the app, ELF or image
-- @param o { chip = id, needed; output = path; bootloader, table, table_name, table_offset, default_table as of plan;
--   flash_size ("4MB" for a default table), flash_mode, flash_freq; partition = label of the app's partition;
--   format ("raw", "uf2", "hex"), pad_to_size as of esp.image_merge; min_rev_full, mmu_page_size,
--   ignore_app_descriptor, force as of esp.inputs; crystal = MHz; on_note }
-- @return as esp.image_merge.merge; with bootloader = path, table_name
function M.save(app, o)
  local data = require "esp.chips".get(o.chip)
  local chip = { id = data.id, name = data.name, data = data, revision_number = o.min_rev_full,
                 crystal = function() return o.crystal end }
  local set = M.plan(chip, app, setmetatable({ offline = true, flash_size = o.flash_size or "4MB" }, { __index = o }))
  local ctx = { chip = data.id, table = set.table, force = o.force, apart = not o.force, min_rev_full = o.min_rev_full,
                mmu_page_size = o.mmu_page_size, ignore_app_descriptor = o.ignore_app_descriptor,
                flash_mode = o.flash_mode, flash_freq = o.flash_freq, flash_size = o.flash_size or "4MB" }
  local items = { set.items[1], set.items[2] }
  local regions = require "esp.inputs".load_all(items, ctx)
  local app_regions
  if o.partition then
    app_regions = require "esp.partition_chip".place(set.table, { { o.partition, app } }, ctx)
  else
    app_regions = require "esp.inputs".load_all({ { false, app } }, ctx)
  end
  table.move(app_regions, 1, #app_regions, #regions + 1, regions)
  local parts = {}                         -- few megabytes: they may be in memory
  for i, r in ipairs(regions) do
    parts[i] = { r.address, { data = r.payload:read(0, r.size), name = r.name } }
  end
  require "esp.input".close(regions)
  local size = o.flash_size or set.foreign and "4MB" or nil
  local merged = require "esp.image_merge".merge(parts, {
    chip = data.id, output = o.output, format = o.format, pad_to_size = o.pad_to_size, flash_mode = o.flash_mode,
    flash_freq = o.flash_freq, flash_size = size, on_note = o.on_note })
  merged.bootloader, merged.table_name = set.bootloader, set.table_name
  return merged
end

return M
