-- ESP32. Sources: Technical Reference Manual, "System and Memory", "eFuse Controller", "UART"; ESP-IDF
-- soc/esp32 headers; esptool documentation, "Serial Protocol"; facts checked against esptool v5.2.0.
local EFUSE, UART, SPI1, RTC = 0x3FF5A000, 0x3FF40000, 0x3FF42000, 0x3FF48000

return {
  id = "esp32", name = "ESP32", arch = "xtensa", cores = 2,
  image_chip_id = 0, magic = 0x00F01D83, uf2_family = 0x1C5F21B0, bootloader_offset = 0x1000,
  links = { uart = true },
  memory = {
    drom = { 0x3F400000, 0x3F800000, flash = true },
    extram_data = { 0x3F800000, 0x3FC00000 },
    rtc_dram = { 0x3FF80000, 0x3FF82000 },
    dram = { 0x3FFAE000, 0x3FFE0000 },
    diram_dram = { 0x3FFE0000, 0x3FFFFFFC },
    irom_mask = { 0x40000000, 0x40070000 },
    drom_mask = { 0x3FF90000, 0x3FFA0000 },
    cache_pro = { 0x40070000, 0x40078000, words = true },
    cache_app = { 0x40078000, 0x40080000, words = true },
    iram = { 0x40080000, 0x400A0000, words = true },
    diram_iram = { 0x400A0000, 0x400BFFFC, words = true },
    rtc_iram = { 0x400C0000, 0x400C2000, words = true, same_as = { 0x400C0000, 0x3FF80000 } },
    irom = { 0x400D0000, 0x40400000, flash = true },
    rtc_data = { 0x50000000, 0x50002000 },
  },
  image = {
    versions = { 1 },
    -- A loader of ESP-IDF does not map the last page of a segment that ends less than this behind a boundary.
    min_tail = 0x24,
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x3F400000, 0x3F800000, "DROM" },
      { 0x3F800000, 0x3FC00000, "EXTRAM_DATA" }, { 0x3FF80000, 0x3FF82000, "RTC_DRAM" },
      { 0x3FF90000, 0x40000000, "BYTE_ACCESSIBLE" }, { 0x3FFAE000, 0x40000000, "DRAM" },
      { 0x3FFE0000, 0x3FFFFFFC, "DIRAM_DRAM" }, { 0x40000000, 0x40070000, "IROM" },
      { 0x40070000, 0x40078000, "CACHE_PRO" }, { 0x40078000, 0x40080000, "CACHE_APP" },
      { 0x40080000, 0x400A0000, "IRAM" }, { 0x400A0000, 0x400BFFFC, "DIRAM_IRAM" },
      { 0x400C0000, 0x400C2000, "RTC_IRAM" }, { 0x400D0000, 0x40400000, "IROM" },
      { 0x50000000, 0x50002000, "RTC_DATA" },
    },
  },
  rom = {
    status_bytes = 4, attach = true, attach_legacy_word = true, params = true, deflate = true, md5 = true,
    read_slow = true, change_baud = true, encrypted_word = false, encrypted_write = false, sdm_baud = true,
    deflate_tail = "window", flash_block = 0x400, ram_block = 0x1800, usb_block = 0x1800, at_once = true,
  },
  spi = {
    base = SPI1, usr = 0x1C, usr1 = 0x20, usr2 = 0x24, mosi_dlen = 0x28, miso_dlen = 0x2C, w0 = 0x80,
    addr_msb = true,
  },
  uart = { base = UART, clkdiv = UART + 0x14, date = UART + 0x78 },
  crystal = { measured = true, choices = { 26, 40 }, divider = 1 },
  -- The ROM guesses the crystal from its RC oscillator; the request is scaled by guess / real value.
  baud_fix = { name = "rom_calibration", calibration = { { 0x3FF5F06C, 7, 25 } }, oscillator = { { EFUSE + 0x10, 0, 8 } } },
  efuse = {
    base = EFUSE, layout = "esp32",
    blocks = { { "BLOCK0", 0x000, 7 }, { "BLOCK1", 0x038, 8 }, { "BLOCK2", 0x058, 8 }, { "BLOCK3", 0x078, 8 } },
    write = { 0x01C, 0x098, 0x0B8, 0x0D8 },       -- what is to be burned, per block
    write_protect = { [2] = 7, [3] = 8, [4] = 9 }, read_protect = { [2] = 0, [3] = 1, [4] = 2 },
    clk = 0x0F8, conf = 0x0FC, cmd = 0x104, dac_conf = 0x118, dec_status = 0x11C,
    conf_write = 0x5A5A, conf_read = 0x5AA5, cmd_program = 0x2, cmd_read = 0x1,
    fields = {
      write_disable = { { EFUSE, 0, 16 } },
      read_disable = { { EFUSE, 16, 4 } },
      download_disabled = { { EFUSE, 27, 1 } },
      mac = { { EFUSE + 0x04, 0, 32 }, { EFUSE + 0x08, 0, 16 } },
      mac_crc = { { EFUSE + 0x08, 16, 8 } },
      single_core = { { EFUSE + 0x0C, 0, 1 } },
      bt_disabled = { { EFUSE + 0x0C, 1, 1 } },
      package = { { EFUSE + 0x0C, 9, 3 }, { EFUSE + 0x0C, 2, 1 } },
      cpu_freq_low = { { EFUSE + 0x0C, 12, 1 } },
      cpu_freq_rated = { { EFUSE + 0x0C, 13, 1 } },
      block3_reserved = { { EFUSE + 0x0C, 14, 1 } },
      wafer_major = { { EFUSE + 0x0C, 15, 1 }, { EFUSE + 0x14, 20, 1 }, { 0x3FF6607C, 31, 1 } },
      wafer_minor = { { EFUSE + 0x14, 24, 2 } },
      oscillator = { { EFUSE + 0x10, 0, 8 } },
      adc_vref = { { EFUSE + 0x10, 8, 5 } },
      vdd_spi_xpd = { { EFUSE + 0x10, 14, 1 } },
      vdd_spi_tieh = { { EFUSE + 0x10, 15, 1 } },
      vdd_spi_force = { { EFUSE + 0x10, 16, 1 } },
      coding_scheme = { { EFUSE + 0x18, 0, 2 } },
      custom_mac_version = { { EFUSE + 0x8C, 24, 8 } },
    },
  },
  identity = {
    wafer_major_codes = { [0] = 0, [1] = 1, [3] = 2, [7] = 3 },   -- other combinations count as 0
    unknown = "Unknown ESP32",
    names = {
      { "ESP32-S0WDQ6", package = 0, single_core = 1 },
      { "ESP32-D0WDQ6-V3", package = 0, revision_major = 3 }, { "ESP32-D0WDQ6", package = 0 },
      { "ESP32-S0WD", package = 1, single_core = 1 },
      { "ESP32-D0WD-V3", package = 1, revision_major = 3 }, { "ESP32-D0WD", package = 1 },
      { "ESP32-D2WD", package = 2 }, { "ESP32-U4WDH", package = 4 },
      { "ESP32-PICO-V3", package = 5, revision_major = 3 }, { "ESP32-PICO-D4", package = 5 },
      { "ESP32-PICO-V3-02", package = 6 }, { "ESP32-D0WDR2-V3", package = 7 },
    },
    features = {
      "Wi-Fi", { "BT", bt_disabled = 0 },
      { "Single Core + LP Core", single_core = 1 }, { "Dual Core + LP Core", single_core = 0 },
      { "160MHz", cpu_freq_rated = 1, cpu_freq_low = 1 }, { "240MHz", cpu_freq_rated = 1, cpu_freq_low = 0 },
      { field = "package", map = { [2] = "Embedded Flash", [4] = "Embedded Flash", [5] = "Embedded Flash",
                                   [6] = "Embedded Flash" } },
      { "Embedded PSRAM", package = 6 },
      { field = "adc_vref", map = { [0] = false }, unknown = "Vref calibration in eFuse" },
      { "BLK3 partially reserved", block3_reserved = 1 },
      { field = "coding_scheme", map = {
        [0] = "Coding Scheme None", [1] = "Coding Scheme 3/4", [2] = "Coding Scheme Repeat (UNSUPPORTED)",
        [3] = "Coding Scheme None (may contain encoding data)" } },
    },
  },
  watchdog = {
    rtc = { wprotect = RTC + 0xA4, config0 = RTC + 0x8C, config1 = RTC + 0x90, key = 0x50D83AA1, guard = 10, shift = 0, hold = 128000 },
    reset = false, disable_on_usj = false,
  },
  reset = { hard = "rts", strap = 0x3FF44038 },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["80m"] = 0xF, ["40m"] = 0x0, ["26m"] = 0x1, ["20m"] = 0x2 },
    pins = { { 0, 29 }, { 32, 33 } }, usb_pins = {}, hspi = true, encrypted_align = 32,
    -- Packages with their own flash: where its pads are. All zero: the default pads.
    efuse_pads = {
      clk = { { EFUSE + 0x14, 0, 5 } }, q = { { EFUSE + 0x14, 5, 5 } }, d = { { EFUSE + 0x14, 10, 5 } },
      hd = { { EFUSE + 0x0C, 4, 5 } }, cs = { { EFUSE + 0x14, 15, 5 } },
      renumber = "skip_30_31",                    -- 5 bits: 30 and 31 stand for GPIO 32 and 33
    },
    voltage = {
      force = { { RTC + 0x74, 22, 1 } }, xpd = { { RTC + 0x74, 31, 1 } }, boost = { { RTC + 0x74, 29, 2 } },
      strap = { { 0x3FF44038, 5, 1 } },
    },
    voltage_override = {
      register = RTC + 0x74, choices = { ["1.8V"] = 0x80600000, ["1.9V"] = 0xFE600000, ["OFF"] = 0x00600000 },
    },
  },
  security = {
    secure_boot_v1 = { { EFUSE + 0x18, 4, 1 } },
    secure_boot = { { EFUSE + 0x18, 5, 1 } }, secure_boot_from = 300,
    flash_crypt_cnt = { { EFUSE, 20, 7 } }, crypt_cnt_name = "FLASH_CRYPT_CNT",
    dl_encrypt_disabled = { { EFUSE + 0x18, 7, 1 } },
    crypt_config = { { EFUSE + 0x14, 28, 4 } }, crypt_config_hidden = { { EFUSE, 19, 1 } },
    key_valid = "block1", key_hidden = { { EFUSE, 16, 1 } }, key_words = { EFUSE + 0x38, 8 },
    protect_below = { secure_boot_v1 = 0x8000 },
  },
  stub = {
    default = true,
    text = 0x400A8000, data = 0x3FFC4000, data_end = 0x3FFE0000, ring = 0x8000,
    uart = { layout = "esp32", tx_fifo = 0x60000000 }, reset = { 0x3FF48000, 31 },
    rom = {
      attach = 0x40062A6C, configure = 0x40063238, write_encrypted = 0x40062E78,
    },
  },
  revisions = {
    { from_revision = 0, changes = { sim = { log = {
      banner = "ets Jun  8 2016 00:22:57\r\n\r\n",
      left = "flash read err, 648\r\nFalling back to built-in command interpreter.\r\nOK\r\n>",
    } } } },
    { from_revision = 300, changes = {} },
  },
  sim = {
    core = "esp32", -- the other one: clock on, out of reset, not stalled (TRM, "DPort Registers")
    encryption = { base = 0x3FF5B000, control = 0x3FF000C8, layout = "esp32" },
    second_core = { { 0x3FF00030, 1, 1 }, { 0x3FF0002C, 1, 0 }, { 0x3FF00034, 1, 0 } },
    peripherals = { { 0x3FF00000, 0x3FF80000 }, { 0x60000000, 0x60080000 } },
    print = 0x40007D54, boot_baud = 115200, crystal = 40, mac = "24:0a:c4:12:34:56", revision = 300,
    flash_id = { manufacturer = 0xEF, device = 0x4016 },
    log = {
      banner = "ets Jul 29 2019 12:21:46\r\n\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
      panic = { load = "", store = "" },     -- its handler waits for a debugger
      left = "flash read err, 631\r\nFalling back to built-in command interpreter.\r\nOK\r\n>", left_boots = true,
    },
    boot = { download = { 0x03, "DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)" }, flash = { 0x13, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON_RESET" }, external = { 0x1, "POWERON_RESET" }, software = { 0x3, "SW_RESET" },
      watchdog = { 0x10, "RTCWDT_RTC_RESET" },
      watchdog_core = { 0x9, "RTCWDT_SYS_RESET" }, watchdog_cpu = { 0xD, "RTCWDT_CPU_RESET" },
      timer0 = { 0x7, "TG0WDT_SYS_RESET" }, timer1 = { 0x8, "TG1WDT_SYS_RESET" },
      timer0_cpu = { 0xB, "TGWDT_CPU_RESET" }, timer1_cpu = { 0xB, "TGWDT_CPU_RESET" },
    },
    fields = { package = 1, cpu_freq_rated = 1, adc_vref = 0x0B, oscillator = 51 },
    registers = { [0x3FF5F06C] = 2007 << 7 },     -- the oscillator count that makes the ROM see 40 MHz
    sync_value = 0x20120707,
    machine = {
      id = { 0x40001000, 0x00F01D83 }, flash_pad = 0x3FF49060, reset_cause = { RTC + 0x34, 0, 6 },
      interrupts = { kind = "direct", matrix = 0x3FF00104, sources = { uart0 = 34 } },
      cache = {
        kind = "table", base = 0x3FF10000, windows = { { 0x3F400000, 0 }, { 0x40000000, 64 } },
        entries = 480, page = 0x10000, page_mask = 0xFF, valid = 0x100, valid_value = 0,
      },
      random = { 0x60035144, 0x3FF75144 },
      sha = 0x3FF03000, sha_layout = "esp32", aes = { "esp32", 0x3FF01000 }, rsa = { "esp32", 0x3FF02000 },
      timers = { 0x3FF5F000, 0x3FF60000 },
      autobaud = { enable = { 0x18, 0 }, short = 9, low = 0x28, high = 0x2C, edges = 0x30 },
      registers = {
        [RTC + 0x00] = { clear = 0x80000000 },
        -- of the cache: what it is told to do is done at once
        [0x3FF00040] = { set = 0x20 }, [0x3FF00058] = { set = 0x20 },
        [0x3FF003F0] = { set = 0x80 }, [0x3FF00420] = { set = 0x80 },
        [0x3FF58040] = { set = 0x80000000 },     -- the SDIO slave's DMA is at rest
      },
    },
  },
  checked = { connect = "rom", log = "rom", flash = "rom", stub = "rom" },
}
