--- Simulated chips: `sim:CHIP[?option=value&...]` as a port, and the object behind it.
--
--     local port = sim.open "sim:esp32c3?flash=board.bin&rate=real"
--     local chip <close> = sim.new { chip = "esp32", revision = 301, sdm = true }
--     local port = chip:port()
--     print(chip:serve { tcp = 5555 })
--
-- doc/sim.md lists the options. They are the same in a URL and in a table.
local fail = require "esp.error"
local chips = require "esp.chips"
require "esp.core.port"   -- makes the class of the ports
local core = require "esp.core.sim"
local M = {}

local LINKS = { uart = 0, usj = 1, otg = 2 }
local SECURITY = { no_chip_id = 1, full = 2 }
local LAYOUTS = { otp_words = 0, esp32 = 1, blocks = 2 }
local RESETS = {
  "power_on", "external", "software", "watchdog", "usb", "watchdog_core", "watchdog_cpu", "timer0", "timer1",
  "timer0_cpu", "timer1_cpu",
}
local FAULTS = { "drop", "flip", "dup", "stall", "noise", "loss" }

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

local function bad(message, hint)
  fail { code = "bad_argument", message = message, hint = hint }
end

-- Options -------------------------------------------------------------------------------------------------

local function number(name, text)
  local n = tonumber(text)
  if not n or n ~= n or n < 0 or n > 1e15 then bad(("simulated chip: %s=%s is not a number"):format(name, text)) end
  return n
end

local function integer(name, text)
  local n = math.tointeger(number(name, text))
  if not n then bad(("simulated chip: %s=%s is not a whole number"):format(name, text)) end
  return n
end

local function probability(name, text)
  local p = number(name, text)
  if p > 1 then bad(("simulated chip: %s=%s is not between 0 and 1"):format(name, text)) end
  return p
end

local function flag(name, value)
  local word = tostring(value)
  if word == "" or word == "1" or word == "yes" or word == "true" then return true end
  if word == "0" or word == "no" or word == "false" then return false end
  bad(("simulated chip: %s is 1 or 0, not %q"):format(name, tostring(value)))
end

local function choice(...)
  local allowed = { ... }
  return function(name, value)
    for _, a in ipairs(allowed) do
      if a == value then return a end
    end
    bad(("simulated chip: %s=%s"):format(name, tostring(value)), "one of " .. table.concat(allowed, ", "))
  end
end

local function text(_, value) return tostring(value) end

local function size(name, value)
  local digits, unit = tostring(value):upper():match "^(%w+)([KM])B?$"
  if not digits or not tonumber(digits) then digits, unit = tostring(value), "" end
  local factor = unit == "K" and 1024 or unit == "M" and 1 << 20 or 1
  local n = tonumber(digits) and math.tointeger(tonumber(digits) * factor)
  if not n or n < 65536 or n > 1 << 28 or n & (n - 1) ~= 0 then
    bad(("simulated chip: %s=%s is not the size of a flash"):format(name, tostring(value)), "like 4MB; a power of two")
  end
  return n
end

local function revision(name, value)
  local major, minor = tostring(value):match "^v?(%d+)%.(%d+)$"
  if major then return tonumber(major) * 100 + tonumber(minor) end
  return integer(name, value)
end

local function purposes(_, value)
  if type(value) == "table" then return value end
  local list = {}
  for item in tostring(value):gmatch "[^,]+" do list[#list + 1] = tonumber(item) or item end
  return list
end

-- Every option: how its value is read.
local OPTIONS = {
  chip = text, flash = text, efuse = text, flash_size = size, flash_id = integer, mac = text, revision = revision,
  crystal = number, link = choice("uart", "usj", "otg"), boot = choice("download", "flash"),
  rate = choice("fast", "real"), timing = choice("none", "real"), latency = number, stall_time = number,
  rom = text, unplug = integer, faults_from = integer, faults_above = integer, seed = integer, vanish = integer,
  en_delay = number, spi_connection = integer, sdm = flag, secure_boot = flag, flash_encryption = flag,
  dl_encrypt_disabled = flag, keys = purposes, dual = choice("good", "high", "low", "as_q", "unknown"),
  fields = function(_, value) return value end,
}
for _, name in ipairs(FAULTS) do
  OPTIONS[name] = probability
  OPTIONS["in_" .. name] = probability
end
local SHORT = { rev = "revision", xtal = "crystal" }

local function check_options(given)
  local options = { fields = {} }
  for name, value in pairs(given) do
    name = SHORT[name] or name
    local field = name:match "^efuse%.(.+)$"
    if field then
      options.fields[field] = integer(name, value)
    elseif not OPTIONS[name] then
      bad(("simulated chip: unknown option %q"):format(name), "doc/sim.md lists them")
    else
      options[name] = OPTIONS[name](name, value)
    end
  end
  if not options.chip then bad("simulated chip: which?", "sim:esp32c3") end
  return options
end

--- Take a URL apart.
-- @param url "sim:CHIP[?name=value&...]"; %XX stands for a byte
-- @return table of options
-- @raise bad_argument
function M.parse(url)
  local chip, query = url:match "^sim:/*([%w%-_]+)%??(.*)$"
  if not chip then bad(("%s: not the name of a simulated chip"):format(url), "like sim:esp32c3?flash=board.bin") end
  local options = { chip = chip }
  for pair in query:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]+)=?(.*)$"
    if not name then bad(("%s: option %q has no name"):format(url, pair)) end
    options[name] = value:gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end)
  end
  return options
end

-- The description that the C core takes ---------------------------------------------------------------------

local KINDS = { ram = 0, mask = 1, flash = 2, words = 3, registers = 4 }
local CORES = { rv32imc = 1, rv32imac = 2, rv32imafc = 3, rv32imafc_zc = 4, rv32imafcb_zc = 5, lx106 = 6, esp32 = 7,
                esp32s2 = 8, esp32s3 = 9 }
local UARTS = { esp8266 = 0, esp32 = 1, plain = 2, synced = 3 }
local TRAPS = {                 -- what the C core calls the functions of data.stub.rom
  attach = 0, pads = 1, configure = 1, write_encrypted = 2, uart_device = 4, reset = 5, boot = 6,
}
local USB_TRAPS = { poll = 1, callback = 1, read = 7, write = 8 }        -- of data.stub.rom.usb
local SECURITY_INFO = 3
local DUAL = { good = 0, high = 1, low = 2, as_q = 3, unknown = 4 }
local IRQS = { matrix = 1, plic = 2, clic = 3, direct = 4 }
local REGISTERS = { esp32 = 1, later = 2 }             -- of AES and RSA
local CACHES = { table = 1, indexed = 2 }

local function regions(data)
  local list, aliases = {}, {}
  for name, r in pairs(data.memory) do
    if not r.alias_of then
      local kind = r.flash and "flash" or name:match "_mask$" and "mask" or r.words and "words" or "ram"
      list[#list + 1] = { r[1], r[2] - 1, KINDS[kind] }
    end
    if r.same_as then aliases[#aliases + 1] = { r.same_as[1], r[2] - 1, r.same_as[2] } end
  end
  for _, r in ipairs(data.sim.peripherals or {}) do list[#list + 1] = { r[1], r[2] - 1, KINDS.registers } end
  return list, aliases
end

-- data.stub.rom with what the revision adds.
local function stub_rom(data, rev)
  local all, file = {}, chips.for_revision(data.stub.files, rev)
  for _, t in ipairs { data.stub.rom or {}, file and file.rom or {} } do
    for k, v in pairs(t) do all[k] = v end
  end
  return all
end

-- Functions of the ROM that a program finds although the ROM's code is not there.
local function traps(rom, api_version)
  local list = {}
  for name, kind in pairs(TRAPS) do
    if rom[name] then list[#list + 1] = { rom[name], kind } end
  end
  for name, kind in pairs(USB_TRAPS) do
    if rom.usb then list[#list + 1] = { rom.usb[name], kind } end
  end
  for _, entry in ipairs(rom.security_info or {}) do
    if entry.from <= api_version then list[#list + 1] = { entry[1], SECURITY_INFO } end
  end
  return list
end

-- The processor and what only it sees. Its clock is that of the UARTs, as the ROM leaves it: on the ESP8266 twice the
-- crystal's.
local function core_layout(data, crystal)
  local sim, stub = data.sim, data.stub
  local reset = stub.reset or { 0, 0 }
  return {
    kind = CORES[sim.core] or 0, clock = crystal * (data.crystal.divider or 1) * 1e6,
    stack = data.memory.dram[2] - 0x1000,
    reset_addr = reset[1], reset_mask = 1 << reset[2],
  }
end

local function bits(n) return (1 << n) - 1 end

-- The accelerators.
local function crypto_layout(m)
  local aes, rsa, ecc, ecdsa, random = m.aes or {}, m.rsa or {}, m.ecc, m.ecdsa, m.random or {}
  return {
    sha = m.sha, sha_old = m.sha_layout == "esp32",
    aes = { kind = REGISTERS[aes[1]] or 0, base = aes[2] }, rsa = { kind = REGISTERS[rsa[1]] or 0, base = rsa[2] },
    ["random[0]"] = random[1], ["random[1]"] = random[2], ["random[2]"] = random[3],
    ecc = ecc and {
      base = ecc.base, size = ecc.size, curve_mask = bits(ecc.curve), mode_lsb = ecc.mode[1],
      mode_mask = bits(ecc.mode[2]), good = ecc.good,
    },
    ecdsa = ecdsa and {
      base = ecdsa.base, size = ecdsa.size, curve_lsb = ecdsa.curve[1], curve_mask = bits(ecdsa.curve[2]),
      memory = ecdsa.memory,
    },
  }
end

-- What a chip needs to run its ROM, from sim.machine.
local function machine_layout(data, crystal)
  local m = data.sim.machine
  local irq, cache, timg, cause = m.interrupts or {}, m.cache or {}, m.timers or {}, m.reset_cause or {}
  local sources = irq.sources or {}
  local function window(i, part) return cache.windows and cache.windows[i] and cache.windows[i][part] or 0 end
  return {
    unaligned = m.unaligned or false, elf = data.arch == "riscv" and 243 or 94,
    id_addr = m.id and m.id[1] or 0, id_value = m.id and m.id[2] or 0,
    crypto = crypto_layout(m), cause_addr = cause[1], cause_lsb = cause[2], cause_width = cause[3],
    irq = {
      kind = IRQS[irq.kind] or 0, matrix = irq.matrix, control = irq.control or irq.matrix, enable = irq.enable,
      priority = irq.priority, threshold = irq.threshold,
      ["source[0]"] = sources.uart0 or 0xFFFF, ["source[1]"] = sources.usj or 0xFFFF,
    },
    cache = {
      kind = CACHES[cache.kind] or 0, base = cache.base, index = cache.index, content = cache.content,
      entries = cache.entries, page = cache.page, page_mask = cache.page_mask, valid = cache.valid,
      valid_value = cache.valid_value, encrypted = cache.encrypted,
      ["first[0]"] = window(1, 1), ["first[1]"] = window(2, 1), ["first_entry[0]"] = window(1, 2),
      ["first_entry[1]"] = window(2, 2),
    },
    timg = {
      ["base[0]"] = timg[1] or 0, ["base[1]"] = timg[2] or 0, clock = crystal * 1e6, crystal = crystal * 1e6,
      slow_clock = 136e3, calibrated = timg[1] and (data.sim.registers or {})[timg[1] + 0x6C] or 0,
    },
  }
end

local function machine_registers(m)
  local list = {}
  for address, r in pairs(m.registers or {}) do
    list[#list + 1] = { address, r.reset or 0, r.set or 0, r.clear or 0, r.echo and r.echo[1] or 0,
                        r.echo and r.echo[2] or 0, r.keep or false, r.forget or false }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

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
    base = e.base, control = e.control, line = e.line or 64, purpose = named.XTS_AES_128_KEY,
    ["purpose_256[0]"] = named.XTS_AES_256_KEY_1, ["purpose_256[1]"] = named.XTS_AES_256_KEY_2,
  }
end

local function first_key(efuse)
  for i, block in ipairs(efuse.blocks) do
    if block[1] == "BLOCK_KEY0" then return i - 1 end
  end
  return -1
end

local function efuse_blocks(efuse)
  local list = {}
  for i, block in ipairs(efuse.blocks) do
    local protect, hide = efuse.write_protect or {}, efuse.read_protect or {}
    list[i] = { block[2], block[3], efuse.write and efuse.write[i] or 0, protect[i] or -1, hide[i] or -1 }
  end
  return list
end

local function word_of_block0(efuse, address)
  return (address - efuse.base - efuse.blocks[1][2]) // 4
end

local function efuse_layout(efuse)
  local wr, rd, coding = efuse.fields.write_disable, efuse.fields.read_disable, efuse.fields.coding_scheme
  local layout = {
    kind = LAYOUTS[efuse.layout], base = efuse.base, pgm_data = efuse.pgm_data, conf = efuse.conf,
    status = efuse.status, cmd = efuse.cmd, conf_write = efuse.conf_write, conf_read = efuse.conf_read,
    wr_dis_mask = wr and (1 << wr[1][3]) - 1 or 0, rd_dis = 0xFFFF, coding = 0xFFFF,
  }
  if rd then
    layout.rd_dis, layout.rd_dis_lsb = word_of_block0(efuse, rd[1][1]), rd[1][2]
    layout.rd_dis_mask = (1 << rd[1][3]) - 1
  end
  if coding then layout.coding, layout.coding_lsb = word_of_block0(efuse, coding[1][1]), coding[1][2] end
  return layout
end

local function set_field(words, field, value)
  chips.field_set(field, value, function(a) return words[a] or 0 end, function(a, w) words[a] = w end)
end

local function key_purpose(data, wanted)
  if type(wanted) == "number" then return math.tointeger(wanted) end
  for value, name in pairs(data.security.key_purpose_names or {}) do
    if name == wanted then return value end
  end
  bad(("%s has no key purpose %q"):format(data.name, tostring(wanted)))
end

local function security_bits(words, data, options)
  local s = data.security
  local function set(option, field, value)
    if not options[option] then return end
    if not field then bad(("%s has no such eFuse: %s"):format(data.name, option)) end
    set_field(words, field, value)
  end
  set("sdm", data.efuse.fields.secure_download, 1)
  set("secure_boot", s.secure_boot or s.secure_boot_v1, 1)
  set("flash_encryption", s.flash_crypt_cnt, 1)
  set("dl_encrypt_disabled", s.dl_encrypt_disabled, 1)
  for i, wanted in ipairs(options.keys or {}) do
    local field = s.key_purposes and s.key_purposes[i]
    if not field then bad(("%s has no key block %d"):format(data.name, i - 1)) end
    set_field(words, field, key_purpose(data, wanted))
  end
end

-- Words at addresses become fuses where there are some, else fixed words.
local function place(words, efuse)
  local fuses, presets = {}, {}
  for address, word in pairs(words) do
    local found
    for i, block in ipairs(efuse.blocks) do
      local at = address - efuse.base - block[2]
      if at >= 0 and at < block[3] * 4 and not found then
        fuses[#fuses + 1] = { i - 1, at // 4, word }
        found = true
      end
    end
    if not found then presets[#presets + 1] = { address, word } end
  end
  return fuses, presets
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

local function link_of(data, options)
  local link = options.link or (data.links.uart and "uart" or data.links.usj and "usj" or "otg")
  if not data.links[link] then bad(("%s has no %s link"):format(data.name, link)) end
  return link
end

--- The description of a chip for the C core, from chip data and options.
-- @param given table of options
-- @return table
-- @raise bad_argument, unknown_chip
function M.describe(given)
  local options = check_options(given)
  local data = chips.get(options.chip)
  local rev = options.revision or data.sim.revision
  data = chips.at_revision(data, rev)
  local sim, rom = data.sim, data.rom
  local words = chips.initial(data, { mac = options.mac, revision = rev, fields = options.fields })
  security_bits(words, data, options)
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
  local fuses, presets = place(words, data.efuse)
  local memory, aliases = regions(data)
  local uart = data.stub.uart or {}
  local spi, wdt = data.spi, data.watchdog.rtc or {}
  local d = {
    regions = memory, aliases = aliases, core = core_layout(data, crystal), usj_base = data.stub.usj or 0,
    second_core = sim.second_core or {}, traps = traps(stub_rom(data, rev), sim.api_version or 0),
    systimer_base = sim.systimer or 0,
    presets = presets, fuses = fuses, efuse_blocks = efuse_blocks(data.efuse),
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
    crypt = encryption(data), crypt_key_length = (sim.encryption or {}).key_length, key_block = first_key(data.efuse),
    efuse = efuse_layout(data.efuse), chip_id = data.image_chip_id or 0, api_version = sim.api_version or 0,
    secure_boot = data.security.secure_boot, crypt_cnt = data.security.flash_crypt_cnt,
    secure_download = data.efuse.fields.secure_download, download_disabled = data.efuse.fields.download_disabled,
    dl_encrypt_disabled = data.security.dl_encrypt_disabled,
    usb_vid = link ~= "uart" and 0x303A or 0,
    usb_pid = link == "usj" and 0x1001 or link == "otg" and data.links.otg or 0,
    link = LINKS[link], link_addr = in_use.address or 0, link_value = in_use[link] or 0,
    no_purpose = sim.no_purpose or 12, spi_also = sim.spi_also or 0,
    force_download = data.reset.force_download, flash_power = flash_power(data, rev),
    vanish = options.vanish or 0, reenumerate = 0.2,
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
  if options.rom then
    if not sim.machine then
      bad(("%s: it is not known how to run its ROM"):format(data.name), "without rom= its loader is modelled")
    end
    d.rom_file, d.machine = options.rom, machine_layout(data, crystal)
    d.strap_addr = sim.machine.strap or d.strap_addr
    d.machine_registers = machine_registers(sim.machine)
    local auto = sim.machine.autobaud
    if auto then
      d.uart.auto_conf, d.uart.auto_bit, d.uart.auto_short = auto.enable[1], auto.enable[2], auto.short or 1
      d.uart.rx_reset = 1 << (auto.rx_reset or 17)
      d.uart.auto_low, d.uart.auto_high, d.uart.auto_count = auto.low, auto.high, auto.edges
    end
    for _, m in ipairs(sim.machine.memory or {}) do
      d.regions[#d.regions + 1] = { m[1], m[2] - 1, KINDS[m.kind or "ram"] }
    end
    for _, m in ipairs(sim.machine.mirrors or {}) do d.aliases[#d.aliases + 1] = { m[1], m[2] - 1, m[3] } end
  end
  for _, name in ipairs(FAULTS) do
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

--- Make a simulated chip.
-- @param options table: chip = "esp32c3" and the options of doc/sim.md
-- @return object with :port() :flash(offset, n) :poke_flash(offset, bytes) :flash_use() :efuse_word(block, word)
--   :reg(address) :reset(mode) :state() :log() :fault() :cpu() :serve{...} :close()
-- @raise bad_argument, unknown_chip, bad_file
function M.new(options)
  return fail.check(nil, nil, core.new(M.describe(options)))
end

--- Make a simulated chip and open its port. The chip lives as long as the port or the object.
-- @param url "sim:CHIP[?options]"
-- @return port, chip
-- @raise as new
function M.open(url, options)
  local chip = M.new(M.parse(url))
  local port = fail.check(nil, nil, chip:port(url, options and options.baud))
  return port, chip
end

local NAMES = {
  [0x00] = "FAULT", [0x01] = "SECOND_CORE",
  [0x02] = "FLASH_BEGIN", [0x03] = "FLASH_DATA", [0x04] = "FLASH_END", [0x05] = "MEM_BEGIN", [0x06] = "MEM_END",
  [0x07] = "MEM_DATA", [0x08] = "SYNC", [0x09] = "WRITE_REG", [0x0A] = "READ_REG", [0x0B] = "SPI_SET_PARAMS",
  [0x0D] = "SPI_ATTACH", [0x0E] = "READ_FLASH_SLOW", [0x0F] = "CHANGE_BAUD", [0x10] = "DEFL_BEGIN",
  [0x11] = "DEFL_DATA", [0x12] = "DEFL_END", [0x13] = "SPI_FLASH_MD5", [0x14] = "GET_SECURITY_INFO",
}

--- What a command in chip:log() is called.
function M.command_name(op)
  return NAMES[op] or ("0x%02X"):format(op)
end

--- Serve a chip to other programs, one client at a time.
-- @param where table: tcp = port, rfc2217 = port (0 picks one) or pty = true; host = address to listen on (127.0.0.1);
--   reset_on_connect = true puts the chip into download mode when a client comes
-- @return URL that other programs use
-- @raise port_busy, port_failed
function core.methods:serve(where)
  local host = where.host or "127.0.0.1"
  if where.pty then return (fail.check(nil, nil, self:pty(where.reset_on_connect))) end
  local kind = where.rfc2217 and "rfc2217" or "socket"
  local port = fail.check(nil, nil, self:listen(kind, host, where.rfc2217 or where.tcp or 0, where.reset_on_connect))
  return ("%s://%s:%d"):format(kind, host == "0.0.0.0" and "localhost" or host, port)
end

return M
