--- What the benchmarks share: run a command, say what it cost, compare with the peer.
-- ESPTOOL names the peer's command line ("python3 -m esptool"); without it only our own figures are printed.
local M = {
  esplua = os.getenv "ESPLUA" or "build/esplua",
  esptool = os.getenv "ESPTOOL",
}
local measure = os.getenv "MEASURE" or "build/measure"

--- Run a command some times.
-- @param times integer
-- @param command shell words
-- @return table of wall and cpu (seconds, medians) and rss (KiB, largest)
function M.cost(times, command)
  local p = assert(io.popen(("%s %d %s"):format(measure, times, command)))
  local text = p:read "a"
  local ok = p:close()
  local wall, cpu, rss = text:match "^(%S+) (%S+) (%S+)"
  assert(ok and wall, "failed: " .. command)
  return { wall = tonumber(wall), cpu = tonumber(cpu), rss = tonumber(rss) }
end

--- Run two commands in turns, so that a machine that is busy for a while is so for both.
-- @param rounds integer
-- @param ours, theirs shell words; theirs may be nil
-- @return costs of ours, of theirs (nil without): the least of each kind of time, the largest memory
function M.turns(rounds, ours, theirs)
  local function add(total, cost)
    if not total then return cost end
    return { wall = math.min(total.wall, cost.wall), cpu = math.min(total.cpu, cost.cpu),
             rss = math.max(total.rss, cost.rss) }
  end
  local a, b
  for _ = 1, rounds do
    a = add(a, M.cost(3, ours))
    b = theirs and add(b, M.cost(1, theirs))
  end
  return a, b
end

--- Print one row; with both sides also the ratio ours / theirs and the limit it is held against.
function M.row(what, ours, theirs, unit, limit)
  local line = ("%-44s %10.4f %s"):format(what, ours, unit)
  if theirs then
    line = line .. ("   peer %10.4f   ratio %.3f"):format(theirs, ours / theirs)
    local met = limit and (ours / theirs <= limit and "met" or "MISSED")
    if limit then line = line .. ("   (at most %.3f: %s)"):format(limit, met) end
  end
  print(line)
end

function M.peer_note()
  if not M.esptool then print "set ESPTOOL (for example ESPTOOL='python3 -m esptool') to see the ratios" end
end

return M
