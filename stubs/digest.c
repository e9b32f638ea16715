/* digest.c - MD5 (RFC 1321) and CRC-32 (as zlib has it). */
#include "stub.h"

/* floor(2^32 * abs(sin(i + 1))) */
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const uint8_t shifts[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

static void transform(struct md5 *m, const uint8_t *p) {
  uint32_t a = m->state[0], b = m->state[1], c = m->state[2], d = m->state[3], x[16];
  for (int i = 0; i < 16; i++)
    x[i] = get32(p + 4 * i);
  for (uint32_t i = 0; i < 64; i++) {
    uint32_t f, g, round = i >> 4;
    if (round == 0) {
      f = d ^ (b & (c ^ d));
      g = i;
    } else if (round == 1) {
      f = c ^ (d & (b ^ c));
      g = 5 * i + 1;
    } else if (round == 2) {
      f = b ^ c ^ d;
      g = 3 * i + 5;
    } else {
      f = c ^ (b | ~d);
      g = 7 * i;
    }
    f += a + sines[i] + x[g & 15];
    uint32_t s = shifts[round * 4 + (i & 3)];
    a = d;
    d = c;
    c = b;
    b += f << s | f >> (32 - s);
  }
  m->state[0] += a;
  m->state[1] += b;
  m->state[2] += c;
  m->state[3] += d;
  io_poll();
}

void md5_begin(struct md5 *m) {
  m->state[0] = 0x67452301;
  m->state[1] = 0xefcdab89;
  m->state[2] = 0x98badcfe;
  m->state[3] = 0x10325476;
  m->count = 0;
}

void md5_add(struct md5 *m, const uint8_t *p, uint32_t n) {
  while (n) {
    if (!(m->count & 63) && n >= 64) { /* a whole block needs no copy */
      transform(m, p);
      m->count += 64;
      p += 64;
      n -= 64;
      continue;
    }
    m->block[m->count++ & 63] = *p++;
    n--;
    if (!(m->count & 63))
      transform(m, m->block);
  }
}

void md5_end(struct md5 *m, uint8_t out[16]) {
  uint8_t bits[8], fill = 0x80;
  put32(bits, m->count << 3);
  put32(bits + 4, m->count >> 29);
  do {
    md5_add(m, &fill, 1);
    fill = 0;
  } while ((m->count & 63) != 56);
  md5_add(m, bits, 8);
  for (int i = 0; i < 4; i++)
    put32(out + 4 * i, m->state[i]);
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
    if ((n & 63) == 0)
      io_poll();
  }
  return ~crc;
}
