--- From esptool's options to a chip that answers, with the lines that programs look for; and back to a reset.
local config = require "esp.config"
local fail = require "esp.error"
local M = {}

--- A sentence with its first letter large, unless it begins with a file's name.
function M.capital(text)
  return text:find "^%l+%f[ \0]" and text:sub(1, 1):upper() .. text:sub(2) or text
end

-- All that makes sense in secure download mode.
local IN_SDM = { ["get-security-info"] = true, ["write-flash"] = true, ["erase-region"] = true,
                 ["verify-sdc-certificate"] = true, ["read-sdc-chip-info"] = true }

local CONNECT = { nothing_received = true, no_reply = true, wrong_boot_mode = true, garbage = true, no_sync = true }

local OPENING = { port_missing = true, port_busy = true, port_denied = true }

local DOTS = "....."                       -- of an attempt, one for each time it was called without an answer

local USB = { usj = "USB-Serial/JTAG", otg = "USB-OTG" }

local function absolute(path)
  if path:find "^[/\\]" or path:find "^%a:" then return path end
  return require "esp.core.fs".cwd() .. "/" .. path:gsub("^%./", "")
end

--- The configuration file, with a word about it.
function M.settings(screen)
  local settings = config.load()
  for _, note in ipairs(settings.notes) do
    if note.code == "unknown_config_key" then
      screen:print(("Ignoring unknown config file option%s: %s"):format(#note.keys > 1 and "s" or "",
                                                                        table.concat(note.keys, ", ")))
    elseif note.code == "bad_config" then
      screen:print(("Ignoring invalid config file %s: %s"):format(absolute(note.path), note.why))
    else
      screen:note(note.text)
    end
  end
  if settings.file then
    screen:print(("Loaded custom configuration from %s%s"):format(absolute(settings.file), settings.variable
      and (" (set with %s)"):format(settings.variable) or ""))
  end
  return settings
end

-- What is heard while connecting.
local function listener(self)
  local screen = self.screen
  local on = {}

  function on.ports_found(e) screen:print(("Found %d serial port%s..."):format(e.count, e.count == 1 and "" or "s")) end

  function on.port(e)
    self.port_named = true
    screen:print(("Serial port %s:"):format(e.port))
  end

  function on.connecting(e)
    if not self.port_named then screen:print(("Serial port %s:"):format(e.port)) end
    self.port_named, self.dotted = false, true
    screen:part "Connecting..."
  end

  function on.detecting() self.detecting = true end

  function on.stub() self.stub_started = true end

  function on.waiting_for_port(e)
    if e.type == "attempt" then return screen:part "." end
    screen:print(e.text)
    screen:part "Retrying failed connection"
  end

  function on.no_lines(e)
    screen:note(M.capital(e.text) .. ". Chip was NOT reset.")
  end

  function on.reset() end                                -- M.finish says it
  function on.no_watchdog_reset() end

  function on.not_reset(e)
    screen:warning("Chip was NOT reset. " .. e.text:gsub("^the chip was NOT reset: ", ""):gsub("^%l", string.upper))
  end

  function on.connected() end

  function on.no_stub(e)
    local why = e.text:gsub("^.*: ", "")
    local text = ("Stub flasher has been disabled: %s. Set --no-stub to suppress this warning."):format(why)
    if why:find "secure download" then
      text = "Stub flasher is not supported in Secure Download Mode, the ROM loader does the work. "
             .. "Set --no-stub to suppress this warning."
    end
    self.later[#self.later + 1] = { "warning", text }
  end

  return function(e)
    if self.hook and self.hook(e) then return end
    if e.type == "attempt" and e.code ~= "waiting_for_port" then return screen:part(DOTS) end
    if on[e.code] then return on[e.code](e) end
    if e.type == "warning" or e.type == "note" then
      local hint = e.hint and ("%s (%s)"):format(e.text, e.hint) or e.text
      screen[e.type](screen, M.capital(hint))
    end
  end
end

local function row(screen, label, value)
  if value then screen:print(("%-20s%s"):format(label .. ":", value)) end
end

--- The lines with the MAC address.
function M.print_mac(screen, info)
  row(screen, "MAC", info.mac)
  if info.mac_ext then
    row(screen, "BASE MAC", info.base_mac)
    row(screen, "MAC_EXT", info.mac_ext)
  end
end

-- What chip it is.
local function banner(self, chip)
  local screen = self.screen
  screen:print(("Connected to %s on %s:"):format(chip.name, chip.url))
  if chip.sdm then
    row(screen, "Chip type", chip.name .. " in Secure Download Mode")
  elseif self.command.sdc then
    row(screen, "Chip type", chip.name)
  else
    local info = chip:info()
    if self.global.version4 then screen:print("Chip is " .. info.description) end
    row(screen, "Chip type", info.description)
    row(screen, "Features", table.concat(info.features, ", "))
    row(screen, "Crystal frequency", info.crystal and ("%dMHz"):format(info.crystal))
    row(screen, "USB mode", USB[info.usb_mode])
    M.print_mac(screen, info)
  end
  screen:print()
end

local function refuse_in_sdm(chip, command)
  if chip.sdm and not IN_SDM[command.name] then
    fail { code = "secure_download_mode",
           message = ("The '%s' command is not available in Secure Download Mode."):format(command.name),
           hint = "there are write-flash, erase-region and get-security-info" }
  end
end

local function tell_stub(self, chip)
  local screen = self.screen
  for _, line in ipairs(self.later) do screen[line[1]](screen, line[2]) end
  if not chip.stub then return end
  if self.stub_started then
    screen:stage()
    screen:print "Uploading stub flasher..."
    screen:print "Running stub flasher..."
    screen:finish()
    screen:print "Stub flasher running."
  else
    screen:print "Stub flasher is already running. No upload is necessary."
  end
end

--- Connect as the options, the environment and the configuration file say.
-- @param self { screen =, global = options before the command, command =, settings = }
-- @return chip
function M.connect(self)
  local screen, global = self.screen, self.global
  self.later = {}
  screen:stage()
  local on_event = listener(self)
  self.on_event = on_event
  local given = global.port or config.variable "port"
  if given then
    self.port_named = true
    screen:print(("Serial port %s:"):format(given))
  end
  local ok, chip = pcall(require "esp".connect, {
    port = given, baud = self.command.sdc and 115200 or global.baud, chip = global.chip,
    before = global.before, after = self.command.sdc and "no-reset" or global.after,
    attempts = global.connect_attempts, port_filter = #global.port_filter > 0 and global.port_filter or nil,
    rom_baud = global.rom_baud,
    no_stub = global.no_stub or self.command.rom, stub = global.stub, flash_type = self.flash_type,
    override_vddsdio = global.override_vddsdio,
    config = self.settings, trace = global.trace and function(p) screen:packet(p) end or nil, on_event = on_event })
  if not ok then
    if fail.is(chip) and CONNECT[chip.code] then
      local name = global.chip and global.chip ~= "auto" and require "esp.chips".get(global.chip).name
      chip.message = ("Failed to connect to %s: %s"):format(name or "Espressif device", chip.message)
    elseif fail.is(chip) and OPENING[chip.code] then
      -- The sentence that people search for.
      local tried = (chip.details or {}).tried
      if given then
        chip.message = ("Could not open %s, the port is busy or doesn't exist. (%s)"):format(given, chip.message)
      elseif tried and #tried ~= 1 then
        chip.message = ("Could not connect to an Espressif device on any of the %d available serial ports. (%s)")
          :format(#tried, chip.message)
      end
    end
    error(chip, 0)
  end
  local told, err = pcall(function()
    if not global.chip or global.chip == "auto" then screen:print("Detecting chip type... " .. chip.name) end
    screen:finish()
    banner(self, chip)
    refuse_in_sdm(chip, self.command)
    tell_stub(self, chip)
    if chip.baud ~= 115200 and chip.port:info().has_baud then
      screen:print(("Changing baud rate to %d..."):format(chip.baud))
      screen:print "Changed."
    end
    screen:print()
  end)
  if not told then
    M.finish(self, chip)
    error(err, 0)
  end
  return chip
end

local LEAVING = {
  ["hard-reset"] = "Hard resetting via RTS pin...", ["soft-reset"] = "Soft resetting...",
  ["no-reset"] = "Staying in bootloader.", ["no-reset-stub"] = "Staying in flasher stub.",
  ["watchdog-reset"] = "Hard resetting with a watchdog...",
}

--- Leave the chip as --after says and let go of the port.
function M.finish(self, chip)
  local screen = self.screen
  screen:finish()
  screen:print()
  if self.command.name == "load-ram" then
    screen:print "Exiting immediately."
    chip.left = true
  elseif not chip.left then
    screen:print "Leaving..."
    local how = chip.after
    if how == "watchdog-reset" and (chip.sdm or not chip.data.watchdog.reset) then
      screen:warning(("Watchdog hard reset is not supported %s; a reset by the RTS line takes its place.")
        :format(chip.sdm and "in Secure Download Mode" or "on " .. chip.name))
      how = "hard-reset"
    end
    screen:print(LEAVING[how])
    local ok, err = pcall(chip.reset, chip, chip.after)
    chip:close()
    if not ok then error(err, 0) end
    return
  elseif self.command.name == "run" then
    screen:print "The program has been started."
  end
  screen:finish()
  chip:close()
end

return M
