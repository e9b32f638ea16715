--- Who a chip is: name, revision, features, crystal, MAC, flash voltage, from its eFuses and data.
-- A chip is anything with `data` (its table from esp.chips) and `read_reg(self, address)`. What keeps a chip safe
-- (secure boot, flash encryption, keys) is in esp.identity_security, whose functions are found here as well.
local chips = require "esp.chips"
local fail = require "esp.error"
local security = require "esp.identity_security"
local M = setmetatable({}, { __index = security })

local function reader(chip)
  return function(address) return chip:read_reg(address) end
end

--- Value of an eFuse field.
-- @param name key of data.efuse.fields
-- @return integer | nil when the chip has no such field
function M.field(chip, name)
  local field = chip.data.efuse.fields[name]
  return field and chips.field_get(field, reader(chip))
end

-- Reads each register once: describing a chip asks for the same words again and again, and asking is slow.
local function remembered(chip)
  local words = {}
  return {
    data = chip.data, baud = chip.baud, sdm = chip.sdm, security = chip.security,
    read_reg = function(_, address)
      words[address] = words[address] or chip:read_reg(address)
      return words[address]
    end,
  }
end

local function holds(chip, conditions)
  for name, wanted in pairs(conditions) do
    if name ~= 1 then
      local value
      if name == "revision_major" then value = M.revision(chip).major else value = M.field(chip, name) end
      if value ~= wanted then return false end
    end
  end
  return true
end

--- Chip revision.
-- @return { major, minor, text = "v0.4" }, major * 100 + minor
function M.revision(chip)
  local identity = chip.data.identity
  local major, minor = M.field(chip, "wafer_major") or 0, M.field(chip, "wafer_minor") or 0
  if identity.wafer_major_codes then major = identity.wafer_major_codes[major] or 0 end
  if identity.revision_zero_if and holds(chip, identity.revision_zero_if) then major, minor = 0, 0 end
  return { major = major, minor = minor, text = ("v%d.%d"):format(major, minor) }, major * 100 + minor
end

--- Name of the part: chip and package as far as the eFuses tell.
function M.name(chip)
  for _, entry in ipairs(chip.data.identity.names) do
    if holds(chip, entry) then return entry[1] end
  end
  return chip.data.identity.unknown
end

--- Who made the embedded flash or PSRAM.
-- @param field "flash_vendor" or "psram_vendor"
-- @return text | nil
function M.vendor(chip, field)
  local names = chip.data.identity.vendors and chip.data.identity.vendors[field]
  return names and names[M.field(chip, field)]
end

local function mapped_feature(chip, entry)
  local value = M.field(chip, entry.field)
  local text = entry.map[value]
  if text == nil then text = entry.unknown end
  local vendor = text and entry.vendor and M.vendor(chip, entry.vendor)
  return vendor and ("%s (%s)"):format(text, vendor) or text
end

--- What the chip has: radios, cores, clock, embedded memories.
-- @return list of strings
function M.features(chip)
  local list = {}
  for _, entry in ipairs(chip.data.identity.features) do
    local text = entry
    if type(entry) == "table" then
      if entry.field then
        text = mapped_feature(chip, entry)
      else
        text = holds(chip, entry) and entry[1]
      end
    end
    if text then list[#list + 1] = text end
  end
  return list
end

--- Crystal frequency in MHz. Where it is not fixed it follows from the rate of the link and the UART's divider.
-- @param baud of the link now; chip.baud when nil
-- @return MHz, estimate (float, nil when fixed), true when the estimate is more than 1 MHz off
function M.crystal(chip, baud)
  local crystal = chip.data.crystal
  if crystal.fixed then return crystal.fixed end
  local divider = chip:read_reg(chip.data.uart.clkdiv) & 0xFFFFF
  local estimate = (baud or chip.baud or 115200) * divider / 1e6 / crystal.divider
  local nearest
  for _, choice in ipairs(crystal.choices) do
    if not nearest or math.abs(choice - estimate) < math.abs(nearest - estimate) then nearest = choice end
  end
  return nearest, estimate, math.abs(nearest - estimate) > 1
end

local function spelled(number, octets)
  local parts = {}
  for i = octets - 1, 0, -1 do parts[#parts + 1] = ("%02x"):format(number >> 8 * i & 0xFF) end
  return table.concat(parts, ":")
end

-- The ESP8266's vendor part is either burned, or one of a few that an index selects.
local function with_oui(chip, mac, ouis)
  if mac >> 24 ~= 0 then return mac end
  local index = M.field(chip, "mac_oui_index")
  local oui = ouis[index]
  if not oui then
    fail { code = "unknown_oui", message = ("%s: unknown vendor part of the MAC address (index %d)")
             :format(chip.data.name, index), hint = "are the eFuses read correctly? try a lower baud rate" }
  end
  return oui << 24 | mac & 0xFFFFFF
end

--- MAC addresses.
-- @return table with `mac` (on IEEE 802.15.4 chips the EUI-64), `base_mac`, `mac_ext` (nil elsewhere), as text
-- @raise unknown_oui
function M.macs(chip)
  local base = M.field(chip, "mac")
  local ouis = chip.data.identity.mac_ouis
  if ouis then base = with_oui(chip, base, ouis) end
  local ext = M.field(chip, "mac_ext")
  if not ext then return { mac = spelled(base, 6), base_mac = spelled(base, 6) } end
  return { mac = spelled(base >> 24, 3) .. ":" .. spelled(ext, 2) .. ":" .. spelled(base, 3),
           base_mac = spelled(base, 6), mac_ext = spelled(ext, 2) }
end

--- MAC address as text.
-- @param kind nil or "mac", "base_mac", "mac_ext"
function M.mac(chip, kind)
  return M.macs(chip)[kind or "mac"]
end

--- Capacity code of embedded flash as the eFuses have it; nil: the chip cannot tell, 0: none.
function M.flash_cap(chip)
  return M.field(chip, "flash_cap")
end

--- Whether the chip boots from flash with 4 or 8 data lines.
-- @return "quad", "octal" or nil when the chip cannot tell
function M.flash_type(chip)
  local value = M.field(chip, "flash_type")
  return value and (value == 1 and "octal" or "quad")
end

local function regulator_voltage(chip, voltage)
  local read = reader(chip)
  if not voltage.force or chips.field_get(voltage.force, read) == 0 then return nil end
  if chips.field_get(voltage.boost, read) ~= 0 then return "1.9V" end
  return chips.field_get(voltage.xpd, read) == 1 and "1.8V" or "OFF"
end

local function efuse_voltage(chip)
  if M.field(chip, "vdd_spi_force") ~= 1 then return nil end
  if M.field(chip, "vdd_spi_xpd") == 0 then return "OFF" end
  return M.field(chip, "vdd_spi_tieh") == 1 and "3.3V" or "1.8V"
end

--- Supply voltage of the flash and what decided it: an override in a register, the eFuses, or a strapping pin.
-- @return { voltage = "3.3V", source = "register" | "eFuse" | "strapping pin" } | nil when the chip cannot tell
function M.flash_voltage(chip)
  local voltage = chip.data.flash.voltage
  if not voltage then return nil end
  local now = regulator_voltage(chip, voltage)
  if now then return { voltage = now, source = "register" } end
  now = efuse_voltage(chip)
  if now then return { voltage = now, source = "eFuse" } end
  local strapped = chips.field_get(voltage.strap, reader(chip)) == 1
  return { voltage = strapped and "1.8V" or "3.3V", source = "strapping pin" }
end

--- Pads of in-package flash from the eFuses.
-- @return { clk, q, d, hd, cs } | nil when the chip has none or the default pads are used
function M.flash_pads(chip)
  local pads = chip.data.flash.efuse_pads
  if not pads then return nil end
  local found, any = {}, false
  for _, name in ipairs { "clk", "q", "d", "hd", "cs" } do
    local pin = chips.field_get(pads[name], reader(chip))
    any = any or pin ~= 0
    found[name] = pin
  end
  return any and found or nil
end

--- The link the ROM talks on, by the ROM's own variable.
-- @return "uart", "usj", "otg", or nil when this chip's variable is not known
function M.link_in_use(chip)
  local list = chip.data.uart.link_in_use
  if not list then
    return not (chip.data.links.usj or chip.data.links.otg) and "uart" or nil
  end
  local revision = chip.revision_number or select(2, M.revision(chip))
  local entry = chips.for_revision(list, revision)
  local number = chip:read_reg(entry.address) & 0xFF
  return number == entry.usj and "usj" or number == entry.otg and "otg" or "uart"
end

--- Everything the banner says.
-- @return { name, description, revision, revision_number, features, crystal, crystal_estimate, crystal_odd, mac,
--   base_mac, mac_ext, flash_cap, flash_vendor, psram_cap, psram_vendor, flash_type, flash_voltage }
-- @raise unknown_oui
function M.describe(chip)
  local c = remembered(chip)
  local d = M.macs(c)
  d.name, d.features = M.name(c), M.features(c)
  d.revision, d.revision_number = M.revision(c)
  d.description = d.name
  if c.data.efuse.fields.wafer_minor then d.description = ("%s (revision %s)"):format(d.name, d.revision.text) end
  d.crystal, d.crystal_estimate, d.crystal_odd = M.crystal(c)
  d.flash_cap, d.psram_cap = M.flash_cap(c), M.field(c, "psram_cap")
  d.flash_vendor, d.psram_vendor = M.vendor(c, "flash_vendor"), M.vendor(c, "psram_vendor")
  d.flash_type, d.flash_voltage = M.flash_type(c), M.flash_voltage(c)
  return d
end

return M
