/* loader.h - the serial loader in the chip's ROM: frames in, commands, replies.
 *
 * As in the ROM, request and reply are one buffer each that is reused: bytes that a short frame does not
 * bring, and value, operation, error and bytes of a reply that a command does not set, are those of an
 * earlier one. */
#ifndef SIM_LOADER_H
#define SIM_LOADER_H

#include <stddef.h>
#include <stdint.h>

struct sim_chip;

enum { SIM_FRAME_MAX = 0x2000, SIM_REPLY_BODY = 64, SIM_WINDOW = 0x8000 };

/* The ROM sends 24 bits of an address: beyond 16 MiB it comes out at the beginning. */
#define SIM_ROM_ADDRESS 0xFFFFFFu

/* How a command ended. */
enum {
  SIM_OK = 0x00,
  SIM_ERR_FORMAT = 0x05,
  SIM_ERR_RESULT = 0x06,
  SIM_ERR_CHECKSUM = 0x07,
  SIM_ERR_WRITE = 0x08,
  SIM_ERR_READ = 0x09,
  SIM_ERR_READ_LENGTH = 0x0A,
  SIM_ERR_DEFLATE = 0x0B,
  SIM_ERR_ADLER = 0x0C,
  SIM_ERR_REFUSED = 0x64
};

enum {
  SIM_OP_FLASH_BEGIN = 0x02,
  SIM_OP_FLASH_DATA,
  SIM_OP_FLASH_END,
  SIM_OP_MEM_BEGIN,
  SIM_OP_MEM_END,
  SIM_OP_MEM_DATA,
  SIM_OP_SYNC,
  SIM_OP_WRITE_REG,
  SIM_OP_READ_REG,
  SIM_OP_SPI_SET_PARAMS,
  SIM_OP_SPI_ATTACH = 0x0D,
  SIM_OP_READ_FLASH_SLOW,
  SIM_OP_CHANGE_BAUD,
  SIM_OP_DEFL_BEGIN,
  SIM_OP_DEFL_DATA,
  SIM_OP_DEFL_END,
  SIM_OP_MD5,
  SIM_OP_SECURITY_INFO
};

/* A download under way. */
struct sim_download {
  uint32_t total, blocks, block_size, seq, received, addr;
  int encrypted;
};

struct sim_loader {
  uint8_t frame[SIM_FRAME_MAX];
  size_t len;
  int in_frame, escaped;
  int connected; /* SYNC has been seen: commands are served */
  int secure;    /* secure download mode */
  uint8_t op, error;
  uint32_t value;
  uint8_t body[SIM_REPLY_BODY + 4];
  struct sim_download raw, defl; /* raw: to memory or to flash, whichever was begun last */
  void *inflate;                 /* z_stream of zlib, or NULL */
  uint8_t *window;
  uint32_t window_len;
  int inflate_ended;
  uint32_t flash_size, entry; /* what SPI_SET_PARAMS said; where MEM_END jumps */
  double new_baud;            /* to be set after the reply; 0: none */
  int leave, restart;         /* after the reply: leave the loader, reset */
  int hang, panic;            /* instead of a reply: do nothing any more; panic: after saying why */
};

enum { SIM_PANIC_LOAD = 1, SIM_PANIC_STORE };

void sim_loader_reset(struct sim_chip *c);
void sim_loader_free(struct sim_chip *c);

/* Says what the ROM's handler of exceptions says. */
void sim_loader_panic(struct sim_chip *c, int storing);

/* One byte from the line. */
void sim_loader_byte(struct sim_chip *c, uint8_t byte);

/* The commands. body is what follows the header, up to the end of the buffer; n is the length that the header
 * announces. Each returns an error code. */
int sim_cmd_mem(struct sim_chip *c, uint8_t op, const uint8_t *body, size_t n, uint8_t checksum);
int sim_cmd_flash(struct sim_chip *c, uint8_t op, uint8_t *body, size_t n, uint8_t checksum);
int sim_cmd_deflate(struct sim_chip *c, uint8_t op, const uint8_t *body, size_t n, uint8_t checksum);
int sim_cmd_info(struct sim_chip *c, uint8_t op, const uint8_t *body, size_t n);

/* Changes bytes so that they do not read back as they were: not by the chip's cipher, but by key and address.
 */
void sim_loader_encrypt(struct sim_chip *c, uint32_t addr, uint8_t *data, uint32_t n);

/* Switches the flash to the SPI pins, if it is at these pads and has its supply. */
void sim_loader_attach(struct sim_chip *c, uint32_t pads);

/* The 20 bytes of the security info. */
void sim_security_info(struct sim_chip *c, uint8_t *out);

enum { SIM_BODY_MAX = SIM_FRAME_MAX - 8 };

/* Little-endian word i of a body. */
uint32_t sim_word(const uint8_t *body, size_t i);

/* XOR of the bytes and 0xEF. */
uint8_t sim_checksum(const uint8_t *data, size_t n);

/* Whether flash may be written and read there, as far as the loader knows its size. */
int sim_loader_in_flash(const struct sim_chip *c, uint32_t addr, uint32_t n);
int sim_loader_erase(struct sim_chip *c, uint32_t addr, uint32_t n);
void sim_loader_program(struct sim_chip *c, uint32_t addr, const uint8_t *data, uint32_t n);

#endif
