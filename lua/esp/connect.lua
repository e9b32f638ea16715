--- Connecting: reset into the loader, synchronise, find out which chip it is.
-- Source: esptool documentation, "Serial Protocol" and "Troubleshooting".
local chips = require "esp.chips"
local config_file = require "esp.config"
local fail = require "esp.error"
local foresight = require "esp.foresight"
local ports = require "esp.ports"
local reset = require "esp.reset"
local stub_start = require "esp.stub_start"
local synchronise = require "esp.synchronise"
local M = {}

local ROM_BAUD = 115200                   -- the highest rate every ROM synchronises at
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
  local env = opts.env or setmetatable({}, { __index = function(_, key) return config_file.variable(key) end })
  local o = {
    config = opts.config or config_file.load(),
    trace = opts.trace, on_event = opts.on_event, fpga = env.fpga,
    port_filter = opts.port_filter, override_vddsdio = opts.override_vddsdio,
    no_stub = opts.no_stub, stub = opts.stub,
    flash_type = known_choice({ "nor", "nand" }, opts.flash_type, "nor", "flash_type"),
    notes = opts.config == nil,
  }
  o.port = opts.port or env.port or not opts.port_filter and o.config.port or nil
  if not o.port_filter and o.config.port_filter then
    o.port_filter = {}
    for word in o.config.port_filter:gmatch "%S+" do table.insert(o.port_filter, word) end
  end
  o.baud = number_option(opts, "baud", opts.baud == nil and env.baud or o.config.baud or ROM_BAUD, 1,
                         config_file.BAUD_MAX)
  o.attempts = number_option(opts, "attempts", opts.attempts == nil and env.connect_attempts
                             or o.config.connect_attempts or 7, math.mininteger, math.maxinteger)
  o.open_attempts = number_option(opts, "open_attempts", env.open_port_attempts or o.config.open_port_attempts or 1,
                                  0, math.maxinteger)
  o.before = known_choice(config_file.BEFORE, opts.before or env.before, "default-reset", "before")
  o.after = known_choice(config_file.AFTER, opts.after or env.after, "hard-reset", "after")
  local name = opts.chip or env.chip or o.config.chip or "auto"
  if name ~= "auto" then o.chip = chips.get(name) end
  -- A chip that already talks is talking at the rate it was left at.
  o.rom_baud = o.before == "no-reset-no-sync" and o.baud or math.min(ROM_BAUD, o.baud)
  local wanted = number_option(opts, "rom_baud", opts.rom_baud == nil and env.rom_baud or o.config.rom_baud, 1,
                               config_file.BAUD_MAX)
  if wanted and wanted > ROM_BAUD then o.upload_baud = wanted end
  if wanted and not o.upload_baud then o.rom_baud, o.upload_baud = wanted, wanted end
  -- Mistakes in a sequence show before a port is touched.
  for _, key in ipairs { "custom_reset_sequence", "custom_hard_reset_sequence" } do
    if o.config[key] then reset.parse(o.config[key], key) end
  end
  return o
end

-- From an open port to a chip that answers.
local establish
function establish(chip, o)
  chip.status_bytes = nil
  chip.wanted_baud = o.baud
  chip.link:set_guard(false)
  chip.link:set_write_timeout(o.config.serial_write_timeout)
  chip.stub, chip.sdm, chip.security, chip.left = false, false, nil, false
  chip.stub_can, chip.flash_powered, chip.known, chip.fuses = nil, nil, nil, {}
  chip:tell { type = "stage", code = "connecting", port = chip.url, text = "Connecting" }
  chip.stub = synchronise.run(chip, o)
  chip.status_bytes = chip.stub and 2 or nil
  local data = require "esp.detect".chip(chip, o)
  chip.data, chip.id, chip.name = data, data.id, data.name
  chip.status_bytes = chip.stub and 2 or data.rom.status_bytes
  chip.session = chip.session + 1
  chip.attached, chip.described, chip.crystal_mhz = nil, nil, nil
  foresight.look(chip, foresight.connecting(chip, o))
  chip:settle()
  local running = chip.stub
  stub_start.start(chip, o)
  if chip.stub and not running then chip.session_stub = chip.session end
  chip.known = nil
  stub_start.set_rate(chip, o, establish)
  chip.wanted_baud = nil
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
                bad_reset_sequence = true, unsupported = true }

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
--   rom_baud     up to 115200 the rate to start at; above it the rate at which the ROM takes the stub (921600 with a
--                baud of 115200 and more where a reset brings the ROM back, else baud)
--   no_stub      the ROM loader does all the work
--   stub         path of a flasher stub in esptool's JSON form, instead of ours; "ours":
--                ours also where it is not used unasked
--   flash_type   "nor"; "nand": with the stub that has the commands for NAND flash (chip:nand)
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
  opts = opts or {}
  local o = settle_options(opts)
  if o.notes and o.on_event then
    for _, event in ipairs(o.config.notes) do o.on_event(event) end
  end
  if o.port then
    if o.open_attempts ~= 1 and type(o.port) == "string" then return wait_and_connect(o.port, o) end
    return connect_port(o.port, o)
  end
  if o.open_attempts ~= 1 then
    local text = "waiting for a port needs its name"
    if opts.open_attempts then fail { code = "bad_argument", message = text, hint = "give --port" } end
    if o.on_event then
      o.on_event { type = "warning", code = "not_waiting", hint = "give --port",
                   text = "open_port_attempts does not count: " .. text }
    end
  end
  return scan(o)
end

local RECONNECT_TRIES, RECONNECT_PAUSE = 7, 1

--- Connect again with a chip object whose port was lost or whose chip was reset. See chip:reconnect.
function M.again(chip, opts)
  local o = {}
  for key, value in pairs(chip.options) do o[key] = value end
  o.chip, o.baud = chip.data or o.chip, chip.wanted_baud or chip.baud    -- the first after one that failed
  if o.before == "no-reset-no-sync" then o.before = "no-reset" end
  local tries = opts.tries or RECONNECT_TRIES
  local ok, message, code
  for try = 1, tries do
    ok, message, code = chip.port:reopen(opts.pause or RECONNECT_PAUSE)
    if ok then break end
    chip:tell { type = "attempt", code = "waiting_for_port", number = try, of = tries, text = chip.url }
  end
  if not ok then
    fail { code = code or "port_gone",
           message = require "esp.connect_failure".named(chip, message or "did not come back"),
           hint = "is it still plugged in?" }
  end
  chip:set_port_baud(o.rom_baud)
  establish(chip, o)
end

return M
