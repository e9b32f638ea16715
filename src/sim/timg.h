/* timg.h - timer groups: the measurement of slow clocks and the main watchdog. */
#ifndef SIM_TIMG_H
#define SIM_TIMG_H

#include <stdint.h>

struct sim_chip;

enum { SIM_TIMGS = 2, SIM_TIMG_WDT = 6 };

struct sim_timg_layout {
  uint32_t base[SIM_TIMGS]; /* 0: there is none */
  uint32_t calibrated;      /* the measurement that a reset makes, of the first */
  double clock;             /* Hz that the watchdog's prescaler divides */
  double slow_clock;        /* Hz of the clock that is measured ... */
  double crystal;           /* ... in cycles of this one */
};

struct sim_timg {
  struct sim_chip *chip;
  struct sim_timg_one {
    struct sim_timg *group;
    uint32_t wdt[SIM_TIMG_WDT], wprotect, cali, cali1;
    int guards; /* it watches the boot from flash */
    double due; /* when the watchdog bites, by the processor's clock; < 0: never */
    int cpu;    /* it resets the processor only */
  } one[SIM_TIMGS];
};

/* As a reset leaves them. guards: the first one's watchdog watches the boot from flash. */
void sim_timg_reset(struct sim_timg *t, int guards);

/* The cause of a reset by a watchdog that has bitten by now, SIM_RST_...; -1: none has. */
int sim_timg_bites(const struct sim_timg *t, double now);

int sim_timg_read(void *one, uint32_t offset, uint32_t *value);
int sim_timg_write(void *one, uint32_t offset, uint32_t value);

#endif
