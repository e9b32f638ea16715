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
  local name = self.global.chip or require "esp.config".variable "chip"
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

--- Words for files that do not leave each other alone, as programs know them.
function M.overlap(err)
  if fail.is(err) and err.code == "overlap" and err.regions then
    local b = err.regions[2]
    err.message = ("Detected overlap at address: 0x%x for file: %s (%s)"):format(b.address, b.name, err.message)
  end
  error(err, 0)
end

M["image-info"] = function(self, args)
  local chip = self.global.chip or require "esp.config".variable "chip"
  require "esp.image_info".report(args.filename, { chip = chip ~= "auto" and chip or nil }, function(level, line)
    if level == "warning" then self.screen:warning(line)
    elseif level == "error" then self.screen:error(line)
    else self.screen:print(line) end
  end)
end

M["merge-bin"] = function(self, args)
  local o = options(args)
  o.chip, o.on_note = chip_of(self), teller(self)
  local ok, merged = pcall(require "esp.image_merge".merge, args.addr_filename, o)
  if not ok then M.overlap(merged) end
  self.screen:print(("Wrote 0x%x bytes to file '%s', ready to %s."):format(merged.size, args.output,
    args.format == "uf2" and "be flashed with any ESP USB Bridge"
      or ("flash to offset 0x%x"):format(merged.target_offset)))
end

return M
