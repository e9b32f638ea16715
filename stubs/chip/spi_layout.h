/* Offsets of the SPI controller's registers: three generations (soc/spi_reg.h, soc/spi_mem_reg.h). */
#define SPI_CMD 0x00
#define SPI_ADDR 0x04
#if defined(SPI_NEW_LAYOUT)
#define SPI_ADDRESS_LEFT 0 /* the address stands in the low bits */
#define SPI_USER 0x18
#define SPI_USER1 0x1C
#define SPI_USER2 0x20
#define SPI_MOSI_DLEN 0x24
#define SPI_MISO_DLEN 0x28
#define SPI_W0 0x58
#elif defined(SPI_OLD_LAYOUT)
#define SPI_ADDRESS_LEFT 1 /* and here in the high ones */
#define SPI_USER 0x1C
#define SPI_USER1 0x20
#define SPI_USER2 0x24
#define SPI_MOSI_DLEN 0x28
#define SPI_MISO_DLEN 0x2C
#define SPI_W0 0x80
#else /* ESP8266 */
#define SPI_ADDRESS_LEFT 1
#define SPI_USER 0x1C
#define SPI_USER1 0x20
#define SPI_USER2 0x24
#define SPI_W0 0x40
#define SPI_LENGTHS_IN_USER1
#endif
