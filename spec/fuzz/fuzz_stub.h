/* fuzz_stub.h - the chip that the stub is built for when it runs under the fuzzer. */
#define RING_SIZE 4096u
#define UART_BASE 0x60000000u
#define UART_RX_FIFO 0x60000000u
#define UART_TX_FIFO 0x60000000u
#define UART_COUNT 0xFFu
#define UART_FSM 0x60000070u
#define UART_FSM_SENDING 0xF0u
#define UART_DIVIDER_MOST 0xFFFu
#define UART_UPDATE 0x60000098u
#define LINK_NUMBER_ANY 1
#define LINK_NUMBER REG_READ(0x50000000u)
#define LINK_NUMBER_USJ 3u
#define USJ_BASE 0x60043000u
#define SPI1_BASE 0x60002000u
#define SPI_USER 0x18u
#define SPI_USER1 0x1Cu
#define SPI_USER2 0x20u
#define SPI_MOSI_DLEN 0x24u
#define SPI_MISO_DLEN 0x28u
#define SPI_W0 0x58u
#define SPI_ADDRESS_LEFT 0
#define RESET_REGISTER 0x60008000u
#define RESET_BIT 0x80000000u
#define BIG (1u << 16) /* so that both widths of address are tried in a small flash */
#define ROM_ATTACH 0x40000164u
