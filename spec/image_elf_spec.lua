-- The expected digests are SHA-256 of what esptool 5.2.0 made from the same ELF files:
--   python3 -m esptool --chip CHIP elf2image OPTIONS -o OUT FILE.elf
-- with the options named in each line. The ELF files come from spec/support/image_fixtures.lua.
local chips = require "esp.chips"
local digest = require "esp.core.digest"
local elf = require "spec.support.elf_writer"
local fixtures = require "spec.support.image_fixtures"
local image = require "esp.image"
local image_elf = require "esp.image_elf"

local FILES = {
  app = function(chip) return fixtures.app(chip) end,
  app32 = function(chip) return fixtures.app(chip, { page = 15 }) end,
  app16 = function(chip)
    return fixtures.app(chip, { sections = function(list) list[7].address = list[7].address + 0x4000 end, page = 14 })
  end,
  boot = function(chip) return fixtures.bootloader(chip) end,
  -- Without a descriptor; RAM parts in odd order, one of them aligned; room for the SHA-256 of the ELF file.
  odd = function(chip)
    return fixtures.app(chip, { sections = function(list)
      table.remove(list, 5)
      list[1].data = ("\0"):rep(1024)
      list[3].data = ("\0"):rep(700)
      list[2].data = list[2].data:sub(1, 1000)
      list[#list + 1] = { name = ".iram0.data", address = list[2].address + 1008, data = fixtures.bytes(80, 13),
                          align = 16 }
      list[1], list[3] = list[3], list[1]
    end })
  end,
  v1 = function() return fixtures.esp8266() end,
  v1high = function() return fixtures.esp8266 { irom = 0x40241010 } end,
  v1ram = function() return fixtures.esp8266 { irom = false } end,
  v3 = function() return fixtures.esp8266 { three = true } end,
}

local CASES = {
  { "esp32", "app", {},
    "e44b067f8d5f7a3d5d72ce3ec8b108d361fe47c592e5253e02c21b933361d2fe" },
  { "esp32", "boot", {},
    "2c7d0a2070e8bd171a97ac85ed46403a248910db7f6e52415dbd5bb1f6ace27e" },
  { "esp32s2", "app", {},
    "0dc17d291332e713f02875484a78c3b50b0e09886ae38fec426cae8ecac4b23d" },
  { "esp32s2", "boot", {},
    "4d10f72ac6605e934093a9afbd7a92916b572d955d06e72ff36279d832e2b1f4" },
  { "esp32s3", "app", {},
    "c0f3bdff03fe9b99bcae240865355abe52731e5f3f952b215a43f90d834bb6b1" },
  { "esp32c2", "app", {},
    "0503ceb3c5a65ea918052e3ea44234b3268664c63f05661aca279ce8b7b6a188" },
  { "esp32c3", "app", {},
    "798f01007d7e319201c7c5d1b036465e0e8a73bc210bbbf2e11fd57f83d44fe8" },
  { "esp32c5", "app", {},
    "1de5afee6de5e43f436915320a81b06b5a953cac36f7e9442953d1a1b44808fa" },
  { "esp32c6", "app", {},
    "2aeda45398c4c9f4979bc476a9b21b498e2d362ca985ee5c6884bf77ceea617c" },
  { "esp32c61", "app", {},
    "f1a5cba7483754a36029f502d2bbb9a5cac4e5338c843420ab11b0083e453ff3" },
  { "esp32h2", "app", {},
    "63aa38f2dc0c464c5a57e1a23a4fefed7df2bed9d8702eb40463ef87da7aeb6a" },
  { "esp32h21", "app", {},
    "a31cf52f8d19d70c36e6d491945814cd38562969d926fe67860c0a6aa60e23ec" },
  { "esp32h4", "app", {},
    "f39f57a7555b1ced1ba1cffdf2a7af404733f831b08bf4ff19dbb024ea165c0c" },
  { "esp32p4", "app", {},
    "99bd541aa5d368a47699ceae5794181f1bd64f345f0c8fccc25abe4c5cee8616" },
  { "esp32e22", "app", {},
    "d30b37d4d5019bf9f2cde95bb4aae3ba27af1bc8d469a63bf906e68a67edb30d" },
  { "esp32", "app", { flash_mode = "dio", flash_size = "4MB", max_rev_full = 299, min_rev = 3, min_rev_full = 101 },
    "76352e1f5c6c8ce1ed3dedc56e521b03620e39049b26b22c7605ed1f3c64a443" },
  { "esp32", "odd", { ram_only_header = true },
    "df36abecb2bb95e1b7d82789e6a673f7b81734680decbde0c9fdd52d542e3cf7" },
  { "esp32", "app", { secure_pad_v2 = true },
    "9a2eb5a3b6e5656645095083c336ae557544a0491a70e5ef3625f18e7096912b" },
  { "esp32", "boot", { dont_append_digest = true },
    "8faf044782f7c0fc7f258f33e6d7cc9e2fbb3091395b28df9ac699946646c76f" },
  { "esp32", "app", { use_segments = true },
    "e265b525b3e1784ae170e9c8ae88cc38f396815a794d145f1789de5b80c6e52a" },
  { "esp32", "odd", { elf_sha256_offset = 0x300 },
    "22a6333c6d65240c53c86520033fe2e01124cffe8732dadfe3d24a4674a3082e" },
  { "esp32", "app", { pad_to_size = "256KB" },
    "016d45176477b11ff1ac2d5d0b394f5c3ef0c61d60cd0c1a01f625f19cfb7e0c" },
  { "esp32s2", "app", { flash_mode = "dio", flash_size = "4MB", max_rev_full = 299, min_rev = 3, min_rev_full = 101 },
    "30f4932a8c7379f2486d5b3e473fc75c6f9ab953f1dac07fe1830e40f4ab36a1" },
  { "esp32s2", "odd", { ram_only_header = true },
    "d754e9e52db8a67d70576d1feb36a2aeffdc7c1cf91cb97c11bd9c25657b475d" },
  { "esp32s3", "app", { secure_pad_v2 = true },
    "382a17fb738a6fed4579fdd4f7562f3847e773bd76cd354dbf4495755325e9a7" },
  { "esp32s3", "boot", { dont_append_digest = true },
    "df96e97ac630f73b1afd62bfc1a0990578f2df6eba4c2c4f4a509c2c0fc356dc" },
  { "esp32c3", "app", { use_segments = true },
    "148333c9c60435131a3d3e3683d2c83a53834a92f328f926597369b4c5a776c3" },
  { "esp32c3", "odd", { elf_sha256_offset = 0x300 },
    "bf3de821cef6bf2c8db6b350fa162451e9736deb376ad47d25cc0b6876715849" },
  { "esp32c6", "app", { pad_to_size = "256KB" },
    "3b8cfb02bfa8eb4442cb5a1344c51eb508b10ecc2f1c9cf4970479fc4007dc46" },
  { "esp32", "app", { flash_freq = "80m", secure_pad = true },
    "d645f548a5fbf62f2b40018c3d5418d7c41082378f164fa27592cfa584bcf774" },
  { "esp32s2", "app", { flash_freq = "26m", flash_size = "128MB" },
    "b30388d7efd9dc8a4d3275f9628903901ac80322d7f6f4b98a98282facb28f30" },
  { "esp32c2", "app16", {},
    "0e3b3811a6da3328c76419a5cc81d6f38a5292320b3d15b37920796bb3cfcbbf" },
  { "esp32c2", "app", { flash_freq = "60m", flash_mmu_page_size = "32KB" },
    "b9cf31d657a7a80bc6c97c3d2589e7ee124de5c3f3c07eef82773b4d27f59612" },
  { "esp32c6", "app32", { flash_freq = "80m" },
    "de861710e6423e93de2e385f064961204be0f47f0cd291c4269d522248330e9c" },
  { "esp32c6", "app16", {},
    "82ce4b45d367d5d840ae3a3158f03f818a1edfd969a0c627f1dd8dd7a0798dce" },
  { "esp32h2", "app", { flash_freq = "48m", flash_mmu_page_size = "8KB" },
    "a4240069bb38af62ac08d4ec776a2f2121aed467a3e2cf9c95094640f6ff5ddc" },
  { "esp32h2", "app16", { secure_pad_v2 = true },
    "02e66374c3b5d5d56b7525548e735853e14d00d2739410a49f8b72192d9e5f97" },
  { "esp32c61", "app32", {},
    "6ca60efb68c98e33160613bb10c13fac28fc4fbfdafe3ca2d48a35ddf466f0e1" },
  { "esp32p4", "odd", { flash_size = "32MB", ram_only_header = true },
    "05b666946112d2c6e6165d039fdcf3a1339e0a62e15cf873e4fead9cf9f28d40" },
  { "esp8266", "v1", { version = 1 },
    "b67ece3d654db25f707cf09dbe497364e3a83b715f0225de0a47bf266e3686d9",
    "cbc560688284676d6b71bb69bf4fe578acc0281df6f518a8e84f9c310d66e282" },
  { "esp8266", "v1high", { flash_freq = "80m", flash_mode = "dout", flash_size = "4MB", version = 1 },
    "a95b5edbbcf6dfe8c2f38fc62dbb0ad3dd3e8d886df13b3164bcc98830fdb845",
    "cbc560688284676d6b71bb69bf4fe578acc0281df6f518a8e84f9c310d66e282" },
  { "esp8266", "v1ram", { ram_only_header = true, version = 1 },
    "b67ece3d654db25f707cf09dbe497364e3a83b715f0225de0a47bf266e3686d9" },
  { "esp8266", "v1", { version = 2 },
    "01b99a64727f664dc56f4bb42183cc0796dd5f4da40d799fcc0fb547de794dc5" },
  { "esp8266", "v1high", { flash_freq = "80m", flash_mode = "dout", flash_size = "4MB", version = 2 },
    "bbe3a2c47fda9a8333a3dbbc9036e49929c35e75d1d786f409b80bf829b0eb13" },
  { "esp8266", "v1ram", { ram_only_header = true, version = 2 },
    "eabc9bd70f2c4700f2f1fa6e60980220b18717bd76638f034f59178af3d8c005" },
  { "esp8266", "v3", { version = 3 },
    "c01f16c206c4d69e4aa2cac49faaae8054821781cf967c5cf6a5168cfbefa0ef" },
  { "esp8266", "v3", { flash_freq = "80m", flash_mode = "dout", flash_size = "4MB", version = 3 },
    "64db8050b51a87f0743fe1eee1ed8d90b47a0af02fea95182f1da5e02485d065" },
  { "esp8266", "v1ram", { ram_only_header = true, version = 3 },
    "db52d875df1dc645b42fb3431129c3fff287d44197a921dabd60994ceee35475" },
  { "esp8266", "v1", { use_segments = true, version = 1 },
    "b67ece3d654db25f707cf09dbe497364e3a83b715f0225de0a47bf266e3686d9",
    "cbc560688284676d6b71bb69bf4fe578acc0281df6f518a8e84f9c310d66e282" },
}

local function convert(case)
  local opts = { chip = case[1] }
  for k, v in pairs(case[3]) do opts[k] = v end
  return image_elf.convert({ data = FILES[case[2]](case[1]), name = "x.elf" }, opts)
end

local function described(opts)
  local words = {}
  for k, v in pairs(opts) do words[#words + 1] = k .. "=" .. tostring(v) end
  table.sort(words)
  return table.concat(words, " ")
end

describe("an image made from an ELF file has the bytes of esptool's:", function()
  for _, case in ipairs(CASES) do
    it(("%s %s %s"):format(case[1], case[2], described(case[3])), function()
      local made = convert(case)
      for i = 4, #case do assert.equal(case[i], digest.hex(digest.sha256(made:bytes(i - 3)))) end
      assert.equal(#case - 3, #made.files)
    end)
  end
end)

describe("an image made from an ELF file", function()
  it("is sound for every chip", function()
    for _, id in ipairs(chips.list()) do
      if id ~= "esp8266" then
        local made = convert { id, "app", {} }
        local img = image.parse(made:bytes(), id)
        assert.same({ id, true, true, chips.get(id).image_chip_id },
                    { id, img.checksum_valid, img.digest_valid, img.chip_id })
      end
    end
  end)

  it("keeps its end when it is padded without a digest", function()      -- esptool 5.2 writes over the image there
    local plain = convert { "esp32c3", "app", { dont_append_digest = true } }:bytes()
    local padded = convert { "esp32c3", "app", { dont_append_digest = true, pad_to_size = "128KB" } }:bytes()
    assert.equal(plain .. ("\xFF"):rep(0x20000 - #plain), padded)
  end)

  it("takes page sizes that only some chips have", function()            -- esptool's command line has no 128KB
    assert.equal(0x20000, convert { "esp32s31", "app", { flash_mmu_page_size = "128KB" } }.page)
  end)

  it("is version 1 when no version is given", function()                 -- esptool's library makes version 3 then
    assert.equal(1, convert { "esp8266", "v1", {} }.version)
  end)

  it("says what was done on the way", function()
    local made = convert { "esp32c6", "app", { secure_pad = true } }
    local seen = {}
    for _, n in ipairs(made.notes) do seen[n.code] = n.text end
    assert.matches("secure boot V1", seen.secure_pad)
    assert.equal("MMU page size not specified, set to 64 KB", seen.page_size)
    assert.equal("Merged 2 ELF sections.", seen.merged)
  end)

  it("goes to files with esptool's names", function()
    local made = convert { "esp8266", "v1high", {} }
    assert.same({ "x.elf-0x00000.bin", "x.elf-0x41010.bin" }, { made:path(1), made:path(2) })
    assert.equal("p-0x41010.bin", made:path(2, "p-"))
    assert.equal("x-0x41000.bin", convert { "esp8266", "v1high", { version = 2 } }:path(1))
    assert.equal("x.bin", convert { "esp32", "app", {} }:path(1))
  end)

  local function refused(code, pattern, case)
    local ok, err = pcall(convert, case)
    assert.is_false(ok)
    assert.equal(code, err.code, tostring(err))
    assert.matches(pattern, err.message, 1, true)
  end

  it("is refused when something does not fit", function()
    refused("bad_argument", "flash size '3MB' is not supported by the ESP32",
            { "esp32", "app", { flash_size = "3MB" } })
    refused("bad_argument", "flash frequency '60m'", { "esp32", "app", { flash_freq = "60m" } })
    refused("bad_argument", "flash mode 'fast'", { "esp32", "app", { flash_mode = "fast" } })
    refused("bad_argument", "image version 4", { "esp8266", "v1", { version = 4 } })
    refused("bad_argument", "not a valid ESP32-C6 page size", { "esp32c6", "app", { flash_mmu_page_size = "128KB" } })
    refused("bad_argument", "min_rev_full", { "esp32", "app", { min_rev_full = 65536 } })
    refused("bad_argument", "is no size", { "esp32", "app", { pad_to_size = "0MB" } })
    refused("bad_argument", "SHA-256", { "esp32", "app", { secure_pad_v2 = true, dont_append_digest = true } })
    refused("bad_image", "are not zero", { "esp32", "boot", { elf_sha256_offset = 0x100 } })
    refused("bad_image", "segment boundary", { "esp32", "boot", { elf_sha256_offset = 0x20 + 60 } })
  end)

  it("is refused when two flash segments share a page", function()
    FILES.near = function(chip)
      return fixtures.app(chip, { sections = function(list) list[7].address = list[6].address + 4096 end })
    end
    refused("bad_image", "lands in same 64 KB flash mapping", { "esp32c6", "near", {} })
  end)

  it("has at most 16 segments", function()
    FILES.many = function()
      local list = {}
      for i = 1, 17 do list[i] = { name = ".s" .. i, address = 0x3FFB0000 + i * 64, data = "abcd" } end
      return elf.elf { machine = 0x5E, sections = list }
    end
    refused("bad_image", "max 16", { "esp32", "many", {} })
  end)

  it("needs a program, and says when it is for another processor", function()
    FILES.object = function()
      local bytes = fixtures.app "esp32"
      return bytes:sub(1, 16) .. "\1" .. bytes:sub(18)
    end
    refused("bad_file", "an object file", { "esp32", "object", {} })
    FILES.other = function() return fixtures.app "esp32c3" end
    assert.equal("other_processor", convert { "esp32s3", "other", {} }.notes[1].code)
  end)

  it("needs segments of whole words", function()
    FILES.unaligned = function()
      return elf.elf { machine = 0x5E, sections = { { name = ".flash.text", address = 0x400D0021, data = "abcd" } } }
    end
    refused("bad_image", "multiple of 4", { "esp32", "unaligned", {} })
  end)

  it("needs section headers, or to be told to do without", function()
    FILES.bare = function()
      local bytes = elf.elf { machine = 0x5E, sections = { { name = ".t", address = 0x40080000, data = "abcd" } },
                              segments = true }
      return bytes:sub(1, 32) .. "\0\0\0\0" .. bytes:sub(37, 48) .. "\0\0\0\0"  .. bytes:sub(53)
    end
    refused("bad_file", "0 section headers", { "esp32", "bare", {} })
    assert.equal(1, convert { "esp32", "bare", { use_segments = true } }.segments)
  end)
end)
