#!/usr/bin/env esplua
-- Serves serial ports over the network.
local cli = require "esp.cli"
local fs = require "esp.core.fs"
local serve = require "esp.serve"

local args = cli.parse {
  summary = "Serve serial ports over the network (RFC 2217), so that a container, WSL or another machine can use them.",
  details = (arg[0] or ""):find "%.py$"
    and "DEPRECATED in esptool 5: this name, which ends in .py. Here it means the same." or nil,
  examples = { "serve /dev/ttyUSB0", "serve /dev/ttyUSB0:4000 /dev/ttyUSB1:4001",
               "serve /dev/ttyACM0 --listen 0.0.0.0 --allow 192.168.1.0/24" },
  { "ports", type = "string", many = true, metavar = "PORT[:TCP]",
    help = "device or any other port, and the TCP port to serve it at (2217 and what follows)" },
  { "--tcp", "-p", aliases = { "--localport" }, type = "int", min = 0, max = 65535, metavar = "NUMBER",
    help = "TCP port of the first one; 0 for any free ones" },
  { "--listen", type = "string", metavar = "ADDRESS", default = "127.0.0.1",
    help = "address to listen on; 0.0.0.0 or :: for all" },
  { "--allow", type = "string", metavar = "NETWORK", many = true,
    help = "only clients of this address or network may come (10.0.0.0/8); may be repeated" },
  { "--secret-file", type = "file", metavar = "FILE",
    help = "only clients that know the secret in this file may come (esplua's: ?secret-file=FILE in the port's name)" },
  { "--baud", "-b", type = "int", min = 1, max = 20000000, default = 115200, metavar = "RATE",
    help = "rate until the client says another" },
  { "--raw", help = "plain TCP, for socket:// clients: no rates, no reset" },
  { "--hold", help = "keep the ports open while there is no client" },
  { "--plain-lines", help = "pass every change of DTR and RTS on as it comes, recognise no reset sequence" },
  { "--long-reset", aliases = { "--r0" },
    help = "hold the boot pin 0.5 s longer (early ESP32, boards with a large capacitor)" },
}

local TEXT = {
  client = "client connected", client_left = "client left", port_lost = "port lost", port_back = "port is back",
  bootloader = "reset into the bootloader", reset = "reset", busy = "second client turned away",
  not_allowed = "client not allowed", refused = "cannot do what the client asks", port_failed = "port cannot be used",
  bad_secret = "client does not know the secret", baud = "rate", failed = "failed",
}
local QUIET = { baud = true, reset = true, bootloader = true }

local function describe(e)
  local text = e.text and e.port and e.text:sub(1, #e.port + 2) == e.port .. ": " and e.text:sub(#e.port + 3) or e.text
  local more = text or e.baud and ("%d"):format(e.baud)
    or e.received and ("%d bytes received, %d sent"):format(e.received, e.sent)
    or e.recipe and (e.delay and ("%s, %g s"):format(e.recipe, e.delay) or e.recipe)
  local who = e.client and (" (%s)"):format(e.client) or ""
  return ("%s  %s: %s%s%s"):format(os.date "%H:%M:%S", e.port, TEXT[e.code] or e.code, who, more and ": " .. more or "")
end

local function warn(report)
  if serve.is_local(args.listen) then
    if (arg[0] or ""):find "esp_rfc2217_server" then
      report:note "only this machine can reach it; --listen 0.0.0.0 lets others in"
    end
    return
  end
  if args.secret_file then
    report:warning "these ports can be reached from other machines, and nothing is encrypted"
    return
  end
  local whom = #args.allow > 0 and "everyone in the networks of --allow" or "everyone who reaches this machine"
  report:warning(("%s can use these ports: there is no password, and nothing is encrypted"):format(whom))
  if #args.allow == 0 then
    report:say "--allow NETWORK lets only some in; without --listen, an SSH tunnel does the same"
  end
end

cli.run(args, function(report)
  local list = {}
  for i, word in ipairs(args.ports) do list[i] = serve.parse_port(word) end
  list[1].number = list[1].number or args.tcp
  local server <close> = serve.open {
    ports = list, address = args.listen, allow = args.allow, baud = args.baud,
    secret_file = args.secret_file, raw = args.raw, hold = args.hold,
    plain_lines = args.plain_lines, long_reset = args.long_reset, config = require("esp.config").load(),
    on_event = function(e)
      if args.json then
        report:emit(e.code, e)
      elseif not QUIET[e.code] or args.verbose then
        report:say(describe(e))
      end
      io.stdout:flush()
    end,
  }
  warn(report)
  for _, served in ipairs(server.list) do
    report:emit("serving", { url = served:client_url(), port = served.url })
    report:say(("%s is served at %s"):format(served.url, served:client_url()))
    if served.url:find "^/" and not fs.exists(served.url) then
      report:note(("%s is not there now; it is opened when a client comes"):format(served.url))
    end
  end
  if not args.raw then
    report:detail(("for example: esplua info --port %s"):format(server.list[1]:client_url()))
    report:detail(("             esptool --port '%s?ign_set_control' chip-id"):format(server.list[1]:client_url()))
  end
  report:say "Ctrl-C ends it."
  io.stdout:flush()
  local ok, err = pcall(server.run, server)
  if not ok and not (type(err) == "table" and err.code == "interrupted") then error(err, 0) end
end)
