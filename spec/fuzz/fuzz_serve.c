// sources: src/serve.c src/telnet.c
/* A hostile client of the RFC 2217 server, and a port that takes and gives what it likes. Bytes go only where
 * they belong, in order, and every run comes to an end. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct source {
  struct port p;
  const uint8_t *in;
  size_t n, at;
  unsigned dice;
};

static double now;

double ev_now(void) {
  return now += 0.001;
}

int port_fail(struct port *p, int err, const char *fmt, ...) {
  (void)p, (void)fmt;
  return err;
}

static unsigned roll(struct source *s, unsigned n) {
  s->dice = s->dice * 1103515245 + 12345;
  return (s->dice >> 16) % n;
}

int port_read(struct port *p, void *buf, size_t max) {
  struct source *s = (struct source *)p;
  size_t n = roll(s, 40);
  if (max == 0)
    abort();
  n = n < max ? n : max;
  n = n < s->n - s->at ? n : s->n - s->at;
  memcpy(buf, s->in + s->at, n);
  s->at += n;
  return (int)n;
}

int port_write(struct port *p, const void *buf, size_t n) {
  struct source *s = (struct source *)p;
  volatile uint8_t sum = 0;
  if (n == 0)
    abort();
  n = roll(s, 4) == 0 ? 0 : 1 + roll(s, (unsigned)n);
  for (size_t i = 0; i < n; i++)
    sum ^= ((const uint8_t *)buf)[i];
  return (int)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static struct serve s;
  size_t half = n / 2;
  int raw = n > 0 && data[0] == 1, calls = 0;
  struct source port = {.in = data + half, .n = n - half, .dice = 1},
                client = {.in = data, .n = half, .dice = 2};
  port.p.fd = eventfd(0, EFD_CLOEXEC);
  client.p.fd = eventfd(0, EFD_CLOEXEC);
  now = 0;
  if (serve_init(&s, &port.p, &client.p, raw) != 0)
    return 0;
  while (client.at < client.n && calls++ < 100000) {
    serve_prepare(&s, now + 5);
    int result = s.op.step(&s.op, EV_START);
    while (result == OP_WAIT && calls++ < 100000)
      result = s.op.step(&s.op, EV_READY);
    if (s.result == SERVE_COMMAND && s.size > SERVE_COMMAND_MAX)
      abort();
    serve_reply(&s, (uint8_t)(s.command & 0x7F), s.data, s.size);
    serve_next_control(&s);
  }
  if (calls >= 100000)
    abort();
  serve_free(&s);
  close(port.p.fd);
  close(client.p.fd);
  return 0;
}
