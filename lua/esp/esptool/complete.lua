--- Completion of the command line in a shell: the scripts, and the answers to their questions.
-- The variable _ESPTOOL_COMPLETE says which: bash_source, zsh_source or fish_source print a script to be evaluated;
-- it calls the program with bash_complete, ..., the words in COMP_WORDS and the place of the cursor in COMP_CWORD.
local args = require "esp.esptool.args"
local declare = require "esp.esptool.declare"
local parser = require "esp.cli.parser"
local M = {}

local RATES = { "9600", "115200", "230400", "460800", "576000", "921600" }

local FILES = { ["--output"] = true, ["--diff-with"] = true }

local SOURCE = {}

SOURCE.bash = [==[
_%1$s_completion() {
  local kind value
  COMPREPLY=()
  while IFS=, read -r kind value; do
    case $kind in
      file) compopt -o default 2> /dev/null; return ;;
      plain) COMPREPLY+=("$value") ;;
    esac
  done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _%2$s_COMPLETE=bash_complete "$1")
}
complete -o nosort -F _%1$s_completion %1$s
]==]

SOURCE.zsh = [==[
#compdef %1$s
_%1$s_completion() {
  local -a answers; local line
  for line in "${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) _%2$s_COMPLETE=zsh_complete "$words[1]")}"; do
    if [[ $line == file,* ]]; then _files; return; fi
    answers+=("${line#plain,}")
  done
  compadd -a answers
}
compdef _%1$s_completion %1$s
]==]

SOURCE.fish = [==[
function _%1$s_completion
  for line in (env _%2$s_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) %1$s)
    set -l parts (string split -m 1 "," $line)
    if test $parts[1] = file; __fish_complete_path $parts[2]; else; echo $parts[2]; end
  end
end
complete --no-files --command %1$s --arguments "(_%1$s_completion)"
]==]

-- What may be the value of an option or argument: a list, or nil for files.
local function values(spec)
  if spec.choices then return spec.choices end
  if spec.type == "chip" then return table.move(require "esp.chips".list(), 1, 99, 2, { "auto" }) end
  if spec[1] == "--port" then return require "esp.ports".names() end
  if spec[1] == "--baud" then return RATES end
  local files = spec.pairs or spec.type == "file" or spec.type == "output" or FILES[spec[1]]
  return not files and {} or nil
end

local function names_of(set, list)
  for _, spec in ipairs(set.options) do
    if not spec.hidden and not spec.removed then
      for _, name in ipairs(spec) do list[#list + 1] = name end
    end
  end
  return list
end

--- What can stand at the place of a word.
-- @param words list of the words before it, without the program
-- @param word string: its beginning
-- @return list of strings, nil for files
function M.candidates(words, word)
  local set, command = parser.compile(declare.global), nil
  local pending = nil                                      -- the option whose value comes
  for _, w in ipairs(words) do
    -- A list that an option takes ends at the next option, and before the command also at its name.
    local ended = pending and pending.eat and (w:find "^%-" or not command and args.command(w))
    if pending and not ended then
      if not pending.eat then pending = nil end
    elseif w:find "^%-" then
      local spec = set.by_name[w]
      pending = spec and spec.type and spec or nil
    elseif not command then
      command, pending = args.command(w), nil
      if not command then return {} end
      set = args.compile(command)
    end
  end
  local list
  local more = pending and pending.eat and not words[#words]:find "^%-"
  if more and not command and not word:find "=" then pending = nil end
  if pending then
    list = values(pending)
  elseif word:find "^%-" then
    list = names_of(set, {})
  elseif not command then
    list = {}
    for _, c in ipairs(declare.commands) do
      if not c.hidden then list[#list + 1] = c.name end
    end
  else
    list = {}
    for _, spec in ipairs(set.positionals) do list = list and values(spec) end
  end
  if not list then return nil end
  local fitting = {}
  for _, text in ipairs(list) do
    if text:sub(1, #word) == word then fitting[#fitting + 1] = text end
  end
  return fitting
end

--- Answer the shell.
-- @param what value of the variable
-- @param program name of the program
-- @param out file
-- @return exit status
function M.answer(what, program, out)
  local shell, question = what:match "^(%l+)_(%l+)$"
  if not SOURCE[shell] or question ~= "source" and question ~= "complete" then return 1 end
  if question == "source" then
    out:write((SOURCE[shell]:gsub("%%1%$s", program):gsub("%%2%$s", program:upper())))
    return 0
  end
  local words = parser.split(os.getenv "COMP_WORDS" or "") or {}
  table.remove(words, 1)
  local word
  if shell == "fish" then
    word = os.getenv "COMP_CWORD" or ""
    if word ~= "" and words[#words] == word then table.remove(words) end
  else
    local at = math.tointeger(tonumber(os.getenv "COMP_CWORD")) or #words + 1
    word = words[at] or ""
    for i = #words, math.max(at, 1), -1 do words[i] = nil end
  end
  local list = M.candidates(words, word)
  if not list then out:write("file,", word, "\n") end
  for _, text in ipairs(list or {}) do out:write("plain,", text, "\n") end
  return 0
end

return M
