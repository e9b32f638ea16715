-- A flasher stub at the other end of a line, as doc/stub-protocol.md describes it, with faults at will. Flash is a
-- string per sector; nothing takes time.
local digest = require "esp.core.digest"
local port = require "esp.core.port"
local slip = require "esp.core.slip"
local task = require "esp.core.task"
local zlib = require "esp.core.zlib"

local SECTOR = 4096
local OP = { BEGIN = 2, DATA = 3, END = 4, MEM_END = 6, SYNC = 8, READ_REG = 10, DEFL_BEGIN = 16, DEFL_DATA = 17,
             MD5 = 0x13, ERASE = 0xD1, READ = 0xD2, CAPABILITIES = 0xF0, DIGESTS = 0xF1, PACKED = 0xF2, STATE = 0xF3 }

local Stub = {}
Stub.__index = Stub

function Stub:flash(at, n)
  local parts = {}
  for sector = at // SECTOR, (at + n - 1) // SECTOR do
    parts[#parts + 1] = self.sectors[sector] or ("\xFF"):rep(SECTOR)
  end
  local skip = at % SECTOR
  return table.concat(parts):sub(skip + 1, skip + n)
end

function Stub:put(at, bytes)
  local first, last = at // SECTOR, (at + #bytes - 1) // SECTOR
  local all = self:flash(first * SECTOR, (last - first + 1) * SECTOR)
  local skip = at % SECTOR
  all = all:sub(1, skip) .. bytes .. all:sub(skip + #bytes + 1)
  for i = first, last do self.sectors[i] = all:sub((i - first) * SECTOR + 1, (i - first + 1) * SECTOR) end
end

function Stub:send(frame)
  self.sent = self.sent + 1
  frame = slip.encode(frame)
  if self.on_send then frame = self.on_send(frame, self.sent) end
  if frame then self.far:write(frame) end
end

function Stub:answer(op, value, body, err)
  if self.rom then
    local data = (err and "" or body or "") .. string.char(err and 1 or 0, err or 0, 0, 0)
    return self:send(("<BBI2I4"):pack(1, op, #data, value or 0) .. data)
  end
  local data = (err and "" or body or "") .. string.char(err or 0, 0)
  self:send(("<BBI2I4"):pack(1, op, #data, value or 0) .. data)
end

function Stub:take(op, data)
  local w = self.write
  local n, number = ("<I4I4"):unpack(data)
  local bytes = data:sub(17)
  if n ~= #bytes then return 0xC0 end
  if not w then return 0xC6 end
  if w.failed then return w.failed end
  if number < w.next then return nil end
  if number > w.next then return 0xE1 end
  if self.fail_at == number then w.failed = 0xC4 return 0xC4 end
  w.next = number + 1
  if op == OP.DEFL_DATA then bytes = w.inflater:update(bytes) end
  bytes = bytes:sub(1, w.left)
  if #bytes > 0 then self:put(w.at, bytes) end
  w.at, w.left = w.at + #bytes, w.left - #bytes
  return nil
end

-- Content as LZ4 without matches, but for one that repeats a byte.
local function pack(bytes)
  local function more(n)
    local out = {}
    n = n - 15
    while n >= 255 do out[#out + 1] = "\xFF" n = n - 255 end
    return table.concat(out) .. string.char(n)
  end
  local c = bytes:sub(1, 1)
  if #bytes > 300 and bytes == c:rep(#bytes) then
    return string.char(0x1F) .. c .. "\1\0" .. more(#bytes - 1 - 5 - 4) .. string.char(0x50) .. c:rep(5)
  end
  if #bytes < 15 then return string.char(#bytes << 4) .. bytes end
  return "\xF0" .. more(#bytes) .. bytes
end

function Stub:step_read()
  local r = self.reading
  while r and r.sent < r.size and r.sent - r.arrived < r.window * r.packet do
    local n = math.min(r.packet, r.size - r.sent)
    local bytes = self:flash(r.at + r.sent, n)
    self:send(r.packed and ("<I4I4"):pack(r.at + r.sent, digest.crc32(bytes)) .. pack(bytes) or bytes)
    r.sent = r.sent + n
  end
  if r and r.arrived >= r.size then
    self.reading = nil
    self:send(digest.md5(self:flash(r.at, r.size)))
  end
end

function Stub:command(op, data)
  local a, b, c, d
  if #data >= 16 then a, b, c, d = ("<I4I4I4I4"):unpack(data) end
  self.log[#self.log + 1] = { op, data }
  if self.rom and (op == 0x14 or op > 0x14) then return self:answer(op, 0, "", 5) end
  if op == OP.MEM_END and self.rom then
    self:answer(op)
    self.rom = self.mute
    return self.mute or self:send "OHAI"
  end
  if self.foreign and op >= 0xF0 then return self:answer(op, 0, "", 0xC3) end
  if op == OP.SYNC then
    for _ = 1, 8 do self:answer(op, self.rom and 0x20120707 or 0) end
  elseif op == OP.BEGIN or op == OP.DEFL_BEGIN then
    self.write = { next = 0, at = d, left = a, inflater = op == OP.DEFL_BEGIN and zlib.inflater() or nil }
    for i = d // SECTOR, (d + a - 1) // SECTOR do self.sectors[i] = nil end
    self:answer(op)
  elseif op == OP.DATA or op == OP.DEFL_DATA then
    local err = self:take(op, data)
    self:answer(op, self.write and self.write.next or 0, "", err)
  elseif op == OP.STATE then
    local w = self.write
    self:answer(op, w and w.next or 0, ("<I4I4"):pack(w and w.left or 0, w and w.failed or w and 0 or 0xC6))
  elseif op == OP.MD5 then
    self:answer(op, 0, digest.md5(self:flash(a, b)))
  elseif op == OP.CAPABILITIES then
    self:answer(op, 1, ("<I4I4I4I4"):pack(157, self.credit, 16384, 32768))
  elseif op == OP.ERASE then
    a, b = ("<I4I4"):unpack(data)
    for i = a // SECTOR, (a + b - 1) // SECTOR do self.sectors[i] = nil end
    self:answer(op)
  elseif op == OP.READ or op == OP.PACKED then
    self.reading = { at = a, size = b, packet = c, window = d, sent = 0, arrived = 0, packed = op == OP.PACKED }
    self:answer(op)
  elseif op == OP.DIGESTS then
    a, b, c = ("<I4I4I4"):unpack(data)
    self:answer(op)
    local at, stop = a, a + b
    while at < stop do
      local body = { ("<I4"):pack(at) }
      while at < stop and #body < 65 do
        body[#body + 1] = digest.mix(self:flash(at, math.min(c, stop - at)))
        at = at + c
      end
      local bytes = table.concat(body)
      self:send(bytes .. ("<I4"):pack(digest.crc32(bytes)))
    end
  else
    self:answer(op, op == OP.READ_REG and (self.words or {})[(("<I4"):unpack(data))] or 0)
  end
end

function Stub:frame(frame)
  self.received = self.received + 1
  if #frame == 4 and self.reading then
    self.reading.arrived = ("<I4"):unpack(frame)
  elseif #frame ~= 4 then
    self.reading = nil
    if #frame < 8 or frame:byte(1) ~= 0 or ("<I2"):unpack(frame, 3) ~= #frame - 8 then
      return self:answer(frame:byte(2) or 0, self.write and self.write.next or 0, "", 0xE5)
    end
    local sum = ("<I4"):unpack(frame, 5)
    if sum > 0xFF and sum ~= digest.crc32(frame:sub(1, 4) .. "\0\0\0\0" .. frame:sub(9)) then
      return self:answer(frame:byte(2), self.write and self.write.next or 0, "", 0xE5)
    end
    self:command(frame:byte(2), frame:sub(9))
  end
  self:step_read()
end

--- @param o rom = answers as a ROM until MEM_END starts the stub; mute = the stub does not start;
--   foreign = without extensions; credit; words = { [address] = word }; fail_at = block that flash refuses;
--   on_receive(bytes), on_send(bytes, number): what becomes of bytes on the way, nil drops them
-- @return port for the host, object with flash(at, n), put(at, bytes), log, most (frames that came at once), stop()
return function(o)
  local self = setmetatable({ sectors = {}, log = {}, sent = 0, received = 0, credit = 16320, most = 0 }, Stub)
  for k, v in pairs(o or {}) do self[k] = v end
  local near
  near, self.far = port.pair()
  local worker = task.spawn(function()
    local decoder = slip.decoder(20000)
    while true do
      local bytes, _, code = self.far:read(65536, 1)
      if code and code ~= "timeout" then return end
      if bytes and self.on_receive then bytes = self.on_receive(bytes) end
      local frames = bytes and decoder:feed(bytes) or {}
      self.most = math.max(self.most, #frames)
      for _, frame in ipairs(frames) do self:frame(frame) end
    end
  end)
  function self.stop()
    worker:cancel()
    self.far:close()
  end
  return near, self
end
