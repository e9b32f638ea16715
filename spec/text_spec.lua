-- Byte order marks: the Unicode Standard, version 15, section 23.8.
local text = require "esp.text"

describe("a text file", function()
  it("loses its mark and the carriage returns", function()
    for _, case in ipairs { { "", "" }, { "a,b\n", "a,b\n" }, { "\xEF\xBB\xBFa\r\nb\rc", "a\nb\nc" },
                            { "\u{e9}\xEF\xBB\xBF", "\u{e9}\u{FEFF}" } } do
      assert.equal(case[2], text.plain(case[1], "a.csv", "bad_file"))
    end
  end)

  for _, case in ipairs {
    { "UTF-16", "\xFF\xFEa\0" }, { "UTF-16", "\xFE\xFF\0a" }, { "UTF-16", "\xFF\xFE#\0\xE9\0" }, { "UTF-16", "a\0,\0" },
    { "UTF-16", "\0a\0," }, { "UTF-32", "\xFF\xFE\0\0a\0\0\0" }, { "UTF-32", "\0\0\xFE\xFF\0\0\0a" },
  } do
    it(("is refused in %s (%q)"):format(case[1], case[2]), function()
      local ok, err = pcall(text.plain, case[2], "a.csv", "bad_nvs")
      assert.is_false(ok)
      assert.equal("bad_nvs", err.code)
      assert.equal("a.csv", err.file)
      assert.matches("a.csv: the text is " .. case[1] .. ", expected UTF-8", err.message, 1, true)
      assert.matches("CSV UTF-8", err.hint, 1, true)
    end)
  end

  it("with other separators than commas says so", function()
    assert.matches("semicolons", text.separator_hint "key;type;encoding;value", 1, true)
    assert.matches("tabs", text.separator_hint "nvs\tdata\tnvs", 1, true)
    assert.is_nil(text.separator_hint "nvs,data;x")
    assert.is_nil(text.separator_hint "nvs")
  end)

  it("is read as a table with a mark and with line ends of Windows", function()
    local list = require "esp.partition_csv".decode "\xEF\xBB\xBFnvs,data,nvs,0x9000,0x6000,\r\n"
    assert.equal("nvs", list[1].label)
    local csv = require "esp.nvs_csv"
    local entries = csv.decode "\xEF\xBB\xBFkey,type,encoding,value\r\nn,namespace,,\r\nk,data,u8,1\r\n"
    assert.equal("n", entries[1].namespace)
    for _, m in ipairs { "partition_csv", "nvs_csv" } do
      local ok, err = pcall(require("esp." .. m).decode, "nvs;data;nvs;0x9000;0x6000;\n")
      assert.is_false(ok)
      assert.matches("semicolons", err.hint, 1, true)
    end
  end)
end)
