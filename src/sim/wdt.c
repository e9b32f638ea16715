/* wdt.c - the RTC watchdog. Source: Technical Reference Manuals, "Watchdog Timers". */
#include "sim/wdt.h"

#define ENABLE (1u << 31)
static const double SLOW_CLOCK = 136000; /* Hz, the RC oscillator that counts */

void sim_wdt_init(struct sim_wdt *w, const struct sim_wdt_layout *at, double *now) {
  *w = (struct sim_wdt){.at = *at, .now = now, .due = -1};
}

/* When it bites, and what it does then: a stage that does not reset passes on to the next. */
static void arm(struct sim_wdt *w) {
  int guards = w->guards && w->config0 >> w->at.guard & 1;
  double after = 0;
  w->due = -1;
  if (!(w->config0 & ENABLE) && !guards)
    return;
  for (int i = 0; i < SIM_WDT_STAGES; i++) {
    int action = (int)(w->config0 >> (28 - 3 * i) & 7);
    if (guards && i == 0)
      action = SIM_WDT_SYSTEM;
    after += (double)w->hold[i] * (i == 0 ? 1u << w->at.shift : 1) / SLOW_CLOCK;
    if (action >= SIM_WDT_CPU) {
      w->due = *w->now + after;
      w->bite = action < SIM_WDT_SYSTEM ? action : SIM_WDT_SYSTEM;
      return;
    }
  }
}

void sim_wdt_reset(struct sim_wdt *w, int guards) {
  static const uint32_t hold[SIM_WDT_STAGES] = {0, 80000, 4095, 4095};
  w->wprotect = w->config0 = 0;
  w->due = -1;
  for (int i = 0; i < SIM_WDT_STAGES; i++)
    w->hold[i] = i == 0 ? w->at.hold : hold[i];
  w->guards = guards && w->at.config0;
  if (w->guards) {
    w->wprotect = w->at.key;
    w->config0 = 1u << w->at.guard;
    arm(w);
  }
}

static uint32_t *named(struct sim_wdt *w, uint32_t offset) {
  uint32_t addr = w->at.config0 + offset, stage = (addr - w->at.config1) / 4;
  if (addr == w->at.wprotect)
    return &w->wprotect;
  if (addr == w->at.config0)
    return &w->config0;
  return addr >= w->at.config1 && stage < SIM_WDT_STAGES ? &w->hold[stage] : 0;
}

/* The register before the key's: whatever is written begins the first stage again. */
static int is_feed(const struct sim_wdt *w, uint32_t offset) {
  return w->at.config0 + offset == w->at.wprotect - 4;
}

int sim_wdt_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_wdt *w = ctx;
  uint32_t *r = named(w, offset);
  *value = r ? *r : 0;
  return r || is_feed(w, offset);
}

int sim_wdt_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_wdt *w = ctx;
  uint32_t *r = named(w, offset);
  if (!r && !is_feed(w, offset))
    return 0;
  if (r == &w->wprotect) {
    w->wprotect = value;
  } else if (w->wprotect == w->at.key) {
    if (r)
      *r = value;
    arm(w);
  }
  return 1;
}
