local sorted = require "esp.sorted"

describe("a sorted list", function()
  it("is in the order of one field, then of another", function()
    local list = { { a = 2, b = 1 }, { a = 1, b = 2 }, { a = 2, b = 0 }, { a = 1, b = 1 } }
    assert.equal(list, sorted.sort(list, "a", "b"))
    assert.same({ { a = 1, b = 1 }, { a = 1, b = 2 }, { a = 2, b = 0 }, { a = 2, b = 1 } }, list)
  end)

  it("tells the last that is not above a value", function()
    local list = { { 10 }, { 20 }, { 20 }, { 30 } }
    for value, want in pairs { [9] = 0, [10] = 1, [19] = 1, [20] = 3, [29] = 3, [30] = 4, [99] = 4 } do
      assert.equal(want, sorted.last(list, 1, value))
    end
    assert.equal(0, sorted.last({}, 1, 5))
  end)
end)
