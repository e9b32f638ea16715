--- Writing only what changed: given the file that flash is believed to hold, the sectors that differ are sent.
-- Whether flash holds that file is asked of the chip's digest first, unless it is to be trusted; the digest of the
-- whole region comes last as always, and what then differs is written again.
local fail = require "esp.error"
local input = require "esp.input"
local util = require "esp.flash_util"
local M = {}

--- The old files that go with new ones, from words of a command line: paths, or "skip" where there is none.
-- @param words list of strings
-- @param n how many new files there are
-- @return table: index of the new file = path
-- @raise usage, file_missing
function M.files(words, n)
  local list = {}
  if #words > n then
    fail { code = "usage", message = ("%d old files for %d new %s"):format(#words, n, n == 1 and "one" or "ones"),
           hint = "one in the order of each new file; skip stands for none" }
  end
  for i, word in ipairs(words) do
    local f = io.open(word, "rb")
    if f then f:close() end
    if word:lower() ~= "skip" then
      local path, message, code = require "esp.cli.types".read(word, { "--diff-with", type = "file" })
      if not path then fail { code = code, message = ("old file %s"):format(message) } end
      list[i] = path
    elseif f then
      fail { code = "usage", message = ("there is a file called '%s', which stands for no file here"):format(word),
             hint = "rename it" }
    end
  end
  return list
end

--- Load the old file of a region, prepared as the new one.
-- @param region with `old` (path or spec, as for esp.input) and `extra`
-- @param patches function(old region) giving its header patches
-- @return region, or nil when an old hex file has nothing at this address
function M.load(region, patches)
  local spec, found = region.old, nil
  local list = input.load(spec, region.address)
  for i = #list, 1, -1 do
    if list[i].address == region.address then found = table.remove(list, i) end
  end
  input.close(list)
  if not found then return nil end
  local extra = region.extra or {}
  input.prepare(found, { before = extra.before, pad = extra.pad, patches = patches(found) })
  return found
end

--- Release what load() opened.
function M.close(olds)
  for _, old in pairs(olds) do input.close { old } end
end

--- Sectors that differ between two payloads, joined to runs.
-- @return list of { first, last } offsets in the new one
function M.runs(old, new)
  local runs, size = {}, new:size()
  for at = 0, size - 1, util.SECTOR do
    local n = math.min(util.SECTOR, size - at)
    if util.ask(new, "read", at, n) ~= util.ask(old, "read", at, n) then
      local run = runs[#runs]
      if run and run[2] == at then run[2] = at + n else runs[#runs + 1] = { at, at + n } end
    end
  end
  return runs
end

--- What has to be written.
-- @param old region from load()
-- @return list of { first, last }, empty when flash is right already (true: by its digest, false: on trust);
--   nil when all is to be written
function M.needed(chip, region, job, old, opts)
  local write = require "esp.flash_write"
  local size, old_size = job.payload:size(), old.payload:size()
  if not opts.trust_flash_content then
    local now = write.md5(chip, job.address, size)
    if now == util.ask(job.payload, "md5") then return {}, true end
    -- A longer old file need not be there with all of its end.
    local there = old_size == size and now or write.md5(chip, job.address, math.min(size, old_size))
    if there ~= require "esp.flash_repair".digest(old.payload, 0, math.min(size, old_size)) then
      util.note(chip, opts, "diff_impossible", ("%s: flash does not hold %s, all of it is written")
        :format(region.name, old.name), { region = util.about(region) })
      return nil
    end
  end
  local runs = M.runs(old.payload, job.payload)
  if #runs == 0 then return runs, false end
  return runs
end

return M
