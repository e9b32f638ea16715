/* ESP32: what hello.c needs to know. Sources: espressif/svd, svd/esp32.svd (addresses and bits of
 * UART0, TIMG0 and RTC_CNTL); ESP32 Series SoC Errata, item CPU-3.3, for the transmit FIFO. */
#define CHIP_NAME "ESP32"

/* The FIFO on the AHB bus: on revision 0, writes in a row to 0x3FF40000 can get lost. */
#define UART0_TX_FIFO 0x60000000u
#define UART0_STATUS 0x3FF4001Cu
#define UART_TXFIFO_COUNT_SHIFT 16
#define UART_TXFIFO_COUNT_MASK 0xFFu

#define TIMG0_WDT_CONFIG 0x3FF5F048u
#define TIMG0_WDT_PROTECT 0x3FF5F064u
#define TIMG0_WDT_OFF 0u
#define RTC_WDT_CONFIG 0x3FF4808Cu
#define RTC_WDT_PROTECT 0x3FF480A4u
#define WDT_KEY 0x50D83AA1u

#include "ticks_ccount.h"
