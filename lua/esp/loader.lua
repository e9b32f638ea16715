--- What every chip's serial loader does: registers, memory, RAM programs, the baud rate.
-- These are methods of the chip object (esp.chip copies them in).
-- Source: esptool documentation, "Serial Protocol".
local batch = require "esp.batch"
local fail = require "esp.error"
local M = {}

M.OP = {
  FLASH_BEGIN = 0x02, FLASH_DATA = 0x03, FLASH_END = 0x04, MEM_BEGIN = 0x05, MEM_END = 0x06, MEM_DATA = 0x07,
  SYNC = 0x08, WRITE_REG = 0x09, READ_REG = 0x0A, SPI_SET_PARAMS = 0x0B, SPI_ATTACH = 0x0D,
  READ_FLASH_SLOW = 0x0E, CHANGE_BAUD = 0x0F, FLASH_DEFL_BEGIN = 0x10, FLASH_DEFL_DATA = 0x11,
  FLASH_DEFL_END = 0x12, FLASH_MD5 = 0x13, GET_SECURITY_INFO = 0x14, RUN_USER_CODE = 0xD3,
}
local OP = M.OP

-- All that a chip in secure download mode still takes.
local ALLOWED_IN_SDM = {
  [OP.SYNC] = true, [OP.SPI_ATTACH] = true, [OP.SPI_SET_PARAMS] = true, [OP.CHANGE_BAUD] = true,
  [OP.FLASH_BEGIN] = true, [OP.FLASH_DATA] = true, [OP.FLASH_END] = true, [OP.FLASH_DEFL_BEGIN] = true,
  [OP.FLASH_DEFL_DATA] = true, [OP.FLASH_DEFL_END] = true, [OP.GET_SECURITY_INFO] = true,
}

local SDC_FIRST, SDC_LAST = 0x19, 0x1E     -- certificates for debugging, where the ROM has them

local RUN_USER_CODE, REBOOT = 1, 0        -- argument of FLASH_END
local WRITES_IN_A_PACKET = 32             -- 16 bytes each; the smallest ROM's buffer holds more
local GARBAGE = 0.02                      -- seconds until the line is quiet after both sides changed their rate
local STUB_CODE, NAND_CODE = 0x2400, 0x3400    -- bytes at most, of the stub with NAND flash too
local SWITCHED = 0.005                    -- the same where the other side is known to do it at once and quietly
local HIGHEST = 0xFFFFFFFF

local function check_address(address, level)
  if math.type(address) ~= "integer" or address < 0 or address > HIGHEST then
    error("an address from 0 to 0xFFFFFFFF expected", level + 1)
  end
end

--- Send a command and return what the loader answers.
-- @param op number, see OP
-- @param data string, "" when absent
-- @param opts table or nil: as esp.core.link's command takes, and what = words for a message
-- @return value, body | nil, message, code, details
function M:try_command(op, data, opts)
  local sdc = op >= SDC_FIRST and op <= SDC_LAST and self.data and self.data.rom.sdc
  if self.sdm and not ALLOWED_IN_SDM[op] and not sdc then
    return nil, ("the chip is in secure download mode and refuses command 0x%02X"):format(op), "unsupported",
      { op = op }
  end
  opts = opts or {}
  local limit = math.min(opts.timeout or self.config.timeout, self.config.max_timeout)
  return self.link:command(op, data or "", {
    timeout = limit, checksum = opts.checksum or 0, status = opts.status or self.status_bytes,
    reply = opts.reply, retries = opts.retries,
  })
end

--- The same, raising when the loader refuses or does not answer.
-- @return value, body
-- @raise rom_error, timeout, bad_reply, port_gone, target_panic, unsupported (secure download mode)
function M:command(op, data, opts)
  local value, body, code, details = self:try_command(op, data, opts)
  if value == nil then
    local what = opts and opts.what
    fail { code = code or "failed", message = (what and what .. ": " or "") .. body, details = details,
           hint = code == "unsupported" and self.sdm and "only writing and erasing flash work in this mode" or nil }
  end
  return value, body
end

local EFUSE_REGISTERS = 0x200             -- bytes of what there is for eFuses, on every chip

--- Whether an address is that of a register for eFuses.
function M.is_efuse(chip, address)
  local base = chip.data.efuse.base
  return address >= base and address < base + EFUSE_REGISTERS
end

--- Read a 32-bit word.
-- @param address multiple of 4
function M:read_reg(address)
  check_address(address, 2)
  local known = self.known and self.known[address] or self.fuses and self.fuses[address]
  if known then return known end
  -- Of other registers reading may have taken something away, even when the answer was lost.
  local retries = self.data and M.is_efuse(self, address) and 2 or nil
  return (self:command(OP.READ_REG, ("<I4"):pack(address), { what = ("reading 0x%08X"):format(address),
                                                             retries = retries }))
end

-- What a write makes uncertain.
local function forget(chip, address)
  chip.known = nil
  if chip.fuses and M.is_efuse(chip, address) then chip.fuses = {} end
end

-- One entry of a WRITE_REG packet.
local function entry(address, value, mask, delay_us)
  check_address(address, 3)
  return ("<I4I4I4I4"):pack(address, value & HIGHEST, (mask or HIGHEST) & HIGHEST, delay_us or 0)
end

--- Write a 32-bit word.
-- @param address multiple of 4
-- @param value number
-- @param mask only these bits change; all when absent
-- @param delay_us microseconds the loader waits before it writes
-- @param delay_after_us microseconds it waits afterwards
function M:write_reg(address, value, mask, delay_us, delay_after_us)
  local data = entry(address, value, mask, delay_us)
  if delay_after_us and delay_after_us > 0 then
    -- The delay belongs to a second write, which changes nothing: no bit of the UART's date register.
    data = data .. entry(self.data.uart.date, 0, 0, delay_after_us)
  end
  forget(self, address)
  self:command(OP.WRITE_REG, data, { what = ("writing 0x%08X"):format(address) })
end

--- Write several words, many in one packet.
-- @param list of { address, value, mask, delay_us }
function M:write_regs(list)
  for _, e in ipairs(list) do forget(self, e[1]) end
  for first = 1, #list, WRITES_IN_A_PACKET do
    local packet = {}
    for i = first, math.min(first + WRITES_IN_A_PACKET - 1, #list) do
      packet[#packet + 1] = entry(table.unpack(list[i], 1, 4))
    end
    self:command(OP.WRITE_REG, table.concat(packet),
                 { what = ("writing %d words from 0x%08X"):format(#packet, list[first][1]) })
  end
end

--- Write registers, then read some, without waiting for an answer in between. Only with a stub of ours, which keeps
-- what arrives while it is at work.
-- @param list as for write_regs, at most as many as fit into a packet
-- @param addresses list of what is read afterwards
-- @return list of values
-- @raise timeout, bad_reply
function M:exchange(list, addresses)
  return self:exchanges({ { list, addresses } })[1]
end

--- Several of these in one go.
-- @param list of { list, addresses }
-- @return list of lists of values
function M:exchanges(list)
  local commands, results = {}, {}
  for _, e in ipairs(list) do
    local packet = {}
    for i, w in ipairs(e[1]) do
      packet[i] = entry(table.unpack(w, 1, 4))
      forget(self, w[1])
    end
    commands[#commands + 1] = { OP.WRITE_REG, table.concat(packet) }
    for _, address in ipairs(e[2]) do commands[#commands + 1] = { OP.READ_REG, ("<I4"):pack(address) } end
  end
  local answers, at = batch.run(self, commands), 0
  for i, e in ipairs(list) do
    local values = {}
    for k = 1, #e[2] do values[k] = answers[at + 1 + k].value end
    at, results[i] = at + 1 + #e[2], values
  end
  return results
end

--- Change some bits of a word.
-- @param clear bits to clear
-- @param set bits to set
-- @return the word as written
function M:update_reg(address, clear, set)
  local value = self:read_reg(address) & ~clear | set
  self:write_reg(address, value)
  return value
end

-- Calls progress(done, total); returning false ends the work.
local function tell(progress, done, total)
  if progress and progress(done, total) == false then fail { code = "cancelled", message = "cancelled" } end
end

local TELL_EVERY = 1024                   -- bytes

--- Read memory, from any address and of any length.
-- @param address number
-- @param size bytes
-- @param opts table or nil: progress = function(done, total), false from it cancels
-- @return string
function M:read_mem(address, size, opts)
  check_address(address, 2)
  if math.type(size) ~= "integer" or size < 0 or address + size > HIGHEST + 1 then error("bad size", 2) end
  local progress = opts and opts.progress
  local first, words = address & ~3, {}
  for at = first, address + size - 1, 4 do
    words[#words + 1] = ("<I4"):pack(self:read_reg(at))
    local done = at + 4 - address
    if progress and done % TELL_EVERY < 4 and done < size then tell(progress, done, size) end
  end
  tell(progress, size, size)
  return table.concat(words):sub(address - first + 1, address - first + size)
end

-- The RAM that a whole range lies in, or nil. Flash windows and everything else are not written as blocks.
local function ram_of(data, address, size)
  for name, range in pairs(data.memory) do
    if not range.flash and not name:find "mask" and not name:find "extram" and address >= range[1]
       and address + size <= range[2] then
      return name
    end
  end
  return nil
end

local BLOCK_FROM = 64                     -- bytes from which a block transfer is worth its two packets

--- Write memory, to any address and of any length.
-- Words at the ends that are only partly covered keep their other bytes.
-- @param address number
-- @param bytes string
-- @param opts table or nil: progress = function(done, total), false from it cancels; words = true: as register
--   writes whatever the length
function M:write_mem(address, bytes, opts)
  check_address(address, 2)
  opts = opts or {}
  if address + #bytes > HIGHEST + 1 then error("past the end of memory", 2) end
  if #bytes >= BLOCK_FROM and address % 4 == 0 and #bytes % 4 == 0 and not opts.words
     and ram_of(self.data, address, #bytes) then
    self:load_block(address, bytes, opts.progress)
    return
  end
  local list = {}
  local at = address & ~3
  while at < address + #bytes do
    local value, mask = 0, 0
    for i = 0, 3 do
      local byte = bytes:byte(at + i - address + 1)
      if byte and at + i >= address then value, mask = value | byte << 8 * i, mask | 0xFF << 8 * i end
    end
    list[#list + 1] = { at, value, mask }
    at = at + 4
    if #list == WRITES_IN_A_PACKET or at >= address + #bytes then
      self:write_regs(list)
      list = {}
      tell(opts.progress, math.min(at - address, #bytes), #bytes)
    end
  end
end

--- Put bytes into RAM with MEM_BEGIN and MEM_DATA.
function M:load_block(address, bytes, progress)
  if self.sdm then
    fail { code = "unsupported", message = "the chip is in secure download mode and does not take programs for RAM" }
  end
  if #bytes % 4 ~= 0 then bytes = bytes .. ("\0"):rep(-#bytes % 4) end
  local ok, message, code, details = self.link:write_mem {
    address = address, data = bytes, block = self.ram_block, timeout = self.config.timeout, progress = progress,
  }
  if not ok then
    fail { code = code or "failed", details = details,
           message = ("loading %d bytes to 0x%08X: %s"):format(#bytes, address, message) }
  end
end

--- Leave the loader for code in RAM.
-- @param entry_point address
function M:start_ram(entry_point)
  check_address(entry_point, 2)
  local value, message, code, details = self:try_command(OP.MEM_END,
    ("<I4I4"):pack(entry_point == 0 and 1 or 0, entry_point),
    { timeout = self.stub and self.config.timeout or self.config.mem_end_rom_timeout })
  -- A ROM's answer may be cut off by the program that it starts; what else it says still counts.
  if value == nil and (self.stub or code == "rom_error" or code == "port_gone" or code == "unsupported") then
    fail { code = code, message = ("starting at 0x%08X: %s"):format(entry_point, message), details = details }
  end
  self.left = true
end

-- The image that a file or bytes hold, and what its segments' bytes are read from.
local function read_image(self, source)
  local image_file = require "esp.image"
  local regions = require("esp.inputs").load_all({ { 0, source } }, { chip = self.id, device = self })
  local name, payload = regions[1].name, regions[1].payload
  local image = image_file.parse(payload, name)
  local target = image_file.target(image)
  local chips = require "esp.chips"
  local data = math.type(target) == "integer" and chips.by_image_id(target) or chips.get(target)
  if not data or data.id ~= self.id then
    fail { code = "wrong_chip", message = ("%s is for %s, the chip is %s"):format(
             name, data and data.name or ("chip id %s"):format(tostring(target)), self.name) }
  end
  return image, regions, payload, name
end

-- Whether a range touches the memory that our stub needs.
local function in_stub(self, address, size)
  local at = self.stub and self.data.stub
  if not at or not at.text then return false end
  local function touches(first, last) return address < last and address + size > first end
  local code = self.stub_can and self.stub_can.nand and NAND_CODE or STUB_CODE
  return touches(at.text, at.text + code) or touches(at.data, at.data_end)
end

--- Load an image into RAM and run it. The chip is not reset afterwards.
-- @param source path, or { data = bytes }: an image, Intel HEX with one, or an ELF file
-- @param opts table or nil: progress = function(done, total)
-- @return list of { address, size } that were loaded; entry address
-- @raise wrong_chip, bad_image and what the file layer raises
function M:load_ram(source, opts)
  local progress = opts and opts.progress
  local image, regions, payload, name = read_image(self, source)
  local total, done, loaded = 0, 0, {}
  for _, segment in ipairs(image.segments) do
    if not ram_of(self.data, segment.address, segment.size) then
      fail { code = "bad_image", hint = "an image for flash? write it with `esplua flash`",
             message = ("%s: segment 0x%08X, %d bytes, is not in RAM of %s"):format(
               name, segment.address, segment.size, self.name) }
    end
    if in_stub(self, segment.address, segment.size) then
      fail { code = "unsupported", hint = "connect without the stub",
             message = ("%s: segment 0x%08X, %d bytes, would overwrite the flasher stub that is running"):format(
               name, segment.address, segment.size) }
    end
    total = total + segment.size
  end
  for _, segment in ipairs(image.segments) do
    local base = done
    self:load_block(segment.address, payload:read(segment.offset, segment.size),
                    progress and function(n) return progress(base + n, total) end)
    done = done + segment.size
    loaded[#loaded + 1] = { address = segment.address, size = segment.size }
  end
  require("esp.input").close(regions)
  self:start_ram(image.entry)
  return loaded, image.entry
end

-- FLASH_BEGIN of nothing: the way to FLASH_END, which leaves the loader.
local function begin_nothing(self)
  local data = ("<I4I4I4I4"):pack(0, 0, self.data.rom.flash_block or 0x400, 0)
  if self.stub or self.data.rom.encrypted_word then data = data .. ("<I4"):pack(0) end
  local value, message, code = self:try_command(OP.FLASH_BEGIN, data)
  -- A ROM whose flash is not attached may complain; what counts is that it has forgotten an unfinished download.
  if value == nil and code ~= "rom_error" then fail { code = code, message = "leaving the loader: " .. message } end
end

--- Leave the loader and start the program in flash, without a reset by the lines.
function M:run()
  if self.stub then
    if not (self.data.stub or {}).soft_reset then
      fail { code = "unsupported", hint = "use hard-reset",
             message = ("soft reset of %s is not possible while a stub runs"):format(self.name) }
    end
    self.link:send(OP.RUN_USER_CODE, "", 0)      -- does not answer
  else
    begin_nothing(self)
    local value, message, code = self:try_command(OP.FLASH_END, ("<I4"):pack(RUN_USER_CODE),
                                                  { timeout = self.config.mem_end_rom_timeout })
    -- Like MEM_END: the program may start before the answer is out.
    if value == nil and code ~= "timeout" and code ~= "bad_reply" then
      fail { code = code, message = "starting the program: " .. message }
    end
  end
  self.left = true
end

--- Leave a running stub: the ROM loader answers from then on.
function M:leave_stub()
  if not self.stub then return end
  begin_nothing(self)
  self:try_command(OP.FLASH_END, ("<I4"):pack(REBOOT), { timeout = self.config.mem_end_rom_timeout })
  self.stub, self.status_bytes = false, self.data.rom.status_bytes
  self.link:set_status_bytes(self.status_bytes)
  self.link:set_guard(false)
end

-- How the rate that is asked for differs from the one wanted, while a ROM listens that mistakes its crystal.
-- Each: function(chip, wanted, data of baud_fix) -> rate to ask for
local BAUD_FIX = {
  -- The ROM measures its crystal against an RC oscillator that drifts: ask for what comes out right in spite of it.
  rom_calibration = function(chip, wanted, fix)
    local chips = require "esp.chips"
    local function read(address) return chip:read_reg(address) end
    -- The counter ran for so many cycles of the RC oscillator; Hz, as the ROM computes it.
    local seen = chips.field_get(fix.calibration, read) * 15625 * chips.field_get(fix.oscillator, read) // 40
    return wanted * seen // (chip:crystal() * 1000000)
  end,
  -- The ROM believes in one crystal, the board has another.
  crystal_ratio = function(chip, wanted, fix)
    local chips = require "esp.chips"
    local believed = fix.rom_crystal
      or chips.field_get(fix.rom_crystal_field, function(address) return chip:read_reg(address) end)
    local real = chip:crystal()
    if believed == 0 or not real then return wanted end
    return wanted * believed // real
  end,
}

--- The rate to ask for when another is wanted, of a ROM that mistakes its crystal.
function M:rate_to_ask(baud)
  local fix = self.data.baud_fix
  if not fix or self.stub or self.sdm then return baud end
  local asked = BAUD_FIX[fix.name](self, baud, fix)
  -- A correction is some percent, or the ratio of two crystals; anything else was measured wrong.
  if asked < baud // 2 or asked > baud * 2 then return baud end
  return asked
end

--- Change the rate of the port alone. A socket has none: whoever is behind it knows.
function M:set_port_baud(baud)
  if self.port:info().has_baud then
    local ok, message, code = self.port:baud(baud)
    if not ok then
      fail { code = code or "port_failed", message = ("%s: %d baud: %s"):format(self.url, baud, message or "refused"),
             hint = "the driver may not support this rate" }
    end
  end
  if self.known then self.known[self.data.uart.clkdiv] = nil end
  self.baud = baud
end

--- Change the baud rate, of the chip and of the port.
-- Where the loader cannot, a warning event says so and the rate stays.
-- @param baud bits per second
-- @param first { op, data }: a command that is sent with it, where the loader takes several; what becomes of it is not
--   looked at
-- @return true when the rate is the one asked for
-- @raise no_reply when the chip is silent at the new rate, and it could not be reached again at the old one
function M:set_baud(baud, first)
  if math.type(baud) ~= "integer" or baud < 1 or baud > require "esp.config".BAUD_MAX then error("bad baud rate", 2) end
  if baud == self.baud then return true end
  local rom = self.data.rom
  if not self.stub and not rom.change_baud then
    self:tell { type = "warning", code = "baud_kept",
                text = ("the ROM of %s cannot change its baud rate, staying at %d"):format(self.name, self.baud) }
    return false
  end
  if self.sdm and not rom.sdm_baud then
    self:tell { type = "warning", code = "baud_kept",
                text = ("%s cannot change its baud rate in secure download mode, staying at %d"):format(
                  self.name, self.baud) }
    return false
  end
  local asked = M.rate_to_ask(self, baud)
  local old = self.baud
  -- A stub of ours that was left running knows its rate better than we do, behind a socket.
  if not self.stub or self.stub_can and self.session_stub ~= self.session then old = 0 end
  local data = ("<I4I4"):pack(asked, old)
  if first then
    batch.run(self, { { first[1], first[2], may_fail = true }, { OP.CHANGE_BAUD, data } })
  else
    self:command(OP.CHANGE_BAUD, data, { what = "changing the baud rate" })
  end
  self:set_port_baud(baud)
  local quiet = self.stub_can or not self.stub and rom.at_once
  require("esp.core.task").sleep(quiet and SWITCHED or GARBAGE)
  self.link:flush()
  return true
end

return M
