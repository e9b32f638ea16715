/* wdt.c - the RTC watchdog. Source: Technical Reference Manuals, "Watchdog Timers". */
#include "sim/wdt.h"

#define ENABLE (1u << 31)
static const double SLOW_CLOCK = 136000; /* Hz, the RC oscillator that counts */

void sim_wdt_init(struct sim_wdt *w, const struct sim_wdt_layout *at, double *now) {
  *w = (struct sim_wdt){.at = *at, .now = now, .due = -1};
}

void sim_wdt_reset(struct sim_wdt *w) {
  w->wprotect = w->config0 = w->config1 = 0;
  w->due = -1;
}

static uint32_t *named(struct sim_wdt *w, uint32_t offset) {
  uint32_t addr = w->at.config0 + offset;
  if (addr == w->at.wprotect)
    return &w->wprotect;
  if (addr == w->at.config0)
    return &w->config0;
  return addr == w->at.config1 ? &w->config1 : 0;
}

/* The first stage's action sits in the topmost three bits below the enable bit: 4 resets the system, 3 the
 * CPU; an RTC reset is 4 or more. */
static void arm(struct sim_wdt *w) {
  uint32_t action = w->config0 >> 28 & 7;
  w->due = w->config0 & ENABLE && action >= 2 ? *w->now + w->config1 / SLOW_CLOCK : -1;
}

int sim_wdt_read(void *ctx, uint32_t offset, uint32_t *value) {
  uint32_t *r = named(ctx, offset);
  if (r)
    *value = *r;
  return r != 0;
}

int sim_wdt_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_wdt *w = ctx;
  uint32_t *r = named(w, offset);
  if (!r)
    return 0;
  if (r == &w->wprotect) {
    w->wprotect = value;
  } else if (w->wprotect == w->at.key) {
    *r = value;
    arm(w);
  }
  return 1;
}
