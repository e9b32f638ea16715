-- ESP32-C3, ESP8685 and ESP8686. Sources: Technical Reference Manual, "System and Memory", "eFuse Controller",
-- "Watchdog Timers"; ESP-IDF soc/esp32c3 headers; facts checked against esptool v5.2.0.
local EFUSE, UART, SPI1, RTC = 0x60008800, 0x60000000, 0x60002000, 0x60008000

return {
  id = "esp32c3", name = "ESP32-C3", aliases = { "esp8685", "esp8686" }, arch = "riscv", cores = 1,
  image_chip_id = 5, uf2_family = 0xD42BA06C, bootloader_offset = 0x0,
  security_info = "full",
  links = { uart = true, usj = true },
  memory = {
    drom = { 0x3C000000, 0x3C800000, flash = true },
    dram = { 0x3FC80000, 0x3FCE0000 },
    drom_mask = { 0x3FF00000, 0x3FF20000 },
    irom_mask = { 0x40000000, 0x40060000 },
    iram = { 0x4037C000, 0x403E0000, words = true, same_as = { 0x40380000, 0x3FC80000 } },
    irom = { 0x42000000, 0x42800000, flash = true },
    rtc_iram = { 0x50000000, 0x50002000 },
    mem_internal2 = { 0x600FE000, 0x60100000 },
  },
  image = {
    versions = { 1 }, min_rev = "minor",
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x3C000000, 0x3C800000, "DROM" }, { 0x3FC80000, 0x3FCE0000, "DRAM" },
      { 0x3FC88000, 0x3FD00000, "BYTE_ACCESSIBLE" }, { 0x3FF00000, 0x3FF20000, "DROM_MASK" },
      { 0x40000000, 0x40060000, "IROM_MASK" }, { 0x42000000, 0x42800000, "IROM" }, { 0x4037C000, 0x403E0000, "IRAM" },
      { 0x50000000, 0x50002000, "RTC_IRAM" }, { 0x50000000, 0x50002000, "RTC_DRAM" },
      { 0x600FE000, 0x60100000, "MEM_INTERNAL2" },
    },
  },
  rom = {
    status_bytes = 4, attach = true, attach_legacy_word = true, params = true, deflate = true, md5 = true,
    read_slow = true, change_baud = true, encrypted_word = true, encrypted_write = true, sdm_baud = true,
    flash_block = 0x400, ram_block = 0x1800, usb_block = 0x1800, at_once = true,
  },
  spi = {
    base = SPI1, usr = 0x18, usr1 = 0x1C, usr2 = 0x20, mosi_dlen = 0x24, miso_dlen = 0x28, w0 = 0x58,
    addr_msb = false,
  },
  uart = {
    base = UART, clkdiv = UART + 0x14, date = UART + 0x7C,
    link_in_use = {                    -- UartDev + 0x18 of the three ROMs
      { from_revision = 0, address = 0x3FCDF27C, usj = 3 },
      { from_revision = 3, address = 0x3FCDF07C, usj = 3 },
      { from_revision = 101, address = 0x3FCDF078, usj = 3 },
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
      package = { { EFUSE + 0x50, 21, 3 } },
      block_minor = { { EFUSE + 0x50, 24, 3 } },
      block_major = { { EFUSE + 0x6C, 0, 2 } },
      flash_cap = { { EFUSE + 0x50, 27, 3 } },
      flash_vendor = { { EFUSE + 0x54, 0, 3 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-C3",
    names = {
      { "ESP32-C3 (QFN32)", package = 0 }, { "ESP8685 (QFN28)", package = 1 },
      { "ESP32-C3 AZ (QFN32)", package = 2 }, { "ESP8686 (QFN24)", package = 3 },
    },
    features = {
      "Wi-Fi", "BT 5 (LE)", "Single Core", "160MHz",
      { field = "flash_cap", unknown = "Unknown Embedded Flash", vendor = "flash_vendor", map = {
        [0] = false, [1] = "Embedded Flash 4MB", [2] = "Embedded Flash 2MB", [3] = "Embedded Flash 1MB",
        [4] = "Embedded Flash 8MB" } },
    },
    vendors = { flash_vendor = { [1] = "XMC", [2] = "GD", [3] = "FM", [4] = "TT", [5] = "ZBIT" } },
  },
  watchdog = {
    rtc = {
      wprotect = RTC + 0xA8, config0 = RTC + 0x90, config1 = RTC + 0x94, key = 0x50D83AA1,
      reset_config0 = 0xD0000102, reset_config1 = 2000,
    },
    swd = { wprotect = RTC + 0xB0, config = RTC + 0xAC, auto_feed = 0x80000000, key = 0x8F1D312A },
    reset = true, disable_on_usj = true,
  },
  reset = { hard = "rts", strap = 0x60004038 },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["80m"] = 0xF, ["40m"] = 0x0, ["26m"] = 0x1, ["20m"] = 0x2 },
    pins = { { 0, 21 } }, usb_pins = { 18, 19 }, encrypted_align = 16,
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
      [0] = "USER/EMPTY", [1] = "RESERVED", [4] = "XTS_AES_128_KEY", [5] = "HMAC_DOWN_ALL", [6] = "HMAC_DOWN_JTAG",
      [7] = "HMAC_DOWN_DIGITAL_SIGNATURE", [8] = "HMAC_UP", [9] = "SECURE_BOOT_DIGEST0",
      [10] = "SECURE_BOOT_DIGEST1", [11] = "SECURE_BOOT_DIGEST2",
    },
    key_valid = "xts_128",
  },
  stub = {
    default = true, skip_with_secure_boot = true,
    text = 0x40380400, data = 0x3FC84800, data_end = 0x3FCA4800, ring = 0x10000,
    uart = { layout = "plain", fsm = 0x6C }, usj = 0x60043000, reset = { 0x60008000, 31 },
    rom = {
      attach = 0x40000164, configure = 0x40000134, write_encrypted = 0x40000110,
      uart_device = 0x400000B0, version = 0x40000014,
      security_info = { { from = 1, 0x4004B9DA }, { from = 7, 0x4004D51E } },
    },
  },
  revisions = {                        -- of the ROM: 0, ECO 3, ECO 7
    { from_revision = 0, changes = { sim = {
      api_version = 0, log = { banner = "ESP-ROM:esp32c3-20200918\r\nBuild:Sep 18 2020\r\n" },
    } } },
    { from_revision = 3, changes = { sim = { api_version = 3 } } },
    { from_revision = 101, changes = { sim = {
      api_version = 7, log = { banner = "ESP-ROM:esp32c3-eco7-20230720\r\nBuild:Jul 20 2023\r\n" },
      boot = { download = { 0x7, "DOWNLOAD(USB/UART0)" } },
    } } },
  },
  sim = {
    core = "rv32imc", systimer = 0x60023000,
    peripherals = { { 0x60000000, 0x600FE000 } },
    unclaimed = { { 0x400C0000, 0x400C1000 } },  -- by what esptool's tests do on boards
    print = 0x40000040, boot_baud = 115200, crystal = 40, mac = "60:55:f9:12:34:56", revision = 4, api_version = 3,
    flash_id = { manufacturer = 0xC8, device = 0x4016 },
    log = {
      banner = "ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
    },
    boot = { download = { 0x7, "DOWNLOAD(USB/UART0/1)" }, flash = { 0xD, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0x3, "RTC_SW_SYS_RST" },
      watchdog = { 0x10, "RTCWDT_RTC_RST" }, usb = { 0x15, "USB_UART_CHIP_RESET" },
      watchdog_core = { 0x9, "RTCWDT_SYS_RST" }, watchdog_cpu = { 0xD, "RTCWDT_CPU_RST" },
      timer0 = { 0x7, "TG0WDT_SYS_RST" }, timer1 = { 0x8, "TG1WDT_SYS_RST" },
      timer0_cpu = { 0xB, "TG0WDT_CPU_RST" }, timer1_cpu = { 0x11, "TG1WDT_CPU_RST" },
    },
    fields = { package = 0, block_minor = 1, block_major = 1 },
    encryption = { base = 0x600CC000, control = 0x600C0044, line = 32 },
    machine = {                                     -- what its ROM needs to run
      id = { 0x40000010, 5 }, unaligned = true, mirrors = { { 0x3FF00000, 0x3FF20000, 0x40040000 } },
      memory = { { 0x3FCE0000, 0x3FCE1000 } },        -- the ROM reads behind a structure at the end of its memory
      reset_cause = { RTC + 0x38, 0, 6 }, flash_pad = 0x60009040,
      interrupts = {
        kind = "matrix", matrix = 0x600C2000, enable = 0x104, priority = 0x114, threshold = 0x194,
        sources = { uart0 = 21, usj = 26 },
      },
      cache = {
        kind = "table", base = 0x600C5000, entries = 128, page = 0x10000, page_mask = 0xFF, valid = 0x100, valid_value = 0,
      },
      random = { 0x600260B0 },
      sha = 0x6003B000, aes = { "later", 0x6003A000 }, rsa = { "later", 0x6003C000 }, timers = { 0x6001F000, 0x60020000 },
      autobaud = { enable = { 0x20, 27 }, low = 0x28, high = 0x2C, edges = 0x30, rx_reset = 17 },
      registers = {
        [RTC + 0x00] = { clear = 0x80000000 },
        -- of the cache: what it is told to do is done at once
        [0x600C401C] = { clear = 0x3, set = 0x4 }, [0x600C4028] = { clear = 0x1, set = 0x2, forget = true },
        [0x600C4034] = { clear = 0x1, set = 0x2 }, [0x600C4040] = { set = 0x8 }, [0x600C40B0] = { set = 0x1 },
        [0x600C40CC] = { echo = { 0x1, 2 } },
        [RTC + 0x50] = { keep = true }, [RTC + 0x54] = { keep = true }, [RTC + 0x58] = { keep = true },
        [RTC + 0x5C] = { keep = true }, [RTC + 0xB8] = { keep = true }, [RTC + 0xBC] = { keep = true },
        [RTC + 0xC0] = { keep = true }, [RTC + 0xC4] = { keep = true },
        -- seen and of no consequence: clocks, pads, the controller of the cache
        [0x600C0010] = { reset = 0xF9C1E06F }, [0x600C0018] = {}, [0x600C0058] = { reset = 0x1 },
      },
    },
    registers = { [0x40001000] = 0x1B31506F },     -- ROM code, read by hosts that look for a magic word
    sync_value = 0x20120707,
  },
  checked = { connect = "rom", log = "rom", flash = "rom", stub = "rom" },
}
