local task = require "esp.core.task"
local port = require "esp.core.port"
local fs = require "esp.core.fs"

local function open_files()
  collectgarbage()
  return #fs.list "/proc/self/fd"
end

--- A value with a <close> that calls fn.
local function closing(fn) return setmetatable({}, { __close = fn }) end

describe("a task", function()
  it("runs when its parent waits, and join gives its results", function()
    local log = {}
    local t = task.spawn(function(a, b) log[#log + 1] = "task"; return a + b, nil, "x" end, 2, 3)
    log[#log + 1] = "parent"
    assert.same({ true, 5, nil, "x" }, { t:join() })
    assert.same({ "parent", "task" }, log)
    assert.same({ true, 5, nil, "x" }, { t:join() })
    assert.equal("done", t:status())
  end)

  it("keeps its error for join, as the same value", function()
    local e = { code = "no_sync" }
    local t = task.spawn(function() task.sleep(0); error(e) end)
    local ok, caught = pcall(t.join, t)
    assert.is_false(ok)
    assert.equal(e, caught)
    assert.equal("failed", t:status())
    assert.matches("task_spec", t:traceback())
    task.run()
  end)

  it("that fails unnoticed makes task.run raise, once, when the others are done", function()
    local others
    task.spawn(function() error "first" end)
    task.spawn(function() error "second" end)
    task.spawn(function() task.sleep(0.02); others = true end)
    assert.error_matches(task.run, "first")
    assert.is_true(others)
    assert.error_matches(task.run, "second")
    task.run()
  end)

  it("can be waited for with a limit", function()
    local t <close> = task.spawn(function() task.sleep(60) end)
    local ok, message, code = t:join(0.01)
    assert.is_nil(ok)
    assert.equal("timeout", code)
    assert.is_string(message)
    assert.equal("running", t:status())
  end)

  it("cannot wait for itself, and circular waits are reported instead of hanging", function()
    local t
    t = task.spawn(function() t:join() end)
    assert.error_matches(function() t:join() end, "cannot wait for itself")
    local a, b
    a = task.spawn(function() return b:join() end)
    b = task.spawn(function() return a:join() end)
    assert.error_matches(function() a:join() end, "deadlock")
    a:cancel()
    b:cancel()
  end)

  it("gives way when the script itself yields", function()
    local log = {}
    local function work(name)
      for _ = 1, 3 do log[#log + 1] = name; coroutine.yield() end
    end
    local a, b = task.spawn(work, "a"), task.spawn(work, "b")
    a:join()
    b:join()
    assert.equal("ababab", table.concat(log))
  end)

  it("that never has to wait does not starve the others", function()
    local a, b <close> = port.pair()
    local stop = false
    local busy = task.spawn(function()
      local n = 0
      while not stop do
        assert(a:write "x")
        assert(b:read(1))
        n = n + 1
      end
      return n
    end)
    local other = task.spawn(function() task.sleep(0.001); stop = true end)
    other:join()
    assert.is_true(select(2, busy:join()) > 0)
  end)

  it("knows itself", function()
    local t = task.spawn(function() return task.current() end)
    assert.is_nil(task.current())
    assert.equal(t, select(2, t:join()))
  end)

  it("takes and gives many values", function()
    local values = {}
    for i = 1, 500 do values[i] = i end
    local t = task.spawn(function(...) task.sleep(0); return ... end, table.unpack(values))
    assert.same(values, { select(2, t:join()) })
  end)
end)

describe("a wait", function()
  it("works outside of tasks, while tasks go on", function()
    local a, b <close> = port.pair()
    task.spawn(function() task.sleep(0.005); a:write "late" end)
    assert.equal("late", b:read(10, 5))
    task.run()
  end)

  it("is over at once when the event came first", function()
    local a, b <close> = port.pair()
    a:write "early"
    local t = task.spawn(function() return b:read(10, 5) end)
    assert.same({ true, "early" }, { t:join() })
  end)

  it("is over when the event came between the wait and the next turn", function()
    local a, b <close> = port.pair()
    local t = task.spawn(function() return b:read(10, 5) end)
    task.sleep(0) -- t waits now
    a:write "now"
    assert.equal("running", t:status())
    assert.same({ true, "now" }, { t:join() })
  end)

  it("passes through a coroutine that the script made", function()
    local a, b <close> = port.pair()
    local log = {}
    local reader = task.spawn(function()
      local lines = coroutine.wrap(function()
        for _ = 1, 3 do coroutine.yield(assert(b:read(100, 60))) end
        task.sleep(0)
        return "end"
      end)
      for line in lines do
        if line == "end" then return line end
        log[#log + 1] = line
        b:write "go on"
      end
    end)
    local writer = task.spawn(function()
      for i = 1, 3 do
        a:write("line " .. i)
        assert(a:read(100, 60))
        log[#log + 1] = "writer"
      end
    end)
    assert.same({ true, "end" }, { reader:join() })
    writer:join()
    assert.same({ "line 1", "writer", "line 2", "writer", "line 3", "writer" }, log)
  end)

  it("passes through coroutines in coroutines, with values and errors on all levels", function()
    local function nest(depth)
      if depth == 0 then
        task.sleep(0.001)
        coroutine.yield "inner"
        task.sleep(0.001)
        error { depth = depth }
      end
      local co = coroutine.create(nest)
      local ok, value = coroutine.resume(co, depth - 1)
      assert(ok, value)
      assert(coroutine.status(co) == "suspended")
      coroutine.yield(value)
      local failed, e = coroutine.resume(co)
      assert(not failed and coroutine.status(co) == "dead")
      e.depth = e.depth + 1
      error(e)
    end
    for _, depth in ipairs { 1, 3, 14, 20 } do -- 20: deeper than waits are passed on
      local t = task.spawn(function()
        local co = coroutine.create(nest)
        local ok, value = coroutine.resume(co, depth)
        local failed, e = coroutine.resume(co)
        return ok, value, failed, e.depth
      end)
      assert.same({ true, true, "inner", false, depth }, { t:join() })
    end
  end)

  it("works in a coroutine outside of tasks", function()
    local co = coroutine.wrap(function() task.sleep(0.001); coroutine.yield(1); task.sleep(0.001); return 2 end)
    assert.equal(1, co())
    assert.equal(2, co())
  end)

  it("keeps coroutine.wrap's error positions and closing", function()
    local closed
    local co = coroutine.wrap(function()
      local _ <close> = closing(function() closed = true end)
      task.sleep(0)
      error "broken"
    end)
    local t = task.spawn(function() return pcall(co) end)
    local _, ok, message = t:join()
    assert.is_false(ok)
    assert.matches("spec/task_spec.lua:%d+: .*broken", message)
    assert.is_true(closed)
  end)

  it("keeps a waiting coroutine from being touched by another task", function()
    local co = coroutine.create(function() task.sleep(60) end)
    local t = task.spawn(function() coroutine.resume(co) end)
    task.sleep(0)
    assert.equal("normal", coroutine.status(co))
    local ok, message = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("waiting coroutine", message)
    assert.error_matches(function() coroutine.close(co) end, "waiting coroutine")
    t:cancel()
    assert.equal("dead", coroutine.status(co))
  end)

  it("keeps a task's own coroutine from being touched", function()
    local t = task.spawn(function() task.sleep(0.005); return coroutine.running() end)
    local thread
    local spy = task.spawn(function() thread = coroutine.running(); task.sleep(0.01); return "kept" end)
    task.sleep(0)
    assert.is_false(coroutine.resume(thread))
    t:join()
    assert.same({ true, "kept" }, { spy:join() })
  end)

  it("works where a task cannot yield, while others go on", function()
    local others = 0
    local t = task.spawn(function()
      local list = { 3, 1, 2 }
      table.sort(list, function(a, b) task.sleep(0.001); return a < b end)
      local text = ("abc"):gsub(".", function(c) task.sleep(0.001); return c:upper() end)
      return table.concat(list) .. text
    end)
    local other = task.spawn(function() for _ = 1, 5 do task.sleep(0.0005); others = others + 1 end end)
    assert.same({ true, "123ABC" }, { t:join() })
    other:join()
    assert.equal(5, others)
  end)

  it("works in metamethods, iterators and pcall of a task", function()
    local t = task.spawn(function()
      local slow = setmetatable({}, {
        __index = function(_, k) task.sleep(0); return k end,
        __call = function(_, _, i) task.sleep(0); if i < 3 then return i + 1 end end,
        __lt = function() task.sleep(0); return true end,
      })
      local n = 0
      for i in slow, nil, 0 do n = n + i end
      local ok, e = pcall(function() task.sleep(0); error { code = "x" } end)
      return slow.key, n, slow < slow, ok, e.code
    end)
    assert.same({ true, "key", 6, true, false, "x" }, { t:join() })
  end)

  it("works in a finalizer, where no other task is let in", function()
    local finalized, inside = 0, false
    local t <close> = task.spawn(function()
      while true do task.sleep(0); assert(not inside, "a task ran inside of a finalizer") end
    end)
    for _ = 1, 3 do
      setmetatable({}, { __gc = function()
        inside = true
        task.sleep(0.001)
        inside, finalized = false, finalized + 1
      end })
    end
    task.sleep(0)
    collectgarbage()
    assert.equal(3, finalized)
    task.sleep(0)
    assert.equal("running", t:status())
  end)

  it("is refused to a second task on the same handle", function()
    local a, b <close> = port.pair()
    local first = task.spawn(function() return b:read(10, 60) end)
    task.sleep(0)
    assert.error_matches(function() b:read(10, 60) end, "busy")
    local second = task.spawn(function() return b:read(10, 60) end)
    assert.error_matches(function() second:join() end, "busy")
    a:write "the first"
    assert.same({ true, "the first" }, { first:join() })
  end)

  it("for reading and one for writing go together", function()
    local a, b <close> = port.pair()
    local reader = task.spawn(function() return a:read(10, 60) end)
    task.sleep(0)
    local writer = task.spawn(function() return a:write(("x"):rep(1 << 20), 60) end)
    local got = 0
    while got < 1 << 20 do got = got + #assert(b:read(65536, 60)) end
    assert.same({ true, true }, { writer:join() })
    b:write "y"
    assert.same({ true, "y" }, { reader:join() })
  end)
end)

describe("cancelling a task", function()
  it("ends its wait, runs its <close> variables and leaves the handle usable", function()
    local a, b <close> = port.pair()
    local log = {}
    local t = task.spawn(function()
      local _ <close> = closing(function(_, e) log[#log + 1] = tostring(e) end)
      pcall(function() b:read(10, 60) end)
      log[#log + 1] = "not reached"
    end)
    task.sleep(0)
    assert.is_true(t:cancel())
    assert.same({ "nil" }, log)
    assert.equal("cancelled", t:status())
    local ok, _, code = t:join()
    assert.is_nil(ok)
    assert.equal("cancelled", code)
    a:write "x"
    assert.equal("x", b:read(10, 5))
    assert.is_true(t:cancel())
  end)

  it("lets clean-up wait, even for what another task does", function()
    local a <close>, b = port.pair()
    local log = {}
    local t = task.spawn(function()
      local _ <close> = closing(function()
        assert(b:read(1, 60))
        log[#log + 1] = "cleaned"
      end)
      task.sleep(60)
    end)
    task.sleep(0)
    local other = task.spawn(function() log[#log + 1] = "other"; a:write "x" end)
    t:cancel()
    other:join()
    assert.same({ "other", "cleaned" }, log)
    b:close()
  end)

  it("closes the coroutines through which it waited", function()
    local log = {}
    local t = task.spawn(function()
      local _ <close> = closing(function() log[#log + 1] = "outer" end)
      coroutine.wrap(function()
        local _ <close> = closing(function() log[#log + 1] = "inner" end)
        task.sleep(60)
      end)()
    end)
    task.sleep(0)
    t:cancel()
    assert.same({ "inner", "outer" }, log)
  end)

  it("before it began never runs it", function()
    local ran = false
    local t = task.spawn(function() ran = true end)
    t:cancel()
    task.run()
    assert.is_false(ran)
    assert.equal("cancelled", t:status())
  end)

  it("that is ready but has not gone on drops what it waited for", function()
    local a, b <close> = port.pair()
    local went_on = false
    local t = task.spawn(function() b:read(10, 60); went_on = true end)
    task.sleep(0)
    a:write "x"
    local killer = task.spawn(function() t:cancel() end)
    killer:join()
    task.run()
    assert.is_true(went_on or t:status() == "cancelled")
    if not went_on then assert.equal("x", b:read(10, 5)) end
  end)

  it("reports the error of a <close> variable", function()
    local t = task.spawn(function()
      local _ <close> = closing(function() error "cannot clean up" end)
      task.sleep(60)
    end)
    task.sleep(0)
    local ok, message = t:cancel()
    assert.is_false(ok)
    assert.matches("cannot clean up", message)
    task.run()
  end)

  it("that runs raises in its next wait", function()
    local t
    t = task.spawn(function()
      t:cancel()
      local ok, e = pcall(task.sleep, 60)
      return ok, e.code, tostring(e)
    end)
    assert.same({ true, false, "cancelled", "task was cancelled" }, { t:join() })
  end)

  it("that waits where it cannot yield ends that wait", function()
    local t = task.spawn(function()
      return (("x"):gsub("x", function() task.sleep(60) end))
    end)
    local killer = task.spawn(function() task.sleep(0.001); t:cancel() end)
    local ok, e = pcall(t.join, t)
    killer:join()
    assert.is_false(ok)
    assert.equal("cancelled", e.code)
  end)

  it("happens at the end of the scope of a <close> variable", function()
    local t
    do
      local scoped <close> = task.spawn(function() task.sleep(60) end)
      t = scoped
      task.sleep(0)
    end
    assert.equal("cancelled", t:status())
  end)

  it("in shutdown takes all that are left", function()
    local closed = 0
    for _ = 1, 5 do
      task.spawn(function()
        local _ <close> = closing(function() task.sleep(0); closed = closed + 1 end)
        task.sleep(60)
      end)
    end
    task.sleep(0)
    task.shutdown()
    assert.equal(5, closed)
    task.run()
  end)
end)

describe("thirty-two tasks", function()
  it("each with a port of its own, exchange data at the same time", function()
    local files = open_files()
    do
      local boards = {}
      for i = 1, 32 do
        local a, b = port.pair()
        local block = string.char(i):rep(4000)
        boards[i] = task.spawn(function()
          local host <close> = a
          local sum = 0
          for n = 1, 20 do
            assert(host:write(block, 30))
            local got = {}
            local size = 0
            while size < #block do
              got[#got + 1] = assert(host:read(#block - size, 30))
              size = size + #got[#got]
            end
            assert(table.concat(got) == block:upper(), n)
            sum = sum + size
          end
          return sum
        end)
        task.spawn(function()
          local chip <close> = b
          while true do
            local bytes = chip:read(1000, 30)
            if not bytes then break end
            chip:write(bytes:upper(), 30)
          end
        end)
      end
      for i = 1, 32 do assert.same({ true, 80000 }, { boards[i]:join() }, i) end
      task.run()
    end
    assert.equal(files, open_files())
  end)
end)

describe("an interrupt", function()
  local function interrupt_me()
    local stat = io.open "/proc/self/stat"
    local pid = stat:read "n"
    stat:close()
    io.popen("kill -INT " .. pid .. "; sleep 0"):close()
  end

  before_each(function() task.catch_interrupt(true) end)
  after_each(function() task.catch_interrupt(false) end)

  it("ends the wait of the main program and of every task, once each", function()
    local cleaned = 0
    for _ = 1, 3 do
      task.spawn(function()
        local _ <close> = closing(function() task.sleep(0.001); cleaned = cleaned + 1 end)
        local ok, e = pcall(task.sleep, 60)
        assert(not ok and e.code == "interrupted")
        task.sleep(0)
      end)
    end
    task.spawn(pcall, interrupt_me)
    local ok, e = pcall(task.sleep, 60)
    assert.is_false(ok)
    assert.equal("interrupted", e.code)
    assert.equal("interrupted", tostring(e))
    task.run()
    assert.equal(3, cleaned)
    assert.is_true(task.interrupted())
  end)

  it("ends Lua code that does not wait", function()
    local ok, e = pcall(function()
      interrupt_me()
      local n = 0
      while n < 1e10 do n = n + 1 end
    end)
    assert.is_false(ok)
    assert.equal("interrupted", e.code)
    task.sleep(0)
  end)

  it("ends Lua code in a task, in a coroutine", function()
    local t = task.spawn(function()
      return coroutine.wrap(function()
        interrupt_me()
        local n = 0
        while n < 1e10 do n = n + 1 end
      end)()
    end)
    local ok, e = pcall(function() while t:status() == "running" do t:join() end end)
    assert.is_false(ok)
    assert.equal("interrupted", e.code)
    pcall(task.run)
  end)
end)
