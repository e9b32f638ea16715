// sources: src/slip.c src/frame.c src/link*.c src/stream*.c src/supply.c src/pa[cy]*d.c src/inflate.c src/unpack.c src/digest.c
/* The input is what a chip sends. Every operation must end, within its time, whatever that is. The clock is
 * ours. */
#include "link_ops.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double now;
static const uint8_t *input;
static size_t left, piece, answer;
static uint8_t answer_op;

double ev_now(void) {
  return now;
}

/* Bytes of the input; in some runs every request also gets a right answer in front of them. */
int port_read(struct port *p, void *buf, size_t max) {
  uint8_t frame[12] = {0x01, answer_op, 4}, wire[SLIP_ROOM(sizeof frame)];
  (void)p;
  if (answer) {
    answer = 0;
    size_t n = slip_encode(wire, frame, sizeof frame);
    memcpy(buf, wire, n);
    return (int)n;
  }
  size_t n = left < piece ? left : piece;
  n = n < max ? n : max;
  memcpy(buf, input, n);
  input += n;
  left -= n;
  return (int)n;
}

static int answers;

int port_write(struct port *p, const void *buf, size_t n) {
  (void)p;
  if (n > 3 && answers && left % 7) {
    answer = 1;
    answer_op = ((const uint8_t *)buf)[2];
  }
  return (int)n;
}

const char *port_code(int err) {
  (void)err;
  return "port_failed";
}

const char *port_strerror(int err) {
  (void)err;
  return "failed";
}

void port_request(struct port_request *rq, struct port *p, int what, int a, int b) {
  (void)rq, (void)p, (void)what, (void)a, (void)b;
  abort();
}

/* Runs an operation; it must end within so many seconds. */
static void run(struct link_op *o, double seconds) {
  double end = now + seconds;
  long turns = 0;
  int r, why = EV_START;
  while ((r = o->op.step(&o->op, why)) != OP_DONE) {
    struct link_trace *t;
    if (++turns > 200000 || now > end)
      abort();
    while ((t = link_trace_next(o->k)) != NULL)
      free(t);
    why = r == OP_EVENT ? EV_RESUME : EV_READY;
    if (r == OP_WAIT && left == 0 && !answer) {
      if (o->op.deadline > now)
        now = o->op.deadline;
      why = EV_TIMEOUT;
    } else {
      now += 1e-5;
    }
  }
  if (o->result != LINK_OK && (o->k->text[0] == '\0' || !link_code(o->k, o->result)[0]))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t bytes[5000];
  struct port port = {.fd = -1, .baud = 115200};
  struct link k;
  if (size < 2)
    return 0;
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * i >> 4);
  now = 1;
  answer = 0;
  piece = data[0] % 64 + 1;
  answers = data[1] & 0x20;
  input = data + 2;
  left = size - 2;
  if (link_init(&k, &port) != LINK_OK)
    abort();
  k.tracing = data[1] & 0x40;
  k.status_bytes = data[1] & 0x80 ? 2 : 4;
  struct link_command c = {.op = 0x0A, .data = bytes, .len = 4, .timeout = 3, .retries = 1};
  c.x.status_bytes = k.status_bytes;
  c.x.min = data[1] & 0x10 ? 16 : 0;
  struct link_sync s = {0};
  uint8_t kept[100];
  struct stream_read r = {.size = 300, .attempts = 3, .timeout = 3, .sync_timeout = 3};
  struct stream_write w = {.address = 0x1000,
                           .from.block = 0x400,
                           .window = data[1] & 8 ? 4 : 1,
                           .attempts = 3,
                           .encrypted = -1,
                           .erase_size = STREAM_ERASE_RULE,
                           .begin_timeout = 3,
                           .block_timeout = 3,
                           .sync_timeout = 3,
                           .compress = data[1] & 4,
                           .kind = data[0] & 0x40 ? STREAM_RAM : STREAM_FLASH,
                           .lag = data[0] >> 7};
  switch (data[1] % 4) {
  case 0:
    link_command_begin(&c, &k);
    run(&c.o, 30);
    break;
  case 1:
    sync_begin(&s.sync, 3, 0.1, 0.1, 0.05);
    link_sync_begin(&s, &k);
    k.keep = kept;
    k.keep_room = sizeof kept;
    run(&s.o, 10);
    break;
  case 2:
    stream_read_begin(&r, &k);
    run(&r.o, 400);
    stream_read_free(&r);
    break;
  default: {
    struct payload_spec spec = {.data = bytes, .data_size = sizeof bytes, .size = PAYLOAD_ALL};
    char error[PAYLOAD_ERROR_SIZE];
    if (payload_open(&w.from.pl, &spec, error) != 0)
      abort();
    stream_write_begin(&w, &k);
    run(&w.o, 2000);
    stream_write_free(&w);
    payload_unref(w.from.pl);
  }
  }
  link_free(&k);
  return 0;
}
