--- The interpreter's own side: finding scripts, its help, what it says when a script fails.
-- src/main.c calls this; nothing else needs it.
local M = {}

local HELP = [==[
Usage: esplua [options] [script [arguments]]

Runs a Lua script: a file, or a stock command by its name. Without a script: a prompt.

Options:
  -e CODE     run CODE
  -l NAME     require NAME into a global of that name; -l G=NAME into global G
  -i          prompt after the script
  -v          show version information
  -E          ignore LUA_INIT, LUA_PATH, LUA_CPATH and ESPLUA_PATH
  -W          turn warnings on
  -           the script comes from standard input
  --          end of the options
  --debug     show a traceback when a script fails
  --help      this text
  --version   the version
  --licenses  licences of esplua and of the libraries inside

]==]

local TAIL = [==[

`esplua COMMAND --help` tells more about a command.
A script is looked for as a path, then in the current folder, in ESPLUA_PATH, then among the stock commands.
]==]

local function pack()
  return require "esp.core.pack"
end

-- Folders of ESPLUA_PATH; entries with "?" are templates for require only.
local function split(text)
  local folders, templates = {}, {}
  for entry in (text or ""):gmatch(package.config:sub(1, 1) == "\\" and "[^;]+" or "[^;:]+") do
    if entry:find("?", 1, true) then
      templates[#templates + 1] = entry
    else
      local folder = #entry > 1 and entry:gsub("[/\\]$", "") or entry
      folders[#folders + 1] = folder
      for _, form in ipairs { "/?.lua", "/?/init.lua", "/lua/?.lua", "/lua/?/init.lua" } do
        templates[#templates + 1] = folder .. form
      end
    end
  end
  return folders, templates
end

local state = { folders = {}, templates = {} }

local function search_first(name)
  local path = table.concat(state.templates, ";")
  if path == "" then return nil end
  local file, tried = package.searchpath(name, path)
  if not file then return tried end
  local chunk, why = loadfile(file)
  if not chunk then error(why, 0) end
  return chunk, file
end

--- Set the order in which require looks: ESPLUA_PATH, the script's own folder, the embedded library, then
-- where Lua always looks.
-- @param no_env true: ESPLUA_PATH does not count
function M.setup(no_env)
  state.folders, state.templates = split(not no_env and os.getenv "ESPLUA_PATH" or nil)
  local searchers = package.searchers
  local embedded = table.remove(searchers)
  table.insert(searchers, 2, search_first)
  table.insert(searchers, 3, embedded)
end

local function exists(path)
  local f = io.open(path, "rb")
  if not f then return false end
  local _, trouble = f:read(0)
  f:close()
  return trouble == nil
end

local function is_folder(path)
  local f = io.open(path, "rb")
  if not f then return false end
  local ok, trouble = f:read(0)
  f:close()
  return not ok and trouble ~= nil and trouble:find "directory" ~= nil
end

local function lookup(name)
  if exists(name) then return name end
  if not name:find "^[/\\]" then
    if exists(name .. ".lua") then return name .. ".lua" end
    for _, folder in ipairs(state.folders) do
      for _, form in ipairs { "%s/%s", "%s/%s.lua", "%s/scripts/%s", "%s/scripts/%s.lua" } do
        local path = form:format(folder, name)
        if exists(path) then return path end
      end
    end
  end
  for _, form in ipairs { "scripts/%s", "scripts/%s.lua" } do
    local path = form:format(name)
    if pack().read(path) then return nil, path end
  end
  return nil
end

--- Names of the stock commands.
function M.commands()
  local names = {}
  for _, path in ipairs(pack().names()) do
    names[#names + 1] = path:match "^scripts/([^/]+)%.lua$"
  end
  table.sort(names)
  return names
end

local function load_embedded(path)
  local text = pack().read(path)
  local chunk, why = load(text:gsub("^#[^\n]*", ""), "@" .. path, "t")
  if not chunk then error(why, 0) end
  return chunk
end

--- Load a stock script by its name, whatever files there are: for a binary that is called by a tool's name.
-- @param name string
-- @return function
-- @raise script_missing
function M.load_stock(name)
  local path = "scripts/" .. name .. ".lua"
  if pack().read(path) then return load_embedded(path) end
  require "esp.error" { code = "script_missing", message = ("%s: there is no stock script of this name"):format(name) }
end

--- Load the script that a name means.
-- @param name string, as given on the command line
-- @return function
-- @raise script_missing; a plain error when it cannot be compiled
function M.load(name)
  local path, embedded = lookup(name)
  if path then
    local chunk, why = loadfile(path)
    if not chunk then error(why, 0) end
    table.insert(state.templates, (path:match "^(.*)[/\\]" or ".") .. "/?.lua")
    table.insert(state.templates, (path:match "^(.*)[/\\]" or ".") .. "/?/init.lua")
    return chunk
  end
  if embedded then return load_embedded(embedded) end
  local near = require "esp.cli.types".nearest(name, M.commands())
  require "esp.error" { code = "script_missing",
    message = is_folder(name) and ("%s: is a directory, not a script"):format(name)
              or ("no script or command '%s'%s"):format(name, near and (", did you mean %s?"):format(near) or ""),
    hint = "`esplua --help` lists the commands" }
end

--- What a stock command declares.
-- @param name string
-- @return declaration of esp.cli.parser, or nil
function M.declaration(name)
  local path = "scripts/" .. name .. ".lua"
  local text = pack().read(path)
  return text and require "esp.cli".declaration((text:gsub("^#[^\n]*", "")), path) or nil
end

--- The help of the interpreter, with the summaries of the stock commands.
function M.help()
  local rows = {}
  for _, name in ipairs(M.commands()) do
    local decl = M.declaration(name)
    rows[#rows + 1] = { name, decl and decl.summary or "" }
  end
  return HELP .. "Commands:\n" .. require "esp.cli.help".columns(rows, 80) .. "\n" .. TAIL
end

--- The one line about what this is.
function M.version()
  return ("esplua %s (%s)"):format(require "esp.version", _VERSION)
end

--- Licences of what is inside.
function M.licenses()
  local parts = {}
  for _, name in ipairs { "notices", "lgpl-3.0", "gpl-3.0", "apache-2.0" } do
    parts[#parts + 1] = pack().read("doc/licenses/" .. name .. ".txt")
  end
  return table.concat(parts, "\n" .. ("-"):rep(78) .. "\n")
end

local function red(text)
  local ok, term = pcall(require, "esp.core.term")
  return ok and term.colors and term.colors(2) and "\27[31m" .. text .. "\27[0m" or text
end

-- What there is to say about a caught value.
local function text_of(err)
  if type(err) == "string" or type(err) == "number" then return tostring(err) end
  local mt = getmetatable(err)
  if mt and mt.__tostring then
    local ok, text = pcall(tostring, err)
    if ok then return text end
  elseif type(err) == "table" and type(err.message) == "string" then
    return err.message
  end
  return ("error object is a %s value"):format(type(err))
end

--- Tell the user what went wrong.
-- @param err caught value
-- @param traceback string or nil: print it too
-- @return exit status
function M.failure(err, traceback)
  io.stdout:flush()
  local report = package.loaded["esp.report"]
  if report and report.json_wanted then
    report.new({ json = true }):failure(err)
  else
    local code = type(err) == "table" and err.code
    local ok, term = pcall(require, "esp.core.term")
    local echo = code == "interrupted" and ok and term.isatty(2) and "\n" or ""      -- behind the "^C"
    io.stderr:write(echo, red("esplua: " .. text_of(err)), "\n")
    if type(err) == "table" and type(err.hint) == "string" then io.stderr:write("  hint: ", err.hint, "\n") end
  end
  if traceback then io.stderr:write(traceback, "\n") end
  return require "esp.exits".status(err)
end

return M
