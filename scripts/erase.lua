#!/usr/bin/env esplua
-- Erases flash: all of it, or a region.
local cli = require "esp.cli"
local fail = require "esp.error"

local args = cli.parse {
  summary = "Erase flash: all of it, or a region.",
  examples = { "erase", "erase 0x10000 64k", "erase 0x200000 ALL -p /dev/ttyUSB0",
               "erase --partition nvs", "erase --flash-type nand 0 0x40000" },
  { "address", type = "address", multiple = 0x1000, optional = true,
    help = "where to begin, a multiple of 0x1000; all of flash without it" },
  { "size", type = "size", multiple = 0x1000, all = true, optional = true,
    help = "bytes, a multiple of 0x1000, with k or M behind; ALL for the rest of flash" },
  { "--partition", type = "string", many = true, metavar = "LABEL",
    help = "erase the partition of this name; may be repeated" },
  { "--data-parts", aliases = { "--erase-data-parts" }, type = "string", many = true, metavar = "KIND,...",
    help = "erase data partitions of these kinds: nvs, ota, phy, ..." },
  { "--force", help = "erase although secure boot or flash encryption is on, or partitions overlap" },
  cli.partition_table, cli.flash_size, cli.spi, cli.flash_type, cli.progress, cli.connection,
}
if args.address and not args.size then
  fail { code = "usage", message = "argument SIZE is missing after ADDRESS", hint = "ALL erases the rest of flash" }
end

if require "esp.cli.nand".wanted(args) then return require "esp.cli.nand".erase(args) end

local kinds = {}
for _, text in ipairs(args.data_parts) do
  for word in text:gmatch "[^,]+" do kinds[#kinds + 1] = word end
end
local by_table = #args.partition + #args.data_parts > 0
if args.address and by_table then
  fail { code = "usage", message = "ADDRESS and partitions exclude each other" }
end

local function erased(report, done, label)
  report:result({ address = done.address, bytes = done.size, seconds = done.seconds, verified = done.verified,
                  partition = label },
    ("Erased %s0x%X to 0x%X in %.1f s%s"):format(label and label .. ", " or "", done.address,
      done.address + done.size - 1, done.seconds, done.verified and ", verified" or ""))
end

cli.with_chip(args, function(chip, report)
  local opts = { force = args.force, spi_connection = args.spi_connection, progress = report:bar "Erasing",
                 flash_size = args.flash_size ~= "keep" and args.flash_size or nil }
  if by_table then
    local wanted = require "esp.partition_chip".choose(cli.partitions(args, chip), args.partition, kinds, args.force)
    for _, e in ipairs(wanted) do erased(report, chip:erase(e.offset, e.size, opts), e.label) end
  elseif args.address then
    erased(report, chip:erase(args.address, args.size == "all" and "ALL" or args.size, opts))
  else
    erased(report, chip:erase_all(opts))
  end
end)
