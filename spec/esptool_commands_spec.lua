-- Every command of esptool that talks to a chip, on every simulated chip: the lines that programs look for, and
-- refusals where a chip lacks something. The lines are those that esptool 5.2 prints against the same simulated chips.
local chips = require "esp.chips"
local elf = require "spec.support.elf_writer"
local esptool = require "spec.support.esptool"
local program = require "spec.support.program"

-- The code is the same for all: where garbage is always collected, one of each kind of loader is enough.
local CHIPS = os.getenv "ESPLUA_GC_STRESS" and { "esp8266", "esp32", "esp32c3" } or chips.list()

local folder, random
local function path(name) return folder .. "/" .. name end

local function noise(n, seed)
  local parts, x = {}, seed or 1
  for i = 1, n do
    x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    parts[i] = string.char(x >> 16 & 0xFF)
  end
  return table.concat(parts)
end

local function good(words)
  local r = esptool(words)
  assert.equal(0, r.status, r.command .. "\n" .. r.out .. r.err)
  return r.out
end

local function bad(words, text, status)
  local r = esptool(words)
  assert.equal(status or 2, r.status, r.command .. "\n" .. r.out .. r.err)
  assert.matches(text, r.err, 1, true)
  assert.is_nil(r.err:find("traceback", 1, true), r.err)
  return r
end

-- No resets, which take real time: a simulated chip starts in download mode.
local function quiet(...)
  return table.move({ ... }, 1, select("#", ...), 5, { "--before", "no-reset", "--after", "no-reset" })
end

local function has(out, ...)
  for _, line in ipairs { ... } do assert.matches(line, out) end
end

describe("esptool's commands", function()
  setup(function()
    folder = program.folder()
    random = program.write(path "random.bin", noise(5000))
    program.write(path "zero.bin", ("\0"):rep(9000))
  end)
  teardown(program.clean)

  for _, id in ipairs(CHIPS) do
    local data = chips.get(id)
    describe("on " .. data.name, function()
      local port = "sim:" .. id
      local function rom(words) return good(table.concat(quiet("--port", port, "--no-stub", words), " ")) end
      local board
      setup(function() board = ("%s?flash=%s"):format(port, path(id .. ".flash")) end)

      it("say what it is", function()
        local out = good("--port " .. port .. " --no-stub flash-id")
        has(out, "^esptool v5%.2%.0", "\nSerial port sim:" .. id .. ":\n", "\nConnecting%.%.%.",
            "\nDetecting chip type%.%.%. " .. data.name:gsub("%p", "%%%0") .. "\n",
            "\nChip type:          %S", "\nFeatures:           %S", "\nCrystal frequency:  %d+MHz\n",
            "\nMAC:                %x%x:%x%x:%x%x:%x%x:%x%x:%x%x", "\nManufacturer: %x%x\n", "\nDevice: %x%x%x%x\n",
            "\nDetected flash size: %d+MB\n", "\nHard resetting via RTS pin%.%.%.\n$")
        has(rom "read-mac", "\n\nMAC:                %x%x:%x%x:")
        local chip_id = rom "chip-id"
        if id == "esp8266" then
          has(chip_id, "\nChip ID: 0x%x%x%x%x%x%x%x%x\n")
        else
          has(chip_id, "\nWarning: [^\n]*has no chip ID")
        end
      end)

      it("read and write memory", function()
        local ram = data.memory.dram[1] + 0x2000
        has(rom(("write-mem 0x%x 0x12345678"):format(ram)), ("\nWrote 0x12345678 with mask 0xffffffff to 0x%08x%%.\n")
          :format(ram))
        local date = data.uart.date
        has(rom(("read-mem 0x%x"):format(date)), ("\n0x%08x = 0x%%x%%x%%x%%x%%x%%x%%x%%x\n"):format(date))
        has(rom(("dump-mem 0x%x 64 %s"):format(ram, path "mem")), ("\nDumped 64 bytes from 0x%08x in "):format(ram))
        assert.equal(64, #program.read(path "mem"))
      end)

      it("read and write the status and SFDP of flash", function()
        has(rom "read-flash-status", "\nFlash memory status: 0x%x%x%x%x\n")
        has(rom "read-flash-status --bytes 1", "\nFlash memory status: 0x00%x%x\n")
        has(rom "write-flash-status --non-volatile --bytes 2 0x2", "\nInitial flash memory status: 0x0000\n",
            "\nSetting flash memory status: 0x0002\n", "\nAfter flash memory status:   0x%x%x%x%x\n")
        has(rom "read-flash-sfdp 0 4",
            "\nManufacturer: %x%x\nDevice: %x%x%x%x\nDetected flash size: %d+MB\n" ..
            "Flash memory SFDP%[0%.%.3%]: 0x53 0x46 0x44 0x50 \n")
      end)

      it("tell its security state", function()
        if data.security_info then
          has(rom "get-security-info", "\nSecurity Information:\n", "\nFlags: 0x00000000 %(0b0%)\n",
              "\nSecure Boot: Disabled\n", "\nFlash Encryption: Disabled\n", "%(SPI_BOOT_CRYPT_CNT%): 0x0\n")
        else
          bad(quiet("-p", port, "get-security-info"), "does not tell security information")
        end
      end)

      for _, loader in ipairs { "the ROM", "the stub" } do
        it("write, verify, read and erase through " .. loader, function()
          local before = quiet("--port", board)
          if loader == "the ROM" then before[#before + 1] = "--no-stub" end
          local function go(...)
            return table.move({ ... }, 1, select("#", ...), #before + 1, { table.unpack(before) })
          end
          os.remove(path(id .. ".flash"))
          local out = good(go("write-flash", "0x10000", random, "0x12000", path "zero.bin"))
          has(out, "\nFlash will be erased from 0x00010000 to 0x00011fff%.%.%.\n",
              "\nWriting at 0x00011388 %[==============================%] 100%.0%% 5000/5000 bytes%.%.%. %(100 %%%)\n",
              "\nWrote 5000 bytes[^\n]* at 0x00010000 in %d+%.%d seconds", "\nWrote 9000 bytes[^\n]* at 0x00012000 in ")
          assert.equal(out:find("Stub flasher running.", 1, true) == nil, out:find("\nTook ", 1, true) ~= nil)
          local md5 = loader == "the stub" and out:find("Stub flasher running.", 1, true) or data.rom.md5
          if md5 then has(out, "\nHash of data verified%.\n") end
          if loader == "the ROM" then
            local _, told = out:gsub("\nTook %d+%.%d%ds to erase flash block%.\n", "")
            assert.equal(2, told)
            has(good(go("verify-flash", "0x10000", random)), "\nVerification successful",
                "\nVerifying 0x1388 %(5000%) bytes at 0x00010000 in flash against '")
          end
          good(go("read-flash", "0x10000", "5000", path "back.bin"))
          assert.equal(program.read(random), program.read(path "back.bin"))
          out = good(go("erase-region", "0x10000", "0x1000"))
          has(out, "\nFlash memory region erased successfully in %d+%.%d seconds%.\n")
          out = bad(go("verify-flash", "--diff", "0x10000", random), "Verification failed").out
          has(out, "\nVerification failed: %d+ differences, first at 0x00010000:\n   0x00010000 ff %x%x\n")
        end)
      end

      it("keep the loader's limits", function()
        bad(quiet("-p", port, "--no-stub", "read-flash", "0", "1G", path "x"), "do not fit")
        bad(quiet("-p", port, "--no-stub", "write-flash", "0xFFFF000", random), "will not fit in")
        assert.is_nil(program.read(path "x"))
        bad(quiet("-p", port, "--no-stub", "read-nand-spare", "1", "-sc", "6,17,8,11,16"), "NAND")
        if not data.rom.sdc then               -- the simulated ROM of the one that has it does not know the commands
          bad(quiet("-p", port, "read-sdc-chip-info", "-o", path "sdc"), "has no Secure Debug Controller")
        end
        if not data.rom.deflate then
          bad(quiet("-p", port, "--no-stub", "write-flash", "-z", "0", random), "compressed")
        end
        if not data.rom.attach then
          bad(quiet("-p", port, "--no-stub", "flash-id", "-sc", "HSPI"), "SPI connection")
        end
        if not data.flash.voltage_override then
          bad(quiet("-p", port, "--override-vddsdio", "1.8V", "flash-id"), "voltage")
        end
      end)

      it("are few in secure download mode", function()
        if not data.security_info then return end
        local sdm = port .. "?sdm=1"
        bad(quiet("-p", sdm, "flash-id"), "The 'flash-id' command is not available in Secure Download Mode.")
        bad(quiet("-p", sdm, "read-flash", "0", "16", path "x"), "The 'read-flash' command is not available")
        local out = good(quiet("-p", sdm, "get-security-info"))
        has(out, "\nChip type:          " .. data.name:gsub("%p", "%%%0") .. " in Secure Download Mode\n")
        out = good(quiet("-p", sdm, "write-flash", "0x10000", random))
        has(out, "\nWrote 5000 bytes[^\n]* at 0x00010000", "\nCannot verify written data")
        assert.is_nil(out:find("Hash of data verified", 1, true))
        has(out, "\nWarning: Security features enabled, so not changing any flash settings%.\n")
        has(good(quiet("-p", sdm, "erase-region", "0", "4096"), "\nFlash memory region erased successfully"))
        bad(quiet("-p", sdm, "write-flash", "-fs", "detect", "0x10000", random),
            "Detecting flash size is not supported in secure download mode.")
      end)
    end)
  end

  it("name a port that cannot be opened in the words that people search for", function()
    bad("-p /nowhere/ttyUSB0 flash-id", "Could not open /nowhere/ttyUSB0, the port is busy or doesn't exist.")
  end)

  describe("leave the chip", function()
    local function left(mode, words)
      return good("-p sim:esp32c3 --after " .. mode .. " " .. (words or "") .. " flash-id")
    end

    it("as they are told", function()
      has(left "hard-reset", "\nLeaving%.%.%.\nHard resetting via RTS pin%.%.%.\n$")
      has(left "no-reset", "\nStaying in bootloader%.\n$")
      has(left "no-reset-stub", "\nStaying in flasher stub%.\n$")
      has(left "watchdog-reset", "\nHard resetting with a watchdog%.%.%.\n$")
      has(left("soft-reset", "--no-stub"), "\nSoft resetting%.%.%.\n$")
    end)

    it("and say where that cannot be", function()
      has(left "soft-reset", "Warning: Stub flasher has been disabled: [^\n]*soft reset")
      has(good "-p sim:esp32 --after watchdog-reset flash-id", "Warning: Watchdog hard reset is not supported on ESP32",
          "\nHard resetting via RTS pin%.%.%.\n$")
    end)

    it("to the program that was started", function()
      has(good "-p sim:esp32c3 run", "program has been started")
      local out = good "-p sim:esp32 --no-stub load-ram examples/hello/hello-esp32.bin"
      has(out, "\nLoaded %d segments from 'examples/hello/hello%-esp32%.bin' to RAM, executing at 0x%x+%.\n",
          "\nExiting immediately%.\n")
      bad("-p sim:esp32c3 load-ram examples/hello/hello-esp32.bin", "ESP32")
      -- By the stub, as there: the buffer of the ESP32's ROM is where programs have their data (0x3FFC0000).
      out = good "-p sim:esp32 load-ram examples/hello/hello-esp32.bin"
      has(out, "\nStub flasher running%.\n.*\nLoaded %d segments from [^\n]*\n\nExiting immediately%.\n")
      local over = program.write(path "over.elf", elf.elf { machine = 0xF3, entry = 0x40380400, segments = true,
        sections = { { name = ".iram0.text", address = 0x40380400, data = ("\x6F\0\0\0"):rep(8) } } })
      for _, before in ipairs { "", "--before no-reset -b 460800 " } do
        out = good(("-p sim:esp32c3 %sload-ram %s"):format(before, over))
        has(out, "\nNote: [^\n]*the ROM loader loads it%.\n.*\nLoaded 1 segments from ")
      end
    end)
  end)

  describe("write", function()
    local port
    before_each(function() port = "sim:esp32c3?flash=" .. path "write.flash" end)
    local function write(...) return good(quiet("-p", port, ...)) end
    local function rom(...) return good(quiet("-p", port, "--no-stub", ...)) end

    it("with progress in either version's words, or without", function()
      local out = write("write-flash", "--erase-all", "0x20000", random)
      has(out, "\nFlash memory erased successfully in ", "%.%.%. %(100 %%%)\n")
      assert.is_nil(out:find("\r", 1, true))
      out = write("write-flash", "-p", "0x20000", path "zero.bin")
      assert.is_nil(out:find("Writing at", 1, true))
      has(out, "\nWrote 9000 bytes %(%d+ compressed%) at 0x00020000 in ", "\nHash of data verified%.\n")
      -- What the data shrank to, not what frames and repetitions made of it on the line.
      local program_file = "examples/hello/hello-esp32c3.bin"
      out = write("write-flash", "--erase-all", "0x20000", program_file)
      local packed = out:match "\nCompressed %d+ bytes to (%d+)%.%.%.\nWriting at 0x00020000 %[ +%]   0%.0%% 0/"
      has(out, "\nWrote %d+ bytes %(" .. tostring(packed) .. " compressed%) at 0x00020000 in ",
          "\nVerifying written data%.%.%.\nHash of data verified%.\n")
      out = rom("write-flash", "0x40001", random)
      has(out, "\nWriting at 0x00041389 %[=+%] 100%.0%% 5000/5000 bytes")
      assert.is_nil(out:find("/500[1-9]"))
      out = write("-s", "write-flash", "0x20000", random)
      assert.equal("", out)
      out = write("write-flash", "--no-compress", "0x30000", path "zero.bin")
      assert.is_nil(out:find(" compressed)", 1, true))
    end)

    it("only what differs", function()
      local new = program.write(path "new.bin", "\1\2\3\4" .. program.read(random):sub(5))
      write("write-flash", "0x40000", random)
      local out = rom("write-flash", "0x40000", new, "--diff-with", random)
      has(out, "\nDiff data in flash matches, will reflash changed sectors only%.%.%.\n",
          "\nReflashing 1 changed sector at 0x00040000%.%.%.\n",
          "\nFlash will be erased from 0x00040000 to 0x00040fff%.%.%.\n")
      out = rom("write-flash", "0x40000", new, "--diff-with", random)
      has(out, "already in flash, skipping write%.")
      out = rom("write-flash", "0x40000", random, "--diff-with", "skip")
      has(out, "\nWrote 5000 bytes")
      out = rom("write-flash", "0x40000", new, "--diff-with", random, "--no-diff-verify")
      has(out, "\nNo diff verification enabled, will reflash changed sectors without pre%-verification")
      out = write("write-flash", "-s", "0x40000", new)
      has(out, "new%.bin' at 0x00040000 already in flash, skipping write%.\n")
      assert.is_nil(out:find("Wrote", 1, true))
      out = write("write-flash", "0x40000", new)
      has(out, "nothing needs to be sent", "\nWrote 5000 bytes %(0 compressed%) at 0x00040000 in ",
          "\nHash of data verified")
    end)

    it("only what differs of a file that begins within a sector", function()
      local old = program.write(path "old4.bin", ("\xAA"):rep(0x4000))
      local new = program.write(path "new4.bin", ("\xBB"):rep(100) .. ("\xAA"):rep(0x4000 - 100))
      for _, loader in ipairs { "--no-stub", "--trace" } do
        rom("erase-region", "0x80000", "0x8000")
        good(quiet("-p", port, loader, "write-flash", "0x80104", old))
        local out = good(quiet("-p", port, loader, "write-flash", "0x80104", new, "--diff-with", old))
        has(out, "\nReflashing 1 changed sector at 0x00080000%.%.%.\n", "\nHash of data verified%.\n")
        assert.equal(("\xFF"):rep(0x104) .. program.read(new) .. ("\xFF"):rep(0xEFC),
                     program.read(path "write.flash"):sub(0x80001, 0x85000))
      end
    end)

    it("nothing for an empty file, and tells of one that is missing", function()
      local empty = program.write(path "empty.bin", "")
      has(write("write-flash", "0x0", empty, "0x50000", random), "Warning: '[^']*empty.bin' is empty%.",
          "\nWrote 5000 bytes")
      bad({ "-p", "nowhere", "write-flash", "0x0", path "missing.bin" }, "missing.bin: no such file")
    end)

    it("the header that is asked for", function()
      local out = write("write-flash", "-fm", "dout", "-ff", "20m", "-fs", "detect", "0x0",
                         "examples/hello/hello-esp32c3.bin")
      has(out, "\nConfiguring flash size%.%.%.\n", "\nAuto%-detected flash size: 4MB\n",
          "\nFlash parameters set to 0x0322%.\n",
          "\nSHA digest in image updated%.\n")
      assert.equal("\x03\x22", program.read(path "write.flash"):sub(3, 4))
      out = write("verify-flash", "-fm", "dout", "-ff", "20m", "-fs", "detect", "0x0",
                   "examples/hello/hello-esp32c3.bin")
      has(out, "Verification successful %(digest matched%)%.")
      bad(quiet("-p", port, "verify-flash", "0x0", "examples/hello/hello-esp32c3.bin"), "Verification failed.")
    end)

    it("after telling what is lost before an address within a sector", function()
      has(write("write-flash", "0x60C00", random), "0xc00 bytes before this address will be erased%.\n",
          "\nFlash will be erased from 0x00060000 to 0x00061fff%.%.%.\n", "\nWrote 5000 bytes[^\n]* at 0x00060c00 ")
    end)

    it("not where files share a sector", function()
      local r = bad({ "-p", "nowhere", "write-flash", "0xd00", random, "0x1d00", random },
                    "Detected overlap at address: 0x1d00")
      assert.is_nil(r.out:find("Connecting", 1, true))
    end)
  end)
end)
