-- Attaching flash: the words sent and the registers touched, on a chip that is only a table.
local attach = require "esp.flash_attach"
local chips = require "esp.chips"

local function chip(id, options)
  options = options or {}
  local data = chips.get(id)
  local words = chips.initial(data, { revision = options.revision })
  local sent, writes, events = {}, {}, {}
  local c = { data = data, sdm = options.sdm, stub = options.stub, session = 1, status_bytes = 4, config = {},
              revision_number = options.revision, words = words, sent = sent, writes = writes, events = events }
  c.on_event = function(e) events[#events + 1] = e.code end
  function c.read_reg(_, a) return words[a] or 0 end
  function c.write_reg(_, a, v)
    writes[#writes + 1] = { a, v }
    words[a] = a == data.spi.base and 0 or v
  end
  c.link = { flush = function() end, command = function(_, op, bytes)
    sent[#sent + 1] = { op, bytes }
    return 0, ""
  end }
  return c
end

local function set(c, field, value)
  chips.field_set(field, value, function(a) return c.words[a] or 0 end, function(a, w) c.words[a] = w end)
end

describe("attaching flash", function()
  it("without a wish takes the default pads", function()
    local c = chip "esp32c3"
    attach.attach(c)
    assert.same({ { 0x0D, ("\0"):rep(8) } }, c.sent)
    attach.attach(c)
    assert.equal(1, #c.sent, "attached twice")
  end)

  it("takes the pads of an ESP32's package from its eFuses, where 30 and 31 mean GPIO 32 and 33", function()
    local c = chip "esp32"
    local pads = c.data.flash.efuse_pads
    for name, pin in pairs { clk = 6, q = 30, d = 8, hd = 31, cs = 16 } do set(c, pads[name], pin) end
    attach.attach(c)
    assert.equal(("<I4I4"):pack(33 << 24 | 16 << 18 | 8 << 12 | 32 << 6 | 6, 0), c.sent[1][2])
  end)

  it("asks no eFuse and no flash in secure download mode", function()
    local c = chip("esp32c3", { sdm = true })
    c.read_reg = function() error "a register was read" end
    attach.attach(c)
    assert.same({ { 0x0D, ("\0"):rep(8) } }, c.sent)
  end)

  it("is a begin of nothing on the ESP8266", function()
    local c = chip "esp8266"
    attach.attach(c)
    assert.same({ { 0x02, ("<I4I4I4I4"):pack(0, 0, 0x400, 0) } }, c.sent)
  end)

  it("uses other pins when told, and says that they carry USB", function()
    local c = chip "esp32c3"
    attach.attach(c, { spi_connection = "18,1,2,3,4" })
    assert.equal(("<I4I4"):pack(3 << 24 | 4 << 18 | 2 << 12 | 1 << 6 | 18, 0), c.sent[1][2])
    assert.equal("usb_pins", c.events[1])
    attach.attach(c, { spi_connection = { 1, 2, 3, 4, 5 } })
    assert.equal(2, #c.sent)
  end)

  it("warns when nothing answers, with a word about the pins that were chosen", function()
    local c, hint = chip "esp32c3", nil
    c.on_event = function(e) if e.code == "flash_silent" then hint = e.hint end end
    local state = attach.attach(c, { spi_connection = "1,2,3,4,5" })
    assert.is_false(state.answers)
    assert.matches("are these pins free", hint)
  end)

  it("again after a new connection", function()
    local c = chip "esp32c3"
    attach.attach(c)
    c.session = 2
    attach.attach(c)
    assert.equal(2, #c.sent)
  end)
end)

-- Register values: ESP32-P4 Technical Reference Manual, "Power Management"; the order as published for ECO6.
describe("the supply of an ESP32-P4's flash", function()
  it("is switched on by revisions that leave it off, before anything is sent", function()
    for _, revision in ipairs { 301, 302 } do
      local c = chip("esp32p4", { revision = revision })
      local before
      c.link.command = function()
        before = before or #c.writes
        return 0, ""
      end
      attach.attach(c)
      assert.equal(8, before)
      assert.equal("flash_power_up", c.events[1])
    end
  end)
  it("is left alone on the others, with a stub of no use, and in secure download mode", function()
    local c = chip("esp32p4", { revision = 100 })
    attach.power_up(c)
    assert.equal(0, #c.writes)
    attach.power_up(chip("esp32p4", { revision = 301, sdm = true }))
  end)
  it("has its forced bits released where the fuse has the ROM switch it on", function()
    local c = chip("esp32p4", { revision = 302 })
    local entry = c.data.flash.power_up[1]
    set(c, entry.when, 1)
    local address = entry.steps[1][1]
    c.words[address] = 0x12340003
    attach.power_up(c)
    assert.same({ { address, 0x12340000 } }, c.writes)
    attach.power_up(c)
    assert.equal(1, #c.writes)
  end)
end)

describe("the size of flash", function()
  local function sized(wanted, state_size, options)
    local c = chip("esp32c3", options)
    c.flash_state = { size = state_size, id = 0, answers = true }
    return attach.set_size(c, wanted), c
  end
  it("is told to the loader", function()
    local r, c = sized("keep", 8 << 20)
    assert.same({ 0x0B, ("<I4I4I4I4I4I4"):pack(0, 8 << 20, 0x10000, 0x1000, 0x100, 0xFFFF) }, c.sent[1])
    assert.same({ nil, 8 << 20 }, { r.header, r.limit })
  end)
  it("that is given goes into the header and limits what fits", function()
    local r = sized("2mb", 8 << 20)
    assert.same({ "2MB", 2 << 20 }, { r.header, r.limit })
    r = sized("16MB", 8 << 20)
    assert.same({ "16MB", 8 << 20 }, { r.header, r.limit })
    r = sized(4 << 20, nil)
    assert.same({ "4MB", 4 << 20 }, { r.header, r.limit })
  end)
  it("beyond 16 MB is capped without a stub that can reach it", function()
    assert.same({ 16 << 20, true }, { (sized("keep", 32 << 20)).limit, (sized("keep", 32 << 20)).capped })
  end)
  it("that is unknown limits nothing", function()
    local r, c = sized("keep", nil)
    assert.is_nil(r.limit)
    assert.equal(0, #c.sent)
  end)
end)
