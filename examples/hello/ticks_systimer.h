/* The system timer, at address SYSTIMER. It counts at 16 MHz whatever the CPU does; its value is copied to a
 * readable register on request. */
#define SYSTIMER_CONF SYSTIMER
#define SYSTIMER_UNIT0_RUN (1u << 30)
#define SYSTIMER_UNIT0_OP (SYSTIMER + 0x04)
#define SYSTIMER_UNIT0_UPDATE (1u << 30)
#define SYSTIMER_UNIT0_VALID (1u << 29)
#define SYSTIMER_UNIT0_VALUE_LO (SYSTIMER + 0x44)
#define TICKS_PER_SECOND 16000000u

static inline void start_ticks(void) {
  *(volatile uint32_t *)SYSTIMER_CONF |= SYSTIMER_UNIT0_RUN; /* already so after a power-on; say it anyway */
}

static inline uint32_t ticks(void) {
  volatile uint32_t *op = (volatile uint32_t *)SYSTIMER_UNIT0_OP;
  *op = SYSTIMER_UNIT0_UPDATE;
  while (!(*op & SYSTIMER_UNIT0_VALID))
    ;
  return *(volatile uint32_t *)SYSTIMER_UNIT0_VALUE_LO;
}
