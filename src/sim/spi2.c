/* spi2.c - GP-SPI2 registers. Source: Technical Reference Manual of the ESP32-S3, "SPI Controller", "IO MUX
 * and GPIO Matrix"; the SVD files. Master mode, one line each way, data by the registers W0 to W15. */
#include "sim/spi2.h"

#include <string.h>

enum { CMD = 0x00, ADDR = 0x04, USER = 0x10, USER1 = 0x14, USER2 = 0x18, MS_DLEN = 0x1C, MISC = 0x20 };
enum { W0 = 0x98, SLAVE = 0xE0, CLK_GATE = 0xE8, END = 0x100 };
#define CMD_UPDATE (1u << 23)
#define CMD_USR (1u << 24)
#define USER_DOUTDIN (1u << 0)
#define USER_MOSI (1u << 27)
#define USER_MISO (1u << 28)
#define USER_DUMMY (1u << 29)
#define USER_ADDR (1u << 30)
#define USER_COMMAND (1u << 31)
#define SLAVE_MODE (1u << 26)
#define GATE_RUNS 3u /* CLK_EN, MST_CLK_ACTIVE */
#define MISC_CS0_OFF 1u
enum { DATA = 64, MOST = 1 + 4 + 32 + DATA };

#define MUX_FUNCTION(r) ((r) >> 12 & 7)
#define MUX_INPUT (1u << 9)
#define MATRIX 1u /* function of a pin that the GPIO matrix drives */
#define OUT_FORCED (1u << 10)
#define IN_BY_MATRIX (1u << 7)

void sim_spi2_reset(struct sim_spi2 *s) {
  memset(s->reg, 0, sizeof s->reg);
  s->reg[USER / 4] = 0x800000C0;
  s->reg[USER1 / 4] = 0xB8410007;
  s->reg[USER2 / 4] = 0x78000000;
  s->reg[MISC / 4] = 0x3E;
  memcpy(s->used, s->reg, sizeof s->used);
}

/* Whether a signal gets to the pin that the part is wired to. */
static int reaches(struct sim_spi2 *s, int what) {
  const struct sim_spi2_layout *at = &s->at;
  uint32_t pin = at->pin[what], mux = sim_bus_read(s->bus, at->io_mux + 4 * pin);
  if (what == SIM_SPI2_Q && !(mux & MUX_INPUT))
    return 0;
  if (MUX_FUNCTION(mux) == at->native && pin == at->native_pin[what])
    return what != SIM_SPI2_Q || !(sim_bus_read(s->bus, at->in_sel + 4 * at->signal[what]) & IN_BY_MATRIX);
  if (MUX_FUNCTION(mux) != MATRIX)
    return 0;
  if (what == SIM_SPI2_Q)
    return (sim_bus_read(s->bus, at->in_sel + 4 * at->signal[what]) & 0xFF) == (IN_BY_MATRIX | pin);
  uint32_t out = sim_bus_read(s->bus, at->out_sel + 4 * pin);
  return (out & 0x1FF) == at->signal[what] && !(out & OUT_FORCED);
}

static int wired(struct sim_spi2 *s) {
  for (int i = 0; i < SIM_SPI2_PINS; i++)
    if (i != SIM_SPI2_HD && !reaches(s, i)) /* HOLD is pulled up */
      return 0;
  return 1;
}

static int runs(struct sim_spi2 *s) {
  uint32_t bit = 1u << s->at.bit;
  return (sim_bus_read(s->bus, s->at.clock) & bit) && !(sim_bus_read(s->bus, s->at.reset) & bit) &&
         (s->reg[CLK_GATE / 4] & GATE_RUNS) == GATE_RUNS && !(s->used[SLAVE / 4] & SLAVE_MODE);
}

static void transfer(struct sim_spi2 *s) {
  uint8_t tx[MOST], rx[DATA];
  uint32_t user = s->used[USER / 4], user1 = s->used[USER1 / 4], user2 = s->used[USER2 / 4];
  size_t n = 0, bytes = ((s->used[MS_DLEN / 4] & 0x3FFFF) + 1 + 7) / 8;
  if (bytes > DATA)
    bytes = DATA;
  if (user & USER_COMMAND) /* the low byte first, when there are two */
    for (uint32_t i = 0; i <= user2 >> 28; i += 8)
      tx[n++] = (uint8_t)(user2 >> i);
  if (user & USER_ADDR)
    for (uint32_t i = 0; i <= user1 >> 27; i += 8)
      tx[n++] = (uint8_t)(s->used[ADDR / 4] >> (24 - i));
  if (user & USER_DUMMY) /* whole bytes only */
    for (uint32_t i = 0; i <= (user1 & 0xFF) && n < MOST - DATA; i += 8)
      tx[n++] = 0xFF;
  if (user & USER_MOSI)
    for (size_t i = 0; i < bytes; i++)
      tx[n++] = (uint8_t)(s->reg[W0 / 4 + i / 4] >> i % 4 * 8);
  size_t back = user & USER_MISO ? bytes : 0;
  if (user & USER_DOUTDIN && user & USER_MOSI)
    back = 0; /* both ways at once: no command of the part answers then */
  memset(rx, 0xFF, sizeof rx);
  if (wired(s) && !(s->used[MISC / 4] & MISC_CS0_OFF))
    sim_nand_command(s->nand, tx, n, rx, back);
  for (size_t i = 0; i < back; i++)
    s->reg[W0 / 4 + i / 4] = (s->reg[W0 / 4 + i / 4] & ~(0xFFu << i % 4 * 8)) | (uint32_t)rx[i] << i % 4 * 8;
}

int sim_spi2_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_spi2 *s = ctx;
  if (offset >= END)
    return 0;
  *value = s->reg[offset / 4];
  return 1;
}

/* Without a clock what was begun never ends. */
int sim_spi2_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_spi2 *s = ctx;
  if (offset >= END)
    return 0;
  if (offset != CMD) {
    s->reg[offset / 4] = value;
    return 1;
  }
  if (!runs(s)) {
    s->reg[CMD / 4] = value;
    return 1;
  }
  if (value & CMD_UPDATE)
    memcpy(s->used, s->reg, sizeof s->used);
  if (value & CMD_USR)
    transfer(s);
  s->reg[CMD / 4] = value & ~(CMD_UPDATE | CMD_USR);
  return 1;
}
