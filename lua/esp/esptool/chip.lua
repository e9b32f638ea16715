--- esptool's commands that look into the chip: memory, identity, registers of flash.
local fail = require "esp.error"
local flash = require "esp.esptool.flash"
local session = require "esp.esptool.session"
local M = {}

local PIECE = 4096

M["read-mac"] = function(self)
  return function(chip) session.print_mac(self.screen, chip:info()) end
end

M["chip-id"] = function(self)
  return function(chip)
    if chip.data.efuse.fields.chip_serial then
      return self.screen:print(("Chip ID: 0x%08x"):format(chip:chip_id()))
    end
    self.screen:warning(("%s has no chip ID. Reading MAC address instead."):format(chip.name))
    session.print_mac(self.screen, chip:info())
  end
end

local function tell_id(self, chip, args)
  local id = chip:flash_id { spi_connection = args.spi_connection }
  self.screen:print(("Manufacturer: %02x"):format(id.manufacturer))
  self.screen:print(("Device: %04x"):format(id.device))
  self.screen:print("Detected flash size: " .. (id.size_name or "Unknown"))
  return id
end

M["flash-id"] = function(self, args)
  return function(chip)
    local screen = self.screen
    flash.attach(self, chip, args)
    screen:print "Flash Memory Information:"
    screen:print "========================="
    local id = tell_id(self, chip, args)
    if id.type then
      screen:print(("Flash type set in eFuse: %s (%d data lines)"):format(id.type, id.type == "quad" and 4 or 8))
    end
    if id.voltage then
      screen:print(("Flash voltage set by %s: %s"):format(id.voltage.source:gsub("^strapping", "a strapping"),
                                                          id.voltage.voltage))
    end
  end
end

-- A loader that reads across words crashes, on most chips.
local function check_word(address)
  if address % 4 == 0 then return end
  fail { code = "usage", message = ("0x%x is not the address of a word, which is a multiple of 4"):format(address),
         hint = "dump-mem reads any bytes" }
end

M["read-mem"] = function(self, args)
  check_word(args.address)
  return function(chip)
    self.screen:print(("0x%08x = 0x%08x"):format(args.address, chip:read_reg(args.address)))
  end
end

M["write-mem"] = function(self, args)
  check_word(args.address)
  return function(chip)
    chip:write_reg(args.address, args.value, args.mask)
    self.screen:print(("Wrote 0x%08x with mask 0x%08x to 0x%08x."):format(args.value, args.mask, args.address))
  end
end

M["dump-mem"] = function(self, args)
  if args.address + args.size > 1 << 32 then
    fail { code = "usage",
           message = ("0x%x bytes from 0x%x are past the end of memory"):format(args.size, args.address) }
  end
  return function(chip)
    local screen = self.screen
    local now = require "esp.core.task".now
    local started = now()
    local f <close> = fail.check(nil, nil, require "esp.core.fs".create(args.output))
    screen:stage()
    screen:print(("Dumping %d bytes from 0x%08x to file '%s'..."):format(args.size, args.address, args.output))
    local bar = screen:bar()
    for done = 0, args.size - 1, PIECE do
      local n = math.min(PIECE, args.size - done)
      local bytes = chip:read_mem(args.address + done, n, { progress = function(m)
        bar(("Dumping from 0x%08x"):format(args.address + done + m), done + m, args.size)
      end })
      fail.check(nil, nil, f:write(bytes))
    end
    fail.check(nil, nil, f:commit())
    screen:finish()
    local seconds = now() - started
    screen:print(("Dumped %d bytes from 0x%08x in %.1f seconds%s to '%s'."):format(args.size, args.address, seconds,
      seconds > 0 and (" (%.1f kbit/s)"):format(args.size * 8 / 1000 / seconds) or "", args.output))
  end
end

M["load-ram"] = function(self, args)
  return function(chip)
    local screen = self.screen
    screen:stage()
    screen:print(("Loading '%s' to RAM..."):format(args.filename))
    local bar = screen:bar()
    local function load()
      return chip:load_ram(args.filename, { progress = function(done, total)
        bar("Downloading to RAM", done, total)
      end })
    end
    -- The stub is asked first, as esptool does: ROM loaders have buffers of their own in RAM, too.
    local ok, loaded, entry = pcall(load)
    if not ok then
      if not (chip.stub and fail.is(loaded) and loaded.code == "unsupported") then error(loaded, 0) end
      screen:note "The program lies where the flasher stub does, the ROM loader loads it."
      chip.options.no_stub = true
      self.hook = function() return true end
      chip:leave_stub()                                  -- where nothing resets the chip it would run on
      chip:reconnect()
      loaded, entry = load()
    end
    screen:finish()
    screen:print(("Loaded %d segments from '%s' to RAM, executing at 0x%08x."):format(#loaded, args.filename, entry))
  end
end

M.run = function(_, _)
  return function(chip)
    if chip.stub then return end                         -- left running by someone else: the reset starts the program
    chip:run()
  end
end

M["read-flash-status"] = function(self, args)
  return function(chip)
    flash.attach(self, chip, args)
    local status = chip:flash_status { bytes = tonumber(args.bytes), spi_connection = args.spi_connection }
    self.screen:print(("Flash memory status: 0x%04x"):format(status))
  end
end

M["write-flash-status"] = function(self, args)
  local count = math.tointeger(tonumber(args.bytes))
  if args.value >= 1 << 8 * count then
    fail { code = "usage", message = ("0x%x does not fit into %d status bytes"):format(args.value, count),
           hint = "see --bytes" }
  end
  return function(chip)
    flash.attach(self, chip, args)
    local before, after = chip:write_flash_status(args.value, { bytes = count, non_volatile = args.non_volatile,
                                                                spi_connection = args.spi_connection })
    local form = "0x%0" .. 2 * count .. "x"
    self.screen:print("Initial flash memory status: " .. form:format(before))
    self.screen:print("Setting flash memory status: " .. form:format(args.value))
    self.screen:print("After flash memory status:   " .. form:format(after))
  end
end

M["read-flash-sfdp"] = function(self, args)
  return function(chip)
    flash.attach(self, chip, args)
    tell_id(self, chip, args)
    local bytes = chip:sfdp(args.address, args.bytes, { spi_connection = args.spi_connection })
    self.screen:print(("Flash memory SFDP[%d..%d]: %s"):format(args.address, args.address + args.bytes - 1,
      (bytes:gsub(".", function(c) return ("0x%02x "):format(c:byte()) end))))
  end
end

local binary = require "esp.identity_security".binary

M["get-security-info"] = function(self)
  return function(chip)
    local s = chip:security_info()
    local function say(...) self.screen:print((...):format(select(2, ...))) end
    say "Security Information:"
    say "====================="
    say("Flags: 0x%08x (%s)", s.flags, binary(s.flags))
    local values = {}
    for i, value in ipairs(chip.security.key_purposes) do values[i] = value end
    if #s.key_purposes > 0 then
      say("Key Purposes: (%s)", table.concat(values, ", "))
      for _, key in ipairs(s.key_purposes) do say("  %s - %s", key.block, key.name) end
    end
    if s.chip_id then
      say("Chip ID: %d", s.chip_id)
      say("API Version: %d", s.api_version)
    end
    say("Secure Boot: %s", s.secure_boot and "Enabled" or "Disabled")
    if s.secure_boot then
      if s.aggressive_revoke then say "Secure Boot Aggressive key revocation: Enabled" end
      if #s.revoked > 0 then
        say "Secure Boot Key Revocation Status:"
        for _, key in ipairs(s.revoked) do say("\tSecure Boot Key%d is Revoked", key) end
      end
    end
    say("Flash Encryption: %s", s.flash_encryption and "Enabled" or "Disabled")
    local label = s.crypt_cnt_name == "FLASH_CRYPT_CNT" and "Flash Crypt Count" or "SPI Boot Crypt Count"
    say("%s (%s): 0x%x", label, s.crypt_cnt_name, s.crypt_cnt)
    if s.dcache_disabled then say "Dcache in UART download mode: Disabled" end
    if s.icache_disabled then say "Icache in UART download mode: Disabled" end
    if s.jtag == "permanently disabled" then
      say "JTAG: Permanently Disabled"
    elseif s.jtag ~= "enabled" then
      say "JTAG: Software Access Disabled"
    end
    if s.usb_disabled then say "USB Access: Disabled" end
  end
end

M["verify-sdc-certificate"] = function(self, args)
  local certificate = require "esp.file_reader".bytes(args.filename)
  return function(chip)
    self.screen:print "Verifying SDC certificate..."
    require "esp.sdc".verify(chip, certificate)
    self.screen:print "SDC certificate verified successfully."
  end
end

M["read-sdc-chip-info"] = function(self, args)
  return function(chip)
    self.screen:print "Reading SDC chip info..."
    local info, nonce = require "esp.sdc".chip_info(chip)
    require "esp.file_writer".write(args.output, info .. nonce)
    self.screen:print(("Wrote chip info and nonce, %d bytes, to '%s'."):format(#info + #nonce, args.output))
  end
end

return M
