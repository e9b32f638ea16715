/* io.c - the link. The receiver is drained into a ring by polling, also while the flash is busy. */
#include "stub.h"

enum { END = 0xC0, ESCAPE = 0xDB, ESCAPED_END = 0xDC, ESCAPED_ESCAPE = 0xDD };
/* UART registers with one place on every chip (soc/uart_reg.h). */
#define UART_INT_RAW 0x04
#define UART_INT_CLEAR 0x10
#define UART_CLKDIV (UART_BASE + 0x14)
#define UART_STATUS (UART_BASE + 0x1C)
#define UART_OVERFLOW 0x10u
enum { FIFO_ROOM = 120 }; /* of 128 bytes */

static uint8_t ring[RING_SIZE]; /* a power of two */
static uint32_t head, tail;
static int lost; /* bytes had nowhere to go since the last one that was stored */
#ifdef LINK_NUMBER_ANY
static int used;
#endif
uint32_t frame_words[(FRAME_MAX + 3) / 4];

#define RING_FREE (RING_SIZE - (head - tail))
uint32_t ring_room(void) {
  return RING_FREE;
}

static __attribute__((noinline)) void push(uint8_t c) {
  ring[head++ & (RING_SIZE - 1)] = c;
}

/* Where bytes are missing an escape that means nothing goes into the ring, which breaks the frame there. */
void ring_store(uint8_t c) {
  if (RING_FREE < 3) {
    lost = 1;
    return;
  }
  if (lost) {
    push(ESCAPE);
    push(0);
    lost = 0;
  }
  push(c);
}

void io_poll(void) {
#ifdef LINK_NUMBER_ANY
  if (used) {
    usb_poll(used);
    return;
  }
#endif
  uint32_t uart = near(UART_BASE), n = REG_READ(UART_STATUS) & UART_COUNT;
  int full = n >= FIFO_ROOM;        /* it can only have overflowed if it is full */
  if (!lost && RING_FREE > n + 2) { /* as nearly always */
    for (; n; n--)
      ring[head++ & (RING_SIZE - 1)] = (uint8_t)REG_READ(UART_RX_FIFO);
  }
  for (; n; n--)
    ring_store((uint8_t)REG_READ(UART_RX_FIFO));
  if (full && (REG_READ(uart + UART_INT_RAW) & UART_OVERFLOW)) {
    REG_WRITE(uart + UART_INT_CLEAR, UART_OVERFLOW);
    lost = 1;
  }
}

static uint32_t tx_count(void) {
  return REG_READ(UART_STATUS) >> 16 & UART_COUNT;
}

static void raw_put(uint8_t c) {
#ifdef LINK_NUMBER_ANY
  if (used) {
    usb_put(used, c);
    return;
  }
#endif
  static uint32_t room; /* at least so many bytes fit */
  while (!room) {
    uint32_t n = tx_count();
    room = n < FIFO_ROOM ? FIFO_ROOM - n : 0;
    if (!room)
      read_pump();
    io_poll();
  }
  room--;
  REG_WRITE(UART_TX_FIFO, c);
}

INLINE void io_open(void) {
  raw_put(END);
}

void io_put(uint8_t c) {
  if (c == END || c == ESCAPE) {
    raw_put(ESCAPE);
    c = c == END ? ESCAPED_END : ESCAPED_ESCAPE;
  }
  raw_put(c);
}

void io_word(uint32_t w) {
  for (int i = 0; i < 4; i++, w >>= 8)
    io_put((uint8_t)w);
}

void io_bytes(const uint8_t *p, uint32_t n) {
  while (n--)
    io_put(*p++);
}

void io_close(void) {
  raw_put(END);
#ifdef LINK_NUMBER_ANY
  if (used)
    usb_flush(used);
#endif
  io_poll();
}

void io_drain(void) {
#ifdef LINK_NUMBER_ANY
  if (used)
    return; /* io_close has waited */
#endif
  while (tx_count())
    io_poll();
#ifdef UART_FSM
  while (REG_READ(UART_FSM) & UART_FSM_SENDING) /* the last byte is still on the line */
    io_poll();
#else
  /* Nothing tells: ten bits of as many clocks as the divider says, and a round takes more than one. */
  for (uint32_t i = 10 * (REG_READ(UART_CLKDIV) & 0xFFFFF); i; i--)
    io_poll();
#endif
}

static uint32_t new_divider, rate;

/* The divider in use and the rate that it gives tell the clock, whatever the crystal. 0 stands for the rate
 * that was set last. */
int io_baud(uint32_t from, uint32_t to) {
#ifdef LINK_NUMBER_ANY
  if (used)
    return 1;
#endif
  uint32_t div = REG_READ(UART_CLKDIV), clock, units = 0;
#ifdef UART_DIVIDER_WHOLE
  clock = div & 0xFFFFF;
#else
  clock = (div & 0xFFFFF) << 4 | (div >> 20 & 0xF); /* in sixteenths: 268 MHz would still fit into 32 bits */
#endif
  clock = clock * (from ? from : rate) + (to >> 1); /* to the nearest */
  if (to < 1200)
    return 0;
  for (; clock >= to; clock -= to) /* no processor of theirs but RISC-V divides */
    units++;
#ifdef UART_DIVIDER_WHOLE
  if (!units)
    return 0;
  new_divider = units;
#else
  if (units < 16 || units >> 4 > UART_DIVIDER_MOST)
    return 0;
  new_divider = units >> 4 | (units & 0xF) << 20;
#endif
  rate = to;
  return 1;
}

void io_baud_set(void) {
#ifdef LINK_NUMBER_ANY
  if (used)
    return;
#endif
  REG_WRITE(UART_CLKDIV, new_divider);
#ifdef UART_UPDATE /* later UARTs take a new divider only when told to */
  REG_WRITE(UART_UPDATE, 1);
  for (int i = 0; i < 1000 && (REG_READ(UART_UPDATE) & 1); i++)
    ;
#endif
}

static int kept;

void io_keep(int n) {
  kept = n;
}

/* Takes bytes out of the ring until a frame is complete. A 0xC0 ends a frame and begins the next one, so that
 * a lost one costs no more than the frames beside it. */
int io_frame(void) {
  static uint32_t length;
  static enum { OUTSIDE, INSIDE, ESCAPED, BROKEN } state;
  uint32_t n = length, at;
  if (kept) {
    at = (uint32_t)kept;
    kept = 0;
    return (int)at;
  }
  io_poll();
  for (at = tail; at != head;) {
    uint8_t c = ring[at++ & (RING_SIZE - 1)];
    if ((at & 15) == 0) {
      tail = at;
      write_pump();
    }
    if (c == END) {
      if (state >= ESCAPED)
        n = 0xFFFFFFFF;
      state = INSIDE;
      length = 0;
      if (n) {
        tail = at;
        return (int)n;
      }
      continue;
    }
    if (state == ESCAPED) {
      state = c == ESCAPED_END || c == ESCAPED_ESCAPE ? INSIDE : BROKEN;
      c = c == ESCAPED_END ? END : ESCAPE;
    } else if (c == ESCAPE && state == INSIDE) {
      state = ESCAPED;
      continue;
    }
    if (n >= FRAME_MAX)
      state = BROKEN;
    if (state == INSIDE)
      frame[n++] = c;
  }
  tail = at;
  length = n;
  return 0;
}

void io_init(void) {
  rate = 115200;
#ifdef LINK_NUMBER_ANY
  used = usb_init();
#endif
}
