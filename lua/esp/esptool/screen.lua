--- What goes to the screen in esptool's manner: lines, notes, progress bars, stages that collapse when they end.
-- On a terminal a bar is drawn in place and a finished stage leaves only its notes and warnings. In a pipe there are
-- whole lines, so that programs can read them.
local M = {}
M.__index = M

local BAR = 30                             -- cells of a progress bar
local LEAST_BAR = 5
local BRACKETS = 5                         -- and spaces around a bar, and the cursor
local REDRAW = 0.05                        -- seconds between two pictures of a bar on a terminal

local function term()
  local ok, t = pcall(require, "esp.core.term")
  return ok and t or {}
end

--- @param o { silent, verbose, trace, out, err, tty, color, now } all optional
function M.new(o)
  o = o or {}
  local t = term()
  local self = setmetatable({ out = o.out or io.stdout, err = o.err or io.stderr, silent = o.silent or false }, M)
  local tty = o.tty
  if tty == nil then tty = t.isatty and t.isatty(1) or false end
  self.smart = tty and not o.verbose and not o.trace
  self.color = o.color
  if o.color == nil then self.color = t.colors and t.colors(1) or false end
  self.err_color = o.color
  if o.color == nil then self.err_color = t.colors and t.colors(2) or false end
  self.width = function() return o.width or t.width and t.width() or 80 end
  self.now = o.now or require "esp.core.task".now
  return self
end

local function paint(on, code, text)
  return on and ("\27[%sm%s\27[0m"):format(code, text) or text
end

local function rows_of(self, text)
  local n, width = 0, math.max(self.width(), 1)
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    n = n + math.max(1, ((utf8.len(line) or #line) + width - 1) // width)
  end
  return n
end

local function end_partial(self)
  if self.partial then
    self.out:write "\n"
    if self.rows then self.rows = self.rows + 1 end
    self.partial = nil
  end
end

--- A line.
function M:print(text)
  if self.silent then return end
  end_partial(self)
  text = text or ""
  self.out:write(text, "\n")
  if self.rows then self.rows = self.rows + rows_of(self, text) end
  if self.out:flush() == nil then self.lost = true end
end

--- Whether something could not be printed: the disk that the output goes to is full.
function M:failed()
  return self.lost == true
end

--- The beginning of a line, or more of it: what follows by print starts a new one.
function M:part(text)
  if self.silent then return end
  self.out:write(text)
  self.out:flush()
  self.partial = true
end

local function keep(self, text)
  if self.kept then self.kept[#self.kept + 1] = text end
end

function M:note(text)
  text = paint(self.color, "1;36", "Note:") .. " " .. text
  self:print(text)
  keep(self, text)
end

function M:warning(text)
  if self.on_warning then self.on_warning(text) end
  text = paint(self.color, "0;33", "Warning:") .. " " .. text
  self:print(text)
  keep(self, text)
end

--- To standard error, also when silent.
function M:error(text)
  if not self.silent then end_partial(self) end
  self.out:flush()
  self.err:write(paint(self.err_color, "1;31", text), "\n")
end

--- What is printed until finish() is of passing interest.
function M:stage()
  self:finish()
  end_partial(self)
  if self.smart then self.rows, self.kept = 0, {} end
end

function M:finish()
  if not self.rows then return end
  end_partial(self)
  local rows, kept = self.rows, self.kept
  self.rows, self.kept = nil, nil
  if self.silent then return end
  self.out:write(("\27[1A\27[2K"):rep(rows), "\r")
  for _, line in ipairs(kept) do self:print(line) end
end

-- The bar between its brackets, as many cells wide; nothing where there is no room for one.
local function picture(share, cells)
  if cells < LEAST_BAR then return "" end
  local full = math.floor(cells * share)
  if full >= cells then return ("[%s] "):format(("="):rep(cells)) end
  if full == 0 then return ("[%s] "):format((" "):rep(cells)) end
  return ("[%s>%s] "):format(("="):rep(full - 1), (" "):rep(cells - full))
end

--- A progress bar: function(prefix, done, total), to be called as often as one likes.
function M:bar()
  local last_percent, last_time
  return function(prefix, done, total)
    if self.silent then return end
    local share = total > 0 and math.min(done / total, 1) or 1
    local percent, complete = math.floor(share * 100), done >= total
    if self.smart then
      local now = self.now()
      if last_time and not complete and now - last_time < REDRAW then return end
      last_time = now
    elseif percent == last_percent then
      return
    end
    if complete and last_percent == 100 then return end
    last_percent = percent
    local numbers = ("%5.1f%% %d/%d bytes... "):format(share * 100, done, total)
    -- A line that is wider than the terminal could not be drawn in place.
    local cells = self.smart and math.min(BAR, self.width() - #prefix - #numbers - BRACKETS) or BAR
    local line = ("%s %s%s"):format(prefix, picture(share, cells), numbers)
    if self.smart and #line >= self.width() then line = numbers:match "^ *[%d.]+%% " end
    -- The percentage once more as version 4 wrote it: programs look for either.
    if not self.smart then return self:print(("%s(%d %%)"):format(line, percent)) end
    self.out:write("\r\27[K", line)
    self.partial = true
    if complete then end_partial(self) end
    self.out:flush()
  end
end

local function hex(data)
  return (data:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function dump(data)
  if #data <= 16 then return hex(data) end
  local lines = {}
  for at = 1, #data, 16 do
    local row = data:sub(at, at + 15)
    lines[#lines + 1] = ("    %s %s | %s"):format(("%-16s"):format(hex(row:sub(1, 8))),
      ("%-16s"):format(hex(row:sub(9))), (row:gsub("[^\32-\126]", ".")))
  end
  return "\n" .. table.concat(lines, "\n")
end

--- A packet, as esp.core.link traces it: what stands on the line, and what it means.
function M:packet(p)
  local function trace(form, ...) self:print(("TRACE +%.3f   %s"):format(p.dt or 0, form:format(...))) end
  local function bytes(what, n, data) trace("%-20s %s", what:format(n), dump(data)) end
  local data, sent = p.data or "", p.dir == "tx"
  local packet = data
  if p.op then packet = ("<BBI2I4"):pack(sent and 0 or 1, p.op, p.len, p.checksum or p.value) .. data end
  local frame = require "esp.core.slip".encode(packet)
  if sent then
    trace("--- Cmd %s (0x%02x) | data_len %d | checksum 0x%02x | data %s ---", p.name or "?", p.op or 0, p.len or #data,
          p.checksum or 0, dump(data))
    return bytes("Write %d bytes:", #frame, frame)
  end
  bytes("Read %d bytes:", #frame, frame)
  bytes("Received full packet:", 0, packet)
  if p.op then
    trace("--- Answer to %s (0x%02x) | data_len %d | value 0x%08x | data %s ---", p.name, p.op, p.len, p.value,
          dump(data))
  end
end

return M
