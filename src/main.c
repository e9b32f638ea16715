/* main.c - the interpreter. */
#include "l_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <lualib.h>

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (!L)
    return 70;
  luaL_openlibs(L);
  l_open_core(L);
  lua_createtable(L, argc, 0);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
  int status = argc > 1 ? luaL_dofile(L, argv[1]) : LUA_OK;
  if (status != LUA_OK)
    fprintf(stderr, "esplua: %s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
