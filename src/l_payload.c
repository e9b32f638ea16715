/* l_payload.c - the Lua module "esp.core.payload". */
#include "l_payload.h"
#include "digest.h"
#include "l_core.h"
#include "l_task.h"

#include <string.h>

#define PAYLOAD_TYPE "esp.payload"
enum { PATCHES_MAX = 64, READ_MAX = 0x4000000 };

struct lpayload {
  struct payload *pl; /* NULL: closed */
};

struct payload *l_checkpayload(lua_State *L, int index) {
  struct lpayload *u = luaL_checkudata(L, index, PAYLOAD_TYPE);
  luaL_argcheck(L, u->pl != NULL, index, "the payload is closed");
  return u->pl;
}

int l_payloadfail(lua_State *L, struct payload *pl, int err) {
  return l_fail(L, payload_code(err), "%s", payload_error(pl));
}

/* Fills in patches from the field of that name; the strings stay referenced by the table of the caller. */
static size_t get_patches(lua_State *L, struct payload_patch *patches) {
  size_t count = 0;
  if (lua_getfield(L, 1, "patches") == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  if (!lua_istable(L, -1))
    luaL_error(L, "field 'patches': a list of { offset, bytes } expected");
  lua_Unsigned n = lua_rawlen(L, -1);
  if (n > PATCHES_MAX)
    luaL_error(L, "field 'patches': more than %d", PATCHES_MAX);
  for (; count < n; count++) {
    int ok = 0;
    if (lua_rawgeti(L, -1, (lua_Integer)count + 1) != LUA_TTABLE)
      luaL_error(L, "field 'patches': a list of { offset, bytes } expected");
    lua_rawgeti(L, -1, 1);
    lua_Integer offset = lua_tointegerx(L, -1, &ok);
    if (!ok || offset < 0 || lua_rawgeti(L, -2, 2) != LUA_TSTRING)
      luaL_error(L, "field 'patches': a list of { offset, bytes } expected");
    patches[count].offset = (uint64_t)offset;
    patches[count].bytes = (const uint8_t *)lua_tolstring(L, -1, &patches[count].n);
    lua_pop(L, 3);
  }
  lua_pop(L, 1);
  return count;
}

/* payload.new { file = path | data = bytes, offset=, size=, before=, pad=, patches={ {offset, bytes}, ... } }
 * -> payload | nil, message, code. Offsets of patches count from the first byte of the data, without
 * `before`. */
static int l_new(lua_State *L) {
  struct payload_patch patches[PATCHES_MAX];
  struct payload_spec spec = {0};
  char error[PAYLOAD_ERROR_SIZE] = "";
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  struct lpayload *u = lua_newuserdatauv(L, sizeof *u, 1);
  u->pl = NULL;
  luaL_setmetatable(L, PAYLOAD_TYPE);
  int file = lua_getfield(L, 1, "file"), data = lua_getfield(L, 1, "data");
  if ((file == LUA_TNIL) == (data == LUA_TNIL))
    return luaL_error(L, "either field 'file' or field 'data' is needed");
  if (file != LUA_TNIL) {
    if (file != LUA_TSTRING)
      return luaL_error(L, "field 'file': a path expected");
    spec.file = lua_tostring(L, 3);
    if (strlen(spec.file) != lua_rawlen(L, 3))
      return luaL_error(L, "field 'file': a path has no zero bytes");
  } else {
    if (data != LUA_TSTRING)
      return luaL_error(L, "field 'data': a string expected");
    spec.data = (const uint8_t *)lua_tolstring(L, 4, &spec.data_size);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, 2, 1);
  }
  spec.offset = (uint64_t)l_field_int(L, 1, "offset", 0, LUA_MAXINTEGER, 0);
  lua_Integer size = l_field_int(L, 1, "size", 0, LUA_MAXINTEGER, -1);
  spec.size = size < 0 ? PAYLOAD_ALL : (uint64_t)size;
  spec.before = (uint64_t)l_field_int(L, 1, "before", 0, (lua_Integer)PAYLOAD_MAX, 0);
  spec.pad = (uint64_t)l_field_int(L, 1, "pad", 0, (lua_Integer)PAYLOAD_MAX, 0);
  spec.patches = patches;
  spec.patch_count = get_patches(L, patches);
  int err = payload_open(&u->pl, &spec, error);
  if (err)
    return l_fail(L, payload_code(err), "%s", error);
  lua_settop(L, 2);
  return 1;
}

/* pl:size() -> bytes, with what was put in front and behind */
static int l_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)payload_size(l_checkpayload(L, 1)));
  return 1;
}

/* pl:read(offset, n) -> bytes, fewer at the end | nil, message, code */
static int l_read(lua_State *L) {
  struct payload *pl = l_checkpayload(L, 1);
  lua_Integer offset = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
  uint64_t size = payload_size(pl);
  luaL_argcheck(L, offset >= 0, 2, "an offset expected");
  luaL_argcheck(L, n >= 0 && n <= READ_MAX, 3, "number of bytes out of range");
  if ((uint64_t)offset > size)
    offset = (lua_Integer)size;
  if ((uint64_t)n > size - (uint64_t)offset)
    n = (lua_Integer)(size - (uint64_t)offset);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, (size_t)n + 1);
  int err = payload_read(pl, (uint64_t)offset, out, (size_t)n);
  if (err)
    return l_payloadfail(L, pl, err);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* pl:md5() -> raw digest of all bytes | nil, message, code; the same for sha256 */
static int l_digest(lua_State *L) {
  struct payload *pl = l_checkpayload(L, 1);
  uint8_t out[DIGEST_MAX];
  int n = payload_digest(pl, lua_tostring(L, lua_upvalueindex(1)), out);
  if (n < 0)
    return l_payloadfail(L, pl, n);
  lua_pushlstring(L, (const char *)out, (size_t)n);
  return 1;
}

/* Compressing, a slice at a time, so that other tasks go on. Several tasks may drive one payload. */
struct pack_op {
  struct ev_op op;
  struct payload *pl;
  int result;
};

static int pack_step(struct ev_op *op, int why) {
  struct pack_op *p = (struct pack_op *)op;
  (void)why;
  p->result = packed_step(payload_packed(p->pl));
  op->fd = -1;
  op->deadline = 0;
  return p->result > 0 ? OP_WAIT : OP_DONE;
}

static int packed_k(lua_State *L, int status, lua_KContext ctx) {
  struct pack_op *p = lua_touserdata(L, 2);
  struct packed *packed = payload_packed(p->pl);
  (void)status;
  (void)ctx;
  if (p->result < 0)
    return l_payloadfail(L, p->pl, p->result);
  if (packed->state == PACKED_READY)
    lua_pushinteger(L, (lua_Integer)packed->size);
  else
    lua_pushboolean(L, 0);
  return 1;
}

static int pack_gc(lua_State *L) {
  struct pack_op *p = lua_touserdata(L, 1);
  payload_unref(p->pl);
  p->pl = NULL;
  return 0;
}

/* pl:packed() -> bytes of the compressed form | false when it would not be smaller | nil, message, code */
static int l_packed(lua_State *L) {
  struct payload *pl = l_checkpayload(L, 1);
  lua_settop(L, 1);
  struct pack_op *p = lua_newuserdatauv(L, sizeof *p, 1);
  memset(p, 0, sizeof *p);
  luaL_setmetatable(L, PAYLOAD_TYPE ".packing");
  lua_pushvalue(L, 1); /* a string that holds the data lives as long as this */
  lua_setiuservalue(L, 2, 1);
  p->pl = payload_ref(pl);
  p->op.step = pack_step;
  return l_await(L, &p->op, 0, packed_k);
}

static int l_close(lua_State *L) {
  struct lpayload *u = luaL_checkudata(L, 1, PAYLOAD_TYPE);
  payload_unref(u->pl);
  u->pl = NULL;
  return 0;
}

static const luaL_Reg methods[] = {
    {"size", l_size}, {"read", l_read}, {"packed", l_packed}, {"close", l_close}, {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
static const luaL_Reg packing_meta[] = {{"__gc", pack_gc}, {NULL, NULL}};
static const luaL_Reg none[] = {{NULL, NULL}};
static const luaL_Reg functions[] = {{"new", l_new}, {NULL, NULL}};

int luaopen_esp_core_payload(lua_State *L) {
  static const char *const names[] = {"md5", "sha256"};
  l_newclass(L, PAYLOAD_TYPE ".packing", none, packing_meta);
  l_newclass(L, PAYLOAD_TYPE, methods, metamethods);
  luaL_getmetatable(L, PAYLOAD_TYPE);
  lua_getfield(L, -1, "__index");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    lua_pushstring(L, names[i]);
    lua_pushcclosure(L, l_digest, 1);
    lua_setfield(L, -2, names[i]);
  }
  lua_pop(L, 2);
  luaL_newlib(L, functions);
  return 1;
}
