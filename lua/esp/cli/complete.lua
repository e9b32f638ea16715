--- Completion of the command line in a shell, from the declarations of the stock commands.
-- The shell's script asks `esplua completion answer -- N WORD ...`: what may stand for word N (0 is the program).
-- Answers are lines: a word, or "file" after a blank for the shell's own completion of files.
local M = {}

M.RATES = { "9600", "74880", "115200", "230400", "460800", "921600", "1500000", "2000000" }
M.FILES = " file"

M.scripts = {}

M.scripts.bash = [==[
_esplua_completion() {
  local word
  COMPREPLY=()
  while IFS= read -r word; do
    if [[ $word == ' file' ]]; then compopt -o default 2> /dev/null; else COMPREPLY+=("$word"); fi
  done < <("${COMP_WORDS[0]}" completion answer -- "$COMP_CWORD" "${COMP_WORDS[@]:1}" 2> /dev/null)
}
complete -o nosort -F _esplua_completion esplua
]==]

M.scripts.zsh = [==[
#compdef esplua
_esplua_completion() {
  local word; local -a answers; local files=
  for word in "${(@f)$("${words[1]}" completion answer -- $((CURRENT-1)) "${(@)words[2,-1]}" 2> /dev/null)}"; do
    if [[ $word == ' file' ]]; then files=1; elif [[ -n $word ]]; then answers+=("$word"); fi
  done
  (( $#answers )) && compadd -a answers
  [[ -n $files ]] && _files
}
compdef _esplua_completion esplua
]==]

M.scripts.fish = [==[
function _esplua_completion
  set -l words (commandline -opc) (commandline -ct)
  for word in (esplua completion answer -- (math (count $words) - 1) $words[2..-1] 2> /dev/null)
    if test "$word" = " file"; __fish_complete_path (commandline -ct); else; echo $word; end
  end
end
complete --no-files --command esplua --arguments "(_esplua_completion)"
]==]

-- What may be the value of an option or argument: a list, and whether files may be.
local function values(spec)
  local kind = spec.type
  if type(kind) == "table" then return {}, true end
  if spec.choices then return spec.choices, false end
  if kind == "chip" then return table.move(require "esp.chips".list(), 1, 99, 2, { "auto" }), false end
  if spec[1] == "--port" or spec[1] == "ports" then return require "esp.ports".names(), false end
  if spec[1]:find "baud" then return M.RATES, false end
  return {}, kind == "file" or kind == "output" or kind == "string"
end

local function options_of(sets)
  local list = {}
  for _, set in ipairs(sets) do
    for _, spec in ipairs(set.options) do
      for _, name in ipairs(spec.hidden and {} or spec) do list[#list + 1] = name end
    end
  end
  return list
end

local function command_of(decl, name)
  for _, c in ipairs(decl.commands or {}) do
    if c.name == name then return c end
  end
  return nil
end

local function by_name(sets, name)
  for _, set in ipairs(sets) do
    if set.by_name[name] then return set.by_name[name] end
  end
  return nil
end

--- What can stand at the place of a word.
-- @param words list of the words before it, without the program
-- @param word its beginning
-- @param shell { commands = function() -> list of names, declaration = function(name) -> declaration or nil }
-- @return list of words, whether files may stand there
function M.candidates(words, word, shell)
  local parser = require "esp.cli.parser"
  local fitting, files, list = {}, false
  local decl = words[1] and shell.declaration(words[1])
  if not words[1] then
    list, files = shell.commands(), true
  elseif not decl then
    list, files = {}, true
  else
    local sets, command, pending = { parser.compile(decl) }, nil, nil
    for i = 2, #words do
      local w = words[i]
      if pending then
        pending = nil
      elseif w:find "^%-" then
        local spec = by_name(sets, w)
        pending = spec and spec.type and spec or nil
      elseif decl.commands and not command then
        command = command_of(decl, w)
        if command then table.insert(sets, 1, parser.compile(command)) end
      end
    end
    if pending then
      list, files = values(pending)
    elseif word:find "^%-" then
      list = options_of(sets)
    elseif decl.commands and not command then
      list = {}
      for _, c in ipairs(decl.commands) do list[#list + 1] = c.name end
    else
      list = {}
      for _, spec in ipairs(sets[1].positionals) do
        local some, maybe = values(spec)
        table.move(some, 1, #some, #list + 1, list)
        files = files or maybe
      end
    end
  end
  for _, text in ipairs(list) do
    if text:sub(1, #word) == word then fitting[#fitting + 1] = text end
  end
  return fitting, files
end

return M
