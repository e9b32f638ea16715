/* crypt.h - flash encryption: the key in eFuse, the window onto encrypted flash, and the block that encrypts
 * what the flash controller writes. */
#ifndef SIM_CRYPT_H
#define SIM_CRYPT_H

#include <stddef.h>
#include <stdint.h>

struct sim_chip;

enum { SIM_CRYPT_PLAIN = 64, SIM_CRYPT_KEY = 64, SIM_CRYPT_UNIT = 128 };

struct sim_crypt_layout {
  int esp32;               /* AES-256 of blocks in place of XTS, and other registers */
  uint32_t base;           /* registers; 0: none */
  uint32_t control;        /* address of the register with the enable bits */
  uint32_t line;           /* bytes that are encrypted at once, at most: 32 or 64 */
  uint32_t purpose;        /* of the block with the key of AES-128 */
  uint32_t purpose_256[2]; /* of the two with that of AES-256; 0: there is no such thing */
};

struct sim_crypt {
  struct sim_chip *chip;
  uint32_t line, destination, address, state;
  uint8_t plain[SIM_CRYPT_PLAIN], result[SIM_CRYPT_PLAIN];
};

void sim_crypt_reset(struct sim_crypt *x);

/* Whether what the window shows is decrypted. */
int sim_crypt_window(struct sim_chip *c);

/* En- or decrypts n bytes at an address of flash in place, as the window and the block do. address and n are
 * multiples of 16. Returns 0, or -1 when there is no key in eFuse; the bytes are then as they were. */
int sim_crypt_run(struct sim_chip *c, int encrypt, uint32_t address, uint8_t *data, size_t n);

/* What the flash controller programs in place of its own bytes, and where: the released result. Returns how
 * many bytes; 0: its own. */
size_t sim_crypt_take(const struct sim_crypt *x, uint32_t *address, uint8_t data[SIM_CRYPT_PLAIN]);

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_crypt_read(void *crypt, uint32_t offset, uint32_t *value);
int sim_crypt_write(void *crypt, uint32_t offset, uint32_t value);

#endif
