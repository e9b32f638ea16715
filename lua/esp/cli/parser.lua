--- Declarations to arguments: the rules of the command line, without printing or exiting.
--
-- A declaration is a list of arguments with fields about the command:
--   summary   one line            examples  list of command lines, without the program's name
--   details   text, may be nil    commands  list of declarations with `name`: sub-commands
-- An argument is a table; what it is called comes first:
--   { "size", type = "size", optional = true, help = "..." }         positional, in order
--   { "files", type = { "address", "file" }, many = true }           groups of words: { {0x0, "a.bin"}, ... }
--   { "--erase-all", "-e", help = "..." }                            a switch
--   { "--flash-mode", "-fm", type = "choice", choices = {...} }      an option with a value
-- Further fields: default, metavar, many (may be given repeatedly, value is a list), follow (pattern: following
-- words that match belong to the option as well), min, max, multiple, all (type size: ALL is accepted), hidden,
-- excludes (name of another option that cannot be together with it), env (text: variables, for the help).
-- A list of arguments may stand where an argument may: a group, such as cli.connection.
-- Types: string int number address size choice chip file output.
-- Values go to a field named after the first long name, with "_" for "-".
local fail = require "esp.error"
local types = require "esp.cli.types"
local M = {}

--- Field of the result for an argument.
function M.field(spec)
  if spec.field then return spec.field end
  return (spec[1]:gsub("^%-+", ""):gsub("%-", "_"))
end

--- How an argument is called in messages and in the help.
function M.metavar(spec)
  if spec.metavar then return spec.metavar end
  if spec[1]:find "^%-" then
    return type(spec.type) == "string" and spec.type ~= "string" and spec.type:upper()
           or spec[1]:gsub("^%-+", ""):gsub("^.*%-", ""):upper()
  end
  return spec[1]:upper()
end

local function check(spec)
  for _, t in ipairs(type(spec.type) == "table" and spec.type or { spec.type }) do
    if not types.known(t) then error(("%s: unknown type %q"):format(spec[1], tostring(t)), 0) end
  end
  if not spec[1]:find "^%-" and not spec.type then error(spec[1] .. ": a positional argument needs a type", 0) end
end

--- Flatten a declaration.
-- @return { options = {in order}, by_name = {name = spec}, positionals = {in order} }
function M.compile(decl, into)
  into = into or { options = {}, by_name = {}, positionals = {} }
  for _, entry in ipairs(decl) do
    if type(entry[1]) == "table" then
      M.compile(entry, into)
    else
      check(entry)
      if entry[1]:find "^%-" then
        into.options[#into.options + 1] = entry
        for _, name in ipairs(entry) do
          if into.by_name[name] then error(("option %s is declared twice"):format(name), 0) end
          into.by_name[name] = entry
        end
        for _, name in ipairs(entry.aliases or {}) do into.by_name[name] = entry end
      else
        into.positionals[#into.positionals + 1] = entry
      end
    end
  end
  return into
end

local function usage(message, hint)
  fail { code = "usage", message = message, hint = hint }
end

--- Split a text as a shell would: blanks separate, quotes and backslashes keep.
-- @return list of words
function M.split(text)
  local words, word, at = {}, nil, 1                       -- word: list of its pieces; nil between words
  local function add(piece)
    word = word or {}
    word[#word + 1] = piece
  end
  local function finish()
    words[#words + 1], word = word and table.concat(word), nil
  end
  while at <= #text do
    local c = text:sub(at, at)
    if c:find "%s" then
      finish()
    elseif c == "'" or c == '"' then
      local close = at + 1
      add ""
      while true do
        local ch = text:sub(close, close)
        if ch == "" then return nil, "a quotation mark is not closed" end
        if ch == c then break end
        if ch == "\\" and c == '"' and text:find('^["\\$`]', close + 1) then
          close = close + 1
          ch = text:sub(close, close)
        end
        add(ch)
        close = close + 1
      end
      at = close
    elseif c == "\\" and at < #text then
      at = at + 1
      local ch = text:sub(at, at)
      if ch ~= "\n" then add(ch) end
    else
      add(c)
    end
    at = at + 1
  end
  finish()
  return words
end

local LONGEST_FILE = 1 << 20

--- Put the words of @FILE in the place of such arguments.
-- @return new list
function M.expand(argv)
  local out = {}
  for _, a in ipairs(argv) do
    local path = a:match "^@(.+)$"
    if path then
      local ok, message, code = types.read(path, { "@", type = "file" })
      if not ok then fail { code = code, message = message } end
      local f <close> = assert(io.open(path, "rb"))
      local text = f:read(LONGEST_FILE + 1) or ""
      if #text > LONGEST_FILE then usage(path .. ": too large for a list of arguments") end
      local words, wrong = M.split(text)
      if not words then usage(("%s: %s"):format(path, wrong)) end
      table.move(words, 1, #words, #out + 1, out)
    else
      out[#out + 1] = a
    end
  end
  return out
end

local function read_value(text, spec, label, kind)
  local value, expected, code = types.read(text, kind and setmetatable({ type = kind }, { __index = spec }) or spec)
  if value ~= nil then return value end
  if code then
    fail { code = code, message = expected, hint = code == "file_missing" and "check the name and the folder" or nil }
  end
  usage(("%s: '%s' is not valid, expected %s"):format(label, text, expected))
end

-- A set of options in which names are looked up: that of the command, then that of its parent.
local function lookup(sets, name)
  for _, set in ipairs(sets) do
    local spec = set.by_name[name]
    if spec then return spec end
  end
  return nil
end

local function all_names(sets)
  local names = {}
  for _, set in ipairs(sets) do
    for _, spec in ipairs(set.options) do
      for _, name in ipairs(spec.hidden and {} or spec) do
        if name:find "^%-%-" then names[#names + 1] = name end
      end
    end
  end
  table.sort(names)
  return names
end

--- Find the option that a word means.
-- @return spec, its name, value that is attached or nil; nothing when the word is no option
local function find_option(word, sets)
  local name, value = word:match "^(%-[^=]+)=(.*)$"
  name = name or word
  local spec = lookup(sets, name)
  if not spec and name:find "^%-%-" then
    local dashed = name:gsub("_", "-")
    spec = lookup(sets, dashed)
    name = spec and dashed or name
  end
  if spec then return spec, name, value end
  if word:find "^%-%a" then                                -- -p/dev/ttyUSB0, -ev
    local first = lookup(sets, word:sub(1, 2))
    if first and first.type then return first, word:sub(1, 2), word:sub(3) end
    if first then
      for c in word:sub(3):gmatch "." do
        local other = lookup(sets, "-" .. c)
        if not other or other.type then return nil end
      end
      return first, word:sub(1, 2), nil, "-" .. word:sub(3)
    end
  end
  return nil
end

local function unknown_option(word, sets)
  local name = word:match "^[^=]+"
  local names = all_names(sets)
  local near = types.nearest(name:gsub("_", "-"), names)
  if not near then                                         -- an abbreviation
    for _, other in ipairs(names) do
      if #name > 3 and other:sub(1, #name) == name then near = other break end
    end
  end
  usage(("unknown option %s%s"):format(name, near and (", did you mean %s?"):format(near) or ""))
end

local function is_option(word, sets)
  return word:find "^%-." and find_option(word, sets) ~= nil
end

--- Put the value of an option among the arguments.
function M.store(args, spec, value)
  local field = M.field(spec)
  if spec.many then
    if not args.given[field] then args[field] = {} end
    table.insert(args[field], value)
  else
    args[field] = value
  end
  args.given[field] = true
end

-- Reads the value of an option; returns the index of the last word used.
local function take_option(args, spec, name, attached, argv, at, sets)
  if not spec.type then
    if attached then usage(("option %s takes no value"):format(name)) end
    M.store(args, spec, true)
    return at
  end
  local function next_word()
    local word = argv[at + 1]
    if word == nil or word:find "^%-%-." or (is_option(word, sets) and not types.integer(word)) then return nil end
    at = at + 1
    return word
  end
  local function need(what)
    local word = attached
    if word then attached = nil else word = next_word() end
    if word == nil then usage(("option %s needs a value: %s"):format(name, what)) end
    return word
  end
  if type(spec.type) == "table" then
    local first = true
    while first or (argv[at + 1] and not is_option(argv[at + 1], sets)) do
      local group = {}
      for i, kind in ipairs(spec.type) do
        group[i] = read_value(need(M.metavar(spec)), spec, "option " .. name, kind)
      end
      M.store(args, spec, group)
      first = false
    end
  else
    M.store(args, spec, read_value(need(M.metavar(spec)), spec, "option " .. name))
    while spec.follow and argv[at + 1] and argv[at + 1]:find(spec.follow) do
      at = at + 1
      M.store(args, spec, read_value(argv[at], spec, "option " .. name))
    end
  end
  return at
end

-- Gives the words that are no options to the positional arguments.
local function assign(args, specs, words)
  local at = 1
  for _, spec in ipairs(specs) do
    local name = M.metavar(spec)
    local label = "argument " .. name
    local group = type(spec.type) == "table" and spec.type
    if not words[at] then
      if not spec.optional then usage(("argument %s is missing"):format(name)) end
    elseif spec.many then
      local names = group and {}
      if group then for part in name:gmatch "%S+" do names[#names + 1] = part end end
      while words[at] do
        local value
        if group then
          value = {}
          for i, kind in ipairs(group) do
            local what = names[i] or kind:upper()
            if not words[at] then usage(("%s without %s after it"):format(words[at - 1], what)) end
            value[i] = read_value(words[at], spec, "argument " .. what, kind)
            at = at + 1
          end
        else
          value = read_value(words[at], spec, label)
          at = at + 1
        end
        M.store(args, spec, value)
      end
    else
      M.store(args, spec, read_value(words[at], spec, label))
      at = at + 1
    end
  end
  if words[at] then usage(("'%s' is one argument too many"):format(words[at])) end
end

--- The value of what was not given.
function M.default(args, spec)
  local field = M.field(spec)
  if args[field] ~= nil then return end
  if spec.default ~= nil then args[field] = spec.default
  elseif not spec.type then args[field] = false
  elseif spec.many then args[field] = {} end
end

local function defaults(args, set)
  for _, list in ipairs { set.options, set.positionals } do
    for _, spec in ipairs(list) do M.default(args, spec) end
  end
end

local function exclusions(args, set)
  for _, spec in ipairs(set.options) do
    local other = spec.excludes and set.by_name[spec.excludes]
    if other and args.given[M.field(spec)] and args.given[M.field(other)] then
      usage(("options %s and %s exclude each other"):format(spec[1], other[1]))
    end
  end
end

local function find_command(decl, word)
  local names = {}
  for _, command in ipairs(decl.commands) do
    if word == command.name or word:gsub("_", "-") == command.name then return command end
    names[#names + 1] = command.name
  end
  local near = word and types.nearest(word, names)
  usage(("unknown command '%s', %sone of %s"):format(word, near and ("did you mean %s? It is "):format(near) or "",
                                                     table.concat(names, ", ")))
end

--- Read a command line.
-- @param decl declaration
-- @param argv list of words
-- @return table field = value, with given = set of the fields that were on the command line, command = name of
--   the sub-command; help = true when it was asked for: then nothing else was checked
-- @raise usage; file_missing, file_denied, bad_file
function M.parse(decl, argv)
  argv = M.expand(argv)
  local args, words = { given = {} }, {}
  local set = M.compile(decl)
  local sets, command = { set }, nil
  local at, open = 1, true
  local rest                                               -- of switches written together: -ev
  while rest or argv[at] do
    local word = rest or argv[at]
    rest = nil
    if open and word == "--" then
      open = false
    elseif open and word:find "^%-." then
      local spec, name, value, more = find_option(word, sets)
      if not spec then
        if decl.commands and not command then
          -- An option of the sub-command before its name: the name decides.
          for i = at + 1, #argv do
            for _, c in ipairs(decl.commands) do
              if argv[i] == c.name then command = c end
            end
            if command then table.remove(argv, i) break end
          end
          if command then
            args.command = command.name
            table.insert(sets, 1, M.compile(command))
            spec, name, value, more = find_option(word, sets)
          end
        end
        if not spec and not types.integer(word) then unknown_option(word, sets) end
      end
      if not spec then
        words[#words + 1] = word                           -- a negative number
      else
        if M.field(spec) == "help" then
          args.help = true
        else
          at = take_option(args, spec, name, value, argv, at, sets)
        end
        if more then rest, at = more, at - 1 end
      end
    elseif decl.commands and not command then
      command = find_command(decl, word)
      args.command = command.name
      table.insert(sets, 1, M.compile(command))
    else
      words[#words + 1] = word
    end
    at = at + 1
  end
  if args.help then return args end
  if decl.commands and not command then
    local names = {}
    for i, c in ipairs(decl.commands) do names[i] = c.name end
    usage("a command is missing: one of " .. table.concat(names, ", "))
  end
  assign(args, sets[1].positionals, words)
  for _, s in ipairs(sets) do
    exclusions(args, s)
    defaults(args, s)
  end
  return args
end

return M
