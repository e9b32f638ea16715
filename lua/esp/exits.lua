--- Exit status of the program by the code of an error. doc/errors.md shows the same table.
local M = {}

-- { status, name, what it means, codes }
M.classes = {
  { 1, "script", "an error in a script, or one of no other class", { "failed", "script_error" } },
  { 2, "usage", "wrong command line, environment variable or configuration file",
    { "usage", "bad_argument", "bad_config", "script_missing" } },
  { 10, "port", "the port cannot be opened or used",
    { "port_missing", "port_busy", "port_denied", "port_failed", "no_port", "port_unsupported" } },
  { 11, "connect", "no connection to the chip's loader",
    { "no_sync", "wrong_boot_mode", "nothing_received", "no_reply", "connect_failed" } },
  { 12, "chip", "another chip, another revision, or something this chip cannot do",
    { "wrong_chip", "unknown_chip", "wrong_revision", "unsupported" } },
  { 13, "security", "refused because of the chip's security settings", { "security", "secure_download" } },
  { 14, "input", "an input file is missing, unreadable or no valid image",
    { "file_missing", "file_denied", "bad_file", "bad_image", "bad_hex", "bad_json", "image_truncated" } },
  { 15, "plan", "what was asked for does not fit: over the end of flash, overlapping, not aligned",
    { "too_large", "overlap", "bad_alignment", "out_of_range" } },
  { 16, "output", "an output file cannot be written", { "output_failed", "disk_full" } },
  { 20, "transfer", "the connection failed or the chip refused a command while working",
    { "timeout", "bad_reply", "rom_error", "checksum", "port_gone", "target_panic", "write_failed", "cancelled" } },
  { 21, "verify", "flash does not hold what it should", { "verify_failed" } },
  { 70, "internal", "a defect of esplua", { "internal" } },
  { 130, "interrupted", "stopped by Ctrl-C", { "interrupted" } },
}

local by_code = {}
for _, class in ipairs(M.classes) do
  for _, code in ipairs(class[4]) do by_code[code] = class end
end

--- Class of an error code.
-- @return status, name of the class
function M.of(code)
  local class = by_code[code] or M.classes[1]
  return class[1], class[2]
end

--- Exit status for a caught error of any kind.
function M.status(err)
  if type(err) == "table" and err.code then return (M.of(err.code)) end
  return 1
end

return M
