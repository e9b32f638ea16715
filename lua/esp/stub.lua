--- The flasher stub: a small program that is loaded into the chip and answers in the ROM's place from then on.
-- Ours has extensions, which it is asked for; see doc/stub-protocol.md. Any other in esptool's JSON form serves too.
local chips = require "esp.chips"
local fail = require "esp.error"
local M = {}

local CAPABILITIES, MEM_BEGIN, MEM_DATA, MEM_END, READ_FLASH_SLOW = 0xF0, 0x05, 0x07, 0x06, 0x0E
local GREETING = "OHAI"
local OURS = "ours"                       -- instead of a file's name
local LARGEST = 256 * 1024                -- bytes of a file's segment; no chip has room for more
local SMALL = 0x400                       -- bytes of a block that is not waited for
local ANSWERS = 0.5                       -- seconds in which they are all answered, once they have been sent
local STARTS = 2                          -- seconds until a stub that was started has said something
local BITS = { window = 1, digests = 128, packed = 4, resume = 8, crc = 16, encrypt = 32, compare = 64,
               nand = 256 }
local BLOCK, BLOCK_PLAIN = 0x800, 0x4000  -- with many blocks on the way, and one by one
local LEAST_CREDIT = 2 * 0x800

--- A stub from the text of a file in esptool's form.
-- @param text JSON object with entry, text, text_start, data, data_start (the last two may be absent)
-- @param name of the file, for messages
-- @param ours true: what it tells of its abilities is believed
-- @return { name =, entry = address, segments = list of { address, bytes }, capabilities = list of words or nil }
-- @raise bad_file
function M.parse(text, name, ours)
  local function bad(what)
    fail { code = "bad_file", message = ("%s: %s"):format(name, what),
           hint = "a flasher stub in esptool's JSON form is expected" }
  end
  if #text > 4 * LARGEST then bad "too large" end
  local ok, o = pcall(require "esp.json".decode, text)
  if not ok or type(o) ~= "table" then bad "no JSON object" end
  local function address(key)
    local n = o[key]
    if math.type(n) ~= "integer" or n < 0 or n > 0xFFFFFFFF then bad(key .. " is no address") end
    return n
  end
  local stub = { name = name, entry = address "entry", segments = {}, capabilities = ours and o.capabilities or nil }
  for _, key in ipairs { "text", "data" } do
    if key == "text" or o[key] ~= nil then
      local bytes = type(o[key]) == "string" and require "esp.base64".decode(o[key])
      if not bytes then bad(key .. " is not base64") end
      local start = address(key .. "_start")
      if #bytes > LARGEST or start + #bytes > 0xFFFFFFFF or start % 4 ~= 0 then
        bad(("%s does not fit at 0x%X"):format(key, start))
      end
      if #bytes > 0 then stub.segments[#stub.segments + 1] = { start, bytes } end
    end
  end
  local first = stub.segments[1]
  if not first or stub.entry < first[1] or stub.entry >= first[1] + #first[2] then bad "entry is not inside of text" end
  return stub
end

--- Our stub for a chip.
-- @param nand with the commands for NAND flash
-- @return as parse gives it, nil when there is none for this chip
function M.built_in(chip, nand)
  local file = chips.for_revision(chip.data.stub.files, not chip.sdm and chip.revision_number or 0)
  local name = ("stubs/%s.json"):format(nand and chip.data.nand.stub or file and file.name or chip.id)
  local text = require "esp.core.pack".read(name)
  return text and M.parse(text, name, true) or nil
end

--- A stub from a file.
function M.load(path)
  local f, message = io.open(path, "rb")
  if not f then fail { code = "file_missing", message = message } end
  local text = f:read(4 * LARGEST + 1)
  f:close()
  return M.parse(text or "", path)
end

-- A stub for another chip shows by where it wants to go.
local function check_place(chip, stub, path)
  for _, segment in ipairs(stub.segments) do
    local first, stop, inside = segment[1], segment[1] + #segment[2], false
    for _, range in pairs(chip.data.memory) do
      inside = inside or not range.flash and first >= range[1] and stop <= range[2]
    end
    if not inside then
      fail { code = "bad_file", hint = "is this flasher stub for another chip?",
             message = ("%s: its code goes to 0x%X, where the %s has no memory"):format(path, first, chip.name) }
    end
  end
end

local function listed(list, value)
  for _, v in ipairs(list or {}) do
    if v == value then return true end
  end
  return false
end

-- The fact without which our stub is not started on a real chip unasked, nil when all are established.
local function missing(chip)
  local unproven = chip.data.stub.unproven
  if not unproven or unproven.below and chip.revision_number >= unproven.below then return nil end
  return unproven.fact
end

-- Why no stub is used: words for a warning and a hint, or false for silently.
local function hindrance(chip, o)
  local data = chip.data.stub
  if o.no_stub then return false end
  if o.after == "soft-reset" and not data.soft_reset then return "only the ROM loader can do a soft reset" end
  if chip.sdm then return "the chip is in secure download mode" end
  if data.default == "none" and not o.stub then return "there is none for this chip" end
  local fact = not o.stub and chip.port:info().kind ~= "sim" and missing(chip)
  if fact then
    return ("not established for %s is %s"):format(chip.name, fact), "--stub ours tries it all the same"
  end
  if require "esp.identity".flash_type(chip) == "octal" then return "its flash has eight data lines" end
  if listed(data.skip_revisions, chip.revision_number) then
    return ("it does not run on revision %s"):format(tostring(chip.revision))
  end
  if data.skip_with_secure_boot and require "esp.identity".secure_boot(chip) then
    return "secure boot is on, and with it this ROM starts nothing that was loaded into RAM"
  end
  return nil
end

--- The stub that is to be used with a chip.
-- @param o options of esp.connect: no_stub, stub = path or "ours"
-- @return as parse gives it, or nil; a warning event says why when it is not what was to be expected
function M.choose(chip, o)
  if o.flash_type == "nand" then require "esp.nand".needs_chip(chip, o.no_stub) end
  local why, hint = hindrance(chip, o)
  if why == false then return nil end
  if not why then
    local theirs = o.stub and o.stub ~= OURS and M.load(o.stub)
    if theirs then check_place(chip, theirs, o.stub) end
    local stub = theirs or M.built_in(chip, o.flash_type == "nand")
    if stub then return stub end
    why = "there is none for this chip"
  end
  chip:tell { type = "warning", code = "no_stub", hint = hint,
              text = ("no flasher stub, the ROM loader does the work: %s"):format(why) }
  return nil
end

-- Keeps what a stub can do beyond the public protocol.
local function keep_abilities(chip, bits, credit, block, window)
  local can = { credit = credit, block = block, window_bytes = window }
  for name, bit in pairs(BITS) do can[name] = bits & bit ~= 0 end
  can.window = can.window and can.crc and credit >= LEAST_CREDIT and block >= BLOCK
  can.ahead_block = BLOCK
  chip.stub_can = can
  chip.link:set_guard(can.crc)
end

--- What the stub that answers can do beyond the public protocol: asked of it, unless it is one of ours that has just
-- been loaded. Sets chip.stub_can.
-- @param stub as built_in gives it, or nil
function M.recognise(chip, stub)
  chip.stub_can, chip.flash_block = nil, BLOCK_PLAIN
  if chip.usb_mode == "otg" then chip.flash_block = math.min(BLOCK_PLAIN, chip.data.rom.usb_block or 0x800) end
  if stub and stub.capabilities then return keep_abilities(chip, table.unpack(stub.capabilities)) end
  local version, body = chip.link:command(CAPABILITIES, "", { timeout = chip.config.timeout, status = 2 })
  if version and version >= 1 and #body >= 16 then keep_abilities(chip, ("<I4I4I4I4"):unpack(body)) end
end

-- How a chip is made to jump to an address.
local jump = {}

function jump.mem_end(chip, entry)
  fail.check(nil, nil, chip.link:send(MEM_END, ("<I4I4"):pack(0, entry)))
end

-- The ROM's function that reads flash is called through a pointer in RAM. Returns what undoes it.
function jump.redirect_flash_read(chip, entry)
  local pointer = chip.data.stub.rom.flash_read_pointer
  local before = chip:read_reg(pointer)
  fail.check(nil, nil, chip.link:command(MEM_END, ("<I4I4"):pack(1, 0)))
  chip:write_reg(pointer, entry)
  fail.check(nil, nil, chip.link:send(READ_FLASH_SLOW, ("<I4I4"):pack(0, 0)))
  return function() chip:write_reg(pointer, before) end
end

-- Starts what has been loaded. Returns whether it has said its word.
local function start(chip, stub)
  local task = require "esp.core.task"
  local link = chip.link
  local other_way = chip.data.stub.start_with_secure_boot
  local way = other_way and require "esp.identity".secure_boot(chip) and other_way or "mem_end"
  local undo = jump[way](chip, stub.entry)
  local deadline = task.now() + STARTS
  repeat
    local reply, message, code = link:receive(math.max(deadline - task.now(), 0))
    if reply and reply.frame == GREETING then return true, undo end
    if reply and reply.op == MEM_END and reply.body:byte(1) == 1 then
      return false, ("MEM_END was refused, error 0x%02X"):format(reply.body:byte(2) or 0)
    end
    if not reply and code ~= "timeout" then fail { code = code, message = message } end
  until task.now() >= deadline
  return false, "it did not answer"
end

-- Loads the segments without waiting for each answer. Small blocks: while a ROM looks at one, what follows has to fit
-- into the UART's FIFO. Returns nil when something of it did not arrive.
local function load_at_once(chip, segments)
  local list, size = {}, 0
  for _, segment in ipairs(segments) do
    local address, bytes = segment[1], segment[2] .. ("\0"):rep(-#segment[2] % 4)
    list[#list + 1] = { MEM_BEGIN, ("<I4I4I4I4"):pack(#bytes, (#bytes + SMALL - 1) // SMALL, SMALL, address) }
    for at = 0, #bytes - 1, SMALL do
      local block = bytes:sub(at + 1, at + SMALL)
      list[#list + 1] = { MEM_DATA, ("<I4I4I4I4"):pack(#block, at // SMALL, 0, 0) .. block, checksum = true }
    end
    size = size + #bytes
  end
  local ok, e = pcall(require "esp.batch".run, chip, list, ANSWERS + size * 11 / chip.baud)
  if ok then return true end
  if not (fail.is(e) and (e.code == "rom_error" or require "esp.flash_util".line_fault(e))) then error(e, 0) end
  return nil
end

-- What arrived damaged is refused. A segment that was is sent again, from its beginning.
local TRIES = 3
local function load(chip, segment)
  for try = 1, TRIES do
    local ok, err = pcall(chip.load_block, chip, segment[1], segment[2])
    if ok then return end
    if try == TRIES or not fail.is(err) or err.code ~= "rom_error" then error(err, 0) end
    chip.link:flush()
  end
end

--- Load a stub and start it.
-- @param one_by_one each block is waited for
-- @return true | nil, message: it did not start, and the chip has to be reset
-- @raise what the link raises
function M.run(chip, stub, one_by_one)
  chip:tell { type = "stage", code = "stub", text = "Starting the flasher stub" }
  local quick = not one_by_one and require "esp.batch".rom_takes_several(chip)
  if not (quick and load_at_once(chip, stub.segments)) then
    for _, segment in ipairs(stub.segments) do load(chip, segment) end
  end
  local ok, more = start(chip, stub)
  if not ok then return nil, ("%s: %s"):format(stub.name, more) end
  chip.stub, chip.status_bytes = true, 2
  chip.link:set_status_bytes(2)
  if more then more() end
  M.recognise(chip, stub)
  return true
end

return M
