-- Partition tables and OTA data.
-- Digests of binary tables, and the CSV text of the way back, are those of gen_esp32part.py 1.5 of ESP-IDF for the
-- same text; what is refused is refused by it too. OTA data: the layout and rules of the Programming Guide's chapter
-- "Over The Air Updates"; checksums computed with Python's binascii.crc32(sequence, 0xFFFFFFFF).
package.path = "./?.lua;" .. package.path
local check = require "esp.partition_check"
local csv = require "esp.partition_csv"
local digest = require "esp.core.digest"
local otadata = require "esp.otadata"
local partition = require "esp.partition"
local program = require "spec.support.program"

local SLOW = os.getenv "ESPLUA_GC_STRESS" ~= nil       -- what only repeats is done less often then

local function fails(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(code, type(err) == "table" and err.code or err, tostring(err))
  return err
end

local PLAIN = "# Name, Type, SubType, Offset, Size, Flags\nnvs,data,nvs,0x9000,0x6000,\nphy_init,data,phy,0xf000,"
  .. "0x1000,\nfactory,app,factory,0x10000,1M,\n"
local HEADER = "# ESP-IDF Partition Table\n# Name, Type, SubType, Offset, Size, Flags\n"

-- { name, text, md5 of the binary, options of decode, options of encode }
local TABLES = {
  { "plain", PLAIN, "5d61d196adc3dba01928f264eb169be7" },
  { "with empty offsets, blanks and suffixes", "nvs, data, nvs, , 16K\notadata, data, ota, , 0x2000\nphy, data, phy, ,"
    .. " 4k, \n\n  # a comment\nota_0, app, ota_0, , 1M\nota_1, app, ota_1, , 1m\nstore, data, spiffs, , 0xF0000, "
    .. "encrypted\n", "b91e8ab2b3708de4290693d7cbf13a20" },
  { "with all kinds", "a,0x40,0x01,0x10000,4K\nb,64,2,,4K,readonly\nc,data,0x99,,4K,encrypted:readonly\nd,APP,Factory,"
    .. ",64K\ne,data,,,4096\nf,app,test,,128K\ng,app,tee_0,,64K\nh,app,tee_1,,64K\ni,app,ota_15,,64K\nj,data,"
    .. "littlefs,,1M\nk,data,fat,,1M\nl,data,nvs_keys,,4K\nm,data,coredump,,64K\nn,data,efuse,,8K\no,data,undefined,"
    .. ",8K\np,data,esphttpd,,8K\nq,data,tee_ota,,8K\n", "99a3bd0a1b814f1dcc0629fbbb03a46e" },
  { "with sizes that are ends", "nvs,data,nvs,0x9000,-0x10000\nfactory,app,factory,,-2M\nrest,data,0x70,,-4M\n",
    "4a1450193d3014ae0ea6f61356fb49aa" },
  { "with long names", "a_name_of_sixteen,data,nvs,,16K\nan_app_with_a_name_too_long,app,factory,,1M\n",
    "6e0e3f13c075a7977df804f646463569" },
  { "without a digest", "nvs,data,nvs,,16K\nfactory,app,factory,,1M\n", "5b809f8494c3c5b64624fb5d249f2b49", nil,
    { md5 = false } },
  { "at another offset", "nvs,data,nvs,,16K\nfactory,app,factory,,1M\n", "16198e1569d48b17b356e06f95437570",
    { table_offset = 0x10000 } },
  { "with the bootloader in it", "boot,bootloader,primary,,\ntable,partition_table,primary,,\nnvs,data,nvs,,16K\n"
    .. "factory,app,factory,,1M\nboot2,bootloader,recovery,,\nboot3,bootloader,ota,,\ntab2,partition_table,ota,,\n",
    "e88ceef4e80d0e6d86fcd8b2e80f2806", { primary_bootloader_offset = 0x1000, recovery_bootloader_offset = 0x200000 } },
  { "with subtypes of its own", "nvs,data,nvs,,16K\nset,data,settings,,4K\nx,app,special,,64K\n",
    "662ef33b42108f6930dc0154991baf77", { extra_subtypes = csv.extra_subtypes { "data,settings,0x41",
                                                                                "app,special,0x22" } } },
  { "of nothing", "# nothing\n", "e3747063209598dc64658aa947461153" },
  { "with a mark in front, and line ends of Windows", "\u{FEFF}nvs,data,nvs,,16K\r\nn\u{E4}me,data,0x50,,4K\r\nfactory,"
    .. "app,factory,,1M\r\n", "2a10dfd6940742dc732ef020f663e428" },
}

-- { what, text, what the message says }; all in decode
local REFUSED = {
  { "that overlap", "nvs,data,nvs,0x9000,0x6000\nfactory,app,factory,0x10000,1M\nx,data,fat,0x20000,4K\n",
    "line 3: x at 0x20000 begins before the end of the partition before it, 0x110000" },
  { "over the table", "nvs,data,nvs,0x8000,0x6000\n", "line 1: nvs at 0x8000 begins before the end of the partition "
    .. "table, 0x9000" },
  { "of an unknown type", "nvs,dat,nvs,0x9000,0x6000\n", "line 1: type 'dat' is not known" },
  { "of an unknown subtype", "\nnvs,data,nvx,0x9000,0x6000\n", "line 2: subtype 'nvx' is not known" },
  { "without a size", "nvs,data,nvs,0x9000,\n", "line 1: the size is missing" },
  { "without a type", "nvs,,nvs,0x9000,0x6000\n", "line 1: the type is missing" },
  { "without a subtype of an app", "x,app,,0x10000,0x6000\n", "the subtype of an app partition is missing" },
  { "with an unknown flag", "nvs,data,nvs,0x9000,0x6000,encripted\n", "flag 'encripted' is not known" },
  { "with a size that is no number", "nvs,data,nvs,0x9000,12X\n", "size '12X' is not a number" },
  { "with a type beyond a byte", "x,256,1,,4K\n", "type '256' is out of range" },
  { "with a negative offset", "x,data,1,-4K,4K\n", "offset '-4K' is out of range" },
  { "with a size beyond 32 bits", "x,data,1,,4096M\n", "size '4096M' is out of range" },
  { "beyond 32 bits", "x,data,1,0xFFFFF000,8K\n", "would go from 0xFFFFF000 to 0x100001000" },
  { "that end before they begin", "x,data,1,0x10000,-0x9000\n", "line 1: x would go from 0x10000" },
  { "of a bootloader whose place is not known", "b,bootloader,primary,,\n", "needs the offset of the bootloader" },
  { "with more fields", "x,data,1,,4K,,more\n", "has 6 fields, this one has more: 'more'" },
  { "with a variable that is not set", "x,data,1,,$NONE\n", "environment variable NONE is not set" },
  { "that are no text", "x,data\xFF,1,,4K\n", "line 1: this is no text" },
  { "in UTF-16", "\xFF\xFEx\0", "the text is UTF-16, expected UTF-8" },
  { "in UTF-16 of the other order", "\xFE\xFF\0x", "the text is UTF-16, expected UTF-8" },
  { "in UTF-16 without a mark", "n\0v\0", "the text is UTF-16, expected UTF-8" },
  { "in UTF-32", "\xFF\xFE\0\0x\0\0\0", "the text is UTF-32, expected UTF-8" },
}

-- { what, text, level, what is said }; all in check
local PROBLEMS = {
  { "an app off its alignment", "factory,app,factory,0x12000,1M\n", "error", "0x12000 is not a multiple of 0x10000" },
  { "data off its alignment", "nvs,data,nvs,0x9800,0x6000\n", "error", "0x9800 is not a multiple of 0x1000" },
  { "an app of broken sectors", "factory,app,factory,0x10000,0x12345\n", "error", "0x12345 is not a multiple of" },
  { "a name twice", "nvs,data,nvs,,16K\nnvs,data,fat,,16K\n", "error", "line 2: nvs: another partition has this name" },
  { "OTA data of a wrong size", "o,data,ota,,16K\n", "error", "OTA data has two sectors" },
  { "OTA data twice", "o,data,ota,,8K\np,data,ota,,8K\n", "error", "there is a partition data/ota already" },
  { "NVS too small", "n,data,nvs,,8K\n", "error", "NVS of 0x2000 bytes has to be readonly" },
  { "OTA data that is readonly", "o,data,ota,,8K,readonly\n", "error", "data/ota cannot be readonly" },
  { "no app", "n,data,nvs,,16K\n", "warning", "no partition for an application" },
  { "a slot without OTA data", "a,app,ota_0,,1M\n", "warning", "no OTA data" },
  { "OTA data without a slot", "o,data,ota,,8K\nf,app,factory,,1M\n", "warning", "no OTA slot" },
  { "a lone slot", "o,data,ota,,8K\na,app,ota_0,,1M\n", "warning", "it is the only application" },
  { "a gap between slots", "o,data,ota,,8K\na,app,ota_0,,1M\nb,app,ota_2,,1M\n", "warning", "there is no ota_1" },
  { "slots of two sizes", "o,data,ota,,8K\na,app,ota_0,,1M\nb,app,ota_1,,2M\n", "warning", "its size differs" },
  { "a misleading name", "ota_1,app,ota_0,,1M\n", "warning", "it is named as a subtype, and is app/ota_0" },
  { "a name that is a type", "app,data,fat,,1M\n", "warning", "it is named as a type" },
  { "a name that is cut", "an_app_with_a_name_too_long,app,factory,,1M\n", "warning", "the name is cut to 16 bytes" },
  { "half a sector", "x,data,fat,,100\n", "warning", "not a multiple of a sector" },
  { "two factory apps", "a,app,factory,,1M\nb,app,factory,,1M\n", "warning", "a is app/factory already" },
}

describe("a partition table", function()
  for _, t in ipairs(TABLES) do
    it(t[1] .. " has the bytes that ESP-IDF gives it", function()
      local list = csv.decode(t[2], t[4])
      local bytes = partition.encode(list, t[5])
      assert.equal(0xC00, #bytes)
      assert.equal(t[3], digest.hex(digest.md5(bytes)))
      local back = partition.decode(bytes)
      assert.equal(t[5] and "none" or "right", back.md5)
      assert.equal(#list, #back)
      for i, e in ipairs(back) do
        for k, v in pairs(e) do assert.equal(list[i][k], v, k) end
      end
      if not t[4] then
        assert.equal(bytes, partition.encode(csv.decode(csv.encode(back)), t[5]))
      end
    end)
  end

  it("is written as ESP-IDF writes it", function()
    assert.equal(HEADER .. "nvs,data,nvs,0x9000,24K,\nphy_init,data,phy,0xf000,4K,\nfactory,app,factory,0x10000,1M,\n",
                 csv.encode(csv.decode(PLAIN)))
    assert.equal(HEADER .. "b,64,2,0x9000,0x1,encrypted:readonly\n",
                 csv.encode(csv.decode "b,0x40,2,,1,readonly:encrypted"))
  end)

  for _, t in ipairs(REFUSED) do
    it("is refused with partitions " .. t[1], function()
      local err = fails("bad_partition_table", csv.decode, t[2], { name = "t.csv", getenv = function() end })
      assert.matches("^t%.csv: ", err.message)
      assert.matches(t[3], err.message, 1, true)
    end)
  end

  for _, t in ipairs(PROBLEMS) do
    it("is known to be wrong with " .. t[1], function()
      local list = csv.decode(t[2])
      local found = false
      for _, p in ipairs(check.problems(list)) do
        found = found or p.level == t[3] and p.text:find(t[4], 1, true) ~= nil
      end
      assert.is_true(found)
      if t[3] == "error" then
        fails("bad_partition_table", check.check, list, "t.csv")
      else
        check.check(list, "t.csv")
      end
    end)
  end

  it("with nothing wrong is known to be right", function()
    assert.same({}, check.problems(csv.decode(PLAIN)))
    assert.same({}, check.problems(csv.decode(TABLES[2][2])))
  end)

  it("is measured against the flash and against secure boot", function()
    local list = csv.decode(PLAIN)
    assert.same({}, check.problems(list, { flash_size = 0x110000 }))
    assert.matches("factory: it ends at 0x110000, flash ends at 0x100000",
                   check.problems(list, { flash_size = 0x100000 })[1].text, 1, true)
    list = csv.decode "factory,app,factory,,0x11000"
    assert.same({}, check.problems(list, { secure = "v2" }))
    assert.equal("error", check.problems(list, { secure = "v1" })[1].level)
    assert.equal(0x21000, partition.stop(list))
  end)

  it("overlapping in binary form is known to be wrong", function()
    local list = csv.decode(PLAIN)
    list[2].offset = 0xE000
    local all = check.problems(partition.decode(partition.encode(list)))
    assert.equal("error", all[1].level)
    assert.matches("phy_init: it begins at 0xE000 and overlaps nvs, 0x9000 to 0xEFFF", all[1].text, 1, true)
  end)

  it("is refused with lines that are too long", function()
    for _, line in ipairs { "x" .. (" "):rep(300000) .. "y", ("${"):rep(200000), (","):rep(300000) } do
      local err = fails("bad_partition_table", csv.decode, "#\n" .. line .. "\n")
      assert.matches("line 2: %d+ bytes are too many for a line", err.message)
    end
  end)

  it("takes variables from the environment", function()
    local list = csv.decode("a,data,nvs,,$SIZE\n${N}b,data,fat,,4K\n",
                            { getenv = function(n) return ({ SIZE = "16K", N = "x" })[n] end })
    assert.equal(0x4000, list[1].size)
    assert.equal("xb", list[2].label)
  end)

  it("finds partitions by name", function()
    local list = csv.decode(PLAIN)
    assert.equal(0x10000, partition.get(list, "factory").offset)
    assert.is_nil(partition.find(list, "fact"))
    local err = fails("no_partition", partition.get, list, "factori")
    assert.matches("did you mean factory?", err.hint, 1, true)
    assert.matches("nvs, phy_init, factory", err.hint, 1, true)
    fails("no_partition", partition.get, {}, "x")
    assert.equal(0x9000, partition.get(list, "data/nvs").offset)
    fails("no_partition", partition.get, list, "app/ota_0")
    list = csv.decode "a,data,fat,,4K\nb,data,fat,,4K\nc,0x40,0x1,,4K\n"
    assert.equal("c", partition.get(list, "0x40/0x01").label)
    assert.matches("they are a, b", fails("no_partition", partition.get, list, "data/fat").hint, 1, true)
  end)

  it("is refused when it is damaged", function()
    local bytes = partition.encode(csv.decode(PLAIN))
    local function with(at, text) return bytes:sub(1, at) .. text .. bytes:sub(at + #text + 1) end
    assert.matches("the digest at 0x60 is that of another table",
                   fails("bad_partition_table", partition.decode, with(0x10, "X")).message, 1, true)
    assert.equal("wrong", partition.decode(with(0x10, "X"), { md5 = false }).md5)
    assert.matches("no entry at 0x20: found 0x5058", fails("bad_partition_table", partition.decode, with(0x20, "X"),
                                                           { name = "t.bin" }).message, 1, true)
    for _, case in ipairs { { bytes:sub(1, 50), "cut short at 0x20" },
                            { bytes:sub(1, 128), "no end mark in 128 bytes" }, { "", "no end mark in 0 bytes" } } do
      assert.matches(case[2], fails("bad_partition_table", partition.decode, case[1]).message, 1, true)
    end
    local err = fails("bad_partition_table", partition.parse, ("\xFF"):rep(64))
    assert.matches("only erased bytes", err.message, 1, true)
    local list, form = partition.parse(bytes)
    assert.equal("binary", form)
    assert.equal(3, #list)
  end)

  it("has room for 94 partitions", function()
    local list = {}
    for i = 1, 94 do
      list[i] = { label = "p" .. i, type = 0x40, subtype = i, offset = 0x10000 + i * 0x1000, size = 0x1000 }
    end
    assert.equal(94, #partition.decode(partition.encode(list)))
    list[95] = list[94]
    assert.equal(95, #partition.decode(partition.encode(list, { md5 = false })))
    assert.matches("95 partitions are too many, 94 is the most",
                   fails("bad_partition_table", partition.encode, list).message, 1, true)
    fails("bad_partition_table", partition.encode, { { label = "x", type = 300, subtype = 0, offset = 0, size = 0 } })
    fails("bad_partition_table", partition.encode, { { label = "x", type = 3, subtype = 0, offset = -1, size = 0 } })
  end)

  it("is read from files", function()
    local folder = program.folder()
    local file = program.write(folder .. "/t.csv", PLAIN)
    assert.equal(3, #partition.load(file))
    fails("file_missing", partition.load, folder .. "/none.csv")
    fails("bad_file", partition.load, folder)
    program.clean()
  end)

  it("is not taken for CSV when it is not text", function()
    assert.matches("no partition table begins here",
                   fails("bad_partition_table", partition.parse, ("\0"):rep(3072)).message, 1, true)
  end)

  it("cannot be written as CSV with names that CSV does not hold", function()
    for _, label in ipairs { "a,b", "#a", "a\nb", "\xFF" } do
      fails("bad_partition_table", csv.encode, { { label = label, type = 1, subtype = 1, offset = 0, size = 0 } })
    end
  end)

  it("knows wrong names of subtypes", function()
    for _, text in ipairs { "data,settings", "dat,settings,1", "data,settings,x1", "data,other,0x02" } do
      fails("bad_argument", csv.extra_subtypes, { text })
    end
  end)
end)

-- Whatever is made of a table, it is read or refused with words.
describe("a mutated partition table", function()
  local PIECES = { ",", "\n", "-", "0x", "M", "K", "\0", "${", "\xFF", ":" }

  local function mutate(text, random)
    for _ = 1, random(4) do
      local at, kind = random(#text), random(5)
      if kind == 1 then text = text:sub(1, at - 1) .. string.char(random(0, 255)) .. text:sub(at + 1)
      elseif kind == 2 then text = text:sub(1, at - 1) .. text:sub(at + random(8))
      elseif kind == 3 then text = text:sub(1, at) .. text:sub(random(#text), -1):sub(1, 40) .. text:sub(at + 1)
      elseif kind == 4 then text = text:sub(1, at) .. PIECES[random(#PIECES)] .. text:sub(at + 1)
      else text = text:sub(1, at) end
      if text == "" then text = "," end
    end
    return text
  end

  for _, form in ipairs { "CSV", "binary" } do
    it("is read or refused: " .. form, function()
      math.randomseed(20261)
      local read, refused = 0, 0
      for i = 1, SLOW and 40 or 600 do
        local t = TABLES[i % 4 + 1]
        local text = form == "CSV" and t[2] or partition.encode(csv.decode(t[2])):sub(1, 0x260)
        local ok, list = pcall(partition.parse, mutate(text, math.random), { getenv = function() end })
        if ok then
          read = read + 1
          check.problems(list)
          local fine, back = pcall(csv.encode, list)
          assert(fine or back.code == "bad_partition_table", tostring(back))
        else
          refused = refused + 1
          assert(type(list) == "table" and list.code == "bad_partition_table", tostring(list))
          assert.matches("line %d", list.line and list.message or "line 1")
        end
      end
      assert.is_true(SLOW or read > 20 and refused > 100)
    end)
  end
end)

local FF = "\xFF"
local function entry(sequence, state, crc)
  return ("<I4"):pack(sequence) .. FF:rep(20) .. ("<I4I4"):pack(state, crc) .. FF:rep(4064)
end
local EMPTY = FF:rep(4096)
-- Checksums by Python.
local CRC = { [1] = 0x4743989A, [2] = 0x55F63774, [3] = 0xED4A5011, [4] = 0x709D68A8, [7] = 0x6228C746 }
local NONE = 0xFFFFFFFF

describe("OTA data", function()
  it("that is erased chooses nothing", function()
    local info = otadata.decode(EMPTY .. EMPTY, 2)
    assert.is_nil(info.active)
    assert.is_nil(info.slot)
    assert.is_true(info[1].erased)
  end)

  for _, t in ipairs {
    { "the higher sequence", entry(1, NONE, CRC[1]) .. entry(2, NONE, CRC[2]), 2, 1 },
    { "the higher sequence, in the first sector", entry(3, NONE, CRC[3]) .. entry(2, NONE, CRC[2]), 1, 0 },
    { "the one with a right checksum", entry(1, NONE, CRC[1]) .. entry(2, NONE, 12345), 1, 0 },
    { "the one that was not given up", entry(1, 2, CRC[1]) .. entry(2, 4, CRC[2]), 1, 0 },
    { "the one that was found valid", entry(1, 3, CRC[1]) .. entry(2, 2, CRC[2]), 2, 1 },
    { "nothing with both given up", entry(1, 3, CRC[1]) .. entry(2, 4, CRC[2]), nil, nil },
    { "nothing with both checksums wrong", entry(1, NONE, 0) .. entry(2, NONE, 0), nil, nil },
    { "by the count of slots", entry(7, 0, CRC[7]) .. EMPTY, 1, 0 },
  } do
    it("chooses " .. t[1], function()
      local info = otadata.decode(t[2], 2)
      assert.equal(t[3], info.active)
      assert.equal(t[4], info.slot)
    end)
  end

  it("changes in the sector that is not in use", function()
    local now = entry(1, NONE, CRC[1]) .. EMPTY
    local w = otadata.choose(now, 1, 2)
    assert.equal(2, w.sector)
    assert.equal(0x1000, w.offset)
    assert.equal(entry(2, NONE, CRC[2]), w.bytes)
    now = now:sub(1, 4096) .. w.bytes
    w = otadata.choose(now, 0, 2)
    assert.equal(1, w.sector)
    assert.equal(entry(3, NONE, CRC[3]), w.bytes)
    now = w.bytes .. now:sub(4097)
    assert.is_nil(otadata.choose(now, 0, 2))
    w = otadata.choose(now, 0, 2, { state = "new" })
    assert.equal(5, w.sequence)
    assert.equal(0, ("<I4"):unpack(w.bytes, 25))
  end)

  it("leaves the old choice when writing breaks off at any byte", function()
    local now = entry(1, NONE, CRC[1]) .. entry(2, NONE, CRC[2])
    local w = otadata.choose(now, 0, 2)
    assert.equal(1, w.sector)
    assert.equal(3, w.sequence)
    for n = 0, 32, SLOW and 8 or 1 do
      local broken = w.bytes:sub(1, n) .. FF:rep(4096 - n) .. now:sub(4097)
      assert.equal(n < 32 and 1 or 0, otadata.decode(broken, 2).slot)
    end
  end)

  it("is begun when it is erased or damaged", function()
    local w = otadata.choose(EMPTY .. EMPTY, 0, 2)
    assert.equal(1, w.sector)
    assert.equal(entry(1, NONE, CRC[1]), w.bytes)
    assert.equal(4, otadata.choose(entry(1, NONE, 0) .. EMPTY, 3, 4).sequence)
  end)

  it("reaches every slot from every other", function()
    for count = 1, SLOW and 3 or 16 do
      local now = EMPTY .. EMPTY
      for _ = 1, 2 do
        for slot = 0, count - 1 do
          local w = otadata.choose(now, slot * 7 % count, count)
          if w then
            now = w.sector == 1 and w.bytes .. now:sub(4097) or now:sub(1, 4096) .. w.bytes
          end
          assert.equal(slot * 7 % count, otadata.decode(now, count).slot)
        end
      end
    end
  end)

  it("refuses what cannot be", function()
    fails("bad_argument", otadata.choose, EMPTY .. EMPTY, 2, 2)
    fails("bad_argument", otadata.choose, EMPTY .. EMPTY, 0, 0)
    fails("bad_argument", otadata.choose, EMPTY .. EMPTY, 0, 1, { state = "good" })
    fails("bad_argument", otadata.decode, EMPTY, 2)
    local last = 0xFFFFFFFE
    fails("failed", otadata.choose, entry(last, NONE, digest.crc32(("<I4"):pack(last), NONE)) .. EMPTY, 0, 2)
  end)
end)
