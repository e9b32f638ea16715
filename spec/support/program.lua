-- Runs the built interpreter as a user would.
local M = {}

-- The binary under test: $ESPLUA, else the one that runs the specs.
local function binary()
  if os.getenv "ESPLUA" then return os.getenv "ESPLUA" end
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

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

--- Run with arguments.
-- @param argv list of words
-- @param o table or nil: input text, env table (false unsets), cwd folder; interrupt = seconds after which the
--   program gets SIGINT, again = true: twice
-- @return { status, out, err }
function M.run(argv, o)
  o = o or {}
  local out, err, input = os.tmpname(), os.tmpname(), nil
  local words = { "env" }
  -- What a developer's own settings are must not matter.
  for _, name in ipairs { "PORT", "BAUD", "CHIP", "BEFORE", "AFTER", "CFGFILE", "FF", "FM", "FS", "CONNECT_ATTEMPTS",
                          "OPEN_PORT_ATTEMPTS", "PATH" } do
    table.move({ "-u", "ESPLUA_" .. name, "-u", "ESPTOOL_" .. name }, 1, 4, #words + 1, words)
  end
  table.move({ "-u", "LUA_INIT", "-u", "LUA_INIT_5_4", "-u", "LUA_PATH", "-u", "LUA_CPATH" }, 1, 8, #words + 1, words)
  for name, value in pairs(o.env or {}) do
    if value == false then table.move({ "-u", name }, 1, 2, #words + 1, words) end
  end
  words[#words + 1] = "HOME=/nonexistent"
  for name, value in pairs(o.env or {}) do
    if value then words[#words + 1] = quote(name .. "=" .. value) end
  end
  local program = binary()
  if not program:find "^/" then program = require "esp.core.fs".cwd() .. "/" .. program end
  if o.interrupt then
    -- A shell lets programs in the background ignore SIGINT; timeout sets it back and sends it.
    local limit = o.again and "timeout --signal=INT --kill-after=1" or "timeout --signal=INT"
    words[#words + 1] = ("%s --preserve-status %g %s"):format(limit, o.interrupt, quote(program))
  else
    words[#words + 1] = "timeout 120 " .. quote(program)
  end
  for _, a in ipairs(argv) do words[#words + 1] = quote(a) end
  local command = table.concat(words, " ")
  if o.cwd then command = ("cd %s && %s"):format(quote(o.cwd), command) end
  if o.input then
    input = os.tmpname()
    M.write(input, o.input)
  end
  command = ("{ %s; } < %s > %s 2> %s"):format(command, input or "/dev/null", out, err)
  local _, how, status = os.execute(command)
  local result = { status = how == "exit" and status or how .. status, out = M.read(out), err = M.read(err),
                   command = command }
  os.remove(out)
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
