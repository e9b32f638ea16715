local program = require "spec.support.program"
local run = program.run

describe("the interpreter", function()
  local folder
  before_each(function() folder = program.folder() end)
  after_each(program.clean)

  local function script(name, text)
    return program.write(folder .. "/" .. name, text)
  end

  it("takes lua's options", function()
    assert.equal("1\t2\n", run({ "-e", "x = 1", "-e", "print(x, 2)" }).out)
    assert.equal("hi\n", run({ "-eprint 'hi'" }).out)
    assert.equal("table\n", run({ "-l", "esp.json", "-e", "print(type(_G['esp.json']))" }).out)
    assert.equal("[1]\n", run({ "-l", "j=esp.json", "-e", "print(j.encode{1})" }).out)
    assert.matches("^esplua %d+%.%d+%.%d+ %(Lua 5%.4%)\n$", run({ "-v" }).out)
    assert.equal("", run({ "-e", "warn 'x'" }).err)
    assert.equal("Lua warning: x\n", run({ "-W", "-e", "warn 'x'" }).err)
    assert.equal("nil\n", run({ "-E", "-e", "print(x)" }, { env = { LUA_INIT = "x = 1" } }).out)
    assert.equal("1\n", run({ "-e", "print(x)" }, { env = { LUA_INIT = "x = 1" } }).out)
  end)

  it("refuses options that it does not have, or without their value", function()
    for _, argv in ipairs { { "-x" }, { "--nothing" }, { "-e" }, { "-l" }, { "-vi" } } do
      local r = run(argv)
      assert.equal(2, r.status)
      assert.matches("option '" .. argv[1]:gsub("%-", "%%-") .. "'", r.err)
      assert.equal("", r.out)
    end
  end)

  it("gives a script its arguments", function()
    local path = script("a.lua", "print(arg[0], arg[1], arg[2], #arg, arg[-1] ~= nil, select('#', ...), ...)")
    assert.equal(path .. "\t-x\tb\t2\ttrue\t2\t-x\tb\n", run({ path, "-x", "b" }).out)
    assert.equal("-\t1\n", run({ "-", "1" }, { input = "print(arg[0], ...)" }).out)
    assert.equal("stdin\n", run({}, { input = "print 'stdin'" }).out)
  end)

  it("runs a script that names it in its first line", function()
    local path = script("sh", "#!/usr/bin/env esplua\nprint(debug.getinfo(1, 'l').currentline)")
    assert.equal("2\n", run({ path }).out)
  end)

  describe("looks for a script", function()
    it("as a path, with .lua, in ESPLUA_PATH, and among its own", function()
      assert.matches("^%d+%.%d+%.%d+\n$", run({ "version" }, { cwd = folder }).out)
      assert.matches("^%d+%.%d+%.%d+\n$", run({ "version.lua" }, { cwd = folder }).out)
      local elsewhere = program.folder()
      program.write(elsewhere .. "/version.lua", "print 'from the path'")
      local env = { ESPLUA_PATH = "/nonexistent:" .. elsewhere .. "/" }
      assert.equal("from the path\n", run({ "version" }, { cwd = folder, env = env }).out)
      assert.matches("^%d+%.%d+", run({ "-E", "version" }, { cwd = folder, env = env }).out)
      script("version.lua", "print 'from here'")
      assert.equal("from here\n", run({ "version" }, { cwd = folder, env = env }).out)
      assert.equal("from here\n", run({ "version.lua" }, { cwd = folder }).out)
      script("version", "print 'as it is'")
      assert.equal("as it is\n", run({ "version" }, { cwd = folder }).out)
    end)

    it("and passes over folders", function()
      os.execute("mkdir " .. folder .. "/version")
      assert.matches("^%d+%.%d+", run({ "version" }, { cwd = folder }).out)
      local r = run({ folder })
      assert.equal(2, r.status)
      assert.matches("is a directory, not a script", r.err)
    end)

    it("and names the nearest command when there is none", function()
      local r = run({ "verzion" }, { cwd = folder })
      assert.equal(2, r.status)
      assert.matches("did you mean version?", r.err, 1, true)
      assert.equal("", r.out)
    end)
  end)

  describe("requires", function()
    it("from ESPLUA_PATH and the script's own folder before its own library", function()
      local path = script("a.lua", "print(require('esp.version'), require('mine'), package.searchpath)")
      os.execute("mkdir -p " .. folder .. "/esp")
      script("mine.lua", "return 'mine'")
      assert.matches("^%d+%.%d+%.%d+\tmine\t", run({ path }).out)
      script("esp/version.lua", "return 'own'")
      assert.matches("^own\tmine", run({ path }).out)
      local elsewhere = program.folder()
      os.execute("mkdir -p " .. elsewhere .. "/lua/esp")
      program.write(elsewhere .. "/lua/esp/version.lua", "return 'path'")
      assert.matches("^path\tmine", run({ path }, { env = { ESPLUA_PATH = elsewhere } }).out)
      assert.matches("^own\tmine", run({ "-E", path }, { env = { ESPLUA_PATH = elsewhere } }).out)
    end)

    it("its own library before what lies about", function()
      script("esp.lua", "return 'stray'")
      assert.equal("table\n", run({ "-e", "print(type(require 'esp'))" }, { cwd = folder }).out)
    end)
  end)

  describe("when a script fails", function()
    it("says file and line, and more with --debug", function()
      local path = script("a.lua", "local function f() local x = nil + 1 end\nf()")
      local r = run({ path })
      assert.equal(1, r.status)
      assert.equal("esplua: " .. path .. ":1: attempt to perform arithmetic on a nil value\n", r.err)
      r = run({ "--debug", path })
      assert.equal(1, r.status)
      assert.matches("stack traceback:.*a%.lua:2: in main chunk", r.err)
    end)

    it("says message and hint of an error object, and ends with the status of its class", function()
      local path = script("a.lua", [[require "esp.error" { code = arg[1], message = "it is busy", hint = "wait" }]])
      local r = run({ path, "port_busy" })
      assert.equal(10, r.status)
      assert.equal("esplua: it is busy\n  hint: wait\n", r.err)
      assert.equal(21, run({ path, "verify_failed" }).status)
      assert.equal(1, run({ path, "own_code" }).status)
      assert.matches("stack traceback", run({ "--debug", path, "port_busy" }).err)
    end)

    it("copes with errors of every kind", function()
      for text, message in pairs { ["error {}"] = "error object is a table value",
                                   ["error {message = 'm', code = 'timeout'}"] = "m",
                                   ["error()"] = "error object is a nil value", ["error(5)"] = "5",
                                   ["x = = 1"] = "unexpected symbol near '='",
                                   ["local s = string.rep('x', 100) error(setmetatable({}, {__tostring = error}))"] =
                                     "error object is a table value" } do
        local r = run({ "-e", text })
        assert.is_true(r.status ~= 0, text)
        assert.matches(message, r.err, 1, true)
        assert.equal(1, select(2, r.err:gsub("\n", "")), text)
      end
      local r = run({ "-" }, { input = "print(1" })
      assert.equal(1, r.status)
      assert.matches("stdin:1:", r.err)
    end)

    it("ends a runaway recursion and a shortage of memory with a message", function()
      local r = run({ "-e", "local function f() return 1 + f() end f()" })
      assert.equal(1, r.status)
      assert.matches("stack overflow", r.err)
    end)

    it("closes what is open", function()
      local path = script("a.lua", [[
        local x <close> = setmetatable({}, { __close = function() print "closed" end })
        local how = ...
        if how == "error" then error "oops" end
        if how == "exit" then os.exit(7) end
        local task = require "esp.core.task"
        if how == "task" then task.spawn(function() os.exit(8) end) task.run() end]])
      for how, status in pairs { error = 1, exit = 7, task = 8, none = 0 } do
        local r = run({ path, how })
        assert.equal("closed\n", r.out, how)
        assert.equal(status, r.status, how)
      end
      assert.equal("", run({ "-e", "local x <close> = setmetatable({}, {__close = print}) os.exit(0, false)" }).out)
    end)
  end)

  it("ends with the status that os.exit is given", function()
    assert.equal(0, run({ "-e", "os.exit(true)" }).status)
    assert.equal(1, run({ "-e", "os.exit(false)" }).status)
    assert.equal(42, run({ "-e", "print 'x' os.exit(42)" }).status)
    assert.equal("x\n", run({ "-e", "io.write 'x\\n' os.exit(0)" }).out)
  end)

  it("says when its output cannot be written", function()
    local full = io.open("/dev/full", "w")
    if not full then return end
    full:close()
    local r = run({ "-e", "print 'x'" }, { out = "/dev/full" })
    assert.equal(16, r.status)
    assert.matches("standard output", r.err)
    r = run({ "esptool", "version" }, { out = "/dev/full" })
    assert.equal(2, r.status)
    assert.matches("standard output", r.err)
  end)

  it("works without standard input, output and error, and lets no port take their place", function()
    for _, closed in ipairs { "<&- >/dev/null", ">&-", ">/dev/null 2>&-", "<&- >&- 2>&-" } do
      local file = program.write(folder .. "/closed.bin", ("closed"):rep(100))
      local flash = folder .. "/closed.flash"
      local command = ("'%s' flash --before no-reset --after no-reset -p 'sim:esp32c3?flash=%s' 0x1000 '%s' %s")
        :format(program.binary(), flash, file, closed)
      local _, how, status = os.execute(command)
      assert.same({ "exit", 0 }, { how, status }, closed)
      assert.equal(("closed"):rep(100), program.read(flash):sub(0x1001, 0x1000 + 600))
      os.remove(flash)
    end
  end)

  it("prints help, version and licences", function()
    local r = run({ "--help" })
    assert.equal(0, r.status)
    for _, name in ipairs { "flash", "read", "erase", "verify", "info", "mem", "run", "ports", "version", "--debug" } do
      assert.matches("\n  " .. name:gsub("%-", "%%-") .. " ", r.out)
    end
    for line in r.out:gmatch "\n  %l+  +([^\n]*)\n" do assert.is_true(#line > 0) end
    assert.matches("^esplua %d+%.%d+%.%d+ %(Lua 5%.4%)\n$", run({ "--version" }).out)
    local licenses = run({ "--licenses" }).out
    for _, name in ipairs { "esplua", "Lua", "libserialport", "zlib", "Mbed TLS", "Nettle", "libuv", "libedit",
                            "libbsd", "libmd", "ncurses", "GNU LESSER GENERAL PUBLIC LICENSE", "Apache License" } do
      assert.matches(name, licenses, 1, true)
    end
  end)
end)

describe("the prompt without a terminal", function()
  local function lines(text, options)
    return run(options or { "-i" }, { input = text })
  end

  it("prints results of expressions and goes on after errors", function()
    local r = lines "1+1, 'x'\nx = 5\n=x\nerror 'oops'\nerror{code='port_busy',message='m'}\nprint(\n10)\nnil\n"
    assert.equal(0, r.status)
    assert.equal("2\tx\n5\n10\nnil\n", r.out:gsub("^esplua [^\n]*\n", ""))
    assert.equal("esplua: stdin:1: oops\nesplua: m\n", r.err)
  end)

  it("reads on while a statement is incomplete", function()
    local r = lines "for i = 1, 2 do\n\nprint(i)\nend\nprint [[a\nb]]\nf = function("
    assert.equal("1\n2\na\nb\n", r.out:gsub("^esplua [^\n]*\n", ""))
    assert.equal("esplua: stdin: the input ends within a statement\n", r.err)
  end)

  it("has esp loaded, and comes after the script", function()
    local r = lines("esp.json.encode{1}\nx", { "-i", "-e", "x = 7" })
    assert.equal("[1]\n7\n", r.out:gsub("^esplua [^\n]*\n", ""))
  end)
end)
