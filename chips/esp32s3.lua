-- ESP32-S3. Sources: Technical Reference Manual; ESP-IDF soc/esp32s3 headers; eFuse table of espefuse;
-- facts checked against esptool (v5.2.0 and the development branch of 2026-08).
local EFUSE, UART, SPI1, RTC, GPIO = 0x60007000, 0x60000000, 0x60002000, 0x60008000, 0x60004000

return {
  id = "esp32s3", name = "ESP32-S3", arch = "xtensa", cores = 2,
  image_chip_id = 9, uf2_family = 0xC47E5767, bootloader_offset = 0x0,
  security_info = "full",
  links = { uart = true, usj = true, otg = 0x0009 },
  memory = {
    drom = { 0x3C000000, 0x3E000000, flash = true },
    dram = { 0x3FC88000, 0x3FD00000 },
    irom_mask = { 0x40000000, 0x40060000 },
    drom_mask = { 0x3FF00000, 0x3FF20000 },
    iram = { 0x40370000, 0x403E0000, words = true, same_as = { 0x40378000, 0x3FC88000 } },
    irom = { 0x42000000, 0x44000000, flash = true },
    rtc_data = { 0x50000000, 0x50002000 },
    rtc_iram = { 0x600FE000, 0x60100000 },
    rtc_dram = { 0x600FE000, 0x60100000, alias_of = "rtc_iram" },
  },
  image = {
    versions = { 1 },
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x3C000000, 0x3D000000, "DROM" },
      { 0x3D000000, 0x3E000000, "EXTRAM_DATA" }, { 0x600FE000, 0x60100000, "RTC_DRAM" },
      { 0x3FC88000, 0x3FD00000, "BYTE_ACCESSIBLE" }, { 0x3FC88000, 0x403E2000, "MEM_INTERNAL" },
      { 0x3FC88000, 0x3FD00000, "DRAM" }, { 0x40000000, 0x4001A100, "IROM_MASK" }, { 0x40370000, 0x403E0000, "IRAM" },
      { 0x600FE000, 0x60100000, "RTC_IRAM" }, { 0x42000000, 0x42800000, "IROM" },
      { 0x50000000, 0x50002000, "RTC_DATA" },
    },
  },
  rom = {
    status_bytes = 4, attach = true, attach_legacy_word = true, params = true, deflate = true, md5 = true,
    read_slow = true, change_baud = true, encrypted_word = true, encrypted_write = true, sdm_baud = true,
    reserved = { 0x15 }, flash_block = 0x400, ram_block = 0x1800, usb_block = 0x800, at_once = true,
  },
  spi = {
    base = SPI1, usr = 0x18, usr1 = 0x1C, usr2 = 0x20, mosi_dlen = 0x24, miso_dlen = 0x28, w0 = 0x58,
    addr_msb = false,
  },
  uart = {
    base = UART, clkdiv = UART + 0x14, date = UART + 0x80,
    link_in_use = {
      { from_revision = 0, address = 0x3FCEF14C, usj = 4, otg = 3 },
    },
  },
  crystal = { fixed = 40 },
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
      download_disabled = { { EFUSE + 0x3C, 0, 1 } },
      secure_download = { { EFUSE + 0x3C, 5, 1 } },
      mac = { { EFUSE + 0x44, 0, 32 }, { EFUSE + 0x48, 0, 16 } },
      custom_mac = { { EFUSE + 0x94, 8, 24 }, { EFUSE + 0x98, 0, 24 } },
      wafer_major = { { EFUSE + 0x58, 24, 2 } },
      wafer_minor = { { EFUSE + 0x50, 18, 3 }, { EFUSE + 0x58, 23, 1 } },
      wafer_minor_low = { { EFUSE + 0x50, 18, 3 } },
      package = { { EFUSE + 0x50, 21, 3 } },
      block_major = { { EFUSE + 0x6C, 0, 2 } },
      block_minor = { { EFUSE + 0x50, 24, 3 } },
      flash_cap = { { EFUSE + 0x50, 27, 3 } },
      flash_vendor = { { EFUSE + 0x54, 0, 3 } },
      psram_cap = { { EFUSE + 0x54, 3, 2 }, { EFUSE + 0x58, 19, 1 } },
      psram_vendor = { { EFUSE + 0x54, 7, 2 } },
      flash_type = { { EFUSE + 0x3C, 9, 1 } },
      vdd_spi_xpd = { { EFUSE + 0x34, 4, 1 } },
      vdd_spi_tieh = { { EFUSE + 0x34, 5, 1 } },
      vdd_spi_force = { { EFUSE + 0x34, 6, 1 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-S3",
    names = {
      { "ESP32-S3 (QFN56)", package = 0 }, { "ESP32-S3-PICO-1 (LGA56)", package = 1 },
    },
    features = {
      "Wi-Fi", "BT 5 (LE)", "Dual Core + LP Core", "240MHz",
      { field = "flash_cap", unknown = "Unknown Embedded Flash", vendor = "flash_vendor", map = {
        [0] = false, [1] = "Embedded Flash 8MB", [2] = "Embedded Flash 4MB" } },
      { field = "psram_cap", unknown = "Unknown Embedded PSRAM", vendor = "psram_vendor", map = {
        [0] = false, [1] = "Embedded PSRAM 8MB", [2] = "Embedded PSRAM 2MB", [3] = "Embedded PSRAM 16MB",
        [4] = "Embedded PSRAM 4MB" } },
    },
    -- The first silicon has other things where later ones have the major number.
    revision_zero_if = { wafer_minor_low = 0, block_major = 1, block_minor = 1 },
    vendors = {
      flash_vendor = { [1] = "XMC", [2] = "GD", [3] = "FM", [4] = "TT", [5] = "BY" },
      psram_vendor = { [1] = "AP_3v3", [2] = "AP_1v8" },
    },
  },
  watchdog = {
    rtc = {
      wprotect = RTC + 0xB0, config0 = RTC + 0x98, config1 = RTC + 0x9C, key = 0x50D83AA1,
      reset_config0 = 0xD0000102, reset_config1 = 2000,
    },
    swd = { wprotect = RTC + 0xB8, config = RTC + 0xB4, auto_feed = 0x80000000, key = 0x8F1D312A },
    reset = true, disable_on_usj = true,
  },
  reset = {
    hard = "rts", hard_on_otg = "watchdog_if_strapped", clear_force_download = true,
    strap = GPIO + 0x38, strap_flash_boot = { { GPIO + 0x38, 3, 1 } },
    force_download = { { RTC + 0x12C, 0, 1 } },
  },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["80m"] = 0xF, ["40m"] = 0x0, ["26m"] = 0x1, ["20m"] = 0x2 },
    pins = { { 0, 21 }, { 26, 48 } }, usb_pins = { 19, 20 }, encrypted_align = 16, big = "stub",
    pin_max = { hd = 46 },
    voltage = { strap = { { GPIO + 0x38, 4, 1 } } },
  },
  -- Serial NAND flash, on a controller and pins of its own (TRM, "SPI Controller", "IO MUX and GPIO Matrix").
  nand = {
    spi = 0x60024000, clock = { 0x600C0018, 6 }, reset = { 0x600C0020, 6 },
    io_mux = 0x60009004, in_sel = GPIO + 0x154, out_sel = GPIO + 0x554, native = 4,
    pins = { clk = { 12, 101 }, q = { 13, 102 }, d = { 11, 103 }, hd = { 9, 104 }, cs = { 10, 110 },
             wp = { 14, 105 } },
    stub = "esp32s3-nand",
  },
  security = {
    secure_boot = { { EFUSE + 0x38, 20, 1 } },
    flash_crypt_cnt = { { EFUSE + 0x34, 18, 3 } }, crypt_cnt_name = "SPI_BOOT_CRYPT_CNT",
    dl_encrypt_disabled = { { EFUSE + 0x30, 20, 1 } },
    key_purposes = {
      { { EFUSE + 0x34, 24, 4 } }, { { EFUSE + 0x34, 28, 4 } }, { { EFUSE + 0x38, 0, 4 } },
      { { EFUSE + 0x38, 4, 4 } }, { { EFUSE + 0x38, 8, 4 } }, { { EFUSE + 0x38, 12, 4 } },
    },
    key_purpose_names = {
      [0] = "USER/EMPTY", [1] = "RESERVED", [2] = "XTS_AES_256_KEY_1", [3] = "XTS_AES_256_KEY_2",
      [4] = "XTS_AES_128_KEY", [5] = "HMAC_DOWN_ALL", [6] = "HMAC_DOWN_JTAG", [7] = "HMAC_DOWN_DIGITAL_SIGNATURE",
      [8] = "HMAC_UP", [9] = "SECURE_BOOT_DIGEST0", [10] = "SECURE_BOOT_DIGEST1", [11] = "SECURE_BOOT_DIGEST2",
    },
    key_valid = "xts_128_or_256",
  },
  stub = {
    default = true, start_with_secure_boot = "redirect_flash_read",
    text = 0x40378000, data = 0x3FCA0000, data_end = 0x3FCC8000, ring = 0x10000,
    uart = { layout = "plain", fsm = 0x6C }, usj = 0x60038000, reset = { 0x60008000, 31 },
    rom = {
      attach = 0x40000AEC, configure = 0x40000A50, write_encrypted = 0x4000096C,
      security_info = { { from = 0, 0x40048174 } },
      flash_read_pointer = 0x3FCEF688,           -- rom_default_spiflash_legacy_funcs.read
      usb = {
        device = 0x3FCEFFBC, poll = 0x4000291C, read = 0x40002640, write = 0x40002628, callback = 0x400026B8,
      },
    },
  },
  sim = {
    second_core = { { 0x600C0000, 7, 2 } }, -- not stalled, clock on, out of reset (TRM, "System Registers")
    core = "esp32s3", systimer = 0x60023000,
    -- Nothing is known to be at the second; esptool's stub reads a word there and works on boards.
    peripherals = { { 0x60000000, 0x600FE000 }, { 0x3FFAE000, 0x3FFAF000 } },
    unclaimed = { { 0x400C0000, 0x400C1000 } },  -- by what esptool's tests do on boards
    print = 0x400005D0, boot_baud = 115200, crystal = 40, mac = "7c:df:a1:e0:12:34", revision = 2, api_version = 0,
    flash_id = { manufacturer = 0xEF, device = 0x4017 },
    log = {
      banner = "ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
      left = "user code done\r\n",
      panic = {
        load = "Guru Meditation Error: Core 0 panic'ed (LoadProhibited)\r\nCore 0 register dump:\r\n",
        store = "Guru Meditation Error: Core 0 panic'ed (StoreProhibited)\r\nCore 0 register dump:\r\n",
      },
    },
    boot = { download = { 0x0, "DOWNLOAD(USB/UART0)" }, flash = { 0x8, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0x3, "RTC_SW_SYS_RST" },
      watchdog = { 0x10, "RTCWDT_RTC_RST" }, usb = { 0x15, "USB_UART_CHIP_RESET" },
      watchdog_core = { 0x9, "RTCWDT_SYS_RST" }, watchdog_cpu = { 0xD, "RTCWDT_CPU_RST" },
      timer0 = { 0x7, "TG0WDT_SYS_RST" }, timer1 = { 0x8, "TG1WDT_SYS_RST" },
      timer0_cpu = { 0xB, "TG0WDT_CPU_RST" }, timer1_cpu = { 0x11, "TG1WDT_CPU_RST" },
    },
    fields = { package = 0, block_minor = 3, block_major = 1 },
    registers = { [0x40001000] = 0x00000009 },     -- ROM code, read by hosts that look for a magic word
    sync_value = 0x20120707,
    encryption = { base = 0x600CC000, control = 0x600C004C },
    machine = {
      id = { 0x40001000, 9 }, mirrors = { { 0x3FF00000, 0x3FF20000, 0x40040000 } },
      reset_cause = { 0x60008038, 0, 6 }, flash_pad = 0x6000907C,
      interrupts = { kind = "direct", matrix = 0x600C2000, sources = { uart0 = 27, usj = 96 } },
      cache = {
        kind = "table", base = 0x600C5000, entries = 512, page = 0x10000, page_mask = 0x3FFF, valid = 0xC000, valid_value = 0,
      },
      random = { 0x6003507C },
      sha = 0x6003B000, aes = { "later", 0x6003A000 }, rsa = { "later", 0x6003C000 }, timers = { 0x6001F000, 0x60020000 },
      autobaud = { enable = { 0x20, 27 }, low = 0x28, high = 0x2C, edges = 0x30 },
      registers = {
        -- of the caches: what they are told to do is done at once
        [0x600C4088] = { clear = 0x1, set = 0x2, forget = true }, [0x600C4028] = { clear = 0x7, set = 0x8, forget = true },
        [0x600C40A0] = { set = 0x8 }, [0x600C404C] = { set = 0x8 }, [0x600C407C] = { clear = 0x3, set = 0x4 },
        [0x600C401C] = { clear = 0x3, set = 0x4 }, [0x600C4034] = { clear = 0x1, set = 0x2 },
        [0x600C4094] = { clear = 0x1, set = 0x2 }, [0x600C4040] = { clear = 0x1, set = 0x2 },
        [0x600C4150] = { echo = { 0x1, 2 } }, [0x600C4154] = { echo = { 0x1, 2 } }, [0x600C4144] = { set = 0x1001 },
        [0x60008000] = { clear = 0x80000000 }, [0x600C0060] = { reset = 40 << 12 | 1 },
      },
    },
  },
  checked = { connect = "document", flash = "document", stub = "sim" },
}
