--- Digests of many sectors, by our stub: which parts of a file flash holds already, and whether what was written is
-- there. Source: doc/stub-protocol.md, "F1 DIGESTS".
local digest = require "esp.core.digest"
local fail = require "esp.error"
local util = require "esp.flash_util"
local M = {}

local DIGESTS = 0xF1
local SHORT = 8                            -- bytes of a digest
local PROBED, PIECE = 8, 0x400             -- pieces looked at before all is, and their bytes
local WORTH = 0x10000                      -- bytes from which that is worth it
local MERGED = 1                           -- equal sectors between two different ones that are written all the same

-- The address and the digests of one frame, nil when it is damaged or none.
local function parse(frame)
  if #frame < 8 + SHORT or (#frame - 8) % SHORT ~= 0 then return nil end
  if digest.crc32(frame:sub(1, -5)) ~= ("<I4"):unpack(frame, #frame - 3) then return nil end
  return ("<I4"):unpack(frame), frame:sub(5, -5)
end

-- The digests that follow the answer to a request.
local function collect(chip, address, size, unit, seconds)
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

local function ask(chip, address, size, unit)
  local seconds = util.timeout(chip, "md5_timeout_per_mb", 64 * unit)
  util.raise("digests of flash", nil,
    chip.link:command(DIGESTS, ("<I4I4I4"):pack(address, size, unit), { timeout = util.config(chip, "timeout") }))
  return collect(chip, address, size, unit, seconds)
end

-- Digests of pieces in several places, asked for in one go.
-- @param first { op =, data = } that goes before, or nil
local function ask_pieces(chip, addresses, first)
  local list, link = {}, chip.link
  local seconds = util.timeout(chip, "md5_timeout_per_mb", PIECE)
  local function accepted(op)
    local reply = util.raise("digests of flash", nil, link:receive(seconds))
    if reply.op ~= op or #reply.body ~= 2 or reply.body:byte(1) ~= 0 then
      fail { code = "bad_reply", message = "digests of flash: refused, or a damaged answer" }
    end
  end
  if first then util.raise("digests of flash", nil, link:send(first.op, first.data)) end
  for _, address in ipairs(addresses) do
    util.raise("digests of flash", nil, link:send(DIGESTS, ("<I4I4I4"):pack(address, PIECE, PIECE)))
  end
  if first then accepted(first.op) end
  for i, address in ipairs(addresses) do
    accepted(DIGESTS)
    list[i] = collect(chip, address, PIECE, PIECE, seconds)[1]
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

-- The runs of [first, last), which begins at a sector, that differ from flash.
local function compare(chip, job, first, last)
  local payload, runs, at = job.payload, {}, first
  for _, found in ipairs(M.get(chip, job.address + first, last - first)) do
    local n = math.min(util.SECTOR, last - at)
    if found ~= file_digest(payload, at, n) then
      local run = runs[#runs]
      if run and at - run[2] <= MERGED * util.SECTOR then run[2] = at + n else runs[#runs + 1] = { at, at + n } end
    end
    at = at + n
  end
  return runs
end

--- Look at a few places of what files are to replace: a file of which nothing is there is another program. Sets
-- job.related of those that are large enough to be worth it.
-- @param jobs list of those of M.needed
-- @param first { op =, data = } that goes before, in the same go; or nil
-- @return whether all of it was answered, which has to be taken for not done otherwise
function M.look(chip, jobs, first)
  local places, addresses = {}, {}
  for _, job in ipairs(jobs) do
    local size = job.payload:size()
    for i = 1, size >= WORTH and PROBED or 0 do
      local at = size * (2 * i - 1) // (2 * PROBED) // PIECE * PIECE
      places[#places + 1], addresses[#addresses + 1] = { job, at }, job.address + at
    end
  end
  if #places == 0 then return false end
  local ok, found = pcall(ask_pieces, chip, addresses, first)
  if not ok then                           -- comparing all of it is always right
    if not (fail.is(found) and util.line_fault(found)) then error(found, 0) end
    require("esp.flash_repair").resync(chip)
    return false
  end
  for i, place in ipairs(places) do
    local job, at = table.unpack(place)
    job.related = job.related or found[i] == file_digest(job.payload, at, PIECE)
  end
  return true
end

--- What of a file has to be written.
-- @param job { payload =, address = a sector's, before = bytes of the payload that are not the file's, related = false
--   when it is known that nothing of it is there }
-- @return list of { first, last }, empty when all is there; nil: write all
function M.needed(chip, job)
  if job.related == false then return nil end
  local size = job.payload:size()
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
    for _, run in ipairs(compare(chip, job, part[1], part[2])) do wrong[#wrong + 1] = run end
  end
  return wrong
end

return M
