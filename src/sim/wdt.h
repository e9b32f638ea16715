/* wdt.h - the RTC watchdog: unlocked by a key, it resets the chip when its first stage runs out. */
#ifndef SIM_WDT_H
#define SIM_WDT_H

#include <stdint.h>

struct sim_wdt_layout {
  uint32_t config0, config1, wprotect; /* addresses, ascending; 0: the chip has none */
  uint32_t key;
};

struct sim_wdt {
  struct sim_wdt_layout at;
  uint32_t wprotect, config0, config1;
  double *now; /* the chip's clock */
  double due;  /* when it bites; < 0: never */
};

void sim_wdt_init(struct sim_wdt *w, const struct sim_wdt_layout *at, double *now);
void sim_wdt_reset(struct sim_wdt *w);

/* Register access for the bus, offsets from config0: 0 when the offset is none of ours. */
int sim_wdt_read(void *wdt, uint32_t offset, uint32_t *value);
int sim_wdt_write(void *wdt, uint32_t offset, uint32_t value);

#endif
