#!/usr/bin/env esplua
-- Serves a simulated chip to other programs.
local cli = require "esp.cli"

local args = cli.parse {
  summary = "Play a chip: its ROM loader, flash and eFuses, for esplua, esptool or any other host.",
  examples = { "sim esp32c3 --tcp 5555", "sim esp32 --rfc2217 2217 --flash board.bin --efuse board.efuse",
               "sim 'esp32s3?link=usj&sdm=1' --pty --log" },
  { "chip", type = "string", metavar = "CHIP[?OPTIONS]", help = "which chip; options as in a sim: URL" },
  { "--tcp", type = "int", min = 0, max = 65535, metavar = "PORT", excludes = "--rfc2217",
    help = "serve a plain TCP socket, 0 for any free port; no reset lines, so it starts in download mode" },
  { "--rfc2217", type = "int", min = 0, max = 65535, metavar = "PORT", excludes = "--pty",
    help = "serve RFC 2217, with rates and reset lines; the default, on a free port" },
  { "--pty", excludes = "--tcp", help = "serve a pseudo terminal" },
  { "--host", type = "string", metavar = "ADDRESS", default = "127.0.0.1", help = "address to listen on" },
  { "--flash", type = "string", metavar = "FILE", help = "keep the flash in this file, which is made when missing" },
  { "--efuse", type = "string", metavar = "FILE", help = "keep the eFuses in this file" },
  { "--flash-size", type = "string", metavar = "SIZE", help = "size of the flash (4MB, or that of the file)" },
  { "--rom", type = "string", metavar = "FILE",
    help = "run the chip's own mask ROM, from its ELF file, in place of the model of its loader" },
  { "--trace-unmodelled", help = "with --rom: list the registers that nobody models as they are touched" },
  { "--boot", type = "choice", choices = { "download", "flash" }, metavar = "MODE",
    help = "how it is powered on: download (the default) or flash" },
  { "--reset-on-connect", help = "reset into download mode whenever a client comes" },
  { "--log", help = "print every command that is served" },
}

local HINT = {
  socket = "esptool --port %s --before no-reset --no-stub flash-id",
  rfc2217 = "esptool --port '%s?ign_set_control' --no-stub flash-id",
  pty = "esptool --port %s --before no-reset --no-stub flash-id",
}

local function describe(e)
  if e.text then return ("%10.3f  %s"):format(e.time, e.text) end
  local text = ("%10.3f  %-17s %5d bytes  %08x %08x"):format(e.time, e.name, e.size, e.a, e.b)
  return text .. (e.ok and (e.name == "READ_REG" and ("  -> %08x"):format(e.value) or "") or
                  ("  refused, error 0x%02x"):format(e.error))
end

local function unmodelled(chip, report, known)
  for _, u in ipairs(chip:unmodelled()) do
    if not known[u.address] then
      known[u.address] = true
      report:say(("unmodelled %08x: %d read, %d written (last %08x), at %08x"):format(u.address, u.reads, u.writes,
                 u.value, u.pc))
    end
  end
end

-- Until Ctrl-C.
local function serve(chip, report)
  local sim, task, known = require "esp.sim", require "esp.core.task", {}
  while true do
    task.sleep((args.log or args.trace_unmodelled) and 0.1 or 3600)
    if args.trace_unmodelled then unmodelled(chip, report, known) end
    local events, lost = chip:log()
    if args.log and lost > 0 then report:note(("%d commands not shown"):format(lost)) end
    for _, e in ipairs(args.log and events or {}) do
      e.name = sim.command_name(e.op)
      if e.name == "FAULT" then e.text = "the program was stopped\n" .. (chip:fault() or "") end
      if e.name == "SECOND_CORE" then
        e.text = ("the program has let the second core go (at 0x%08x), which is not simulated"):format(e.a)
      end
      if args.json then report:emit("command", e) else report:say(describe(e)) end
    end
    io.stdout:flush()
  end
end

cli.run(args, function(report)
  local sim = require "esp.sim"
  local options = sim.parse(args.chip:match "^sim:" and args.chip or "sim:" .. args.chip)
  options.flash, options.efuse = args.flash or options.flash, args.efuse or options.efuse
  options.rom = args.rom or options.rom
  options.flash_size, options.boot = args.flash_size or options.flash_size, args.boot or options.boot
  local kind = args.pty and "pty" or args.tcp and "socket" or "rfc2217"
  local chip <close> = sim.new(options)
  local url = chip:serve {
    pty = args.pty or nil, tcp = args.tcp, rfc2217 = kind == "rfc2217" and (args.rfc2217 or 0) or nil,
    host = args.host, reset_on_connect = args.reset_on_connect,
  }
  report:emit("serving", { url = url, chip = options.chip, kind = kind })
  report:say(("Simulated %s on %s"):format(options.chip, url))
  report:detail("for example: " .. HINT[kind]:format(url))
  report:say "Ctrl-C ends it."
  io.stdout:flush()
  local ok, err = pcall(serve, chip, report)
  if not ok and not (type(err) == "table" and err.code == "interrupted") then error(err, 0) end
end)
