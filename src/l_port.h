/* l_port.h - ports as Lua objects, for other bindings. */
#ifndef L_PORT_H
#define L_PORT_H

#include "port.h"

#include <lua.h>

#define PORT_TYPE "esp.port"

/* The open port at index; raises if it is no port or closed. The struct stays valid as long as the object:
 * after p:close() its calls give PORT_ECLOSED. So keep the object (a uservalue) beside the pointer. */
struct port *l_checkport(lua_State *L, int index);

/* Pushes a new port object whose port is still NULL, and returns where to store it. The object owns what is
 * stored: it is closed by p:close(), __close and __gc. */
struct port **l_newport(lua_State *L);

/* Pushes nil, message, code and { hint = } for an error of p. Returns 4. */
int l_portfail(lua_State *L, struct port *p, int err);

/* Adds pair, pty and listen to the module on the top of the stack. */
void l_port_peers(lua_State *L);

#endif
