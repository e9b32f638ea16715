--- The chip object: what esp.connect gives. Its methods come from here, from esp.loader (registers, memory,
-- baud rate) and from esp.flash.
-- Fields: name, id, data (chips/ID.lua), port, url, link, baud, stub (a flasher stub answers), sdm (secure download
-- mode), security (decoded security information or nil), status_bytes, usb_mode ("usj", "otg" or nil), ram_block,
-- flash_block, config (of esp.config), after, session (counts connections), revision ({major, minor, text}, prints as
-- "v0.4") and revision_number, both read on first use and nil in secure download mode.
local fail = require "esp.error"
local identity = require "esp.identity"
local chips = require "esp.chips"
local loader = require "esp.loader"
local reset = require "esp.reset"

local Chip = {}
for name, method in pairs(loader) do
  if type(method) == "function" then Chip[name] = method end
end

local STUB_FLASH_BLOCK = 0x4000
local SHORT = 0.5                         -- seconds for a command on the way out, when the line may be dead
local WATCHDOG_TIME = 0.5                 -- until a watchdog that was just set has fired

-- A revision prints as its text.
local revision_mt = { __tostring = function(r) return r.text end }

local function read_revision(self)
  if rawget(self, "sdm") or not rawget(self, "data") then return nil end
  local revision, number = identity.revision(self)
  rawset(self, "revision", setmetatable(revision, revision_mt))
  rawset(self, "revision_number", number)
  return true
end

local mt = { __name = "esp.chip", __methods = Chip }      -- the prompt completes names from __methods

function mt.__index(self, key)
  local method = Chip[key]
  if method ~= nil then return method end
  if (key == "revision" or key == "revision_number") and read_revision(self) then return rawget(self, key) end
  return nil
end

function mt.__tostring(self)
  return ("%s on %s"):format(self.name or "chip", self.url)
end

local flash_mixed_in = false
local function mix_in_flash()
  if flash_mixed_in then return end
  flash_mixed_in = true
  for name, method in pairs(require "esp.flash") do
    if type(method) == "function" and Chip[name] == nil then Chip[name] = method end
  end
end

--- Tell the front end something.
-- @param event { type = "note" | "warning" | "stage" | ..., code =, text = }
function Chip:tell(event)
  if self.on_event then self.on_event(event) end
end

--- Make the object; connecting fills it.
local function new(fields)
  mix_in_flash()
  fields.session, fields.stub, fields.sdm, fields.left, fields.closed = 0, false, false, false, false
  return setmetatable(fields, mt)
end

-- Which internal USB the ROM talks on, if any: from the ROM's variable where it can be read, else from what the
-- operating system says about the port.
local function usb_mode(self)
  local link = not self.sdm and identity.link_in_use(self) or nil
  if not link then
    local usb, links = self.usb, self.data.links
    if links.usj and reset.is_usj(usb) then return "usj" end
    if links.otg and usb and usb.vid == reset.ESPRESSIF_VID and usb.pid == links.otg then return "otg" end
    return nil
  end
  return link ~= "uart" and link or nil
end

-- These watchdogs are not reset by the internal USB's reset and would cut a long session short.
local function stop_watchdogs(self)
  local dog = self.data.watchdog
  if not (dog and dog.disable_on_usj) or self.usb_mode ~= "usj" or self.sdm or self.stub then return end
  local rtc, swd = dog.rtc, dog.swd
  self:write_regs { { rtc.wprotect, rtc.key }, { rtc.config0, 0 }, { rtc.wprotect, 0 } }
  if swd then
    self:write_reg(swd.wprotect, swd.key)
    self:update_reg(swd.config, 0, swd.auto_feed)
    self:write_reg(swd.wprotect, 0)
  end
end

--- What follows detection: the link in use, block sizes, watchdogs.
function Chip:settle()
  self.link:set_status_bytes(self.status_bytes)
  if self.data.revisions and not self.sdm then self.data = chips.at_revision(self.data, self.revision_number) end
  self.usb_mode = usb_mode(self)
  local rom = self.data.rom
  self.ram_block = rom.ram_block or 0x1800
  self.flash_block = self.stub and STUB_FLASH_BLOCK or rom.flash_block or 0x400
  if self.usb_mode == "otg" then
    local limit = rom.usb_block or 0x800
    self.ram_block, self.flash_block = math.min(self.ram_block, limit), math.min(self.flash_block, limit)
  end
  stop_watchdogs(self)
end

--- MHz of the crystal: fixed, or measured from the UART's divider.
-- @return number | nil in secure download mode where it would have to be measured
function Chip:crystal()
  local crystal = self.data.crystal
  if crystal.fixed then return crystal.fixed end
  if self.sdm then return nil end
  if not self.crystal_mhz then
    local nearest, measured, odd = identity.crystal(self, self.baud)
    if odd then
      self:tell { type = "warning", code = "odd_crystal",
                  text = ("the crystal measures %.2f MHz, which is not close to %d MHz"):format(measured, nearest) }
    end
    self.crystal_mhz = nearest
  end
  return self.crystal_mhz
end

local function not_in_sdm(self, what)
  if self.sdm then
    fail { code = "unsupported", message = ("%s: not possible in secure download mode"):format(what),
           hint = "only writing and erasing flash and the security information work in this mode" }
  end
end

--- The MAC address, "aa:bb:cc:dd:ee:ff".
function Chip:mac()
  not_in_sdm(self, "reading the MAC address")
  return self:info().mac
end

--- What there is to say about the chip.
-- @return table of esp.identity.describe, with port, usb_mode, sdm and stub added
function Chip:info()
  if not self.described then
    local info = self.sdm and { name = self.name, features = {} } or identity.describe(self)
    info.chip, info.port, info.usb_mode, info.sdm, info.stub = self.id, self.url, self.usb_mode, self.sdm, self.stub
    self.described = info
  end
  return self.described
end

--- Set the supply voltage of the flash against pins and eFuses.
-- A wrong voltage can destroy the flash; 1.9V may need a board that bears it; OFF is for an external supply.
-- @param voltage "1.8V", "1.9V" or "OFF"
-- @raise unsupported, bad_argument
function Chip:override_vddsdio(voltage)
  local override = self.data.flash.voltage_override
  if not override then
    fail { code = "unsupported", message = ("%s: its flash voltage cannot be changed"):format(self.name) }
  end
  not_in_sdm(self, "changing the flash voltage")
  local wanted = tostring(voltage):upper()
  local value = override.choices[wanted]
  if not value then
    local names = {}
    for name in pairs(override.choices) do names[#names + 1] = name end
    table.sort(names)
    fail { code = "bad_argument", message = ("flash voltage %q is not possible"):format(tostring(voltage)),
           hint = "one of " .. table.concat(names, ", ") }
  end
  self:write_reg(override.register, value)
  self.described = nil
  self:tell { type = "note", code = "voltage_override", text = ("flash supply set to %s"):format(wanted) }
end

--- The 24-bit number of chips that have one instead of a MAC address as identity.
-- @raise unsupported on the others
function Chip:chip_id()
  local field = self.data.efuse.fields.chip_serial
  if not field then
    fail { code = "unsupported", message = ("%s has no chip id"):format(self.name),
           hint = "its MAC address identifies it" }
  end
  return chips.field_get(field, function(address) return self:read_reg(address) end)
end

--- Security information: flags and states in words.
-- @raise unsupported where the ROM does not have the command
function Chip:security_info()
  if not self.data.security_info then
    fail { code = "unsupported", message = ("%s does not tell security information"):format(self.name) }
  end
  return identity.security(self)
end

-- Resets by the lines | nil when that is not possible; the user has been told.
local function pulse(self, recipe)
  local ok, message, code = nil, nil, "unsupported"
  if self.port:info().has_lines then ok, message, code = reset.perform(self.port, recipe) end
  if ok then return true end
  self:tell { type = "warning", code = code == "unsupported" and "not_reset" or code,
              text = code == "unsupported" and "the chip was NOT reset: this port has no DTR and RTS lines"
                or ("the chip was NOT reset: %s"):format(message or code) }
  return nil
end

-- Lets the RTC watchdog reset the chip.
local function watchdog_reset(self)
  local rtc = self.data.watchdog.rtc
  self:write_regs { { rtc.wprotect, rtc.key }, { rtc.config1, rtc.reset_config1 }, { rtc.config0, rtc.reset_config0 },
                    { rtc.wprotect, 0 } }
  require("esp.core.task").sleep(WATCHDOG_TIME)
  return true
end

-- On USB-OTG the lines do not reach EN: where the chip was strapped into download mode a watchdog is the way out.
local OTG_RESET = {
  watchdog = function() return true end,
  watchdog_if_strapped = function(self)
    local data = self.data.reset
    local function read(address) return self:read_reg(address) end
    return chips.field_get(data.strap_flash_boot, read) == 0 and chips.field_get(data.force_download, read) == 0
  end,
}

local function hard_reset(self)
  local data = self.data.reset or {}
  if data.clear_force_download and not self.sdm then
    -- Left set, the chip would come up in download mode again.
    local part = data.force_download[1]
    local mask = ((1 << part[3]) - 1) << part[2]
    self:try_command(loader.OP.WRITE_REG, ("<I4I4I4I4"):pack(part[1], 0, mask, 0), { timeout = SHORT })
  end
  local sequence = self.config.custom_hard_reset_sequence
  if self.usb_mode == "otg" and not self.sdm and data.hard_on_otg and OTG_RESET[data.hard_on_otg](self) then
    return watchdog_reset(self)
  end
  if sequence then
    return pulse(self, { name = "custom", steps = reset.parse(sequence, "custom_hard_reset_sequence") })
  end
  return pulse(self, { name = "hard", steps = self.usb_mode and reset.recipes.hard_usb or reset.recipes.hard })
end

local MODES = {}

MODES["hard-reset"] = function(self)
  self:tell { type = "stage", code = "reset", text = "Hard resetting via the RTS line" }
  return hard_reset(self)
end

MODES["watchdog-reset"] = function(self)
  if self.sdm or not self.data.watchdog.reset then
    self:tell { type = "warning", code = "no_watchdog_reset", text =
      (self.sdm and "no watchdog reset in secure download mode, hard resetting instead"
        or ("%s cannot be reset by its watchdog, hard resetting instead"):format(self.name)) }
    return hard_reset(self)
  end
  self:tell { type = "stage", code = "reset", text = "Resetting by the watchdog" }
  return watchdog_reset(self)
end

MODES["soft-reset"] = function(self)
  self:tell { type = "stage", code = "reset", text = "Soft resetting" }
  self:run()
  return true
end

MODES["no-reset"] = function(self)
  self:leave_stub()
  return true
end

MODES["no-reset-stub"] = function()
  return true
end

--- Reset the chip, or leave it as it is.
-- @param mode "hard-reset", "soft-reset", "watchdog-reset", "no-reset", "no-reset-stub"; absent: hard-reset
-- @return true | nil when this port cannot reset (a warning event has said so)
function Chip:reset(mode)
  local config = require "esp.config"
  local known = config.choice(config.AFTER, mode or "hard-reset")
  if not known then error(("chip:reset: unknown mode %q"):format(tostring(mode)), 2) end
  self.left = true                        -- close has nothing to add, whatever becomes of this
  self.described, self.attached = nil, nil
  return MODES[known](self)
end

--- Connect again after the port was lost, or after a reset: same chip, same baud rate.
-- Waits for the port to come back. Flash has to be attached again: `attached` is cleared and `session` counted up.
-- @param opts table or nil: tries (7), pause seconds (1)
-- @raise wrong_chip when another chip answers; what esp.connect raises
function Chip:reconnect(opts)
  require("esp.connect").again(self, opts or {})
end

--- Talk with the program that runs on the chip.
-- @param opts table or nil: baud (115200)
-- @return object with expect(pattern, seconds), send(text), read(seconds)
function Chip:console(opts)
  return require("esp.console").new(self, opts)
end

--- Leave the chip as `after` says and release the port. Does nothing the second time.
-- A port that is gone is a warning event, not an error.
function Chip:close()
  if self.closed then return end
  self.closed = true
  if not self.left and self.data then
    local ok, e = pcall(self.reset, self, self.after)
    if not ok then
      self:tell { type = "warning", code = fail.is(e) and e.code or "not_reset",
                  text = ("the chip was NOT reset: %s"):format(tostring(e)) }
    end
  end
  self.port:close()
end

mt.__close = Chip.close

-- A finalizer cannot report anything.
function mt.__gc(self)
  self.on_event = nil
  pcall(Chip.close, self)
end

return { class = Chip, new = new, mt = mt }
