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

static const luaL_Reg functions[] = {
    {"isatty", l_isatty}, {"width", l_width}, {"colors", l_colors}, {"utf8", l_utf8}, {NULL, NULL}};

int luaopen_esp_core_term(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
