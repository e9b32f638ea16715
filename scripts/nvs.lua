#!/usr/bin/env esplua
-- NVS images: made from CSV, read back, checked; plain or encrypted.
local cli = require "esp.cli"
local csv = require "esp.nvs_csv"
local fail = require "esp.error"
local keys = require "esp.nvs_keys"
local nvs = require "esp.nvs"
local nvs_read = require "esp.nvs_read"

local KEYS = {
  { "--key", "-k", aliases = { "--inputkey" }, type = "file", metavar = "FILE", excludes = "--hmac-key",
    help = "keys of an encrypted image" },
  { "--hmac-key", aliases = { "--kp-hmac-inputkey" }, type = "file", metavar = "FILE",
    help = "the eFuse key (32 bytes) that the keys come from, with the HMAC scheme" },
}
local IMAGE = { "image", type = "file", optional = true, help = "image file; a partition of the chip without it" }
local LABEL = { "--partition", type = "string", metavar = "LABEL",
                help = "partition of the chip to read (the first of type nvs)" }

local args = cli.parse {
  summary = "Make NVS images from CSV, read them back, check them.",
  details = "The CSV is that of ESP-IDF: key,type,encoding,value. Images can be encrypted (AES-XTS). Without an image "
    .. "file, show, decode, pages and check read a partition of the chip.",
  examples = {
    "nvs build settings.csv nvs.bin 0x6000",
    "nvs key keys.bin",
    "nvs build settings.csv nvs.bin 24k --key keys.bin",
    "nvs show nvs.bin",
    "nvs show -p /dev/ttyUSB0 --partition nvs",
    "nvs decode nvs.bin -o settings.csv --key keys.bin",
    "nvs check nvs.bin",
  },
  commands = {
    { name = "build", summary = "CSV to an image",
      { "input", type = "file", help = "CSV file" },
      { "output", type = "output", help = "image to write" },
      { "size", type = "size", help = "bytes of the partition, a multiple of 0x1000, with k or M behind" },
      { "--add", type = "file", many = true, metavar = "FILE", help = "a CSV file to go on with; may be repeated" },
      { "--blob-version", aliases = { "--version" }, type = "int", min = 1, max = 2, default = 2, metavar = "N",
        help = "1: blobs within one page, as before ESP-IDF 3.3" },
      { "--new-key", type = "output", metavar = "FILE", excludes = "--key",
        help = "encrypt with new keys and write them to FILE" }, KEYS },
    { name = "decode", summary = "an image to CSV", IMAGE,
      { "--output", "-o", type = "output", stdout = true, default = "-", metavar = "FILE",
        help = "file to write; standard output without it" },
      { "--force", help = "write what is readable of a damaged image" }, LABEL, KEYS, cli.partition_table },
    { name = "show", summary = "show what is in an image", IMAGE, LABEL, KEYS, cli.partition_table },
    { name = "pages", summary = "show how pages are used", IMAGE, LABEL, KEYS, cli.partition_table },
    { name = "check", summary = "tell what is damaged", IMAGE, LABEL, KEYS, cli.partition_table },
    { name = "decrypt", summary = "an encrypted image to a plain one",
      { "image", type = "file", help = "encrypted image" },
      { "output", type = "output", help = "image to write" }, KEYS },
    { name = "key", summary = "make new keys for encrypted NVS",
      { "output", type = "output", help = "file to write, as a partition of type nvs_keys has it" },
      { "--hmac-key", aliases = { "--kp-hmac-inputkey" }, type = "file", metavar = "FILE",
        help = "derive the keys from this eFuse key (32 bytes)" } },
  },
  cli.flash_size, cli.spi, cli.progress, cli.connection,
}

local LARGEST = 1 << 28
local LINE = 48                            -- characters of a value that `show` shows

local function slurp(path)
  local f <close> = assert(io.open(path, "rb"))
  local bytes = f:read(LARGEST + 1) or ""
  if #bytes > LARGEST then fail { code = "bad_file", message = path .. ": too large", file = path } end
  return bytes
end

local write = require "esp.file_writer".write_out

local function given_key()
  if args.key then return keys.decode(slurp(args.key), args.key) end
  if args.hmac_key then return keys.derive(slurp(args.hmac_key)) end
  return nil
end

-- fn(report, bytes, name) with an image file or a partition of a chip
local function with_image(fn)
  if args.image then
    return cli.run(args, function(report) return fn(report, slurp(args.image), args.image) end)
  end
  return cli.with_chip(args, function(chip, report)
    local partition = require "esp.partition"
    local list = cli.partitions(args, chip)
    local e = args.partition and partition.get(list, args.partition)
      or partition.of_type(list, partition.DATA, partition.NVS)[1]
      or fail { code = "no_partition", message = "the partition table has no NVS partition" }
    local bytes = chip:read(e.offset, e.size, { flash_size = args.flash_size, spi_connection = args.spi_connection,
                                                progress = report:bar "Reading" })
    return fn(report, bytes, ("partition %s"):format(partition.shown(e.label)))
  end)
end

local run = {}

function run.build()
  local size, output = args.size, args.output
  cli.run(args, function(report)
    local list = csv.decode(slurp(args.input), { name = args.input })
    for _, path in ipairs(args.add) do csv.decode(slurp(path), { name = path, into = list }) end
    local key = given_key() or args.new_key and keys.generate()
    local bytes = nvs.build(list, { size = size, version = args.blob_version, key = key, name = args.input })
    if size < nvs.SMALLEST then
      report:warning(("a device can only read an NVS partition of 0x%X bytes: mark it readonly"):format(size),
                     { code = "read_only" })
    end
    if args.new_key then
      write(args.new_key, keys.encode(key))
      report:note(args.new_key .. ": the keys; who has them can read the image", { code = "keys" })
    end
    write(output, bytes)
    local count = 0
    for _, e in ipairs(list) do count = count + (e.key and 1 or 0) end
    report:result({ file = output, bytes = #bytes, keys = count, encrypted = key ~= nil },
      ("%s: %d keys in %d bytes%s"):format(output, count, #bytes, key and ", encrypted" or ""))
  end)
end

local function parsed(report, bytes, name, quiet)
  local image = nvs_read.parse(bytes, { key = given_key(), name = name })
  local errors = 0
  for _, p in ipairs(image.problems) do
    if p.level == "error" then errors = errors + 1 end
    if not quiet and not image.looks_encrypted then report:warning(p.text, { code = "nvs", level = p.level }) end
  end
  if image.looks_encrypted then nvs_read.entries(bytes, { key = given_key(), name = name }) end
  return image, errors
end

function run.decode()
  with_image(function(report, bytes, name)
    local list
    if args.force then
      list = parsed(report, bytes, name).entries
    else
      list = nvs_read.entries(bytes, { key = given_key(), name = name })
    end
    local text = csv.encode(list, { name = name })
    write(args.output, text)
    if args.output ~= "-" then
      report:result({ file = args.output, bytes = #text }, ("%s: %d bytes written"):format(args.output, #text))
    end
  end)
end

local function value_text(e)
  if e.encoding == "u64" then return csv.unsigned(e.value) end
  if type(e.value) == "number" then return ("%d"):format(e.value) end
  if e.encoding == "string" then
    local text = e.value:gsub("[%c\127]", function(c) return ("\\x%02X"):format(c:byte()) end)
    return utf8.len(text) and utf8.len(text) > LINE and text:sub(1, utf8.offset(text, LINE) - 1) .. "..." or text
  end
  local hex = require "esp.core.digest".hex(e.value:sub(1, LINE // 2))
  return #e.value > LINE // 2 and hex .. "..." or hex
end

-- An entry as an event; long values come in parts.
local PART = 4096
local function event(e)
  local ev = { namespace = e.namespace, key = e.key, encoding = e.encoding, page = e.page, entry = e.entry }
  if type(e.value) == "number" then
    ev.value = e.encoding == "u64" and e.value < 0 and csv.unsigned(e.value) or e.value
    return ev
  end
  ev.size = #e.value
  if e.encoding == "string" and utf8.len(e.value) and #e.value <= PART then ev.value = e.value end
  if not ev.value then
    local hex = require "esp.core.digest".hex(e.value)
    ev.hex = require "esp.json".array {}
    for at = 1, #hex, PART do table.insert(ev.hex, hex:sub(at, at + PART - 1)) end
  end
  return ev
end

function run.show()
  with_image(function(report, bytes, name)
    local image = parsed(report, bytes, name)
    local rows = {}
    for _, e in ipairs(image.entries) do
      if e.key and report.json then
        rows[#rows + 1] = event(e)
      elseif e.key then
        rows[#rows + 1] = { namespace = e.namespace, key = e.key, encoding = e.encoding, value = value_text(e),
                            size = type(e.value) == "string" and #e.value or "" }
      end
    end
    report:table("entry", rows, { { "namespace", "Namespace" }, { "key", "Key" }, { "encoding", "Type" },
                                  { "size", "Bytes" }, { "value", "Value" } })
  end)
end

function run.pages()
  with_image(function(report, bytes, name)
    local image = parsed(report, bytes, name)
    local rows = {}
    for i, p in ipairs(image.pages) do
      rows[i] = report.json and p or { index = p.index, offset = ("0x%X"):format(p.offset), state = p.state,
        number = p.number or "", version = p.version or "", written = p.written, erased = p.erased, free = p.free }
    end
    report:table("page", rows, { { "index", "Page" }, { "offset", "Offset" }, { "state", "State" },
                                 { "number", "Number" }, { "version", "Version" }, { "written", "Written" },
                                 { "erased", "Erased" }, { "free", "Free" } })
  end)
end

function run.check()
  with_image(function(report, bytes, name)
    local image, errors = parsed(report, bytes, name, true)
    for _, p in ipairs(image.problems) do
      report:emit("problem", p)
      report:say(("%s: %s: %s"):format(name, p.level, p.text))
    end
    if errors > 0 then nvs_read.entries(bytes, { key = given_key(), name = name }) end
    local count = 0
    for _, e in ipairs(image.entries) do count = count + (e.key and 1 or 0) end
    report:result({ keys = count, pages = #image.pages, warnings = #image.problems },
      ("%s: %d keys in %d pages%s"):format(name, count, #image.pages,
        #image.problems == 0 and "; nothing is wrong" or ""))
  end)
end

function run.decrypt()
  local key = given_key()
  if not key then fail { code = "usage", message = "option --key or --hmac-key is missing" } end
  cli.run(args, function(report)
    local bytes = slurp(args.image)
    nvs_read.entries(bytes, { key = key, name = args.image })
    write(args.output, nvs_read.crypt(bytes, key))
    report:result({ file = args.output, bytes = #bytes }, ("%s: %d bytes written"):format(args.output, #bytes))
  end)
end

function run.key()
  cli.run(args, function(report)
    write(args.output, keys.encode(given_key() or keys.generate()))
    report:result({ file = args.output, bytes = keys.PAGE },
      ("%s: keys for encrypted NVS; who has them can read it"):format(args.output))
  end)
end

run[args.command]()
