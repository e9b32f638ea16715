--- What the parts of esp.nand share: the part's geometry, commands, what is said of bad blocks.
local fail = require "esp.error"
local util = require "esp.flash_util"
local M = {}

M.PAGE, M.SPARE, M.BLOCK, M.BLOCKS = 2048, 64, 0x20000, 1024
M.PER_BLOCK = M.BLOCK // M.PAGE
M.PAGES = M.PER_BLOCK * M.BLOCKS
M.SIZE = M.BLOCK * M.BLOCKS
M.SPACE = 0x80000000                       -- to be added to an address in commands that both kinds of flash know
M.ERASE_TIME = 10                          -- seconds at most; data sheets say 10 ms
local MOST_FAILED = 4                      -- blocks in one call; their maker allows for 20 in a part's life
local ATTACH = 0xD5
local ERRORS = { [0xCA] = "nand_program_failed", [0xCB] = "nand_erase_failed", [0xE2] = "nand_program_failed",
                 [0xE7] = "nand_uncorrectable", [0xE6] = "bad_argument" }

--- What the link answers to a command, or an error that says what it means for this flash.
function M.checked(what, value, body, code, details)
  if value ~= nil then return value, body end
  local message = body
  code = details and ERRORS[details.error] or code or "failed"
  fail { code = code, message = what .. ": " .. tostring(message), details = details, hint = util.HINTS[code] }
end

--- Send a command that may run twice.
-- @return value, body
function M.command(self, what, op, data, timeout)
  local chip = self.chip
  return util.again(chip, 3, function()
    return M.checked(what, chip.link:command(op, data, { status = 2,
                                                         timeout = timeout or util.config(chip, "timeout") }))
  end)
end

--- Connect the pins, and the part to them.
-- @return id, protection register, status register
function M.attach(self)
  local answer, body = M.command(self, "attaching NAND flash", ATTACH, ("<I4"):pack(self.pins))
  return answer & 0xFFFFFF, body:byte(1), answer >> 24
end

function M.must_change(self, what)
  if self.protected then
    fail { code = "flash_protected", hint = "release its WP pin",
           message = ("%s: NAND flash is protected (register 0x%02X)"):format(what, self.protect) }
  end
end

function M.check_range(what, address, size)
  if math.type(address) ~= "integer" or math.type(size) ~= "integer" or address < 0 or size < 0
     or address + size > M.SIZE then
    fail { code = "does_not_fit", message = ("%s: 0x%X to 0x%X is not inside of the NAND flash, which has 0x%X bytes")
      :format(what, address, address + math.max(size, 1) - 1, M.SIZE) }
  end
end

function M.check_multiple(what, name, value)
  if math.type(value) ~= "integer" or value < 0 or value % M.BLOCK ~= 0 then
    fail { code = "bad_argument", message = ("%s: %s %s is not a multiple of the block size, 0x%X"):format(what, name,
             math.type(value) == "integer" and ("0x%X"):format(value) or tostring(value), M.BLOCK) }
  end
end

function M.addresses(blocks)
  local list = {}
  for i, block in ipairs(blocks) do
    if i > 8 then
      list[i] = ("and %d more"):format(#blocks - 8)
      break
    end
    list[i] = ("0x%X"):format(block * M.BLOCK)
  end
  return table.concat(list, ", ")
end

--- Say which blocks were left out.
function M.tell_skipped(self, opts, name, skipped)
  if #skipped == 0 then return end
  util.warn(self.chip, opts, "nand_skipped", ("%s: leaves out %d bad block%s (%s), what follows lies 0x%X further on")
    :format(name, #skipped, #skipped == 1 and "" or "s", M.addresses(skipped), #skipped * M.BLOCK),
    { name = name, blocks = skipped })
end

function M.no_room(name, address, stop, skipped, left, hint)
  fail { code = "nand_no_room", hint = hint, blocks = skipped, message = #skipped > 0
    and ("%s: with %d bad block%s (%s) its last 0x%X bytes find no place between 0x%X and 0x%X"):format(name, #skipped,
      #skipped == 1 and "" or "s", M.addresses(skipped), left, address, stop - 1)
    or ("%s: its last 0x%X bytes find no place between 0x%X and 0x%X"):format(name, left, address, stop - 1) }
end

--- A block that did not take its content is marked, and never used again. Marks are for ever: first the part is asked
-- whether it is still there, and many blocks in a row are not believed.
function M.condemn(self, region, block, err, opts, entry)
  entry.failed[#entry.failed + 1] = block
  local id, protect = M.attach(self)
  local why = #entry.failed > MOST_FAILED and ("%d blocks before it failed too"):format(MOST_FAILED)
    or (id ~= self.id or protect ~= 0) and ("the part does not answer as before: id 0x%06X, protection 0x%02X"):format(
      id, protect)
  if why then
    table.remove(entry.failed)
    err.message = ("%s; it is not marked, %s"):format(err.message, why)
    err.hint = "does it have enough power, are its wires short and firm?"
    error(err, 0)
  end
  util.warn(self.chip, opts, "nand_block_failed", ("%s; block 0x%X is marked as bad"):format(err.message,
            block * M.BLOCK), { block = block, region = util.about(region) })
  self:mark(block)
end

return M
