--- What will be asked of a chip's registers, asked in one go where the loader takes that.
-- The questions are found by asking them of a chip whose registers are all 0. What depends on another answer is
-- missed so, and asked for when it is needed.
local batch = require "esp.batch"
local fail = require "esp.error"
local identity = require "esp.identity"
local loader = require "esp.loader"
local M = {}

local READ_REG = 0x0A
local LENGTH = 14                         -- bytes of that command on the line, if none has to be escaped
local AT_ONCE = batch.FIFO // LENGTH - 1  -- so that a ROM which is at work loses none

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
    if not seen[address] and not (chip.fuses and chip.fuses[address]) then
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

--- Ask, and put the answers into chip.known, where chip:read_reg finds them. Whoever calls this clears it soon:
-- registers change. Those of eFuses do so only when something is written there: they are kept in chip.fuses until then.
-- Does nothing where commands have to wait for each other; what goes wrong is left to whoever asks one by one.
-- @param questions function(probe), which reads registers of a chip
function M.look(chip, questions)
  chip.known = nil
  if not takes_several(chip) then return end
  local addresses, known = addresses_of(chip, questions), {}
  if #addresses == 0 then return end
  for first = 1, #addresses, AT_ONCE do
    local list = {}
    for i = first, math.min(first + AT_ONCE - 1, #addresses) do
      list[#list + 1] = { READ_REG, ("<I4"):pack(addresses[i]) }
    end
    local ok, results = pcall(batch.run, chip, list)
    if not ok then
      if fail.is(results) and require "esp.flash_util".line_fault(results) then return end
      error(results, 0)
    end
    for i, result in ipairs(results) do known[addresses[first + i - 1]] = result.value end
  end
  chip.known = known
  for address, value in pairs(known) do
    if chip.fuses and loader.is_efuse(chip, address) then chip.fuses[address] = value end
  end
end

return M
