--- Fuzzes the UF2 reader: esplua spec/fuzz/uf2_fuzz.lua COUNT SEED
-- What was written is read back; whatever else comes in, the result is regions inside 32 bits or an error object.
local fail = require "esp.error"
local uf2 = require "esp.uf2"

local count, seed = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 1
math.randomseed(seed)

local function random_bytes(n)
  local t = {}
  for i = 1, (n + 7) // 8 do t[i] = ("<i8"):pack(math.random(0)) end
  return table.concat(t):sub(1, n)
end

local function valid()
  local parts, files, at = {}, {}, 0
  for i = 1, math.random(1, 3) do
    at = at + math.random(1, 5000)
    files[i] = { address = at, data = random_bytes(math.random(1, 1200)) }
    at = at + #files[i].data
    local md5 = math.random(2) == 1
    local data = files[i].data
    uf2.encode(function(b) parts[#parts + 1] = b end,
               { size = #data, read = function(from, n) return data:sub(from + 1, from + n) end }, files[i].address,
               { family = 0xD42BA06C, md5 = md5, chunk_size = math.random(2) == 1 and math.random(1, 113) * 4 or nil })
  end
  return table.concat(parts), files
end

local function mutate(bytes)
  for _ = 1, math.random(1, 4) do
    local block = math.random(0, #bytes // 512) * 512
    local at = math.min(block + math.random(0, 31), math.max(#bytes - 1, 0))
    local what = math.random(5)
    if what == 1 then bytes = bytes:sub(1, at)
    elseif what == 2 then bytes = bytes:sub(1, at) .. string.char(math.random(0, 255)) .. bytes:sub(at + 2)
    elseif what == 3 then bytes = bytes:sub(1, at // 4 * 4) .. "\xFF\xFF\xFF\xFF" .. bytes:sub(at // 4 * 4 + 5)
    elseif what == 4 then bytes = bytes .. bytes:sub(block + 1, block + 512)
    else bytes = bytes:sub(1, block) .. bytes:sub(block + 513) end
  end
  return bytes
end

for i = 1, count do
  local bytes, files = valid()
  local intact = i % 4 == 0
  if not intact then bytes = mutate(bytes) end
  local ok, list = pcall(uf2.decode, bytes, "fuzz.uf2")
  if ok then
    for k, r in ipairs(list) do
      assert(#r.data > 0 and r.address + #r.data <= 0x100000000, "region outside")
      assert(k == 1 or r.address > list[k - 1].address + #list[k - 1].data - 1, "regions overlap")
    end
  else
    assert(fail.is(list), "not an error object: " .. tostring(list))
  end
  if intact then
    assert(ok, tostring(list))
    local text = {}
    for _, f in ipairs(files) do text[#text + 1] = f.data end
    local back = {}
    for _, r in ipairs(list) do back[#back + 1] = r.data end
    assert(table.concat(text) == table.concat(back), "not what was written")
  end
end
print(("%d inputs"):format(count))
