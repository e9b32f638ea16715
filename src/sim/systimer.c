/* systimer.c - the two counters of the system timer. Source: Technical Reference Manuals, "System Timer". */
#include "sim/systimer.h"

enum { UNIT0_OP = 0x04, UNIT1_OP = 0x08, UNIT0_HIGH = 0x40, UNIT1_LOW = 0x4C };
#define UPDATE (1u << 30)
#define VALID (1u << 29)
static const double CLOCK = 16e6;

int sim_systimer_read(void *ctx, uint32_t offset, uint32_t *value) {
  struct sim_systimer *t = ctx;
  if (offset == UNIT0_OP || offset == UNIT1_OP) {
    *value = VALID;
    return 1;
  }
  if (offset < UNIT0_HIGH || offset > UNIT1_LOW)
    return 0;
  uint64_t shown = t->shown[(offset - UNIT0_HIGH) / 8];
  *value = (uint32_t)(offset % 8 ? shown : shown >> 32 & 0xFFFFF);
  return 1;
}

int sim_systimer_write(void *ctx, uint32_t offset, uint32_t value) {
  struct sim_systimer *t = ctx;
  if (offset != UNIT0_OP && offset != UNIT1_OP)
    return 0;
  if (value & UPDATE)
    t->shown[offset == UNIT1_OP] = (uint64_t)(*t->time * CLOCK);
  return 1;
}
