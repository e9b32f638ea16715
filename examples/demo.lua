-- The main job, on a simulated chip: flash a real image, read it back, verify it.
-- `make demo` runs this; with a board at hand: esplua examples/demo.lua /dev/ttyUSB0
local esp = require "esp"
local folder = arg[0]:match "^(.*)/" or "."
local port = arg[1] or "sim:esp32c3"
local image = folder .. "/hello/hello-esp32c3.bin"
local copy = os.tmpname()

local chip <close> = esp.connect { port = port, chip = "esp32c3" }
local who = chip:info()
print(("Connected to %s on %s: revision v%d.%d, %s"):format(chip.name, port, who.revision.major,
  who.revision.minor, chip:mac()))

local report = chip:flash { { chip.data.bootloader_offset, image } }
local wrote = report[1]
print(("Wrote %s: %d bytes at 0x%X, %s"):format(image, wrote.bytes, wrote.address,
  wrote.verified and "its MD5 agrees with the chip's" or "not verified"))

chip:read(chip.data.bootloader_offset, wrote.bytes, { file = copy })
local function content(name)
  local f <close> = assert(io.open(name, "rb"))
  return f:read "a"
end
local original, back = content(image), content(copy)
os.remove(copy)
assert(back:sub(1, #original) == original, "what was read back differs")
print(("Read back %d bytes: the same"):format(#back))
assert(chip:verify(chip.data.bootloader_offset, image))
print "Verified on the chip. Done."
