--- Text files as editors and spreadsheets save them.
local fail = require "esp.error"
local M = {}

-- The beginnings of texts that are not UTF-8: with a byte order mark, or words of 16 bits that are ASCII.
local OTHERS = {
  { "^\xFF\xFE%z%z", "UTF-32" }, { "^%z%z\xFE\xFF", "UTF-32" }, { "^\xFF\xFE.%z", "UTF-16" },
  { "^\xFE\xFF%z", "UTF-16" }, { "^[\t-\126]%z[\t-\126]%z", "UTF-16" }, { "^%z[\t-\126]%z[\t-\126]", "UTF-16" },
}

--- The text of a file without its byte order mark, with \n at the end of each line.
-- @param bytes of the file
-- @param name of the file, for messages
-- @param code of the error
-- @return string; whether it is UTF-8 is not looked at further
-- @raise code, when it is UTF-16 or UTF-32
function M.plain(bytes, name, code)
  for _, other in ipairs(OTHERS) do
    if bytes:find(other[1]) then
      fail { code = code, file = name, message = ("%s: the text is %s, expected UTF-8"):format(name, other[2]),
             hint = "save it again as UTF-8; spreadsheets have it among the formats as 'CSV UTF-8'" }
    end
  end
  return (bytes:gsub("^\xEF\xBB\xBF", ""):gsub("\r\n?", "\n"))
end

--- A hint for a line of CSV that has semicolons or tabs where commas belong, as spreadsheets write them in some
-- languages.
-- @return string | nil
function M.separator_hint(line)
  local other = not line:find "," and line:match "[;\t]"
  if not other then return nil end
  return "fields are separated by commas, here are " .. (other == ";" and "semicolons" or "tabs")
end

return M
