#!/usr/bin/env esplua
-- Reads flash into a file, which appears only when it is complete.
local cli = require "esp.cli"
local fail = require "esp.error"

local args = cli.parse {
  summary = "Read flash into a file.",
  examples = {
    "read 0x10000 64k app.bin",
    "read 0 ALL backup.bin",
    "read -s 0x8000 0xC00 - | xxd",
    "read -p /dev/ttyUSB0 -b 921600 0x8000 0xC00 partitions.bin",
    "read --partition nvs nvs.bin",
    "read --flash-type nand 0 ALL nand.bin",
  },
  { "address", type = "address", optional = true, help = "where to begin" },
  { "size", type = "size", all = true, optional = true, help = "bytes, with k or M behind; ALL for the rest of flash" },
  { "file", type = "output", optional = true, stdout = true, help = "file to write; - for standard output" },
  { "--partition", type = { "string", "output" }, many = true, metavar = "LABEL FILE",
    help = "read partitions, by their names" },
  { "--fill-bad", help = "NAND: 0xFF in the place of bad blocks, so that every byte keeps its place" },
  { "--force", help = "NAND: read also what has more wrong bits than can be corrected" },
  cli.partition_table, cli.flash_size, cli.spi, cli.flash_type, cli.nand_end, cli.progress, cli.connection,
}

if args.address and not args.file or not args.address and #args.partition == 0 then
  local missing = not args.address and "ADDRESS" or not args.size and "SIZE" or "FILE"
  fail { code = "usage", message = ("argument %s is missing"):format(missing) }
end

args.output = args.file
if require "esp.cli.nand".wanted(args, "fill_bad", "force") then return require "esp.cli.nand".read(args) end

local function read(chip, report, address, size, file, label)
  local bytes, info = chip:read(address, size, {
    file = file ~= "-" and file or nil, flash_size = args.flash_size, spi_connection = args.spi_connection,
    progress = report:bar "Reading",
  })
  if file == "-" then require "esp.file_writer".write_out(file, bytes) end
  report:result({ address = address, bytes = info.size, seconds = info.seconds, verified = info.verified,
                  file = file, partition = label },
    ("%s: %s from 0x%X in %.1f s%s%s"):format(file == "-" and "standard output" or file,
      report.bytes(info.size), address, info.seconds,
      info.seconds > 0 and (" (%s)"):format(report.rate(info.size / info.seconds)) or "",
      info.verified and ", verified" or ""))
end

cli.with_chip(args, function(chip, report)
  local list = #args.partition > 0 and cli.partitions(args, chip) or {}
  local wanted = {}
  for i, pair in ipairs(args.partition) do wanted[i] = require "esp.partition".get(list, pair[1]) end
  if args.address then read(chip, report, args.address, args.size == "all" and "ALL" or args.size, args.file) end
  for i, e in ipairs(wanted) do read(chip, report, e.offset, e.size, args.partition[i][2], e.label) end
end)
