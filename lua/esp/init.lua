--- esplua: the library as a script sees it.
local M = {}
return M
