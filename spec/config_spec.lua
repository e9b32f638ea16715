-- Keys, defaults and the order of search: esptool documentation, "Configuration File". The form of the file: Python
-- documentation, "configparser".
local config = require "esp.config"
local fail = require "esp.error"

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

local function load_text(text) return config.from_text(text, "test.cfg") end

describe("a configuration file", function()
  describe("is refused", function()
    for _, case in ipairs {
      { "with bytes that are no text", "[esptool]\n\xFF\xFE = 1\n", "is not text" },
      { "with a zero byte", "[esptool]\ntimeout = 1\0\n", "is not text" },
      { "with a line that is no pair", "[esptool]\ntimeout\n", "line 2" },
      { "with a line without a key", "[esptool]\n= 5\n", "line 2" },
      { "with a key given twice", "[esptool]\ntimeout = 1\nTimeout = 2\n",
        "line 3: option 'timeout' in section 'esptool' already exists" },
      { "with lines before any section", "\n# ours\ntimeout = 1\n[esptool]\n", "line 3: expected a section" },
      { "with a section that does not end", "[esptool\ntimeout = 1\n", "line 1: expected a section" },
      { "with our section twice", "[esptool]\n[x]\n[esptool]\n", "line 3: section" },
    } do
      it(case[1], function()
        local err = assert.has_error(function() load_text(case[2]) end)
        assert.equal("bad_config", err.code)
        assert.matches(case[3], tostring(err), 1, true)
      end)
    end
  end)

  describe("keeps the default and says so", function()
    for _, case in ipairs {
      { "for a word", "timeout = soon", "timeout", 3 },
      { "for nothing", "timeout =", "timeout", 3 },
      { "for infinity", "timeout = inf", "timeout", 3 },
      { "for no number", "timeout = nan", "timeout", 3 },
      { "for a negative time", "reset_delay = -1", "reset_delay", 0.05 },
      { "for a number past any range", "timeout = 1e999", "timeout", 3 },
      { "for a fraction where a count belongs", "connect_attempts = 1.5", "connect_attempts", 7 },
      { "for a count past 64 bits", "connect_attempts = 99999999999999999999", "connect_attempts", 7 },
      { "for no attempts at writing", "write_block_attempts = 0", "write_block_attempts", 3 },
      { "for an empty sequence", "custom_reset_sequence =", "custom_reset_sequence", nil },
    } do
      it(case[1], function()
        local c = load_text("[esptool]\n" .. case[2] .. "\n")
        assert.equal(case[4], c[case[3]])
        assert.is_nil(c.given[case[3]])
        assert.equal("bad_config_value", c.notes[1].code)
        assert.matches(case[3], c.notes[1].text, 1, true)
      end)
    end
  end)

  it("names unknown keys", function()
    local c = load_text "[esptool]\nzebra = 1\ntimeout = 4\napple: 2\n"
    assert.equal(4, c.timeout)
    assert.equal("unknown_config_key", c.notes[1].code)
    assert.matches("apple, zebra", c.notes[1].text, 1, true)
  end)

  it("gives every key its default", function()
    local c = load_text ""
    local want = {
      timeout = 3, chip_erase_timeout = 120, max_timeout = 240, sync_timeout = 0.1, md5_timeout_per_mb = 8,
      erase_region_timeout_per_mb = 40, erase_write_timeout_per_mb = 40, mem_end_rom_timeout = 0.2,
      serial_write_timeout = 10, connect_attempts = 7, write_block_attempts = 3, reset_delay = 0.05,
      open_port_attempts = 1,
    }
    for key, value in pairs(want) do assert.equal(value, c[key], key) end
    assert.is_nil(c.custom_reset_sequence)
    assert.same({}, c.notes)
  end)

  it("sets every key", function()
    local c = load_text [[
; a comment
[other]
nonsense without a value
[esptool]
timeout = 30
chip_erase_timeout: 240
sync_timeout=0.2
md5_timeout_per_mb = 1e1
erase_region_timeout_per_mb = 50
erase_write_timeout_per_mb = 60
mem_end_rom_timeout = 0.5
serial_write_timeout = 20
connect_attempts = 0
# another
write_block_attempts = 5
reset_delay = 1
open_port_attempts = 0
CUSTOM_RESET_SEQUENCE = D0|R1|W0.1
custom_hard_reset_sequence = R1|W0.1|R0
]]
    assert.same({}, c.notes)
    assert.equal(30, c.timeout)
    assert.equal(480, c.max_timeout)      -- follows the erase time-out
    assert.equal(10, c.md5_timeout_per_mb)
    assert.equal(0, c.connect_attempts)
    assert.equal("D0|R1|W0.1", c.custom_reset_sequence)
    assert.equal("R1|W0.1|R0", c.custom_hard_reset_sequence)
    assert.is_true(c.given.reset_delay)
  end)

  it("takes values over several lines, other line ends and a byte order mark", function()
    local c = load_text("\u{FEFF}[esptool]\r\ncustom_reset_sequence =\r\n  D0|R1|\r\n  # no step\r\n"
                        .. "  W0.1\r\ntimeout = 5\r\n")
    assert.equal("D0|R1|\nW0.1", c.custom_reset_sequence)
    assert.equal(5, c.timeout)
  end)

  it("prefers its section esplua, key by key", function()
    local c = load_text "[esplua]\ntimeout = 5\n[esptool]\ntimeout = 6\nsync_timeout = 0.3\n"
    assert.equal(5, c.timeout)
    assert.equal(0.3, c.sync_timeout)
  end)
end)

describe("keys of our own", function()
  it("count in our section", function()
    local values = load_text("[esplua]\nport = /dev/ttyUSB7\nbaud = 460800\nrom_baud = 230400\nmonitor_baud = 9600\n"
      .. "chip = esp32c3\n")
    assert.same({ "/dev/ttyUSB7", 460800, 230400, 9600, "esp32c3" },
                { values.port, values.baud, values.rom_baud, values.monitor_baud, values.chip })
    assert.same({}, values.notes)
  end)

  it("are unknown in esptool's", function()
    local values = load_text "[esptool]\nport = /dev/ttyUSB7\n"
    assert.is_nil(values.port)
    assert.equal("unknown_config_key", values.notes[1].code)
  end)

  it("are less than options and the environment", function()
    local connect = require "esp".connect
    local settings = load_text "[esplua]\nport = sim:esp32c3\nbaud = 460800\nchip = esp32\n"
    local common = { config = settings, before = "no-reset", after = "no-reset", no_stub = true }
    local function with(o) return connect(setmetatable(o, { __index = common })) end
    local err = assert.has_error(function() with { env = {} } end)
    assert.equal("wrong_chip", err.code)
    local chip <close> = with { env = { chip = "esp32c3" } }
    assert.same({ "sim:esp32c3", 460800 }, { chip.url, chip.baud })
    local other <close> = with { env = {}, port = "sim:esp32", baud = 115200 }
    assert.same({ "sim:esp32", 115200 }, { other.url, other.baud })
  end)
end)

describe("the search for a configuration file", function()
  local base
  local function env(values) return function(name) return values[name] end end
  local function load(values, ...)
    local folders = {}
    for i, name in ipairs { ... } do folders[i] = base .. "/" .. name end
    return config.load { getenv = env(values or {}), folders = folders }
  end

  setup(function()
    base = os.tmpname()
    os.remove(base)
    os.execute(("mkdir -p '%s/a' '%s/b' '%s/dir/esptool.cfg'"):format(base, base, base))
    write(base .. "/a/setup.cfg", "[metadata]\nthis is not ours\n[esptool\n")
    write(base .. "/a/tox.ini", "[esptool]\ntimeout = 11\n")
    write(base .. "/b/esplua.cfg", "[esplua]\ntimeout = 12\n")
    write(base .. "/b/esptool.cfg", "[esptool]\ntimeout = 13\n")
    os.execute(("mkdir '%s/c'"):format(base))
    write(base .. "/c/esptool.cfg", "timeout = 5\n")
    write(base .. "/c/setup.cfg", "timeout = 5\n")
    write(base .. "/broken.cfg", "[esptool]\nwhat\n")
    write(base .. "/foreign.cfg", "[other]\nx = 1\n")
    write(base .. "/good.cfg", "[esptool]\ntimeout = 14\n")
    write(base .. "/empty.cfg", "")
  end)
  teardown(function() os.execute(("rm -rf '%s'"):format(base)) end)

  it("ends without one with the defaults", function()
    local c = load({}, "nowhere", "dir")
    assert.is_nil(c.file)
    assert.equal(3, c.timeout)
  end)

  it("takes the first folder that has a valid one, esplua.cfg first", function()
    assert.equal(base .. "/a/tox.ini", load({}, "nowhere", "a", "b").file)
    assert.equal(12, load({}, "b", "a").timeout)
  end)

  it("says that it ignores a file of our own name without sections", function()
    local c = load({}, "c", "b")
    assert.equal(12, c.timeout)
    assert.equal(1, #c.notes)
    assert.matches("c/esptool.cfg: line 1: expected a section", c.notes[1].text, 1, true)
  end)

  it("prefers the file that the environment names", function()
    assert.equal(14, load({ ESPTOOL_CFGFILE = base .. "/good.cfg" }, "a").timeout)
    assert.equal(14, load({ ESPLUA_CFGFILE = base .. "/good.cfg", ESPTOOL_CFGFILE = base .. "/a/tox.ini" }).timeout)
  end)

  for _, name in ipairs { "broken.cfg", "foreign.cfg", "missing.cfg", "dir", "empty.cfg" } do
    it("says that it ignores the one named there when it is " .. name, function()
      local c = load({ ESPTOOL_CFGFILE = base .. "/" .. name }, "a")
      assert.equal(11, c.timeout)
      assert.equal("bad_config", c.notes[1].code)
      assert.matches(name, c.notes[1].text, 1, true)
    end)
  end
end)

describe("the environment", function()
  local function read(values) return config.environment(function(name) return values[name] end) end

  for _, case in ipairs {
    { "ESPTOOL_BAUD", "fast" }, { "ESPLUA_BAUD", "0" }, { "ESPTOOL_BAUD", "115200.5" }, { "ESPLUA_ROM_BAUD", "slow" },
    { "ESPTOOL_CHIP", "esp99" },
    { "ESPTOOL_BEFORE", "kick" }, { "ESPTOOL_AFTER", "explode" }, { "ESPTOOL_CONNECT_ATTEMPTS", "many" },
    { "ESPTOOL_OPEN_PORT_ATTEMPTS", "-1" }, { "ESPTOOL_FM", "quad" }, { "ESPTOOL_FF", "40" }, { "ESPTOOL_FS", "4 MB" },
  } do
    it(("is refused with %s=%s, naming the variable"):format(table.unpack(case)), function()
      local err = assert.has_error(function() read { [case[1]] = case[2] } end)
      assert.is_true(fail.is(err))
      assert.equal("bad_argument", err.code)
      assert.equal(case[1], err.variable)
      assert.matches(case[1], tostring(err), 1, true)
      assert.matches(case[2], tostring(err), 1, true)
    end)
  end

  it("gives every setting", function()
    assert.same({
      port = "/dev/ttyUSB7", baud = 921600, chip = "esp32s3", before = "no-reset", after = "watchdog-reset",
      connect_attempts = 0, open_port_attempts = 0, config_file = "x.cfg", flash_freq = "80m", flash_mode = "qio",
      flash_size = "detect", fpga = true,
    }, read {
      ESPTOOL_PORT = "/dev/ttyUSB7", ESPTOOL_BAUD = "921600", ESPTOOL_CHIP = "ESP32-S3", ESPTOOL_BEFORE = "no_reset",
      ESPTOOL_AFTER = "watchdog-reset", ESPTOOL_CONNECT_ATTEMPTS = "0", ESPTOOL_OPEN_PORT_ATTEMPTS = "0",
      ESPTOOL_CFGFILE = "x.cfg", ESPTOOL_FF = "80m", ESPTOOL_FM = "qio", ESPTOOL_FS = "detect", ESPTOOL_ENV_FPGA = "1",
    })
  end)

  it("prefers the names of esplua and ignores empty ones", function()
    assert.equal("a", read({ ESPLUA_PORT = "a", ESPTOOL_PORT = "b" }).port)
    assert.equal("b", read({ ESPLUA_PORT = "", ESPTOOL_PORT = "b" }).port)
    assert.same({}, read {})
  end)
end)
