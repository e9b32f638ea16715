-- A JSON reader that accepts nothing but RFC 8259, written apart from esp.json to judge it. Objects come back as
-- tables, arrays as tables with n, null as the string "null" in a table: { null = true }.
return function(text)
  local at = 1
  local value
  local function skip() at = text:match("^[ \t\r\n]*()", at) end
  local function expect(pattern, what)
    local found = text:match("^" .. pattern, at)
    assert(found, ("expected %s at %d in %s"):format(what, at, text))
    at = at + #found
    return found
  end
  local function string()
    expect('"', "a string")
    local out = {}
    while true do
      local raw = text:match('^[^"\\%c]+', at)
      if raw then out[#out + 1], at = raw, at + #raw end
      local c = text:sub(at, at)
      if c == '"' then at = at + 1 break end
      assert(c == "\\", ("bad byte in a string at %d in %s"):format(at, text))
      local e = text:sub(at + 1, at + 1)
      assert(e:find '^["\\/bfnrtu]', "bad escape in " .. text)
      if e == "u" then
        local n = tonumber(assert(text:match("^%x%x%x%x", at + 2), "bad \\u"), 16)
        out[#out + 1], at = utf8.char(n), at + 6
      else
        out[#out + 1], at = ({ b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" })[e] or e, at + 2
      end
    end
    local s = table.concat(out)
    assert(utf8.len(s, 1, -1, true), "not UTF-8: " .. text)
    return s
  end
  local function list(close, item)
    at = at + 1
    skip()
    if text:sub(at, at) == close then at = at + 1 return end
    repeat
      item()
      skip()
      local c = expect("[,%" .. close .. "]", ", or " .. close)
    until c == close
  end
  function value()
    skip()
    local c = text:sub(at, at)
    if c == '"' then return string() end
    if c == "{" then
      local object = {}
      list("}", function()
        skip()
        local key = string()
        assert(object[key] == nil, "key twice: " .. key)
        skip()
        expect(":", ":")
        object[key] = value()
      end)
      return object
    end
    if c == "[" then
      local array = { n = 0 }
      list("]", function()
        array.n = array.n + 1
        array[array.n] = value()
      end)
      return array
    end
    for word, v in pairs { ["true"] = true, ["false"] = false, null = { null = true } } do
      if text:sub(at, at + #word - 1) == word then at = at + #word return v end
    end
    local digits = expect("%-?%d+", "a value")
    assert(not digits:find "^%-?0%d", "leading zero in " .. text)
    digits = digits .. (text:match("^%.%d+", at) or "")
    at = at + #(text:match("^%.%d+", at) or "")
    local exponent = text:match("^[eE][+-]?%d+", at) or ""
    at = at + #exponent
    return tonumber(digits .. exponent)
  end
  local v = value()
  skip()
  assert(at == #text + 1, "more behind the value in " .. text)
  return v
end
