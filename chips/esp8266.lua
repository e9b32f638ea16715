-- ESP8266 and ESP8285. Sources: ESP8266 Technical Reference, "SPI" and "UART"; esptool documentation,
-- "Serial Protocol" and "ESP8266 Boot Mode"; facts checked against esptool v5.2.0.
local OTP, UART, SPI = 0x3FF00050, 0x60000000, 0x60000200

return {
  id = "esp8266", name = "ESP8266", aliases = { "esp8285" }, arch = "xtensa",
  magic = 0xFFF0C101, uf2_family = 0x7EAB61ED, bootloader_offset = 0,
  links = { uart = true },
  memory = {
    dport = { 0x3FF00000, 0x3FF00010 },
    dram = { 0x3FFE8000, 0x40000000 },
    iram = { 0x40100000, 0x40108000, words = true },
    icache = { 0x40108000, 0x40110000, words = true },
    irom_mask = { 0x40000000, 0x40010000 },
    irom = { 0x40201010, 0x402E1010, flash = true },
  },
  image = {
    versions = { 1, 2, 3 },
    window = { 0x40200000, 0x40300000 },          -- where flash can be mapped; irom is what one image has of it
    v3_codes = "esp32",                           -- version 3 has that chip's codes for size and frequency
    map = {
      { 0x3FF00000, 0x3FF00010, "DPORT" }, { 0x3FFE8000, 0x40000000, "DRAM" }, { 0x40100000, 0x40108000, "IRAM" },
      { 0x40201010, 0x402E1010, "IROM" },
    },
  },
  rom = {
    status_bytes = 2, attach = false, attach_legacy_word = false, params = false, deflate = false, md5 = false,
    read_slow = false, change_baud = false, divider_baud = true, sdm_baud = false,
    encrypted_word = false, encrypted_write = false, erase_quirk = "head_sectors", flash_block = 0x400, ram_block = 0x1800, usb_block = 0x1800,
  },
  spi = { base = SPI, usr = 0x1C, usr1 = 0x20, usr2 = 0x24, w0 = 0x40, addr_msb = true },
  uart = { base = UART, clkdiv = UART + 0x14, date = UART + 0x78 },
  crystal = { measured = true, choices = { 26, 40 }, divider = 2 },
  efuse = {
    base = OTP, layout = "otp_words",
    blocks = { { "OTP", 0, 4 } },
    fields = {
      mac0 = { { OTP, 24, 8 } },                  -- last octet
      mac1 = { { OTP + 4, 0, 16 } },              -- fifth and fourth octet
      mac_oui_index = { { OTP + 4, 16, 8 } },     -- which built-in vendor part, when mac_oui is 0
      mac_oui = { { OTP + 12, 0, 24 } },
      mac = { { OTP, 24, 8 }, { OTP + 4, 0, 16 }, { OTP + 12, 0, 24 } },
      chip_serial = { { OTP, 24, 8 }, { OTP + 4, 0, 24 } },
      esp8285_a = { { OTP, 4, 1 } },
      esp8285_b = { { OTP + 8, 16, 1 } },
      high_temperature = { { OTP, 5, 1 } },
      flash_cap = { { OTP, 4, 1 }, { OTP + 12, 25, 3 } },
    },
  },
  identity = {
    mac_ouis = { [0] = 0x18FE34, [1] = 0xACD074 },
    unknown = "ESP8266EX",
    -- flash_cap: bit 0 is OTP bit 4, bits 1..3 are OTP bits 121..123
    names = {
      { "ESP8285H08", flash_cap = 1, high_temperature = 1 }, { "ESP8285N08", flash_cap = 1 },
      { "ESP8285H16", flash_cap = 2, esp8285_b = 1, high_temperature = 1 },
      { "ESP8285N16", flash_cap = 2, esp8285_b = 1 },
      { "ESP8285H16", flash_cap = 5, high_temperature = 1 }, { "ESP8285N16", flash_cap = 5 },
      { "ESP8285", esp8285_a = 1 }, { "ESP8285", esp8285_b = 1 },
    },
    features = {
      "Wi-Fi", "160MHz",
      { "Embedded Flash", esp8285_a = 1 }, { "Embedded Flash", esp8285_a = 0, esp8285_b = 1 },
    },
  },
  watchdog = { reset = false, disable_on_usj = false },
  reset = { hard = "rts" },
  flash = {
    sizes = {
      ["512KB"] = 0x00, ["256KB"] = 0x10, ["1MB"] = 0x20, ["2MB"] = 0x30, ["4MB"] = 0x40,
      ["2MB-c1"] = 0x50, ["4MB-c1"] = 0x60, ["8MB"] = 0x80, ["16MB"] = 0x90,
    },
    freqs = { ["80m"] = 0xF, ["40m"] = 0x0, ["26m"] = 0x1, ["20m"] = 0x2 },
    pins = {}, usb_pins = {}, encrypted_align = 16,
  },
  security = {},
  stub = {
    default = true, soft_reset = true,
    text = 0x4010C500, data = 0x3FFE8100, data_end = 0x3FFFC000, ring = 0x4000,
    uart = { layout = "esp8266" }, reset = { 0x60000700, 31 },
    rom = {
      attach = 0x40004644, pads = 0x40003F58, boot = 0x400010A8,
    },
  },
  sim = {
    core = "lx106",
    peripherals = { { 0x3FF00000, 0x3FF21000 }, { 0x60000000, 0x60002000 } },
    unclaimed = { { 0x400C0000, 0x400C1000 }, { 0x50000000, 0x50001000 } },  -- by what esptool's tests do on boards
    print = 0x400024CC, boot_baud = 115200, boot_crystal = 40,        -- what the divider was set for: with 26 MHz it is 74880 on the line
    crystal = 26, mac = "18:fe:34:a1:b2:c3", revision = 0,
    flash_id = { manufacturer = 0xEF, device = 0x4016 },
    log = {
      banner = "\r\n ets Jan  8 2013,",
      line = "rst cause:{reset}, boot mode:({boot_name})\r\n\r\n",
      waiting = "",
    },
    boot = { download = { 1, "1,6" }, flash = { 3, "3,6" } },
    resets = { power_on = { 1, "power on" }, external = { 2, "external" }, watchdog = { 4, "watchdog" } },
    fields = { mac0 = 0xC3, mac1 = 0xA1B2, mac_oui_index = 0 },
    sync_value = 0x20120707,
  },
  checked = { connect = "document", flash = "document", stub = "sim" },
}
