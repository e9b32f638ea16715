--- Fuzzes partition tables, CSV and binary: esplua spec/fuzz/partition_fuzz.lua COUNT SEED
-- Whatever comes in, the result is a list that the other calls take, or an error object; a valid table is found again
-- in both forms; and memory stays within a multiple of the input.
local check = require "esp.partition_check"
local csv = require "esp.partition_csv"
local fail = require "esp.error"
local otadata = require "esp.otadata"
local partition = require "esp.partition"

local count, seed = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 1
math.randomseed(seed)

local KINDS = { { 0, 0x00 }, { 0, 0x10 }, { 0, 0x11 }, { 1, 0x00 }, { 1, 0x02 }, { 1, 0x82 }, { 0x40, 0x07 } }

local function valid()
  local list, at = {}, 0x10000
  for i = 1, math.random(1, 12) do
    local kind = KINDS[math.random(#KINDS)]
    local size = 0x10000 * math.random(1, 4)
    list[i] = { label = "p" .. i, type = kind[1], subtype = kind[2], offset = at, size = size,
                encrypted = math.random(4) == 1, readonly = false }
    at = at + size
  end
  return list
end

local function same(a, b)
  assert(#a == #b, "another number of partitions")
  for i, e in ipairs(a) do
    for _, key in ipairs { "label", "type", "subtype", "offset", "size" } do
      assert(e[key] == b[i][key], ("%s of partition %d"):format(key, i))
    end
    assert((e.encrypted or false) == (b[i].encrypted or false), "flags")
  end
end

local PIECES = { ",", "\n", "-", "0x", "M", "K", "\0", "${", "\xFF", ":", "99999999999999999999", "#", '"', "\r\n" }

local function mutate(text)
  for _ = 1, math.random(1, 5) do
    local at, what = math.random(1, #text), math.random(6)
    if what == 1 then text = text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
    elseif what == 2 then text = text:sub(1, at - 1) .. text:sub(at + math.random(40))
    elseif what == 3 then text = text:sub(1, at) .. text:sub(math.random(#text)):sub(1, 64) .. text:sub(at + 1)
    elseif what == 4 then text = text:sub(1, at) .. PIECES[math.random(#PIECES)] .. text:sub(at + 1)
    elseif what == 5 then text = text:sub(1, at)
    else text = text:sub(1, at - 1) .. ("\xFF"):rep(math.random(32)) .. text:sub(at) end
    if text == "" then text = "," end
  end
  return text
end

local function use(list)
  check.problems(list, { flash_size = 4 << 20 })
  for _, e in ipairs(list) do
    local ok, err = pcall(partition.check_apart, list, e)
    assert(ok or fail.is(err), tostring(err))
    partition.kind(e)
    partition.shown(e.label)
  end
  for _, encode in ipairs { csv.encode, partition.encode } do
    local ok, err = pcall(encode, list)
    assert(ok or fail.is(err), tostring(err))
  end
end

local function parse(text)
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  local ok, list = pcall(partition.parse, text, { getenv = function() end })
  local used = (collectgarbage "count" - before) * 1024
  collectgarbage "restart"
  assert(used < 400 * #text + (1 << 18), ("%d bytes of memory for %d"):format(used, #text))
  return ok, list
end

for i = 1, count do
  local list = valid()
  local text = i % 2 == 0 and partition.encode(list, { md5 = i % 3 > 0 }) or csv.encode(list)
  local intact = i % 5 == 0
  if not intact then text = mutate(text) end
  local ok, found = parse(text)
  if intact then
    assert(ok, tostring(found))
    same(list, found)
  end
  if ok then use(found) else assert(fail.is(found), "not an error object: " .. tostring(found)) end
  local bytes = {}
  for k = 1, 2 do
    local entry = ("<I4"):pack(math.random(0, 9)) .. ("\xFF"):rep(20) .. ("<I4I4"):pack(0xFFFFFFFF, math.random(0, 9))
    bytes[k] = mutate(entry):sub(1, 4096)
    bytes[k] = bytes[k] .. ("\xFF"):rep(4096 - #bytes[k])
  end
  otadata.decode(table.concat(bytes), math.random(0, 16))
end
print(("%d inputs"):format(count))
