-- A controller modelled here from the Technical Reference Manuals' "SPI Controller": what is written to its
-- registers becomes one transfer, which a small flash answers. Ids from data sheets: W25Q32JV EF 40 16,
-- AT25SF041 (Adesto) 1F 84 01, GD25LQ128 C8 60 18, XM25QH64C 20 40 17.
local spiflash = require "esp.spiflash"

local LAYOUTS = {
  new = { base = 0x60002000, usr = 0x18, usr1 = 0x1C, usr2 = 0x20, mosi_dlen = 0x24, miso_dlen = 0x28, w0 = 0x58,
          addr_msb = false },
  esp32 = { base = 0x3FF42000, usr = 0x1C, usr1 = 0x20, usr2 = 0x24, mosi_dlen = 0x28, miso_dlen = 0x2C, w0 = 0x80,
            addr_msb = true },
  esp8266 = { base = 0x60000200, usr = 0x1C, usr1 = 0x20, usr2 = 0x24, w0 = 0x40, addr_msb = true },
}

-- answer(transfer) -> bytes; transfers are kept in .log
local function controller(layout, answer)
  local spi = LAYOUTS[layout]
  local regs, log = { [spi.base + spi.usr] = 0xAAAA, [spi.base + spi.usr2] = 0x5555 }, {}
  local chip = { data = { spi = spi }, log = log, regs = regs }
  local function reg(offset) return regs[spi.base + offset] or 0 end
  local function transfer()
    local usr, usr1 = reg(spi.usr), reg(spi.usr1)
    local t = { opcode = reg(spi.usr2) & 0xFFFF, opcode_bits = (reg(spi.usr2) >> 28) + 1 }
    if usr >> 30 & 1 == 1 then
      t.address_bits = (usr1 >> 26) + 1
      t.address = spi.addr_msb and reg(4) >> (32 - t.address_bits) or reg(4)
    end
    if usr >> 29 & 1 == 1 then t.dummy_bits = (usr1 & 0xFF) + 1 end
    if usr >> 27 & 1 == 1 then
      local n = ((spi.mosi_dlen and reg(spi.mosi_dlen) or usr1 >> 17 & 0x1FF) + 1) // 8
      local words = ""
      for i = 0, 15 do words = words .. ("<I4"):pack(reg(spi.w0 + 4 * i)) end
      t.data = words:sub(1, n)
    end
    log[#log + 1] = t
    if usr >> 28 & 1 == 1 then
      t.read_bits = (spi.miso_dlen and reg(spi.miso_dlen) or usr1 >> 8 & 0x1FF) + 1
      local bytes = answer and answer(t) or ""
      bytes = bytes:sub(1, t.read_bits // 8) .. ("\0"):rep(64)
      for i = 0, 15 do regs[spi.base + spi.w0 + 4 * i] = ("<I4"):unpack(bytes, 4 * i + 1) end
    end
  end
  function chip:read_reg(address)
    if self.dead then error(self.dead, 0) end
    return regs[address] or 0
  end
  function chip:write_reg(address, value)
    regs[address] = value & 0xFFFFFFFF
    if address == spi.base then
      if not self.stuck then
        transfer()
        regs[address] = 0
      end
    end
  end
  return chip
end

local function code_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return type(err) == "table" and err.code or err, err
end

describe("a SPI command", function()
  it("that flash does not finish is an error, not a hang", function()
    local chip = controller "new"
    chip.stuck = true
    local code, err = code_of(spiflash.command, chip, { opcode = 0x9F, read_bits = 24 })
    assert.equal("flash_failed", code)
    assert.matches("0x9F did not finish", err.message, 1, true)
  end)
  it("is not possible in secure download mode", function()
    local chip = controller "new"
    chip.sdm = true
    assert.equal("secure_download_mode", (code_of(spiflash.command, chip, { opcode = 5 })))
  end)
  it("has its numbers checked", function()
    local chip = controller "new"
    for _, c in ipairs { { opcode = 256 }, { opcode = 1, read_bits = 513 }, { opcode = 1, data = ("x"):rep(65) },
                         { opcode = 1, address = 1 << 24, address_bits = 24 }, { opcode = 1, address_bits = 33 },
                         { opcode = 1.5 } } do
      assert.is_false((pcall(spiflash.command, chip, c)))
    end
    assert.equal(0, #chip.log)
  end)

  for _, layout in ipairs { "new", "esp32", "esp8266" } do
    it("goes out as asked and leaves the controller as it was (" .. layout .. ")", function()
      local chip = controller(layout, function() return "0123456789" end)
      assert.equal("012", (spiflash.command(chip, { opcode = 0x5A, read_bits = 24, address = 0x123456,
                                                    address_bits = 24, dummy_bits = 8 })))
      local t = chip.log[1]
      assert.same({ 0x5A, 8, 0x123456, 24, 8, 24 },
                  { t.opcode, t.opcode_bits, t.address, t.address_bits, t.dummy_bits, t.read_bits })
      local spi = chip.data.spi
      assert.same({ 0xAAAA, 0x5555 }, { chip.regs[spi.base + spi.usr], chip.regs[spi.base + spi.usr2] })
      spiflash.command(chip, { opcode = 0x01, data = "\x12\x34\x56\x78\x9A" })
      assert.equal("\x12\x34\x56\x78\x9A", chip.log[2].data)
      assert.is_nil(chip.log[2].address)
    end)
  end

  it("is tried again when an answer is lost, and not when the port is gone", function()
    local fail = require "esp.error"
    for _, case in ipairs { { "timeout", 2, true }, { "timeout", 3, false }, { "port_gone", 1, false } } do
      local chip = controller("new", function() return "\xEF\x40\x16" end)
      local left = case[2]
      local read = chip.read_reg
      function chip:read_reg(address)
        if left > 0 and address == self.data.spi.base then
          left = left - 1
          fail { code = case[1], message = "x" }
        end
        return read(self, address)
      end
      assert.equal(case[3], (pcall(spiflash.read_id, chip)))
    end
  end)
end)

describe("flash", function()
  local function with_id(id)
    return controller("new", function(t) return t.opcode == 0x9F and id or "" end)
  end
  for _, case in ipairs {
    { "W25Q32", "\xEF\x40\x16", 0xEF, 0x4016, 4 << 20 }, { "AT25SF041", "\x1F\x84\x01", 0x1F, 0x8401, 512 << 10 },
    { "GD25LQ128", "\xC8\x60\x18", 0xC8, 0x6018, 16 << 20 }, { "MX25U51245G", "\xC2\x25\x3A", 0xC2, 0x253A, 64 << 20 },
    { "N25Q512", "\x20\xBA\x20", 0x20, 0xBA20, 64 << 20 }, { "of an unknown code", "\xEF\x40\x77", 0xEF, 0x4077, nil },
  } do
    it(case[1] .. " has its id and size", function()
      local d = spiflash.describe(spiflash.read_id(with_id(case[2])))
      assert.same({ case[3], case[4], case[5] }, { d.manufacturer, d.device, d.size })
    end)
  end
  it("that is not there is recognised", function()
    for _, id in ipairs { 0, 0xFFFFFF, 0xFFFF3F } do assert.is_true(spiflash.nobody(id)) end
    assert.is_false(spiflash.nobody(0x1640EF))
  end)

  -- JESD216: "SFDP", revision, headers; the table at 0x30, its second word the size in bits less one.
  local function sfdp_chip(density)
    local area = ("SFDP" .. "\6\1\0\xFF" .. "\0\6\1\x10\x30\0\0\xFF"):sub(1, 16) .. ("\xFF"):rep(32)
      .. "\xE5\x20\xF9\xFF" .. ("<I4"):pack(density)
    return controller("new", function(t)
      return t.opcode == 0x5A and area:sub(t.address + 1) .. ("\xFF"):rep(8) or ""
    end)
  end
  it("tells its size by SFDP", function()
    assert.equal(4 << 20, spiflash.size_of_sfdp(sfdp_chip((32 << 20) - 1)))
    assert.equal(512 << 20, spiflash.size_of_sfdp(sfdp_chip(0x80000000 | 32)))
    assert.is_nil(spiflash.size_of_sfdp(sfdp_chip(12345)))
    assert.is_nil(spiflash.size_of_sfdp(sfdp_chip(0xFFFFFFFF)))
    assert.is_nil(spiflash.size_of_sfdp(with_id "\xEF\x40\x16"))
  end)

  it("is read and written through its status registers", function()
    local status = { 0x9C, 0x02, 0x60 }
    local chip = controller("new", function(t)
      for i, op in ipairs { 0x05, 0x35, 0x15 } do
        if t.opcode == op then return string.char(status[i] & (i == 1 and 0xFC or 0xFF)) end
      end
    end)
    assert.equal(0x9C, spiflash.read_status(chip, 1))
    assert.equal(0x60029C, spiflash.read_status(chip, 3))
    local from = #chip.log + 1
    spiflash.write_status(chip, 0x0200, 2, true)
    local sent = {}
    for i = from, #chip.log do
      local t = chip.log[i]
      if t.opcode ~= 0x05 then sent[#sent + 1] = { t.opcode, t.data } end
    end
    assert.same({ { 6 }, { 1, "\0\2" }, { 6 }, { 1, "\0" }, { 6 }, { 0x31, "\2" }, { 4 } }, sent)
    chip.log[1] = nil
    spiflash.write_status(chip, 0, 1, false)
    assert.is_false((pcall(spiflash.write_status, chip, 0x10000, 2)))
  end)

  it("of XMC that started wrongly is cured, or said not to be", function()
    for _, works in ipairs { true, false } do
      local released = false
      local chip = controller("new", function(t)
        if t.opcode == 0x9F then return released and works and "\x20\x40\x17" or "\x20\0\0" end
        if t.opcode == 0x5A and t.address == 0x10 then return "\x20" end
        return ""
      end)
      local write = chip.write_reg
      function chip:write_reg(a, v)
        write(self, a, v)
        released = released or #self.log > 0 and self.log[#self.log].opcode == 0xAB
      end
      assert.equal(works and "cured" or "failed", spiflash.cure_xmc(chip))
      local opcodes = {}
      for _, t in ipairs(chip.log) do opcodes[#opcodes + 1] = t.opcode end
      assert.same({ 0x9F, 0x5A, 0xB9, 0x79, 0xFF, 0xAB, 0x9F }, opcodes)
    end
    assert.is_nil(spiflash.cure_xmc(with_id "\x20\x40\x17"))
    assert.is_nil(spiflash.cure_xmc(with_id "\xEF\x40\x16"))
  end)
end)
