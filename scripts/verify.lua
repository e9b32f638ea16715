#!/usr/bin/env esplua
-- Compares flash with files. All files are looked at, whatever the first ones show.
local cli = require "esp.cli"
local fail = require "esp.error"
local inputs = require "esp.inputs"

local args = cli.parse {
  summary = "Compare flash with files.",
  examples = {
    "verify 0x10000 app.bin",
    "verify --diff 0x0 bootloader.bin 0x8000 partitions.bin",
    "verify --partition ota_0 app.bin",
    "verify build/",
    "verify --flash-type nand 0x0 rootfs.bin",
  },
  { "files", type = "string", many = true, optional = true, metavar = "[ADDRESS] FILE",
    help = "where, and what should be there: all that `flash` takes" },
  { "--as-is", help = "take every file as raw bytes, whatever it looks like" },
  { "--partition", type = { "string", "file" }, many = true, metavar = "LABEL FILE",
    help = "compare partitions, by their names" },
  { "--diff", "-d", help = "show the bytes that differ" },
  cli.partition_table, cli.flash_parameters, cli.spi, cli.flash_type, cli.nand_end, cli.progress, cli.connection,
}

if require "esp.cli.nand".wanted(args) then return require "esp.cli.nand".verify(args) end

local files = inputs.pairs_of(args.files)
local labelled = cli.by_label(args.partition, files)
if args.as_is then
  inputs.as_they_are(files)
  inputs.as_they_are(labelled)
end
if #files + #labelled == 0 then
  fail { code = "usage", message = "argument FILE is missing" }
end

-- What is wrong with the files shows before the chip is touched, as far as it can be known without one.
local ctx = cli.input_context(args)
local regions = inputs.try(files, ctx)

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
  ctx.device, ctx.chip = chip, chip.id
  regions = regions or inputs.load_all(files, ctx)
  if #labelled > 0 then
    local placed = require "esp.partition_chip".place(cli.partitions(args, chip), labelled, ctx)
    table.move(placed, 1, #placed, #regions + 1, regions)
  end
  local mode, freq, size = cli.flash_settings(args)
  chip:verify(regions, {
    diff = args.diff, flash_mode = mode, flash_freq = freq, flash_size = size,
    spi_connection = args.spi_connection, progress = report:bar "Comparing",
    each = function(region)
      show(report, region)
      if not region.equal then wrong[#wrong + 1] = ("%s at 0x%X"):format(region.name, region.address) end
    end,
  })
  if #wrong > 0 then
    fail { code = "verify_failed", message = "flash does not hold " .. table.concat(wrong, ", "),
           hint = not args.diff and "--diff shows which bytes differ" or nil }
  end
end)
