-- Functions and lines for addresses. Lines as addr2line of binutils 2.40 gives them (for version 5, where that is off
-- by one file, as the source has them); frames on the stack by the disassembly of the same files.
local addresses = require "esp.addresses"
local elf_file = require "esp.elf"
local elf_lines = require "esp.elf_lines"
local golden = require "spec.support.lines_golden"
local program = require "spec.support.program"
local writer = require "spec.support.elf_writer"

local RISCV = { [0x42000020] = "/work/b.h:3", [0x42000024] = "/work/b.h:3", [0x4200002E] = "/work/b.h:4",
                [0x42000038] = "/work/a.c:4", [0x4200004E] = "/work/a.c:9", [0x42000062] = "/work/m.c:2" }
local XTENSA = { [0x40210014] = "/work/b.h:3", [0x40210020] = "/work/b.h:3", [0x40210030] = "/work/a.c:4",
                 [0x40210038] = "/work/a.c:8" }

local function at(bytes, address, without)
  local lines = elf_lines.new(elf_file.read(bytes))
  if without then lines.sections[without] = nil end
  local file, line = lines:at(address)
  return file and file .. ":" .. line
end

describe("the line of an address", function()
  for _, case in ipairs { { "dwarf2", RISCV }, { "dwarf4", RISCV }, { "dwarf5", RISCV }, { "xtensa", XTENSA } } do
    it("is found in " .. case[1], function()
      for address, expected in pairs(case[2]) do assert.equal(expected, at(golden[case[1]], address)) end
    end)
  end

  it("is found without a list of ranges", function()
    assert.equal("/work/b.h:3", at(golden.dwarf5, 0x42000020, ".debug_aranges"))
    assert.equal("b.h:3", at(golden.dwarf4, 0x42000020, ".debug_aranges"):match "[^/]*$")
  end)

  it("is not made up", function()
    assert.is_nil(at(golden.dwarf4, 0x41FFFFFE))
    assert.is_nil(at(golden.dwarf4, 0x4200006C))
    assert.is_nil(at(golden.dwarf4, 0))
    assert.is_nil(at(golden.dwarf4, 0x42000020, ".debug_line"))
    assert.is_nil(at(golden.dwarf4, 0x42000020, ".debug_info"))
    assert.is_nil(at(writer.elf { machine = 0xF3, sections = { { name = ".text", address = 16, data = "abcd" } } }, 16))
  end)

  it("is nothing or something when the file is damaged, never an error", function()
    local seed = 20
    local function random(n)
      seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
      return (seed >> 8) % n
    end
    for _, name in ipairs { "dwarf2", "dwarf4", "dwarf5" } do
      local elf = elf_file.read(golden[name])
      for _ = 1, os.getenv "ESPLUA_GC_STRESS" and 6 or 150 do
        local bytes = golden[name]
        for _ = 1, 1 + random(4) do
          local list = {}
          for _, s in ipairs(elf.sections) do
            if s.name:find "^%.debug" and s.size > 0 then list[#list + 1] = s end
          end
          local s = list[random(#list) + 1]
          local where = s.offset + random(s.size)
          bytes = bytes:sub(1, where) .. string.char(random(256)) .. bytes:sub(where + 2)
        end
        for address in pairs(RISCV) do at(bytes, address) end
      end
    end
  end)
end)

describe("the name of a function", function()
  -- Rust's as `rustfilt`, C++'s as c++filt gives them, without arguments.
  for mangled, plain in pairs {
    app_main = "app_main",
    ["_ZN4core3fmt5write17h0123456789abcdefE"] = "core::fmt::write",
    ["_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Write$GT$9write_str17h00112233445566aaE"]
      = "<alloc::string::String as core::fmt::Write>::write_str",
    ["_ZN14HardwareSerial5beginEmjaabmh"] = "HardwareSerial::begin",
    ["_ZNK6String6equalsEPKc"] = "String::equals",
    ["_ZN6StringC2EPKc"] = "String::String",
    ["_ZN7ServiceD1Ev"] = "Service::~Service",
    ["_Z4loopv"] = "loop",
    ["_ZN6StringaSERKS_"] = "_ZN6StringaSERKS_",                -- an operator: left as it is
    ["_ZN99x"] = "_ZN99x", ["_Z"] = "_Z", ["_ZNE"] = "_ZNE",
  } do
    it(plain .. " is plain", function() assert.equal(plain, addresses.plain_name(mangled)) end)
  end
end)

describe("a line of output", function()
  local folder, riscv, both
  local function texts(list)
    local out = {}
    for i, d in ipairs(list) do out[i] = d.text end
    return table.concat(out, "\n")
  end
  setup(function()
    folder = program.folder()
    local rom = writer.elf { machine = 0xF3, sections = { { name = ".text", address = 0x40000000, data = "abcd" } },
      symbols = { { name = "ets_write", address = 0x40000010, size = 0, info = 0x12 },
                  { name = "ets_table", address = 0x40001800, size = 16, info = 0x11 } } }
    riscv = addresses.open { elf = { program.write(folder .. "/a.elf", golden.dwarf4) } }
    both = addresses.open { elf = { folder .. "/a.elf" }, rom = { program.write(folder .. "/rom.elf", rom) },
                            all = true }
  end)
  teardown(function()
    riscv:close()
    both:close()
    program.clean()
  end)

  it("tells the functions of its addresses, each once", function()
    assert.equal("0x42000058  middle+0x18 at /work/a.c:12\n0x42000062  _start at /work/m.c:2",
                 texts(riscv:line "Backtrace: 0x42000058:0x3fc92340 0x42000062:0x3fc92350 0x42000058:0x3fc92360"))
  end)

  it("may have none", function()
    assert.same({}, riscv:line "nothing, 0x12345678, 0x4200005, 0x420000580, 42000058")
    assert.same({}, riscv:line "load:0x42000058,len:0x138")
    assert.same({}, riscv:line "")
  end)

  it("may name the ROM, and variables when asked to", function()
    assert.equal("0x40000018  ets_write+0x8 in ROM", texts(both:line "PC : 0x40000018"))
    assert.equal("", texts(both:line "0x40001804"))
    assert.equal("0x4200106c  x", texts(both:line "at 0x4200106c"))
    assert.equal("", texts(riscv:line "at 0x4200106c"))
    assert.equal("0x42000058  middle+0x18 at /work/a.c:12", texts(both:line "load:0x42000058,len:0x138"))
  end)

  it("may say that the program is another one", function()
    local sum = require "esp.core.digest".hex(require "esp.core.digest".sha256(golden.dwarf4))
    assert.same({}, riscv:line("ELF file SHA256:  " .. sum:sub(1, 9)))
    assert.same({}, riscv:line("I (24) app_init: ELF file SHA256:  " .. sum .. "..."))
    assert.same({}, riscv:line "ELF file SHA256: 12")
    local list = riscv:line "ELF file SHA256: 0123456789abcdef"
    assert.matches("another ELF file than .*a%.elf: names may be wrong", list[1].text)
    assert.same({}, riscv:line "ELF file SHA256: 0123456789abcdef")            -- once is enough
  end)

  it("may be part of a dump of the stack, as ESP-IDF prints it", function()
    riscv:line "Stack memory:"
    assert.same({}, riscv:line("3fc92340: 0x00000000 0x42000058 0x42000020 0x42000040 0x00000001 0x42000059 "
      .. "0xffffffff 0x0"))
    assert.same({}, riscv:line "3fc92360: 0x4200006a 0x42000058")
    local list = riscv:line ""
    assert.equal("0x42000056  middle+0x16 at /work/a.c:10\n0x42000068  _start+0x6 at /work/m.c:3", texts(list))
    assert.is_true(list[1].caller)
    assert.same({}, riscv:line "")
  end)

  it("may be a dump of the stack in one line, as esp-backtrace prints it", function()
    assert.equal("0x42000020  helper at /work/b.h:3\n0x42000056  middle+0x16 at /work/a.c:10",
                 texts(riscv:line "STACKDUMP: 42000020 0000000058000042ffffffff"))
    assert.same({}, riscv:line "STACKDUMP: 42000020 000")
    assert.same({}, riscv:line "STACKDUMP: ")
  end)
end)
