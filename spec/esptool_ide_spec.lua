-- The server here is written from RFC 6455; what it is told, from the README of espressif/esp-pylib.
local task = require "esp.core.task"
local port = require "esp.core.port"
local digest = require "esp.core.digest"
local base64 = require "esp.base64"
local json = require "esp.json"
local websocket = require "esp.websocket"
local program = require "spec.support.program"

local ANSWER = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nsec-websocket-ACCEPT:  %s\r\n\r\n"

local function accept_of(key) return base64.encode(digest.sha1(key .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) end

--- The messages that a connection brings until it ends: { kind, text }.
local function messages(c, bytes)
  local function need(n)
    while #bytes < n do bytes = bytes .. assert(c:read(65536, 10)) end
  end
  local list = {}
  repeat
    need(2)
    local kind, size = bytes:byte(1, 2)
    local at, n = 3, size & 0x7F
    assert.equal(0x80, size & 0x80, "a client masks")
    if n == 126 then need(4); n, at = (">I2"):unpack(bytes, 3) end
    if n == 127 then need(10); n, at = (">I8"):unpack(bytes, 3) end
    need(at + 3 + n)
    local text = {}
    for i = 0, n - 1 do text[i + 1] = string.char(bytes:byte(at + 4 + i) ~ bytes:byte(at + i % 4)) end
    list[#list + 1] = { kind, table.concat(text) }
    bytes = bytes:sub(at + 4 + n)
  until kind == 0x88
  return list
end

--- A server for `count` connections, each served by serve(connection, request, key).
local function start(serve, count)
  local server = assert(port.listen("127.0.0.1", 0))
  local running = task.spawn(function()
    local results = {}
    for i = 1, count or 1 do
      local c <close> = assert(server:accept(10))
      local request = ""
      while not request:find("\r\n\r\n", 1, true) do request = request .. assert(c:read(4096, 10)) end
      results[i] = serve(c, request, request:match "\r\nSec%-WebSocket%-Key: (%S+)\r\n") or false
    end
    server:close()
    return results
  end)
  return "ws://127.0.0.1:" .. server:port(), running
end

local function result(running) return select(2, assert(running:join())) end

local function listen(c, _, key)
  c:write(ANSWER:format(accept_of(key)))
  return messages(c, "")
end

describe("a web socket", function()
  it("is answered as in section 1.3 of the RFC", function()
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", accept_of "dGhlIHNhbXBsZSBub25jZQ==")
  end)

  it("carries texts of any length", function()
    local texts, asked = { "", "a", ("b"):rep(125), ("c"):rep(126) }, nil
    -- Byte by byte these would take long where garbage is collected all the time.
    for n = 65535, os.getenv "ESPLUA_GC_STRESS" and 0 or 65536 do texts[#texts + 1] = ("d"):rep(n) end
    local url, running = start(function(c, request, key)
      asked = request
      return listen(c, request, key)
    end)
    do
      local ws <close> = assert(websocket.open(url .. "/log?x=1", 5))
      for _, text in ipairs(texts) do assert(ws:send(text)) end
    end
    local got = result(running)[1]
    for i, text in ipairs(texts) do assert.same({ 0x81, text }, got[i]) end
    assert.same({ 0x88, "\x03\xE8" }, got[#texts + 1])
    assert.matches("^GET /log%?x=1 HTTP/1%.1\r\nHost: 127%.0%.0%.1:%d+\r\n", asked)
    for _, line in ipairs { "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13" } do
      assert.matches("\r\n" .. line .. "\r\n", asked, 1, true)
    end
  end)

  for what, answer in pairs { ["another service"] = "HTTP/1.1 404 Not Found\r\n\r\n", ["a wrong answer"] =
                              ANSWER:format "AAAA", ["a flood"] = ("x"):rep(20000), ["silence"] = "" } do
    it("is not taken for one when there is " .. what, function()
      local url, running = start(function(c)
        c:write(answer)
        if answer == "" then c:read(1, 10) end
      end)
      local ws, message = websocket.open(url, what == "silence" and 0.05 or 5)
      assert.is_nil(ws)
      assert.is_string(message)
      assert(running:join())
    end)
  end

  it("is refused for other addresses", function()
    for _, url in ipairs { "", "http://127.0.0.1:1", "wss://127.0.0.1:1", "ws://", "ws://127.0.0.1:99999" } do
      assert.is_nil((websocket.open(url, 0.2)))
    end
  end)
end)

describe("esptool's IDE", function()
  local main = require "esp.esptool".main
  setup(program.folder)
  teardown(program.clean)

  local function sink()
    return { write = function(self, ...)
               self[#self + 1] = table.concat { ... }
               return self
             end, flush = function() end }
  end

  local function run(url, ...)
    local out, err = sink(), sink()
    local status = main({ ... }, { out = out, err = err, ide = url })
    return status, table.concat(out), table.concat(err)
  end

  it("hears of warnings and errors", function()
    local bad = program.write("bad.bin", "not an image")
    local url, running = start(listen)
    local status, out, err = run(url, "image_info", bad)
    local got = result(running)[1]
    assert.equal(2, status)
    assert.equal(3, #got)
    local first, second = json.decode(got[1][2]), json.decode(got[2][2])
    assert.same({ "warning", json.null, "", 0 }, { first.type, first.suggestion, first.file, first.line })
    assert.matches("Warning: " .. first.message, out, 1, true)
    assert.equal("error", second.type)
    assert.matches(second.message:gsub("^%s+", ""), err, 1, true)
    assert.matches("  hint: " .. second.suggestion, err, 1, true)
  end)

  it("is not needed", function()
    local bad = program.write("bad.bin", "not an image")
    local url, running = start(function() end)                -- closes without an answer
    local one = { run(url, "image_info", bad) }
    assert(running:join())
    assert.same({ run(nil, "image_info", bad) }, one)
    assert.same(one, { run("nonsense", "image_info", bad) })
  end)

  it("is called again when the connection was lost", function()
    local ide = require "esp.esptool.ide"
    local url, running = start(function(c, _, key)
      c:write(ANSWER:format(accept_of(key)))
      return assert(c:read(4096, 10))                         -- and closes
    end, 2)
    local i = ide.new(url)
    i:tell("warning", "one")
    task.sleep(0.05)
    i:tell("warning", "two")
    i:close()
    local got = result(running)
    assert.equal(2, #got)
    for _, bytes in ipairs(got) do assert.equal(0x81, bytes:byte()) end
  end)
end)
