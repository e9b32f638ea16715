/* l_sched.c - the scheduler of tasks: who goes on when, the one place where the program waits, and Ctrl-C. */
#include "l_sched.h"
#include "l_core.h"
#include "l_task.h"

#include <signal.h>
#include <string.h>

static const char SCHED_KEY, ERROR_KEY, MARK_KEY; /* their addresses are keys in the registry, and the mark */

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

unsigned *l_sched_seen(struct sched *s) {
  return s->current ? &s->current->seen : &s->seen;
}

/* Whether the task or main program that runs has not been told yet. */
static int interrupt_due(struct sched *s) {
  return interrupt.on && interrupt.loop == s->loop && *l_sched_seen(s) != (unsigned)interrupt.count;
}

static int raise_interrupt(lua_State *L, struct sched *s) {
  *l_sched_seen(s) = (unsigned)interrupt.count;
  return l_raise(L, "interrupted", "interrupted", NULL);
}

unsigned l_interrupt_count(void) {
  return (unsigned)interrupt.count;
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

void l_sched_enqueue(struct sched *s, struct task *t) {
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

void l_sched_unqueue(struct sched *s, struct task *t) {
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
void l_sched_unanchor(lua_State *L, struct task *t) {
  l_sched_push_tasks(L);
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

void l_sched_finish(lua_State *L, struct task *t, enum task_state state, int results) {
  struct sched *s = t->sched;
  t->state = state;
  t->results = results;
  t->op = NULL;
  t->passes = 0;
  l_sched_unqueue(s, t);
  unlink_live(s, t);
  if (state != TASK_FAILED)
    l_sched_unanchor(L, t);
  l_sched_wake_joins(s);
}

/* Errors that nobody has caught yet end here: what was on the stack is remembered for --debug. */
int l_sched_on_error(lua_State *L) {
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

int l_sched_main(lua_State *L) {
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
      l_sched_enqueue(s, t);
    }
    return;
  }
  if (status == LUA_OK && lua_toboolean(t->co, -nresults)) {
    l_sched_finish(L, t, TASK_DONE, nresults - 1);
    return;
  }
  if (status != LUA_OK)
    lua_resetthread(t->co);
  l_sched_finish(L, t, TASK_FAILED, 1);
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
      l_sched_enqueue(s, t);
}

static void on_task_done(struct ev_op *op, int result) {
  (void)result;
  struct task *t = op->owner;
  t->state = TASK_READY;
  l_sched_enqueue(t->sched, t);
}

static void on_here_done(struct ev_op *op, int result) {
  (void)result;
  *(int *)op->owner = 1;
}

static int in_finalizer(lua_State *L) {
  return lua_gc(L, LUA_GCCOUNT) < 0; /* the collector refuses all requests then */
}

/* Ends an operation whose caller will not go on with it. */
void l_sched_drop(struct ev_op *op) {
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
    l_sched_drop(op);
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
      l_sched_drop(op);
      return interrupted ? raise_interrupt(L, s) : raise_cancelled(L, s->current);
    }
    if (!alone)
      run_ready(L, s);
    int ready = *over || (!alone && s->head);
    if (!ev_turn(s->loop, ready ? 0 : EV_FOREVER) && !ready) {
      s->depth--;
      l_sched_drop(op);
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
      l_sched_drop(op);
      return raise_interrupt(L, s);
    }
    if (s->current && s->current->cancelling) {
      l_sched_drop(op);
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
    l_sched_enqueue(s, s->current);
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

void l_sched_push_tasks(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &SCHED_KEY);
  lua_getiuservalue(L, -1, 1);
}

struct ev *l_loop(lua_State *L) {
  return l_sched_get(L)->loop;
}

/* Remembers the metatable of error objects. */
static void keep_errors(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "esp.error");
  if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_istable(L, -1)) {
    lua_getfield(L, -1, "mt");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ERROR_KEY);
  }
  lua_pop(L, 1);
}

void l_sched_set_up(lua_State *L) {
  int first = lua_rawgetp(L, LUA_REGISTRYINDEX, &ERROR_KEY) == LUA_TNIL;
  lua_pop(L, 1);
  l_sched_get(L);
  if (first) {
    keep_errors(L);
    l_sched_patch_coroutines(L);
  }
}
