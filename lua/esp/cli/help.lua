--- The text of --help, made from a declaration.
local parser = require "esp.cli.parser"
local M = {}

--- Break a text into lines of at most width columns.
function M.wrap(text, width)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if line ~= "" and utf8.len(line) + 1 + utf8.len(word) > width then
      lines[#lines + 1], line = line, word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return lines
end

--- Two columns: names, and what they mean.
-- @param rows list of { left, right }
-- @param width columns of the whole
function M.columns(rows, width)
  local left = 0
  for _, row in ipairs(rows) do
    if #row[1] <= 26 then left = math.max(left, #row[1]) end
  end
  local out = {}
  for _, row in ipairs(rows) do
    local lines = M.wrap(row[2] or "", math.max(width - left - 4, 24))
    if #row[1] > left then
      out[#out + 1] = "  " .. row[1]
      for _, l in ipairs(lines) do out[#out + 1] = (" "):rep(left + 4) .. l end
    else
      for i, l in ipairs(lines) do
        out[#out + 1] = ("  %-" .. left .. "s  %s"):format(i == 1 and row[1] or "", l):gsub("%s+$", "")
      end
    end
  end
  return table.concat(out, "\n")
end

local function meaning(spec)
  local text = spec.help or ""
  if type(spec.default) == "string" or type(spec.default) == "number" then
    text = ("%s (%s)"):format(text, spec.default_text or spec.default)
  end
  if spec.env then text = ("%s [%s]"):format(text, spec.env) end
  return text
end

local function option_rows(set)
  local rows = {}
  for _, spec in ipairs(set.options) do
    if not spec.hidden then
      local names = {}
      for _, name in ipairs(spec) do table.insert(names, #name <= 3 and 1 or #names + 1, name) end
      local left = table.concat(names, ", ")
      if spec.type == "choice" and #table.concat(spec.choices, "|") <= 24 and not spec.metavar then
        left = left .. " " .. table.concat(spec.choices, "|")
      elseif spec.type then
        left = left .. " " .. parser.metavar(spec) .. (type(spec.type) == "table" and "..." or "")
      end
      rows[#rows + 1] = { left, meaning(spec) }
    end
  end
  return rows
end

local function usage_line(name, set, decl)
  local parts = { name, "[options]" }
  if decl.commands then parts[#parts + 1] = "COMMAND ..." end
  for _, spec in ipairs(set.positionals) do
    local word = parser.metavar(spec)
    if spec.many then word = word .. " [" .. word .. "]..." end
    parts[#parts + 1] = spec.optional and "[" .. word .. "]" or word
  end
  return table.concat(parts, " ")
end

local function positional_rows(set)
  local rows = {}
  for _, spec in ipairs(set.positionals) do rows[#rows + 1] = { parser.metavar(spec), meaning(spec) } end
  return rows
end

--- The help text.
-- @param decl declaration, options that every script has included
-- @param program string: "esplua flash"
-- @param width columns
-- @param command name of the sub-command that is asked about, or nil
function M.text(decl, program, width, command)
  local out = {}
  local function add(text) out[#out + 1] = text end
  local function section(title, rows)
    if #rows > 0 then add(("\n%s:\n%s"):format(title, M.columns(rows, width))) end
  end
  local set = parser.compile(decl)
  local chosen
  for _, c in ipairs(decl.commands or {}) do
    if c.name == command then chosen = c end
  end
  if chosen then
    local own = parser.compile(chosen)
    add("Usage: " .. usage_line(program .. " " .. chosen.name, own, chosen))
    add("\n" .. table.concat(M.wrap(chosen.details or chosen.summary or "", width), "\n"))
    section("Arguments", positional_rows(own))
    section("Options of " .. chosen.name, option_rows(own))
  else
    add("Usage: " .. usage_line(program, set, decl))
    add("\n" .. table.concat(M.wrap(decl.summary or "", width), "\n"))
    if decl.details then add("\n" .. table.concat(M.wrap(decl.details, width), "\n")) end
    section("Arguments", positional_rows(set))
    if decl.commands then
      local rows = {}
      for _, c in ipairs(decl.commands) do
        rows[#rows + 1] = { usage_line(c.name, parser.compile(c), c):gsub(" %[options%]", "", 1), c.summary }
      end
      section("Commands", rows)
    end
  end
  section("Options", option_rows(set))
  local examples = chosen and chosen.examples or decl.examples or {}
  if #examples > 0 then
    add "\nExamples:"
    for _, e in ipairs(examples) do add("  esplua " .. e) end
  end
  return table.concat(out, "\n") .. "\n"
end

return M
