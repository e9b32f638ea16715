--- Which chip answers: by its security information, or by a word of its ROM. What the boot log says is not believed,
-- but tells what to ask for in one go.
local bootlog = require "esp.bootlog"
local chips = require "esp.chips"
local fail = require "esp.error"
local identity = require "esp.identity"
local loader = require "esp.loader"
local named = require "esp.connect_failure".named
local synchronise = require "esp.synchronise"
local M = {}

local OP = loader.OP
local MAGIC_ADDRESS = 0x40001000          -- ROM code: another word in each chip of the first three kinds

local INFO_SIZES = { 20, 12 }             -- the second is that of the first chip to have the command
local UNKNOWN_COMMAND = 0x05

-- Seconds for the first answers: a loader that was not synchronised with, and should have been, stays silent.
local UNSURE = 0.5
local function first_wait(chip)
  local timeout = chip.config.timeout
  return chip.options.before == "no-reset-no-sync" and math.min(UNSURE, timeout) or timeout
end

-- Asks for the security information. Returns its bytes | nil, message, code; "rom_error": the chip does not have it.
-- The answer is looked at here, because nothing is known of the chip yet: a ROM without the command answers eight
-- times over, under the name of the command before.
local function ask_security_info(chip)
  local task = require "esp.core.task"
  local ok, message, code = chip.link:send(OP.GET_SECURITY_INFO)
  if not ok then return nil, message, code end
  local deadline = task.now() + first_wait(chip)
  repeat
    local reply
    reply, message, code = chip.link:receive(math.max(deadline - task.now(), 0))
    if not reply then break end
    local body = reply.body or ""
    if reply.op == OP.GET_SECURITY_INFO then
      for _, size in ipairs(INFO_SIZES) do
        if #body >= size + 2 then
          if body:byte(size + 1) == 0 then return body:sub(1, size) end
          return nil, "GET_SECURITY_INFO was refused", "rom_error"
        end
      end
      if #body >= 2 and body:byte(1) ~= 0 then return nil, "GET_SECURITY_INFO was refused", "rom_error" end
    elseif reply.op and #body >= 2 and body:byte(1) ~= 0 and body:byte(2) == UNKNOWN_COMMAND then
      return nil, "GET_SECURITY_INFO is unknown", "rom_error"
    end
  until false
  return nil, message, code
end

-- The chip that has secure download mode and does not tell its id.
local function nameless_chip()
  for _, id in ipairs(chips.list()) do
    local data = chips.get(id)
    if data.security_info == "no_chip_id" then return data end
  end
end

local function take_security(chip, info)
  chip.security = identity.decode_security_info(info)
  chip.sdm = chip.security.set.secure_download
end

-- The chip of the boot log, when it answers as that one does. Its registers are known then.
local function foreseen(chip, o)
  local name = chip.heard and not chip.stub and bootlog.parse(chip.heard).rom
  if not name then return nil end
  local ok, data = pcall(chips.get, name)
  if not ok then return nil end
  local word, info = require "esp.foresight".identify(chip, o, data, MAGIC_ADDRESS)
  if info then take_security(chip, info) end
  local id = chip.security and chip.security.chip_id
  if id and chips.by_image_id(id) == data or not id and data.magic and word == data.magic then return data end
  chip.security, chip.sdm, chip.known, chip.fuses = nil, false, nil, {}
  return nil
end

-- Which chip answers. Returns data | nil, what is not known, true when there is no help for it
local function identify(chip, o)
  local wanted = o.chip
  local data = foreseen(chip, o)
  if data then return data end
  local function read_magic()
    local value, message, code = chip:try_command(OP.READ_REG, ("<I4"):pack(MAGIC_ADDRESS),
                                                  { timeout = first_wait(chip) })
    return value, message, code
  end
  -- A chip without the command need not be asked for what it refuses: one that the user named, or the one whose ROM
  -- answers with a status of two bytes.
  local likely = wanted or not chip.stub and chips.by_status_bytes(chip.sync_status)
  if likely and likely.magic and not likely.security_info and read_magic() == likely.magic then return likely end
  local info, message, code = ask_security_info(chip)
  if info then
    take_security(chip, info)
    local id = chip.security.chip_id
    if id then
      local dropped
      data, dropped = chips.by_image_id(id)
      if data then return data end
      if dropped then
        return nil, ("this is an %s, silicon that was never sold and is not supported"):format(dropped), true
      end
      return nil, ("unknown chip id %d"):format(id)
    end
    if chip.sdm then return nameless_chip() end
  elseif code and code:find "^port_" then
    fail { code = code, message = named(chip, message) }
  elseif code ~= "rom_error" then
    synchronise.listen(chip.port, synchronise.LONGEST_LOG)
    chip.link:flush()
  end
  local magic
  magic, message, code = read_magic()
  if not magic then
    if code == "rom_error" and chip.security then
      chip.sdm = true
      return nameless_chip()
    end
    fail { code = code, message = named(chip, message), hint = chip.options.before == "no-reset-no-sync" and
           "a loader must be talking already, at this rate; --before no-reset synchronises with it first"
           or "it answered before: does the line damage what is sent? try a shorter cable, or another port" }
  end
  data = chips.by_magic(magic)
  if data then return data end
  return nil, ("unknown chip, word 0x%08X at 0x%08X"):format(magic, MAGIC_ADDRESS)
end

--- Find out which chip it is; once more after a new connection when that fails. Sets chip.security and chip.sdm.
-- @param o options of esp.connect
-- @return data of the chip
-- @raise wrong_chip, unknown_chip, what synchronising raises
function M.chip(chip, o)
  chip:tell { type = "stage", code = "detecting", text = "Detecting the chip" }
  local ok, data, unknown, fatal = pcall(identify, chip, o)
  if not ok then
    local code = fail.is(data) and data.code
    if not code or code == "interrupted" or code == "cancelled" or o.before == "no-reset-no-sync" then
      error(data, 0)
    end
    chip:tell { type = "note", code = "detect_again", text = "detection failed, connecting again: " .. tostring(data) }
    chip.security, chip.sdm, chip.known = nil, false, nil
    chip.stub = synchronise.run(chip, o)
    data, unknown, fatal = identify(chip, o)
  end
  if data and o.chip and data.id ~= o.chip.id then
    fail { code = "wrong_chip", message = ("%s: this chip is %s, not %s"):format(chip.url, data.name, o.chip.name),
           hint = "give the right --chip, or leave it out", details = { found = data.id, wanted = o.chip.id } }
  end
  if not data then
    if not o.chip or fatal then
      fail { code = "unknown_chip", message = ("%s: %s"):format(chip.url, unknown),
             hint = not fatal and "name the nearest relative with --chip to go on anyway" or nil }
    end
    chip:tell { type = "warning", code = "unknown_chip",
                text = ("this does not look like an %s: %s; going on anyway"):format(o.chip.name, unknown) }
    data = o.chip
  end
  return data
end

return M
