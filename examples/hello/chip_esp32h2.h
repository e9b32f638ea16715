/* ESP32-H2: what hello.c needs to know. Sources: espressif/svd, svd/esp32h2.svd (addresses and bits of UART0,
 * TIMG0, LP_WDT and SYSTIMER); espressif/esptool, targets/esp32h2.py (watchdog keys). */
#define CHIP_NAME "ESP32-H2"

#define UART0_TX_FIFO 0x60000000u
#define UART0_STATUS 0x6000001Cu
#define UART_TXFIFO_COUNT_SHIFT 16
#define UART_TXFIFO_COUNT_MASK 0xFFu

#define TIMG0_WDT_CONFIG 0x60009048u
#define TIMG0_WDT_PROTECT 0x60009064u
#define TIMG0_WDT_OFF (1u << 22) /* WDT_CONF_UPDATE_EN: the new settings take effect */
#define RTC_WDT_CONFIG 0x600B1C00u
#define RTC_WDT_PROTECT 0x600B1C1Cu
#define WDT_KEY 0x50D83AA1u

/* The super watchdog cannot be left without food: let it feed itself. */
#define SWD_CONFIG 0x600B1C20u
#define SWD_PROTECT 0x600B1C24u
#define SWD_KEY 0x50D83AA1u
#define SWD_AUTO_FEED (1u << 18)

#define SYSTIMER 0x6000B000u
#include "ticks_systimer.h"
