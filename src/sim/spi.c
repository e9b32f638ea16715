/* spi.c - SPI1 registers. Source: Technical Reference Manuals, "SPI Controller" / "SPI Flash". */
#include "sim/spi.h"

#include <string.h>

enum { CMD = 0x00, ADDR = 0x04, CTRL = 0x08 };
#define CMD_USR (1u << 18)
#define USR_COMMAND (1u << 31)
#define USR_ADDR (1u << 30)
#define USR_DUMMY (1u << 29)
#define USR_MISO (1u << 28)
#define USR_MOSI (1u << 27)

#define CTRL_FREAD_QUAD (1u << 20)
#define CTRL_FREAD_DUAL (1u << 14)
#define CTRL_FASTRD_MODE (1u << 13)
#define CTRL_WP (1u << 21)
#define USR_DUMMY_MOST 0xFF

static const double CLOCK = 20e6; /* Hz on the flash's clock line, as the ROM sets it up */

void sim_spi_init(struct sim_spi *spi, const struct sim_spi_layout *at, struct sim_nor *nor,
                  struct sim_crypt *crypt) {
  *spi = (struct sim_spi){.at = *at,
                          .nor = nor,
                          .crypt = crypt,
                          .ctrl = CTRL_WP | CTRL_FASTRD_MODE,
                          .usr = USR_COMMAND,
                          .usr1 = 23u << 26,
                          .usr2 = 7u << 28};
}

static void words_to_bytes(const uint32_t *w, uint8_t *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    b[i] = (uint8_t)(w[i / 4] >> i % 4 * 8);
}

static void bytes_to_words(const uint8_t *b, uint32_t *w, size_t n) {
  for (size_t i = 0; i < n; i++)
    w[i / 4] = (w[i / 4] & ~(0xFFu << i % 4 * 8)) | (uint32_t)b[i] << i % 4 * 8;
}

/* One command as it goes over the lines. clocks: between the address and what comes back, which takes
 * `lines`. */
struct command {
  uint8_t opcode;
  uint32_t addr;
  int addr_bytes, lines;
  uint32_t clocks, mosi_bits, miso_bits;
};

/* What one line carries in a clock: bit 0 to 3 are D, Q, WP, HOLD. Nobody drives the others: they are pulled
 * up. */
static unsigned lines_at(const uint8_t *sent, int lines, size_t clock) {
  size_t bit = clock * (size_t)lines;
  unsigned v = (unsigned)sent[bit / 8] >> (8 - (size_t)lines - bit % 8) & ((1u << lines) - 1);
  return lines == 1 ? 0xDu | v << 1 : lines == 2 ? 0xCu | v : v;
}

static unsigned as_wired(int dual, unsigned v) {
  switch (dual) {
  case SIM_DUAL_HIGH:
    return v | 1;
  case SIM_DUAL_LOW:
    return v & ~1u;
  case SIM_DUAL_AS_Q:
    return (v & ~1u) | (v >> 1 & 1);
  default:
    return v;
  }
}

/* Flash sends in its way, the controller listens in another: that is one only if both agree. */
static void exchange(struct sim_spi *s, const struct command *c, const uint8_t *tx, size_t ntx, uint8_t *rx,
                     size_t nrx) {
  uint8_t sent[64 * 4 + 64];
  unsigned wait = 0;
  int lines = sim_nor_lines(c->opcode, &wait);
  size_t clocks = nrx * 8 / (size_t)c->lines, late = c->clocks > wait ? c->clocks - wait : 0,
         early = wait - c->clocks;
  if (late)
    early = 0;
  if (lines == 0 || (lines > 1 && s->at.dual == SIM_DUAL_UNKNOWN)) { /* not looked into, or not understood */
    sim_nor_command(s->nor, lines ? 0xFF : c->opcode, c->addr, c->addr_bytes, tx, ntx, rx, nrx);
    return;
  }
  size_t n = ((clocks + late) * (size_t)lines + 7) / 8;
  if (n > sizeof sent)
    n = sizeof sent;
  sim_nor_command(s->nor, c->opcode, c->addr, c->addr_bytes, tx, ntx, sent, n);
  memset(rx, 0, nrx);
  for (size_t t = 0; t < clocks; t++) {
    unsigned v = 0xF;
    if (t >= early && (t - early + late + 1) * (size_t)lines <= n * 8)
      v = lines_at(sent, lines, t - early + late);
    v = as_wired(s->at.dual, v);
    v = c->lines == 1 ? v >> 1 & 1 : v & ((1u << c->lines) - 1);
    size_t bit = t * (size_t)c->lines;
    rx[bit / 8] |= (uint8_t)(v << (8 - (size_t)c->lines - bit % 8));
  }
}

static void carry_out(struct sim_spi *s, const struct command *c) {
  uint8_t tx[64], rx[64];
  size_t ntx = (c->mosi_bits + 7) / 8, nrx = (c->miso_bits + 7) / 8;
  ntx = ntx < sizeof tx ? ntx : sizeof tx;
  nrx = nrx < sizeof rx ? nrx : sizeof rx;
  words_to_bytes(s->w, tx, ntx);
  struct command sent = *c;
  size_t encrypted = c->opcode == 0x02 || c->opcode == 0x32 || c->opcode == 0x12
                         ? sim_crypt_take(s->crypt, &sent.addr, tx)
                         : 0;
  ntx = encrypted ? encrypted : ntx;
  if (s->timing)
    s->busy_until =
        *s->nor->now +
        (8 + 8 * c->addr_bytes + (double)c->clocks + 8 * (double)ntx + 8 * (double)nrx / c->lines) / CLOCK;
  exchange(s, &sent, tx, ntx, rx, nrx);
  bytes_to_words(rx, s->w, nrx);
  if (c->miso_bits % 8 && nrx) /* the last byte is not full */
    s->w[(nrx - 1) / 4] &= ~((0xFFu >> c->miso_bits % 8) << (nrx - 1) % 4 * 8);
}

static void run(struct sim_spi *s, uint8_t opcode, uint32_t addr, int addr_bytes, uint32_t mosi_bits,
                uint32_t miso_bits) {
  carry_out(s, &(struct command){.opcode = opcode,
                                 .addr = addr,
                                 .addr_bytes = addr_bytes,
                                 .lines = 1,
                                 .mosi_bits = mosi_bits,
                                 .miso_bits = miso_bits});
}

static void user_command(struct sim_spi *s) {
  uint32_t addr_bits = s->usr & USR_ADDR ? (s->usr1 >> 26 & 0x3F) + 1 : 0;
  uint32_t mosi = s->at.mosi_dlen ? s->mosi_dlen & 0x3FF : s->usr1 >> 17 & 0x1FF;
  uint32_t miso = s->at.miso_dlen ? s->miso_dlen & 0x3FF : s->usr1 >> 8 & 0x1FF;
  uint32_t addr = s->addr;
  if (addr_bits > 32)
    addr_bits = 32;
  if (addr_bits > 0 && s->at.addr_msb)
    addr >>= 32 - addr_bits;
  else if (addr_bits > 0 && addr_bits < 32)
    addr &= (1u << addr_bits) - 1;
  if (!(s->usr & USR_COMMAND))
    return; /* nothing that the flash would understand */
  int fast = (s->ctrl & CTRL_FASTRD_MODE) != 0;
  carry_out(s, &(struct command){.opcode = (uint8_t)s->usr2,
                                 .addr = addr,
                                 .addr_bytes = (int)addr_bits / 8,
                                 .lines = fast && s->ctrl & CTRL_FREAD_QUAD   ? 4
                                          : fast && s->ctrl & CTRL_FREAD_DUAL ? 2
                                                                              : 1,
                                 .clocks = s->usr & USR_DUMMY ? (s->usr1 & USR_DUMMY_MOST) + 1 : 0,
                                 .mosi_bits = s->usr & USR_MOSI ? mosi + 1 : 0,
                                 .miso_bits = s->usr & USR_MISO ? miso + 1 : 0});
}

/* The commands that the controller has a bit for. Length of a program: bits 24..31 of the address. */
static void ready_made(struct sim_spi *s, uint32_t bits) {
  uint32_t addr = s->addr & 0xFFFFFF, len = (s->addr >> 24 & 0x3F) * 8;
  if (bits & 1u << 30)
    run(s, 0x06, 0, 0, 0, 0);
  if (bits & 1u << 29)
    run(s, 0x04, 0, 0, 0, 0);
  if (bits & 1u << 28) {
    s->w[0] = 0;
    run(s, 0x9F, 0, 0, 0, 24);
  }
  if (bits & 1u << 27) { /* into its own register; what is to be programmed stays where it is */
    uint32_t kept = s->w[0];
    s->w[0] = 0;
    run(s, 0x05, 0, 0, 0, 8);
    s->status = (s->status & ~0xFFu) | (s->w[0] & 0xFF);
    if (s->at.status)
      s->w[0] = kept;
  }
  if (bits & 1u << 26) {
    if (s->at.status)
      s->w[0] = s->status;
    run(s, 0x01, 0, 0, s->status & 0xFF00 ? 16 : 8, 0);
  }
  if (bits & 1u << 25)
    run(s, 0x02, addr, 3, len ? len : 512, 0);
  if (bits & 1u << 24)
    run(s, 0x20, addr, 3, 0, 0);
  if (bits & 1u << 23)
    run(s, 0xD8, addr, 3, 0, 0);
  if (bits & 1u << 22)
    run(s, 0xC7, 0, 0, 0, 0);
  if (bits & 1u << 21)
    run(s, 0xB9, 0, 0, 0, 0);
  if (bits & 1u << 20)
    run(s, 0xAB, 0, 0, 0, 0);
}

static uint32_t *named(struct sim_spi *s, uint32_t offset) {
  if (offset == ADDR)
    return &s->addr;
  if (offset == CTRL)
    return &s->ctrl;
  if (offset == s->at.usr)
    return &s->usr;
  if (offset == s->at.usr1)
    return &s->usr1;
  if (offset == s->at.usr2)
    return &s->usr2;
  if (s->at.status && offset == s->at.status)
    return &s->status;
  if (s->at.mosi_dlen && offset == s->at.mosi_dlen)
    return &s->mosi_dlen;
  if (s->at.miso_dlen && offset == s->at.miso_dlen)
    return &s->miso_dlen;
  if (offset >= s->at.w0 && offset < s->at.w0 + 64 && offset % 4 == 0)
    return &s->w[(offset - s->at.w0) / 4];
  return NULL;
}

int sim_spi_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_spi *s = ctx;
  uint32_t *r = named(s, offset);
  if (offset == CMD)
    *value = s->timing && *s->nor->now < s->busy_until ? CMD_USR : 0;
  else if (r)
    *value = *r;
  else
    return 0;
  return 1;
}

int sim_spi_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_spi *s = ctx;
  uint32_t *r = named(s, offset);
  if (offset == CMD && value & CMD_USR)
    user_command(s);
  else if (offset == CMD)
    ready_made(s, value);
  else if (r)
    *r = value;
  else
    return 0;
  return 1;
}
