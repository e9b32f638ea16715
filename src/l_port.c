/* l_port.c - the Lua module "esp.core.port". */
#include "l_core.h"
#include "l_port.h"
#include "l_task.h"
#include "port_list.h"

#include <errno.h>
#include <string.h>

#define LIST_TYPE "esp.port.list"

enum { USER_REQUEST = 1, USER_TAP, USER_VALUES = 2 }; /* uservalues of a port object */

struct lport {
  struct port *port;       /* NULL: not made yet */
  struct port_request *rq; /* the last request, in USER_REQUEST */
  int closed, tapped;
};

/* --- objects -----------------------------------------------------------------------------------------------
 */

struct port **l_newport(lua_State *L) {
  struct lport *u = lua_newuserdatauv(L, sizeof *u, USER_VALUES);
  memset(u, 0, sizeof *u); /* closed until opened, so __gc is always safe */
  luaL_setmetatable(L, PORT_TYPE);
  return &u->port;
}

static struct lport *check_port(lua_State *L) {
  struct lport *u = luaL_checkudata(L, 1, PORT_TYPE);
  if (!u->port || u->closed)
    luaL_error(L, "the port is closed");
  return u;
}

struct port *l_checkport(lua_State *L, int index) {
  struct lport *u = luaL_checkudata(L, index, PORT_TYPE);
  if (!u->port || u->closed)
    luaL_error(L, "the port is closed");
  return u->port;
}

int l_portfail(lua_State *L, struct port *p, int err) {
  const char *text = p->error[0] ? p->error : port_strerror(err);
  l_fail(L, port_code(err), "%s", text);
  lua_createtable(L, 0, 1);
  if (p->hint[0]) {
    lua_pushstring(L, p->hint);
    lua_setfield(L, -2, "hint");
  }
  return 4;
}

/* Wakes those who wait for the port's descriptor, which is about to be closed. */
static void forget(lua_State *L, struct port *p) {
  struct ev *loop = l_loop(L);
  if (loop && p->fd >= 0)
    ev_forget(loop, p->fd);
}

/* p:close(). Others who wait for the port are told that it is closed. */
static int l_close(lua_State *L) {
  struct lport *u = luaL_checkudata(L, 1, PORT_TYPE);
  if (u->port && !u->closed) {
    u->closed = 1;
    forget(L, u->port);
    port_close(u->port);
  }
  return 0;
}

static int l_gc(lua_State *L) {
  struct lport *u = luaL_checkudata(L, 1, PORT_TYPE);
  l_close(L);
  port_free(u->port);
  u->port = NULL;
  return 0;
}

static int l_tostring(lua_State *L) {
  struct lport *u = luaL_checkudata(L, 1, PORT_TYPE);
  lua_pushfstring(L, "port (%s)", u->port && !u->closed ? u->port->url : "closed");
  return 1;
}

/* --- requests
 * ------------------------------------------------------------------------------------------------ */

/* Runs a request of the port u, whose object is at index 1, then k with the request on the top. */
static int request(lua_State *L, struct lport *u, int what, int a, int b, lua_KFunction k) {
  if (u->rq && u->rq->op.loop)
    return luaL_error(L, "busy: another task waits for this port");
  struct port_request *rq = lua_newuserdatauv(L, sizeof *rq, 0);
  port_request(rq, u->port, what, a, b);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, USER_REQUEST);
  u->rq = rq;
  return l_await(L, &rq->op, 0, k);
}

static int request_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct port_request *rq = lua_touserdata(L, -1);
  if (rq->result < 0)
    return l_portfail(L, rq->port, rq->result);
  lua_pushboolean(L, 1);
  return 1;
}

static int milliseconds(lua_State *L, int index, double def) {
  double s = luaL_optnumber(L, index, def);
  luaL_argcheck(L, s >= 0 && s <= 86400, index, "seconds expected");
  return (int)(s * 1e3);
}

static int open_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct lport *u = lua_touserdata(L, 1);
  struct port_request *rq = lua_touserdata(L, -1);
  if (rq->result < 0) {
    int n = l_portfail(L, rq->port, rq->result);
    u->closed = 1;
    port_close(u->port);
    return n;
  }
  lua_settop(L, 1);
  return 1;
}

/* port.open(url [, { baud = 115200, hangup = false, timeout = 5 }]) -> port | nil, message, code, { hint = }
 * hangup: closing drops DTR and RTS. timeout: seconds for a connection. */
static int l_open(lua_State *L) {
  char error[PORT_ERROR_SIZE];
  const char *url = luaL_checkstring(L, 1);
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, 1);
    lua_newtable(L);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  int baud = (int)l_field_int(L, 2, "baud", 1, PORT_BAUD_MAX, 115200);
  double seconds = l_field_num(L, 2, "timeout", 0);
  lua_getfield(L, 2, "hangup");
  int hangup = lua_toboolean(L, -1);
  struct port **slot = l_newport(L);
  lua_insert(L, 1);
  int err = port_new(slot, url, baud, error);
  if (err)
    return l_fail(L, port_code(err), "%s", error);
  (*slot)->hangup = hangup;
  lua_settop(L, 1);
  return request(L, (struct lport *)slot, PORT_OPEN, seconds < 86400 ? (int)(seconds * 1e3) : 86400000, 0,
                 open_k);
}

/* p:reopen([seconds=5]) -> true | nil, message, code. Closes, and opens the same device again, for which it
 * may wait. */
static int l_reopen(lua_State *L) {
  struct lport *u = check_port(L);
  int ms = milliseconds(L, 2, 5);
  forget(L, u->port);
  return request(L, u, PORT_REOPEN, ms, 0, request_k);
}

/* p:baud() -> bits per second; p:baud(n) -> true | nil, message, code */
static int l_baud(lua_State *L) {
  struct lport *u = check_port(L);
  if (lua_isnoneornil(L, 2)) {
    lua_pushinteger(L, u->port->baud);
    return 1;
  }
  lua_Integer baud = luaL_checkinteger(L, 2);
  luaL_argcheck(L, baud > 0 && baud <= PORT_BAUD_MAX, 2, "baud rate out of range");
  return request(L, u, PORT_BAUD, (int)baud, 0, request_k);
}

static int line_arg(lua_State *L, int index) {
  if (lua_isnoneornil(L, index))
    return -1;
  luaL_checktype(L, index, LUA_TBOOLEAN);
  return lua_toboolean(L, index);
}

/* p:lines(dtr, rts) -> true | nil, message, code ("unsupported"). Booleans, true is asserted; nil leaves it.
 * Both change at the same time. */
static int l_lines(lua_State *L) {
  struct lport *u = check_port(L);
  int dtr = line_arg(L, 2), rts = line_arg(L, 3);
  return request(L, u, PORT_LINES, dtr, rts, request_k);
}

/* p:hold_break(on) -> true | nil, message, code */
static int l_break(lua_State *L) {
  struct lport *u = check_port(L);
  return request(L, u, PORT_BREAK, lua_toboolean(L, 2), 0, request_k);
}

/* p:flush() -> true | nil, message, code. Drops what was received. */
static int l_flush(lua_State *L) {
  return request(L, check_port(L), PORT_FLUSH, 0, 0, request_k);
}

/* p:drain([seconds=10]) -> true | nil, message, code. Until what was written has left. */
static int l_drain(lua_State *L) {
  struct lport *u = check_port(L);
  return request(L, u, PORT_DRAIN, milliseconds(L, 2, 10), 0, request_k);
}

static int modem_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct port_request *rq = lua_touserdata(L, -1);
  if (rq->result < 0)
    return l_portfail(L, rq->port, rq->result);
  static const char *const names[] = {"cts", "dsr", "ri", "dcd"};
  lua_createtable(L, 0, 4);
  for (int i = 0; i < 4; i++) {
    lua_pushboolean(L, rq->result >> i & 1);
    lua_setfield(L, -2, names[i]);
  }
  return 1;
}

/* p:modem() -> { cts=, dsr=, ri=, dcd= } | nil, message, code */
static int l_modem(lua_State *L) {
  return request(L, check_port(L), PORT_MODEM, 0, 0, modem_k);
}

/* --- bytes
 * ------------------------------------------------------------------------------------------------------ */

/* A wait of read or write. */
struct transfer {
  struct ev_op op;
  struct port *port;
  const char *data;
  size_t done, size;
  int result;
};

/* Shows bytes to the script's tap function. */
static void tap(lua_State *L, struct lport *u, const char *direction, const char *bytes, size_t n) {
  if (!u->tapped || n == 0)
    return;
  lua_getiuservalue(L, 1, USER_TAP);
  lua_pushstring(L, direction);
  lua_pushlstring(L, bytes, n);
  lua_call(L, 2, 0);
}

/* Reads what is there. Returns the number of results on the stack, 0 when there is nothing. */
static int read_now(lua_State *L, struct lport *u, size_t max) {
  enum { CHUNK = 65536 };
  luaL_Buffer b;
  max = max < CHUNK ? max : CHUNK;
  int n = port_read(u->port, luaL_buffinitsize(L, &b, max), max);
  if (n < 0)
    return l_portfail(L, u->port, n);
  if (n == 0) {
    luaL_pushresultsize(&b, 0);
    lua_pop(L, 1);
    return 0;
  }
  luaL_pushresultsize(&b, (size_t)n);
  tap(L, u, "rx", lua_tostring(L, -1), (size_t)n);
  return 1;
}

static int read_step(struct ev_op *op, int why) {
  struct transfer *t = (struct transfer *)op;
  op->fd = t->port->fd;
  t->result = why == EV_TIMEOUT ? PORT_ETIMEOUT : PORT_OK;
  return why == EV_START && op->fd >= 0 ? OP_WAIT : OP_DONE;
}

static int read_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  struct transfer *t = lua_touserdata(L, -1);
  struct lport *u = check_port(L); /* raises if another task has closed it */
  int n = read_now(L, u, (size_t)ctx);
  if (n)
    return n;
  if (t->result == PORT_ETIMEOUT)
    return l_fail(L, "timeout", "%s: timeout: nothing received", u->port->url);
  return l_await(L, &t->op, ctx, read_k); /* something came that was no data */
}

static struct transfer *new_transfer(lua_State *L, struct port *p, double seconds) {
  struct transfer *t = lua_newuserdatauv(L, sizeof *t, 0);
  *t = (struct transfer){.op = {.deadline = ev_now() + seconds}, .port = p};
  return t;
}

static double seconds_arg(lua_State *L, int index, double def) {
  double s = luaL_optnumber(L, index, def);
  luaL_argcheck(L, s >= 0 && s <= 1e9, index, "seconds expected");
  return s;
}

/* p:read(max [, seconds=10]) -> 1..max bytes as soon as there are any | nil, message, code. 0 s looks without
 * waiting. */
static int l_read(lua_State *L) {
  struct lport *u = check_port(L);
  lua_Integer max = luaL_checkinteger(L, 2);
  luaL_argcheck(L, max > 0 && max <= 0x7FFFFFFF, 2, "number of bytes expected");
  double seconds = seconds_arg(L, 3, 10);
  int n = read_now(L, u, (size_t)max);
  if (n)
    return n;
  struct transfer *t = new_transfer(L, u->port, seconds);
  t->op.step = read_step;
  t->op.events = EV_READ;
  return l_await(L, &t->op, (lua_KContext)max, read_k);
}

static int write_step(struct ev_op *op, int why) {
  struct transfer *t = (struct transfer *)op;
  while (t->done < t->size) {
    int n = port_write(t->port, t->data + t->done, t->size - t->done);
    if (n < 0) {
      t->result = n;
      return OP_DONE;
    }
    t->done += (size_t)n;
    if (n > 0)
      continue;
    if (why == EV_TIMEOUT) {
      t->result = PORT_ETIMEOUT;
      return OP_DONE;
    }
    op->fd = t->port->fd;
    op->events = EV_WRITE;
    return OP_WAIT;
  }
  return OP_DONE;
}

static int write_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct transfer *t = lua_touserdata(L, -1);
  struct lport *u = check_port(L);
  tap(L, u, "tx", t->data, t->done);
  if (t->result == PORT_ETIMEOUT)
    return l_fail(L, "timeout", "%s: timeout: %d of %d bytes could be written", u->port->url, (int)t->done,
                  (int)t->size);
  if (t->result < 0)
    return l_portfail(L, u->port, t->result);
  lua_pushboolean(L, 1);
  return 1;
}

/* p:write(bytes [, seconds=10]) -> true | nil, message, code. The system has taken all bytes then. */
static int l_write(lua_State *L) {
  struct lport *u = check_port(L);
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, size <= 0x7FFFFFFF, 2, "too long");
  struct transfer *t = new_transfer(L, u->port, seconds_arg(L, 3, 10));
  t->op.step = write_step;
  t->data = data;
  t->size = size;
  return l_await(L, &t->op, 0, write_k);
}

/* p:set_tap(function(direction, bytes) | nil): is called with what read and write pass, "rx" or "tx". It must
 * not wait. */
static int l_set_tap(lua_State *L) {
  struct lport *u = check_port(L);
  if (!lua_isnoneornil(L, 2))
    luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  u->tapped = !lua_isnil(L, 2);
  lua_setiuservalue(L, 1, USER_TAP);
  return 0;
}

/* --- facts
 * ---------------------------------------------------------------------------------------------------------
 */

static void set_text(lua_State *L, const char *key, const char *text) {
  if (!text[0])
    return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, int n) {
  if (n < 0)
    return;
  lua_pushinteger(L, n);
  lua_setfield(L, -2, key);
}

static void push_usb(lua_State *L, const struct port_usb *u) {
  lua_createtable(L, 0, 7);
  set_number(L, "vid", u->vid);
  set_number(L, "pid", u->pid);
  set_number(L, "interface", u->interface);
  set_text(L, "serial", u->serial);
  set_text(L, "manufacturer", u->manufacturer);
  set_text(L, "product", u->product);
  set_text(L, "location", u->location);
}

/* p:info() -> { kind=, name=, has_lines=, has_baud=, usb={ vid=, pid=, serial=, location=, ... }|nil } */
static int l_info(lua_State *L) {
  struct port *p = check_port(L)->port;
  const struct port_desc *d = port_serial_desc(p);
  lua_createtable(L, 0, 5);
  set_text(L, "kind", p->ops->kind);
  set_text(L, "name", p->name);
  lua_pushboolean(L, p->has_lines);
  lua_setfield(L, -2, "has_lines");
  lua_pushboolean(L, p->has_baud);
  lua_setfield(L, -2, "has_baud");
  if (d && d->kind == PORT_USB) {
    push_usb(L, &d->usb);
    lua_setfield(L, -2, "usb");
  } else if (p->usb_vid) {
    lua_createtable(L, 0, 2);
    set_number(L, "vid", p->usb_vid);
    set_number(L, "pid", p->usb_pid);
    lua_setfield(L, -2, "usb");
  }
  return 1;
}

/* p:url() -> the name it was opened by */
static int l_url(lua_State *L) {
  struct lport *u = luaL_checkudata(L, 1, PORT_TYPE);
  lua_pushstring(L, u->port ? u->port->url : "");
  return 1;
}

static int list_gc(lua_State *L) {
  port_list_free(luaL_checkudata(L, 1, LIST_TYPE));
  return 0;
}

/* port.list([sysfs="/sys"]) -> list of { name=, description=, kind="native"|"usb"|"bluetooth", usb= } */
static int l_list(lua_State *L) {
  static const char *const kinds[] = {"native", "usb", "bluetooth"};
  const char *sysfs = luaL_optstring(L, 1, "/sys");
  struct port_list *held = lua_newuserdatauv(L, sizeof *held, 0); /* an error cannot leak the list */
  *held = (struct port_list){NULL, 0};
  luaL_setmetatable(L, LIST_TYPE);
  if (port_list(sysfs, held) != 0)
    return l_fail(L, "port_failed", "cannot list the ports: %s", strerror(errno));
  const struct port_desc *d = held->items;
  int count = held->count;
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_createtable(L, 0, 4);
    set_text(L, "name", d[i].name);
    set_text(L, "description", d[i].description);
    set_text(L, "kind", kinds[d[i].kind]);
    if (d[i].kind == PORT_USB) {
      push_usb(L, &d[i].usb);
      lua_setfield(L, -2, "usb");
    }
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* --- contents
 * -------------------------------------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {{"open", l_open}, {"list", l_list}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"read", l_read},       {"write", l_write},   {"drain", l_drain},
                                   {"flush", l_flush},     {"baud", l_baud},     {"lines", l_lines},
                                   {"modem", l_modem},     {"close", l_close},   {"url", l_url},
                                   {"info", l_info},       {"reopen", l_reopen}, {"hold_break", l_break},
                                   {"set_tap", l_set_tap}, {NULL, NULL}};
static const luaL_Reg list_metamethods[] = {{"__gc", list_gc}, {NULL, NULL}};
static const luaL_Reg metamethods[] = {
    {"__gc", l_gc}, {"__close", l_close}, {"__tostring", l_tostring}, {NULL, NULL}};

int luaopen_esp_core_port(lua_State *L) {
  l_loop(L); /* made before any port, so that it outlives them when the state is closed */
  l_newclass(L, PORT_TYPE, methods, metamethods);
  l_newclass(L, LIST_TYPE, list_metamethods + 1, list_metamethods);
  luaL_newlib(L, functions);
  l_port_peers(L);
  return 1;
}
