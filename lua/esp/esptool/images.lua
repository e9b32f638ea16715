--- esptool's commands that need no chip.
local declare = require "esp.esptool.declare"
local M = {}

function M.version(self)
  self.screen:print(declare.VERSION)
end

return M
