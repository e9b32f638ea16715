--- Choosing and opening the port: device names and URLs, the list of ports, filters, the order of trial.
local fail = require "esp.error"
local M = {}

local ESPRESSIF_VID = 0x303A

local OPEN_HINTS = {
  port_missing = "is the board plugged in? `esplua ports` lists what is there",
  port_busy = "another program holds it: close its monitor or terminal",
  port_denied = "add yourself to the group dialout (uucp on Arch), then log in again",
}

local NETWORK = { socket = true, rfc2217 = true }

-- What to do about a port that did not open.
-- @param known what the system said to do, if anything
local function open_hint(url, kind, code, known)
  if code == "port_missing" and not url:find "[:/\\]" and require "esp.core.fs".exists("/dev/" .. url) then
    return ("did you mean /dev/%s?"):format(url)
  end
  if known then return known end
  if NETWORK[kind] and code == "port_missing" then
    return "is the server running there, and are host and port number right?"
  end
  if kind and not NETWORK[kind] then return "a device, socket://HOST:PORT, rfc2217://HOST:PORT or sim:CHIP" end
  if code == "port_failed" and not kind and not url:find "^sim:" then
    return "name a serial port, such as /dev/ttyUSB0 or COM3; `esplua ports` lists them"
  end
  return OPEN_HINTS[code]
end

-- Names of pyserial for what is no port with a chip.
local ELSEWHERE = {
  spy = "--trace shows every packet; name the port itself",
  alt = "name the port itself",
  loop = "there is no chip behind it; sim:esp32c3 is one without hardware",
  cp2110 = "name its serial port, or serve it as rfc2217://",
}

local CLASSES = { d = "%d", D = "%D", w = "[%w_]", W = "[^%w_]", s = "%s", S = "%S" }

-- A regular expression without groups and alternatives to a Lua pattern | nil, what cannot be had.
local function to_pattern(regexp)
  local out, at = {}, 1
  while at <= #regexp do
    local c = regexp:sub(at, at)
    if c == "\\" then
      local next_c = regexp:sub(at + 1, at + 1)
      out[#out + 1] = CLASSES[next_c] or "%" .. next_c
      if next_c == "" or next_c:find "[%w]" and not CLASSES[next_c] then return nil, c .. next_c end
      at = at + 2
    elseif c == "[" then
      local set = regexp:match("^%[%^?%]?[^%]]*%]", at)
      if not set then return nil, "[" end
      if set:find "\\" then return nil, "\\ in []" end
      out[#out + 1] = set:lower():gsub("%%", "%%%%")
      at = at + #set
    elseif c:find "[(){}]" then
      return nil, c
    else
      out[#out + 1] = c:find "[%%%-]" and "%" .. c or c:lower()
      at = at + 1
    end
  end
  return table.concat(out)
end

-- What pyserial searches: name, description, and "USB VID:PID=303A:1001 SER=... LOCATION=...".
local function texts_of(entry)
  local usb = entry.usb
  local id = usb and usb.vid and ("USB VID:PID=%04X:%04X%s%s"):format(usb.vid, usb.pid or 0,
    usb.serial and " SER=" .. usb.serial or "", usb.location and " LOCATION=" .. usb.location or "") or "n/a"
  return { entry.name, usb and usb.product or entry.description or "", id }
end

--- The ports that a name of the form hwgrep://REGEXP means, as pyserial has it: a regular expression (without groups
-- and repetition counts) that name, description or USB identity contain, whatever the case.
-- @param url string, perhaps with &n=NUMBER and &skip_busy
-- @param list of ports; those of this machine when absent
-- @return list of names; whether one that is busy is to be passed over
-- @raise bad_argument
function M.grep(url, list)
  local words = {}
  for word in url:gsub("^[hH][wW][gG][rR][eE][pP]://", ""):gmatch "[^&]+" do words[#words + 1] = word end
  local function bad(text, hint)
    fail { code = "bad_argument", message = url .. ": " .. text, hint = hint or "such as hwgrep://CP210[24]" }
  end
  local regexp, number, skip = words[1] or "", 1, false
  for i = 2, #words do
    local n = words[i]:match "^n=(%d+)$"
    if n and tonumber(n) > 0 then
      number = tonumber(n)
    elseif words[i] == "skip_busy" then
      skip = true
    else
      bad(("unknown option %s"):format(words[i]), "n=NUMBER and skip_busy are known")
    end
  end
  if regexp == "" then bad "nothing to look for" end
  local patterns = {}
  for part in (regexp .. "|"):gmatch "([^|]*)|" do
    local pattern, what = to_pattern(part)
    if not pattern then
      bad(("%s in a regular expression is not known here"):format(what), "--port-filter chooses by vid, pid and serial")
    end
    patterns[#patterns + 1] = pattern
  end
  local names = {}
  for _, entry in ipairs(list or M.list { all = true }) do
    local found = false
    for _, text in ipairs(texts_of(entry)) do
      for _, pattern in ipairs(patterns) do
        local ok, at = pcall(string.find, text:lower(), pattern)
        if not ok then bad("the regular expression is not complete") end
        found = found or at ~= nil
      end
    end
    if found then names[#names + 1] = entry.name end
  end
  table.sort(names)
  return table.move(names, number, #names, 1, {}), skip
end

local function open_grepped(url, opts)
  local names, skip = M.grep(url)
  if #names == 0 then
    fail { code = "port_missing", message = url .. ": no port fits", hint = "`esplua ports` lists what is there",
           port = url }
  end
  for i, name in ipairs(names) do
    local ok, port = pcall(M.open, name, opts)
    if ok then return port end
    if not skip or i == #names then error(port, 0) end
  end
end

--- Open a port by name.
-- @param url string: "/dev/ttyUSB0", "COM3", "socket://host:port", "rfc2217://host:port", "hwgrep://regexp",
--   "sim:esp32c3?..."
-- @param opts table or nil: baud (115200)
-- @return port object of esp.core.port
-- @raise port_missing, port_busy, port_denied, port_failed, ...
function M.open(url, opts)
  if type(url) ~= "string" or url == "" then error("ports.open: a port's name is needed", 2) end
  local p, message, code, more
  local kind = url:match "^(%w+)://"
  kind = kind and kind:lower()
  if kind == "hwgrep" then return open_grepped(url, opts) end
  if ELSEWHERE[kind] then
    fail { code = "bad_argument", message = ("%s: %s:// is not known here"):format(url, kind), hint = ELSEWHERE[kind],
           port = url }
  end
  if url:find "^sim:" then
    p, message, code = require("esp.sim").open(url, opts)
  else
    p, message, code, more = require("esp.core.port").open(url, opts)
  end
  if not p then
    code = code or "port_failed"
    if not (message or ""):find(url, 1, true) then message = ("%s: %s"):format(url, message or "cannot be opened") end
    fail { code = code, message = message, hint = open_hint(url, kind, code, more and more.hint), port = url }
  end
  return p
end

-- What a port is worth trying: 1 Espressif's own USB, 2 a USB adapter, 3 anything else.
local function rank(entry)
  if entry.usb and entry.usb.vid == ESPRESSIF_VID then return 1 end
  local name = entry.name:lower()
  for _, mark in ipairs { "ttyusb", "ttyacm", "usbserial", "usbmodem", "wchusb", "slab_usb" } do
    if name:find(mark, 1, true) then return 2 end
  end
  return 3
end

-- Ports of macOS that are never a board.
local SKIPPED = { "Bluetooth%-Incoming%-Port$", "wlan%-debug$", "cu%.debug%-console$" }

--- Put ports in the order in which they are tried, leaving out those that cannot be a board.
-- @param list as M.list gives it
-- @return new list
function M.order(list)
  local out = {}
  for _, entry in ipairs(list) do
    local skip = entry.kind == "bluetooth"
    for _, pattern in ipairs(SKIPPED) do skip = skip or entry.name:find(pattern) ~= nil end
    if not skip then out[#out + 1] = { entry = entry, rank = rank(entry), at = #out } end
  end
  require "esp.sorted".sort(out, "rank", "at")
  for i, item in ipairs(out) do out[i] = item.entry end
  return out
end

local FILTERS = { vid = "number", pid = "number", name = "text", serial = "text" }

--- Read filters such as "vid=0x303a", "name=usb", "serial=7c:df".
-- @param words list of strings, or a table { vid = 0x303a, serial = "7c:df" } (value or list of values)
-- @return { vid = {numbers}, pid = {numbers}, name = {texts}, serial = {texts} }, empty keys absent
-- @raise bad_argument
function M.parse_filters(words)
  local filters = {}
  local function add(key, text, word)
    local kind = FILTERS[key]
    if not kind then
      fail { code = "bad_argument", message = ("port filter %q: unknown key"):format(word),
             hint = "vid=NUMBER, pid=NUMBER, name=TEXT or serial=TEXT" }
    end
    local value
    if kind == "number" then
      value = require "esp.cli.types".integer(tostring(text))
      if not value or value < 0 or value > 0xFFFF then
        fail { code = "bad_argument", message = ("port filter %q: not a number from 0 to 0xFFFF"):format(word) }
      end
    else
      value = tostring(text):lower()
      if value == "" then
        fail { code = "bad_argument", message = ("port filter %q: nothing to look for"):format(word) }
      end
    end
    filters[key] = filters[key] or {}
    table.insert(filters[key], value)
  end
  for key, value in pairs(words or {}) do
    if type(key) == "string" then
      for _, v in ipairs(type(value) == "table" and value or { value }) do add(key, v, key .. "=" .. tostring(v)) end
    else
      local name, text = tostring(value):match "^%s*(%a+)%s*=%s*(.-)%s*$"
      if not name then
        fail { code = "bad_argument", message = ("port filter %q: expected KEY=VALUE"):format(tostring(value)),
               hint = "vid=NUMBER, pid=NUMBER, name=TEXT or serial=TEXT" }
      end
      add(name:lower(), text, value)
    end
  end
  return filters
end

local function any(list, test)
  if not list then return true end
  for _, value in ipairs(list) do
    if test(value) then return true end
  end
  return false
end

local function contains(text)
  text = (text or ""):lower()
  return function(part) return text:find(part, 1, true) ~= nil end
end

--- Keep the ports that filters let through: values of one key are alternatives, all keys must agree.
-- @param list as M.list gives it
-- @param words as M.parse_filters takes them
function M.filter(list, words)
  local filters = M.parse_filters(words)
  local out = {}
  for _, entry in ipairs(list) do
    local usb = entry.usb or {}
    if any(filters.vid, function(n) return usb.vid == n end)
       and any(filters.pid, function(n) return usb.pid == n end)
       and any(filters.name, contains(entry.name))
       and any(filters.serial, contains(usb.serial)) then
      out[#out + 1] = entry
    end
  end
  return out
end

--- The serial ports of this machine.
-- @param opts table or nil: filter (see parse_filters); all: also those that cannot be a board
-- @return list of { name, description, kind, usb = {vid, pid, serial, manufacturer, product, location} or nil }
function M.list(opts)
  opts = opts or {}
  local list = fail.check("list of ports", nil, require("esp.core.port").list())
  list = opts.all and list or M.order(list)
  return opts.filter and M.filter(list, opts.filter) or list
end

--- The names of the ports that may be a board; none where they cannot be listed.
function M.names()
  local names = {}
  local ok, list = pcall(M.list)
  for _, p in ipairs(ok and list or {}) do names[#names + 1] = p.name end
  return names
end

--- The USB identity of an open port.
-- Links such as /dev/serial/by-id/... lead to the device; the two names of a macOS port are one device.
-- @param port open port
-- @param url the name it was opened by
-- @return { vid, pid, ... } or nil
function M.usb_identity(port, url)
  local info = port:info()
  if info.usb and info.usb.vid then return info.usb end
  if info.kind ~= "serial" then return nil end
  local names = { [url] = true }
  if info.name then names[info.name] = true end
  for name in pairs { [url] = true, [info.name or url] = true } do
    names[name:gsub("^/dev/tty%.", "/dev/cu.")] = true
  end
  local ok, list = pcall(M.list, { all = true })
  for _, entry in ipairs(ok and list or {}) do
    if names[entry.name] then return entry.usb end
  end
  return nil
end

--- Reset the chip at a port by its lines, so that it starts what is in flash. Nothing is asked of the chip.
-- @param port open port
-- @param url the name it was opened by
-- @raise unsupported where the port has no lines; port_gone, ...
function M.reset(port, url)
  local reset = require "esp.reset"
  local usb = M.usb_identity(port, url)
  local own = usb and usb.vid == reset.ESPRESSIF_VID
  local steps = own and reset.recipes.hard_usb or reset.recipes.hard
  local sequence = require "esp.config".load().custom_hard_reset_sequence
  if sequence then steps = reset.parse(sequence, "custom_hard_reset_sequence") end
  fail.check(url, nil, reset.perform(port, { name = "hard", steps = steps }))
end

return M
