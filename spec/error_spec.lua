local fail = require "esp.error"

describe("an error object", function()
  it("prints as the one line a user reads and keeps its code", function()
    local ok, e = pcall(fail, { code = "no_sync", message = "no answer", hint = "press BOOT" })
    assert.is_false(ok)
    assert.equal("no answer", tostring(e))
    assert.equal("no_sync", e.code)
    assert.is_true(fail.is(e))
  end)

  it("is made from what a primitive reports", function()
    local ok, e = pcall(fail.check, "open", "plug it in", nil, "no such port", "port_missing")
    assert.is_false(ok)
    assert.equal("open: no such port", e.message)
    assert.equal("port_missing", e.code)
    assert.equal("plug it in", e.hint)
  end)

  it("is not raised when a primitive succeeded", function()
    assert.same({ 1, 2 }, { fail.check("x", nil, 1, 2) })
    assert.same({ false }, { fail.check("x", nil, false) })
  end)
end)
