#!/usr/bin/env esplua
-- Reads flash into a file, which appears only when it is complete.
local cli = require "esp.cli"

local args = cli.parse {
  summary = "Read flash into a file.",
  examples = {
    "read 0x10000 64k app.bin",
    "read 0 ALL backup.bin",
    "read -p /dev/ttyUSB0 -b 921600 0x8000 0xC00 partitions.bin",
  },
  { "address", type = "address", help = "where to begin" },
  { "size", type = "size", all = true, help = "bytes, with k or M behind; ALL for the rest of flash" },
  { "file", type = "output", help = "file to write" },
  cli.flash_size, cli.spi, cli.progress, cli.connection,
}

cli.with_chip(args, function(chip, report)
  local _, info = chip:read(args.address, args.size == "all" and "ALL" or args.size, {
    file = args.file, flash_size = args.flash_size, spi_connection = args.spi_connection,
    progress = report:bar "Reading",
  })
  report:result({ address = args.address, bytes = info.size, seconds = info.seconds, verified = info.verified,
                  file = args.file },
    ("%s: %s from 0x%X in %.1f s%s%s"):format(args.file, report.bytes(info.size), args.address, info.seconds,
      info.seconds > 0 and (" (%s)"):format(report.rate(info.size / info.seconds)) or "",
      info.verified and ", verified" or ""))
end)
