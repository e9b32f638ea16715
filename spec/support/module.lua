-- Run by a stock lua5.4 with LUA_CPATH set to the built module: the library works there as in the interpreter.
local esp = require "esp"
assert(type(esp) == "table")
assert(require("esp.error").is(select(2, pcall(require "esp.error", { code = "x", message = "y" }))))
