--- Fuzzes NVS images and their CSV: esplua spec/fuzz/nvs_fuzz.lua COUNT SEED
-- Whatever comes in, the result is entries and problems in words, or an error object; what a valid image says is found
-- again, also after CSV and back; and memory stays within a multiple of the input.
local csv = require "esp.nvs_csv"
local fail = require "esp.error"
local nvs = require "esp.nvs"
local nvs_read = require "esp.nvs_read"

local count, seed = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 1
math.randomseed(seed)

local SIZE = 0x3000
local LIMITS = { u8 = { 0, 255 }, i8 = { -128, 127 }, u16 = { 0, 65535 }, i16 = { -32768, 32767 },
                 u32 = { 0, 0xFFFFFFFF }, i32 = { -0x80000000, 0x7FFFFFFF }, u64 = { 0, math.maxinteger },
                 i64 = { math.mininteger, math.maxinteger } }
local INTEGERS = { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64" }

local function random_bytes(n, low, high)
  local t = {}
  for i = 1, n do t[i] = string.char(math.random(low or 0, high or 255)) end
  return table.concat(t)
end

local function valid()
  local list = {}
  for n = 1, math.random(1, 3) do
    list[#list + 1] = { namespace = "n" .. n }
    for k = 1, math.random(0, 6) do
      local what = math.random(10)
      local encoding = INTEGERS[what] or what == 9 and "string" or "blob"
      local value
      if INTEGERS[what] then value = math.random(table.unpack(LIMITS[encoding]))
      elseif what == 9 then value = random_bytes(math.random(1, 60), 97, 122)
      else value = random_bytes(math.random(1, 300)) end
      list[#list + 1] = { namespace = "n" .. n, key = "k" .. k, encoding = encoding, value = value }
    end
  end
  return list
end

-- Keys and values, whatever their order.
local function contents(list)
  local t = {}
  for _, e in ipairs(list) do
    if e.key then t[("%s/%s=%s:%s"):format(e.namespace, e.key, e.encoding, tostring(e.value))] = true end
  end
  return t
end

local function same(a, b)
  for id in pairs(a) do assert(b[id], "missing: " .. id) end
  for id in pairs(b) do assert(a[id], "from nowhere: " .. id) end
end

local function mutate(image)
  for _ = 1, math.random(1, 8) do
    local at = math.random(3) == 1 and math.random(1, 96) or math.random(1, 0x600)
    if math.random(3) == 1 then                          -- an entry whose checksum is right
      at = 64 + 32 * math.random(0, 40)
      local e, field = image:sub(at + 1, at + 32), math.random(0, 31)
      e = e:sub(1, field) .. string.char(math.random(0, 255)) .. e:sub(field + 2)
      e = e:sub(1, 4) .. ("<I4"):pack(nvs.crc(e:sub(1, 4) .. e:sub(9))) .. e:sub(9)
      image = image:sub(1, at) .. e .. image:sub(at + 33)
    else
      image = image:sub(1, at - 1) .. string.char(math.random(0, 255)) .. image:sub(at + 1)
    end
  end
  return math.random(20) == 1 and image:sub(1, math.random(#image)) or image
end

local PIECES = { ",", "\n", '"', "#", "\0", "-", "99999999999999999999", "namespace", "\xFF", "blob_fill(9;0x00)" }

local function mutate_text(text)
  for _ = 1, math.random(1, 4) do
    local at, what = math.random(#text), math.random(4)
    if what == 1 then text = text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
    elseif what == 2 then text = text:sub(1, at - 1) .. text:sub(at + math.random(8))
    elseif what == 3 then text = text:sub(1, at) .. PIECES[math.random(#PIECES)] .. text:sub(at + 1)
    else text = text:sub(1, at) end
    if text == "" then text = "k" end
  end
  return text
end

local function measured(f, size)
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  local ok, result = pcall(f)
  local used = (collectgarbage "count" - before) * 1024
  collectgarbage "restart"
  assert(used < 100 * size + (1 << 18), ("%d bytes of memory for %d"):format(used, size))
  assert(ok or fail.is(result), "not an error object: " .. tostring(result))
  return ok, result
end

for i = 1, count do
  local list = valid()
  local key = i % 7 == 0 and random_bytes(64) or nil
  local image = nvs.build(list, { size = SIZE, key = key, version = i % 3 == 0 and 1 or 2 })
  local intact = i % 5 == 0
  if not intact then image = mutate(image) end
  local ok, parsed = measured(function() return nvs_read.parse(image, { key = key }) end, #image)
  if ok then
    for _, p in ipairs(parsed.problems) do assert(type(p.text) == "string") end
    local fine, text = measured(function() return csv.encode(parsed.entries) end, #image)
    if intact then
      assert(#parsed.problems == 0, parsed.problems[1] and parsed.problems[1].text)
      same(contents(list), contents(parsed.entries))
      assert(fine, tostring(text))
      local again = csv.decode(text, { name = "fuzz.csv" })
      same(contents(list), contents(nvs_read.parse(nvs.build(again, { size = SIZE })).entries))
      text = mutate_text(text)
      measured(function() return csv.decode(text, { name = "fuzz.csv", folder = "/nonexistent" }) end, #text)
    end
  else
    assert(not intact, tostring(parsed))
  end
end
print(("%d inputs"):format(count))
