/* ESP32-C3: what hello.c needs to know. Sources: espressif/svd, svd/esp32c3.svd (addresses and bits
 * of UART0, TIMG0, RTC_CNTL and SYSTIMER); espressif/esptool, targets/esp32c3.py (watchdog keys). */
#define CHIP_NAME "ESP32-C3"

#define UART0_TX_FIFO 0x60000000u
#define UART0_STATUS 0x6000001Cu
#define UART_TXFIFO_COUNT_SHIFT 16
#define UART_TXFIFO_COUNT_MASK 0x3FFu

#define TIMG0_WDT_CONFIG 0x6001F048u
#define TIMG0_WDT_PROTECT 0x6001F064u
#define TIMG0_WDT_OFF (1u << 22) /* WDT_CONF_UPDATE_EN: the new settings take effect */
#define RTC_WDT_CONFIG 0x60008090u
#define RTC_WDT_PROTECT 0x600080A8u
#define WDT_KEY 0x50D83AA1u

/* The super watchdog cannot be left without food: let it feed itself. */
#define SWD_CONFIG 0x600080ACu
#define SWD_PROTECT 0x600080B0u
#define SWD_KEY 0x8F1D312Au
#define SWD_AUTO_FEED (1u << 31)

#define SYSTIMER 0x60023000u
#include "ticks_systimer.h"
