-- A stub that did not arrive whole does not start. The ROM takes it under a checksum of eight bits (esptool
-- documentation, "Serial Protocol": the exclusive or of all bytes), which two errors may leave as it was.
package.path = "./?.lua;" .. package.path
local base64 = require "esp.base64"
local esp = require "esp"
local json = require "esp.json"
local sim = require "esp.sim"

local STRESS = os.getenv "ESPLUA_GC_STRESS"
local path = os.tmpname()

-- Connects with the shipped stub of a chip, in which the words at these offsets of one of its parts have the same bit
-- flipped.
local function connect(id, part, offsets)
  local f <close> = assert(io.open(("stubs/%s.json"):format(id), "rb"))
  local o = json.decode(f:read "a")
  local bytes = base64.decode(o[part])
  for _, at in ipairs(offsets) do
    if at < 0 then at = at + #bytes end
    bytes = bytes:sub(1, at) .. string.char(bytes:byte(at + 1) ~ 0x40) .. bytes:sub(at + 2)
  end
  o[part] = base64.encode(bytes)
  local out <close> = assert(io.open(path, "wb"))
  out:write(json.encode(o))
  out:close()
  local device = sim.new { chip = id }
  local failed
  local chip = esp.connect { port = device:port(), env = {}, stub = path, baud = 115200, after = "no-reset",
                             on_event = function(e) if e.code == "stub_failed" then failed = e.text end end }
  return chip, device, failed
end

describe("a stub", function()
  teardown(function() os.remove(path) end)

  -- One per way to start; far behind the beginning, where nothing runs before the stub says its word.
  for _, id in ipairs(STRESS and { "esp32c3" } or { "esp32c3", "esp32p4", "esp32", "esp32s3", "esp8266" }) do
    it("that is whole starts on the " .. id, function()
      local chip, device, failed = connect(id, "text", {})
      assert.same({ true, nil }, { chip.stub, failed })
      chip:close()
      device:close()
    end)

    it("with two errors in its code, which the ROM does not see, does not start on the " .. id, function()
      local chip, device, failed = connect(id, "text", { -2000, -1000 })
      assert.is_false(chip.stub)
      assert.matches("did not start %(.*did not answer%), the ROM loader does the work", failed)
      assert.matches("^%x%x:", chip:mac())
      chip:close()
      device:close()
    end)
  end

  for _, offsets in ipairs(STRESS and {} or { { 100, 104 }, { -8, -4 } }) do
    it(("with errors at %d and %d of its data does not start"):format(offsets[1], offsets[2]), function()
      local chip, device, failed = connect("esp32c6", "data", offsets)
      assert.is_false(chip.stub)
      assert.is_string(failed)
      chip:close()
      device:close()
    end)
  end
end)
