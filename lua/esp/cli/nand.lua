--- flash, read, erase and verify with --flash-type nand: what the scripts of these names do for serial NAND flash.
local cli = require "esp.cli"
local fail = require "esp.error"
local M = {}

local GENERAL = { flash_type = true, nand_end_address = true, spi_connection = true, no_progress = true, json = true,
                  verbose = true, silent = true, port = true, confirm_port = true, baud = true, chip = true,
                  port_filter = true, before = true, after = true, connect_attempts = true, no_stub = true, stub = true,
                  rom_baud = true, override_vddsdio = true, trace = true }

--- Whether a command line is about NAND flash.
-- @param ... further options that only NAND flash has
-- @raise usage
function M.wanted(args, ...)
  if args.flash_type == "nand" then return true end
  for _, name in ipairs { "nand_end_address", ... } do
    if args.given[name] then
      fail { code = "usage", message = ("--%s goes with --flash-type nand"):format((name:gsub("_", "-"))) }
    end
  end
  return false
end

-- What has no meaning here is not silently left out.
local function only(args, ...)
  local known = {}
  for _, name in ipairs { ... } do known[name] = true end
  local names = {}
  for name in pairs(args.given) do
    if not GENERAL[name] and not known[name] then names[#names + 1] = name end
  end
  table.sort(names)
  if names[1] then
    fail { code = "usage", message = ("--%s does not go with --flash-type nand"):format((names[1]:gsub("_", "-"))) }
  end
  if args.no_stub then
    fail { code = "usage", message = "--no-stub does not go with --flash-type nand: the ROM loader cannot do it" }
  end
end

-- Addresses and files: there is no table of partitions that could say where something goes.
local function pairs_of(args)
  local inputs = require "esp.inputs"
  local list = inputs.pairs_of(args.files)
  if #list == 0 then fail { code = "usage", message = "argument FILE is missing" } end
  for _, pair in ipairs(list) do
    if not pair[1] then
      fail { code = "usage", hint = "an address before the file",
             message = ("%s: where in NAND flash?"):format(tostring(pair[2])) }
    end
  end
  if args.as_is then inputs.as_they_are(list) end
  for _, pair in ipairs(list) do
    if pair[2] == "-" then
      pair[2] = { data = io.stdin:read(require "esp.nand".SIZE + 1) or "", name = "standard input" }
      if #pair[2].data == 0 then fail { code = "bad_file", message = "standard input: nothing came" } end
    end
  end
  local regions = require "esp.input".load_all(list)
  require "esp.input".check_overlap(regions)
  return regions
end

-- Connect, and attach NAND flash.
local function with_nand(args, fn)
  cli.with_chip(args, function(chip, report)
    return fn(chip:nand { spi_connection = args.spi_connection }, report)
  end, { nand = true })
end

local function list_of(blocks)
  local words = {}
  for i, block in ipairs(blocks) do words[i] = ("0x%X"):format(block * require "esp.nand".BLOCK) end
  return table.concat(words, ", ")
end

function M.flash(args)
  only(args, "files", "compress", "no_compress", "erase_all", "as_is")
  local regions = pairs_of(args)
  with_nand(args, function(nand, report)
    if args.erase_all then nand:erase(0, "ALL", { progress = report:bar "Erasing" }) end
    local bytes, started = 0, require "esp.core.task".now()
    local done = nand:write(regions, {
      end_address = args.nand_end_address, compress = not args.no_compress, progress = report:bar "Writing",
      each = function(e)
        report:emit("written", e)
        report:note(("%s: 0x%X to 0x%X%s"):format(e.name, e.address, e.last,
          #e.failed > 0 and (", marked as bad: %s"):format(list_of(e.failed)) or ""))
        bytes = bytes + e.size
      end })
    local seconds = require "esp.core.task".now() - started
    report:result({ bytes = bytes, seconds = seconds, verified = true, regions = done },
      ("%s in %.1f s%s, verified"):format(report.bytes(bytes), seconds,
        seconds > 0 and (" (%s)"):format(report.rate(bytes / seconds)) or ""))
  end)
end

function M.read(args)
  only(args, "address", "size", "file", "force", "fill_bad")
  if not args.file then fail { code = "usage", message = "arguments ADDRESS, SIZE and FILE are needed" } end
  with_nand(args, function(nand, report)
    local bytes, info = nand:read(args.address, args.size == "all" and "ALL" or args.size, {
      file = args.file ~= "-" and args.file or nil, end_address = args.nand_end_address, force = args.force,
      fill = args.fill_bad, progress = report:bar "Reading" })
    if args.file == "-" then require "esp.file_writer".write_out(args.file, bytes) end
    report:result({ address = args.address, bytes = info.size, seconds = info.seconds, file = args.file,
                    skipped = info.skipped, corrected = info.corrected },
      ("%s: %s from 0x%X in %.1f s%s%s"):format(args.file == "-" and "standard output" or args.file,
        report.bytes(info.size), args.address, info.seconds,
        info.seconds > 0 and (" (%s)"):format(report.rate(info.size / info.seconds)) or "",
        info.corrected > 0 and (", %d pages needed correction"):format(info.corrected) or ""))
  end)
end

function M.erase(args)
  only(args, "address", "size")
  with_nand(args, function(nand, report)
    local done = nand:erase(args.address or 0, (not args.size or args.size == "all") and "ALL" or args.size,
                            { progress = report:bar "Erasing" })
    report:result(done, ("Erased 0x%X to 0x%X in %.1f s: %d blocks%s%s"):format(done.address,
      done.address + done.size - 1, done.seconds, done.erased,
      #done.skipped > 0 and (", left alone as bad: %s"):format(list_of(done.skipped)) or "",
      #done.failed > 0 and (", failed: %s"):format(list_of(done.failed)) or ""))
  end)
end

function M.verify(args)
  only(args, "files", "diff", "as_is")
  local regions = pairs_of(args)
  with_nand(args, function(nand, report)
    local each, finish = require "esp.cli.compared".new(report, args.diff)
    nand:verify(regions, { diff = args.diff, end_address = args.nand_end_address, progress = report:bar "Comparing",
                           each = each })
    finish()
  end)
end

return M
