-- Faults on the line while our flasher stub runs, seeded: bytes wrong or lost, frames lost, doubled, late, the plug
-- pulled anywhere. The stub is the binary that ships; the simulated chip executes it. However a run ends, it ends soon,
-- and what it claims is true: that is looked up in the simulated flash.
package.path = "./?.lua;" .. package.path
local board = require "spec.support.board"
local fail = require "esp.error"
local task = require "esp.core.task"

local LONGEST = 60                         -- seconds; a hang, not a slow machine
local AT_ONCE = 6
local FIRST, SECOND, ERASED = 0x10000, 0x20100, 0x30000
-- 504 runs take forty seconds of processor time: `make check` sets ESPLUA_FAULTS for its first round. With the
-- collector always running or under a sanitizer some will do.
local STEP = os.getenv "ESPLUA_GC_STRESS" and 59 or os.getenv "ASAN_OPTIONS" and 11
  or os.getenv "ESPLUA_FAULTS" and 1 or 3

local QUICK = { timeout = 0.12, sync_timeout = 0.04, erase_region_timeout_per_mb = 0.5,
                erase_write_timeout_per_mb = 0.5, md5_timeout_per_mb = 0.5 }
local CHIPS = { { "esp32c3", "uart" }, { "esp32", "uart" }, { "esp8266", "uart" }, { "esp32s3", "usj" },
                { "esp32c6", "usj" }, { "esp32s2", "otg" }, { "esp32p4", "uart" } }
if os.getenv "ESPLUA_GC_STRESS" then CHIPS = { CHIPS[1], CHIPS[4] } end
local KINDS = { "drop", "flip", "dup", "stall", "in_drop", "in_flip", "in_dup", "in_stall", "noise", "in_noise", "loss",
                "in_loss" }

-- Bytes on the line until the stub answers.
local loaded = {}
local function bytes_of_start(id, link)
  if not loaded[id] then
    local chip, sim = board.new(id, { link = link, stub = true })
    assert(chip.stub, id)
    loaded[id] = sim:state().bytes
    chip:close()
    sim:close()
  end
  return loaded[id]
end

local function same(sim, address, bytes) return sim:flash(address, #bytes) == bytes end

-- Does one thing; what it raises is an error of ours. Returns whether it went well, and the result.
local function try(f, ...)
  local started = task.now()
  local ok, result = pcall(f, ...)
  local seconds = task.now() - started
  assert(seconds < LONGEST, ("%.1f s"):format(seconds))
  if not ok then
    assert(fail.is(result), "not an error object: " .. tostring(result))
    assert(result.code and #result.message > 0)
  end
  return ok, result
end

-- Writes, compares, reads back and erases; whatever is said to have been done is done. Returns what became of it.
local function run(seed, id, options)
  local first, second = board.noise(2700, seed), board.code(5000, seed)
  options.stub, options.config, options.seed = true, QUICK, seed
  local connected, chip, sim = pcall(board.new, id, options)
  if not connected then
    assert(fail.is(chip), "not an error object: " .. tostring(chip))
    return "not connected"
  end
  if not chip.stub then                    -- the upload failed, and that was said
    chip:close()
    sim:close()
    return "rom"
  end
  local old = board.noise(0x2000, seed + 7)
  sim:poke_flash(FIRST - 16, ("before"):rep(3):sub(1, 16))
  sim:poke_flash(FIRST, seed % 3 == 0 and first:sub(1, 2048) or old)
  sim:poke_flash(SECOND + 0x2000 - 0x100, "behind")
  sim:poke_flash(ERASED, old)

  sim:flash_use()
  local done, report = try(chip.flash, chip, { { FIRST, { data = first } }, { SECOND, { data = second } } },
                           { compress = seed % 2 == 0, reconnect = false })
  for _, entry in ipairs(done and report or report.report or {}) do
    local bytes = entry.address == FIRST and first or second
    assert(not entry.verified or same(sim, entry.address, bytes), "reported as verified, and flash is wrong")
  end
  if done then
    assert(report.verified, "neither verified nor an error")
    assert(same(sim, FIRST, first) and same(sim, SECOND, second), "reported as written, and flash is wrong")
  end
  local use = sim:flash_use()
  assert(use.first == use.last or use.first >= FIRST and use.last <= SECOND // 0x1000 * 0x1000 + 0x2000,
         ("touched 0x%X to 0x%X"):format(use.first, use.last))
  assert(same(sim, FIRST - 16, ("before"):rep(3):sub(1, 16)), "written before the range")
  assert(same(sim, SECOND + 0x2000 - 0x100, "behind"), "written behind the range")

  local compared, equal = try(chip.verify, chip, FIRST, { data = first })
  if compared then assert(equal == same(sim, FIRST, first), "compared wrongly") end
  local read, bytes = try(chip.read, chip, FIRST - 64, 0xC00)
  if read then assert(#bytes == 0xC00 and same(sim, FIRST - 64, bytes), "read wrongly") end
  local emptied, what = try(chip.erase, chip, ERASED, 0x1000)
  if emptied then
    assert(not what.verified or same(sim, ERASED, ("\xFF"):rep(0x1000)), "reported as erased, and is not")
  end
  assert(same(sim, ERASED + 0x1000, old:sub(0x1001)), "erased too much")
  assert(not sim:fault(), sim:fault())
  chip:close()
  sim:close()
  return done and read and compared and emptied and "good" or "failed"
end

-- All runs of a list, some at a time. Returns how often each outcome came, and the complaints.
local function run_all(list)
  local counts, wrong, next_one = {}, {}, 0
  local workers = {}
  for i = 1, AT_ONCE do
    workers[i] = task.spawn(function()
      while next_one < #list do
        next_one = next_one + 1
        local r = list[next_one]
        local started = task.now()
        local ok, outcome = pcall(run, r.seed, r.id, r.options)
        if not ok then
          wrong[#wrong + 1] = ("seed %d, %s, %s: %s"):format(r.seed, r.id, r.what, tostring(outcome))
        else
          counts[outcome] = (counts[outcome] or 0) + 1
        end
        if os.getenv "FAULT_LOG" then print(r.seed, r.id, r.what, outcome, task.now() - started) end
      end
    end)
  end
  for _, w in ipairs(workers) do w:join() end
  return counts, table.concat(wrong, "\n")
end

describe("a faulty line to a running stub", function()
  for k, case in ipairs(CHIPS) do
    local id, link = case[1], case[2]
    it("never makes it lie or hang: " .. id .. " on " .. link, function()
      local list, from = {}, bytes_of_start(id, link)
      for i = k % STEP, 59, STEP do
        local kind = KINDS[i % #KINDS + 1]
        local byte_wise = kind:find "noise" or kind:find "loss"
        local rate = (byte_wise and 0.0003 or 0.02) * (1 + i % 4)
        -- Every sixth is faulty from the beginning, the upload included.
        list[#list + 1] = { seed = 100 * k + i, id = id, what = kind,
          options = { link = link, [kind] = rate, faults_from = i % 6 ~= 5 and from or nil, stall_time = 0.1 } }
      end
      local counts, wrong = run_all(list)
      assert.equal("", wrong)
      assert.is_true((counts.good or 0) * 3 >= #list, "few of them end well")
    end)

    it("that is cut ends in an error: " .. id .. " on " .. link, function()
      local list, from = {}, bytes_of_start(id, link)
      for i = k % STEP, 11, STEP do
        list[#list + 1] = { seed = 100 * k + i, id = id, what = "unplug",
                            options = { link = link, unplug = from + 40 + i * 577 } }
      end
      local counts, wrong = run_all(list)
      assert.equal("", wrong)
      assert.is_nil(counts.good)
    end)
  end
end)
