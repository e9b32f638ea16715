/* l_slip.c - the Lua module "esp.core.slip". */
#include "l_core.h"
#include "slip.h"

#include <stdlib.h>

#define SLIP_TYPE "esp.slip"
enum { SLIP_MAX = 0x1000000, SLIP_DEFAULT = 0x10100 };

struct lslip {
  struct slip_decoder d;
  uint8_t *buf;
};

/* slip.encode(bytes) -> frame */
static int l_encode(lua_State *L) {
  size_t n;
  const char *in = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n <= SLIP_MAX, 1, "too long for a frame");
  luaL_Buffer b;
  uint8_t *out = (uint8_t *)luaL_buffinitsize(L, &b, SLIP_ROOM(n));
  luaL_pushresultsize(&b, slip_encode(out, (const uint8_t *)in, n));
  return 1;
}

/* slip.decoder([max]) -> decoder. max: longest frame in bytes; longer ones are dropped and counted. */
static int l_decoder(lua_State *L) {
  lua_Integer max = luaL_optinteger(L, 1, SLIP_DEFAULT);
  luaL_argcheck(L, max > 0 && max <= SLIP_MAX, 1, "frame length out of range");
  struct lslip *u = lua_newuserdatauv(L, sizeof *u, 0);
  u->buf = NULL;
  luaL_setmetatable(L, SLIP_TYPE);
  u->buf = malloc((size_t)max);
  if (!u->buf)
    return luaL_error(L, "not enough memory");
  slip_reset(&u->d, u->buf, (size_t)max);
  return 1;
}

static struct lslip *check(lua_State *L) {
  struct lslip *u = luaL_checkudata(L, 1, SLIP_TYPE);
  luaL_argcheck(L, u->buf != NULL, 1, "the decoder is closed");
  return u;
}

/* decoder:feed(bytes) -> list of the frames that are complete now. What comes before the first delimiter, and
 * damaged frames, are left out. */
static int l_feed(lua_State *L) {
  struct lslip *u = check(L);
  size_t n, used;
  const uint8_t *in = (const uint8_t *)luaL_checklstring(L, 2, &n);
  lua_Integer count = 0;
  lua_newtable(L);
  while (n > 0) {
    int what = slip_decode(&u->d, in, n, &used);
    in += used;
    n -= used;
    if (what == SLIP_FRAME) {
      lua_pushlstring(L, (const char *)u->d.buf, u->d.len);
      lua_rawseti(L, -2, ++count);
    }
  }
  return 1;
}

/* decoder:pending() -> bytes that wait for their end, "" if there are none */
static int l_pending(lua_State *L) {
  struct lslip *u = check(L);
  lua_pushlstring(L, (const char *)u->d.buf, u->d.full ? 0 : u->d.len);
  return 1;
}

/* decoder:bad() -> how many frames were dropped */
static int l_bad(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->d.bad);
  return 1;
}

/* decoder:reset(): as new */
static int l_reset(lua_State *L) {
  struct lslip *u = check(L);
  slip_reset(&u->d, u->buf, u->d.max);
  return 0;
}

static int l_close(lua_State *L) {
  struct lslip *u = luaL_checkudata(L, 1, SLIP_TYPE);
  free(u->buf);
  u->buf = NULL;
  return 0;
}

static const luaL_Reg methods[] = {{"feed", l_feed},   {"pending", l_pending}, {"bad", l_bad},
                                   {"reset", l_reset}, {"close", l_close},     {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"encode", l_encode}, {"decoder", l_decoder}, {NULL, NULL}};

int luaopen_esp_core_slip(lua_State *L) {
  l_newclass(L, SLIP_TYPE, methods, metamethods);
  luaL_newlib(L, functions);
  return 1;
}
