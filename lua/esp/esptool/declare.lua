--- esptool's command line as data: options that come before the command, commands with theirs.
-- Source: esptool documentation 5.2, "Basic Commands", "Advanced Commands", "Basic Options", "Advanced Options";
-- spellings of version 4 as in its migration guide. An entry is as esp.cli.parser describes it; besides:
--   eat    the option takes all words up to the next option
--   pairs  words are taken as ADDRESS FILE, by twos
--   rom    the command is the ROM's: no stub is loaded
--   nand   the command is about NAND flash
--   sdc    the command only talks to the ROM: no stub, no other rate, no reset, no look at the chip
--   check  how a text is judged that has no type of its own (esp.esptool.args)
--   took   words that followed a flag in version 4
--   removed  what to say of an option that is no more
local M = {}

--- The version whose command line and output this follows.
M.VERSION = "5.2.0"

M.BEFORE = { "default-reset", "usb-reset", "no-reset", "no-reset-no-sync" }
M.AFTER = { "hard-reset", "soft-reset", "no-reset", "no-reset-stub", "watchdog-reset" }

local BAUD_MAX = require "esp.config".BAUD_MAX
local SIZES = { "256KB", "512KB", "1MB", "2MB", "2MB-c1", "4MB", "4MB-c1", "8MB", "16MB", "32MB", "64MB", "128MB" }
local FREQS = { "80m", "60m", "64m", "48m", "40m", "32m", "30m", "26m", "24m", "20m", "16m", "15m", "12m" }
local MODES = { "qio", "qout", "dio", "dout" }

local function with(first, list)
  local all = { table.unpack(first) }
  return table.move(list, 1, #list, #all + 1, all)
end

--- Options before the command.
M.global = {
  { "--chip", "-c", type = "chip", metavar = "CHIP", env = "ESPTOOL_CHIP", help = "chip to work with (auto)" },
  { "--port", "-p", type = "string", metavar = "PORT", env = "ESPTOOL_PORT",
    help = "serial device, socket://HOST:PORT, rfc2217://HOST:PORT or sim:CHIP; all ports are tried without it" },
  { "--baud", "-b", type = "int", min = 1, max = BAUD_MAX, metavar = "BAUD", env = "ESPTOOL_BAUD",
    help = "bits per second while working (115200)" },
  { "--port-filter", type = "string", check = "filter", many = true, eat = true, metavar = "KEY=VALUE",
    help = "try only ports with this vid, pid, name or serial" },
  { "--before", type = "choice", choices = M.BEFORE, metavar = "RESET", env = "ESPTOOL_BEFORE",
    help = "reset before connecting: " .. table.concat(M.BEFORE, ", ") },
  { "--after", "-a", type = "choice", choices = M.AFTER, metavar = "RESET", env = "ESPTOOL_AFTER",
    help = "reset at the end: " .. table.concat(M.AFTER, ", ") },
  { "--no-stub", help = "let the ROM loader do the work" },
  { "--stub-version", type = "choice", choices = { "1", "2" }, hidden = true,
    help = "accepted and not used: there is one flasher stub" },
  { "--stub", type = "string", check = "stub", metavar = "FILE",
    help = "use this flasher stub, or `ours` where it is not used unasked (not in esptool)" },
  { "--rom-baud", type = "int", min = 1, max = BAUD_MAX, metavar = "BAUD",
    help = "rate at which the ROM takes the stub (921600; not in esptool)" },
  { "--trace", "-t", help = "show every packet" },
  { "--verbose", "-v", help = "keep every line on the screen" },
  { "--silent", "-s", help = "print nothing but errors" },
  { "--override-vddsdio", type = "choice", choices = { "1.8V", "1.9V", "OFF" }, metavar = "VOLTAGE",
    help = "ESP32: supply of the flash; take care" },
  { "--connect-attempts", type = "int", metavar = "N", env = "ESPTOOL_CONNECT_ATTEMPTS",
    help = "how often connecting is tried, 0 or less for no end (7)" },
  { "--exit-classes", help = "exit with esplua's status per kind of failure (not in esptool)" },
  { "--help", "-h", help = "this text" },
}

local spi = { "--spi-connection", "-sc", type = "string", check = "pins", metavar = "PINS",
              help = "SPI, HSPI or five pin numbers CLK,Q,D,HD,CS; not on the ESP8266" }

local nand_type = {
  { "--flash-type", "-ft", type = "choice", choices = { "nor", "nand" }, default = "nor", hidden = true,
    help = "kind of flash" },
}
local nand = { nand_type, {
  { "--nand-end-address", type = "address", hidden = true,
    help = "NAND: where the room ends in which bad blocks are skipped (the end of the flash)" },
} }

local function flash_options(keep, detect, default_size)
  local head = keep and { "keep" } or {}
  local sizes = with(detect and { "detect" } or {}, with(head, SIZES))
  return {
    { "--flash-freq", "-ff", type = "choice", choices = with(head, FREQS), default = keep and "keep" or nil,
      metavar = "FREQ", env = "ESPTOOL_FF",
      help = "frequency of the flash: " .. table.concat(with(head, FREQS), ", ") },
    { "--flash-mode", "-fm", type = "choice", choices = with(head, MODES), default = keep and "keep" or "qio",
      metavar = "MODE", env = "ESPTOOL_FM", help = "mode of the flash: " .. table.concat(with(head, MODES), ", ") },
    { "--flash-size", "-fs", type = "choice", choices = sizes, default = keep and "keep" or default_size,
      metavar = "SIZE", env = "ESPTOOL_FS", help = "size of the flash: " .. table.concat(sizes, ", ") },
  }
end

local header = flash_options(true, true)
local size_only = header[3]
local no_progress = { "--no-progress", "-p", help = "no progress" }
local force_erase = { "--force", help = "erase although secure boot or flash encryption is on" }
local files = { "addr-filename", type = "string", many = true, pairs = true, metavar = "ADDRESS FILE",
                help = "where to, and what" }

local function status_bytes(what)
  return { "--bytes", type = "choice", choices = { "1", "2", "3" }, default = "2", help = what }
end

--- Commands in the order of the help.
M.commands = {
  { name = "write-flash", chip = true, summary = "Write files to flash.",
    { "addr-filename", type = "string", many = true, pairs = true, optional = true, metavar = "ADDRESS FILE",
      help = "where to, and what" },
    { "--erase-all", "-e", help = "erase all of flash first" },
    no_progress,
    { "--encrypt", excludes = "--encrypt-files", help = "let the chip encrypt what is written" },
    { "--encrypt-files", type = "string", many = true, eat = true, pairs = true, metavar = "ADDRESS FILE",
      help = "files that the chip encrypts" },
    { "--ignore-flash-enc-efuse", aliases = { "--ignore-flash-encryption-efuse-setting" },
      help = "encrypt although eFuses say that it cannot work" },
    { "--diff-with", type = "string", many = true, eat = true, metavar = "FILE",
      help = "what flash holds now, file by file, or skip: only what differs is written" },
    { "--trust-flash-content", aliases = { "--no-diff-verify" }, excludes = "--skip-flashed",
      help = "with --diff-with: do not ask the chip whether flash holds it" },
    { "--skip-flashed", "-s", excludes = "--diff-with", help = "do not write what is in flash already" },
    { "--force", help = "write in spite of security settings or an image for another chip" },
    { "--compress", "-z", excludes = "--no-compress", help = "send compressed data" },
    { "--no-compress", "-u", help = "send data as it is" },
    { "--verify", removed = "what is written is always verified; leave --verify out" },
    header, spi, nand },
  { name = "read-flash", chip = true, summary = "Read flash into a file.",
    { "address", type = "address", help = "where to begin" },
    { "size", type = "size", all = true, min = 0, help = "bytes, with k or M behind; ALL for the rest" },
    { "output", type = "output", help = "file to write" },
    no_progress, size_only, spi, nand },
  { name = "erase-flash", chip = true, summary = "Erase all of flash.", force_erase, spi, nand_type },
  { name = "erase-region", chip = true, summary = "Erase a region of flash.",
    { "address", type = "address", help = "where to begin, a multiple of 4096" },
    { "size", type = "size", all = true, help = "bytes, a multiple of 4096; ALL for the rest" },
    force_erase, spi, nand_type },
  { name = "read-mac", chip = true, summary = "Show the MAC address." },
  { name = "flash-id", chip = true, summary = "Show manufacturer, device and size of flash.", spi },
  { name = "elf2image", summary = "Make an image from an ELF file.",
    { "filename", type = "file", help = "ELF file" },
    { "--output", "-o", type = "string", metavar = "FILE", help = "image to write; for ESP8266 v1 a prefix" },
    { "--version", "-e", type = "choice", choices = { "1", "2", "3" }, default = "1", help = "ESP8266: image version" },
    { "--min-rev", "-r", type = "int", min = 0, max = 256, default = 0, hidden = true,
      help = "old minimum revision" },
    { "--min-rev-full", type = "int", min = 0, max = 65536, default = 0,
      help = "minimum revision, major * 100 + minor" },
    { "--max-rev-full", type = "int", min = 0, max = 65536, default = 65535, help = "maximum revision" },
    { "--secure-pad", help = "pad for secure boot V1" },
    { "--secure-pad-v2", help = "pad for secure boot V2" },
    { "--elf-sha256-offset", type = "int", metavar = "OFFSET", help = "where to put the SHA-256 of the ELF file" },
    { "--dont-append-digest", help = "no SHA-256 at the end" },
    { "--use-segments", help = "use program headers instead of sections" },
    { "--flash-mmu-page-size", type = "choice", choices = { "256KB", "128KB", "64KB", "32KB", "16KB", "8KB" },
      help = "page size of the flash cache" },
    { "--pad-to-size", aliases = { "--fill-flash-size" }, type = "string", metavar = "SIZE",
      help = "pad with 0xFF to a multiple of this size" },
    { "--ram-only-header", help = "RAM segments first; only they are counted" },
    flash_options(false, false, "1MB") },
  { name = "image-info", summary = "Describe an image file.",
    { "filename", type = "file", help = "image, or Intel HEX" },
    { "--version", type = "string", removed = "both forms of image-info were joined; leave --version out" } },
  { name = "merge-bin", summary = "Join files to one.",
    files,
    { "--output", "-o", type = "string", metavar = "FILE", required = true, help = "file to write" },
    { "--format", "-f", type = "choice", choices = { "raw", "uf2", "hex" }, default = "raw",
      help = "form of the file" },
    { "--chunk-size", type = "int", multiple = 4, help = "UF2: bytes of data in a block" },
    { "--md5-disable", help = "UF2: no MD5" },
    { "--target-offset", "-t", type = "int", default = 0, metavar = "ADDRESS", help = "raw: where the file will go" },
    { "--pad-to-size", aliases = { "--fill-flash-size" }, type = "choice", metavar = "SIZE",
      choices = { "256KB", "512KB", "1MB", "2MB", "4MB", "8MB", "16MB", "32MB", "64MB", "128MB" },
      help = "raw: pad with 0xFF to this size" },
    flash_options(true, false) },
  { name = "version", summary = "Show the version." },
  { name = "verify-flash", chip = true, advanced = true, summary = "Compare files with flash.",
    files, { "--diff", "-d", took = { "yes", "no" }, help = "list what differs" }, header, spi, nand_type },
  { name = "load-ram", chip = true, advanced = true, summary = "Load an image to RAM and run it.",
    { "filename", type = "file", help = "image for RAM" } },
  { name = "dump-mem", chip = true, advanced = true, summary = "Read memory into a file.",
    { "address", type = "address", help = "where to begin" },
    { "size", type = "size", help = "bytes, with k or M behind" },
    { "output", type = "output", help = "file to write" } },
  { name = "read-mem", chip = true, advanced = true, summary = "Show a word of memory.",
    { "address", type = "address", help = "a multiple of 4" } },
  { name = "write-mem", chip = true, advanced = true, summary = "Write a word of memory, or bits of it.",
    { "address", type = "address", help = "a multiple of 4" },
    { "value", type = "int", min = 0, max = 0xFFFFFFFF, help = "32 bits" },
    { "mask", type = "int", min = 0, max = 0xFFFFFFFF, optional = true, default = 0xFFFFFFFF,
      help = "bits that change" } },
  { name = "read-flash-status", chip = true, advanced = true, summary = "Show the status registers of flash.",
    status_bytes "how many to read", spi },
  { name = "write-flash-status", chip = true, advanced = true, summary = "Write the status registers of flash.",
    { "value", type = "int", min = 0, max = 0xFFFFFF, help = "first register in the low byte" },
    { "--non-volatile", help = "so that it survives power off" },
    status_bytes "how many to write", spi },
  { name = "read-flash-sfdp", chip = true, advanced = true, summary = "Show what flash says of itself (SFDP).",
    { "address", type = "int", min = 0, max = 0xFFFFFF, help = "where to begin" },
    { "bytes", type = "int", min = 1, max = 4, help = "1 to 4" },
    header, spi },
  { name = "get-security-info", chip = true, advanced = true, summary = "Show the security state of the chip." },
  { name = "chip-id", chip = true, advanced = true, summary = "Show the id of the chip." },
  { name = "run", chip = true, rom = true, advanced = true, summary = "Start the program in flash." },
  { name = "verify-sdc-certificate", chip = true, rom = true, sdc = true, advanced = true,
    summary = "Hand a certificate to the chip.",
    { "filename", type = "file", help = "the certificate" } },
  { name = "read-sdc-chip-info", chip = true, rom = true, sdc = true, advanced = true,
    summary = "Read the chip's part of a certificate.",
    { "--output", "-o", type = "output", default = "chip_info.bin", metavar = "FILE", help = "file to write" } },
  { name = "read-nand-spare", chip = true, nand = true, hidden = true, summary = "NAND: read a bad-block mark.",
    { "page", type = "int", min = 0, help = "number of the page" }, spi },
  { name = "write-nand-spare", chip = true, nand = true, hidden = true, summary = "NAND: write a bad-block mark.",
    { "page", type = "int", min = 0, help = "number of the page" },
    { "mark", type = "int", min = 0, max = 1, help = "1 marks the block as bad" }, spi },
  { name = "dump-bbm", chip = true, nand = true, hidden = true, summary = "NAND: list bad blocks.",
    { "output", type = "output", help = "file to write" },
    { "--block-count", type = "int", min = 1, default = 1024, help = "how many blocks" }, spi },
}

--- Commands that are no more, with what to say.
M.removed = {
  ["make-image"] = "make-image is gone; merge-bin and elf2image make images",
}

--- Words of version 4 that have another name now, beside those where only "_" became "-".
M.renamed = {
  ["--ignore_flash_encryption_efuse_setting"] = "--ignore-flash-enc-efuse",
}

return M
