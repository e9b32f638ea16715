/* sha.h - the SHA accelerator, block by block. */
#ifndef SIM_SHA_H
#define SIM_SHA_H

#include <stdint.h>

/* old: the registers of the ESP32, where every kind of digest has its own state. */
struct sim_sha {
  int old;
  uint32_t mode;
  uint32_t h[16]; /* as software reads them: the digest's bytes in order */
  uint32_t m[32];
  uint32_t kept[4][16]; /* old: SHA-1, 256, 384, 512 */
};

/* Register access for the bus: 0 when the offset is none of ours. */
int sim_sha_read(void *sha, uint32_t offset, uint32_t *value);
int sim_sha_write(void *sha, uint32_t offset, uint32_t value);

#endif
