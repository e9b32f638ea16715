/* l_cpu.c - the Lua module "esp.core.cpu": a processor of the simulated chip on its own, for tests and for
 * looking at code. */
#include "l_core.h"
#include "sim/cpu.h"

#include <stdlib.h>

#define CPU_TYPE "esp.cpu"

/* One device may be played by a Lua function, which is the user value. */
struct lcpu {
  struct cpu_bus *bus;
  struct cpu *cpu; /* NULL: closed */
  struct cpu_bus_device device;
  lua_State *L; /* while run is under way */
  uint64_t trace;
  struct cpu_irq irq; /* what offer has put there */
  bool offered;
};

static struct lcpu *check_cpu(lua_State *L) {
  struct lcpu *u = luaL_checkudata(L, 1, CPU_TYPE);
  if (!u->cpu)
    luaL_error(L, "processor is closed");
  return u;
}

static uint32_t check_u32(lua_State *L, int arg) {
  lua_Integer v = luaL_checkinteger(L, arg);
  luaL_argcheck(L, v >= INT32_MIN && v <= UINT32_MAX, arg, "a 32-bit number expected");
  return (uint32_t)v;
}

static int bus_result(lua_State *L, int error) {
  if (error)
    return l_fail(L, "bad_argument", "range cannot be mapped: pages of 4096 bytes expected");
  lua_pushboolean(L, 1);
  return 1;
}

static const struct {
  const char *name;
  const struct xtensa_config *config;
  uint32_t prid;
} xtensas[] = {{"lx106", &xtensa_lx106, 0},
               {"esp32", &xtensa_esp32, 0xCDCD},
               {"esp32s2", &xtensa_esp32s2, 0xCDCD},
               {"esp32s3", &xtensa_esp32s3, 0xCDCD}};

static bool field_flag(lua_State *L, const char *name, bool def) {
  bool v = lua_getfield(L, 2, name) == LUA_TNIL ? def : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

static struct cpu *make(lua_State *L, struct cpu_bus *bus, const char *core) {
  if (strcmp(core, "rv32") == 0) {
    struct rv32_config k = {.hart = (uint32_t)l_field_int(L, 2, "hart", 0, 255, 0),
                            .reset_pc = (uint32_t)l_field_int(L, 2, "reset", 0, UINT32_MAX, 0x40000000),
                            .atomics = field_flag(L, "atomics", true),
                            .floats = field_flag(L, "floats", true),
                            .bits = field_flag(L, "bits", false),
                            .compact = field_flag(L, "compact", false),
                            .unaligned = field_flag(L, "unaligned", false),
                            .mie = field_flag(L, "mie", true),
                            .clic = field_flag(L, "clic", false)};
    return cpu_new_rv32(bus, &k);
  }
  for (size_t i = 0; i < sizeof xtensas / sizeof *xtensas; i++)
    if (strcmp(core, xtensas[i].name) == 0)
      return cpu_new_xtensa(bus, xtensas[i].config,
                            (uint32_t)l_field_int(L, 2, "prid", 0, UINT32_MAX, xtensas[i].prid));
  luaL_argerror(L, 1, "rv32, lx106, esp32, esp32s2 or esp32s3 expected");
  return NULL;
}

/* cpu.new(core [, options]) -> processor with nothing on its bus */
static int l_new(lua_State *L) {
  const char *core = luaL_checkstring(L, 1);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  struct lcpu *u = lua_newuserdatauv(L, sizeof *u, 1);
  *u = (struct lcpu){0};
  luaL_setmetatable(L, CPU_TYPE);
  u->bus = cpu_bus_new();
  if (u->bus)
    u->cpu = make(L, u->bus, core);
  if (!u->cpu)
    return l_fail(L, "no_memory", "no memory for a processor");
  u->cpu->guest_exceptions = field_flag(L, "guest_exceptions", false);
  return 1;
}

static int l_close(lua_State *L) {
  struct lcpu *u = luaL_checkudata(L, 1, CPU_TYPE);
  cpu_free(u->cpu);
  cpu_bus_free(u->bus);
  u->cpu = NULL;
  u->bus = NULL;
  return 0;
}

static unsigned check_allow(lua_State *L, int arg) {
  const char *s = luaL_optstring(L, arg, "rwx");
  unsigned allow = 0;
  for (; *s; s++) {
    const char *all = "rwx4", *p = strchr(all, *s);
    luaL_argcheck(L, p != NULL, arg, "letters of rwx4 expected");
    allow |= 1u << (p - all);
  }
  return allow;
}

/* c:ram(address, size [, "rwx4" [, alias]]) -> true: memory; 4: whole words only; alias: a second address of
 * it */
static int l_ram(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  uint32_t address = check_u32(L, 2);
  lua_Integer size = luaL_checkinteger(L, 3);
  luaL_argcheck(L, size > 0 && size <= 64 << 20 && size % CPU_PAGE == 0, 3,
                "up to 64 MiB, a multiple of 4096");
  unsigned allow = check_allow(L, 4);
  struct cpu_block block;
  int error = cpu_bus_block(u->bus, &block, NULL, (uint32_t)size);
  if (!error)
    error = cpu_bus_map(u->bus, address, &block, 0, (uint32_t)size, allow);
  if (!error && !lua_isnoneornil(L, 5))
    error = cpu_bus_map(u->bus, check_u32(L, 5), &block, 0, (uint32_t)size, allow);
  return bus_result(L, error);
}

/* The device's function is called as f(address, width [, value]); what it returns is the value read. */
static int call_device(struct lcpu *u, uint32_t address, unsigned width, const uint32_t *value,
                       uint32_t *result) {
  lua_State *L = u->L;
  int top = lua_gettop(L);
  lua_getiuservalue(L, 1, 1);
  lua_pushinteger(L, address);
  lua_pushinteger(L, width);
  if (value)
    lua_pushinteger(L, *value);
  int error = CPU_BUS_E_DEVICE;
  if (lua_pcall(L, value ? 3 : 2, 1, 0) == LUA_OK) {
    if (lua_isinteger(L, -1) && result)
      *result = (uint32_t)lua_tointeger(L, -1);
    const char *word = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (word && strcmp(word, "yield") == 0)
      cpu_bus_yield(u->bus);
    if (!word || strcmp(word, "refuse"))
      error = CPU_BUS_OK;
  }
  lua_settop(L, top);
  return error;
}

static int device_read(void *ctx, uint32_t address, unsigned width, uint32_t *value) {
  *value = 0;
  return call_device(ctx, address, width, NULL, value);
}

static int device_write(void *ctx, uint32_t address, unsigned width, uint32_t value) {
  return call_device(ctx, address, width, &value, NULL);
}

/* c:device(address, size, f) -> true; f(address, width [, value]) -> value, "yield" or "refuse" */
static int l_device(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  uint32_t address = check_u32(L, 2), size = check_u32(L, 3);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  lua_settop(L, 4);
  lua_setiuservalue(L, 1, 1);
  u->device = (struct cpu_bus_device){device_read, device_write, u};
  return bus_result(L, cpu_bus_map_device(u->bus, address, size, &u->device));
}

/* c:poke(address, bytes) -> count; c:peek(address, n) -> bytes: memory only */
static int l_poke(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  size_t n;
  const char *data = luaL_checklstring(L, 3, &n);
  lua_pushinteger(L, (lua_Integer)cpu_bus_poke(u->bus, check_u32(L, 2), data, n));
  return 1;
}

static int l_peek(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  uint32_t address = check_u32(L, 2);
  lua_Integer n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, n >= 0 && n <= 64 << 20, 3, "up to 64 MiB");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, (size_t)n);
  luaL_pushresultsize(&b, cpu_bus_peek(u->bus, address, out, (size_t)n));
  return 1;
}

static int check_reg(lua_State *L, struct lcpu *u) {
  if (lua_isinteger(L, 2))
    return (int)luaL_checkinteger(L, 2);
  int reg = cpu_find(u->cpu, luaL_checkstring(L, 2));
  luaL_argcheck(L, reg >= 0, 2, "no such register");
  return reg;
}

/* c:get(name) -> value; c:set(name, value) */
static int l_get(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  lua_pushinteger(L, cpu_get(u->cpu, check_reg(L, u)));
  return 1;
}

static int l_set(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  int reg = check_reg(L, u);
  cpu_set(u->cpu, reg, check_u32(L, 3));
  return 0;
}

static void count_hook(void *ctx, struct cpu *c) {
  (void)c;
  ((struct lcpu *)ctx)->trace++;
}

/* c:run(instructions) -> "budget", "idle" or "yield" | "fault", text, code, address */
static int l_run(lua_State *L) {
  static const char *const why[] = {"budget", "idle", "fault", "yield"};
  struct lcpu *u = check_cpu(L);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0, 2, "not negative");
  luaL_checkstack(L, 8, "device");
  u->L = L;
  enum cpu_stop stop = cpu_run(u->cpu, (uint64_t)n);
  u->L = NULL;
  lua_pushstring(L, why[stop]);
  if (stop != CPU_FAULT)
    return 1;
  const struct cpu_fault *f = &u->cpu->fault;
  lua_pushstring(L, cpu_fault_text(f));
  lua_pushinteger(L, f->code);
  lua_pushinteger(L, f->address);
  return 4;
}

/* c:disassemble(address) -> text, length; length 0 where there is nothing */
static int l_disassemble(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  char text[128];
  int n = cpu_disassemble(u->cpu, check_u32(L, 2), text, sizeof text);
  lua_pushstring(L, text);
  lua_pushinteger(L, n);
  return 2;
}

static int l_describe(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  char text[2048];
  cpu_describe(u->cpu, text, sizeof text);
  lua_pushstring(L, text);
  return 1;
}

/* c:lines(mask): interrupt inputs */
static int l_lines(lua_State *L) {
  cpu_lines(check_cpu(L)->cpu, check_u32(L, 2));
  return 0;
}

static bool choose(void *ctx, struct cpu *c, struct cpu_irq *irq) {
  const struct lcpu *u = ctx;
  (void)c;
  *irq = u->irq;
  return u->offered;
}

/* c:offer(id [, level [, vectored]]): plays the interrupt controller of a RISC-V core; id nil: nothing
 * pending */
static int l_offer(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  lua_Integer id = luaL_optinteger(L, 2, 0), level = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, id >= 0 && id < 4096, 2, "0..4095 expected");
  luaL_argcheck(L, level >= 0 && level < 256, 3, "0..255 expected");
  u->irq = (struct cpu_irq){(uint16_t)id, (uint8_t)level, lua_toboolean(L, 4)};
  u->offered = !lua_isnoneornil(L, 2);
  u->cpu->choose = choose;
  u->cpu->choose_ctx = u;
  cpu_look(u->cpu);
  return 0;
}

/* c:cycles([n]) -> cycles, set forward when n is given; c:next_event() -> cycles, nil for none */
static int l_cycles(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  if (!lua_isnoneornil(L, 2)) {
    lua_Integer n = luaL_checkinteger(L, 2);
    luaL_argcheck(L, n >= 0 && (uint64_t)n >= u->cpu->cycles, 2, "time does not run backwards");
    u->cpu->cycles = (uint64_t)n;
  }
  lua_pushinteger(L, (lua_Integer)u->cpu->cycles);
  return 1;
}

static int l_next_event(lua_State *L) {
  uint64_t n = cpu_next_event(check_cpu(L)->cpu);
  if (n > INT64_MAX)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

/* c:count([on]) -> instructions that the step hook saw; turns the hook on or off */
static int l_count(lua_State *L) {
  struct lcpu *u = check_cpu(L);
  if (!lua_isnone(L, 2)) {
    u->cpu->hook = lua_toboolean(L, 2) ? count_hook : NULL;
    u->cpu->hook_ctx = u;
  }
  lua_pushinteger(L, (lua_Integer)u->trace);
  return 1;
}

static int l_reset(lua_State *L) {
  cpu_reset(check_cpu(L)->cpu);
  return 0;
}

static const luaL_Reg methods[] = {{"ram", l_ram},
                                   {"device", l_device},
                                   {"poke", l_poke},
                                   {"peek", l_peek},
                                   {"get", l_get},
                                   {"set", l_set},
                                   {"run", l_run},
                                   {"disassemble", l_disassemble},
                                   {"describe", l_describe},
                                   {"lines", l_lines},
                                   {"offer", l_offer},
                                   {"cycles", l_cycles},
                                   {"next_event", l_next_event},
                                   {"count", l_count},
                                   {"reset", l_reset},
                                   {"close", l_close},
                                   {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"new", l_new}, {NULL, NULL}};

int luaopen_esp_core_cpu(lua_State *L);
int luaopen_esp_core_cpu(lua_State *L) {
  l_newclass(L, CPU_TYPE, methods, metamethods);
  luaL_newlib(L, functions);
  return 1;
}
