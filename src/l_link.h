/* l_link.h - what the parts of the binding of links share. */
#ifndef L_LINK_H
#define L_LINK_H

#include "link_ops.h"
#include "stream.h"
#include "stream_fast.h"
#include "stream_window.h"

#include <lua.h>

#define LINK_TYPE "esp.link"
#define LINK_OP_TYPE "esp.link.op"

/* Where a method that starts an operation keeps things on the stack. */
enum {
  SLOT_SELF = 1, /* the link; arguments up to SLOT_OPTIONS */
  SLOT_DATA,
  SLOT_OPTIONS,
  SLOT_PAYLOAD,
  SLOT_SINK,
  SLOT_PROGRESS,
  SLOT_ERASE,
  SLOT_OP /* the operation */
};
enum { LINK_USER_PORT = 1, LINK_USER_TRACE = 2 }; /* user values of a link */

struct llink {
  struct link k;
  double traced; /* when the last packet was */
};

/* An operation on its way. */
struct lop {
  union {
    struct link_op o;
    struct link_command command;
    struct link_sync sync;
    struct link_flush flush;
    struct link_receive receive;
    struct link_read read;
    struct link_send send;
    struct stream_write write;
    struct stream_window ahead;
    struct stream_read flash;
    struct stream_fast fast;
  };
  enum { KIND_SIMPLE, KIND_WRITE, KIND_AHEAD, KIND_READ, KIND_FAST } kind;
  int (*finish)(lua_State *L, struct lop *u); /* pushes the results */
  int events;                                 /* that the script is still to be told of */
  int telling;                                /* the one that it is being told of */
  uint8_t kept[];
};

/* The link at SLOT_SELF; raises if it is closed. */
struct llink *l_link_check(lua_State *L);

/* The same, and it can be used now: its port is open and nothing is in flight. */
struct link *l_link_idle(lua_State *L);

/* Arranges the arguments and puts a new operation, with kept bytes behind it, at SLOT_OP. It is closed on
 * every way out of the method. */
struct lop *l_link_op(lua_State *L, size_t kept);

/* Runs it to its end, calling the script's functions on the way, and returns what finish returns. */
int l_link_run(lua_State *L, struct lop *u, int (*finish)(lua_State *, struct lop *));

/* Pushes nil, message, code, { op =, status =, error = } for u->o.result. Returns 4. */
int l_link_failure(lua_State *L, struct lop *u);

/* Sets a field of the table on top. */
void l_link_set_int(lua_State *L, const char *name, lua_Integer v);

/* Registers the class of operations. */
void l_link_open_ops(lua_State *L);

/* Methods of l_link_stream.c. */
int l_link_write_mem(lua_State *L);
int l_link_write_flash(lua_State *L);
int l_link_read_flash_slow(lua_State *L);
int l_link_read_flash(lua_State *L);

#endif
