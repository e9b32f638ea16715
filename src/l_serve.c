/* l_serve.c - the Lua module "esp.core.serve": a client's bytes to a port and back, see serve.h. */
#include "l_core.h"
#include "l_port.h"
#include "l_task.h"
#include "proof.h"
#include "serve.h"

#include <string.h>

#define SERVE_TYPE "esp.serve"

struct lserve {
  struct serve s;
  int made;
};

static struct serve *check(lua_State *L) {
  struct lserve *u = luaL_checkudata(L, 1, SERVE_TYPE);
  if (!u->made)
    luaL_error(L, "the session is closed");
  return &u->s;
}

/* serve.proof(path, nonce) -> what shows that one knows the secret in that file | nil, message, code */
static int l_proof(lua_State *L) {
  size_t n;
  uint8_t out[PROOF_SIZE];
  char error[300];
  const char *path = luaL_checkstring(L, 1), *nonce = luaL_checklstring(L, 2, &n);
  if (proof_make(path, (const uint8_t *)nonce, n, out, error, sizeof error) != 0)
    return l_fail(L, "bad_file", "%s", error);
  lua_pushlstring(L, (const char *)out, sizeof out);
  return 1;
}

/* serve.new(port, client [, raw [, received]]) -> session. Both are ports; client is a connection that was
 * accepted. received: what came from it before. */
static int l_new(lua_State *L) {
  struct port *port = l_checkport(L, 1), *client = l_checkport(L, 2);
  int raw = lua_toboolean(L, 3);
  size_t n;
  const char *received = luaL_optlstring(L, 4, "", &n);
  luaL_argcheck(L, n <= SERVE_IN, 4, "too long");
  struct lserve *u = lua_newuserdatauv(L, sizeof *u, 2);
  u->made = 0;
  luaL_setmetatable(L, SERVE_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  if (serve_init(&u->s, port, client, raw) != 0)
    return l_fail(L, "no_memory", "not enough memory");
  u->made = 1;
  serve_feed(&u->s, received, n);
  return 1;
}

/* s:close() */
static int l_close(lua_State *L) {
  struct lserve *u = luaL_checkudata(L, 1, SERVE_TYPE);
  if (u->made) {
    ev_cancel(&u->s.op);
    serve_free(&u->s);
  }
  u->made = 0;
  return 0;
}

static int run_k(lua_State *L, int status, lua_KContext ctx) {
  static const char *const names[] = {"tick", "command", "break", "gone", "lost"};
  (void)status;
  (void)ctx;
  struct serve *s = check(L);
  lua_pushstring(L, names[s->result]);
  if (s->result == SERVE_COMMAND) {
    lua_pushinteger(L, s->command);
    lua_pushlstring(L, (const char *)s->data, s->size);
    return 3;
  }
  if (s->error == PORT_OK)
    return 1;
  struct port *p = s->result == SERVE_GONE ? s->client : s->port;
  lua_pushstring(L, p->error[0] ? p->error : port_strerror(s->error));
  lua_pushstring(L, port_code(s->error));
  return 3;
}

/* s:run(seconds) -> "tick" | "command", number, data | "break" | "gone", message, code | "lost", message,
 * code. Passes bytes until there is something to tell. gone: the client, lost: the port. */
static int l_run(lua_State *L) {
  struct serve *s = check(L);
  double seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds >= 0 && seconds <= 86400, 2, "seconds expected");
  if (s->op.loop)
    return luaL_error(L, "busy: another task runs this session");
  serve_prepare(s, ev_now() + seconds);
  lua_settop(L, 1);
  return l_await(L, &s->op, 0, run_k);
}

/* s:reply(command, bytes): a COM-PORT message to the client */
static int l_reply(lua_State *L) {
  size_t n;
  struct serve *s = check(L);
  lua_Integer command = luaL_checkinteger(L, 2);
  const char *bytes = luaL_checklstring(L, 3, &n);
  luaL_argcheck(L, command >= 0 && command < 255, 2, "a command expected");
  luaL_argcheck(L, n <= 16, 3, "too long");
  serve_reply(s, (uint8_t)command, (const uint8_t *)bytes, n);
  return 0;
}

/* s:next_control() -> value of a SET_CONTROL that follows immediately | nil */
static int l_next_control(lua_State *L) {
  int value = serve_next_control(check(L));
  if (value < 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, value);
  return 1;
}

/* s:alive() -> whether the client is still connected */
static int l_alive(lua_State *L) {
  lua_pushboolean(L, serve_alive(check(L)));
  return 1;
}

/* s:counts() -> bytes from the port, bytes to the port, bytes that it would not take */
static int l_counts(lua_State *L) {
  struct serve *s = check(L);
  lua_pushinteger(L, (lua_Integer)s->received);
  lua_pushinteger(L, (lua_Integer)s->sent);
  lua_pushinteger(L, (lua_Integer)s->dropped);
  return 3;
}

static const luaL_Reg functions[] = {{"new", l_new}, {"proof", l_proof}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"run", l_run},     {"reply", l_reply},   {"next_control", l_next_control},
                                   {"alive", l_alive}, {"counts", l_counts}, {"close", l_close},
                                   {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};

int luaopen_esp_core_serve(lua_State *L) {
  l_loop(L); /* made before any session, so that it outlives them */
  l_newclass(L, SERVE_TYPE, methods, metamethods);
  luaL_newlib(L, functions);
  return 1;
}
