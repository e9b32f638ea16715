/* l_payload.h - payloads as Lua objects, for other bindings. */
#ifndef L_PAYLOAD_H
#define L_PAYLOAD_H

#include "payload.h"

#include <lua.h>

/* The open payload at index; raises if it is none or closed. Keep the object as long as the pointer is used,
 * or take a reference of your own and keep the object too: data given as a string belongs to it. */
struct payload *l_checkpayload(lua_State *L, int index);

/* Pushes nil, message, code for an error of pl. Returns 3. */
int l_payloadfail(lua_State *L, struct payload *pl, int err);

/* The module, for who makes payloads. */
int luaopen_esp_core_payload(lua_State *L);

#endif
