#!/usr/bin/env esplua
-- Resets a chip by the lines of its port; nothing is asked of the chip.
local cli = require "esp.cli"
local fail = require "esp.error"

local args = cli.parse {
  summary = "Reset the chip by DTR and RTS: start its program, enter the loader, or hold it in reset.",
  details = "The chip need not answer. A reset by other means: run --after soft-reset or --after watchdog-reset.",
  examples = { "reset", "reset -p /dev/ttyUSB0", "reset --loader", "reset --hold", "reset --hold --for 5" },
  cli.port_options,
  { "--loader", aliases = { "--bootloader" }, help = "enter the ROM loader instead of starting the program in flash" },
  { "--usb", help = "with --loader: the sequence for USB-Serial/JTAG" },
  { "--hold", excludes = "--loader", help = "keep the chip in reset, also after this command has ended" },
  { "--for", type = "number", metavar = "SECONDS", help = "with --hold: let it go after so long" },
}
if args["for"] and not args.hold then
  fail { code = "usage", message = "--for goes with --hold" }
end

cli.run(args, function(report)
  local config, ports, reset = require "esp.config", require "esp.ports", require "esp.reset"
  local url = cli.port(args, report)
  local port <close> = ports.open(url)
  if not port:info().has_lines then
    fail { code = "unsupported", message = url .. ": this port has no DTR and RTS lines, so it cannot reset",
           hint = "reset the board by hand, or: run --after watchdog-reset" }
  end
  if args.hold then
    fail.check(url, nil, port:lines(false, true))
    if args["for"] then
      report:say(("Held in reset for %g s"):format(args["for"]))
      local ok, err = pcall(require "esp.core.task".sleep, args["for"])
      fail.check(url, nil, port:lines(nil, false))
      if not ok then error(err, 0) end
      report:result({ reset = "hold", seconds = args["for"] }, "Let go: the chip starts")
    else
      report:result({ reset = "hold" }, "Held in reset; `esplua reset` lets it go, as does whatever opens the port")
    end
  elseif args.loader then
    local settings = config.load()
    local recipe = reset.cycle { mode = args.usb and "usb-reset" or "default-reset", config = settings,
                                 usb = ports.usb_identity(port, url), kind = port:info().kind }[1]
    fail.check(url, nil, reset.perform(port, recipe))
    report:result({ reset = "loader", recipe = recipe.name },
                  ("Reset into the loader (%s); commands go on with --before no-reset"):format(recipe.name))
  else
    ports.reset(port, url)
    report:result({ reset = "hard" }, "Reset")
  end
end)
