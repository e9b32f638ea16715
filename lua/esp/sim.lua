--- Simulated chips: `sim:CHIP[?option=value&...]` as a port, and the object behind it.
--
--     local port = sim.open "sim:esp32c3?flash=board.bin&rate=real"
--     local chip <close> = sim.new { chip = "esp32", revision = 301, sdm = true }
--     local port = chip:port()
--     print(chip:serve { tcp = 5555 })
--
-- doc/sim.md lists the options. They are the same in a URL and in a table.
local fail = require "esp.error"
require "esp.core.port"   -- makes the class of the ports
local core = require "esp.core.sim"
local describe = require "esp.sim_describe".describe
local options_of = require "esp.sim_options"
local M = {}

M.parse = options_of.parse
M.describe = describe

--- Make a simulated chip.
-- @param options table: chip = "esp32c3" and the options of doc/sim.md
-- @return object with :port() :flash(offset, n) :poke_flash(offset, bytes) :flash_use() :efuse_word(block, word)
--   :reg(address) :reset(mode) :state() :log() :fault() :cpu() :serve{...} :close()
-- @raise bad_argument, unknown_chip, bad_file
function M.new(options)
  return fail.check(nil, nil, core.new(describe(options)))
end

--- Make a simulated chip and open its port. The chip lives as long as the port or the object.
-- @param url "sim:CHIP[?options]"
-- @return port, chip
-- @raise as new
function M.open(url, options)
  local chip = M.new(M.parse(url))
  local port = fail.check(nil, nil, chip:port(url, options and options.baud))
  return port, chip
end

local NAMES = {
  [0x00] = "FAULT", [0x01] = "SECOND_CORE",
  [0x02] = "FLASH_BEGIN", [0x03] = "FLASH_DATA", [0x04] = "FLASH_END", [0x05] = "MEM_BEGIN", [0x06] = "MEM_END",
  [0x07] = "MEM_DATA", [0x08] = "SYNC", [0x09] = "WRITE_REG", [0x0A] = "READ_REG", [0x0B] = "SPI_SET_PARAMS",
  [0x0D] = "SPI_ATTACH", [0x0E] = "READ_FLASH_SLOW", [0x0F] = "CHANGE_BAUD", [0x10] = "DEFL_BEGIN",
  [0x11] = "DEFL_DATA", [0x12] = "DEFL_END", [0x13] = "SPI_FLASH_MD5", [0x14] = "GET_SECURITY_INFO",
}

--- What a command in chip:log() is called.
function M.command_name(op)
  return NAMES[op] or ("0x%02X"):format(op)
end

--- Serve a chip to other programs, one client at a time.
-- @param where table: tcp = port, rfc2217 = port (0 picks one) or pty = true; host = address to listen on (127.0.0.1);
--   reset_on_connect = true puts the chip into download mode when a client comes
-- @return URL that other programs use
-- @raise port_busy, port_failed
function core.methods:serve(where)
  local host = where.host or "127.0.0.1"
  if where.pty then return (fail.check(nil, nil, self:pty(where.reset_on_connect))) end
  local kind = where.rfc2217 and "rfc2217" or "socket"
  local port = fail.check(nil, nil, self:listen(kind, host, where.rfc2217 or where.tcp or 0, where.reset_on_connect))
  return ("%s://%s:%d"):format(kind, host == "0.0.0.0" and "localhost" or host, port)
end

return M
