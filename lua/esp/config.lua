--- Settings from outside a command line: the configuration file and the environment.
-- Source: esptool documentation, "Configuration File" and "Environment Variables". The same files and keys
-- count here; esplua.cfg and a section [esplua] come first, the environment's ESPLUA_ names before ESPTOOL_.
local fail = require "esp.error"
local M = {}

--- The highest baud rate that esp.core.port takes.
M.BAUD_MAX = 20000000

local MAX_FILE = 1 << 20                  -- bytes; a configuration file is a few lines

-- key = { kind, default, lowest, highest }; seconds are numbers, counts are integers
local KEYS = {
  timeout = { "seconds", 3, 0.01, 86400 },
  chip_erase_timeout = { "seconds", 120, 0.01, 86400 },
  max_timeout = { "seconds", nil, 0.01, 86400 },          -- default: twice chip_erase_timeout
  sync_timeout = { "seconds", 0.1, 0.001, 3600 },
  md5_timeout_per_mb = { "seconds", 8, 0, 86400 },
  erase_region_timeout_per_mb = { "seconds", 40, 0, 86400 },
  erase_write_timeout_per_mb = { "seconds", 40, 0, 86400 },
  mem_end_rom_timeout = { "seconds", 0.2, 0.001, 3600 },
  serial_write_timeout = { "seconds", 10, 0.01, 86400 },
  connect_attempts = { "count", 7, math.mininteger, math.maxinteger },   -- 0 and below: without end
  write_block_attempts = { "count", 3, 1, 1000000 },
  reset_delay = { "seconds", 0.05, 0, 60 },
  open_port_attempts = { "count", 1, 0, math.maxinteger },               -- 0: without end
  custom_reset_sequence = { "text" },
  custom_hard_reset_sequence = { "text" },
  -- Ours alone: what the options of the same names give.
  port = { "text", own = true },
  port_filter = { "text", own = true },
  chip = { "text", own = true },
  baud = { "count", nil, 1, M.BAUD_MAX, own = true },
  rom_baud = { "count", nil, 1, M.BAUD_MAX, own = true },
  monitor_baud = { "count", nil, 1, M.BAUD_MAX, own = true },
}

local FILES = { "esplua.cfg", "esptool.cfg", "setup.cfg", "tox.ini" }
local OWN = { ["esplua.cfg"] = true, ["esptool.cfg"] = true }             -- nobody else's
local SECTIONS = { "esplua", "esptool" }                                  -- the first wins, key by key

--- A number as a configuration file or a variable may write it, or nil.
local function number(text)
  local s = text:match "^%s*([+-]?[%d.]+[eE]?[+-]?%d*)%s*$"
  local n = s and tonumber(s)
  if n and n == n and n ~= math.huge and n ~= -math.huge then return n end
  return nil
end

local function integer(text)
  local s = text:match "^%s*([+-]?%d+)%s*$"
  return s and math.tointeger(tonumber(s)) or nil        -- too many digits make a float: refused
end

local function trim(s)
  return s:match "^%s*(.-)%s*$"
end

--- Value of a key, checked.
-- @return value | nil, what is wrong with it
local function read_value(key, text)
  local kind, _, lowest, highest = table.unpack(KEYS[key], 1, 4)
  if kind == "text" then
    if trim(text) == "" then return nil, "is empty" end
    return trim(text)
  end
  local n
  if kind == "count" then n = integer(text) else n = number(text) end
  if not n then return nil, kind == "count" and "is not a whole number" or "is not a number" end
  if n < lowest or n > highest then return nil, "is out of range" end
  return n
end

--- Split a file of sections, keys and values into our sections.
-- The form is that of Python's configparser: "key = value" or "key: value", "#" and ";" begin a comment line,
-- an indented line goes on with the value before it. Sections of other programs are not judged.
-- @param text string, the whole file
-- @return { esplua = { key = value }, esptool = {...} } with the sections that are there
-- @return nil, message when a line of our own sections cannot be read
function M.parse(text)
  if text:find "\0" or not utf8.len(text) then return nil, "is not text" end
  text = text:gsub("^\u{FEFF}", "")
  local sections, current, key, key_indent = {}, nil, nil, 0
  local section                                          -- the name of the current one
  local number_of_line, section_seen = 0, false
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    number_of_line = number_of_line + 1
    line = line:gsub("\r$", "")
    local indent, body = line:match "^([ \t]*)(.-)[ \t]*$"
    -- An empty line and a comment do not end the value before them.
    local nothing = body == "" or body:find "^[#;]"
    if not nothing and key and #indent > key_indent then
      current[key] = current[key] .. "\n" .. body
    elseif not nothing and not section_seen and not body:find "^%[[^%]]+%]" then
      return nil, ("line %d: expected a section such as [esptool] first"):format(number_of_line)
    elseif not nothing and body:find "^%[[^%]]+%]" then
      section_seen = true
      local name = body:match "^%[([^%]]+)%]"
      current, key = nil, nil
      for _, ours in ipairs(SECTIONS) do
        if name == ours then
          if sections[name] then return nil, ("line %d: section [%s] comes twice"):format(number_of_line, name) end
          sections[name] = {}
          current, section = sections[name], name
        end
      end
    elseif not nothing and current then
      local name, value = body:match "^([^=:]-)%s*[=:]%s*(.*)$"
      if not name or name == "" then
        return nil, ("line %d: expected KEY = VALUE"):format(number_of_line)
      end
      name = name:lower()
      if current[name] then
        return nil, ("line %d: option '%s' in section '%s' already exists"):format(number_of_line, name, section)
      end
      current[name], key, key_indent = value, name, #indent
    end
  end
  return sections
end

-- Whole text of a regular file | nil when there is none | nil, why it cannot be used
local function read_file(path, fs)
  if fs then
    local stat = fs.stat(path)
    if not stat then return nil end
    if stat.type ~= "file" then return nil, "is not a file" end
    if stat.size and stat.size > MAX_FILE then return nil, "is too large for a configuration file" end
  end
  local f, why = io.open(path, "rb")
  if not f then return nil, fs and (why or "cannot be opened"):gsub("^.*: ", "") or nil end
  local text, trouble = f:read(MAX_FILE + 1)
  f:close()
  if not text then
    if trouble then return nil, trouble end
    text = ""
  end
  if #text > MAX_FILE then return nil, "is too large for a configuration file" end
  return text
end

local function defaults()
  local values = {}
  for key, spec in pairs(KEYS) do values[key] = spec[2] end
  values.given, values.notes = {}, {}
  return values
end

-- Fills values from the sections of a file; what it does not take goes to values.notes.
local function apply(values, sections, path)
  local unknown = {}
  for i = #SECTIONS, 1, -1 do
    for key, text in pairs(sections[SECTIONS[i]] or {}) do
      if not KEYS[key] or KEYS[key].own and SECTIONS[i] ~= SECTIONS[1] then
        unknown[#unknown + 1] = key
      else
        local value, wrong = read_value(key, text)
        if value == nil then
          values.notes[#values.notes + 1] = { type = "note", code = "bad_config_value", text =
            ("%s: %s = %s %s, keeping %s"):format(path, key, text:sub(1, 40), wrong, tostring(values[key] or "none")) }
        else
          values[key], values.given[key] = value, true
        end
      end
    end
  end
  table.sort(unknown)
  if #unknown > 0 then
    values.notes[#values.notes + 1] = { type = "note", code = "unknown_config_key", path = path, keys = unknown,
      text = ("%s: ignoring unknown key%s %s"):format(path, #unknown > 1 and "s" or "", table.concat(unknown, ", ")) }
  end
  table.sort(values.notes, function(a, b) return a.text < b.text end)
end

local function finish(values)
  if not values.max_timeout then values.max_timeout = values.chip_erase_timeout * 2 end
  return values
end

--- Settings of a text that has the form of a configuration file.
-- @param text string
-- @param name string, used in notes
-- @return settings as `load` gives them
-- @raise bad_config
function M.from_text(text, name)
  local sections, wrong = M.parse(text)
  if not sections then fail { code = "bad_config", message = ("%s: %s"):format(name or "configuration", wrong) } end
  local values = defaults()
  apply(values, sections, name or "configuration")
  return finish(values)
end

--- The settings of the first valid configuration file, or the defaults.
-- A file is valid when it has a section [esplua] or [esptool]. Looked for: the path in ESPLUA_CFGFILE or
-- ESPTOOL_CFGFILE, the current folder, ~/.config/esplua, ~/.config/esptool, the home folder.
-- @param opts table, all optional: getenv function(name); home string; folders list instead of the usual ones
-- @return table key = value (numbers, or strings for the sequences), with file = its path or nil, variable = the one
--   that named it or nil, given = set of the keys that the file sets, notes = list of events to show
function M.load(opts)
  opts = opts or {}
  local getenv = opts.getenv or os.getenv
  local ok, fs = pcall(require, "esp.core.fs")
  fs = ok and fs or nil
  local values = defaults()
  local function note(path, why)
    values.notes[#values.notes + 1] = { type = "note", code = "bad_config", path = path, why = why,
                                        text = ("ignoring configuration file %s: %s"):format(path, why) }
  end
  local function try(path, wanted, own)
    local text, why = read_file(path, fs)
    if not text then
      if wanted or why then note(path, why or "there is none") end
      return nil
    end
    local sections, wrong = M.parse(text)
    if not sections then
      -- A file that only other programs use may be in any form.
      if wanted or own or (text:find("[esplua]", 1, true) or text:find("[esptool]", 1, true)) then note(path, wrong) end
      return nil
    end
    if not next(sections) then
      if wanted then note(path, "it has no section [esplua] or [esptool]") end
      return nil
    end
    values.file = path
    apply(values, sections, path)
    return true
  end

  for _, variable in ipairs { "ESPLUA_CFGFILE", "ESPTOOL_CFGFILE" } do
    local path = getenv(variable)
    if path and path ~= "" and try(path, true) then
      values.variable = variable
      return finish(values)
    end
  end
  local home = opts.home or getenv "HOME" or getenv "USERPROFILE"
  local folders = opts.folders
  if not folders then
    folders = { "." }
    if home then
      table.move({ home .. "/.config/esplua", home .. "/.config/esptool", home }, 1, 3, 2, folders)
    end
    local appdata = getenv "LOCALAPPDATA"
    if appdata and package.config:sub(1, 1) == "\\" then
      table.insert(folders, 2, appdata .. "/esplua")
      table.insert(folders, 3, appdata .. "/esptool")
    end
  end
  for _, folder in ipairs(folders) do
    for _, name in ipairs(FILES) do
      if try(folder == "." and name or folder .. "/" .. name, false, OWN[name]) then return finish(values) end
    end
  end
  return finish(values)
end

M.BEFORE = { "default-reset", "usb-reset", "no-reset", "no-reset-no-sync" }
M.AFTER = { "hard-reset", "soft-reset", "no-reset", "no-reset-stub", "watchdog-reset" }

--- One word of a list, with "_" for "-" and any case accepted.
-- @return the word as the list spells it, or nil
function M.choice(list, text)
  local wanted = tostring(text):lower():gsub("_", "-")
  for _, word in ipairs(list) do
    if word == wanted then return word end
  end
  return nil
end

local function one_of(list)
  return function(text)
    local word = M.choice(list, text)
    if word then return word end
    return nil, "one of " .. table.concat(list, ", ")
  end
end

local function count_from(lowest, what)
  return function(text)
    local n = integer(text)
    if n and n >= lowest then return n end
    return nil, what
  end
end

local function chip_name(text)
  if text:lower() == "auto" then return "auto" end
  local ok, data = pcall(require("esp.chips").get, text)
  if ok then return data.id end
  return nil, data.hint and (data.hint:gsub("^known: ", "auto, ")) or "a chip"
end

local function as_it_is(text) return text end

local function matching(patterns, what)
  return function(text)
    local s = trim(text)
    for _, pattern in ipairs(patterns) do
      if s:lower():find(pattern) then return s end
    end
    return nil, what
  end
end

local function baud_rate(example)
  return function(text)
    local n = math.tointeger(tonumber(text))
    if n and n > 0 and n <= M.BAUD_MAX then return n end
    return nil, ("a baud rate such as %d"):format(example)
  end
end

-- { setting, name after ESPLUA_ and ESPTOOL_, reader, the option that goes before it }
local VARIABLES = {
  { "port", "PORT", as_it_is, "--port" },
  { "baud", "BAUD", baud_rate(460800), "--baud" },
  { "rom_baud", "ROM_BAUD", baud_rate(115200), "--rom-baud" },
  { "monitor_baud", "MONITOR_BAUD", baud_rate(115200), "--monitor-baud" },
  { "chip", "CHIP", chip_name, "--chip" },
  { "before", "BEFORE", one_of(M.BEFORE), "--before" },
  { "after", "AFTER", one_of(M.AFTER), "--after" },
  { "connect_attempts", "CONNECT_ATTEMPTS", count_from(math.mininteger, "a whole number, 0 for no end"),
    "--connect-attempts" },
  { "open_port_attempts", "OPEN_PORT_ATTEMPTS", count_from(0, "a whole number, 0 for no end") },
  { "config_file", "CFGFILE", as_it_is },
  { "flash_freq", "FF", matching({ "^keep$", "^%d+m$" }, "keep or a frequency such as 40m"), "--flash-freq" },
  { "flash_mode", "FM", one_of { "keep", "qio", "qout", "dio", "dout" }, "--flash-mode" },
  { "flash_size", "FS", matching({ "^[%w%-]+$" }, "keep, detect or a size such as 4MB"), "--flash-size" },
  { "fpga", "ENV_FPGA", function(text) return trim(text) == "1" end },
}

-- What the environment says of one setting, or nil.
local function from_environment(spec, getenv)
  local _, suffix, read, option = table.unpack(spec)
  for _, prefix in ipairs { "ESPLUA_", "ESPTOOL_" } do
    local text = getenv(prefix .. suffix)
    if text and text ~= "" then
      local value, expected = read(text)
      if value ~= nil then return value end
      fail { code = "bad_argument", variable = prefix .. suffix,
             message = ("environment variable %s: %q is not %s"):format(prefix .. suffix, text:sub(1, 60), expected),
             hint = option and ("correct it, unset it or give %s"):format(option) or "correct it or unset it" }
    end
  end
  return nil
end

--- The setting that an environment variable gives. One that does not count is not looked at.
-- @param key one of those that M.environment lists
-- @param getenv function(name) -> string or nil; os.getenv when absent
-- @return value or nil
-- @raise bad_argument naming the variable
function M.variable(key, getenv)
  for _, spec in ipairs(VARIABLES) do
    if spec[1] == key then return from_environment(spec, getenv or os.getenv) end
  end
  return nil
end

--- The settings that environment variables give, all of them.
-- @param getenv function(name) -> string or nil; os.getenv when absent
-- @return table with port, baud, chip, before, after, connect_attempts, open_port_attempts, config_file,
--   flash_freq, flash_mode, flash_size, fpga: only those that are set
-- @raise bad_argument naming the variable
function M.environment(getenv)
  local settings = {}
  for _, spec in ipairs(VARIABLES) do settings[spec[1]] = from_environment(spec, getenv or os.getenv) end
  return settings
end

return M
