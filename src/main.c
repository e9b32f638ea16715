/* main.c - the interpreter: options as lua has them, then a script or the prompt. */
#include "l_core.h"
#include "l_task.h"
#include "repl.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <lualib.h>

enum { STATUS_SCRIPT = 1, STATUS_USAGE = 2, STATUS_INTERNAL = 70, STATUS_OUTPUT = 16 };

struct options {
  int interactive, version, code, no_env, warnings, debug;
  int script;       /* index of the script in argv, argc if there is none */
  const char *text; /* "help", "version" or "licenses": function of esp.shell whose text to print */
};

static const char DEBUG_KEY, TRACE_KEY; /* keys in the registry */

/* --- options ------------------------------------------------------------------------------------------ */

static int long_option(struct options *o, const char *name) {
  if (strcmp(name, "--debug") == 0)
    o->debug = 1;
  else if (strcmp(name, "--help") == 0 || strcmp(name, "--version") == 0 || strcmp(name, "--licenses") == 0)
    o->text = name + 2;
  else
    return 0;
  return 1;
}

/* Reads the options before the script. Returns 0, or the index of a word that is wrong. */
static int read_options(struct options *o, int argc, char **argv) {
  int i = 1;
  for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
    const char *a = argv[i];
    if (strcmp(a, "--") == 0) {
      i++;
      break;
    }
    if (a[1] == '-') {
      if (!long_option(o, a))
        return i;
      continue;
    }
    if (a[1] == 'e' || a[1] == 'l') { /* the value: behind the letter or the next word */
      o->code |= a[1] == 'e';
      if (a[2] == '\0' && (++i >= argc || (argv[i][0] == '-' && a[1] == 'l')))
        return i - 1;
      continue;
    }
    if (a[2] != '\0' || !strchr("ivEWh", a[1]))
      return i;
    o->interactive |= a[1] == 'i';
    o->version |= a[1] == 'v' || a[1] == 'i';
    o->no_env |= a[1] == 'E';
    o->warnings |= a[1] == 'W';
    if (a[1] == 'h')
      o->text = "help";
  }
  o->script = i < argc ? i : argc;
  return 0;
}

static void set_arg(lua_State *L, int argc, char **argv, int script) {
  int zero = script < argc ? script : 0;
  lua_createtable(L, argc - zero, zero + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - zero);
  }
  lua_setglobal(L, "arg");
}

/* --- calls and their errors ----------------------------------------------------------------------------- */

/* Pushes a function of a module of ours. */
static void push_function(lua_State *L, const char *module, const char *name) {
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

/* Message handler: remembers the traceback when asked for. */
static int on_error(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &DEBUG_KEY) != LUA_TNIL) {
    luaL_traceback(L, L, NULL, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &TRACE_KEY);
  }
  lua_settop(L, 1);
  return 1;
}

static int report_error(lua_State *L) {
  push_function(L, "esp.shell", "failure");
  lua_insert(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &TRACE_KEY);
  lua_call(L, 2, 1);
  return 1;
}

/* Tells the user of the error on top of the stack, which is popped. Returns the exit status. */
static int failed(lua_State *L) {
  lua_pushcfunction(L, report_error);
  lua_pushvalue(L, -2);
  int status = STATUS_SCRIPT;
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    status = (int)lua_tointeger(L, -1);
  else
    fprintf(stderr, "esplua: %s\n", lua_isstring(L, -2) ? lua_tostring(L, -2) : "error in the error report");
  lua_pop(L, 2);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &TRACE_KEY);
  return status;
}

/* Calls with traceback and Ctrl-C. */
static int call(lua_State *L, int nargs, int nresults) {
  int base = lua_gettop(L) - nargs;
  lua_pushcfunction(L, on_error);
  lua_insert(L, base);
  l_interrupts_on(L);
  int status = lua_pcall(L, nargs, nresults, base);
  lua_remove(L, base);
  return status;
}

/* The same for the prompt, which goes on after an error. */
static int call_and_tell(lua_State *L, int nargs, int nresults) {
  int status = call(L, nargs, nresults);
  l_interrupts_off(L); /* at the prompt Ctrl-C is a key */
  if (status != LUA_OK)
    failed(L);
  return status;
}

/* --- what is run ------------------------------------------------------------------------------------------
 */

static int run_text(lua_State *L, const char *text, const char *name) {
  int status = luaL_loadbuffer(L, text, strlen(text), name);
  if (status == LUA_OK)
    status = call(L, 0, 0);
  return status == LUA_OK ? 0 : failed(L);
}

static int run_init(lua_State *L) {
  const char *name = "=LUA_INIT_5_4", *init = getenv(name + 1);
  if (!init)
    init = getenv((name = "=LUA_INIT") + 1);
  if (!init)
    return 0;
  if (init[0] != '@')
    return run_text(L, init, name);
  int status = luaL_loadfile(L, init + 1);
  if (status == LUA_OK)
    status = call(L, 0, 0);
  return status == LUA_OK ? 0 : failed(L);
}

/* -l name, -l global=name */
static int run_library(lua_State *L, const char *text) {
  const char *mark = strchr(text, '='), *module = mark ? mark + 1 : text;
  if (mark)
    lua_pushlstring(L, text, (size_t)(mark - text));
  else
    lua_pushstring(L, text);
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  if (call(L, 1, 1) != LUA_OK) {
    int status = failed(L);
    lua_pop(L, 1);
    return status;
  }
  lua_pushglobaltable(L);
  lua_insert(L, -3);
  lua_settable(L, -3);
  lua_pop(L, 1);
  return 0;
}

/* Runs what -e and -l say, in order. */
static int run_options(lua_State *L, char **argv, int script) {
  for (int i = 1; i < script; i++) {
    if (argv[i][0] != '-' || (argv[i][1] != 'e' && argv[i][1] != 'l'))
      continue;
    char letter = argv[i][1];
    const char *text = argv[i][2] ? argv[i] + 2 : argv[++i];
    int status = letter == 'e' ? run_text(L, text, "=(command line)") : run_library(L, text);
    if (status != 0)
      return status;
  }
  return 0;
}

/* Loads by a function of esp.shell ("load", "load_stock") and runs a script; without one from standard input.
 */
static int run_script(lua_State *L, const char *loader, const char *name, int nargs, char **args) {
  int status;
  if (!loader) {
    status = luaL_loadfile(L, NULL);
  } else {
    push_function(L, "esp.shell", loader);
    lua_pushstring(L, name);
    status = call(L, 1, 1);
  }
  if (status == LUA_OK) {
    luaL_checkstack(L, nargs + 4, "too many arguments for the script");
    for (int i = 0; i < nargs; i++)
      lua_pushstring(L, args[i]);
    status = call(L, nargs, 0);
  }
  return status == LUA_OK ? 0 : failed(L);
}

/* os.exit([code [, close]]): as Lua's, but the state is closed unless close is false: an open port is let go
 * of, and the chip left as asked. */
static int os_exit(lua_State *L) {
  int status;
  if (lua_isboolean(L, 1))
    status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  else
    status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
  if (lua_isnoneornil(L, 2) || lua_toboolean(L, 2)) {
    l_task_shutdown(L);
    lua_close(L);
  }
  exit(status);
}

static void open_libraries(lua_State *L, int no_env) {
  if (no_env) {
    lua_pushboolean(L, 1); /* the package library looks for this */
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  l_open_core(L);
  lua_getglobal(L, "os");
  lua_pushcfunction(L, os_exit);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
  push_function(L, "esp.shell", "setup");
  lua_pushboolean(L, no_env);
  lua_call(L, 1, 0);
}

static void print_text(lua_State *L, const char *name) {
  push_function(L, "esp.shell", name);
  lua_call(L, 0, 1);
  const char *text = lua_tostring(L, -1);
  fputs(text, stdout);
  if (*text && text[strlen(text) - 1] != '\n')
    fputc('\n', stdout);
  lua_pop(L, 1);
}

static void prompt(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "esp");
  if (call_and_tell(L, 1, 1) == LUA_OK)
    lua_setglobal(L, "esp");
  repl_run(L, call_and_tell);
}

/* Tools of others whose command lines stock scripts take, when the binary is called by their names. */
static const struct {
  const char *name, *script;
} ROLES[] = {{"esptool", "esptool"},
             {"espefuse", "espefuse"},
             {"espsecure", "espsecure"},
             {"esp_rfc2217_server", "serve"},
             {NULL, NULL}};

/* The script for the tool that argv[0] names, "esptool" for /usr/bin/esptool.py; NULL if it is none. */
static const char *role_of(const char *name) {
  const char *base = name;
  for (const char *p = name; *p; p++) {
    if (*p == '/' || *p == '\\')
      base = p + 1;
  }
  for (int i = 0; ROLES[i].name; i++) {
    size_t n = strlen(ROLES[i].name);
    if (strncmp(base, ROLES[i].name, n) == 0 &&
        (base[n] == '\0' || strcmp(base + n, ".py") == 0 || strcmp(base + n, ".exe") == 0))
      return ROLES[i].script;
  }
  return NULL;
}

/* Runs the script that plays another tool: every argument is its own. Returns the exit status. */
static int play(lua_State *L, const char *role, int argc, char **argv) {
  open_libraries(L, 0);
  set_arg(L, argc, argv, 0);
  return run_script(L, "load_stock", role, argc - 1, argv + 1);
}

/* Everything, under one protected call. Returns the exit status. */
static int protected_main(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  struct options o = {0};
  const char *role = argc > 0 ? role_of(argv[0]) : NULL;
  if (role) {
    lua_pushinteger(L, play(L, role, argc, argv));
    return 1;
  }
  int wrong = read_options(&o, argc, argv), status = 0;
  if (wrong) {
    fprintf(stderr,
            "esplua: option '%s' is unknown or lacks its value\n  hint: `esplua --help` lists the options\n",
            argv[wrong]);
    lua_pushinteger(L, STATUS_USAGE);
    return 1;
  }
  if (o.debug) {
    lua_pushboolean(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &DEBUG_KEY);
  }
  open_libraries(L, o.no_env);
  set_arg(L, argc, argv, o.script);
  lua_warning(L, o.warnings ? "@on" : "@off", 0);
  if (o.text) {
    print_text(L, o.text);
    lua_pushinteger(L, 0);
    return 1;
  }
  int tty = isatty(STDIN_FILENO), has_script = o.script < argc;
  if (o.version || (!has_script && !o.code && tty))
    print_text(L, "version");
  if (!o.no_env)
    status = run_init(L);
  if (status == 0)
    status = run_options(L, argv, o.script);
  if (status == 0 && has_script)
    status = run_script(
        L, strcmp(argv[o.script], "-") == 0 && strcmp(argv[o.script - 1], "--") != 0 ? NULL : "load",
        argv[o.script], argc - o.script - 1, argv + o.script + 1);
  if (o.interactive)
    prompt(L);
  else if (status == 0 && !has_script && !o.code && !o.version) {
    if (tty)
      prompt(L);
    else
      status = run_script(L, NULL, NULL, 0, NULL);
  }
  lua_pushinteger(L, status);
  return 1;
}

/* Ends tasks, closes the state, and sees whether all output was written. */
static int finish(lua_State *L, int status) {
  if (l_task_shutdown(L)) {
    int failure = failed(L);
    if (status == 0)
      status = failure;
  }
  lua_close(L);
  errno = 0;
  if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
    fprintf(stderr, "esplua: standard output: %s\n", errno ? strerror(errno) : "write failed");
    status = STATUS_OUTPUT;
  }
  return status;
}

/* A port or a file that is opened while standard input, output or error is closed would take its number, and
 * what is printed would go there. Services and cron start programs like that. */
static void hold_standard_files(void) {
  int fd;
  do
    fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    close(fd);
}

int main(int argc, char **argv) {
  hold_standard_files();
  lua_State *L = luaL_newstate();
  if (!L) {
    fputs("esplua: not enough memory\n", stderr);
    return STATUS_INTERNAL;
  }
  lua_pushcfunction(L, protected_main);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int status = STATUS_INTERNAL;
  if (lua_pcall(L, 2, 1, 0) == LUA_OK)
    status = (int)lua_tointeger(L, -1);
  else
    fprintf(stderr, "esplua: %s\n", lua_isstring(L, -1) ? lua_tostring(L, -1) : "error while starting");
  lua_settop(L, 0);
  return finish(L, status);
}
