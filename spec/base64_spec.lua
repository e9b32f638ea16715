-- Expected values: RFC 4648, section 10.
local base64 = require "esp.base64"

local VECTORS = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
                  foobar = "Zm9vYmFy", ["\xFB\xFF\xBF"] = "+/+/" }

describe("base64", function()
  it("stands for bytes", function()
    for bytes, text in pairs(VECTORS) do
      assert.equal(text, base64.encode(bytes))
      assert.equal(bytes, base64.decode(text))
      assert.equal(bytes, base64.decode_loosely(text))
    end
  end)

  it("is refused when it is none", function()
    for _, text in ipairs { "Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zm9v!", "Zm=9" } do
      assert.is_nil(base64.decode(text), text)
    end
    assert.equal("foobar", base64.decode " Zm9v\r\nYmFy\n")
  end)

  it("is read loosely", function()
    assert.equal("foob", base64.decode_loosely "Zm9v-Yg=and more")
    assert.is_nil(base64.decode_loosely "Zm9vY")
  end)
end)
