--- Runs the specs with busted inside this interpreter: esplua spec/run.lua [busted options] [files]
-- Debian keeps busted's pure Lua under 5.1 although it runs on every version.
package.path = package.path .. ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua;./?.lua"

if os.getenv "ESPLUA_GC_STRESS" then
  collectgarbage "incremental"
  collectgarbage("setpause", 0)
  collectgarbage("setstepmul", 400)
end

local given = false
for _, a in ipairs(arg) do given = given or not a:match "^%-" end
if not given then arg[#arg + 1] = "spec" end

require "busted.runner" { standalone = false, output = "plainTerminal", pattern = "_spec" }
