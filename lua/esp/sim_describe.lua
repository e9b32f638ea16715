--- The description of a simulated chip that the C core takes.
local chips = require "esp.chips"
local fuse = require "esp.sim_efuse"
local layout = require "esp.sim_layout"
local options_of = require "esp.sim_options"
local M = {}

local LINKS = { uart = 0, usj = 1, otg = 2 }
local SECURITY = { no_chip_id = 1, full = 2 }
local UARTS = { esp8266 = 0, esp32 = 1, plain = 2, synced = 3 }
local DUAL = { good = 0, high = 1, low = 2, as_q = 3, unknown = 4 }
local NAND_FAULTS = {
  nand_bad = 0, nand_program_fails = 1, nand_erase_fails = 2, nand_corrected = 3, nand_uncorrectable = 4,
  nand_silent = 5,
}
local RESETS = {
  "power_on", "external", "software", "watchdog", "usb", "watchdog_core", "watchdog_cpu", "timer0", "timer1",
  "timer0_cpu", "timer1_cpu",
}

-- What the ROM's exception handler begins with, and what FLASH_END prints where it does not start the image.
local FATAL = "Fatal exception (%d): \r\nepc1=0x40007d80, epc2=0x00000000, epc3=0x00000000, excvaddr=0x00000000\r\n"
local PANIC = {
  riscv = {
    load = "Guru Meditation Error: Core 0 panic'ed (Load access fault)\r\nCore 0 register dump:\r\n",
    store = "Guru Meditation Error: Core 0 panic'ed (Store/AMO access fault)\r\nCore 0 register dump:\r\n",
  },
  xtensa = { load = FATAL:format(28), store = FATAL:format(29) },
}
local LEAVE = { riscv = "user code done\r\n" }

local function commands(rom, security_info)
  local all = 0
  for op = 0x02, 0x0A do all = all | 1 << op end
  if rom.params then all = all | 1 << 0x0B end
  if rom.attach then all = all | 1 << 0x0D end
  if rom.read_slow then all = all | 1 << 0x0E end
  if rom.change_baud then all = all | 1 << 0x0F end
  if rom.deflate then all = all | 7 << 0x10 end
  if rom.md5 then all = all | 1 << 0x13 end
  if security_info then all = all | 1 << 0x14 end
  for _, op in ipairs(rom.reserved or {}) do all = all | 1 << op end
  local secure = 0
  for _, op in ipairs { 0x02, 0x03, 0x04, 0x08, 0x0B, 0x0D, 0x0F, 0x14 } do secure = secure | all & 1 << op end
  return all, secure
end

-- Flash encryption, and the block of the first key.
local function encryption(data)
  local e, named = data.sim.encryption or {}, {}
  for value, name in pairs(data.security.key_purpose_names or {}) do named[name] = value end
  return {
    esp32 = e.layout == "esp32", base = e.base, control = e.control, line = e.line or 64,
    purpose = named.XTS_AES_128_KEY,
    ["purpose_256[0]"] = named.XTS_AES_256_KEY_1, ["purpose_256[1]"] = named.XTS_AES_256_KEY_2,
  }
end

-- MHz that the ROM believes its crystal to have.
local function believed_crystal(data, crystal, words)
  local fix = data.baud_fix
  local function get(field) return chips.field_get(field, function(a) return words[a] or 0 end) end
  if not fix then return crystal end
  if fix.rom_crystal then return fix.rom_crystal end
  if fix.rom_crystal_field then
    local mhz = get(fix.rom_crystal_field)
    return mhz > 0 and mhz or crystal
  end
  if fix.calibration then
    local hz = get(fix.calibration) * 15625 * get(fix.oscillator) / 40
    return hz > 0 and hz / 1e6 or crystal
  end
  return crystal
end

local function flash_id(options, sim, bytes)
  if options.flash_id then return options.flash_id end
  local capacity = sim.flash_id.device & 0xFF
  if bytes then
    capacity = 0
    while 1 << capacity < bytes do capacity = capacity + 1 end
  end
  return sim.flash_id.manufacturer << 16 | sim.flash_id.device & 0xFF00 | capacity
end

-- Where the supply of the flash must be switched on first: the bits that say so.
local function flash_power(data, rev)
  for _, entry in ipairs(data.flash.power_up or {}) do
    for _, r in ipairs(entry.done and entry.revisions or {}) do
      if r == rev then return entry.done end
    end
  end
end

local function file_size(path)
  local f = path and io.open(path, "rb")
  if not f then return nil end
  local bytes = f:seek "end"
  f:close()
  return bytes and bytes > 0 and bytes <= 1 << 28 and bytes or nil
end

-- A serial NAND flash, and where it is wired to.
local function nand(d, data, options)
  local at, wired = data.nand, options.nand_pins
  for name in pairs(NAND_FAULTS) do
    if options[name] and not options.nand then options_of.bad(("simulated chip: %s without nand"):format(name)) end
  end
  if wired and not options.nand then options_of.bad "simulated chip: nand_pins without nand" end
  if options.nand and not at then options_of.bad(("%s: nothing is known of NAND flash on it"):format(data.name)) end
  if not at then return end
  d.nand = options.nand and true or false
  d.nand_file = type(options.nand) == "string" and options.nand or nil
  d.spi2 = { base = at.spi, clock = at.clock[1], reset = at.reset[1], bit = at.clock[2], io_mux = at.io_mux,
             in_sel = at.in_sel, out_sel = at.out_sel, native = at.native }
  d.spi2_pins, d.nand_faults = {}, {}
  for i, name in ipairs { "clk", "q", "d", "hd", "cs" } do
    local pin = at.pins[name]
    d.spi2_pins[i] = { pin[1], pin[2], wired and wired[i] or pin[1] }
  end
  for name, kind in pairs(NAND_FAULTS) do
    for _, place in ipairs(options[name] or {}) do d.nand_faults[#d.nand_faults + 1] = { kind, place } end
  end
end

local function link_of(data, options)
  local link = options.link or (data.links.uart and "uart" or data.links.usj and "usj" or "otg")
  if not data.links[link] then options_of.bad(("%s has no %s link"):format(data.name, link)) end
  return link
end

--- The description of a chip for the C core, from chip data and options.
-- @param given table of options
-- @return table
-- @raise bad_argument, unknown_chip
function M.describe(given)
  local options = options_of.check(given)
  local data = chips.get(options.chip)
  local rev = options.revision or data.sim.revision
  data = chips.at_revision(data, rev)
  local sim, rom = data.sim, data.rom
  local words = chips.initial(data, { mac = options.mac, revision = rev, fields = options.fields })
  fuse.security_bits(words, data, options)
  local crystal = options.crystal or data.crystal.fixed or sim.crystal
  local divider = data.crystal.divider or 1
  local link = link_of(data, options)
  local in_use = chips.for_revision(data.uart.link_in_use, rev) or {}
  local known_size = options.flash_size or file_size(options.flash)
  local default_size = 1 << (sim.flash_id.device & 0xFF)
  local all, secure = commands(rom, data.security_info)
  local panic = sim.log.panic or PANIC[data.arch]
  local boot_scale = sim.boot_crystal and crystal / sim.boot_crystal or 1
  if data.magic then words[0x40001000] = data.magic end
  local version = data.stub.rom and data.stub.rom.version
  if version then words[version] = sim.api_version end
  local fuses, presets = fuse.place(words, data.efuse)
  local memory, aliases = layout.regions(data)
  local uart = data.stub.uart or {}
  local spi, wdt = data.spi, data.watchdog.rtc or {}
  local d = {
    regions = memory, aliases = aliases, core = layout.core_layout(data, crystal), usj_base = data.stub.usj or 0,
    second_core = sim.second_core or {}, traps = layout.traps(data, rev),
    systimer_base = sim.systimer or 0,
    presets = presets, fuses = fuses, efuse_blocks = fuse.blocks(data.efuse),
    rom = {
      status_bytes = rom.status_bytes, commands = all, sdm_commands = secure, encrypted_word = rom.encrypted_word,
      erase_quirk = rom.erase_quirk == "head_sectors", whole_window = rom.deflate_tail == "window",
      security = SECURITY[data.security_info] or 0,
      frame_max = link == "otg" and rom.usb_block + 24 or 0,          -- the buffer of the USB driver
      ram_refused = data.stub.skip_with_secure_boot or data.stub.start_with_secure_boot and true or false,
      read_pointer = (data.stub.rom or {}).flash_read_pointer or 0,
      ram_block = rom.ram_block, flash_size = rom.params and 2 << 20 or 4 << 20,
    },
    spi = {
      base = spi.base, usr = spi.usr, usr1 = spi.usr1, usr2 = spi.usr2, mosi_dlen = spi.mosi_dlen or 0,
      miso_dlen = spi.miso_dlen or 0, w0 = spi.w0, addr_msb = spi.addr_msb,
      status = spi.usr == 0x18 and 0x2C or 0x10, dual = DUAL[options.dual or "good"],
    },
    uart = {
      base = data.uart.base, clkdiv = data.uart.clkdiv - data.uart.base, date = data.uart.date - data.uart.base,
      date_value = 0x15122500, clock = crystal * divider * 1e6,
      rom_clock = believed_crystal(data, crystal, words) * divider * 1e6, layout = UARTS[uart.layout] or 0,
      fsm = uart.fsm or 0, fifo = uart.tx_fifo or 0,
    },
    wdt = {
      wprotect = wdt.wprotect, config0 = wdt.config0, config1 = wdt.config1, key = wdt.key, guard = wdt.guard or 12,
      shift = wdt.shift or 1, hold = wdt.hold or 200000,
    },
    crypt = encryption(data), crypt_config = data.security.crypt_config,
    crypt_key_length = (sim.encryption or {}).key_length,
    key_block = fuse.first_key(data.efuse),
    efuse = fuse.layout(data.efuse), chip_id = data.image_chip_id or 0, api_version = sim.api_version or 0,
    secure_boot = data.security.secure_boot, crypt_cnt = data.security.flash_crypt_cnt,
    secure_download = data.efuse.fields.secure_download, download_disabled = data.efuse.fields.download_disabled,
    dl_encrypt_disabled = data.security.dl_encrypt_disabled,
    usb_vid = link ~= "uart" and 0x303A or 0,
    usb_pid = link == "usj" and 0x1001 or link == "otg" and data.links.otg or 0,
    link = LINKS[link], link_addr = in_use.address or 0, link_value = in_use[link] or 0,
    no_purpose = sim.no_purpose or 12, spi_also = sim.spi_also or 0,
    force_download = data.reset.force_download, flash_power = flash_power(data, rev),
    vanish = options.vanish or 0, reenumerate = 0.2, max_baud = options.max_baud or 0,
    strap_addr = data.reset.strap or 0, boot_baud = sim.boot_baud * boot_scale,
    banner = sim.log.banner, line = sim.log.line, waiting = sim.log.waiting,
    panic = panic.load, panic_store = panic.store, leave = sim.log.left or LEAVE[data.arch],
    leave_boots = sim.log.left_boots and 1 or 0,
    jedec_id = flash_id(options, sim, known_size), bootloader_offset = data.bootloader_offset,
    flash_size = options.flash_size or known_size and 0 or default_size,    -- 0: that of the file
    flash_file = options.flash, efuse_file = options.efuse, spi_connection = options.spi_connection or 0,
    line_model = {
      paced = options.rate == "real", latency = options.latency or 0, stall_time = options.stall_time or 0.5,
    },
    faults_to_host = {}, faults_to_chip = {}, seed = options.seed or 1, unplug = options.unplug or 0,
    faults_from = options.faults_from or 0, faults_above = options.faults_above or 0,
    en_delay = options.en_delay or 0.002, start_download = options.boot ~= "flash", timing = options.timing == "real",
  }
  nand(d, data, options)
  if options.rom then
    if not sim.machine then
      options_of.bad(("%s: it is not known how to run its ROM"):format(data.name),
                     "without rom= its loader is modelled")
    end
    d.rom_file, d.machine = options.rom, layout.machine_layout(data, crystal)
    d.strap_addr = sim.machine.strap or d.strap_addr
    d.machine_registers = layout.machine_registers(sim.machine)
    local auto = sim.machine.autobaud
    if auto then
      d.uart.auto_conf, d.uart.auto_bit, d.uart.auto_short = auto.enable[1], auto.enable[2], auto.short or 1
      d.uart.rx_reset = 1 << (auto.rx_reset or 17)
      d.uart.auto_low, d.uart.auto_high, d.uart.auto_count = auto.low, auto.high, auto.edges
    end
    for _, m in ipairs(sim.machine.memory or {}) do
      d.regions[#d.regions + 1] = { m[1], m[2] - 1, layout.KINDS[m.kind or "ram"] }
    end
    for _, m in ipairs(sim.machine.mirrors or {}) do d.aliases[#d.aliases + 1] = { m[1], m[2] - 1, m[3] } end
  end
  for _, name in ipairs(options_of.FAULTS) do
    d.faults_to_host[name], d.faults_to_chip[name] = options[name], options["in_" .. name]
  end
  for i, field in ipairs(data.security.key_purposes or {}) do d[("key_purpose[%d]"):format(i - 1)] = field end
  for i, mode in ipairs { "download", "flash" } do
    d[("boot_code[%d]"):format(i - 1)], d[("boot_name[%d]"):format(i - 1)] = sim.boot[mode][1], sim.boot[mode][2]
    d[("strap[%d]"):format(i - 1)] = sim.boot[mode][1]
  end
  for i, cause in ipairs(RESETS) do
    local r = sim.resets[cause] or sim.resets.power_on
    d[("reset_code[%d]"):format(i - 1)], d[("reset_name[%d]"):format(i - 1)] = r[1], r[2]
  end
  return d
end

return M
