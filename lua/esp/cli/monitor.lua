--- The monitor as commands have it: `monitor`, and `flash` and `run` with --monitor.
local fail = require "esp.error"
local M = {}

local BAUD = 115200
local BAUD_MAX = require "esp.config".BAUD_MAX

--- What is shown, and for how long.
M.options = {
  { "--elf", type = "string", many = true, metavar = "FILE",
    help = "ELF file of the program, or build folder: names functions for addresses in the output; may be repeated" },
  { "--rom-elf", type = "file", many = true, metavar = "FILE", help = "ELF file of the chip's ROM" },
  { "--no-addresses", help = "say nothing about addresses" },
  { "--all-addresses", excludes = "--no-addresses", help = "name variables too, and addresses in the ROM's own lines" },
  { "--for", type = "number", metavar = "SECONDS", help = "end after so long; with --until, fail then" },
  { "--until", type = "string", metavar = "PATTERN", help = "end when a line or its beginning matches (Lua pattern)" },
  { "--log", type = "output", metavar = "FILE", help = "write what the program says to this file as well" },
  { "--timestamps", help = "begin lines with the time" },
  { "--filter", type = "file", metavar = "FILE", help = "Lua file that returns function(line): what is shown instead" },
  { "--no-input", help = "do not send what is typed" },
}

--- For commands that do something else first.
M.after = {
  { "--monitor", "-M", help = "show what the program says afterwards, until Ctrl-C" },
  { "--monitor-baud", type = "int", min = 1, max = BAUD_MAX, metavar = "RATE", env = "ESPLUA_MONITOR_BAUD",
    help = "bits per second of the program's output (115200)" },
  M.options,
}

local ONLY_WITH = { "monitor_baud", "elf", "rom_elf", "no_addresses", "all_addresses", "for", "until", "log",
                    "timestamps", "filter", "no_input" }

--- What can be known to be wrong before the chip is touched.
-- @raise usage, file_missing
function M.check(args)
  if args.script ~= "monitor" and not args.monitor then
    for _, name in ipairs(ONLY_WITH) do
      if args.given[name] then
        fail { code = "usage", message = ("--%s is for the monitor"):format((name:gsub("_", "-"))),
               hint = "add --monitor" }
      end
    end
    return
  end
  local pattern = args["until"]
  if pattern and not pcall(string.find, "", pattern) then
    fail { code = "usage", message = ("--until %q is not a Lua pattern"):format(pattern),
           hint = "% stands before a sign that means itself" }
  end
  local fs = require "esp.core.fs"
  for _, path in ipairs(args.elf) do
    local st = fs.stat(path)
    if not st then
      fail { code = "file_missing", message = path .. ": no such file or folder", file = path,
             hint = "check the name and the folder" }
    elseif st.type == "dir" and not require "esp.addresses".of_build(path) then
      fail { code = "bad_file", message = path .. ": no project_description.json with an ELF file in this folder",
             file = path, hint = "a build folder of ESP-IDF is expected; or name the ELF file" }
    end
  end
  if args.filter then args.filter_function = require "esp.monitor".load_filter(args.filter) end
end

--- The rate of the program's output.
function M.baud(args)
  if args.monitor_baud then return args.monitor_baud end
  local config = require "esp.config"
  return config.variable "monitor_baud" or config.load().monitor_baud or BAUD
end

-- Files that were flashed and may hold the program's symbols: ELF files and build folders.
local function elf_files(args, files)
  local addresses, list, fs = require "esp.addresses", {}, require "esp.core.fs"
  for _, path in ipairs(#args.elf > 0 and args.elf or files or {}) do
    local st = path ~= "-" and fs.stat(path)
    if st and st.type == "dir" then
      list[#list + 1] = addresses.of_build(path)
    elseif st and (#args.elf > 0 or addresses.is_elf(path)) then
      list[#list + 1] = path
    end
  end
  return list
end

local function open_addresses(args, report, files)
  local elf = elf_files(args, files)
  if #elf + #args.rom_elf == 0 then return nil end
  local addresses = require "esp.addresses".open { elf = elf, rom = args.rom_elf, all = args.all_addresses }
  local defmt
  for _, f in ipairs(addresses.files) do
    local ok, found = pcall(require "esp.defmt".open, f.elf)
    if not ok and not fail.is(found) then error(found, 0) end
    if not ok then report:warning(found.message, { code = "defmt" }) end
    defmt = defmt or ok and found or nil
  end
  for _, path in ipairs(addresses:stripped()) do
    report:warning(path .. ": has no symbols; addresses in it get no names", { code = "stripped" })
  end
  return addresses, defmt
end

local function open_log(path)
  local file, why = io.open(path, "wb")
  if not file then fail { code = "file_denied", message = why, file = path } end
  file:setvbuf "no"
  return file
end

local function writer(args, report, log)
  return function(text)
    if log and not log:write(text) then fail { code = "file_failed", message = args.log .. ": cannot be written" } end
    if args.json then
      report:emit("text", { text = text })
    else
      fail.check("standard output", nil, io.stdout:write(text))
      io.stdout:flush()
    end
  end
end

local function explainer(args, report, log)
  local term = require "esp.core.term"
  local color = not args.json and term.colors(1)
  local dumped
  return function(d)
    if args.json then
      local event = {}
      for k, v in pairs(d) do event[k] = v end
      return report:emit("address", event)
    end
    local text = ("    %s\n"):format(d.text)
    if d.caller and not dumped then text = "    On the stack (some may be left over from earlier):\n" .. text end
    dumped = d.caller
    if log then log:write(text) end
    io.stdout:write(color and "\27[33m" .. text .. "\27[0m" or text)
    io.stdout:flush()
  end
end

--- Show what the program says, as the options of M.options have it.
-- @param args of cli.parse; report of esp.report
-- @param o table: console (of esp.console); reset = function() for Ctrl-R, or nil; files = list of paths that may be
--   the program's ELF file
-- @return what the command reports as its result
function M.run(args, report, o)
  local term = require "esp.core.term"
  local log <close> = args.log and open_log(args.log) or nil
  local opened, defmt = open_addresses(args, report, o.files)
  local addresses <close> = opened
  local keys <close> = not args.no_input and not args.json and term.isatty(1) and term.keys() or nil
  if keys then report:note("Ctrl-C ends it" .. (o.reset and ", Ctrl-R resets the chip; the rest is sent" or "")) end
  report:clear()
  local watch = require "esp.monitor".new {
    console = o.console, addresses = not args.no_addresses and addresses or nil, defmt = defmt,
    filter = args.filter_function, keys = keys, reset = o.reset,
    write = writer(args, report, log), explain = explainer(args, report, log),
    stamp = args.timestamps and function() return os.date "%H:%M:%S  " end or nil,
  }
  local ok, result = pcall(watch.run, watch, { seconds = args["for"], pattern = args["until"] })
  if not ok and not (fail.is(result) and result.code == "interrupted") then error(result, 0) end
  if not args.json and not watch.at_start then io.stdout:write "\n" end
  return ok and result or { bytes = watch.bytes, interrupted = true }
end

return M
