--- What chip data must look like, and the check of it. The keys are described in doc/chips.md.
local M = {}

-- A type is a function(value, path, report, data). report(path, text) notes a problem.
local function is(kind, test)
  return function(value, path, report)
    if math.type(value) ~= kind and type(value) ~= kind or test and not test(value) then
      report(path, "has a wrong value: " .. tostring(value))
    end
  end
end

local function within(low, high)
  return is("integer", function(v) return v >= low and v <= high end)
end

local word, offset, bit, flag = within(0, 0xFFFFFFFF), within(0, 0xFFF), within(0, 31), is "boolean"
local revision, pin, text = within(0, 9999), within(0, 63), is("string", function(s) return s ~= "" end)
local any_text = is "string"
local seconds = is "number"

-- A name of behaviour; it is resolved where the comment says.
local function behaviour(...)
  local known = {}
  for _, name in ipairs { ... } do known[name] = true end
  return function(value, path, report)
    if not known[value] then report(path, "names an unknown behaviour: " .. tostring(value)) end
  end
end

local function optional(kind)
  return { optional = kind }
end

local function record(keys)
  return function(value, path, report, data)
    if type(value) ~= "table" then return report(path, "is not a table") end
    for key, kind in pairs(keys) do
      local needed = type(kind) == "function"
      local at = path .. (path == "" and "" or ".") .. tostring(key)
      if value[key] ~= nil then
        (needed and kind or kind.optional)(value[key], at, report, data)
      elseif needed then
        report(at, "is missing")
      end
    end
    for key in pairs(value) do
      if keys[key] == nil then report(path .. (path == "" and "" or ".") .. tostring(key), "is unknown") end
    end
  end
end

local function list(kind, least)
  return function(value, path, report, data)
    if type(value) ~= "table" then return report(path, "is not a list") end
    local n = 0
    for _ in pairs(value) do n = n + 1 end
    if n ~= #value then report(path, "has keys that a list cannot have") end
    if n < (least or 0) then report(path, "is empty") end
    for i, item in ipairs(value) do kind(item, ("%s[%d]"):format(path, i), report, data) end
  end
end

local function map(key_kind, value_kind)
  return function(value, path, report, data)
    if type(value) ~= "table" then return report(path, "is not a table") end
    for key, item in pairs(value) do
      local at = (type(key) == "string" and "%s.%s" or "%s[%s]"):format(path, tostring(key))
      key_kind(key, at, report, data)
      value_kind(item, at, report, data)
    end
  end
end

local function either(...)          -- one of several types
  local kinds = { ... }
  return function(value, path, report, data)
    for _, kind in ipairs(kinds) do
      local good = true
      kind(value, path, function() good = false end, data)
      if good then return end
    end
    report(path, "has a wrong value: " .. tostring(value))
  end
end

local part = record { word, bit, within(1, 32) }

local function field(value, path, report, data)
  list(part, 1)(value, path, report, data)
  for i, p in ipairs(type(value) == "table" and value or {}) do
    if type(p) == "table" and math.type(p[2]) and math.type(p[3]) and p[2] + p[3] > 32 then
      report(("%s[%d]"):format(path, i), "reaches past bit 31")
    end
  end
end

local function field_name(value, path, report, data)
  local fields = type(data.efuse) == "table" and data.efuse.fields
  if type(fields) ~= "table" or not fields[value] then report(path, "names an unknown field: " .. tostring(value)) end
end

-- { text, FIELD NAME = value, ... }
local function conditional(value, path, report, data)
  if type(value) ~= "table" then return report(path, "is not a table") end
  text(value[1], path .. "[1]", report)
  for name, wanted in pairs(value) do
    if name ~= 1 then
      if name ~= "revision_major" then field_name(name, path, report, data) end
      within(0, 0xFFFFFFFF)(wanted, path .. "." .. name, report)
    end
  end
end

local feature_map = record {
  field = field_name, unknown = optional(text), vendor = optional(field_name),
  map = map(within(0, 255), either(text, is("boolean", function(v) return not v end))),
}

local function feature(value, path, report, data)
  if type(value) == "string" then return text(value, path, report) end
  if type(value) ~= "table" then return report(path, "is neither text nor table") end
  return (value.field and feature_map or conditional)(value, path, report, data)
end

local function by_revision(keys)
  keys.from_revision = revision
  local entry = list(record(keys), 1)
  return function(value, path, report, data)
    entry(value, path, report, data)
    if type(value) ~= "table" then return end
    local last = -1
    for i, e in ipairs(value) do
      if math.type(e.from_revision) and e.from_revision <= last then
        report(("%s[%d]"):format(path, i), "is not in ascending order of from_revision")
      end
      last = e.from_revision or last
    end
    if value[1] and value[1].from_revision ~= 0 then report(path .. "[1]", "must hold from revision 0") end
  end
end

local range = record { word, within(1, 0x100000000), flash = optional(flag), alias_of = optional(text),
                         words = optional(flag), same_as = optional(record { word, word }) }
local range_of_pins = record { pin, pin }
local code_and_text = record { within(0, 0xFFFF), text }
local degree = behaviour("rom", "board", "sim", "document")
local block_size = within(0x40, 0x4000)
local purpose_bits = map(within(1, 16), bit)

local register_bit = record { word, bit }
local nand_pin = record { pin, within(0, 255) }          -- and its signal in the GPIO matrix

-- Functions and variables of the ROM that a stub uses.
local stub_rom = record {
  attach = optional(word), pads = optional(word), configure = optional(word), write_encrypted = optional(word),
  flash_read_pointer = optional(word),
  version = optional(word), security_info = optional(list(record { word, from = within(0, 99) }, 1)),
  uart_device = optional(word), reset = optional(word), boot = optional(word),
  usb = optional(record { device = word, poll = word, read = word, write = word, callback = word }),
}

local CHIP = record {
  id = text, name = text, aliases = optional(list(text)), arch = behaviour("xtensa", "riscv"),
  cores = optional(within(1, 2)),
  image_chip_id = optional(within(0, 0xFFFF)), magic = optional(word), uf2_family = optional(word),
  bootloader_offset = within(0, 0x10000),
  security_info = optional(behaviour("full", "no_chip_id")),
  links = record { uart = flag, usj = optional(flag), otg = optional(within(1, 0xFFFF)) },
  memory = map(text, range),
  image = record {
    versions = list(within(1, 3), 1), min_rev = optional(behaviour "minor"),
    mmu_pages = optional(list(within(0x1000, 0x40000), 1)),
    map = list(record { word, word, text }, 1), window = optional(record { word, word }),
    min_tail = optional(within(4, 0x100)), v3_codes = optional(text),
  },
  rom = record {
    status_bytes = within(2, 4), attach = flag, attach_legacy_word = flag, params = flag, deflate = flag, md5 = flag,
    read_slow = flag, change_baud = flag, sdm_baud = flag, encrypted_word = flag, encrypted_write = flag,
    sdc = optional(flag), at_once = optional(flag), divider_baud = optional(flag),
    erase_quirk = optional(behaviour "head_sectors"),
    deflate_tail = optional(behaviour "window"), reserved = optional(list(within(0x15, 31), 1)),
    flash_block = block_size, ram_block = block_size, usb_block = block_size,
  },
  spi = record {
    base = word, usr = offset, usr1 = offset, usr2 = offset, mosi_dlen = optional(offset),
    miso_dlen = optional(offset), w0 = offset, addr_msb = flag,
  },
  uart = record {
    base = word, clkdiv = word, date = word,
    link_in_use = optional(by_revision {
      address = word, usj = optional(within(1, 255)), otg = optional(within(1, 255)),
    }),
  },
  crystal = record {
    fixed = optional(within(20, 60)), measured = optional(flag), choices = optional(list(within(20, 60), 2)),
    divider = optional(within(1, 2)),
  },
  baud_fix = optional(record {
    name = behaviour("rom_calibration", "crystal_ratio"), calibration = optional(field), oscillator = optional(field),
    rom_crystal = optional(within(20, 60)), rom_crystal_field = optional(field),
    slow_hint_below = optional(within(1, 10000000)),
  }),
  efuse = record {
    base = word, layout = behaviour("otp_words", "esp32", "blocks"),
    blocks = list(record { text, offset, within(1, 16) }, 1), write = optional(list(offset)),
    pgm_data = optional(offset), pgm_check = optional(offset), clk = optional(offset), conf = optional(offset),
    status = optional(offset), cmd = optional(offset), dac_conf = optional(offset), dec_status = optional(offset),
    conf_write = optional(word), conf_read = optional(word), cmd_program = optional(word), cmd_read = optional(word),
    write_protect = optional(purpose_bits), read_protect = optional(purpose_bits),
    fields = map(text, field),
  },
  identity = record {
    unknown = text, names = list(conditional, 1), features = list(feature, 1),
    vendors = optional(map(field_name, map(within(0, 255), text))),
    wafer_major_codes = optional(map(within(0, 255), within(0, 99))), mac_ouis = optional(map(within(0, 255), word)),
    revision_zero_if = optional(map(field_name, word)),
  },
  watchdog = record {
    rtc = optional(record {
      wprotect = word, config0 = word, config1 = word, key = word, reset_config0 = optional(word),
      reset_config1 = optional(word), guard = optional(within(0, 31)), shift = optional(within(0, 8)),
      hold = optional(word),
    }),
    swd = optional(record { wprotect = word, config = word, auto_feed = word, key = word }),
    reset = flag, disable_on_usj = flag,
  },
  reset = record {
    hard = behaviour "rts", hard_on_otg = optional(behaviour("watchdog", "watchdog_if_strapped")),
    clear_force_download = optional(flag), strap = optional(word), strap_flash_boot = optional(field),
    force_download = optional(field),
  },
  flash = record {
    sizes = map(text, within(0, 0xF0)), freqs = map(text, within(0, 15)),
    pins = list(range_of_pins), usb_pins = list(pin), pin_max = optional(map(text, pin)), hspi = optional(flag),
    encrypted_align = within(16, 32), big = optional(behaviour "stub"),
    efuse_pads = optional(record {
      clk = field, q = field, d = field, hd = field, cs = field, renumber = behaviour "skip_30_31",
    }),
    voltage = optional(record {
      force = optional(field), xpd = optional(field), boost = optional(field), strap = field,
    }),
    voltage_override = optional(record { register = word, choices = map(text, word) }),
    power_up = optional(list(record {
      revisions = list(revision, 1), when = optional(field), done = optional(field),
      steps = list(record { word, set = optional(word), clear = optional(word), value = optional(word),
                            if_set = optional(word), wait = optional(seconds) }, 1),
    }, 1)),
  },
  security = record {
    secure_boot = optional(field), secure_boot_from = optional(revision), secure_boot_v1 = optional(field),
    flash_crypt_cnt = optional(field), crypt_cnt_name = optional(behaviour("FLASH_CRYPT_CNT", "SPI_BOOT_CRYPT_CNT")),
    dl_encrypt_disabled = optional(field), crypt_config = optional(field), crypt_config_hidden = optional(field),
    key_purposes = optional(list(field, 1)), key_purpose_names = optional(map(within(0, 31), text)),
    key_valid = optional(behaviour("block1", "key_block", "xts_128", "xts_128_or_256")),
    key_hidden = optional(field), key_words = optional(record { word, within(1, 8) }), key_length_256 = optional(field),
    key_manager_xts = optional(field),
    protect_below = optional(record { secure_boot_v1 = optional(word), key_manager = optional(word) }),
  },
  nand = optional(record {
    spi = word, clock = register_bit, reset = register_bit, io_mux = word, in_sel = word, out_sel = word,
    native = within(0, 7), stub = text,
    pins = record { clk = nand_pin, q = nand_pin, d = nand_pin, hd = nand_pin, cs = nand_pin, wp = nand_pin },
  }),
  stub = record {
    default = either(flag, behaviour "none"), soft_reset = optional(flag), skip_with_secure_boot = optional(flag),
    skip_revisions = optional(list(revision, 1)), start_with_secure_boot = optional(behaviour "redirect_flash_read"),
    files = optional(by_revision {
      name = text, text = optional(word), data = optional(word), data_end = optional(word), rom = optional(stub_rom),
    }),
    text = optional(word), data = optional(word), data_end = optional(word), ring = optional(within(0x1000, 0x10000)),
    uart = optional(record {
      layout = behaviour("esp8266", "esp32", "plain", "synced"), fsm = optional(offset), rx_fifo = optional(word),
      tx_fifo = optional(word),
    }),
    usj = optional(word), reset = optional(register_bit), otg_setup = optional(register_bit),
    attach_unless = optional(field), rom = optional(stub_rom),
    unproven = optional(record { fact = text, below = optional(revision) }),
  },
  revisions = optional(list(record { from_revision = revision, changes = is "table" }, 1)),
  sim = record {
    boot_baud = within(9600, 115200), boot_crystal = optional(within(20, 60)), crystal = within(20, 60), mac = text,
    revision = revision, api_version = optional(word),
    flash_id = record { manufacturer = within(0, 255), device = within(0, 0xFFFF) },
    log = record {
      banner = text, line = text, waiting = any_text, panic = optional(record { load = any_text, store = any_text }),
      left = optional(any_text), left_boots = optional(flag),
    },
    boot = record { download = code_and_text, flash = code_and_text },
    resets = record {
      power_on = code_and_text, external = code_and_text, watchdog = code_and_text, software = optional(code_and_text),
      usb = optional(code_and_text), watchdog_core = optional(code_and_text), watchdog_cpu = optional(code_and_text),
      timer0 = optional(code_and_text), timer1 = optional(code_and_text), timer0_cpu = optional(code_and_text),
      timer1_cpu = optional(code_and_text),
    },
    fields = map(field_name, word), registers = optional(map(word, word)), sync_value = within(1, 0xFFFFFFFF),
    print = optional(word), no_purpose = optional(within(0, 31)), spi_also = optional(word), systimer = optional(word),
    core = optional(behaviour("rv32imc", "rv32imac", "rv32imafc", "rv32imafc_zc", "rv32imafcb_zc", "lx106", "esp32",
                              "esp32s2", "esp32s3")),
    second_core = optional(list(record { word, word, word }, 1)),
    peripherals = optional(list(record { word, word }, 1)), unclaimed = optional(list(record { word, word }, 1)),
    encryption = optional(record {
      base = word, control = word, line = optional(within(32, 64)), key_length = optional(field),
      layout = optional(behaviour "esp32"),
    }),
    machine = optional(record {
      id = record { word, word }, unaligned = optional(flag), strap = optional(word),
      mirrors = optional(list(record { word, word, word }, 1)),
      memory = optional(list(record {
        word, word, kind = optional(behaviour("ram", "mask", "registers", "flash")),
      }, 1)),
      flash_pad = optional(word), reset_cause = record { word, within(0, 31), within(1, 32) },
      interrupts = optional(record {
        kind = behaviour("matrix", "plic", "clic", "direct"), matrix = word, control = optional(word),
        enable = optional(word), priority = optional(word), threshold = optional(word),
        sources = map(behaviour("uart0", "usj"), within(0, 159)),
      }),
      cache = optional(record {
        kind = behaviour("table", "indexed"), base = word, index = optional(word), content = optional(word),
        windows = optional(list(record { word, within(0, 1023) }, 1)), entries = within(1, 1024),
        page = within(4096, 1 << 20), page_mask = word, valid = word, valid_value = word, encrypted = optional(word),
      }),
      timers = optional(list(word, 1)), sha = optional(word), sha_layout = optional(behaviour("esp32")),
      random = optional(list(word, 1)),
      aes = optional(record { behaviour("esp32", "later"), word }),
      rsa = optional(record { behaviour("esp32", "later"), word }),
      ecc = optional(record {
        base = word, size = within(32, 48), curve = within(1, 2), mode = record { within(0, 31), within(1, 8) },
        good = within(0, 31),
      }),
      ecdsa = optional(record {
        base = word, size = within(32, 48), curve = record { within(0, 31), within(1, 2) }, memory = word,
      }),
      autobaud = optional(record {
        enable = record { word, within(0, 31) }, short = optional(within(0, 31)), low = word, high = word, edges = word,
        rx_reset = optional(within(0, 31)),
      }),
      registers = optional(map(word, record {
        reset = optional(word), set = optional(word), clear = optional(word), keep = optional(flag),
        forget = optional(flag), echo = optional(record { word, within(0, 31) }),
      })),
    }),
  },
  checked = map(behaviour("connect", "flash", "identity", "usb", "log", "stub"), degree),
}

-- Ranges { name, first, past } must be apart.
local function apart(ranges, what, report)
  table.sort(ranges, function(a, b) return a[2] < b[2] or a[2] == b[2] and a[1] < b[1] end)
  for i = 2, #ranges do
    local a, b = ranges[i - 1], ranges[i]
    if b[2] < a[3] then report(what, ("has overlapping ranges: %s and %s"):format(a[1], b[1])) end
  end
end

local function check_memory(data, report)
  local ranges = {}
  for name, r in pairs(data.memory) do
    local original = r.alias_of and data.memory[r.alias_of]
    if r[1] >= r[2] then report("memory." .. name, "ends before it begins") end
    if not r.alias_of then
      ranges[#ranges + 1] = { name, r[1], r[2] }
    elseif not original or original[1] ~= r[1] or original[2] ~= r[2] then
      report("memory." .. name, "is no alias of " .. r.alias_of)
    end
  end
  apart(ranges, "memory", report)
end

local function check_efuse(data, report)
  local efuse, ranges = data.efuse, {}
  for _, b in ipairs(efuse.blocks) do ranges[#ranges + 1] = { b[1], b[2], b[2] + 4 * b[3] } end
  apart(table.move(ranges, 1, #ranges, 1, {}), "efuse.blocks", report)
  for name, f in pairs(efuse.fields) do
    local first = f[1][1] - efuse.base
    local inside = false
    for _, r in ipairs(ranges) do inside = inside or first >= r[2] and first < r[3] end
    if not inside then report("efuse.fields." .. name, "lies outside the blocks") end
  end
  for name, value in pairs(data.sim.fields) do
    local width = 0
    for _, p in ipairs(efuse.fields[name] or {}) do width = width + p[3] end
    if value >> width ~= 0 then report("sim.fields." .. name, "does not fit its field") end
  end
  for _, key in ipairs { "conf", "cmd", "cmd_read", "cmd_program", "conf_read", "conf_write" } do
    if efuse.layout ~= "otp_words" and not efuse[key] then report("efuse." .. key, "is missing") end
  end
  if efuse.layout == "esp32" and #(efuse.write or {}) ~= #efuse.blocks then
    report("efuse.write", "needs an offset per block")
  end
end

local function check_flash(data, report)
  local flash, ranges = data.flash, {}
  for _, p in ipairs(flash.pins) do ranges[#ranges + 1] = { tostring(p[1]), p[1], p[2] + 1 } end
  apart(ranges, "flash.pins", report)
  for _, usb in ipairs(flash.usb_pins) do
    local inside = false
    for _, p in ipairs(flash.pins) do inside = inside or usb >= p[1] and usb <= p[2] end
    if not inside then report("flash.usb_pins", ("has %d, which is not among the pins"):format(usb)) end
  end
  for name in pairs(flash.sizes) do
    if not name:match "^%d+[KM]B" then report("flash.sizes", "has a size in no known unit: " .. name) end
  end
  for name in pairs(flash.freqs) do
    if not name:match "^%d+m$" then report("flash.freqs", "has an odd name: " .. name) end
  end
end

local function check_links(data, report)
  for i, entry in ipairs(data.uart.link_in_use or {}) do
    for _, link in ipairs { "usj", "otg" } do
      if (entry[link] ~= nil) ~= (data.links[link] ~= nil) then
        report(("uart.link_in_use[%d].%s"):format(i, link), "does not agree with links")
      end
    end
  end
  if not data.crystal.fixed and not (data.crystal.measured and data.crystal.choices and data.crystal.divider) then
    report("crystal", "needs fixed, or measured with choices and divider")
  end
  if data.watchdog.reset and not (data.watchdog.rtc and data.watchdog.rtc.reset_config0) then
    report("watchdog.rtc", "is needed for the watchdog reset")
  end
  if data.watchdog.disable_on_usj and not (data.watchdog.rtc and data.watchdog.swd and data.links.usj) then
    report("watchdog", "cannot be disabled without rtc and swd")
  end
end

local function check_stub(data, report)
  local stub = data.stub
  if stub.default == "none" then return end
  for _, key in ipairs { "ring", "uart", "rom" } do
    if not stub[key] then report("stub." .. key, "is missing") end
  end
  for i, file in ipairs(stub.files or { stub }) do
    local at = stub.files and ("stub.files[%d]."):format(i) or "stub."
    for _, key in ipairs { "text", "data", "data_end" } do
      if not file[key] then report(at .. key, "is missing") end
    end
  end
  if stub.ring and stub.ring & stub.ring - 1 ~= 0 then report("stub.ring", "is no power of two") end
  if (stub.usj ~= nil) ~= (data.links.usj == true) then report("stub.usj", "does not agree with links") end
  if not stub.reset and not (stub.rom and stub.rom.reset) then report("stub.reset", "is missing") end
end

local function check_once(data, report)
  local sound = true
  CHIP(data, "", function(...) sound = false; report(...) end, data)
  if not sound then return end                -- what follows relies on the shape
  check_memory(data, report)
  check_efuse(data, report)
  check_flash(data, report)
  check_links(data, report)
  check_stub(data, report)
end

--- Check one chip's data, also as its later revisions change it.
-- @return list of strings, each naming chip and key, sorted
function M.check(data)
  local problems, seen = {}, {}
  local function report(path, what)
    local line = ("%s: %s %s"):format(tostring(data.id or data.name), path, what)
    if not seen[line] then problems[#problems + 1] = line end
    seen[line] = true
  end
  check_once(data, report)
  if #problems == 0 then
    local chips = require "esp.chips"
    for _, entry in ipairs(data.revisions or {}) do
      check_once(chips.at_revision(data, entry.from_revision), report)
    end
  end
  table.sort(problems)
  return problems
end

return M
