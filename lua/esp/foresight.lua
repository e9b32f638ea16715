--- What will be asked of a chip's registers, asked in one go where the loader takes that.
-- The questions are found by asking them of a chip whose registers are all 0. What depends on another answer is
-- missed so, and asked for when it is needed.
local batch = require "esp.batch"
local fail = require "esp.error"
local identity = require "esp.identity"
local loader = require "esp.loader"
local M = {}

local READ_REG, GET_SECURITY_INFO = loader.OP.READ_REG, loader.OP.GET_SECURITY_INFO
local LENGTH = 14                         -- bytes of that command on the line, if none has to be escaped
local AT_ONCE = batch.FIFO // LENGTH      -- so that a ROM which is at work on the first loses none

--- What connecting asks.
-- @param o options of esp.connect
-- @return function(probe)
function M.connecting(chip, o)
  return function(probe)
    identity.revision(probe)
    for _, entry in ipairs(chip.data.uart.link_in_use or {}) do probe:read_reg(entry.address) end
    M.writing(probe)
    if not o.no_stub then
      local stub, flash = chip.data.stub, require "esp.flash_attach"
      identity.flash_type(probe)
      if stub.skip_with_secure_boot or stub.start_with_secure_boot then identity.secure_boot(probe) end
      flash.efuse_pads(probe)
      flash.power_conditions(probe)
    end
    if o.baud > chip.baud then loader.rate_to_ask(probe, o.baud) end
  end
end

--- What the checks before writing flash ask.
function M.writing(probe)
  identity.protect_below(probe)
  identity.flash_encryption(probe)
end

-- The registers that are asked for.
local function addresses_of(chip, questions)
  local list, seen = {}, {}
  local probe = { data = chip.data, baud = chip.baud }
  function probe.read_reg(_, address)
    if not seen[address] and not (chip.known and chip.known[address]) and not (chip.fuses and chip.fuses[address]) then
      seen[address] = true
      list[#list + 1] = address
    end
    return 0
  end
  function probe.crystal(_) return (identity.crystal(probe)) end
  questions(probe)
  return list
end

-- Whether what answers takes several commands at once.
local function takes_several(chip)
  if chip.stub then return chip.stub_can ~= nil end
  return not chip.sdm and batch.rom_takes_several(chip)
end

local function keep(chip, addresses, results)
  local known = chip.known or {}
  for i, address in ipairs(addresses) do
    local value = results[i].value
    known[address] = value
    if value and chip.fuses and loader.is_efuse(chip, address) then chip.fuses[address] = value end
  end
  chip.known = known
end

local function questions_for(addresses)
  local list = {}
  for i, address in ipairs(addresses) do list[i] = { READ_REG, ("<I4"):pack(address) } end
  return list
end

--- Ask, and put the answers into chip.known, where chip:read_reg finds them. Whoever calls this clears it soon:
-- registers change. Those of eFuses do so only when something is written there: they are kept in chip.fuses until then.
-- Does nothing where commands have to wait for each other; what goes wrong is left to whoever asks one by one.
-- @param questions function(probe), which reads registers of a chip
function M.look(chip, questions)
  if not takes_several(chip) then return end
  local addresses = addresses_of(chip, questions)
  for first = 1, #addresses, AT_ONCE do
    local part = table.move(addresses, first, math.min(first + AT_ONCE - 1, #addresses), 1, {})
    local ok, results = pcall(batch.run, chip, questions_for(part))
    if not ok then
      if fail.is(results) and require "esp.flash_util".line_fault(results) then return end
      error(results, 0)
    end
    keep(chip, part, results)
  end
end

local SECURITY = { full = 20, no_chip_id = 12 }           -- bytes of that answer
local SOON = 0.5                                          -- seconds until all is answered

--- Ask a ROM what chip it is, together with what connecting asks of that chip; the boot log has told which to expect.
-- What is answered is for the caller to compare with that. Fills chip.known as look does.
-- @param data of the chip that is expected
-- @param magic address of the word that tells the chip where `data` has one
-- @return the word at `magic` or nil, bytes of the security information or nil | nil when it was not to be had this way
function M.identify(chip, o, data, magic)
  local before, word, info = chip.data, nil, nil
  chip.data, chip.status_bytes = data, data.rom.status_bytes
  if takes_several(chip) then
    local list = {}
    if data.security_info then list[1] = { GET_SECURITY_INFO, "", reply = SECURITY[data.security_info] } end
    if data.magic then list[#list + 1] = { READ_REG, ("<I4"):pack(magic) } end
    local first = #list + 1
    local addresses = addresses_of(chip, M.connecting(chip, o))
    local part = table.move(addresses, 1, math.min(#addresses, AT_ONCE - first + 1), 1, {})
    table.move(questions_for(part), 1, #part, first, list)
    for _, entry in ipairs(list) do entry.may_fail = true end
    local ok, results = pcall(batch.run, chip, list, SOON)
    if ok then
      if data.security_info then info = results[1].body end
      if data.magic then word = results[first - 1].value end
      keep(chip, part, table.move(results, first, #results, 1, {}))
    elseif not (fail.is(results) and require "esp.flash_util".line_fault(results)) then
      error(results, 0)
    end
  end
  chip.data, chip.status_bytes = before, nil
  return word, info
end

return M
