-- Mutated configuration files, environments, reset sequences, port filters and boot logs: esplua config_fuzz.lua
-- COUNT SEED. Anything but a result in its form, or an error object, fails.
local config = require "esp.config"
local reset = require "esp.reset"
local bootlog = require "esp.bootlog"
local ports = require "esp.ports"
local fail = require "esp.error"

local count, seed = tonumber(arg[1]) or 2000, tonumber(arg[2]) or 1
math.randomseed(seed)

local PIECES = {
  "[esptool]\n", "[esplua]\n", "[DEFAULT]\n", "[", "]", "\n", "\r\n", "  ", "\t", "=", ":", "#", ";", "\0", "\xFF",
  "\u{FEFF}", "timeout", "connect_attempts = 3\n", "reset_delay = ", "custom_reset_sequence = D0|R1|W0.1|U1,0\n",
  "custom_hard_reset_sequence:R0", "max_timeout", "1e308", "-", "inf", "nan", "0x10", "99999999999999999999", "1.5.5",
  "D0", "R1", "|", "U0,1", "W0.05", "W", "vid=", "name=x", "0x303A", "boot:0x13 (SPI_FAST_FLASH_BOOT)", "rst:0x1 (",
  "waiting for download", "Guru Meditation Error: Core  0 panic'ed (", "rst cause:2, boot mode:(3,6)", "ESP-ROM:",
}

local function random_text()
  local parts = {}
  for i = 1, math.random(0, 30) do
    local kind = math.random(10)
    if kind <= 8 then
      parts[i] = PIECES[math.random(#PIECES)]
    else
      parts[i] = string.char(math.random(0, 255)):rep(math.random(1, kind == 10 and 300 or 3))
    end
  end
  local text = table.concat(parts)
  if #text > 0 and math.random(4) == 1 then
    local at = math.random(#text)
    text = text:sub(1, at - 1) .. string.char(math.random(0, 255)) .. text:sub(at + 1)
  end
  return text
end

local function show(text)
  return ("%q"):format(text):gsub("[^ -~]", function(c) return ("\\x%02X"):format(c:byte()) end)
end

-- Calls f; an error that is no error object ends the run.
local function try(what, text, f, ...)
  local result = table.pack(pcall(f, ...))
  if result[1] then return table.unpack(result, 2, result.n) end
  local e = result[2]
  if not fail.is(e) or type(e.code) ~= "string" or type(e.message) ~= "string" then
    error(("%s: input %s gave: %s"):format(what, show(text), tostring(e)), 0)
  end
  return nil
end

local function check(what, text, condition)
  if not condition then error(("%s: input %s broke its form"):format(what, show(text)), 0) end
end

local LIST = { { name = "/dev/ttyUSB0", usb = { vid = 0x303A, pid = 1, serial = "x" } }, { name = "COM1" } }
local RANGES = { timeout = { 0.01, 86400 }, reset_delay = { 0, 60 }, write_block_attempts = { 1, 1000000 } }

for _ = 1, count do
  local text = random_text()
  local c = try("config", text, config.from_text, text)
  if c then
    for key, range in pairs(RANGES) do
      check("config " .. key, text, type(c[key]) == "number" and c[key] >= range[1] and c[key] <= range[2])
    end
    check("config max_timeout", text, c.max_timeout > 0)
    for _, event in ipairs(c.notes) do check("config notes", text, type(event.text) == "string") end
    if c.custom_reset_sequence then try("config sequence", text, reset.parse, c.custom_reset_sequence) end
  end
  local steps = try("sequence", text, reset.parse, text)
  for _, step in ipairs(steps or {}) do
    check("sequence", text, step.wait and step.wait >= 0 and step.wait <= 60
      or not step.wait and (type(step.dtr) == "boolean" or type(step.rts) == "boolean"))
  end
  local variable = math.random(2) == 1 and "ESPTOOL_" or "ESPLUA_"
  local names = { "BAUD", "CHIP", "BEFORE", "AFTER", "CONNECT_ATTEMPTS", "OPEN_PORT_ATTEMPTS", "FF", "FM", "FS" }
  variable = variable .. names[math.random(#names)]
  try("environment", text, config.environment, function(name) return name == variable and text or nil end)
  try("filter", text, ports.filter, LIST, { text })
  local what, log = try("boot log", text, bootlog.classify, text)
  check("boot log", text, type(what) == "string" and type(bootlog.describe(log)) == "string")
end
io.write(count, " inputs\n")
