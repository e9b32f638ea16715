std = "lua54"
cache = false
max_line_length = 120
files["spec"] = { std = "+busted" }
files["chips"] = { max_line_length = 160 }
files["spec/run.lua"] = { globals = { "arg" } }
