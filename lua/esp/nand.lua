--- Serial NAND flash beside a chip, on pins of its own: blocks that are bad are left out, those that fail are marked.
-- Source: data sheet of the Winbond W25N01GV; doc/stub-protocol.md, "NAND flash".
--
-- Addresses are those of the part: address // BLOCK is the number of a block. What is written begins at an address and
-- goes on in the next block that is good; reading and comparing leave out the same blocks. So content is found again
-- from where it was written, not from some block in its middle, and only while no other block of it has been marked.
local fail = require "esp.error"
local attach = require "esp.flash_attach"
local chips = require "esp.chips"
local common = require "esp.nand_util"
local task = require "esp.core.task"
local util = require "esp.flash_util"
local M = {}
M.__index = M

for _, name in ipairs { "PAGE", "SPARE", "BLOCK", "BLOCKS", "PAGES", "SIZE" } do M[name] = common[name] end
for _, part in ipairs { "esp.nand_write", "esp.nand_read" } do
  for name, method in pairs(require(part)) do M[name] = method end
end
local PER_BLOCK = common.PER_BLOCK

local READ_SPARE, WRITE_SPARE, ERASE_REGION, SCAN = 0xD6, 0xD7, 0xDC, 0xF8
local AT_ONCE = 32                         -- blocks whose erasing is asked for in one go
local SCANNED = 256                        -- blocks in one request
local PARTS = { [0xEFAA21] = "Winbond W25N01GV" }

--- Raise why a chip cannot work with NAND flash, if it cannot.
-- @param no_stub the ROM loader is wanted
-- @raise unsupported
function M.needs_chip(chip, no_stub)
  local function cannot(text, hint)
    fail { code = "unsupported", message = "NAND flash: " .. text, hint = hint }
  end
  if not chip.data.nand then
    local names = {}
    for _, id in ipairs(chips.list()) do
      if chips.get(id).nand then names[#names + 1] = chips.get(id).name end
    end
    cannot(("not supported on the %s"):format(chip.name), "supported on: " .. table.concat(names, ", "))
  end
  if chip.sdm then cannot "not possible in secure download mode, which takes no flasher stub" end
  if no_stub then cannot("the ROM loader cannot do it", "leave --no-stub out") end
end

---- Connect to the NAND flash and take away the protection that it has after power-up.
-- @param chip of esp.connect with flash_type = "nand"
-- @param opts { spi_connection = "CLK,Q,D,HD,CS" or a list, nil or "SPI": the controller's own pins; on_event = }
-- @return object: chip, id (24 bits), name, protected; PAGE, SPARE, BLOCK, BLOCKS, PAGES, SIZE
-- @raise unsupported, flash_failed, bad_argument
function M.open(chip, opts)
  opts = opts or {}
  M.needs_chip(chip, chip.options and chip.options.no_stub or not chip.stub)
  if not (chip.stub_can and chip.stub_can.nand) then
    fail { code = "unsupported", message = "NAND flash: the flasher stub that is running does not know it",
           hint = "connect with flash type nand, and with a reset" }
  end
  local connection = opts.spi_connection
  if type(connection) == "string" and connection:upper() == "HSPI" then
    fail { code = "bad_argument", message = "NAND flash: it has no connection HSPI", hint = "SPI, or five pins" }
  end
  local value, _, usb = attach.connection(chip.data, connection)
  if usb and #usb > 0 then
    util.warn(chip, opts, "usb_pins", ("pin %s also carries USB"):format(table.concat(usb, " and ")),
              { hint = "flash there cuts a USB link to this chip" })
  end
  local self = setmetatable({ chip = chip, connection = connection, pins = value }, M)
  self.id, self.protect, self.status = common.attach(self)
  if self.id == 0 or self.id == 0xFFFFFF then
    local p = chip.data.nand.pins
    fail { code = "flash_failed", message = ("NAND flash does not answer (id 0x%06X)"):format(self.id),
           hint = connection and connection:upper() ~= "SPI" and "does it have power, and is it on these pins?"
             or ("does it have power, and is it on CLK %d, Q %d, D %d, HD %d, CS %d? (--spi-connection)"):format(
               p.clk[1], p.q[1], p.d[1], p.hd[1], p.cs[1]) }
  end
  self.name = PARTS[self.id]
  if not self.name then
    fail { code = "unsupported", message = ("NAND flash: id 0x%06X is not one that is known"):format(self.id),
           hint = "known: Winbond W25N01GV (0xEFAA21)" }
  end
  self.protected = self.protect ~= 0
  if self.protected then
    util.warn(chip, opts, "nand_protected", ("NAND flash stays protected (register 0x%02X)"):format(self.protect),
              { hint = "release its WP pin" })
  end
  return self
end

-- Which blocks are marked, as a set; asked of the part once.
local function bad_set(self)
  if self.bad then return self.bad end
  local bad = {}
  for first = 0, M.BLOCKS - 1, SCANNED do
    local _, map = common.command(self, "looking for bad blocks", SCAN, ("<I4I4"):pack(first, SCANNED))
    if #map < SCANNED // 8 then
      fail { code = "bad_reply", message = ("bad blocks: %d bytes, expected %d"):format(#map, SCANNED // 8) }
    end
    for i = 0, SCANNED - 1 do
      if map:byte(i // 8 + 1) >> i % 8 & 1 == 1 then bad[first + i] = true end
    end
  end
  self.bad = bad
  return bad
end

--- The blocks that are marked as bad.
-- @return sorted list of numbers
function M:bad_blocks()
  local list = {}
  for block in pairs(bad_set(self)) do list[#list + 1] = block end
  table.sort(list)
  return list
end

local function check_number(what, number, count)
  if math.type(number) ~= "integer" or number < 0 or number >= count then
    fail { code = "bad_argument", message = ("NAND flash: there is no %s %s"):format(what, tostring(number)),
           hint = ("%ss are 0 to %d"):format(what, count - 1) }
  end
end

--- The first four spare bytes of a page, the first of them in the low byte. In a block's first page that is its mark:
-- 0xFF of a good one.
function M:spare(page)
  check_number("page", page, M.PAGES)
  return (common.command(self, ("reading the spare bytes of page %d"):format(page), READ_SPARE, ("<I4"):pack(page)))
end

--- Write the mark of a bad block into a page. Nothing but those four bytes changes, and they can only be cleared.
-- @return the four bytes afterwards, as spare() gives them
-- @raise nand_not_marked
function M:write_spare(page, bad)
  check_number("page", page, M.PAGES)
  if not bad then return self:spare(page) end
  common.must_change(self, "marking a block")
  local ok, err = pcall(common.command, self, ("marking page %d"):format(page), WRITE_SPARE, ("<I4B"):pack(page, 1))
  if not ok and not (fail.is(err) and err.code:find "^nand_") then error(err, 0) end
  local now = self:spare(page)
  if now & 0xFF == 0xFF then
    fail { code = "nand_not_marked", message = ("block %d (0x%X) takes no mark"):format(page // PER_BLOCK,
             page // PER_BLOCK * M.BLOCK) }
  end
  if page % PER_BLOCK == 0 then bad_set(self)[page // PER_BLOCK] = true end
  return now
end

--- Mark a block as bad.
-- @raise nand_not_marked
function M:mark(block)
  return self:write_spare(block * PER_BLOCK, true)
end

local function erase_block(self, block)
  common.command(self, ("erasing block %d (0x%X)"):format(block, block * M.BLOCK), ERASE_REGION,
                 ("<I4I4"):pack(block * M.BLOCK, M.BLOCK), common.ERASE_TIME)
end

-- Erases several, their commands one behind the other. One of which it is not certain that it was erased is tried once
-- more by itself. Returns for each true, or the error.
local function erase_blocks(self, blocks)
  local commands, results = {}, {}
  for i, block in ipairs(blocks) do
    commands[i] = { ERASE_REGION, ("<I4I4"):pack(block * M.BLOCK, M.BLOCK), may_fail = true }
  end
  local ok, answers = pcall(require "esp.batch".run, self.chip, commands, common.ERASE_TIME)
  if not ok and not (fail.is(answers) and util.line_fault(answers)) then error(answers, 0) end
  for i, block in ipairs(blocks) do
    local sure, err = ok and answers[i].value ~= nil, nil
    if not sure then sure, err = pcall(erase_block, self, block) end
    results[i] = sure or err
  end
  return results
end

--- Erase a block that is marked as bad, and its mark with it. Whether it was its maker who marked it, nobody can tell
-- afterwards.
function M:unmark(block)
  check_number("block", block, M.BLOCKS)
  common.must_change(self, "erasing a block")
  erase_block(self, block)
  if self:spare(block * PER_BLOCK) & 0xFF ~= 0xFF then
    fail { code = "nand_erase_failed", message = ("block %d (0x%X) keeps its mark"):format(block, block * M.BLOCK) }
  end
  bad_set(self)[block] = nil
end

--- Where content of a size lies, or would lie, that begins at an address.
-- @param stop address behind the last block that may be used
-- @return list of { address =, size =, done = bytes before it }; list of blocks left out; bytes that found no place
function M:layout(address, size, stop)
  local bad, runs, skipped, done = bad_set(self), {}, {}, 0
  while done < size and address < stop do
    if bad[address // M.BLOCK] then
      skipped[#skipped + 1] = address // M.BLOCK
      address = address + M.BLOCK
    else
      local n = math.min(M.BLOCK - address % M.BLOCK, size - done, stop - address)
      runs[#runs + 1] = { address = address, size = n, done = done }
      address, done = address + n, done + n
    end
  end
  return runs, skipped, size - done
end

-- A block that cannot be erased is marked. One that takes no mark fails the next time, too: nothing is lost by going
-- on.
local function failed_to_erase(self, block, err, opts, result)
  local region = { name = "erase", address = result.address, size = result.size }
  local marked, why = pcall(common.condemn, self, region, block, err, opts, result)
  if marked then return end
  if not (fail.is(why) and why.code == "nand_not_marked") then error(why, 0) end
  util.warn(self.chip, opts, why.code, why.message, { block = block })
end

--- Erase blocks. Those that are marked as bad keep their mark, and their content; those that fail are marked.
-- @param address multiple of BLOCK; size likewise, or "ALL" up to the end
-- @param opts { marked = true: also those that are marked, with their marks; progress =, on_event = }
-- @return { address, size, seconds, erased = number of blocks, failed = list of blocks, skipped = list of blocks }
-- @raise bad_argument, does_not_fit, flash_protected, cancelled
function M:erase(address, size, opts)
  opts = opts or {}
  common.check_multiple("erase", "address", address)
  if type(size) == "string" and size:upper() == "ALL" then size = M.SIZE - address end
  common.check_multiple("erase", "size", size)
  common.check_range("erase", address, size)
  common.must_change(self, "erasing")
  local result = { address = address, size = size, erased = 0, failed = {}, skipped = {} }
  local bad, started, wanted = bad_set(self), task.now(), {}
  for block = address // M.BLOCK, (address + size) // M.BLOCK - 1 do
    local list = bad[block] and not opts.marked and result.skipped or wanted
    list[#list + 1] = block
  end
  util.stage(self.chip, opts, "erase", ("erasing 0x%X to 0x%X"):format(address, address + size - 1))
  for first = 1, #wanted, AT_ONCE do
    local group = table.move(wanted, first, math.min(first + AT_ONCE - 1, #wanted), 1, {})
    for i, err in ipairs(erase_blocks(self, group)) do
      if err == true then
        result.erased, bad[group[i]] = result.erased + 1, nil
      elseif fail.is(err) and err.code == "nand_erase_failed" then
        failed_to_erase(self, group[i], err, opts, result)
      else
        if fail.is(err) then err.message = ("%s (%d blocks are erased)"):format(err.message, result.erased) end
        error(err, 0)
      end
    end
    local last = group[#group]
    util.progress(opts, (last + 1) * M.BLOCK - address, size, { phase = "erase", address = last * M.BLOCK })
  end
  result.seconds = task.now() - started
  return result
end

--- A byte for each block: 0 good, 1 bad.
-- @param count how many blocks (all)
function M:marks(count)
  count = count or M.BLOCKS
  if math.type(count) ~= "integer" or count < 1 or count > M.BLOCKS then
    fail { code = "bad_argument", message = ("NAND flash: it has not got %s blocks"):format(tostring(count)),
           hint = ("1 to %d"):format(M.BLOCKS) }
  end
  local bad, out = bad_set(self), {}
  for block = 0, count - 1 do out[block + 1] = bad[block] and "\1" or "\0" end
  return table.concat(out)
end

return M
