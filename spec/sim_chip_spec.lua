-- The simulated chip around its loader: options, all chips, security states, lines, boot log, links.
local rawhost = require "spec.support.rawhost"
local chips = require "esp.chips"
local sim = require "esp.sim"
local task = require "esp.core.task"
local W = rawhost.words

local function with(options, fn)
  local chip = sim.new(options)
  local host <close> = rawhost.new(chip)
  return fn(host, chip)
end

-- Wait until something holds, for a second at most.
local function eventually(what)
  for _ = 1, 200 do
    if what() then return true end
    task.sleep(0.005)
  end
  return false
end

describe("the options of a simulated chip", function()
  for _, case in ipairs {
    { "no chip", "sim:", "not the name" }, { "an unknown chip", "sim:esp99", "unknown chip" },
    { "an unknown option", "sim:esp32?colour=red", 'unknown option "colour"' },
    { "a word for a number", "sim:esp32?seed=x", "not a number" },
    { "a fraction", "sim:esp32?unplug=1.5", "whole number" },
    { "a probability over one", "sim:esp32?drop=2", "between 0 and 1" },
    { "an odd flash size", "sim:esp32?flash_size=3MB", "size of a flash" },
    { "a link the chip has not", "sim:esp32?link=usj", "no usj link" },
    { "a state the chip has not", "sim:esp8266?sdm=1", "no such eFuse" },
    { "a key purpose that is none", "sim:esp32c3?keys=XYZ", "no key purpose" },
    { "an eFuse field that is none", "sim:esp32c3?efuse.nothing=1", "no eFuse field" },
    { "a bad MAC", "sim:esp32c3?mac=12:34", "MAC" },
  } do
    it("are refused with " .. case[1], function()
      local err = assert.has_error(function() sim.open(case[2]) end)
      assert.matches(case[3], tostring(err), 1, true)
    end)
  end

  it("come from the URL, with %XX for odd characters", function()
    assert.same({ chip = "esp32c3", flash = "a&b.bin", seed = "7", sdm = "" },
                sim.parse "sim:esp32c3?flash=a%26b.bin&seed=7&sdm")
  end)

  it("set MAC, revision, crystal and flash size", function()
    with({ chip = "esp32c3", mac = "02:00:00:00:00:07", revision = "1.1", flash_size = "8MB" }, function(host)
      host:sync()
      assert.equal(7, host:read_reg(0x60008844))
      assert.equal(0x0200, host:read_reg(0x60008848) & 0xFFFF)
      assert.equal(1, host:read_reg(0x60008858) >> 24 & 3)
    end)
  end)
end)

describe("every simulated chip", function()
  for _, id in ipairs(chips.list()) do
    it(id .. " boots into its loader, answers SYNC and has its own identity", function()
      with({ chip = id }, function(host, chip)
        local data = chips.get(id)
        assert.equal("download", chip:state().mode)
        local first, all = host:sync()
        assert.equal(8, #all)
        assert.equal(8 + data.rom.status_bytes, #first)
        assert.equal(0x20120707, (("<I4"):unpack(first, 5)))
        if data.magic then assert.equal(data.magic, host:read_reg(0x40001000)) end
        local info = host:command(0x14)
        if data.security_info == "full" then
          assert.equal(32, #info)
          assert.equal(data.image_chip_id, (("<I4"):unpack(info, 21)))
        elseif data.security_info then
          assert.equal(24, #info)
        else
          assert.same({ 1, 5 }, { info:byte(9, 10) })
        end
      end)
    end)
  end

  it("refuses the commands that its ROM has not", function()
    with({ chip = "esp8266" }, function(host)
      host:sync()
      for _, op in ipairs { 0x0B, 0x0D, 0x0E, 0x0F, 0x10, 0x13, 0x14 } do
        assert.same({ 1, 5 }, { host:status(op, W(0, 0, 0, 0)) })
      end
    end)
  end)

  it("does not answer anything before SYNC", function()
    with({ chip = "esp32c3" }, function(host)
      assert.is_true(host:silent(0x0A, W(0x40001000)))
      assert.is_truthy(host:sync())
    end)
  end)

  it("hangs with a panic on an address that belongs to nothing", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:sync()
      host.port:write(rawhost.frame(("<BBI2I4I4"):pack(0, 0x0A, 4, 0, 0)))
      assert.matches("Guru Meditation Error", host:read(0.1), 1, true)
      assert.equal("hung", chip:state().mode)
    end)
  end)
end)

describe("the ESP8266's flash loader", function()
  it("erases the sectors before the block boundary twice over in its count", function()
    with({ chip = "esp8266" }, function(host, chip)
      host:sync()
      chip:poke_flash(0, ("\0"):rep(0x40000))
      host:flash_begin(0x3000, 0, 0x400, 0x1000)        -- three sectors asked for: three more are gone
      assert.equal(("\xFF"):rep(0x6000) .. "\0", chip:flash(0x1000, 0x6001))
      host:flash_begin(0x14000, 0, 0x400, 0x1E000)      -- 2 to the boundary, 20 asked for: 22
      assert.equal(("\xFF"):rep(0x16000) .. "\0", chip:flash(0x1E000, 0x16001))
    end)
  end)

  it("attaches the flash by FLASH_BEGIN", function()
    with({ chip = "esp8266" }, function(host)
      host:sync()
      local function id()
        host:write_reg(0x6000021C, 1 << 31 | 1 << 28)
        host:write_reg(0x60000220, 23 << 8)
        host:write_reg(0x60000224, 7 << 28 | 0x9F)
        host:write_reg(0x60000240, 0)
        host:write_reg(0x60000200, 1 << 18)
        return host:read_reg(0x60000240)
      end
      assert.equal(0xFFFFFF, id())
      host:flash_begin(0, 0, 0x400, 0)
      assert.equal(0x1640EF, id())
    end)
  end)
end)

describe("security states", function()
  it("secure download mode serves its own list of commands only", function()
    with({ chip = "esp32c3", sdm = true, keys = { "SECURE_BOOT_DIGEST0", 4 } }, function(host)
      host:sync()
      for _, op in ipairs { 0x05, 0x06, 0x07, 0x09, 0x0A, 0x0E, 0x10, 0x11, 0x12, 0x13 } do
        assert.same({ 1, 5 }, { host:status(op, W(0x40001000, 0, 0, 0)) })
      end
      local info = host:command(0x14)
      assert.equal("04000000" .. "00" .. "0904000000000c" .. "05000000", rawhost.hex(info:sub(9, 24)))
      host:attach()
      assert.same({ 0, 0 }, { host:flash_begin(0x1000, 1, 0x400, 0, 0) })
      assert.equal(0, (host:flash_data(("a"):rep(1024), 0)))
    end)
  end)

  it("ESP32-S2 says nothing of its id", function()
    with({ chip = "esp32s2", secure_boot = true }, function(host)
      host:sync()
      local info = host:command(0x14)
      assert.equal(8 + 12 + 4, #info)
      assert.equal(1, info:byte(9))
    end)
  end)

  it("an encrypted write does not read back, needs alignment, and can be forbidden", function()
    with({ chip = "esp32c3", flash_encryption = true, keys = { 4 } }, function(host, chip)
      host:sync()
      host:attach()
      host:flash_begin(0x1000, 1, 0x400, 0x1000, 1)
      local plain = ("secret!!"):rep(128)
      assert.equal(0, (host:flash_data(plain, 0)))
      assert.not_equal(plain, chip:flash(0x1000, 1024))
      host:flash_begin(0x1000, 1, 0x400, 0x1000, 1)
      assert.same({ 1, 0x64 }, { host:flash_data(("x"):rep(20), 0) })
    end)
    with({ chip = "esp32c3", dl_encrypt_disabled = true }, function(host)
      host:sync()
      host:attach()
      assert.same({ 1, 0x64 }, { host:flash_begin(0x1000, 1, 0x400, 0x1000, 1) })
      assert.equal(0, (host:flash_begin(0x1000, 1, 0x400, 0x1000, 0)))
    end)
  end)

  it("a chip with download disabled boots from flash", function()
    with({ chip = "esp32c3", ["efuse.download_disabled"] = 1 }, function(_, chip)
      assert.equal("app", chip:state().mode)
    end)
  end)
end)

describe("DTR and RTS on a board with two transistors", function()
  -- The truth table of the circuit; what the chip does is read off its boot log.
  local function reset(host, ...)
    for _, step in ipairs { ... } do host.port:lines(step[1], step[2]) end
  end

  for _, case in ipairs {
    { "the classic sequence", { { false, nil }, { nil, true }, { true, nil }, { nil, false }, { false, nil } },
      "download" },
    { "both lines at once", { { false, false }, { true, true }, { false, true }, { true, false }, { false, false } },
      "download" },
    { "RTS alone", { { false, true }, { false, false } }, "app" },
  } do
    it(case[1] .. " ends in " .. case[3], function()
      with({ chip = "esp32c3", boot = case[3] == "app" and "download" or "flash", en_delay = 1 }, function(host, chip)
        local before = chip:state().resets
        reset(host, table.unpack(case[2]))
        assert.equal(before + 1, chip:state().resets)
        assert.equal(case[3], chip:state().mode)
        local log = host:read()
        assert.matches(case[3] == "app" and "boot:0xd %(SPI_FAST_FLASH_BOOT%)" or "waiting for download", log)
      end)
    end)
  end

  it("a chip that is held in reset neither prints nor answers", function()
    with({ chip = "esp32" }, function(host, chip)
      host.port:lines(false, true)
      assert.equal("reset", chip:state().mode)
      assert.is_true(host:silent())
    end)
  end)

  it("without its capacitor EN rises when both are asserted, and the chip misses the boot pin", function()
    with({ chip = "esp32c3", en_delay = 0 }, function(host, chip)
      host.port:lines(false, true)
      host.port:lines(true, true)
      assert.is_true(eventually(function() return chip:state().mode == "app" end))
    end)
  end)
end)

describe("the boot log", function()
  it("names cause and mode", function()
    with({ chip = "esp32" }, function(host)
      assert.equal("ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x3 " ..
                   "(DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\nwaiting for download\r\n", host.boot)
    end)
  end)

  it("of blank flash complains about the header", function()
    with({ chip = "esp32", boot = "flash" }, function(host, chip)
      assert.matches("boot:0x13 %(SPI_FAST_FLASH_BOOT%)\r\ninvalid header: 0xffffffff\r\n", host.boot)
      assert.equal("app", chip:state().mode)
      assert.is_true(host:silent())
    end)
  end)

  it("tells what an image loads", function()
    with({ chip = "esp32c3" }, function(host, chip)
      chip:poke_flash(0, "\xE9\1\2\x2F" .. W(0x40380000) .. ("\0"):rep(16) .. W(0x3FC80000, 16) .. ("x"):rep(16))
      chip:reset "flash"
      assert.matches("mode:DIO, clock div:1\r\nload:0x3fc80000,len:0x10\r\nentry 0x40380000\r\n", host:read(), 1, true)
    end)
  end)

  it("of the ESP8266 comes at 74880 baud, so that it is garbage at 115200", function()
    with({ chip = "esp8266" }, function(host, chip)
      assert.is_nil(host.boot:find("ets Jan", 1, true))
      host.port:baud(74880)
      chip:reset "download"
      assert.matches("ets Jan  8 2013,rst cause:1, boot mode:%(1,6%)", host:read())
      host.port:baud(115200)
      assert.is_truthy(host:sync())                     -- the loader measures the rate
    end)
  end)
end)

describe("the rate", function()
  it("is measured from SYNC, then changed by command after the answer", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host.port:baud(57600)
      host:sync()
      assert.equal(0x2B6, host:read_reg(0x60000014) & 0xFFFFF)             -- 40 MHz / 57600 = 694.4
      local _, all = host:command(0x0F, W(460800, 0))
      assert.equal(1, #all)
      assert.is_true(math.abs(chip:state().baud - 460800) < 2000)
      assert.is_nil(host:command(0x0A, W(0x40001000)))                     -- the old rate is not understood
      host.port:baud(460800)
      host:read()
      host.port:write "\xC0"                                               -- ends what was garbage
      host:read()
      assert.is_truthy(host:command(0x0A, W(0x40001000)))
    end)
  end)

  it("depends on the crystal that the ROM believes in", function()
    with({ chip = "esp32c2", crystal = 26 }, function(host, chip)
      host:sync()
      assert.equal(math.floor(26e6 / 115200), host:read_reg(0x60000014) & 0xFFFFF)
      host:command(0x0F, W(230400, 0))
      assert.is_true(math.abs(chip:state().baud - 230400 * 26 / 40) < 1000)
    end)
  end)
end)

describe("leaving the loader", function()
  it("MEM_END starts the code and the loader is gone", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:sync()
      assert.equal(0, (host:status(0x06, W(0, 0x40380000))))
      assert.equal("app", chip:state().mode)
      assert.equal(0x40380000, chip:state().entry)
      assert.is_true(host:silent())
    end)
  end)

  it("FLASH_END restarts or runs, also when it complains", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:sync()
      host:attach()
      host:flash_begin(0, 0, 0x400, 0, 0)
      host.port:write(rawhost.frame(("<BBI2I4I4"):pack(0, 0x04, 4, 0, 0)))
      assert.matches("\xC0\xC0\xC0ESP%-ROM.*rst:0x3 %(RTC_SW_SYS_RST%),boot:0x7", host:read(0.1))
      host:sync()
      host:attach()
      host:flash_begin(0x1000, 1, 0x400, 0, 0)
      assert.same({ 1, 6 }, { host:status(0x04, W(1)) })
      assert.equal("app", chip:state().mode)
    end)
  end)

  it("the RTC watchdog resets after its time, if it was unlocked", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:sync()
      local resets = chip:state().resets
      host:write_reg(0x60008094, 100)
      host:write_reg(0x60008090, 0xD0000102)
      assert.equal(0, host:read_reg(0x60008090))                           -- locked
      host:write_reg(0x600080A8, 0x50D83AA1)
      host:write_reg(0x60008094, 30000)                                    -- 0.2 s
      host:write_reg(0x60008090, 0xD0000102)
      assert.is_true(eventually(function() return chip:state().resets == resets + 1 end))
      assert.matches("rst:0x10 (RTCWDT_RTC_RST)", host:read(0.1), 1, true)
    end)
  end)
end)

describe("a USB link", function()
  local DOWNLOAD = { { false, false }, { true, false }, { true, true }, { false, true }, { false, false } }

  it("is told by the system's ids and by the ROM's variable", function()
    with({ chip = "esp32c3", link = "usj" }, function(host)
      assert.same({ vid = 0x303A, pid = 0x1001 }, host.port:info().usb)
      host:sync()
      assert.equal(3, host:read_reg(0x3FCDF07C) & 0xFF)
    end)
    with({ chip = "esp32s2", link = "otg" }, function(host)
      assert.same({ vid = 0x303A, pid = 2 }, host.port:info().usb)
      host:sync()
      assert.equal(2, host:read_reg(0x3FFFFD14) & 0xFF)
    end)
  end)

  it("resets by its own reading of the lines", function()
    with({ chip = "esp32c3", link = "usj", boot = "flash" }, function(host, chip)
      for _, step in ipairs(DOWNLOAD) do host.port:lines(step[1], step[2]) end
      assert.equal("download", chip:state().mode)
      assert.matches("rst:0x15 (USB_UART_CHIP_RESET)", host:read(), 1, true)
      host.port:lines(false, false)
      host.port:lines(false, true)
      assert.equal("app", chip:state().mode)
    end)
  end)

  it("goes away in a reset and comes back", function()
    with({ chip = "esp32c3", link = "usj", vanish = 1 }, function(host)
      for i = 1, 4 do host.port:lines(DOWNLOAD[i][1], DOWNLOAD[i][2]) end
      local _, _, code = host.port:lines(false, false)
      assert.equal("port_gone", code)
      assert.is_truthy(host.port:reopen(3))
      assert.equal(8, select("#", host:sync()) == 2 and #select(2, host:sync()))
    end)
  end)

  it("over USB-OTG takes frames only as long as its buffer", function()
    with({ chip = "esp32s2", link = "otg" }, function(host)
      host:sync()
      local function load(n)
        host:status(0x05, W(n, 1, n, 0x3FFC0000))
        return host:status(0x07, W(n, 0, 0, 0) .. ("x\1"):rep(n // 2), rawhost.checksum(("x\1"):rep(n // 2)))
      end
      assert.equal(0, (load(0x800)))
      assert.same({ 1, 7 }, { load(0x802 | 4) })
    end)
  end)

  it("comes back to the loader when that was forced", function()
    with({ chip = "esp32s3", link = "otg" }, function(host, chip)
      host:sync()
      local data = chips.get "esp32s3"
      local wdt, forced = data.watchdog.rtc, data.reset.force_download[1]
      host:write_reg(forced[1], 1 << forced[2])
      host:write_reg(wdt.wprotect, wdt.key)
      host:write_reg(wdt.config1, 10)
      host.port:write(rawhost.frame(("<BBI2I4I4I4I4I4"):pack(0, 9, 16, 0, wdt.config0, 0xD0000102, 0xFFFFFFFF, 0)))
      assert.is_true(eventually(function() return chip:state().resets == 2 end))
      assert.equal("download", chip:state().mode)
      chip:reset "flash"
      assert.equal("app", chip:state().mode)
    end)
  end)

  it("goes away when the watchdog bites", function()
    with({ chip = "esp32s2", link = "otg" }, function(host, chip)
      host:sync()
      local wdt = chips.get "esp32s2".watchdog.rtc
      host:write_reg(wdt.wprotect, wdt.key)
      host:write_reg(wdt.config1, 10)
      host.port:write(rawhost.frame(("<BBI2I4I4I4I4I4"):pack(0, 9, 16, 0, wdt.config0, 0xD0000102, 0xFFFFFFFF, 0)))
      assert.is_true(eventually(function()
        local _, _, code = host.port:read(100, 0.01)
        return code == "port_gone"
      end))
      assert.is_truthy(host.port:reopen(3))
      assert.equal("app", chip:state().mode)                               -- the boot pin is not held
    end)
  end)
end)

describe("a port on a simulated chip", function()
  it("is used by one at a time", function()
    local chip <close> = sim.new { chip = "esp32c3" }
    local first = assert(chip:port())
    local second, _, code = chip:port()
    assert.is_nil(second)
    assert.equal("port_busy", code)
    first:close()
    local third = assert(chip:port())
    third:close()
  end)

  it("keeps its chip alive, and the chip what was written", function()
    local port, chip = sim.open "sim:esp32c3"
    chip:poke_flash(0, "kept")
    port:close()
    local host = rawhost.new(chip)
    assert.equal("kept", chip:flash(0, 4))
    chip:close()
    assert.is_truthy(host:sync())
    host.port:close()
  end)

  it("drops what it has received on request", function()
    with({ chip = "esp32c3" }, function(host, chip)
      chip:reset()
      task.sleep(0.02)
      host.port:flush()
      assert.equal("", host:read())
    end)
  end)

  it("records every command", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:sync()
      host:command(0x15)
      local log = chip:log()
      assert.equal(2, #log)
      assert.same({ 8, true }, { log[1].op, log[1].ok })
      assert.same({ 0x15, false, 5 }, { log[2].op, log[2].ok, log[2].error })
      assert.same({}, (chip:log()))
    end)
  end)
end)
