#!/usr/bin/env esplua
-- Certificates for debugging (ESP32-S31): what the chip says of itself for one, and handing it one.
local cli = require "esp.cli"

local args = cli.parse {
  summary = "Secure debug: read what a certificate needs of the chip, hand it the certificate.",
  examples = { "sdc info chip_info.bin", "sdc verify sdc_cert.bin -p /dev/ttyUSB0" },
  commands = {
    { name = "info", summary = "write the chip's information and a nonce, 64 bytes, to a file",
      { "output", type = "output", optional = true, default = "chip_info.bin",
        help = "file to write (chip_info.bin)" } },
    { name = "verify", summary = "hand the chip a certificate, which opens what it says until the next reset",
      { "file", type = "file", help = "the certificate" } },
  },
  cli.connection,
}

-- A reset would close again what the certificate opens, and make another nonce necessary.
if not args.given.after then args.after = "no-reset" end
args.baud = 115200

local run = {}

function run.info(chip, report)
  local info, nonce = require "esp.sdc".chip_info(chip)
  require "esp.file_writer".write(args.output, info .. nonce)
  report:result({ file = args.output, bytes = #info + #nonce },
                ("Wrote %s: %d bytes of information, %d of nonce"):format(args.output, #info, #nonce))
end

function run.verify(chip, report)
  require "esp.sdc".verify(chip, require "esp.file_reader".bytes(args.file))
  report:result({ file = args.file, verified = true }, "The chip takes the certificate")
end

cli.with_chip(args, run[args.command], { rom = true })
