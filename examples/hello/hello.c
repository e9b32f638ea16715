/* hello.c - says hello on UART0 once a second, for ever, without an operating system.
 *
 * The mask ROM has loaded this into RAM, as the second-stage boot loader from flash or through the
 * serial loader, and has left UART0 at the rate of its own messages (115200 after a boot from
 * flash, the host's rate after a download). Nothing of the ROM is called: the text goes straight
 * into the transmit FIFO. What differs between chips is in chip_NAME.h; the entry code in start_ARCH.S. */
#include <stdint.h>

#include CHIP_HEADER

enum { FIFO_ROOM = 100 }; /* the FIFO holds 128 bytes; some slack costs nothing */

static volatile uint32_t *reg(uint32_t address) {
  return (volatile uint32_t *)(uintptr_t)address;
}

static void put_char(char c) {
  while ((*reg(UART0_STATUS) >> UART_TXFIFO_COUNT_SHIFT & UART_TXFIFO_COUNT_MASK) > FIFO_ROOM)
    ;
  *reg(UART0_TX_FIFO) = (uint8_t)c;
}

static void put(const char *text) {
  while (*text)
    put_char(*text++);
}

/* The ROM arms watchdogs before it starts an image, so that one that hangs is reset. All of them
 * are write protected by a key of their own. Writing zero also takes away the "armed during a boot
 * from flash" bit, which works apart from the enable bit. */
static void stop_watchdogs(void) {
  *reg(TIMG0_WDT_PROTECT) = WDT_KEY;
  *reg(TIMG0_WDT_CONFIG) = TIMG0_WDT_OFF;
  *reg(TIMG0_WDT_PROTECT) = 0;
  *reg(RTC_WDT_PROTECT) = WDT_KEY;
  *reg(RTC_WDT_CONFIG) = 0;
  *reg(RTC_WDT_PROTECT) = 0;
#ifdef SWD_CONFIG
  *reg(SWD_PROTECT) = SWD_KEY;
  *reg(SWD_CONFIG) |= SWD_AUTO_FEED;
  *reg(SWD_PROTECT) = 0;
#endif
}

/* Counts in decimal, so that no division is needed: one of the compilers brings none. */
static void increment(char *digits, int count) {
  while (count-- > 0) {
    if (digits[count] != '9') {
      ++digits[count];
      return;
    }
    digits[count] = '0';
  }
}

_Noreturn void hello(void) {
  static char seconds[] = "00000"; /* static: a copy on the stack would call memcpy */
  uint32_t last;

  stop_watchdogs();
  start_ticks();
  last = ticks();
  for (;;) {
    put("hello from " CHIP_NAME " ");
    put(seconds);
    put("\r\n");
    while (ticks() - last < TICKS_PER_SECOND)
      ;
    last += TICKS_PER_SECOND;
    increment(seconds, (int)sizeof seconds - 1);
  }
}
