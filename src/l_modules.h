/* l_modules.h - every C module, by the name under which Lua requires it. */
#ifndef L_MODULES_H
#define L_MODULES_H

#include <lauxlib.h>

/* One luaopen_ function per l_ file. */
#define L_MODULES(M) \
  M("esp.core.task", luaopen_esp_core_task) \
  M("esp.core.port", luaopen_esp_core_port) \
  M("esp.core.serve", luaopen_esp_core_serve) \
  M("esp.core.fs", luaopen_esp_core_fs) \
  M("esp.core.term", luaopen_esp_core_term) \
  M("esp.core.sim", luaopen_esp_core_sim) \
  M("esp.core.cpu", luaopen_esp_core_cpu) \
  M("esp.core.slip", luaopen_esp_core_slip) \
  M("esp.core.digest", luaopen_esp_core_digest) \
  M("esp.core.crypto", luaopen_esp_core_crypto) \
  M("esp.core.ihex", luaopen_esp_core_ihex) \
  M("esp.core.zlib", luaopen_esp_core_zlib) \
  M("esp.core.payload", luaopen_esp_core_payload) \
  M("esp.core.link", luaopen_esp_core_link)

#define M(name, open) int open(lua_State *L);
L_MODULES(M)
#undef M

#define M(name, open) {name, open},
static const luaL_Reg l_modules[] = {L_MODULES(M){NULL, NULL}};
#undef M

#endif
