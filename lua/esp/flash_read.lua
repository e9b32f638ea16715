--- Reading flash, and comparing it with files.
local fail = require "esp.error"
local attach = require "esp.flash_attach"
local checks = require "esp.flash_checks"
local input = require "esp.input"
local inputs = require "esp.inputs"
local spiflash = require "esp.spiflash"
local util = require "esp.flash_util"
local M = {}

local PIECE = 0x4000                       -- read, then compared with the chip's digest of it
local PIECE_OF_STUB = 0x40000              -- which has its own digest
local PACKET, AHEAD = 0x2000, 0x20000      -- content of a packed packet; of what may be on the way
local PLAIN_WINDOW = 64
local LISTED = 64                          -- differences listed unless told otherwise

local function refuse_sdm(chip, what)
  if chip.sdm then
    fail { code = "unsupported", message = what .. ": not possible in secure download mode",
           hint = "only writing and erasing flash work in this mode" }
  end
end

-- One run of the engine through a stub. Returns what it returns.
local function run(chip, address, size, progress, sink)
  local can = chip.stub_can
  local packed = can and can.packed
  return chip.link:read_flash { address = address, size = size, progress = progress, sink = sink, packed = packed,
    packet = packed and math.min(PACKET, can.window_bytes) or util.SECTOR,
    window = packed and AHEAD // PACKET or PLAIN_WINDOW, timeout = util.config(chip, "timeout") }
end

--- Bytes of flash through a stub.
function M.bytes(chip, address, size, progress)
  return util.again(chip, 3, function()
    return util.raise(("reading flash at 0x%X"):format(address), nil, run(chip, address, size, progress))
  end)
end

-- Reads a range packed; what the sink gets has been checked already, so a fault costs no more than what is missing.
local function each_packed(chip, address, size, sink, opts)
  local done, stuck = 0, 0
  while done < size do
    local before = done
    local ok, err = pcall(util.raise, ("reading flash at 0x%X"):format(address + done), nil,
      run(chip, address + done, size - done, function(now)
        if not opts.progress then return end
        return opts.progress(math.min(before + now, size), size, { phase = "read", address = address + before + now })
      end, function(bytes)
        sink(bytes, done)
        done = done + #bytes
      end))
    if not ok then
      stuck = done > before and 1 or stuck + 1
      if stuck >= 3 or not (fail.is(err) and util.line_fault(err)) then error(err, 0) end
      chip.flash_faults = (chip.flash_faults or 0) + 1
      util.settle(chip)
    end
  end
  util.progress(opts, size, size, { phase = "read", address = address + size })
  return true
end

local function read_piece(chip, address, size, progress)
  if chip.stub then return M.bytes(chip, address, size, progress) end
  if chip.data.rom.read_slow then
    return util.again(chip, 3, function()
      return util.raise(("reading flash at 0x%X"):format(address), "is the address inside of flash? try a flash size",
        chip.link:read_flash_slow { address = address, size = size, progress = progress })
    end)
  end
  local parts = {}
  for at = 0, size - 1, 64 do
    parts[#parts + 1] = spiflash.read(chip, address + at, math.min(64, size - at))
    if progress and progress(at, size) == false then fail { code = "cancelled", message = "cancelled" } end
  end
  return table.concat(parts)
end

--- A piece that is right by the chip's own digest: answers to reading carry no checksum.
local function sure_piece(chip, address, size, progress)
  local write = require "esp.flash_write"
  local check = write.has_md5(chip) and not chip.stub
  local digest = require "esp.core.digest"
  for _ = 1, 3 do
    local bytes = read_piece(chip, address, size, progress)
    if #bytes ~= size then
      fail { code = "bad_reply",
             message = ("reading flash at 0x%X: %d bytes, expected %d"):format(address, #bytes, size) }
    end
    if not check or digest.md5(bytes) == write.md5(chip, address, size) then return bytes, check or chip.stub end
    chip.flash_faults = (chip.flash_faults or 0) + 1
  end
  fail { code = "verify_failed", message = ("reading flash at 0x%X: what arrives differs from the chip's digest")
    :format(address), hint = "lower the baud rate, check the cable" }
end

--- Read a range piece by piece into a sink.
-- @param sink function(bytes, offset)
-- @return whether it was compared with the chip's digests
function M.each(chip, address, size, sink, opts)
  local done, checked = 0, true
  util.progress(opts, 0, size, { phase = "read", address = address })
  if chip.stub_can and chip.stub_can.packed then return each_packed(chip, address, size, sink, opts) end
  while done < size do
    local n = math.min(chip.stub and PIECE_OF_STUB or PIECE, size - done)
    local function progress(now)
      if not opts.progress then return end
      return opts.progress(done + now, size, { phase = "read", address = address + done + now })
    end
    local bytes, sure = sure_piece(chip, address + done, n, progress)
    checked = checked and sure
    sink(bytes, done)
    done = done + n
    util.progress(opts, done, size, { phase = "read", address = address + done })
  end
  return checked
end

local function settle_range(chip, address, size, opts)
  attach.ready(chip, opts)
  local flash_size = opts.flash_size
  local known = attach.set_size(chip, flash_size or "keep", opts)
  local limit = known.limit
  if type(size) == "string" and size:upper() == "ALL" then
    if not limit then
      fail { code = "flash_size_unknown", message = "read: the size of flash is not known",
             hint = "give the flash size" }
    end
    size = limit - address
  end
  if math.type(address) ~= "integer" or math.type(size) ~= "integer" or address < 0 or size < 0 then
    fail { code = "bad_argument", message = "read: address and size must not be negative" }
  end
  if limit then checks.fits({ { name = "read", address = address, size = math.max(size, 1) } }, limit) end
  return size
end

--- Read flash.
-- @param address where to begin
-- @param size bytes, or "ALL" for what there is from address on
-- @param opts { file = path to write to instead of returning the bytes, flash_size =, spi_connection =,
--   progress =, on_event = }
-- @return bytes, or true when a file is written; and { size =, seconds =, verified = }
-- @raise does_not_fit, flash_size_unknown, unsupported, cancelled, verify_failed; the file appears only when complete
function M.read(chip, address, size, opts)
  opts = opts or {}
  refuse_sdm(chip, "reading flash")
  local task = require "esp.core.task"
  local started = task.now()
  size = settle_range(chip, address, size, opts)
  util.stage(chip, opts, "read", ("reading %d bytes from 0x%X"):format(size, address))
  local checked, bytes
  if opts.file then
    local fs = require "esp.core.fs"
    local f <close> = fail.check(nil, nil, fs.create(opts.file))
    checked = M.each(chip, address, size, function(b) fail.check(nil, nil, f:write(b)) end, opts)
    fail.check(nil, nil, f:commit())
    bytes = true
  else
    local parts = {}
    checked = M.each(chip, address, size, function(b) parts[#parts + 1] = b end, opts)
    bytes = table.concat(parts)
  end
  return bytes, { size = size, seconds = task.now() - started, verified = checked }
end

--- Addresses where flash and a region's bytes differ.
local function differences(chip, region, opts)
  local list, count, payload = {}, 0, region.payload
  local most = opts.limit or LISTED
  M.each(chip, region.address, payload:size(), function(flash, offset)
    local file = util.ask(payload, "read", offset, #flash)
    if file == flash then return end
    for i = 1, #flash do
      if file:byte(i) ~= flash:byte(i) then
        count = count + 1
        if #list < most then
          list[#list + 1] = { address = region.address + offset + i - 1, flash = flash:byte(i), file = file:byte(i) }
        end
      end
    end
  end, opts)
  list.count = count
  return list
end

local function compare(chip, region, opts)
  local write = require "esp.flash_write"
  local hex = require "esp.core.digest".hex
  local result = { address = region.address, name = region.name, size = region.payload:size() }
  if chip.stub_can and chip.stub_can.digests and require "esp.flash_digests".equal(chip, region) then
    result.equal, result.by_digest = true, true
    return result
  end
  if write.has_md5(chip) then
    result.by_digest = true
    local file = util.ask(region.payload, "md5")
    local flash = write.md5_compared(chip, region.address, result.size, file)
    result.equal, result.file_md5, result.flash_md5 = flash == file, hex(file), hex(flash)
    if result.equal or not opts.diff then return result end
  end
  result.differences = differences(chip, region, opts)
  result.equal = result.differences.count == 0
  return result
end

--- Compare flash with a file or bytes. Nothing is written; an image at the bootloader's place is compared as
-- chip:flash with the same settings would have written it.
-- @param address where; nil for what has its own addresses, see esp.inputs. Or a list as chip:flash takes it, and
--   opts as the next parameter
-- @param spec path or { data = }, see esp.input
-- @param opts { diff = true for addresses that differ, limit = how many (64), flash_mode, flash_freq, flash_size,
--   spi_connection, progress, on_event, each = function(region), called as soon as one is compared }
-- @return true, or false; and a list per region { address, name, size, equal, by_digest, file_md5, flash_md5 (both
--   where they were needed), differences = { {address, flash, file}, ..., count = } }
function M.verify(chip, address, spec, opts)
  local list = { { address or false, spec } }
  if type(address) == "table" then list, opts = address, spec end
  opts = opts or {}
  refuse_sdm(chip, "verifying flash")
  local regions = inputs.load_all(list, util.about_chip(chip, opts))
  opts = util.with_settings(opts, regions.settings)
  local details, equal
  local ok, err = pcall(function()
    checks.header_settings(chip, opts, regions)
    attach.ready(chip, opts)
    local size = attach.set_size(chip, opts.flash_size, opts)
    checks.fits(regions, size.limit or size.reach)
    local settings = checks.header_settings(chip, opts, regions, size.header)
    equal, details = util.compare_all(chip, regions, opts, function(r) return compare(chip, r, opts) end, function(r)
      local patches = checks.header_patches(chip, r, settings, opts)
      if patches then input.prepare(r, { patches = patches }) end
    end)
  end)
  input.close(regions)
  if not ok then error(err, 0) end
  return equal, details
end

return M
