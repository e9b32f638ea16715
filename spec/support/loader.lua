-- A loader at the other end of a line, as small as the protocol allows, for answers that no simulated chip gives:
-- a stub that was left running, chips that do not exist. Written from esptool's documentation, "Serial Protocol".
local port = require "esp.core.port"
local slip = require "esp.core.slip"
local task = require "esp.core.task"

--- @param behaviour table: stub = SYNC answers 0 and status is 2 bytes; words = { [address] = word }; security = bytes
--   of GET_SECURITY_INFO; refuse = { [op] = error }; silent = { [op] = true }; rename = { [op] = op in the answer };
--   answers = { [op] = bytes before the status }; deaf = number of frames not heard
-- @return port for the host, list of { op, data } as received, function to stop
return function(behaviour)
  local near, far = port.pair()
  local log = {}
  local size = behaviour.stub and 2 or 4
  local deaf = behaviour.deaf or 0

  local function answer(op, value, body, status, code)
    local tail = string.char(status or 0, code or 0) .. ("\0"):rep(size - 2)
    local data = (body or "") .. tail
    op = behaviour.rename and behaviour.rename[op] or op
    far:write(slip.encode(("<BBI2I4"):pack(1, op, #data, value) .. data))
  end

  local function serve(frame)
    local direction, op, _, _ = ("<BBI2I4"):unpack(frame)
    local data = frame:sub(9)
    if direction ~= 0 then return end
    if deaf > 0 then deaf = deaf - 1 return end
    log[#log + 1] = { op, data }
    local refused = behaviour.refuse and behaviour.refuse[op]
    if behaviour.silent and behaviour.silent[op] then return end
    if refused then return answer(op, 0, "", 1, refused) end
    if op == 0x08 then
      for _ = 1, 8 do answer(op, behaviour.stub and 0 or 0x20120707) end
    elseif op == 0x0A then
      answer(op, (behaviour.words or {})[(("<I4"):unpack(data))] or 0)
    elseif op == 0x14 then
      if behaviour.security then return answer(op, 0, behaviour.security) end
      answer(op, 0, "", behaviour.stub and 0xFF or 1, 5)
    else
      answer(op, 0, behaviour.answers and behaviour.answers[op])
    end
  end

  local worker = task.spawn(function()
    local decoder = slip.decoder()
    while true do
      local bytes, _, code = far:read(4096, 1)
      if code and code ~= "timeout" then return end
      for _, frame in ipairs(bytes and decoder:feed(bytes) or {}) do
        if #frame >= 8 then serve(frame) end
      end
    end
  end)
  return near, log, function()
    worker:cancel()
    far:close()
  end
end
