--- Connecting: reset into the loader, synchronise, find out which chip it is.
-- Source: esptool documentation, "Serial Protocol" and "Troubleshooting".
local bootlog = require "esp.bootlog"
local chips = require "esp.chips"
local config_file = require "esp.config"
local fail = require "esp.error"
local foresight = require "esp.foresight"
local identity = require "esp.identity"
local loader = require "esp.loader"
local ports = require "esp.ports"
local reset = require "esp.reset"
local flasher = require "esp.stub"
local M = {}

local OP = loader.OP
local ROM_BAUD = 115200                   -- the highest rate every ROM synchronises at
local MAGIC_ADDRESS = 0x40001000          -- ROM code: another word in each chip of the first three kinds
local SYNC_TRIES, SYNC_PAUSE = 5, 0.05
local QUIET = 0.02                        -- a USB adapter hands on what it received at least every 16 ms
local LONGEST_LOG = 0.3                   -- seconds that a chip may go on talking before we speak
local KEPT_BYTES, KEPT_ATTEMPTS = 4096, 20
local LISTED = 0.1                        -- seconds between two attempts to open a port

local function known_choice(list, value, default, what)
  if value == nil then return default end
  local word = config_file.choice(list, value)
  if not word then
    fail { code = "bad_argument", message = ("%s: unknown mode %q"):format(what, tostring(value)),
           hint = "one of " .. table.concat(list, ", ") }
  end
  return word
end

local function number_option(opts, key, default, lowest, highest)
  local n = opts[key]
  if n == nil then return default end
  if math.type(n) ~= "integer" or n < lowest or n > highest then
    error(("connect: %s: an integer from %d to %d expected"):format(key, lowest, highest), 3)
  end
  return n
end

-- The options of a connection, with the environment and the configuration file filled in.
local function settle_options(opts)
  local env = opts.env or config_file.environment()
  local o = {
    config = opts.config or config_file.load(),
    trace = opts.trace, on_event = opts.on_event, fpga = env.fpga,
    port_filter = opts.port_filter, override_vddsdio = opts.override_vddsdio,
    no_stub = opts.no_stub, stub = opts.stub,
    notes = opts.config == nil,
  }
  o.port = opts.port or env.port or not opts.port_filter and o.config.port or nil
  if not o.port_filter and o.config.port_filter then
    o.port_filter = {}
    for word in o.config.port_filter:gmatch "%S+" do table.insert(o.port_filter, word) end
  end
  o.baud = number_option(opts, "baud", env.baud or o.config.baud or ROM_BAUD, 1, 100000000)
  o.attempts = number_option(opts, "attempts", env.connect_attempts or o.config.connect_attempts or 7,
                             math.mininteger, math.maxinteger)
  o.open_attempts = number_option(opts, "open_attempts", env.open_port_attempts or o.config.open_port_attempts or 1,
                                  0, math.maxinteger)
  o.before = known_choice(config_file.BEFORE, opts.before or env.before, "default-reset", "before")
  o.after = known_choice(config_file.AFTER, opts.after or env.after, "hard-reset", "after")
  local name = opts.chip or env.chip or o.config.chip or "auto"
  if name ~= "auto" then o.chip = chips.get(name) end
  -- A chip that already talks is talking at the rate it was left at.
  o.rom_baud = o.before == "no-reset-no-sync" and o.baud or math.min(ROM_BAUD, o.baud)
  local wanted = number_option(opts, "rom_baud", nil, 1, 100000000)
  if wanted and wanted > ROM_BAUD then o.upload_baud = wanted end
  if wanted and not o.upload_baud then o.rom_baud, o.upload_baud = wanted, wanted end
  -- Mistakes in a sequence show before a port is touched.
  for _, key in ipairs { "custom_reset_sequence", "custom_hard_reset_sequence" } do
    if o.config[key] then reset.parse(o.config[key], key) end
  end
  return o
end

-- Everything that arrives until the line is quiet.
local function listen(port, limit)
  local parts, size, spent = {}, 0, 0
  while size < KEPT_BYTES and spent < limit do
    local bytes, _, code = port:read(KEPT_BYTES, QUIET)
    if not bytes or bytes == "" then
      if code and code ~= "timeout" then return table.concat(parts), code end
      break
    end
    parts[#parts + 1], size, spent = bytes, size + #bytes, spent + QUIET
  end
  return table.concat(parts)
end

-- One attempt. Returns true, stub_running | nil, evidence
local function attempt(chip, recipe, limit)
  local evidence = { recipe = recipe and recipe.name, received = "" }
  local function failed(message, code, details)
    evidence.message, evidence.code, evidence.details = message, code, details
    return nil, evidence
  end
  if recipe then
    if chip.port_kind ~= "rfc2217" then chip.port:flush() end
    local ok, message, code = reset.perform(chip.port, recipe)
    if not ok then
      if code ~= "unsupported" then return failed(message, code) end
      if not chip.told_no_lines then
        chip.told_no_lines = true
        chip:tell { type = "warning", code = "no_lines",
          text = "this port has no DTR and RTS lines, the chip cannot be reset into download mode through it" }
      end
    end
    evidence.received = listen(chip.port, LONGEST_LOG)
  else
    evidence.received = listen(chip.port, QUIET)      -- what it said before we came
  end
  local function sync()
    chip.link:flush()
    return chip.link:sync { tries = SYNC_TRIES, timeout = limit, pause = SYNC_PAUSE }
  end
  local ok, stub, code, details = sync()
  -- Internal USB that went away after the reset: the chip waits for us, another reset would only repeat this.
  if not ok and reset.regain(chip.port, code) then ok, stub, code, details = sync() end
  if ok then return true, stub end
  evidence.received = (evidence.received .. (details and details.received or "")):sub(-KEPT_BYTES)
  return failed(stub, code, details)
end

local HINTS = {
  nothing_received = "is it powered, is it this port, are TX and RX crossed? or hold BOOT, tap RESET, let BOOT go, "
    .. "and try again",
  wrong_boot_mode = "hold BOOT (GPIO0, on newer chips GPIO9) low while the chip is reset, or connect DTR and RTS",
  no_reply = "its output arrives and our bytes do not: check the wire from the host's TX to the chip's RX",
  garbage = "wrong baud rate, bad ground, or an ESP8266 whose boot messages come at 74880 baud",
  no_sync = "close other programs on this line, try a lower baud rate and a shorter cable",
}
local BY_HAND = "hold BOOT, tap RESET, let BOOT go, then try again"

-- A rate that is too low for some chip's ROM, said in its data.
local function slow_hint(chip, wanted)
  for _, id in ipairs(wanted and { wanted.id } or chips.list()) do
    local data = chips.get(id)
    local lowest = data.baud_fix and data.baud_fix.slow_hint_below
    if lowest and chip.baud < lowest then
      return (" %s needs at least %d baud."):format(data.name, lowest)
    end
  end
  return ""
end

-- macOS brings a driver for the CH9102 that loses bytes.
local function driver_hint(chip)
  local usb = chip.usb
  local mac = chip.url:find "^/dev/tty%." or chip.url:find "^/dev/cu%."
  if mac and usb and usb.vid == 0x1A86 and (usb.pid == 0x55D4 or usb.pid == 0x55D3) then
    return " Install the CH34x driver of the adapter's maker: the one of macOS loses bytes."
  end
  return ""
end

-- Whether there is a loader's answer among bytes: a frame with the direction of one.
local function has_answer(bytes)
  for _, frame in ipairs(require("esp.core.slip").decoder():feed(bytes)) do
    if #frame >= 10 and frame:byte() == 1 then return true end
  end
  return false
end

-- A text with the port's name in front, once.
local function named(chip, text)
  text = text or ""
  if text:sub(1, #chip.url + 2) == chip.url .. ": " then return text end
  return ("%s: %s"):format(chip.url, text)
end

-- Raises the error that the attempts add up to.
local function give_up(chip, attempts, o)
  local what, log, last = "nothing", nil, attempts[#attempts]
  for i = #attempts, 1, -1 do
    local e = attempts[i]
    if e.code == "target_panic" then what, log = "application", bootlog.parse(e.received) break end
    what, log = bootlog.classify(e.received)
    if what ~= "nothing" then last = e break end
  end
  local name = o.chip and o.chip.name or "the chip"
  local code, message
  local said = log and bootlog.describe(log) or ""
  local port_trouble = last.code and last.code:find "^port_" and last.code
  if what == "nothing" and port_trouble then
    code, message = port_trouble, last.message or "lost"
  elseif what == "download" then
    code, message = "no_reply", ("%s waits for download but does not answer"):format(name)
  elseif what == "application" then
    code = "wrong_boot_mode"
    message = ("%s is not in download mode, it runs its program%s"):format(name, said ~= "" and ": " .. said or "")
    if log.no_program then message = ("%s is not in download mode: %s"):format(name, said) end
  elseif what == "garbage" and has_answer(last.received) then
    code, message = "no_sync", ("%s answers, but not as a loader does"):format(name)
  elseif what == "garbage" then
    code, message = "garbage", ("only noise is received from %s at %d baud"):format(name, chip.baud)
  else
    code, message = "nothing_received", ("no answer from %s: nothing was received"):format(name)
  end
  local hint = HINTS[code] or "plug it in again"
  if code == "nothing_received" and not chip.resets then hint = "this port cannot reset the chip: " .. BY_HAND end
  if code == "wrong_boot_mode" and not chip.resets then hint = BY_HAND end
  fail { code = code, message = named(chip, message),
         hint = hint .. (hint:find "[.?]$" and "" or ".") .. slow_hint(chip, o.chip) .. driver_hint(chip),
         details = { attempts = attempts, received = last.received, log = log, baud = chip.baud } }
end

-- Attempts until one succeeds. Returns whether a stub answers.
local function synchronise(chip, o)
  if o.before == "no-reset-no-sync" then return chip.stub end
  local cycle
  chip.resets = o.before ~= "no-reset" and chip.port:info().has_lines
  if o.before == "no-reset" then
    chip:tell { type = "note", code = "no_reset",
                text = "the chip is not reset: it must be in download mode, or a stub must be running" }
  elseif not chip.resets then
    chip:tell { type = "note", code = "no_lines",
                text = "this port has no DTR and RTS lines: bring the chip into download mode by hand" }
  else
    cycle = reset.cycle { mode = o.before, config = o.config, usb = chip.usb, kind = chip.port_kind, fpga = o.fpga,
                          windows = package.config:sub(1, 1) == "\\" }
  end
  local evidence, n = {}, 0
  while o.attempts <= 0 or n < o.attempts do
    n = n + 1
    local recipe = cycle and cycle[(n - 1) % #cycle + 1]
    if not chip.resets and n > 1 and o.baud ~= o.rom_baud then
      -- A stub that was left running still talks at the rate it was raised to.
      chip:set_port_baud(n % 2 == 0 and o.baud or o.rom_baud)
    end
    local ok, result = attempt(chip, recipe, o.config.sync_timeout)
    if ok then return result end
    evidence[#evidence + 1] = result
    if #evidence > KEPT_ATTEMPTS then table.remove(evidence, 1) end
    chip:tell { type = "attempt", code = result.code, number = n, of = o.attempts, recipe = result.recipe,
                received = result.received, text = result.message }
    reset.regain(chip.port, result.code)
    -- Behind a server no USB identity is seen, but the chip itself says that its USB peripheral was what reset it.
    if cycle and (bootlog.parse(result.received).reset_name or ""):find "^USB_UART"
       and not o.config.custom_reset_sequence then
      cycle = reset.cycle { mode = "usb-reset", config = o.config }
    end
  end
  give_up(chip, evidence, o)
end

local INFO_SIZES = { 20, 12 }             -- the second is that of the first chip to have the command
local UNKNOWN_COMMAND = 0x05

-- Seconds for the first answers: a loader that was not synchronised with, and should have been, stays silent.
local UNSURE = 0.5
local function first_wait(chip)
  local timeout = chip.config.timeout
  return chip.options.before == "no-reset-no-sync" and math.min(UNSURE, timeout) or timeout
end

-- Asks for the security information. Returns its bytes | nil, message, code; "rom_error": the chip does not have it.
-- The answer is looked at here, because nothing is known of the chip yet: a ROM without the command answers eight
-- times over, under the name of the command before.
local function ask_security_info(chip)
  local task = require "esp.core.task"
  local ok, message, code = chip.link:send(OP.GET_SECURITY_INFO)
  if not ok then return nil, message, code end
  local deadline = task.now() + first_wait(chip)
  repeat
    local reply
    reply, message, code = chip.link:receive(math.max(deadline - task.now(), 0))
    if not reply then break end
    local body = reply.body or ""
    if reply.op == OP.GET_SECURITY_INFO then
      for _, size in ipairs(INFO_SIZES) do
        if #body >= size + 2 then
          if body:byte(size + 1) == 0 then return body:sub(1, size) end
          return nil, "GET_SECURITY_INFO was refused", "rom_error"
        end
      end
      if #body >= 2 and body:byte(1) ~= 0 then return nil, "GET_SECURITY_INFO was refused", "rom_error" end
    elseif reply.op and #body >= 2 and body:byte(1) ~= 0 and body:byte(2) == UNKNOWN_COMMAND then
      return nil, "GET_SECURITY_INFO is unknown", "rom_error"
    end
  until false
  return nil, message, code
end

-- The chip that has secure download mode and does not tell its id.
local function nameless_chip()
  for _, id in ipairs(chips.list()) do
    local data = chips.get(id)
    if data.security_info == "no_chip_id" then return data end
  end
end

-- Which chip answers. Returns data | nil, what is not known, true when there is no help for it
local function identify(chip, wanted)
  local function read_magic()
    local value, message, code = chip:try_command(OP.READ_REG, ("<I4"):pack(MAGIC_ADDRESS),
                                                  { timeout = first_wait(chip) })
    return value, message, code
  end
  -- A chip without the command, named by the user, need not be asked for what it refuses.
  if wanted and wanted.magic and not wanted.security_info and read_magic() == wanted.magic then return wanted end
  local info, message, code = ask_security_info(chip)
  if info then
    chip.security = identity.decode_security_info(info)
    chip.sdm = chip.security.set.secure_download
    local id = chip.security.chip_id
    if id then
      local data, dropped = chips.by_image_id(id)
      if data then return data end
      if dropped then
        return nil, ("this is an %s, silicon that was never sold and is not supported"):format(dropped), true
      end
      return nil, ("unknown chip id %d"):format(id)
    end
    if chip.sdm then return nameless_chip() end
  elseif code and code:find "^port_" then
    fail { code = code, message = named(chip, message) }
  elseif code ~= "rom_error" then
    listen(chip.port, LONGEST_LOG)
    chip.link:flush()
  end
  local magic
  magic, message, code = read_magic()
  if not magic then
    if code == "rom_error" and chip.security then
      chip.sdm = true
      return nameless_chip()
    end
    fail { code = code, message = named(chip, message) }
  end
  local data = chips.by_magic(magic)
  if data then return data end
  return nil, ("unknown chip, word 0x%08X at 0x%08X"):format(magic, MAGIC_ADDRESS)
end

-- Finds out the chip; once more after a new connection when that fails.
local function detect(chip, o)
  chip:tell { type = "stage", code = "detecting", text = "Detecting the chip" }
  local ok, data, unknown, fatal = pcall(identify, chip, o.chip)
  if not ok then
    local code = fail.is(data) and data.code
    if not code or code == "interrupted" or code == "cancelled" or o.before == "no-reset-no-sync" then
      error(data, 0)
    end
    chip:tell { type = "note", code = "detect_again", text = "detection failed, connecting again: " .. tostring(data) }
    chip.security, chip.sdm = nil, false
    chip.stub = synchronise(chip, o)
    data, unknown, fatal = identify(chip, o.chip)
  end
  if data and o.chip and data.id ~= o.chip.id then
    fail { code = "wrong_chip", message = ("%s: this chip is %s, not %s"):format(chip.url, data.name, o.chip.name),
           hint = "give the right --chip, or leave it out", details = { found = data.id, wanted = o.chip.id } }
  end
  if not data then
    if not o.chip or fatal then
      fail { code = "unknown_chip", message = ("%s: %s"):format(chip.url, unknown),
             hint = not fatal and "name the nearest relative with --chip to go on anyway" or nil }
    end
    chip:tell { type = "warning", code = "unknown_chip",
                text = ("this does not look like an %s: %s; going on anyway"):format(o.chip.name, unknown) }
    data = o.chip
  end
  return data
end

-- Seconds and tries in which a loader has to show that it is there at a new rate.
local NEW_RATE = { tries = 3, timeout = 0.1, pause = 0.02 }
local SLOWER = { 921600, 460800, 230400, 115200 }
-- What a ROM is raised to unasked. They run at the crystal's rate and fetch each byte by an interrupt: at twice this
-- rate that of the ESP32 loses some.
local UPLOAD_BAUD = 921600
local LATE = { timeout = true, bad_reply = true, checksum = true, no_sync = true }   -- the line's faults

-- The ROM did not come back at the new rate: reach it at the old one, by a reset where there are lines for it.
local function bring_back(chip, o, rate)
  chip:set_port_baud(o.rom_baud)
  chip:tell { type = "warning", code = "rom_baud", text = ("the ROM of %s does not answer at %d baud, staying at %d")
    :format(chip.name, rate, o.rom_baud) }
  if chip.resets then
    synchronise(chip, o)
    return
  end
  chip.link:flush()
  if not chip.link:sync(NEW_RATE) then
    fail { code = "no_reply", message = named(chip, ("no answer after the ROM was set to %d baud"):format(rate)),
           hint = ("reset it into download mode, and choose --rom-baud %d"):format(o.rom_baud) }
  end
end

-- The rate at which the ROM is to take the stub; nil: it stays.
local function upload_rate(chip, o)
  local rate = o.upload_baud or chip.port:info().has_baud and math.min(o.baud, UPLOAD_BAUD)
  if not rate or rate <= chip.baud or chip.usb_mode or not chip.data.rom.change_baud or o.slow_rom then return nil end
  return rate
end

-- Attaching flash is tried, no more: a stub finds out itself whether it answers.
local function attach_flash(chip, op, data)
  local value, message, code, details = chip:try_command(op, data, { retries = 2 })
  if value == nil and code ~= "rom_error" then
    fail { code = code, message = "attaching flash: " .. message, details = details }
  end
end

-- What is to be done before a stub is loaded: flash is attached, and the ROM changes its rate where it can.
local function prepare_rom(chip, o)
  local op, data = require("esp.flash_attach").before_stub(chip)
  local rate = upload_rate(chip, o)
  local together = rate and require "esp.batch".rom_takes_several(chip)
  if not together then attach_flash(chip, op, data) end
  if not rate then return end
  local ok, e = pcall(chip.set_baud, chip, rate, together and { op, data } or nil)
  if not ok and not (fail.is(e) and LATE[e.code]) then error(e, 0) end
  if ok and chip.link:sync(NEW_RATE) then return end
  o.slow_rom = true
  bring_back(chip, o, rate)
  attach_flash(chip, op, data)
end

-- Loads a stub. What does not succeed in haste is tried without, after a reset.
local function load_stub(chip, o, file)
  prepare_rom(chip, o)
  local rate = chip.baud
  local ok, started, message = pcall(flasher.run, chip, file)
  if ok then return started, message end
  local e = started
  if not (fail.is(e) and (LATE[e.code] or e.code == "rom_error") and chip.resets) then error(e, 0) end
  o.slow_rom = true
  chip:set_port_baud(o.rom_baud)
  chip:tell { type = "warning", code = "rom_baud", text = ("the flasher stub did not arrive at %d baud, trying at %d")
    :format(rate, o.rom_baud) }
  synchronise(chip, o)
  chip.flash_powered = nil
  prepare_rom(chip, o)
  return flasher.run(chip, file, true)
end

-- Loads the stub that is to be used, if any. One that does not start costs a reset, and the ROM does the work.
local function start_stub(chip, o)
  if chip.stub then return flasher.recognise(chip) end
  local file = flasher.choose(chip, o)
  if not file then return end
  local ok, message = load_stub(chip, o, file)
  if ok then return end
  o.no_stub = true
  chip:tell { type = "warning", code = "stub_failed", text = ("the flasher stub did not start (%s), the ROM loader "
    .. "does the work"):format(message) }
  chip:set_port_baud(o.rom_baud)
  synchronise(chip, o)
  chip.attached, chip.flash_powered = nil, nil
end

-- Sets the rate to work at. A line that does not carry it is tried at lower ones.
local function set_rate(chip, o, restart)
  local ours = chip.stub_can and not chip.usb_mode and chip.session_stub == chip.session
  local old = chip.baud
  if old == o.baud then return end
  chip:set_baud(o.baud)
  if not ours or chip.link:sync(NEW_RATE) then return end
  for _, rate in ipairs(SLOWER) do
    if rate < o.baud and chip.resets then
      chip:tell { type = "warning", code = "slower", text = ("no answer at %d baud, trying %d"):format(o.baud, rate) }
      o.baud, o.upload_baud = rate, o.upload_baud and math.min(o.upload_baud, rate)
      chip:set_port_baud(o.rom_baud)
      return restart(chip, o)
    end
  end
  fail { code = "no_reply", message = named(chip, ("no answer after the change to %d baud"):format(o.baud)),
         hint = "choose a lower rate" }
end

-- From an open port to a chip that answers.
local establish
function establish(chip, o)
  chip.status_bytes = nil
  chip.link:set_guard(false)
  chip.stub, chip.sdm, chip.security, chip.left = false, false, nil, false
  chip:tell { type = "stage", code = "connecting", port = chip.url, text = "Connecting" }
  chip.stub = synchronise(chip, o)
  chip.status_bytes = chip.stub and 2 or nil
  local data = detect(chip, o)
  chip.data, chip.id, chip.name = data, data.id, data.name
  chip.status_bytes = chip.stub and 2 or data.rom.status_bytes
  chip.session = chip.session + 1
  chip.attached, chip.described, chip.crystal_mhz = nil, nil, nil
  chip.stub_can, chip.flash_powered = nil, nil
  foresight.look(chip, foresight.connecting(chip, o))
  chip:settle()
  local running = chip.stub
  start_stub(chip, o)
  if chip.stub and not running then chip.session_stub = chip.session end
  chip.known = nil
  set_rate(chip, o, establish)
end

-- Connects on a port, which is opened unless it is open.
local function connect_port(given, o)
  local url, port = given, given
  if type(given) == "string" then port = ports.open(url, { baud = o.rom_baud }) else url = port:url() end
  local chip = require("esp.chip").new {
    port = port, url = url, baud = o.rom_baud, config = o.config, after = o.after, on_event = o.on_event, options = o,
    link = require("esp.core.link").new(port),
  }
  local ok, e = pcall(function()
    if o.trace then chip.link:set_trace(o.trace) end
    chip.port_kind = port:info().kind
    chip.usb = ports.usb_identity(port, url)
    chip:set_port_baud(o.rom_baud)
    establish(chip, o)
    if o.override_vddsdio then chip:override_vddsdio(o.override_vddsdio) end
  end)
  if not ok then
    chip:close()
    error(e, 0)
  end
  chip:tell { type = "stage", code = "connected", chip = chip, text = ("Connected to %s on %s"):format(chip.name, url) }
  return chip
end

-- Codes after which it makes no sense to try the same, or another port.
local FINAL = { interrupted = true, cancelled = true, bad_argument = true, wrong_chip = true, unknown_chip = true,
                bad_reset_sequence = true }

-- Tries a port that may appear later.
local function wait_and_connect(url, o)
  local n = 0
  while true do
    n = n + 1
    local ok, result = pcall(connect_port, url, o)
    if ok then return result end
    if not fail.is(result) or FINAL[result.code] or n == o.open_attempts then error(result, 0) end
    if o.on_event and (n == 1 or n % 10 == 0) then
      o.on_event { type = n == 1 and "note" or "attempt", code = "waiting_for_port",
        number = n, of = o.open_attempts, text = n == 1 and ("%s; trying again"):format(tostring(result)) or url }
    end
    require("esp.core.task").sleep(LISTED)
  end
end

-- Tries every port there is.
local function scan(o)
  local list = ports.list { filter = o.port_filter }
  local function tell(event) if o.on_event then o.on_event(event) end end
  tell { type = "note", code = "ports_found", count = #list,
         text = ("%d serial port%s found"):format(#list, #list == 1 and "" or "s") }
  local tried = {}
  for _, entry in ipairs(list) do
    tell { type = "stage", code = "port", port = entry.name, text = ("Serial port %s"):format(entry.name) }
    local ok, result = pcall(connect_port, entry.name, o)
    if ok then return result end
    if not fail.is(result) or result.code == "interrupted" or result.code == "cancelled" then error(result, 0) end
    tell { type = "warning", code = result.code, port = entry.name, text = tostring(result), hint = result.hint }
    tried[#tried + 1] = { port = entry.name, error = result }
  end
  fail { code = #tried == 1 and tried[1].error.code or "port_missing", details = { tried = tried },
         message = #tried == 0 and "no serial port found" or #tried == 1 and tostring(tried[1].error)
           or ("no chip answered on any of %d serial ports"):format(#tried),
         hint = #tried == 1 and tried[1].error.hint or "name the port with --port; `esplua ports` lists them" }
end

--- Connect to a chip.
-- What is not given is taken from the environment (ESPLUA_PORT, ...), then from the configuration file.
-- @param opts table:
--   port         name, URL, or an open port (which closes with the chip); absent: every port is tried
--   port_filter  list such as { "vid=0x303a" }, when no port is given
--   baud         rate to work at (115200); the ROM is spoken to at 115200 at most, then the rate is raised
--   rom_baud     up to 115200 the rate to start at; above it the rate at which the ROM takes the stub (baud)
--   no_stub      the ROM loader does all the work
--   stub         path of a flasher stub in esptool's JSON form, instead of ours; "ours":
--                ours also where it is not used unasked
--   chip         "auto" or a chip's name, which must then be right
--   before       "default-reset", "usb-reset", "no-reset", "no-reset-no-sync"
--   after        what close does: "hard-reset", "soft-reset", "watchdog-reset", "no-reset", "no-reset-stub"
--   attempts     how often to try (7); 0 or less: without end
--   open_attempts how often to try to open the port (1); 0: without end
--   trace        function, sees every packet (esp.core.link)
--   override_vddsdio  "1.8V", "1.9V" or "OFF": supply of the flash, where the chip can change it
--   config       of esp.config; env: of esp.config.environment
--   on_event     function(event): stages, notes and warnings
-- @return chip object
-- @raise port_*, nothing_received, no_reply, wrong_boot_mode, garbage, no_sync, wrong_chip, unknown_chip,
--   bad_argument, bad_reset_sequence
function M.connect(opts)
  local o = settle_options(opts or {})
  if o.notes and o.on_event then
    for _, event in ipairs(o.config.notes) do o.on_event(event) end
  end
  if o.port then
    if o.open_attempts ~= 1 and type(o.port) == "string" then return wait_and_connect(o.port, o) end
    return connect_port(o.port, o)
  end
  if o.open_attempts ~= 1 then
    fail { code = "bad_argument", message = "waiting for a port needs its name", hint = "give --port" }
  end
  return scan(o)
end

local RECONNECT_TRIES, RECONNECT_PAUSE = 7, 1

--- Connect again with a chip object whose port was lost or whose chip was reset. See chip:reconnect.
function M.again(chip, opts)
  local o = {}
  for key, value in pairs(chip.options) do o[key] = value end
  o.chip, o.baud = chip.data or o.chip, chip.baud
  if o.before == "no-reset-no-sync" then o.before = "no-reset" end
  local tries = opts.tries or RECONNECT_TRIES
  local ok, message, code
  for try = 1, tries do
    ok, message, code = chip.port:reopen(opts.pause or RECONNECT_PAUSE)
    if ok then break end
    chip:tell { type = "attempt", code = "waiting_for_port", number = try, of = tries, text = chip.url }
  end
  if not ok then
    fail { code = code or "port_gone", message = ("%s: %s"):format(chip.url, message or "did not come back"),
           hint = "is it still plugged in?" }
  end
  chip:set_port_baud(o.rom_baud)
  establish(chip, o)
end

return M
