/* l_task.c - the Lua module "esp.core.task". */
#include "l_core.h"
#include "l_sched.h"
#include "l_task.h"

#include <string.h>

/* --- the module ---------------------------------------------------------------------------------------- */

static struct task *check_task(lua_State *L) {
  return luaL_checkudata(L, 1, TASK_TYPE);
}

/* task.spawn(fn, ...) -> task. It begins to run when the caller next waits. */
static int l_spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct sched *s = l_sched_get(L);
  int nargs = lua_gettop(L) - 1;
  struct task *t = lua_newuserdatauv(L, sizeof *t, 2);
  memset(t, 0, sizeof *t);
  t->sched = s;
  t->state = TASK_NEW;
  luaL_setmetatable(L, TASK_TYPE);
  lua_insert(L, 1);
  t->co = lua_newthread(L);
  lua_setiuservalue(L, 1, 1);
  if (!lua_checkstack(t->co, nargs + 3))
    return luaL_error(L, "too many arguments");
  lua_pushcfunction(t->co, l_sched_main);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, l_sched_on_error, 1);
  lua_insert(L, 2);
  l_sched_push_tasks(L);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, s->next_id + 1);
  lua_pop(L, 2);
  lua_xmove(L, t->co, nargs + 2);
  t->id = ++s->next_id;
  t->seen = *l_sched_seen(s);
  t->next_live = s->live;
  s->live = t;
  s->live_count++;
  l_sched_enqueue(s, t);
  return 1;
}

/* A wait for tasks to end: one, or all. */
struct join {
  struct ev_op op;
  struct ev_link link; /* in sched.joins */
  struct sched *sched;
  struct task *task; /* NULL: all */
};

void l_sched_wake_joins(struct sched *s) {
  for (struct ev_link *l = s->joins.next; l != &s->joins; l = l->next)
    ev_wake(&((struct join *)((char *)l - offsetof(struct join, link)))->op);
}

static void join_cancel(struct ev_op *op) {
  struct join *j = (struct join *)op;
  j->link.prev->next = j->link.next;
  j->link.next->prev = j->link.prev;
  j->link.prev = j->link.next = &j->link;
}

static int join_over(struct join *j) {
  return j->task ? j->task->state >= TASK_DONE : j->sched->live_count == 0;
}

static int join_step(struct ev_op *op, int why) {
  struct join *j = (struct join *)op;
  if (why == EV_START) {
    j->link.prev = j->sched->joins.prev;
    j->link.next = &j->sched->joins;
    j->link.prev->next = j->link.next->prev = &j->link;
  }
  if (!join_over(j) && why != EV_TIMEOUT)
    return OP_WAIT;
  join_cancel(op);
  return OP_DONE;
}

static struct join *new_join(lua_State *L, struct task *t, double deadline) {
  struct join *j = lua_newuserdatauv(L, sizeof *j, 1);
  *j = (struct join){.op = {.step = join_step, .cancel = join_cancel, .fd = -1, .deadline = deadline}};
  j->sched = l_sched_get(L);
  j->task = t;
  j->link.prev = j->link.next = &j->link;
  return j;
}

/* Pushes the error of a failed task, which is thereby noticed. */
static void push_error(lua_State *L, struct task *t) {
  luaL_checkstack(L, 4, NULL);
  lua_checkstack(t->co, 1);
  if (!t->observed)
    l_sched_unanchor(L, t);
  t->observed = 1;
  lua_pushvalue(t->co, -1);
  lua_xmove(t->co, L, 1);
}

static int join_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct task *t = check_task(L);
  switch (t->state) {
  case TASK_DONE:
    if (!lua_checkstack(t->co, t->results) || !lua_checkstack(L, t->results + 1))
      return luaL_error(L, "too many results");
    lua_pushboolean(L, 1);
    for (int i = 0, first = lua_gettop(t->co) - t->results + 1; i < t->results; i++)
      lua_pushvalue(t->co, first + i);
    lua_xmove(t->co, L, t->results);
    return 1 + t->results;
  case TASK_FAILED:
    push_error(L, t);
    return lua_error(L);
  case TASK_CANCELLED:
    return l_fail(L, "cancelled", "task was cancelled");
  default:
    return l_fail(L, "timeout", "timeout");
  }
}

/* t:join([seconds]) -> true, results... | nil, message, code. Raises the error with which the task ended. */
static int l_join(lua_State *L) {
  struct task *t = check_task(L);
  double seconds = luaL_optnumber(L, 2, EV_FOREVER);
  luaL_argcheck(L, seconds >= 0, 2, "seconds expected");
  if (t == t->sched->current)
    return luaL_error(L, "a task cannot wait for itself");
  lua_settop(L, 1);
  struct join *j = new_join(L, t, seconds >= EV_FOREVER ? EV_FOREVER : ev_now() + seconds);
  return l_await(L, &j->op, 0, join_k);
}

/* Closes a task that stands still: its operation is cancelled, then <close> variables run. */
static int close_task(lua_State *L, struct task *t) {
  struct sched *s = t->sched;
  if (t->op) {
    l_sched_drop(t->op);
    t->op = NULL;
  }
  l_sched_unqueue(s, t);
  t->state = TASK_RUNNING;
  struct task *previous = s->current;
  struct frame f = {t->co, s->frame, 0, s->frame ? s->frame->depth + 1 : 0};
  s->current = t;
  s->frame = &f;
  int status = LUA_OK;
  for (int i = 0; i < t->passes; i++) { /* an error there shows like one in coroutine.close: not at all */
    f.co = t->pass[i];
    lua_resetthread(t->pass[i]);
  }
  f.co = t->co;
  status = lua_resetthread(t->co);
  s->frame = f.prev;
  s->current = previous;
  l_sched_finish(L, t, status == LUA_OK ? TASK_CANCELLED : TASK_FAILED, status == LUA_OK ? 0 : 1);
  return status;
}

/* t:cancel() -> true | false, error of a <close> variable. Nothing if the task is over. A task that runs (it
 * is the caller, or waits where it cannot yield) gets an error from its wait instead. */
static int l_cancel(lua_State *L) {
  struct task *t = check_task(L);
  luaL_checkstack(L, 8, NULL);
  if (t->state == TASK_RUNNING) {
    t->cancelling = 1;
    ev_interrupt(t->sched->loop);
  } else if (t->state < TASK_DONE && close_task(L, t) != LUA_OK) {
    lua_pushboolean(L, 0);
    push_error(L, t);
    return 2;
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* t:status() -> "running" | "done" | "failed" | "cancelled" */
static int l_status(lua_State *L) {
  static const char *const names[] = {"running", "running", "running",  "running",
                                      "done",    "failed",  "cancelled"};
  lua_pushstring(L, names[check_task(L)->state]);
  return 1;
}

/* t:traceback() -> where a failed task was when it failed | nil */
static int l_traceback(lua_State *L) {
  check_task(L);
  lua_getiuservalue(L, 1, 2);
  return 1;
}

static int sleep_k(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

/* task.sleep(seconds) */
static int l_sleep_seconds(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, 1, "seconds expected");
  return l_sleep(L, seconds, 0, sleep_k);
}

/* task.now() -> seconds of a clock that only goes forward */
static int l_now(lua_State *L) {
  lua_pushnumber(L, ev_now());
  return 1;
}

/* The task that failed first among those whose error nobody has seen. */
static struct task *first_failed(lua_State *L) {
  struct task *first = NULL;
  l_sched_push_tasks(L);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    struct task *t = lua_touserdata(L, -1);
    if (t->state == TASK_FAILED && !t->observed && (!first || t->id < first->id))
      first = t;
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return first;
}

static int run_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct task *t = first_failed(L);
  if (!t)
    return 0;
  push_error(L, t);
  return lua_error(L);
}

/* task.run(): until no task is left. Raises the error of the first task that failed with nobody noticing. */
static int l_run(lua_State *L) {
  if (l_sched_get(L)->current)
    return luaL_error(L, "task.run inside a task");
  return l_await(L, &new_join(L, NULL, EV_FOREVER)->op, 0, run_k);
}

/* task.current() -> the task that runs | nil */
static int l_current(lua_State *L) {
  struct sched *s = l_sched_get(L);
  l_sched_push_tasks(L);
  if (s->current)
    lua_rawgeti(L, -1, s->current->id);
  else
    lua_pushnil(L);
  return 1;
}

/* task.interrupted() -> whether Ctrl-C was pressed */
static int l_is_interrupted(lua_State *L) {
  lua_pushboolean(L, l_interrupted(L));
  return 1;
}

/* task.catch_interrupt(on): Ctrl-C interrupts waits and Lua code of this program, or no longer. */
static int l_catch_interrupt(lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  if (!lua_toboolean(L, 1))
    l_interrupts_off(L);
  else
    l_interrupts_on(L);
  return 0;
}

/* Runs the loop until no task is left or the time is over; part of l_task_shutdown, in protected mode. */
static int nothing_k(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

static int wait_for_all(lua_State *L) {
  return l_await(L, &new_join(L, NULL, ev_now() + lua_tonumber(L, 1))->op, 0, nothing_k);
}

int l_task_shutdown(lua_State *L) {
  enum { SECONDS = 5 };
  struct sched *s = l_sched_get(L);
  if (s->live && l_interrupted(L)) {
    s->seen = l_interrupt_count();
    lua_pushcfunction(L, wait_for_all);
    lua_pushnumber(L, SECONDS);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
      lua_pop(L, 1);
  }
  for (struct task *t = s->live, *next; t; t = next) {
    next = t->next_live;
    if (t->state != TASK_RUNNING) {
      close_task(L, t);
      next = s->live; /* closing may have ended others */
    }
  }
  struct task *failed = first_failed(L);
  if (!failed)
    return 0;
  push_error(L, failed);
  return 1;
}

/* task.shutdown(): cancels every task. Raises like task.run. */
static int l_shutdown(lua_State *L) {
  return l_task_shutdown(L) ? lua_error(L) : 0;
}

static const luaL_Reg functions[] = {{"spawn", l_spawn},
                                     {"sleep", l_sleep_seconds},
                                     {"now", l_now},
                                     {"run", l_run},
                                     {"current", l_current},
                                     {"interrupted", l_is_interrupted},
                                     {"catch_interrupt", l_catch_interrupt},
                                     {"shutdown", l_shutdown},
                                     {NULL, NULL}};
static const luaL_Reg methods[] = {
    {"join", l_join}, {"cancel", l_cancel}, {"status", l_status}, {"traceback", l_traceback}, {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__close", l_cancel}, {NULL, NULL}};

int luaopen_esp_core_task(lua_State *L) {
  l_newclass(L, TASK_TYPE, methods, metamethods);
  l_sched_set_up(L);
  luaL_newlib(L, functions);
  return 1;
}
