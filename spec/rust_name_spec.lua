-- Rust's symbols in the form "v0". Made by rustc 1.95 (-C symbol-mangling-version=v0), names as c++filt of binutils
-- 2.40 shows them, without digests of crates, lifetimes, and the types of constants.
local rust_name = require "esp.rust_name"

local NAMES = {
  ["_RINvCsli3NGoEiSOP_3app5applyNCNvNtB2_5inner4deep0EB2_"]
    = "app::apply::<app::inner::deep::{closure#0}>",
  ["_RINvNtCsgEmfK2I1SDS_4core4hint9black_boxRRDINtNtNtB4_3ops8function2FnTmEEp6OutputyEL_ECsli3NGoEiSOP_3app"]
    = "core::hint::black_box::<&&dyn core::ops::function::Fn<(u32,), Output = u64>>",
  ["_RINvCsli3NGoEiSOP_3app3genINtB2_3FooINtNtCsgEmfK2I1SDS_4core6option6OptionQxEEKj1_Kb0_EB2_"]
    = "app::gen::<app::Foo<core::option::Option<&mut i64>>, 1, false>",
  ["_RINvCsli3NGoEiSOP_3app3genThReEKj2_Kb0_EB2_"]
    = "app::gen::<(u8, &str), 2, false>",
  ["_RNvMs0_Csli3NGoEiSOP_3appINtB5_1WKc78_Kln5_E2goB5_"]
    = "<app::W<'x', -5>>::go",
  ["_RNvXs_Csli3NGoEiSOP_3appINtB4_3FoomENtB4_3Bar2go"]
    = "<app::Foo<u32> as app::Bar>::go",
  ["_RINvNtCsgEmfK2I1SDS_4core4hint9black_boxRFhReElECsli3NGoEiSOP_3app"]
    = "core::hint::black_box::<&fn(u8, &str) -> i32>",
  ["_RNvYNCNvCsli3NGoEiSOP_3app4user0INtNtNtCsgEmfK2I1SDS_4core3ops8function6FnOnceThReEE9call_onceB6_"]
    = "<app::user::{closure#0} as core::ops::function::FnOnce<(u8, &str)>>::call_once",
  ["_RNCNvNtCsli3NGoEiSOP_3app5inner4deep0B5_"]
    = "app::inner::deep::{closure#0}",
  ["_RINvCsli3NGoEiSOP_3app6apply2NCNvB2_2cc0EB2_"]
    = "app::apply2::<app::cc::{closure#0}>",
  ["_RNvNvMNtNtCsgEmfK2I1SDS_4core3ptr9const_ptrPp20offset_from_unsigned18precondition_checkCsli3NGoEiSOP_3app"]
    = "<*const _>::offset_from_unsigned::precondition_check",
}

describe("a name of Rust", function()
  for symbol, name in pairs(NAMES) do
    it("is " .. name, function() assert.equal(name, rust_name.plain(symbol)) end)
  end

  it("is another when it is not of this form", function()
    for _, text in ipairs { "", "_R", "_Rxyz", "app_main", "_ZN3app3getE", "_RNvC3app", "_RNvC99app3get", "_RB_",
                            "_RNvB_3get", "_RNvC3app" .. ("9"):rep(30) .. "x" } do
      assert.is_nil(rust_name.plain(text), text)
    end
  end)

  it("is something or nothing when it is damaged, never an error", function()
    math.randomseed(9)
    for symbol in pairs(NAMES) do
      for _ = 1, os.getenv "ESPLUA_GC_STRESS" and 5 or 200 do
        local at = math.random(3, #symbol)
        local letter = ("BINCMXYTASRQFDEG_0a9z"):sub(math.random(21)):sub(1, 1)
        local text = symbol:sub(1, at - 1) .. letter .. symbol:sub(at + 1)
        local name = rust_name.plain(text)
        assert(name == nil or #name <= 8192)
      end
    end
  end)
end)
