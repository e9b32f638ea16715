#!/usr/bin/env esplua
-- Lists serial ports with what USB says about them.
local cli = require "esp.cli"

local args = cli.parse {
  summary = "List serial ports.",
  examples = { "ports", "ports --port-filter vid=0x303a", "ports --json" },
  { "--port-filter", type = "string", many = true, follow = "^%a+=", metavar = "KEY=VALUE",
    help = "only ports with this vid, pid, name or serial; may be repeated" },
  { "--all", "-a", help = "also those that cannot be a board" },
  { "--names", "-n", aliases = { "--name-only" }, help = "only the names, one on each line" },
}

local COLUMNS = { { "name", "PORT" }, { "id", "VID:PID" }, { "serial", "SERIAL" }, { "location", "LOCATION" },
                  { "text", "DESCRIPTION" } }

cli.run(args, function(report)
  local list = require "esp.ports".list { all = args.all, filter = #args.port_filter > 0 and args.port_filter or nil }
  local rows = {}
  for i, p in ipairs(list) do
    local usb = p.usb or {}
    rows[i] = { name = p.name, kind = p.kind, description = p.description, vid = usb.vid, pid = usb.pid,
                serial = usb.serial, location = usb.location, manufacturer = usb.manufacturer, product = usb.product }
  end
  if #rows == 0 then
    return report:say(args.given.port_filter and "No serial port matches." or "No serial port found.")
  end
  if not args.json then
    for _, row in ipairs(rows) do
      row.id = row.vid and ("%04x:%04x"):format(row.vid, row.pid or 0) or "-"
      row.serial, row.location = row.serial or "-", row.location or "-"
      row.text = row.product or row.description or ""
    end
  end
  if args.names and not args.json then
    for _, row in ipairs(rows) do report:say(row.name) end
    return
  end
  report:table("port", rows, COLUMNS)
end)
