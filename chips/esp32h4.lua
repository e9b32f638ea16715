-- ESP32-H4. Sources: Technical Reference Manual; ESP-IDF soc/esp32h4 headers; eFuse table of espefuse;
-- facts checked against esptool (v5.2.0 and the development branch of 2026-08).
local EFUSE, UART, SPI1, TIMG, LP_WDT = 0x600B1800, 0x60012000, 0x60099000, 0x60090000, 0x600B5400

return {
  id = "esp32h4", name = "ESP32-H4", arch = "riscv", cores = 2,
  image_chip_id = 28, uf2_family = 0x9E0BAA8A, bootloader_offset = 0x2000,
  security_info = "full",
  links = { uart = true, usj = true },
  memory = {
    irom = { 0x42000000, 0x44000000, flash = true },
    drom = { 0x42000000, 0x44000000, flash = true, alias_of = "irom" },
    irom_mask = { 0x40000000, 0x40050000 },
    drom_mask = { 0x40000000, 0x40050000, alias_of = "irom_mask" },
    dram = { 0x40810000, 0x40860000 },
    iram = { 0x40810000, 0x40860000, alias_of = "dram" },
    rtc_iram = { 0x50000000, 0x50004000 },
    rtc_dram = { 0x50000000, 0x50004000, alias_of = "rtc_iram" },
  },
  image = {
    versions = { 1 }, mmu_pages = { 0x2000, 0x4000, 0x8000, 0x10000 },
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x42000000, 0x44000000, "DROM" }, { 0x40810000, 0x40860000, "DRAM" },
      { 0x40810000, 0x40860000, "BYTE_ACCESSIBLE" }, { 0x40000000, 0x40050000, "DROM_MASK" },
      { 0x40000000, 0x40050000, "IROM_MASK" }, { 0x42000000, 0x44000000, "IROM" }, { 0x40810000, 0x40860000, "IRAM" },
      { 0x50000000, 0x50004000, "RTC_IRAM" }, { 0x50000000, 0x50004000, "RTC_DRAM" },
      { 0x60000000, 0x60100000, "MEM_INTERNAL2" },
    },
  },
  rom = {
    status_bytes = 4, attach = true, attach_legacy_word = true, params = true, deflate = true, md5 = true,
    read_slow = true, change_baud = true, encrypted_word = true, encrypted_write = true, sdm_baud = true,
    flash_block = 0x400, ram_block = 0x1800, usb_block = 0x1800,
  },
  spi = {
    base = SPI1, usr = 0x18, usr1 = 0x1C, usr2 = 0x20, mosi_dlen = 0x24, miso_dlen = 0x28, w0 = 0x58,
    addr_msb = false,
  },
  uart = {
    base = UART, clkdiv = UART + 0x14, date = UART + 0x7C,
    link_in_use = {
      { from_revision = 0, address = 0x4087F580, usj = 3 },
    },
  },
  crystal = { fixed = 32 },
  efuse = {
    base = EFUSE, layout = "blocks",
    blocks = {
      { "BLOCK0", 0x02C, 6 }, { "MAC_SPI_8M_0", 0x044, 6 }, { "BLOCK_SYS_DATA", 0x05C, 8 },
      { "BLOCK_USR_DATA", 0x07C, 8 }, { "BLOCK_KEY0", 0x09C, 8 }, { "BLOCK_KEY1", 0x0BC, 8 },
      { "BLOCK_KEY2", 0x0DC, 8 }, { "BLOCK_KEY3", 0x0FC, 8 }, { "BLOCK_KEY4", 0x11C, 8 },
      { "BLOCK_KEY5", 0x13C, 8 }, { "BLOCK_SYS_DATA2", 0x15C, 8 },
    },
    pgm_data = 0x000, pgm_check = 0x020, clk = 0x1C8, conf = 0x1CC, status = 0x1D4, cmd = 0x1D8, dac_conf = 0x1EC,
    conf_write = 0x5A5A, conf_read = 0x5AA5, cmd_program = 0x2, cmd_read = 0x1,
    write_protect = { [2] = 20, [3] = 21, [4] = 22, [5] = 23, [6] = 24, [7] = 25, [8] = 26, [9] = 27, [10] = 28, [11] = 29 },
    read_protect = { [5] = 0, [6] = 1, [7] = 2, [8] = 3, [9] = 4, [10] = 5, [11] = 6 },
    fields = {
      write_disable = { { EFUSE + 0x2C, 0, 32 } },
      read_disable = { { EFUSE + 0x30, 0, 7 } },
      download_disabled = { { EFUSE + 0x38, 31, 1 } },
      secure_download = { { EFUSE + 0x3C, 3, 1 } },
      mac = { { EFUSE + 0x44, 0, 32 }, { EFUSE + 0x48, 0, 16 } },
      mac_ext = { { EFUSE + 0x48, 16, 16 } },
      custom_mac = { { EFUSE + 0x94, 8, 24 }, { EFUSE + 0x98, 0, 24 } },
      wafer_major = { { EFUSE + 0x50, 22, 2 } },
      wafer_minor = { { EFUSE + 0x50, 18, 4 } },
      package = { { EFUSE + 0x54, 12, 3 } },
      block_major = { { EFUSE + 0x50, 29, 2 } },
      block_minor = { { EFUSE + 0x50, 26, 3 } },
      flash_cap = { { EFUSE + 0x50, 31, 1 }, { EFUSE + 0x54, 0, 2 } },
      flash_vendor = { { EFUSE + 0x54, 2, 3 } },
      psram_cap = { { EFUSE + 0x54, 5, 3 } },
      psram_vendor = { { EFUSE + 0x54, 8, 2 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-H4",
    names = {
      { "ESP32-H4 (QFN40)", package = 0 },
    },
    features = {
      "BT 5 (LE)", "IEEE802.15.4", "Dual Core", "96MHz",
    },
  },
  watchdog = {
    rtc = {
      wprotect = TIMG + 0x64, config0 = TIMG + 0x48, config1 = TIMG + 0x4C, key = 0x50D83AA1,
      reset_config0 = 0xD0000102, reset_config1 = 2000,
    },
    swd = { wprotect = LP_WDT + 0x20, config = LP_WDT + 0x1C, auto_feed = 0x00040000, key = 0x50D83AA1 },
    reset = false, disable_on_usj = true,
  },
  reset = {
    hard = "rts",
  },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["48m"] = 0xF, ["24m"] = 0x0, ["16m"] = 0x1, ["12m"] = 0x2 },
    pins = { { 0, 39 } }, usb_pins = { 13, 14 }, encrypted_align = 16,
  },
  security = {
    secure_boot = { { EFUSE + 0x38, 5, 1 } },
    flash_crypt_cnt = { { EFUSE + 0x30, 23, 3 } }, crypt_cnt_name = "SPI_BOOT_CRYPT_CNT",
    dl_encrypt_disabled = { { EFUSE + 0x30, 14, 1 } },
    key_purposes = {
      { { EFUSE + 0x34, 0, 5 } }, { { EFUSE + 0x34, 5, 5 } }, { { EFUSE + 0x34, 10, 5 } },
      { { EFUSE + 0x34, 15, 5 } }, { { EFUSE + 0x34, 20, 5 } }, { { EFUSE + 0x34, 25, 5 } },
    },
    key_purpose_names = {
      [0] = "USER/EMPTY", [1] = "ECDSA_KEY", [2] = "XTS_AES_256_KEY_1", [3] = "XTS_AES_256_KEY_2",
      [4] = "XTS_AES_128_KEY", [5] = "HMAC_DOWN_ALL", [6] = "HMAC_DOWN_JTAG", [7] = "HMAC_DOWN_DIGITAL_SIGNATURE",
      [8] = "HMAC_UP", [9] = "SECURE_BOOT_DIGEST0", [10] = "SECURE_BOOT_DIGEST1", [11] = "SECURE_BOOT_DIGEST2",
      [12] = "KM_INIT_KEY", [13] = "XTS_AES_256_PSRAM_KEY_1", [14] = "XTS_AES_256_PSRAM_KEY_2",
      [15] = "XTS_AES_128_PSRAM_KEY", [16] = "ECDSA_KEY_P192", [17] = "ECDSA_KEY_P384_L",
      [18] = "ECDSA_KEY_P384_H",
    },
    key_valid = "xts_128_or_256",
    key_manager_xts = { { EFUSE + 0x38, 20, 1 } }, protect_below = { key_manager = 0x2000 },
  },
  stub = {
    default = true,
    -- Below what the ROM uses, download mode included: ESP-IDF, bootloader.memory.ld.in, "ROM static data usage". The
    -- vendor's stub lies here, too.
    text = 0x40810000, data = 0x40830000, data_end = 0x40848000, ring = 0x8000,
    uart = { layout = "synced", fsm = 0x70 }, usj = 0x6001D000,
    rom = {
      attach = 0x400001E4, configure = 0x40000164, write_encrypted = 0x40000118,
      security_info = { { from = 0, 0x400000BC } }, uart_device = 0x400000B4, reset = 0x40000094,
    },
  },
  sim = {
    core = "rv32imafcb_zc",
    peripherals = { { 0x20000000, 0x20002000 }, { 0x60000000, 0x60100000 } },
    -- The log has not been seen; it has the form of its relatives.
    print = 0x40000024, boot_baud = 115200, crystal = 32, mac = "60:55:f9:44:3e:93", revision = 0, api_version = 0,
    flash_id = { manufacturer = 0x20, device = 0x4016 },
    log = {
      banner = "ESP-ROM:esp32h4-20250114\r\nBuild:Jan 14 2025\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
    },
    boot = { download = { 0x4, "DOWNLOAD(USB/UART0)" }, flash = { 0xC, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0x3, "LP_SW_HPSYS" },
      watchdog = { 0x10, "LP_WDT_SYS" }, usb = { 0x15, "USB_UART_HPSYS" },
      watchdog_core = { 0x9, "LP_WDT_HPSYS" }, watchdog_cpu = { 0xD, "LP_WDT_CPU" },
      timer0 = { 0x7, "TG0_WDT_HPSYS" }, timer1 = { 0x8, "TG1_WDT_HPSYS" },
      timer0_cpu = { 0xB, "TG0_WDT_CPU" }, timer1_cpu = { 0x11, "TG1_WDT_CPU" },
    },
    fields = { package = 0, mac_ext = 0xFFFE },
    sync_value = 0x20120707, no_purpose = 19,
  },
  checked = { connect = "document", flash = "document", stub = "sim" },
}
