/* l_task.h - waiting, for the bindings: the one place where the program waits. */
#ifndef L_TASK_H
#define L_TASK_H

#include "ev.h"

#include <lua.h>

/* Runs op until its step returns OP_DONE or OP_EVENT (op->result says which), then continues with
 * k(L, status, ctx) and returns what k returns: `return l_await(L, op, ctx, k);` must be the last thing that
 * a C function does, and k finds the stack as it was left.
 *
 * Inside a task this yields to the scheduler, from coroutines of the script as well; elsewhere it runs the
 * loop, and other tasks go on meanwhile. A fresh op is zeroed but for step and cancel and starts with
 * EV_START; after OP_EVENT the next l_await with the same op goes on with EV_RESUME (call ev_cancel if there
 * is to be no next one).
 *
 * op must stay where it is until k runs: keep it in a userdata on the stack of L. Raises, with op cancelled:
 * a plain error when another task waits for the same handle; an error object with code "interrupted" after
 * Ctrl-C; in a task that was cancelled while it could not be closed, one with code "cancelled". */
int l_await(lua_State *L, struct ev_op *op, lua_KContext ctx, lua_KFunction k);

/* Waits for seconds, then k. */
int l_sleep(lua_State *L, double seconds, lua_KContext ctx, lua_KFunction k);

/* The loop of this Lua state. It is made on first use; raises when that fails. */
struct ev *l_loop(lua_State *L);

/* Raises an error object of ours, as esp.error does. hint may be NULL. */
int l_raise(lua_State *L, const char *code, const char *message, const char *hint);

/* From now on the first Ctrl-C interrupts the script: every wait, and Lua code that runs, raises an error
 * object with code "interrupted" once per task, so that cleaning up may wait again. The second one ends the
 * process. Calling it again arms the first Ctrl-C again. One Lua state per process can have this. */
void l_interrupts_on(lua_State *L);

/* Gives Ctrl-C back to the process. */
void l_interrupts_off(lua_State *L);

/* Whether Ctrl-C was pressed since l_interrupts_on. */
int l_interrupted(lua_State *L);

/* To be called before lua_close: after an interrupt lets tasks clean up for some seconds, then cancels
 * those that are left, so that their <close> variables run. Pushes the error of a task that failed unnoticed
 * and returns 1, or returns 0. */
int l_task_shutdown(lua_State *L);

#endif
