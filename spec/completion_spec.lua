-- Completion of esplua's own command line: what a shell is told, by what the commands' --help shows.
local complete = require "esp.cli.complete"
local program = require "spec.support.program"
local shell = require "esp.shell"

local function candidates(text)
  local words = {}
  for word in text:gmatch "%S+" do words[#words + 1] = word end
  local last = text:find "%s$" and "" or table.remove(words) or ""
  local list, files = complete.candidates(words, last, shell)
  return table.concat(list, " "), files
end

describe("completion", function()
  for text, expected in pairs {
    ["fla"] = "flash", ["flash --who"] = "--whole", ["image mer"] = "merge", ["nothing --x"] = "",
    ["image merge --target-of"] = "--target-offset", ["flash --chip esp32c6"] = "esp32c6 esp32c61",
    ["image merge -f "] = "raw uf2 hex", ["flash -b 9"] = "9600 921600", ["partition --flash-size 4MB sh"] = "show",
    ["flash --monitor --mon"] = "--monitor --monitor-baud",
    ["completion z"] = "zsh",
  } do
    it("of " .. text, function() assert.equal(expected, (candidates(text))) end)
  end

  it("leaves files to the shell", function()
    for text, files in pairs { ["flash "] = true, ["flash -p x a"] = true, ["image merge 0 "] = true, [""] = true,
                               ["read 0 1 "] = true, ["flash -fm "] = false, ["flash --ch"] = false,
                               ["partition "] = false } do
      assert.equal(files, (select(2, candidates(text))), text)
    end
  end)

  it("is a script for a shell, which asks the program", function()
    local r = program.run { "completion", "answer", "--", "2", "flash", "--who" }
    assert.equal("--whole\n", r.out)
    for _, name in ipairs { "bash", "zsh", "fish" } do
      assert.matches("completion answer -- ", program.run({ "completion", name }).out, 1, true)
    end
    assert.equal(2, program.run({ "completion", "csh" }).status)
    assert.equal(0, program.run({ "completion", "answer", "--", "x" }).status)
    assert.equal(0, program.run({ "completion", "answer" }).status)
  end)
end)
