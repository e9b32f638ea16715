-- esptool's command line: both versions' spellings, what stands before and behind the command, files of arguments.
-- What is right and what is wrong comes from esptool 5.2's documentation and its answers to the same lines.
local args = require "esp.esptool.args"
local esptool = require "spec.support.esptool"
local program = require "spec.support.program"

local folder
local function path(name) return folder .. "/" .. name end

local function parse(text)
  local words = {}
  for word in text:gmatch "%S+" do words[#words + 1] = word end
  return args.parse(words)
end

local function usage(text, message)
  local ok, err = pcall(parse, text)
  assert.is_false(ok, text)
  assert.equal("usage", err.code, tostring(err))
  assert.matches(message, tostring(err) .. " / " .. tostring(err.hint), 1, true)
end

describe("esptool's arguments", function()
  setup(function()
    folder = program.folder()
    program.write(path "a", "aaaa")
    program.write(path "b", "bbbb")
  end)
  teardown(program.clean)

  it("mean one thing before the command and another behind it", function()
    local global, command, own = parse(("-p /dev/x -s -t -a no-reset write-flash -p -s -e 0 %s"):format(path "a"))
    assert.equal("/dev/x", global.port)
    assert.is_true(global.silent and global.trace)
    assert.equal("no-reset", global.after)
    assert.equal("write-flash", command.name)
    assert.is_true(own.no_progress and own.skip_flashed and own.erase_all)
    assert.same({ { 0, path "a" } }, own.addr_filename)
    usage("-e write-flash", "-e")
    usage("flash-id -p /dev/x", "-p")
  end)

  it("take values in every form", function()
    local global, _, own = parse("--chip=ESP32-S3 -b460800 -p=x read-flash 0x10 64k " .. path "out" .. " -fs=4MB")
    assert.equal("esp32s3", global.chip)
    assert.equal(460800, global.baud)
    assert.equal("x", global.port)
    assert.equal(65536, own.size)
    assert.equal("4MB", own.flash_size)
    for text, value in pairs { ["0b101"] = 5, ["0o17"] = 15, ["0x1f"] = 31, ["12"] = 12 } do
      assert.equal(value, select(3, parse("read-mem " .. text)).address)
    end
    assert.equal("all", select(3, parse("erase-region 0 ALL")).size)
    assert.equal(2 << 20, select(3, parse("erase-region 0 2M")).size)
    _, _, own = parse("write-flash -ue 0 " .. path "a")
    assert.is_true(own.no_compress and own.erase_all)
  end)

  it("take chips in any spelling", function()
    for _, name in ipairs { "esp32c3", "ESP32-C3", "esp32(c3)", "Esp32_C3" } do
      assert.equal("esp32c3", (parse("--chip " .. name .. " version")).chip)
    end
    assert.equal("auto", (parse("--chip auto version")).chip)
    usage("--chip esp33 version", "esp33")
  end)

  it("are those of version 4 as well, each with one word about it", function()
    local text = ("--before default_reset --after hard_reset write_flash -z --flash_mode dio --flash_freq=40m "
      .. "--flash_size detect 0x0 %s"):format(path "a")
    local global, command, own = parse(text)
    assert.equal("default-reset", global.before)
    assert.equal("hard-reset", global.after)
    assert.equal("write-flash", command.name)
    assert.same({ "dio", "40m", "detect" }, { own.flash_mode, own.flash_freq, own.flash_size })
    assert.equal(3, #global.deprecated)
    assert.equal(3, #own.deprecated)
    assert.equal("Deprecated: Choice 'default_reset' for option '--before' is deprecated. Use 'default-reset' instead.",
                 global.deprecated[1])
    assert.equal("Deprecated: Command 'write_flash' is deprecated. Use 'write-flash' instead.", global.deprecated[3])
    assert.equal("Deprecated: Option '--flash_mode' is deprecated. Use '--flash-mode' instead.", own.deprecated[1])
    for old, new in pairs { load_ram = "load-ram", dump_mem = "dump-mem", read_mem = "read-mem",
        write_mem = "write-mem", write_flash = "write-flash", image_info = "image-info", read_mac = "read-mac",
        chip_id = "chip-id",
        flash_id = "flash-id", read_flash_status = "read-flash-status", write_flash_status = "write-flash-status",
        read_flash = "read-flash", verify_flash = "verify-flash", erase_flash = "erase-flash",
        erase_region = "erase-region", read_flash_sfdp = "read-flash-sfdp", merge_bin = "merge-bin",
        get_security_info = "get-security-info" } do
      assert.equal(new, args.command(old).name)
    end
    for _, mode in ipairs { "usb_reset", "no_reset", "no_reset_no_sync" } do
      assert.equal((mode:gsub("_", "-")), (parse("--before " .. mode .. " version")).before)
    end
    for _, mode in ipairs { "soft_reset", "no_reset", "no_reset_stub", "watchdog_reset" } do
      assert.equal((mode:gsub("_", "-")), (parse("--after " .. mode .. " version")).after)
    end
    for _, option in ipairs { "--ignore_flash_encryption_efuse_setting", "--ignore-flash-encryption-efuse-setting",
                              "--ignore-flash-enc-efuse" } do
      own = select(3, parse(("write-flash %s 0 %s"):format(option, path "a")))
      assert.is_true(own.ignore_flash_enc_efuse)
    end
    own = select(3, parse(("elf2image --use_segments --fill-flash-size 4MB %s"):format(path "a")))
    assert.is_true(own.use_segments)
    assert.equal("4MB", own.pad_to_size)
    own = select(3, parse(("merge-bin --fill-flash-size 4MB -o x 0 %s"):format(path "a")))
    assert.equal("4MB", own.pad_to_size)
  end)

  it("that are gone say what to do", function()
    usage("make_image", "merge-bin and elf2image")
    usage("write_flash --verify 0 " .. path "a", "always verified")
    usage("image_info --version 2 " .. path "a", "leave --version out")
    usage("verify_flash --diff yes 0 " .. path "a", "leave 'yes' out")
    usage("--po /dev/x flash-id", "did you mean --port?")
    usage("read-mac --spi-connection HSPI", "--spi-connection")
  end)

  it("that are wrong are refused before a port is touched", function()
    usage("-v", "Missing command")
    usage("flash-idd", "did you mean flash-id?")
    usage("read-mem", "Missing argument 'ADDRESS'")
    usage("read-mem 1 2", "unexpected extra argument (2)")
    usage("read-mem 0x1G", "0x1G")
    usage("write-flash 0x0", "pairs of an address and a file")
    usage("-b 20000001 version", "at most 20000000")
    usage("write-flash app.bin 0x10000", "the address comes first: 0x10000 app.bin")
    usage("flash-id --port /dev/ttyUSB0", "in front of the command")
    usage("flash-id -b 460800", "in front of the command")
    usage("write_flash --connect_attempts=3 0 " .. path "a", "in front of the command")
    usage("--flash-mode dio write-flash 0 " .. path "a", "behind a command: write-flash, elf2image")
    usage("--portt x flash-id", "did you mean --port?")
    usage("write-flash 010000 " .. path "a", "without a zero in front")
    assert.same({ { 0, path "a" } }, select(3, parse("write-flash 0000 " .. path "a")).addr_filename)
    usage("write-flash -z -u 0 " .. path "a", "mutually exclusive")
    usage(("write-flash --skip-flashed --diff-with %s --encrypt 0 %s"):format(path "a", path "a"), "mutually exclusive")
    usage("write-flash --flash-mode fast 0 " .. path "a", "fast")
    usage("read-flash-status --bytes 4", "4")
    usage("read-flash-sfdp 0 5", "5")
    usage("flash-id -sc 1,2,3,4", "five pin numbers")
    usage("flash-id -sc 1,2,3,4,x", "five pin numbers")
    usage("flash-id -sc SDIO", "SDIO")
    for _, pins in ipairs { "SPI", "hspi", "6,17,8,11,16", "0x6,17,8,11,16" } do
      assert.equal(pins, select(3, parse("flash-id -sc " .. pins)).spi_connection)
    end
    usage("merge-bin 0 " .. path "a", "Missing option '--output'")
    usage("--before", "requires an argument")
    usage("--no-stub=1 version", "does not take a value")
    assert.equal(2, esptool("-p nowhere erase-region 0x100 0x1000").status)
    assert.equal(2, esptool("-p nowhere write-flash-status --bytes 1 0x100").status)
    assert.equal(2, esptool("--verbose --silent version").status)
    assert.equal(2, esptool("--trace --silent version").status)
  end)

  it("that eat words stop at the next option", function()
    local _, _, own = parse(("write-flash 0x0 %s --encrypt-files 0x1000 %s 0x2000 %s --force")
      :format(path "a", path "b", path "a"))
    assert.same({ { 0x1000, path "b" }, { 0x2000, path "a" } }, own.encrypt_files)
    assert.is_true(own.force)
    local global, command = parse "--port-filter vid=0x303a name=ACM flash-id"
    assert.same({ "vid=0x303a", "name=ACM" }, global.port_filter)
    assert.equal("flash-id", command.name)
    _, _, own = parse(("write-flash --diff-with %s skip -u 0x0 %s"):format(path "a", path "b"))
    assert.same({ path "a", "skip" }, own.diff_with)
  end)

  it("ask for help without a chip", function()
    local r = esptool {}
    assert.equal(0, r.status)
    assert.matches("Usage: esptool [OPTIONS] COMMAND", r.out, 1, true)
    for _, command in ipairs(require "esp.esptool.declare".commands) do
      r = esptool { command.name, "--help" }
      assert.equal(0, r.status)
      assert.matches("Usage: esptool " .. command.name, r.out, 1, true)
    end
    assert.equal(0, esptool("-p nowhere write-flash -h").status)
  end)

  it("of any kind never end in a fault of the program", function()
    local declare, fail = require "esp.esptool.declare", require "esp.error"
    local tokens = { "", "-", "--", "-x", "--no", "=", "--=", "-=", "--port=", "0", "-1", "0x", "ALL", "64k", "a b",
                     "@", "\0", "\255", "-fs=4MB", "-fs4MB", "-zue", "write_flash", "flash-id", path "a",
                     path "none" }
    for _, command in ipairs(declare.commands) do
      tokens[#tokens + 1] = command.name
      for name in pairs(args.compile(command).by_name) do tokens[#tokens + 1] = name end
    end
    for name in pairs(require "esp.cli.parser".compile(declare.global).by_name) do tokens[#tokens + 1] = name end
    table.sort(tokens)
    local x = 20
    local function random(n)
      x = (x * 1103515245 + 12345) & 0x7FFFFFFF
      return (x >> 12) % n + 1
    end
    for _ = 1, os.getenv "ESPLUA_GC_STRESS" and 20 or 2000 do
      local words = {}
      for i = 1, random(7) do words[i] = tokens[random(#tokens)] end
      local ok, err = pcall(args.parse, words)
      assert.is_true(ok or fail.is(err), table.concat(words, " ") .. ": " .. tostring(err))
      ok, err = pcall(require "esp.esptool.complete".candidates, words, "-")
      assert.is_true(ok, tostring(err))
    end
  end)

  it("are completed", function()
    local candidates = require "esp.esptool.complete".candidates
    local function has(list, word)
      for _, w in ipairs(list) do
        if w == word then return true end
      end
      return false
    end
    assert.same({ "write-flash", "write-mem", "write-flash-status" }, candidates({}, "wri"))
    assert.same({ "--chip" }, candidates({}, "--ch"))
    assert.same({ "flash-id" }, candidates({ "--port-filter", "vid=1", "name=x" }, "flash-"))
    assert.same({ "--erase-all" }, candidates({ "--port-filter", "vid=1", "write-flash" }, "--er"))
    assert.is_true(has(candidates({ "--chip" }, "esp32"), "esp32c3"))
    assert.is_true(has(candidates({ "-b" }, ""), "460800"))
    assert.same({ "qio", "qout" }, candidates({ "-c", "esp32", "write-flash", "--flash-mode" }, "q"))
    assert.is_true(has(candidates({ "write-flash" }, "-"), "-fm"))
    assert.is_nil(candidates({ "write-flash", "0x0" }, ""))              -- files
    assert.same({}, candidates({ "read-mem" }, ""))
    assert.same({}, candidates({ "nonsense" }, ""))
    local r = program.run({ "version" }, { as = path "esptool", env = { _ESPTOOL_COMPLETE = "bash_source" } })
    assert.equal(0, r.status)
    assert.matches("complete -o nosort -F _esptool_completion esptool", r.out, 1, true)
    r = program.run({}, { as = path "esptool",
                          env = { _ESPTOOL_COMPLETE = "bash_complete",
                                  COMP_WORDS = "esptool eras", COMP_CWORD = "1" } })
    assert.equal("plain,erase-flash\nplain,erase-region\n", r.out)
  end)

  it("come from a file, which may quote", function()
    program.write(path "flash_args", ('--flash_mode dio\n0x1000 "%s"\n0x2000 \'%s\'\n'):format(path "a", path "b"))
    local r = esptool { "--port", "nowhere", "write_flash", "@" .. path "flash_args" }
    assert.matches(("\nesptool --port nowhere write_flash --flash_mode dio 0x1000 %s 0x2000 %s\n")
      :format(path "a", path "b"), r.out, 1, true)
    r = esptool { "@" .. path "none" }
    assert.equal(2, r.status)
    assert.matches("none: no such file", r.err, 1, true)
  end)
end)
