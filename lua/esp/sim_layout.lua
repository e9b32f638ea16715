--- Where a simulated chip has its memory, processor and peripherals: chip data in the words of the C core.
local chips = require "esp.chips"
local M = {}

--- Kinds of memory.
M.KINDS = { ram = 0, mask = 1, flash = 2, words = 3, registers = 4 }
local CORES = { rv32imc = 1, rv32imac = 2, rv32imafc = 3, rv32imafc_zc = 4, rv32imafcb_zc = 5, lx106 = 6, esp32 = 7,
                esp32s2 = 8, esp32s3 = 9 }
local TRAPS = {                 -- what the C core calls the functions of data.stub.rom
  attach = 0, pads = 1, configure = 1, write_encrypted = 2, uart_device = 4, reset = 5, boot = 6,
}
local USB_TRAPS = { poll = 1, callback = 1, read = 7, write = 8 }        -- of data.stub.rom.usb
local SECURITY_INFO, PRINT = 3, 9
local IRQS = { matrix = 1, plic = 2, clic = 3, direct = 4 }
local REGISTERS = { esp32 = 1, later = 2 }             -- of AES and RSA
local CACHES = { table = 1, indexed = 2 }

--- Memory and what is seen at a second address.
function M.regions(data)
  local list, aliases = {}, {}
  for name, r in pairs(data.memory) do
    if not r.alias_of then
      local kind = r.flash and "flash" or name:match "_mask$" and "mask" or r.words and "words" or "ram"
      list[#list + 1] = { r[1], r[2] - 1, M.KINDS[kind] }
    end
    if r.same_as then aliases[#aliases + 1] = { r.same_as[1], r[2] - 1, r.same_as[2] } end
  end
  for _, name in ipairs { "peripherals", "unclaimed" } do
    for _, r in ipairs(data.sim[name] or {}) do list[#list + 1] = { r[1], r[2] - 1, M.KINDS.registers } end
  end
  return list, aliases
end

--- data.stub.rom with what the revision adds.
function M.stub_rom(data, rev)
  local all, file = {}, chips.for_revision(data.stub.files, rev)
  for _, t in ipairs { data.stub.rom or {}, file and file.rom or {} } do
    for k, v in pairs(t) do all[k] = v end
  end
  return all
end

--- Functions of the ROM that a program finds although the ROM's code is not there.
function M.traps(data, rev)
  local rom, list = M.stub_rom(data, rev), {}
  if data.sim.print then list[1] = { data.sim.print, PRINT } end
  for name, kind in pairs(TRAPS) do
    if rom[name] then list[#list + 1] = { rom[name], kind } end
  end
  for name, kind in pairs(USB_TRAPS) do
    if rom.usb then list[#list + 1] = { rom.usb[name], kind } end
  end
  for _, entry in ipairs(rom.security_info or {}) do
    if entry.from <= (data.sim.api_version or 0) then list[#list + 1] = { entry[1], SECURITY_INFO } end
  end
  return list
end

--- The processor and what only it sees. Its clock is that of the UARTs, as the ROM leaves it: on the ESP8266 twice the
-- crystal's.
function M.core_layout(data, crystal)
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

--- What a chip needs to run its ROM, from sim.machine.
function M.machine_layout(data, crystal)
  local m = data.sim.machine
  local irq, cache, timg, cause = m.interrupts or {}, m.cache or {}, m.timers or {}, m.reset_cause or {}
  local sources = irq.sources or {}
  local function window(i, part) return cache.windows and cache.windows[i] and cache.windows[i][part] or 0 end
  return {
    unaligned = m.unaligned or false, elf = data.arch == "riscv" and 243 or 94,
    id_addr = m.id and m.id[1] or 0, id_value = m.id and m.id[2] or 0,
    crypto = crypto_layout(m), flash_pad = m.flash_pad or 0,
    cause_addr = cause[1], cause_lsb = cause[2], cause_width = cause[3],
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

--- Registers that do more than keep what is written.
function M.machine_registers(m)
  local list = {}
  for address, r in pairs(m.registers or {}) do
    list[#list + 1] = { address, r.reset or 0, r.set or 0, r.clear or 0, r.echo and r.echo[1] or 0,
                        r.echo and r.echo[2] or 0, r.keep or false, r.forget or false }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

return M
