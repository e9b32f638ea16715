/* l_task.c - the Lua module "esp.core.task": tasks, and the wait that they share with everything else. */
#include "l_core.h"
#include "l_sched.h"
#include "l_task.h"

#include <signal.h>
#include <string.h>

static const char SCHED_KEY, ERROR_KEY, MARK_KEY; /* their addresses are keys in the registry, and the mark */

static void on_join_wake(struct sched *s);

/* --- interrupts ------------------------------------------------------------------------------------- */

/* What a signal handler can reach. A process has one Ctrl-C, so there is one of it. */
static struct {
  volatile sig_atomic_t count;
  struct ev *volatile loop;
  lua_State *volatile running;
  struct sigaction previous;
  unsigned first; /* the count when it was last armed */
  int on;
} interrupt;

static unsigned *seen_of(struct sched *s) {
  return s->current ? &s->current->seen : &s->seen;
}

/* Whether the task or main program that runs has not been told yet. */
static int interrupt_due(struct sched *s) {
  return interrupt.on && interrupt.loop == s->loop && *seen_of(s) != (unsigned)interrupt.count;
}

static int raise_interrupt(lua_State *L, struct sched *s) {
  *seen_of(s) = (unsigned)interrupt.count;
  return l_raise(L, "interrupted", "interrupted", NULL);
}

static void on_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  struct sched *s = l_sched_get(L);
  if (interrupt_due(s))
    raise_interrupt(L, s);
}

static void on_signal(int number) {
  interrupt.count++;
  sigaction(number, &interrupt.previous, NULL); /* the next one kills */
  if (interrupt.loop)
    ev_interrupt(interrupt.loop);
  if (interrupt.running) /* lua_sethook may be called from a signal handler */
    lua_sethook(interrupt.running, on_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void l_interrupts_on(lua_State *L) {
  struct sched *s = l_sched_get(L);
  struct sigaction action = {.sa_handler = on_signal};
  if (!interrupt.on) {
    sigaction(SIGINT, NULL, &interrupt.previous);
    if (interrupt.previous.sa_handler !=
        SIG_DFL) { /* ignored, or somebody else's: the second one kills all the same */
      interrupt.previous = (struct sigaction){.sa_handler = SIG_DFL};
      sigemptyset(&interrupt.previous.sa_mask);
    }
    interrupt.on = 1;
  }
  interrupt.first = s->seen = s->spread = (unsigned)interrupt.count;
  for (struct task *t = s->live; t; t = t->next_live)
    t->seen = s->seen;
  interrupt.running = L;
  interrupt.loop = s->loop;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

void l_interrupts_off(lua_State *L) {
  struct sched *s = l_sched_get(L);
  if (!interrupt.on || interrupt.loop != s->loop)
    return;
  sigaction(SIGINT, &interrupt.previous, NULL);
  interrupt.on = 0;
  interrupt.loop = NULL;
  interrupt.running = NULL;
}

int l_interrupted(lua_State *L) {
  struct sched *s = l_sched_get(L);
  return interrupt.on && interrupt.loop == s->loop && interrupt.first != (unsigned)interrupt.count;
}

/* --- errors ------------------------------------------------------------------------------------------ */

int l_raise(lua_State *L, const char *code, const char *message, const char *hint) {
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
  if (hint) {
    lua_pushstring(L, hint);
    lua_setfield(L, -2, "hint");
  }
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &ERROR_KEY) == LUA_TTABLE)
    lua_setmetatable(L, -2);
  else
    lua_pop(L, 1);
  return lua_error(L);
}

/* --- the scheduler ------------------------------------------------------------------------------------ */

static void enqueue(struct sched *s, struct task *t) {
  if (t->queued)
    return;
  t->queued = 1;
  t->next = NULL;
  *s->tail = t;
  s->tail = &t->next;
}

static struct task *dequeue(struct sched *s) {
  struct task *t = s->head;
  s->head = t->next;
  if (!s->head)
    s->tail = &s->head;
  t->queued = 0;
  return t;
}

static void unqueue(struct sched *s, struct task *t) {
  if (!t->queued)
    return;
  struct task **p = &s->head;
  while (*p != t)
    p = &(*p)->next;
  *p = t->next;
  if (!t->next)
    s->tail = p;
  t->queued = 0;
}

int l_sched_pop_mark(lua_State *co, int nresults) {
  if (nresults != 1 || lua_touserdata(co, -1) != (void *)&MARK_KEY)
    return 0;
  lua_pop(co, 1);
  return 1;
}

int l_sched_yield(lua_State *L, lua_KContext ctx, lua_KFunction k) {
  lua_pushlightuserdata(L, (void *)&MARK_KEY);
  return lua_yieldk(L, 1, ctx, k);
}

int l_sched_resume(struct sched *s, lua_State *from, lua_State *co, int nargs, int *nresults, int yields) {
  struct frame f = {co, s->frame, yields, s->frame ? s->frame->depth + 1 : 0};
  lua_State *running = interrupt.running;
  s->frame = &f;
  if (interrupt.loop == s->loop)
    interrupt.running = co;
  int status = lua_resume(co, from, nargs, nresults);
  interrupt.running = running;
  s->frame = f.prev;
  return status;
}

/* Drops the table's reference: the task can be collected. */
static void unanchor(lua_State *L, struct task *t) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &SCHED_KEY);
  lua_getiuservalue(L, -1, 1);
  lua_pushnil(L);
  lua_rawseti(L, -2, t->id);
  lua_pop(L, 2);
}

static void unlink_live(struct sched *s, struct task *t) {
  struct task **p = &s->live;
  while (*p && *p != t)
    p = &(*p)->next_live;
  if (*p) {
    *p = t->next_live;
    s->live_count--;
  }
}

static void finish(lua_State *L, struct task *t, enum task_state state, int results) {
  struct sched *s = t->sched;
  t->state = state;
  t->results = results;
  t->op = NULL;
  t->passes = 0;
  unqueue(s, t);
  unlink_live(s, t);
  if (state != TASK_FAILED)
    unanchor(L, t);
  on_join_wake(s);
}

/* Errors that nobody has caught yet end here: what was on the stack is remembered for --debug. */
static int on_error(lua_State *L) {
  struct task *t = lua_touserdata(L, lua_upvalueindex(1));
  if (t && luaL_testudata(L, lua_upvalueindex(1), TASK_TYPE)) {
    luaL_traceback(L, L, NULL, 1);
    lua_setiuservalue(L, lua_upvalueindex(1), 2);
  }
  return 1;
}

/* The function of a task's coroutine: its first values are the message handler and the script's function.
 * A protected call, so that <close> variables can wait when an error passes them. Returns ok, results. */
static int main_k(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
  lua_replace(L, 1);
  return lua_gettop(L);
}

static int task_main(lua_State *L) {
  return main_k(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, main_k), 0);
}

/* Lets a task go on until it waits or ends. */
static void run_task(lua_State *L, struct sched *s, struct task *t) {
  struct task *previous = s->current;
  int nargs = t->state == TASK_NEW ? lua_gettop(t->co) - 1 : 0, nresults;
  t->state = TASK_RUNNING;
  t->passes = t->spins = 0;
  s->current = t;
  int status = l_sched_resume(s, L, t->co, nargs, &nresults, 1);
  s->current = previous;
  if (status == LUA_YIELD) {
    if (l_sched_pop_mark(t->co, nresults)) {
      t->state = t->queued ? TASK_READY : TASK_WAITING;
    } else { /* the script's own yield: let the others run */
      lua_pop(t->co, nresults);
      t->state = TASK_READY;
      enqueue(s, t);
    }
    return;
  }
  if (status == LUA_OK && lua_toboolean(t->co, -nresults)) {
    finish(L, t, TASK_DONE, nresults - 1);
    return;
  }
  if (status != LUA_OK)
    lua_resetthread(t->co);
  finish(L, t, TASK_FAILED, 1);
}

/* Runs the tasks that can go on, each once. */
static void run_ready(lua_State *L, struct sched *s) {
  int n = 0;
  for (struct task *t = s->head; t; t = t->next)
    n++;
  while (n-- > 0 && s->head)
    run_task(L, s, dequeue(s));
}

/* An interrupt makes every waiting task go on, to be told. */
static void spread_interrupt(struct sched *s) {
  if (!interrupt.on || interrupt.loop != s->loop || s->spread == (unsigned)interrupt.count)
    return;
  s->spread = (unsigned)interrupt.count;
  for (struct task *t = s->live; t; t = t->next_live)
    if (t->state == TASK_WAITING && t->seen != s->spread)
      enqueue(s, t);
}

static void on_task_done(struct ev_op *op, int result) {
  (void)result;
  struct task *t = op->owner;
  t->state = TASK_READY;
  enqueue(t->sched, t);
}

static void on_here_done(struct ev_op *op, int result) {
  (void)result;
  *(int *)op->owner = 1;
}

static int in_finalizer(lua_State *L) {
  return lua_gc(L, LUA_GCCOUNT) < 0; /* the collector refuses all requests then */
}

/* Ends an operation whose caller will not go on with it. */
static void drop(struct ev_op *op) {
  if (op->loop || op->result == OP_EVENT)
    ev_cancel(op);
  op->result = OP_DONE;
}

static int raise_cancelled(lua_State *L, struct task *t) {
  t->cancelling = 0;
  return l_raise(L, "cancelled", "task was cancelled", NULL);
}

/* Goes on after op has ended. */
static int go_on(lua_State *L, struct ev_op *op, int status, lua_KContext ctx, lua_KFunction k) {
  switch (op->result) {
  case EV_EBUSY:
    op->result = OP_DONE;
    return luaL_error(L, "busy: another task waits for this handle");
  case EV_EBADF:
    op->result = OP_DONE;
    return luaL_error(L, "handle cannot be waited for");
  case EV_ENOMEM:
    op->result = OP_DONE;
    return luaL_error(L, "not enough memory");
  default:
    return k(L, status, ctx);
  }
}

static int await_k(lua_State *L, int status, lua_KContext ctx) {
  struct ev_op *op = (struct ev_op *)ctx;
  struct sched *s = l_sched_get(L);
  struct task *t = s->current;
  t->op = NULL;
  if (interrupt_due(s)) {
    drop(op);
    return raise_interrupt(L, s);
  }
  if (op->loop) { /* woken to be told of an interrupt that is history now */
    t->op = op;
    return l_sched_yield(L, ctx, await_k);
  }
  return go_on(L, op, status, t->ctx, t->k);
}

/* Yields the running task until op has ended, or for one round if it already has. */
static int await_in_task(lua_State *L, struct task *t, struct ev_op *op, lua_KContext ctx, lua_KFunction k) {
  t->op = op;
  t->k = k;
  t->ctx = ctx;
  return l_sched_yield(L, (lua_KContext)op, await_k);
}

/* Runs the loop until op has ended. */
static int await_here(lua_State *L, struct sched *s, struct ev_op *op, int *over, lua_KContext ctx,
                      lua_KFunction k) {
  int final = in_finalizer(L);
  int alone = final || s->depth >= SCHED_DEPTH; /* no task goes on then, only operations */
  s->depth++;
  while (!*over) {
    int interrupted = !final && interrupt_due(s);
    int cancelled = !final && s->current && s->current->cancelling;
    if (interrupted || cancelled) {
      s->depth--;
      drop(op);
      return interrupted ? raise_interrupt(L, s) : raise_cancelled(L, s->current);
    }
    if (!alone)
      run_ready(L, s);
    int ready = *over || (!alone && s->head);
    if (!ev_turn(s->loop, ready ? 0 : EV_FOREVER) && !ready) {
      s->depth--;
      drop(op);
      return luaL_error(L, "deadlock: nothing is left that could end this wait");
    }
    spread_interrupt(s);
  }
  s->depth--;
  return go_on(L, op, LUA_OK, ctx, k);
}

int l_await(lua_State *L, struct ev_op *op, lua_KContext ctx, lua_KFunction k) {
  enum { SPINS = 64 };
  struct sched *s = l_sched_get(L);
  if (!s->loop)
    return luaL_error(L, "the event loop is closed");
  luaL_checkstack(L, 8, NULL);
  if (!in_finalizer(L)) {
    if (interrupt_due(s)) {
      drop(op);
      return raise_interrupt(L, s);
    }
    if (s->current && s->current->cancelling) {
      drop(op);
      return raise_cancelled(L, s->current);
    }
  }
  struct frame *f = s->frame;
  int yields = f && f->co == L && f->yields && lua_isyieldable(L);
  int over = 0;
  op->owner = yields ? (void *)s->current : (void *)&over;
  int result = ev_start(s->loop, op, op->result == OP_EVENT ? EV_RESUME : EV_START,
                        yields ? on_task_done : on_here_done);
  if (result == OP_WAIT)
    return yields ? await_in_task(L, s->current, op, ctx, k) : await_here(L, s, op, &over, ctx, k);
  if (yields && result >= 0 && ++s->current->spins > SPINS) { /* never waits: let the others run */
    enqueue(s, s->current);
    return await_in_task(L, s->current, op, ctx, k);
  }
  return go_on(L, op, LUA_OK, ctx, k);
}

/* --- sleep --------------------------------------------------------------------------------------------- */

static int sleep_step(struct ev_op *op, int why) {
  (void)op;
  return why == EV_START ? OP_WAIT : OP_DONE; /* 0 s lets the others run, too */
}

int l_sleep(lua_State *L, double seconds, lua_KContext ctx, lua_KFunction k) {
  struct ev_op *op = lua_newuserdatauv(L, sizeof *op, 0);
  *op = (struct ev_op){.step = sleep_step, .fd = -1, .deadline = ev_now() + seconds};
  return l_await(L, op, ctx, k);
}

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
  lua_pushcfunction(t->co, task_main);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, on_error, 1);
  lua_insert(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &SCHED_KEY);
  lua_getiuservalue(L, -1, 1);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, s->next_id + 1);
  lua_pop(L, 2);
  lua_xmove(L, t->co, nargs + 2);
  t->id = ++s->next_id;
  t->seen = *seen_of(s);
  t->next_live = s->live;
  s->live = t;
  s->live_count++;
  enqueue(s, t);
  return 1;
}

/* A wait for tasks to end: one, or all. */
struct join {
  struct ev_op op;
  struct ev_link link; /* in sched.joins */
  struct sched *sched;
  struct task *task; /* NULL: all */
};

static void on_join_wake(struct sched *s) {
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
    unanchor(L, t);
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
    drop(t->op);
    t->op = NULL;
  }
  unqueue(s, t);
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
  finish(L, t, status == LUA_OK ? TASK_CANCELLED : TASK_FAILED, status == LUA_OK ? 0 : 1);
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
  lua_rawgetp(L, LUA_REGISTRYINDEX, &SCHED_KEY);
  lua_getiuservalue(L, -1, 1);
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
  lua_rawgetp(L, LUA_REGISTRYINDEX, &SCHED_KEY);
  lua_getiuservalue(L, -1, 1);
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
    s->seen = (unsigned)interrupt.count;
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

/* --- the state's scheduler --------------------------------------------------------------------------------
 */

static int l_sched_gc(lua_State *L) {
  struct sched *s = lua_touserdata(L, 1);
  if (interrupt.loop && interrupt.loop == s->loop)
    l_interrupts_off(L);
  ev_free(s->loop);
  s->loop = NULL;
  return 0;
}

static struct sched *l_sched_new(lua_State *L) {
  luaL_checkstack(L, 8, NULL);
  struct sched *s = lua_newuserdatauv(L, sizeof *s, 1);
  memset(s, 0, sizeof *s);
  s->tail = &s->head;
  s->joins.prev = s->joins.next = &s->joins;
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_sched_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  s->loop = ev_new();
  if (!s->loop)
    luaL_error(L, "cannot make an event loop");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &SCHED_KEY);
  return s;
}

struct sched *l_sched_get(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &SCHED_KEY);
  struct sched *s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return s ? s : l_sched_new(L);
}

struct ev *l_loop(lua_State *L) {
  return l_sched_get(L)->loop;
}

/* Remembers the metatable of error objects. */
static void keep_error_class(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "esp.error");
  if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_istable(L, -1)) {
    lua_getfield(L, -1, "mt");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ERROR_KEY);
  }
  lua_pop(L, 1);
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
  int first = lua_rawgetp(L, LUA_REGISTRYINDEX, &ERROR_KEY) == LUA_TNIL;
  l_sched_get(L);
  if (first) {
    keep_error_class(L);
    l_sched_patch_coroutines(L);
  }
  luaL_newlib(L, functions);
  return 1;
}
