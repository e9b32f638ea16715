--- What is checked before the first byte is written. Nothing here changes the chip.
local fail = require "esp.error"
local chips = require "esp.chips"
local identity = require "esp.identity"
local image = require "esp.image"
local util = require "esp.flash_util"
local M = {}

local FORCE = "use --force to write all the same"
local HEADER_MIN = 8
local SMALL = 256

local function at(region)
  return ("%s at 0x%X"):format(region.name, region.address)
end

--- Whether something of a region is to be encrypted by the chip.
function M.encrypted(region, opts)
  if region.encrypt ~= nil then return region.encrypt end
  return opts.encrypt == true
end

--- A build with flash encryption says which files it concerns; they are written plain as long as the chip has it off.
function M.encrypt_if_on(chip, regions)
  local on
  for _, r in ipairs(regions) do
    if r.encrypt_if_on and r.encrypt == nil then
      if on == nil then on = chip.data.security.flash_crypt_cnt ~= nil and identity.flash_encryption(chip) end
      r.encrypt = on or nil
    end
  end
end

--- Regions below the address where writing breaks a chip that is secured.
local function check_protected(chip, regions)
  if chip.sdm then return end
  local low, why = identity.protect_below(chip)
  for _, r in ipairs(regions) do
    if r.address < low then
      local text = why == "secure_boot_v1" and "secure boot V1 is on"
        or "flash encryption uses the Key Manager"
      fail { code = "protected_region", region = util.about(r), hint = "it may brick the board; " .. FORCE,
             message = ("%s: refused, %s and what lies below 0x%X must stay"):format(at(r), text, low) }
    end
  end
end

local function named(id)
  if id == "esp8266" then return "ESP8266" end
  local data, dropped = chips.by_image_id(id)
  return data and data.name or dropped or ("an unknown chip (id %d)"):format(id)
end

-- Whether chip id and entry point in a header belong together: then it is a header, not chance.
local function known_header(img)
  local data = chips.by_image_id(img.chip_id)
  if not data then return false end
  for _, range in pairs(data.memory) do
    if img.entry >= range[1] and img.entry < range[2] then return true end
  end
  return false
end

local function check_target(chip, region, img, opts)
  local wanted = chip.data.image_chip_id or "esp8266"
  local has = image.target(img)
  if has == wanted then return end
  if has == "esp8266" and region.size < SMALL then
    -- A few bytes may look like such an image by chance; nobody's program is that small.
    util.warn(chip, opts, "wrong_chip", ("%s: looks like an image for ESP8266, the chip is %s"):format(at(region),
      chip.data.name), { region = util.about(region) })
  else
    fail { code = "wrong_chip", region = util.about(region), hint = "is it the right build? " .. FORCE,
           details = { found = has, wanted = wanted, name = chip.data.name },
           message = ("%s: image is for %s, the chip is %s"):format(at(region), named(has), chip.data.name) }
  end
end

local function check_revision(chip, region, img)
  if img.esp8266 or chip.sdm then return end
  local r = identity.revision(chip)
  local ok, wants, full = image.check_revision(img, r, chip.data.image and chip.data.image.min_rev == "minor")
  if not ok then
    fail { code = "wrong_revision", region = util.about(region), hint = FORCE,
           details = { revision = r, full = full, min_rev = img.min_rev, min_rev_full = img.min_rev_full,
                       max_rev_full = img.max_rev_full },
           message = ("%s: image wants chip %s, this %s is v%d.%d")
             :format(at(region), wants, chip.data.name, r.major, r.minor) }
  end
end

-- What the ROM would not start.
local function damaged(chip, region, opts, fault, hint)
  if opts.lenient then
    return util.warn(chip, opts, "damaged_image", fault.message .. "; the ROM would not start it",
                     { region = util.about(region) })
  end
  fault.hint, fault.region = hint .. "; " .. FORCE, util.about(region)
  fail(fault)
end

--- Chip, revision and soundness of a region that holds an image. Anything else is not looked at.
local function check_image(chip, region, opts)
  local source = image.reader(region.payload)
  local img, fault, part = image.probe(source, region.name)
  if not img then
    if fault.cut and image.clearly_meant(part, known_header) then
      damaged(chip, region, opts, fault, "the image is not complete; was the file copied whole?")
    end
    return
  end
  check_target(chip, region, img, opts)
  check_revision(chip, region, img)
  local ok, damage = image.check(img, source)
  if not ok and image.clearly_meant(img, known_header) then
    if img.checksum_valid then
      util.warn(chip, opts, "image_digest", damage.message, { region = util.about(region) })
    else
      damaged(chip, region, opts, damage, "the ROM would not start it")
    end
  end
end

--- What forbids encrypted writing whatever the files are.
local function check_can_encrypt(chip, opts)
  local data = chip.data
  local able = chip.stub and not (chip.stub_can and not chip.stub_can.encrypt) or data.rom.encrypted_write
  if not able or not data.security.flash_crypt_cnt then
    fail { code = "unsupported", message = ("the %s%s cannot write encrypted")
      :format(data.name, data.security.flash_crypt_cnt and "'s ROM loader" or ""),
      hint = data.security.flash_crypt_cnt and "the flasher stub can" or nil }
  end
  if chip.sdm then return end
  if identity.encrypted_download_disabled(chip) then
    fail { code = "encryption_refused", hint = "only the application can write encrypted flash of this chip",
           message = "encrypted writing is switched off in this chip's eFuses (release mode)" }
  end
  if opts.ignore_flash_enc_efuse then return end
  if not identity.encryption_key_valid(chip) then
    fail { code = "encryption_refused", message = "the flash encryption key is not programmed in this chip",
           hint = "burn a key first, or write without encryption" }
  end
  local config = identity.flash_crypt_config(chip)
  if config and config ~= 0xF then
    fail { code = "encryption_refused", message = ("FLASH_CRYPT_CONFIG is 0x%X, should be 0xF"):format(config) }
  end
end

local function check_encrypted(chip, regions, opts)
  local any = false
  for _, r in ipairs(regions) do any = any or M.encrypted(r, opts) end
  if not any then return false end
  check_can_encrypt(chip, opts)
  local align = chip.data.flash.encrypted_align
  for _, r in ipairs(regions) do
    if M.encrypted(r, opts) and r.address % align ~= 0 and (chip.sdm or not opts.ignore_flash_enc_efuse) then
      fail { code = "bad_argument", region = util.about(r),
             message = ("%s: encrypted writing needs an address that is a multiple of %d"):format(at(r), align) }
    end
  end
  return true
end

--- Plain bytes for a chip that decrypts what it reads.
local function check_plain(chip, regions, opts)
  local plain
  for _, r in ipairs(regions) do plain = plain or not M.encrypted(r, opts) and r end
  if not plain or opts.force then return end
  if chip.sdm then
    if chip.security and identity.flash_encryption(chip) then
      fail { code = "encryption_active", region = util.about(plain), hint = FORCE .. "; it may brick the board",
             message = at(plain) .. ": refused, written plain while flash encryption is on (secure download mode)" }
    end
    return
  end
  if not chip.data.security.flash_crypt_cnt or not identity.flash_encryption(chip) then return end
  if identity.encrypted_download_disabled(chip) then
    fail { code = "encryption_active", region = util.about(plain), hint = FORCE .. "; it may brick the board",
           message = at(plain) .. ": refused, written plain while flash encryption is on (release mode)" }
  end
  util.warn(chip, opts, "encryption_active", "flash encryption is on; " .. at(plain) .. " is written plain",
            { hint = "use encrypt for what the chip is to decrypt" })
end

--- Everything that files and chip must agree on.
-- @param regions from input.load_all
-- @param opts of chip:flash
-- @raise protected_region, wrong_chip, wrong_revision, bad_image, unsupported, encryption_refused,
--   encryption_active, bad_argument
function M.run(chip, regions, opts)
  if not opts.force then
    check_protected(chip, regions)
    for _, r in ipairs(regions) do check_image(chip, r, opts) end
  end
  check_encrypted(chip, regions, opts)
  check_plain(chip, regions, opts)
end

--- Regions against the size of flash; force does not override this.
-- @param limit bytes, nil when unknown
function M.fits(regions, limit, hint)
  if not limit then return end
  for _, r in ipairs(regions) do
    if r.address + r.size > limit then
      fail { code = "does_not_fit", region = util.about(r), limit = limit,
             hint = hint or "is the address right, and the flash size?",
             message = ("%s: %d bytes at 0x%X do not fit in flash of %d bytes (%s)")
               :format(r.name, r.size, r.address, limit, util.size_name(limit)) }
    end
  end
end

--- Refuse to erase a chip that needs what is in its flash.
function M.erasable(chip, opts, address)
  if opts.force or chip.sdm or not chip.data.security.flash_crypt_cnt then return end
  local why = identity.secure_boot(chip) and "secure boot" or identity.flash_encryption(chip) and "flash encryption"
  if why then
    fail { code = "protected_region", hint = "it may brick the board; use --force to erase all the same",
           message = "erasing refused: " .. why .. " is on" }
  end
  local low, reason = identity.protect_below(chip)
  if address and address < low then
    fail { code = "protected_region", hint = "it may brick the board; use --force to erase all the same",
           message = ("erasing refused: what lies below 0x%X is needed (%s)"):format(low, reason:gsub("_", " ")) }
  end
end

local function code_of(codes, name, what, chip)
  local code = codes[tostring(name):lower()]
  if code then return code end
  local all = {}
  for known in pairs(codes) do all[#all + 1] = known end
  table.sort(all)
  fail { code = "bad_argument", message = ("%s '%s' is unknown to the %s"):format(what, name, chip.data.name),
         hint = "one of keep, " .. table.concat(all, ", ") }
end

local function may_have_header(chip, region)
  return region.address == chip.data.bootloader_offset and region.size >= HEADER_MIN
end

--- The codes that the options ask to be put into an image's header.
-- @param regions what is written or compared
-- @param size what flash_attach.set_size gave as header, nil keeps
-- @return { mode =, freq =, size = } with what is to change, or nil when all is kept
function M.header_settings(chip, opts, regions, size)
  local new, any = {}, not opts.lenient
  for _, r in ipairs(regions) do any = any or may_have_header(chip, r) end
  if not any then return nil end
  if opts.flash_mode and opts.flash_mode ~= "keep" then
    new.mode = code_of(image.MODES, opts.flash_mode, "flash mode", chip)
  end
  if opts.flash_freq and opts.flash_freq ~= "keep" then
    new.freq = code_of(chip.data.flash.freqs, opts.flash_freq, "flash frequency", chip)
  end
  if size then new.size = chip.data.flash.sizes[size] end
  return next(new) and new or nil
end

--- The changes to the header of what is written to the place of the bootloader.
-- @param settings from header_settings
-- @return list of patches for the payload, or nil
function M.header_patches(chip, region, settings, opts)
  if not settings or not may_have_header(chip, region) then return nil end
  local function keep(why)
    util.warn(chip, opts, "header_kept", ("%s: flash settings are not changed, %s"):format(region.name, why))
  end
  if chip.sdm or identity.secure_boot(chip) then return keep "security features are on" end
  local source = image.reader(region.payload)
  local img = image.probe(source, region.name)
  if not img or image.target(img) ~= (chip.data.image_chip_id or "esp8266") or img.format == "esp8266v2"
     or not image.check(img, source) then
    return keep(("it is no sound image for the %s"):format(chip.data.name))
  end
  local patches, value = image.patch_header(source, img, settings)
  if #patches == 0 then return nil end
  util.note(chip, opts, "header_patched", ("%s: flash parameters set to 0x%04X"):format(region.name, value),
            { value = value, sha256 = img.digest ~= nil })
  return patches
end

return M
