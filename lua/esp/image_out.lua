--- Putting an image together piece by piece: position, segments, checksum. Used by the writers of the formats.
local fail = require "esp.error"
local image = require "esp.image"
local M = {}
M.__index = M

local SEGMENT_HEADER, DIGEST = 8, 32
local TOO_LARGE = 0x1000000            -- loaders of ESP-IDF refuse a segment of 16 MiB
local BLOCK = 16                       -- the checksum is the last byte of a block of 16

--- A new, empty image.
-- @param plan from esp.image_elf: mode, size_freq, entry, and elf_digest = { offset =, bytes = } or nil
function M.new(plan)
  return setmetatable({ plan = plan, pieces = {}, at = 0, sum = image.CHECKSUM_SEED, count = 0 }, M)
end

--- Append bytes.
function M:put(bytes)
  self.pieces[#self.pieces + 1] = bytes
  self.at = self.at + #bytes
end

--- The 8 bytes that every image begins with. Returns the number of the piece, for M:set_count.
function M:header(count, magic)
  local plan = self.plan
  self.header_piece = #self.pieces + 1
  self:put(("<BBBBI4"):pack(magic or image.MAGIC, count, plan.mode, plan.size_freq, plan.entry))
end

--- Correct the number of segments in the header written last.
function M:set_count(count)
  local old = self.pieces[self.header_piece]
  self.pieces[self.header_piece] = old:sub(1, 1) .. string.char(count) .. old:sub(3)
end

-- The SHA-256 of the ELF file goes to a place given as offset in the image; it must be free.
local function put_digest(self, data, name)
  local digest = self.plan.elf_digest
  if not digest or digest.done then return data end
  local first = digest.offset - self.at - SEGMENT_HEADER
  if first + DIGEST <= 0 or first >= #data then return data end
  local function refuse(text)
    fail { code = "bad_image", file = name,
           message = ("the SHA256 digest of the ELF file cannot be placed at 0x%X: %s"):format(digest.offset, text),
           hint = "elf_sha256_offset must point at 32 zero bytes inside one segment" }
  end
  if first < 0 or first + DIGEST > #data then
    refuse(("segment boundary in the way (the segment is at 0x%X to 0x%X)")
      :format(self.at + SEGMENT_HEADER, self.at + SEGMENT_HEADER + #data - 1))
  end
  if data:sub(first + 1, first + DIGEST) ~= ("\0"):rep(DIGEST) then refuse "the bytes there are not zero" end
  digest.done = true
  return data:sub(1, first) .. digest.bytes .. data:sub(first + DIGEST + 1)
end

--- Append a segment with its header.
-- @param segment { address, data, name }
-- @param unchecked true when it does not count for the checksum
function M:segment(segment, unchecked)
  local what = ("segment at 0x%08X%s"):format(segment.address, segment.name and " (" .. segment.name .. ")" or "")
  local data = put_digest(self, segment.data, segment.name)
  if #data % 4 ~= 0 then
    fail { code = "bad_image",
           message = ("%s: invalid segment length 0x%X, it has to be a multiple of 4"):format(what, #data),
           hint = "are the addresses in the linker script multiples of 4?" }
  end
  if #data >= TOO_LARGE then
    fail { code = "bad_image", message = ("%s: invalid segment length 0x%X, the 16 MB limit has been exceeded")
      :format(what, #data), hint = "check the linker script" }
  end
  self:put(("<I4I4"):pack(segment.address, #data))
  self:put(data)
  self.count = self.count + 1
  if not unchecked then self.sum = image.xor(data, self.sum) end
end

--- Append the checksum as the last byte of a block of 16.
function M:checksum()
  self:put(("\0"):rep(BLOCK - 1 - self.at % BLOCK) .. string.char(self.sum))
end

--- Append the SHA-256 of all so far.
function M:sha256()
  local h = require "esp.core.digest".new "sha256"
  for _, piece in ipairs(self.pieces) do h:update(piece) end
  self:put(h:final())
end

--- Fill up with 0xFF to a multiple of size.
function M:fill(size)
  local n = -self.at % size
  if n == 0 then return end
  local chunk = ("\xFF"):rep(math.min(n, 1 << 16))
  while n > #chunk do
    self:put(chunk)
    n = n - #chunk
  end
  self:put(chunk:sub(1, n))
end

return M
