-- Runs esptool's command line inside of the interpreter that runs the specs. Where that collects garbage all the time,
-- hundreds of runs would take too long in it: then each gets a process of its own.
local main = require "esp.esptool".main
local program = require "spec.support.program"
local APART = os.getenv "ESPLUA_GC_STRESS"

local function sink()
  return { write = function(self, ...)
             for _, s in ipairs { ... } do self[#self + 1] = s end
             return self
           end, flush = function(self) return self end }
end

--- Run a command line.
-- @param words list, or one text that is split at blanks
-- @return { status, out, err, command }
return function(words)
  local argv = words
  if type(words) == "string" then
    argv = {}
    for word in words:gmatch "%S+" do argv[#argv + 1] = word end
  end
  if APART then
    local r = program.run(table.move(argv, 1, #argv, 2, { "esptool" }))
    r.command = table.concat(argv, " ")
    return r
  end
  local out, err = sink(), sink()
  local status = main(argv, { out = out, err = err })
  return { status = status, out = table.concat(out), err = table.concat(err), command = table.concat(argv, " ") }
end
