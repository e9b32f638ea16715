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

cli.with_chip(args, function(chip, report)
  local each, finish = require "esp.cli.compared".new(report, args.diff)
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
    each = each,
  })
  finish()
end)
