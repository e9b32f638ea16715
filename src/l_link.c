/* l_link.c - the Lua module "esp.core.link": checks, calls, converts. Everything that takes time is an operation of
 * link_ops.h or stream.h. */
#include "l_core.h"
#include "l_payload.h"
#include "l_port.h"
#include "l_task.h"
#include "link_ops.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#define LINK_TYPE "esp.link"
#define OP_TYPE "esp.link.op"

enum {
  SLOT_SELF = 1, /* the arguments are in 1 to 3 */
  SLOT_DATA,
  SLOT_OPTIONS,
  SLOT_PAYLOAD,
  SLOT_SINK,
  SLOT_PROGRESS,
  SLOT_ERASE,
  SLOT_OP, /* the operation */
  USER_PORT = 1, /* user values of a link */
  USER_TRACE = 2,
  KEPT = 4096 /* of what was received while SYNC had no answer */
};
static const double SECONDS_MAX = 1e6;

struct llink {
  struct link k;
  double traced; /* when the last packet was */
};

struct lop {
  union {
    struct link_op o;
    struct link_command command;
    struct link_sync sync;
    struct link_flush flush;
    struct link_receive receive;
    struct link_read read;
    struct link_send send;
    struct stream_write write;
    struct stream_read flash;
  };
  enum { KIND_SIMPLE, KIND_WRITE, KIND_READ } kind;
  int (*finish)(lua_State *L, struct lop *u); /* pushes the results */
  int events;                                 /* that the script is still to be told of */
  int telling;                                /* the one that it is being told of */
  uint8_t kept[];
};

/* --- objects ---------------------------------------------------------------------------------------------- */

static struct llink *check_link(lua_State *L) {
  struct llink *u = luaL_checkudata(L, SLOT_SELF, LINK_TYPE);
  luaL_argcheck(L, u->k.frame != NULL, SLOT_SELF, "the link is closed");
  return u;
}

/* A link that can be used now: its port is open and nothing is in flight. */
static struct link *check_idle(lua_State *L) {
  struct llink *u = check_link(L);
  lua_getiuservalue(L, SLOT_SELF, USER_PORT);
  struct port *p = l_checkport(L, -1);
  lua_pop(L, 1);
  if (u->k.busy)
    luaL_error(L, "the link is busy: another task waits for an answer on it");
  u->k.port = p;
  return &u->k;
}

/* link.new(port) -> k */
static int l_new(lua_State *L) {
  struct port *p = l_checkport(L, 1);
  struct llink *u = lua_newuserdatauv(L, sizeof *u, 2);
  memset(u, 0, sizeof *u);
  luaL_setmetatable(L, LINK_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, USER_PORT);
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

/* Ends an operation that nobody goes on with, and frees what it holds. */
static int op_close(lua_State *L) {
  struct lop *u = luaL_checkudata(L, 1, OP_TYPE);
  if (u->o.k && u->o.k->busy == &u->o)
    ev_cancel(&u->o.op);
  if (u->kind == KIND_WRITE) {
    stream_write_free(&u->write);
    payload_unref(u->write.pl);
    u->write.pl = NULL;
  }
  if (u->kind == KIND_READ)
    stream_read_free(&u->flash);
  return 0;
}

/* Arranges the arguments and puts a new operation at SLOT_OP, which is closed on every way out. */
static struct lop *new_op(lua_State *L, size_t kept) {
  lua_settop(L, SLOT_OP - 1);
  struct lop *u = lua_newuserdatauv(L, sizeof *u + kept, 1);
  memset(u, 0, sizeof *u);
  luaL_setmetatable(L, OP_TYPE);
  lua_pushvalue(L, SLOT_SELF);
  lua_setiuservalue(L, SLOT_OP, 1);
  lua_toclose(L, SLOT_OP);
  return u;
}

/* --- failures --------------------------------------------------------------------------------------------- */

/* Pushes nil, message, code, { op =, status =, error = }. */
static int push_failure(lua_State *L, struct lop *u) {
  struct link *k = u->o.k;
  const char *code = u->o.result == LINK_EPAYLOAD ? payload_code(k->payload_error) : link_code(k, u->o.result);
  l_fail(L, code, "%s", k->text);
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, (lua_Integer)k->op);
  lua_setfield(L, -2, "op");
  if (u->o.result == LINK_EROM) {
    lua_pushinteger(L, (lua_Integer)k->status);
    lua_setfield(L, -2, "status");
    lua_pushinteger(L, (lua_Integer)k->error);
    lua_setfield(L, -2, "error");
  }
  if (u->o.result == LINK_EPORT && k->port->hint[0]) {
    lua_pushstring(L, k->port->hint);
    lua_setfield(L, -2, "hint");
  }
  return 4;
}

static int finish_true(lua_State *L, struct lop *u) {
  if (u->o.result != LINK_OK)
    return push_failure(L, u);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- running an operation --------------------------------------------------------------------------------- */

static void set_int(lua_State *L, const char *name, lua_Integer v) {
  lua_pushinteger(L, v);
  lua_setfield(L, -2, name);
}

/* Pushes the table that describes a packet. */
static void push_trace(lua_State *L, struct llink *u, const struct link_trace *t) {
  struct frame_reply r;
  int packet = t->sent ? t->n >= FRAME_HEADER : frame_parse(&r, t->bytes, t->n);
  lua_createtable(L, 0, 8);
  lua_pushnumber(L, t->t);
  lua_setfield(L, -2, "t");
  lua_pushnumber(L, u->traced > 0 ? t->t - u->traced : 0);
  lua_setfield(L, -2, "dt");
  u->traced = t->t;
  lua_pushstring(L, t->sent ? "tx" : "rx");
  lua_setfield(L, -2, "dir");
  if (packet) {
    const char *name = frame_op_name(t->bytes[1]);
    set_int(L, "op", t->bytes[1]);
    lua_pushstring(L, name ? name : "unknown");
    lua_setfield(L, -2, "name");
    set_int(L, "len", (lua_Integer)get_le16(t->bytes + 2));
    set_int(L, t->sent ? "checksum" : "value", (lua_Integer)get_le32(t->bytes + 4));
  } else {
    set_int(L, "len", (lua_Integer)t->n);
  }
  size_t skip = packet ? FRAME_HEADER : 0;
  lua_pushlstring(L, (const char *)t->bytes + skip, t->n - skip);
  lua_setfield(L, -2, "data");
}

/* Pushes a function and its arguments for the next thing to be told. Returns the number of arguments, -1 when there is
 * nothing to tell. */
static int push_event(lua_State *L, struct lop *u) {
  struct llink *link = lua_touserdata(L, SLOT_SELF);
  struct link_trace *t = link_trace_next(&link->k);
  u->telling = 0;
  u->events &= ~LINK_TRACE; /* whether records wait is asked of the link */
  if (t) {
    lua_getiuservalue(L, SLOT_SELF, USER_TRACE);
    push_trace(L, link, t); /* out of memory here loses the record */
    free(t);
    u->telling = LINK_TRACE;
    return lua_isnil(L, -2) ? (lua_pop(L, 2), -1) : 1;
  }
  u->events &= ~LINK_TRACE;
  if (u->events & LINK_SINK) {
    u->events &= ~LINK_SINK;
    u->telling = LINK_SINK;
    lua_pushvalue(L, SLOT_SINK);
    lua_pushlstring(L, (const char *)u->flash.buf, u->flash.buf_len);
    return 1;
  }
  if (u->events & LINK_ERASE) {
    u->events &= ~LINK_ERASE;
    u->telling = LINK_ERASE;
    lua_pushvalue(L, SLOT_ERASE);
    lua_pushinteger(L, u->write.erase_address);
    lua_pushinteger(L, (lua_Integer)u->write.erase_bytes);
    return 2;
  }
  if (u->events & LINK_PROGRESS) {
    u->events &= ~LINK_PROGRESS;
    u->telling = LINK_PROGRESS;
    if (lua_isnil(L, SLOT_PROGRESS))
      return -1;
    lua_pushvalue(L, SLOT_PROGRESS);
    lua_pushinteger(L, (lua_Integer)(u->kind == KIND_WRITE ? u->write.done : u->flash.done));
    lua_pushinteger(L, (lua_Integer)(u->kind == KIND_WRITE ? u->write.total : u->flash.size));
    lua_pushinteger(L, (lua_Integer)(u->kind == KIND_WRITE ? u->write.wire : u->flash.done));
    return 3;
  }
  return -1;
}

/* Looks at the three results of a callback. Returns -1, or the number of results of the whole call. */
static int take_answer(lua_State *L, struct lop *u) {
  int refused = lua_isboolean(L, SLOT_OP + 1) && !lua_toboolean(L, SLOT_OP + 1);
  if (u->telling == LINK_ERASE) {
    int ok;
    lua_Integer n = lua_tointegerx(L, SLOT_OP + 1, &ok);
    if (!ok || n < 0 || n > 0xFFFFFFFF)
      return luaL_error(L, "erase_size: a number of bytes expected");
    u->write.erase_size = (uint64_t)n;
    return -1;
  }
  if (u->telling == LINK_SINK && lua_isnil(L, SLOT_OP + 1) && lua_isstring(L, SLOT_OP + 2))
    return 3; /* nil, message, code of whoever could not take the data */
  if (u->telling != LINK_TRACE && refused)
    return l_fail(L, "cancelled", "cancelled");
  return -1;
}

static int op_k(lua_State *L, int status, lua_KContext answered) {
  struct lop *u = lua_touserdata(L, SLOT_OP);
  (void)status;
  if (answered) {
    int n = take_answer(L, u);
    if (n >= 0)
      return n;
  } else {
    u->events = u->o.events;
    if (u->o.op.result == OP_DONE && u->kind != KIND_SIMPLE && u->o.result == LINK_OK)
      u->events |= LINK_PROGRESS; /* the end is always reported */
  }
  for (;;) {
    lua_settop(L, SLOT_OP);
    int args = push_event(L, u);
    if (args >= 0) {
      lua_callk(L, args, 3, 1, op_k);
      int n = take_answer(L, u);
      if (n >= 0)
        return n;
    } else if (!u->o.k->trace && !u->events) {
      break;
    }
  }
  if (u->o.op.result == OP_EVENT)
    return l_await(L, &u->o.op, 0, op_k);
  return u->finish(L, u);
}

static int run_op(lua_State *L, struct lop *u, int (*finish)(lua_State *, struct lop *)) {
  u->finish = finish;
  lua_settop(L, SLOT_OP);
  return l_await(L, &u->o.op, 0, op_k);
}

/* --- arguments -------------------------------------------------------------------------------------------- */

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

/* --- commands --------------------------------------------------------------------------------------------- */

static int finish_command(lua_State *L, struct lop *u) {
  if (u->o.result != LINK_OK)
    return push_failure(L, u);
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
  struct link *k = check_idle(L);
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
  struct lop *u = new_op(L, 0);
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
  return run_op(L, u, finish_command);
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
    return push_failure(L, u);
  if (!get_digest(u->command.x.reply.body, u->command.x.status.len, raw)) {
    u->o.result = link_fail(u->o.k, LINK_EREPLY, OP_FLASH_MD5, "SPI_FLASH_MD5: the answer is no digest");
    return push_failure(L, u);
  }
  lua_pushlstring(L, (const char *)raw, sizeof raw);
  return 1;
}

/* k:md5{ address=, size=, timeout=3, retries=0 } -> 16 bytes | nil, message, code, details */
static int l_md5(lua_State *L) {
  struct link *k = check_idle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  uint8_t words[16] = {0};
  put_le32(words, (uint32_t)l_field_int(L, 2, "address", 0, 0xFFFFFFFF, 0));
  put_le32(words + 4, (uint32_t)l_field_int(L, 2, "size", 0, 0xFFFFFFFF, 0));
  struct lop *u = new_op(L, sizeof words);
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
  return run_op(L, u, finish_md5);
}

static int finish_sync(lua_State *L, struct lop *u) {
  struct link *k = u->o.k;
  if (u->o.result == LINK_OK) {
    lua_pushboolean(L, 1);
    lua_pushboolean(L, u->sync.sync.stub);
    return 2;
  }
  push_failure(L, u);
  lua_pushlstring(L, (const char *)u->kept, k->keep_len);
  lua_setfield(L, -2, "received");
  return 4;
}

/* k:sync{ tries=5, timeout=0.1, pause=0.05 } -> true, stub | nil, message, code, { received = } */
static int l_sync(lua_State *L) {
  struct link *k = check_idle(L);
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_newtable(L);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  struct lop *u = new_op(L, KEPT);
  double timeout = l_field_num(L, 2, "timeout", 0.1);
  sync_begin(&u->sync.sync, (int)l_field_int(L, 2, "tries", 1, 10000, 5), timeout, timeout,
             l_field_num(L, 2, "pause", 0.05));
  link_sync_begin(&u->sync, k);
  k->keep = u->kept;
  k->keep_room = KEPT;
  k->keep_len = 0;
  return run_op(L, u, finish_sync);
}

/* k:flush() -> true: drops what was received */
static int l_flush(lua_State *L) {
  struct link *k = check_idle(L);
  struct lop *u = new_op(L, 0);
  link_flush_begin(&u->flush, k);
  return run_op(L, u, finish_true);
}

/* --- frames and bytes ------------------------------------------------------------------------------------- */

/* k:send(op [, data [, checksum [, seconds=10]]]) -> true: sends and does not wait for a reply. checksum: number or true */
static int l_send(lua_State *L) {
  struct link *k = check_idle(L);
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
  struct lop *u = new_op(L, 0);
  if (link_put(k, op, checksum, NULL, 0, data, n) != LINK_OK)
    return luaL_error(L, "not enough memory");
  link_send_begin(&u->send, k, seconds);
  return run_op(L, u, finish_true);
}

/* k:write_raw(bytes [, seconds=10]) -> true */
static int l_write_raw(lua_State *L) {
  struct link *k = check_idle(L);
  size_t n;
  const char *data = luaL_checklstring(L, 2, &n);
  double seconds = check_seconds(L, 3, 10);
  struct lop *u = new_op(L, 0);
  if (link_put_raw(k, (const uint8_t *)data, n) != LINK_OK)
    return luaL_error(L, "not enough memory");
  link_send_begin(&u->send, k, seconds);
  return run_op(L, u, finish_true);
}

static int finish_receive(lua_State *L, struct lop *u) {
  const struct link_receive *r = &u->receive;
  if (u->o.result != LINK_OK)
    return push_failure(L, u);
  lua_createtable(L, 0, 4);
  if (r->is_reply) {
    set_int(L, "op", r->reply.op);
    set_int(L, "value", r->reply.value);
    lua_pushlstring(L, (const char *)r->reply.body, r->reply.len);
    lua_setfield(L, -2, "body");
  }
  lua_pushlstring(L, (const char *)r->frame, r->n);
  lua_setfield(L, -2, "frame");
  return 1;
}

/* k:receive([seconds=3]) -> { op=, value=, body=, frame= } with only frame when it is no reply | nil, message, code */
static int l_receive(lua_State *L) {
  struct link *k = check_idle(L);
  double seconds = check_seconds(L, 2, 3);
  struct lop *u = new_op(L, 0);
  link_receive_begin(&u->receive, k, seconds);
  return run_op(L, u, finish_receive);
}

static int finish_read_raw(lua_State *L, struct lop *u) {
  if (u->o.result != LINK_OK)
    return push_failure(L, u);
  lua_pushlstring(L, (const char *)u->kept, u->read.n);
  return 1;
}

/* k:read_raw(max [, seconds=3]) -> bytes as they came, at least one | nil, message, code */
static int l_read_raw(lua_State *L) {
  struct link *k = check_idle(L);
  lua_Integer max = luaL_checkinteger(L, 2);
  luaL_argcheck(L, max > 0, 2, "a number of bytes expected");
  double seconds = check_seconds(L, 3, 3);
  if (max > LINK_READ)
    max = LINK_READ;
  struct lop *u = new_op(L, (size_t)max);
  link_read_begin(&u->read, k, u->kept, (size_t)max, seconds);
  return run_op(L, u, finish_read_raw);
}

/* --- streams ---------------------------------------------------------------------------------------------- */

static void push_write_details(lua_State *L, const struct stream_write *w) {
  set_int(L, "done", (lua_Integer)w->done);
  set_int(L, "total", (lua_Integer)w->total);
  set_int(L, "wire", (lua_Integer)w->wire);
  set_int(L, "retries", w->retries);
  set_int(L, "restarts", w->restarts);
  set_int(L, "faults", w->faults);
}

static int finish_write(lua_State *L, struct lop *u) {
  const struct stream_write *w = &u->write;
  if (u->o.result != LINK_OK) {
    push_failure(L, u);
    push_write_details(L, w);
    return 4;
  }
  lua_createtable(L, 0, 10);
  push_write_details(L, w);
  set_int(L, "bytes", (lua_Integer)w->total);
  lua_pushboolean(L, w->source != NULL);
  lua_setfield(L, -2, "compressed");
  lua_pushnumber(L, ev_now() - w->started);
  lua_setfield(L, -2, "seconds");
  lua_pushnumber(L, w->begin_seconds);
  lua_setfield(L, -2, "begin_seconds");
  return 1;
}

/* The operation for a stream whose payload is at SLOT_PAYLOAD and whose options are the table at 2. */
static struct stream_write *new_write(lua_State *L, struct link *k, enum stream_kind kind) {
  struct lop *u = new_op(L, 0);
  struct stream_write *w = &u->write;
  w->kind = kind;
  w->pl = payload_ref(l_checkpayload(L, SLOT_PAYLOAD));
  u->kind = KIND_WRITE;
  field_function(L, 2, "progress", SLOT_PROGRESS);
  w->address = (uint32_t)l_field_int(L, 2, "address", 0, 0xFFFFFFFF, 0);
  if (payload_size(w->pl) > 0x100000000ULL - w->address)
    luaL_error(L, "the data reach beyond 32-bit addresses");
  w->attempts = (int)l_field_int(L, 2, "attempts", 1, 1000, 3);
  w->window = (int)l_field_int(L, 2, "window", 1, 256, 1);
  w->lag = (int)l_field_int(L, 2, "lag", 0, 256, 0);
  w->encrypted = -1;
  w->erase_size = STREAM_ERASE_RULE;
  stream_write_begin(w, k);
  return w;
}

/* k:write_mem{ address=, data=, block=0x1800, timeout=3, attempts=3, progress= } -> { bytes=, ... } | nil, ... */
static int l_write_mem(lua_State *L) {
  struct link *k = check_idle(L);
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
  w->block = (uint32_t)l_field_int(L, 2, "block", 1, FRAME_DATA_MAX - 16, 0x1800);
  w->begin_timeout = w->block_timeout = l_field_num(L, 2, "timeout", 3);
  w->sync_timeout = 3;
  return run_op(L, lua_touserdata(L, SLOT_OP), finish_write);
}

/* k:write_flash{ payload=, address=, block=0x400, compress=false, window=1, attempts=3, lag=0, exact=false,
 *   begin={ encrypted=, erase_size= number or function(address, size) }, timeout={ begin=, block=, sync= },
 *   progress=function(done, total, wire) } -> { bytes=, wire=, ... } | nil, message, code, details */
static int l_write_flash(lua_State *L) {
  struct link *k = check_idle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, SLOT_OP - 1);
  lua_getfield(L, 2, "payload");
  lua_replace(L, SLOT_PAYLOAD);
  l_checkpayload(L, SLOT_PAYLOAD);
  struct stream_write *w = new_write(L, k, STREAM_FLASH);
  w->block = (uint32_t)l_field_int(L, 2, "block", 4, 0x8000, 0x400);
  w->compress = field_flag(L, 2, "compress");
  w->exact = field_flag(L, 2, "exact");
  w->data_op = (uint8_t)l_field_int(L, 2, "data_op", 0, 0xFF, 0);
  w->begin_timeout = 10;
  w->block_timeout = 3;
  w->sync_timeout = 5;
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
  if (lua_getfield(L, 2, "timeout") != LUA_TNIL) {
    luaL_argcheck(L, lua_istable(L, -1), 2, "field 'timeout': a table expected");
    int at = lua_gettop(L);
    w->begin_timeout = l_field_num(L, at, "begin", w->begin_timeout);
    w->block_timeout = l_field_num(L, at, "block", w->block_timeout);
    w->sync_timeout = l_field_num(L, at, "sync", w->sync_timeout);
  }
  return run_op(L, lua_touserdata(L, SLOT_OP), finish_write);
}

/* What takes the data when the caller gave no sink: keeps them in a list. */
static int collect(lua_State *L) {
  lua_settop(L, 1);
  lua_rawseti(L, lua_upvalueindex(1), (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)) + 1);
  return 0;
}

static int finish_read_flash(lua_State *L, struct lop *u) {
  if (u->o.result != LINK_OK) {
    push_failure(L, u);
    set_int(L, "done", (lua_Integer)u->flash.done);
    set_int(L, "retries", u->flash.retries);
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

/* k:read_flash_slow{ address=, size=, sink=function(bytes), progress=, timeout=3, attempts=3 }
 * -> bytes, or true when there is a sink | nil, message, code, details */
static int l_read_flash_slow(lua_State *L) {
  struct link *k = check_idle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, SLOT_OP - 1);
  if (!field_function(L, 2, "sink", SLOT_SINK)) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_replace(L, SLOT_ERASE);
    lua_pushcclosure(L, collect, 1);
    lua_replace(L, SLOT_SINK);
  }
  field_function(L, 2, "progress", SLOT_PROGRESS);
  struct lop *u = new_op(L, 0);
  struct stream_read *r = &u->flash;
  u->kind = KIND_READ;
  r->address = (uint32_t)l_field_int(L, 2, "address", 0, 0xFFFFFFFF, 0);
  r->size = (uint64_t)l_field_int(L, 2, "size", 0, 0x100000000LL - r->address, 0);
  r->attempts = (int)l_field_int(L, 2, "attempts", 1, 1000, 3);
  r->timeout = l_field_num(L, 2, "timeout", 3);
  r->sync_timeout = 5;
  stream_read_begin(r, k);
  return run_op(L, u, finish_read_flash);
}

/* --- the rest --------------------------------------------------------------------------------------------- */

/* k:set_trace(fn | nil): fn{ t=, dt=, dir=, op=, name=, len=, checksum= | value=, data= } for every packet */
static int l_set_trace(lua_State *L) {
  struct llink *u = check_link(L);
  if (!lua_isnoneornil(L, 2))
    luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  u->k.tracing = !lua_isnil(L, 2);
  lua_setiuservalue(L, SLOT_SELF, USER_TRACE);
  return 0;
}

/* k:set_status_bytes(2 | 4) */
static int l_set_status_bytes(lua_State *L) {
  check_link(L)->k.status_bytes = check_status_bytes(L, luaL_checkinteger(L, 2));
  return 0;
}

/* k:port() -> the port */
static int l_port(lua_State *L) {
  check_link(L);
  lua_getiuservalue(L, SLOT_SELF, USER_PORT);
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
                                   {"write_mem", l_write_mem},
                                   {"write_flash", l_write_flash},
                                   {"read_flash_slow", l_read_flash_slow},
                                   {"set_trace", l_set_trace},
                                   {"set_status_bytes", l_set_status_bytes},
                                   {"port", l_port},
                                   {"close", l_close},
                                   {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
static const luaL_Reg op_meta[] = {{"__gc", op_close}, {"__close", op_close}, {NULL, NULL}};
static const luaL_Reg none[] = {{NULL, NULL}};
static const luaL_Reg functions[] = {
    {"new", l_new}, {"op_name", l_op_name}, {"error_text", l_error_text}, {NULL, NULL}};

int luaopen_esp_core_link(lua_State *L) {
  l_newclass(L, OP_TYPE, none, op_meta);
  l_newclass(L, LINK_TYPE, methods, metamethods);
  luaL_newlib(L, functions);
  return 1;
}
