--- esptool's command line to values: options, a command, its words and options. Differs from esp.cli.parser in that
-- options belong to the side of the command they stand on: -p is the port before it and no progress behind it.
local declare = require "esp.esptool.declare"
local fail = require "esp.error"
local parser = require "esp.cli.parser"
local types = require "esp.cli.types"
local M = {}

local function usage(message, hint)
  fail { code = "usage", message = message, hint = hint }
end

--- A command's declaration by its name in either spelling.
-- @return declaration | nil
function M.command(name)
  local dashed = name:gsub("_", "-")
  for _, command in ipairs(declare.commands) do
    if command.name == dashed then return command end
  end
  return nil
end

-- Finds a long option in either spelling.
local function long_option(set, name)
  return set.by_name[name] or set.by_name[declare.renamed[name]] or set.by_name[name:gsub("_", "-")]
end

-- The option that a word means: spec, its name, attached value, further switches in the same word.
local function find_option(set, word)
  local name, value = word:match "^(%-[^=]+)=(.*)$"
  local spec = long_option(set, name or word)
  if spec then return spec, name or word, value end
  if word:find "^%-%-" then return nil end
  spec = set.by_name[word:sub(1, 2)]
  if not spec then return nil end
  if spec.type then return spec, word:sub(1, 2), word:sub(3) end
  return spec, word:sub(1, 2), nil, #word > 2 and "-" .. word:sub(3) or nil
end

-- Where an option belongs that stands on the wrong side of the command, or nil.
local function other_side(set, word)
  if not set.global then
    return find_option(parser.compile(declare.global), word) and "it belongs in front of the command"
  end
  local users = {}
  for _, command in ipairs(declare.commands) do
    if not command.hidden and find_option(M.compile(command), word) then users[#users + 1] = command.name end
  end
  return users[1] and "it belongs behind a command: " .. table.concat(users, ", ")
end

local function unknown_option(set, word, where)
  local elsewhere = other_side(set, word)
  if elsewhere then usage(("No such option: %s%s"):format(word:match "^[^=]+", where), elsewhere) end
  local name = word:match "^[^=]+"
  local names = {}
  for known in pairs(set.by_name) do
    if known:find "^%-%-" then names[#names + 1] = known end
  end
  table.sort(names)
  local near = types.nearest(name:gsub("_", "-"), names)
  for _, known in ipairs(names) do                       -- an abbreviation, which version 5 does not take any more
    if not near and #name > 3 and known:sub(1, #name) == name:gsub("_", "-") then near = known end
  end
  usage(("No such option: %s%s"):format(name, where), near and ("did you mean %s?"):format(near) or nil)
end

local CHECKS = {}
local PORT_KEYS = { vid = true, pid = true, name = true, serial = true }

-- How flash is connected: a name, or five pins. Which pins there are is the chip's to say.
function CHECKS.pins(text)
  if text:upper() == "SPI" or text:upper() == "HSPI" then return text end
  local count = 0
  for word in (text .. ","):gmatch "([^,]*)," do
    if not types.integer(word) then return nil, "SPI, HSPI or five pin numbers CLK,Q,D,HD,CS" end
    count = count + 1
  end
  if count == 5 then return text end
  return nil, "SPI, HSPI or five pin numbers CLK,Q,D,HD,CS"
end

-- Which ports are tried.
function CHECKS.filter(text)
  local hint = "vid=NUMBER, pid=NUMBER, name=TEXT or serial=TEXT"
  local key = text:match "^%s*(%w+)%s*="
  if not key then usage("Option --port-filter argument must consist of key=value.", hint) end
  if not PORT_KEYS[key:lower()] then
    usage(("Option --port-filter argument key not recognized: %s"):format(key), hint)
  end
  return text
end

-- A file, or the stub that is built in.
function CHECKS.stub(text)
  if text == "ours" then return text end
  return types.read(text, { "--stub", type = "file" })
end

local function read(text, spec, label)
  local value, expected, code = types.read(text, spec)
  if value ~= nil and spec.check then value, expected, code = CHECKS[spec.check](text) end
  if value ~= nil then return value end
  if code then fail { code = code, message = ("Invalid value for %s: %s"):format(label, expected) } end
  usage(("Invalid value for %s: '%s' is not %s"):format(label, text, expected))
end

-- A spelling of version 4, to be told of once.
local function deprecated(args, what, old, new)
  args.deprecated = args.deprecated or {}
  table.insert(args.deprecated, ("Deprecated: %s is deprecated. Use '%s' instead."):format(what:format(old), new))
end

local store = parser.store

-- Words by twos: where to, and what.
local function store_pairs(args, spec, words, label)
  if #words % 2 ~= 0 then
    usage(("Invalid value for %s: pairs of an address and a file are needed"):format(label),
          "such as 0x10000 app.bin")
  end
  for i = 1, #words, 2 do
    if not types.integer(words[i]) and types.integer(words[i + 1]) then
      usage(("Invalid value for %s (address): '%s' is not a number"):format(label, words[i]),
            ("the address comes first: %s %s"):format(words[i + 1], words[i]))
    end
    store(args, spec, { read(words[i], { "ADDRESS", type = "address" }, label .. " (address)"),
                        read(words[i + 1], { "FILE", type = "file" }, label) })
  end
end

local function take(args, set, spec, name, attached, argv, at)
  local label = ("'%s'"):format(name)
  if spec.removed then usage(("No such option: %s"):format(name), spec.removed) end
  if name:find "^%-%-" and name ~= spec[1] and not name:find "^%-%-ignore%-" then
    deprecated(args, "Option '%s'", name, spec[1])
  end
  if not spec.type then
    if attached then usage(("Option %s does not take a value."):format(label)) end
    store(args, spec, true)
    return at
  end
  if attached == nil then
    at = at + 1
    attached = argv[at]
    if attached == nil then usage(("Option %s requires an argument."):format(label)) end
  end
  if not spec.eat then
    local value = read(attached, spec, label)
    store(args, spec, value)
    if spec.type == "choice" and attached:find "_" and not value:find "_" then
      deprecated(args, "Choice '%s' for option '" .. spec[1] .. "'", attached, value)
    end
    return at
  end
  local words = { attached }
  -- A word that is a command's name ends a list that stands before the command.
  while argv[at + 1] and not argv[at + 1]:find "^%-" and not (set.global and M.command(argv[at + 1])) do
    at = at + 1
    words[#words + 1] = argv[at]
  end
  if spec.pairs then
    store_pairs(args, spec, words, label)
  else
    for _, word in ipairs(words) do store(args, spec, read(word, spec, label)) end
  end
  return at
end

-- Reads options, and words into `words`, from argv[at] on. Before a command the first word ends it.
local function read_words(args, set, argv, at, words, where)
  local open, rest = true, nil
  while rest or argv[at] do
    local word = rest or argv[at]
    rest = nil
    if open and word == "--" then
      open = false
    elseif open and word:find "^%-." then
      local spec, name, value, more = find_option(set, word)
      if not spec then unknown_option(set, word, where) end
      at = take(args, set, spec, name, value, argv, at)
      if more then rest, at = more, at - 1 end
    else
      if not words then return at end
      words[#words + 1] = word
    end
    at = at + 1
  end
  return at
end

local function assign(args, specs, words)
  local at = 1
  for _, spec in ipairs(specs) do
    local label = ("'%s'"):format(parser.metavar(spec))
    if not words[at] then
      if not spec.optional then usage(("Missing argument %s."):format(label)) end
    elseif spec.pairs then
      store_pairs(args, spec, table.move(words, at, #words, 1, {}), label)
      at = #words + 1
    else
      store(args, spec, read(words[at], spec, label))
      at = at + 1
    end
  end
  if words[at] then usage(("Got unexpected extra argument (%s)"):format(table.concat(words, " ", at))) end
end

local function settle(args, set)
  for _, list in ipairs { set.options, set.positionals } do
    for _, spec in ipairs(list) do
      local field = parser.field(spec)
      local other = spec.excludes and set.by_name[spec.excludes]
      if other and args.given[field] and args.given[parser.field(other)] then
        usage(("%s and %s are mutually exclusive."):format(spec[1], other[1]))
      end
      if spec.required and not args.given[field] then usage(("Missing option '%s'."):format(spec[1])) end
      parser.default(args, spec)
    end
  end
end

local function unknown_command(word)
  local gone = declare.removed[word:gsub("_", "-")]
  local names = {}
  for _, command in ipairs(declare.commands) do
    if not command.hidden then names[#names + 1] = command.name end
  end
  local near = types.nearest(word:gsub("_", "-"), names)
  usage(("No such command '%s'."):format(word), gone or near and ("did you mean %s?"):format(near)
    or "one of " .. table.concat(names, ", "))
end

-- A flag that took a word in version 4, and is still given one.
local function check_flags(set, argv, from)
  for i = from, #argv do
    local spec = set.by_name[argv[i]]
    for _, word in ipairs(spec and spec.took or {}) do
      if argv[i + 1] == word then
        usage(("Option '%s' does not take a value."):format(argv[i]), ("leave '%s' out"):format(word))
      end
    end
  end
end

-- What stands behind a command.
local function read_command(args, command, argv, from)
  local own, words = M.compile(command), {}
  read_words(args, own, argv, from, words, " of " .. command.name)
  if args.help then return end
  check_flags(own, argv, from)
  assign(args, own.positionals, words)
  settle(args, own)
end

--- Read a command line.
-- @param argv list of words, @FILE already replaced (esp.cli.parser.expand)
-- @return options before the command; its declaration, or nil when there is none; its arguments. Each has `given`;
--   help = true in either: the rest was not checked
-- @raise usage; file_missing, file_denied, bad_file; with command = its declaration when that is what is wrong
function M.parse(argv)
  local global, args = { given = {} }, { given = {} }
  local set = parser.compile(declare.global)
  set.global = true
  local at = read_words(global, set, argv, 1, nil, "")
  if global.help then return global, nil, args end
  settle(global, set)
  local name = argv[at]
  if not name then
    if #argv == 0 then global.help = true else usage "Missing command." end
    return global, nil, args
  end
  local command = M.command(name)
  if not command then unknown_command(name) end
  global.version4 = name ~= command.name
  if global.version4 then deprecated(global, "Command '%s'", name, command.name) end
  local ok, err = pcall(read_command, args, command, argv, at + 1)
  if not ok then
    if fail.is(err) then err.command = command end
    error(err, 0)
  end
  return global, command, args
end

--- The declaration of a command with what all have.
function M.compile(command)
  local list = table.move(command, 1, #command, 1, {})
  list[#list + 1] = { "--help", "-h", help = "this text" }
  return parser.compile(list)
end

return M
