/* l_core.c - what the Lua bindings share, and the list of them. */
#include "l_core.h"
#include "l_modules.h"
#include "pack.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <lualib.h>

int l_fail(lua_State *L, const char *code, const char *fmt, ...) {
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  luaL_pushfail(L);
  lua_pushstring(L, text);
  lua_pushstring(L, code);
  return 3;
}

lua_Integer l_field_int(lua_State *L, int index, const char *name, lua_Integer min, lua_Integer max,
                        lua_Integer def) {
  lua_Integer v = def;
  if (lua_getfield(L, index, name) != LUA_TNIL) {
    int ok;
    v = lua_tointegerx(L, -1, &ok);
    if (!ok || v < min || v > max)
      luaL_error(L, "field '%s': an integer from %I to %I expected", name, min, max);
  }
  lua_pop(L, 1);
  return v;
}

double l_field_num(lua_State *L, int index, const char *name, double def) {
  double v = def;
  if (lua_getfield(L, index, name) != LUA_TNIL) {
    int ok;
    v = lua_tonumberx(L, -1, &ok);
    if (!ok || !(v >= 0 && v <= 1e9))
      luaL_error(L, "field '%s': a number of seconds expected", name);
  }
  lua_pop(L, 1);
  return v;
}

void l_newclass(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *metamethods) {
  if (luaL_newmetatable(L, name)) {
    luaL_setfuncs(L, metamethods, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

/* Pushes the text of an embedded file; raises if it is damaged. */
static void push_file(lua_State *L, const struct pack_file *f) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, f->size ? f->size : 1);
  if (pack_read(f, (unsigned char *)out) != 0)
    luaL_error(L, "embedded file %s is damaged", f->name);
  luaL_pushresultsize(&b, f->size);
}

/* Searcher of package.searchers: "esp.image" is lua/esp/image.lua, "chips.esp32" is chips/esp32.lua. */
static int search_embedded(lua_State *L) {
  const char *module = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
  static const char *const forms[] = {"lua/%s.lua", "lua/%s/init.lua", "%s.lua"};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    const struct pack_file *f = pack_find(lua_pushfstring(L, forms[i], module));
    if (!f)
      continue;
    push_file(L, f);
    size_t n;
    const char *text = lua_tolstring(L, -1, &n);
    if (luaL_loadbufferx(L, text, n, lua_pushfstring(L, "@%s", f->name), "t") != LUA_OK)
      return lua_error(L);
    lua_pushfstring(L, "embedded:%s", f->name);
    return 2;
  }
  lua_pushfstring(L, "no embedded file for '%s'", lua_tostring(L, 1));
  return 1;
}

/* pack.read(name) -> text | nil. name is a path in the source tree, "scripts/flash.lua". */
static int l_pack_read(lua_State *L) {
  const struct pack_file *f = pack_find(luaL_checkstring(L, 1));
  if (f)
    push_file(L, f);
  else
    luaL_pushfail(L);
  return 1;
}

/* pack.names() -> list of all embedded paths. */
static int l_pack_names(lua_State *L) {
  lua_newtable(L);
  for (int i = 0; pack_files[i].name; i++) {
    lua_pushstring(L, pack_files[i].name);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int open_pack(lua_State *L) {
  static const luaL_Reg functions[] = {{"read", l_pack_read}, {"names", l_pack_names}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

void l_open_core(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (lua_getfield(L, -1, "esp.core.pack") != LUA_TNIL) {
    lua_pop(L, 2);
    return;
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, open_pack);
  lua_setfield(L, -2, "esp.core.pack");
  for (const luaL_Reg *m = l_modules; m->name; m++) {
    lua_pushcfunction(L, m->func);
    lua_setfield(L, -2, m->name);
  }
  lua_pop(L, 1);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_pushcfunction(L, search_embedded);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 2);
}

/* require "esp" of a stock Lua: the same library as in the interpreter. */
int luaopen_esp(lua_State *L) {
  l_open_core(L);
  lua_settop(L, 0);
  lua_pushcfunction(L, search_embedded);
  lua_pushliteral(L, "esp");
  lua_call(L, 1, 2);
  lua_pop(L, 1);
  lua_pushliteral(L, "esp");
  lua_call(L, 1, 1);
  return 1;
}
