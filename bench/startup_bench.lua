-- Start-up: `esplua version` beside `esptool version`: wall time and memory.
package.path = "bench/?.lua;" .. package.path
local side = require "side"
side.peer_note()
local ours = side.cost(30, side.esplua .. " version")
local theirs = side.esptool and side.cost(5, side.esptool .. " version") or {}
side.row("version: wall time", ours.wall, theirs.wall, "s", 1 / 10)
side.row("version: memory", ours.rss / 1024, theirs.rss and theirs.rss / 1024, "MiB", 1 / 3)
