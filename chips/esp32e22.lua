-- ESP32-E22. Sources: Technical Reference Manual; ESP-IDF soc/esp32e22 headers; eFuse table of espefuse;
-- facts checked against esptool (v5.2.0 and the development branch of 2026-08).
-- Its eFuse table has no revision, package or flash encryption yet; what is not there counts as 0.
local EFUSE, UART, SPI1, GPIO = 0xC4008000, 0xC3102000, 0xC3003000, 0xC310D000

return {
  id = "esp32e22", name = "ESP32-E22", arch = "riscv", cores = 2,
  image_chip_id = 31, bootloader_offset = 0x0,
  security_info = "full",
  links = { uart = true, otg = 0x001F },
  memory = {
    irom = { 0x3C000000, 0x40000000, flash = true },
    drom = { 0x3C000000, 0x40000000, flash = true, alias_of = "irom" },
    irom_mask = { 0x30000000, 0x30120000 },
    drom_mask = { 0x30000000, 0x30120000, alias_of = "irom_mask" },
    iram = { 0x30FE0000, 0x31000000 },
    dram = { 0x31000000, 0x31200000 },
    rtc_iram = { 0xC0000000, 0xC0008000 },
    rtc_dram = { 0xC0000000, 0xC0008000, alias_of = "rtc_iram" },
  },
  image = {
    versions = { 1 },
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x3C000000, 0x40000000, "DROM" }, { 0x31000000, 0x31200000, "DRAM" },
      { 0x31000000, 0x31200000, "BYTE_ACCESSIBLE" }, { 0x30000000, 0x30120000, "DROM_MASK" },
      { 0x30000000, 0x30120000, "IROM_MASK" }, { 0x3C000000, 0x40000000, "IROM" }, { 0x30FE0000, 0x31200000, "IRAM" },
      { 0xC0000000, 0xC0008000, "RTC_IRAM" }, { 0xC0000000, 0xC0008000, "RTC_DRAM" },
    },
  },
  rom = {
    status_bytes = 4, attach = true, attach_legacy_word = true, params = true, deflate = true, md5 = true,
    read_slow = true, change_baud = true, encrypted_word = true, encrypted_write = true, sdm_baud = true,
    flash_block = 0x400, ram_block = 0x1800, usb_block = 0x800,
  },
  spi = {
    base = SPI1, usr = 0x18, usr1 = 0x1C, usr2 = 0x20, mosi_dlen = 0x24, miso_dlen = 0x28, w0 = 0x58,
    addr_msb = false,
  },
  uart = {
    base = UART, clkdiv = UART + 0x14, date = UART + 0x8C,
    link_in_use = {
      { from_revision = 0, address = 0x3111B700, otg = 3 },
    },
  },
  crystal = { measured = true, choices = { 26, 40, 48 }, divider = 1 },
  efuse = {
    base = EFUSE, layout = "blocks",
    blocks = {
      { "BLOCK0", 0x02C, 6 }, { "MAC_SPI_8M_0", 0x044, 6 }, { "BLOCK_SYS_DATA", 0x05C, 8 },
      { "BLOCK_USR_DATA", 0x07C, 8 }, { "BLOCK_KEY0", 0x09C, 8 }, { "BLOCK_KEY1", 0x0BC, 8 },
      { "BLOCK_KEY2", 0x0DC, 8 }, { "BLOCK_KEY3", 0x0FC, 8 }, { "BLOCK_KEY4", 0x11C, 8 },
      { "BLOCK_KEY5", 0x13C, 8 }, { "BLOCK_SYS_DATA2", 0x15C, 8 },
    },
    pgm_data = 0x000, pgm_check = 0x020, clk = 0x1C8, conf = 0x1CC, status = 0x1D0, cmd = 0x1D4, dac_conf = 0x1E8,
    conf_write = 0x5A5A, conf_read = 0x5AA5, cmd_program = 0x2, cmd_read = 0x1,
    write_protect = { [2] = 20, [3] = 21, [4] = 22, [5] = 23, [6] = 24, [7] = 25, [8] = 26, [9] = 27, [10] = 28, [11] = 29 },
    read_protect = { [5] = 0, [6] = 1, [7] = 2, [8] = 3, [9] = 4, [10] = 5, [11] = 6 },
    fields = {
      write_disable = { { EFUSE + 0x2C, 0, 32 } },
      read_disable = { { EFUSE + 0x30, 0, 7 } },
      download_disabled = { { EFUSE + 0x38, 31, 1 } },
      secure_download = { { EFUSE + 0x3C, 4, 1 } },
      mac = { { EFUSE + 0x44, 0, 32 }, { EFUSE + 0x48, 0, 16 } },
      custom_mac = { { EFUSE + 0x94, 8, 24 }, { EFUSE + 0x98, 0, 24 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-E22",
    names = {
      { "ESP32-E22" },
    },
    features = {
      "Wi-Fi 6E (tri-band, 2x2 MU-MIMO)", "BT 5.4 (LE) + Classic", "Dual Core", "500MHz",
    },
  },
  watchdog = {
    reset = false, disable_on_usj = false,
  },
  reset = {
    hard = "rts", hard_on_otg = "watchdog_if_strapped",
    strap = GPIO, strap_flash_boot = { { GPIO, 3, 1 } }, force_download = { { 0x3F408128, 0, 1 } },
  },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["80m"] = 0xF, ["40m"] = 0x0, ["26m"] = 0x1, ["20m"] = 0x2 },
    pins = { { 0, 52 } }, usb_pins = { 18, 19 }, encrypted_align = 16,
  },
  security = {
    secure_boot = { { EFUSE + 0x38, 20, 1 } },
    key_purposes = {
      { { EFUSE + 0x34, 24, 4 } }, { { EFUSE + 0x34, 28, 4 } }, { { EFUSE + 0x38, 0, 4 } },
      { { EFUSE + 0x38, 4, 4 } }, { { EFUSE + 0x38, 8, 4 } }, { { EFUSE + 0x38, 12, 4 } },
    },
    key_purpose_names = {
      [0] = "USER/EMPTY", [1] = "ECDSA_KEY", [2] = "XTS_AES_256_KEY_1", [3] = "XTS_AES_256_KEY_2",
      [4] = "XTS_AES_128_KEY", [5] = "HMAC_DOWN_ALL", [6] = "HMAC_DOWN_JTAG", [7] = "HMAC_DOWN_DIGITAL_SIGNATURE",
      [8] = "HMAC_UP", [9] = "SECURE_BOOT_DIGEST0", [10] = "SECURE_BOOT_DIGEST1", [11] = "SECURE_BOOT_DIGEST2",
      [12] = "KM_INIT_KEY",
    },
    key_valid = "xts_128_or_256",
  },
  stub = { default = "none" },
  sim = {
    -- The log has not been seen; it has the form of its relatives.
    boot_baud = 115200, crystal = 40, mac = "60:55:f9:22:12:34", revision = 0, api_version = 0,
    flash_id = { manufacturer = 0xC8, device = 0x4018 },
    log = {
      banner = "ESP-ROM:esp32e22-20250601\r\nBuild:Jun  1 2025\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
    },
    boot = { download = { 0x0, "DOWNLOAD(USB/UART0)" }, flash = { 0x8, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0xC, "SW_CPU" },
      watchdog = { 0x10, "LP_WDT_SYS" },
    },
    fields = {  },
    sync_value = 0x20120707,
  },
  checked = { connect = "document", flash = "document" },
}
