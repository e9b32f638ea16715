-- Programs on the simulated chip: the example images, our own stub as it ships, and small pieces of machine code.
-- Instruction words are encoded by hand from the RISC-V specification.
local chips = require "esp.chips"
local digest = require "esp.core.digest"
local image = require "esp.image"
local json = require "esp.json"
local link = require "esp.core.link"
local rawhost = require "spec.support.rawhost"
local sim = require "esp.sim"
local task = require "esp.core.task"
local zlib = require "esp.core.zlib"
local W, hex = rawhost.words, rawhost.hex

local function file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

-- Wait until something holds, for some seconds at most.
local function eventually(what)
  for _ = 1, 1000 do
    if what() then return true end
    task.sleep(0.005)
  end
  return false
end

local function with(options, fn)
  local chip = sim.new(options)
  local host <close> = rawhost.new(chip)
  return fn(host, chip)
end

local function write_mem(host, address, data)
  local k = link.new(host.port)
  assert(k:write_mem { address = address, data = data, block = 0x1800, timeout = 5 })
end

-- Words of code into RAM of the ESP32-C3, and off they go.
local CODE = 0x40380000
local function run(host, ...)
  host:sync()
  for i, word in ipairs { ... } do host:write_reg(CODE + 4 * (i - 1), word) end
  host.port:write(rawhost.frame(("<BBI2I4"):pack(0, 0x06, 8, 0) .. W(0, CODE)))
end

-- The same for the ESP32: a literal, then code (hex).
local IRAM = 0x40080000
local function run_xtensa(host, literal, code)
  host:sync()
  local bytes = code:gsub("%s+", ""):gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)
  bytes = bytes .. ("\0"):rep(-#bytes % 4)
  host:write_reg(IRAM, literal)
  for at = 1, #bytes, 4 do host:write_reg(IRAM + 7 + at, (string.unpack("<I4", bytes, at))) end
  host.port:write(rawhost.frame(("<BBI2I4"):pack(0, 0x06, 8, 0) .. W(0, IRAM + 8)))
end

-- Bytes from the port until a pattern is found in them.
local function expect(host, pattern)
  local text = ""
  for _ = 1, 100 do
    text = text .. (host.port:read(4096, 0.2) or "")
    if text:find(pattern) then return text end
  end
  return text
end

local LOOP = 0x0000A001                      -- c.j to itself

describe("a program on the simulated chip", function()
  for _, id in ipairs { "esp32c3", "esp32" } do
    it(id .. " prints when it was loaded into RAM", function()
      with({ chip = id }, function(host)
        local path = ("examples/hello/hello-%s.bin"):format(id)
        local bytes = file(path)
        host:sync()
        local loaded = image.parse(bytes)
        for _, s in ipairs(loaded.segments) do
          write_mem(host, s.address, bytes:sub(s.offset + 1, s.offset + s.size))
        end
        host.port:write(rawhost.frame(("<BBI2I4"):pack(0, 0x06, 8, 0) .. W(0, loaded.entry)))
        assert.matches("hello from " .. chips.get(id).name .. " 00000\r\n", expect(host, "00000\r\n"), 1, true)
      end)
    end)

    it(id .. " is started from flash by a reset", function()
      with({ chip = id }, function(host, chip)
        local data = chips.get(id)
        chip:poke_flash(data.bootloader_offset, file(("examples/hello/hello-%s.bin"):format(id)))
        chip:reset "flash"
        assert.matches("hello from " .. data.name .. " 00000\r\n", expect(host, "00000\r\n"), 1, true)
        chip:reset "download"
        expect(host, "waiting")
        assert.is_truthy(host:sync())
      end)
    end)
  end

  it("is not started from flash when its checksum is wrong", function()
    with({ chip = "esp32c3" }, function(_, chip)
      local bytes = file "examples/hello/hello-esp32c3.bin"
      chip:poke_flash(0, bytes:sub(1, 40) .. string.char(bytes:byte(41) ~ 1) .. bytes:sub(42))
      chip:reset "flash"
      assert.is_false(chip:cpu().running)
    end)
  end)

  it("sees the same memory through both windows", function()
    with({ chip = "esp32c3" }, function(host, chip)
      host:sync()
      host:write_reg(0x40390000, 0x12345678)
      assert.equal(0x12345678, host:read_reg(0x3FC90000))
      run(host, 0x403A0537, 0x3FC9F5B7, 0x00A52023,        -- lui a0, 0x403A0; lui a1, 0x3FC9F; sw a0, (a0)
          0xFFC50513, LOOP)                                -- addi a0, a0, -4
      assert.is_true(eventually(function() return chip:reg(0x3FCA0000) == 0x403A0000 end))
    end)
  end)

  it("resets the chip by its register", function()
    with({ chip = "esp32c3" }, function(host, chip)
      local before = chip:state().resets
      run(host, 0x60008537, 0x800005B7, 0x00B52023, LOOP)  -- lui a0, 0x60008; lui a1, 0x80000; sw a1, (a0)
      assert.is_true(eventually(function() return chip:state().resets > before end))
      host:read()
      assert.is_truthy(host:sync())
    end)
  end)

  -- printf as ISO C has it; the ROM sends "\r\n" for "\n". Code is written with fake_rom's encodings; jalr by hand.
  it("prints by the ROM's printf, at the rate of the line", function()
    local r = require "support.fake_rom"
    local A0, A1, A2, A3, A4, T0 = 10, 11, 12, 13, 14, 5
    with({ chip = "esp32c3", rate = "real" }, function(host, chip)
      local format = "%d|%4u|%04x|%c|%s|%%\n\0"
      host:sync()
      for at = 0, #format - 1, 4 do
        host:write_reg(0x3FC90000 + at, (("<I4"):unpack((format:sub(at + 1, at + 4) .. ("\0"):rep(4)):sub(1, 4))))
      end
      run(host, r.lui(A0, 0x3FC90000), r.addi(A1, 0, -7), r.addi(A2, 0, 42), r.addi(A3, 0, 0xBE), r.addi(A4, 0, 0x41),
          r.addi(15, A0, 0), r.lui(T0, 0x40000000), 0x040280E7, r.STOP)              -- jalr ra, 0x40(t0)
      assert.matches("-7|  42|00be|A|" .. format:sub(1, -3) .. "\r\n|%\r\n", expect(host, "\r\n|%%\r\n"),
                     1, true)
      assert.is_nil(chip:fault())
    end)
  end)

  for _, case in ipairs {
    { "reads where there is nothing", { 0x00002503 }, "nothing can be read, address 0x00000000", "lw a0" },
    { "runs what is no instruction", { 0x00000000 }, "instruction that this core lacks", "40380000" },
    { "reads an unaligned word", { 0x3FC90537, 0x00152583 }, "unaligned access, address 0x3fc90001", "lw a1" },
    { "writes a byte through the instruction bus", { 0x40390537, 0x00B50023 }, "takes whole words", "sb a1" },
    { "calls the mask ROM", { 0x40010537, 0x000500E7 }, "called the mask ROM at 0x40010000", "a0" },
    { "jumps into flash that is not mapped", { 0x42000537, 0x000500E7 }, "no code to execute", "42000000" },
  } do
    it("is stopped when it " .. case[1], function()
      with({ chip = "esp32c3" }, function(host, chip)
        run(host, table.unpack(case[2]))
        assert.is_true(eventually(function() return chip:fault() end))
        local text = chip:fault()
        assert.matches(case[3], text, 1, true)
        assert.matches(case[4], text, 1, true)
        local log = chip:log()
        assert.equal("FAULT", sim.command_name(log[#log].op))
        assert.matches("Guru Meditation", expect(host, "dump:\r\n"), 1, true)
        assert.is_true(host:silent())
        assert.is_false(chip:cpu().running)
        chip:reset "download"
        host:read()
        assert.is_truthy(host:sync())
      end)
    end)
  end
end)

describe("a program on the simulated ESP32", function()
  -- l32r a2 is 21feff; the encodings are those of the manual's tables
  for _, case in ipairs {
    { "reads where there is nothing", 0, "21feff 3802", "nothing can be read, address 0x00000000", "l32i.n a3, a2, 0" },
    { "writes where there is nothing", 0x10, "21feff 3902", "nothing can be written, address 0x00000010", "s32i.n a3" },
    { "runs what is no instruction", 0, "000000", "instruction that this core lacks", "40080008: ill" },
    { "reads a byte through the instruction bus", IRAM, "21feff 320200", "takes whole words", "l8ui a3, a2, 0" },
    { "calls the mask ROM", 0x40010000, "21feff c00200", "called the mask ROM at 0x40010000", "a0" },
  } do
    it("is stopped when it " .. case[1], function()
      with({ chip = "esp32" }, function(host, chip)
        run_xtensa(host, case[2], case[3])
        assert.is_true(eventually(function() return chip:fault() end))
        assert.matches(case[4], chip:fault(), 1, true)
        assert.matches(case[5], chip:fault(), 1, true)
        assert.matches("a15 ", chip:fault(), 1, true)
        assert.is_false(chip:cpu().running)
      end)
    end)
  end

  it("is told of when it lets the second core go, which is not there", function()
    with({ chip = "esp32" }, function(host, chip)
      run_xtensa(host, 0x3FF00030, "21feff 0c13 3902 06ffff") -- movi.n a3, 1; s32i.n a3, a2, 0; j .
      assert.is_true(eventually(function() return chip:cpu().second_core end))
      local log = chip:log()
      assert.equal("SECOND_CORE", sim.command_name(log[#log].op))
      assert.equal(IRAM + 8 + 5, log[#log].a)
      assert.is_true(chip:cpu().running)
      chip:reset "download"
      assert.is_false(chip:cpu().second_core)
    end)
  end)
end)

-- Our stub, uploaded frame by frame.
local function base64(text)
  local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local codes, out, bits, n = {}, {}, 0, 0
  for i, c in letters:gmatch "()(.)" do codes[c] = i - 1 end
  for c in text:gmatch "[%w+/]" do
    bits, n = bits << 6 | codes[c], n + 6
    if n >= 8 then
      n = n - 8
      out[#out + 1] = string.char(bits >> n & 255)
      bits = bits & (1 << n) - 1
    end
  end
  return table.concat(out)
end

local function stub_of(data)
  local name = data.stub.files and data.stub.files[1].name or data.id
  return json.decode(file(("stubs/%s.json"):format(name)))
end

local function start_stub(host, data)
  local stub = stub_of(data)
  host:sync()
  write_mem(host, stub.text_start, base64(stub.text))
  if stub.data then write_mem(host, stub.data_start, base64(stub.data)) end
  host.port:write(rawhost.frame(("<BBI2I4"):pack(0, 0x06, 8, 0) .. W(0, stub.entry)))
  return expect(host, "\xC0OHAI\xC0")
end

local SIZE, BLOCK = 12288, 4096
local PLAIN = {}
for i = 1, SIZE do PLAIN[i] = string.char((i * 7 + i // 256 * 13) & 255) end
PLAIN = table.concat(PLAIN)

local function write(host, begin, data, finish, bytes, offset)
  local count = (#bytes + BLOCK - 1) // BLOCK
  assert.equal(0, (host:status(begin, W(SIZE, count, BLOCK, offset))))
  for i = 0, count - 1 do
    local part = bytes:sub(i * BLOCK + 1, (i + 1) * BLOCK)
    assert.equal(0, (host:status(data, W(#part, i, 0, 0) .. part, rawhost.checksum(part))))
  end
  assert.equal(0, (host:status(finish, W(1))))
end

local function read_flash(host, offset, size)
  host.port:write(rawhost.frame(("<BBI2I4"):pack(0, 0xD2, 16, 0) .. W(offset, size, 1024, 64)))
  local bytes = ""
  for _ = 1, 100 do
    bytes = bytes .. (host.port:read(65536, 0.2) or "")
    if #rawhost.frames(bytes) >= 1 + size // 1024 then break end
  end
  host.port:write(rawhost.frame(W(size)))
  bytes = bytes .. host:read(0.1)
  local frames = rawhost.frames(bytes)
  return table.concat(frames, "", 2, #frames - 1), frames[#frames]
end

for _, id in ipairs(chips.list()) do
  local data = chips.get(id)
  if data.stub.default ~= "none" then
    describe("our stub on the simulated " .. id, function()
      it("greets, writes, reads, erases and changes its rate", function()
        with({ chip = id }, function(host, chip)
          assert.matches("OHAI", start_stub(host, data), 1, true)
          assert.equal("0108", hex(host:sync()):sub(1, 4))
          host:write_reg(data.memory.dram[2] - 256, 0xC0DBC0DB)
          assert.equal(0xC0DBC0DB, host:read_reg(data.memory.dram[2] - 256))
          assert.equal(1, (("<I4"):unpack(host:command(0xF0), 5)))
          host:attach()
          write(host, 0x02, 0x03, 0x04, PLAIN, 0x10000)
          assert.equal(PLAIN, chip:flash(0x10000, SIZE))
          write(host, 0x10, 0x11, 0x12, zlib.deflate(PLAIN, 9), 0x20000)
          assert.equal(PLAIN, chip:flash(0x20000, SIZE))
          assert.equal(digest.md5(PLAIN), host:command(0x13, W(0x20000, SIZE, 0, 0)):sub(9, 24))
          local bytes, sum = read_flash(host, 0x20000, 4096)
          assert.equal(PLAIN:sub(1, 4096), bytes)
          assert.equal(digest.md5(bytes), sum)
          assert.equal(0, (host:status(0xD1, W(0x10000, 0x1000))))
          assert.equal(("\xFF"):rep(4096) .. PLAIN:sub(4097), chip:flash(0x10000, SIZE))
          assert.equal(0, (host:status(0x0F, W(460800, 115200))))
          assert.is_true(eventually(function() return math.abs(chip:state().baud / 460800 - 1) < 0.02 end))
          host.port:baud(460800)
          assert.is_truthy(host:sync())
          assert.is_nil(chip:fault())
        end)
      end)

      if data.links.usj then
        it("talks over USB-Serial/JTAG", function()
          with({ chip = id, link = "usj" }, function(host, chip)
            assert.matches("OHAI", start_stub(host, data), 1, true)
            host:attach()
            write(host, 0x10, 0x11, 0x12, zlib.deflate(PLAIN, 9), 0x20000)
            assert.equal(PLAIN, chip:flash(0x20000, SIZE))
          end)
        end)
      end
    end)
  end
end

describe("our stub on a simulated chip", function()
  local C3 = chips.get "esp32c3"

  it("sleeps while nothing arrives", function()
    with({ chip = "esp32c3" }, function(host, chip)
      start_stub(host, C3)
      assert.is_true(eventually(function() return chip:cpu().asleep end))
      assert.is_truthy(host:sync())
    end)
  end)

  it("waits for a flash that takes its time", function()
    with({ chip = "esp32c3", timing = "real" }, function(host, chip)
      start_stub(host, C3)
      host:attach()
      chip:poke_flash(0x10000, "data")
      local before = chip:cpu().instructions
      assert.equal(0, (host:status(0xD1, W(0x10000, 0x1000))))
      host:sync()
      host:read_reg(0x60000000)
      write(host, 0x02, 0x03, 0x04, PLAIN, 0x20000)
      assert.is_true(chip:cpu().instructions - before > 40e6 * (0.045 + SIZE / 256 * 0.0005))
      assert.equal(PLAIN, chip:flash(0x20000, SIZE))
      assert.equal(("\xFF"):rep(4), chip:flash(0x10000, 4))
    end)
  end)

  it("keeps up with a paced line", function()
    with({ chip = "esp32c3", rate = "real" }, function(host, chip)
      start_stub(host, C3)
      host:attach()
      host:status(0x0F, W(921600, 115200))
      assert.is_true(eventually(function() return chip:state().baud > 900000 end))
      host.port:baud(921600)
      write(host, 0x02, 0x03, 0x04, PLAIN, 0x10000)
      assert.equal(PLAIN, chip:flash(0x10000, SIZE))
    end)
  end)

  it("finds protected flash unwilling", function()
    with({ chip = "esp32c3" }, function(host, chip)
      start_stub(host, C3)
      host:attach()
      chip:poke_flash(0x10000, "data")
      -- write enable, then status 1Ch (BP2..0), by the controller's ready-made commands
      host:write_reg(0x60002000, 1 << 30)
      host:write_reg(0x6000202C, 0x1C)
      host:write_reg(0x60002000, 1 << 26)
      assert.not_equal(0, (host:status(0xD1, W(0x10000, 0x1000))))
      assert.equal("data", chip:flash(0x10000, 4))
    end)
  end)
end)
