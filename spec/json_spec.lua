local json = require "esp.json"
local strict = require "spec.support.strict_json"

describe("JSON text", function()
  it("has keys in order and what must be escaped escaped", function()
    assert.equal('{"event":"x","a":[1,2.5,"\\u0000\\n\\"\\\\"],"b":{"c":true}}',
                 json.encode({ b = { c = true }, a = { 1, 2.5, "\0\n\"\\" }, event = "x" }, "event"))
  end)

  it("is valid for bytes that are no text, and for numbers that JSON lacks", function()
    for _, v in ipairs { "\xFF\xFEabc\x80", "caf\u{E9}\xC3", ("\xF0\x9F"):rep(3), "\127\1" } do
      assert.is_string(strict(json.encode(v)))
    end
    assert.equal("[null,null]", json.encode { 0 / 0, 1 / 0 })
    assert.equal("[]", json.encode(json.array {}))
    assert.equal("{}", json.encode {})
    assert.equal("9007199254740993", json.encode(9007199254740993))
  end)

  it("is not made of functions and cycles", function()
    local cycle = {}
    cycle.x = cycle
    assert.has_error(function() json.encode(cycle) end)
    assert.has_error(function() json.encode { print } end)
    assert.has_error(function() json.encode { [true] = 1 } end)
  end)

  it("comes back as the values it was made from", function()
    local v = json.decode ' { "a" : [ 1 , -2.5e2 , "\\u00e9\\ud83d\\ude00" ] , "n" : null, "t": false, "e": {} } '
    assert.equal(1, v.a[1])
    assert.equal("integer", math.type(v.a[1]))
    assert.equal(-250.0, v.a[2])
    assert.equal("\u{E9}\u{1F600}", v.a[3])
    assert.equal(json.null, v.n)
    assert.is_false(v.t)
    assert.equal('{"a":[1,-250,"\u{E9}\u{1F600}"],"e":{},"n":null,"t":false}', json.encode(v))
  end)

  for _, case in ipairs {
    { "is empty", "", "unexpected end" },
    { "has a trailing comma", "[1,]", "unexpected character" },
    { "has single quotes", "{'a':1}", "expected a key" },
    { "has a key twice", '{"a":1,"a":2}', "comes twice" },
    { "ends in a string", '"abc', "not closed" },
    { "has a raw newline in a string", '"a\nb"', "control character" },
    { "has half a surrogate pair", '"\\ud800x"', "surrogate" },
    { "has a leading zero", "012", "not a number" },
    { "has a bare point", "1.", "not a number" },
    { "goes on", "1 2", "behind the value" },
    { "is not UTF-8", '"\xFF"', "not UTF-8" },
    { "is nested without end", ("["):rep(100000), "too deep" },
    { "has an unknown word", "nul", "unexpected character" },
  } do
    it("is refused when it " .. case[1], function()
      local err = assert.has_error(function() json.decode(case[2]) end)
      assert.equal("bad_json", err.code)
      assert.matches(case[3], err.message, 1, true)
    end)
  end
end)
