--- What the flash methods share: events, time-outs, sizes by name, trying again.
local fail = require "esp.error"
local M = {}

M.SECTOR = 0x1000
M.BLOCK64 = 0x10000
local MIB = 1024 * 1024
local SETTLE = 0.02                        -- seconds; USB adapters hand on what they received within 16 ms

-- Used where the chip object has no configuration of its own; the values of section "Configuration file".
local DEFAULTS = {
  timeout = 3, chip_erase_timeout = 120, max_timeout = 240, md5_timeout_per_mb = 8,
  erase_region_timeout_per_mb = 40, erase_write_timeout_per_mb = 40, write_block_attempts = 3,
}

--- A configured value.
function M.config(chip, key)
  local value = chip.config and chip.config[key]
  if value == nil then value = DEFAULTS[key] end
  return value
end

--- A time-out that grows with the size: seconds per MB, never less than for an ordinary command.
function M.timeout(chip, key, size)
  local t = math.max(M.config(chip, "timeout"), M.config(chip, key) * size / MIB)
  return math.min(t, M.config(chip, "max_timeout"))
end

--- Tell whoever listens: the call's on_event, else the connection's.
-- @param event { type = "note" | "warning" | "stage", code = stable word, text = for people, ... }
function M.emit(chip, opts, event)
  local listener = opts and opts.on_event or chip.on_event
  if listener then listener(event) end
end

--- What an event or an error says of a region.
function M.about(region)
  return { name = region.name, address = region.address, size = region.size }
end

function M.warn(chip, opts, code, text, more)
  local e = more or {}
  e.type, e.code, e.text = "warning", code, text
  M.emit(chip, opts, e)
end

function M.note(chip, opts, code, text, more)
  local e = more or {}
  e.type, e.code, e.text = "note", code, text
  M.emit(chip, opts, e)
end

--- Start of a part of the work that takes time.
function M.stage(chip, opts, code, text, more)
  local e = more or {}
  e.type, e.code, e.text = "stage", code, text
  M.emit(chip, opts, e)
end

--- "4MB" to 4194304; also "512KB" and "2MB-c1". nil when it is no size.
function M.size_bytes(name)
  local n, unit = tostring(name):upper():match "^(%d+)([KM])B?%-?C?1?$"
  if not n then return nil end
  return tonumber(n) * (unit == "K" and 1024 or MIB)
end

--- 4194304 to "4MB".
function M.size_name(bytes)
  if bytes % MIB == 0 then return bytes // MIB .. "MB" end
  if bytes % 1024 == 0 then return bytes // 1024 .. "KB" end
  return bytes .. " bytes"
end

-- Codes of failures of the line, after which asking again may help.
local LINE_FAULTS = { timeout = true, bad_reply = true, checksum = true, no_reply = true, no_sync = true }
--- Codes after which the port has to be opened anew.
M.LOST_PORT = { port_gone = true, port_failed = true }

-- Error bytes of a ROM for a request that arrived damaged; it knows no error 0.
local DAMAGED = { [0x05] = true, [0x07] = true, [0x00] = true }

--- Whether a failure is the line's, so that asking again may help.
-- @param err error object, or its { code =, details = }
function M.line_fault(err)
  local details = err.details
  if err.code == "rom_error" then return type(details) == "table" and DAMAGED[details.error] == true end
  return LINE_FAULTS[err.code] == true
end

--- Call f until it succeeds; faults of the line are forgiven.
-- @param attempts how often at most
-- @param f function that raises
function M.again(chip, attempts, f, ...)
  while true do
    local result = table.pack(pcall(f, ...))
    if result[1] then return table.unpack(result, 2, result.n) end
    local err = result[2]
    attempts = attempts - 1
    if attempts <= 0 or not (fail.is(err) and M.line_fault(err)) then error(err, 0) end
    chip.flash_faults = (chip.flash_faults or 0) + 1
    M.settle(chip)
  end
end

--- After a disturbed exchange: let stragglers arrive, then drop them.
function M.settle(chip)
  if not chip.link then return end
  require "esp.core.task".sleep(SETTLE)
  pcall(chip.link.flush, chip.link)
end

M.HINTS = {
  flash_protected = "clear the protection bits of its status registers, or release its WP pin",
  flash_failed = "does it have power, and is it on these pins? `esplua info` shows whether it answers",
}

--- Pass on what a primitive of the link returned, or raise its failure as an error object.
-- @param what put before the message
-- @return everything the primitive returned
function M.raise(what, hint, ...)
  local first, message, code, details = ...
  if first == nil and message ~= nil then
    fail { code = code or "failed", message = what .. ": " .. tostring(message), hint = hint or M.HINTS[code],
           details = details }
  end
  return ...
end

--- What a payload answers; a file that changed or vanished meanwhile raises.
function M.ask(payload, method, ...)
  return fail.check(nil, "did the file change meanwhile?", payload[method](payload, ...))
end

--- A command without data worth keeping, tried again when the line fails. Only for what may run twice.
function M.command(chip, what, op, data, options)
  options = options or {}
  return M.again(chip, options.attempts or 3, function()
    return M.raise(what, options.hint, chip.link:command(op, data, {
      timeout = options.timeout or M.config(chip, "timeout"), status = chip.status_bytes,
      reply = options.reply, checksum = options.checksum }))
  end)
end

--- Turn false from a progress callback into the error "cancelled".
function M.progress(opts, done, total, info)
  if opts and opts.progress and opts.progress(done, total, info) == false then
    fail { code = "cancelled", message = "cancelled", done = done, total = total }
  end
end

--- What esp.inputs must know of a chip.
function M.about_chip(chip, opts)
  return { chip = chip.id, device = chip, force = opts.force, table = opts.partition_table,
           table_offset = opts.partition_table_offset, flash_mode = opts.flash_mode, flash_freq = opts.flash_freq,
           flash_size = opts.flash_size, spi_connection = opts.spi_connection, min_rev_full = opts.min_rev_full,
           mmu_page_size = opts.mmu_page_size, ignore_app_descriptor = opts.ignore_app_descriptor }
end

--- Options with the flash parameters of a build, where none were given.
function M.with_settings(opts, settings)
  return settings and setmetatable({}, { __index = function(_, k)
    local v = opts[k]
    if v == nil then return settings[k] end
    return v
  end }) or opts
end

--- Compare regions with flash one after the other, telling of each.
-- @param opts { each = function(details), on_event = }
-- @param compare function(region) giving its details, with `equal`
-- @param prepare function(region) that is called before, or nil
-- @return true, or false when one is not equal; list of the details
function M.compare_all(chip, regions, opts, compare, prepare)
  local details, equal = {}, true
  for i, r in ipairs(regions) do
    if prepare then prepare(r) end
    M.stage(chip, opts, "verify", ("%s: comparing %d bytes at 0x%X"):format(r.name, r.size, r.address))
    details[i] = compare(r)
    equal = equal and details[i].equal
    if opts.each then opts.each(details[i]) end
  end
  return equal, details
end

return M
