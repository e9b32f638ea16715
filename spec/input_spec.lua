local input = require "esp.input"

local function temp(bytes)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "wb"))
  f:write(bytes)
  return path
end

local function refused(code, pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(code, err.code, tostring(err))
  assert.matches(pattern, err.message, 1, true)
  return err
end

describe("an input", function()
  local made = {}
  local function file(bytes)
    made[#made + 1] = temp(bytes)
    return made[#made]
  end
  after_each(function()
    for _, path in ipairs(made) do os.remove(path) end
    made = {}
  end)

  it("that is missing is named", function()
    refused("file_missing", "/nowhere/app.bin: ", input.load, "/nowhere/app.bin", 0)
  end)
  it("that is a directory is named", function() refused("bad_file", "/tmp: is a directory", input.load, "/tmp", 0) end)
  it("that is a device is refused", function()
    refused("bad_file", "/dev/zero: is not a regular file", input.load, "/dev/zero", 0)
  end)
  it("that is empty is refused", function()
    local path = file ""
    refused("bad_file", path .. ": the file is empty (0 bytes)", input.load, path, 0)
    refused("bad_file", "data: no bytes given", input.load, { data = "" }, 0)
  end)
  it("without an address is refused", function()
    refused("bad_argument", "data: no address given", input.load, { data = "x" })
    refused("bad_argument", "no address given", input.load, { data = "x" }, "0x1000")
  end)
  it("beyond 32 bits is refused", function()
    refused("bad_argument", "outside of 32-bit addresses", input.load, { data = "xx" }, 0xFFFFFFFF)
    refused("bad_argument", "outside of 32-bit addresses", input.load, { data = "xx" }, -1)
  end)
  it("that is a broken hex file is named with its line", function()
    local path = file ":0400000001020304F2\n:0400040005060708DF\n:00000001FF\n"
    refused("bad_hex", path .. ": line 2: checksum", input.load, path, 0)
  end)
  it("has its part inside of the file", function()
    refused("bad_argument", "8 bytes from offset 0x1 are not in the file (4 bytes)",
            input.load, { data = "abcd", offset = 1, size = 8 }, 0)
    refused("bad_argument", "are not in the file", input.load, { data = "abcd", offset = 4 }, 0)
  end)
  it("makes nothing else open when one of many fails", function()
    refused("file_missing", "/nowhere", input.load_all, { { 0, { data = "a" } }, { 0x1000, "/nowhere/x" } })
  end)

  it("is streamed from a file", function()
    local path = file "\xE9hello"
    local list = input.load(path, 0x1000)
    assert.equal(1, #list)
    assert.same({ 0x1000, 6, path }, { list[1].address, list[1].size, list[1].name })
    assert.equal("\xE9hello", list[1].payload:read(0, 100))
    input.close(list)
  end)

  it("may begin with a colon and be raw all the same", function()
    local list = input.load({ data = ":-) not hex" }, 0x1000)
    assert.equal(11, list[1].size)
    assert.is_nil(list[1].hex)
    input.close(list)
  end)

  it("in hex is split at gaps that leave a sector free, and filled where they do not", function()
    local list = input.load({ name = "x.hex", data = table.concat {
      ":020000040001F9\n", ":02000000AABB99\n", ":01000800CC2B\n", ":01200000DD02\n", ":00000001FF\n" } })
    assert.equal(2, #list)
    assert.same({ 0x10000, 9, true }, { list[1].address, list[1].size, list[1].hex })
    assert.equal("\xAA\xBB\xFF\xFF\xFF\xFF\xFF\xFF\xCC", list[1].payload:read(0, 9))
    assert.same({ 0x12000, 1 }, { list[2].address, list[2].size })
    input.close(list)
  end)

  it("gets what a chip needs around it", function()
    local list = input.load({ data = "\0abcd" }, 0x1003)
    local pl = input.prepare(list[1], { before = 3, pad = 4, patches = { { 1, "X" } } })
    assert.equal(8, pl:size())
    assert.equal("\xFF\xFF\xFF\0Xbcd", pl:read(0, 100))
    input.close(list)
  end)
end)

describe("regions", function()
  local function at(list)
    local regions = {}
    for i, r in ipairs(list) do regions[i] = { name = r[1], address = r[2], size = r[3] } end
    return regions
  end
  it("that overlap are refused with both names, in any order", function()
    refused("overlap", "a (0x0 to 0x1FFF) and b (0x1000 to 0x1000) overlap", input.check_overlap,
            at { { "b", 0x1000, 1 }, { "a", 0, 0x2000 } })
  end)
  it("that share a sector are refused", function()
    refused("overlap", "a (0x0 to 0x1000) and b (0x1800 to 0x18FF) share the sector at 0x1000", input.check_overlap,
            at { { "a", 0, 0x1001 }, { "b", 0x1800, 0x100 } })
  end)
  it("side by side are not refused", function()
    input.check_overlap(at { { "b", 0x1000, 1 }, { "a", 0, 0x1000 }, { "c", 0x2000, 5 } })
  end)
end)
