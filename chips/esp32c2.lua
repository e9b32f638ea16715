-- ESP32-C2 and ESP8684. Sources: Technical Reference Manual; ESP-IDF soc/esp32c2 headers; eFuse table of espefuse;
-- facts checked against esptool (v5.2.0 and the development branch of 2026-08).
local EFUSE, UART, SPI1, RTC = 0x60008800, 0x60000000, 0x60002000, 0x60008000

return {
  id = "esp32c2", name = "ESP32-C2", aliases = { "esp8684" }, arch = "riscv", cores = 1,
  image_chip_id = 12, uf2_family = 0x2B88D29C, bootloader_offset = 0x0,
  security_info = "full",
  links = { uart = true },
  memory = {
    drom = { 0x3C000000, 0x3C400000, flash = true },
    dram = { 0x3FCA0000, 0x3FCE0000 },
    drom_mask = { 0x3FF00000, 0x3FF50000 },
    irom_mask = { 0x40000000, 0x40090000 },
    iram = { 0x4037C000, 0x403C0000, words = true, same_as = { 0x40380000, 0x3FCA0000 } },
    irom = { 0x42000000, 0x42400000, flash = true },
  },
  image = {
    versions = { 1 }, mmu_pages = { 0x4000, 0x8000, 0x10000 },
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x3C000000, 0x3C400000, "DROM" }, { 0x3FCA0000, 0x3FCE0000, "DRAM" },
      { 0x3FC88000, 0x3FD00000, "BYTE_ACCESSIBLE" }, { 0x3FF00000, 0x3FF50000, "DROM_MASK" },
      { 0x40000000, 0x40090000, "IROM_MASK" }, { 0x42000000, 0x42400000, "IROM" }, { 0x4037C000, 0x403C0000, "IRAM" },
    },
  },
  rom = {
    status_bytes = 4, attach = true, attach_legacy_word = true, params = true, deflate = true, md5 = true,
    read_slow = true, change_baud = true, encrypted_word = true, encrypted_write = true, sdm_baud = false,
    flash_block = 0x400, ram_block = 0x1800, usb_block = 0x1800, at_once = true,
  },
  spi = {
    base = SPI1, usr = 0x18, usr1 = 0x1C, usr2 = 0x20, mosi_dlen = 0x24, miso_dlen = 0x28, w0 = 0x58,
    addr_msb = false,
  },
  uart = {
    base = UART, clkdiv = UART + 0x14, date = UART + 0x7C,
  },
  crystal = { measured = true, choices = { 26, 40 }, divider = 1 },
  -- The ROM believes in 40 MHz; the request is scaled by that and the real crystal.
  baud_fix = { name = "crystal_ratio", rom_crystal = 40, slow_hint_below = 115200 },
  efuse = {
    base = EFUSE, layout = "blocks",
    blocks = {
      { "BLOCK0", 0x02C, 2 }, { "BLOCK1", 0x034, 3 }, { "BLOCK2", 0x040, 8 }, { "BLOCK_KEY0", 0x060, 8 },
    },
    pgm_data = 0x000, pgm_check = 0x020, clk = 0x088, conf = 0x08C, status = 0x090, cmd = 0x094,
    conf_write = 0x5A5A, conf_read = 0x5AA5, cmd_program = 0x2, cmd_read = 0x1,
    write_protect = { [2] = 5, [3] = 6, [4] = 7 },
    read_protect = { [4] = 0 },              -- bit 0 hides the low half, bit 1 the high one
    fields = {
      write_disable = { { EFUSE + 0x2C, 0, 8 } },
      read_disable = { { EFUSE + 0x30, 0, 2 } },
      download_disabled = { { EFUSE + 0x30, 14, 1 } },
      secure_download = { { EFUSE + 0x30, 16, 1 } },
      mac = { { EFUSE + 0x40, 0, 32 }, { EFUSE + 0x44, 0, 16 } },
      custom_mac = { { EFUSE + 0x34, 0, 32 }, { EFUSE + 0x38, 0, 16 } },
      wafer_major = { { EFUSE + 0x44, 20, 2 } },
      wafer_minor = { { EFUSE + 0x44, 16, 4 } },
      package = { { EFUSE + 0x44, 22, 3 } },
      block_major = { { EFUSE + 0x44, 28, 2 } },
      block_minor = { { EFUSE + 0x44, 25, 3 } },
      flash_cap = { { EFUSE + 0x5C, 29, 3 } },
      flash_vendor = { { EFUSE + 0x5C, 24, 3 } },
      xts_key_length_256 = { { EFUSE + 0x30, 10, 1 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-C2",
    names = {
      { "ESP32-C2", package = 0 }, { "ESP8684H", package = 1 },
    },
    features = {
      "Wi-Fi", "BT 5 (LE)", "Single Core", "120MHz",
      { field = "flash_cap", unknown = "Unknown Embedded Flash", vendor = "flash_vendor", map = {
        [0] = false, [1] = "Embedded Flash 4MB", [2] = "Embedded Flash 2MB", [3] = "Embedded Flash 1MB" } },
    },
    vendors = {
      flash_vendor = { [1] = "XMC", [2] = "GD", [3] = "FM", [4] = "TT", [5] = "ZBIT" },
    },
  },
  watchdog = {
    rtc = {
      wprotect = RTC + 0x9C, config0 = RTC + 0x84, config1 = RTC + 0x88, key = 0x50D83AA1,
      reset_config0 = 0xD0000102, reset_config1 = 2000,
    },
    reset = true, disable_on_usj = false,
  },
  reset = {
    hard = "rts", strap = 0x60004038,
  },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["60m"] = 0xF, ["30m"] = 0x0, ["20m"] = 0x1, ["15m"] = 0x2 },
    pins = { { 0, 20 } }, usb_pins = {}, encrypted_align = 16,
  },
  security = {
    secure_boot = { { EFUSE + 0x30, 21, 1 } },
    flash_crypt_cnt = { { EFUSE + 0x30, 7, 3 } }, crypt_cnt_name = "SPI_BOOT_CRYPT_CNT",
    dl_encrypt_disabled = { { EFUSE + 0x30, 6, 1 } },
    key_valid = "key_block",
    -- The key is 128 bits (low half of BLOCK_KEY0) or all 256; each half has its own read protection.
    key_length_256 = { { EFUSE + 0x30, 10, 1 } }, key_hidden = { { EFUSE + 0x30, 0, 2 } }, key_words = { EFUSE + 0x60, 8 },
  },
  stub = {
    default = true, skip_revisions = { 0 },
    text = 0x40380000, data = 0x3FCA4000, data_end = 0x3FCC4000, ring = 0x10000,
    uart = { layout = "plain", fsm = 0x6C }, reset = { 0x60008000, 31 },
    rom = {
      attach = 0x40000178, configure = 0x4000014C, write_encrypted = 0x40000100,
      security_info = { { from = 0, 0x400000B0 } },
    },
  },
  sim = {
    encryption = { base = 0x600CC000, control = 0x600C0044, line = 32, key_length = { { EFUSE + 0x30, 10, 1 } } },
    machine = {                                     -- what its ROM needs to run
      id = { 0x40000010, 12 }, unaligned = true, mirrors = { { 0x3FF00000, 0x3FF50000, 0x40040000 } },
      memory = { { 0x3FCE0000, 0x3FCE1000 } },        -- the ROM reads behind a structure at the end of its memory
      reset_cause = { RTC + 0x30, 0, 6 }, flash_pad = 0x60009040,
      interrupts = {
        kind = "matrix", matrix = 0x600C2000, enable = 0xB8, priority = 0xC8, threshold = 0x148, sources = { uart0 = 17 },
      },
      cache = {
        kind = "table", base = 0x600C5000, entries = 64, page = 0x10000, page_mask = 0x3F, valid = 0x40, valid_value = 0,
      },
      ecc = { base = 0x6003E000, size = 32, curve = 1, mode = { 5, 3 }, good = 8 },
      random = { 0x600260B0 },
      timers = { 0x6001F000 }, sha = 0x6003B000,
      autobaud = { enable = { 0x20, 27 }, low = 0x28, high = 0x2C, edges = 0x30, rx_reset = 17 },
      registers = {
        [RTC + 0x00] = { clear = 0x80000000 },
        -- of the cache: what it is told to do is done at once
        [0x600C401C] = { clear = 0x3, set = 0x4 }, [0x600C4028] = { clear = 0x1, set = 0x2, forget = true },
        [0x600C4034] = { clear = 0x1, set = 0x2 }, [0x600C4040] = { set = 0x8 }, [0x600C40B0] = { set = 0x1 },
        [0x600C40CC] = { echo = { 0x1, 2 } }, [0x600C0058] = { reset = 0x1 },
      },
    },
    core = "rv32imc", systimer = 0x60023000,
    peripherals = { { 0x60000000, 0x60100000 } },
    unclaimed = { { 0x400C0000, 0x400C1000 }, { 0x50000000, 0x50001000 } },  -- by what esptool's tests do on boards
    print = 0x40000034, boot_baud = 115200, boot_crystal = 40, crystal = 26, mac = "08:3a:8d:12:34:56", revision = 100, api_version = 1,
    flash_id = { manufacturer = 0xC8, device = 0x4016 },
    log = {
      banner = "ESP-ROM:esp8684-api2-20220127\r\nBuild:Jan 27 2022\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
    },
    boot = { download = { 0x4, "DOWNLOAD(UART0)" }, flash = { 0xC, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0x3, "RTC_SW_SYS_RST" },
      watchdog = { 0x10, "RTCWDT_RTC_RST" },
      watchdog_core = { 0x9, "RTCWDT_SYS_RST" }, watchdog_cpu = { 0xD, "RTCWDT_CPU_RST" },
      timer0 = { 0x7, "TG0WDT_SYS_RST" }, timer1 = { 0x8, "TG1WDT_SYS_RST" },
      timer0_cpu = { 0xB, "TG0WDT_CPU_RST" }, timer1_cpu = { 0x11, "TG1WDT_CPU_RST" },
    },
    fields = { package = 0, block_minor = 1 },
    registers = { [0x40001000] = 0x7C41A06F },     -- ROM code, read by hosts that look for a magic word
    sync_value = 0x20120707,
  },
  checked = { connect = "document", flash = "document", stub = "sim" },
}
