#!/usr/bin/env esplua
-- The version of esplua and of the Lua inside.
local cli = require "esp.cli"

local args = cli.parse {
  summary = "Show the version.",
  examples = { "version", "version --json" },
}

local version = require "esp.version"
cli.run(args, function(report)
  report:result({ version = version, lua = _VERSION }, version)
end)
