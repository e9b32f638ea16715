--- Turns an ELF file whose segments all lie in RAM into an image that the mask ROM boots.
-- usage: lua5.4 image.lua CHIP INPUT.elf OUTPUT.bin
-- Needs nothing but Lua 5.3 or newer.
-- Sources: espressif/esptool, docs/en/advanced-topics/firmware-image-format.rst (image);
-- "Tool Interface Standard, Executable and Linking Format 1.2" (ELF); FIPS 180-4 (SHA-256).

local CHIPS = {
  esp32   = { id = 0, machine = 94 },     -- ELF machine numbers: Xtensa, RISC-V
  esp32s2 = { id = 2, machine = 94 },
  esp32s3 = { id = 9, machine = 94 },
  esp32c3 = { id = 5, machine = 243 },
  esp32c6 = { id = 13, machine = 243 },
  esp32h2 = { id = 16, machine = 243 },
}
local FLASH_MODE, FLASH_SIZE_FREQUENCY = 2, 0x20     -- DIO; 4 MB at the lowest common 40 MHz
local WP_PIN_UNUSED = 0xEE
local REVISION_MIN, REVISION_MAX = 0, 0xFFFF         -- runs on any revision
local SEGMENTS_MAX = 16
local PT_LOAD = 1

local function check(ok, ...)
  if not ok then
    io.stderr:write("image.lua: ", string.format(...), "\n")
    os.exit(1)
  end
  return ok
end

-- SHA-256 --------------------------------------------------------------------------------------

-- The first 32 bits after the point of the square or cube roots of the first primes. The roots of
-- primes this small, scaled by 2^32, are exact enough in a double.
local function root_constants(count, power)
  local list, candidate = {}, 2
  while #list < count do
    local is_prime = true
    for divisor = 2, math.floor(candidate ^ 0.5) do
      is_prime = is_prime and candidate % divisor ~= 0
    end
    if is_prime then
      list[#list + 1] = math.floor(candidate ^ power % 1 * 2 ^ 32)
    end
    candidate = candidate + 1
  end
  return list
end
local START, ROUND = root_constants(8, 1 / 2), root_constants(64, 1 / 3)

local function rotate(x, n)
  return (x >> n | x << (32 - n)) & 0xFFFFFFFF
end

local function sha256(bytes)
  local state = table.move(START, 1, 8, 1, {})
  local w = {}
  bytes = bytes .. "\x80" .. ("\0"):rep((55 - #bytes) % 64) .. (">I8"):pack(#bytes * 8)
  for at = 1, #bytes, 64 do
    for i = 1, 64 do
      if i <= 16 then
        w[i] = (">I4"):unpack(bytes, at + 4 * (i - 1))
      else
        local x, y = w[i - 15], w[i - 2]
        w[i] = w[i - 16] + w[i - 7] + (rotate(x, 7) ~ rotate(x, 18) ~ x >> 3)
               + (rotate(y, 17) ~ rotate(y, 19) ~ y >> 10) & 0xFFFFFFFF
      end
    end
    local a, b, c, d, e, f, g, h = table.unpack(state)
    for i = 1, 64 do
      local t1 = h + (rotate(e, 6) ~ rotate(e, 11) ~ rotate(e, 25)) + (e & f ~ ~e & g) + ROUND[i] + w[i]
      local t2 = (rotate(a, 2) ~ rotate(a, 13) ~ rotate(a, 22)) + (a & b ~ a & c ~ b & c)
      a, b, c, d, e, f, g, h = t1 + t2 & 0xFFFFFFFF, a, b, c, d + t1 & 0xFFFFFFFF, e, f, g
    end
    for i, v in ipairs { a, b, c, d, e, f, g, h } do
      state[i] = state[i] + v & 0xFFFFFFFF
    end
  end
  return (">" .. ("I4"):rep(8)):pack(table.unpack(state))
end

-- ELF ------------------------------------------------------------------------------------------

-- Returns the entry address and a list of {address, bytes} in the order of the program headers.
local function read_elf(name, machine)
  local file = check(io.open(name, "rb"), "cannot open %s", name)
  local elf = file:read "a"
  file:close()
  check(#elf >= 52 and elf:sub(1, 6) == "\x7FELF\1\1", "%s: not a 32-bit little-endian ELF file", name)
  check(("<I2"):unpack(elf, 19) == machine, "%s: made for another processor", name)
  local entry, headers = ("<I4I4"):unpack(elf, 25)
  local size, count = ("<I2I2"):unpack(elf, 43)
  check(size >= 32 and headers + size * count <= #elf, "%s: program headers are cut off", name)
  local segments = {}
  for i = 0, count - 1 do
    local kind, offset, address, _, length = ("<I4I4I4I4I4"):unpack(elf, headers + size * i + 1)
    if kind == PT_LOAD and length > 0 then
      check(offset + length <= #elf, "%s: segment %d is cut off", name, i)
      check(address % 4 == 0, "%s: segment %d starts at 0x%X, not on a word", name, i, address)
      local bytes = elf:sub(offset + 1, offset + length)
      segments[#segments + 1] = { address = address, bytes = bytes .. ("\0"):rep(-length % 4) }
    end
  end
  check(#segments > 0 and #segments <= SEGMENTS_MAX, "%s: %d segments to load", name, #segments)
  return entry, segments
end

-- Image ----------------------------------------------------------------------------------------

local function build_image(chip_id, entry, segments)
  local parts = {
    ("<BBBBI4"):pack(0xE9, #segments, FLASH_MODE, FLASH_SIZE_FREQUENCY, entry),
    ("<BI3I2BI2I2I4B"):pack(WP_PIN_UNUSED, 0, chip_id, 0, REVISION_MIN, REVISION_MAX, 0, 1),
  }
  local checksum = 0xEF
  for _, segment in ipairs(segments) do
    parts[#parts + 1] = ("<I4I4"):pack(segment.address, #segment.bytes) .. segment.bytes
    for i = 1, #segment.bytes do
      checksum = checksum ~ segment.bytes:byte(i)
    end
  end
  local body = table.concat(parts)
  body = body .. ("\0"):rep((15 - #body) % 16) .. string.char(checksum)
  return body .. sha256(body)
end

local chip_name, input, output = table.unpack(arg, 1, 3)
check(output and #arg == 3, "usage: image.lua CHIP INPUT.elf OUTPUT.bin")
local chip = check(CHIPS[chip_name], "unknown chip %s", chip_name)
local image = build_image(chip.id, read_elf(input, chip.machine))
local file = check(io.open(output, "wb"), "cannot write %s", output)
check(file:write(image) and file:close(), "cannot write %s", output)
