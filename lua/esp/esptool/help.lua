--- The text of --help.
local args = require "esp.esptool.args"
local declare = require "esp.esptool.declare"
local help = require "esp.cli.help"
local parser = require "esp.cli.parser"
local M = {}

local WIDTH = 100

local function option_row(spec)
  local names = { table.unpack(spec) }
  local left = table.concat(names, ", ")
  if spec.type then left = left .. " " .. (spec.choices and not spec.metavar and table.concat(spec.choices, "|")
                                           or parser.metavar(spec)) end
  local text = spec.help or ""
  if type(spec.default) == "string" then text = ("%s (%s)"):format(text, spec.default) end
  if spec.env then text = ("%s [%s]"):format(text, spec.env) end
  return { left, text }
end

local function option_rows(options)
  local rows = {}
  for _, spec in ipairs(options) do
    if not spec.hidden and not spec.removed then rows[#rows + 1] = option_row(spec) end
  end
  return rows
end

--- The line that shows what a command takes.
-- @param command declaration, nil for the program itself
function M.usage(program, command)
  if not command then return ("Usage: %s [OPTIONS] COMMAND [ARGS]..."):format(program) end
  local words = {}
  for _, spec in ipairs(args.compile(command).positionals) do
    local name = parser.metavar(spec)
    words[#words + 1] = spec.many and name .. " ..." or spec.optional and "[" .. name .. "]" or name
  end
  return ("Usage: %s %s [OPTIONS] %s"):format(program, command.name, table.concat(words, " ")):match "^(.-) ?$"
end

local function of_command(program, command)
  local set = args.compile(command)
  local rows = {}
  for _, spec in ipairs(set.positionals) do rows[#rows + 1] = { parser.metavar(spec), spec.help } end
  local out = { M.usage(program, command), "", "  " .. command.summary, "" }
  if #rows > 0 then table.move({ "Arguments:", help.columns(rows, WIDTH), "" }, 1, 3, #out + 1, out) end
  table.move({ "Options:", help.columns(option_rows(set.options), WIDTH), "" }, 1, 3, #out + 1, out)
  return table.concat(out, "\n")
end

--- @param program name
-- @param command declaration, nil for the program itself
function M.text(program, command)
  if command then return of_command(program, command) end
  local basic, advanced = {}, {}
  for _, c in ipairs(declare.commands) do
    local list = c.advanced and advanced or basic
    if not c.hidden then list[#list + 1] = { c.name, c.summary } end
  end
  return table.concat({ M.usage(program), "",
    ("  esplua in the place of esptool v%s: flash and look into Espressif chips."):format(declare.VERSION), "",
    "Options:", help.columns(option_rows(declare.global), WIDTH), "",
    "Basic commands:", help.columns(basic, WIDTH), "", "Advanced commands:", help.columns(advanced, WIDTH), "",
    ("`%s COMMAND --help` tells more about a command. @FILE stands for the words in FILE."):format(program)
      .. (program:find "%.py$" and "\nDEPRECATED in esptool 5: this name, which ends in .py. Here it means the same."
          or ""),
    "" }, "\n")
end

return M
