--- Attaching flash: power, pins, a test that it answers, its size.
local fail = require "esp.error"
local chips = require "esp.chips"
local spiflash = require "esp.spiflash"
local util = require "esp.flash_util"
local M = {}

local SPI_SET_PARAMS, SPI_ATTACH, FLASH_BEGIN = 0x0B, 0x0D, 0x02
local PIN_NAMES = { "clk", "q", "d", "hd", "cs" }
local ROM_LIMIT = 16 * 1024 * 1024          -- what ROM loaders and most stubs can address
local FALLBACK_SIZE = 4 * 1024 * 1024
local PAGE, STATUS_MASK = 256, 0xFFFF

--- The five pins of a connection, from "6,17,8,11,16" or a list.
local function pin_list(text)
  local pins = {}
  if type(text) == "table" then
    pins = text
  else
    for word in (text .. ","):gmatch "%s*([^,]*)%s*," do pins[#pins + 1] = math.tointeger(tonumber(word)) or word end
  end
  if #pins ~= 5 then
    fail { code = "bad_argument", message = ("SPI connection '%s': five pin numbers are needed (CLK,Q,D,HD,CS)")
      :format(type(text) == "table" and table.concat(text, ",") or text), hint = "or SPI, or HSPI" }
  end
  return pins
end

local function in_ranges(pin, ranges)
  for _, r in ipairs(ranges) do
    if pin >= r[1] and pin <= r[2] then return true end
  end
  return false
end

local function ranges_text(ranges)
  local t = {}
  for i, r in ipairs(ranges) do t[i] = r[1] == r[2] and tostring(r[1]) or r[1] .. "-" .. r[2] end
  return table.concat(t, ", ")
end

--- The word that SPI_ATTACH takes for a connection.
-- @param data chip data
-- @param connection nil, "SPI", "HSPI", "CLK,Q,D,HD,CS" or a list of five pins
-- @return value, pins or nil, list of those pins that are in use for USB
-- @raise bad_argument naming the pin and what is allowed; unsupported
function M.connection(data, connection)
  if connection == nil then return 0 end
  if not data.rom.attach then
    fail { code = "unsupported", message = "the SPI connection cannot be chosen on the " .. data.name }
  end
  if type(connection) == "string" and connection:upper() == "SPI" then return 0 end
  if type(connection) == "string" and connection:upper() == "HSPI" then return 1 end
  local pins, usb, allowed = pin_list(connection), {}, data.flash.pins
  for i, pin in ipairs(pins) do
    local most = data.flash.pin_max and data.flash.pin_max[PIN_NAMES[i]]
    if math.type(pin) ~= "integer" or not in_ranges(pin, allowed) or most and pin > most then
      fail { code = "bad_argument",
             message = ("SPI connection: %s pin %s is not possible on the %s")
               :format(PIN_NAMES[i]:upper(), pin, data.name),
             hint = "pins allowed: " .. ranges_text(allowed) .. (most and ", this one up to " .. most or "") }
    end
    for _, u in ipairs(data.flash.usb_pins or {}) do
      if u == pin then usb[#usb + 1] = pin end
    end
  end
  local clk, q, d, hd, cs = table.unpack(pins)
  return hd << 24 | cs << 18 | d << 12 | q << 6 | clk, pins, usb
end

--- Pads of flash inside the package, from eFuse.
-- @return word for SPI_ATTACH, pins by name or nil
function M.efuse_pads(chip)
  local fields = chip.data.flash.efuse_pads
  if not fields or chip.sdm then return 0 end
  local function read(address) return chip:read_reg(address) end
  local pin, any = {}, 0
  for _, name in ipairs(PIN_NAMES) do
    local value = chips.field_get(fields[name], read)
    any = any | value
    if fields.renumber == "skip_30_31" and value >= 30 then value = value + 2 end
    pin[name] = value
  end
  if any == 0 then return 0 end
  return pin.hd << 24 | pin.cs << 18 | pin.d << 12 | pin.q << 6 | pin.clk, pin
end

local function revision_in(list, revision)
  for _, r in ipairs(list) do
    if r == revision then return true end
  end
  return false
end

local function run_step(chip, step)
  local address, value = step[1], step.value
  if not value then
    local old = chip:read_reg(address)
    if step.if_set and old & step.if_set ~= step.if_set then return end
    value = (old | (step.set or 0)) & ~(step.clear or 0) & 0xFFFFFFFF
  end
  chip:write_reg(address, value)
  if step.wait then require "esp.core.task".sleep(step.wait) end
end

--- Read what decides whether the supply of flash has to be switched on.
function M.power_conditions(chip)
  for _, entry in ipairs(chip.data.flash.power_up or {}) do
    if entry.when then chips.field_get(entry.when, function(a) return chip:read_reg(a) end) end
  end
end

--- Switch on the supply of flash where the chip leaves that to us (chip data: flash.power_up).
function M.power_up(chip, opts)
  local entries = chip.data.flash.power_up
  if not entries or chip.sdm then return end
  local revision = chip.revision_number
  for _, entry in ipairs(entries) do
    local holds = not entry.when or chips.field_get(entry.when, function(a) return chip:read_reg(a) end) ~= 0
    if holds and revision_in(entry.revisions, revision) then
      util.note(chip, opts, "flash_power_up", "switching on the supply of flash")
      for _, step in ipairs(entry.steps) do run_step(chip, step) end
      return
    end
  end
end

local function attach_command(chip, value)
  if chip.stub or chip.data.rom.attach then
    local data = ("<I4"):pack(value)
    if not chip.stub and chip.data.rom.attach_legacy_word then data = data .. "\0\0\0\0" end
    return SPI_ATTACH, data
  end
  -- This ROM knows no attach command; announcing a write of nothing has the same effect.
  return FLASH_BEGIN, ("<I4I4I4I4"):pack(0, 0, chip.data.rom.flash_block, 0)
end

local function send_attach(chip, value)
  util.command(chip, "attaching flash", attach_command(chip, value))
end

--- What a stub expects to be done: flash is attached through the ROM, which knows where it is. Switches on its supply.
-- @return op and data of the command that attaches it; nil where the ROM has none: a stub does it itself then
function M.before_stub(chip)
  util.again(chip, 3, M.power_up, chip, nil)
  chip.flash_powered = true
  if not chip.data.rom.attach then return nil end
  return attach_command(chip, (util.again(chip, 3, M.efuse_pads, chip)))
end

--- Whether anything answers on the pins; warns when not.
-- @param id as flash has told it, or nil
local function test_connection(chip, opts, id)
  id = id or spiflash.read_id(chip)
  if not spiflash.nobody(id) then return id, true end
  local ok, head = pcall(spiflash.sfdp, chip, 0, 4)
  if ok and head == "SFDP" then return id, true end
  util.warn(chip, opts, "flash_silent",
    ("flash does not answer (id 0x%06X); reading and writing will fail"):format(id),
    { hint = opts.spi_connection and "are these pins free for flash, and wired to it?"
        or "check its connections, and what else hangs on these pins" })
  return id, false
end

-- Returns the id of flash where it is known and has not changed.
local function cure(chip, opts)
  local ok, result, id = pcall(spiflash.cure_xmc, chip)
  if ok and result == "cured" then
    util.note(chip, opts, "xmc_cured", "XMC flash had started wrongly and was put right")
  elseif ok and result == "failed" then
    util.warn(chip, opts, "xmc_failed", "XMC flash has started wrongly and could not be put right",
              { hint = "switch the board off and on again" })
  elseif not ok and not (fail.is(result) and result.code == "flash_failed") then
    error(result, 0)
  end
  return ok and result == nil and id or nil
end

--- Attach flash and find out its size.
-- Runs once per connection; again when other pins are asked for.
-- @param opts { spi_connection =, on_event = , again = true }
-- @return { value =, id =, answers =, size = bytes or nil }
function M.attach(chip, opts)
  opts = opts or {}
  local wanted = opts.spi_connection
  local state = chip.flash_state
  if type(wanted) == "table" then wanted = table.concat(wanted, ",") end
  local current = state and state.session == chip.session and chip.attached ~= nil
  if current and not opts.again and (wanted == nil or wanted == state.connection) then return state end
  local value, pins, usb = M.connection(chip.data, wanted)
  if usb and #usb > 0 then
    util.warn(chip, opts, "usb_pins", #usb > 1 and ("pins %s also carry USB"):format(table.concat(usb, ", "))
      or ("pin %d also carries USB"):format(usb[1]),
              { hint = "flash there cuts a USB link to this chip" })
  end
  state = { connection = wanted, pins = pins, session = chip.session }
  chip.flash_state, chip.attached = nil, nil
  if not chip.flash_powered then util.again(chip, 3, M.power_up, chip, opts) end
  if wanted == nil and not chip.stub then
    value, state.efuse_pins = util.again(chip, 3, M.efuse_pads, chip)
  end
  if wanted ~= nil or not chip.stub then send_attach(chip, value) end
  state.value = value
  if not chip.sdm then
    state.id = chip.stub_can and spiflash.greet(chip) or nil
    state.answers = state.id ~= nil
    if not state.id then
      state.id, state.answers = test_connection(chip, opts, cure(chip, opts))
      util.again(chip, 3, spiflash.soft_reset, chip)
    end
    state.size = M.detect_size(chip, state)
  end
  chip.flash_state, chip.attached = state, true
  return state
end

--- Attach flash to work with it: one that does not answer is an error. It would read as erased.
-- @param opts as for attach; force = true goes on all the same
-- @raise flash_failed
function M.ready(chip, opts)
  local state = M.attach(chip, opts)
  if state.answers == false and not (opts and opts.force) then
    fail { code = "flash_failed", message = ("flash does not answer (id 0x%06X)"):format(state.id),
           hint = "does it have power, and is it on these pins? (--spi-connection)" }
  end
  return state
end

--- Size in bytes: by the id, else by what flash says of itself.
function M.detect_size(chip, state)
  local size = spiflash.size_of_id(state.id)
  if size or not state.answers then return size end
  local ok, told = pcall(spiflash.size_of_sfdp, chip)
  return ok and told or nil
end

--- Tell the loader the size of flash, where it wants to know it.
-- @param request as set_size gave it
function M.set_params(chip, request)
  util.command(chip, "setting the flash size", request.op, request.data)
  M.params_set(chip, request)
end

--- The loader has been told the size of flash.
function M.params_set(chip, request)
  chip.flash_state.params = request.size
end

local function params_request(chip, size)
  if not (chip.stub or chip.data.rom.params) then return nil end
  return { op = SPI_SET_PARAMS, size = size,
           data = ("<I4I4I4I4I4I4"):pack(0, size, util.BLOCK64, util.SECTOR, PAGE, STATUS_MASK) }
end

--- Tell the loader the size of flash and settle what is put into the image header.
-- @param wanted "keep" (the default), "detect", a size of this chip ("4MB") or bytes
-- @param later true: whoever calls this sends it on, see `request`
-- @return { header = name for the image header or nil, limit = bytes that writing must stay below or nil,
--   size = bytes told to the loader or nil, request = what is still to be sent by set_params, or nil,
--   reach = ROM_LIMIT where addresses have 24 bits: what is meant for beyond lands at the beginning }
-- @raise bad_argument, flash_size_unknown (detecting in secure download mode)
function M.set_size(chip, wanted, opts, later)
  local state = chip.flash_state
  wanted = wanted or "keep"
  local result = {}
  if wanted == "keep" then
    result.size = state.size
  elseif wanted == "detect" then
    if chip.sdm then
      fail { code = "flash_size_unknown", message = "the size of flash cannot be detected in secure download mode",
             hint = "give the flash size" }
    end
    result.size = state.size
    if not state.size then
      util.warn(chip, opts, "flash_size_unknown",
                ("unknown size of flash (id 0x%06X), taking 4MB"):format(state.id), { hint = "give the flash size" })
      result.size = FALLBACK_SIZE
    end
    local name = util.size_name(result.size)
    -- A size that the header has no code for leaves the header alone.
    result.header = chip.data.flash.sizes[name] and name or nil
  else
    local name = type(wanted) == "number" and util.size_name(wanted) or wanted
    result.header = M.header_size(chip.data, name)
    result.size = util.size_bytes(result.header)
    if state.size and result.size > state.size then
      util.warn(chip, opts, "flash_size_larger", ("flash size %s is given, the chip has %s")
        :format(result.header, util.size_name(state.size)))
    end
  end
  result.limit = result.size
  if wanted ~= "keep" and state.size then result.limit = math.min(state.size, result.size) end
  if wanted == "detect" and not state.size then result.limit = nil end
  local big = chip.stub and chip.data.flash.big == "stub"
  if result.size then
    result.request = params_request(chip, result.size)
    if result.request and not later then M.set_params(chip, result.request) end
    if result.size > ROM_LIMIT and not big then
      util.note(chip, opts, "flash_beyond_16mb", "only the first 16 MB of flash can be reached"
        .. (chip.data.flash.big and " without the stub" or " on this chip"))
      result.limit = math.min(result.limit or ROM_LIMIT, ROM_LIMIT)
      result.capped = true
    end
  end
  if not big then result.reach = ROM_LIMIT end
  return result
end

--- A size's name as this chip's header knows it.
-- @raise bad_argument with the sizes that are known
function M.header_size(data, name)
  for known in pairs(data.flash.sizes) do
    if known:upper() == tostring(name):upper() then return known end
  end
  local all = {}
  for known in pairs(data.flash.sizes) do all[#all + 1] = known end
  table.sort(all, function(a, b)
    local x, y = util.size_bytes(a), util.size_bytes(b)
    if x ~= y then return x < y end
    return a < b
  end)
  fail { code = "bad_argument", message = ("flash size '%s' is unknown to the %s"):format(name, data.name),
         hint = "one of keep, detect, " .. table.concat(all, ", ") }
end

return M
