--- When flash is not what was written: where it differs, how, and another try at that place only.
local fail = require "esp.error"
local spiflash = require "esp.spiflash"
local util = require "esp.flash_util"
local M = {}

local CHUNK = 65536
local PIECE = 256 * 1024                   -- written again in pieces that may be held in memory
local SAMPLE, TAIL = 64, 16                 -- bytes read back at once; of the end of a block
local FEW_BITS = 16
local PROTECT_BITS = 0x1C                  -- block protection bits of the first status register

--- After faults of the line: let the loader finish what it was told, then make sure that it listens.
function M.resync(chip)
  util.settle(chip)
  util.again(chip, 3, function()
    util.raise("synchronising again", nil,
      chip.link:sync { tries = 5, timeout = util.config(chip, "sync_timeout") or 0.1, pause = 0.05 })
  end)
end

--- Digest of part of a payload.
function M.digest(payload, from, to)
  local h = require "esp.core.digest".new "md5"
  while from < to do
    local bytes = util.ask(payload, "read", from, math.min(CHUNK, to - from))
    h:update(bytes)
    from = from + #bytes
  end
  return h:final()
end

--- Digest of erased flash.
function M.empty_md5(size)
  local h = require "esp.core.digest".new "md5"
  local blank = ("\xFF"):rep(math.min(CHUNK, size))
  while size > 0 do
    h:update(size >= #blank and blank or blank:sub(1, size))
    size = size - #blank
  end
  return h:final()
end

--- Whether this is the digest of erased flash.
function M.is_empty(digest, size)
  return digest == M.empty_md5(size)
end

-- A function telling whether sectors [from, to) of a job's region are right, as far as it goes.
local function comparer(chip, job, last)
  local write = require "esp.flash_write"
  return function(from, to)
    from, to = from * util.SECTOR, math.min(to * util.SECTOR, last)
    return from >= to or write.md5(chip, job.address + from, to - from) == M.digest(job.payload, from, to)
  end, (last + util.SECTOR - 1) // util.SECTOR
end

--- The first offset at or after `from` (a sector's start) and before `last` whose sector is not right.
function M.locate_first(chip, job, from, last)
  local same, sectors = comparer(chip, job, last)
  local start = from // util.SECTOR
  local good, bad = start, sectors                   -- sectors up to `good` are right, up to `bad` are not
  while bad - good > 1 do
    local middle = (good + bad) // 2
    if same(start, middle) then good = middle else bad = middle end
  end
  return good * util.SECTOR
end

--- The part of a region that differs, by digests of ever smaller ranges.
-- @param found digest of the whole region as it is in flash
-- @return { first =, last = } offsets in the payload, whole sectors; empty = true when all of it reads as erased
function M.locate(chip, job, found)
  local size = job.payload:size()
  local same, sectors = comparer(chip, job, size)
  local first = M.locate_first(chip, job, 0, size)
  local wrong, right = first // util.SECTOR, sectors  -- from `right` on all is right, from `wrong` on not
  while right - wrong > 1 do
    local middle = (wrong + right) // 2
    if same(middle, sectors) then right = middle else wrong = middle end
  end
  return { first = first, last = math.min(right * util.SECTOR, size), empty = M.is_empty(found, size) }
end

--- Write a damaged part again.
-- @param stream flash_write.stream
function M.rewrite(chip, job, damage, stream)
  local payload = require "esp.core.payload"
  for from = damage.first, damage.last - 1, PIECE do
    local bytes = util.ask(job.payload, "read", from, math.min(PIECE, damage.last - from))
    local pl <close> = assert(payload.new { data = bytes })
    local compress = job.compress and util.ask(pl, "packed") and true or false
    util.again(chip, 2, function()
      util.raise("writing again", nil,
                 stream(chip, { payload = pl, address = job.address + from, compress = compress }))
    end)
  end
end

--- Whether flash that stayed empty takes at least one sector: then the address got damaged on the way and writing
-- again helps; flash that is protected or dead takes none.
function M.takes_sector(chip, job, stream)
  local n = math.min(util.SECTOR, job.payload:size())
  M.rewrite(chip, job, { first = 0, last = n }, stream)
  return require "esp.flash_write".md5(chip, job.address, n) == M.digest(job.payload, 0, n)
end

local function bits(n)
  local count = 0
  while n ~= 0 do
    n = n & (n - 1)
    count = count + 1
  end
  return count
end

--- How two byte strings of the same length differ, in words.
-- @param file what should be there
-- @param flash what is there
-- @param context more of the file around it, to recognise a shift; and where in it `file` begins
-- @return { count = bytes, bits =, offset = of the first, kind =, text = }
function M.difference(file, flash, context, position)
  local count, wrong, first, missing, stale = 0, 0, nil, true, true
  for i = 1, #file do
    local a, b = file:byte(i), flash:byte(i)
    if a ~= b then
      first = first or i - 1
      count = count + 1
      wrong = wrong + bits(a ~ b)
      if b & a ~= a then missing = false end         -- a bit is 0 that should be 1
      if b | a ~= a then stale = false end           -- a bit is 1 that should be 0
    end
  end
  if count == 0 then return nil end
  local d = { count = count, bits = wrong, offset = first }
  local shift = context and M.shift(context, position, flash)
  if flash == ("\xFF"):rep(#flash) then
    d.kind, d.text = "erased", "reads as erased: it was not programmed, or flash is protected"
  elseif flash == ("\0"):rep(#flash) then
    d.kind, d.text = "zero", "reads as zero: flash does not answer rightly"
  elseif shift then
    d.kind, d.shift = "shifted", shift
    d.text = ("has the file's bytes from %d bytes %s: a block was lost or written twice")
      :format(math.abs(shift), shift > 0 and "further on" or "before")
  elseif wrong <= FEW_BITS then
    d.kind, d.text = "bits", ("differs in %d single bits: signal, supply or timing of flash"):format(wrong)
  elseif stale then
    d.kind, d.text = "not_erased", "has zeros of what was there before: it was not erased"
  elseif missing then
    d.kind, d.text = "not_programmed", "lacks zeros: it was programmed only in part"
  else
    d.kind, d.text = "other", ("differs in %d of %d bytes"):format(count, #file)
  end
  return d
end

--- By how much flash holds the file's bytes at the wrong place; nil when it does not.
function M.shift(context, position, flash)
  local probe = flash:sub(-SAMPLE)
  if probe:gsub(probe:sub(1, 1), "") == "" or probe:find("^" .. ("[\xFF\0]"):rep(8)) then return nil end
  local at = context:find(probe, 1, true)
  local expected = position + #flash - #probe + 1
  if not at or at == expected then return nil end
  if context:find(probe, at + 1, true) then return nil end
  return at - expected
end

--- Read a range by whatever this loader has.
local function read_back(chip, address, size)
  if chip.stub then return require "esp.flash_read".bytes(chip, address, size) end
  if chip.data.rom.read_slow then
    return util.again(chip, 3, function()
      return util.raise("reading flash", nil, chip.link:read_flash_slow { address = address, size = size })
    end)
  end
  return spiflash.read(chip, address, size)
end

local function protection(chip)
  local ok, status = pcall(spiflash.read_status, chip, 3)
  if not ok then return nil end
  return status, status & PROTECT_BITS ~= 0
end

--- What can be found out about the first sector that differs.
function M.evidence(chip, job, damage)
  local from = damage.first
  local n = math.min(util.SECTOR, job.payload:size() - from)
  local ok, flash = pcall(read_back, chip, job.address + from, n)
  if not ok or type(flash) ~= "string" or #flash ~= n then return nil end
  local before = math.min(from, 2 * util.SECTOR)
  local around = math.min(before + 3 * util.SECTOR, job.payload:size() - from + before)
  local context = util.ask(job.payload, "read", from - before, around)
  local file = util.ask(job.payload, "read", from, n)
  local d = M.difference(file, flash, context, before)
  if not d then
    return { kind = "unstable", text = "reads right now: reading flash is not reliable", address = job.address + from }
  end
  d.address = job.address + from + d.offset
  d.file_byte, d.flash_byte = file:byte(d.offset + 1), flash:byte(d.offset + 1)
  return d
end

--- Raise verify_failed with what is known.
function M.explain(chip, region, job, damage, wanted, found)
  local hex = require "esp.core.digest".hex
  local size = job.payload:size()
  local e = { code = "verify_failed", region = util.about(region), file_md5 = hex(wanted), flash_md5 = hex(found) }
  local evidence = M.evidence(chip, job, damage)
  e.evidence, e.empty = evidence, damage.empty
  e.status, e.protected = protection(chip)
  if damage.empty then
    e.message = ("%s at 0x%X: writing failed, the %d bytes read as erased (MD5 of file %s, of flash %s)")
      :format(region.name, region.address, size, e.file_md5, e.flash_md5)
  else
    e.message = ("%s at 0x%X: flash differs from the file from 0x%X to 0x%X (MD5 of file %s, of flash %s)")
      :format(region.name, region.address, job.address + damage.first, job.address + damage.last - 1,
              e.file_md5, e.flash_md5)
    if evidence then e.message = ("%s; 0x%X %s"):format(e.message, evidence.address, evidence.text) end
  end
  if e.protected then
    e.hint = ("flash is write-protected (status 0x%06X): clear its status register"):format(e.status)
  elseif damage.empty then
    e.hint = "is flash powered at the right voltage, write-protected, or of a kind this chip cannot write?"
  else
    e.hint = "try again at a lower baud rate; if the same place fails, suspect flash or its supply"
  end
  fail(e)
end

-- Flash against the file by flash's plain read command; what differs is read again when the line has come to rest.
local function compare(chip, region, job, from, n)
  local file = util.ask(job.payload, "read", from, n)
  local flash
  for _ = 1, 3 do
    flash = spiflash.read(chip, job.address + from, n)
    if flash == file then return end
    util.settle(chip)
  end
  local d = M.difference(file, flash)
  fail { code = "verify_failed", region = util.about(region), evidence = d,
         message = ("%s at 0x%X: flash differs from the file; 0x%X %s"):format(region.name, region.address,
           job.address + from + d.offset, d.text),
         hint = "write it again, at a lower baud rate if it repeats" }
end

-- Where to look in a block: its last bytes that are not all alike. Bytes lost on the way shift all that follows.
local function telling(job, from, n)
  local bytes = util.ask(job.payload, "read", from, n)
  for at = n - TAIL, 0, -TAIL do
    local window = bytes:sub(at + 1, at + TAIL)
    if window ~= window:sub(1, 1):rep(#window) then return from + at end
  end
  return from + math.max(n - TAIL, 0)
end

local function places(chip, job, how)
  local size, list = job.payload:size(), {}
  if how == "ends" then
    local n = math.min(SAMPLE, size)
    return { { 0, n }, { size - n, n } }
  end
  local step = how == "all" and SAMPLE or chip.flash_block
  for from = 0, size - 1, step do
    local n = math.min(step, size - from)
    if how == "all" then
      list[#list + 1] = { from, n }
    else
      local at = telling(job, from, n)
      list[#list + 1] = { at, math.min(TAIL, size - at) }
    end
  end
  return list
end

--- Where no digest can be had: read back and compare, which is slow. A block that got lost, was written twice or lost
-- a byte shows at its end.
-- @param how "ends": the first and the last bytes; "blocks": the end of each block; "all": every byte
-- @return true when they are right, nil when the ends could not be read
-- @raise verify_failed
function M.sample(chip, region, job, how)
  if how ~= "ends" then
    util.stage(chip, nil, "verify", ("%s: reading back %s"):format(region.name,
      how == "all" and "what was written" or "samples, because the line had faults"))
  end
  for _, place in ipairs(places(chip, job, how)) do
    local ok, err = pcall(compare, chip, region, job, place[1], place[2])
    if not ok then
      if not (fail.is(err) and util.line_fault(err)) then error(err, 0) end
      if how == "ends" then return nil end
      fail { code = "verify_failed", region = util.about(region), cause = err,
             message = ("%s at 0x%X: the line had faults, and what was written cannot be read back (%s)")
               :format(region.name, region.address, err.message), hint = "lower the baud rate, check the cable" }
    end
  end
  return true
end

return M
