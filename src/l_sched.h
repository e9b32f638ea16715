/* l_sched.h - the scheduler of tasks: what l_task.c and l_coroutine.c share. */
#ifndef L_SCHED_H
#define L_SCHED_H

#include "ev.h"

#include <lua.h>
#include <lauxlib.h>

#define TASK_TYPE "esp.task"

enum { SCHED_DEPTH = 16 }; /* how deep waits and coroutines may nest and still let other tasks run */

enum task_state { TASK_NEW, TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DONE, TASK_FAILED, TASK_CANCELLED };

struct task {
  struct sched *sched;
  lua_State *co; /* uservalue 1. Holds the results, or the error on top, when finished */
  int id;        /* key in the table of tasks while anchored */
  enum task_state state;
  int queued, results, observed, cancelling;
  int spins;        /* operations in a row that were over at once */
  unsigned seen;    /* the last interrupt that it has been told of */
  struct ev_op *op; /* while it waits */
  lua_KFunction k;  /* then goes on here */
  lua_KContext ctx;
  lua_State *pass[SCHED_DEPTH]; /* coroutines through which its wait was passed, innermost first */
  int passes;
  struct task *next;      /* in the queue of tasks that can go on */
  struct task *next_live; /* in the list of all that are not finished */
};

/* A coroutine that is running; on the C stack of whoever resumed it. */
struct frame {
  lua_State *co;
  struct frame *prev;
  int yields; /* a wait in it can be passed on to the scheduler */
  int depth;
};

struct sched {
  struct ev *loop; /* NULL: the state is being closed */
  struct task *head, **tail;
  struct task *live;
  int live_count, next_id;
  struct task *current; /* the task that runs */
  struct frame *frame;  /* the coroutine that runs; NULL: none that we resumed */
  int depth;            /* waits that run the loop, inside each other */
  unsigned seen;        /* the last interrupt that the main program has been told of */
  unsigned spread;      /* the last interrupt for which waiting tasks were woken */
  struct ev_link joins; /* waits of join and run */
};

/* The scheduler of this Lua state. */
struct sched *l_sched_get(lua_State *L);

/* Replaces resume, wrap, close and status of the coroutine library by versions through which a wait passes.
 */
void l_sched_patch_coroutines(lua_State *L);

/* Takes the mark of a wait off the stack of a coroutine that has yielded. Returns 0 if it yielded otherwise.
 */
int l_sched_pop_mark(lua_State *co, int nresults);

/* Yields L as one that waits; k is called when it goes on. */
int l_sched_yield(lua_State *L, lua_KContext ctx, lua_KFunction k);

/* lua_resume with bookkeeping: co is what runs now. */
int l_sched_resume(struct sched *s, lua_State *from, lua_State *co, int nargs, int *nresults, int yields);

/* Makes the scheduler of this Lua state, once, and prepares the state for it. */
void l_sched_set_up(lua_State *L);

/* Puts a task at the end of those that can go on, unless it is there. */
void l_sched_enqueue(struct sched *s, struct task *t);
void l_sched_unqueue(struct sched *s, struct task *t);

/* The function of a task's coroutine, and the message handler that it is called with. */
int l_sched_main(lua_State *L);
int l_sched_on_error(lua_State *L);

/* A task has ended: with `results` values, or an error, on top of its stack. */
void l_sched_finish(lua_State *L, struct task *t, enum task_state state, int results);

/* Drops the scheduler's reference to a task: it can be collected. */
void l_sched_unanchor(lua_State *L, struct task *t);

/* Pushes the scheduler and its table of tasks by id. */
void l_sched_push_tasks(lua_State *L);

/* Ends an operation whose caller will not go on with it. */
void l_sched_drop(struct ev_op *op);

/* Wakes those who wait for tasks to end (l_task.c). */
void l_sched_wake_joins(struct sched *s);

/* The last interrupt of which what runs has been told; how many there were. */
unsigned *l_sched_seen(struct sched *s);
unsigned l_interrupt_count(void);

#endif
