#!/usr/bin/env esplua
-- The MD5 of ranges of flash, calculated by the chip: nothing is read over the line.
local cli = require "esp.cli"
local fail = require "esp.error"

local args = cli.parse {
  summary = "Show the MD5 digest of a range of flash, as the chip calculates it.",
  examples = { "checksum 0x10000 64k", "checksum 0 ALL", "checksum --partition factory", "checksum 0x10000 1M --json" },
  { "address", type = "address", optional = true, help = "where to begin" },
  { "size", type = "size", all = true, optional = true, help = "bytes, with k or M behind; ALL for the rest of flash" },
  { "--partition", type = "string", many = true, metavar = "LABEL", help = "a whole partition; may be repeated" },
  cli.partition_table, cli.flash_size, cli.spi, cli.connection,
}
if args.address and not args.size or not args.address and #args.partition == 0 then
  fail { code = "usage", message = ("argument %s is missing"):format(args.address and "SIZE" or "ADDRESS"),
         hint = "for example: esplua checksum 0x10000 64k" }
end

cli.with_chip(args, function(chip, report)
  local opts = { spi_connection = args.spi_connection, flash_size = args.flash_size }
  local ranges, list = {}, #args.partition > 0 and cli.partitions(args, chip) or {}
  if args.address then ranges[1] = { offset = args.address, size = args.size } end
  for _, label in ipairs(args.partition) do ranges[#ranges + 1] = require "esp.partition".get(list, label) end
  local total = chip:attach(opts).size
  for _, r in ipairs(ranges) do
    local size = r.size
    if size == "all" then
      if not total then
        fail { code = "flash_size_unknown", message = "the size of flash is not known", hint = "give --flash-size" }
      end
      size = total - r.offset
    end
    if total and (size <= 0 or r.offset + size > total) then
      fail { code = "does_not_fit", message = ("0x%X and %d bytes are not in flash of %d bytes"):format(r.offset, size,
               total) }
    end
    local md5 = chip:md5(r.offset, size, opts)
    report:result({ address = r.offset, bytes = size, md5 = md5, partition = r.label },
      ("%s  0x%X, %d bytes%s"):format(md5, r.offset, size, r.label and ", partition " .. r.label or ""))
  end
end)
