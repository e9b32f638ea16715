/* stub.h - the flasher stub: what its parts share. One source for every chip; CHIP_HEADER is chip/NAME.h. */
#ifndef STUB_H
#define STUB_H

#include <stddef.h>
#include <stdint.h>

#ifdef STUB_ON_HOST /* built for the host, by a fuzzer */
uint32_t host_reg_read(uint32_t address);
void host_reg_write(uint32_t address, uint32_t value);
#define REG_READ(a) host_reg_read(a)
#define REG_WRITE(a, v) host_reg_write((a), (v))
#define TEXT
#else
#define REG_READ(a) (*(volatile uint32_t *)(a))
#define REG_WRITE(a, v) (*(volatile uint32_t *)(a) = (uint32_t)(v))
#endif

#include CHIP_HEADER

enum {
  SECTOR = 4096,
  BLOCK64 = 65536,
  PAGE = 256,
  FRAME_MAX = 8 + 16 + 16384, /* the largest block that hosts of the public protocol send */
  WINDOW = 32768              /* of deflate */
};

/* Error bytes of a reply. 0xC0 to 0xC9 and 0xFF are those of the public stub protocol
 * (esptool documentation, "Serial Protocol"); 0xE0 and up are ours (doc/stub-protocol.md). */
enum {
  OK = 0,
  BAD_LENGTH = 0xC0,
  BAD_CHECKSUM = 0xC1,
  BAD_BLOCK_SIZE = 0xC2,
  BAD_COMMAND = 0xC3,
  FLASH_FAILED = 0xC4, /* the flash did not do what it was told */
  TOO_MUCH_DATA = 0xC9,
  INFLATE_FAILED = 0xC8,
  NOT_IN_PROGRESS = 0xE0, /* data without a begin */
  OUT_OF_SEQUENCE = 0xE1, /* value tells the block that is expected */
  TOO_LITTLE_DATA = 0xE2,
  FLASH_TIMEOUT = 0xE3,
  NOT_IMPLEMENTED = 0xFF
};

/* Commands. */
enum {
  FLASH_BEGIN = 0x02, FLASH_DATA = 0x03, FLASH_END = 0x04,
  MEM_BEGIN = 0x05, MEM_END = 0x06, MEM_DATA = 0x07,
  SYNC = 0x08, WRITE_REG = 0x09, READ_REG = 0x0A,
  SPI_SET_PARAMS = 0x0B, SPI_ATTACH = 0x0D, CHANGE_BAUD = 0x0F,
  DEFL_BEGIN = 0x10, DEFL_DATA = 0x11, DEFL_END = 0x12, FLASH_MD5 = 0x13,
  ERASE_FLASH = 0xD0, ERASE_REGION = 0xD1, READ_FLASH = 0xD2, RUN_USER_CODE = 0xD3,
  CAPABILITIES = 0xF0, DIGESTS = 0xF1, READ_PACKED = 0xF2, WRITE_STATE = 0xF3
};

/* io.c - the link: bytes from the chip's serial peripheral through a ring, SLIP frames over it. */
void io_init(void);
void io_poll(void);                 /* moves what has arrived into the ring; to be called often */
void io_drain(void);                /* waits until everything written has left the chip */
void io_baud(uint32_t from, uint32_t to);
void io_open(void);                 /* begins a frame */
void io_put(uint8_t byte);          /* a byte of a frame */
void io_word(uint32_t word);        /* four, low byte first */
void io_bytes(const uint8_t *p, uint32_t n);
void io_close(void);                /* ends a frame */
int io_frame(void);                 /* length of a whole frame in `frame`, 0: none yet, -1: a broken one */
int io_idle(void);                  /* whether nothing has arrived that waits to be looked at */
extern uint8_t *const frame;        /* FRAME_MAX bytes, aligned to four */

/* flash.c - the flash chip behind the SPI controller. Addresses and sizes in bytes; results are error bytes. */
extern uint32_t flash_size;         /* as the host has set it */
void flash_wide(int on);            /* 4-byte addresses */
int flash_read(uint32_t address, uint8_t *to, uint32_t n);
int flash_program(uint32_t address, const uint8_t *from, uint32_t n); /* within one page */
int flash_erase(uint32_t address, uint32_t size);                     /* SECTOR or BLOCK64 */
int flash_erase_all(void);
int flash_blank(uint32_t address, uint32_t size, int *blank);

/* write.c - a write in progress. */
int write_begin(uint32_t address, uint32_t size, uint32_t blocks, int packed);
int write_data(uint32_t sequence, const uint8_t *p, uint32_t n); /* one block that has passed its checks */
int write_bytes(const uint8_t *p, uint32_t n);
int write_end(void);
void write_idle(void);              /* erases ahead while nothing arrives */
uint32_t write_expected(void);      /* the sequence number that comes next */
uint32_t write_missing(void);       /* bytes that are still to come */

/* inflate.c - a zlib stream that arrives in pieces. */
void inflate_begin(void);
int inflate_data(const uint8_t *p, uint32_t n); /* OK, or why not; what it unpacks goes to write_bytes */
int inflate_finished(void);

/* md5.c */
struct md5 { uint32_t state[4], count; uint8_t block[64]; };
void md5_begin(struct md5 *m);
void md5_add(struct md5 *m, const uint8_t *p, uint32_t n);
void md5_end(struct md5 *m, uint8_t out[16]);

/* read.c - answers that are many frames. */
int read_flash(uint32_t address, uint32_t size, uint32_t packet, uint32_t window, int packed);
int read_digests(uint32_t address, uint32_t size);
int read_md5(uint32_t address, uint32_t size, uint8_t out[16]);

extern uint8_t window[WINDOW]; /* of inflate; a buffer for whoever else works while no write is in progress */

uint32_t get32(const uint8_t *p);

#endif
