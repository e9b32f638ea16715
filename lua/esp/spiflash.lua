--- Talking to the flash chip itself through the SPI controller's user registers.
-- Works on any object with read_reg(address), write_reg(address, value) and data (chip data: spi).
-- Sources: Technical Reference Manuals, "SPI Controller"; JEDEC JESD216 (SFDP); flash data sheets.
local fail = require "esp.error"
local util = require "esp.flash_util"
local M = {}

local USR_COMMAND, USR_ADDR, USR_DUMMY, USR_MISO, USR_MOSI = 1 << 31, 1 << 30, 1 << 29, 1 << 28, 1 << 27
local START = 1 << 18                      -- "user command" bit of the CMD register
local COMMAND_BITS_SHIFT, ADDRESS_BITS_SHIFT = 28, 26
local OLD_MOSI_SHIFT, OLD_MISO_SHIFT = 17, 8   -- where the ESP8266 keeps the data lengths
local MAX_BYTES = 64                       -- W0 to W15
local POLLS = 10
local RESET_TIME = 0.001                   -- seconds; data sheets say 30 us
local ATTEMPTS = 3                         -- when an answer is lost

local RDID, RDSFDP, ENABLE_RESET, RESET = 0x9F, 0x5A, 0x66, 0x99
local READ_STATUS = { 0x05, 0x35, 0x15 }
local WRITE_STATUS = { 0x01, 0x31, 0x11 }
local WRITE_ENABLE, WRITE_ENABLE_VOLATILE, WRITE_DISABLE = 0x06, 0x50, 0x04

local function add_lengths(list, spi, mosi_bits, miso_bits, address_bits, dummy_bits)
  local usr1 = 0
  if dummy_bits > 0 then usr1 = usr1 | (dummy_bits - 1) end
  if address_bits > 0 then usr1 = usr1 | (address_bits - 1) << ADDRESS_BITS_SHIFT end
  if spi.mosi_dlen then
    if mosi_bits > 0 then list[#list + 1] = { spi.base + spi.mosi_dlen, mosi_bits - 1 } end
    if miso_bits > 0 then list[#list + 1] = { spi.base + spi.miso_dlen, miso_bits - 1 } end
    if usr1 ~= 0 then list[#list + 1] = { spi.base + spi.usr1, usr1 } end
  else
    if mosi_bits > 0 then usr1 = usr1 | (mosi_bits - 1) << OLD_MOSI_SHIFT end
    if miso_bits > 0 then usr1 = usr1 | (miso_bits - 1) << OLD_MISO_SHIFT end
    list[#list + 1] = { spi.base + spi.usr1, usr1 }
  end
end

-- Many registers in one packet where the object can do that: a transfer takes ten writes.
local function write_all(chip, list)
  if chip.write_regs then return chip:write_regs(list) end
  for _, entry in ipairs(list) do chip:write_reg(entry[1], entry[2]) end
end

local function range(value, low, high, what)
  if math.type(value) ~= "integer" or value < low or value > high then
    error(("spi_command: %s must be %d to %d"):format(what, low, high), 3)
  end
end

-- A word of a register; reading it again does no harm.
local function read(chip, address)
  return util.again(chip, ATTEMPTS, chip.read_reg, chip, address)
end

-- What is written into registers for a command, and which of them hold what it reads.
local function plan(spi, c)
  local usr_reg, usr2_reg = spi.base + spi.usr, spi.base + spi.usr2
  local flags = USR_COMMAND
  if c.read_bits > 0 then flags = flags | USR_MISO end
  if #c.data > 0 then flags = flags | USR_MOSI end
  if c.address_bits > 0 then flags = flags | USR_ADDR end
  if c.dummy_bits > 0 then flags = flags | USR_DUMMY end
  local setup = {}
  add_lengths(setup, spi, #c.data * 8, c.read_bits, c.address_bits, c.dummy_bits)
  setup[#setup + 1] = { usr_reg, flags }
  setup[#setup + 1] = { usr2_reg, 7 << COMMAND_BITS_SHIFT | c.opcode }
  if c.address_bits > 0 then
    local shift = spi.addr_msb and 32 - c.address_bits or 0
    setup[#setup + 1] = { spi.base + 4, c.address << shift & 0xFFFFFFFF }
  end
  local padded = #c.data == 0 and "\0\0\0\0" or c.data .. ("\0"):rep(-#c.data % 4)
  for at = 1, #padded, 4 do setup[#setup + 1] = { spi.base + spi.w0 + at - 1, (("<I4"):unpack(padded, at)) } end
  setup[#setup + 1] = { spi.base, START }
  local wanted = {}
  for i = 0, math.max((c.read_bits + 31) // 32, 1) - 1 do wanted[#wanted + 1] = spi.base + spi.w0 + 4 * i end
  return setup, wanted
end

local function bytes_of(words)
  local parts = {}
  for i, word in ipairs(words) do parts[i] = ("<I4"):pack(word) end
  return table.concat(parts)
end

-- Several commands as a stub of ours does it: all registers in one go. It sets up the controller anew for whatever it
-- does itself. Returns nil when one of them takes longer than the next request.
local function transfer_at_once(chip, list, attempts)
  local base, exchanges, results = chip.data.spi.base, {}, {}
  for i, c in ipairs(list) do
    local setup, wanted = plan(chip.data.spi, c)
    exchanges[i] = { setup, { base, table.unpack(wanted) } }
  end
  for i, values in ipairs(util.again(chip, attempts, chip.exchanges, chip, exchanges)) do
    if table.remove(values, 1) & START ~= 0 then return nil end
    results[i] = bytes_of(values)
  end
  return results
end

local function transfer(chip, c, attempts)
  local spi = chip.data.spi
  local usr_reg, usr2_reg = spi.base + spi.usr, spi.base + spi.usr2
  local setup, wanted = plan(spi, c)
  local ours, old_usr, old_usr2 = chip.stub_can and chip.exchanges, nil, nil
  if ours then
    local results = transfer_at_once(chip, { c }, attempts)
    if results then return results[1] end
  else
    old_usr, old_usr2 = read(chip, usr_reg), read(chip, usr2_reg)
    util.again(chip, attempts, write_all, chip, setup)
  end
  local polls = 0
  while read(chip, spi.base) & START ~= 0 do
    polls = polls + 1
    if polls >= POLLS then
      fail { code = "flash_failed", message = ("SPI command 0x%02X did not finish"):format(c.opcode),
             hint = "is flash attached to these pins?" }
    end
  end
  local words = {}
  for i, address in ipairs(wanted) do words[i] = read(chip, address) end
  if not ours then util.again(chip, ATTEMPTS, write_all, chip, { { usr_reg, old_usr }, { usr2_reg, old_usr2 } }) end
  return bytes_of(words)
end

-- A command with what is not given filled in, and all of it in range.
local function checked(c)
  local cmd = { opcode = c.opcode, data = c.data or "", read_bits = c.read_bits or 0, address = c.address or 0,
                address_bits = c.address_bits or 0, dummy_bits = c.dummy_bits or 0 }
  range(cmd.opcode, 0, 0xFF, "opcode")
  range(#cmd.data, 0, MAX_BYTES, "length of data")
  range(cmd.read_bits, 0, MAX_BYTES * 8, "read_bits")
  range(cmd.address_bits, 0, 32, "address_bits")
  range(cmd.address, 0, (1 << cmd.address_bits) - 1 | (cmd.address_bits == 0 and 0xFFFFFFFF or 0), "address")
  range(cmd.dummy_bits, 0, 64, "dummy_bits")
  return cmd
end

--- Run a SPI command.
-- @param chip object with read_reg, write_reg and data
-- @param c { opcode =, data = bytes sent after the address, read_bits = 0 to 512, address =, address_bits =,
--   dummy_bits =, attempts = how often to send it when the answer is lost (3; 1 when it must not run twice) }
-- @return the bytes read, as many as read_bits needs
-- @raise flash_failed; what the registers raise
function M.command(chip, c)
  local cmd = checked(c)
  if chip.sdm then
    fail { code = "secure_download_mode", message = "SPI flash commands are not possible in secure download mode" }
  end
  return transfer(chip, cmd, c.attempts or ATTEMPTS):sub(1, (cmd.read_bits + 7) // 8)
end

local function number(bytes)
  return #bytes == 0 and 0 or (("<I" .. #bytes):unpack(bytes))
end

--- The id as flash sends it: manufacturer in the low byte, then type, then capacity.
function M.read_id(chip)
  return number(M.command(chip, { opcode = RDID, read_bits = 24 }))
end

--- Bytes of the SFDP area.
-- @param n 1 to 256
function M.sfdp(chip, address, n)
  range(n, 1, 256, "number of SFDP bytes")
  range(address, 0, 0xFFFFFF, "SFDP address")
  local parts = {}
  for at = 0, n - 1, 4 do
    parts[#parts + 1] = M.command(chip, { opcode = RDSFDP, read_bits = 8 * math.min(4, n - at), address = address + at,
                                          address_bits = 24, dummy_bits = 8 })
  end
  return table.concat(parts)
end

--- Bytes of flash by its plain read command, where the loader itself cannot read.
function M.read(chip, address, n)
  local parts = {}
  for at = 0, n - 1, MAX_BYTES do
    parts[#parts + 1] = M.command(chip, { opcode = 0x03, read_bits = 8 * math.min(MAX_BYTES, n - at),
                                          address = address + at, address_bits = 24 })
  end
  return table.concat(parts)
end

--- Status registers, the first in the low byte.
-- @param count 1 to 3 registers
function M.read_status(chip, count)
  range(count, 1, 3, "number of status bytes")
  local status = 0
  for i = 1, count do
    status = status | number(M.command(chip, { opcode = READ_STATUS[i], read_bits = 8 })) << (8 * (i - 1))
  end
  return status
end

--- Write status registers. Flash kinds differ: some take the second byte with the first command, others by
-- a command of its own, so two bytes are written both ways.
-- @param value new contents, first register in the low byte
-- @param count 1 to 3
-- @param non_volatile whether it is to survive power off
function M.write_status(chip, value, count, non_volatile)
  range(count, 1, 3, "number of status bytes")
  range(value, 0, (1 << 8 * count) - 1, "status value")
  local enable = non_volatile and WRITE_ENABLE or WRITE_ENABLE_VOLATILE
  if count == 2 then
    M.command(chip, { opcode = enable })
    M.command(chip, { opcode = WRITE_STATUS[1], data = ("<I2"):pack(value) })
    M.wait_ready(chip)
  end
  for i = 1, count do
    M.command(chip, { opcode = enable })
    M.command(chip, { opcode = WRITE_STATUS[i], data = string.char(value >> (8 * (i - 1)) & 0xFF) })
    M.wait_ready(chip)
  end
  M.command(chip, { opcode = WRITE_DISABLE })
end

--- Erase one sector (4 KiB) by flash's own command.
function M.erase_sector(chip, address)
  M.command(chip, { opcode = WRITE_ENABLE })
  M.command(chip, { opcode = 0x20, address = address, address_bits = 24 })
  M.wait_ready(chip)
end

--- Wait until flash has done what it was told (its busy bit is off).
function M.wait_ready(chip, polls)
  for _ = 1, polls or 1000 do
    if M.read_status(chip, 1) & 1 == 0 then return end
  end
  fail { code = "flash_failed", message = "flash stays busy", hint = "is it write-protected or without power?" }
end

local KIB, MIB = 1024, 1024 * 1024
-- Capacity codes. Most vendors count 2^code; from 0x20 and 0x32 on some begin anew.
local SIZES = { [0x1C] = 256 * MIB, [0x20] = 64 * MIB, [0x21] = 128 * MIB, [0x22] = 256 * MIB, [0x3A] = 64 * MIB }
for code = 0x12, 0x1B do SIZES[code] = 1 << code end
for code = 0x32, 0x39 do SIZES[code] = 1 << (code - 0x20) end
local ADESTO = 0x1F
local ADESTO_SIZES = { [4] = 512 * KIB, [5] = 1 * MIB, [6] = 2 * MIB, [7] = 4 * MIB, [8] = 8 * MIB, [9] = 16 * MIB }

--- Size in bytes that an id tells, nil when the code is unknown.
function M.size_of_id(id)
  if id & 0xFF == ADESTO then return ADESTO_SIZES[id >> 8 & 0x1F] end
  return SIZES[id >> 16 & 0xFF]
end

--- Size in bytes that the SFDP area tells, or nil.
function M.size_of_sfdp(chip)
  if M.sfdp(chip, 0, 4) ~= "SFDP" then return nil end
  local head = M.sfdp(chip, 8, 8)
  if head:byte(1) ~= 0 or head:byte(4) < 2 then return nil end
  local density = number(M.sfdp(chip, number(head:sub(5, 7)) + 4, 4))
  local bits
  if density & 0x80000000 == 0 then
    bits = density + 1
  else
    local power = density & 0x7FFFFFFF
    if power < 11 or power > 35 then return nil end
    bits = 1 << power
  end
  local bytes = bits // 8
  if bytes < 64 * KIB or bytes & (bytes - 1) ~= 0 then return nil end
  return bytes
end

--- Whether an id is one that no flash has: nothing answers.
function M.nobody(id)
  return id == 0 or id == 0xFFFFFF or id == 0xFFFF3F
end

--- Manufacturer, device (type and capacity byte) and size of flash.
function M.describe(id)
  return { raw = id, manufacturer = id & 0xFF, device = (id & 0xFF00) | (id >> 16 & 0xFF), size = M.size_of_id(id) }
end

local XMC, XMC_PLACE = 0x20, 0x10          -- its id, and where it is in the SFDP area
-- Type byte: capacity codes of the XM25QH series that start up wrongly now and then (vendor's notice).
local XMC_SERIES = { [0x40] = { 0x13, 0x20 }, [0x41] = { 0x17, 0x20 }, [0x50] = { 0x15, 0x16 } }

local function is_xmc(id)
  local codes = XMC_SERIES[id >> 8 & 0xFF]
  local capacity = id >> 16 & 0xFF
  return id & 0xFF == XMC and codes ~= nil and capacity >= codes[1] and capacity <= codes[2]
end

--- An XMC flash that started wrongly answers with a wrong id and is known by its SFDP area; cycling it
-- through its power-down states cures it.
-- @return nil when there was nothing to do, "cured" or "failed"; the id before that
function M.cure_xmc(chip)
  local id = M.read_id(chip)
  if is_xmc(id) then return nil, id end
  if M.sfdp(chip, XMC_PLACE, 1):byte() ~= XMC then return nil, id end
  local sleep = require "esp.core.task".sleep
  M.command(chip, { opcode = 0xB9 })       -- deep power-down
  M.command(chip, { opcode = 0x79 })       -- ultra deep power-down
  M.command(chip, { opcode = 0xFF })       -- leave it
  sleep(0.002)
  M.command(chip, { opcode = 0xAB })       -- release from power-down
  sleep(0.001)
  return is_xmc(M.read_id(chip)) and "cured" or "failed", id
end

--- cure_xmc where there is nothing to cure, and soft_reset, in one go. Only with a stub of ours.
-- @return id | nil: nothing is known, both have to be done one by one
function M.greet(chip)
  local results = transfer_at_once(chip, {
    checked { opcode = RDID, read_bits = 24 },
    checked { opcode = RDSFDP, read_bits = 8, address = XMC_PLACE, address_bits = 24, dummy_bits = 8 },
    checked { opcode = ENABLE_RESET }, checked { opcode = RESET },
  }, ATTEMPTS)
  require "esp.core.task".sleep(RESET_TIME)
  local id = results and number(results[1]:sub(1, 3))
  if not id or M.nobody(id) or not is_xmc(id) and results[2]:byte() == XMC then return nil end
  return id
end

--- Reset flash, so that a mode that the application left it in does not confuse the ROM.
function M.soft_reset(chip)
  M.command(chip, { opcode = ENABLE_RESET })
  M.command(chip, { opcode = RESET })
  require "esp.core.task".sleep(RESET_TIME)
end

return M
