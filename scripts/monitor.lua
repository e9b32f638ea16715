#!/usr/bin/env esplua
-- Shows what the program on a chip says.
local cli = require "esp.cli"
local monitor = require "esp.cli.monitor"
local BAUD_MAX = require "esp.config".BAUD_MAX

local args = cli.parse {
  summary = "Show what the program on the chip says, until Ctrl-C.",
  details = "What is typed goes to the program; Ctrl-R resets the chip, Ctrl-] ends as Ctrl-C does. With an ELF file "
    .. "addresses in the output, such as those of a crash, get the names of functions and lines of source.",
  examples = { "monitor -p /dev/ttyUSB0", "monitor -b 74880 --reset", "monitor --reset --until 'ready' --for 10",
               "monitor --elf build/", "monitor --elf app.elf --log boot.txt" },
  cli.port_options,
  { "--baud", "-b", aliases = { "-r", "--monitor-baud" }, type = "int", min = 1, max = BAUD_MAX, metavar = "RATE",
    env = "ESPLUA_MONITOR_BAUD", help = "bits per second of the program's output (115200)" },
  { "--reset", help = "reset the chip first, so that it starts what is in flash" },
  monitor.options,
}
monitor.check(args)

cli.run(args, function(report)
  local ports = require "esp.ports"
  args.monitor_baud = args.baud
  local baud = monitor.baud(args)
  local url = cli.port(args, report)
  local port <close> = ports.open(url, { baud = baud })
  local function reset() ports.reset(port, url) end
  if args.reset then reset() end
  local console = require "esp.console".new({ port = port, baud = baud }, { baud = baud })
  local has_lines = port:info().has_lines
  report:emit("result", monitor.run(args, report, { console = console, reset = has_lines and reset or nil }))
end)
