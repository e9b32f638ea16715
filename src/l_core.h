/* l_core.h - what the Lua bindings share. */
#ifndef L_CORE_H
#define L_CORE_H

#include <lua.h>
#include <lauxlib.h>

/* Pushes the three values by which a primitive reports what the world refused: nil, message, code.
 * message is printf-style; code is a short stable word ("port_busy"). Returns 3. */
int l_fail(lua_State *L, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Reads an integer field of the table at index; raises if it is no integer in min..max.
 * When the field is absent: def. */
lua_Integer l_field_int(lua_State *L, int index, const char *name, lua_Integer min, lua_Integer max,
                        lua_Integer def);

/* Reads a number field (seconds); raises if it is no number in 0..1e9. When absent: def. */
double l_field_num(lua_State *L, int index, const char *name, double def);

/* Creates metatable name with methods and metamethods, methods as its __index. Leaves the stack as it was. */
void l_newclass(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *metamethods);

/* Registers every C module in package.preload and the searcher for embedded Lua files, once per state. */
void l_open_core(lua_State *L);

#endif
