--- Rates of the line: the steps by which one that does not carry them is slowed down, and changing over to one where
-- answers get lost.
local fail = require "esp.error"
local util = require "esp.flash_util"
local M = {}

local STEPS = { 921600, 460800, 230400, 115200 }
--- Tries and seconds in which a loader has to show that it is there at a new rate; for link:sync.
M.PROOF = { tries = 3, timeout = 0.1, pause = 0.02 }

--- The next lower rate to try.
-- @param rate baud
-- @return baud, nil when there is none
function M.below(rate)
  for _, step in ipairs(STEPS) do
    if step < rate then return step end
  end
  return nil
end

--- Change the rate over a line that damages much: when the answer is lost, nobody knows whether the chip has done it.
-- @param chip with our stub
-- @param rate baud
-- @raise what chip:set_baud raises, after three tries
function M.change(chip, rate)
  local old, tries = chip.baud, 3
  while true do
    local ok, err = pcall(chip.set_baud, chip, rate)
    if ok then return end
    tries = tries - 1
    if not (fail.is(err) and util.line_fault(err)) or tries == 0 then error(err, 0) end
    chip:set_port_baud(rate)
    if chip.link:sync(M.PROOF) then return end
    chip:set_port_baud(old)
    chip.link:sync(M.PROOF)
  end
end

return M
