--- esptool's commands for serial NAND flash, on the library's calls. Blocks that are marked as bad are left out by all
-- of them, erasing included: it would take away the mark.
local fail = require "esp.error"
local nand_flash = require "esp.nand"
local M = {}

local BLOCK = nand_flash.BLOCK
local DIFFERENCES = 1 << 30

local function speed(bytes, seconds)
  return seconds > 0 and (" (%.1f kbit/s)"):format(bytes * 8 / 1000 / seconds) or ""
end

local function attach(self, chip, args)
  self.screen:warning "NAND flash support is experimental, it has not been tried on a board."
  self.screen:print(("Configuring SPI NAND flash mode (%s)..."):format(args.spi_connection))
  local nand = chip:nand { spi_connection = args.spi_connection }
  self.screen:print(("Detected NAND chip: %s (1Gbit)"):format(nand.name))
  if self.global.trace then
    self.screen:print(("NAND debug: status=0x%02x, JEDEC ID: mfr=0x%02x dev=0x%04x, prot=0x%02x"):format(nand.status,
      nand.id >> 16, nand.id & 0xFFFF, nand.protect))
  end
  return nand
end

-- What the library tells on the way, in the lines of this tool. `skipped`: how a block that is left out is told of.
local function hook(self, skipped)
  local screen, told = self.screen, {}
  self.hook = function(e)
    if e.code == "nand_skipped" then
      for _, block in ipairs(e.blocks) do
        if not told[block] then screen:print(skipped:format(block * BLOCK)) end
        told[block] = true
      end
    elseif e.code == "nand_block_failed" then
      local what = e.text:find "E%-FAIL" and "E_FAIL reported by NAND chip" or e.text:find "P%-FAIL"
        and "P_FAIL reported by NAND chip" or "Write verify failed"
      screen:warning(("%s at 0x%08x, marking as bad block"):format(what, e.block * BLOCK))
      told[e.block] = true
    elseif e.code == "nand_not_marked" then
      screen:warning(("Failed to mark the block at 0x%08x as bad."):format(e.block * BLOCK))
    else
      return e.code == "write" or e.code == "read" or e.code == "erase" or e.code == "verify"
    end
    return true
  end
end

local function progress(args, bar, what)
  return not args.no_progress and function(done, total, info)
    if done > 0 then bar(("%s 0x%08x"):format(what, info.address), done, total) end
  end or nil
end

local function files(self, pairs_of)
  local list = {}
  for _, pair in ipairs(pairs_of) do
    local f = io.open(pair[2], "rb")
    local empty = f and f:seek "end" == 0
    if f then f:close() end
    if empty then
      self.screen:warning(("'%s' is empty."):format(pair[2]))
    else
      list[#list + 1] = { pair[1], pair[2] }
    end
  end
  return list
end

-- What esptool would leave out without a word.
local function refuse(args)
  for _, name in ipairs { "encrypt", "encrypt_files", "diff_with", "skip_flashed" } do
    if args.given[name] then
      fail { code = "usage", message = ("--%s does not go with NAND flash."):format((name:gsub("_", "-"))) }
    end
  end
end

local run = {}

local function erase(self, args, nand, what, address, size)
  local screen = self.screen
  hook(self, "")
  screen:stage()
  screen:print(("Erasing %s..."):format(what))
  local done = nand:erase(address, size, { marked = args.force })
  screen:finish()
  screen:print(("%s erase complete in %.1fs: %d blocks erased, %d failed (marked bad)%s."):format(
    what:gsub("flash ", ""):gsub(" flash", ""), done.seconds, done.erased, #done.failed,
    #done.skipped > 0 and (", %d marked as bad before and left alone"):format(#done.skipped) or ""))
  self.hook = nil
end

run["write-flash"] = function(self, args)
  if #args.encrypt_files == 0 and #args.addr_filename == 0 then
    fail { code = "usage", message = "Missing argument 'ADDRESS FILE'." }
  end
  refuse(args)
  local regions = require "esp.input".load_all(files(self, args.addr_filename))
  return function(chip)
    local screen = self.screen
    local nand = attach(self, chip, args)
    hook(self, "Found bad block at 0x%08x, trying next block!")
    if args.erase_all then erase(self, {}, nand, "NAND flash", 0, "ALL") end
    hook(self, "Found bad block at 0x%08x, trying next block!")
    screen:stage()
    local bar = screen:bar()
    nand:write(regions, {
      end_address = args.nand_end_address or nand.SIZE, compress = not args.no_compress,
      progress = progress(args, bar, "Writing at"),
      each = function(e)
        screen:finish()
        screen:print(("Wrote %d bytes%s at 0x%08x in %.1f seconds%s."):format(e.size,
          e.packed and (" (%d compressed)"):format(e.wire) or "", e.address, e.seconds, speed(e.size, e.seconds)))
        if #e.skipped > 0 then screen:note(("Its last byte is at 0x%08x, behind bad blocks."):format(e.last)) end
        if e.verified then screen:print "Hash of data verified." end
        screen:stage()
      end })
    screen:finish()
    self.hook = nil
  end
end

run["read-flash"] = function(self, args)
  return function(chip)
    local screen = self.screen
    local nand = attach(self, chip, args)
    hook(self, "Skipping bad block at 0x%08x during read")
    screen:stage()
    local _, done = nand:read(args.address, args.size == "all" and "ALL" or args.size, {
      file = args.output, end_address = args.nand_end_address,
      progress = progress(args, screen:bar(), "Reading from") })
    screen:finish()
    screen:print(("Read %d bytes from 0x%08x in %.1f seconds%s to '%s'."):format(done.size, args.address, done.seconds,
                                                                       speed(done.size, done.seconds), args.output))
  end
end

run["verify-flash"] = function(self, args)
  for _, pair in ipairs(args.addr_filename) do
    if pair[1] % BLOCK ~= 0 then
      fail { code = "bad_argument",
             message = ("For NAND flash, verify address must be a multiple of NAND block size (0x%x)."):format(BLOCK) }
    end
  end
  return function(chip)
    local screen = self.screen
    local nand = attach(self, chip, args)
    local equal = true
    for _, region in ipairs(require "esp.input".load_all(args.addr_filename)) do
      hook(self, "Skipping bad block at 0x%08x during verify")
      screen:print(("Verifying 0x%x (%d) bytes at 0x%08x against '%s'..."):format(region.size, region.size,
                                                                                region.address, region.name))
      local same, details = nand:verify({ region }, { diff = args.diff, limit = DIFFERENCES })
      local count, first = {}, {}
      for _, d in ipairs(details[1].differences or {}) do
        local at = d.address // BLOCK * BLOCK
        count[at], first[at] = (count[at] or 0) + 1, first[at] or d.address - at
      end
      for _, at in ipairs(details[1].wrong) do
        screen:print(args.diff and ("  Block at 0x%08x: %d byte differences, first at offset %d"):format(at,
          count[at] or 0, first[at] or 0) or ("  Block at 0x%08x: MISMATCH"):format(at))
      end
      screen:print(same and "Verification successful." or "Verification failed.")
      equal = equal and same
    end
    self.hook = nil
    if not equal then fail { code = "verify_failed", message = "Verification failed." } end
  end
end

run["erase-flash"] = function(self, args)
  return function(chip, nand)
    erase(self, args, nand or attach(self, chip, args), "NAND flash", 0, "ALL")
  end
end

run["erase-region"] = function(self, args)
  for _, name in ipairs { "address", "size" } do
    if args[name] ~= "all" and args[name] % BLOCK ~= 0 then
      fail { code = "bad_argument", message = ("%s must be a multiple of NAND block size (%d)."):format(
               name == "address" and "Offset to erase from" or "Size of data to erase", BLOCK) }
    end
  end
  return function(chip)
    erase(self, args, attach(self, chip, args), "NAND flash region", args.address,
          args.size == "all" and "ALL" or args.size)
  end
end

run["read-nand-spare"] = function(self, args)
  return function(chip)
    local word = attach(self, chip, args):spare(args.page)
    self.screen:print(("NAND spare for page %d: first word 0x%08x (bad-block marker byte = 0x%02x)"):format(args.page,
                                                                                                    word, word & 0xFF))
  end
end

run["write-nand-spare"] = function(self, args)
  return function(chip)
    local word = attach(self, chip, args):write_spare(args.page, args.mark == 1)
    self.screen:print(("NAND spare written for page %d: echo 0x%08x"):format(args.page, word))
    if args.mark == 0 and word & 0xFF ~= 0xFF then
      self.screen:warning "The mark of a bad block cannot be written away: only erasing the block clears it."
    end
  end
end

run["dump-bbm"] = function(self, args)
  return function(chip)
    local nand = attach(self, chip, args)
    local marks, screen = nand:marks(args.block_count), self.screen
    require "esp.file_writer".write(args.output, marks)
    local bad = {}
    for block = 0, #marks - 1 do
      if marks:byte(block + 1) == 1 then bad[#bad + 1] = block end
    end
    screen:print(("BBM dump: %d blocks scanned, %d bad."):format(#marks, #bad))
    if #bad > 0 then screen:print(("Bad block indices: [%s]"):format(table.concat(bad, ", "))) end
    screen:print(("Written to '%s' (%d bytes, 0x00=good 0x01=bad)."):format(args.output, #marks))
  end
end

--- What carries out a command for NAND flash.
-- @param command its declaration
-- @param args its values
-- @return function(self, args), as in esp.esptool.flash
-- @raise usage
function M.handler(command, args)
  if not args.spi_connection then
    fail { code = "usage", message = "--spi-connection is required for NAND flash operations." }
  end
  return run[command.name]
end

return M
