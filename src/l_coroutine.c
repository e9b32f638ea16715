/* l_coroutine.c - the coroutine library, so that a wait passes through coroutines that a script made.
 *
 * A wait inside such a coroutine yields it with a mark. Whoever resumed it then yields in turn, up to the
 * scheduler, and resumes it again when the wait is over: the script sees a resume that took its time. */
#include "l_sched.h"

/* Whether co stands still in a wait of its task (or is a task), so that no script may touch it. */
static int is_waiting(struct sched *s, lua_State *co) {
  for (struct task *t = s->live; t; t = t->next_live) {
    if (t->co == co)
      return 1;
    for (int i = 0; i < t->passes; i++)
      if (t->pass[i] == co)
        return 1;
  }
  return 0;
}

static lua_State *check_co(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

static int resume_k(lua_State *L, int status, lua_KContext ctx);

/* Resumes co with nargs values from the top of L. Returns the number of results on L, -1 with the error
 * there, or does not return because it has yielded. ctx goes to resume_k. */
static int resume(lua_State *L, lua_State *co, int nargs, lua_KContext ctx) {
  struct sched *s = l_sched_get(L);
  struct frame *f = s->frame;
  int yields = f && f->co == L && f->yields && f->depth < SCHED_DEPTH - 1 && lua_isyieldable(L);
  int nresults;
  int status = l_sched_resume(s, L, co, nargs, &nresults, yields);
  if (status == LUA_YIELD && l_sched_pop_mark(co, nresults)) {
    s->current->pass[s->current->passes++] = co;
    return l_sched_yield(L, ctx, resume_k);
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (!lua_checkstack(L, nresults + 1)) {
    lua_pop(co, nresults);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, nresults);
  return nresults;
}

/* As the library's: position of the error in front of a message, pending <close> variables closed. */
static int wrap_error(lua_State *L, lua_State *co) {
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    status = lua_resetthread(co);
    if (status != LUA_OK) {
      lua_pop(L, 1);
      lua_xmove(co, L, 1);
    }
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

enum { BY_RESUME, BY_WRAP };

static int finish(lua_State *L, lua_State *co, int n, lua_KContext ctx) {
  if (ctx == BY_WRAP)
    return n < 0 ? wrap_error(L, co) : n;
  lua_pushboolean(L, n >= 0);
  if (n < 0) {
    lua_insert(L, -2);
    return 2;
  }
  lua_insert(L, -(n + 1));
  return n + 1;
}

static int resume_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_State *co = lua_tothread(L, ctx == BY_WRAP ? lua_upvalueindex(1) : 1);
  return finish(L, co, resume(L, co, 0, ctx), ctx);
}

/* Moves the arguments to co if it may be resumed; otherwise an error message is left on L. */
static int prepare(lua_State *L, lua_State *co, int nargs) {
  if (is_waiting(l_sched_get(L), co))
    lua_pushliteral(L, "cannot resume waiting coroutine");
  else if (lua_status(co) == LUA_OK && lua_gettop(co) == 0)
    lua_pushliteral(L, "cannot resume dead coroutine");
  else if (!lua_checkstack(co, nargs))
    lua_pushliteral(L, "too many arguments to resume");
  else {
    lua_xmove(L, co, nargs);
    return 1;
  }
  return 0;
}

static int l_resume(lua_State *L) {
  lua_State *co = check_co(L);
  int nargs = lua_gettop(L) - 1;
  int n = prepare(L, co, nargs) ? resume(L, co, nargs, BY_RESUME) : -1;
  return finish(L, co, n, BY_RESUME);
}

static int call_wrap(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int nargs = lua_gettop(L);
  int n = prepare(L, co, nargs) ? resume(L, co, nargs, BY_WRAP) : -1;
  return finish(L, co, n, BY_WRAP);
}

static int l_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, call_wrap, 1);
  return 1;
}

/* The library's function of that name (upvalue 1), unless the coroutine waits. */
static int l_close(lua_State *L) {
  if (is_waiting(l_sched_get(L), check_co(L)))
    return luaL_error(L, "cannot close a waiting coroutine");
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int l_status(lua_State *L) {
  lua_State *co = check_co(L);
  if (co != L && lua_status(co) == LUA_YIELD && is_waiting(l_sched_get(L), co)) {
    lua_pushliteral(L, "normal");
    return 1;
  }
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

void l_sched_patch_coroutines(lua_State *L) {
  static const luaL_Reg own[] = {{"resume", l_resume}, {"wrap", l_wrap}, {NULL, NULL}};
  static const luaL_Reg around[] = {{"close", l_close}, {"status", l_status}, {NULL, NULL}};
  if (lua_getglobal(L, "coroutine") == LUA_TTABLE) {
    luaL_setfuncs(L, own, 0);
    for (const luaL_Reg *f = around; f->name; f++) {
      lua_getfield(L, -1, f->name);
      lua_pushcclosure(L, f->func, 1);
      lua_setfield(L, -2, f->name);
    }
  }
  lua_pop(L, 1);
}
