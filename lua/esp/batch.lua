--- Several commands sent one behind the other, without waiting for each answer: a line with a long way to the chip is
-- then waited for once. A stub of ours keeps what arrives while it is at work. Of the ROMs those do whose chip data say
-- `at_once`; what arrives while they are at work has to fit into the UART's FIFO.
local fail = require "esp.error"
local M = {}

M.FIFO = 128                              -- bytes that a UART keeps for a ROM that is at work
local DAMAGED = { [0xC1] = true, [0xE5] = true }     -- the stub's error bytes for a request that came damaged

--- Whether a ROM takes several commands: over a UART whose rate is known. Nobody has tried its internal USB; and a ROM
-- that gets all of the next command while it is at work, as behind a socket, may never answer again.
function M.rom_takes_several(chip)
  local usb = chip.usb_mode or chip.usb and chip.usb.vid == require "esp.reset".ESPRESSIF_VID
  return not usb and chip.data.rom.at_once and chip.port:info().has_baud or false
end

-- Whether it can only be a refusal. That of a ROM to what it does not know, or does not take now, has the name of the
-- command before, or none.
local function refuses(reply)
  return reply.op and (#reply.body == 2 or #reply.body == 4) and reply.body:byte(1) ~= 0
end

-- The answer to one command; those to others are stragglers.
local function answer(chip, entry, deadline)
  local now = require "esp.core.task".now
  local reply, message, code
  repeat
    reply, message, code = chip.link:receive(math.max(deadline - now(), 0))
  until not reply or reply.op == entry[1] or entry.may_fail and refuses(reply)
  if not reply then
    local text = (not code or code == "timeout") and "no answer in time" or message or "no answer"
    fail { code = code or "timeout", message = ("command 0x%02X: %s"):format(entry[1], text) }
  end
  local body, least = reply.body, entry.reply or 0
  local at = #body - (chip.status_bytes or 2) + 1
  if #body == least + 2 or #body == least + 4 then at = least + 1 end
  if at <= least and #body >= 2 and body:byte(1) ~= 0 then at = 1 end      -- a refusal may be shorter
  if at < 1 or at <= least and body:byte(at) == 0 then
    fail { code = "bad_reply", message = ("command 0x%02X: an answer that makes no sense"):format(entry[1]) }
  end
  local status, err = body:byte(at, at + 1)
  if status == 0 then return { value = reply.value, body = body:sub(1, at - 1) } end
  if status >= 0xC0 then err = status end
  if entry.may_fail then return { refused = err } end
  fail { code = DAMAGED[err] and "bad_reply" or "rom_error", details = { op = entry[1], status = status, error = err },
         message = ("command 0x%02X was refused, error 0x%02X: %s"):format(entry[1], err,
           require "esp.core.link".error_text(err) or "unknown") }
end

local function send_and_collect(chip, list, seconds)
  local link = chip.link
  for _, entry in ipairs(list) do fail.check(nil, nil, link:send(entry[1], entry[2], entry.checksum)) end
  local results, deadline = {}, require "esp.core.task".now() + seconds
  for i, entry in ipairs(list) do results[i] = answer(chip, entry, deadline) end
  return results
end

--- Send commands, then take their answers. After a failure nobody knows which of them were done; the link is in step.
-- @param list of { op, data, checksum = true for that of a block, reply = bytes that an answer has before its status,
--   may_fail = true: a refusal is a result }
-- @param seconds until all are answered, from when all are sent; as for one command when absent
-- @return list of { value =, body = bytes before the status } or { refused = error byte }
-- @raise timeout, bad_reply, rom_error, port_*
function M.run(chip, list, seconds)
  local ok, result = pcall(send_and_collect, chip, list, seconds or chip.config.timeout)
  if ok then return result end
  if fail.is(result) and not (result.code or ""):find "^port_" then
    -- What comes after the answers to SYNC belongs to none of these.
    chip.link:flush()
    chip.link:sync { tries = 5, timeout = 0.1, pause = 0.05 }
  end
  error(result, 0)
end

return M
