#!/usr/bin/env esplua
-- Reads and writes memory and registers through the loader.
local cli = require "esp.cli"
local fail = require "esp.error"

local args = cli.parse {
  summary = "Read, write or dump memory and registers.",
  examples = {
    "mem read 0x60008844",
    "mem read 0x3FC80000 64",
    "mem write 0x60004004 1",
    "mem write 0x60004004 0x10 0xF0",
    "mem dump 0x40000000 384k rom.bin",
  },
  commands = {
    { name = "read", summary = "show a word, or COUNT bytes",
      { "address", type = "address", help = "where to begin" },
      { "count", type = "size", optional = true, max = 1 << 20, help = "bytes; one word without it" } },
    { name = "write", summary = "write a word, or the bits of it that MASK has",
      { "address", type = "address", multiple = 4, help = "a multiple of 4" },
      { "value", type = "int", min = 0, max = 0xFFFFFFFF, help = "32 bits" },
      { "mask", type = "int", min = 0, max = 0xFFFFFFFF, optional = true, help = "bits that change; all without it" } },
    { name = "dump", summary = "read memory into a file",
      { "address", type = "address", help = "where to begin" },
      { "size", type = "size", help = "bytes, with k or M behind" },
      { "file", type = "output", help = "file to write" } },
  },
  cli.progress, cli.connection,
}

local PIECE = 4096

local function check_range(address, size)
  if address + size > 1 << 32 then
    fail { code = "usage", message = ("0x%X bytes from 0x%X are past the end of memory"):format(size, address) }
  end
end

local run = {}

function run.read(chip, report)
  local address, count = args.address, args.count
  if not count and address % 4 == 0 then
    local value = chip:read_reg(address)
    return report:result({ address = address, value = value }, ("0x%08X = 0x%08X"):format(address, value))
  end
  local bytes = chip:read_mem(address, count or 4, { progress = report:bar "Reading" })
  local hex = bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  report:emit("result", { address = address, bytes = #bytes, hex = hex:sub(1, 4096) })
  for at = 1, #bytes, 16 do
    local row = bytes:sub(at, at + 15)
    local digits = row:gsub(".", function(c) return ("%02x "):format(c:byte()) end)
    report:say(("%08x  %-48s %s"):format(address + at - 1, digits, (row:gsub("[^\32-\126]", "."))))
  end
end

function run.write(chip, report)
  local address, mask = args.address, args.mask or 0xFFFFFFFF
  local before = chip:read_reg(address)
  chip:write_reg(address, args.value, mask)
  local after = chip:read_reg(address)
  report:result({ address = address, before = before, value = after, written = args.value, mask = mask },
    ("0x%08X: 0x%08X, was 0x%08X"):format(address, after, before))
end

function run.dump(chip, report)
  local fs = require "esp.core.fs"
  local f <close> = fail.check(nil, nil, fs.create(args.file))
  local progress = report:bar "Reading"
  for done = 0, args.size - 1, PIECE do
    local n = math.min(PIECE, args.size - done)
    local bytes = chip:read_mem(args.address + done, n, {
      progress = function(now) return progress(done + now, args.size) end })
    fail.check(nil, nil, f:write(bytes))
  end
  fail.check(nil, nil, f:commit())
  report:result({ address = args.address, bytes = args.size, file = args.file },
    ("%s: %s from 0x%08X"):format(args.file, report.bytes(args.size), args.address))
end

check_range(args.address, args.count or args.size or 4)
cli.with_chip(args, run[args.command], { rom = true })
