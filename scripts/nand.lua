#!/usr/bin/env esplua
-- Looks after the blocks of a serial NAND flash: which are bad, marking them, how many errors need correction.
local cli = require "esp.cli"
local fail = require "esp.error"
local nand_flash = require "esp.nand"

local args = cli.parse {
  summary = "Show and mark the bad blocks of serial NAND flash; check its pages.",
  details = "Writing, reading, comparing and erasing are done by `flash`, `read`, `verify` and `erase` with "
    .. "--flash-type nand. Blocks may be given by number, or by an address as 0x....",
  examples = { "nand info", "nand info -sc 12,13,11,9,10 -p /dev/ttyUSB0", "nand bad --json", "nand check 0 ALL",
               "nand spare 128", "nand mark 0x40000", "nand dump marks.bin" },
  commands = {
    { name = "info", summary = "show which part it is, and how many blocks are bad" },
    { name = "bad", summary = "list the blocks that are marked as bad" },
    { name = "spare", summary = "show the first spare bytes of a page: in a block's first page, its mark",
      { "page", type = "int", min = 0, max = nand_flash.PAGES - 1, help = "number of the page" } },
    { name = "mark", summary = "mark a block as bad: it is left out from then on, with what lies in it",
      { "block", type = "string", help = "number, or address as 0x..." } },
    { name = "unmark", summary = "take away a block's mark, by erasing the block",
      { "block", type = "string", help = "number, or address as 0x..." },
      { "--force", help = "needed: whether it was the maker who marked it cannot be told" } },
    { name = "check", summary = "count the pages with errors, corrected and not",
      { "address", type = "address", default = 0, optional = true, help = "where to begin (0)" },
      { "size", type = "size", all = true, optional = true, help = "bytes, with k or M behind; ALL for the rest" } },
    { name = "dump", summary = "write a file with a byte for each block: 0 good, 1 bad",
      { "file", type = "output", help = "file to write" } },
  },
  cli.spi, cli.progress, cli.connection,
}

local BLOCK = nand_flash.BLOCK

-- The number of a block, from a number or an address.
local function block_of(text)
  local n = require "esp.cli.types".integer(text)
  if not n or n < 0 then fail { code = "usage", message = ("BLOCK: '%s' is no number"):format(text) } end
  if text:find "^0[xX]" then
    if n % BLOCK ~= 0 then
      fail { code = "usage", message = ("BLOCK: no block begins at %s"):format(text), hint = "0x20000, 0x40000, ..." }
    end
    n = n // BLOCK
  end
  if n >= nand_flash.BLOCKS then
    fail { code = "usage", message = ("BLOCK: there is no block %s"):format(text),
           hint = ("blocks are 0 to %d"):format(nand_flash.BLOCKS - 1) }
  end
  return n
end
local block = args.block and block_of(args.block)
if args.command == "unmark" and not args.force then
  fail { code = "usage", message = ("block %d (0x%X) would be erased, and its mark lost, which its maker may have set")
           :format(block, block * BLOCK), hint = "--force does it" }
end

local run = {}

function run.info(nand, report)
  local bad = nand:bad_blocks()
  report:result({ id = ("%06x"):format(nand.id), name = nand.name, bytes = nand.SIZE, page = nand.PAGE,
                  spare = nand.SPARE, block = nand.BLOCK, blocks = nand.BLOCKS, bad = #bad },
    ("%s (id %06x), %s: %d blocks of 128 KiB, pages of 2048 + 64 bytes, %d bad block%s"):format(nand.name, nand.id,
      report.bytes(nand.SIZE), nand.BLOCKS, #bad, #bad == 1 and "" or "s"))
end

function run.bad(nand, report)
  local bad = nand:bad_blocks()
  for _, b in ipairs(bad) do
    report:emit("bad_block", { block = b, address = b * BLOCK })
    report:say(("%4d  0x%08X"):format(b, b * BLOCK))
  end
  report:result({ bad = #bad, blocks = nand.BLOCKS }, ("%d of %d blocks are bad"):format(#bad, nand.BLOCKS))
end

function run.spare(nand, report)
  local word = nand:spare(args.page)
  local first = args.page % (BLOCK // nand.PAGE) == 0
  report:result({ page = args.page, word = word, bad = first and word & 0xFF ~= 0xFF or nil },
    ("page %d: %02x %02x %02x %02x%s"):format(args.page, word & 0xFF, word >> 8 & 0xFF, word >> 16 & 0xFF,
      word >> 24, first and (word & 0xFF == 0xFF and ", the block is good" or ", the block is bad") or ""))
end

function run.mark(nand, report)
  nand:mark(block)
  report:result({ block = block, address = block * BLOCK }, ("block %d (0x%X) is marked as bad"):format(block,
                                                                                                     block * BLOCK))
end

function run.unmark(nand, report)
  nand:unmark(block)
  report:result({ block = block, address = block * BLOCK }, ("block %d (0x%X) is erased, and counts as good")
    :format(block, block * BLOCK))
end

function run.check(nand, report)
  local size = (not args.size or args.size == "all") and nand.SIZE - args.address or args.size
  local good = nand:layout(args.address, size, nand.SIZE)
  local last, total = good[#good], 0
  for _, r in ipairs(good) do
    if r.address < args.address + size then total = total + r.size end
  end
  local r = last and nand:check(args.address, math.min(total, size), { progress = report:bar "Reading" })
    or { pages = 0, corrected = 0, lost = 0 }
  report:result(r, ("%d pages: %d needed correction, %d are beyond it%s"):format(r.pages, r.corrected, r.lost,
    r.first_lost and (", the first is page %d (0x%X)"):format(r.first_lost, r.first_lost * nand.PAGE) or ""))
end

function run.dump(nand, report)
  local marks = nand:marks()
  require "esp.file_writer".write(args.file, marks)
  local _, bad = marks:gsub("\1", "")
  report:result({ file = args.file, blocks = #marks, bad = bad },
                ("%s: %d blocks, %d bad"):format(args.file, #marks, bad))
end

cli.with_chip(args, function(chip, report)
  run[args.command](chip:nand { spi_connection = args.spi_connection }, report)
end, { nand = true })
