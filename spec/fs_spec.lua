local fs = require "esp.core.fs"

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read "a"
  f:close()
  return text
end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

local function sh(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  pipe:close()
  return (text:gsub("\n$", ""))
end

describe("a file that is written", function()
  local dir

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(fs.mkdir(dir))
  end)
  after_each(function() os.execute("chmod -R u+w " .. dir .. "; rm -r " .. dir) end)

  it("has its name only when it is whole", function()
    local path = dir .. "/out.bin"
    local f <close> = assert(fs.create(path))
    assert(f:write("abc", "\0def"))
    assert.is_false(fs.exists(path))
    assert.equal(1, #fs.list(dir))
    assert(f:commit())
    assert.same({ "out.bin" }, fs.list(dir))
    assert.equal("abc\0def", read(path))
    assert.error_matches(function() f:write "more" end, "closed")
    assert.error_matches(function() f:commit() end, "closed")
  end)

  it("leaves nothing behind when it is dropped, by close, by scope and by the collector", function()
    local path = dir .. "/out.bin"
    write(path, "old")
    local f = assert(fs.create(path))
    f:write "new"
    f:close()
    f:close()
    do
      local scoped <close> = assert(fs.create(path))
      scoped:write "new"
    end
    assert(fs.create(path)):write "new"
    collectgarbage()
    assert.same({ "out.bin" }, fs.list(dir))
    assert.equal("old", read(path))
  end)

  it("keeps the rights of the file that it replaces, and obeys the user's mask for a new one", function()
    local path = dir .. "/key.pem"
    write(path, "old")
    os.execute("chmod 640 " .. path)
    local f = assert(fs.create(path))
    f:write "new"
    assert(f:commit())
    assert.equal("640", sh("stat -c %a " .. path))
    assert.equal("new", read(path))
    f = assert(fs.create(dir .. "/fresh"))
    assert(f:commit())
    write(dir .. "/plain", "")
    assert.equal(sh("stat -c %a " .. dir .. "/plain"), sh("stat -c %a " .. dir .. "/fresh"))
  end)

  it("is written through a link", function()
    write(dir .. "/real", "old")
    os.execute("ln -s real " .. dir .. "/link")
    local f = assert(fs.create(dir .. "/link"))
    f:write "new"
    assert(f:commit())
    assert.equal("new", read(dir .. "/real"))
    assert.equal("real", sh("readlink " .. dir .. "/link"))
  end)

  it("may be a device, which is written at once", function()
    local f = assert(fs.create "/dev/null")
    assert(f:write "x")
    assert(f:commit())
    assert.equal("character special file", sh "stat -c %F /dev/null")
  end)

  it("is refused with path, reason and code", function()
    for _, case in ipairs {
      { dir, "bad_file", "directory" },
      { dir .. "/", "bad_file", "directory" },
      { dir .. "/none/out", "file_missing", "No such file" },
      { "", "file_missing", "No such file" },
      { dir .. "/" .. ("x"):rep(300), "bad_file", "too long" },
    } do
      local f, message, code = fs.create(case[1])
      assert.is_nil(f)
      assert.equal(case[2], code)
      assert.matches(case[3], message)
      assert.equal(1, message:find(case[1], 1, true))
    end
    assert.same({}, fs.list(dir))
  end)

  it("is refused where one must not write", function()
    if sh "id -u" == "0" then return pending "the superuser may write anywhere" end
    write(dir .. "/locked", "old")
    os.execute("chmod 444 " .. dir .. "/locked")
    assert.equal("file_denied", select(3, fs.create(dir .. "/locked")))
    os.execute("chmod 555 " .. dir)
    assert.equal("file_denied", select(3, fs.create(dir .. "/new")))
  end)

  it("that finds the disk full says so, and cannot be committed any more", function()
    local f = assert(fs.create "/dev/full")
    local ok, message, code = f:write(("x"):rep(100))
    assert.is_nil(ok)
    assert.equal("disk_full", code)
    assert.matches("^/dev/full: No space left", message)
    assert.equal("disk_full", select(3, f:commit()))
  end)

  it("that finds the disk full half-way leaves the old file and no other", function()
    -- a limit on the size of files stands for the disk: SIGXFSZ ignored, writing fails in the middle
    local path, script = dir .. "/out.bin", dir .. "/script.lua"
    write(path, "old")
    write(script, ([[
      local f = assert(require "esp.core.fs".create %q)
      print(select(3, f:write(("x"):rep(100000))))
      print(select(3, f:commit()))]]):format(path))
    local esplua = os.getenv "ESPLUA" or arg and arg[-1] or "build/esplua"
    local out = sh(("(ulimit -f 16; trap '' XFSZ; exec %s %s)"):format(esplua, script))
    assert.equal("disk_full\ndisk_full", out)
    assert.equal("old", read(path))
    assert.same({ "out.bin", "script.lua" }, fs.list(dir))
  end)
end)

describe("a folder", function()
  local dir
  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
  end)
  after_each(function() os.execute("rm -rf " .. dir) end)

  it("is made, with those above it when asked", function()
    local _, message, code = fs.mkdir(dir .. "/a/b")
    assert.equal("file_missing", code)
    assert.equal(1, message:find(dir, 1, true))
    assert(fs.mkdir(dir .. "/a/b", true))
    assert(fs.mkdir(dir .. "/a/b/", true))
    assert.equal("file_failed", select(3, fs.mkdir(dir)))
    write(dir .. "/a/file", "")
    assert.is_nil(fs.mkdir(dir .. "/a/file/c", true))
    assert.is_nil(fs.mkdir("", true))
  end)

  it("is listed in order", function()
    assert(fs.mkdir(dir))
    for _, name in ipairs { "b", "a", ".c" } do write(dir .. "/" .. name, "") end
    assert.same({ ".c", "a", "b" }, fs.list(dir))
    assert.equal("file_missing", select(3, fs.list(dir .. "/none")))
    assert.equal("file_missing", select(3, fs.list(dir .. "/a")))
  end)

  it("and files are told apart, and removed", function()
    assert(fs.mkdir(dir))
    write(dir .. "/file", "12345")
    assert.equal("dir", fs.stat(dir).type)
    local st = fs.stat(dir .. "/file")
    assert.equal("file", st.type)
    assert.equal(5, st.size)
    assert.is_true(math.abs(st.mtime - os.time()) < 3600)
    assert.equal("other", fs.stat "/dev/null".type)
    assert.equal("file_missing", select(3, fs.stat(dir .. "/none")))
    assert.is_nil(fs.remove(dir))
    assert(fs.remove(dir .. "/file"))
    assert.is_false(fs.exists(dir .. "/file"))
    assert(fs.remove(dir))
    assert.equal("file_missing", select(3, fs.remove(dir)))
  end)

  it("has a home and a current one", function()
    assert.equal(sh "pwd -P", fs.cwd())
    assert.is_string(fs.home())
    assert.equal(fs.cwd(), fs.realpath ".")
    assert.is_nil(fs.realpath "/nonexistent/x")
  end)
end)
