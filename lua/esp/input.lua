--- What is to be written where: a path or bytes to regions of flash.
-- A region is { address =, size =, name =, file = or data =, payload = }. `payload` streams the bytes;
-- prepare() makes another one with what the chip needs around and inside them.
local fail = require "esp.error"
local hex = require "esp.hex"
local M = {}

M.SECTOR = 0x1000
M.LIMIT = 0x100000000            -- flash addresses have 32 bits
local HEX_HEAD = 600             -- more than the longest Intel HEX record

local function refuse(code, name, text, hint)
  fail { code = code, message = ("%s: %s"):format(name, text), hint = hint, file = name }
end

local function open_payload(region, extra)
  local payload = require "esp.core.payload"
  local given = { file = region.file, data = region.data, offset = region.offset, size = region.size }
  for k, v in pairs(extra or {}) do given[k] = v end
  local pl, message, code = payload.new(given)
  if not pl then
    fail { code = code or "bad_file", message = ("%s: %s"):format(region.name, message), file = region.name }
  end
  return pl
end

--- Whether a file can be read at all, with a word for each reason why not.
-- @return its size
local function check_file(path)
  local fs = require "esp.core.fs"
  local st, message, code = fs.stat(path)
  if not st then
    fail { code = code, message = message, file = path, hint = "is the path right, seen from the current folder?" }
  end
  if st.type == "dir" then refuse("bad_file", path, "is a directory, not a file") end
  if st.type ~= "file" then refuse("bad_file", path, "is not a regular file") end
  if st.size == 0 then refuse("bad_file", path, "the file is empty (0 bytes)", "did the build finish?") end
  return st.size
end

local function head_of(spec, path)
  if not path then return spec.data:sub(1, HEX_HEAD) end
  local f, message = io.open(path, "rb")
  if not f then refuse("file_denied", path, (message:gsub("^.-: ", "")), "may you read it?") end
  local head = f:read(HEX_HEAD)
  f:close()
  return head or ""
end

local function check_address(region)
  local a = region.address
  if math.type(a) ~= "integer" then
    fail { code = "bad_argument", message = ("%s: no address given"):format(region.name),
           hint = "only Intel HEX files carry their own addresses" }
  end
  if a < 0 or a >= M.LIMIT or region.size > M.LIMIT - a then
    fail { code = "bad_argument", message = ("%s: %d bytes at 0x%X are outside of 32-bit addresses")
      :format(region.name, region.size, a) }
  end
end

--- Regions of one hex file that share a sector become one, the gap filled as erased flash would be.
-- @param list of { address, data }, sorted
-- @return new list
function M.join_sectors(list)
  local joined, stop = {}, nil
  for _, r in ipairs(list) do
    local last = joined[#joined]
    if last and (stop - 1) // M.SECTOR >= r.address // M.SECTOR then
      last[#last + 1] = ("\xFF"):rep(r.address - stop)
      last[#last + 1] = r.data
    else
      joined[#joined + 1] = { address = r.address, r.data }
    end
    stop = r.address + #r.data
  end
  for _, r in ipairs(joined) do
    r.data = table.concat(r)
    for i = #r, 1, -1 do r[i] = nil end
  end
  return joined
end

local function load_hex(spec, path, name)
  local list
  if path then
    local f <close> = assert(io.open(path, "rb"))
    list = hex.decode(function(n) return f:read(n) end, name)
  else
    list = hex.decode(spec.data, name)
  end
  return M.join_sectors(list)
end

--- Load one input.
-- @param spec path, or { file = path or data = bytes, name =, offset =, size =, format = "raw" or "hex",
--   encrypt = true }; offset and size pick a part of a raw file
-- @param address where it goes; not used for Intel HEX
-- @return list of regions; each region's payload is to be closed (or M.close(list) called)
-- @raise file_missing, file_denied, bad_file, bad_hex, bad_argument
function M.load(spec, address)
  if type(spec) == "string" then spec = { file = spec } end
  if type(spec) ~= "table" or (spec.file == nil) == (spec.data == nil) then
    error("input: a path, or a table with file or data, is needed", 2)
  end
  local path = spec.file
  local name = spec.name or path or "data"
  local size = path and check_file(path) or #spec.data
  if size == 0 then refuse("bad_file", name, "no bytes given") end
  local is_hex = spec.format == "hex" or spec.format == nil and hex.looks_like(head_of(spec, path))
  local list
  if is_hex then
    list = load_hex(spec, path, name)
    for _, r in ipairs(list) do r.size, r.hex = #r.data, true end
  else
    local offset = spec.offset or 0
    local part = spec.size or size - offset
    if offset < 0 or part <= 0 or part > size - offset then
      refuse("bad_argument", name,
             ("%d bytes from offset 0x%X are not in the file (%d bytes)"):format(part, offset, size))
    end
    list = { { address = address, size = part, offset = offset, file = path, data = spec.data } }
  end
  for _, r in ipairs(list) do
    r.name, r.encrypt = name, spec.encrypt
    check_address(r)
  end
  for i, r in ipairs(list) do
    local ok, pl = pcall(open_payload, r)
    if not ok then
      for k = 1, i - 1 do list[k].payload:close() end
      error(pl, 0)
    end
    r.payload = pl
  end
  return list
end

--- Load a list of { address, spec } pairs, in the order given.
-- @param list of pairs; a pair may be a region that load() gave. { address, spec, encrypt = true } has the chip
--   encrypt it, { address, spec, diff = old } names what flash is believed to hold (see esp.flash_diff)
-- @return list of regions, with close()
function M.load_all(list)
  local all = {}
  local ok, err = pcall(function()
    for i, pair in ipairs(list) do
      if pair.payload then
        all[#all + 1] = pair
      else
        if type(pair) ~= "table" or pair[2] == nil then
          error(("input %d: { address, file } is needed"):format(i), 0)
        end
        local regions = M.load(pair[2], pair[1])
        for _, r in ipairs(regions) do
          if pair.encrypt ~= nil then r.encrypt = pair.encrypt end
          r.old = pair.diff
          all[#all + 1] = r
        end
      end
    end
  end)
  if not ok then
    M.close(all)
    error(err, 0)
  end
  return all
end

--- Release the payloads of a list of regions.
function M.close(list)
  for _, r in ipairs(list) do
    if r.payload then r.payload:close() end
    r.payload = nil
  end
end

local function where(r)
  return ("%s (0x%X to 0x%X)"):format(r.name, r.address, r.address + r.size - 1)
end

--- Refuse regions that share a sector: writing one would destroy part of the other.
-- @raise overlap, naming both
function M.check_overlap(regions, sector)
  sector = sector or M.SECTOR
  local sorted = table.move(regions, 1, #regions, 1, {})
  table.sort(sorted, function(a, b) return a.address < b.address end)
  for i = 2, #sorted do
    local a, b = sorted[i - 1], sorted[i]
    local last = a.address + a.size - 1
    if last // sector >= b.address // sector then
      local both = last >= b.address and "overlap"
        or ("share the sector at 0x%X"):format(b.address // sector * sector)
      fail { code = "overlap", message = ("%s and %s %s"):format(where(a), where(b), both),
             hint = ("flash is erased in sectors of 0x%X bytes; are the addresses right?"):format(sector),
             regions = { a, b } }
    end
  end
end

--- The payload of a region with what a chip needs.
-- @param extra { before = bytes of 0xFF in front, pad = multiple to fill up to, patches = { {offset, bytes} } },
--   offsets counted from the region's first byte
-- @return payload, which replaces region.payload
function M.prepare(region, extra)
  local pl = open_payload(region, extra)
  if region.payload then region.payload:close() end
  region.payload, region.extra = pl, extra
  return pl
end

--- A part of a prepared region: the rest after a break, or what changed.
-- @param from offset in the prepared payload
-- @param size bytes; nil to the end
-- @return payload, for the caller to close
function M.part(region, from, size)
  local extra = region.extra or {}
  local skip = from - (extra.before or 0)          -- bytes of the file that are left out
  local before = math.max(-skip, 0)                -- of what was put in front that belongs to the part
  skip = math.max(skip, 0)
  local n, pad = region.size - skip, extra.pad
  if size and size < before + n then n, pad = size - before, nil end
  assert(skip < region.size and n > 0, "part outside of the file")
  local patches = {}
  for _, p in ipairs(extra.patches or {}) do
    local at, bytes = p[1] - skip, p[2]
    if at < 0 then at, bytes = 0, bytes:sub(1 - at) end
    bytes = bytes:sub(1, math.max(n - at, 0))
    if #bytes > 0 then patches[#patches + 1] = { at, bytes } end
  end
  local part = setmetatable({ offset = (region.offset or 0) + skip, size = n }, { __index = region })
  return open_payload(part, { before = before > 0 and before or nil, pad = pad, patches = patches })
end

return M
