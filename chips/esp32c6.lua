-- ESP32-C6. Sources: Technical Reference Manual; ESP-IDF soc/esp32c6 headers; eFuse table of espefuse;
-- facts checked against esptool (v5.2.0 and the development branch of 2026-08).
local EFUSE, UART, SPI1, LP_WDT = 0x600B0800, 0x60000000, 0x60003000, 0x600B1C00

return {
  id = "esp32c6", name = "ESP32-C6", arch = "riscv", cores = 1,
  image_chip_id = 13, uf2_family = 0x540DDF62, bootloader_offset = 0x0,
  security_info = "full",
  links = { uart = true, usj = true },
  memory = {
    irom = { 0x42000000, 0x42800000, flash = true },
    drom = { 0x42800000, 0x43000000, flash = true },
    irom_mask = { 0x40000000, 0x4004AC00 },
    drom_mask = { 0x4004AC00, 0x40050000 },
    dram = { 0x40800000, 0x40880000 },
    iram = { 0x40800000, 0x40880000, alias_of = "dram" },
    rtc_iram = { 0x50000000, 0x50004000 },
    rtc_dram = { 0x50000000, 0x50004000, alias_of = "rtc_iram" },
    mem_internal2 = { 0x600FE000, 0x60100000 },
  },
  image = {
    versions = { 1 }, mmu_pages = { 0x2000, 0x4000, 0x8000, 0x10000 },
    map = {
      { 0x00000000, 0x00010000, "PADDING" }, { 0x42000000, 0x43000000, "DROM" }, { 0x40800000, 0x40880000, "DRAM" },
      { 0x40800000, 0x40880000, "BYTE_ACCESSIBLE" }, { 0x4004AC00, 0x40050000, "DROM_MASK" },
      { 0x40000000, 0x4004AC00, "IROM_MASK" }, { 0x42000000, 0x43000000, "IROM" }, { 0x40800000, 0x40880000, "IRAM" },
      { 0x50000000, 0x50004000, "RTC_IRAM" }, { 0x50000000, 0x50004000, "RTC_DRAM" },
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
    link_in_use = {
      { from_revision = 0, address = 0x4087F580, usj = 3 },
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
      mac_ext = { { EFUSE + 0x48, 16, 16 } },
      custom_mac = { { EFUSE + 0x94, 8, 24 }, { EFUSE + 0x98, 0, 24 } },
      wafer_major = { { EFUSE + 0x50, 22, 2 } },
      wafer_minor = { { EFUSE + 0x50, 18, 4 } },
      package = { { EFUSE + 0x50, 24, 3 } },
      block_major = { { EFUSE + 0x50, 30, 2 } },
      block_minor = { { EFUSE + 0x50, 27, 3 } },
      flash_cap = { { EFUSE + 0x54, 0, 3 } },
      flash_vendor = { { EFUSE + 0x54, 5, 3 } },
    },
  },
  identity = {
    unknown = "Unknown ESP32-C6",
    names = {
      { "ESP32-C6 (QFN40)", package = 0 }, { "ESP32-C6FH4 (QFN32)", package = 1, flash_cap = 1 },
      { "ESP32-C6FH8 (QFN32)", package = 1, flash_cap = 2 },
    },
    features = {
      "Wi-Fi 6", "BT 5 (LE)", "IEEE802.15.4", "Single Core + LP Core", "160MHz",
      { field = "flash_cap", unknown = "Unknown Embedded Flash", map = {
        [0] = false, [1] = "Embedded Flash 4MB", [2] = "Embedded Flash 8MB" } },
    },
  },
  watchdog = {
    rtc = {
      wprotect = LP_WDT + 0x18, config0 = LP_WDT + 0x00, config1 = LP_WDT + 0x04, key = 0x50D83AA1,
      reset_config0 = 0xD0000102, reset_config1 = 2000,
    },
    swd = { wprotect = LP_WDT + 0x20, config = LP_WDT + 0x1C, auto_feed = 0x00040000, key = 0x50D83AA1 },
    reset = false, disable_on_usj = true,
  },
  reset = {
    hard = "rts", strap = 0x60091038,
  },
  flash = {
    sizes = {
      ["1MB"] = 0x00, ["2MB"] = 0x10, ["4MB"] = 0x20, ["8MB"] = 0x30, ["16MB"] = 0x40, ["32MB"] = 0x50,
      ["64MB"] = 0x60, ["128MB"] = 0x70,
    },
    -- 80 MHz has the code of 40: the ROM's divider for the fast clock is wrong.
    freqs = { ["80m"] = 0x0, ["40m"] = 0x0, ["20m"] = 0x2 },
    pins = { { 0, 30 } }, usb_pins = { 12, 13 }, encrypted_align = 16,
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
    default = true,
    text = 0x40800000, data = 0x40840000, data_end = 0x40860000, ring = 0x10000,
    uart = { layout = "synced", fsm = 0x70 }, usj = 0x6000F000, reset = { 0x600B1034, 31 },
    rom = {
      attach = 0x400001DC, configure = 0x40000160, write_encrypted = 0x40000114,
      security_info = { { from = 0, 0x400000BC } },
    },
  },
  sim = {
    encryption = { base = 0x60002300, control = 0x60095000 },
    machine = {                                     -- what its ROM needs to run
      id = { 0x40000010, 13 }, unaligned = true,
      memory = { { 0x40880000, 0x40881000 }, { 0x3FCE0000, 0x3FCE1000 } },   -- read by the ROM for esptool's stub
      reset_cause = { 0x600B0410, 0, 5 }, flash_pad = 0x60090078,
      interrupts = {
        kind = "plic", matrix = 0x60010000, control = 0x20001000, enable = 0x0, priority = 0x10, threshold = 0x90,
        sources = { uart0 = 43, usj = 48 },
      },
      cache = {
        kind = "indexed", base = 0x6000237C, content = 0, index = 4, entries = 256, page = 0x10000, page_mask = 0x1FF,
        valid = 0x200, valid_value = 0x200,
      },
      ecc = { base = 0x6008B000, size = 32, curve = 1, mode = { 5, 3 }, good = 8 },
      random = { 0x600B2808 },
      timers = { 0x60008000, 0x60009000 }, sha = 0x60089000, aes = { "later", 0x60088000 }, rsa = { "later", 0x6008A000 },
      autobaud = { enable = { 0x20, 19 }, low = 0x7C, high = 0x80, edges = 0x84, rx_reset = 22 },
      registers = {
        [0x60002170] = { set = 0xFC000000 },            -- the bus of the cache is idle
        [0x60001098] = { clear = 0x1 },                 -- UART1: what was asked for has happened
        [0x60096000] = { set = 0x4 }, [0x6009600C] = { set = 0x4 },       -- the UARTs' clocks are there
        [0x60096110] = { reset = 0x28000200 },          -- the crystal has 40 MHz
        [0x600C802C] = { echo = { 0x10000, 2 } }, [0x600C8088] = { clear = 0x3, set = 0x4 },
        [0x600C8098] = { clear = 0xF, set = 0x10, forget = true }, [0x600C80D8] = { clear = 0x1, set = 0x2 },
        [0x600C8134] = { set = 0x2 },
        [0x600B1000] = { keep = true }, [0x600B1004] = { keep = true },
        [0x600B1008] = { keep = true }, [0x600B100C] = { keep = true },
        [0x600B1010] = { keep = true }, [0x600B1014] = { keep = true },
        [0x600B1018] = { keep = true }, [0x600B101C] = { keep = true },
        [0x600B1020] = { keep = true }, [0x600B1024] = { keep = true },
      },
    },
    core = "rv32imac", systimer = 0x6000A000,
    peripherals = { { 0x20000000, 0x20002000 }, { 0x60000000, 0x600FE000 } },
    unclaimed = { { 0x400C0000, 0x400C1000 } },  -- by what esptool's tests do on boards
    print = 0x40000028, boot_baud = 115200, crystal = 40, mac = "60:55:f9:f7:2c:a2", revision = 1, api_version = 0,
    flash_id = { manufacturer = 0x85, device = 0x2018 },
    log = {
      banner = "ESP-ROM:esp32c6-20220919\r\nBuild:Sep 19 2022\r\n",
      line = "rst:0x{reset} ({reset_name}),boot:0x{boot} ({boot_name})\r\n",
      waiting = "waiting for download\r\n",
    },
    boot = { download = { 0x4, "DOWNLOAD(USB/UART0/SDIO_FEI_FEO)" }, flash = { 0xC, "SPI_FAST_FLASH_BOOT" } },
    resets = {
      power_on = { 0x1, "POWERON" }, external = { 0x1, "POWERON" }, software = { 0x3, "LP_SW_HPSYS" },
      watchdog = { 0x10, "LP_WDT_SYS" }, usb = { 0x15, "USB_UART_HPSYS" },
      watchdog_core = { 0x9, "LP_WDT_HPSYS" }, watchdog_cpu = { 0xD, "LP_WDT_CPU" },
      timer0 = { 0x7, "TG0_WDT_HPSYS" }, timer1 = { 0x8, "TG1_WDT_HPSYS" },
      timer0_cpu = { 0xB, "TG0_WDT_CPU" }, timer1_cpu = { 0x11, "TG1_WDT_CPU" },
    },
    fields = { package = 0, block_minor = 3, mac_ext = 0xFFFE },
    registers = { [0x40001000] = 0x2CE0806F },     -- ROM code, read by hosts that look for a magic word
    sync_value = 0x20120707,
  },
  checked = { connect = "document", flash = "document", stub = "sim" },
}
