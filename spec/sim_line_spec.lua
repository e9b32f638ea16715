-- The line of the simulated chip: faults that repeat with their seed, latency, the cut cable.
local rawhost = require "spec.support.rawhost"
local sim = require "esp.sim"
local task = require "esp.core.task"
local W = rawhost.words

-- All that comes back when n registers are read, after enough SYNCs for one to get through. Nothing waits for an
-- answer in between, so that only the faults decide.
local function talk(options, n)
  options.chip = "esp32c3"
  local host <close> = rawhost.new(sim.new(options))
  local sync = rawhost.frame(("<BBI2I4"):pack(0, 8, 36, 0) .. "\x07\x07\x12\x20" .. ("U"):rep(32))
  host.port:write(sync:rep(30))
  local requests = {}
  for i = 1, n do requests[i] = rawhost.frame(("<BBI2I4I4"):pack(0, 0x0A, 4, 0, 0x60000078 + 4 * i)) end
  host.port:write(table.concat(requests))
  return host.boot .. host:read(0.08)
end

local function readings(bytes)
  local n = 0
  for _, frame in ipairs(rawhost.frames(bytes)) do n = n + (frame:byte(2) == 0x0A and 1 or 0) end
  return n
end

describe("a line with faults", function()
  local clean = talk({}, 40)

  for _, fault in ipairs { "drop", "flip", "dup", "noise", "loss", "in_drop", "in_flip", "in_dup", "in_noise",
                           "in_loss" } do
    it("repeats them with the same seed: " .. fault, function()
      local p = (fault:match "noise" or fault:match "loss") and 0.05 or 0.3
      local first = talk({ [fault] = p, seed = 11 }, 40)
      assert.equal(first, talk({ [fault] = p, seed = 11 }, 40))
      assert.not_equal(clean, first)
    end)
  end

  it("has other faults with another seed", function()
    assert.not_equal(talk({ drop = 0.5, seed = 1 }, 20), talk({ drop = 0.5, seed = 2 }, 20))
  end)

  it("loses about as much as asked for", function()
    local arrived = readings(talk({ drop = 0.25, seed = 5 }, 400))
    assert.is_true(arrived > 260 and arrived < 340, arrived .. " of 400")
  end)

  it("sends an answer twice", function()
    assert.equal(2 * readings(talk({}, 20)), readings(talk({ dup = 1 }, 20)))
  end)

  it("is late when it stalls", function()
    local chip = sim.new { chip = "esp32c3", stall = 1, stall_time = 0.15 }
    local host <close> = rawhost.new(chip)
    local start = task.now()
    host.port:write(rawhost.frame(("<BBI2I4"):pack(0, 8, 36, 0) .. "\x07\x07\x12\x20" .. ("U"):rep(32)))
    assert.is_truthy(host.port:read(100, 5))
    assert.is_true(task.now() - start >= 0.149)
  end)
end)

describe("a line", function()
  it("has latency", function()
    local chip = sim.new { chip = "esp32c3", latency = 0.05 }
    local host <close> = rawhost.new(chip)
    host.port:read(1000, 1)
    local start = task.now()
    host:sync()
    assert.is_true(task.now() - start >= 0.099)
  end)

  it("takes the time that its rate gives when asked to", function()
    local chip = sim.new { chip = "esp32c3", rate = "real" }
    local host <close> = rawhost.new(chip)
    host.port:read(4096, 0.1)
    host:sync()
    local start = task.now()
    host:command(0x0E, W(0, 64))                       -- 76 bytes and their frame at 115200
    assert.is_true(task.now() - start >= 76 * 10 / 115200)
  end)

  it("takes the time that a flash needs when asked to", function()
    local chip = sim.new { chip = "esp32c3", timing = "real" }
    local host <close> = rawhost.new(chip)
    host:sync()
    host:attach()
    local start = task.now()
    host:flash_begin(0x2000, 0, 0x400, 0, 0)           -- two sectors
    assert.is_true(task.now() - start >= 0.0899)
  end)

  it("is cut after some bytes, and stays so", function()
    local chip = sim.new { chip = "esp32c3", unplug = 400 }
    local host <close> = rawhost.new(chip)
    host:sync()
    local code
    for _ = 1, 50 do
      local _, _, c = host.port:write(rawhost.frame(("<BBI2I4I4"):pack(0, 0x0A, 4, 0, 0x60000078)))
      if not c then _, _, c = host.port:read(100, 0.05) end
      if c == "port_gone" then
        code = c
        break
      end
    end
    assert.equal("port_gone", code)
    local ok, _, again = host.port:reopen(0.05)
    assert.is_nil(ok)
    assert.equal("port_missing", again)
  end)
end)
