-- A chip that runs a mask ROM: ours, of a few instructions, for ESP32. It shows what the vendor's ROM relies on (seen
-- in its disassembly, and the same on the emulated chip): the end of a transmission is an event, not a state; the
-- eFuse controller is seen at work; reading the flash's status leaves the data words alone; the matrix leads to the
-- processor's inputs. Assembled by GNU as for LX106.
local sim = require "esp.sim"
local unhex = require "spec.support.cpu".unhex

-- Addresses of UART, eFuses, SPI1 and the UART's word in the matrix; the command RDSR; the key for a read.
local LITERALS = unhex [[
  0000f43f00a0f53f0020f43f8c01f03f00000008a55a0000 ]]

-- l32r a2, UART; l32i a3, a2, 0; s32i a3, a2, 0; rfe: echoes
local VECTOR = unhex "21f0ff322200326200003000"

-- l32r a2, UART; addi a10, a10, 1; movi a3, 1; s32i a3, a2, 16; movi a3, 0x100; s32i a3, a2, 16; j loop; take: l32i a3,
-- a2, 0; addi a11, a11, 1; loop: l32i a3, a2, 28; extui a3, a3, 0, 8; bnez a3, take; rfe: acknowledges first and then
-- takes what is there, as the vendor's does, counting interrupts and bytes
local TAKES_ALL = unhex "21f0ff1baa0c13394232a1003942c6000038021bbb38723030745633ff003000"

-- Sends 'A'; INT_RAW bit 14 before and after INT_CLR; EFUSE_CMD twice after a read command; W0 after RDSR, where 'X'
-- was; all that as characters. Then UART0 to input 5, its interrupt on; j .
local RESET = unhex [[
  21c0ff32a04132620042220152afff526204522201404e04505e0442c43052c53061b8ff71bcff72663f72a0017266418226
  4192264182c83092c93061b3ff72a05872662071b2ff726600a22620426200526200826200926200a2620061abff72a00572
  660072a00172620972620372a02070e41372a02070e61310200006ffff ]]

local function elf(parts, entry)
  local head = 52 + 40 * (#parts + 1)
  local bodies, sections = {}, { string.rep("\0", 40) }
  for i, p in ipairs(parts) do
    local at = head + #table.concat(bodies)
    sections[i + 1] = string.pack("<I4I4I4I4I4I4I4I4I4I4", 0, 1, 6, p[1], at, #p[2], 0, 0, 4, 0)
    bodies[i] = p[2]
  end
  return "\x7fELF\1\1\1" .. string.rep("\0", 9) ..
    string.pack("<I2I2I4I4I4I4I4I2I2I2I2I2I2", 2, 94, 1, entry, 0, 52, 0, 52, 32, 0, 40, #parts + 1, 0) ..
    table.concat(sections) .. table.concat(bodies)
end

local MAGIC = string.pack("<I4", 0x00F01D83) -- the word by which this chip's ROM is known

describe("a ROM on the simulated ESP32", function()
  local name, chip, port
  local function start(parts, entry)
    name = os.tmpname()
    local f <close> = assert(io.open(name, "wb"))
    f:write(elf(parts, entry))
    f:close()
    return sim.new { chip = "esp32", rom = name }
  end
  after_each(function()
    if port then port:close() end
    if chip then chip:close() end
    os.remove(name)
    chip, port = nil, nil
  end)

  it("finds the peripherals as the vendor's does", function()
    chip = start({ { 0x40000300, LITERALS }, { 0x40000340, VECTOR }, { 0x40000400, RESET }, { 0x40001000, MAGIC } },
                 0x40000400)
    port = chip:port()
    local got = ""
    for _ = 1, 50 do
      got = got .. (port:read(16, 0.1) or "")
      if #got >= 6 then break end
    end
    assert.equal("A1010X", got)
    port:write "z"
    assert.equal("z", port:read(1, 5))
  end)

  it("is interrupted once for what it reads, however early it acknowledges", function()
    chip = start({ { 0x40000300, LITERALS }, { 0x40000340, TAKES_ALL }, { 0x40000400, RESET }, { 0x40001000, MAGIC } },
                 0x40000400)
    assert.equal("A1010X", (chip:exchange("", 1)))
    local function counts()
      local text = chip:describe()
      return tonumber(text:match "a10 +(0x%x+)"), tonumber(text:match "a11 +(0x%x+)")
    end
    local before, nothing = counts()
    chip:exchange(("0123456789"):rep(60), 5)
    local interrupts, bytes = counts()
    assert.equal(600, bytes - nothing)
    assert.is_true(interrupts - before <= 600)
  end)

  it("is not that of another chip", function()
    local ok, err = pcall(start, { { 0x40000400, RESET }, { 0x40001000, "\1\2\3\4" } }, 0x40000400)
    assert.is_false(ok)
    assert.matches("another chip", tostring(err), 1, true)
  end)
end)
