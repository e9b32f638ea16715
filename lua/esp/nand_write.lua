--- Writing serial NAND flash: files and bytes into good blocks; what fails is marked, and the next one takes its place.
local fail = require "esp.error"
local common = require "esp.nand_util"
local input = require "esp.input"
local task = require "esp.core.task"
local util = require "esp.flash_util"
local M = {}

local BLOCK = common.BLOCK
local LIMIT_HINT = "--nand-end-address allows it to go further"

-- Where the room of a region ends: at the end that was given, else with the blocks that it needs when none is bad; at
-- the next region in any case. Returns that, and what to say when it is not enough.
local function room_of(region, after, opts)
  local own = (region.address + region.size + BLOCK - 1) // BLOCK * BLOCK
  local stop, hint = opts.end_address or own, not opts.end_address and LIMIT_HINT or nil
  if after and after.address < stop then
    stop, hint = after.address, ("%s begins there; leave more room between them"):format(after.name)
  end
  if stop > common.SIZE then stop, hint = common.SIZE, nil end
  return stop, hint
end

-- All that can be known before the first block is erased.
local function plan(self, regions, opts)
  table.sort(regions, function(a, b) return a.address < b.address end)
  local plans = {}
  for i, r in ipairs(regions) do
    common.check_multiple(r.name, "address", r.address)
    common.check_range(r.name, r.address, r.size)
    local stop, hint = room_of(r, regions[i + 1], opts)
    local runs, skipped, left = self:layout(r.address, r.size, stop)
    if left > 0 then common.no_room(r.name, r.address, stop, skipped, left, hint) end
    plans[i] = { region = r, stop = stop, hint = hint, runs = runs, skipped = skipped }
  end
  return plans
end

-- One run of the engine for one block. Returns what it returns, or nil and an error object.
local function send_block(self, payload, address, opts, progress)
  local chip = self.chip
  local can = chip.stub_can
  local result, message, code, details = chip.link:write_flash {
    payload = payload, address = common.SPACE + address, block = can.ahead_block,
    compress = opts.compress ~= false and util.ask(payload, "packed") and true or false,
    credit = can.credit, attempts = util.config(chip, "write_block_attempts"),
    timeout = { begin = util.config(chip, "timeout"), block = common.ERASE_TIME }, progress = progress,
  }
  if result then return result end
  local _, err = pcall(common.checked, ("writing block 0x%X"):format(address), nil, message, code, details)
  return nil, err
end

-- Writes one block's worth; whatever the line damages is sent again. Returns the engine's result, or nil and why the
-- part refused it.
local function write_run(self, region, run, opts, tell)
  local last
  for _ = 1, 3 do
    local payload = input.part(region, run.done, run.size)
    local result, err = send_block(self, payload, run.address, opts, tell)
    payload:close()
    if result then return result end
    if err.code == "nand_program_failed" or err.code == "nand_erase_failed" then
      -- What reads otherwise although the part is content is tried once more.
      if err.details.error ~= 0xE2 or last and last.details and last.details.error == 0xE2 then return nil, err end
    elseif not util.line_fault(err) then
      error(err, 0)
    else
      self.chip.flash_faults = (self.chip.flash_faults or 0) + 1
      util.settle(self.chip)
    end
    last = err
  end
  error(last, 0)
end

local function write_region(self, p, opts)
  local region, chip, started = p.region, self.chip, task.now()
  local entry = { name = region.name, address = region.address, size = region.size, failed = {}, wire = 0,
                  skipped = p.skipped }
  local runs, i = p.runs, 1
  util.stage(chip, opts, "write", ("%s: writing %d bytes at 0x%X"):format(region.name, region.size, region.address),
             { region = util.about(region) })
  common.tell_skipped(self, opts, region.name, p.skipped)
  local function tell(done)
    if opts.progress then
      return opts.progress(math.min(runs[i].done + done, region.size), region.size,
                           { phase = "write", address = runs[i].address + done, region = util.about(region) })
    end
  end
  while runs[i] do
    local run = runs[i]
    local ok, result, err = pcall(write_run, self, region, run, opts, tell)
    if ok and not result then
      local block = run.address // BLOCK
      ok, result = pcall(common.condemn, self, region, block, err, opts, entry)
      if ok then
        local more, skipped, left = self:layout(run.address, region.size - run.done, p.stop)
        if left > 0 then
          ok, result = pcall(common.no_room, region.name, run.address, p.stop, skipped, left, p.hint)
        else
          for k = #runs, i, -1 do runs[k] = nil end
          for k, r in ipairs(more) do
            runs[i + k - 1] = { address = r.address, size = r.size, done = run.done + r.done }
          end
        end
      end
    elseif ok then
      entry.wire = entry.wire + (result.wire or 0)
      entry.packed = entry.packed or result.compressed
      i = i + 1
    end
    if not ok then
      local e = result
      if fail.is(e) then
        e.region, e.written = util.about(region), run.done
        e.message = ("%s; %s is not complete (0x%X of 0x%X bytes are written)"):format(e.message, region.name, run.done,
                                                                                     region.size)
      end
      error(e, 0)
    end
  end
  local last = runs[#runs]
  local _, skipped = self:layout(region.address, region.size, common.SIZE)
  entry.skipped, entry.seconds = skipped, task.now() - started
  entry.last = last and last.address + last.size - 1 or region.address
  entry.verified = chip.stub_can.compare and chip.stub_can.crc and true or false
  if #entry.failed > 0 then common.tell_skipped(self, opts, region.name, skipped) end
  if opts.each then opts.each(entry) end
  return entry
end

--- Write files or bytes. Each begins at the start of a block, goes on in the next good one, and is compared by the stub
-- as the part gives it back. Nothing is erased before all of it has its place.
-- @param list of { address, path or { data = }, ... } or of regions of esp.input
-- @param opts { end_address = where the room ends (by default it is what is needed when no block is bad), compress =,
--   progress =, on_event =, each = function(entry) }
-- @return list of { name, address, size, skipped = blocks left out, failed = blocks that were marked, last = address of
--   the last byte, wire, seconds, verified }
-- @raise bad_argument, does_not_fit, nand_no_room, nand_not_marked, nand_program_failed, flash_protected
function M.write(self, list, opts)
  opts = opts or {}
  common.must_change(self, "writing")
  local regions = list[1] and list[1].payload and list or input.load_all(list)
  local done = {}
  local ok, err = pcall(function()
    input.check_overlap(regions)
    for i, p in ipairs(plan(self, regions, opts)) do done[i] = write_region(self, p, opts) end
  end)
  input.close(regions)
  if not ok then error(err, 0) end
  return done
end

return M
