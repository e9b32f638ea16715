--- The eFuses of a simulated chip for the C core, from chip data and options.
local chips = require "esp.chips"
local options_of = require "esp.sim_options"
local M = {}

local LAYOUTS = { otp_words = 0, esp32 = 1, blocks = 2 }

--- Number of the block of the first key, -1 when there is none.
function M.first_key(efuse)
  for i, block in ipairs(efuse.blocks) do
    if block[1] == "BLOCK_KEY0" then return i - 1 end
  end
  return -1
end

--- The blocks: offset, words, and where writing and reading them is forbidden.
function M.blocks(efuse)
  local list = {}
  for i, block in ipairs(efuse.blocks) do
    local protect, hide = efuse.write_protect or {}, efuse.read_protect or {}
    list[i] = { block[2], block[3], efuse.write and efuse.write[i] or 0, protect[i] or -1, hide[i] or -1 }
  end
  return list
end

local function word_of_block0(efuse, address)
  return (address - efuse.base - efuse.blocks[1][2]) // 4
end

--- The controller's registers.
function M.layout(efuse)
  local wr, rd, coding = efuse.fields.write_disable, efuse.fields.read_disable, efuse.fields.coding_scheme
  local layout = {
    kind = LAYOUTS[efuse.layout], base = efuse.base, pgm_data = efuse.pgm_data, conf = efuse.conf,
    status = efuse.status, cmd = efuse.cmd, conf_write = efuse.conf_write, conf_read = efuse.conf_read,
    wr_dis_mask = wr and (1 << wr[1][3]) - 1 or 0, rd_dis = 0xFFFF, coding = 0xFFFF,
  }
  if rd then
    layout.rd_dis, layout.rd_dis_lsb = word_of_block0(efuse, rd[1][1]), rd[1][2]
    layout.rd_dis_mask = (1 << rd[1][3]) - 1
  end
  if coding then layout.coding, layout.coding_lsb = word_of_block0(efuse, coding[1][1]), coding[1][2] end
  return layout
end

local function set_field(words, field, value)
  chips.field_set(field, value, function(a) return words[a] or 0 end, function(a, w) words[a] = w end)
end

local function key_purpose(data, wanted)
  if type(wanted) == "number" then return math.tointeger(wanted) end
  for value, name in pairs(data.security.key_purpose_names or {}) do
    if name == wanted then return value end
  end
  options_of.bad(("%s has no key purpose %q"):format(data.name, tostring(wanted)))
end

--- Burn what the options say: secure boot, flash encryption, keys.
-- @param words by address, changed
-- @raise bad_argument for what this chip does not have
function M.security_bits(words, data, options)
  local s = data.security
  local function set(option, field, value)
    if not options[option] then return end
    if not field then options_of.bad(("%s has no such eFuse: %s"):format(data.name, option)) end
    set_field(words, field, value)
  end
  set("sdm", data.efuse.fields.secure_download, 1)
  set("secure_boot", s.secure_boot or s.secure_boot_v1, 1)
  set("flash_encryption", s.flash_crypt_cnt, 1)
  set("dl_encrypt_disabled", s.dl_encrypt_disabled, 1)
  for i, wanted in ipairs(options.keys or {}) do
    local field = s.key_purposes and s.key_purposes[i]
    if not field then options_of.bad(("%s has no key block %d"):format(data.name, i - 1)) end
    set_field(words, field, key_purpose(data, wanted))
  end
end

--- Words at addresses become fuses where there are some, else fixed words.
function M.place(words, efuse)
  local fuses, presets = {}, {}
  for address, word in pairs(words) do
    local found
    for i, block in ipairs(efuse.blocks) do
      local at = address - efuse.base - block[2]
      if at >= 0 and at < block[3] * 4 and not found then
        fuses[#fuses + 1] = { i - 1, at // 4, word }
        found = true
      end
    end
    if not found then presets[#presets + 1] = { address, word } end
  end
  return fuses, presets
end

return M
