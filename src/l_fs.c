/* l_fs.c - the Lua module "esp.core.fs". Failures: nil, "PATH: reason", code. */
#include "fs.h"
#include "l_core.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_TYPE "esp.fs.file"
#define DIR_TYPE "esp.fs.dir"

static int fail(lua_State *L, const char *path, int number) {
  return l_fail(L, fs_code(number), "%.400s: %s", path, strerror(number));
}

/* --- a file being written
 * ------------------------------------------------------------------------------------ */

struct lfile {
  struct fs_file f;
  int open;
};

/* fs.create(path) -> file | nil, message, code. The bytes get their name in f:commit(). */
static int l_create(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct lfile *u = lua_newuserdatauv(L, sizeof *u, 1);
  memset(u, 0, sizeof *u);
  u->f.fd = -1;
  luaL_setmetatable(L, FILE_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  int number = fs_create(&u->f, path);
  if (number) {
    fs_drop(&u->f);
    return fail(L, path, number);
  }
  u->open = 1;
  return 1;
}

static struct lfile *check_file(lua_State *L) {
  struct lfile *u = luaL_checkudata(L, 1, FILE_TYPE);
  if (!u->open)
    luaL_error(L, "the file is closed");
  return u;
}

/* The path that the script gave. */
static const char *path_of(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  return lua_tostring(L, -1);
}

/* f:write(bytes...) -> true | nil, message, code */
static int l_write(lua_State *L) {
  struct lfile *u = check_file(L);
  for (int i = 2, top = lua_gettop(L); i <= top; i++) {
    size_t n;
    const char *bytes = luaL_checklstring(L, i, &n);
    int number = fs_write(&u->f, bytes, n);
    if (number)
      return fail(L, path_of(L), number);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* f:commit([sync]) -> true | nil, message, code. The file is whole and closed; or it is not there.
 * Unless sync is false, it is on the disk too: a power failure does not lose it. */
static int l_commit(lua_State *L) {
  struct lfile *u = check_file(L);
  bool sync = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  u->open = 0;
  int number = fs_commit(&u->f, sync);
  if (number)
    return fail(L, path_of(L), number);
  lua_pushboolean(L, 1);
  return 1;
}

/* f:close(). What was not committed is dropped. */
static int l_close(lua_State *L) {
  struct lfile *u = luaL_checkudata(L, 1, FILE_TYPE);
  u->open = 0;
  fs_drop(&u->f);
  return 0;
}

/* --- folders
 * --------------------------------------------------------------------------------------------------- */

/* fs.stat(path) -> { type="file"|"dir"|"other", size=, mtime= } | nil, message, code */
static int l_stat(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat st;
  if (stat(path, &st) != 0)
    return fail(L, path, errno);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "dir" : "other");
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, (lua_Integer)st.st_size);
  lua_setfield(L, -2, "size");
  lua_pushnumber(L, (lua_Number)st.st_mtim.tv_sec + (lua_Number)st.st_mtim.tv_nsec * 1e-9);
  lua_setfield(L, -2, "mtime");
  return 1;
}

/* fs.exists(path) -> boolean */
static int l_exists(lua_State *L) {
  struct stat st;
  lua_pushboolean(L, stat(luaL_checkstring(L, 1), &st) == 0);
  return 1;
}

static int dir_gc(lua_State *L) {
  DIR **dir = luaL_checkudata(L, 1, DIR_TYPE);
  if (*dir)
    closedir(*dir);
  *dir = NULL;
  return 0;
}

/* fs.list(path) -> list of names, sorted, without "." and ".." | nil, message, code */
static int l_list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  DIR **dir = lua_newuserdatauv(L, sizeof *dir, 0);
  *dir = NULL;
  luaL_setmetatable(L, DIR_TYPE);
  if (!(*dir = opendir(path)))
    return fail(L, path, errno);
  lua_newtable(L);
  lua_Integer n = 0;
  for (struct dirent *e; (e = readdir(*dir));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
      continue;
    lua_pushstring(L, e->d_name);
    lua_rawseti(L, -2, ++n);
  }
  closedir(*dir);
  *dir = NULL;
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "sort");
  lua_pushvalue(L, -3);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
  return 1;
}

/* fs.mkdir(path [, parents]) -> true | nil, message, code */
static int l_mkdir(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  int number = fs_mkdir(path, lua_toboolean(L, 2));
  if (number)
    return fail(L, path, number);
  lua_pushboolean(L, 1);
  return 1;
}

/* fs.remove(path) -> true | nil, message, code. A file or an empty folder. */
static int l_remove(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  if (unlink(path) != 0 && (errno != EISDIR || rmdir(path) != 0))
    return fail(L, path, errno);
  lua_pushboolean(L, 1);
  return 1;
}

/* fs.home() -> the user's home folder | nil */
static int l_home(lua_State *L) {
  const char *home = getenv("HOME");
  if (!home || !*home) {
    struct passwd *pw = getpwuid(getuid());
    home = pw ? pw->pw_dir : NULL;
  }
  if (home)
    lua_pushstring(L, home);
  else
    luaL_pushfail(L);
  return 1;
}

/* fs.cwd() -> the current folder | nil, message, code */
static int l_cwd(lua_State *L) {
  char path[PATH_MAX];
  if (!getcwd(path, sizeof path))
    return fail(L, ".", errno);
  lua_pushstring(L, path);
  return 1;
}

/* fs.realpath(path) -> the path without links and dots | nil, message, code */
static int l_realpath(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char real[PATH_MAX];
  if (!realpath(path, real))
    return fail(L, path, errno);
  lua_pushstring(L, real);
  return 1;
}

static const luaL_Reg functions[] = {{"create", l_create}, {"stat", l_stat},   {"exists", l_exists},
                                     {"list", l_list},     {"mkdir", l_mkdir}, {"remove", l_remove},
                                     {"home", l_home},     {"cwd", l_cwd},     {"realpath", l_realpath},
                                     {NULL, NULL}};
static const luaL_Reg file_methods[] = {
    {"write", l_write}, {"commit", l_commit}, {"close", l_close}, {NULL, NULL}};
static const luaL_Reg file_metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
static const luaL_Reg dir_methods[] = {{NULL, NULL}};
static const luaL_Reg dir_metamethods[] = {{"__gc", dir_gc}, {NULL, NULL}};

int luaopen_esp_core_fs(lua_State *L) {
  l_newclass(L, FILE_TYPE, file_methods, file_metamethods);
  l_newclass(L, DIR_TYPE, dir_methods, dir_metamethods);
  luaL_newlib(L, functions);
  return 1;
}
