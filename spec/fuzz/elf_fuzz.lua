--- Fuzzes the ELF reader and what makes images: esplua spec/fuzz/elf_fuzz.lua COUNT SEED
-- Whatever comes in, the result is an image that can be read again, or an error object; memory stays in proportion.
local fail = require "esp.error"
local fixtures = require "spec.support.image_fixtures"
local elf = require "esp.elf"
local image = require "esp.image"
local image_elf = require "esp.image_elf"

local count, seed = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 1
math.randomseed(seed)

local CHIPS = { "esp32", "esp32s3", "esp32c3", "esp32c6", "esp8266" }
local LIMIT = 48 * 1024                    -- KiB: some times what these small files need at most

local function valid(chip)
  if chip == "esp8266" then return fixtures.esp8266 { three = math.random(2) == 1 } end
  return math.random(3) == 1 and fixtures.bootloader(chip) or fixtures.app(chip, { page = math.random(0, 17) })
end

local function put(bytes, at, new) return bytes:sub(1, at) .. new .. bytes:sub(at + #new + 1) end

-- Most faults go where the tables are: the header, and the section headers at the end.
local function mutate(bytes)
  for _ = 1, math.random(1, 6) do
    local where = math.random(4)
    local at
    if where == 1 then at = math.random(0, 51)
    elseif where == 2 then at = math.random(52, 52 + 7 * 32)
    elseif where == 3 then at = #bytes - math.random(1, math.min(#bytes, 400))
    else at = math.random(0, math.max(#bytes - 1, 0)) end
    local what = math.random(6)
    if what == 1 then bytes = bytes:sub(1, at)
    elseif what == 2 then bytes = put(bytes, at, string.char(math.random(0, 255)))
    elseif what == 3 then bytes = put(bytes, at // 4 * 4, "\xFF\xFF\xFF\xFF")
    elseif what == 4 then bytes = put(bytes, at // 4 * 4, ("<I4"):pack(math.random(0, 0x20000)))
    elseif what == 5 then bytes = put(bytes, at // 4 * 4, ("<I4"):pack(0x40000000 + math.random(0, 0x2000000)))
    else bytes = put(bytes, at // 2 * 2, "\0\0") end
    if bytes == "" then return "\127" end
  end
  return bytes
end

local OPTIONS = {
  {}, { use_segments = true }, { ram_only_header = true }, { secure_pad_v2 = true }, { elf_sha256_offset = 0x104 },
  { dont_append_digest = true }, { pad_to_size = "64KB" }, { flash_mmu_page_size = "16KB" }, { version = 2 },
  { version = 3 },
}

for i = 1, count do
  local chip = CHIPS[math.random(#CHIPS)]
  local bytes = valid(chip)
  if i % 8 > 0 then bytes = mutate(bytes) end
  local opts = { chip = chip }
  for k, v in pairs(OPTIONS[math.random(#OPTIONS)]) do opts[k] = v end
  local ok, made = pcall(image_elf.convert, { data = bytes, name = "fuzz.elf" }, opts)
  if not ok then
    assert(fail.is(made), "not an error object: " .. tostring(made))
  elseif not (opts.ram_only_header or chip == "esp8266") and made:bytes():byte(2) <= image.MAX_SEGMENTS
         and made:bytes():byte(2) > 0 then
    local img = image.parse(made:bytes(), "fuzz.bin", "esp32")
    assert(img.checksum_valid and img.digest_valid ~= false, "an image that is not sound was made")
  end
  local read, file = pcall(elf.read, bytes, "fuzz.elf")
  if read then
    local done, err = pcall(function()
      file:symbol "main"
      file:symbol_at(0x40080000)
      file:sha256()
    end)
    assert(done or fail.is(err), "not an error object: " .. tostring(err))
  else
    assert(fail.is(file), "not an error object: " .. tostring(file))
  end
  assert(collectgarbage "count" < LIMIT, "too much memory")
end
print(("%d inputs"):format(count))
