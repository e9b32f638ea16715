/* repl.h - the prompt. */
#ifndef REPL_H
#define REPL_H

#include <lua.h>

/* Calls the function below its nargs arguments on the stack; reports an error to the user.
 * Returns LUA_OK, with the results on the stack, or an error status with nothing. */
typedef int repl_call(lua_State *L, int nargs, int nresults);

/* Reads and runs lines until the input ends. On a terminal with line editing, completion by the tab key and a
 * history that is kept between runs; otherwise plain lines without prompts. */
void repl_run(lua_State *L, repl_call *call);

#endif
