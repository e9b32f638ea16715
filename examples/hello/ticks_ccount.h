/* The CPU's cycle counter. The ROM leaves the CPU on the crystal, and nearly all boards carry one of
 * 40 MHz. */
#define TICKS_PER_SECOND 40000000u

static inline void start_ticks(void) {}

static inline uint32_t ticks(void) {
  uint32_t cycles;
  __asm__ volatile("rsr %0, ccount" : "=r"(cycles));
  return cycles;
}
