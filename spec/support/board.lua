--- A simulated chip and the connection to it, for specs.
local M = {}

-- Short waits: on a simulated line an answer comes at once or never.
local CONFIG = { timeout = 0.25, sync_timeout = 0.05, erase_region_timeout_per_mb = 1, erase_write_timeout_per_mb = 1,
                 md5_timeout_per_mb = 1 }

--- Make a chip and connect to it.
-- @param id chip
-- @param options of esp.sim; config = settings that differ, attempts; stub = true: our flasher stub does the work, and
--   not the ROM loader; flash_type; baud
-- @return chip, sim, events
function M.new(id, options)
  local given, config = { chip = id }, {}
  for k, v in pairs(require "esp.config".load { getenv = function() end, folders = {} }) do config[k] = v end
  for k, v in pairs(CONFIG) do config[k] = v end
  for k, v in pairs(options or {}) do
    if k == "config" then
      for name, value in pairs(v) do config[name] = value end
    elseif k ~= "attempts" and k ~= "stub" and k ~= "baud" and k ~= "flash_type" then
      given[k] = v
    end
  end
  local sim = require "esp.sim".new(given)
  local events = {}
  -- The chip starts in download mode: a reset would only take time.
  local ok, chip = pcall(require "esp.connect".connect, {
    port = assert(sim:port("sim:" .. id, 115200)), config = config, env = {}, before = "no-reset", after = "no-reset",
    no_stub = not (options and options.stub), flash_type = options and options.flash_type,
    baud = options and options.baud,
    attempts = options and options.attempts or 3, on_event = function(e) events[#events + 1] = e end })
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

local WINDOW = 40960                       -- more than deflate looks back, so repeating this does not compress
local block

-- xorshift64*, once: making it is slow when the collector always runs.
local function noise_block()
  if not block then
    local parts, x = {}, 88172645463325252
    for i = 1, WINDOW // 8 do
      x = x ~ (x << 13)
      x = x ~ (x >> 7)
      x = x ~ (x << 17)
      parts[i] = ("<i8"):pack(x * 2685821657736338717)
    end
    block = table.concat(parts)
  end
  return block
end

--- Bytes that do not compress.
function M.noise(size, seed)
  local from = (seed or 1) * 977 % WINDOW
  local whole = noise_block():rep((size + from) // WINDOW + 1)
  return whole:sub(from + 1, from + size)
end

--- Bytes that compress as code does; no two sectors are alike.
function M.code(size, seed)
  local parts = {}
  for i = 1, (size + 1023) // 1024 do
    parts[i] = ("<I4"):pack(i + (seed or 1) * 7919) .. M.noise(400, i + (seed or 1)) .. ("\x13\0\0\0"):rep(155)
  end
  return table.concat(parts):sub(1, size)
end

return M
