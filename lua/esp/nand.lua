--- Serial NAND flash beside a chip, on pins of its own: blocks that are bad are left out, those that fail are marked.
-- Source: data sheet of the Winbond W25N01GV; doc/stub-protocol.md, "NAND flash".
--
-- Addresses are those of the part: address // BLOCK is the number of a block. What is written begins at an address and
-- goes on in the next block that is good; reading and comparing leave out the same blocks. So content is found again
-- from where it was written, not from some block in its middle, and only while no other block of it has been marked.
local fail = require "esp.error"
local attach = require "esp.flash_attach"
local chips = require "esp.chips"
local task = require "esp.core.task"
local util = require "esp.flash_util"
local M = {}
M.__index = M

M.PAGE, M.SPARE, M.BLOCK, M.BLOCKS = 2048, 64, 0x20000, 1024
M.PAGES = M.BLOCK // M.PAGE * M.BLOCKS
M.SIZE = M.BLOCK * M.BLOCKS
local PER_BLOCK = M.BLOCK // M.PAGE

local ATTACH, READ_SPARE, WRITE_SPARE, ERASE_REGION, SCAN, CHECK = 0xD5, 0xD6, 0xD7, 0xDC, 0xF8, 0xF9
M.SPACE = 0x80000000                       -- to be added to an address in commands that both kinds of flash know
local SCANNED = 256                        -- blocks in one request
local ERASE_TIME = 10                      -- seconds at most; data sheets say 10 ms
local PARTS = { [0xEFAA21] = "Winbond W25N01GV" }
local LATER_BAD = 20                       -- blocks that may go bad in a part's life, as its maker says
local ERRORS = { [0xCA] = "nand_program_failed", [0xCB] = "nand_erase_failed", [0xE2] = "nand_program_failed",
                 [0xE7] = "nand_uncorrectable", [0xE6] = "bad_argument" }
local LIMIT_HINT = "--nand-end-address allows it to go further"

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

--- What the link answers to a command, or an error that says what it means for this flash.
local function checked(what, value, body, code, details)
  if value ~= nil then return value, body end
  local message = body
  code = details and ERRORS[details.error] or code or "failed"
  fail { code = code, message = what .. ": " .. tostring(message), details = details, hint = util.HINTS[code] }
end

local function command(self, what, op, data, timeout)
  local chip = self.chip
  return util.again(chip, 3, function()
    return checked(what, chip.link:command(op, data, { timeout = timeout or util.config(chip, "timeout"), status = 2 }))
  end)
end

--- Connect to the NAND flash and take away the protection that it has after power-up.
-- @param chip of esp.connect with flash_type = "nand"
-- @param opts { spi_connection = "CLK,Q,D,HD,CS" or a list, nil or "SPI": the controller's own pins; on_event = }
-- @return object: chip, id (24 bits), name, protected; PAGE, BLOCK, BLOCKS, SIZE
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
  local self = setmetatable({ chip = chip, connection = connection, session = chip.session }, M)
  local answer, body = command(self, "attaching NAND flash", ATTACH, ("<I4"):pack(value))
  self.id, self.protect = answer & 0xFFFFFF, body:byte(1)
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
    local _, map = command(self, "looking for bad blocks", SCAN, ("<I4I4"):pack(first, SCANNED))
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

local function check_page(page)
  if math.type(page) ~= "integer" or page < 0 or page >= M.PAGES then
    fail { code = "bad_argument", message = ("NAND flash: there is no page %s"):format(tostring(page)),
           hint = ("pages are 0 to %d"):format(M.PAGES - 1) }
  end
end

--- The first four spare bytes of a page, the first of them in the low byte. In a block's first page that is its mark:
-- 0xFF of a good one.
function M:spare(page)
  check_page(page)
  return (command(self, ("reading the spare bytes of page %d"):format(page), READ_SPARE, ("<I4"):pack(page)))
end

local function must_change(self, what)
  if self.protected then
    fail { code = "flash_protected", hint = "release its WP pin",
           message = ("%s: NAND flash is protected (register 0x%02X)"):format(what, self.protect) }
  end
end

--- Write the mark of a bad block into a page. Nothing but those four bytes changes, and they can only be cleared.
-- @return the four bytes afterwards, as spare() gives them
-- @raise nand_not_marked
function M:write_spare(page, bad)
  check_page(page)
  if not bad then return self:spare(page) end
  must_change(self, "marking a block")
  local ok, err = pcall(command, self, ("marking page %d"):format(page), WRITE_SPARE, ("<I4B"):pack(page, 1))
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

local function check_block(block)
  if math.type(block) ~= "integer" or block < 0 or block >= M.BLOCKS then
    fail { code = "bad_argument", message = ("NAND flash: there is no block %s"):format(tostring(block)),
           hint = ("blocks are 0 to %d"):format(M.BLOCKS - 1) }
  end
end

local function erase_block(self, block)
  command(self, ("erasing block %d (0x%X)"):format(block, block * M.BLOCK), ERASE_REGION,
          ("<I4I4"):pack(block * M.BLOCK, M.BLOCK), ERASE_TIME)
end

--- Erase a block that is marked as bad, and its mark with it. Whether it was its maker who marked it, nobody can tell
-- afterwards.
function M:unmark(block)
  check_block(block)
  must_change(self, "erasing a block")
  erase_block(self, block)
  if self:spare(block * PER_BLOCK) & 0xFF ~= 0xFF then
    fail { code = "nand_erase_failed", message = ("block %d (0x%X) keeps its mark"):format(block, block * M.BLOCK) }
  end
  bad_set(self)[block] = nil
end

local function check_range(what, address, size)
  if math.type(address) ~= "integer" or math.type(size) ~= "integer" or address < 0 or size < 0
     or address + size > M.SIZE then
    fail { code = "does_not_fit", message = ("%s: 0x%X to 0x%X is not inside of the NAND flash, which has 0x%X bytes")
      :format(what, address, address + math.max(size, 1) - 1, M.SIZE) }
  end
end

local function check_multiple(what, name, value)
  if math.type(value) ~= "integer" or value < 0 or value % M.BLOCK ~= 0 then
    fail { code = "bad_argument", message = ("%s: %s %s is not a multiple of the block size, 0x%X"):format(what, name,
             math.type(value) == "integer" and ("0x%X"):format(value) or tostring(value), M.BLOCK) }
  end
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

local function addresses(blocks)
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

-- Says which blocks were left out.
local function tell_skipped(self, opts, name, skipped)
  if #skipped == 0 then return end
  util.warn(self.chip, opts, "nand_skipped", ("%s: leaves out %d bad block%s (%s), what follows lies 0x%X further on")
    :format(name, #skipped, #skipped == 1 and "" or "s", addresses(skipped), #skipped * M.BLOCK),
    { name = name, blocks = skipped })
end

local function no_room(name, address, stop, skipped, left, hint)
  fail { code = "nand_no_room", hint = hint, blocks = skipped, message = #skipped > 0
    and ("%s: with %d bad block%s (%s) its last 0x%X bytes find no place between 0x%X and 0x%X"):format(name, #skipped,
      #skipped == 1 and "" or "s", addresses(skipped), left, address, stop - 1)
    or ("%s: its last 0x%X bytes find no place between 0x%X and 0x%X"):format(name, left, address, stop - 1) }
end

-- Writing -------------------------------------------------------------------------------------------------

-- Where the room of a region ends: at the end that was given, else with the blocks that it needs when none is bad; at
-- the next region in any case. Returns that, and what to say when it is not enough.
local function room_of(region, after, opts)
  local own = (region.address + region.size + M.BLOCK - 1) // M.BLOCK * M.BLOCK
  local stop, hint = opts.end_address or own, not opts.end_address and LIMIT_HINT or nil
  if after and after.address < stop then
    stop, hint = after.address, ("%s begins there; leave more room between them"):format(after.name)
  end
  if stop > M.SIZE then stop, hint = M.SIZE, nil end
  return stop, hint
end

-- All that can be known before the first block is erased.
local function plan(self, regions, opts)
  table.sort(regions, function(a, b) return a.address < b.address end)
  local plans = {}
  for i, r in ipairs(regions) do
    check_multiple(r.name, "address", r.address)
    check_range(r.name, r.address, r.size)
    local stop, hint = room_of(r, regions[i + 1], opts)
    local runs, skipped, left = self:layout(r.address, r.size, stop)
    if left > 0 then no_room(r.name, r.address, stop, skipped, left, hint) end
    plans[i] = { region = r, stop = stop, hint = hint, runs = runs, skipped = skipped }
  end
  return plans
end

-- One run of the engine for one block. Returns what it returns, or nil and an error object.
local function send_block(self, payload, address, opts, progress)
  local chip = self.chip
  local can = chip.stub_can
  local result, message, code, details = chip.link:write_flash {
    payload = payload, address = M.SPACE + address, block = can.ahead_block,
    compress = opts.compress ~= false and util.ask(payload, "packed") and true or false,
    credit = can.credit, attempts = util.config(chip, "write_block_attempts"),
    timeout = { begin = util.config(chip, "timeout"), block = ERASE_TIME }, progress = progress,
  }
  if result then return result end
  local _, err = pcall(checked, ("writing block 0x%X"):format(address), nil, message, code, details)
  return nil, err
end

-- A block that did not take its content is marked, and never used again.
local function condemn(self, region, block, err, opts, entry)
  entry.failed[#entry.failed + 1] = block
  if #entry.failed > LATER_BAD then
    err.message = ("%s; that is the %dth block: it is not the blocks that are bad"):format(err.message, #entry.failed)
    err.hint = "does it have enough power, is the wiring short?"
    error(err, 0)
  end
  util.warn(self.chip, opts, "nand_block_failed", ("%s; block 0x%X is marked as bad"):format(err.message,
            block * M.BLOCK), { block = block, region = util.about(region) })
  self:mark(block)
end

-- Writes one block's worth; whatever the line damages is sent again. Returns the engine's result, or nil and why the
-- part refused it.
local function write_run(self, region, run, opts, tell)
  local input, last = require "esp.input"
  for _ = 1, 3 do
    local payload = input.part(region, run.done, run.size)
    local result, err = send_block(self, payload, run.address, opts, tell)
    payload:close()
    if result then return result end
    if err.code == "nand_program_failed" or err.code == "nand_erase_failed" then
      -- What reads otherwise although the part is content is tried once more.
      if err.details.error ~= 0xE2 or last and last.details and last.details.error == 0xE2 then return nil, err end
    elseif not util.line_fault(err) then
      error(err, 0)
    else
      self.chip.flash_faults = (self.chip.flash_faults or 0) + 1
      util.settle(self.chip)
    end
    last = err
  end
  error(last, 0)
end

local function write_region(self, p, opts)
  local region, chip, started = p.region, self.chip, task.now()
  local entry = { name = region.name, address = region.address, size = region.size, failed = {}, wire = 0,
                  skipped = p.skipped }
  local runs, i = p.runs, 1
  util.stage(chip, opts, "write", ("%s: writing %d bytes at 0x%X"):format(region.name, region.size, region.address),
             { region = util.about(region) })
  tell_skipped(self, opts, region.name, p.skipped)
  local function tell(done)
    if opts.progress then
      return opts.progress(math.min(runs[i].done + done, region.size), region.size,
                           { phase = "write", address = runs[i].address + done, region = util.about(region) })
    end
  end
  while runs[i] do
    local run = runs[i]
    local ok, result, err = pcall(write_run, self, region, run, opts, tell)
    if ok and not result then
      local block = run.address // M.BLOCK
      ok, result = pcall(condemn, self, region, block, err, opts, entry)
      if ok then
        local more, skipped, left = self:layout(run.address, region.size - run.done, p.stop)
        if left > 0 then
          ok, result = pcall(no_room, region.name, run.address, p.stop, skipped, left, p.hint)
        else
          for k = #runs, i, -1 do runs[k] = nil end
          for k, r in ipairs(more) do
            runs[i + k - 1] = { address = r.address, size = r.size, done = run.done + r.done }
          end
        end
      end
    elseif ok then
      entry.wire = entry.wire + (result.wire or 0)
      entry.packed = entry.packed or result.compressed
      i = i + 1
    end
    if not ok then
      local e = result
      if fail.is(e) then
        e.region, e.written = util.about(region), run.done
        e.message = ("%s; %s is not complete (0x%X of 0x%X bytes are written)"):format(e.message, region.name, run.done,
                                                                                     region.size)
      end
      error(e, 0)
    end
  end
  local last = runs[#runs]
  local _, skipped = self:layout(region.address, region.size, M.SIZE)
  entry.skipped, entry.seconds = skipped, task.now() - started
  entry.last = last and last.address + last.size - 1 or region.address
  entry.verified = chip.stub_can.compare and chip.stub_can.crc and true or false
  if #entry.failed > 0 then tell_skipped(self, opts, region.name, skipped) end
  if opts.each then opts.each(entry) end
  return entry
end

--- Write files or bytes. Each begins at the start of a block, goes on in the next good one, and is compared by the stub
-- as the part gives it back. Nothing is erased before all of it has its place.
-- @param list of { address, path or { data = }, ... } or of regions of esp.input
-- @param opts { end_address = where the room ends (by default it is what is needed when no block is bad), compress =,
--   progress =, on_event =, each = function(entry) }
-- @return list of { name, address, size, skipped = blocks left out, failed = blocks that were marked, last = address of
--   the last byte, wire, seconds, verified }
-- @raise bad_argument, does_not_fit, nand_no_room, nand_not_marked, nand_program_failed, flash_protected
function M:write(list, opts)
  opts = opts or {}
  local input = require "esp.input"
  must_change(self, "writing")
  local regions = list[1] and list[1].payload and list or input.load_all(list)
  local done = {}
  local ok, err = pcall(function()
    input.check_overlap(regions)
    for i, p in ipairs(plan(self, regions, opts)) do done[i] = write_region(self, p, opts) end
  end)
  input.close(regions)
  if not ok then error(err, 0) end
  return done
end

-- Reading -------------------------------------------------------------------------------------------------

-- What the part's error correction has to say of a range.
local function ecc(self, address, size, tolerant)
  local fixed, body = command(self, ("reading 0x%X"):format(address), CHECK,
                              ("<I4I4I4"):pack(address, size, tolerant and 1 or 0))
  local lost, first = ("<I4I4"):unpack(body)
  return fixed, lost, first
end

--- How a range does: pages that needed correction, and those that are beyond it.
-- @return { pages =, corrected =, lost =, first_lost = page or nil, blocks = number of good ones, skipped = }
function M:check(address, size, opts)
  check_range("checking", address, size)
  local runs, skipped = self:layout(address, size, M.SIZE)
  local result = { pages = 0, corrected = 0, lost = 0, blocks = #runs, skipped = skipped }
  for _, run in ipairs(runs) do
    local fixed, lost, first = ecc(self, run.address, run.size)
    result.pages = result.pages + (run.size + M.PAGE - 1) // M.PAGE
    result.corrected, result.lost = result.corrected + fixed, result.lost + lost
    if lost > 0 then result.first_lost = result.first_lost or first end
    util.progress(opts, run.done + run.size, size, { phase = "read", address = run.address })
  end
  return result
end

local function read_run(self, run, opts, progress)
  local chip = self.chip
  local fixed, lost, first = ecc(self, run.address, run.size, opts.force)
  if lost > 0 then
    local text = ("page %d (0x%X) has more wrong bits than NAND flash can correct%s"):format(first, first * M.PAGE,
      lost > 1 and (", and %d more of its block"):format(lost - 1) or "")
    if not opts.force then
      fail { code = "nand_uncorrectable", message = text, page = first, hint = "--force reads what there is" }
    end
    util.warn(chip, opts, "nand_uncorrectable", text, { page = first })
  end
  return util.again(chip, 3, function()
    return (checked(("reading 0x%X"):format(run.address), chip.link:read_flash {
      address = M.SPACE + run.address, size = run.size, packed = chip.stub_can.packed and true or false,
      packet = chip.stub_can.packed and 0x2000 or 0x1000, window = chip.stub_can.packed and 16 or 64,
      timeout = util.config(chip, "timeout"), progress = progress }))
  end), fixed
end

--- Read what begins at an address, without the blocks that are bad.
-- @param size bytes; "ALL": all good blocks from there on
-- @param opts { file = path to write to instead of returning the bytes, end_address =, force = true reads also what
--   cannot be corrected, progress =, on_event = }
-- @return bytes, or true when a file is written; and { size =, seconds =, skipped =, corrected = pages }
-- @raise does_not_fit, nand_no_room, nand_uncorrectable; the file appears only when complete
function M:read(address, size, opts)
  opts = opts or {}
  local stop = math.min(opts.end_address or M.SIZE, M.SIZE)
  local all = type(size) == "string" and size:upper() == "ALL"
  check_range("reading", address, all and 0 or size)
  local runs, skipped, left = self:layout(address, all and stop - address or size, stop)
  if left > 0 and not all then no_room("reading", address, stop, skipped, left) end
  if all then
    size = 0
    for _, run in ipairs(runs) do size = size + run.size end
  end
  local started, corrected = task.now(), 0
  util.stage(self.chip, opts, "read", ("reading %d bytes from 0x%X"):format(size, address))
  tell_skipped(self, opts, "reading", skipped)
  local function each(sink)
    util.progress(opts, 0, size, { phase = "read", address = address })
    for _, run in ipairs(runs) do
      local bytes, fixed = read_run(self, run, opts, function(now)
        if opts.progress then
          return opts.progress(run.done + now, size, { phase = "read", address = run.address + now })
        end
      end)
      corrected = corrected + fixed
      sink(bytes)
    end
  end
  local bytes = true
  if opts.file then
    local f <close> = fail.check(nil, nil, require "esp.core.fs".create(opts.file))
    each(function(b) fail.check(nil, nil, f:write(b)) end)
    fail.check(nil, nil, f:commit())
  else
    local parts = {}
    each(function(b) parts[#parts + 1] = b end)
    bytes = table.concat(parts)
  end
  return bytes, { size = size, seconds = task.now() - started, skipped = skipped, corrected = corrected }
end

-- The bytes of a block that differ from the file.
local function differences(self, run, file, opts, list)
  local flash = read_run(self, run, { force = true, on_event = opts.on_event })
  for i = 1, #file do
    if file:byte(i) ~= flash:byte(i) then
      list.count = list.count + 1
      if #list < (opts.limit or 64) then
        list[#list + 1] = { address = run.address + i - 1, flash = flash:byte(i), file = file:byte(i) }
      end
    end
  end
end

local function compare(self, region, opts)
  local stop = math.min(opts.end_address or M.SIZE, M.SIZE)
  check_range(region.name, region.address, region.size)
  local runs, skipped, left = self:layout(region.address, region.size, stop)
  if left > 0 then no_room(region.name, region.address, stop, skipped, left) end
  local result = { name = region.name, address = region.address, size = region.size, equal = true, skipped = skipped,
                   by_digest = true, wrong = {}, differences = opts.diff and { count = 0 } or nil }
  local digest = require "esp.core.digest"
  tell_skipped(self, opts, region.name, skipped)
  for _, run in ipairs(runs) do
    local file = util.ask(region.payload, "read", run.done, run.size)
    local chip = self.chip
    local found = util.again(chip, 3, function()
      local sum, message, code, details = chip.link:md5 {
        address = M.SPACE + run.address, size = run.size, timeout = util.timeout(chip, "md5_timeout_per_mb", run.size) }
      if not sum and details and details.error == 0xE7 then return false end
      return (checked("digest of flash", sum, message, code, details))
    end)
    if found ~= digest.md5(file) then
      result.equal, result.by_digest = false, false
      result.wrong[#result.wrong + 1] = run.address
      if opts.diff then differences(self, run, file, opts, result.differences) end
    end
    util.progress(opts, run.done + run.size, region.size, { phase = "verify", address = run.address })
  end
  return result
end

--- Compare with files or bytes what begins at an address, without the blocks that are bad.
-- @param list as for write
-- @param opts { diff = true, limit = differences listed (64), end_address =, each = function(region), progress =,
--   on_event = }
-- @return true, or false; and a list per region { name, address, size, equal, skipped, wrong = addresses of the blocks
--   that differ, differences = { {address, flash, file}, ..., count = } with diff }
function M:verify(list, opts)
  opts = opts or {}
  local input = require "esp.input"
  local regions = list[1] and list[1].payload and list or input.load_all(list)
  local details, equal = {}, true
  local ok, err = pcall(function()
    for i, r in ipairs(regions) do
      util.stage(self.chip, opts, "verify", ("%s: comparing %d bytes at 0x%X"):format(r.name, r.size, r.address))
      details[i] = compare(self, r, opts)
      equal = equal and details[i].equal
      if opts.each then opts.each(details[i]) end
    end
  end)
  input.close(regions)
  if not ok then error(err, 0) end
  return equal, details
end

-- Erasing -------------------------------------------------------------------------------------------------

--- Erase blocks. Those that are marked as bad keep their mark, and their content; those that fail are marked.
-- @param address multiple of BLOCK; size likewise, or "ALL" up to the end
-- @param opts { progress =, on_event = }
-- @return { address, size, seconds, erased = number of blocks, failed = list of blocks, skipped = list of blocks }
-- @raise bad_argument, does_not_fit, flash_protected, cancelled
function M:erase(address, size, opts)
  opts = opts or {}
  check_multiple("erase", "address", address)
  if type(size) == "string" and size:upper() == "ALL" then size = M.SIZE - address end
  check_multiple("erase", "size", size)
  check_range("erase", address, size)
  must_change(self, "erasing")
  local result = { address = address, size = size, erased = 0, failed = {}, skipped = {} }
  local bad, started = bad_set(self), task.now()
  util.stage(self.chip, opts, "erase", ("erasing 0x%X to 0x%X"):format(address, address + size - 1))
  for block = address // M.BLOCK, (address + size) // M.BLOCK - 1 do
    if bad[block] then
      result.skipped[#result.skipped + 1] = block
    else
      local ok, err = pcall(erase_block, self, block)
      if ok then
        result.erased = result.erased + 1
      elseif fail.is(err) and err.code == "nand_erase_failed" then
        local marked, why = pcall(condemn, self, { name = "erase", address = address, size = size }, block, err, opts,
                                  result)
        if not marked and not (fail.is(why) and why.code == "nand_not_marked") then error(why, 0) end
        if not marked then util.warn(self.chip, opts, why.code, why.message, { block = block }) end
      else
        if fail.is(err) then err.message = ("%s (%d blocks are erased)"):format(err.message, result.erased) end
        error(err, 0)
      end
    end
    util.progress(opts, (block + 1) * M.BLOCK - address, size, { phase = "erase", address = block * M.BLOCK })
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
