/* stub.h - the flasher stub: what its parts share. One source for every chip; CHIP_HEADER is what
 * describe.lua makes of chips/ID.lua. */
#ifndef STUB_H
#define STUB_H

#include <stddef.h>
#include <stdint.h>

#ifdef STUB_ON_HOST /* built for the host, by a fuzzer */
uint32_t host_reg_read(uint32_t address);
void host_reg_write(uint32_t address, uint32_t value);
#define REG_READ(a) host_reg_read(a)
#define REG_WRITE(a, v) host_reg_write((a), (v))
#define ON_HOST 1
#else
#define ON_HOST 0
#define REG_READ(a) (*(volatile uint32_t *)(a))
#define REG_WRITE(a, v) (*(volatile uint32_t *)(a) = (uint32_t)(v))
#endif

#ifdef __xtensa__
#define INLINE __attribute__((always_inline)) inline /* where that makes the code smaller */
#else
#define INLINE
#endif

/* Hides from the compiler what a base address is, so that it takes offsets from one register instead of
 * keeping a constant per register. */
static inline uint32_t near(uint32_t base) {
#if !ON_HOST
  __asm__("" : "+r"(base));
#endif
  return base;
}

#include CHIP_HEADER

enum {
  SECTOR = 4096,
  BLOCK64 = 65536,
  CHUNK = 64,        /* bytes in the buffer of the SPI controller: read and programmed at a time */
  BLOCK_MAX = 16384, /* the largest block that hosts of the public protocol send */
  FRAME_MAX = 8 + 16 + BLOCK_MAX,
  WINDOW = 32768, /* of deflate */
  BURST = 512     /* bytes that are put into the window at once, at most */
};

/* Error bytes of a reply, the first of its two status bytes. Up to 0xC9 and 0xFF they are those of the public
 * stub protocol; 0xE0 and up are ours (doc/stub-protocol.md). */
enum {
  OK = 0,
  BAD_LENGTH = 0xC0,
  BAD_CHECKSUM = 0xC1,
  BAD_BLOCK_SIZE = 0xC2,
  BAD_COMMAND = 0xC3,
  FLASH_FAILED = 0xC4,    /* the flash did not do what it was told */
  FLASH_PROTECTED = 0xC5, /* and its status says why */
  NOT_IN_PROGRESS = 0xC6, /* data without a begin */
  INFLATE_FAILED = 0xC7,
  TOO_LITTLE_DATA = 0xC8,
  TOO_MUCH_DATA = 0xC9,
  OUT_OF_SEQUENCE = 0xE1, /* value tells the block that is expected */
  FLASH_DIFFERS = 0xE2,   /* what was programmed reads otherwise */
  FLASH_TIMEOUT = 0xE3,
  BAD_RATE = 0xE4,
  BAD_FRAME = 0xE5, /* damaged on the line; value tells the block that is expected */
  OUT_OF_RANGE = 0xE6,
  NAND_PROGRAM_FAILED = 0xCA, /* the part says so: P-FAIL */
  NAND_ERASE_FAILED = 0xCB,
  NAND_UNCORRECTABLE = 0xE7, /* its error correction gives up; value tells the page */
  FLASH_BUSY = 0xFE,         /* never told */
  NOT_IMPLEMENTED = 0xFF
};

/* Commands by number. Those from 0xD0 to 0xD3 and from 0xF0 to 0xF3 are moved to behind the others. */
#define COMPACT(op) (0x15 + ((op)&3) + ((op) >> 3 & 4))
enum {
  FLASH_BEGIN = 0x02,
  FLASH_DATA = 0x03,
  FLASH_END = 0x04,
  MEM_BEGIN = 0x05,
  MEM_END = 0x06,
  MEM_DATA = 0x07,
  SYNC = 0x08,
  WRITE_REG = 0x09,
  READ_REG = 0x0A,
  SPI_SET_PARAMS = 0x0B,
  SPI_ATTACH = 0x0D,
  CHANGE_BAUD = 0x0F,
  DEFL_BEGIN = 0x10,
  DEFL_DATA = 0x11,
  DEFL_END = 0x12,
  FLASH_MD5 = 0x13,
  SECURITY_INFO = 0x14,
  ERASE_FLASH = COMPACT(0xD0),
  ERASE_REGION = COMPACT(0xD1),
  READ_FLASH = COMPACT(0xD2),
  RUN_USER_CODE = COMPACT(0xD3),
  CAPABILITIES = COMPACT(0xF0),
  DIGESTS = COMPACT(0xF1),
  READ_PACKED = COMPACT(0xF2),
  WRITE_STATE = COMPACT(0xF3),
  COMMANDS
};

/* io.c - the link: bytes from the chip's serial peripheral through a ring, SLIP frames over it. */
void io_init(void);
void io_poll(void);                      /* moves what has arrived into the ring; to be called often */
void io_drain(void);                     /* waits until everything written has left the chip */
int io_baud(uint32_t from, uint32_t to); /* works out the divider; 0: it cannot be set */
void io_baud_set(void);                  /* sets it */
void io_open(void);                      /* begins a frame */
void io_put(uint8_t byte);               /* a byte of a frame */
void io_word(uint32_t word);             /* four, low byte first */
void io_bytes(const uint8_t *p, uint32_t n);
void io_close(void); /* ends a frame */
int io_frame(void);  /* length of a whole frame in `frame`, 0: none yet, -1: a broken one */
void io_keep(int n); /* the frame in `frame` is to be given again by io_frame */
extern uint32_t frame_words[];
#define frame ((uint8_t *)frame_words) /* FRAME_MAX bytes */

/* usb.c - where the chip has them: USB-Serial/JTAG and, by calls into the ROM, USB-OTG. */
enum { LINK_UART, LINK_USJ, LINK_OTG };
int usb_init(void); /* which link is in use */
void usb_poll(int link);
void usb_put(int link, uint8_t byte);
void usb_flush(int link); /* sends what is in the buffer, and waits until it may be reused */
uint32_t ring_room(void);
void ring_store(uint8_t byte);

/* flash.c - the flash chip behind the SPI controller. Addresses and sizes in bytes; results are error bytes.
 */
extern uint32_t flash_size;                       /* as the host has set it */
void flash_init(int first);                       /* first: attaches the flash where nobody has */
int flash_check(uint32_t address, uint32_t size); /* of a range: is it there, and does the chip answer */
int flash_poll(void);  /* OK: what was begun is done; FLASH_BUSY: not yet; or an error */
int flash_ready(void); /* waits until it is done */
int flash_there(void); /* that, and whether a flash chip answers at all */
/* Reads n bytes, 1 to CHUNK, for which `to` has room, of a flash that is ready. */
void flash_read(uint32_t address, uint32_t *to, uint32_t n);
void flash_try(uint32_t address); /* finds out whether two lines work, which flash_fetch then takes */
int flash_busy(void);             /* whether a command is under way */
void flash_fetch(uint32_t address,
                 uint32_t n);  /* begins to read up to CHUNK bytes; when flash_poll says OK */
void flash_take(uint32_t *to); /* they are here (and what follows them, up to CHUNK) */
int flash_program(uint32_t address, const uint32_t *from, uint32_t n); /* within a CHUNK; runs on */
int flash_program_encrypted(uint32_t address, const uint32_t *from, uint32_t n);
int flash_erase(uint32_t address, uint32_t size); /* SECTOR or BLOCK64; runs on */
int flash_erased(uint32_t address); /* whether the chunk there, which was not blank, is so now */
int flash_erase_all(void);
uint32_t flash_used(uint32_t address, uint32_t end); /* the first chunk that is not blank, or end */
void flash_attach(uint32_t pins);

#ifdef NAND_SPI
/* nand.c - a serial NAND flash. To the other parts its bytes have addresses from NAND_SPACE on. */
#define NAND_SPACE 0x80000000u
#define NAND_MASK 0x7FFFFFFFu
enum { NAND_PAGE = 2048, NAND_BLOCK = 131072, NAND_SIZE = 1 << 27 };
int nand_attach(uint32_t pins, uint32_t *id, uint8_t *status, uint8_t *protect);
int nand_in_range(uint32_t address, uint32_t size);
void nand_begin(void); /* before reading: forgets what could not be read */
int nand_lost(void);   /* whether there was something */
#define READ_RESULT (nand_lost() ? NAND_UNCORRECTABLE : OK)
void nand_tolerate(int all); /* what cannot be read is taken as the part gives it */
int nand_load(uint32_t page);
int nand_ecc(void); /* of that page: 0, 1: corrected, or NAND_UNCORRECTABLE */
void nand_fetch(uint32_t address, uint32_t n);
const uint32_t *nand_fetched(void);
int nand_spare(uint32_t page, uint32_t *word);
int nand_mark(uint32_t page);
int nand_erase(uint32_t page);
int nand_program(uint32_t page, const uint32_t *from, uint32_t n);
void nand_pump(void);
#else
#define READ_RESULT OK
#endif

/* write.c - a write in progress. What arrives is put into `window`, the byte for an address at that address
 * modulo its size, and programmed from there, read back and compared while the next bytes arrive. */
int write_erase(uint32_t *address, uint32_t end,
                uint32_t *erasing); /* the next sector or 64 KiB of a range */
int write_begin(uint32_t address, uint32_t size, int packed, int encrypted);
int write_data(uint32_t sequence, const uint8_t *p, uint32_t n,
               int packed); /* a block that has passed its checks */
int write_put(
    uint32_t upto);    /* everything before this address is in the window; waits for room for BURST more */
void write_pump(void); /* does what can be done now; to be called often */
int write_end(void);
void write_stop(void);         /* without looking whether it is complete */
int write_state(void);         /* NOT_IN_PROGRESS, the error that ended it, or OK */
uint32_t write_expected(void); /* the sequence number that comes next */
uint32_t write_missing(void);  /* bytes that are still to come */

/* inflate.c - a zlib stream that arrives in pieces. */
void inflate_begin(uint32_t address, uint32_t end); /* where its first byte goes, and where it has to end */
int inflate_data(const uint8_t *p, uint32_t n);     /* OK, or why not; it unpacks into the window */
int inflate_finished(void);

/* digest.c */
struct md5 {
  uint32_t state[4], count, block[16];
};
void md5_begin(struct md5 *m);
void md5_add(struct md5 *m, const uint8_t *p, uint32_t n);
void md5_end(struct md5 *m, uint32_t out[4]);
void mix_add(uint32_t *state, const uint8_t *p, uint32_t n);
void crc_init(void);
uint32_t crc_add(uint32_t crc, const uint8_t *p, uint32_t n); /* begin with 0 */

/* read.c - answers that are many frames. */
int read_pump(void); /* to be called while the line is busy */
void read_flash(uint32_t address, uint32_t size, uint32_t packet, uint32_t window, int packed);
void read_digests(uint32_t address, uint32_t size, uint32_t unit);
void read_md5(uint32_t address, uint32_t size, uint32_t out[4]);

extern uint8_t window[WINDOW]; /* of inflate, aligned to four; a buffer for whoever else works while no write
                                  is in progress */

/* start.S - calls a function of the ROM, whatever convention that has. After three arguments of ours it gets
 * 4096, 256 and 0xFFFF: what only the function that is told of the flash takes, as sizes of sector and page
 * and status mask. */
uint32_t rom_call(uint32_t function, uint32_t a, uint32_t b, uint32_t c);

void rom_boot(void); /* gives the chip back to the ROM, which starts what is in flash */

uint32_t get32(const uint8_t *p);
void stub_init(void);
void stub_step(void);
void stub_main(void);

#endif
