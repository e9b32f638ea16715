-- Defects seen in esptool that we do not have. Those of the command line (spellings, environment, exit status) are in
-- esptool_args_spec.lua and esptool_upload_spec.lua, those of images in the specs of images.
local chips = require "esp.chips"
local config = require "esp.config"
local esptool = require "spec.support.esptool"
local program = require "spec.support.program"

local HELLO = "examples/hello/hello-esp32c3.bin"

local folder
local function path(name) return folder .. "/" .. name end

local function noise(n)
  local parts, x = {}, 7
  for i = 1, n do
    x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    parts[i] = string.char(x >> 16 & 0xFF)
  end
  return table.concat(parts)
end

local function run(port, ...)
  return esptool { "--before", "no-reset", "--after", "no-reset", "-p", port, ... }
end

local function good(...)
  local r = run(...)
  assert.equal(0, r.status, r.command .. "\n" .. r.out .. r.err)
  return r.out
end

local function bad(text, ...)
  local r = run(...)
  assert.equal(2, r.status, r.command .. "\n" .. r.out)
  assert.matches(text, r.err, 1, true)
  return r
end

-- An image for the ESP8266 as its documentation describes it: one segment of four bytes, checksum.
local function esp8266_image()
  local data = "\1\2\3\4"
  local head = ("<BBBBI4I4I4"):pack(0xE9, 1, 0, 0, 0x40100000, 0x40100000, #data)
  local sum = 0xEF ~ 1 ~ 2 ~ 3 ~ 4
  local image = head .. data
  return image .. ("\0"):rep(15 - #image % 16) .. string.char(sum)
end

describe("write-flash", function()
  local random, zero
  setup(function()
    folder = program.folder()
    random, zero = program.write(path "random.bin", noise(6000)), program.write(path "zero.bin", ("\0"):rep(6000))
  end)
  teardown(program.clean)

  local KEY = "sim:esp32c3?keys=4"

  it("checks the files that are to be encrypted like the others", function()
    program.write(path "other.bin", program.read "examples/hello/hello-esp32.bin")
    bad("Unexpected chip ID in image. Expected 5 but value was 0.",
        KEY, "write-flash", "0x20000", zero, "--encrypt-files", "0x0", path "other.bin")
    bad("will not fit in", KEY, "write-flash", "0x20000", zero, "--encrypt-files", "0x3FF000", random)
    bad("Detected overlap", KEY, "write-flash", "0x20000", zero, "--encrypt-files", "0x21000", random)
    local image = program.read(HELLO)
    local late = image:sub(1, 15) .. ("<I2I2"):pack(9900, 9999) .. image:sub(20)       -- chip v99.0 at least
    program.write(path "late.bin", late)
    bad("requires chip revision in range [v99.0 - v99.99] (this chip",
        KEY, "write-flash", "0x20000", zero, "--encrypt-files", "0x0", path "late.bin")
  end)

  it("looks at the addresses of those that are encrypted, and only at them", function()
    bad("multiple of 16", KEY, "write-flash", "0x20000", zero, "--encrypt-files", "0x10008", random)
    local out = good(KEY, "--no-stub", "write-flash", "0x20004", zero, "--encrypt-files", "0x10000", random)
    assert.matches("Cannot verify written data", out, 1, true)       -- the one
    assert.matches("\nHash of data verified.\n", out, 1, true)       -- the other
  end)

  it("leaves the loader in one piece whichever file is the encrypted one", function()
    for _, last in ipairs { "0x10000", "0x40000" } do
      local out = good(KEY, "--no-stub", "write-flash", "0x20000", zero, "--encrypt-files", last, random)
      assert.matches("\nStaying in bootloader.\n$", out)
    end
  end)

  it("compresses the next file although one did not get smaller", function()
    local out = good("sim:esp32c3", "write-flash", "0x10000", random, "0x20000", zero)
    assert.matches("\nWrote 6000 bytes at 0x00010000 in ", out, 1, true)
    assert.matches("\nWrote 6000 bytes %(%d+ compressed%) at 0x00020000 in ", out)
  end)

  it("does not let --force write past the end of flash", function()
    bad("will not fit in", "sim:esp32c3", "write-flash", "--force", "0x3FF000", random)
    bad("will not fit in", "sim:esp32c3", "write-flash", "--force", "-fs", "16MB", "0x3FF000", random)
  end)

  it("writes a damaged image, and says so", function()
    local image = program.read(HELLO)
    for i, damage in ipairs { image:sub(1, 100) .. "\0\0" .. image:sub(103), image:sub(1, -100) } do
      local out = good("sim:esp32c3", "write-flash", "0x0", program.write(path("damaged" .. i), damage))
      assert.matches("\nWarning: [^\n]*; the ROM would not start it\n", out)
      assert.matches("\nHash of data verified.\n", out, 1, true)
    end
  end)

  it("does not mind settings that no file takes", function()
    local out = good("sim:esp32h2", "write-flash", "-ff", "80m", "0x10000", zero)
    assert.matches("\nHash of data verified.\n", out, 1, true)
    bad("flash frequency '80m' is unknown", "sim:esp32h2", "write-flash", "-ff", "80m", "0",
        "examples/hello/hello-esp32h2.bin")
  end)

  it("refuses what lies beyond 16 MB when the size of flash is not known", function()
    bad("will not fit in 16777216 bytes", "sim:esp32c3?sdm=1", "-c", "esp32c3", "write-flash", "0x1000000", random)
    bad("do not fit in flash of 16777216", "sim:esp32c3?sdm=1", "-c", "esp32c3", "erase-region", "0x1000000", "4k")
  end)

  it("does not look for a digest in an image of the ESP8266", function()
    local file = program.write(path "esp8266.bin", esp8266_image())
    local out = good("sim:esp8266?flash=" .. path "esp8266.flash", "--no-stub", "write-flash", "-fm", "dout", "0", file)
    assert.matches("\nFlash parameters set to 0x0300.\n", out, 1, true)
    assert.is_nil(out:find("SHA", 1, true))
    local written = program.read(path "esp8266.flash"):sub(1, 32)
    assert.equal(esp8266_image():sub(5), written:sub(5))
  end)
end)

describe("verify-flash", function()
  setup(function() folder = program.folder() end)
  teardown(program.clean)

  it("refuses files that lie over each other, before it looks for a chip", function()
    local a, b = program.write(path "a.bin", noise(5000)), program.write(path "b.bin", noise(100))
    local r = esptool { "-p", "/dev/no-such-port", "verify-flash", "0", a, "0x1000", b }
    assert.equal(2, r.status)
    assert.matches("Detected overlap at address: 0x1000", r.err, 1, true)
    local out = good("sim:esp32c3", "--no-stub", "verify-flash", "0x1000", program.write(path "empty", ""))
    assert.matches("/empty' is empty.", out, 1, true)
  end)

  it("expects the header as write-flash left it where secure boot is on", function()
    local port = "sim:esp32c3?secure_boot=1&flash=" .. path "secure.flash"
    local out = good(port, "write-flash", "-fm", "dout", "0", HELLO)
    assert.matches("Security features enabled, so not changing any flash settings", out, 1, true)
    out = good(port, "verify-flash", "-fm", "dout", "0", HELLO)
    assert.matches("Verification successful", out, 1, true)
  end)
end)

describe("an ELF file", function()
  setup(function() folder = program.folder() end)
  teardown(program.clean)

  it("is bytes like any other, to write and to compare, as there", function()
    local file = program.write(path "app.elf", "\127ELF\2" .. noise(500))
    local port = "sim:esp32c3?flash=" .. path "elf.flash"
    good(port, "--no-stub", "write-flash", "0x10000", file)
    assert.matches("Verification successful", good(port, "--no-stub", "verify-flash", "0x10000", file), 1, true)
  end)
end)

describe("flash beyond 16 MB", function()
  setup(function() folder = program.folder() end)
  teardown(program.clean)

  -- Those whose ROM functions take 32-bit addresses, by the documentation of each.
  local REACH = { esp32s3 = true, esp32p4 = true, esp32c5 = true, esp32c61 = true, esp32s31 = true }

  for _, id in ipairs(chips.list()) do
    it("is written by the stub on " .. id .. " or refused, by one list for note and refusal", function()
      if chips.get(id).flash.sizes["32MB"] == nil then return end
      local file = program.write(path "f", ("x"):rep(100))
      local port = ("sim:%s?flash_size=32MB&flash_id=0xEF4019"):format(id)
      local r = bad("16 MB cannot be reached", port, "--no-stub", "write-flash", "0x1000000", file)
      assert.matches("Only the first 16 MB", r.out, 1, true)
      r = run(port, "write-flash", "0x1000000", file)
      if r.out:find("Stub flasher running.", 1, true) and REACH[id] then
        assert.equal(0, r.status, r.out .. r.err)
        assert.is_nil(r.out:find("first 16 MB", 1, true))
      else
        assert.equal(2, r.status, r.out)
        assert.matches("Only the first 16 MB", r.out, 1, true)
      end
    end)
  end
end)

describe("XMC flash that starts wrongly and cannot be cured", function()
  it("is not said to have been cured", function()
    local attach, spiflash = require "esp.flash_attach", require "esp.spiflash"
    local told, cure = {}, spiflash.cure_xmc
    local chip <close> = require "esp".connect { port = "sim:esp32c3", env = {}, config = config.from_text "[esptool]",
      before = "no-reset", after = "no-reset", no_stub = true, on_event = function(e) told[e.code or 0] = e end }
    spiflash.cure_xmc = function() return "failed" end
    local ok, err = pcall(attach.attach, chip, {})
    spiflash.cure_xmc = cure
    assert.is_true(ok, tostring(err))
    assert.equal("warning", told.xmc_failed.type)
    assert.is_nil(told.xmc_cured)
  end)
end)

describe("get-security-info", function()
  it("names the counter as the chip has it", function()
    local r = run("sim:esp32s2", "--no-stub", "get-security-info")
    assert.matches("\nSPI Boot Crypt Count (SPI_BOOT_CRYPT_CNT): 0x0\n", r.out, 1, true)
    assert.equal("FLASH_CRYPT_CNT", chips.get "esp32".security.crypt_cnt_name)
    r = run("sim:esp32c3?flash_encryption=1", "--no-stub", "get-security-info")
    assert.matches("\nFlash Encryption: Enabled\n", r.out, 1, true)
  end)
end)

describe("the command line", function()
  setup(function() folder = program.folder() end)
  teardown(program.clean)

  it("takes the page sizes that only the ESP32-S31 has", function()
    local elf = program.write(path "s31.elf", require "spec.support.image_fixtures".app "esp32s31")
    for _, size in ipairs { "128KB", "256KB" } do
      local r = esptool { "--chip", "esp32s31", "elf2image", "--flash-mmu-page-size", size, "-o", path "out.bin", elf }
      assert.equal(0, r.status, r.out .. r.err)
    end
    local r = esptool { "--chip", "esp32c6", "elf2image", "--flash-mmu-page-size", "256KB", "-o", path "out.bin",
                        program.write(path "c6.elf", require "spec.support.image_fixtures".app "esp32c6") }
    assert.equal(2, r.status)
    assert.matches("page size", r.err, 1, true)
  end)

  it("makes version 1 for the ESP8266 when none is given", function()
    local elf = program.write(path "v1.elf", require "spec.support.image_fixtures".esp8266())
    local r = esptool { "--chip", "esp8266", "elf2image", "-o", path "v1-", elf }
    assert.equal(0, r.status, r.out .. r.err)
    assert.equal("\xE9", program.read(path "v1-0x00000.bin"):sub(1, 1))
  end)

  it("does not take an unknown chip for the one with the same low byte of its number", function()
    local image = program.read(HELLO)
    local file = program.write(path "odd.bin", image:sub(1, 12) .. "\5\1" .. image:sub(15))
    local r = esptool { "image-info", file }
    assert.is_nil(r.out:find("Detected image type: ESP32-C3", 1, true))
    assert.matches("261", r.out .. r.err, 1, true)
  end)

  it("refuses a bad baud rate in the environment in one line", function()
    local r = program.run({ "esptool", "-p", "sim:esp32c3", "read-mac" }, { env = { ESPTOOL_BAUD = "fast" } })
    assert.equal(2, r.status)
    assert.matches('ESPTOOL_BAUD: "fast" is not a baud rate', r.err, 1, true)
    assert.is_nil(r.err:find("traceback", 1, true))
  end)
end)

-- Every defect of esptool that we know of, and the spec that shows that it is not ours.
describe("each known defect of esptool", function()
  local INDEX = {
    { "files to encrypt skip the checks", "esptool_defects",
      "checks the files that are to be encrypted like the others" },
    { "one file that cannot be compressed ends compression", "esptool_defects",
      "compresses the next file although one did not get smaller" },
    { "alignment is checked on the wrong list", "esptool_defects",
      "looks at the addresses of those that are encrypted, and only at them" },
    { "the last file decides how writing is finished", "esptool_defects",
      "leaves the loader in one piece whichever file is the encrypted one" },
    { "verifying changes the header with secure boot on", "esptool_defects",
      "expects the header as write-flash left it where secure boot is on" },
    { "a cure that failed is called a success", "esptool_defects", "is not said to have been cured" },
    { "two lists of chips for more than 16 MB", "esptool_defects", "by one list for note and refusal" },
    { "the library makes ESP8266 images of version 3", "image_elf", "is version 1 when no version is given" },
    { "page sizes of the ESP32-S31 cannot be given", "image_elf", "takes page sizes that only some chips have" },
    { "the low byte of the chip's number decides", "image_info", "knows a chip by the whole of its number" },
    { "names of chips are compared in the wrong case: the counter's", "esptool_defects",
      "names the counter as the chip has it" },
    { "names of chips are compared in the wrong case: the digest", "esptool_defects",
      "does not look for a digest in an image of the ESP8266" },
    { "an option's spelling of version 4 is refused", "esptool_args",
      "--ignore-flash-encryption-efuse-setting" },
    { "a bad ESPTOOL_BAUD ends in a traceback", "esptool_upload",
      "takes the environment, and names what is wrong in it" },
    { "one status for all failures", "esptool_upload",
      "ends as esptool does, or tells kinds of failure apart when asked to" },
    { "force overrides the size of flash, says the manual", "esptool_defects",
      "does not let --force write past the end of flash" },
  }

  for _, entry in ipairs(INDEX) do
    it("has a spec: " .. entry[1], function()
      local text = program.read(("spec/%s_spec.lua"):format(entry[2]))
      assert.is_truthy(text:find(entry[3], 1, true))
    end)
  end
end)
