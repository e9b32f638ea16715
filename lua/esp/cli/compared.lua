--- What comparing files with flash has shown, region by region: for people, as events, and as the end of the script.
local fail = require "esp.error"
local M = {}

local function show(report, r, diff)
  local list = r.differences or {}
  report:emit("compared", { name = r.name, address = r.address, size = r.size, equal = r.equal, skipped = r.skipped,
                            wrong = r.wrong, file_md5 = r.file_md5, flash_md5 = r.flash_md5,
                            differences = r.differences and { count = list.count,
                              first = list[1] and list[1].address } })
  report:say(("%s: %s at 0x%X %s"):format(r.name, report.bytes(r.size), r.address,
                                           r.equal and "verified" or "DIFFERS from flash"))
  if not diff then return end
  for _, d in ipairs(list) do
    report:emit("difference", d)
    report:say(("  0x%08X  flash %02X  file %02X"):format(d.address, d.flash, d.file))
  end
  if (list.count or 0) > #list then report:say(("  and %d more bytes"):format(list.count - #list)) end
end

--- Begin to tell.
-- @param report of esp.report
-- @param diff whether bytes that differ are listed
-- @return function(region) for each region that was compared; function() for the end, which raises verify_failed when
--   one was not equal
function M.new(report, diff)
  local wrong = {}
  return function(r)
    show(report, r, diff)
    if not r.equal then wrong[#wrong + 1] = ("%s at 0x%X"):format(r.name, r.address) end
  end, function()
    if #wrong == 0 then return end
    fail { code = "verify_failed", message = "flash does not hold " .. table.concat(wrong, ", "),
           hint = not diff and "--diff shows which bytes differ" or nil }
  end
end

return M
