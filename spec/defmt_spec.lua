-- Messages of defmt. Bytes and texts are those of the tests of defmt's own decoder (decoder/src/lib.rs) and of rzCOBS
-- (src/lib.rs); the ELF file is put together here as "The defmt book" describes it.
local defmt = require "esp.defmt"
local defmt_text = require "esp.defmt_text"
local elf_file = require "esp.elf"
local monitor = require "esp.monitor"
local writer = require "spec.support.elf_writer"

local function symbol(tag, data, address)
  return { name = ('{"package":"app","tag":"%s","data":"%s","disambiguator":"1","crate_name":"app"}'):format(tag,
             data:gsub('[\\"]', "\\%0")), address = address, size = 1, section = 1 }
end

local function elf(entries, o)
  o = o or {}
  local symbols = { { name = "_defmt_version_ = " .. (o.version or "4"), section = 1 },
                    { name = "_defmt_encoding_ = " .. (o.encoding or "rzcobs"), section = 1 } }
  for address, e in pairs(entries) do symbols[#symbols + 1] = symbol(e[1], e[2], address) end
  if o.timestamp then symbols[#symbols + 1] = symbol("defmt_timestamp", o.timestamp, 200) end
  return writer.elf { machine = 0xF3, sections = { { name = ".defmt", data = ("\0"):rep(256), flags = 0 } },
                      symbols = symbols }
end

local function decoder(entries, o) return defmt.open(elf_file.read(elf(entries, o))) end

local function bytes_of(list) return string.char(table.unpack(list)) end

local function shows(format, list, expected)
  local d = decoder({ [0] = { "defmt_info", format } }, { timestamp = "{=u8:us}" })
  local m = d:decode(bytes_of(list))
  assert.equal(expected, m and m.text)
end

describe("a message of defmt", function()
  for _, case in ipairs {
    { "i16 as hex {=i16:#x}", { 0, 0, 2, 0xFF, 0xFF }, "0.000002 INFO i16 as hex 0xffff" },
    { "{=u64:iso8601ms}", { 0, 0, 2, 36, 188, 151, 238, 120, 1, 0, 0 }, "0.000002 INFO 2021-04-20T09:23:44.804Z" },
    { "my bool={=bool}", { 0, 0, 2, 1 }, "0.000002 INFO my bool=true" },
    { "x: {0=0..4:b}, y: {0=3..8:#b}", { 0, 0, 2, 0xE5 }, "0.000002 INFO x: 101, y: 0b11100" },
    { "x: {0=0..7:b}, y: {0=3..5:b}", { 0, 0, 2, 0xD2 }, "0.000002 INFO x: 1010010, y: 10" },
    { "#0: {0=0..5:b}, #1: {1=3..8:b}", { 0, 0, 2, 0xF0, 0xE5 }, "0.000002 INFO #0: 10000, #1: 11100" },
    { "x: {0=7..12:b}", { 0, 0, 2, 0xF0, 0xE5 }, "0.000002 INFO x: 1011" },
    { "#0: {0=7..12:b}, #1: {1=u8}, #2: {2=0..5:b}", { 0, 0, 2, 0xF0, 0xE5, 42, 0xF1 },
      "0.000002 INFO #0: 1011, #1: 42, #2: 10001" },
    { "bitfields {0=0..7:b} {0=9..14:b} {1=8..10:b}", { 0, 0, 2, 0xD2, 0x63, 0xFF },
      "0.000002 INFO bitfields 1010010 10001 11" },
    { "bitfields {0=9..14:b}", { 0, 0, 2, 0x63 }, "0.000002 INFO bitfields 10001" },
    { "bitfields {0=0..2:b} {0=28..31:b}", { 0, 0, 2, 0x63, 0x0F, 0x5A, 0xC3 }, "0.000002 INFO bitfields 11 100" },
    { "x: {0=119..124:b}", { 0, 0, 2, 0xE5, 0xE5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, "0.000002 INFO x: 1011" },
    { "x={=[u8]}", { 0, 0, 2, 2, 0, 0, 0, 23, 42 }, "0.000002 INFO x=[23, 42]" },
    { "x={=[u8]} trailing arg={=u8}", { 0, 0, 2, 2, 0, 0, 0, 23, 42, 1 },
      "0.000002 INFO x=[23, 42] trailing arg=1" },
    { "Hello {=str} {=u8}", { 0, 0, 2, 5, 0, 0, 0, 87, 111, 114, 108, 100, 125 }, "0.000002 INFO Hello World 125" },
    { "Supports ASCII {=char} and Unicode {=char}", { 0, 0, 2, 0x61, 0, 0, 0, 0x9C, 0xF4, 1, 0 },
      "0.000002 INFO Supports ASCII a and Unicode \u{1F49C}" },
    { "The answer is {1=u16} {0=u8} {1=u16}!", { 0, 0, 2, 42, 0xFF, 0xFF },
      "0.000002 INFO The answer is 65535 42 65535!" },
  } do
    it("shows " .. case[1], function() shows(table.unpack(case)) end)
  end

  it("has integers of all sizes", function()
    local list = { 0, 0, 2, 42 }
    for i = 1, 30 + 31 do list[4 + i] = 0xFF end
    shows("Hello, {=u8} {=u16} {=u32} {=u64} {=u128} {=i8} {=i16} {=i32} {=i64} {=i128}!", list,
      "0.000002 INFO Hello, 42 65535 4294967295 18446744073709551615 340282366920938463463374607431768211455 "
      .. "-1 -1 -1 -1 -1!")
  end)

  it("has values in values", function()
    local o = { timestamp = "{=u8:us}" }
    local d = decoder({ [0] = { "defmt_info", "x={=?}" }, [1] = { "defmt_derived", "Foo {{ x: {=u8} }}" } }, o)
    assert.equal("0.000002 INFO x=Foo { x: 42 }", d:decode("\0\0\2\1\0\42").text)
    d = decoder({ [0] = { "defmt_info", "x={:b}" }, [1] = { "defmt_derived", "S {{ x: {=u8:x} }}" } }, o)
    assert.equal("0.000002 INFO x=S { x: 2a }", d:decode("\0\0\2\1\0\42").text)
    d = decoder({ [0] = { "defmt_info", "x={:b}" }, [1] = { "defmt_derived", "S {{ x: {=u8:?} }}" } }, o)
    assert.equal("0.000002 INFO x=S { x: 101010 }", d:decode("\0\0\2\1\0\42").text)
    d = decoder({ [0] = { "defmt_info", "{}" }, [1] = { "defmt_derived", "S {{ x: {=str:?} }}" } }, o)
    assert.equal('0.000002 INFO S { x: "Hello" }', d:decode("\0\0\2\1\0\5\0\0\0Hello").text)
    d = decoder({ [0] = { "defmt_prim", "{=u8}" }, { "defmt_prim", "{=[?]}" },
                  { "defmt_derived", "Data {{ name: {=?:?} }}" }, { "defmt_info", "{=[?]:a}" } }, o)
    assert.equal('0.000002 INFO [Data { name: b"Hi" }]', d:decode("\3\0\2\1\0\0\0\2\0\1\0\2\0\0\0\0\0Hi").text)
    d = decoder({ [4] = { "defmt_info", "x={=?}" }, [3] = { "defmt_derived", "None|Some({=?})" },
                  [2] = { "defmt_derived", "{=u8}" } }, o)
    assert.equal("0.000000 INFO x=Some(42)", d:decode("\4\0\0\3\0\1\2\0\42").text)
    assert.equal("0.000001 INFO x=None", d:decode("\4\0\1\3\0\0").text)
    d = decoder { [0] = { "defmt_info", "{=__internal_FormatSequence}" }, { "defmt_derived", "Foo" },
                  { "defmt_derived", "Bar({=u8})" }, { "defmt_derived", "State {=u8}|" } }
    assert.equal("FooBar(42)State 23|", d:decode("\0\0\1\0\2\0\42\3\0\23\0\0").message)
  end)

  -- By the book: texts as Rust prints them.
  it("has other values", function()
    local d = decoder { [0] = { "defmt_warn", "{=f32} {=f64} {=f32} {=u16:#06x} {=u8:08b} {=istr} "
                          .. "{=__internal_Display}!" }, [7] = { "defmt_str", "interned" },
                        [9] = { "defmt_println", "{=u32:ms} {=u32:ts} {=[u8; 3]:x}" } }
    assert.equal("WARN 1.5 0.1 3.0 0x00ff 00000101 interned shown!",
      d:decode("\0\0" .. ("<fdfI2B"):pack(1.5, 0.1, 3, 255, 5) .. "\7\0shown\255").text)
    assert.equal("1.500 1:01:02:03 [a, b, ff]", d:decode("\9\0" .. ("<I4I4"):pack(1500, 90123) .. "\10\11\255").text)
    assert.equal("1e20", defmt_text.float(1e20, 8))
    assert.equal("100000.0", defmt_text.float(1e5, 4))
  end)

  it("that is damaged is nothing", function()
    local d = decoder { [0] = { "defmt_info", "{=str} {=?} {=bool}" }, [1] = { "defmt_derived", "{=?}" },
                        [2] = { "defmt_info", "{=what}" }, [3] = { "defmt_prim", "{=[?]}" } }
    for _, bytes in ipairs { "", "\0", "\9\0", "\1\0", "\0\0\255\255\255\255", "\0\0\0\0\0\0\9\0", "\2\0\0",
                             "\0\0\0\0\0\0" .. ("\1\0"):rep(100), "\0\0\0\0\0\0\3\0\255\255\255\255\3\0",
                             "\0\0\0\0\0\0\3\0\1\0\0\0\3\0\0\0\0\0\7\0\7" } do
      assert.is_nil(d:decode(bytes))
    end
    math.randomseed(5)
    for _ = 1, os.getenv "ESPLUA_GC_STRESS" and 200 or 2000 do
      local list = { 0, 0 }
      for i = 3, 3 + math.random(20) do list[i] = math.random() < 0.5 and math.random(0, 4) or math.random(0, 255) end
      d:decode(bytes_of(list))
    end
  end)
end)

describe("a frame of defmt", function()
  local function hex(text) return (text:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)) end

  it("is packed as rzCOBS has it", function()
    for plain, packed in pairs {
      [""] = "", ["00000000000000"] = "7f", ["01"] = "017e", ["0001"] = "017d", ["0102"] = "01027c",
      ["11223344556600"] = "11223344556640", ["1122334455667700"] = "1122334455667780",
      ["112233445566778800"] = "112233445566778881", ["00000000000000000000000000ff"] = "7fff3f",
      ["00000000004400000000000000ff"] = "445fff3f",
    } do
      local got = defmt.unpack(hex(packed))
      assert.equal(hex(plain), got:sub(1, #plain // 2))
      assert.is_nil(got:sub(#plain // 2 + 1):find "[^%z]")
    end
    local long = {}
    for i = 1, 0x86 do long[i] = string.char(i) end
    long = table.concat(long)
    assert.equal(long, defmt.unpack(long .. "\255"))
    assert.equal(long:sub(1, -2) .. "\0", defmt.unpack(long:sub(1, -2) .. "\254"))
    for _, bad in ipairs { "\0", "\1", "\1\0", "\255", "\128" } do assert.is_nil(defmt.unpack(bad)) end
  end)

  local FRAME = "\255\0" .. "\42\125" .. "\0"              -- index 0, then 42: "\0\42" as packed above
  local function new() return decoder { [0x2A00] = { "defmt_info", "hello" } } end

  it("may stand among text, and come in pieces", function()
    local all = "boot\r\n" .. FRAME .. "more\255x" .. FRAME .. FRAME
    for size = 1, #all do
      local d, out = new(), {}
      for at = 1, #all, size do
        for _, piece in ipairs(d:feed(all:sub(at, at + size - 1))) do
          out[#out + 1] = piece.level and "<" .. piece.text .. ">" or piece.text
        end
      end
      assert.equal("boot\r\n<INFO hello>more\255x<INFO hello><INFO hello>", table.concat(out))
    end
  end)

  it("may be damaged", function()
    local list = new():feed("\255\0\1\2\0ok")
    assert.same({ true, "ok" }, { list[1].damaged, list[2].text })
  end)

  it("is a line in the monitor", function()
    local out = {}
    local watch = monitor.new { console = {}, defmt = new(), write = function(t) out[#out + 1] = t end }
    watch.pattern = "INFO hel"
    assert.equal("INFO hello", watch:feed("text" .. FRAME .. "end\n\255\0\1\2\0"))
    assert.equal("text\nINFO hello\nend\n(a message of 2 bytes that cannot be decoded: is it the right ELF file?)\n",
                 table.concat(out))
  end)
end)

describe("a program with defmt", function()
  it("is told by its section", function()
    local plain = writer.elf { machine = 0xF3, sections = { { name = ".text", data = "x" } } }
    assert.is_nil(defmt.open(elf_file.read(plain)))
  end)
  for o, text in pairs { [{ version = "99" }] = "version 99", [{ encoding = "raw" }] = "encoding raw" } do
    it("is refused with " .. text, function()
      local err = assert.has_error(function() decoder({}, o) end)
      assert.equal("bad_file", err.code)
      assert.matches(text .. " is not known", err.message, 1, true)
    end)
  end
end)
