--- After a break of writing: the chip is reached again, at a lower rate where the line damages much.
local attach = require "esp.flash_attach"
local rates = require "esp.rate"
local repair = require "esp.flash_repair"
local util = require "esp.flash_util"
local M = {}

local function attach_again(chip, opts, state)
  attach.attach(chip, { again = true, spi_connection = state.connection, on_event = opts.on_event })
  if state.params then attach.set_size(chip, state.params, opts) end
end

local function reconnect(chip, region, opts, cause)
  util.warn(chip, opts, "connection_lost", ("%s: connection lost (%s), connecting again")
    :format(region.name, cause.message), { region = util.about(region) })
  local state = chip.flash_state
  chip:reconnect(opts.reconnect or nil)
  attach_again(chip, opts, state)
end

--- Slow down a line that damages much, once per break: what got through so far stays.
function M.slow_down(chip, opts)
  if not (chip.stub_can and chip.port:info().has_baud) or chip.usb_mode then return end
  local rate = rates.below(chip.baud)
  if not rate then return end
  util.warn(chip, opts, "slower", ("the line is not reliable at %d baud, going on at %d"):format(chip.baud, rate),
            { baud = rate })
  chip.options.rom_limit = rate
  rates.change(chip, rate)
end

--- Reach the chip again after a break. A lost port is opened anew, once per region and never when encrypting.
-- @param err what broke it off: code, details
-- @param entry of the region's report; counts in it
-- @raise err, when nothing is to be done; what connecting raises
function M.run(chip, region, opts, err, entry, encrypted)
  entry.retries = entry.retries + 1
  chip.flash_faults = (chip.flash_faults or 0) + 1
  if util.LOST_PORT[err.code] then
    if encrypted or entry.reconnects or opts.reconnect == false then error(err, 0) end
    entry.reconnects = 1
    reconnect(chip, region, opts, err)
  else
    repair.resync(chip)
    -- A refusal may come from pins or a size that arrived damaged.
    if err.code == "rom_error" or err.code == "flash_failed" then attach_again(chip, opts, chip.flash_state) end
    M.slow_down(chip, opts)
  end
end

return M
