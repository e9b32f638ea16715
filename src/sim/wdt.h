/* wdt.h - the RTC watchdog: unlocked by a key, it resets the chip when a stage of it runs out. */
#ifndef SIM_WDT_H
#define SIM_WDT_H

#include <stdint.h>

enum { SIM_WDT_STAGES = 4 };

/* What a stage does in the end. */
enum { SIM_WDT_NOTHING, SIM_WDT_INTERRUPT, SIM_WDT_CPU, SIM_WDT_CORE, SIM_WDT_SYSTEM };

struct sim_wdt_layout {
  uint32_t config0, config1, wprotect; /* addresses, ascending; 0: the chip has none */
  uint32_t key;
  uint32_t guard; /* bit of config0: it guards the boot from flash, whatever the others say */
  uint32_t shift; /* the first stage takes its ticks so many bits further to the left */
  uint32_t hold;  /* ticks of the first stage after a reset */
};

struct sim_wdt {
  struct sim_wdt_layout at;
  uint32_t wprotect, config0, hold[SIM_WDT_STAGES];
  int guards;  /* the chip is starting from flash */
  double *now; /* the chip's clock */
  double due;  /* when it bites; < 0: never */
  int bite;    /* what happens then: SIM_WDT_... */
};

void sim_wdt_init(struct sim_wdt *w, const struct sim_wdt_layout *at, double *now);

/* As a reset leaves it. guards: it watches the boot from flash; else it rests. */
void sim_wdt_reset(struct sim_wdt *w, int guards);

/* Register access for the bus, offsets from config0: 0 when the offset is none of ours. */
int sim_wdt_read(void *wdt, uint32_t offset, uint32_t *value);
int sim_wdt_write(void *wdt, uint32_t offset, uint32_t value);

#endif
