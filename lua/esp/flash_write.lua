--- Writing flash: files to regions, each written, compared with its digest, reported.
local fail = require "esp.error"
local attach = require "esp.flash_attach"
local checks = require "esp.flash_checks"
local diff = require "esp.flash_diff"
local digests = require "esp.flash_digests"
local erase = require "esp.flash_erase"
local heal = require "esp.flash_heal"
local input = require "esp.input"
local inputs = require "esp.inputs"
local repair = require "esp.flash_repair"
local util = require "esp.flash_util"
local M = {}

local EXPANDS = 64                         -- how many times its size a compressed block is taken to stand for
local STUCK = 3                            -- breaks in one place before writing is given up
local ADDRESS_ALIGN = 4                    -- the end is filled up to this with 0xFF

local FLASH_DIFFERS = 0xE2                 -- the stub's word for a write that does not hold
local MANY_FAULTS = 8                      -- in one run of the engine, after which the rate is lowered
local AHEAD_EXPANDS = 256                  -- the same for the small blocks of our stub

function M.has_md5(chip)
  return not chip.sdm and (chip.stub or chip.data.rom.md5) and true or false
end

--- The word in FLASH_BEGIN that says whether the chip encrypts; nil where there is no such word.
local function encrypted_word(chip, encrypted)
  if chip.stub or chip.data.rom.encrypted_word then return encrypted and 1 or 0 end
  return nil
end

--- One run of the engine. Returns what it returns: a result, or nil, message, code, details.
-- @param job { payload =, address =, compress =, encrypted =, progress = }
function M.stream(chip, job)
  local size = job.payload:size()
  local can = chip.stub_can
  if can and can.window and not job.encrypted then
    local most = math.min(size, can.ahead_block * (job.compress and AHEAD_EXPANDS or 1)) + util.BLOCK64
    return chip.link:write_flash {
      payload = job.payload, address = job.address, block = can.ahead_block, compress = job.compress,
      credit = can.credit, attempts = util.config(chip, "write_block_attempts"),
      timeout = { begin = util.config(chip, "timeout"),
                  block = util.timeout(chip, "erase_write_timeout_per_mb", most) },
      progress = job.progress,
    }
  end
  local block = chip.flash_block
  local per_block = util.timeout(chip, "erase_write_timeout_per_mb", block)
  if job.compress then
    -- A compressed block may stand for many times its size, and ROM writes it before it answers.
    per_block = util.timeout(chip, "erase_write_timeout_per_mb", math.min(size, block * EXPANDS))
  end
  return chip.link:write_flash {
    payload = job.payload, address = job.address, block = block, compress = job.compress,
    begin = { encrypted = encrypted_word(chip, job.encrypted),
              erase_size = not job.compress and erase.exactly(chip, job.address, size) or nil },
    window = 1, exact = chip.stub, lag = chip.stub and not can and 1 or 0,
    attempts = util.config(chip, "write_block_attempts"),
    timeout = { begin = util.timeout(chip, "erase_region_timeout_per_mb", size), block = per_block },
    progress = job.progress,
  }
end

--- Digest of a range of flash, as the chip calculates it.
-- @return 16 bytes
-- @raise unsupported; what the link raises
function M.md5(chip, address, size)
  if not M.has_md5(chip) then
    fail { code = "unsupported", message = chip.sdm and "digests are not possible in secure download mode"
      or ("the %s's ROM loader cannot calculate digests"):format(chip.data.name) }
  end
  local timeout = util.timeout(chip, "md5_timeout_per_mb", size)
  return util.again(chip, 3, function()
    return util.raise("digest of flash", nil, chip.link:md5 { address = address, size = size, timeout = timeout })
  end)
end

--- Digest of a range of flash, to be compared. One wrong bit in an answer looks like wrong flash, so another digest
-- than the expected one counts when it comes twice.
-- @return 16 bytes
function M.md5_compared(chip, address, size, expected)
  local found, before
  for _ = 1, 4 do
    found, before = M.md5(chip, address, size), found
    if found == expected or found == before then break end
  end
  return found
end

-- The fault that a region ends with says what is in flash now.
local function half_done(err, region, done)
  if not fail.is(err) then return err end
  if not err.region then
    err.region = util.about(region)
    local state = done and ("%d of %d bytes were written"):format(done, region.size) or "its sectors may be erased"
    err.message = ("%s at 0x%X: %s; this region is not complete (%s)")
      :format(region.name, region.address, err.message, state)
  end
  return err
end

--- Where to go on after a break: what is in flash for certain, down to a sector's start.
local function resume_at(chip, job, from, last, written)
  if not job.compress then
    local latest = (last - 1) // util.SECTOR * util.SECTOR
    return math.min(math.max(from, (from + written) // util.SECTOR * util.SECTOR), latest)
  end
  -- How far the ROM came in a compressed stream is not known: the digests tell.
  if not M.has_md5(chip) or job.encrypted then return from end
  return math.max(from, repair.locate_first(chip, job, from, last))
end

-- Whether a run of the engine that went through means that flash holds what was sent: our stub has compared each
-- block's CRC-32, the stream's Adler-32, and then flash with what it was to hold.
local function compared(chip, job)
  local can = chip.stub_can
  return can and can.compare and can.crc and can.window and not job.encrypted or false
end

--- Send a region, or the part of it from `first` up to `last`. A break is healed, and writing goes on where it
-- stopped. Returns whether it is certain that all of it is there.
local function send(chip, region, job, opts, entry, first, last)
  local total = job.payload:size()
  local from, stuck, unbroken = first or 0, 0, true
  last = last or total
  while true do
    local written = 0
    local whole = from == 0 and last == total
    local payload = whole and job.payload or input.part(region, from, last < total and last - from or nil)
    local result, message, code, details = M.stream(chip, {
      payload = payload, address = job.address + from, encrypted = job.encrypted,
      compress = job.compress and (whole or util.ask(payload, "packed")) and true or false,
      progress = function(done, _, wire, begin_seconds)
        written = done
        local info = opts.progress and job.info(wire, begin_seconds)
        if info then return opts.progress(math.min(from + done, total), total, info) end
      end })
    if not whole then payload:close() end
    if result then
      entry.retries = entry.retries + (result.retries or 0) + (result.restarts or 0)
      chip.flash_faults = (chip.flash_faults or 0) + (result.faults or 0)
      entry.wire = entry.wire + (result.wire or 0)
      entry.begin_seconds = (entry.begin_seconds or 0) + (result.begin_seconds or 0)
      if (result.faults or 0) >= MANY_FAULTS then heal.slow_down(chip, opts) end
      return unbroken and compared(chip, job)
    end
    unbroken = false
    local _, err = pcall(fail, { code = code or "failed", message = message, details = details,
                                hint = util.HINTS[code] })
    written = details and details.done or written
    local curable = util.LOST_PORT[code] or util.line_fault(err) or code == "rom_error" or code == "flash_failed"
    if not curable then error(half_done(err, region, from + written), 0) end
    local ok, next_from = pcall(function()
      heal.run(chip, region, opts, err, entry, job.encrypted)
      return resume_at(chip, job, from, last, written)
    end)
    if not ok then error(half_done(next_from, region, from + written), 0) end
    stuck = next_from > from and 1 or stuck + 1
    if stuck >= STUCK and details and details.error == FLASH_DIFFERS then
      local wanted, found = util.ask(job.payload, "md5"), M.md5(chip, job.address, total)
      repair.explain(chip, region, job, repair.locate(chip, job, found), wanted, found)
    end
    if stuck >= STUCK then error(half_done(err, region, from + written), 0) end
    from = next_from
    util.warn(chip, opts, "write_again", ("%s: %s; going on at 0x%X"):format(region.name, message, job.address + from),
              { region = util.about(region) })
  end
end

local function warn_again(chip, region, job, opts, first, last)
  util.warn(chip, opts, "write_again", ("%s: 0x%X to 0x%X differ from the file, writing them again")
    :format(region.name, job.address + first, job.address + last - 1), { region = util.about(region) })
end

--- Compare what was written by digests of its sectors; the others were compared before.
local function verify_parts(chip, region, job, opts, entry, parts)
  for attempt = 1, 3 do
    local wrong = digests.differing(chip, job, parts)
    if #wrong == 0 then return true end
    if attempt == 3 then
      local wanted, found = util.ask(job.payload, "md5"), M.md5(chip, job.address, job.payload:size())
      repair.explain(chip, region, job, { first = wrong[1][1], last = wrong[#wrong][2] }, wanted, found)
    end
    entry.repairs = (entry.repairs or 0) + 1
    for _, run in ipairs(wrong) do
      warn_again(chip, region, job, opts, run[1], run[2])
      repair.rewrite(chip, job, { first = run[1], last = run[2] }, M.stream)
    end
  end
end

--- Compare with the digest; a difference is looked for, written again once, and at last explained.
local function verify(chip, region, job, opts, entry, parts)
  if opts.no_verify then
    util.note(chip, opts, "not_verified", region.name .. ": not verified, as was asked for",
              { region = util.about(region) })
    return false
  end
  if job.encrypted or not M.has_md5(chip) then
    local why = job.encrypted and "it was encrypted by the chip"
      or chip.sdm and "secure download mode does not allow it" or "this ROM loader cannot calculate digests"
    if not job.encrypted and not chip.sdm then
      local faulty = (chip.flash_faults or 0) > 0            -- this line is not to be trusted any more
      entry.sampled = repair.sample(chip, region, job, opts.read_back and "all" or faulty and "blocks" or "ends")
      if opts.read_back then return entry.sampled end
    end
    util.note(chip, opts, "not_verified", ("%s: not verified, %s%s"):format(region.name, why,
      entry.sampled and " (samples were read back and are right)" or ""), { region = util.about(region) })
    return false
  end
  util.stage(chip, opts, "verify", ("%s: verifying"):format(region.name), { region = util.about(region) })
  if parts then return verify_parts(chip, region, job, opts, entry, parts) end
  local size, wanted = job.payload:size(), util.ask(job.payload, "md5")
  for attempt = 1, 3 do
    local found = M.md5_compared(chip, job.address, size, wanted)
    if found == wanted then return true end
    local last = attempt == 3
    local damage = repair.locate(chip, job, found)
    if last or damage.empty and not repair.takes_sector(chip, job, M.stream) then
      repair.explain(chip, region, job, damage, wanted, found)
    end
    entry.repairs = (entry.repairs or 0) + 1
    warn_again(chip, region, job, opts, damage.first, damage.last)
    repair.rewrite(chip, job, damage, M.stream)
  end
end

local function already_there(chip, job)
  return M.md5(chip, job.address, job.payload:size()) == util.ask(job.payload, "md5")
end

-- What is erased: list of { first, last address }.
local function erased(chip, region, job, opts, parts)
  if region.address ~= job.address and not opts.erase_all and not (parts and parts[1][1] > 0) then
    util.note(chip, opts, "neighbour_lost", ("%s: 0x%X is not the start of a sector, 0x%X bytes before it are erased")
      :format(region.name, region.address, region.address - job.address), { region = util.about(region) })
  end
  local ranges = {}
  for i, part in ipairs(parts or { { 0, job.payload:size() } }) do
    local stop = (part[2] + util.SECTOR - 1) // util.SECTOR * util.SECTOR
    ranges[i] = { job.address + part[1], job.address + stop - 1 }
  end
  return ranges
end

--- Whether this region is sent compressed; says so when compression was wanted and does not pay.
local function compressed(chip, region, job, opts)
  local want = opts.compress
  if want == nil then want = chip.stub and true or false end
  if not want then return false end
  if not chip.stub and chip.data.rom.deflate_tail == "window" then
    util.note(chip, opts, "not_compressed", ("%s: sent as it is: the ROM loader of the %s would write zeros over up to "
      .. "32 KiB behind compressed data"):format(region.name, chip.data.name), { region = util.about(region) })
    return false
  end
  local packed = util.ask(job.payload, "packed")
  if packed then return true end
  util.note(chip, opts, "not_compressed", ("%s: compressing does not make it smaller, sent as it is")
    :format(region.name), { region = util.about(region) })
  return false
end

--- What of a region has to be sent: list of { first, last }, nil for all of it; and whether none because flash is
-- right already (true: by digest).
local function needed(chip, region, plan, opts)
  local job = plan.jobs[region]
  if job.encrypted then return nil end
  if plan.old[region] then return diff.needed(chip, region, job, plan.old[region], opts) end
  if plan.by_sectors then return digests.needed(chip, job), true end
  if plan.skip_flashed and already_there(chip, job) then return {}, true end
  return nil
end

local function send_parts(chip, region, job, plan, opts, entry, parts)
  job.compress = compressed(chip, region, job, opts)
  local ranges = erased(chip, region, job, opts, parts)
  local amount = parts and ("%d of %d"):format(entry.bytes, region.size) or tostring(region.size)
  local what = ("%s: writing %s bytes to 0x%X"):format(region.name, amount, region.address)
  local first, last = ranges[1][1], ranges[#ranges][2]
  if not opts.erase_all then
    what = ("%s, erasing 0x%X to 0x%X"):format(what, first, last)
    if #ranges > 1 then what = ("%s in %d pieces"):format(what, #ranges) end
  end
  util.stage(chip, opts, "write", what,
    { region = util.about(region), index = job.index, count = #plan.regions, erase_from = first, erase_to = last,
      erase = ranges, packed = job.compress and util.ask(job.payload, "packed") or nil, parts = parts and #parts })
  local sure = true
  for _, part in ipairs(parts or { {} }) do
    sure = send(chip, region, job, opts, entry, part[1], part[2]) and sure
  end
  return sure
end

-- Compresses while the chip looks at what it holds, when this machine has nothing else to do.
local function compress_meanwhile(regions, plan, opts)
  if not plan.by_sectors or opts.compress == false then return end
  local payloads = {}
  for _, r in ipairs(regions) do
    local job = plan.jobs[r]
    if not job.encrypted then payloads[#payloads + 1] = job.payload end
  end
  require "esp.core.task".spawn(function()
    for _, payload in ipairs(payloads) do
      if not pcall(payload.packed, payload) then return end       -- closed: what it was for has ended
    end
  end)
end

local function write_region(chip, region, plan, opts, report)
  local now = require "esp.core.task".now
  local job, started = plan.jobs[region], now()
  local size = job.payload:size()
  local entry = { address = region.address, name = region.name, size = region.size, bytes = size, wire = 0,
                  seconds = 0, verified = false, skipped = false, retries = 0, encrypted = job.encrypted or nil }
  report[#report + 1] = entry
  job.index = #report
  job.info = function(wire, begin_seconds)
    return { name = region.name, address = region.address, size = region.size, index = job.index,
             count = #plan.regions, wire = wire, phase = "write", begin_seconds = begin_seconds }
  end
  compress_meanwhile({ region }, plan, opts)
  local parts, sure = needed(chip, region, plan, opts)
  if parts and #parts == 0 then
    entry.skipped, entry.verified = true, sure
    util.note(chip, opts, "already_flashed", ("%s: already in flash at 0x%X"):format(region.name, region.address),
              { region = util.about(region) })
  else
    if parts then
      entry.bytes = 0
      for _, part in ipairs(parts) do entry.bytes = entry.bytes + part[2] - part[1] end
      entry.kept = size - entry.bytes
      util.note(chip, opts, "kept", ("%s: %d of %d bytes are in flash already"):format(region.name, entry.kept, size),
                { region = util.about(region), kept = entry.kept })
    end
    local certain = send_parts(chip, region, job, plan, opts, entry, parts)
    entry.seconds = now() - started
    entry.verified = certain and (sure or not parts) or verify(chip, region, job, opts, entry, sure and parts)
  end
  entry.verify_seconds = now() - started - entry.seconds
  input.close { region }
  util.emit(chip, opts, { type = "result", code = entry.skipped and "skipped" or "written", region = entry,
    text = ("%s: %d bytes at 0x%X %s"):format(region.name, region.size, region.address,
      entry.skipped and "were there already" or entry.verified and "written and verified" or "written") })
end

local function options(chip, opts, regions)
  if opts.compress and not chip.stub and not chip.data.rom.deflate then
    fail { code = "unsupported", message = ("the %s's ROM loader takes no compressed data"):format(chip.data.name),
           hint = "leave --compress out, or use the flasher stub" }
  end
  local skip, comparing = opts.skip_flashed, opts.skip_flashed
  for i, r in ipairs(regions) do
    if opts.diff_with and opts.diff_with[i] then r.old = opts.diff_with[i] end
    comparing = comparing or r.old
  end
  local why = opts.erase_all and "everything is erased first" or opts.encrypt and "it is encrypted by the chip"
    or chip.sdm and "secure download mode gives no digests"
    or not M.has_md5(chip) and "this ROM loader cannot calculate digests"
  if comparing and why then
    util.note(chip, opts, "skip_impossible", "what is in flash already cannot be skipped: " .. why)
    skip = false
  end
  local can = chip.stub_can
  return { regions = regions, skip_flashed = skip, diff = not why, jobs = {}, old = {},
           by_sectors = not why and not opts.full and can and can.digests }
end

local function prepare_regions(chip, regions, plan, settings, opts)
  for _, r in ipairs(regions) do
    local encrypted = checks.encrypted(r, opts)
    local before = r.address % util.SECTOR
    local payload = input.prepare(r, {
      before = before, pad = encrypted and chip.data.flash.encrypted_align or ADDRESS_ALIGN,
      patches = util.again(chip, 3, checks.header_patches, chip, r, settings, opts) })
    plan.jobs[r] = { payload = payload, address = r.address - before, encrypted = encrypted, before = before }
    if plan.diff and r.old and not encrypted then
      plan.old[r] = diff.load(r, function(old) return checks.header_patches(chip, old, settings, opts) end)
    end
  end
end

-- Tells the loader the size of flash, and where that is to be known looks for what flash holds already, in one go.
local function look_ahead(chip, plan, request)
  local jobs = {}
  for _, r in ipairs(plan.regions) do
    if plan.by_sectors and not plan.old[r] and not plan.jobs[r].encrypted then jobs[#jobs + 1] = plan.jobs[r] end
  end
  local told = digests.look(chip, jobs, request)
  if request and told then attach.params_set(chip, request) elseif request then attach.set_params(chip, request) end
end

--- Everything that can be known before anything is written.
local function prepare(chip, regions, opts)
  input.check_overlap(regions, util.SECTOR)
  checks.encrypt_if_on(chip, regions)
  local foresight = require "esp.foresight"
  foresight.look(chip, foresight.writing)
  util.again(chip, 3, checks.run, chip, regions, opts)
  chip.known = nil
  local plan = options(chip, opts, regions)
  checks.header_settings(chip, opts, regions)
  -- What does not depend on flash comes first: while its answers are on the way, this machine has time to compress.
  local early, late = {}, {}
  for _, r in ipairs(regions) do
    local list = r.address == chip.data.bootloader_offset and late or early
    list[#list + 1] = r
  end
  prepare_regions(chip, early, plan, nil, opts)
  compress_meanwhile(early, plan, opts)
  attach.ready(chip, opts)
  local size = attach.set_size(chip, opts.flash_size, opts, true)
  checks.fits(regions, size.limit or size.reach,
              (size.capped or not size.limit) and "flash beyond 16 MB cannot be reached this way" or nil)
  if opts.erase_all then util.again(chip, 3, checks.erasable, chip, opts) end
  prepare_regions(chip, late, plan, checks.header_settings(chip, opts, late, size.header), opts)
  look_ahead(chip, plan, size.request)
  return plan
end

local function totals(report, started)
  report.bytes, report.kept, report.wire, report.retries, report.verified = 0, 0, 0, 0, #report > 0
  for _, e in ipairs(report) do
    report.bytes = report.bytes + (e.skipped and 0 or e.bytes)
    report.kept = report.kept + (e.skipped and e.bytes or e.kept or 0)
    report.wire = report.wire + e.wire
    report.retries = report.retries + e.retries + (e.repairs or 0)
    report.verified = report.verified and e.verified
  end
  report.seconds = require "esp.core.task".now() - started
  return report
end

--- Write files to flash. All checks of all files come first; then region by region is written in the order given
-- and compared by digest. What was not compared has verified = false in the report, and an event says why.
-- @param list of { address, path or { data =, ... } }, see esp.input and esp.inputs
-- @param opts flash_mode, flash_freq, flash_size ("keep", "detect" or a size), spi_connection;
--   compress (nil: with the stub), erase_all, encrypt, ignore_flash_enc_efuse, force;
--   skip_flashed, diff_with = list of old files (one per region, or false), trust_flash_content;
--   full: write all, also the sectors that our stub finds to be right already;
--   lenient: damaged images are warned of, settings that the chip does not know count where a header takes them;
--   read_back: compare every byte where the loader has no digest; no_verify: do not compare at all;
--   for ELF files: min_rev_full, mmu_page_size, ignore_app_descriptor (see esp.inputs);
--   progress = function(done, total, info) returning false to cancel; on_event = function(event);
--   reconnect = { tries = 7, pause = 1 } for a port that is lost, false: do not
-- @return list per region { address, name, size, bytes, wire, seconds, verified, skipped, retries } with the totals
--   bytes, wire, seconds, retries, verified
-- @raise see doc/errors.md; a failure while writing has `report` with what was done until then
function M.flash(chip, list, opts)
  opts = opts or {}
  local started = require "esp.core.task".now()
  local report, plan = {}, nil
  local ctx = util.about_chip(chip, opts)
  ctx.apart = not opts.force
  local regions = inputs.load_all(list, ctx)
  opts = util.with_settings(opts, regions.settings)
  local ok, err = pcall(function()
    if #regions == 0 then error("flash: nothing to write", 0) end
    plan = prepare(chip, regions, opts)
    if opts.erase_all then
      erase.all(chip, { force = opts.force, progress = opts.progress, on_event = opts.on_event })
    end
    for _, r in ipairs(regions) do write_region(chip, r, plan, opts, report) end
  end)
  input.close(regions)
  if plan then diff.close(plan.old) end
  totals(report, started)
  if not ok then
    if fail.is(err) then err.report = report end
    error(err, 0)
  end
  return report
end

return M
