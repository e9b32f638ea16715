-- ESP32-P4. Sources: Technical Reference Manual; ESP-IDF soc/esp32p4 headers; eFuse table of espefuse;
-- facts checked against esptool (v5.2.0 and the development branch of 2026-08).
local EFUSE, UART, SPI1, LP_WDT, LP_SYS, PMU, GPIO = 0x5012D000, 0x500CA000, 0x5008D000, 0x50116000, 0x50110000, 0x50115000, 0x500E0000

return {
  id = "esp32p4", name = "ESP32-P4", arch = "riscv", cores = 2,
  image_chip_id = 18, uf2_family = 0x3D308E94, bootloader_offset = 0x2000,
  security_info = "full",
  links = { uart = true, usj = true, otg = 0x0012 },
  memory = {
    irom = { 0x40000000, 0x4C000000, flash = true },
    drom = { 0x40000000, 0x4C000000, flash = true, alias_of = "irom" },
    irom_mask = { 0x4FC00000, 0x4FC20000 },
    drom_mask = { 0x4FC00000, 0x4FC20000, alias_of = "irom_mask" },
    dram = { 0x4FF00000, 0x4FFC0000 },
    iram = { 0x4FF00000, 0x4FFC0000, alias_of = "dram" },
    rtc_iram = { 0x50108000, 0x50110000 },
    rtc_dram = { 0x50108000, 0x50110000, alias_of = "rtc_iram" },
  },
  image = {
    versions = { 1 },
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x40000000, 0x4C000000, "DROM" }, { 0x4FF00000, 0x4FFA0000, "DRAM" },
      { 0x4FF00000, 0x4FFA0000, "BYTE_ACCESSIBLE" }, { 0x4FC00000, 0x4FC20000, "DROM_MASK" },
      { 0x4FC00000, 0x4FC20000, "IROM_MASK" }, { 0x40000000, 0x4C000000, "IROM" }, { 0x4FF00000, 0x4FFA0000, "IRAM" },
      { 0x50108000, 0x50110000, "RTC_IRAM" }, { 0x50108000, 0x50110000, "RTC_DRAM" },
      { 0x600FE000, 0x60100000, "MEM_INTERNAL2" },
    },
  },
  rom = {
    status_bytes = 4, attach = true, attach_legacy_word = true, params = true, deflate = true, md5 = true,
    read_slow = true, change_baud = true, encrypted_word = true, encrypted_write = true, sdm_baud = true,
    flash_block = 0x400, ram_block = 0x1800, usb_block = 0x800, at_once = true,
  },
  spi = {
    base = SPI1, usr = 0x18, usr1 = 0x1C, usr2 = 0x20, mosi_dlen = 0x24, miso_dlen = 0x28, w0 = 0x58,
    addr_msb = false,
  },
  uart = {
    base = UART, clkdiv = UART + 0x14, date = UART + 0x8C,
    -- UartDev + 0x18 of the ROM's symbols. Before v3.0 esptool looks 12 bytes further; the ROM itself, running, has the
    -- number here, and its symbols are those of ESP-IDF's esp32p4.rom.eco0_4.ld.
    link_in_use = {
      { from_revision = 0, address = 0x4FF3FEBC, usj = 6, otg = 5 },
      { from_revision = 300, address = 0x4FFBFEC8, usj = 6, otg = 5 },
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
      wafer_major = { { EFUSE + 0x4C, 4, 2 }, { EFUSE + 0x4C, 23, 1 } },
      wafer_minor = { { EFUSE + 0x4C, 0, 4 } },
      package = { { EFUSE + 0x4C, 20, 3 } },
      block_major = { { EFUSE + 0x4C, 11, 2 } },
      block_minor = { { EFUSE + 0x4C, 8, 3 } },
      psram_cap = { { EFUSE + 0x4C, 13, 3 } },
      psram_vendor = { { EFUSE + 0x4C, 18, 2 } },
      download_mode_xpd_on = { { EFUSE + 0x34, 16, 1 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-P4",
    names = {
      { "ESP32-P4", package = 0 },
    },
    features = {
      "Dual Core + LP Core", "400MHz",
    },
  },
  watchdog = {
    rtc = {
      wprotect = LP_WDT + 0x18, config0 = LP_WDT + 0x00, config1 = LP_WDT + 0x04, key = 0x50D83AA1,
      reset_config0 = 0xD0000102, reset_config1 = 2000,
    },
    swd = { wprotect = LP_WDT + 0x20, config = LP_WDT + 0x1C, auto_feed = 0x00040000, key = 0x50D83AA1 },
    reset = true, disable_on_usj = true,
  },
  reset = {
    hard = "rts", hard_on_otg = "watchdog",
    strap = GPIO + 0x38, strap_flash_boot = { { GPIO + 0x38, 3, 1 } },
    force_download = { { LP_SYS + 0x08, 2, 1 } },
  },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["80m"] = 0xF, ["40m"] = 0x0, ["26m"] = 0x1, ["20m"] = 0x2 },
    pins = { { 0, 54 } }, usb_pins = { 24, 25 }, encrypted_align = 16, big = "stub",
    -- v3.1 and v3.2 leave the flash supply off. The first entry that fits is carried out before attaching; a step
    -- sets and clears bits of a register or gives it a value, then waits (seconds).
    power_up = {
      { revisions = { 302 }, when = { { EFUSE + 0x34, 16, 1 } }, steps = {
        { PMU + 0x3FC, clear = 0x3, if_set = 0x3 },  -- the ROM switched it on already and must not do so twice
      } },
      { revisions = { 301, 302 }, done = { { PMU + 0x3FC, 0, 2 } }, steps = {
        { LP_SYS + 0x10C, value = 1, wait = 0.01 },
        { PMU + 0x1BC, set = 1 << 27 }, { PMU + 0x1B8, set = 1 << 7 }, { PMU + 0x3FC, set = 0x3, wait = 0.00005 },
        { PMU + 0x1BC, clear = 1 << 27 }, { PMU + 0x1B8, clear = 0xFF << 23 }, { PMU + 0x1B8, set = 0x80 },
        { PMU + 0x1B8, clear = 1 << 7, wait = 0.0018 },
      } },
    },
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
      [0] = "USER/EMPTY", [1] = "ECDSA_KEY", [2] = "XTS_AES_256_KEY_1", [3] = "XTS_AES_256_KEY_2",
      [4] = "XTS_AES_128_KEY", [5] = "HMAC_DOWN_ALL", [6] = "HMAC_DOWN_JTAG", [7] = "HMAC_DOWN_DIGITAL_SIGNATURE",
      [8] = "HMAC_UP", [9] = "SECURE_BOOT_DIGEST0", [10] = "SECURE_BOOT_DIGEST1", [11] = "SECURE_BOOT_DIGEST2",
      [12] = "KM_INIT_KEY", [16] = "ECDSA_KEY_P192", [17] = "ECDSA_KEY_P384_L", [18] = "ECDSA_KEY_P384_H",
    },
    key_valid = "xts_128_or_256",
    key_manager_xts = { { EFUSE + 0x34, 10, 1 } }, protect_below = { key_manager = 0x2000 },
  },
  stub = {
    default = true,
    ring = 0x8000,
    uart = { layout = "synced", fsm = 0x70 }, usj = 0x500D2000, reset = { 0x50110008, 1 },
    rom = {
      attach = 0x4FC001E8, configure = 0x4FC00168, write_encrypted = 0x4FC0011C,
      security_info = { { from = 0, 0x4FC000BC } },
    },
    attach_unless = { { EFUSE + 0x34, 16, 1 } },  -- the ROM has powered the flash and must not do so twice
    otg_setup = { 0x500E515C, 21 },
    files = {
      { from_revision = 0, name = "esp32p4-rev1", text = 0x4FF10000, data = 0x4FF50000, data_end = 0x4FF68000,
        rom = {
          usb = {
            device = 0x4FF3FFD4, poll = 0x4FC009D8, read = 0x4FC008E4, write = 0x4FC008DC, callback = 0x4FC0090C,
          },
        } },
      { from_revision = 300, name = "esp32p4", text = 0x4FF50000, data = 0x4FF60000, data_end = 0x4FF78000,
        rom = {
          usb = {
            device = 0x4FFBFFD4, poll = 0x4FC009CC, read = 0x4FC008D8, write = 0x4FC008D0, callback = 0x4FC00900,
          },
        } },
    },
  },
  revisions = {
    { from_revision = 0, changes = { sim = { log = { banner = "ESP-ROM:esp32p4-20230811\r\nBuild:Aug 11 2023\r\n" } } } },
    { from_revision = 100, changes = {} },
    -- From v3.0 key purposes have a fifth bit.
    { from_revision = 300, changes = { sim = {
      api_version = 5, no_purpose = 19, log = { banner = "ESP-ROM:esp32p4-eco5-20250430\r\nBuild:Apr 30 2025\r\n" },
    }, security = { key_purposes = {
      { { EFUSE + 0x34, 24, 4 }, { EFUSE + 0x3C, 27, 1 } }, { { EFUSE + 0x34, 28, 4 }, { EFUSE + 0x3C, 28, 1 } },
      { { EFUSE + 0x38, 0, 4 }, { EFUSE + 0x3C, 29, 1 } }, { { EFUSE + 0x38, 4, 4 }, { EFUSE + 0x3C, 30, 1 } },
      { { EFUSE + 0x38, 8, 4 }, { EFUSE + 0x3C, 31, 1 } }, { { EFUSE + 0x38, 12, 4 }, { EFUSE + 0x40, 4, 1 } },
    } } } },
  },
  sim = {
    encryption = { base = 0x5008C300, control = 0x500E5070 },
    machine = {                                     -- what its ROM needs to run
      id = { 0x4FC00010, 18 }, unaligned = true, reset_cause = { 0x50111010, 7, 6 },
      memory = { { 0x20800000, 0x20803000, kind = "registers" } },
      interrupts = { kind = "clic", matrix = 0x500D6000, control = 0x20800000, sources = { uart0 = 31 } },
      cache = {
        kind = "indexed", base = 0x5008C37C, content = 0, index = 4, entries = 1024, page = 0x10000, page_mask = 0x3FF,
        valid = 0x1000, valid_value = 0x1000,
      },
      ecc = { base = 0x50093000, size = 48, curve = 2, mode = { 5, 4 }, good = 29 },
      ecdsa = { base = 0x50096000, size = 48, curve = { 2, 2 }, memory = 0x3E0 },
      random = { 0x501101A4, 0x50126004 },
      timers = { 0x500C2000, 0x500C3000 }, sha = 0x50091000, aes = { "later", 0x50090000 }, rsa = { "later", 0x50092000 },
      autobaud = { enable = { 0x20, 19 }, low = 0x7C, high = 0x80, edges = 0x84, rx_reset = 22 },
      registers = {
        [0x5008C178] = { set = 0xFC000000 },            -- the bus of the cache is idle
        [0x500CB098] = { clear = 0x1 },                 -- UART1: what was asked for has happened
        [0x3FF10098] = { clear = 0xF, set = 0x10, forget = true }, [0x3FF102B4] = { set = 0x2 },
        [0x3FF1028C] = { echo = { 0x100000, 2 } }, [0x3FF1002C] = { echo = { 0x11111, 2 } },
        [0x3FF10088] = { clear = 0x3, set = 0x4 },
        [0x3FF102A8] = { clear = 0x1, set = 0x2 }, [0x3FF10134] = { set = 0x2 }, [0x3FF10138] = { set = 0x2 },
               -- caches: done at once
      },
    },
    second_core = { { 0x500E6014, 16, 16 }, { 0x500E60C0, 256, 0 } }, -- clock on, out of reset (HP_SYS_CLKRST)
    core = "rv32imafc_zc", systimer = 0x500E2000,
    peripherals = { { 0x20000000, 0x20002000 }, { 0x3FF00000, 0x3FF20000 }, { 0x50000000, 0x50108000 }, { 0x50110000, 0x50180000 } },
    print = 0x4FC00024, boot_baud = 115200, crystal = 40, mac = "60:55:f9:fa:12:34", revision = 100, api_version = 0,
    flash_id = { manufacturer = 0xC8, device = 0x4018 },
    log = {
      banner = "ESP-ROM:esp32p4-eco2-20240710\r\nBuild:Jul 10 2024\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
    },
    boot = { download = { 0x307, "DOWNLOAD(USB/UART0/SPI)" }, flash = { 0x30F, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0x3, "SW_SYS_RESET" },
      watchdog = { 0x10, "CHIP_LP_WDT_RESET" }, usb = { 0x17, "CHIP_USB_UART_RESET" },
      watchdog_core = { 0x9, "HP_SYS_LP_WDT_RESET" }, watchdog_cpu = { 0xD, "HP_CORE_LP_WDT_RESET" },
      timer0 = { 0x7, "HP_SYS_HP_WDT_RESET" }, timer1 = { 0x7, "HP_SYS_HP_WDT_RESET" },
      timer0_cpu = { 0xB, "HP_CORE_HP_WDT_RESET" }, timer1_cpu = { 0xB, "HP_CORE_HP_WDT_RESET" },
    },
    fields = { package = 0, block_minor = 3 },
    sync_value = 0x20120707,
  },
  checked = { connect = "document", flash = "document", stub = "sim" },
}
