/* l_link_stream.c - methods of links that write and read flash and RAM. */
#include "l_link.h"
#include "l_core.h"
#include "l_payload.h"

/* Whether the field is a true value. */
static int field_flag(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  int set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return set;
}

/* Moves a field that is a function, or nil, to a slot. */
static int field_function(lua_State *L, int index, const char *name, int slot) {
  int type = lua_getfield(L, index, name);
  if (type != LUA_TNIL && type != LUA_TFUNCTION)
    luaL_error(L, "field '%s': a function expected", name);
  lua_replace(L, slot);
  return type == LUA_TFUNCTION;
}

/* --- streams ----------------------------------------------------------------------------------------------
 */

static void push_write_details(lua_State *L, const struct stream_write *w) {
  l_link_set_int(L, "done", (lua_Integer)w->done);
  l_link_set_int(L, "total", (lua_Integer)w->total);
  l_link_set_int(L, "wire", (lua_Integer)w->wire);
  l_link_set_int(L, "retries", w->retries);
  l_link_set_int(L, "restarts", w->restarts);
  l_link_set_int(L, "faults", w->faults);
}

static int finish_write(lua_State *L, struct lop *u) {
  const struct stream_write *w = &u->write;
  if (u->o.result != LINK_OK) {
    l_link_failure(L, u);
    push_write_details(L, w);
    return 4;
  }
  lua_createtable(L, 0, 10);
  push_write_details(L, w);
  l_link_set_int(L, "bytes", (lua_Integer)w->total);
  lua_pushboolean(L, w->from.packed != NULL);
  lua_setfield(L, -2, "compressed");
  lua_pushnumber(L, ev_now() - w->started);
  lua_setfield(L, -2, "seconds");
  lua_pushnumber(L, w->begin_seconds);
  lua_setfield(L, -2, "begin_seconds");
  return 1;
}

/* The operation for a stream whose payload is at SLOT_PAYLOAD and whose options are the table at 2. */
static struct stream_write *new_write(lua_State *L, struct link *k, enum stream_kind kind) {
  struct lop *u = l_link_op(L, 0);
  struct stream_write *w = &u->write;
  w->kind = kind;
  w->from.pl = payload_ref(l_checkpayload(L, SLOT_PAYLOAD));
  u->kind = KIND_WRITE;
  field_function(L, 2, "progress", SLOT_PROGRESS);
  w->address = (uint32_t)l_field_int(L, 2, "address", 0, 0xFFFFFFFF, 0);
  if (payload_size(w->from.pl) > 0x100000000ULL - w->address)
    luaL_error(L, "the data reach beyond 32-bit addresses");
  w->attempts = (int)l_field_int(L, 2, "attempts", 1, 1000, 3);
  w->window = (int)l_field_int(L, 2, "window", 1, 256, 1);
  w->lag = (int)l_field_int(L, 2, "lag", 0, 256, 0);
  w->encrypted = -1;
  w->erase_size = STREAM_ERASE_RULE;
  stream_write_begin(w, k);
  return w;
}

/* k:write_mem{ address=, data=, block=0x1800, timeout=3, attempts=3, progress= } -> { bytes=, ... } | nil,
 * ... */
int l_link_write_mem(lua_State *L) {
  struct link *k = l_link_idle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, SLOT_OP - 1);
  luaL_requiref(L, "esp.core.payload", luaopen_esp_core_payload, 0);
  lua_getfield(L, -1, "new");
  lua_newtable(L);
  lua_getfield(L, 2, "data");
  lua_setfield(L, -2, "data");
  lua_call(L, 1, 1);
  lua_replace(L, SLOT_PAYLOAD);
  struct stream_write *w = new_write(L, k, STREAM_RAM);
  w->from.block = (uint32_t)l_field_int(L, 2, "block", 1, FRAME_DATA_MAX - 16, 0x1800);
  w->begin_timeout = w->block_timeout = l_field_num(L, 2, "timeout", 3);
  w->sync_timeout = 3;
  return l_link_run(L, lua_touserdata(L, SLOT_OP), finish_write);
}

static int finish_ahead(lua_State *L, struct lop *u) {
  const struct stream_window *w = &u->ahead;
  if (u->o.result != LINK_OK)
    l_link_failure(L, u);
  else
    lua_createtable(L, 0, 10);
  l_link_set_int(L, "done", (lua_Integer)w->done);
  l_link_set_int(L, "total", (lua_Integer)w->total);
  l_link_set_int(L, "wire", (lua_Integer)w->wire);
  l_link_set_int(L, "retries", w->retries);
  l_link_set_int(L, "faults", w->faults);
  if (u->o.result != LINK_OK)
    return 4;
  l_link_set_int(L, "bytes", (lua_Integer)w->total);
  lua_pushboolean(L, w->from.packed != NULL);
  lua_setfield(L, -2, "compressed");
  lua_pushnumber(L, ev_now() - w->started);
  lua_setfield(L, -2, "seconds");
  lua_pushnumber(L, w->begin_seconds);
  lua_setfield(L, -2, "begin_seconds");
  return 1;
}

static void get_timeouts(lua_State *L, double *begin, double *block, double *sync) {
  *begin = 10;
  *block = 3;
  *sync = 5;
  if (lua_getfield(L, 2, "timeout") != LUA_TNIL) {
    luaL_argcheck(L, lua_istable(L, -1), 2, "field 'timeout': a table expected");
    int at = lua_gettop(L);
    *begin = l_field_num(L, at, "begin", *begin);
    *block = l_field_num(L, at, "block", *block);
    *sync = l_field_num(L, at, "sync", *sync);
  }
  lua_pop(L, 1);
}

/* k:write_flash with a credit, for our stub: the payload is at SLOT_PAYLOAD. */
static int write_ahead(lua_State *L, struct link *k, uint32_t credit) {
  struct lop *u = l_link_op(L, 0);
  struct stream_window *w = &u->ahead;
  w->from.pl = payload_ref(l_checkpayload(L, SLOT_PAYLOAD));
  u->kind = KIND_AHEAD;
  field_function(L, 2, "progress", SLOT_PROGRESS);
  w->address = (uint32_t)l_field_int(L, 2, "address", 0, 0xFFFFFFFF, 0);
  if (payload_size(w->from.pl) > 0x100000000ULL - w->address)
    luaL_error(L, "the data reach beyond 32-bit addresses");
  w->credit = credit;
  w->attempts = (int)l_field_int(L, 2, "attempts", 1, 1000, 3);
  w->from.block = (uint32_t)l_field_int(L, 2, "block", 4, 0x4000, 0x800);
  w->compress = field_flag(L, 2, "compress");
  get_timeouts(L, &w->begin_timeout, &w->block_timeout, &w->sync_timeout);
  stream_window_begin(w, k);
  return l_link_run(L, u, finish_ahead);
}

/* k:write_flash{ payload=, address=, block=0x400, compress=false, window=1, attempts=3, lag=0, exact=false,
 *   begin={ encrypted=, erase_size= number or function(address, size) }, timeout={ begin=, block=, sync= },
 *   progress=function(done, total, wire, begin_seconds) }
 * -> { bytes=, wire=, ... } | nil, message, code, details
 *
 * With credit=BYTES many blocks are on the way at a time, which our stub alone understands; of the rest then
 * count payload, address, block (0x800), compress, attempts, timeout and progress. */
int l_link_write_flash(lua_State *L) {
  struct link *k = l_link_idle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, SLOT_OP - 1);
  lua_getfield(L, 2, "payload");
  lua_replace(L, SLOT_PAYLOAD);
  l_checkpayload(L, SLOT_PAYLOAD);
  lua_Integer credit = l_field_int(L, 2, "credit", 0, 0x1000000, 0);
  if (credit > 0)
    return write_ahead(L, k, (uint32_t)credit);
  struct stream_write *w = new_write(L, k, STREAM_FLASH);
  w->from.block = (uint32_t)l_field_int(L, 2, "block", 4, 0x8000, 0x400);
  w->compress = field_flag(L, 2, "compress");
  w->exact = field_flag(L, 2, "exact");
  w->data_op = (uint8_t)l_field_int(L, 2, "data_op", 0, 0xFF, 0);
  get_timeouts(L, &w->begin_timeout, &w->block_timeout, &w->sync_timeout);
  if (lua_getfield(L, 2, "begin") != LUA_TNIL) {
    luaL_argcheck(L, lua_istable(L, -1), 2, "field 'begin': a table expected");
    int at = lua_gettop(L);
    if (lua_getfield(L, at, "encrypted") != LUA_TNIL)
      w->encrypted = lua_isinteger(L, -1) ? lua_tointeger(L, -1) != 0 : lua_toboolean(L, -1);
    if (lua_getfield(L, at, "erase_size") == LUA_TFUNCTION) {
      lua_replace(L, SLOT_ERASE);
      w->ask_erase = 1;
    } else {
      lua_Integer n = l_field_int(L, at, "erase_size", 0, 0xFFFFFFFF, -1);
      w->erase_size = n < 0 ? STREAM_ERASE_RULE : (uint64_t)n;
    }
  }
  return l_link_run(L, lua_touserdata(L, SLOT_OP), finish_write);
}

/* What takes the data when the caller gave no sink: keeps them in a list. */
static int collect(lua_State *L) {
  lua_settop(L, 1);
  lua_rawseti(L, lua_upvalueindex(1), (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)) + 1);
  return 0;
}

static int finish_read_flash(lua_State *L, struct lop *u) {
  int fast = u->kind == KIND_FAST;
  if (u->o.result != LINK_OK) {
    l_link_failure(L, u);
    l_link_set_int(L, "done", (lua_Integer)(fast ? u->fast.done : u->flash.done));
    l_link_set_int(L, "retries", fast ? u->fast.retries : u->flash.retries);
    return 4;
  }
  if (lua_isnil(L, SLOT_ERASE)) { /* the caller had a sink */
    lua_pushboolean(L, 1);
    return 1;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  lua_Integer n = (lua_Integer)lua_rawlen(L, SLOT_ERASE);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, SLOT_ERASE, i);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  return 1;
}

/* Puts what takes the data into SLOT_SINK, and the list that it fills, if any, into SLOT_ERASE. */
static void get_sink(lua_State *L) {
  if (field_function(L, 2, "sink", SLOT_SINK))
    return;
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_replace(L, SLOT_ERASE);
  lua_pushcclosure(L, collect, 1);
  lua_replace(L, SLOT_SINK);
}

static struct lop *new_read(lua_State *L, int kind) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, SLOT_OP - 1);
  get_sink(L);
  field_function(L, 2, "progress", SLOT_PROGRESS);
  struct lop *u = l_link_op(L, 0);
  u->kind = kind;
  return u;
}

/* k:read_flash_slow{ address=, size=, sink=function(bytes), progress=, timeout=3, attempts=3 }
 * -> bytes, or true when there is a sink | nil, message, code, details */
int l_link_read_flash_slow(lua_State *L) {
  struct link *k = l_link_idle(L);
  struct lop *u = new_read(L, KIND_READ);
  struct stream_read *r = &u->flash;
  r->address = (uint32_t)l_field_int(L, 2, "address", 0, 0xFFFFFFFF, 0);
  r->size = (uint64_t)l_field_int(L, 2, "size", 0, 0x100000000LL - r->address, 0);
  r->attempts = (int)l_field_int(L, 2, "attempts", 1, 1000, 3);
  r->timeout = l_field_num(L, 2, "timeout", 3);
  r->sync_timeout = 5;
  stream_read_begin(r, k);
  return l_link_run(L, u, finish_read_flash);
}

/* k:read_flash{ address=, size=, packed=false, packet=0x1000, window=64, sink=, progress=, timeout=3,
 * attempts=3 }
 * -> bytes, or true when there is a sink | nil, message, code, details
 * Through a stub. Packed: ours alone; what the sink gets is then right. Otherwise the data count only when
 * all has succeeded. */
int l_link_read_flash(lua_State *L) {
  struct link *k = l_link_idle(L);
  struct lop *u = new_read(L, KIND_FAST);
  struct stream_fast *r = &u->fast;
  r->packed = field_flag(L, 2, "packed");
  r->address = (uint32_t)l_field_int(L, 2, "address", 0, 0xFFFFFFFF, 0);
  r->size = (uint64_t)l_field_int(L, 2, "size", 0, 0x100000000LL - r->address, 0);
  r->packet = (uint32_t)l_field_int(L, 2, "packet", 1, 0x8000, 0x1000);
  r->window = (uint32_t)l_field_int(L, 2, "window", 1, 1024, 64);
  r->attempts = (int)l_field_int(L, 2, "attempts", 1, 1000, 3);
  r->timeout = l_field_num(L, 2, "timeout", 3);
  r->sync_timeout = 5;
  stream_fast_begin(r, k);
  return l_link_run(L, u, finish_read_flash);
}
