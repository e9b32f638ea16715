/* l_link.c - the Lua module "esp.core.link": checks, calls, converts. Everything that takes time is an
 * operation of link_ops.h or stream.h. */
#include "l_link.h"
#include "l_core.h"
#include "l_port.h"

#include <string.h>

enum { KEPT = 4096 }; /* of what was received while SYNC had no answer */
static const double SECONDS_MAX = 1e6;

/* link.new(port) -> k */
static int l_new(lua_State *L) {
  struct port *p = l_checkport(L, 1);
  struct llink *u = lua_newuserdatauv(L, sizeof *u, 2);
  memset(u, 0, sizeof *u);
  luaL_setmetatable(L, LINK_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, LINK_USER_PORT);
  if (link_init(&u->k, p) != LINK_OK) {
    link_free(&u->k);
    return luaL_error(L, "not enough memory");
  }
  return 1;
}

static int l_close(lua_State *L) {
  struct llink *u = luaL_checkudata(L, 1, LINK_TYPE);
  if (u->k.busy)
    ev_cancel(&u->k.busy->op);
  link_free(&u->k);
  return 0;
}

/* --- arguments --------------------------------------------------------------------------------------------
 */

static double check_seconds(lua_State *L, int arg, double def) {
  double s = luaL_optnumber(L, arg, def);
  luaL_argcheck(L, s >= 0 && s <= SECONDS_MAX, arg, "seconds out of range");
  return s;
}

static int check_status_bytes(lua_State *L, lua_Integer n) {
  if (n != 2 && n != 4)
    luaL_error(L, "status bytes: 2 or 4 expected");
  return (int)n;
}

static uint8_t check_op(lua_State *L, int arg) {
  lua_Integer op = luaL_checkinteger(L, arg);
  luaL_argcheck(L, op >= 0 && op <= 0xFF, arg, "an op from 0 to 255 expected");
  return (uint8_t)op;
}

static const uint8_t *check_data(lua_State *L, int arg, size_t *n) {
  const char *data = luaL_optlstring(L, arg, "", n);
  luaL_argcheck(L, *n <= FRAME_DATA_MAX, arg, "more than fits in a packet");
  return (const uint8_t *)data;
}

static int finish_true(lua_State *L, struct lop *u) {
  if (u->o.result != LINK_OK)
    return l_link_failure(L, u);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- commands ---------------------------------------------------------------------------------------------
 */

static int finish_command(lua_State *L, struct lop *u) {
  if (u->o.result != LINK_OK)
    return l_link_failure(L, u);
  lua_pushinteger(L, u->command.x.reply.value);
  lua_pushlstring(L, (const char *)u->command.x.reply.body, u->command.x.status.len);
  return 2;
}

/* What byte 16 of a block and those behind it add up to. */
static uint32_t block_checksum(const uint8_t *data, size_t n) {
  return n > 16 ? frame_checksum(data + 16, n - 16) : frame_checksum(data, 0);
}

/* k:command(op, data [, { timeout=3, checksum=number|true, status=2|4, reply=0, retries=0 }])
 * -> value, body | nil, message, code, details */
static int l_command(lua_State *L) {
  struct link *k = l_link_idle(L);
  /* k, op, data, options: op makes room */
  uint8_t op = check_op(L, 2);
  lua_remove(L, 2);
  lua_settop(L, SLOT_OPTIONS);
  size_t n;
  const uint8_t *data = check_data(L, SLOT_DATA, &n);
  if (lua_isnil(L, SLOT_OPTIONS)) {
    lua_newtable(L);
    lua_replace(L, SLOT_OPTIONS);
  }
  luaL_checktype(L, SLOT_OPTIONS, LUA_TTABLE);
  struct lop *u = l_link_op(L, 0);
  struct link_command *c = &u->command;
  c->op = op;
  c->data = data;
  c->len = n;
  c->timeout = l_field_num(L, SLOT_OPTIONS, "timeout", 3);
  c->retries = (int)l_field_int(L, SLOT_OPTIONS, "retries", 0, 100, 0);
  c->x.min = (size_t)l_field_int(L, SLOT_OPTIONS, "reply", 0, FRAME_DATA_MAX, 0);
  c->x.status_bytes = check_status_bytes(L, l_field_int(L, SLOT_OPTIONS, "status", 2, 4, k->status_bytes));
  if (lua_getfield(L, SLOT_OPTIONS, "checksum") == LUA_TBOOLEAN) {
    c->checksum = lua_toboolean(L, -1) ? block_checksum(data, n) : 0;
    lua_pop(L, 1);
  } else {
    lua_pop(L, 1);
    c->checksum = (uint32_t)l_field_int(L, SLOT_OPTIONS, "checksum", 0, 0xFFFFFFFF, 0);
  }
  link_command_begin(c, k);
  return l_link_run(L, u, finish_command);
}

static int hex_digit(int c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The digest of a reply: 16 bytes of a stub, 32 hex digits of a ROM. Returns 0 if it is neither. */
static int get_digest(const uint8_t *body, size_t n, uint8_t *raw) {
  if (n == 16) {
    memcpy(raw, body, n);
    return 1;
  }
  for (size_t i = 0; n == 32 && i < 16; i++) {
    int high = hex_digit(body[2 * i]), low = hex_digit(body[2 * i + 1]);
    if (high < 0 || low < 0)
      return 0;
    raw[i] = (uint8_t)(high << 4 | low);
  }
  return n == 32;
}

static int finish_md5(lua_State *L, struct lop *u) {
  uint8_t raw[16];
  if (u->o.result != LINK_OK)
    return l_link_failure(L, u);
  if (!get_digest(u->command.x.reply.body, u->command.x.status.len, raw)) {
    u->o.result = link_fail(u->o.k, LINK_EREPLY, OP_FLASH_MD5, "SPI_FLASH_MD5: the answer is no digest");
    return l_link_failure(L, u);
  }
  lua_pushlstring(L, (const char *)raw, sizeof raw);
  return 1;
}

/* k:md5{ address=, size=, timeout=3, retries=0 } -> 16 bytes | nil, message, code, details */
static int l_md5(lua_State *L) {
  struct link *k = l_link_idle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  uint8_t words[16] = {0};
  put_le32(words, (uint32_t)l_field_int(L, 2, "address", 0, 0xFFFFFFFF, 0));
  put_le32(words + 4, (uint32_t)l_field_int(L, 2, "size", 0, 0xFFFFFFFF, 0));
  struct lop *u = l_link_op(L, sizeof words);
  memcpy(u->kept, words, sizeof words);
  struct link_command *c = &u->command;
  c->op = OP_FLASH_MD5;
  c->data = u->kept;
  c->len = sizeof words;
  c->timeout = l_field_num(L, 2, "timeout", 3);
  c->retries = (int)l_field_int(L, 2, "retries", 0, 100, 0);
  c->x.status_bytes = k->status_bytes;
  c->x.min = 16;
  link_command_begin(c, k);
  return l_link_run(L, u, finish_md5);
}

static int finish_sync(lua_State *L, struct lop *u) {
  struct link *k = u->o.k;
  if (u->o.result == LINK_OK) {
    lua_pushboolean(L, 1);
    lua_pushboolean(L, u->sync.sync.stub);
    lua_pushinteger(L, (lua_Integer)u->sync.sync.status);
    return 3;
  }
  l_link_failure(L, u);
  lua_pushlstring(L, (const char *)u->kept, k->keep_len);
  lua_setfield(L, -2, "received");
  return 4;
}

/* k:sync{ tries=5, timeout=0.1, pause=0.05 } -> true, stub, bytes of the answers' status | nil, message, code,
 * { received = } */
static int l_sync(lua_State *L) {
  struct link *k = l_link_idle(L);
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_newtable(L);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  struct lop *u = l_link_op(L, KEPT);
  double timeout = l_field_num(L, 2, "timeout", 0.1);
  sync_begin(&u->sync.sync, (int)l_field_int(L, 2, "tries", 1, 10000, 5), timeout, timeout,
             l_field_num(L, 2, "pause", 0.05));
  link_sync_begin(&u->sync, k);
  k->keep = u->kept;
  k->keep_room = KEPT;
  k->keep_len = 0;
  return l_link_run(L, u, finish_sync);
}

/* k:flush() -> true: drops what was received */
static int l_flush(lua_State *L) {
  struct link *k = l_link_idle(L);
  struct lop *u = l_link_op(L, 0);
  link_flush_begin(&u->flush, k);
  return l_link_run(L, u, finish_true);
}

/* --- frames and bytes -------------------------------------------------------------------------------------
 */

/* k:send(op [, data [, checksum [, seconds=10]]]) -> true: sends and does not wait for a reply. checksum:
 * number or true */
static int l_send(lua_State *L) {
  struct link *k = l_link_idle(L);
  uint8_t op = check_op(L, 2);
  size_t n;
  const uint8_t *data = check_data(L, 3, &n);
  uint32_t checksum = 0;
  if (lua_isboolean(L, 4)) {
    checksum = lua_toboolean(L, 4) ? block_checksum(data, n) : 0;
  } else {
    lua_Integer given = luaL_optinteger(L, 4, 0);
    luaL_argcheck(L, given >= 0 && given <= 0xFFFFFFFF, 4, "32 bits expected");
    checksum = (uint32_t)given;
  }
  double seconds = check_seconds(L, 5, 10);
  struct lop *u = l_link_op(L, 0);
  if (link_put(k, op, checksum, NULL, 0, data, n) != LINK_OK)
    return luaL_error(L, "not enough memory");
  link_send_begin(&u->send, k, seconds);
  return l_link_run(L, u, finish_true);
}

/* k:write_raw(bytes [, seconds=10]) -> true */
static int l_write_raw(lua_State *L) {
  struct link *k = l_link_idle(L);
  size_t n;
  const char *data = luaL_checklstring(L, 2, &n);
  double seconds = check_seconds(L, 3, 10);
  struct lop *u = l_link_op(L, 0);
  if (link_put_raw(k, (const uint8_t *)data, n) != LINK_OK)
    return luaL_error(L, "not enough memory");
  link_send_begin(&u->send, k, seconds);
  return l_link_run(L, u, finish_true);
}

static int finish_receive(lua_State *L, struct lop *u) {
  const struct link_receive *r = &u->receive;
  if (u->o.result != LINK_OK)
    return l_link_failure(L, u);
  lua_createtable(L, 0, 4);
  if (r->is_reply) {
    l_link_set_int(L, "op", r->reply.op);
    l_link_set_int(L, "value", r->reply.value);
    lua_pushlstring(L, (const char *)r->reply.body, r->reply.len);
    lua_setfield(L, -2, "body");
  }
  lua_pushlstring(L, (const char *)r->frame, r->n);
  lua_setfield(L, -2, "frame");
  return 1;
}

/* k:receive([seconds=3]) -> { op=, value=, body=, frame= } with only frame when it is no reply | nil,
 * message, code */
static int l_receive(lua_State *L) {
  struct link *k = l_link_idle(L);
  double seconds = check_seconds(L, 2, 3);
  struct lop *u = l_link_op(L, 0);
  link_receive_begin(&u->receive, k, seconds);
  return l_link_run(L, u, finish_receive);
}

static int finish_read_raw(lua_State *L, struct lop *u) {
  if (u->o.result != LINK_OK)
    return l_link_failure(L, u);
  lua_pushlstring(L, (const char *)u->kept, u->read.n);
  return 1;
}

/* k:read_raw(max [, seconds=3]) -> bytes as they came, at least one | nil, message, code */
static int l_read_raw(lua_State *L) {
  struct link *k = l_link_idle(L);
  lua_Integer max = luaL_checkinteger(L, 2);
  luaL_argcheck(L, max > 0, 2, "a number of bytes expected");
  double seconds = check_seconds(L, 3, 3);
  if (max > LINK_READ)
    max = LINK_READ;
  struct lop *u = l_link_op(L, (size_t)max);
  link_read_begin(&u->read, k, u->kept, (size_t)max, seconds);
  return l_link_run(L, u, finish_read_raw);
}

/* --- the rest ---------------------------------------------------------------------------------------------
 */

/* k:set_trace(fn | nil): fn{ t=, dt=, dir=, op=, name=, len=, checksum= | value=, data= } for every packet */
static int l_set_trace(lua_State *L) {
  struct llink *u = l_link_check(L);
  if (!lua_isnoneornil(L, 2))
    luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  u->k.tracing = !lua_isnil(L, 2);
  lua_setiuservalue(L, SLOT_SELF, LINK_USER_TRACE);
  return 0;
}

/* k:set_guard(boolean): whether requests carry their CRC-32, which a stub of ours looks at */
static int l_set_guard(lua_State *L) {
  struct link *k = l_link_idle(L);
  k->guard = lua_toboolean(L, 2);
  return 0;
}

/* k:set_status_bytes(2 | 4) */
static int l_set_status_bytes(lua_State *L) {
  l_link_check(L)->k.status_bytes = check_status_bytes(L, luaL_checkinteger(L, 2));
  return 0;
}

/* k:set_write_timeout(seconds): how long the port may take nothing; less than a command's own timeout does
 * nothing */
static int l_set_write_timeout(lua_State *L) {
  l_link_check(L)->k.write_timeout = check_seconds(L, 2, 0);
  return 0;
}

/* k:port() -> the port */
static int l_port(lua_State *L) {
  l_link_check(L);
  lua_getiuservalue(L, SLOT_SELF, LINK_USER_PORT);
  return 1;
}

/* link.op_name(op) -> "FLASH_BEGIN" | nil */
static int l_op_name(lua_State *L) {
  lua_pushstring(L, frame_op_name(check_op(L, 1)));
  return 1;
}

/* link.error_text(error) -> words for an error byte */
static int l_error_text(lua_State *L) {
  lua_pushstring(L, frame_error_text(check_op(L, 1)));
  return 1;
}

static const luaL_Reg methods[] = {{"command", l_command},
                                   {"send", l_send},
                                   {"receive", l_receive},
                                   {"write_raw", l_write_raw},
                                   {"read_raw", l_read_raw},
                                   {"flush", l_flush},
                                   {"sync", l_sync},
                                   {"md5", l_md5},
                                   {"write_mem", l_link_write_mem},
                                   {"write_flash", l_link_write_flash},
                                   {"read_flash_slow", l_link_read_flash_slow},
                                   {"read_flash", l_link_read_flash},
                                   {"set_trace", l_set_trace},
                                   {"set_status_bytes", l_set_status_bytes},
                                   {"set_guard", l_set_guard},
                                   {"set_write_timeout", l_set_write_timeout},
                                   {"port", l_port},
                                   {"close", l_close},
                                   {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
static const luaL_Reg functions[] = {
    {"new", l_new}, {"op_name", l_op_name}, {"error_text", l_error_text}, {NULL, NULL}};

int luaopen_esp_core_link(lua_State *L) {
  l_link_open_ops(L);
  l_newclass(L, LINK_TYPE, methods, metamethods);
  luaL_newlib(L, functions);
  return 1;
}
