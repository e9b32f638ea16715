--- The front end of a command: arguments, help, connecting, reporting, exit status.
-- A script declares its arguments and is called with them; esp.cli.parser describes declarations.
--
--   local cli = require "esp.cli"
--   local args = cli.parse { summary = "...", examples = { "erase 0x10000 64k" }, cli.connection,
--                            { "offset", type = "address", optional = true, help = "..." } }
--   cli.with_chip(args, function(chip, report) ... end)
local parser = require "esp.cli.parser"
local M = {}

local BAUD_MAX = require "esp.config".BAUD_MAX
local BEFORE = { "default-reset", "usb-reset", "no-reset", "no-reset-no-sync" }
local AFTER = { "hard-reset", "soft-reset", "no-reset", "no-reset-stub", "watchdog-reset" }
local SIZES = { "keep", "detect", "256KB", "512KB", "1MB", "2MB", "2MB-c1", "4MB", "4MB-c1", "8MB", "16MB", "32MB",
                "64MB", "128MB" }
local FREQS = { "keep", "80m", "60m", "64m", "48m", "40m", "32m", "30m", "26m", "24m", "20m", "16m", "15m", "12m" }

--- Which port.
M.port_options = {
  { "--port", "-p", type = "string", metavar = "PORT", env = "ESPLUA_PORT",
    help = "serial device, socket://HOST:PORT, rfc2217://HOST:PORT or sim:CHIP; without it all ports are tried" },
  { "--confirm-port", help = "ask which port is to be used" },
}

--- Options of every command that talks to a chip.
M.connection = {
  M.port_options,
  { "--baud", "-b", type = "int", min = 1, max = BAUD_MAX, metavar = "RATE", env = "ESPLUA_BAUD",
    help = "bits per second while working (115200)" },
  { "--chip", "-c", type = "chip", metavar = "CHIP", env = "ESPLUA_CHIP", help = "the chip it must be (auto)" },
  { "--port-filter", type = "string", many = true, follow = "^%a+=", metavar = "KEY=VALUE",
    help = "try only ports with this vid, pid, name or serial; may be repeated" },
  { "--before", type = "choice", choices = BEFORE, metavar = "RESET", env = "ESPLUA_BEFORE",
    help = "reset before connecting: " .. table.concat(BEFORE, ", ") },
  { "--after", "-a", type = "choice", choices = AFTER, metavar = "RESET", env = "ESPLUA_AFTER",
    help = "reset at the end: " .. table.concat(AFTER, ", ") },
  { "--connect-attempts", type = "int", metavar = "N", help = "how often connecting is tried, 0 for no end (7)" },
  { "--no-stub", excludes = "--stub", help = "use the chip's ROM loader only" },
  { "--stub", type = "string", metavar = "FILE",
    help = "use this flasher stub (JSON, as esptool has them); ours: our own in any case" },
  { "--rom-baud", type = "int", min = 1, max = BAUD_MAX, metavar = "RATE", env = "ESPLUA_ROM_BAUD",
    help = "rate at which the ROM takes the stub (921600); 115200 leaves it alone" },
  { "--override-vddsdio", type = "choice", choices = { "1.8V", "1.9V", "OFF" }, metavar = "VOLTAGE",
    help = "ESP32: set the supply of the flash to 1.8V, 1.9V or OFF; take care" },
  { "--trace", "-t", excludes = "--silent", help = "show every packet" },
}

--- Where the flash chip is.
M.spi = {
  { "--spi-connection", "-sc", type = "string", metavar = "PINS",
    help = "SPI, HSPI or five pin numbers: CLK,Q,D,HD,CS" },
}

--- Which kind of flash, and how far bad blocks may push what is written to NAND flash.
M.nand_end = { "--nand-end-address", type = "address", multiple = 0x20000, metavar = "ADDRESS",
               help = "NAND: where the room for it ends; bad blocks are skipped up to there" }
M.flash_type = {
  { "--flash-type", "-ft", type = "choice", choices = { "nor", "nand" }, default = "nor", metavar = "KIND",
    help = "nor, or nand: serial NAND flash on pins of its own (ESP32-S3)" },
}

--- What is said about flash in the header of a bootloader image.
M.flash_parameters = {
  { "--flash-mode", "-fm", type = "choice", choices = { "keep", "qio", "qout", "dio", "dout" }, default = "keep",
    metavar = "MODE", env = "ESPLUA_FM", help = "keep, qio, qout, dio or dout" },
  { "--flash-freq", "-ff", type = "choice", choices = FREQS, unit = "hz", default = "keep", metavar = "FREQ",
    env = "ESPLUA_FF", help = "keep, or a frequency such as 40m" },
  { "--flash-size", "-fs", type = "choice", choices = SIZES, default = "keep", metavar = "SIZE", env = "ESPLUA_FS",
    help = "keep, detect, or a size such as 4MB" },
}

--- The size of the flash, for commands that do not change a header.
M.flash_size = { M.flash_parameters[3] }

--- Where partitions are looked up, for commands that know them by name.
M.partition_table = {
  { "--partition-table", type = "file", metavar = "FILE",
    help = "partition table, CSV or binary, instead of the one in flash" },
  { "--partition-table-offset", type = "address", multiple = 0x1000, metavar = "ADDRESS",
    help = "where in flash the partition table is (0x8000)" },
}

--- How an ELF file becomes an image.
M.from_elf = {
  { "--min-chip-rev", type = "string", metavar = "MAJOR.MINOR",
    help = "ELF: oldest chip revision that the program is for, such as 0.3" },
  { "--mmu-page-size", type = "choice", choices = { "8KB", "16KB", "32KB", "64KB", "128KB", "256KB" }, metavar = "SIZE",
    help = "ELF: page size of the flash cache (from the program)" },
  { "--ignore-app-descriptor", help = "ELF: write a program without app descriptor" },
}

--- No progress bar, please.
M.progress = { { "--no-progress", help = "no progress bar" } }

local COMMON = {
  { "--json", help = "write events as JSON, one object per line" },
  { "--verbose", "-v", help = "say more" },
  { "--silent", "-s", excludes = "--verbose", help = "say nothing but errors" },
  { "--help", "-h", help = "this text" },
}

-- Set while a declaration is only looked at: see M.declaration.
local capture = nil

--- The name of the running command: "flash" for scripts/flash.lua.
local function command_name()
  local name = type(arg) == "table" and arg[0] or "esplua"
  return (name:gsub("^.*[/\\]", ""):gsub("%.lua$", ""))
end

local function complete(decl)
  local whole = setmetatable({}, { __index = decl })
  for i, entry in ipairs(decl) do whole[i] = entry end
  whole[#whole + 1] = COMMON
  return whole
end

--- Parse without side effects.
-- @param decl declaration
-- @param argv list of words
-- @return as esp.cli.parser gives it
-- @raise usage, file_missing, ...
function M.read(decl, argv)
  return parser.parse(complete(decl), argv)
end

--- The help text of a declaration.
function M.help(decl, name, width, command)
  return require "esp.cli.help".text(complete(decl), "esplua " .. name, width or 80, command)
end

--- Parse the command line of the running script. --help prints and exits; a wrong command line is raised.
-- @param decl declaration
-- @param argv list of words; those of the script when absent
-- @return table of values, as esp.cli.parser says
function M.parse(decl, argv)
  if capture then error(setmetatable({ decl = decl }, capture), 0) end
  argv = argv or arg or {}
  local name = command_name()
  for _, word in ipairs(argv) do
    if word == "--json" then require "esp.report".json_wanted = true end      -- also for a wrong command line
  end
  local ok, args = pcall(M.read, decl, argv)
  if ok and args.help then
    local has_term, term = pcall(require, "esp.core.term")
    local width = has_term and term.isatty(1) and term.width() or 80
    io.stdout:write(M.help(decl, name, math.min(width, 100), args.command))
    io.stdout:flush()
    os.exit(0, true)
  end
  if not ok then
    local err = args
    if type(err) == "table" and err.code == "usage" and not err.hint then
      err.hint = ("`esplua %s --help` shows what is accepted"):format(name)
    end
    error(err, 0)
  end
  args.script = name
  return args
end

--- What a script is that reads its command line itself, for the list of commands.
-- @param decl { summary =, details =, examples = }
function M.foreign(decl)
  if capture then error(setmetatable({ decl = decl }, capture), 0) end
end

--- The declaration of a script, without running the rest of it.
-- @param text source of the script
-- @param name string
-- @return declaration | nil when the script declares nothing
function M.declaration(text, name)
  capture = { __name = "esp.cli.capture" }
  local mark = capture
  local chunk = load(text, "@" .. name, "t")
  local ok, caught
  if chunk then ok, caught = pcall(chunk) end
  capture = nil
  if chunk and not ok and getmetatable(caught) == mark then return complete(caught.decl) end
  return nil
end

--- The report that goes with arguments. Where standard output takes the data (output = "-") it goes to standard error.
function M.report(args)
  local apart = args.output == "-"
  if apart and args.json then
    require "esp.error" { code = "usage", message = "with --json standard output cannot take the data",
                          hint = "name a file for it" }
  end
  return require "esp.report".new { json = args.json, verbose = args.verbose, silent = args.silent,
                                    no_progress = args.no_progress, out = apart and io.stderr or nil,
                                    tty = not apart and nil, color = not apart and nil }
end

--- Run the work of a command and report how it ended. What fails goes on to the program, which prints it.
-- @param args as M.parse gives them
-- @param fn function(report)
function M.run(args, fn)
  local report = M.report(args)
  report:emit("start", { schema = 1, program = "esplua", version = require "esp.version", command = args.script })
  local _ <close> = setmetatable({}, { __close = function() report:clear() end })
  local result = fn(report)
  report:done()
  return result
end

-- Ask a person for the port.
local function ask_port(report, list)
  local fail, term = require "esp.error", require "esp.core.term"
  if #list == 0 then fail { code = "port_missing", message = "no serial port found", hint = "name it with --port" } end
  if not term.isatty(0) or not term.isatty(1) then
    fail { code = "usage", message = "--confirm-port: there is nobody to ask", hint = "name the port with --port" }
  end
  for i, entry in ipairs(list) do
    local usb = entry.usb or {}
    report:say(("%3d  %s  %s"):format(i, entry.name, usb.product or entry.description or ""))
  end
  while true do
    io.stdout:write(("Which port? 1 to %d, Enter for 1, q to end: "):format(#list))
    io.stdout:flush()
    local word = io.stdin:read "l"
    word = word and word:match "^%s*(.-)%s*$"
    if not word or word == "q" then fail { code = "cancelled", message = "no port was chosen" } end
    local entry = list[word == "" and 1 or math.tointeger(tonumber(word)) or 0]
    if entry then
      report:detail(("ESPLUA_PORT=%s, or port = %s in esplua.cfg below [esplua], spares the question"):format(
        entry.name, entry.name))
      return entry.name
    end
  end
end

--- The port that options, environment and configuration file name, or else the first; with --confirm-port the user is
-- asked.
-- @param args as M.parse gives them, with M.port_options
-- @param report of esp.report
-- @return name
-- @raise port_missing, usage, cancelled
function M.port(args, report)
  local config, fail = require "esp.config", require "esp.error"
  local filter = args.port_filter and #args.port_filter > 0 and args.port_filter or nil
  local settings = not args.port and config.load()
  local name = args.port or config.variable "port" or not filter and settings.port
  if name then return name end
  if not filter and settings.port_filter then
    filter = {}
    for word in settings.port_filter:gmatch "%S+" do filter[#filter + 1] = word end
  end
  local list = require "esp.ports".list { filter = filter }
  if args.confirm_port then return ask_port(report, list) end
  if not list[1] then fail { code = "port_missing", message = "no serial port found", hint = "name it with --port" } end
  report:note("on " .. list[1].name)
  return list[1].name
end

-- What is known of the chip without asking it much, for the first line and the first event.
local function introduce(chip, report)
  local ok, info = pcall(chip.info, chip)
  if not ok then
    if type(info) ~= "table" or info.code == "interrupted" or info.code == "cancelled" then error(info, 0) end
    info = { name = chip.name }
  end
  report:emit("connected", { chip = chip.id, name = info.name, port = chip.url, mac = info.mac, baud = chip.baud,
                             revision = info.revision and info.revision.text, secure_download = chip.sdm })
  report:say(("%s%s%s on %s"):format(info.name, info.revision and " revision " .. info.revision.text or "",
                                     info.mac and ", MAC " .. info.mac or "", chip.url))
end

--- Connect as the options of M.connection, the environment and the configuration file say.
-- @param args as M.parse gives them
-- @param report of esp.report
-- @param need table or nil: rom = true where the ROM loader does as well as a flasher stub, which is then not loaded
--   unless one was named
-- @return chip
function M.connect(args, report, need)
  local settings = require "esp.config".load()
  if settings.file then report:detail("Settings from " .. settings.file) end
  local listener = report:listener()
  for _, note in ipairs(settings.notes) do listener(note) end
  local port = args.confirm_port and M.port(args, report) or args.port
  local chip = require "esp".connect {
    port = port, baud = args.baud, chip = args.chip, before = args.before, after = args.after,
    attempts = args.connect_attempts, port_filter = #args.port_filter > 0 and args.port_filter or nil,
    no_stub = args.no_stub or need and need.rom and not args.stub, stub = args.stub,
    flash_type = need and need.nand and "nand" or args.flash_type,
    rom_baud = args.rom_baud, override_vddsdio = args.override_vddsdio, config = settings,
    trace = args.trace and function(p) report:packet(p) end or nil,
    on_event = function(e)
      if e.code ~= "connected" then listener(e) end
    end,
  }
  local ok, err = pcall(introduce, chip, report)
  if not ok then
    chip:close()
    error(err, 0)
  end
  return chip
end

--- Part LABEL FILE pairs from ADDRESS FILE pairs: after --partition LABEL FILE more of either may come.
-- @param given list of pairs, as the option gives them
-- @param files list that the pairs with an address are added to
-- @return list of the others
function M.by_label(given, files)
  local labelled = {}
  for _, pair in ipairs(given) do
    local address = require "esp.cli.types".integer(pair[1])
    if address then
      files[#files + 1] = { address, pair[2] }
    else
      labelled[#labelled + 1] = pair
    end
  end
  return labelled
end

--- The partition table that the options of M.partition_table name.
-- @param args as M.parse gives them
-- @param chip may be nil when the table is a file
-- @return list of entries, as esp.partition gives them
function M.partitions(args, chip)
  if args.partition_table then
    return require "esp.partition".load(args.partition_table, { table_offset = args.partition_table_offset })
  end
  return chip:partitions { table_offset = args.partition_table_offset, flash_size = args.flash_size,
                           spi_connection = args.spi_connection }
end

-- "1.3" to 103, as image headers have it.
local function revision(text)
  if not text then return nil end
  local major, minor = text:match "^v?(%d+)%.(%d%d?)$"
  if not major or tonumber(major) > 654 then
    require "esp.error" { code = "usage", message = ("--min-chip-rev: '%s' is no revision"):format(text),
                          hint = "MAJOR.MINOR, such as 0.3 or 3.0" }
  end
  return tonumber(major) * 100 + tonumber(minor)
end

--- What esp.inputs must know, from the options; device and chip come when there is one.
-- @param args as M.parse gives them
function M.input_context(args)
  local mode, freq, size = M.flash_settings(args)
  return { chip = args.chip ~= "auto" and args.chip or nil, force = args.force, flash_mode = mode, flash_freq = freq,
           flash_size = size, spi_connection = args.spi_connection, table_offset = args.partition_table_offset,
           min_rev_full = revision(args.min_chip_rev), ignore_app_descriptor = args.ignore_app_descriptor,
           mmu_page_size = args.mmu_page_size and require "esp.cli.types".bytes(args.mmu_page_size),
           table = args.partition_table and M.partitions(args) or nil }
end

--- Flash mode, frequency and size as they were given; nil for those that were not, so that a build's own count.
function M.flash_settings(args)
  local function given(name)
    if args.given[name] or args[name] ~= "keep" then return args[name] end
    return nil
  end
  return given "flash_mode", given "flash_freq", given "flash_size"
end

--- Fill in what the environment says about flash parameters.
local function environment_defaults(args)
  local names = { "flash_mode", "flash_freq", "flash_size" }
  for _, name in ipairs(names) do
    if args[name] ~= nil and not args.given[name] then
      args[name] = require "esp.config".variable(name) or args[name]
    end
  end
end

--- Reset the chip as the options say and show what the program says, with the options of esp.cli.monitor.
-- @param files list of paths that may hold the program's symbols
function M.monitor(args, chip, report, files)
  local monitor = require "esp.cli.monitor"
  if not chip.left then chip:reset(chip.after) end
  local console = chip:console { baud = monitor.baud(args) }
  local result = monitor.run(args, report, {
    console = console, files = files,
    reset = chip.port:info().has_lines and function() require "esp.ports".reset(chip.port, chip.url) end or nil,
  })
  report:emit("monitored", result)
end

--- Connect, do the work, reset and let go of the port on every way out.
-- @param args as M.parse gives them
-- @param fn function(chip, report)
-- @param need as of M.connect
function M.with_chip(args, fn, need)
  return M.run(args, function(report)
    environment_defaults(args)
    local chip <close> = M.connect(args, report, need)
    return fn(chip, report)
  end)
end

return M
