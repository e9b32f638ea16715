--- Lists of tables in the order of a field, and finding things in them.
local M = {}

--- Sort in place.
-- @param list of tables
-- @param first name of the field that decides
-- @param second name of the one that decides among equals
-- @return list
function M.sort(list, first, second)
  table.sort(list, function(a, b)
    if a[first] ~= b[first] then return a[first] < b[first] end
    return a[second] < b[second]
  end)
  return list
end

--- The last table whose field is not above a value.
-- @param list sorted by that field
-- @param field its name or number
-- @return index, 0 when there is none
function M.last(list, field, value)
  local low, high = 1, #list
  while low <= high do
    local middle = (low + high) // 2
    if list[middle][field] <= value then low = middle + 1 else high = middle - 1 end
  end
  return high
end

return M
