/* l_port_peers.c - the other end of a port: pairs, pseudo terminals and TCP servers, for the simulated chip
 * and for tests. */
#include "l_core.h"
#include "l_port.h"
#include "l_task.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define SERVER_TYPE "esp.port.server"

static int fail_errno(lua_State *L, const char *doing) {
  return l_fail(L, "port_failed", "%s: %s", doing, strerror(errno));
}

/* port.pair() -> a, b: two ports connected to each other */
static int l_pair(lua_State *L) {
  int fds[2];
  struct port **a = l_newport(L), **b = l_newport(L);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
    return fail_errno(L, "pair");
  *a = port_from_fd(fds[0], "socket", "pair");
  *b = port_from_fd(fds[1], "socket", "pair");
  return *a && *b ? 2 : l_fail(L, "port_failed", "not enough memory");
}

/* port.pty() -> port, name: the master of a pseudo terminal, and the device that others can open */
static int l_pty(lua_State *L) {
  struct port **slot = l_newport(L);
  char name[128];
  struct termios t;
  int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return fail_errno(L, "pseudo terminal");
  if (grantpt(fd) != 0 || unlockpt(fd) != 0 || ptsname_r(fd, name, sizeof name) != 0) {
    close(fd);
    return fail_errno(L, "pseudo terminal");
  }
  if (tcgetattr(fd, &t) == 0) { /* no echo before somebody opens it */
    cfmakeraw(&t);
    tcsetattr(fd, TCSANOW, &t);
  }
  *slot = port_from_fd(fd, "pty", name);
  if (!*slot)
    return l_fail(L, "port_failed", "not enough memory");
  lua_pushstring(L, name);
  return 2;
}

/* --- a TCP server
 * ------------------------------------------------------------------------------------------- */

struct server {
  int fd; /* -1: closed */
};

static struct server *check_server(lua_State *L) {
  struct server *s = luaL_checkudata(L, 1, SERVER_TYPE);
  if (s->fd < 0)
    luaL_error(L, "the server is closed");
  return s;
}

/* server:close() */
static int server_close(lua_State *L) {
  struct server *s = luaL_checkudata(L, 1, SERVER_TYPE);
  if (s->fd >= 0) {
    struct ev *loop = l_loop(L);
    if (loop)
      ev_forget(loop, s->fd);
    close(s->fd);
  }
  s->fd = -1;
  return 0;
}

static int bind_to(const struct addrinfo *a) {
  int on = 1;
  int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 16) == 0)
    return fd;
  int number = errno;
  close(fd);
  errno = number;
  return -1;
}

/* port.listen(host, tcp_port) -> server | nil, message, code. host: a numeric address or "localhost";
 * tcp_port 0: any. */
static int l_listen(lua_State *L) {
  const char *host = luaL_checkstring(L, 1);
  lua_Integer number = luaL_checkinteger(L, 2);
  luaL_argcheck(L, number >= 0 && number <= 65535, 2, "port number out of range");
  struct server *s = lua_newuserdatauv(L, sizeof *s, 0);
  s->fd = -1;
  luaL_setmetatable(L, SERVER_TYPE);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
  struct addrinfo *list;
  char service[8];
  snprintf(service, sizeof service, "%d", (int)number);
  int err = getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, service, &hints, &list);
  if (err)
    return l_fail(L, "bad_argument", "%.200s: a numeric address is needed to listen on: %s", host,
                  gai_strerror(err));
  s->fd = bind_to(list);
  int failed = errno;
  freeaddrinfo(list);
  if (s->fd < 0)
    return l_fail(L, failed == EADDRINUSE ? "port_busy" : "port_failed", "%.200s:%d: %s", host, (int)number,
                  strerror(failed));
  return 1;
}

/* server:port() -> the number it listens on */
static int server_port(lua_State *L) {
  struct sockaddr_storage a;
  socklen_t n = sizeof a;
  if (getsockname(check_server(L)->fd, (struct sockaddr *)&a, &n) != 0)
    return fail_errno(L, "server");
  char service[8];
  if (getnameinfo((struct sockaddr *)&a, n, NULL, 0, service, sizeof service, NI_NUMERICSERV) != 0)
    return l_fail(L, "port_failed", "server: no TCP address");
  lua_pushinteger(L, atoi(service));
  return 1;
}

struct accept_op {
  struct ev_op op;
  struct server *server;
  struct port **slot; /* of the object that gets the connection */
  int number;
};

/* The numeric address of the other end. An IPv4 address that came over IPv6 is written as what it is. */
static const char *peer_address(int fd, char *out, size_t size) {
  struct sockaddr_storage a;
  socklen_t n = sizeof a;
  snprintf(out, size, "tcp client");
  if (getpeername(fd, (struct sockaddr *)&a, &n) == 0)
    getnameinfo((struct sockaddr *)&a, n, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
  if (strncmp(out, "::ffff:", 7) == 0 && strchr(out, '.'))
    memmove(out, out + 7, strlen(out + 7) + 1);
  return out;
}

/* Notices within a minute that the other end is gone without a word. */
static void keep_alive(int fd) {
  int on = 1, idle = 20, interval = 10, count = 4, lost = 60000;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
#ifdef TCP_USER_TIMEOUT
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost, sizeof lost);
#else
  (void)idle, (void)interval, (void)count, (void)lost;
#endif
}

static int accept_step(struct ev_op *op, int why) {
  struct accept_op *a = (struct accept_op *)op;
  a->number = 0;
  if (a->server->fd < 0) {
    a->number = EBADF;
    return OP_DONE;
  }
  char name[64];
  int on = 1, fd = accept4(a->server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    keep_alive(fd);
    *a->slot = port_from_fd(fd, "socket", peer_address(fd, name, sizeof name));
    a->number = *a->slot ? 0 : ENOMEM;
    return OP_DONE;
  }
  a->number = errno;
  if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED)
    return OP_DONE;
  if (why == EV_TIMEOUT) {
    a->number = ETIMEDOUT;
    return OP_DONE;
  }
  op->fd = a->server->fd;
  op->events = EV_READ;
  return OP_WAIT;
}

static int accept_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct accept_op *a = lua_touserdata(L, -1);
  check_server(L);
  if (a->number == ETIMEDOUT)
    return l_fail(L, "timeout", "timeout: nobody connected");
  if (a->number) {
    errno = a->number;
    return fail_errno(L, "accept");
  }
  lua_pop(L, 1);
  return 1;
}

/* server:accept([seconds]) -> port | nil, message, code. The port's url is the numeric address of who
 * connects. Without seconds it waits until somebody connects. */
static int server_accept(lua_State *L) {
  struct server *s = check_server(L);
  double seconds = luaL_optnumber(L, 2, EV_FOREVER);
  luaL_argcheck(L, seconds >= 0, 2, "seconds expected");
  lua_settop(L, 1);
  struct port **slot = l_newport(L);
  struct accept_op *a = lua_newuserdatauv(L, sizeof *a, 0);
  *a = (struct accept_op){.op = {.step = accept_step}, .server = s, .slot = slot};
  a->op.deadline = seconds < 1e9 ? ev_now() + seconds : EV_FOREVER;
  return l_await(L, &a->op, 0, accept_k);
}

/* port.address(text) -> the 4 or 16 bytes of a numeric IPv4 or IPv6 address | nil */
static int l_address(lua_State *L) {
  unsigned char bytes[16];
  const char *text = luaL_checkstring(L, 1);
  if (inet_pton(AF_INET, text, bytes) == 1)
    lua_pushlstring(L, (const char *)bytes, 4);
  else if (inet_pton(AF_INET6, text, bytes) == 1)
    lua_pushlstring(L, (const char *)bytes, 16);
  else
    lua_pushnil(L);
  return 1;
}

static const luaL_Reg functions[] = {
    {"pair", l_pair}, {"pty", l_pty}, {"listen", l_listen}, {"address", l_address}, {NULL, NULL}};
static const luaL_Reg methods[] = {
    {"accept", server_accept}, {"port", server_port}, {"close", server_close}, {NULL, NULL}};
static const luaL_Reg metamethods[] = {{"__gc", server_close}, {"__close", server_close}, {NULL, NULL}};

void l_port_peers(lua_State *L) {
  l_newclass(L, SERVER_TYPE, methods, metamethods);
  luaL_setfuncs(L, functions, 0);
}
