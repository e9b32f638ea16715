#!/usr/bin/env esplua
-- Writes files to flash. All checks of all files come before the first byte; what was written is compared by digest.
local cli = require "esp.cli"
local fail = require "esp.error"
local input = require "esp.input"
local inputs = require "esp.inputs"
local monitor = require "esp.cli.monitor"

local args = cli.parse {
  summary = "Write files to flash and verify them.",
  details = "Files may be raw binary, Intel HEX, UF2, ELF, a merged image, an archive (zip) of these; - is standard "
    .. "input. A build folder of ESP-IDF stands for all that belongs to it. Raw files need an address, apps and what "
    .. "has its own do not. A bootloader gets the flash mode, frequency and size that are given. With --whole, "
    .. "bootloader and partition table are looked for beside the app. @FILE stands for the arguments in FILE.",
  examples = {
    "flash build/",
    "flash app.elf",
    "flash --whole app.elf --monitor",
    "flash --bootloader bootloader.bin --partition-table partitions.csv app.elf",
    "flash firmware.zip",
    "flash 0x10000 app.bin",
    "flash -p /dev/ttyUSB0 -b 921600 0x0 bootloader.bin 0x8000 partitions.bin 0x10000 app.bin",
    "flash --flash-mode dio --flash-size detect 0x0 bootloader.bin",
    "flash --partition ota_0 app.bin storage fs.bin",
    "flash -p sim:esp32c3 0x0 hello.bin --json",
    "flash --flash-type nand --spi-connection 12,13,11,9,10 0x0 rootfs.bin",
  },
  { "files", type = "string", many = true, optional = true, metavar = "[ADDRESS] FILE",
    help = "where to, and what; the address of a HEX or UF2 file does not count" },
  { "--bootloader", type = "file", metavar = "FILE",
    help = "write this bootloader as well, and the table of --partition-table" },
  { "--whole", help = "write bootloader and partition table as well: those beside the app; else a bootloader of an "
    .. "installed framework, the table that is in flash or a default one" },
  { "--default-table", help = "with --whole or --bootloader: write a partition table with room for one app" },
  { "--as-is", help = "take every file as raw bytes, whatever it looks like" },
  { "--partition", type = { "string", "file" }, many = true, metavar = "LABEL FILE",
    help = "write files to partitions, by their names" },
  { "--erase-all", "-e", help = "erase all of flash first" },
  { "--erase-parts", type = "string", many = true, metavar = "LABEL,...", help = "erase these partitions as well" },
  { "--erase-data-parts", type = "string", many = true, metavar = "KIND,...",
    help = "erase data partitions as well: nvs, ota, phy, ..." },
  { "--compress", "-z", excludes = "--no-compress", help = "send compressed data, also without the stub" },
  { "--no-compress", "-u", help = "send data as it is" },
  { "--encrypt", help = "let the chip encrypt what is written" },
  { "--encrypt-files", type = { "address", "file" }, many = true, excludes = "--encrypt", metavar = "ADDRESS FILE",
    help = "files that the chip encrypts, beside others" },
  { "--ignore-flash-enc-efuse", aliases = { "--ignore-flash-encryption-efuse-setting" },
    help = "encrypt although eFuses say that it cannot work" },
  { "--skip-flashed", help = "do not write what is in flash already" },
  { "--diff-with", type = "string", many = true, excludes = "--skip-flashed", metavar = "FILE",
    help = "what flash holds now: one per file, or skip; only what differs is written, also without the stub" },
  { "--trust-flash-content", help = "with --diff-with: do not ask the chip whether flash holds that" },
  { "--full", aliases = { "--no-skip" }, excludes = "--skip-flashed", help = "write also what is in flash already" },
  { "--no-verify", help = "do not compare what was written" },
  { "--force", help = "write in spite of security settings, overlapping partitions, or for another chip" },
  cli.from_elf, cli.partition_table, cli.flash_parameters, cli.spi, cli.flash_type, cli.nand_end, cli.progress,
  cli.connection, monitor.after,
}
monitor.check(args)
if require "esp.cli.nand".wanted(args) then return require "esp.cli.nand".flash(args) end

local list = inputs.pairs_of(args.files)
local old = require "esp.flash_diff".files(args.diff_with, #list)
for i, pair in ipairs(list) do pair.diff = old[i] end
for _, pair in ipairs(args.encrypt_files) do list[#list + 1] = { pair[1], pair[2], encrypt = true } end
local labelled = cli.by_label(args.partition, list)
if args.as_is then
  inputs.as_they_are(list)
  inputs.as_they_are(labelled)
end
local whole = args.whole or args.bootloader ~= nil
if args.default_table and (not whole or args.partition_table) then
  fail { code = "usage", message = "--default-table goes with --whole or --bootloader, and without --partition-table" }
end
if #list + #labelled == 0 and not args.bootloader then
  fail { code = "usage", message = "argument FILE is missing",
         hint = "for example: esplua flash build/, or: esplua flash 0x10000 app.bin" }
end
if #args.encrypt_files > 0 then
  table.sort(list, function(a, b) return (a[1] or 0) < (b[1] or 0) end)
end

-- What is wrong with the files shows before the chip is touched, as far as it can be known without one.
local ctx = cli.input_context(args)
ctx.apart = not args.force
local regions = not whole and inputs.try(list, ctx)
if regions then input.check_overlap(regions) end

-- The file that bootloader and partition table belong to: the first that brings no address.
local function app_of()
  for _, pairs_of in ipairs { list, labelled } do
    for _, pair in ipairs(pairs_of) do
      local path = type(pair[2]) == "table" and pair[2].file or pair[2]
      if (not pair[1] or pairs_of == labelled) and path ~= "-" then return path end
    end
  end
  return nil
end

local function load(chip, report)
  ctx.device, ctx.chip = chip, chip.id
  if whole then
    local set = require "esp.whole_set".plan(chip, app_of(), {
      bootloader = args.bootloader, table = ctx.table, table_name = args.partition_table,
      table_offset = args.partition_table_offset, default_table = args.default_table, flash_size = ctx.flash_size,
      spi_connection = args.spi_connection,
    })
    report:note("bootloader: " .. (set.bootloader or "none, the app is started without one"))
    if set.bootloader then report:note("partition table: " .. (set.table_name or "the one in flash stays")) end
    table.move(list, 1, #list, #set.items + 1)
    table.move(set.items, 1, #set.items, 1, list)
    ctx.table = set.table
    if set.foreign and not args.given.flash_size then ctx.flash_size = "detect" end
  end
  regions = inputs.load_all(list, ctx)
end

-- What else is to be erased, from the table that counts.
local function partitions_to_erase(chip)
  local function words(given)
    local out = {}
    for _, text in ipairs(given) do
      for word in text:gmatch "[^,]+" do out[#out + 1] = word end
    end
    return out
  end
  local labels, kinds = words(args.erase_parts), words(args.erase_data_parts)
  if #labels + #kinds == 0 then return {} end
  local chosen = require "esp.partition_chip".choose(ctx.table or cli.partitions(args, chip), labels, kinds, args.force)
  for _, e in ipairs(chosen) do
    for _, r in ipairs(regions) do
      if r.address < e.offset + e.size and e.offset < r.address + r.size then
        fail { code = "overlap", message = ("partition %s would be erased, and %s is written to it"):format(e.label,
                 r.name) }
      end
    end
  end
  return chosen
end

-- Where the named partitions are is known now when the table is a file, else when the chip answers.
local function add_labelled(chip)
  local place = require "esp.partition_chip".place
  for _, r in ipairs(place(ctx.table or cli.partitions(args, chip), labelled, ctx)) do regions[#regions + 1] = r end
  input.check_overlap(regions)
  labelled = {}
end
if #labelled > 0 and regions and args.partition_table then
  local ok, err = pcall(add_labelled)
  if not ok and not (fail.is(err) and err.needs_chip) then error(err, 0) end
end

local compress = nil
if args.compress then compress = true elseif args.no_compress then compress = false end

-- What Ctrl-C leaves behind is not what was there, and not what is wanted.
local function warn_of_half(report, err)
  local last = type(err) == "table" and err.code == "interrupted" and err.report and err.report[#err.report]
  if last and not last.verified and not last.skipped then
    report:warning(("%s at 0x%X is not complete in flash"):format(last.name, last.address), { code = "incomplete" })
  end
end

cli.with_chip(args, function(chip, report)
  if not regions then load(chip, report) end
  ctx.device, ctx.chip = chip, chip.id
  if #labelled > 0 then add_labelled(chip) end
  local erase = partitions_to_erase(chip)
  local mode, freq, size = cli.flash_settings(args)
  if ctx.flash_size == "detect" then size = "detect" end
  local ok, done = pcall(chip.flash, chip, regions, {
    flash_mode = mode, flash_freq = freq, flash_size = size,
    spi_connection = args.spi_connection, compress = compress, erase_all = args.erase_all, encrypt = args.encrypt,
    ignore_flash_enc_efuse = args.ignore_flash_enc_efuse, skip_flashed = args.skip_flashed,
    trust_flash_content = args.trust_flash_content, full = args.full,
    force = args.force, no_verify = args.no_verify,
    progress = report:bar "Writing",
  })
  if not ok then
    warn_of_half(report, done)
    error(done, 0)
  end
  report:result({ bytes = done.bytes, kept = done.kept, wire = done.wire, seconds = done.seconds,
                  retries = done.retries,
                  verified = done.verified, regions = table.move(done, 1, #done, 1, {}) },
    ("%s%s in %.1f s%s%s"):format(report.bytes(done.bytes),
      done.kept > 0 and (" written, %s kept,"):format(report.bytes(done.kept)) or "", done.seconds,
      done.seconds > 0 and (" (%s)"):format(report.rate(done.bytes / done.seconds)) or "",
      done.retries > 0 and (", with %d retries: check cable and baud rate"):format(done.retries) or ""))
  for _, e in ipairs(erase) do
    chip:erase(e.offset, e.size, { force = args.force, spi_connection = args.spi_connection,
                                   progress = report:bar "Erasing" })
    report:emit("erased", { label = e.label, address = e.offset, bytes = e.size })
    report:say(("Erased partition %s, 0x%X to 0x%X"):format(e.label, e.offset, e.offset + e.size - 1))
  end
  if args.monitor then cli.monitor(args, chip, report, { app_of() }) end
end)
