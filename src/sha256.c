/* sha256.c - SHA-256 with the instructions that x86 processors have for it. */
#include "sha256.h"

#include <string.h>

enum { BLOCK = 64, LENGTH_AT = 56 };

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <immintrin.h>

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

bool sha256_fast(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
    return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

/* The instructions take the eight words of the state as two registers, A B E F and C D G H from the top. */
__attribute__((target("sha,sse4.1,ssse3"))) static void blocks(uint32_t *state, const uint8_t *p, size_t n) {
  const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xB1);
  __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1B);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);
  for (; n > 0; n--, p += BLOCK) {
    __m128i w[4], x = abef, y = cdgh;
    for (int i = 0; i < 4; i++)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), order);
#pragma GCC unroll 16
    for (int i = 0; i < 16;
         i++) { /* four rounds each; w[i % 4] has their words, then those of 16 rounds on */
      __m128i now = w[i & 3], last = w[(i + 3) & 3];
      __m128i k = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(K + 4 * i)));
      y = _mm_sha256rnds2_epu32(y, x, k);
      x = _mm_sha256rnds2_epu32(x, y, _mm_shuffle_epi32(k, 0x0E));
      now =
          _mm_add_epi32(_mm_sha256msg1_epu32(now, w[(i + 1) & 3]), _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
      w[i & 3] = _mm_sha256msg2_epu32(now, last);
    }
    abef = _mm_add_epi32(abef, x);
    cdgh = _mm_add_epi32(cdgh, y);
  }
  __m128i feba = _mm_shuffle_epi32(abef, 0x1B), dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}
#else
bool sha256_fast(void) {
  return false;
}

static void blocks(uint32_t *state, const uint8_t *p, size_t n) {
  (void)state, (void)p, (void)n;
}
#endif

void sha256_begin(struct sha256 *s) {
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(s->state, start, sizeof start);
  s->size = 0;
}

void sha256_update(struct sha256 *s, const void *data, size_t n) {
  const uint8_t *p = data;
  size_t have = s->size % BLOCK;
  s->size += n;
  if (have > 0) {
    size_t part = n < BLOCK - have ? n : BLOCK - have;
    memcpy(s->block + have, p, part);
    p += part;
    n -= part;
    if (have + part < BLOCK)
      return;
    blocks(s->state, s->block, 1);
  }
  if (n >= BLOCK)
    blocks(s->state, p, n / BLOCK);
  if (n % BLOCK > 0)
    memcpy(s->block, p + n - n % BLOCK, n % BLOCK);
}

void sha256_end(struct sha256 *s, uint8_t *out) {
  size_t have = s->size % BLOCK;
  s->block[have++] = 0x80;
  if (have > LENGTH_AT) {
    memset(s->block + have, 0, BLOCK - have);
    blocks(s->state, s->block, 1);
    have = 0;
  }
  memset(s->block + have, 0, LENGTH_AT - have);
  for (int i = 0; i < 8; i++)
    s->block[LENGTH_AT + i] = (uint8_t)(s->size * 8 >> (56 - 8 * i));
  blocks(s->state, s->block, 1);
  for (int i = 0; i < 32; i++)
    out[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}
