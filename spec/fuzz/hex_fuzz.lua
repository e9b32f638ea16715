--- Fuzzes the Intel HEX reader: esplua spec/fuzz/hex_fuzz.lua COUNT SEED
-- Whatever comes in, the result is regions that are sorted, apart and not empty, or an error object; and what
-- a valid file said is found again.
local fail = require "esp.error"
local hex = require "esp.hex"

local count, seed = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 1
math.randomseed(seed)

local function record(kind, offset, data)
  local bytes = string.char(#data, offset >> 8, offset & 0xFF, kind) .. data
  local sum = 0
  for i = 1, #bytes do sum = sum + bytes:byte(i) end
  return ":" .. (bytes .. string.char(-sum & 0xFF)):gsub(".", function(c) return ("%02X"):format(c:byte()) end)
end

local function random_bytes(n)
  local t = {}
  for i = 1, n do t[i] = string.char(math.random(0, 255)) end
  return table.concat(t)
end

-- A valid file and what it says byte by byte.
local function valid()
  local lines, memory, base, segmented = {}, {}, 0, false
  for _ = 1, math.random(1, 12) do
    local what = math.random(8)
    if what == 1 then
      local upper = math.random(0, 0xFFFE)
      lines[#lines + 1] = record(4, 0, (">I2"):pack(upper))
      base, segmented = upper << 16, false
    elseif what == 2 then
      local upper = math.random(0, 0xFFFF)
      lines[#lines + 1] = record(2, 0, (">I2"):pack(upper))
      base, segmented = upper << 4, true
    else
      local offset, data = math.random(0, 0xFFFF), random_bytes(math.random(1, 20))
      local clash = false
      for i = 0, #data - 1 do
        local at = base + (segmented and (offset + i) % 0x10000 or offset + i)
        clash = clash or memory[at] and memory[at] ~= data:byte(i + 1)
      end
      if not clash then
        for i = 0, #data - 1 do
          memory[base + (segmented and (offset + i) % 0x10000 or offset + i)] = data:byte(i + 1)
        end
        lines[#lines + 1] = record(0, offset, data)
      end
    end
  end
  lines[#lines + 1] = record(1, 0, "")
  return table.concat(lines, "\n") .. "\n", memory
end

local function mutate(text)
  for _ = 1, math.random(1, 4) do
    local at, what = math.random(1, #text), math.random(5)
    if what == 1 then text = text:sub(1, at - 1) .. text:sub(at + 1)
    elseif what == 2 then text = text:sub(1, at) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
    elseif what == 3 then text = text:sub(1, at - 1) .. ("0123456789ABCDEF:\n"):sub(math.random(18))
      :sub(1, 1) .. text:sub(at + 1)
    elseif what == 4 then text = text:sub(1, at)
    else text = text .. text:sub(at) end
    if #text == 0 then return ":" end
  end
  return text
end

local function check(list)
  local stop = -1
  for _, r in ipairs(list) do
    assert(#r.data > 0 and r.address > stop, "regions touch or are empty")
    stop = r.address + #r.data
    assert(stop <= 0x100000000, "beyond 32 bits")
  end
end

for i = 1, count do
  local text, memory = valid()
  local intact = i % 4 == 0
  if not intact then text = mutate(text) end
  local ok, result = pcall(hex.decode, text, "fuzz.hex")
  if ok then check(result) else assert(fail.is(result), "not an error object: " .. tostring(result)) end
  if intact and next(memory) then
    assert(ok, tostring(result))
    local found = 0
    for _, r in ipairs(result) do
      for k = 1, #r.data do assert(memory[r.address + k - 1] == r.data:byte(k), "wrong byte") end
      found = found + #r.data
    end
    for _ in pairs(memory) do found = found - 1 end
    assert(found == 0, "bytes missing")
  end
  hex.looks_like(text)
end
print(("%d inputs"):format(count))
