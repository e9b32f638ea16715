/* digest.c - MD5 (RFC 1321) and CRC-32 (as zlib has it). */
#include "stub.h"

/* Per step: floor(2^32 * abs(sin(i + 1))), which word of the block (in bytes), how far to turn. */
static const struct {
  uint32_t sine;
  uint8_t word, turn;
} steps[64] = {{0xd76aa478, 0, 7},  {0xe8c7b756, 4, 12},  {0x242070db, 8, 17},  {0xc1bdceee, 12, 22},
               {0xf57c0faf, 16, 7}, {0x4787c62a, 20, 12}, {0xa8304613, 24, 17}, {0xfd469501, 28, 22},
               {0x698098d8, 32, 7}, {0x8b44f7af, 36, 12}, {0xffff5bb1, 40, 17}, {0x895cd7be, 44, 22},
               {0x6b901122, 48, 7}, {0xfd987193, 52, 12}, {0xa679438e, 56, 17}, {0x49b40821, 60, 22},
               {0xf61e2562, 4, 5},  {0xc040b340, 24, 9},  {0x265e5a51, 44, 14}, {0xe9b6c7aa, 0, 20},
               {0xd62f105d, 20, 5}, {0x02441453, 40, 9},  {0xd8a1e681, 60, 14}, {0xe7d3fbc8, 16, 20},
               {0x21e1cde6, 36, 5}, {0xc33707d6, 56, 9},  {0xf4d50d87, 12, 14}, {0x455a14ed, 32, 20},
               {0xa9e3e905, 52, 5}, {0xfcefa3f8, 8, 9},   {0x676f02d9, 28, 14}, {0x8d2a4c8a, 48, 20},
               {0xfffa3942, 20, 4}, {0x8771f681, 32, 11}, {0x6d9d6122, 44, 16}, {0xfde5380c, 56, 23},
               {0xa4beea44, 4, 4},  {0x4bdecfa9, 16, 11}, {0xf6bb4b60, 28, 16}, {0xbebfbc70, 40, 23},
               {0x289b7ec6, 52, 4}, {0xeaa127fa, 0, 11},  {0xd4ef3085, 12, 16}, {0x04881d05, 24, 23},
               {0xd9d4d039, 36, 4}, {0xe6db99e5, 48, 11}, {0x1fa27cf8, 60, 16}, {0xc4ac5665, 8, 23},
               {0xf4292244, 0, 6},  {0x432aff97, 28, 10}, {0xab9423a7, 56, 15}, {0xfc93a039, 20, 21},
               {0x655b59c3, 48, 6}, {0x8f0ccc92, 12, 10}, {0xffeff47d, 40, 15}, {0x85845dd1, 4, 21},
               {0x6fa87e4f, 32, 6}, {0xfe2ce6e0, 60, 10}, {0xa3014314, 24, 15}, {0x4e0811a1, 52, 21},
               {0xf7537e82, 16, 6}, {0xbd3af235, 44, 10}, {0x2ad7d2bb, 8, 15},  {0xeb86d391, 36, 21}};

static void transform(struct md5 *m, const uint32_t *x) {
  uint32_t a = m->state[0], b = m->state[1], c = m->state[2], d = m->state[3], f;
  for (int i = 0; i < 64; i++) {
    int round = i >> 4;
    if (round == 0)
      f = d ^ (b & (c ^ d));
    else if (round == 1)
      f = c ^ (d & (b ^ c));
    else if (round == 2)
      f = b ^ c ^ d;
    else
      f = c ^ (b | ~d);
    f += a + steps[i].sine + *(const uint32_t *)(const void *)((const uint8_t *)x + steps[i].word);
    a = d;
    d = c;
    c = b;
    b += f << steps[i].turn | f >> (32 - steps[i].turn);
  }
  m->state[0] += a;
  m->state[1] += b;
  m->state[2] += c;
  m->state[3] += d;
}

void md5_begin(struct md5 *m) {
  m->state[0] = 0x67452301;
  m->state[1] = 0xefcdab89;
  m->state[2] = 0x98badcfe;
  m->state[3] = 0x10325476;
  m->count = 0;
}

void md5_add(struct md5 *m, const uint8_t *p, uint32_t n) {
  if (n == CHUNK && !(m->count & 63)) { /* a whole block, aligned, needs no copy */
    transform(m, (const uint32_t *)(const void *)p);
    m->count += n;
    return;
  }
  while (n--) {
    ((uint8_t *)m->block)[m->count++ & 63] = *p++;
    if (!(m->count & 63))
      transform(m, m->block);
  }
}

void md5_end(struct md5 *m, uint32_t out[4]) {
  uint32_t bits[2] = {m->count << 3, m->count >> 29};
  uint8_t fill = 0x80;
  do {
    md5_add(m, &fill, 1);
    fill = 0;
  } while ((m->count & 63) != 56);
  md5_add(m, (const uint8_t *)bits, 8);
  for (int i = 0; i < 4; i++)
    out[i] = m->state[i];
}

/* Two words that tell content apart at a tenth of MD5's price (doc/stub-protocol.md, "F1 DIGESTS"). p is
 * aligned. */
void mix_add(uint32_t *state, const uint8_t *p, uint32_t n) {
  uint32_t a = state[0], b = state[1];
  while (n) {
    uint32_t v = *p, k = 1;
    if (n >= 4) {
      v = *(const uint32_t *)(const void *)p;
      k = 4;
    }
    a = (a ^ v) * 0x9E3779B1;
    a ^= a >> 15;
    b = b * 0x85EBCA77 + a;
    p += k;
    n -= k;
  }
  state[0] = a;
  state[1] = b;
}

static uint32_t crc_of[256];

void crc_init(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++)
      c = c >> 1 ^ (0xEDB88320 & -(c & 1));
    crc_of[i] = c;
  }
}

uint32_t crc_add(uint32_t crc, const uint8_t *p, uint32_t n) {
  crc = ~crc;
  while (n--) {
    crc = crc_of[(crc ^ *p++) & 0xFF] ^ crc >> 8;
    if ((n & 15) == 0)
      write_pump();
  }
  return ~crc;
}
