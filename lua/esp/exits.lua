--- Exit status of the program by the code of an error. doc/errors.md shows the same table.
local M = {}

-- { status, name, what it means, codes }
M.classes = {
  { 1, "script", "an error in a script, or one of no other class",
    { "failed", "script_error", "no_memory", "too_long" } },
  { 2, "usage", "wrong command line, environment variable, reset sequence, or no such script",
    { "usage", "bad_argument", "bad_config", "bad_reset_sequence", "script_missing" } },
  { 10, "port", "the port cannot be opened or used, or is gone",
    { "port_missing", "port_busy", "port_denied", "port_failed", "port_closed", "port_gone", "sim_failed" } },
  { 11, "connect", "no connection to the chip's loader",
    { "nothing_received", "no_reply", "wrong_boot_mode", "garbage", "no_sync" } },
  { 12, "chip", "another chip, another revision, or something this chip cannot do",
    { "wrong_chip", "unknown_chip", "wrong_revision", "unknown_oui", "unsupported" } },
  { 13, "security", "refused because of the chip's security settings",
    { "protected_region", "encryption_active", "encryption_refused", "secure_download_mode" } },
  { 14, "file", "a file is missing, unreadable or not what it should be",
    { "file_missing", "file_denied", "bad_file", "bad_image", "bad_hex", "bad_json", "bad_partition_table",
      "bad_nvs", "bad_zip", "bad_flasher_args" } },
  { 15, "plan", "what was asked for does not fit: past the end of flash, overlapping, of unknown size",
    { "does_not_fit", "overlap", "flash_size_unknown", "no_partition", "nand_no_room" } },
  { 16, "output", "output cannot be written", { "disk_full", "file_failed" } },
  { 20, "transfer", "the line failed, or the chip refused a command, while working",
    { "timeout", "bad_reply", "rom_error", "checksum", "target_panic", "flash_failed", "flash_protected",
      "erase_failed", "nand_program_failed", "nand_erase_failed", "nand_not_marked", "nand_uncorrectable" } },
  { 21, "verify", "flash does not hold what it should", { "verify_failed" } },
  { 70, "internal", "esplua could not start", { "internal" } },
  { 130, "interrupted", "stopped by Ctrl-C or by a progress callback", { "interrupted", "cancelled" } },
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
