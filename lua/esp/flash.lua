--- The chip object's methods that concern flash. esp.chip copies this table into its class.
local attach = require "esp.flash_attach"
local erase = require "esp.flash_erase"
local fail = require "esp.error"
local identity = require "esp.identity"
local read = require "esp.flash_read"
local spiflash = require "esp.spiflash"
local util = require "esp.flash_util"
local write = require "esp.flash_write"

local Flash = { flash = write.flash, read = read.read, verify = read.verify, erase = erase.region,
                erase_all = erase.all }
for name, method in pairs(require "esp.partition_chip".methods) do Flash[name] = method end

--- Attach flash and tell the loader its size. The other methods do this themselves.
-- @param opts { spi_connection = nil, "SPI", "HSPI" or "CLK,Q,D,HD,CS", flash_size = "keep", "detect" or a size,
--   on_event = }
-- @return { size = bytes or nil, id = number or nil, answers = whether flash answers, pins = }
function Flash:attach(opts)
  opts = opts or {}
  local state = attach.attach(self, opts)
  attach.set_size(self, opts.flash_size, opts)
  return state
end

--- Serial NAND flash, where esp.connect was called with flash_type = "nand".
-- @param opts { spi_connection = pins, on_event = }
-- @return object, see esp.nand
function Flash:nand(opts)
  return require "esp.nand".open(self, opts)
end

local function not_in_sdm(chip, what)
  if chip.sdm then
    fail { code = "unsupported", message = what .. ": not possible in secure download mode",
           hint = "only writing and erasing flash work in this mode" }
  end
end

--- Who made flash, and how large it is.
-- @return { manufacturer =, device =, raw =, size = bytes or nil, size_name = "4MB" or nil, answers =, type = "quad"
--   or "octal" or nil, voltage = { voltage =, source = } or nil }
function Flash:flash_id(opts)
  not_in_sdm(self, "reading the id of flash")
  local state = attach.attach(self, opts)
  local id = spiflash.describe(state.id)
  id.size, id.answers = state.size, state.answers
  id.size_name = state.size and util.size_name(state.size) or nil
  id.type, id.voltage = identity.flash_type(self), identity.flash_voltage(self)
  return id
end

--- Bytes of flash's own description of itself.
-- @param address first byte; n how many, 1 to 256
function Flash:sfdp(address, n, opts)
  not_in_sdm(self, "reading SFDP")
  attach.attach(self, opts)
  return spiflash.sfdp(self, address, n)
end

--- Send flash any command; see esp.spiflash.command.
-- @return the bytes it answers
function Flash:spi_command(command)
  not_in_sdm(self, "SPI commands")
  attach.attach(self)
  return spiflash.command(self, command)
end

--- Read the status registers.
-- @param count 1 to 3 (2), or opts with bytes =
function Flash:flash_status(count)
  local opts = type(count) == "table" and count or { bytes = count }
  not_in_sdm(self, "reading the status of flash")
  attach.attach(self, opts)
  return spiflash.read_status(self, opts.bytes or 2)
end

--- Write the status registers.
-- @param value first register in the low byte
-- @param opts { bytes = 1 to 3 (2), non_volatile = whether it survives power off, spi_connection = }
-- @return status before, status after
function Flash:write_flash_status(value, opts)
  opts = opts or {}
  local count = opts.bytes or 2
  if math.type(value) ~= "integer" or value < 0 or value >= 1 << 8 * count then
    fail { code = "bad_argument",
           message = ("flash status %s does not fit into %d bytes"):format(tostring(value), count) }
  end
  not_in_sdm(self, "writing the status of flash")
  attach.attach(self, opts)
  local before = spiflash.read_status(self, count)
  spiflash.write_status(self, value, count, opts.non_volatile)
  return before, spiflash.read_status(self, count)
end

--- Digest of a range of flash.
-- @return 32 hexadecimal digits
function Flash:md5(address, size, opts)
  if math.type(address) ~= "integer" or math.type(size) ~= "integer" or address < 0 or size < 0
     or address + size > 1 << 32 then
    error("md5: address and size are integers from 0 on, within 32 bits", 2)
  end
  attach.attach(self, opts)
  attach.set_size(self, opts and opts.flash_size, opts)
  return require "esp.core.digest".hex(write.md5(self, address, size))
end

return Flash
