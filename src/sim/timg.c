/* timg.c - timer groups. Source: Technical Reference Manuals, "Timer Group", "Watchdog Timers". */
#include "sim/timg.h"

#include "sim/chip.h"

#include <string.h>

enum { RESET_CPU = 2, RESET_CORE = 3 };
enum { WDTCONFIG0 = 0x48, WDTFEED = 0x60, WDTWPROTECT = 0x64, RTCCALICFG = 0x68, RTCCALICFG1 = 0x6C };
#define KEY 0x50D83AA1u
#define ENABLE (1u << 31)
#define GUARD (1u << 14) /* of the boot from flash */
#define START (1u << 31)
#define READY (1u << 15)

static double now_of(const struct sim_timg_one *o) {
  return o->group->chip->core.time;
}

/* Stages run one after the other; the first that resets is the one that counts. */
static void arm(struct sim_timg_one *o) {
  const struct sim_timg_layout *l = &o->group->chip->config.machine.timg;
  double prescale = (double)(o->wdt[1] >> 16 ? o->wdt[1] >> 16 : 1), after = 0;
  int guards = o->guards && o->wdt[0] & GUARD;
  o->due = -1;
  if ((!(o->wdt[0] & ENABLE) && !guards) || l->clock <= 0)
    return;
  for (int stage = 0; stage < 4; stage++) {
    int action = guards && stage == 0 ? RESET_CORE : (int)(o->wdt[0] >> (29 - 2 * stage) & 3);
    after += (double)o->wdt[2 + stage] * prescale / l->clock;
    if (action >= RESET_CPU) {
      o->cpu = action == RESET_CPU;
      o->due = now_of(o) + after;
      return;
    }
  }
}

void sim_timg_reset(struct sim_timg *t, int guards) {
  for (int i = 0; i < SIM_TIMGS; i++) {
    struct sim_timg_one *o = &t->one[i];
    *o = (struct sim_timg_one){.group = t,
                               .wdt = {0x4C000, 0x10000, 26000000, 0x7FFFFFF, 0xFFFFF, 0xFFFFF},
                               .wprotect = KEY,
                               .cali = 0x13000,
                               .cali1 = i == 0 ? t->chip->config.machine.timg.calibrated : 0,
                               .guards = guards && i == 0};
    arm(o);
  }
}

int sim_timg_bites(const struct sim_timg *t, double now) {
  static const int cause[SIM_TIMGS][2] = {{SIM_RST_TIMER0, SIM_RST_TIMER0_CPU},
                                          {SIM_RST_TIMER1, SIM_RST_TIMER1_CPU}};
  for (int i = 0; i < SIM_TIMGS; i++)
    if (t->one[i].due >= 0 && now >= t->one[i].due)
      return cause[i][t->one[i].cpu];
  return -1;
}

int sim_timg_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_timg_one *o = ctx;
  if (offset >= WDTCONFIG0 && offset < WDTFEED)
    *value = o->wdt[(offset - WDTCONFIG0) / 4];
  else if (offset == WDTFEED)
    *value = 0;
  else if (offset == WDTWPROTECT)
    *value = o->wprotect;
  else if (offset == RTCCALICFG)
    *value = o->cali | READY;
  else if (offset == RTCCALICFG1)
    *value = o->cali1;
  else
    return 0;
  return 1;
}

/* Cycles of the crystal in so many of the slow clock. */
static void measure(struct sim_timg_one *o) {
  const struct sim_timg_layout *l = &o->group->chip->config.machine.timg;
  double n = (double)(o->cali >> 16 & 0x7FFF) * l->crystal / (l->slow_clock > 0 ? l->slow_clock : 136e3);
  o->cali1 = (uint32_t)(n < 33554431.0 ? n : 33554431.0) << 7 | 1;
}

int sim_timg_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_timg_one *o = ctx;
  if (offset == WDTWPROTECT) {
    o->wprotect = value;
  } else if (offset >= WDTCONFIG0 && offset <= WDTFEED) {
    if (o->wprotect != KEY)
      return 1;
    if (offset < WDTFEED)
      o->wdt[(offset - WDTCONFIG0) / 4] = value;
    arm(o);
  } else if (offset == RTCCALICFG) {
    o->cali = value & ~READY;
    if (value & START)
      measure(o);
  } else {
    return offset == RTCCALICFG1;
  }
  return 1;
}
