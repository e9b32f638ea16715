--- Fuzzes the inputs of flash and verify: esplua spec/fuzz/inputs_fuzz.lua COUNT SEED
-- UF2 files, archives and flasher_args.json, valid ones and damaged ones. Whatever comes in, the result is regions
-- inside of 32-bit addresses, or an error object; and what a valid file said is found again.
local fail = require "esp.error"
local inputs = require "esp.inputs"
local input = require "esp.input"
local digest = require "esp.core.digest"
local zlib = require "esp.core.zlib"

local count, seed = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 1
math.randomseed(seed)

local function random_bytes(n)
  local t = {}
  for i = 1, n do t[i] = string.char(math.random(0, 255)) end
  return table.concat(t)
end

-- A set of pieces apart from each other: { address, bytes }.
local function pieces()
  local list = {}
  for i = 1, math.random(1, 4) do list[i] = { (i - 1) * 0x10000, random_bytes(math.random(1, 1500)) } end
  return list
end

local FAMILY = 0xD42BA06C                     -- ESP32-C3

local function uf2(list)
  local out = {}
  for _, p in ipairs(list) do
    local n = (#p[2] + 255) // 256
    for i = 0, n - 1 do
      local data = p[2]:sub(i * 256 + 1, i * 256 + 256)
      local body = data .. ("<I4I4"):pack(p[1] + i * 256, #data) .. digest.md5(data)
      out[#out + 1] = ("<I4I4I4I4I4I4I4I4"):pack(0x0A324655, 0x9E5D5157, 0x6000, p[1] + i * 256, #data, i, n, FAMILY)
        .. body .. ("\0"):rep(476 - #body) .. ("<I4"):pack(0x0AB16F30)
    end
  end
  return table.concat(out)
end

local function zip(files)
  local out, directory, at = {}, {}, 0
  for _, f in ipairs(files) do
    local name, data = f[1], f[2]
    local packed, method = data, 0
    if math.random(2) == 1 then packed, method = zlib.deflate(data):sub(3, -5), 8 end
    local about = ("<I2I2I2I4I4I4I2I2"):pack(method, 0, 0, digest.crc32(data), #packed, #data, #name, 0)
    local head = ("<I4I2I2"):pack(0x04034B50, 20, 0) .. about .. name
    out[#out + 1] = head .. packed
    directory[#directory + 1] = ("<I4I2I2I2"):pack(0x02014B50, 20, 20, 0) .. about
      .. ("<I2I2I2I4I4"):pack(0, 0, 0, 0, at) .. name
    at = at + #head + #packed
  end
  local all = table.concat(directory)
  return table.concat(out) .. all .. ("<I4I2I2I2I2I4I4I2"):pack(0x06054B50, 0, 0, #files, #files, #all, at, 0)
end

local function build(list)
  local names, files = {}, {}
  for i, p in ipairs(list) do
    names[i] = ('"0x%X": "f%d.bin"'):format(p[1], i)
    files[i] = { ("b/f%d.bin"):format(i), p[2] }
  end
  local text = ('{"flash_files": {%s}, "flash_settings": {"flash_mode": "dio"}, ' ..
                '"extra_esptool_args": {"chip": "esp32c3"}}'):format(table.concat(names, ", "))
  table.insert(files, math.random(#files + 1), { "b/flasher_args.json", text })
  return zip(files)
end

local function damaged(bytes)
  for _ = 1, math.random(1, 4) do
    local at, what = math.random(1, math.max(#bytes, 1)), math.random(5)
    if what == 1 then
      bytes = bytes:sub(1, at - 1) .. string.char(math.random(0, 255)) .. bytes:sub(at + 1)
    elseif what == 2 then
      bytes = bytes:sub(1, at - 1) .. ("<I4"):pack(math.random(0, 3) * 0x55555555) .. bytes:sub(at + 4)
    elseif what == 3 then
      bytes = bytes:sub(1, at)
    elseif what == 4 then
      bytes = bytes:sub(1, at) .. bytes:sub(math.random(1, #bytes + 1))
    else
      bytes = bytes:gsub('[%w"{}:]', function(c)
        return math.random(200) == 1 and ('"{}[]:,0x\\'):sub(math.random(9)):sub(1, 1) or c
      end)
    end
  end
  return bytes
end

local function load(bytes)
  local ok, result = pcall(inputs.load_all, { { false, { data = bytes, name = "x" } } },
                           { chip = "esp32c3", table = {} })
  if not ok then
    assert(fail.is(result), tostring(result))
    return nil, result.message
  end
  local out = {}
  for i, r in ipairs(result) do
    assert(r.size > 0 and r.address >= 0 and r.address + r.size <= 1 << 32)
    out[i] = { r.address, r.payload:read(0, r.size) }
  end
  input.close(result)
  table.sort(out, function(a, b) return a[1] < b[1] end)
  return out
end

for _ = 1, count do
  local list = pieces()
  local bytes = math.random(2) == 1 and uf2(list) or build(list)
  local got = assert(load(bytes))
  assert(#got == #list)
  for i, p in ipairs(list) do assert(got[i][1] == p[1] and got[i][2] == p[2]) end
  load(damaged(bytes))
end
print(("%d inputs"):format(count))
