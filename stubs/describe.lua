-- describe.lua FILE: the C header of one stub, from the chip's data. FILE is the chip's id, or where a chip has several
-- stubs the name of one (esp32p4-rev1). describe.lua alone lists them.
package.path = "../lua/?.lua;../?.lua;" .. package.path
local chips = require "esp.chips"

-- Every stub: { name, data, settings, revision }.
local function all()
  local list = {}
  for _, id in ipairs(chips.list()) do
    local data = chips.get(id)
    if data.stub.default ~= "none" then
      for _, file in ipairs(data.stub.files or { { name = id, from_revision = 0 } }) do
        local settings = setmetatable({}, { __index = data.stub })
        for k, v in pairs(file) do settings[k] = v end
        settings.rom = {}
        for k, v in pairs(data.stub.rom) do settings.rom[k] = v end
        for k, v in pairs(file.rom or {}) do settings.rom[k] = v end
        list[#list + 1] = { name = file.name, data = data, settings = settings, files = data.stub.files,
                            revision = file.from_revision }
        if data.nand and file.name == id then
          list[#list + 1] = { name = data.nand.stub, data = data, settings = settings, files = data.stub.files,
                              revision = file.from_revision, nand = data.nand }
        end
      end
    end
  end
  return list
end

local wanted = ...
if not wanted then
  for _, stub in ipairs(all()) do print(stub.name, stub.data.arch) end
  return
end
local stub
for _, s in ipairs(all()) do stub = s.name == wanted and s or stub end
assert(stub, "no such stub: " .. tostring(wanted))
local data, set, rom = stub.data, stub.settings, stub.settings.rom

local out = {}
local function define(name, value)
  if value == nil then return end
  if math.type(value) == "integer" then value = ("0x%Xu"):format(value) end
  out[#out + 1] = ("#define %s %s"):format(name, value)
end

-- C for the value of a FIELD.
local function expression(field)
  local parts, shift = {}, 0
  for _, p in ipairs(field) do
    parts[#parts + 1] = ("(REG_READ(0x%Xu) >> %d & 0x%Xu) << %d"):format(p[1], p[2], (1 << p[3]) - 1, shift)
    shift = shift + p[3]
  end
  return "(" .. table.concat(parts, " | ") .. ")"
end

define("TEXT_AT", ("0x%X"):format(set.text))
define("DATA_AT", ("0x%X"):format(set.data))
define("DATA_END", ("0x%X"):format(set.data_end))
define("RING_SIZE", set.ring)

-- UART
local uart, base = set.uart, data.uart.base
define("UART_BASE", base)
define("UART_RX_FIFO", uart.rx_fifo or base)
define("UART_TX_FIFO", uart.tx_fifo or base)
define("UART_COUNT", uart.layout == "plain" and 0x3FF or 0xFF)
if uart.layout == "esp8266" then
  define("UART_DIVIDER_WHOLE", 1)             -- no fraction, and no register that tells of the last byte
else
  define("UART_FSM", uart.fsm and base + uart.fsm or base + 0x1C)
  define("UART_FSM_SENDING", uart.fsm and 0xF0 or 0x0F000000)
  define("UART_DIVIDER_MOST", uart.layout == "esp32" and 0xFFFFF or 0xFFF)
end
if uart.layout == "synced" then define("UART_UPDATE", base + 0x98) end

-- which link is in use: a variable of the ROM, or a structure that a function of the ROM tells
define("USJ_BASE", set.usj)
local usb = data.links.usj or data.links.otg
if usb then define("LINK_NUMBER_ANY", 1) end
if usb and rom.uart_device then
  define("ROM_UART_DEVICE", rom.uart_device)
  define("LINK_NUMBER_USJ", data.uart.link_in_use[1].usj)
  define("LINK_NUMBER_OTG", data.uart.link_in_use[1].otg)
elseif usb then
  local list = data.uart.link_in_use
  if stub.files then list = { chips.for_revision(list, stub.revision) } end
  assert(#list == 1 or #list == 2, "more than two places of the link's number")
  local last, first = list[#list], list[1]
  local function choose(key)
    if not last[key] then return nil end
    if first[key] == last[key] then return last[key] end
    return ("(LATER_REVISION ? 0x%Xu : 0x%Xu)"):format(last[key], first[key])
  end
  if #list == 2 then
    local fields = data.efuse.fields
    local major, minor = expression(fields.wafer_major), expression(fields.wafer_minor)
    define("LATER_REVISION", ("(%s * 100 + %s >= %d)"):format(major, minor, last.from_revision))
  end
  define("LINK_NUMBER", ("(REG_READ(%s) & 0xFF)"):format(
    type(choose "address") == "string" and choose "address" or ("0x%Xu"):format(choose "address")))
  define("LINK_NUMBER_USJ", choose "usj")
  define("LINK_NUMBER_OTG", choose "otg")
end
if rom.usb then
  for _, key in ipairs { "device", "poll", "read", "write", "callback" } do
    define("OTG_" .. key:upper(), rom.usb[key])
  end
end
if set.otg_setup then
  define("OTG_SETUP", set.otg_setup[1])
  define("OTG_SETUP_BIT", 1 << set.otg_setup[2])
end

-- SPI1
local spi = data.spi
define("SPI1_BASE", spi.base)
define("SPI_USER", spi.usr)
define("SPI_USER1", spi.usr1)
define("SPI_USER2", spi.usr2)
define("SPI_MOSI_DLEN", spi.mosi_dlen)
define("SPI_MISO_DLEN", spi.miso_dlen)
define("SPI_W0", spi.w0)
define("SPI_ADDRESS_LEFT", spi.addr_msb and "1" or "0")

-- a serial NAND flash
local nand = stub.nand
if nand then
  define("NAND_SPI", nand.spi)
  define("NAND_CLOCK", nand.clock[1])
  define("NAND_RESET", nand.reset[1])
  define("NAND_CLOCK_BIT", nand.clock[2])
  define("NAND_IO_MUX", nand.io_mux)
  define("NAND_IN_SEL", nand.in_sel)
  define("NAND_OUT_SEL", nand.out_sel)
  define("NAND_NATIVE", nand.native)
  for _, name in ipairs { "clk", "q", "d", "hd", "cs", "wp" } do
    define("NAND_" .. name:upper(), nand.pins[name][1])
    define("NAND_" .. name:upper() .. "_SIGNAL", nand.pins[name][2])
  end
end

-- watchdogs
local dog = data.watchdog
if dog.disable_on_usj then
  local at = dog.swd.wprotect & ~0xFFF
  define("WDT_BASE", at)
  local function relative(name, address) define(name, ("(0x%Xu - 0x%Xu)"):format(address, at)) end
  relative("WDT_PROTECT", dog.rtc.wprotect)
  relative("WDT_CONFIG", dog.rtc.config0)
  relative("SWD_PROTECT", dog.swd.wprotect)
  relative("SWD_CONFIG", dog.swd.config)
  define("WDT_KEY", dog.rtc.key)
  define("SWD_FEED", dog.swd.auto_feed)
  define("SWD_KEY", dog.swd.key)
end

-- reset, and what the ROM does for us
if set.reset then
  define("RESET_REGISTER", set.reset[1])
  define("RESET_BIT", 1 << set.reset[2])
end
define("ROM_RESET", rom.reset)
define("ROM_BOOT", rom.boot and ("0x%X"):format(rom.boot))
define(data.arch == "xtensa" and (uart.layout == "esp8266" and "ROM_CALL0" or "ROM_WINDOWED") or "ROM_PLAIN", 1)
define("ROM_ATTACH", rom.attach)
define("ROM_PADS", rom.pads)
define("ROM_ATTACH_UNLESS", set.attach_unless and expression(set.attach_unless))
define("ROM_CONFIGURE", rom.configure)
define("ROM_WRITE_ENCRYPTED", rom.write_encrypted)
define("ENCRYPTED_ALIGN", rom.write_encrypted and data.flash.encrypted_align)
define("ROM_VERSION", rom.version and ("REG_READ(0x%Xu)"):format(rom.version))
if rom.security_info then
  local value = "0"
  for _, entry in ipairs(rom.security_info) do
    local address = ("0x%Xu"):format(entry[1])
    value = entry.from == 0 and address or ("(ROM_VERSION >= %d ? %s : %s)"):format(entry.from, address, value)
  end
  define("ROM_SECURITY_INFO", value)
  define("SECURITY_INFO_BYTES", data.security_info == "no_chip_id" and "12" or "20")
end
print(("/* %s: made by describe.lua from chips/%s.lua */"):format(data.name, data.id))
print(table.concat(out, "\n"))
