--- Failures in the words that programs and people who search for them know from esptool. What is not here keeps ours.
local chips = require "esp.chips"
local M = {}

local FORCE = "Use the force argument to flash anyway."

local function version(n)
  return ("v%d.%d"):format(n // 100, n % 100)
end

local ON = {}

-- A file for another chip, or a chip that is not the one that was named.
function ON.wrong_chip(err)
  local d = err.details or {}
  if not err.region and d.found then
    return ("This chip is %s, not %s. Wrong chip argument?"):format(chips.get(d.found).name, chips.get(d.wanted).name)
  end
  if not err.region then return nil end
  local id = d.found == "esp8266" and "none, as in images for the ESP8266" or d.found
  return ("Unexpected chip ID in image. Expected %s but value was %s. Is this image for a different chip model?\n"
    .. "'%s' is not an %s image. %s"):format(d.wanted == "esp8266" and "none" or d.wanted, id, err.region.name, d.name,
                                             FORCE)
end

function ON.wrong_revision(err)
  local d = err.details
  local this = ("(this chip is revision v%d.%d)"):format(d.revision.major, d.revision.minor)
  if not d.full then
    return ("'%s' requires chip revision %d or higher %s. %s"):format(err.region.name, d.min_rev, this, FORCE)
  end
  return ("'%s' requires chip revision in range [%s - %s] %s. %s"):format(err.region.name, version(d.min_rev_full),
    d.max_rev_full == 0xFFFF and "max rev not set" or version(d.max_rev_full), this, FORCE)
end

function ON.does_not_fit(err, command)
  local r = err.region
  if not r then return nil end
  if command ~= "write-flash" and command ~= "verify-flash" then
    return "Can't access flash regions larger than detected flash size: " .. err.message
  end
  return ("File '%s' (length %d) at offset 0x%08x will not fit in %d bytes of flash."):format(r.name, r.size, r.address,
    err.limit)
end

-- After writing: which of the two digests is whose is in our message.
function ON.verify_failed(err)
  if not err.flash_md5 then return nil end
  local known = err.empty and "Write failed, the written flash region is empty." or
                "MD5 of file does not match data in flash!"
  return ("%s\n%s"):format(known, err.message)
end

function ON.bad_reset_sequence(err)
  return "Invalid custom reset sequence option format: " .. err.message
end

-- What the boot log told while connecting.
function ON.nothing_received(err)
  return (err.message:gsub("nothing was received", "No serial data received."))
end

function ON.wrong_boot_mode(err)
  local log = err.details and err.details.log
  if not log or not log.boot then return nil end
  return ("%s. Wrong boot mode detected (0x%x)! The chip needs to be in download mode."):format(err.message, log.boot)
end

--- The message of an error object.
-- @param err from esp.error
-- @param command name of the command | nil
-- @return string
function M.of(err, command)
  local known = ON[err.code]
  return known and known(err, command) or err.message
end

return M
