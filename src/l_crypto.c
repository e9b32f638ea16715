/* l_crypto.c - the Lua module "esp.core.crypto". */
#include "xts.h"
#include "l_core.h"

#include <uv.h>

enum { RANDOM_MAX = 1 << 16 };

/* crypto.xts_encrypt(key, tweak, bytes) -> bytes: one data unit of AES-XTS; the same for xts_decrypt.
 * key: 32 or 64 bytes; tweak: 16 bytes. */
static int l_xts(lua_State *L) {
  size_t key_size, tweak_size, n;
  const uint8_t *key = (const uint8_t *)luaL_checklstring(L, 1, &key_size);
  const uint8_t *tweak = (const uint8_t *)luaL_checklstring(L, 2, &tweak_size);
  const uint8_t *in = (const uint8_t *)luaL_checklstring(L, 3, &n);
  luaL_argcheck(L, key_size == 32 || key_size == 64, 1, "32 or 64 bytes expected");
  luaL_argcheck(L, tweak_size == XTS_TWEAK, 2, "16 bytes expected");
  luaL_argcheck(L, n >= XTS_MIN && n <= XTS_MAX, 3, "16 bytes or more expected");
  luaL_Buffer b;
  uint8_t *out = (uint8_t *)luaL_buffinitsize(L, &b, n);
  if (xts_crypt(lua_toboolean(L, lua_upvalueindex(1)), key, key_size, tweak, in, out, n) != 0)
    return luaL_error(L, "AES-XTS failed");
  luaL_pushresultsize(&b, n);
  return 1;
}

/* crypto.random(n) -> n bytes that nobody can guess | nil, message, code */
static int l_random(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= RANDOM_MAX, 1, "0 to 65536 expected");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, (size_t)n);
  int err = uv_random(NULL, NULL, out, (size_t)n, 0, NULL);
  if (err)
    return l_fail(L, "failed", "random numbers: %s", uv_strerror(err));
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

int luaopen_esp_core_crypto(lua_State *L) {
  lua_createtable(L, 0, 3);
  for (int encrypt = 0; encrypt <= 1; encrypt++) {
    lua_pushboolean(L, encrypt);
    lua_pushcclosure(L, l_xts, 1);
    lua_setfield(L, -2, encrypt ? "xts_encrypt" : "xts_decrypt");
  }
  lua_pushcfunction(L, l_random);
  lua_setfield(L, -2, "random");
  return 1;
}
