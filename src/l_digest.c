/* l_digest.c - the Lua module "esp.core.digest". */
#include "digest.h"
#include "l_core.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIGEST_TYPE "esp.digest"

enum { PIECE = 0x4000 };

/* digest.md5(bytes) -> raw digest; the same for sha1, sha256, sha384, sha512 */
static int l_whole(lua_State *L) {
  size_t n;
  const char *data = luaL_checklstring(L, 1, &n);
  uint8_t out[DIGEST_MAX];
  size_t size = digest_of(lua_tostring(L, lua_upvalueindex(1)), data, n, out);
  lua_pushlstring(L, (const char *)out, size);
  return 1;
}

/* digest.crc32(bytes [, crc]) -> crc, going on from an earlier one */
static int l_crc32(lua_State *L) {
  size_t n;
  const char *data = luaL_checklstring(L, 1, &n);
  lua_Integer crc = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, crc >= 0 && crc <= 0xFFFFFFFF, 2, "32 bits expected");
  lua_pushinteger(L, digest_crc32((uint32_t)crc, data, n));
  return 1;
}

/* digest.mix(bytes) -> 8 bytes, as our stub tells them of a unit of flash */
static int l_mix(lua_State *L) {
  size_t n;
  const char *data = luaL_checklstring(L, 1, &n);
  uint8_t out[8];
  digest_mix(data, n, out);
  lua_pushlstring(L, (const char *)out, sizeof out);
  return 1;
}

/* digest.xor(bytes [, sum]) -> 8 bits: all bytes and sum by exclusive or */
static int l_xor(lua_State *L) {
  size_t n;
  const char *data = luaL_checklstring(L, 1, &n);
  lua_Integer sum = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, sum >= 0 && sum <= 0xFF, 2, "8 bits expected");
  lua_pushinteger(L, digest_xor((uint8_t)sum, data, n));
  return 1;
}

/* digest.hex(bytes) -> lower-case hex digits */
static int l_hex(lua_State *L) {
  size_t n;
  const uint8_t *in = (const uint8_t *)luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, 2 * n + 1);
  for (size_t i = 0; i < n; i++) {
    out[2 * i] = "0123456789abcdef"[in[i] >> 4];
    out[2 * i + 1] = "0123456789abcdef"[in[i] & 15];
  }
  luaL_pushresultsize(&b, 2 * n);
  return 1;
}

static int digit(int c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* digest.unhex(text) -> bytes | nil, message, code. Upper or lower case, nothing between the digits. */
static int l_unhex(lua_State *L) {
  size_t n;
  const char *in = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  if (n % 2)
    return l_fail(L, "bad_argument", "hex digits: an even number of them expected, got %zu", n);
  char *out = luaL_buffinitsize(L, &b, n / 2 + 1);
  for (size_t i = 0; i < n / 2; i++) {
    int high = digit((unsigned char)in[2 * i]), low = digit((unsigned char)in[2 * i + 1]);
    if (high < 0 || low < 0)
      return l_fail(L, "bad_argument", "hex digits: something else at position %zu",
                    2 * i + (high < 0 ? 1 : 2));
    out[i] = (char)(high << 4 | low);
  }
  luaL_pushresultsize(&b, n / 2);
  return 1;
}

/* digest.new(name) -> object with update and final */
static int l_new(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  struct digest *d = lua_newuserdatauv(L, sizeof *d, 0);
  luaL_argcheck(L, digest_begin(d, name) == 0, 1, "md5, sha1, sha256, sha384 or sha512 expected");
  luaL_setmetatable(L, DIGEST_TYPE);
  return 1;
}

static struct digest *check(lua_State *L) {
  struct digest *d = luaL_checkudata(L, 1, DIGEST_TYPE);
  luaL_argcheck(L, d->size > 0, 1, "the digest is finished");
  return d;
}

/* h:update(bytes) -> h */
static int l_update(lua_State *L) {
  struct digest *d = check(L);
  size_t n;
  const char *data = luaL_checklstring(L, 2, &n);
  digest_update(d, data, n);
  lua_settop(L, 1);
  return 1;
}

/* h:file(file) -> bytes read: goes on with the rest of an open file, without a copy of it in Lua.
 * nil, message, code if it cannot be read. */
static int l_file(lua_State *L) {
  struct digest *d = check(L);
  luaL_Stream *s = luaL_checkudata(L, 2, LUA_FILEHANDLE);
  luaL_argcheck(L, s->closef != NULL, 2, "the file is closed");
  uint8_t piece[PIECE];
  size_t n;
  lua_Integer total = 0;
  clearerr(s->f);
  while ((n = fread(piece, 1, sizeof piece, s->f)) > 0) {
    digest_update(d, piece, n);
    total += (lua_Integer)n;
  }
  if (ferror(s->f))
    return l_fail(L, "failed", "read: %s", strerror(errno));
  lua_pushinteger(L, total);
  return 1;
}

/* h:final() -> raw digest; h cannot be used any more */
static int l_final(lua_State *L) {
  struct digest *d = check(L);
  uint8_t out[DIGEST_MAX];
  size_t size = d->size;
  digest_end(d, out);
  digest_free(d);
  lua_pushlstring(L, (const char *)out, size);
  return 1;
}

static int l_close(lua_State *L) {
  digest_free(luaL_checkudata(L, 1, DIGEST_TYPE));
  return 0;
}

static const luaL_Reg methods[] = {
    {"update", l_update}, {"file", l_file}, {"final", l_final}, {"close", l_close}, {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"crc32", l_crc32}, {"mix", l_mix}, {"xor", l_xor}, {"hex", l_hex},
                                     {"unhex", l_unhex}, {"new", l_new}, {NULL, NULL}};

int luaopen_esp_core_digest(lua_State *L) {
  static const char *const names[] = {"md5", "sha1", "sha256", "sha384", "sha512"};
  l_newclass(L, DIGEST_TYPE, methods, metamethods);
  luaL_newlib(L, functions);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    lua_pushstring(L, names[i]);
    lua_pushcclosure(L, l_whole, 1);
    lua_setfield(L, -2, names[i]);
  }
  return 1;
}
