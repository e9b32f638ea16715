--- What a command tells its user: lines and a progress bar for people, or one JSON object per line.
--
-- In JSON mode every line on standard output is an event: an object with `event` first. Otherwise lines go to
-- standard output, warnings to standard error. On a terminal a line at the bottom shows what is going on; in a
-- pipe there are only whole lines.
local M = {}
M.__index = M

local BAR_EVERY, JSON_EVERY = 0.1, 0.25                  -- seconds between two updates
local WINDOW = 3                                         -- seconds over which the rate is taken

local function monotonic()
  local ok, task = pcall(require, "esp.core.task")
  return ok and task.now or os.clock
end

local function terminal()
  local ok, term = pcall(require, "esp.core.term")
  return ok and term or nil
end

--- A number of bytes for people.
function M.bytes(n)
  if n < 10240 then return ("%d bytes"):format(n) end
  if n < 1 << 20 then return ("%.1f KiB"):format(n / 1024) end
  return ("%.2f MiB"):format(n / (1 << 20))
end

--- A time for people: "0:07", "1:02:03".
function M.clock(seconds)
  if seconds ~= seconds or seconds < 0 or seconds > 359999 then return "-:--" end
  local s = math.floor(seconds + 0.5)
  if s < 3600 then return ("%d:%02d"):format(s // 60, s % 60) end
  return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60)
end

--- A rate for people.
function M.rate(bytes_per_second)
  if bytes_per_second < 1024 then return ("%.0f B/s"):format(bytes_per_second) end
  if bytes_per_second < 1 << 20 then return ("%.1f KiB/s"):format(bytes_per_second / 1024) end
  return ("%.1f MiB/s"):format(bytes_per_second / (1 << 20))
end

--- A new report.
-- @param o table, all optional: json, verbose, silent, no_progress (booleans); out, err (files);
--   tty (out is a terminal), err_tty, color, width, now (function): found out when absent
function M.new(o)
  o = o or {}
  local self = setmetatable({}, M)
  self.json, self.verbose, self.silent = o.json or false, o.verbose or false, o.silent or false
  self.out, self.err = o.out or io.stdout, o.err or io.stderr
  self.now = o.now or monotonic()
  local term = terminal()
  local function ask(value, what, default)
    if value ~= nil then return value end
    if term and term[what] then return term[what](1) end
    return default
  end
  self.tty = ask(o.tty, "isatty", false)
  self.color = ask(o.color, "colors", false)
  self.err_color = o.color
  if o.color == nil then self.err_color = term and term.colors and term.colors(2) or false end
  self.get_width = function() return o.width or term and term.width and term.width() or 80 end
  self.no_progress = o.no_progress or not self.tty or false
  self.started = self.now()
  return self
end

local COLORS = { red = "31", yellow = "33", green = "32", dim = "2", bold = "1" }

local function paint(on, color, text)
  return on and ("\27[%sm%s\27[0m"):format(COLORS[color], text) or text
end

--- Take away the line at the bottom, so that another can be written.
function M:clear()
  if self.live then
    self.out:write "\r\27[K"
    self.out:flush()
    self.live = nil
  end
end

local function show(self, text)
  if self.json or self.silent or not self.tty then return end
  self.out:write("\r", text, "\27[K")
  self.out:flush()
  self.live = text
end

local MAX_TEXT, MAX_NESTING = 4096, 4
local LEFT_OUT = { data = true, payload = true, type = true }

-- The plain data in a value: no objects, no bytes of files.
local function plain(v, depth)
  local t = type(v)
  if t == "number" or t == "boolean" then return v end
  if t == "string" then return #v <= MAX_TEXT and v or nil end
  if t ~= "table" or depth > MAX_NESTING then return nil end
  local mt = getmetatable(v)
  if mt and mt.__name == "json.array" then return v end
  if mt then return nil end
  local copy = {}
  for k, item in pairs(v) do
    if not LEFT_OUT[k] then copy[k] = plain(item, depth + 1) end
  end
  return copy
end

--- Write an event; nothing unless in JSON mode.
-- @param kind string, its `event`
-- @param data table, may be nil. Objects, functions and long strings in it are left out.
function M:emit(kind, data)
  if not self.json then return end
  local event = plain(data or {}, 1) or {}
  event.event = kind
  self.out:write(require "esp.json".encode(event, "event"), "\n")
  self.out:flush()
end

--- A line of ordinary output.
function M:say(text)
  if self.json or self.silent then return end
  self:clear()
  self.out:write(text, "\n")
end

--- A line that only --verbose shows.
function M:detail(text)
  if self.verbose then self:say(text) end
end

local function capital(text)
  return text:find "^%l+%f[ \0]" and text:sub(1, 1):upper() .. text:sub(2) or text   -- not "app.bin: ..."
end

local function with(text, data)
  local event = {}
  for k, v in pairs(data or {}) do event[k] = v end
  event.text = text
  return event
end

--- What is going on now: the line at the bottom of a terminal, an ordinary line in a pipe or with --verbose.
-- @param text string; data table of what else the event says, may be nil
function M:stage(text, data)
  self:emit("stage", with(text, data))
  text = capital(text) .. " ..."
  if self.tty and not self.verbose then show(self, text) else self:say(text) end
end

--- Something a user should know, in passing.
function M:note(text, data)
  self:emit("note", with(text, data))
  self:say("Note: " .. text)
end

--- Something a user should look at.
function M:warning(text, data)
  self:emit("warning", with(text, data))
  if self.json or self.silent then return end
  self:clear()
  self.out:flush()
  local hint = data and data.hint and ("\n  hint: " .. data.hint) or ""
  self.err:write(paint(self.err_color, "yellow", "Warning: " .. text), hint, "\n")
end

--- What came out: an event with the data, or the text for people.
-- @param data table
-- @param text string or nil
function M:result(data, text)
  self:emit("result", data)
  if text then self:say(text) end
end

--- A table for people; in JSON mode one event per row.
-- @param kind string, `event` of the rows
-- @param rows list of tables
-- @param columns list of { key, title }
function M:table(kind, rows, columns)
  if self.json then
    for _, row in ipairs(rows) do self:emit(kind, row) end
    return
  end
  local widths, lines = {}, {}
  local function text(row, c) return tostring(row[c[1]] == nil and "" or row[c[1]]) end
  for i, c in ipairs(columns) do
    widths[i] = #c[2]
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], utf8.len(text(row, c)) or #text(row, c)) end
  end
  local function line(cell)
    local parts = {}
    for i, c in ipairs(columns) do
      local t = cell(c)
      parts[i] = t .. (" "):rep(widths[i] - (utf8.len(t) or #t))
    end
    lines[#lines + 1] = (table.concat(parts, "  "):gsub("%s+$", ""))
  end
  line(function(c) return c[2] end)
  for _, row in ipairs(rows) do line(function(c) return text(row, c) end) end
  lines[1] = paint(self.color, "bold", lines[1])
  self:say(table.concat(lines, "\n"))
end

local function bar_text(label, done, total, rate, width)
  local share = total > 0 and math.min(done / total, 1) or 0
  local tail = (" %3d%%  %s"):format(math.floor(share * 100), M.bytes(total))
  if rate and rate > 0 then
    tail = tail .. ("  %s  %s left"):format(M.rate(rate), M.clock((total - done) / rate))
  end
  local room = math.max(width - 1, 20) - #tail
  local cells = math.min(30, room - #label - 4)
  if cells < 5 then                                      -- a narrow terminal: the label gives way
    label = label:sub(1, math.max(room - 9, 0))
    cells = math.min(30, room - #label - 4)
  end
  if cells < 1 then return tail:sub(2, width - 1) end
  local full = math.floor(share * cells)
  return ("%s [%s%s]%s"):format(label, ("="):rep(full), (" "):rep(cells - full), tail)
end

local PHASES = { write = "Writing", read = "Reading", erase = "Erasing", verify = "Verifying" }

local function label_of(info, label)
  local doing = info and PHASES[info.phase] or label
  if info and info.name then
    local file = info.name:match "[^/\\]+$" or info.name
    doing = doing and doing .. " " .. file or file
  end
  return doing or "Working"
end

--- A progress callback for a long call of the library: function(done, total, info) in bytes.
-- On a terminal it draws a bar, in JSON mode it writes "progress" events, in a pipe it does nothing. One callback
-- serves a call that does several things one after another; info.phase, info.name and info.index tell them apart.
-- @param label string, what is going on where info does not say it
function M:bar(label)
  local samples, last, ended, current = {}, -math.huge, false, nil
  return function(done, total, info)
    if not total or (self.no_progress and not self.json) then return end
    local key = label_of(info, label) .. (info and info.index or "") .. total
    if key ~= current then samples, last, ended, current = {}, -math.huge, false, key end
    if ended then return end
    local now = self.now()
    ended = done >= total
    if now - last < (self.json and JSON_EVERY or BAR_EVERY) and not ended then return end
    last = now
    samples[#samples + 1] = { now, done }
    while #samples > 2 and now - samples[1][1] > WINDOW do table.remove(samples, 1) end
    local first = samples[1]
    local rate = now > first[1] and (done - first[2]) / (now - first[1]) or nil
    if self.json then
      self:emit("progress", { label = label_of(info, label), done = done, total = total,
                              address = info and info.address, name = info and info.name,
                              phase = info and info.phase })
    else
      show(self, bar_text(label_of(info, label), done, total, rate, self.get_width()))
      if ended and self.verbose then
        self.out:write "\n"
        self.live = nil
      end
    end
  end
end

local function hexdump(data)
  local lines = {}
  for at = 1, #data, 16 do
    local row = data:sub(at, at + 15)
    local hex = row:gsub(".", function(c) return ("%02x "):format(c:byte()) end)
    lines[#lines + 1] = ("    %04x  %-48s %s"):format(at - 1, hex, (row:gsub("[^\32-\126]", ".")))
  end
  return lines
end

--- A packet that was sent or received, as esp.core.link traces it.
function M:packet(p)
  local data = p.data or ""
  if self.json then
    local hex = data:gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    return self:emit("packet", { t = p.t, dt = p.dt, dir = p.dir, op = p.op, name = p.name, len = p.len,
                                 checksum = p.checksum, value = p.value, hex = hex })
  end
  local extra = p.checksum and ("  checksum 0x%x"):format(p.checksum)
                or p.value and ("  value 0x%x"):format(p.value) or ""
  self:say(("%s +%.3f  %s%s  %d bytes%s"):format(p.dir == "tx" and ">" or "<", p.dt or 0, p.name or "?",
           p.op and (" (0x%02x)"):format(p.op) or "", p.len or #data, extra))
  for _, line in ipairs(hexdump(data)) do self:say(line) end
end

--- The function to give to the library as on_event.
-- An event has a type (stage, note, warning, attempt, result, ...), mostly a code, and a text for people.
function M:listener()
  return function(e)
    local kind = e.type or "note"
    if kind == "stage" and e.code == "reset" and not self.json then
      self:say(e.text)                                   -- how the chip is left is worth a line that stays
    elseif kind == "stage" then
      self:stage(e.text, e)
    elseif kind == "note" or kind == "warning" then
      self[kind](self, e.text or e.code, e)
    elseif kind == "attempt" then
      self:emit("attempt", e)
      self:detail(("Attempt %s: %s"):format(e.number or "", e.text or ""))
    else
      self:emit(kind == "result" and e.code or kind, e)
      if e.text then self:say(e.text) end
    end
  end
end

--- The last event of a failed command. The interpreter calls this when json_wanted is set.
-- @param err caught value
function M:failure(err)
  local exits = require "esp.exits"
  local event = type(err) == "table" and err or {}
  local code = event.code or "script_error"
  local status, class = exits.of(code)
  self:emit("error", { code = code, class = class, status = status, message = event.message or tostring(err),
                       hint = event.hint, port = event.port, details = event.details })
end

--- End of a command that succeeded.
function M:done()
  self:clear()
  self:emit("done", { seconds = math.floor((self.now() - self.started) * 1000 + 0.5) / 1000 })
  self.out:flush()
end

return M
