local cli = require "esp.cli"
local types = require "esp.cli.types"
local program = require "spec.support.program"

local DECL = {
  summary = "A command.", examples = { "cmd 0x10 a.bin" },
  cli.connection, cli.flash_parameters,
  { "address", type = "address" },
  { "size", type = "size", all = true, optional = true },
  { "--erase-all", "-e" },
  { "--compress", "-z", excludes = "--no-compress" },
  { "--no-compress", "-u" },
}

local PAIRS = { { "files", type = { "address", "file" }, many = true, metavar = "ADDRESS FILE" }, { "--diff", "-d" },
                { "--encrypt-files", type = { "address", "file" }, many = true } }

local MEM = { commands = {
  { name = "read", { "address", type = "address" } },
  { name = "write", { "address", type = "address" }, { "value", type = "int" }, { "--twice" } },
}, cli.connection }

local function wrong(decl, argv)
  local err = assert.has_error(function() cli.read(decl, argv) end)
  assert.is_table(err)
  return err
end

describe("a number on the command line", function()
  for text, value in pairs { ["10"] = 10, ["0x10"] = 16, ["0X1f"] = 31, ["0o17"] = 15, ["0b101"] = 5, ["-3"] = -3,
                             ["007"] = 7 } do
    it(text .. " is " .. value, function() assert.equal(value, types.integer(text)) end)
  end
  for _, text in ipairs { "", "0x", "1.5", "1e3", "0b2", "0o8", "ten", "0xG", "10k", " 1", "0x10000000000000000",
                          "99999999999999999999" } do
    it(("%q is refused"):format(text), function() assert.is_nil(types.integer(text)) end)
  end
  for text, value in pairs { ["64k"] = 65536, ["64K"] = 65536, ["1M"] = 1048576, ["4MB"] = 4194304, ["0x1000"] = 4096,
                             ["16KiB"] = 16384, ["0"] = 0 } do
    it("of bytes " .. text .. " is " .. value, function() assert.equal(value, types.bytes(text)) end)
  end
  for _, text in ipairs { "-1", "k", "1T", "0x10k", "1.5M", "all" } do
    it(("of bytes %q is refused"):format(text), function() assert.is_nil(types.bytes(text)) end)
  end
end)

describe("a command line", function()
  it("takes options before and after arguments, in all their forms", function()
    for _, argv in ipairs {
      { "-p", "/dev/ttyUSB0", "-b", "921600", "-e", "0x10", "64k" },
      { "0x10", "64k", "--port", "/dev/ttyUSB0", "--baud=921600", "--erase-all" },
      { "0x10", "-p/dev/ttyUSB0", "64k", "-b921600", "--erase_all" },
      { "--port=/dev/ttyUSB0", "--baud", "921600", "-e", "--", "0x10", "64k" },
    } do
      local args = cli.read(DECL, argv)
      assert.equal("/dev/ttyUSB0", args.port)
      assert.equal(921600, args.baud)
      assert.equal(16, args.address)
      assert.equal(65536, args.size)
      assert.is_true(args.erase_all)
      assert.is_false(args.compress)
    end
  end)

  it("takes both spellings of old and new values", function()
    local args = cli.read(DECL, { "--before", "default_reset", "--after=no_reset_stub", "-fm", "DIO", "-ff", "40m",
                                  "--flash_size", "4mb", "-c", "ESP32-C3", "1" })
    assert.equal("default-reset", args.before)
    assert.equal("no-reset-stub", args.after)
    assert.equal("dio", args.flash_mode)
    assert.equal("4MB", args.flash_size)
    assert.equal("esp32c3", args.chip)
    args = cli.read(DECL, { "-ff", "80MHz", "1" })                 -- as espflash has it
    assert.equal("80m", args.flash_freq)
  end)

  it("knows what was given from what is a default", function()
    local args = cli.read(DECL, { "1", "ALL" })
    assert.equal("keep", args.flash_mode)
    assert.is_nil(args.given.flash_mode)
    assert.is_true(args.given.address)
    assert.equal("all", args.size)
    assert.is_nil(args.port)
  end)

  it("lets switches stand together and repeated options gather", function()
    local args = cli.read(DECL, { "-ezv", "--port-filter", "vid=0x303a", "pid=0x1001", "--port-filter=name=ACM", "5" })
    assert.is_true(args.erase_all and args.compress and args.verbose)
    assert.same({ "vid=0x303a", "pid=0x1001", "name=ACM" }, args.port_filter)
    assert.equal(5, args.address)
  end)

  it("takes a negative number as the value of an option", function()
    assert.equal(-1, cli.read(DECL, { "--connect-attempts", "-1", "5" }).connect_attempts)
  end)

  for _, case in ipairs {
    { "an option is unknown", { "--flash-sizee", "4MB", "1" },
      "unknown option --flash-sizee, did you mean --flash-size?" },
    { "an option is abbreviated", { "--connect", "1" }, "unknown option --connect, did you mean --connect-attempts?" },
    { "nothing is near", { "--qqqqqqqqqqq", "1" }, "unknown option --qqqqqqqqqqq" },
    { "a short option is unknown", { "-x", "1" }, "unknown option -x" },
    { "a value is missing", { "1", "--port" }, "option --port needs a value: PORT" },
    { "an option follows instead of a value", { "--port", "--baud", "9600", "1" }, "option --port needs a value" },
    { "a switch gets a value", { "--erase-all=yes", "1" }, "option --erase-all takes no value" },
    { "an address is no number", { "app.bin" }, "argument ADDRESS: 'app.bin' is not valid, expected a number" },
    { "an address is negative", { "-5" }, "argument ADDRESS: '-5' is not valid, expected at least 0" },
    { "an address has more than 32 bits", { "0x100000000" }, "expected at most 0xFFFFFFFF" },
    { "a size is zero", { "1", "0" }, "argument SIZE: '0' is not valid, expected at least 1" },
    { "an argument is missing", {}, "argument ADDRESS is missing" },
    { "there is one too many", { "1", "2", "3" }, "'3' is one argument too many" },
    { "a choice is wrong", { "--flash-mode", "dioo", "1" }, "did you mean dio?" },
    { "a chip is unknown", { "-c", "esp33", "1" }, "'esp33' is not valid, expected one of auto, esp8266" },
    { "options exclude each other", { "-z", "-u", "1" }, "options --compress and --no-compress exclude each other" },
    { "silence is to be verbose", { "-s", "-v", "1" }, "options --silent and --verbose exclude each other" },
    { "a baud rate is zero", { "-b", "0", "1" }, "option -b: '0' is not valid, expected at least 1" },
    { "a port is empty", { "-p", "", "1" }, "option -p: '' is not valid, expected a value" },
  } do
    it("is refused when " .. case[1], function()
      local err = wrong(DECL, case[2])
      assert.equal("usage", err.code)
      assert.matches(case[3], err.message, 1, true)
      assert.is_nil(err.message:find "\n")
    end)
  end

  it("has nothing checked when help is asked for", function()
    assert.is_true(cli.read(DECL, { "--help" }).help)
    assert.is_true(cli.read(MEM, { "write", "-h" }).help)
    assert.equal("write", cli.read(MEM, { "write", "-h" }).command)
  end)
end)

describe("pairs of address and file", function()
  local folder, a, b
  setup(function()
    folder = program.folder()
    a, b = program.write(folder .. "/a.bin", "a"), program.write(folder .. "/b.bin", "b")
  end)
  teardown(program.clean)

  it("are taken in order", function()
    local args = cli.read(PAIRS, { "0x0", a, "-d", "0x8000", b })
    assert.same({ { 0, a }, { 0x8000, b } }, args.files)
  end)

  it("may follow an option that takes several", function()
    local args = cli.read(PAIRS, { "0", a, "--encrypt-files", "0x1000", b, "0x2000", a, "--diff" })
    assert.same({ { 0x1000, b }, { 0x2000, a } }, args.encrypt_files)
    assert.is_true(args.diff)
  end)

  it("may come from a file of arguments", function()
    local list = program.write(folder .. "/flash_args", "--diff 0x0 '" .. a .. "'\n0x8000 \"" .. b .. '"\n')
    local args = cli.read(PAIRS, { "@" .. list })
    assert.same({ { 0, a }, { 0x8000, b } }, args.files)
    assert.is_true(args.diff)
    assert.equal("file_missing", wrong(PAIRS, { "@" .. folder .. "/none" }).code)
    program.write(list, "0x0 'never closed")
    assert.matches("quotation mark", wrong(PAIRS, { "@" .. list }).message)
    program.write(list, ("x"):rep((1 << 20) + 1))
    assert.matches("too large", wrong(PAIRS, { "@" .. list }).message)
  end)

  it("are split as a shell splits them", function()
    local split = require "esp.cli.parser".split
    for text, words in pairs {
      [""] = {}, [" \t\n"] = {}, ["a  b\r\nc"] = { "a", "b", "c" }, ["''"] = { "" }, [ [["" x]] ] = { "", "x" },
      [ [[a' b'"c d"e]] ] = { "a bc de" }, [ [[a\ b \"]] ] = { "a b", '"' }, ["a\\\nb"] = { "ab" },
      [ [["a\"b\x" 'c\d']] ] = { [[a"b\x]], [[c\d]] }, ["a\\"] = { "a\\" },
    } do
      assert.same(words, split(text), text)
    end
    assert.same({ ("x"):rep(5000) }, split(("x"):rep(5000)))
  end)

  it("are refused when a file is missing, a folder, or has no address", function()
    local err = wrong(PAIRS, { "0", folder .. "/none.bin" })
    assert.equal("file_missing", err.code)
    assert.equal(folder .. "/none.bin: no such file", err.message)
    err = wrong(PAIRS, { "0", folder })
    assert.equal("bad_file", err.code)
    assert.matches("is a directory", err.message)
    local pipe = folder .. "/pipe"                       -- nobody writes to it: opening it would wait
    if os.execute(("mkfifo '%s'"):format(pipe)) then
      err = wrong(PAIRS, { "0", pipe })
      assert.equal("bad_file", err.code)
      assert.matches("pipe: is not a regular file", err.message, 1, true)
    end
    assert.equal("0x0 without FILE after it", wrong(PAIRS, { "0x0" }).message)
    assert.matches("argument ADDRESS: '" .. a .. "' is not valid", wrong(PAIRS, { a, "0x0" }).message, 1, true)
  end)
end)

describe("a file to be written", function()
  local OUT = { { "file", type = "output" } }
  it("needs a folder that is there and must not be one itself", function()
    assert.equal("file_missing", wrong(OUT, { "/nonexistent/out.bin" }).code)
    assert.equal("bad_file", wrong(OUT, { "/tmp" }).code)
    assert.equal("bad_file", wrong(OUT, { "/tmp/" }).code)
    assert.equal("out.bin", cli.read(OUT, { "out.bin" }).file)
  end)
end)

describe("a command with commands", function()
  it("takes options on both sides of the name", function()
    for _, argv in ipairs { { "-p", "x", "write", "4", "5", "--twice" }, { "write", "--twice", "4", "-p", "x", "5" },
                            { "--twice", "write", "4", "5", "-p", "x" } } do
      local args = cli.read(MEM, argv)
      assert.equal("write", args.command)
      assert.equal(4, args.address)
      assert.equal(5, args.value)
      assert.equal("x", args.port)
      assert.is_true(args.twice)
    end
  end)

  it("names the commands when there is none or a wrong one", function()
    assert.matches("one of read, write", wrong(MEM, {}).message)
    assert.matches("did you mean write?", wrong(MEM, { "wirte", "1" }).message, 1, true)
    assert.matches("unknown option --twice", wrong(MEM, { "read", "1", "--twice" }).message, 1, true)
  end)
end)

describe("the help", function()
  it("shows every option that is not hidden, within the width", function()
    for width = 40, 120, 40 do
      local text = cli.help(DECL, "cmd", width)
      for _, name in ipairs { "--port", "--flash-mode", "--erase-all", "--json", "ADDRESS", "[SIZE]", "esplua cmd" } do
        assert.matches(name, text, 1, true)
      end
      if width >= 80 then
        for line in text:gmatch "[^\n]+" do assert.is_true(#line <= width, line) end
      end
    end
  end)

  it("is there for every stock script, with examples that its own parser takes", function()
    local shell, pack = require "esp.shell", require "esp.core.pack"
    local names = shell.commands()
    assert.is_true(#names >= 9)
    for _, name in ipairs(names) do
      local decl = cli.declaration((pack.read("scripts/" .. name .. ".lua"):gsub("^#[^\n]*", "")), name)
      assert.is_table(decl, name)
      assert.is_true(#decl.summary > 0 and #decl.examples > 0, name)
      for _, example in ipairs(decl.examples) do
        local ours = example:gsub(" | .*$", "")           -- and not what it is piped to
        local words = require "esp.cli.parser".split(ours)
        local command = table.remove(words, 1)
        assert.equal(name, (command:gsub("%.lua$", "")), example)
        local ok, err = pcall(require "esp.cli.parser".parse, decl, words)
        -- The files of an example need not be there.
        assert.is_true(ok or err.code == "file_missing", tostring(err) .. " in: " .. example)
      end
    end
  end)
end)

describe("a declaration with a mistake", function()
  for _, case in ipairs {
    { "an unknown type", { { "x", type = "colour" } }, "unknown type" },
    { "a positional without type", { { "x" } }, "needs a type" },
    { "an option twice", { { "--port", type = "string" }, cli.connection }, "declared twice" },
  } do
    it("is found: " .. case[1], function()
      local err = assert.has_error(function() cli.read(case[2], {}) end)
      assert.matches(case[3], err, 1, true)
    end)
  end
end)
