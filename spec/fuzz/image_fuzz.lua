--- Fuzzes the image reader: esplua spec/fuzz/image_fuzz.lua COUNT SEED
-- Whatever comes in, the result is an image whose parts lie inside of the bytes, or an error object; and changing
-- the flash parameters of a sound image gives a sound image.
local fail = require "esp.error"
local edit = require "esp.image_edit"
local image = require "esp.image"
local image_info = require "esp.image_info"

local count, seed = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 1
math.randomseed(seed)

local function random_bytes(n)
  local t = {}
  for i = 1, (n + 7) // 8 do t[i] = ("<i8"):pack(math.random(0)) end
  return table.concat(t):sub(1, n)
end

local function finish(bytes, datas)
  local sum = 0xEF
  for _, d in ipairs(datas) do
    for i = 1, #d do sum = sum ~ d:byte(i) end
  end
  return bytes .. ("\0"):rep(15 - #bytes % 16) .. string.char(sum)
end

local function valid()
  local kind, datas, parts = math.random(3), {}, {}
  for i = 1, math.random(1, 5) do
    datas[i] = random_bytes(math.random(0, 60))
    parts[i] = ("<I4s4"):pack(kind == 1 and 0x3FC80000 or 0x40100000, datas[i])
  end
  local entry = kind == 1 and 0x40380000 or 0x40100000
  local head = ("<BBBBI4"):pack(0xE9, #datas, math.random(0, 3), math.random(0, 255), entry)
  if kind == 1 then
    local hashed = math.random(0, 1)
    local bytes = finish(head .. ("<BBBBI2BI2I2I4B"):pack(0xEE, 0, 0, 0, 5, 0, 0, 0xFFFF, 0, hashed)
                         .. table.concat(parts), datas)
    return hashed == 1 and bytes .. require "esp.core.digest".sha256(bytes) or bytes
  elseif kind == 2 then
    return finish(head .. table.concat(parts), datas)
  end
  return finish(("<BBBBI4"):pack(0xEA, 4, 0, 0, 0x40100000) .. ("<I4s4"):pack(0, random_bytes(16)) .. head
                .. table.concat(parts), datas)
end

local function mutate(bytes)
  for _ = 1, math.random(1, 6) do
    local at, what = math.random(1, math.min(#bytes, math.random(2) == 1 and 64 or #bytes)), math.random(4)
    if what == 1 then bytes = bytes:sub(1, at)
    elseif what == 2 then bytes = bytes:sub(1, at - 1) .. string.char(math.random(0, 255)) .. bytes:sub(at + 1)
    elseif what == 3 then bytes = bytes:sub(1, at - 1) .. "\xFF\xFF\xFF\xFF" .. bytes:sub(at + 4)
    else bytes = bytes .. random_bytes(math.random(1, 20)) end
  end
  return bytes
end

local function check(img, bytes)
  assert(#img.segments <= image.MAX_SEGMENTS + 1, "too many segments")
  for _, s in ipairs(img.segments) do assert(s.offset + s.size <= #bytes, "segment outside") end
  assert(img.length <= #bytes and img.checksum_offset < #bytes, "image outside")
end

for i = 1, count do
  local bytes = valid()
  local intact = i % 4 == 0
  if not intact then bytes = mutate(bytes) end
  local ok, img = pcall(image.parse, bytes, "fuzz.bin")
  if ok then check(img, bytes) else assert(fail.is(img), "not an error object: " .. tostring(img)) end
  if intact then
    assert(ok, tostring(img))
    assert(img.checksum_valid and img.digest_valid ~= false, "a sound image is not found sound")
    if img.format ~= "esp8266v2" then
      local new = { mode = math.random(0, 3), size = math.random(0, 15) << 4 }
      for _, p in ipairs(image.patch_header(bytes, img, new)) do
        bytes = bytes:sub(1, p[1]) .. p[2] .. bytes:sub(p[1] + #p[2] + 1)
      end
      local again = image.parse(bytes, "fuzz.bin")
      assert(again.checksum_valid and again.digest_valid ~= false, "not sound after the change")
    end
  else
    local _, _, part = image.probe(bytes, "fuzz.bin")
    image.clearly_meant(part, function() return true end)
  end
  local known = { chip = ({ false, "esp32", "esp32c6", "esp8266" })[math.random(4)] or nil, name = "fuzz.bin" }
  local described, info = pcall(image_info.describe, bytes, known)
  assert(described or fail.is(info), "not an error object: " .. tostring(info))
  if described then image_info.lines(info, function(_, line) assert(not line:find "%c", "odd characters") end) end
  local patched, new = pcall(edit.patch, bytes, { flash_mode = "dio", entry = 0x40100000, repair = true }, "fuzz.bin")
  assert(patched and image.parse(new).checksum_valid or fail.is(new), "not sound after patching: " .. tostring(new))
end
print(("%d inputs"):format(count))
