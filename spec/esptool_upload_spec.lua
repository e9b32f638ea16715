-- The command lines with which build systems call esptool, word for word but for paths, given to a binary that is
-- called by that name. Sources, read in their repositories:
--   ESP-IDF master (v6.2-dev, commit 10212290): components/esptool_py/project_include.cmake, run_serial_tool.cmake and
--     tools/idf_py_actions/serial_ext.py; with version 4's spellings as releases before v6.0 have it
--   Arduino core for ESP32 2.0.6: platform.txt; 3.3 likewise with version 5's spellings and "keep"
--   Arduino core for ESP8266 3.2.0-dev (commit f946290e): platform.txt and tools/upload.py
--   PlatformIO: platform-espressif32 6.13.0, platform-espressif8266 4.2.1, builder/main.py of each
--   Zephyr: scripts/west_commands/runners/esp32.py; ESPHome 2025: esphome/__main__.py
--   Espressif's plug-in for VS Code 2.2.0: src/espIdf/serial/serialPort.ts, debugAdapter/verifyApp.ts
local elf = require "spec.support.elf_writer"
local program = require "spec.support.program"

local HELLO = { esp32 = "examples/hello/hello-esp32.bin", esp32c3 = "examples/hello/hello-esp32c3.bin" }

local QUIET = "--before no-reset --after no-reset -p "      -- resets take real time

local folder
local function path(name) return folder .. "/" .. name end

local function words(text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = word end
  return list
end

local function run(text, o)
  o = o or {}
  o.cwd, o.as = folder, o.as or path "bin/esptool"
  return program.run(words(text), o)
end

local function good(text, o)
  local r = run(text, o)
  assert.equal(0, r.status, r.command .. "\n" .. r.out .. r.err)
  return r.out
end

local function flash_of(name, address, size)
  return program.read(path(name)):sub(address + 1, address + size)
end

-- What the written files say, and how often a file was verified.
local function count(out, text)
  local n = 0
  for _ in out:gmatch(text) do n = n + 1 end
  return n
end

describe("uploading as", function()
  setup(function()
    folder = program.folder()
    os.execute(("mkdir -p '%s/bin' '%s/bootloader' '%s/partition_table'"):format(folder, folder, folder))
    for id, file in pairs(HELLO) do program.write(path("bootloader/" .. id .. ".bin"), program.read(file)) end
    program.write(path "partition_table/partition-table.bin", ("\xAA\x50" .. ("p"):rep(30)):rep(96))
    program.write(path "hello_world.bin", ("hello "):rep(3000))
    program.write(path "boot_app0.bin", ("\1"):rep(8192))
    program.write(path "firmware.bin", ("firmware"):rep(2000))
  end)
  teardown(program.clean)

  local function check(name, bootloader, parts)
    for _, part in ipairs(parts) do
      local bytes = program.read(path(part[2]))
      assert.equal(bytes, flash_of(name, part[1], #bytes), part[2])
    end
    if bootloader then
      local bytes = program.read(path(bootloader[2]))
      local found = flash_of(name, bootloader[1], #bytes)
      assert.equal(bytes:sub(1, 2), found:sub(1, 2))
      assert.equal(bootloader[3], ("%02x%02x"):format(found:byte(3, 4)))
    end
  end

  -- The file as CMake writes it: options in a line, then a line per image.
  local IMAGES = { "0x1000 bootloader/esp32.bin", "0x10000 hello_world.bin",
                   "0x8000 partition_table/partition-table.bin" }

  it("ESP-IDF does: idf.py flash, and again", function()
    program.write(path "flash_args", "--flash-mode dio --flash-freq 40m --flash-size 2MB\n"
      .. table.concat(IMAGES, "\n") .. "\n")
    local head = "--chip esp32 -p sim:esp32?flash=idf.flash -b 460800 --before=default-reset --after=hard-reset "
    local out = good(head .. "write-flash @flash_args --skip-flashed")
    assert.equal(3, count(out, "\nHash of data verified%.\n"))
    assert.equal(3, count(out, "\nWrote %d+ bytes [^\n]*at 0x%x%x%x%x%x%x%x%x in %d+%.%d seconds"))
    assert.matches("\nFlash parameters set to 0x0210.\n", out, 1, true)
    assert.matches("\nHard resetting via RTS pin...\n$", out)
    check("idf.flash", { 0x1000, "bootloader/esp32.bin", "0210" },
          { { 0x10000, "hello_world.bin" }, { 0x8000, "partition_table/partition-table.bin" } })

    -- CMake keeps what it has flashed, and names it the next time; "skip" stands for a file that it has not kept.
    local old = program.read(path "hello_world.bin")
    program.write(path "hello_world_flashed.bin", old)
    program.write(path "bootloader/esp32_flashed.bin", program.read(path "bootloader/esp32.bin"))
    program.write(path "hello_world.bin", "new" .. old:sub(4))
    out = good(head .. "write-flash @flash_args --diff-with bootloader/esp32_flashed.bin hello_world_flashed.bin skip")
    assert.matches("\nReflashing 1 changed sector at 0x00010000...\n", out, 1, true)
    check("idf.flash", { 0x1000, "bootloader/esp32.bin", "0210" }, { { 0x10000, "hello_world.bin" } })
    program.write(path "hello_world_flashed.bin", program.read(path "hello_world.bin"))
    program.write(path "hello_world.bin", old)
    out = good("--chip esp32 -p sim:esp32?flash=idf.flash -b 460800 --before=default-reset --after=no-reset --no-stub "
      .. "write-flash @flash_args --diff-with bootloader/esp32_flashed.bin hello_world_flashed.bin skip "
      .. "--trust-flash-content --force")
    assert.matches("\nNo diff verification enabled", out, 1, true)
    check("idf.flash", nil, { { 0x10000, "hello_world.bin" } })
    good("-p sim:esp32?flash=idf.flash -b 460800 --before default-reset --after hard-reset --chip esp32 erase-flash",
         { as = path "bin/esptool.py" })
    assert.equal(("\xFF"):rep(4096), flash_of("idf.flash", 0x10000, 4096))
  end)

  it("ESP-IDF before version 6 does, and its users by hand", function()
    program.write(path "flash_args4", "--flash_mode dio --flash_freq 80m --flash_size 2MB\n0x0 bootloader/esp32c3.bin\n"
      .. "0x10000 hello_world.bin\n0x8000 partition_table/partition-table.bin\n")
    local out = good("--chip esp32c3 -p sim:esp32c3?flash=args.flash -b 460800 --before=default_reset "
      .. "--after=hard_reset write_flash @flash_args4", { as = path "bin/esptool.py" })
    assert.equal(3, count(out, "\nHash of data verified%.\n"))
    check("args.flash", { 0, "bootloader/esp32c3.bin", "021f" }, { { 0x10000, "hello_world.bin" } })
    good("--chip esp32 -p sim:esp32?flash=hand.flash -b 460800 --before=default_reset --after=hard_reset "
      .. "write_flash --flash_mode dio --flash_freq 40m --flash_size 2MB " .. table.concat(IMAGES, " "))
    check("hand.flash", { 0x1000, "bootloader/esp32.bin", "0210" }, { { 0x10000, "hello_world.bin" } })
  end)

  it("ESP-IDF does where flash is encrypted", function()
    local options = "--flash-mode dio --flash-freq 80m --flash-size keep"
    program.write(path "encrypted_flash_args", options .. "  0x8000 partition_table/partition-table.bin\n"
      .. "--encrypt-files\n0x0 bootloader/esp32c3.bin\n0x10000 hello_world.bin")
    program.write(path "encrypted_app-flash_args", options .. "  --encrypt\n0x20000 hello_world.bin")
    local port = "sim:esp32c3?keys=4&flash=enc.flash"
    local out = good("--chip esp32c3 -p " .. port .. " -b 460800 --before=default-reset --after=no-reset --no-stub "
      .. "write-flash @encrypted_flash_args")
    assert.equal(1, count(out, "\nHash of data verified%.\n"))
    check("enc.flash", nil, { { 0x8000, "partition_table/partition-table.bin" } })
    local once = flash_of("enc.flash", 0x10000, 64)
    assert.not_equal(program.read(path "hello_world.bin"):sub(1, 64), once)
    out = good("--chip esp32c3 -p " .. port .. " -b 460800 --before=default-reset --after=no-reset --no-stub "
      .. "write-flash @encrypted_app-flash_args --force")
    assert.matches("\nWrote %d+ bytes[^\n]* at 0x00020000 in ", out)
    assert.equal(once, flash_of("enc.flash", 0x10000, 64))
  end)

  it("ESP-IDF makes and merges images", function()
    program.write(path "app.elf", elf.elf { machine = 0xF3, entry = 0x40380000, sections = {
      { name = ".iram0.text", address = 0x40380000, data = ("\1\2\3\4"):rep(64) },
      { name = ".flash.appdesc", address = 0x3C000020, data = elf.app_description() },
      { name = ".flash.text", address = 0x42010020, data = ("\5\6\7\8"):rep(64) } } })
    good("--chip esp32c3 elf2image --flash-mode dio --flash-freq 80m --flash-size 2MB --elf-sha256-offset 0xb0 "
      .. "--flash-mmu-page-size 64KB --min-rev 3 --min-rev-full 3 --max-rev-full 199 -o app.bin app.elf")
    local head = program.read(path "app.bin")
    assert.equal("e904021f", (head:sub(1, 4):gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
    assert.equal(("<BI2I2"):pack(3, 3, 199), head:sub(15, 19))        -- offsets as the image format has them
    for _, format in ipairs { "raw", "hex", "uf2" } do
      good("--chip esp32 merge-bin -o merged-binary." .. format .. " -f " .. format .. " @flash_args")
    end
    assert.equal(program.read(path "hello_world.bin"), flash_of("merged-binary.raw", 0x10000, 18000))
    assert.equal("\x02\x10", flash_of("merged-binary.raw", 0x1002, 2))
    good "--chip esp32 merge-bin -o merged-binary.bin -f raw -t 0x1000 --pad-to-size 2MB @flash_args"
    assert.equal("\xE9", flash_of("merged-binary.bin", 0, 1))
  end)

  it("Arduino does on the ESP32, before and since version 3", function()
    local out = good("--chip esp32 --port sim:esp32?flash=ard.flash --baud 921600 --before default_reset "
      .. "--after hard_reset write_flash -z --flash_mode dio --flash_freq 80m --flash_size 4MB 0x1000 "
      .. "bootloader/esp32.bin 0x8000 partition_table/partition-table.bin 0xe000 boot_app0.bin 0x10000 firmware.bin")
    assert.equal(4, count(out, "\nHash of data verified%.\n"))
    check("ard.flash", { 0x1000, "bootloader/esp32.bin", "022f" }, { { 0xe000, "boot_app0.bin" } })
    out = good("--chip esp32c3 --port sim:esp32c3?flash=ard3.flash --baud 921600 --before default-reset --after "
      .. "hard-reset write-flash -e -z --flash-mode keep --flash-freq keep --flash-size keep "
      .. "0x0 bootloader/esp32c3.bin 0x8000 partition_table/partition-table.bin 0xe000 boot_app0.bin "
      .. "0x10000 firmware.bin")
    assert.equal(4, count(out, "\nHash of data verified%.\n"))
    assert.is_nil(out:find("Deprecated", 1, true))
    check("ard3.flash", nil, { { 0, "bootloader/esp32c3.bin" }, { 0x10000, "firmware.bin" } })
  end)

  it("Arduino does on the ESP8266", function()
    program.write(path "erase.tmp", ("\xFF"):rep(0x4000))             -- tools/upload.py erases by writing such a file
    local out = good("--chip esp8266 --port sim:esp8266?flash=ard8.flash --baud 460800 --before default_reset "
      .. "--after hard_reset write_flash --flash_size detect 0x0 firmware.bin 0x3fc000 erase.tmp")
    assert.matches("\nHash of data verified.\n", out, 1, true)
    assert.matches("\nChip type:          ESP8266", out, 1, true)
    check("ard8.flash", nil, { { 0, "firmware.bin" } })
    good("--chip esp8266 --port sim:esp8266?flash=ard8.flash --baud 115200 --before no_reset --after soft_reset "
      .. "write_flash --flash_size detect --erase-all 0x0 boot_app0.bin")
    check("ard8.flash", nil, { { 0, "boot_app0.bin" } })
  end)

  it("PlatformIO does", function()
    local out = good("--chip esp32 --port sim:esp32?flash=pio.flash --baud 460800 --before default_reset --after "
      .. "hard_reset write_flash -z --flash_mode dio --flash_freq 40m --flash_size detect 0x1000 bootloader/esp32.bin "
      .. "0x8000 partition_table/partition-table.bin 0xe000 boot_app0.bin 0x10000 firmware.bin")
    assert.matches("\nAuto-detected flash size: 4MB\n", out, 1, true)
    check("pio.flash", { 0x1000, "bootloader/esp32.bin", "0220" }, { { 0x10000, "firmware.bin" } })
    good("--chip esp32 --port sim:esp32?flash=pio.flash --baud 460800 --before default_reset --after hard_reset "
      .. "write_flash -z --flash_mode dio --flash_freq 40m --flash_size 4MB 2686976 boot_app0.bin")     -- a file system
    check("pio.flash", nil, { { 2686976, "boot_app0.bin" } })
    good "--chip esp32 --port sim:esp32?flash=pio.flash erase_flash"
    for _, resets in ipairs { "--before default_reset --after hard_reset", "--before no_reset --after soft_reset",
                              "--before no_reset_no_sync --after soft_reset" } do
      good(resets .. " --chip esp8266 --port sim:esp8266?flash=pio8.flash --baud 115200 write_flash 0x0 firmware.bin")
      check("pio8.flash", nil, { { 0, "firmware.bin" } })
      os.remove(path "pio8.flash")
    end
  end)

  it("Arduino and PlatformIO merge what they have built", function()
    -- Line and size as esptool 5.2 prints them for files of these sizes.
    local out = good("--chip esp32c3 merge-bin -o merged.bin --pad-to-size 4MB --flash-mode keep --flash-freq keep "
      .. "--flash-size keep 0x0 bootloader/esp32c3.bin 0x8000 partition_table/partition-table.bin 0x10000 firmware.bin")
    assert.matches("\nWrote 0x400000 bytes to file 'merged.bin', ready to flash to offset 0x0.\n", out, 1, true)
    assert.equal(4 << 20, #program.read(path "merged.bin"))
    assert.equal(program.read(path "firmware.bin"), flash_of("merged.bin", 0x10000, 16000))
    out = good "--chip esp32 merge_bin -o merged.uf2 -f uf2 0x10000 firmware.bin"
    assert.matches("\nAdding 'firmware.bin' at 0x10000...\n", out, 1, true)
    assert.matches(" bytes to file 'merged.uf2', ready to be flashed with any ESP USB Bridge.\n", out, 1, true)
    local r = run "merge-bin -o merged.bin 0 firmware.bin"
    assert.equal(2, r.status)
    assert.matches("--chip", r.err, 1, true)
    r = run "--chip esp32 merge-bin -o overlap.bin 0x1000 firmware.bin 0x2000 boot_app0.bin"
    assert.equal(2, r.status)
    assert.matches("[Oo]verlap at address:? 0x2000", r.err)
    assert.is_nil(program.read(path "overlap.bin"))
  end)

  it("nothing, but to look into an image", function()
    local out = good "image_info bootloader/esp32c3.bin"
    for _, line in ipairs { "\nImage size: 432 bytes\n", "\nDetected image type: ESP32-C3\n",
                            "\nESP32-C3 Image Header\n", "\nChip ID: 5 (ESP32-C3)\n", " (valid)\n" } do
      assert.matches(line, out, 1, true)
    end
    assert.equal(2, run("image-info boot_app0.bin").status)
  end)

  it("somebody asks for help, by the name of old", function()
    assert.matches("^Usage: esptool%.py .*\nDEPRECATED ", good("-h", { as = path "bin/esptool.py" }))
    assert.is_nil(good("-h"):find("DEPRECATED", 1, true))
  end)

  it("the plug-in for VS Code looks at a board", function()
    -- It takes the chip from one of these lines, and the result of verifying from version 4's words.
    local out = good("--chip esp32c3 --port sim:esp32c3?flash=code.flash chip_id", { as = path "bin/esptool.py" })
    assert.equal("sim:esp32c3?flash=code.flash:", out:match "Serial port%s+(%S+)")
    assert.equal("ESP32-C3", out:match "Connected to%s+(%S+)%s+on")
    assert.equal("ESP32-C3 (QFN32) (revision v0.4)", out:match "\nChip is ([^\n]*)\n")
    good "-p sim:esp32c3?flash=code.flash write_flash 0x10000 firmware.bin"
    out = good "-p sim:esp32c3?flash=code.flash verify_flash 0x10000 firmware.bin"
    assert.matches("verify OK (digest matched)", out, 1, true)
    local r = run "-p sim:esp32c3?flash=code.flash verify_flash 0x20000 firmware.bin"
    assert.equal(2, r.status)
    assert.matches("verify FAILED (digest mismatch)", r.out, 1, true)
    good "-p sim:esp32c3?flash=code.flash read_flash 0x10000 0x3E80 partition.bin"
    assert.equal(program.read(path "firmware.bin"), program.read(path "partition.bin"))
    assert.is_nil(good("-p sim:esp32c3?flash=code.flash chip-id"):find("Chip is", 1, true))
  end)

  it("shows progress to those who look for it", function()
    -- idf.py's pattern for a line that the next one may replace (tools.py); and those of programs on GitHub for
    -- version 4 and for version 5.
    local out, lines = good "-p sim:esp32c3?flash=bar.flash write-flash -u 0x10000 firmware.bin", 0
    for line in out:gmatch "Writing at[^\n]*" do
      lines = lines + 1
      assert.matches("%(%d+ %%%)$", line)
      assert.matches("^Writing at 0x%x%x%x%x%x%x%x%x.+ %(%d+ %%%)", line)
      assert.matches("^Writing at 0x%x+%s*%[.-%].-%%%s*%d+/%d+%s*bytes", line)
    end
    assert.is_true(lines >= 2)
  end)

  it("Zephyr and ESPHome do", function()
    good "--chip auto --port sim:esp32c3?flash=zephyr.flash erase_flash"
    good("--chip auto --port sim:esp32c3?flash=zephyr.flash --baud 921600 --before default_reset --after hard_reset "
      .. "write_flash -u --flash_mode dio --flash_freq 40m --flash_size detect 0x0 bootloader/esp32c3.bin "
      .. "0x8000 partition_table/partition-table.bin 0x10000 firmware.bin")
    check("zephyr.flash", { 0, "bootloader/esp32c3.bin", "0220" }, { { 0x10000, "firmware.bin" } })
    good("--before default-reset --after hard-reset --baud 460800 --port sim:esp32?flash=home.flash --chip esp32 "
      .. "write-flash -z --flash-size detect 0x10000 firmware.bin 0x1000 bootloader/esp32.bin")
    check("home.flash", nil, { { 0x10000, "firmware.bin" } })
  end)
end)

describe("a binary called by the name of esptool", function()
  setup(function()
    folder = program.folder()
    os.execute(("mkdir -p '%s/bin'"):format(folder))
    program.write(path "data.bin", ("data"):rep(500))
  end)
  teardown(program.clean)

  it("is esptool, whatever else is there under this name", function()
    os.execute(("mkdir -p '%s/esptool' && touch '%s/esptool.lua'"):format(folder, folder))
    for _, name in ipairs { "bin/esptool", "bin/esptool.py", "bin/esptool.exe" } do
      local r = run("version", { as = path(name) })
      assert.equal(0, r.status, r.err)
      assert.matches("^esptool v5%.2%.0[^\n]*\n5%.2%.0\n$", r.out)
    end
    assert.equal(0, run("", { as = path "bin/esptool" }).status)
    assert.matches("Usage: esptool", run("-h").out, 1, true)
  end)

  it("takes the environment, and names what is wrong in it", function()
    local out = good("read-mac", { env = { ESPTOOL_PORT = "sim:esp32c3", ESPTOOL_CHIP = "esp32-c3",
      ESPTOOL_BEFORE = "no_reset", ESPTOOL_AFTER = "no-reset", ESPTOOL_BAUD = "460800" } })
    assert.matches("Staying in bootloader.", out, 1, true)
    good("write-flash 0 data.bin", { env = { ESPTOOL_PORT = "sim:esp32c3?flash=env.flash", ESPTOOL_FS = "detect" } })
    for name, value in pairs { ESPTOOL_FS = "1GB", ESPTOOL_FF = "41m", ESPTOOL_FM = "fast" } do
      local r = run(QUIET .. "sim:esp32c3 write-flash 0 data.bin", { env = { [name] = value } })
      assert.equal(2, r.status, name)
      assert.matches(("%s: %q is not "):format(name, value), r.err, 1, true)
      assert.is_nil(r.out:find("Connecting", 1, true))
    end
    for name, value in pairs { ESPTOOL_BAUD = "fast", ESPTOOL_CHIP = "esp33", ESPTOOL_AFTER = "never",
                               ESPTOOL_CONNECT_ATTEMPTS = "x", ESPTOOL_OPEN_PORT_ATTEMPTS = "x" } do
      local r = run("--before no-reset -p sim:esp32c3 flash-id", { env = { [name] = value } })
      assert.equal(2, r.status, name)
      assert.matches(name, r.err, 1, true)
      assert.is_nil(r.err:find("traceback", 1, true))
      assert.is_nil(r.out:find("Connecting", 1, true))
    end
  end)

  it("does not look at a variable that does not count", function()
    good("--before no-reset -a no-reset -p sim:esp32c3 -b 115200 -c esp32c3 --connect-attempts 1 read-mac",
      { env = { ESPTOOL_BAUD = "fast", ESPTOOL_CHIP = "esp33", ESPTOOL_AFTER = "never", ESPTOOL_BEFORE = "kick",
                ESPTOOL_CONNECT_ATTEMPTS = "x", ESPTOOL_FS = "1GB", ESPTOOL_FF = "41m", ESPTOOL_FM = "fast" } })
    local r = run(QUIET .. "sim:esp32c3 read-mac", { env = { ESPTOOL_BAUD = "fast" } })
    assert.matches("\n  hint: correct it, unset it or give --baud\n", r.err, 1, true)
  end)

  it("reads the configuration file and says so", function()
    program.write(path "esptool.cfg", "[esptool]\nconnect_attempts = 5\nreset_delay = 0.06\n")
    local out = good "version"
    assert.matches(("\nLoaded custom configuration from %s\n"):format(path "esptool.cfg"), out, 1, true)
    program.write(path "esptool.cfg", "[esptool]\nconnect_attempts = 9\ntimoout = 2\nbits = 2\n")
    assert.matches("\nIgnoring unknown config file options: bits, timoout\n", good "version", 1, true)
    program.write(path "esptool.cfg", "[esptool]\nconnect_attempts = 5\nconnect_attempts = 9\n")
    out = good "version"
    assert.matches(("\nIgnoring invalid config file %s"):format(path "esptool.cfg"), out, 1, true)
    assert.matches("connect_attempts", out, 1, true)
    program.write(path "esptool.cfg", "[esptool]\ncustom_reset_sequence = F0|R1|C0|A5\n")
    local r = run "-p sim:esp32c3 flash-id"
    assert.equal(2, r.status)
    assert.matches("custom_reset_sequence", r.err, 1, true)
    os.remove(path "esptool.cfg")
    program.write(path "other.ini", "[esptool]\ntimeout = 4\n")
    out = good("version", { env = { ESPTOOL_CFGFILE = path "other.ini" } })
    assert.matches(("\nLoaded custom configuration from %s (set with ESPTOOL_CFGFILE)\n"):format(path "other.ini"), out,
                   1, true)
  end)

  it("ends as esptool does, or tells kinds of failure apart when asked to", function()
    local function status(text, o) return run(text, o).status end
    local cases = {
      { QUIET .. "sim:esp32c3 --chip esp32 flash-id", 2, 12 }, { "-p /dev/nowhere flash-id", 2, 10 },
      { QUIET .. "sim:esp32c3 verify-flash 0 data.bin", 2, 21 }, { "flash-it", 2, 2 },
      { QUIET .. "sim:esp32c3 write-flash 0x3FFFFF data.bin", 2, 15 }, { "-p x write-flash 0 none.bin", 2, 14 },
      { QUIET .. "sim:esp32c3?sdm=1 flash-id", 2, 13 }, { "version", 0, 0 }, { "-p /dev/null flash-id", 2, 10 },
      { "--connect-attempts 1 " .. QUIET .. "sim:esp32c3?unplug=500 flash-id", 1, 10 },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], status(case[1]), case[1])
      assert.equal(case[3], status("--exit-classes " .. case[1]), case[1])
    end
    assert.equal(12, status(cases[1][1], { env = { ESPTOOL_EXIT_CLASSES = "1" } }))
  end)

  it("tells errors on standard error, what to do with them, and how to go on", function()
    local r = run "-p /dev/nowhere flash-id"
    assert.matches("^\nA fatal error occurred: [^\n]*/dev/nowhere[^\n]*\n  hint: [^\n]+\n$", r.err)
    r = run "-p sim:esp32c3?boot=flash --before no-reset --connect-attempts 1 flash-id"
    assert.equal(2, r.status)
    assert.matches("\nA fatal error occurred: Failed to connect to Espressif device: ", r.err, 1, true)
    assert.matches("\nFor troubleshooting steps visit: https://[^\n]+\n$", r.err)
    assert.is_nil(r.err:find("the port is gone", 1, true))
    r = run "-s -p sim:esp32c3 verify-flash 0 data.bin"
    assert.equal("", r.out)
    assert.matches("Verification failed.", r.err, 1, true)
  end)

  it("shows every packet when asked to", function()
    local out = good "--trace -p sim:esp32c3 --no-stub read-mem 0x60008844"
    assert.matches("TRACE %+%d%.%d%d%d   %-%-%- Cmd READ_REG %(0x0a%) ", out)
    assert.matches("TRACE %+%d%.%d%d%d   Write %d+ bytes:", out)
    assert.matches("TRACE %+%d%.%d%d%d   Read %d+ bytes:", out)
    assert.matches("TRACE %+%d%.%d%d%d   Received full packet: ", out)
    out = good "--trace -p sim:esp32c3 read-mem 0x60008844"
    assert.matches("Received full packet: 4f484149", out, 1, true)
  end)
end)
