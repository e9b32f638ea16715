-- The stubs that are kept: what the host relies on before it loads one.
local chips = require "esp.chips"
local json = require "esp.json"

local CODE_MOST = 8192 + 1024                 -- 8 KiB of code (the linker script asserts it) and constants

local function load_stub(name)
  local f <close> = assert(io.open("stubs/" .. name .. ".json", "rb"))
  return json.decode(f:read "a")
end

local function bytes_of(base64)
  assert.equal(0, #base64 % 4)
  return #base64 // 4 * 3 - #base64:match "=*$"
end

describe("the kept stub", function()
  for _, id in ipairs(chips.list()) do
    local data = chips.get(id)
    for _, file in ipairs(data.stub.default ~= "none" and (data.stub.files or { data.stub }) or {}) do
      local name = file.name or id
      it("of " .. name .. " lies where the chip's data says", function()
        local stub = load_stub(name)
        local code, constants = bytes_of(stub.text), bytes_of(stub.data)
        assert.equal(file.text, stub.text_start)
        assert.equal(file.data, stub.data_start)
        assert.is_true(code <= CODE_MOST)
        assert.is_true(stub.entry >= stub.text_start and stub.entry < stub.text_start + code)
        assert.is_true(stub.bss_start >= stub.data_start + constants and stub.bss_start < file.data_end)
        -- what may be on the way fits into the ring, which lies with a window of 32 KiB between these
        local ring = file.ring or data.stub.ring
        assert.is_true(stub.capabilities[2] < ring and ring < file.data_end - stub.bss_start - 0x8000)
        -- code and data may be two names of one memory, but never the same addresses
        assert.is_true(file.text + CODE_MOST <= file.data or file.data_end <= file.text)
      end)
    end
  end

  it("tells beforehand what it answers to CAPABILITIES", function()
    local sim = require "esp.sim"
    for _, id in ipairs { "esp32c3", "esp32", "esp8266", "esp32p4" } do
      local board <close> = sim.new { chip = id }
      local chip <close> = require("esp").connect { port = board:port(), stub = "ours" }
      local _, body = chip:command(0xF0, "")
      local file = chips.for_revision(chip.data.stub.files, chip.revision_number or 0)
      local told = load_stub(file and file.name or id).capabilities
      assert.equal(body, ("<I4I4I4I4"):pack(table.unpack(told)), id)
    end
  end)
end)
