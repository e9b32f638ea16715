--- esptool's commands that need no chip: images from ELF files, what is in an image, merged files.
local chips = require "esp.chips"
local declare = require "esp.esptool.declare"
local fail = require "esp.error"
local M = {}

function M.version(self)
  self.screen:print(declare.VERSION)
end

-- The data of the chip that was given; these commands do not guess.
local function chip_of(self)
  local name = self.global.chip or os.getenv "ESPTOOL_CHIP"
  if not name or name == "auto" then
    fail { code = "usage", message = ("%s needs to know the chip"):format(self.command.name),
           hint = ("give --chip: one of %s"):format(table.concat(chips.list(), ", ")) }
  end
  return chips.get(name)
end

-- What the library has to say on the way.
local function teller(self)
  local screen = self.screen
  return function(level, _, text)
    if level == "warning" then screen:warning(text)
    elseif level == "note" then screen:note(text)
    else screen:print(text) end
  end
end

local function options(args)
  local o = {}
  for key, value in pairs(args) do
    if key ~= "given" and key ~= "filename" and key ~= "addr_filename" then o[key] = value end
  end
  return o
end

function M.elf2image(self, args)
  local data = chip_of(self)
  local o = options(args)
  o.chip, o.version, o.on_note = data, math.tointeger(tonumber(args.version)), teller(self)
  self.screen:print(("Creating %s image..."):format(data.name))
  local made = require "esp.image_elf".convert(args.filename, o)
  made:save()
  self.screen:print(("Successfully created %s image."):format(data.name))
end

return M
