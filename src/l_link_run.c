/* l_link_run.c - running operations on links: events on the way, results, failures. */
#include "l_link.h"
#include "l_core.h"
#include "l_payload.h"
#include "l_port.h"
#include "l_task.h"

#include <stdlib.h>
#include <string.h>

/* --- objects ----------------------------------------------------------------------------------------------
 */

struct llink *l_link_check(lua_State *L) {
  struct llink *u = luaL_checkudata(L, SLOT_SELF, LINK_TYPE);
  luaL_argcheck(L, u->k.frame != NULL, SLOT_SELF, "the link is closed");
  return u;
}

struct link *l_link_idle(lua_State *L) {
  struct llink *u = l_link_check(L);
  lua_getiuservalue(L, SLOT_SELF, LINK_USER_PORT);
  struct port *p = l_checkport(L, -1);
  lua_pop(L, 1);
  if (u->k.busy)
    luaL_error(L, "the link is busy: another task waits for an answer on it");
  u->k.port = p;
  return &u->k;
}

/* Ends an operation that nobody goes on with, and frees what it holds. */
static int op_close(lua_State *L) {
  struct lop *u = luaL_checkudata(L, 1, LINK_OP_TYPE);
  if (u->o.k && u->o.k->busy == &u->o)
    ev_cancel(&u->o.op);
  if (u->kind == KIND_WRITE) {
    stream_write_free(&u->write);
    payload_unref(u->write.from.pl);
    u->write.from.pl = NULL;
  }
  if (u->kind == KIND_AHEAD) {
    stream_window_free(&u->ahead);
    payload_unref(u->ahead.from.pl);
    u->ahead.from.pl = NULL;
  }
  if (u->kind == KIND_READ)
    stream_read_free(&u->flash);
  if (u->kind == KIND_FAST)
    stream_fast_free(&u->fast);
  return 0;
}

struct lop *l_link_op(lua_State *L, size_t kept) {
  lua_settop(L, SLOT_OP - 1);
  struct lop *u = lua_newuserdatauv(L, sizeof *u + kept, 1);
  memset(u, 0, sizeof *u);
  luaL_setmetatable(L, LINK_OP_TYPE);
  lua_pushvalue(L, SLOT_SELF);
  lua_setiuservalue(L, SLOT_OP, 1);
  lua_toclose(L, SLOT_OP);
  return u;
}

/* --- failures ---------------------------------------------------------------------------------------------
 */

int l_link_failure(lua_State *L, struct lop *u) {
  struct link *k = u->o.k;
  const char *code =
      u->o.result == LINK_EPAYLOAD ? payload_code(k->payload_error) : link_code(k, u->o.result);
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

/* --- running an operation ---------------------------------------------------------------------------------
 */

void l_link_set_int(lua_State *L, const char *name, lua_Integer v) {
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
    l_link_set_int(L, "op", t->bytes[1]);
    lua_pushstring(L, name ? name : "unknown");
    lua_setfield(L, -2, "name");
    l_link_set_int(L, "len", (lua_Integer)get_le16(t->bytes + 2));
    l_link_set_int(L, t->sent ? "checksum" : "value", (lua_Integer)get_le32(t->bytes + 4));
  } else {
    l_link_set_int(L, "len", (lua_Integer)t->n);
  }
  size_t skip = packet ? FRAME_HEADER : 0;
  lua_pushlstring(L, (const char *)t->bytes + skip, t->n - skip);
  lua_setfield(L, -2, "data");
}

/* Pushes done, total, bytes on the line; of a write also the seconds that beginning took. */
static int push_progress(lua_State *L, const struct lop *u) {
  uint64_t v[3] = {0, 0, 0};
  if (u->kind == KIND_WRITE)
    v[0] = u->write.done, v[1] = u->write.total, v[2] = u->write.wire;
  else if (u->kind == KIND_AHEAD)
    v[0] = u->ahead.done, v[1] = u->ahead.total, v[2] = u->ahead.wire;
  else if (u->kind == KIND_READ)
    v[0] = u->flash.done, v[1] = u->flash.size, v[2] = u->flash.done;
  else
    v[0] = u->fast.done, v[1] = u->fast.size, v[2] = u->fast.received;
  for (int i = 0; i < 3; i++)
    lua_pushinteger(L, (lua_Integer)v[i]);
  if (u->kind != KIND_WRITE)
    return 3;
  lua_pushnumber(L, u->write.begin_seconds);
  return 4;
}

/* Pushes a function and its arguments for the next thing to be told. Returns the number of arguments, -1 when
 * there is nothing to tell. */
static int push_event(lua_State *L, struct lop *u) {
  struct llink *link = lua_touserdata(L, SLOT_SELF);
  struct link_trace *t = link_trace_next(&link->k);
  u->telling = 0;
  u->events &= ~LINK_TRACE; /* whether records wait is asked of the link */
  if (t) {
    lua_getiuservalue(L, SLOT_SELF, LINK_USER_TRACE);
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
    if (u->kind == KIND_FAST)
      lua_pushlstring(L, (const char *)u->fast.buf, u->fast.buf_len);
    else
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
    return push_progress(L, u);
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

int l_link_run(lua_State *L, struct lop *u, int (*finish)(lua_State *, struct lop *)) {
  u->finish = finish;
  lua_settop(L, SLOT_OP);
  return l_await(L, &u->o.op, 0, op_k);
}

void l_link_open_ops(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", op_close}, {"__close", op_close}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  l_newclass(L, LINK_OP_TYPE, none, meta);
}
