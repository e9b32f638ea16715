#!/usr/bin/env esplua
-- What a chip is: name, features, crystal, MAC address, flash, security.
local cli = require "esp.cli"

local args = cli.parse {
  summary = "Show what chip it is: features, MAC address, flash, security.",
  examples = { "info", "info -p /dev/ttyUSB0", "info -p sim:esp32c3 --json" },
  cli.spi, cli.connection,
}

-- What the chip lacks or does not allow is no failure of this command.
local function ask(f, ...)
  local ok, result = pcall(f, ...)
  if ok then return result end
  if type(result) == "table" and result.code == "unsupported" then return nil, result.message end
  error(result, 0)
end

local function flash_text(id)
  local parts = { id.size_name or "size unknown" }
  if not id.answers then return "does not answer" end
  parts[#parts + 1] = ("manufacturer %02x, device %04x"):format(id.manufacturer, id.device)
  if id.type then parts[#parts + 1] = id.type end
  if id.voltage then parts[#parts + 1] = ("%s by %s"):format(id.voltage.voltage, id.voltage.source) end
  return table.concat(parts, ", ")
end

cli.with_chip(args, function(chip, report)
  local rows = {}
  local function add(label, value)
    if value ~= nil and value ~= "" then rows[#rows + 1] = { label, tostring(value) } end
  end
  local info = chip:info()
  add("Chip", info.name)
  add("Revision", info.revision and info.revision.text)
  add("Features", table.concat(info.features, ", "))
  add("Crystal", info.crystal and info.crystal .. " MHz")
  add("USB", ({ usj = "USB-Serial/JTAG", otg = "USB-OTG" })[info.usb_mode])
  add("MAC", info.mac)
  add("Base MAC", info.base_mac)
  add("MAC extension", info.mac_ext)
  local chip_id = not chip.sdm and ask(chip.chip_id, chip) or nil
  add("Chip id", chip_id and ("0x%08x"):format(chip_id))
  local id, why_not = ask(chip.flash_id, chip, { spi_connection = args.spi_connection })
  add("Flash", id and flash_text(id) or why_not)
  local security = ask(chip.security_info, chip)
  for _, line in ipairs(security and security.lines or {}) do add(line[1], line[2]) end

  local width = 0
  for _, row in ipairs(rows) do width = math.max(width, #row[1]) end
  for i, row in ipairs(rows) do rows[i] = ("%-" .. width + 2 .. "s%s"):format(row[1], row[2]) end
  local data = {}
  for k, v in pairs(info) do data[k] = v end
  data.revision = info.revision and info.revision.text
  data.chip_id = chip_id
  data.flash = id and { manufacturer = id.manufacturer, device = id.device, bytes = id.size, size = id.size_name,
                        type = id.type, voltage = id.voltage and id.voltage.voltage } or nil
  if security then
    data.security = {}
    for k, v in pairs(security) do data.security[k] = k ~= "lines" and v or nil end
  end
  report:result(data, table.concat(rows, "\n"))
end, { rom = true })
