-- Runs the built interpreter as a user would.
local M = {}

-- The binary under test: $ESPLUA, else the one that runs the specs.
local function binary()
  if os.getenv "ESPLUA" then return os.getenv "ESPLUA" end
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

M.binary = binary

local function quote(word)
  return "'" .. word:gsub("'", [['\'']]) .. "'"
end

--- A folder that is removed with M.clean.
function M.folder()
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkdir " .. quote(name)))
  M.folders = M.folders or {}
  table.insert(M.folders, name)
  return name
end

function M.clean()
  for _, name in ipairs(M.folders or {}) do os.execute("rm -rf " .. quote(name)) end
  M.folders = nil
end

function M.write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

function M.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read "a"
  f:close()
  return text
end

-- What a developer's own settings are must not matter.
local UNSET = { "LUA_INIT", "LUA_INIT_5_4", "LUA_PATH", "LUA_CPATH", "XDG_STATE_HOME" }
for _, name in ipairs { "PORT", "BAUD", "CHIP", "BEFORE", "AFTER", "CFGFILE", "FF", "FM", "FS", "CONNECT_ATTEMPTS",
                        "OPEN_PORT_ATTEMPTS", "PATH" } do
  table.move({ "ESPLUA_" .. name, "ESPTOOL_" .. name }, 1, 2, #UNSET + 1, UNSET)
end

-- Starts a command, interrupts it, waits for it, and kills it if it does not end.
local INTERRUPT = [[%s & p=$!
(sleep 60; kill -9 $p) > /dev/null 2>&1 & watch=$!
for i in %s; do sleep %g; kill -INT $p; done
wait $p; status=$?
kill $watch; exit $status]]

local function with_interrupt(command, o)
  return INTERRUPT:format(command, o.again and "1 2" or "1", o.interrupt)
end

--- Run with arguments.
-- @param argv list of words
-- @param o table or nil: as = path of a link to the binary, made when missing, to call it by; input text, env table,
--   cwd folder; interrupt = seconds after which the program gets SIGINT, again = true: twice; out = file instead of
--   the result's `out`
-- @return { status, out, err, command }; status is 128 + n for signal n
function M.run(argv, o)
  o = o or {}
  local words = { "env" }
  for _, name in ipairs(UNSET) do table.move({ "-u", name }, 1, 2, #words + 1, words) end
  words[#words + 1] = "HOME=/nonexistent"
  for name, value in pairs(o.env or {}) do words[#words + 1] = quote(name .. "=" .. value) end
  local name = binary()
  if not name:find "^/" then name = require "esp.core.fs".cwd() .. "/" .. name end
  if o.as then
    os.execute(("ln -sf %s %s"):format(quote(name), quote(o.as)))
    name = o.as
  end
  words[#words + 1] = quote(name)
  for _, a in ipairs(argv) do words[#words + 1] = quote(a) end
  local out, err, input = o.out or os.tmpname(), os.tmpname(), o.input and os.tmpname()
  if input then M.write(input, o.input) end
  local command = ("%s < %s > %s 2> %s"):format(table.concat(words, " "), input or "/dev/null", out, err)
  if o.interrupt then command = with_interrupt(command, o) else command = "timeout -k 5 120 " .. command end
  if o.cwd then command = ("cd %s || exit 99\n%s"):format(quote(o.cwd), command) end
  local _, how, status = os.execute(command)
  local result = { status = how == "exit" and status or 128 + status, out = not o.out and M.read(out) or "",
                   err = M.read(err), command = command }
  if not o.out then os.remove(out) end
  os.remove(err)
  if input then os.remove(input) end
  return result
end

--- The events that a command wrote with --json, each judged by a strict reader.
function M.events(out)
  local decode = require "spec.support.strict_json"
  local list = {}
  for line in out:gmatch "([^\n]*)\n" do list[#list + 1] = decode(line) end
  assert(out == "" or out:sub(-1) == "\n", "last line is not complete")
  return list
end

return M
