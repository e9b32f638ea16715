#!/usr/bin/env esplua
-- Firmware images: what is in them, from ELF files, several as one, taken apart, header changed.
local cli = require "esp.cli"
local fail = require "esp.error"

local MODES = { "qio", "qout", "dio", "dout" }
local FREQS = { "80m", "60m", "48m", "40m", "30m", "26m", "24m", "20m", "16m", "15m", "12m" }

local function parameters(with_keep)
  local keep = with_keep and "keep" or nil
  local modes = with_keep and { "keep", "qio", "qout", "dio", "dout" } or MODES
  return {
    { "--flash-mode", "-fm", type = "choice", choices = modes, default = keep, metavar = "MODE",
      help = "qio, qout, dio or dout" },
    { "--flash-freq", "-ff", type = "string", default = keep, metavar = "FREQ",
      help = "such as 40m; known are " .. table.concat(FREQS, ", ") .. ", not all for every chip" },
    { "--flash-size", "-fs", type = "string", default = keep, metavar = "SIZE", help = "such as 4MB" },
  }
end

local chip_wanted = { "--chip", "-c", type = "chip", metavar = "CHIP", help = "the chip it is for" }
local output = { "--output", "-o", type = "string", metavar = "FILE", help = "file to write" }

local from_elf = {
  summary = "Make an image from an ELF file.",
  examples = { "image from-elf build/app.elf --chip esp32c3",
               "image from-elf app.elf -c esp32 -fm dio -fs 4MB -o app.bin" },
  { "file", type = "file", help = "ELF file" },
  chip_wanted,
  { "--output", "-o", type = "string", metavar = "FILE",
    help = "file to write (the ELF file's name with .bin); for ESP8266 version 1 the beginning of two names" },
  parameters(false),
  { "--version", "-e", type = "choice", choices = { "1", "2", "3" }, default = "1", help = "ESP8266: kind of image" },
  { "--min-rev", type = "int", min = 0, max = 255, help = "oldest chip revision, as one byte (old bootloaders)" },
  { "--min-rev-full", type = "int", min = 0, max = 65535, help = "oldest chip revision, major * 100 + minor" },
  { "--max-rev-full", type = "int", min = 0, max = 65535, help = "newest chip revision, major * 100 + minor" },
  { "--secure-pad", excludes = "--secure-pad-v2", help = "leave room for a signature of secure boot V1 (ESP32)" },
  { "--secure-pad-v2", help = "pad so that a signature of secure boot V2 begins on a page" },
  { "--elf-sha256-offset", type = "int", min = 0, metavar = "OFFSET",
    help = "where to put the SHA-256 of the ELF file" },
  { "--dont-append-digest", help = "no SHA-256 at the end" },
  { "--use-segments", help = "take program headers instead of sections" },
  { "--flash-mmu-page-size", type = "choice", choices = { "8KB", "16KB", "32KB", "64KB", "128KB", "256KB" },
    metavar = "SIZE", help = "page size of the flash cache (from the app)" },
  { "--pad-to-size", type = "string", metavar = "SIZE", help = "fill with 0xFF to a multiple of this, such as 4MB" },
  { "--ram-only-header", help = "count only the RAM segments, so that the ROM leaves the others alone" },
}

local function as_command(decl, name)
  local copy = { name = name }
  for key, value in pairs(decl) do copy[key] = value end
  return copy
end

local args = cli.parse {
  summary = "Firmware images: show, make from ELF, merge, split, change.",
  examples = { "image info app.bin", "image from-elf app.elf --chip esp32c3",
               "image merge 0x0 bootloader.bin 0x8000 partitions.bin 0x10000 app.bin -c esp32c3 -o all.bin",
               "image split app.bin -o parts/app", "image patch app.bin -fm dio -o app-dio.bin" },
  commands = {
    { name = "info", summary = "Show what an image holds.",
      examples = { "image info app.bin", "image info all.hex --json" },
      { "file", type = "file", help = "image, or Intel HEX with several" },
      { "--chip", "-c", type = "chip", metavar = "CHIP", help = "the chip it must be for (from the image)" } },
    as_command(from_elf, "from-elf"),
    as_command(from_elf, "elf2image"),
    { name = "merge", summary = "Make one file of several.",
      examples = { "image merge 0x0 bootloader.bin 0x10000 app.bin -c esp32c3 -o all.bin",
                   "image merge 0x10000 app.bin -c esp32s3 -f uf2 -o app.uf2" },
      { "files", type = { "address", "file" }, many = true, metavar = "ADDRESS FILE", help = "where to, and what" },
      chip_wanted, output,
      { "--format", "-f", type = "choice", choices = { "raw", "uf2", "hex" }, default = "raw", metavar = "FORMAT",
        help = "raw, uf2 or hex" },
      parameters(true),
      { "--target-offset", "-t", type = "address", default = 0, metavar = "ADDRESS",
        help = "raw: the flash address that the file begins at" },
      { "--pad-to-size", type = "string", metavar = "SIZE", help = "raw: fill with 0xFF up to this size of flash" },
      { "--chunk-size", type = "int", min = 4, multiple = 4, metavar = "BYTES",
        help = "UF2: bytes of data in a block" },
      { "--md5-disable", help = "UF2: no MD5 in the blocks" } },
    { name = "whole", summary = "Make one file of an app and all that it needs: bootloader, partition table, app.",
      examples = { "image whole build/app.elf -c esp32c3 -o all.bin",
                   "image whole app.elf -c esp32c3 -o all.bin --bootloader b.bin --partition-table partitions.csv" },
      { "file", type = "file", help = "app: ELF file or image" },
      chip_wanted, output,
      { "--bootloader", type = "file", metavar = "FILE",
        help = "bootloader; else the one beside the app, or of an installed framework" },
      { "--partition-table", type = "file", metavar = "FILE",
        help = "CSV or binary; else the one beside the app, or a default one" },
      { "--partition-table-offset", type = "address", multiple = 0x1000, metavar = "ADDRESS",
        help = "where the table goes (0x8000)" },
      { "--default-table", excludes = "--partition-table", help = "a table with room for one app" },
      { "--partition", aliases = { "--target-app-partition" }, type = "string", metavar = "LABEL",
        help = "partition for the app (the one that is started)" },
      { "--format", "-f", type = "choice", choices = { "raw", "uf2", "hex" }, default = "raw", metavar = "FORMAT",
        help = "raw, uf2 or hex" },
      { "--pad-to-size", type = "string", metavar = "SIZE", help = "raw: fill with 0xFF up to this size of flash" },
      { "--xtal-freq", "-x", type = "int", metavar = "MHZ", help = "crystal, which may need another bootloader" },
      { "--force", help = "also an app for another chip" },
      parameters(true), cli.from_elf },
    { name = "split", summary = "Write each segment of an image to a file of its own.",
      examples = { "image split app.bin", "image split app.bin -o parts/app" },
      { "file", type = "file", help = "image" },
      { "--output", "-o", type = "string", metavar = "PREFIX", help = "beginning of the names (the image's name)" } },
    { name = "extract", summary = "Write one segment of an image to a file.",
      examples = { "image extract app.bin 0 -o rodata.bin" },
      { "file", type = "file", help = "image" },
      { "segment", type = "int", min = 0, max = 255, help = "its number, as `image info` shows it" },
      output },
    { name = "patch", summary = "Change the header of an image; checksum and digest follow.",
      examples = { "image patch app.bin -fm dio -o new.bin", "image patch app.bin --max-rev-full 199 -o app.bin" },
      { "file", type = "file", help = "image" },
      output, parameters(false),
      { "--entry", type = "address", help = "entry point" },
      { "--wp-pin", type = "int", min = 0, max = 255, metavar = "PIN", help = "write protect pin; 238 for none" },
      { "--min-rev", type = "int", min = 0, max = 255, help = "oldest chip revision, as one byte" },
      { "--min-rev-full", type = "int", min = 0, max = 65535, help = "oldest chip revision, major * 100 + minor" },
      { "--max-rev-full", type = "int", min = 0, max = 65535, help = "newest chip revision, major * 100 + minor" },
      { "--repair", help = "make a wrong checksum and digest right" } },
  },
}

local function need(name)
  if args[name] == nil then
    fail { code = "usage", message = ("option --%s is missing"):format(name),
           hint = ("`esplua image %s --help` shows what is accepted"):format(args.command) }
  end
  return args[name]
end

-- What the library tells on the way.
local function teller(report)
  return function(level, code, text)
    if level == "info" then report:say(text) else report:listener() { type = level, code = code, text = text } end
  end
end

local write = require "esp.file_writer".write

local function options(report)
  local o = { on_note = teller(report) }
  for key, value in pairs(args) do
    if key ~= "given" and key ~= "file" and key ~= "files" then o[key] = value end
  end
  return o
end

local run = {}

function run.info(report)
  local lines = {}
  local list = require "esp.image_info".report(args.file, { chip = args.chip }, function(level, line)
    lines[#lines + 1] = level == "info" and line or (level == "warning" and "Warning: " or "Error: ") .. line
  end)
  local data = {}
  for i, r in ipairs(list) do
    data[i] = r.info or { fault = r.fault.message, code = r.fault.code }
    data[i].address = r.address
  end
  report:result(list[1].address and { images = data } or data[1], table.concat(lines, "\n"))
end

run["from-elf"] = function(report)
  local o = options(report)
  o.chip, o.version = need "chip", math.tointeger(args.version)
  local made = require "esp.image_elf".convert(args.file, o)
  local paths, files, lines = made:save(), {}, {}
  for i, f in ipairs(made.files) do
    files[i] = { path = paths[i], bytes = f.size, address = f.address }
    lines[i] = ("Wrote %s, %d bytes"):format(paths[i], f.size)
  end
  report:result({ chip = made.chip.id, files = files, segments = made.segments }, table.concat(lines, "\n"))
end
run.elf2image = run["from-elf"]

function run.merge(report)
  local o = options(report)
  o.chip, o.output = need "chip", need "output"
  local merged = require "esp.image_merge".merge(args.files, o)
  report:result({ output = merged.output, bytes = merged.size, format = merged.format, regions = merged.regions },
    ("Wrote %s, %d bytes%s"):format(merged.output, merged.size,
      merged.format == "raw" and (", for address 0x%X"):format(merged.target_offset) or ""))
end

function run.whole(report)
  local ctx, o = cli.input_context(args), options(report)
  o.table_name, o.table_offset, o.crystal = args.partition_table, args.partition_table_offset, args.xtal_freq
  for _, key in ipairs { "table", "min_rev_full", "mmu_page_size", "ignore_app_descriptor" } do o[key] = ctx[key] end
  o.flash_mode, o.flash_freq, o.flash_size = cli.flash_settings(args)
  o.chip, o.output = need "chip", need "output"
  local merged = require "esp.whole_set".save(args.file, o)
  if merged.bootloader then
    report:note("bootloader: " .. merged.bootloader)
    report:note("partition table: " .. merged.table_name)
  end
  report:result({ output = merged.output, bytes = merged.size, format = merged.format, regions = merged.regions,
                  bootloader = merged.bootloader, table = merged.table_name },
    ("Wrote %s, %d bytes, for address 0x0"):format(merged.output, merged.size))
end

local function segments()
  return require "esp.image_edit".segments(require "esp.file_reader".bytes(args.file), args.file)
end

function run.split(report)
  local files, lines = {}, {}
  local prefix = args.output or args.file:gsub("([^/\\])%.[^./\\]*$", "%1")
  for i, s in ipairs(segments()) do
    local path = ("%s-%d-0x%08x.bin"):format(prefix, s.index, s.address)
    write(path, s.data)
    files[i] = { path = path, address = s.address, bytes = s.size }
    lines[i] = ("Wrote %s, %d bytes"):format(path, s.size)
  end
  report:result({ files = files }, table.concat(lines, "\n"))
end

function run.extract(report)
  local list, path = segments(), need "output"
  local s = list[args.segment + 1]
  if not s then
    fail { code = "bad_argument", message = ("%s: there is no segment %d"):format(args.file, args.segment),
           hint = ("the image has segments 0 to %d"):format(#list - 1) }
  end
  write(path, s.data)
  report:result({ output = path, address = s.address, bytes = s.size },
                ("Wrote %s, %d bytes for 0x%08X"):format(path, s.size, s.address))
end

function run.patch(report)
  local path, o = need "output", options(report)
  local bytes = require "esp.file_reader".bytes(args.file)
  local new = require "esp.image_edit".patch(bytes, o, args.file)
  write(path, new)
  report:result({ output = path, bytes = #new, changed = new ~= bytes },
                ("Wrote %s, %s"):format(path, new == bytes and "nothing changed" or #new .. " bytes"))
end

if not args.command then
  fail { code = "usage", message = "what is to be done?", hint = "`esplua image --help` lists it" }
end
cli.run(args, function(report) run[args.command](report) end)
