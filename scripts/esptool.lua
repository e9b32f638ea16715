#!/usr/bin/env esplua
-- Takes the command line of esptool, in its place. The binary does the same when it is called as `esptool`.
require "esp.cli".foreign {
  summary = "Take esptool's command line, in its place.",
  details = "esplua esptool --help shows it. doc/esptool.md tells what differs.",
  examples = { "esptool" },
}
os.exit(require "esp.esptool".main(arg))
