-- Going back to a chip past its boot log: seconds to save its state and to load it, against those of a start anew, and
-- how many chips can be started so in a second. The program is our stub that has been uploaded and greets again; with
-- ESPLUA_ROMS=FOLDER also a ROM past its boot log. Times are CPU seconds of the process, the best of five rounds.
local esp = require "esp"
local sim = require "esp.sim"
local ROUNDS, TIMES = 5, 50

local function best(times, f)
  local least = math.huge
  for _ = 1, ROUNDS do
    local start = os.clock()
    for _ = 1, times do f() end
    least = math.min(least, (os.clock() - start) / times)
  end
  return least
end

local function row(what, anew, save, load)
  print(("%-36s %9.2f ms %9.2f ms %9.2f ms %9.0f %9.0f"):format(what, anew * 1e3, save * 1e3, load * 1e3, 1 / load,
    anew / load))
end

local function measure(what, start)
  local anew = best(1, function()
    local chip, host = start()
    if host then host:close() end
    chip:close()
  end)
  local chip <close>, _ = start()
  assert(chip:cpu().running, "it does not run")
  local snapshot = assert(chip:save())
  local save = best(TIMES, function() chip:save() end)
  row(what, anew, save, best(TIMES, function() chip:load(snapshot) end))
end

print(("%-36s %12s %12s %12s %9s %9s"):format("", "anew", "save", "load", "a second", "anew/load"))
for _, id in ipairs { "esp32c3", "esp32" } do
  measure(id .. ", our stub is running", function()
    local chip = sim.new { chip = id }
    local host = esp.connect { port = chip:port(), chip = id, after = "no-reset" }
    assert(host.stub)
    return chip, host
  end)
end
local folder = os.getenv "ESPLUA_ROMS"
for _, case in ipairs(folder and { { "esp32c3", "esp32c3_rev300" }, { "esp32", "esp32_rev300" } } or {}) do
  measure(case[2] .. ", past its boot log", function()
    local chip = sim.new { chip = case[1], rom = ("%s/%s_rom.elf"):format(folder, case[2]) }
    assert(#chip:exchange("", 0.5) > 50, "no boot log")
    return chip
  end)
end
if not folder then print "set ESPLUA_ROMS to a folder of mask ROMs for chips that run them" end
