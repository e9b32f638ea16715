#!/usr/bin/env esplua
-- Looks at the flash chip itself: its id, its status registers, what it says of itself.
local cli = require "esp.cli"
local fail = require "esp.error"

local bytes = { "--bytes", "-n", type = "int", min = 1, max = 3, default = 2, help = "how many status registers" }

local args = cli.parse {
  summary = "Show the flash chip's id, status registers and SFDP; set its status.",
  examples = { "spiflash id", "spiflash status --bytes 3", "spiflash set-status 0 --non-volatile", "spiflash sfdp",
               "spiflash sfdp 0x30 64 -p /dev/ttyUSB0 --json" },
  commands = {
    { name = "id", summary = "show manufacturer, device and size" },
    { name = "status", summary = "show the status registers", bytes },
    { name = "set-status", summary = "write the status registers, such as 0 to take write protection away",
      { "value", type = "int", min = 0, max = 0xFFFFFF, help = "the first register in the low byte" },
      bytes, { "--non-volatile", help = "so that it survives power off" } },
    { name = "sfdp", summary = "show what flash says of itself (JESD216)",
      { "address", type = "int", min = 0, max = 0xFFFFFF, default = 0, optional = true, help = "first byte (0)" },
      { "count", type = "int", min = 1, max = 256, default = 16, optional = true, help = "how many bytes (16)" } },
  },
  cli.spi, cli.connection,
}

local run = {}

function run.id(chip, report)
  local id = chip:flash_id { spi_connection = args.spi_connection }
  if not id.answers then
    fail { code = "flash_failed", message = "flash does not answer", hint = "check its connections and its power" }
  end
  local v = id.voltage
  report:result({ manufacturer = id.manufacturer, device = id.device, bytes = id.size, size = id.size_name,
                  type = id.type, voltage = v and v.voltage, voltage_source = v and v.source },
    ("manufacturer %02x, device %04x, %s%s%s"):format(id.manufacturer, id.device, id.size_name or "size unknown",
      id.type and ", " .. id.type or "", v and (", %s by %s"):format(v.voltage, v.source) or ""))
end

local function form(value) return ("0x%0" .. 2 * args.bytes .. "x"):format(value) end

function run.status(chip, report)
  local status = chip:flash_status { bytes = args.bytes, spi_connection = args.spi_connection }
  report:result({ status = status, count = args.bytes }, "Status " .. form(status))
end

run["set-status"] = function(chip, report)
  local before, after = chip:write_flash_status(args.value, {
    bytes = args.bytes, non_volatile = args.non_volatile, spi_connection = args.spi_connection })
  report:result({ before = before, status = after, written = args.value, count = args.bytes },
                ("Status %s, was %s"):format(form(after), form(before)))
  if after ~= args.value then
    report:warning(("%s was written; some bits cannot be changed, or not by this command"):format(form(args.value)),
                   { code = "status_differs" })
  end
end

function run.sfdp(chip, report)
  local parts = {}
  for at = 0, args.count - 1, 16 do
    parts[#parts + 1] = chip:sfdp(args.address + at, math.min(16, args.count - at),
                                  { spi_connection = args.spi_connection })
  end
  local all = table.concat(parts)
  local hex = all:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  report:emit("result", { address = args.address, bytes = #all, hex = hex })
  for i, part in ipairs(parts) do
    local digits = part:gsub(".", function(c) return ("%02x "):format(c:byte()) end)
    report:say(("%06x  %-48s %s"):format(args.address + 16 * (i - 1), digits, (part:gsub("[^\32-\126]", "."))))
  end
end

if args.command == "set-status" and args.value >= 1 << 8 * args.bytes then
  fail { code = "usage", message = ("0x%x does not fit into %d status registers"):format(args.value, args.bytes),
         hint = "see --bytes" }
end
cli.with_chip(args, run[args.command])
