--- The mask ROMs that spec/rom_check.lua and spec/rom_matrix.lua look for: NAME_rom.elf in a folder of the user's.
-- @return list of { name, chip, revision, ram = memory to load to, options = of the simulated chip }
local function rom(name, revision, ram, options)
  return { name = name, chip = name:match "^[^_]+", revision = revision, ram = ram, options = options or {} }
end

return {
  rom("esp32_rev0", 0, 0x3FFB8000), rom("esp32_rev300", 300, 0x3FFB8000),
  rom("esp32s2_rev0", 0, 0x3FFC0000), rom("esp32s3_rev0", 1, 0x3FC90000),
  rom("esp32c2_rev100", 100, 0x3FCB0000, { crystal = 40 }),
  rom("esp32c3_rev0", 2, 0x3FC90000), rom("esp32c3_rev101", 101, 0x3FC90000), rom("esp32c3_rev300", 4, 0x3FC90000),
  rom("esp32c5_rev100", 100, 0x40810000), rom("esp32c6_rev0", 1, 0x40810000), rom("esp32c61_rev100", 100, 0x40810000),
  rom("esp32h2_rev0", 1, 0x40810000), rom("esp32p4_rev0", 1, 0x4FF60000), rom("esp32p4_rev300", 300, 0x4FF60000),
  rom("esp32s31_rev0", 0, 0x2F020000),
}
