/* ESP32-C3. Sources: Technical Reference Manual, "UART Controller", "SPI Controller"; ESP-IDF soc/esp32c3. */
#define UART_BASE 0x60000000u
#define UART_RX_FIFO UART_BASE
#define UART_TX_FIFO UART_BASE
#define UART_CLKDIV (UART_BASE + 0x14)
#define UART_STATUS (UART_BASE + 0x1C)
#define UART_RX_COUNT 0x3FFu
#define UART_FSM_STATUS (UART_BASE + 0x6C) /* UART_ST_UTX_OUT, bits 4 to 7 */
#define UART_TX_FSM 0xF0u
#define USJ_BASE 0x60043000u
#define LINK_IS_USJ (REG_READ(0x3FCDF07Cu) == 3) /* the ROM's number of the link in use */
#define SPI1_BASE 0x60002000u
#define SPI_NEW_LAYOUT
#include "spi_layout.h"
#define RING_SIZE 65536u
#define CHIP_RESET() REG_WRITE(0x60008000u, 0x80000000u) /* RTC_CNTL_OPTIONS0_REG, SW_SYS_RST */
#define CHIP_ATTACH(pins) ((void)(pins), OK)
