--- The program esptool: its command line, what it prints and how it ends, on this library.
local args = require "esp.esptool.args"
local declare = require "esp.esptool.declare"
local fail = require "esp.error"
local parser = require "esp.cli.parser"
local M = {}

local PROGRAM = "esptool"
local TROUBLESHOOTING = "https://docs.espressif.com/projects/esptool/en/latest/troubleshooting.html"

local function handlers()
  local all = {}
  for _, name in ipairs { "esp.esptool.flash", "esp.esptool.chip", "esp.esptool.images" } do
    for command, handler in pairs(require(name)) do all[command] = handler end
  end
  return all
end

-- A value from the environment, as the option of that name takes it.
local function from_environment(command, name, text)
  local spec = args.compile(command).by_name["--" .. name:gsub("_", "-")]
  local value, expected = require "esp.cli.types".read(text, spec)
  if value ~= nil then return value end
  fail { code = "bad_argument", hint = ("correct it, unset it or give %s"):format(spec[1]),
         message = ("environment variable %s: %q is not %s"):format(spec.env, text, expected) }
end

-- Fills in what the environment says about flash.
local function flash_environment(command, values)
  for _, name in ipairs { "flash_mode", "flash_freq", "flash_size" } do
    if values[name] ~= nil and not values.given[name] or name == "flash_freq" and command.name == "elf2image"
       and not values.given[name] then
      local text = require "esp.config".variable(name)
      if text then values[name] = from_environment(command, name, text) end
    end
  end
end

local function check_verbosity(global)
  for _, other in ipairs { "verbose", "trace" } do
    if global[other] and global.silent then
      fail { code = "usage", message = ("--%s and --silent exclude each other"):format(other) }
    end
  end
end

-- Everything after the arguments have been read.
local function perform(self, values)
  local screen, command = self.screen, self.command
  local nand = values.flash_type == "nand" or command.nand
  local handler = nand and require "esp.esptool.nand".handler(command, values) or handlers()[command.name]
  if not command.chip then
    return handler(self, values)
  end
  local work = handler(self, values)
  self.flash_type = nand and "nand" or nil
  local chip = require "esp.esptool.session".connect(self)
  self.chip = chip
  local ok, err = pcall(work, chip)
  self.hook = nil
  screen:finish()
  local left, trouble = pcall(require "esp.esptool.session".finish, self, chip)
  if not ok then error(err, 0) end
  if not left then error(trouble, 0) end
end

-- The name that the user called it by: esptool, or the older esptool.py.
local function called(argv)
  return (argv[0] or ""):match "[/\\]?(esptool%.py)$" or PROGRAM
end

local function run(argv, state)
  local out = state.out
  local expanded = parser.expand(argv)
  for _, word in ipairs(expanded) do state.exit_classes = state.exit_classes or word == "--exit-classes" end
  local global, command, values = args.parse(expanded)
  state.command = command
  if global.help or values.help then
    out:write(require "esp.esptool.help".text(called(argv), command))
    return
  end
  check_verbosity(global)
  global.out, global.err = out, state.err
  local screen = require "esp.esptool.screen".new(global)
  state.screen = screen
  if state.ide then screen.on_warning = function(text) state.ide:tell("warning", text) end end
  for _, list in ipairs { global.deprecated or {}, values.deprecated or {} } do
    for _, text in ipairs(list) do screen:warning(text) end
  end
  screen:print(("%s v%s (esplua %s)"):format(PROGRAM, declare.VERSION, require "esp.version"))
  for _, word in ipairs(argv) do
    if word:find "^@." then
      screen:print(PROGRAM .. " " .. table.concat(expanded, " "))
      break
    end
  end
  local session = require "esp.esptool.session"
  local self = { screen = screen, global = global, command = command, settings = session.settings(screen) }
  state.self = self
  flash_environment(command, values)
  perform(self, values)
end

-- Whether it was the way to the chip that failed.
local function not_connected(err, state)
  local _, class = require "esp.exits".of(err.code)
  return class == "connect" or class == "transfer" and state.self and not state.self.chip
end

local function report(err, state)
  local screen = state.screen or require "esp.esptool.screen".new { out = state.out, err = state.err }
  if type(err) == "table" and err.code == "interrupted" then
    return screen:error "\nStopped by Ctrl-C."
  end
  local text = fail.is(err) and require "esp.esptool.words".of(err, state.command and state.command.name)
    or type(err) == "table" and err.message or tostring(err)
  if state.ide then
    local known = type(err) == "table" and err or {}
    state.ide:tell(type(err) == "table" and "error" or "exception", text,
                   { suggestion = known.hint, file = known.file, line = known.line })
  end
  if type(err) == "table" and err.code == "usage" then
    local command = err.command or state.command
    text = ("%s\nTry '%s --help'.\n\nError: %s"):format(require "esp.esptool.help".usage(PROGRAM, command),
      command and PROGRAM .. " " .. command.name or PROGRAM, text)
  else
    text = "\nA fatal error occurred: " .. text
  end
  screen:error(text)
  if type(err) == "table" and err.hint then state.err:write("  hint: ", err.hint, "\n") end
  if type(err) == "table" and not_connected(err, state) then
    state.err:write("For troubleshooting steps visit: ", TROUBLESHOOTING, "\n")
  end
end

-- The status esptool ends with: one for nearly everything.
local function status_of(err, state)
  if state.exit_classes or os.getenv "ESPTOOL_EXIT_CLASSES" == "1" then return require "esp.exits".status(err) end
  if not fail.is(err) and type(err) ~= "table" then return 1 end
  -- A port that does not open is a failure like others; one that is lost while working is not.
  local working = state.self and state.self.chip
  local lost = err.code == "port_gone" or working and (err.code or ""):find "^port_"
  return lost and 1 or 2
end

--- Run a command line.
-- @param argv list of words
-- @param streams { out =, err = } instead of standard output and error: anything with write and flush;
--   ide = web socket of an IDE, which ESP_IDE_WS names without this table
-- @return exit status
function M.main(argv, streams)
  local state = { out = streams and streams.out or io.stdout, err = streams and streams.err or io.stderr }
  local ide = streams and streams.ide or not streams and os.getenv "ESP_IDE_WS" or ""
  if ide ~= "" then state.ide = require "esp.esptool.ide".new(ide) end
  local asked = not streams and os.getenv "_ESPTOOL_COMPLETE"
  if asked then return require "esp.esptool.complete".answer(asked, PROGRAM, state.out) end
  local ok, err = xpcall(run, function(e)
    if type(e) == "string" then return debug.traceback(e, 2) end      -- a fault of ours: say where
    return e
  end, argv, state)
  if ok and state.screen and state.screen:failed() then
    ok, err = false, { code = "file_failed", message = "standard output: write failed" }
  end
  if not ok then report(err, state) end
  if state.ide then state.ide:close() end
  return ok and 0 or status_of(err, state)
end

return M
