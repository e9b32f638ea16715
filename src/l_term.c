/* l_term.c - the Lua module "esp.core.term". Descriptors: 0 input, 1 output (when not given), 2 errors. */
#include "l_core.h"
#include "term.h"

static int check_fd(lua_State *L) {
  lua_Integer fd = luaL_optinteger(L, 1, 1);
  luaL_argcheck(L, fd >= 0 && fd <= 2, 1, "0, 1 or 2 expected");
  return (int)fd;
}

/* term.isatty([fd]) -> boolean */
static int l_isatty(lua_State *L) {
  lua_pushboolean(L, term_is(check_fd(L)));
  return 1;
}

/* term.width([fd]) -> columns, 80 when not known */
static int l_width(lua_State *L) {
  lua_pushinteger(L, term_width(check_fd(L)));
  return 1;
}

/* term.colors([fd]) -> whether to use colours */
static int l_colors(lua_State *L) {
  lua_pushboolean(L, term_colors(check_fd(L)));
  return 1;
}

/* term.utf8() -> whether text may be more than ASCII */
static int l_utf8(lua_State *L) {
  lua_pushboolean(L, term_utf8());
  return 1;
}

#define KEYS_TYPE "esp.core.term.keys"

enum { KEYS_AT_ONCE = 256 };

/* term.keys() -> object | nil, message, code: keys of standard input as they are pressed, until closed */
static int l_keys(lua_State *L) {
  struct term_keys *k = lua_newuserdatauv(L, sizeof *k, 0);
  k->on = 0;
  luaL_setmetatable(L, KEYS_TYPE);
  if (term_keys_begin(k, 0) == 0)
    return 1;
  lua_pushnil(L);
  lua_pushliteral(L, "standard input is no terminal");
  lua_pushliteral(L, "unsupported");
  return 3;
}

/* keys:read() -> what has been pressed, "" when nothing | nil when the terminal is gone. Does not wait. */
static int l_keys_read(lua_State *L) {
  char bytes[KEYS_AT_ONCE];
  int n = term_keys_read(luaL_checkudata(L, 1, KEYS_TYPE), bytes, sizeof bytes);
  if (n < 0)
    lua_pushnil(L);
  else
    lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

static int l_keys_close(lua_State *L) {
  term_keys_end(luaL_checkudata(L, 1, KEYS_TYPE));
  return 0;
}

static const luaL_Reg functions[] = {{"isatty", l_isatty}, {"width", l_width}, {"colors", l_colors},
                                     {"utf8", l_utf8},     {"keys", l_keys},   {NULL, NULL}};
static const luaL_Reg keys_methods[] = {{"read", l_keys_read}, {"close", l_keys_close}, {NULL, NULL}};
static const luaL_Reg keys_metamethods[] = {{"__gc", l_keys_close}, {"__close", l_keys_close}, {NULL, NULL}};

int luaopen_esp_core_term(lua_State *L) {
  if (luaL_newmetatable(L, KEYS_TYPE)) {
    luaL_setfuncs(L, keys_metamethods, 0);
    luaL_newlib(L, keys_methods);
    lua_setfield(L, -2, "__index");
  }
  luaL_newlib(L, functions);
  return 1;
}
