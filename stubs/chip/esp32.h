/* ESP32. Sources: Technical Reference Manual, "UART Controller", "SPI Controller"; ESP-IDF soc/esp32. */
#define UART_BASE 0x3FF40000u
#define UART_RX_FIFO UART_BASE
#define UART_TX_FIFO 0x60000000u /* ECO and Workarounds for Bugs, 3.17: FIFO writes by the AHB address */
#define UART_CLKDIV (UART_BASE + 0x14)
#define UART_STATUS (UART_BASE + 0x1C)
#define UART_RX_COUNT 0xFFu
#define UART_FSM_STATUS UART_STATUS /* UART_ST_UTX_OUT, bits 24 to 27 */
#define UART_TX_FSM 0x0F000000u
#define SPI1_BASE 0x3FF42000u
#define SPI_OLD_LAYOUT
#include "spi_layout.h"
#define RING_SIZE 32768u
#define CHIP_RESET() REG_WRITE(0x3FF48000u, 0x80000000u) /* RTC_CNTL_OPTIONS0_REG, SW_SYS_RST */
#define CHIP_ATTACH(pins) ((void)(pins), OK)
