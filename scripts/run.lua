#!/usr/bin/env esplua
-- Leaves the loader and starts a program: the one in flash, or a file that is put into RAM.
local cli = require "esp.cli"
local monitor = require "esp.cli.monitor"

local args = cli.parse {
  summary = "Start the program in flash, or load one into RAM and start it.",
  examples = { "run", "run -p /dev/ttyUSB0", "run test-ram.bin", "run test-ram.elf --monitor",
               "run --after hard-reset" },
  { "file", type = "file", optional = true,
    help = "image or ELF file for RAM; without it the program in flash is started" },
  cli.progress, cli.connection, monitor.after,
}
monitor.check(args)

cli.with_chip(args, function(chip, report)
  if args.file then
    local loaded, entry = chip:load_ram(args.file, { progress = report:bar "Loading" })
    local bytes = 0
    for _, segment in ipairs(loaded) do bytes = bytes + segment.size end
    report:result({ file = args.file, bytes = bytes, entry = entry },
      ("%s: %s loaded, running from 0x%08X"):format(args.file, report.bytes(bytes), entry))
  elseif args.given.after then
    chip:reset(args.after)
    report:result({ reset = args.after }, "Reset: " .. args.after)
  else
    chip:run()
    report:result({ reset = "soft-reset" }, "Started the program in flash")
  end
  if args.monitor then cli.monitor(args, chip, report, { args.file }) end
end, { rom = true })
