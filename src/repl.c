/* repl.c - the prompt: line editing by libedit, history, completion. */
#include "repl.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <lauxlib.h>

enum { HISTORY_SIZE = 1000, PATH_ROOM = 4096, MAX_MATCHES = 200, DROPPED = -1 };

struct repl {
  lua_State *L;
  EditLine *el; /* NULL: plain reading */
  History *history;
  char prompt[80];
  int interrupted;      /* Ctrl-C was pressed at the prompt */
  char path[PATH_ROOM]; /* of the history; empty: none */
};

/* --- history ------------------------------------------------------------------------------------------ */

/* Makes the folders of path. */
static void make_folders(char *path) {
  for (char *p = path + 1; *p; p++)
    if (*p == '/') {
      *p = '\0';
      mkdir(path, 0700);
      *p = '/';
    }
}

/* $XDG_STATE_HOME/esplua/history, or ~/.local/state/esplua/history. */
static void find_history(struct repl *r) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  int n = 0;
  if (state && state[0] == '/')
    n = snprintf(r->path, sizeof r->path, "%s/esplua/history", state);
  else if (home && home[0] == '/')
    n = snprintf(r->path, sizeof r->path, "%s/.local/state/esplua/history", home);
  if (n <= 0 || n >= (int)sizeof r->path)
    r->path[0] = '\0';
}

static void remember(struct repl *r, const char *line) {
  HistEvent ev;
  if (!r->history || line[strspn(line, " \t\n")] == '\0')
    return;
  history(r->history, &ev, H_ENTER, line);
}

static void save_history(struct repl *r) {
  HistEvent ev;
  if (!r->history || !r->path[0])
    return;
  make_folders(r->path);
  mode_t mask = umask(077);
  history(r->history, &ev, H_SAVE, r->path);
  umask(mask);
}

/* --- completion ----------------------------------------------------------------------------------------- */

static int is_name(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Pushes what the fields of `chain` ("esp.ports:") lead to from the globals, without calling functions of the
 * script. Returns 0 if it leads nowhere. */
static int push_holder(lua_State *L, const char *chain, size_t length) {
  lua_pushglobaltable(L);
  while (length > 0) {
    size_t n = 0;
    while (n < length && is_name(chain[n]))
      n++;
    if (n == 0 || n == length)
      return 0;
    if (!lua_istable(L, -1))
      return 0;
    lua_pushlstring(L, chain, n);
    lua_rawget(L, -2);
    lua_replace(L, -2);
    chain += n + 1;
    length -= n + 1;
  }
  return 1;
}

/* Adds the string keys of the table on top that begin with word. Pops the table. */
static void collect(lua_State *L, int list, const char *word, size_t length) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -2) == LUA_TSTRING && strncmp(lua_tostring(L, -2), word, length) == 0) {
      const char *close = lua_isfunction(L, -1) ? "(" : "";
      lua_pushfstring(L, "%s%s", lua_tostring(L, -2), close);
      lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Completes the word before the cursor. Arguments: the line up to the cursor. Returns list, length of the
 * word. */
static int complete(lua_State *L) {
  size_t end, at;
  const char *line = lua_tolstring(L, 1, &end);
  for (at = end; at > 0 && is_name(line[at - 1]); at--)
    ;
  size_t start = at;
  while (start > 0 && (is_name(line[start - 1]) || line[start - 1] == '.' || line[start - 1] == ':'))
    start--;
  lua_newtable(L);
  int list = lua_gettop(L);
  lua_pushinteger(L, (lua_Integer)(end - at));
  if (push_holder(L, line + start, at - start)) {
    int holder = lua_gettop(L);
    for (int depth = 0; depth < 4; depth++) { /* the value's fields, then those of its __index tables */
      if (lua_istable(L, -1)) {
        lua_pushvalue(L, -1);
        collect(L, list, line + at, end - at);
      }
      if (luaL_getmetafield(L, holder, "__index") != LUA_TTABLE) {
        lua_settop(L, holder);
        if (luaL_getmetafield(L, holder, "__methods") != LUA_TTABLE) /* where __index is a function */
          break;
      }
      lua_replace(L, holder);
    }
  }
  lua_settop(L, list + 1);
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "sort");
  lua_pushvalue(L, list);
  lua_call(L, 1, 0);
  lua_settop(L, list + 1);
  return 2;
}

/* The part that all entries of the list on top begin with. */
static size_t common_length(lua_State *L, lua_Integer n) {
  lua_rawgeti(L, -1, 1);
  const char *first = lua_tostring(L, -1);
  size_t common = strlen(first);
  for (lua_Integer i = 2; i <= n; i++) {
    lua_rawgeti(L, -2, i);
    const char *other = lua_tostring(L, -1);
    size_t k = 0;
    while (k < common && other[k] == first[k])
      k++;
    common = k;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return common;
}

static void show_matches(lua_State *L, lua_Integer n) {
  enum { COLUMNS = 4, WIDTH = 18 };
  fputc('\n', stdout);
  for (lua_Integer i = 1; i <= n && i <= MAX_MATCHES; i++) {
    lua_rawgeti(L, -1, i);
    printf("%-*s%s", WIDTH, lua_tostring(L, -1), i % COLUMNS == 0 || i == n ? "\n" : " ");
    lua_pop(L, 1);
  }
  if (n > MAX_MATCHES)
    fputs("...\n", stdout);
  fflush(stdout);
}

static unsigned char on_tab(EditLine *el, int c) {
  (void)c;
  struct repl *r;
  el_get(el, EL_CLIENTDATA, &r);
  lua_State *L = r->L;
  const LineInfo *line = el_line(el);
  int top = lua_gettop(L), result = CC_ERROR;
  lua_pushcfunction(L, complete);
  lua_pushlstring(L, line->buffer, (size_t)(line->cursor - line->buffer));
  if (lua_pcall(L, 1, 2, 0) == LUA_OK) {
    size_t typed = (size_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    size_t common = n > 0 ? common_length(L, n) : 0;
    if (common > typed) {
      lua_rawgeti(L, -1, 1);
      lua_pushlstring(L, lua_tostring(L, -1) + typed, common - typed);
      el_insertstr(el, lua_tostring(L, -1));
      result = CC_REFRESH;
    } else if (n > 1) {
      show_matches(L, n);
      result = CC_REDISPLAY;
    }
  }
  lua_settop(L, top);
  return (unsigned char)result;
}

/* --- reading
 * ------------------------------------------------------------------------------------------------ */

static unsigned char on_ctrl_c(EditLine *el, int c) {
  (void)c;
  struct repl *r;
  el_get(el, EL_CLIENTDATA, &r);
  r->interrupted = 1;
  return CC_NEWLINE;
}

static unsigned char on_ctrl_z(EditLine *el, int c) {
  (void)el;
  (void)c;
  kill(0, SIGTSTP); /* the editor gives the terminal back before it stops */
  return CC_REFRESH;
}

static char *get_prompt(EditLine *el) {
  struct repl *r;
  el_get(el, EL_CLIENTDATA, &r);
  return r->prompt;
}

static void open_editor(struct repl *r) {
  const char *term = getenv("TERM");
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !term || strcmp(term, "dumb") == 0)
    return;
  setlocale(LC_CTYPE, "");
  r->el = el_init("esplua", stdin, stdout, stderr);
  if (!r->el)
    return;
  el_set(r->el, EL_CLIENTDATA, r);
  el_set(r->el, EL_PROMPT, get_prompt);
  el_set(r->el, EL_EDITOR, "emacs");
  el_set(r->el, EL_SETTY, "-d", "-isig", NULL); /* at the prompt Ctrl-C and Ctrl-Z are keys */
  el_set(r->el, EL_ADDFN, "complete-name", "complete a Lua name", on_tab);
  el_set(r->el, EL_ADDFN, "drop-line", "drop the line", on_ctrl_c);
  el_set(r->el, EL_ADDFN, "stop-process", "stop the process", on_ctrl_z);
  el_set(r->el, EL_BIND, "^Z", "stop-process", NULL);
  el_set(r->el, EL_BIND, "^I", "complete-name", NULL);
  el_set(r->el, EL_BIND, "^C", "drop-line", NULL);
  el_set(r->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
  el_set(r->el, EL_SIGNAL, 1);
  HistEvent ev;
  r->history = history_init();
  if (r->history) {
    history(r->history, &ev, H_SETSIZE, HISTORY_SIZE);
    history(r->history, &ev, H_SETUNIQUE, 1);
    el_set(r->el, EL_HIST, history, r->history);
    find_history(r);
    if (r->path[0])
      history(r->history, &ev, H_LOAD, r->path);
  }
  el_source(r->el, NULL); /* the user's ~/.editrc */
}

static void close_editor(struct repl *r) {
  save_history(r);
  if (r->history)
    history_end(r->history);
  if (r->el)
    el_end(r->el);
}

static void set_prompt(struct repl *r, int first) {
  lua_State *L = r->L;
  const char *text = first ? "> " : ">> ";
  int top = lua_gettop(L);
  if (lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2") != LUA_TNIL)
    text = luaL_tolstring(L, -1, NULL);
  snprintf(r->prompt, sizeof r->prompt, "%s", text);
  lua_settop(L, top);
}

/* Pushes a line without its newline. Returns 0 at the end of the input. */
static int push_line(struct repl *r, int first) {
  lua_State *L = r->L;
  const char *text;
  if (r->el) {
    int n;
    set_prompt(r, first);
    r->interrupted = 0;
    text = el_gets(r->el, &n);
    if (!text || n <= 0)
      return 0;
    if (r->interrupted) {
      fputs("^C\n", stdout);
      lua_pushliteral(L, "");
      return 1;
    }
    lua_pushlstring(L, text, text[n - 1] == '\n' ? (size_t)n - 1 : (size_t)n);
    return 1;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  int c, any = 0;
  while ((c = getc(stdin)) != EOF && c != '\n') {
    luaL_addchar(&b, (char)c);
    any = 1;
  }
  luaL_pushresult(&b);
  return any || c == '\n';
}

/* Whether the error message on top says that the input ended too early; pops it then. */
static int is_incomplete(lua_State *L, int status) {
  static const char mark[] = "<eof>";
  size_t n;
  const char *message = status == LUA_ERRSYNTAX ? lua_tolstring(L, -1, &n) : NULL;
  if (!message || n < sizeof mark - 1 || strcmp(message + n - (sizeof mark - 1), mark) != 0)
    return 0;
  lua_pop(L, 1);
  return 1;
}

/* Compiles the line at index 1 as an expression. On failure pushes nothing. */
static int load_expression(lua_State *L) {
  const char *line = lua_tostring(L, 1);
  const char *text = lua_pushfstring(L, "return %s;", line[0] == '=' ? line + 1 : line);
  int status = luaL_loadbuffer(L, text, strlen(text), "=stdin");
  lua_remove(L, 2);
  if (status != LUA_OK)
    lua_pop(L, 1);
  return status;
}

/* Compiles the statement that begins with the line at index 1, reading on while it is incomplete.
 * DROPPED: Ctrl-C was pressed. */
static int load_statement(struct repl *r) {
  lua_State *L = r->L;
  for (;;) {
    size_t n;
    const char *text = lua_tolstring(L, 1, &n);
    int status = luaL_loadbuffer(L, text, n, "=stdin");
    if (!is_incomplete(L, status))
      return status;
    lua_settop(L, 1);
    if (!push_line(r, 0)) {
      lua_settop(L, 0);
      lua_pushliteral(L, "stdin: the input ends within a statement");
      return LUA_ERRSYNTAX;
    }
    if (r->interrupted)
      return DROPPED;
    lua_pushliteral(L, "\n");
    lua_insert(L, 2);
    lua_concat(L, 3);
  }
}

/* Runs the function on the stack and prints its results. */
static void run(struct repl *r, repl_call *call) {
  lua_State *L = r->L;
  lua_replace(L, 1);
  lua_settop(L, 1);
  if (call(L, 0, LUA_MULTRET) != LUA_OK || lua_gettop(L) == 0)
    return;
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  call(L, lua_gettop(L) - 1, 0);
}

static int raise_top(lua_State *L) {
  return lua_error(L);
}

void repl_run(lua_State *L, repl_call *call) {
  struct repl r = {.L = L};
  lua_settop(L, 0);
  open_editor(&r);
  while (push_line(&r, 1)) {
    int status = load_expression(L);
    if (status != LUA_OK)
      status = load_statement(&r);
    if (lua_type(L, 1) == LUA_TSTRING)
      remember(&r, lua_tostring(L, 1));
    if (status == LUA_OK) {
      run(&r, call);
    } else if (status != DROPPED) {
      lua_pushcfunction(L, raise_top);
      lua_insert(L, -2);
      call(L, 1, 0);
    }
    fflush(stdout);
    lua_settop(L, 0);
  }
  lua_settop(L, 0);
  if (r.el)
    fputc('\n', stdout);
  close_editor(&r);
}
