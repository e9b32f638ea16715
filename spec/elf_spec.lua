-- Expectations follow from what spec/support/elf_writer.lua was told to write, by the letter of the ELF specification.
local elf = require "esp.elf"
local writer = require "spec.support.elf_writer"

local BYTES = writer.elf {
  machine = 0x5E, entry = 0x40080010, segments = true,
  sections = {
    { name = ".iram0.text", address = 0x40080000, data = "0123456789abcdef", flags = 6, align = 16 },
    { name = ".dram0.bss", address = 0x3FFB0000, kind = "nobits", size = 0x100 },
  },
  symbols = {
    { name = "app_main", address = 0x40080004, size = 8 },
    { name = "buffer", address = 0x3FFB0000, size = 64, info = 0x11 },
    { name = "loop", address = 0x4008000C, size = 4, info = 0x02 }, { name = "loop", address = 0x40080000, size = 2 },
    { name = "elsewhere", section = 0 },
  },
}

local function put(at, new) return BYTES:sub(1, at) .. new .. BYTES:sub(at + #new + 1) end

-- Where the header of section i is, by the header's own words.
local function section_header(i) return ("<I4"):unpack(BYTES, 33) + 40 * i end

describe("an ELF file", function()
  it("is read with its header, sections and segments", function()
    local f = elf.read(BYTES, "a.elf")
    assert.same({ "xtensa", 2, 0x40080010 }, { f.machine, f.type, f.entry })
    local text = f:section ".iram0.text"
    assert.same({ 1, 6, 0x40080000, 16, 16 }, { text.type, text.flags, text.address, text.size, text.align })
    assert.equal("0123456789abcdef", f:bytes(text))
    assert.equal("", f:bytes(f:section ".dram0.bss"))
    assert.is_nil(f:section ".none")
    assert.same({ 1, 0x40080000, 16 }, { #f.segments, f.segments[1].address, f.segments[1].size })
    assert.equal("0123456789abcdef", f:bytes(f.segments[1]))
  end)

  it("gives its symbols by name and by address", function()
    local f = elf.read(BYTES, "a.elf")
    assert.equal(0x40080004, f:symbol "app_main".address)
    assert.equal("object", f:symbol "buffer".kind)
    assert.equal("global", f:symbol "loop".binding)
    assert.is_nil(f:symbol "elsewhere")
    assert.is_nil(f:symbol "nothing")
    local s, distance = f:symbol_at(0x40080009)
    assert.same({ "app_main", 5 }, { s.name, distance })
    assert.is_nil(f:symbol_at(0x40080002))
    assert.is_nil(f:symbol_at(0))
  end)

  it("without symbols has none", function()
    assert.same({}, elf.read(writer.elf { sections = {} }, "a"):symbols())
  end)

  it("is opened as a file", function()
    local path = os.tmpname()
    local out <close> = assert(io.open(path, "wb"))
    out:write(BYTES)
    out:close()
    do
      local f <close> = elf.open(path)
      assert.equal("0123456789abcdef", f:bytes(f:section ".iram0.text"))
      assert.equal(require "esp.core.digest".sha256(BYTES), f:sha256())
    end
    do
      local f <close> = elf.open(path)
      assert(io.open(path, "wb")):close()
      local ok, err = pcall(f.sha256, f)
      assert.is_false(ok)
      assert.equal("bad_file", err.code)
    end
    os.remove(path)
    local ok, err = pcall(elf.open, path)
    assert.is_false(ok)
    assert.equal("file_missing", err.code)
  end)

  for _, case in ipairs {
    { "is empty", "", "0 bytes, the header has 52" },
    { "ends in the header", BYTES:sub(1, 40), "no ELF file: 40 bytes" },
    { "is something else", ("x"):rep(100), "no ELF file: the first bytes" },
    { "has 64 bits", put(4, "\2"), "ELF class 2, should be 1 (32 bits) (at offset 0x4)" },
    { "is big endian", put(5, "\2"), "byte order 2" },
    { "is for a PC", put(18, "\3\0"), "machine 0x3, should be 0x5E (Xtensa) or 0xF3 (RISC-V) (at offset 0x12)" },
    { "has odd section headers", put(46, "\64\0"), "section headers of 64 bytes" },
    { "has odd program headers", put(42, "\64\0"), "program headers of 64 bytes" },
    { "has its sections outside", put(32, "\255\255\255\127"), "table of 6 sections: 240 bytes wanted" },
    { "has too many sections", put(48, "\255\255"), "table of 65535 sections" },
    { "has its segments outside", put(28, "\0\0\0\128"), "table of 1 segments" },
    { "has no such section for names", put(50, "\99\0"), "the section with the names is number 99, there are 6" },
    { "is cut in the section headers", BYTES:sub(1, -2), "the file ends at" },
    { "has a name outside", put(section_header(1), "\255\255\0\0"), "a name is at 65535 of" },
    { "has names outside", put(section_header(5) + 16, "\255\255\255\127"), "section names" },
  } do
    it("is refused when it " .. case[1], function()
      local ok, err = pcall(elf.read, case[2], "a.elf")
      assert.is_false(ok)
      assert.equal("bad_file", err.code)
      assert.matches("a.elf: ", err.message, 1, true)
      assert.matches(case[3], err.message, 1, true)
    end)
  end

  local function refused(pattern, f)
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.equal("bad_file", err.code)
    assert.matches(pattern, err.message, 1, true)
  end

  it("says when the bytes of a section are not there", function()
    local f = elf.read(put(section_header(1) + 20, "\0\0\1\0"), "a.elf")
    refused("section .iram0.text: 65536 bytes wanted", function() f:bytes(f:section ".iram0.text") end)
  end)

  it("says when symbols are not as they must be", function()
    refused("symbols of 17 bytes", function() elf.read(put(section_header(3) + 36, "\17"), "a"):symbols() end)
    refused("has no names", function() elf.read(put(section_header(3) + 24, "\1"), "a"):symbols() end)
  end)

  it("with parts that share their bytes does not become an image of any size", function()
    local sections = {}
    for i = 1, 400 do sections[i] = { name = ".s", address = 0x40080000 + i * 4096, data = "" } end
    sections[1].data = ("x"):rep(4096)
    local bytes = writer.elf { machine = 0x5E, sections = sections }
    local headers = ("<I4"):unpack(bytes, 33)
    local first = bytes:sub(headers + 40 + 17, headers + 40 + 24)              -- offset and size of the first
    for i = 1, 400 do
      local at = headers + 40 * i + 16
      bytes = bytes:sub(1, at) .. first .. bytes:sub(at + 9)
    end
    refused("overlap in the file", function()
      require "esp.image_elf".convert({ data = bytes, name = "a.elf" }, { chip = "esp32" })
    end)
  end)
end)

describe("mutated ELF files", function()
  it("give an image or an error object", function()
    assert.equal("40 inputs\n", require "spec.support.fuzzer".run("elf_fuzz", 40, 7))
  end)
end)
