#!/usr/bin/env esplua
-- Compares flash with files. All files are looked at, whatever the first ones show.
local cli = require "esp.cli"
local fail = require "esp.error"
local input = require "esp.input"

local args = cli.parse {
  summary = "Compare flash with files.",
  examples = {
    "verify 0x10000 app.bin",
    "verify --diff 0x0 bootloader.bin 0x8000 partitions.bin",
    "verify --partition ota_0 app.bin",
  },
  { "files", type = { "address", "file" }, many = true, optional = true, metavar = "ADDRESS FILE",
    help = "where, and what should be there" },
  { "--partition", type = { "string", "file" }, many = true, metavar = "LABEL FILE",
    help = "compare partitions, by their names" },
  { "--diff", "-d", help = "show the bytes that differ" },
  cli.partition_table, cli.flash_parameters, cli.spi, cli.progress, cli.connection,
}

local files = table.move(args.files, 1, #args.files, 1, {})
local labelled = cli.by_label(args.partition, files)
if #files + #labelled == 0 then
  fail { code = "usage", message = "argument ADDRESS FILE is missing" }
end

-- What is wrong with the files shows before the chip is touched.
for _, pair in ipairs(files) do input.close(input.load(pair[2], pair[1])) end

local function show(report, region)
  local list = region.differences or {}
  report:emit("compared", { name = region.name, address = region.address, size = region.size, equal = region.equal,
                            file_md5 = region.file_md5, flash_md5 = region.flash_md5,
                            differences = region.differences and { count = list.count,
                              first = list[1] and list[1].address } })
  report:say(("%s: %s at 0x%X %s"):format(region.name, report.bytes(region.size), region.address,
                                           region.equal and "verified" or "DIFFERS from flash"))
  if not args.diff then return end
  for _, d in ipairs(list) do
    report:emit("difference", d)
    report:say(("  0x%08X  flash %02X  file %02X"):format(d.address, d.flash, d.file))
  end
  if (list.count or 0) > #list then report:say(("  and %d more bytes"):format(list.count - #list)) end
end

cli.with_chip(args, function(chip, report)
  local wrong = {}
  if #labelled > 0 then
    local list = cli.partitions(args, chip)
    input.close(require "esp.partition_chip".place(list, labelled))
    for _, pair in ipairs(labelled) do
      files[#files + 1] = { require "esp.partition".get(list, pair[1]).offset, pair[2] }
    end
  end
  for _, pair in ipairs(files) do
    local _, details = chip:verify(pair[1], pair[2], {
      diff = args.diff, flash_mode = args.flash_mode, flash_freq = args.flash_freq, flash_size = args.flash_size,
      spi_connection = args.spi_connection, progress = report:bar "Comparing",
    })
    for _, region in ipairs(details) do
      show(report, region)
      if not region.equal then wrong[#wrong + 1] = ("%s at 0x%X"):format(region.name, region.address) end
    end
  end
  if #wrong > 0 then
    fail { code = "verify_failed", message = "flash does not hold " .. table.concat(wrong, ", "),
           hint = not args.diff and "--diff shows which bytes differ" or nil }
  end
end)
