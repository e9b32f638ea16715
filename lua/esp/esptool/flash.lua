--- esptool's commands that write, read, erase and compare flash, on the library's calls.
local fail = require "esp.error"
local input = require "esp.input"
local M = {}

local ALL_DIFFERENCES = 1 << 30
local SECURITY = "Security features enabled"
local MANY_RANGES = 8                      -- places that are told one by one

local function speed(bytes, seconds)
  return seconds > 0 and (" (%.1f kbit/s)"):format(bytes * 8 / 1000 / seconds) or ""
end

-- The line that says how flash is reached, where the ROM does the work or pins were given.
local function tell_attach(self, chip, connection)
  if connection then
    self.screen:print(("Configuring SPI flash mode (%s)..."):format(connection))
  elseif not chip.stub then
    self.screen:print "Enabling default SPI flash mode..."
  end
end

--- Attach flash, as every flash command does first.
function M.attach(self, chip, args)
  tell_attach(self, chip, args.spi_connection)
  return chip:attach { spi_connection = args.spi_connection, flash_size = args.flash_size }
end

local function flash_size(args)
  return args.flash_size ~= "keep" and args.flash_size or nil
end

local function tell_size(self, chip, args)
  self.screen:print "Configuring flash size..."
  if args.flash_size == "detect" and not chip.sdm then
    local id = chip:flash_id { spi_connection = args.spi_connection }
    if id.size_name then self.screen:print("Auto-detected flash size: " .. id.size_name) end
  end
end

-- How large flash is, where ALL of it is meant.
local function tell_all(self, chip, args)
  if args.size ~= "all" or chip.sdm then return end
  local id = chip:flash_id { spi_connection = args.spi_connection }
  if id.size_name then self.screen:print("Detected flash size: " .. id.size_name) end
end

-- write-flash ---------------------------------------------------------------------------------------------

local function is_empty(self, path)
  local f <close> = io.open(path, "rb")
  if not f or f:seek "end" ~= 0 then return false end
  self.screen:warning(("'%s' is empty."):format(path))
  return true
end

local function load_files(self, args)
  local list, diff = {}, require "esp.flash_diff".files(args.diff_with, #args.addr_filename)
  local function add(pair, encrypt, old)
    if not is_empty(self, pair[2]) then
      list[#list + 1] = { pair[1], pair[2], encrypt = encrypt, diff = old }
    end
  end
  for i, pair in ipairs(args.addr_filename) do add(pair, nil, diff[i]) end
  for _, pair in ipairs(args.encrypt_files) do add(pair, true) end
  if #args.encrypt_files > 0 then table.sort(list, function(a, b) return a[1] < b[1] end) end
  local regions = input.load_all(list)
  local ok, err = pcall(input.check_overlap, regions)
  if not ok then
    input.close(regions)
    require "esp.esptool.images".overlap(err)
  end
  return regions
end

-- Turns what the library tells while writing into lines. One object per run.
local function writer(self, args)
  local screen = self.screen
  local now = require "esp.core.task".now
  local w = { on = {} }
  local on = w.on
  local current                                           -- the region being written

  -- How it went, once everything is sent: before comparing begins, or at the end.
  local function wrote()
    if not current or current.told then return end
    current.told = true
    -- Where only parts were sent the last of them may have ended before the end.
    if w.bar and not args.no_progress then
      w.bar(("Writing at 0x%08x"):format(current.address + current.size), current.size, current.size)
    end
    local seconds = now() - current.started
    screen:finish()
    -- Where all was sent, the size of the compressed data; of parts, what they took on the line.
    local packed = current.packed and (current.parts and math.min(current.wire, current.packed) or current.packed)
    screen:print(("Wrote %d bytes%s at 0x%08x in %.1f seconds%s."):format(current.size,
      packed and (" (%d compressed)"):format(packed) or "", current.address, seconds,
      speed(current.size, seconds)))
  end

  -- That all is erased is told by what comes next.
  local function erased()
    if not w.erasing then return end
    screen:finish()
    screen:print(("Flash memory erased successfully in %.1f seconds."):format(now() - w.erasing))
    w.erasing = nil
  end

  local function tell_erase(e)
    if args.erase_all then return end
    if #e.erase > MANY_RANGES then
      return screen:print(("Flash will be erased in %d places from 0x%08x to 0x%08x..."):format(#e.erase, e.erase_from,
                                                                                              e.erase_to))
    end
    for _, range in ipairs(e.erase) do
      screen:print(("Flash will be erased from 0x%08x to 0x%08x..."):format(range[1], range[2]))
    end
  end

  local header_told = {}                                  -- names of files

  local function header_kept(why)
    screen:warning(("%s, so not changing any flash settings."):format(why:gsub("^%l", string.upper)))
  end

  function on.write(e)
    local region = e.region
    erased()
    if self.chip.sdm and not header_told[region.name] then header_kept(SECURITY) end
    current = { size = region.size, address = region.address, name = region.name, started = now(),
                packed = e.packed, parts = e.parts, wire = 0 }
    if #args.diff_with > 0 and e.parts then
      local n = w.changed
      screen:print(("Reflashing %d changed sector%s at 0x%08x..."):format(n, n == 1 and "" or "s", e.erase_from))
    end
    tell_erase(e)
    screen:stage()
    if e.packed then screen:print(("Compressed %d bytes to %d..."):format(region.size, e.packed)) end
    w.bar = screen:bar()
    w.progress(0, region.size)
  end

  function on.neighbour_lost(e)
    local over = e.region.address % input.SECTOR
    screen:note(("Flash address 0x%08x is not aligned to a 0x%x byte flash sector. "
      .. "0x%x bytes before this address will be erased."):format(e.region.address, input.SECTOR, over))
  end

  local function verifying()
    wrote()
    screen:stage()
    screen:print "Verifying written data..."
    if current then current.verifying = true end
  end
  on.verify = verifying

  function on.not_verified(e)
    wrote()
    if not self.chip.sdm and e.text:find "encrypted" == nil then return end     -- a ROM without digests: silence
    screen:print "Cannot verify written data if encrypted or in secure download mode."
  end

  function on.kept(e)
    erased()
    w.changed = (e.region.size - e.kept + input.SECTOR - 1) // input.SECTOR
    if #args.diff_with == 0 then
      screen:note(("'%s': %d of %d bytes are in flash already, only the rest is sent."):format(e.region.name, e.kept,
                                                                                           e.region.size))
    elseif args.trust_flash_content then
      screen:print "No diff verification enabled, will reflash changed sectors without pre-verification..."
    else
      screen:print "Diff data in flash matches, will reflash changed sectors only..."
    end
  end

  function on.already_flashed(e)
    if args.skip_flashed or #args.diff_with > 0 then
      screen:print(("'%s' at 0x%08x already in flash, skipping write."):format(e.region.name, e.region.address))
    else
      screen:note(("'%s' is in flash already, nothing needs to be sent."):format(e.region.name))
    end
  end

  function on.header_patched(e)
    screen:print(("Flash parameters set to 0x%04x."):format(e.value))
    if e.sha256 then screen:print "SHA digest in image updated." end
  end

  function on.header_kept(e)
    local why = e.text:match "not changed, (.*)$" or e.text
    if why:find "security" then
      why = SECURITY
      header_told[e.text:match "^(.*): flash settings" or ""] = true
    end
    header_kept(why)
  end

  function on.diff_impossible()
    screen:note "Diff data in flash has changed, flashing all of the new data..."
  end

  function on.erase()
    w.erasing = now()
    screen:stage()
    screen:print "Erasing flash memory (this may take a while)..."
  end

  function on.written(e)
    local r = e.region
    wrote()
    -- Our stub compares while it writes: programs see the same lines.
    if r.verified and not (current and current.verifying) then verifying() end
    screen:finish()
    if r.verified then screen:print "Hash of data verified." end
    current = nil
  end

  function on.skipped(e)
    local r = e.region
    if not (args.skip_flashed or #args.diff_with > 0) then
      screen:print(("Wrote %d bytes%s at 0x%08x in %.1f seconds."):format(r.size,
        (args.compress or not args.no_compress and self.chip.stub) and " (0 compressed)" or "", r.address,
        r.verify_seconds or 0))
      if r.verified then screen:print "Hash of data verified." end
    end
    current = nil
  end

  function w.progress(done, total, info)
    if info and info.phase == "erase" then return end
    if not current then return end
    current.wire = info and info.wire or current.wire
    if not self.chip.stub and not current.begun and info and info.begin_seconds then
      current.begun = true                                -- a ROM erases all of it at the beginning
      screen:print(("Took %.2fs to erase flash block."):format(info.begin_seconds))
    end
    if args.no_progress or not w.bar then return end
    -- The ROM loader is sent whole words and blocks: what stands before or behind the file does not count.
    total = math.min(total, current.size)
    done = math.min(done, total)
    w.bar(("Writing at 0x%08x"):format(current.address + done), done, total)
  end

  function w.hook(e)
    if not on[e.code] then return false end
    on[e.code](e)
    return true
  end
  return w
end

M["write-flash"] = function(self, args)
  if #args.encrypt_files == 0 and #args.addr_filename == 0 then
    fail { code = "usage", message = "Missing argument 'ADDRESS FILE'." }
  end
  local regions = load_files(self, args)
  if #regions == 0 then return function() end end
  return function(chip)
    local w = writer(self, args)
    self.hook = w.hook
    local screen = self.screen
    if args.trust_flash_content and #args.diff_with == 0 then
      screen:note "--trust-flash-content does nothing without --diff-with."
    end
    if chip.sdm and args.flash_size == "detect" then
      fail { code = "flash_size_unknown", hint = "give it with --flash-size, or leave that out",
             message = "Detecting flash size is not supported in secure download mode." }
    end
    tell_attach(self, chip, args.spi_connection)
    tell_size(self, chip, args)
    local compress = nil
    if args.compress then compress = true elseif args.no_compress then compress = false end
    chip:flash(regions, {
      flash_mode = args.flash_mode, flash_freq = args.flash_freq, flash_size = args.flash_size,
      spi_connection = args.spi_connection, compress = compress, erase_all = args.erase_all, encrypt = args.encrypt,
      ignore_flash_enc_efuse = args.ignore_flash_enc_efuse, skip_flashed = args.skip_flashed,
      trust_flash_content = args.trust_flash_content, force = args.force, lenient = true,
      progress = w.progress,
    })
    self.hook = nil
  end
end

-- the others ----------------------------------------------------------------------------------------------

M["read-flash"] = function(self, args)
  return function(chip)
    local screen = self.screen
    M.attach(self, chip, args)
    tell_size(self, chip, args)
    tell_all(self, chip, args)
    screen:stage()
    local bar = screen:bar()
    self.hook = function(e) return e.code == "read" end
    local _, done = chip:read(args.address, args.size == "all" and "ALL" or args.size, {
      file = args.output, flash_size = flash_size(args), spi_connection = args.spi_connection,
      progress = not args.no_progress and function(n, total)
        if n > 0 then bar(("Reading from 0x%08x"):format(args.address + n), n, total) end
      end or nil })
    screen:finish()
    screen:print(("Read %d bytes from 0x%08x in %.1f seconds%s to '%s'."):format(done.size, args.address, done.seconds,
                                                                       speed(done.size, done.seconds), args.output))
  end
end

-- What write-flash takes a file for: Intel HEX, or the bytes that it has.
local function as_written(path)
  local f <close> = io.open(path, "rb")
  local head = f and f:read(600) or ""
  return { file = path, format = require "esp.hex".looks_like(head) and "hex" or "raw" }
end

-- Files that lie over each other cannot all be in flash: a mistake in the command line.
local function refuse_overlap(pairs)
  local ok, err = pcall(function()
    local regions = input.load_all(pairs)
    local fine, overlap = pcall(input.check_overlap, regions)
    input.close(regions)
    if not fine then error(overlap, 0) end
  end)
  if not ok and fail.is(err) and err.code == "overlap" then require "esp.esptool.images".overlap(err) end
end

M["verify-flash"] = function(self, args)
  local files = {}
  for _, pair in ipairs(args.addr_filename) do
    if not is_empty(self, pair[2]) then files[#files + 1] = pair end
  end
  refuse_overlap(files)
  return function(chip)
    local screen, mismatch = self.screen, false
    tell_attach(self, chip, args.spi_connection)
    tell_size(self, chip, args)
    local on = writer(self, args).on
    self.hook = function(e)
      if e.code == "header_patched" or e.code == "header_kept" then on[e.code](e) end
      return e.code == "verify" or e.code == "header_patched" or e.code == "header_kept"
    end
    for _, pair in ipairs(files) do
      local _, details = chip:verify(pair[1], as_written(pair[2]), {
        diff = args.diff, limit = ALL_DIFFERENCES, lenient = true,
        flash_mode = args.flash_mode, flash_freq = args.flash_freq, flash_size = args.flash_size,
        spi_connection = args.spi_connection })
      for _, d in ipairs(details) do
        screen:print(("Verifying 0x%x (%d) bytes at 0x%08x in flash against '%s'..."):format(d.size, d.size, d.address,
                                                                                             d.name))
        if d.equal then
          screen:print(d.by_digest and "Verification successful (digest matched)." or "Verification successful.")
          if self.global.version4 then screen:print("-- verify OK" .. (d.by_digest and " (digest matched)" or "")) end
        else
          mismatch = true
          if not args.diff then
            screen:print "Verification failed (digest mismatch)."
            if self.global.version4 then screen:print "-- verify FAILED (digest mismatch)" end
          else
            local first = d.differences[1]
            screen:print(("Verification failed: %d differences, first at 0x%08x:"):format(d.differences.count,
                                                                                        first.address))
            for _, x in ipairs(d.differences) do
              screen:print(("   0x%08x %02x %02x"):format(x.address, x.flash, x.file))
            end
          end
        end
      end
    end
    if mismatch then fail { code = "verify_failed", message = "Verification failed." } end
  end
end

local function erase(self, chip, args, what, how_long, call)
  local screen = self.screen
  tell_attach(self, chip, args.spi_connection)
  tell_all(self, chip, args)
  screen:stage()
  local told
  self.hook = function(e)
    if e.code ~= "erase" then return false end
    if not told then screen:print(("Erasing %s (this may take a while%s)..."):format(what, how_long)) end
    told = true
    return true
  end
  local done = call { force = args.force, spi_connection = args.spi_connection }
  screen:finish()
  screen:print(("%s erased successfully in %.1f seconds."):format(what:gsub("^%l", string.upper), done.seconds))
end

M["erase-flash"] = function(self, args)
  return function(chip)
    erase(self, chip, args, "flash memory", "", function(opts) return chip:erase_all(opts) end)
  end
end

M["erase-region"] = function(self, args)
  if args.address % input.SECTOR ~= 0 or args.size ~= "all" and args.size % input.SECTOR ~= 0 then
    fail { code = "usage", message = ("address and size of a region to erase must be multiples of 0x%x")
      :format(input.SECTOR) }
  end
  return function(chip)
    erase(self, chip, args, "flash memory region", " depending on size", function(opts)
      return chip:erase(args.address, args.size == "all" and "ALL" or args.size, opts)
    end)
  end
end

return M
