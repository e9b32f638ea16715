-- Boot messages as published in the ESP-IDF Programming Guide and the esptool documentation ("Boot Log", "ESP8266 Boot
-- Mode"), and in users' reports.
local bootlog = require "esp.bootlog"

local ESP32 = "ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:%s\r\n"
local CASES = {
  { "nothing at all", "", "nothing" },
  { "a glitch of the line", "\0\0\xFF\0", "nothing" },
  { "ESP32 waiting", ESP32:format "0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))" .. "waiting for download\r\n",
    "download",
    { boot = 0x3, mode = "download", waiting = true, boot_name = "DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)" } },
  { "ESP32 starting its program", ESP32:format "0x13 (SPI_FAST_FLASH_BOOT)" .. "configsip: 0, SPIWP:0xee\r\n",
    "application", { boot = 0x13, mode = "flash", reset = 1, reset_name = "POWERON_RESET" } },
  { "ESP32 with empty flash", ESP32:format "0x13 (SPI_FAST_FLASH_BOOT)" .. ("invalid header: 0xffffffff\r\n"):rep(3),
    "application", { no_program = true } },
  { "ESP32 with unreadable flash",
    ESP32:format "0x33 (SPI_FAST_FLASH_BOOT)" .. "flash read err, 1000\r\nets_main.c 371\r\n", "application",
    { no_program = true, boot = 0x33 } },
  { "ESP32-C3 waiting",
    "ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\nrst:0x1 (POWERON),boot:0x5 (DOWNLOAD(USB/UART0/1))\r\n"
    .. "waiting for download\r\n", "download", { rom = "esp32c3", boot = 5 } },
  { "ESP32-C3 waiting, the prompt cut off",
    "ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\nrst:0x1 (POWERON),boot:0x5 (DOWNLOAD(USB/UART0/1))\r\nwai",
    "download", { mode = "download" } },
  { "ESP32-S3 starting its program",
    "ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\nrst:0x15 (USB_UART_CHIP_RESET),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"
    .. "Saved PC:0x40041a76\r\n", "application", { rom = "esp32s3", reset = 0x15, boot = 8 } },
  { "ESP32-P4 with a wide boot word", "rst:0x1 (POWERON),boot:0x30f (SPI_FAST_FLASH_BOOT)\r\n", "application",
    { boot = 0x30F } },
  { "ESP8266 waiting", "\r\n ets Jan  8 2013,rst cause:2, boot mode:(1,6)\r\n\r\n", "download",
    { boot = 1, reset = 2 } },
  { "ESP8266 starting its program", "\r\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\nload 0x40100000, len 28",
    "application", { boot = 3, mode = "flash" } },
  { "a program's output", "I (31) boot: ESP-IDF v5.1 2nd stage bootloader\r\nI (31) boot: chip revision: v0.4\r\n",
    "application", { boots = 0 } },
  { "a crash", "\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n",
    "application", { panic = "LoadProhibited" } },
  { "a crash, the first letter lost", "uru Meditation Error: Core  1 panic'ed (StoreProhibited)", "application",
    { panic = "StoreProhibited" } },
  { "a crash of the ROM", "Fatal exception (28):\r\nepc1=0x4000e1c3", "application", { panic = "exception 28" } },
  { "a brownout", "\r\nBrownout detector was triggered\r\n\r\nets Jul 29 2019", "application", { brownout = true } },
  { "a restart after a brownout", "rst:0xf (RTCWDT_BROWN_OUT_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n", "application",
    { brownout = true, reset = 0xF } },
  { "noise", "\x8C\x1E\xF0\x93\x02\xE3\x0C\x80\xC2\x9F\x72\x84", "garbage" },
  { "74880 baud read as 115200",
    "l\x9E\x9E\x0C\x92\x13\xFE\x8Cn\x0C\xEC\x8C\x0C\x0C\x92\x8C\x9C\xFE\x02\x12", "garbage" },
}

describe("a boot log", function()
  for _, case in ipairs(CASES) do
    local name, bytes, kind, facts = table.unpack(case)
    it("is understood: " .. name, function()
      local what, log = bootlog.classify(bytes)
      assert.equal(kind, what)
      for key, value in pairs(facts or {}) do assert.equal(value, log[key], key) end
    end)
    if kind ~= "nothing" and kind ~= "garbage" then
      it("is understood after noise: " .. name, function()
        assert.equal(kind, (bootlog.classify("\x8C\x00\xE3\x0C\x80" .. bytes)))
      end)
    end
  end

  it("counts restarts, and the last one says the mode", function()
    local log = bootlog.parse(("rst:0x7 (TG0WDT_SYS_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"):rep(4))
    assert.equal(4, log.boots)
    assert.matches("restarted 4 times", bootlog.describe(log), 1, true)
  end)

  it("is put into a line", function()
    local log = bootlog.parse(ESP32:format "0x13 (SPI_FAST_FLASH_BOOT)")
    assert.equal("boot word 0x13 SPI_FAST_FLASH_BOOT, reset cause 0x1 POWERON_RESET", bootlog.describe(log))
  end)

  it("bears anything", function()
    local state = 1
    for _ = 1, 300 do
      local parts = {}
      for i = 1, 40 do
        state = (state * 1103515245 + 12345) % 2147483648
        local piece = CASES[state % #CASES + 1][2]
        parts[i] = piece:sub(state % 7 + 1, state % 60 + 1) .. string.char(state % 256)
      end
      local what, log = bootlog.classify(table.concat(parts))
      assert.is_string(what)
      assert.is_string(bootlog.describe(log))
    end
  end)
end)
