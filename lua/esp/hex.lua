--- Intel HEX: a reader that trusts nothing, and a writer.
-- Source: Intel, "Hexadecimal Object File Format Specification", revision A (1988).
-- Every fault is reported with the file, the line, and what was expected there. Records may come in
-- any order; bytes that two records give differently are a fault, bytes given twice alike are not.
local fail = require "esp.error"
local M = {}

local DATA, EOF, SEGMENT, START_SEGMENT, LINEAR, START_LINEAR = 0, 1, 2, 3, 4, 5
local LONGEST_LINE = 1 + 2 * (1 + 2 + 1 + 255 + 1)
local SHOWN = 24            -- characters of a faulty line that a message shows
local CHUNK = 65536
local PIECES = 512          -- records joined at a time, so that joining stays linear

local BYTE = {}
for i = 0, 255 do
  local h = ("%02X"):format(i)
  for _, s in ipairs { h, h:lower(), h:sub(1, 1):lower() .. h:sub(2), h:sub(1, 1) .. h:sub(2):lower() } do
    BYTE[s] = string.char(i)
  end
end

local function bad(name, line, text, hint)
  fail { code = "bad_hex", message = ("%s: line %d: %s"):format(name, line, text),
         hint = hint or "is the file complete, and really Intel HEX?", file = name, line = line }
end

local function shown(line)
  local s = line:sub(1, SHOWN):gsub("[^\32-\126]", "?")
  return #line > SHOWN and s .. "..." or s
end

--- Whether bytes begin like an Intel HEX file: a colon and a first line of nothing but hex digits.
-- A raw binary may begin with a colon by accident; it will not go on like that.
-- @param head string: the first bytes of the file, up to LONGEST_LINE + 2 are looked at
function M.looks_like(head)
  local digits = head:match "^:(%x+)%s" or head:match "^:(%x+)$"
  return digits ~= nil and (#digits >= 10 or #head == #digits + 1)
end

--- An iterator over the lines that a chunk reader gives; never holds more than a chunk and a line.
local function lines(read, name)
  local buffer, at, number, ended = "", 1, 0, false
  return function()
    while true do
      local stop = buffer:find("\n", at, true)
      if stop then
        local line = buffer:sub(at, stop - 1)
        at, number = stop + 1, number + 1
        return number, line
      end
      if ended then
        local line = buffer:sub(at)
        buffer, at = "", 1
        if line ~= "" then
          number = number + 1
          return number, line
        end
        return nil
      end
      if #buffer - at >= LONGEST_LINE * 4 then
        bad(name, number + 1, "line too long (a record has at most " .. LONGEST_LINE .. " characters)")
      end
      local more = read(CHUNK)
      if more then buffer, at = buffer:sub(at) .. more, 1 else ended = true end
    end
  end
end

local function record(line, number, name)
  local digits = line:match "^:(%x*)%s*$"
  if not digits then bad(name, number, "not a record: '" .. shown(line) .. "'") end
  if #digits % 2 ~= 0 or #digits < 10 then bad(name, number, "record cut short: '" .. shown(line) .. "'") end
  local bytes = digits:gsub("..", BYTE)
  local count = bytes:byte(1)
  if #bytes ~= count + 5 then
    bad(name, number, ("record announces %d data bytes and has %d"):format(count, #bytes - 5))
  end
  local sum = 0
  for i = 1, #bytes do sum = sum + bytes:byte(i) end
  if sum & 0xFF ~= 0 then
    bad(name, number, ("checksum 0x%02X, should be 0x%02X"):format(bytes:byte(-1), (bytes:byte(-1) - sum) & 0xFF))
  end
  return bytes:byte(4), bytes:byte(2) << 8 | bytes:byte(3), bytes:sub(5, -2)
end

local function need(name, number, kind, data, n)
  if #data ~= n then bad(name, number, ("record type %d must have %d bytes, has %d"):format(kind, n, #data)) end
end

--- Runs: consecutive records are collected, so that a usual file makes one run per region.
local function add(runs, address, data, number)
  local last = runs[#runs]
  if last and last.address + last.size == address then
    last[#last + 1] = data
    last.size = last.size + #data
    if #last >= PIECES then
      last.parts[#last.parts + 1] = table.concat(last)
      for i = #last, 1, -1 do last[i] = nil end
    end
  else
    runs[#runs + 1] = { address = address, size = #data, line = number, parts = {}, data }
  end
end

local function add_record(runs, base, segmented, offset, data, number, name)
  if segmented then
    local first = 0x10000 - offset              -- offsets wrap inside a segment
    if #data > first then
      add(runs, base + offset, data:sub(1, first), number)
      add(runs, base, data:sub(first + 1), number)
      return
    end
  elseif base + offset + #data > 0x100000000 then
    bad(name, number, "data beyond address 0xFFFFFFFF")
  end
  add(runs, base + offset, data, number)
end

--- Where a run overlaps what is there already, both must agree.
local function compare(pieces, run, name)
  local i = #pieces
  while i > 1 and pieces[i].address > run.address do i = i - 1 end
  while pieces[i] do
    local piece = pieces[i]
    local skip = math.max(run.address - piece.address, 0)
    local at = piece.address + skip - run.address
    local n = math.min(#piece.data - skip, #run.data - at)
    if n <= 0 then return end
    local old, new = piece.data:sub(skip + 1, skip + n), run.data:sub(at + 1, at + n)
    if old ~= new then
      local k = 1
      while old:byte(k) == new:byte(k) do k = k + 1 end
      bad(name, run.line, ("address 0x%08X was given a different value before"):format(piece.address + skip + k - 1))
    end
    i = i + 1
  end
end

--- Sorted runs to regions without overlap.
local function regions(runs, name)
  for _, run in ipairs(runs) do
    run.parts[#run.parts + 1] = table.concat(run)
    run.data, run.parts = table.concat(run.parts), nil
  end
  require "esp.sorted".sort(runs, "address", "line")
  local list, pieces, stop = {}, nil, nil
  local function close()
    if not pieces then return end
    local parts = {}
    for i, p in ipairs(pieces) do parts[i] = p.data end
    list[#list + 1] = { address = pieces[1].address, data = table.concat(parts) }
  end
  for _, run in ipairs(runs) do
    local new = run.data
    if pieces and run.address <= stop then
      compare(pieces, run, name)
      new = new:sub(stop - run.address + 1)
    else
      close()
      pieces, stop = {}, run.address
    end
    if #new > 0 then
      pieces[#pieces + 1] = { address = stop, data = new }
      stop = stop + #new
    end
  end
  close()
  return list
end

--- Decode Intel HEX.
-- @param read function(n) giving the next at most n bytes, nil at the end; or the whole text as a string
-- @param name the file's name, for messages
-- @return list of { address =, data = }, sorted, neighbours joined; and the start address or nil
-- @raise bad_hex, with file and line
function M.decode(read, name)
  name = name or "Intel HEX"
  if type(read) == "string" then
    local text = read
    read = function() local t = text; text = nil; return t end
  end
  local runs, base, segmented, start, ended = {}, 0, false, nil, nil
  local number = 0
  for n, line in lines(read, name) do
    number = n
    if not line:match "^%s*$" then
      if ended then bad(name, n, ("record after the end record (line %d)"):format(ended)) end
      if #line > LONGEST_LINE + 2 then bad(name, n, "record too long") end
      local kind, offset, data = record(line, n, name)
      if kind == DATA then
        if #data > 0 then add_record(runs, base, segmented, offset, data, n, name) end
      elseif kind == EOF then
        need(name, n, kind, data, 0)
        ended = n
      elseif kind == SEGMENT then
        need(name, n, kind, data, 2)
        base, segmented = (">I2"):unpack(data) << 4, true
      elseif kind == LINEAR then
        need(name, n, kind, data, 2)
        base, segmented = (">I2"):unpack(data) << 16, false
      elseif kind == START_SEGMENT then
        need(name, n, kind, data, 4)
        local cs, ip = (">I2I2"):unpack(data)
        start = (cs << 4) + ip
      elseif kind == START_LINEAR then
        need(name, n, kind, data, 4)
        start = (">I4"):unpack(data)
      else
        bad(name, n, ("unknown record type %d"):format(kind))
      end
    end
  end
  if not ended then bad(name, number, "the end record is missing", "the file is probably cut short") end
  local list = regions(runs, name)
  if #list == 0 then bad(name, number, "the file has no data", "there is nothing to write") end
  return list, start
end

local HIGH = 0x10000

--- Write Intel HEX: records of 16 bytes, linear addresses where they need more than 16 bits, no start address.
-- @param write function(text)
-- @param list of { address =, and data = or reader = { size =, read = } }, sorted, without overlap;
--   gaps between them stay gaps. Neighbours are written as one.
-- @raise bad_argument
function M.encode(write, list)
  local last = 0
  for _, r in ipairs(list) do
    local size = r.reader and r.reader.size or #r.data
    if r.address < last or r.address + size > 0x100000000 then
      fail { code = "bad_argument", message = ("Intel HEX: %d bytes at 0x%X overlap others or are outside of 32 bits")
        :format(size, r.address) }
    end
    last = math.max(last, r.address + size)
  end
  local records = require "esp.core.ihex".records
  local long, high = last > HIGH, nil
  local rest, at = "", nil              -- what is not written yet, and the address of its first byte
  local function flush(n)
    if n == 0 then return end
    if long and at // HIGH ~= high then
      high = at // HIGH
      write((":02000004%04X%02X\n"):format(high, -(6 + (high >> 8) + (high & 255)) & 255))
    end
    write(records(rest:sub(1, n), at % HIGH))
    rest, at = rest:sub(n + 1), at + n
  end
  for _, r in ipairs(list) do
    if at and r.address ~= at + #rest then
      flush(#rest)
      at = nil
    end
    at = at or r.address
    local reader = r.reader or { size = #r.data, read = function(from, n) return r.data:sub(from + 1, from + n) end }
    for from = 0, reader.size - 1, CHUNK do
      rest = rest .. reader.read(from, math.min(CHUNK, reader.size - from))
      while #rest >= HIGH - at % HIGH do flush(HIGH - at % HIGH) end
    end
  end
  flush(#rest)
  write ":00000001FF\n"
end

return M
