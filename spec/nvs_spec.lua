-- NVS images. Digests of images are those of ESP-IDF's nvs_partition_gen.py, see spec/support/nvs_golden.lua; the test
-- vector of AES-XTS is the first of IEEE 1619-2007, appendix B.
package.path = "./?.lua;" .. package.path
local crypto = require "esp.core.crypto"
local csv = require "esp.nvs_csv"
local digest = require "esp.core.digest"
local golden = require "spec.support.nvs_golden"
local keys = require "esp.nvs_keys"
local nvs = require "esp.nvs"
local nvs_read = require "esp.nvs_read"
local program = require "spec.support.program"

local SLOW = os.getenv "ESPLUA_GC_STRESS" ~= nil       -- what only repeats is done less often then
local HEAD = "key,type,encoding,value\n"

local function md5(bytes) return digest.hex(digest.md5(bytes)) end

local function fails(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(code, type(err) == "table" and err.code or err, tostring(err))
  return err
end

local folder
local function decode(case)
  for name, bytes in pairs(case.files or {}) do program.write(folder .. "/" .. name, bytes) end
  return csv.decode(case.csv, { name = "t.csv", folder = folder })
end

local function same_entries(want, got)
  local function plain(list)
    local out = {}
    for i, e in ipairs(list) do out[i] = { e.namespace, e.key, e.encoding, e.value } end
    return out
  end
  assert.same(plain(want), plain(got))
end

describe("an NVS image", function()
  setup(function() folder = program.folder() end)
  teardown(program.clean)

  for i, case in ipairs(golden.cases) do
    if SLOW and i > 4 then break end
    local want = golden.digests[case.name]
    it("of " .. case.name .. " has the bytes that ESP-IDF gives it", function()
      local list = decode(case)
      local plain = nvs.build(list, { size = case.size })
      assert.equal(want.v2, md5(plain))
      if want.v1 then assert.equal(want.v1, md5(nvs.build(list, { size = case.size, version = 1 }))) end
      local secret = nvs.build(list, { size = case.size, key = golden.KEYS })
      assert.equal(want.encrypted, md5(secret))
      assert.equal(secret, nvs_read.crypt(plain, golden.KEYS, true))
      assert.equal(plain, nvs_read.crypt(secret, golden.KEYS))
    end)

    it("of " .. case.name .. " is read back", function()
      local list = decode(case)
      local image = nvs.build(list, { size = case.size })
      local back, whole = nvs_read.entries(image)
      same_entries(list, back)
      assert.equal(case.size // 4096, #whole.pages)
      same_entries(list, (nvs_read.entries(nvs.build(list, { size = case.size, key = golden.KEYS }),
                                           { key = golden.KEYS })))
      if want.v1 then same_entries(list, (nvs_read.entries(nvs.build(list, { size = case.size, version = 1 })))) end
      if not (case.files or {})["s.txt"] then
        assert.equal(image, nvs.build(csv.decode(csv.encode(back)), { size = case.size }))
      end
    end)
  end

  it("is made of a table", function()
    local image = nvs.build(nvs.entries { wifi = { ssid = "home", channel = { "u8", 6 }, cert = { "blob", "\0\1" } },
                                          a = { n = { "i64", -5 } } }, { size = 0x3000 })
    assert.equal(HEAD .. "a,namespace,,\nn,data,i64,-5\nwifi,namespace,,\ncert,data,hex2bin,0001\nchannel,data,u8,6\n"
                 .. "ssid,data,string,home\n", csv.encode((nvs_read.entries(image))))
    fails("bad_nvs", nvs.entries, { a = { b = 5 } })
  end)

  it("takes keys of a namespace that comes again into that namespace", function()
    local list = csv.decode(HEAD .. "a,namespace,,\nx,data,u8,1\nb,namespace,,\nx,data,u8,2\na,namespace,,\n"
                            .. "y,data,u8,3\n")
    assert.equal(HEAD .. "a,namespace,,\nx,data,u8,1\ny,data,u8,3\nb,namespace,,\nx,data,u8,2\n",
                 csv.encode((nvs_read.entries(nvs.build(list, { size = 0x3000 })))))
  end)

  it("keeps lines that begin with # inside of a value", function()
    local list = csv.decode(HEAD .. 'a,namespace,,\nx,data,string,"one\n#two\n"\n')
    assert.equal("one\n#two\n", list[2].value)
  end)

  it("fills the partition also when that is smaller than a device could write to", function()
    local list = csv.decode(HEAD .. "n,namespace,,\nk,data,u8,1\n")
    local image = nvs.build(list, { size = 0x2000 })
    assert.equal(golden.digests["one page"].v2, md5(image:sub(1, 4096)))
    assert.equal(("\xFF"):rep(4096), image:sub(4097))
  end)

  it("says how large it has to be", function()
    local big = { namespace = "n", key = "k", encoding = "blob", value = ("x"):rep(9000) }
    local err = fails("does_not_fit", nvs.build, { big }, { size = 0x3000, name = "t.csv" })
    assert.equal("t.csv: the data needs an NVS partition of 0x4000 bytes, there are 0x3000", err.message)
    assert.equal(0x4000, err.needed)
    nvs.build({ big }, { size = 0x4000 })
    for _, wrong in ipairs { 0, 100, -4096, 0x3001, 1 << 40 } do
      fails("bad_argument", nvs.build, {}, { size = wrong })
    end
  end)

  for _, t in ipairs {
    { "a name that is too long", { namespace = "sixteen_letters_" }, "the namespace sixteen_letters_ has 16 bytes" },
    { "a key that is too long", { namespace = "a", key = "sixteen_letters_" }, "has 16 bytes, 15 is the most" },
    { "an empty key", { namespace = "a", key = "" }, "the key is empty" },
    { "a zero in a key", { namespace = "a", key = "a\0" }, "a zero byte" },
    { "a number out of range", { namespace = "a", key = "k", encoding = "u8", value = 256 }, "key k: 256 is not in" },
    { "a fraction", { namespace = "a", key = "k", encoding = "u8", value = 1.5 }, "1.5 is not in the range of u8" },
    { "no value", { namespace = "a", key = "k", encoding = "string" }, "a string has to be bytes" },
    { "an unknown encoding", { namespace = "a", key = "k", encoding = "u7", value = 1 }, "encoding 'u7'" },
    { "a long string", { namespace = "a", key = "k", encoding = "string", value = ("x"):rep(4000) },
      "4001 bytes, 4000 is the most" },
    { "a long blob", { namespace = "a", key = "k", encoding = "blob", value = ("x"):rep(508001) },
      "508000 is the most" },
  } do
    it("is refused with " .. t[1], function()
      assert.matches(t[3], fails("bad_nvs", nvs.build, { t[2] }, { size = 0x100000 }).message, 1, true)
    end)
  end

  it("of version 1 has no large blobs", function()
    local e = { namespace = "a", key = "k", encoding = "blob", value = ("x"):rep(1985) }
    assert.matches("1984 is the most for a blob of version 1",
                   fails("bad_nvs", nvs.build, { e }, { size = 0x3000, version = 1 }).message, 1, true)
  end)

  it("holds the longest string there can be", function()
    local list = { { namespace = "a" }, { namespace = "a", key = "k", encoding = "string", value = ("x"):rep(3999) } }
    same_entries(list, (nvs_read.entries(nvs.build(list, { size = 0x4000 }))))
  end)
end)

describe("NVS as CSV", function()
  setup(function() folder = program.folder() end)
  teardown(program.clean)

  for _, t in ipairs {
    { "without a head", "a,namespace,,\n", "line 1: no column 'key' in the first line" },
    { "that is empty", "", "there is nothing in it" },
    { "of an image", "\xFE\xFF\xFF\xFF\0\0", "this is no text" },
    { "with a key before a namespace", HEAD .. "k,data,u8,1\n", "line 2: key k comes before any namespace" },
    { "with an unknown type", HEAD .. "k,dat,u8,1\n", "line 2: type 'dat' is not known" },
    { "with an unknown encoding", HEAD .. "n,namespace,,\nk,data,u9,1\n", "line 3: key k: encoding 'u9' is not known" },
    { "without an encoding", HEAD .. "n,namespace,,\nk,data,,1\n", "key k: the encoding is missing" },
    { "with a number that is none", HEAD .. "n,namespace,,\nk,data,u8,one\n", "key k: 'one' is no number of u8" },
    { "with a number beyond 64 bits", HEAD .. "n,namespace,,\nk,data,u64,18446744073709551616\n",
      "is no number of u64" },
    { "with a number beyond -2^63", HEAD .. "n,namespace,,\nk,data,i64,-9223372036854775809\n", "is no number of i64" },
    { "with half a hex digit", HEAD .. "n,namespace,,\nk,data,hex2bin,123\n", "an even number of them expected" },
    { "with no hex digit", HEAD .. "n,namespace,,\nk,data,hex2bin,12x4\n", "something else at position 3" },
    { "with base64 cut short", HEAD .. "n,namespace,,\nk,data,base64,A\n", "the base64 text is cut short" },
    { "with a long key", HEAD .. "n,namespace,,\nsixteen_letters_,data,u8,1\n", "line 3: key sixteen_letters_ has 16" },
    { "without a key", HEAD .. ",namespace,,\n", "line 2: the key is missing" },
    { "with an open quotation mark", HEAD .. 'n,namespace,,\nk,data,string,"abc\n', "line 3: a quotation mark is not" },
    { "with a line counted behind a value of several", HEAD .. 'n,namespace,,\nk,data,string,"a\nb\nc"\nl,data,u8,x\n',
      "line 6: key l" },
    { "with a filling that is none", HEAD .. "n,namespace,,\nk,data,blob_fill(4),x\n", "is not BLOB_FILL" },
    { "with a filling too short", HEAD .. "n,namespace,,\nk,data,blob_fill(2;0x00),xyz\n",
      "3 bytes do not fit into 2" },
    { "with a filling without end", HEAD .. "n,namespace,,\nk,data,blob_fill(99999999999999999999;0x00),x\n",
      "is not BLOB_FILL" },
  } do
    it("is refused " .. t[1], function()
      local err = fails("bad_nvs", csv.decode, t[2], { name = "t.csv" })
      assert.matches("^t%.csv: line %d+: ", err.message)
      assert.matches(t[3], err.message, 1, true)
    end)
  end

  it("names the line of a file that is missing, and of a key that comes twice", function()
    local text = HEAD .. "n,namespace,,\nk,file,string,none.txt\n"
    local err = fails("file_missing", csv.decode, text, { folder = folder })
    assert.matches("line 3: .*/none.txt: no such file", err.message)
    local list = csv.decode(HEAD .. "n,namespace,,\nk,data,u8,1\nk,data,u8,2\n", { name = "t.csv" })
    assert.matches("t.csv: line 4: key k: given twice in namespace n, first in line 3",
                   fails("bad_nvs", nvs.build, list, { size = 0x3000 }).message, 1, true)
  end)

  it("reads numbers in hexadecimal too, and columns in any order", function()
    local list = csv.decode("value,encoding,type,key\n,,namespace,n\n0xFF,u8,data,k\n-0x10,i8,data,l\n")
    assert.equal(255, list[2].value)
    assert.equal(-16, list[3].value)
  end)

  it("is read or refused in time that grows with its length", function()
    local blanks = "x" .. (" "):rep(200000) .. "y"
    for _, line in ipairs { "k,data,hex2bin," .. blanks, "k,data," .. blanks .. ",1", "k," .. blanks .. ",u8,1",
                            "k,data,u8," .. blanks, "k,data,u64," .. ("9"):rep(200000), "k,data,base64,A" .. blanks,
                            "k,data," .. ("u"):rep(200000) .. ",1", "k" .. (","):rep(200000),
                            "k,data,string," .. ('"'):rep(200001) } do
      local ok, err = pcall(csv.decode, HEAD .. "n,namespace,,\n" .. line .. "\n")
      assert(ok or err.code == "bad_nvs", tostring(err))
    end
    local image = ("\xFF"):rep(SLOW and 0x10000 or 0x400000)
    assert.same({}, nvs_read.parse(image).entries)
  end)

  it("cannot hold every string", function()
    for _, value in ipairs { "a\0b", "a\rb", "\xFF", "a\n#b" } do
      local err = fails("bad_nvs", csv.encode, { { namespace = "n", key = "k", encoding = "string", value = value } })
      assert.matches("key k in namespace n", err.message, 1, true)
    end
  end)
end)

-- A page and an entry of the image "numbers": entry 0 is the namespace, entry 1 the key a.
local function damaged(at, bytes)
  local image = nvs.build(csv.decode(golden.cases[1].csv), { size = 0x3000 })
  return image:sub(1, at) .. bytes .. image:sub(at + #bytes + 1)
end

describe("a damaged NVS image", function()
  for _, t in ipairs {
    { "entry", damaged(64 + 32 + 24, "\0"), "error", "page 0 (0x0), entry 1: the checksum of the entry is 0x" },
    { "page head", damaged(5, "\1"), "error", "page 0 (0x0): the checksum of the page's head is 0x" },
    { "page state", damaged(0, "\7"), "error", "page 0 (0x0): the state 0xFFFFFF07 is none of a page" },
    { "map of entries", damaged(32, "\xA9"), "error", "page 0 (0x0), entry 0: its state is neither" },
    { "empty page", damaged(0x1800, "x"), "warning", "page 1 (0x1000): an empty page has something in it" },
  } do
    it("is known by its " .. t[1], function()
      local found = false
      local image = nvs_read.parse(t[2])
      for _, p in ipairs(image.problems) do found = found or p.level == t[3] and p.text:find(t[4], 1, true) ~= nil end
      assert.is_true(found)
      if t[3] == "error" then fails("bad_nvs", nvs_read.entries, t[2]) else nvs_read.entries(t[2]) end
    end)
  end

  it("gives what is not damaged", function()
    local image = nvs_read.parse(damaged(64 + 32 + 24, "\0"))
    assert.equal(9, #image.entries)                       -- the namespace and eight of nine keys
    assert.equal("b", image.entries[2].key)
    local err = fails("bad_nvs", nvs_read.entries, damaged(64 + 32 + 24, "\0"), { name = "n.bin" })
    assert.matches("n.bin: page 0 (0x0), entry 1: ", err.message, 1, true)
    assert.equal(0, err.page)
    assert.equal(1, err.entry)
  end)

  it("gives the keys of a namespace whose name is lost", function()
    local image = nvs_read.parse(damaged(64 + 8, "\0"))
    assert.equal(10, #image.entries)
    assert.same({ "unnamed-1" }, { image.entries[1].namespace })
    assert.same({ "unnamed-1", "b" }, { image.entries[3].namespace, image.entries[3].key })
    assert.matches("in namespace 1, which has no name", image.problems[2].text, 1, true)
  end)

  it("with wrong data, or without a part of a blob", function()
    local list = { { namespace = "n" }, { namespace = "n", key = "s", encoding = "string", value = "hello" },
                   { namespace = "n", key = "b", encoding = "blob", value = ("x"):rep(5000) } }
    local image = nvs.build(list, { size = 0x4000 })
    local changed = image:gsub("hello", "hallo", 1)
    assert.matches("page 0 (0x0), entry 1: key s: the checksum of the data is 0x",
                   fails("bad_nvs", nvs_read.entries, changed).message, 1, true)
    -- Entry 3 is the head of the blob's first part: it says that it is the part 7.
    local e = image:sub(161, 163) .. "\7" .. image:sub(165, 192)
    e = e:sub(1, 4) .. ("<I4"):pack(nvs.crc(e:sub(1, 4) .. e:sub(9))) .. e:sub(9)
    changed = image:sub(1, 160) .. e .. image:sub(193)
    assert.matches("key b: part 1 of 2 is missing", fails("bad_nvs", nvs_read.entries, changed).message, 1, true)
  end)

  it("that is encrypted asks for the keys, or for the right ones", function()
    local list = csv.decode(golden.cases[1].csv)
    local image = nvs.build(list, { size = 0x3000, key = golden.KEYS })
    assert.matches("is it encrypted?", fails("bad_nvs", nvs_read.entries, image).hint, 1, true)
    assert.matches("are these the right keys?",
                   fails("bad_nvs", nvs_read.entries, image, { key = ("k"):rep(64) }).hint, 1, true)
  end)

  it("of a wrong size is refused", function()
    for _, bytes in ipairs { "", "x", ("\xFF"):rep(4095) } do fails("bad_nvs", nvs_read.parse, bytes) end
    assert.same({}, nvs_read.parse(("\xFF"):rep(4096)).entries)
  end)

  it("with the same key twice gives the later one", function()
    -- Two images put together; the second page gets the number 1, its head a new checksum.
    local function one(value)
      return nvs.build({ { namespace = "n" }, { namespace = "n", key = "k", encoding = "u8", value = value } },
                       { size = 0x1000 })
    end
    local head = ("<I4I4"):pack(0xFFFFFFFE, 1) .. one(2):sub(9, 28)
    local second = head .. ("<I4"):pack(nvs.crc(head:sub(5))) .. one(2):sub(33)
    for _, image in ipairs { one(1) .. second, second .. one(1) } do
      local parsed = nvs_read.parse(image)
      assert.equal(2, #parsed.entries)
      assert.equal(2, parsed.entries[2].value)
      assert.equal("warning", parsed.problems[1].level)
      assert.matches("key k is also in page", parsed.problems[1].text, 1, true)
    end
  end)
end)

describe("a mutated NVS", function()
  it("CSV is read or refused", function()
    math.randomseed(20262)
    local PIECES = { ",", "\n", '"', "#", "\0", "-", "99999999999999999999", "namespace", "\xFF", "blob_fill(9;0x00)" }
    local read, refused = 0, 0
    for i = 1, SLOW and 20 or 500 do
      local text = golden.cases[i % 3 + 1].csv:sub(1, 700)
      for _ = 1, math.random(4) do
        local at, kind = math.random(#text), math.random(4)
        if kind == 1 then text = text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
        elseif kind == 2 then text = text:sub(1, at - 1) .. text:sub(at + math.random(8))
        elseif kind == 3 then text = text:sub(1, at) .. PIECES[math.random(#PIECES)] .. text:sub(at + 1)
        else text = text:sub(1, at) .. text:sub(math.random(#text)):sub(1, 40) .. text:sub(at + 1) end
        if text == "" then text = "k" end
      end
      local ok, result = pcall(function()
        local list = csv.decode(text, { name = "t.csv", folder = "/nonexistent" })
        return nvs.build(list, { size = 0x4000 })
      end)
      if ok then
        read = read + 1
        nvs_read.entries(result)
      else
        refused = refused + 1
        assert(type(result) == "table", tostring(result))
        assert.matches("line %d", result.message)
      end
    end
    assert.is_true(SLOW or read > 20 and refused > 50)
  end)

  it("image is read, with problems that have a place", function()
    math.randomseed(20263)
    local list = csv.decode(golden.cases[SLOW and 1 or 3].csv)
    local plain = nvs.build(list, { size = 0x4000 })
    local refused = 0
    for i = 1, SLOW and 5 or 150 do
      local key = i % 5 == 0 and golden.KEYS or nil
      local image = key and nvs.build(list, { size = 0x4000, key = key }) or plain
      for _ = 1, math.random(6) do
        local at = math.random(i % 3 == 0 and 96 or 0x2200)
        image = image:sub(1, at - 1) .. string.char(math.random(0, 255)) .. image:sub(at + 1)
      end
      local parsed = nvs_read.parse(image, { key = key })
      for _, p in ipairs(parsed.problems) do assert.is_string(p.text) end
      assert.is_true(#parsed.problems <= 4 * 127 * 2)
      local ok, err = pcall(nvs_read.entries, image, { key = key })
      if not ok then
        refused = refused + 1
        assert.equal("bad_nvs", err.code, tostring(err))
        assert.matches("page %d", err.message)
      end
      local fine, failure = pcall(csv.encode, parsed.entries)
      assert(fine or failure.code == "bad_nvs", tostring(failure))
    end
    assert.is_true(SLOW or refused > 50)
  end)

  it("image with right checksums around wrong sizes is read", function()
    math.randomseed(20264)
    local plain = nvs.build(csv.decode(golden.cases[SLOW and 1 or 3].csv), { size = 0x4000 })
    for _ = 1, SLOW and 5 or 150 do
      local image = plain
      for _ = 1, math.random(3) do
        local at = 64 + 32 * math.random(0, 20)
        local field = ({ 0, 1, 2, 3, 24, 25, 26, 28, 29, 31 })[math.random(10)]
        local e = image:sub(at + 1, at + 32)
        e = e:sub(1, field) .. string.char(math.random(0, 255)) .. e:sub(field + 2)
        e = e:sub(1, 4) .. ("<I4"):pack(nvs.crc(e:sub(1, 4) .. e:sub(9))) .. e:sub(9)
        image = image:sub(1, at) .. e .. image:sub(at + 33)
      end
      nvs_read.parse(image)
    end
  end)
end)

describe("the keys of NVS", function()
  it("are in a page as ESP-IDF has it", function()
    assert.equal(golden.HMAC_PAGE, md5(keys.encode(keys.derive(golden.HMAC_KEY))))
    local page = keys.encode(golden.KEYS)
    assert.equal(4096, #page)
    assert.equal(golden.KEYS, keys.decode(page))
    assert.equal(golden.KEYS, keys.decode(golden.KEYS))
  end)

  it("are refused when they are none", function()
    fails("bad_nvs", keys.decode, ("x"):rep(63))
    fails("bad_nvs", keys.decode, ("\xFF"):rep(4096))
    assert.matches("the checksum at 0x40", fails("bad_nvs", keys.decode, golden.KEYS .. "1234").message, 1, true)
    fails("bad_nvs", keys.decode, golden.KEYS .. "1")
    fails("bad_argument", keys.derive, "short")
  end)

  it("are new each time", function()
    local a, b = keys.generate(), keys.generate()
    assert.equal(64, #a)
    assert.are_not.equal(a, b)
  end)
end)

describe("AES-XTS", function()
  it("has the values of IEEE 1619", function()
    local zero = ("\0"):rep(32)
    local got = crypto.xts_encrypt(zero, zero:sub(1, 16), zero)
    assert.equal("917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e", digest.hex(got))
    assert.equal(zero, crypto.xts_decrypt(zero, zero:sub(1, 16), got))
  end)

  it("refuses wrong sizes", function()
    local k = ("k"):rep(32)
    assert.has_error(function() crypto.xts_encrypt("k", k:sub(1, 16), k) end)
    assert.has_error(function() crypto.xts_encrypt(k, "t", k) end)
    assert.has_error(function() crypto.xts_decrypt(k, k:sub(1, 16), "short") end)
    assert.has_error(function() crypto.random(-1) end)
    assert.equal("", crypto.random(0))
  end)
end)

describe("the command nvs", function()
  local function path(name) return folder .. "/" .. name end
  local function good(words)
    local r = program.run(words)
    assert.equal(0, r.status, r.command .. "\n" .. r.out .. r.err)
    return r
  end
  local function bad(words, status, text)
    local r = program.run(words)
    assert.equal(status, r.status, r.command .. "\n" .. r.out .. r.err)
    assert.matches(text, r.err, 1, true)
  end
  setup(function()
    folder = program.folder()
    program.write(path "t.csv", golden.cases[2].csv)
    program.write(path "n.csv", golden.cases[1].csv)
    program.write(path "keys.bin", keys.encode(golden.KEYS))
    program.write(path "hmac.bin", golden.HMAC_KEY)
  end)
  teardown(program.clean)

  it("builds, shows, checks and decodes", function()
    good { "nvs", "build", path "t.csv", path "t.bin", "0x3000" }
    assert.equal(golden.digests.text.v2, md5(program.read(path "t.bin")))
    assert.matches("text       plain   string  5      hello\n", good { "nvs", "show", path "t.bin" }.out, 1, true)
    assert.matches("6 keys in 3 pages; nothing is wrong", good { "nvs", "check", path "t.bin" }.out, 1, true)
    assert.matches("\n0     0x0     active  0       2 ", good { "nvs", "pages", path "t.bin" }.out, 1, true)
    local text = good { "nvs", "decode", path "t.bin" }.out
    good { "nvs", "decode", path "t.bin", "-o", path "back.csv" }
    assert.equal(text, program.read(path "back.csv"))
    assert.matches('quoted,data,string,"a ""b"", c\nsecond line"\n', text, 1, true)
    good { "nvs", "build", path "t.csv", path "both.bin", "12k", "--add", path "n.csv" }
    assert.matches("15 keys in 3 pages", good { "nvs", "check", path "both.bin" }.out, 1, true)
    local events = program.events(good { "nvs", "show", path "both.bin", "--json" }.out)
    local by_key = {}
    for _, e in ipairs(events) do by_key[e.key or ""] = e end
    assert.equal("18446744073709551615", by_key.g.value)
    assert.equal("größe", by_key.umlaut.value)
  end)

  it("encrypts and decrypts", function()
    good { "nvs", "build", path "t.csv", path "e.bin", "0x3000", "--key", path "keys.bin" }
    assert.equal(golden.digests.text.encrypted, md5(program.read(path "e.bin")))
    bad({ "nvs", "show", path "e.bin" }, 14, "is it encrypted? then its keys are needed")
    good { "nvs", "decrypt", path "e.bin", path "d.bin", "--key", path "keys.bin" }
    assert.equal(golden.digests.text.v2, md5(program.read(path "d.bin")))
    good { "nvs", "key", path "k.bin", "--hmac-key", path "hmac.bin" }
    assert.equal(golden.HMAC_PAGE, md5(program.read(path "k.bin")))
    good { "nvs", "build", path "t.csv", path "e2.bin", "0x3000", "--hmac-key", path "hmac.bin" }
    good { "nvs", "check", path "e2.bin", "--key", path "k.bin" }
    local r = good { "nvs", "build", path "t.csv", path "e3.bin", "0x3000", "--new-key", path "new.bin" }
    good { "nvs", "check", path "e3.bin", "-k", path "new.bin" }
    assert.is_nil((r.out .. r.err):find(digest.hex(program.read(path "new.bin"):sub(1, 4)), 1, true))
  end)

  it("reads a partition of a chip", function()
    local sim = "sim:esp32c3?flash=" .. path "board.bin"
    program.write(path "p.csv", "cfg,data,nvs,0x9000,12K\nfactory,app,factory,,64K\n")
    good { "partition", "convert", path "p.csv", path "p.bin" }
    good { "nvs", "build", path "t.csv", path "t.bin", "0x3000" }
    good { "flash", "-p", sim, "0x8000", path "p.bin", "0x9000", path "t.bin" }
    assert.matches("plain   string  5      hello", good { "nvs", "show", "-p", sim }.out, 1, true)
    assert.matches("partition cfg: 6 keys", good { "nvs", "check", "-p", sim, "--partition", "cfg" }.out, 1, true)
  end)

  it("refuses", function()
    bad({ "nvs", "build", path "t.csv", path "x.bin" }, 2, "argument SIZE is missing")
    bad({ "nvs", "build", path "t.csv", path "x.bin", "big" }, 2, "argument SIZE: 'big' is not valid")
    bad({ "nvs", "build", path "none.csv", path "x.bin", "0x3000" }, 14, "none.csv: no such file")
    bad({ "nvs", "build", path "t.csv", path "x.bin", "0x3100" }, 2, "cannot have 12544 bytes")
    bad({ "nvs", "build", path "t.csv", path "x.bin", "0x3000", "--key", path "t.csv" }, 14, "checksum at 0x40")
    program.write(path "w.csv", HEAD .. "n,namespace,,\nk,data,u8,256\n")
    bad({ "nvs", "build", path "w.csv", path "x.bin", "0x3000" }, 14,
        "w.csv: line 3: key k: 256 is not in the range of u8")
    assert.is_nil(program.read(path "x.bin"))
    program.write(path "damaged.bin", damaged(64 + 32 + 24, "\0"))
    bad({ "nvs", "check", path "damaged.bin" }, 14, "page 0 (0x0), entry 1")
    bad({ "nvs", "decode", path "damaged.bin" }, 14, "page 0 (0x0), entry 1")
    assert.matches("b,data,i8,-128", good { "nvs", "decode", path "damaged.bin", "--force" }.out, 1, true)
    bad({ "nvs", "decrypt", path "damaged.bin", path "x.bin" }, 2, "--key or --hmac-key is missing")
  end)
end)
