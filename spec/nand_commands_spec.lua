-- NAND flash by commands: esptool's command line and our own scripts, one after the other on one simulated ESP32-S3.
-- Lines that begin as esptool's do are from the development version of esptool that has them (its tests
-- test_nand_cmds.py and test_nand_hw.py, and its output for the same simulated chip).
local main = require "esp.esptool".main
local program = require "spec.support.program"

-- Where the collector is always running, this would take many minutes.
local quick = os.getenv "ESPLUA_GC_STRESS" and function() end or it

local BLOCK = 0x20000
local folder, port, part
local function path(name) return folder .. "/" .. name end

local function content(size, seed)
  local parts = {}
  for i = 1, (size + 255) // 256 do parts[i] = ("<I4"):pack(i + (seed or 1) * 7919) .. ("\xA5"):rep(252) end
  return table.concat(parts):sub(1, size)
end

local function sink()
  return { write = function(self, ...)
             for _, s in ipairs { ... } do self[#self + 1] = s end
             return self
           end, flush = function(self) return self end }
end

local PINS = { "-sc", "12,13,11,9,10" }

local function esptool(...)
  local out, err = sink(), sink()
  local status = main({ "-p", port, "--before", "no-reset", "--after", "no-reset", ... }, { out = out, err = err })
  return { status = status, text = table.concat(out) .. table.concat(err) }
end

local function good(result, ...)
  assert.equal(0, result.status, result.text)
  for _, words in ipairs { ... } do assert.matches(words, result.text, 1, true) end
  return result.text
end

local function bad(result, status, ...)
  assert.equal(status, result.status, result.text)
  for _, words in ipairs { ... } do assert.matches(words, result.text, 1, true) end
  assert.is_nil(result.text:find("traceback", 1, true), result.text)
end

local function script(...)
  local words = { ... }
  for _, w in ipairs { "-p", port, "--before", "no-reset", "--after", "no-reset" } do words[#words + 1] = w end
  local r = program.run(words)
  return { status = r.status, text = r.out .. r.err, out = r.out }
end

describe("commands for NAND flash", function()
  lazy_setup(function()
    folder = program.folder()
    part = require "esp.sim".new { chip = "esp32s3", nand = 1, nand_bad = { 2 } }
    port = part:serve { tcp = 0 }
    program.write(path "a.bin", content(2 * BLOCK + 3000))
    program.write(path "b.bin", "b")
    program.write(path "empty.bin", "")
  end)
  lazy_teardown(function()
    part:close()
    program.clean()
  end)

  quick("esptool: needs to know the pins", function()
    for _, words in ipairs { { "read-flash", "--flash-type", "nand", "0", "128", path "x" },
                             { "write-flash", "--flash-type", "nand", "0", path "a.bin" },
                             { "erase-flash", "--flash-type", "nand" },
                             { "erase-region", "-ft", "nand", "0", "131072" },
                             { "verify-flash", "--flash-type", "nand", "0", path "a.bin" },
                             { "read-nand-spare", "0" }, { "write-nand-spare", "0", "1" }, { "dump-bbm", path "x" } } do
      bad(esptool(table.unpack(words)), 2, "--spi-connection is required for NAND flash operations.")
    end
    assert.is_nil(program.read(path "x"))
  end)

  quick("esptool: writes around bad blocks, and reads and compares the same way", function()
    good(esptool("write-flash", "-ft", "nand", "-sc", "12,13,11,9,10", "0x20000", path "a.bin"),
         "\nDetected NAND chip: Winbond W25N01GV (1Gbit)\n",
         "\nFound bad block at 0x00040000, trying next block!\n", ("\nWrote %d bytes ("):format(2 * BLOCK + 3000),
         " at 0x00020000 in ", "\nHash of data verified.\n")
    good(esptool("verify-flash", "-ft", "nand", "-sc", "12,13,11,9,10", "0x20000", path "a.bin"),
         "\nSkipping bad block at 0x00040000 during verify\n", "\nVerification successful.\n")
    bad(esptool("verify-flash", "-ft", "nand", "-sc", "12,13,11,9,10", "--diff", "0x0", path "a.bin"), 2,
        "\n  Block at 0x00000000: 131070 byte differences, first at offset 0\n", "Verification failed.")
    bad(esptool("verify-flash", "-ft", "nand", "-sc", "12,13,11,9,10", "0x60000", path "a.bin"), 2,
        "\n  Block at 0x00060000: MISMATCH\n")
    bad(esptool("verify-flash", "-ft", "nand", "-sc", "12,13,11,9,10", "0x1000", path "a.bin"), 2,
        "verify address must be a multiple of NAND block size (0x20000)")
    good(esptool("read-flash", "-ft", "nand", "-sc", "SPI", "0x20000", tostring(2 * BLOCK + 3000), path "r.bin"),
         "\nSkipping bad block at 0x00040000 during read\n",
         ("\nRead %d bytes from 0x00020000 in "):format(2 * BLOCK + 3000))
    assert.is_true(program.read(path "r.bin") == program.read(path "a.bin"))
  end)

  quick("esptool: keeps to the end of the room, and refuses what it would leave out", function()
    local function write(...) return esptool("write-flash", "-ft", "nand", "-sc", "12,13,11,9,10", ...) end
    bad(write("--nand-end-address", "0x60000", "0x20000", path "a.bin"), 2, "1 bad block (0x40000)", "find no place")
    bad(write("--nand-end-address", "0x20000", "0x20000", path "a.bin"), 2, "find no place")
    bad(write("0x20000", path "a.bin", "0x80000", path "b.bin"), 2, "b.bin begins there")
    bad(write("0x1000", path "b.bin"), 2, "multiple of the block size")
    bad(write("--encrypt", "0x20000", path "b.bin"), 2, "--encrypt does not go with NAND flash")
    bad(write("--skip-flashed", "0x20000", path "b.bin"), 2, "--skip-flashed does not go with NAND flash")
    good(write("0x20000", path "empty.bin"), "is empty")
    bad(esptool("--no-stub", "dump-bbm", "-sc", "SPI", path "x"), 2, "the ROM loader cannot do it")
    bad(esptool("dump-bbm", "-sc", "1,2,3,4,5", path "x"), 2, "NAND flash does not answer")
    assert.is_nil(program.read(path "x"))
  end)

  quick("esptool: shows, sets and lists marks", function()
    good(esptool("read-nand-spare", "128", table.unpack(PINS)),
         "\nNAND spare for page 128: first word 0xffff0000 (bad-block marker byte = 0x00)\n")
    good(esptool("--trace", "read-nand-spare", "64", "-sc", "SPI"),
         "\nNAND spare for page 64: first word 0xffffffff (bad-block marker byte = 0xff)\n",
         "\nNAND debug: status=0x00, JEDEC ID: mfr=0xef dev=0xaa21, prot=0x00\n")
    good(esptool("write-nand-spare", "448", "1", "-sc", "SPI"), "\nNAND spare written for page 448: echo 0x00000000\n")
    good(esptool("write-nand-spare", "448", "0", "-sc", "SPI"), "only erasing the block clears it")
    good(esptool("dump-bbm", "--block-count", "10", path "marks", "-sc", "SPI"),
         "\nBBM dump: 10 blocks scanned, 2 bad.\nBad block indices: [2, 7]\n", "(10 bytes, 0x00=good 0x01=bad).\n")
    assert.equal("\0\0\1\0\0\0\0\1\0\0", program.read(path "marks"))
    bad(esptool("read-nand-spare", "65536", "-sc", "SPI"), 2, "no page 65536")
    bad(esptool("dump-bbm", "--block-count", "1025", path "x", "-sc", "SPI"), 2, "1 to 1024")
  end)

  quick("esptool: erases, and leaves marks unless told otherwise", function()
    local function erase(...) return esptool("erase-region", "-ft", "nand", "-sc", "SPI", ...) end
    bad(erase("1", "0x20000"), 2, "Offset to erase from must be a multiple of NAND block size (131072).")
    bad(erase("0", "0x20001"), 2, "Size of data to erase must be a multiple of NAND block size (131072).")
    good(erase("0", "0x100000"), "\nNAND region erase complete in ",
         "s: 6 blocks erased, 0 failed (marked bad), 2 marked as bad before and left alone.\n")
    good(erase("--force", "0xE0000", "0x20000"), "s: 1 blocks erased, 0 failed (marked bad).\n")
    good(esptool("erase-flash", "-ft", "nand", "-sc", "SPI"), "\nNAND erase complete in ", "s: 1023 blocks erased")
  end)

  quick("write, compare, read and erase in our own way", function()
    bad(script("flash", "--flash-type", "nand", "0x20000", path "a.bin"), 15, "1 bad block (0x40000)",
        "--nand-end-address")
    good(script("flash", "--flash-type", "nand", "--nand-end-address", "0xA0000", "0x20000", path "a.bin"), "verified",
         "leaves out 1 bad block (0x40000), what follows lies 0x20000 further on")
    good(script("verify", "--flash-type", "nand", "0x20000", path "a.bin"), "a.bin: 258.9 KiB at 0x20000 verified")
    bad(script("verify", "--flash-type", "nand", "0x0", path "a.bin", "--diff"), 21, "DIFFERS from flash",
        "0x00000000  flash FF")
    good(script("read", "--flash-type", "nand", "0x20000", tostring(2 * BLOCK + 3000), path "r2.bin"))
    assert.is_true(program.read(path "r2.bin") == program.read(path "a.bin"))
    good(script("read", "--flash-type", "nand", "--fill-bad", "0x20000", "512k", path "r3.bin"))
    assert.equal(("\xFF"):rep(16), program.read(path "r3.bin"):sub(BLOCK + 1, BLOCK + 16))
    good(script("erase", "--flash-type", "nand", "0x20000", "0x80000"), "3 blocks, left alone as bad: 0x40000")
  end)

  quick("are refused with what means nothing there", function()
    bad(script("flash", "--flash-type", "nand", path "b.bin"), 2, "where in NAND flash?")
    bad(script("flash", "--flash-type", "nand", "--encrypt", "0", path "b.bin"), 2, "--encrypt does not go with")
    bad(script("flash", "--nand-end-address", "0x20000", "0", path "b.bin"), 2, "goes with --flash-type nand")
    bad(script("read", "--fill-bad", "0", "16", path "x"), 2, "goes with --flash-type nand")
    bad(script("erase", "--flash-type", "nand", "--partition", "nvs"), 2, "--partition does not go with")
    bad(script("read", "--flash-type", "nand", "--no-stub", "0", "16", path "x"), 2, "--no-stub")
    assert.is_nil(program.read(path "x"))
  end)

  quick("nand: shows and changes what is known of blocks", function()
    good(script("nand", "info"), "Winbond W25N01GV (id efaa21), 128.00 MiB: 1024 blocks", "1 bad block\n")
    good(script("nand", "mark", "0xA0000"), "block 5 (0xA0000) is marked as bad")
    good(script("nand", "bad"), "   2  0x00040000\n", "   5  0x000A0000\n", "2 of 1024 blocks are bad")
    bad(script("nand", "unmark", "5"), 2, "--force does it")
    good(script("nand", "unmark", "5", "--force"), "block 5 (0xA0000) is erased, and counts as good")
    good(script("nand", "spare", "128"), "page 128: 00 00 ff ff, the block is bad")
    good(script("nand", "check", "0", "512k"), "192 pages: 0 needed correction, 0 are beyond it")
    good(script("nand", "dump", path "marks2"), "1024 blocks, 1 bad")
    assert.equal(1024, #program.read(path "marks2"))
    bad(script("nand", "mark", "0x30000"), 2, "no block begins at 0x30000")
    bad(script("nand", "mark", "1024"), 2, "there is no block 1024")
    local json = script("nand", "bad", "--json")
    assert.matches('"block":2', json.out, 1, true)
  end)
end)
