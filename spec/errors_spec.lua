-- doc/errors.md, esp.exits and the codes in the sources say the same.
local exits = require "esp.exits"
local program = require "spec.support.program"

local function sources(pattern)
  local list = {}
  local pipe = assert(io.popen("ls " .. pattern .. " 2> /dev/null"))
  for path in pipe:lines() do list[path] = program.read(path) end
  pipe:close()
  return list
end

describe("the table of errors", function()
  it("is in the manual as in the program", function()
    local text = assert(program.read "doc/errors.md")
    local rows = 0
    for status, name, meaning, codes in text:gmatch "\n| (%d+) | (%l+) | ([^|]+) | ([^|]+) |" do
      rows = rows + 1
      local class = exits.classes[rows]
      assert.equal(class[1], tonumber(status))
      assert.equal(class[2], name)
      assert.equal(class[3], meaning)
      assert.equal("`" .. table.concat(class[4], "` `") .. "`", codes)
    end
    assert.equal(#exits.classes, rows)
  end)

  it("has every code that the sources raise", function()
    local known, missing = {}, {}
    for _, class in ipairs(exits.classes) do
      for _, code in ipairs(class[4]) do known[code] = true end
    end
    local function look(path, code)
      if not known[code] then missing[#missing + 1] = code .. " in " .. path end
    end
    local lua = "lua/esp/*.lua lua/esp/cli/*.lua scripts/*.lua"
    for path, text in pairs(sources(lua)) do
      for call in text:gmatch "%f[%w]fail%s*(%b{})" do
        for code in call:gmatch '%f[%w]code = "([%w_]+)"' do look(path, code) end
      end
    end
    for path, text in pairs(sources "src/*.c") do
      for code in text:gmatch 'l_fail%(L, "([%w_]+)"' do look(path, code) end
      for code in text:gmatch 'l_raise%(L, "([%w_]+)"' do look(path, code) end
    end
    table.sort(missing)
    assert.equal("", table.concat(missing, ", "))
  end)
end)
