/* l_ihex.c - the Lua module "esp.core.ihex". */
#include "ihex.h"
#include "l_core.h"

enum { ROOM = 0x10000 };

/* ihex.records(bytes, offset) -> the lines of the data records; none goes beyond offset 0xFFFF */
static int l_records(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_Integer offset = luaL_checkinteger(L, 2);
  luaL_argcheck(L, offset >= 0 && offset < ROOM, 2, "16 bits expected");
  luaL_argcheck(L, n <= (size_t)(ROOM - offset), 1, "goes beyond 64 KiB");
  luaL_Buffer b;
  size_t size = ihex_size(n);
  ihex_write(luaL_buffinitsize(L, &b, size), (const uint8_t *)bytes, n, (uint32_t)offset);
  luaL_pushresultsize(&b, size);
  return 1;
}

int luaopen_esp_core_ihex(lua_State *L) {
  static const luaL_Reg functions[] = {{"records", l_records}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
