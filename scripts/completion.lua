#!/usr/bin/env esplua
-- Completion of esplua's command line in a shell.
local cli = require "esp.cli"

local args = cli.parse {
  summary = "Print a script with which a shell completes esplua's command line.",
  details = 'bash: eval "$(esplua completion bash)" in ~/.bashrc. zsh: eval "$(esplua completion zsh)" in ~/.zshrc, '
    .. "after compinit. fish: esplua completion fish > ~/.config/fish/completions/esplua.fish",
  examples = { "completion bash", "completion zsh", "completion fish" },
  { "shell", type = "choice", choices = { "bash", "zsh", "fish", "answer" }, metavar = "SHELL",
    help = "bash, zsh or fish" },
  { "words", type = "string", many = true, optional = true, metavar = "WORD", hidden = true, empty = true,
    help = "what the shell asks" },
}

local complete = require "esp.cli.complete"
if args.shell ~= "answer" then
  io.stdout:write(complete.scripts[args.shell])
  return
end

local words = args.words
local at = math.tointeger(tonumber(table.remove(words, 1))) or 1
local word = words[at] or ""
for i = #words, math.max(at, 1), -1 do words[i] = nil end
local shell = require "esp.shell"
local list, files = complete.candidates(words, word, shell)
if files then list[#list + 1] = complete.FILES end
io.stdout:write(table.concat(list, "\n"), #list > 0 and "\n" or "")
