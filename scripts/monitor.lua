#!/usr/bin/env esplua
-- Shows what the program on a chip says.
local cli = require "esp.cli"
local fail = require "esp.error"

local args = cli.parse {
  summary = "Show what the program on the chip says, until Ctrl-C.",
  examples = { "monitor -p /dev/ttyUSB0", "monitor -b 74880 --reset", "monitor --reset --until 'ready' --for 10" },
  cli.connection[1],
  { "--baud", "-b", type = "int", min = 1, max = 100000000, metavar = "RATE", default = 115200,
    help = "bits per second of the program's output" },
  { "--reset", help = "reset the chip first, so that it starts what is in flash" },
  { "--for", type = "number", metavar = "SECONDS", help = "end after so long; with --until, fail then" },
  { "--until", type = "string", metavar = "PATTERN", help = "end when a line or its beginning matches (Lua pattern)" },
}

local QUIET = 0.25                        -- seconds to wait at once: Ctrl-C and the end are noticed in between
local KEPT = 4096                         -- bytes of a line that a pattern is looked for in

local function first_port(report)
  local entry = require "esp.ports".list()[1]
  if not entry then fail { code = "port_missing", message = "no serial port found", hint = "name it with --port" } end
  report:note("on " .. entry.name)
  return entry.name
end

-- The line that is being received, for --until.
local line = ""
local function matches(text)
  for piece, stop in text:gmatch "([^\r\n]*)([\r\n]?)" do
    line = (line .. piece):sub(-KEPT)
    if line:find(args["until"]) then return line end
    if stop ~= "" then line = "" end
  end
  return nil
end

local function watch(console, report)
  local task = require "esp.core.task"
  local deadline = args["for"] and task.now() + args["for"] or math.huge
  local bytes = 0
  while true do
    local left = deadline - task.now()
    if left <= 0 then break end
    local text = console:read(math.min(left, QUIET))
    if text ~= "" then
      bytes = bytes + #text
      if args.json then
        report:emit("text", { text = text })
      else
        fail.check("standard output", nil, io.stdout:write(text))
      end
      io.stdout:flush()
      local found = args["until"] and matches(text)
      if found then return { bytes = bytes, found = found } end
    end
  end
  if args["until"] then
    fail { code = "timeout", message = ("no line like %q in %g s, %d bytes were received"):format(args["until"],
           args["for"], bytes), hint = bytes == 0 and "--reset starts the program anew; is it this port, and this rate?"
           or nil }
  end
  return { bytes = bytes }
end

cli.run(args, function(report)
  local ports, reset = require "esp.ports", require "esp.reset"
  if args["until"] and not pcall(string.find, "", args["until"]) then
    fail { code = "usage", message = ("--until %q is not a Lua pattern"):format(args["until"]),
           hint = "% stands before a sign that means itself" }
  end
  local url = args.port or require "esp.config".environment().port or first_port(report)
  local port <close> = ports.open(url, { baud = args.baud })
  if args.reset then
    local usb = ports.usb_identity(port, url)
    local own = usb and usb.vid == reset.ESPRESSIF_VID
    fail.check(url, nil, reset.perform(port, { name = "hard", steps = own and reset.recipes.hard_usb
                                                                      or reset.recipes.hard }))
  end
  local console = require "esp.console".new({ port = port, baud = args.baud })
  local ok, result = pcall(watch, console, report)
  if not ok and not (fail.is(result) and result.code == "interrupted") then error(result, 0) end
  report:emit("result", ok and result or { interrupted = true })
end)
