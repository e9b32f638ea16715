-- Speed of SLIP framing on one core: data without special bytes, random bytes (0.8 %), 1 %, and nothing but
-- special bytes.
local slip = require "esp.core.slip"
local SIZE, PIECE, NEEDED = 1 << 20, 0x4000, 300

local x = 88172645463325252
local function random()
  x = x ~ (x << 13)
  x = x ~ (x >> 7)
  x = x ~ (x << 17)
  return x >> 1
end

local function data(make)
  local t = {}
  for i = 1, SIZE do t[i] = string.char(make(i)) end
  return table.concat(t)
end

local function rate(bytes, f)
  local rounds, cpu = 0, os.clock()
  repeat
    f()
    rounds = rounds + 1
  until os.clock() - cpu > 0.3
  return rounds * bytes / (os.clock() - cpu) / 1e6
end

print(("%-32s %10s %10s"):format("SLIP, MB/s on one core", "encode", "decode"))
local met = true
for _, case in ipairs {
  { "no special bytes", function(i) return i % 0xC0 end },
  { "random bytes", function() return random() & 0xFF end },
  { "1 % special bytes", function()
    return random() % 100 == 0 and (random() % 2 == 0 and 0xC0 or 0xDB) or random() % 0xC0
  end },
  { "special bytes only", function() return random() % 2 == 0 and 0xC0 or 0xDB end, no_limit = true },
} do
  local bytes, frames, pieces = data(case[2]), {}, {}
  for at = 1, SIZE, PIECE do
    pieces[#pieces + 1] = bytes:sub(at, at + PIECE - 1)
    frames[#frames + 1] = slip.encode(pieces[#pieces])
  end
  local d <close> = slip.decoder()
  local encode = rate(SIZE, function() for i = 1, #pieces do slip.encode(pieces[i]) end end)
  local decode = rate(SIZE, function() for i = 1, #frames do d:feed(frames[i]) end end)
  local ok = case.no_limit or encode >= NEEDED and decode >= NEEDED
  met = met and ok
  print(("%-32s %10.0f %10.0f   %s"):format(case[1], encode, decode,
    case.no_limit and "" or ("at least %d: %s"):format(NEEDED, ok and "met" or "MISSED")))
end
assert(met, "slower than it must be")
