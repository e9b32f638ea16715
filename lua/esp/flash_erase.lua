--- Erasing flash: through the ROM loader a begin packet erases, no data follows; a stub has commands of its own.
local fail = require "esp.error"
local attach = require "esp.flash_attach"
local checks = require "esp.flash_checks"
local spiflash = require "esp.spiflash"
local task = require "esp.core.task"
local util = require "esp.flash_util"
local M = {}

local FLASH_BEGIN, ERASE_FLASH, ERASE_REGION = 0x02, 0xD0, 0xD1
local CHUNK = 256 * 1024                   -- erased per command: progress, and a place to stop
local SIZE_HINT = "give the flash size"
local SDM_SIZE = "16MB"                    -- what secure download mode, where nothing can be detected, is told

-- Sectors that the ESP8266's ROM erases when told `told`: those up to the next border of 64 KiB are erased and
-- not counted.
local function erased_by(told, to_border)
  return told + math.min(told, to_border)
end

--- What FLASH_BEGIN has to be told so that `size` bytes from `address` on are erased.
-- @return bytes; and whether that erases one sector more than wanted, which this ROM cannot avoid
function M.begin_size(chip, address, size)
  if chip.stub or chip.data.rom.erase_quirk ~= "head_sectors" then return size, false end
  local sectors = (size + util.SECTOR - 1) // util.SECTOR
  local to_border = 16 - address // util.SECTOR % 16
  local told = math.max((sectors + 1) // 2, sectors - to_border)
  return told * util.SECTOR, erased_by(told, to_border) > sectors
end

--- Prepare to erase exactly a region. Where the ROM would take a sector too many, the last one is erased by flash's
-- own command and left out of what the ROM is told.
-- @return function(address, size) for the engine: what FLASH_BEGIN is to be told. When writing begins anew the last
--   sector may be left as it is: the same bytes are programmed there again.
function M.exactly(chip, address, size)
  local stop = (address + size + util.SECTOR - 1) // util.SECTOR * util.SECTOR
  local _, too_much = M.begin_size(chip, address, size)
  if too_much then
    stop = stop - util.SECTOR
    spiflash.erase_sector(chip, stop)
  end
  return function(at, n)
    n = math.max(math.min(n, stop - at), 0)
    local told, more = M.begin_size(chip, at, n)
    if more and at + n >= stop then told = M.begin_size(chip, at, math.max(n - util.SECTOR, 0)) end
    return told
  end
end

local function check_multiple(value, what, zero_allowed)
  if math.type(value) ~= "integer" or value < 0 or value % util.SECTOR ~= 0 or value == 0 and not zero_allowed then
    fail { code = "bad_argument", message = ("erase: %s %s is not a multiple of the sector size, 0x%X")
      :format(what, math.type(value) == "integer" and ("0x%X"):format(value) or tostring(value), util.SECTOR) }
  end
end

local function begin(chip, address, size)
  if chip.stub then
    util.command(chip, ("erasing 0x%X to 0x%X"):format(address, address + size - 1), ERASE_REGION,
                 ("<I4I4"):pack(address, size),
                 { timeout = util.timeout(chip, "erase_region_timeout_per_mb", size) })
    return
  end
  local rom = chip.data.rom
  local block = chip.flash_block
  local told = M.exactly(chip, address, size)(address, size)
  local data = ("<I4I4I4I4"):pack(told, (size + block - 1) // block, block, address)
  if chip.stub or rom.encrypted_word then data = data .. "\0\0\0\0" end
  util.command(chip, ("erasing 0x%X to 0x%X"):format(address, address + size - 1), FLASH_BEGIN, data,
               { timeout = util.timeout(chip, "erase_region_timeout_per_mb", size) })
end

--- What is left, when the chip can tell; an erase that did nothing is not a success.
local function check_empty(chip, address, size, opts)
  local write = require "esp.flash_write"
  if opts.verify == false or not write.has_md5(chip) then return false end
  local empty = require "esp.flash_repair".empty_md5(size)
  if write.md5_compared(chip, address, size, empty) == empty then return true end
  fail { code = "erase_failed",
         message = ("0x%X to 0x%X is not empty after erasing"):format(address, address + size - 1),
         hint = "is flash write-protected? see its status registers" }
end

local function run(chip, address, size, opts)
  local started, done = task.now(), 0
  util.stage(chip, opts, "erase", ("erasing 0x%X to 0x%X"):format(address, address + size - 1))
  local ok, err = pcall(function()
    util.progress(opts, 0, size, { phase = "erase", address = address })
    while done < size do
      -- The first piece ends at a border of 64 KiB, the rest begins at one: whole blocks are erased at once.
      local n = math.min(CHUNK - (address + done) % util.BLOCK64, size - done)
      begin(chip, address + done, n)
      done = done + n
      util.progress(opts, done, size, { phase = "erase", address = address + done })
    end
  end)
  if not ok then
    if fail.is(err) then
      err.erased = done
      err.message = ("%s (0x%X of 0x%X bytes from 0x%X on are erased)"):format(err.message, done, size, address)
    end
    error(err, 0)
  end
  local seconds = task.now() - started
  return { address = address, size = size, seconds = seconds, verified = check_empty(chip, address, size, opts) }
end

local function prepare(chip, opts)
  attach.ready(chip, opts)
  return attach.set_size(chip, opts.flash_size or (chip.sdm and SDM_SIZE or "detect"), opts)
end

--- Erase a region.
-- @param address multiple of the sector size (0x1000)
-- @param size likewise; "ALL" up to the end of flash
-- @param opts { force =, flash_size =, spi_connection =, verify = false, progress =, on_event = }
-- @return { address =, size =, seconds =, verified = }
-- @raise bad_argument, protected_region, does_not_fit, erase_failed, cancelled
function M.region(chip, address, size, opts)
  opts = opts or {}
  local all = type(size) == "string" and size:upper() == "ALL"
  check_multiple(address, "address", true)
  if not all then check_multiple(size, "size") end
  util.again(chip, 3, checks.erasable, chip, opts, address)
  local known = prepare(chip, opts)
  if all then
    if not known.limit or chip.sdm and not opts.flash_size then
      fail { code = "flash_size_unknown", message = "erase: where flash ends is not known", hint = SIZE_HINT }
    end
    size = known.limit - address
  end
  checks.fits({ { name = "erase", address = address, size = math.max(size, 1) } }, known.limit or known.reach)
  return run(chip, address, size, opts)
end

--- Erase all of flash. The ROM loader has no command for it, so it is erased region by region.
-- @param opts as for region
function M.all(chip, opts)
  opts = opts or {}
  util.again(chip, 3, checks.erasable, chip, opts, 0)
  local known = prepare(chip, opts)
  local size = known.limit
  if not size and chip.stub and not chip.sdm then
    local started = task.now()
    util.stage(chip, opts, "erase", "erasing all of flash")
    util.command(chip, "erasing all of flash", ERASE_FLASH, "", { timeout = util.config(chip, "chip_erase_timeout") })
    return { address = 0, seconds = task.now() - started, verified = false }
  end
  if not size or chip.sdm and not opts.flash_size then
    fail { code = "flash_size_unknown", message = "erase: the size of flash is not known", hint = SIZE_HINT }
  end
  if known.capped then
    util.warn(chip, opts, "flash_beyond_16mb", "only the first 16 MB are erased")
  end
  return run(chip, 0, size, opts)
end

return M
