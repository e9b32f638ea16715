-- ESP32-S2. Sources: Technical Reference Manual, "System and Memory", "eFuse Controller", "Boot Control";
-- ESP-IDF soc/esp32s2 headers; facts checked against esptool v5.2.0.
local EFUSE, UART, SPI1, RTC, GPIO = 0x3F41A000, 0x3F400000, 0x3F402000, 0x3F408000, 0x3F404000

return {
  id = "esp32s2", name = "ESP32-S2", arch = "xtensa", cores = 1,
  image_chip_id = 2, magic = 0x000007C6, uf2_family = 0xBFDD4EEE, bootloader_offset = 0x1000,
  security_info = "no_chip_id",
  links = { uart = true, otg = 0x0002 },
  memory = {
    drom = { 0x3F000000, 0x3F3F0000, flash = true },
    extram_data = { 0x3F500000, 0x3FF80000 },
    rtc_dram = { 0x3FF9E000, 0x3FFA0000 },
    dram = { 0x3FFB0000, 0x40000000 },
    irom_mask = { 0x40000000, 0x40020000 },
    drom_mask = { 0x3FFA0000, 0x3FFB0000 },
    iram = { 0x40020000, 0x40070000, words = true, same_as = { 0x40020000, 0x3FFB0000 } },
    rtc_iram = { 0x40070000, 0x40072000, words = true, same_as = { 0x40070000, 0x3FF9E000 } },
    irom = { 0x40080000, 0x40B80000, flash = true },
    rtc_data = { 0x50000000, 0x50002000 },
  },
  image = {
    versions = { 1 },
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x3F000000, 0x3FF80000, "DROM" },
      { 0x3F500000, 0x3FF80000, "EXTRAM_DATA" }, { 0x3FF9E000, 0x3FFA0000, "RTC_DRAM" },
      { 0x3FF9E000, 0x40000000, "BYTE_ACCESSIBLE" }, { 0x3FF9E000, 0x40072000, "MEM_INTERNAL" },
      { 0x3FFB0000, 0x40000000, "DRAM" }, { 0x40000000, 0x4001A100, "IROM_MASK" }, { 0x40020000, 0x40070000, "IRAM" },
      { 0x40070000, 0x40072000, "RTC_IRAM" }, { 0x40080000, 0x40800000, "IROM" },
      { 0x50000000, 0x50002000, "RTC_DATA" },
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
    base = UART, clkdiv = UART + 0x14, date = UART + 0x78,
    link_in_use = { { from_revision = 0, address = 0x3FFFFD14, otg = 2 } },
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
      wafer_major = { { EFUSE + 0x50, 18, 2 } },
      wafer_minor = { { EFUSE + 0x54, 4, 3 }, { EFUSE + 0x50, 20, 1 } },
      package = { { EFUSE + 0x54, 0, 4 } },
      flash_cap = { { EFUSE + 0x50, 21, 4 } },
      block_major = { { EFUSE + 0x50, 25, 2 } },
      psram_cap = { { EFUSE + 0x50, 28, 4 } },
      block_minor = { { EFUSE + 0x6C, 4, 3 } },
      flash_type = { { EFUSE + 0x3C, 9, 1 } },
      vdd_spi_xpd = { { EFUSE + 0x34, 4, 1 } },
      vdd_spi_tieh = { { EFUSE + 0x34, 5, 1 } },
      vdd_spi_force = { { EFUSE + 0x34, 6, 1 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-S2",
    names = {
      { "ESP32-S2", flash_cap = 0, psram_cap = 0 }, { "ESP32-S2FH2", flash_cap = 1, psram_cap = 0 },
      { "ESP32-S2FH4", flash_cap = 2, psram_cap = 0 }, { "ESP32-S2FNR2", flash_cap = 2, psram_cap = 1 },
      { "ESP32-S2R2", flash_cap = 0, psram_cap = 1 },
    },
    features = {
      "Wi-Fi", "Single Core", "240MHz",
      { field = "flash_cap", unknown = "Unknown Embedded Flash", map = {
        [0] = "No Embedded Flash", [1] = "Embedded Flash 2MB", [2] = "Embedded Flash 4MB" } },
      { field = "psram_cap", unknown = "Unknown Embedded PSRAM", map = {
        [0] = "No Embedded PSRAM", [1] = "Embedded PSRAM 2MB", [2] = "Embedded PSRAM 4MB" } },
      { field = "block_minor", unknown = "Unknown calibration in BLK2", map = {
        [0] = "No calibration in BLK2 of eFuse",
        [1] = "ADC and temperature sensor calibration in BLK2 of eFuse V1",
        [2] = "ADC and temperature sensor calibration in BLK2 of eFuse V2" } },
    },
  },
  watchdog = {
    rtc = {
      wprotect = RTC + 0xAC, config0 = RTC + 0x94, config1 = RTC + 0x98, key = 0x50D83AA1,
      reset_config0 = 0xD0000102, reset_config1 = 2000,
    },
    reset = true, disable_on_usj = false,
  },
  reset = {
    hard = "rts", hard_on_otg = "watchdog_if_strapped",
    strap = GPIO + 0x38, strap_flash_boot = { { GPIO + 0x38, 3, 1 } },
    force_download = { { RTC + 0x128, 0, 1 } },
  },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    freqs = { ["80m"] = 0xF, ["40m"] = 0x0, ["26m"] = 0x1, ["20m"] = 0x2 },
    pins = { { 0, 21 }, { 26, 46 } }, usb_pins = { 19, 20 }, encrypted_align = 16,
    voltage = { strap = { { GPIO + 0x38, 4, 1 } } },
  },
  security = {
    secure_boot = { { EFUSE + 0x38, 20, 1 } },
    flash_crypt_cnt = { { EFUSE + 0x34, 18, 3 } }, crypt_cnt_name = "SPI_BOOT_CRYPT_CNT",
    dl_encrypt_disabled = { { EFUSE + 0x30, 19, 1 } },
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
    default = true,
    text = 0x40028000, data = 0x3FFD0000, data_end = 0x3FFF8000, ring = 0x10000,
    uart = { layout = "plain", fsm = 0x68, rx_fifo = 0x60000000, tx_fifo = 0x60000000 }, reset = { 0x3F408000, 31 },
    rom = {
      attach = 0x40017004, configure = 0x40017500, write_encrypted = 0x400177E0,
      security_info = { { from = 0, 0x40012098 } },
      usb = {
        device = 0x3FFFFCF8, poll = 0x40014980, read = 0x40013200, write = 0x4001318C, callback = 0x400132D4,
      },
    },
  },
  sim = {
    core = "esp32s2",
    peripherals = { { 0x3F400000, 0x3F500000 }, { 0x60000000, 0x600D1000 }, { 0x61800000, 0x61804000 } },
    unclaimed = { { 0x400C0000, 0x400C1000 } },  -- by what esptool's tests do on boards
    print = 0x4000FEE0, boot_baud = 115200, crystal = 40, mac = "7c:df:a1:12:34:56", revision = 100, no_purpose = 0,
    flash_id = { manufacturer = 0xC8, device = 0x4016 },
    log = {
      banner = "ESP-ROM:esp32s2-rc4-20191025\r\nBuild:Oct 25 2019\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
      left = "user code done\r\n",
      panic = {
        load = "Panic at 400122fc\r\nFatal exception (28): LoadProhibited\r\n",
        store = "Panic at 4001abc8\r\nFatal exception (29): StoreProhibited\r\n",
      },
    },
    boot = { download = { 0x0, "DOWNLOAD(USB/UART0/1/SPI)" }, flash = { 0x8, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0x3, "RTC_SW_SYS_RST" },
      watchdog = { 0x10, "RTCWDT_RTC_RST" },
      watchdog_core = { 0x9, "RTCWDT_SYS_RST" }, watchdog_cpu = { 0xD, "RTCWDT_CPU_RST" },
      timer0 = { 0x7, "TG0WDT_SYS_RST" }, timer1 = { 0x8, "TG1WDT_SYS_RST" },
      timer0_cpu = { 0xB, "TG0WDT_CPU_RST" }, timer1_cpu = { 0x11, "TG1WDT_CPU_RST" },
    },
    fields = { package = 0, block_minor = 1 },
    sync_value = 0x20120707,
    encryption = { base = 0x6003A100, control = 0x3F4C0074 },
    machine = {
      id = { 0x40001000, 0x000007C6 }, mirrors = { { 0x3FFA0000, 0x3FFB0000, 0x40010000 } },
      reset_cause = { 0x3F408038, 0, 6 },
      interrupts = { kind = "direct", matrix = 0x3F4C2000, sources = { uart0 = 37 } },
      cache = {
        kind = "table", base = 0x61801000, windows = { { 0x3F000000, 128 }, { 0x40000000, 0 } },
        entries = 384, page = 0x10000, page_mask = 0x3FFF, valid = 0xC000, valid_value = 0x8000,
      },
      random = { 0x60035110, 0x3F435110 },
      sha = 0x6003B000, aes = { "later", 0x6003A000 }, rsa = { "later", 0x6003C000 }, timers = { 0x3F41F000, 0x3F420000 },
      autobaud = { enable = { 0x18, 0 }, low = 0x28, high = 0x2C, edges = 0x30 },
      registers = {
        -- of the caches: what they are told to do is done at once
        [0x61800000] = { clear = 0x501500, set = 0xA82A00, forget = true },
        [0x61800040] = { clear = 0x501500, set = 0xA82A00, forget = true }, [0x6180011C] = { set = 0x1001 },
        [0x3F408000] = { clear = 0x80000000 }, [0x3F4C008C] = { reset = 40 << 12 | 1 },
      },
    },
  },
  checked = { connect = "document", flash = "document", stub = "sim" },
}
