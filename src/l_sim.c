/* l_sim.c - the Lua module esp.core.sim: simulated chips. */
#include "l_core.h"
#include "l_port.h"
#include "l_sim_config.h"
#include "sim/simport.h"
#include "sim/snapshot.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_TYPE "esp.sim"

struct lsim {
  struct sim_runner *runner; /* NULL: closed */
  size_t log_seen;
};

static struct lsim *check_sim(lua_State *L) {
  struct lsim *s = luaL_checkudata(L, 1, SIM_TYPE);
  luaL_argcheck(L, s->runner, 1, "the simulated chip is closed");
  return s;
}

/* sim.new(description) -> chip | nil, message, code. lua/esp/sim.lua makes the description. */
static int l_new(lua_State *L) {
  struct sim_config config;
  char error[320] = "";
  l_sim_config(L, 1, &config);
  struct lsim *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (struct lsim){NULL, 0};
  luaL_setmetatable(L, SIM_TYPE);
  s->runner = sim_runner_new(&config, error, sizeof error);
  const char *code = strstr(error, " file ") ? "bad_file" : "failed";
  return s->runner ? 1 : l_fail(L, code, "%s", error);
}

/* chip:port([url [, baud]]) -> open port | nil, message, code */
static int l_sim_port(lua_State *L) {
  struct lsim *s = check_sim(L);
  const char *url = luaL_optstring(L, 2, "sim:");
  lua_Integer baud = luaL_optinteger(L, 3, 115200);
  luaL_argcheck(L, baud > 0 && baud <= PORT_BAUD_MAX, 3, "baud rate out of range");
  struct port **slot = l_newport(L);
  *slot = sim_port_new(s->runner, url, (int)baud);
  if (!*slot)
    return luaL_error(L, "not enough memory");
  struct port_request rq;
  port_request(&rq, *slot, PORT_OPEN, 0, 0);
  rq.op.step(&rq.op, EV_START);
  return rq.result == PORT_OK ? 1 : l_portfail(L, *slot, rq.result);
}

/* Pushes the n bytes that read gives from an address; both are arguments, n is at most max. */
static int push_bytes(lua_State *L, lua_Integer max,
                      void (*read)(struct sim_chip *c, uint32_t from, uint8_t *out, size_t n)) {
  struct lsim *s = check_sim(L);
  lua_Integer from = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, from >= 0 && from <= 0xFFFFFFFF, 2, "out of range");
  luaL_argcheck(L, n >= 0 && n <= max, 3, "out of range");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n > 0 ? (size_t)n : 1);
  struct sim_chip *c = sim_runner_lock(s->runner);
  read(c, (uint32_t)from, (uint8_t *)out, (size_t)n);
  sim_runner_unlock(s->runner);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

static void read_flash(struct sim_chip *c, uint32_t from, uint8_t *out, size_t n) {
  sim_flash_read(&c->flash, from, out, n);
}

static void read_memory(struct sim_chip *c, uint32_t from, uint8_t *out, size_t n) {
  sim_bus_fetch(&c->bus, from, out, n);
}

/* chip:flash(offset, n) -> bytes, as they are in the cells */
static int l_flash(lua_State *L) {
  return push_bytes(L, 0x10000000, read_flash);
}

/* chip:memory(address, n) -> bytes, as a bus master sees them: what is no memory reads as zeros */
static int l_memory(lua_State *L) {
  return push_bytes(L, 0x1000000, read_memory);
}

/* chip:poke_flash(offset, bytes): sets cells, whatever was there */
static int l_poke_flash(lua_State *L) {
  struct lsim *s = check_sim(L);
  lua_Integer offset = luaL_checkinteger(L, 2);
  size_t n;
  const char *data = luaL_checklstring(L, 3, &n);
  luaL_argcheck(L, offset >= 0 && offset <= 0xFFFFFFFF, 2, "out of range");
  struct sim_chip *c = sim_runner_lock(s->runner);
  sim_flash_poke(&c->flash, (uint32_t)offset, (const uint8_t *)data, n);
  sim_runner_unlock(s->runner);
  return 0;
}

/* chip:efuse_word(block, word [, bits to burn]) -> word as burned | nil when there is no such word */
static int l_efuse_word(lua_State *L) {
  struct lsim *s = check_sim(L);
  lua_Integer block = luaL_checkinteger(L, 2), word = luaL_checkinteger(L, 3),
              bits = luaL_optinteger(L, 4, 0);
  luaL_argcheck(L, bits >= 0 && bits <= 0xFFFFFFFF, 4, "out of range");
  struct sim_chip *c = sim_runner_lock(s->runner);
  int there = block >= 0 && block < c->efuse.at.blocks && word >= 0 && word < c->efuse.at.block[block].words;
  uint32_t value = 0;
  if (there) {
    sim_efuse_set(&c->efuse, (int)block, (int)word, (uint32_t)bits);
    if (bits)
      c->efuse.save_failed |= sim_efuse_save(&c->efuse) != 0;
    value = c->efuse.cell[block][word];
  }
  sim_runner_unlock(s->runner);
  if (there)
    lua_pushinteger(L, value);
  else
    luaL_pushfail(L);
  return 1;
}

/* chip:reg(address [, value]) -> value, as the loader would read it */
static int l_reg(lua_State *L) {
  struct lsim *s = check_sim(L);
  lua_Integer addr = luaL_checkinteger(L, 2), value = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, addr >= 0 && addr <= 0xFFFFFFFF, 2, "out of range");
  luaL_argcheck(L, value >= 0 && value <= 0xFFFFFFFF, 3, "out of range");
  struct sim_chip *c = sim_runner_lock(s->runner);
  if (!lua_isnoneornil(L, 3))
    sim_bus_write(&c->bus, (uint32_t)addr, (uint32_t)value);
  uint32_t now = sim_bus_read(&c->bus, (uint32_t)addr);
  sim_runner_unlock(s->runner);
  lua_pushinteger(L, now);
  return 1;
}

/* chip:reset([mode = "download"|"flash"]): as the reset button does, with the boot button held or not */
static int l_reset(lua_State *L) {
  static const char *const modes[] = {"download", "flash", NULL};
  struct lsim *s = check_sim(L);
  int mode = luaL_checkoption(L, 2, "download", modes);
  struct sim_chip *c = sim_runner_lock(s->runner);
  sim_chip_reset(c, SIM_RST_POWER_ON, mode);
  sim_runner_unlock(s->runner);
  return 0;
}

static void set_count(lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

/* The cells of the serial NAND flash, as a page of data and one of spare bytes after the other. */
static struct sim_flash *nand_of(lua_State *L, struct sim_chip *c, struct lsim *s) {
  if (!c->nand.present) {
    sim_runner_unlock(s->runner);
    luaL_error(L, "the simulated chip has no NAND flash");
  }
  return &c->nand.cells;
}

/* chip:nand(offset, n) -> bytes */
static int l_nand(lua_State *L) {
  struct lsim *s = check_sim(L);
  lua_Integer offset = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, offset >= 0 && offset < SIM_NAND_CELLS, 2, "out of range");
  luaL_argcheck(L, n >= 0 && n <= SIM_NAND_CELLS - offset, 3, "out of range");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n > 0 ? (size_t)n : 1);
  struct sim_chip *c = sim_runner_lock(s->runner);
  sim_flash_read(nand_of(L, c, s), (uint32_t)offset, (uint8_t *)out, (size_t)n);
  sim_runner_unlock(s->runner);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* chip:poke_nand(offset, bytes): sets cells, whatever was there */
static int l_poke_nand(lua_State *L) {
  struct lsim *s = check_sim(L);
  lua_Integer offset = luaL_checkinteger(L, 2);
  size_t n;
  const char *data = luaL_checklstring(L, 3, &n);
  luaL_argcheck(L, offset >= 0 && offset < SIM_NAND_CELLS, 2, "out of range");
  struct sim_chip *c = sim_runner_lock(s->runner);
  sim_flash_poke(nand_of(L, c, s), (uint32_t)offset, (const uint8_t *)data, n);
  sim_runner_unlock(s->runner);
  return 0;
}

/* chip:nand_registers() -> A0, B0, C0 */
static int l_nand_registers(lua_State *L) {
  struct lsim *s = check_sim(L);
  struct sim_chip *c = sim_runner_lock(s->runner);
  lua_Integer r[3] = {c->nand.protect, c->nand.config, c->nand.status};
  sim_runner_unlock(s->runner);
  for (int i = 0; i < 3; i++)
    lua_pushinteger(L, r[i]);
  return 3;
}

/* chip:flash_use() -> { erases, erased, programs, programmed, first, last }: what was done to flash since the
 * last call; addresses from first up to last, without it */
static int l_flash_use(lua_State *L) {
  struct lsim *s = check_sim(L);
  struct sim_chip *c = sim_runner_lock(s->runner);
  struct sim_flash_use u = c->flash.use;
  memset(&c->flash.use, 0, sizeof c->flash.use);
  sim_runner_unlock(s->runner);
  lua_createtable(L, 0, 6);
  set_count(L, "erases", u.erases);
  set_count(L, "erased", u.erased);
  set_count(L, "programs", u.programs);
  set_count(L, "programmed", u.programmed);
  set_count(L, "first", u.first);
  set_count(L, "last", u.last);
  return 1;
}

/* chip:state() -> { mode, baud, host_baud, resets, connected, secure, entry, dtr, rts, burns, bytes } */
static int l_state(lua_State *L) {
  static const char *const names[] = {"reset", "download", "app", "hung"};
  struct lsim *s = check_sim(L);
  struct sim_chip *c = sim_runner_lock(s->runner);
  int state = c->state, dtr = c->dtr, rts = c->rts;
  double baud = sim_uart_baud(&c->uart), host = c->host_baud;
  lua_Integer resets = c->resets, entry = c->loader.entry, burns = c->efuse.burned,
              bytes = (lua_Integer)c->line.bytes;
  int connected = c->loader.connected, secure = c->loader.secure;
  sim_runner_unlock(s->runner);
  lua_createtable(L, 0, 10);
  lua_pushstring(L, names[state]);
  lua_setfield(L, -2, "mode");
  lua_pushnumber(L, baud);
  lua_setfield(L, -2, "baud");
  lua_pushnumber(L, host);
  lua_setfield(L, -2, "host_baud");
  lua_pushinteger(L, resets);
  lua_setfield(L, -2, "resets");
  lua_pushinteger(L, entry);
  lua_setfield(L, -2, "entry");
  lua_pushinteger(L, burns);
  lua_setfield(L, -2, "burns");
  lua_pushinteger(L, bytes);
  lua_setfield(L, -2, "bytes");
  lua_pushboolean(L, connected);
  lua_setfield(L, -2, "connected");
  lua_pushboolean(L, secure);
  lua_setfield(L, -2, "secure");
  lua_pushboolean(L, dtr);
  lua_setfield(L, -2, "dtr");
  lua_pushboolean(L, rts);
  lua_setfield(L, -2, "rts");
  return 1;
}

static void push_event(lua_State *L, const struct sim_event *e) {
  lua_createtable(L, 0, 8);
  lua_pushnumber(L, e->time);
  lua_setfield(L, -2, "time");
  lua_pushinteger(L, e->op);
  lua_setfield(L, -2, "op");
  lua_pushinteger(L, e->size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, e->a);
  lua_setfield(L, -2, "a");
  lua_pushinteger(L, e->b);
  lua_setfield(L, -2, "b");
  lua_pushinteger(L, e->value);
  lua_setfield(L, -2, "value");
  lua_pushboolean(L, !e->status);
  lua_setfield(L, -2, "ok");
  if (e->status) {
    lua_pushinteger(L, e->error);
    lua_setfield(L, -2, "error");
  }
}

/* chip:log() -> list of the commands served since the last call, how many were forgotten in between */
static int l_log(lua_State *L) {
  struct lsim *s = check_sim(L);
  size_t total, n = 0, lost = 0;
  struct sim_event *copy = lua_newuserdatauv(L, SIM_LOG * sizeof *copy, 0);
  struct sim_chip *c = sim_runner_lock(s->runner);
  total = c->log_count;
  n = total - s->log_seen;
  if (n > SIM_LOG) {
    lost = n - SIM_LOG;
    n = SIM_LOG;
  }
  for (size_t i = 0; i < n; i++)
    copy[i] = c->log[(total - n + i) % SIM_LOG];
  sim_runner_unlock(s->runner);
  s->log_seen = total;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    push_event(L, &copy[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_pushinteger(L, (lua_Integer)lost);
  return 2;
}

/* chip:fault() -> text: why the last program was stopped | nil */
static int l_fault(lua_State *L) {
  struct lsim *s = check_sim(L);
  char text[SIM_FAULT_TEXT];
  struct sim_chip *c = sim_runner_lock(s->runner);
  memcpy(text, c->core.fault, sizeof text);
  sim_runner_unlock(s->runner);
  if (text[0])
    lua_pushstring(L, text);
  else
    luaL_pushfail(L);
  return 1;
}

/* chip:cpu() -> { running, asleep, pc, instructions, second_core } */
static int l_cpu(lua_State *L) {
  struct lsim *s = check_sim(L);
  struct sim_chip *c = sim_runner_lock(s->runner);
  const struct sim_core *core = &c->core;
  int running = core->cpu != NULL, asleep = running && core->asleep >= 0, second = running && core->second;
  lua_Integer pc = running ? (lua_Integer)core->cpu->pc : 0;
  lua_Integer n = (lua_Integer)core->executed;
  sim_runner_unlock(s->runner);
  lua_createtable(L, 0, 5);
  lua_pushboolean(L, running);
  lua_setfield(L, -2, "running");
  lua_pushboolean(L, asleep);
  lua_setfield(L, -2, "asleep");
  lua_pushboolean(L, second);
  lua_setfield(L, -2, "second_core");
  lua_pushinteger(L, pc);
  lua_setfield(L, -2, "pc");
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "instructions");
  return 1;
}

/* chip:unmodelled() -> list of { address, reads, writes, value, pc }: registers of which nobody knows what
 * they do, that a chip which runs its ROM has touched */
static int l_unmodelled(lua_State *L) {
  struct lsim *s = check_sim(L);
  struct sim_unmodelled *copy = lua_newuserdatauv(L, SIM_UNMODELLED * sizeof *copy, 0);
  struct sim_chip *c = sim_runner_lock(s->runner);
  int n = c->machine.seen_n;
  memcpy(copy, c->machine.seen, sizeof *copy * (size_t)n);
  sim_runner_unlock(s->runner);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_createtable(L, 0, 5);
    const struct {
      const char *name;
      uint32_t value;
    } field[] = {{"address", copy[i].addr},
                 {"reads", copy[i].reads},
                 {"writes", copy[i].writes},
                 {"value", copy[i].value},
                 {"pc", copy[i].pc}};
    for (size_t k = 0; k < sizeof field / sizeof field[0]; k++) {
      lua_pushinteger(L, field[k].value);
      lua_setfield(L, -2, field[k].name);
    }
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* The registers, and those of the last exception. */
static void describe_core(struct cpu *cpu, char *text, size_t size) {
  static const char *const names[] = {"mcause", "mepc", "mtval", "exccause", "epc1", "excvaddr"};
  int n = cpu_describe(cpu, text, size);
  size_t at = n > 0 && (size_t)n < size ? (size_t)n : strlen(text);
  for (size_t i = 0; i < sizeof names / sizeof names[0] && at < size; i++) {
    int reg = cpu_find(cpu, names[i]);
    if (reg >= 0)
      at += (size_t)snprintf(text + at, size - at, "%s 0x%08x  ", names[i], (unsigned)cpu_get(cpu, reg));
  }
}

/* chip:describe() -> text: the processor's registers and the instruction it is at | nil */
static int l_describe(lua_State *L) {
  struct lsim *s = check_sim(L);
  char text[SIM_FAULT_TEXT] = "";
  struct sim_chip *c = sim_runner_lock(s->runner);
  if (c->core.cpu)
    describe_core(c->core.cpu, text, sizeof text);
  sim_runner_unlock(s->runner);
  if (text[0])
    lua_pushstring(L, text);
  else
    luaL_pushfail(L);
  return 1;
}

#define SNAPSHOT_TYPE "esp.sim.snapshot"
enum { EXCHANGE_MAX = 1 << 16 };

static int l_snapshot_free(lua_State *L) {
  struct sim_snapshot **s = luaL_checkudata(L, 1, SNAPSHOT_TYPE);
  sim_snapshot_free(*s);
  *s = NULL;
  return 0;
}

/* chip:save() -> snapshot | nil, message, code. From then on the chip runs in chip:exchange only. */
static int l_save(lua_State *L) {
  struct lsim *s = check_sim(L);
  char error[160];
  struct sim_snapshot **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, SNAPSHOT_TYPE);
  sim_runner_freeze(s->runner);
  struct sim_chip *c = sim_runner_lock(s->runner);
  *box = sim_snapshot_take(c, error, sizeof error);
  sim_runner_unlock(s->runner);
  return *box ? 1 : l_fail(L, "failed", "%s", error);
}

/* chip:load(snapshot): goes back to it */
static int l_load(lua_State *L) {
  struct lsim *s = check_sim(L);
  struct sim_snapshot **box = luaL_checkudata(L, 2, SNAPSHOT_TYPE);
  struct sim_chip *c = sim_runner_lock(s->runner);
  int ours = *box && sim_snapshot_of(*box, c), failed = ours && sim_snapshot_load(c, *box) != 0;
  sim_runner_unlock(s->runner);
  luaL_argcheck(L, ours, 2, "a snapshot of another chip");
  return failed ? luaL_error(L, "not enough memory") : 0;
}

/* chip:exchange(bytes [, seconds = 1]) -> what the chip sent, whether it waits for more, seconds that it took
 * by its own clock. Its time stands still but here. */
static int l_exchange(lua_State *L) {
  struct lsim *s = check_sim(L);
  size_t n, got;
  int idle;
  double took;
  const char *data = luaL_checklstring(L, 2, &n);
  lua_Number seconds = luaL_optnumber(L, 3, 1);
  luaL_argcheck(L, seconds > 0 && seconds <= 3600, 3, "out of range");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, EXCHANGE_MAX);
  sim_runner_freeze(s->runner);
  got = sim_runner_exchange(s->runner, (const uint8_t *)data, n, seconds, (uint8_t *)out, EXCHANGE_MAX, &idle,
                            &took);
  luaL_pushresultsize(&b, got);
  lua_pushboolean(L, idle);
  lua_pushnumber(L, took);
  return 3;
}

/* chip:listen(kind = "socket"|"rfc2217", address, port [, reset]) -> port | nil, message, code */
static int l_listen(lua_State *L) {
  static const char *const kinds[] = {"socket", "rfc2217", NULL};
  struct lsim *s = check_sim(L);
  int kind = luaL_checkoption(L, 2, NULL, kinds) ? SIM_HOST_RFC2217 : SIM_HOST_SOCKET;
  const char *address = luaL_checkstring(L, 3);
  lua_Integer port = luaL_checkinteger(L, 4);
  luaL_argcheck(L, port >= 0 && port <= 65535, 4, "port number out of range");
  int number = (int)port;
  char error[200];
  if (sim_runner_listen(s->runner, address, &number, kind, lua_toboolean(L, 5), error, sizeof error) != 0)
    return l_fail(L, "port_busy", "%s", error);
  lua_pushinteger(L, number);
  return 1;
}

/* chip:pty([reset]) -> path | nil, message, code */
static int l_pty(lua_State *L) {
  struct lsim *s = check_sim(L);
  char error[200], path[128];
  if (sim_runner_pty(s->runner, path, sizeof path, lua_toboolean(L, 2), error, sizeof error) != 0)
    return l_fail(L, "port_failed", "%s", error);
  lua_pushstring(L, path);
  return 1;
}

/* chip:close(): ports that are still open keep the chip going */
static int l_close(lua_State *L) {
  struct lsim *s = luaL_checkudata(L, 1, SIM_TYPE);
  struct sim_runner *r = s->runner;
  s->runner = NULL;
  if (r)
    sim_runner_drop(r);
  return 0;
}

static const luaL_Reg methods[] = {{"port", l_sim_port},
                                   {"flash", l_flash},
                                   {"poke_flash", l_poke_flash},
                                   {"flash_use", l_flash_use},
                                   {"nand", l_nand},
                                   {"poke_nand", l_poke_nand},
                                   {"nand_registers", l_nand_registers},
                                   {"efuse_word", l_efuse_word},
                                   {"reg", l_reg},
                                   {"memory", l_memory},
                                   {"reset", l_reset},
                                   {"state", l_state},
                                   {"log", l_log},
                                   {"listen", l_listen},
                                   {"pty", l_pty},
                                   {"fault", l_fault},
                                   {"cpu", l_cpu},
                                   {"close", l_close},
                                   {"unmodelled", l_unmodelled},
                                   {"save", l_save},
                                   {"load", l_load},
                                   {"exchange", l_exchange},
                                   {"describe", l_describe},
                                   {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"new", l_new}, {NULL, NULL}};

static const luaL_Reg snapshot_methods[] = {{NULL, NULL}};
static const luaL_Reg snapshot_meta[] = {
    {"__gc", l_snapshot_free}, {"__close", l_snapshot_free}, {NULL, NULL}};

int luaopen_esp_core_sim(lua_State *L) {
  l_newclass(L, SNAPSHOT_TYPE, snapshot_methods, snapshot_meta);
  l_newclass(L, SIM_TYPE, methods, metamethods);
  luaL_newlib(L, functions);
  luaL_getmetatable(L, SIM_TYPE);
  lua_getfield(L, -1, "__index"); /* sim.methods: lua/esp/sim.lua adds to them */
  lua_setfield(L, -3, "methods");
  lua_pop(L, 1);
  return 1;
}
