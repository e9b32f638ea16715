--- Reading serial NAND flash, and comparing it with files. Blocks that are bad are left out.
local fail = require "esp.error"
local common = require "esp.nand_util"
local task = require "esp.core.task"
local util = require "esp.flash_util"
local M = {}

local CHECK = 0xF9

-- What the part's error correction has to say of a range.
local function ecc(self, address, size, tolerant)
  local fixed, body = common.command(self, ("reading 0x%X"):format(address), CHECK,
                              ("<I4I4I4"):pack(address, size, tolerant and 1 or 0))
  local lost, first = ("<I4I4"):unpack(body)
  return fixed, lost, first
end

--- How a range does: pages that needed correction, and those that are beyond it.
-- @return { pages =, corrected =, lost =, first_lost = page or nil, blocks = number of good ones, skipped = }
function M.check(self, address, size, opts)
  common.check_range("checking", address, size)
  local runs, skipped = self:layout(address, size, common.SIZE)
  local result = { pages = 0, corrected = 0, lost = 0, blocks = #runs, skipped = skipped }
  for _, run in ipairs(runs) do
    local fixed, lost, first = ecc(self, run.address, run.size)
    result.pages = result.pages + (run.size + common.PAGE - 1) // common.PAGE
    result.corrected, result.lost = result.corrected + fixed, result.lost + lost
    if lost > 0 then result.first_lost = result.first_lost or first end
    util.progress(opts, run.done + run.size, size, { phase = "read", address = run.address })
  end
  return result
end

local function read_run(self, run, opts, progress)
  local chip = self.chip
  local fixed, lost, first = ecc(self, run.address, run.size, opts.force)
  if lost > 0 then
    local text = ("page %d (0x%X) has more wrong bits than NAND flash can correct%s"):format(first, first * common.PAGE,
      lost > 1 and (", and %d more of its block"):format(lost - 1) or "")
    if not opts.force then
      fail { code = "nand_uncorrectable", message = text, page = first, hint = "--force reads what there is" }
    end
    util.warn(chip, opts, "nand_uncorrectable", text, { page = first })
  end
  return util.again(chip, 3, function()
    return (common.checked(("reading 0x%X"):format(run.address), chip.link:read_flash {
      address = common.SPACE + run.address, size = run.size, packed = chip.stub_can.packed and true or false,
      packet = chip.stub_can.packed and 0x2000 or 0x1000, window = chip.stub_can.packed and 16 or 64,
      timeout = util.config(chip, "timeout"), progress = progress }))
  end), fixed
end

-- What lies in a range, block by block, the bad ones as well.
local function filled(self, address, size, stop)
  local runs, skipped, done, bad = {}, {}, 0, {}
  for _, block in ipairs(self:bad_blocks()) do bad[block] = true end
  while done < size and address < stop do
    local block = address // common.BLOCK
    local n = math.min(common.BLOCK - address % common.BLOCK, size - done, stop - address)
    runs[#runs + 1] = { address = address, size = n, done = done, bad = bad[block] }
    if bad[block] then skipped[#skipped + 1] = block end
    address, done = address + n, done + n
  end
  return runs, skipped, size - done
end

local function blank(_, run) return ("\xFF"):rep(run.size), 0 end

--- Read what begins at an address, without the blocks that are bad.
-- @param size bytes; "ALL": all good blocks from there on
-- @param opts { file = path to write to instead of returning the bytes, end_address =, fill = true: 0xFF in the place
--   of bad blocks, so that every byte keeps its place; force = true reads also what cannot be corrected, progress =,
--   on_event = }
-- @return bytes, or true when a file is written; and { size =, seconds =, skipped =, corrected = pages }
-- @raise does_not_fit, nand_no_room, nand_uncorrectable; the file appears only when complete
function M.read(self, address, size, opts)
  opts = opts or {}
  local stop = math.min(opts.end_address or common.SIZE, common.SIZE)
  local all = type(size) == "string" and size:upper() == "ALL"
  common.check_range("reading", address, all and 0 or size)
  local runs, skipped, left = self:layout(address, all and stop - address or size, stop)
  if opts.fill then runs, skipped, left = filled(self, address, all and stop - address or size, stop) end
  if left > 0 and not all then common.no_room("reading", address, stop, skipped, left) end
  if all then
    size = 0
    for _, run in ipairs(runs) do size = size + run.size end
  end
  local started, corrected = task.now(), 0
  util.stage(self.chip, opts, "read", ("reading %d bytes from 0x%X"):format(size, address))
  if not opts.fill then common.tell_skipped(self, opts, "reading", skipped) end
  local function each(sink)
    util.progress(opts, 0, size, { phase = "read", address = address })
    for _, run in ipairs(runs) do
      local bytes, fixed = (run.bad and blank or read_run)(self, run, opts, function(now)
        if opts.progress then
          return opts.progress(run.done + now, size, { phase = "read", address = run.address + now })
        end
      end)
      corrected = corrected + fixed
      sink(bytes)
    end
  end
  local bytes = true
  if opts.file then
    local f <close> = fail.check(nil, nil, require "esp.core.fs".create(opts.file))
    each(function(b) fail.check(nil, nil, f:write(b)) end)
    fail.check(nil, nil, f:commit())
  else
    local parts = {}
    each(function(b) parts[#parts + 1] = b end)
    bytes = table.concat(parts)
  end
  return bytes, { size = size, seconds = task.now() - started, skipped = skipped, corrected = corrected }
end

-- The bytes of a block that differ from the file.
local function differences(self, run, file, opts, list)
  local flash = read_run(self, run, { force = true, on_event = opts.on_event })
  for i = 1, #file do
    if file:byte(i) ~= flash:byte(i) then
      list.count = list.count + 1
      if #list < (opts.limit or 64) then
        list[#list + 1] = { address = run.address + i - 1, flash = flash:byte(i), file = file:byte(i) }
      end
    end
  end
end

local function compare(self, region, opts)
  local stop = math.min(opts.end_address or common.SIZE, common.SIZE)
  common.check_range(region.name, region.address, region.size)
  local runs, skipped, left = self:layout(region.address, region.size, stop)
  if left > 0 then common.no_room(region.name, region.address, stop, skipped, left) end
  local result = { name = region.name, address = region.address, size = region.size, equal = true, skipped = skipped,
                   by_digest = true, wrong = {}, differences = opts.diff and { count = 0 } or nil }
  local digest = require "esp.core.digest"
  common.tell_skipped(self, opts, region.name, skipped)
  for _, run in ipairs(runs) do
    local file = util.ask(region.payload, "read", run.done, run.size)
    local chip = self.chip
    local found = util.again(chip, 3, function()
      local sum, message, code, details = chip.link:md5 {
        address = common.SPACE + run.address, size = run.size,
        timeout = util.timeout(chip, "md5_timeout_per_mb", run.size) }
      if not sum and details and details.error == 0xE7 then return false end
      return (common.checked("digest of flash", sum, message, code, details))
    end)
    if found ~= digest.md5(file) then
      result.equal, result.by_digest = false, false
      result.wrong[#result.wrong + 1] = run.address
      if opts.diff then differences(self, run, file, opts, result.differences) end
    end
    util.progress(opts, run.done + run.size, region.size, { phase = "verify", address = run.address })
  end
  return result
end

--- Compare with files or bytes what begins at an address, without the blocks that are bad.
-- @param list as for write
-- @param opts { diff = true, limit = differences listed (64), end_address =, each = function(region), progress =,
--   on_event = }
-- @return true, or false; and a list per region { name, address, size, equal, skipped, wrong = addresses of the blocks
--   that differ, differences = { {address, flash, file}, ..., count = } with diff }
function M.verify(self, list, opts)
  opts = opts or {}
  local input = require "esp.input"
  local regions = list[1] and list[1].payload and list or input.load_all(list)
  local ok, equal, details = pcall(util.compare_all, self.chip, regions, opts,
                                   function(r) return compare(self, r, opts) end)
  input.close(regions)
  if not ok then error(equal, 0) end
  return equal, details
end

return M
