local payload = require "esp.core.payload"
local digest = require "esp.core.digest"
local zlib = require "esp.core.zlib"
local task = require "esp.core.task"

local function noise(n)
  local t, x = {}, 99
  for i = 1, n // 8 + 1 do
    x = x ~ (x << 13)
    x = x ~ (x >> 7)
    x = x ~ (x << 17)
    t[i] = ("<i8"):pack(x)
  end
  return table.concat(t):sub(1, n)
end

local function text(n)
  local t = {}
  for i = 1, n // 4 + 1 do t[i] = ("%04x"):format(i % 5000) end
  return table.concat(t):sub(1, n)
end

describe("a payload", function()
  local dir, files

  local function file(bytes)
    local name = ("%s/%d.bin"):format(dir, #files + 1)
    files[#files + 1] = name
    local f <close> = assert(io.open(name, "wb"))
    f:write(bytes)
    return name
  end

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    files = {}
  end)
  after_each(function()
    os.execute("chmod 700 " .. dir .. "; rm -r " .. dir)
  end)

  describe("is refused", function()
    for _, case in ipairs {
      { "when the file is missing", function() return { file = dir .. "/none.bin" } end, "file_missing", "none.bin" },
      { "when a folder is missing", function() return { file = file "" .. "/x" } end, "file_missing", "/x" },
      { "when it is a directory", function() return { file = dir } end, "bad_file", "directory" },
      { "when it is no regular file", function() return { file = "/dev/null" } end, "bad_file", "regular" },
      { "when the file is too short for the size", function() return { file = file "abc", size = 4 } end,
        "bad_file", "3 bytes" },
      { "when it begins behind the end", function() return { file = file "abc", offset = 4 } end,
        "bad_file", "3 bytes" },
      { "when data is too short", function() return { data = "abc", offset = 1, size = 3 } end, "bad_file", "3 bytes" },
      { "when a patch lies outside", function() return { data = "abc", patches = { { 2, "xy" } } } end,
        "bad_argument", "patch 1" },
      { "when padding makes it too large", function() return { data = "abc", before = 0x100000000 } end,
        "bad_file", "larger" },
    } do
      it(case[1], function()
        local pl, message, code = payload.new(case[2]())
        assert.is_nil(pl)
        assert.equal(case[3], code)
        assert.matches(case[4], message, 1, true)
      end)
    end

    it("without permission", function()
      local name = file "abc"
      os.execute("chmod 000 " .. name)
      local readable = io.open(name, "rb")
      if readable then                       -- root may read everything
        readable:close()
        return
      end
      local pl, message, code = payload.new { file = name }
      assert.is_nil(pl)
      assert.equal("file_denied", code)
      assert.matches(name, message, 1, true)
    end)

    it("when the call is wrong", function()
      for _, bad in ipairs { {}, { file = "a", data = "b" }, { file = 1.5 }, { data = {} }, { file = "a\0b" },
        { data = "", offset = -1 },
        { data = "", size = -1 }, { data = "", pad = -1 }, { data = "", before = "x" }, { data = "", patches = 1 },
        { data = "", patches = { 1 } }, { data = "", patches = { { -1, "" } } },
        { data = "", patches = { { 0, 1 } } } } do
        assert.has_error(function() payload.new(bad) end)
      end
      assert.has_error(function() payload.new() end)
    end)
  end)

  it("notices a file that shrinks, grows or changes", function()
    for _, change in ipairs { "truncate -s 100000 %s", "truncate -s 300000 %s", "truncate -s 0 %s",
      "touch -d 2001-01-01 %s" } do
      local name = file(text(200000))
      local pl <close> = assert(payload.new { file = name })
      assert.equal(10, #pl:read(0, 10))
      os.execute(change:format(name))
      local bytes, message, code = pl:read(150000, 10)
      assert.is_nil(bytes)
      assert.equal("bad_file", code)
      assert.matches(name, message, 1, true)
      assert.equal("bad_file", select(3, pl:md5()))
      assert.equal("bad_file", select(3, pl:packed()))
      assert.equal("bad_file", select(3, pl:packed()))
    end
  end)

  it("cannot be used after close, which may happen twice", function()
    local pl = payload.new { data = "abc" }
    pl:close()
    pl:close()
    for _, method in ipairs { "size", "md5", "packed" } do
      assert.has_error(function() pl[method](pl) end)
    end
  end)

  it("keeps its file when that is renamed or removed", function()
    local name = file "abcdef"
    local pl <close> = payload.new { file = name }
    os.remove(name)
    assert.equal("abcdef", pl:read(0, 100))
  end)

  for _, source in ipairs { "file", "data" } do
    it("of " .. source .. " has 0xFF in front and behind, and patches", function()
      local pl <close> = payload.new {
        [source] = source == "file" and file "0123456789" or "0123456789", offset = 2, size = 6,
        before = 3, pad = 16, patches = { { 0, "A" }, { 4, "BC" }, { 2, "" } },
      }
      local want = "\xFF\xFF\xFFA345BC" .. ("\xFF"):rep(7)
      assert.equal(16, pl:size())
      assert.equal(want, pl:read(0, 100))
      for from = 0, 16 do
        for n = 0, 17 - from do assert.equal(want:sub(from + 1, from + n), pl:read(from, n)) end
      end
      assert.equal("", pl:read(1000, 10))
      assert.equal(digest.md5(want), pl:md5())
      assert.equal(digest.sha256(want), pl:sha256())
    end)
  end

  it("may be empty", function()
    local pl <close> = payload.new { file = file "" }
    assert.equal(0, pl:size())
    assert.equal("", pl:read(0, 10))
    assert.equal(digest.md5 "", pl:md5())
    assert.is_false(pl:packed())
  end)

  it("says how small it gets, once and for all", function()
    local bytes = text(300000)
    local pl <close> = payload.new { file = file(bytes) }
    local want = #zlib.deflate(bytes, 9)
    assert.equal(want, pl:packed())
    assert.equal(want, pl:packed())
  end)

  it("says when it does not get smaller", function()
    local pl <close> = payload.new { data = noise(500000) }
    assert.is_false(pl:packed())
    local tiny <close> = payload.new { data = "a" }
    assert.is_false(tiny:packed())
  end)

  it("is compressed by several tasks together, and survives being closed or abandoned meanwhile", function()
    local bytes = text(2000000)
    local want = #zlib.deflate(bytes, 9)
    local pl = payload.new { data = bytes }
    local started = 0
    local function work()
      started = started + 1
      return pl:packed()
    end
    local a, b, c = task.spawn(work), task.spawn(work), task.spawn(work)
    repeat task.sleep(0.001) until started == 3
    c:cancel()
    pl:close()
    assert.same({ true, want }, { a:join() })
    assert.same({ true, want }, { b:join() })
  end)
end)
