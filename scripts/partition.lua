#!/usr/bin/env esplua
-- Partition tables: shows, converts and checks them, and chooses the app that is started.
local cli = require "esp.cli"
local check = require "esp.partition_check"
local csv = require "esp.partition_csv"
local fail = require "esp.error"
local partition = require "esp.partition"

local SIZES = { "256KB", "512KB", "1MB", "2MB", "4MB", "8MB", "16MB", "32MB", "64MB", "128MB" }
local FILE = { "file", type = "file", optional = true, help = "CSV or binary table; that of the chip without it" }

local args = cli.parse {
  summary = "Show, convert and check partition tables; choose the app that is started.",
  details = "CSV and binary tables are told apart by their content. Partitions themselves are written and read with "
    .. "flash, read, erase and verify --partition LABEL.",
  examples = {
    "partition show",
    "partition show partitions.csv",
    "partition convert partitions.csv partitions.bin --flash-size 4MB",
    "partition convert partitions.bin -",
    "partition check partitions.csv",
    "partition find nvs",
    "partition save backup.csv",
    "partition ota show",
    "partition ota select 1",
  },
  commands = {
    { name = "show", summary = "show a table", FILE },
    { name = "check", summary = "tell what is wrong with a table", FILE },
    { name = "convert", summary = "CSV to binary, or binary to CSV",
      { "input", type = "file", help = "CSV or binary" },
      { "output", type = "output", stdout = true, help = "file to write; - for standard output" },
      { "--to", type = "choice", choices = { "csv", "binary" }, help = "csv or binary; the other form without it" },
      { "--no-md5", aliases = { "--disable-md5sum" }, help = "leave the digest out of a binary table" },
      { "--no-verify", help = "convert in spite of errors in the table" } },
    { name = "save", summary = "read the chip's table into a file",
      { "output", type = "output", help = "file to write: CSV when its name ends in .csv, else binary" } },
    { name = "find", summary = "show one partition",
      { "label", type = "string", help = "name of the partition, or TYPE/SUBTYPE such as app/ota_0" }, FILE },
    { name = "ota", summary = "OTA data: which app is started",
      { "action", type = "choice", choices = { "show", "select", "erase" }, help = "show, select or erase" },
      { "slot", type = "string", optional = true,
        help = "slot number or label of its partition, or the label of the factory app" },
      { "--state", type = "choice", choices = { "undefined", "new", "valid" },
        help = "state of the app; with new a bootloader with rollback watches its first start" },
      { "--partition-table", type = "file", metavar = "FILE", help = "table to use instead of the one in flash" },
      { "--force", help = "select a slot although no app is seen there" } },
  },
  { "--offset", "-o", aliases = { "--partition-table-offset" }, type = "address", multiple = 0x1000,
    metavar = "ADDRESS", help = "where in flash the table is (0x8000)" },
  { "--flash-size", "-fs", type = "choice", choices = SIZES, metavar = "SIZE",
    help = "what partitions have to fit in" },
  { "--secure", type = "choice", choices = { "v1", "v2" },
    help = "secure boot that app partitions have to be right for: v1 or v2" },
  { "--primary-bootloader-offset", type = "address", metavar = "ADDRESS", help = "for partitions of type bootloader" },
  { "--recovery-bootloader-offset", type = "address", metavar = "ADDRESS", help = "for partitions of type bootloader" },
  { "--extra-subtype", aliases = { "--extra-partition-subtypes" }, type = "string", many = true, follow = "^%w+,",
    metavar = "TYPE,NAME,NUMBER", help = "a name for a subtype; may be repeated" },
  cli.spi, cli.progress, cli.connection,
}

args.offset = args.offset or partition.TABLE_OFFSET
local options = {
  table_offset = args.offset, primary_bootloader_offset = args.primary_bootloader_offset, secure = args.secure,
  recovery_bootloader_offset = args.recovery_bootloader_offset, extra_subtypes = csv.extra_subtypes(args.extra_subtype),
  flash_size = args.flash_size and require "esp.cli.types".bytes(args.flash_size),
}
local chip_options = { table_offset = args.offset, table = args.partition_table, flash_size = args.flash_size,
                       spi_connection = args.spi_connection, force = args.force, state = args.state }
if args.primary_bootloader_offset and args.primary_bootloader_offset >= args.offset then
  fail { code = "usage", message = "the bootloader has to be below the partition table" }
end

-- fn(list, report, name of the table, its form) with the table of a file or of a chip
local function with_table(path, fn)
  if path then
    return cli.run(args, function(report)
      local list, form = partition.load(path, options)
      return fn(list, report, path, form)
    end)
  end
  return cli.with_chip(args, function(chip, report)
    return fn(chip:partitions(chip_options), report, ("partition table at 0x%X"):format(args.offset), "binary")
  end)
end

local function size_text(n)
  if n % 0x100000 == 0 and n > 0 then return ("%d MiB"):format(n >> 20) end
  if n % 0x400 == 0 then return ("%d KiB"):format(n >> 10) end
  return ("%d bytes"):format(n)
end

local function row(e, json)
  local kind = partition.type_name(e.type)
  local subtype = partition.subtype_name(e.type, e.subtype, options.extra_subtypes)
  local flags = {}
  for _, flag in ipairs(partition.FLAG_NAMES) do
    if e[flag] then flags[#flags + 1] = flag end
  end
  if json then
    return { label = e.label, type = e.type, subtype = e.subtype, type_name = kind, subtype_name = subtype,
             offset = e.offset, size = e.size, encrypted = e.encrypted, readonly = e.readonly, line = e.line }
  end
  return { label = partition.shown(e.label), type = kind or ("0x%02X"):format(e.type),
           subtype = subtype or ("0x%02X"):format(e.subtype), offset = ("0x%X"):format(e.offset),
           size = ("0x%X"):format(e.size), stop = ("0x%X"):format(e.offset + e.size), bytes = size_text(e.size),
           flags = table.concat(flags, " ") }
end

local COLUMNS = { { "label", "Name" }, { "type", "Type" }, { "subtype", "Subtype" }, { "offset", "Offset" },
                  { "stop", "End" }, { "size", "Size" }, { "bytes", "" }, { "flags", "Flags" } }

local function show(list, report)
  local rows = {}
  for i, e in ipairs(list) do rows[i] = row(e, report.json) end
  report:table("partition", rows, COLUMNS)
end

local function warn(report, problems)
  for _, p in ipairs(problems) do
    report:warning(p.text, { code = "partition_table", level = p.level, line = p.line, label = p.label })
  end
end

local function write(report, path, bytes)
  require "esp.file_writer".write_out(path, bytes)
  if path == "-" then return end
  report:result({ file = path, bytes = #bytes }, ("%s: %d bytes written"):format(path, #bytes))
end

local run = {}

function run.show()
  with_table(args.file, function(list, report)
    show(list, report)
    warn(report, check.problems(list, options))
  end)
end

function run.check()
  with_table(args.file, function(list, report, name)
    local problems = check.problems(list, options)
    local errors = 0
    for _, p in ipairs(problems) do
      if p.level == "error" then errors = errors + 1 end
      report:emit("problem", p)
      report:say(("%s: %s: %s"):format(name, p.level, p.text))
    end
    if errors > 0 then check.check(list, name, options) end
    report:result({ partitions = #list, warnings = #problems, stop = partition.stop(list) },
      ("%s: %d partitions, the last ends at 0x%X%s"):format(name, #list, partition.stop(list),
        #problems == 0 and "; nothing is wrong" or ""))
  end)
end

function run.convert()
  cli.run(args, function(report)
    local list, form = partition.load(args.input, options)
    if not args.no_verify then warn(report, check.check(list, args.input, options)) end
    local to = args.to or (form == "csv" and "binary" or "csv")
    write(report, args.output, to == "csv" and csv.encode(list, options)
                               or partition.encode(list, { md5 = not args.no_md5 }))
  end)
end

function run.save()
  cli.with_chip(args, function(chip, report)
    local list = chip:partitions(chip_options)
    local bytes = args.output:lower():find "%.csv$" and csv.encode(list, options)
      or chip:read(args.offset, partition.MAX_SIZE, { flash_size = args.flash_size })
    write(report, args.output, bytes)
  end)
end

function run.find()
  with_table(args.file, function(list, report)
    local found = { partition.find(list, args.label) }
    local kind, subtype = args.label:match "^([^/]+)/([^/]+)$"
    if not found[1] and kind then
      for _, e in ipairs(list) do
        local r = row(e, false)
        if r.type == kind and r.subtype == subtype then found[#found + 1] = e end
      end
    end
    if not found[1] then partition.get(list, args.label) end
    show(found, report)
  end)
end

local function ota_text(info, i)
  local e = info[i]
  if e.erased then return "erased" end
  local text = ("sequence %d, state %s"):format(e.sequence, e.state)
  if e.given_up then return text .. ": given up" end
  if not e.valid then
    return text .. (", checksum 0x%08X is wrong, expected 0x%08X"):format(e.checksum, e.expected)
  end
  return ("%s, slot %s%s"):format(text, e.slot or "?", info.active == i and ": chosen" or "")
end

local function show_ota(info, report, what)
  local starts = info.starts
  local entries = require "esp.json".array {}
  for i = 1, 2 do
    local e = info[i]
    entries[i] = { offset = info.data.offset + e.offset, sequence = e.sequence, state = e.state, valid = e.valid,
                   erased = e.erased, slot = e.slot }
    report:say(("0x%X  %s"):format(info.data.offset + e.offset, ota_text(info, i)))
  end
  report:result({ slot = info.slot, label = starts and starts.label, offset = starts and starts.offset,
                  changed = info.changed, active = info.active, entries = entries },
    starts and ("%s %s (%s) at 0x%X"):format(what, partition.shown(starts.label), partition.kind(starts), starts.offset)
      or "There is no app to start")
end

function run.ota()
  if args.action == "select" and not args.slot then
    fail { code = "usage", message = "argument SLOT is missing", hint = "for example: partition ota select 1" }
  end
  cli.with_chip(args, function(chip, report)
    chip_options.on_event = report:listener()
    if args.action == "show" then return show_ota(chip:ota(chip_options), report, "Starts") end
    if args.action == "erase" then return show_ota(chip:erase_ota(chip_options), report, "Starts now:") end
    local slot = require "esp.cli.types".integer(args.slot) or args.slot
    local info = chip:select_ota(slot, chip_options)
    show_ota(info, report, info.changed and "Starts now:" or "Starts already:")
  end)
end

run[args.command]()
