-- ESP32-S31. Sources: Technical Reference Manual; ESP-IDF soc/esp32s31 headers; eFuse table of espefuse;
-- facts checked against esptool (v5.2.0 and the development branch of 2026-08).
local EFUSE, UART, SPI1, LP_WDT = 0x20715000, 0x2038A000, 0x20501000, 0x20801000

return {
  id = "esp32s31", name = "ESP32-S31", arch = "riscv", cores = 2,
  image_chip_id = 32, uf2_family = 0x3101F7C1, bootloader_offset = 0x2000,
  security_info = "full",
  links = { uart = true, usj = true, otg = 0x0020 },
  memory = {
    irom = { 0x40000000, 0x54000000, flash = true },
    drom = { 0x40000000, 0x54000000, flash = true, alias_of = "irom" },
    irom_mask = { 0x2F800000, 0x2F850000 },
    drom_mask = { 0x2F800000, 0x2F850000, alias_of = "irom_mask" },
    dram = { 0x2F000000, 0x2F080000 },
    iram = { 0x2F000000, 0x2F080000, alias_of = "dram" },
    rtc_iram = { 0x2E000000, 0x2E008000 },
    rtc_dram = { 0x2E000000, 0x2E008000, alias_of = "rtc_iram" },
  },
  image = {
    versions = { 1 }, mmu_pages = { 0x8000, 0x10000, 0x20000, 0x40000 },
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x40000000, 0x54000000, "DROM" }, { 0x2F000000, 0x2F080000, "DRAM" },
      { 0x2F000000, 0x2F080000, "BYTE_ACCESSIBLE" }, { 0x2F800000, 0x2F850000, "DROM_MASK" },
      { 0x2F800000, 0x2F850000, "IROM_MASK" }, { 0x40000000, 0x54000000, "IROM" }, { 0x2F000000, 0x2F080000, "IRAM" },
      { 0x2E000000, 0x2E008000, "RTC_IRAM" }, { 0x2E000000, 0x2E008000, "RTC_DRAM" },
    },
  },
  rom = {
    status_bytes = 4, attach = true, attach_legacy_word = true, params = true, deflate = true, md5 = true,
    read_slow = true, change_baud = true, encrypted_word = true, encrypted_write = true, sdm_baud = true,
    flash_block = 0x400, ram_block = 0x1800, usb_block = 0x800, sdc = true, at_once = true,
  },
  spi = {
    base = SPI1, usr = 0x18, usr1 = 0x1C, usr2 = 0x20, mosi_dlen = 0x24, miso_dlen = 0x28, w0 = 0x58,
    addr_msb = false,
  },
  uart = {
    base = UART, clkdiv = UART + 0x14, date = UART + 0x8C,
    -- where the ROM's GetUartDevice points, and its field for the link
    link_in_use = { { from_revision = 0, address = 0x2F07F488, usj = 5, otg = 4 } },
  },
  crystal = { fixed = 40 },
  efuse = {
    base = EFUSE, layout = "blocks",
    blocks = {
      { "BLOCK0", 0x02C, 9 }, { "MAC_SPI_8M_0", 0x050, 6 }, { "BLOCK_SYS_DATA", 0x068, 8 },
      { "BLOCK_USR_DATA", 0x088, 8 }, { "BLOCK_KEY0", 0x0A8, 8 }, { "BLOCK_KEY1", 0x0C8, 8 },
      { "BLOCK_KEY2", 0x0E8, 8 }, { "BLOCK_KEY3", 0x108, 8 }, { "BLOCK_KEY4", 0x128, 8 },
      { "BLOCK_SYS_DATA2", 0x148, 8 },
    },
    pgm_data = 0x000, pgm_check = 0x020, clk = 0x1C8, conf = 0x1CC, status = 0x1D4, cmd = 0x1D8, dac_conf = 0x1EC,
    conf_write = 0x5A5A, conf_read = 0x5AA5, cmd_program = 0x2, cmd_read = 0x1,
    write_protect = { [2] = 20, [3] = 21, [4] = 22, [5] = 23, [6] = 24, [7] = 25, [8] = 26, [9] = 27, [10] = 28 },
    read_protect = { [5] = 0, [6] = 1, [7] = 2, [8] = 3, [9] = 4, [10] = 5 },
    fields = {
      write_disable = { { EFUSE + 0x2C, 0, 32 } },
      read_disable = { { EFUSE + 0x30, 0, 7 } },
      download_disabled = { { EFUSE + 0x3C, 16, 1 } },
      secure_download = { { EFUSE + 0x3C, 21, 1 } },
      mac = { { EFUSE + 0x50, 0, 32 }, { EFUSE + 0x54, 0, 16 } },
      custom_mac = { { EFUSE + 0xA0, 8, 24 }, { EFUSE + 0xA4, 0, 24 } },
      wafer_major = { { EFUSE + 0x5C, 22, 2 } },
      wafer_minor = { { EFUSE + 0x5C, 18, 4 } },
      package = { { EFUSE + 0x60, 6, 2 } },
      block_major = { { EFUSE + 0x5C, 29, 2 } },
      block_minor = { { EFUSE + 0x5C, 26, 3 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-S31",
    names = {
      { "ESP32-S31", package = 0 },
    },
    features = {
      "Wi-Fi 6", "BT 5.4 (LE)", "IEEE802.15.4", "Dual Core + LP Core", "300MHz",
    },
  },
  watchdog = {
    rtc = {
      wprotect = LP_WDT + 0x18, config0 = LP_WDT + 0x00, config1 = LP_WDT + 0x04, key = 0x50D83AA1,
      reset_config0 = 0xD0000102, reset_config1 = 2000,
    },
    reset = true, disable_on_usj = false,
  },
  reset = {
    hard = "rts", hard_on_otg = "watchdog",
  },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["80m"] = 0xF, ["40m"] = 0x0, ["20m"] = 0x2 },
    pins = { { 0, 60 } }, usb_pins = { 33, 34 }, encrypted_align = 16, big = "stub",
  },
  security = {
    secure_boot = { { EFUSE + 0x3C, 2, 1 } },
    flash_crypt_cnt = { { EFUSE + 0x34, 21, 3 } }, crypt_cnt_name = "SPI_BOOT_CRYPT_CNT",
    dl_encrypt_disabled = { { EFUSE + 0x30, 20, 1 } },
    key_purposes = {
      { { EFUSE + 0x38, 0, 5 } }, { { EFUSE + 0x38, 5, 5 } }, { { EFUSE + 0x38, 10, 5 } },
      { { EFUSE + 0x38, 15, 5 } }, { { EFUSE + 0x38, 20, 5 } },
    },
    key_purpose_names = {
      [0] = "USER/EMPTY", [1] = "ECDSA_KEY", [2] = "XTS_AES_256_KEY_1", [3] = "XTS_AES_256_KEY_2",
      [4] = "XTS_AES_128_KEY", [5] = "HMAC_DOWN_ALL", [6] = "HMAC_DOWN_JTAG", [7] = "HMAC_DOWN_DIGITAL_SIGNATURE",
      [8] = "HMAC_UP", [9] = "SECURE_BOOT_DIGEST0", [10] = "SECURE_BOOT_DIGEST1", [11] = "SECURE_BOOT_DIGEST2",
      [12] = "KM_INIT_KEY", [13] = "XTS_AES_256_PSRAM_KEY_1", [14] = "XTS_AES_256_PSRAM_KEY_2",
      [15] = "XTS_AES_128_PSRAM_KEY", [16] = "ECDSA_KEY_P192", [17] = "ECDSA_KEY_P384_L",
      [18] = "ECDSA_KEY_P384_H", [19] = "SDC_KEY_DIGEST",
    },
    key_valid = "xts_128_or_256",
    key_manager_xts = { { EFUSE + 0x34, 13, 1 } }, protect_below = { key_manager = 0x2000 },
  },
  stub = {
    default = true,
    text = 0x2F001000, data = 0x2F00A000, data_end = 0x2F022000, ring = 0x8000,
    uart = { layout = "synced", fsm = 0x70 }, usj = 0x20391000, reset = { 0x20700008, 1 },
    rom = {
      attach = 0x2F800200, configure = 0x2F80017C, write_encrypted = 0x2F800130,
      security_info = { { from = 0, 0x2F8000C4 } },
      usb = {
        device = 0x2F07FFB8, poll = 0x2F800B74, read = 0x2F800A80, write = 0x2F800A78, callback = 0x2F800AA8,
      },
    },
  },
  sim = {
    machine = {                                     -- what its ROM needs to run
      id = { 0x2F800010, 32 }, unaligned = true, reset_cause = { 0x20701030, 1, 6 }, strap = 0x20583000,
      memory = { { 0x10800000, 0x10803000, kind = "registers" }, { 0x2C000000, 0x2C100000, kind = "registers" },
                 { 0x2D000000, 0x2D010000, kind = "registers" } },
      interrupts = { kind = "clic", matrix = 0x20585000, control = 0x10800000, sources = { uart0 = 9 } },
      cache = {
        kind = "indexed", base = 0x2050037C, content = 0, index = 4, entries = 1024, page = 0x10000, page_mask = 0x3FF,
        valid = 0x1000, valid_value = 0x1000,
      },
      sha = 0x20509000, aes = { "later", 0x20508000 }, rsa = { "later", 0x2050A000 }, random = { 0x20814044, 0x20814048 },
      ecc = { base = 0x2050B000, size = 48, curve = 2, mode = { 5, 4 }, good = 29 },
      ecdsa = { base = 0x2050E000, size = 48, curve = { 2, 2 }, memory = 0x3E0 },
      autobaud = { enable = { 0x20, 19 }, low = 0x7C, high = 0x80, edges = 0x84, rx_reset = 22 },
      registers = {
        [0x2C00009C] = { clear = 0xF, set = 0x10, forget = true },        -- caches: done at once
        [0x2C000138] = { set = 0x2 }, [0x2C00008C] = { clear = 0x3, set = 0x4 }, [0x2C000088] = { clear = 0x3, set = 0x4 },
        [0x2C0000DC] = { clear = 0x1, set = 0x2 }, [0x2C00002C] = { echo = { 0x11111, 2 } },
        [0x2C000030] = { echo = { 0x10000, 2 } },
        [0x20500178] = { set = 0xFC000000 },            -- the bus of the cache is idle
        [0x2038B098] = { clear = 0x1 },                 -- UART1: what was asked for has happened
      },
    },
    core = "rv32imafcb_zc",
    peripherals = { { 0x20000000, 0x20900000 } },
    -- The log has not been seen; it has the form of its relatives.
    boot_baud = 115200, crystal = 40, mac = "60:55:f9:31:12:34", revision = 0, api_version = 0,
    flash_id = { manufacturer = 0xC8, device = 0x4018 },
    log = {
      banner = "ESP-ROM:esp32s31-20251218\r\nBuild:Dec 18 2025\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
    },
    boot = { download = { 0x8, "DOWNLOAD(USB/UART0/SPI)" }, flash = { 0x18, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0x3, "SW_SYS_RESET" },
      watchdog = { 0x10, "CHIP_LP_WDT_RESET" }, usb = { 0x17, "CHIP_USB_UART_RESET" },
      watchdog_core = { 0x9, "HP_SYS_LP_WDT_RESET" }, watchdog_cpu = { 0xD, "HP_CORE_LP_WDT_RESET" },
      timer0 = { 0x7, "HP_SYS_HP_WDT0_RESET" }, timer1 = { 0x8, "HP_SYS_HP_WDT1_RESET" },
      timer0_cpu = { 0xB, "HP_CORE_HP_WDT_RESET" }, timer1_cpu = { 0xB, "HP_CORE_HP_WDT_RESET" },
    },
    fields = { package = 0 },
    sync_value = 0x20120707, no_purpose = 20,
    spi_also = 0x20500000,                        -- SPI0: esptool 5.2 sends flash commands there
  },
  checked = { connect = "document", flash = "document", stub = "sim" },
}
