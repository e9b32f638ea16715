-- Every command that talks to a chip, on every simulated chip, through the flasher stub and through the ROM loader: one
-- chip per loader, served to one command after the other, as a board on a desk is. Expected lines are those of esptool
-- 5.2 against the same simulated chips (its --no-stub, and with our stub in the place of its own); per chip they are in
-- commands_golden.lua. What it refuses and we do not is said where it is looked at.
local chips = require "esp.chips"
local golden = require "spec.support.commands_golden"
local main = require "esp.esptool".main
local program = require "spec.support.program"
local sim = require "esp.sim"

-- Where garbage is always collected, this would take many minutes; esptool_commands_spec.lua has these commands there.
local CHIPS = os.getenv "ESPLUA_GC_STRESS" and {} or chips.list()

local folder
local function path(name) return folder .. "/" .. name end

-- Bytes by rule, which compress: a.bin; and such as do not differ: z.bin.
local function pattern(n)
  local t = {}
  for i = 0, n - 1 do t[i + 1] = string.char((i * 7 + i // 256 * 3) & 255) end
  return table.concat(t)
end

local function sink()
  return { write = function(self, ...)
             for _, s in ipairs { ... } do self[#self + 1] = s end
             return self
           end, flush = function(self) return self end }
end

-- One command; a word of a.bin or the like that begins with "=" is a file in our folder.
local function run(options, text)
  local argv = { table.unpack(options) }
  for word in text:gmatch "%S+" do argv[#argv + 1] = word:sub(1, 1) == "=" and path(word:sub(2)) or word end
  local out, err = sink(), sink()
  local status = main(argv, { out = out, err = err })
  return { status = status, out = table.concat(out), err = table.concat(err), command = table.concat(argv, " ") }
end

local function good(options, text, ...)
  local r = run(options, text)
  assert.equal(0, r.status, r.command .. "\n" .. r.out .. r.err)
  for _, line in ipairs { ... } do assert.matches("\n" .. line .. "\n", r.out, 1, true) end
  return r.out
end

local function bad(options, text, ...)
  local r = run(options, text)
  assert.equal(2, r.status, r.command .. "\n" .. r.out .. r.err)
  for _, words in ipairs { ... } do assert.matches(words, r.out .. r.err, 1, true) end
  assert.is_nil(r.err:find("traceback", 1, true), r.err)
  return r
end

local function quiet(port, ...)
  return { "--before", "no-reset", "--after", "no-reset", "-p", port, ... }
end

-- An image of one segment in RAM that does nothing for ever, by the image format's description.
local function idle(data, address)
  local code = data.arch == "riscv" and "\x6F\0\0\0" or "\x06\xFF\xFF\0"       -- a jump to itself
  local head = ("<BBBBI4"):pack(0xE9, 1, 0, 0, address)
  if data.image_chip_id then head = head .. ("<BBBBI2BI2I2I4B"):pack(0, 0, 0, 0, data.image_chip_id, 0, 0, 0, 0, 0) end
  local image = head .. ("<I4I4"):pack(address, #code) .. code
  local sum = 0xEF
  for i = 1, #code do sum = sum ~ code:byte(i) end
  return image .. ("\0"):rep(15 - #image % 16) .. string.char(sum)
end

-- Memory that neither the stub nor the loader uses.
local function free_memory(id, data)
  local stub = data.stub
  if id == "esp8266" then return data.memory.iram[1] + 0x4000 end
  return stub.data_end and stub.data_end + 0xFFF & ~0xFFF or data.memory.dram[1] + 0x2000
end

local NOT_IN_SDM = { "flash-id", "read-mac", "chip-id", "read-flash-status", "write-flash-status 0",
                     "read-flash-sfdp 0 4", "read-mem 0x40000000", "write-mem 0x40000000 0", "dump-mem 0x40000000 4 =x",
                     "read-flash 0 16 =x", "verify-flash 0 =a.bin", "erase-flash", "load-ram =idle.bin", "run" }

describe("every command", function()
  setup(function()
    folder = program.folder()
    program.write(path "a.bin", pattern(5000))
    program.write(path "z.bin", ("\0"):rep(9000))
    program.write(path "cert.bin", ("c"):rep(64))
  end)
  teardown(program.clean)

  for _, id in ipairs(CHIPS) do
    local data, want = chips.get(id), golden[id]
    local memory = free_memory(id, data)
    for _, loader in ipairs { "stub", "ROM" } do
      local stub = loader == "stub"
      -- The word that tells how the ESP32-H4 is connected is, as esptool has it, past the end of its RAM: a model of
      -- the ROM's READ_REG may return anything for it, the stub's on the simulated processor cannot.
      local reused = id ~= "esp32h4"
      describe(("on %s by the %s"):format(data.name, loader), function()
        local chip, options
        setup(function()
          chip = sim.new { chip = id, flash_id = 0xEF4014 }
          options = { "--before", "no-reset", "--after", stub and reused and "no-reset-stub" or "no-reset",
                      "-p", chip:serve { tcp = 0 }, not stub and "--no-stub" or nil }
          -- Where a fact about the ROM is not established, the stub has to be asked for.
          if stub and data.stub.unproven then table.move({ "--stub", "ours" }, 1, 2, #options + 1, options) end
        end)
        teardown(function() chip:close() end)

        it("tells who it is", function()
          local out = good(options, "flash-id", want.type, want.features, want.crystal, "Manufacturer: ef",
                           "Device: 4014", "Detected flash size: 1MB")
          if stub then assert.equal(want.stub, out:find("\nStub flasher running.\n", 1, true) ~= nil, out) end
          out = good(options, "read-mac", table.unpack(want.mac))
          local again = out:find("\nStub flasher is already running. No upload is necessary.\n", 1, true)
          assert.equal(stub and reused and want.stub, again ~= nil)
          if id == "esp8266" then
            good(options, "chip-id", "Chip ID: 0x00a1b2c3")
          else
            assert.matches(("\nWarning: %s has no chip ID."):format(data.name), good(options, "chip-id"), 1, true)
          end
          if want.security then
            out = good(options, "get-security-info", "Flags: 0x00000000 (0b0)", "Secure Boot: Disabled",
                       "Flash Encryption: Disabled", table.unpack(want.security))
            assert.equal(want.purposes, out:find("\nKey Purposes: (0, 0, 0, 0, 0, ", 1, true) and true)
          else
            bad(options, "get-security-info", "does not tell security information")
          end
        end)

        it("reads and writes memory", function()
          good(options, ("write-mem 0x%x 0x12345678"):format(memory),
               ("Wrote 0x12345678 with mask 0xffffffff to 0x%08x."):format(memory))
          good(options, ("write-mem 0x%x 0xabad1dea 0x0000ffff"):format(memory),
               ("Wrote 0xabad1dea with mask 0x0000ffff to 0x%08x."):format(memory))
          local out = good(options, ("read-mem 0x%X"):format(memory))
          good(options, ("dump-mem 0x%x 16 =m.bin"):format(memory))
          if reused or not stub then                           -- otherwise it was reset in between
            assert.matches(("\n0x%08x = 0x12341dea\n"):format(memory), out, 1, true)
            assert.equal("\xEA\x1D\x34\x12", program.read(path "m.bin"):sub(1, 4))
          end
          assert.equal(16, #program.read(path "m.bin"))
          bad(options, ("read-mem 0x%x"):format(memory + 2), "multiple of 4")
        end)

        it("reads and writes registers of the flash", function()
          good(options, "read-flash-status --bytes 3", "Flash memory status: 0x0000")
          good(options, "write-flash-status --bytes 1 --non-volatile 0x1c", "Initial flash memory status: 0x00",
               "Setting flash memory status: 0x1c", "After flash memory status:   0x1c")
          good(options, "read-flash-status --bytes 1", "Flash memory status: 0x001c")
          good(options, "write-flash-status 0x0", "Initial flash memory status: 0x001c",
               "Setting flash memory status: 0x0000", "After flash memory status:   0x0000")
          good(options, "read-flash-status", "Flash memory status: 0x0000")
          good(options, "read-flash-sfdp 0 4", "Flash memory SFDP[0..3]: 0x53 0x46 0x44 0x50 ")
          good(options, "read-flash-sfdp 8 3", "Flash memory SFDP[8..10]: 0x00 0x00 0x01 ")
          bad(options, "read-flash-sfdp 0 5", "Invalid value for 'BYTES'")
        end)

        it("writes, compares, reads and erases flash", function()
          local out = good(options, "write-flash 0x10000 =a.bin 0x12000 =z.bin",
                           "Flash will be erased from 0x00010000 to 0x00011fff...",
                           "Flash will be erased from 0x00012000 to 0x00014fff...")
          assert.matches("\nWrote 5000 bytes[^\n]* at 0x00010000 in %d+%.%d seconds", out)
          assert.matches("\nWrote 9000 bytes[^\n]* at 0x00012000 in %d+%.%d seconds", out)
          local digest = stub and want.stub or data.rom.md5
          assert.equal(digest and true or false, out:find("\nHash of data verified.\n", 1, true) ~= nil)
          local same = digest and "Verification successful (digest matched)." or "Verification successful."
          good(options, "verify-flash 0x10000 =a.bin 0x12000 =z.bin",
               ("Verifying 0x1388 (5000) bytes at 0x00010000 in flash against '%s'..."):format(path "a.bin"), same)
          assert.matches("\nFlash memory region erased successfully in %d+%.%d seconds%.\n",
                         good(options, "erase-region 0x11000 0x1000"))
          bad(options, "verify-flash 0x10000 =a.bin", "Verification failed (digest mismatch).")
          bad(options, "verify-flash --diff 0x11ff0 =z.bin",
              "Verification failed: 16 differences, first at 0x00011ff0:", "\n   0x00011fff ff 00\n")
          good(options, "read-flash 0x10000 5000 =r.bin")
          assert.equal(pattern(4096) .. ("\xFF"):rep(904), program.read(path "r.bin"))
          good(options, "read-flash 0xFF000 ALL =r.bin")
          assert.equal(("\xFF"):rep(4096), program.read(path "r.bin"))
          os.remove(path "r.bin")
          bad(options, "read-flash 0xFF000 0x1001 =r.bin", "Can't access flash regions larger than detected flash size")
          assert.is_nil(program.read(path "r.bin"))
          bad(options, "erase-region 0x100 0x1000", "multiple")
          bad(options, "erase-region 0xFF000 0x2000", "flash")
          assert.matches("\nFlash memory erased successfully in %d+%.%d seconds%.\n", good(options, "erase-flash"))
          good(options, "read-flash 0x12000 16 =r.bin")
          assert.equal(("\xFF"):rep(16), program.read(path "r.bin"))
        end)

        it("refuses what the chip does not have", function()
          for _, nand in ipairs { "read-nand-spare 1", "write-nand-spare 1 0", "dump-bbm =x",
                                  "write-flash --flash-type nand 0 =a.bin" } do
            bad(options, nand .. " -sc 1,2,3,4,5", "NAND", data.nand and "" or "not supported on the " .. data.name)
          end
          if not data.rom.sdc then
            bad(options, "read-sdc-chip-info -o =x", "Secure Debug Controller")
            bad(options, "verify-sdc-certificate =cert.bin", "Secure Debug Controller")
          end
          assert.is_nil(program.read(path "x"))
          local before = { "--override-vddsdio", "1.8V", table.unpack(options) }
          if data.flash.voltage_override then good(before, "flash-id") else bad(before, "flash-id", "voltage") end
          if not data.rom.attach then
            bad(options, "flash-id -sc HSPI", "SPI connection")
          else
            good(options, "flash-id -sc SPI", "Device: 4014")
            bad(options, "flash-id -sc 1,2,3,4,99", "pin")
          end
          bad(options, "flash-id --spi-connection 1,2,3", "five pin numbers")
        end)

        it("runs programs in RAM, and the one in flash", function()
          local file = program.write(path "idle.bin", idle(data, memory))
          local out = good(options, "load-ram =idle.bin",
            ("Loaded 1 segments from '%s' to RAM, executing at 0x%08x."):format(file, memory), "Exiting immediately.")
          assert.is_nil(out:find("Leaving", 1, true))
          local other = chips.get(id == "esp32" and "esp32c3" or "esp32")
          program.write(path "other.bin", idle(other, free_memory(other.id, other)))
          local fresh = quiet("sim:" .. id, not stub and "--no-stub" or nil)
          bad(fresh, "load-ram =other.bin", other.name)
          program.write(path "flash.bin", idle(data, 0x100))
          bad(fresh, "load-ram =flash.bin", data.image_chip_id and "not in RAM" or "cut short")
          good(fresh, "run", "The program has been started.")
        end)
      end)
    end

    it(("is refused by name on %s in secure download mode, or works"):format(data.name), function()
      if not data.security_info then return end
      program.write(path "idle.bin", idle(data, memory))
      local options = quiet(("sim:%s?sdm=1"):format(id))
      for _, text in ipairs(NOT_IN_SDM) do
        bad(options, text, ("The '%s' command is not available in Secure Download Mode."):format(text:match "^%S+"))
      end
      good(options, "get-security-info", "Chip type:          " .. data.name .. " in Secure Download Mode")
      assert.matches("\nWrote 5000 bytes[^\n]* at 0x00010000", good(options, "write-flash 0x10000 =a.bin"))
      good(options, "erase-region 0x10000 0x1000")
      bad(options, "erase-region 0x10000 ALL =x", "extra argument")
    end)
  end
end)
