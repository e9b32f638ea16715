--- What a chip says on its serial line: the ROM's boot message, the download prompt, crashes, power failures.
-- Sources: ESP-IDF Programming Guide, "Fatal Errors"; esptool documentation, "Boot Log"; ESP8266 boot messages
-- from esptool documentation, "ESP8266 Boot Mode".
local M = {}

local MAX = 65536                         -- bytes looked at; a message is a few hundred

-- ESP8266: the first number of "boot mode:(3,6)"
local ESP8266_MODES = { [1] = "download", [3] = "flash" }

-- What the ROM prints when the flash holds nothing it can start.
local NO_PROGRAM = { "invalid header", "flash read err", "No bootable app", "ets_main.c", "csum err" }

--- Take a boot log apart.
-- @param bytes string, as received; noise around the texts does not matter
-- @return table, every key optional:
--   reset, reset_name     last reset cause: number and the ROM's word for it
--   boot, boot_name       last boot word: number and the ROM's word for it
--   mode                  "download", "flash" or "other", from the boot word
--   waiting               the ROM said that it waits for download
--   boots                 how many boot messages there are
--   panic                 what the crash message names, "" if it names nothing
--   brownout, no_program  booleans
--   rom                   the chip whose ROM this is, such as "esp32c3"; the ESP32's does not name it, but says when
--                         it was made
function M.parse(bytes)
  local text = bytes:sub(-MAX)
  local log = { boots = 0 }
  log.rom = text:match "ESP%-ROM:(%w+)" or text:find "ets J%l%l +%d+ 201[69] " and "esp32" or nil
  for reset, name, rest in text:gmatch "rst:0x(%x%x?%x?%x?) %(([^%)\r\n]*)%)([^\r\n]*)" do
    log.reset, log.reset_name = tonumber(reset, 16), name
    log.boot, log.boot_name = nil, nil
    local boot = rest:match "boot:0x(%x+)"
    if boot and #boot <= 8 then log.boot = tonumber(boot, 16) end
  end
  for boot, name in text:gmatch "boot:0x(%x+)([^\r\n]*)" do
    log.boots = log.boots + 1
    if #boot <= 8 then
      log.boot, log.boot_name = tonumber(boot, 16), name:match "^ ?%((.*)%)"
    end
  end
  for cause, mode in text:gmatch "rst cause:(%d+), boot mode:%((%d+)," do
    log.boots = log.boots + 1
    log.reset, log.boot = tonumber(cause), tonumber(mode)
    log.mode = ESP8266_MODES[log.boot] or "other"
  end
  if log.boot_name then
    log.mode = log.boot_name:find "DOWNLOAD" and "download" or log.boot_name:find "FLASH" and "flash" or "other"
  end
  if text:find("waiting for download", 1, true) then
    log.waiting, log.mode = true, "download"
  end
  local core, cause = text:match "G?uru Meditation Error: Core +(%d) panic'ed %(([^%)\r\n]*)%)"
  if core then log.panic = cause end
  if not log.panic and text:find "G?uru Meditation Error" then log.panic = "" end
  local number = text:match "F?atal exception %((%d+)%)" or text:match "Exception %((%d+)%)"
  if number then log.panic = "exception " .. number end
  log.brownout = text:find "[Bb]rownout detector was triggered" ~= nil
    or (log.reset_name or ""):find "BROWN_?OUT" ~= nil or nil
  for _, mark in ipairs(NO_PROGRAM) do
    if text:find(mark, 1, true) then log.no_program = true end
  end
  return log
end

-- Share of bytes that text may consist of.
local function readable(bytes)
  local _, count = bytes:gsub("[\t\r\n\27 -~]", "")
  return count / #bytes
end

--- Decide what the bytes of a failed connection mean.
-- @param bytes string: everything received since the reset, answers of the loader left out
-- @return "nothing", "download" (it waits for us), "application" (its program runs, or it tries to start one),
--   "garbage"; and the parsed log
function M.classify(bytes)
  if #bytes == 0 then return "nothing", { boots = 0 } end
  local log = M.parse(bytes)
  if log.mode == "download" then return "download", log end
  if log.mode or log.boot or log.panic or log.brownout or log.no_program then return "application", log end
  -- Zero bytes and a few stray ones come from the line itself when the chip goes into reset.
  local text = bytes:gsub("[%z\xFF]", "")
  if #text < 4 then return "nothing", log end
  if readable(text) >= 0.9 then return "application", log end
  return "garbage", log
end

--- One line about a parsed log, for a message.
-- @return string, "" when it says nothing
function M.describe(log)
  local parts = {}
  if log.boot then
    parts[#parts + 1] = ("boot word 0x%x%s"):format(log.boot, log.boot_name and " " .. log.boot_name or "")
  end
  if log.reset then
    parts[#parts + 1] = ("reset cause 0x%x%s"):format(log.reset, log.reset_name and " " .. log.reset_name or "")
  end
  if log.brownout then parts[#parts + 1] = "brownout: the supply voltage broke down" end
  if log.panic then
    parts[#parts + 1] = "its program crashed" .. (log.panic ~= "" and " (" .. log.panic .. ")" or "")
  end
  if log.no_program then parts[#parts + 1] = "there is no valid program in flash" end
  if log.boots > 2 then parts[#parts + 1] = ("it restarted %d times"):format(log.boots) end
  return table.concat(parts, ", ")
end

return M
