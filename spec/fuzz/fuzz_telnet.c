// sources: src/telnet.c
/* What a server sends, decoded in pieces of any size, must give the same as in one piece; nothing may be
 * written outside; and what is encoded must come back. */
#include "telnet.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 1 << 13 };

struct result {
  uint8_t data[ROOM], answers[ROOM];
  size_t size, answered;
  unsigned events;
};

static void feed(struct telnet *t, const uint8_t *in, size_t n, struct result *r) {
  uint8_t piece[256];
  while (n > 0) {
    size_t take = n < sizeof piece ? n : sizeof piece, count;
    struct telnet_event e;
    memcpy(piece, in, take);
    size_t used = telnet_decode(t, piece, take, piece, &count, &e);
    if (used == 0 || used > take || count > used)
      abort();
    memcpy(r->data + r->size, piece, count);
    r->size += count;
    in += used;
    n -= used;
    if (e.kind == TELNET_NOTHING)
      continue;
    r->events = r->events * 31 + (unsigned)e.kind * 7 + e.command + e.option;
    for (size_t i = 0; e.kind == TELNET_SUBNEGOTIATION && i < e.size; i++)
      r->events = r->events * 31 + e.data[i];
    if (e.kind == TELNET_OPTION)
      r->answered += telnet_answer(t, &e, r->answers + r->answered);
  }
}

static void start(struct telnet *t) {
  uint8_t out[3];
  telnet_init(t);
  telnet_allow(t, TELNET_BINARY, 1, 1);
  telnet_allow(t, TELNET_COM_PORT, 1, 0);
  telnet_ask(t, TELNET_WILL, TELNET_COM_PORT, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static struct result whole, parts;
  struct telnet t;
  if (n > ROOM / 2)
    return 0;
  memset(&whole, 0, sizeof whole);
  memset(&parts, 0, sizeof parts);
  start(&t);
  feed(&t, data, n, &whole);
  start(&t);
  for (size_t i = 0, step; i < n; i += step) {
    step = 1 + data[i] % 7;
    step = step < n - i ? step : n - i;
    feed(&t, data + i, step, &parts);
  }
  if (whole.size != parts.size || whole.events != parts.events || whole.answered != parts.answered ||
      memcmp(whole.data, parts.data, whole.size) != 0 ||
      memcmp(whole.answers, parts.answers, whole.answered) != 0)
    abort();

  uint8_t encoded[64];
  struct result *back = &parts;
  memset(back, 0, sizeof *back);
  telnet_init(&t);
  for (size_t i = 0, used; i < n; i += used) {
    size_t size = telnet_escape(data + i, n - i, encoded, sizeof encoded, &used);
    if (used == 0 || size > sizeof encoded)
      abort();
    feed(&t, encoded, size, back);
  }
  if (back->size != n || back->events != 0 || memcmp(back->data, data, n) != 0)
    abort();

  size_t some = n < 16 ? n : 16;
  size_t size = telnet_com_port(RFC2217_SET_BAUDRATE, data, some, encoded);
  struct telnet_event e;
  size_t count;
  if (telnet_decode(&t, encoded, size, encoded, &count, &e) != size || count != 0 || e.size != some + 1 ||
      e.kind != TELNET_SUBNEGOTIATION || e.option != TELNET_COM_PORT || memcmp(e.data + 1, data, some) != 0)
    abort();
  return 0;
}
