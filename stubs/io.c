/* io.c - the link. The receiver is drained into a ring by polling, also while the flash is busy. */
#include "stub.h"

static uint8_t ring[RING_SIZE]; /* a power of two */
static uint32_t head, tail;
static uint32_t frame_words[(FRAME_MAX + 3) / 4];
uint8_t *const frame = (uint8_t *)frame_words;
#ifdef USJ_BASE
static int usb; /* USB-Serial/JTAG in use instead of UART0 */
#endif

static void store(uint32_t c) {
  if (head - tail < RING_SIZE)
    ring[head++ & (RING_SIZE - 1)] = (uint8_t)c;
}

#ifdef USJ_BASE
/* USB_SERIAL_JTAG_EP1_REG, USB_SERIAL_JTAG_EP1_CONF_REG: soc/usb_serial_jtag_reg.h */
enum { USJ_WR_DONE = 1, USJ_IN_FREE = 2, USJ_OUT_AVAIL = 4 };

static void usj_poll(void) {
  while (head - tail < RING_SIZE && (REG_READ(USJ_BASE + 4) & USJ_OUT_AVAIL)) /* USB holds back the rest */
    store(REG_READ(USJ_BASE));
}

static void usj_put(uint8_t c) {
  while (!(REG_READ(USJ_BASE + 4) & USJ_IN_FREE))
    usj_poll();
  REG_WRITE(USJ_BASE, c);
}
#endif

void io_poll(void) {
#ifdef USJ_BASE
  if (usb) {
    usj_poll();
    return;
  }
#endif
  for (uint32_t n = REG_READ(UART_STATUS) & UART_RX_COUNT; n; n--)
    store(REG_READ(UART_RX_FIFO));
}

static uint32_t tx_count(void) {
  return REG_READ(UART_STATUS) >> 16 & UART_RX_COUNT;
}

static void raw_put(uint8_t c) {
#ifdef USJ_BASE
  if (usb) {
    usj_put(c);
    return;
  }
#endif
  while (tx_count() >= 120)
    io_poll();
  REG_WRITE(UART_TX_FIFO, c);
}

void io_open(void) {
  raw_put(0xC0);
}

void io_put(uint8_t c) {
  if (c == 0xC0) {
    raw_put(0xDB);
    c = 0xDC;
  } else if (c == 0xDB) {
    raw_put(0xDB);
    c = 0xDD;
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
  raw_put(0xC0);
#ifdef USJ_BASE
  if (usb)
    REG_WRITE(USJ_BASE + 4, USJ_WR_DONE);
#endif
  io_poll();
}

void io_drain(void) {
#ifdef USJ_BASE
  if (usb)
    return;
#endif
  while (tx_count())
    io_poll();
  while (REG_READ(UART_FSM_STATUS) & UART_TX_FSM) /* the last byte is still on the line */
    io_poll();
}

/* a * b and n / d by hand: the compilers for Xtensa bring neither in 64 bits. */
static void multiply(uint32_t a, uint32_t b, uint32_t *high, uint32_t *low) {
  uint32_t al = a & 0xFFFF, ah = a >> 16, bl = b & 0xFFFF, bh = b >> 16;
  uint32_t cross = ah * bl + (al * bl >> 16); /* at most (2^16-1)^2 + 2^16 - 1: fits */
  uint32_t more = al * bh + (cross & 0xFFFF);
  *high = ah * bh + (cross >> 16) + (more >> 16);
  *low = a * b;
}

static uint32_t divide(uint32_t high, uint32_t low, uint32_t d) {
  uint32_t q = 0;
  for (int i = 0; i < 32; i++) {
    uint32_t carry = high >> 31;
    high = high << 1 | low >> 31;
    low <<= 1;
    q <<= 1;
    if (carry || high >= d) {
      high -= d;
      q |= 1;
    }
  }
  return q;
}

/* The divider in use and the rate that it gives tell the clock, whatever the crystal. */
void io_baud(uint32_t from, uint32_t to) {
#ifdef USJ_BASE
  if (usb)
    return;
#endif
  uint32_t div = REG_READ(UART_CLKDIV), high, low;
#ifdef UART_CLKDIV_WHOLE /* ESP8266: no fraction */
  multiply(div & 0xFFFFF, from, &high, &low);
#else
  multiply((div & 0xFFFFF) << 4 | (div >> 20 & 0xF), from, &high, &low); /* in sixteenths */
#endif
  low += (to >> 1); /* to the nearest */
  high += low < (to >> 1);
  if (!from || high >= to)
    return;
  uint32_t units = divide(high, low, to);
#ifdef UART_CLKDIV_WHOLE
  REG_WRITE(UART_CLKDIV, units);
#else
  REG_WRITE(UART_CLKDIV, units >> 4 | (units & 0xF) << 20);
#endif
#ifdef UART_UPDATE /* later UARTs take a new divider only when told to */
  REG_WRITE(UART_UPDATE, 1);
  for (int i = 0; i < 1000 && (REG_READ(UART_UPDATE) & 1); i++)
    ;
#endif
}

int io_idle(void) {
  io_poll();
  return head == tail;
}

/* Takes bytes out of the ring until a frame is complete. State between calls: where in the frame we are. */
int io_frame(void) {
  static uint32_t length;
  static enum { OUTSIDE, INSIDE, ESCAPED, SKIPPING } state;
  io_poll();
  while (head != tail) {
    uint8_t c = ring[tail++ & (RING_SIZE - 1)];
    if ((tail & 63) == 0)
      io_poll();
    if (c == 0xC0) {
      int broken = state == ESCAPED || state == SKIPPING;
      uint32_t n = length;
      length = 0;
      state = broken || n || state == OUTSIDE ? OUTSIDE : INSIDE;
      if (broken) {
        state = INSIDE; /* this byte may well begin the next frame */
        return -1;
      }
      if (n)
        return (int)n;
      state = INSIDE;
    } else if (state == INSIDE && c == 0xDB) {
      state = ESCAPED;
    } else if (state == INSIDE || state == ESCAPED) {
      if (state == ESCAPED && c != 0xDC && c != 0xDD) {
        state = SKIPPING;
        continue;
      }
      if (state == ESCAPED)
        c = c == 0xDC ? 0xC0 : 0xDB;
      state = INSIDE;
      if (length == FRAME_MAX)
        state = SKIPPING;
      else
        frame[length++] = c;
    }
  }
  return 0;
}

void io_init(void) {
#ifdef USJ_BASE
  usb = LINK_IS_USJ;
#endif
}
