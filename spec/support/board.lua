--- A simulated chip and the connection to it, for specs.
local M = {}

-- Short waits: on a simulated line an answer comes at once or never.
local CONFIG = { timeout = 0.25, sync_timeout = 0.05, erase_region_timeout_per_mb = 1, erase_write_timeout_per_mb = 1,
                 md5_timeout_per_mb = 1 }

--- Make a chip and connect to it.
-- @param id chip
-- @param options of esp.sim; config = settings that differ, attempts
-- @return chip, sim, events
function M.new(id, options)
  local given, config = { chip = id }, {}
  for k, v in pairs(require "esp.config".load { getenv = function() end, folders = {} }) do config[k] = v end
  for k, v in pairs(CONFIG) do config[k] = v end
  for k, v in pairs(options or {}) do
    if k == "config" then
      for name, value in pairs(v) do config[name] = value end
    elseif k ~= "attempts" then
      given[k] = v
    end
  end
  local sim = require "esp.sim".new(given)
  local events = {}
  local ports = require "esp.ports"
  local open = ports.open
  ports.open = function(url) return assert(sim:port(url, 115200)) end
  local ok, chip = pcall(require "esp.connect".connect, {
    port = "sim:" .. id, config = config, env = {}, before = "no-reset", after = "no-reset", attempts = options and options.attempts or 3,
    on_event = function(e) events[#events + 1] = e end })
  ports.open = open
  if not ok then
    sim:close()
    error(chip, 0)
  end
  return chip, sim, events
end

--- Codes of the events so far.
function M.codes(events)
  local list = {}
  for i, e in ipairs(events) do list[i] = e.code or e.type end
  return " " .. table.concat(list, " ") .. " "
end

--- How often each command came.
function M.ops(sim)
  local count = {}
  for _, e in ipairs(sim:log()) do count[e.op] = (count[e.op] or 0) + 1 end
  return count
end

--- Bytes that look like code: they compress, and no two sectors are alike.
function M.code(size, seed)
  local parts, x = {}, seed or 1
  for i = 1, (size + 7) // 8 do
    x = (x * 6364136223846793005 + 1442695040888963407)
    parts[i] = ("<I4I4"):pack(i, x >> 56 & 0x0F)
  end
  return table.concat(parts):sub(1, size)
end

--- Bytes that do not compress.
function M.noise(size, seed)
  local parts, x = {}, seed or 1
  for i = 1, (size + 7) // 8 do
    x = x ~ (x << 13)
    x = x ~ (x >> 7)
    x = x ~ (x << 17)
    parts[i] = ("<i8"):pack(x * 2685821657736338717)
  end
  return table.concat(parts):sub(1, size)
end

return M
