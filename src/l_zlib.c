/* l_zlib.c - the Lua module "esp.core.zlib": zlib streams at once and in pieces. */
#include "inflate.h"
#include "l_core.h"

#include <limits.h>
#include <string.h>

#define DEFLATER_TYPE "esp.deflater"
#define INFLATER_TYPE "esp.inflater"
enum { PIECE = 0x4000, LEVEL = 9 };

struct ldeflater {
  z_stream z;
  int open;
};

struct linflater {
  struct inflater f;
  int ended;
};

static int close_deflater(lua_State *L) {
  struct ldeflater *u = luaL_checkudata(L, 1, DEFLATER_TYPE);
  if (u->open)
    deflateEnd(&u->z);
  u->open = 0;
  return 0;
}

static int close_inflater(lua_State *L) {
  struct linflater *u = luaL_checkudata(L, 1, INFLATER_TYPE);
  inflater_free(&u->f);
  return 0;
}

/* zlib.deflater([level]) -> object with update and finish */
static int l_deflater(lua_State *L) {
  lua_Integer level = luaL_optinteger(L, 1, LEVEL);
  luaL_argcheck(L, level >= 0 && level <= 9, 1, "a level from 0 to 9 expected");
  struct ldeflater *u = lua_newuserdatauv(L, sizeof *u, 0);
  memset(u, 0, sizeof *u);
  luaL_setmetatable(L, DEFLATER_TYPE);
  if (deflateInit(&u->z, (int)level) != Z_OK)
    return luaL_error(L, "not enough memory");
  u->open = 1;
  return 1;
}

/* Runs all of data through; what comes out is left on the stack. */
static int deflate_all(lua_State *L, struct ldeflater *u, const char *data, size_t n, int finish) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  int z = Z_OK;
  do {
    uInt part = n > INT_MAX ? INT_MAX : (uInt)n;
    u->z.next_in = (z_const Bytef *)data;
    u->z.avail_in = part;
    n -= part;
    data += part;
    do {
      u->z.next_out = (Bytef *)luaL_prepbuffsize(&b, PIECE);
      u->z.avail_out = PIECE;
      z = deflate(&u->z, finish && n == 0 ? Z_FINISH : Z_NO_FLUSH);
      luaL_addsize(&b, PIECE - u->z.avail_out);
    } while (u->z.avail_out == 0);
  } while (n > 0);
  luaL_pushresult(&b);
  return finish && z != Z_STREAM_END ? luaL_error(L, "deflate failed") : 1;
}

static struct ldeflater *check_deflater(lua_State *L) {
  struct ldeflater *u = luaL_checkudata(L, 1, DEFLATER_TYPE);
  luaL_argcheck(L, u->open, 1, "the stream is finished");
  return u;
}

/* z:update(bytes) -> compressed bytes, "" when none are ready */
static int l_deflater_update(lua_State *L) {
  struct ldeflater *u = check_deflater(L);
  size_t n;
  const char *data = luaL_checklstring(L, 2, &n);
  return deflate_all(L, u, data, n, 0);
}

/* z:finish() -> the last compressed bytes */
static int l_deflater_finish(lua_State *L) {
  deflate_all(L, check_deflater(L), "", 0, 1);
  close_deflater(L);
  return 1;
}

/* zlib.deflate(bytes [, level]) -> compressed */
static int l_deflate(lua_State *L) {
  size_t n;
  const char *data = luaL_checklstring(L, 1, &n);
  lua_settop(L, 2);
  lua_pushcfunction(L, l_deflater);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1); /* the object owns the memory */
  struct ldeflater *u = lua_touserdata(L, 3);
  lua_insert(L, 1);
  deflate_all(L, u, data, n, 1);
  close_deflater(L);
  return 1;
}

static lua_Integer limit_of(lua_State *L, int arg) {
  lua_Integer limit = luaL_optinteger(L, arg, LUA_MAXINTEGER);
  luaL_argcheck(L, limit >= 0, arg, "a number of bytes expected");
  return limit;
}

/* zlib.inflater([max]) -> object with update and finish. max: bytes that may come out in all. */
static int l_inflater(lua_State *L) {
  lua_Integer limit = limit_of(L, 1);
  struct linflater *u = lua_newuserdatauv(L, sizeof *u, 0);
  memset(u, 0, sizeof *u);
  luaL_setmetatable(L, INFLATER_TYPE);
  if (inflater_begin(&u->f, (uint64_t)limit) != 0)
    return luaL_error(L, "not enough memory");
  return 1;
}

/* Inflates all of data. Leaves what comes out on the stack and returns 0, or the error. */
static int inflate_all(lua_State *L, struct linflater *u, const uint8_t *data, size_t n, size_t *left) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  int r;
  do {
    size_t in_len = n, out_len = PIECE;
    uint8_t *out = (uint8_t *)luaL_prepbuffsize(&b, PIECE);
    r = inflater_run(&u->f, data, &in_len, out, &out_len);
    luaL_addsize(&b, out_len);
    data += in_len;
    n -= in_len;
  } while (r == INFLATE_ROOM);
  luaL_pushresult(&b);
  *left = n;
  if (r == INFLATE_END)
    u->ended = 1;
  if (r != INFLATE_MORE)
    inflater_free(&u->f);
  return r < 0 ? r : 0;
}

static int fail_inflate(lua_State *L, struct linflater *u, int r) {
  if (r == INFLATE_ENOMEM)
    return luaL_error(L, "not enough memory");
  if (r == INFLATE_ELIMIT)
    return l_fail(L, "too_long", "compressed data: more than %llu bytes come out",
                  (unsigned long long)u->f.limit);
  return l_fail(L, "bad_file", "compressed data: damaged after %llu bytes", (unsigned long long)u->f.done);
}

/* z:update(bytes) -> inflated bytes | nil, message, code. What follows the end of the stream is ignored. */
static int l_inflater_update(lua_State *L) {
  struct linflater *u = luaL_checkudata(L, 1, INFLATER_TYPE);
  size_t n;
  const char *data = luaL_checklstring(L, 2, &n);
  if (u->ended) {
    lua_pushliteral(L, "");
    return 1;
  }
  luaL_argcheck(L, u->f.open, 1, "the stream has failed or is finished");
  int r = inflate_all(L, u, (const uint8_t *)data, n, &n);
  return r ? fail_inflate(L, u, r) : 1;
}

/* z:finish() -> "" when the stream was complete | nil, message, code */
static int l_inflater_finish(lua_State *L) {
  struct linflater *u = luaL_checkudata(L, 1, INFLATER_TYPE);
  inflater_free(&u->f);
  if (!u->ended)
    return l_fail(L, "bad_file", "compressed data: ends after %llu bytes, before its end",
                  (unsigned long long)u->f.done);
  lua_pushliteral(L, "");
  return 1;
}

/* zlib.inflate(bytes [, max]) -> inflated, bytes used | nil, message, code */
static int l_inflate(lua_State *L) {
  size_t n, left;
  const char *data = luaL_checklstring(L, 1, &n);
  limit_of(L, 2);
  lua_settop(L, 2);
  lua_pushcfunction(L, l_inflater);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1); /* the object owns the memory */
  struct linflater *u = lua_touserdata(L, 3);
  int r = inflate_all(L, u, (const uint8_t *)data, n, &left);
  inflater_free(&u->f);
  if (r)
    return fail_inflate(L, u, r);
  if (!u->ended)
    return l_fail(L, "bad_file", "compressed data: ends after %llu bytes, before its end",
                  (unsigned long long)u->f.done);
  lua_pushinteger(L, (lua_Integer)(n - left));
  return 2;
}

static const luaL_Reg deflater_methods[] = {
    {"update", l_deflater_update}, {"finish", l_deflater_finish}, {"close", close_deflater}, {NULL, NULL}};
static const luaL_Reg deflater_meta[] = {{"__gc", close_deflater}, {"__close", close_deflater}, {NULL, NULL}};
static const luaL_Reg inflater_methods[] = {
    {"update", l_inflater_update}, {"finish", l_inflater_finish}, {"close", close_inflater}, {NULL, NULL}};
static const luaL_Reg inflater_meta[] = {{"__gc", close_inflater}, {"__close", close_inflater}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"deflate", l_deflate},
                                     {"inflate", l_inflate},
                                     {"deflater", l_deflater},
                                     {"inflater", l_inflater},
                                     {NULL, NULL}};

int luaopen_esp_core_zlib(lua_State *L) {
  l_newclass(L, DEFLATER_TYPE, deflater_methods, deflater_meta);
  l_newclass(L, INFLATER_TYPE, inflater_methods, inflater_meta);
  luaL_newlib(L, functions);
  return 1;
}
