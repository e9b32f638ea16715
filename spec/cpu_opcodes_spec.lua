-- Every instruction that the mask ROMs and the stubs contain is executed by a case of the processors' specs that fails
-- when the instruction does nothing. Their names, with how often they occur, were counted by spec/tools/opcodes.lua
-- --names and stand in a list; the ROMs themselves are not needed. Here the specs run once more, instruction by
-- instruction, for every name with that instruction left out.
local mutants = require "spec.support.mutants"

-- What does nothing in a processor without pipeline, caches and protection, and the steps of a division that mean
-- something only together (src/sim/cpu_xtensa_f.c): executed all the same.
local SILENT = {}
for name in ("fence dsync isync memw rsync nop wdtlb witlb addexpm.s div0.s divn.s"):gmatch "%S+" do
  SILENT[name] = true
end

local function listed()
  local names = { [true] = {}, [false] = {} }
  for line in io.lines "spec/support/rom_opcodes.txt" do
    local core, name = line:match "^(%w+) ([%w.]+) %d+$"
    if core then names[core == "rv32"][name] = core end
  end
  return names
end

describe("the processors' specs", function()
  -- Those specs run under a collector that never rests anyway; here they would do so some hundred times over.
  local mode
  before_each(function() mode = collectgarbage "generational" end)
  after_each(function() collectgarbage(mode) end)

  for riscv, names in pairs(listed()) do
    it("have a case for every instruction of the ROMs and stubs: " .. (riscv and "RISC-V" or "Xtensa"), function()
      local executed, count = mutants.executed(mutants.files(riscv)), 0
      for name, core in pairs(names) do
        local how = mutants.noticed(name, executed[name])
        assert(how == "result" or how and SILENT[name], ("%s (%s): %s"):format(name, core, how or "no case"))
        count = count + 1
      end
      assert.is_true(count >= (riscv and 100 or 200))
    end)
  end
end)
