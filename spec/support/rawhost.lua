--- A host at the level of bytes, for specs of the simulated chip: frames built and taken apart here, with none of
-- the library's own code.
local M = {}
M.__index = M

local SYNC = "\x07\x07\x12\x20" .. ("U"):rep(32)

--- Words as the loader wants them.
function M.words(...)
  local out = {}
  for i, w in ipairs { ... } do out[i] = ("<I4"):pack(w & 0xFFFFFFFF) end
  return table.concat(out)
end

function M.checksum(data)
  local sum = 0xEF
  for i = 1, #data do sum = sum ~ data:byte(i) end
  return sum
end

function M.hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

function M.frame(payload)
  return "\xC0" .. payload:gsub("[\xC0\xDB]", { ["\xC0"] = "\xDB\xDC", ["\xDB"] = "\xDB\xDD" }) .. "\xC0"
end

--- A host on a port of a simulated chip.
-- @param chip as esp.sim.new gives it; port: another port to use
function M.new(chip, port)
  local self = setmetatable({ chip = chip, port = port or assert(chip:port()) }, M)
  self.boot = self:read(0.05)
  return self
end

--- What comes until the line has been quiet for a moment.
function M:read(quiet)
  local parts = {}
  while true do
    local bytes = self.port:read(65536, quiet or 0.03)
    if not bytes then return table.concat(parts) end
    parts[#parts + 1] = bytes
  end
end

--- The payloads of the frames in some bytes.
function M.frames(bytes)
  local list = {}
  for body in bytes:gmatch "\xC0([^\xC0]+)\xC0" do
    list[#list + 1] = body:gsub("\xDB.", { ["\xDB\xDC"] = "\xC0", ["\xDB\xDD"] = "\xDB" })
  end
  return list
end

--- Send a command and take one answer. size, when given, is announced instead of the right length.
-- @return answer without framing or nil; all answers
function M:command(op, data, sum, size, direction)
  data = data or ""
  self.port:write(M.frame(("<BBI2I4"):pack(direction or 0, op, size or #data, sum or 0) .. data))
  local bytes, list = "", {}
  for _ = 1, 200 do
    local more = self.port:read(65536, #list == 0 and 1 or 0.01)
    if not more then break end
    bytes = bytes .. more
    list = M.frames(bytes)
    if #list > 0 and bytes:sub(-1) == "\xC0" and op ~= 0x08 then break end
    if #list >= 8 then break end
  end
  return list[1], list
end

--- Whether a command (SYNC by default) gets no answer.
function M:silent(op, data)
  data = data or SYNC
  self.port:write(M.frame(("<BBI2I4"):pack(0, op or 0x08, #data, 0) .. data))
  return self:read(0.1) == ""
end

--- The same, the answer in hex.
function M:ask(...)
  local answer = self:command(...)
  return answer and M.hex(answer) or "-"
end

function M:sync()
  local first, all = self:command(0x08, SYNC)
  return first, all
end

--- Status and error byte of an answer to a command without a body of its own.
function M:status(op, data, sum)
  local answer = self:command(op, data, sum)
  if not answer then return nil end
  return answer:byte(9), answer:byte(10)
end

function M:read_reg(address)
  local answer = assert(self:command(0x0A, M.words(address)))
  return (("<I4"):unpack(answer, 5))
end

function M:write_reg(address, value, mask)
  return self:status(0x09, M.words(address, value, mask or 0xFFFFFFFF, 0))
end

--- Attach the flash and say how large it is.
function M:attach(size)
  self:command(0x0D, M.words(0, 0))
  self:command(0x0B, M.words(0, size or 4 << 20, 0x10000, 0x1000, 0x100, 0xFFFF))
end

function M:flash_begin(erase, blocks, block_size, offset, ...)
  return self:status(0x02, M.words(erase, blocks, block_size, offset, ...))
end

function M:flash_data(data, seq)
  return self:status(0x03, M.words(#data, seq, 0, 0) .. data, M.checksum(data))
end

function M:close()
  self.port:close()
  self.chip:close()
end

M.__close = M.close
return M
