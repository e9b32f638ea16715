/* sha.c - the SHA accelerator. Source: Technical Reference Manuals, "SHA Accelerator". Blocks are handed over
 * by software; the mode in which they come by DMA is not there. */
#include "sim/sha.h"
#include "sim/mbed.h"

#include <string.h>

enum { MODE = 0x00, START = 0x10, CONTINUE = 0x14, BUSY = 0x18, H = 0x40, M = 0x80 };
enum { SHA1 = 0, SHA224 = 1, SHA256 = 2, SHA384 = 3, SHA512 = 4 };

static uint32_t swap(uint32_t v) {
  return __builtin_bswap32(v);
}

static void sha1(struct sim_sha *s, int first) {
  mbedtls_sha1_context c;
  mbedtls_sha1_init(&c);
  mbedtls_sha1_starts(&c);
  for (int i = 0; i < 5 && !first; i++)
    c.state[i] = swap(s->h[i]);
  mbedtls_internal_sha1_process(&c, (const unsigned char *)s->m);
  for (int i = 0; i < 5; i++)
    s->h[i] = swap(c.state[i]);
  mbedtls_sha1_free(&c);
}

static void sha256(struct sim_sha *s, int first) {
  mbedtls_sha256_context c;
  mbedtls_sha256_init(&c);
  mbedtls_sha256_starts(&c, s->mode == SHA224);
  for (int i = 0; i < 8 && !first; i++)
    c.state[i] = swap(s->h[i]);
  mbedtls_internal_sha256_process(&c, (const unsigned char *)s->m);
  for (int i = 0; i < 8; i++)
    s->h[i] = swap(c.state[i]);
  mbedtls_sha256_free(&c);
}

static void sha512(struct sim_sha *s, int first) {
  mbedtls_sha512_context c;
  mbedtls_sha512_init(&c);
  mbedtls_sha512_starts(&c, s->mode == SHA384);
  for (int i = 0; i < 8 && !first; i++)
    c.state[i] = (uint64_t)swap(s->h[2 * i]) << 32 | swap(s->h[2 * i + 1]);
  mbedtls_internal_sha512_process(&c, (const unsigned char *)s->m);
  for (int i = 0; i < 8; i++) {
    s->h[2 * i] = swap((uint32_t)(c.state[i] >> 32));
    s->h[2 * i + 1] = swap((uint32_t)c.state[i]);
  }
  mbedtls_sha512_free(&c);
}

static void process(struct sim_sha *s, int first) {
  if (s->mode == SHA1)
    sha1(s, first);
  else if (s->mode == SHA224 || s->mode == SHA256)
    sha256(s, first);
  else if (s->mode == SHA384 || s->mode == SHA512)
    sha512(s, first);
}

/* Of the ESP32: text and digest in the same words, as numbers; then four registers for each kind. */
enum { OLD_CONTROL = 0x80, OLD_END = 0xC0 };

static int old_read(struct sim_sha *s, uint32_t offset, uint32_t *value) {
  *value = offset < OLD_CONTROL ? s->m[offset / 4] : 0; /* and never busy */
  return offset < OLD_END;
}

static void old_work(struct sim_sha *s, int kind, int first) {
  static const uint32_t modes[] = {SHA1, SHA256, SHA384, SHA512};
  uint32_t text[32];
  memcpy(text, s->m, sizeof text);
  for (int i = 0; i < 32; i++)
    s->m[i] = swap(text[i]);
  memcpy(s->h, s->kept[kind], sizeof s->h);
  s->mode = modes[kind];
  process(s, first);
  memcpy(s->kept[kind], s->h, sizeof s->h);
  memcpy(s->m, text, sizeof text);
}

static int old_write(struct sim_sha *s, uint32_t offset, uint32_t value) {
  int kind = (int)(offset - OLD_CONTROL) / 16, what = (int)offset / 4 % 4;
  if (offset < OLD_CONTROL)
    s->m[offset / 4] = value;
  else if (offset < OLD_END && what < 2)
    old_work(s, kind, what == 0);
  else if (offset < OLD_END && what == 2)
    for (int i = 0; i < 16; i++)
      s->m[i] = swap(s->kept[kind][i]);
  return offset < OLD_END;
}

int sim_sha_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_sha *s = ctx;
  if (s->old)
    return old_read(s, offset, value);
  if (offset == MODE)
    *value = s->mode;
  else if (offset == BUSY)
    *value = 0;
  else if (offset >= H && offset < H + sizeof s->h)
    *value = s->h[(offset - H) / 4];
  else if (offset >= M && offset < M + sizeof s->m)
    *value = s->m[(offset - M) / 4];
  else
    return 0;
  return 1;
}

int sim_sha_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_sha *s = ctx;
  if (s->old)
    return old_write(s, offset, value);
  if (offset == MODE)
    s->mode = value & 7;
  else if (offset == START || offset == CONTINUE)
    process(s, offset == START);
  else if (offset >= H && offset < H + sizeof s->h)
    s->h[(offset - H) / 4] = value;
  else if (offset >= M && offset < M + sizeof s->m)
    s->m[(offset - M) / 4] = value;
  else
    return 0;
  return 1;
}
