--- Digests of many sectors, by our stub: which parts of a file flash holds already, and whether what was written is
-- there. Source: doc/stub-protocol.md, "F1 DIGESTS".
local digest = require "esp.core.digest"
local fail = require "esp.error"
local util = require "esp.flash_util"
local M = {}

local DIGESTS = 0xF1
local SHORT = 8                            -- bytes of a digest
local PROBED = 4                           -- sectors looked at, in each of three places, before all are
local MERGED = 1                           -- equal sectors between two different ones that are written all the same

-- The address and the digests of one frame, nil when it is damaged or none.
local function parse(frame)
  if #frame < 8 + SHORT or (#frame - 8) % SHORT ~= 0 then return nil end
  if digest.crc32(frame:sub(1, -5)) ~= ("<I4"):unpack(frame, #frame - 3) then return nil end
  return ("<I4"):unpack(frame), frame:sub(5, -5)
end

local function ask(chip, address, size, unit)
  local seconds = util.timeout(chip, "md5_timeout_per_mb", 64 * unit)
  util.raise("digests of flash", nil,
    chip.link:command(DIGESTS, ("<I4I4I4"):pack(address, size, unit), { timeout = util.config(chip, "timeout") }))
  local list, at = {}, address
  while at < address + size do
    local reply = util.raise("digests of flash", nil, chip.link:receive(seconds))
    local first, bytes = parse(reply.frame)
    if first ~= at then fail { code = "bad_reply", message = "digests of flash: a damaged answer" } end
    for i = 1, #bytes, SHORT do list[#list + 1] = bytes:sub(i, i + SHORT - 1) end
    at = at + #bytes // SHORT * unit
  end
  if #list ~= (size + unit - 1) // unit then
    fail { code = "bad_reply", message = "digests of flash: more than was asked for" }
  end
  return list
end

--- Digests of the units of a range.
-- @return list of strings as esp.core.digest.mix gives them; the last unit may be shorter
function M.get(chip, address, size, unit)
  if size == 0 then return {} end
  return util.again(chip, 3, ask, chip, address, size, unit or util.SECTOR)
end

local function file_digest(payload, at, n)
  return digest.mix(util.ask(payload, "read", at, n))
end

-- The runs of [first, last), which begins at a sector, that differ from flash; and how many sectors are equal.
local function compare(chip, job, first, last)
  local payload, runs, equal, at = job.payload, {}, 0, first
  for _, found in ipairs(M.get(chip, job.address + first, last - first)) do
    local n = math.min(util.SECTOR, last - at)
    if found == file_digest(payload, at, n) then
      equal = equal + 1
    else
      local run = runs[#runs]
      if run and at - run[2] <= MERGED * util.SECTOR then run[2] = at + n else runs[#runs + 1] = { at, at + n } end
    end
    at = at + n
  end
  return runs, equal
end

--- What of a file has to be written.
-- A few places are looked at first: when nothing of them is there, it is another program, and all is written.
-- @param job { payload =, address = a sector's, before = bytes of the payload that are not the file's }
-- @return list of { first, last }, empty when all is there; nil: write all
function M.needed(chip, job)
  local size = job.payload:size()
  local span = PROBED * util.SECTOR
  if size > 6 * span then
    local middle = size // 2 // util.SECTOR * util.SECTOR
    local places = { { 0, span }, { middle, middle + span }, { size - span - size % util.SECTOR, size } }
    local any = 0
    for _, place in ipairs(places) do
      local _, equal = compare(chip, job, place[1], place[2])
      any = any + equal
      if any > 0 then break end
    end
    if any == 0 then return nil end
  end
  local runs = compare(chip, job, 0, size)
  local first = runs[1]
  if first and first[1] == 0 and first[2] == size then return nil end
  return runs
end

--- Whether flash holds a file.
-- @param job { payload =, address = }
function M.equal(chip, job)
  return #(compare(chip, job, 0, job.payload:size())) == 0
end

--- Whether the parts of a file that were written are there.
-- @param parts list of { first, last }
-- @return list of runs that differ
function M.differing(chip, job, parts)
  local wrong = {}
  for _, part in ipairs(parts) do
    for _, run in ipairs((compare(chip, job, part[1], part[2]))) do wrong[#wrong + 1] = run end
  end
  return wrong
end

return M
